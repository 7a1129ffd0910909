package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/html"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/web"
)

// furnished is an account with something of every kind, and what stands for the
// variables in the paths of routes.
type furnished struct {
	*site
	owner  control.Actor
	values map[string]string
}

func (s *site) furnish() *furnished {
	s.Helper()
	f := &furnished{site: s, owner: s.tenant()}
	a := f.owner
	stage := s.deployed(a, "prod")
	price := &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: "0.01"}}}
	plan := s.plan(a, "Gold", price, stage)
	developer, key := s.customer(a, model.NewID(6)+"@example.com", plan)
	s.used(a, key.Key, 200, 120)
	by := billing.By{Member: a.Member, Name: a.Name, Role: "owner"}
	books := billing.New(billing.Options{Pool: s.pool})
	scope := billing.Scope{Tenant: a.Tenant}
	_, err := books.Run(s.Context(), scope, by, time.Now())
	s.must(err)
	drafts, _, err := books.Invoices(s.Context(), scope, billing.Filter{})
	s.must(err)
	if len(drafts) == 0 {
		s.Fatal("nothing to invoice")
	}
	_, err = books.Finalize(s.Context(), scope, by, []string{drafts[0].ID}, true)
	s.must(err)
	note, err := books.Credit(s.Context(), scope, by, billing.Credit{Invoice: drafts[0].ID, Reference: "1", Reason: "an outage", Amount: 1})
	s.must(err)
	payer := billing.Payer{Tenant: a.Tenant, Developer: developer}
	code := "C-" + strings.ToUpper(model.NewID(6))
	coupon, err := books.CreateCoupon(s.Context(), scope, by, model.CustomerCoupon{Code: code, Percent: "10"})
	s.must(err)
	use, err := books.UseCoupon(s.Context(), scope, by, payer, code)
	s.must(err)
	_, err = books.Grant(s.Context(), scope, by, billing.Grant{Payer: payer, Currency: "USD", Amount: 500, Reason: "welcome", Reference: "1"})
	s.must(err)
	wallets, err := books.Wallets(s.Context(), scope, payer)
	s.must(err)
	own := s.plan(a, "Own", nil)
	k, err := s.CreateKey(s.Context(), a, control.NewKey{Name: "Own key", Enabled: true, PlanIDs: []string{own.ID}})
	s.must(err)
	viewer := s.member(a, control.RoleViewer)
	access, _, err := s.CreateAccessKey(s.Context(), a)
	s.must(err)
	s.must(s.Invite(s.Context(), a, model.NewID(6)+"@example.com", control.RoleViewer))
	people, err := s.Members(s.Context(), a)
	s.must(err)
	_, err = s.UpsertPortal(s.Context(), a, func(*control.PortalSpec) error { return nil })
	s.must(err)
	s.must(s.PublishAPI(s.Context(), a, stage.APIID, "prod", ""))
	api, err := s.API(s.Context(), a, stage.APIID)
	s.must(err)
	made, err := s.CreateOperator(s.Context(), control.Operator(), model.NewID(8)+"@example.com", "", "")
	s.must(err)
	operators, err := s.Operators(s.Context(), control.Operator())
	s.must(err)
	operator := operators[slices.IndexFunc(operators, func(o control.OperatorAccount) bool { return o.Email == made.Email })].ID
	asked := model.NewID(8) + "@example.com"
	s.must(s.InviteToSignUp(s.Context(), control.Operator(), asked))
	invited, err := s.SignUpInvitations(s.Context(), control.Operator(), control.Page{Match: asked})
	s.must(err)
	var sub string
	for _, p := range k.Plans {
		sub = fmt.Sprint(p.Subscription)
	}
	domain := strings.ToLower(model.NewID(8)) + ".example.com"
	_, err = s.CreateDomain(s.Context(), a, control.NewDomain{Name: domain})
	s.must(err)
	credential, err := s.PutServiceCredential(s.Context(), a, control.NewServiceCredential{Name: "arn:aws:iam::123456789012:role/team/api", AccessKeyID: "AKIAEXAMPLE", Secret: "secret"})
	s.must(err)
	link, err := s.CreateVPCLink(s.Context(), a, control.VPCLink{Name: "inside", TargetARNs: []string{"10.0.0.5:8080"}})
	s.must(err)
	certificate, err := s.GenerateClientCertificate(s.Context(), a, "payments", nil)
	s.must(err)
	_, err = s.CreateMapping(s.Context(), a, domain, model.Mapping{APIID: stage.APIID, Stage: "prod"})
	s.must(err)
	_, err = s.CreateDocumentationVersion(s.Context(), a, control.NewDocumentationVersion{APIID: stage.APIID, Version: "1.0"})
	s.must(err)
	_, err = s.UpdateDefinition(s.Context(), a, stage.APIID, 0, func(d *model.Definition) error {
		d.Authorizers = append(d.Authorizers, model.Authorizer{ID: "auth01", Name: "Staff", Type: "COGNITO_USER_POOLS", ProviderARNs: []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_abc"}, IdentitySource: "method.request.header.Authorization"})
		d.Models = append(d.Models, model.Schema{ID: "mod001", Name: "Pet0", ContentType: "application/json", Schema: `{"type": "object"}`})
		d.RequestValidators = append(d.RequestValidators, model.RequestValidator{ID: "val001", Name: "all", Body: true})
		return nil
	})
	s.must(err)
	_, err = s.UpdateStage(s.Context(), a, stage.APIID, "prod", func(e *control.StageEdit) error {
		e.Canary = &model.CanarySettings{PercentTraffic: 10, DeploymentID: e.DeploymentID}
		e.Set(model.EveryMethod, model.DefaultMethodSetting())
		return nil
	})
	s.must(err)
	request := s.logged(a, stage)
	f.values = map[string]string{"request": request, "version": "1.0", "credential": url.PathEscape(credential.Name), "link": link.ID, "certificate": certificate.ID, "domain": domain, "api": stage.APIID, "stage": "prod", "plan": plan.ID, "key": k.ID, "developer": developer, "member": viewer.Member,
		"invitation": people.Invitations[0].ID, "invoice": drafts[0].ID, "note": note.ID, "coupon": coupon, "use": use.ID, "grant": wallets[0].Grants[0].ID, "line": "1", "access-key": access, "language": "python", "account": a.AccountID, "mail": "1",
		"token": strings.Repeat("x", 43), "deployment": api.Stages[0].DeploymentID, "subscription": sub, "operator": operator,
		"sign-up-invitation": invited.Items[0].ID, "part": "response", "authorizer": "auth01", "model": "Pet0", "validator": "val001",
		"kind": "DEFAULT_4XX", "act": "promote"}
	return f
}

var variable = regexp.MustCompile(`\{([a-z]+)\}`)

// path is a route's with this account's things in it.
func (f *furnished) path(r web.Route) string {
	f.Helper()
	return variable.ReplaceAllStringFunc(strings.TrimSuffix(r.Pattern, "{$}"), func(m string) string {
		name := m[1 : len(m)-1]
		if name == "key" && strings.HasPrefix(r.Pattern, "/access-keys/") {
			name = "access-key"
		}
		if name == "invitation" && r.Realm == control.RealmOperator {
			name = "sign-up-invitation"
		}
		v, ok := f.values[name]
		if !ok {
			f.Fatalf("%s %s: say in furnish what stands for {%s}", r.Method, r.Pattern, name)
		}
		return v
	})
}

// dump is all that an account has, but for who was seen when.
func (f *furnished) dump() string {
	f.Helper()
	var out strings.Builder
	f.must(pgx.BeginFunc(f.Context(), f.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		for _, table := range []string{"tenant", "member", "access_key", "service_credential", "vpc_link", "client_certificate", "domain", "base_path_mapping", "api", "api_source", "deployment", "documentation_version", "stage", "plan", "plan_stage", "api_key", "subscription", "subscription_key",
			"price_sheet", "portal", "portal_api", "developer", "app", "ticket", "period_close", "invoice", "invoice_line", "collection", "payment", "credit_note", "wallet", "credit_grant", "ledger_transaction", "ledger_entry", "coupon", "coupon_use", "audit"} {
			var rows *string
			if err := tx.QueryRow(f.Context(), fmt.Sprintf(`select string_agg(x::text, E'\n' order by x::text) from %s x where tenant_id = %d`, table, f.owner.Tenant)).Scan(&rows); err != nil {
				return err
			}
			if rows != nil {
				out.WriteString(table + ": " + *rows + "\n")
			}
		}
		return nil
	}))
	return out.String()
}

// send makes a request as it is, without following where it leads.
func (b *browser) send(method, path string, header ...string) (int, string) {
	b.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(""))
	b.must(err)
	if method != "GET" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	b.must(err)
	return resp.StatusCode, b.read(resp)
}

// Acts whose empty form is refused before anything is looked up.
var emptyRefused = map[string]bool{"/members/{member}/role": true, "/keys/{key}/plan": true}

// Another account's things do not exist: whatever route they are asked for by,
// the answer is not found, and nothing of theirs is different afterwards.
func TestEveryRouteIsolates(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	f := s.furnish()
	attacker := s.as(s.tenant())
	before, tried := f.dump(), 0
	for _, r := range s.web.Routes() {
		if r.Open || r.Realm != control.RealmConsole || !strings.Contains(strings.TrimSuffix(r.Pattern, "{$}"), "{") {
			continue
		}
		tried++
		status, body := attacker.send(r.Method, f.path(r), "Sec-Fetch-Site", "same-origin")
		if status != 404 && !(status == 303 && emptyRefused[r.Pattern]) {
			t.Errorf("%s %s with another account's ids: %d %.200s", r.Method, r.Pattern, status, body)
		}
	}
	if tried < 40 {
		t.Errorf("only %d routes were tried", tried)
	}
	if after := f.dump(); after != before {
		t.Errorf("the other account's rows changed:\n%s\nto\n%s", before, after)
	}
}

// Routes that let in more than the act behind them does: control has the last word.
var furtherAsked = map[string]string{
	"/members/{member}/remove":   "anybody may leave; removing others is for who manages members",
	"/access-keys/{key}/enable":  "one's own; others' are for who manages members",
	"/access-keys/{key}/disable": "one's own; others' are for who manages members",
	"/access-keys/{key}/delete":  "one's own; others' are for who manages members",
	"/plans/new":                 "a price needs more than the plan",
	"/plans/{plan}/edit":         "a price needs more than the plan",
}

// Every act is open to exactly the roles that its route says.
func TestEveryRouteAsksTheRole(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	tried := 0
	for _, role := range control.MemberRoles {
		f := s.furnish() // of its own: some acts delete
		who := s.member(f.owner, role)
		b := s.as(who)
		for _, r := range s.web.Routes() {
			if r.Open || r.Alone || r.Realm != control.RealmConsole {
				continue
			}
			tried++
			may := who.May(r.Need) == nil
			status, body := b.send(r.Method, f.path(r), "Sec-Fetch-Site", "same-origin")
			if may && status == 403 && furtherAsked[r.Pattern] == "" || !may && status != 403 {
				t.Errorf("%s: %s %s: %d, but its permission says %v: %.200s", role, r.Method, r.Pattern, status, may, body)
			}
			if status >= 500 {
				t.Errorf("%s: %s %s: %d %.300s", role, r.Method, r.Pattern, status, body)
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d were tried", tried)
	}
}

// A form that another site sends changes nothing, whoever is signed in.
func TestEveryRouteRefusesOtherSites(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	f := s.furnish()
	owner, operator := s.as(f.owner), s.operator()
	before, tried := f.dump(), 0
	for _, r := range s.web.Routes() {
		if r.Method == "GET" {
			continue
		}
		b := owner
		if r.Realm == control.RealmOperator {
			b = operator
		}
		for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			tried++
			if status, _ := b.send(r.Method, f.path(r), from...); status != 403 {
				t.Errorf("%s %s with %s: %d", r.Method, r.Pattern, from, status)
			}
		}
	}
	if tried < 150 {
		t.Errorf("only %d were tried", tried)
	}
	if after := f.dump(); after != before {
		t.Errorf("rows changed:\n%s\nto\n%s", before, after)
	}
	if status, _ := owner.send("GET", "/members"); status != 200 {
		t.Errorf("the session ended: %d", status)
	}
}

// From the first page on, every link leads to a page and every form to a route,
// without any JavaScript, and nothing is written inline.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	f := s.furnish()
	known := http.NewServeMux()
	for _, r := range s.web.Routes() {
		known.HandleFunc(r.Method+" "+r.Pattern, func(http.ResponseWriter, *http.Request) {})
	}
	for realm, b := range map[string]*browser{"/overview": s.as(f.owner), "/operator": s.operator()} {
		queue, seen := []string{realm}, map[string]bool{}
		for len(queue) > 0 && len(seen) < 400 {
			path := queue[0]
			queue = queue[1:]
			if seen[path] {
				continue
			}
			seen[path] = true
			p := b.get(path)
			if p.status >= 400 {
				t.Errorf("%s: %d", path, p.status)
				continue
			}
			if !strings.HasPrefix(p.header.Get("Content-Type"), "text/html") {
				continue
			}
			for d := range p.root.Descendants() {
				if d.Type != html.ElementNode {
					continue
				}
				for _, a := range d.Attr {
					if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
						t.Errorf("%s has %s=%q inline", path, a.Key, a.Val)
					}
				}
				switch d.Data {
				case "script":
					if attr(d, "src") == "" {
						t.Errorf("%s has a script inline", path)
					}
				case "style":
					t.Errorf("%s has a style inline", path)
				case "form":
					method := strings.ToUpper(attr(d, "method"))
					req := httptest.NewRequest(max(method, "GET"), p.resolve(attr(d, "action")), nil)
					if _, pattern := known.Handler(req); pattern == "" {
						t.Errorf("%s: a form goes to %s %s, which is no route", path, method, attr(d, "action"))
					}
				case "a":
					u, err := url.Parse(attr(d, "href"))
					if err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(u.Path, "/portal/") || attr(d, "href") == "" || strings.HasPrefix(attr(d, "href"), "#") {
						continue
					}
					next, _, _ := strings.Cut(p.resolve(attr(d, "href")), "#")
					queue = append(queue, next)
				}
			}
		}
		if len(seen) < 10 {
			t.Errorf("from %s only %d pages were reached", realm, len(seen))
		}
	}
}

// Pages are small and quick in an account with much in it: within 50 ms, which
// make e2e, where nothing else runs, asks of 19 in 20 answers. Beside other tests
// it is asked of the quickest, and of none under the race detector, which makes
// everything several times slower.
func TestEveryPageIsLight(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	s := newSite(t, withGateway)
	f := s.furnish()
	for i := range 40 {
		_, err := s.CreateAPI(s.Context(), f.owner, fmt.Sprintf("API %02d", i), "")
		s.must(err)
	}
	keys := make([]control.NewKey, 500)
	for i := range keys {
		keys[i] = control.NewKey{Name: fmt.Sprintf("Key %03d", i), Value: model.NewKeyValue(true), Enabled: true}
	}
	_, err := s.ImportKeys(s.Context(), f.owner, f.values["plan"], keys)
	s.must(err)
	s.exec(`insert into developer (tenant_id, developer_id, email, password_hash) select $1, 'd' || n, 'd' || n || '@example.com', '!' from generate_series(1, 300) n`, f.owner.Tenant)
	// As the database does by itself within a minute of such a growth.
	_, err = s.pool.Exec(s.Context(), `analyze`)
	s.must(err)
	base := int64(0)
	for _, name := range []string{"app.css", "app.js"} {
		base += zipped(t, s.url+ui.Asset(name))
	}
	b := s.as(f.owner)
	operator := s.operator()
	alone, rounds := os.Getenv("TOLLGATE_ALONE") != "" && !raceDetector, 20
	if raceDetector { // which nothing is judged by
		rounds = 1
	}
	var worst []string
	for _, r := range s.web.Routes() {
		if r.Method != "GET" || r.Open {
			continue
		}
		who := b
		if r.Realm == control.RealmOperator {
			who = operator
		}
		path := f.path(r)
		if strings.Contains(r.Pattern, "/method") {
			path += "?path=/pets&verb=GET"
		}
		if strings.HasSuffix(r.Pattern, "/cors") {
			path += "?path=/pets"
		}
		if strings.HasSuffix(r.Pattern, "/documentation/part") {
			path += "?type=METHOD&path=/pets&method=GET"
		}
		size := int64(0)
		var took []time.Duration
		for range rounds {
			req, _ := http.NewRequest("GET", s.url+path, nil)
			req.AddCookie(who.cookie)
			req.Header.Set("Accept-Encoding", "gzip")
			begun := time.Now()
			resp, err := http.DefaultTransport.RoundTrip(req)
			s.must(err)
			n, err := io.Copy(io.Discard, resp.Body)
			s.must(err)
			resp.Body.Close()
			took, size = append(took, time.Since(begun)), n
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
				size = 0
			}
		}
		slices.Sort(took)
		judged := took[0]
		if alone {
			judged = took[len(took)*19/20-1]
		}
		if judged > 50*time.Millisecond && !raceDetector {
			t.Errorf("%s takes %v (from %v to %v)", r.Pattern, judged, took[0], took[len(took)-1])
		}
		if size+base > 70<<10 {
			t.Errorf("%s with its assets has %d bytes compressed", r.Pattern, size+base)
		}
		worst = append(worst, fmt.Sprintf("%8.1f ms %5.1f KB %s", float64(judged.Microseconds())/1000, float64(size+base)/1024, r.Pattern))
	}
	sort.Sort(sort.Reverse(sort.StringSlice(worst)))
	t.Logf("slowest pages:\n%s", strings.Join(worst[:min(len(worst), 8)], "\n"))
	if !slices.ContainsFunc(worst, func(s string) bool { return strings.HasSuffix(s, "/overview") }) {
		t.Error("the overview was not measured")
	}
}

func zipped(t *testing.T, address string) int64 {
	t.Helper()
	req, _ := http.NewRequest("GET", address, nil)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%s is not compressed", address)
	}
	n, _ := io.Copy(io.Discard, resp.Body)
	return n
}
