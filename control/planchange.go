package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// PlanSwitch is a change of an app's subscription to another plan, as it was shown to
// who asks for it.
type PlanSwitch struct {
	Subscription uint64
	PlanID       string
	Terms        uint32    // the plan's price that was shown, by its number; 0: none
	At           time.Time // when: what was shown is good for PreviewLife, or the end of the month; zero: now
	// WholeFee charges the fee of the plan that is left for the whole month it began. A
	// developer who goes to a lower fee at once is always charged so: a plan for a day
	// must not be had for a day's fee with all that it includes.
	WholeFee bool
	trying   bool // whatever the price is
}

// PreviewLife is how long a change can be made at the instant it was shown for.
const PreviewLife = 15 * time.Minute

// SwitchEffect is what a change of plan does besides the amounts.
type SwitchEffect struct {
	From, To     string            // names of the plans
	ToPrice      *model.PriceSheet // nil: free
	Terms        uint32            // its number
	At           time.Time
	Later        bool // at the end of the month
	Lower        bool // the new plan's fee is lower, or it is free
	WholeFee     bool // the old plan's fee is charged for the whole month
	QuotaCarried bool // what is used of the quota counts on; else the new one starts unused
	OldQuota     *model.Quota
	NewQuota     *model.Quota
}

// PlanChange is a change of plan that takes effect later.
type PlanChange struct {
	PlanID  string            `json:"planId"`
	Plan    string            `json:"plan"` // its name
	Price   *model.PriceSheet `json:"price,omitempty"`
	At      time.Time         `json:"at"`
	Problem string            `json:"problem,omitempty"` // why it was not made; empty: it will be
}

// switching is a change of plan with what the database says about both plans.
type switching struct {
	SwitchEffect
	id            uint64
	app, was      string // its app, and the plan that is left
	developer     string
	plan          string
	published     bool
	terms         uint32 // of the new plan
	wasPrice      *model.PriceSheet
	started       time.Time
	first         time.Time // when the customer began
	carriedLedger *int64    // of the quota that goes on; nil: it does not
}

// nextMonth is the first instant of the calendar month (UTC) after that of t.
func nextMonth(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
}

// readSwitch reads a change of an app's running subscription to a plan.
func (w *write) readSwitch(ctx context.Context, subscription uint64, planID string) (c switching, err error) {
	c.id, c.plan = subscription, planID
	var app *string
	var ledger int64
	var oldLimit, newLimit *int64
	var oldPeriod, newPeriod *string
	var oldOffset, newOffset *int
	err = w.QueryRow(ctx, `
		select s.app_id, coalesce(a.developer_id, ''), s.plan_id, p.name, ps.sheet, s.started_at, s.ledger_id, coalesce(s.first_at, least(s.started_at, o.started_at)),
			p.quota_limit, p.quota_period, p.quota_offset
		from subscription s join plan p using (tenant_id, plan_id)
		join subscription o on (o.tenant_id, o.subscription_id) = (s.tenant_id, s.ledger_id)
		left join app a on (a.tenant_id, a.app_id) = (s.tenant_id, s.app_id)
		left join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (s.tenant_id, s.terms)
		where s.tenant_id = $1 and s.subscription_id = $2 and s.ended_at is null`, w.tenant, int64(subscription)).
		Scan(&app, &c.developer, &c.was, &c.From, &c.wasPrice, &c.started, &ledger, &c.first, &oldLimit, &oldPeriod, &oldOffset)
	switch {
	case err != nil:
		return c, missing(err, "there is no running subscription %d", subscription)
	case app == nil:
		return c, model.Errorf(model.Conflict, "subscription %d is a key's own, not an app's; move the key instead", subscription)
	case c.was == planID:
		return c, model.Errorf(model.Conflict, "the app is subscribed to this plan already")
	}
	c.app = *app
	if err = w.QueryRow(ctx, `
		select p.name, p.published, coalesce(p.sheet_num, 0), ps.sheet, p.quota_limit, p.quota_period, p.quota_offset
		from plan p left join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (p.tenant_id, p.sheet_num)
		where p.tenant_id = $1 and p.plan_id = $2 and p.deleted_at is null`, w.tenant, planID).
		Scan(&c.To, &c.published, &c.terms, &c.ToPrice, &newLimit, &newPeriod, &newOffset); err != nil {
		return c, missing(err, "there is no plan %q", planID)
	}
	c.OldQuota, c.NewQuota = quotaOf(oldLimit, oldPeriod, oldOffset), quotaOf(newLimit, newPeriod, newOffset)
	if q := c.OldQuota; q != nil && c.NewQuota != nil && q.Period == c.NewQuota.Period && q.Offset == c.NewQuota.Offset {
		c.QuotaCarried, c.carriedLedger = true, &ledger
	}
	return c, nil
}

// payable refuses two prices that one invoice cannot add up.
func (c *switching) payable() error {
	if c.wasPrice != nil && c.ToPrice != nil && c.wasPrice.Currency != c.ToPrice.Currency {
		return model.Errorf(model.Conflict, "plan %q is priced in %s and %q in %s: end the subscription, and subscribe to the other plan", c.To, c.ToPrice.Currency, c.From, c.wasPrice.Currency)
	}
	return nil
}

// allow refuses a change that is not as it was shown, or that cannot be made. A developer
// (buying) goes to plans on the portal only.
func (w *write) allow(ctx context.Context, c *switching, s PlanSwitch, now time.Time, buying bool) error {
	if buying && !c.published {
		return model.Errorf(model.NotFound, "there is no plan %q", s.PlanID)
	}
	if err := c.when(s, now); err != nil {
		return err
	}
	if c.Later {
		if err := w.priceBy(ctx, c); err != nil {
			return err
		}
	}
	if c.terms != s.Terms && !s.trying {
		return model.Errorf(model.Conflict, "the price of plan %q changed meanwhile; look at the change again", c.To)
	}
	if err := c.payable(); err != nil {
		return err
	}
	c.Terms, c.Lower = c.terms, lowerFee(c.wasPrice, c.ToPrice)
	c.WholeFee = !c.Later && c.wasPrice != nil && (s.WholeFee || buying && c.Lower)
	if !buying {
		return nil
	}
	if c.ToPrice != nil {
		if err := w.cardFirst(ctx, c.developer); err != nil {
			return err
		}
	}
	if c.Later {
		return nil
	}
	return w.notLeftThisMonth(ctx, c)
}

// priceBy makes the new plan's price the one that it has when the change takes effect.
func (w *write) priceBy(ctx context.Context, c *switching) error {
	var terms uint32
	var sheet *model.PriceSheet
	err := w.QueryRow(ctx, `
		select c.sheet_num, ps.sheet from price_change c join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (c.tenant_id, c.sheet_num)
		where c.tenant_id = $1 and c.plan_id = $2 and c.at <= $3`, w.tenant, c.plan, c.At).Scan(&terms, &sheet)
	if err == pgx.ErrNoRows {
		return nil
	}
	c.terms, c.ToPrice = terms, sheet
	return err
}

// when is the instant of a change: the one that was shown, if that is not long ago.
func (c *switching) when(s PlanSwitch, now time.Time) error {
	end := nextMonth(now)
	switch {
	case s.At.Equal(end):
		c.At, c.Later = end, true
	case s.At.IsZero():
		c.At = now.Truncate(time.Second)
		if c.At.Before(c.started) {
			c.At = c.started
		}
	case s.At.After(now) || now.Sub(s.At) > PreviewLife || s.At.Before(c.started) || !nextMonth(s.At).Equal(end):
		return model.Errorf(model.Conflict, "the change was worked out for %s, which is too long ago or no longer fits; look at its lines again", s.At.UTC().Format("2 January 15:04:05"))
	default:
		c.At = s.At
	}
	c.At = c.At.UTC()
	return nil
}

// lowerFee reports that a plan costs less a month, before anything is used.
func lowerFee(was, now *model.PriceSheet) bool {
	if was == nil || was.MonthlyFee.Zero() {
		return false
	}
	return now == nil || was.MonthlyFee.More(now.MonthlyFee)
}

// notLeftThisMonth refuses to go back at once to a plan that was left in the same month:
// who goes to and fro would have all that both include as often as they like.
func (w *write) notLeftThisMonth(ctx context.Context, c *switching) error {
	var left bool
	err := w.QueryRow(ctx, `
		select exists (select from subscription s join app a using (tenant_id, app_id)
			where s.tenant_id = $1 and a.developer_id = $2 and s.plan_id = $3 and s.ended_at >= $4)`,
		w.tenant, c.developer, c.plan, nextMonth(c.At).AddDate(0, -1, 0)).Scan(&left)
	if err == nil && left {
		return model.Errorf(model.Conflict, "you left plan %q this month; you can go back to it with the next month", c.To)
	}
	return err
}

// cardFirst refuses a priced plan to a developer without a card, where the seller wants
// one and takes cards.
func (w *write) cardFirst(ctx context.Context, developer string) error {
	var needed bool
	err := w.QueryRow(ctx, `
		select coalesce((t.billing_rules->>'cardFirst')::boolean, false) and not exists (
				select from stripe_customer c where c.tenant_id = t.tenant_id and c.account = s.account and c.developer_id = $2 and c.method <> '')
		from tenant t join stripe_account s on s.tenant_id = t.tenant_id and s.disconnected_at is null and s.charges_enabled
		where t.tenant_id = $1`, w.tenant, developer).Scan(&needed)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err == nil && needed {
		return model.Errorf(model.Conflict, "plans with a price are paid by card here: save a card under Payment first")
	}
	return err
}

// switchNow ends a subscription and begins one to another plan with the same keys; no
// call falls between them.
func (w *write) switchNow(ctx context.Context, c *switching) (Subscription, error) {
	if _, err := w.Exec(ctx, `
		with dropped as (delete from plan_change where tenant_id = $1 and subscription_id = $2)
		update subscription set ended_at = $3, whole_fee = $4 where tenant_id = $1 and subscription_id = $2`,
		w.tenant, int64(c.id), c.At, c.WholeFee); err != nil {
		return Subscription{}, err
	}
	if err := w.changedKeysOf(ctx, c.id); err != nil {
		return Subscription{}, err
	}
	ledger := c.carriedLedger
	var left *int64
	if ledger == nil { // the quota that the developer left behind with the plan
		var err error
		if left, ledger, _, err = w.leftBehind(ctx, c.app, c.plan); err != nil {
			return Subscription{}, err
		}
	}
	s := Subscription{AppID: c.app, PlanID: c.plan, StartedAt: c.At}
	err := w.QueryRow(ctx, `
		insert into subscription (tenant_id, plan_id, terms, app_id, origin_id, follows_id, first_at, started_at)
		values ($1, $2, $3, $4, $5, $6, least($7::timestamptz, (`+customerSince+` and s.subscription_id = $9)), $8)
		returning subscription_id`, w.tenant, c.plan, c.terms, c.app, ledger, int64(c.id), c.first, c.At, left).Scan(&s.ID)
	if err != nil {
		return s, err
	}
	if err := w.keepSpendLimit(ctx, c.id, s.ID); err != nil {
		return s, err
	}
	if _, err := w.Exec(ctx, `
		insert into subscription_key (tenant_id, subscription_id, key_num)
		select sk.tenant_id, $3, sk.key_num from subscription_key sk join api_key k using (tenant_id, key_num)
		where sk.tenant_id = $1 and sk.subscription_id = $2 and k.deleted_at is null`, w.tenant, int64(c.id), s.ID); err != nil {
		return s, err
	}
	return s, w.onePlanPerStage(ctx, c.plan, 0)
}

// doSwitch makes a change, or notes it for later.
func (w *write) doSwitch(ctx context.Context, s PlanSwitch, now time.Time, buying bool, action string) (c switching, err error) {
	if c, err = w.readSwitch(ctx, s.Subscription, s.PlanID); err != nil {
		return c, err
	}
	if err := w.allow(ctx, &c, s, now, buying); err != nil {
		return c, err
	}
	detail := map[string]any{"from": c.was, "to": c.plan, "at": c.At.Format(time.RFC3339)}
	if c.Later {
		if _, err := w.Exec(ctx, `
			insert into plan_change (tenant_id, subscription_id, plan_id, terms, at, asked_by) values ($1, $2, $3, $4, $5, $6)
			on conflict (tenant_id, subscription_id) do update set
				plan_id = excluded.plan_id, terms = excluded.terms, at = excluded.at, asked_by = excluded.asked_by, asked_at = now(), problem = ''`,
			w.tenant, int64(c.id), c.plan, c.terms, c.At, w.actor.Member); err != nil {
			return c, err
		}
		return c, w.audit(ctx, action+"-later", c.app, detail)
	}
	next, err := w.switchNow(ctx, &c)
	if err != nil {
		return c, err
	}
	detail["subscription"] = next.ID
	return c, w.audit(ctx, action, c.app, detail)
}

// TrySwitch is a change of plan, now or at its time, to be made in a transaction that is
// undone: whoever reads the books in it sees what the change comes to. What it does
// besides is put into effect.
func (p *Plane) TrySwitch(actor Actor, s PlanSwitch, effect *SwitchEffect) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		w := &write{Tx: tx, actor: actor, tenant: actor.Tenant}
		s.trying = true
		buying := actor.Role == RoleCustomer
		if buying {
			if _, _, err := w.ownSubscription(ctx, s.Subscription); err != nil {
				return err
			}
		} else if err := actor.May(ToSell); err != nil {
			return err
		}
		c, err := w.readSwitch(ctx, s.Subscription, s.PlanID)
		if err == nil {
			err = w.allow(ctx, &c, s, p.now(), buying)
		}
		if err == nil {
			_, err = w.switchNow(ctx, &c)
		}
		*effect = c.SwitchEffect
		return translate(err)
	}
}

// ChangeAppPlan moves a subscription of the actor's to another plan on the portal, with
// its keys: at once, or at the end of the month.
func (p *Plane) ChangeAppPlan(ctx context.Context, actor Actor, s PlanSwitch) error {
	return p.buy(ctx, actor, func(w *write) error {
		if _, _, err := w.ownSubscription(ctx, s.Subscription); err != nil {
			return err
		}
		_, err := w.doSwitch(ctx, s, p.now(), true, "app.plan")
		return err
	})
}

// MoveSubscription moves a developer's subscription to another plan in the developer's
// stead, who is written to: at once, or at the end of the month.
func (p *Plane) MoveSubscription(ctx context.Context, actor Actor, s PlanSwitch) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		c, err := w.doSwitch(ctx, s, p.now(), false, "subscription.plan")
		if err != nil {
			return err
		}
		when := "now"
		if c.Later {
			when = "with " + c.At.Format("2 January 2006") + ", 00:00 UTC; you can take that back in the portal until then"
		}
		return p.tellDeveloper(ctx, w, c.developer, "Your plan changes to "+c.To,
			fmt.Sprintf("your app's subscription to plan %s goes over to plan %s %s. Your keys stay as they are.", c.From, c.To, when))
	})
	return err
}

// tellDeveloper writes to a developer in the account's name.
func (p *Plane) tellDeveloper(ctx context.Context, w *write, developer, subject, text string) error {
	var to, seller string
	err := w.QueryRow(ctx, `
		select coalesce(nullif(d.billing->>'email', ''), d.email), coalesce(nullif(t.seller->>'name', ''), t.name)
		from developer d join tenant t using (tenant_id) where d.tenant_id = $1 and d.developer_id = $2`, w.tenant, developer).Scan(&to, &seller)
	if err != nil {
		return err
	}
	return p.post(ctx, w, w.tenant, to, "plan", subject, seller+" writes: "+text+"\n")
}

// KeepAppPlan takes back a change of the actor's that has not taken effect yet.
func (p *Plane) KeepAppPlan(ctx context.Context, actor Actor, subscription uint64) error {
	return p.buy(ctx, actor, func(w *write) error {
		app, _, err := w.ownSubscription(ctx, subscription)
		if err != nil {
			return err
		}
		return w.dropChange(ctx, subscription, "app.plan-kept", app)
	})
}

// KeepPlan is KeepAppPlan in the developer's stead.
func (p *Plane) KeepPlan(ctx context.Context, actor Actor, subscription uint64) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		var app string
		if err := w.QueryRow(ctx, `
			select app_id from subscription where tenant_id = $1 and subscription_id = $2 and ended_at is null and app_id is not null`,
			w.tenant, int64(subscription)).Scan(&app); err != nil {
			return missing(err, "there is no running subscription %d of an app", subscription)
		}
		return w.dropChange(ctx, subscription, "subscription.plan-kept", app)
	})
	return err
}

func (w *write) dropChange(ctx context.Context, subscription uint64, action, app string) error {
	var plan string
	err := w.QueryRow(ctx, `delete from plan_change where tenant_id = $1 and subscription_id = $2 returning plan_id`, w.tenant, int64(subscription)).Scan(&plan)
	if err != nil {
		return missing(err, "subscription %d has no change ahead", subscription)
	}
	return w.audit(ctx, action, app, map[string]any{"plan": plan})
}

// ChangePlans makes the changes of plans and prices whose time has come, each at the
// instant it was agreed for. A change of plan that cannot be made says why, and is not
// tried again.
func (p *Plane) ChangePlans(ctx context.Context) error {
	type due struct {
		tenant       uint32
		subscription uint64
	}
	var all []due
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select tenant_id, subscription_id from plan_change where problem = '' and at <= $1 order by at, tenant_id, subscription_id limit 10000`, p.now())
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (d due, err error) { return d, r.Scan(&d.tenant, &d.subscription) })
		return err
	})
	if err != nil {
		return err
	}
	var troubles error
	for _, d := range all {
		err := p.changePlan(ctx, d.tenant, d.subscription)
		if k := model.KindOf(err); k != "" && k != model.Unavailable {
			err = p.refuseChange(ctx, d.tenant, d.subscription, model.MessageOf(err))
		}
		troubles = errors.Join(troubles, err)
	}
	return errors.Join(troubles, p.changePrices(ctx))
}

func (p *Plane) changePlan(ctx context.Context, tenant uint32, subscription uint64) error {
	a := system(Actor{Tenant: tenant})
	_, err := p.writeTo(ctx, a, a.scope(), "", func(w *write) error {
		var plan string
		var terms uint32
		var at time.Time
		err := w.QueryRow(ctx, `
			select plan_id, terms, at from plan_change where tenant_id = $1 and subscription_id = $2 and problem = '' and at <= $3`,
			w.tenant, int64(subscription), p.now()).Scan(&plan, &terms, &at)
		if err == pgx.ErrNoRows {
			return nil // taken back meanwhile
		}
		if err != nil {
			return err
		}
		c, err := w.readSwitch(ctx, subscription, plan)
		if err != nil {
			return err
		}
		c.terms, c.At, c.ToPrice = terms, at.UTC(), nil
		if c.At.Before(c.started) { // a price went on meanwhile
			c.At = c.started
		}
		if terms != 0 { // what was agreed, whatever the plan's price is by now
			if err := w.QueryRow(ctx, `select sheet from price_sheet where tenant_id = $1 and sheet_num = $2`, w.tenant, terms).Scan(&c.ToPrice); err != nil {
				return err
			}
		}
		if err := c.payable(); err != nil {
			return err
		}
		s, err := w.switchNow(ctx, &c)
		if err != nil {
			return err
		}
		return w.audit(ctx, "subscription.plan", c.app, map[string]any{"from": c.was, "to": c.plan, "at": c.At.Format(time.RFC3339), "subscription": s.ID})
	})
	return err
}

// refuseChange keeps why a change could not be made, and tells its developer.
func (p *Plane) refuseChange(ctx context.Context, tenant uint32, subscription uint64, why string) error {
	a := system(Actor{Tenant: tenant})
	_, err := p.writeTo(ctx, a, a.scope(), "", func(w *write) error {
		var developer, plan string
		err := w.QueryRow(ctx, `
			with refused as (
				update plan_change set problem = $3 where tenant_id = $1 and subscription_id = $2 and problem = '' returning subscription_id)
			select a.developer_id, p.name from refused join subscription s on (s.tenant_id, s.subscription_id) = ($1, refused.subscription_id)
			join app a using (tenant_id, app_id) join plan p using (tenant_id, plan_id)`, tenant, int64(subscription), why).Scan(&developer, &plan)
		if err == pgx.ErrNoRows {
			return nil
		}
		if err != nil {
			return err
		}
		return p.tellDeveloper(ctx, w, developer, "Your plan has not changed", fmt.Sprintf("the change of plan that was to come could not be made: %s. Your app stays with plan %s.", why, plan))
	})
	return err
}
