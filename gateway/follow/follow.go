// Package follow keeps a gateway node's copy of what it serves: it asks the
// control plane for changes, writes them to disk and passes them on to be
// compiled. Asking again with a revision is the receipt for it.
//
// It must never lose the last good copy: a node that cannot reach the control
// plane starts and serves from its disk, and a change that does not compile
// leaves what was there in place.
package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/model"
)

// Feed is the control plane as a node sees it: six functions, given by main for
// a node in the same process and by HTTP for any other.
type Feed struct {
	Changes    func(ctx context.Context, hello model.NodeHello) (*model.Changes, error)
	Deployment func(ctx context.Context, id string) (*model.DeploymentContent, error)
	Leases     func(ctx context.Context, asked []model.LeaseRequest) ([]model.Lease, error)
	Limits     func(ctx context.Context, r model.LimitReport) (model.LimitAnswer, error) // nil: there are no other nodes
	Ingest     func(ctx context.Context, encoded []byte) (model.BatchReceipt, error)
	Known      func(ctx context.Context, boots []model.BootID) (map[model.BootID]uint64, error)
	Calls      func(ctx context.Context, encoded []byte) error // a model.CallBatch
	// Ahead is how far the node's clock is ahead of the control plane's, to about half a
	// second, as of its last answer; nil: they have the same.
	Ahead func() time.Duration
}

// Options of a Follower.
type Options struct {
	Feed Feed
	Dir  string // where the copy is kept
	Node string // this node's name
	Boot string // this process's boot id
	// Apply puts changes into effect. Content finds a deployment that a stage of
	// the changes points at; it is nil for one that could not be had. Apply
	// returns the stages that stay as they were, and why.
	Apply func(ch *model.Changes, content func(id string) *model.DeploymentContent) []model.StageFailure
	// Targets is what to tell of links' targets, with what to call once it was told, and
	// whether there is more in a moment; nil: there is never anything.
	Targets func() (states []model.TargetState, heard func(), soon bool)
	// Nodes is told how many nodes the gateway has, this one included; nil: nobody is.
	Nodes func(int)
	Log   *slog.Logger
}

// Follower is the copy and the loop that keeps it current.
type Follower struct {
	o        Options
	store    *store
	position atomic.Pointer[position]
	contact  atomic.Int64                  // unix nanoseconds of the last answer
	failures map[uint32]model.StageFailure // by stage
	mu       sync.Mutex                    // over failures
	draining atomic.Bool
	cancel   context.CancelFunc
	done     chan struct{}
	once     sync.Once
	first    chan struct{}
	firstDo  sync.Once
}

// position is the revision that is in effect, and the stamp that tells it from another of
// that number; 0: none yet.
type position struct {
	revision uint64
	stamp    string
}

const (
	longPoll   = 5 * time.Second
	shortPoll  = time.Second // while there is more to tell in a moment
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// New opens the copy in o.Dir and puts it into effect, if there is one.
func New(o Options) (*Follower, error) {
	st, err := openStore(o.Dir, o.Log)
	if err != nil {
		return nil, err
	}
	f := &Follower{o: o, store: st, failures: map[uint32]model.StageFailure{}, done: make(chan struct{}), first: make(chan struct{})}
	f.position.Store(&position{})
	keys, err := st.keys()
	if err != nil {
		return nil, fmt.Errorf("the node's copy: %w", err)
	}
	if ch := st.full(keys); ch.Revision > 0 {
		f.others(ch.Nodes)
		f.note(ch, o.Apply(ch, st.deployment))
		f.position.Store(&position{ch.Revision, ch.Stamp})
		for i := range ch.Stages {
			for _, id := range ch.Stages[i].Deployments() {
				if !st.has(id) {
					f.position.Store(&position{}) // lost from the disk: ask for everything
				}
			}
		}
		if slices.ContainsFunc(keys, func(k model.KeyConfig) bool { return k.ID == "" }) {
			f.position.Store(&position{}) // written by a program that did not know keys' ids: ask for them
		}
		f.loaded()
		o.Log.Info("serving from the copy on disk until the control plane answers", "revision", ch.Revision, "stages", len(ch.Stages), "keys", len(ch.Keys))
	}
	return f, nil
}

// others passes on how many nodes there are.
func (f *Follower) others(nodes int) {
	if nodes > 0 && f.o.Nodes != nil {
		f.o.Nodes(nodes)
	}
}

func (f *Follower) loaded() { f.firstDo.Do(func() { close(f.first) }) }

// Loaded is closed once there is something to serve from.
func (f *Follower) Loaded() <-chan struct{} { return f.first }

// Revision in effect; 0: none yet.
func (f *Follower) Revision() uint64 { return f.position.Load().revision }

// Age is how long ago the control plane last answered; negative: never since
// the start.
func (f *Follower) Age(now time.Time) time.Duration {
	c := f.contact.Load()
	if c == 0 {
		return -1
	}
	return now.Sub(time.Unix(0, c))
}

// Start begins to follow.
func (f *Follower) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go f.run(ctx)
}

// Drain tells the control plane, at once, that this node is going: it no longer
// waits for its receipts.
func (f *Follower) Drain(ctx context.Context) {
	f.draining.Store(true)
	hello := f.hello()
	hello.Wait = 0
	if _, err := f.o.Feed.Changes(ctx, hello); err != nil {
		f.o.Log.Info("the control plane could not be told that this node drains", "err", err)
	}
}

// Stop ends following.
func (f *Follower) Stop() {
	f.once.Do(func() {
		f.cancel()
		<-f.done
		f.store.close()
	})
}

func (f *Follower) hello() model.NodeHello {
	at := f.position.Load()
	h := model.NodeHello{Node: f.o.Node, Boot: f.o.Boot, Applied: at.revision, Stamp: at.stamp, Draining: f.draining.Load(), Wait: longPoll}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.failures {
		if len(h.Failures) == model.MaxFailures {
			break
		}
		e.Reason = strings.ToValidUTF8(e.Reason[:min(len(e.Reason), model.MaxReason)], "")
		h.Failures = append(h.Failures, e)
	}
	return h
}

// note keeps what of a change could not be put into effect, until another change
// of the stage or its end.
func (f *Follower) note(ch *model.Changes, failed []model.StageFailure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch.Full {
		clear(f.failures)
	}
	for i := range ch.Stages {
		delete(f.failures, ch.Stages[i].Num)
	}
	for _, e := range failed {
		f.failures[e.Stage] = e
		f.o.Log.Error("a stage stays as it was", "revision", ch.Revision, "reason", e.Reason, "deployment", e.DeploymentID)
	}
}

func (f *Follower) run(ctx context.Context) {
	defer close(f.done)
	pause := firstPause
	lost := false
	for ctx.Err() == nil {
		err := f.ask(ctx)
		if err == nil {
			if lost {
				f.o.Log.Info("the control plane answers again", "revision", f.Revision())
			}
			pause, lost = firstPause, false
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !lost {
			f.o.Log.Warn("the control plane does not answer; serving what is here", "err", err, "revision", f.Revision())
			lost = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// ask is one question and what its answer asks for.
func (f *Follower) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longPoll+30*time.Second)
	defer cancel()
	hello := f.hello()
	heard := func() {}
	if f.o.Targets != nil {
		var soon bool
		if hello.Targets, heard, soon = f.o.Targets(); soon {
			hello.Wait = shortPoll
		}
	}
	ch, err := f.o.Feed.Changes(ctx, hello)
	if err != nil {
		return err
	}
	heard()
	f.contact.Store(time.Now().UnixNano())
	f.others(ch.Nodes)
	if ch.Empty() {
		if ch.Revision >= f.Revision() {
			f.position.Store(&position{ch.Revision, ch.Stamp})
		}
		f.store.settle()
		return nil
	}
	if err := f.fetch(ctx, ch); err != nil {
		return err
	}
	if at := f.position.Load(); ch.Full && at.revision > 0 {
		f.o.Log.Warn("everything is taken anew: the control plane's changes do not lead on from what is here", "revision", ch.Revision, "was", at.revision)
	}
	f.note(ch, f.o.Apply(ch, f.store.deployment))
	if err := f.store.add(ch); err != nil {
		// The change is in effect; only a restart without control plane would miss it.
		f.o.Log.Error("the copy on disk could not be written", "err", err)
	}
	f.position.Store(&position{ch.Revision, ch.Stamp})
	f.loaded()
	if ch.Full && len(ch.Keys) > 10_000 {
		ch = nil
		debug.FreeOSMemory() // what reading so much left behind
	}
	return nil
}

// fetch gets the deployments that changed stages point at and are not here yet.
// One that does not exist any more was overtaken by a later change.
func (f *Follower) fetch(ctx context.Context, ch *model.Changes) error {
	for i := range ch.Stages {
		if ch.Stages[i].Deleted {
			continue
		}
		for _, id := range ch.Stages[i].Deployments() {
			if err := f.fetchOne(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *Follower) fetchOne(ctx context.Context, id string) error {
	if f.store.has(id) {
		return nil
	}
	d, err := f.o.Feed.Deployment(ctx, id)
	if model.KindOf(err) == model.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deployment %s: %w", id, err)
	}
	if d.ID != id {
		return errors.New("the control plane answered with another deployment")
	}
	return f.store.keep(d)
}
