package markdown

import (
	"bytes"
	"testing"
)

// What goes the short way is what the long way makes of it.
func FuzzIsPlain(f *testing.F) {
	for _, s := range []string{"The pet's name, at most 50 characters (letters only).", "a", "Reads 1. and 2; a/b = 50% + $3 - why?", "A  b", "ftp.x.y", "setext\n-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || !isPlain(s) {
			return
		}
		short := HTML(s)
		var b bytes.Buffer
		if err := md.Convert([]byte(s), &b); err != nil {
			t.Fatal(err)
		}
		if long := clean.Sanitize(b.String()); short != long {
			t.Errorf("%q becomes %q instead of %q", s, short, long)
		}
	})
}
