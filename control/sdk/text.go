package sdk

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// maxProse bounds one description in a client, in bytes.
const maxProse = 8 << 10

// prose is a tenant's text as lines for a comment: without control characters and
// without those that change the direction or show nothing, which could make a
// comment look like code.
func prose(s string) []string {
	if len(s) > maxProse {
		s = s[:maxProse] + "…"
	}
	s = strings.ToValidUTF8(s, "")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n", "\t", " ").Replace(s)
	var out []string
	for l := range strings.SplitSeq(s, "\n") {
		l = strings.TrimRight(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, l), " ")
		if l != "" || len(out) > 0 && out[len(out)-1] != "" {
			out = append(out, l)
		}
	}
	if n := len(out); n > 0 && out[n-1] == "" {
		out = out[:n-1]
	}
	return out
}

// oneLine is a text in one line, at most so many bytes of it.
func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(strings.Join(prose(s), " ")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// quoteJS is a string of JSON and of JavaScript, in ASCII.
func quoteJS(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

// blockLines are lines for a comment that ends with an asterisk and a slash.
func blockLines(s string) []string {
	out := prose(s)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "*/", "* /")
	}
	return out
}

// block writes a comment as JavaScript and TypeScript have it.
func (w *writer) block(indent string, paragraphs ...string) {
	var all []string
	for _, s := range paragraphs {
		if l := blockLines(s); len(l) > 0 {
			if len(all) > 0 {
				all = append(all, "")
			}
			all = append(all, l...)
		}
	}
	switch len(all) {
	case 0:
	case 1:
		// A slash at the end or the beginning would meet the comment's own asterisk.
		w.p("%s/** %s */", indent, all[0])
	default:
		w.p("%s/**", indent)
		for _, l := range all {
			w.p("%s", strings.TrimRight(indent+" * "+l, " "))
		}
		w.p("%s */", indent)
	}
}

// markdown is a line in which nothing is markup.
func markdown(s string) string {
	return markdownEscapes.Replace(oneLine(s, 200))
}

var markdownEscapes = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "&lt;", ">", "&gt;", "&", "&amp;", "#", "\\#", "|", "\\|", "!", "\\!")
