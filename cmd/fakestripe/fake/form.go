package fake

import (
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// Bounds of a request's parameters. Stripe's own are higher or unknown; 250 lines with every
// field are about 5,000 pairs.
const (
	maxBody  = 2 << 20 // bytes
	maxPairs = 10_000
	maxDepth = 8
	maxKey   = 500 // bytes
)

// node is one level of the parameters: a value, or named children.
type node struct {
	value string
	kids  map[string]*node
	// order holds the names of kids as they came: lists without indexes (a[]=1&a[]=2) and
	// error messages follow it.
	order []string
}

func (n *node) kid(name string) *node {
	if n.kids == nil {
		n.kids = map[string]*node{}
	}
	k := n.kids[name]
	if k == nil {
		k = &node{}
		n.kids[name] = k
		n.order = append(n.order, name)
	}
	return k
}

// parseForm reads Stripe's form encoding: lines[0][amount]=5, expand[]=customer,
// created[gte]=1. A key that comes twice holds what came last.
func parseForm(raw string) (*node, *apiError) {
	root := &node{}
	pairs := 0
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if pairs++; pairs > maxPairs {
			return nil, invalid("", "", "Too many parameters: at most %d are taken.", maxPairs)
		}
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(rawKey)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil {
			return nil, invalid("", "", "Invalid form encoding near %q.", rawKey[:min(len(rawKey), 40)])
		}
		parts, ok := splitKey(key)
		if !ok {
			return nil, invalid("", key, "Invalid parameter name: %q.", key[:min(len(key), 80)])
		}
		at := root
		for i, p := range parts {
			if p == "" && i > 0 {
				// A list without indexes: the same place again only while a field of
				// it has not been set yet is Stripe's rule for hashes; here each is new.
				p = "#" + strconv.Itoa(len(at.order))
			}
			at = at.kid(p)
		}
		at.value = value
	}
	return root, nil
}

// splitKey turns a[b][] into a, b, "".
func splitKey(key string) ([]string, bool) {
	if key == "" || len(key) > maxKey {
		return nil, false
	}
	name, rest, nested := strings.Cut(key, "[")
	if name == "" || strings.ContainsAny(name, "]") {
		return nil, false
	}
	parts := []string{name}
	for nested {
		var p, after string
		var ok bool
		if p, after, ok = strings.Cut(rest, "]"); !ok || strings.Contains(p, "[") {
			return nil, false
		}
		if parts = append(parts, p); len(parts) > maxDepth {
			return nil, false
		}
		if after == "" {
			return parts, true
		}
		if after[0] != '[' {
			return nil, false
		}
		rest = after[1:]
	}
	return parts, true
}

// items returns the children of a list in order: by index where there are indexes, else as
// they came. ok is false where a name is no index.
func (n *node) items() (names []string, ok bool) {
	index := func(s string) int {
		i, err := strconv.Atoi(strings.TrimPrefix(s, "#"))
		if err != nil || i < 0 {
			return -1
		}
		return i
	}
	names = append(names, n.order...)
	for _, s := range names {
		if index(s) < 0 {
			return nil, false
		}
	}
	sort.SliceStable(names, func(i, j int) bool { return index(names[i]) < index(names[j]) })
	return names, true
}

// canonical writes the parameters so that equal ones read equal, whatever their order.
func (n *node) canonical(b *strings.Builder, prefix string) {
	if len(n.kids) == 0 {
		b.WriteString(url.QueryEscape(prefix))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(n.value))
		b.WriteByte('&')
		return
	}
	names := append([]string(nil), n.order...)
	sort.Strings(names)
	for _, s := range names {
		n.kids[s].canonical(b, prefix+"["+s+"]")
	}
}
