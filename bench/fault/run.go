package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
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
	acked, statuses, broken := w.load.finish()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	t := &tally{statuses: statuses, limited: w.load.limited.Load(), quota: w.o.quota, nodes: len(w.gateways), failedOpen: w.load.open.Load()}
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
	w.log("Stripe: %d mishaps, %d restarts, %d forged events, %d of another account", w.till.mishaps.Load(), w.till.restarts.Load(), w.till.forged.Load(), w.till.crossed.Load())
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
	t.compare(acked, ids)
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
	w.log("books reconciled")
	if err := w.till.rest(ctx); err != nil {
		return err
	}
	if err := w.till.compare(ctx, t); err != nil {
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

// setUp starts Postgres, the control planes, workers, the counters, the imitation of
// Stripe, the relay, the upstream and gateways that keep their journals.
func (w *world) setUp(ctx context.Context) error {
	var flags []string
	var err error
	if w.o.clocks {
		if flags, err = clockFlags(w.rig); err != nil {
			return err
		}
	}
	if w.tollgate, err = w.rig.NewTollgate(ctx, flags...); err != nil {
		return err
	}
	t := w.tollgate
	redis, err := w.rig.NewRedis()
	if err != nil {
		return err
	}
	w.counters = &member{name: "redis", launch: redis.Launch, ready: redis.Ready}
	if err := w.counters.start(ctx); err != nil {
		return err
	}
	if w.till, err = w.startTill(ctx); err != nil {
		return err
	}
	t.Env = append(w.till.settings(), "TOLLGATE_REDIS_URL=redis://"+redis.Addr)
	if err := w.startParts(ctx); err != nil {
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
	if w.api, err = t.Publish(ctx, "fault", doc); err != nil {
		return err
	}
	keys := rig.Keys(202)
	keys, limited, hard := keys[:200], keys[200:201], keys[201:]
	if err := t.Plan(ctx, w.api, keys); err != nil {
		return err
	}
	if err := t.LimitedPlan(ctx, "limited", w.api, w.o.quota, limited); err != nil {
		return err
	}
	if err := t.HardPlan(ctx, "hard", w.api, hardRate, hardBurst, hard); err != nil {
		return err
	}
	if w.books, err = openBooks(ctx, t.Postgres.URL(), w.log); err != nil {
		return err
	}
	if err := w.till.open(ctx, w.books); err != nil {
		return err
	}
	w.books.sellers = w.till.sellers
	if w.relay, err = startRelay(w.addrs, w.o.seed); err != nil {
		return err
	}
	w.load = &load{fail: w.fail}
	counters, err := w.lineTo(redis.Addr)
	if err != nil {
		return err
	}
	for i := range w.o.gateways {
		if err := w.startGateway(ctx, i, "TOLLGATE_REDIS_URL=redis://"+counters.addr); err != nil {
			return err
		}
	}
	for _, q := range rig.Requests(1000, w.api, services, keys) {
		w.load.requests = append(w.load.requests, []byte(q))
	}
	for _, q := range rig.Requests(100, w.api, services, limited) {
		w.load.scarce = append(w.load.scarce, []byte(q))
	}
	for _, q := range rig.Requests(100, w.api, services, hard) {
		w.load.hard = append(w.load.hard, []byte(q))
	}
	return nil
}

// The throttle that is hard.
const (
	hardRate  = 20
	hardBurst = 50
)

// lineTo is a line that can be cut, to an address.
func (w *world) lineTo(addr string) (*line, error) {
	n, err := startLine(addr)
	if err == nil {
		w.lines = append(w.lines, n)
	}
	return n, err
}

// startParts starts the control planes and workers, each with a line of its own to Postgres.
func (w *world) startParts(ctx context.Context) error {
	database, err := url.Parse(w.tollgate.Postgres.URL())
	if err != nil {
		return err
	}
	part := func(name, command string, env ...string) (*rig.Part, *member, error) {
		n, err := w.lineTo(database.Host)
		if err != nil {
			return nil, nil, err
		}
		through := *database
		through.Host = n.addr
		p, err := w.tollgate.NewPart(name, command, append(env, "DATABASE_URL="+through.String())...)
		if err != nil {
			return nil, nil, err
		}
		m := &member{name: p.Name, launch: p.Launch, ready: p.Ready}
		return p, m, m.start(ctx)
	}
	for i := range w.o.controls {
		p, m, err := part(fmt.Sprintf("control-%d", i+1), "control", "TOLLGATE_JOBS=false")
		if err != nil {
			return err
		}
		w.addrs, w.controls = append(w.addrs, p.Addr), append(w.controls, m)
	}
	for i := range w.o.workers {
		_, m, err := part(fmt.Sprintf("worker-%d", i+1), "worker")
		if err != nil {
			return err
		}
		w.workers = append(w.workers, m)
	}
	return nil
}

// startGateway starts one with a line of its own to the relay, and a clock of its own.
func (w *world) startGateway(ctx context.Context, i int, env ...string) error {
	feed, err := w.lineTo(w.relay.addr)
	if err != nil {
		return err
	}
	if w.o.clocks {
		path := w.rig.Path(fmt.Sprintf("clock-%d", i+1))
		c, err := newClock(path)
		if err != nil {
			return err
		}
		w.clocks = append(w.clocks, c)
		env = append(env, clockFile+"="+path)
	}
	n, err := w.tollgate.NewNode(ctx, fmt.Sprintf("fault-%d", i+1), feed.addr, rig.AnyCPU, append(env, "TOLLGATE_JOURNAL_KEEP=1099511627776")...)
	if err != nil {
		return err
	}
	m := &member{name: fmt.Sprintf("gateway-%d", i+1), launch: n.Launch, ready: n.Ready, node: n}
	if i == w.o.gateways-1 {
		w.smallDisk(m)
	}
	if err := m.start(ctx); err != nil {
		return err
	}
	w.gateways = append(w.gateways, m)
	w.load.targets = append(w.load.targets, &target{addr: n.Addr})
	return nil
}

const services = 10

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
	strike(w.till.trade)
	strike(w.till.misbehave)
	strike(w.till.forge)
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

// settle waits until Postgres holds as many calls as the journals, then delivers
// old batches again and counts for good.
func (w *world) settle(ctx context.Context, t *tally) error {
	count := func() error {
		var err error
		t.billed, t.batches, err = billed(ctx, w.tollgate.Postgres.URL())
		return err
	}
	within, cancel := context.WithTimeout(ctx, 2*time.Minute)
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
		return fmt.Errorf("the journals were not handed in within two minutes: %s\n%s", t, w.gateways[0].process.Tail())
	}
	w.log("journals handed in")
	if err := w.relay.again(ctx); err != nil {
		return err
	}
	w.log("old batches handed in again")
	return count()
}
