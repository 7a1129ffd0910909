package awsapi

import (
	"fmt"
	"slices"
	"strings"
)

// patchOp is one step of a PATCH. Values are strings on this wire.
type patchOp struct {
	Op    string  `json:"op"`
	Path  *string `json:"path"`
	Value *string `json:"value"`
	From  string  `json:"from"`
}

// value is the step's value, empty where there is none.
func (p *patchOp) value() string {
	if p.Value == nil {
		return ""
	}
	return *p.Value
}

// path as it was sent; "null" without one, as the service prints it.
func (p *patchOp) path() string {
	if p.Path == nil {
		return "null"
	}
	return *p.Path
}

// patchRule is a path that can be patched. A segment of the pattern in braces is
// any text, which apply gets unescaped ("~1" is "/"); "{name...}" is several. A rule whose hidden is set is
// not among those that a refusal lists.
type patchRule struct {
	ops     string // of "add replace remove copy move test"
	pattern string
	hidden  bool
	apply   func(p *patchOp, args []string) error
}

var patchVerbs = []string{"add", "remove", "move", "test", "replace", "copy"}

// patches reads a PATCH's body and checks what the service model says of it.
func (c *call) patches() ([]patchOp, error) {
	var in struct {
		PatchOperations []patchOp `json:"patchOperations"`
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	var bad []constraint
	for i, p := range in.PatchOperations {
		known := false
		for _, v := range patchVerbs {
			known = known || v == p.Op
		}
		if !known {
			bad = append(bad, constraint{p.Op, c.input(fmt.Sprintf("patchOperations.%d.member.op", i+1)), oneOf(patchVerbs...)})
		}
	}
	if len(bad) > 0 {
		return nil, invalid(bad...)
	}
	const most = 1000
	if len(in.PatchOperations) > most {
		return nil, badRequest("a PATCH has at most %d operations, not %d", most, len(in.PatchOperations))
	}
	return in.PatchOperations, nil
}

// patch applies the steps in order. What they change is only kept if all succeed,
// which is for the caller: apply works on a copy or within one transaction.
func patch(steps []patchOp, rules []patchRule) error {
	for i := range steps {
		p := &steps[i]
		rule, args := match(p, rules)
		if rule == nil {
			return unknownPath(p, rules)
		}
		if err := rule.apply(p, args); err != nil {
			return err
		}
	}
	return nil
}

// match finds the rule for a step's path and op; nil: there is none.
func match(p *patchOp, rules []patchRule) (*patchRule, []string) {
	for i := range rules {
		if args, ok := rules[i].args(p.path()); ok && strings.Contains(rules[i].ops, p.Op) {
			return &rules[i], args
		}
	}
	return nil, nil
}

var unescapePatch = strings.NewReplacer("~1", "/", "~0", "~")

func (r *patchRule) args(path string) ([]string, bool) {
	want, have := strings.Split(r.pattern, "/"), strings.Split(path, "/")
	for i, w := range want { // one may take up several, for paths that come unescaped
		if extra := len(have) - len(want); strings.HasSuffix(w, "...}") && extra >= 0 && len(have) > i+extra {
			have = slices.Concat(have[:i], []string{strings.Join(have[i:i+extra+1], "/")}, have[i+extra+1:])
		}
	}
	if len(want) != len(have) {
		return nil, false
	}
	var args []string
	for i, w := range want {
		if strings.HasPrefix(w, "{") {
			args = append(args, unescapePatch.Replace(have[i]))
		} else if w != have[i] {
			return nil, false
		}
	}
	return args, true
}

// unknownPath is the service's usual refusal of a step that no rule takes.
func unknownPath(p *patchOp, rules []patchRule) error {
	var listed []string
	for _, r := range rules {
		if _, ok := r.args(p.path()); ok {
			return badRequest("Invalid patch path  '%s' specified for op '%s'. Please choose supported operations", p.path(), p.Op)
		}
		if !r.hidden {
			listed = append(listed, r.pattern)
		}
	}
	return badRequest("Invalid patch path  '%s' specified for op '%s'. Must be one of: [%s]", p.path(), p.Op, strings.Join(listed, ", "))
}

// setText is a patch of a text.
func setText(to *string) func(*patchOp, []string) error {
	return func(p *patchOp, _ []string) error { *to = p.value(); return nil }
}
