package reference

import (
	"fmt"
	"net/url"
	"strings"
)

// Sample is a call in one language.
type Sample struct{ Language, Title, Code string }

// keyPlace stands where the reader's key goes.
const keyPlace = "YOUR_API_KEY"

// samples are the operation's call, as it can be copied: variables of the path and
// required parameters are filled in with examples.
func samples(p *Page, base string) []Sample {
	verb := p.Verb
	if verb == "ANY" {
		verb = "GET"
	}
	address := base + target(p)
	headers := [][2]string{}
	if p.KeyRequired {
		headers = append(headers, [2]string{"x-api-key", keyPlace})
	}
	for _, x := range p.Parameters {
		if x.In == "header" && x.Required && !strings.EqualFold(x.Name, "x-api-key") && !strings.EqualFold(x.Name, "content-type") {
			headers = append(headers, [2]string{x.Name, orStr(x.Example, "value")})
		}
	}
	body := ""
	if p.Body != nil && len(p.Body.Contents) > 0 && verb != "GET" && verb != "HEAD" {
		c := p.Body.Contents[0]
		headers = append(headers, [2]string{"Content-Type", c.Type})
		if len(c.Examples) > 0 {
			body = c.Examples[0].Text
		}
	}
	return []Sample{{"curl", "curl", curl(verb, address, headers, body)}, {"javascript", "JavaScript", javascript(verb, address, headers, body)},
		{"python", "Python", python(verb, address, headers, body)}, {"go", "Go", golang(verb, address, headers, body)}}
}

// target is the path with its variables filled in and the required part of the query.
func target(p *Page) string {
	path := p.Path
	var query []string
	for _, x := range p.Parameters {
		v := orStr(x.Example, exampleText(x.Schema))
		switch x.In {
		case "path":
			v = url.PathEscape(v)
			path = strings.ReplaceAll(strings.ReplaceAll(path, "{"+x.Name+"}", v), "{"+x.Name+"+}", v)
		case "query":
			if x.Required {
				query = append(query, url.QueryEscape(x.Name)+"="+url.QueryEscape(v))
			}
		}
	}
	if len(query) > 0 {
		mark := "?"
		if strings.Contains(path, "?") {
			mark = "&"
		}
		path += mark + strings.Join(query, "&")
	}
	return path
}

func exampleText(s *Schema) string {
	if s == nil {
		return "1"
	}
	for _, f := range s.Facts {
		if l, ok := strings.CutPrefix(f, "one of "); ok {
			v, _, _ := strings.Cut(l, ", ")
			return v
		}
	}
	if strings.HasPrefix(s.Type, "integer") || strings.HasPrefix(s.Type, "number") {
		return "1"
	}
	if strings.HasPrefix(s.Type, "boolean") {
		return "true"
	}
	return "example"
}

func curl(verb, address string, headers [][2]string, body string) string {
	var b strings.Builder
	b.WriteString("curl")
	if verb != "GET" {
		b.WriteString(" -X " + verb)
	}
	fmt.Fprintf(&b, " %s", shell(address))
	for _, h := range headers {
		fmt.Fprintf(&b, " \\\n  -H %s", shell(h[0]+": "+h[1]))
	}
	if body != "" {
		fmt.Fprintf(&b, " \\\n  -d %s", shell(body))
	}
	return b.String()
}

func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quoted is a string literal as JavaScript, Python and Go all read it.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func javascript(verb, address string, headers [][2]string, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "const response = await fetch(%s, {\n  method: %s,\n", quoted(address), quoted(verb))
	if len(headers) > 0 {
		b.WriteString("  headers: {\n")
		for _, h := range headers {
			fmt.Fprintf(&b, "    %s: %s,\n", quoted(h[0]), quoted(h[1]))
		}
		b.WriteString("  },\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "  body: %s,\n", quoted(body))
	}
	b.WriteString("});\nconsole.log(response.status, await response.text());")
	return b.String()
}

func python(verb, address string, headers [][2]string, body string) string {
	var b strings.Builder
	b.WriteString("import urllib.request\n\nrequest = urllib.request.Request(\n")
	fmt.Fprintf(&b, "    %s,\n    method=%s,\n", quoted(address), quoted(verb))
	if len(headers) > 0 {
		b.WriteString("    headers={\n")
		for _, h := range headers {
			fmt.Fprintf(&b, "        %s: %s,\n", quoted(h[0]), quoted(h[1]))
		}
		b.WriteString("    },\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "    data=%s.encode(),\n", quoted(body))
	}
	b.WriteString(")\nwith urllib.request.urlopen(request) as response:\n    print(response.status, response.read().decode())")
	return b.String()
}

func golang(verb, address string, headers [][2]string, body string) string {
	var b strings.Builder
	in, imports := "nil", `import (
	"fmt"
	"io"
	"net/http"
`
	if body != "" {
		in = "strings.NewReader(" + quoted(body) + ")"
		imports += "\t\"strings\"\n"
	}
	fmt.Fprintf(&b, "package main\n\n%s)\n\nfunc main() {\n\treq, err := http.NewRequest(%s, %s, %s)\n\tif err != nil {\n\t\tpanic(err)\n\t}\n", imports, quoted(verb), quoted(address), in)
	for _, h := range headers {
		fmt.Fprintf(&b, "\treq.Header.Set(%s, %s)\n", quoted(h[0]), quoted(h[1]))
	}
	b.WriteString("\tres, err := http.DefaultClient.Do(req)\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tdefer res.Body.Close()\n\tbody, _ := io.ReadAll(res.Body)\n\tfmt.Println(res.StatusCode, string(body))\n}")
	return b.String()
}
