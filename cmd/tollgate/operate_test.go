package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tollgate/control"
)

// caller makes a call every few milliseconds and keeps what was answered when.
type caller struct {
	mu   sync.Mutex
	seen []answered
}

type answered struct {
	asked, at time.Time
	status    int
}

func callAll(t *testing.T, url string) *caller {
	t.Helper()
	c := &caller{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return
			}
			asked := time.Now()
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				continue // the test's end, or counted as no answer
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			c.mu.Lock()
			c.seen = append(c.seen, answered{asked, time.Now(), res.StatusCode})
			c.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// settles waits until calls asked after a time are answered with a status, and
// says how long the last call with another one took to be asked after it.
func (c *caller) settles(t *testing.T, after time.Time, status int) time.Duration {
	t.Helper()
	until(t, fmt.Sprintf("calls to be answered %d", status), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := len(c.seen)
		// For a while: one answer between two others proves nothing.
		return n > 50 && c.seen[n-1].status == status && c.seen[n-50].status == status && c.seen[n-50].asked.After(after)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	var late time.Duration
	changed := false
	for _, a := range c.seen {
		switch {
		case !a.asked.After(after):
		case a.status != status:
			if changed {
				t.Errorf("a call was answered %d after one was answered %d", a.status, status)
			}
			late = max(late, a.asked.Sub(after))
		default:
			changed = true
		}
	}
	return late
}

// A suspended tenant's calls are refused within a second, all of them, and a
// resumed one's are answered again as soon.
func TestSuspensionIsInEffectWithinASecond(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	env := environ(newDir(t))
	p := start(t, env, "up")
	account := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada").AccountID
	api := cliJSON[imported](t, env, "api", "import", file)
	cliJSON[deployed](t, env, "api", "deploy", api.ID, "--stage", "dev")
	url := p.gateway + "/_aws/execute-api/" + api.ID + "/dev/pets/7"
	eventually(t, url, "", 200)
	calls := callAll(t, url)
	calls.settles(t, time.Time{}, 200)
	for range 2 {
		cliJSON[any](t, env, "tenant", "suspend", account, "--reason", "unpaid since May")
		if late := calls.settles(t, time.Now(), 403); late > time.Second {
			t.Errorf("%v after the suspension a call was still answered", late)
		}
		cliJSON[any](t, env, "tenant", "resume", account)
		if late := calls.settles(t, time.Now(), 200); late > time.Second {
			t.Errorf("%v after the resumption a call was still refused", late)
		}
	}
}
