package gateway

import (
	"slices"
	"sync"
	"time"
)

const (
	// A payload that is read as JSON takes up to sixty times its bytes: those of more than
	// largePayload are worked on by largeAtOnce calls of the node at a time, and those of
	// more than mediumPayload by mediumAtOnce, so that a few of them cannot take the memory
	// of all.
	largePayload  = 1 << 20
	largeAtOnce   = 2
	mediumPayload = 64 << 10
	mediumAtOnce  = 16
)

// turns are the places of those who work on payloads of more than a size. Who has the
// fewest of them is next, and then who came first: an account that has many waiting keeps
// another's call no longer than one of its own takes.
type turns struct {
	mu      sync.Mutex
	free    int
	has     map[uint32]int // places by account; none: it has none
	waiting []*waiter
}

type waiter struct {
	account uint32
	turn    chan struct{} // closed when it has come
}

func newTurns(n int) *turns { return &turns{free: n, has: map[uint32]int{}} }

// take takes a place for an account; false: none came free in time.
func (t *turns) take(account uint32, timeout time.Duration) bool {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.has[account]++
		t.mu.Unlock()
		return true
	}
	w := &waiter{account, make(chan struct{})}
	t.waiting = append(t.waiting, w)
	t.mu.Unlock()
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-w.turn:
		return true
	case <-late.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, w)
	if i < 0 {
		return true // it came at the last moment
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return false
}

// give gives a place back.
func (t *turns) give(account uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has[account]--; t.has[account] == 0 {
		delete(t.has, account)
	}
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	next := 0
	for i, w := range t.waiting {
		if t.has[w.account] < t.has[t.waiting[next].account] {
			next = i
		}
	}
	w := t.waiting[next]
	t.waiting = slices.Delete(t.waiting, next, next+1)
	t.has[w.account]++
	close(w.turn)
}

// heavily does what takes much memory for a payload of n bytes; false: its turn did not
// come in the time that the method has.
func (c *call) heavily(n int, do func()) bool {
	var t *turns
	switch {
	case n > largePayload:
		t = c.g.large
	case n > mediumPayload:
		t = c.g.medium
	default:
		do()
		return true
	}
	account := c.tenant.num
	if !t.take(account, c.run.m.timeout) {
		c.why = "the node was busy with other large bodies for as long as the method has"
		return false
	}
	defer t.give(account)
	do()
	return true
}
