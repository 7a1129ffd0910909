// Package markdown turns what authors write of their APIs into HTML that can be put
// into any page.
package markdown

import (
	"bytes"
	"html"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

var (
	md = goldmark.New(goldmark.WithExtensions(extension.GFM))
	// clean allows what documentation needs and nothing that runs or looks like the
	// page around it: no style, no class, no id, no form, no image from elsewhere.
	clean = func() *bluemonday.Policy {
		p := bluemonday.NewPolicy()
		p.AllowElements("p", "br", "hr", "strong", "b", "em", "i", "del", "code", "pre", "ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "h3", "h4", "h5", "h6", "dl", "dt", "dd", "sub", "sup", "kbd")
		p.AllowAttrs("href").OnElements("a")
		p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
		p.AllowURLSchemes("http", "https", "mailto")
		p.RequireParseableURLs(true)
		p.RequireNoFollowOnLinks(true)
		p.AllowRelativeURLs(false)
		return p
	}()
)

const maxMarkdown = 64 << 10

// HTML is a description as HTML that can be put into any page. Headings begin
// below those of the page.
func HTML(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	if isPlain(text) {
		return "<p>" + html.EscapeString(text) + "</p>\n"
	}
	if len(text) > maxMarkdown {
		text = strings.ToValidUTF8(text[:maxMarkdown], "") + "…"
	}
	var b bytes.Buffer
	if err := md.Convert([]byte(text), &b); err != nil {
		return "<p>" + clean.Sanitize(text) + "</p>"
	}
	out := b.String()
	for _, h := range [][2]string{{"h4", "h6"}, {"h3", "h5"}, {"h2", "h4"}, {"h1", "h3"}} {
		out = strings.ReplaceAll(strings.ReplaceAll(out, "<"+h[0]+">", "<"+h[1]+">"), "</"+h[0]+">", "</"+h[1]+">")
	}
	return clean.Sanitize(out)
}

// isPlain reports a text that Markdown leaves as it is, as most descriptions of
// fields are: a page has hundreds, and the long way takes a tenth of a millisecond.
func isPlain(text string) bool {
	if len(text) > 4096 || !('A' <= text[0] && text[0] <= 'Z' || 'a' <= text[0] && text[0] <= 'z') || text[len(text)-1] == ' ' || strings.Contains(text, "www.") {
		return false
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(" .,;()/%-'?=+$", c) >= 0:
		default:
			return false
		}
	}
	return true
}
