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
	// parts of what was granted are taken out of the stash, one after the other, each of
	// leastPart units at least: it costs a call as much as it saves the next process units.
	parts     = 8
	leastPart = 4
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
	// leftBits of what a quota holds are units. Above them is a version that every lease
	// raises, so that a late call cannot spend what is not its window's (it would have to
	// stand still between two instructions for exactly 2^20 leases).
	leftBits = 44
	leftMask = 1<<leftBits - 1
	// shut stands in place of the units where there is no lease.
	shut = leftMask
	// endless is what a lease without quota holds; it is never asked to be filled up.
	endless = 1 << (leftBits - 1)
	never   = -1
)

// Quota is the part of one subscription's quota, or of what its money reaches for, that
// this node holds: a lease of some units of one window. Calls draw from it with one atomic
// step; a Leaser fetches more before it is empty, and calls that find nothing wait for the
// fetch in flight. What a call needs lies together at the beginning.
type Quota struct {
	held      atomic.Uint64 // the lease's version and the units left: see leftBits
	start     atomic.Int64  // of the window, unix nanoseconds
	end       atomic.Int64  // of the window, exclusive
	low       atomic.Int64  // ask for more when left is not above; never: the plan has no quota, and units are not counted
	exhausted atomic.Int64  // until which the ledger has no more, as pace says; 0: it may have
	askAt     atomic.Int64  // before which not to ask for more, as pace says
	limit     atomic.Int64  // of the window; without quota until when that is believed, as pace says: a clock that is set back makes no minute longer
	elsewhere atomic.Int64  // units that other nodes hold or nobody, at the last answer
	leaser    *Leaser
	ledger    uint64 // the subscription whose units are counted; see kind
	tenant    uint32
	want      int32 // units to ask for

	mu       sync.Mutex
	flight   *flight // the request in flight; nil: none
	granted  int64   // when the ledger last granted units, as pace says; 0: it has not
	retry    int64   // before which nothing is asked after a failure, as pace says
	back     giveBack
	kept     atomic.Pointer[kept] // nil: nothing was ever in the stash
	kind     uint8                // model.LedgerQuota and so on
	stale    bool                 // the plan has changed since the request was sent: its answer is not to be used
	closed   bool
	recalled bool  // the ledger waits to hear what is held
	backoff  int32 // nanoseconds, lastBackoff at most
}

// kept is what a quota has in the stash.
type kept struct {
	rest  atomic.Int64 // units of the window, as in the stash
	at    *stashed     // nil: none yet
	part  int64        // of them to have at hand at a time
	spare int64        // more are asked for when there are no more than that in all
}

// flight is one request for units and the calls that wait for it. What it
// brings is theirs first: otherwise calls that come later could keep a waiting
// one waiting.
type flight struct {
	answered chan struct{}
	since    time.Time
	waiting  int64
	units    int64 // put aside for those who waited
	of       Unit  // what each of them is

	dry    time.Time   // when the ledger began to recall for us; zero: it does not
	pause  *time.Timer // then the request is sent again; nil: it is sent or queued
	pauses time.Duration
}

// pace is now for what only waits a while: a wall clock that is set back must not make
// anybody wait for as long. Windows go by the wall clock. It is never 0, which says never.
func (q *Quota) pace(now time.Time) int64 { return int64(now.Sub(q.leaser.started)) + 1 }

// giveBack is units of one window to be returned to the ledger.
type giveBack struct {
	units      int64
	start, end int64 // of the window
}

// Unit is what an admitted call has drawn, to be given back with Refund if the
// call is refused later. It belongs to one window. The zero Unit is nothing.
type Unit struct {
	start, end int64 // of the window; 0: no units are counted
}

// covers says that the unit is for calls at t. A clock that is set back across the beginning
// of a window is in the one before, whose units may be used up.
func (u Unit) covers(t int64) bool { return u.start <= t && t < u.end }

// Warm reads what Try and the bucket's Take are about to need, so that the memory's
// latencies overlap: with 100,000 keys in use none of it is in a cache.
func (q *Quota) Warm(b *Bucket) (warmed uint64) { return q.held.Load() + b.level.Load() }

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
	u, was, ok := q.draw(now)
	if ok {
		if left := int64(was&leftMask) - 1; left <= q.low.Load() && q.pace(now) >= q.askAt.Load() {
			q.top(now)
		}
		return u, Admitted, true
	}
	if was&leftMask == 0 {
		until := q.exhausted.Load()
		if until > 0 && q.pace(now) < until && q.same(was) {
			return Unit{}, Exceeded, true
		}
	}
	return Unit{}, Unavailable, false
}

// draw takes a unit of the window that now is in. was is what was held before; shut:
// nothing for now.
func (q *Quota) draw(now time.Time) (u Unit, was uint64, ok bool) {
	t := now.UnixNano()
	for {
		was = q.held.Load()
		low := q.low.Load()
		u = Unit{q.start.Load(), q.end.Load()}
		switch {
		case was&leftMask == shut || !u.covers(t) || low == never && q.pace(now) >= q.limit.Load():
			return Unit{}, shut, false
		case was&leftMask == 0:
			return Unit{}, was, false
		case q.held.CompareAndSwap(was, was-1): // so the window is still that of u and low
			if low == never {
				u = Unit{}
			}
			return u, was, true
		}
	}
}

// same says that the lease is the one of which something was held: what was read meanwhile
// belongs to it.
func (q *Quota) same(was uint64) bool { return q.held.Load()>>leftBits == was>>leftBits }

// open says that there is a lease. q.mu is held, where the answer is to last.
func (q *Quota) open() bool { return q.held.Load()&leftMask != shut }

// counted says that there is a lease whose units are counted.
func (q *Quota) counted() bool { return q.open() && q.low.Load() != never }

// add gives n units to the lease of the window until end, as many as there is room for;
// none if it is not held any more.
func (q *Quota) add(n, end int64) (added int64) {
	for {
		was := q.held.Load()
		if was&leftMask == shut || q.end.Load() != end {
			return 0
		}
		added = min(n, shut-1-int64(was&leftMask))
		if q.held.CompareAndSwap(was, was+uint64(added)) {
			return added
		}
	}
}

// Refund gives a unit back to the window it was drawn from.
func (q *Quota) Refund(u Unit) {
	if u.end == 0 || q.add(1, u.end) == 1 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.giveBack(1, u.start, u.end)
	if q.back.units > 0 && (q.closed || !q.open()) {
		q.ask(time.Now())
	}
}

// top has more units at hand before those are used up: of the stash, and of the ledger when
// that has few.
func (q *Quota) top(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.counted() || q.closed {
		return
	}
	k := q.kept.Load()
	if k != nil && int64(q.held.Load()&leftMask) <= q.low.Load() {
		q.unstash()
	}
	if k != nil && k.rest.Load() > 0 {
		if int64(q.held.Load()&leftMask)+k.rest.Load() > k.spare {
			return
		}
	}
	if q.flight == nil && q.pace(now) >= max(q.askAt.Load(), q.retry) {
		if q.rest() == 0 { // else there is more to have at hand
			q.askAt.Store(math.MaxInt64)
		}
		q.ask(now)
	}
}

// key is what the quota's units are counted in.
func (q *Quota) key() ledgerKey { return ledgerKey{q.ledger, q.kind} }

// rest is what the stash has of the window.
func (q *Quota) rest() int64 {
	if k := q.kept.Load(); k != nil {
		return k.rest.Load()
	}
	return 0
}

// takeOver goes on with what a process before has left. q is not in use yet.
func (q *Quota) takeOver(e *stashed) {
	k := &kept{at: e, part: max(e.units/parts, leastPart), spare: e.units / 4}
	k.rest.Store(e.units)
	q.kept.Store(k)
	q.enter(e.start, e.end, 0, 0, e.limit)
}

// putAway leaves units of the current window in the stash, for now and for whoever comes
// after this process, and says how many. q.mu is held.
func (q *Quota) putAway(n, start, end, limit int64) (put int64) {
	if q.leaser.stash == nil || n <= 0 {
		return 0
	}
	k := q.kept.Load()
	if k == nil {
		k = &kept{}
		q.kept.Store(k)
	}
	if k.at == nil || k.at.start != start {
		k.at = &stashed{tenant: q.tenant, ledger: q.key(), start: start, end: end, limit: limit, owner: q.leaser.id}
	}
	put = q.leaser.stash.change(k.at, n)
	k.rest.Add(put)
	return put
}

// unstash has the next part of the stash at hand, and says whether there was one. q.mu is
// held.
func (q *Quota) unstash() bool {
	k := q.kept.Load()
	if k == nil || k.rest.Load() == 0 || !q.counted() {
		return false
	}
	n := q.leaser.stash.take(k.at, k.part)
	k.rest.Add(-n)
	q.giveBack(n-q.add(n, k.at.end), k.at.start, k.at.end)
	return n > 0
}

// unstashAll takes out all of it. q.mu is held.
func (q *Quota) unstashAll() int64 {
	k := q.kept.Load()
	if k == nil || k.rest.Load() == 0 {
		return 0
	}
	n := q.leaser.stash.take(k.at, k.rest.Load())
	k.rest.Store(0)
	k.at = nil // what could not be taken out is the next process's
	return n
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
	return f.of, f.of.covers(time.Now().UnixNano())
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
	u, was, ok := q.draw(now)
	if ok {
		return u, Admitted, nil
	}
	if was&leftMask == 0 {
		if q.unstash() {
			if u, _, ok = q.draw(now); ok {
				return u, Admitted, nil
			}
		}
		if until := q.exhausted.Load(); until > 0 {
			if t < until {
				return Unit{}, Exceeded, nil
			}
			if t-until < int64(recheck) || t < q.retry {
				// Under steady calls the answer of a moment ago holds while
				// one request goes to see whether it still does.
				q.exhausted.Store(t + int64(recheck))
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
	r := model.LeaseRequest{Boot: boot, Tenant: q.tenant, Subscription: q.ledger, Kind: q.kind, At: now}
	q.stale = false
	early := false
	if q.back.units > 0 && now.UnixNano() < q.back.end {
		// Sent once, whatever comes of it: a unit lost in a failed request is
		// only missing, a unit returned twice would be spent twice.
		r.Return, r.ReturnOf = q.back.units, time.Unix(0, q.back.start).UTC()
		if early = now.UnixNano() < q.back.start; early {
			// The clock was set back. What is for another window goes back to that one;
			// returned to this one, it would be spent once more.
			r.At = time.Unix(0, q.back.start).UTC()
		}
	}
	q.back = giveBack{}
	if !q.closed && !early && (!q.recalled || q.flight.waiting > 0) {
		r.Want = max(int64(q.want), min(q.flight.waiting, mostWant))
	}
	q.recalled = false
	r.Held = q.leaser.held(q, r.At)
	return r
}

// holds is what is left of a lease that is for calls at t.
func (q *Quota) holds(t time.Time) int64 {
	for {
		was := q.held.Load()
		none := was&leftMask == shut || q.low.Load() == never || !Unit{q.start.Load(), q.end.Load()}.covers(t.UnixNano())
		switch {
		case !q.same(was):
		case none:
			return 0
		default:
			return int64(was&leftMask) + q.rest()
		}
	}
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
	q.flight = nil
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
	f := q.flight
	if f.dry.IsZero() {
		f.dry, f.pauses = now, firstRecall
	}
	if now.Sub(f.dry) >= recallPatience {
		return false
	}
	f.pause = time.AfterFunc(f.pauses, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.again()
	})
	f.pauses = min(2*f.pauses, lastRecall)
	return true
}

// paused says that the request in flight waits to be sent again. q.mu is held.
func (q *Quota) paused() bool { return q.flight != nil && q.flight.pause != nil }

// again sends the request that waited. q.mu is held.
func (q *Quota) again() {
	if !q.paused() {
		return // sent by somebody in a hurry
	}
	f := q.flight
	f.pause.Stop()
	f.pause = nil
	if q.leaser.enqueue(q, q.closed) {
		return
	}
	q.flight = nil
	close(f.answered)
	q.failed(time.Now())
}

// recall gives back what is held of a window, because another node has nothing left to
// serve. That nothing is held is an answer, too.
func (q *Quota) recall(start int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.counted() && q.start.Load() == start {
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
	q.backoff = int32(min(max(2*int64(q.backoff), int64(firstBackoff)), int64(lastBackoff)))
	q.retry = q.pace(now.Add(time.Duration(q.backoff)))
	q.askAt.Store(q.retry)
}

// install adds what was granted to the lease of its window, or starts that
// window's lease.
func (q *Quota) install(got model.Lease, now time.Time, f *flight) {
	start, end := got.WindowStart.UnixNano(), got.WindowEnd.UnixNano()
	switch {
	case got.Unlimited:
		q.unstashAll()
		until := now.Add(unlimitedFor)
		q.enter(math.MinInt64, until.UnixNano(), never, endless, q.pace(until))
		return
	case q.counted() && q.start.Load() == start && q.end.Load() == end:
		q.exhausted.Store(0)
		q.askAt.Store(0)
	default:
		// Where the old one is of a later window, the clock was set back.
		q.drop()
		q.enter(start, end, 0, 0, got.Limit)
	}
	q.limit.Store(got.Limit)
	q.elsewhere.Store(got.Elsewhere)
	f.of, f.units = Unit{start, end}, min(f.waiting, got.Granted)
	rest := got.Granted - f.units
	all := max(got.Granted, rest+int64(q.held.Load()&leftMask)+q.rest())
	part, low := max(all/parts, leastPart), all/4
	if rest >= 2*part {
		rest -= q.putAway(rest-part, start, end, got.Limit)
	}
	q.giveBack(rest-q.add(rest, end), start, end)
	if k := q.kept.Load(); k != nil && k.rest.Load() > 0 {
		k.part, k.spare = part, low+part // it is looked at when a part is nearly used up
		low = part / 4
	}
	q.low.Store(low)
	if got.Granted == 0 {
		until := q.pace(now.Add(recheck))
		if q.rest() == 0 {
			q.exhausted.Store(until)
		}
		q.askAt.Store(until)
		return
	}
	switch since := time.Duration(q.pace(now) - q.granted); {
	case q.granted == 0:
	case since < hot:
		q.want = min(2*q.want, mostWant)
	case since > cold:
		q.want = max(q.want/2, firstWant)
	}
	if f.waiting > f.units {
		q.want = int32(min(max(int64(q.want), 2*f.waiting), mostWant))
	}
	q.granted = q.pace(now)
}

// enter starts the lease of a window. What was left of the one before is gone. q.mu is
// held.
func (q *Quota) enter(start, end, low, left, limit int64) {
	version, _ := q.leave()
	q.start.Store(start)
	q.end.Store(end)
	q.low.Store(low)
	q.limit.Store(limit)
	q.exhausted.Store(0)
	q.askAt.Store(0)
	q.held.Store(version | uint64(left))
}

// leave ends the current lease: nobody can draw from it again. version is that of the
// next, left what it held. q.mu is held.
func (q *Quota) leave() (version uint64, left int64) {
	version = (q.held.Load()>>leftBits + 1) << leftBits
	return version, int64(q.held.Swap(version|shut) & leftMask)
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
	q.mu.Lock()
	defer q.mu.Unlock()
	of := Unit{q.start.Load(), q.end.Load()}
	if !q.counted() || !of.covers(now.UnixNano()) {
		return 0, 0, 0, false
	}
	limit = q.limit.Load()
	left = int64(q.held.Load()&leftMask) + q.rest() + q.elsewhere.Load()
	if q.pace(now) < q.exhausted.Load() {
		left = 0
	}
	return limit, min(left, limit), of.end, true
}

// Reset forgets what is known because the plan changed: what is held goes back
// to the ledger, and the next call asks anew.
func (q *Quota) Reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
	q.stale = q.flight != nil
	q.retry, q.backoff = 0, 0
	if q.back.units > 0 || q.paused() {
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
	if q.back.units > 0 || q.paused() {
		q.ask(time.Now())
	}
}

// drop leaves the current lease and gives back what it holds; where the ledger cannot be
// told, a process that ends leaves it to the next. q.mu is held.
func (q *Quota) drop() {
	start, end := q.start.Load(), q.end.Load()
	_, left := q.leave()
	if left == shut || q.low.Load() == never {
		return
	}
	if q.closed && q.leaser.failing.Load() {
		q.putAway(left, start, end, q.limit.Load())
		return
	}
	q.giveBack(left+q.unstashAll(), start, end)
}
