package limit

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/model"
)

// life is a process of a node, with one quota.
type life struct {
	*Leaser
	stash *Stash
	q     *Quota
	used  int64
	taken int
}

func boot(n int) (b model.BootID) {
	binary.BigEndian.PutUint64(b[8:], uint64(n)+1)
	return b
}

func live(t testing.TB, path string, n int, g *ledger) *life {
	t.Helper()
	s, err := OpenStash(path)
	if err != nil {
		t.Fatal(err)
	}
	if s == nil && runtime.GOOS != "linux" {
		t.Skip("this system does not say which run it is")
	}
	l, err := NewStashLeaser(boot(n), g.lease, s)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(t.Context())
	return &life{l, s, l.Quota(1, 1), 0, 0}
}

func (l *life) take(t testing.TB) bool {
	u, r := l.q.Take(t.Context(), time.Now())
	if r == Admitted {
		l.used++
		if l.taken++; l.taken%7 == 0 { // refused by a later step
			l.used--
			l.q.Refund(u)
		}
	}
	return r == Admitted
}

// kill ends the process as kill -9 does: nothing is given back.
func (l *life) kill(t testing.TB) {
	l.cancel()
	<-l.done
	if err := l.stash.Close(); err != nil {
		t.Error(err)
	}
}

func (l *life) settled() bool {
	select {
	case <-l.Settled():
		return true
	default:
		return false
	}
}

// A process that follows a killed one goes on with its units while the ledger is away, and
// all of them together use what there is, neither more nor less.
func TestStash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "leases")
		g := newLedger(t, 1000, model.Month, time.Millisecond)
		g.half = true
		start, _ := g.quota.Window(time.Now())
		w := window{1, start}
		a := live(t, path, 0, g)
		for a.used < 100 {
			a.take(t)
		}
		held := g.held[fmt.Sprint(boot(0).String(), w)] - a.used
		a.kill(t)

		g.down.Store(true)
		b := live(t, path, 1, g)
		for b.take(t) {
		}
		if b.used < held/2 || b.used > held {
			t.Errorf("%d calls were let in of the %d units that were held", b.used, held)
		}
		if b.settled() {
			t.Error("the ledger has not been told, and the journals may be handed in")
		}
		total := a.used + b.used

		g.down.Store(false)
		<-b.Settled()
		g.settle(boot(0).String(), w, a.used)
		advance(2 * lastBackoff)
		for b.take(t) {
		}
		if got := a.used + b.used; got != 1000 {
			t.Errorf("%d calls of 1000 were let in, %d of them before the ledger was back", got, total)
		}
		b.q.Close()
		stop(t, b.Leaser)
	})
}

// Whatever happens to processes and to the ledger.
func TestStashSurvives(t *testing.T) {
	for seed := range uint64(200) {
		if os.Getenv("DBG") != "" {
			fmt.Println("SEED", seed)
		}
		synctest.Test(t, func(t *testing.T) { survive(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func survive(t *testing.T, rnd *rand.Rand) {
	path := filepath.Join(t.TempDir(), "leases")
	limit := []int64{20, 100, 1000, 30_000}[rnd.IntN(4)]
	g := newLedger(t, limit, model.Month, time.Millisecond)
	g.half = rnd.IntN(2) == 0
	start, _ := g.quota.Window(time.Now())
	w := window{1, start}
	var past []*life
	total := func() (n int64) {
		for _, l := range past {
			n += l.used
		}
		return n
	}
	settle := func() { // journals are in once the ledger knows
		if l := past[len(past)-1]; l.settled() {
			for i, o := range past[:len(past)-1] {
				if !g.over[boot(i).String()] {
					g.settle(boot(i).String(), w, o.used)
				}
			}
		}
	}
	for n := range 1 + rnd.IntN(6) {
		l := live(t, path, n, g)
		if os.Getenv("DBG") != "" {
			fmt.Println("live", n, "down", g.down.Load(), "tell", len(l.tell))
			for _, e := range l.tell {
				fmt.Printf("  tell owner %s from %s taken %d units %d slot %d\n", e.owner.String()[34:], e.from.String()[34:], e.taken, e.units, e.slot)
			}
		}
		past = append(past, l)
		for range rnd.IntN(8) {
			switch rnd.IntN(6) {
			case 0:
				g.down.Store(!g.down.Load())
			case 1:
				advance(time.Duration(rnd.IntN(3)) * lastBackoff)
				settle()
			case 2:
				l.Recall(model.Recall{Tenant: 1, Subscription: 1, WindowStart: start})
			case 3:
				l.q.Reset()
			default:
				for range rnd.IntN(int(limit/4) + 5) {
					l.take(t)
				}
			}
		}
		if total() > limit {
			t.Fatalf("%d calls of %d", total(), limit)
		}
		if rnd.IntN(4) == 0 { // it ends in order
			l.q.Close()
			stop(t, l.Leaser)
			if err := l.stash.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		l.kill(t)
	}
	g.down.Store(false)
	l := live(t, path, len(past), g)
	past = append(past, l)
	<-l.Settled()
	settle()
	advance(2 * lastBackoff)
	for range 10 * limit {
		if !l.take(t) {
			break
		}
	}
	if total() != limit {
		t.Fatalf("%d calls of %d", total(), limit)
	}
	l.q.Close()
	stop(t, l.Leaser)
}

// A file of another run of the system is not believed, nor is a slot that is damaged.
func TestStashIsOfThisRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	now := time.Now()
	write := func(n int) {
		s, err := OpenStash(path)
		if err != nil || s == nil {
			t.Fatal(err)
		}
		for i := range n {
			e := &stashed{tenant: 1, ledger: ledgerKey{uint64(i + 1), 0}, start: now.Add(-time.Hour).UnixNano(), end: now.Add(time.Hour).UnixNano(), owner: boot(0)}
			if got := s.change(e, 10); got != 10 {
				t.Fatalf("%d units were put away", got)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	left := func() int {
		s, err := OpenStash(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return len(s.left)
	}
	damage := func(at int64) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{0xff}, at); err != nil {
			t.Fatal(err)
		}
	}
	write(3)
	if n := left(); n != 3 {
		t.Errorf("%d slots of 3", n)
	}
	damage(slotSize + 20)
	if n := left(); n != 2 {
		t.Errorf("%d slots of 3, one of them damaged", n)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "leases")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenStash(copied); err != nil || len(s.left) != 0 {
		t.Errorf("a copy has %d slots: %v", len(s.left), err)
	}
	damage(int64(len(stashMagic)) + 3) // the name of the run
	if n := left(); n != 0 {
		t.Errorf("%d slots of another run of the system", n)
	}
	write(1)
	if n := left(); n != 1 {
		t.Errorf("%d slots of 1", n)
	}
}

// Where there is no room to write down both whose units were and whose they are, nobody
// goes on with them; and what the ledger has to be told is told, after the machine was
// started again, too.
func TestStashTells(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	now := time.Now()
	const slots = 31
	inherit := func(n int, most int32) (units, tell int) {
		t.Helper()
		s, err := OpenStash(path)
		if err != nil || s == nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.most = most
		u, told, err := s.inherit(boot(n), now.UnixNano())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range told {
			if e.from == (model.BootID{}) || e.taken != 10 {
				t.Errorf("told: %+v", e)
			}
		}
		return len(u), len(told)
	}
	want := func(what string, units, tell, wantUnits, wantTell int) {
		t.Helper()
		if units != wantUnits || tell != wantTell {
			t.Errorf("%s: %d units, %d to tell; not %d, %d", what, units, tell, wantUnits, wantTell)
		}
	}
	another := func() { // run of the machine
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{0xff}, int64(len(stashMagic))+3); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenStash(path)
	if err != nil || s == nil {
		t.Fatal(err)
	}
	for i := range uint64(slots) {
		e := &stashed{tenant: 1, ledger: ledgerKey{i + 1, 0}, start: now.Add(-time.Hour).UnixNano(), end: now.Add(time.Hour).UnixNano(), owner: boot(0)}
		if s.change(e, 10) != 10 {
			t.Fatal("nothing was put away")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	u, told := inherit(1, maxSlots)
	want("the second process", u, told, slots, slots)
	another()
	u, told = inherit(2, maxSlots)
	want("after another start of the machine", u, told, 0, slots)
	u, told = inherit(3, maxSlots)
	want("and nobody was told", u, told, 0, slots)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, err = OpenStash(path)
	if err != nil {
		t.Fatal(err)
	}
	e := &stashed{tenant: 1, ledger: ledgerKey{1, 0}, start: now.Add(-time.Hour).UnixNano(), end: now.Add(time.Hour).UnixNano(), owner: boot(0)}
	if s.change(e, 10) != 10 || s.Close() != nil {
		t.Fatal("nothing was put away")
	}
	u, told = inherit(1, 2)
	want("in place", u, told, 1, 1)
	u, told = inherit(2, 2)
	want("without room for another slot", u, told, 0, 1)
	u, told = inherit(3, 2)
	want("told again", u, told, 0, 1)
}
