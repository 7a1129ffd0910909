package billing

import (
	"context"
	"math/big"
	"slices"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// A prepaid plan lets calls in as far as the payer's wallet reaches. All subscriptions of
// the payer in the wallet's currency are paid from it, so what one may have is what is left
// when everything else is taken off: what was used and is not invoiced yet, with its tax,
// and what others were granted, as if it were used.

// purse is what a ledger's month may cost at most, its fee and all, while the wallet
// reaches for everything its payer will be invoiced. The balance is read last: an invoice
// that becomes final meanwhile is taken off twice for a moment, and never not at all.
func (b *Billing) purse(ctx context.Context, tx pgx.Tx, p payerMonth, bd *bound, run *use, used []use, bounds map[uint64]*bound) (int64, error) {
	currency := run.sheet.Currency
	r, err := rules(ctx, tx, p.tenant, BySeller)
	if err != nil {
		return 0, err
	}
	owed, err := earlier(ctx, tx, p, currency)
	if err != nil {
		return 0, err
	}
	var others int64 // net, beyond what is invoiced
	for i := range used {
		u := &used[i]
		if u.sheet.Currency != currency {
			continue
		}
		for _, w := range u.was {
			others -= w.Amount
		}
		if slices.Contains(bd.subs, u.subscription) {
			continue
		}
		worst, err := granted(u, bounds)
		if err != nil {
			return 0, err
		}
		others += worst
	}
	a, err := b.available(ctx, tx, Payer{p.tenant, p.developer}, currency)
	if err != nil {
		return 0, err
	}
	var unsaid *big.Rat
	if r.StripeTax {
		if unsaid, err = taxAtMost(ctx, tx, p.tenant, p.developer, run.from, run.to); err != nil {
			return 0, err
		}
	}
	left := a.Balance - a.Owed - owed
	// The most that is no more than that with its tax.
	net := int64(sort.Search(int(max(left, 0)), func(n int) bool {
		return withTax(r, unsaid, run, int64(n)+1) > left
	}))
	return min(net, left) - others, nil
}

// withTax is a net amount with its tax, or with what that may be at most where Stripe Tax
// works it out.
func withTax(r model.BillingRules, unsaid *big.Rat, u *use, net int64) int64 {
	if unsaid != nil {
		return net + atMost(unsaid, net)
	}
	sum := net
	for _, t := range taxesOf(r.Taxes, u.from, u.to, net) {
		sum += t.Amount
	}
	return sum
}

// mostTax is the highest standard rate of a country's value added tax, Hungary's. It is
// kept for the tax of a payer of whom Stripe Tax was never asked.
var mostTax = big.NewRat(27, 100)

// taxAtMost is the part of a net amount that Stripe Tax may put on it, as far as is known
// before it is asked of that amount: what it put on the largest that the same seller owed
// was of the same payer, at the same addresses, and was rounded there.
func taxAtMost(ctx context.Context, tx pgx.Tx, tenant uint32, developer string, from, to model.Party) (*big.Rat, error) {
	var net, tax int64
	err := tx.QueryRow(ctx, `
		select (q.question->>'net')::bigint, (select coalesce(sum((t->>'amount')::bigint), 0)::bigint + count(*) from jsonb_array_elements(q.taxes) t)
		from tax_quote q where q.tenant_id = $1 and q.taxes is not null and q.question->>'seller' = 'tenant' and q.question->>'developer' = $2
			and q.question->'from' = $3::jsonb and q.question->'to' = $4::jsonb order by 1 desc limit 1`, tenant, developer, from, to).Scan(&net, &tax)
	switch {
	case err == pgx.ErrNoRows:
		return mostTax, nil
	case err != nil:
		return nil, err
	}
	return big.NewRat(tax, net), nil
}

// atMost is a part of a net amount, rounded up.
func atMost(part *big.Rat, net int64) int64 {
	x := new(big.Rat).Mul(part, new(big.Rat).SetInt64(net))
	n := new(big.Int).Add(x.Num(), x.Denom())
	return n.Sub(n, big.NewInt(1)).Quo(n, x.Denom()).Int64()
}

// granted is the most that the month of a subscription costs, whatever of what its ledger
// was granted is used.
func granted(u *use, bounds map[uint64]*bound) (int64, error) {
	calls := u.Calls
	for _, bd := range bounds {
		if bd.running == u.subscription {
			calls += max(0, bd.granted-bd.free-bd.sum())
		}
	}
	return rate.Worst(u.sheet, u.Use, reserve(u), calls)
}

// earlier is what was used in months before, with its tax, and not invoiced: of the one
// before, and of those that there are drafts of.
func earlier(ctx context.Context, tx pgx.Tx, p payerMonth, currency string) (sum int64, err error) {
	rows, err := tx.Query(ctx, `
		select distinct period_start from invoice where tenant_id = $1 and developer_id = $2 and seller = 'tenant' and state = 'draft' and period_start < $3
		union select $4::timestamptz order by 1`, p.tenant, p.developer, p.month, p.month.AddDate(0, -1, 0))
	if err != nil {
		return 0, err
	}
	months, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return 0, err
	}
	for _, m := range months {
		begin, _ := rate.Month(m)
		all, err := compute(ctx, tx, question{tenant: p.tenant, seller: BySeller, developer: p.developer, month: begin, gen: everything})
		if err != nil {
			return 0, err
		}
		for i := range all {
			bl := &all[i]
			if bl.currency != currency {
				continue
			}
			sum += max(0, bl.total())
			if bl.untaxed != nil {
				unsaid, err := taxAtMost(ctx, tx, p.tenant, p.developer, bl.from, bl.to)
				if err != nil {
					return 0, err
				}
				sum += atMost(unsaid, bl.net())
			}
		}
	}
	return sum, nil
}

// sum is how many granted calls are in and to be paid.
func (bd *bound) sum() (n int64) {
	for _, c := range bd.billable {
		n += c
	}
	return n
}

// alone keeps what the payer's other ledgers were not granted yet from being granted: the
// wallet's money was promised to this one, until they are reckoned anew.
func (bd *bound) alone(ctx context.Context, tx pgx.Tx, p payerMonth, bounds map[uint64]*bound) error {
	var others []int64
	for l, o := range bounds {
		if o != bd && o.prepaid {
			others = append(others, int64(l))
		}
	}
	if len(others) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		update quota_window set most = granted, computed_at = null
		where tenant_id = $1 and subscription_id = any($2) and kind = 1 and window_start = $3`, p.tenant, others, p.month)
	return err
}
