package stripe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/billing"
	"tollgate/model"
)

// Changed is told, in the transaction that does it, that an invoice became final
// (opened) or stands otherwise than before. One that opens is collected by Stripe
// where its payer can pay there.
func (r *Rail) Changed(ctx context.Context, tx pgx.Tx, tenant uint32, invoice string, opened bool) error {
	if opened {
		_, err := tx.Exec(ctx, `
			update collection c set by = 'stripe' from invoice i
			where c.tenant_id = $1 and c.invoice_id = $2 and c.state = 'open' and (i.tenant_id, i.invoice_id) = (c.tenant_id, c.invoice_id)
				and (i.seller = 'operator' or exists (select from stripe_account a where a.tenant_id = $1 and a.disconnected_at is null and a.charges_enabled))`, tenant, invoice)
		if err != nil {
			return err
		}
	}
	var by string
	if err := tx.QueryRow(ctx, `select by from collection where tenant_id = $1 and invoice_id = $2`, tenant, invoice).Scan(&by); err != nil || by != model.PaidByStripe {
		return err
	}
	// Not once: a job at work may have read how it stood before.
	_, err := r.jobs.InsertTx(ctx, tx, settleArgs{tenant, invoice}, insertNow())
	return err
}

// place is where an invoice is at Stripe, as far as it is written here.
type place struct{ account, head, remote, state string }

func (r *Rail) placeOf(ctx context.Context, tenant uint32, invoice string) (seller, developer string, p *place, err error) {
	var account, head, remote, state *string
	err = r.in(ctx, tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select i.seller, coalesce(i.developer_id, ''), p.account, p.head, p.remote_id, p.state from invoice i
			left join psp_object p on p.tenant_id = i.tenant_id and p.kind = 'invoice' and p.local_id = i.invoice_id
			where i.tenant_id = $1 and i.invoice_id = $2 order by p.created_at desc limit 1`, tenant, invoice).Scan(&seller, &developer, &account, &head, &remote, &state)
	})
	if err == nil && account != nil {
		p = &place{account: *account, state: *state}
		if head != nil {
			p.head = *head
		}
		if remote != nil {
			p.remote = *remote
		}
	}
	return seller, developer, p, err
}

// settle brings an invoice and what is at Stripe of it in line: it is pushed, credited,
// given up or taken back there as it was here, and what became of its payment there is
// booked here. It may be asked for at any time and as often as one likes.
func (r *Rail) settle(ctx context.Context, tenant uint32, invoice string) error {
	seller, developer, at, err := r.placeOf(ctx, tenant, invoice)
	if err != nil {
		return err
	}
	if at != nil && at.head != "" {
		return r.settle(ctx, tenant, at.head)
	}
	return r.alone(ctx, tenant, invoice, func() error {
		inv, err := r.books.Invoice(ctx, scopeOf(tenant, seller), invoice)
		if err != nil || !inv.Final || inv.Adjustment || at == nil && (inv.By != model.PaidByStripe || inv.Open() == 0) {
			return err
		}
		p, err := r.payerOf(ctx, tenant, developer, at)
		if err != nil {
			return err
		}
		if p.tenant == 0 { // there is no way to Stripe any more
			return r.byHand(ctx, tenant, seller, invoice)
		}
		err = r.align(ctx, &push{object: object{tenant, p.account, kindInvoice, invoice}, customer: p.customer, developer: developer, card: p.card,
			inv: inv, currency: inv.Currency})
		if locked(err) && p.account != "" { // taken away since
			return errors.Join(r.syncAccount(ctx, p.account), r.byHand(ctx, tenant, seller, invoice))
		}
		return err
	})
}

// byHand leaves an invoice to its seller, and what is open of those that were to go with
// it; what was not due while it waited is due again.
func (r *Rail) byHand(ctx context.Context, tenant uint32, seller, invoice string) error {
	var all []string
	err := r.in(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select local_id from psp_object p join collection c on (c.tenant_id, c.invoice_id) = (p.tenant_id, p.local_id)
			where p.tenant_id = $1 and p.kind = 'invoice' and p.head = $2 and c.state in ('open', 'past_due')`, tenant, invoice)
		if err != nil {
			return err
		}
		if all, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		all = append(all, invoice)
		if _, err := tx.Exec(ctx, `update psp_object set problem = '' where tenant_id = $1 and kind = 'invoice' and local_id = any($2)`, tenant, all); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update collection set due_at = $3, updated_at = $4 where tenant_id = $1 and invoice_id = any($2) and due_at > $5`,
			tenant, all, r.now().Add(dueAgain), r.now(), r.now().Add(waits/2))
		return err
	})
	for _, id := range all {
		err = errors.Join(err, r.books.CollectBy(ctx, scopeOf(tenant, seller), id, model.PaidByHand))
	}
	return err
}

// payerOf is who pays, on the account that the invoice is on already or would be; of
// no tenant where that is not connected.
func (r *Rail) payerOf(ctx context.Context, tenant uint32, developer string, at *place) (payer, error) {
	p, err := r.payer(ctx, billing.Scope{Tenant: tenant, Developer: developer})
	if model.KindOf(err) == model.Conflict || err == nil && at != nil && at.account != p.account {
		return payer{}, nil
	}
	if err != nil {
		return p, err
	}
	if err = r.ensureCustomer(ctx, &p); locked(err) && p.account != "" {
		return payer{}, r.syncAccount(ctx, p.account)
	}
	return p, err
}

// alone lets one at a time work on an invoice: what one compares, another must not
// change meanwhile.
func (r *Rail) alone(ctx context.Context, tenant uint32, invoice string, f func() error) error {
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		var got bool
		err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock(hashtextextended($1, 0))`, fmt.Sprintf("stripe:%d:%s", tenant, invoice)).Scan(&got)
		if err != nil {
			return err
		}
		if !got {
			return river.JobSnooze(2 * time.Second)
		}
		return f()
	})
}

func (r *Rail) align(ctx context.Context, g *push) error {
	i, err := r.intend(ctx, g.object)
	if err != nil {
		return err
	}
	if i.remote == "" && (g.inv.Open() == 0 || g.inv.State == model.StateUncollectible) {
		return r.release(ctx, g.object)
	}
	si, err := r.toStripeNow(ctx, g)
	if err != nil || si == nil {
		return err
	}
	for range 5 { // what each move came to is booked before the next
		if err := r.takeOverInvoice(ctx, g, si); err != nil {
			return err
		}
		if err := r.reload(ctx, g); err != nil {
			return err
		}
		moved, err := r.move(ctx, g, si)
		if err != nil {
			return plain(err)
		}
		if !moved {
			if open, _, _, lost := g.standing(); open > 0 && !lost && si.Status == stripe.InvoiceStatusPaid {
				return model.Errorf(model.Conflict, "Stripe calls invoice %s paid, and not all of it was: look at the customer's balance there, and book what it paid", g.inv.Number)
			}
			return nil
		}
		if si, err = r.fetch(ctx, g.account, si.ID); err != nil {
			return plain(err)
		}
	}
	return model.Errorf(model.Conflict, "invoice %s at Stripe does not become what it is here", g.inv.Number)
}

// release lets what was to go with an invoice that does not go to Stripe any more wait for
// the next one.
func (r *Rail) release(ctx context.Context, o object) error {
	return r.in(ctx, o.tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			update psp_object set head = null, state = 'waiting', updated_at = $4
			where tenant_id = $1 and account = $2 and kind = 'invoice' and head = $3 and remote_id is null returning tenant_id, local_id`, o.tenant, o.account, o.local, r.now())
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[settleArgs])
		for _, a := range all {
			if _, err := r.jobs.InsertTx(ctx, tx, a, insertNow()); err != nil {
				return err
			}
		}
		return err
	})
}

// reload reads how the invoices stand now.
func (r *Rail) reload(ctx context.Context, g *push) (err error) {
	for _, m := range g.members() {
		if *m, err = r.books.Invoice(ctx, scopeOf(g.tenant, m.Seller), m.ID); err != nil {
			return err
		}
	}
	return nil
}

// standing is what is to be paid here, of all invoices of the one at Stripe, what was
// paid too much, and whether something was paid. What is given up is not to be paid while
// others are; all of it given up, it is lost.
func (g *push) standing() (open, surplus int64, paid, lost bool) {
	var gone int64
	for _, m := range g.members() {
		if m.State == model.StateUncollectible {
			gone += m.Open()
		} else {
			open += m.Open()
		}
		surplus += m.Surplus()
		paid = paid || m.Paid > 0
	}
	if open == 0 && gone > 0 {
		return gone, surplus, paid, true
	}
	return open, surplus, paid, false
}

// move does at Stripe what was done here since: it reports whether there was anything.
func (r *Rail) move(ctx context.Context, g *push, si *stripe.Invoice) (bool, error) {
	open, surplus, paid, lost := g.standing()
	left, _ := fromStripe(g.currency, si.AmountRemaining)
	var err error
	switch {
	case si.Status == stripe.InvoiceStatusOpen && open == 0 && !paid:
		err = r.step(ctx, g.object, "inv.void", si.ID, func(key string) error {
			_, err := r.api.Invoices.VoidInvoice(si.ID, &stripe.InvoiceVoidInvoiceParams{Params: on(ctx, g.account, key)})
			return err
		})
	case si.Status == stripe.InvoiceStatusOpen && open == 0:
		err = r.step(ctx, g.object, "inv.hand", si.ID, func(key string) error {
			_, err := r.api.Invoices.Pay(si.ID, &stripe.InvoicePayParams{Params: on(ctx, g.account, key), PaidOutOfBand: stripe.Bool(true)})
			return err
		})
	case si.Status == stripe.InvoiceStatusOpen && open < left:
		return true, r.credit(ctx, g, si, left-open, false)
	case si.Status == stripe.InvoiceStatusOpen && lost:
		err = r.step(ctx, g.object, "inv.lost", si.ID, func(key string) error {
			_, err := r.api.Invoices.MarkUncollectible(si.ID, &stripe.InvoiceMarkUncollectibleParams{Params: on(ctx, g.account, key)})
			return err
		})
	case si.Status == stripe.InvoiceStatusPaid && surplus > 0 && !si.PaidOutOfBand:
		got, _ := fromStripe(g.currency, si.AmountPaid-si.PostPaymentCreditNotesAmount)
		back := min(surplus-g.stuck(), got)
		if back <= 0 {
			return false, nil
		}
		if err := r.allBooked(ctx, g, si); err != nil {
			return false, err
		}
		return true, r.credit(ctx, g, si, back, true)
	default:
		return false, nil
	}
	return true, err
}

// allBooked refuses to pay back while something that was paid back is not in the
// books: what looks like too much may be on its way already.
func (r *Rail) allBooked(ctx context.Context, g *push, si *stripe.Invoice) error {
	it := r.api.CreditNotes.List(&stripe.CreditNoteListParams{ListParams: list(ctx, g.account), Invoice: &si.ID})
	for it.Next() {
		n := it.CreditNote()
		if n.Refund == nil {
			continue
		}
		var booked int64
		for _, m := range g.members() {
			booked += paidWith(m, model.PaidBack, n.Refund.ID)
		}
		if booked == 0 {
			return model.Errorf(model.Conflict, "refund %s of invoice %s did not arrive: pay it back another way, and book that", n.Refund.ID, g.inv.Number)
		}
	}
	return it.Err()
}

// credit credits an amount of an invoice at Stripe, and pays it back where it was paid.
func (r *Rail) credit(ctx context.Context, g *push, si *stripe.Invoice, minor int64, back bool) error {
	amount, err := toStripe(g.currency, minor)
	if err != nil {
		return err
	}
	before := fmt.Sprintf("open%d", si.AmountRemaining) // a second one of the same amount is another
	if back {
		before = fmt.Sprintf("back%d", si.PostPaymentCreditNotesAmount)
	}
	o := object{g.tenant, g.account, kindNote, fmt.Sprintf("%s:%s:%d", si.ID, before, amount)}
	p := &stripe.CreditNoteParams{Invoice: &si.ID, Amount: &amount, Reason: stripe.String("order_change"), Memo: stripe.String("Credited by " + g.inv.From.Name), Metadata: map[string]string{localID: o.local}}
	if back {
		p.RefundAmount = &amount
	}
	_, err = r.create(ctx, o, p, func(time.Time) (string, error) {
		l := &stripe.CreditNoteListParams{ListParams: list(ctx, g.account), Invoice: &si.ID}
		for it := r.api.CreditNotes.List(l); ; {
			if !it.Next() {
				return "", it.Err()
			}
			if n := it.CreditNote(); n.Metadata[localID] == o.local {
				return n.ID, nil
			}
		}
	}, func(key string) (string, error) {
		p.Params = on(ctx, g.account, key)
		n, err := r.api.CreditNotes.New(p)
		if err != nil {
			return "", err
		}
		return n.ID, nil
	})
	return err
}

// paidWith is what is booked of a kind under a reference.
func paidWith(inv *billing.InvoiceDetail, kind, reference string) (sum int64) {
	for _, p := range inv.Payments {
		if p.Kind == kind && p.Reference == reference {
			sum += p.Amount
		}
	}
	return sum
}

// paidBy is what an invoice was paid by a kind of payment.
func paidBy(inv *billing.InvoiceDetail, kind string) (sum int64) {
	for _, p := range inv.Payments {
		if p.Kind == kind {
			sum += p.Amount
		}
	}
	return sum
}

// takeOverInvoice books what became of an invoice at Stripe.
func (r *Rail) takeOverInvoice(ctx context.Context, g *push, si *stripe.Invoice) error {
	if si.Metadata[localID] != g.local {
		return model.Errorf(model.Conflict, "invoice %s at Stripe does not say that it is %s", si.ID, g.inv.Number)
	}
	var err error
	switch si.Status {
	case stripe.InvoiceStatusOpen:
		err = r.bookFailure(ctx, g, si)
	case stripe.InvoiceStatusPaid:
		if err = r.bookPaid(ctx, g, si); err == nil && si.Charge != nil {
			var lost int64
			if err = r.bookBack(ctx, g, si); err == nil {
				lost, err = r.bookDisputes(ctx, g, si.Charge)
			}
			if err == nil {
				err = r.feeBack(ctx, g, si, lost)
			}
		}
	case stripe.InvoiceStatusUncollectible: // after its last attempt, or by a person there: what follows is decided here
		for _, m := range g.members() {
			if m.Open() > 0 && m.State != model.StateUncollectible {
				err = errors.Join(err, r.books.LeftByStripe(ctx, scopeOf(g.tenant, m.Seller), m.ID))
			}
		}
	case stripe.InvoiceStatusVoid:
		for _, m := range g.members() {
			scope := scopeOf(g.tenant, m.Seller)
			switch {
			case m.Open() == 0 || m.State == model.StateUncollectible:
			case m.Paid == 0:
				err = errors.Join(err, r.books.Void(ctx, scope, atStripe, m.ID, "Taken back at Stripe"))
			default:
				err = errors.Join(err, r.books.GiveUp(ctx, scope, atStripe, m.ID, "Given up at Stripe"))
			}
		}
	}
	if err != nil {
		return plain(err)
	}
	return r.in(ctx, g.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update psp_object set state = $4, url = $5, problem = '', updated_at = $6
			where tenant_id = $1 and account = $2 and kind = 'invoice' and coalesce(head, local_id) = $3`, g.tenant, g.account, g.local, string(si.Status), si.HostedInvoiceURL, r.now())
		return err
	})
}

// bookFailure books that the last attempt to charge failed.
func (r *Rail) bookFailure(ctx context.Context, g *push, si *stripe.Invoice) error {
	pi := si.PaymentIntent
	if !si.Attempted || pi == nil {
		return nil
	}
	reference, why := "", ""
	switch {
	case pi.Status == stripe.PaymentIntentStatusRequiresAction:
		reference, why = fmt.Sprintf("%s#%d", pi.ID, si.AttemptCount), "The bank wants its holder to confirm the payment"
	case pi.LastPaymentError != nil:
		reference, why = fmt.Sprintf("%s#%d", pi.ID, si.AttemptCount), pi.LastPaymentError.Msg
	default:
		return nil
	}
	for _, m := range g.members() {
		if slices.ContainsFunc(m.Payments, func(p model.Payment) bool { return p.Kind == model.PayFailed && p.Reference == reference }) {
			continue
		}
		if _, err := r.books.Failed(ctx, scopeOf(g.tenant, m.Seller), atStripe, billing.Receipt{Invoice: m.ID, Reference: reference, Note: cut(why)}); err != nil {
			return err
		}
	}
	return nil
}

// cut shortens what others wrote to what the books keep.
func cut(s string) string {
	if len(s) > 400 {
		s = s[:400]
	}
	return strings.ToValidUTF8(s, "")
}

// bookPaid books what was paid at Stripe: to those that were too small first, as much
// as is open of them, and the rest to the head; to what was given up only what is left then.
func (r *Rail) bookPaid(ctx context.Context, g *push, si *stripe.Invoice) error {
	left, exact := fromStripe(g.currency, si.AmountPaid)
	if !exact {
		return model.Errorf(model.Conflict, "Stripe was paid %d %s for invoice %s, which is no whole amount of it", si.AmountPaid, si.Currency, g.inv.Number)
	}
	kind := model.PaidByStripe
	if si.PaidOutOfBand {
		kind = model.PaidByHand
	}
	all := g.members()
	for _, m := range all {
		left -= paidWith(m, kind, si.ID)
	}
	parts := make([]int64, len(all))
	for _, given := range []bool{false, true} {
		for n, m := range all {
			if paidWith(m, kind, si.ID) == 0 && (m.State == model.StateUncollectible) == given {
				parts[n] = min(left, m.Open())
				left -= parts[n]
			}
		}
	}
	if head := len(all) - 1; !si.PaidOutOfBand && paidWith(all[head], kind, si.ID) == 0 {
		parts[head] += left
	}
	for n, m := range all {
		if parts[n] <= 0 {
			continue
		}
		receipt := billing.Receipt{Invoice: m.ID, Kind: kind, Amount: parts[n], Reference: si.ID, At: time.Unix(si.StatusTransitions.PaidAt, 0)}
		if _, err := r.books.Paid(ctx, scopeOf(g.tenant, m.Seller), atStripe, receipt); err != nil {
			return err
		}
	}
	return nil
}

// bookBack books what Stripe paid back: where too much was paid first, then to the
// head, of which it becomes a credit note.
func (r *Rail) bookBack(ctx context.Context, g *push, si *stripe.Invoice) error {
	l := &stripe.RefundListParams{ListParams: list(ctx, g.account), Charge: &si.Charge.ID}
	it := r.api.Refunds.List(l)
	for it.Next() {
		re := it.Refund()
		if re.Status == stripe.RefundStatusFailed || re.Status == stripe.RefundStatusCanceled {
			if err := r.refundFailed(ctx, g, re.ID); err != nil {
				return err
			}
			continue
		}
		err := r.eachPart(ctx, g, returned{re.ID, string(re.Currency), re.Amount}, func(m *model.InvoiceDetail, amount int64) error {
			receipt := billing.Receipt{Invoice: m.ID, Amount: amount, Reference: re.ID, Note: "Refunded at Stripe", At: time.Unix(re.Created, 0)}
			_, err := r.books.PaidBack(ctx, scopeOf(g.tenant, g.inv.Seller), atStripe, receipt)
			return err
		})
		if err != nil {
			return err
		}
	}
	return it.Err()
}

// failedRefund is before a refund's id in the reference of its money that came back.
const failedRefund = "failed:"

// refundFailed books that the money of a refund is back that seemed to have arrived.
func (r *Rail) refundFailed(ctx context.Context, g *push, id string) error {
	for _, m := range g.members() {
		amount := -paidWith(m, model.PaidBack, id)
		if amount <= 0 || paidWith(m, model.PaidByStripe, failedRefund+id) > 0 {
			continue
		}
		receipt := billing.Receipt{Invoice: m.ID, Kind: model.PaidByStripe, Amount: amount, Reference: failedRefund + id, Note: "The refund failed: pay it back another way"}
		if _, err := r.books.Paid(ctx, scopeOf(g.tenant, m.Seller), atStripe, receipt); err != nil {
			return err
		}
	}
	return nil
}

// stuck is what could not be paid back to the card, and was not another way since: it is not
// tried there again.
func (g *push) stuck() (all int64) {
	for _, m := range g.members() {
		var n int64
		for _, p := range m.Payments {
			switch {
			case p.Kind == model.PaidByStripe && strings.HasPrefix(p.Reference, failedRefund):
				n += p.Amount
			case p.Kind == model.PaidBack:
				n = max(n+p.Amount, 0)
			}
		}
		all += n
	}
	return all
}

// returned is what went back of a payment, and under which reference it is booked.
type returned struct {
	reference, currency string
	amount              int64 // in Stripe's units
}

// eachPart has what went back of a payment booked: where too much was paid first, then to
// the head.
func (r *Rail) eachPart(ctx context.Context, g *push, back returned, book func(*model.InvoiceDetail, int64) error) error {
	left, exact := fromStripe(g.currency, back.amount)
	if !exact {
		return model.Errorf(model.Conflict, "Stripe paid back %d %s of invoice %s, which is no whole amount of it", back.amount, back.currency, g.inv.Number)
	}
	if err := r.reload(ctx, g); err != nil { // what was paid may have been booked just now
		return err
	}
	all := g.members()
	for _, m := range all {
		left += paidWith(m, model.PaidBack, back.reference) // it is below zero there
	}
	parts := make([]int64, len(all))
	for pass := range 2 {
		for i := len(all) - 1; i >= 0 && left > 0; i-- {
			m := all[i]
			if paidWith(m, model.PaidBack, back.reference) != 0 {
				continue
			}
			most := m.Paid - paidBy(m, model.PaidByWallet) - parts[i] // what credit paid did not come from a card
			if pass == 0 {
				most = min(most, m.Surplus())
			}
			n := max(min(left, most), 0)
			parts[i], left = parts[i]+n, left-n
		}
	}
	for i := len(all) - 1; i >= 0; i-- { // once each: a reference is
		if parts[i] == 0 {
			continue
		}
		m := all[i]
		if err := book(m, parts[i]); err != nil {
			return err
		}
		m.Paid -= parts[i]
		m.Payments = append(m.Payments, model.Payment{Kind: model.PaidBack, Reference: back.reference, Amount: -parts[i]})
	}
	return nil
}

// bookDisputes takes over how disputes of a payment stand, and says how much of it is lost,
// in Stripe's units.
func (r *Rail) bookDisputes(ctx context.Context, g *push, ch *stripe.Charge) (lost int64, err error) {
	known := false
	for _, m := range g.members() {
		known = known || m.Disputed > 0
	}
	if !ch.Disputed && !known { // what was won is disputed no more
		return 0, nil
	}
	it := r.api.Disputes.List(&stripe.DisputeListParams{ListParams: list(ctx, g.account), Charge: &ch.ID})
	for it.Next() {
		d := it.Dispute()
		state := disputeState(d.Status)
		if state == "" {
			continue
		}
		b := model.Dispute{ID: d.ID, Reason: cut(string(d.Reason)), State: state, At: time.Unix(d.Created, 0)}
		if d.EvidenceDetails != nil && d.EvidenceDetails.DueBy > 0 && state == model.DisputeOpen {
			b.AnswerBy = time.Unix(d.EvidenceDetails.DueBy, 0)
		}
		if state == model.DisputeLost {
			lost += d.Amount
		}
		err := r.eachPart(ctx, g, returned{"dispute:" + d.ID, string(d.Currency), d.Amount}, func(m *model.InvoiceDetail, amount int64) error {
			b.Amount = amount
			_, err := r.books.Dispute(ctx, scopeOf(g.tenant, g.inv.Seller), atStripe, m.ID, b)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return lost, it.Err()
}

// disputeState is how a dispute stands in the words of the books; empty: it is only asked
// about, and no money went.
func disputeState(s stripe.DisputeStatus) string {
	switch s {
	case stripe.DisputeStatusNeedsResponse, stripe.DisputeStatusUnderReview:
		return model.DisputeOpen
	case stripe.DisputeStatusWon:
		return model.DisputeWon
	case stripe.DisputeStatusLost:
		return model.DisputeLost
	}
	return ""
}

// feeBack gives back of the operator's share as much as was paid back of the payment, as
// the bank took back in disputes that were lost, and as was credited before the payment:
// the share was asked for of all of the invoice.
func (r *Rail) feeBack(ctx context.Context, g *push, si *stripe.Invoice, disputed int64) error {
	ch, before := si.Charge, si.PrePaymentCreditNotesAmount
	back := min(ch.AmountRefunded+disputed, ch.Amount) + before
	if g.account == "" || back == 0 || ch.ApplicationFee == nil || ch.ApplicationFeeAmount == 0 {
		return nil
	}
	fee, err := r.api.ApplicationFees.Get(ch.ApplicationFee.ID, &stripe.ApplicationFeeParams{Params: on(ctx, "", "")})
	if err != nil {
		return err
	}
	asked := max(si.ApplicationFeeAmount, fee.Amount) // Stripe takes no more than was paid
	want := fee.Amount - min(fee.Amount, asked-feeShare(asked, back, ch.Amount+before))
	more := want - fee.AmountRefunded
	more -= more % grain(g.currency)
	if more <= 0 {
		return nil
	}
	return r.step(ctx, g.object, "fee.back", fmt.Sprintf("%s:%d:%d", fee.ID, fee.AmountRefunded, want), func(key string) error {
		_, err := r.api.FeeRefunds.New(&stripe.FeeRefundParams{Params: on(ctx, "", key), ID: &fee.ID, Amount: &more})
		return err
	})
}

// collect pays with a new card what is open of its owner.
func (r *Rail) collect(ctx context.Context, a collectArgs) error {
	p, err := r.payerBy(ctx, a.Account, a.Customer)
	if err != nil || p == nil || p.card.Method != a.Method { // replaced meanwhile
		return err
	}
	type row struct{ Invoice, Remote string }
	var all []row
	err = r.in(ctx, a.Tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select o.local_id, o.remote_id from psp_object o join invoice i on i.tenant_id = o.tenant_id and i.invoice_id = o.local_id
			where o.tenant_id = $1 and o.account = $2 and o.kind = 'invoice' and o.state = 'open' and o.head is null and o.remote_id is not null
				and i.developer_id is not distinct from nullif($3, '') order by i.finalized_at`, p.tenant, p.account, p.developer)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		return err
	})
	var failed error
	for _, o := range all {
		err := r.step(ctx, object{a.Tenant, a.Account, kindInvoice, o.Invoice}, "inv.pay", o.Remote+":"+a.Method, func(key string) error {
			_, err := r.api.Invoices.Pay(o.Remote, &stripe.InvoicePayParams{Params: on(ctx, a.Account, key), PaymentMethod: &a.Method, OffSession: stripe.Bool(true)})
			return err
		})
		if e := answered(err); err != nil && (e == nil || e.HTTPStatusCode >= 500 || e.HTTPStatusCode == 409 || e.HTTPStatusCode == 429) {
			failed = errors.Join(failed, plain(err))
		}
		failed = errors.Join(failed, r.settle(ctx, a.Tenant, o.Invoice))
	}
	return errors.Join(err, failed)
}

// takeInvoice takes over how an invoice at Stripe is; one that is not ours is left
// alone.
func (r *Rail) takeInvoice(ctx context.Context, account, id string) (ours bool, err error) {
	var tenant uint32
	var local string
	err = r.in(ctx, 0, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select tenant_id, local_id from psp_object where account = $1 and remote_id = $2 and kind = 'invoice' and head is null`, account, id).Scan(&tenant, &local)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, r.foreign(ctx, account, id)
	}
	if err != nil {
		return false, err
	}
	return true, r.settle(ctx, tenant, local)
}

// errForgotten marks what is ours at Stripe and not in our books.
var errForgotten = errors.New("forgotten")

// foreign is nil of an invoice that is not ours. One that says it is, and that the books
// do not have, was made before the database was restored from a backup: what it was for is
// billed again, so somebody must know.
func (r *Rail) foreign(ctx context.Context, account, id string) error {
	inv, err := r.fetch(ctx, account, id)
	if err != nil {
		return ignoreGone(err)
	}
	local, number := inv.Metadata[localID], inv.Metadata["number"]
	if local == "" || number == "" || inv.Deleted {
		return nil
	}
	var known bool
	err = r.in(ctx, 0, func(tx pgx.Tx) error { // what is being made is not known by Stripe's id yet
		return tx.QueryRow(ctx, `select exists (select from psp_object where account = $1 and kind = 'invoice' and local_id = $2)`, account, local).Scan(&known)
	})
	if err != nil || known {
		return err
	}
	return fmt.Errorf("%w (%w)", model.Errorf(model.Conflict,
		"invoice %s at Stripe says that it is our %s, which the books do not have, as after a restored backup: what it is for is billed again. Void it there, or pay it back", id, number), errForgotten)
}

// takeCharge is takeInvoice for a charge.
func (r *Rail) takeCharge(ctx context.Context, account, id string) (ours bool, err error) {
	c, err := r.api.Charges.Get(id, &stripe.ChargeParams{Params: on(ctx, account, "")})
	if err != nil || c.Invoice == nil {
		return false, ignoreGone(err)
	}
	return r.takeInvoice(ctx, account, c.Invoice.ID)
}
