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
	ownHeaders = map[string]bool{"content-length": true, "connection": true, "transfer-encoding": true, "date": true, "keep-alive": true,
		"trailer": true, "upgrade": true, "proxy-connection": true, "x-amzn-requestid": true, "x-amz-apigw-id": true}
	// remapped are those that an integration's author cannot set either.
	remapped = map[string]bool{"authorization": true, "content-md5": true, "expect": true, "host": true, "max-forwards": true, "proxy-authenticate": true,
		"server": true, "user-agent": true, "www-authenticate": true}
)

// OwnHeader says that a header of answers is the gateway's, whatever an author maps.
func OwnHeader(name string) bool { return ownHeaders[strings.ToLower(name)] }

// MappedHeader is the name that a header gets which an integration response sets: some
// are prefixed, as Amazon API Gateway does, and Transfer-Encoding is left out: "".
func MappedHeader(name string) string {
	l := strings.ToLower(name)
	switch {
	case l == "transfer-encoding":
		return ""
	case ownHeaders[l] || remapped[l]:
		return "x-amzn-Remapped-" + name
	}
	return name
}

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
		err := json.Unmarshal([]byte(t), &v)
		if err != nil {
			err = json.Unmarshal([]byte(RelaxedJSON(t)), &v)
		}
		if err != nil || v.StatusCode == nil {
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
		if MappedHeader(field) != field {
			return nil, Errorf(Invalid, "the mock's header %q is sent under another name, so the answer is not the mock's", field)
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

// RelaxedJSON is a text as JSON where it has names without quotes, or text in single
// ones, as mocks may: {statusCode: 200}, which the AWS CDK writes. What is otherwise no
// JSON stays so.
func RelaxedJSON(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\'':
			end := i + 1
			for end < len(text) && text[end] != c {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			in := text[i+1 : min(end, len(text))]
			if c == '\'' {
				in = strings.ReplaceAll(strings.ReplaceAll(in, `\'`, `'`), `"`, `\"`)
			}
			out.WriteString(`"` + in)
			if end < len(text) {
				out.WriteByte('"')
			}
			i = end + 1
		case name(c):
			end := i + 1
			for end < len(text) && (name(text[end]) || text[end] >= '0' && text[end] <= '9') {
				end++
			}
			switch word := text[i:end]; word {
			case "true", "false", "null":
				out.WriteString(word)
			default:
				out.WriteString(`"` + word + `"`)
			}
			i = end
		case c >= '0' && c <= '9' || c == '-':
			end := i + 1 // an exponent is no name
			for end < len(text) && (text[end] >= '0' && text[end] <= '9' || strings.IndexByte("+-.eE", text[end]) >= 0) {
				end++
			}
			out.WriteString(text[i:end])
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String()
}

func name(c byte) bool { return c == '_' || c == '$' || c|0x20 >= 'a' && c|0x20 <= 'z' }

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
