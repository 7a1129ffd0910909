package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Mock is what a MOCK integration answers, where that needs no template language:
// always the same.
type Mock struct {
	Status  int
	Headers [][2]string // name and value, by name
	Body    string
}

// MaxMockBytes bounds a mock's body.
const MaxMockBytes = 1 << 20

// A directive or a reference of the template language.
var templated = regexp.MustCompile(`\$[!{a-zA-Z]|#[#*{@a-zA-Z]`)

var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e]*$`)
	// ownHeaders are made anew for every answer.
	ownHeaders = map[string]bool{"transfer-encoding": true, "keep-alive": true, "proxy-connection": true, "x-amzn-requestid": true, "x-amz-apigw-id": true}
	// remappedHeaders go on under other names, as on Amazon API Gateway.
	remappedHeaders = map[string]bool{"connection": true, "content-length": true, "date": true, "server": true, "authorization": true, "content-md5": true, "expect": true, "host": true,
		"max-forwards": true, "proxy-authenticate": true, "trailer": true, "upgrade": true, "user-agent": true, "www-authenticate": true}
)

// AnswerHeader is the name under which callers get a header of an answer that is made by
// a mapping.
func AnswerHeader(name string) string {
	if remappedHeaders[strings.ToLower(name)] {
		return "x-amzn-Remapped-" + name
	}
	return name
}

// OwnHeader says that a header of answers is the gateway's, whatever an author maps.
func OwnHeader(name string) bool { return ownHeaders[strings.ToLower(name)] }

// HeaderName says whether s can be the name of a header.
func HeaderName(s string) bool { return headerName.MatchString(s) }

// ErrUnanswered is in ParseMock's refusal of a mock that has no answer to any call.
// Amazon API Gateway deploys it all the same, and answers 500.
var ErrUnanswered = errors.New("a mock without an answer")

func unanswered(err error) error { return fmt.Errorf("%w (%w)", err, ErrUnanswered) }

// ParseMock reads a MOCK integration: its request template names a status code,
// the integration response for that code the answer, as on Amazon API Gateway. It
// refuses what would have to be computed for each call.
func ParseMock(g *Integration) (*Mock, error) {
	code := 0
	for _, kind := range sortedNames(g.RequestTemplates) {
		t := g.RequestTemplates[kind]
		if templated.MatchString(t) {
			return nil, Errorf(Invalid, "the request template for %s has template language in it, so the answer is not fixed; for a fixed one write {\"statusCode\": 200}", kind)
		}
		var v struct {
			StatusCode *int `json:"statusCode"`
		}
		if err := json.Unmarshal([]byte(t), &v); err != nil || v.StatusCode == nil {
			err := Errorf(Invalid, "the request template for %s does not name a status code; write {\"statusCode\": 200}", kind)
			if len(g.RequestTemplates) == 1 {
				err = unanswered(err)
			}
			return nil, err
		}
		if code != 0 && code != *v.StatusCode {
			return nil, Errorf(Invalid, "the mock's request templates name different status codes, so the answer is not fixed")
		}
		code = *v.StatusCode
	}
	if code == 0 {
		return nil, unanswered(Errorf(Invalid, "a mock needs a request template that names a status code, such as {\"statusCode\": 200}"))
	}
	r, err := g.mockResponse(code)
	if err != nil {
		return nil, err
	}
	m := &Mock{}
	if m.Status, err = strconv.Atoi(r.StatusCode); err != nil || m.Status < 200 || m.Status > 599 {
		return nil, Errorf(Invalid, "the mock's status code %q is not between 200 and 599", r.StatusCode)
	}
	for name, value := range r.ResponseParameters {
		field, ok := strings.CutPrefix(name, "method.response.header.")
		literal := len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\''
		if !ok || !literal {
			return nil, Errorf(Invalid, "the mock's response parameter %s = %s is no fixed 'value', so the answer is not fixed", name, value)
		}
		value = value[1 : len(value)-1]
		if !headerName.MatchString(field) || !headerValue.MatchString(value) || len(value) > 8192 {
			return nil, Errorf(Invalid, "the mock's header %q cannot be sent as it is", field)
		}
		if field = AnswerHeader(field); ownHeaders[strings.ToLower(field)] {
			return nil, Errorf(Invalid, "the header %q is the gateway's own; leave it out of the mock", field)
		}
		m.Headers = append(m.Headers, [2]string{field, value})
	}
	kinds := sortedNames(r.ResponseTemplates)
	if len(kinds) > 0 {
		kind := kinds[0]
		if _, ok := r.ResponseTemplates["application/json"]; ok {
			kind = "application/json"
		}
		m.Body = r.ResponseTemplates[kind]
		switch {
		case templated.MatchString(m.Body):
			return nil, Errorf(Invalid, "the mock's response template for %s has template language in it, so the answer is not fixed", kind)
		case len(m.Body) > MaxMockBytes:
			return nil, Errorf(Limit, "the mock's body has %d bytes; at most %d are allowed", len(m.Body), MaxMockBytes)
		case !headerValue.MatchString(kind):
			return nil, Errorf(Invalid, "the mock's content type %q cannot be sent as it is", kind)
		}
		if !m.has("Content-Type") {
			m.Headers = append(m.Headers, [2]string{"Content-Type", kind})
		}
	} else if !m.has("Content-Type") {
		m.Headers = append(m.Headers, [2]string{"Content-Type", "application/json"})
	}
	sort.Slice(m.Headers, func(i, j int) bool { return m.Headers[i][0] < m.Headers[j][0] })
	return m, nil
}

// mockResponse picks the integration response for a status code: the first whose
// pattern it matches, else the one without a pattern.
func (g *Integration) mockResponse(code int) (IntegrationResponse, error) {
	text := strconv.Itoa(code)
	var fallback *IntegrationResponse
	for _, key := range sortedNames(g.Responses) {
		r := g.Responses[key]
		pattern := r.Pattern()
		if pattern == "" && key != "default" && key != r.StatusCode {
			pattern = key
		}
		if pattern == "" {
			if fallback == nil || key == "default" {
				fallback = &r
			}
			continue
		}
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return r, Errorf(Invalid, "the selection pattern %q is not a regular expression", pattern)
		}
		if re.MatchString(text) {
			return r, nil
		}
	}
	if fallback == nil {
		return IntegrationResponse{}, unanswered(Errorf(Invalid, "the mock has no integration response for status code %d", code))
	}
	return *fallback, nil
}

func (m *Mock) has(name string) bool {
	for _, h := range m.Headers {
		if strings.EqualFold(h[0], name) {
			return true
		}
	}
	return false
}

func sortedNames[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// FixedMock is the MOCK integration that always answers with a status and a body.
func FixedMock(status int, contentType, body string) *Integration {
	code := strconv.Itoa(status)
	r := IntegrationResponse{StatusCode: code}
	if body != "" {
		r.ResponseTemplates = map[string]string{contentType: body}
	}
	return &Integration{Type: IntegrationMock, RequestTemplates: map[string]string{"application/json": `{"statusCode": ` + code + `}`},
		Responses: map[string]IntegrationResponse{"default": r}}
}
