package policy

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operation is how a condition compares, apart from negation.
type operation uint8

const (
	stringEquals operation = iota
	stringEqualsFold
	stringLike
	numericEquals
	numericLess
	numericLessEquals
	numericGreater
	numericGreaterEquals
	dateEquals
	dateLess
	dateLessEquals
	dateGreater
	dateGreaterEquals
	boolean
	binary
	ipAddress
	arnLike
	isNull
)

type operator struct {
	operation
	not bool // holds where no value matches
}

// operators by name in lower case.
var operators = map[string]operator{
	"stringequals":              {stringEquals, false},
	"stringnotequals":           {stringEquals, true},
	"stringequalsignorecase":    {stringEqualsFold, false},
	"stringnotequalsignorecase": {stringEqualsFold, true},
	"stringlike":                {stringLike, false},
	"stringnotlike":             {stringLike, true},
	"numericequals":             {numericEquals, false},
	"numericnotequals":          {numericEquals, true},
	"numericlessthan":           {numericLess, false},
	"numericlessthanequals":     {numericLessEquals, false},
	"numericgreaterthan":        {numericGreater, false},
	"numericgreaterthanequals":  {numericGreaterEquals, false},
	"dateequals":                {dateEquals, false},
	"datenotequals":             {dateEquals, true},
	"datelessthan":              {dateLess, false},
	"datelessthanequals":        {dateLessEquals, false},
	"dategreaterthan":           {dateGreater, false},
	"dategreaterthanequals":     {dateGreaterEquals, false},
	"bool":                      {boolean, false},
	"binaryequals":              {binary, false},
	"ipaddress":                 {ipAddress, false},
	"notipaddress":              {ipAddress, true},
	"arnequals":                 {arnLike, false}, // the same, as documented
	"arnlike":                   {arnLike, false},
	"arnnotequals":              {arnLike, true},
	"arnnotlike":                {arnLike, true},
	"null":                      {isNull, false},
}

// set is how a condition takes a key with several values.
type set uint8

const (
	oneOf  set = iota // without a word: as forAny, but negated operators need all to differ
	forAny            // ForAnyValue
	forAll            // ForAllValues
)

// condition is one key of one operator.
type condition struct {
	operator
	set
	ifExists bool
	key      *ref
	texts    []text         // of string and ARN operators
	numbers  []float64      // and dates, in seconds
	networks []netip.Prefix //
	bools    [2]bool        // false and true are among the values
	bytes    []string
}

func (c *compiler) conditions(n *node) ([]condition, error) {
	if n.kind != object {
		return nil, c.errorf("must be an object of operators")
	}
	var out []condition
	for i := range n.members {
		m := &n.members[i]
		if err := c.in(m.name, func() error {
			like := condition{}
			name := strings.ToLower(m.name)
			if rest, ok := strings.CutPrefix(name, "foranyvalue:"); ok {
				name, like.set = rest, forAny
			} else if rest, ok := strings.CutPrefix(name, "forallvalues:"); ok {
				name, like.set = rest, forAll
			}
			if rest, ok := strings.CutSuffix(name, "ifexists"); ok {
				name, like.ifExists = rest, true
			}
			var ok bool
			if like.operator, ok = operators[name]; !ok || like.operation == isNull && (like.ifExists || like.set != oneOf) {
				return c.errorf("is no condition operator")
			}
			if m.kind != object || len(m.members) == 0 {
				return c.errorf("must be an object of condition keys")
			}
			for j := range m.members {
				key := &m.members[j]
				if err := c.in(key.name, func() error {
					one := like
					if key.name == "" {
						return c.errorf("has no name")
					}
					one.key = c.ref(key.name)
					values, err := c.list(&key.node)
					if err != nil {
						return err
					}
					for _, v := range values {
						if err := one.add(c, v); err != nil {
							return err
						}
					}
					out = append(out, one)
					return nil
				}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add compiles one of a condition's values.
func (d *condition) add(c *compiler, v string) error {
	switch d.operation {
	case stringEquals, stringEqualsFold, stringLike, arnLike:
		t, err := c.newText(v, d.operation == stringLike || d.operation == arnLike, c.variables)
		if err != nil {
			return err
		}
		if d.operation == arnLike && t.parts == nil && v != "*" && strings.Count(v, ":") < 5 {
			return c.errorf("has the value %q, which is no ARN", v)
		}
		d.texts = append(d.texts, t)
	case numericEquals, numericLess, numericLessEquals, numericGreater, numericGreaterEquals:
		f, ok := number(v)
		if !ok {
			return c.errorf("has the value %q, which is no number", v)
		}
		d.numbers = append(d.numbers, f)
	case dateEquals, dateLess, dateLessEquals, dateGreater, dateGreaterEquals:
		f, ok := date(v)
		if !ok {
			return c.errorf("has the value %q, which is no date: write it as 2006-01-02T15:04:05Z", v)
		}
		d.numbers = append(d.numbers, f)
	case boolean, isNull:
		b, ok := truth(v)
		if !ok {
			return c.errorf("has the value %q, which is neither true nor false", v)
		}
		if b {
			d.bools[1] = true
		} else {
			d.bools[0] = true
		}
	case binary:
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return c.errorf("has the value %q, which is no base64", v)
		}
		d.bytes = append(d.bytes, string(b))
	case ipAddress:
		p, ok := network(v)
		if !ok {
			return c.errorf("has the value %q, which is no address or network: write it as 203.0.113.0/24", v)
		}
		d.networks = append(d.networks, p)
	}
	return nil
}

// holds says whether the condition is true of the request.
func (d *condition) holds(e *evaluation) bool {
	if list := d.key.several(e.r); len(list) > 1 || len(list) == 1 && d.set != oneOf {
		return d.holdsFor(e, list)
	}
	match, there := d.one(e)
	switch {
	case d.operation == isNull:
		return d.bools[1] && !there || d.bools[0] && there
	case !there && d.ifExists:
		return true
	case !there && d.set == forAll:
		return true
	case !there && d.set == forAny:
		return false
	}
	return match != d.not // not there: nothing matches
}

// holdsFor is holds for a key with a list of values.
func (d *condition) holdsFor(e *evaluation, list []string) bool {
	if d.operation == isNull {
		return d.bools[0]
	}
	every, some := true, false
	for _, v := range list {
		if d.text(e, v) != d.not {
			some = true
		} else {
			every = false
		}
	}
	if d.set == forAll || d.set == oneOf && d.not {
		return every
	}
	return some
}

// one compares a key with one value: without making text of it where the request has it
// in the form of the operator.
func (d *condition) one(e *evaluation) (match, there bool) {
	r := e.r
	switch {
	case d.operation == ipAddress && d.key.key == SourceIP:
		return d.address(e, r.SourceIP), r.SourceIP.IsValid()
	case d.operation == boolean && d.key.key == SecureTransport:
		return d.truth(r.Secure), true
	case d.key.key == CurrentTime && d.operation >= dateEquals && d.operation <= dateGreaterEquals,
		d.key.key == EpochTime && d.operation >= numericEquals && d.operation <= dateGreaterEquals:
		return d.number(e, float64(r.Now.Unix())), true
	}
	var room [maxValue]byte
	v, there := d.key.single(r, &room)
	if !there || d.operation == isNull {
		return false, there
	}
	return d.text(e, v), true
}

// text compares one value given as text.
func (d *condition) text(e *evaluation, v string) bool {
	switch d.operation {
	case stringEquals, stringEqualsFold, stringLike, arnLike:
		return slices.ContainsFunc(d.texts, func(t text) bool {
			want, ok := t.expand(e)
			if !ok || e.left < 0 {
				return false
			}
			switch d.operation {
			case stringLike:
				return e.glob(want, v, false)
			case arnLike:
				return e.arn(want, v)
			}
			if e.left -= 1 + min(len(want), len(v))/8; d.operation == stringEqualsFold {
				return strings.EqualFold(want, v)
			}
			return want == v
		})
	case numericEquals, numericLess, numericLessEquals, numericGreater, numericGreaterEquals:
		f, ok := number(v)
		return ok && d.number(e, f)
	case dateEquals, dateLess, dateLessEquals, dateGreater, dateGreaterEquals:
		f, ok := date(v)
		return ok && d.number(e, f)
	case boolean:
		b, ok := truth(v)
		return ok && d.truth(b)
	case binary:
		b, err := base64.StdEncoding.DecodeString(v)
		return err == nil && slices.Contains(d.bytes, string(b))
	case ipAddress:
		a, err := netip.ParseAddr(v)
		return err == nil && d.address(e, a)
	}
	return false
}

func (d *condition) truth(b bool) bool {
	if b {
		return d.bools[1]
	}
	return d.bools[0]
}

func (d *condition) number(e *evaluation, f float64) bool {
	e.left -= len(d.numbers)
	for _, want := range d.numbers {
		var ok bool
		switch d.operation {
		case numericEquals, dateEquals:
			ok = f == want
		case numericLess, dateLess:
			ok = f < want
		case numericLessEquals, dateLessEquals:
			ok = f <= want
		case numericGreater, dateGreater:
			ok = f > want
		case numericGreaterEquals, dateGreaterEquals:
			ok = f >= want
		}
		if ok {
			return true
		}
	}
	return false
}

func (d *condition) address(e *evaluation, a netip.Addr) bool {
	e.left -= len(d.networks)
	a = a.Unmap().WithZone("")
	for _, p := range d.networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// arn matches an ARN part by part: a wildcard stays within one of the six.
func (e *evaluation) arn(want, v string) bool {
	if want == "\xFE" {
		return true
	}
	for range 5 {
		w, wRest, wOK := strings.Cut(want, ":")
		p, pRest, pOK := strings.Cut(v, ":")
		if !wOK || !pOK || !e.glob(w, p, false) {
			return false
		}
		want, v = wRest, pRest
	}
	return e.glob(want, v, false)
}

func number(v string) (float64, bool) {
	f, err := strconv.ParseFloat(v, 64)
	return f, err == nil && f-f == 0 // finite
}

// dateForms are those of ISO 8601 that documents use.
var dateForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"}

// date is a date in seconds since the epoch, in which form it may be given too.
func date(v string) (float64, bool) {
	for _, form := range dateForms {
		if t, err := time.Parse(form, v); err == nil {
			return float64(t.Unix()) + float64(t.Nanosecond())/1e9, true
		}
	}
	return number(v)
}

func truth(v string) (is, ok bool) {
	switch {
	case strings.EqualFold(v, "true"):
		return true, true
	case strings.EqualFold(v, "false"):
		return false, true
	}
	return false, false
}

// network is an address or a network, in IPv6's form of IPv4 too.
func network(v string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(v); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
