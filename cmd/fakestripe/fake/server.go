package fake

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// APIVersion is the only version the fake speaks.
const APIVersion = "2024-06-20"

// Options say how a fake behaves; the zero value is usable.
type Options struct {
	Now  func() time.Time // default time.Now; the virtual clock is this plus what was advanced
	File string           // where state is kept over restarts; "" keeps none
	// Client delivers webhooks; the default follows no redirects and waits ten seconds.
	Client *http.Client
	Logf   func(format string, a ...any)
}

// Server is the fake. It is an http.Handler for the API, the pages and the control path.
type Server struct {
	opts Options
	mux  *http.ServeMux

	mu      sync.Mutex // guards all below
	st      *state
	url     string
	faults  []*Fault
	chaos   Chaos
	dice    dice
	calls   []Call
	callSeq int64
	sent    []Delivery
	dirty   bool

	// running holds whoever runs jobs, so that a test's Settle waits for what is under way.
	running chan struct{}
	wake    chan struct{}
}

// New makes a fake, with the state of opts.File if there is one. A file that cannot be read is
// an error: starting empty would forget what others still point at.
func New(opts Options) (*Server, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	if opts.Client == nil {
		opts.Client = &http.Client{Timeout: 10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	s := &Server{opts: opts, st: newState(), url: "http://localhost", running: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	if opts.File != "" {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	s.seed()
	s.mux = http.NewServeMux()
	for _, r := range routes {
		s.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { s.api(w, req, r) })
	}
	s.mux.HandleFunc("/v1/", s.unknown)
	s.control()
	s.pages()
	return s, nil
}

// SetURL says where browsers reach the fake's pages, without a final slash.
func (s *Server) SetURL(u string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = strings.TrimSuffix(u, "/")
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// now is the virtual time; the caller holds the lock.
func (s *Server) now() time.Time { return s.opts.Now().Add(s.st.Offset) }

func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	e := invalid("", "", "Unrecognized request URL (%s: %s). The fake serves what its package comment names.", r.Method, r.URL.Path)
	e.status = http.StatusNotFound
	send(w, e.status, encode(e.body()))
}

// api answers one call of a route: who asks, what is asked, faults, idempotency, the work.
func (s *Server) api(w http.ResponseWriter, r *http.Request, rt *route) {
	c, raw, form, apiErr := s.open(r, rt)
	w.Header().Set("Request-Id", c.request)
	w.Header().Set("Stripe-Version", APIVersion)
	if c.key != "" {
		w.Header().Set("Idempotency-Key", c.key)
	}
	if name := r.Header.Get("Stripe-Account"); name != "" {
		w.Header().Set("Stripe-Account", name)
	}
	log := Call{RequestID: c.request, Method: r.Method, Path: r.URL.Path, Account: c.accountID(), Key: c.key, Form: raw}
	if apiErr != nil {
		s.finish(w, log, apiErr.status, encode(apiErr.body()))
		return
	}

	fault := s.hit(r.Method, r.URL.Path, c.accountID())
	log.Fault = fault.Kind
	switch fault.Kind {
	case FaultOutage:
		log.Status = -1
		s.record(log)
		abort(w)
		return
	case FaultRateLimit:
		e := &apiError{status: 429, kind: "invalid_request_error", code: "rate_limit", message: "Request rate limit exceeded."}
		w.Header().Set("Stripe-Rate-Limited-Reason", "global-rate")
		s.finish(w, log, e.status, encode(e.body()))
		return
	case FaultLockTimeout:
		e := &apiError{status: 429, kind: "invalid_request_error", code: "lock_timeout", message: "This object cannot be accessed right now because another API request or Stripe process is currently accessing it."}
		s.finish(w, log, e.status, encode(e.body()))
		return
	case FaultConflict:
		e := inFlight()
		s.finish(w, log, e.status, encode(e.body()))
		return
	}

	stored, fresh, apiErr := s.reserve(c, r, form)
	if apiErr != nil {
		s.finish(w, log, apiErr.status, encode(apiErr.body()))
		return
	}
	if !fresh {
		w.Header().Set("Idempotent-Replayed", "true")
		w.Header().Set("Original-Request", stored.Request)
		log.Replayed = true
		if fault.Kind == FaultDrop {
			log.Status = stored.Status
			s.record(log)
			abort(w)
			return
		}
		s.finish(w, log, stored.Status, stored.Body)
		return
	}
	if fault.Latency > 0 {
		t := time.NewTimer(time.Duration(fault.Latency) * time.Millisecond)
		select {
		case <-t.C:
		case <-r.Context().Done():
			// As at Stripe, what has begun is done although nobody waits for it.
			t.Stop()
		}
	}
	status, body := s.work(c, rt, fault)
	s.store(c, stored, status, body)
	if fault.Kind == FaultDrop {
		log.Status = status
		s.record(log)
		s.nudge()
		abort(w)
		return
	}
	s.finish(w, log, status, body)
	s.nudge()
}

// open reads a request as far as it can be judged without doing it. The call it returns is
// never nil, for its request id.
func (s *Server) open(r *http.Request, rt *route) (c *call, raw string, form *node, apiErr *apiError) {
	s.mu.Lock()
	c = &call{s: s, st: s.st, request: s.st.newID("req"), key: r.Header.Get("Idempotency-Key"), id: r.PathValue}
	s.mu.Unlock()
	if apiErr := authorize(r); apiErr != nil {
		return c, "", nil, apiErr
	}
	if v := r.Header.Get("Stripe-Version"); v != "" && v != APIVersion {
		return c, "", nil, invalid("", "", "The fake speaks API version %s only, and was asked for %q.", APIVersion, clip(v))
	}
	if r.Method != http.MethodPost {
		c.key = ""
	}
	if len(c.key) > 255 {
		return c, "", nil, invalid("", "", "Idempotency keys have at most 255 characters.")
	}
	if apiErr := s.speakFor(c, r.Header.Get("Stripe-Account")); apiErr != nil {
		return c, "", nil, apiErr
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		e := invalid("", "", "The request's body could not be read: at most %d bytes are taken.", maxBody)
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			e.status = http.StatusRequestEntityTooLarge
		}
		return c, "", nil, e
	}
	raw = r.URL.RawQuery
	if len(body) > 0 {
		if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); t != "" && t != "application/x-www-form-urlencoded" {
			return c, "", nil, invalid("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
		}
		raw = strings.Trim(raw+"&"+string(body), "&")
	}
	if form, apiErr = parseForm(raw); apiErr != nil {
		return c, "", nil, apiErr
	}
	if c.p, apiErr = rt.spec.read(form, ""); apiErr != nil {
		return c, raw, nil, apiErr
	}
	return c, raw, form, nil
}

func authorize(r *http.Request) *apiError {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "basic") {
		b, _ := base64.StdEncoding.DecodeString(key)
		key, _, _ = strings.Cut(string(b), ":")
	}
	key = strings.TrimSpace(key)
	e := &apiError{status: 401, kind: "invalid_request_error"}
	switch {
	case key == "":
		e.message = "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth."
	case strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_"):
		// Whoever sends a live key to a fake has a setting wrong that must not go unseen.
		e.message = "A live key was sent to the fake: it takes keys that begin with sk_test_ only. Replace that key, since it went over a plain connection."
	case !strings.HasPrefix(key, "sk_test_"):
		e.message = "Invalid API Key provided: the fake takes any key that begins with sk_test_."
	default:
		return nil
	}
	return e
}

// speakFor sets the account of a call from the Stripe-Account header.
func (s *Server) speakFor(c *call, header string) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.acct = s.st.account(PlatformID)
	if header == "" || header == PlatformID {
		return nil
	}
	if a := s.st.Accounts[header]; a != nil && !a.Disconnected && c.acct.get("account", header) != nil {
		c.acct = a
		return nil
	}
	return &apiError{status: 403, kind: "invalid_request_error", code: "account_invalid",
		message: "The provided key 'sk_test_***' does not have access to account '" + clip(header) + "' (or that account does not exist). Application access may have been revoked."}
}

func (c *call) accountID() string {
	if c.acct == nil {
		return ""
	}
	return c.acct.ID
}

// connected says whether the call speaks for an account other than the platform's.
func (c *call) connected() bool { return c.acct.ID != PlatformID }

// work does what the route does, and answers with the JSON to send.
func (s *Server) work(c *call, rt *route, fault Fault) (int, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault.Kind == FaultServerError && !fault.After {
		return serverError()
	}
	s.dirty = true
	o, apiErr := rt.do(c)
	if apiErr != nil {
		return apiErr.status, encode(shown(apiErr.body()))
	}
	if fault.Kind == FaultServerError {
		return serverError()
	}
	o = shown(o).(object)
	if paths, ok := c.p["expand"].([]any); ok {
		if apiErr := c.expand(o, paths); apiErr != nil {
			return apiErr.status, encode(apiErr.body())
		}
	}
	return http.StatusOK, encode(o)
}

func serverError() (int, []byte) {
	e := &apiError{status: 500, kind: "api_error", message: "An unknown error occurred"}
	return e.status, encode(e.body())
}

func (s *Server) finish(w http.ResponseWriter, log Call, status int, body []byte) {
	log.Status = status
	s.record(log)
	send(w, status, body)
}

func encode(o any) []byte {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		panic("fake: an object that is not JSON: " + err.Error()) // never: objects are made of JSON
	}
	return append(b, '\n')
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client has gone
}

// abort breaks the connection off within the first line of the answer. Without that one byte Go's
// client would send a call with an idempotency key again by itself, and a fault that was to be
// seen once would be gone.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.Write([]byte("H")) //nolint:errcheck // it is closed next
	conn.Close()            //nolint:errcheck // nothing can be done about it
}

// Call is one entry of the journal of calls.
type Call struct {
	N         int64  `json:"n"`
	RequestID string `json:"request_id"`
	Method    string `json:"method"`
	Path      string `json:"path"`
	Account   string `json:"account"`
	Key       string `json:"idempotency_key,omitempty"`
	Form      string `json:"form"`   // as it came, form-encoded
	Status    int    `json:"status"` // -1: never answered nor done
	Fault     string `json:"fault,omitempty"`
	Replayed  bool   `json:"replayed,omitempty"`
}

const maxCalls = 10_000

func (s *Server) record(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callSeq++
	c.N = s.callSeq
	if s.calls = append(s.calls, c); len(s.calls) > maxCalls {
		s.calls = slices.Delete(s.calls, 0, maxCalls/10)
	}
	s.opts.Logf("%s %s %d %s %s", c.Method, c.Path, c.Status, c.Account, c.Fault)
}

// Calls is the journal of the calls answered, oldest first; the last 10,000.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}
