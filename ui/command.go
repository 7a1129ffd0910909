package ui

import (
	"strings"

	"github.com/a-h/templ"
)

// Shown is what does the same as a form, somewhere else. Parts of its text may be made
// by Typed.
type Shown struct {
	Label, Text string
	HCL         bool // quoted as Terraform does, not as a shell
}

// What frames a value in a Shown's text: characters that no text has a meaning for.
const (
	typedField, typedEmpty, typedEnd = "\ue000", "\ue001", "\ue002"
)

var typedOut = strings.NewReplacer(typedField, "", typedEmpty, "", typedEnd, "")

// Typed is the value of the field of a form in a Shown's text, or what stands for it
// while the field is empty. Where JavaScript runs it follows what is typed, so it must
// stand inside of double quotes, or be a number.
func Typed(field, value, empty string) string {
	value = typedOut.Replace(value)
	if value == "" {
		value = empty
	}
	return typedField + field + typedEmpty + empty + typedEmpty + value + typedEnd
}

// Plain is a Shown's text as it is read and copied.
func (s Shown) Plain() string {
	var b strings.Builder
	s.each(func(_, _, text string) { b.WriteString(text) })
	return b.String()
}

func (s Shown) each(do func(field, empty, text string)) {
	rest := s.Text
	for {
		before, typed, found := strings.Cut(rest, typedField)
		do("", "", before)
		if !found {
			return
		}
		typed, rest, _ = strings.Cut(typed, typedEnd)
		if p := strings.SplitN(typed, typedEmpty, 3); len(p) == 3 {
			do(p[0], p[1], p[2])
		}
	}
}

// pre is the text with its values marked that follow their fields. Blanks count in it,
// so it is no template.
func (s Shown) pre(id string) string {
	var b strings.Builder
	b.WriteString(`<pre tabindex="0" role="region" aria-label="` + templ.EscapeString(s.Label) + `"><code id="` + templ.EscapeString(id) + `">`)
	s.each(func(field, empty, text string) {
		if field == "" {
			b.WriteString(templ.EscapeString(text))
			return
		}
		b.WriteString(`<span data-of="` + templ.EscapeString(field) + `" data-empty="` + templ.EscapeString(empty) + `"`)
		if s.HCL {
			b.WriteString(` data-hcl`)
		}
		b.WriteString(`>` + templ.EscapeString(text) + `</span>`)
	})
	b.WriteString(`</code></pre>`)
	return b.String()
}
