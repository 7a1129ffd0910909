package token

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/gateway/token/issuertest"
)

// newRing is a ring that fetches with a client of its own.
func newRing(t testing.TB) (*Ring, *atomic.Int64) {
	var complaints atomic.Int64
	client := &http.Client{Transport: &http.Transport{}}
	r := NewRing(Options{Fetch: HTTP(client), Complain: func(uint32, string, error) { complaints.Add(1) }})
	t.Cleanup(func() {
		r.Close()
		client.CloseIdleConnections()
	})
	return r, &complaints
}

var all Algorithms = 1<<len(algorithms) - 1

func (r *Ring) verifier(t testing.TB, issuer *issuertest.Issuer, change ...func(*Rules)) *Verifier {
	t.Helper()
	rules := Rules{Algorithms: all, Trusted: []Trust{{Issuer: issuer.URL, Audiences: []string{"pets"}}}}
	for _, f := range change {
		f(&rules)
	}
	v, err := r.Verifier(7, rules)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *Verifier) want(t testing.TB, text string, now time.Time, want error) *Token {
	t.Helper()
	got, err := v.Verify([]byte(text), now)
	if err != want {
		t.Fatalf("%v instead of %v", err, want)
	}
	return got
}
