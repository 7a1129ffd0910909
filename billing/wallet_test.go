package billing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing"
	"tollgate/model"
)

// payer is the developer's wallet of the tests.
func (b *books) payer() billing.Payer { return billing.Payer{Tenant: b.tenant, Developer: b.developer} }

// wallet is what the payer has in euros: balance and what is owed.
func (b *books) wallet(p billing.Payer, want string) {
	b.T.Helper()
	a, err := b.Available(b.ctx, p, "EUR")
	b.must(err)
	var grants []string
	all, err := b.Wallets(b.ctx, b.scope(), p)
	if p.Developer == "" {
		all, err = b.Wallets(b.ctx, billing.Operator, p)
	}
	b.must(err)
	for _, w := range all {
		if w.Currency != "EUR" {
			continue
		}
		if w.Balance != a.Balance || w.Owed != a.Owed {
			b.T.Errorf("available is %+v of a wallet of %+v", a, w)
		}
		for _, g := range w.Grants {
			grants = append(grants, fmt.Sprint(g.Remaining))
		}
	}
	if got := fmt.Sprintf("%d in %s, owed %d", a.Balance, strings.Join(grants, "+"), a.Owed); got != want {
		b.T.Errorf("the wallet has %s, want %s", got, want)
	}
}

// fee makes a final invoice of a fee to the payer, in a month of its own.
func (b *books) fee(amount string) string {
	b.T.Helper()
	sub := b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "EUR", MonthlyFee: model.Decimal(amount)}, march)
	b.run()
	ids := b.finalize()
	if len(ids) != 1 {
		b.T.Fatalf("a fee of %s made %d invoices", amount, len(ids))
	}
	b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, sub, april)
	return ids[0]
}

func (b *books) topUp(p billing.Payer, amount int64) string {
	b.T.Helper()
	s := b.scope()
	if p.Developer == "" {
		s = billing.Operator
	}
	id, err := b.TopUp(b.ctx, s, by, billing.TopUp{Payer: p, Currency: "EUR", Amount: amount})
	b.must(err)
	return id
}

func (b *books) hand(id string, amount int64, reference string) {
	b.T.Helper()
	_, err := b.Paid(b.ctx, b.scope(), by, billing.Receipt{Invoice: id, Kind: model.PaidByHand, Amount: amount, Reference: reference})
	b.must(err)
}

// queued has acts wait for the rows of a table in turn, each as far as it is by then, and
// go on one after the other.
func (b *books) queued(table string, acts ...func() error) {
	b.T.Helper()
	tx, err := b.pool.Begin(b.ctx)
	b.must(err)
	defer tx.Rollback(b.ctx)
	for _, sql := range []string{`select set_config('tollgate.tenant', '*', true)`, `select 1 from ` + table + ` for update`} {
		_, err := tx.Exec(b.ctx, sql)
		b.must(err)
	}
	done := make(chan error, len(acts))
	for i, act := range acts {
		go func() { done <- act() }()
		for one[int](b, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) <= i {
			b.must(b.ctx.Err())
		}
	}
	b.must(tx.Rollback(b.ctx))
	for range acts {
		b.must(<-done)
	}
}

// A wallet is not topped up for what an invoice took from it just now, as if that were to
// be paid still.
func TestRefillWhileAnInvoiceBecomesFinal(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	rules := rulesOf()
	rules.TopUps = true
	b.must(b.SetRules(b.ctx, b.scope(), by, rules))
	_, err := b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: b.payer(), Currency: "EUR", Amount: 10000, Reason: "Sorry", Reference: "1"})
	b.must(err)
	b.must(b.SetRefill(b.ctx, b.scope(), by, b.payer(), "EUR", model.Refill{Below: 3000, By: 5000}))
	b.exec(`update subscription set ended_at = $2 where subscription_id = $1`, b.subscribe(b.tenant, b.developer, model.PriceSheet{Currency: "EUR", MonthlyFee: "40"}, march), march.AddDate(0, 1, 0))
	b.run()
	draft := b.list(b.scope(), billing.Filter{State: "draft"})[0].ID
	b.queued("wallet", func() error { _, err := b.Finalize(b.ctx, b.scope(), by, []string{draft}, true); return err }, func() error { return b.Calendar(b.ctx) })
	b.wallet(b.payer(), "6000 in 6000, owed 0")
	if n := one[int](b, `select count(*) from invoice where kind = 'top-up'`); n != 0 {
		t.Errorf("%d top-ups were made of a wallet with enough on it", n)
	}
}

// Who waits while an invoice is paid from credit sees that it was: what is credited of it
// goes back to the wallet, and is not paid back in money.
func TestCreditWhileItIsPaidFromTheWallet(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	id := b.fee("100")
	_, err := b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: b.payer(), Currency: "EUR", Amount: 10000, Reason: "Sorry", Reference: "1"})
	b.must(err)
	b.queued("collection", func() error { _, err := b.PayFromWallet(b.ctx, b.scope(), by, id); return err }, func() error {
		_, err := b.Credit(b.ctx, b.scope(), by, billing.Credit{Invoice: id, Reference: "1", Reason: "An outage", Amount: 10000})
		return err
	})
	b.stands(id, "paid due 0 paid 0 open 0 surplus 0")
	b.wallet(b.payer(), "10000 in 10000, owed 0")
}

// Where invoices are due at once, there is a day to pay a top-up before it lapses.
func TestTopUpDueAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	rules := rulesOf()
	rules.TermDays = 0
	b.must(b.SetRules(b.ctx, b.scope(), by, rules))
	paid, lapsed := b.topUp(b.payer(), 1000), b.topUp(b.payer(), 2000)
	b.now = b.now.Add(time.Hour)
	b.must(b.Calendar(b.ctx))
	b.stands(lapsed, "open due 2000 paid 0 open 2000 surplus 0")
	b.hand(paid, 1000, "transfer")
	b.wallet(b.payer(), "1000 in 1000, owed 0")
	b.now = b.now.AddDate(0, 0, 1)
	b.must(b.Calendar(b.ctx))
	b.stands(lapsed, "void due 0 paid 0 open 0 surplus 0")
}

func TestWallet(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	p := b.payer()
	b.must(b.SetRules(b.ctx, b.scope(), by, rulesOf(model.TaxRate{Country: "DE", Name: "VAT", Percent: "19"})))
	b.must(b.SetSeller(b.ctx, b.scope(), by, model.Party{Name: "Seller GmbH", Country: "DE"}))
	b.wallet(p, "0 in , owed 0")

	// A top-up has no tax and is in the wallet as far as it is paid; what it pays for is
	// taxed in full, once.
	top := b.topUp(p, 10000)
	d := b.detail(top)
	if !d.TopUp || d.Number != "TOP-000001" || d.Total != 10000 || d.Tax != 0 || len(d.Taxes) != 1 || !strings.Contains(d.Taxes[0].Note, "No tax") || d.State != model.StateOpen {
		t.Errorf("top-up %+v with %+v", d.Invoice, d.Taxes)
	}
	b.hand(top, 4000, "t1")
	b.hand(top, 4000, "t1")
	b.wallet(p, "4000 in 4000, owed 0")
	b.hand(top, 7000, "t2") // 1000 too much
	b.wallet(p, "10000 in 4000+6000, owed 0")
	first := b.fee("50")
	b.stands(first, "paid due 5950 paid 5950 open 0 surplus 0")
	if d = b.detail(first); d.Tax != 950 || len(d.Payments) != 1 || d.Payments[0].Kind != model.PaidByWallet {
		t.Errorf("paid from the wallet: %+v with %+v", d.Invoice, d.Payments)
	}
	b.wallet(p, "4050 in 4050, owed 0")
	second := b.fee("100")
	b.stands(second, "open due 11900 paid 4050 open 7850 surplus 0")
	b.wallet(p, "0 in , owed 0")

	// What is credited goes back there first; a refund is of money, and no more than came.
	if _, err := b.Credit(b.ctx, b.scope(), by, billing.Credit{Invoice: first, Reference: "c", Reason: "an outage", Amount: 2000}); err != nil {
		t.Fatal(err)
	}
	b.stands(first, "paid due 3950 paid 3950 open 0 surplus 0")
	b.wallet(p, "2000 in 50+1950, owed 0")
	b.hand(second, 7850, "rest")
	if _, err := b.PaidBack(b.ctx, b.scope(), by, billing.Receipt{Invoice: second, Amount: 7851, Reference: "r"}); model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "78.50 EUR") {
		t.Errorf("more back than came in money: %v", err)
	}
	_, err := b.PaidBack(b.ctx, b.scope(), by, billing.Receipt{Invoice: second, Amount: 850, Reference: "r"})
	b.must(err)
	b.stands(second, "paid due 11050 paid 11050 open 0 surplus 0")
	b.wallet(p, "2000 in 50+1950, owed 0")
	b.must(b.Void(b.ctx, b.scope(), by, first, "made twice")) // no money was paid for it
	b.stands(first, "void due 0 paid 0 open 0 surplus 0")
	b.wallet(p, "5950 in 4000+1950, owed 0")

	// Money of a top-up goes back: what is left is taken, the rest is owed, and filled first.
	back := func(amount int64, reference string) {
		_, err := b.PaidBack(b.ctx, b.scope(), by, billing.Receipt{Invoice: top, Amount: amount, Reference: reference, Note: "charged back"})
		b.must(err)
	}
	back(1000, "surplus")
	b.wallet(p, "5950 in 4000+1950, owed 0")
	back(9000, "charged back")
	b.wallet(p, "0 in , owed 3050")
	b.must(grantOnly(b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: p, Currency: "EUR", Amount: 3000, Reason: "goodwill", Reference: "g1"})))
	b.wallet(p, "0 in , owed 50")
	b.hand(b.topUp(p, 500), 500, "t3")
	b.wallet(p, "450 in 450, owed 0")

	// The order of grants, and their end.
	give := func(amount int64, priority int, days int, reference string) {
		t.Helper()
		g := billing.Grant{Payer: p, Currency: "EUR", Amount: amount, Reason: "welcome", Reference: reference, Priority: priority}
		if days > 0 {
			g.ExpiresAt = b.now.AddDate(0, 0, days)
		}
		for range 2 {
			b.must(grantOnly(b.Grant(b.ctx, b.scope(), by, g)))
		}
	}
	give(100, 50, 0, "g2")
	give(200, 50, 30, "g3")
	give(300, 50, 10, "g4")
	give(400, 10, 0, "g5")
	b.wallet(p, "1450 in 400+300+200+100+450, owed 0")
	third := b.fee("5") // 5.95
	b.wallet(p, "855 in 105+200+100+450, owed 0")
	b.now = b.now.AddDate(0, 0, 10)
	b.wallet(p, "750 in 200+100+450, owed 0")
	b.must(b.Calendar(b.ctx))
	b.must(b.Calendar(b.ctx))
	if n := one[int64](b, `select sum(-amount)::bigint from ledger_entry join ledger_transaction using (tenant_id, transaction_id) where kind = 'expire' and account = 'credit'`); n != 105 {
		t.Errorf("%d expired", n)
	}
	b.must(b.Void(b.ctx, b.scope(), by, third, "r")) // 195 go back to what has expired
	b.wallet(p, "1150 in 400+200+100+450, owed 0")
	b.must(b.Calendar(b.ctx))
	if n := one[int64](b, `select balance from wallet where currency = 'EUR'`); n != 1150 {
		t.Errorf("%d are left when what went back has expired again", n)
	}
	ws, err := b.Wallets(b.ctx, b.scope(), p)
	b.must(err)
	if len(ws) != 1 || len(ws[0].Grants) != 4 {
		t.Fatalf("wallets %+v", ws)
	}
	// An invoice that was open before there was credit is paid from it when somebody says so.
	owing := b.newDeveloper(b.tenant, "dev7")
	b.developer = owing
	open := b.fee("10") // 11.90
	late := billing.Payer{Tenant: b.tenant, Developer: owing}
	theirs := billing.Scope{Tenant: b.tenant, Developer: owing}
	if _, err := b.PayFromWallet(b.ctx, theirs, by, open); model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "no prepaid credit") {
		t.Errorf("paid from nothing: %v", err)
	}
	if _, err := b.PayFromWallet(b.ctx, theirs, by, b.topUp(late, 2000)); model.KindOf(err) != model.Conflict {
		t.Errorf("a top-up paid from credit: %v", err)
	}
	for i, want := range []int64{1000, 190} {
		b.must(grantOnly(b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: late, Currency: "EUR", Amount: 1000, Reason: "r", Reference: fmt.Sprint(i)})))
		if n, err := b.PayFromWallet(b.ctx, theirs, by, open); err != nil || n != want {
			t.Errorf("paid %d, %v; want %d", n, err, want)
		}
	}
	b.stands(open, "paid due 1190 paid 1190 open 0 surplus 0")
	b.wallet(late, "810 in 810, owed 0")
	if _, err := b.PayFromWallet(b.ctx, billing.Scope{Tenant: b.tenant, Developer: p.Developer}, by, open); model.KindOf(err) != model.NotFound {
		t.Errorf("another developer paid it: %v", err)
	}
	b.developer = p.Developer

	b.must(b.Revoke(b.ctx, b.scope(), by, p, ws[0].Grants[1].ID, "by mistake"))
	if err := b.Revoke(b.ctx, b.scope(), by, p, ws[0].Grants[3].ID, "x"); model.KindOf(err) != model.Conflict {
		t.Errorf("revoking what was paid for: %v", err)
	}
	b.wallet(p, "950 in 400+100+450, owed 0")

	// A top-up that nobody pays lapses, without a reminder.
	lapsed := b.topUp(p, 100)
	part := b.topUp(p, 100)
	b.hand(part, 30, "part")
	b.now = b.now.AddDate(0, 0, 15)
	b.must(b.Dun(b.ctx))
	b.must(b.Calendar(b.ctx))
	b.stands(lapsed, "void due 0 paid 0 open 0 surplus 0")
	b.stands(part, "paid due 30 paid 30 open 0 surplus 0")

	for i, want := range []struct {
		kind   string
		credit int64
	}{{model.WalletTopUp, 30}, {model.WalletRevoke, -200}, {model.WalletExpire, -195}, {model.WalletGiveBack, 595}} {
		h, _, err := b.History(b.ctx, billing.Scope{Tenant: b.tenant, Developer: b.developer}, p, "EUR", 0)
		b.must(err)
		if h[i].Kind != want.kind || h[i].Credit != want.credit {
			t.Errorf("%d: %+v, want %+v", i, h[i], want)
		}
	}
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold", names)
	}
	// Months of the reconciliation follow on one another, and lead to what wallets have.
	var left int64
	for m := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); !m.After(b.now); m = m.AddDate(0, 1, 0) {
		bal, err := b.Balance(b.ctx, b.scope(), m)
		b.must(err)
		for _, x := range bal.Prepaid {
			if x.Currency != "EUR" {
				continue
			}
			if x.Before != left || x.Before+x.PaidIn+x.Granted-x.Spent-x.Expired != x.Left {
				t.Errorf("%s: %+v after %d", m, x, left)
			}
			left = x.Left
		}
	}
	if want := one[int64](b, `select sum(balance - owed)::bigint from wallet where developer_id is not null and currency = 'EUR'`); left != want || want == 0 {
		t.Errorf("%d is left of what was prepaid, wallets have %d", left, want)
	}
	b.exec(`update wallet set balance = balance + 1`)
	if names := b.broken(); names != "I10 " {
		t.Errorf("a ledger that was tampered with: %q do not hold", names)
	}
}

func grantOnly(_ bool, err error) error { return err }

// The database itself refuses what is not in balance, and nobody reaches another's wallet.
func TestWalletRefusals(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	p := b.payer()
	other := b.newTenant("222222222222")
	stranger := billing.Payer{Tenant: other, Developer: b.newDeveloper(other, "dev9")}
	grant := billing.Grant{Payer: p, Currency: "EUR", Amount: 100, Reason: "r", Reference: "1"}
	b.must(grantOnly(b.Grant(b.ctx, b.scope(), by, grant)))
	for sql, says := range map[string]string{
		`insert into ledger_entry (tenant_id, transaction_id, line, wallet_id, account, amount) select tenant_id, transaction_id, 9, wallet_id, 'spent', 1 from ledger_transaction`:                                            "does not balance",
		`insert into ledger_transaction (tenant_id, wallet_id, kind, reference, by, at) select tenant_id, wallet_id, 'spend', 'x', 'x', now() from wallet`:                                                                     "does not balance",
		`insert into ledger_entry (tenant_id, transaction_id, line, wallet_id, account, grant_id, amount) select tenant_id, transaction_id, 9, wallet_id, 'credit', grant_id, -101 from ledger_entry where account = 'credit'`: "credit_grant_check",
		`update ledger_entry set amount = 1`: "never changed", `delete from ledger_transaction`: "never changed", `update credit_grant set amount = 1`: "never changed",
		`update wallet set balance = -1`: "wallet_balance_check",
	} {
		if err := b.try(sql); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", sql, err, says)
		}
	}
	own := billing.Scope{Tenant: b.tenant, Developer: b.developer}
	for name, s := range map[string]billing.Scope{"another tenant": {Tenant: other}, "who pays": own, "another's developer": {Tenant: other, Developer: "dev9"}} {
		if _, err := b.Grant(b.ctx, s, by, grant); model.KindOf(err) != model.NotFound && model.KindOf(err) != model.Denied {
			t.Errorf("%s granted: %v", name, err)
		}
		if err := b.Revoke(b.ctx, s, by, p, "x", "x"); model.KindOf(err) != model.NotFound && model.KindOf(err) != model.Denied {
			t.Errorf("%s revoked: %v", name, err)
		}
		if _, err := b.TopUp(b.ctx, s, by, billing.TopUp{Payer: p, Currency: "EUR", Amount: 1}); model.KindOf(err) != model.NotFound && model.KindOf(err) != model.Denied {
			t.Errorf("%s made a top-up: %v", name, err)
		}
		if _, err := b.Wallets(b.ctx, s, p); s != own && err == nil {
			t.Errorf("%s sees the wallet", name)
		}
		if _, _, err := b.History(b.ctx, s, p, "EUR", 0); s != own && err == nil {
			t.Errorf("%s sees the history", name)
		}
	}
	if _, err := b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: stranger, Currency: "EUR", Amount: 1, Reason: "r", Reference: "r"}); model.KindOf(err) != model.NotFound {
		t.Errorf("a grant to another's developer: %v", err)
	}
	if _, err := b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: billing.Payer{Tenant: b.tenant}, Currency: "EUR", Amount: 1, Reason: "r", Reference: "r"}); model.KindOf(err) != model.Denied {
		t.Errorf("a tenant granted itself credit with the operator: %v", err)
	}
	grant.Amount = 99
	if _, err := b.Grant(b.ctx, b.scope(), by, grant); model.KindOf(err) != model.Conflict {
		t.Errorf("the same grant with another amount: %v", err)
	}
	for says, g := range map[string]billing.Grant{
		"not a currency": {Currency: "XXX", Amount: 1}, "above zero": {Currency: "EUR"}, "at most": {Currency: "EUR", Amount: 1<<50 + 1},
		"priority": {Currency: "EUR", Amount: 1, Priority: 101}, "50 years": {Currency: "EUR", Amount: 1, ExpiresAt: b.now},
	} {
		g.Payer, g.Reason, g.Reference = p, "r", "2"
		if _, err := b.Grant(b.ctx, b.scope(), by, g); model.KindOf(err) != model.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	// Who pays may buy where the rules say so; once by one form, and not without end.
	r := model.DefaultBillingRules()
	r.TopUps = true
	b.must(b.SetRules(b.ctx, b.scope(), by, r))
	in := billing.TopUp{Payer: p, Currency: "EUR", Amount: 700, ID: billing.NewTopUpID()}
	for range 2 {
		_, err := b.TopUp(b.ctx, own, by, in)
		b.must(err)
	}
	in.Payer = stranger
	if _, err := b.TopUp(b.ctx, billing.Scope{Tenant: other}, by, in); err == nil {
		t.Error("another tenant took the id of a top-up")
	}
	for range 4 {
		b.topUp(p, 700)
	}
	if _, err := b.TopUp(b.ctx, own, by, billing.TopUp{Payer: p, Currency: "EUR", Amount: 1}); model.KindOf(err) != model.Limit {
		t.Errorf("a sixth top-up: %v", err)
	}
	if l := b.list(own, billing.Filter{}); len(l) != 5 || l[0].Number != "TOP-000005" {
		t.Errorf("%d top-ups, the last one %s", len(l), l[0].Number)
	}
	// Topped up by itself: by what is left after what was used, one at a time.
	refilled := billing.Payer{Tenant: b.tenant, Developer: b.newDeveloper(b.tenant, "dev8")}
	theirs := billing.Scope{Tenant: b.tenant, Developer: "dev8"}
	b.must(grantOnly(b.Grant(b.ctx, b.scope(), by, billing.Grant{Payer: refilled, Currency: "EUR", Amount: 1500, Reason: "r", Reference: "1"})))
	b.must(b.SetRefill(b.ctx, theirs, by, refilled, "EUR", model.Refill{Below: 1000, By: 2500}))
	if err := b.SetRefill(b.ctx, billing.Scope{Tenant: other}, by, refilled, "EUR", model.Refill{}); err == nil {
		t.Error("another tenant decided on it")
	}
	topUps := func(want int) (last billing.Invoice) {
		t.Helper()
		b.must(b.Calendar(b.ctx))
		b.must(b.Calendar(b.ctx))
		l := b.list(theirs, billing.Filter{})
		if len(l) != want {
			t.Fatalf("%d top-ups, want %d", len(l), want)
		}
		if want > 0 {
			last = l[0]
		}
		return last
	}
	topUps(0)
	b.subscribe(b.tenant, "dev8", model.PriceSheet{Currency: "EUR", MonthlyFee: "3"}, march) // of March and of April: 6.00
	if i := topUps(1); i.Total != 2500 || !i.TopUp {
		t.Errorf("topped up with %+v", i)
	} else {
		b.hand(i.ID, 2500, "t")
	}
	topUps(1)
	b.must(b.SetRefill(b.ctx, theirs, by, refilled, "EUR", model.Refill{}))
	// The tenant with the operator.
	us := billing.Payer{Tenant: b.tenant}
	b.must(grantOnly(b.Grant(b.ctx, billing.Operator, by, billing.Grant{Payer: us, Currency: "EUR", Amount: 42, Reason: "r", Reference: "1"})))
	b.wallet(us, "42 in 42, owed 0")
	if ws, err := b.Wallets(b.ctx, b.scope(), us); err != nil || len(ws) != 1 || ws[0].Balance != 42 {
		t.Errorf("the tenant sees %+v, %v", ws, err)
	}
	if id := b.topUp(us, 5); one[string](b, `select series || ' ' || number from invoice where invoice_id = $1`, id) != "operator/top-up TOP-000001" {
		t.Error("a top-up of the operator's has not its own number")
	}
	if names := b.broken(); names != "" {
		t.Errorf("%s do not hold", names)
	}
}

// try runs a statement that is to fail, in a transaction of its own.
func (b *books) try(sql string) error {
	return pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(b.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(b.ctx, sql)
		return err
	})
}
