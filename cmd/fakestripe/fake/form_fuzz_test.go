package fake

import (
	"net/url"
	"strings"
	"testing"
)

// Whatever a body holds, reading it ends in typed parameters or in a refusal, and equal
// parameters in another order read equal.
func FuzzParams(f *testing.F) {
	for _, s := range []string{"", "a=1", "lines[0][amount]=5&lines[1][amount]=7", "expand[]=a&expand[]=b", "metadata[k]=v&metadata=", "created[gte]=1",
		"a[[b]]=1", "lines[][amount]=1&lines[][amount]=2", "lines[99999999999999999999][amount]=1", "%zz=1", "=1", "lines=1&lines[0]=2", "amount=1e9"} {
		f.Add(s)
	}
	var specs []*spec
	for _, r := range routes {
		specs = append(specs, r.spec)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		root, err := parseForm(raw)
		if err != nil {
			if err.status != 400 || err.message == "" {
				t.Fatalf("refused with %d %q", err.status, err.message)
			}
			return
		}
		for _, s := range specs {
			if p, err := s.read(root, ""); err == nil {
				encode(p)
			} else if err.message == "" {
				t.Fatal("refused without saying why")
			}
		}
		var a, b strings.Builder
		root.canonical(&a, "")
		again, err := parseForm(raw + "&")
		if err != nil {
			t.Fatal(err)
		}
		again.canonical(&b, "")
		if a.String() != b.String() {
			t.Fatalf("%q and %q", a.String(), b.String())
		}
	})
}

func TestParseForm(t *testing.T) {
	s := parseSpec("customer! lines[]{amount:int tax{rate:num}} metadata:map created:range ok:bool kind:a|b")
	for _, c := range []struct{ form, want, wrong string }{
		{"customer=c&lines[1][amount]=2&lines[0][amount]=1&ok=true", `{"customer":"c","lines":[{"amount":1},{"amount":2}],"ok":true}`, ""},
		{"customer=c&lines[0][tax][rate]=1.5&metadata[a]=&created[gte]=3", `{"created":{"gte":3},"customer":"c","lines":[{"tax":{"rate":1.5}}],"metadata":{"a":""}}`, ""},
		{"customer=c&metadata=&created=5", `{"created":5,"customer":"c","metadata":""}`, ""},
		{"lines[0][amount]=1", "", "Missing required param: customer."},
		{"customer=c&lines[0][weight]=1", "", "Received unknown parameter: lines[0][weight]"},
		{"customer=c&lines[x][amount]=1", "", "Invalid array"},
		{"customer=c&lines[0][amount]=1.5", "", "Invalid integer: 1.5"},
		{"customer=c&ok=yes", "", "Invalid boolean: yes"},
		{"customer=c&kind=c", "", "Invalid kind: must be one of a, b"},
		{"customer[x]=c", "", "Invalid string: {...}"},
		{"customer=c&metadata[a][b]=1", "", "Invalid metadata: values must be strings"},
		{"customer=c&metadata[a]=" + strings.Repeat("x", 501), "", "Metadata values can have up to 500 characters, but you passed in a value that is 501 characters."},
		{"a[b]c=1", "", `Invalid parameter name: "a[b]c".`},
		{strings.Repeat("a=1&", maxPairs+1), "", "Too many parameters: at most 10000 are taken."},
	} {
		root, err := parseForm(c.form)
		var p object
		if err == nil {
			p, err = s.read(root, "")
		}
		switch {
		case err != nil && err.message != c.wrong, err == nil && c.wrong != "":
			t.Errorf("%.60s: got %v, want %q", c.form, err, c.wrong)
		case err == nil && strings.Join(strings.Fields(string(encode(p))), "") != c.want:
			t.Errorf("%s: got %s", c.form, encode(p))
		}
	}
}

// Each endpoint refuses a stranger, and answers nonsense with an error of Stripe's and never with
// a broken connection.
func TestEveryRouteRefusesNonsense(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{id}", "x", "{sub}", "y", "{line}", "z").Replace(path)
		if got := ask(s, method, path, "", ""); got.Code != 401 {
			t.Errorf("%s without a key: %d", r.pattern, got.Code)
		}
		if got := ask(s, method, path, "sk_live_1", ""); got.Code != 401 {
			t.Errorf("%s with a live key: %d", r.pattern, got.Code)
		}
		got := ask(s, method, path, "sk_test_1", "nonsense=1")
		if got.Code != 400 || !strings.Contains(got.Body.String(), "parameter_unknown") || got.Header().Get("Request-Id") == "" || got.Header().Get("Stripe-Version") != APIVersion {
			t.Errorf("%s with an unknown parameter: %d %s", r.pattern, got.Code, got.Body)
		}
		// With every parameter present and of the right type, but naming nothing.
		form := url.Values{}
		fill(r.spec, "", form)
		if got := ask(s, method, path, "sk_test_1", form.Encode()); got.Code >= 500 {
			t.Errorf("%s with everything: %d %s", r.pattern, got.Code, got.Body)
		}
	}
	if got := ask(s, "GET", "/v1/nothing", "sk_test_1", ""); got.Code != 404 || !strings.Contains(got.Body.String(), "Unrecognized request URL") {
		t.Errorf("an unknown path: %d %s", got.Code, got.Body)
	}
}
