package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/model"
)

func tree(t testing.TB, paths ...string) *Tree {
	t.Helper()
	var rs []Route
	for i, p := range paths {
		rs = append(rs, Route{Path: p, Methods: map[string]int32{"ANY": int32(i)}})
	}
	tr, err := New(rs)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// describe is "route name=value …", "refused" or "none".
func describe(tr *Tree, path string) string {
	var m Match
	if !tr.Match([]byte(path), []byte("GET"), &m) {
		if m.Refused {
			return "refused"
		}
		return "none"
	}
	out := fmt.Sprint(m.Route)
	for _, v := range m.Vars[:m.N] {
		out += " " + v.Name + "=" + path[v.Start:v.End]
	}
	return out
}

func TestMatch(t *testing.T) {
	cases := []struct {
		routes string // separated by a space before the slash
		path   string
		want   string
	}{
		{"/", "/", "0"},
		{"/", "", "0"},
		{"/", "//", "none"},
		{"/", "x", "refused"},
		{"/", "xy", "refused"},
		{"/", "/x", "none"},
		{"/pets /pets/{id}", "/pets", "0"},
		{"/pets /pets/{id}", "/pets/", "0"},
		{"/pets /pets/{id}", "/pets//", "none"},
		{"/pets /pets/{id}", "/pets/7", "1 id=7"},
		{"/pets /pets/{id}", "/pets/7/", "1 id=7"},
		{"/pets /pets/{id}", "/pets/7/x", "none"},
		{"/pets /pets/{id}", "/Pets", "none"},
		{"/{v} /{p+} /a", "/a", "2"},
		{"/{v} /{p+} /a", "/b", "0 v=b"},
		{"/{v} /{p+} /a", "/a/b", "1 p=a/b"},
		{"/{v} /{p+} /a", "/a/b/", "1 p=a/b"},
		{"/{v} /{p+} /a", "/", "none"},
		{"/f/{p+}", "/f", "none"},
		{"/f/{p+}", "/f//x", "none"},
		{"/f/{p+}", "/f/x//y", "0 p=x//y"},
		{"/f/{p+}", "/f/x/%2F", "0 p=x/%2F"},
		{"/a/b/c /{x}/{y}/d", "/a/b/d", "1 x=a y=b"}, // goes back two parts
		{"/a%20b", "/a%20b", "0"},
		{"/a b", "/a%20b", "0"},
		{"/a%20b", "/a b", "0"},
		{"/abc", "/%61b%63", "0"},
		{"/abc", "/%61bcd", "none"},
		{"/a%2Fb /a/b", "/a%2fb", "0"},
		{"/a%2Fb /a/b", "/a/b", "1"},
		{"/{v}", "/a%2Fb", "0 v=a%2Fb"},
		{"/{v}", "/%zz", "refused"},
		{"/{v}", "/%4", "refused"},
		{"/{v}", "/a%", "refused"},
		{"/{p+}", "/a/../b", "refused"},
		{"/{p+}", "/a/%2e%2E/b", "refused"},
		{"/{p+}", "/a/.", "refused"},
		{"/{p+}", "/./", "refused"},
		{"/{p+}", "/a%2F..%2Fb", "refused"},
		{"/{p+}", `/a/..\b`, "refused"},
		{"/{p+}", "/a/...", "0 p=a/..."},
		{"/{p+}", "/a/..b/.c/d..", "0 p=a/..b/.c/d.."},
		{"/{p+}", "/a/%252e%252e/b", "0 p=a/%252e%252e/b"},
		{"/{Sid}.json /{Sid}", "/AC1.json", "0 Sid=AC1"},
		{"/{Sid}.json /{Sid}", "/AC1", "1 Sid=AC1"},
		{"/{Sid}.json /{Sid}", "/.json", "1 Sid=.json"},
		{"/{Sid}.json /{Sid}", "/AC1%2ejson", "0 Sid=AC1"},
		{"/{Sid}.json /{Sid}", "/%41C1%2ejson", "0 Sid=%41C1"},
		{"/{a}:cancel /{a}:undelete /{a}", "/x:y:cancel", "0 a=x:y"},
		{"/{a}:cancel /{a}:undelete /{a}", "/x%3Acancel", "0 a=x"},
		{"/v{x} /v1 /{y}", "/v1", "1"},
		{"/v{x} /v1 /{y}", "/v2", "0 x=2"},
		{"/v{x} /v1 /{y}", "/v", "2 y=v"},
		{"/a{x}a", "/aa", "none"},
		{"/a{x}a", "/aaa", "0 x=a"},
		{"/a{x} /ab{x}", "/abc", "1 x=c"},
		{"/a{x} /ab{x}", "/ab", "0 x=b"},
		{"/a{x}/1 /ab{x}/2", "/abc/1", "0 x=bc"}, // the longer text fails deeper
		{"/a%20{x}%20b", "/a%20%20%20b", "0 x=%20"},
		{"/a%20{x}%20b", "/a%20%20b", "none"},
		{"/{a}/x /{b}/y", "/1/y", "1 b=1"},
	}
	for _, c := range cases {
		t.Run(c.routes+" "+c.path, func(t *testing.T) {
			var routes []string
			for r := range strings.SplitSeq(c.routes[1:], " /") {
				routes = append(routes, "/"+r)
			}
			if got := describe(tree(t, routes...), c.path); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestVerbs(t *testing.T) {
	tr, err := New([]Route{
		{Path: "/a", Methods: map[string]int32{"GET": 1, "ANY": 2}},
		{Path: "/{p+}", Methods: map[string]int32{"GET": 3, "OPTIONS": 4}},
		{Path: "/empty"},
		{Path: "/c/d", Methods: map[string]int32{"POST": 5}},
		{Path: "/c/{id}", Methods: map[string]int32{"DELETE": 6}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		verb, path    string
		method, route int32
	}{
		{"GET", "/a", 1, 0},
		{"PUT", "/a", 2, 0},
		{"GET", "/b", 3, 1},
		{"PUT", "/b", -1, 1}, // the path is there, the verb is not
		{"GET", "/empty", 3, 1},
		{"GET", "/", -1, -1},
		{"OPTIONS", "/a", 2, 0},
		{"PATCH", "/a", 2, 0},
		{"post", "/a", -1, 0}, // ANY is the verbs that methods can have, in capitals
		{"TRACE", "/a", -1, 0},
		{"POST", "/c/d", 5, 3},
		{"DELETE", "/c/d", 6, 4}, // left to the next less specific resource
		{"OPTIONS", "/c/d", 4, 1},
		{"PUT", "/c/d", -1, 3},
	}
	for _, c := range cases {
		var m Match
		ok := tr.Match([]byte(c.path), []byte(c.verb), &m)
		if ok != (c.method >= 0) || m.Method != c.method || m.Route != c.route || m.PathMatched() != (c.route >= 0) {
			t.Errorf("%s %s: %v %+v", c.verb, c.path, ok, m)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	many := func(n int) (out []string) {
		// Every part is a literal or a variable: 2^n paths fit one request.
		for i := range 1 << n {
			p := ""
			for b := range n {
				if i>>b&1 == 0 {
					p += "/a"
				} else {
					p += "/{v}"
				}
			}
			out = append(out, p)
		}
		return out
	}
	cases := map[string][]string{
		"two names":    {"/{a}/x", "/{b}/x"},
		"same decoded": {"/%61", "/a"},
		"17 variables": {strings.Repeat("/{v}", 17)},
		"dot segment":  {"/a/../b"},
		"encoded dots": {"/a/%2e%2e"},
		"empty part":   {"/a//b"},
		"2^11 paths":   many(11),
	}
	for name, paths := range cases {
		var rs []Route
		for _, p := range paths {
			rs = append(rs, Route{Path: p, Methods: map[string]int32{"GET": 0}})
		}
		if _, err := New(rs); model.KindOf(err) == "" {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	tree(t, many(8)...)
	tree(t, strings.Repeat("/{v}", 16))
}

// reference is the slow obvious matcher: of all routes that fit, the best by
// model.CompareSegments, part by part, of their decoded texts.
func reference(paths []string, path string) string {
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return "refused"
	}
	whole, ok := decode(path)
	if !ok {
		return "refused"
	}
	for _, s := range strings.Split(strings.ReplaceAll(whole, `\`, "/"), "/") {
		if s == "." || s == ".." {
			return "refused"
		}
	}
	var parts []string
	if path != "/" {
		parts = strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
	}
	best, found := "none", []model.Segment(nil)
	for i, p := range paths {
		segs, _ := model.Segments(p)
		vars, ok := fits(segs, parts)
		if !ok {
			continue
		}
		for i, s := range segs {
			segs[i].Prefix, _ = decode(s.Prefix)
			segs[i].Suffix, _ = decode(s.Suffix)
			if segs[i].Text, _ = decode(s.Text); s.Variable {
				segs[i].Text = "" // names do not tell places apart
			}
		}
		if best == "none" || slices.CompareFunc(segs, found, model.CompareSegments) < 0 {
			best, found = fmt.Sprint(i)+vars, segs
		}
	}
	return best
}

func fits(segs []model.Segment, parts []string) (vars string, ok bool) {
	for i, s := range segs {
		if i == len(parts) || parts[i] == "" {
			return "", false
		}
		if s.Greedy {
			return vars + " " + s.Name() + "=" + strings.Join(parts[i:], "/"), true
		}
		text, _ := decode(parts[i])
		if !s.Variable {
			if lit, _ := decode(s.Text); lit != text {
				return "", false
			}
			continue
		}
		pre, _ := decode(s.Prefix)
		post, _ := decode(s.Suffix)
		if len(text) <= len(pre)+len(post) || !strings.HasPrefix(text, pre) || !strings.HasSuffix(text, post) {
			return "", false
		}
		vars += " " + s.Name() + "=" + middle(parts[i], len(pre), len(text)-len(post))
	}
	return vars, len(segs) == len(parts)
}

// middle is the raw text of decoded characters [from, to).
func middle(raw string, from, to int) string {
	var units []string
	for raw != "" {
		n := 1
		if raw[0] == '%' {
			n = 3
		}
		units, raw = append(units, raw[:n]), raw[n:]
	}
	return strings.Join(units[from:to], "")
}

func decode(s string) (string, bool) {
	out := ""
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out += s[i : i+1]
			continue
		}
		var c byte
		if i+2 >= len(s) {
			return "", false
		}
		for _, h := range []byte(s[i+1 : i+3]) {
			d := strings.IndexByte("0123456789abcdef", h|0x20)
			if d < 0 || h < '0' {
				return "", false
			}
			c = c<<4 | byte(d)
		}
		out += string([]byte{c})
		i += 2
	}
	return out, true
}

func build(paths []string) (*Tree, []string) {
	var rs []Route
	var kept []string
	for _, p := range paths {
		try := append(slices.Clone(rs), Route{Path: p, Methods: map[string]int32{"ANY": 0}})
		if _, err := New(try); err == nil {
			rs, kept = try, append(kept, p)
		}
	}
	t, err := New(rs)
	if err != nil {
		panic(err)
	}
	return t, kept
}

func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "b", "ab", "a b", "%61b", "a%2Fb", "{v}", "{v}", "a{v}", "{v}a", "a{v}b", "ab{v}", "{v}.j", "%2e{v}"})
		path := rapid.Custom(func(t *rapid.T) string {
			p := strings.Join(rapid.SliceOfN(part, 0, 4).Draw(t, "parts"), "/")
			if rapid.IntRange(0, 3).Draw(t, "greedy") == 0 {
				p += "/{g+}"
			}
			return "/" + strings.TrimPrefix(p, "/")
		})
		tr, kept := build(rapid.SliceOfN(path, 1, 12).Draw(t, "routes"))
		piece := rapid.SampledFrom([]string{"a", "b", "ab", "aab", ".", ".j", "/", "/", "/", "%61", "%2F", "%2e", "%20", " ", "%5C", "%", "%4"})
		for _, parts := range rapid.SliceOfN(rapid.SliceOfN(piece, 0, 9), 1, 8).Draw(t, "requests") {
			req := "/" + strings.Join(parts, "")
			if got, want := describe(tr, req), reference(kept, req); got != want {
				t.Fatalf("%q on %q: got %q, want %q", req, kept, got, want)
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("/a/{v}\n/a/{p+}\n/{x}.json", "/a/b")
	f.Add("/a%2Fb\n/a{v}b/c\n/{v}/c", "/a%2fb/c")
	f.Fuzz(func(t *testing.T, routes, path string) {
		if len(routes) > 400 || len(path) > 400 {
			return
		}
		tr, kept := build(strings.Split(routes, "\n"))
		for _, k := range kept {
			if strings.Contains(k, "%") {
				if _, ok := decode(k); !ok {
					return // the reference does not know half-escaped literals
				}
			}
		}
		if got, want := describe(tr, path), reference(kept, path); got != want {
			t.Fatalf("%q on %q: got %q, want %q", path, kept, got, want)
		}
	})
}

// api is a made-up API of n routes in the manner of a large public one.
func api(n int) []Route {
	var rs []Route
	for i := 0; len(rs) < n; i++ {
		base := fmt.Sprintf("/2010-04-01/collection%d", i)
		for _, tail := range []string{"", "/{id}", "/{id}/members", "/{id}/members/{member}", "/{id}/settings", "/{id}/events.json"} {
			rs = append(rs, Route{Path: base + tail, Methods: map[string]int32{"GET": int32(len(rs)), "POST": int32(len(rs))}})
		}
	}
	return rs[:n]
}

func TestNoAllocations(t *testing.T) {
	tr, err := New(append(api(300), Route{Path: "/x{a}y", Methods: map[string]int32{"GET": 0}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/2010-04-01/collection17/4711/members/x", "/2010-04-01/collection17/4%2011/%6Dembers/x", "/x%20y", "/none", "/../x"} {
		path, verb := []byte(p), []byte("GET")
		var m Match
		if n := testing.AllocsPerRun(100, func() { tr.Match(path, verb, &m) }); n != 0 {
			t.Errorf("%s: %v allocations", p, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{300, 10_000} {
		tr, err := New(api(n))
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range []struct{ name, path string }{
			{"literal", "/2010-04-01/collection17"},
			{"1var", "/2010-04-01/collection17/4711"},
			{"2vars", "/2010-04-01/collection17/4711/members/x12345"},
			{"dot", "/2010-04-01/collection17/4711/events.json"},
			{"escape", "/2010-04-01/collection17/47%2011/members/x12345"},
			{"none", "/2010-04-01/collection17/4711/nothing"},
		} {
			path, verb := []byte(c.path), []byte("POST")
			b.Run(fmt.Sprintf("%d/%s", n, c.name), func(b *testing.B) {
				var m Match
				b.ReportAllocs()
				for b.Loop() {
					if tr.Match(path, verb, &m) == (c.name == "none") {
						b.Fatal(m)
					}
				}
			})
		}
	}
}
