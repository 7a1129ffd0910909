package http1

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// HTTP/2 is net/http's. Its server gets connections that have already said that
// they speak it (by ALPN, or by the preface on a plain connection) and nothing
// else, so net/http's HTTP/1 parser never sees a byte.

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

type prefaceMatch uint8

const (
	prefaceNo prefaceMatch = iota
	prefaceMore
	prefaceYes
)

func isPreface(b []byte) prefaceMatch {
	n := min(len(b), len(clientPreface))
	if string(b[:n]) != clientPreface[:n] {
		return prefaceNo
	}
	if n < len(clientPreface) {
		return prefaceMore
	}
	return prefaceYes
}

// replayed gives back bytes that were read before the hand-over.
type replayed struct {
	net.Conn
	pre []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.pre) > 0 {
		n := copy(p, r.pre)
		r.pre = r.pre[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// ServeTLS accepts TLS connections: HTTP/2 by ALPN, otherwise HTTP/1.1 on the
// same strict codec as plain connections.
func (s *Server) ServeTLS(l net.Listener, cfg *tls.Config) error {
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"h2", "http/1.1"}
	return s.accept(l, func(nc net.Conn) {
		tc := tls.Server(nc, cfg)
		ctx, cancel := context.WithTimeout(s.sweep.ctx, s.o.HeadTimeout)
		err := tc.HandshakeContext(ctx)
		cancel()
		if err != nil {
			_ = nc.Close()
			s.left()
			return
		}
		if tc.ConnectionState().NegotiatedProtocol == "h2" {
			s.h2.take(tc)
			return
		}
		c := s.newConn(tc)
		state := tc.ConnectionState()
		c.peer = peerOf(&state)
		c.serve()
	})
}

// peerKey is where a connection's context has its *Peer.
type peerKey struct{}

type h2server struct {
	s     *Server
	srv   *http.Server
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newH2Server(s *Server) *h2server {
	h := &h2server{s: s, conns: make(chan net.Conn), done: make(chan struct{})}
	p := new(http.Protocols)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	h.srv = &http.Server{
		Handler:           h,
		Protocols:         p,
		TLSConfig:         &tls.Config{NextProtos: []string{"h2"}},
		ReadHeaderTimeout: s.o.HeadTimeout,
		IdleTimeout:       s.o.IdleTimeout,
		MaxHeaderBytes:    s.o.Limits.HeadMax(),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250,
			WriteByteTimeout:     s.o.BodyTimeout,
			SendPingTimeout:      s.o.IdleTimeout,
		},
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelWarn),
	}
	h.srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		tc, ok := nc.(*tls.Conn)
		if !ok {
			return ctx
		}
		state := tc.ConnectionState()
		return context.WithValue(ctx, peerKey{}, peerOf(&state))
	}
	h.srv.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateClosed {
			s.left()
		}
	}
	go func() { _ = h.srv.Serve(h) }()
	return h
}

// take passes a connection on; its end is seen by ConnState.
func (h *h2server) take(nc net.Conn) {
	select {
	case h.conns <- nc:
	case <-h.done:
		_ = nc.Close()
		h.s.left()
	}
}

// Accept, Close and Addr make h2server the listener of its own http.Server.
func (h *h2server) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *h2server) Close() error   { h.once.Do(func() { close(h.done) }); return nil }
func (h *h2server) Addr() net.Addr { return &net.TCPAddr{} }

func (h *h2server) drain(ctx context.Context) { _ = h.srv.Shutdown(ctx) }
func (h *h2server) cut()                      { _ = h.srv.Close() }

// h2call is the HTTP/2 side of an Exchange.
type h2call struct {
	w    http.ResponseWriter
	r    *http.Request
	rc   *http.ResponseController
	wait time.Duration // for the client, at most
}

// ServeHTTP runs the handler for a stream.
func (h *h2server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.s.wg.Add(1) // beside the connection's own, so never from zero
	defer h.s.wg.Done()
	if !h.s.Play(w, r, h.s.o.Handler) {
		panic(http.ErrAbortHandler) // resets the stream
	}
}

// Play runs handle for a request that net/http has read, or that never was on a
// connection: it turns it into a head that our own parser reads, so that the same
// rules hold. false: the answer is not whole.
func (s *Server) Play(w http.ResponseWriter, r *http.Request, handle func(*Exchange)) (answered bool) {
	x := s.pool.Get().(*Exchange)
	whole := false
	defer func() {
		if whole {
			s.put(x)
		} else {
			x.dropUpstream()
		}
	}()
	x.c, x.h2 = nil, &h2call{w: w, r: r, rc: http.NewResponseController(w), wait: s.o.BodyTimeout}
	x.Peer, _ = r.Context().Value(peerKey{}).(*Peer)
	x.Shard, x.TLS, x.H2, x.shut, x.sent, x.broken, x.Rec = s.number.Add(1), r.TLS != nil, r.ProtoMajor == 2, false, false, false, nil
	x.RemoteIP = r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		x.RemoteIP = host
	}
	x.start()
	head := appendH2Head(x.In[:0], r)
	x.In = head[:cap(head)]
	x.have = len(head)
	if e := x.Request.Parse(head, s.o.Limits); e != nil {
		x.Request.Head = Head{HeadLen: x.have}
		x.BytesIn = int64(x.have)
		x.body = body{done: true, chunked: x.body.chunked}
		s.o.Refused(x, e)
		whole = true
		return true
	}
	switch {
	case r.ContentLength > 0:
		x.Request.ContentLength = r.ContentLength
	case r.ContentLength < 0:
		x.Request.ContentLength, x.Request.Chunked = -1, true
	}
	x.startBody()
	handle(x)
	whole = true
	x.Pace = 0 // streams share a connection: one's flood is not the others' fault
	return x.sent && !x.broken
}

// appendH2Head writes r's head as HTTP/1.1. Framing fields never occur in
// HTTP/2 requests that net/http lets through, and are left out here anyway.
func appendH2Head(dst []byte, r *http.Request) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.RequestURI...)
	dst = append(dst, " HTTP/1.1\r\nhost: "...)
	dst = append(dst, r.Host...)
	dst = append(dst, '\r', '\n')
	for k, vs := range r.Header {
		switch k {
		case "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Host", "Expect":
			continue
		}
		for _, v := range vs {
			if strings.ContainsAny(v, "\r\n") {
				continue
			}
			dst = append(dst, k...)
			dst = append(dst, ": "...)
			dst = append(dst, v...)
			dst = append(dst, '\r', '\n')
		}
	}
	return append(dst, '\r', '\n')
}

func (h *h2call) read(p []byte, d time.Duration) (int, error) {
	_ = h.rc.SetReadDeadline(time.Now().Add(d))
	n, err := h.r.Body.Read(p)
	if n > 0 {
		err = nil
	}
	if err != nil && err != io.EOF {
		return 0, err
	}
	return n, err
}

// requestTrailer takes over the trailer fields that came after the body, under the
// same rules as those of a chunked body.
func (h *h2call) requestTrailer(c *Chunked) {
	var lines []byte
	for k, vs := range h.r.Trailer {
		for _, v := range vs {
			lines = append(append(append(append(lines, k...), ": "...), v...), "\r\n"...)
		}
	}
	c.state = chunkTrailer
	if _, _, err := c.Next(append(lines, "\r\n"...)); err != nil {
		c.Trailer = c.Trailer[:0]
	}
}

// setLines copies rendered header lines into the answer's header.
func (h *h2call) setLines(head []byte) {
	for len(head) > 0 {
		nl := bytes.IndexByte(head, '\n')
		line := head[:nl-1]
		head = head[nl+1:]
		i := bytes.IndexByte(line, ':')
		h.w.Header().Add(string(line[:i]), string(bytes.TrimSpace(line[i+1:])))
	}
}

func (h *h2call) reply(x *Exchange, status int, head, body []byte) error {
	if x.Rec != nil {
		if err := x.Rec.Record(x, Whole, status, int64(len(head)+len(body))); err != nil {
			x.sent = false
			return err
		}
	}
	h.setLines(head)
	_ = h.rc.SetWriteDeadline(time.Now().Add(h.wait))
	h.w.WriteHeader(status)
	if bodiless(x.Request.Method.Of(x.In), status) {
		return nil
	}
	_, err := h.w.Write(body)
	return err
}
