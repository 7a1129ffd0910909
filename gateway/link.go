package gateway

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// linkRef is where methods find a VPC link's current form; nil inside: there is no such
// link.
type linkRef struct{ atomic.Pointer[link] }

type linkKey struct {
	tenant uint32
	id     string
}

// link is a VPC link's current form, immutable but for what is known of its targets.
type link struct {
	targets []*target
	arn     string // of the load balancer that they stand for; "": any
}

// target is one address behind a link, with what this node knows of it. It outlives
// changes of the link that keep the address.
type target struct {
	tenant   uint32
	link     string
	address  string
	inFlight atomic.Int64
	failed   atomic.Int32 // calls and checks in a row
	down     atomic.Bool  // left out while another is up, until a check succeeds
	calls    atomic.Uint64
	failures atomic.Uint64
	since    atomic.Int64 // Unix milliseconds, from when it is as it is; 0: not known yet
	fault    atomic.Int32 // why it did not answer when it was left out last; noFault: it never was
	checked  int64        // when it was last looked at; the checker's alone
	told     targetState  // what the control plane knows; the reporter's alone
}

const (
	// ejectAfter failures in a row leave a target out.
	ejectAfter = 3
	// A target that is out is looked at each checkDown, another each checkUp.
	checkDown    = 500 * time.Millisecond
	checkUp      = 10 * time.Second
	checkTimeout = 2 * time.Second
	checksAtOnce = 16
)

// fail notes a call or a check that the target did not answer, and why.
func (t *target) fail(why fault) {
	t.failures.Add(1)
	if t.failed.Add(1) < ejectAfter {
		return
	}
	t.fault.Store(int32(why))
	if t.down.CompareAndSwap(false, true) {
		t.since.Store(time.Now().UnixMilli())
	}
}

// back notes that a check found the target there.
func (t *target) back() {
	t.failed.Store(0)
	if t.down.CompareAndSwap(true, false) || t.since.Load() == 0 {
		t.since.Store(time.Now().UnixMilli())
	}
}

// answered notes that the target is there.
func (t *target) answered() {
	if t.failed.Load() != 0 {
		t.failed.Store(0)
	}
}

// pick chooses a target: of two by chance the one with less under way, among those that
// are up and not tried yet by the call; where none is, among all. nil: there is none.
func (l *link) pick(tried []*target) *target {
	var some [32]*target
	n := 0
	for _, fit := range []func(*target) bool{
		func(t *target) bool { return !t.down.Load() && !slices.Contains(tried, t) },
		func(t *target) bool { return !slices.Contains(tried, t) },
		func(t *target) bool { return !t.down.Load() },
		func(*target) bool { return true },
	} {
		for _, t := range l.targets {
			if n < len(some) && fit(t) {
				some[n] = t
				n++
			}
		}
		if n > 0 {
			break
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return some[0]
	}
	i := rand.IntN(n)
	j := rand.IntN(n - 1)
	if j >= i {
		j++
	}
	if some[j].inFlight.Load() < some[i].inFlight.Load() {
		i = j
	}
	return some[i]
}

// linkRef is the same for equal keys.
func (r *registry) linkRef(k linkKey) *linkRef {
	l := r.links[k]
	if l == nil {
		l = &linkRef{}
		r.links[k] = l
	}
	return l
}

// applyLinks makes a tenant's links what they are now.
func (r *registry) applyLinks(tenant uint32, now []model.LinkConfig) {
	there := map[string]bool{}
	for _, cfg := range now {
		there[cfg.ID] = true
		ref := r.linkRef(linkKey{tenant, cfg.ID})
		old := map[string]*target{}
		if l := ref.Load(); l != nil {
			same := l.arn == cfg.ARN && len(l.targets) == len(cfg.Targets)
			for i, t := range l.targets {
				old[t.address] = t
				same = same && t.address == cfg.Targets[i]
			}
			if same {
				continue // pools stay
			}
		}
		l := &link{arn: cfg.ARN}
		for _, a := range cfg.Targets[:min(len(cfg.Targets), model.MaxLinkTargets)] {
			t := old[a]
			if t == nil {
				t = &target{tenant: tenant, link: cfg.ID, address: a}
			}
			l.targets = append(l.targets, t)
		}
		ref.Store(l)
	}
	for k, ref := range r.links {
		if k.tenant == tenant && !there[k.id] {
			ref.Store(nil)
		}
	}
}

// checker looks at the targets of links, so that one that is back is used again and one
// that is gone is not met by a call first.
type checker struct {
	g    *Gateway
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func (g *Gateway) startChecks(dial func(ctx context.Context, network, address string) (net.Conn, error)) *checker {
	ctx, cancel := context.WithCancel(context.Background())
	k := &checker{g: g, dial: dial, stop: cancel}
	k.wg.Add(1)
	go k.run(ctx)
	return k
}

func (k *checker) end() {
	k.stop()
	k.wg.Wait()
}

func (k *checker) run(ctx context.Context) {
	defer k.wg.Done()
	tick := time.NewTicker(checkDown)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.round(ctx)
	}
}

// round looks at each target whose time it is, some at once.
func (k *checker) round(ctx context.Context) {
	targets := k.g.targets()
	if targets == nil {
		return
	}
	slots := make(chan struct{}, checksAtOnce)
	var wg sync.WaitGroup
	for _, t := range targets {
		every := checkUp
		if t.down.Load() || t.failed.Load() > 0 {
			every = checkDown
		}
		now := http1.Now()
		if t.checked != 0 && now-t.checked < int64(every) {
			continue
		}
		t.checked = now
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer func() { <-slots; wg.Done() }()
			k.look(ctx, t)
		}()
	}
	wg.Wait()
}

// look connects.
func (k *checker) look(ctx context.Context, t *target) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	nc, err := k.dial(ctx, "tcp", t.address)
	if err != nil {
		if ctx.Err() != context.Canceled {
			t.fail(dialFault(err))
		}
		return
	}
	_ = nc.Close()
	t.back()
}

// targets are those of all links that a stage of this node can reach.
func (g *Gateway) targets() []*target {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*target
	for _, ref := range g.reg.links {
		if l := ref.Load(); l != nil {
			out = append(out, l.targets...)
		}
	}
	slices.SortFunc(out, func(a, b *target) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), strings.Compare(a.link, b.link), strings.Compare(a.address, b.address))
	})
	return out
}
