package awsapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// serverCertificate is one that signs itself, and its key, in PEM.
func serverCertificate(t testing.TB, names ...string) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]},
		DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
}

type patchStep map[string]string

func patches(steps ...patchStep) map[string]any { return map[string]any{"patchOperations": steps} }

// Domain names are made, shown, changed and deleted as the service does it.
func TestDomainNames(t *testing.T) {
	f := newFace(t)
	certificate, key := serverCertificate(t, "*.example.com")
	other, _ := serverCertificate(t, "*.example.org")
	type shape struct {
		DomainName, DomainNameStatus, DomainNameStatusMessage, SecurityPolicy, RegionalDomainName, RegionalCertificateName, RegionalCertificateArn string
		DistributionDomainName, CertificateName, CertificateArn, DomainNameId, DomainNameArn, RoutingMode                                          string
		CertificateUploadDate                                                                                                                      int64
		EndpointConfiguration                                                                                                                      struct {
			Types         []string
			IpAddressType string
		}
		MutualTlsAuthentication *struct{ TruststoreUri, TruststoreVersion string }
		Tags                    map[string]string
	}
	var d shape
	f.call("POST", "/domainnames", map[string]any{"domainName": "Api.example.com", "regionalCertificateName": "mine", "certificateBody": certificate,
		"certificatePrivateKey": key, "endpointConfiguration": map[string]any{"types": []string{"REGIONAL"}}, "tags": map[string]string{"a": "b"}}).want(201).into(&d)
	if d.DomainName != "api.example.com" || d.DomainNameStatus != "AVAILABLE" || d.SecurityPolicy != "TLS_1_2" || d.RegionalCertificateName != "mine" || d.RegionalCertificateArn != "" ||
		!strings.HasSuffix(d.RegionalDomainName, ".execute-api.localhost") || d.DistributionDomainName != "" || d.CertificateUploadDate == 0 || d.Tags["a"] != "b" ||
		d.EndpointConfiguration.Types[0] != "REGIONAL" || d.EndpointConfiguration.IpAddressType != "ipv4" || d.RoutingMode != "BASE_PATH_MAPPING_ONLY" ||
		d.DomainNameArn != "arn:aws:apigateway:us-east-1::/domainnames/api.example.com" {
		t.Errorf("made as %+v", d)
	}
	f.call("POST", "/domainnames", map[string]any{"domainName": "api.example.com"}).wantError(400, "BadRequestException", "The domain name you provided already exists.")
	f.call("GET", "/domainnames/none.example.com", nil).wantError(404, "NotFoundException", "Invalid domain name identifier specified")
	f.call("GET", "/domainnames/api.example.com?domainNameId=other", nil).wantError(404, "NotFoundException", "Invalid domain name identifier specified")
	f.call("GET", "/domainnames/api.example.com?domainNameId="+d.DomainNameId, nil).want(200)
	d = shape{}
	trust := "data:application/x-pem-file;base64," + base64.StdEncoding.EncodeToString([]byte(certificate))
	f.call("PATCH", "/domainnames/api.example.com", patches(patchStep{"op": "replace", "path": "/securityPolicy", "value": "TLS_1_0"},
		patchStep{"op": "replace", "path": "/endpointConfiguration/types/0", "value": "EDGE"}, patchStep{"op": "replace", "path": "/mutualTlsAuthentication/truststoreUri", "value": trust},
		patchStep{"op": "replace", "path": "/mutualTlsAuthentication/truststoreVersion", "value": "7"})).want(200).into(&d)
	if d.SecurityPolicy != "TLS_1_0" || d.CertificateName != "mine" || d.DistributionDomainName == "" || d.RegionalDomainName != "" || d.MutualTlsAuthentication == nil ||
		d.MutualTlsAuthentication.TruststoreUri != trust || d.MutualTlsAuthentication.TruststoreVersion != "7" {
		t.Errorf("changed to %+v", d)
	}
	d = shape{}
	f.call("PATCH", "/domainnames/api.example.com", patches(patchStep{"op": "replace", "path": "/mutualTlsAuthentication/truststoreUri", "value": ""})).want(200).into(&d)
	if d.MutualTlsAuthentication != nil {
		t.Errorf("mutual TLS is still there: %+v", d)
	}
	for _, c := range []struct {
		body    any
		status  int
		code    string
		message string
	}{
		{map[string]any{}, 400, "ValidationException", "domainName"},
		{map[string]any{"domainName": "not a name"}, 400, "BadRequestException", "is not a domain name"},
		{map[string]any{"domainName": "x.example.com", "certificateBody": certificate}, 400, "BadRequestException", "private key"},
		{map[string]any{"domainName": "x.example.com", "certificateBody": other, "certificatePrivateKey": key}, 400, "BadRequestException", "private key"},
		{map[string]any{"domainName": "x.example.net", "certificateBody": certificate, "certificatePrivateKey": key}, 400, "BadRequestException", "not for x.example.net"},
		{map[string]any{"domainName": "x.example.com", "certificateArn": "arn:aws:acm:us-east-1:" + f.owner.AccountID + ":certificate/00000000-0000-0000-0000-000000000000"}, 400, "BadRequestException", "Unable to get certificate"},
		{map[string]any{"domainName": "x.example.com", "certificateArn": "arn:aws:acm:us-east-1:999999999999:certificate/00000000-0000-0000-0000-000000000000"}, 400, "BadRequestException", "belongs to account"},
		{map[string]any{"domainName": "x.example.com", "certificateArn": "x"}, 400, "BadRequestException", "Invalid certificate ARN"},
		{map[string]any{"domainName": "x.example.com", "endpointConfiguration": map[string]any{"types": []string{"PRIVATE"}}}, 400, "BadRequestException", "has a certificate"},
		{map[string]any{"domainName": "x.example.com", "endpointConfiguration": map[string]any{"types": []string{"REGIONAL"}, "vpcEndpointIds": []string{"vpce-1"}}}, 400, "BadRequestException", "associate them"},
		{map[string]any{"domainName": "x.example.com", "mutualTlsAuthentication": map[string]any{"truststoreUri": "s3://bucket/key"}}, 400, "BadRequestException", "send the certificates themselves"},
		{map[string]any{"domainName": "x.example.com", "securityPolicy": "TLS_9"}, 400, "BadRequestException", "security policy"},
		{map[string]any{"domainName": "x.example.com", "policy": "{}"}, 400, "BadRequestException", "private domain names"},
		{map[string]any{"domainName": "x.execute-api.example.com"}, 400, "BadRequestException", "gateway's own"},
		{`{"domainName": 7}`, 400, "SerializationException", "domainName"},
	} {
		r := f.call("POST", "/domainnames", c.body)
		if r.Status != c.status || r.Header.Get("X-Amzn-Errortype") != c.code || !strings.Contains(string(r.Body), c.message) {
			t.Errorf("%v: %d %s %s", c.body, r.Status, r.Header.Get("X-Amzn-Errortype"), r.Body)
		}
	}
	for _, path := range []string{"/nonsense", "/certificateArn"} {
		if r := f.call("PATCH", "/domainnames/api.example.com", patches(patchStep{"op": "replace", "path": path, "value": "x"})); r.Status != 400 {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
	// One that is not proved says what to do.
	d = shape{}
	f.call("POST", "/domainnames", map[string]any{"domainName": "api.proved.test"}).want(201).into(&d)
	if d.DomainNameStatus != "PENDING_OWNERSHIP_VERIFICATION" || !strings.Contains(d.DomainNameStatusMessage, "_tollgate.api.proved.test TXT") {
		t.Errorf("unproved it is %+v", d)
	}
	var page struct {
		Position string
		Item     []shape
	}
	f.call("GET", "/domainnames?limit=1", nil).want(200).into(&page)
	if len(page.Item) != 1 || page.Item[0].DomainName != "api.example.com" || page.Position == "" {
		t.Errorf("the first page is %+v", page)
	}
	f.call("GET", "/domainnames?limit=1&position="+page.Position, nil).want(200).into(&page)
	if page.Item[0].DomainName != "api.proved.test" {
		t.Errorf("the second page is %+v", page)
	}
	arn := "/tags/arn:aws:apigateway:us-east-1::%2Fdomainnames%2Fapi.example.com"
	f.call("PUT", arn, map[string]any{"tags": map[string]string{"c": "d"}}).want(204)
	if r := f.call("GET", arn, nil).want(200); !strings.Contains(string(r.Body), `"c":"d"`) {
		t.Errorf("tags: %s", r.Body)
	}
	eve := f.account("Eve")
	for _, c := range [][2]string{{"GET", ""}, {"PATCH", ""}, {"DELETE", ""}, {"GET", "/basepathmappings"}, {"GET", "/basepathmappings/(none)"}} {
		if r := f.send(eve, c[0], "/domainnames/api.example.com"+c[1], nil); r.Status != 404 {
			t.Errorf("another account's %s %s: %d %s", c[0], c[1], r.Status, r.Body)
		}
	}
	f.call("DELETE", "/domainnames/api.example.com", nil).want(202)
	f.call("DELETE", "/domainnames/api.example.com", nil).wantError(404, "NotFoundException", "Invalid domain name identifier specified")
}

// Private names share a name and are told apart by their ids, on every operation.
func TestPrivateDomainNames(t *testing.T) {
	f := newFace(t)
	certificate, key := serverCertificate(t, "*.example.com")
	var c struct{ CertificateArn string }
	f.json(f.owner, "acm", "CertificateManager.ImportCertificate", map[string]any{"Certificate": []byte(certificate), "PrivateKey": []byte(key)}).into(&c)
	type shape struct {
		DomainName, DomainNameId, DomainNameArn, DomainNameStatus, DomainNameStatusMessage, SecurityPolicy, RegionalDomainName, DistributionDomainName string
		CertificateArn, RegionalCertificateArn, Policy, ManagementPolicy, RoutingMode                                                                  string
		EndpointConfiguration                                                                                                                          struct {
			Types         []string
			IpAddressType string
		}
		Tags map[string]string
	}
	in := func(more map[string]any) map[string]any {
		out := map[string]any{"domainName": "in.example.com", "certificateArn": c.CertificateArn, "endpointConfiguration": map[string]any{"types": []string{"PRIVATE"}}}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	var one, two shape
	f.call("POST", "/domainnames", in(map[string]any{"policy": `{"Version": "2012-10-17"}`, "tags": map[string]string{"a": "b"}, "securityPolicy": "TLS_1_2"})).want(201).into(&one)
	f.call("POST", "/domainnames", in(nil)).want(201).into(&two)
	if one.DomainNameId == two.DomainNameId || one.DomainNameArn != "arn:aws:apigateway:us-east-1:"+f.owner.AccountID+":/domainnames/in.example.com+"+one.DomainNameId ||
		one.DomainNameStatus != "AVAILABLE" || !strings.Contains(one.DomainNameStatusMessage, "not served yet") || one.RegionalDomainName+one.DistributionDomainName+one.RegionalCertificateArn != "" ||
		one.CertificateArn != c.CertificateArn || one.EndpointConfiguration.Types[0] != "PRIVATE" || one.EndpointConfiguration.IpAddressType != "dualstack" || one.SecurityPolicy != "TLS_1_2" ||
		one.Policy != `{"Version": "2012-10-17"}` || one.RoutingMode != "BASE_PATH_MAPPING_ONLY" || one.Tags["a"] != "b" || two.Policy != "" {
		t.Errorf("made as %+v", one)
	}
	const none = "Invalid domain name identifier specified"
	at, id := "/domainnames/in.example.com", "?domainNameId="+one.DomainNameId
	f.call("GET", at, nil).wantError(404, "NotFoundException", none)
	f.call("GET", at+"?domainNameId=abcdefgh12", nil).wantError(404, "NotFoundException", none)
	f.call("GET", "/domainnames/in.example.com%2B"+one.DomainNameId, nil).wantError(404, "NotFoundException", none)
	f.call("GET", "/domainnames/other.example.com"+id, nil).wantError(404, "NotFoundException", none)
	f.call("GET", at+id, nil).want(200)
	replace := func(path, value string) any { return patches(patchStep{"op": "replace", "path": path, "value": value}) }
	var d shape
	f.call("PATCH", at+id, patches(patchStep{"op": "replace", "path": "/policy", "value": "{}"}, patchStep{"op": "replace", "path": "/managementPolicy", "value": `{"Statement":[]}`},
		patchStep{"op": "replace", "path": "/routingMode", "value": "ROUTING_RULE_THEN_BASE_PATH_MAPPING"})).want(200).into(&d)
	if d.Policy != "{}" || d.ManagementPolicy != `{"Statement":[]}` || d.DomainNameId != one.DomainNameId {
		t.Errorf("changed to %+v", d)
	}
	for _, bad := range [][3]string{{"/policy", "{", "Invalid policy document"}, {"/managementPolicy", "7", "Invalid policy document"}, {"/policy", `{"a":"` + strings.Repeat("x", 8192) + `"}`, "at most 8192"},
		{"/endpointConfiguration/types/0", "REGIONAL", "cannot be made private"}, {"/endpointConfiguration/ipAddressType", "ipv4", "dualstack"}, {"/securityPolicy", "TLS_1_0", "TLS_1_2"},
		{"/certificateArn", "x", "Invalid certificate ARN"}, {"/nonsense", "x", "Invalid patch path"}} {
		if r := f.call("PATCH", at+id, patches(patchStep{"op": "replace", "path": "/policy", "value": ""}, patchStep{"op": "replace", "path": bad[0], "value": bad[1]})); r.Status != 400 || !strings.Contains(string(r.Body), bad[2]) {
			t.Errorf("%s: %d %s", bad[0], r.Status, r.Body)
		}
	}
	f.call("GET", at+id, nil).want(200).into(&d)
	if d.Policy != "{}" {
		t.Errorf("a refused PATCH changed it: %+v", d)
	}
	for _, bad := range []map[string]any{{"regionalCertificateArn": c.CertificateArn, "certificateArn": ""}, {"policy": "nonsense"}, {"domainName": "*.example.com"}, {"securityPolicy": "TLS_1_0"}} {
		f.call("POST", "/domainnames", in(bad)).want(400)
	}
	f.call("PATCH", "/domainnames/in.example.com?domainNameId="+two.DomainNameId, replace("/policy", "")).want(200)
	// A public namesake is what the name alone means.
	var pub shape
	f.call("POST", "/domainnames", map[string]any{"domainName": "in.example.com"}).want(201).into(&pub)
	f.call("PATCH", at, replace("/policy", "{}")).wantError(400, "BadRequestException", "policies are only supported for private domain names")
	f.call("PATCH", at, replace("/endpointConfiguration/types/0", "PRIVATE")).want(400)
	f.call("GET", at, nil).want(200).into(&d)
	if d.DomainNameId != pub.DomainNameId {
		t.Errorf("the name alone is %+v", d)
	}
	var seen []string
	for position := ""; ; {
		var page struct {
			Position string
			Item     []shape
		}
		f.call("GET", "/domainnames?limit=1&position="+position, nil).want(200).into(&page)
		for _, d := range page.Item {
			seen = append(seen, d.DomainNameArn)
		}
		if position = page.Position; position == "" {
			break
		}
	}
	if len(seen) != 3 || seen[0] != pub.DomainNameArn || !slices.Contains(seen, one.DomainNameArn) || !slices.Contains(seen, two.DomainNameArn) {
		t.Errorf("the list is %q", seen)
	}
	f.call("GET", "/domainnames?resourceOwner=OTHER_ACCOUNTS", nil).wantJSON(200, `{"item":[]}`)
	// What leads from one is its own.
	api := f.mockAPI()
	f.call("POST", "/restapis/"+api+"/deployments", map[string]any{"stageName": "dev"}).want(201)
	f.call("POST", at+"/basepathmappings"+id, map[string]any{"basePath": "v1", "restApiId": api, "stage": "dev"}).want(201)
	f.call("POST", at+"/basepathmappings"+id, map[string]any{"basePath": "v1/x", "restApiId": api, "stage": "dev"}).wantError(400, "BadRequestException", "a base path of a private domain name has one segment; routing rules take longer ones")
	f.call("PATCH", at+"/basepathmappings/v1"+id, replace("/basePath", "v2")).want(200)
	f.call("GET", at+"/basepathmappings/v2"+id, nil).want(200)
	f.call("GET", at+"/basepathmappings/v2", nil).want(404)
	f.call("GET", at+"/basepathmappings", nil).wantJSON(200, `{"item":[]}`)
	rule := map[string]any{"priority": 1, "conditions": []any{}, "actions": []any{map[string]any{"invokeApi": map[string]any{"apiId": api, "stage": "dev"}}}}
	made := f.call("POST", "/v2"+at+"/routingrules"+id, rule).want(201)
	if arn := made.field("routingRuleArn"); arn != one.DomainNameArn+"/routingrules/"+made.field("routingRuleId") {
		t.Errorf("its rule is %s", arn)
	}
	f.call("GET", "/v2"+at+"/routingrules/"+made.field("routingRuleId")+id, nil).want(200)
	f.call("GET", "/v2"+at+"/routingrules/"+made.field("routingRuleId"), nil).want(404)
	f.call("DELETE", "/v2"+at+"/routingrules/"+made.field("routingRuleId")+id, nil).want(204)
	f.call("DELETE", at+"/basepathmappings/v2"+id, nil).want(202)
	tags := "/tags/" + url.PathEscape(one.DomainNameArn)
	f.call("PUT", tags, map[string]any{"tags": map[string]string{"c": "d"}}).want(204)
	f.call("GET", tags, nil).wantJSON(200, `{"tags":{"a":"b","c":"d"}}`)
	var inUse struct {
		Certificate struct{ InUseBy []string }
	}
	f.json(f.owner, "acm", "CertificateManager.DescribeCertificate", c).into(&inUse)
	if u := inUse.Certificate.InUseBy; len(u) != 2 || !slices.Contains(u, one.DomainNameArn) {
		t.Errorf("the certificate is in use by %q", u)
	}
	eve := f.account("Eve")
	for _, verb := range []string{"GET", "PATCH", "DELETE"} {
		if r := f.send(eve, verb, at+id, patches()); r.Status != 404 {
			t.Errorf("another account's %s: %d %s", verb, r.Status, r.Body)
		}
	}
	f.call("DELETE", at+id, nil).want(202)
	f.call("DELETE", at+id, nil).wantError(404, "NotFoundException", none)
	f.call("DELETE", at, nil).want(202)
	f.call("GET", at+"?domainNameId="+two.DomainNameId, nil).want(200)
}

// Base paths lead to stages; the empty one is called (none).
func TestBasePathMappings(t *testing.T) {
	f := newFace(t)
	api := f.call("POST", "/restapis", map[string]any{"name": "Mapped"}).want(201).field("id")
	var root struct{ Item []struct{ ID string } }
	f.call("GET", "/restapis/"+api+"/resources", nil).want(200).into(&root)
	method := "/restapis/" + api + "/resources/" + root.Item[0].ID + "/methods/GET"
	f.call("PUT", method, map[string]any{"authorizationType": "NONE"}).want(201)
	f.call("PUT", method+"/integration", map[string]any{"type": "MOCK", "requestTemplates": map[string]string{"application/json": `{"statusCode": 200}`}}).want(201)
	f.call("POST", "/restapis/"+api+"/deployments", map[string]any{"stageName": "dev"}).want(201)
	f.call("POST", "/domainnames", map[string]any{"domainName": "api.example.com"}).want(201)
	base := "/domainnames/api.example.com/basepathmappings"
	same := func(r *reply, want string) {
		t.Helper()
		if string(r.Body) != want {
			t.Errorf("got %s, want %s", r.Body, want)
		}
	}
	same(f.call("GET", base, nil).want(200), `{"item":[]}`)
	same(f.call("POST", base, map[string]any{"basePath": "", "restApiId": api, "stage": "dev"}).want(201), fmt.Sprintf(`{"basePath":"(none)","restApiId":%q,"stage":"dev"}`, api))
	f.call("POST", base, map[string]any{"restApiId": api}).wantError(409, "ConflictException", "Base path already exists for this domain name")
	f.call("POST", base, map[string]any{"basePath": "v1", "restApiId": "nope"}).wantError(400, "BadRequestException", "Invalid REST API identifier specified")
	f.call("POST", base, map[string]any{"basePath": "v1", "restApiId": api, "stage": "no"}).wantError(400, "BadRequestException", "Invalid stage identifier specified")
	f.call("POST", base, map[string]any{"basePath": "v1"}).want(400)
	f.call("POST", "/domainnames/none.example.com/basepathmappings", map[string]any{"restApiId": api}).wantError(404, "NotFoundException", "Invalid domain name identifier specified")
	same(f.call("GET", base+"/(none)", nil).want(200), fmt.Sprintf(`{"basePath":"(none)","restApiId":%q,"stage":"dev"}`, api))
	same(f.call("PATCH", base+"/(none)", patches()).want(200), fmt.Sprintf(`{"basePath":"(none)","restApiId":%q,"stage":"dev"}`, api))
	same(f.call("PATCH", base+"/(none)", patches(patchStep{"op": "replace", "path": "/basePath", "value": "v2"}, patchStep{"op": "replace", "path": "/stage", "value": ""})).want(200),
		fmt.Sprintf(`{"basePath":"v2","restApiId":%q}`, api))
	f.call("GET", base+"/(none)", nil).wantError(404, "NotFoundException", "Invalid base path mapping identifier specified")
	f.call("PATCH", base+"/v2", patches(patchStep{"op": "replace", "path": "/restapiId", "value": "nope"})).want(400)
	f.call("POST", base, map[string]any{"basePath": "a", "restApiId": api, "stage": "dev"}).want(201)
	f.call("PATCH", base+"/v2", patches(patchStep{"op": "replace", "path": "/basePath", "value": "a"})).wantError(409, "ConflictException", "Base path already exists for this domain name")
	var page struct {
		Position string
		Item     []struct{ BasePath string }
	}
	f.call("GET", base+"?limit=1", nil).want(200).into(&page)
	if len(page.Item) != 1 || page.Item[0].BasePath != "a" || page.Position == "" {
		t.Errorf("the first page is %+v", page)
	}
	f.call("DELETE", "/restapis/"+api, nil).want(400)
	f.call("DELETE", base+"/v2", nil).want(202)
	f.call("DELETE", base+"/v2", nil).want(404)
	f.call("DELETE", base+"/a", nil).want(202)
	f.call("DELETE", "/restapis/"+api+"/stages/dev", nil).want(202)
}

// Certificates as AWS Certificate Manager's clients see them.
func TestCertificateManager(t *testing.T) {
	f := newFace(t)
	certificate, key := serverCertificate(t, "api.example.com", "www.example.com")
	acm := func(who account, action string, in any, into any) *reply {
		t.Helper()
		r := f.json(who, "acm", "CertificateManager."+action, in)
		if into != nil {
			if r.Status != 200 {
				t.Fatalf("%s: %d %s", action, r.Status, r.Body)
			}
			r.into(into)
		}
		return r
	}
	var arn struct{ CertificateArn string }
	acm(f.owner, "ImportCertificate", map[string]any{"Certificate": []byte(certificate), "PrivateKey": []byte(key), "Tags": []map[string]string{{"Key": "a", "Value": "b"}}}, &arn)
	var d struct {
		Certificate struct {
			DomainName, Status, Type, KeyAlgorithm string
			SubjectAlternativeNames, InUseBy       []string
			NotAfter, ImportedAt                   float64
			DomainValidationOptions                []struct {
				ValidationStatus string
				ResourceRecord   struct{ Name, Type, Value string }
			}
		}
	}
	acm(f.owner, "DescribeCertificate", arn, &d)
	if c := d.Certificate; c.DomainName != "api.example.com" || c.Status != "ISSUED" || c.Type != "IMPORTED" || c.KeyAlgorithm != "EC_prime256v1" || len(c.SubjectAlternativeNames) != 2 || c.NotAfter == 0 || c.ImportedAt == 0 {
		t.Errorf("imported as %+v", c)
	}
	var got struct{ Certificate, CertificateChain string }
	acm(f.owner, "GetCertificate", arn, &got)
	if got.Certificate != certificate || got.CertificateChain != "" {
		t.Errorf("it reads back as %+v", got)
	}
	f.call("POST", "/domainnames", map[string]any{"domainName": "api.example.com", "certificateArn": arn.CertificateArn}).want(201)
	refused := func(who account, action string, in any, code string) {
		t.Helper()
		r := acm(who, action, in, nil)
		var e struct {
			Type string `json:"__type"`
		}
		if err := json.Unmarshal(r.Body, &e); err != nil || r.Status != 400 || e.Type != code {
			t.Errorf("%s: %d %s, want %s", action, r.Status, r.Body, code)
		}
	}
	refused(f.owner, "DeleteCertificate", arn, "ResourceInUseException")
	refused(f.account("Eve"), "DescribeCertificate", arn, "ResourceNotFoundException")
	refused(f.owner, "DescribeCertificate", map[string]string{"CertificateArn": "x"}, "InvalidArnException")
	refused(f.owner, "ImportCertificate", map[string]any{"Certificate": []byte("x"), "PrivateKey": []byte(key)}, "ValidationException")
	refused(f.owner, "RequestCertificate", map[string]any{"DomainName": "*.example.com"}, "ValidationException")
	refused(f.owner, "ExportCertificate", arn, "UnknownOperationException")
	acm(f.owner, "AddTagsToCertificate", map[string]any{"CertificateArn": arn.CertificateArn, "Tags": []map[string]string{{"Key": "c", "Value": "d"}}}, &struct{}{})
	acm(f.owner, "RemoveTagsFromCertificate", map[string]any{"CertificateArn": arn.CertificateArn, "Tags": []map[string]string{{"Key": "a"}}}, &struct{}{})
	var tags struct{ Tags []struct{ Key, Value string } }
	acm(f.owner, "ListTagsForCertificate", arn, &tags)
	if len(tags.Tags) != 1 || tags.Tags[0].Key != "c" {
		t.Errorf("tags: %+v", tags)
	}
	var asked struct{ CertificateArn string }
	acm(f.owner, "RequestCertificate", map[string]any{"DomainName": "shop.proved.test", "ValidationMethod": "DNS"}, &asked)
	acm(f.owner, "DescribeCertificate", asked, &d)
	if o := d.Certificate.DomainValidationOptions; d.Certificate.Status != "PENDING_VALIDATION" || len(o) != 1 || o[0].ValidationStatus != "PENDING_VALIDATION" ||
		o[0].ResourceRecord.Name != "_tollgate.shop.proved.test." || o[0].ResourceRecord.Type != "TXT" || o[0].ResourceRecord.Value == "" {
		t.Errorf("asked for, it is %+v", d.Certificate)
	}
	refused(f.owner, "GetCertificate", asked, "RequestInProgressException")
	var list struct {
		CertificateSummaryList []struct {
			CertificateArn, Status string
			InUse                  bool
		}
	}
	acm(f.owner, "ListCertificates", map[string]any{}, &list)
	if len(list.CertificateSummaryList) != 2 {
		t.Errorf("the list is %+v", list)
	}
	f.call("DELETE", "/domainnames/api.example.com", nil).want(202)
	acm(f.owner, "DeleteCertificate", arn, &struct{}{})
	acm(f.owner, "DeleteCertificate", asked, &struct{}{})
}

// Routing rules as version 2 of the service's API has them.
func TestRoutingRules(t *testing.T) {
	f := newFace(t)
	api := f.mockAPI()
	f.call("POST", "/restapis/"+api+"/deployments", map[string]any{"stageName": "dev"}).want(201)
	f.call("POST", "/domainnames", map[string]any{"domainName": "api.example.com", "routingMode": "ROUTING_RULE_ONLY"}).want(201)
	base := "/v2/domainnames/api.example.com/routingrules"
	rule := func(priority int, conditions ...any) map[string]any {
		if conditions == nil {
			conditions = []any{}
		}
		return map[string]any{"priority": priority, "conditions": conditions,
			"actions": []any{map[string]any{"invokeApi": map[string]any{"apiId": api, "stage": "dev"}}}}
	}
	paths := func(of ...string) any { return map[string]any{"matchBasePaths": map[string]any{"anyOf": of}} }
	header := map[string]any{"matchHeaders": map[string]any{"anyOf": []any{map[string]any{"header": "x-version", "valueGlob": "beta*"}}}}
	if got := string(f.call("GET", base, nil).want(200).Body); got != `{"routingRules":[]}` {
		t.Errorf("no rules are %s", got)
	}
	made := f.call("POST", base, rule(50, paths("v1", "v2"), header)).want(201)
	id := made.field("routingRuleId")
	want := fmt.Sprintf(`{"actions":[{"invokeApi":{"apiId":%q,"stage":"dev","stripBasePath":false}}],"conditions":[{"matchBasePaths":{"anyOf":["v1","v2"]}},{"matchHeaders":{"anyOf":[{"header":"x-version","valueGlob":"beta*"}]}}],"priority":50,"routingRuleArn":"%s","routingRuleId":%q}`,
		api, made.field("routingRuleArn"), id)
	if got := string(f.call("GET", base+"/"+id, nil).want(200).Body); got != want || !strings.HasSuffix(made.field("routingRuleArn"), "/domainnames/api.example.com/routingrules/"+id) {
		t.Errorf("got %s, want %s", got, want)
	}
	f.call("POST", base, rule(50)).wantError(409, "ConflictException", fmt.Sprintf("rule %s has priority 50 already; every rule of a domain has its own", id))
	for _, bad := range []map[string]any{
		{"conditions": []any{}, "actions": rule(1)["actions"]},
		{"priority": 1, "actions": rule(1)["actions"]},
		{"priority": 1, "conditions": []any{}, "actions": []any{}},
		rule(1, map[string]any{}), rule(1, paths()), rule(1, paths("a"), paths("b")), rule(0), rule(1, paths("/a/")),
	} {
		f.call("POST", base, bad).want(400)
		f.call("PUT", base+"/"+id, bad).want(400)
	}
	f.call("POST", base, rule(20)).want(201)
	f.call("PUT", base+"/"+id, rule(10)).want(200)
	var page struct {
		NextToken    string
		RoutingRules []struct {
			Priority   int
			Conditions []any
		}
	}
	f.call("GET", base+"?maxResults=1", nil).want(200).into(&page)
	if len(page.RoutingRules) != 1 || page.RoutingRules[0].Priority != 10 || len(page.RoutingRules[0].Conditions) != 0 || page.NextToken == "" {
		t.Fatalf("the first page is %+v", page)
	}
	token := page.NextToken
	page.NextToken, page.RoutingRules = "", nil
	f.call("GET", base+"?maxResults=1&nextToken="+token, nil).want(200).into(&page)
	if len(page.RoutingRules) != 1 || page.RoutingRules[0].Priority != 20 || page.NextToken != "" {
		t.Errorf("the second page is %+v", page)
	}
	f.call("GET", base+"?maxResults=0", nil).want(400)
	f.call("GET", base+"?nextToken=x", nil).want(400)
	f.call("DELETE", base+"/"+id, nil).want(204)
	for _, verb := range []string{"GET", "DELETE"} {
		f.call(verb, base+"/"+id, nil).wantError(404, "NotFoundException", "Invalid routing rule identifier specified")
		f.call(verb, "/v2/domainnames/none.example.com/routingrules/"+id, nil).wantError(404, "NotFoundException", "Invalid domain name identifier specified")
	}
	f.call("PUT", base+"/"+id, rule(30)).want(404)
	f.call("GET", "/v2/domainnames/none.example.com/routingrules", nil).want(404)
	other := f.account("other")
	for _, r := range []struct{ verb, at string }{{"GET", base}, {"POST", base}, {"GET", base + "/x"}, {"PUT", base + "/x"}, {"DELETE", base + "/x"}} {
		if got := f.send(other, r.verb, r.at, rule(3)); got.Status != 404 {
			t.Errorf("another account's %s %s: %d", r.verb, r.at, got.Status)
		}
	}
}
