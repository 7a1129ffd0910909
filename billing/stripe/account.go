package stripe

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/billing"
	"tollgate/model"
)

// Account is a tenant's own account at Stripe, as Stripe last said.
type Account struct {
	ID             string // acct_…; empty: none is connected
	Charges        bool   // developers can pay on it
	Payouts        bool
	Submitted      bool   // the tenant has been through Stripe's questions
	Due            int    // details that Stripe still waits for
	DisabledReason string // Stripe's word for why it takes no payments
	Disconnected   time.Time
	seen           int64
	tenant         uint32
}

const accountColumns = `account, charges_enabled, payouts_enabled, details_submitted, due, disabled_reason, coalesce(disconnected_at, '0001-01-01'), seen, tenant_id`

func scanAccount(row pgx.CollectableRow) (a Account, err error) {
	err = row.Scan(&a.ID, &a.Charges, &a.Payouts, &a.Submitted, &a.Due, &a.DisabledReason, &a.Disconnected, &a.seen, &a.tenant)
	if a.Disconnected.Year() < 2000 {
		a.Disconnected = time.Time{}
	}
	return a, err
}

// Account is the connected account of a tenant; its zero value: none is.
func (r *Rail) Account(ctx context.Context, s billing.Scope) (a Account, err error) {
	err = r.in(ctx, s.Tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+accountColumns+` from stripe_account where tenant_id = $1 order by disconnected_at desc nulls first limit 1`, s.Tenant)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, scanAccount)
		if len(all) > 0 {
			a = all[0]
		}
		return err
	})
	return a, err
}

// Connect begins, or goes on with, connecting a tenant's own account, and returns
// where its browser goes to answer Stripe's questions. back is where it comes back
// to, again where a link that ran out leads.
func (r *Rail) Connect(ctx context.Context, s billing.Scope, by billing.By, back, again string) (string, error) {
	if s.Tenant == 0 || s.Developer != "" {
		return "", model.Errorf(model.Denied, "only an account that sells connects to Stripe")
	}
	a, err := r.Account(ctx, s)
	if err != nil {
		return "", err
	}
	if a.ID == "" || !a.Disconnected.IsZero() {
		if a.ID, err = r.newAccount(ctx, s, by); err != nil {
			return "", err
		}
	}
	link, err := r.api.AccountLinks.New(&stripe.AccountLinkParams{Params: on(ctx, "", ""), Account: &a.ID, Type: stripe.String("account_onboarding"),
		ReturnURL: &back, RefreshURL: &again, CollectionOptions: &stripe.AccountLinkCollectionOptionsParams{Fields: stripe.String("eventually_due")}})
	if err != nil {
		return "", plain(err)
	}
	return link.URL, nil
}

// newAccount makes the account: the tenant is the merchant, pays Stripe's fees and
// has Stripe's own dashboard; disputes and tax are its own.
func (r *Rail) newAccount(ctx context.Context, s billing.Scope, by billing.By) (string, error) {
	var account, email, name string
	var nth int
	err := r.in(ctx, s.Tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select account_id, email, coalesce(nullif(seller->>'name', ''), name), (select count(*) from stripe_account a where a.tenant_id = t.tenant_id)
			from tenant t where tenant_id = $1`, s.Tenant).Scan(&account, &email, &name, &nth)
	})
	if err != nil {
		return "", err
	}
	o := object{s.Tenant, "", kindAccount, fmt.Sprintf("%s/%d", account, nth+1)}
	p := &stripe.AccountParams{
		Email: &email, BusinessProfile: &stripe.AccountBusinessProfileParams{Name: &name},
		Controller: &stripe.AccountControllerParams{
			Fees:            &stripe.AccountControllerFeesParams{Payer: stripe.String("account")},
			Losses:          &stripe.AccountControllerLossesParams{Payments: stripe.String("stripe")},
			StripeDashboard: &stripe.AccountControllerStripeDashboardParams{Type: stripe.String("full")},
		},
		Metadata: map[string]string{localID: o.local},
	}
	id, err := r.create(ctx, o, p, func(since time.Time) (string, error) {
		l := &stripe.AccountListParams{ListParams: list(ctx, ""), CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}}
		it := r.api.Accounts.List(l)
		for it.Next() {
			if a := it.Account(); a.Metadata[localID] == o.local {
				return a.ID, nil
			}
		}
		return "", it.Err()
	}, func(key string) (string, error) {
		p.Params = on(ctx, "", key)
		a, err := r.api.Accounts.New(p)
		if err != nil {
			return "", err
		}
		return a.ID, nil
	})
	if err != nil {
		return "", err
	}
	return id, r.in(ctx, s.Tenant, func(tx pgx.Tx) error {
		made, err := tx.Exec(ctx, `insert into stripe_account (tenant_id, account, created_at, updated_at) values ($1, $2, $3, $3) on conflict do nothing`, s.Tenant, id, r.now())
		if err != nil || made.RowsAffected() == 0 {
			return err
		}
		return audit(ctx, tx, s.Tenant, by, "stripe.connect", id, nil)
	})
}

// SyncAccount reads at Stripe how the tenant's account stands.
func (r *Rail) SyncAccount(ctx context.Context, s billing.Scope) (Account, error) {
	a, err := r.Account(ctx, s)
	if err != nil || a.ID == "" || !a.Disconnected.IsZero() {
		return a, err
	}
	if err := r.syncAccount(ctx, a.ID); err != nil {
		return a, plain(err)
	}
	return r.Account(ctx, s)
}

// syncAccount takes over what Stripe says of a connected account; one that is not a
// tenant's is left alone.
func (r *Rail) syncAccount(ctx context.Context, account string) error {
	for range 5 {
		have, err := r.accountBy(ctx, account)
		if err != nil || have == nil || !have.Disconnected.IsZero() {
			return err
		}
		got := &stripe.Account{}
		p := &stripe.AccountParams{Params: on(ctx, account, "")}
		err = r.api.Accounts.B.Call(http.MethodGet, "/v1/account", r.key, p, got)
		lost := locked(err)
		if err != nil && !lost {
			return err
		}
		done, err := r.takeOver(ctx, have, got, lost)
		if err != nil || done {
			return err
		}
	}
	return fmt.Errorf("account %s changes all the time", account)
}

// accountBy is a connected account by Stripe's id of it; nil: it is not ours.
func (r *Rail) accountBy(ctx context.Context, account string) (a *Account, err error) {
	err = r.in(ctx, 0, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select `+accountColumns+` from stripe_account where account = $1`, account)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, scanAccount)
		if len(all) > 0 {
			a = &all[0]
		}
		return err
	})
	return a, err
}

// takeOver writes what Stripe said of an account, unless something newer was written
// while it was asked: then it is false, and to be asked again.
func (r *Rail) takeOver(ctx context.Context, have *Account, got *stripe.Account, lost bool) (done bool, err error) {
	var due int
	var reason string
	if q := got.Requirements; q != nil {
		due, reason = len(q.CurrentlyDue)+len(q.PastDue), string(q.DisabledReason)
	}
	err = r.in(ctx, have.tenant, func(tx pgx.Tx) error {
		t, err := tx.Exec(ctx, `
			update stripe_account set charges_enabled = $4, payouts_enabled = $5, details_submitted = details_submitted or $6, due = $7, disabled_reason = $8,
				disconnected_at = case when $9 then $10::timestamptz end, seen = seen + 1, updated_at = $10
			where tenant_id = $1 and account = $2 and seen = $3`,
			have.tenant, have.ID, have.seen, got.ChargesEnabled && !lost, got.PayoutsEnabled && !lost, got.DetailsSubmitted, due, reason, lost, r.now())
		if err != nil {
			return err
		}
		done = t.RowsAffected() == 1
		if done && lost {
			if err := r.leave(ctx, tx, have); err != nil {
				return err
			}
			return audit(ctx, tx, have.tenant, atStripe, "stripe.disconnected", have.ID, nil)
		}
		return nil
	})
	return done, err
}

// leave has what is open on an account that is taken away left to its seller.
func (r *Rail) leave(ctx context.Context, tx pgx.Tx, a *Account) error {
	rows, err := tx.Query(ctx, `
		select p.tenant_id, p.local_id from psp_object p join collection c on (c.tenant_id, c.invoice_id) = (p.tenant_id, p.local_id)
		where p.tenant_id = $1 and p.account = $2 and p.kind = 'invoice' and c.by = 'stripe' and c.state in ('open', 'past_due')`, a.tenant, a.ID)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[settleArgs])
	for _, args := range all {
		if _, err := r.jobs.InsertTx(ctx, tx, args, insertNow()); err != nil {
			return err
		}
	}
	return err
}

// atStripe is who did what was done there.
var atStripe = billing.By{Member: "stripe", Name: "Stripe", Role: "system"}

func audit(ctx context.Context, tx pgx.Tx, tenant uint32, by billing.By, action, target string, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	_, err := tx.Exec(ctx, `
		insert into audit (tenant_id, actor, actor_name, source, role, action, target, detail) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		tenant, by.Member, by.Name, by.Source, by.Role, action, target, detail)
	return err
}
