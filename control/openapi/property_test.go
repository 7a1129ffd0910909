package openapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/model"
)

// Whatever paths a document has, every operation is a method or reported, and
// every method can be served from the document's server.
func TestEveryOperation(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "c.json", "é", "{x}", "{y}", "{x}.json", "{y}.json", "v{x}", "{a}-{b}", "{a}:go", "$", "n${x}", "{user id}", "{}", "%2F", "{p+}"})
	verb := rapid.SampledFrom([]string{"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"})
	rapid.Check(t, func(rt *rapid.T) {
		paths := map[string]any{}
		for range rapid.IntRange(1, 12).Draw(rt, "paths") {
			p := "/" + strings.Join(rapid.SliceOfN(part, 0, 4).Draw(rt, "parts"), "/")
			if rapid.Bool().Draw(rt, "slash") && p != "/" {
				p += "/"
			}
			item := map[string]any{}
			for _, v := range rapid.SliceOfN(verb, 1, 3).Draw(rt, "verbs") {
				item[v] = map[string]any{}
			}
			paths[p] = item
		}
		src, err := json.Marshal(map[string]any{
			"openapi": "3.0.0", "info": map[string]any{"title": "t"}, "paths": paths,
			"servers": []any{map[string]any{"url": "https://u.example/base"}},
		})
		if err != nil {
			rt.Fatal(err)
		}
		r, err := Import(src, Options{RequireKey: true})
		if err != nil {
			rt.Fatal(err)
		}
		complete(rt, src, r)
		for _, p := range r.Definition.Undeployable() {
			rt.Errorf("cannot be deployed: %s", p)
		}
		ids := map[string]bool{}
		for _, res := range r.Definition.Resources {
			if ids[res.ID] || len(res.ID) != 6 {
				rt.Errorf("resource id %q of %s is taken or odd", res.ID, res.Path)
			}
			ids[res.ID] = true
			for verb, m := range res.Methods {
				if !m.APIKeyRequired {
					rt.Errorf("%s %s requires no key", verb, res.Path)
				}
				samePath(rt, res.Path, m.Integration)
			}
		}
	})
}

// samePath checks that the upstream is called with the path the client used.
func samePath(rt *rapid.T, path string, g *model.Integration) {
	segs, err := model.Segments(path)
	if err != nil {
		rt.Fatal(err)
	}
	want := "/base"
	values := map[string]string{}
	for i, s := range segs {
		value := string(rune('A'+i)) + "-value"
		if !s.Variable {
			want += "/" + s.Text
			continue
		}
		if _, twice := values[s.Name()]; twice {
			rt.Errorf("%s has two variables %s", path, s.Name())
		}
		values[s.Name()] = value
		want += "/" + s.Prefix + value + s.Suffix
	}
	up, err := model.ParseUpstream(g, path)
	if err != nil {
		rt.Fatal(err)
	}
	got := ""
	for _, p := range up.Path {
		got += p.Literal + values[p.Variable]
	}
	if plain(strings.TrimSuffix(got, "/")) != plain(strings.TrimSuffix(want, "/")) {
		rt.Errorf("%s is called upstream as %s, want %s", path, got, want)
	}
}

func FuzzImport(f *testing.F) {
	docs, err := filepath.Glob("testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range docs {
		if strings.HasSuffix(d, ".yaml") || strings.HasSuffix(d, ".doc.json") {
			src, err := os.ReadFile(d)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src, false)
			f.Add(src, true)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, upstream bool) {
		o := Options{BaseURL: "https://docs.example/a/b.yaml"}
		if upstream {
			o.Upstream = "http://u.example"
		}
		r, err := Import(src, o)
		if err != nil {
			// What is left for Validate to refuse is a limit the importer missed.
			if model.KindOf(err) != model.Invalid || strings.Contains(err.Error(), "cannot be imported") {
				t.Fatal(err)
			}
			return
		}
		if err := r.Definition.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, res := range r.Definition.Resources {
			for verb, m := range res.Methods {
				g := m.Integration
				if g == nil || !upstream || !strings.HasPrefix(g.URI, "http://u.example/") || strings.Contains(string(src), "u.example") {
					continue
				}
				if _, err := model.ParseUpstream(g, res.Path); err != nil {
					t.Errorf("%s %s: %v", verb, res.Path, err)
				}
			}
		}
	})
}
