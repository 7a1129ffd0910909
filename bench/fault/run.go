package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"tollgate/bench/rig"
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
	node     *rig.Node
	load     *load

	mu       sync.Mutex
	control  *rig.Process
	gateway  *rig.Process
	kills    int
	crashes  int
	restarts int // of the control plane, which may end when its database does

	fail context.CancelCauseFunc
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
	return t, err
}

func (w *world) run(ctx context.Context) (*tally, error) {
	if err := w.setUp(ctx); err != nil {
		return nil, err
	}
	w.load.start(ctx, w.o.conns)
	if err := w.accidents(ctx); err != nil {
		return nil, err
	}
	acked, statuses, broken := w.load.finish()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	w.log("%d kills, %d crashes, control plane restarted %d times; answers by status %v, %d calls cut; batches delivered %v",
		w.kills, w.crashes, w.restarts, statuses, broken, w.relay)
	w.relay.rest()
	// A clean end seals the last boot's journal, the new start hands in what is left.
	if err := w.gateway.Stop(60 * time.Second); err != nil {
		return nil, err
	}
	ids, err := journaledIDs(filepath.Join(w.node.Data, journalFolder))
	if err != nil {
		return nil, err
	}
	t := &tally{kills: w.kills, statuses: statuses}
	t.compare(acked, ids)
	if w.gateway, err = w.node.Start(ctx); err != nil {
		return t, err
	}
	return t, w.settle(ctx, t)
}

// setUp starts Postgres, the control plane, the relay, the upstream and a gateway
// that keeps its journals.
func (w *world) setUp(ctx context.Context) error {
	var err error
	if w.tollgate, err = w.rig.NewTollgate(ctx); err != nil {
		return err
	}
	t := w.tollgate
	if w.control, err = t.StartControl(ctx, rig.AnyCPU); err != nil {
		return err
	}
	if err := t.CreateTenant(ctx); err != nil {
		return err
	}
	upstream, err := w.rig.StartUpstream(ctx, rig.AnyCPU)
	if err != nil {
		return err
	}
	doc, err := rig.Document("fault", upstream, services, true)
	if err != nil {
		return err
	}
	api, err := t.Publish(ctx, "fault", doc)
	if err != nil {
		return err
	}
	keys := rig.Keys(200)
	if err := t.Plan(ctx, api, keys); err != nil {
		return err
	}
	if w.relay, err = startRelay(t.Control, w.o.seed); err != nil {
		return err
	}
	w.node, err = t.NewNode(ctx, "fault", w.relay.addr, rig.AnyCPU, "TOLLGATE_JOURNAL_KEEP=1099511627776")
	if err != nil {
		return err
	}
	if w.gateway, err = w.node.Start(ctx); err != nil {
		return err
	}
	w.load = &load{addr: w.node.Addr, fail: w.fail}
	for _, q := range rig.Requests(1000, api, services, keys) {
		w.load.requests = append(w.load.requests, []byte(q))
	}
	return nil
}

const services = 10

// accidents happen until there were enough of each kind and enough calls.
func (w *world) accidents(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, f := range []func(context.Context) error{w.killer, w.crasher, w.keeper} {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				w.fail(err)
			}
		})
	}
	began, last := time.Now(), time.Now()
	err := rig.Poll(ctx, nil, "enough calls and accidents", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		n := w.load.served.Load()
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			w.log("%d calls served, %d kills, %d crashes", n, w.kills, w.crashes)
		}
		return n >= w.o.calls && w.kills >= w.o.kills && w.crashes >= w.o.crashes
	})
	w.log("accidents lasted %v", time.Since(began).Round(time.Second))
	stop()
	wg.Wait() // each leaves its part running
	return err
}

// killer ends the gateway with kill -9 at random instants, now and then while it
// is starting, and starts it again.
func (w *world) killer(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(w.o.seed, 0))
	for pause(ctx, random(rnd, w.o.killEvery)) {
		for {
			select {
			case <-w.gateway.Done():
				return fmt.Errorf("the gateway ended before it was killed\n%s", w.gateway.Tail())
			default:
			}
			w.gateway.Kill()
			w.mu.Lock()
			w.kills++
			w.mu.Unlock()
			var err error
			if w.gateway, err = w.node.Launch(); err != nil {
				return err
			}
			if rnd.IntN(4) > 0 || !pause(ctx, random(rnd, 100*time.Millisecond)) {
				break
			}
		}
		// Not the accidents' context: their end must not leave it half started.
		before := w.load.served.Load()
		if err := w.node.Ready(context.WithoutCancel(ctx), w.gateway); err != nil {
			return err
		}
		if !w.serves(ctx, before) {
			break
		}
	}
	return nil
}

// serves waits until calls are served again, and is false when the accidents end before.
// What is struck down next has something to lose then, however slow the machine is.
func (w *world) serves(ctx context.Context, before int64) bool {
	return rig.Poll(ctx, nil, "calls to be served again", func() bool { return w.load.served.Load() > before+w.o.calls/1000 }) == nil
}

// crasher ends Postgres as a crash would, leaves it down for a moment and starts
// it again on the same directory.
func (w *world) crasher(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(w.o.seed, 1))
	for pause(ctx, random(rnd, w.o.crashEvery)) {
		if err := w.tollgate.Postgres.Crash(); err != nil {
			return err
		}
		pause(ctx, random(rnd, time.Second))
		if err := w.tollgate.StartPostgres(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		w.mu.Lock()
		w.crashes++
		w.mu.Unlock()
		before := w.load.served.Load()
		if !w.serves(ctx, before) {
			break
		}
	}
	return nil
}

// keeper starts the control plane again should it end, as a service manager does.
func (w *world) keeper(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.control.Done():
		}
		w.mu.Lock()
		w.restarts++
		w.mu.Unlock()
		p, err := w.tollgate.StartControl(ctx, rig.AnyCPU)
		if p == nil {
			return err
		}
		w.control = p // not ready, or ended again: the next turn sees to it
	}
}

// random is a time around mean, from nothing to twice of it.
func random(rnd *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(2 * mean)))
}

// settle waits until Postgres holds as many calls as the journals, then delivers
// old batches again and counts for good.
func (w *world) settle(ctx context.Context, t *tally) error {
	count := func() error {
		var err error
		t.billed, t.batches, err = billed(ctx, w.tollgate.Postgres.URL())
		return err
	}
	within, cancel := context.WithTimeout(ctx, 60*time.Second)
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
		return fmt.Errorf("the journals were not handed in within a minute: %s\n%s", t, w.gateway.Tail())
	}
	if err := w.relay.again(ctx); err != nil {
		return err
	}
	return count()
}
