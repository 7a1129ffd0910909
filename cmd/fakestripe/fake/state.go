package fake

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// PlatformID is the account a call without a Stripe-Account header speaks for.
const PlatformID = "acct_fakeplatform0000"

// state is all that the fake remembers; it is saved as JSON.
type state struct {
	Seq      int64               `json:"seq"`    // makes ids
	Offset   time.Duration       `json:"offset"` // of the virtual clock, nanoseconds
	Accounts map[string]*account `json:"accounts"`
	Replies  map[string]*reply   `json:"replies"` // by account and idempotency key
	Jobs     []*job              `json:"jobs"`
}

// account holds one account's objects: nothing in it can be reached from another.
type account struct {
	ID      string            `json:"id"`
	Objects map[string]object `json:"objects"`
	// Order lists ids by type, oldest first.
	Order        map[string][]string `json:"order"`
	Disconnected bool                `json:"disconnected"` // by the tenant: the platform's key no longer reaches it
}

func newState() *state {
	st := &state{Accounts: map[string]*account{}, Replies: map[string]*reply{}}
	st.account(PlatformID)
	return st
}

// account returns an account's objects, empty ones where it has none yet.
func (st *state) account(id string) *account {
	a := st.Accounts[id]
	if a == nil {
		a = &account{ID: id, Objects: map[string]object{}, Order: map[string][]string{}}
		st.Accounts[id] = a
	}
	return a
}

// newID makes the next id with a prefix. The same calls in the same order make the same ids.
func (st *state) newID(prefix string) string {
	st.Seq++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(prefix), uint64(st.Seq)))
	return prefix + "_1Fake" + new(big.Int).SetBytes(sum[:14]).Text(62)
}

// add stores a new object under its id.
func (a *account) add(o object) {
	kind := str(o, "object")
	a.Objects[id(o)] = o
	a.Order[kind] = append(a.Order[kind], id(o))
}

// remove forgets an object.
func (a *account) remove(o object) {
	kind := str(o, "object")
	delete(a.Objects, id(o))
	a.Order[kind] = slices.DeleteFunc(a.Order[kind], func(s string) bool { return s == id(o) })
}

// get finds an object of a type.
func (a *account) get(kind, id string) object {
	if o := a.Objects[id]; o != nil && str(o, "object") == kind {
		return o
	}
	return nil
}

// all lists the objects of a type, newest first, that keep says yes to (nil: all).
func (a *account) all(kind string, keep func(object) bool) []object {
	var out []object
	for _, id := range slices.Backward(a.Order[kind]) {
		if o := a.Objects[id]; keep == nil || keep(o) {
			out = append(out, o)
		}
	}
	return out
}

// noun is how Stripe's messages call a type.
func noun(kind string) string {
	switch kind {
	case "payment_method":
		return "PaymentMethod"
	case "credit_note":
		return "credit note"
	case "setup_intent":
		return "setupintent"
	case "checkout.session":
		return "checkout session"
	case "billing.meter":
		return "meter"
	case "line_item":
		return "invoice line item"
	}
	return strings.ReplaceAll(kind, "_", " ")
}

// call is one request while it is answered, or one job while it runs. Whoever has it holds the
// server's lock.
type call struct {
	s       *Server
	st      *state
	acct    *account
	p       object              // the parameters
	id      func(string) string // of the path
	request string              // request id, "" in a job
	key     string              // idempotency key
}

func (c *call) now() int64 { return c.s.now().Unix() }

// create starts an object of a type with a new id; it is stored when it is whole, with add.
func (c *call) create(kind, prefix string) object {
	o := blank(kind)
	o["id"] = c.st.newID(prefix)
	o["created"] = c.now()
	return o
}

// find is the object an id names in this account; param says where the id came from ("" for
// the path).
func (c *call) find(kind, id, param string) (object, *apiError) {
	if o := c.acct.get(kind, id); o != nil {
		return o, nil
	}
	return nil, missing(noun(kind), id, param)
}

// setMetadata merges the parameter metadata into an object: an empty value removes its key, an
// empty parameter all.
func (c *call) setMetadata(o object) { mergeMetadata(o, c.p["metadata"]) }

func mergeMetadata(o object, given any) {
	switch m := given.(type) {
	case string:
		o["metadata"] = object{}
	case object:
		have, _ := clone(o["metadata"]).(object)
		if have == nil {
			have = object{}
		}
		for k, v := range m {
			if v == "" {
				delete(have, k)
				continue
			}
			have[k] = v
		}
		o["metadata"] = have
	}
}

// take copies parameters of those names into an object; an empty one becomes null.
func (c *call) take(o object, names ...string) {
	for _, n := range names {
		if v, ok := c.p[n]; ok {
			o[n] = unset(v)
		}
	}
}

// unset turns the empty values of a parameter into null.
func unset(v any) any {
	if v == "" {
		return nil
	}
	if m, ok := v.(object); ok {
		out := object{}
		for k, e := range m {
			out[k] = unset(e)
		}
		return out
	}
	return v
}

// page answers a list call from objects that are newest first.
func (c *call) page(url string, all []object) (object, *apiError) {
	limit := int64(10)
	if v, ok := c.p["limit"].(int64); ok {
		if limit = v; limit < 1 || limit > 100 {
			return nil, invalid("", "limit", "This value must be between 1 and 100.")
		}
	}
	after, before := str(c.p, "starting_after"), str(c.p, "ending_before")
	if after != "" && before != "" {
		return nil, invalid("parameters_exclusive", "", "You may only specify one of these parameters: starting_after, ending_before.")
	}
	at := func(want, param string) (int, *apiError) {
		i := slices.IndexFunc(all, func(o object) bool { return id(o) == want })
		if i < 0 {
			return 0, missing("object", want, param)
		}
		return i, nil
	}
	var from, to int
	var more bool
	switch {
	case before != "":
		i, err := at(before, "ending_before")
		if err != nil {
			return nil, err
		}
		to, from = i, max(0, i-int(limit))
		more = from > 0
	case after != "":
		i, err := at(after, "starting_after")
		if err != nil {
			return nil, err
		}
		from = i + 1
		fallthrough
	default:
		to = min(len(all), from+int(limit))
		more = to < len(all)
	}
	items := make([]any, 0, to-from)
	for _, o := range all[from:to] {
		items = append(items, o)
	}
	return listOf(url, items, more), nil
}

// filter keeps the objects whose fields equal the parameters of those names, and whose created
// lies in the range asked for.
func (c *call) filter(kind string, names ...string) []object {
	return c.acct.all(kind, func(o object) bool {
		for _, n := range names {
			want, ok := c.p[n]
			if !ok || want == "" {
				continue
			}
			if inRange, is := want.(object); is {
				if !within(num(o, n), inRange) {
					return false
				}
			} else if o[n] != want {
				return false
			}
		}
		return true
	})
}

func within(n int64, r object) bool {
	for op, v := range r {
		b, ok := v.(int64)
		if ok && (op == "gt" && n <= b || op == "gte" && n < b || op == "lt" && n >= b || op == "lte" && n > b) {
			return false
		}
	}
	return true
}

// expand replaces the ids that paths name by their objects, in a copy made for the answer.
func (c *call) expand(o object, paths []any) *apiError {
	for _, p := range paths {
		path, _ := p.(string)
		segments := strings.Split(path, ".")
		if len(segments) > 4+1 { // the first of a list's is "data"
			return invalid("", "expand", "You cannot expand more than 4 levels of a property. Property: %s", clip(path))
		}
		if err := c.expandOne(o, segments, path); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) expandOne(v any, segments []string, path string) *apiError {
	if len(segments) == 0 {
		return nil
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := c.expandOne(e, segments, path); err != nil {
				return err
			}
		}
	case object:
		name := segments[0]
		if str(v, "object") == "customer" && name == "tax_ids" && !has(v, name) {
			v[name] = shown(listOf("/v1/customers/"+id(v)+"/tax_ids", c.ownedBy("tax_id", id(v)), false))
		}
		inner, ok := v[name]
		if !ok {
			return invalid("", "expand", "This property cannot be expanded (%s).", clip(path))
		}
		if ref, is := inner.(string); is {
			target := c.acct.Objects[ref]
			if target == nil {
				return invalid("", "expand", "This property cannot be expanded (%s).", clip(path))
			}
			inner = shown(target)
			v[name] = inner
		}
		return c.expandOne(inner, segments[1:], path)
	}
	return nil
}

// ownedBy lists a customer's objects of a type.
func (c *call) ownedBy(kind, customer string) []any {
	out := []any{}
	for _, o := range c.acct.all(kind, func(o object) bool { return str(o, "customer") == customer }) {
		out = append(out, o)
	}
	return out
}

func (c *call) String() string { return fmt.Sprintf("%s %s", c.acct.ID, c.request) }
