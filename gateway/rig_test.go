package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/gateway/follow"
	"tollgate/model"
)

// plane is a control plane in memory: what a node is told, and what it hands in.
// Leases obey limits exactly as the real one must.
type plane struct {
	mu          sync.Mutex
	rev         uint64
	log         map[uint64]model.Changes // not applied yet
	down        bool                     // nothing answers
	deployments map[string]*model.DeploymentContent
	hello       model.NodeHello
	targets     map[string]model.TargetState // as told last, by address
	wake        chan struct{}
	granted     map[string]int64
	noLeases    bool     // none are given
	silent      bool     // it cannot be reached when it is asked whether it can
	heard       []string // of starts that go on with another's units, and of last batches
	quotas      map[uint64]*model.Quota
	money       map[uint64]int64 // calls that a month's money reaches for
	calls       map[uint16]uint64
	lines       []model.UsageLine
	logged      []model.CallEntry
	leftOut     map[uint32]model.CallsLeft // by stage
}

func newPlane() *plane {
	return &plane{log: map[uint64]model.Changes{}, deployments: map[string]*model.DeploymentContent{}, wake: make(chan struct{}),
		granted: map[string]int64{}, targets: map[string]model.TargetState{}, quotas: map[uint64]*model.Quota{}, money: map[uint64]int64{}, calls: map[uint16]uint64{}, leftOut: map[uint32]model.CallsLeft{}}
}

func (p *plane) feed() follow.Feed {
	return follow.Feed{Changes: p.changes, Deployment: p.deployment, Leases: p.leases, Ingest: p.ingest, Calls: p.takeCalls}
}

// tell publishes changes and waits until the node has answered for them.
func (p *plane) tell(t testing.TB, ch model.Changes) {
	t.Helper()
	p.mu.Lock()
	p.rev++
	ch.Revision = p.rev
	ch.Full = p.rev == 1
	p.log[p.rev] = ch
	close(p.wake)
	p.wake = make(chan struct{})
	rev := p.rev
	p.mu.Unlock()
	until(t, "the node to apply the change", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.hello.Applied >= rev
	})
}

// target is what the node told of one last; it is asked to tell again.
func (p *plane) target(address string) model.TargetState {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.wake)
	p.wake = make(chan struct{})
	return p.targets[address]
}

func (p *plane) changes(ctx context.Context, h model.NodeHello) (*model.Changes, error) {
	p.mu.Lock()
	p.hello = h
	for _, s := range h.Targets {
		p.targets[s.Target] = s
	}
	wake := p.wake
	delete(p.log, h.Applied)
	if p.down {
		p.mu.Unlock()
		return nil, model.Errorf(model.Unavailable, "down")
	}
	if ch, ok := p.log[h.Applied+1]; ok {
		p.mu.Unlock()
		return &ch, nil
	}
	p.mu.Unlock()
	select {
	case <-wake:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(h.Wait):
	}
	return &model.Changes{Revision: h.Applied}, nil
}

func (p *plane) deployment(_ context.Context, id string) (*model.DeploymentContent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.deployments[id]; d != nil {
		return d, nil
	}
	return nil, model.Errorf(model.NotFound, "no deployment %s", id)
}

func (p *plane) leases(_ context.Context, asked []model.LeaseRequest) ([]model.Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.noLeases {
		return nil, model.Errorf(model.Unavailable, "down")
	}
	if p.silent && len(asked) == 0 {
		return nil, model.Errorf(model.Unavailable, "slow")
	}
	var out []model.Lease
	for _, a := range asked {
		if a.From != "" {
			p.heard = append(p.heard, "goes on with "+a.From)
		}
		q := p.quotas[a.Subscription]
		if a.Kind == model.LedgerSpend {
			q = &model.Quota{Limit: p.money[a.Subscription], Period: model.Month}
		}
		if q == nil {
			out = append(out, model.Lease{Unlimited: true})
			continue
		}
		start, end := q.Window(a.At)
		k := fmt.Sprint(a.Subscription, a.Kind, start)
		p.granted[k] -= a.Return
		n := max(0, min(a.Want, q.Limit-p.granted[k]))
		p.granted[k] += n
		out = append(out, model.Lease{Granted: n, WindowStart: start, WindowEnd: end, Limit: q.Limit, Elsewhere: q.Limit - p.granted[k]})
	}
	return out, nil
}

func (p *plane) ingest(_ context.Context, encoded []byte) (model.BatchReceipt, error) {
	b, err := model.DecodeBatch(encoded)
	if err != nil {
		return model.BatchReceipt{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range b.Lines {
		p.calls[l.Status] += l.Calls
	}
	p.lines = append(p.lines, b.Lines...)
	if b.Final {
		p.heard = append(p.heard, "all is in of "+b.Boot.String())
	}
	return model.BatchReceipt{}, nil
}

func (p *plane) takeCalls(_ context.Context, encoded []byte) error {
	b, err := model.DecodeCallBatch(bytes.Clone(encoded))
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logged = append(p.logged, b.Calls...)
	for _, l := range b.Left {
		was := p.leftOut[l.Stage]
		p.leftOut[l.Stage] = model.CallsLeft{Tenant: l.Tenant, Stage: l.Stage, Calls: was.Calls + l.Calls, Lines: was.Lines + l.Lines}
	}
	return nil
}

// metered is how many calls with a status have been handed in.
func (p *plane) metered(status uint16) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[status]
}

// until waits for a condition, which another goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute) // a disk under load takes its time
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

type rig struct {
	t     testing.TB
	p     *plane
	g     *Gateway
	dir   string
	base  string
	httpc *http.Client
}

func newRig(t testing.TB, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, p: newPlane(), dir: t.TempDir()}
	o := Options{Addr: "127.0.0.1:0", TLSAddr: "127.0.0.1:0", DataDir: r.dir, Node: "test", Feed: r.p.feed(),
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: slog.New(slog.DiscardHandler), SealEvery: 20 * time.Millisecond}
	for _, f := range change {
		f(&o)
	}
	g, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r.g, r.base = g, "http://"+g.Addr()
	r.httpc = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		r.httpc.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
	return r
}

const tenantNum = 7

// deploy publishes a definition of "VERB /path" methods onto stage prod of API
// abc, all proxied to upstream. "!" before the verb requires a key.
func (r *rig) deploy(id, upstream string, methods ...string) {
	r.t.Helper()
	r.p.tell(r.t, model.Changes{
		Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}},
		Stages:  []model.StageConfig{r.content(id, upstream, methods...)},
	})
}

func (r *rig) content(id, upstream string, methods ...string) model.StageConfig {
	d := &model.DeploymentContent{ID: id, APIID: "abc", Tenant: tenantNum}
	d.Definition.Name = "test"
	byPath := map[string]int{}
	for _, m := range methods {
		verb, path, _ := strings.Cut(m, " ")
		keyed := strings.HasPrefix(verb, "!")
		verb = strings.TrimPrefix(verb, "!")
		i, ok := byPath[path]
		if !ok {
			i = len(d.Definition.Resources)
			byPath[path] = i
			d.Definition.Resources = append(d.Definition.Resources, model.Resource{ID: fmt.Sprint("r", i), Path: path, Methods: map[string]model.Method{}})
		}
		g := &model.Integration{Type: model.IntegrationHTTPProxy, URI: "http://" + upstream + path, RequestParameters: map[string]string{}}
		if strings.Contains(upstream, "://") {
			g.URI = upstream + path
		}
		segs, err := model.Segments(path)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, s := range segs {
			if s.Variable {
				g.RequestParameters["integration.request.path."+s.Name()] = "method.request.path." + s.Name()
			}
		}
		d.Definition.Resources[i].Methods[verb] = model.Method{AuthorizationType: model.AuthNone, APIKeyRequired: keyed, Integration: g}
		d.Methods = append(d.Methods, model.MethodNumber{Path: path, Verb: verb, Num: uint32(len(d.Methods) + 1)})
	}
	r.p.mu.Lock()
	r.p.deployments[id] = d
	r.p.mu.Unlock()
	return model.StageConfig{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: id}
}

// key tells the node of a key under a plan for abc:prod and returns its value.
func (r *rig) key(num uint32, plan model.PlanConfig) string {
	r.t.Helper()
	return r.keyWith(num, plan, "")
}

// keyWith is key with money that bounds its calls.
func (r *rig) keyWith(num uint32, plan model.PlanConfig, spend string) string {
	r.t.Helper()
	v := model.NewKeyValue(false)
	h := model.KeyHash(v)
	plan.Tenant, plan.Stages = tenantNum, []model.PlanStage{{APIID: "abc", Stage: "prod", Throttle: throttles(plan)}}
	sub := uint64(num) + 1000
	r.p.mu.Lock()
	if plan.Quota != nil {
		r.p.quotas[sub] = plan.Quota
	}
	r.p.mu.Unlock()
	r.p.tell(r.t, model.Changes{
		Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012"}},
		Plans:   []model.PlanConfig{plan},
		Keys: []model.KeyConfig{{Num: num, ID: fmt.Sprint("key-", num), Tenant: tenantNum, Hash: h[:], Enabled: true,
			Subscriptions: []model.SubscriptionConfig{{ID: sub, PlanID: plan.ID, Spend: spend}}}},
	})
	return v
}

func throttles(p model.PlanConfig) map[string]model.Throttle {
	if len(p.Stages) > 0 {
		return p.Stages[0].Throttle
	}
	return nil
}

// call makes a path-style call and returns status, error type and body.
func (r *rig) call(verb, path, key string) (int, string, string) {
	r.t.Helper()
	req, err := http.NewRequest(verb, r.base+"/_aws/execute-api/abc/prod"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("x-api-key", key)
	}
	resp, err := r.httpc.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if id := resp.Header.Get("x-amzn-RequestId"); len(id) != 36 {
		r.t.Errorf("x-amzn-RequestId %q is not a call id", id)
	}
	return resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), string(b)
}

// echo is an upstream that answers with what it was asked.
func echo(t testing.TB) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// deadPort is an address nobody listens on, until the test ends: a socket has it that is
// no listener, so that nobody else gets it.
func deadPort(t testing.TB) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}

// freePort is an address nobody listens on, for a program that cannot choose one itself.
func freePort(t testing.TB) string {
	l := listenApart(t)
	defer l.Close()
	return l.Addr().String()
}

// listenApart listens outside of what systems give to those who ask for any port, so that
// nobody else gets the address once the listener is closed.
func listenApart(t testing.TB) net.Listener {
	for range 100 {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15_000+rand.N(15_000))); err == nil {
			return l
		}
	}
	t.Fatal("no port is free")
	return nil
}
