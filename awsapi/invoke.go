package awsapi

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var tests = handlers{
	"TestInvokeMethod":     (*call).testInvokeMethod,
	"TestInvokeAuthorizer": (*call).testInvokeAuthorizer,
}

// Trial makes one call of a method that need not be deployed.
type Trial func(ctx context.Context, c model.TrialCall) (model.TrialAnswer, error)

// Limits of what a trial is made with.
const (
	maxTrialHeaders = 100
	maxTrialTarget  = 10_240
)

func (c *call) testInvokeMethod() (any, error) {
	var in struct {
		PathWithQueryString string
		Body                string
		Headers             map[string]string
		MultiValueHeaders   map[string][]string
		ClientCertificateID string
		StageVariables      map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	// The call reaches an upstream with what the definition has: as a change does.
	if err := c.actor.May(control.ToBuild); err != nil {
		return nil, err
	}
	api, err := c.api()
	if err != nil {
		return nil, err
	}
	d := &api.Definition
	i := slices.IndexFunc(d.Resources, func(r model.Resource) bool { return r.ID == c.args["resource_id"] })
	if i < 0 {
		return nil, notFound("Invalid Resource identifier specified")
	}
	verb := c.args["http_method"]
	_, own := d.Resources[i].Methods[verb]
	if _, any := d.Resources[i].Methods["ANY"]; !own && !any || !slices.Contains(model.Verbs, verb) {
		return nil, notFound("Invalid Method identifier specified")
	}
	if len(in.PathWithQueryString) > maxTrialTarget || len(in.Headers)+len(in.MultiValueHeaders) > maxTrialHeaders {
		return nil, badRequest("a trial has a path of at most %d bytes and at most %d headers", maxTrialTarget, maxTrialHeaders)
	}
	if in.PathWithQueryString != "" && !strings.HasPrefix(in.PathWithQueryString, "/") {
		return nil, badRequest("Invalid path specified: %.200s must begin with /", in.PathWithQueryString)
	}
	h := http.Header{}
	for k, v := range in.Headers {
		h.Set(k, v)
	}
	for k, vs := range in.MultiValueHeaders {
		h[textproto.CanonicalMIMEHeaderKey(k)] = vs
	}
	a, err := c.Try(c.ctx, model.TrialCall{ID: model.NewRequestID(), AccountID: c.actor.AccountID, APIID: c.args["restapi_id"], Definition: d, Path: d.Resources[i].Path, Verb: verb, Target: in.PathWithQueryString,
		Headers: h, Body: []byte(in.Body), Variables: in.StageVariables})
	if err != nil {
		return nil, err
	}
	first := make(map[string]string, len(a.Headers))
	for k, vs := range a.Headers {
		first[k] = vs[len(vs)-1]
	}
	return struct {
		Status            int                 `json:"status"`
		Body              string              `json:"body"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
		Log               string              `json:"log"`
		Latency           int64               `json:"latency"`
	}{a.Status, strings.ToValidUTF8(string(a.Body), "\uFFFD"), first, a.Headers, a.Log, a.Latency.Milliseconds()}, nil
}

// AuthorizerTrial asks an authorizer that need not be deployed about a call.
type AuthorizerTrial func(ctx context.Context, c model.AuthorizerTrial) (model.AuthorizerAnswer, error)

func (c *call) testInvokeAuthorizer() (any, error) {
	var in struct {
		PathWithQueryString string
		Body                string
		Headers             map[string]string
		MultiValueHeaders   map[string][]string
		StageVariables      map[string]string
		AdditionalContext   map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if err := c.actor.May(control.ToBuild); err != nil {
		return nil, err
	}
	d, err := c.apiOr(noAuthorizer)
	if err != nil {
		return nil, err
	}
	a := d.Authorizer(c.args["authorizer_id"])
	if a == nil {
		return nil, noAuthorizer
	}
	if len(in.PathWithQueryString) > maxTrialTarget || len(in.Headers)+len(in.MultiValueHeaders) > maxTrialHeaders {
		return nil, badRequest("a trial has a path of at most %d bytes and at most %d headers", maxTrialTarget, maxTrialHeaders)
	}
	if in.PathWithQueryString != "" && !strings.HasPrefix(in.PathWithQueryString, "/") {
		return nil, badRequest("Invalid path specified: %.200s must begin with /", in.PathWithQueryString)
	}
	h := http.Header{}
	for k, v := range in.Headers {
		h.Set(k, v)
	}
	for k, vs := range in.MultiValueHeaders {
		h[textproto.CanonicalMIMEHeaderKey(k)] = vs
	}
	out, err := c.TryAuthorizer(c.ctx, model.AuthorizerTrial{ID: model.NewRequestID(), AccountID: c.actor.AccountID, APIID: c.args["restapi_id"], Definition: d, AuthorizerID: a.ID,
		Target: in.PathWithQueryString, Headers: h, Variables: in.StageVariables})
	if err != nil {
		return nil, err
	}
	if out.Authorization == nil {
		out.Authorization = map[string][]string{}
	}
	if out.Claims == nil {
		out.Claims = map[string]string{}
	}
	return struct {
		ClientStatus  int                 `json:"clientStatus"`
		Log           string              `json:"log"`
		Latency       int64               `json:"latency"`
		PrincipalID   string              `json:"principalId,omitempty"`
		Policy        string              `json:"policy,omitempty"`
		Authorization map[string][]string `json:"authorization"`
		Claims        map[string]string   `json:"claims"`
	}{out.Status, out.Log, out.Latency.Milliseconds(), out.Principal, out.Policy, out.Authorization, out.Claims}, nil
}
