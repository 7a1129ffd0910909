package vtl

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func oldParse(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := oldRead(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows the value")
	}
	return v, nil
}

func oldRead(d *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, errNesting
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			l := &List{JSON: true, Items: []any{}}
			for d.More() {
				v, err := oldRead(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.Items = append(l.Items, v)
			}
			_, err := d.Token()
			return l, err
		}
		m := NewMap()
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := oldRead(d, depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(k.(string), v)
		}
		_, err := d.Token()
		return m, err
	case json.Number:
		return number(string(t)), nil
	}
	return t, nil
}

func FuzzSame(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[1.5,-0,1e3,"x\u00e9\ud83d\ude00\ud83d"],"a":null}`, `[1 2]`, "\"\xff\"", `[1,]`, `{"a":}`, ` tru`, `01`, `"\u12"`, "\"a\tb\"", `{"a" 1}`, `[,1]`, "\"\\ud800\\u0041\"", "\"\\ud800x\"", "\x00", "1\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, e1 := oldParse(s)
		b, e2 := ParseJSON(s)
		if (e1 == nil) != (e2 == nil) {
			t.Fatalf("%q: %v, %v", s, e1, e2)
		}
		if e1 == nil && string(AppendJSON(nil, a)) != string(AppendJSON(nil, b)) || e1 == nil && !reflect.DeepEqual(norm(a), norm(b)) {
			t.Fatalf("%q: %s, %s", s, AppendJSON(nil, a), AppendJSON(nil, b))
		}
	})
}

func norm(v any) any {
	switch v := v.(type) {
	case *Map:
		out := []any{}
		for i, k := range v.keys {
			out = append(out, k, norm(v.values[i]))
		}
		return out
	case *List:
		out := []any{v.JSON}
		for _, x := range v.Items {
			out = append(out, norm(x))
		}
		return out
	}
	return v
}
