package journal

import (
	"cmp"
	"slices"

	"tollgate/model"
)

// lineKey is all in which calls of one usage line agree.
type lineKey struct {
	hour                              int32
	tenant, stage, method, key, terms uint32
	subscription                      uint64
	status, flags                     uint16
	//lint:ignore U1000 named, so that the key is compared and hashed as plain memory
	pad uint32
}

// tally sums records into usage lines. It is reused from cut to cut.
type tally struct {
	index   map[lineKey]int32
	lines   []model.UsageLine
	out     []model.UsageLine
	lastKey lineKey
	lastAt  int32
	first   int64
	last    int64
	open    map[uint64]chain // long calls without an END yet, by call number
}

// chain is a long call's latest record and where it is.
type chain struct {
	shard int
	pos   uint64
	rec   Record
}

func newTally() *tally {
	return &tally{index: map[lineKey]int32{}, open: map[uint64]chain{}}
}

// reset forgets the sums, not the long calls.
func (t *tally) reset() {
	clear(t.index)
	t.lines = t.lines[:0]
	t.first, t.last = 0, 0
}

const microsPerHour = 3600 * 1e6

// call adds one whole call to its line.
func (t *tally) call(r *Record) {
	k := lineKey{
		hour: int32(floorDiv(r.Time, microsPerHour)), tenant: r.Tenant, stage: r.Stage, method: r.Method,
		key: r.Key, terms: r.Terms, subscription: r.Subscription, status: r.Status, flags: uint16(r.Flags),
	}
	i := t.lastAt
	if len(t.lines) == 0 || k != t.lastKey {
		var ok bool
		if i, ok = t.index[k]; !ok {
			i = int32(len(t.lines))
			t.index[k] = i
			t.lines = append(t.lines, model.UsageLine{
				Hour: int64(k.hour), Tenant: k.tenant, Stage: k.stage, Method: k.method, Key: k.key,
				Terms: k.terms, Subscription: k.subscription, Status: k.status, Flags: k.flags,
			})
		}
		t.lastKey, t.lastAt = k, i
	}
	l := &t.lines[i]
	l.Calls++
	l.BytesIn += r.BytesIn
	l.BytesOut += r.BytesOut
	l.Micros += uint64(r.Duration)
	if t.first == 0 || r.Time < t.first {
		t.first = r.Time
	}
	t.last = max(t.last, r.Time)
}

// floorDiv rounds towards the past, also before 1970.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// note keeps track of the long calls; it reports whether the record is a whole call.
func (t *tally) note(shard int, pos uint64, r *Record) bool {
	switch r.Kind {
	case Start, Progress:
		t.open[r.Call] = chain{shard, pos, *r}
		return false
	case End:
		delete(t.open, r.Call)
	}
	return true
}

// abandon counts every long call still open as aborted, at its totals so far, and
// not before a time already promised to be complete.
func (t *tally) abandon(watermark int64) {
	for _, c := range t.open {
		r := c.rec
		r.Flags |= uint8(model.FlagAborted)
		r.Time = max(r.Time, watermark)
		t.call(&r)
	}
	clear(t.open)
}

// pinned is the first position of a shard that a long call still needs, or none.
func (t *tally) pinned(shard int) uint64 {
	least := ^uint64(0)
	for _, c := range t.open {
		if c.shard == shard {
			least = min(least, c.pos)
		}
	}
	return least
}

// sorted gives the lines in one order for one content, so that sealing the same
// records again gives the same bytes, and inserts follow an index. The tally can
// go on; the next call of sorted reuses what this one returned.
func (t *tally) sorted() []model.UsageLine {
	t.out = append(t.out[:0], t.lines...)
	slices.SortFunc(t.out, func(a, b model.UsageLine) int {
		return cmp.Or(
			cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Stage, b.Stage),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Terms, b.Terms), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Flags, b.Flags))
	})
	return t.out
}
