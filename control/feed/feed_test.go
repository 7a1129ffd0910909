package feed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/control"
	"tollgate/control/feed"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

// house is a feed served over HTTP, with one tenant and a node that has a token.
type house struct {
	*testing.T
	*control.Plane
	pool   *pgxpool.Pool
	server *httptest.Server
	owner  control.Actor
	token  string
	log    bytes.Buffer
	ingest func(control.NodeIdentity, []byte) (model.BatchReceipt, error)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, pool: pgtest.New(t)}
	var err error
	h.Plane, err = control.New(control.Options{Pool: h.pool, SecretKey: make([]byte, 32), AckTimeout: 30 * time.Second})
	h.must(err)
	h.must(h.Start(t.Context()))
	h.server = httptest.NewServer(feed.Handler(feed.Options{Plane: h.Plane, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		Ingest: func(_ context.Context, n control.NodeIdentity, b []byte) (model.BatchReceipt, error) {
			return h.ingest(n, b)
		},
		Known: func(_ context.Context, n control.NodeIdentity, boots []model.BootID) (map[model.BootID]uint64, error) {
			return map[model.BootID]uint64{boots[len(boots)-1]: uint64(len(boots))}, nil
		}}))
	t.Cleanup(func() { h.server.Close(); h.Stop() })
	_, err = h.CreateTenant(t.Context(), control.Operator(), control.NewTenant{Email: "a@example.com", Name: "A"})
	h.must(err)
	h.owner, err = h.Owner(t.Context(), "")
	h.must(err)
	h.token, err = h.CreateNodeToken(t.Context(), control.Operator(), "shared", "n1")
	h.must(err)
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// send is a node's request; body is JSON unless it is bytes.
func (h *house) send(ctx context.Context, method, path string, body any, into any) (int, feed.Refusal, error) {
	var r io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		r, kind = bytes.NewReader(b), "application/octet-stream"
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return 0, feed.Refusal{}, err
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, h.server.URL+"/feed/v1/"+path, r)
	if err != nil {
		return 0, feed.Refusal{}, err
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", kind)
	res, err := h.server.Client().Do(req)
	if err != nil {
		return 0, feed.Refusal{}, err
	}
	defer res.Body.Close()
	var refusal feed.Refusal
	if res.StatusCode != http.StatusOK {
		into = &refusal
	}
	return res.StatusCode, refusal, json.NewDecoder(res.Body).Decode(into)
}

func (h *house) ok(method, path string, body, into any) {
	h.Helper()
	status, refusal, err := h.send(h.Context(), method, path, body, into)
	h.must(err)
	if status != http.StatusOK {
		h.Fatalf("%s %s: %d %+v", method, path, status, refusal)
	}
}

func (h *house) refused(want int, method, path string, body any) feed.Refusal {
	h.Helper()
	status, refusal, err := h.send(h.Context(), method, path, body, new(any))
	h.must(err)
	if status != want || refusal.Message == "" {
		h.Fatalf("%s %s: got %d %+v, want %d", method, path, status, refusal, want)
	}
	return refusal
}

const document = `openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: "https://pets.example.com"}]
paths: {/pets: {get: {responses: {"200": {description: ok}}}}}
`

// A remote node's day: follow, fetch what is new, acknowledge, lease, hand in.
func TestANodeOverHTTP(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	var c model.Changes
	h.ok("POST", "changes", model.NodeHello{Boot: "b"}, &c)
	if !c.Full || len(c.Tenants) != 1 {
		t.Fatalf("first %+v", c)
	}
	in, err := h.ImportAPI(ctx, h.owner, control.ImportAPI{Source: []byte(document)})
	h.must(err)

	// The deploy returns once the node has asked again with the new revision.
	type outcome struct {
		d   control.Deployed
		err error
	}
	deployed := make(chan outcome, 1)
	go func() {
		d, err := h.Deploy(ctx, h.owner, control.Deploy{APIID: in.API.ID, Stage: "prod"})
		deployed <- outcome{d, err}
	}()
	h.ok("POST", "changes", model.NodeHello{Boot: "b", Applied: c.Revision, Wait: 20 * time.Second}, &c)
	if len(c.Stages) != 1 {
		t.Fatalf("then %+v", c)
	}
	var content model.DeploymentContent
	h.ok("GET", "deployments/"+c.Stages[0].DeploymentID, nil, &content)
	if content.Hash != content.Definition.Hash() || len(content.Methods) != 1 || content.APIID != in.API.ID {
		t.Errorf("content %+v", content)
	}
	stage := c.Stages[0].Num
	h.ok("POST", "changes", model.NodeHello{Boot: "b", Applied: c.Revision}, &c)
	o := <-deployed
	h.must(o.err)
	if len(o.d.Receipts) != 1 || !o.d.Receipts[0].Applied || o.d.Receipts[0].Node != "n1" {
		t.Errorf("receipts %+v", o.d.Receipts)
	}

	p, err := h.CreatePlan(ctx, h.owner, control.PlanSpec{Name: "P", Quota: &model.Quota{Limit: 10, Period: model.Day},
		Stages: []model.PlanStage{{APIID: in.API.ID, Stage: "prod"}}})
	h.must(err)
	k, err := h.CreateKey(ctx, h.owner, control.NewKey{Enabled: true, PlanIDs: []string{p.ID}})
	h.must(err)
	var granted feed.Granted
	h.ok("POST", "leases", feed.Leases{Requests: []model.LeaseRequest{{Boot: "b", Tenant: h.owner.Tenant,
		Subscription: k.Plans[0].Subscription, At: time.Now(), Want: 3}}}, &granted)
	if len(granted.Leases) != 1 || granted.Leases[0].Granted != 3 {
		t.Errorf("granted %+v", granted)
	}

	h.ingest = func(n control.NodeIdentity, b []byte) (model.BatchReceipt, error) {
		if n.Node != "n1" || string(b) != "a batch" {
			return model.BatchReceipt{}, fmt.Errorf("got %q of %+v", b, n)
		}
		return model.BatchReceipt{Duplicate: true}, nil
	}
	var receipt model.BatchReceipt
	h.ok("POST", "batches", []byte("a batch"), &receipt)
	one, other := model.BootID{1}, model.BootID{15: 2}
	var known feed.Known
	h.ok("POST", "boots", feed.Boots{Boots: []string{one.String(), other.String()}}, &known)
	if len(known.Known) != 1 || known.Known[other.String()] != 2 {
		t.Errorf("known are %v", known)
	}
	if !receipt.Duplicate {
		t.Error("the receipt was lost")
	}
	calls := model.CallBatch{Seq: 1, Calls: []model.CallEntry{{ID: [16]byte{1}, Time: time.Now().UnixMicro(), Tenant: h.owner.Tenant, Stage: stage, Status: 200, Path: []byte("/pets")}}}
	h.ok("POST", "calls", calls.Encode(nil), &struct{}{})
	l, err := h.Calls(ctx, h.owner, control.CallFilter{})
	h.must(err)
	if len(l.Items) != 1 || l.Items[0].Path != "/pets" {
		t.Errorf("in the call log: %+v", l)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.refused(404, "GET", "deployments/nosuch", nil)
	h.refused(400, "POST", "changes", "not a hello")
	h.refused(400, "POST", "changes", model.NodeHello{})
	h.refused(413, "POST", "changes", model.NodeHello{Boot: strings.Repeat("b", 300<<10)})
	h.refused(413, "POST", "leases", feed.Leases{Requests: make([]model.LeaseRequest, control.MaxLeaseRequests+1)})
	h.refused(400, "POST", "batches", "JSON")
	h.refused(413, "POST", "batches", make([]byte, model.MaxBatchBytes+1))
	h.refused(400, "POST", "boots", map[string]any{"boots": []string{"1"}})
	h.refused(400, "POST", "calls", "JSON")
	h.refused(400, "POST", "calls", []byte("not a batch"))
	h.refused(413, "POST", "calls", make([]byte, model.MaxCallBatchBytes+1))

	// What is not a refusal is told to the log, not to the node.
	h.ingest = func(control.NodeIdentity, []byte) (model.BatchReceipt, error) {
		return model.BatchReceipt{}, errors.New("the secret of the house")
	}
	r := h.refused(500, "POST", "batches", []byte("b"))
	if strings.Contains(r.Message, "secret") || r.ID == "" || !strings.Contains(h.log.String(), r.ID) || !strings.Contains(h.log.String(), "secret of the house") {
		t.Errorf("answered %+v, logged %s", r, h.log.String())
	}
	for kind, status := range map[model.Kind]int{model.Conflict: 409, model.Denied: 403, model.Unavailable: 503, model.Limit: 413} {
		h.ingest = func(control.NodeIdentity, []byte) (model.BatchReceipt, error) {
			return model.BatchReceipt{}, model.Errorf(kind, "because")
		}
		if r := h.refused(status, "POST", "batches", []byte("b")); r.Message != "because" || r.Kind != kind {
			t.Errorf("answered %+v", r)
		}
	}
}

// Without a valid token nothing is answered, and no body is read.
func TestTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	good := h.token
	for _, token := range []string{"", "tgn_wrong", good + "x"} {
		h.token = token
		for path, method := range map[string]string{"changes": "POST", "leases": "POST", "batches": "POST", "boots": "POST", "calls": "POST", "deployments/x": "GET"} {
			h.refused(401, method, path, nil)
		}
	}
	h.token = good
	h.must(h.RevokeNodeTokens(t.Context(), control.Operator(), "shared", "n1"))
	h.refused(401, "POST", "changes", model.NodeHello{Boot: "b"})
}

// A node that hangs up is not waited for.
func TestANodeThatHangsUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var c model.Changes
	h.ok("POST", "changes", model.NodeHello{Boot: "b"}, &c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, _, err := h.send(ctx, "POST", "changes", model.NodeHello{Boot: "b", Applied: c.Revision, Wait: 20 * time.Second}, new(any))
		ended <- err
	}()
	in, err := h.ImportAPI(t.Context(), h.owner, control.ImportAPI{Source: []byte(document)})
	h.must(err)
	for visits := 0; visits < 2; { // until the plane knows of the poll
		h.must(h.pool.QueryRow(t.Context(), `select visit from node`).Scan(&visits))
	}
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("the poll was answered")
	}
	// The plane's AckTimeout is longer than this.
	limit, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	d, err := h.Deploy(limit, h.owner, control.Deploy{APIID: in.API.ID, Stage: "prod"})
	h.must(err)
	for _, r := range d.Receipts {
		if r.Applied {
			t.Errorf("acknowledged by a node that is gone: %+v", r)
		}
	}
}
