// Package stripe is the rail that money moves on: it pushes final invoices to
// Stripe, and brings back what became of them. Developers pay on their tenant's own
// Stripe account, tenants on the operator's; ids of one account are never used on
// another. It decides no amount: what Stripe would charge is compared with our
// invoice before it may.
//
// Each call that makes something is written down first, with its idempotency key
// (object.go). After an answer that did not come, what is there is looked for by our
// id in its metadata, and taken over. Webhooks only say where to look: what an event
// is about is read at Stripe, and our books only ever go forward by it, so that
// events may come late, twice, in any order, or not at all: a sweep finds those.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	stripe "github.com/stripe/stripe-go/v79"
	"github.com/stripe/stripe-go/v79/client"

	"tollgate/billing"
	"tollgate/model"
)

// Version is the API version that calls are made with; webhook endpoints are to be
// made with it too.
const Version = stripe.APIVersion

// Options of the rail. Pool, Billing and Key are needed.
type Options struct {
	Pool    *pgxpool.Pool
	Billing *billing.Billing
	Key     string // the operator's secret key, sk_test_… or sk_live_…
	// Secrets of the two webhook endpoints, whsec_…; without one, what its endpoint
	// would tell is found by sweeping only.
	WebhookSecret, ConnectSecret string
	URL                          string // of the API; default Stripe's
	// FeePercent of what developers pay is the operator's, such as "2.5"; empty: none.
	FeePercent string
	// Meters has usage mirrored to meters at Stripe, by the hour. Nothing is billed by them.
	Meters bool
	Fake   bool         // what is at URL only imitates Stripe: pages say so
	Client *http.Client // default: one with a timeout
	Log    *slog.Logger // default: none
	Now    func() time.Time
}

// Rail is the way to Stripe.
type Rail struct {
	pool    *pgxpool.Pool
	books   *billing.Billing
	api     *client.API
	key     string
	secrets [2]string // of the platform's endpoint and of Connect's
	fee     *big.Rat  // of what developers pay, 0 to 1
	mirrors bool
	mode    string
	pages   []string
	jobs    *river.Client[pgx.Tx]
	log     *slog.Logger
	now     func() time.Time
}

// New checks the options. It calls nobody.
func New(o Options) (*Rail, error) {
	if o.Pool == nil || o.Billing == nil {
		return nil, fmt.Errorf("stripe: Pool and Billing are needed")
	}
	if err := CheckKey(o.Key); err != nil {
		return nil, err
	}
	fee, err := ParseFee(o.FeePercent)
	if err != nil {
		return nil, err
	}
	r := &Rail{pool: o.Pool, books: o.Billing, key: o.Key, secrets: [2]string{o.WebhookSecret, o.ConnectSecret}, fee: fee, mirrors: o.Meters, mode: modeOf(o), log: o.Log, now: o.Now}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.pages = []string{"https://checkout.stripe.com", "https://connect.stripe.com", "https://billing.stripe.com"}
	if o.URL != "" {
		r.pages = []string{strings.TrimSuffix(o.URL, "/")}
	}
	r.api = newAPI(o)
	if r.jobs, err = river.NewClient(riverpgxv5.New(o.Pool), &river.Config{}); err != nil {
		return nil, fmt.Errorf("stripe: %w", err)
	}
	return r, nil
}

// newAPI is the client. Who repeats a call is the job, or the person: after having
// looked what is there.
func newAPI(o Options) *client.API {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 40 * time.Second}
	}
	c := &stripe.BackendConfig{HTTPClient: o.Client, MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}}
	if o.URL != "" {
		c.URL = stripe.String(strings.TrimSuffix(o.URL, "/"))
	}
	b := stripe.GetBackendWithConfig(stripe.APIBackend, c)
	return client.New(o.Key, &stripe.Backends{API: b, Connect: b, Uploads: b})
}

// CheckKey refuses what is not a secret key.
func CheckKey(key string) error {
	for _, p := range []string{"sk_test_", "sk_live_", "rk_test_", "rk_live_"} {
		if rest, ok := strings.CutPrefix(key, p); ok && rest != "" && !strings.ContainsAny(rest, " \t\r\n") {
			return nil
		}
	}
	return model.Errorf(model.Invalid, "the Stripe key is not a secret key: one begins with sk_test_, sk_live_, rk_test_ or rk_live_")
}

// Modes of a rail.
const (
	ModeLive = "live" // real money moves
	ModeTest = "test" // Stripe's test mode
	ModeFake = "fake" // an imitation of Stripe
)

// Mode says whether money is real.
func (r *Rail) Mode() string { return r.mode }

func modeOf(o Options) string {
	switch {
	case o.Fake:
		return ModeFake
	case strings.Contains(o.Key, "k_live_"):
		return ModeLive
	}
	return ModeTest
}

// Origins are where the pages of Stripe are that forms lead to.
func (r *Rail) Origins() []string { return r.pages }

// FeePercent is the operator's share of what developers pay, as it was set; empty:
// none.
func (r *Rail) FeePercent() string {
	if r.fee.Sign() == 0 {
		return ""
	}
	return strings.TrimRight(strings.TrimRight(new(big.Rat).Mul(r.fee, big.NewRat(100, 1)).FloatString(4), "0"), ".")
}

// Takes reports whether events of the operator's account, and of tenants', are taken.
func (r *Rail) Takes() (platform, connect bool) { return r.secrets[0] != "", r.secrets[1] != "" }

// in runs a transaction that sees the rows of one tenant (0: of all), again where
// the database asks for that.
func (r *Rail) in(ctx context.Context, tenant uint32, f func(pgx.Tx) error) error {
	rows := "*"
	if tenant != 0 {
		rows = fmt.Sprint(tenant)
	}
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', $1, true)`, rows); err != nil {
				return err
			}
			return f(tx)
		})
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if ok && (pg.Code == "40001" || pg.Code == "40P01") && attempt < 5 && ctx.Err() == nil {
			continue
		}
		return err
	}
}

// on is what every call has: its context, the account it is about ("" for the
// operator's) and, where it makes something, the idempotency key.
func on(ctx context.Context, account, key string) stripe.Params {
	p := stripe.Params{Context: ctx}
	if account != "" {
		p.SetStripeAccount(account)
	}
	if key != "" {
		p.SetIdempotencyKey(key)
	}
	return p
}

// anew is the key of calls that say how something is to be, and may be done twice. With a
// key of ours an answer would stay with it for a day, a 500 too; see step.
const anew = ""

// list is on for calls that list.
func list(ctx context.Context, account string) stripe.ListParams {
	p := stripe.ListParams{Context: ctx, Limit: stripe.Int64(100)}
	if account != "" {
		p.SetStripeAccount(account)
	}
	return p
}

// answered is what Stripe answered, where it did.
func answered(err error) *stripe.Error {
	e, _ := errors.AsType[*stripe.Error](err)
	return e
}

// gone reports that there is no such object, or no way to it any more.
func gone(err error) bool {
	e := answered(err)
	return e != nil && (e.HTTPStatusCode == http.StatusNotFound || e.Code == stripe.ErrorCodeResourceMissing)
}

// locked reports that the account's owner took our access away.
func locked(err error) bool {
	e := answered(err)
	return e != nil && e.Code == stripe.ErrorCodeAccountInvalid
}

// plain is an error as a person may read it: Stripe's own words where it refused,
// and that it could not be reached where it did not answer.
func plain(err error) error {
	if err == nil || model.KindOf(err) != "" {
		return err
	}
	switch e := answered(err); {
	case e == nil:
		return fmt.Errorf("%w (%w)", model.Errorf(model.Unavailable, "Stripe did not answer; try again in a minute"), err)
	case e.HTTPStatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w (%w)", model.Errorf(model.Unavailable, "Stripe refuses the operator's key; ask the operator to set another"), err)
	case locked(err):
		return fmt.Errorf("%w (%w)", model.Errorf(model.Conflict, "the Stripe account is not connected any more; connect it again"), err)
	case e.HTTPStatusCode >= 500 || e.HTTPStatusCode == http.StatusTooManyRequests || e.HTTPStatusCode == http.StatusConflict:
		return fmt.Errorf("%w (%w)", model.Errorf(model.Unavailable, "Stripe is busy or out of order; try again in a minute"), err)
	default:
		return fmt.Errorf("%w (%w)", model.Errorf(model.Invalid, "Stripe refuses it: %s", e.Msg), err)
	}
}
