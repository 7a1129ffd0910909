package fake

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The kinds of faults.
const (
	FaultDrop        = "drop"         // does the work, then breaks the connection off without an answer
	FaultServerError = "server_error" // answers 500, which the idempotency key then holds
	FaultRateLimit   = "rate_limit"   // answers 429; nothing is done or stored
	FaultLockTimeout = "lock_timeout" // answers 429 with code lock_timeout
	FaultConflict    = "conflict"     // answers 409, as while another call with the key is in flight; nothing is done or stored
	FaultLatency     = "latency"      // only waits; the key is in flight meanwhile
	FaultOutage      = "outage"       // breaks the connection off; nothing is done
)

var faultKinds = []string{FaultDrop, FaultServerError, FaultRateLimit, FaultLockTimeout, FaultConflict, FaultLatency, FaultOutage}

// Fault is one rule of the script: which calls it meets, and what happens to them. The first
// rule that meets a call is used.
type Fault struct {
	Method  string `json:"method"`  // "" for any
	Path    string `json:"path"`    // "" for any; * stands for one segment, a final ** for the rest
	Account string `json:"account"` // "" for any
	Kind    string `json:"kind"`
	Skip    int    `json:"skip"`       // lets so many calls pass first
	Times   int    `json:"times"`      // meets so many calls, then no more; 0 means one, -1 every
	Latency int    `json:"latency_ms"` // waits before the work, with any kind that does work
	After   bool   `json:"after"`      // server_error: the work is done before the 500
}

func (f *Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("kind must be one of %s", strings.Join(faultKinds, ", "))
	case f.Skip < 0 || f.Times < -1 || f.Latency < 0 || f.Latency > 60_000:
		return fmt.Errorf("skip and times must not be negative (times -1 means every), latency_ms at most 60000")
	}
	return nil
}

// AddFault adds a rule at the end of the script.
func (s *Server) AddFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) >= 1000 {
		return fmt.Errorf("at most 1000 faults at a time: remove those that are used up")
	}
	s.faults = append(s.faults, &f)
	return nil
}

// ClearFaults ends all rules.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// hit finds the rule for a call and counts it.
func (s *Server) hit(method, path, account string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times == 0 || f.Method != "" && f.Method != method || f.Account != "" && f.Account != account || !pathMatches(f.Path, path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return *f
	}
	return Fault{}
}

func pathMatches(pattern, path string) bool {
	if pattern == "" {
		return true
	}
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i, w := range want {
		if w == "**" && i == len(want)-1 {
			return true
		}
		if i >= len(have) || w != "*" && w != have[i] {
			return false
		}
	}
	return len(want) == len(have)
}

// dice decides what chaos does, the same way for the same seed.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0))} }

func (d dice) percent(p int) bool { return p > 0 && d.Rand != nil && d.IntN(100) < p }
