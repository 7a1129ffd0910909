package policy

import (
	"fmt"
	"strings"
)

// Kind is where a document is from, which decides what it must and must not have.
type Kind uint8

const (
	Resource   Kind = iota // of an API: has principals, may use short resource names
	Identity               // of an access key
	Authorizer             // of a Lambda authorizer's answer: resources have at most 512 characters
)

const (
	// MaxAuthorizerResource is how many characters a resource of an authorizer's policy has.
	MaxAuthorizerResource = 512
	version               = "2012-10-17"
	versionOld            = "2008-10-17" // knows no variables
)

// Parse compiles a document. api is the ARN of the API that a resource policy is of,
// arn:aws:execute-api:{region}:{account}:{api}, in front of short names such as
// execute-api:/stage/GET/path. Errors name the place and are for the document's author.
func Parse(document []byte, kind Kind, api string) (*Policy, error) {
	n, err := readJSON(document)
	if err != nil {
		return nil, err
	}
	c := &compiler{kind: kind, api: api, at: "the policy"}
	if n.kind != object {
		return nil, c.errorf("must be an object with a Statement")
	}
	var statements []node
	var where []string
	for i := range n.members {
		m := &n.members[i]
		c.at = m.name
		switch m.name {
		case "Version":
			if m.kind != scalar || m.text != version && m.text != versionOld {
				return nil, c.errorf("must be %q or %q", version, versionOld)
			}
			c.variables = m.text == version
		case "Id":
			if m.kind != scalar {
				return nil, c.errorf("must be a text")
			}
		case "Statement":
			switch m.kind {
			case array:
				statements = m.items
				for i := range m.items {
					where = append(where, fmt.Sprintf("Statement[%d]", i))
				}
			case object:
				statements, where = []node{m.node}, []string{"Statement"}
			default:
				return nil, c.errorf("must be an object or a list of objects")
			}
		default:
			return nil, c.errorf("is no element of a policy")
		}
	}
	if len(statements) == 0 {
		c.at = "Statement"
		return nil, c.errorf("is missing: a policy needs at least one")
	}
	p := &Policy{statements: make([]statement, len(statements))}
	for i := range statements {
		c.at = where[i]
		if err := c.statement(&statements[i], &p.statements[i]); err != nil {
			return nil, err
		}
	}
	p.keys = c.keys
	return p, nil
}

// compiler is the state of compiling one document.
type compiler struct {
	kind      Kind
	api       string
	variables bool
	keys      uint16
	at        string // the place, for errors
}

func (c *compiler) errorf(format string, a ...any) error {
	return fmt.Errorf("%s "+format, append([]any{c.at}, a...)...)
}

// in is where's error place for the time of do.
func (c *compiler) in(where string, do func() error) error {
	was := c.at
	c.at = was + "." + where
	defer func() { c.at = was }()
	return do()
}

func (c *compiler) statement(n *node, s *statement) error {
	if n.kind != object {
		return c.errorf("must be an object")
	}
	has := map[string]bool{}
	for i := range n.members {
		m := &n.members[i]
		has[m.name] = true
		if err := c.in(m.name, func() error { return c.element(m, s) }); err != nil {
			return err
		}
	}
	one := func(a, b string) error {
		switch {
		case has[a] && has[b]:
			return c.errorf("has both %s and %s", a, b)
		case !has[a] && !has[b]:
			return c.errorf("has no %s", a)
		}
		return nil
	}
	if !has["Effect"] {
		return c.errorf("has no Effect")
	}
	if err := one("Action", "NotAction"); err != nil {
		return err
	}
	if err := one("Resource", "NotResource"); err != nil {
		return err
	}
	if c.kind == Resource {
		if err := one("Principal", "NotPrincipal"); err != nil {
			return err
		}
		return c.concerns(s)
	}
	if s.principal != nil {
		return c.errorf("has a principal: whoever it comes with is the principal")
	}
	return nil
}

// element compiles one element of a statement.
func (c *compiler) element(m *member, s *statement) (err error) {
	switch m.name {
	case "Sid":
		if m.kind != scalar {
			return c.errorf("must be a text")
		}
		s.sid = m.text
	case "Effect":
		switch {
		case m.kind == scalar && m.text == "Allow":
		case m.kind == scalar && m.text == "Deny":
			s.deny = true
		default:
			return c.errorf("must be \"Allow\" or \"Deny\"")
		}
	case "Principal", "NotPrincipal":
		s.principal, err = c.principals(&m.node, m.name == "NotPrincipal")
	case "Action", "NotAction":
		s.notAction = m.name == "NotAction"
		s.actions, err = c.texts(&m.node, c.action)
	case "Resource", "NotResource":
		s.notResource = m.name == "NotResource"
		s.resources, err = c.texts(&m.node, c.resource)
	case "Condition":
		s.conditions, err = c.conditions(&m.node)
	default:
		return c.errorf("is no element of a statement")
	}
	return err
}

// concerns refuses a statement all of whose resources are another API's, such as the
// one that the document was exported from: its denials would silently be none.
func (c *compiler) concerns(s *statement) error {
	for i := range s.resources {
		if s.resources[i].mayConcern(c.api) {
			return nil
		}
	}
	name := "Resource"
	if s.notResource {
		name = "NotResource"
	}
	return c.errorf("names in its %s nothing of this API, which is %s: write execute-api:/stage/VERB/path, which is this API wherever it runs", name, c.api)
}

// list is a text or a list of texts.
func (c *compiler) list(n *node) ([]string, error) {
	if n.kind == scalar {
		return []string{n.text}, nil
	}
	if n.kind != array || len(n.items) == 0 {
		return nil, c.errorf("must be a text or a list of texts")
	}
	out := make([]string, len(n.items))
	for i := range n.items {
		if n.items[i].kind != scalar {
			return nil, c.errorf("must be a text or a list of texts")
		}
		out[i] = n.items[i].text
	}
	return out, nil
}

func (c *compiler) texts(n *node, compile func(string) (text, error)) ([]text, error) {
	values, err := c.list(n)
	if err != nil {
		return nil, err
	}
	out := make([]text, len(values))
	for i, v := range values {
		if out[i], err = compile(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) action(v string) (text, error) {
	service, name, ok := strings.Cut(v, ":")
	if v != "*" && (!ok || service == "" || name == "") {
		return text{}, c.errorf("has the action %q, which is not of the form service:action", v)
	}
	return c.newText(strings.ToLower(v), true, false)
}

func (c *compiler) resource(v string) (text, error) {
	if c.kind == Authorizer && len(v) > MaxAuthorizerResource {
		return text{}, c.errorf("has %d characters; at most %d are taken", len(v), MaxAuthorizerResource)
	}
	if short, ok := strings.CutPrefix(v, "execute-api:/"); ok && c.kind == Resource {
		v = c.api + "/" + short
	}
	if v == "*" {
		return c.newText(v, true, false)
	}
	if !strings.HasPrefix(v, "arn:") {
		return text{}, c.errorf("has the resource %q, which is neither an ARN nor \"*\"", v)
	}
	// IAM completes a shorter ARN with wildcards.
	for n := strings.Count(v, ":"); n < 5; n++ {
		v += ":*"
	}
	return c.newText(v, true, c.variables)
}
