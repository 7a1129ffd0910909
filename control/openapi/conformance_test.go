package openapi

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/model"
)

// TestConformance imports documents nobody here wrote. TOLLGATE_CONFORMANCE names
// their folder; make conformance sets it.
func TestConformance(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE is not set; make conformance sets it")
	}
	files, err := filepath.Glob(filepath.Join(dir, "openapi", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in %s: %v", dir, err)
	}
	taken := 0
	defer func() {
		fmt.Printf("conformance documents cases %d pass %d fail %d\n", len(files), taken, len(files)-taken)
	}()
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(f) == "aws-extensions-bodies.json" {
			if t.Run(filepath.Base(f), func(t *testing.T) { conformBodies(t, src) }) {
				taken++
			}
			continue
		}
		ok := t.Run(filepath.Base(f), func(t *testing.T) {
			start := time.Now()
			r, err := Import(src, Options{Upstream: "http://127.0.0.1:9000/base"})
			took := time.Since(start)
			if err != nil {
				t.Fatal(err)
			}
			if took > 5*time.Second {
				t.Errorf("took %v; the bound is 5 s", took)
			}
			complete(t, src, r)
			for _, p := range r.Definition.Undeployable() {
				t.Errorf("cannot be deployed: %s", p)
			}
			t.Log(summary(r, took))
		})
		if ok {
			taken++
		}
	}
}

func conformBodies(t *testing.T, src []byte) {
	var cases []struct {
		Source string
		Body   json.RawMessage
	}
	if err := json.Unmarshal(src, &cases); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	sum := &Result{}
	refused := 0
	for i, c := range cases {
		r, err := Import(c.Body, Options{Name: "n", Upstream: "https://u.example"})
		if err != nil {
			var top map[string]json.RawMessage
			if err := json.Unmarshal(c.Body, &top); err != nil {
				t.Fatal(err)
			}
			if top["paths"] != nil && (top["openapi"] != nil || top["swagger"] != nil) {
				t.Errorf("body %d of %s: %v", i, c.Source, err)
			}
			refused++
			t.Logf("body %d of %s: %v", i, c.Source, err)
			continue
		}
		complete(t, c.Body, r)
		var top struct {
			Policy json.RawMessage `json:"x-amazon-apigateway-policy"`
		}
		if err := json.Unmarshal(c.Body, &top); err != nil {
			t.Fatal(err)
		}
		if len(top.Policy) > 0 && string(top.Policy) != "null" && len(r.Definition.Policy) == 0 {
			t.Errorf("body %d of %s has a policy and could be deployed without it", i, c.Source)
		}
		sum.Operations += r.Operations
		sum.Problems = append(sum.Problems, r.Problems...)
		sum.Definition.Resources = append(sum.Definition.Resources, r.Definition.Resources...)
	}
	t.Logf("%d bodies, %d refused; %s", len(cases), refused, summary(sum, time.Since(start)))
	fmt.Printf("conformance bodies cases %d pass %d fail %d\n", len(cases), len(cases)-refused, refused)
}

func summary(r *Result, took time.Duration) string {
	by := map[string]int{}
	for _, p := range r.Problems {
		by[p.Severity]++
	}
	return fmt.Sprintf("%s: %d operations, %d methods, %d errors, %d warnings, %d infos, %v", r.Format, r.Operations,
		r.Definition.MethodCount(), by[model.SeverityError], by[model.SeverityWarning], by[model.SeverityInfo], took.Round(time.Millisecond))
}
