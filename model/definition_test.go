package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSegments(t *testing.T) {
	lit := func(s string) Segment { return Segment{Text: s} }
	v := func(s, prefix, suffix string) Segment {
		return Segment{Text: s, Variable: true, Prefix: prefix, Suffix: suffix}
	}
	for _, c := range []struct {
		path string
		want []Segment
		name string // of the last segment
		err  string
	}{
		{path: "/"},
		{path: "/a/{id}", want: []Segment{lit("a"), v("{id}", "", "")}, name: "id"},
		{path: "/a/{p+}", want: []Segment{lit("a"), {Text: "{p+}", Variable: true, Greedy: true}}, name: "p"},
		{path: "/{Sid}.json", want: []Segment{v("{Sid}.json", "", ".json")}, name: "Sid"},
		{path: "/v{x}/{a}:verb", want: []Segment{v("v{x}", "v", ""), v("{a}:verb", "", ":verb")}, name: "a"},
		{path: "/p-{x}-s", want: []Segment{v("p-{x}-s", "p-", "-s")}, name: "x"},
		{path: "a", err: "must start with a slash"},
		{path: "/a/", err: "not end with one"},
		{path: "/a//b", err: "empty part"},
		{path: "/{p+}/x", err: "child of a resource with a greedy"},
		{path: "/{p+}.json", err: "mixes text and a greedy variable"},
		{path: "/{a}-{b}", err: "more than one variable"},
		{path: "/{{a}}", err: "more than one variable"},
		{path: "/{a", err: "brace without its pair"},
		{path: "/a}", err: "brace without its pair"},
		{path: "/}a{", err: "brace without its pair"},
		{path: "/{}", err: "not a variable name"},
		{path: "/{}.json", err: "not a variable name"},
		{path: "/{+}", err: "not a variable name"},
		{path: "/{a b}", err: "not a variable name"},
	} {
		got, err := Segments(c.path)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("Segments(%q): error %v, want one with %q", c.path, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Segments(%q): %v", c.path, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("Segments(%q): %s", c.path, d)
		}
		if n := len(got); n > 0 && got[n-1].Name() != c.name {
			t.Errorf("Segments(%q): name %q, want %q", c.path, got[n-1].Name(), c.name)
		}
	}
}

func segment(t *testing.T, text string) Segment {
	t.Helper()
	s, err := Segments("/" + text)
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

func TestSegmentMatch(t *testing.T) {
	for _, c := range []struct {
		segment, part, value string
		ok                   bool
	}{
		{"a", "a", "", true},
		{"a", "A", "", false},
		{"{id}", "7", "7", true},
		{"{Sid}.json", "AC1.json", "AC1", true},
		{"{Sid}.json", "a.json.json", "a.json", true},
		{"{Sid}.json", ".json", "", false},
		{"{Sid}.json", "AC1.xml", "", false},
		{"v{x}", "v2", "2", true},
		{"v{x}", "v", "", false},
		{"ab{x}b", "ab", "", false}, // prefix and suffix may not share a byte
		{"ab{x}b", "abb", "", false},
		{"ab{x}b", "ab1b", "1", true},
	} {
		value, ok := segment(t, c.segment).Match(c.part)
		if value != c.value || ok != c.ok {
			t.Errorf("%s.Match(%q) = %q, %v; want %q, %v", c.segment, c.part, value, ok, c.value, c.ok)
		}
	}
}

func TestCompareSegments(t *testing.T) {
	want := []string{"a", "b", "api-{x}-v1", "{x}.json", "api-{x}", "v{x}", "{x}b", "{id}", "{p+}"}
	var got []Segment
	for _, w := range want {
		got = append(got, segment(t, w))
	}
	slices.Reverse(got)
	slices.SortFunc(got, CompareSegments)
	for i, w := range want {
		if got[i].Text != w {
			t.Errorf("place %d is %s, want %s", i, got[i].Text, w)
		}
	}
}

func TestValidateSiblings(t *testing.T) {
	for _, c := range []struct {
		paths string
		err   string
	}{
		{paths: "/{id} /{id}.json /{id}.xml /v{id} /lit"},
		{paths: "/a/{id}.json/b /a/{id}.json/c /a/{id}/c"},
		{paths: "/a/{id}.json /a/{p+}"},
		{paths: "/a/{x}.json /a/{y}"},
		{paths: "/a/{x} /a/{y}/b", err: "sibling ({x})"},
		{paths: "/a/{x}.json /a/{y}.json", err: "sibling ({x}.json)"},
		{paths: "/a/{x} /a/{p+}", err: "sibling ({x})"},
		{paths: "/a/{x}/b /a/{x}/b", err: "declared twice"},
	} {
		d := Definition{Name: "n", Resources: []Resource{{Path: "/"}}}
		for _, p := range strings.Fields(c.paths) {
			d.Resources = append(d.Resources, Resource{Path: p})
		}
		err := d.Validate()
		if c.err == "" && err != nil {
			t.Errorf("%s: %v", c.paths, err)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want one with %q", c.paths, err, c.err)
		}
	}
}

// The text around a variable is literal on both sides of the gateway.
func TestParseUpstreamMixedPart(t *testing.T) {
	up, err := ParseUpstream(&Integration{
		Type: IntegrationHTTPProxy, URI: "https://u.example/v1/{Sid}.json",
		RequestParameters: map[string]string{"integration.request.path.Sid": "method.request.path.Sid"},
	}, "/{Sid}.json")
	if err != nil {
		t.Fatal(err)
	}
	want := []UpstreamPart{{Literal: "/v1/"}, {Variable: "Sid"}, {Literal: ".json"}}
	if d := cmp.Diff(want, up.Path); d != "" {
		t.Error(d)
	}
}

func TestUnservedBlocksDeployment(t *testing.T) {
	d := Definition{Name: "n", Resources: []Resource{{Path: "/"}}}
	if got := d.Undeployable(); len(got) != 0 {
		t.Fatalf("an empty API: %v", got)
	}
	d.Unserved = []Unserved{{Name: "x-amazon-apigateway-policy", Reason: "not served yet"}}
	want := []Problem{{Severity: SeverityError, Pointer: "x-amazon-apigateway-policy", Message: "not served yet"}}
	if diff := cmp.Diff(want, d.Undeployable()); diff != "" {
		t.Error(diff)
	}
}
