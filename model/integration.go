package model

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What fields of an integration and of its answers can be, in the order that the service
// prints them in; "" leaves it to the default.
var (
	IntegrationTypes = []string{IntegrationHTTP, IntegrationMock, IntegrationAWSProxy, IntegrationHTTPProxy, IntegrationAWS}
	Passthroughs     = []string{"WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"}
	ContentHandlings = []string{"CONVERT_TO_BINARY", "CONVERT_TO_TEXT"}
	ConnectionTypes  = []string{"INTERNET", ConnectionVPCLink}
	TransferModes    = []string{"BUFFERED", "STREAM"}
)

var statusCode = regexp.MustCompile(`^[1-5]\d\d$`)

// ValidStatus says whether a method can answer with a status.
func ValidStatus(s string) bool { return statusCode.MatchString(s) }

// FieldFault is what is wrong with a field, in the service's words.
type FieldFault struct{ Field, Text string }

var (
	integrationParameter = regexp.MustCompile(`^integration\.request\.(header|path|querystring|multivalueheader|multivaluequerystring)\.[^ ]+$`)
	writtenVariable      = regexp.MustCompile(`\$\{stageVariables\.[A-Za-z0-9_]+\}`)
	serviceARN           = regexp.MustCompile(`^arn:[^:]+:[^:]+:[^:]*:[^:]*:.`)
	proxyTarget          = regexp.MustCompile(`^arn:[^:]+:apigateway:[^:]+:(lambda:path/\d{4}-\d{2}-\d{2}/functions/.+/(response-streaming-)?invocations|firehose:action/.+)$`)
	// braces of path variables are no characters of a URL.
	braces = strings.NewReplacer("{", "", "}", "")
)

// Faults are why an integration can never work, by field as it is named on the wire: in the
// order that the service looks in, and at most one for each field. None: it may.
func (g *Integration) Faults() (out []FieldFault) {
	no := func(field, format string, a ...any) {
		if !slices.ContainsFunc(out, func(f FieldFault) bool { return f.Field == field }) {
			out = append(out, FieldFault{field, fmt.Sprintf(format, a...)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.RequestParameters)) {
		if !integrationParameter.MatchString(name) {
			no("requestParameters", BadMapping, name)
		}
	}
	if ms := g.TimeoutMillis; ms != 0 && (ms < MinTimeoutMillis || ms > MaxTimeoutMillis) {
		no("timeoutInMillis", BadTimeout, MinTimeoutMillis, MaxTimeoutMillis)
	}
	if g.Type == IntegrationMock {
		return out
	}
	if g.HTTPMethod == "" {
		no("httpMethod", "Enumeration value for HttpMethod must be non-empty")
	} else if !slices.Contains(Verbs, g.HTTPMethod) {
		no("httpMethod", "Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY")
	}
	switch g.Type {
	case IntegrationHTTP, IntegrationHTTPProxy:
		u, err := url.Parse(braces.Replace(writtenVariable.ReplaceAllString(g.URI, "x")))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			no("uri", "Invalid HTTP endpoint specified for URI")
		}
	case IntegrationAWS, IntegrationAWSProxy:
		if !serviceARN.MatchString(g.URI) {
			no("uri", "Invalid ARN specified in the request")
			break
		}
		rest := strings.SplitN(g.URI, ":", 6)[5]
		if !strings.HasPrefix(rest, "path/") && !strings.HasPrefix(rest, "action/") {
			no("uri", "AWS ARN for integration must contain path or action")
		} else if g.Type == IntegrationAWSProxy && !proxyTarget.MatchString(g.URI) {
			no("uri", "Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream invocations.")
		}
	}
	return out
}

// The service's words for a name that nothing can be mapped to, and for a timeout that is
// out of bounds.
const (
	BadMapping = "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: %s]"
	BadTimeout = "Timeout should be between %d ms and %d ms"
)
