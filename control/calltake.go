package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/model"
)

// DefaultCallLogDays is for how long the call log keeps calls.
const DefaultCallLogDays = 7

// lateCalls is for how long after a tenant went to another gateway the old one's nodes
// may tell of its calls.
const lateCalls = "1 day"

// TakeCalls takes a batch of the call log from a node: model.CallBatch, encoded. One
// that comes again is taken once. What is told of stages that the node's gateway does
// not serve is left aside.
func (p *Plane) TakeCalls(ctx context.Context, n NodeIdentity, encoded []byte) error {
	b, err := model.DecodeCallBatch(encoded)
	if err != nil {
		return model.Errorf(model.Invalid, "%v", err)
	}
	if b.Seq == 0 || b.Seq > 1<<62 {
		return model.Errorf(model.Invalid, "batch %d of the call log is none: they are numbered from 1", b.Seq)
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		known, err := p.knownCalls(ctx, tx, n, b)
		if known || err != nil {
			return err
		}
		served, err := servedStages(ctx, tx, n, b)
		if err != nil {
			return err
		}
		now := p.now()
		aside, err := insertCalls(ctx, tx, b.Calls, served, now)
		if err != nil {
			return err
		}
		less, err := insertLeft(ctx, tx, b.Left, served, now)
		if err != nil {
			return err
		}
		if aside+less > 0 {
			p.log.Warn("a node told the call log of stages that its gateway does not serve; that was left aside", "gateway", n.GatewayName, "node", n.Node, "entries", aside, "counts", less)
		}
		_, err = tx.Exec(ctx, `select pg_notify($1, $2)`, channelCalls, strconv.Itoa(int(n.Gateway)))
		return err
	})
}

// knownCalls notes the batch, and says whether it is in already.
func (p *Plane) knownCalls(ctx context.Context, tx pgx.Tx, n NodeIdentity, b *model.CallBatch) (bool, error) {
	tag, err := tx.Exec(ctx, `
		insert into call_boot as c (boot, gateway_id, seq) values ($1, $2, $3)
		on conflict (boot) do update set seq = excluded.seq, seen_at = now() where c.gateway_id = $2 and c.seq < excluded.seq`,
		[16]byte(b.Boot), n.Gateway, int64(b.Seq))
	return tag.RowsAffected() == 0, err
}

// servedStages are the stages of a batch that the node's gateway serves, or did until
// lately, with their tenants.
func servedStages(ctx context.Context, tx pgx.Tx, n NodeIdentity, b *model.CallBatch) (map[uint32]uint32, error) {
	seen := map[uint32]bool{}
	var nums []int64
	add := func(num uint32) {
		if !seen[num] {
			seen[num] = true
			nums = append(nums, int64(num))
		}
	}
	for i := range b.Calls {
		add(b.Calls[i].Stage)
	}
	for _, l := range b.Left {
		add(l.Stage)
	}
	rows, err := tx.Query(ctx, `
		select s.stage_num, s.tenant_id from stage s join tenant t using (tenant_id)
		where s.stage_num = any($1::bigint[]) and $3::bigint in (0, s.tenant_id) and (t.gateway_id = $2 or exists (
			select from tenant_left l where l.tenant_id = s.tenant_id and l.gateway_id = $2 and l.left_at > now() - interval '`+lateCalls+`'))`,
		nums, n.Gateway, int64(n.Tenant))
	if err != nil {
		return nil, err
	}
	out := map[uint32]uint32{}
	var num, tenant uint32
	_, err = pgx.ForEachRow(rows, []any{&num, &tenant}, func() error { out[num] = tenant; return nil })
	return out, err
}

// callRows are entries as columns.
type callRows struct {
	at                                          []time.Time
	id                                          [][16]byte
	tenant, stage, method, key, status, flags   []int32
	canary                                      []bool
	subscription, in, out, micros               []int64
	integration                                 []*int64
	kind, step, why, verb, path, ip, agent, who []string
	trace                                       []string
}

func (r *callRows) add(e *model.CallEntry, now time.Time) {
	at := time.UnixMicro(e.Time).UTC()
	if at.After(now.Add(time.Hour)) || at.Before(now.AddDate(0, 0, -1)) {
		at = now // the node's clock is wrong: what is told now is of now
	}
	var integration *int64
	if e.Integration > 0 {
		us := int64(e.Integration) - 1
		integration = &us
	}
	r.at, r.id, r.canary, r.integration = append(r.at, at), append(r.id, e.ID), append(r.canary, e.Canary), append(r.integration, integration)
	for _, c := range []struct {
		into *[]int32
		v    uint32
	}{{&r.tenant, e.Tenant}, {&r.stage, e.Stage}, {&r.method, e.Method}, {&r.key, e.Key}, {&r.status, uint32(e.Status)}, {&r.flags, uint32(e.Flags)}} {
		*c.into = append(*c.into, int32(c.v))
	}
	for _, c := range []struct {
		into *[]int64
		v    uint64
	}{{&r.subscription, e.Subscription}, {&r.in, e.BytesIn}, {&r.out, e.BytesOut}, {&r.micros, uint64(e.Latency)}} {
		*c.into = append(*c.into, int64(c.v))
	}
	for _, c := range []struct {
		into *[]string
		v    string
	}{{&r.kind, e.Kind}, {&r.step, e.Step}, {&r.why, e.Why}, {&r.verb, string(e.Verb)}, {&r.path, string(e.Path)}, {&r.ip, e.IP}, {&r.agent, string(e.Agent)},
		{&r.who, e.Principal}, {&r.trace, string(e.Trace)}} {
		*c.into = append(*c.into, clean(c.v))
	}
}

// insertCalls puts entries in and returns how many it left aside.
func insertCalls(ctx context.Context, tx pgx.Tx, calls []model.CallEntry, served map[uint32]uint32, now time.Time) (aside int, err error) {
	var r callRows
	for i := range calls {
		if t, ok := served[calls[i].Stage]; ok && t == calls[i].Tenant {
			r.add(&calls[i], now)
		} else {
			aside++
		}
	}
	if len(r.at) == 0 {
		return aside, nil
	}
	_, err = tx.Exec(ctx, `
		insert into call_log (at, request_id, tenant_id, stage_num, method_num, key_num, status, flags, canary, subscription_id, bytes_in, bytes_out, micros, integration_micros,
			kind, step, why, verb, path, ip, agent, principal, trace)
		select * from unnest($1::timestamptz[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::integer[], $9::boolean[],
			$10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[])
		on conflict do nothing`,
		r.at, r.id, r.tenant, r.stage, r.method, r.key, r.status, r.flags, r.canary, r.subscription, r.in, r.out, r.micros, r.integration,
		r.kind, r.step, r.why, r.verb, r.path, r.ip, r.agent, r.who, r.trace)
	return aside, err
}

// clean is a text that the database takes.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func insertLeft(ctx context.Context, tx pgx.Tx, left []model.CallsLeft, served map[uint32]uint32, now time.Time) (aside int, err error) {
	var tenants, stages []int32
	var calls, lines []int64
	for _, l := range left {
		if t, ok := served[l.Stage]; !ok || t != l.Tenant || l.Calls > 1<<50 || l.Lines > 1<<50 {
			aside++
			continue
		}
		tenants, stages = append(tenants, int32(l.Tenant)), append(stages, int32(l.Stage))
		calls, lines = append(calls, int64(l.Calls)), append(lines, int64(l.Lines))
	}
	if len(tenants) == 0 {
		return aside, nil
	}
	_, err = tx.Exec(ctx, `
		insert into call_left as c (tenant_id, stage_num, minute, calls, lines)
		select t, s, date_trunc('minute', $5::timestamptz), sum(n)::bigint, sum(l)::bigint
		from unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[]) u (t, s, n, l) group by t, s order by t, s
		on conflict (tenant_id, stage_num, minute) do update set calls = c.calls + excluded.calls, lines = c.lines + excluded.lines`,
		tenants, stages, calls, lines, now)
	return aside, err
}

// maintainCalls makes the call log's partitions of the days to come and drops those of
// days that are over.
func (p *Plane) maintainCalls(ctx context.Context) error {
	today := p.now().UTC().Truncate(24 * time.Hour)
	for d := range 3 {
		if err := p.callPartition(ctx, today.AddDate(0, 0, d)); err != nil {
			return err
		}
	}
	oldest := today.AddDate(0, 0, 1-p.callDays)
	names, err := p.callPartitions(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name >= "call_log_"+oldest.Format("20060102") {
			break
		}
		if err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `drop table if exists `+name)
			return err
		}); err != nil {
			return fmt.Errorf("dropping %s: %w", name, err)
		}
	}
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`delete from call_log_default where at < $1`, `delete from call_left where minute < $1`, `delete from call_boot where seen_at < $1`,
		} {
			if _, err := tx.Exec(ctx, sql, oldest); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *Plane) callPartitions(ctx context.Context) ([]string, error) {
	rows, err := p.pool.Query(ctx, `
		select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'call_log'::regclass and c.relname ~ '^call_log_[0-9]{8}$' order by 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// callPartition makes a day's partition if it is missing. A day whose calls are in the
// default one already has none.
func (p *Plane) callPartition(ctx context.Context, day time.Time) error {
	name := "call_log_" + day.Format("20060102")
	var there bool
	if err := p.pool.QueryRow(ctx, `select to_regclass($1) is not null`, name).Scan(&there); err != nil || there {
		return err
	}
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, setScope, string(everyTenant)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`create table %s partition of call_log for values from ('%s') to ('%s')`,
			name, day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339)))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `select usage_fence($1::regclass)`, name)
		return err
	})
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && (pe.Code == "42P07" || pe.Code == "23505" || pe.Code == "23514") {
		return nil // another process made it, or the default partition has its rows
	}
	return err
}
