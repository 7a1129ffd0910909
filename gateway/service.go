package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/aws"
	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/model"
)

// service is the AWS service that an integration asks. Its connections are the
// method's own (method.out).
type service struct {
	target      *aws.Target
	endpoint    aws.Endpoint
	verb        string // "": the client's
	credentials string // as the integration names them; "": none
	function    bool   // it invokes a Lambda function
}

// parseService reads what an integration of type AWS or AWS_PROXY asks, once stage
// variables are in it.
func parseService(g *model.Integration) (*service, error) {
	s := &service{credentials: g.Credentials}
	var err error
	if s.target, err = aws.Parse(g.URI); err != nil {
		return nil, err
	}
	s.function = s.target.Invokes()
	if g.HTTPMethod != "" && g.HTTPMethod != "ANY" {
		s.verb = strings.ToUpper(g.HTTPMethod)
		if strings.ContainsFunc(s.verb, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			return nil, fmt.Errorf("integration httpMethod %.40q is not a verb", g.HTTPMethod)
		}
	}
	if c := g.Credentials; c != "" && c != model.CallersCredentials && !model.PrincipalARN(c) {
		return nil, fmt.Errorf("integration credentials %.200q are not the ARN of a role, nor %s for the caller's", c, model.CallersCredentials)
	}
	return s, nil
}

// checkService is what is wrong with an integration with an AWS service, stage variables
// in it or not; nil: nothing.
func checkService(g *model.Integration) error {
	s, err := parseService(g.OnTrial())
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), strconv.Quote(g.OnTrial().URI), strconv.Quote(g.URI)))
	}
	for _, v := range s.target.Variables() {
		if _, ok := g.RequestParameters["integration.request.path."+v]; !ok && len(g.RequestTemplates) == 0 {
			return fmt.Errorf("integration uri %.300q uses {%s}, but no request parameter maps integration.request.path.%s", g.URI, v, v)
		}
	}
	return nil
}

// compileService makes m's integration the one with an AWS service.
func (m *method) compileService(g *model.Integration, pools *http1.Upstreams, at aws.Endpoints) error {
	s, err := parseService(g)
	if err != nil {
		return err
	}
	s.endpoint = at.Of(s.target)
	m.service = s
	m.out = upstream{host: s.endpoint.Host, verb: s.verb, key: http1.PoolKey{Address: s.endpoint.Address, TLS: s.endpoint.TLS, Named: s.endpoint.Named}}
	if m.out.key.TLS {
		m.out.key.ServerName = serverName(s.endpoint.Address)
	}
	m.out.pool = pools.Pool(m.out.key, nil)
	return nil
}

// serviceAnswer is that of an integration of type AWS.
func (c *call) serviceAnswer(x *http1.Exchange, out *reply) kind {
	in, req, k := c.mapRequest(x)
	if k != proceed {
		return k
	}
	s := c.run.m.service
	ask := &aws.Mapped{Verb: s.verb, Path: req.Path, ContentType: req.ContentType, Body: req.Body}
	if ask.Verb == "" {
		ask.Verb = string(c.verb(x))
	}
	for _, q := range req.Query {
		ask.Query = append(ask.Query, aws.Field(q))
	}
	req.ContentType = "" // the service's protocol has one of its own
	for _, h := range mappedHeaders(req, "", c.run.m.mapped.api) {
		ask.Header = append(ask.Header, aws.Field(h))
	}
	answer := &mapping.Answer{}
	if k := c.askService(x, ask, answer); k != proceed {
		return k
	}
	if c.endpointID != "" {
		in.Context.Set("awsEndpointRequestId", c.endpointID)
	}
	selector := strconv.Itoa(answer.Status)
	if s.function {
		if answer.Status == 403 {
			c.why = "Invalid permissions on Lambda function"
			return configurationError
		}
		if answer.Status < 300 {
			selector = functionError(answer)
		}
	}
	return c.mapAnswer(in, selector, answer, out)
}

// functionError is what selection patterns are tried on where a Lambda function has
// answered: the message of its error; "" where it had none, so that .+ means any error.
func functionError(a *mapping.Answer) string {
	var e struct {
		Message *string `json:"errorMessage"`
	}
	if json.Unmarshal([]byte(a.Body), &e) == nil && e.Message != nil {
		return *e.Message
	}
	if len(a.Headers["X-Amz-Function-Error"]) > 0 {
		return a.Body // it failed without saying how
	}
	return ""
}

// askService asks the method's service, signed with the integration's credentials.
func (c *call) askService(x *http1.Exchange, ask *aws.Mapped, answer *mapping.Answer) kind {
	s := c.run.m.service
	r, err := s.target.Request(s.endpoint, ask)
	if err != nil {
		c.why = err.Error()
		if errors.Is(err, aws.ErrPath) {
			return badRequest
		}
		return configurationError
	}
	if !slices.ContainsFunc(r.Header, func(f aws.Field) bool { return strings.EqualFold(f.Name, "X-Amzn-Trace-Id") }) {
		r.Header = append(r.Header, aws.Field{Name: "X-Amzn-Trace-Id", Value: c.traceOn(x)})
	}
	keys, why := c.signer(s, r)
	if why != "" {
		c.why = why
		return configurationError
	}
	if keys != nil {
		r.Sign(*keys, c.now)
	}
	wire := r.Append(make([]byte, 0, 2048+len(r.Body)))
	shown := wire
	if c.trace != nil && keys != nil {
		shown = r.Concealed()
	}
	if k := c.askEndpoint(x, wire, shown, answer); k != proceed {
		return k
	}
	for _, name := range []string{"X-Amzn-Requestid", "X-Amz-Request-Id"} {
		if v := answer.Headers[name]; c.endpointID == "" && len(v) > 0 {
			c.endpointID = v[0]
		}
	}
	return proceed
}

// signer is what a request is signed with; nil: with nothing, as the service needs no
// signature or lets the gateway in by itself. why says that it cannot be signed.
func (c *call) signer(s *service, r *aws.Request) (keys *sigv4.Credentials, why string) {
	name := s.credentials
	switch name {
	case "":
		if !s.function {
			return nil, ""
		}
		name = model.DefaultCredential
	case model.CallersCredentials:
		if name = c.callerARN(); name == "" {
			return nil, "the integration signs with the caller's credentials, but the call was not signed"
		}
	}
	k := c.tenant.credential(name)
	switch {
	case k == nil && name == model.DefaultCredential:
		return nil, ""
	case k == nil:
		return nil, "no credentials are stored for " + name + ": store them as a service credential of the account"
	case !k.covers(r):
		return nil, fmt.Sprintf("the credentials stored for %s are not for %s in %s", name, r.Service, r.Region)
	}
	return &k.keys, ""
}

// callerARN is the user that has signed the call; "" where none has.
func (c *call) callerARN() string {
	if c.caller != nil && c.run.m.signed {
		for _, f := range c.caller.identity {
			if f[0] == "userArn" {
				return f[1]
			}
		}
	}
	return ""
}

// serviceCredentials are a trial's, by name.
func serviceCredentials(all []model.CredentialConfig) map[string]*credential {
	out := make(map[string]*credential, len(all))
	for i := range all {
		out[all[i].Name] = newCredential(&all[i])
	}
	return out
}
