package portal_test

import (
	"archive/zip"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/rate"
	"tollgate/control"
	"tollgate/control/sdk"
	"tollgate/migrations/pgtest"
	"tollgate/model"
	"tollgate/portal"
	"tollgate/ui"
)

// world is the portals over a database of their own, with two tenants' on them.
type world struct {
	testing.TB
	*control.Plane
	pool   *pgxpool.Pool
	in     *intake.Intake
	books  *billing.Billing
	server *portal.Server
	url    string
	owner  control.Actor
	slug   string
	api    string
	other  string // slug of the other tenant's
}

const petsDocument = `openapi: 3.0.3
info: {title: Pets, version: "1", description: "Everything about **pets**"}
servers: [{url: "https://pets.example.com"}]
tags: [{name: animals}]
paths:
  /pets:
    get: {operationId: listPets, tags: [animals], summary: List all pets, parameters: [{name: limit, in: query, schema: {type: integer, maximum: 100}}],
      responses: {"200": {description: The pets, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}}}
    post: {operationId: addPet, tags: [animals], requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}, responses: {"201": {description: made}}}
components: {schemas: {Pet: {type: object, required: [name], properties: {name: {type: string}, kind: {type: string, enum: [dog, cat]}}}}}
`

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, pool: pgtest.New(t)}
	var err error
	w.Plane, err = control.New(control.Options{Pool: w.pool, SecretKey: make([]byte, 32), AckTimeout: 10 * time.Millisecond})
	w.must(err)
	w.in, w.books = intake.New(intake.Options{Pool: w.pool}), billing.New(billing.Options{Pool: w.pool})
	server := httptest.NewUnstartedServer(nil)
	console := &url.URL{Scheme: "http", Host: server.Listener.Addr().String()}
	w.url = console.String()
	w.server, err = portal.New(portal.Options{Plane: w.Plane, Usage: w.in, Billing: w.books, Console: console, Gateway: &url.URL{Scheme: "http", Host: "localhost:8081"}})
	w.must(err)
	server.Config.Handler = w.server
	server.Start()
	t.Cleanup(server.Close)
	w.owner, w.slug, w.api = w.shop("Pets for all")
	_, w.other, _ = w.shop("Ships")
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// shop is a tenant with an API, a priced plan and a published portal.
func (w *world) shop(title string) (control.Actor, string, string) {
	w.Helper()
	c, err := w.CreateTenant(w.Context(), control.Operator(), control.NewTenant{Email: model.NewID(8) + "@example.com", Name: title})
	w.must(err)
	a, err := w.Owner(w.Context(), c.AccountID)
	w.must(err)
	in, err := w.ImportAPI(w.Context(), a, control.ImportAPI{Source: []byte(petsDocument), RequireKey: true})
	w.must(err)
	_, err = w.Deploy(w.Context(), a, control.Deploy{APIID: in.API.ID, Stage: "prod"})
	w.must(err)
	_, err = w.CreatePlan(w.Context(), a, control.PlanSpec{Name: "Gold", Published: true, Stages: []model.PlanStage{{APIID: in.API.ID, Stage: "prod"}},
		Price: &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.02"}}}})
	w.must(err)
	p, err := w.UpsertPortal(w.Context(), a, func(p *control.PortalSpec) error {
		p.Slug, p.Title, p.Tagline, p.OpenSignUp, p.Published, p.Accent = strings.ToLower(model.NewID(8)), title, "An API for pets", true, true, "#7a1f5c"
		return nil
	})
	w.must(err)
	w.must(w.PublishAPI(w.Context(), a, in.API.ID, "prod", "All pets there are"))
	return a, p.Slug, in.API.ID
}

// browser is one without JavaScript.
type browser struct {
	*world
	http *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	return &browser{w, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

type page struct {
	*browser
	status int
	path   string
	body   string
	header http.Header
}

func (b *browser) do(req *http.Request) *page {
	b.Helper()
	resp, err := b.http.Do(req)
	b.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.must(err)
	return &page{b, resp.StatusCode, resp.Request.URL.RequestURI(), string(body), resp.Header}
}

func (b *browser) get(path string) *page {
	b.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/portal/" + b.slug + "/" + path
	}
	req, err := http.NewRequest("GET", b.url+path, nil)
	b.must(err)
	return b.do(req)
}

func (b *browser) post(path string, form ...string) *page {
	b.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/portal/" + b.slug + "/" + path
	}
	v := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		v.Add(form[i], form[i+1])
	}
	req, err := http.NewRequest("POST", b.url+path, strings.NewReader(v.Encode()))
	b.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

func (p *page) want(status int, texts ...string) *page {
	p.Helper()
	if p.status != status {
		p.Fatalf("%s: status %d, want %d\n%s", p.path, p.status, status, p.body)
	}
	for _, t := range texts {
		if !strings.Contains(p.body, t) {
			p.Fatalf("%s does not show %q:\n%s", p.path, t, p.body)
		}
	}
	return p
}

var mailLink = regexp.MustCompile(`/portal/[a-z0-9-]+/(?:verify|reset)/[A-Za-z0-9_-]{43}`)

func (w *world) linkTo(email string) string {
	w.Helper()
	l, err := w.Mails(w.Context(), control.Operator(), control.MailFilter{})
	w.must(err)
	for _, m := range l.Items {
		if m.To == email {
			m, err = w.LocalMail(w.Context(), m.ID)
			w.must(err)
			return mailLink.FindString(m.Text)
		}
	}
	w.Fatalf("no mail to %s", email)
	return ""
}

// signUp is a browser with a new developer of the portal.
func (w *world) signUp(email string) *browser {
	w.Helper()
	b := w.browser()
	b.post("sign-up", "email", email, "password", "correct horse").want(200, "Check your mail")
	link := w.linkTo(email)
	b.get(link).want(200, "Open my account")
	b.post(link).want(200, "Make an app")
	return b
}

var (
	mintedKey = regexp.MustCompile(`tg_live_[0-9A-Za-z]{30,}`)
	appLink   = regexp.MustCompile(`/portal/[a-z0-9-]+/apps/([a-z0-9]{10})"`)
	planID    = regexp.MustCompile(`name="plan" value="([a-z0-9]+)"`)
	subLink   = regexp.MustCompile(`/subscriptions/(\d+)/plan`)
	keyLink   = regexp.MustCompile(`/keys/([a-z0-9]+)/revoke`)
)

// A link that is opened in another browser than the one that signed up asks for
// the password that was chosen there, and works once.
func TestLinkInAnotherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	desk, phone := w.browser(), w.browser()
	desk.post("sign-up", "email", "bea@example.com", "password", "short").want(422, "8 to 1024 characters", `value="bea@example.com"`)
	desk.post("sign-up", "email", "bea@example.com", "password", "correct horse").want(200, "Check your mail")
	link := w.linkTo("bea@example.com")
	phone.get(link).want(200, "another browser", "bea@example.com")
	phone.post(link).want(422, "chosen at the sign-up")
	phone.post(link, "password", "a stranger's guess").want(422, "not the password")
	phone.get("account").want(200, "Sign in")
	phone.post(link, "password", "correct horse").want(200, "Make an app")
	phone.get("account").want(200, "bea@example.com", "This browser")
	desk.get(link).want(404, "used already", "Sign up again")
	desk.post(link).want(404, "used already")
}

// What anybody sees, without signing in.
func TestPublicPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.get("").want(200, "Pets for all", "An API for pets", "All pets there are", "Sign up for a key", "0.02 USD")
	b.get("apis/"+w.api).want(200, "<strong>pets</strong>", "List all pets", "/_aws/execute-api/"+w.api+"/prod")
	b.get("apis/"+w.api+"/listPets").want(200, "limit", "at most 100", "x-api-key: YOUR_API_KEY", "one of dog, cat")
	b.get("apis/"+w.api+"/listPets?lang=python").want(200, "urllib.request")
	if md := b.get("apis/"+w.api+"/addPet.md").want(200, "`POST /pets`"); !strings.HasPrefix(md.header.Get("Content-Type"), "text/markdown") {
		t.Error("the Markdown has another type")
	}
	if doc := b.get("apis/" + w.api + "/openapi"); doc.body != petsDocument {
		t.Errorf("the document came back as %q", doc.body)
	}
	b.get("search?q=lsit+pets").want(200, "List all pets")
	b.get("search?q=nothing+of+the+kind").want(200, "Nothing found")
	b.get("plans").want(200, "Gold", "0.02 USD")
	b.get("llms.txt").want(200, "GET /pets", "/listPets.md")
	b.get("sitemap.xml").want(200, "/listPets</loc>")
	b.get("robots.txt").want(200, "Disallow")
	b.get("theme/7a1f5c.css").want(200, "--primary:light-dark(#7a1f5c")
	b.get("theme/000000.css").want(404)
	b.get("apis/nothing").want(404)
	b.get("apis/"+w.api+"/nothing").want(404, "renamed or removed")
	b.get("/portal/no-such-portal/").want(404)
	b.get("apps").want(200, "Sign in")
	if h := b.get("").header; !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", h)
	}
}

// Client libraries are for developers of the portal, and of its APIs alone.
func TestClientLibraries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().get("apis/"+w.api).want(200, "Client libraries", "Sign in</a> to download")
	w.browser().get("apis/"+w.api+"/sdk/python").want(200, "Sign in")
	b := w.signUp("dev@example.com")
	b.get("apis/"+w.api).want(200, "/apis/"+w.api+"/sdk/python", "TypeScript")
	for _, l := range sdk.Languages {
		p := b.get("apis/" + w.api + "/sdk/" + l.ID)
		if got := p.header.Get("Content-Disposition"); p.status != 200 || p.header.Get("Content-Type") != "application/zip" || !strings.HasSuffix(got, "-"+l.ID+`.zip"`) {
			t.Errorf("%s: %d %s", l.ID, p.status, got)
		}
		z, err := zip.NewReader(strings.NewReader(p.body), int64(len(p.body)))
		if err != nil || len(z.File) < 3 {
			t.Errorf("%s: %v", l.ID, err)
		}
	}
	b.get("apis/"+w.api+"/sdk/cobol").want(404, "javascript")
	b.get("apis/nothing/sdk/python").want(404)
}

// A developer from the first visit to the invoice.
func TestDeveloperJourney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signUp("dev@example.com")
	plan := planID.FindStringSubmatch(b.get("apps/new").want(200, "Gold").body)[1]
	b.post("apps/new", "name", "", "plan", plan).want(422, "needs a name")
	p := b.post("apps/new", "name", "Shop", "plan", plan).want(200, "Shown once", "curl")
	key := mintedKey.FindString(p.body)
	if key == "" || !strings.Contains(p.body, "x-api-key: "+key) {
		t.Fatalf("no key in %s", p.body)
	}
	app := appLink.FindStringSubmatch(b.get("apps").want(200, "Shop", "Gold").body)[1]
	page := b.get("apps/"+app).want(200, "First key", "tg_live_…")
	if strings.Contains(page.body, key) {
		t.Error("the key's value is shown again")
	}
	sub := subLink.FindStringSubmatch(page.body)[1]
	b.post("subscriptions/"+sub+"/keys", "name", "Second").want(200, "Shown once")
	keyID := keyLink.FindStringSubmatch(b.get("apps/" + app).body)[1]
	b.get("keys/"+keyID+"/revoke").want(200, "is refused at once")
	b.post("keys/"+keyID+"/revoke").want(200, "refused from now on")
	b.post("apps/"+app, "name", "Store").want(200, "Store")
	b.get("subscriptions/"+sub+"/plan").want(200, "No other plan is offered")

	// 250 calls, 50 refused: they come in as a node hands them in.
	num := w.scan("select tenant_id from tenant where account_id = '" + w.owner.AccountID + "'")
	hour := time.Now().UTC().Truncate(time.Hour)
	line := func(flags uint16, status uint16, n uint64) model.UsageLine {
		return model.UsageLine{Hour: hour.Unix() / 3600, Tenant: uint32(num), Stage: uint32(w.scan("select stage_num from stage where api_id = '" + w.api + "'")),
			Subscription: uint64(w.scan("select subscription_id from subscription where app_id = '" + app + "'")), Terms: uint32(w.scan("select terms from subscription where app_id = '" + app + "'")),
			Status: status, Flags: flags, Calls: n}
	}
	batch := &model.Batch{Boot: model.BootID{1}, Seq: 1, First: hour.UnixMicro(), Last: hour.UnixMicro(), Watermark: hour.UnixMicro(),
		Lines: []model.UsageLine{line(model.FlagBillable|model.FlagKeyed, 200, 250), line(0, 429, 50)}}
	_, err := w.in.Ingest(w.Context(), 1, 0, batch.Encode())
	w.must(err)
	b.get("usage").want(200, "300", "250", "5.00 USD")
	b.get("usage.csv").want(200, "250")
	b.get("invoices").want(200, "No invoices yet", "5.00 USD")
	scope := billing.Scope{Tenant: uint32(num)}
	if n, err := w.books.Run(w.Context(), scope, billing.By{}, hour); err != nil || n != 1 {
		t.Fatalf("%d drafts, %v", n, err)
	}
	drafts, _, err := w.books.Invoices(w.Context(), scope, billing.Filter{})
	w.must(err)
	b.get("invoices/" + drafts[0].ID).want(404) // a draft is not for the developer
	_, err = w.books.Finalize(w.Context(), scope, billing.By{}, []string{drafts[0].ID}, true)
	w.must(err)
	b.get("invoices").want(200, "INV-000001", "5.00 USD")
	note, err := w.books.Credit(w.Context(), scope, billing.By{Member: "x"}, billing.Credit{Invoice: drafts[0].ID, Reference: "1", Reason: "an outage", Amount: 100})
	w.must(err)
	b.get("invoices").want(200, "To be paid", "4.00 USD")
	// What came in of the month before is shown until it is invoiced.
	month, _ := rate.Month(hour)
	late := &model.Batch{Boot: model.BootID{1}, Seq: 2, First: month.UnixMicro() - 1, Last: month.UnixMicro() - 1, Watermark: hour.UnixMicro(), Lines: []model.UsageLine{line(model.FlagBillable, 200, 10)}}
	late.Lines[0].Hour = month.Unix()/3600 - 1
	_, err = w.in.Ingest(w.Context(), 1, 0, late.Encode())
	w.must(err)
	b.get("invoices").want(200, billing.MonthText(month.AddDate(0, -1, 0))+`</div><div class="stat-value">0.20 USD`, "not invoiced yet")
	b.get("invoices/"+drafts[0].ID).want(200, "INV-000001", "250", "5.00 USD", "Open", "4.00 USD", "an outage", note.Number)
	if pdf := b.get("invoices/" + drafts[0].ID + "/credits/" + note.ID + "/pdf").want(200); !strings.HasPrefix(pdf.body, "%PDF-") {
		t.Error("the credit note is no PDF")
	}
	b.get("invoices/"+drafts[0].ID+"/csv").want(200, "250")
	b.get("invoices/"+drafts[0].ID+"/lines/1").want(200, "250 billable calls")
	if pdf := b.get("invoices/" + drafts[0].ID + "/pdf").want(200); !strings.HasPrefix(pdf.body, "%PDF-") {
		t.Error("no PDF")
	}
	if strings.Contains(b.get("apps").want(200).body, "unpaid for too long") {
		t.Error("an invoice that is not due makes overdue")
	}
	w.exec(`update collection set due_at = now() - interval '40 days' where tenant_id = $1`)
	w.must(billing.New(billing.Options{Pool: w.pool, SetOverdue: w.SetOverdue}).Dun(w.Context()))
	b.get("apps").want(200, "unpaid for too long")
	b.get("invoices").want(200, "4.00 USD is past due, on 1 invoice")
	eve := w.signUp("eve@example.com")
	for _, path := range []string{"invoices/" + drafts[0].ID, "invoices/" + drafts[0].ID + "/pdf", "invoices/" + drafts[0].ID + "/credits/" + note.ID + "/pdf", "invoices/" + drafts[0].ID + "/lines/1", "apps/" + app, "subscriptions/" + sub + "/cancel", "keys/" + keyID + "/revoke"} {
		eve.get(path).want(404)
	}
	eve.get("usage").want(200, "No calls in this time")

	// Credit is bought where it is sold, and a code takes something off.
	if p := eve.get("credit").want(200, "You have no prepaid credit", "Enter the code"); strings.Contains(p.body, "topup-amount") {
		t.Error("credit is offered where it is not sold")
	}
	buy := []string{"topup-amount", "5", "topup-currency", "USD", "once", billing.NewTopUpID()}
	eve.post("credit/top-up", buy...).want(422, "Prepaid credit is not sold here")
	w.must(w.books.SetRules(w.Context(), scope, billing.By{}, model.BillingRules{TopUps: true, Unpaid: model.KeepAccess}))
	_, err = w.books.CreateCoupon(w.Context(), scope, billing.By{Member: "x"}, model.CustomerCoupon{Code: "SPRING", Percent: "10", Months: 2})
	w.must(err)
	eve.post("credit/code", "code", "winter").want(422, "There is no code")
	eve.post("credit/code", "code", " spring").want(200, "Code SPRING: 10% off all plans, from this month on")
	eve.post("credit/top-up", "topup-amount", "0.001", "topup-currency", "USD").want(422, "is not an amount above zero such as 12.50")
	for range 2 { // the button pressed twice
		eve.post("credit/top-up", buy...).want(200, "Top-up TOP-000001", "No tax is charged on prepaid credit", "5.00 USD")
	}
	top := buy[5]
	b.get("invoices/" + top).want(404)
	_, err = w.books.Paid(w.Context(), scope, billing.By{Member: "x"}, billing.Receipt{Invoice: top, Kind: model.PaidByHand, Amount: 500, Reference: "t"})
	w.must(err)
	eve.get("credit").want(200, "Paid with TOP-000001", "5.00 USD", "Paid in", "Top up by itself")
	eve.post("invoices/"+top+"/pay-from-credit").want(200, "A top-up is not paid from credit")
	if strings.Contains(b.get("invoices/"+drafts[0].ID).body, "Pay from credit") {
		t.Error("who has no credit can pay from it")
	}
	_, err = w.books.Grant(w.Context(), scope, billing.By{Member: "x"}, billing.Grant{Payer: billing.Payer{Tenant: uint32(num), Developer: drafts[0].DeveloperID}, Currency: "USD", Amount: 150, Reason: "for the outage", Reference: "1"})
	w.must(err)
	b.get("invoices/"+drafts[0].ID).want(200, "Pay from credit")
	b.post("invoices/"+drafts[0].ID+"/pay-from-credit").want(200, "1.50 USD is paid from your credit", "From credit", "2.50 USD")
	eve.post("credit/refill", "refill-below", "1", "refill-by", "", "refill-currency", "USD").want(422, "is not an amount above zero")
	eve.post("credit/refill", "refill-below", "1", "refill-by", "5", "refill-currency", "USD").want(200, "Topped up by 5.00 USD when less than 1.00 USD is left")
	eve.post("credit/refill", "refill-below", "", "refill-by", "", "refill-currency", "USD").want(200, "Not topped up by itself")
	// A session is worth nothing on another portal, even of the same host.
	b.get("/portal/"+w.other+"/apps").want(200, "Sign in")

	b.post("account", "name", "Dev", "billing-name", "Dev Inc.", "address", "1 Street").want(200, "Dev Inc.")
	b.post("account/password", "old", "wrong", "password", "a new password").want(422, "present password")
	b.post("account/password", "old", "correct horse", "password", "a new password").want(200, "is changed")
	b.post("subscriptions/"+sub+"/cancel").want(200, "has ended")
	b.post("apps/"+app+"/delete").want(200, "is deleted")
	b.post("sign-out").want(200, "Pets for all")
	b.get("apps").want(200, "Sign in")
	b.post("sign-in", "email", "dev@example.com", "password", "correct horse").want(401, "is wrong")
	b.post("sign-in", "email", "dev@example.com", "password", "a new password").want(200, "Your apps")
}

var hiddenField = regexp.MustCompile(`type="hidden" name="(plan|when|terms|at)" value="([^"]*)"`)

// A developer sees the lines of a change of plan, and the invoice has them.
func TestChangeOfPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plan := func(name string, fee model.Decimal) control.Plan {
		p, err := w.CreatePlan(t.Context(), w.owner, control.PlanSpec{Name: name, Published: true, Quota: &model.Quota{Limit: 5000, Period: model.Month},
			Price: &model.PriceSheet{Currency: "USD", MonthlyFee: fee, Tiers: []model.PriceTier{{Price: "0.01"}}}, Stages: []model.PlanStage{{APIID: w.api, Stage: "prod"}}})
		w.must(err)
		return p
	}
	small, large := plan("Small", "10"), plan("Large", "99")
	b := w.signUp("dev@example.com")
	b.post("apps/new", "name", "Shop", "plan", small.ID).want(200, "Shown once")
	app := appLink.FindStringSubmatch(b.get("apps").body)[1]
	sub := subLink.FindStringSubmatch(b.get("apps/" + app).body)[1]
	w.exec(`update subscription set started_at = started_at - interval '40 days' where tenant_id = $1`)
	at := "subscriptions/" + sub + "/plan"
	b.get(at).want(200, "Large", "See what changes")
	b.get(at + "?plan=" + small.ID).want(404)
	b.post(at, "plan", large.ID).want(422, "Look at what changes")
	fields := func(p *page) (out []string) {
		for _, m := range hiddenField.FindAllStringSubmatch(p.body, -1) {
			out = append(out, m[1], m[2])
		}
		return out
	}
	shown := b.get(at+"?plan="+large.ID).want(200, "At once, as of", "Small to Large", "counts on", "seconds", "Change to Large")
	b.post(at, fields(shown)...).want(200, "The plan is changed")
	num := w.scan("select tenant_id from tenant where account_id = '" + w.owner.AccountID + "'")
	scope := billing.Scope{Tenant: uint32(num)}
	if n, err := w.books.Run(t.Context(), scope, billing.By{}, time.Now()); err != nil || n != 1 {
		t.Fatalf("%d drafts, %v", n, err)
	}
	drafts, _, err := w.books.Invoices(t.Context(), scope, billing.Filter{})
	w.must(err)
	if total := ui.Money(drafts[0].Total, "USD", 2); !strings.Contains(shown.body, total) {
		t.Errorf("the invoice is of %s, which the page did not say", total)
	}
	sub = subLink.FindStringSubmatch(b.get("apps/"+app).want(200, "Large").body)[1]
	at = "subscriptions/" + sub + "/plan"
	b.get(at+"?plan="+small.ID+"&when=now").want(422, "You left plan")
	down := b.get(at+"?plan="+small.ID).want(200, "until then it can be taken back", "10.00 USD")
	b.post(at, fields(down)...).want(200, "The plan changes with")
	b.get("apps/"+app).want(200, "It changes to Small", "Stay with Large")
	if kept := b.post(at+"/keep").want(200, "stays with Large"); strings.Contains(kept.body, "It changes to Small") {
		t.Error("the change is still ahead")
	}
	eve := w.signUp("eve@example.com")
	eve.get(at).want(404)
	eve.post(at + "/keep").want(404)
}

func (w *world) scan(sql string) (n int64) {
	w.Helper()
	w.must(pgx.BeginFunc(w.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(w.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return tx.QueryRow(w.Context(), sql+" order by 1 limit 1").Scan(&n)
	}))
	return n
}

// What is not published is for the account's members only; a form from another
// site changes nothing; answers do not tell who is known.
func TestPortalIsGuarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signUp("dev@example.com")
	req, _ := http.NewRequest("POST", w.url+"/portal/"+w.slug+"/sign-out", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	b.do(req).want(403, "another site")
	b.get("apps").want(200, "Your apps")
	var answers []string
	for _, email := range []string{"dev@example.com", "new@example.com"} {
		x := w.browser()
		for path, fill := range map[string][]string{"sign-up": {"password", "correct horse"}, "forgot": nil, "sign-in": {"password", "wrong password"}} {
			p := x.post(path, append(fill, "email", email)...)
			answers = append(answers, path+fmt.Sprint(p.status)+strings.ReplaceAll(p.body, email, "EMAIL"))
		}
	}
	for i := range 3 {
		found := false
		for j := 3; j < 6; j++ {
			found = found || answers[i] == answers[j]
		}
		if !found {
			t.Errorf("a known address is answered otherwise: %s", answers[i])
		}
	}
	_, err := w.UpsertPortal(t.Context(), w.owner, func(p *control.PortalSpec) error { p.Published = false; return nil })
	w.must(err)
	b.get("").want(404, "no portal here yet")
	w.must(w.SuspendTenant(t.Context(), control.Operator(), w.owner.AccountID, "unpaid"))
	b.get("").want(404)
}
