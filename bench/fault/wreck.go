package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/bench/rig"
)

// killed is how often gateways were killed, and whether every process was.
func (w *world) killed() (gateways int, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all = true
	for _, m := range slices.Concat(w.gateways, w.controls, w.workers) {
		all = all && m.kills > 0
	}
	for _, m := range w.gateways {
		gateways += m.kills
	}
	return gateways, all
}

func (w *world) crashed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crashes
}

// kill ends a process with kill -9 and starts it again.
func (w *world) kill(m *member) (err error) {
	m.process.Kill()
	w.mu.Lock()
	m.kills++
	w.mu.Unlock()
	m.process, err = m.launch()
	return err
}

// killer kills a gateway at random instants, now and then while it is starting.
func (w *world) killer(ctx context.Context, rnd *rand.Rand, m *member, at *target) error {
	for pause(ctx, random(rnd, time.Duration(len(w.gateways))*w.o.killEvery)) {
		for {
			if again, err := w.roomless(ctx, m); again || err != nil {
				if err != nil {
					return err
				}
				break
			}
			if ended(m.process) {
				return fmt.Errorf("%s ended before it was killed\n%s", m.name, m.process.Tail())
			}
			if err := w.kill(m); err != nil {
				return err
			}
			if rnd.IntN(4) > 0 || !pause(ctx, random(rnd, 100*time.Millisecond)) {
				break
			}
		}
		// Not the accidents' context: their end must not leave it half started.
		before := at.served.Load()
		if err := w.up(context.WithoutCancel(ctx), m); err != nil {
			return err
		}
		// What is struck down next has something to lose then, however slow the machine is.
		if !w.serves(ctx, &at.served, before+w.o.calls/1000/int64(len(w.gateways))) {
			break
		}
	}
	return nil
}

// serves waits until so many calls were served, and is false when the accidents end before.
func (w *world) serves(ctx context.Context, served *atomic.Int64, want int64) bool {
	return rig.Poll(ctx, nil, "calls to be served again", func() bool { return served.Load() > want }) == nil
}

// crasher ends Postgres as a crash would, leaves it down for a moment and starts
// it again on the same directory.
func (w *world) crasher(ctx context.Context, rnd *rand.Rand) error {
	for pause(ctx, random(rnd, w.o.crashEvery)) {
		if err := w.tollgate.Postgres.Crash(); err != nil {
			return err
		}
		back := func() error { return nil }
		if w.crashed() == 1 {
			var err error
			if back, err = w.hour(ctx); err != nil {
				return err
			}
		}
		pause(ctx, random(rnd, w.o.outage))
		if err := w.turnBack(); err != nil {
			return err
		}
		if err := errors.Join(w.tollgate.StartPostgres(context.WithoutCancel(ctx)), back()); err != nil {
			return err
		}
		w.mu.Lock()
		w.crashes++
		w.mu.Unlock()
		if !w.serves(ctx, &w.load.served, w.load.served.Load()+w.o.calls/1000) {
			break
		}
	}
	return nil
}

// turnBack copies the files of Postgres at its first crash, and puts them back at its third.
func (w *world) turnBack() error {
	switch n := w.crashed(); {
	case !w.o.restore:
	case n == 0:
		return w.tollgate.Backup()
	case n == 2:
		w.log("Postgres is restored as it was at its first crash")
		return w.tollgate.Restore()
	}
	return nil
}

// keeper kills a control plane or a worker now and then, and starts it again when it ended
// by itself, as a service manager does.
func (w *world) keeper(ctx context.Context, rnd *rand.Rand, m *member) error {
	for {
		again, cancel := context.WithTimeout(ctx, random(rnd, 4*w.o.killEvery))
		select {
		case <-again.Done():
			cancel()
			if ctx.Err() != nil {
				return nil
			}
			if err := w.kill(m); err != nil {
				return err
			}
		case <-m.process.Done():
			cancel()
			w.mu.Lock()
			m.restarts++
			w.mu.Unlock()
			pause(ctx, 200*time.Millisecond) // not in a circle while the database is away
			var err error
			if m.process, err = m.launch(); err != nil {
				return err
			}
		}
		_ = m.ready(ctx, m.process) // not ready, or ended again: the next turn sees to it
	}
}

// random is a time around mean, from nothing to twice of it.
func random(rnd *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(2 * mean)))
}

// part holds a line for a while now and then, and ends that in one of the ways.
func (w *world) part(ctx context.Context, rnd *rand.Rand, n *line) error {
	for pause(ctx, random(rnd, time.Duration(len(w.lines))*w.o.partEvery)) {
		n.hold()
		pause(ctx, random(rnd, w.o.outage))
		n.heal(rnd.IntN(endings))
		w.parted.Add(1)
	}
	return nil
}

// filler fills a gateway's disk now and then.
func (w *world) filler(ctx context.Context, rnd *rand.Rand, d *disk) error {
	for pause(ctx, random(rnd, 4*w.o.killEvery)) {
		if err := d.fill(); err != nil {
			return err
		}
		pause(ctx, random(rnd, w.o.outage))
		if err := d.free(); err != nil {
			return err
		}
		w.filled.Add(1)
	}
	return nil
}

// forgetter kills the counters of hard throttles, which forget everything by it, and lets
// nobody count for a while.
func (w *world) forgetter(ctx context.Context, rnd *rand.Rand) error {
	for pause(ctx, random(rnd, 4*w.o.killEvery)) {
		w.counters.process.Kill()
		w.load.away.Add(1)
		w.counters.kills++
		pause(ctx, random(rnd, w.o.outage))
		w.load.away.Add(1)
		if err := w.counters.start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		w.forgot.Add(1)
	}
	return nil
}

// roomless says that a gateway ended because its disk had no room to start on, and starts
// it again after a while, as a service manager does.
func (w *world) roomless(ctx context.Context, m *member) (bool, error) {
	if m.disk == nil || !ended(m.process) || !strings.Contains(m.process.Tail(), "no room in") {
		return false, nil
	}
	w.mu.Lock()
	m.restarts++
	w.mu.Unlock()
	pause(ctx, 200*time.Millisecond)
	var err error
	m.process, err = m.launch()
	return true, err
}

// up waits until a gateway serves.
func (w *world) up(ctx context.Context, m *member) error {
	for {
		err := m.ready(ctx, m.process)
		if err == nil {
			return nil
		}
		if again, e := w.roomless(ctx, m); !again || e != nil {
			return errors.Join(e, err)
		}
	}
}

func ended(p *rig.Process) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

// smallDisk gives the last gateway a disk that can be filled. Where the right to mount one
// is missing, it says so, and the rest of the run goes on without.
func (w *world) smallDisk(m *member) {
	if !w.o.disks {
		return
	}
	dir := w.rig.Path("disk")
	d, err := newDisk(dir, w.rig.Path("disk.image"))
	if err != nil {
		w.log("NO DISK IS FILLED IN THIS RUN: one cannot be made that is (%v); run as root for it", err)
		w.o.disks = false
		return
	}
	w.rig.OnClose(d.close)
	m.disk = d
	m.node.Keep(dir + "/node")
}

// enough says whether there was every kind of accident, and what is missing.
func (w *world) enough() (bool, string) {
	for _, k := range []struct {
		what       string
		had, least int64
	}{
		{"partitions", w.parted.Load(), 3},
		{"kills of the counters", w.forgot.Load(), 1},
		{"full disks", w.filled.Load(), one(w.o.disks)},
		{"steps of clocks", w.steps.Load(), one(w.o.clocks)},
		{"hours without Postgres", w.hours.Load(), one(w.o.clocks && w.o.crashes > 1 && inMonth(time.Hour))},
		{"mishaps of Stripe", w.till.mishaps.Load(), 3},
		{"restarts of Stripe", w.till.restarts.Load(), one(w.o.calls >= 100_000)},
		{"forged events", w.till.forged.Load(), 1},
		{"looks at meters", w.till.mirrors.Load(), 1},
	} {
		if k.had < k.least {
			return false, fmt.Sprintf("%d %s of %d", k.had, k.what, k.least)
		}
	}
	return true, ""
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
