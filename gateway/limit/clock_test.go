package limit

import (
	"testing"
	"time"
	"unsafe"

	"tollgate/model"
)

// stepped is a reading of the clock after it was set by d: the wall clock shows another
// time, the monotonic one goes on. No function of package time makes such a reading.
func stepped(t *testing.T, now time.Time, d time.Duration) time.Time {
	const secondsAt = 30 // of the first word, under the bit that says that there are two clocks
	words := (*[2]uint64)(unsafe.Pointer(&now))
	if words[0]>>63 != 1 {
		t.Fatal("a reading without a monotonic clock")
	}
	was := now
	words[0] += uint64(int64(d/time.Second) << secondsAt)
	if now.Sub(was) != 0 || now.UnixNano()-was.UnixNano() != int64(d) {
		t.Fatalf("the reading %v is not %v set by %v", now, was, d)
	}
	return now
}

// A clock that was an hour ahead and is set right must not make a node wait for that hour
// until it asks for units that turned up meanwhile. The readings of a synctest bubble have
// no monotonic clock: this one takes the second that an exhausted quota is not asked for.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	g := newLedger(t, 20, model.Month, time.Millisecond)
	q := start(t, "a", g).Quota(1, 1)
	if n, last := drain(t, q); n != 20 || last != Exceeded {
		t.Fatalf("%d, then %d", n, last)
	}
	back := func() time.Time { return stepped(t, time.Now(), -time.Hour) }
	if _, r, ok := q.Try(back()); !ok || r != Exceeded {
		t.Errorf("used up a moment ago: %d %v", r, ok)
	}
	late := time.After(20 * recheck)
	tick := time.NewTicker(recheck / 20)
	defer tick.Stop()
	for {
		if _, _, ok := q.Try(back()); !ok {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("what was used up before the clock was set is still believed to be")
		}
	}
}
