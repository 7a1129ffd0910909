package jsonpath

import (
	"errors"
	"regexp"
	"regexp/syntax"
)

// maxInstructions bounds a regular expression: repetitions are written out, so that a
// short text can become a large program, which takes memory and then time for each byte.
const maxInstructions = 10_000

// ErrPattern says that a regular expression repeats too much.
var ErrPattern = errors.New("the regular expression repeats too often")

// Compile compiles a regular expression, with its size for Matching.
func Compile(expr string) (re *regexp.Regexp, size int, err error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, 0, err
	}
	if size = instructions(tree); size > maxInstructions {
		return nil, size, ErrPattern
	}
	re, err = regexp.Compile(expr)
	return re, size, err
}

// Matching is the work of compiling an expression and looking for it in a text of so many
// bytes, in values looked at.
func Matching(bytes, size int) int { return size + bytes/100 + int(int64(bytes)*int64(size)/400) }

// instructions estimates what an expression compiles to.
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
