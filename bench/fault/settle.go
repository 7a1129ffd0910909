package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/bench/rig"
)

// rest ends what goes wrong at Stripe, and waits until everything that was lost on the way
// was found: the time that failed jobs wait until they are tried again is passed over, and
// what Stripe sends again within a day is sent.
func (t *till) rest(ctx context.Context) error {
	if err := t.steer(ctx, http.MethodDelete, "/_fake/faults", nil); err != nil {
		return err
	}
	if err := t.steer(ctx, http.MethodPost, "/_fake/webhooks", map[string]any{}); err != nil {
		return err
	}
	// A worker that was killed holds its jobs until they count as stuck. Once all have
	// ended in order, what is still at work belongs to the dead.
	for _, m := range t.w.workers {
		if err := m.process.Stop(60 * time.Second); err != nil {
			return err
		}
	}
	if err := t.hurry(ctx, true); err != nil {
		return err
	}
	for _, m := range t.w.workers {
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	if err := t.quiet(ctx); err != nil {
		return err
	}
	if err := t.steer(ctx, http.MethodPost, "/_fake/clock", map[string]any{"advance": "20h"}); err != nil {
		return err
	}
	return t.quiet(ctx)
}

// hurry makes jobs of the way to Stripe due that wait for their next attempt; those of dead
// workers too. The time between attempts is what a job's number of them is made for, so none
// of those made in a hurry counts: what must wait two minutes for an answer that was cut off
// would be given up in seconds.
func (t *till) hurry(ctx context.Context, dead bool) error {
	_, err := t.w.books.pool.Exec(ctx, `
		update river_job set state = 'available', scheduled_at = now(), attempt = 0 where queue = 'stripe' and finalized_at is null and (state in ('retryable', 'scheduled') or $1 and state = 'running')`, dead)
	return err
}

// quiet waits until neither side has anything left to do, which takes the longer the more
// the run has traded.
func (t *till) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute+time.Duration(t.w.o.calls/1_000_000)*time.Minute)
	defer cancel()
	var swept time.Time
	var jobs, events, lined int
	still, looks := 0, 0
	err := rig.Poll(ctx, nil, "Stripe's events and the jobs about them to come to an end", func() bool {
		if looks++; swept.IsZero() || looks > 20 && time.Since(swept) > 5*time.Second { // however long a look takes, there are enough between two sweeps
			if t.rail.Sweep(ctx) != nil {
				return false
			}
			swept, still, looks = time.Now(), 0, 0
		}
		if t.steer(ctx, http.MethodPost, "/_fake/settle", nil) != nil || t.hurry(ctx, false) != nil {
			return false
		}
		err := t.w.books.look(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				select (select count(*) from river_job where queue = 'stripe' and finalized_at is null), (select count(*) from webhook_event where state = 'new'),
					(select count(*) from psp_object where problem <> '' and kind = 'invoice')`).Scan(&jobs, &events, &lined)
		})
		if err != nil || jobs+events+lined > 0 {
			still = 0
		} else {
			still++
		}
		return still > 5
	})
	if err != nil {
		return fmt.Errorf("%w: %d jobs and %d events are left, %d invoices do not go on", err, jobs, events, lined)
	}
	return nil
}

// remote is an invoice as Stripe has it.
type remote struct {
	ID        string            `json:"id"`
	Status    string            `json:"status"`
	Customer  string            `json:"customer"`
	Metadata  map[string]string `json:"metadata"`
	Total     int64             `json:"total"`
	Paid      int64             `json:"amount_paid"`
	Remaining int64             `json:"amount_remaining"`
	Before    int64             `json:"pre_payment_credit_notes_amount"`
	After     int64             `json:"post_payment_credit_notes_amount"`
	Fee       int64             `json:"application_fee_amount"`
}

// fee is what the operator got of one payment.
type fee struct {
	ID       string `json:"id"`
	Account  string `json:"account"`
	Amount   int64  `json:"amount"`
	Refunded int64  `json:"amount_refunded"`
}

// all lists the objects of one kind that an account has.
func all[T any](ctx context.Context, t *till, account, path string, id func(T) string) (out []T, err error) {
	after := ""
	for {
		text, err := t.ask(ctx, http.MethodGet, path+"?limit=100"+after, account, nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Data []T  `json:"data"`
			More bool `json:"has_more"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return nil, err
		}
		if out = append(out, page.Data...); !page.More || len(page.Data) == 0 {
			return out, nil
		}
		after = "&starting_after=" + id(page.Data[len(page.Data)-1])
	}
}

// ours is what one invoice at Stripe stands for here.
type ours struct {
	tenant              uint32
	remote, state, paid string // Stripe's id and state as known here, and how the invoice at its head stands
	total               int64  // of all invoices in it
	received, back      int64  // what Stripe brought and paid back of them
}

// compare asks Stripe for all it has and matches it with the books.
func (t *till) compare(ctx context.Context, y *tally) error {
	wrong := func(format string, a ...any) {
		t.w.log("at Stripe: "+format, a...)
	}
	accounts := []seller{{0, ""}}
	accounts = append(accounts, t.sellers...)
	fees, err := all(ctx, t, "", "/v1/application_fees", func(f fee) string { return f.ID })
	if err != nil {
		return err
	}
	share, _ := new(big.Rat).SetString(feePercent)
	share.Quo(share, big.NewRat(100, 1))
	cut := func(part *big.Rat, of int64) int64 {
		x := new(big.Rat).Mul(part, new(big.Rat).SetInt64(of))
		return new(big.Int).Quo(x.Num(), x.Denom()).Int64()
	}
	owned := map[string]string{} // the account of each object seen
	for _, a := range accounts {
		invoices, err := all(ctx, t, a.account, "/v1/invoices", func(i remote) string { return i.ID })
		if err != nil {
			return err
		}
		have, err := t.heads(ctx, a)
		if err != nil {
			return err
		}
		seen := map[string]int{}
		var owed int64
		for _, i := range invoices {
			local := i.Metadata["local_id"]
			seen[local]++
			y.remotes++
			for _, id := range []string{i.ID, i.Customer} {
				if was, ok := owned[id]; ok && was != a.account {
					y.crossed++
					wrong("%s is on account %q and on %q", id, was, a.account)
				}
				owned[id] = a.account
			}
			o, ok := have[local]
			if i.Status == "paid" {
				y.paidRemotes++
				if a.account != "" {
					owed += cut(share, i.Total)
					if gone := i.After + i.Before; gone > 0 && i.Paid > 0 {
						owed -= cut(big.NewRat(gone, i.Paid+i.Before), cut(share, i.Total))
					}
				}
			}
			switch {
			case !ok && t.w.o.restore: // made after what was restored; a draft asks nobody for money
				if i.Status != "draft" {
					y.forgotten++
				}
				continue
			case !ok:
				y.strays++
				wrong("invoice %s on account %q says it is %q, which is none of its own", i.ID, a.account, local)
				continue
			case o.remote != i.ID:
				y.strays++
				wrong("invoice %s is known here as %s", i.ID, o.remote)
			case o.total != i.Total, i.Status != "void" && i.Paid+i.Remaining+i.Before != i.Total, o.received != i.Paid, o.back != i.After:
				y.unequal++
				wrong("invoice %s is of %d, ours of %d; paid %d and %d back, here %d and %d; remaining %d, credited before %d", i.ID, i.Total, o.total, i.Paid, i.After, o.received, o.back, i.Remaining, i.Before)
			}
			if o.state != i.Status || (i.Status == "paid") != (o.paid == "paid") {
				y.stale++
				wrong("invoice %s is %s, here it is thought %s, and ours is %s", i.ID, i.Status, o.state, o.paid)
			}
		}
		for local, n := range seen {
			if n > 1 {
				y.strays += int64(n - 1)
				wrong("%d invoices on account %q are of %s", n, a.account, local)
			}
		}
		for local, o := range have {
			if seen[local] == 0 && o.state != "waiting" {
				y.strays++
				wrong("invoice %s of account %q is not there; here it is thought %q as %s", local, a.account, o.state, o.remote)
			}
		}
		var got int64
		for _, f := range fees {
			if f.Account == a.account {
				got += f.Amount - f.Refunded
			}
		}
		y.fees, y.shares = y.fees+got, y.shares+owed
		if got != owed {
			y.crossed++
			wrong("account %q gave %d of its payments, and the share of them is %d", a.account, got, owed)
		}
	}
	y.forged, y.believed = t.forged.Load(), t.believed.Load()
	return t.w.books.look(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select format('event %s about %s on account "%s" (%s) is %s after %s attempts: %s', event_id, object_id, account, kind, state, attempts, problem)
			from webhook_event where state not in ('done', 'ignored') order by received_at limit 20`)
		if err != nil {
			return err
		}
		left, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, e := range left {
			wrong("%s", e)
		}
		return tx.QueryRow(ctx, `
			select count(*), count(*) filter (where state not in ('done', 'ignored') and not $1), count(distinct object_id) filter (where state = 'parked' and kind = 'invoice.finalized'), count(*) filter (where swept), count(*) filter (where event_id like 'evt_forged%' and state <> 'ignored') from webhook_event`, t.w.o.restore).
			Scan(&y.events, &y.unworked, &y.said, &y.sweptEvents, &y.crossedEvents)
	})
}

// heads are the invoices that are, or wait to be, on an account, by the id that the one at
// Stripe has of ours.
func (t *till) heads(ctx context.Context, a seller) (out map[string]ours, err error) {
	out = map[string]ours{}
	err = t.w.books.look(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select coalesce(p.head, p.local_id), p.tenant_id, coalesce(max(p.remote_id), ''), max(p.state) filter (where p.head is null), max(c.state) filter (where p.head is null), sum(i.total)::bigint,
				sum((select coalesce(sum(amount), 0) from payment y where (y.tenant_id, y.invoice_id) = (i.tenant_id, i.invoice_id) and y.kind = 'stripe'))::bigint,
				-sum((select coalesce(sum(amount), 0) from payment y where (y.tenant_id, y.invoice_id) = (i.tenant_id, i.invoice_id) and y.kind = 'refund'))::bigint
			from psp_object p join invoice i on (i.tenant_id, i.invoice_id) = (p.tenant_id, p.local_id) join collection c on (c.tenant_id, c.invoice_id) = (p.tenant_id, p.local_id)
			where p.kind = 'invoice' and p.account = $1 and ($2 = 0 or p.tenant_id = $2) group by 1, 2`, a.account, a.tenant)
		if err != nil {
			return err
		}
		var local string
		var o ours
		_, err = pgx.ForEachRow(rows, []any{&local, &o.tenant, &o.remote, &o.state, &o.paid, &o.total, &o.received, &o.back}, func() error {
			out[local] = o
			return nil
		})
		return err
	})
	return out, err
}
