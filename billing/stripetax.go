package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// TaxQuestion is a bill whose tax Stripe Tax works out: its net amount, from whom and to
// whom. The same question has the same answer.
type TaxQuestion struct {
	Seller    string      `json:"seller"`
	Developer string      `json:"developer,omitempty"`
	Month     time.Time   `json:"month"`
	Currency  string      `json:"currency"`
	Net       int64       `json:"net"` // minor units, above zero
	From      model.Party `json:"from"`
	To        model.Party `json:"to"`
}

func (q *TaxQuestion) hash() (string, []byte, error) {
	doc, err := json.Marshal(q)
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:]), doc, err
}

// errUntaxed is said where a bill cannot be final for want of its tax.
var errUntaxed = model.Errorf(model.Unavailable, "Stripe Tax has not worked out the tax of a draft as it stands now. Drafts are made anew and ask for it; try again in a minute, or look at what a draft says of its tax")

// taxed puts the tax on the bills of a month, as the seller's rules say.
func taxed(ctx context.Context, tx pgx.Tx, q question, r *model.BillingRules, all []bill) error {
	for i := range all {
		b := &all[i]
		if !r.StripeTax {
			b.tax(r.Taxes)
			continue
		}
		if err := b.quoted(ctx, tx, q); err != nil {
			return err
		}
	}
	return nil
}

// quoted puts the tax on a bill that Stripe Tax said of it. Until it did, there is none,
// and the bill cannot be final.
func (b *bill) quoted(ctx context.Context, tx pgx.Tx, q question) error {
	b.taxes = []model.TaxLine{}
	net := b.net()
	if net <= 0 { // nothing, or credit notes with the tax of their invoices
		return nil
	}
	ask := &TaxQuestion{Seller: q.seller, Developer: b.developer, Month: q.month.UTC(), Currency: b.currency, Net: net, From: b.from, To: b.to}
	hash, _, err := ask.hash()
	if err != nil {
		return err
	}
	var taxes []model.TaxLine
	var problem string
	err = tx.QueryRow(ctx, `select taxes, problem from tax_quote where tenant_id = $1 and hash = $2`, b.tenant, hash).Scan(&taxes, &problem)
	switch {
	case err != nil && err != pgx.ErrNoRows:
		return err
	case err == nil && taxes != nil:
		b.share(taxes)
		return nil
	}
	b.untaxed = ask
	b.taxes = []model.TaxLine{{Name: "Tax", Percent: "0", Base: net, Note: or(problem, "Stripe Tax has not worked it out yet")}}
	return nil
}

// askTax notes what is to be asked of Stripe Tax, and has it asked.
func (b *Billing) askTax(ctx context.Context, tx pgx.Tx, bl *bill) error {
	if bl.untaxed == nil {
		return nil
	}
	hash, doc, err := bl.untaxed.hash()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		insert into tax_quote (tenant_id, hash, question, asked_at) values ($1, $2, $3, $4)
		on conflict (tenant_id, hash) do update set problem = '', asked_at = excluded.asked_at where tax_quote.taxes is null`,
		bl.tenant, hash, doc, b.now()); err != nil {
		return err
	}
	if b.taxAsked == nil {
		return NoStripeTax(ctx, tx, bl.tenant, hash)
	}
	return b.taxAsked(ctx, tx, bl.tenant, hash)
}

// NoStripeTax says of a question that there is no Stripe to ask.
func NoStripeTax(ctx context.Context, tx pgx.Tx, tenant uint32, hash string) error {
	_, err := tx.Exec(ctx, `update tax_quote set problem = 'Stripe is not set up on this installation, so that Stripe Tax cannot be asked' where tenant_id = $1 and hash = $2`, tenant, hash)
	return err
}

// TaxQuestion is what was asked under a hash; nil: it is answered, or nobody asks.
func (b *Billing) TaxQuestion(ctx context.Context, tenant uint32, hash string) (q *TaxQuestion, err error) {
	err = b.read(ctx, Scope{Tenant: tenant}, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select question from tax_quote where tenant_id = $1 and hash = $2 and taxes is null`, tenant, hash).Scan(&q)
	})
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	return q, err
}

// AnswerTax keeps what Stripe Tax said, or why it said nothing, and makes the drafts that
// wait for it anew.
func (b *Billing) AnswerTax(ctx context.Context, tenant uint32, hash string, taxes []model.TaxLine, problem string) error {
	var q TaxQuestion
	err := b.in(ctx, Scope{Tenant: tenant}, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var doc any // null while there is a problem
		if problem == "" {
			doc = taxes
		}
		return tx.QueryRow(ctx, `
			update tax_quote set taxes = $3, problem = $4 where tenant_id = $1 and hash = $2 and taxes is null returning question`,
			tenant, hash, doc, cutText(problem, 300)).Scan(&q)
	})
	if err == pgx.ErrNoRows { // answered already
		return nil
	}
	if err != nil {
		return err
	}
	_, err = b.runTaxed(ctx, tenant, q.Seller, clockwork, q.Month, false)
	return err
}

func cutText(s string, n int) string {
	r := []rune(s)
	return string(r[:min(len(r), n)])
}
