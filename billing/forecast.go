package billing

import (
	"context"
	"math/big"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// Forecast is what a tenant's own bill of this month comes to at its end: if calls go on
// as they did on average so far, and what is there by the hour stays.
func (b *Billing) Forecast(ctx context.Context, s Scope) ([]InvoiceDetail, error) {
	if s.Tenant == 0 || s.Developer != "" {
		return nil, model.Errorf(model.Invalid, "a forecast is of one account")
	}
	now := b.now()
	begin, end := rate.Month(now)
	q := question{tenant: s.Tenant, seller: ByOperator, month: begin, gen: everything, asOf: end}
	var out []bill
	err := b.read(ctx, Scope{Tenant: s.Tenant}, func(tx pgx.Tx) error {
		all, err := uses(ctx, tx, q)
		if err != nil {
			return err
		}
		if err := tried(ctx, tx, q, all); err != nil {
			return err
		}
		r, err := rules(ctx, tx, q.tenant, q.seller)
		if err != nil {
			return err
		}
		for i := range all {
			u, since := &all[i], begin
			if u.Since.After(since) {
				since = u.Since
			}
			passed, whole := max(now.Unix()-since.Unix(), 1), end.Unix()-since.Unix()
			u.Calls, u.BytesOut = grown(u.Calls, whole, passed), grown(u.BytesOut, whole, passed)
		}
		off, err := coupons(ctx, tx, q)
		if err != nil {
			return err
		}
		if out, err = bills(q.tenant, all, off); err != nil {
			return err
		}
		return taxed(ctx, tx, q, &r, out)
	})
	if err != nil {
		return nil, err
	}
	return b.details(out, ByOperator, begin), nil
}

// grown is n as it is after the whole time, where a part of it has passed; no more than
// can be priced.
func grown(n, whole, passed int64) int64 {
	x := new(big.Int).Mul(big.NewInt(n), big.NewInt(whole))
	x.Quo(x, big.NewInt(passed))
	if !x.IsInt64() || x.Int64() > model.MaxSheetCalls {
		return model.MaxSheetCalls
	}
	return max(x.Int64(), n)
}
