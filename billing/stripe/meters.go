package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/model"
)

// mirrored are the meters that usage is mirrored to, where that is set: what journals count,
// under the names that Stripe's meters and their events have.
var mirrored = []struct{ meter, event, title string }{
	{model.MeterCalls, "tollgate_calls", "API calls"},
	{model.MeterBytesOut, "tollgate_bytes_out", "Bytes out"},
}

const (
	// reach is how far back hours are sent: Stripe takes those of 35 days.
	reach = 34 * 24 * time.Hour
	// recent is how far back is looked for changes each time; once a day it is reach.
	recent = 48 * time.Hour
	daily  = 24 * time.Hour
	// plannedAtOnce is how many hours a pass writes down, sentAtOnce how many it sends, and
	// refusedFor how long one waits that Stripe refused.
	plannedAtOnce = 5000
	sentAtOnce    = 500
	refusedFor    = time.Hour
)

// What a meter's events call the customer and the value.
const (
	payloadCustomer = "stripe_customer_id"
	payloadValue    = "value"
)

// customerHour is what a customer used in an hour.
type customerHour struct {
	tenant          uint32
	customer, meter string
	hour            time.Time
	value           int64
	version         int
}

// identifier names an event. It holds the value, so that a database that was restored, and
// forgot a version, does not take another value's event for its own.
func (h *customerHour) identifier() string {
	return fmt.Sprintf("m:%s:%s:%s:v%d:%d", h.customer, h.meter, h.hour.UTC().Format("2006010215"), h.version, h.value)
}

// Mirror brings the meters of an account ("" for the operator's) in line with usage, and
// compares what is due to be: one pass, of bounded length; more says that there is more to
// do. Where the mirror is off it does nothing.
//
// An event carries all of its hour, and Stripe counts of an hour's events the one that it
// received last. So an event may be sent again at any time; that nothing older comes after
// is why one works on an account at a time, and why an hour that was asked for a moment ago
// without an answer is not sent with another value yet.
func (r *Rail) Mirror(ctx context.Context, account string) (more bool, err error) {
	if !r.mirrors {
		return false, nil
	}
	var owner uint32
	if account != "" {
		a, err := r.accountBy(ctx, account)
		if err != nil || a == nil || !a.Disconnected.IsZero() {
			return false, err
		}
		owner = a.tenant
	}
	err = r.alone(ctx, owner, "meters "+account, func() error {
		unplanned, err := r.plan(ctx, owner, account)
		if err != nil {
			return err
		}
		todo, _, err := r.unsent(ctx, owner, account, nil)
		if err != nil {
			return err
		}
		due, _, err := r.due(ctx, owner, account, nil)
		if err != nil || len(todo)+len(due) == 0 {
			return err
		}
		ids, err := r.meters(ctx, owner, account)
		if err != nil {
			return err
		}
		var unsent, uncompared bool
		if todo, unsent, err = r.unsent(ctx, owner, account, ids); err != nil {
			return err
		}
		if err := r.send(ctx, account, todo); err != nil {
			return err
		}
		if due, uncompared, err = r.due(ctx, owner, account, ids); err != nil {
			return err
		}
		more = unplanned || unsent || uncompared
		for _, d := range due {
			differs, err := r.compareHours(ctx, account, ids[d.Meter], d)
			if err != nil {
				return err
			}
			more = more || differs
		}
		return nil
	})
	if locked(err) && account != "" { // taken away since
		return false, r.syncAccount(ctx, account)
	}
	return more && err == nil, err
}

// usable are the meters of ours that are there at Stripe; ids nil: it was not asked yet.
func usable(ids map[string]string) []string {
	out := []string{}
	for _, m := range mirrored {
		if ids == nil || ids[m.meter] != "" {
			out = append(out, m.meter)
		}
	}
	return out
}

// ofDevelopers is the usage of the developers who are customers on account $1, from $2 to
// $3, and ofTenants that of the tenants who are on the operator's: of calls that are to be
// paid for, as invoices have them.
const (
	ofDevelopers = `
		select c.tenant_id, c.customer, u.hour, sum(u.calls) as calls, sum(u.bytes_out) as bytes_out
		from stripe_customer c join app a on (a.tenant_id, a.developer_id) = (c.tenant_id, c.developer_id)
		join subscription s on (s.tenant_id, s.app_id) = (a.tenant_id, a.app_id)
		join usage_hour u on (u.tenant_id, u.subscription_id) = (s.tenant_id, s.subscription_id)
		where c.account = $1 and u.hour >= $2 and u.hour < $3 and u.flags & 1 = 1 group by 1, 2, 3`
	ofTenants = `
		select c.tenant_id, c.customer, u.hour, sum(u.calls) as calls, sum(u.bytes_out) as bytes_out
		from stripe_customer c join usage_hour u on u.tenant_id = c.tenant_id
		where c.account = $1 and u.hour >= $2 and u.hour < $3 and u.flags & 1 = 1 group by 1, 2, 3`
)

// plan writes down which hours are to be sent: those that ended and are not at Stripe as
// usage has them. more says that there may be others. Values are cut to what Stripe's sums,
// which are floats, tell apart.
func (r *Rail) plan(ctx context.Context, owner uint32, account string) (more bool, err error) {
	used := ofTenants
	if account != "" {
		used = ofDevelopers
	}
	now := r.now()
	err = r.in(ctx, owner, func(tx pgx.Tx) error {
		var all bool
		for _, m := range mirrored {
			_, err := tx.Exec(ctx, `
				insert into stripe_meter (account, meter, tenant_id, updated_at) values ($1, $2, nullif($3, 0), $4) on conflict do nothing`, account, m.meter, int64(owner), now)
			if err != nil {
				return err
			}
		}
		// A customer that is new may have used something long ago.
		err := tx.QueryRow(ctx, `
			select bool_or(planned_at is null or planned_at < $2 or planned_at < coalesce((select max(updated_at) from stripe_customer where account = $1), $2))
			from stripe_meter where account = $1`, account, now.Add(-daily)).Scan(&all)
		if err != nil {
			return err
		}
		from := now.Add(-recent)
		if all {
			from = now.Add(-reach)
		}
		from = from.Truncate(time.Hour).Add(time.Hour)
		t, err := tx.Exec(ctx, `
			with used as (`+used+`), wanted as (
				select tenant_id, customer, m.meter, hour, least(m.value, 9007199254740992)::bigint as value
				from used cross join lateral (values ($4::text, calls), ($5::text, bytes_out)) m (meter, value)
			), had as (
				select tenant_id, customer, meter, hour, value from stripe_hour where account = $1 and hour >= $2 and hour < $3)
			insert into stripe_hour (tenant_id, account, customer, meter, hour, value, changed_at)
			select tenant_id, $1, customer, meter, hour, coalesce(w.value, 0), $6
			from wanted w full join had h using (tenant_id, customer, meter, hour)
			where coalesce(w.value, 0) <> coalesce(h.value, 0) order by hour, customer, meter limit $7
			on conflict (tenant_id, account, customer, meter, hour) do update set
				value = excluded.value, version = stripe_hour.version + 1, asked_at = case when stripe_hour.sent_at is null then stripe_hour.asked_at end,
				sent_at = null, compared_at = null, problem = '', changed_at = excluded.changed_at`,
			account, from, now.Truncate(time.Hour), model.MeterCalls, model.MeterBytesOut, now, plannedAtOnce)
		if err != nil {
			return err
		}
		if more = t.RowsAffected() == plannedAtOnce; more || !all {
			return nil
		}
		_, err = tx.Exec(ctx, `update stripe_meter set planned_at = $2 where account = $1`, account, now)
		return err
	})
	return more, err
}

// unsent are the hours to be sent, the oldest first. One that was asked for a moment ago with
// another value waits until that call does nothing any more; those of a customer of whom
// Stripe refused one a while ago wait, so that others have their turn.
func (r *Rail) unsent(ctx context.Context, owner uint32, account string, ids map[string]string) (out []customerHour, more bool, err error) {
	now := r.now()
	err = r.in(ctx, owner, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select tenant_id, customer, meter, hour, value, version from stripe_hour h
			where account = $1 and sent_at is null and hour >= $2 and meter = any($3) and (asked_at is null or asked_at < $6 or asked_at >= changed_at) and not exists (
				select from stripe_hour p where (p.tenant_id, p.account, p.customer, p.meter) = (h.tenant_id, h.account, h.customer, h.meter)
					and p.sent_at is null and p.problem <> '' and p.asked_at >= $4)
			order by hour, customer, meter limit $5`, account, now.Add(-reach), usable(ids), now.Add(-refusedFor), sentAtOnce+1, now.Add(-quiet))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, scanHour)
		return err
	})
	if len(out) > sentAtOnce {
		return out[:sentAtOnce], true, err
	}
	return out, false, err
}

func scanHour(row pgx.CollectableRow) (h customerHour, err error) {
	err = row.Scan(&h.tenant, &h.customer, &h.meter, &h.hour, &h.value, &h.version)
	return h, err
}

// meters are the account's meters at Stripe, by ours; what is not there is made. One that
// cannot be used is left out, and its problem written down.
func (r *Rail) meters(ctx context.Context, owner uint32, account string) (map[string]string, error) {
	active, inactive := map[string]*stripe.BillingMeter{}, map[string]bool{}
	it := r.api.BillingMeters.List(&stripe.BillingMeterListParams{ListParams: list(ctx, account)})
	for it.Next() {
		if m := it.BillingMeter(); m.Status == stripe.BillingMeterStatusActive {
			active[m.EventName] = m
		} else {
			inactive[m.EventName] = true
		}
	}
	if it.Err() != nil {
		return nil, plain(it.Err())
	}
	out := map[string]string{}
	for _, m := range mirrored {
		problem := ""
		switch have := active[m.event]; {
		case have != nil && !fits(have):
			problem = "an active meter at Stripe has the event name " + m.event + " and adds up otherwise: deactivate it there"
		case have != nil:
			out[m.meter] = have.ID
		case inactive[m.event]: // by its owner, whose word counts
			problem = "the meter of " + m.event + " was deactivated at Stripe: reactivate it there"
		default:
			id, err := r.newMeter(ctx, owner, account, m.meter, m.event, m.title)
			if err != nil {
				return nil, err
			}
			out[m.meter] = id
		}
		err := r.in(ctx, owner, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `update stripe_meter set problem = $3, updated_at = $4 where account = $1 and meter = $2 and problem <> $3`, account, m.meter, problem, r.now())
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fits reports that a meter counts as the mirror needs it: of an hour the last event.
func fits(m *stripe.BillingMeter) bool {
	return m.EventTimeWindow == stripe.BillingMeterEventTimeWindowHour && m.DefaultAggregation != nil && m.DefaultAggregation.Formula == stripe.BillingMeterDefaultAggregationFormulaSum &&
		m.CustomerMapping != nil && m.CustomerMapping.EventPayloadKey == payloadCustomer && m.ValueSettings != nil && m.ValueSettings.EventPayloadKey == payloadValue
}

// newMeter makes a meter. Its event's name is on an account once, so that after an answer
// that did not come the next pass finds it.
func (r *Rail) newMeter(ctx context.Context, owner uint32, account, meter, event, title string) (string, error) {
	var rev int
	err := r.in(ctx, owner, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select rev from stripe_meter where account = $1 and meter = $2`, account, meter).Scan(&rev)
	})
	if err != nil {
		return "", err
	}
	m, err := r.api.BillingMeters.New(&stripe.BillingMeterParams{Params: on(ctx, account, fmt.Sprintf("tg:meter:%s:%d", event, rev)),
		DisplayName: &title, EventName: &event, EventTimeWindow: stripe.String("hour"),
		DefaultAggregation: &stripe.BillingMeterDefaultAggregationParams{Formula: stripe.String("sum")},
		CustomerMapping:    &stripe.BillingMeterCustomerMappingParams{Type: stripe.String("by_id"), EventPayloadKey: stripe.String(payloadCustomer)},
		ValueSettings:      &stripe.BillingMeterValueSettingsParams{EventPayloadKey: stripe.String(payloadValue)}})
	if err == nil {
		return m.ID, nil
	}
	if lasting(err) {
		err = errors.Join(err, r.in(context.WithoutCancel(ctx), owner, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `update stripe_meter set rev = rev + 1, updated_at = $3 where account = $1 and meter = $2`, account, meter, r.now())
			return err
		}))
	}
	return "", plain(err)
}

// send sends hours. One that Stripe refuses keeps only its customer's others from going on.
func (r *Rail) send(ctx context.Context, account string, all []customerHour) error {
	events := map[string]string{}
	for _, m := range mirrored {
		events[m.meter] = m.event
	}
	waits := map[[2]string]bool{}
	for i := range all {
		h := &all[i]
		of := [2]string{h.customer, h.meter}
		if waits[of] {
			continue
		}
		err := r.sendHour(ctx, account, events[h.meter], h)
		if err != nil && !refused(err) {
			return plain(err)
		}
		waits[of] = err != nil
	}
	return nil
}

// refused reports that Stripe does not take what was sent, and would take other things.
func refused(err error) bool {
	e := answered(err)
	return e != nil && (e.HTTPStatusCode == http.StatusBadRequest || e.HTTPStatusCode == http.StatusNotFound)
}

// sendHour sends one hour. It is written down before; its key and identifier stay the same
// until there is an answer, so that it may be sent again.
func (r *Rail) sendHour(ctx context.Context, account, event string, h *customerHour) error {
	if err := r.noteHour(ctx, account, h, `asked_at = $7`); err != nil {
		return err
	}
	identifier := h.identifier()
	_, err := r.api.BillingMeterEvents.New(&stripe.BillingMeterEventParams{Params: on(ctx, account, "tg:meter.event:"+identifier), EventName: &event, Identifier: &identifier,
		Timestamp: stripe.Int64(h.hour.Unix()), Payload: map[string]string{payloadCustomer: h.customer, payloadValue: strconv.FormatInt(h.value, 10)}})
	switch {
	case err == nil || taken(err):
		return r.noteHour(ctx, account, h, `sent_at = $7, problem = ''`)
	case !lasting(err):
		return err
	case answered(err).HTTPStatusCode >= 500:
		return errors.Join(err, r.noteHour(ctx, account, h, `version = version + 1, asked_at = $7`))
	}
	return errors.Join(err, r.noteHour(ctx, account, h, `version = version + 1, asked_at = $7, problem = left($8, 500)`, model.MessageOf(plain(err))))
}

// taken reports that Stripe has an event with that identifier, which says what ours does.
// It gives no code for it.
func taken(err error) bool {
	e := answered(err)
	return e != nil && e.HTTPStatusCode == http.StatusBadRequest && (e.Code == "duplicate_meter_event" || strings.Contains(e.Msg, "already exists with identifier"))
}

// noteHour changes an hour's row, unless another version took its place; $7 is now.
func (r *Rail) noteHour(ctx context.Context, account string, h *customerHour, set string, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	return r.in(ctx, h.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			update stripe_hour set `+set+` where (tenant_id, account, customer, meter, hour) = ($1, $2, $3, $4, $5) and version = $6`,
			append([]any{h.tenant, account, h.customer, h.meter, h.hour, h.version, r.now()}, args...)...)
		return err
	})
}
