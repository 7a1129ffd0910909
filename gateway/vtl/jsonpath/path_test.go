package jsonpath

import (
	"errors"
	"testing"
)

const doc = `{"z":1,"a":{"b":[1,2.50,12345678901234567890]},"s":[{"n":"x","p":5},{"n":"y","p":15},{"n":"w"}]}`

func TestEval(t *testing.T) {
	v, err := Decode([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(Append(nil, v)); got != doc {
		t.Fatalf("order or numbers changed: %s", got)
	}
	for path, want := range map[string]string{
		"$": doc, "$.z": "1", "$['z']": "1", "$.a.b[2]": "12345678901234567890",
		"$.a.b[-1]": "12345678901234567890", "$.a.b[0,1]": "[1,2.50]", "$.a.b[1:]": "[2.50,12345678901234567890]",
		"$.a.b[:-2]": "[1]", "$.s[*].n": `["x","y","w"]`, "$..p": "[5,15]", "$.s[?(@.p)].n": `["x","y"]`,
		"$.s[?(@.p < 10)].n": `["x"]`, "$.s[?(@.n == 'y' || @.n == 'w')].n": `["y","w"]`,
		"$.s[?(!(@.p))].n": `["w"]`, "$.s[?(@.p > 4 && @.p <= 5.0)].p": "[5]", "$.s[?(@.p > 99)]": "[]",
		"$.s[0]['n','p']": `{"n":"x","p":5}`, "$..none": "[]", "$..[?(@.p == 15)].n": `["y"]`,
	} {
		p, err := Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got, err := p.Eval(v, 10000)
		if err != nil || string(Append(nil, got)) != want {
			t.Errorf("%s = %s, %v; want %s", path, Append(nil, got), err, want)
		}
	}
	for _, path := range []string{"$.none", "$.a.b[3]", "$.z.q"} {
		p, _ := Parse(path)
		if _, err := p.Eval(v, 100); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", path, err)
		}
	}
	p, _ := Parse("$..*..*..*")
	if _, err := p.Eval(v, 20); !errors.Is(err, ErrSteps) {
		t.Errorf("steps: %v", err)
	}
	for _, path := range []string{"", "a", "$.", "$[", "$['a", "$[?(@.a]", "$[:]", "$x", "$[99999999999]"} {
		if _, err := Parse(path); err == nil {
			t.Errorf("%s parsed", path)
		}
	}
}

func FuzzPath(f *testing.F) {
	f.Add("$..s[?(@.p < 10 && !(@.n == 'x'))]['n','p']", doc)
	f.Fuzz(func(t *testing.T, path, text string) {
		v, err := Decode([]byte(text))
		if err != nil {
			return
		}
		p, err := Parse(path)
		if err != nil {
			return
		}
		if got, err := p.Eval(v, 1000); err == nil {
			if _, err := Decode(Append(nil, got)); err != nil && len(text) < MaxDepth {
				t.Fatal(err)
			}
		}
	})
}
