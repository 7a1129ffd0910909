package billing

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// A final invoice is open until as much was paid as is due, or it is given up. What
// is due falls by credit notes and never rises; what was paid falls only by paying
// back, which a credit note goes with. So the state goes one way:
//
//	open → past due → paid
//	              ↘ uncollectible → paid (the money came after all)
//	              ↘ void (never where something was paid)
//
// Whatever happens again, or late, is known by its reference and changes nothing.

// standing is a collection that is being changed: its row is locked.
type standing struct {
	tenant    uint32
	invoice   string
	developer string
	number    string
	series    string
	currency  string
	total     int64
	net, tax  int64
	topUp     bool
	model.Collection
	fromWallet int64 // the part of what was paid that prepaid credit was
}

// open makes the collection of an invoice that became final, of which so much is paid
// already.
func (b *Billing) open(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, total, paid int64, at time.Time, termDays int) error {
	state := model.StateOpen
	if paid == total {
		state = model.StatePaid
	}
	_, err := tx.Exec(ctx, `
		insert into collection (tenant_id, invoice_id, state, due_at, amount_due, amount_paid, updated_at) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict do nothing`, tenant, invoice, state, at.AddDate(0, 0, termDays), total, paid, b.now())
	if err != nil {
		return err
	}
	return b.changed(ctx, tx, tenant, invoice, true)
}

// standingOf locks how an invoice of the scope's own stands.
func standingOf(ctx context.Context, tx pgx.Tx, s Scope, invoice string) (*standing, error) {
	if s.Developer != "" {
		return nil, model.Errorf(model.Denied, "who pays an invoice does not keep its books")
	}
	c := &standing{invoice: invoice}
	err := tx.QueryRow(ctx, `
		select i.tenant_id, coalesce(i.developer_id, ''), i.number, i.series, i.currency, i.total, i.total - i.tax, i.tax,
			i.kind = 'top-up', c.state, c.due_at, c.amount_due, c.amount_paid, c.by, c.attempts, c.last_error
		from collection c join invoice i using (tenant_id, invoice_id)
		where invoice_id = $1 and i.seller = $2 and i.kind <> 'adjustment' and ($3 = 0 or i.tenant_id = $3) for update of c`,
		invoice, s.sells(), s.Tenant).Scan(&c.tenant, &c.developer, &c.number, &c.series, &c.currency, &c.total, &c.net, &c.tax,
		&c.topUp, &c.State, &c.DueAt, &c.Due, &c.Paid, &c.By, &c.Attempts, &c.LastError)
	if err == pgx.ErrNoRows {
		return nil, model.Errorf(model.NotFound, "there is no final invoice %q", invoice)
	}
	if err != nil {
		return nil, err
	}
	c.series = strings.TrimSuffix(c.series, topUpSeries) // credit notes have one series of each seller
	// Not the same statement: that would not see what was paid while it waited for the lock.
	return c, tx.QueryRow(ctx, `select coalesce(sum(amount), 0)::bigint from payment where tenant_id = $1 and invoice_id = $2 and kind = 'wallet'`,
		c.tenant, invoice).Scan(&c.fromWallet)
}

// settled is the state that follows from what is due and what was paid.
func (c *standing) settled() {
	if c.State != model.StateVoid && c.Paid >= c.Due {
		c.State, c.LastError = model.StatePaid, ""
	}
}

// keep stores how the invoice stands, and sees to it that whoever has paid is let in.
func (b *Billing) keep(ctx context.Context, tx pgx.Tx, c *standing) error {
	c.settled()
	_, err := tx.Exec(ctx, `
		update collection set state = $3, amount_due = $4, amount_paid = $5, by = $6, attempts = $7, last_error = $8, updated_at = $9
		where tenant_id = $1 and invoice_id = $2`,
		c.tenant, c.invoice, c.State, c.Due, c.Paid, c.By, c.Attempts, c.LastError, b.now())
	if err != nil {
		return err
	}
	if c.topUp {
		if err := b.alignTopUp(ctx, tx, c); err != nil {
			return err
		}
	}
	if err := b.changed(ctx, tx, c.tenant, c.invoice, false); err != nil {
		return err
	}
	return b.letIn(ctx, tx, c)
}

// change runs f on how an invoice stands, and keeps what became of it.
func (b *Billing) change(ctx context.Context, s Scope, invoice string, f func(pgx.Tx, *standing) error) error {
	return b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		c, err := standingOf(ctx, tx, s, invoice)
		if err != nil {
			return err
		}
		if err := f(tx, c); err != nil {
			return err
		}
		return b.keep(ctx, tx, c)
	})
}

// Receipt is money that came for an invoice, or an attempt to get it that failed.
type Receipt struct {
	Invoice   string
	Kind      string // model.PaidByHand or model.PaidByStripe
	Amount    int64  // minor units; of an attempt that failed: none
	Reference string // the same for the same payment: a second time it changes nothing
	Note      string
	At        time.Time // when the money came; zero: now
}

const maxReference = 200

func checkText(what, s string, needed bool, most int) error {
	switch n := utf8.RuneCountInString(s); {
	case n == 0 && needed:
		return model.Errorf(model.Invalid, "the %s is missing", what)
	case n > most:
		return model.Errorf(model.Invalid, "the %s has %d characters; at most %d are kept", what, n, most)
	case !utf8.ValidString(s):
		return model.Errorf(model.Invalid, "the %s is not text in UTF-8", what)
	}
	return nil
}

func (b *Billing) checkReceipt(r *Receipt) error {
	if err := checkText("reference", r.Reference, true, maxReference); err != nil {
		return err
	}
	if err := checkText("note", r.Note, false, 500); err != nil {
		return err
	}
	if r.At.IsZero() {
		r.At = b.now()
	}
	if r.At.After(b.now().Add(24 * time.Hour)) {
		return model.Errorf(model.Invalid, "%s has not come; a payment is booked when the money is there", r.At.UTC().Format(time.DateOnly))
	}
	return nil
}

// book adds a payment and reports that it is new. The same reference with another
// amount is a mistake of whoever books it.
func (b *Billing) book(ctx context.Context, tx pgx.Tx, c *standing, by By, r Receipt) (bool, error) {
	tag, err := tx.Exec(ctx, `
		insert into payment (tenant_id, payment_id, invoice_id, amount, kind, reference, note, at, by, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict on constraint payment_once do nothing`,
		c.tenant, model.NewID(12), c.invoice, r.Amount, r.Kind, r.Reference, r.Note, r.At, or(by.Name, by.Member), b.now())
	if err != nil || tag.RowsAffected() == 1 {
		return err == nil, err
	}
	var was int64
	err = tx.QueryRow(ctx, `select amount from payment where tenant_id = $1 and invoice_id = $2 and kind = $3 and reference = $4`,
		c.tenant, c.invoice, r.Kind, r.Reference).Scan(&was)
	if err == nil && was != r.Amount {
		err = model.Errorf(model.Conflict, "%q is booked for invoice %s already, with another amount; give this payment a reference of its own", r.Reference, c.number)
	}
	return false, err
}

// Paid books money that came for an invoice and reports that it is new; a part may be
// paid, and more than is due is owed back. Money that came for a void invoice through
// Stripe is booked all the same: it is there.
func (b *Billing) Paid(ctx context.Context, s Scope, by By, r Receipt) (booked bool, err error) {
	if err := b.checkReceipt(&r); err != nil {
		return false, err
	}
	if r.Kind != model.PaidByHand && r.Kind != model.PaidByStripe {
		return false, model.Errorf(model.Invalid, "a payment comes by %s or by %s, not by %q", model.PaidByHand, model.PaidByStripe, r.Kind)
	}
	if r.Amount <= 0 || r.Amount > 1<<53 {
		return false, model.Errorf(model.Invalid, "a payment is of an amount above zero")
	}
	err = b.change(ctx, s, r.Invoice, func(tx pgx.Tx, c *standing) error {
		if booked, err = b.book(ctx, tx, c, by, r); err != nil || !booked {
			return err
		}
		if c.State == model.StateVoid && r.Kind == model.PaidByHand {
			return model.Errorf(model.Conflict, "invoice %s is void: nothing is to be paid for it", c.number)
		}
		c.Paid += r.Amount
		return audit(ctx, tx, c.tenant, by, "invoice.paid", c.invoice, map[string]any{"number": c.number, "amount": r.Amount, "kind": r.Kind, "reference": r.Reference})
	})
	return booked, err
}

// Failed books an attempt to get the money that failed, for the reason in Note. Where
// the invoice is paid meanwhile it changes nothing but the list of attempts.
func (b *Billing) Failed(ctx context.Context, s Scope, by By, r Receipt) (booked bool, err error) {
	if err := b.checkReceipt(&r); err != nil {
		return false, err
	}
	r.Kind, r.Amount = model.PayFailed, 0
	err = b.change(ctx, s, r.Invoice, func(tx pgx.Tx, c *standing) error {
		if booked, err = b.book(ctx, tx, c, by, r); err != nil || !booked {
			return err
		}
		c.Attempts++
		if c.Open() > 0 {
			c.LastError = r.Note
		}
		return audit(ctx, tx, c.tenant, by, "invoice.payment-failed", c.invoice, map[string]any{"number": c.number, "reference": r.Reference, "why": r.Note})
	})
	return booked, err
}

// PaidBack books money that went back to who paid an invoice, and reports that it is
// new. What is not owed back already is credited, with Note as the reason: a credit
// note goes with every amount that is returned.
func (b *Billing) PaidBack(ctx context.Context, s Scope, by By, r Receipt) (booked bool, err error) {
	if err := b.checkReceipt(&r); err != nil {
		return false, err
	}
	if r.Amount <= 0 || r.Amount > 1<<53 {
		return false, model.Errorf(model.Invalid, "what is paid back is an amount above zero")
	}
	err = b.change(ctx, s, r.Invoice, func(tx pgx.Tx, c *standing) error {
		booked, err = b.payBack(ctx, tx, c, by, r)
		return err
	})
	return booked, err
}

// payBack is PaidBack of an invoice that is locked.
func (b *Billing) payBack(ctx context.Context, tx pgx.Tx, c *standing, by By, r Receipt) (booked bool, err error) {
	back := r
	back.Kind, back.Amount = model.PaidBack, -r.Amount
	if booked, err = b.book(ctx, tx, c, by, back); err != nil || !booked {
		return false, err
	}
	if money := c.Paid - c.fromWallet; r.Amount > money {
		return false, model.Errorf(model.Conflict, "%s was paid for invoice %s: no more than that can be paid back", amountText(money, c.currency), c.number)
	}
	if beyond := r.Amount - c.Surplus(); beyond > 0 {
		n := note{kind: "refund", reference: "refund:" + r.Reference, reason: or(r.Note, "Paid back")}
		if _, err := b.credit(ctx, tx, c, by, n, gross(beyond)); err != nil {
			return false, err
		}
	}
	c.Paid -= r.Amount
	return true, audit(ctx, tx, c.tenant, by, "invoice.paid-back", c.invoice, map[string]any{"number": c.number, "amount": r.Amount, "reference": r.Reference})
}

// Void takes an invoice back as if it had not been made: a credit note takes off all
// of it. No money may have been paid, and prepaid credit goes back; its number stays,
// and what it was for is not billed again.
func (b *Billing) Void(ctx context.Context, s Scope, by By, invoice, reason string) error {
	if err := checkText("reason", reason, true, 500); err != nil {
		return err
	}
	return b.change(ctx, s, invoice, func(tx pgx.Tx, c *standing) error {
		switch {
		case c.State == model.StateVoid:
			return nil
		case c.Paid > c.fromWallet:
			return model.Errorf(model.Conflict, "%s was paid for invoice %s: it cannot be void; credit it and pay that back", amountText(c.Paid-c.fromWallet, c.currency), c.number)
		case c.Due == 0:
			return model.Errorf(model.Conflict, "nothing is open of invoice %s: there is nothing to take back", c.number)
		}
		if _, err := b.credit(ctx, tx, c, by, note{kind: "void", reference: "void", reason: reason}, gross(c.Due)); err != nil {
			return err
		}
		c.State, c.LastError = model.StateVoid, ""
		return audit(ctx, tx, c.tenant, by, "invoice.void", c.invoice, map[string]any{"number": c.number, "reason": reason})
	})
}

// GiveUp marks an invoice as one that will not be paid. It stays owed: money that
// comes all the same is booked as ever.
func (b *Billing) GiveUp(ctx context.Context, s Scope, by By, invoice, reason string) error {
	if err := checkText("reason", reason, true, 500); err != nil {
		return err
	}
	return b.change(ctx, s, invoice, func(tx pgx.Tx, c *standing) error {
		switch c.State {
		case model.StateUncollectible:
			return nil
		case model.StateOpen, model.StatePastDue:
		default:
			return model.Errorf(model.Conflict, "nothing is open of invoice %s: there is nothing to give up", c.number)
		}
		c.State = model.StateUncollectible
		return audit(ctx, tx, c.tenant, by, "invoice.uncollectible", c.invoice, map[string]any{"number": c.number, "reason": reason})
	})
}

// LeftByStripe notes that Stripe gave up collecting an invoice. It stands as it did, past due
// or not, and its developer stays refused where it was: to give it up, and let the developer
// in again, is for the seller to say.
func (b *Billing) LeftByStripe(ctx context.Context, s Scope, invoice string) error {
	return b.change(ctx, s, invoice, func(_ pgx.Tx, c *standing) error {
		if c.By == model.PaidByStripe {
			c.By, c.LastError = model.PaidByHand, "Stripe gave it up: collect it yourself, or give it up here, too"
		}
		return nil
	})
}

// CollectBy says who collects an invoice from now on: "hand" or "stripe".
func (b *Billing) CollectBy(ctx context.Context, s Scope, invoice, by string) error {
	if by != model.PaidByHand && by != model.PaidByStripe {
		return model.Errorf(model.Invalid, "an invoice is collected by %s or by %s, not by %q", model.PaidByHand, model.PaidByStripe, by)
	}
	return b.change(ctx, s, invoice, func(_ pgx.Tx, c *standing) error { c.By = by; return nil })
}
