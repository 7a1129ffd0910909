package spans

import (
	"strings"
	"testing"
)

const (
	parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	amazon = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
)

// What the W3C recommendation says of each form.
func TestTraceparent(t *testing.T) {
	for in, want := range map[string]string{
		parent:                               parent,
		parent[:53] + "00":                   parent[:53] + "00",
		parent[:53] + "ff":                   parent, // of flags only sampled is known
		"01" + parent[2:]:                    parent,
		"fe" + parent[2:] + "-more":          parent, // a later version may have more
		"fe" + parent[2:] + "more":           "",
		parent + "-more":                     "",
		"ff" + parent[2:]:                    "",
		strings.ToUpper(parent):              "",
		parent[:54]:                          "",
		"":                                   "",
		strings.Replace(parent, "-", "_", 1): "",
		"00-" + strings.Repeat("0", 32) + parent[35:]:                  "",
		parent[:36] + strings.Repeat("0", 16) + "-01":                  "",
		parent[:53] + "0g":                                             "",
		"00-0af7651916cd43dd8448eb211c80319 -b7ad6b7169203331-01":      "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01, x=y": "",
	} {
		c, ok := ParseTraceparent([]byte(in))
		got := ""
		if ok {
			got = string(c.AppendTraceparent(nil))
		}
		if got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestAmazon(t *testing.T) {
	for in, want := range map[string]string{
		amazon: amazon,
		"Sampled=0; Root=1-0af76519-16cd43dd8448eb211c80319c": "Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=0",
		"Root=1-0af76519-16cd43dd8448eb211c80319c":            "Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=0",
		"Self=1-2-3;" + amazon + ";Lineage=a:1;CalledFrom=x":  amazon + ";Lineage=a:1;CalledFrom=x",
		amazon + ";Long=" + strings.Repeat("x", 300):          amazon,
		"Root=1-0af76519-16cd43dd8448eb211c80319;Sampled=1":   "",
		"Root=2-0af76519-16cd43dd8448eb211c80319c":            "",
		"Root=1-00000000-000000000000000000000000":            "",
		"Parent=b7ad6b7169203331;Sampled=1":                   "",
		"":                                                    "",
	} {
		c, ok := ParseAmazon([]byte(in))
		got := ""
		if ok {
			got = string(c.AppendAmazon(nil, []byte(in)))
		}
		if got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if c, _ := ParseAmazon([]byte("Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=?")); c.Decided {
		t.Error("? decides")
	}
}

func TestSampler(t *testing.T) {
	for _, c := range []struct {
		name, arg string
		came      Context
		share     float64 // of 10,000 calls in one second
	}{
		{"", "", Context{}, 0.05}, {"", "0", Context{}, 0.0001}, {"", "", Context{Decided: true, Sampled: true}, 1}, {"", "", Context{Decided: true}, 0},
		{"always_on", "", Context{Decided: true}, 1}, {"always_off", "", Context{Decided: true, Sampled: true}, 0},
		{"traceidratio", "0.25", Context{Decided: true}, 0.25}, {"parentbased_traceidratio", "0.25", Context{}, 0.25}, {"parentbased_traceidratio", "", Context{}, 1},
		{"parentbased_always_on", "", Context{}, 1}, {"parentbased_always_on", "", Context{Decided: true}, 0}, {"parentbased_always_off", "", Context{}, 0},
	} {
		s, err := ParseSampler(c.name, c.arg)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		var r Reserve
		for range 10_000 {
			c.came.Trace = NewTraceID(1)
			if s.Sample(&c.came, &r, 5) {
				n++
			}
		}
		if got := float64(n) / 10_000; got < c.share*0.8-0.00001 || got > c.share*1.2 {
			t.Errorf("%s %s %v: %v", c.name, c.arg, c.came.Decided, got)
		}
	}
	for _, bad := range [][2]string{{"xray", ""}, {"traceidratio", "2"}, {"traceidratio", "NaN"}, {"", "-1"}, {"always_on", "x"}} {
		if _, err := ParseSampler(bad[0], bad[1]); err == nil {
			t.Error(bad)
		}
	}
}

func FuzzContext(f *testing.F) {
	for _, s := range []string{parent, amazon, "Root=;;=;Root", "fe" + parent[2:] + "-x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, ok := ParseTraceparent(in); ok {
			again, ok := ParseTraceparent(c.AppendTraceparent(nil))
			if !ok || again != c {
				t.Errorf("%+v %+v", c, again)
			}
		}
		if c, ok := ParseAmazon(in); ok {
			out := c.AppendAmazon(nil, in)
			again, ok := ParseAmazon(out)
			if !ok || again.Trace != c.Trace || again.Sampled != c.Sampled || len(out) > 100+maxCarried {
				t.Errorf("%q %+v %+v", out, c, again)
			}
		}
		rejected(in)
	})
}

// A call that is not sampled allocates nothing.
func BenchmarkUnsampled(b *testing.B) {
	s, _ := ParseSampler("parentbased_always_off", "")
	var r Reserve
	var room [192]byte
	in := []byte(parent[:53] + "00")
	b.ReportAllocs()
	for b.Loop() {
		c, _ := ParseTraceparent(in)
		c.Sampled = s.Sample(&c, &r, 1)
		c.Span = NewSpanID().Next(2)
		c.AppendTraceparent(c.AppendAmazon(room[:0], nil))
	}
}
