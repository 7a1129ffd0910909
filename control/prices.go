package control

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// PriceVersion is one of the prices that a plan has had. A version is never
// changed: what was used under it stays charged by it.
type PriceVersion struct {
	Terms         uint32            `json:"terms"`           // its number in usage records; 0: without a price
	Version       int               `json:"version"`         // of the plan, from 1; 0: without a price
	Sheet         *model.PriceSheet `json:"sheet,omitempty"` // nil: free
	CreatedBy     string            `json:"createdBy,omitempty"`
	CreatedAt     time.Time         `json:"createdAt,omitzero"`
	Current       bool              `json:"current"`       // what new subscriptions are charged by
	Subscriptions int               `json:"subscriptions"` // charged by it now
}

// samePrice reports that two prices charge alike, however they are written.
func samePrice(a, b *model.PriceSheet) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, errX := json.Marshal(a.Canonical())
	y, errY := json.Marshal(b.Canonical())
	return errX == nil && errY == nil && string(x) == string(y)
}

// setPrice makes a price the one that new subscriptions of a plan get, as a new
// version; nil takes the price away. Running subscriptions keep theirs.
func (w *write) setPrice(ctx context.Context, planID string, was, now *model.PriceSheet) error {
	if samePrice(was, now) {
		return nil
	}
	if err := w.actor.May(ToBill); err != nil {
		return err
	}
	if now == nil {
		_, err := w.Exec(ctx, `update plan set sheet_num = null where tenant_id = $1 and plan_id = $2`, w.tenant, planID)
		return err
	}
	num, err := w.addSheet(ctx, planID, now)
	if err != nil {
		return err
	}
	_, err = w.Exec(ctx, `update plan set sheet_num = $3 where tenant_id = $1 and plan_id = $2`, w.tenant, planID, num)
	return err
}

// MoveToCurrentPrice brings every subscription of a plan to the price that new
// ones get, and returns how many were moved. It takes effect at once: each is
// ended and continued by a new one, so that every call stays attributed to the
// price it was made under. Keys, quota and its use go on unbroken. The month of
// the move is charged in two parts, the fee of each for its share of the month,
// and each with the included calls and tiers of its own price.
func (p *Plane) MoveToCurrentPrice(ctx context.Context, actor Actor, planID string) (int, error) {
	if err := actor.May(ToBill); err != nil {
		return 0, err
	}
	var moved int
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		var terms uint32
		var currency string
		err := w.QueryRow(ctx, `
			select coalesce(p.sheet_num, 0), coalesce(s.sheet->>'currency', '') from plan p left join price_sheet s using (tenant_id, sheet_num)
			where p.tenant_id = $1 and p.plan_id = $2 and p.deleted_at is null`,
			w.tenant, planID).Scan(&terms, &currency)
		if err != nil {
			return missing(err, "there is no plan %q", planID)
		}
		if err := w.paidIn(ctx, planID, currency); err != nil {
			return err
		}
		if moved, err = w.moveToPrice(ctx, planID, terms, nil); err != nil {
			return err
		}
		return w.audit(ctx, "plan.reprice", planID, map[string]any{"subscriptions": moved, "terms": terms})
	})
	return moved, err
}

// paidIn refuses to move running subscriptions of a plan to a price in another currency
// than theirs: invoices, limits of what may be spent, and wallets are of one.
func (w *write) paidIn(ctx context.Context, planID, currency string) error {
	var other string
	err := w.QueryRow(ctx, `
		select p.sheet->>'currency' from subscription s join price_sheet p on (p.tenant_id, p.sheet_num) = (s.tenant_id, s.terms)
		where s.tenant_id = $1 and s.plan_id = $2 and s.ended_at is null and $3 <> '' and p.sheet->>'currency' <> $3 limit 1`, w.tenant, planID, currency).Scan(&other)
	switch err {
	case nil:
		return model.Errorf(model.Conflict, "running subscriptions are paid in %s: a price in %s is for new ones only", other, currency)
	case pgx.ErrNoRows:
		return nil
	}
	return err
}

// addSheet writes the next version of a plan's price.
func (w *write) addSheet(ctx context.Context, planID string, s *model.PriceSheet) (num uint32, err error) {
	err = w.QueryRow(ctx, `
		insert into price_sheet (tenant_id, plan_id, version, sheet, created_by)
		select $1, $2, coalesce(max(version), 0) + 1, $3, $4 from price_sheet where tenant_id = $1 and plan_id = $2
		returning sheet_num`, w.tenant, planID, s.Canonical(), w.by()).Scan(&num)
	return num, err
}

// by is who the actor is called in what is written for people.
func (w *write) by() string { return cmp.Or(w.actor.Name, w.actor.Member) }

// moveToPrice ends every subscription of a plan at another price than terms, and has it
// continued at that: at an instant that is over, nil: now. One that is paid in another
// currency stays as it is.
func (w *write) moveToPrice(ctx context.Context, planID string, terms uint32, at *time.Time) (moved int, err error) {
	var keys []int64
	err = w.QueryRow(ctx, `
		with old as (
			update subscription set ended_at = greatest(started_at, coalesce($4, now())), whole_fee = false
			where tenant_id = $1 and plan_id = $2 and ended_at is null and terms <> $3
				and not exists (select from price_sheet a, price_sheet b where (a.tenant_id, a.sheet_num, b.tenant_id, b.sheet_num) = ($1, terms, $1, $3)
					and a.sheet->>'currency' <> b.sheet->>'currency')
			returning subscription_id, app_id, ledger_id, first_at, ended_at),
		next as (
			select old.*, nextval(pg_get_serial_sequence('subscription', 'subscription_id')) as id from old),
		made as (
			insert into subscription (tenant_id, subscription_id, plan_id, terms, app_id, origin_id, first_at, started_at) overriding system value
			select $1, id, $2, $3, app_id, ledger_id, first_at, ended_at from next),
		ahead as (
			update plan_change c set subscription_id = n.id from next n where c.tenant_id = $1 and c.subscription_id = n.subscription_id),
		held as (
			insert into subscription_key (tenant_id, subscription_id, key_num)
			select $1, n.id, sk.key_num from next n
			join subscription_key sk on (sk.tenant_id, sk.subscription_id) = ($1, n.subscription_id)
			join api_key k on (k.tenant_id, k.key_num) = (sk.tenant_id, sk.key_num) and k.deleted_at is null
			returning key_num)
		select (select count(*) from old), coalesce((select array_agg(key_num order by key_num) from held), '{}')`,
		w.tenant, planID, terms, at).Scan(&moved, &keys)
	w.changedKeys(keys)
	return moved, err
}

// changedKeys notes keys by their ascending numbers: one by one while they are
// few, else as the range they span.
func (w *write) changedKeys(nums []int64) {
	if len(nums) > 1000 {
		w.changedRange(kindKey, nums[0], nums[len(nums)-1])
		return
	}
	for _, n := range nums {
		w.changed(kindKey, n)
	}
}

// planVersions reads the prices of a plan, the newest first, and how many
// subscriptions are charged by each. Being free is listed while somebody is.
const planVersions = `
	with charged as (
		select terms, count(*) as n from subscription where tenant_id = $1 and plan_id = $2 and ended_at is null group by terms)
	select ps.sheet_num, ps.version, ps.sheet, ps.created_by, ps.created_at, p.sheet_num is not distinct from ps.sheet_num, coalesce(c.n, 0)
	from plan p join price_sheet ps using (tenant_id, plan_id) left join charged c on c.terms = ps.sheet_num
	where p.tenant_id = $1 and p.plan_id = $2
	union all
	select 0, 0, null, '', p.created_at, p.sheet_num is null, coalesce(c.n, 0)
	from plan p left join charged c on c.terms = 0
	where p.tenant_id = $1 and p.plan_id = $2 and (p.sheet_num is null or c.n > 0)
	order by 2 desc`

func scanVersion(r pgx.CollectableRow) (v PriceVersion, err error) {
	return v, r.Scan(&v.Terms, &v.Version, &v.Sheet, &v.CreatedBy, &v.CreatedAt, &v.Current, &v.Subscriptions)
}
