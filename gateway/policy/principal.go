package policy

import "strings"

// principals are those a statement names, or with not those it leaves out.
type principals struct {
	not      bool
	everyone bool
	accounts []string // every principal of them
	exact    []string // ARNs and unique ids
}

func (s *principals) match(p *Principal) bool {
	return s.has(p) != s.not
}

func (s *principals) has(p *Principal) bool {
	if s.everyone {
		return true
	}
	if p == nil {
		return false
	}
	for _, a := range s.accounts {
		if a == p.Account {
			return true
		}
	}
	for _, a := range s.exact {
		if a == p.ARN || a == p.UserID {
			return true
		}
	}
	return false
}

// principals compiles a Principal or NotPrincipal element.
func (c *compiler) principals(n *node, not bool) (*principals, error) {
	out := &principals{not: not}
	if n.kind == scalar {
		if n.text != "*" {
			return nil, c.errorf("must be \"*\" or an object such as {\"AWS\": …}")
		}
		out.everyone = true
		return out, nil
	}
	if n.kind != object || len(n.members) == 0 {
		return nil, c.errorf("must be \"*\" or an object such as {\"AWS\": …}")
	}
	for _, m := range n.members {
		values, err := c.list(&m.node)
		if err != nil {
			return nil, err
		}
		switch m.name {
		case "AWS":
		case "Service", "Federated", "CanonicalUser":
			continue // none of those calls an API here: they match nobody
		default:
			return nil, c.errorf("has an unknown type of principal %q", m.name)
		}
		for _, v := range values {
			if err := out.add(c, v); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (s *principals) add(c *compiler, v string) error {
	if v == "*" {
		s.everyone = true
		return nil
	}
	if isAccount(v) {
		s.accounts = append(s.accounts, v)
		return nil
	}
	if strings.ContainsAny(v, "*?") {
		return c.errorf("names the principal %q: but for \"*\" alone no wildcards are taken in it", v)
	}
	f := strings.SplitN(v, ":", 6)
	switch {
	case len(f) == 6 && f[0] == "arn" && (f[2] == "iam" || f[2] == "sts") && f[3] == "" && isAccount(f[4]):
		if f[2] == "iam" && f[5] == "root" {
			s.accounts = append(s.accounts, f[4])
		} else {
			s.exact = append(s.exact, v)
		}
	case isUniqueID(v):
		s.exact = append(s.exact, v)
	default:
		return c.errorf("names the principal %q, which is no account, ARN or unique id", v)
	}
	return nil
}

// isUniqueID knows IAM's, such as AIDA…, and those of members here.
func isUniqueID(v string) bool {
	if len(v) < 10 || len(v) > 128 {
		return false
	}
	for i := range len(v) {
		if c := lower(v[i]); (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func isAccount(v string) bool {
	if len(v) != 12 {
		return false
	}
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return true
}
