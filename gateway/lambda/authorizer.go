package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrAuthorization is what no authorizer may answer; errors that wrap it say why.
var ErrAuthorization = errors.New("malformed authorizer response")

// MaxAuthorization bounds an authorizer's answer, in bytes.
const MaxAuthorization = 64 << 10

// maxAuthorizationContext bounds the names of an answer's context.
const maxAuthorizationContext = 500

// Authorization is an authorizer's answer.
type Authorization struct {
	Principal string
	Policy    []byte      // a policy document, JSON
	Context   [][2]string // in the order of the answer, values as text
	UsageKey  string      // usageIdentifierKey: an API key
}

// ParseAuthorization reads what an authorizer's function has answered.
func ParseAuthorization(payload []byte) (*Authorization, error) {
	no := func(format string, a ...any) (*Authorization, error) {
		return nil, fmt.Errorf("%w: %s", ErrAuthorization, fmt.Sprintf(format, a...))
	}
	if len(payload) > MaxAuthorization {
		return no("it has %d bytes; at most %d are taken", len(payload), MaxAuthorization)
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(payload, &in); err != nil || in == nil {
		return no("it is no JSON object")
	}
	var a Authorization
	var ok bool
	if a.Principal, ok = asText(in["principalId"]); !ok || a.Principal == "" {
		return no("principalId is no text")
	}
	if a.Policy = in["policyDocument"]; len(a.Policy) == 0 || a.Policy[0] != '{' {
		return no("policyDocument is no object")
	}
	if v := in["usageIdentifierKey"]; len(v) > 0 && string(v) != "null" {
		if a.UsageKey, ok = asText(v); !ok {
			return no("usageIdentifierKey is no text")
		}
	}
	context := in["context"]
	if len(context) == 0 || string(context) == "null" {
		return &a, nil
	}
	r := reader{in: context}
	why := ""
	ok = r.object(func(name string) bool {
		v, there, ok := r.scalar()
		if !ok {
			why = fmt.Sprintf("the context's %.100q is no text, number or boolean", name)
			return false
		}
		if there {
			a.Context = append(a.Context, [2]string{name, string(v)})
		}
		return len(a.Context) <= maxAuthorizationContext
	})
	switch {
	case why != "":
		return no("%s", why)
	case !ok || !r.end():
		return no("its context is no object of at most %d texts, numbers and booleans", maxAuthorizationContext)
	}
	return &a, nil
}

func asText(v json.RawMessage) (string, bool) {
	var s string
	if len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &s) != nil {
		return "", false
	}
	return s, true
}

// Unauthorized says whether a function's failure is the one by which authorizers say that
// they do not know a caller.
func Unauthorized(payload []byte) bool { return FailureMessage(payload) == "Unauthorized" }

// FailureMessage is the errorMessage of a function's failure; "" where it has none.
func FailureMessage(payload []byte) string {
	var in struct {
		ErrorMessage string `json:"errorMessage"`
	}
	if len(payload) > MaxAuthorization || json.Unmarshal(payload, &in) != nil {
		return ""
	}
	return strings.ToValidUTF8(in.ErrorMessage, "\uFFFD")
}
