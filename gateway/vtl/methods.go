package vtl

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"tollgate/gateway/vtl/jsonpath"
)

// Objects that every template has.
type (
	inputObject struct{}
	utilObject  struct{}
	entry       struct { // of a map's entrySet
		m   *Map
		key string
	}
)

// body is the body as JSON; an empty one is an empty object.
func (r *renderer) body() any {
	if !r.read {
		r.read = true
		text := r.in.Body
		if strings.TrimSpace(text) == "" {
			text = "{}"
		}
		if v, err := r.memory.parse(text); err == nil {
			r.json = v
		} else {
			r.json, r.in.NotJSON = text, true
		}
	}
	return r.json
}

// tree lets paths of JSON walk over values.
type tree struct{}

func (tree) Object(v any) ([]string, bool) {
	m, ok := v.(*Map)
	if !ok {
		return nil, false
	}
	return m.keys, true
}

func (tree) Member(v any, key string) (any, bool) { return v.(*Map).Get(key) }

func (tree) Array(v any) ([]any, bool) {
	l, ok := v.(*List)
	if !ok {
		return nil, false
	}
	return l.Items, true
}

func (tree) List(items []any) any { return &List{Items: items, JSON: true} }

// Choose makes an object of some names of another.
func (tree) Choose(v any, names []string) any {
	m, out := v.(*Map), NewMap()
	for _, n := range names {
		if x, ok := m.Get(n); ok {
			out.Set(n, x)
		}
	}
	return out
}

func (tree) Number(v any) (float64, bool) { return double(v) }

// path works out a JSONPath on the body: p, or what expr says when p is nil.
func (r *renderer) path(p *jsonpath.Path, expr string) (any, bool, error) {
	if p == nil {
		var err error
		r.steps += len(expr)
		if p, err = jsonpath.Parse(expr); err != nil {
			return nil, false, r.step()
		}
		r.steps += p.Size()
	}
	left := r.limits.Steps - r.steps
	v, ok, err := p.FindWithin(tree{}, r.body(), &left)
	r.steps = r.limits.Steps - left
	if l, list := v.(*List); err == nil && list && !p.Straight() { // it was made
		err = r.made(16 * len(l.Items))
	}
	if err != nil {
		return nil, false, err
	}
	return v, ok, nil
}

// arguments are those of a method, with texts and numbers at hand.
type arguments struct {
	r    *renderer
	all  []any
	path *jsonpath.Path // that is in the first; nil: it has to be parsed
	err  error
}

func (a *arguments) text(i int) string {
	if i >= len(a.all) {
		return ""
	}
	s, err := a.r.text(a.all[i])
	if err != nil && a.err == nil {
		a.err = err
	}
	return s
}

func (a *arguments) int(i int) (int, bool) {
	if i >= len(a.all) {
		return 0, false
	}
	n, ok := a.all[i].(int64)
	if !ok || n > 1<<31 || n < -1<<31 {
		return 0, false
	}
	return int(n), true
}

// method calls one of Java's; what there is none of is nothing.
func (r *renderer) method(v any, s *step, args []any) (any, bool, error) {
	var a *arguments
	if n := len(r.free); n > 0 {
		a, r.free = r.free[n-1], r.free[:n-1]
	} else {
		a = new(arguments)
	}
	*a = arguments{r: r, all: args, path: s.path}
	out, ok, err := r.invoke(v, s.name, a)
	*a = arguments{}
	r.free = append(r.free, a)
	return out, ok, err
}

func (r *renderer) invoke(v any, name string, a *arguments) (out any, ok bool, err error) {
	args := a.all
	switch v := v.(type) {
	case inputObject:
		out, ok, err = r.inputMethod(name, a)
	case utilObject:
		out, ok, err = r.utilMethod(name, a)
	case string:
		out, ok, err = r.stringMethod(v, name, a)
	case *block:
		s, e := r.capture(v.body)
		if e != nil {
			return nil, false, e
		}
		out, ok, err = r.stringMethod(s, name, a)
	case *List:
		r.keepAll(args)
		out, ok, err = r.listMethod(v, name, a)
	case *Map:
		r.keepAll(args)
		out, ok, err = r.mapMethod(v, name, a)
	case *entry:
		switch name {
		case "getKey":
			out, ok = v.key, true
		case "getValue":
			out, ok = v.m.value(v.key), true
		}
	case bool:
		switch name {
		case "booleanValue":
			out, ok = v, true
		case "parseBoolean", "valueOf":
			out, ok = strings.EqualFold(a.text(0), "true"), true
		}
	case int64, *big.Int, float64:
		out, ok = numberMethod(v, name, a)
	case *loop:
		if n, found := strings.CutPrefix(name, "get"); found && n != "" {
			return r.property(v, strings.ToLower(n[:1])+n[1:])
		}
		if name == "stop" && r.within(v) {
			r.stopped = v
			return nil, false, errStopLoop
		}
		if name == "hasNext" || name == "isFirst" || name == "isLast" {
			return r.property(v, strings.ToLower(strings.TrimPrefix(name, "is")[:1])+strings.TrimPrefix(name, "is")[1:])
		}
	}
	if err == nil {
		err = a.err
	}
	if err != nil || ok {
		return out, ok, err
	}
	switch name { // what every object has
	case "toString":
		s, err := r.text(v)
		return s, true, err
	case "equals":
		if len(args) == 1 {
			if _, number := rational(v); number { // of the same class
				if _, other := rational(args[0]); !other {
					return false, true, nil
				}
			}
			same, err := r.same(v, args[0])
			return same, true, err
		}
	case "hashCode":
		if s, isText := v.(string); isText {
			return hashCode(s), true, nil
		}
	}
	return nil, false, nil
}

func hashCode(s string) int64 {
	var h int32
	for _, u := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(u)
	}
	return int64(h)
}

func (r *renderer) inputMethod(name string, a *arguments) (any, bool, error) {
	switch name {
	case "body":
		return r.in.Body, true, nil
	case "json":
		v, ok, err := r.path(a.path, a.text(0))
		if err != nil || !ok {
			return "", true, err
		}
		p := printer{most: r.limits.Output}
		if err := p.json(v, 0); err != nil {
			return nil, false, err
		}
		return string(p.out), true, r.made(len(p.out))
	case "path":
		return r.path(a.path, a.text(0))
	case "params":
		if len(a.all) == 0 {
			m := NewMap()
			for _, of := range []struct {
				name string
				from map[string]string
			}{{"path", r.in.Path}, {"querystring", r.in.Query}, {"header", r.in.Header}} {
				inner := NewMap()
				for _, k := range slices.Sorted(maps.Keys(of.from)) {
					inner.Set(k, of.from[k])
				}
				m.Set(of.name, inner)
				if err := r.made(200 + 64*inner.Len()); err != nil {
					return nil, false, err
				}
			}
			return m, true, nil
		}
		n := a.text(0)
		for _, from := range []map[string]string{r.in.Path, r.in.Query, r.in.Header} {
			if v, ok := from[n]; ok {
				return v, true, nil
			}
		}
		for k, v := range r.in.Header { // names of headers have no case
			if strings.EqualFold(k, n) {
				return v, true, nil
			}
		}
	}
	return nil, false, nil
}

func (r *renderer) utilMethod(name string, a *arguments) (any, bool, error) {
	s := a.text(0)
	if err := r.look(s); err != nil {
		return nil, false, err
	}
	switch name {
	case "escapeJavaScript":
		out := escapeJavaScript(s)
		return out, true, r.made(len(out))
	case "parseJson":
		if err := r.scan(s); err != nil {
			return nil, false, err
		}
		v, err := r.memory.parse(s)
		if err != nil {
			return nil, false, nil
		}
		return v, true, r.made(8 * len(s))
	case "urlEncode":
		return urlEncode(s), true, r.made(3 * len(s))
	case "urlDecode":
		out, err := url.QueryUnescape(s)
		return out, err == nil, r.made(len(out))
	case "base64Encode":
		return base64.StdEncoding.EncodeToString([]byte(s)), true, r.made(2 * len(s))
	case "base64Decode":
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
		if err != nil {
			b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s), "="))
		}
		return string(b), err == nil, r.made(len(b))
	}
	return nil, false, nil
}

// urlEncode is URLEncoder.encode.
func urlEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-*_", c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// escapeJavaScript is StringEscapeUtils.escapeJavaScript: quotes of both kinds, slashes
// and all that is not ASCII.
func escapeJavaScript(s string) string {
	for i := range len(s) {
		if escaped[s[i]] {
			return string(appendEscaped(make([]byte, 0, len(s)+32), s))
		}
	}
	return s
}

func appendEscaped(dst []byte, s string) []byte {
	start := 0 // of what is as it was
	for i := 0; i < len(s); {
		c := s[i]
		if !escaped[c] {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		n := 1
		if short := strings.IndexByte("\b\n\t\f\r'\"\\/", c); short >= 0 {
			dst = append(dst, '\\', `bntfr'"\/`[short])
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
				dst = unicode4(unicode4(dst, high), low)
			} else {
				dst = unicode4(dst, r)
			}
		}
		i += n
		start = i
	}
	return append(dst, s[start:]...)
}

// escaped are the bytes that escapeJavaScript does not leave as they are.
var escaped = func() (out [256]bool) {
	for c := range out {
		out[c] = c < ' ' || c > '~' || strings.IndexByte(`'"\/`, byte(c)) >= 0
	}
	return out
}()

// unicode4 appends \u and the four digits of a unit of UTF-16.
func unicode4(dst []byte, u rune) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '\\', 'u', digits[u>>12&15], digits[u>>8&15], digits[u>>4&15], digits[u&15])
}

// javaText is a text by its characters, as Java counts them (UTF-16).
type javaText []uint16

func asJava(s string) (javaText, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return utf16.Encode([]rune(s)), false
		}
	}
	return nil, true // bytes are characters
}

func length(s string) int {
	if u, ascii := asJava(s); !ascii {
		return len(u)
	}
	return len(s)
}

// cut is substring(from, to); !ok where Java throws.
func cut(s string, from, to int) (string, bool) {
	u, ascii := asJava(s)
	n := len(s)
	if !ascii {
		n = len(u)
	}
	if from < 0 || to > n || from > to {
		return "", false
	}
	if ascii {
		return s[from:to], true
	}
	return string(utf16.Decode(u[from:to])), true
}

// compareTexts is String.compareTo, or compareToIgnoreCase: the difference of the first
// characters that differ, else that of the lengths.
func compareTexts(s, t string, ignoreCase bool) int64 {
	a, b := utf16.Encode([]rune(s)), utf16.Encode([]rune(t))
	for i := range min(len(a), len(b)) {
		x, y := rune(a[i]), rune(b[i])
		if ignoreCase { // both ways: some letters have one of the cases alone
			x, y = unicode.ToLower(unicode.ToUpper(x)), unicode.ToLower(unicode.ToUpper(y))
		}
		if x != y {
			return int64(x - y)
		}
	}
	return int64(len(a) - len(b))
}

// position turns a place in bytes into one in Java's characters.
func position(s string, at int) int64 {
	if at < 0 {
		return -1
	}
	return int64(length(s[:at]))
}

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 1000

// checkPattern refuses a pattern of Java's that RE2 has not. One that Java has not either
// is none there and here.
func checkPattern(expr string) error {
	if len(expr) > maxPattern {
		return fmt.Errorf("it has more than %d bytes", maxPattern)
	}
	_, _, err := jsonpath.Compile(expr)
	if e, ok := err.(*syntax.Error); ok {
		switch e.Code {
		case syntax.ErrMissingParen, syntax.ErrUnexpectedParen, syntax.ErrMissingBracket, syntax.ErrMissingRepeatArgument, syntax.ErrTrailingBackslash:
			return nil
		}
	}
	return err
}

// pattern compiles a regular expression of Java's, as far as RE2 has it, to be looked for
// in a text; nil: it is none.
func (r *renderer) pattern(expr, in string) (*regexp.Regexp, error) {
	if len(expr) > maxPattern {
		return nil, nil
	}
	r.steps += len(expr)
	re, size, err := jsonpath.Compile(expr)
	if err != nil {
		return nil, r.step()
	}
	r.steps += jsonpath.Matching(len(in), size)
	return re, r.step()
}

// replacement turns Java's $1 and \$ into Go's.
func replacement(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			if s[i] == '$' {
				b.WriteString("$$")
			} else {
				b.WriteByte(s[i])
			}
		case s[i] == '$' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			b.WriteString("${" + s[i+1:i+2] + "}")
			i++
		case s[i] == '$':
			b.WriteString("$$")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (r *renderer) stringMethod(s, name string, a *arguments) (any, bool, error) {
	n := len(a.all)
	make := func(out string) (any, bool, error) { return out, true, r.made(len(out)) }
	if err := r.look(s); err != nil {
		return nil, false, err
	}
	switch name {
	case "length":
		return int64(length(s)), true, nil
	case "isEmpty":
		return s == "", true, nil
	case "isBlank":
		return strings.TrimSpace(s) == "", true, nil
	case "trim", "strip":
		return make(strings.Trim(s, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f "))
	case "toUpperCase":
		return make(strings.ToUpper(s))
	case "toLowerCase":
		return make(strings.ToLower(s))
	case "toCharArray":
		l := &List{}
		if err := r.made(32 * length(s)); err != nil {
			return nil, false, err
		}
		for _, c := range s {
			l.Items = append(l.Items, string(c))
		}
		return l, true, nil
	}
	if n == 0 {
		return nil, false, nil
	}
	t := a.text(0)
	if err := r.look(t); err != nil {
		return nil, false, err
	}
	switch name {
	case "equalsIgnoreCase":
		return strings.EqualFold(s, t), true, nil
	case "contains":
		return strings.Contains(s, t), true, nil
	case "startsWith":
		if i, ok := a.int(1); ok {
			rest, ok := cut(s, i, length(s))
			return ok && strings.HasPrefix(rest, t), true, nil
		}
		return strings.HasPrefix(s, t), true, nil
	case "endsWith":
		return strings.HasSuffix(s, t), true, nil
	case "indexOf":
		from := 0
		if n > 1 {
			i, ok := a.int(1)
			if !ok {
				return nil, false, nil
			}
			from = min(max(i, 0), length(s))
		}
		rest, _ := cut(s, from, length(s))
		at := position(rest, strings.Index(rest, t))
		if at >= 0 {
			at += int64(from)
		}
		return at, true, nil
	case "lastIndexOf":
		if n > 1 {
			from, ok := a.int(1)
			if !ok {
				return nil, false, nil
			}
			if from < 0 {
				return int64(-1), true, nil
			}
			s, _ = cut(s, 0, min(from+length(t), length(s))) // what begins at from is found, too
		}
		return position(s, strings.LastIndex(s, t)), true, nil
	case "compareTo":
		return compareTexts(s, t, false), true, nil
	case "compareToIgnoreCase":
		return compareTexts(s, t, true), true, nil
	case "concat":
		return make(s + t)
	case "charAt", "substring":
		from, ok := a.int(0)
		to := length(s)
		if name == "charAt" {
			to = from + 1
		} else if n > 1 {
			if to, ok = a.int(1); !ok {
				return nil, false, nil
			}
		}
		if !ok {
			return nil, false, nil
		}
		out, ok := cut(s, from, to)
		return out, ok, r.made(len(out))
	case "repeat":
		i, ok := a.int(0)
		if !ok || i < 0 {
			return nil, false, nil
		}
		if len(s)*i > r.limits.Output || i > r.limits.Output {
			return nil, false, errOutput
		}
		return make(strings.Repeat(s, i))
	case "matches":
		re, err := r.pattern(`\A(?:`+t+`)\z`, s)
		if re == nil || err != nil {
			return nil, false, err
		}
		return re.MatchString(s), true, nil
	case "replace":
		if n < 2 {
			return nil, false, nil
		}
		if err := r.growth(s, t, a.text(1)); err != nil {
			return nil, false, err
		}
		return make(strings.ReplaceAll(s, t, a.text(1)))
	case "replaceAll", "replaceFirst":
		re, err := r.pattern(t, s)
		if re == nil || err != nil || n < 2 {
			return nil, false, err
		}
		if err := r.growth(s, "", a.text(1)); err != nil {
			return nil, false, err
		}
		with := replacement(a.text(1))
		if name == "replaceAll" {
			return make(re.ReplaceAllString(s, with))
		}
		at := re.FindStringSubmatchIndex(s)
		if at == nil {
			return s, true, nil
		}
		return make(s[:at[0]] + string(re.ExpandString(nil, with, s, at)) + s[at[1]:])
	case "split":
		re, err := r.pattern(t, s)
		if re == nil || err != nil {
			return nil, false, err
		}
		limit, _ := a.int(1)
		most := 4*r.limits.Output/64 + 1 // so many are too many
		if limit > 0 {
			most = min(most, limit)
		}
		parts := re.Split(s, most)
		if err := r.made(64 * len(parts)); err != nil {
			return nil, false, err
		}
		if len(parts) > 1 && parts[0] == "" && t == "" {
			parts = parts[1:]
		}
		if limit == 0 {
			for len(parts) > 1 && parts[len(parts)-1] == "" {
				parts = parts[:len(parts)-1]
			}
		}
		l := &List{}
		for _, x := range parts {
			l.Items = append(l.Items, x)
		}
		return l, true, r.made(len(s))
	case "valueOf":
		return make(t)
	}
	return nil, false, nil
}

// look counts the work of going over a text once, as most methods do.
func (r *renderer) look(s string) error {
	r.steps += len(s) / 400
	return r.step()
}

// scan counts the work of looking through a text.
func (r *renderer) scan(s string) error {
	r.steps += len(s) / 100
	return r.step()
}

// growth refuses a replacement that could make far more than may be put out.
func (r *renderer) growth(s, old, with string) error {
	times := len(s) + 1
	if old != "" {
		times = strings.Count(s, old)
	}
	if times*len(with) > 4*r.limits.Output {
		return errOutput
	}
	return r.scan(s)
}

func numberMethod(v any, name string, a *arguments) (any, bool) {
	switch name {
	case "intValue", "longValue", "shortValue":
		switch v := v.(type) {
		case int64:
			return v, true
		case float64:
			if v >= -9.2e18 && v <= 9.2e18 {
				return int64(v), true
			}
		case *big.Int:
			if v.IsInt64() {
				return v.Int64(), true
			}
		}
	case "doubleValue", "floatValue":
		return double(v)
	case "parseInt", "parseLong":
		if n, err := strconv.ParseInt(a.text(0), 10, 64); err == nil {
			return n, true
		}
	case "parseDouble", "parseFloat":
		if f, err := strconv.ParseFloat(strings.TrimSpace(a.text(0)), 64); err == nil {
			return f, true
		}
	case "valueOf":
		if s := a.text(0); s != "" {
			if _, whole := v.(int64); whole {
				n, err := strconv.ParseInt(s, 10, 64)
				return n, err == nil
			}
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil
		}
	case "compareTo":
		if len(a.all) == 1 {
			x, _ := rational(v)
			if y, ok := rational(a.all[0]); ok && x != nil {
				return int64(x.Cmp(y)), true
			}
		}
	}
	return nil, false
}

// find is the place of a value in a list from one place to another; -1: it is not there.
func (r *renderer) find(l *List, v any, from, to, by int) (int64, error) {
	for i := from; i != to; i += by {
		if err := r.step(); err != nil {
			return 0, err
		}
		same, err := r.same(l.Items[i], v)
		if err != nil || same {
			return int64(i), err
		}
	}
	return -1, nil
}

func (r *renderer) contains(l *List, v any) (bool, error) {
	i, err := r.find(l, v, 0, len(l.Items), 1)
	return i >= 0, err
}

func (r *renderer) listMethod(l *List, name string, a *arguments) (any, bool, error) {
	find := func(v any, from, to, by int) (int64, error) { return r.find(l, v, from, to, by) }
	n := len(a.all)
	switch name {
	case "size", "length":
		return int64(len(l.Items)), true, nil
	case "isEmpty":
		return len(l.Items) == 0, true, nil
	case "iterator", "listIterator":
		return l, true, nil
	case "clear":
		l.Items = nil
		return "", true, nil
	}
	if n == 0 {
		return nil, false, nil
	}
	switch name {
	case "get":
		if i, ok := a.int(0); ok && i >= 0 && i < len(l.Items) {
			return l.Items[i], true, nil
		}
	case "add":
		if n == 1 {
			l.Items = append(l.Items, a.all[0])
			return true, true, r.made(16)
		}
		if i, ok := a.int(0); ok && i >= 0 && i <= len(l.Items) {
			l.Items = append(l.Items, nil)
			copy(l.Items[i+1:], l.Items[i:])
			l.Items[i] = a.all[1]
			r.steps += len(l.Items) / 10
			return "", true, r.made(16)
		}
	case "addAll":
		if other, ok := a.all[0].(*List); ok {
			l.Items = append(l.Items, append([]any(nil), other.Items...)...)
			return true, true, r.made(16 * len(other.Items))
		}
	case "set":
		if i, ok := a.int(0); ok && n == 2 && i >= 0 && i < len(l.Items) {
			old := l.Items[i]
			l.Items[i] = a.all[1]
			return old, true, nil
		}
	case "remove":
		if i, ok := a.int(0); ok {
			if i < 0 || i >= len(l.Items) {
				return nil, false, nil
			}
			old := l.Items[i]
			l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
			return old, true, r.made(8 * len(l.Items))
		}
		i, err := find(a.all[0], 0, len(l.Items), 1)
		if err == nil && i >= 0 {
			l.Items = append(l.Items[:i:i], l.Items[i+1:]...)
			err = r.made(8 * len(l.Items))
		}
		return i >= 0, true, err
	case "contains":
		in, err := r.contains(l, a.all[0])
		return in, true, err
	case "removeAll", "retainAll":
		other, ok := a.all[0].(*List)
		if !ok {
			return nil, false, nil
		}
		left := make([]any, 0, len(l.Items)) // anew: a loop may go over what there was
		for _, v := range l.Items {
			in, err := r.contains(other, v)
			if err != nil {
				return nil, false, err
			}
			if in == (name == "retainAll") {
				left = append(left, v)
			}
		}
		changed := len(left) < len(l.Items)
		l.Items = left
		return changed, true, r.made(16 * cap(left))
	case "containsAll":
		other, ok := a.all[0].(*List)
		if !ok {
			return nil, false, nil
		}
		for _, v := range other.Items {
			if in, err := r.contains(l, v); err != nil || !in {
				return false, true, err
			}
		}
		return true, true, nil
	case "indexOf":
		i, err := find(a.all[0], 0, len(l.Items), 1)
		return i, true, err
	case "lastIndexOf":
		i, err := find(a.all[0], len(l.Items)-1, -1, -1)
		return i, true, err
	case "subList":
		from, ok1 := a.int(0)
		to, ok2 := a.int(1)
		if ok1 && ok2 && from >= 0 && to <= len(l.Items) && from <= to {
			return &List{append([]any(nil), l.Items[from:to]...), l.JSON}, true, r.made(16 * (to - from))
		}
	}
	return nil, false, nil
}

func (r *renderer) mapMethod(m *Map, name string, a *arguments) (any, bool, error) {
	n := len(a.all)
	switch name {
	case "size":
		return int64(m.Len()), true, nil
	case "isEmpty":
		return m.Len() == 0, true, nil
	case "keySet", "values", "entrySet":
		l := &List{Items: make([]any, 0, m.Len())}
		for _, k := range m.keys {
			switch name {
			case "keySet":
				l.Items = append(l.Items, k)
			case "values":
				l.Items = append(l.Items, m.value(k))
			default:
				l.Items = append(l.Items, &entry{m, k})
			}
		}
		return l, true, r.made(32 * m.Len())
	case "clear":
		m.keys, m.values, m.at = nil, nil, nil
		return "", true, nil
	}
	if n == 0 {
		return nil, false, nil
	}
	if name == "putAll" {
		if other, ok := a.all[0].(*Map); ok {
			for _, k := range append([]string(nil), other.keys...) {
				m.Set(k, other.value(k))
			}
			return "", true, r.made(48 * other.Len())
		}
		return nil, false, nil
	}
	if name == "containsValue" {
		for _, k := range m.keys {
			if err := r.step(); err != nil {
				return nil, false, err
			}
			if same, err := r.same(m.value(k), a.all[0]); err != nil || same {
				return same, true, err
			}
		}
		return false, true, nil
	}
	k := a.text(0)
	old, had := m.Get(k)
	switch name {
	case "get":
		return old, had, nil
	case "getOrDefault":
		if had {
			return old, true, nil
		}
		if n > 1 {
			return a.all[1], true, nil
		}
	case "containsKey":
		return had, true, nil
	case "put":
		if n < 2 {
			return nil, false, nil
		}
		m.Set(k, a.all[1])
		return old, had, r.made(len(k) + 48)
	case "putIfAbsent":
		if n < 2 {
			return nil, false, nil
		}
		if !had {
			m.Set(k, a.all[1])
		}
		return old, had, r.made(len(k) + 48)
	case "remove":
		m.Delete(k)
		r.steps += m.Len() // what follows moves
		return old, had, nil
	}
	return nil, false, nil
}
