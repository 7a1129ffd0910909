package vtl_test

import (
	"cmp"
	"fmt"
	"testing"

	"tollgate/bench/velocity/order"
	"tollgate/gateway/vtl"
)

// However the order's template is worked out, it takes as many steps and puts out as much.
func TestOrderLimits(t *testing.T) {
	t.Parallel()
	p, err := vtl.Parse(order.Template)
	if err != nil {
		t.Fatal(err)
	}
	const steps, output = 326, 1684
	for limits, want := range map[vtl.Limits]string{
		{Steps: steps, Output: output}:     "",
		{Steps: steps - 1, Output: output}: "line 33, column 1: the template takes too many steps",
		{Steps: steps, Output: output - 1}: "line 33, column 1: the output is larger than it may be",
	} {
		if _, err := p.Render(nil, &vtl.Input{Body: order.Document, Limits: limits}); fmt.Sprint(err) != cmp.Or(want, "<nil>") {
			t.Errorf("%+v: %v, not %q", limits, err, want)
		}
	}
}

// BenchmarkOrder maps a document of 1 KB by a template with loops, conditions and
// escapes: the one that the comparison with Velocity renders.
func BenchmarkOrder(b *testing.B) {
	p, err := vtl.Parse(order.Template)
	if err != nil {
		b.Fatal(err)
	}
	document := []byte(order.Document)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		if out, err = p.Render(out[:0], &vtl.Input{Body: string(document)}); err != nil {
			b.Fatal(err)
		}
	}
}
