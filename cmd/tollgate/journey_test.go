package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/ui/browser"
)

// journey is the program in a browser's hands, from an empty data directory on.
type journey struct {
	*testing.T
	p        *daemon
	env      []string
	pages    int
	problems int
	seen     map[string]bool // names of pages
	routes   map[string]bool // and their paths, without ids
	plain    bool            // nobody has JavaScript: neither axe nor pictures
}

// setOut starts the program on an empty data directory, and an upstream.
func setOut(t *testing.T, settings ...string) (j *journey, upstream string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[{"name": "Rex", "kind": "dog"}]`)
	}))
	t.Cleanup(s.Close)
	env := environ(newDir(t), settings...)
	return &journey{T: t, p: start(t, env, "up"), env: env, seen: map[string]bool{}, routes: map[string]bool{}}, s.URL
}

// look judges the page that a visitor is at, once for each name: with axe, at 1280
// and 390 px, light and dark, with a picture of each where a folder is named (make e2e).
// Where none is, it looks only once at each width and theme, and without axe at the
// console's, which package web judges wholly.
func (j *journey) look(p *browser.Page, name string) {
	j.Helper()
	if j.seen[name] {
		return
	}
	j.seen[name] = true
	if s := p.Status(); s != 200 {
		j.Errorf("%s: %s answers %d: %s", name, p.URL(), s, p.Text("main"))
	}
	j.pages++
	j.routes[route(p.URL())] = true
	if j.plain {
		name = ""
	}
	switch {
	case os.Getenv("TOLLGATE_SCREENSHOTS") != "":
		j.problems += p.Sound(name)
	case strings.HasPrefix(name, "portal"):
		j.problems += p.Glance(name)
	default:
		j.problems += p.Fits()
	}
}

// A part of a path that stands for one thing: below the kind of thing, or a number
// or an operation.
var (
	kind  = regexp.MustCompile(`^(apis|stages|plans|keys|developers|subscriptions|members|invoices|apps|tenants)$`)
	thing = regexp.MustCompile(`[0-9_]`)
	page  = regexp.MustCompile(`^(new|import|invite|export)?$`)
)

// route is an address without what differs between things of one kind.
func route(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	host, _, _ := strings.Cut(u.Host, ".portal.")
	parts := strings.Split(u.Path, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if thing.MatchString(parts[i]) || kind.MatchString(parts[i-1]) && !page.MatchString(parts[i]) {
			parts[i] = "*"
		}
	}
	return host + strings.Join(parts, "/")
}

// tour follows every link from a page on, and judges each kind of page that was
// not seen before.
func (j *journey) tour(p *browser.Page, from, name string) {
	j.Helper()
	asked := map[string]bool{route(from): true}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if file := p.Get(queue[0]); !strings.HasPrefix(file.Header.Get("Content-Type"), "text/html") {
			if file.Status != 200 {
				j.Errorf("%s answers %d", queue[0], file.Status)
			}
			continue
		}
		p.Goto(queue[0])
		if r := route(p.URL()); !j.routes[r] {
			_, path, _ := strings.Cut(r, "/")
			j.look(p, name+"-"+strings.NewReplacer("/*", "", "/", "-").Replace(path))
		}
		var links []string
		p.Eval(`[...document.querySelectorAll("a[href]")].map(a => a.href).filter(h => new URL(h).origin === location.origin)`, &links)
		for _, l := range links {
			l, _, _ = strings.Cut(l, "#")
			if r := route(l); !asked[r] {
				asked[r] = true
				queue = append(queue, l)
			}
		}
	}
}

// stat is one of the figures at the head of a page.
func stat(p *browser.Page, label string) string {
	var value string
	p.Eval(fmt.Sprintf(`[...document.querySelectorAll(".stat")].filter(s => s.children[0].innerText === %q).map(s => s.children[1].innerText).join(" and ")`, label), &value)
	return value
}

// total is the sum at the end of an invoice.
func (j *journey) total(p *browser.Page) string {
	j.Helper()
	var sum string
	p.Eval(`[...document.querySelectorAll("tr")].filter(r => r.cells[0].innerText.trim() === "Total").map(r => [...r.cells].pop().innerText.trim()).join(" and ")`, &sum)
	return sum
}

// open goes to a page of the program and judges it.
func (j *journey) open(p *browser.Page, path, name string) {
	j.Helper()
	p.Goto(j.p.console + path)
	j.look(p, name)
}

// petsDocument describes the journey's API.
func petsDocument(upstream string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "openapi: 3.0.3\ninfo: {title: Pets, version: '1', description: 'Animals, and who looks after them.'}\nservers: [{url: %q}]\ntags: [{name: pets}, {name: owners}]\npaths:\n", upstream)
	for _, thing := range []string{"pets", "owners"} {
		fmt.Fprintf(&b, "  /%[1]s:\n    get: {operationId: list_%[1]s, tags: [%[1]s], summary: 'List all %[1]s', parameters: [{name: limit, in: query, schema: {type: integer, maximum: 100}}], responses: {'200': {description: All of them, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}}}}}}\n", thing)
		fmt.Fprintf(&b, "    post: {operationId: add_%[1]s, tags: [%[1]s], summary: 'Add one of the %[1]s', requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}, responses: {'201': {description: Made}}}\n", thing)
		fmt.Fprintf(&b, "  /%[1]s/{id}:\n    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]\n", thing)
		for _, verb := range []string{"get", "put", "delete"} {
			fmt.Fprintf(&b, "    %[1]s: {operationId: %[1]s_%[2]s, tags: [%[2]s], summary: 'One of the %[2]s: %[1]s', responses: {'200': {description: ok}, '404': {description: none}}}\n", verb, thing)
		}
	}
	b.WriteString("components: {schemas: {Thing: {type: object, required: [name], properties: {name: {type: string, example: Rex}, kind: {type: string, enum: [dog, cat]}}}}}\n")
	return b.String()
}

var (
	keyValue = regexp.MustCompile(`tg_live_[0-9A-Za-z]{30,}`)
	callURL  = regexp.MustCompile(`http://localhost:\d+/_aws/execute-api/([a-z0-9]+)/dev`)
)

// call makes a real call and returns the status.
func (j *journey) call(base, path, key string) int {
	j.Helper()
	req, err := http.NewRequest("GET", base+path, nil)
	must(j.T, err)
	if key != "" {
		req.Header.Set("x-api-key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	must(j.T, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// shows reloads a page until it says something: figures are there within seconds.
func (j *journey) shows(p *browser.Page, path, text string) {
	j.Helper()
	until(j.T, path+" to say "+text, func() bool {
		p.Goto(j.p.console + path)
		return p.Says(text)
	})
}

// mail opens the link of the latest mail to an address.
func (j *journey) mail(p *browser.Page, to string) {
	j.Helper()
	p.Goto(j.p.console + "/dev/mail")
	if !p.Says(to) {
		j.Fatalf("no mail to %s: %s", to, p.Text("main"))
	}
	p.ClickOn("main a.card-link")
}

// The whole way, as its people walk it: a tenant signs up, imports a document,
// deploys it and makes the first call; puts a price on a plan and publishes a
// portal; a developer signs up there, gets a key and calls; both see it; the
// invoice says what the calls cost, to the cent.
func TestJourney(t *testing.T) {
	chromium := browser.Start(t)
	j, upstream := setOut(t)
	ada := chromium.Visitor(t)
	api := j.begin(ada, upstream)
	j.look(ada, "first-call")
	for path, name := range map[string]string{"/overview": "overview", "/apis": "apis", "/apis/new": "api-new", "/apis/" + api: "api", "/apis/" + api + "/routes": "routes",
		"/apis/" + api + "/method?path=/pets&verb=GET": "method", "/apis/" + api + "/stages": "stages", "/apis/" + api + "/stages/dev": "stage", "/apis/" + api + "/deployments": "deployments",
		"/apis/" + api + "/deploy": "deploy", "/apis/" + api + "/settings": "api-settings", "/apis/" + api + "/try": "try", "/apis/" + api + "/start": "api-start", "/apis/" + api + "/delete": "api-delete",
		"/plans": "plans", "/keys": "keys", "/keys/new": "key-new", "/members": "members", "/members/invite": "invite", "/access-keys": "access-keys", "/audit": "audit", "/profile": "profile", "/account": "account",
		"/developers": "developers-empty", "/portal-settings": "portal-settings", "/dev/mail": "mails"} {
		j.open(ada, path, name)
	}

	// A plan with a price, and the portal.
	ada.Goto(j.p.console + "/plans/new")
	j.look(ada, "plan-new")
	j.sell(ada, api, "Gold")
	portal := j.publish(ada, api)

	// A developer, in another browser.
	dev := chromium.Visitor(t)
	dev.Goto(portal)
	j.look(dev, "portal-home")
	for path, name := range map[string]string{"/apis/" + api: "portal-api", "/apis/" + api + "/list_pets": "portal-operation", "/search?q=lsit+pets": "portal-search", "/plans": "portal-plans",
		"/sign-in": "portal-sign-in", "/forgot": "portal-forgot"} {
		dev.Goto(portal + path)
		j.look(dev, name)
	}
	key := j.join(dev, portal)
	dev.Goto(portal + "/apps")
	j.look(dev, "portal-apps")
	dev.Click("Shop")
	j.look(dev, "portal-app")
	dev.Click("Spend cap")
	j.look(dev, "portal-spend")
	dev.Fill("cap", "many")
	dev.Click("Save")
	if !dev.Says("is not an amount") {
		t.Errorf("a spend cap of many: %s", dev.Text("main"))
	}
	dev.Fill("cap", "20")
	dev.Fill("alert", "1")
	dev.Click("Save")
	if !dev.Says("of 20.00") {
		t.Errorf("the app with a spend cap: %s", dev.Text("main"))
	}
	dev.Goto(portal + "/account")
	j.look(dev, "portal-account")
	dev.Goto(portal + "/invoices")
	j.look(dev, "portal-invoices-empty")

	// Real calls: those that are let in cost; those that are refused do not.
	const calls = 37
	base := j.spend(api, key, calls)
	until(t, "the developer to see the usage", func() bool {
		dev.Goto(portal + "/usage")
		return stat(dev, "Calls") == fmt.Sprint(calls)
	})
	j.look(dev, "portal-usage")
	until(t, "the tenant to see the usage", func() bool {
		ada.Goto(j.p.console + "/usage")
		return ada.Says(fmt.Sprintf("%d billable", calls+1)) // and the very first
	})
	j.look(ada, "usage")
	j.open(ada, "/developers", "developers")

	// The invoice: what the calls cost, to the cent.
	amount, expected := j.bill(ada, dev, portal, calls)
	j.tour(ada, j.p.console+"/overview", "console")
	j.tour(dev, portal+"/", "portal")
	j.others(chromium, ada, api)
	j.operate(chromium, ada, base, key)
	j.leave(ada, dev)
	if j.problems > 0 {
		t.Errorf("%d problems on %d pages", j.problems, j.pages)
	}
	word := "ok"
	if t.Failed() {
		word = "failed"
	}
	fmt.Printf("journey %s pages %d violations %d invoice %s expected %s\n", word, j.pages, j.problems, amount, expected)
}

// leave ends visits: nothing went wrong behind the pages that nobody judged.
func (j *journey) leave(visitors ...*browser.Page) {
	j.Helper()
	for _, p := range visitors {
		for _, f := range p.Faults() {
			j.problems++
			j.Errorf("behind a page before %s: %s", p.URL(), f)
		}
	}
}

// begin is the way from sign-up to the first metered call: at most 12 clicks or
// fields, in under a minute of the program's time.
func (j *journey) begin(ada *browser.Page, upstream string) (api string) {
	j.Helper()
	begun := time.Now()
	ada.Goto(j.p.console + "/sign-up")
	start := ada.Steps
	ada.Fill("email", "ada@example.com")
	ada.Fill("password", "correct horse battery")
	ada.Click("Create account")
	ada.Click("Read the mails")
	ada.ClickOn("main a.card-link")
	ada.ClickOn("main .card a")
	ada.Click("Open my account")
	ada.Fill("document", petsDocument(upstream))
	ada.Click("Import")
	ada.Click("Deploy and get a key")
	address := callURL.FindStringSubmatch(ada.Text("main"))
	if keyValue.FindString(ada.Text("main")) == "" || address == nil {
		j.Fatalf("no key or no address: %s", ada.Text("main"))
	}
	ada.Click("Run it here")
	if !ada.Says("200 in") || !ada.Says("Rex") {
		j.Fatalf("the first call: %s", ada.Text("main"))
	}
	steps := ada.Steps - start
	api = address[1]
	j.shows(ada, "/apis/"+api+"/first-call", "We got it")
	took := time.Since(begun)
	j.Logf("from sign-up to the first metered call: %d clicks and fields, %v", steps, took.Round(time.Millisecond))
	if steps > 12 || took > time.Minute {
		j.Errorf("that is more than 12 steps or a minute")
	}
	return api
}

// price of a call on the journey's plan, in cents.
const price = 3

// sell makes a plan with a price per call, offered on the portal.
func (j *journey) sell(p *browser.Page, api, name string) {
	j.Helper()
	p.Goto(j.p.console + "/plans/new")
	p.Fill("name", name)
	p.Check("stage", api+"/dev", true)
	p.Choose("currency", "USD")
	p.Fill("price0", "0.03")
	p.Check("published", "1", true)
	p.Click("Make plan")
	if !p.Says(name) || !p.Says("0.03") {
		j.Fatalf("the plan: %s", p.Text("main"))
	}
	j.look(p, "plan")
}

// publish makes the portal with the API on it and returns its address.
func (j *journey) publish(p *browser.Page, api string) string {
	j.Helper()
	p.Goto(j.p.console + "/portal-settings")
	p.Fill("title", "Pets for everybody")
	p.Fill("slug", "pets")
	p.Fill("accent", "#7a1f5c")
	p.Click("Make the portal")
	p.Choose("stage", api+"/dev")
	p.Fill("summary", "All the animals there are")
	p.Click("Put it on the portal")
	p.Click("Publish the portal")
	j.look(p, "portal-settings-made")
	address := p.Text("#portal-address")
	if !strings.Contains(address, "pets") {
		j.Fatalf("the portal is at %q", address)
	}
	return strings.TrimSuffix(address, "/")
}

// join is a developer's way from the portal's sign-up to an app, subscribed, with a
// key.
func (j *journey) join(dev *browser.Page, portal string) (key string) {
	j.Helper()
	dev.Goto(portal + "/sign-up")
	j.look(dev, "portal-sign-up")
	dev.Fill("email", "dev@example.com")
	dev.Fill("password", "correct horse battery")
	dev.Click("Create account")
	j.look(dev, "portal-check-mail")
	j.mail(dev, "dev@example.com")
	dev.ClickOn("main .card a")
	j.look(dev, "portal-verify")
	dev.Click("Open my account")
	j.look(dev, "portal-app-new")
	dev.Fill("name", "Shop")
	dev.Click("Make app and key")
	key = keyValue.FindString(dev.Text("main"))
	if key == "" {
		j.Fatalf("no key: %s", dev.Text("main"))
	}
	j.look(dev, "portal-key")
	return key
}

// spend makes as many calls that are let in, which cost, and five that are refused,
// which do not.
func (j *journey) spend(api, key string, calls int) (base string) {
	j.Helper()
	base = j.p.gateway + "/_aws/execute-api/" + api + "/dev"
	until(j.T, "the new key to be let in", func() bool { return j.call(base, "/pets", key) == 200 })
	for i := range calls - 1 {
		if s := j.call(base, fmt.Sprintf("/pets/%d", i), key); s != 200 {
			j.Fatalf("call %d: %d", i, s)
		}
	}
	for range 5 {
		if s := j.call(base, "/pets", "tg_live_wrong"); s != 403 {
			j.Errorf("a wrong key: %d", s)
		}
	}
	return base
}

// bill makes the month's invoice final and reads its amount, where the tenant and
// where the developer sees it.
func (j *journey) bill(tenant, developer *browser.Page, portal string, calls int) (amount, expected string) {
	j.Helper()
	expected = fmt.Sprintf("%d.%02d USD", calls*price/100, calls*price%100)
	j.open(tenant, "/billing", "billing-before")
	month := time.Now().UTC().Format("January 2006")
	tenant.Click("Make drafts for " + month)
	j.look(tenant, "billing")
	tenant.Click("Make 1 draft final")
	j.look(tenant, "billing-finalize")
	tenant.Click("Make it final")
	tenant.Goto(j.p.console + "/billing")
	tenant.Click("INV-000001")
	j.look(tenant, "invoice")
	amount = j.total(tenant)
	if amount != expected {
		j.Errorf("the invoice is over %s instead of %s: %s", amount, expected, tenant.Text("main"))
	}
	if a := tenant.Get(tenant.URL() + "/pdf"); a.Status != 200 || !strings.HasPrefix(string(a.Body), "%PDF-") {
		j.Errorf("the invoice as PDF: %d, %d bytes", a.Status, len(a.Body))
	}
	if a := tenant.Get(tenant.URL() + "/csv"); a.Status != 200 || !strings.Contains(string(a.Body), strings.TrimSuffix(expected, " USD")) {
		j.Errorf("the invoice as CSV: %d %s", a.Status, a.Body)
	}
	tenant.Goto(tenant.URL() + "/lines/1")
	j.look(tenant, "invoice-hours")
	if !tenant.Says(fmt.Sprintf("%d billable calls", calls)) {
		j.Errorf("the hours behind the line: %s", tenant.Text("main"))
	}
	tenant.ClickOn("td.day a") // the calls of an hour are the developer's, one by one
	j.look(tenant, "calls-of-an-hour")
	if !tenant.Says("Calls of one subscription in the hour from") || tenant.Count("tbody tr") == 0 {
		j.Errorf("the calls behind an hour: %s", tenant.Text("main"))
	}
	for path, name := range map[string]string{"/billing/account": "billing-account", "/billing/seller": "billing-seller"} {
		j.open(tenant, path, name)
	}
	developer.Goto(portal + "/invoices")
	j.look(developer, "portal-invoices")
	developer.Click("INV-000001")
	j.look(developer, "portal-invoice")
	if shown := j.total(developer); shown != expected {
		amount = shown
		j.Errorf("the developer's invoice is over %s instead of %s: %s", shown, expected, developer.Text("main"))
	}
	if a := developer.Get(developer.URL() + "/pdf"); a.Status != 200 || !strings.HasPrefix(string(a.Body), "%PDF-") {
		j.Errorf("the developer's PDF: %d", a.Status)
	}
	// Once more: nothing.
	tenant.Goto(j.p.console + "/billing")
	tenant.Click("Make drafts for " + month)
	if !tenant.Says("INV-000001") || tenant.Says("Make 1 draft final") {
		j.Errorf("a second run made something: %s", tenant.Text("main"))
	}
	return amount, expected
}

// operate looks at the operator's area, with an operator made from the command
// line, and suspends the tenant: its calls are refused within a second.
func (j *journey) operate(chromium *browser.Browser, tenant *browser.Page, base, key string) {
	j.Helper()
	c := cliJSON[control.OperatorCredentials](j.T, j.env, "operator", "create", "--email", "op@example.com", "--name", "Op")
	p := chromium.Visitor(j.T)
	j.open(p, "/operator", "operator-sign-in")
	p.Fill("email", c.Email)
	p.Fill("password", c.Password)
	p.Click("Sign in")
	j.look(p, "operator")
	j.open(p, "/operator/prices", "operator-prices")
	p.Click("Add these prices")
	j.look(p, "operator-prices-set")
	j.open(p, "/operator/billing", "operator-billing-empty")
	p.Click("Make drafts for")
	j.look(p, "operator-billing")
	p.Click("Make 1 draft final")
	j.look(p, "operator-finalize")
	p.ClickOn("main form[method=post] button")
	j.look(p, "operator-billing-final")
	tenant.Goto(j.p.console + "/billing/account")
	j.look(tenant, "billing-account-invoiced")
	tenant.ClickOn("main tbody a")
	j.look(tenant, "invoice-of-the-operator")
	if shown := j.total(tenant); shown != "0.00 USD" { // some calls at 3.50 a million
		j.Errorf("the operator's invoice is over %s", shown)
	}
	for path, name := range map[string]string{"/operator/nodes": "operator-nodes", "/operator/mail": "operator-mail", "/operator/settings": "operator-settings",
		"/operator/audit": "operator-audit", "/operator/profile": "operator-profile", "/operator/tenants": "operator-tenants"} {
		j.open(p, path, name)
	}
	p.Goto(j.p.console + "/operator/tenants")
	p.Click("ada")
	j.look(p, "operator-tenant")
	p.Click("Suspend")
	j.look(p, "operator-suspend")
	p.Fill("reason", "A trial of suspension")
	p.Click("Suspend ")
	if s := j.call(base, "/pets", key); s != 200 && s != 403 {
		j.Errorf("a call while the suspension travels: %d", s)
	}
	begun := time.Now()
	until(j.T, "the suspension to hold", func() bool { return j.call(base, "/pets", key) == 403 })
	if d := time.Since(begun); d > time.Second {
		j.Errorf("the suspension took %v", d)
	}
	p.Click("Resume")
	until(j.T, "the account to be served again", func() bool { return j.call(base, "/pets", key) == 200 })
	j.tour(p, j.p.console+"/operator", "operator")
	j.leave(p)
}

// others are who comes later: one with an account of his own, where all is empty
// and nothing of the first account is to be found; and one who is invited and may
// only look.
func (j *journey) others(chromium *browser.Browser, owner *browser.Page, api string) {
	j.Helper()
	bob := chromium.Visitor(j.T)
	j.open(bob, "/sign-in", "sign-in")
	j.open(bob, "/sign-up", "sign-up")
	bob.Fill("email", "bob@example.com")
	bob.Fill("password", "a password of Bob's")
	bob.Click("Create account")
	j.look(bob, "check-mail")
	j.mail(bob, "bob@example.com")
	j.look(bob, "mail")
	bob.ClickOn("main .card a")
	j.look(bob, "verify")
	bob.Click("Open my account")
	for _, path := range []string{"/overview", "/apis", "/plans", "/keys", "/developers", "/portal-settings", "/usage", "/billing", "/access-keys", "/audit"} {
		j.open(bob, path, "empty"+strings.ReplaceAll(path, "/", "-"))
	}
	for _, path := range []string{"/apis/" + api, "/apis/" + api + "/first-call", "/usage?api=" + api, "/nothing-here"} {
		bob.Goto(j.p.console + path)
		if bob.Says("Pets") || bob.Status() != 404 && !strings.HasPrefix(path, "/usage") {
			j.Errorf("%s in another account: %d %s", path, bob.Status(), bob.Text("main"))
		}
	}
	j.pages++
	j.problems += bob.Glance("not-found")

	// A forgotten password.
	j.open(bob, "/forgot", "forgot")
	bob.Fill("email", "bob@example.com")
	bob.Click("Mail me a link")
	j.look(bob, "forgot-sent")
	j.mail(bob, "bob@example.com")
	bob.ClickOn("main .card a")
	j.look(bob, "reset")
	link := bob.URL()
	bob.Fill("password", "a newer password")
	bob.ClickOn("main form button")
	bob.Goto(link)
	if bob.Status() != 404 {
		j.Errorf("the link of a reset works twice: %d %s", bob.Status(), bob.Text("main"))
	}

	owner.Goto(j.p.console + "/members/invite")
	owner.Fill("email", "carl@example.com")
	owner.Choose("role", "viewer")
	owner.Click("Send invitation")
	j.look(owner, "members-invited")
	carl := chromium.Visitor(j.T)
	j.mail(carl, "carl@example.com")
	carl.ClickOn("main .card a")
	j.look(carl, "invitation")
	carl.Fill("password", "a password of Carl's")
	carl.ClickOn("main form button")
	j.open(carl, "/apis/"+api, "viewer-api")
	if carl.Count("main form") > 0 {
		j.Errorf("who may only look is given a form: %s", carl.Text("main"))
	}
	carl.Goto(j.p.console + "/billing")
	if carl.Status() != 403 {
		j.Errorf("who may only look is shown the bills: %d", carl.Status())
	}
	j.pages++
	j.problems += carl.Glance("viewer-refused")
	j.leave(bob, carl)
}
