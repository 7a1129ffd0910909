package ui

import (
	"fmt"
	"strings"
	"testing"
)

// A diff has every line of either text that the other has not, and folds the rest.
func TestDiff(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ from, to, want string }{
		{"", "a\nb", "+a +b"},
		{"a\nb", "", "-a -b"},
		{"a\nb\nc", "a\nx\nc", " a -b +x  c"},
		{"a\nb\nc\nd", "b\nc\nd\ne", "-a  b  c  d +e"},
		{"1\n2\n3\n4\n5\n6\n7", "1\n2\n3\n4\n5\n6\n8", "~3 lines alike  4  5  6 -7 +8"},
		{"a", "a", "~1 line alike"},
	} {
		var got []string
		for _, l := range diff(x.from, x.to) {
			got = append(got, fmt.Sprintf("%c%s", l.sign, l.text))
		}
		if s := strings.Join(got, " "); s != x.want {
			t.Errorf("from %q to %q: %q", x.from, x.to, s)
		}
	}
	big := strings.Repeat("x\n", 3000)
	if all := diff("a\n"+big+"c", "b\n"+strings.Repeat("y\n", 3000)+"d"); len(all) != 6004 {
		t.Errorf("%d lines", len(all))
	}
	if s := diffText("<l>", diff("<a>", "&b")); strings.Contains(s, "<a>") || !strings.Contains(s, "&lt;a&gt;") || !strings.Contains(s, "&amp;b") {
		t.Errorf("it is %s", s)
	}
}
