package main

import (
	"net"
	"sync"
	"time"
)

// line carries TCP connections to one place, and can be cut as networks are: while it is
// held nothing passes and nobody is told, as with a cable that is out or a peer that hangs.
type line struct {
	addr, target string
	l            net.Listener
	wg           sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond
	held  bool
	shut  bool
	wires map[*wire]struct{}
}

// wire is one connection through a line.
type wire struct {
	ends [2]net.Conn // who called, and who was called once that is done
	dead bool        // both ends are kept and nothing passes any more: it is half-open
}

// The ends of a partition.
const (
	late    = iota // what was sent meanwhile arrives
	dead           // connections of before stay half-open, and end long after
	snapped        // connections of before are reset
	endings
)

// lingering is for how long a half-open connection stays: a kernel gives up in the end.
const lingering = 20 * time.Second

func startLine(target string) (*line, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &line{addr: l.Addr().String(), target: target, l: l, wires: map[*wire]struct{}{}}
	n.moved = sync.NewCond(&n.mu)
	n.wg.Go(n.accept)
	return n, nil
}

func (n *line) accept() {
	for {
		c, err := n.l.Accept()
		if err != nil {
			return // closed
		}
		w := &wire{ends: [2]net.Conn{c}}
		n.mu.Lock()
		if n.shut {
			n.mu.Unlock()
			c.Close()
			return
		}
		n.wires[w] = struct{}{}
		n.mu.Unlock()
		n.wg.Go(func() { n.carry(w) })
	}
}

// carry takes one connection through, both ways.
func (n *line) carry(w *wire) {
	defer n.reset(w)
	if !n.pass(w) {
		n.sink(w, 0)
		return
	}
	c, err := net.DialTimeout("tcp", n.target, time.Second)
	if err != nil {
		return
	}
	n.mu.Lock()
	w.ends[1] = c
	gone := n.shut
	n.mu.Unlock()
	if gone {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		n.pump(w, 1, 0)
	}()
	n.pump(w, 0, 1)
	<-back
}

// pass waits while the line is held, and is false when the wire is dead.
func (n *line) pass(w *wire) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.held && !n.shut && !w.dead {
		n.moved.Wait()
	}
	return !w.dead
}

func (n *line) pump(w *wire, from, to int) {
	buf := make([]byte, 32<<10)
	for {
		m, err := w.ends[from].Read(buf)
		if !n.pass(w) {
			n.sink(w, from)
			return
		}
		if m > 0 {
			if _, werr := w.ends[to].Write(buf[:m]); werr != nil {
				n.reset(w)
				return
			}
		}
		if err != nil {
			if c, ok := w.ends[to].(*net.TCPConn); ok {
				_ = c.CloseWrite()
			}
			return
		}
	}
}

// sink takes what a dead wire's end sends, until its reset.
func (n *line) sink(w *wire, end int) {
	buf := make([]byte, 4<<10)
	for {
		if _, err := w.ends[end].Read(buf); err != nil {
			break
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for w.dead && !n.shut { // its other end hears nothing of it
		n.moved.Wait()
	}
}

// reset ends a wire at both ends at once.
func (n *line) reset(w *wire) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.wires, w)
	w.dead = false
	for _, c := range w.ends {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
			_ = t.Close()
		}
	}
	n.moved.Broadcast()
}

// hold lets nothing pass from now on.
func (n *line) hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = true
}

// heal ends a partition in one of the ways, and says how many connections it met.
func (n *line) heal(how int) int {
	n.mu.Lock()
	n.held = false
	met := make([]*wire, 0, len(n.wires))
	for w := range n.wires {
		met = append(met, w)
		w.dead = w.dead || how == dead
	}
	n.moved.Broadcast()
	n.mu.Unlock()
	switch how {
	case snapped:
		for _, w := range met {
			n.reset(w)
		}
	case dead:
		time.AfterFunc(lingering, func() {
			for _, w := range met {
				n.reset(w)
			}
		})
	}
	return len(met)
}

func (n *line) close() {
	n.mu.Lock()
	n.shut = true
	all := make([]*wire, 0, len(n.wires))
	for w := range n.wires {
		all = append(all, w)
	}
	n.mu.Unlock()
	n.l.Close()
	for _, w := range all {
		n.reset(w)
	}
	n.wg.Wait()
}
