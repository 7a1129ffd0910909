package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"tollgate/bench/rig"
	"tollgate/control"
	"tollgate/migrations/pgtest"
)

// A gateway that is killed while the control plane is away goes on, as soon as it runs
// again, with what it held of a quota; when the control plane is back, not a call more is
// let in than the quota has, and not one less.
func TestQuotaOutlivesGatewayAndControlPlane(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "pets.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, upstream.URL), 0o600))
	database := pgtest.Empty(t)
	addr, err := rig.FreeAddr()
	must(t, err)
	env := environ(newDir(t), "DATABASE_URL="+database, "TOLLGATE_CONTROL_ADDR="+addr)
	if r := cli(t, env, "migrate"); r.code != 0 {
		t.Fatalf("migrate: %s", r.stderr)
	}
	plane := start(t, env, "control")
	token := cliJSON[struct{ Token string }](t, env, "node", "create", "--name", "n1").Token
	node := environ(newDir(t), "TOLLGATE_FEED_URL="+plane.console, "TOLLGATE_NODE_TOKEN="+token, "TOLLGATE_NODE=n1", "TOLLGATE_UPSTREAM_ALLOW=127.0.0.0/8", "TOLLGATE_DRAIN_TIMEOUT=2s")
	gateway := start(t, node, "gateway")

	const quota = 1000
	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	api := cliJSON[imported](t, env, "api", "import", file, "--require-key")
	cliJSON[deployed](t, env, "api", "deploy", api.ID, "--stage", "dev")
	cliJSON[control.Plan](t, env, "plan", "create", "--name", "gold", "--quota", fmt.Sprint(quota), "--period", "month", "--stage", "Pets:dev")
	key := cliJSON[control.CreatedKey](t, env, "key", "create", "--name", "k", "--plan", "gold").Value
	let := 0
	call := func() int {
		code := answer(t, gateway.gateway+"/_aws/execute-api/"+api.ID+"/dev/pets/7", key)
		if code == 200 {
			let++
		}
		return code
	}
	until(t, "the gateway to know the key", func() bool { return call() == 200 })
	// Not while what it holds is nearly used up and the answer with more is on its way.
	held := func() bool {
		b, err := os.ReadFile(filepath.Join(gateway.dir, "leases"))
		must(t, err)
		return len(bytes.Trim(b[min(len(b), 128):], "\x00")) > 0 // behind the header
	}
	for let < quota/4 || !held() {
		if code := call(); code != 200 {
			t.Fatalf("call %d was answered with %d", let+1, code)
		}
	}

	for _, p := range []*daemon{plane, gateway} {
		p.end(t, syscall.SIGKILL)
	}
	gateway = start(t, node, "gateway")
	before := let
	if code := call(); code != 200 {
		t.Errorf("a gateway that was started again without the control plane answers %d", code)
	}
	if r := gateway.end(t, syscall.SIGTERM); r.code != 0 { // nor does one that ends in order lose it
		t.Errorf("without the control plane the gateway's exit code is %d: %s", r.code, r.stderr)
	}
	gateway = start(t, node, "gateway")
	for code := 200; code == 200; {
		if code = call(); code != 200 && code != 503 {
			t.Fatalf("without the control plane: %d", code)
		}
	}
	if let < before+2 {
		t.Errorf("gateways that were started again let in %d calls without the control plane", let-before)
	}
	alone := let - before

	start(t, env, "control")
	until(t, "the quota to be served again", func() bool { return call() == 200 })
	// What the killed process held and nobody can know to be unused comes back with its journal.
	until(t, "the quota to be used up", func() bool {
		for {
			if code := call(); code == 429 {
				return let >= quota
			} else if code != 200 {
				return false
			}
		}
	})
	if let != quota {
		t.Errorf("%d calls were let in, of a quota of %d", let, quota)
	}
	t.Logf("%d calls before, %d without the control plane, %d after", before, alone, quota-before-alone)
	if r := gateway.end(t, syscall.SIGTERM); r.code != 0 {
		t.Errorf("the gateway's exit code is %d: %s", r.code, r.stderr)
	}

	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	var wrong []string
	var used, net int64
	must(t, conn.QueryRow(t.Context(), `
		with scope as materialized (select set_config('tollgate.tenant', '*', true))
		select coalesce(sum(used), 0), coalesce(sum(granted - returned), 0),
			coalesce(array_agg(boot || ' used ' || used || ' of ' || granted - returned) filter (where used > granted - returned), '{}')
		from quota_lease, scope`).Scan(&used, &net, &wrong))
	if used != quota || net != quota || len(wrong) > 0 {
		t.Errorf("the books have %d used of %d leased: %s", used, net, strings.Join(wrong, ", "))
	}
}
