package openapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// plainJSON is a node as encoding/json would have it, numbers as text.
func plainJSON(n *node) any {
	switch n.kind {
	case mapping:
		out := map[string]any{}
		for _, e := range n.entries {
			out[e.key.value] = plainJSON(e.val)
		}
		return out
	case sequence:
		out := []any{}
		for _, c := range n.items {
			out = append(out, plainJSON(c))
		}
		return out
	case null:
		return nil
	}
	return n.value
}

// asText makes encoding/json's values comparable: scalars lose their type.
func asText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = asText(v[k])
		}
	case []any:
		for i := range v {
			v[i] = asText(v[i])
		}
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return v.String()
	}
	return v
}

// sameJSON checks that what encoding/json takes is read the same, and that what it
// refuses is refused.
func sameJSON(t failer, src []byte) {
	t.Helper()
	got, _, gotErr := decodeJSON(src)
	if valid := json.Valid(src); valid != (gotErr == nil) {
		t.Errorf("%q: error %v; valid for encoding/json: %v", src, gotErr, valid)
		return
	} else if !valid {
		return
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	a, errA := json.Marshal(asText(want))
	b, errB := json.Marshal(plainJSON(got))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%s is read as %s (%v), encoding/json reads %s (%v)", src, b, errB, a, errA)
	}
}

func TestJSONReadsAsEncodingJSON(t *testing.T) {
	for _, s := range []string{
		`{}`, `[]`, `null`, ` true `, `-0.5e+10`, `12345678901234567890123`,
		`{"a":1,"a":2}`, `01`, `1.`, `-`, `1e`, `nul`, `{"a"}`, `[1,]`, `{,}`, `"\x"`, `"\u12G4"`, ``, `[`, `"`, `["\ud83d\ude95","\ud83d","\ude95\ud83d","\ud83d\u0041","\u00e9\/\b\f\n\r\t\"\\"]`,
		"{\r\n\t\"k\" :\t[ 1 , {\"x\":[[],{}]} ]\r\n}",
	} {
		sameJSON(t, []byte(s))
	}
	rapid.Check(t, func(rt *rapid.T) {
		token := rapid.SampledFrom([]string{"{", "}", "[", "]", ",", ":", `"a"`, `"\u00e9\ud83d\ude95"`, "1", "-2.5e3", "true", "null", " ", "\n"})
		src := ""
		for _, s := range rapid.SliceOfN(token, 0, 12).Draw(rt, "tokens") {
			src += s
		}
		sameJSON(rt, []byte(src))
	})
}

func TestJSONPlaces(t *testing.T) {
	n, _, err := decodeJSON([]byte("{\n  \"a\": [1,\n    {\"b\": 2}]\n}"))
	if err != nil {
		t.Fatal(err)
	}
	b := loc{node: n}.get("a").items()[1].get("b")
	if line, col := b.place(); line != 3 || col != 6 || b.at != "/a/1/b" {
		t.Errorf("b is at %d:%d %s, want 3:6 /a/1/b", line, col, b.at)
	}
}
