package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/model"
)

// Every operation of a document answers through the gateway, over HTTP/1.1,
// HTTP/2 and TLS, and every call of it is in the usage. With TOLLGATE_CONFORMANCE
// set, the documents are the real ones of that folder.
func TestOperationCorpus(t *testing.T) {
	t.Parallel()
	docs := []string{"testdata/shop.yaml"}
	if dir := os.Getenv("TOLLGATE_CONFORMANCE"); dir != "" {
		docs = []string{filepath.Join(dir, "openapi/twilio-3.0.json"), filepath.Join(dir, "openapi/discord-3.1.json")}
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-saw", r.Method+" "+r.URL.EscapedPath())
		w.WriteHeader(http.StatusOK)
	}))
	defer upstream.Close()
	env := environ(newDir(t))
	p := start(t, env, "up")
	var secure string
	until(t, "the TLS address to be printed", func() bool {
		_, rest, ok := strings.Cut(p.said(), "gateway TLS")
		secure, _, _ = strings.Cut(strings.TrimSpace(rest), "\n")
		return ok
	})
	cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", "ada@example.com", "--name", "Ada")
	for _, file := range docs {
		doc := cliJSON[imported](t, env, "api", "import", file, "--upstream", upstream.URL)
		d := cliJSON[deployed](t, env, "api", "deploy", doc.ID, "--stage", "prod")
		api := cliJSON[control.APIDetail](t, env, "api", "show", doc.ID)
		if n := api.Definition.MethodCount(); n != doc.Operations || n == 0 {
			t.Errorf("%s: %d operations became %d methods", file, doc.Operations, n)
		}
		calls := everyCall(t, api.Definition)
		for name, c := range clients(t, p.gateway, secure, d) {
			for _, want := range calls {
				verb, path, _ := strings.Cut(want, " ")
				req, err := http.NewRequest(verb, c.base+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.http.Do(req)
				if err != nil {
					t.Fatalf("%s over %s: %v", want, name, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if saw := resp.Header.Get("x-saw"); resp.StatusCode != 200 || saw != want || resp.ProtoMajor != c.major {
					t.Errorf("%s over %s: %d over %s, the upstream saw %q", want, name, resp.StatusCode, resp.Proto, saw)
				}
			}
		}
		want := int64(3 * len(calls))
		until(t, "every call to be in the usage", func() bool {
			var n int64
			for _, r := range cliJSON[items[intake.Row]](t, env, "usage", "--api", doc.ID, "--limit", "10000").Items {
				if r.Status == 200 {
					n += r.Calls
				}
			}
			return n == want
		})
		t.Logf("%s: %d operations answered over three protocols, %d calls metered", filepath.Base(file), len(calls), want)
	}
}

// everyCall is "VERB /path" for each method, with a value in place of each
// variable.
func everyCall(t *testing.T, d model.Definition) []string {
	var out []string
	for _, r := range d.Resources {
		segs, err := model.Segments(r.Path)
		must(t, err)
		path := ""
		for i, s := range segs {
			part := s.Text
			if s.Variable {
				part = s.Prefix + fmt.Sprint("v", i) + s.Suffix
			}
			path += "/" + part
		}
		if path == "" {
			path = "/"
		}
		for verb := range r.Methods {
			if verb == "ANY" {
				verb = "PATCH"
			}
			out = append(out, verb+" "+path)
		}
	}
	sort.Strings(out)
	return out
}

type client struct {
	base  string
	http  *http.Client
	major int
}

// clients reach a deployment in the three ways.
func clients(t *testing.T, plain, secure string, d deployed) map[string]client {
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	two.SetHTTP2(true)
	path := d.PathURL[strings.Index(d.PathURL, "/_aws/"):]
	path = strings.TrimSuffix(path, "/")
	to := func(base string, protocols *http.Protocols, major int) client {
		tr := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		t.Cleanup(tr.CloseIdleConnections)
		return client{base + path, &http.Client{Transport: tr, Timeout: 20 * time.Second}, major}
	}
	return map[string]client{
		"HTTP/1.1": to(plain, one, 1), "HTTP/1.1 with TLS": to(secure, one, 1), "HTTP/2": to(secure, two, 2),
	}
}
