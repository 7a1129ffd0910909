package stripe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/billing"
	"tollgate/model"
)

// push is an invoice on its way to Stripe, with those that were too small before it.
type push struct {
	object
	customer  string
	developer string
	card      Card
	inv       billing.InvoiceDetail
	carried   []billing.InvoiceDetail
	currency  string // ISO, upper case
}

// scopeOf is the books that an invoice is in.
func scopeOf(tenant uint32, seller string) billing.Scope {
	if seller == billing.ByOperator {
		return billing.Operator
	}
	return billing.Scope{Tenant: tenant}
}

// group decides which invoices are one at Stripe: the one asked for, and those of the
// same payer and currency that are too small to be charged alone. It is decided once:
// what was asked for is not asked for otherwise. ready is false where the sum is still
// too small.
func (r *Rail) group(ctx context.Context, g *push) (ready bool, err error) {
	var carried []string
	err = r.in(ctx, g.tenant, func(tx pgx.Tx) error {
		carried = nil
		// One at a time of each payer.
		if _, err := tx.Exec(ctx, `select 1 from stripe_customer where account = $1 and customer = $2 for update`, g.account, g.customer); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			insert into psp_object (tenant_id, account, kind, local_id, created_at, updated_at) values ($1, $2, 'invoice', $3, $4, $4) on conflict do nothing`,
			g.tenant, g.account, g.local, r.now()); err != nil {
			return err
		}
		var asked bool
		err := tx.QueryRow(ctx, `
			select asked_at is not null or remote_id is not null from psp_object
			where (tenant_id, account, kind, local_id) = ($1, $2, 'invoice', $3)`, g.tenant, g.account, g.local).Scan(&asked)
		if err != nil {
			return err
		}
		sum := g.inv.Open()
		if !asked {
			rows, err := tx.Query(ctx, `
				select p.local_id, c.amount_due - c.amount_paid from psp_object p
				join invoice i on i.tenant_id = p.tenant_id and i.invoice_id = p.local_id join collection c on c.tenant_id = p.tenant_id and c.invoice_id = p.local_id
				where p.tenant_id = $1 and p.account = $2 and p.kind = 'invoice' and p.local_id <> $3 and (p.state = 'waiting' and p.head is null or p.head = $3)
					and i.currency = $4 and i.developer_id is not distinct from nullif($5, '') and c.state in ('open', 'past_due')
				order by i.finalized_at, p.local_id limit 20`, g.tenant, g.account, g.local, g.currency, g.developer)
			if err != nil {
				return err
			}
			var id string
			var open int64
			if _, err := pgx.ForEachRow(rows, []any{&id, &open}, func() error {
				carried, sum = append(carried, id), sum+open
				return nil
			}); err != nil {
				return err
			}
			if ready = sum >= minimum(g.currency); !ready {
				return r.wait(ctx, tx, g)
			}
			_, err = tx.Exec(ctx, `
				update psp_object set head = case when local_id <> $4 then $4 end, state = '', problem = '', updated_at = $5
				where tenant_id = $1 and account = $2 and kind = 'invoice' and (local_id = any($3) or local_id = $4)`, g.tenant, g.account, carried, g.local, r.now())
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `
				update collection set due_at = $3, updated_at = $4 where tenant_id = $1 and invoice_id = any($2)`, g.tenant, append(carried, g.inv.ID), dueAt(&g.inv, r.now()), r.now())
			return err
		}
		ready = true
		rows, err := tx.Query(ctx, `
			select local_id from psp_object where tenant_id = $1 and account = $2 and kind = 'invoice' and head = $3 order by created_at, local_id`, g.tenant, g.account, g.local)
		if err != nil {
			return err
		}
		carried, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil || !ready {
		return ready, err
	}
	for _, id := range carried {
		inv, err := r.books.Invoice(ctx, scopeOf(g.tenant, g.inv.Seller), id)
		if err != nil {
			return false, err
		}
		g.carried = append(g.carried, inv)
	}
	return true, nil
}

// waits is for how long an invoice that is too small to be charged is not due: until
// the next one, which resets it.
const waits = 400 * 24 * time.Hour

// dueAgain is in what time one that has waited is due.
const dueAgain = 14 * 24 * time.Hour

func dueAt(inv *billing.InvoiceDetail, now time.Time) time.Time {
	if d := inv.DueAt; d.Before(now.Add(waits / 2)) {
		return d
	}
	return now.Add(dueAgain)
}

func (r *Rail) wait(ctx context.Context, tx pgx.Tx, g *push) error {
	rows, err := tx.Query(ctx, `
		update psp_object set state = 'waiting', head = nullif(head, $3), updated_at = $4
		where (tenant_id, account, kind) = ($1, $2, 'invoice') and (local_id = $3 or head = $3) returning local_id`,
		g.tenant, g.account, g.local, r.now())
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update collection set due_at = $3, updated_at = $4 where tenant_id = $1 and invoice_id = any($2) and due_at < $3::timestamptz - interval '100 days'`,
		g.tenant, all, r.now().Add(waits), r.now())
	return err
}

// line is one of an invoice at Stripe.
type line struct {
	Key         string
	Description string
	Amount      int64 // as Stripe counts it
	Begin, End  int64
}

// maxLines is how many lines an invoice at Stripe has at most here; Stripe takes 250.
const maxLines = 200

// lines are what is charged: ours, the tax, what was too small before, less what is
// credited or paid already. Their sum is what is open.
func (g *push) lines() (out []line, sum int64, err error) {
	minor := make([]int64, 0, len(g.inv.Lines))
	add := func(key, text string, amount int64) {
		if len(text) > 300 {
			text = strings.ToValidUTF8(text[:300], "")
		}
		out = append(out, line{Key: key, Description: text, Begin: g.inv.Begin.Unix(), End: g.inv.End.Unix()})
		minor = append(minor, amount)
		sum += amount
	}
	all := g.inv.Lines
	var rest []billing.InvoiceLine
	if len(all) > maxLines {
		all, rest = all[:maxLines], all[maxLines:]
	}
	for i := range all {
		l := &all[i]
		text := l.Title
		if model.Used(l.Meter) {
			text = fmt.Sprintf("%s: %d %s", l.Title, l.Quantity, model.Units(l.Meter, l.Quantity))
		}
		if l.Invoiced != 0 {
			text += ", less what was invoiced before"
		}
		add(fmt.Sprintf("%s/%d", g.inv.ID, l.Line), text, l.Amount)
	}
	if len(rest) > 0 {
		var more int64
		for i := range rest {
			more += rest[i].Amount
		}
		add(g.inv.ID+"/more", fmt.Sprintf("%d further lines, as on invoice %s", len(rest), g.inv.Number), more)
	}
	for i := range g.inv.Taxes {
		t := &g.inv.Taxes[i]
		add(fmt.Sprintf("%s/tax%d", g.inv.ID, i+1), fmt.Sprintf("%s %s %%", t.Name, t.Percent), t.Amount)
	}
	if less := sum - g.inv.Open(); less != 0 {
		add(g.inv.ID+"/less", "Credited or paid already", -less)
	}
	for i := range g.carried {
		c := &g.carried[i]
		if c.Open() != 0 {
			add(c.ID+"/all", fmt.Sprintf("Invoice %s, too small to be charged alone", c.Number), c.Open())
		}
	}
	total, err := toStripe(g.currency, sum)
	if err != nil {
		return nil, 0, err
	}
	for i := range out {
		if out[i].Amount, err = toStripe(g.currency, minor[i]); err != nil { // in thousandths, while the sum is not
			return []line{{g.inv.ID + "/all", "Invoice " + g.inv.Number, total, g.inv.Begin.Unix(), g.inv.End.Unix()}}, total, nil
		}
	}
	return out, total, nil
}

// toStripeNow brings an invoice to Stripe as far as it is not there, and returns it as it
// is there then; nil: it waits for the next one.
func (r *Rail) toStripeNow(ctx context.Context, g *push) (*stripe.Invoice, error) {
	ready, err := r.group(ctx, g)
	if err != nil || !ready {
		return nil, err
	}
	want, total, err := g.lines()
	if err != nil {
		return nil, err
	}
	if _, _, _, lost := g.standing(); lost {
		return r.throwAway(ctx, g, false)
	}
	if least, err := toStripe(g.currency, minimum(g.currency)); err != nil || total < least {
		return r.throwAway(ctx, g, total > 0)
	}
	for range 3 { // a draft that is not as it must be is thrown away
		id, err := r.newInvoice(ctx, g, total)
		if err != nil {
			return nil, err
		}
		inv, err := r.fetch(ctx, g.account, id)
		if gone(err) {
			if err := r.forget(ctx, g.object); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil || inv.Status != stripe.InvoiceStatusDraft {
			return inv, plain(err)
		}
		odd, err := r.fill(ctx, g, inv, want, total)
		if err != nil {
			return nil, plain(err)
		}
		if odd == "" {
			return r.finalize(ctx, g, id, want)
		}
		r.log.Warn("a draft at Stripe is not what it must be; it is made anew", "invoice", g.inv.Number, "stripe", id, "why", odd)
		if _, err := r.api.Invoices.Del(id, &stripe.InvoiceParams{Params: on(ctx, g.account, anew)}); err != nil && !gone(err) {
			return nil, plain(err)
		}
		if err := r.forget(ctx, g.object); err != nil {
			return nil, err
		}
	}
	return nil, model.Errorf(model.Conflict, "what Stripe would charge for invoice %s is not what it says; look for what adds lines or tax on that Stripe account", g.inv.Number)
}

// throwAway throws away what was made at Stripe of an invoice that is not to be charged:
// all of it is settled or given up, or so much that Stripe would not charge the rest, which
// waits for the next one then. One that is final there is returned as it is.
func (r *Rail) throwAway(ctx context.Context, g *push, waits bool) (*stripe.Invoice, error) {
	i, err := r.intend(ctx, g.object)
	if err != nil {
		return nil, err
	}
	if i.remote != "" {
		inv, err := r.fetch(ctx, g.account, i.remote)
		if err == nil && inv.Status != stripe.InvoiceStatusDraft {
			return inv, nil
		}
		if err == nil {
			_, err = r.api.Invoices.Del(i.remote, &stripe.InvoiceParams{Params: on(ctx, g.account, anew)})
		}
		if err != nil && !gone(err) {
			return nil, plain(err)
		}
		if err := r.forget(ctx, g.object); err != nil {
			return nil, err
		}
	}
	if !waits {
		return nil, nil
	}
	return nil, r.in(ctx, g.tenant, func(tx pgx.Tx) error { return r.wait(ctx, tx, g) })
}

// newInvoice makes the draft, without lines.
func (r *Rail) newInvoice(ctx context.Context, g *push, total int64) (string, error) {
	p := &stripe.InvoiceParams{Customer: &g.customer, Currency: stripe.String(strings.ToLower(g.currency)), AutoAdvance: stripe.Bool(false),
		PendingInvoiceItemsBehavior: stripe.String("exclude"), Description: stripe.String("Invoice " + g.inv.Number),
		Metadata: map[string]string{localID: g.local, "number": g.inv.Number}}
	if g.card.Method != "" {
		p.CollectionMethod = stripe.String("charge_automatically")
	} else { // Stripe's page takes any card; ours says where it is
		p.CollectionMethod = stripe.String("send_invoice")
		p.DaysUntilDue = stripe.Int64(max(0, int64(g.inv.DueAt.Sub(g.inv.FinalizedAt)/(24*time.Hour))))
	}
	if fee := feeOf(r.fee, g.currency, total); fee > 0 && g.account != "" {
		p.ApplicationFeeAmount = &fee
	}
	return r.create(ctx, g.object, p, func(since time.Time) (string, error) {
		l := &stripe.InvoiceListParams{ListParams: list(ctx, g.account), Customer: &g.customer, CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
		for it := r.api.Invoices.List(l); ; {
			if !it.Next() {
				return "", it.Err()
			}
			if inv := it.Invoice(); inv.Metadata[localID] == g.local && !inv.Deleted {
				return inv.ID, nil
			}
		}
	}, func(key string) (string, error) {
		p.Params = on(ctx, g.account, key)
		inv, err := r.api.Invoices.New(p)
		if err != nil {
			return "", err
		}
		return inv.ID, nil
	})
}

// fetch reads an invoice with what its payment came to.
func (r *Rail) fetch(ctx context.Context, account, id string) (*stripe.Invoice, error) {
	p := &stripe.InvoiceParams{Params: on(ctx, account, "")}
	p.AddExpand("charge")
	p.AddExpand("payment_intent")
	return r.api.Invoices.Get(id, p)
}

// chunk is how many lines are sent at once.
const chunk = 50

// fill adds the lines that a draft lacks, and compares it with what it must be: odd
// says what is wrong with it.
func (r *Rail) fill(ctx context.Context, g *push, inv *stripe.Invoice, want []line, total int64) (odd string, err error) {
	for range 2 {
		missing, odd, err := r.compare(ctx, g, inv.ID, want)
		if err != nil || odd != "" {
			return odd, err
		}
		if len(missing) == 0 {
			break
		}
		for part := range slices.Chunk(missing, chunk) {
			p := &stripe.InvoiceAddLinesParams{}
			for _, l := range part {
				p.Lines = append(p.Lines, &stripe.InvoiceAddLinesLineParams{Amount: &l.Amount, Description: &l.Description, Metadata: map[string]string{lineKey: l.Key},
					Period: &stripe.InvoiceAddLinesLinePeriodParams{Start: &l.Begin, End: &l.End}})
			}
			err := r.step(ctx, g.object, "inv.lines", inv.ID+":"+shortHash(part), func(key string) error {
				p.Params = on(ctx, g.account, key)
				_, err := r.api.Invoices.AddLines(inv.ID, p)
				return err
			})
			if err != nil {
				return "", err
			}
		}
	}
	now, err := r.fetch(ctx, g.account, inv.ID)
	if err != nil {
		return "", err
	}
	missing, odd, err := r.compare(ctx, g, inv.ID, want)
	switch {
	case err != nil || odd != "":
		return odd, err
	case len(missing) > 0:
		return fmt.Sprintf("%d lines are missing", len(missing)), nil
	case now.Total != total || !strings.EqualFold(string(now.Currency), g.currency):
		return fmt.Sprintf("it comes to %d %s, not to %d %s", now.Total, now.Currency, total, g.currency), nil
	}
	if fee := feeOf(r.fee, g.currency, total); g.account != "" && now.ApplicationFeeAmount != fee {
		err := r.step(ctx, g.object, "inv.fee", fmt.Sprintf("%s:%d", inv.ID, fee), func(key string) error {
			_, err := r.api.Invoices.Update(inv.ID, &stripe.InvoiceParams{Params: on(ctx, g.account, key), ApplicationFeeAmount: &fee})
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

// lineKey is the name of a line's key in its metadata.
const lineKey = "line_key"

// compare looks which lines are there: those that are not, and what should not be.
func (r *Rail) compare(ctx context.Context, g *push, id string, want []line) (missing []line, odd string, err error) {
	left := map[string]line{}
	for _, l := range want {
		left[l.Key] = l
	}
	p := &stripe.InvoiceListLinesParams{ListParams: list(ctx, g.account), Invoice: &id}
	it := r.api.Invoices.ListLines(p)
	for it.Next() {
		have := it.InvoiceLineItem()
		l, ok := left[have.Metadata[lineKey]]
		if !ok || have.Amount != l.Amount {
			return nil, fmt.Sprintf("line %q of %d is not ours, or there twice", have.Description, have.Amount), nil
		}
		delete(left, l.Key)
	}
	for _, l := range want {
		if _, ok := left[l.Key]; ok {
			missing = append(missing, l)
		}
	}
	return missing, "", it.Err()
}

// finalize lets Stripe collect what was compared.
func (r *Rail) finalize(ctx context.Context, g *push, id string, want []line) (*stripe.Invoice, error) {
	refused := r.step(ctx, g.object, "inv.finalize", id+":"+shortHash(want), func(key string) error {
		_, err := r.api.Invoices.FinalizeInvoice(id, &stripe.InvoiceFinalizeInvoiceParams{Params: on(ctx, g.account, key), AutoAdvance: stripe.Bool(true)})
		return err
	})
	// Whatever was answered: what counts is how it is.
	inv, err := r.fetch(ctx, g.account, id)
	if err == nil && inv.Status == stripe.InvoiceStatusDraft {
		return nil, plain(refused)
	}
	return inv, plain(err)
}

// members are our invoices that one at Stripe is for, the head last.
func (g *push) members() []*billing.InvoiceDetail {
	out := make([]*billing.InvoiceDetail, 0, len(g.carried)+1)
	for i := range g.carried {
		out = append(out, &g.carried[i])
	}
	return append(out, &g.inv)
}
