package billing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/intake"
	"tollgate/billing/rate"
	"tollgate/model"
)

// Unbilled is billable calls of a month that are on no invoice, with what they would
// cost at the price that applies, or why none does.
type Unbilled struct {
	What  string
	Calls int64
	Worth []Sum  // without tax
	Why   string // why there is no value
}

// unbilled are the calls of a tenant's month that no developer is charged for. What an
// invoice has yet to be made for is among what is owed.
func unbilled(ctx context.Context, tx pgx.Tx, tenant uint32, month time.Time) ([]Unbilled, error) {
	begin, end := rate.Month(month)
	rows, err := tx.Query(ctx, `
		with `+used("")+`
		select u.subscription_id, u.calls::bigint, u.bytes_out::bigint, coalesce(s.terms, 0), s.started_at, ps.sheet, s.subscription_id is null
		from used u left join subscription s on (s.tenant_id, s.subscription_id) = ($1, u.subscription_id)
		left join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (s.tenant_id, s.terms)
		where s.app_id is null or s.terms = 0 order by 1`, tenant, begin, end, everything)
	if err != nil {
		return nil, err
	}
	own := Unbilled{What: "By keys you gave out yourself, on plans with a price"}
	free := Unbilled{What: "On plans without a price", Why: "nothing is charged there"}
	keyless := Unbilled{What: "Without a key", Why: "no plan applies to them"}
	lost := Unbilled{What: "Of subscriptions that are not there", Why: "whose price would apply is not known"}
	worth := map[string]int64{}
	var id, calls, bytes int64
	var terms uint32
	var since *time.Time
	var sheet *model.PriceSheet
	var gone bool
	_, err = pgx.ForEachRow(rows, []any{&id, &calls, &bytes, &terms, &since, &sheet, &gone}, func() error {
		switch {
		case id == 0:
			keyless.Calls += calls
		case gone:
			lost.Calls += calls
		case sheet == nil:
			free.Calls += calls
		default:
			own.Calls += calls
			lines, err := rate.Lines(sheet, rate.Use{Month: begin, First: *since, Since: *since, Calls: calls, BytesOut: bytes})
			if err != nil {
				return fmt.Errorf("subscription %d: %w", id, err)
			}
			for i := range lines {
				if model.Journaled(lines[i].Meter) {
					worth[sheet.Currency] += lines[i].Amount
				}
			}
		}
		sheet, since = nil, nil
		return nil
	})
	own.Worth = byCurrency(worth)
	var out []Unbilled
	for _, u := range []Unbilled{own, free, keyless, lost} {
		if u.Calls > 0 {
			out = append(out, u)
		}
	}
	return out, err
}

func byCurrency(amounts map[string]int64) (out []Sum) {
	for _, c := range slices.Sorted(maps.Keys(amounts)) {
		digits, _ := model.MinorDigits(c)
		out = append(out, Sum{Currency: c, Digits: digits, Minor: amounts[c]})
	}
	return out
}

// extra is usage that is not in the books.
type extra struct{ calls, bytes int64 }

// worth is how much more a tenant's month would cost with usage that is not in the books:
// to the operator, or to the tenant's developers by their subscriptions.
func worth(ctx context.Context, tx pgx.Tx, q question, more map[uint64]extra, into map[string]int64) error {
	all, err := uses(ctx, tx, q)
	if err != nil {
		return err
	}
	var whole extra
	for _, x := range more {
		whole.calls, whole.bytes = whole.calls+x.calls, whole.bytes+x.bytes
	}
	for i := range all {
		u := &all[i]
		x := more[u.subscription]
		if q.seller == ByOperator {
			x = whole
		}
		if u.sheet == nil || x == (extra{}) {
			continue
		}
		without, err := rate.Lines(u.sheet, u.Use)
		if err != nil {
			return err
		}
		u.Calls, u.BytesOut = u.Calls+x.calls, u.BytesOut+x.bytes
		with, err := rate.Lines(u.sheet, u.Use)
		if err != nil {
			return err
		}
		into[u.sheet.Currency] += rate.Total(with) - rate.Total(without)
	}
	return nil
}

// TakeIn tries again the batches that were set aside, all of them or only the one named
// boot/seq, and says what became of each; see intake.TakeIn.
func (b *Billing) TakeIn(ctx context.Context, s Scope, by By, only string) ([]intake.Aside, error) {
	if s != Operator {
		return nil, model.Errorf(model.Denied, "what was set aside is the operator's to take in")
	}
	return intake.New(intake.Options{Pool: b.pool, Log: b.log, Now: b.now}).TakeIn(ctx, only, func(ctx context.Context, tx pgx.Tx, a intake.Aside) error {
		return audit(ctx, tx, 0, by, "batch.take-in", a.Batch, map[string]any{"gateway": a.Gateway, "calls": a.Calls})
	})
}

// setAside says what batches hold that were refused, and what it would cost.
func (b *Billing) setAside(ctx context.Context, c *model.Check) error {
	type of struct {
		tenant uint32
		month  time.Time
	}
	found := map[of]map[uint64]extra{}
	var calls, unreadable int64
	operator, tenants := map[string]int64{}, map[string]int64{}
	err := b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select encoded from usage_quarantine order by received_at limit 10000`)
		if err != nil {
			return err
		}
		var encoded []byte
		if _, err = pgx.ForEachRow(rows, []any{&encoded}, func() error {
			batch, err := model.DecodeBatch(encoded)
			if err != nil {
				unreadable++
				return nil
			}
			for i := range batch.Lines {
				l := &batch.Lines[i]
				if l.Flags&model.FlagBillable == 0 || !intake.Plausible(l) {
					continue
				}
				month, _ := rate.Month(time.Unix(l.Hour*3600, 0))
				at := of{l.Tenant, month}
				if found[at] == nil {
					found[at] = map[uint64]extra{}
				}
				x := found[at][l.Subscription]
				found[at][l.Subscription] = extra{x.calls + int64(l.Calls), x.bytes + int64(l.BytesOut)}
				calls += int64(l.Calls)
			}
			return nil
		}); err != nil {
			return err
		}
		for at, more := range found {
			for seller, into := range map[string]map[string]int64{ByOperator: operator, BySeller: tenants} {
				if err := worth(ctx, tx, question{tenant: at.tenant, seller: seller, month: at.month, gen: everything}, more, into); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	figure(c, "calls set aside", calls)
	if unreadable > 0 {
		figure(c, "set aside that cannot be read, so without a value", unreadable)
	}
	for _, s := range byCurrency(operator) {
		figure(c, "minor units of "+s.Currency+" that they are worth to the operator", s.Minor)
	}
	for _, s := range byCurrency(tenants) {
		figure(c, "minor units of "+s.Currency+" that they are worth to tenants", s.Minor)
	}
	return nil
}
