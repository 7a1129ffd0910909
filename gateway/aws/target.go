package aws

import (
	"fmt"
	"net/url"
	"strings"
)

// maxURI bounds an integration's URI, in bytes.
const maxURI = 4096

// Target is what an integration URI names: an operation of a service in a region.
type Target struct {
	Partition string // aws, aws-cn, aws-us-gov
	Region    string // of the URI
	Subdomain string // before the service: a bucket, an endpoint's own name; "": none
	Service   string // as its host names it
	Action    string // ""; the path says what is asked for

	path   []piece // of a path URI, without its first slash
	params []param // behind an action or of a path's query
	of     service
}

// piece is a literal part of a path or a value, or a variable's place in it.
type piece struct{ literal, variable string }

type param struct {
	name  string
	value []piece
}

// Parse reads an integration URI, in which stage variables have been replaced:
//
//	arn:aws:apigateway:{region}:{subdomain.}{service}:path/{path}
//	arn:aws:apigateway:{region}:{subdomain.}{service}:action/{action}&{name}={value}
//
// Variables in braces get their values from integration.request.path parameters.
func Parse(uri string) (*Target, error) {
	no := func(format string, a ...any) (*Target, error) {
		return nil, fmt.Errorf("integration uri %.300q: %s", uri, fmt.Sprintf(format, a...))
	}
	if len(uri) > maxURI {
		return no("it has %d bytes; at most %d are allowed", len(uri), maxURI)
	}
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] >= 0x7f {
			return no("it has a character that no URI has")
		}
	}
	if strings.Contains(uri, "${") {
		return no("it uses ${…} for something else than stage variables")
	}
	p := strings.SplitN(uri, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[2] != "apigateway" {
		return no("it is not arn:aws:apigateway:{region}:{service}:path/… or …:action/…")
	}
	t := &Target{Partition: p[1], Region: p[3]}
	if _, ok := suffixes[t.Partition]; !ok {
		return no("partition %q is not aws, aws-cn or aws-us-gov", t.Partition)
	}
	if !label(t.Region) {
		return no("it names no region")
	}
	for part := range strings.SplitSeq(p[4], ".") {
		if !label(part) {
			return no("%q is no service", p[4])
		}
	}
	t.named(p[4])
	kind, rest, ok := strings.Cut(p[5], "/")
	var err error
	switch {
	case ok && kind == "path":
		err = t.byPath(rest)
	case ok && kind == "action":
		err = t.byAction(rest)
	default:
		return no("AWS ARN for integration must contain path or action")
	}
	if err != nil {
		return no("%v", err)
	}
	return t, nil
}

// named splits a service from what is before it: a service's own name may have dots.
func (t *Target) named(full string) {
	for name := full; ; {
		if s, ok := services[name]; ok {
			t.of, t.Service, t.Subdomain = s, name, strings.TrimSuffix(strings.TrimSuffix(full, name), ".")
			return
		}
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			t.Service, t.Subdomain = name, strings.TrimSuffix(strings.TrimSuffix(full, name), ".")
			return
		}
		name = rest
	}
}

func (t *Target) byPath(rest string) error {
	path, q, _ := strings.Cut(rest, "?")
	if strings.ContainsAny(rest, "#") {
		return fmt.Errorf("it has a fragment")
	}
	var err error
	if t.path, err = pieces(path); err != nil {
		return err
	}
	for seg := range strings.SplitSeq(path, "/") {
		if seg == "." || seg == ".." {
			return fmt.Errorf("its path has a dot segment")
		}
	}
	return t.parameters(q)
}

func (t *Target) byAction(rest string) error {
	name, q, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "&")
	if !word(name) {
		return fmt.Errorf("%.100q is no action", name)
	}
	t.Action = name
	if err := t.parameters(q); err != nil {
		return err
	}
	if t.Service == "s3" {
		return t.object()
	}
	if t.of.protocol == "" && t.param("Version") == nil {
		return fmt.Errorf("%s has no actions that can be asked for by name: use path/… or, if it is of the query protocol, add &Version=…", t.Service)
	}
	return nil
}

// parameters reads what follows an action, or a path's query.
func (t *Target) parameters(q string) error {
	for part := range strings.SplitSeq(q, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || name == "" || strings.ContainsAny(name, "{}") {
			return fmt.Errorf("%.100q is no parameter", part)
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return fmt.Errorf("%.100q is no parameter", part)
		}
		v, err := pieces(value)
		if err != nil {
			return err
		}
		t.params = append(t.params, param{name, v})
	}
	return nil
}

func (t *Target) param(name string) []piece {
	for i := range t.params {
		if t.params[i].name == name {
			return t.params[i].value
		}
	}
	return nil
}

// objectActions are S3's that a URI can ask for by name; S3 itself knows verbs and
// paths only.
var objectActions = map[string]string{"GetObject": "GET", "PutObject": "PUT", "HeadObject": "HEAD", "DeleteObject": "DELETE",
	"ListObjects": "GET", "ListObjectsV2": "GET", "ListBuckets": "GET", "CreateBucket": "PUT", "HeadBucket": "HEAD", "DeleteBucket": "DELETE"}

// object turns an action of S3 into the path that means it.
func (t *Target) object() error {
	if _, ok := objectActions[t.Action]; !ok {
		return fmt.Errorf("the action %s of s3 is not known by name: use path/…", t.Action)
	}
	if t.Subdomain == "" && t.Action != "ListBuckets" {
		bucket := t.param("Bucket")
		if bucket == nil {
			return fmt.Errorf("%s needs &Bucket=…", t.Action)
		}
		t.path = append(t.path, bucket...)
	}
	if strings.HasSuffix(t.Action, "Object") {
		key := t.param("Key")
		if key == nil {
			return fmt.Errorf("%s needs &Key=…", t.Action)
		}
		if t.path != nil {
			t.path = append(t.path, piece{literal: "/"})
		}
		t.path = append(t.path, key...)
	}
	var rest []param
	if t.Action == "ListObjectsV2" {
		rest = append(rest, param{"list-type", []piece{{literal: "2"}}})
	}
	for _, p := range t.params {
		if p.name != "Bucket" && p.name != "Key" {
			rest = append(rest, p)
		}
	}
	t.params = rest
	return nil
}

// verb is the one that the service is asked by, where the URI decides it.
func (t *Target) verb() string {
	if t.Service == "s3" && t.Action != "" {
		return objectActions[t.Action]
	}
	return ""
}

// Variables are the names whose values a request must bring.
func (t *Target) Variables() []string {
	var out []string
	add := func(ps []piece) {
		for _, p := range ps {
			if p.variable != "" {
				out = append(out, p.variable)
			}
		}
	}
	add(t.path)
	for i := range t.params {
		add(t.params[i].value)
	}
	return out
}

// Function is the ARN of the Lambda function that the path invokes, as the URI spells
// it; "" where it invokes none. stream says that its answer comes in pieces.
func (t *Target) Function() (arn string, stream bool) {
	if t.Service != "lambda" || t.Action != "" || len(t.path) != 1 || t.path[0].variable != "" {
		return "", false
	}
	_, rest, ok := strings.Cut(t.path[0].literal, "/functions/")
	if !ok {
		return "", false
	}
	arn, what, _ := strings.Cut(rest, "/")
	if u, err := url.PathUnescape(arn); err == nil {
		arn = u
	}
	switch what {
	case "invocations":
		return arn, false
	case "response-streaming-invocations":
		return arn, true
	}
	return "", false
}

// Invokes says whether the path invokes a Lambda function and waits for its whole answer.
func (t *Target) Invokes() bool {
	if t.Service != "lambda" || len(t.path) == 0 {
		return false
	}
	return strings.Contains(t.path[0].literal, "/functions/") && strings.HasSuffix(t.path[len(t.path)-1].literal, "/invocations")
}

// pieces splits a text at its variables.
func pieces(s string) ([]piece, error) {
	var out []piece
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			if strings.IndexByte(s, '}') >= 0 {
				return nil, fmt.Errorf("it has a closing brace too many")
			}
			return append(out, piece{literal: s}), nil
		}
		if strings.IndexByte(s[:open], '}') >= 0 {
			return nil, fmt.Errorf("it has a closing brace too many")
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			return nil, fmt.Errorf("it has an open brace")
		}
		name := strings.TrimSuffix(s[open+1:open+end], "+")
		if name == "" || strings.ContainsAny(name, "{/") {
			return nil, fmt.Errorf("%.100q is no variable", s[open:open+end+1])
		}
		if open > 0 {
			out = append(out, piece{literal: s[:open]})
		}
		out = append(out, piece{variable: name})
		s = s[open+end+1:]
	}
	return out, nil
}

// label says whether s may stand in a host name.
func label(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// word says whether s can be an action's name.
func word(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
