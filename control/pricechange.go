package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// PriceChange is a price that a plan has from a day on.
type PriceChange struct {
	Version int               `json:"version"` // of the plan's price
	Sheet   *model.PriceSheet `json:"sheet"`
	From    time.Time         `json:"from"` // the begin of a day (UTC)
	Move    bool              `json:"move"` // running subscriptions go to it too; else they keep theirs
	Told    bool              `json:"told"` // those it is for were written to
}

// maxAhead is how many years before a price can be announced.
const maxAhead = 2

// AnnouncePrice makes a new version of a plan's price that is its own from a day on
// (UTC). With move, running subscriptions go to it at the same instant, and their
// developers are written to; else they keep the price they have.
func (p *Plane) AnnouncePrice(ctx context.Context, actor Actor, planID string, sheet model.PriceSheet, from time.Time, move bool) error {
	if err := actor.May(ToBill); err != nil {
		return err
	}
	if err := sheet.Validate(); err != nil {
		return err
	}
	if err := sheet.OfCalls(); err != nil {
		return err
	}
	y, m, d := from.UTC().Date()
	from = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if now := p.now(); !from.After(now) || from.After(now.AddDate(maxAhead, 0, 0)) {
		return model.Errorf(model.Invalid, "a price is announced for a day to come, within %d years; %s is not one", maxAhead, from.Format("2 January 2006"))
	}
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		was, err := readPlan(ctx, w, w.tenant, planID)
		if err != nil {
			return err
		}
		if samePrice(was.Price, &sheet) && (!move || was.OtherPrice == 0) {
			return model.Errorf(model.Conflict, "the price is the one that plan %q has", was.Name)
		}
		if move {
			if err := w.paidIn(ctx, planID, sheet.Currency); err != nil {
				return err
			}
		}
		if was.Published && was.Price == nil {
			if err := sellable(ctx, w, w.tenant); err != nil {
				return err
			}
		}
		num, err := w.addSheet(ctx, planID, &sheet)
		if err != nil {
			return err
		}
		tag, err := w.Exec(ctx, `
			insert into price_change (tenant_id, plan_id, sheet_num, at, move, asked_by, told_at)
			values ($1, $2, $3, $4, $5, $6, case when not $5 then $7::timestamptz end)
			on conflict do nothing`, w.tenant, planID, num, from, move, w.by(), p.now())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return model.Errorf(model.Conflict, "a change of the price of plan %q is ahead already; take it back first", was.Name)
		}
		return w.audit(ctx, "plan.announce", planID, map[string]any{"from": from.Format(time.DateOnly), "price": sheet, "move": move})
	})
	return err
}

// TakeBackPrice drops a change of price that has not taken effect yet; who was told of it
// is told of that. The version of the price stays, unused.
func (p *Plane) TakeBackPrice(ctx context.Context, actor Actor, planID string) error {
	if err := actor.May(ToBill); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		var at time.Time
		var told bool
		err := w.QueryRow(ctx, `delete from price_change where tenant_id = $1 and plan_id = $2 returning at, move and told_at is not null`, w.tenant, planID).Scan(&at, &told)
		if err != nil {
			return missing(err, "no change of the price of plan %q is ahead", planID)
		}
		if told {
			if err := p.tellNoChange(ctx, w, planID, at); err != nil {
				return err
			}
		}
		return w.audit(ctx, "plan.take-back", planID, map[string]any{"from": at.UTC().Format(time.DateOnly)})
	})
	return err
}

// tellNoChange writes to the developers of a plan that its price stays.
func (p *Plane) tellNoChange(ctx context.Context, w *write, planID string, at time.Time) error {
	rows, err := w.Query(ctx, `
		select distinct a.developer_id, p.name from subscription s join app a using (tenant_id, app_id) join plan p using (tenant_id, plan_id)
		where s.tenant_id = $1 and s.plan_id = $2 and s.ended_at is null order by 1`, w.tenant, planID)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (x [2]string, err error) { return x, r.Scan(&x[0], &x[1]) })
	if err != nil {
		return err
	}
	for _, x := range all {
		err := p.tellDeveloper(ctx, w, x[0], "The price of "+x[1]+" does not change",
			fmt.Sprintf("the price of plan %s that was announced for %s is taken back. What you have stays as it is.", x[1], at.UTC().Format("2 January 2006")))
		if err != nil {
			return err
		}
	}
	return nil
}

// priceAhead reads the change of a plan's price that is ahead.
const priceAhead = `
	select ps.version, ps.sheet, c.at, c.move, c.told_at is not null
	from price_change c join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (c.tenant_id, c.sheet_num)
	where c.tenant_id = $1 and c.plan_id = $2`

func scanPriceChange(r pgx.CollectableRow) (c PriceChange, err error) {
	err = r.Scan(&c.Version, &c.Sheet, &c.From, &c.Move, &c.Told)
	c.From = c.From.UTC()
	return c, err
}

// changePrices gives plans the prices whose day has come.
func (p *Plane) changePrices(ctx context.Context) error {
	type due struct {
		tenant uint32
		plan   string
	}
	var all []due
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id, plan_id from price_change where at <= $1 order by at, tenant_id, plan_id`, p.now())
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (d due, err error) { return d, r.Scan(&d.tenant, &d.plan) })
		return err
	})
	if err != nil {
		return err
	}
	var troubles error
	for _, d := range all {
		a := system(Actor{Tenant: d.tenant})
		_, err := p.writeTo(ctx, a, a.scope(), "", func(w *write) error {
			var terms uint32
			var at time.Time
			var move bool
			err := w.QueryRow(ctx, `delete from price_change where tenant_id = $1 and plan_id = $2 and at <= $3 returning sheet_num, at, move`,
				w.tenant, d.plan, p.now()).Scan(&terms, &at, &move)
			if err == pgx.ErrNoRows {
				return nil // taken back meanwhile
			}
			if err != nil {
				return err
			}
			if _, err := w.Exec(ctx, `update plan set sheet_num = $3 where tenant_id = $1 and plan_id = $2`, w.tenant, d.plan, terms); err != nil {
				return err
			}
			moved := 0
			if move {
				if moved, err = w.moveToPrice(ctx, d.plan, terms, &at); err != nil {
					return err
				}
			}
			return w.audit(ctx, "plan.price", d.plan, map[string]any{"terms": terms, "subscriptions": moved})
		})
		troubles = errors.Join(troubles, err)
	}
	return troubles
}
