package control

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Channels of LISTEN and NOTIFY; the payload is the gateway's id, and of portals,
// which have none, 0.
const (
	channelChange = "tollgate_change"
	channelAck    = "tollgate_ack"
	channelPortal = "tollgate_portal"
	channelCalls  = "tollgate_calls"
	channelLimits = "tollgate_limits" // quota is recalled, or a node came or went
)

// How long a waiter sleeps when nobody wakes it: long while notifications come
// in, short while they do not.
const (
	pollListening = 10 * time.Second
	pollBlind     = 200 * time.Millisecond
)

// waiters wakes everyone who waits for news of a gateway.
type waiters struct {
	mu        sync.Mutex
	topics    map[string]*topic
	listening bool
}

// topic is one round of waiting; count drops it when the last waiter leaves.
type topic struct {
	woken chan struct{}
	count int
}

func newWaiters() *waiters { return &waiters{topics: map[string]*topic{}} }

// subscribe is called before looking, so that news between the look and the wait
// is not missed. leave must be called.
func (w *waiters) subscribe(channel string, gateway int32) (woken <-chan struct{}, poll time.Duration, leave func()) {
	key := channel + " " + strconv.Itoa(int(gateway))
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[key]
	if t == nil {
		t = &topic{woken: make(chan struct{})}
		w.topics[key] = t
	}
	t.count++
	poll = pollBlind
	if w.listening {
		poll = pollListening
	}
	return t.woken, poll, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if t.count--; t.count == 0 && w.topics[key] == t {
			delete(w.topics, key)
		}
	}
}

// until looks, and again with each news of a channel, until there is what is looked for or
// wait is over, neither of which is an error. Between two looks is most at most; 0: as long
// as is usual.
func (w *waiters) until(ctx context.Context, channel string, gateway int32, wait, most time.Duration, look func() (found bool, err error)) error {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		woken, poll, leave := w.subscribe(channel, gateway)
		found, err := look()
		if err != nil || found {
			leave()
			return err
		}
		if most > 0 {
			poll = min(poll, most)
		}
		again := time.NewTimer(poll)
		late := false
		select {
		case <-woken:
		case <-again.C:
		case <-deadline.C:
			late = true
		case <-ctx.Done():
			err = ctx.Err()
		}
		again.Stop()
		leave()
		if late || err != nil {
			return err
		}
	}
}

func (w *waiters) notify(channel, gateway string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := channel + " " + gateway
	if t := w.topics[key]; t != nil {
		close(t.woken)
		delete(w.topics, key)
	}
}

// set says whether notifications come in, and wakes everyone: what happened
// while they did not is unknown.
func (w *waiters) set(listening bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listening = listening
	for key, t := range w.topics {
		close(t.woken)
		delete(w.topics, key)
	}
}

// runner is the start and stop contract: Start returns when running, Stop when
// fully stopped; both may be called twice, and Stop before Start.
type runner struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// Start runs the listener, the pruning of old change rows and the daily renewal of nodes'
// signing keys until Stop is
// called or ctx ends. It returns once notifications come in.
func (p *Plane) Start(ctx context.Context) error {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	if p.run.cancel != nil {
		return nil
	}
	if err := p.maintainCalls(ctx); err != nil {
		return fmt.Errorf("control: the call log's days: %w", err)
	}
	conn, err := p.listen(ctx)
	if err != nil {
		return fmt.Errorf("control: listening for changes: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p.run.cancel, p.run.done = cancel, make(chan struct{})
	done := p.run.done
	var wg sync.WaitGroup
	wg.Go(func() { p.keepListening(ctx, conn) })
	wg.Go(func() { p.keepPruning(ctx) })
	wg.Go(func() { p.keepSigners(ctx) })
	go func() { wg.Wait(); close(done) }()
	return nil
}

// Stop ends what Start began.
func (p *Plane) Stop() {
	p.run.mu.Lock()
	defer p.run.mu.Unlock()
	if p.run.cancel == nil {
		return
	}
	p.run.cancel()
	<-p.run.done
	p.run.cancel, p.run.done = nil, nil
}

func (p *Plane) listen(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, p.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	for _, channel := range []string{channelChange, channelAck, channelPortal, channelCalls, channelLimits} {
		if _, err := conn.Exec(ctx, "listen "+channel); err != nil {
			closeConn(ctx, conn)
			return nil, err
		}
	}
	p.wake.set(true)
	return conn, nil
}

// closeConn says goodbye even when ctx is over, but does not wait for long.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func (p *Plane) keepListening(ctx context.Context, conn *pgx.Conn) {
	const first, last = 100 * time.Millisecond, 5 * time.Second
	backoff := first
	for {
		if conn != nil {
			backoff = first
			err := p.follow(ctx, conn)
			closeConn(ctx, conn)
			p.wake.set(false)
			if ctx.Err() != nil {
				return
			}
			p.log.Warn("change notifications stopped; polling until they are back", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		var err error
		if conn, err = p.listen(ctx); err != nil {
			conn = nil
			backoff = min(2*backoff, last)
			continue
		}
		p.log.Info("change notifications are back")
	}
}

// silence is how long the connection may be quiet before it is probed: a peer
// that vanished without a word would otherwise be waited for until TCP gives up.
const silence = 15 * time.Second

func (p *Plane) follow(ctx context.Context, conn *pgx.Conn) error {
	for {
		wait, cancel := context.WithTimeout(ctx, silence)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			p.wake.notify(n.Channel, n.Payload)
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && !conn.IsClosed():
			probe, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := conn.Ping(probe)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}
