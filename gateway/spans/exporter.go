package spans

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options of an Exporter, as Settings make them.
type Options struct {
	URL        string      // of the collector's traces
	Header     http.Header // of each request to it
	Client     *http.Client
	Timeout    time.Duration // of one request
	Compress   bool
	Resource   []Attribute   // what the spans are of
	Version    string        // of the program
	Queue      int           // calls that may wait to be sent
	Every      time.Duration // a batch is sent, if there is one
	Sampler    Sampler
	PerAccount int // calls a second whose spans are sent, of one account
	Log        *slog.Logger
}

const (
	batchSpans = 512 // of one request, about
	attempts   = 4
	retryFirst = time.Second
	retryMost  = 10 * time.Second
)

// Exporter sends spans to a collector. Who has some never waits for it: what it has no
// room for is dropped, and counted.
type Exporter struct {
	o     Options
	queue chan []Span
	ctx   context.Context // ends what is under way
	end   context.CancelFunc
	stop  chan struct{}
	once  sync.Once
	done  chan struct{}
	told  time.Time // when the log was told about the collector last

	exported, full, refused, limited atomic.Uint64
}

// Stats counts spans: exported ones, and those dropped because the queue was full, the
// collector did not take them, or their account had its share.
type Stats struct{ Exported, QueueFull, Refused, OverShare uint64 }

// New starts an exporter, which Stop ends.
func New(o Options) *Exporter {
	e := &Exporter{o: o, queue: make(chan []Span, o.Queue), stop: make(chan struct{}), done: make(chan struct{})}
	e.ctx, e.end = context.WithCancel(context.Background())
	go e.run()
	return e
}

// Sampler is the one its options have.
func (e *Exporter) Sampler() *Sampler { return &e.o.Sampler }

// PerAccount is the rate its options have.
func (e *Exporter) PerAccount() int { return e.o.PerAccount }

// Put takes the spans of a call, which are not to be changed any more.
func (e *Exporter) Put(call []Span) {
	select {
	case e.queue <- call:
	default:
		e.full.Add(uint64(len(call)))
	}
}

// OverShare counts a call's spans that are not sent, as its account has had its share.
func (e *Exporter) OverShare(n int) { e.limited.Add(uint64(n)) }

// Stats are so far.
func (e *Exporter) Stats() Stats {
	return Stats{e.exported.Load(), e.full.Load(), e.refused.Load(), e.limited.Load()}
}

// Stop sends what is there, with one attempt for each batch, and ends the exporter.
// What is not sent when ctx ends is dropped.
func (e *Exporter) Stop(ctx context.Context) {
	e.once.Do(func() { close(e.stop) })
	select {
	case <-e.done:
	case <-ctx.Done():
		e.end()
		<-e.done
	}
	e.end()
	e.o.Client.CloseIdleConnections()
}

func (e *Exporter) run() {
	defer close(e.done)
	tick := time.NewTicker(e.o.Every)
	defer tick.Stop()
	var batch [][]Span
	n := 0
	send := func() {
		if n > 0 {
			e.send(batch, n)
		}
		batch, n = nil, 0
	}
	for {
		select {
		case c := <-e.queue:
			if batch, n = append(batch, c), n+len(c); n >= batchSpans {
				send()
			}
		case <-tick.C:
			send()
		case <-e.stop:
			for {
				select {
				case c := <-e.queue:
					if batch, n = append(batch, c), n+len(c); n >= batchSpans {
						send()
					}
					continue
				default:
				}
				send()
				return
			}
		}
	}
}

// send sends a batch of n spans, again where the collector says that this helps.
func (e *Exporter) send(batch [][]Span, n int) {
	body := request(e.o.Resource, e.o.Version, batch)
	if e.o.Compress {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body) // into memory
		_ = w.Close()
		body = b.Bytes()
	}
	wait := retryFirst
	for i := 1; ; i++ {
		refused, after, err := e.post(body)
		if err == nil {
			refused = min(refused, uint64(n))
			e.refused.Add(refused)
			e.exported.Add(uint64(n) - refused)
			return
		}
		if after == never || i == attempts || e.stopping() {
			e.refused.Add(uint64(n))
			e.complain(n, err)
			return
		}
		t := time.NewTimer(min(max(wait, after), retryMost))
		select {
		case <-t.C:
		case <-e.stop:
			t.Stop()
		}
		wait *= 2
	}
}

func (e *Exporter) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// never: the same request would be refused again.
const never = time.Duration(-1)

type statusError int

func (s statusError) Error() string {
	return "the collector answered with status " + strconv.Itoa(int(s))
}

// post makes one request. refused spans the collector did not take; after an error the
// request may be made again in after, or never.
func (e *Exporter) post(body []byte) (refused uint64, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.o.URL, bytes.NewReader(body))
	if err != nil {
		return 0, never, err
	}
	req.Header = e.o.Header.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	if e.o.Compress {
		req.Header.Set("Content-Encoding", "gzip")
	}
	res, err := e.o.Client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		if err == nil && res.Header.Get("Content-Type") == "application/x-protobuf" {
			refused = rejected(answer)
		}
		return refused, 0, nil
	case res.StatusCode == 429, res.StatusCode >= 502 && res.StatusCode <= 504:
		seconds, _ := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16)
		return 0, time.Duration(seconds) * time.Second, statusError(res.StatusCode)
	}
	return 0, never, statusError(res.StatusCode)
}

// complain tells the operator, once a minute.
func (e *Exporter) complain(n int, err error) {
	if time.Since(e.told) < time.Minute {
		return
	}
	e.told = time.Now()
	e.o.Log.Warn("spans were not taken by the collector of OTEL_EXPORTER_OTLP_ENDPOINT and are dropped; calls go on", "spans", n, "error", err)
}
