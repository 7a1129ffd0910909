package limit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tollgate/model"
)

// ExchangeFunc tells the control plane what shares are asked for, or waits for a recall.
type ExchangeFunc func(context.Context, model.LimitReport) (model.LimitAnswer, error)

// Exchange keeps a node's shares and leases in step with those of the other nodes: it
// reports demand every second while there are others, and gives back quota that is
// recalled.
type Exchange struct {
	o      ExchangeOptions
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	told   int // buckets in the last report
}

// ExchangeOptions of an Exchange; all are needed but Every.
type ExchangeOptions struct {
	Boot   string
	Ask    ExchangeFunc
	Shares *Shares
	Leaser *Leaser
	Now    func() int64  // the clock of buckets
	Every  time.Duration // between reports; default a second
	Log    *slog.Logger
}

const (
	reportEvery = time.Second
	// recallWait is how long one question for recalls waits.
	recallWait = 20 * time.Second
	// settle is a moment for what was recalled to go back before the next question.
	settle = 5 * time.Millisecond
	// silence is how long shares hold without an answer; even ones follow.
	silence = 10 * time.Second
)

// NewExchange starts with Start.
func NewExchange(o ExchangeOptions) *Exchange {
	if o.Every == 0 {
		o.Every = reportEvery
	}
	return &Exchange{o: o}
}

// Start runs until Stop. It is called once.
func (e *Exchange) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.wg.Go(func() { e.report(ctx) })
	e.wg.Go(func() { e.listen(ctx) })
}

// Stop ends it.
func (e *Exchange) Stop() {
	e.once.Do(func() {
		if e.cancel != nil {
			e.cancel()
			e.wg.Wait()
		}
	})
}

func (e *Exchange) report(ctx context.Context) {
	tick := time.NewTicker(e.o.Every)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if e.o.Shares.Nodes() == 1 {
			heard = time.Now()
			continue
		}
		err := e.tell(ctx)
		switch {
		case err == nil:
			heard = time.Now()
		case time.Since(heard) > silence:
			e.o.Shares.Even(e.o.Now())
		}
	}
}

// tell is one report and its answer.
func (e *Exchange) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r := model.LimitReport{Boot: e.o.Boot, Nodes: e.o.Shares.Nodes(), Buckets: e.o.Shares.Report(e.o.Now())}
	if len(r.Buckets) == 0 && e.told == 0 {
		return nil
	}
	a, err := e.o.Ask(ctx, r)
	if err != nil {
		return err
	}
	e.told = len(r.Buckets)
	return e.o.Shares.Apply(a, e.o.Now())
}

// listen waits for recalls, and for other nodes to come and go.
func (e *Exchange) listen(ctx context.Context) {
	pause := firstBackoff
	for ctx.Err() == nil {
		err := e.hear(ctx)
		wait := settle
		if err == nil {
			pause = firstBackoff
		} else {
			wait, pause = pause, min(2*pause, 2*lastBackoff)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (e *Exchange) hear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recallWait+callTimeout)
	defer cancel()
	a, err := e.o.Ask(ctx, model.LimitReport{Boot: e.o.Boot, Nodes: e.o.Shares.Nodes(), Wait: recallWait})
	if err != nil {
		return err
	}
	if was := e.o.Shares.Nodes(); was != a.Nodes {
		e.o.Log.Info("limits are kept together with other nodes", "nodes", a.Nodes, "were", was)
		e.o.Shares.SetNodes(a.Nodes)
	}
	for _, r := range a.Recalls {
		e.o.Leaser.Recall(r)
	}
	return nil
}
