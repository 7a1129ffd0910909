package ui

import (
	"strings"
	"testing"
)

func TestTyped(t *testing.T) {
	s := Shown{Label: "a <b>", Text: `x "` + Typed("name", "", "NAME") + `" <y> ` + Typed("n", "\ue0002\ue0015\ue002", "1")}
	if s.Plain() != `x "NAME" <y> 25` {
		t.Error(s.Plain())
	}
	if got := s.pre("c-0"); got != `<pre tabindex="0" role="region" aria-label="a &lt;b&gt;"><code id="c-0">x &#34;<span data-of="name" data-empty="NAME">NAME</span>&#34; &lt;y&gt; <span data-of="n" data-empty="1">25</span></code></pre>` {
		t.Error(got)
	}
	s.HCL = true
	if !strings.Contains(s.pre("c"), ` data-hcl>`) {
		t.Error(s.pre("c"))
	}
	// What is cut short is no markup.
	for _, text := range []string{"\ue000", "\ue000a\ue001b", "\ue002\ue001", "a\ue000b\ue002c"} {
		if got := (Shown{Text: text}).pre("c"); strings.Contains(got, "<span") && !strings.Contains(got, "</span>") {
			t.Error(got)
		}
	}
}
