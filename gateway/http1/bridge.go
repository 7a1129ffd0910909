package http1

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
)

// bridge carries calls to an upstream that is spoken to by HTTP/2, which is net/http's.
// A connection of the pool leads into a server in this process, which passes each call
// on: framing, bodies in both directions and their pace stay those of any other pool.
type bridge struct {
	srv  *http.Server
	tr   *http.Transport
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

// newBridge speaks HTTP/2 over TLS where the upstream agrees to, and HTTP/1.1 where it
// does not; without TLS it speaks HTTP/2 alone.
func newBridge(u *Upstreams, k PoolKey, cfg *tls.Config) *bridge {
	b := &bridge{in: make(chan net.Conn), done: make(chan struct{})}
	protocols := new(http.Protocols)
	scheme := "http"
	if cfg != nil {
		scheme, cfg = "https", cfg.Clone()
		cfg.NextProtos = nil
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	b.tr = &http.Transport{DialContext: u.dial, TLSClientConfig: cfg, Protocols: protocols, DisableCompression: true,
		IdleConnTimeout: upstreamIdle, TLSHandshakeTimeout: dialTimeout, MaxResponseHeaderBytes: upstreamHeadMax, MaxIdleConnsPerHost: 64}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{Transport: b.tr, FlushInterval: -1, ErrorLog: quiet,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = scheme, k.Address, r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"} {
				if v := r.In.Header[name]; v != nil {
					r.Out.Header[name] = v
				}
			}
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	own := new(http.Protocols)
	own.SetHTTP1(true)
	b.srv = &http.Server{Handler: proxy, Protocols: own, ErrorLog: quiet, MaxHeaderBytes: 2 << 20}
	go func() { _ = b.srv.Serve(b) }()
	return b
}

func (b *bridge) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case b.in <- theirs:
		return ours, nil
	case <-b.done:
	case <-ctx.Done():
	}
	_, _ = ours.Close(), theirs.Close()
	return nil, net.ErrClosed
}

// Accept, Close and Addr make the bridge the listener of its own server.
func (b *bridge) Accept() (net.Conn, error) {
	select {
	case nc := <-b.in:
		return nc, nil
	case <-b.done:
		return nil, net.ErrClosed
	}
}

func (b *bridge) Close() error   { b.once.Do(func() { close(b.done) }); return nil }
func (b *bridge) Addr() net.Addr { return &net.TCPAddr{} }

// end takes no more calls; those under way end by themselves.
func (b *bridge) end() {
	_ = b.Close()
	b.tr.CloseIdleConnections()
}
