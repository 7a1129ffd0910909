package fake_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/cmd/fakestripe/fake"
)

// stripeMock starts stripe-mock, which nobody here wrote: it knows from Stripe's published
// specification which parameters exist and which fields an answer has. v0.189.0 is the version
// nearest to API version 2024-06-20.
func stripeMock(t *testing.T) string {
	t.Helper()
	program := os.Getenv("TOLLGATE_STRIPE_MOCK")
	if program == "" {
		var err error
		if program, err = exec.LookPath("stripe-mock"); err != nil {
			const missing = "NOT compared with Stripe's specification: stripe-mock is not there. Install it with `go install github.com/stripe/stripe-mock@v0.189.0` and put it into PATH, or name it in TOLLGATE_STRIPE_MOCK"
			if os.Getenv("CI") == "true" {
				t.Fatal(missing)
			}
			t.Skip(missing)
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // killed
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, addr, ok := strings.Cut(lines.Text(), "Listening for HTTP at address: "); ok {
			go io.Copy(io.Discard, out) //nolint:errcheck // until it ends
			return "http://" + addr
		}
	}
	t.Fatal("stripe-mock ended without listening")
	return ""
}

// askMock sends one call to stripe-mock.
func askMock(t testing.TB, base, method, path, form string) (int, []byte) {
	t.Helper()
	target, body := base+path, form
	if method != http.MethodPost {
		target, body = target+"?"+form, ""
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk_test_1")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// Every call the conformance suite makes is one stripe-mock takes, and every field the fake
// answers with is one of the specification's.
func TestContractOfTheSuite(t *testing.T) {
	mock := stripeMock(t)
	type exchange struct {
		method, path, form string
		answer             []byte
	}
	var mu sync.Mutex
	seen := map[string]exchange{}
	s, err := fake.New(fake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes()) //nolint:errcheck // the client is the test
		if rec.Code == http.StatusOK {
			form := strings.Trim(r.URL.RawQuery+"&"+string(body), "&")
			mu.Lock()
			defer mu.Unlock()
			seen[r.Method+r.URL.Path+form] = exchange{r.Method, r.URL.Path, form, rec.Body.Bytes()}
		}
	}))
	defer web.Close()
	s.SetURL(web.URL)
	for name, do := range cases {
		t.Run(name, func(t *testing.T) { do(bed{t, connect(t, web.URL), s, t.Name(), web.URL}) })
	}
	if len(seen) < 60 {
		t.Fatalf("only %d calls were seen", len(seen))
	}
	for _, x := range seen {
		status, answer := askMock(t, mock, x.method, x.path, x.form)
		if status != http.StatusOK {
			t.Errorf("%s %s with %s: stripe-mock answers %d %s", x.method, x.path, x.form, status, answer)
			continue
		}
		var ours, theirs map[string]any
		if json.Unmarshal(x.answer, &ours) != nil || json.Unmarshal(answer, &theirs) != nil {
			t.Errorf("%s %s: an answer is no JSON object", x.method, x.path)
			continue
		}
		if ours["object"] != theirs["object"] {
			t.Errorf("%s %s: the fake answers with a %v, stripe-mock with a %v", x.method, x.path, ours["object"], theirs["object"])
			continue
		}
		for k := range ours {
			if _, ok := theirs[k]; !ok && !laterField[str(ours["object"])+"."+k] {
				t.Errorf("%s %s: the fake's %v has a field %s that stripe-mock does not know", x.method, x.path, ours["object"], k)
			}
		}
		for k := range theirs {
			if _, ok := ours[k]; !ok && !absentField[str(ours["object"])+"."+k] {
				t.Errorf("%s %s: the fake's %v has no field %s", x.method, x.path, ours["object"], k)
			}
		}
	}
}

func str(v any) string { s, _ := v.(string); return s }

// laterField are fields the fake gives that stripe-mock's fixtures lack, although the
// specification has them.
var laterField = map[string]bool{"webhook_endpoint.secret": true}

// absentField are fields of stripe-mock's fixtures that the fake does not give.
// The refunds of a charge are given on expansion only since 2022-11-15.
var absentField = map[string]bool{"charge.refunds": true}

// Every parameter in the fake's table is one that Stripe takes at that endpoint.
func TestContractOfTheTable(t *testing.T) {
	mock := stripeMock(t)
	for _, c := range fake.TableForTest() {
		status, answer := askMock(t, mock, c.Method, c.Path, c.Form.Encode())
		if status == http.StatusOK {
			continue
		}
		var e struct{ Error struct{ Message string } }
		json.Unmarshal(answer, &e) //nolint:errcheck // then the message is empty and reported
		t.Errorf("%s %s with %s: %d %s", c.Method, c.Path, c.Form.Encode(), status, e.Error.Message)
	}
}
