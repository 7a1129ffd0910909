package billing

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Letter is a mail to who pays.
type Letter struct {
	Tenant                     uint32
	To, Purpose, Subject, Text string
}

// addressee is who a letter about an invoice is to, and who it is from.
type addressee struct {
	from, to model.Party
	slug     string // of the portal where the invoice is looked at
}

func (b *Billing) addressee(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string) (a addressee, err error) {
	err = tx.QueryRow(ctx, `
		select i.from_party, i.to_party, coalesce(p.slug, '') from invoice i left join portal p on p.tenant_id = i.tenant_id and i.seller = 'tenant'
		where i.tenant_id = $1 and i.invoice_id = $2`, tenant, invoice).Scan(&a.from, &a.to, &a.slug)
	return a, err
}

// write sends a letter about an invoice with the transaction. Who has no address is
// not written to.
func (b *Billing) write(ctx context.Context, tx pgx.Tx, tenant uint32, invoice, purpose, subject string, a addressee, paragraphs ...string) error {
	if b.mail == nil || a.to.Email == "" {
		return nil
	}
	if b.link != nil {
		if l := b.link(a.slug, invoice); l != "" {
			paragraphs = append(paragraphs, "Look at it, with every hour behind each line: "+l)
		}
	}
	if a.from.Email != "" {
		paragraphs = append(paragraphs, "Questions? Write to "+a.from.Email+" .")
	}
	return b.mail(ctx, tx, Letter{Tenant: tenant, To: a.to.Email, Purpose: purpose, Subject: subject, Text: strings.Join(paragraphs, "\n\n") + "\n"})
}

func day(c *standing) string { return c.DueAt.UTC().Format("2 January 2006") }

// announce sends a final invoice.
func (b *Billing) announce(ctx context.Context, tx pgx.Tx, s Scope, invoice string) error {
	if b.mail == nil {
		return nil
	}
	c, err := standingOf(ctx, tx, s, invoice)
	if err != nil {
		return err
	}
	a, err := b.addressee(ctx, tx, c.tenant, invoice)
	if err != nil {
		return err
	}
	how := "Nothing is to be paid."
	if c.Open() > 0 {
		how = fmt.Sprintf("%s is to be paid by %s. Give %s as the reference.", amountText(c.Open(), c.currency), day(c), c.number)
	}
	if c.fromWallet > 0 {
		how = amountText(c.fromWallet, c.currency) + " of it is paid from your prepaid credit. " + how
	}
	return b.write(ctx, tx, c.tenant, invoice, "invoice", fmt.Sprintf("Invoice %s from %s", c.number, a.from.Name), a,
		fmt.Sprintf("%s has made invoice %s of %s.", a.from.Name, c.number, amountText(c.total, c.currency)), how)
}

func (b *Billing) remind(ctx context.Context, tx pgx.Tx, c *standing, r model.BillingRules) error {
	a, err := b.addressee(ctx, tx, c.tenant, c.invoice)
	if err != nil {
		return err
	}
	text := []string{fmt.Sprintf("Invoice %s was due on %s, and %s of it is open. Give %s as the reference when you pay.", c.number, day(c), amountText(c.Open(), c.currency), c.number)}
	if c.developer != "" && r.Unpaid == model.SuspendAccess {
		end := c.DueAt.AddDate(0, 0, r.GraceDays)
		if end.After(b.now()) {
			text = append(text, fmt.Sprintf("Your keys are refused from %s on while it is not paid.", end.UTC().Format("2 January 2006")))
		} else {
			text = append(text, "Your keys are refused until it is paid.")
		}
	}
	return b.write(ctx, tx, c.tenant, c.invoice, "reminder", fmt.Sprintf("Invoice %s from %s is past due", c.number, a.from.Name), a, text...)
}

// tellCredit sends a credit note.
func (b *Billing) tellCredit(ctx context.Context, tx pgx.Tx, c *standing, n *model.CreditNote) error {
	if b.mail == nil {
		return nil
	}
	seller := BySeller
	if c.developer == "" {
		seller = ByOperator
	}
	r, err := rules(ctx, tx, c.tenant, seller)
	if err != nil || !r.Mail {
		return err
	}
	a, err := b.addressee(ctx, tx, c.tenant, c.invoice)
	if err != nil {
		return err
	}
	return b.write(ctx, tx, c.tenant, c.invoice, "credit note", fmt.Sprintf("Credit note %s from %s", n.Number, a.from.Name), a,
		fmt.Sprintf("%s credits %s of invoice %s: %s.", a.from.Name, amountText(n.Amount, c.currency), c.number, strings.TrimSuffix(n.Reason, ".")))
}
