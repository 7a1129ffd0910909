package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How old a key set may be. Ages are of the calls that ask for keys: an issuer that
// nobody uses is not asked.
const (
	refreshAfter = 15 * time.Minute // then it is fetched again behind the calls
	maxFresh     = time.Hour        // then a call waits for it, as long as the issuer answers
	maxStale     = 4 * time.Hour    // then it is no longer trusted, whatever the issuer does
	rediscover   = time.Hour        // for the address of the key set
)

const (
	// askEvery is how often an issuer is asked for a key that its set has not: tokens
	// with made-up key ids cost it no more than that.
	askEvery = 10 * time.Second
	// maxBackOff is how long an issuer that does not answer is left alone at most.
	maxBackOff = 30 * time.Second
	// askTimeout bounds a whole refresh: places, discovery and key set.
	askTimeout = 5 * time.Second
)

// ErrUnavailable: the issuer's keys could not be had, so nothing is known of the token.
var ErrUnavailable = errors.New("the keys of the token's issuer cannot be had")

// Issuer signs tokens of one tenant's callers.
type Issuer struct {
	url    string
	ring   *Ring
	tenant *tenant
	set    atomic.Pointer[keySet]

	mu         sync.Mutex
	flight     chan struct{} // closed when the fetch that is under way ends; nil: there is none
	tried      time.Time     // when the last fetch began
	failures   int           // in a row
	jwks       string        // address of the key set
	discovered time.Time
}

// keySet is never changed.
type keySet struct {
	keys map[string][]*key // by id
	at   time.Time         // fetched
}

// keys are the issuer's with an id; none: it has none. It waits for the issuer where it
// must: at most once per call, together with all others.
func (i *Issuer) keys(id string, now time.Time) ([]*key, error) {
	set := i.set.Load()
	if set != nil {
		age := now.Sub(set.at)
		if ks := set.keys[id]; ks != nil && age < maxFresh {
			if age > refreshAfter {
				i.refreshBehind(now)
			}
			return ks, nil
		}
	}
	if flight, mine := i.takeOff(now); mine {
		i.refresh(flight, now, nil)
	} else if flight != nil {
		<-flight
	}
	set = i.set.Load()
	if set == nil || now.Sub(set.at) >= maxStale {
		return nil, ErrUnavailable
	}
	return set.keys[id], nil
}

// takeOff begins a fetch, joins the one under way, or says (nil) that it is too soon for
// one.
func (i *Issuer) takeOff(now time.Time) (flight chan struct{}, mine bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.flight != nil {
		return i.flight, false
	}
	wait := askEvery
	if i.failures > 0 {
		wait = min(maxBackOff, time.Second<<min(i.failures-1, 10))
	}
	if !i.tried.IsZero() && now.Sub(i.tried) < wait {
		return nil, false
	}
	i.tried, i.flight = now, make(chan struct{})
	return i.flight, true
}

// refreshBehind fetches without anybody waiting, if there are places for it.
func (i *Issuer) refreshBehind(now time.Time) {
	r := i.ring
	done := r.tryBegin(i.tenant)
	if done == nil {
		return
	}
	flight, mine := i.takeOff(now)
	if !mine {
		done()
		return
	}
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.behind.Add(1)
	}
	r.mu.Unlock()
	if closed {
		done()
		i.land(flight, errors.New("the node stops"))
		return
	}
	go func() {
		defer r.behind.Done()
		i.refresh(flight, now, done)
	}()
}

// refresh fetches the keys and puts them in the place of those of before. Without an
// answer these stay. done gives back the places it has; nil: it has none yet.
func (i *Issuer) refresh(flight chan struct{}, now time.Time, done func()) {
	ctx, cancel := context.WithTimeout(i.ring.ctx, askTimeout)
	defer cancel()
	err := errors.New("fetching its keys failed") // should Fetch panic
	defer func() { i.land(flight, err) }()
	if done == nil {
		if done, err = i.ring.begin(ctx, i.tenant); err != nil {
			return
		}
	}
	defer done()
	var keys map[string][]*key
	if keys, err = i.fetch(ctx, now); err != nil {
		return
	}
	i.replace(&keySet{keys, now})
}

// land ends a fetch.
func (i *Issuer) land(flight chan struct{}, err error) {
	i.mu.Lock()
	first := false
	if err == nil {
		i.failures = 0
	} else {
		i.failures++
		i.discovered = time.Time{} // the key set may have moved
		first = i.failures == 1
	}
	i.flight = nil
	i.mu.Unlock()
	close(flight)
	if first && i.ring.ctx.Err() == nil {
		i.ring.o.Complain(i.tenant.num, i.url, err)
	}
}

// replace keeps what is known of keys that are there still, and marks the others gone:
// tokens that were verified by them no longer are.
func (i *Issuer) replace(set *keySet) {
	old := i.set.Load()
	if old != nil {
		for id, was := range old.keys {
			for _, k := range was {
				kept := false
				for n, now := range set.keys[id] {
					if now.print == k.print {
						set.keys[id][n], kept = k, true
					}
				}
				if !kept {
					k.gone.Store(true)
				}
			}
		}
	}
	i.set.Store(set)
}

// fetch gets the key set from where the issuer's discovery document (OpenID Connect
// Discovery 1.0) says.
func (i *Issuer) fetch(ctx context.Context, now time.Time) (map[string][]*key, error) {
	i.mu.Lock()
	jwks := i.jwks
	if now.Sub(i.discovered) >= rediscover {
		jwks = ""
	}
	i.mu.Unlock()
	if jwks == "" {
		b, err := i.ring.o.Fetch(ctx, strings.TrimSuffix(i.url, "/")+"/.well-known/openid-configuration")
		if err != nil {
			return nil, err
		}
		if jwks, err = i.keySetAddress(b); err != nil {
			return nil, err
		}
		i.mu.Lock()
		i.jwks, i.discovered = jwks, now
		i.mu.Unlock()
	}
	b, err := i.ring.o.Fetch(ctx, jwks)
	if err != nil {
		return nil, err
	}
	return parseKeys(b)
}

// keySetAddress reads a discovery document, which must be the issuer's own.
func (i *Issuer) keySetAddress(b []byte) (string, error) {
	var d struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if len(b) > MaxKeySetBytes || json.Unmarshal(b, &d) != nil {
		return "", errors.New("its discovery document is no JSON object")
	}
	if d.Issuer != i.url {
		return "", fmt.Errorf("its discovery document is of the issuer %.200q", d.Issuer)
	}
	u, err := url.Parse(d.JWKS)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !strings.HasPrefix(i.url, "http:")) {
		return "", fmt.Errorf("its discovery document has no https address of a key set, but %.200q", d.JWKS)
	}
	return d.JWKS, nil
}
