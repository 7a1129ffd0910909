package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/gateway/token/issuertest"
)

// Keys are fetched once for all who wait for them, and then kept; behind the calls they
// are fetched again, and after maxFresh before a call.
func TestKeySetAges(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, complaints := newRing(t)
	v := r.verifier(t, issuer)
	now := time.Now()
	fetched := func(want int64) {
		t.Helper()
		r.behind.Wait()
		if n := issuer.Fetches.Load(); n != want {
			t.Fatalf("the key set was fetched %d times instead of %d", n, want)
		}
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { v.want(t, issuer.Token("pets", nil), now, nil) })
	}
	wg.Wait()
	fetched(1)
	for range 5 {
		v.want(t, issuer.Token("pets", nil), now.Add(refreshAfter-time.Second), nil)
	}
	fetched(1)
	for range 5 {
		v.want(t, issuer.Token("pets", nil), now.Add(refreshAfter+time.Second), nil)
	}
	fetched(2)
	later := func(d time.Duration) (string, time.Time) {
		at := now.Add(d)
		return issuer.Token("pets", map[string]any{"exp": at.Add(time.Hour).Unix()}), at
	}
	text, at := later(2 * time.Hour)
	v.want(t, text, at, nil)
	fetched(3)

	issuer.Down(true)
	text, at = later(2*time.Hour + maxStale - time.Second)
	v.want(t, text, at, nil)
	v.want(t, text, at, nil)
	if complaints.Load() != 1 {
		t.Errorf("%d complaints", complaints.Load())
	}
	text, at = later(2*time.Hour + maxStale)
	v.want(t, text, at, ErrUnavailable)
	issuer.Down(false)
	v.want(t, text, at.Add(-time.Second+maxBackOff), nil)
}

// An issuer is asked for unknown keys no more often than askEvery, however many calls
// bring them, and one that does not answer is left alone.
func TestUnknownKeys(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	k, now := issuer.Key(), time.Now()
	flood := func(at time.Time) {
		var wg sync.WaitGroup
		for n := range 200 {
			text := k.Sign(map[string]any{"alg": k.Alg, "kid": fmt.Sprint("made-up-", n)}, issuer.Claims("pets", nil))
			wg.Go(func() { v.want(t, text, at, ErrKey) })
		}
		wg.Wait()
	}
	flood(now)
	if n := issuer.Fetches.Load(); n != 1 {
		t.Fatalf("%d fetches for the first flood", n)
	}
	for s := range 60 {
		flood(now.Add(time.Duration(s) * time.Second))
	}
	if n, d := issuer.Fetches.Load(), issuer.Lookups.Load(); n != 6 || d != 1 {
		t.Fatalf("%d fetches of the keys and %d of the discovery document in a minute of floods", n, d)
	}
	// A key that is really new is found all the same.
	issuer.Rotate(t, "ES256", 1)
	v.want(t, issuer.Token("pets", nil), now.Add(70*time.Second), nil)

	issuer.Down(true)
	other := issuertest.New(t, "ES256")
	other.Down(true)
	w := r.verifier(t, other)
	asked := int64(0)
	for s := range 120 {
		at := now.Add(time.Duration(s) * time.Second)
		if s < 60 {
			w.want(t, other.Token("pets", nil), at, ErrUnavailable)
		}
		asked = other.Lookups.Load()
	}
	if asked < 4 || asked > 8 {
		t.Errorf("an issuer that is down was asked %d times in a minute", asked)
	}
}

// Tokens verified by a key that the issuer no longer shows are not known any more.
func TestRotation(t *testing.T) {
	issuer := issuertest.New(t, "EdDSA")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	now := time.Now()
	first := issuer.Token("pets", nil)
	v.want(t, first, now, nil)
	issuer.Rotate(t, "EdDSA", 1)
	second := issuer.Token("pets", nil)
	now = now.Add(askEvery)
	v.want(t, second, now, nil)
	if v.Known([]byte(first), now) == nil || v.Known([]byte(second), now) == nil {
		t.Fatal("a token is forgotten whose key is shown still")
	}
	issuer.Rotate(t, "EdDSA", 1)
	now = now.Add(askEvery)
	v.want(t, issuer.Token("pets", nil), now, nil)
	if v.Known([]byte(first), now) != nil {
		t.Error("a token is known whose key is gone")
	}
	if v.Known([]byte(second), now) == nil {
		t.Error("a token is forgotten whose key is shown still")
	}
	v.want(t, first, now, ErrKey)

	// The same id with another key is another key.
	k := issuer.Key()
	issuer.Change(func(path string, doc map[string]any) {
		if path == "/keys" {
			jwk := issuertest.New(t, "EdDSA").Key().JWK()
			jwk["kid"] = k.ID
			doc["keys"] = []any{jwk}
		}
	})
	text := issuer.Token("pets", map[string]any{"n": 1})
	v.want(t, text, now, nil)
	now = now.Add(askEvery)
	v.want(t, k.Sign(map[string]any{"alg": k.Alg, "kid": "other"}, issuer.Claims("pets", nil)), now, ErrKey)
	v.want(t, text, now, ErrSignature)
	if v.Known([]byte(text), now) != nil {
		t.Error("a token is known whose key was exchanged")
	}
}

// What an issuer shows is bounded and must be its own.
func TestOddIssuers(t *testing.T) {
	now := time.Now()
	for name, change := range map[string]func(string, map[string]any){
		"issuer of another name": func(path string, d map[string]any) { d["issuer"] = "https://example.com" },
		"no key set":             func(path string, d map[string]any) { delete(d, "jwks_uri") },
		"key set elsewhere":      func(path string, d map[string]any) { d["jwks_uri"] = "file:///etc/passwd" },
		"no keys":                func(path string, d map[string]any) { delete(d, "keys") },
		"large": func(path string, d map[string]any) {
			if path == "/keys" {
				d["x"] = strings.Repeat("x", MaxKeySetBytes)
			}
		},
	} {
		issuer := issuertest.New(t, "ES256")
		issuer.Change(change)
		r, complaints := newRing(t)
		r.verifier(t, issuer).want(t, issuer.Token("pets", nil), now, ErrUnavailable)
		if complaints.Load() != 1 {
			t.Errorf("%s: %d complaints", name, complaints.Load())
		}
	}

	// From https, nothing leads to http.
	i := &Issuer{url: "https://example.com"}
	for _, jwks := range []string{"http://example.com/keys", "//example.com", "", "https:keys"} {
		if _, err := i.keySetAddress(fmt.Appendf(nil, `{"issuer":"https://example.com","jwks_uri":%q}`, jwks)); err == nil {
			t.Errorf("keys may be at %q", jwks)
		}
	}
	plain := issuertest.New(t, "ES256")
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/keys", http.StatusFound))
	defer secure.Close()
	if _, err := HTTP(secure.Client())(t.Context(), secure.URL); err == nil {
		t.Error("a redirect to http was followed")
	}
}

// A tenant's slow issuers take its own places, not those of others; nobody waits for one
// for longer than askTimeout.
func TestSlowIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int64
		r := NewRing(Options{Fetch: func(ctx context.Context, url string) ([]byte, error) {
			most.Store(max(most.Load(), under.Add(1)))
			defer under.Add(-1)
			if strings.Contains(url, "quick") {
				return nil, errors.New("quick")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		verifier := func(tenant uint32, name string) *Issuer {
			v, err := r.Verifier(tenant, Rules{Trusted: []Trust{{Issuer: "https://" + name}}})
			if err != nil {
				t.Fatal(err)
			}
			return v.trusted["https://"+name].issuer
		}
		begun := time.Now()
		var wg sync.WaitGroup
		for n := range 50 {
			slow := verifier(1, fmt.Sprint("slow", n))
			for range 3 {
				wg.Go(func() {
					if _, err := slow.keys("a", time.Now()); err != ErrUnavailable {
						t.Error(err)
					}
				})
			}
		}
		synctest.Wait()
		if _, err := verifier(2, "quick").keys("a", time.Now()); err != ErrUnavailable || time.Since(begun) > 0 {
			t.Errorf("another tenant's issuer: %v after %v", err, time.Since(begun))
		}
		wg.Wait()
		if took := time.Since(begun); took > askTimeout {
			t.Errorf("calls waited %v", took)
		}
		if most.Load() > tenantShare+1 {
			t.Errorf("%d fetches at a time", most.Load())
		}
		r.Close()
	})
}

func TestKeep(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	now := time.Now()
	v.want(t, issuer.Token("pets", nil), now, nil)
	r.Keep(map[IssuerID]bool{{7, issuer.URL}: true})
	r.verifier(t, issuer).want(t, issuer.Token("pets", nil), now, nil)
	if n := issuer.Fetches.Load(); n != 1 {
		t.Errorf("%d fetches of an issuer that was kept", n)
	}
	r.Keep(nil)
	if len(r.tenants) != 0 {
		t.Error("a tenant without issuers is kept")
	}
	v.want(t, issuer.Token("pets", nil), now, nil)
	for n := range MaxIssuers {
		if _, err := r.Verifier(8, Rules{Trusted: []Trust{{Issuer: fmt.Sprint("https://example.com/", n)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Verifier(8, Rules{Trusted: []Trust{{Issuer: "https://example.com"}}}); err == nil {
		t.Error("a tenant may have any number of issuers")
	}
	r.verifier(t, issuer).want(t, issuer.Token("pets", nil), now, nil)
}

// After Close nothing is fetched, and nobody hangs.
func TestClose(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	issuer.Hold()
	var wg sync.WaitGroup
	wg.Go(func() { v.want(t, issuer.Token("pets", nil), time.Now(), ErrUnavailable) })
	r.Close()
	wg.Wait()
}
