package billing

import (
	"context"
	"fmt"
	"math"
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
}

type billLine struct {
	rate.Line
	subscription uint64
	sheet        uint32
	title        string
	invoiced     int64
	before       bool // an earlier invoice of the month holds this line
	known        int64
}

func (l *billLine) amount() int64 { return l.Amount - l.invoiced }

// everything is a generation that no usage has reached.
const everything = math.MaxInt32

// used is the billable calls of tenant $1 in the month from $2 to $3, up to
// generation $4; with a condition, of some subscriptions only.
func used(only string) string {
	return `
	used as (
		select subscription_id, sum(calls) as calls from (
			select subscription_id, calls::numeric from usage_line
			where tenant_id = $1 and hour >= $2 and hour < $3 and gen <= $4 and flags & 1 = 1` + only + `
			union all
			select subscription_id, calls from usage_day
			where tenant_id = $1 and day >= $2 and day < $3 and gen <= $4 and flags & 1 = 1` + only + `) u
		group by subscription_id)`
}

// ofDeveloper are the subscriptions of developer $6's apps.
const ofDeveloper = `
				and subscription_id in (select s.subscription_id from subscription s join app a using (tenant_id, app_id)
					where s.tenant_id = $1 and a.developer_id = $6)`

// invoiced is what final invoices of the month hold, by line.
const invoiced = `
	invoiced as (
		select l.subscription_id, l.sheet_num, l.meter, sum(l.amount)::bigint as amount, max(l.quantity)::bigint as quantity
		from invoice i join invoice_line l using (tenant_id, invoice_id)
		where i.tenant_id = $1 and i.period_start = $2 and i.state = 'final' and i.seller = $5
		group by 1, 2, 3)`

// developerUse is every subscription of a portal's developer that has a price and
// was there in the month, with what it used. A subscription that another one
// continued is charged its fee up to then; one that was ended, and whose quota a
// later one only took over, is charged the month it had begun.
const developerUse = invoiced + `
	select a.developer_id, d.email, d.name, d.billing, t.account_id, t.name, t.email, t.seller,
		s.subscription_id, s.terms, ps.sheet, pl.name || ' · ' || a.name, s.started_at,
		case when s.ended_at <= $2 or exists (select from subscription n where n.tenant_id = s.tenant_id and n.ledger_id = s.ledger_id and n.started_at = s.ended_at)
			then s.ended_at end,
		coalesce(used.calls, 0)::bigint, ` + invoicedColumns + `
	from subscription s
	join app a using (tenant_id, app_id)
	join developer d using (tenant_id, developer_id)
	join plan pl using (tenant_id, plan_id)
	join tenant t using (tenant_id)
	join price_sheet ps on ps.tenant_id = s.tenant_id and ps.sheet_num = s.terms
	left join used using (subscription_id)
	` + invoicedJoins + `
	where s.tenant_id = $1 and ($6 = '' or a.developer_id = $6)
		and (s.started_at < $3 and (s.ended_at is null or s.ended_at > $2) or used.calls > 0 or f.amount is not null or c.amount is not null)
	order by a.developer_id, ps.sheet->>'currency', pl.name, a.name, s.subscription_id`

const (
	invoicedColumns = `coalesce(f.amount, 0), f.amount is not null, coalesce(f.quantity, 0), coalesce(c.amount, 0), c.amount is not null, coalesce(c.quantity, 0)`
	invoicedJoins   = `left join invoiced f on f.subscription_id = s.subscription_id and f.sheet_num = ps.sheet_num and f.meter = 'fee'
	left join invoiced c on c.subscription_id = s.subscription_id and c.sheet_num = ps.sheet_num and c.meter = 'calls'`
)

// tenantUse is what a tenant used in all, with the operator's prices of the month.
const tenantUse = invoiced + `,
	sheet as (
		select sheet_num, sheet from price_sheet where tenant_id is null and from_month <= ($2 at time zone 'UTC')::date
		order by from_month desc, sheet_num desc limit 1)
	select '', '', '', '{}'::jsonb, 'operator', coalesce(i.seller->>'name', ''), coalesce(i.seller->>'email', ''), i.seller,
		s.subscription_id, ps.sheet_num, ps.sheet, 'API calls', t.created_at, null::timestamptz,
		(select coalesce(sum(calls), 0)::bigint from used), ` + invoicedColumns + `, t.name, t.email, t.seller
	from tenant t cross join sheet ps cross join installation i cross join (select 0::bigint as subscription_id) s
	` + invoicedJoins + `
	where t.tenant_id = $1 and t.created_at < $3 and $6 = ''`

// compute is what is owed for a month, by all usage up to a generation.
func compute(ctx context.Context, tx pgx.Tx, tenant uint32, seller, developer string, month time.Time, gen int) ([]bill, error) {
	begin, end := rate.Month(month)
	sql := used("") + `, ` + developerUse
	switch {
	case seller == ByOperator:
		sql = used("") + `, ` + tenantUse
	case developer != "":
		sql = used(ofDeveloper) + `, ` + developerUse
	}
	rows, err := tx.Query(ctx, `with `+sql, tenant, begin, end, gen, seller, developer)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []bill
	for rows.Next() {
		var dev, email, name, account, sellerName, sellerEmail, title string
		var to, from, payer model.Party
		var payerName, payerEmail string
		var sub uint64
		var sheetNum uint32
		var sheet model.PriceSheet
		var since time.Time
		var until *time.Time
		var calls int64
		var was [2]struct {
			amount int64
			there  bool
			known  int64
		}
		into := []any{&dev, &email, &name, &to, &account, &sellerName, &sellerEmail, &from, &sub, &sheetNum, &sheet, &title, &since, &until, &calls,
			&was[0].amount, &was[0].there, &was[0].known, &was[1].amount, &was[1].there, &was[1].known}
		if seller == ByOperator {
			into = append(into, &payerName, &payerEmail, &payer)
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if seller == ByOperator {
			to, name, email = payer, payerName, payerEmail
		}
		u := rate.Use{Month: begin, Since: since, Calls: calls}
		if until != nil {
			u.Until = *until
		}
		lines, err := rate.Lines(&sheet, u)
		if err != nil {
			return nil, fmt.Errorf("subscription %d: %w", sub, err)
		}
		i := len(out) - 1
		if i < 0 || out[i].developer != dev || out[i].currency != sheet.Currency {
			out = append(out, bill{tenant: tenant, developer: dev, currency: sheet.Currency, series: account,
				from: party(from, sellerName, sellerEmail), to: party(to, name, email)})
			i++
		}
		for _, l := range lines {
			w := was[0]
			if l.Meter == rate.Calls {
				w = was[1]
			}
			bl := billLine{Line: l, subscription: sub, sheet: sheetNum, title: title, invoiced: w.amount, before: w.there, known: w.known}
			if l.Meter == rate.Calls && bl.amount() < 0 {
				// Usage is only ever added to: less than before means that the books are wrong.
				return nil, fmt.Errorf("subscription %d: its calls of %s cost %d now and were invoiced with %d", sub, MonthText(month), l.Amount, w.amount)
			}
			if bl.news() {
				out[i].lines = append(out[i].lines, bl)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	owed := out[:0]
	for _, b := range out {
		if b.due() {
			owed = append(owed, b)
		}
	}
	return owed, nil
}

// news reports that the line says something that no invoice of the month does.
func (l *billLine) news() bool {
	if l.before {
		return l.amount() != 0 || l.Quantity > l.known
	}
	return l.Amount != 0 || l.Meter == rate.Calls && l.Quantity > 0
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

func (b *bill) total() (sum int64) {
	for i := range b.lines {
		sum += b.lines[i].amount()
	}
	return sum
}

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
