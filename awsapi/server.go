package awsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/model"
)

// Options of the face. Plane is needed.
type Options struct {
	Plane *control.Plane
	Usage *intake.Intake
	// Region is what ARNs name; signatures are verified for whatever region the
	// client signed with.
	Region string
	// Gateway is the public address that calls go to.
	Gateway *url.URL
	// BehindProxy says that X-Forwarded-For is set by a proxy of the operator's.
	BehindProxy bool
	// Try makes calls of methods that are not deployed.
	Try Trial
	// TryAuthorizer asks authorizers about calls that nobody has made.
	TryAuthorizer AuthorizerTrial
	Log           *slog.Logger
	Now           func() time.Time
}

// Server serves the control API.
type Server struct {
	Options
	routes   map[string][]route // by verb and number of segments
	unproved unproved
}

// handler does one operation. What it returns is the answer's body, nil for an
// empty one.
type handler func(*call) (any, error)

// handlers are operations by name.
type handlers map[string]handler

type route struct {
	operation
	segments []string
	do       handler
}

// New makes the face.
func New(o Options) (*Server, error) {
	if o.Plane == nil {
		return nil, fmt.Errorf("awsapi: Plane is needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	s := &Server{Options: o, routes: map[string][]route{}, unproved: unproved{of: map[uint32]int64{}}}
	all := handlers{}
	for _, some := range nouns {
		for name, do := range some {
			all[name] = do
		}
	}
	for _, op := range slices.Concat(operations, ruleOperations) {
		r := route{operation: op, segments: strings.Split(op.path[1:], "/"), do: all[op.name]}
		key := shape(op.verb, len(r.segments))
		s.routes[key] = append(s.routes[key], r)
	}
	return s, nil
}

func shape(verb string, segments int) string { return fmt.Sprintf("%s %d", verb, segments) }

// nouns are the operations there are, by file.
var nouns = []handlers{
	restAPIs, resources, methods, integrations, models, validators, authorizers, gatewayResponses, documentation,
	deployments, stages, apiKeys, usagePlans, domainNames, routingRules, accessAssociations, vpcLinks, clientCertificates, account, tags, sdks, exports, imports, tests,
}

// ServeHTTP serves the control API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Server: s, w: w, r: r, ctx: r.Context(), id: model.NewRequestID()}
	if isNative(r) {
		c.serveNative()
		return
	}
	w.Header().Set("X-Amzn-Requestid", c.id)
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

// maxBody bounds what a client may send: OpenAPI documents are the largest.
const maxBody = 16 << 20

// read takes in the body.
func (c *call) read(limit int64) (err error) {
	c.body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure{http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("the body has more than %d bytes", limit)}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return failure{http.StatusRequestTimeout, "RequestTimeoutException", "the body did not arrive in time"}
	}
	if err != nil {
		return badRequest("the body broke off")
	}
	return nil
}

func (c *call) serve() error {
	if err := c.authenticate(); err != nil {
		return unsigned(err)
	}
	if c.service != "apigateway" {
		return c.serveOther()
	}
	r, args, err := c.find()
	if err != nil {
		return err
	}
	c.op, c.args = &r.operation, args
	out, err := r.do(c)
	if err != nil {
		return err
	}
	return c.answer(r.status, out)
}

// find is the operation at the call's path, which is matched as it was sent: an
// escaped slash is no separator.
func (c *call) find() (*route, map[string]string, error) {
	if c.query == nil {
		c.query = c.r.URL.Query()
	}
	segments := strings.Split(strings.Trim(c.r.URL.EscapedPath(), "/"), "/")
	candidates := c.routes[shape(c.r.Method, len(segments))]
	var best *route
	var bestArgs map[string]string
next:
	for i := range candidates {
		r := &candidates[i]
		args := map[string]string{}
		for j, s := range r.segments {
			if !strings.HasPrefix(s, "{") {
				if s != segments[j] {
					continue next
				}
				continue
			}
			v, err := url.PathUnescape(segments[j])
			if err != nil || v == "" {
				continue next
			}
			args[s[1:len(s)-1]] = v
		}
		if r.query != "" {
			name, value, _ := strings.Cut(r.query, "=")
			if c.query.Get(name) != value {
				continue
			}
		} else if best != nil {
			continue
		}
		best, bestArgs = r, args
	}
	if best == nil {
		return nil, nil, failure{403, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	if best.do == nil {
		return nil, nil, failure{501, "NotImplementedException", best.name + " is not served yet"}
	}
	return best, bestArgs, nil
}

// call is one request.
type call struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	id      string // request id
	service string // that it was signed for
	actor   control.Actor
	op      *operation
	args    map[string]string // of the path, unescaped
	query   url.Values
	body    []byte
}

// in reads the body.
func (c *call) in(v any) error {
	if len(c.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return failure{400, "SerializationException", fmt.Sprintf("%s is of the wrong type: %s", c.member(t.Field), t.Value)}
		}
		return failure{400, "SerializationException", "the body is not JSON that can be read: " + err.Error()}
	}
	return nil
}

// member is the name that the client gave a member of the body, which is matched
// whatever its case.
func (c *call) member(field string) string {
	var sent map[string]json.RawMessage
	if json.Unmarshal(c.body, &sent) != nil || field == "" {
		return "the body"
	}
	name, rest, _ := strings.Cut(field, ".")
	for s := range sent {
		if strings.EqualFold(s, name) {
			name = s
		}
	}
	return strings.TrimSuffix(name+"."+rest, ".")
}

// file is an answer that is not JSON of ours.
type file struct {
	contentType, disposition string
	body                     []byte
}

func (c *call) answer(status int, out any) error {
	h := c.w.Header()
	switch out := out.(type) {
	case nil:
		c.w.WriteHeader(status)
		return nil
	case file:
		h.Set("Content-Type", out.contentType)
		if out.disposition != "" {
			h.Set("Content-Disposition", out.disposition)
		}
		c.w.WriteHeader(status)
		_, _ = c.w.Write(out.body)
		return nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	h.Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b)
	return nil
}

// stamp is a time on this wire: seconds since 1970.
type stamp time.Time

// MarshalJSON writes whole seconds, as the service does.
func (t stamp) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", time.Time(t).Unix()), nil
}
