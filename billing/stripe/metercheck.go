package stripe

import (
	"context"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	stripe "github.com/stripe/stripe-go/v79"

	"tollgate/model"
)

const (
	// lag is after how long Stripe surely has added up an event.
	lag = 3 * time.Hour
	// watched is how far back hours are compared daily that were the same before.
	watched        = 7 * 24 * time.Hour
	comparedAtOnce = 50 // customers and meters, in a pass
)

// dueMeter is a customer's meter that is to be compared from an hour on.
type dueMeter struct {
	Tenant          uint32
	Customer, Meter string
	From            time.Time
}

// due are the meters to be compared: those with hours that were not yet, and each once a day.
func (r *Rail) due(ctx context.Context, owner uint32, account string, ids map[string]string) (out []dueMeter, more bool, err error) {
	now := r.now()
	err = r.in(ctx, owner, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select tenant_id, customer, meter, min(hour) from stripe_hour
			where account = $1 and hour >= $2 and sent_at < $3 and (compared_at is null or (hour >= $4 or problem <> '') and compared_at < $5) and meter = any($6)
			group by 1, 2, 3 order by min(compared_at) nulls first, 2, 3 limit $7`,
			account, now.Add(-reach), now.Add(-lag), now.Add(-watched), now.Add(-daily), usable(ids), comparedAtOnce+1)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[dueMeter])
		return err
	})
	if len(out) > comparedAtOnce {
		return out[:comparedAtOnce], true, err
	}
	return out, false, err
}

// compareHours asks Stripe what a customer used by the hour. An hour that is another one
// there is sent again, and shown until it was compared anew; one that is none of ours is
// overwritten with nothing.
func (r *Rail) compareHours(ctx context.Context, account, id string, d dueMeter) (differs bool, err error) {
	now := r.now()
	to := now.Truncate(time.Hour)
	there := map[int64]float64{}
	it := r.api.BillingMeterEventSummaries.List(&stripe.BillingMeterEventSummaryListParams{ListParams: list(ctx, account), ID: &id, Customer: &d.Customer,
		StartTime: stripe.Int64(d.From.Unix()), EndTime: stripe.Int64(to.Unix()), ValueGroupingWindow: stripe.String("hour")})
	for it.Next() {
		s := it.BillingMeterEventSummary()
		there[s.StartTime] = s.AggregatedValue
	}
	if err := it.Err(); refused(err) { // the customer was deleted there
		return false, r.in(ctx, d.Tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `
				update stripe_hour set compared_at = $6, problem = left($7, 500) where (tenant_id, account, customer, meter) = ($1, $2, $3, $4) and hour >= $5 and sent_at < $8`,
				d.Tenant, account, d.Customer, d.Meter, d.From, now, model.MessageOf(plain(it.Err())), now.Add(-lag))
			return err
		})
	} else if err != nil {
		return false, plain(err)
	}
	err = r.in(ctx, d.Tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select tenant_id, customer, meter, hour, value, version, sent_at is not null and sent_at < $7 from stripe_hour
			where (tenant_id, account, customer, meter) = ($1, $2, $3, $4) and hour >= $5 and hour < $6 for update`, d.Tenant, account, d.Customer, d.Meter, d.From, to, now.Add(-lag))
		if err != nil {
			return err
		}
		var same, other []time.Time
		var found []int64
		differs = false
		left := maps.Clone(there)
		settled := false
		var h customerHour
		_, err = pgx.ForEachRow(rows, []any{&h.tenant, &h.customer, &h.meter, &h.hour, &h.value, &h.version, &settled}, func() error {
			at := h.hour.Unix()
			v := left[at]
			delete(left, at)
			switch {
			case !settled: // Stripe may not have added it up
			case v == float64(h.value):
				same = append(same, h.hour)
			default:
				other, found = append(other, h.hour), append(found, int64(v))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for at, v := range left {
			if v != 0 && now.Sub(time.Unix(at, 0)) >= lag+time.Hour {
				other, found = append(other, time.Unix(at, 0)), append(found, int64(v))
			}
		}
		if _, err := tx.Exec(ctx, `
			update stripe_hour set compared_at = $6, found = null, problem = '' where (tenant_id, account, customer, meter) = ($1, $2, $3, $4) and hour = any($5)`,
			d.Tenant, account, d.Customer, d.Meter, same, now); err != nil || len(other) == 0 {
			return err
		}
		differs = true
		r.log.Warn("hours at Stripe are not what usage has; they are sent again", "account", account, "customer", d.Customer, "meter", d.Meter, "hours", len(other))
		_, err = tx.Exec(ctx, `
			insert into stripe_hour (tenant_id, account, customer, meter, hour, value, found, changed_at)
			select $1, $2, $3, $4, x.hour, 0, x.found, $7 from unnest($5::timestamptz[], $6::bigint[]) x (hour, found)
			on conflict (tenant_id, account, customer, meter, hour) do update set
				version = stripe_hour.version + 1, found = excluded.found, asked_at = null, sent_at = null, compared_at = null, changed_at = excluded.changed_at`,
			d.Tenant, account, d.Customer, d.Meter, other, found, now)
		return err
	})
	return differs, err
}
