package limit

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/model"
)

const (
	// batch is the largest number of requests in one call to the ledger.
	batch = 512
	// callTimeout bounds one call to the ledger.
	callTimeout = 5 * time.Second
	// reachTimeout is how long a node that ends waits for a sign of it.
	reachTimeout = time.Second
)

// LeaseFunc asks the ledger; it answers every request in order.
type LeaseFunc func(context.Context, []model.LeaseRequest) ([]model.Lease, error)

// ledgerKey is what units are counted in.
type ledgerKey struct {
	subscription uint64
	kind         uint8 // model.LedgerQuota and so on
}

// Leaser fetches the units of all quotas of a node. One call to the ledger is
// under way at a time; what is asked for meanwhile goes into the next.
type Leaser struct {
	boot    string
	lease   LeaseFunc
	wake    chan struct{}
	started time.Time // what waits are counted from

	id      model.BootID  // with a stash
	stash   *Stash        // nil: what is held ends with the process
	failing atomic.Bool   // the last call to the ledger failed
	settled chan struct{} // closed when the ledger has been told all that it must

	mu       sync.Mutex
	left     map[ledgerKey]*stashed // units of processes before that no quota has taken over
	tell     []*stashed             // what the ledger has to be told, in this order
	retry    time.Duration          // after which it is told again
	queue    []*Quota
	quotas   map[ledgerKey][]*Quota // open ones: a subscription may go on with another's
	stopping bool                   // only closed quotas may still ask
	over     bool                   // nobody may

	cancel context.CancelFunc // nil: not started
	done   chan struct{}
}

// NewLeaser is a leaser for the node's process boot.
func NewLeaser(boot string, lease LeaseFunc) *Leaser {
	l := &Leaser{boot: boot, lease: lease, started: time.Now(), wake: make(chan struct{}, 1), done: make(chan struct{}), settled: make(chan struct{}), quotas: map[ledgerKey][]*Quota{}}
	close(l.settled)
	return l
}

// NewStashLeaser is a leaser whose quotas keep in s what they do not need at once, and go
// on with what quotas of processes before have left there.
func NewStashLeaser(boot model.BootID, lease LeaseFunc, s *Stash) (*Leaser, error) {
	l := NewLeaser(boot.String(), lease)
	units, tell, err := s.inherit(boot, time.Now().UnixNano())
	if err != nil {
		return nil, err
	}
	l.id, l.stash, l.tell, l.left = boot, s, tell, map[ledgerKey]*stashed{}
	for _, e := range units {
		l.left[e.ledger] = e
	}
	if len(tell) > 0 {
		l.settled = make(chan struct{})
	}
	return l, nil
}

// Settled is closed once the ledger knows what this process and those before have of each
// other's leases. Before, it must not hear that one's journal is in: it would give out
// again what is in use.
func (l *Leaser) Settled() <-chan struct{} { return l.settled }

// Quota is a subscription's quota on this node. It asks for nothing before its
// first call.
func (l *Leaser) Quota(tenant uint32, subscription uint64) *Quota {
	q := &Quota{}
	l.Open(q, tenant, subscription)
	return q
}

// Open makes a zero q what Quota returns.
func (l *Leaser) Open(q *Quota, tenant uint32, subscription uint64) {
	l.open(q, tenant, ledgerKey{subscription, model.LedgerQuota})
}

// Money is the calls that a subscription's money reaches for, on this node; else as
// Quota.
func (l *Leaser) Money(tenant uint32, subscription uint64) *Quota {
	q := &Quota{}
	l.open(q, tenant, ledgerKey{subscription, model.LedgerSpend})
	return q
}

func (l *Leaser) open(q *Quota, tenant uint32, of ledgerKey) {
	q.leaser, q.tenant, q.ledger, q.kind, q.want = l, tenant, of.subscription, of.kind, firstWant
	q.held.Store(shut)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quotas[of] = append(l.quotas[of], q)
	if e := l.left[of]; e != nil {
		delete(l.left, of)
		q.takeOver(e)
	}
}

func (l *Leaser) forget(q *Quota) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(l.quotas[q.key()], func(o *Quota) bool { return o == q })
	if len(left) == 0 {
		delete(l.quotas, q.key())
		return
	}
	l.quotas[q.key()] = left
}

// held is what this node holds of q's ledger at t.
func (l *Leaser) held(q *Quota, t time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for _, o := range l.quotas[q.key()] {
		n += o.holds(t)
	}
	return n
}

// Recall gives back what is held unused of a window. A ledger is answered even by a node
// that does not know it any more.
func (l *Leaser) Recall(r model.Recall) {
	l.mu.Lock()
	of := ledgerKey{r.Subscription, r.Kind}
	qs := slices.Clone(l.quotas[of])
	l.mu.Unlock()
	if len(qs) == 0 {
		q := &Quota{leaser: l, tenant: r.Tenant, ledger: of.subscription, kind: of.kind, closed: true}
		q.held.Store(shut)
		qs = append(qs, q)
	}
	for _, q := range qs {
		q.recall(r.WindowStart.UnixNano())
	}
}

// Keeps says that units of this process's leases are left to the next one. Until the ledger
// has heard who goes on with them, it must not hear that this process's journal is in.
func (l *Leaser) Keeps() bool { return l.stash != nil && l.stash.keeps() }

// Start begins to serve requests until Stop, or until ctx ends. It is called once.
func (l *Leaser) Start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, l.cancel = context.WithCancel(ctx)
	go l.run(ctx)
}

// Reach finds out whether the ledger can be asked. What quotas hold that are closed then
// goes back to it, or else stays in the stash.
func (l *Leaser) Reach(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	_, err := l.lease(ctx, nil)
	l.failing.Store(err != nil)
}

// Stop sends what is queued, such as units given back by closed quotas, and
// ends. When ctx ends first, the call under way is given up. Quotas serve what
// they hold and are unavailable after.
func (l *Leaser) Stop(ctx context.Context) error {
	l.mu.Lock()
	l.stopping = true
	started := l.cancel != nil
	l.over = l.over || !started
	l.mu.Unlock()
	if !started {
		return nil
	}
	l.signal()
	unhook := context.AfterFunc(ctx, l.cancel)
	<-l.done
	if !unhook() {
		return context.Cause(ctx)
	}
	l.cancel()
	return nil
}

// enqueue says whether the quota will get an answer.
func (l *Leaser) enqueue(q *Quota, closed bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.stopping && !closed {
		return false
	}
	l.queue = append(l.queue, q)
	l.signal()
	return true
}

func (l *Leaser) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Leaser) run(ctx context.Context) {
	defer close(l.done)
	for ctx.Err() == nil {
		qs, tell, stop := l.next()
		switch {
		case len(qs)+len(tell) > 0:
			l.serve(ctx, qs, tell)
		case stop:
			return
		default:
			select {
			case <-l.wake:
			case <-ctx.Done():
			}
		}
	}
	l.mu.Lock()
	l.over = true
	qs := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, q := range qs {
		q.answer(model.LeaseRequest{}, model.Lease{}, context.Cause(ctx))
	}
}

// next takes a batch from the queue, and what has to be told with it, or says that none
// will follow.
func (l *Leaser) next() (qs []*Quota, tell []*stashed, stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), batch)
	qs = append(qs, l.queue[:n]...)
	l.queue = l.queue[n:]
	if n > 0 || l.retry == 0 {
		tell = l.tell[:min(len(l.tell), batch)]
	}
	if n == 0 && len(tell) == 0 {
		l.queue = nil
		l.over = l.stopping
		return nil, nil, l.over
	}
	return qs, tell, false
}

func (l *Leaser) serve(ctx context.Context, qs []*Quota, tell []*stashed) {
	now := time.Now()
	reqs := make([]model.LeaseRequest, 0, len(tell)+len(qs))
	for _, e := range tell {
		reqs = append(reqs, model.LeaseRequest{Boot: e.owner.String(), Tenant: e.tenant, Subscription: e.ledger.subscription, Kind: e.ledger.kind,
			At: time.Unix(0, e.start).UTC(), From: e.from.String(), Taken: e.taken})
	}
	for _, q := range qs {
		reqs = append(reqs, q.request(l.boot, now))
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := l.lease(ctx, reqs)
	if err == nil && len(got) != len(reqs) {
		err = model.Errorf(model.Unavailable, "the ledger answered %d of %d requests", len(got), len(reqs))
	}
	l.failing.Store(err != nil)
	if len(tell) > 0 {
		l.heard(tell, err)
	}
	for i, q := range qs {
		var lease model.Lease
		if err == nil {
			lease = got[len(tell)+i]
		}
		q.answer(reqs[len(tell)+i], lease, err)
	}
}

// heard notes that the ledger was told, or tells it again after a while. What no quota has
// taken over by then goes back.
func (l *Leaser) heard(tell []*stashed, err error) {
	l.mu.Lock()
	if err != nil {
		l.retry = min(max(2*l.retry, firstBackoff), lastBackoff)
		time.AfterFunc(l.retry, func() {
			l.mu.Lock()
			l.retry = 0
			l.mu.Unlock()
			l.signal()
		})
		l.mu.Unlock()
		return
	}
	l.retry, l.tell = 0, l.tell[len(tell):]
	if len(l.tell) == 0 {
		l.tell = nil
		close(l.settled)
	}
	var back []*stashed
	for _, e := range tell {
		if l.left[e.ledger] == e {
			delete(l.left, e.ledger)
			back = append(back, e)
		}
	}
	l.mu.Unlock()
	for _, e := range tell {
		l.stash.told(e)
	}
	for _, e := range back {
		q := &Quota{leaser: l, tenant: e.tenant, ledger: e.ledger.subscription, kind: e.ledger.kind, closed: true}
		q.held.Store(shut)
		q.mu.Lock()
		q.giveBack(l.stash.take(e, e.taken), e.start, e.end)
		if q.back.units > 0 {
			q.ask(time.Now())
		}
		q.mu.Unlock()
	}
}
