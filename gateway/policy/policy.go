package policy

import (
	"fmt"
	"net/netip"
	"time"
)

// Decision is what a policy says about a request.
type Decision uint8

const (
	Silent Decision = iota // no statement applies, which denies unless another policy allows
	Allow
	Deny // explicitly: no other policy can allow it
)

func (d Decision) String() string {
	return [...]string{"silent", "allow", "deny"}[d]
}

// Request is what a policy is asked about. Keys of conditions that are empty are not
// in the request.
type Request struct {
	Action    string // such as execute-api:Invoke, in any case
	Resource  string // ARN
	Principal *Principal
	Now       time.Time
	SourceIP  netip.Addr
	Secure    bool // came by TLS
	UserAgent string
	Referer   string
	Other     map[string][]string // further keys, in lower case
}

// Principal is who makes a request; nil is anonymous.
type Principal struct {
	ARN     string // arn:aws:iam::123456789012:user/name
	Account string
	UserID  string // unique, such as AIDA…
	Name    string // aws:username
	Tags    map[string]string
}

// Policy is a compiled document: immutable, for any number of evaluations at a time.
type Policy struct {
	statements []statement
	keys       uint16 // bits of the condition keys that it reads
}

type statement struct {
	sid         string
	deny        bool
	principal   *principals // nil: not asked for
	actions     []text      // in lower case
	resources   []text
	conditions  []condition
	notAction   bool
	notResource bool
}

// maxSteps bounds what one evaluation may compare, in units of a few bytes: some
// milliseconds. A policy of MaxBytes that means well takes less than half of it.
const maxSteps = 1 << 18

// evaluation is the state of one.
type evaluation struct {
	r    *Request
	left int // of maxSteps
}

// Evaluate says what the policy makes of a request. It allocates nothing for policies
// without variables.
func (p *Policy) Evaluate(r *Request) Decision {
	d, _ := p.evaluate(r)
	return d
}

// Why is a Decision's reason in words, for those who run the API.
func (p *Policy) Why(r *Request) string {
	switch d, i := p.evaluate(r); {
	case i < 0 && d == Deny:
		return "evaluating the policy takes too long"
	case i < 0:
		return "no statement of the policy allows it"
	default:
		name := fmt.Sprintf("statement %d", i+1)
		if sid := p.statements[i].sid; sid != "" {
			name += fmt.Sprintf(" (%s)", sid)
		}
		return map[Decision]string{Allow: name + " of the policy allows it", Deny: name + " of the policy denies it"}[d]
	}
}

// evaluate says which statement, by its index, makes the decision; -1: none does.
func (p *Policy) evaluate(r *Request) (Decision, int) {
	e := evaluation{r: r, left: maxSteps}
	out, by := Silent, -1
	for i := range p.statements {
		s := &p.statements[i]
		if out == Allow && !s.deny {
			continue
		}
		applies := s.applies(&e)
		if e.left < 0 {
			return Deny, -1
		}
		if !applies {
			continue
		}
		if s.deny {
			return Deny, i
		}
		out, by = Allow, i
	}
	return out, by
}

// Reads says whether a condition or variable of the policy reads a key; what is costly
// to have need not be in requests otherwise. No policy reads nothing.
func (p *Policy) Reads(k Key) bool { return p != nil && p.keys&(1<<k) != 0 }

func (s *statement) applies(e *evaluation) bool {
	if s.principal != nil && !s.principal.match(e.r.Principal) {
		return false
	}
	if e.any(s.actions, e.r.Action, true) == s.notAction || e.any(s.resources, e.r.Resource, false) == s.notResource {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(e) {
			return false
		}
	}
	return true
}

// any says whether one of the patterns matches.
func (e *evaluation) any(patterns []text, s string, fold bool) bool {
	for i := 0; i < len(patterns) && e.left >= 0; i++ {
		if p, ok := patterns[i].expand(e); ok && e.glob(p, s, fold) {
			return true
		}
	}
	return false
}

// Combine is the table of how an API's resource policy and the caller's authorization
// make one decision. authorizer is the identity's policy with AWS_IAM, the answer's
// with a Lambda authorizer, and Silent where no policy comes with the caller: no
// authorization, user pools and JWTs, where the resource policy must allow explicitly.
// foreign callers are of another account than the API. Silent means denied here.
//
// An API without a resource policy is none of it: the authorizer alone decides then.
func Combine(authorizer, resource Decision, foreign bool) Decision {
	switch {
	case authorizer == Deny || resource == Deny:
		return Deny
	case authorizer == Allow && resource == Allow:
		return Allow
	case foreign:
		return Silent
	case authorizer == Allow || resource == Allow:
		return Allow
	}
	return Silent
}
