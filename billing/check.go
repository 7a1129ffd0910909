package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/intake"
	"tollgate/billing/rate"
	"tollgate/model"
)

// Bounds of one run of the checks: the newest are looked at.
const (
	checkedMonths   = 2
	checkedDays     = 62
	checkedPayers   = 500
	checkedInvoices = 100
	shownProblems   = 5
)

// checks are the invariants that are looked at while the program runs; the fault tests
// show the others, and these too. They only read.
var checks = []struct {
	name, title, rule string
	run               func(context.Context, *Billing, *model.Check) error
}{
	{"I2", "Batches", "Nodes' batches are there without a gap, as many calls as they say", checkBatches},
	{"I3", "Usage", "What batches brought is what usage has", checkUsage},
	{"I4", "Roll-ups", "Calls by hour and by day are the same, in all and on each day of each account", checkRollups},
	{"I5", "Rated usage", "All usage up to an invoice's cut is on the payer's invoices of that month", checkRated},
	{"I6", "Replay", "An invoice rated anew by its cut is the same", checkReplay},
	{"I7", "Totals", "An invoice's lines and tax are its total, and credit notes are no more than that", checkTotals},
	{"I8", "Stripe", "Every invoice that Stripe collects is there as it is here", checkStripe},
	{"I9", "Numbers", "Numbers of invoices and credit notes have no gap", checkNumbers},
	{"I10", "Prepaid credit", "Every transaction of the ledger comes to nothing, and wallets hold what it says: never less than nothing, never more than was put in", checkLedger},
	{"I11", "Meters", "Where usage is mirrored to Stripe, a customer's hour there is what it is here", checkMeters},
	{"I12", "Quotas", "Calls that drew on a lease are no more than it has, all leases what was given out, and that no more than the quota", checkQuotas},
	{"I13", "Owners", "Usage that is to be paid for belongs to a subscription", checkOwners},
	{"I14", "Accounts", "What is on a tenant's Stripe account is that tenant's", checkAccounts},
	{"I16", "Events", "Events of Stripe are worked on within 15 minutes", checkEvents},
	{"I17", "Caps", "A month costs no more than its spend cap, but for what the cap could not bound", checkCaps},
}

func figure(c *model.Check, name string, n int64) {
	c.Figures = append(c.Figures, model.CheckFigure{Name: name, N: n})
}

// wrong counts what does not hold and keeps the first few.
func wrong(c *model.Check, format string, a ...any) {
	c.Wrong++
	if len(c.Problems) < shownProblems {
		c.Problems = append(c.Problems, fmt.Sprintf(format, a...))
	}
}

// Check runs all checks and keeps what they found. One that cannot run leaves what it
// found before, which then grows old.
func (b *Billing) Check(ctx context.Context) error {
	var all error
	for _, k := range checks {
		c := model.Check{Figures: []model.CheckFigure{}, Problems: []string{}}
		if err := k.run(ctx, b, &c); err != nil {
			all = errors.Join(all, fmt.Errorf("check %s: %w", k.name, err))
			continue
		}
		if c.Wrong > 0 {
			b.log.Error("the books do not hold", "check", k.name, "rule", k.rule, "wrong", c.Wrong, "such as", c.Problems)
		}
		_, err := b.pool.Exec(ctx, `
			insert into book_check (name, ran_at, figures, wrong, problems) values ($1, $2, $3, $4, $5)
			on conflict (name) do update set ran_at = excluded.ran_at, figures = excluded.figures, wrong = excluded.wrong, problems = excluded.problems`,
			k.name, b.now(), c.Figures, c.Wrong, c.Problems)
		all = errors.Join(all, err)
	}
	return all
}

// CheckSoon has the books checked by the next worker that is free.
func (b *Billing) CheckSoon(ctx context.Context) error {
	return b.in(ctx, Operator, pgx.TxOptions{}, func(tx pgx.Tx) error { return later(ctx, tx, checkArgs{}) })
}

// Checks are what was found last, in order; RanAt is zero of those that never ran.
func (b *Billing) Checks(ctx context.Context) ([]model.Check, error) {
	out := make([]model.Check, len(checks))
	at := map[string]*model.Check{}
	for i, k := range checks {
		out[i] = model.Check{Name: k.name, Title: k.title, Rule: k.rule}
		at[k.name] = &out[i]
	}
	rows, err := b.pool.Query(ctx, `select name, ran_at, figures, wrong, problems from book_check`)
	if err != nil {
		return nil, err
	}
	var c model.Check
	_, err = pgx.ForEachRow(rows, []any{&c.Name, &c.RanAt, &c.Figures, &c.Wrong, &c.Problems}, func() error {
		if o := at[c.Name]; o != nil {
			o.RanAt, o.Figures, o.Wrong, o.Problems = c.RanAt.UTC(), c.Figures, c.Wrong, c.Problems
		}
		c.Figures, c.Problems = nil, nil
		return nil
	})
	return out, err
}

func (b *Billing) balance(ctx context.Context) (intake.Balance, error) {
	return intake.New(intake.Options{Pool: b.pool, Log: b.log, Now: b.now}).Reconcile(ctx)
}

func checkBatches(ctx context.Context, b *Billing, c *model.Check) error {
	x, err := b.balance(ctx)
	figure(c, "starts of nodes", x.Boots)
	figure(c, "batches", x.Batches)
	figure(c, "set aside", x.Quarantined)
	if x.Ahead > 0 {
		figure(c, "calls of a time to come, counted in the hour they came in: a node's clock is or was ahead", x.Ahead)
	}
	var missing int64
	for _, g := range x.Gaps {
		missing += g.Calls
		wrong(c, "of node start %s batches up to %d are in, and %d is known of: its node has the others, or they are lost", g.Boot, g.Contiguous, g.Highest)
	}
	for _, w := range x.Wrong {
		wrong(c, "the account of node start %s is not the sum of its batches", w)
	}
	if len(x.Gaps) > 0 {
		figure(c, "calls missing, by the average of their nodes; whose they are is not known, so they have no value", missing)
	}
	if err != nil || x.Quarantined == 0 {
		return err
	}
	return b.setAside(ctx, c)
}

func checkUsage(ctx context.Context, b *Billing, c *model.Check) error {
	x, err := b.balance(ctx)
	figure(c, "calls in batches", x.Calls)
	figure(c, "calls in usage", x.Lines+x.Hours)
	if x.Calls != x.Lines+x.Hours {
		wrong(c, "batches brought %d calls, and usage has %d", x.Calls, x.Lines+x.Hours)
	}
	return err
}

func checkRollups(ctx context.Context, b *Billing, c *model.Check) error {
	x, err := b.balance(ctx)
	figure(c, "calls by hour", x.Hours)
	figure(c, "calls by day", x.Days)
	if x.Hours != x.Days {
		wrong(c, "%d calls by hour, %d by day", x.Hours, x.Days)
	}
	if err != nil {
		return err
	}
	// Sums may agree while an account has what is another's: each day of each, of late.
	return b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			with h as (select tenant_id, date_trunc('day', hour, 'UTC') as day, flags & 1 as paid, sum(calls) as calls, sum(bytes_out) as bytes from usage_hour where hour >= $1 group by 1, 2, 3),
			d as (select tenant_id, day, flags & 1 as paid, sum(calls) as calls, sum(bytes_out) as bytes from usage_day where day >= $1 group by 1, 2, 3)
			select coalesce(t.account_id, 'nobody'), day, coalesce(h.calls, 0)::bigint, coalesce(d.calls, 0)::bigint, count(*) over ()
			from h full join d using (tenant_id, day, paid) left join tenant t using (tenant_id)
			where (h.calls, h.bytes) is distinct from (d.calls, d.bytes) order by day desc limit $2`, b.now().AddDate(0, 0, -checkedDays).Truncate(24*time.Hour), shownProblems)
		if err != nil {
			return err
		}
		var account string
		var day time.Time
		var hours, days, all int64
		_, err = pgx.ForEachRow(rows, []any{&account, &day, &hours, &days, &all}, func() error {
			wrong(c, "account %s on %s: %d calls by hour, %d by day, or other bytes", account, day.UTC().Format(time.DateOnly), hours, days)
			return nil
		})
		c.Wrong = max(c.Wrong, all)
		return err
	})
}

// checkRated rates what was in at each payer's newest cut, and compares it with the sum
// of its invoices.
func checkRated(ctx context.Context, b *Billing, c *model.Check) error {
	var payers, lines int64
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		from, _ := rate.Month(b.now())
		rows, err := tx.Query(ctx, `
			select tenant_id, seller, coalesce(developer_id, ''), period_start, max(cut) from invoice
			where state = 'final' and kind <> 'top-up' and period_start >= $1 group by 1, 2, 3, 4 order by max(finalized_at) desc limit $2`, from.AddDate(0, 1-checkedMonths, 0), checkedPayers)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (q question, err error) {
			err = r.Scan(&q.tenant, &q.seller, &q.developer, &q.month, &q.gen)
			q.month = q.month.UTC()
			return q, err
		})
		if err != nil {
			return err
		}
		payers = int64(len(all))
		for _, q := range all {
			used, err := uses(ctx, tx, q)
			if err != nil {
				return err
			}
			if err := tried(ctx, tx, q, used); err != nil {
				return err
			}
			for _, u := range used {
				if u.sheet == nil {
					continue
				}
				rated, err := rate.Lines(u.sheet, u.Use)
				if err != nil {
					return err
				}
				for _, l := range rated {
					if !model.Journaled(l.Meter) {
						continue
					}
					lines++
					if was := u.was[l.Meter]; was.Amount != l.Amount { // usage that costs nothing may be on none
						wrong(c, "account %d, %s, subscription %d: %d %s cost %d minor units, and %d for %d are on invoices",
							q.tenant, MonthText(q.month), u.subscription, l.Quantity, l.Meter, l.Amount, was.Quantity, was.Amount)
					}
				}
			}
		}
		return nil
	})
	figure(c, "payers and months", payers)
	figure(c, "meters", lines)
	if err != nil {
		return err
	}
	return b.waiting(ctx, c)
}

// waiting says what was used in months that are over and is on drafts alone, what came in
// late among it.
func (b *Billing) waiting(ctx context.Context, c *model.Check) error {
	return b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select currency, count(*), count(*) filter (where exists (select from invoice f where f.state = 'final' and f.kind <> 'top-up'
					and (f.tenant_id, f.seller, f.period_start) = (i.tenant_id, i.seller, i.period_start) and f.developer_id is not distinct from i.developer_id)), sum(total)::bigint
			from invoice i where state = 'draft' and period_end <= $1 group by 1 order by 1`, b.now())
		if err != nil {
			return err
		}
		var currency string
		var n, late, minor, drafts, lateDrafts int64
		worth := map[string]int64{}
		_, err = pgx.ForEachRow(rows, []any{&currency, &n, &late, &minor}, func() error {
			drafts, lateDrafts = drafts+n, lateDrafts+late
			worth[currency] = minor
			return nil
		})
		figure(c, "drafts of months that are over", drafts)
		figure(c, "of them for what came in late, after the payer's invoice", lateDrafts)
		for _, s := range byCurrency(worth) {
			figure(c, "minor units of "+s.Currency+" on those drafts", s.Minor)
		}
		return err
	})
}

func checkReplay(ctx context.Context, b *Billing, c *model.Check) error {
	var ids, numbers []string
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		// The newest half, and others by lot.
		rows, err := tx.Query(ctx, `
			(select invoice_id, number from invoice where state = 'final' and kind <> 'top-up' order by finalized_at desc limit $1)
			union (select invoice_id, number from invoice where state = 'final' and kind <> 'top-up' order by random() limit $1)`, checkedInvoices/2)
		if err != nil {
			return err
		}
		var id, number string
		_, err = pgx.ForEachRow(rows, []any{&id, &number}, func() error {
			ids, numbers = append(ids, id), append(numbers, number)
			return nil
		})
		return err
	})
	for i, id := range ids {
		different, e := b.replay(ctx, id)
		err = errors.Join(err, e)
		for _, d := range different {
			wrong(c, "%s: %s", numbers[i], d)
		}
	}
	figure(c, "invoices", int64(len(ids)))
	return err
}

// found is a check whose wrong rows a statement gives as texts, of all that another counts.
func found(ctx context.Context, b *Billing, c *model.Check, what, count, rows string, args ...any) error {
	return b.read(ctx, Operator, func(tx pgx.Tx) error {
		var n int64
		if err := tx.QueryRow(ctx, count).Scan(&n); err != nil {
			return err
		}
		figure(c, what, n)
		r, err := tx.Query(ctx, rows, args...)
		if err != nil {
			return err
		}
		texts, err := pgx.CollectRows(r, pgx.RowTo[string])
		c.Wrong = int64(len(texts))
		c.Problems = append(c.Problems, slices.Clip(texts[:min(len(texts), shownProblems)])...)
		return err
	})
}

func checkTotals(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "invoices", `select count(*) from invoice where state = 'final'`, `
		select i.number || ' of account ' || t.account_id || ': its total is ' || i.total || ', its lines come to ' || coalesce(l.net, 0) || ' with ' || i.tax || ' of tax, credit notes to ' || coalesce(n.credited, 0)
		from invoice i join tenant t using (tenant_id)
		left join (select tenant_id, invoice_id, sum(amount) as net, sum(tax) as tax from invoice_line group by 1, 2) l using (tenant_id, invoice_id)
		left join (select tenant_id, invoice_id, sum(amount) as credited from credit_note group by 1, 2) n using (tenant_id, invoice_id)
		where i.state = 'final' and (i.total <> coalesce(l.net, 0) + i.tax or i.tax <> coalesce(l.tax, 0) or coalesce(n.credited, 0) > greatest(i.total, 0))
		order by i.finalized_at desc limit 10000`)
}

func checkStripe(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "invoices", `select count(*) from psp_object where kind = 'invoice'`, `
		select i.number || ' of account ' || t.account_id || case when p.problem <> '' then ': ' || p.problem
			else ' is ' || c.state || ' here and ' || p.state || ' at Stripe' end
		from psp_object p join invoice i on i.tenant_id = p.tenant_id and i.invoice_id = p.local_id join tenant t on t.tenant_id = p.tenant_id
		join collection c on c.tenant_id = p.tenant_id and c.invoice_id = p.local_id
		where p.kind = 'invoice' and (p.problem <> '' or p.updated_at < $1 and (c.state = 'paid' and p.state in ('draft', 'open') or c.state in ('open', 'past_due') and p.state = 'paid'))
		order by p.updated_at desc limit 10000`, b.now().Add(-15*time.Minute))
}

func checkNumbers(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "series", `select count(*) from invoice_series`, `
		select 'series ' || series || ' has ' || count(*) || ' numbers up to ' || max(serial) from (
			select series, serial from invoice where serial is not null union all select series, serial from credit_note) x
		group by series having count(*) <> max(serial) order by 1 limit 10000`)
}

// checkLedger adds up what the database keeps as it goes, and compares it with the
// payments of invoices that it stands for.
func checkLedger(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "transactions", `select count(*) from ledger_transaction`, `
		with e as (
			select tenant_id, wallet_id, transaction_id, sum(amount) as off, count(*) as sides from ledger_entry group by 1, 2, 3),
		w as (
			select w.tenant_id, w.wallet_id, w.currency, w.balance, w.owed, coalesce(sum(x.amount) filter (where x.account = 'credit'), 0) as credit,
				coalesce(-sum(x.amount) filter (where x.account = 'owed'), 0) as owes
			from wallet w left join ledger_entry x using (tenant_id, wallet_id) group by 1, 2, 3, 4, 5),
		g as (
			select g.tenant_id, g.grant_id, g.amount, g.remaining, coalesce(sum(x.amount), 0) as left_over
			from credit_grant g left join ledger_entry x using (tenant_id, grant_id) group by 1, 2, 3, 4),
		t as (
			select t.tenant_id, t.invoice_id, coalesce(sum(x.amount) filter (where x.account = 'spent'), 0) as spent, coalesce(-sum(x.amount) filter (where x.account = 'paid-in'), 0) as paid_in
			from ledger_transaction t join ledger_entry x using (tenant_id, transaction_id) where t.invoice_id is not null group by 1, 2),
		p as (
			select i.tenant_id, i.invoice_id, i.number, case when i.kind = 'top-up' then least(c.amount_due, c.amount_paid) else 0 end as bought,
				(select coalesce(sum(amount), 0) from payment y where (y.tenant_id, y.invoice_id) = (i.tenant_id, i.invoice_id) and y.kind = 'wallet') as used
			from invoice i join collection c using (tenant_id, invoice_id))
		select 'account ' || t.account_id || ': ' || x.text from (
			select tenant_id, 'transaction ' || l.transaction_id || ' has ' || coalesce(e.sides, 0) || ' sides that come to ' || coalesce(e.off, 0) as text
			from ledger_transaction l left join e using (tenant_id, transaction_id) where coalesce(e.sides, 0) < 2 or e.off <> 0
			union all
			select tenant_id, 'wallet ' || wallet_id || ' says ' || balance || ' and ' || owed || ' owed in ' || currency || ', and its entries say ' || credit || ' and ' || owes
			from w where balance <> credit or owed <> owes or credit < 0 or owes < 0
			union all
			select tenant_id, 'of grant ' || grant_id || ' of ' || amount || ' are ' || remaining || ' left, and its entries say ' || left_over
			from g where remaining <> left_over or left_over < 0 or left_over > amount
			union all
			select tenant_id, 'invoice ' || p.number || ' took ' || p.used || ' from a wallet and brought ' || p.bought || ', and the ledger says ' || coalesce(t.spent, 0) || ' and ' || coalesce(t.paid_in, 0)
			from p left join t using (tenant_id, invoice_id) where p.used <> coalesce(t.spent, 0) or p.bought <> coalesce(t.paid_in, 0)) x join tenant t using (tenant_id)
		order by 1 limit 10000`)
}

// checkMeters tells what was found when Stripe was last asked, and what it does not have.
func checkMeters(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "hours", `select count(*) from stripe_hour`, `
		with there as (select account from stripe_account where disconnected_at is null union all select '')
		select 'meter ' || meter || ' of ' || case account when '' then 'the operator''s account' else account end || ': ' || problem
		from stripe_meter join there using (account) where problem <> ''
		union all
		select 'account ' || t.account_id || ', customer ' || h.customer || ', ' || h.meter || ' of ' || to_char(h.hour at time zone 'UTC', 'YYYY-MM-DD HH24:00') || ': ' || case
			when h.found is not null then h.value || ' here and ' || h.found || ' at Stripe, to which it is sent again'
			when h.problem <> '' then h.problem
			when h.sent_at is null then 'it is not at Stripe'
			else 'nobody compared it' end
		from stripe_hour h join there using (account) join tenant t using (tenant_id)
		where h.hour > $1 and (h.found is not null or h.problem <> '' or h.sent_at is null and h.changed_at < $2 or h.compared_at is null and h.sent_at < $3)
		order by 1 limit 10000`, b.now().Add(-34*24*time.Hour), b.now().Add(-3*time.Hour), b.now().Add(-48*time.Hour))
}

// checkQuotas is of the windows of 33 days: the longest, and what comes late. A limit that
// was lowered, by the plan or for the one key, leaves nodes what they hold: only those that
// stood before the window are compared. A soft plan grants anew what a silent node may use
// after all, which its owner has chosen.
func checkQuotas(ctx context.Context, b *Billing, c *model.Check) error {
	since := b.now().AddDate(0, 0, -33)
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		var leased, used int64
		err := tx.QueryRow(ctx, `select coalesce(sum(granted - returned), 0)::bigint, coalesce(sum(used), 0)::bigint from quota_lease where window_start > $1`, since).Scan(&leased, &used)
		figure(c, "units leased", leased)
		figure(c, "units used", used)
		return err
	})
	if err != nil {
		return err
	}
	return found(ctx, b, c, "windows", `select count(*) from quota_window where window_start > now() - interval '33 days'`, `
		with l as materialized (
			select l.*, granted - returned as net, (select bool_or(p.soft_quota) from subscription s join plan p using (tenant_id, plan_id)
				where (s.tenant_id, s.ledger_id) = (l.tenant_id, l.subscription_id) and s.ended_at is null) as soft
			from quota_lease l where window_start > $1)
		select 'account ' || t.account_id || ', subscription ' || x.subscription_id || ': ' || x.text from (
			select w.tenant_id, w.subscription_id, 'of the ' || case w.kind when 0 then 'quota' else 'money' end || ' from ' || to_char(w.window_start at time zone 'UTC', 'YYYY-MM-DD')
				|| ' ' || w.granted || ' units are given out, and leases have ' || coalesce(sum(l.net), 0) as text
			from quota_window w left join l using (tenant_id, subscription_id, kind, window_start)
			where w.window_start > $1 group by w.tenant_id, w.subscription_id, w.kind, w.window_start having w.granted <> coalesce(sum(l.net), 0)
			union all
			-- over all windows: a call that began in one and ended in the next counts in that
			select tenant_id, subscription_id, 'node start ' || boot || ' let in ' || sum(used) || ' calls on leases of ' || sum(net)
			from l group by tenant_id, subscription_id, kind, boot
			having sum(used) > sum(net) and bool_and(used is not null) and not (kind = 0 and bool_or(soft is true and settled_at is not null))
			union all
			select w.tenant_id, w.subscription_id, 'of a quota of ' || p.quota_limit + w.extension || ' from ' || to_char(w.window_start at time zone 'UTC', 'YYYY-MM-DD') || ' ' || w.granted || ' units are given out'
			from quota_window w join subscription s on (s.tenant_id, s.ledger_id) = (w.tenant_id, w.subscription_id) and s.ended_at is null
			join plan p on (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)
			where w.window_start > $1 and w.kind = 0 and w.granted > p.quota_limit + w.extension and p.updated_at < w.window_start and s.started_at < w.window_start
				and not exists (select from audit a where a.tenant_id = w.tenant_id and a.action = 'key.extend' and a.at >= w.window_start)) x
		join tenant t using (tenant_id) order by 1 limit 10000`, since)
}

func checkOwners(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "calls", `
		select ((select coalesce(sum(calls), 0) from usage_line where flags & 1 = 1) + (select coalesce(sum(calls), 0) from usage_day where flags & 1 = 1))::bigint`, `
		select u.calls || ' calls of account ' || t.account_id || ' are of subscription ' || u.subscription_id || ', which is not there' from (
			select tenant_id, subscription_id, sum(calls) as calls from (
				select tenant_id, subscription_id, calls::numeric from usage_line where flags & 1 = 1
				union all select tenant_id, subscription_id, calls from usage_day where flags & 1 = 1) x
			where subscription_id <> 0 group by 1, 2) u join tenant t using (tenant_id)
		where not exists (select from subscription s where (s.tenant_id, s.subscription_id) = (u.tenant_id, u.subscription_id))
		order by 1 limit 10000`)
}

func checkAccounts(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "objects", `select count(*) from psp_object where account <> ''`, `
		select p.kind || ' ' || p.local_id || ' of account ' || t.account_id || ' is on ' || p.account || ', which is not its own'
		from psp_object p join tenant t using (tenant_id)
		where p.account <> '' and not exists (select from stripe_account a where (a.tenant_id, a.account) = (p.tenant_id, p.account)) order by 1 limit 10000`)
}

func checkEvents(ctx context.Context, b *Billing, c *model.Check) error {
	return found(ctx, b, c, "events", `select count(*) from webhook_event`, `
		select kind || ' ' || event_id || case state when 'parked' then ' is parked: ' || problem else ' waits since ' || to_char(received_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') end
		from webhook_event where state = 'parked' or state = 'new' and received_at < $1 order by received_at limit 10000`, b.now().Add(-15*time.Minute))
}
