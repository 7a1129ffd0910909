package billing

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// A top-up is an invoice of its own kind, with numbers of its own. It is not taxed, so
// that nothing is taxed twice: the credit is a means of payment, and what it pays for is
// taxed on the invoice of that. What was paid of a top-up, up to what is due of it, is
// in the wallet: whenever the one changes, so does the other. Where money goes back, or
// the top-up is credited, what is left of it is taken back, then what else is in the
// wallet, and the rest is owed. A top-up that is not paid when it is due lapses: nobody
// is reminded of it, and no key is refused for it.

// Bounds of what is put into a wallet.
const (
	mostCredit = 1 << 50 // minor units at once
	openTopUps = 5       // of one payer
	topUpDays  = 1       // a top-up is not due before, so that there is time to pay it
)

// topUpSeries is behind a seller's series in that of its top-ups.
const topUpSeries = "/top-up"

func checkCredit(currency string, amount int64) error {
	if _, ok := model.MinorDigits(currency); !ok {
		return model.Errorf(model.Invalid, "%q is not a currency such as EUR", currency)
	}
	if amount <= 0 || amount > mostCredit {
		return model.Errorf(model.Invalid, "prepaid credit is of an amount above zero and at most %s", amountText(mostCredit, currency))
	}
	return nil
}

// Grant is credit that is given by hand.
type Grant struct {
	Payer
	Currency  string
	Amount    int64 // minor units
	Reason    string
	Priority  int       // 0 to 100, the least is used first; see model.CreditGrant
	ExpiresAt time.Time // zero: it does not
	Reference string    // the same for the same grant: a second time it changes nothing
}

// Grant puts credit into a payer's wallet and reports that it is new.
func (b *Billing) Grant(ctx context.Context, s Scope, by By, g Grant) (granted bool, err error) {
	if err := s.sellsTo(g.Payer); err != nil {
		return false, err
	}
	if err := checkCredit(g.Currency, g.Amount); err != nil {
		return false, err
	}
	if err := checkText("reason", g.Reason, true, 500); err != nil {
		return false, err
	}
	if err := checkText("reference", g.Reference, true, maxReference); err != nil {
		return false, err
	}
	if g.Priority < 0 || g.Priority > 100 {
		return false, model.Errorf(model.Invalid, "a priority is from 0, used first, to 100, and not %d", g.Priority)
	}
	if !g.ExpiresAt.IsZero() && (!g.ExpiresAt.After(b.now()) || g.ExpiresAt.After(b.now().AddDate(50, 0, 0))) {
		return false, model.Errorf(model.Invalid, "credit expires within 50 years, and not on %s", g.ExpiresAt.UTC().Format(time.DateOnly))
	}
	err = b.in(ctx, g.rows(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		granted = false
		if err := g.there(ctx, tx); err != nil {
			return err
		}
		w, err := b.openWallet(ctx, tx, g.Payer, g.Currency)
		if err != nil {
			return err
		}
		var was int64
		err = tx.QueryRow(ctx, `
			select coalesce(-sum(e.amount), 0)::bigint from ledger_transaction t join ledger_entry e using (tenant_id, transaction_id)
			where (t.tenant_id, t.wallet_id, t.kind, t.reference) = ($1, $2, 'grant', $3) and e.account = 'granted'`, w.Tenant, w.id, g.Reference).Scan(&was)
		switch {
		case err != nil:
			return err
		case was == g.Amount:
			return nil
		case was != 0:
			return model.Errorf(model.Conflict, "%q was granted already, with another amount; give this grant a reference of its own", g.Reference)
		}
		in, _, err := b.put(ctx, tx, w, g.Amount, grant{model.CreditGranted, "", g.Reason, g.Priority, g.ExpiresAt, by})
		if err != nil {
			return err
		}
		h := happening{kind: model.WalletGrant, reference: g.Reference, note: g.Reason, by: by}
		if granted, err = b.post(ctx, tx, w, h, append([]side{{account: onGranted, amount: -g.Amount}}, in...)); err != nil {
			return err
		}
		return audit(ctx, tx, w.Tenant, by, "credit.grant", g.target(), map[string]any{"currency": g.Currency, "amount": g.Amount, "reason": g.Reason})
	})
	return granted, err
}

// Revoke takes back what is left of a grant that was given by hand.
func (b *Billing) Revoke(ctx context.Context, s Scope, by By, p Payer, id, reason string) error {
	if err := s.sellsTo(p); err != nil {
		return err
	}
	if err := checkText("reason", reason, true, 500); err != nil {
		return err
	}
	return b.in(ctx, p.rows(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		var currency, kind string
		err := tx.QueryRow(ctx, `
			select w.currency, g.kind from credit_grant g join wallet w using (tenant_id, wallet_id)
			where g.tenant_id = $1 and g.grant_id = $2 and w.developer_id is not distinct from nullif($3, '')`, p.Tenant, id, p.Developer).Scan(&currency, &kind)
		if err == pgx.ErrNoRows {
			return model.Errorf(model.NotFound, "there is no grant %q", id)
		}
		if err != nil {
			return err
		}
		if kind != model.CreditGranted {
			return model.Errorf(model.Conflict, "that credit was paid for: credit its top-up, and pay that back")
		}
		w, err := b.lockWallet(ctx, tx, p, currency)
		if err != nil {
			return err
		}
		var l left
		var entries int64
		err = tx.QueryRow(ctx, `
			select g.remaining, (select count(*) from ledger_entry e where e.tenant_id = g.tenant_id and e.grant_id = g.grant_id)
			from credit_grant g where g.tenant_id = $1 and g.grant_id = $2`, p.Tenant, id).Scan(&l.remaining, &entries)
		if err != nil || l.remaining == 0 {
			return err
		}
		h := happening{kind: model.WalletRevoke, reference: fmt.Sprintf("%s/%d", id, entries), note: reason, by: by}
		if _, err := b.post(ctx, tx, w, h, []side{{onCredit, id, -l.remaining}, {account: onGranted, amount: l.remaining}}); err != nil {
			return err
		}
		return audit(ctx, tx, p.Tenant, by, "credit.revoke", p.target(), map[string]any{"currency": currency, "amount": l.remaining, "reason": reason})
	})
}

// TopUp is credit that is to be paid for.
type TopUp struct {
	Payer
	Currency string
	Amount   int64  // minor units
	ID       string // of the invoice, as NewTopUpID makes it: a second time it is the one there is; empty: a new one
}

// NewTopUpID makes an id for a form, so that pressing its button twice buys once.
func NewTopUpID() string { return model.NewID(12) }

var topUpID = regexp.MustCompile(`^[a-z0-9]{12}$`)

// noTaxYet is what the invoice of a top-up says of tax.
const noTaxYet = "No tax is charged on prepaid credit: what it pays for is taxed on the invoice of that"

// TopUp makes the invoice of a top-up, final at once. Whoever sells may make one for who
// pays; who pays may where the seller's rules say so.
func (b *Billing) TopUp(ctx context.Context, s Scope, by By, in TopUp) (invoice string, err error) {
	if err := s.sees(in.Payer); err != nil {
		return "", err
	}
	if err := checkCredit(in.Currency, in.Amount); err != nil {
		return "", err
	}
	if in.ID == "" {
		in.ID = NewTopUpID()
	}
	if !topUpID.MatchString(in.ID) {
		return "", model.Errorf(model.Invalid, "%.40q is not the id of a top-up; open the form again", in.ID)
	}
	err = b.in(ctx, in.rows(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		r, err := rules(ctx, tx, in.Tenant, in.sells())
		if err != nil {
			return err
		}
		if s.sellsTo(in.Payer) != nil && !r.TopUps {
			return model.Errorf(model.Denied, "prepaid credit is not sold here; ask who sends you invoices")
		}
		return b.topUp(ctx, tx, by, in, &r)
	})
	return in.ID, err
}

func (b *Billing) topUp(ctx context.Context, tx pgx.Tx, by By, in TopUp, r *model.BillingRules) error {
	bl := bill{tenant: in.Tenant, developer: in.Developer, currency: in.Currency}
	if err := bl.parties(ctx, tx); err != nil {
		return err
	}
	series := bl.series + topUpSeries
	serial, err := next(ctx, tx, series)
	if err != nil {
		return err
	}
	w, err := b.openWallet(ctx, tx, in.Payer, in.Currency)
	if err != nil {
		return err
	}
	var again bool
	var open int
	err = tx.QueryRow(ctx, `
		select coalesce(bool_or(invoice_id = $3), false), count(*) filter (where c.state = 'open') from invoice i join collection c using (tenant_id, invoice_id)
		where i.tenant_id = $1 and i.developer_id is not distinct from nullif($2, '') and i.kind = 'top-up'`, in.Tenant, in.Developer, in.ID).Scan(&again, &open)
	switch {
	case err != nil:
		return err
	case again:
		return giveNumberBack(ctx, tx, series)
	case open >= openTopUps:
		return model.Errorf(model.Limit, "%d top-ups are open, the most there can be; pay one of them", open)
	}
	digits, _ := model.MinorDigits(in.Currency)
	line := billLine{title: "Prepaid credit", Line: rate.Line{Meter: model.MeterTopUp, Quantity: 1, Exact: decimalOf(in.Amount, digits), Amount: in.Amount}}
	bl.lines = []billLine{line}
	bl.taxes = []model.TaxLine{{Name: "Tax", Percent: "0", Base: in.Amount, Note: noTaxYet}}
	month, end := rate.Month(b.now())
	// For a moment it is a draft, of no month: lines of what is final are never added.
	_, err = tx.Exec(ctx, `
		insert into invoice (tenant_id, invoice_id, seller, developer_id, period_start, period_end, state, series, currency, total, from_party, to_party, created_at, taxes, kind)
		values ($1, $2, $3, nullif($4, ''), $5, $6, 'draft', $7, $8, $9, $10, $11, $12, $13, 'top-up')`,
		in.Tenant, in.ID, in.sells(), in.Developer, month.Add(-time.Second), end, series, in.Currency, in.Amount, bl.from, bl.to, b.now(), bl.taxes)
	if err != nil {
		return err
	}
	if err := storeLines(ctx, tx, &bl, in.ID); err != nil {
		return err
	}
	number := fmt.Sprintf("TOP-%06d", serial)
	_, err = tx.Exec(ctx, `
		update invoice set state = 'final', period_start = $3, serial = $4, number = $5, cut = -1, finalized_at = $6 where tenant_id = $1 and invoice_id = $2`,
		in.Tenant, in.ID, month, serial, number, b.now())
	if err != nil {
		return err
	}
	if err := audit(ctx, tx, in.Tenant, by, "credit.top-up", in.ID, map[string]any{"number": number, "currency": in.Currency, "amount": in.Amount, "wallet": w.id}); err != nil {
		return err
	}
	if err := b.open(ctx, tx, in.Tenant, in.ID, in.Amount, 0, b.now(), max(r.TermDays, topUpDays)); err != nil || !r.Mail {
		return err
	}
	g := group{tenant: in.Tenant, seller: in.sells()}
	return b.announce(ctx, tx, g.scope(), in.ID)
}

// giveNumberBack undoes next.
func giveNumberBack(ctx context.Context, tx pgx.Tx, series string) error {
	_, err := tx.Exec(ctx, `update invoice_series set next = next - 1 where series = $1`, series)
	return err
}

// parties fills in who a bill is from and to, and whose numbers it has.
func (b *bill) parties(ctx context.Context, tx pgx.Tx) error {
	sql, args := `
		select d.email, d.name, d.billing, t.account_id, t.name, t.email, t.seller from developer d join tenant t using (tenant_id)
		where d.tenant_id = $1 and d.developer_id = $2`, []any{b.tenant, b.developer}
	if b.developer == "" {
		sql, args = `
		select t.email, t.name, t.seller, 'operator', coalesce(i.seller->>'name', ''), coalesce(i.seller->>'email', ''), i.seller from tenant t cross join installation i
		where t.tenant_id = $1`, args[:1]
	}
	var email, name, sellerName, sellerEmail string
	err := tx.QueryRow(ctx, sql, args...).Scan(&email, &name, &b.to, &b.series, &sellerName, &sellerEmail, &b.from)
	if err == pgx.ErrNoRows {
		return model.Errorf(model.NotFound, "there is no such customer")
	}
	b.from, b.to = party(b.from, sellerName, sellerEmail), party(b.to, name, email)
	return err
}

// teller is who books what became of a top-up into the wallet.
var teller = By{Member: "billing", Name: "payment", Role: "system"}

// alignTopUp makes the wallet hold what was paid of a top-up, up to what is due of it.
func (b *Billing) alignTopUp(ctx context.Context, tx pgx.Tx, c *standing) error {
	w, err := b.openWallet(ctx, tx, Payer{c.tenant, c.developer}, c.currency)
	if err != nil {
		return err
	}
	var have, times int64
	err = tx.QueryRow(ctx, `
		select coalesce(-sum(e.amount), 0)::bigint, count(*) from ledger_transaction t join ledger_entry e using (tenant_id, transaction_id)
		where t.tenant_id = $1 and t.invoice_id = $2 and e.account = 'paid-in'`, c.tenant, c.invoice).Scan(&have, &times)
	if err != nil {
		return err
	}
	h := happening{reference: fmt.Sprintf("%s/%d", c.invoice, times), invoice: c.invoice, by: teller}
	switch want := min(c.Paid, c.Due); {
	case want > have:
		h.kind = model.WalletTopUp
		in, _, err := b.put(ctx, tx, w, want-have, grant{model.CreditPaid, c.invoice, "", model.DefaultPriority, time.Time{}, teller})
		if err != nil {
			return err
		}
		_, err = b.post(ctx, tx, w, h, append([]side{{account: onPaidIn, amount: have - want}}, in...))
		return err
	case want < have:
		h.kind = model.WalletTakeBack
		sides, drawn, err := draw(ctx, tx, w, have-want, c.invoice)
		if err != nil {
			return err
		}
		if owed := have - want - drawn; owed > 0 {
			sides = append(sides, side{account: onOwed, amount: -owed})
		}
		_, err = b.post(ctx, tx, w, h, append(sides, side{account: onPaidIn, amount: have - want}))
		return err
	}
	return nil
}
