package limit

import (
	"fmt"
	"testing"
	"testing/synctest"
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
	g.quota.Offset = (time.Now().UTC().Day() + 10) % 27 // no window begins within the hour
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

// "The plan has no quota" is believed for a minute, however the clock is set meanwhile: that
// a quota was added, or a cap set, must not go unheard for as long as the clock went back.
func TestUnlimitedWhenClockSetBack(t *testing.T) {
	t.Parallel()
	g := newLedger(t, 20, model.Month, 0)
	g.free.Store(true)
	q := start(t, "a", g).Quota(1, 1)
	if r := take(t, q); r != Admitted {
		t.Fatalf("without a quota: %d", r)
	}
	for _, c := range []struct {
		passed, step time.Duration
		free         bool
	}{
		{unlimitedFor / 2, 0, true},
		{unlimitedFor / 2, -time.Hour, true},
		{2 * unlimitedFor, 0, false},
		{2 * unlimitedFor, -time.Hour, false},
		{0, time.Hour, false}, // a machine that slept
	} {
		if _, _, ok := q.Try(stepped(t, time.Now().Add(c.passed), c.step)); ok != c.free {
			t.Errorf("%v later on a clock set by %v: let in without asking: %v", c.passed, c.step, ok)
		}
	}
}

// A clock that is set back across the beginning of a window is in the one before, and that
// one's units may be used up: what is held of the later one is not spent on it. It goes back
// to where it came from, and is there when the window begins again.
func TestWindowWhenClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLedger(t, 20, model.Day, time.Millisecond)
		q := start(t, "a", g).Quota(1, 1)
		if n, last := drain(t, q); n != 20 || last != Exceeded {
			t.Fatalf("%d, then %d", n, last)
		}
		// As if it were tomorrow, where the node took 8 units, until a moment ago.
		from, to := g.quota.Window(time.Now().Add(24 * time.Hour))
		tomorrow := window{1, from}
		g.mu.Lock()
		g.out[tomorrow], g.held[fmt.Sprint("a", tomorrow)] = 8, 8
		g.mu.Unlock()
		q.mu.Lock()
		q.drop()
		q.enter(from.UnixNano(), to.UnixNano(), 0, 8, 20)
		q.mu.Unlock()

		if n, last := drain(t, q); n != 0 || last != Exceeded {
			t.Errorf("%d calls beyond the day's quota, then %d", n, last)
		}
		synctest.Wait()
		advance(10 * time.Millisecond)
		g.mu.Lock()
		if out := g.out[tomorrow]; out != 0 {
			t.Errorf("%d units of tomorrow are held", out)
		}
		g.mu.Unlock()
		advance(24 * time.Hour)
		if n, last := drain(t, q); n != 20 || last != Exceeded {
			t.Errorf("the day after: %d, then %d", n, last)
		}
		stop(t, q.leaser)
	})
}
