package gateway

import (
	"testing"
	"time"
)

// Who has the fewest places is next, and then who came first; who gives up is not.
func TestTurns(t *testing.T) {
	turns := newTurns(2)
	const flood, other = 1, 2
	for range 2 {
		if !turns.take(flood, time.Hour) {
			t.Fatal("no place where all are free")
		}
	}
	if turns.take(other, 10*time.Millisecond) {
		t.Fatal("a third of two places")
	}
	got := make(chan uint32, 10)
	wait := func(account uint32, n int) {
		for range n {
			go func() {
				if turns.take(account, time.Hour) {
					got <- account
				}
			}()
		}
		until(t, "them to wait", func() bool {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			waits := 0
			for _, w := range turns.waiting {
				if w.account == account {
					waits++
				}
			}
			return waits == n
		})
	}
	wait(flood, 5)
	wait(other, 2)
	for i, want := range []uint32{other, flood, other, flood, flood, flood, flood} {
		turns.give([]uint32{flood, flood, other, other, flood, flood, flood}[i])
		if who := <-got; who != want {
			t.Errorf("turn %d is %d's, want %d's", i, who, want)
		}
	}
	turns.give(flood)
	turns.give(flood)
	if turns.free != 2 || len(turns.has) != 0 {
		t.Errorf("%d are free, %v have places", turns.free, turns.has)
	}
}
