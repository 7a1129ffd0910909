package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// Spend is what a running subscription's month costs so far, by the usage that is in, and
// what bounds it. Amounts are net, in minor units, before what a coupon of the customer
// takes off.
type Spend struct {
	Subscription uint64
	Ledger       uint64
	Plan, App    string // their names
	Month        time.Time
	Currency     string
	Digits       int
	Spent        int64
	Capped       bool // Cap is one
	Cap          int64
	Prepaid      bool
	Purse        int64 // prepaid: what the month may cost while the wallet reaches for it
	Alert        int64 // the amount its developer wants to be told of; 0: what bounds it
	Reached      bool  // no further call is let in
}

// Bound is the least that bounds it; ok is false where nothing does.
func (s *Spend) Bound() (amount int64, ok bool) {
	switch {
	case s.Capped && s.Prepaid:
		return min(s.Cap, s.Purse), true
	case s.Prepaid:
		return s.Purse, true
	}
	return s.Cap, s.Capped
}

// Percent is how much of an amount is spent, whole percents, rounded down; it is 100 where
// no further call is let in, and of what bounds it.
func (s *Spend) Percent() int {
	of, ok := s.Bound()
	if s.Alert > 0 {
		of, ok = s.Alert, true
	} else if s.Reached {
		return 100
	}
	if !ok {
		return 0
	}
	return percentSpent(s.Spent, of)
}

func percentSpent(spent, of int64) int {
	if of <= 0 || spent >= of {
		return 100
	}
	return int(new(big.Int).Quo(new(big.Int).Mul(big.NewInt(max(spent, 0)), big.NewInt(100)), big.NewInt(of)).Int64())
}

// Spends are those of a developer's running subscriptions at a price, this month.
func (b *Billing) Spends(ctx context.Context, s Scope) (out []Spend, err error) {
	if s.Tenant == 0 || s.Developer == "" {
		return nil, model.Errorf(model.Invalid, "what is spent is asked for one developer at a time")
	}
	err = b.read(ctx, Scope{Tenant: s.Tenant}, func(tx pgx.Tx) error {
		out, err = b.spends(ctx, tx, s)
		return err
	})
	return out, err
}

func (b *Billing) spends(ctx context.Context, tx pgx.Tx, s Scope) ([]Spend, error) {
	month, _ := rate.Month(b.now())
	p := payerMonth{s.Tenant, s.Developer, month}
	bounds, err := boundsOf(ctx, tx, p, false)
	if err != nil {
		return nil, err
	}
	q := question{tenant: p.tenant, seller: BySeller, developer: p.developer, month: month, gen: everything}
	used, err := uses(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	if err := tried(ctx, tx, q, used); err != nil {
		return nil, err
	}
	spent, of := map[uint64]int64{}, map[uint64]*use{}
	for i := range used {
		lines, err := rate.Lines(used[i].sheet, used[i].Use)
		if err != nil {
			return nil, err
		}
		spent[used[i].subscription] = rate.Total(lines)
		of[used[i].subscription] = &used[i]
	}
	rows, err := tx.Query(ctx, `
		select s.subscription_id, s.ledger_id, p.name, a.name, p.prepaid,
			coalesce(trim_scale(coalesce(l.cap, p.spend_cap, p.spend_max))::text, ''), coalesce(trim_scale(l.alert)::text, ''),
			coalesce(w.most <= (select sum(used) from quota_lease x where (x.tenant_id, x.subscription_id, x.kind, x.window_start) = (w.tenant_id, w.subscription_id, 1, w.window_start)), false),
			(select array_agg(o.subscription_id) from subscription o where (o.tenant_id, o.ledger_id) = (s.tenant_id, s.ledger_id))
		from subscription s join app a using (tenant_id, app_id) join plan p using (tenant_id, plan_id)
		left join spend_limit l on (l.tenant_id, l.subscription_id) = (s.tenant_id, s.ledger_id)
		left join quota_window w on (w.tenant_id, w.subscription_id, w.kind, w.window_start) = (s.tenant_id, s.ledger_id, 1, $3)
		where s.tenant_id = $1 and a.developer_id = $2 and s.ended_at is null and s.terms <> 0 order by a.name, p.name, s.subscription_id`, p.tenant, p.developer, month)
	if err != nil {
		return nil, err
	}
	var caps, alerts []model.Decimal
	var all [][]int64
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (sp Spend, err error) {
		var limit, alert model.Decimal
		var subs []int64
		sp.Month = month
		err = r.Scan(&sp.Subscription, &sp.Ledger, &sp.Plan, &sp.App, &sp.Prepaid, &limit, &alert, &sp.Reached, &subs)
		caps, alerts, all = append(caps, limit), append(alerts, alert), append(all, subs)
		return sp, err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		sp := &out[i]
		run := of[sp.Subscription]
		if run == nil {
			continue
		}
		sp.Currency = run.sheet.Currency
		sp.Digits, _ = model.MinorDigits(sp.Currency)
		bd := &bound{ledger: sp.Ledger, running: sp.Subscription}
		for _, id := range all[i] {
			sp.Spent += spent[uint64(id)]
			bd.subs = append(bd.subs, uint64(id))
		}
		if sp.Capped = caps[i] != ""; sp.Capped {
			if sp.Cap, err = rate.Floor(caps[i], sp.Currency); err != nil {
				return nil, err
			}
		}
		if sp.Alert, err = rate.Floor(alerts[i], sp.Currency); err != nil {
			return nil, err
		}
		if sp.Prepaid {
			if sp.Purse, err = b.purse(ctx, tx, p, bd, run, used, bounds); err != nil {
				return nil, err
			}
			sp.Purse = max(sp.Purse, 0)
		}
	}
	return slices.DeleteFunc(out, func(s Spend) bool { return s.Currency == "" }), nil
}

// thresholds are at what part of an amount somebody is told.
var thresholds = []int{50, 75, 100}

// spendArgs asks for the mails about what is spent.
type spendArgs struct{}

// Kind names the job in the queue.
func (spendArgs) Kind() string { return "billing_spend" }

// Alert tells developers how much of their caps, wallets and of what they set is spent, and
// tenants of their own bills: once at each threshold of a month. One account's trouble does
// not keep the others from being told.
func (b *Billing) Alert(ctx context.Context) error {
	if b.mail == nil {
		return nil
	}
	var all []Scope
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select distinct s.tenant_id, a.developer_id from subscription s join app a using (tenant_id, app_id) join plan p using (tenant_id, plan_id)
			left join spend_limit l on (l.tenant_id, l.subscription_id) = (s.tenant_id, s.ledger_id)
			where s.ended_at is null and s.terms <> 0 and (p.prepaid or l.alert is not null or coalesce(l.cap, p.spend_cap, p.spend_max) is not null)
			union all select tenant_id, '' from tenant where spend_alert is not null order by 1, 2`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Scope, err error) { return s, r.Scan(&s.Tenant, &s.Developer) })
		return err
	})
	for _, s := range all {
		e := b.in(ctx, Scope{Tenant: s.Tenant}, pgx.TxOptions{}, func(tx pgx.Tx) error {
			if s.Developer == "" {
				return b.alertTenant(ctx, tx, s.Tenant)
			}
			return b.alertDeveloper(ctx, tx, s)
		})
		if e != nil {
			err = errors.Join(err, fmt.Errorf("spend alerts of tenant %d, developer %q: %w", s.Tenant, s.Developer, e))
		}
	}
	return err
}

// crossed notes the thresholds up to a percentage, and is the highest that is new; 0: none.
func crossed(ctx context.Context, tx pgx.Tx, s Scope, ledger uint64, month time.Time, percent int, spent int64) (highest int, err error) {
	for _, t := range thresholds {
		if percent < t {
			break
		}
		tag, err := tx.Exec(ctx, `
			insert into spend_alert (tenant_id, developer_id, subscription_id, month, percent, spent) values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
			s.Tenant, s.Developer, int64(ledger), month, t, spent)
		if err != nil {
			return 0, err
		}
		if tag.RowsAffected() > 0 {
			highest = t
		}
	}
	return highest, nil
}

func (b *Billing) alertDeveloper(ctx context.Context, tx pgx.Tx, s Scope) error {
	all, err := b.spends(ctx, tx, s)
	if err != nil {
		return err
	}
	for i := range all {
		sp := &all[i]
		amount, bounded := sp.Bound()
		if !bounded && sp.Alert == 0 {
			continue
		}
		at, err := crossed(ctx, tx, s, sp.Ledger, sp.Month, sp.Percent(), sp.Spent)
		if err != nil {
			return err
		}
		if at == 0 {
			continue
		}
		if err := b.tellSpend(ctx, tx, s, sp, at, amount); err != nil {
			return err
		}
	}
	return nil
}

// tellSpend writes to a developer that a threshold is passed.
func (b *Billing) tellSpend(ctx context.Context, tx pgx.Tx, s Scope, sp *Spend, at int, amount int64) error {
	var to, from, email string
	err := tx.QueryRow(ctx, `
		select d.email, coalesce(nullif(t.seller->>'name', ''), t.name), coalesce(nullif(t.seller->>'email', ''), t.email) from developer d join tenant t using (tenant_id) where d.tenant_id = $1 and d.developer_id = $2`,
		s.Tenant, s.Developer).Scan(&to, &from, &email)
	if err != nil {
		return err
	}
	what := map[bool]string{true: "prepaid balance", false: "spend cap"}[sp.Prepaid && (!sp.Capped || sp.Purse < sp.Cap)]
	if sp.Alert > 0 {
		what, amount = "amount you wanted to be told of", sp.Alert
	}
	text := []string{fmt.Sprintf("%s of %s has cost %s in %s, before tax: %d %% of the %s, %s.",
		sp.Plan, sp.App, amountText(sp.Spent, sp.Currency), MonthText(sp.Month), sp.Percent(), what, amountText(amount, sp.Currency))}
	switch {
	case sp.Reached && what == "prepaid balance":
		text = append(text, "Calls are refused until you top it up.")
	case sp.Reached:
		text = append(text, "Calls are refused until you raise it, or until the month ends (UTC).")
	case at == 100 && sp.Alert > 0:
		text = append(text, "Calls go on.")
	}
	text = append(text, "You are told of each month once at half, three quarters and all of it. On the portal, the page of the app has it.", "Questions? Write to "+email+" .")
	subject := fmt.Sprintf("%d %% of the %s is spent on %s", at, what, sp.Plan)
	if sp.Alert > 0 {
		subject = fmt.Sprintf("%d %% of %s is spent on %s", at, amountText(amount, sp.Currency), sp.Plan)
	}
	return b.mail(ctx, tx, Letter{Tenant: s.Tenant, To: to, Purpose: "spend alert", Subject: subject + " at " + from, Text: strings.Join(text, "\n\n") + "\n"})
}

func (b *Billing) alertTenant(ctx context.Context, tx pgx.Tx, tenant uint32) error {
	month, _ := rate.Month(b.now())
	q := question{tenant: tenant, seller: ByOperator, month: month, gen: everything}
	used, err := uses(ctx, tx, q)
	if err != nil || len(used) == 0 {
		return err
	}
	var alert model.Decimal
	var to string
	if err := tx.QueryRow(ctx, `select coalesce(trim_scale(spend_alert)::text, ''), email from tenant where tenant_id = $1`, tenant).Scan(&alert, &to); err != nil {
		return err
	}
	if err := tried(ctx, tx, q, used); err != nil {
		return err
	}
	u := &used[0]
	lines, err := rate.Lines(u.sheet, u.Use)
	if err != nil {
		return err
	}
	amount, err := rate.Floor(alert, u.sheet.Currency)
	if err != nil {
		return err
	}
	spent := rate.Total(lines)
	percent := percentSpent(spent, amount)
	at, err := crossed(ctx, tx, Scope{Tenant: tenant}, 0, month, percent, spent)
	if err != nil || at == 0 {
		return err
	}
	return b.mail(ctx, tx, Letter{Tenant: tenant, To: cmp.Or(u.to.Email, to), Purpose: "spend alert", Subject: fmt.Sprintf("%d %% of the amount you wanted to be told of is spent", at),
		Text: strings.Join([]string{fmt.Sprintf("Your account has cost %s in %s, before tax: %d %% of the amount you wanted to be told of, %s. Calls go on.",
			amountText(spent, u.sheet.Currency), MonthText(month), percent, amountText(amount, u.sheet.Currency)),
			"You are told of each month once at half, three quarters and all of it. In the console, the page of your bill has it."}, "\n\n") + "\n"})
}
