package billing

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/rate"
	"tollgate/model"
)

// bill is what one payer owes for one month in one currency, before it is stored.
type bill struct {
	tenant    uint32
	developer string // empty: the tenant pays the operator
	currency  string
	from, to  model.Party
	series    string // of its number, once it is final
	lines     []billLine
	parts     []part // what coupons are of
	taxes     []model.TaxLine
}

type billLine struct {
	rate.Line
	subscription uint64
	sheet        uint32
	title        string
	use          string // of a customer's coupon: the line is of no subscription
	invoiced     int64
	before       bool // an earlier invoice of the month holds this line
	known        int64
	tax          int64
}

func (l *billLine) amount() int64 { return l.Amount - l.invoiced }

// everything is a generation that no usage has reached.
const everything = math.MaxInt32

// used is what tenant $1 used in the month from $2 to $3, up to generation $4, of
// calls that are paid for; with a condition, of some subscriptions only. These are
// all meters that a sheet can price.
func used(only string) string {
	return `
	used as (
		select subscription_id, sum(calls) as calls, sum(bytes_out) as bytes_out from (
			select subscription_id, calls::numeric, bytes_out::numeric from usage_line
			where tenant_id = $1 and hour >= $2 and hour < $3 and gen <= $4 and flags & 1 = 1` + only + `
			union all
			select subscription_id, calls, bytes_out from usage_day
			where tenant_id = $1 and day >= $2 and day < $3 and gen <= $4 and flags & 1 = 1` + only + `) u
		group by subscription_id)`
}

// ofDeveloper are the subscriptions of developer $6's apps.
const ofDeveloper = `
				and subscription_id in (select s.subscription_id from subscription s join app a using (tenant_id, app_id)
					where s.tenant_id = $1 and a.developer_id = $6)`

// invoiced is what final invoices of the month hold, by meter.
const invoiced = `
	invoiced as (
		select subscription_id, sheet_num, jsonb_object_agg(meter, jsonb_build_object('amount', amount, 'quantity', quantity)) as meters from (
			select l.subscription_id, l.sheet_num, l.meter, sum(l.amount)::bigint as amount, max(l.quantity)::bigint as quantity
			from invoice i join invoice_line l using (tenant_id, invoice_id)
			where i.tenant_id = $1 and i.period_start = $2 and i.state = 'final' and i.seller = $5
			group by 1, 2, 3) m
		group by 1, 2)`

// developerUse is every subscription of a portal's developer that has a price and
// was there in the month, with what it used. A subscription that another one
// continued is charged its fee up to then; one that was ended, and whose quota a
// later one only took over, is charged the month it had begun.
const developerUse = invoiced + `
	select a.developer_id, d.email, d.name, d.billing, t.account_id, t.name, t.email, t.seller,
		s.subscription_id, s.terms, ps.sheet, pl.name || ' · ' || a.name, least(s.started_at, o.started_at), s.started_at,
		case when s.ended_at <= $2 or exists (select from subscription n where n.tenant_id = s.tenant_id and n.ledger_id = s.ledger_id and n.started_at = s.ended_at)
			then s.ended_at end,
		coalesce(used.calls, 0)::bigint, coalesce(used.bytes_out, 0)::bigint, coalesce(w.meters, '{}'), s.plan_id, s.ended_at is not null
	from subscription s
	join app a using (tenant_id, app_id)
	join developer d using (tenant_id, developer_id)
	join plan pl using (tenant_id, plan_id)
	join tenant t using (tenant_id)
	join subscription o on o.tenant_id = s.tenant_id and o.subscription_id = s.ledger_id
	left join price_sheet ps on ps.tenant_id = s.tenant_id and ps.sheet_num = s.terms
	left join used on used.subscription_id = s.subscription_id
	left join invoiced w on w.subscription_id = s.subscription_id and w.sheet_num = ps.sheet_num
	where s.tenant_id = $1 and ($6 = '' or a.developer_id = $6) and (ps.sheet_num is not null or $7)
		and (s.started_at < $3 and (s.ended_at is null or s.ended_at > $2) or used.calls > 0 or w.meters is not null)
	order by a.developer_id, ps.sheet->>'currency', pl.name, a.name, s.subscription_id`

// tenantUse is what a tenant used in all, with the operator's prices of the month.
const tenantUse = invoiced + `,
	sheet as (
		select sheet_num, sheet from price_sheet where tenant_id is null and from_month <= ($2 at time zone 'UTC')::date
		order by from_month desc, sheet_num desc limit 1)
	select '', t.email, t.name, t.seller, 'operator', coalesce(i.seller->>'name', ''), coalesce(i.seller->>'email', ''), i.seller,
		0::bigint, ps.sheet_num, ps.sheet, 'API calls', t.created_at, t.created_at, null::timestamptz,
		(select coalesce(sum(calls), 0)::bigint from used), (select coalesce(sum(bytes_out), 0)::bigint from used), coalesce(w.meters, '{}'), '', false
	from tenant t cross join sheet ps cross join installation i
	left join invoiced w on w.subscription_id = 0 and w.sheet_num = ps.sheet_num
	where t.tenant_id = $1 and t.created_at < $3 and $6 = '' and not $7`

// use is one subscription's month as the books know it.
type use struct {
	developer    string
	account      string
	from, to     model.Party
	subscription uint64 // 0: the tenant's whole account
	plan         string
	ended        bool
	num          uint32
	sheet        *model.PriceSheet // nil: without a price
	title        string
	rate.Use
	was map[string]was // by meter
}

// was is what final invoices of the month hold of a line.
type was struct {
	Amount   int64 `json:"amount"`
	Quantity int64 `json:"quantity"`
}

// question is whose month is asked for, by all usage up to a generation.
type question struct {
	tenant    uint32
	seller    string
	developer string // only of this one
	month     time.Time
	gen       int
	free      bool // subscriptions without a price too
}

// uses reads what there is to bill of a month.
func uses(ctx context.Context, tx pgx.Tx, q question) ([]use, error) {
	begin, end := rate.Month(q.month)
	sql := used("") + `, ` + developerUse
	switch {
	case q.seller == ByOperator:
		sql = used("") + `, ` + tenantUse
	case q.developer != "":
		sql = used(ofDeveloper) + `, ` + developerUse
	}
	rows, err := tx.Query(ctx, `with `+sql, q.tenant, begin, end, q.gen, q.seller, q.developer, q.free)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (u use, err error) {
		var email, name, sellerName, sellerEmail string
		var until *time.Time
		u.Month = begin
		err = r.Scan(&u.developer, &email, &name, &u.to, &u.account, &sellerName, &sellerEmail, &u.from,
			&u.subscription, &u.num, &u.sheet, &u.title, &u.First, &u.Since, &until, &u.Calls, &u.BytesOut, &u.was, &u.plan, &u.ended)
		if until != nil {
			u.Until = *until
		}
		u.from, u.to = party(u.from, sellerName, sellerEmail), party(u.to, name, email)
		return u, err
	})
}

// tried fills in what was used before the end of a trial, where one reaches into
// the month: a trial ends with a day, and usage is summed up by days.
func tried(ctx context.Context, tx pgx.Tx, q question, all []use) error {
	begin, end := rate.Month(q.month)
	var ids []int64
	var ends []time.Time
	of := map[uint64]*use{}
	for i := range all {
		u := &all[i]
		if u.sheet == nil || u.sheet.TrialDays == 0 {
			continue
		}
		if t := u.sheet.TrialEnd(u.First); t.After(begin) {
			ids, ends = append(ids, int64(u.subscription)), append(ends, t)
			of[u.subscription] = u
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		select t.id, sum(u.calls)::bigint, sum(u.bytes_out)::bigint
		from unnest($5::bigint[], $6::timestamptz[]) t (id, ends) join (
			select subscription_id, hour as at, calls::numeric, bytes_out::numeric from usage_line
			where tenant_id = $1 and hour >= $2 and hour < $3 and gen <= $4 and flags & 1 = 1
			union all
			select subscription_id, day, calls, bytes_out from usage_day
			where tenant_id = $1 and day >= $2 and day < $3 and gen <= $4 and flags & 1 = 1) u
			on (t.id = 0 or u.subscription_id = t.id) and u.at < t.ends
		group by t.id`, q.tenant, begin, end, q.gen, ids, ends)
	if err != nil {
		return err
	}
	var id uint64
	var n rate.Trial
	_, err = pgx.ForEachRow(rows, []any{&id, &n.Calls, &n.BytesOut}, func() error {
		of[id].Trial = n
		return nil
	})
	return err
}

// compute is what is owed for a month.
func compute(ctx context.Context, tx pgx.Tx, q question) ([]bill, error) {
	all, err := uses(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	if err := tried(ctx, tx, q, all); err != nil {
		return nil, err
	}
	r, err := rules(ctx, tx, q.tenant, q.seller)
	if err != nil {
		return nil, err
	}
	off, err := coupons(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	out, err := bills(q.tenant, all, off)
	for i := range out {
		out[i].tax(r.Taxes)
	}
	return out, err
}

// bills makes the bills of uses that are sorted by payer and currency, with the coupons
// that payers have. It is all that makes amounts: of drafts, of what is final, and of
// every preview.
func bills(tenant uint32, all []use, off []couponUse) ([]bill, error) {
	var out []bill
	for n := range all {
		u := &all[n]
		lines, err := rate.Lines(u.sheet, u.Use)
		if err != nil {
			return nil, fmt.Errorf("subscription %d: %w", u.subscription, err)
		}
		i := len(out) - 1
		if i < 0 || out[i].developer != u.developer || out[i].currency != u.sheet.Currency {
			out = append(out, bill{tenant: tenant, developer: u.developer, currency: u.sheet.Currency, series: u.account, from: u.from, to: u.to})
			i++
		}
		out[i].parts = append(out[i].parts, part{u.subscription, u.plan, rate.Total(lines)})
		for _, l := range lines {
			w, before := u.was[l.Meter]
			bl := billLine{Line: l, subscription: u.subscription, sheet: u.num, title: u.title, invoiced: w.Amount, before: before, known: w.Quantity}
			if model.Used(l.Meter) && (l.Quantity < w.Quantity || bl.amount() < 0 && !falls(u.sheet, l.Meter)) {
				// Usage is only ever added to: less than before means that the books are wrong.
				return nil, fmt.Errorf("subscription %d: %d %s of %s cost %d now and %d were invoiced with %d",
					u.subscription, l.Quantity, l.Meter, MonthText(u.Month), l.Amount, w.Quantity, w.Amount)
			}
			if bl.news() {
				out[i].lines = append(out[i].lines, bl)
			}
		}
	}
	owed := out[:0]
	for _, b := range out {
		if err := b.take(off); err != nil {
			return nil, err
		}
		if b.due() {
			owed = append(owed, b)
		}
	}
	return owed, nil
}

// falls reports that more of a meter can cost less: at the first unit of a tier
// that all units have the price of.
func falls(s *model.PriceSheet, meter string) bool {
	return slices.ContainsFunc(s.Metered(), func(m model.MeterPrice) bool { return m.Meter == meter && m.Model == model.Volume })
}

// news reports that the line says something that no invoice of the month does.
func (l *billLine) news() bool {
	if l.before {
		return l.amount() != 0 || l.Quantity > l.known
	}
	return l.Amount != 0 || model.Used(l.Meter) && l.Quantity > 0
}

// due reports that the bill has to be made: an amount that changed, or a first
// account of what was used for nothing.
func (b *bill) due() bool {
	for i := range b.lines {
		if b.lines[i].amount() != 0 || !b.lines[i].before {
			return true
		}
	}
	return false
}

func (b *bill) net() (sum int64) {
	for i := range b.lines {
		sum += b.lines[i].amount()
	}
	return sum
}

func (b *bill) taxed() (sum int64) {
	for _, t := range b.taxes {
		sum += t.Amount
	}
	return sum
}

// less reports that less is owed than was invoiced.
func (b *bill) less() bool { return b.net() < 0 }

func (b *bill) kind() string {
	if b.less() {
		return "adjustment"
	}
	return "invoice"
}

// credited makes the tax of an adjustment what its credit notes hold of it: they are
// taxed as the invoices were.
func (b *bill) credited(tax int64) {
	b.taxes = []model.TaxLine{}
	if tax != 0 {
		b.taxes = append(b.taxes, model.TaxLine{Name: "Tax", Percent: "0", Base: b.net(), Amount: -tax, Note: "As on the invoices that are credited"})
	}
	weights := make([]int64, len(b.lines))
	for i := range b.lines {
		weights[i] = b.lines[i].amount()
	}
	for i, part := range share(-tax, weights) {
		b.lines[i].tax = part
	}
}

func (b *bill) total() int64 { return b.net() + b.taxed() }

// party fills in what its own record of a party leaves out.
func party(p model.Party, name, email string) model.Party {
	if p.Name == "" {
		p.Name = name
	}
	if p.Name == "" {
		p.Name = email
	}
	if p.Email == "" {
		p.Email = email
	}
	return p
}
