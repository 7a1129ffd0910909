package awsapi_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/control"
	"tollgate/model"
)

func TestAccount(t *testing.T) {
	f := newFace(t)
	f.call("GET", "/account", nil).wantJSON(200, `{"throttleSettings":{"burstLimit":100000,"rateLimit":100000},"features":["UsagePlans"],"apiKeyVersion":"4"}`)
	role := "arn:aws:iam::123412341234:role/APIGatewayToCloudWatchLogsRole"
	if r := f.call("PATCH", "/account", steps{step("replace", "/cloudwatchRoleArn", role), step("add", "/features", "UsagePlans")}.body()).want(200); r.field("cloudwatchRoleArn") != role {
		t.Errorf("changed to %s", r.Body)
	}
	f.call("PATCH", "/account", steps{step("remove", "/features", "UsagePlans")}.body()).wantError(400, "BadRequestException", "Usage Plans cannot be disabled once enabled")
	f.call("PATCH", "/account", steps{step("replace", "/cloudwatchRoleArn", ""), step("replace", "/x", "")}.body()).
		wantError(400, "BadRequestException", "Invalid patch path  '/x' specified for op 'replace'. Must be one of: [/cloudwatchRoleArn, /features]")
	if got := f.call("GET", "/account", nil).field("cloudwatchRoleArn"); got != role {
		t.Errorf("half a PATCH was kept: %s", got)
	}
	f.call("PATCH", "/account", steps{step("replace", "/cloudwatchRoleArn", "x")}.body()).want(400)
	if r := f.call("PATCH", "/account", steps{step("replace", "/cloudwatchRoleArn", "")}.body()).want(200); strings.Contains(string(r.Body), "Role") {
		t.Errorf("taken away: %s", r.Body)
	}
}

func TestClientCertificates(t *testing.T) {
	f := newFace(t)
	made := f.call("POST", "/clientcertificates", map[string]any{"description": "first", "tags": map[string]string{"a": "b"}}).want(201)
	id := made.field("clientCertificateId")
	one := "/clientcertificates/" + id
	block, rest := pem.Decode([]byte(made.field("pemEncodedCertificate")))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		t.Fatalf("not one certificate: %s", made.Body)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	f.must(err)
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() != 2048 || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
		t.Errorf("not an RSA certificate of 2048 bits that signs itself: %v", c.PublicKeyAlgorithm)
	}
	if left := time.Until(c.NotAfter); left < 364*24*time.Hour || left > 367*24*time.Hour {
		t.Errorf("holds for %v", left)
	}
	var sealed []byte
	f.must(pgx.BeginFunc(t.Context(), f.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `select private_key from client_certificate`).Scan(&sealed)
	}))
	if _, err := x509.ParsePKCS8PrivateKey(sealed); err == nil {
		t.Error("the private key lies open")
	}
	if strings.Contains(string(made.Body), "rivate") {
		t.Errorf("shown: %s", made.Body)
	}
	if d := f.call("PATCH", one, steps{step("replace", "/description", "second")}.body()).want(200).field("description"); d != "second" {
		t.Errorf("described as %q", d)
	}
	f.call("PATCH", one, steps{step("replace", "/x", "y")}.body()).
		wantError(400, "BadRequestException", "Invalid patch path  '/x' specified for op 'replace'. Must be one of: [/description]")
	var all struct {
		Item []struct{ ClientCertificateID string }
	}
	f.call("GET", "/clientcertificates", nil).want(200).into(&all)
	if len(all.Item) != 1 || all.Item[0].ClientCertificateID != id {
		t.Errorf("listed %+v", all)
	}
	arn := "/tags/" + url.PathEscape("arn:aws:apigateway:us-east-1::/clientcertificates/"+id)
	f.call("GET", arn, nil).wantJSON(200, `{"tags":{"a":"b"}}`)
	f.call("DELETE", one, nil).want(202)
	f.call("GET", one, nil).wantError(404, "NotFoundException", "Invalid Client Certificate identifier specified")
	f.call("GET", arn, nil).wantError(404, "NotFoundException", "Invalid Client Certificate identifier specified")
	for range 3 {
		f.call("POST", "/clientcertificates", nil).want(201)
	}
	page := f.call("GET", "/clientcertificates?limit=2", nil).want(200)
	page.into(&all)
	f.call("GET", "/clientcertificates?limit=2&position="+url.QueryEscape(page.field("position")), nil).want(200).into(&all)
	if len(all.Item) != 1 {
		t.Errorf("the second page: %+v", all)
	}
}

func TestVPCLinks(t *testing.T) {
	f := newFace(t)
	target := "arn:aws:elasticloadbalancing:us-east-2:123456789012:loadbalancer/net/my-vpclink-test-nlb/1f8df693cd094a72"
	made := f.call("POST", "/vpclinks", map[string]any{"name": "link", "description": "d", "targetArns": []string{target}}).want(202)
	id := made.field("id")
	made.wantJSON(202, `{"id":"`+id+`","name":"link","description":"d","targetArns":["`+target+`"],"status":"PENDING"}`)
	ready := `{"id":"` + id + `","name":"link","description":"d","targetArns":["` + target + `"],"status":"AVAILABLE","statusMessage":"Your vpc link is ready for use"}`
	f.call("GET", "/vpclinks/"+id, nil).wantJSON(200, ready)
	f.call("GET", "/vpclinks", nil).wantJSON(200, `{"item":[`+ready+`]}`)
	for want, in := range map[string]map[string]any{
		"Name cannot be empty":                                       {"name": "", "targetArns": []string{}},
		"Invalid ARN. ARN is not well formed invalid-arn":            {"name": "x", "targetArns": []string{"invalid-arn"}},
		"More than one target arn specified for vpc link.":           {"name": "x", "targetArns": []string{target, target}},
		"No target arn specified for vpc link.":                      {"name": "x"},
		"the description has 1025 characters; at most 1024 are kept": {"name": "x", "description": strings.Repeat("x", 1025), "targetArns": []string{target}},
	} {
		f.call("POST", "/vpclinks", in).wantError(400, "BadRequestException", want)
	}
	f.call("PATCH", "/vpclinks/"+id, steps{step("replace", "/name", "other"), step("replace", "/name", "")}.body()).wantError(400, "BadRequestException", "Name cannot be empty")
	if n := f.call("PATCH", "/vpclinks/"+id, steps{step("replace", "/name", "other")}.body()).want(200).field("name"); n != "other" {
		t.Errorf("named %q", n)
	}
	f.call("PATCH", "/vpclinks/"+id, steps{step("add", "/targetArns", target)}.body()).wantError(400, "BadRequestException", "Target arns are not allowed to be changed/added.")

	// Addresses beside the ARN, or alone, are what calls go to.
	if b := string(f.call("PATCH", "/vpclinks/"+id, steps{step("replace", "/tollgate/targets", "127.0.0.1:1, [::1]:2")}.body()).want(200).Body); !strings.Contains(b, `"targetArns":["`+target+`"]`) || !strings.Contains(b, `"x-tollgate-targets":["127.0.0.1:1","[::1]:2"]`) {
		t.Errorf("%s", b)
	}
	for _, bad := range []string{"127.0.0.1", "127.0.0.1:0", "a b:1", "http://x:1"} {
		f.call("PATCH", "/vpclinks/"+id, steps{step("replace", "/tollgate/targets", bad)}.body()).want(400)
	}
	alone := f.call("POST", "/vpclinks", map[string]any{"name": "x", "targetArns": []string{"10.0.0.1:80", "10.0.0.2:80"}}).want(202).field("id")
	f.call("DELETE", "/vpclinks/"+alone, nil).want(202)

	// A stage that calls through it keeps it.
	api, _ := f.newAPI()
	f.method(api, "/pets", "GET", model.Method{Integration: &model.Integration{Type: model.IntegrationHTTPProxy, URI: "http://127.0.0.1:9/", HTTPMethod: "GET"}})
	_, err := f.Deploy(t.Context(), f.owner.Actor, control.Deploy{APIID: api, Stage: "prod"})
	f.must(err)
	f.exec(`alter table deployment disable trigger user`)
	f.exec(`update deployment set definition = replace(definition::text, '"uri":', '"connectionId": "` + id + `", "uri":')::jsonb`)
	r := f.call("DELETE", "/vpclinks/"+id, nil).want(400)
	if s := string(r.Body); !strings.Contains(s, "Cannot delete vpc link. Vpc link '"+id+"', is referenced in ["+api+":GET:") || !strings.Contains(s, ":prod] in format of [RESTApiId:Method:Resource:Stage].") {
		t.Errorf("refused with %s", s)
	}
	f.call("DELETE", "/restapis/"+api, nil).want(202)
	f.call("DELETE", "/vpclinks/"+id, nil).want(202)
	f.call("DELETE", "/vpclinks/"+id, nil).wantError(404, "NotFoundException", "Invalid Vpc Link identifier specified")
	f.call("GET", "/vpclinks/"+id, nil).wantError(404, "NotFoundException", "Invalid Vpc Link identifier specified")
}

func TestTags(t *testing.T) {
	f := newFace(t)
	api, at := f.newAPI()
	arn := func(path string) string { return "/tags/" + url.PathEscape("arn:aws:apigateway:us-east-1::"+path) }
	f.call("PUT", arn(at), map[string]any{"tags": map[string]string{"a": "1", "b": "2", "c": "3"}}).want(204)
	f.call("GET", arn(at), nil).wantJSON(200, `{"tags":{"a":"1","b":"2","c":"3"}}`)
	f.call("DELETE", arn(at)+"?tagKeys=a&tagKeys=b", nil).want(204)
	if s := f.call("GET", at, nil).want(200).field("tags"); s != `{"c":"3"}` {
		t.Errorf("tags of the API are %s", s)
	}
	f.call("PUT", arn(at), map[string]any{"tags": map[string]string{"d": "4"}}).want(204)
	page := f.call("GET", arn(at)+"?limit=1", nil).want(200)
	f.call("GET", arn(at)+"?limit=1&position="+url.QueryEscape(page.field("position")), nil).wantJSON(200, `{"tags":{"d":"4"}}`)

	f.call("GET", arn("/restapis/nothing"), nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+f.owner.AccountID+":nothing")
	f.call("PUT", arn(at+"/stages/none"), map[string]any{"tags": map[string]string{"a": "1"}}).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	f.call("GET", arn("/toys/x"), nil).wantError(404, "NotFoundException", "Invalid resource specified: /toys/x")
	f.call("GET", arn(at+"/"), nil).want(400)
	f.call("GET", "/tags/nonsense", nil).wantError(400, "BadRequestException", "Invalid ARN specified in the request: nonsense")
	f.call("PUT", arn(at), map[string]any{"tags": map[string]string{"aws:x": "1"}}).want(400)
	f.call("PUT", arn(at), nil).want(400)
	f.call("DELETE", arn(at), nil).want(400)
	other := f.account("Eve")
	f.send(other, "GET", arn(at), nil).wantError(404, "NotFoundException", "Invalid API identifier specified "+other.AccountID+":"+api)
	f.send(other, "PUT", arn(at), map[string]any{"tags": map[string]string{"x": "1"}}).want(404)
}

// Associations are between private names and VPC endpoints of one account.
func TestAccessAssociations(t *testing.T) {
	f := newFace(t)
	certificate, key := serverCertificate(t, "*.example.com")
	domain := f.call("POST", "/domainnames", map[string]any{"domainName": "in.example.com", "certificateName": "mine", "certificateBody": certificate, "certificatePrivateKey": key,
		"endpointConfiguration": map[string]any{"types": []string{"PRIVATE"}}}).want(201)
	arn, at := domain.field("domainNameArn"), "/domainnameaccessassociations"
	own := "arn:aws:apigateway:us-east-1:" + f.owner.AccountID + ":" + at + "/domainname/in.example.com+" + domain.field("domainNameId") + "/vpcesource/"
	in := func(domain, source string) map[string]any {
		return map[string]any{"domainNameArn": domain, "accessAssociationSource": source, "accessAssociationSourceType": "VPCE"}
	}
	associate := in(arn, "vpce-abcd1234efg")
	associate["tags"] = map[string]string{"a": "b"}
	want := fmt.Sprintf(`{"domainNameAccessAssociationArn":%q,"domainNameArn":%q,"accessAssociationSourceType":"VPCE","accessAssociationSource":"vpce-abcd1234efg","tags":{"a":"b"}}`, own+"vpce-abcd1234efg", arn)
	f.call("POST", at, associate).wantJSON(201, want)
	f.call("POST", at, associate).wantError(409, "ConflictException", "The domain name access association already exists.")
	f.call("POST", at, in(arn, "vpce-2")).want(201)
	foreign := "arn:aws:apigateway:us-west-2:111122223333:/domainnames/my.private.domain.tld+abcd1234"
	for _, no := range []string{foreign, strings.Replace(foreign, "111122223333", f.owner.AccountID, 1)} {
		f.call("POST", at, in(no, "vpce-1")).wantError(400, "BadRequestException", "Invalid domain name identifier specified")
	}
	f.call("POST", at, in("arn:aws:apigateway:us-east-1::/domainnames/in.example.com", "vpce-1")).want(400)
	f.call("POST", at, in(arn, "vpc-1")).wantError(400, "BadRequestException", "Invalid VPC endpoint specified: vpc-1")
	f.call("POST", at, map[string]any{}).want(400)
	bad := in(arn, "vpce-1")
	bad["accessAssociationSourceType"] = "NET"
	f.call("POST", at, bad).wantError(400, "ValidationException",
		"1 validation error detected: Value 'NET' at 'createDomainNameAccessAssociationInput.accessAssociationSourceType' failed to satisfy constraint: Member must satisfy enum value set: [VPCE]")

	var page struct {
		Position string
		Item     []struct{ AccessAssociationSource string }
	}
	f.call("GET", at+"?resourceOwner=SELF&limit=1", nil).want(200).into(&page)
	if len(page.Item) != 1 || page.Item[0].AccessAssociationSource != "vpce-2" || page.Position == "" {
		t.Errorf("the first page is %+v", page)
	}
	f.call("GET", at+"?limit=1&position="+page.Position, nil).wantJSON(200, `{"item":[`+want+`]}`)
	f.call("GET", at+"?resourceOwner=OTHER_ACCOUNTS", nil).wantJSON(200, `{"item":[]}`)
	f.call("GET", at+"?resourceOwner=ME", nil).want(400)
	f.call("GET", at+"?resourceOwner=OTHER_ACCOUNTS&limit=x", nil).want(400)

	tags := "/tags/" + url.PathEscape(own+"vpce-2")
	f.call("PUT", tags, map[string]any{"tags": map[string]string{"c": "d", "e": "f"}}).want(204)
	f.call("DELETE", tags+"?tagKeys=c", nil).want(204)
	f.call("GET", tags, nil).wantJSON(200, `{"tags":{"e":"f"}}`)
	f.call("GET", "/tags/"+url.PathEscape(own+"vpce-3"), nil).wantError(404, "NotFoundException", noAssociation)

	reject := func(association, domain string) string {
		return "/rejectdomainnameaccessassociations?domainNameAccessAssociationArn=" + url.QueryEscape(association) + "&domainNameArn=" + url.QueryEscape(domain)
	}
	f.call("POST", reject(own+"vpce-2", arn), nil).wantError(400, "BadRequestException", "You can't reject a domain name access association in your own account. Delete it instead.")
	f.call("POST", reject(own+"vpce-3", arn), nil).wantError(404, "NotFoundException", noAssociation)
	f.call("POST", reject(own+"vpce-2", foreign), nil).wantError(404, "NotFoundException", noAssociation)
	f.call("POST", reject(own+"vpce-2", "x"), nil).want(400)
	f.call("POST", reject("x", arn), nil).want(400)

	eve := f.account("Eve")
	f.send(eve, "GET", at, nil).wantJSON(200, `{"item":[]}`)
	f.send(eve, "POST", at, associate).wantError(400, "BadRequestException", "Invalid domain name identifier specified")
	f.send(eve, "DELETE", at+"/"+url.PathEscape(own+"vpce-2"), nil).wantError(404, "NotFoundException", noAssociation)
	f.send(eve, "POST", reject(own+"vpce-2", arn), nil).wantError(404, "NotFoundException", noAssociation)

	remove := "/domainnames/in.example.com?domainNameId=" + domain.field("domainNameId")
	f.call("DELETE", remove, nil).wantError(400, "BadRequestException", "Please remove all domain name access associations of the domain name first: vpce-2, vpce-abcd1234efg")
	f.call("DELETE", at+"/"+url.PathEscape(own+"vpce-2"), nil).want(202)
	f.call("DELETE", at+"/"+url.PathEscape(own+"vpce-2"), nil).wantError(404, "NotFoundException", noAssociation)
	f.call("DELETE", at+"/"+url.PathEscape("arn:aws:apigateway:us-west-2:012345678910:/domainnameaccessassociations/domainname/my.private.domain.tld/vpcesource/vpce-abcd1234efg"), nil).
		wantError(404, "NotFoundException", noAssociation)
	f.call("DELETE", at+"/x", nil).want(400)
	f.call("DELETE", at+"/"+url.PathEscape(own+"vpce-abcd1234efg"), nil).want(202)
	f.call("DELETE", remove, nil).want(202)
}

const noAssociation = "Invalid domain name access association identifier specified"
