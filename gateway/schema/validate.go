package schema

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// run is the validation of one body.
type run struct {
	*doc
	budget   int // negative: given up, and no answer counts
	depth    int
	hashes   []uint64
	messages messages
	failed   bool // a message that is not a warning
}

// maxFrames bounds the stack: a value may be nested maxBodyDepth deep, and at each
// level be looked at by up to maxInPlace schemas inside each other.
const maxFrames = 20_000

func (v *run) spend(n int) bool {
	v.budget -= n
	return v.budget >= 0
}

// valid tells whether a value fits a schema, as cheaply as possible.
func (v *run) valid(s *schema, i uint32) bool {
	x := &v.tape[i]
	if !v.spend(1) || !v.enter() {
		return false
	}
	defer v.leave()
	if s.types != 0 && s.types&(1<<x.kind) == 0 || s.enum != nil && !v.inEnum(s, i) {
		return false
	}
	ok := true
	switch x.kind {
	case stringKind:
		ok = v.validString(s, i)
	case integerKind, numberKind:
		ok = v.validNumber(s, i)
	case arrayKind:
		ok = v.validArray(s, i)
	case objectKind:
		ok = v.validObject(s, i)
	}
	if !ok {
		return false
	}
	for _, sub := range s.allOf {
		if !v.valid(sub, i) {
			return false
		}
	}
	return (s.anyOf == nil || v.matches(s.anyOf, i, 1) > 0) &&
		(s.oneOf == nil || v.matches(s.oneOf, i, 2) == 1) &&
		(s.not == nil || !v.valid(s.not, i))
}

func (v *run) enter() bool {
	v.depth++
	if v.depth > maxFrames {
		v.budget = -1
		v.depth--
		return false
	}
	return true
}

func (v *run) leave() { v.depth-- }

// matches counts the schemas a value fits, up to enough.
func (v *run) matches(list []*schema, i uint32, enough int) (n int) {
	for _, sub := range list {
		if v.budget < 0 {
			return 0
		}
		if v.valid(sub, i) {
			if n++; n == enough {
				break
			}
		}
	}
	return n
}

func (v *run) inEnum(s *schema, i uint32) bool {
	e := &s.enum.src.doc
	found := false
	e.elements(s.enum.at, func(_ int, j uint32) bool {
		found = equal(v.doc, i, e, j)
		return !found && v.spend(1)
	})
	return found
}

func (v *run) matchesPattern(p *pattern, text []byte) bool {
	return v.spend(len(text)*p.size/16) && p.Match(text)
}

func (v *run) validString(s *schema, i uint32) bool {
	text := v.text(i)
	if s.minLength > 0 || s.maxLength != nil {
		n := utf8.RuneCount(text)
		if n < s.minLength || s.maxLength != nil && n > *s.maxLength {
			return false
		}
	}
	return (s.pattern == nil || v.matchesPattern(s.pattern, text)) && v.wrongFormat(s, text) == ""
}

// wrongFormat is the message of a string that is not of its format.
func (v *run) wrongFormat(s *schema, text []byte) string {
	if s.format == nil || !v.spend(len(text)/2) {
		return ""
	}
	return s.format(string(text))
}

func (v *run) validNumber(s *schema, i uint32) bool {
	text := v.text(i)
	if b := s.minimum; b != nil {
		if c := compareNumbers(text, b.number); c < 0 || c == 0 && b.exclusive {
			return false
		}
	}
	if b := s.maximum; b != nil {
		if c := compareNumbers(text, b.number); c > 0 || c == 0 && b.exclusive {
			return false
		}
	}
	return s.multipleOf == nil || v.multiple(text, s.multipleOf)
}

func (v *run) multiple(text []byte, b *bound) bool {
	return v.spend(len(text)+len(b.number)) && multiple(text, b.number)
}

func (v *run) validArray(s *schema, i uint32) bool {
	n := int(v.tape[i].end)
	if n < s.minItems || s.maxItems != nil && n > *s.maxItems || s.tooManyItems(n) || s.unique && v.repeated(i) {
		return false
	}
	if s.items == nil && !s.isTuple && s.additionalItems == nil {
		return true
	}
	return v.elements(i, func(n int, x uint32) bool {
		sub := s.element(n)
		return sub == nil || v.valid(sub, x)
	})
}

// tooManyItems: additionalItems false means something beside a list of items only.
func (s *schema) tooManyItems(n int) bool { return s.isTuple && s.noMoreItems && n > len(s.tuple) }

// element is the schema of an array's nth element. Without items, additionalItems
// holds for all, as in the library the service validates with.
func (s *schema) element(n int) *schema {
	switch {
	case s.items != nil:
		return s.items
	case n < len(s.tuple):
		return s.tuple[n]
	}
	return s.additionalItems
}

// repeated tells whether an array holds a value twice. Linear: values are compared
// by a hash whose seed no client knows, and truly only if hashes are equal.
func (v *run) repeated(i uint32) bool {
	n := int(v.tape[i].end)
	if n <= 8 {
		return !v.elements(i, func(_ int, x uint32) bool {
			for y := i + 1; y < x; y = v.tape[y].next {
				if equal(v.doc, x, v.doc, y) {
					return false
				}
			}
			return true
		})
	}
	if v.hashes == nil {
		v.hashes = make([]uint64, len(v.tape))
	}
	if !v.spend(n) {
		return true
	}
	seen := make(map[uint64]uint32, n)
	return !v.elements(i, func(_ int, x uint32) bool {
		h := v.hash(x, v.hashes)
		for {
			y, ok := seen[h]
			if !ok {
				seen[h] = x
				return true
			}
			if equal(v.doc, x, v.doc, y) {
				return false
			}
			h++ // unequal values of one hash: the next place, as in a table
		}
	})
}

func (v *run) validObject(s *schema, i uint32) bool {
	n := int(v.tape[i].end)
	if n < s.minProperties || s.maxProperties != nil && n > *s.maxProperties || n < len(s.required) {
		return false
	}
	if s.members != nil || s.patternProperties != nil || s.additional != nil || s.closed {
		required := 0
		ok := v.doc.members(i, func(name uint32) bool {
			if !v.spend(1) {
				return false
			}
			m := s.members[string(v.text(name))]
			if m.required {
				required++
			}
			known := m.schema != nil
			if known && !v.valid(m.schema, name+1) {
				return false
			}
			for _, p := range s.patternProperties {
				if v.matchesPattern(p.pattern, v.text(name)) {
					known = true
					if !v.valid(p.schema, name+1) {
						return false
					}
				}
			}
			if known || s.additional == nil {
				return known || !s.closed
			}
			return v.valid(s.additional, name+1)
		})
		if !ok || required < len(s.required) {
			return false
		}
	}
	for _, d := range s.dependencies {
		if !v.has(i, d.name) {
			continue
		}
		if d.schema != nil && !v.valid(d.schema, i) {
			return false
		}
		for _, name := range d.names {
			if !v.has(i, name) {
				return false
			}
		}
	}
	return true
}

func (v *run) has(object uint32, name string) bool {
	if !v.spend(int(v.tape[object].end) / 4) {
		return false
	}
	_, ok := v.find(object, name)
	return ok
}

// report looks at a value as the library does that the service validates with, and
// collects its messages: first every keyword of the schema, in the alphabet's order,
// then, only if nothing has failed so far anywhere, the elements and members. Schemas
// under allOf, anyOf, oneOf and not leave no messages of their own.
func (v *run) report(s *schema, i uint32) {
	if !v.spend(1) || v.messages.full() || !v.enter() {
		return
	}
	defer v.leave()
	if s.formatName != "" && s.format == nil {
		// A warning: it is listed, but fails nothing.
		v.messages.add(`format attribute "` + s.formatName + `" not supported`)
	}
	x := &v.tape[i]
	object, array := x.kind == objectKind, x.kind == arrayKind
	number, text := x.kind == integerKind || x.kind == numberKind, x.kind == stringKind
	size := strconv.Itoa(int(x.end))

	if array && s.tooManyItems(int(x.end)) {
		v.fail("schema only allows ", strconv.Itoa(len(s.tuple)), " elements in array but instance has ", size, " elements")
	}
	if object && s.closed {
		if extra := v.extra(s, i); len(extra) > 0 {
			v.fail("object instance has properties which are not allowed by the schema: ", v.list(extra))
		}
	}
	if s.allOf != nil {
		if n := v.matches(s.allOf, i, len(s.allOf)); n < len(s.allOf) {
			v.fail("instance failed to match all required schemas (matched only ", strconv.Itoa(n), " out of ", strconv.Itoa(len(s.allOf)), ")")
		}
	}
	if s.anyOf != nil && v.matches(s.anyOf, i, 1) == 0 {
		v.fail("instance failed to match at least one required schema among ", strconv.Itoa(len(s.anyOf)))
	}
	if object {
		v.reportDependencies(s, i)
	}
	if s.enum != nil && !v.inEnum(s, i) {
		v.fail("instance value (", string(v.appendJSON(nil, i, maxMessage)), ") not found in enum (possible values: ", s.enumText, ")")
	}
	if array && s.maxItems != nil && int(x.end) > *s.maxItems {
		v.fail("array is too long: must have at most ", strconv.Itoa(*s.maxItems), " elements but instance has ", size, " elements")
	}
	if text && s.maxLength != nil {
		if n := utf8.RuneCount(v.text(i)); n > *s.maxLength {
			v.fail(`string "`, v.cut(i), `" is too long (length: `, strconv.Itoa(n), ", maximum allowed: ", strconv.Itoa(*s.maxLength), ")")
		}
	}
	if object && s.maxProperties != nil && int(x.end) > *s.maxProperties {
		v.fail("object has too many properties (found ", size, " but schema requires at most ", strconv.Itoa(*s.maxProperties), ")")
	}
	if number && s.maximum != nil {
		if c := compareNumbers(v.text(i), s.maximum.number); c > 0 {
			v.fail("numeric instance is greater than the required maximum (maximum: ", s.maximum.text, ", found: ", v.number(i), ")")
		} else if c == 0 && s.maximum.exclusive {
			v.fail("numeric instance is not strictly lower than the required maximum ", s.maximum.text)
		}
	}
	if array && int(x.end) < s.minItems {
		v.fail("array is too short: must have at least ", strconv.Itoa(s.minItems), " elements but instance has ", size, " elements")
	}
	if text && s.minLength > 0 {
		if n := utf8.RuneCount(v.text(i)); n < s.minLength {
			v.fail(`string "`, v.cut(i), `" is too short (length: `, strconv.Itoa(n), ", required minimum: ", strconv.Itoa(s.minLength), ")")
		}
	}
	if object && int(x.end) < s.minProperties {
		v.fail("object has too few properties (found ", size, " but schema requires at least ", strconv.Itoa(s.minProperties), ")")
	}
	if number && s.minimum != nil {
		if c := compareNumbers(v.text(i), s.minimum.number); c < 0 {
			v.fail("numeric instance is lower than the required minimum (minimum: ", s.minimum.text, ", found: ", v.number(i), ")")
		} else if c == 0 && s.minimum.exclusive {
			v.fail("numeric instance is not strictly greater than the required minimum ", s.minimum.text)
		}
	}
	if number && s.multipleOf != nil && !v.multiple(v.text(i), s.multipleOf) {
		v.fail("remainder of division is not zero (", v.number(i), " / ", s.multipleOf.text, ")")
	}
	if s.not != nil && v.valid(s.not, i) {
		v.fail("instance matched a schema which it should not have")
	}
	if s.oneOf != nil {
		if n := v.matches(s.oneOf, i, len(s.oneOf)+1); n != 1 {
			v.fail("instance failed to match exactly one schema (matched ", strconv.Itoa(n), " out of ", strconv.Itoa(len(s.oneOf)), ")")
		}
	}
	if text && s.pattern != nil && !v.matchesPattern(s.pattern, v.text(i)) {
		v.fail(`ECMA 262 regex "`, s.pattern.text, `" does not match input string "`, v.cut(i), `"`)
	}
	if object && s.required != nil {
		if missing := v.missing(s, i); len(missing) > 0 {
			v.fail("object has missing required properties (", v.list(missing), ")")
		}
	}
	if s.types != 0 && s.types&(1<<x.kind) == 0 {
		v.fail("instance type (", x.kind.String(), ") does not match any allowed primitive type (allowed: ", s.typesText, ")")
	}
	if array && s.unique && v.repeated(i) {
		v.fail("array must not contain duplicate elements")
	}
	if text {
		if m := v.wrongFormat(s, v.text(i)); m != "" {
			v.fail(m)
		}
	}
	switch {
	case v.failed:
	case array:
		v.elements(i, func(n int, e uint32) bool {
			if sub := s.element(n); sub != nil {
				v.report(sub, e)
			}
			return v.budget >= 0 && !v.messages.full()
		})
	case object:
		v.reportMembers(s, i)
	}
}

func (v *run) reportMembers(s *schema, i uint32) {
	if s.members == nil && s.patternProperties == nil && s.additional == nil {
		return
	}
	for _, name := range v.names(i) {
		if v.budget < 0 || v.messages.full() {
			return
		}
		m := s.members[string(v.text(name))]
		known := m.schema != nil
		if known {
			v.report(m.schema, name+1)
		}
		for _, p := range s.patternProperties {
			if v.matchesPattern(p.pattern, v.text(name)) {
				known = true
				v.report(p.schema, name+1)
			}
		}
		if !known && s.additional != nil {
			v.report(s.additional, name+1)
		}
	}
}

func (v *run) reportDependencies(s *schema, i uint32) {
	for _, d := range s.dependencies {
		if !v.has(i, d.name) {
			continue
		}
		if d.schema != nil {
			v.report(d.schema, i)
			continue
		}
		var missing []string
		for _, name := range d.names {
			if !v.has(i, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			v.fail(`property "`, d.name, `" of object has missing property dependencies (schema requires `, v.list(d.names), "; missing: ", v.list(missing), ")")
		}
	}
}

// extra lists the members a closed object has no place for, sorted.
func (v *run) extra(s *schema, i uint32) (out []string) {
	v.doc.members(i, func(name uint32) bool {
		text := v.text(name)
		known := s.members[string(text)].schema != nil
		for _, p := range s.patternProperties {
			known = known || v.matchesPattern(p.pattern, text)
		}
		if !known {
			out = append(out, string(text))
		}
		return v.spend(1)
	})
	slices.Sort(out)
	return out
}

// missing lists the required members an object has not, sorted.
func (v *run) missing(s *schema, i uint32) (out []string) {
	there := map[string]bool{}
	v.doc.members(i, func(name uint32) bool {
		if s.members[string(v.text(name))].required {
			there[string(v.text(name))] = true
		}
		return v.spend(1)
	})
	for _, name := range s.required {
		if !there[name] {
			out = append(out, name)
		}
	}
	return out
}

// list prints names as a JSON array.
func (v *run) list(names []string) string {
	b := []byte{'['}
	for n, name := range names {
		if n > 0 {
			b = append(b, ',')
		}
		if b = appendQuoted(b, []byte(name), maxMessage); len(b) > maxMessage {
			break
		}
	}
	return string(append(b, ']'))
}

func (v *run) number(i uint32) string {
	return string(appendNumber(nil, v.text(i), v.tape[i].kind))
}

// cut is a string's text, as far as a message can hold it.
func (v *run) cut(i uint32) string {
	text := v.text(i)
	return string(text[:min(len(text), maxMessage)])
}

func (v *run) fail(parts ...string) {
	v.failed = true
	if v.budget < 0 || v.messages.full() {
		return
	}
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := make([]byte, 0, n)
	for _, p := range parts {
		b = append(b, p...)
	}
	v.messages.add(string(b))
}
