package openapi

import (
	"crypto/sha256"
	"net/url"
	"strconv"
	"strings"

	"tollgate/model"
)

// maxVariables in one path: more is beyond what gateways match.
const maxVariables = 16

// template is a document's path, part by part.
type template struct {
	parts []part
	slash bool // it ended in a slash, which the upstream may insist on
}

// part is a literal, or one variable between a prefix and a suffix. Literals are
// in the form they have in a request line, percent-encoded where they must be.
type part struct {
	literal        string
	variable       bool
	greedy         bool
	prefix, suffix string
	name           string // sanitised; the author's is in from
	from           string // "" when the part stands for several variables
}

// shape is what siblings are told apart by.
func (p part) shape() string { return canonical(p.prefix) + "{}" + canonical(p.suffix) }

// position is a place in the tree of paths. One place has one variable of one
// shape, whatever the document calls it on each path.
type position struct {
	literals  map[string]*position
	variables map[string]*variable // by shape
}

type variable struct {
	position
	name   string
	greedy bool
	path   string // that named it
}

// parseTemplate reads a path as a document writes it. false: it cannot be a
// resource, and the problem has been reported.
func (im *importer) parseTemplate(at loc) (template, bool) {
	raw := at.name()
	var t template
	path := raw
	if im.prefix != "" {
		path = im.prefix + "/" + strings.TrimPrefix(path, "/")
		path = strings.TrimSuffix(path, "/")
	}
	if i := cutMark(path); i >= 0 {
		im.say(model.SeverityWarning, at, "calls are told apart by path and verb alone: %s is not part of the route; a query a client sends is passed on", quote(path[i:]))
		path = path[:i]
	}
	if !strings.HasPrefix(path, "/") {
		im.say(model.SeverityWarning, at, "path %s does not start with a slash; it is read as %s", quote(raw), quote("/"+path))
		path = "/" + path
	}
	if path == "/" {
		return t, true
	}
	if strings.HasSuffix(path, "/") {
		t.slash = true
		path = strings.TrimSuffix(path, "/")
		im.say(model.SeverityInfo, at, "a trailing slash does not tell paths apart: the route is %s, and the upstream is called with the slash", quote(path))
	}
	encoded, variables := false, 0
	texts := splitParts(path[1:])
	for i, text := range texts {
		p, why := im.parsePart(text, at)
		if p.variable {
			variables++
		}
		if why == "" && variables > maxVariables {
			why = "it has more than " + strconv.Itoa(maxVariables) + " variables"
		}
		if why == "" && p.greedy && i != len(texts)-1 {
			why = "a greedy variable must be the last part of its path"
		}
		if why != "" {
			im.say(model.SeverityError, at, "path %s cannot be a route: %s; its operations are missing", quote(raw), why)
			return t, false
		}
		if p.encode() {
			encoded = true
		}
		t.parts = append(t.parts, p)
	}
	if encoded {
		im.say(model.SeverityInfo, at, "characters that cannot stand in a request line are percent-encoded in the route")
	}
	return t, true
}

// cutMark is where a query or fragment starts, outside variables.
func cutMark(path string) int {
	depth := 0
	for i := range len(path) {
		switch path[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '?', '#':
			if depth <= 0 {
				return i
			}
		}
	}
	return -1
}

// splitParts splits at slashes outside variables: some documents name one
// "{path/to}".
func splitParts(path string) []string {
	var out []string
	depth, start := 0, 0
	for i := range len(path) {
		switch path[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth <= 0 {
				out = append(out, path[start:i])
				start = i + 1
			}
		}
	}
	return append(out, path[start:])
}

// parsePart reads one part; why says what keeps it from being one.
func (im *importer) parsePart(text string, at loc) (p part, why string) {
	if text == "" {
		return p, "it has an empty part (two slashes in a row)"
	}
	if dotted(text) {
		return p, "clients and servers resolve the part " + quote(text) + " before it is a route's turn"
	}
	var names []string
	rest := text
	for {
		open := strings.IndexByte(rest, '{')
		shut := strings.IndexByte(rest, '}')
		if open < 0 && shut < 0 {
			break
		}
		if open < 0 || shut < open || strings.IndexByte(rest[open+1:shut], '{') >= 0 {
			return p, "part " + quote(text) + " has a brace without its pair"
		}
		if names == nil {
			p.prefix = rest[:open]
		}
		names = append(names, rest[open+1:shut])
		rest = rest[shut+1:]
	}
	if names == nil {
		p.literal = text
		return p, ""
	}
	p.variable, p.suffix = true, rest
	if len(names) == 1 {
		p.from, p.greedy = strings.CutSuffix(names[0], "+")
	} else {
		im.say(model.SeverityWarning, at, "part %s has %d variables; it is matched as one, and the upstream gets the part as the client sent it", quote(text), len(names))
	}
	for i, n := range names {
		names[i] = variableName(strings.TrimSuffix(n, "+"))
	}
	p.name = strings.Join(names, "_")
	if len(names) == 1 && p.name != p.from {
		im.say(model.SeverityWarning, at, "variable %s is called {%s} here: names have letters, digits and . _ - :", quote(p.from), p.name)
	}
	if p.greedy && p.prefix+p.suffix != "" {
		return p, "part " + quote(text) + " has text beside a greedy variable"
	}
	return p, ""
}

// dotted says whether a part is a dot segment, or hides one behind escapes.
func dotted(text string) bool {
	if u, err := url.PathUnescape(text); err == nil {
		text = u
	}
	for s := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' }) {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

func variableName(s string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-:", r):
			return r
		}
		return '_'
	}, s)
	if out == "" {
		return "value"
	}
	return out
}

// encode percent-encodes what a request line cannot carry. It says whether there
// was any.
func (p *part) encode() bool {
	before := p.literal + p.prefix + p.suffix
	p.literal, p.prefix, p.suffix = encodePath(p.literal), encodePath(p.prefix), encodePath(p.suffix)
	return p.literal+p.prefix+p.suffix != before
}

// encodePath keeps the escapes a path has and adds those it needs.
func encodePath(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if escapeAt(s, i) || bare(s[i]) {
			b.WriteByte(s[i])
		} else {
			writeEscape(&b, s[i])
		}
	}
	return b.String()
}

// canonical writes an encoded part the one way in which equal parts look the same:
// routes are matched by what a part decodes to.
func canonical(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if !escapeAt(s, i) {
			b.WriteByte(s[i])
			continue
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		i += 2
		if bare(c) && c != '/' {
			b.WriteByte(c)
		} else {
			writeEscape(&b, c)
		}
	}
	return b.String()
}

// bare says whether a byte stands for itself in a request line's path.
func bare(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune("%\"<>\\^`{}|?#", rune(c))
}

func escapeAt(s string, i int) bool {
	return s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
}

func writeEscape(b *strings.Builder, c byte) {
	const hex = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(hex[c>>4])
	b.WriteByte(hex[c&15])
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// route is a template with every variable under its final name.
type route struct {
	path    string            // of the resource
	uri     string            // below the server's URL
	names   []string          // of the variables, final
	renamed map[string]string // the author's name to the final one, where they differ
}

// route finds the template's place in the tree, and with it the names that
// earlier paths gave its variables.
func (im *importer) route(t template, at loc) (route, bool) {
	r := route{renamed: map[string]string{}}
	used := map[string]bool{}
	pos := &im.tree
	var path, uri strings.Builder
	for i := range t.parts {
		p := t.parts[i]
		path.WriteByte('/')
		uri.WriteByte('/')
		if !p.variable {
			path.WriteString(canonical(p.literal))
			uri.WriteString(p.literal)
			pos = pos.literal(canonical(p.literal))
			continue
		}
		v := pos.variables[p.shape()]
		if v == nil {
			v = &variable{name: unused(p.name, used), greedy: p.greedy, path: at.name()}
			if pos.variables == nil {
				pos.variables = map[string]*variable{}
			}
			pos.variables[p.shape()] = v
		}
		if v.greedy != p.greedy {
			im.say(model.SeverityError, at, "path %s cannot be a route beside %s: one place holds {%s} or a greedy variable, not both; its operations are missing", quote(at.name()), quote(v.path), v.name)
			return r, false
		}
		if v.name != p.name {
			im.aloud(at, "variable {%s} is called {%s} here: path %s names it so, and one place has one name", p.name, v.name, quote(v.path))
		}
		if p.from != "" && p.from != v.name {
			if _, ok := r.renamed[p.from]; !ok {
				r.renamed[p.from] = v.name
			}
		}
		used[v.name] = true
		r.names = append(r.names, v.name)
		plus := ""
		if p.greedy {
			plus = "+"
		}
		path.WriteString(canonical(p.prefix) + "{" + v.name + plus + "}" + canonical(p.suffix))
		// "${" in an integration's URI would be a stage variable.
		prefix := p.prefix
		if strings.HasSuffix(prefix, "$") {
			prefix = strings.TrimSuffix(prefix, "$") + "%24"
		}
		uri.WriteString(prefix + "{" + v.name + "}" + p.suffix)
		pos = &v.position
	}
	r.path, r.uri = path.String(), uri.String()
	if t.slash {
		r.uri += "/"
	}
	if r.path == "" {
		r.path, r.uri = "/", "/"
	}
	if _, err := model.Segments(r.path); err != nil {
		im.say(model.SeverityError, at, "%s; its operations are missing", model.MessageOf(err))
		return r, false
	}
	return r, true
}

func (p *position) literal(text string) *position {
	next := p.literals[text]
	if next == nil {
		next = &position{}
		if p.literals == nil {
			p.literals = map[string]*position{}
		}
		p.literals[text] = next
	}
	return next
}

// unused is name, or name_2, name_3, … where a part before it has the name.
func unused(name string, used map[string]bool) string {
	out := name
	for i := 2; used[out]; i++ {
		out = name + "_" + strconv.Itoa(i)
	}
	return out
}

// assignIDs gives every resource the id its path hashes to, so that importing the
// document again keeps ids. Resources are sorted, so a collision is settled the
// same way each time.
func assignIDs(rs []model.Resource) {
	const base36 = "abcdefghijklmnopqrstuvwxyz0123456789"
	taken := map[string]bool{}
	for i := range rs {
		for salt := 0; rs[i].ID == ""; salt++ {
			sum := sha256.Sum256([]byte(rs[i].Path + "\x00" + strconv.Itoa(salt)))
			var id [6]byte
			for j := range id {
				id[j] = base36[sum[j]%36]
			}
			if s := string(id[:]); !taken[s] {
				taken[s] = true
				rs[i].ID = s
			}
		}
	}
}
