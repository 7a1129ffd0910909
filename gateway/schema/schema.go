// Package schema checks request bodies against models as Amazon API Gateway does:
// JSON Schema draft 4, with the service's messages. It does no I/O; references are
// followed inside a model and between models, never fetched.
//
// The service validates with the Java library json-schema-validator (java-json-tools),
// so that library's public behaviour is what is followed here: the texts of its message
// bundle, which keywords are looked at after a failure (see run.report), its checks of
// "format" and the warnings it lists for formats it does not know. How the messages are
// put together was found from answers of the service quoted in public (see messages).
// Not verified against the service, and so a guess from the library: numbers like 10.0
// (printed as 1E+1), the order of more than eleven messages, and of several missing
// parameters. Ours alone: the limits in Compile and Validate, RE2 for patterns.
// Keywords that draft 4 does not know mean nothing; refusing them is the control API's.
//
// Why not a library: github.com/santhosh-tekuri/jsonschema v6.0.3 is good and passes
// the same suite, but its errors cannot be turned into these messages (it goes on where
// the service stops and keeps no values), so a second walk over model and body would be
// needed anyway. A body of 1 KB against a model of ten properties, on one core:
//
//	here                     3.8 µs    0 allocations (a failure with its message 6.9 µs, 25)
//	jsonschema v6, valid    29.1 µs  163 allocations, 11 KB
//
// It would also add 1.6 MB (with golang.org/x/text/message) to the gateway's program,
// and bounds neither how often a model may look at one value nor the work of patterns.
// Of the draft-4 suite's 937 cases 925 pass, all required ones among them; the test
// lists the other twelve with the reason.
package schema

import (
	"errors"
	"sync"
)

// Schema is a compiled model. It may be used by many goroutines.
type Schema struct {
	root *schema
}

// schema is one compiled schema object; a zero field is a keyword that is not there.
type schema struct {
	types     uint8 // bits by kind
	typesText string

	enum     *place
	enumText string

	format     format
	formatName string

	minimum, maximum, multipleOf *bound

	minLength int
	maxLength *int
	pattern   *pattern

	items           *schema
	tuple           []*schema
	isTuple         bool
	additionalItems *schema
	noMoreItems     bool
	minItems        int
	maxItems        *int
	unique          bool

	members           map[string]member // properties and required, by name
	patternProperties []patternProperty
	additional        *schema
	closed            bool
	required          []string
	minProperties     int
	maxProperties     *int
	dependencies      []dependency

	allOf, anyOf, oneOf []*schema
	not                 *schema
}

type bound struct {
	number    []byte
	text      string // as messages have it
	exclusive bool
}

type member struct {
	schema   *schema // nil: required only
	required bool
}

type patternProperty struct {
	*pattern
	schema *schema
}

type dependency struct {
	name   string
	names  []string // that must be there too, or
	schema *schema  // what the object must match then
}

func (s *schema) put(name string, m member) {
	if s.members == nil {
		s.members = map[string]member{}
	}
	s.members[name] = m
}

// each calls f for every schema directly inside s; inPlace ones look at the same value.
func (s *schema) each(f func(sub **schema, inPlace bool)) {
	one := func(sub **schema, inPlace bool) {
		if *sub != nil {
			f(sub, inPlace)
		}
	}
	one(&s.items, false)
	one(&s.additionalItems, false)
	one(&s.additional, false)
	one(&s.not, true)
	for i := range s.tuple {
		one(&s.tuple[i], false)
	}
	for name, m := range s.members {
		one(&m.schema, false)
		s.members[name] = m
	}
	for i := range s.patternProperties {
		one(&s.patternProperties[i].schema, false)
	}
	for i := range s.dependencies {
		one(&s.dependencies[i].schema, true)
	}
	for _, list := range [][]*schema{s.allOf, s.anyOf, s.oneOf} {
		for i := range list {
			one(&list[i], true)
		}
	}
}

// MaxBody is the largest body Validate takes: the service's payload limit.
const MaxBody = 10 << 20

// Failure is a body that does not fit its model.
type Failure struct {
	// Message is what the client is told.
	Message string
	// Detail is $context.error.validationErrorString as plain text; where it goes into
	// a JSON template it must be escaped as a string's content is.
	Detail string
}

func (f *Failure) Error() string { return f.Message + ": " + f.Detail }

const (
	invalidBody = "Invalid request body"
	// unreadable is what the service says of a body that is not JSON, and of none.
	unreadable = "[Unknown error parsing request body]"
)

var (
	// ErrTooLarge is a body of more than MaxBody bytes.
	ErrTooLarge = errors.New("the request body is too large to be validated")
	// ErrTooCostly is a body and model that together would take too long. The service
	// answers 500 where its own validation gives up, and so should a gateway.
	ErrTooCostly = errors.New("validating the request body takes too long: the model looks at the same values too often")
)

// docs are reused: a body of usual size is then parsed without allocation.
var docs = sync.Pool{New: func() any { return new(doc) }}

// Validate checks a request body. The error is nil, a *Failure, ErrTooLarge or
// ErrTooCostly; a body that is not known to fit is never passed.
func (s *Schema) Validate(body []byte) error {
	if len(body) > MaxBody {
		return ErrTooLarge
	}
	d := docs.Get().(*doc)
	defer func() {
		d.src = nil
		const keep = 1 << 14 // values; more is left to the garbage collector
		if cap(d.tape) <= keep && cap(d.esc) <= 16*keep && cap(d.table) <= keep {
			docs.Put(d)
		}
	}()
	if err := d.parse(body, maxBodyDepth); err != nil {
		return &Failure{invalidBody, unreadable}
	}
	v := run{doc: d, budget: budget(len(body))}
	if ok := v.valid(s.root, 0); v.budget < 0 {
		return ErrTooCostly
	} else if ok {
		return nil
	}
	// Only a failure is looked at in the service's order, for its messages.
	v.budget = budget(len(body))
	v.report(s.root, 0)
	if v.budget < 0 {
		return ErrTooCostly
	}
	return &Failure{invalidBody, v.messages.String()}
}

// budget is how many steps a body of n bytes may take. A step is about 10 ns, but up to
// 300 where a pattern that can be in many states at once runs over a long string: a
// body of 1 KB is done or given up within half a second, one of 10 MB, at the very
// worst, within fifteen.
func budget(n int) int { return 4_000_000 + 4*n }
