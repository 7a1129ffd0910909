// Package intake takes usage batches of gateway nodes into Postgres, exactly once
// each, sums their lines up by the hour and answers what was used.
//
// One transaction holds a batch's name and its lines: a batch that comes again is
// recognised by its name for ever, and one that comes with other content under a
// taken name is refused and kept aside. It must never count a batch twice, change
// or drop a line it took, or put a call on a tenant other than the one it was
// reported for.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/model"
)

// Options says where usage goes.
type Options struct {
	Pool *pgxpool.Pool
	Log  *slog.Logger     // default slog.Default()
	Now  func() time.Time // default time.Now
}

// Intake takes batches in and answers questions about usage.
type Intake struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	now  func() time.Time
}

// New makes an intake on a migrated database.
func New(o Options) *Intake {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Intake{pool: o.Pool, log: o.Log, now: o.Now}
}

// CloseLock is the advisory lock shared by ingest and taken alone by who cuts a
// period: every line is then wholly before or wholly after the cut.
const CloseLock = 0x746f6c6c01

// Ingest takes one encoded batch that a node of a gateway handed in. A node of a
// dedicated gateway may report only its tenant; 0 means any tenant of the gateway.
// A repeated batch is answered as a duplicate. Conflict, Denied and Invalid are
// verdicts: the batch is in quarantine, and sending it again changes nothing.
func (in *Intake) Ingest(ctx context.Context, gateway int32, tenant uint32, encoded []byte) (model.BatchReceipt, error) {
	b, err := model.DecodeBatch(encoded)
	if err != nil {
		return model.BatchReceipt{}, in.refuse(ctx, gateway, nil, encoded, model.Errorf(model.Invalid, "%v", err))
	}
	if err := check(b); err != nil {
		return model.BatchReceipt{}, in.refuse(ctx, gateway, b, encoded, err)
	}
	var r model.BatchReceipt
	err = in.ingesting(ctx, func(tx pgx.Tx) (err error) {
		r, err = ingest(ctx, tx, gateway, tenant, b, model.BatchHash(encoded), lateHours, in.now())
		return err
	})
	switch model.KindOf(err) {
	case model.Conflict, model.Denied, model.Invalid:
		return model.BatchReceipt{}, in.refuse(ctx, gateway, b, encoded, err)
	}
	if err != nil {
		return model.BatchReceipt{}, fmt.Errorf("usage batch %s/%d: %w", b.Boot, b.Seq, err)
	}
	return r, nil
}

// MaxKnown is how many boots Known is asked for at most.
const MaxKnown = 1000

// Known says up to which batch all of a boot's are in, of the boots of a gateway; those
// it has nothing of are left out. A node that was told more before hands in again what
// it keeps: the database was restored from a backup.
func (in *Intake) Known(ctx context.Context, gateway int32, boots []model.BootID) (out map[model.BootID]uint64, err error) {
	if len(boots) > MaxKnown {
		return nil, model.Errorf(model.Limit, "%d boots at once are too many; at most %d are allowed", len(boots), MaxKnown)
	}
	ids := make([][16]byte, len(boots))
	for i, b := range boots {
		ids[i] = b
	}
	out = map[model.BootID]uint64{}
	err = in.asEveryone(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select boot, contiguous_seq from usage_boot where gateway_id = $1 and boot = any($2)`, gateway, ids)
		if err != nil {
			return err
		}
		var b [16]byte
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&b, &n}, func() error { out[b] = uint64(n); return nil })
		return err
	})
	return out, err
}

// asEveryone runs a transaction that sees all tenants.
func (in *Intake) asEveryone(ctx context.Context, f func(pgx.Tx) error) error {
	return in.as(ctx, "*", f)
}

func (in *Intake) as(ctx context.Context, scope string, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, in.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', $1, true)`, scope); err != nil {
			return err
		}
		return f(tx)
	})
}

// beginIngest begins a batch's transaction in one round trip: it sees all tenants, and
// no period is cut before it ends.
var beginIngest = fmt.Sprintf("begin; set local tollgate.tenant = '*'; select pg_advisory_xact_lock_shared(%d)", int64(CloseLock))

func (in *Intake) ingesting(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, in.pool, pgx.TxOptions{BeginQuery: beginIngest}, f)
}

// mostAhead is how much a node's clock may be ahead. What it reports of later is put into
// the hour in which it came in: it was before that.
const mostAhead = 5 * time.Minute

// arrived is a batch at now, with nothing in it of a time to come, and how many of its
// calls were.
func arrived(b *model.Batch, now time.Time) (*model.Batch, int64) {
	last := now.Add(mostAhead)
	if b.Watermark <= last.UnixMicro() && b.Last <= last.UnixMicro() {
		return b, 0
	}
	out := *b
	out.First, out.Last, out.Watermark = min(b.First, now.UnixMicro()), min(b.Last, now.UnixMicro()), min(b.Watermark, now.UnixMicro())
	out.Lines = slices.Clone(b.Lines)
	var ahead int64
	for i := range out.Lines {
		if l := &out.Lines[i]; l.Hour > last.Unix()/3600 {
			l.Hour = now.Unix() / 3600
			ahead += int64(l.Calls)
		}
	}
	return &out, ahead
}

// ingest is the transaction's work, in three round trips: judge, append, account.
func ingest(ctx context.Context, tx pgx.Tx, gateway int32, tenant uint32, sent *model.Batch, hash [32]byte, late int, now time.Time) (r model.BatchReceipt, err error) {
	b, ahead := arrived(sent, now)
	known, gens, err := admit(ctx, tx, gateway, tenant, b, hash, late)
	if known || err != nil {
		return model.BatchReceipt{Duplicate: known}, err
	}
	if err := appendLines(ctx, tx, b, gens); err != nil {
		return r, err
	}
	q := &pgx.Batch{}
	var first, last *time.Time
	if len(b.Lines) > 0 {
		f, l := micros(b.First), micros(b.Last)
		first, last = &f, &l
	}
	q.Queue(`
		insert into usage_batch (boot, seq, gateway_id, hash, lines, calls, t_min, t_max, watermark, final)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		[16]byte(b.Boot), int64(b.Seq), gateway, hash[:], len(b.Lines), int64(b.Calls()), first, last, micros(b.Watermark), b.Final)
	draw(q, sent) // by the node's clock, as it drew
	advance(q, b, ahead)
	return r, tx.SendBatch(ctx, q).Close()
}

// draw notes what the calls of a batch drew of leases, of quotas and of money: with the last of a
// start's batches it is known what it did not use. A call counts by the hour in which it
// ended, against the window of that hour. Where there is no lease, it was of the window
// before.
func draw(q *pgx.Batch, b *model.Batch) {
	type of struct {
		tenant       uint32
		subscription uint64
		hour         int64
		kind         uint8
	}
	drawn := map[of]uint64{}
	for i := range b.Lines {
		l := &b.Lines[i]
		if l.Flags&model.FlagQuota != 0 {
			drawn[of{l.Tenant, l.Subscription, l.Hour, model.LedgerQuota}] += l.Calls
		}
		if l.Flags&model.FlagSpend != 0 {
			drawn[of{l.Tenant, l.Subscription, l.Hour, model.LedgerSpend}] += l.Calls
		}
	}
	if len(drawn) == 0 {
		return
	}
	var tenants []int32
	var subs, calls []int64
	var hours []time.Time
	var kinds []int16
	for k, n := range drawn {
		tenants, subs, calls = append(tenants, int32(k.tenant)), append(subs, int64(k.subscription)), append(calls, int64(n))
		hours, kinds = append(hours, time.Unix(k.hour*3600, 0).UTC()), append(kinds, int16(k.kind))
	}
	q.Queue(`
		with drawn as materialized (
			select s.tenant_id, s.ledger_id as subscription_id, d.kind, d.hour, sum(d.calls) as calls
			from unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::bigint[], $6::smallint[]) as d(tenant_id, subscription_id, hour, calls, kind)
			join subscription s using (tenant_id, subscription_id)
			group by 1, 2, 3, 4),
		leases as materialized (
			select l.tenant_id, l.subscription_id, l.kind, l.window_start, sum(d.calls) as calls
			from drawn d, lateral (
				select * from quota_lease l
				where (l.tenant_id, l.subscription_id, l.kind, l.boot) = (d.tenant_id, d.subscription_id, d.kind, $5) and l.window_start <= d.hour
				order by l.window_start desc limit 1) l
			group by 1, 2, 3, 4),
		locked as materialized (
			select l.tenant_id, l.subscription_id, l.kind, l.window_start, n.calls from leases n
			join quota_lease l on (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (n.tenant_id, n.subscription_id, n.kind, n.window_start, $5)
			order by l.tenant_id, l.subscription_id, l.kind, l.window_start for no key update of l)
		update quota_lease l set used = l.used + n.calls from locked n
		where (l.tenant_id, l.subscription_id, l.kind, l.window_start, l.boot) = (n.tenant_id, n.subscription_id, n.kind, n.window_start, $5)`,
		tenants, subs, hours, calls, b.Boot.String(), kinds)
}

func micros(t int64) time.Time { return time.UnixMicro(t).UTC() }

// lateHours is for how long after a tenant went to another gateway the old one's
// nodes may have answered calls: as long as they did not hear of it.
const lateHours = 24

// admit judges a batch and reads what its lines need, in one round trip. The boot's row
// is made or locked first, so batches of one boot go in one after the other and each
// sees what is there.
func admit(ctx context.Context, tx pgx.Tx, gateway int32, tenant uint32, b *model.Batch, hash [32]byte, late int) (known bool, gens generations, err error) {
	var owner int32
	var contiguous uint64
	var last *int64
	var have []byte
	var foreign *int32
	of := reported(b)
	q := &pgx.Batch{}
	q.Queue(`
		insert into usage_boot (boot, gateway_id) values ($1, $2)
		on conflict (boot) do update set seen_at = now()
		returning gateway_id, contiguous_seq, last_seq`, [16]byte(b.Boot), gateway).
		QueryRow(func(row pgx.Row) error { return row.Scan(&owner, &contiguous, &last) })
	// Not the same statement: that would not see what came while it waited for the lock.
	q.Queue(`select hash from usage_batch where boot = $1 and seq = $2`, [16]byte(b.Boot), int64(b.Seq)).
		QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&have); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			return nil
		})
	// Tenants that the node's gateway does not serve and, when the calls were made, late hours
	// before at most, did not either.
	q.Queue(`
		select min(a.t) from unnest($1::integer[], $3::timestamptz[]) a (t, latest)
		where a.t <> 0 and not exists (select from tenant where tenant_id = a.t and gateway_id = $2)
			and not exists (select from tenant_left l where l.tenant_id = a.t and l.gateway_id = $2
				and a.latest <= l.left_at + make_interval(hours => $4))`, of.tenants, gateway, of.latest, late).
		QueryRow(func(row pgx.Row) error { return row.Scan(&foreign) })
	q.Queue(`
		select tenant_id, period_start, gen from period_close
		where tenant_id = any($1) and period_start between date_trunc('month', $2::timestamptz, 'UTC') and $3`, of.tenants, of.from, of.to).
		Query(func(rows pgx.Rows) (err error) { gens, err = collectGenerations(rows); return err })
	if err := tx.SendBatch(ctx, q).Close(); err != nil {
		return false, nil, err
	}
	switch {
	case owner != gateway:
		return false, nil, model.Errorf(model.Denied, "boot %s belongs to another gateway", b.Boot)
	case last != nil && b.Seq > uint64(*last):
		return false, nil, model.Errorf(model.Conflict, "boot %s was closed with batch %d; batch %d cannot follow", b.Boot, *last, b.Seq)
	case have != nil && string(have) != string(hash[:]):
		return false, nil, model.Errorf(model.Conflict, "batch %s/%d is in already, with other content", b.Boot, b.Seq)
	case have != nil || b.Seq <= contiguous: // in, or in and pruned
		return true, nil, nil
	}
	for _, t := range of.tenants {
		if tenant != 0 && t != 0 && t != int32(tenant) {
			return false, nil, model.Errorf(model.Denied, "this node reports for tenant %d only, not for %d", tenant, t)
		}
	}
	if foreign != nil {
		return false, nil, model.Errorf(model.Denied, "tenant %d is not served by gateway %d", *foreign, gateway)
	}
	return false, gens, nil
}

// reporting is whose calls a batch holds, and of when.
type reporting struct {
	tenants  []int32 // 0: of calls that reached no tenant, which are anyone's
	latest   []time.Time
	from, to time.Time // hours of the earliest and of the latest line
}

func reported(b *model.Batch) (r reporting) {
	at := map[uint32]int{}
	for i := range b.Lines {
		l := &b.Lines[i]
		hour := hourOf(l)
		if i == 0 || hour.Before(r.from) {
			r.from = hour
		}
		if i == 0 || hour.After(r.to) {
			r.to = hour
		}
		n, seen := at[l.Tenant]
		switch {
		case !seen:
			at[l.Tenant] = len(r.tenants)
			r.tenants, r.latest = append(r.tenants, int32(l.Tenant)), append(r.latest, hour)
		case hour.After(r.latest[n]):
			r.latest[n] = hour
		}
	}
	return r
}

func hourOf(l *model.UsageLine) time.Time { return time.Unix(l.Hour*3600, 0).UTC() }

// advance moves a boot's account on. A watermark holds only once every batch
// before it is in.
func advance(q *pgx.Batch, b *model.Batch, ahead int64) {
	var final *int64
	if b.Final {
		f := int64(b.Seq)
		final = &f
	}
	q.Queue(`
		with run as (
			select coalesce((
				select b.seq from usage_batch b
				where b.boot = $1 and b.seq > u.contiguous_seq
					and exists (select from usage_batch f where f.boot = $1 and f.seq = u.contiguous_seq + 1)
					and not exists (select from usage_batch n where n.boot = $1 and n.seq = b.seq + 1)
				order by b.seq limit 1), u.contiguous_seq) as seq
			from usage_boot u where u.boot = $1)
		update usage_boot u set
			contiguous_seq = run.seq,
			last_seq = coalesce($2, u.last_seq),
			batches = u.batches + 1,
			calls = u.calls + $3,
			ahead = u.ahead + $4,
			watermark = greatest(u.watermark, (select w.watermark from usage_batch w where w.boot = $1 and w.seq = run.seq)),
			state = case when run.seq = coalesce($2, u.last_seq) then 'closed' else u.state end
		from run where u.boot = $1`, [16]byte(b.Boot), final, int64(b.Calls()), ahead)
}
