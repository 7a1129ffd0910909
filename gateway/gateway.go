package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tollgate/gateway/accesslog"
	"tollgate/gateway/auth"
	"tollgate/gateway/aws"
	"tollgate/gateway/cache"
	"tollgate/gateway/calllog"
	"tollgate/gateway/follow"
	"tollgate/gateway/http1"
	"tollgate/gateway/journal"
	"tollgate/gateway/limit"
	"tollgate/gateway/limit/counter"
	"tollgate/gateway/spans"
	"tollgate/gateway/token"
	"tollgate/model"
)

// Options of a node. Zero values of sizes and times mean the defaults named.
type Options struct {
	Addr    string // plain HTTP/1.1 and HTTP/2 with prior knowledge
	TLSAddr string // HTTPS with HTTP/2 by ALPN; "": none
	DataDir string // journal, copy of the configuration, certificate
	Node    string // this node's name, unique within its gateway
	Region  string // in the ARNs of what is called; default us-east-1
	Feed    follow.Feed
	Allow   []netip.Prefix // networks besides the public Internet that upstreams may be in
	// Endpoints are where AWS services are besides at Amazon. Integrations reach them
	// wherever they are; upstreams of tenants' own choice do not.
	Endpoints aws.Endpoints
	UserPools model.UserPools // issuers of user pools that are not Amazon's
	// EndpointNetworks are what private APIs are called from.
	EndpointNetworks model.EndpointNetworks
	// Counters is the Redis or Valkey that keeps hard throttles; "": none does, and calls
	// under plans with them are refused.
	Counters string
	Caps     model.Caps // of a tenant that has none of its own; default model.DefaultCaps
	Log      *slog.Logger

	MaxBody     int64         // request body; default 10 MiB, as on Amazon API Gateway
	MaxTarget   int           // of a request: path and query in bytes; default 10,240
	MaxHeaders  int           // of a request: all header lines in bytes; default 10,240
	MaxConns    int           // default 20,000
	CacheMemory int64         // bytes that stages' caches may hold in all; default 256 MiB
	JournalKeep int64         // bytes of acknowledged journal segments to keep for audits
	BatchKeep   int64         // bytes of handed-in batches to keep for a database that is restored
	SealEvery   time.Duration // how often usage leaves; default 1 s

	CallLogRate int       // entries a second of each tenant in the call log; default calllog.DefaultRate, negative: none
	AccessLogs  string    // directory of access logs for log groups; "": none
	AccessLog   io.Writer // where they go instead; nil: nowhere

	// Spans say where spans of stages with tracing enabled are sent; nil: nowhere, and
	// traces pass through.
	Spans *spans.Options
	// MethodMetrics is how many methods may have metrics of their own, half of them one
	// tenant's; default 2,000, negative: none.
	MethodMetrics int
}

// Bounds of a request head, as on Amazon API Gateway, and of waits on a client.
const (
	maxTarget   = 10_240
	maxHeaders  = 10_240
	headTimeout = 10 * time.Second
	idleTimeout = 60 * time.Second
	bodyTimeout = 30 * time.Second
)

// DefaultMethodMetrics is Options.MethodMetrics where nothing else was said.
const DefaultMethodMetrics = 2000

// HeadLimits says whether a node may be given this size for a part of heads.
func HeadLimits(bytes int) bool { return bytes >= 1<<10 && bytes <= 1<<20 }

// Gateway is a running data-plane node.
type Gateway struct {
	o         Options
	log       *slog.Logger
	view      atomic.Pointer[view]
	keys      *auth.Keys[key]
	signers   atomic.Pointer[map[string]*signer] // by access key id
	leaser    *limit.Leaser
	stash     *limit.Stash      // of the leaser; nil: the system has none
	leased    chan struct{}     // closed when there is a leaser
	shares    *limit.Shares     // of throttles, among the gateway's nodes
	exchange  *limit.Exchange   // nil: there are no other nodes
	counters  *counter.Counters // of hard throttles; nil: none are set up
	journal   *journal.Journal
	follower  *follow.Follower
	server    *http1.Server
	upstreams *http1.Upstreams
	tokens    *token.Ring
	outward   *http.Client // rare calls of the gateway's own, such as for key sets; keeps to the guard
	metrics   metrics
	calls     *calllog.Log
	shipper   *calllog.Shipper
	sinks     *accesslog.Sinks
	spans     *spans.Exporter // nil: none are sent
	plain     net.Listener
	secure    net.Listener
	own       tls.Certificate // shown where a domain has none
	draining  atomic.Bool
	keeps     atomic.Bool // units of leases are left to the next start
	drainOnce sync.Once
	drained   error

	mu  sync.Mutex // over reg
	reg registry

	large       *turns // see heavily
	medium      *turns
	checks      *checker      // of links' targets
	cacheBudget *cache.Budget // of all stages' caches
	authBytes   atomic.Int64  // of all tenants' authorizations

	complaintsMu sync.Mutex
	complaints   map[string]time.Time // what about, such as an upstream address, to the last time
}

func (o *Options) complete() {
	if o.Caps == (model.Caps{}) {
		o.Caps = model.DefaultCaps
	}
	if o.MaxBody == 0 {
		o.MaxBody = 10 << 20
	}
	o.MaxTarget, o.MaxHeaders = cmp.Or(o.MaxTarget, maxTarget), cmp.Or(o.MaxHeaders, maxHeaders)
	if o.CacheMemory == 0 {
		o.CacheMemory = 256 << 20
	}
	if o.MaxConns == 0 {
		o.MaxConns = 20_000
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.CallLogRate == 0 {
		o.CallLogRate = calllog.DefaultRate
	}
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.MethodMetrics = cmp.Or(o.MethodMetrics, DefaultMethodMetrics)
}

// Start brings a node up: what is on its disk is served at once, the rest when
// the control plane has told it. An error leaves nothing running.
func Start(ctx context.Context, o Options) (_ *Gateway, err error) {
	o.complete()
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("the gateway's data directory: %w", err)
	}
	g := &Gateway{o: o, log: o.Log, reg: newRegistry(), calls: calllog.New(max(0, o.CallLogRate)), keys: auth.New[key](), shares: limit.NewShares(), cacheBudget: cache.NewBudget(o.CacheMemory, nil), large: newTurns(largeAtOnce), medium: newTurns(mediumAtOnce), leased: make(chan struct{})}
	g.view.Store(&view{})
	g.signers.Store(&map[string]*signer{})
	var undo []func()
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()
	if err := g.listen(); err != nil {
		return nil, err
	}
	undo = append(undo, g.unlisten)
	g.journal, err = journal.Open(journal.Options{Dir: filepath.Join(o.DataDir, "journal"), Ship: g.ingest,
		Known: o.Feed.Known, KeepBatches: o.BatchKeep, Keep: o.JournalKeep, SealEvery: o.SealEvery, Log: o.Log})
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = g.journal.Close(ctx)
	})
	boot := g.journal.Boot().String()
	if err := g.openLeases(); err != nil {
		return nil, err
	}
	undo = append(undo, g.closeStash)
	g.leaser.Start(context.WithoutCancel(ctx))
	undo = append(undo, func() { _ = g.leaser.Stop(context.Background()) })
	if o.Counters != "" {
		if g.counters, err = counter.Open(o.Counters, o.Log); err != nil {
			return nil, err
		}
		undo = append(undo, g.counters.Close)
	}
	g.serverUp()
	undo = append(undo, func() { _ = g.server.Drain(context.Background()) })
	g.checks = g.startChecks(newGuard(o.Allow).dialer.DialContext)
	undo = append(undo, g.checks.end)
	g.sinks = accesslog.New(accesslog.Options{Dir: o.AccessLogs, Stdout: o.AccessLog, Client: g.outward, Log: o.Log})
	undo = append(undo, func() { g.sinks.Stop(context.Background()) })
	if o.Spans != nil {
		g.spans = spans.New(g.spanOptions())
		undo = append(undo, func() { g.spans.Stop(context.Background()) })
	}
	g.follower, err = follow.New(follow.Options{Feed: o.Feed, Dir: filepath.Join(o.DataDir, "feed"), Node: o.Node, Boot: boot, Apply: g.apply, Targets: (&linkReporter{g: g}).report, Nodes: g.shares.SetNodes, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if err := g.accept(); err != nil {
		return nil, err
	}
	g.shipper = g.calls.Ship(g.journal.Boot(), o.Feed.Calls, o.Log)
	g.follower.Start()
	if o.Feed.Limits != nil {
		g.exchange = limit.NewExchange(limit.ExchangeOptions{Boot: boot, Ask: o.Feed.Limits, Shares: g.shares, Leaser: g.leaser, Now: http1.Now, Log: o.Log})
		g.exchange.Start()
	}
	return g, nil
}

// openLeases makes the leaser, with what the process before has left. Only the journal's
// owner may open the stash.
func (g *Gateway) openLeases() (err error) {
	path := filepath.Join(g.o.DataDir, "leases")
	boot := g.journal.Boot()
	g.stash, err = limit.OpenStash(path)
	switch {
	case err == nil && g.stash == nil:
		g.leaser = limit.NewLeaser(boot.String(), g.o.Feed.Leases)
	case err == nil:
		if g.leaser, err = limit.NewStashLeaser(boot, g.o.Feed.Leases, g.stash); err != nil {
			g.closeStash()
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("no room in %s for the node's leases: make room and start again: %w", g.o.DataDir, err)
	}
	if err != nil {
		return fmt.Errorf("the node's leases in %s: %w", path, err)
	}
	close(g.leased)
	return nil
}

func (g *Gateway) closeStash() {
	if g.stash != nil {
		_ = g.stash.Close()
	}
}

// ingest hands a batch in, once the ledger of quotas knows what this process has of the
// lease of the one before: it gives out again what a start has not used whose journal is
// in. For the same reason a start that leaves something of its leases to the next hands
// its last batch in by that.
func (g *Gateway) ingest(ctx context.Context, batch []byte) (model.BatchReceipt, error) {
	select {
	case <-g.leased:
	case <-ctx.Done():
		return model.BatchReceipt{}, ctx.Err()
	}
	select {
	case <-g.leaser.Settled():
	case <-ctx.Done():
		return model.BatchReceipt{}, model.Errorf(model.Unavailable, "the control plane has not heard yet which leases this node goes on with")
	}
	if g.keeps.Load() {
		return model.BatchReceipt{}, model.Errorf(model.Unavailable, "the next start hands it in: it goes on with leases of this one")
	}
	return g.o.Feed.Ingest(ctx, batch)
}

func (g *Gateway) serverUp() {
	g.server = http1.NewServer(http1.Options{
		Handler: g.serve, Resume: g.resume, Refused: g.refused,
		NewApp:  func() any { return &call{g: g, head: make([]byte, 0, 256)} },
		Limits:  http1.Limits{Target: g.o.MaxTarget, Headers: g.o.MaxHeaders},
		MaxBody: g.o.MaxBody, MaxConns: g.o.MaxConns,
		HeadTimeout: headTimeout, IdleTimeout: idleTimeout, BodyTimeout: bodyTimeout, Log: g.log,
	})
	dial := newGuard(g.o.Allow).dialer.DialContext
	g.upstreams = http1.NewUpstreams(g.server, dial)
	g.upstreams.Named = only(g.o.Endpoints.Addresses())
	g.outward = &http.Client{
		Transport:     &http.Transport{DialContext: dial, MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 64, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	g.tokens = token.NewRing(token.Options{Fetch: token.HTTP(g.outward), Complain: g.complainIssuer})
}

func (g *Gateway) listen() (err error) {
	if g.plain, err = net.Listen("tcp", g.o.Addr); err != nil {
		return fmt.Errorf("gateway address %s: %w", g.o.Addr, err)
	}
	if g.o.TLSAddr != "" {
		if g.secure, err = net.Listen("tcp", g.o.TLSAddr); err != nil {
			_ = g.plain.Close()
			return fmt.Errorf("gateway TLS address %s: %w", g.o.TLSAddr, err)
		}
	}
	return nil
}

func (g *Gateway) unlisten() {
	_ = g.plain.Close()
	if g.secure != nil {
		_ = g.secure.Close()
	}
}

// accept starts accepting.
func (g *Gateway) accept() error {
	if g.secure != nil {
		cert, err := certificate(g.o.DataDir, time.Now())
		if err != nil {
			return err
		}
		cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, GetConfigForClient: g.tlsFor}
		g.own = cert
		go func() { _ = g.server.ServeTLS(g.secure, cfg) }()
	}
	go func() { _ = g.server.Serve(g.plain) }()
	return nil
}

// Addr is where plain HTTP is served.
func (g *Gateway) Addr() string { return g.plain.Addr().String() }

// TLSAddr is where HTTPS is served; "" when it is not.
func (g *Gateway) TLSAddr() string {
	if g.secure == nil {
		return ""
	}
	return g.secure.Addr().String()
}

// Ready says that the node has something to serve from, has room to write calls
// down, and is not going away.
func (g *Gateway) Ready() bool {
	select {
	case <-g.follower.Loaded():
		return !g.draining.Load() && !g.journal.Full()
	default:
		return false
	}
}

// Loaded is closed once the node has something to serve from.
func (g *Gateway) Loaded() <-chan struct{} { return g.follower.Loaded() }

// Drain ends the node: it stops being ready, takes no new connections, lets
// calls in flight end, gives unused quota back and hands its usage in. What is
// not done when ctx ends is left for the next start.
func (g *Gateway) Drain(ctx context.Context) error {
	g.drainOnce.Do(func() { g.drained = g.drain(ctx) })
	return g.drained
}

func (g *Gateway) drain(ctx context.Context) error {
	g.draining.Store(true)
	g.log.Info("gateway drains", "connections", g.server.Conns())
	g.follower.Drain(ctx)
	err := g.server.Drain(ctx)
	g.leaser.Reach(ctx)
	g.mu.Lock()
	for _, s := range g.reg.subs {
		s.close()
	}
	g.mu.Unlock()
	g.sinks.Stop(ctx)
	if g.spans != nil {
		g.spans.Stop(ctx)
	}
	g.shipper.Stop(ctx)
	if g.exchange != nil {
		g.exchange.Stop()
	}
	if g.counters != nil {
		g.counters.Close()
	}
	err = errors.Join(err, g.leaser.Stop(ctx))
	if g.leaser.Keeps() { // the ledger could not be told, even if it can be now
		g.keeps.Store(true)
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel() // nothing is handed in any more
	}
	err = errors.Join(err, g.journal.Close(ctx))
	g.closeStash()
	g.follower.Stop()
	g.checks.end()
	g.upstreams.Keep(nil)
	g.tokens.Close()
	g.outward.CloseIdleConnections()
	return err
}

// complainIssuer tells the operator about an issuer whose keys cannot be had: its
// tokens are refused, or soon will be.
func (g *Gateway) complainIssuer(tenant uint32, issuer string, err error) {
	g.log.Warn("the keys of a token issuer cannot be had", "tenant", tenant, "issuer", issuer, "error", err)
}

// said notes that the operator is told about something, which was said within the last
// minute already or was not.
func (g *Gateway) said(about string) bool {
	now := time.Now()
	g.complaintsMu.Lock()
	defer g.complaintsMu.Unlock()
	if now.Sub(g.complaints[about]) < time.Minute {
		return true
	}
	if len(g.complaints) > 1000 || g.complaints == nil {
		g.complaints = map[string]time.Time{} // tenants choose the addresses: bounded
	}
	g.complaints[about] = now
	return false
}

// complain tells the operator about an upstream that cannot be reached by rule,
// once a minute.
func (g *Gateway) complain(address string, f http1.Failure) {
	if g.said(address) {
		return
	}
	if f == http1.Forbidden {
		g.log.Warn("an upstream is in a network that is not allowed; TOLLGATE_UPSTREAM_ALLOW opens one", "upstream", address)
		return
	}
	g.log.Warn("an upstream's name does not resolve", "upstream", address)
}
