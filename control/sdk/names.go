package sdk

import (
	"slices"
	"strconv"
	"strings"
)

// maxName bounds an identifier, before its number.
const maxName = 80

// words splits a text into the words of an identifier: ASCII letters and digits, a
// new word at each other character and each hump.
func words(s string) []string {
	var out []string
	start := -1
	kind := func(c byte) int {
		switch {
		case c >= 'a' && c <= 'z':
			return 1
		case c >= 'A' && c <= 'Z':
			return 2
		case c >= '0' && c <= '9':
			return 3
		}
		return 0
	}
	for i := 0; i <= len(s); i++ {
		k := 0
		if i < len(s) {
			k = kind(s[i])
		}
		if start >= 0 {
			hump := k == 2 && (kind(s[i-1]) != 2 || i+1 < len(s) && kind(s[i+1]) == 1)
			if k == 0 || hump {
				out = append(out, strings.ToLower(s[start:i]))
				start = -1
			}
		}
		if k != 0 && start < 0 {
			start = i
		}
	}
	return out
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// camel is the words as petId, pascal as PetId, snake as pet_id.
func camel(ws []string) string {
	p := pascal(ws)
	if p == "" {
		return p
	}
	return ws[0] + p[len(ws[0]):]
}

func pascal(ws []string) string {
	var b strings.Builder
	for _, w := range ws {
		b.WriteString(capital(w))
	}
	return b.String()
}

func snake(ws []string) string { return strings.Join(ws, "_") }

// taken are names that are in use. Two names are the same if they differ in case or
// in underscores alone: not every language and file system tells those apart.
type taken map[string]bool

func key(ws []string) string { return strings.ToLower(strings.Join(ws, "")) }

// unused makes the words a name that is not taken: it begins with a letter, and has
// a number at its end if need be.
func (t taken) unused(ws []string, otherwise string) []string {
	ws = slices.Clone(ws)
	if len(ws) == 0 {
		ws = []string{otherwise}
	}
	if c := ws[0][0]; c >= '0' && c <= '9' {
		ws = append([]string{otherwise}, ws...)
	}
	for n, i := 0, 0; i < len(ws); i++ {
		if n += len(ws[i]); n > maxName {
			ws[i] = ws[i][:len(ws[i])-(n-maxName)]
			ws = ws[:i+1]
			if ws[i] == "" {
				ws = ws[:i]
			}
		}
	}
	last := len(ws) - 1
	base := ws[last]
	for n := 2; t[key(ws)]; n++ {
		ws[last] = base + strconv.Itoa(n)
	}
	t[key(ws)] = true
	return ws
}

// typeWords are the words of a type's name, which keeps the humps it has.
func typeWords(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		out = append(out, capital(w))
	}
	return out
}

// typeName is an unused name for a type. In every language a type is called the
// same, so what means something in one of them is called so in none.
func (t taken) typeName(ws []string) string {
	if reservedTypes[strings.ToLower(strings.Join(ws, ""))] {
		ws = append(slices.Clip(ws), "Model")
	}
	return pascal(t.unused(ws, "Model"))
}

// reservedTypes mean something in a language or are part of a client, in lower case.
var reservedTypes = set(`any apierror apirequest apiresponse array arraybuffer basemodel blob bool boolean byte bytes callable character
	class client collections date dict double enum error exception false file float function generic headers httpclient httprequest httpresponse
	infinity int integer interface iterable iterator json jsonobject message ptr apibase apiexception stringbuilder illegalargumentexception classcastexception
	arithmeticexception interruptedexception suppresswarnings sequences apioptions call list literal long map mapping math models module nan never none notrequired null
	number object objects option optional options override package params partial promise readonly record request requestinit
	requestoptions response runtime runtimeexception sequence set short string symbol system thread throwable time timeouterror true tuple type
	typeddict aux con nul prn undefined unknown uri url urlsearchparams uint8array value void`)

func set(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}
