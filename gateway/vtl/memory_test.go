package vtl

import (
	"reflect"
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
