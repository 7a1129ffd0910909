package billing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing/intake"
	"tollgate/billing/rate"
	"tollgate/model"
)

// Run makes the drafts of a month anew: of a tenant for its developers, or, in
// the operator's scope, of the operator for every tenant. What is final stays, and
// where nothing is owed beyond it there is no draft. It returns how many there are.
func (b *Billing) Run(ctx context.Context, s Scope, by By, month time.Time) (int, error) {
	begin, _ := rate.Month(month)
	if begin.After(b.now()) {
		return 0, model.Errorf(model.Invalid, "%s has not begun; there is nothing to bill", MonthText(month))
	}
	if s.Tenant != 0 {
		return b.run(ctx, s.Tenant, BySeller, by, begin)
	}
	tenants, err := b.tenants(ctx)
	if err != nil {
		return 0, err
	}
	drafts := 0
	for _, t := range tenants {
		n, err := b.run(ctx, t, ByOperator, by, begin)
		if err != nil {
			return drafts, fmt.Errorf("bill tenant %d: %w", t, err)
		}
		drafts += n
	}
	return drafts, nil
}

func (b *Billing) tenants(ctx context.Context) (out []uint32, err error) {
	err = b.read(ctx, Operator, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id from tenant order by 1`)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[uint32])
		return err
	})
	return out, err
}

func (b *Billing) run(ctx context.Context, tenant uint32, seller string, by By, month time.Time) (drafts int, err error) {
	return b.runTaxed(ctx, tenant, seller, by, month, true)
}

// runTaxed is run that asks Stripe Tax for what it has not said yet, or leaves that.
func (b *Billing) runTaxed(ctx context.Context, tenant uint32, seller string, by By, month time.Time, ask bool) (drafts int, err error) {
	err = b.in(ctx, Scope{Tenant: tenant}, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := lockBooks(ctx, tx, tenant, seller); err != nil {
			return err
		}
		before, err := draftsText(ctx, tx, tenant, seller, month)
		if err != nil {
			return err
		}
		bills, err := compute(ctx, tx, question{tenant: tenant, seller: seller, month: month, gen: everything, asOf: b.now()})
		if err != nil {
			return err
		}
		kept := make([]string, 0, len(bills))
		for i := range bills {
			id, err := b.draft(ctx, tx, seller, &bills[i], month)
			if err != nil {
				return err
			}
			if ask {
				if err := b.askTax(ctx, tx, &bills[i]); err != nil {
					return err
				}
			}
			kept = append(kept, id)
		}
		drafts = len(kept)
		gone, err := tx.Exec(ctx, `
			delete from invoice where tenant_id = $1 and seller = $2 and period_start = $3 and state = 'draft' and not invoice_id = any($4)`,
			tenant, seller, month, kept)
		if err != nil || drafts == 0 && gone.RowsAffected() == 0 {
			return err
		}
		if by == clockwork { // who looks every day says when something was new
			if after, err := draftsText(ctx, tx, tenant, seller, month); err != nil || after == before {
				return err
			}
		}
		return audit(ctx, tx, tenant, by, "billing.run", month.Format("2006-01"), map[string]any{"seller": seller, "drafts": drafts})
	})
	return drafts, err
}

// draftsText is what the drafts of a month come to.
func draftsText(ctx context.Context, tx pgx.Tx, tenant uint32, seller string, month time.Time) (text string, err error) {
	err = tx.QueryRow(ctx, `
		select coalesce(string_agg(invoice_id || ' ' || total, ',' order by invoice_id), '') from invoice
		where tenant_id = $1 and seller = $2 and period_start = $3 and state = 'draft'`, tenant, seller, month).Scan(&text)
	return text, err
}

// booksLock is the first key of advisory locks: the second is the tenant whose
// books are written, or 0 for the operator's prices.
const booksLock = 0x746f6c6c

// lockBooks lets one run or finalization of a tenant's books at a time go on, and
// keeps the operator's prices as they are while its bills are made.
func lockBooks(ctx context.Context, tx pgx.Tx, tenant uint32, seller string) error {
	if seller == ByOperator {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock_shared($1, 0)`, booksLock); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1, $2)`, booksLock, int32(tenant))
	return err
}

// draft stores a bill as the payer's draft of the month, in the place of the one
// that is there.
func (b *Billing) draft(ctx context.Context, tx pgx.Tx, seller string, bl *bill, month time.Time) (string, error) {
	begin, end := rate.Month(month)
	var id string
	err := tx.QueryRow(ctx, `
		insert into invoice (tenant_id, invoice_id, seller, developer_id, period_start, period_end, state, series, currency, total, from_party, to_party, created_at, tax, taxes, kind)
		values ($1, $2, $3, nullif($4, ''), $5, $6, 'draft', $7, $8, $9, $10, $11, $12, $13, $14, $15)
		on conflict (tenant_id, seller, developer_id, period_start, currency) where state = 'draft' do update set
			total = excluded.total, tax = excluded.tax, taxes = excluded.taxes, kind = excluded.kind, from_party = excluded.from_party, to_party = excluded.to_party, created_at = excluded.created_at
		returning invoice_id`,
		bl.tenant, model.NewID(12), seller, bl.developer, begin, end, bl.series, bl.currency, bl.total(), bl.from, bl.to, b.now(),
		bl.taxed(), bl.taxes, bl.kind()).Scan(&id)
	if err != nil {
		return "", err
	}
	return id, storeLines(ctx, tx, bl, id)
}

func storeLines(ctx context.Context, tx pgx.Tx, bl *bill, id string) error {
	if _, err := tx.Exec(ctx, `delete from invoice_line where tenant_id = $1 and invoice_id = $2`, bl.tenant, id); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for i := range bl.lines {
		l := &bl.lines[i]
		steps := l.Steps
		if steps == nil { // what costs nothing may have none
			steps = []rate.Step{}
		}
		batch.Queue(`
			insert into invoice_line (tenant_id, invoice_id, line, subscription_id, sheet_num, meter, title, quantity, steps, exact, invoiced, amount, tax, use_id)
			values ($1, $2, $3, $4, nullif($5, 0), $6, $7, $8, $9, $10::text::numeric, $11, $12, $13, nullif($14, ''))`,
			bl.tenant, id, i+1, int64(l.subscription), l.sheet, l.Meter, l.title, l.Quantity, steps, l.Exact.Round(rate.ShownDigits).String(), l.invoiced, l.amount(), l.tax, l.use)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// Finalize makes drafts of one month final: it cuts the month, bills what came in
// before the cut, and numbers the invoices without a gap. A draft whose payer owes
// nothing any more is dropped. While usage of a month that is over is still out,
// it refuses and names the nodes, unless it is told to go on: what comes later is
// then billed as a difference. It returns the ids of what became final.
func (b *Billing) Finalize(ctx context.Context, s Scope, by By, ids []string, goOn bool) ([]string, error) {
	if s.Developer != "" {
		return nil, model.Errorf(model.Denied, "a developer does not make invoices")
	}
	drafts, err := b.draftsOf(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range drafts {
		done, err := b.finalize(ctx, d, by, goOn)
		if errors.Is(err, errUntaxed) {
			if _, again := b.run(ctx, d.tenant, d.seller, by, d.month); again != nil {
				err = again
			}
			return out, err
		}
		out = append(out, done...)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// Drafts are all drafts of a month, of the scope's own invoices.
func (b *Billing) Drafts(ctx context.Context, s Scope, month time.Time) (out []Invoice, err error) {
	f := Filter{Seller: BySeller, State: "draft", Month: month, Limit: 500}
	if s.Tenant == 0 {
		f.Seller = ByOperator
	}
	for {
		page, next, err := b.Invoices(ctx, s, f)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if next == "" {
			return out, nil
		}
		f.After = next
	}
}

// group is the drafts of one tenant, seller and month: they are cut together.
type group struct {
	tenant uint32
	seller string
	month  time.Time
	ids    []string
}

// scope is the seller's: the operator's series is not the tenant's to see.
func (g group) scope() Scope {
	if g.seller == ByOperator {
		return Operator
	}
	return Scope{Tenant: g.tenant}
}

func (b *Billing) draftsOf(ctx context.Context, s Scope, ids []string) (out []group, err error) {
	seller := BySeller
	if s.Tenant == 0 {
		seller = ByOperator
	}
	err = b.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select tenant_id, seller, period_start, array_agg(invoice_id order by invoice_id)
			from invoice where invoice_id = any($1) and seller = $2 and state = 'draft' and ($3 = 0 or tenant_id = $3)
			group by 1, 2, 3 order by 1, 3`, ids, seller, s.Tenant)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (g group, err error) {
			return g, r.Scan(&g.tenant, &g.seller, &g.month, &g.ids)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, g := range out {
		for _, id := range g.ids {
			found[id] = true
		}
	}
	for _, id := range ids {
		if !found[id] {
			return nil, model.Errorf(model.NotFound, "there is no draft %s; it may be final already", id)
		}
	}
	return out, nil
}

func (b *Billing) finalize(ctx context.Context, g group, by By, goOn bool) (done []string, err error) {
	err = b.in(ctx, g.scope(), pgx.TxOptions{}, func(tx pgx.Tx) error {
		done = nil
		if err := lockBooks(ctx, tx, g.tenant, g.seller); err != nil {
			return err
		}
		if !goOn {
			if err := b.allIn(ctx, tx, g); err != nil {
				return err
			}
		}
		cut, err := b.cut(ctx, tx, g)
		if err != nil {
			return err
		}
		at := b.now() // what is billed by the hour is up to then, and is found again by it
		bills, err := compute(ctx, tx, question{tenant: g.tenant, seller: g.seller, month: g.month, gen: cut, asOf: at})
		if err != nil {
			return err
		}
		for _, id := range g.ids {
			n, err := b.close(ctx, tx, g, id, bills, cut, at, by)
			if err != nil {
				return err
			}
			if n == "" {
				continue
			}
			done = append(done, id)
			if err := audit(ctx, tx, g.tenant, by, "invoice.finalize", id, map[string]any{"number": n, "month": g.month.Format("2006-01"), "seller": g.seller}); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}

// cut ends the month's generation: usage of generations up to the returned one is
// all that there will ever be of them.
func (b *Billing) cut(ctx context.Context, tx pgx.Tx, g group) (gen int, err error) {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, int64(intake.CloseLock)); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		insert into period_close as c (tenant_id, period_start, gen, closed_at) values ($1, $2, 1, $3)
		on conflict (tenant_id, period_start) do update set gen = c.gen + 1, closed_at = excluded.closed_at
		returning gen - 1`, g.tenant, g.month, b.now()).Scan(&gen)
	return gen, err
}

// close makes one draft final, as the bill of its payer says, and returns its
// number; empty: nothing was owed, and the draft is gone. What is owed less than
// before is an adjustment, which credit notes stand for.
func (b *Billing) close(ctx context.Context, tx pgx.Tx, g group, id string, bills []bill, cut int, at time.Time, by By) (string, error) {
	var developer, currency string
	err := tx.QueryRow(ctx, `
		select coalesce(developer_id, ''), currency from invoice where tenant_id = $1 and invoice_id = $2 and state = 'draft' for update`,
		g.tenant, id).Scan(&developer, &currency)
	if err == pgx.ErrNoRows {
		return "", model.Errorf(model.Conflict, "draft %s was made final or dropped meanwhile; look at it again", id)
	}
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(bills, func(b bill) bool { return b.developer == developer && b.currency == currency })
	if i < 0 {
		_, err := tx.Exec(ctx, `delete from invoice where tenant_id = $1 and invoice_id = $2`, g.tenant, id)
		return "", err
	}
	bl := &bills[i]
	if bl.untaxed != nil {
		return "", errUntaxed
	}
	r, err := rules(ctx, tx, g.tenant, g.seller)
	if err != nil {
		return "", err
	}
	series, form := bl.series, "INV-%06d"
	if bl.less() {
		series, form = bl.series+"/adjustment", "ADJ-%06d"
	}
	serial, err := next(ctx, tx, series)
	if err != nil {
		return "", err
	}
	n := fmt.Sprintf(form, serial)
	if bl.less() {
		tax, err := b.adjust(ctx, tx, g, bl, id, n, by)
		if err != nil {
			return "", err
		}
		bl.credited(tax)
	}
	if err := storeLines(ctx, tx, bl, id); err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `
		update invoice set state = 'final', series = $13, serial = $3, number = $4, cut = $5, total = $6, from_party = $7, to_party = $8, finalized_at = $9,
			tax = $10, taxes = $11, kind = $12
		where tenant_id = $1 and invoice_id = $2`, g.tenant, id, serial, n, cut, bl.total(), bl.from, bl.to, at, bl.taxed(), bl.taxes, bl.kind(), series)
	if err != nil || bl.less() {
		return n, err
	}
	paid, err := b.cover(ctx, tx, Payer{g.tenant, developer}, id, n, currency, bl.total())
	if err != nil {
		return "", err
	}
	if err := b.open(ctx, tx, g.tenant, id, bl.total(), paid, at, r.TermDays); err != nil || !r.Mail {
		return n, err
	}
	return n, b.announce(ctx, tx, g.scope(), id)
}

// stillOut is which nodes have not handed in all of what months that are over had, by
// tenant and month: the conditions a boot u of gateway g is held to, for tenant, begin and
// end of the month by their names in SQL.
func stillOut(tenant, begin, end string) string {
	return strings.NewReplacer("$tenant", tenant, "$begin", begin, "$end", end).Replace(`
		u.state = 'live' and u.started_at < $end and (u.watermark is null or u.watermark < $end)
		and (g.tenant_id = $tenant or g.gateway_id = (select gateway_id from tenant where tenant_id = $tenant)
			or g.gateway_id in (select l.gateway_id from tenant_left l where l.tenant_id = $tenant and l.left_at >= $begin))`)
}

// bootText names such a node, by u and g.
const bootText = `g.name || ' since ' || to_char(u.started_at at time zone 'UTC', 'DD Mon HH24:MI')`

// allIn refuses while a node that ran in the month has not handed in all of it.
func (b *Billing) allIn(ctx context.Context, tx pgx.Tx, g group) error {
	_, end := rate.Month(g.month)
	if end.After(b.now()) {
		return nil // the month goes on: what comes later is on a later invoice anyway
	}
	rows, err := tx.Query(ctx, `select `+bootText+` from usage_boot u join gateway g using (gateway_id)
		where `+stillOut("$1", "$3", "$2")+` order by u.started_at limit 5`, g.tenant, end, g.month)
	if err != nil {
		return err
	}
	behind, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(behind) == 0 {
		return err
	}
	return model.Errorf(model.Unavailable, "usage of %s is still out on a node of gateway %s (UTC): wait for it, or go on and bill what comes later as a difference",
		MonthText(g.month), strings.Join(behind, ", "))
}

// collecting says of drafts of months that are over which nodes still have usage of them.
func (b *Billing) collecting(ctx context.Context, tx pgx.Tx, all ...*Invoice) error {
	drafts := map[string]*Invoice{}
	for _, i := range all {
		if !i.Final && !i.End.After(b.now()) {
			drafts[i.ID] = i
		}
	}
	if len(drafts) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `select i.invoice_id, `+bootText+` from invoice i, usage_boot u join gateway g using (gateway_id)
		where i.invoice_id = any($1) and `+stillOut("i.tenant_id", "i.period_start", "i.period_end")+` order by u.started_at`, slices.Collect(maps.Keys(drafts)))
	if err != nil {
		return err
	}
	var id, node string
	_, err = pgx.ForEachRow(rows, []any{&id, &node}, func() error {
		if i := drafts[id]; len(i.Awaits) < 5 {
			i.Awaits = append(i.Awaits, node)
		}
		return nil
	})
	return err
}
