package fake

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// keyLife is how long Stripe promises to remember an idempotency key.
const keyLife = 24 * time.Hour

// reply is what a call with an idempotency key was answered with.
type reply struct {
	At      int64  `json:"at"`   // Unix seconds
	Hash    string `json:"hash"` // of method, path and parameters
	Request string `json:"request"`
	Status  int    `json:"status"` // 0 while it is in flight
	Body    []byte `json:"body"`
}

// reserve looks a call's key up. fresh says that the call is to be done now; otherwise the
// reply says what it was answered with.
func (s *Server) reserve(c *call, r *http.Request, form *node) (rep *reply, fresh bool, apiErr *apiError) {
	if c.key == "" {
		return nil, true, nil
	}
	var b strings.Builder
	b.WriteString(r.Method + " " + r.URL.Path + "?")
	form.canonical(&b, "")
	sum := sha256.Sum256([]byte(b.String()))
	hash := hex.EncodeToString(sum[:])

	s.mu.Lock()
	defer s.mu.Unlock()
	name := c.acct.ID + " " + c.key
	have := s.st.Replies[name]
	if have != nil && have.Status != 0 && s.now().Sub(time.Unix(have.At, 0)) >= keyLife {
		have = nil
	}
	switch {
	case have == nil:
		rep = &reply{At: c.now(), Hash: hash, Request: c.request}
		s.st.Replies[name] = rep
		return rep, true, nil
	case have.Hash != hash:
		e := invalid("", "", "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", c.key)
		e.kind = "idempotency_error"
		return nil, false, e
	case have.Status == 0:
		return nil, false, inFlight()
	}
	return have, false, nil
}

// inFlight is the answer while another call with the same key is being done.
func inFlight() *apiError {
	return &apiError{status: 409, kind: "idempotency_error", code: "idempotency_key_in_use",
		message: "There is currently another in-progress request using this Stripe key with that Idempotent Key. Please retry with exponential backoff, or use a different key."}
}

// store keeps the answer of a call with a key, a 500 too.
func (s *Server) store(c *call, rep *reply, status int, body []byte) {
	if rep == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rep.Status, rep.Body = status, body
	s.dirty = true
}

// forget drops keys whose time is over; the caller holds the lock.
func (s *Server) forget() {
	for name, rep := range s.st.Replies {
		if rep.Status != 0 && s.now().Sub(time.Unix(rep.At, 0)) >= keyLife {
			delete(s.st.Replies, name)
		}
	}
}
