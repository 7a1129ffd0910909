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
	err = in.asEveryone(ctx, func(tx pgx.Tx) (err error) {
		r, err = ingest(ctx, tx, gateway, tenant, b, model.BatchHash(encoded), lateHours)
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

// ingest is the transaction's work. The boot's row is locked first, so batches of
// one boot go in one after the other and each sees what is there.
func ingest(ctx context.Context, tx pgx.Tx, gateway int32, tenant uint32, b *model.Batch, hash [32]byte, late int) (r model.BatchReceipt, err error) {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock_shared($1)`, int64(CloseLock)); err != nil {
		return r, err
	}
	contiguous, err := lockBoot(ctx, tx, gateway, b)
	if err != nil {
		return r, err
	}
	known, err := knownBatch(ctx, tx, b, hash, contiguous)
	if known || err != nil {
		return model.BatchReceipt{Duplicate: known}, err
	}
	if err := mayReport(ctx, tx, gateway, tenant, b, late); err != nil {
		return r, err
	}
	var first, last *time.Time
	if len(b.Lines) > 0 {
		f, l := micros(b.First), micros(b.Last)
		first, last = &f, &l
	}
	_, err = tx.Exec(ctx, `
		insert into usage_batch (boot, seq, gateway_id, hash, lines, calls, t_min, t_max, watermark, final)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		[16]byte(b.Boot), int64(b.Seq), gateway, hash[:], len(b.Lines), int64(b.Calls()), first, last, micros(b.Watermark), b.Final)
	if err != nil {
		return r, err
	}
	if err := insertLines(ctx, tx, b); err != nil {
		return r, err
	}
	if err := draw(ctx, tx, b); err != nil {
		return r, err
	}
	return r, advance(ctx, tx, b)
}

// draw notes what the calls of a batch drew of leases, of quotas and of money: with the last of a
// start's batches it is known what it did not use. A call counts by the hour in which it
// ended, against the window of that hour. Where there is no lease, it was of the window
// before.
func draw(ctx context.Context, tx pgx.Tx, b *model.Batch) error {
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
		return nil
	}
	var tenants []int32
	var subs, calls []int64
	var hours []time.Time
	var kinds []int16
	for k, n := range drawn {
		tenants, subs, calls = append(tenants, int32(k.tenant)), append(subs, int64(k.subscription)), append(calls, int64(n))
		hours, kinds = append(hours, time.Unix(k.hour*3600, 0).UTC()), append(kinds, int16(k.kind))
	}
	_, err := tx.Exec(ctx, `
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
	return err
}

func micros(t int64) time.Time { return time.UnixMicro(t).UTC() }

// lockBoot makes or locks a boot's row and says up to where its batches are in.
func lockBoot(ctx context.Context, tx pgx.Tx, gateway int32, b *model.Batch) (contiguous uint64, err error) {
	var owner int32
	var last *int64
	err = tx.QueryRow(ctx, `
		insert into usage_boot (boot, gateway_id) values ($1, $2)
		on conflict (boot) do update set seen_at = now()
		returning gateway_id, contiguous_seq, last_seq`, [16]byte(b.Boot), gateway).Scan(&owner, &contiguous, &last)
	switch {
	case err != nil:
		return 0, err
	case owner != gateway:
		return 0, model.Errorf(model.Denied, "boot %s belongs to another gateway", b.Boot)
	case last != nil && b.Seq > uint64(*last):
		return 0, model.Errorf(model.Conflict, "boot %s was closed with batch %d; batch %d cannot follow", b.Boot, *last, b.Seq)
	}
	return contiguous, nil
}

// knownBatch reports that a batch of this name is in already, with this content.
func knownBatch(ctx context.Context, tx pgx.Tx, b *model.Batch, hash [32]byte, contiguous uint64) (bool, error) {
	var have []byte
	err := tx.QueryRow(ctx, `select hash from usage_batch where boot = $1 and seq = $2`, [16]byte(b.Boot), int64(b.Seq)).Scan(&have)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return b.Seq <= contiguous, nil // in and pruned, or new
	case err != nil:
		return false, err
	case string(have) != string(hash[:]):
		return false, model.Errorf(model.Conflict, "batch %s/%d is in already, with other content", b.Boot, b.Seq)
	}
	return true, nil
}

// lateHours is for how long after a tenant went to another gateway the old one's
// nodes may have answered calls: as long as they did not hear of it.
const lateHours = 24

// mayReport refuses lines of tenants that the node's gateway does not serve and,
// when the calls were made, late hours before at most, did not either.
func mayReport(ctx context.Context, tx pgx.Tx, gateway int32, tenant uint32, b *model.Batch, late int) error {
	at := map[uint32]int{}
	var ask []int32
	var latest []time.Time
	for i := range b.Lines {
		t, hour := b.Lines[i].Tenant, time.Unix(b.Lines[i].Hour*3600, 0).UTC()
		if t == 0 { // calls that reached no tenant are anyone's
			continue
		}
		if tenant != 0 && t != tenant {
			return model.Errorf(model.Denied, "this node reports for tenant %d only, not for %d", tenant, t)
		}
		n, seen := at[t]
		switch {
		case !seen:
			at[t] = len(ask)
			ask, latest = append(ask, int32(t)), append(latest, hour)
		case hour.After(latest[n]):
			latest[n] = hour
		}
	}
	var foreign *int32
	err := tx.QueryRow(ctx, `
		select min(a.t) from unnest($1::integer[], $3::timestamptz[]) a (t, latest)
		where not exists (select from tenant where tenant_id = a.t and gateway_id = $2)
			and not exists (select from tenant_left l where l.tenant_id = a.t and l.gateway_id = $2
				and a.latest <= l.left_at + make_interval(hours => $4))`, ask, gateway, latest, late).Scan(&foreign)
	if err != nil {
		return err
	}
	if foreign != nil {
		return model.Errorf(model.Denied, "tenant %d is not served by gateway %d", *foreign, gateway)
	}
	return nil
}

// insertLines appends a batch's lines in one statement, each with the generation
// that its month has reached: what comes after a month was cut for a bill is told
// from what was in it.
func insertLines(ctx context.Context, tx pgx.Tx, b *model.Batch) error {
	n := len(b.Lines)
	if n == 0 {
		return nil
	}
	hour := make([]time.Time, n)
	var num [8][]int32 // tenant, stage, method, key, terms, status, flags
	for i := range num {
		num[i] = make([]int32, n)
	}
	var big [5][]int64 // subscription, calls, bytes in, bytes out, microseconds
	for i := range big {
		big[i] = make([]int64, n)
	}
	for i := range b.Lines {
		l := &b.Lines[i]
		hour[i] = time.Unix(l.Hour*3600, 0).UTC()
		for k, v := range [...]uint32{l.Tenant, l.Stage, l.Method, l.Key, l.Terms, uint32(l.Status), uint32(l.Flags)} {
			num[k][i] = int32(v)
		}
		for k, v := range [...]uint64{l.Subscription, l.Calls, l.BytesIn, l.BytesOut, l.Micros} {
			big[k][i] = int64(v)
		}
	}
	_, err := tx.Exec(ctx, `
		insert into usage_line (hour, tenant_id, stage_num, method_num, key_num, terms, status, flags,
			subscription_id, calls, bytes_in, bytes_out, micros, boot, seq, gen)
		select u.*, $14::uuid, $15::bigint, coalesce(c.gen, 0)
		from unnest($1::timestamptz[], $2::integer[], $3::integer[], $4::integer[], $5::integer[],
			$6::integer[], $7::integer[], $8::integer[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
			as u(hour, tenant_id, stage_num, method_num, key_num, terms, status, flags, subscription_id, calls, bytes_in, bytes_out, micros)
		left join period_close c on c.tenant_id = u.tenant_id and c.period_start = date_trunc('month', u.hour, 'UTC')`,
		hour, num[0], num[1], num[2], num[3], num[4], num[5], num[6], big[0], big[1], big[2], big[3], big[4],
		[16]byte(b.Boot), int64(b.Seq))
	return err
}

// advance moves a boot's account on. A watermark holds only once every batch
// before it is in.
func advance(ctx context.Context, tx pgx.Tx, b *model.Batch) error {
	var final *int64
	if b.Final {
		f := int64(b.Seq)
		final = &f
	}
	_, err := tx.Exec(ctx, `
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
			watermark = greatest(u.watermark, (select w.watermark from usage_batch w where w.boot = $1 and w.seq = run.seq)),
			state = case when run.seq = coalesce($2, u.last_seq) then 'closed' else u.state end
		from run where u.boot = $1`, [16]byte(b.Boot), final, int64(b.Calls()))
	return err
}
