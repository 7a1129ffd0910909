package billing

import (
	"context"
	"fmt"
	"math/big"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tollgate/model"
)

// Credit takes an amount off an invoice: of some lines, or in all.
type Credit struct {
	Invoice   string
	Reference string // the same for the same credit: a second time it is the one there is
	Reason    string // printed on it
	Amount    int64  // minor units with tax; where there are no Lines
	Lines     []CreditPart
}

// CreditPart is a net amount off a line.
type CreditPart struct {
	Line int
	Net  int64
}

// note is a credit note that is being made.
type note struct {
	kind, reference, reason, adjustment string
}

// remaining is what credit notes have left of an invoice.
type remaining struct {
	net, tax         int64
	lines            []int64 // net, by line
	credited         int64   // with tax
	creditedNet      int64
	creditedTax      int64
	invoiced, invTax int64 // the invoice's own net and tax
}

// parts are what a credit note takes off each line, and its tax.
type parts struct {
	net []int64
	tax int64
}

func (p *parts) sum() (n int64) {
	for _, v := range p.net {
		n += v
	}
	return n
}

// take says what of what remains a credit note takes.
type take func(r *remaining) (parts, error)

// taxOf is the tax of so much more credited net, out of the whole: all that was
// credited has its share of the tax, rounded once, and the last note takes the rest.
func (r *remaining) taxOf(credited, more, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	upTo := proportion(r.invTax, big.NewInt(credited+more), big.NewInt(whole))
	return min(max(upTo-r.creditedTax, 0), r.tax)
}

// gross takes an amount with tax, off all lines in proportion.
func gross(amount int64) take {
	return func(r *remaining) (parts, error) {
		tax := r.tax
		if amount < r.net+r.tax {
			tax = r.taxOf(r.credited, amount, r.invoiced+r.invTax)
			tax = max(tax, amount-r.net) // no more net than there is
		}
		return parts{share(amount-tax, r.lines), tax}, nil
	}
}

// netOf takes a net amount with its tax, off all lines in proportion.
func netOf(amount int64) take {
	return func(r *remaining) (parts, error) {
		return parts{share(amount, r.lines), r.netTax(amount)}, nil
	}
}

func (r *remaining) netTax(net int64) int64 {
	if net == r.net {
		return r.tax
	}
	return r.taxOf(r.creditedNet, net, r.invoiced)
}

// ofLines takes net amounts off lines, with their tax.
func ofLines(lines []CreditPart) take {
	return func(r *remaining) (parts, error) {
		p := parts{net: make([]int64, len(r.lines))}
		for _, l := range lines {
			if l.Line < 1 || l.Line > len(r.lines) {
				return p, model.Errorf(model.Invalid, "the invoice has no line %d", l.Line)
			}
			left := r.lines[l.Line-1]
			if l.Net <= 0 || l.Net > left-p.net[l.Line-1] {
				return p, model.Errorf(model.Invalid, "no more than what is left of line %d can be credited", l.Line)
			}
			p.net[l.Line-1] += l.Net
		}
		if p.sum() > r.net {
			return p, model.Errorf(model.Invalid, "the lines add up to more than is left of the invoice: what was taken off it, such as a discount, is not paid back")
		}
		p.tax = r.netTax(p.sum())
		return p, nil
	}
}

// remainsOf reads what credit notes have left.
func remainsOf(ctx context.Context, tx pgx.Tx, c *standing) (*remaining, error) {
	r := &remaining{net: c.net, tax: c.tax, invoiced: c.net, invTax: c.tax}
	rows, err := tx.Query(ctx, `select amount from invoice_line where tenant_id = $1 and invoice_id = $2 order by line`, c.tenant, c.invoice)
	if err != nil {
		return nil, err
	}
	if r.lines, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `select amount, tax, lines from credit_note where tenant_id = $1 and invoice_id = $2`, c.tenant, c.invoice)
	if err != nil {
		return nil, err
	}
	var amount, tax int64
	var lines []model.CreditLine
	_, err = pgx.ForEachRow(rows, []any{&amount, &tax, &lines}, func() error {
		r.credited += amount
		r.creditedTax += tax
		r.creditedNet += amount - tax
		for _, l := range lines {
			r.lines[l.Line-1] -= l.Net
		}
		lines = nil
		return nil
	})
	r.net -= r.creditedNet
	r.tax -= r.creditedTax
	return r, err
}

// credit makes a credit note to the invoice, numbered without a gap, and takes its
// amount off what is due. It is never more than what is left of the invoice. One that
// comes again is the one there is.
func (b *Billing) credit(ctx context.Context, tx pgx.Tx, c *standing, by By, n note, t take) (out model.CreditNote, err error) {
	r, err := remainsOf(ctx, tx, c)
	if err != nil {
		return out, err
	}
	p, err := t(r)
	if err != nil {
		return out, err
	}
	net := p.sum()
	amount := net + p.tax
	if amount <= 0 || net < 0 || net > r.net || p.tax > r.tax || p.tax < 0 {
		return out, model.Errorf(model.Invalid, "%s can be credited of invoice %s, and not %s", amountText(r.net+r.tax, c.currency), c.number, amountText(amount, c.currency))
	}
	taxes := share(p.tax, p.net)
	out = model.CreditNote{ID: model.NewID(12), Kind: n.kind, InvoiceID: c.invoice, InvoiceNumber: c.number, AdjustmentID: n.adjustment,
		Reason: n.reason, Amount: amount, Tax: p.tax, By: or(by.Name, by.Member), CreatedAt: b.now()}
	for i, v := range p.net {
		if v != 0 || taxes[i] != 0 {
			out.Lines = append(out.Lines, model.CreditLine{Line: i + 1, Net: v, Tax: taxes[i]})
		}
	}
	serial, err := next(ctx, tx, c.series+"/credit")
	if err != nil {
		return out, err
	}
	out.Number = fmt.Sprintf("CN-%06d", serial)
	_, err = tx.Exec(ctx, `
		insert into credit_note (tenant_id, credit_note_id, invoice_id, adjustment_id, kind, series, serial, number, reference, reason, lines, tax, amount, by, created_at)
		values ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		c.tenant, out.ID, c.invoice, n.adjustment, n.kind, c.series+"/credit", serial, out.Number, n.reference, n.reason, out.Lines, out.Tax, out.Amount, out.By, out.CreatedAt)
	if err != nil {
		return out, err
	}
	c.Due -= amount
	if back := min(amount, c.Surplus(), c.fromWallet); back > 0 && n.kind != "refund" { // what goes with a refund is paid back in money
		if err := b.giveBack(ctx, tx, c, back, out.Number, by); err != nil {
			return out, err
		}
	}
	if err := b.tellCredit(ctx, tx, c, &out); err != nil {
		return out, err
	}
	return out, audit(ctx, tx, c.tenant, by, "invoice.credit", c.invoice, map[string]any{"number": out.Number, "invoice": c.number, "amount": amount, "kind": n.kind, "reason": n.reason})
}

// next is the next number of a series, which has no gaps: it is given back where the
// transaction is.
func next(ctx context.Context, tx pgx.Tx, series string) (serial int64, err error) {
	err = tx.QueryRow(ctx, `
		insert into invoice_series as s (series, next) values ($1, 2)
		on conflict (series) do update set next = s.next + 1
		returning next - 1`, series).Scan(&serial)
	return serial, err
}

// Credit makes a credit note. It comes off what is open of the invoice; what was paid
// beyond that is then owed back. The same reference makes no second one.
func (b *Billing) Credit(ctx context.Context, s Scope, by By, in Credit) (out model.CreditNote, err error) {
	if err := checkText("reason", in.Reason, true, 500); err != nil {
		return out, err
	}
	if err := checkText("reference", in.Reference, true, maxReference); err != nil {
		return out, err
	}
	if len(in.Lines) > 1000 || len(in.Lines) > 0 == (in.Amount != 0) || in.Amount < 0 {
		return out, model.Errorf(model.Invalid, "a credit note is of an amount above zero, or of lines")
	}
	t := gross(in.Amount)
	if len(in.Lines) > 0 {
		t = ofLines(in.Lines)
	}
	err = b.change(ctx, s, in.Invoice, func(tx pgx.Tx, c *standing) error {
		reference := "credit:" + in.Reference
		was, err := creditsOf(ctx, tx, `n.tenant_id = $1 and n.invoice_id = $2 and n.reference = $3`, c.tenant, c.invoice, reference)
		if err != nil {
			return err
		}
		if len(was) > 0 {
			if out = was[0]; !in.made(&out) {
				return model.Errorf(model.Conflict, "%q is credited of invoice %s already, with another amount or of other lines; give this credit a reference of its own", in.Reference, c.number)
			}
			return nil
		}
		if c.State == model.StateVoid {
			return model.Errorf(model.Conflict, "invoice %s is void: all of it is credited", c.number)
		}
		out, err = b.credit(ctx, tx, c, by, note{kind: "credit", reference: reference, reason: in.Reason}, t)
		return err
	})
	return out, err
}

// made reports that a note is what was asked for.
func (in *Credit) made(n *model.CreditNote) bool {
	if len(in.Lines) == 0 {
		return n.Amount == in.Amount
	}
	left := map[int]int64{}
	for _, l := range n.Lines {
		left[l.Line] = l.Net
	}
	for _, l := range in.Lines {
		left[l.Line] -= l.Net
	}
	for _, net := range left {
		if net != 0 {
			return false
		}
	}
	return true
}

// creditsOf reads credit notes n that a condition is true of, the oldest first.
func creditsOf(ctx context.Context, tx pgx.Tx, where string, args ...any) ([]model.CreditNote, error) {
	rows, err := tx.Query(ctx, `
		select n.credit_note_id, n.number, n.kind, n.invoice_id, i.number, coalesce(n.adjustment_id, ''), n.reason, n.amount, n.tax, n.lines, n.by, n.created_at
		from credit_note n join invoice i using (tenant_id, invoice_id) where `+where+` order by n.created_at, n.serial`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[model.CreditNote])
}

// adjust lets credit notes stand for a difference below zero: to the invoices of the
// same payer, month and currency, the newest first, each up to what is left of it.
// It returns the tax that they hold. What was credited by hand before is not credited
// twice: then less is left than the difference.
func (b *Billing) adjust(ctx context.Context, tx pgx.Tx, g group, bl *bill, id, number string, by By) (tax int64, err error) {
	rows, err := tx.Query(ctx, `
		select c.invoice_id from collection c join invoice i using (tenant_id, invoice_id)
		where i.tenant_id = $1 and i.seller = $2 and i.developer_id is not distinct from nullif($3, '') and i.period_start = $4 and i.currency = $5
			and i.state = 'final' and i.kind = 'invoice' and i.total > 0
		order by i.serial desc for update of c`, g.tenant, g.seller, bl.developer, g.month, bl.currency)
	if err != nil {
		return 0, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, err
	}
	left := -bl.net()
	for _, invoice := range ids {
		c, err := standingOf(ctx, tx, g.scope(), invoice)
		if err != nil {
			return 0, err
		}
		r, err := remainsOf(ctx, tx, c)
		if err != nil {
			return 0, err
		}
		amount := min(left, r.net)
		if amount <= 0 {
			continue
		}
		n := note{kind: "adjustment", reference: "adjustment:" + id, adjustment: id,
			reason: fmt.Sprintf("Difference %s: %s costs less by all that is known of it now", number, MonthText(g.month))}
		cn, err := b.credit(ctx, tx, c, by, n, netOf(amount))
		if err != nil {
			return 0, err
		}
		if err := b.keep(ctx, tx, c); err != nil {
			return 0, err
		}
		left -= amount
		tax += cn.Tax
	}
	return tax, nil
}

func decimalOf(minor int64, digits int) decimal.Decimal { return decimal.New(minor, int32(-digits)) }

// amountText writes an amount for people, without grouping: "12.50 EUR".
func amountText(minor int64, currency string) string {
	digits, _ := model.MinorDigits(currency)
	return decimalOf(minor, digits).StringFixed(int32(digits)) + " " + currency
}
