package limit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/model"
)

// Result is what a quota says to a call.
type Result uint8

const (
	Admitted    Result = iota // a unit was taken
	Exceeded                  // the window's units are used up
	Unavailable               // nothing held, and the ledger does not answer: the call must not pass
)

const (
	firstWant = 16      // units asked for at first
	mostWant  = 1 << 20 // and at most
	// hot and cold: after a refill sooner than hot after the one before, twice as
	// much is asked for, after one later than cold half as much.
	hot  = 2 * time.Second
	cold = time.Minute
	// recheck is how soon an exhausted quota is asked for again. With the round
	// trip, a raised limit takes effect within a second.
	recheck = 800 * time.Millisecond
	// patience is how long a call waits for units on their way.
	patience = 2 * time.Second
	// backoff after a failed request doubles from the first to the second.
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
	// recallPatience is how long calls wait for units that other nodes were asked to give
	// back. In between the ledger is asked again: after firstRecall, then twice as late
	// each time, up to lastRecall.
	recallPatience = 300 * time.Millisecond
	firstRecall    = 4 * time.Millisecond
	lastRecall     = 64 * time.Millisecond
	// unlimitedFor is how long an answer without quota and window is believed.
	unlimitedFor = time.Minute
	// endless is what a lease without quota holds.
	endless = 1 << 62
)

// Quota is the part of one subscription's quota, or of what its money reaches for, that
// this node holds. Calls draw
// from the current lease with one atomic step; a Leaser fetches more before it
// is empty, and calls that find nothing wait for the fetch in flight.
type Quota struct {
	lease  atomic.Pointer[lease]
	leaser *Leaser
	tenant uint32
	ledger ledgerKey

	mu      sync.Mutex
	flight  *flight // the request in flight; nil: none
	stale   bool    // the plan has changed since it was sent: its answer is not to be used
	want    int64
	granted time.Time // when the ledger last granted units
	backoff time.Duration
	retry   int64 // before which nothing is asked after a failure, as pace says
	back    giveBack
	closed  bool

	recalled bool        // the ledger waits to hear what is held
	dry      time.Time   // when it began to recall for us; zero: it does not
	pause    *time.Timer // then the request in flight is sent again; nil: it is sent or queued
	pauses   time.Duration
}

// lease is what is left of one window's units on this node. It is never reused
// for another window, so a late call cannot spend what is not its window's.
type lease struct {
	left      atomic.Int64 // below 0: shut, take from and give to another
	low       atomic.Int64 // ask for more when left is not above
	askAt     atomic.Int64 // before which not to ask for more, as pace says
	end       int64        // of the window, unix nanoseconds, exclusive
	until     int64        // as pace says, exclusive, without quota: a clock that is set back makes no minute longer
	exhausted atomic.Int64 // until which the ledger has no more, as pace says; 0: it may have
	start     int64        // of the window
	limit     atomic.Int64 // of the window; below 0: the plan has no quota, and units are not counted
	elsewhere atomic.Int64 // units that other nodes hold or nobody, at the last answer
}

func (l *lease) free() bool { return l.limit.Load() < 0 }

// covers says that units of the lease are for calls at now. A clock that is set back across
// the beginning of a window is in the one before, whose units may be used up.
func (q *Quota) covers(l *lease, now time.Time) bool {
	return l.spans(now.UnixNano()) && (l.until == 0 || q.pace(now) < l.until)
}

func (l *lease) spans(t int64) bool { return l.start <= t && t < l.end }

// flight is one request for units and the calls that wait for it. What it
// brings is theirs first: otherwise calls that come later could keep a waiting
// one waiting.
type flight struct {
	answered chan struct{}
	since    time.Time
	waiting  int64
	units    int64 // put aside for those who waited
	lease    *lease
}

// pace is now for what only waits a while: a wall clock that is set back must not make
// anybody wait for as long. Windows go by the wall clock. It is never 0, which says never.
func (q *Quota) pace(now time.Time) int64 { return int64(now.Sub(q.leaser.started)) + 1 }

// shut is what left is set to so that nobody can draw from a lease again.
const shut = math.MinInt64 / 2

// giveBack is units of one window to be returned to the ledger.
type giveBack struct {
	units      int64
	start, end int64 // of the window
}

// Unit is what an admitted call has drawn, to be given back with Refund if the
// call is refused later. It belongs to one window.
type Unit struct{ lease *lease }

// Warm reads what Try and the bucket's Take are about to need, so that the memory's
// latencies overlap: with 100,000 keys in use none of it is in a cache.
func (q *Quota) Warm(b *Bucket) (warmed int64) {
	f := b.fill.Load()
	if l := q.lease.Load(); l != nil {
		warmed = l.left.Load()
	}
	if f != nil {
		warmed += f.taken.Load()
	}
	return warmed
}

// Take draws a unit for a call at now, the wall clock. It waits, no longer than
// patience or ctx, only when this node holds nothing and may still get some.
func (q *Quota) Take(ctx context.Context, now time.Time) (Unit, Result) {
	if u, r, ok := q.Try(now); ok {
		return u, r
	}
	return q.wait(ctx)
}

// Try is Take without waiting: ok is false when Take would wait.
func (q *Quota) Try(now time.Time) (u Unit, r Result, ok bool) {
	// covers, where a call costs too much.
	if l := q.lease.Load(); l != nil && l.spans(now.UnixNano()) && (l.until == 0 || q.pace(now) < l.until) {
		if left, ok := l.take(); ok {
			if left <= l.low.Load() && q.pace(now) >= l.askAt.Load() {
				q.top(l, now)
			}
			return Unit{l}, Admitted, true
		}
		if until := l.exhausted.Load(); until > 0 && q.pace(now) < until {
			return Unit{}, Exceeded, true
		}
	}
	return Unit{}, Unavailable, false
}

func (l *lease) take() (left int64, ok bool) {
	for {
		n := l.left.Load()
		if n <= 0 {
			return n, false
		}
		if l.left.CompareAndSwap(n, n-1) {
			return n - 1, true
		}
	}
}

// add gives units to the lease unless it is shut.
func (l *lease) add(n int64) bool {
	for {
		left := l.left.Load()
		if left < 0 {
			return false
		}
		if l.left.CompareAndSwap(left, left+n) {
			return true
		}
	}
}

// Refund gives a unit back to the window it was drawn from.
func (q *Quota) Refund(u Unit) {
	if u.lease == nil || u.lease.add(1) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !u.lease.free() {
		q.giveBack(1, u.lease.start, u.lease.end)
	}
	if q.back.units > 0 && (q.closed || q.lease.Load() == nil) {
		q.ask(time.Now())
	}
}

// top asks for more units before those held are used up.
func (q *Quota) top(l *lease, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lease.Load() == l && q.flight == nil && !q.closed && q.pace(now) >= max(l.askAt.Load(), q.retry) {
		l.askAt.Store(math.MaxInt64)
		q.ask(now)
	}
}

// wait is Take when nothing is held.
func (q *Quota) wait(ctx context.Context) (Unit, Result) {
	var timer *time.Timer
	for {
		u, r, f := q.try()
		if f == nil {
			return u, r
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		late := false
		select {
		case <-f.answered:
		case <-timer.C:
			late = true
		case <-ctx.Done():
			late = true
		}
		if u, ok := q.claim(f); ok {
			return u, Admitted
		}
		if late {
			return Unit{}, Unavailable
		}
	}
}

// claim is the unit put aside for a call that waited for f, if there is one.
func (q *Quota) claim(f *flight) (Unit, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flight == f {
		f.waiting--
		return Unit{}, false
	}
	if f.units == 0 {
		return Unit{}, false
	}
	f.units--
	return Unit{f.lease}, q.covers(f.lease, time.Now())
}

// try takes a unit, or knows that there is none to be had, or returns the
// flight to wait for.
func (q *Quota) try() (Unit, Result, *flight) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return Unit{}, Unavailable, nil
	}
	now := time.Now()
	t := q.pace(now)
	l := q.lease.Load()
	if l != nil && q.covers(l, now) {
		if _, ok := l.take(); ok {
			return Unit{l}, Admitted, nil
		}
		if until := l.exhausted.Load(); until > 0 {
			if t < until {
				return Unit{}, Exceeded, nil
			}
			if t-until < int64(recheck) || t < q.retry {
				// Under steady calls the answer of a moment ago holds while
				// one request goes to see whether it still does.
				l.exhausted.Store(t + int64(recheck))
				if t >= q.retry {
					q.ask(now)
				}
				return Unit{}, Exceeded, nil
			}
		}
	}
	if t < q.retry || q.flight != nil && now.Sub(q.flight.since) >= patience {
		return Unit{}, Unavailable, nil
	}
	if !q.ask(now) {
		return Unit{}, Unavailable, nil
	}
	q.flight.waiting++
	return Unit{}, 0, q.flight
}

// ask puts the quota into the leaser's queue unless a request is in flight. It
// says whether there is an answer to wait for. q.mu is held.
func (q *Quota) ask(now time.Time) bool {
	if q.flight != nil {
		if q.recalled || q.closed || q.stale {
			q.again()
		}
		return true
	}
	if !q.leaser.enqueue(q, q.closed) {
		q.retry = q.pace(now.Add(lastBackoff))
		return false
	}
	q.flight = &flight{answered: make(chan struct{}), since: now}
	return true
}

// request is what to send now.
func (q *Quota) request(boot string, now time.Time) model.LeaseRequest {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := model.LeaseRequest{Boot: boot, Tenant: q.tenant, Subscription: q.ledger.subscription, Kind: q.ledger.kind, At: now}
	q.stale = false
	early := false
	if q.back.units > 0 && now.UnixNano() < q.back.end {
		// Sent once, whatever comes of it: a unit lost in a failed request is
		// only missing, a unit returned twice would be spent twice.
		r.Return = q.back.units
		if early = now.UnixNano() < q.back.start; early {
			// The clock was set back. What is for another window goes back to that one;
			// returned to this one, it would be spent once more.
			r.At = time.Unix(0, q.back.start).UTC()
		}
	}
	q.back = giveBack{}
	if !q.closed && !early && (!q.recalled || q.flight.waiting > 0) {
		r.Want = max(q.want, min(q.flight.waiting, mostWant))
	}
	q.recalled = false
	r.Held = q.leaser.held(q, r.At)
	return r
}

// holds is what is left of a lease that is for calls at t.
func (q *Quota) holds(t time.Time) int64 {
	l := q.lease.Load()
	if l == nil || l.free() || !q.covers(l, t) {
		return 0
	}
	return max(l.left.Load(), 0)
}

// answer takes in the reply to a request and wakes those who wait for it.
func (q *Quota) answer(r model.LeaseRequest, got model.Lease, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if err == nil {
		err = check(r, got)
	}
	if err == nil && got.Recalling && got.Granted == 0 && r.Want > 0 && !q.closed && !q.stale && q.await(now) {
		return
	}
	f := q.flight
	q.flight, q.dry = nil, time.Time{}
	close(f.answered)
	switch {
	case err != nil:
		q.failed(now)
	case q.closed || q.stale:
		if r.Want > 0 && !got.Unlimited {
			q.giveBack(got.Granted, got.WindowStart.UnixNano(), got.WindowEnd.UnixNano())
		}
	default:
		q.backoff, q.retry = 0, 0
		if r.Want > 0 {
			q.install(got, now, f)
		}
	}
	if q.recalled || q.back.units > 0 && (err == nil || q.closed) {
		q.ask(now)
	}
}

// await keeps those who wait waiting while other nodes give back what they hold, and says
// whether there is still time for it. q.mu is held.
func (q *Quota) await(now time.Time) bool {
	if q.dry.IsZero() {
		q.dry, q.pauses = now, firstRecall
	}
	if now.Sub(q.dry) >= recallPatience {
		return false
	}
	q.pause = time.AfterFunc(q.pauses, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.again()
	})
	q.pauses = min(2*q.pauses, lastRecall)
	return true
}

// again sends the request that waited. q.mu is held.
func (q *Quota) again() {
	if q.pause == nil {
		return // sent by somebody in a hurry
	}
	q.pause.Stop()
	q.pause = nil
	if q.leaser.enqueue(q, q.closed) {
		return
	}
	f := q.flight
	q.flight, q.dry = nil, time.Time{}
	close(f.answered)
	q.failed(time.Now())
}

// recall gives back what is held of a window, because another node has nothing left to
// serve. That nothing is held is an answer, too.
func (q *Quota) recall(start int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lease.Load(); l != nil && !l.free() && l.start == start {
		q.drop()
		q.want = firstWant
	}
	q.recalled = true
	q.ask(time.Now())
}

func check(r model.LeaseRequest, got model.Lease) error {
	if got.Granted < 0 || !got.Unlimited && r.Want > 0 && (r.At.Before(got.WindowStart) || !r.At.Before(got.WindowEnd)) {
		return model.Errorf(model.Invalid, "the lease of %d units from %s to %s is not for %s", got.Granted, got.WindowStart, got.WindowEnd, r.At)
	}
	return nil
}

func (q *Quota) failed(now time.Time) {
	q.backoff = min(max(2*q.backoff, firstBackoff), lastBackoff)
	q.retry = q.pace(now.Add(q.backoff))
	if l := q.lease.Load(); l != nil {
		l.askAt.Store(q.retry)
	}
}

// install adds what was granted to the lease of its window, or starts that
// window's lease.
func (q *Quota) install(got model.Lease, now time.Time, f *flight) {
	l := &lease{start: got.WindowStart.UnixNano(), end: got.WindowEnd.UnixNano()}
	old := q.lease.Load()
	switch {
	case got.Unlimited:
		l.limit.Store(-1)
		l.start, l.end = math.MinInt64, now.Add(unlimitedFor).UnixNano()
		l.until = q.pace(now.Add(unlimitedFor))
		l.left.Store(endless)
		q.lease.Store(l)
		return
	case old != nil && !old.free() && old.start == l.start && old.end == l.end:
		l = old
		l.exhausted.Store(0)
		l.askAt.Store(0)
	default:
		// Where old is of a later window, the clock was set back.
		q.drop()
		q.lease.Store(l)
	}
	l.limit.Store(got.Limit)
	l.elsewhere.Store(got.Elsewhere)
	f.lease, f.units = l, min(f.waiting, got.Granted)
	l.add(got.Granted - f.units)
	l.low.Store(max(got.Granted, l.left.Load()) / 4)
	if got.Granted == 0 {
		until := q.pace(now.Add(recheck))
		l.exhausted.Store(until)
		l.askAt.Store(until)
		return
	}
	switch since := now.Sub(q.granted); {
	case q.granted.IsZero():
	case since < hot:
		q.want = min(2*q.want, mostWant)
	case since > cold:
		q.want = max(q.want/2, firstWant)
	}
	if f.waiting > f.units {
		q.want = min(max(q.want, 2*f.waiting), mostWant)
	}
	q.granted = now
}

// giveBack keeps units to be returned with the next request. q.mu is held.
func (q *Quota) giveBack(n, start, end int64) {
	if n <= 0 || time.Now().UnixNano() >= end {
		return
	}
	if q.back.end != end {
		q.back = giveBack{start: start, end: end}
	}
	q.back.units += n
}

// Left is the window's limit, what all nodes together have left of it, as far as this one
// heard last, and when it ends, in unix nanoseconds. ok is false while that is not known.
func (q *Quota) Left(now time.Time) (limit, left, end int64, ok bool) {
	l := q.lease.Load()
	if l == nil || l.free() || !q.covers(l, now) {
		return 0, 0, 0, false
	}
	left = max(l.left.Load(), 0) + l.elsewhere.Load()
	if q.pace(now) < l.exhausted.Load() {
		left = 0
	}
	return l.limit.Load(), min(left, l.limit.Load()), l.end, true
}

// Reset forgets what is known because the plan changed: what is held goes back
// to the ledger, and the next call asks anew.
func (q *Quota) Reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
	q.stale = q.flight != nil
	q.retry, q.backoff = 0, 0
	if q.back.units > 0 || q.pause != nil {
		q.ask(time.Now())
	}
}

// Close returns what is held; calls find the quota unavailable from then on.
func (q *Quota) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	q.drop()
	q.leaser.forget(q)
	if q.back.units > 0 || q.pause != nil {
		q.ask(time.Now())
	}
}

// drop shuts the current lease and gives back what it holds.
func (q *Quota) drop() {
	l := q.lease.Swap(nil)
	if l == nil {
		return
	}
	if left := l.left.Swap(shut); !l.free() {
		q.giveBack(left, l.start, l.end)
	}
}
