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

// Texts of a rendering that is over are what they were, for whoever has them.
func TestTextsAreKept(t *testing.T) {
	t.Parallel()
	p, err := Parse(`#set($x = $input.path('$'))#set($context.responseOverride.header.a = $x.a)#set($context.responseOverride.header.b = $x.b[1])`)
	if err != nil {
		t.Fatal(err)
	}
	render := func(body string) *Map {
		header := NewMap()
		override, context := NewMap(), NewMap()
		override.Set("header", header)
		context.Set("responseOverride", override)
		if _, err := p.Render(nil, &Input{Body: body, Context: context}); err != nil {
			t.Fatal(err)
		}
		return header
	}
	first := render(`{"a": "one", "b": ["x", "two"]}`)
	for range 100 {
		render(`{"a": "three", "b": ["y", "four"]}`)
	}
	runtime.GC()
	if a, b := first.value("a"), first.value("b"); a != "one" || b != "two" {
		t.Errorf("%v and %v", a, b)
	}
}
