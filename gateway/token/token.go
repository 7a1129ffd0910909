package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of one token.
const (
	MaxBytes   = 16 << 10 // in its compact form
	maxClaims  = 128
	maxNesting = 32
	maxKeyID   = 256 // bytes
)

// Refused says why a token is refused, in words that its bearer may read.
type Refused string

func (r Refused) Error() string { return string(r) }

// What is wrong with a token.
const (
	ErrMalformed Refused = "the token is malformed"
	ErrAlgorithm Refused = "the token's signing algorithm is not allowed"
	ErrKind      Refused = "the token is of a kind that is not allowed"
	ErrIssuer    Refused = "the token does not have a valid issuer"
	ErrAudience  Refused = "the token does not have a valid audience"
	ErrExpired   Refused = "the token has expired"
	ErrEarly     Refused = "the token is not valid yet"
	ErrKeyID     Refused = "the token has no key id"
	ErrKey       Refused = "the token's signing key is unknown"
	ErrSignature Refused = "the token does not have a valid signature"
	ErrClaim     Refused = "the token does not have a claim that is required"
)

// Claim is one of a token, with its value as JSON without blanks.
type Claim struct{ Name, JSON string }

// Claims of a token, in its order; no name is there twice.
type Claims []Claim

// JSON is a claim's value; "": there is none.
func (c Claims) JSON(name string) string {
	for i := range c {
		if c[i].Name == name {
			return c[i].JSON
		}
	}
	return ""
}

// Text is the value of a claim that is a text.
func (c Claims) Text(name string) (string, bool) { return unquote(c.JSON(name)) }

// Texts are the values of a claim that is a text or a list of texts.
func (c Claims) Texts(name string) ([]string, bool) {
	v := c.JSON(name)
	if s, ok := unquote(v); ok {
		return []string{s}, true
	}
	var list []string
	if !strings.HasPrefix(v, "[") || json.Unmarshal([]byte(v), &list) != nil {
		return nil, false
	}
	return list, true
}

// date is a claim's point in time; false: it is there and none.
func (c Claims) date(name string) (at time.Time, there, ok bool) {
	v := c.JSON(name)
	if v == "" {
		return at, false, true
	}
	const most = 1 << 40 // seconds: past any calendar
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.Abs(f) > most {
		return at, true, false
	}
	return time.UnixMilli(int64(f * 1000)), true, true
}

// unquote reads a JSON string.
func unquote(v string) (string, bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	if in := v[1 : len(v)-1]; strings.IndexByte(in, '\\') < 0 {
		return in, true
	}
	var s string
	return s, json.Unmarshal([]byte(v), &s) == nil
}

// parsed is a token that was read and not verified.
type parsed struct {
	alg       Algorithm
	kid       string
	access    bool // says of itself that it is an access token (RFC 9068)
	claims    Claims
	signed    []byte // what its signature is of
	signature []byte
}

// strict takes one spelling of each value: the bits that do not count are zero.
var strict = base64.RawURLEncoding.Strict()

// parse reads a token in its compact form.
func parse(text []byte) (*parsed, error) {
	if len(text) > MaxBytes {
		return nil, ErrMalformed
	}
	end := bytes.LastIndexByte(text, '.')
	first := bytes.IndexByte(text, '.')
	if first <= 0 || end == first || bytes.IndexByte(text[first+1:end], '.') >= 0 {
		return nil, ErrMalformed // five parts are an encrypted token
	}
	p := &parsed{signed: text[:end]}
	head, err := decode(text[:first])
	if err != nil {
		return nil, err
	}
	if err := p.header(head); err != nil {
		return nil, err
	}
	if p.signature, err = decode(text[end+1:]); err != nil {
		return nil, err
	}
	body, err := decode(text[first+1 : end])
	if err != nil {
		return nil, err
	}
	p.claims, err = members(body)
	return p, err
}

func decode(part []byte) ([]byte, error) {
	// The package skips line ends, which are no base64url.
	if bytes.ContainsAny(part, "\r\n") {
		return nil, ErrMalformed
	}
	out, err := strict.AppendDecode(nil, part)
	if err != nil {
		return nil, ErrMalformed
	}
	return out, nil
}

func (p *parsed) header(b []byte) error {
	h, err := members(b)
	if err != nil {
		return err
	}
	name, ok := h.Text("alg")
	if !ok {
		return ErrMalformed
	}
	if p.alg, ok = ParseAlgorithm(name); !ok {
		return ErrAlgorithm
	}
	// An extension that must be understood: there is none that is.
	if h.JSON("crit") != "" {
		return ErrMalformed
	}
	if h.JSON("kid") != "" {
		if p.kid, ok = h.Text("kid"); !ok || len(p.kid) > maxKeyID {
			return ErrMalformed
		}
	}
	typ, _ := h.Text("typ")
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	p.access = typ == "at+jwt"
	// Tokens for other purposes, such as logout+jwt, name themselves so that nobody
	// takes them for these.
	if strings.HasSuffix(typ, "+jwt") && !p.access {
		return ErrKind
	}
	return nil
}

// members are those of a JSON object. Names that are there twice are an error: two
// readers of such an object may see two different ones.
func members(b []byte) (Claims, error) {
	if !json.Valid(b) || !utf8.Valid(b) {
		return nil, ErrMalformed
	}
	var compact bytes.Buffer
	compact.Grow(len(b))
	_ = json.Compact(&compact, b) // of what is valid
	s := compact.String()
	if s[0] != '{' {
		return nil, ErrMalformed
	}
	var out Claims
	for at := 1; s[at] != '}'; {
		if s[at] == ',' {
			at++
		}
		end, _ := value(s, at)
		name, ok := unquote(s[at:end])
		at = end + 1 // the colon
		end, deep := value(s, at)
		if !ok || deep || len(out) == maxClaims || slices.ContainsFunc(out, func(c Claim) bool { return c.Name == name }) {
			return nil, ErrMalformed
		}
		out = append(out, Claim{name, s[at:end]})
		at = end
	}
	return out, nil
}

// value finds the end of a value in valid JSON without blanks, and says whether it nests
// too deeply.
func value(s string, at int) (end int, deep bool) {
	depth := 0
	for ; ; at++ {
		switch s[at] {
		case '"':
			for at++; s[at] != '"'; at++ {
				if s[at] == '\\' {
					at++
				}
			}
			if depth == 0 {
				return at + 1, deep
			}
		case '{', '[':
			depth++
			deep = deep || depth >= maxNesting
		case '}', ']':
			if depth == 0 {
				return at, deep // of a number or a word, which this ends
			}
			if depth--; depth == 0 {
				return at + 1, deep
			}
		case ',':
			if depth == 0 {
				return at, deep
			}
		}
	}
}
