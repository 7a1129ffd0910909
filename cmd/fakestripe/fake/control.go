package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// control registers the path by which tests and people steer the fake.
func (s *Server) control() {
	s.mux.HandleFunc("GET /_fake/clock", s.steer(func(*http.Request) (any, error) { return s.clock(), nil }))
	s.mux.HandleFunc("POST /_fake/clock", s.steer(func(r *http.Request) (any, error) {
		var in struct {
			Advance string `json:"advance"`
		}
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		d, err := time.ParseDuration(in.Advance)
		if err != nil || d < 0 || d > 2*366*24*time.Hour {
			return nil, fmt.Errorf(`advance must be a duration such as "90m" or "720h", from 0 to two years: the clock goes forward only`)
		}
		if err := s.Advance(r.Context(), d); err != nil {
			return nil, err
		}
		return s.clock(), nil
	}))
	s.mux.HandleFunc("POST /_fake/settle", s.steer(func(r *http.Request) (any, error) { return s.clock(), s.Settle(r.Context()) }))
	s.mux.HandleFunc("GET /_fake/calls", s.steer(func(*http.Request) (any, error) { return map[string]any{"calls": s.Calls()}, nil }))
	s.mux.HandleFunc("DELETE /_fake/calls", s.steer(func(*http.Request) (any, error) { s.ForgetCalls(); return struct{}{}, nil }))
	s.mux.HandleFunc("GET /_fake/deliveries", s.steer(func(*http.Request) (any, error) { return map[string]any{"deliveries": s.Deliveries()}, nil }))
	s.mux.HandleFunc("POST /_fake/faults", s.steer(func(r *http.Request) (any, error) {
		var f Fault
		if err := readJSON(r, &f); err != nil {
			return nil, err
		}
		return f, s.AddFault(f)
	}))
	s.mux.HandleFunc("DELETE /_fake/faults", s.steer(func(*http.Request) (any, error) { s.ClearFaults(); return struct{}{}, nil }))
	s.mux.HandleFunc("POST /_fake/webhooks", s.steer(func(r *http.Request) (any, error) {
		var ch Chaos
		if err := readJSON(r, &ch); err != nil {
			return nil, err
		}
		return ch, s.SetChaos(ch)
	}))
	for name, do := range map[string]func(*call, object){
		"deauthorize": (*call).disconnect,
		"onboard":     func(c *call, o object) { c.onboard(o, "") },
		"restrict":    (*call).restrict,
	} {
		s.mux.HandleFunc("POST /_fake/accounts/{id}/"+name, s.steer(func(r *http.Request) (any, error) {
			defer s.nudge()
			s.mu.Lock()
			defer s.mu.Unlock()
			c := s.inside(PlatformID)
			o, apiErr := c.find("account", r.PathValue("id"), "")
			if apiErr != nil || id(o) == PlatformID {
				return nil, fmt.Errorf("there is no connected account %q", clip(r.PathValue("id")))
			}
			do(c, o)
			return shown(o), nil
		}))
	}
}

// inside is a call that comes from no client: from a page or the control path. The lock is held.
func (s *Server) inside(account string) *call {
	s.dirty = true
	return &call{s: s, st: s.st, acct: s.st.account(account), p: object{}, id: func(string) string { return "" }}
}

// ForgetCalls empties the journal of calls.
func (s *Server) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

func (s *Server) clock() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]any{"now": s.now().UTC().Format(time.RFC3339), "unix": s.now().Unix(), "jobs": len(s.st.Jobs)}
}

// steer answers a control call in JSON; what is wrong with it is a 400 that says so.
func (s *Server) steer(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := do(r)
		if err != nil {
			send(w, http.StatusBadRequest, encode(map[string]string{"error": err.Error()}))
			return
		}
		send(w, http.StatusOK, encode(v))
	}
}

func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body must be a JSON object of the fields described in the package comment: %w", err)
	}
	return nil
}
