package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
)

// A call shows in the usage within five seconds of its answer, at whatever moment
// between two seals of the journal it was made.
func TestUsageIsFresh(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	env := environ(newDir(t))
	p := start(t, env, "up")
	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	api := cliJSON[imported](t, env, "api", "import", file)
	cliJSON[deployed](t, env, "api", "deploy", api.ID, "--stage", "dev")
	url := p.gateway + "/_aws/execute-api/" + api.ID + "/dev/pets/"
	eventually(t, url+"7", "", 200)
	shown := func() (n int64) {
		for _, r := range cliJSON[items[intake.Row]](t, env, "usage", "--api", api.ID).Items {
			n += r.Calls
		}
		return n
	}
	var made int64
	still := time.Now()
	until(t, "every call so far to be in the usage", func() bool {
		if n := shown(); n != made {
			made, still = n, time.Now()
		}
		return made > 0 && time.Since(still) > 3*time.Second
	})
	round := func() (worst time.Duration) {
		for i := range 6 {
			res, err := http.Get(url + fmt.Sprint(i))
			must(t, err)
			res.Body.Close()
			made++
			at := time.Now()
			until(t, "the call to be in the usage", func() bool { return shown() == made })
			worst = max(worst, time.Since(at))
		}
		return worst
	}
	worst := round()
	for range 2 { // a busy machine may take its time over the verb that looks, too
		if worst <= 5*time.Second {
			break
		}
		worst = min(worst, round())
	}
	if worst > 5*time.Second {
		t.Errorf("a call showed %v after its answer", worst)
	}
	t.Logf("the slowest of 6 calls showed %v after its answer", worst.Round(time.Millisecond))
}
