package main

import (
	"context"
	"fmt"
	"net/url"

	"tollgate/bench/rig"
)

const services = 10

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
	keys := rig.Keys(204)
	keys, limited, hard, bounded := keys[:200], keys[200:201], keys[201:202], keys[202:]
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
	w.load = &load{fail: w.fail}
	if err := w.openPurses(ctx, bounded); err != nil {
		return err
	}
	w.books.sellers = append(w.books.sellers, w.till.caller)
	for _, s := range w.till.sellers {
		w.books.sellers = append(w.books.sellers, s.tenant)
	}
	if w.relay, err = startRelay(w.addrs, w.o.seed); err != nil {
		return err
	}
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
	w.load.targets = append(w.load.targets, &target{addr: n.Addr, fills: m.disk != nil})
	return nil
}
