package control_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/gateway/limit"
	"tollgate/model"
)

// A gateway's node as far as limits go: the data plane's own parts, on the control plane.
type limitNode struct {
	id       control.NodeIdentity
	boot     model.BootID
	leaser   *limit.Leaser
	exchange *limit.Exchange
	dead     atomic.Bool
	hangUp   context.CancelFunc
	gone     chan struct{}
	quotas   map[int64]*limit.Quota // by limit, and the calls they let in
	used     map[int64]int64
	trips    atomic.Int64
}

// cluster is a gateway of its own with nodes that follow.
func (w *world) cluster(name string, a control.Actor, nodes int) []*limitNode {
	w.Helper()
	g, err := w.CreateGateway(w.ctx, control.Operator(), name, "")
	w.must(err)
	w.must(w.MoveTenant(w.ctx, control.Operator(), w.account(a), name))
	var out []*limitNode
	for i := range nodes {
		out = append(out, w.limitNode(control.NodeIdentity{Gateway: g.ID, GatewayName: name, Node: fmt.Sprint("n", i)}))
	}
	return out
}

func (w *world) account(a control.Actor) (id string) {
	w.all(fmt.Sprintf(`select account_id from tenant where tenant_id = %d`, a.Tenant), &id)
	return id
}

var errCut = errors.New("the node is cut off")

func (w *world) limitNode(id control.NodeIdentity) *limitNode {
	w.Helper()
	n := &limitNode{id: id, gone: make(chan struct{}), quotas: map[int64]*limit.Quota{}, used: map[int64]int64{}}
	_, _ = crand.Read(n.boot[:])
	boot := n.boot.String()
	c, err := w.Changes(w.ctx, id, model.NodeHello{Node: id.Node, Boot: boot})
	w.must(err)
	ctx, hangUp := context.WithCancel(w.ctx)
	n.hangUp = hangUp
	go func() { // the connection whose end says that the node is gone
		defer close(n.gone)
		for ctx.Err() == nil {
			if news, err := w.Changes(ctx, id, model.NodeHello{Node: id.Node, Boot: boot, Applied: c.Revision, Stamp: c.Stamp, Wait: 20 * time.Second}); err == nil {
				c = news
			}
		}
	}()
	n.leaser = limit.NewLeaser(boot, func(ctx context.Context, r []model.LeaseRequest) ([]model.Lease, error) {
		if n.dead.Load() {
			return nil, errCut
		}
		n.trips.Add(1)
		return w.Leases(ctx, id, r)
	})
	n.leaser.Start(w.ctx)
	n.exchange = limit.NewExchange(limit.ExchangeOptions{Boot: boot, Shares: limit.NewShares(), Leaser: n.leaser, Now: func() int64 { return time.Now().UnixNano() },
		Log: slog.New(slog.DiscardHandler), Ask: func(ctx context.Context, r model.LimitReport) (model.LimitAnswer, error) {
			if n.dead.Load() {
				return model.LimitAnswer{}, errCut
			}
			return w.Limits(ctx, id, r)
		}})
	n.exchange.Start()
	return n
}

// kill ends a node without a word: what it holds, it holds.
func (n *limitNode) kill() {
	n.dead.Store(true)
	n.hangUp()
	<-n.gone
	n.exchange.Stop()
}

func (n *limitNode) stop(ctx context.Context) {
	n.hangUp()
	<-n.gone
	n.exchange.Stop()
	_ = n.leaser.Stop(ctx)
}

// quotaRun is one row of the table of quotas.
type quotaRun struct {
	nodes     int
	limit     int64
	balancing string
	req       model.LeaseRequest
	used      int64 // in all
	waiting   int64 // held by the killed node until its journal was in
	early     int   // calls refused while units were left elsewhere
}

const killed = "one is killed"

// bound is how much a killed node can have held: a grant is at most what is left over
// twice the nodes, and more is asked for with a quarter of the last one left.
func (r *quotaRun) bound() int64 {
	if r.balancing != killed {
		return 0
	}
	return max(1, int64(math.Ceil(1.25*float64(r.limit)/float64(2*r.nodes))))
}

// quotaRuns uses quotas up on one gateway by calls that its nodes get as balancing says.
func (w *world) quotaRuns(in *intake.Intake, count int, balancing string) []*quotaRun {
	a := w.tenant()
	d := w.deployed(a, "prod")
	var runs []*quotaRun
	for _, n := range []int64{1, 10, 1000, 100_000} {
		k := w.key(a, w.plan(a, d, &model.Quota{Limit: n, Period: model.Month}).ID)
		runs = append(runs, &quotaRun{nodes: count, limit: n, balancing: balancing,
			req: model.LeaseRequest{Tenant: a.Tenant, Subscription: k.Plans[0].Subscription}})
	}
	nodes := w.cluster(strings.ReplaceAll(fmt.Sprint("of ", count, " ", balancing), " ", "-"), a, count)
	var trips int64
	lost := nodes[0]
	for _, r := range runs {
		if balancing != killed {
			w.use(r, nodes, r.limit)
			continue
		}
		w.use(r, nodes, max(1, r.limit/2))
		if r.limit == 1000 {
			for _, n := range nodes {
				if n.used[r.limit] > lost.used[r.limit] {
					lost = n
				}
			}
		}
	}
	if balancing == killed {
		lost.kill()
		var rest []*limitNode
		for _, n := range nodes {
			if n != lost {
				rest = append(rest, n)
			}
		}
		if len(rest) == 0 { // it comes back under its name
			rest = append(rest, w.limitNode(lost.id))
		}
		for _, r := range runs {
			r.waiting = w.outstanding(r, lost)
			w.use(r, rest, r.limit-r.waiting)
			w.noMore(r, rest)
		}
		w.journal(in, lost, runs)
		for _, r := range runs {
			w.use(r, rest, r.limit)
		}
		trips = lost.trips.Load()
		_ = lost.leaser.Stop(w.ctx)
		nodes = rest
	}
	for _, r := range runs {
		w.noMore(r, nodes)
	}
	for _, n := range nodes {
		n.stop(w.ctx)
		trips += n.trips.Load()
	}
	w.Logf("%d nodes, %s: %d trips to the ledger for %d calls", count, balancing, trips, 101_011)
	return runs
}

// use makes calls until so many were let in.
func (w *world) use(r *quotaRun, nodes []*limitNode, until int64) {
	rnd := rand.New(rand.NewPCG(uint64(r.nodes), uint64(r.limit)))
	deadline := time.Now().Add(2 * time.Minute) // for units that do not come; a busy machine is slow
	for r.used < until && time.Now().Before(deadline) {
		n := nodes[rnd.IntN(len(nodes))]
		if r.balancing == "most reach one" {
			n = nodes[min(int(rnd.ExpFloat64()*float64(len(nodes))/8), len(nodes)-1)]
		}
		if n.take(w.ctx, r) == limit.Admitted {
			r.used++
			continue
		}
		r.early++
		n.quotas[r.limit].Reset() // as if its next look were now
	}
}

func (n *limitNode) take(ctx context.Context, r *quotaRun) limit.Result {
	q := n.quotas[r.limit]
	if q == nil {
		if q = n.leaser.Quota(r.req.Tenant, r.req.Subscription); r.req.Kind == model.LedgerSpend {
			q.Close()
			q = n.leaser.Money(r.req.Tenant, r.req.Subscription)
		}
		n.quotas[r.limit] = q
	}
	_, res := q.Take(ctx, time.Now())
	if res == limit.Admitted {
		n.used[r.limit]++
	}
	return res
}

// outstanding is what a killed node holds.
func (w *world) outstanding(r *quotaRun, n *limitNode) (units int64) {
	w.all(fmt.Sprintf(`select coalesce(sum(granted - returned), 0)::bigint from quota_lease where subscription_id = %d and boot = '%s'`,
		r.req.Subscription, n.boot), &units)
	return units - n.used[r.limit]
}

// noMore checks that no node lets another call pass.
func (w *world) noMore(r *quotaRun, nodes []*limitNode) {
	for _, n := range nodes {
		if n.take(w.ctx, r) == limit.Admitted {
			r.used++
			w.Errorf("%d nodes, %d, %s: a call was let in beyond the limit", r.nodes, r.limit, r.balancing)
		}
	}
}

// journal hands in what a node has counted, for the last time.
func (w *world) journal(in *intake.Intake, n *limitNode, runs []*quotaRun) {
	now := time.Now()
	b := model.Batch{Boot: n.boot, Seq: 1, First: now.UnixMicro(), Last: now.UnixMicro(), Watermark: now.UnixMicro(), Final: true}
	for _, r := range runs {
		flags := model.FlagQuota | model.FlagBillable
		if r.req.Kind == model.LedgerSpend {
			flags = model.FlagSpend | model.FlagBillable
		}
		if n.used[r.limit] > 0 {
			b.Lines = append(b.Lines, model.UsageLine{Hour: now.Unix() / 3600, Tenant: r.req.Tenant, Subscription: r.req.Subscription, Status: 200,
				Flags: flags, Calls: uint64(n.used[r.limit])})
		}
	}
	if _, err := in.Ingest(w.ctx, n.id.Gateway, 0, b.Encode()); err != nil {
		w.Error(err)
	}
}

// Never one call over, on any number of nodes and however calls are balanced; and to the
// last unit, but for what a killed node holds until its journal is in. docs/limits.md has
// the figures: TOLLGATE_WRITE=1 writes them anew.
func TestLimitAccuracy(t *testing.T) {
	t.Parallel()
	w := newWorld(t).started()
	in := intake.New(intake.Options{Pool: w.pool, Log: slog.New(slog.DiscardHandler)})
	var done [9][]*quotaRun
	var wg sync.WaitGroup
	for i := range done {
		wg.Go(func() {
			done[i] = w.quotaRuns(in, []int{1, 3, 7}[i/3], []string{"evenly", "most reach one", killed}[i%3])
		})
	}
	wg.Wait()
	var table bytes.Buffer
	fmt.Fprintln(&table, "| Nodes | Calls reach them | Quota | Let in | Over the quota | A killed node holds back at most |\n|--:|---|--:|--:|--:|--:|")
	for _, r := range slices.Concat(done[:]...) {
		if r.used != r.limit {
			t.Errorf("%d nodes, %s: %d of %d calls were let in", r.nodes, r.balancing, r.used, r.limit)
		}
		if r.waiting > r.bound() {
			t.Errorf("%d nodes, quota %d: the killed node held %d, more than %d", r.nodes, r.limit, r.waiting, r.bound())
		}
		t.Logf("%d nodes, %d, %s: %d early refusals, %d held by the killed node", r.nodes, r.limit, r.balancing, r.early, r.waiting)
		fmt.Fprintf(&table, "| %d | %s | %d | %d | %d | %d |\n", r.nodes, r.balancing, r.limit, r.used, r.used-r.limit, r.bound())
	}
	d, err := w.DataPlane(w.ctx, control.Operator())
	w.must(err)
	if q := d.Quotas; q.Wrong != 0 || q.Windows != 36 || q.Leased != 9*101_011 || q.Used == 0 {
		t.Errorf("the balance of quotas: %+v", q)
	}
	compareDoc(t, "quotas", table.String())
}

const limitsDoc = "../docs/limits.md"

// compareDoc holds a table against the one between the marks in docs/limits.md.
func compareDoc(t *testing.T, mark, table string) {
	t.Helper()
	docMu.Lock()
	defer docMu.Unlock()
	doc, err := os.ReadFile(limitsDoc)
	if err != nil {
		t.Fatal(err)
	}
	from, to := "<!-- "+mark+": made by a test -->\n", "<!-- end of "+mark+" -->"
	head, rest, ok := strings.Cut(string(doc), from)
	was, tail, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for %s", limitsDoc, mark)
	}
	if was == table {
		return
	}
	if os.Getenv("TOLLGATE_WRITE") == "" {
		t.Errorf("%s says\n%s\nbut measured were\n%s\nTOLLGATE_WRITE=1 writes it anew", limitsDoc, was, table)
		return
	}
	if err := os.WriteFile(limitsDoc, []byte(head+from+table+to+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

var docMu sync.Mutex

// throttled is one row of the table of throttles: what nodes let in that share a rate of
// shareRate calls a second with a burst of shareBurst.
type throttled struct {
	nodes   int
	pattern string
	offered func(node, nodes int, at float64) float64 // calls a second
	moves   bool                                      // demand goes to another node halfway
}

const (
	shareRate, shareBurst = 1000, 100
	shareSeconds          = 40
	settled               = 5 // seconds before anything is measured
)

var throttles = []throttled{
	{pattern: "twice the rate, evenly", offered: func(_, nodes int, _ float64) float64 { return 2000 / float64(nodes) }},
	{pattern: "twice the rate, nine tenths at one node", offered: func(node, nodes int, _ float64) float64 {
		if node == 0 {
			return 1800 + 200/float64(nodes)
		}
		return 200 / float64(nodes)
	}},
	{pattern: "half the rate, all at one node", offered: func(node, _ int, _ float64) float64 {
		if node == 0 {
			return 500
		}
		return 0
	}},
	{pattern: "twice the rate, moving from one node to another halfway", moves: true, offered: func(node, nodes int, at float64) float64 {
		if at < shareSeconds/2 && node == 0 || at >= shareSeconds/2 && node == nodes-1 {
			return 2000
		}
		return 0
	}},
	{pattern: "twice the rate at one node, and halfway as much at every other, too", moves: true, offered: func(node, _ int, at float64) float64 {
		if node == 0 || at >= shareSeconds/2 {
			return 2000
		}
		return 0
	}},
}

// Nodes that share a rate never let in much more than it, nor much less than calls ask for.
func TestThrottleAccuracy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var table bytes.Buffer
	fmt.Fprintln(&table, "| Nodes | Calls ask for | Let in of what may pass | Above the rate, at most, in calls | Bound |\n|--:|---|--:|--:|--:|")
	for _, nodes := range []int{1, 3, 7} {
		var ids []control.NodeIdentity
		g, err := w.CreateGateway(w.ctx, control.Operator(), fmt.Sprint("shares-", nodes), "")
		w.must(err)
		for i := range nodes {
			id := control.NodeIdentity{Gateway: g.ID, GatewayName: g.Name, Node: fmt.Sprint("n", i)}
			w.changes(id, model.NodeHello{Boot: fmt.Sprint("boot-", i)})
			ids = append(ids, id)
		}
		for _, c := range throttles {
			c.nodes = nodes
			part, excess := w.throttledRun(c, ids)
			bound := float64(shareBurst)
			if nodes > 1 {
				bound += float64(nodes)
			}
			if c.moves && nodes > 1 {
				bound += 2 * shareRate
			}
			if excess > bound || part < 0.9 || part > 1.05 {
				t.Errorf("%d nodes, %s: %.3f of what may pass, %.0f above the rate; the bound is %.0f", nodes, c.pattern, part, excess, bound)
			}
			fmt.Fprintf(&table, "| %d | %s | %.0f %% | %.0f | %.0f |\n", nodes, c.pattern, 100*part, 20*math.Ceil(excess/20), bound)
		}
	}
	compareDoc(t, "throttles", table.String())
}

// throttledRun plays calls against the buckets of nodes that report every second, each at
// a time of its own, and returns what was let in of what may pass, and the most that any
// stretch of time had above the rate, once demand has been what it is for a while.
func (w *world) throttledRun(c throttled, ids []control.NodeIdentity) (part, excess float64) {
	const step = 0.002
	type node struct {
		shares *limit.Shares
		bucket *limit.Bucket
		owed   float64
	}
	nodes := make([]node, c.nodes)
	for i := range nodes {
		s := limit.NewShares()
		s.SetNodes(c.nodes)
		b := &limit.Bucket{}
		b.Share(s, limit.BucketID(c.pattern))
		b.Set(model.Throttle{Rate: shareRate, Burst: shareBurst}, 0)
		nodes[i] = node{s, b, 0}
	}
	var admitted, asked, lowest float64
	per := int(1 / step)
	for k := range shareSeconds * per {
		at := float64(k) * step
		now := int64(at * 1e9)
		for i := range nodes {
			n := &nodes[i]
			if k%per == i*per/c.nodes && c.nodes > 1 {
				a, err := w.Limits(w.ctx, ids[i], model.LimitReport{Boot: fmt.Sprint("boot-", i), Nodes: c.nodes, Buckets: n.shares.Report(now)})
				w.must(err)
				w.must(n.shares.Apply(a, now))
			}
			for n.owed += c.offered(i, c.nodes, at) * step; n.owed >= 1; n.owed-- {
				passed := n.bucket.Take(now)
				if k < settled*per {
					continue
				}
				asked++
				if passed {
					admitted++
				}
			}
		}
		if k < settled*per {
			continue
		}
		above := admitted - shareRate*(at-settled)
		lowest = min(lowest, above)
		excess = max(excess, above-lowest)
	}
	return admitted / min(asked, shareRate*(shareSeconds-settled)), math.Floor(excess)
}
