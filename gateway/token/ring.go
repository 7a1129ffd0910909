package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Bounds of fetching key sets.
const (
	// MaxIssuers is how many issuers the APIs of one tenant may trust on a node.
	MaxIssuers = 100

	fetchTimeout = 1500 * time.Millisecond // for each document, as on Amazon API Gateway
	maxFetches   = 64                      // at a time, of the node
	tenantShare  = 4                       // of them for one tenant, whose issuers may be slow
)

// Fetch gets a document.
type Fetch func(ctx context.Context, url string) ([]byte, error)

// Options of a Ring.
type Options struct {
	Fetch Fetch
	// Complain is told of an issuer that cannot be asked: of the first failure of a row.
	Complain func(tenant uint32, issuer string, err error)
}

// Ring holds a node's issuers and the tokens it has verified. Tenants share nothing in
// it. Use NewRing.
type Ring struct {
	o     Options
	ctx   context.Context
	stop  context.CancelFunc
	slots chan struct{}
	cache *cache

	mu      sync.Mutex
	closed  bool
	tenants map[uint32]*tenant
	ids     uint64 // of verifiers
	behind  sync.WaitGroup
}

// tenant has a part of the ring that no other can use up.
type tenant struct {
	num     uint32
	slots   chan struct{}
	issuers map[string]*Issuer
	held    share         // of the cache
	checks  chan struct{} // signatures are checked one at a time for each place
}

// NewRing is one without issuers.
func NewRing(o Options) *Ring {
	if o.Complain == nil {
		o.Complain = func(uint32, string, error) {}
	}
	r := &Ring{o: o, slots: make(chan struct{}, maxFetches), cache: newCache(), tenants: map[uint32]*tenant{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Close ends what is being fetched. Tokens of issuers whose keys are known are
// verified as before.
func (r *Ring) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.behind.Wait()
}

// tenantOf finds or makes a tenant. The ring is locked.
func (r *Ring) tenantOf(num uint32) *tenant {
	t := r.tenants[num]
	if t == nil {
		t = &tenant{num: num, slots: make(chan struct{}, tenantShare), issuers: map[string]*Issuer{},
			// Anybody can make up tokens whose signatures cost much: a tenant's take a
			// quarter of the node's cores at most.
			checks: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/4))}
		r.tenants[num] = t
	}
	return t
}

// issuer finds or makes a tenant's issuer. The ring is locked.
func (r *Ring) issuer(t *tenant, url string) (*Issuer, error) {
	if i := t.issuers[url]; i != nil {
		return i, nil
	}
	if len(t.issuers) >= MaxIssuers {
		return nil, fmt.Errorf("the account's APIs trust more than %d token issuers", MaxIssuers)
	}
	i := &Issuer{url: url, ring: r, tenant: t}
	t.issuers[url] = i
	return i, nil
}

// IssuerID names an issuer of a ring.
type IssuerID struct {
	Tenant uint32
	URL    string
}

// Keep forgets all issuers but those. One whose verifiers are still in use goes on
// for them alone.
func (r *Ring) Keep(ids map[IssuerID]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for num, t := range r.tenants {
		for url := range t.issuers {
			if !ids[IssuerID{num, url}] {
				delete(t.issuers, url)
			}
		}
		if len(t.issuers) == 0 {
			delete(r.tenants, num)
		}
	}
}

// begin takes the places for one fetch; done gives them back.
func (r *Ring) begin(ctx context.Context, t *tenant) (done func(), err error) {
	busy := errors.New("too many key sets are being fetched")
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, busy
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		<-t.slots
		return nil, busy
	}
	return func() { <-r.slots; <-t.slots }, nil
}

// tryBegin is begin without waiting; nil: there is no place.
func (r *Ring) tryBegin(t *tenant) (done func()) {
	select {
	case t.slots <- struct{}{}:
	default:
		return nil
	}
	select {
	case r.slots <- struct{}{}:
	default:
		<-t.slots
		return nil
	}
	return func() { <-r.slots; <-t.slots }
}

// HTTP fetches with a client: no more than MaxKeySetBytes, of answers with status 200
// alone, and never from http where https was asked. Redirects are the client's to refuse.
func HTTP(client *http.Client) Fetch {
	return func(ctx context.Context, url string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s answers %d", url, resp.StatusCode)
		}
		if strings.HasPrefix(url, "https:") && resp.Request.URL.Scheme != "https" {
			return nil, fmt.Errorf("%s leads to an address without TLS", url)
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, MaxKeySetBytes+1))
		if err == nil && len(b) > MaxKeySetBytes {
			err = fmt.Errorf("%s has more than %d bytes", url, MaxKeySetBytes)
		}
		return b, err
	}
}
