// Package schema checks request bodies against models as Amazon API Gateway does:
// JSON Schema draft 4, with the service's messages. It does no I/O; references are
// followed inside a model and between models, never fetched.
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

// budget is how many steps a body of n bytes may take; a step is a few dozen
// nanoseconds. A model would have to look at every byte four times to use it up.
func budget(n int) int { return 1_000_000 + 4*n }
