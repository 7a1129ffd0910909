package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// The same API answers by host name and by path, over HTTP/1.1, HTTP/2 with and
// without TLS.
func TestFaces(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "GET /x/{y}")
	insecure := &tls.Config{InsecureSkipVerify: true}
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h1 := new(http.Protocols)
	h1.SetHTTP1(true)
	h2 := new(http.Protocols)
	h2.SetHTTP2(true)
	tlsBase := "https://" + r.g.TLSAddr()
	for _, c := range []struct {
		name, base string
		protocols  *http.Protocols
		major      int
	}{
		{"HTTP/1.1", r.base, h1, 1}, {"h2c", r.base, h2c, 2},
		{"HTTP/1.1 over TLS", tlsBase, h1, 1}, {"HTTP/2", tlsBase, h2, 2},
	} {
		tr := &http.Transport{Protocols: c.protocols, TLSClientConfig: insecure.Clone()}
		cl := &http.Client{Transport: tr, Timeout: 10 * time.Second}
		for _, u := range []struct{ host, path string }{
			{"", "/_aws/execute-api/abc/prod/x/1?q=2"}, {"aBc.execute-api.localhost", "/prod/x/1?q=2"},
		} {
			req, _ := http.NewRequest("GET", c.base+u.path, nil)
			req.Host = u.host
			resp, err := cl.Do(req)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || string(b) != "GET /x/1?q=2" || err != nil || resp.ProtoMajor != c.major {
				t.Errorf("%s %s: %d %s %v over %s", c.name, u.host, resp.StatusCode, b, err, resp.Proto)
			}
		}
		tr.CloseIdleConnections()
	}
}

func TestRefusedProtocols(t *testing.T) {
	r := newRig(t)
	r.deploy("d1", echo(t), "ANY /x")
	for name, c := range map[string]struct {
		head   string
		status int
	}{
		"websocket":    {"GET /_aws/execute-api/abc/prod/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 501},
		"grpc":         {"POST /_aws/execute-api/abc/prod/x HTTP/1.1\r\nHost: h\r\nContent-Type: application/grpc+proto\r\n\r\n", 501},
		"too large":    {"POST /_aws/execute-api/abc/prod/x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", 413},
		"unknown host": {"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 403},
		"smuggling":    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	} {
		conn, err := net.Dial("tcp", r.g.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, c.head)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != c.status || resp.Header.Get("x-amzn-RequestId") == "" || resp.Header.Get("x-amzn-ErrorType") == "" {
			t.Errorf("%s: %v %v", name, resp, err)
		}
		conn.Close()
	}
}

func TestGuard(t *testing.T) {
	g := newGuard([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
	for a, want := range map[string]bool{
		"8.8.8.8": true, "10.1.2.3": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "::ffff:10.1.9.9": true,
		"10.2.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "192.168.1.1": false, "172.31.0.1": false,
		"100.64.0.1": false, "0.0.0.0": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
		"224.0.0.1": false, "255.255.255.255": false, "ff02::1": false, "::127.0.0.1": false,
	} {
		if got := g.permits(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: permitted %v, want %v", a, got, want)
		}
	}
}

// rawUpstream answers every read with a fixed response, allocating nothing.
func rawUpstream(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// keyedCall is a raw client for one keep-alive connection.
func keyedCall(t testing.TB, r *rig, key string) func() {
	c, err := net.Dial("tcp", r.g.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	req := []byte("GET /_aws/execute-api/abc/prod/v1/svc7/items/42 HTTP/1.1\r\nHost: localhost\r\nx-api-key: " + key + "\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	return func() {
		if _, err := c.Write(req); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || string(buf[9:12]) != "200" || string(buf[n-2:n]) != "ok" {
			t.Fatalf("%v %s", err, buf[:n])
		}
	}
}

func allSteps(t testing.TB) (*rig, string) {
	r := newRig(t, func(o *Options) {
		o.SealEvery = time.Minute
		o.Feed.Calls = func(context.Context, []byte) error { return nil } // reading entries allocates
	})
	var methods []string
	for i := range 150 {
		methods = append(methods, fmt.Sprintf("!GET /v1/svc%d/items/{id}", i), fmt.Sprintf("!GET /v1/svc%d/items/{id}/orders/{oid}", i))
	}
	st := r.content("d1", rawUpstream(t), methods...)
	st.TraceOneIn = -1 // the few calls that are traced by chance cost what a trace does
	r.tellStage(st)
	key := r.key(1, model.PlanConfig{ID: "p", Throttle: &model.Throttle{Rate: 1e9, Burst: 1e9}, Quota: &model.Quota{Limit: 1e12, Period: model.Month}})
	return r, key
}

// background is what sealing, sweeping and the like may allocate meanwhile, whatever the
// calls.
func background(began time.Time) uint64 { return uint64(200 * time.Since(began).Seconds()) }

// A call through match, key, quota, throttle, integration and journal allocates
// nothing.
func TestCallAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("pools forget on purpose under the race detector; the plain run measures")
	}
	r, key := allSteps(t)
	call := keyedCall(t, r, key)
	for range 2000 {
		call()
	}
	const calls = 20000
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	began := time.Now()
	for range calls {
		call()
	}
	runtime.ReadMemStats(&b)
	if n := b.Mallocs - a.Mallocs; n > calls/20+background(began) {
		t.Errorf("%d allocations over %d calls", n, calls)
	} else {
		t.Logf("%d allocations over %d calls", n, calls)
	}
}

func BenchmarkCallAllSteps(b *testing.B) {
	r, key := allSteps(b)
	call := keyedCall(b, r, key)
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// BenchmarkSteps is the gateway's own work per call but for sockets and journal:
// find, key, quota, throttle.
func BenchmarkSteps(b *testing.B) {
	r, key := allSteps(b)
	r.p.tell(b, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Caps: model.Caps{Rate: 1e9, Burst: 1e9}}}})
	x := &http1.Exchange{In: []byte("GET /_aws/execute-api/abc/prod/v1/svc7/items/42 HTTP/1.1\r\nHost: localhost\r\nx-api-key: " + key + "\r\n\r\n")}
	if e := x.Request.Parse(x.In, http1.Limits{Target: maxTarget, Headers: maxHeaders}); e != nil {
		b.Fatal(e)
	}
	c := &call{g: r.g}
	b.ReportAllocs()
	for b.Loop() {
		c.now, x.Begun, c.flags = time.Now(), http1.Now(), 0
		k := c.find(x)
		for _, s := range c.run.steps[:len(c.run.steps)-1] {
			if k == proceed {
				k = s(c, x)
			}
		}
		if k != proceed {
			b.Fatal(answers[k].name)
		}
		c.tenant.inFlight.Release(c.counts[0])
		c.tenant.buffered.Release(c.counts[1])
	}
}

// One tenant's flood leaves another's latency and errors where they were.
func TestFloodLeavesNeighbour(t *testing.T) {
	r := newRig(t)
	up := rawUpstream(t)
	r.deploy("d1", up, "GET /quiet")
	noisy := r.content("d2", up, "GET /noisy")
	noisy.Num, noisy.Tenant, noisy.APIID = 80, 8, "noisy"
	r.p.deployments["d2"].Tenant, r.p.deployments["d2"].APIID = 8, "noisy"
	r.p.tell(t, model.Changes{
		Tenants: []model.TenantConfig{{Num: 8, Caps: model.Caps{Rate: 200, Burst: 50, InFlight: 20}}},
		Stages:  []model.StageConfig{noisy},
	})
	quiet := func() (p99 time.Duration, errors int) {
		var took []time.Duration
		for range 1500 {
			start := time.Now()
			if s, _, _ := r.call("GET", "/quiet", ""); s != 200 {
				errors++
			}
			took = append(took, time.Since(start))
		}
		sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
		return took[len(took)*99/100], errors
	}
	alone, e0 := quiet()
	ctx, cancel := context.WithCancel(t.Context())
	var flood, admitted atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			c, err := net.Dial("tcp", r.g.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
			defer stop()
			buf := make([]byte, 4096)
			for ctx.Err() == nil {
				if _, err := io.WriteString(c, "GET /_aws/execute-api/noisy/prod/noisy HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
					return
				}
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				flood.Add(1)
				if strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
					admitted.Add(1)
				}
			}
		})
	}
	until(t, "the flood to rise", func() bool { return flood.Load() > 500 })
	start := time.Now()
	before := admitted.Load()
	worst := 10*alone + 20*time.Millisecond
	beside, e1 := quiet()
	for range 4 { // a flood that reaches the neighbour raises every one, other work of the machine some
		if beside <= worst {
			break
		}
		again, e := quiet()
		beside, e1 = min(beside, again), e1+e
	}
	rate := float64(admitted.Load()-before) / time.Since(start).Seconds()
	cancel()
	wg.Wait()
	t.Logf("neighbour's p99 %v alone, %v beside a flood of %d calls (%.0f admitted a second, cap 200); errors %d and %d",
		alone, beside, flood.Load(), rate, e0, e1)
	if e0+e1 > 0 {
		t.Errorf("the neighbour saw errors: %d alone, %d beside the flood", e0, e1)
	}
	if rate > 260 {
		t.Errorf("%.0f calls a second were admitted over a cap of 200", rate)
	}
	if beside > worst {
		t.Errorf("the neighbour's p99 rose from %v to %v", alone, beside)
	}
}
