package web_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/net/html"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/gateway"
	"tollgate/migrations/pgtest"
	"tollgate/ui/serve"
	"tollgate/web"
)

// site is the console over a database of its own, as browsers without JavaScript
// see it.
type site struct {
	testing.TB
	*control.Plane
	pool *pgxpool.Pool
	web  *web.Server
	url  string
}

func newSite(t testing.TB, change ...func(*web.Options)) *site {
	t.Helper()
	pool := pgtest.New(t)
	key := make([]byte, 32)
	plane, err := control.New(control.Options{Pool: pool, SecretKey: key, AckTimeout: 10 * time.Millisecond, Check: gateway.Check,
		Names: control.Names{Trusted: func(name string) bool { return strings.HasPrefix(name, "ours.") }, DNS: "127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	console := &url.URL{Scheme: "http", Host: server.Listener.Addr().String()}
	trials := gateway.NewTrials([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil, nil, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() { _ = trials.Close(context.Background()) })
	o := web.Options{Plane: plane, Try: trials.Try, TryAuthorizer: trials.TryAuthorizer, Usage: intake.New(intake.Options{Pool: pool}), Billing: billing.New(billing.Options{Pool: pool}), Console: console,
		Gateway: &url.URL{Scheme: "http", Host: "localhost:8081"}, Local: true, RunsGateways: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		PortalURL: func(slug string) string { return console.String() + "/portal/" + slug }}
	for _, f := range change {
		f(&o)
	}
	s := &site{TB: t, Plane: plane, pool: pool, url: console.String()}
	if s.web, err = web.New(o); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.web
	server.Start()
	t.Cleanup(server.Close)
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// exec writes what another part of the program would have written.
func (s *site) exec(sql string, args ...any) {
	s.Helper()
	s.must(pgx.BeginFunc(s.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(s.Context(), sql, args...)
		return err
	}))
}

var people atomic.Int64

// tenant is the owner of a new account.
func (s *site) tenant() control.Actor {
	s.Helper()
	n := people.Add(1)
	c, err := s.CreateTenant(s.Context(), control.Operator(), control.NewTenant{
		Email: fmt.Sprintf("owner%d@example.com", n), Name: fmt.Sprintf("Tenant %d", n)})
	s.must(err)
	a, err := s.Owner(s.Context(), c.AccountID)
	s.must(err)
	return a
}

// member is another person of an account, in a role.
func (s *site) member(of control.Actor, role control.Role) control.Actor {
	s.Helper()
	n := people.Add(1)
	id := fmt.Sprintf("m%09d", n)
	a := of
	a.Member, a.Role, a.Name = id, role, fmt.Sprintf("%s%d@example.com", role, n)
	s.exec(`insert into person (person_id, email, password_hash) values ($1, $2, '!')`, id, a.Name)
	s.exec(`insert into member (tenant_id, member_id, person_id, role) values ($1, $2, $2, $3)`, a.Tenant, id, string(role))
	return a
}

// browser is one browser; it follows redirects and keeps cookies.
type browser struct {
	*site
	http   *http.Client
	cookie *http.Cookie // nil: signed in as nobody
}

// anybody is a browser that is not signed in.
func (s *site) anybody() *browser {
	return &browser{site: s, http: &http.Client{Timeout: 20 * time.Second}}
}

// as is a browser in which a member of an account is signed in.
func (s *site) as(a control.Actor) *browser {
	s.Helper()
	var person string
	s.must(pgx.BeginFunc(s.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return tx.QueryRow(s.Context(), `select person_id from member where tenant_id = $1 and member_id = $2`, a.Tenant, a.Member).Scan(&person)
	}))
	return s.session(control.RealmConsole, "tollgate-session", person, a.Tenant)
}

// session is a browser in which a subject is signed in to a realm.
func (s *site) session(realm, cookie, subject string, tenant uint32) *browser {
	s.Helper()
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	s.must(s.SaveSession(s.Context(), serve.IDHash(id), control.Session{Realm: realm, Subject: subject, Tenant: tenant}))
	b := s.anybody()
	b.cookie = &http.Cookie{Name: cookie, Value: id}
	return b
}

// page is an answer that was read to its end.
type page struct {
	*browser
	status int
	path   string // with the query, after redirects
	body   string
	root   *html.Node
	header http.Header
}

func (b *browser) get(path string) *page {
	b.Helper()
	req, err := http.NewRequest("GET", b.url+path, nil)
	b.must(err)
	return b.do(req)
}

func (b *browser) post(path string, form url.Values) *page {
	b.Helper()
	req, err := http.NewRequest("POST", b.url+path, strings.NewReader(form.Encode()))
	b.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(req)
}

func (b *browser) do(req *http.Request) *page {
	b.Helper()
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	c := *b.http
	c.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return fmt.Errorf("too many redirects")
		}
		return nil
	}
	resp, err := c.Do(req)
	b.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.must(err)
	root, err := html.Parse(strings.NewReader(string(body)))
	b.must(err)
	return &page{b, resp.StatusCode, resp.Request.URL.RequestURI(), string(body), root, resp.Header}
}

// want fails unless the page has a status and shows all texts.
func (p *page) want(status int, texts ...string) *page {
	p.Helper()
	shown := p.text()
	if p.status != status {
		p.Fatalf("%s: status %d, want %d\n%s", p.path, p.status, status, shown)
	}
	for _, t := range texts {
		if !strings.Contains(shown, t) {
			p.Fatalf("%s does not show %q:\n%s", p.path, t, shown)
		}
	}
	return p
}

// without fails if the page shows one of the texts.
func (p *page) without(texts ...string) *page {
	p.Helper()
	shown := p.text()
	for _, t := range texts {
		if strings.Contains(shown, t) {
			p.Fatalf("%s shows %q:\n%s", p.path, t, shown)
		}
	}
	return p
}

// text is what the page's main part shows, in one line.
func (p *page) text() string {
	main := find(p.root, func(n *html.Node) bool { return n.Data == "main" })
	if main == nil {
		main = p.root
	}
	return textOf(main)
}

func textOf(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		// Where a block begins or ends, words do too.
		apart := n.Type == html.ElementNode && !slices.Contains([]string{"a", "b", "span", "strong", "code", "small", "em"}, n.Data)
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		if apart {
			b.WriteByte(' ')
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if apart {
			b.WriteByte(' ')
		}
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

func find(n *html.Node, ok func(*html.Node) bool) *html.Node {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && ok(d) {
			return d
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// link follows the first link with this text.
func (p *page) link(text string) *page {
	p.Helper()
	a := find(p.root, func(n *html.Node) bool { return n.Data == "a" && textOf(n) == text })
	if a == nil {
		p.Fatalf("%s has no link %q:\n%s", p.path, text, p.text())
	}
	return p.get(p.resolve(attr(a, "href")))
}

func (p *page) resolve(ref string) string {
	base, err := url.Parse(p.path)
	p.must(err)
	u, err := base.Parse(ref)
	p.must(err)
	return u.RequestURI()
}

// press fills in the form that has a button with this text, leaves the other
// fields as they are, and presses the button. Several values of a field are
// given by repeating it; a box is unticked by an empty value.
func (p *page) press(button string, fill ...string) *page {
	p.Helper()
	var form, pressed *html.Node
	for d := range p.root.Descendants() {
		if d.Type == html.ElementNode && d.Data == "button" && textOf(d) == button && attr(d, "type") != "button" {
			for f := d.Parent; f != nil; f = f.Parent {
				if f.Data == "form" {
					form, pressed = f, d
				}
			}
		}
		if form != nil {
			break
		}
	}
	if form == nil {
		p.Fatalf("%s has no button %q in a form:\n%s", p.path, button, p.text())
	}
	values := formValues(form)
	seen := map[string]bool{}
	for i := 0; i+1 < len(fill); i += 2 {
		name, value := fill[i], fill[i+1]
		if !seen[name] {
			if !hasField(form, name) {
				p.Fatalf("the form of %q on %s has no field %q", button, p.path, name)
			}
			values.Del(name)
		}
		if seen[name] = true; value != "" || isText(form, name) {
			values.Add(name, value)
		}
	}
	if n := attr(pressed, "name"); n != "" {
		values.Add(n, attr(pressed, "value"))
	}
	action := attr(form, "action")
	if a := attr(pressed, "formaction"); a != "" {
		action = a
	}
	if strings.EqualFold(attr(form, "method"), "post") {
		return p.post(p.resolve(action), values)
	}
	return p.get(strings.SplitN(p.resolve(action), "?", 2)[0] + "?" + values.Encode())
}

// field is the value that a field of the page has.
func (p *page) field(name string) string {
	p.Helper()
	for d := range p.root.Descendants() {
		if d.Type == html.ElementNode && d.Data == "form" && hasField(d, name) {
			return formValues(d).Get(name)
		}
	}
	p.Fatalf("%s has no field %q", p.path, name)
	return ""
}

func hasField(form *html.Node, name string) bool {
	return find(form, func(n *html.Node) bool { return attr(n, "name") == name && n.Data != "button" }) != nil
}

func isText(form *html.Node, name string) bool {
	return find(form, func(n *html.Node) bool {
		return attr(n, "name") == name && (n.Data == "textarea" || n.Data == "select" || n.Data == "input" && attr(n, "type") != "checkbox" && attr(n, "type") != "radio")
	}) != nil
}

// formValues are a form's fields as a browser sends them untouched.
func formValues(form *html.Node) url.Values {
	out := url.Values{}
	for d := range form.Descendants() {
		name := attr(d, "name")
		if d.Type != html.ElementNode || name == "" || has(d, "disabled") {
			continue
		}
		switch d.Data {
		case "input":
			switch attr(d, "type") {
			case "checkbox", "radio":
				if has(d, "checked") {
					out.Add(name, attr(d, "value"))
				}
			case "submit", "button", "file":
			default:
				out.Add(name, attr(d, "value"))
			}
		case "textarea":
			var b strings.Builder
			for c := d.FirstChild; c != nil; c = c.NextSibling {
				b.WriteString(c.Data)
			}
			out.Add(name, b.String())
		case "select":
			var first, chosen *html.Node
			for o := range d.Descendants() {
				if o.Type == html.ElementNode && o.Data == "option" {
					if first == nil {
						first = o
					}
					if has(o, "selected") {
						chosen = o
					}
				}
			}
			if chosen == nil {
				chosen = first
			}
			if chosen != nil {
				out.Add(name, attr(chosen, "value"))
			}
		}
	}
	return out
}

// keepCookies makes the browser keep what it is given, as browsers do.
func (b *browser) keepCookies() {
	jar, err := cookiejar.New(nil)
	b.must(err)
	b.http.Jar = jar
}

// read is an answer's body.
func (b *browser) read(resp *http.Response) string {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.must(err)
	return string(body)
}

// formOf is a form of names and values by turns.
func formOf(fill ...string) url.Values {
	out := url.Values{}
	for i := 0; i+1 < len(fill); i += 2 {
		out.Add(fill[i], fill[i+1])
	}
	return out
}
