package jsonpath_test

import (
	"encoding/json"
	"errors"
	"sort"
	"strings"
	"testing"

	"tollgate/gateway/vtl/jsonpath"
)

// plain reads what encoding/json decodes, with keys sorted.
type plain struct{}

func (plain) Object(v any) ([]string, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys, true
}

func (plain) Member(v any, key string) (any, bool) {
	x, ok := v.(map[string]any)[key]
	return x, ok
}

func (plain) Array(v any) ([]any, bool) { l, ok := v.([]any); return l, ok }
func (plain) List(items []any) any {
	if items == nil {
		return []any{}
	}
	return items
}
func (plain) Number(v any) (float64, bool) { f, ok := v.(float64); return f, ok }
func (plain) Choose(v any, names []string) any {
	out := map[string]any{}
	for _, n := range names {
		if x, ok := v.(map[string]any)[n]; ok {
			out[n] = x
		}
	}
	return out
}

const store = `{"store":{"book":[{"category":"reference","author":"Nigel Rees","title":"Sayings","price":8.95},
	{"category":"fiction","author":"Waugh","title":"Sword","price":12.99},
	{"category":"fiction","author":"Melville","title":"Moby","isbn":"0-553","price":8.99},
	{"category":"fiction","author":"Tolkien","title":"Rings","isbn":"0-395","price":22.99}],
	"bicycle":{"color":"red","price":19.95}},"expensive":10,"tags":["a","b","c","d"],"none":null,"a.b":{"c d":1}}`

// Paths and answers are Jayway's own examples, and its documented functions and filters.
func TestFind(t *testing.T) {
	t.Parallel()
	var doc any
	if err := json.Unmarshal([]byte(store), &doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"$.store.book[*].author": `["Nigel Rees","Waugh","Melville","Tolkien"]`, "$..author": `["Nigel Rees","Waugh","Melville","Tolkien"]`,
		"$.store..price": `[19.95,8.95,12.99,8.99,22.99]`, "$..book[2].title": `["Moby"]`, "$..book[-2].title": `["Moby"]`, "$..book[0,1].title": `["Sayings","Sword"]`,
		"$..book[:2].title": `["Sayings","Sword"]`, "$..book[1:2].title": `["Sword"]`, "$..book[-2:].title": `["Moby","Rings"]`, "$..book[2:].title": `["Moby","Rings"]`,
		"$..book[?(@.isbn)].title": `["Moby","Rings"]`, "$.store.book[?(@.price < 10)].title": `["Sayings","Moby"]`, "$..book[?(@.price <= $['expensive'])].title": `["Sayings","Moby"]`,
		"$..book[?(@.author =~ /.*REES/i)].title": `["Sayings"]`, "$..book.length()": `1`, "$.store.book.length()": `4`, "$.store.book[0].title": `"Sayings"`,
		"$['store']['book'][1]['title']": `"Sword"`, "store.bicycle.color": `"red"`, "$.tags[-1]": `"d"`, "$.tags[1:3]": `["b","c"]`, "$.tags[0,9]": `["a"]`, "$['a.b']['c d']": `1`,
		"$.store.bicycle['color','price']": `{"color":"red","price":19.95}`, "$.none": `null`, "$.store.bicycle.*": `["red",19.95]`, "$.tags[*]": `["a","b","c","d"]`,
		"$.store.book[?(@.category == 'fiction' && @.price > 20)].title": `["Rings"]`, "$.store.book[?(@.category != 'fiction' || @.isbn == '0-553')].title": `["Sayings","Moby"]`,
		"$.store.book[?(!(@.isbn))].title": `["Sayings","Sword"]`, "$.store.book[?(@.title in ['Moby','Sword'])].price": `[12.99,8.99]`, "$.store.book[?(@.title nin ['Moby','Sword'])].price": `[8.95,22.99]`,
		"$.store.book[?(@.title contains 'o')].title": `["Sword","Moby"]`, "$.store.book[?(@.title size 4)].title": `["Moby"]`, "$[?(@.expensive == 10)].expensive": `[10]`,
		"$.store.book[*].price.sum()": `53.92`, "$.store.book[*].price.max()": `22.99`, "$.store.book[*].price.min()": `8.95`, "$.store.bicycle.keys()": `["color","price"]`,
		"$.tags.concat('x')": `"abcdx"`, "$.tags.append('e')": `["a","b","c","d","e"]`, "$.tags.first()": `"a"`, "$.tags.last()": `"d"`, "$.tags.index(-2)": `"c"`,
		"$..nothing": `[]`, "$.store.book[?(@.price > 100)]": `[]`, "$.tags[?(@ == 'b')]": `["b"]`, "$.store.book[?(@.price == 8.95)].author": `["Nigel Rees"]`,
		"$.store.book[?('fiction' == @.category)].price": `[12.99,8.99,22.99]`, "$": "",
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		v, ok, err := p.Find(plain{}, doc, 10_000)
		got, _ := json.Marshal(v)
		if want == "" {
			want = strings.Join(strings.Fields(store), "")
			got, ok = []byte(want), ok && v != nil
		}
		if err != nil || !ok || string(got) != want {
			t.Errorf("%s is %s, %v, %v; not %s", path, got, ok, err, want)
		}
	}
	for _, path := range []string{"$.nothing", "$.tags[9]", "$.tags.name", "$.expensive.x", "$.store.book.title", "$.none.x", "$.expensive.keys()", "$.none.length()"} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok, err := p.Find(plain{}, doc, 1000); ok || err != nil {
			t.Errorf("%s leads to %v, %v", path, v, err)
		}
	}
	for _, path := range []string{"", "$.", "$[", "$['a", "$[?(@.a]", "$[:]", "$[x]", "$.a[1", "$[99999999999999999999]", "$[?(@.a == )]", "$[?(1)]", "$[?(@.a =~ 'x')]", "$[?(@.a =~ /(/)]", "$x",
		"$" + strings.Repeat("[?(@", 200), "$." + strings.Repeat("x", jsonpath.MaxPath), "$[?(" + strings.Repeat("!", 500) + "@.a)]"} {
		if _, err := jsonpath.Parse(path); err == nil {
			t.Errorf("%.60s is taken", path)
		}
	}
	p, err := jsonpath.Parse("$..*..*..*..*")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Find(plain{}, doc, 200); !errors.Is(err, jsonpath.ErrWork) {
		t.Errorf("a path without end: %v", err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("$..book[?(@.price < 10 && !(@.isbn)) || @.x in [1,'a']]['a','b'].length()", store)
	f.Add("$.a[1:-1]..[*].concat($.b, 'c')", `{"a":[[1,2],[3]],"b":"x"}`)
	f.Fuzz(func(t *testing.T, path, doc string) {
		p, err := jsonpath.Parse(path)
		if err != nil {
			return
		}
		var v any
		if json.Unmarshal([]byte(doc), &v) != nil {
			return
		}
		if out, ok, err := p.Find(plain{}, v, 5000); ok && err == nil {
			if _, err := json.Marshal(out); err != nil {
				t.Fatal(err)
			}
		}
	})
}
