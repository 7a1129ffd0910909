package stripe

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/billing"
	"tollgate/model"
)

// Card is what pays somebody's invoices; its zero value: nothing does yet.
type Card struct {
	Method   string // pm_…
	Brand    string // visa
	Last4    string
	ExpMonth int
	ExpYear  int
}

// payer is who pays, and on which account: a developer on the tenant's own, a tenant
// on the operator's.
type payer struct {
	tenant    uint32
	account   string
	developer string // empty: the tenant
	customer  string // cus_…; empty: not there yet
	card      Card
	seen      int64
}

// local is our id of it, in its metadata.
func (p *payer) local(accountID string) string {
	if p.developer != "" {
		return p.developer
	}
	return accountID
}

// Ready reports whether a payer can pay through Stripe: for a developer it needs its
// tenant's account.
func (r *Rail) Ready(ctx context.Context, s billing.Scope) (bool, error) {
	if s.Developer == "" {
		return true, nil
	}
	a, err := r.Account(ctx, billing.Scope{Tenant: s.Tenant})
	return a.ID != "" && a.Disconnected.IsZero() && a.Charges, err
}

// payer finds who a scope is, as the one that pays.
func (r *Rail) payer(ctx context.Context, s billing.Scope) (p payer, err error) {
	if s.Tenant == 0 {
		return p, model.Errorf(model.Invalid, "the operator pays nobody here")
	}
	p = payer{tenant: s.Tenant, developer: s.Developer}
	if s.Developer != "" {
		a, err := r.Account(ctx, billing.Scope{Tenant: s.Tenant})
		if err != nil {
			return p, err
		}
		if a.ID == "" || !a.Disconnected.IsZero() {
			return p, model.Errorf(model.Conflict, "cards are not taken here yet; pay by bank transfer")
		}
		p.account = a.ID
	}
	return p, r.loadPayer(ctx, &p)
}

func (r *Rail) loadPayer(ctx context.Context, p *payer) error {
	return r.in(ctx, p.tenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select customer, method, brand, last4, exp_month, exp_year, seen from stripe_customer
			where tenant_id = $1 and account = $2 and developer_id is not distinct from nullif($3, '')`, p.tenant, p.account, p.developer).
			Scan(&p.customer, &p.card.Method, &p.card.Brand, &p.card.Last4, &p.card.ExpMonth, &p.card.ExpYear, &p.seen)
		if err == pgx.ErrNoRows {
			return nil
		}
		return err
	})
}

// Card is what pays a scope's invoices.
func (r *Rail) Card(ctx context.Context, s billing.Scope) (Card, error) {
	if ok, err := r.Ready(ctx, s); err != nil || !ok {
		return Card{}, err
	}
	p, err := r.payer(ctx, s)
	return p.card, err
}

// ensureCustomer makes the payer a customer on the account it pays on.
func (r *Rail) ensureCustomer(ctx context.Context, p *payer) error {
	if p.customer != "" {
		return nil
	}
	var account, email, name string
	err := r.in(ctx, p.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select t.account_id, coalesce(d.email, t.email), coalesce(nullif(d.billing->>'name', ''), nullif(d.name, ''), nullif(t.seller->>'name', ''), t.name)
			from tenant t left join developer d on d.tenant_id = t.tenant_id and d.developer_id = $2
			where t.tenant_id = $1 and ($2 = '' or d.developer_id is not null)`, p.tenant, p.developer).Scan(&account, &email, &name)
	})
	if err != nil {
		return err
	}
	o := object{p.tenant, p.account, kindCustomer, p.local(account)}
	c := &stripe.CustomerParams{Email: &email, Name: &name, Metadata: map[string]string{localID: o.local}}
	id, err := r.create(ctx, o, c, func(since time.Time) (string, error) {
		l := &stripe.CustomerListParams{ListParams: list(ctx, p.account), CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
		for it := r.api.Customers.List(l); ; {
			if !it.Next() {
				return "", it.Err()
			}
			if c := it.Customer(); c.Metadata[localID] == o.local && !c.Deleted {
				return c.ID, nil
			}
		}
	}, func(key string) (string, error) {
		c.Params = on(ctx, p.account, key)
		made, err := r.api.Customers.New(c)
		if err != nil {
			return "", err
		}
		return made.ID, nil
	})
	if err != nil {
		return err
	}
	p.customer = id
	return r.in(ctx, p.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into stripe_customer (tenant_id, account, developer_id, customer, updated_at) values ($1, $2, nullif($3, ''), $4, $5) on conflict do nothing`,
			p.tenant, p.account, p.developer, id, r.now())
		return err
	})
}

// SessionMark is where, in the address to come back to, the id of the Checkout
// session is put.
const SessionMark = "{CHECKOUT_SESSION_ID}"

// AddCard begins to save a card, and returns where the payer's browser goes. done is
// where it comes back to, with SessionMark in it; back is for who changes its mind.
func (r *Rail) AddCard(ctx context.Context, s billing.Scope, done, back string) (string, error) {
	p, err := r.payer(ctx, s)
	if err != nil {
		return "", err
	}
	if err := r.ensureCustomer(ctx, &p); err != nil {
		return "", err
	}
	c, err := r.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Params: on(ctx, p.account, ""), Mode: stripe.String("setup"), Customer: &p.customer,
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}), SuccessURL: &done, CancelURL: &back})
	if err != nil {
		return "", plain(err)
	}
	return c.URL, nil
}

// CardAdded takes over what a finished Checkout session saved; one of somebody else
// is not found.
func (r *Rail) CardAdded(ctx context.Context, s billing.Scope, session string) (Card, error) {
	p, err := r.payer(ctx, s)
	if err != nil {
		return Card{}, err
	}
	c, err := r.session(ctx, p.account, session)
	if gone(err) || err == nil && (p.customer == "" || c.Customer == nil || c.Customer.ID != p.customer) {
		return Card{}, model.Errorf(model.NotFound, "there is no such card to be saved")
	}
	if err != nil {
		return Card{}, plain(err)
	}
	if err := r.useCard(ctx, p.account, c); err != nil {
		return Card{}, plain(err)
	}
	if err := r.loadPayer(ctx, &p); err != nil {
		return Card{}, err
	}
	return p.card, nil
}

func (r *Rail) session(ctx context.Context, account, id string) (*stripe.CheckoutSession, error) {
	p := &stripe.CheckoutSessionParams{Params: on(ctx, account, "")}
	p.AddExpand("setup_intent")
	return r.api.CheckoutSessions.Get(id, p)
}

// useCard makes the card that a Checkout session saved the one that pays. A session
// that is looked at again later does not bring back a card that was replaced since.
func (r *Rail) useCard(ctx context.Context, account string, c *stripe.CheckoutSession) error {
	if c.Mode != stripe.CheckoutSessionModeSetup || c.Status != stripe.CheckoutSessionStatusComplete || c.Customer == nil ||
		c.SetupIntent == nil || c.SetupIntent.PaymentMethod == nil {
		return nil
	}
	method, customer := c.SetupIntent.PaymentMethod.ID, c.Customer.ID
	get := &stripe.CustomerParams{Params: on(ctx, account, "")}
	now, err := r.api.Customers.Get(customer, get)
	if err != nil {
		return err
	}
	if now.InvoiceSettings == nil {
		now.InvoiceSettings = &stripe.CustomerInvoiceSettings{}
	}
	if used := now.Metadata["checkout"]; used < sessionOrder(c) { // the latest session decides
		p := &stripe.CustomerParams{Params: on(ctx, account, anew),
			InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &method},
			Metadata:        map[string]string{"checkout": sessionOrder(c)}}
		if _, err := r.api.Customers.Update(customer, p); err != nil && !gone(err) { // gone: taken away again since
			return err
		}
		if old := now.InvoiceSettings.DefaultPaymentMethod; old != nil && old.ID != method {
			_, err := r.api.PaymentMethods.Detach(old.ID, &stripe.PaymentMethodDetachParams{Params: on(ctx, account, anew)})
			if err != nil && answered(err) == nil {
				return err
			}
		}
	}
	return r.syncCustomer(ctx, account, customer)
}

// sessionOrder sorts sessions by when they were made.
func sessionOrder(c *stripe.CheckoutSession) string { return fmt.Sprintf("%012d %s", c.Created, c.ID) }

// RemoveCard takes the card away that pays; invoices are then to be paid another way.
func (r *Rail) RemoveCard(ctx context.Context, s billing.Scope, by billing.By) error {
	p, err := r.payer(ctx, s)
	if err != nil {
		return err
	}
	if p.card.Method == "" {
		return model.Errorf(model.NotFound, "there is no card to remove")
	}
	was := p.card
	_, refused := r.api.PaymentMethods.Detach(was.Method, &stripe.PaymentMethodDetachParams{Params: on(ctx, p.account, anew)})
	if refused != nil && answered(refused) == nil {
		return plain(refused)
	}
	if err := r.syncCustomer(ctx, p.account, p.customer); err != nil {
		return plain(err)
	}
	// Whatever was answered: it may be away by a call before whose answer did not come.
	if err := r.loadPayer(ctx, &p); err != nil {
		return err
	}
	if refused != nil && p.card.Method == was.Method {
		return plain(refused)
	}
	return r.in(ctx, p.tenant, func(tx pgx.Tx) error {
		return audit(ctx, tx, p.tenant, by, "card.remove", was.Last4, map[string]any{"developer": p.developer})
	})
}

// Portal is where a payer sees and changes at Stripe what it has there.
func (r *Rail) Portal(ctx context.Context, s billing.Scope, back string) (string, error) {
	p, err := r.payer(ctx, s)
	if err != nil {
		return "", err
	}
	if err := r.ensureCustomer(ctx, &p); err != nil {
		return "", err
	}
	config, err := r.portalConfig(ctx, p.account)
	if err != nil {
		return "", plain(err)
	}
	o, err := r.api.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{Params: on(ctx, p.account, ""), Customer: &p.customer, ReturnURL: &back, Configuration: &config})
	if err != nil {
		return "", plain(err)
	}
	return o.URL, nil
}

// portalConfig is how the portal looks on an account: ours is made where it has none.
func (r *Rail) portalConfig(ctx context.Context, account string) (string, error) {
	l := &stripe.BillingPortalConfigurationListParams{ListParams: list(ctx, account), Active: stripe.Bool(true)}
	it := r.api.BillingPortalConfigurations.List(l)
	for it.Next() {
		return it.BillingPortalConfiguration().ID, nil
	}
	if it.Err() != nil {
		return "", it.Err()
	}
	c, err := r.api.BillingPortalConfigurations.New(&stripe.BillingPortalConfigurationParams{Params: on(ctx, account, anew),
		BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{},
		Features: &stripe.BillingPortalConfigurationFeaturesParams{
			InvoiceHistory:      &stripe.BillingPortalConfigurationFeaturesInvoiceHistoryParams{Enabled: stripe.Bool(true)},
			PaymentMethodUpdate: &stripe.BillingPortalConfigurationFeaturesPaymentMethodUpdateParams{Enabled: stripe.Bool(true)},
		}})
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

// syncCustomer takes over which card pays for a customer; one that is not ours is
// left alone. Where a card is new, what is open is tried with it.
func (r *Rail) syncCustomer(ctx context.Context, account, customer string) error {
	for range 5 {
		p, err := r.payerBy(ctx, account, customer)
		if err != nil || p == nil {
			return err
		}
		get := &stripe.CustomerParams{Params: on(ctx, account, "")}
		get.AddExpand("invoice_settings.default_payment_method")
		c, err := r.api.Customers.Get(customer, get)
		if err != nil && !gone(err) && !locked(err) {
			return err
		}
		var card Card
		if err == nil && c.InvoiceSettings != nil {
			card = cardOf(c.InvoiceSettings.DefaultPaymentMethod)
		}
		done := false
		err = r.in(ctx, p.tenant, func(tx pgx.Tx) error {
			t, err := tx.Exec(ctx, `
				update stripe_customer set method = $4, brand = $5, last4 = $6, exp_month = $7, exp_year = $8, seen = seen + 1, updated_at = $9
				where account = $1 and customer = $2 and seen = $3`,
				account, customer, p.seen, card.Method, card.Brand, card.Last4, card.ExpMonth, card.ExpYear, r.now())
			if err != nil {
				return err
			}
			done = t.RowsAffected() == 1
			if !done || card.Method == p.card.Method {
				return nil
			}
			if err := audit(ctx, tx, p.tenant, atStripe, "card.change", card.Last4, map[string]any{"developer": p.developer, "brand": card.Brand}); err != nil || card.Method == "" {
				return err
			}
			return r.enqueue(ctx, tx, collectArgs{p.tenant, account, customer, card.Method})
		})
		if err != nil || done {
			return err
		}
	}
	return fmt.Errorf("customer %s changes all the time", customer)
}

func cardOf(m *stripe.PaymentMethod) (c Card) {
	if m == nil {
		return c
	}
	c.Method, c.Brand = m.ID, string(m.Type)
	if m.Card != nil {
		c = Card{m.ID, string(m.Card.Brand), m.Card.Last4, int(m.Card.ExpMonth), int(m.Card.ExpYear)}
	}
	return c
}

// payerBy is a customer by Stripe's id of it; nil: it is not ours.
func (r *Rail) payerBy(ctx context.Context, account, customer string) (*payer, error) {
	p := &payer{account: account, customer: customer}
	err := r.in(ctx, 0, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select tenant_id, coalesce(developer_id, ''), method, brand, last4, exp_month, exp_year, seen from stripe_customer where account = $1 and customer = $2`, account, customer).
			Scan(&p.tenant, &p.developer, &p.card.Method, &p.card.Brand, &p.card.Last4, &p.card.ExpMonth, &p.card.ExpYear, &p.seen)
	})
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	return p, err
}
