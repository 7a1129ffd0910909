// Package vtl is the template language of Amazon API Gateway's mappings: Velocity 1.7
// with the objects $input, $util, $context and $stageVariables, and with its rule for what
// is not there: an invalid reference, property or method is the empty text, everywhere. A
// template is compiled once; rendering is bounded in output, iterations and steps. Regular
// expressions are RE2's: a pattern with Java's look-around or back references is refused
// where the template has it as a text, and matches nothing where the template makes it.
package vtl

import (
	"fmt"
	"strings"

	"tollgate/gateway/vtl/jsonpath"
)

// MaxTemplate bounds a template's text, in bytes, as the service does.
const MaxTemplate = 300 << 10

// SyntaxError says what is wrong with a template, and where.
type SyntaxError struct {
	Line, Column int // from 1
	Message      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Template is a compiled one. It may be rendered by many at once.
type Template struct {
	body   []node
	macros map[string]*macro
	names  map[string]int // of its variables, each with its slot
	plain  bool           // it is a text without references and directives
	text   string         // the template as it was written
}

// node is one piece of a template and where it begins in it.
type node struct {
	what statement
	at   int32
}

// statement puts out what it stands for.
type statement interface{ render(r *renderer) error }

type (
	textNode string
	setNode  struct {
		target *reference
		value  expr
	}
	branch struct {
		cond expr // nil: #else
		body []node
	}
	ifNode      struct{ branches []branch }
	foreachNode struct {
		slot int
		in   expr
		body []node
	}
	defineNode struct {
		slot int
		body []node
	}
	evaluateNode struct{ of expr }
	callNode     struct {
		name string
		args []expr
		raw  string
		body []node // of #@name
		slot int    // of $bodyContent
	}
	stopNode  struct{}
	breakNode struct{}
	// escapeNode and jsonNode are references to $util.escapeJavaScript(of) and to
	// $input.json(of), whose texts go straight to the output.
	escapeNode struct {
		ref *reference
		of  expr
	}
	jsonNode struct {
		ref  *reference
		of   expr
		path *jsonpath.Path // that is in of; nil: it has to be parsed
	}
)

type macro struct {
	params []int // slots
	body   []node
}

// reference is $name with what follows it.
type reference struct {
	slot  int
	given given
	steps []step
}

// given says that a name means something where no variable has it.
type given byte

const (
	givenNothing given = iota
	givenInput
	givenUtil
	givenContext
	givenStageVariables
	givenForeach
	givenCount
	givenHasNext
)

var givens = map[string]given{"input": givenInput, "util": givenUtil, "context": givenContext, "stageVariables": givenStageVariables,
	"foreach": givenForeach, "velocityCount": givenCount, "velocityHasNext": givenHasNext}

type step struct {
	name   string // of a property or a method
	method bool
	args   []expr
	path   *jsonpath.Path // that is in the first argument; nil: it has to be parsed
	index  expr           // [index]
}

// expr comes to a value.
type expr interface {
	value(r *renderer) (any, error)
}

type (
	literal   struct{ v any }
	quotedBy  struct{ body []node } // a text in double quotes, with references
	listOf    struct{ items []expr }
	rangeOf   struct{ from, to expr }
	mapOf     struct{ keys, values []expr }
	not       struct{ of expr }
	operation struct {
		op          string
		left, right expr
	}
)

// Parse compiles a template.
func Parse(src string) (*Template, error) { return parse(src, map[string]int{}) }

// parse compiles a template whose variables are those of names, to which it adds.
func parse(src string, names map[string]int) (*Template, error) {
	if len(src) > MaxTemplate {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("the template has %d bytes; at most %d are allowed", len(src), MaxTemplate)}
	}
	if !strings.ContainsAny(src, "$#") {
		return &Template{plain: true, text: src}, nil
	}
	p := &parser{src: src, macros: map[string]*macro{}, names: names, origin: src}
	p.findMacros()
	body, err := p.block(false)
	if err != nil {
		return nil, err
	}
	return &Template{body: body, macros: p.macros, names: p.names, text: src}, nil
}

// Plain says that the template is a text: nothing in it depends on the call.
func (t *Template) Plain() bool { return t.plain }

type parser struct {
	src    string
	at     int
	macros map[string]*macro
	names  map[string]int
	depth  int
	origin string // the whole template, for places
	base   int    // where src begins in it
}

const maxParseDepth = 100

func (p *parser) fail(format string, a ...any) error {
	line, column := place(p.origin, p.base+p.at)
	return &SyntaxError{line, column, fmt.Sprintf(format, a...)}
}

// place is the line and column of a byte, from 1.
func place(text string, at int) (line, column int) {
	at = min(at, len(text))
	return 1 + strings.Count(text[:at], "\n"), at - strings.LastIndexByte(text[:at], '\n')
}

// findMacros notes the names of macros before anything is parsed: they may be called
// above where they stand.
func (p *parser) findMacros() {
	for i := 0; ; {
		j := strings.Index(p.src[i:], "#macro")
		if j < 0 {
			return
		}
		i += j + len("#macro")
		rest := strings.TrimLeft(p.src[i:], " \t")
		if strings.HasPrefix(rest, "(") {
			rest = strings.TrimLeft(rest[1:], " \t\r\n")
			if n := identifier(rest); n > 0 {
				p.macros[rest[:n]] = &macro{}
			}
		}
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// identifier is the length of the name at the beginning of s.
func identifier(s string) int {
	n := 0
	for n < len(s) && (letter(s[n]) || n > 0 && (s[n] >= '0' && s[n] <= '9' || s[n] == '-')) {
		n++
	}
	for n > 0 && s[n-1] == '-' {
		n--
	}
	return n
}

var directives = map[string]bool{"set": true, "if": true, "elseif": true, "else": true, "end": true, "foreach": true, "break": true, "stop": true,
	"macro": true, "define": true, "evaluate": true}

// directive is the name of the one that begins here, if one does.
func (p *parser) directive() (name string, length int, block bool) {
	s := p.src[p.at+1:]
	length = 1
	if strings.HasPrefix(s, "@") {
		block, s, length = true, s[1:], 2
	}
	braced := strings.HasPrefix(s, "{")
	if braced {
		s, length = s[1:], length+1
	}
	n := identifier(s)
	if n == 0 {
		return "", 0, false
	}
	name = s[:n]
	if !directives[name] && p.macros[name] == nil {
		// "#elsefoo" is "#else" and a text
		found := ""
		for _, d := range []string{"else", "end", "stop", "break"} {
			if strings.HasPrefix(name, d) && !braced {
				found = d
			}
		}
		if found == "" {
			return "", 0, false
		}
		name, n = found, len(found)
	}
	length += n
	if braced {
		if !strings.HasPrefix(s[n:], "}") {
			return "", 0, false
		}
		length++
	}
	return name, length, block
}

// block parses up to #end, #else or #elseif, which it leaves, or to the end.
func (p *parser) block(inner bool) ([]node, error) {
	if p.depth++; p.depth > maxParseDepth {
		return nil, p.fail("directives nest deeper than %d", maxParseDepth)
	}
	defer func() { p.depth-- }()
	var out []node
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			out = append(out, node{textNode(text.String()), int32(p.base + p.at)})
			text.Reset()
		}
	}
	for p.at < len(p.src) {
		c := p.src[p.at]
		switch c {
		case '\\':
			n := 0
			for p.at+n < len(p.src) && p.src[p.at+n] == '\\' {
				n++
			}
			start := p.at
			p.at += n
			if length := p.live(); length > 0 {
				text.WriteString(strings.Repeat(`\`, n/2))
				if n%2 == 1 {
					text.WriteString(p.src[p.at : p.at+length])
					p.at += length
				}
			} else {
				text.WriteString(p.src[start:p.at])
			}
			continue
		case '$':
			start := p.at
			ref, err := p.reference()
			if err != nil {
				return nil, err
			}
			if ref == nil {
				text.WriteByte('$')
				p.at = start + 1
				continue
			}
			flush()
			out = append(out, node{printed(ref), int32(p.base + start)})
			continue
		case '#':
			rest := p.src[p.at:]
			switch {
			case strings.HasPrefix(rest, "##"):
				if i := strings.IndexByte(rest, '\n'); i >= 0 {
					p.at += i + 1
				} else {
					p.at = len(p.src)
				}
				continue
			case strings.HasPrefix(rest, "#*"):
				if i := strings.Index(rest[2:], "*#"); i >= 0 {
					p.at += i + 4
				} else {
					return nil, p.fail("the comment #* is not closed")
				}
				continue
			case strings.HasPrefix(rest, "#[["):
				i := strings.Index(rest, "]]#")
				if i < 0 {
					return nil, p.fail("the text #[[ is not closed")
				}
				text.WriteString(rest[3:i])
				p.at += i + 3
				continue
			}
			name, length, block := p.directive()
			if name == "" {
				text.WriteByte('#')
				p.at++
				continue
			}
			if name == "end" || name == "else" || name == "elseif" {
				if !inner {
					return nil, p.fail("#%s closes nothing", name)
				}
				flush()
				return out, nil
			}
			if name == "set" && strings.Trim(text.String(), " \t") == "" {
				text.Reset() // blanks between the last directive or reference and #set go with it
			}
			start := p.at
			p.at += length
			n, err := p.statement(name, start, block)
			if err != nil {
				return nil, err
			}
			if n == nil && !directives[name] { // a macro's name without a call
				text.WriteString(p.src[start:p.at])
				continue
			}
			flush()
			if n != nil {
				out = append(out, node{n, int32(p.base + start)})
			}
			continue
		}
		i := strings.IndexAny(p.src[p.at:], "\\$#")
		if i < 0 {
			i = len(p.src) - p.at
		}
		text.WriteString(p.src[p.at : p.at+i])
		p.at += i
	}
	if inner {
		return nil, p.fail("an #end is missing")
	}
	flush()
	return out, nil
}

// live is the length of the reference or the directive's name that begins here.
func (p *parser) live() int {
	if p.at >= len(p.src) {
		return 0
	}
	start := p.at
	switch p.src[p.at] {
	case '$':
		ref, err := p.reference()
		n := p.at - start
		p.at = start
		if err == nil && ref != nil {
			return n
		}
	case '#':
		if name, n, _ := p.directive(); name != "" {
			return n
		}
	}
	return 0
}

// line takes the rest of a line when it is empty: a directive's own line is not output.
func (p *parser) line() {
	i := p.at
	for i < len(p.src) && (p.src[i] == ' ' || p.src[i] == '\t') {
		i++
	}
	if strings.HasPrefix(p.src[i:], "\r\n") {
		p.at = i + 2
	} else if i < len(p.src) && (p.src[i] == '\n' || p.src[i] == '\r') {
		p.at = i + 1
	}
}

func (p *parser) space() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *parser) open(name string) error {
	p.space()
	if !p.take("(") {
		return p.fail("#%s needs a (", name)
	}
	p.space()
	return nil
}

func (p *parser) close(name string) error {
	p.space()
	if !p.take(")") {
		return p.fail("#%s needs a )", name)
	}
	p.line()
	return nil
}

// end takes #end.
func (p *parser) end(of string) error {
	if p.at < len(p.src) {
		if name, n, _ := p.directive(); name == "end" {
			p.at += n
			p.line()
			return nil
		}
	}
	return p.fail("#%s has no #end", of)
}

// slot is where a variable's value is kept.
func (p *parser) slot(name string) int {
	at, ok := p.names[name]
	if !ok {
		at = len(p.names)
		p.names[name] = at
	}
	return at
}

// printed is the statement that puts a reference out.
func printed(ref *reference) statement {
	if len(ref.steps) == 1 && len(ref.steps[0].args) == 1 {
		s := &ref.steps[0]
		switch {
		case ref.given == givenUtil && s.name == "escapeJavaScript":
			return &escapeNode{ref, s.args[0]}
		case ref.given == givenInput && s.name == "json":
			return &jsonNode{ref, s.args[0], s.path}
		}
	}
	return ref
}

// maxConstant bounds a path that is parsed with the template, in bytes: it then takes
// memory as long as the template does, and some hundred times its text's.
const maxConstant = 256

// constantText is the text that a method's first argument always is; "": none.
func constantText(args []expr) (text string) {
	if len(args) == 0 {
		return ""
	}
	switch e := args[0].(type) {
	case *literal:
		text, _ = e.v.(string)
	case *quotedBy:
		if len(e.body) == 1 {
			t, _ := e.body[0].what.(textNode)
			text = string(t)
		}
	}
	return text
}

// constantPath is the path of JSON that a method's first argument is, if it is one and
// leads by names and places alone: regular expressions take too much memory.
func constantPath(args []expr) *jsonpath.Path {
	if len(args) == 0 {
		return nil
	}
	text := constantText(args)
	if len(text) > maxConstant {
		return nil
	}
	p, err := jsonpath.Parse(text)
	if err != nil || !p.Straight() {
		return nil
	}
	return p
}

// variable is the slot of a bare $name or ${name}.
func (p *parser) variable(of string) (int, error) {
	ref, err := p.reference()
	if err != nil {
		return 0, err
	}
	if ref == nil || len(ref.steps) > 0 {
		return 0, p.fail("#%s needs the name of a variable", of)
	}
	return ref.slot, nil
}

func (p *parser) statement(name string, start int, block bool) (statement, error) {
	switch name {
	case "set":
		if err := p.open(name); err != nil {
			return nil, err
		}
		target, err := p.reference()
		if err != nil {
			return nil, err
		}
		if target == nil {
			return nil, p.fail("#set needs a reference to set")
		}
		p.space()
		if strings.HasPrefix(p.src[p.at:], "==") || !p.take("=") {
			return nil, p.fail("#set needs a =")
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		return &setNode{target, v}, p.close(name)
	case "if":
		return p.conditional()
	case "foreach":
		if err := p.open(name); err != nil {
			return nil, err
		}
		v, err := p.variable(name)
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take("in") {
			return nil, p.fail("#foreach needs the word in")
		}
		in, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.close(name); err != nil {
			return nil, err
		}
		body, err := p.block(true)
		if err != nil {
			return nil, err
		}
		return &foreachNode{v, in, body}, p.end(name)
	case "define":
		if err := p.open(name); err != nil {
			return nil, err
		}
		v, err := p.variable(name)
		if err != nil {
			return nil, err
		}
		if err := p.close(name); err != nil {
			return nil, err
		}
		body, err := p.block(true)
		if err != nil {
			return nil, err
		}
		return &defineNode{v, body}, p.end(name)
	case "macro":
		return nil, p.macro()
	case "evaluate":
		if err := p.open(name); err != nil {
			return nil, err
		}
		of, err := p.expression()
		if err != nil {
			return nil, err
		}
		return &evaluateNode{of}, p.close(name)
	case "stop":
		return stopNode{}, nil
	case "break":
		return breakNode{}, nil
	}
	return p.call(name, start, block)
}

func (p *parser) conditional() (statement, error) {
	out := &ifNode{}
	name := "if"
	for {
		b := branch{}
		if name != "else" {
			if err := p.open(name); err != nil {
				return nil, err
			}
			var err error
			if b.cond, err = p.expression(); err != nil {
				return nil, err
			}
			if err := p.close(name); err != nil {
				return nil, err
			}
		}
		var err error
		if b.body, err = p.block(true); err != nil {
			return nil, err
		}
		out.branches = append(out.branches, b)
		if p.at >= len(p.src) {
			return nil, p.fail("#if has no #end")
		}
		next, n, _ := p.directive()
		if next == "end" {
			return out, p.end("if")
		}
		if name == "else" {
			return nil, p.fail("#%s after #else", next)
		}
		p.at += n
		name = next
	}
}

func (p *parser) macro() error {
	if err := p.open("macro"); err != nil {
		return err
	}
	n := identifier(p.src[p.at:])
	if n == 0 {
		return p.fail("#macro needs a name")
	}
	m := &macro{}
	name := p.src[p.at : p.at+n]
	p.at += n
	for {
		p.space()
		p.take(",")
		p.space()
		if p.at >= len(p.src) || p.src[p.at] != '$' {
			break
		}
		v, err := p.variable("macro")
		if err != nil {
			return err
		}
		m.params = append(m.params, v)
	}
	if err := p.close("macro"); err != nil {
		return err
	}
	var err error
	if m.body, err = p.block(true); err != nil {
		return err
	}
	p.macros[name] = m
	return p.end("macro")
}

// call is #name(args), or nothing when no ( follows.
func (p *parser) call(name string, start int, block bool) (statement, error) {
	back := p.at
	p.space()
	if !p.take("(") {
		p.at = back
		return nil, nil
	}
	c := &callNode{name: name}
	for {
		p.space()
		p.take(",")
		p.space()
		if p.take(")") {
			break
		}
		if p.at >= len(p.src) {
			return nil, p.fail("#%s has no )", name)
		}
		e, err := p.unary()
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, e)
	}
	c.raw = p.src[start:p.at]
	if block {
		p.line()
		c.slot = p.slot("bodyContent")
		var err error
		if c.body, err = p.block(true); err != nil {
			return nil, err
		}
		return c, p.end(name)
	}
	p.line()
	return c, nil
}

// reference parses $name… where there is one; nil: there is none, and nothing is taken.
func (p *parser) reference() (*reference, error) {
	start := p.at
	if !p.take("$") {
		return nil, nil
	}
	p.take("!")
	braced := p.take("{")
	n := identifier(p.src[p.at:])
	if n == 0 {
		p.at = start
		return nil, nil
	}
	name := p.src[p.at : p.at+n]
	r := &reference{slot: p.slot(name), given: givens[name]}
	p.at += n
	for p.at < len(p.src) {
		c := p.src[p.at]
		if c == '.' {
			m := identifier(p.src[p.at+1:])
			if m == 0 {
				break
			}
			s := step{name: p.src[p.at+1 : p.at+1+m]}
			p.at += 1 + m
			if p.at < len(p.src) && p.src[p.at] == '(' {
				p.at++
				s.method = true
				p.space()
				first := p.at
				for {
					p.space()
					if p.take(")") {
						break
					}
					if len(s.args) > 0 && !p.take(",") {
						return nil, p.fail("the arguments of %s() need a comma or a )", s.name)
					}
					e, err := p.expression()
					if err != nil {
						return nil, err
					}
					s.args = append(s.args, e)
				}
				switch s.name {
				case "path", "json":
					s.path = constantPath(s.args)
				case "matches", "replaceAll", "replaceFirst", "split":
					if err := checkPattern(constantText(s.args)); err != nil {
						p.at = first
						return nil, p.fail("the pattern of %s() is not a regular expression that is taken here: %v", s.name, err)
					}
				}
			}
			r.steps = append(r.steps, s)
			continue
		}
		if c == '[' {
			back := p.at
			p.at++
			e, err := p.expression()
			if err == nil {
				p.space()
			}
			if err != nil || !p.take("]") {
				if braced {
					return nil, p.fail("the index of $%s is not closed", name)
				}
				p.at = back // "$a[" is a reference and a text
				break
			}
			r.steps = append(r.steps, step{index: e})
			continue
		}
		break
	}
	if braced && !p.take("}") {
		return nil, p.fail("the reference ${%s is not closed", name)
	}
	return r, nil
}

func (p *parser) expression() (expr, error) {
	if p.depth++; p.depth > maxParseDepth {
		return nil, p.fail("expressions nest deeper than %d", maxParseDepth)
	}
	defer func() { p.depth-- }()
	return p.level(0)
}

// levels are the operators by how loosely they bind.
var levels = [][]string{{"||", "or"}, {"&&", "and"}, {"==", "!=", "eq", "ne"}, {"<=", ">=", "<", ">", "le", "ge", "lt", "gt"}, {"+", "-"}, {"*", "/", "%"}}

var words = map[string]string{"or": "||", "and": "&&", "eq": "==", "ne": "!=", "le": "<=", "ge": ">=", "lt": "<", "gt": ">"}

func (p *parser) operator(level int) string {
	p.space()
	rest := p.src[p.at:]
	for _, op := range levels[level] {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if symbol, word := words[op]; word {
			if len(rest) > len(op) && (letter(rest[len(op)]) || rest[len(op)] >= '0' && rest[len(op)] <= '9') {
				continue
			}
			p.at += len(op)
			return symbol
		}
		p.at += len(op)
		return op
	}
	return ""
}

func (p *parser) level(n int) (expr, error) {
	if n == len(levels) {
		return p.unary()
	}
	left, err := p.level(n + 1)
	if err != nil {
		return nil, err
	}
	for {
		op := p.operator(n)
		if op == "" {
			return left, nil
		}
		right, err := p.level(n + 1)
		if err != nil {
			return nil, err
		}
		left = &operation{op, left, right}
	}
}

func (p *parser) unary() (expr, error) {
	p.space()
	if p.at >= len(p.src) {
		return nil, p.fail("an expression is missing")
	}
	rest := p.src[p.at:]
	c := rest[0]
	switch {
	case c == '!' || strings.HasPrefix(rest, "not") && len(rest) > 3 && !letter(rest[3]):
		if c == '!' {
			p.at++
		} else {
			p.at += 3
		}
		if p.depth++; p.depth > maxParseDepth {
			return nil, p.fail("expressions nest deeper than %d", maxParseDepth)
		}
		defer func() { p.depth-- }()
		of, err := p.unary()
		return &not{of}, err
	case c == '(':
		p.at++
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(")") {
			return nil, p.fail("a ) is missing")
		}
		return e, nil
	case c == '$':
		r, err := p.reference()
		if err != nil {
			return nil, err
		}
		if r == nil {
			return nil, p.fail("$ begins no reference")
		}
		return r, nil
	case c == '"' || c == '\'':
		return p.quote(c)
	case c == '[':
		return p.list()
	case c == '{':
		return p.mapping()
	case c >= '0' && c <= '9' || c == '-' || c == '.':
		return p.numeral()
	case strings.HasPrefix(rest, "true") && (len(rest) == 4 || !letter(rest[4])):
		p.at += 4
		return &literal{true}, nil
	case strings.HasPrefix(rest, "false") && (len(rest) == 5 || !letter(rest[5])):
		p.at += 5
		return &literal{false}, nil
	}
	return nil, p.fail("%.20q is no expression", rest)
}

func (p *parser) numeral() (expr, error) {
	start := p.at
	p.take("-")
	digits := func() int {
		n := 0
		for p.at < len(p.src) && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
			p.at++
			n++
		}
		return n
	}
	n := digits()
	if strings.HasPrefix(p.src[p.at:], ".") && !strings.HasPrefix(p.src[p.at:], "..") {
		back := p.at
		p.at++
		if m := digits(); m == 0 && n == 0 {
			p.at = back
		} else {
			n += m
		}
	}
	if n == 0 {
		return nil, p.fail("a number was expected")
	}
	if p.at < len(p.src) && (p.src[p.at] == 'e' || p.src[p.at] == 'E') {
		back := p.at
		p.at++
		if !p.take("-") {
			p.take("+")
		}
		if digits() == 0 {
			p.at = back
		}
	}
	return &literal{number(p.src[start:p.at])}, nil
}

// quote is a text. Its quotes are doubled within it; a backslash is a backslash.
func (p *parser) quote(q byte) (expr, error) {
	start := p.at
	p.at++
	begin := p.at
	var b strings.Builder
	for {
		i := strings.IndexByte(p.src[p.at:], q)
		if i < 0 {
			p.at = start
			return nil, p.fail("the text is not closed")
		}
		b.WriteString(p.src[p.at : p.at+i])
		p.at += i + 1
		if p.at >= len(p.src) || p.src[p.at] != q {
			break
		}
		b.WriteByte(q)
		p.at++
	}
	s := b.String()
	if q == '\'' || !strings.ContainsAny(s, "$#") {
		return &literal{s}, nil
	}
	inner := &parser{src: s, macros: p.macros, names: p.names, depth: p.depth, origin: p.origin, base: p.base + begin}
	body, err := inner.block(false)
	if err != nil {
		return nil, err
	}
	return &quotedBy{body}, nil
}

func (p *parser) list() (expr, error) {
	p.at++
	l := &listOf{}
	for {
		p.space()
		if p.take("]") {
			return l, nil
		}
		if len(l.items) > 0 && !p.take(",") {
			return nil, p.fail("the list needs a comma or a ]")
		}
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		p.space()
		if len(l.items) == 0 && p.take("..") {
			to, err := p.expression()
			if err != nil {
				return nil, err
			}
			p.space()
			if !p.take("]") {
				return nil, p.fail("the range needs a ]")
			}
			return &rangeOf{e, to}, nil
		}
		l.items = append(l.items, e)
	}
}

func (p *parser) mapping() (expr, error) {
	p.at++
	m := &mapOf{}
	for {
		p.space()
		if p.take("}") {
			return m, nil
		}
		if len(m.keys) > 0 && !p.take(",") {
			return nil, p.fail("the map needs a comma or a }")
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(":") {
			return nil, p.fail("the map needs a : behind a key")
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		m.keys, m.values = append(m.keys, k), append(m.values, v)
	}
}
