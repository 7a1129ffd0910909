// Package portal is the developer portal of each tenant: its catalogue and
// reference for everybody, and for the tenant's developers their apps, keys,
// usage and invoices. One server serves all portals, each at a host of its own
// and at /portal/{slug}; nothing of one is seen in another.
package portal

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/gorilla/sessions"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/stripe"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// Options of the portals. Plane and Console are needed.
type Options struct {
	Plane *control.Plane
	Usage *intake.Intake
	// Billing makes invoices of usage.
	Billing *billing.Billing
	// Stripe is how they are paid; nil: by bank transfer.
	Stripe *stripe.Rail
	// Console is the public address of the console: portals are below it at
	// /portal/{slug}.
	Console *url.URL
	// Domain is what portals' own hosts end with, port included where it is not the
	// scheme's: {slug}.portal.localhost:8080. Empty: paths only.
	Domain string
	// Gateway is the public address that calls go to.
	Gateway *url.URL
	// BehindProxy says that X-Forwarded-For is set by a proxy of the operator's.
	BehindProxy bool
	Log         *slog.Logger
	Now         func() time.Time
}

// Server serves every portal.
type Server struct {
	Options
	docs    shelf
	cancel  context.CancelFunc // of warming
	warming sync.WaitGroup
	mux     *http.ServeMux
	handler http.Handler
}

// access is who may come to a route.
type access struct{ open bool }

var (
	anyone   = access{open: true}
	customer = access{}
)

// route is one page or act; its pattern is http.ServeMux's without the method and
// without what comes before a portal's paths.
type route struct {
	method  string
	pattern string
	who     access
	handle  func(*visit) error
}

// Route describes a route to tests, which walk all of them.
type Route struct {
	Method, Pattern string
	Open            bool
}

// New makes the portals' server.
func New(o Options) (*Server, error) {
	if o.Plane == nil || o.Console == nil {
		return nil, fmt.Errorf("portal: Plane and Console are needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Options: o, mux: http.NewServeMux()}
	for _, r := range s.routes() {
		s.mux.Handle(r.method+" "+r.pattern, s.serve(r))
	}
	s.mux.Handle("/", s.serve(route{who: anyone, handle: func(v *visit) error {
		return model.Errorf(model.NotFound, "there is no page at %s", v.r.URL.Path)
	}}))
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.enter(w, r, func(v *visit) {
			v.refuse(model.Errorf(model.Denied, "the form came from another site; open the page here and send it again"))
		})
	}))
	assets := ui.Assets()
	s.handler = serve.Headers(cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") {
			assets.ServeHTTP(w, r)
			return
		}
		s.enter(w, r, func(v *visit) {
			inner := v.r.WithContext(context.WithValue(v.r.Context(), visitKey{}, v))
			s.mux.ServeHTTP(w, inner)
		})
	})), o.Console.Scheme == "https")
	return s, nil
}

// Routes lists every route, for tests.
func (s *Server) Routes() []Route {
	var out []Route
	for _, r := range s.routes() {
		out = append(out, Route{r.method, r.pattern, r.who.open})
	}
	return out
}

// Serves reports that a request is for a portal: by its host, or by its path.
func (s *Server) Serves(r *http.Request) bool {
	_, byHost := s.slugOfHost(r.Host)
	return byHost || strings.HasPrefix(r.URL.Path, pathPrefix)
}

// ServeHTTP serves the portal that the request names.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// URL is the public address of a portal.
func (s *Server) URL(slug string) string { return URL(s.Console, s.Domain, slug) }

// URL is the public address of a portal where the console is at its address, and
// portals have hosts in a domain (empty: none of their own).
func URL(console *url.URL, domain, slug string) string {
	if domain != "" {
		return console.Scheme + "://" + slug + "." + domain
	}
	return strings.TrimSuffix(console.String(), "/") + pathPrefix + slug
}

const pathPrefix = "/portal/"

func (s *Server) slugOfHost(host string) (string, bool) {
	if s.Domain == "" {
		return "", false
	}
	// The port a client names, or leaves out, does not tell portals apart.
	bare, domain := host, s.Domain
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}
	if d, _, err := net.SplitHostPort(domain); err == nil {
		domain = d
	}
	slug, ok := strings.CutSuffix(strings.ToLower(bare), "."+strings.ToLower(domain))
	return slug, ok && slug != "" && !strings.Contains(slug, ".")
}

type visitKey struct{}

// enter finds the portal and who visits it, and takes what comes before a
// portal's paths off the request.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, do func(*visit)) {
	v := &visit{Server: s, w: w, r: r}
	slug, byHost := s.slugOfHost(r.Host)
	if !byHost {
		rest := strings.TrimPrefix(r.URL.Path, pathPrefix)
		slug, _, _ = strings.Cut(rest, "/")
		v.base = pathPrefix + slug
		inner := r.Clone(r.Context())
		inner.URL.Path = strings.TrimPrefix(r.URL.Path, v.base)
		inner.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, v.base)
		if inner.URL.Path == "" { // so that relative links of the home page work
			http.Redirect(w, r, v.base+"/", http.StatusMovedPermanently)
			return
		}
		v.r = inner
	}
	var err error
	if v.site, err = s.Plane.Site(r.Context(), slug); err != nil {
		v.refuse(err)
		return
	}
	if !v.site.Published && !s.member(r, v.site.Tenant) {
		v.refuse(model.Errorf(model.NotFound, "there is no portal here yet"))
		return
	}
	store := s.sessions(&v.site)
	v.store = store
	if v.session, err = store.Get(r, store.Name()); err != nil {
		v.refuse(err)
		return
	}
	v.visitor, _ = v.session.Values[keyVisitor].(*control.Visitor)
	do(v)
}

// sessions of one portal: its cookie has a name of its own, because portals may
// share a host, and a session of another portal is none.
func (s *Server) sessions(site *control.Site) *serve.Sessions {
	return &serve.Sessions{
		Cookie: "tollgate-portal-" + site.Slug, Secure: s.Console.Scheme == "https", MaxAge: control.SessionLife,
		Load: func(ctx context.Context, hash []byte) (map[any]any, error) {
			v, err := s.Plane.Visitor(ctx, control.RealmPortal, hash)
			if model.KindOf(err) == model.Unauthenticated || err == nil && v.Actor.Tenant != site.Tenant {
				return nil, serve.ErrNoSession
			}
			if err != nil {
				return nil, err
			}
			return map[any]any{keyVisitor: &v}, nil
		},
		Put: func(ctx context.Context, hash []byte, values map[any]any) error {
			return s.Plane.SaveSession(ctx, hash, values[keyVisitor].(*control.Visitor).Session)
		},
		End: s.Plane.EndSession,
	}
}

// member reports that the browser is signed in to the console as a member of the
// tenant, who may look at what is not published.
func (s *Server) member(r *http.Request, tenant uint32) bool {
	console := serve.Sessions{Cookie: "tollgate-session", Secure: s.Console.Scheme == "https"}
	c, err := r.Cookie(console.Name())
	if err != nil {
		return false
	}
	v, err := s.Plane.Visitor(r.Context(), control.RealmConsole, serve.IDHash(c.Value))
	return err == nil && v.Actor.Tenant == tenant
}

const keyVisitor = "visitor"

func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		v.r = r // with the path's values
		if !rt.who.open && v.visitor == nil {
			to := "/sign-in"
			if r.Method == http.MethodGet {
				to += "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			_ = v.redirect(to)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if err := serve.Form(v.w, r, 0); err != nil {
				v.refuse(err)
				return
			}
		}
		if err := rt.handle(v); err != nil {
			v.refuse(err)
		}
	})
}

// visit is one request to one portal: who makes it, and how it is answered.
type visit struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request // its path is the portal's own
	site    control.Site
	base    string // before every path of the portal
	store   *serve.Sessions
	session *sessions.Session
	visitor *control.Visitor // nil: not signed in
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// link is a path of the portal as a browser needs it.
func (v *visit) link(path string) string { return v.base + path }

// actor is who asks control.
func (v *visit) actor() control.Actor {
	a := control.Actor{}
	if v.visitor != nil {
		a = v.visitor.Actor
	}
	a.Source = serve.Source(v.r, v.BehindProxy)
	return a
}

func (v *visit) path(name string) string  { return v.r.PathValue(name) }
func (v *visit) value(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
func (v *visit) raw(name string) string   { return v.r.PostFormValue(name) }

// query is a parameter of the URL, cut to what a filter can mean.
func (v *visit) query(name string) string {
	q := strings.TrimSpace(v.r.URL.Query().Get(name))
	if len(q) > 500 {
		q = q[:500]
	}
	return strings.ToValidUTF8(q, "")
}

// page is what every page of the portal has.
func (v *visit) page(title string) ui.Page {
	p := ui.Page{Title: title, Theme: serve.Theme(v.r), Path: v.r.URL.Path, Base: v.base, Flash: v.flashes(),
		Portal: ui.Portal{Title: v.site.Title, Tagline: v.site.Tagline, SupportEmail: v.site.SupportEmail}}
	if v.site.Accent != "" {
		p.Portal.ThemeURL = v.link("/theme/" + strings.TrimPrefix(v.site.Accent, "#") + ".css")
	}
	in := v.visitor != nil
	items := []ui.NavItem{{Label: "APIs", URL: v.link("/")}, {Label: "Plans", URL: v.link("/plans")},
		{Label: "Apps", URL: v.link("/apps"), Hidden: !in}, {Label: "Usage", URL: v.link("/usage"), Hidden: !in}, {Label: "Invoices", URL: v.link("/invoices"), Hidden: !in}, {Label: "Payment", URL: v.link("/payment"), Hidden: !in},
		{Label: "Credit", URL: v.link(creditURL), Hidden: !in}}
	p.Nav = []ui.NavGroup{{Items: items}}
	if !v.site.Published {
		p.Flash = append(p.Flash, ui.Flash{Kind: "info", Text: "A preview: the portal is not published, and only members of the account see it."})
	}
	if v.visitor != nil {
		p.User = &ui.User{Email: v.visitor.Email, Name: v.visitor.Name, ProfileURL: v.link("/account"), SignOutURL: v.link("/sign-out"), ThemeURL: v.link("/theme")}
	}
	return p
}

func (v *visit) render(c templ.Component) error { return v.renderAs(http.StatusOK, c) }

func (v *visit) renderAs(status int, c templ.Component) error {
	if err := v.keep(); err != nil {
		return err
	}
	return serve.Component(v.w, v.r, status, c)
}

// redirect goes on to another page of the portal, by GET.
func (v *visit) redirect(path string) error {
	if err := v.keep(); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, v.link(path), http.StatusSeeOther)
	return nil
}

// done says on the next page what was done, and goes there.
func (v *visit) done(message, path string) error {
	v.say("ok", message)
	return v.redirect(path)
}

const (
	keyFlash   = "flash-"
	keyUnsaved = "unsaved"
)

// say keeps a message for the next page: kind is "ok", "warn", "danger" or "info".
func (v *visit) say(kind, message string) { v.set(keyFlash+kind, message) }

func (v *visit) flashes() []ui.Flash {
	var out []ui.Flash
	for _, kind := range []string{"danger", "warn", "ok", "info"} {
		if m := v.get(keyFlash + kind); m != "" {
			out = append(out, ui.Flash{Kind: kind, Text: m})
			v.set(keyFlash+kind, "")
		}
	}
	return out
}

// get is what the session keeps under a name.
func (v *visit) get(name string) string {
	if v.visitor == nil {
		return ""
	}
	return v.visitor.Session.Data[name]
}

// set keeps a value in the session, saved with the answer; empty forgets it.
func (v *visit) set(name, value string) {
	if v.visitor == nil || v.get(name) == value {
		return
	}
	data := make(map[string]string, len(v.visitor.Session.Data)+1)
	for k, x := range v.visitor.Session.Data {
		data[k] = x
	}
	if data[name] = value; value == "" {
		delete(data, name)
	}
	v.visitor.Session.Data = data
	v.session.Values[keyUnsaved] = true
}

// keep stores what changed in the session, before the answer begins.
func (v *visit) keep() error {
	if v.session == nil || v.session.Values[keyUnsaved] == nil {
		return nil
	}
	delete(v.session.Values, keyUnsaved)
	return v.session.Save(v.r, v.w)
}

// signIn makes the browser's session stand for a developer of this portal, under
// a fresh id.
func (v *visit) signIn(developer string) error {
	if err := v.store.Rotate(v.ctx(), v.session); err != nil {
		return err
	}
	v.visitor = &control.Visitor{Session: control.Session{Realm: control.RealmPortal, Subject: developer, Tenant: v.site.Tenant, Data: map[string]string{
		control.SessionBrowser: serve.BrowserName(v.r.UserAgent()), control.SessionSource: serve.Source(v.r, v.BehindProxy)}}}
	v.session.Values[keyVisitor] = v.visitor
	delete(v.session.Values, keyUnsaved)
	v.session.Options.MaxAge = int(v.store.MaxAge.Seconds())
	return v.session.Save(v.r, v.w)
}

// signOut ends the browser's session.
func (v *visit) signOut() error {
	v.session.Options.MaxAge = -1
	delete(v.session.Values, keyUnsaved)
	v.visitor = nil
	return v.session.Save(v.r, v.w)
}

// refuse answers with the page of an error.
func (v *visit) refuse(err error) {
	status, message := serve.Shown(v.Log, v.r, err)
	if status == http.StatusUnauthorized && v.site.Slug != "" {
		_ = v.redirect("/sign-in")
		return
	}
	p := v.page("Not found")
	if status != http.StatusNotFound {
		p.Title = "That did not work"
	}
	if e := serve.Component(v.w, v.r, status, ui.PortalErrorPage(p, status, message)); e != nil {
		v.Log.Error("the page of an error failed", "error", e)
		http.Error(v.w, message, status)
	}
}
