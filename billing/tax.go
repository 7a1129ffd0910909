package billing

import (
	"context"
	"math/big"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// tax puts the tax on a bill, as its seller's rates say of where the payer is: each
// rate on the sum of the lines, rounded once, half away from zero; the lines hold
// their parts of it.
func (b *bill) tax(rates []model.TaxRate) {
	b.taxes = taxesOf(rates, b.from, b.to, b.net())
	var all int64
	for _, t := range b.taxes {
		all += t.Amount
	}
	weights := make([]int64, len(b.lines))
	for i := range b.lines {
		weights[i] = b.lines[i].amount()
	}
	for i, part := range share(all, weights) {
		b.lines[i].tax = part
	}
}

// reverseCharge is what an invoice without tax to a business in another country of
// the European Union has to say.
const reverseCharge = "Reverse charge: the recipient accounts for the VAT (Art. 196, Directive 2006/112/EC)"

// taxesOf are the taxes on a net amount. Where nobody said where the payer is, it is
// taxed as if at home: it can be put right by a credit note, and what was not charged
// cannot.
func taxesOf(rates []model.TaxRate, from, to model.Party, net int64) []model.TaxLine {
	if len(rates) == 0 {
		return []model.TaxLine{}
	}
	country, region := to.Country, to.Region
	if country == "" {
		country, region = from.Country, from.Region
	}
	if from.Country != country && model.InEU(from.Country) && model.IsVATID(country, to.TaxID) {
		return []model.TaxLine{{Name: "VAT", Percent: "0", Base: net, Note: reverseCharge}}
	}
	at := func(region string) (out []model.TaxLine) {
		for _, r := range rates {
			if r.Country == country && r.Region == region {
				out = append(out, model.TaxLine{Name: r.Name, Percent: r.Percent.Canonical(), Base: net, Amount: percentOf(r.Percent, net)})
			}
		}
		return out
	}
	out := at(region)
	if len(out) == 0 {
		out = at("")
	}
	if len(out) == 0 {
		where := strings.TrimSpace(country + " " + region)
		if where == "" {
			where = "a country that nobody has named"
		}
		return []model.TaxLine{{Name: "Tax", Percent: "0", Base: net, Note: "No tax is charged in " + where}}
	}
	return out
}

// percentOf rounds once, half away from zero.
func percentOf(percent model.Decimal, net int64) int64 {
	p, ok := new(big.Rat).SetString(string(percent))
	if !ok {
		return 0 // rules are checked before they are stored
	}
	return proportion(net, p.Num(), new(big.Int).Mul(p.Denom(), big.NewInt(100)))
}

// proportion is amount × num ÷ den (above zero), half away from zero.
func proportion(amount int64, num, den *big.Int) int64 {
	n := new(big.Int).Mul(big.NewInt(amount), num)
	sign := n.Sign()
	n.Abs(n).Mul(n, big.NewInt(2)).Add(n, den)
	n.Quo(n, new(big.Int).Mul(den, big.NewInt(2)))
	return n.Int64() * int64(sign)
}

// share divides an amount by weights, which may be below zero but not in their sum:
// the parts add up to it exactly, by the largest remainders.
func share(amount int64, weights []int64) []int64 {
	out := make([]int64, len(weights))
	var sum int64
	for _, w := range weights {
		sum += w
	}
	if sum == 0 || amount == 0 {
		return out
	}
	type rest struct {
		at int
		of *big.Int
	}
	rests := make([]rest, len(weights))
	den, left := big.NewInt(sum), amount
	if sum < 0 {
		den.Neg(den)
	}
	for i, w := range weights {
		n := new(big.Int).Mul(big.NewInt(amount), big.NewInt(w))
		if sum < 0 {
			n.Neg(n)
		}
		part, r := new(big.Int).DivMod(n, den, new(big.Int)) // the floor, so that every rest is what is missing
		out[i], rests[i] = part.Int64(), rest{i, r}
		left -= out[i]
	}
	slices.SortStableFunc(rests, func(a, b rest) int { return b.of.Cmp(a.of) })
	for i := range left { // fewer than there are weights
		out[rests[i].at]++
	}
	return out
}

// rules are what a seller decides: the tenant, or, of bills to it, the operator.
func rules(ctx context.Context, tx pgx.Tx, tenant uint32, seller string) (model.BillingRules, error) {
	sql := `select billing_rules from tenant where tenant_id = $1`
	args := []any{tenant}
	if seller == ByOperator {
		sql, args = `select billing_rules from installation`, nil
	}
	var doc []byte
	if err := tx.QueryRow(ctx, sql, args...).Scan(&doc); err != nil {
		return model.BillingRules{}, err
	}
	return model.ReadBillingRules(doc)
}

// Rules are what the scope's seller has decided about its invoices.
func (b *Billing) Rules(ctx context.Context, s Scope) (r model.BillingRules, err error) {
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		r, err = rules(ctx, tx, s.Tenant, s.sells())
		return err
	})
	return r, err
}

// RulesOf are what a payer's seller has decided.
func (b *Billing) RulesOf(ctx context.Context, p Payer) (r model.BillingRules, err error) {
	err = b.read(ctx, p.rows(), func(tx pgx.Tx) error {
		r, err = rules(ctx, tx, p.Tenant, p.sells())
		return err
	})
	return r, err
}

// SetRules decides about invoices from now on. Those that are final keep their due
// dates and their tax; drafts take the tax when they are made anew, or final.
func (b *Billing) SetRules(ctx context.Context, s Scope, by By, r model.BillingRules) error {
	if s.Developer != "" {
		return model.Errorf(model.Denied, "a developer does not make invoices")
	}
	if _, err := r.Check(); err != nil {
		return err
	}
	for i := range r.Taxes {
		r.Taxes[i].Percent = r.Taxes[i].Percent.Canonical()
	}
	return b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if s.Tenant != 0 { // what an overdue developer's keys open may be another thing now
			rows, err := tx.Query(ctx, `select developer_id from developer where tenant_id = $1 and overdue_at is not null`, s.Tenant)
			if err != nil {
				return err
			}
			overdue, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			for _, d := range overdue {
				if err := later(ctx, tx, accessArgs{Tenant: s.Tenant, Developer: d, Again: true}); err != nil {
					return err
				}
			}
		}
		sql := `update tenant set billing_rules = $1 where tenant_id = $2`
		if s.Tenant == 0 {
			sql = `update installation set billing_rules = $1, updated_at = now() where $2 = 0`
		}
		if _, err := tx.Exec(ctx, sql, r, s.Tenant); err != nil {
			return err
		}
		detail := map[string]any{"termDays": r.TermDays, "reminders": r.Reminders, "graceDays": r.GraceDays, "unpaid": r.Unpaid, "taxes": r.Taxes, "mail": r.Mail, "topUps": r.TopUps}
		return audit(ctx, tx, s.Tenant, by, "billing.rules", "terms and tax", detail)
	})
}
