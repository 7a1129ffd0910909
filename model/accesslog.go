package model

import (
	"net/url"
	"regexp"
	"strings"
)

// LogPart is a piece of an access log's format: text, or a variable of $context by the
// name that follows "$context.".
type LogPart struct{ Text, Variable string }

// ParseLogFormat takes a format apart. One without a request id, in one form or the
// other, is refused: its lines could not be told from each other.
func ParseLogFormat(format string) ([]LogPart, error) {
	const mark = "$context."
	var out []LogPart
	named := false
	for format != "" {
		i := strings.Index(format, mark)
		if i < 0 {
			out = append(out, LogPart{Text: format})
			break
		}
		rest := format[i+len(mark):]
		n := 0
		for n < len(rest) && inLogVariable(rest[n], strings.HasPrefix(rest, "authorizer.")) {
			n++
		}
		for n > 0 && strings.IndexByte(".:-", rest[n-1]) >= 0 {
			n-- // ends a sentence, not a name
		}
		if n == 0 {
			out, format = append(out, LogPart{Text: format[:i+len(mark)]}), rest
			continue
		}
		if i > 0 {
			out = append(out, LogPart{Text: format[:i]})
		}
		out = append(out, LogPart{Variable: rest[:n]})
		named = named || rest[:n] == "requestId" || rest[:n] == "extendedRequestId"
		format = rest[n:]
	}
	if !named {
		return nil, Errorf(Invalid, "an access log's format must contain $context.requestId or $context.extendedRequestId")
	}
	return out, nil
}

func inLogVariable(b byte, claims bool) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.' || claims && (b == ':' || b == '-')
}

// LogDestination is where an access log goes: the name of a log group or of a delivery
// stream, whose lines are the operator's to keep, or an address that they are posted to.
type LogDestination struct {
	Name string
	URL  *url.URL // nil: by name
}

var (
	logGroupARN = regexp.MustCompile(`^arn:[a-z-]+:logs:[a-z0-9-]*:\d{12}:log-group:([A-Za-z0-9_/.#-]{1,512})(:\*)?$`)
	firehoseARN = regexp.MustCompile(`^arn:[a-z-]+:firehose:[a-z0-9-]*:\d{12}:deliverystream/(amazon-apigateway-[A-Za-z0-9_.-]{1,64})$`)
)

// ParseLogDestination reads an ARN, or an http or https address.
func ParseLogDestination(text string) (LogDestination, error) {
	for _, arn := range []*regexp.Regexp{logGroupARN, firehoseARN} {
		if m := arn.FindStringSubmatch(text); m != nil {
			return LogDestination{Name: m[1]}, nil
		}
	}
	if strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://") {
		if u, err := url.Parse(text); err == nil && u.Host != "" && u.Fragment == "" {
			return LogDestination{URL: u}, nil
		}
	}
	return LogDestination{}, Errorf(Invalid, "an access log goes to a log group (arn:aws:logs:REGION:ACCOUNT:log-group:NAME), a delivery stream (arn:aws:firehose:REGION:ACCOUNT:deliverystream/amazon-apigateway-NAME) or an https:// address, not to %.100q", text)
}
