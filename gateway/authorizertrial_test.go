package gateway

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"tollgate/gateway/aws"
	"tollgate/model"
)

// An authorizer can be tried before a method is guarded by it.
func TestTryAuthorizer(t *testing.T) {
	f := newFunctions(t)
	f.secret.Store("secret")
	at, err := aws.ParseEndpoints("lambda=" + f.url)
	if err != nil {
		t.Fatal(err)
	}
	s := NewTrials([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, at, nil, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	d := &model.Definition{Authorizers: []model.Authorizer{{ID: "a", Name: "guard", Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"), IdentitySource: "method.request.header.Authorization"}}}
	keys := []model.CredentialConfig{{Name: model.DefaultCredential, AccessKeyID: "AKIA", Secret: "secret"}}
	for _, c := range []struct {
		token     string
		keys      []model.CredentialConfig
		status    int
		principal string
		log       string
	}{
		{"Allow", keys, 0, "TOKEN-caller", "answered with status 200"},
		{"Deny", keys, 0, "TOKEN-caller", "Sending request to authorizer guard"},
		{"", keys, 401, "", "the identity source Authorization is missing"},
		{"Unauthorized", keys, 401, "", "says Unauthorized"},
		{"Broken", keys, 500, "", "policyDocument is no object"},
		{"Allow", nil, 500, "", "may not be called"},
	} {
		h := map[string][]string{}
		if c.token != "" {
			h["Authorization"] = []string{c.token}
		}
		out, err := s.TryAuthorizer(t.Context(), model.AuthorizerTrial{ID: model.NewRequestID(), AccountID: "123456789012", APIID: "abc", Definition: d, AuthorizerID: "a", Headers: h, Credentials: c.keys})
		if err != nil || out.Status != c.status || out.Principal != c.principal || !strings.Contains(out.Log, c.log) {
			t.Errorf("%+v: %+v %v", c, out, err)
		}
		if c.principal != "" && (!strings.Contains(out.Policy, "test-invoke-stage/GET/") || out.Authorization["number"][0] != "42") {
			t.Errorf("%+v", out)
		}
	}
	if _, err := s.TryAuthorizer(t.Context(), model.AuthorizerTrial{Definition: d, AuthorizerID: "b"}); model.KindOf(err) != model.Invalid {
		t.Error(err)
	}
}
