package web_test

import (
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// Credentials are stored, replaced and deleted, their secrets shown never, and a
// deployment says which are missing.
func TestServiceCredentialPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	a := s.tenant()
	b := s.as(a)
	const role = "arn:aws:iam::123456789012:role/team/api"
	d := &model.Definition{Name: "Queues", Resources: []model.Resource{{ID: "root", Path: "/", Methods: map[string]model.Method{"GET": {AuthorizationType: model.AuthNone, Integration: &model.Integration{
		Type: model.IntegrationAWS, HTTPMethod: "POST", URI: "arn:aws:apigateway:us-east-1:sqs:action/ListQueues", Credentials: role, Responses: map[string]model.IntegrationResponse{"default": {StatusCode: "200"}}}}}}}}
	api, err := s.AddAPI(s.Context(), a, d, nil, nil)
	s.must(err)
	deploy := "/apis/" + api.ID + "/deploy"
	b.get(deploy).want(200, "Calls of 1 method or authorizer will fail", role).press("Deploy", "stage", "prod").want(200, "fail until credentials are stored")

	b.get("/service-credentials").want(200, "No service credentials yet")
	form := b.get("/service-credentials/new").press("Store", "name", "a b", "access-key-id", "AKIAEXAMPLE", "secret", "s3cr-et", "services", "sqs, dynamodb").want(422, "is not the ARN of a role").without("s3cr-et")
	if form.field("access-key-id") != "AKIAEXAMPLE" || form.field("services") != "sqs, dynamodb" || form.field("secret") != "" {
		t.Errorf("the form has %q %q %q", form.field("access-key-id"), form.field("services"), form.field("secret"))
	}
	form.press("Store", "name", role, "access-key-id", "AKIAEXAMPLE", "secret", "s3cr-et", "session-token", "tok-en", "services", "sqs, dynamodb").
		want(200, role, "AKIAEXAMPLE", "Ends by itself", "dynamodb, sqs", "sign with the credentials of "+role).without("s3cr-et", "tok-en")
	b.get(deploy).want(200).without("will fail")
	form = b.get("/service-credentials").link("Replace").want(200, "replaced as a whole").without("s3cr-et")
	if form.field("name") != role || form.field("services") != "dynamodb, sqs" || form.field("secret") != "" {
		t.Errorf("the form has %q %q %q", form.field("name"), form.field("services"), form.field("secret"))
	}
	form.press("Replace", "access-key-id", "AKIANEW", "secret", "other", "services", "").want(200, "AKIANEW", "All").without("AKIAEXAMPLE", "Ends by itself")
	other := s.as(s.member(a, control.RoleDeveloper))
	other.get("/service-credentials").want(200, role).without("Add credentials", "Replace", "Delete")
	other.get("/service-credentials/new").want(403)
	b.get("/service-credentials").link("Delete").want(200, role).press("Delete credentials").want(200, "are deleted", "No service credentials yet")
	b.get("/service-credentials/x/delete").want(404)
}
