package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/gateway/aws"
	"tollgate/gateway/http1"
	"tollgate/gateway/journal"
	"tollgate/gateway/route"
	"tollgate/model"
)

const anyVerb = "ANY"

const (
	maxTrials    = 16 // at a time, of everybody
	maxTrialBody = 10 << 20
	// trialHost, trialStage and trialCaller are what the call says of a way that it did
	// not come, in the words of Amazon API Gateway.
	trialHost   = "testPrefix.testDomainName"
	trialStage  = "test-invoke-stage"
	trialCaller = "test-invoke-source-ip"
)

// Trials makes calls of methods that are not deployed, for those who build them: the
// steps are those of every call but for authorization, keys and limits, and it is
// neither metered nor recorded.
type Trials struct {
	g     *Gateway
	slots chan struct{}
	num   atomic.Uint32 // of the last trial that had a tenant of its own

	mu      sync.Mutex
	running int
}

// NewTrials makes trials whose upstreams may be in allow's networks besides the public
// Internet, and whose AWS services are at endpoints where those name them.
func NewTrials(allow []netip.Prefix, endpoints aws.Endpoints, pools model.UserPools, log *slog.Logger) *Trials {
	o := Options{Allow: allow, Endpoints: endpoints, UserPools: pools, Log: log}
	o.complete()
	g := &Gateway{o: o, log: o.Log, reg: newRegistry(), large: newTurns(largeAtOnce), medium: newTurns(mediumAtOnce)}
	g.signers.Store(&map[string]*signer{})
	g.serverUp()
	return &Trials{g: g, slots: make(chan struct{}, maxTrials)}
}

// Close ends what trials keep open.
func (s *Trials) Close(ctx context.Context) error {
	err := s.g.server.Drain(ctx)
	s.g.upstreams.Keep(nil)
	s.g.tokens.Close()
	s.g.outward.CloseIdleConnections()
	return err
}

// Try makes one call. What goes wrong on its way is its answer; an error says that
// it could not be tried.
func (s *Trials) Try(ctx context.Context, c model.TrialCall) (model.TrialAnswer, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return model.TrialAnswer{}, model.Errorf(model.Unavailable, "too many trials at once; try again shortly")
	}
	s.begin()
	defer s.end()
	began := time.Now()
	t := &trial{TrialCall: c, trace: trace{trial: true}}
	fmt.Fprintf(&t.log, "Execution log for request %s\n", c.ID)
	t.say("Starting execution for request: %s", c.ID)
	t.say("HTTP Method: %s, Resource Path: %s", c.Verb, c.Path)
	a := t.run(s.g)
	t.say("Method completed with status: %d", a.Status)
	a.Log, a.Latency = t.log.String(), time.Since(began)
	return a, nil
}

func (s *Trials) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
}

// end lets go of connections once nobody tries anything: tenants choose where they go.
func (s *Trials) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 {
		s.g.upstreams.Keep(nil)
		s.g.tokens.Keep(nil)
	}
}

// trial is one call under way.
type trial struct {
	model.TrialCall
	trace
	v       variant
	answer  bytes.Buffer
	head    http.Header
	status  int
	tooLong bool
}

// run takes the call through the gateway's steps.
func (t *trial) run(g *Gateway) model.TrialAnswer {
	prog, err := t.program(g)
	if err != nil {
		return t.fail(configurationError, err.Error())
	}
	t.v = variant{prog: prog, runs: []run{}, vars: t.Variables}
	for i := range prog.methods {
		m := &prog.methods[i]
		u := compose(prog, m, nil) &^ (usesAccess | usesKey)
		t.v.runs = append(t.v.runs, run{m: m, steps: stepLists[u], names: stepNames[u]})
	}
	target := t.Target
	if target == "" {
		target = "/"
	}
	verb := t.Verb
	if verb == anyVerb {
		verb = http.MethodGet
	}
	req, err := http.NewRequest(verb, "/", bytes.NewReader(t.Body))
	if err != nil {
		return t.fail(badRequest, err.Error())
	}
	req.RequestURI, req.Host, req.RemoteAddr = target, trialHost, trialCaller
	for name, values := range t.Headers {
		req.Header[name] = values
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "AmazonAPIGateway_"+t.APIID)
	}
	t.head = http.Header{}
	if !g.server.Play(t, req, func(x *http1.Exchange) { t.serve(g, x) }) && t.status == 0 {
		return t.fail(integrationFailure, "the answer broke off")
	}
	if t.tooLong {
		return t.fail(integrationFailure, "the endpoint's answer has more than the "+strconv.Itoa(maxTrialBody)+" bytes that a trial takes")
	}
	if m := t.method(); m.whole == nil && m.mock == nil && !t.asked.IsZero() && !t.failed {
		t.say("Endpoint response body before transformations: %s", short(t.answer.Bytes()))
	}
	if !t.failed {
		t.say("Method response body after transformations: %s", short(t.answer.Bytes()))
		t.say("Method response headers: %s", headerText(t.head))
		t.say("Successfully completed execution")
	}
	return model.TrialAnswer{Status: t.status, Headers: t.spelled(), Body: t.answer.Bytes()}
}

// program compiles the method alone: what is wrong with others is not looked at.
func (t *trial) program(g *Gateway) (*program, error) {
	d := *t.Definition
	d.Resources, d.Policy, d.Unserved, d.Endpoint, d.SecurityPolicy, d.EndpointAccessMode, d.APIKeySource = nil, "", nil, nil, "", "", ""
	for _, r := range t.Definition.Resources {
		if r.Path != t.Path {
			continue
		}
		m, ok := r.Methods[t.Verb]
		if !ok {
			m, ok = r.Methods[anyVerb]
		}
		if !ok {
			return nil, fmt.Errorf("there is no method for %s", t.Verb)
		}
		m.AuthorizationType, m.APIKeyRequired = model.AuthNone, false // who builds the method may call it
		r.Methods = map[string]model.Method{anyVerb: m}
		d.Resources = []model.Resource{r}
	}
	prog, err := compile(&model.DeploymentContent{APIID: t.APIID, Definition: d, Methods: []model.MethodNumber{{Path: t.Path, Verb: anyVerb, Num: 1}}}, t.Variables, outward{pools: g.upstreams, link: t.link, arn: g.apiARN(t.AccountID, t.APIID), at: g.o.Endpoints})
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), anyVerb+" "+t.Path+": "))
	}
	return prog, nil
}

// link is one of the account's, of whose targets nothing is known.
func (t *trial) link(id string) *linkRef {
	r := newRegistry()
	r.applyLinks(0, t.Links)
	return r.linkRef(linkKey{0, id})
}

func (t *trial) method() *method { return &t.v.prog.methods[0] }

// serve is what find is for a call that came to a gateway: the method is known.
func (t *trial) serve(g *Gateway, x *http1.Exchange) {
	c := x.App.(*call)
	id, _ := journal.ParseCallID(t.ID)
	c.begin(x, id)
	x.Rec = nil
	c.tenant = &tenant{account: t.AccountID}
	c.tenant.caps.Store(&g.o.Caps)
	set := serviceCredentials(t.Credentials)
	c.tenant.credentials.Store(&set)
	c.stage, c.variant, c.trace = &stage{tenant: c.tenant, cfg: model.StageConfig{Stage: trialStage, APIID: t.APIID}}, &t.v, &t.trace
	path := x.Request.Path.Of(x.In)
	if c.path = path; t.Target == "" || !t.v.prog.tree.Match(path, x.Request.Method.Of(x.In), &c.match) {
		// One that is not the resource's has no values for its variables, as on Amazon
		// API Gateway.
		c.match, c.path = route.Match{}, path[:0]
		t.method().out.isSame = false
	}
	c.run = &t.v.runs[0]
	vars := map[string]string{}
	for _, v := range c.match.Vars[:c.match.N] {
		vars[v.Name] = string(c.path[v.Start:v.End])
	}
	t.say("Method request path: %s", braces(vars))
	t.say("Method request query string: %s", queryText(string(x.Request.Query.Of(x.In))))
	t.say("Method request headers: %s", headerText(t.Headers))
	t.say("Method request body before transformations: %s", short(t.Body))
	c.advance(x, proceed)
}

// fail is the gateway's own answer of a kind.
func (t *trial) fail(k kind, why string) model.TrialAnswer {
	c := call{trace: &t.trace, why: why}
	c.traceFailure(k)
	h := http.Header{}
	for line := range strings.SplitSeq(string(answers[k].head), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && name != "Content-Type" {
			h[name] = []string{value} // as it is spelled
		}
	}
	return model.TrialAnswer{Status: answers[k].status, Headers: h, Body: answers[k].body}
}

// spelled are the answer's headers as the gateway spells its own.
func (t *trial) spelled() http.Header {
	out := http.Header{}
	for name, values := range t.head {
		switch name {
		case "X-Amzn-Requestid", "X-Amz-Apigw-Id", "Content-Length", "Date":
			continue
		case "X-Amzn-Errortype":
			name = "x-amzn-ErrorType"
		case "Content-Type":
			if t.failed {
				continue
			}
		}
		out[name] = values
	}
	return out
}

// Header, Write and WriteHeader make the trial what the answer is written to.
func (t *trial) Header() http.Header { return t.head }

func (t *trial) WriteHeader(status int) { t.status = status }

func (t *trial) Write(p []byte) (int, error) {
	if t.answer.Len()+len(p) > maxTrialBody {
		t.tooLong = true
		return 0, http.ErrContentLength
	}
	return t.answer.Write(p)
}

func headerText(h map[string][]string) string {
	m := map[string]string{}
	for k, vs := range h {
		m[k] = strings.Join(vs, ",")
	}
	return braces(m)
}

func queryText(q string) string {
	m := map[string]string{}
	for part := range strings.SplitSeq(q, "&") {
		if k, v, _ := strings.Cut(part, "="); k != "" {
			m[k] = v
		}
	}
	return braces(m)
}
