package gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"tollgate/gateway/http1"
	"tollgate/gateway/journal"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// TryAuthorizer asks an authorizer about one call, as the gateway does for a method that
// it guards, without scopes, but for what is kept of earlier answers. What goes wrong is its answer;
// an error says that it could not be tried.
func (s *Trials) TryAuthorizer(ctx context.Context, in model.AuthorizerTrial) (model.AuthorizerAnswer, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return model.AuthorizerAnswer{}, model.Errorf(model.Unavailable, "too many trials at once; try again shortly")
	}
	s.begin()
	defer s.end()
	began, g := time.Now(), s.g
	tried, err := g.tryable(&in)
	if err != nil {
		return model.AuthorizerAnswer{}, model.Errorf(model.Invalid, "%v", err)
	}
	target := in.Target
	if target == "" {
		target = "/"
	}
	req, err := http.NewRequest(http.MethodGet, "/", bytes.NewReader(nil))
	if err != nil {
		return model.AuthorizerAnswer{}, err
	}
	req.RequestURI, req.Host, req.RemoteAddr = target, trialHost, trialCaller
	for name, values := range in.Headers {
		req.Header[name] = values
	}
	t := &trial{TrialCall: model.TrialCall{ID: in.ID, APIID: in.APIID, AccountID: in.AccountID, Variables: in.Variables}, head: http.Header{}}
	fmt.Fprintf(&t.log, "Execution log for request %s\n", in.ID)
	t.say("Starting authorizer: %s for request: %s", in.AuthorizerID, in.ID)
	out := model.AuthorizerAnswer{Status: answers[badRequest].status}
	g.server.Play(t, req, func(x *http1.Exchange) {
		c := x.App.(*call)
		id, _ := journal.ParseCallID(t.ID)
		c.begin(x, id)
		x.Rec = nil
		c.tenant = &tenant{account: in.AccountID, num: s.num.Add(1)} // accounts share nothing
		c.tenant.caps.Store(&g.o.Caps)
		set := serviceCredentials(in.Credentials)
		c.tenant.credentials.Store(&set)
		prog := &program{api: in.APIID, arn: g.apiARN(in.AccountID, in.APIID)}
		t.v = variant{prog: prog, runs: []run{{m: &method{timeout: authTimeout}}}, vars: in.Variables}
		c.stage, c.variant, c.run, c.trace = &stage{tenant: c.tenant, cfg: model.StageConfig{Stage: trialStage, APIID: in.APIID}}, &t.v, &t.v.runs[0], &t.trace
		c.path, c.match.Route, c.match.N = x.Request.Path.Of(x.In), -1, 0
		out = tried(c, x)
		_ = x.Reply(200, nil, nil)
	})
	out.Latency = time.Since(began)
	t.say("Successfully completed authorizer execution")
	out.Log = t.log.String()
	return out, nil
}

// tryable compiles the authorizer of a trial.
func (g *Gateway) tryable(in *model.AuthorizerTrial) (func(*call, *http1.Exchange) model.AuthorizerAnswer, error) {
	if def := in.Definition.Authorizer(in.AuthorizerID); def != nil && (def.Type == model.AuthCognito || def.Type == model.AuthJWT) {
		a, err := newTokenAuth(def)
		if err != nil {
			return nil, fmt.Errorf("authorizer %s: %w", def.Name, err)
		}
		return a.tried, nil
	}
	a, _, err := compileLambdaAuth(in.Definition, &model.Method{AuthorizationType: model.AuthCustom, AuthorizerID: in.AuthorizerID}, in.Variables, g.o.Endpoints, g.upstreams)
	if err != nil {
		return nil, err
	}
	return a.tried, nil
}

// tried is what the authorizer says of a call: of user pools, with an ID token.
func (a *tokenAuth) tried(c *call, x *http1.Exchange) model.AuthorizerAnswer {
	if k := a.authorize(c, x, nil); k != proceed {
		c.traceFailure(k)
		return model.AuthorizerAnswer{Status: answers[k].status}
	}
	w := c.caller
	out := model.AuthorizerAnswer{Principal: w.principal, Claims: map[string]string{}}
	for _, claim := range w.token.Claims {
		out.Claims[claim.Name] = w.claim(claim)
	}
	return out
}

// tried is what the authorizer says of a call.
func (a *lambdaAuth) tried(c *call, x *http1.Exchange) model.AuthorizerAnswer {
	_, k := a.known(nil, c, x)
	if k == proceed {
		v := a.ask(c, x)
		if v.policy != nil {
			out := model.AuthorizerAnswer{Principal: v.caller.principal, Policy: string(v.text), Authorization: map[string][]string{}}
			for _, name := range v.caller.authorizer.Keys() {
				if value, _ := v.caller.authorizer.Get(name); name != "principalId" && name != "integrationLatency" {
					out.Authorization[name] = []string{vtl.Text(value)}
				}
			}
			return out
		}
		k, c.why = v.kind, v.why
	}
	c.traceFailure(k)
	return model.AuthorizerAnswer{Status: answers[k].status}
}
