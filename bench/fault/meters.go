package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/bench/rig"
	"tollgate/billing/intake"
	"tollgate/billing/stripe"
)

// mirrorAt is the way to Stripe of somebody whose clock is ahead, since only hours that ended
// are mirrored.
func (t *till) mirrorAt(ahead time.Duration) (*stripe.Rail, error) {
	return stripe.New(stripe.Options{Pool: t.w.books.pool, Billing: t.w.books.billing, Key: stripeKey, URL: "http://" + t.addr, Fake: true, Meters: true,
		Now: func() time.Time { return time.Now().Add(ahead) }})
}

// mirror brings meters in line as workers do every ten minutes, and the usage together that
// they are brought in line with; it is cut off at any moment, as by a kill.
func (t *till) mirror(ctx context.Context, rnd *rand.Rand) error {
	r, err := t.mirrorAt(time.Hour)
	if err != nil {
		return err
	}
	in := intake.New(intake.Options{Pool: t.w.books.pool})
	accounts := []string{"", "", "", t.sellers[0].account, t.sellers[1].account} // callers are on the operator's
	for pause(ctx, random(rnd, t.w.o.tradeEvery)) {
		_, _ = in.Compact(ctx)
		cut, cancel := context.WithTimeout(ctx, random(rnd, 200*time.Millisecond))
		if _, err := r.Mirror(cut, accounts[rnd.IntN(len(accounts))]); err == nil {
			t.mirrors.Add(1)
		}
		cancel()
	}
	return nil
}

// meters brings meters in line for good, as the day goes on: what differs is sent again, and
// compared anew. Then it asks Stripe for every hour of every customer that used anything.
func (t *till) meters(ctx context.Context, y *tally) error {
	accounts := []string{"", t.sellers[0].account, t.sellers[1].account}
	for ahead := 5 * time.Hour; ahead <= 15*time.Hour; ahead += 5 * time.Hour {
		r, err := t.mirrorAt(ahead)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			err := rig.Poll(ctx, nil, "meters to be in line", func() bool {
				more, err := r.Mirror(ctx, a)
				return err == nil && !more
			})
			if err != nil {
				return err
			}
		}
		if err := t.steer(ctx, http.MethodPost, "/_fake/clock", map[string]any{"advance": "2m"}); err != nil {
			return err
		}
	}
	used, err := t.used(ctx)
	if err != nil {
		return err
	}
	for of, hours := range used {
		there, err := t.atMeter(ctx, of)
		if err != nil {
			return err
		}
		for at, n := range hours {
			y.meterHours++
			if float64(n) != there[at] {
				y.meterDifferent++
				t.w.log("at Stripe: %s of %s used %v in the hour of %s, ours %d", of.meter, of.customer, there[at], time.Unix(at, 0).UTC().Format(time.RFC3339), n)
			}
			delete(there, at)
		}
		for at, n := range there {
			if n != 0 {
				y.meterDifferent++
				t.w.log("at Stripe: %s of %s used %v in the hour of %s, ours none", of.meter, of.customer, n, time.Unix(at, 0).UTC().Format(time.RFC3339))
			}
		}
	}
	return t.w.books.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select coalesce(sum(version), 0)::bigint from stripe_hour`).Scan(&y.meterEvents)
	})
}

// metered is what a meter on an account counts for a customer.
type metered struct{ account, customer, meter string }

// used is what customers used, by the hour, in seconds.
func (t *till) used(ctx context.Context) (map[metered]map[int64]int64, error) {
	out := map[metered]map[int64]int64{}
	err := t.w.books.look(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select c.account, c.customer, m.event, extract(epoch from u.hour)::bigint, sum(case m.event when 'tollgate_calls' then u.calls else u.bytes_out end)::bigint
			from stripe_customer c join usage_hour u using (tenant_id) cross join (values ('tollgate_calls'), ('tollgate_bytes_out')) m (event)
			where u.flags & 1 = 1 and (c.developer_id is null or u.subscription_id in (
				select s.subscription_id from subscription s join app a using (tenant_id, app_id) where a.tenant_id = c.tenant_id and a.developer_id = c.developer_id))
			group by 1, 2, 3, 4`)
		if err != nil {
			return err
		}
		var of metered
		var at, n int64
		_, err = pgx.ForEachRow(rows, []any{&of.account, &of.customer, &of.meter, &at, &n}, func() error {
			if out[of] == nil {
				out[of] = map[int64]int64{}
			}
			out[of][at] = n
			return nil
		})
		return err
	})
	return out, err
}

// atMeter are the hours that Stripe has of a customer.
func (t *till) atMeter(ctx context.Context, of metered) (map[int64]float64, error) {
	type meter struct {
		ID    string `json:"id"`
		Event string `json:"event_name"`
	}
	type summary struct {
		Start int64   `json:"start_time"`
		Value float64 `json:"aggregated_value"`
	}
	meters, err := all(ctx, t, of.account, "/v1/billing/meters", func(m meter) string { return m.ID })
	if err != nil {
		return nil, err
	}
	out, n := map[int64]float64{}, 0
	now := time.Now().Truncate(time.Hour)
	for _, m := range meters {
		if m.Event != of.meter {
			continue
		}
		n++
		q := url.Values{"customer": {of.customer}, "start_time": {fmt.Sprint(now.Add(-48 * time.Hour).Unix())}, "end_time": {fmt.Sprint(now.Add(24 * time.Hour).Unix())},
			"value_grouping_window": {"hour"}, "limit": {"100"}}
		text, err := t.ask(ctx, http.MethodGet, "/v1/billing/meters/"+m.ID+"/event_summaries?"+q.Encode(), of.account, nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Data []summary `json:"data"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Data {
			out[s.Start] = s.Value
		}
	}
	if n > 1 {
		return nil, fmt.Errorf("account %q has %d meters of %s", of.account, n, of.meter)
	}
	return out, nil
}
