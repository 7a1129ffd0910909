package accesslog

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// count is a stage's lines that were lost.
type count struct{ n atomic.Uint64 }

func (c *count) Line(n uint64) { c.n.Add(n) }

const group = "arn:aws:logs:us-east-1:123456789012:log-group:calls"

func sinks(t *testing.T, o Options) *Sinks {
	o.Log = slog.New(slog.DiscardHandler)
	s := New(o)
	t.Cleanup(func() { s.Stop(t.Context()) })
	return s
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-late:
			t.Fatal("waited in vain for ", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func open(t *testing.T, s *Sinks, account, to string) *Dest {
	t.Helper()
	d, err := s.Open(account, to)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Files are rotated before they are too large, the oldest of them go, and no line is in
// two of them.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	f := newFile(dir, "123456789012", "../calls of all/x")
	f.most = 100
	for i := range 50 {
		if err := f.append(fmt.Appendf(nil, "line %02d of the log\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 1+fileKeep {
		t.Fatalf("%v %v", files, err)
	}
	last := 50
	for _, name := range append([]string{f.path}, f.path+".1", f.path+".2", f.path+".3") {
		b, err := os.ReadFile(name)
		if err != nil || len(b) > 100 || filepath.Dir(name) != filepath.Join(dir, "123456789012") {
			t.Fatalf("%s: %d bytes, %v", name, len(b), err)
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		for i, l := range lines {
			if want := fmt.Sprintf("line %02d of the log", last-len(lines)+i); l != want {
				t.Errorf("%s: %q, not %q", name, l, want)
			}
		}
		last -= len(lines)
	}
	// An operator may take them away.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.append([]byte("again\n")); err != nil {
		t.Error(err)
	}
}

// What a destination was given is written when it ends, and what comes later is counted.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	s := sinks(t, Options{Dir: dir})
	var lost count
	d := open(t, s, "123456789012", group)
	if again := open(t, s, "123456789012", group); again != d {
		t.Error("an account has one destination of a name")
	}
	other := open(t, s, "210987654321", strings.Replace(group, "123456789012", "210987654321", 1))
	for i := range 1000 {
		d.Write(fmt.Appendf(nil, "%d", i), &lost)
	}
	other.Write([]byte("of another account"), &lost)
	s.Keep(map[*Dest]bool{other: true})
	name := filepath.Join(dir, "123456789012", "calls.log")
	until(t, "the lines", func() bool {
		b, _ := os.ReadFile(name)
		return bytes.Count(b, []byte{'\n'}) == 1000
	})
	d.Write([]byte("late"), &lost)
	if lost.n.Load() != 1 {
		t.Errorf("%d lines were lost", lost.n.Load())
	}
	s.Stop(t.Context())
	b, err := os.ReadFile(filepath.Join(dir, "210987654321", "calls.log"))
	if string(b) != "of another account\n" || err != nil {
		t.Errorf("%q %v", b, err)
	}
}

// slow takes nothing until it may.
type slow struct {
	may chan struct{}
	mu  sync.Mutex
	got bytes.Buffer
}

func (s *slow) Write(p []byte) (int, error) {
	<-s.may
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func (s *slow) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// A destination that takes nothing costs its own lines, counted, and no call waits for it.
func TestFlood(t *testing.T) {
	out := &slow{may: make(chan struct{})}
	s := sinks(t, Options{Stdout: out})
	d := open(t, s, "123456789012", group)
	var lost count
	line := bytes.Repeat([]byte("x"), MaxLine+100)
	const n = 500
	for range n {
		d.Write(line, &lost)
	}
	if lost.n.Load() == 0 {
		t.Error("nothing was lost of what there is no room for")
	}
	close(out.may)
	s.Stop(t.Context())
	lines := strings.Split(strings.TrimSpace(out.text()), "\n")
	if got := uint64(len(lines)) + lost.n.Load(); got != n {
		t.Errorf("%d lines are written or counted as lost, of %d", got, n)
	}
	for _, l := range lines {
		if len(l) != MaxLine {
			t.Fatalf("a line of %d bytes", len(l))
		}
	}
}

// Lines go to an address again where that may help, and are counted where it does not.
func TestAddress(t *testing.T) {
	var tries atomic.Int64
	var body atomic.Value
	status := atomic.Int64{}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if tries.Add(1) == 1 && status.Load() == 200 {
			w.WriteHeader(503)
			return
		}
		body.Store(r.Method + " " + r.Header.Get("Content-Type") + " " + string(b))
		w.WriteHeader(int(status.Load()))
	}))
	defer srv.Close()
	status.Store(200)
	s := sinks(t, Options{Client: srv.Client()})
	d := open(t, s, "123456789012", srv.URL+"/lines?token=secret")
	var lost count
	d.Write([]byte(`{"a": 1}`), &lost)
	until(t, "the lines", func() bool { return body.Load() != nil })
	if got := body.Load(); got != "POST application/x-ndjson {\"a\": 1}\n" || tries.Load() != 2 || lost.n.Load() != 0 {
		t.Errorf("%q after %d tries, %d lost", got, tries.Load(), lost.n.Load())
	}
	status.Store(400)
	d.Write([]byte("two"), &lost)
	d.Write([]byte("three"), &lost)
	until(t, "the lines to be counted", func() bool { return lost.n.Load() == 2 })
	if tries.Load() > 4 {
		t.Errorf("what is refused was sent %d times", tries.Load())
	}
}

func TestBounds(t *testing.T) {
	s := sinks(t, Options{Dir: t.TempDir()})
	var lost count
	for i := range maxDestinations + 2 {
		open(t, s, "123456789012", fmt.Sprint(group, i)).Write([]byte("x"), &lost)
	}
	if lost.n.Load() != 2 {
		t.Errorf("%d lines were lost", lost.n.Load())
	}
	if _, err := s.Open("123456789012", "nowhere"); err == nil {
		t.Error("anything is a destination")
	}
	nowhere := sinks(t, Options{})
	open(t, nowhere, "123456789012", group).Write([]byte("x"), &lost)
	if lost.n.Load() != 3 {
		t.Errorf("%d lines were lost", lost.n.Load())
	}
}
