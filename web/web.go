// Package web is the console: the pages on which members work on their account,
// and, apart from them, those of the operator. Every page is a handler with its
// templ file beside it; every route is in a table with who may come, so that the
// tables can be walked by tests.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/billing/stripe"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// Options of the console. Plane and Console are needed.
type Options struct {
	Plane *control.Plane
	Usage *intake.Intake
	// Billing makes invoices of usage.
	Billing *billing.Billing
	// Stripe is how they are paid; nil: by bank transfer.
	Stripe *stripe.Rail
	// Console is the public address of the console.
	Console *url.URL
	// Gateway is the public address that calls go to, such as http://localhost:8081.
	Gateway *url.URL
	// PortalURL is the public address of the portal with this slug.
	PortalURL func(slug string) string
	// Local says that console and gateway are reachable from this machine only:
	// mails can be read and parts be looked at under /dev.
	Local bool
	// RunsGateways says that this program runs nodes that gateways are told to have here.
	RunsGateways bool
	// BehindProxy says that X-Forwarded-For is set by a proxy of the operator's.
	BehindProxy bool
	// Fetch reads a document by its URL, from where tenants may reach.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Call makes a call to the gateway, which listens on GatewayAddr for this process.
	Call        func(*http.Request) (*http.Response, error)
	GatewayAddr string
	// Try makes one call of a method that need not be deployed; nil: none can be made.
	Try func(context.Context, model.TrialCall) (model.TrialAnswer, error)
	// TryAuthorizer asks an authorizer about a call that nobody has made; nil: none can
	// be asked.
	TryAuthorizer func(context.Context, model.AuthorizerTrial) (model.AuthorizerAnswer, error)
	Log           *slog.Logger
	Now           func() time.Time
}

// Server serves the console and the operator's area.
type Server struct {
	Options
	console  serve.Sessions
	operator serve.Sessions
	handler  http.Handler
}

// access is who may come to a route.
type access struct {
	realm string             // whose session counts
	open  bool               // no session is needed
	alone bool               // a person without an account may come too
	need  control.Permission // of the visitor, unless open or alone
}

var (
	anyone      = access{realm: control.RealmConsole, open: true}
	signedIn    = access{realm: control.RealmConsole, alone: true}
	anyOperator = access{realm: control.RealmOperator, open: true}
	theOperator = access{realm: control.RealmOperator, need: control.ToOperate}
	mayRead     = member(control.ToRead)
	mayBuild    = member(control.ToBuild)
	maySell     = member(control.ToSell)
	mayBill     = member(control.ToBill)
	mayManage   = member(control.ToManage)
	mayAudit    = member(control.ToAudit)
	changing    = map[string]bool{"POST": true, "PUT": true, "PATCH": true, "DELETE": true}
)

func member(p control.Permission) access { return access{realm: control.RealmConsole, need: p} }

// route is one page or act. Its pattern is http.ServeMux's without the method.
type route struct {
	method  string
	pattern string
	who     access
	handle  func(*visit) error
	form    int64 // largest form; 0: serve.MaxForm
	local   bool  // only where Options.Local, and for serve.FromHere
}

// Route describes a route to tests, which walk all of them.
type Route struct {
	Method, Pattern string
	Realm           string
	Open, Alone     bool
	Need            control.Permission
}

// New makes the console.
func New(o Options) (*Server, error) {
	if o.Plane == nil || o.Console == nil {
		return nil, fmt.Errorf("web: Plane and Console are needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Options: o}
	secure := o.Console.Scheme == "https"
	s.console = s.sessions(control.RealmConsole, "tollgate-session", secure)
	s.operator = s.sessions(control.RealmOperator, "tollgate-operator", secure)

	mux := http.NewServeMux()
	for _, r := range s.routes() {
		if r.local && !o.Local {
			continue
		}
		mux.Handle(r.method+" "+r.pattern, s.serve(r))
	}
	mux.Handle("GET /assets/", ui.Assets())
	if o.Local {
		mux.Handle("GET /dev/ui", ui.Gallery())
	}
	mux.Handle("/", http.HandlerFunc(s.notFound))
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, model.Errorf(model.Denied, "the form came from another site; open the page here and send it again"))
	}))
	s.handler = serve.Headers(cross.Handler(mux), secure)
	return s, nil
}

// ServeHTTP serves the console.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Routes lists every route, for tests.
func (s *Server) Routes() []Route {
	var out []Route
	for _, r := range s.routes() {
		out = append(out, Route{r.method, r.pattern, r.who.realm, r.who.open, r.who.alone, r.who.need})
	}
	return out
}

func (s *Server) sessions(realm, cookie string, secure bool) serve.Sessions {
	return serve.Sessions{
		Cookie: cookie, Secure: secure, MaxAge: control.SessionLife,
		Load: func(ctx context.Context, hash []byte) (map[any]any, error) {
			v, err := s.Plane.Visitor(ctx, realm, hash)
			if model.KindOf(err) == model.Unauthenticated {
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

// keyVisitor is where a session holds its *control.Visitor.
const keyVisitor = "visitor"

// serve wraps a route's handler: who comes, whether they may, their form, and the
// page of what goes wrong.
func (s *Server) serve(rt route) http.Handler {
	store := &s.console
	if rt.who.realm == control.RealmOperator {
		store = &s.operator
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rt.local && !serve.FromHere(r) {
			s.notFound(w, r)
			return
		}
		v := &visit{Server: s, w: w, r: r, realm: rt.who.realm}
		var err error
		if v.session, err = store.Get(r, store.Name()); err != nil {
			v.refuse(err)
			return
		}
		v.visitor, _ = v.session.Values[keyVisitor].(*control.Visitor)
		if !rt.who.open {
			if v.visitor == nil {
				v.askToSignIn()
				return
			}
			if err := v.allowed(rt.who); err != nil {
				v.refuse(err)
				return
			}
		}
		if changing[r.Method] {
			if err := serve.Form(w, r, rt.form); err != nil {
				v.refuse(err)
				return
			}
		}
		if err := rt.handle(v); err != nil {
			v.refuse(err)
		}
	})
}

func (v *visit) allowed(a access) error {
	if a.alone {
		return nil
	}
	if v.realm == control.RealmConsole && v.actor().Tenant == 0 {
		return model.Errorf(model.Denied, "you are not a member of an account; ask for an invitation, or sign up for one of your own")
	}
	return v.actor().May(a.need)
}

// signInPath is where each realm signs in.
var signInPath = map[string]string{control.RealmConsole: "/sign-in", control.RealmOperator: "/operator/sign-in"}

func (v *visit) askToSignIn() {
	to := signInPath[v.realm]
	if v.r.Method == http.MethodGet {
		to += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
	}
	v.redirect(to)
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		// The mux answers 405 for known patterns; this one it would not know.
		w.Header().Set("Allow", "GET, HEAD")
	}
	s.refuse(w, r, model.Errorf(model.NotFound, "there is no page at %s", r.URL.Path))
}

// refuse answers with an error's page outside of any route.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	realm := control.RealmConsole
	if strings.HasPrefix(r.URL.Path, "/operator") {
		realm = control.RealmOperator
	}
	store := &s.console
	if realm == control.RealmOperator {
		store = &s.operator
	}
	v := &visit{Server: s, w: w, r: r, realm: realm}
	if ss, e := store.Get(r, store.Name()); e == nil {
		v.session = ss
		v.visitor, _ = ss.Values[keyVisitor].(*control.Visitor)
	}
	v.refuse(err)
}
