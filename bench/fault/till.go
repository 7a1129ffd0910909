package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/bench/rig"
	"tollgate/billing"
	"tollgate/billing/stripe"
	"tollgate/model"
)

// The operator's key, and its share of what developers pay.
const (
	stripeKey  = "sk_test_fault"
	feePercent = "2.5"
)

// till is where invoices are paid: the imitation of Stripe as a process of its own, which
// misbehaves as Stripe may, with two tenants that sell to developers on accounts of their
// own, and forgers who send events that are not Stripe's.
type till struct {
	w                 *world
	addr              string
	secrets           [2]string // of the operator's endpoint and of Connect's
	member            *member
	hooks             *http.Server
	http              *http.Client
	rail              *stripe.Rail
	sellers           []seller
	caller            uint32 // whose gateways are called
	developers        int
	stopped           sync.Mutex   // held while the imitation is away
	forged, believed  atomic.Int64 // events that are not Stripe's, and those of them that were taken
	crossed           atomic.Int64 // events of one account about an object of another
	mirrors           atomic.Int64 // passes over the meters of an account that were not cut off
	mishaps, restarts atomic.Int64 // of the imitation
	rnd               *rand.Rand   // of the webhooks' balancer
	mu                sync.Mutex
}

type seller struct {
	tenant  uint32
	account string
}

// startTill starts the imitation and tells it where events go. What it is for begins with open.
func (w *world) startTill(ctx context.Context) (*till, error) {
	bin, err := w.rig.Build(ctx, "tollgate/cmd/fakestripe")
	if err != nil {
		return nil, err
	}
	t := &till{w: w, rnd: rand.New(rand.NewPCG(w.o.seed, 5)), http: &http.Client{Timeout: 70 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if t.addr, err = rig.FreeAddr(); err != nil {
		return nil, err
	}
	t.member = &member{name: "stripe",
		launch: func() (*rig.Process, error) {
			return w.rig.Start(rig.Command{Name: "stripe", CPU: rig.AnyCPU, Args: []string{bin, "-addr", t.addr, "-state", w.rig.Path("stripe.json"), "-quiet"}})
		},
		ready: func(ctx context.Context, p *rig.Process) error { return rig.WaitPort(ctx, p, t.addr) }}
	if err := t.member.start(ctx); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t.hooks = &http.Server{Handler: http.HandlerFunc(t.forward)}
	go t.hooks.Serve(l) //nolint:errcheck // ends with close
	o := stripe.Options{Key: stripeKey, URL: "http://" + t.addr}
	t.secrets[0], t.secrets[1], err = stripe.Register(ctx, o, "http://"+l.Addr().String())
	return t, err
}

// settings are what control planes and workers need to know.
func (t *till) settings() []string {
	return []string{"TOLLGATE_STRIPE_KEY=" + stripeKey, "TOLLGATE_STRIPE_URL=http://" + t.addr, "TOLLGATE_STRIPE_WEBHOOK_SECRET=" + t.secrets[0],
		"TOLLGATE_STRIPE_CONNECT_SECRET=" + t.secrets[1], "TOLLGATE_STRIPE_FEE_PERCENT=" + feePercent, "TOLLGATE_STRIPE_METERS=true"}
}

func (t *till) close() { _ = t.hooks.Close() }

// forward hands an event to a control plane by lot, as a balancer in front of them does.
func (t *till) forward(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(io.LimitReader(q.Body, 1<<20))
	if err != nil {
		cut(w)
	}
	status, err := t.deliver(q.Context(), q.URL.Path, body, q.Header.Get("Stripe-Signature"))
	if err != nil {
		cut(w)
	}
	w.WriteHeader(status)
}

func (t *till) deliver(ctx context.Context, path string, body []byte, signature string) (status int, err error) {
	t.mu.Lock()
	to := t.w.addrs[t.rnd.IntN(len(t.w.addrs))]
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+to+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Stripe-Signature", signature)
	res, err := t.http.Do(q)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// open makes the sellers and the payers, while nothing goes wrong yet.
func (t *till) open(ctx context.Context, b *books) (err error) {
	t.rail, err = stripe.New(stripe.Options{Pool: b.pool, Billing: b.billing, Key: stripeKey, URL: "http://" + t.addr, Fake: true, FeePercent: feePercent, Meters: true,
		WebhookSecret: t.secrets[0], ConnectSecret: t.secrets[1]})
	if err != nil {
		return err
	}
	b.rail.Store(t.rail)
	if err := b.change(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, `select tenant_id from tenant`).Scan(&t.caller) }); err != nil {
		return err
	}
	if err := t.card(ctx, billing.Scope{Tenant: t.caller}, "4242424242424242"); err != nil {
		return err
	}
	for i, account := range []string{"111111111111", "222222222222"} {
		s := seller{}
		err := b.change(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				insert into tenant (account_id, name, email, gateway_id, created_at)
				select $1, 'Seller ' || $1, $1 || '@example.com', gateway_id, now() from tenant limit 1 returning tenant_id`, account).Scan(&s.tenant)
		})
		if err != nil {
			return err
		}
		scope := billing.Scope{Tenant: s.tenant}
		if _, err := t.rail.Connect(ctx, scope, biller, "http://console/back", "http://console/again"); err != nil {
			return err
		}
		a, err := t.rail.Account(ctx, scope)
		if err != nil {
			return err
		}
		s.account = a.ID
		if err := t.steer(ctx, http.MethodPost, "/_fake/accounts/"+a.ID+"/onboard", nil); err != nil {
			return err
		}
		if a, err = t.rail.SyncAccount(ctx, scope); err != nil || !a.Charges {
			return errors.Join(err, fmt.Errorf("seller %d cannot be paid: %+v", i, a))
		}
		t.sellers = append(t.sellers, s)
	}
	return nil
}

// card saves one as its owner does on Stripe's page.
func (t *till) card(ctx context.Context, s billing.Scope, number string) error {
	page, err := t.rail.AddCard(ctx, s, "http://portal/done?session="+stripe.SessionMark, "http://portal/back")
	if err != nil {
		return err
	}
	form := url.Values{"number": {number}, "exp": {"12 / 40"}, "cvc": {"123"}, "name": {"Dev"}, "email": {"dev@example.com"}}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := t.http.Do(q)
	if err != nil {
		return err
	}
	res.Body.Close()
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil || to.Host != "portal" {
		return fmt.Errorf("the page for cards answered %d to %q", res.StatusCode, to)
	}
	_, err = t.rail.CardAdded(ctx, s, to.Query().Get("session"))
	return err
}

// The cards that developers have, by lot; none: they pay on Stripe's page, and nobody does here.
var wallets = []string{"4242424242424242", "4242424242424242", "5555555555554444", "4000000000000341", "4000000000099968", ""}

// trade brings a new developer now and then, who subscribes for a fee, and credits something
// of what was paid. What fails is tried otherwise the next time: that the books stay right is
// what counts.
func (t *till) trade(ctx context.Context, rnd *rand.Rand) error {
	for pause(ctx, random(rnd, t.w.o.tradeEvery)) {
		s := t.sellers[rnd.IntN(len(t.sellers))]
		if err := t.subscribe(ctx, s, rnd); err != nil {
			continue
		}
		if rnd.IntN(4) == 0 {
			_ = t.credit(ctx, s, rnd)
		}
	}
	return nil
}

func (t *till) subscribe(ctx context.Context, s seller, rnd *rand.Rand) error {
	t.developers++
	dev := fmt.Sprintf("dev-%d", t.developers)
	fee := model.Decimal(fmt.Sprintf("%d.%02d", 1+rnd.IntN(200), rnd.IntN(100)))
	b := t.w.books
	// The card first: what is not there when the invoice is made is paid on Stripe's page.
	err := b.change(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `insert into developer (tenant_id, developer_id, email, password_hash) values ($1, $2, $2 || '@example.com', '')`, s.tenant, dev); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into app (tenant_id, app_id, developer_id, name) values ($1, 'app-' || $2, $2, 'App')`, s.tenant, dev)
		return err
	})
	if err != nil {
		return err
	}
	if number := wallets[rnd.IntN(len(wallets))]; number != "" {
		_ = t.card(ctx, billing.Scope{Tenant: s.tenant, Developer: dev}, number)
	}
	return b.change(ctx, func(tx pgx.Tx) error {
		plan := model.NewID(6)
		if _, err := tx.Exec(ctx, `insert into plan (tenant_id, plan_id, name) values ($1, $2, 'Plan')`, s.tenant, plan); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			with p as (insert into price_sheet (tenant_id, plan_id, version, sheet, created_by) values ($1, $2, 1, $3, 'fault') returning sheet_num)
			insert into subscription (tenant_id, plan_id, app_id, terms, started_at) select $1, $2, 'app-' || $4, sheet_num, $5 from p`,
			s.tenant, plan, model.PriceSheet{Currency: "USD", MonthlyFee: fee}, dev, b.month())
		return err
	})
}

// credit takes a part off one of a seller's paid invoices, which Stripe then pays back.
func (t *till) credit(ctx context.Context, s seller, rnd *rand.Rand) error {
	var id string
	var total int64
	err := t.w.books.change(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select invoice_id, amount_paid from collection c where tenant_id = $1 and state = 'paid' and amount_paid > 0
				and not exists (select from credit_note n where (n.tenant_id, n.invoice_id) = (c.tenant_id, c.invoice_id)) order by random() limit 1`, s.tenant).Scan(&id, &total)
	})
	if err != nil {
		return err
	}
	_, err = t.w.books.billing.Credit(ctx, billing.Scope{Tenant: s.tenant}, biller, billing.Credit{Invoice: id, Reference: "fault", Reason: "It was not up", Amount: 1 + rnd.Int64N(total)})
	return err
}

// steer asks the imitation for something on its control path.
func (t *till) steer(ctx context.Context, method, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = t.ask(ctx, method, path, "", bytes.NewReader(b))
	return err
}

// ask calls the imitation's API, for an account if one is named.
func (t *till) ask(ctx context.Context, method, path, account string, body io.Reader) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, method, "http://"+t.addr+path, body)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+stripeKey)
	if account != "" {
		q.Header.Set("Stripe-Account", account)
	}
	res, err := t.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s at Stripe: %s %.300s", method, path, res.Status, text)
	}
	return text, err
}

// Where calls go that meet an accident.
var paths = []string{"/v1/invoices", "/v1/invoices/*/add_lines", "/v1/invoices/*/finalize", "/v1/invoices/*", "/v1/invoices/*/lines", "/v1/customers", "/v1/credit_notes",
	"/v1/refunds", "/v1/charges/*", "/v1/events", "/v1/customers/*", "/v1/checkout/sessions", "/v1/billing/meters", "/v1/billing/meter_events", "/v1/billing/meters/*/event_summaries"}

// misbehave has the imitation do now and then what Stripe does now and then: not answer what
// it did, fail and remember it, refuse for a while, take long, be away; and deliver events
// twice, late, in any order and not at all.
func (t *till) misbehave(ctx context.Context, rnd *rand.Rand) error {
	if err := t.chaos(ctx, rnd); err != nil {
		return err
	}
	for pause(ctx, random(rnd, 2*t.w.o.tradeEvery/3)) {
		if rnd.IntN(30) == 0 {
			if err := t.restart(ctx, rnd); err != nil {
				return err
			}
			continue
		}
		kind := []string{"drop", "drop", "server_error", "rate_limit", "lock_timeout", "conflict", "latency", "outage"}[rnd.IntN(8)]
		fault := map[string]any{"path": paths[rnd.IntN(len(paths))], "kind": kind, "skip": rnd.IntN(2), "times": 1 + rnd.IntN(3)}
		switch kind {
		case "server_error":
			fault["after"] = rnd.IntN(2) == 0
		case "latency":
			fault["latency_ms"] = 100 + rnd.IntN(4000)
		}
		if t.steer(ctx, http.MethodPost, "/_fake/faults", fault) != nil { // as many as it takes are set: begin anew
			_ = t.steer(ctx, http.MethodDelete, "/_fake/faults", nil)
			continue
		}
		t.mishaps.Add(1)
	}
	return nil
}

func (t *till) chaos(ctx context.Context, rnd *rand.Rand) error {
	return t.steer(ctx, http.MethodPost, "/_fake/webhooks", map[string]any{"duplicate": 40, "shuffle": 4, "delay": rnd.IntN(2), "lose": 15, "seed": rnd.Uint64()})
}

// restart ends the imitation in order, since what it acknowledged it keeps at the end only,
// and starts it again after a while in which there is no Stripe.
func (t *till) restart(ctx context.Context, rnd *rand.Rand) error {
	t.stopped.Lock()
	defer t.stopped.Unlock()
	if err := t.member.process.Stop(30 * time.Second); err != nil {
		return err
	}
	pause(ctx, random(rnd, 500*time.Millisecond))
	ctx = context.WithoutCancel(ctx)
	if err := t.member.start(ctx); err != nil {
		return err
	}
	t.restarts.Add(1)
	return t.chaos(ctx, rnd)
}

// sign makes the Stripe-Signature header.
func sign(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return "t=" + strconv.FormatInt(at.Unix(), 10) + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

const connectPath = "/webhooks/stripe/connect"

// forge sends events that say of invoices that they were paid: none of them comes from
// Stripe, or it is about another account's invoice.
func (t *till) forge(ctx context.Context, rnd *rand.Rand) error {
	for n := 0; pause(ctx, random(rnd, t.w.o.tradeEvery/2)); n++ {
		s := t.sellers[rnd.IntN(len(t.sellers))]
		var object string
		err := t.w.books.change(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `select remote_id from psp_object where tenant_id = $1 and account = $2 and kind = 'invoice' and remote_id is not null order by random() limit 1`,
				s.tenant, s.account).Scan(&object)
		})
		if err != nil {
			continue // none yet, or the database is away
		}
		event := func(account string) []byte {
			return fmt.Appendf(nil, `{"id": "evt_forged_%d_%s", "object": "event", "type": "invoice.paid", "account": %q, "created": %d, "api_version": "2024-06-20", "data": {"object": {"id": %q, "object": "invoice", "status": "paid"}}}`,
				n, model.NewID(6), account, time.Now().Unix(), object)
		}
		body, now := event(s.account), time.Now()
		signature := ""
		switch rnd.IntN(5) {
		case 0:
			signature = sign("whsec_wrong", now, body)
		case 1:
			signature = sign(t.secrets[1], now.Add(-time.Hour), body) // a recorded one, sent again
		case 2:
			signature = sign(t.secrets[0], now, body) // the other endpoint's
		case 3:
			signature = strings.Replace(sign(t.secrets[1], now, event(s.account)), ",", ",v0=00,", 1) // of another body
		case 4: // of the other seller's account, with a good signature: it is taken, and changes nothing
			for _, other := range t.sellers {
				if other != s {
					body = event(other.account)
				}
			}
			if status, err := t.deliver(ctx, connectPath, body, sign(t.secrets[1], now, body)); err == nil && status == http.StatusOK {
				t.crossed.Add(1)
			}
			continue
		}
		status, err := t.deliver(ctx, connectPath, body, signature)
		switch {
		case err != nil || status >= 500: // nobody was there
		case status == http.StatusBadRequest:
			t.forged.Add(1)
		default:
			t.forged.Add(1)
			t.believed.Add(1)
		}
	}
	return nil
}
