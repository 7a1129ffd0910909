package gateway

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/gateway/token/issuertest"
	"tollgate/model"
)

// soakFor is how long the gateway is kept under load, in three parts of the same length;
// TOLLGATE_SOAK says another time.
const soakFor = 18 * time.Second

// soakRelease is one deployment: what it answers is told by its number and its parts.
type soakRelease struct {
	n        int
	up       string // its upstream's address
	paths    int    // /p0 and so on, of which there are these
	trusted  [2]bool
	identity string // what a token for the function must begin with
}

func (d *soakRelease) id() string { return fmt.Sprint("release", d.n) }

// soakState is what the node was told, all of it. It is never changed.
type soakState struct {
	n            int
	gone         bool // the stage
	main, canary *soakRelease
	percent      float64
	color        string
	keys         map[string]bool // those that open the stage, by value
	closed       bool            // the plan has no stage
}

// releases are those that may answer.
func (s *soakState) releases() []*soakRelease {
	switch {
	case s.canary == nil || s.percent == 0:
		return []*soakRelease{s.main}
	case s.percent == 100:
		return []*soakRelease{s.canary}
	}
	return []*soakRelease{s.main, s.canary}
}

// soak is a gateway under load, with what may be asked of it and must come back.
type soak struct {
	*rig
	rnd     *rand.Rand
	issuers [2]*issuertest.Issuer
	tokens  [2]string
	ups     []string
	made    int
	keyNums map[string]uint32

	mu     sync.Mutex
	states []*soakState // the newest last; the first is the oldest that a call may see
	acked  int          // number of the newest that the node has confirmed
	known  []string     // keys that are or were, for callers to try

	answers  atomic.Int64
	good     atomic.Int64 // 200
	failures atomic.Int64
	byPath   [5]atomic.Int64
	metered  atomic.Int64 // of those with 200
}

// soakCall is one request with what it must be answered under a state: by the rest of
// the state r was told, and the keys of another, since a call may see both.
type soakCall struct {
	path   string
	header [2]string
	want   func(r *soakRelease, routes, keys *soakState) (int, string)
}

const (
	soakNoRoute = `{"message":"Missing Authentication Token"}`
	soakDenied  = `{"message":"Forbidden"}`
	soakNobody  = `{"message":"Unauthorized"}`
)

// TestSoak keeps a gateway under load while its routes, keys, authorizers and stage
// change all the time. No answer may be any but what a state gives that was in effect
// during the call: never of two deployments at once, and never one that a confirmed
// change has ended. What was answered is metered, and afterwards memory, goroutines and
// connections are where they were.
func TestSoak(t *testing.T) {
	d := soakFor
	if text := os.Getenv("TOLLGATE_SOAK"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil || d < 3*time.Second {
			t.Fatalf("TOLLGATE_SOAK=%s is not a time of 3s or more", text)
		}
	}
	s := newSoak(t)
	var marks []soakMark
	for part := range 3 {
		s.run(d / 3)
		m := s.rest()
		t.Logf("part %d: %d changes, %d answers (%d of 200); %s", part+1, s.states[len(s.states)-1].n, s.answers.Load(), s.good.Load(), m)
		marks = append(marks, m)
	}
	for i, n := range []string{"plain", "keyed", "token", "function", "mapped"} {
		if s.byPath[i].Load() == 0 {
			t.Errorf("no call of kind %s was answered with 200", n)
		}
	}
	a, b := marks[1], marks[2] // the first part fills caches and pools
	if b.heap > a.heap+a.heap/10+1<<20 {
		t.Errorf("the heap grew from %d to %d KiB", a.heap>>10, b.heap>>10)
	}
	if b.goroutines > a.goroutines+8 {
		t.Errorf("goroutines grew from %d to %d", a.goroutines, b.goroutines)
	}
	if b.files > a.files+8 {
		t.Errorf("open files and connections grew from %d to %d", a.files, b.files)
	}
	until(t, "every call to be metered", func() bool { return s.metered.Load() == s.good.Load() })
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if n := len(s.g.reg.programs); n > 0 { // the stage is gone
		t.Errorf("%d programs are kept", n)
	}
	if n, want := len(s.g.reg.keys), len(s.keyNums); n != want {
		t.Errorf("%d keys are kept of %d", n, want)
	}
}

func newSoak(t *testing.T) *soak {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &soak{rnd: rand.New(rand.NewPCG(seed, 1)), keyNums: map[string]uint32{}}
	f := newFunctions(t)
	go func() {
		for {
			select {
			case <-f.began:
			case <-t.Context().Done():
				return
			}
		}
	}()
	pools := model.UserPools{}
	for i := range s.issuers {
		s.issuers[i] = issuertest.New(t, "ES256")
		s.tokens[i] = s.issuers[i].Token("app", map[string]any{"token_use": "id", "exp": 4102444800})
		pools[soakPool(i)] = s.issuers[i].URL
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
		}))
		t.Cleanup(up.Close)
		s.ups = append(s.ups, up.Listener.Addr().String())
	}
	s.rig = lambdaRig(t, f, func(o *Options) {
		o.UserPools = pools
		o.Feed.Calls = func(context.Context, []byte) error { return nil } // they would pile up here
		o.Feed.Ingest = func(_ context.Context, encoded []byte) (model.BatchReceipt, error) {
			b, err := model.DecodeBatch(encoded)
			if err != nil {
				return model.BatchReceipt{}, err
			}
			for _, l := range b.Lines {
				if l.Status == 200 {
					s.metered.Add(int64(l.Calls))
				}
			}
			return model.BatchReceipt{}, nil
		}
	})
	s.p.tell(t, model.Changes{
		Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Caps: model.Caps{Rate: 1e9, Burst: 1e9, InFlight: 1000}}},
		Plans:   []model.PlanConfig{s.plan(false)},
	})
	first := &soakState{main: s.release(), color: "blue", keys: map[string]bool{}}
	s.change(first, model.Changes{Stages: []model.StageConfig{s.stage(first)}})
	return s
}

// ask makes up a call.
func (s *soak) ask(rnd *rand.Rand, known []string) (kind int, c soakCall) {
	switch kind = rnd.IntN(5); kind {
	case 0:
		i := rnd.IntN(5)
		return kind, soakCall{path: fmt.Sprint("/p", i), want: func(r *soakRelease, _, _ *soakState) (int, string) {
			if i >= r.paths {
				return 403, soakNoRoute
			}
			return 200, fmt.Sprintf("GET /%s/p%d", r.id(), i)
		}}
	case 1:
		value := "none"
		if len(known) > 0 {
			value = known[rnd.IntN(len(known))]
		}
		return kind, soakCall{"/keyed", [2]string{"x-api-key", value}, func(r *soakRelease, _, keys *soakState) (int, string) {
			if !keys.keys[value] || keys.closed {
				return 403, soakDenied
			}
			return 200, fmt.Sprintf("GET /%s/keyed", r.id())
		}}
	case 2:
		i := rnd.IntN(2)
		return kind, soakCall{"/token", [2]string{"Authorization", s.tokens[i]}, func(r *soakRelease, _, _ *soakState) (int, string) {
			if !r.trusted[i] {
				return 401, soakNobody
			}
			return 200, fmt.Sprintf("GET /%s/token", r.id())
		}}
	case 3:
		who := []string{"Allow", "Deny"}[rnd.IntN(2)]
		return kind, soakCall{"/function", [2]string{"Authorization", who + " *"}, func(r *soakRelease, _, _ *soakState) (int, string) {
			switch {
			case r.identity != who:
				return 401, soakNobody
			case who == "Deny":
				return 403, `{"Message":"User is not authorized to access this resource with an explicit deny"}`
			}
			return 200, fmt.Sprintf("GET /%s/function", r.id())
		}}
	}
	return kind, soakCall{path: "/mapped", want: func(r *soakRelease, routes, _ *soakState) (int, string) {
		return 200, fmt.Sprintf("%s %s GET /%s/mapped", r.id(), routes.color, r.id())
	}}
}

// call makes one call and judges its answer.
func (s *soak) call(rnd *rand.Rand, client *http.Client) {
	s.mu.Lock()
	from, known := s.acked, s.known
	s.mu.Unlock()
	kind, c := s.ask(rnd, known)
	req, err := http.NewRequest("GET", s.base+"/_aws/execute-api/abc/prod"+c.path, nil)
	if err != nil {
		s.fail("%v", err)
		return
	}
	if c.header[0] != "" {
		req.Header.Set(c.header[0], c.header[1])
	}
	req.Close = rnd.IntN(20) == 0
	res, err := client.Do(req)
	if err != nil {
		s.fail("%s: %v", c.path, err)
		return
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		s.fail("%s: %v", c.path, err)
		return
	}
	s.answers.Add(1)
	if res.StatusCode == 200 {
		s.good.Add(1)
		s.byPath[kind].Add(1)
	}
	s.mu.Lock()
	states := s.states
	s.mu.Unlock()
	if from < states[0].n {
		s.fail("%s took longer than %d changes", c.path, len(states))
		return
	}
	states = states[from-states[0].n:]
	for _, routes := range states {
		if routes.gone {
			if res.StatusCode == 403 && string(body) == soakDenied {
				return
			}
			continue
		}
		for _, r := range routes.releases() {
			for _, keys := range states {
				if status, want := c.want(r, routes, keys); res.StatusCode == status && string(body) == want {
					return
				}
			}
		}
	}
	var may []string
	for _, st := range states {
		for _, r := range st.releases() {
			status, want := c.want(r, st, st)
			may = append(may, fmt.Sprintf("state %d, stage gone %v: %d %s", st.n, st.gone, status, want))
		}
	}
	s.fail("%s %v: %d %s, which none of the states during the call gives:\n%s", c.path, c.header, res.StatusCode, body, strings.Join(may, "\n"))
}

// fail reports what went wrong, not all of it when much does.
func (s *soak) fail(format string, a ...any) {
	if s.failures.Add(1) <= 10 {
		s.t.Errorf(format, a...)
	}
}

// run keeps calls and changes going for a time.
func (s *soak) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 8 {
		rnd := rand.New(rand.NewPCG(s.rnd.Uint64(), uint64(i)))
		clients.Go(func() {
			for ctx.Err() == nil && s.failures.Load() < 10 {
				s.call(rnd, s.httpc)
			}
		})
	}
	for ctx.Err() == nil && !s.t.Failed() {
		s.turn()
	}
	clients.Wait()
}

// soakMark is what the process holds when nothing is going on.
type soakMark struct {
	heap       uint64
	goroutines int
	files      int // of the system's handles, connections among them; 0: they cannot be counted
}

func (m soakMark) String() string {
	return fmt.Sprintf("heap %d KiB, %d goroutines, %d files and connections", m.heap>>10, m.goroutines, m.files)
}

// rest takes the stage away, lets everything end that ends by itself, and reads what
// stays: nothing may, of what was deployed.
func (s *soak) rest() soakMark {
	st := *s.states[len(s.states)-1]
	st.gone = true
	s.change(&st, model.Changes{Stages: []model.StageConfig{s.stage(&st)}})
	s.httpc.CloseIdleConnections()
	until(s.t, "the clients' connections to be closed", func() bool { return s.g.server.Conns() == 0 })
	read := func() (m soakMark) {
		runtime.GC()
		m.goroutines = runtime.NumGoroutine()
		if all, err := os.ReadDir("/proc/self/fd"); err == nil {
			m.files = len(all)
		}
		return m
	}
	m := read()
	same := 0
	until(s.t, "goroutines and connections to stay the same", func() bool {
		was := m
		if m = read(); m == was {
			same++
		} else {
			same = 0
		}
		return same == 10
	})
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.heap = mem.HeapAlloc
	return m
}
