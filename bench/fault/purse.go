package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/bench/rig"
	"tollgate/billing"
	"tollgate/model"
)

// purse is a developer whose calls money bounds, a cent each: by a cap of the month, or by
// prepaid credit that comes bit by bit. Its key calls on, whether it ends or not.
type purse struct {
	name     string
	prepaid  bool
	reach    int64 // calls that the money is for, in all
	requests [][]byte

	served  atomic.Int64 // answers with status 200
	refused atomic.Int64 // and with 402
}

// openPurses makes both, with a key each.
func (w *world) openPurses(ctx context.Context, keys []string) error {
	for i, p := range []*purse{{name: "capped"}, {name: "prepaid", prepaid: true}} {
		p.reach = max(w.o.calls/200, 1)
		bound := []string{"--prepaid"}
		if !p.prepaid {
			bound = []string{"--spend-cap", fmt.Sprintf("%d.%02d", p.reach/100, p.reach%100)}
		}
		if err := w.tollgate.CentPlan(ctx, p.name, w.api, keys[i:i+1], bound...); err != nil {
			return err
		}
		// The command line makes keys of the tenant's own: this one becomes a developer's.
		err := w.books.change(ctx, func(tx pgx.Tx) error {
			for _, sql := range []string{
				`insert into developer (tenant_id, developer_id, email, password_hash) select tenant_id, name, name || '@example.com', '' from plan where name = $1`,
				`insert into app (tenant_id, app_id, developer_id, name) select tenant_id, 'app-' || name, name, 'App' from plan where name = $1`,
				`update subscription s set app_id = 'app-' || $1 from plan p where (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id) and p.name = $1`,
				`update api_key k set app_id = s.app_id from subscription_key h join subscription s using (tenant_id, subscription_id)
					where (h.tenant_id, h.key_num) = (k.tenant_id, k.key_num) and s.app_id = 'app-' || $1`,
			} {
				if tag, err := tx.Exec(ctx, sql, p.name); err != nil || tag.RowsAffected() != 1 {
					return fmt.Errorf("the developer of plan %s: %d rows, %w in %s", p.name, tag.RowsAffected(), err, sql)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, q := range rig.Requests(100, w.api, services, keys[i:i+1]) {
			p.requests = append(p.requests, []byte(q))
		}
		w.load.purses = append(w.load.purses, p)
	}
	return nil
}

// fund puts the prepaid credit into the wallet, a part now and then, so that it is empty at
// times. What is asked for again, because the answer did not come, is granted once.
func (w *world) fund(ctx context.Context, rnd *rand.Rand) error {
	caller := w.till.caller
	for _, p := range w.load.purses {
		for n, left := 0, p.reach; p.prepaid && left > 0; n++ {
			part := min(left, 1+rnd.Int64N(max(p.reach/10, 1)))
			grant := billing.Grant{Payer: billing.Payer{Tenant: caller, Developer: p.name}, Currency: "USD", Amount: part, Reason: "Paid ahead", Reference: fmt.Sprint("fault-", n)}
			for {
				if !pause(ctx, random(rnd, time.Second)) {
					return nil
				}
				if _, err := w.books.billing.Grant(ctx, billing.Scope{Tenant: caller}, biller, grant); err == nil {
					break
				}
			}
			left -= part
		}
	}
	return nil
}

// purseTally is what became of a purse.
type purseTally struct {
	name                      string
	reach, served, journaled  int64 // calls
	refused                   int64
	balance, granted, charged int64 // of a wallet, cents
}

// askPurses asks Postgres what it has of them.
func (w *world) askPurses(ctx context.Context, t *tally) error {
	return w.books.look(ctx, func(tx pgx.Tx) error {
		for _, p := range w.load.purses {
			got := purseTally{name: p.name, reach: p.reach, served: p.served.Load(), refused: p.refused.Load()}
			err := tx.QueryRow(ctx, `
				select (select coalesce(sum(u.calls), 0)::bigint from (
						select tenant_id, subscription_id, calls from usage_line where flags & 1 = 1 union all select tenant_id, subscription_id, calls from usage_hour where flags & 1 = 1) u
						join subscription s using (tenant_id, subscription_id) join app a using (tenant_id, app_id) where a.developer_id = $1),
					(select coalesce(sum(balance), 0)::bigint from wallet where developer_id = $1),
					(select coalesce(sum(amount), 0)::bigint from credit_grant g join wallet w using (tenant_id, wallet_id) where w.developer_id = $1),
					(select coalesce(sum(y.amount), 0)::bigint from payment y join invoice i using (tenant_id, invoice_id) where i.developer_id = $1 and y.kind = $2)`,
				p.name, model.PaidByWallet).Scan(&got.journaled, &got.balance, &got.granted, &got.charged)
			if err != nil {
				return err
			}
			if p.prepaid {
				got.reach = got.granted
			}
			t.purses = append(t.purses, got)
		}
		return tx.QueryRow(ctx, `
			select (select coalesce(sum(u.calls), 0)::bigint from (
					select tenant_id, subscription_id, calls from usage_line where flags & 1 = 1 union all select tenant_id, subscription_id, calls from usage_hour where flags & 1 = 1) u
					join subscription s using (tenant_id, subscription_id) where s.app_id is not null),
				(select coalesce(sum(quantity), 0)::bigint from (
					select distinct on (l.subscription_id, i.period_start) l.quantity from invoice i join invoice_line l using (tenant_id, invoice_id)
					where i.seller = 'tenant' and i.state = 'final' and l.meter = 'calls' order by l.subscription_id, i.period_start, i.serial desc) x)`).Scan(&t.sold, &t.soldRated)
	})
}
