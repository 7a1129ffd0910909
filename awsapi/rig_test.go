package awsapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/awsapi"
	"tollgate/awsapi/sigv4"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/gateway"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

// face is the control API over a database of its own, with one account.
type face struct {
	testing.TB
	*control.Plane
	pool  *pgxpool.Pool
	url   string
	owner account
}

// account is one that signs calls.
type account struct {
	control.Actor
	key sigv4.Credentials
}

func newFace(t testing.TB) *face {
	t.Helper()
	f := &face{TB: t, pool: pgtest.New(t)}
	var err error
	f.Plane, err = control.New(control.Options{Pool: f.pool, SecretKey: make([]byte, 32), AckTimeout: 10 * time.Millisecond,
		Names: control.Names{Trusted: func(name string) bool { return !strings.HasSuffix(name, ".test") }, ACME: true, DNS: "127.0.0.1:1"}})
	f.must(err)
	trials := gateway.NewTrials([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil, nil, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() { _ = trials.Close(context.Background()) })
	server, err := awsapi.New(awsapi.Options{Plane: f.Plane, Usage: intake.New(intake.Options{Pool: f.pool}), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Try: trials.Try, TryAuthorizer: trials.TryAuthorizer})
	f.must(err)
	s := httptest.NewServer(server)
	t.Cleanup(s.Close)
	f.url = s.URL
	f.owner = f.account("Ada")
	return f
}

func (f *face) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *face) account(name string) account {
	f.Helper()
	c, err := f.CreateTenant(f.Context(), control.Operator(), control.NewTenant{Email: model.NewID(8) + "@example.com", Name: name})
	f.must(err)
	a, err := f.Owner(f.Context(), c.AccountID)
	f.must(err)
	return account{a, sigv4.Credentials{AccessKeyID: c.AccessKeyID, Secret: c.SecretAccessKey}}
}

// reply is an answer of the face.
type reply struct {
	*face
	call   string
	Status int
	Header http.Header
	Body   []byte
}

// send signs and sends a call: a body that is neither nil nor a string is sent as JSON.
func (f *face) send(a account, method, path string, body any) *reply {
	f.Helper()
	var b []byte
	switch body := body.(type) {
	case nil:
	case string:
		b = []byte(body)
	default:
		var err error
		b, err = json.Marshal(body)
		f.must(err)
	}
	req, err := http.NewRequest(method, f.url+path, bytes.NewReader(b))
	f.must(err)
	req.Header.Set("Accept", "application/json")
	sigv4.SignHTTP(req, a.key, "us-east-1", "apigateway", sigv4.HashBody(b), time.Now())
	return f.do(req)
}

// json calls another service by the JSON protocol.
func (f *face) json(a account, service, target string, body any) *reply {
	f.Helper()
	b, err := json.Marshal(body)
	f.must(err)
	req, err := http.NewRequest("POST", f.url+"/", bytes.NewReader(b))
	f.must(err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	sigv4.SignHTTP(req, a.key, "us-east-1", service, sigv4.HashBody(b), time.Now())
	return f.do(req)
}

func (f *face) do(req *http.Request) *reply {
	f.Helper()
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	f.must(err)
	return &reply{f, req.Method + " " + req.URL.Path, resp.StatusCode, resp.Header, out}
}

// call sends one of the owner's.
func (f *face) call(method, path string, body any) *reply {
	f.Helper()
	return f.send(f.owner, method, path, body)
}

// want ends the test unless the status is this one.
func (r *reply) want(status int) *reply {
	r.Helper()
	if r.Status != status {
		r.Fatalf("%s: %d instead of %d: %s", r.call, r.Status, status, r.Body)
	}
	return r
}

// wantError ends the test unless the answer is this error.
func (r *reply) wantError(status int, code, message string) {
	r.Helper()
	var e struct{ Message string }
	_ = json.Unmarshal(r.Body, &e)
	if got := r.Header.Get("X-Amzn-Errortype"); r.Status != status || got != code || e.Message != message {
		r.Errorf("%s: %d %s %q\ninstead of %d %s %q", r.call, r.Status, got, e.Message, status, code, message)
	}
}

// into reads the answer.
func (r *reply) into(v any) {
	r.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		r.Fatalf("%s: %v: %s", r.call, err, r.Body)
	}
}

// field is one of the answer's, as text; the path's parts are separated by dots.
func (r *reply) field(path string) string {
	r.Helper()
	var v any
	r.into(&v)
	for _, p := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok || m[p] == nil {
			r.Fatalf("%s: there is no %s in %s", r.call, path, r.Body)
		}
		v = m[p]
	}
	s, ok := v.(string)
	if !ok {
		b, _ := json.Marshal(v)
		return string(b)
	}
	return s
}

func (f *face) exec(sql string, args ...any) {
	f.Helper()
	f.must(pgx.BeginFunc(f.Context(), f.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(f.Context(), sql, args...)
		return err
	}))
}
