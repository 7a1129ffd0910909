package fake_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v79"
	"github.com/stripe/stripe-go/v79/client"
	"github.com/stripe/stripe-go/v79/webhook"

	"tollgate/cmd/fakestripe/fake"
)

// start serves a fake for the length of a test.
func start(t testing.TB, o fake.Options) (*fake.Server, string) {
	t.Helper()
	s, err := fake.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.SetURL(web.URL)
	return s, web.URL
}

// connect is stripe-go pointed at a fake, without its own retries so that tests see each answer.
func connect(t testing.TB, url string) *client.API { return connectRetrying(t, url, 0) }

func connectRetrying(t testing.TB, url string, retries int64) *client.API {
	t.Helper()
	b := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{URL: &url, MaxNetworkRetries: &retries,
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}})
	return client.New("sk_test_fake", &stripe.Backends{API: b, Connect: b, Uploads: b})
}

// newBed is a fake with a client, for the tests of what only the fake does.
func newBed(t *testing.T) bed {
	t.Helper()
	s, url := start(t, fake.Options{})
	return bed{t, connect(t, url), s, t.Name(), url}
}

func (b bed) advance(d time.Duration) {
	b.Helper()
	if err := b.fake.Advance(b.Context(), d); err != nil {
		b.Fatal(err)
	}
}

// hook is an endpoint that checks each webhook with stripe-go and keeps what came.
type hook struct {
	*httptest.Server
	secret string
	mu     sync.Mutex
	events []stripe.Event
	bad    []error
	refuse int // answers so many with 500 first
}

// hook registers an endpoint for all events.
func (b bed) hook(connect bool) *hook {
	b.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 512<<10))
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.refuse > 0 {
			h.refuse--
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		// The virtual clock runs ahead of the real one, so the age is not judged here.
		e, err := webhook.ConstructEventIgnoringTolerance(body, r.Header.Get("Stripe-Signature"), h.secret)
		if err != nil {
			h.bad = append(h.bad, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h.events = append(h.events, e)
	}))
	b.Cleanup(h.Close)
	we := must(b.api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: &h.URL, EnabledEvents: stripe.StringSlice([]string{"*"}),
		APIVersion: stripe.String(stripe.APIVersion), Connect: &connect}))(b)
	h.secret = we.Secret
	return h
}

// types lists the types of the events that came, in order.
func (h *hook) types(t testing.TB) []string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.bad {
		t.Error(err)
	}
	var out []string
	for _, e := range h.events {
		out = append(out, string(e.Type))
	}
	return out
}

func TestWebhooksTellTheStoryOfAnInvoice(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	c := b.customer("pm_card_visa")
	h := b.hook(false)
	inv := b.invoice(c, 1000)
	must(b.api.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(true)}))(t)
	b.advance(0)
	got := h.types(t)
	for _, want := range []string{"invoice.created", "invoice.finalized", "charge.succeeded", "payment_intent.succeeded", "invoice.paid"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s among %v", want, got)
		}
	}
	// A signature made now is one that stripe-go takes as fresh.
	h.mu.Lock()
	e := h.events[0]
	h.mu.Unlock()
	if e.APIVersion != stripe.APIVersion || e.Data.Object["id"] != inv.ID || e.Request == nil || e.Request.ID == "" {
		t.Errorf("event %+v", e)
	}
	// The API lists the same events, for sweeps.
	it := b.api.Events.List(&stripe.EventListParams{Type: stripe.String("invoice.paid")})
	if !it.Next() || it.Event().Data.Object["id"] != inv.ID {
		t.Errorf("no event in the list: %v", it.Err())
	}
}

func TestSignaturesAreFresh(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	got := make(chan error, 10)
	var secret string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, err := webhook.ConstructEvent(body, r.Header.Get("Stripe-Signature"), secret)
		got <- err
	}))
	defer srv.Close()
	secret = must(b.api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: &srv.URL, EnabledEvents: stripe.StringSlice([]string{"customer.created"})}))(t).Secret
	b.customer("")
	b.advance(0)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestWebhooksAreTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	h := b.hook(false)
	h.refuse = 3
	b.customer("")
	b.advance(0)
	if got := h.types(t); len(got) != 0 {
		t.Fatalf("%v came although the endpoint refused", got)
	}
	b.advance(6 * time.Hour)
	if got := h.types(t); len(got) != 1 || got[0] != "customer.created" {
		t.Errorf("got %v", got)
	}
	// An endpoint that never answers is given up after three days or so.
	h.mu.Lock()
	h.refuse = 1000
	h.mu.Unlock()
	b.customer("")
	b.advance(10 * 24 * time.Hour)
	h.mu.Lock()
	tried := 1000 - h.refuse
	h.mu.Unlock()
	if tried != 11 {
		t.Errorf("%d attempts, want 11", tried)
	}
}

func TestChaosDuplicatesAndShuffles(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	h := b.hook(false)
	if err := b.fake.SetChaos(fake.Chaos{Duplicate: 100, Shuffle: 3600, Delay: 60, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		b.customer("")
	}
	b.advance(59 * time.Second)
	if got := h.types(t); len(got) != 0 {
		t.Fatalf("%d came before their time", len(got))
	}
	b.advance(2 * time.Hour)
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]int{}
	var order []int64
	for _, e := range h.events {
		seen[e.ID]++
	}
	if len(h.events) != 20 || len(seen) != 10 {
		t.Errorf("%d deliveries of %d events", len(h.events), len(seen))
	}
	it := b.api.Events.List(&stripe.EventListParams{})
	var made []string
	for it.Next() {
		made = append(made, it.Event().ID)
	}
	slices.Reverse(made)
	for _, e := range h.events {
		order = append(order, int64(slices.Index(made, e.ID)))
	}
	if slices.IsSorted(order) {
		t.Error("they came in order")
	}
	if err := b.fake.SetChaos(fake.Chaos{Lose: 101}); err == nil {
		t.Error("101 percent was taken")
	}
}

func TestDunning(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	c := b.customer("pm_card_chargeCustomerFail")
	inv := b.invoice(c, 1000)
	must(b.api.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(true)}))(t)
	for i, days := range []int{0, 3, 5, 7} {
		b.advance(time.Duration(days) * 24 * time.Hour)
		inv = must(b.api.Invoices.Get(inv.ID, nil))(t)
		if inv.AttemptCount != int64(i+1) || inv.Status != "open" || (inv.NextPaymentAttempt == 0) != (i == 3) {
			t.Fatalf("after attempt %d: count %d %s next %d", i+1, inv.AttemptCount, inv.Status, inv.NextPaymentAttempt)
		}
	}
	// Another card rescues it.
	pm := must(b.api.PaymentMethods.Attach("pm_card_visa", &stripe.PaymentMethodAttachParams{Customer: &c.ID}))(t)
	must(b.api.Customers.Update(c.ID, &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: &pm.ID}}))(t)
	if inv = must(b.api.Invoices.Pay(inv.ID, nil))(t); inv.Status != "paid" {
		t.Errorf("%s", inv.Status)
	}
}

func TestFundsComeLater(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	inv := b.invoice(b.customer("pm_card_fake_insufficientFundsThenSuccess"), 1000)
	must(b.api.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(true)}))(t)
	b.advance(0)
	if inv = must(b.api.Invoices.Get(inv.ID, nil))(t); inv.Status != "open" {
		t.Fatalf("%s", inv.Status)
	}
	b.advance(3 * 24 * time.Hour)
	if inv = must(b.api.Invoices.Get(inv.ID, nil))(t); inv.Status != "paid" || inv.AttemptCount != 2 {
		t.Errorf("%s after %d attempts", inv.Status, inv.AttemptCount)
	}
}

func TestDraftsAdvanceAfterAnHour(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	inv := b.invoice(b.customer("pm_card_visa"), 1000)
	must(b.api.Invoices.Update(inv.ID, &stripe.InvoiceParams{AutoAdvance: stripe.Bool(true)}))(t)
	b.advance(59 * time.Minute)
	if inv = must(b.api.Invoices.Get(inv.ID, nil))(t); inv.Status != "draft" || inv.AutomaticallyFinalizesAt == 0 {
		t.Fatalf("%s", inv.Status)
	}
	b.advance(time.Minute)
	if inv = must(b.api.Invoices.Get(inv.ID, nil))(t); inv.Status != "paid" {
		t.Errorf("%s", inv.Status)
	}
}

func TestTooLittleToCharge(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	c := b.customer("pm_card_visa")
	inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 30).ID, nil))(t)
	if inv.Status != "paid" || inv.AmountDue != 0 || inv.EndingBalance != 30 {
		t.Errorf("%s due %d balance %d", inv.Status, inv.AmountDue, inv.EndingBalance)
	}
	inv = must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 100).ID, nil))(t)
	if inv.AmountDue != 130 {
		t.Errorf("the next invoice asks for %d, want what was carried over too", inv.AmountDue)
	}
}

func TestDispute(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	h := b.hook(false)
	b.paid(b.customer("pm_card_createDispute"), 1000)
	it := b.api.Disputes.List(&stripe.DisputeListParams{})
	if !it.Next() {
		t.Fatal("no dispute")
	}
	must(b.api.Disputes.Update(it.Dispute().ID, &stripe.DisputeParams{Submit: stripe.Bool(true), Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String("winning_evidence")}}))(t)
	b.advance(0)
	got := h.types(t)
	for _, want := range []string{"charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "charge.dispute.closed"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s among %v", want, got)
		}
	}
}

// A tenant's developer pays the tenant, the platform gets its share, and nothing of one account
// can be named in another.
func TestConnect(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	hooks := b.hook(true)
	a := must(b.api.Accounts.New(&stripe.AccountParams{Type: stripe.String("standard")}))(t)
	other := must(b.api.Accounts.New(&stripe.AccountParams{Type: stripe.String("standard")}))(t)
	cp := &stripe.CustomerParams{PaymentMethod: stripe.String("pm_card_visa")}
	cp.SetStripeAccount(a.ID)
	c := must(b.api.Customers.New(cp))(t)

	// Another account's customer is no customer.
	ip := &stripe.InvoiceParams{Customer: &c.ID}
	ip.SetStripeAccount(other.ID)
	_, err := b.api.Invoices.New(ip)
	refused(t, err, 400, stripe.ErrorCodeResourceMissing)
	// A fee needs a connected account.
	pc := b.customer("")
	_, err = b.api.Invoices.New(&stripe.InvoiceParams{Customer: &pc.ID, ApplicationFeeAmount: stripe.Int64(1)})
	refused(t, err, 400, "")

	ip = &stripe.InvoiceParams{Customer: &c.ID, Currency: stripe.String("eur"), ApplicationFeeAmount: stripe.Int64(100)}
	ip.SetStripeAccount(a.ID)
	inv := must(b.api.Invoices.New(ip))(t)
	lp := &stripe.InvoiceAddLinesParams{Lines: []*stripe.InvoiceAddLinesLineParams{{Amount: stripe.Int64(1000)}}}
	lp.SetStripeAccount(a.ID)
	must(b.api.Invoices.AddLines(inv.ID, lp))(t)
	pml := &stripe.PaymentMethodListParams{Customer: &c.ID}
	pml.SetStripeAccount(a.ID)
	pms := b.api.PaymentMethods.List(pml)
	pms.Next()
	pp := &stripe.InvoicePayParams{PaymentMethod: &pms.PaymentMethod().ID}
	pp.SetStripeAccount(a.ID)
	inv = must(b.api.Invoices.Pay(inv.ID, pp))(t)
	if inv.Status != "paid" {
		t.Fatalf("%s", inv.Status)
	}
	fees := b.api.ApplicationFees.List(&stripe.ApplicationFeeListParams{Charge: &inv.Charge.ID})
	if !fees.Next() || fees.ApplicationFee().Amount != 100 || fees.ApplicationFee().Account.ID != a.ID {
		t.Fatalf("fee %+v", fees.ApplicationFee())
	}
	rp := &stripe.RefundParams{Charge: &inv.Charge.ID, Amount: stripe.Int64(333), RefundApplicationFee: stripe.Bool(true)}
	rp.SetStripeAccount(a.ID)
	must(b.api.Refunds.New(rp))(t)
	fee := must(b.api.ApplicationFees.Get(fees.ApplicationFee().ID, nil))(t)
	if fee.AmountRefunded != 33 {
		t.Errorf("%d of the fee went back, want 33", fee.AmountRefunded)
	}
	must(b.api.FeeRefunds.New(&stripe.FeeRefundParams{ID: &fee.ID, Amount: stripe.Int64(67)}))(t)
	_, err = b.api.FeeRefunds.New(&stripe.FeeRefundParams{ID: &fee.ID, Amount: stripe.Int64(1)})
	refused(t, err, 400, "")

	b.advance(0)
	got := hooks.types(t)
	if !slices.Contains(got, "invoice.paid") {
		t.Errorf("the Connect endpoint got %v", got)
	}
	for _, e := range hooks.events {
		if e.Account != a.ID {
			t.Errorf("%s of account %q", e.Type, e.Account)
		}
	}
	// A tenant that disconnects is out of reach.
	steer(t, b, "accounts/"+a.ID+"/deauthorize", "")
	gp := &stripe.InvoiceParams{}
	gp.SetStripeAccount(a.ID)
	_, err = b.api.Invoices.Get(inv.ID, gp)
	refused(t, err, 403, stripe.ErrorCodeAccountInvalid)
	b.advance(0)
	if !slices.Contains(hooks.types(t), "account.application.deauthorized") {
		t.Error("nobody was told of the disconnection")
	}
}

// steer posts to the control path.
func steer(t testing.TB, b bed, path, body string) {
	t.Helper()
	rec := httptest.NewRecorder()
	b.fake.ServeHTTP(rec, httptest.NewRequest("POST", "/_fake/"+path, strings.NewReader(body)))
	if rec.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	keyed := func(key string) *stripe.CustomerParams {
		p := &stripe.CustomerParams{Name: stripe.String("Ada")}
		p.SetIdempotencyKey(key)
		return p
	}
	count := func() (n int) {
		for it := b.api.Customers.List(&stripe.CustomerListParams{}); it.Next(); n++ {
		}
		return n
	}
	fault := func(f fake.Fault) {
		t.Helper()
		f.Method, f.Path = "POST", "/v1/customers"
		if err := b.fake.AddFault(f); err != nil {
			t.Fatal(err)
		}
	}
	// Done, but the answer is lost: the same key gets it.
	fault(fake.Fault{Kind: fake.FaultDrop})
	if _, err := b.api.Customers.New(keyed("drop")); err == nil {
		t.Error("an answer came")
	}
	must(b.api.Customers.New(keyed("drop")))(t)
	if n := count(); n != 1 {
		t.Errorf("%d customers, want 1", n)
	}
	// A stored 500 comes back for a day, whether the work was done or not.
	fault(fake.Fault{Kind: fake.FaultServerError, After: true})
	for range 2 {
		_, err := b.api.Customers.New(keyed("500"))
		refused(t, err, 500, "")
	}
	if n := count(); n != 2 {
		t.Errorf("%d customers, want 2", n)
	}
	b.advance(24 * time.Hour)
	must(b.api.Customers.New(keyed("500")))(t)
	// Too many calls and an outage leave no trace.
	fault(fake.Fault{Kind: fake.FaultRateLimit})
	_, err := b.api.Customers.New(keyed("429"))
	refused(t, err, 429, stripe.ErrorCodeRateLimit)
	fault(fake.Fault{Kind: fake.FaultOutage, Skip: 1})
	must(b.api.Customers.New(keyed("429")))(t)
	if _, err := b.api.Customers.New(keyed("outage")); err == nil {
		t.Error("an answer came during an outage")
	}
	if n := count(); n != 4 {
		t.Errorf("%d customers, want 4", n)
	}
	// stripe-go's own retries get through a lost answer without doing twice.
	fault(fake.Fault{Kind: fake.FaultDrop})
	must(connectRetrying(t, b.url, 1).Customers.New(keyed("retry")))(t)
	if n := count(); n != 5 {
		t.Errorf("%d customers, want 5", n)
	}
	calls := b.fake.Calls()
	last := calls[len(calls)-1]
	if last.Method != "GET" || last.Status != 200 {
		t.Errorf("journal %+v", last)
	}
	if err := b.fake.AddFault(fake.Fault{Kind: "flood"}); err == nil {
		t.Error("an unknown fault was taken")
	}
}

func TestKeyInFlight(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	steer(t, b, "faults", `{"method":"POST","path":"/v1/customers","kind":"latency","latency_ms":60000,"times":-1}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := make(chan error, 2)
	for range 2 {
		go func() {
			p := &stripe.CustomerParams{Name: stripe.String("Ada")}
			p.SetIdempotencyKey("one")
			p.Context = ctx
			_, err := b.api.Customers.New(p)
			results <- err
		}()
	}
	// Whichever has the key first waits for a minute, so the other is answered first.
	refused(t, <-results, 409, stripe.ErrorCodeIdempotencyKeyInUse)
	cancel()
	<-results
}

func TestSearchSeesLate(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	inv := b.invoice(b.customer(""), 100)
	find := func() int {
		n := 0
		it := b.api.Invoices.Search(&stripe.InvoiceSearchParams{SearchParams: stripe.SearchParams{Query: fmt.Sprintf("metadata['local_id']:'%s' AND status:'draft'", t.Name())}})
		for it.Next() {
			if n++; it.Invoice().ID != inv.ID {
				t.Errorf("found %s", it.Invoice().ID)
			}
		}
		if it.Err() != nil {
			t.Fatal(it.Err())
		}
		return n
	}
	if n := find(); n != 0 {
		t.Errorf("%d found at once", n)
	}
	b.advance(2 * time.Minute)
	if n := find(); n != 1 {
		t.Errorf("%d found after two minutes", n)
	}
	it := b.api.Invoices.Search(&stripe.InvoiceSearchParams{SearchParams: stripe.SearchParams{Query: "drop table"}})
	it.Next()
	refused(t, it.Err(), 400, "")
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	s, url := start(t, fake.Options{File: file})
	b := bed{t, connect(t, url), s, t.Name(), url}
	inv := b.invoice(b.customer("pm_card_visa"), 1000, 20)
	b.advance(time.Hour)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	s, url = start(t, fake.Options{File: file})
	b = bed{t, connect(t, url), s, t.Name(), url}
	must(b.api.Invoices.AddLines(inv.ID, &stripe.InvoiceAddLinesParams{Lines: []*stripe.InvoiceAddLinesLineParams{{Amount: stripe.Int64(3)}}}))(t)
	if inv = must(b.api.Invoices.Pay(inv.ID, nil))(t); inv.Status != "paid" || inv.Total != 1023 {
		t.Errorf("%s %d", inv.Status, inv.Total)
	}
}

// The same calls make the same ids, so that a failing seed can be followed.
func TestIDsRepeat(t *testing.T) {
	t.Parallel()
	ids := func() string {
		b := newBed(t)
		return b.paid(b.customer("pm_card_visa"), 1000).Charge.ID
	}
	if a, b := ids(), ids(); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

// Many clients at once, with jobs running by themselves: for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	h := b.hook(false)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- b.fake.Run(ctx) }()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, err := b.api.Customers.New(&stripe.CustomerParams{Name: stripe.String("Ada")})
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				if _, err := b.api.Invoices.New(&stripe.InvoiceParams{Customer: &c.ID}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.advance(0)
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if got := h.types(t); len(got) != 48 {
		t.Errorf("%d events, want 48", len(got))
	}
}

// browser walks the pages as a person without scripts does.
type browser struct {
	bed
	*http.Client
	at   *url.URL
	page string
}

func (b bed) browser() *browser {
	jar, _ := cookiejar.New(nil)
	w := &browser{bed: b}
	w.Client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "shop.example" {
			return http.ErrUseLastResponse // the fake's pages end here
		}
		return nil
	}}
	return w
}

func (w *browser) read(resp *http.Response, err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	w.page, w.at = string(body), resp.Request.URL
	if l, err := resp.Location(); err == nil {
		w.at, w.page = l, ""
	}
}

func (w *browser) open(u string) { w.Helper(); w.read(w.Get(u)) }

func (w *browser) submit(fields ...string) {
	w.Helper()
	v := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	w.read(w.PostForm(w.at.String(), v))
}

func (w *browser) sees(want string) {
	w.Helper()
	if !strings.Contains(w.page, want) {
		w.Fatalf("at %s: no %q in %s", w.at, want, w.page)
	}
}

func TestCheckoutPages(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	h := b.hook(false)
	c := b.customer("")
	cs := must(b.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("setup"), Currency: stripe.String("eur"), Customer: &c.ID,
		SuccessURL: stripe.String("http://shop.example/done?s={CHECKOUT_SESSION_ID}"), CancelURL: stripe.String("http://shop.example/back")}))(t)
	w := b.browser()
	w.open(cs.URL)
	w.sees("Save a card")
	w.sees(`value="ada@example.com"`)
	w.submit("number", "1234", "email", "ada@example.com")
	w.sees(`role="alert"`)
	w.submit("number", "4000 0000 0000 0002", "email", "ada@example.com")
	w.sees("Your card was declined.")
	w.submit("number", "4000 0025 0000 3155", "email", "ada@example.com")
	w.sees("Confirm with your bank")
	w.submit("answer", "no")
	w.sees("unable to authenticate")
	w.open(cs.URL)
	w.submit("number", "4000 0025 0000 3155", "email", "ada@example.com")
	w.submit("answer", "yes")
	if w.at.String() != "http://shop.example/done?s="+cs.ID {
		t.Fatalf("ended at %s", w.at)
	}
	p := &stripe.CheckoutSessionParams{}
	p.AddExpand("setup_intent.payment_method")
	cs = must(b.api.CheckoutSessions.Get(cs.ID, p))(t)
	if cs.Status != "complete" || cs.SetupIntent.PaymentMethod.Card.Last4 != "3155" || cs.SetupIntent.PaymentMethod.Customer.ID != c.ID {
		t.Errorf("%s %+v", cs.Status, cs.SetupIntent)
	}
	b.advance(0)
	for _, want := range []string{"setup_intent.setup_failed", "setup_intent.succeeded", "payment_method.attached", "checkout.session.completed"} {
		if got := h.types(t); !slices.Contains(got, want) {
			t.Errorf("no %s among %v", want, got)
		}
	}
	// A card set up like that pays without asking again.
	inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(c, 1000).ID, nil))(t)
	if inv = must(b.api.Invoices.Pay(inv.ID, &stripe.InvoicePayParams{PaymentMethod: &cs.SetupIntent.PaymentMethod.ID}))(t); inv.Status != "paid" {
		t.Errorf("%s", inv.Status)
	}

	cs = must(b.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("payment"), SuccessURL: stripe.String("http://shop.example/done"),
		LineItems: []*stripe.CheckoutSessionLineItemParams{{Quantity: stripe.Int64(2), PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{Currency: stripe.String("eur"),
			UnitAmount: stripe.Int64(1250), ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: stripe.String("Credits")}}}}}))(t)
	w.open(cs.URL)
	w.sees("Pay 25.00 EUR")
	w.submit("number", "4242424242424242", "email", "x@example.com")
	cs = must(b.api.CheckoutSessions.Get(cs.ID, nil))(t)
	if w.at.Host != "shop.example" || cs.PaymentStatus != "paid" || cs.PaymentIntent == nil || cs.AmountTotal != 2500 {
		t.Errorf("at %s, %s", w.at, cs.PaymentStatus)
	}
	// One that nobody completes expires after a day.
	cs = must(b.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("setup"), Currency: stripe.String("eur"), SuccessURL: stripe.String("http://shop.example/")}))(t)
	old := cs.URL
	b.advance(25 * time.Hour)
	w.open(old)
	w.sees("has expired")
}

func TestInvoicePage(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	inv := must(b.api.Invoices.FinalizeInvoice(b.invoice(b.customer("pm_card_authenticationRequired"), 900).ID, nil))(t)
	_, err := b.api.Invoices.Pay(inv.ID, nil)
	refused(t, err, 402, "")
	w := b.browser()
	w.open(inv.HostedInvoiceURL)
	w.sees("9.00 EUR")
	w.submit("number", "4000 0027 6000 3184")
	w.sees("asks about a payment of 9.00 EUR")
	w.submit("answer", "yes")
	w.sees("paid")
	if inv = must(b.api.Invoices.Get(inv.ID, nil))(t); inv.Status != "paid" {
		t.Errorf("%s", inv.Status)
	}
	w.open(inv.InvoicePDF)
	w.sees("%PDF-1.4")
}

func TestPortalPages(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	c := b.customer("pm_card_visa")
	b.paid(c, 1000)
	must(b.api.BillingPortalConfigurations.New(&stripe.BillingPortalConfigurationParams{BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{Headline: stripe.String("Bills")},
		Features: &stripe.BillingPortalConfigurationFeaturesParams{
			InvoiceHistory:      &stripe.BillingPortalConfigurationFeaturesInvoiceHistoryParams{Enabled: stripe.Bool(true)},
			PaymentMethodUpdate: &stripe.BillingPortalConfigurationFeaturesPaymentMethodUpdateParams{Enabled: stripe.Bool(true)},
			CustomerUpdate: &stripe.BillingPortalConfigurationFeaturesCustomerUpdateParams{Enabled: stripe.Bool(true),
				AllowedUpdates: stripe.StringSlice([]string{"email", "name", "address", "tax_id"})}}}))(t)
	ps := must(b.api.BillingPortalSessions.New(&stripe.BillingPortalSessionParams{Customer: &c.ID, ReturnURL: stripe.String("http://shop.example/billing")}))(t)
	w := b.browser()
	w.open(ps.URL)
	w.sees("visa ending in 4242")
	w.sees("pays your invoices")
	w.sees("10.00 EUR")
	w.submit("do", "card", "number", "5555 5555 5555 4444")
	w.sees("The card was saved")
	w.submit("do", "details", "email", "grace@example.com", "name", "Grace", "country", "DE", "city", "Berlin")
	w.sees("Your details were saved")
	w.submit("do", "tax_id", "value", "de 123 456 789")
	w.sees("DE123456789")
	w.submit("do", "details", "email", "nonsense")
	w.sees("That is no e-mail address")
	p := &stripe.CustomerParams{}
	p.AddExpand("invoice_settings.default_payment_method")
	c = must(b.api.Customers.Get(c.ID, p))(t)
	if c.Email != "grace@example.com" || c.Address.City != "Berlin" || c.InvoiceSettings.DefaultPaymentMethod.Card.Last4 != "4444" {
		t.Errorf("%s %+v %+v", c.Email, c.Address, c.InvoiceSettings.DefaultPaymentMethod)
	}
	w.submit("do", "remove", "card", c.InvoiceSettings.DefaultPaymentMethod.ID)
	w.sees("The card was removed")
	if c = must(b.api.Customers.Get(c.ID, nil))(t); c.InvoiceSettings.DefaultPaymentMethod != nil {
		t.Error("a removed card still pays")
	}
	b.advance(2 * time.Hour)
	w.open(ps.URL)
	w.sees("session has expired")
}

func TestOnboardingPages(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	h := b.hook(true)
	a := must(b.api.Accounts.New(&stripe.AccountParams{Type: stripe.String("standard")}))(t)
	link := func() string {
		return must(b.api.AccountLinks.New(&stripe.AccountLinkParams{Account: &a.ID, Type: stripe.String("account_onboarding"),
			RefreshURL: stripe.String("http://shop.example/again"), ReturnURL: stripe.String("http://shop.example/done")}))(t).URL
	}
	w := b.browser()
	first := link()
	w.open(first)
	w.submit("answer", "later")
	if a = must(b.api.Accounts.GetByID(a.ID, nil))(t); w.at.Path != "/done" || a.ChargesEnabled {
		t.Errorf("at %s, charges enabled %v", w.at, a.ChargesEnabled)
	}
	w.open(first)
	if w.at.Path != "/again" {
		t.Errorf("a used link leads to %s", w.at)
	}
	w.open(link())
	w.submit("answer", "submit", "business", "")
	w.sees(`role="alert"`)
	w.submit("answer", "submit", "business", "Weather Ltd", "iban", "DE89370400440532013000", "agree", "yes")
	a = must(b.api.Accounts.GetByID(a.ID, nil))(t)
	if !a.ChargesEnabled || !a.DetailsSubmitted || a.BusinessProfile.Name != "Weather Ltd" || len(a.Requirements.CurrentlyDue) != 0 {
		t.Errorf("%+v", a)
	}
	b.advance(0)
	if got := h.types(t); !slices.Contains(got, "account.updated") {
		t.Errorf("got %v", got)
	}
	w.open(b.url)
	w.sees("Weather Ltd")
}
