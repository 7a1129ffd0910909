package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The service runs patterns in a JavaScript engine, which backtracks: a client could
// keep it busy for hours with one string. Here they run in RE2, in time linear in the
// string. translate turns ECMA 262 syntax into RE2's; what RE2 has no word for (look
// around, back references) is refused with the model, never guessed. Strings are
// matched by code point, where ECMA 262 without its u flag sees UTF-16 units.

// pattern is a compiled regular expression; it matches anywhere in a string.
type pattern struct {
	*regexp.Regexp
	text string // as the model has it: messages quote it
	size int    // instructions, which matching is charged by
}

// unsupported is an expression that is correct but beyond RE2.
type unsupported struct{ what string }

func (u unsupported) Error() string {
	return u.what + " is not supported: patterns are matched in linear time (RE2 syntax), without look-ahead, look-behind and back references"
}

func compilePattern(text string, maxSize int) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	re2, err := translate(text)
	if err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(re2, syntax.Perl)
	if err != nil {
		if e, ok := errors.AsType[*syntax.Error](err); ok && e.Code == syntax.ErrInvalidRepeatSize {
			return nil, fmt.Errorf("%q repeats too often: at most 1000 times, nested repetitions multiplied; minLength and maxLength have no such limit", e.Expr)
		} else if ok {
			return nil, fmt.Errorf("not a valid regular expression: %s: %q", e.Code, e.Expr)
		}
		return nil, err
	}
	size := instructions(tree)
	if size > maxSize {
		return nil, fmt.Errorf("the model's patterns take more than %d steps together; use smaller repetition counts", maxPatternSize)
	}
	re, err := regexp.Compile(re2)
	if err != nil {
		return nil, err
	}
	return &pattern{Regexp: re, text: text, size: size}, nil
}

// instructions estimates what a pattern compiles to before it is compiled: repetitions
// are unrolled, so a short text can become a large program.
func instructions(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n += len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += instructions(sub) + 1
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min+1, re.Max)
	}
	return n
}

// White space and line ends of ECMA 262 as ranges of an RE2 class.
const (
	ecmaSpace    = `\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`
	ecmaNonSpace = `\x{0}-\x{8}\x{e}-\x{1f}!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}`
	ecmaDot      = `[^\n\r\x{2028}\x{2029}]`
	anyRune      = `\x{0}-\x{10ffff}`
)

// translate turns an ECMA 262 regular expression into one of Go's package regexp.
func translate(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("the pattern is not valid UTF-8")
	}
	var b strings.Builder
	inClass := false
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\\':
			n, err := escape(&b, text[i:], inClass)
			if err != nil {
				return "", err
			}
			i += n
			continue
		case inClass:
			if c == ']' {
				inClass = false
			} else if c == '[' {
				b.WriteByte('\\') // no POSIX classes in ECMA 262
			}
		case c == '[':
			switch {
			case strings.HasPrefix(text[i:], "[]"):
				b.WriteString("[^" + anyRune + "]")
				i += 2
				continue
			case strings.HasPrefix(text[i:], "[^]"):
				b.WriteString("[" + anyRune + "]")
				i += 3
				continue
			}
			inClass = true
			b.WriteByte('[')
			if i++; strings.HasPrefix(text[i:], "^") {
				b.WriteByte('^')
				i++
			}
			continue
		case c == '.':
			b.WriteString(ecmaDot)
			i++
			continue
		case c == '(' && strings.HasPrefix(text[i:], "(?"):
			rest := text[i+2:]
			switch {
			case strings.HasPrefix(rest, ":"):
			case strings.HasPrefix(rest, "="), strings.HasPrefix(rest, "!"):
				return "", unsupported{"look-ahead (" + strconv.Quote(text[i:i+3]) + ")"}
			case strings.HasPrefix(rest, "<="), strings.HasPrefix(rest, "<!"):
				return "", unsupported{"look-behind (" + strconv.Quote(text[i:i+4]) + ")"}
			case strings.HasPrefix(rest, "<"):
			default:
				return "", errors.New(`not a valid regular expression: a group starting with "(?" must go on with ":" or "<name>"`)
			}
		}
		b.WriteByte(c)
		i++
	}
	return b.String(), nil
}

// escape translates the escape s starts with and tells its length.
func escape(b *strings.Builder, s string, inClass bool) (int, error) {
	if len(s) == 1 {
		return 0, errors.New("not a valid regular expression: it ends in a backslash")
	}
	c := s[1]
	switch {
	case strings.IndexByte("dDwWfnrtv", c) >= 0:
		b.WriteString(s[:2])
	case c == 's' && inClass:
		b.WriteString(ecmaSpace)
	case c == 's':
		b.WriteString("[" + ecmaSpace + "]")
	case c == 'S' && inClass:
		b.WriteString(ecmaNonSpace)
	case c == 'S':
		b.WriteString("[^" + ecmaSpace + "]")
	case c == 'b' && inClass:
		b.WriteString(`\x08`)
	case (c == 'b' || c == 'B') && !inClass:
		b.WriteString(s[:2])
	case c == 'c' && len(s) > 2 && (s[2]|0x20) >= 'a' && (s[2]|0x20) <= 'z':
		fmt.Fprintf(b, `\x%02x`, s[2]&31)
		return 3, nil
	case c == '0':
		b.WriteString(`\x00`)
	case c >= '1' && c <= '9':
		return 0, unsupported{"a back reference (" + strconv.Quote(s[:2]) + ")"}
	case c == 'k' && strings.HasPrefix(s, `\k<`):
		return 0, unsupported{`a back reference ("\k<")`}
	case c == 'x' || c == 'u':
		digits := 2
		if c == 'u' {
			digits = 4
		}
		r, ok := hexRune(s[2:], digits)
		if !ok {
			b.WriteByte(c) // ECMA 262 takes it for the letter
			return 2, nil
		}
		n := 2 + digits
		if utf16.IsSurrogate(r) && strings.HasPrefix(s[n:], `\u`) {
			if low, ok := hexRune(s[n+2:], 4); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				r = utf16.DecodeRune(r, low)
				n += 6
			}
		}
		fmt.Fprintf(b, `\x{%x}`, r)
		return n, nil
	case c == 'p' || c == 'P':
		b.WriteString(s[:2])
	case c >= utf8.RuneSelf || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		b.WriteString(s[1:2]) // stands for itself; the rest of a rune follows as it is
	default:
		b.WriteString(s[:2])
	}
	return 2, nil
}

func hexRune(s string, digits int) (rune, bool) {
	if len(s) < digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:digits], 16, 32)
	return rune(n), err == nil
}
