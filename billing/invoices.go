package billing

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tollgate/billing/rate"
	"tollgate/model"
)

// What an invoice is made of.
type (
	Invoice       = model.Invoice
	InvoiceDetail = model.InvoiceDetail
	InvoiceLine   = model.InvoiceLine
	Use           = model.InvoiceUse
	Hour          = model.InvoiceHour
)

// Filter asks for invoices. The zero value is all of the scope.
type Filter struct {
	Seller    string // BySeller or ByOperator
	Developer string
	Account   string // in the operator's scope: of this account
	State     string // "draft", "final", or how a final one stands
	Month     time.Time
	After     string // Next of the page before
	Limit     int    // default 50, at most 500
}

const invoiceColumns = `i.invoice_id, i.seller, t.account_id, coalesce(i.developer_id, ''), coalesce(i.number, ''), i.state = 'final',
	i.period_start, i.period_end, i.currency, i.total, i.from_party, i.to_party, i.created_at, coalesce(i.finalized_at, '0001-01-01'),
	i.tax, i.kind = 'adjustment', i.kind = 'top-up', coalesce(c.state, ''), coalesce(c.due_at, '0001-01-01'), coalesce(c.amount_due, 0), coalesce(c.amount_paid, 0),
	coalesce(c.by, ''), coalesce(c.attempts, 0), coalesce(c.last_error, ''),
	(select coalesce(sum(d.amount), 0)::bigint from dispute d where (d.tenant_id, d.invoice_id) = (i.tenant_id, i.invoice_id) and d.state = 'open')`

const invoiceTables = `invoice i join tenant t using (tenant_id) left join collection c on (c.tenant_id, c.invoice_id) = (i.tenant_id, i.invoice_id)`

func fields(i *Invoice) []any {
	return []any{&i.ID, &i.Seller, &i.AccountID, &i.DeveloperID, &i.Number, &i.Final, &i.Begin, &i.End, &i.Currency, &i.Total, &i.From, &i.To, &i.CreatedAt, &i.FinalizedAt,
		&i.Tax, &i.Adjustment, &i.TopUp, &i.State, &i.DueAt, &i.Due, &i.Paid, &i.By, &i.Attempts, &i.LastError, &i.Disputed}
}

// settle completes what was read.
func settle(i *Invoice) {
	i.Digits, _ = model.MinorDigits(i.Currency)
	i.Begin, i.End = i.Begin.UTC(), i.End.UTC()
}

// visible is the part of a where clause that keeps a scope to its own: $1 is the
// tenant, $2 the developer. A developer sees what is final; the operator what is
// its own.
const visible = `($1 = 0 or i.tenant_id = $1) and ($2 = '' or i.developer_id = $2 and i.state = 'final') and ($1 <> 0 or i.seller = 'operator')
	and ($2 <> '' or $1 = 0 or i.seller = 'tenant' or i.state = 'final')`

// Invoices lists invoices, drafts first, then the newest.
func (b *Billing) Invoices(ctx context.Context, s Scope, f Filter) (items []Invoice, next string, err error) {
	if f.Limit == 0 {
		f.Limit = 50
	}
	if f.Limit < 0 || f.Limit > 500 {
		return nil, "", model.Errorf(model.Invalid, "a page has 1 to 500 invoices")
	}
	skip := 0
	if f.After != "" {
		if skip, err = strconv.Atoi(f.After); err != nil || skip < 0 || skip > 1_000_000 {
			return nil, "", model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
		}
	}
	var month *time.Time
	if !f.Month.IsZero() {
		m, _ := rate.Month(f.Month)
		month = &m
	}
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+invoiceColumns+` from `+invoiceTables+`
			where `+visible+` and ($3 = '' or i.seller = $3) and ($4 = '' or i.developer_id = $4) and ($5 = '' or t.account_id = $5)
				and ($6 = '' or i.state = $6 or c.state = $6) and ($7::timestamptz is null or i.period_start = $7)
			order by i.state, i.period_start desc, i.serial desc nulls last, i.to_party->>'name', i.invoice_id
			offset $8 limit $9`, s.Tenant, s.Developer, f.Seller, f.Developer, f.Account, f.State, month, skip, f.Limit+1)
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (i Invoice, err error) {
			err = r.Scan(fields(&i)...)
			settle(&i)
			return i, err
		})
		if err != nil {
			return err
		}
		all := make([]*Invoice, len(items))
		for n := range items {
			all[n] = &items[n]
		}
		return b.collecting(ctx, tx, all...)
	})
	if err == nil && len(items) > f.Limit {
		items, next = items[:f.Limit], strconv.Itoa(skip+f.Limit)
	}
	return items, next, err
}

// Invoice is one with its lines.
func (b *Billing) Invoice(ctx context.Context, s Scope, id string) (InvoiceDetail, error) {
	var out InvoiceDetail
	err := b.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+invoiceColumns+`, l.line, l.meter, l.title, l.quantity::bigint, l.steps, l.exact::text, l.invoiced, l.amount, l.tax, i.taxes
			from `+invoiceTables+` join invoice_line l on (l.tenant_id, l.invoice_id) = (i.tenant_id, i.invoice_id)
			where i.invoice_id = $3 and `+visible+` order by l.line`, s.Tenant, s.Developer, id)
		if err != nil {
			return err
		}
		out.Lines, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (l InvoiceLine, err error) {
			err = r.Scan(append(fields(&out.Invoice), &l.Line, &l.Meter, &l.Title, &l.Quantity, &l.Steps, &l.Exact, &l.Invoiced, &l.Amount, &l.Tax, &out.Taxes)...)
			if d, e := decimal.NewFromString(l.Exact); e == nil {
				l.Exact = d.String()
			}
			return l, err
		})
		if err == nil && len(out.Lines) == 0 {
			return model.Errorf(model.NotFound, "there is no invoice %q", id)
		}
		if err != nil {
			return err
		}
		if !out.Final {
			return b.collecting(ctx, tx, &out.Invoice)
		}
		return settlement(ctx, tx, &out)
	})
	if err != nil {
		return InvoiceDetail{}, err
	}
	settle(&out.Invoice)
	return out, nil
}

// settlement reads what became of a final invoice.
func settlement(ctx context.Context, tx pgx.Tx, d *InvoiceDetail) (err error) {
	rows, err := tx.Query(ctx, `
		select p.payment_id, p.kind, p.amount, p.reference, p.note, p.at, p.by from payment p join invoice using (tenant_id, invoice_id)
		where invoice_id = $1 order by p.created_at, p.payment_id`, d.ID)
	if err != nil {
		return err
	}
	if d.Payments, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.Payment]); err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `
		select dispute_id, amount, reason, d.state, coalesce(answer_by, '0001-01-01'), at from dispute d join invoice using (tenant_id, invoice_id)
		where invoice_id = $1 order by at, dispute_id`, d.ID)
	if err != nil {
		return err
	}
	if d.Disputes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[model.Dispute]); err != nil {
		return err
	}
	d.Credits, err = creditsOf(ctx, tx, `n.invoice_id = $1 or n.adjustment_id = $1`, d.ID)
	return err
}

// behindCalls is what calls of invoice $3's line $4 came to in each hour, by a column.
const behindCalls = `
	with l as (
		select i.tenant_id, i.period_start, i.period_end, coalesce(i.cut, $5) as cut, l.subscription_id
		from invoice i join invoice_line l using (tenant_id, invoice_id)
		where i.invoice_id = $3 and l.line = $4 and ` + visible + `)
	select hour, '', sum(units)::bigint from (
		select u.hour, u.%[1]s::numeric as units from l join usage_line u on u.tenant_id = l.tenant_id and u.hour >= l.period_start and u.hour < l.period_end
			and u.gen <= l.cut and u.flags & 1 = 1 and (l.subscription_id = 0 or u.subscription_id = l.subscription_id)
		union all
		select u.hour, u.%[1]s from l join usage_hour u on u.tenant_id = l.tenant_id and u.hour >= l.period_start and u.hour < l.period_end
			and u.gen <= l.cut and u.flags & 1 = 1 and (l.subscription_id = 0 or u.subscription_id = l.subscription_id)) x
	group by hour having sum(units) > 0 order by hour`

// behindHeld is the caches or domains of invoice $3's line $4, as held counts them, up to
// $5 where it is a draft.
const behindHeld = `
	with there as (
		select r.tenant_id, r.kind, r.resource, greatest(r.valid_from, i.period_start) as a, least(coalesce(r.valid_to, x.z), x.z) as z
		from invoice i join invoice_line l using (tenant_id, invoice_id)
		cross join lateral (select least(i.period_end, coalesce(i.finalized_at, $5)) as z) x
		join resource_interval r on r.tenant_id = i.tenant_id and r.valid_from < x.z and (r.valid_to is null or r.valid_to > i.period_start)
			and l.meter = case r.kind when 'domain' then 'domain-months' else 'cache-hours-' || r.size end
		where i.invoice_id = $3 and l.line = $4 and ` + visible + `)
	select h, coalesce(d.name || ' / ' || s.name, 'a stage that is gone, no. ' || resource), 1 from (
		select tenant_id, resource, unnest(range_agg(tstzrange(date_trunc('hour', a, 'UTC'), date_trunc('hour', z + interval '1 hour' - interval '1 microsecond', 'UTC')))) as r
		from there where kind = 'cache' group by 1, 2) x
	cross join generate_series(lower(r), upper(r) - interval '1 hour', interval '1 hour') h
	left join stage s on s.tenant_id = x.tenant_id and s.stage_num::text = x.resource
	left join api d on d.tenant_id = s.tenant_id and d.api_id = s.api_id
	union all
	select date_trunc('hour', min(a), 'UTC'), resource, 1 from there where kind = 'domain' group by resource
	order by 1, 2`

// Behind is the usage behind a line, hour by hour: what came in before the invoice was
// final, no more and no less, so that it sums up to the line.
func (b *Billing) Behind(ctx context.Context, s Scope, id string, line int) (inv InvoiceDetail, out Use, err error) {
	if inv, err = b.Invoice(ctx, s, id); err != nil {
		return inv, out, err
	}
	if line < 1 || line > len(inv.Lines) || !model.Used(inv.Lines[line-1].Meter) {
		return inv, out, model.Errorf(model.NotFound, "invoice %s has no line %d with usage", id, line)
	}
	sql, until := behindHeld, any(b.now())
	switch inv.Lines[line-1].Meter {
	case rate.Calls:
		sql, until = fmt.Sprintf(behindCalls, "calls"), everything
	case model.MeterBytesOut:
		sql, until = fmt.Sprintf(behindCalls, "bytes_out"), everything
	}
	out.Line = line
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select l.subscription_id from invoice i join invoice_line l using (tenant_id, invoice_id) where i.invoice_id = $3 and l.line = $4 and `+visible,
			s.Tenant, s.Developer, id, line).Scan(&out.Subscription)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sql, s.Tenant, s.Developer, id, line, until)
		if err != nil {
			return err
		}
		out.Hours, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (h Hour, err error) {
			err = r.Scan(&h.Hour, &h.What, &h.Units)
			h.Hour = h.Hour.UTC()
			return h, err
		})
		return err
	})
	return inv, out, err
}

// Preview is what a payer owes for a month as of now, without storing anything:
// the tenant to the operator, or, with a developer in the scope, it to the tenant.
func (b *Billing) Preview(ctx context.Context, s Scope, month time.Time) ([]InvoiceDetail, error) {
	if s.Tenant == 0 {
		return nil, model.Errorf(model.Invalid, "a preview is of one account")
	}
	seller := ByOperator
	if s.Developer != "" {
		seller = BySeller
	}
	begin, _ := rate.Month(month)
	scope := s
	if seller == ByOperator {
		scope = Scope{Tenant: s.Tenant}
	}
	var bills []bill
	err := b.read(ctx, scope, func(tx pgx.Tx) (err error) {
		bills, err = compute(ctx, tx, question{tenant: s.Tenant, seller: seller, developer: s.Developer, month: begin, gen: everything, asOf: b.now()})
		return err
	})
	if err != nil {
		return nil, err
	}
	return b.details(bills, seller, begin), nil
}

// details shows bills as the invoices they would be.
func (b *Billing) details(bills []bill, seller string, month time.Time) []InvoiceDetail {
	begin, end := rate.Month(month)
	out := make([]InvoiceDetail, len(bills))
	for i := range bills {
		bl := &bills[i]
		d := &out[i]
		d.Invoice = Invoice{Seller: seller, DeveloperID: bl.developer, Begin: begin, End: end, Currency: bl.currency, Total: bl.total(), Tax: bl.taxed(), Adjustment: bl.less(), From: bl.from, To: bl.to, CreatedAt: b.now()}
		settle(&d.Invoice)
		d.Taxes = bl.taxes
		for n := range bl.lines {
			d.Lines = append(d.Lines, bl.lines[n].shown(n+1))
		}
	}
	return out
}

// shown is the line as the n-th of an invoice.
func (l *billLine) shown(n int) InvoiceLine {
	return InvoiceLine{Line: n, Meter: l.Meter, Title: l.title, Quantity: l.Quantity, Steps: l.Steps,
		Exact: l.Exact.Round(rate.ShownDigits).String(), Invoiced: l.invoiced, Amount: l.amount(), Tax: l.tax}
}

// Balance says for a tenant's month whether what was called is what was billed.
type Balance struct {
	Calls    int64 // all that were answered
	Billable int64
	Priced   int64 // billable, under a subscription with a price
	Invoiced int64 // on final invoices
	Drafts   int64 // drafts there are
	Sums     []Sum // of final invoices without top-ups, by currency
	Owed     []Sum // beyond those, as of now; Invoices is how many there would be
	Money    []Money
	Prepaid  []Prepaid
	Unbilled []Unbilled // billable calls that nobody is charged for
}

// Prepaid is what became in a month of the money on developers' wallets of one currency, as
// the ledger has it: Before, PaidIn and Granted without Spent and Expired are Left.
type Prepaid struct {
	Currency string
	Digits   int
	Before   int64 // on wallets when the month began, without what is owed on them; so is Left
	PaidIn   int64 // by top-ups, less what went back
	Granted  int64 // less what was revoked
	Spent    int64 // on invoices, less what was given back
	Expired  int64
	Left     int64 // when the month ended, or now
}

// Money is what became of a month's final invoices in one currency. Credited, Paid,
// Open and GivenUp without Surplus add up to Invoiced.
type Money struct {
	Currency string
	Digits   int
	Invoiced int64 // without adjustments: those are among what was credited
	Credited int64
	Paid     int64 // less what was paid back
	Open     int64
	GivenUp  int64
	Surplus  int64 // paid beyond what is due: to be paid back
}

// Sum is an amount of one currency.
type Sum struct {
	Currency string
	Digits   int
	Minor    int64
	Invoices int
}

// Balance compares a month's calls with its invoices to developers.
func (b *Billing) Balance(ctx context.Context, s Scope, month time.Time) (out Balance, err error) {
	if s.Tenant == 0 || s.Developer != "" {
		return out, model.Errorf(model.Invalid, "the balance is one of a tenant's books")
	}
	begin, end := rate.Month(month)
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			with u as (
				select subscription_id, flags, calls::numeric from usage_line where tenant_id = $1 and hour >= $2 and hour < $3
				union all select subscription_id, flags, calls from usage_day where tenant_id = $1 and day >= $2 and day < $3)
			select coalesce(sum(u.calls), 0)::bigint, coalesce(sum(u.calls) filter (where u.flags & 1 = 1), 0)::bigint,
				coalesce(sum(u.calls) filter (where u.flags & 1 = 1 and s.app_id is not null and s.terms <> 0), 0)::bigint,
				(select coalesce(sum(q), 0)::bigint from (
					select max(l.quantity) as q from invoice i join invoice_line l using (tenant_id, invoice_id)
					where i.tenant_id = $1 and i.period_start = $2 and i.seller = 'tenant' and i.state = 'final' and l.meter = 'calls'
					group by l.subscription_id) x),
				(select count(*) from invoice i where i.tenant_id = $1 and i.period_start = $2 and i.seller = 'tenant' and i.state = 'draft')
			from u left join subscription s on s.tenant_id = $1 and s.subscription_id = u.subscription_id`, s.Tenant, begin, end).
			Scan(&out.Calls, &out.Billable, &out.Priced, &out.Invoiced, &out.Drafts)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select currency, sum(total)::bigint, count(*)::integer from invoice
			where tenant_id = $1 and period_start = $2 and seller = 'tenant' and state = 'final' and kind <> 'top-up' group by 1 order by 1`, s.Tenant, begin)
		if err != nil {
			return err
		}
		out.Sums, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (x Sum, err error) {
			err = r.Scan(&x.Currency, &x.Minor, &x.Invoices)
			x.Digits, _ = model.MinorDigits(x.Currency)
			return x, err
		})
		if err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
			select i.currency, 0, sum(i.total)::bigint, sum(i.total - c.amount_due)::bigint, sum(c.amount_paid)::bigint,
				coalesce(sum(greatest(c.amount_due - c.amount_paid, 0)) filter (where c.state in ('open', 'past_due')), 0)::bigint,
				coalesce(sum(greatest(c.amount_due - c.amount_paid, 0)) filter (where c.state = 'uncollectible'), 0)::bigint,
				sum(greatest(c.amount_paid - c.amount_due, 0))::bigint
			from invoice i join collection c using (tenant_id, invoice_id)
			where tenant_id = $1 and i.period_start = $2 and i.seller = 'tenant' and i.kind = 'invoice' group by 1 order by 1`, s.Tenant, begin)
		if err != nil {
			return err
		}
		if out.Money, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Money]); err != nil {
			return err
		}
		for i := range out.Money {
			out.Money[i].Digits, _ = model.MinorDigits(out.Money[i].Currency)
		}
		if out.Prepaid, err = prepaidOf(ctx, tx, s.Tenant, begin, end); err != nil {
			return err
		}
		bills, err := compute(ctx, tx, question{tenant: s.Tenant, seller: BySeller, month: begin, gen: everything})
		if err != nil {
			return err
		}
		out.Owed = sums(bills)
		out.Unbilled, err = unbilled(ctx, tx, s.Tenant, begin)
		return err
	})
	return out, err
}

// prepaidOf adds up the ledger of a tenant's developers.
func prepaidOf(ctx context.Context, tx pgx.Tx, tenant uint32, begin, end time.Time) ([]Prepaid, error) {
	rows, err := tx.Query(ctx, `
		select w.currency, 0, coalesce(sum(e.amount) filter (where t.at < $2 and e.account in ('credit', 'owed')), 0)::bigint,
			coalesce(-sum(e.amount) filter (where t.at >= $2 and e.account = 'paid-in'), 0)::bigint,
			coalesce(-sum(e.amount) filter (where t.at >= $2 and e.account = 'granted'), 0)::bigint,
			coalesce(sum(e.amount) filter (where t.at >= $2 and e.account = 'spent'), 0)::bigint,
			coalesce(sum(e.amount) filter (where t.at >= $2 and e.account = 'expired'), 0)::bigint,
			coalesce(sum(e.amount) filter (where e.account in ('credit', 'owed')), 0)::bigint
		from wallet w join ledger_transaction t using (tenant_id, wallet_id) join ledger_entry e using (tenant_id, wallet_id, transaction_id)
		where w.tenant_id = $1 and w.developer_id is not null and t.at < $3 group by 1 order by 1`, tenant, begin, end)
	if err != nil {
		return nil, err
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Prepaid])
	for i := range out {
		out[i].Digits, _ = model.MinorDigits(out[i].Currency)
	}
	return out, err
}

// Unpaid is what has to be paid still to a seller, of all months.
type Unpaid struct{ Open, PastDue []Sum } // what is past due is open too

// Unpaid adds up what is open of the scope's own invoices.
func (b *Billing) Unpaid(ctx context.Context, s Scope) (out Unpaid, err error) {
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select i.currency, c.state, sum(c.amount_due - c.amount_paid)::bigint, count(*)::integer
			from collection c join invoice i using (tenant_id, invoice_id)
			where c.state in ('open', 'past_due') and ($1 = 0 or i.tenant_id = $1) and i.seller = $2 and ($3 = '' or i.developer_id = $3)
			group by 1, 2 order by 1, 2`, s.Tenant, s.sells(), s.Developer)
		if err != nil {
			return err
		}
		var state string
		var x Sum
		_, err = pgx.ForEachRow(rows, []any{&x.Currency, &state, &x.Minor, &x.Invoices}, func() error {
			x.Digits, _ = model.MinorDigits(x.Currency)
			if state == model.StatePastDue {
				out.PastDue = append(out.PastDue, x)
			}
			if n := len(out.Open); n > 0 && out.Open[n-1].Currency == x.Currency {
				out.Open[n-1].Minor += x.Minor
				out.Open[n-1].Invoices += x.Invoices
			} else {
				out.Open = append(out.Open, x)
			}
			return nil
		})
		return err
	})
	return out, err
}

// OperatorSums are the amounts of a month's drafts and of its final invoices to
// tenants, by currency, without top-ups.
func (b *Billing) OperatorSums(ctx context.Context, month time.Time) (drafts, final []Sum, err error) {
	begin, _ := rate.Month(month)
	err = b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select state, currency, sum(total)::bigint, count(*)::integer from invoice
			where seller = 'operator' and period_start = $1 and kind <> 'top-up' group by 1, 2 order by 2`, begin)
		if err != nil {
			return err
		}
		var state string
		var x Sum
		_, err = pgx.ForEachRow(rows, []any{&state, &x.Currency, &x.Minor, &x.Invoices}, func() error {
			x.Digits, _ = model.MinorDigits(x.Currency)
			if state == "final" {
				final = append(final, x)
			} else {
				drafts = append(drafts, x)
			}
			return nil
		})
		return err
	})
	return drafts, final, err
}

// sums adds bills up by currency.
func sums(bills []bill) (out []Sum) {
	for i := range bills {
		b := &bills[i]
		at := slices.IndexFunc(out, func(x Sum) bool { return x.Currency == b.currency })
		if at < 0 {
			digits, _ := model.MinorDigits(b.currency)
			at, out = len(out), append(out, Sum{Currency: b.currency, Digits: digits})
		}
		out[at].Minor += b.total()
		out[at].Invoices++
	}
	slices.SortFunc(out, func(a, b Sum) int { return strings.Compare(a.Currency, b.Currency) })
	return out
}

// SetSeller says who a tenant's invoices are from. Those that are final keep what
// they say.
func (b *Billing) SetSeller(ctx context.Context, s Scope, by By, p model.Party) error {
	if err := p.Validate(); err != nil {
		return err
	}
	return b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update tenant set seller = $2 where tenant_id = $1`, s.Tenant, p); err != nil {
			return err
		}
		return audit(ctx, tx, s.Tenant, by, "billing.seller", p.Name, map[string]any{"name": p.Name, "email": p.Email})
	})
}

// Seller is who a tenant's invoices are from, as it is now.
func (b *Billing) Seller(ctx context.Context, s Scope) (p model.Party, err error) {
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select seller from tenant where tenant_id = $1`, s.Tenant).Scan(&p)
	})
	return p, err
}

// SheetVersion is one of the operator's price sheets.
type SheetVersion struct {
	Num       uint32
	Version   int
	Sheet     model.PriceSheet
	From      time.Time // first month billed by it
	CreatedBy string
	CreatedAt time.Time
}

// OperatorSheets lists what tenants are billed by, the newest first.
func (b *Billing) OperatorSheets(ctx context.Context) (out []SheetVersion, err error) {
	err = b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select sheet_num, version, sheet, from_month, created_by, created_at from price_sheet where tenant_id is null order by version desc`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SheetVersion])
		return err
	})
	return out, err
}

// AmazonSheet is the shape and the prices of Amazon API Gateway's REST calls and caches
// in us-east-1, for an operator to begin with.
func AmazonSheet() model.PriceSheet {
	return model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{
		{UpTo: 333_000_000, Price: "3.50", Per: 1_000_000},
		{UpTo: 1_000_000_000, Price: "2.80", Per: 1_000_000},
		{UpTo: 20_000_000_000, Price: "2.38", Per: 1_000_000},
		{Price: "1.51", Per: 1_000_000},
	}, Meters: amazonCaches()}
}

// amazonCaches are the prices of Amazon's caches by the hour, in the same region.
func amazonCaches() (out []model.MeterPrice) {
	prices := []model.Decimal{"0.02", "0.038", "0.2", "0.25", "0.5", "1", "1.9", "3.8"}
	for i, size := range model.CacheClusterSizes {
		out = append(out, model.MeterPrice{Meter: model.MeterCache(size), Tiers: []model.PriceTier{{Price: prices[i]}}})
	}
	return out
}

// AddOperatorSheet makes a version of what tenants are billed by, from a month on
// that has not been billed yet.
func (b *Billing) AddOperatorSheet(ctx context.Context, by By, sheet model.PriceSheet, from time.Time) error {
	if err := sheet.Validate(); err != nil {
		return err
	}
	month, _ := rate.Month(from)
	return b.in(ctx, Operator, pgx.TxOptions{}, func(tx pgx.Tx) error {
		// No tenant's bill is being made final meanwhile: one month has one price.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1, 0)`, booksLock); err != nil {
			return err
		}
		var billed *time.Time
		if err := tx.QueryRow(ctx, `select max(period_start) from invoice where seller = 'operator' and state = 'final' and kind <> 'top-up'`).Scan(&billed); err != nil {
			return err
		}
		if billed != nil && !month.After(*billed) {
			return model.Errorf(model.Conflict, "%s is billed already: a new price can begin with %s", MonthText(*billed), MonthText(billed.AddDate(0, 1, 0)))
		}
		_, err := tx.Exec(ctx, `
			insert into price_sheet (version, sheet, from_month, created_by)
			select coalesce(max(version), 0) + 1, $1, $2, $3 from price_sheet where tenant_id is null`, sheet, month, or(by.Name, by.Member))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into audit (actor, actor_name, source, role, action, target, detail) values ($1, $2, $3, $4, 'prices.add', $5, $6)`,
			by.Member, by.Name, by.Source, by.Role, month.Format("2006-01"), sheet)
		return err
	})
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
