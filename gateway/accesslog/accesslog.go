// Package accesslog writes access logs where stages want them: into files of the
// operator's, to standard output, or to an address that takes lines by HTTP. Lines wait
// in bounds for their turn; what has no room, or cannot be delivered, is counted for the
// stage whose line it was. It never makes a call wait.
package accesslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tollgate/model"
)

// Bounds of what waits for one destination, and of how many an account may have.
const (
	maxBuffer = 1 << 20
	// MaxLine is the longest line, in bytes; the rest is cut.
	MaxLine         = 16 << 10
	maxDestinations = 32
	gather          = 200 * time.Millisecond // how long lines wait for others
)

// Options of Sinks. Dir and Stdout say what is done with lines for named log groups; with
// neither they are dropped.
type Options struct {
	Dir    string       // files {account}/{name}.log are below it; "": none
	Stdout io.Writer    // nil: not there
	Client *http.Client // for addresses
	Log    *slog.Logger
}

// Lost is told of lines that could not be written.
type Lost interface{ Line(n uint64) }

// Sinks are a node's destinations.
type Sinks struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	out    sync.Mutex // over Stdout

	mu    sync.Mutex
	dests map[key]*Dest
}

type key struct{ account, to string }

// Dest is where one or more stages' lines go.
type Dest struct {
	s     *Sinks
	write func(lines []byte) error // nil: nowhere
	wake  chan struct{}
	stop  chan struct{}

	mu    sync.Mutex
	buf   []byte
	whose map[Lost]uint64 // lines in buf
	over  bool            // nobody writes what is in buf any more
}

// New makes Sinks; Stop ends them.
func New(o Options) *Sinks {
	s := &Sinks{o: o, dests: map[key]*Dest{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Open is an account's destination, the same for all of its stages that name it.
func (s *Sinks) Open(account, to string) (*Dest, error) {
	at, err := model.ParseLogDestination(to)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{account, to}
	if d := s.dests[k]; d != nil {
		return d, nil
	}
	d := &Dest{s: s, wake: make(chan struct{}, 1), stop: make(chan struct{}), whose: map[Lost]uint64{}}
	n := 0
	for k := range s.dests {
		if k.account == account {
			n++
		}
	}
	switch {
	case n >= maxDestinations:
		s.o.Log.Warn("an account has more access log destinations than are written to; the lines for this one are dropped", "account", account, "destination", to, "most", maxDestinations)
		return d, nil // not kept: it has no goroutine
	case at.URL != nil:
		d.write = func(lines []byte) error { return s.post(at.URL.String(), lines) }
	case s.o.Stdout != nil:
		d.write = s.print
	case s.o.Dir != "":
		f := newFile(s.o.Dir, account, at.Name)
		d.write = f.append
	}
	s.dests[k] = d
	if d.write != nil {
		s.wg.Go(d.run)
	}
	return d, nil
}

// Keep ends the destinations that no stage has any more.
func (s *Sinks) Keep(used map[*Dest]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, d := range s.dests {
		if !used[d] {
			delete(s.dests, k)
			close(d.stop)
		}
	}
}

// Stop writes what there is, while ctx lasts.
func (s *Sinks) Stop(ctx context.Context) {
	s.Keep(nil)
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.cancel()
	<-done
}

// Write takes one line, without its end, or counts it as lost.
func (d *Dest) Write(line []byte, of Lost) {
	if d.write == nil {
		of.Line(1)
		return
	}
	line = line[:min(len(line), MaxLine)]
	d.mu.Lock()
	if d.over || len(d.buf)+len(line)+1 > maxBuffer {
		d.mu.Unlock()
		of.Line(1)
		return
	}
	first := len(d.buf) == 0
	d.buf = append(append(d.buf, line...), '\n')
	d.whose[of]++
	d.mu.Unlock()
	if first {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

func (d *Dest) run() {
	var spare []byte
	whose := map[Lost]uint64{}
	for {
		last := false
		select {
		case <-d.wake:
			wait := time.NewTimer(gather)
			select {
			case <-wait.C:
			case <-d.stop:
				last = true
			}
			wait.Stop()
		case <-d.stop:
			last = true
		}
		d.mu.Lock()
		lines := d.buf
		d.buf, d.over = spare[:0], last
		whose, d.whose = d.whose, whose
		d.mu.Unlock()
		if len(lines) > 0 {
			if err := d.write(lines); err != nil {
				d.s.o.Log.Warn("lines of an access log were lost", "lines", bytes.Count(lines, []byte{'\n'}), "err", err)
				for of, n := range whose {
					of.Line(n)
				}
			}
		}
		clear(whose)
		spare = lines
		if last {
			return
		}
	}
}

func (s *Sinks) print(lines []byte) error {
	s.out.Lock()
	defer s.out.Unlock()
	_, err := s.o.Stdout.Write(lines)
	return err
}

const (
	postTimeout = 10 * time.Second
	postTries   = 4
	postPause   = 500 * time.Millisecond
)

// post sends lines, again where that may help.
func (s *Sinks) post(to string, lines []byte) error {
	pause := postPause
	for try := 1; ; try++ {
		again, err := s.postOnce(to, lines)
		if err == nil || !again || try == postTries {
			return err
		}
		select {
		case <-s.ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

func (s *Sinks) postOnce(to string, lines []byte) (again bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(lines))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("User-Agent", "tollgate")
	res, err := s.o.Client.Do(req)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = fmt.Errorf("%s: %w", req.URL.Host, inner) // the address may hold a secret
		}
		return true, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	_ = res.Body.Close()
	if res.StatusCode/100 == 2 {
		return false, nil
	}
	return res.StatusCode/100 == 5 || res.StatusCode == http.StatusTooManyRequests, fmt.Errorf("%s answered %s", req.URL.Host, res.Status)
}
