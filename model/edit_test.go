package model

import (
	"reflect"
	"strings"
	"testing"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	d := &Definition{Name: "Pets", Resources: []Resource{{ID: "r", Path: "/"}}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.AddResource("/pets/{id}/photos/"))
	var paths []string
	d.Sort()
	for _, r := range d.Resources {
		paths = append(paths, r.Path)
	}
	if got := strings.Join(paths, " "); got != "/ /pets /pets/{id} /pets/{id}/photos" {
		t.Errorf("resources %s", got)
	}
	for path, text := range map[string]string{"/pets": "already", "pets": "begin with a slash", "/a{b": "", "/pets/{other}": "sibling"} {
		c := *d
		if err := c.AddResource(path); err == nil || !strings.Contains(MessageOf(err), text) {
			t.Errorf("%s: %v", path, err)
		}
	}
	was := *d
	proxy := &Integration{Type: IntegrationHTTPProxy, HTTPMethod: "GET", URI: "https://a.example.com/pets"}
	must(d.SetMethod("/pets", "GET", Method{AuthorizationType: AuthNone, Integration: proxy}))
	if d.SetMethod("/nowhere", "GET", Method{}) == nil || d.SetMethod("/pets", "BREW", Method{}) == nil {
		t.Error("a method was put where it cannot be")
	}
	got := Compare(&was, d)
	if want := []RouteChange{{Kind: Added, Verb: "GET", Path: "/pets"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("compared: %+v", got)
	}
	mid := *d
	mid.Resources = append([]Resource(nil), d.Resources...)
	other := *proxy
	other.URI, other.TimeoutMillis = "https://b.example.com/pets", 5000
	must(d.SetMethod("/pets", "GET", Method{APIKeyRequired: true, Integration: &other}))
	got = Compare(&mid, d)
	want := []Difference{{"API key required", "no", "yes"}, {"upstream", "https://a.example.com/pets", "https://b.example.com/pets"}, {"timeout in ms", "29000", "5000"}}
	if len(got) != 1 || got[0].Kind != Changed || !reflect.DeepEqual(got[0].Parts, want) {
		t.Errorf("compared: %+v", got)
	}
	if r, m := d.Below("/pets"); r != 3 || m != 1 {
		t.Errorf("below /pets: %d resources, %d methods", r, m)
	}
	must(d.RemoveResource("/pets"))
	if len(d.Resources) != 1 || d.RemoveResource("/") == nil || d.RemoveMethod("/pets", "GET") == nil {
		t.Errorf("left: %+v", d.Resources)
	}
	if got = Compare(&mid, d); len(got) != 1 || got[0].Kind != Removed {
		t.Errorf("compared: %+v", got)
	}
	if got = Compare(d, d); len(got) != 0 {
		t.Errorf("compared with itself: %+v", got)
	}
}

// What has parts is compared as lines that can be read, whatever is in it.
func TestCompareWritesLines(t *testing.T) {
	t.Parallel()
	pattern := "5\\d{2}"
	definition := func(g *Integration, policy string) *Definition {
		return &Definition{Name: "Pets", Policy: policy, Resources: []Resource{{Path: "/", Methods: map[string]Method{"GET": {Integration: g}}}}}
	}
	was := definition(&Integration{Type: IntegrationHTTP}, "")
	now := definition(&Integration{Type: IntegrationHTTP, RequestTemplates: map[string]string{"application/json": "#set($a = 1)\n{\"a\": $a}\n", "text/plain": ""},
		Responses: map[string]IntegrationResponse{"500": {StatusCode: "502", SelectionPattern: &pattern}}, Upstream: &UpstreamPolicy{Retries: &Retries{Attempts: 2, OnStatus: []int{500, 503}}}}, `{"Statement":[{"Effect":"Allow"}]}`)
	got := map[string]string{}
	for _, c := range Compare(was, now) {
		for _, d := range c.Parts {
			if d.From != "" {
				t.Errorf("%s was %q", d.What, d.From)
			}
			got[d.What] = d.To
		}
	}
	want := map[string]string{
		"resource policy":   "{\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\"\n    }\n  ]\n}",
		"request templates": "application/json: |\n  #set($a = 1)\n  {\"a\": $a}\ntext/plain:",
		"responses":         "500:\n  selectionPattern: 5\\d{2}\n  statusCode: 502",
		"upstream policy":   "retries:\n  attempts: 2\n  onStatus:\n    - 500\n    - 503",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}
