package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/bench/rig"
	"tollgate/gateway/journal"
)

// Where the parts meet: the feed's path for usage, and the journal's folder in a
// node's data directory.
const (
	usagePath     = "/feed/v1/batches"
	journalFolder = "journal"
)

// world is everything a run starts.
type world struct {
	o   options
	log func(format string, a ...any)

	rig      *rig.Rig
	tollgate *rig.Tollgate
	relay    *relay
	load     *load
	books    *books
	till     *till
	api      string
	addrs    []string // of the control planes

	gateways []*member
	controls []*member
	workers  []*member
	counters *member // of hard throttles
	lines    []*line
	clocks   []*clock // of the gateways

	mu      sync.Mutex
	crashes int

	fast  sync.RWMutex // held while an hour passes within seconds
	began time.Time    // the load

	// What happened, by kind.
	parted, filled, forgot, steps, hours atomic.Int64

	fail context.CancelCauseFunc
}

// member is a process that is killed and started again.
type member struct {
	name   string
	launch func() (*rig.Process, error)
	ready  func(context.Context, *rig.Process) error
	node   *rig.Node // of a gateway
	disk   *disk     // that can be filled; nil: it is the machine's own

	process  *rig.Process
	kills    int
	restarts int // it ended by itself, as it may when its database does
}

func (m *member) start(ctx context.Context) (err error) {
	if m.process, err = m.launch(); err != nil {
		return err
	}
	return m.ready(ctx, m.process)
}

// run is one whole experiment. The tally is nil when it did not come that far.
func run(ctx context.Context, o options, log func(string, ...any)) (*tally, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := rig.New()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w := &world{o: o, log: log, rig: r, fail: cancel}
	t, err := w.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // what ended the run, not what the end looked like
	}
	if w.relay != nil {
		w.relay.close()
	}
	if w.till != nil {
		w.till.close()
	}
	for _, n := range w.lines {
		n.close()
	}
	if w.books != nil {
		w.books.close()
	}
	return t, err
}

func (w *world) run(ctx context.Context) (*tally, error) {
	if err := w.setUp(ctx); err != nil {
		return nil, err
	}
	w.began = time.Now()
	w.load.start(ctx, w.o.conns)
	if err := w.accidents(ctx); err != nil {
		return nil, err
	}
	if w.load.limited.Load() < w.o.quota { // so that the end of the quota is seen
		w.log("spending the rest of the quota")
		w.load.hurry.Store(true)
		err := rig.Poll(ctx, nil, "the quota to be spent", func() bool { return w.load.refused.Load() > 0 })
		if err != nil {
			return nil, err
		}
	}
	w.load.hurry.Store(false)
	for _, p := range w.load.purses {
		if p.refused.Load() > 0 {
			continue
		}
		w.log("spending the rest of the money of %s", p.name)
		w.load.haste.Store(p)
		if err := rig.Poll(ctx, nil, "the money to be spent", func() bool { return p.refused.Load() > 0 }); err != nil {
			return nil, err
		}
	}
	acked, turned, statuses, broken := w.load.finish()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	t := &tally{statuses: statuses, limited: w.load.limited.Load(), quota: w.o.quota, nodes: len(w.gateways), filled: w.filled.Load(), failedOpen: w.load.open.Load()}
	// A server that forgets gives every bucket a full burst.
	t.hardMost = int64(hardRate*time.Since(w.began).Seconds()) + hardBurst*(1+w.forgot.Load())
	for kind, ms := range map[string][]*member{"gateways": w.gateways, "control planes": w.controls, "workers": w.workers} {
		kills, restarts := 0, 0
		for _, m := range ms {
			kills, restarts = kills+m.kills, restarts+m.restarts
		}
		if kind == "gateways" {
			t.kills = kills
		}
		w.log("%d %s: %d kills, %d times ended by themselves", len(ms), kind, kills, restarts)
	}
	w.log("%d crashes of Postgres; answers by status %v, %d calls cut; batches delivered %v", w.crashes, statuses, broken, w.relay)
	w.log("%d partitions, %d full disks, %d steps of clocks, %d hours that passed at once, counters killed %d times, %d calls throttled by them",
		w.parted.Load(), w.filled.Load(), w.steps.Load(), w.hours.Load(), w.forgot.Load(), w.load.throttled.Load())
	w.log("Stripe: %d mishaps, %d restarts, %d forged events, %d of another account, meters brought in line %d times",
		w.till.mishaps.Load(), w.till.restarts.Load(), w.till.forged.Load(), w.till.crossed.Load(), w.till.mirrors.Load())
	w.relay.rest()
	// A clean end seals the last boot's journal, the new start hands in what is left.
	var ids []journal.CallID
	for _, m := range w.gateways {
		if err := m.process.Stop(60 * time.Second); err != nil {
			return nil, err
		}
		more, err := journaledIDs(filepath.Join(m.node.Data, journalFolder))
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	t.compare(acked, turned, ids)
	w.log("gateways stopped, %d calls journaled", t.journaled)
	for _, m := range w.gateways {
		if err := m.start(ctx); err != nil {
			return t, err
		}
	}
	if err := w.settle(ctx, t); err != nil {
		return t, err
	}
	return t, w.judge(ctx, t)
}

// judge brings the books to an end and looks whether they hold.
func (w *world) judge(ctx context.Context, t *tally) error {
	if err := w.books.reconcile(ctx, t); err != nil {
		return err
	}
	if err := w.askPurses(ctx, t); err != nil {
		return err
	}
	w.log("books reconciled")
	if err := w.till.rest(ctx); err != nil {
		return err
	}
	if err := w.till.compare(ctx, t); err != nil {
		return err
	}
	if err := w.till.meters(ctx, t); err != nil {
		return err
	}
	w.log("Stripe compared")
	if err := w.books.check(ctx, t); err != nil {
		return err
	}
	if err := w.books.isolate(ctx, t); err != nil {
		return err
	}
	// Weeks later the same batches come once more: their names are pruned by then.
	if err := w.books.age(ctx); err != nil {
		return err
	}
	if err := w.relay.again(ctx); err != nil {
		return err
	}
	lines, _, err := billed(ctx, w.tollgate.Postgres.URL())
	t.aged = lines - t.billed
	return err
}

// accidents happen until there were enough of each kind and enough calls.
func (w *world) accidents(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	seed := uint64(10)
	strike := func(f func(context.Context, *rand.Rand) error) {
		seed++
		rnd := rand.New(rand.NewPCG(w.o.seed, seed))
		wg.Go(func() {
			if err := f(ctx, rnd); err != nil && ctx.Err() == nil {
				w.fail(err)
			}
		})
	}
	for i, m := range w.gateways {
		strike(func(ctx context.Context, rnd *rand.Rand) error { return w.killer(ctx, rnd, m, w.load.targets[i]) })
	}
	for _, m := range slices.Concat(w.controls, w.workers) {
		strike(func(ctx context.Context, rnd *rand.Rand) error { return w.keeper(ctx, rnd, m) })
	}
	strike(w.crasher)
	strike(w.forgetter)
	strike(w.books.bill)
	strike(w.fund)
	strike(w.till.trade)
	strike(w.till.misbehave)
	strike(w.till.forge)
	strike(w.till.mirror)
	for _, n := range w.lines {
		strike(func(ctx context.Context, rnd *rand.Rand) error { return w.part(ctx, rnd, n) })
	}
	for _, c := range w.clocks {
		strike(func(ctx context.Context, rnd *rand.Rand) error { return w.stepper(ctx, rnd, c) })
	}
	for _, m := range w.gateways {
		if m.disk != nil {
			strike(func(ctx context.Context, rnd *rand.Rand) error { return w.filler(ctx, rnd, m.disk) })
		}
	}
	began, last := time.Now(), time.Now()
	err := rig.Poll(ctx, nil, "enough calls and accidents", func() bool {
		n := w.load.served.Load()
		kills, each := w.killed()
		enough, missing := w.enough()
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			w.log("%d calls served, %d kills, %d crashes, %d invoices %s", n, kills, w.crashed(), w.books.made(), missing)
		}
		return n >= w.o.calls && kills >= w.o.kills && each && enough && w.crashed() >= w.o.crashes
	})
	w.log("accidents lasted %v", time.Since(began).Round(time.Second))
	stop()
	wg.Wait() // each leaves its part running
	return err
}

// settle waits until Postgres holds as many calls as the journals, then delivers
// old batches again and counts for good.
func (w *world) settle(ctx context.Context, t *tally) error {
	count := func() error {
		var err error
		t.billed, t.batches, err = billed(ctx, w.tollgate.Postgres.URL())
		return err
	}
	within, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := count(); err != nil {
			return err
		}
		if t.billed >= t.journaled {
			break
		}
		select {
		case <-tick.C:
			continue
		case <-within.Done():
		}
		return fmt.Errorf("the journals were not handed in within five minutes: %s\n%s", t, w.gateways[0].process.Tail())
	}
	w.log("journals handed in")
	if err := w.relay.again(ctx); err != nil {
		return err
	}
	w.log("old batches handed in again")
	return count()
}
