package schema

import (
	"bytes"
	"math/big"
	"strconv"
)

// Numbers are compared exactly and stay in their decimal digits: 1e999999999 costs no
// more than it has characters.

// smallInt reads an integer of at most 18 digits.
func smallInt(text []byte) (n int64, ok bool) {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

// decimal is digits × 10^exp; digits have no zero at either end and are empty for 0.
type decimal struct {
	neg    bool
	digits []byte
	exp    int64
}

// parseDecimal reads a JSON number; its digits are appended to buf.
func parseDecimal(buf, text []byte) decimal {
	var d decimal
	if text[0] == '-' {
		d.neg, text = true, text[1:]
	}
	if e := bytes.IndexAny(text, "eE"); e >= 0 {
		d.exp, _ = strconv.ParseInt(string(text[e+1:]), 10, 64)
		text = text[:e]
	}
	if dot := bytes.IndexByte(text, '.'); dot >= 0 {
		d.exp -= int64(len(text) - dot - 1)
		buf = append(append(buf, text[:dot]...), text[dot+1:]...)
	} else {
		buf = append(buf, text...)
	}
	d.digits = bytes.TrimLeft(buf, "0")
	n := len(d.digits)
	d.digits = bytes.TrimRight(d.digits, "0")
	d.exp += int64(n - len(d.digits))
	if len(d.digits) == 0 {
		return decimal{}
	}
	return d
}

func (d decimal) compare(e decimal) int {
	sign := func(x decimal) int {
		switch {
		case len(x.digits) == 0:
			return 0
		case x.neg:
			return -1
		}
		return 1
	}
	if a, b := sign(d), sign(e); a != b || a == 0 {
		return a - b
	}
	c := 0
	if a, b := int64(len(d.digits))+d.exp, int64(len(e.digits))+e.exp; a != b {
		c = -1
		if a > b {
			c = 1
		}
	} else {
		// Without zeros at the end, the longer of two with a common start is larger.
		c = bytes.Compare(d.digits, e.digits)
	}
	if d.neg {
		return -c
	}
	return c
}

// compareNumbers compares two JSON numbers.
func compareNumbers(a, b []byte) int {
	if x, ok := smallInt(a); ok {
		if y, ok := smallInt(b); ok {
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}
	}
	var bufA, bufB [64]byte
	return parseDecimal(bufA[:0], a).compare(parseDecimal(bufB[:0], b))
}

// multiple tells whether a is a multiple of b, which is greater than 0.
func multiple(a, b []byte) bool {
	if x, ok := smallInt(a); ok {
		if y, ok := smallInt(b); ok {
			return x%y == 0
		}
	}
	x, y := parseDecimal(nil, a), parseDecimal(nil, b)
	if len(x.digits) == 0 {
		return true
	}
	n, _ := new(big.Int).SetString(string(x.digits), 10)
	m, _ := new(big.Int).SetString(string(y.digits), 10)
	ten, shift := big.NewInt(10), x.exp-y.exp
	if shift >= 0 {
		n.Mul(n, ten.Exp(ten, big.NewInt(shift), m))
	} else if -shift > int64(len(x.digits)) {
		return false // the divisor has more digits than the number
	} else {
		m.Mul(m, ten.Exp(ten, big.NewInt(-shift), nil))
	}
	return n.Mod(n, m).Sign() == 0
}

// canonical is one spelling per value.
func canonical(b, text []byte) []byte {
	var buf [64]byte
	d := parseDecimal(buf[:0], text)
	if d.neg {
		b = append(b, '-')
	}
	b = append(b, d.digits...)
	return strconv.AppendInt(append(b, 'e'), d.exp, 10)
}

// appendNumber prints a number as the service's JSON library does: an integer's
// digits, otherwise a BigDecimal without zeros at its end, which is 1E+1 for 10.0.
func appendNumber(b, text []byte, k kind) []byte {
	if k == integerKind {
		if string(text) == "-0" {
			return append(b, '0')
		}
		return append(b, text...)
	}
	d := parseDecimal(nil, text)
	if len(d.digits) == 0 {
		return append(b, '0')
	}
	if d.neg {
		b = append(b, '-')
	}
	n := int64(len(d.digits))
	adjusted := d.exp + n - 1
	switch {
	case d.exp == 0:
		return append(b, d.digits...)
	case d.exp < 0 && adjusted >= 0:
		b = append(b, d.digits[:n+d.exp]...)
		return append(append(b, '.'), d.digits[n+d.exp:]...)
	case d.exp < 0 && adjusted >= -6:
		b = append(b, "0."...)
		for range -adjusted - 1 {
			b = append(b, '0')
		}
		return append(b, d.digits...)
	}
	b = append(b, d.digits[0])
	if n > 1 {
		b = append(append(b, '.'), d.digits[1:]...)
	}
	b = append(b, 'E')
	if adjusted > 0 {
		b = append(b, '+')
	}
	return strconv.AppendInt(b, adjusted, 10)
}
