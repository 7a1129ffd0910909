package vtl_test

import (
	"os"
	"testing"

	"tollgate/gateway/vtl"
)

// BenchmarkOrder maps a document of 1 KB by a template with loops, conditions and
// escapes: the one that the comparison with Velocity renders.
func BenchmarkOrder(b *testing.B) {
	template, err := os.ReadFile("../../bench/velocity/order/template.vm")
	if err != nil {
		b.Fatal(err)
	}
	document, err := os.ReadFile("../../bench/velocity/order/document.json")
	if err != nil {
		b.Fatal(err)
	}
	p, err := vtl.Parse(string(template))
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		if out, err = p.Render(out[:0], &vtl.Input{Body: string(document)}); err != nil {
			b.Fatal(err)
		}
	}
}
