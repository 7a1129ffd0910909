package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"tollgate/bench/rig"
)

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
		{"mishaps of Stripe", w.till.mishaps.Load(), 3},
		{"restarts of Stripe", w.till.restarts.Load(), one(w.o.calls >= 100_000)},
		{"forged events", w.till.forged.Load(), 3},
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
