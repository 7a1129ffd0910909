package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v79/webhook"
)

// Paths of the two endpoints that Stripe is told of: for events of the operator's own
// account, and for those of connected ones.
const (
	PlatformPath = "/webhooks/stripe"
	ConnectPath  = "/webhooks/stripe/connect"
)

// EventTypes are the events that matter here; an endpoint may send more.
var EventTypes = []string{
	"account.updated", "account.application.deauthorized",
	"checkout.session.completed", "customer.updated", "payment_method.attached", "payment_method.detached", "payment_method.automatically_updated",
	"invoice.finalized", "invoice.finalization_failed", "invoice.paid", "invoice.payment_failed", "invoice.payment_action_required", "invoice.overdue",
	"invoice.marked_uncollectible", "invoice.voided", "invoice.deleted", "credit_note.created", "credit_note.voided",
	"charge.refunded", "charge.refund.updated", "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
}

// maxEvent is how large an event may be, in bytes.
const maxEvent = 512 << 10

// envelope is what is read of an event. The rest is read at Stripe.
type envelope struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Account string `json:"account"`
	Created int64  `json:"created"`
	Data    struct {
		Object struct {
			ID       string `json:"id"`
			Object   string `json:"object"`
			Invoice  string `json:"invoice"`  // of a charge or a credit note
			Charge   string `json:"charge"`   // of a dispute or a refund
			Customer string `json:"customer"` // of a payment method
		} `json:"object"`
		Previous struct {
			Customer string `json:"customer"` // of a payment method that was taken away
		} `json:"previous_attributes"`
	} `json:"data"`
}

// about is the object to look at at Stripe; empty: none that matters here.
func (e *envelope) about() string {
	o := &e.Data.Object
	switch o.Object {
	case "account", "application":
		return e.Account
	case "invoice", "customer", "checkout.session":
		return o.ID
	case "credit_note", "charge":
		return o.Invoice
	case "dispute", "refund":
		return o.Charge
	case "payment_method":
		if o.Customer != "" {
			return o.Customer
		}
		return e.Data.Previous.Customer
	}
	return ""
}

// Webhooks takes events at PlatformPath and ConnectPath. An event is kept, with the
// job that works on it, before it is acknowledged.
func (r *Rail) Webhooks() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PlatformPath, func(w http.ResponseWriter, req *http.Request) { r.take(w, req, false) })
	mux.HandleFunc("POST "+ConnectPath, func(w http.ResponseWriter, req *http.Request) { r.take(w, req, true) })
	return mux
}

func (r *Rail) take(w http.ResponseWriter, req *http.Request, connect bool) {
	secret, setting := r.secrets[0], "TOLLGATE_STRIPE_WEBHOOK_SECRET"
	if connect {
		secret, setting = r.secrets[1], "TOLLGATE_STRIPE_CONNECT_SECRET"
	}
	if secret == "" {
		http.Error(w, "events are not taken here: "+setting+" is not set", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxEvent))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		http.Error(w, "an event has at most 512 KB", http.StatusRequestEntityTooLarge)
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		http.Error(w, "the event did not arrive in time", http.StatusRequestTimeout)
		return
	}
	if err != nil {
		http.Error(w, "the event could not be read to its end", http.StatusBadRequest)
		return
	}
	// What version an event is of does not matter: its object is read in ours.
	if err := webhook.ValidatePayload(body, req.Header.Get("Stripe-Signature"), secret); err != nil {
		r.log.Warn("a webhook was refused", "path", req.URL.Path, "why", err)
		http.Error(w, "the signature is not one of this endpoint's secret, or too old", http.StatusBadRequest)
		return
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil || e.ID == "" || len(e.ID) > 255 || len(e.Type) > 255 || len(e.about()) > 255 || connect != (e.Account != "") {
		http.Error(w, "that is no event for this endpoint", http.StatusBadRequest)
		return
	}
	if err := r.keep(req.Context(), &e, false); err != nil {
		r.log.Error("an event could not be kept; Stripe will send it again", "event", e.ID, "error", err)
		http.Error(w, "the event could not be kept; send it again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// keep writes an event down with the job that works on it; one that is there already
// is left as it is.
func (r *Rail) keep(ctx context.Context, e *envelope, swept bool) error {
	return r.in(ctx, 0, func(tx pgx.Tx) error {
		state := "new"
		if e.about() == "" {
			state = "ignored"
		}
		t, err := tx.Exec(ctx, `
			insert into webhook_event (account, event_id, tenant_id, kind, object_id, created_at, received_at, swept, state)
			values ($1, $2, (select tenant_id from stripe_account where account = $1), $3, $4, $5, $6, $7, $8) on conflict do nothing`,
			e.Account, e.ID, e.Type, e.about(), time.Unix(e.Created, 0), r.now(), swept, state)
		if err != nil || t.RowsAffected() == 0 || state == "ignored" {
			return err
		}
		return r.enqueue(ctx, tx, eventArgs{e.Account, e.ID})
	})
}

// work reads at Stripe what an event is about, and takes it over. What is not ours is
// ignored.
func (r *Rail) work(ctx context.Context, account, event string) error {
	var kind, id, state string
	err := r.in(ctx, 0, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select kind, object_id, state from webhook_event where account = $1 and event_id = $2`, account, event).Scan(&kind, &id, &state)
	})
	if errors.Is(err, pgx.ErrNoRows) || state == "done" || state == "ignored" {
		return nil // pruned, or done by a job that was thought dead
	}
	if err != nil {
		return err
	}
	ours, err := r.look(ctx, account, id)
	if busy(err) {
		return err
	}
	if errors.Is(err, errForgotten) { // trying again changes nothing
		return r.note(ctx, account, event, "parked", plain(err))
	}
	if err != nil {
		return errors.Join(err, r.note(ctx, account, event, "new", plain(err)))
	}
	state = "done"
	if !ours {
		state = "ignored"
	}
	return r.note(ctx, account, event, state, nil)
}

// look takes over how one object at Stripe is now.
func (r *Rail) look(ctx context.Context, account, id string) (ours bool, err error) {
	if account != "" {
		a, err := r.accountBy(ctx, account)
		if err != nil || a == nil {
			return false, err
		}
		if id == account {
			return true, r.syncAccount(ctx, account)
		}
		if !a.Disconnected.IsZero() {
			return false, nil
		}
	}
	ours, err = r.lookInside(ctx, account, id)
	if locked(err) && account != "" { // taken away meanwhile
		return true, r.syncAccount(ctx, account)
	}
	return ours, err
}

func (r *Rail) lookInside(ctx context.Context, account, id string) (ours bool, err error) {
	prefix := id
	for i, c := range id {
		if c == '_' {
			prefix = id[:i]
			break
		}
	}
	switch prefix {
	case "in":
		return r.takeInvoice(ctx, account, id)
	case "cus":
		p, err := r.payerBy(ctx, account, id)
		if err != nil || p == nil {
			return false, err
		}
		return true, r.syncCustomer(ctx, account, id)
	case "cs":
		c, err := r.session(ctx, account, id)
		if err != nil || c.Customer == nil {
			return false, ignoreGone(err)
		}
		p, err := r.payerBy(ctx, account, c.Customer.ID)
		if err != nil || p == nil {
			return false, err
		}
		return true, r.useCard(ctx, account, c)
	case "ch", "py":
		return r.takeCharge(ctx, account, id)
	}
	return false, nil
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

// note writes how far an event came.
func (r *Rail) note(ctx context.Context, account, event, state string, problem error) error {
	text := ""
	if problem != nil {
		text = problem.Error()
	}
	return r.in(context.WithoutCancel(ctx), 0, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update webhook_event set state = $3, problem = left($4, 500), attempts = attempts + 1, done_at = case when $3 in ('done', 'ignored') then $5::timestamptz end
			where account = $1 and event_id = $2`, account, event, state, text, r.now())
		return err
	})
}
