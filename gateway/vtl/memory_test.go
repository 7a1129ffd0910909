package vtl

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"tollgate/bench/velocity/order"
)

// A renderer that another call gets has nothing of the last one's.
func TestRendererIsEmpty(t *testing.T) {
	p, err := Parse(order.Template + "$util.parseJson('[{').x #evaluate('#set($y = $order)$y.items.subList(0, 1)')")
	if err != nil {
		t.Fatal(err)
	}
	r := new(renderer)
	for _, body := range []string{order.Document, `{"items":[1,2`, `[{"a":[1]},{"b":`} {
		r.begin(p, &Input{Body: body})
		r.most = r.limits.Output
		if err := r.run(p.body); err != nil {
			t.Fatal(err)
		}
		if len(r.out) == 0 {
			t.Fatal("nothing was put out")
		}
		r.reset()
		if r.memory.maps.piece == nil {
			t.Fatal("the memory is not used again")
		}
		empty(t, "renderer", reflect.ValueOf(r).Elem())
	}
}

// empty walks over all memory that a value has, used or not.
func empty(t *testing.T, name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			empty(t, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		for i, all := 0, v.Slice(0, v.Cap()); i < all.Len(); i++ {
			empty(t, name, all.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			empty(t, name, v.Elem())
		}
	default:
		if !v.IsZero() {
			t.Errorf("%s is %v", name, v)
		}
	}
}

// Doubles with few digits are printed by a way of their own, which must not be seen.
func TestDouble(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	check := func(f float64) {
		want := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(want, ".") {
			want += ".0"
		}
		if got := string(appendDouble(nil, f)); got != want {
			t.Fatalf("%s, not %s", got, want)
		}
	}
	for n := range 200_000 {
		n := float64(n + 1)
		check(n / 1000)
		check(-n / 100)
		check(math.Nextafter(n/1000, 1e9))
		f := r.Float64() * math.Pow(10, float64(r.IntN(10))-3)
		check(f + 1e-3)
		check(math.Round(f*1000+1) / 1000)
		check(math.Round(f*10000+10) / 10000)
	}
	check(9999999.999)
	check(math.Nextafter(1e7, 0))
}

// What a rendering that is over has put into a map from outside is what it was.
func TestValuesAreKept(t *testing.T) {
	t.Parallel()
	const body = `{"a": "one", "b": ["x", "two"], "c": 123456, "d": 1.5, "e": {"e": ["three", 4321, 2.5]}, "f": {"g": "four"}}`
	for _, c := range []struct{ name, template, kept, list string }{
		{"values alone, whose memory is used again",
			`#set($to.a = $x.a)#set($to.b = $x.b[1])$to.put("c", $x.c)$to.put("d", $x.d)$to.putIfAbsent("e", $x.a)$list.add($x.a)$list.add($x.d)#set($list[0] = $x.c)$list.add(0, $x.b[0])$list.set(1, $x.c)`,
			`{"a":"one","b":"two","c":123456,"d":1.5,"e":"one"}`, `["x",123456,"one",1.5]`},
		{"trees, which have the memory for themselves",
			`#set($to.e = $x.e)$to.putAll($x.f)$list.addAll($x.b)#set($list[0] = $x.e.e)$list.add($x.f.entrySet())`,
			`{"e":{"e":["three",4321,2.5]},"g":"four"}`, `[["three",4321,2.5],"x","two",[g=four]]`},
	} {
		p, err := Parse(`#set($x = $input.path('$'))#set($to = $context.kept)#set($list = $context.list)` + c.template)
		if err != nil {
			t.Fatal(err)
		}
		again := 0
		for range 100 {
			kept, list, context := NewMap(), &List{Items: []any{nil}, JSON: true}, NewMap()
			context.Set("kept", kept)
			context.Set("list", list)
			r := new(renderer)
			r.begin(p, &Input{Body: body, Context: context})
			r.most = r.limits.Output
			if err := r.run(p.body); err != nil {
				t.Fatal(err)
			}
			r.reset()
			if r.memory.texts.piece != nil {
				again++
			}
			if _, err := r.memory.parse(strings.NewReplacer(`"one"`, `"1"`, "x", "y", "two", "2", "123456", "777777", "1.5", "7.7", "three", "3", "4321", "7777", "2.5", "5.2", "four", "4").Replace(body)); err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			if a, b := string(AppendJSON(nil, kept)), string(AppendJSON(nil, list)); a != c.kept || b != c.list {
				t.Fatalf("%s: %s and %s", c.name, a, b)
			}
		}
		if again > 0 != strings.Contains(c.name, "again") {
			t.Errorf("%s: the memory of %d was", c.name, again)
		}
	}
}
