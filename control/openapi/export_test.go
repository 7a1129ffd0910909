package openapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/model"
)

// roundTrip checks that what is exported is, read again, the same definition.
func roundTrip(t *testing.T, d *model.Definition) {
	t.Helper()
	for _, asYAML := range []bool{false, true} {
		doc, err := Export(d, ExportOptions{All: true, YAML: asYAML, Host: "api.example", Stage: "s", Made: time.Unix(0, 0), Documentation: d.Documentation})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Import(doc, Options{Wire: true})
		if err != nil && asYAML && strings.Contains(err.Error(), "too many for YAML") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(comparable(t, d), comparable(t, &again.Definition)); diff != "" {
			t.Errorf("YAML %v: what was exported reads otherwise (- before, + after):\n%.3000s", asYAML, diff)
		}
	}
}

// comparable is a definition without what no document says.
func comparable(t *testing.T, d *model.Definition) model.Definition {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var c model.Definition
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	c.Unserved = nil
	slices.SortFunc(c.Models, func(x, y model.Schema) int { return strings.Compare(x.Name, y.Name) })
	slices.SortFunc(c.Documentation, func(x, y model.DocumentationPart) int { return strings.Compare(x.ID, y.ID) })
	slices.SortFunc(c.Authorizers, func(x, y model.Authorizer) int { return strings.Compare(x.Name, y.Name) })
	for _, r := range c.Resources {
		for verb, m := range r.Methods {
			if g := m.Integration; g != nil {
				if g.PassthroughBehavior == "" {
					g.PassthroughBehavior = "WHEN_NO_MATCH"
				}
				if g.TimeoutMillis == model.DefaultTimeoutMillis {
					g.TimeoutMillis = 0
				}
				if g.ConnectionType == "INTERNET" {
					g.ConnectionType = ""
				}
			}
			r.Methods[verb] = m
		}
	}
	if c.Version == "" {
		c.Version = "1970-01-01T00:00:00Z"
	}
	return c
}

func TestConformanceRoundTrip(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE is not set; make conformance sets it")
	}
	files, err := filepath.Glob(filepath.Join(dir, "openapi", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in %s: %v", dir, err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			bodies := []json.RawMessage{src}
			if filepath.Base(f) == "aws-extensions-bodies.json" {
				var cases []struct{ Body json.RawMessage }
				if err := json.Unmarshal(src, &cases); err != nil {
					t.Fatal(err)
				}
				bodies = nil
				for _, c := range cases {
					bodies = append(bodies, c.Body)
				}
			}
			taken := 0
			for _, body := range bodies {
				r, err := Import(body, Options{Wire: true})
				if err != nil {
					continue
				}
				taken++
				roundTrip(t, &r.Definition)
			}
			t.Logf("%d of %d documents", taken, len(bodies))
		})
	}
}

// TestExport compares what testdata's documents are exported as.
func TestExport(t *testing.T) {
	for _, name := range []string{"extensions.yaml", "swagger.doc.json", "security.yaml"} {
		src, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Import(src, Options{Wire: true})
		if err != nil {
			t.Fatal(err)
		}
		short, _, _ := strings.Cut(name, ".")
		for _, o := range []struct {
			ending string
			ExportOptions
		}{{"oas30.json", ExportOptions{All: true}}, {"oas30.yaml.txt", ExportOptions{YAML: true, Integrations: true}}, {"swagger.json.txt", ExportOptions{Swagger: true, Authorizers: true}}} {
			o.Host, o.Stage, o.Made = "api.example", "prod", time.Unix(0, 0)
			got, err := Export(&r.Definition, o.ExportOptions)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+short+".export."+o.ending, string(got)+"\n")
		}
	}
}

// How an upstream is asked beyond what Amazon API Gateway knows goes through documents,
// and what it cannot be keeps the API from being deployed.
func TestUpstreamPolicies(t *testing.T) {
	doc := func(policy string) []byte {
		return []byte(`{"openapi": "3.0.1", "info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {"responses": {}, "x-amazon-apigateway-integration": {"type": "http_proxy", "httpMethod": "GET", "uri": "https://u.example/",
			"x-tollgate-upstream": ` + policy + `}}}}}`)
	}
	r, err := Import(doc(`{"retries": {"attempts": 3, "perTryTimeoutMillis": 500, "onStatus": [500, 503]}, "circuitBreaker": {"consecutiveFailures": 5, "failureRatio": 0.5}, "http2": true}`), Options{Wire: true})
	if err != nil {
		t.Fatal(err)
	}
	u := r.Definition.Method("/a", "GET").Integration.Upstream
	want := &model.UpstreamPolicy{Retries: &model.Retries{Attempts: 3, PerTryMillis: 500, OnStatus: []int{500, 503}}, Breaker: &model.Breaker{Consecutive: 5, Ratio: 0.5}, HTTP2: true}
	if diff := cmp.Diff(want, u); diff != "" {
		t.Error(diff)
	}
	roundTrip(t, &r.Definition)
	for _, bad := range []string{`[]`, `{"retries": {"attempts": 9}}`, `{"retry": {}}`, `{"circuitBreaker": {}}`, `{"$ref": "#/x"}`, `{"circuitBreaker": {"consecutiveFailures": 1, "failureRatio": 1e999}}`} {
		r, err := Import(doc(bad), Options{Wire: true})
		if err == nil && len(r.Definition.Undeployable()) == 0 {
			t.Errorf("%s is taken", bad)
		}
	}
}
