package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// relay stands between a gateway and the control plane and mistreats usage
// batches on their way: delivers them twice, also at the same moment and long
// after, swallows the acknowledgement of what was committed, cuts connections.
type relay struct {
	addr    string
	targets []string // control planes; each request goes to one that takes it
	server  *http.Server
	pass    *httputil.ReverseProxy
	client  *http.Client

	mu     sync.Mutex
	rnd    *rand.Rand
	calm   bool
	kept   []batch // some batches for later
	counts map[string]int
}

// batch is a delivery as it came from the gateway.
type batch struct {
	path   string
	header http.Header
	body   []byte
}

// The accidents, by what the relay does to a batch.
const (
	once       = "once"
	twice      = "twice"
	atOnce     = "twice at once"
	swallowed  = "acknowledgement swallowed"
	refused    = "cut before delivery"
	torn       = "cut in the middle"
	redelivery = "again, much later"
)

func startRelay(targets []string, seed uint64) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{
		addr: l.Addr().String(), targets: targets,
		rnd:    rand.New(rand.NewPCG(seed, 2)),
		counts: map[string]int{},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}},
	}
	r.pass = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: r.target()})
			p.Out.Host = p.In.Host
		},
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { cut(w) },
	}
	r.server = &http.Server{Handler: r}
	go r.server.Serve(l) //nolint:errcheck // ends with close
	return r, nil
}

// target is a control plane by lot, as a balancer in front of them chooses.
func (r *relay) target() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.targets[r.rnd.IntN(len(r.targets))]
}

func (r *relay) close() { _ = r.server.Close() }

// cut ends a connection without an answer.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func (r *relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodPost || q.URL.Path != usagePath {
		r.pass.ServeHTTP(w, q)
		return
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		cut(w)
	}
	b := batch{path: q.URL.RequestURI(), header: q.Header.Clone(), body: body}
	what := r.choose(b)
	ctx := context.WithoutCancel(q.Context()) // a batch may arrive after its sender's death
	switch what {
	case refused:
		cut(w)
	case torn:
		r.tear(b)
		cut(w)
	case twice:
		_, _, _ = r.deliver(ctx, b)
	case atOnce:
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _, _ = r.deliver(ctx, b)
		}()
		defer func() { <-done }()
	}
	status, answer, err := r.deliver(ctx, b)
	if err != nil || what == swallowed {
		cut(w)
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// choose draws what happens to a batch.
func (r *relay) choose(b batch) (what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what = once
	if !r.calm {
		what = []string{once, once, once, twice, twice, atOnce, swallowed, swallowed, refused, torn}[r.rnd.IntN(10)]
	}
	r.counts[what]++
	if len(r.kept) < 50 {
		r.kept = append(r.kept, b)
	} else {
		r.kept[r.rnd.IntN(len(r.kept))] = b
	}
	return what
}

func (r *relay) deliver(ctx context.Context, b batch) (status int, answer []byte, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.target()+b.path, bytes.NewReader(b.body))
	if err != nil {
		return 0, nil, err
	}
	q.Header = b.header
	res, err := r.client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// tear announces a batch to the control plane and sends half of it.
func (r *relay) tear(b batch) {
	target := r.target()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		return // it is down: nothing arrives at all
	}
	defer conn.Close()
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", b.path, target, len(b.body))
	h := b.header.Clone()
	h.Del("Content-Length")
	_ = h.Write(&head)
	head.WriteString("\r\n")
	head.Write(b.body[:len(b.body)/2])
	_, _ = conn.Write(head.Bytes())
}

// again delivers old batches once more, all of which must be known already.
func (r *relay) again(ctx context.Context) error {
	r.mu.Lock()
	kept := r.kept
	r.mu.Unlock()
	if len(kept) == 0 {
		return errors.New("no usage batch came by")
	}
	for _, b := range kept {
		status, answer, err := r.deliver(ctx, b)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("a batch delivered again is answered with %d %.300s", status, answer)
		}
		r.mu.Lock()
		r.counts[redelivery]++
		r.mu.Unlock()
	}
	return nil
}

// rest ends the accidents; what is under way comes through unharmed from now on.
func (r *relay) rest() {
	r.mu.Lock()
	r.calm = true
	r.mu.Unlock()
}

func (r *relay) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.counts)
}
