package awsapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/awsapi"
	"tollgate/awsapi/sigv4"
)

// mark is in every text of a furnished account: it must reach no other.
const mark = "hush-of-ada"

// furnished is an account with one of everything.
type furnished struct {
	*face
	ids map[string]string // of things, by the names of path parameters
}

func furnish(t testing.TB) *furnished {
	f := &furnished{newFace(t), map[string]string{}}
	post := func(path string, body any) *reply { f.Helper(); return f.call("POST", path, body).want(201) }
	api := post("/restapis", op{"name": mark, "description": mark, "tags": op{"a": mark}})
	id, root := api.field("id"), api.field("rootResourceId")
	at := "/restapis/" + id
	f.ids["restapi_id"], f.ids["parent_id"] = id, root
	f.ids["resource_id"] = post(at+"/resources/"+root, op{"pathPart": mark}).field("id")
	method := at + "/resources/" + f.ids["resource_id"] + "/methods/GET"
	f.call("PUT", method, op{"authorizationType": "NONE", "operationName": mark}).want(201)
	f.call("PUT", method+"/responses/200", op{"responseParameters": op{"method.response.header." + mark: false}}).want(201)
	f.call("PUT", method+"/integration", op{"type": "MOCK", "requestTemplates": op{"application/json": `{"statusCode": 200}`}}).want(201)
	f.call("PUT", method+"/integration/responses/200", op{"responseTemplates": op{"text/plain": mark}}).want(201)
	f.ids["http_method"], f.ids["status_code"] = "GET", "200"
	post(at+"/models", op{"name": "Ada", "description": mark, "contentType": "application/json", "schema": `{"title":"` + mark + `"}`})
	f.ids["model_name"] = "Ada"
	f.ids["requestvalidator_id"] = post(at+"/requestvalidators", op{"name": mark}).field("id")
	f.ids["authorizer_id"] = post(at+"/authorizers", op{"name": mark, "type": "TOKEN", "authorizerUri": lambdaURI, "identitySource": "method.request.header.A"}).field("id")
	f.ids["part_id"] = post(at+"/documentation/parts", op{"location": op{"type": "API"}, "properties": `{"description":"` + mark + `"}`}).field("id")
	post(at+"/documentation/versions", op{"documentationVersion": "1", "description": mark})
	f.ids["doc_version"] = "1"
	f.ids["deployment_id"] = post(at+"/deployments", op{"stageName": "dev", "description": mark, "variables": op{"a": mark}}).field("id")
	f.call("PUT", at+"/gatewayresponses/THROTTLED", op{"responseTemplates": op{"application/json": mark}}).want(201)
	f.ids["response_type"] = "THROTTLED"
	f.ids["stage_name"], f.ids["export_type"], f.ids["sdk_type"], f.ids["sdktype_id"] = "dev", "oas30", "javascript", "javascript"
	key := post("/apikeys", op{"name": mark, "description": mark, "value": mark + "-0123456789abc", "enabled": true}).field("id")
	f.ids["api_Key"], f.ids["keyId"] = key, key
	f.ids["usageplanId"] = post("/usageplans", op{"name": mark, "apiStages": []op{{"apiId": id, "stage": "dev"}}, "quota": op{"limit": 10, "period": "DAY"}}).field("id")
	post("/usageplans/"+f.ids["usageplanId"]+"/keys", op{"keyId": key, "keyType": "API_KEY"})
	f.ids["clientcertificate_id"] = post("/clientcertificates", op{"description": mark}).field("clientCertificateId")
	f.ids["vpclink_id"] = f.call("POST", "/vpclinks", op{"name": mark, "targetArns": []string{"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/b"}}).want(202).field("id")
	f.ids["domain_name"] = mark + ".example.com"
	post("/domainnames", op{"domainName": f.ids["domain_name"]})
	post("/domainnames/"+f.ids["domain_name"]+"/basepathmappings", op{"basePath": "v1", "restApiId": id, "stage": "dev"})
	f.ids["base_path"] = "v1"
	f.ids["rule_id"] = post("/v2/domainnames/"+f.ids["domain_name"]+"/routingrules", op{"priority": 1, "conditions": []op{}, "actions": []op{{"invokeApi": op{"apiId": id, "stage": "dev"}}}}).field("routingRuleId")
	f.ids["resource_arn"] = "arn:aws:apigateway:us-east-1::/restapis/" + id
	certificate, pk := serverCertificate(f, "in."+f.ids["domain_name"])
	f.ids["private_name"] = "in." + f.ids["domain_name"]
	d := post("/domainnames", op{"domainName": f.ids["private_name"], "certificateBody": certificate, "certificatePrivateKey": pk, "endpointConfiguration": op{"types": []string{"PRIVATE"}},
		"policy": `{"Id":"` + mark + `"}`})
	f.ids["private_id"], f.ids["private_arn"] = d.field("domainNameId"), d.field("domainNameArn")
	f.ids["domain_name_access_association_arn"] = post("/domainnameaccessassociations", op{"domainNameArn": f.ids["private_arn"], "accessAssociationSourceType": "VPCE", "accessAssociationSource": "vpce-1",
		"tags": op{"a": mark}}).field("domainNameAccessAssociationArn")
	return f
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// path of an operation on the furnished things.
func (f *furnished) path(o awsapi.Operation) string {
	p := parameter.ReplaceAllStringFunc(o.Path, func(m string) string {
		v, ok := f.ids[m[1:len(m)-1]]
		if !ok {
			f.Fatalf("%s: there is no %s to ask for", o.Name, m)
		}
		return url.PathEscape(v)
	})
	if o.Query != "" {
		p += "?" + o.Query
	}
	return p
}

// rows are all that the account has in the database.
func (f *furnished) rows() string {
	f.Helper()
	var out strings.Builder
	f.must(pgx.BeginFunc(f.Context(), f.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		rows, err := tx.Query(f.Context(), `select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
			where c.table_schema = 'public' and c.column_name = 'tenant_id' and t.table_type = 'BASE TABLE' and c.table_name not in ('access_key', 'usage_intake') order by 1`)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(tables) < 20 {
			f.Fatalf("only %v have a tenant", tables)
		}
		for _, table := range tables {
			var text *string
			if err := tx.QueryRow(f.Context(), fmt.Sprintf(`select string_agg(x::text, E'\n' order by x::text) from %s x where tenant_id = $1`, table), f.owner.Tenant).Scan(&text); err != nil {
				return err
			}
			if text != nil {
				out.WriteString(table + ": " + *text + "\n")
			}
		}
		return nil
	}))
	return out.String()
}

// inputs are bodies that reach far into every operation, with ids of the furnished things.
func (f *furnished) inputs() []any {
	api, stage := f.ids["restapi_id"], f.ids["stage_name"]
	return []any{
		nil,
		op{"patchOperations": []op{{"op": "replace", "path": "/description", "value": "x"}}},
		op{"patchOperations": []op{{"op": "replace", "path": "/name", "value": "x"}}},
		op{"patchOperations": []op{{"op": "add", "path": "/apiStages", "value": api + ":" + stage}}},
		op{"patchOperations": []op{{"op": "replace", "path": "/deploymentId", "value": f.ids["deployment_id"]}}},
		op{"patchOperations": []op{{"op": "replace", "path": "/restapiId", "value": api}}},
		op{"patchOperations": []op{{"op": "replace", "path": "/certificateArn", "value": "arn:aws:acm:us-east-1:" + f.owner.AccountID + ":certificate/00000000-0000-0000-0000-000000000000"}}},
		op{"name": "x", "cloneFrom": api, "restApiId": api, "stage": stage, "stageName": "other", "deploymentId": f.ids["deployment_id"], "basePath": "x", "keyId": f.ids["api_Key"], "keyType": "API_KEY",
			"apiStages": []op{{"apiId": api, "stage": stage}}, "tags": op{"a": "b"}, "type": "TOKEN", "authorizerUri": lambdaURI, "identitySource": "method.request.header.A",
			"contentType": "application/json", "schema": "{}", "pathPart": "x", "authorizationType": "CUSTOM", "authorizerId": f.ids["authorizer_id"], "statusCode": "200",
			"location": op{"type": "API"}, "properties": "{}", "documentationVersion": "9", "targetArns": []string{"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/b"},
			"priority": 9, "conditions": []op{}, "actions": []op{{"invokeApi": op{"apiId": api, "stage": stage}}}, "pathWithQueryString": "/" + mark,
			"stageKeys": []op{{"restApiId": api, "stageName": stage}}},
		"Name,Key,UsagePlanIds\nx,abcdefghij0123456789," + f.ids["usageplanId"] + "\n",
		op{"name": "x"},
		`{"openapi":"3.0.1","info":{"title":"x","version":"1"},"paths":{}}`,
	}
}

// With another account's ids every operation answers that there is no such thing, and
// neither shows nor changes any.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	f := furnish(t)
	eve := f.account("Eve")
	before := f.rows()
	own := map[string]bool{}
	for _, o := range awsapi.Operations() {
		for i, in := range f.inputs() {
			path := f.path(o)
			if strings.Contains(path, "/tags/") && o.Verb == "DELETE" {
				path += "?tagKeys=a"
			}
			if o.Name == "GetUsage" || o.Name == "GetApiKeys" || o.Name == "GetApiKey" {
				path += "?startDate=2026-01-01&endDate=2026-01-02&includeValues=true&includeValue=true&name=" + mark + "&keyId=" + f.ids["api_Key"]
			}
			r := f.send(eve, o.Verb, path, in)
			said := string(r.Body)
			for _, sent := range []string{f.ids["domain_name"], "/" + mark} { // what she asked for by its name may be told back
				said = strings.ReplaceAll(said, sent, "")
			}
			if strings.Contains(said, mark) {
				t.Errorf("%s with input %d shows what is another's: %s", o.Name, i, r.Body)
			}
			switch {
			case r.Status >= 500:
				t.Errorf("%s with input %d: %d %s", o.Name, i, r.Status, r.Body)
			case r.Status >= 400:
			case strings.Contains(o.Path, "{") && o.Path != "/sdktypes/{sdktype_id}":
				t.Errorf("%s of another's, with input %d: %d %.300s", o.Name, i, r.Status, r.Body)
			default:
				own[o.Name] = true
			}
		}
	}
	if after := f.rows(); after != before {
		t.Errorf("another account changed what is Ada's:\n%s\n\n%s", before, after)
	}
	// What names no other thing makes and lists her own.
	for _, name := range []string{"GetAccount", "GetApiKeys", "CreateApiKey", "GetRestApis", "CreateRestApi", "ImportRestApi", "GetUsagePlans", "GetDomainNames", "GetVpcLinks", "CreateVpcLink", "GetSdkTypes"} {
		if !own[name] {
			t.Errorf("%s did not work for her own", name)
		}
	}
	// Where another's thing is named beside the path, it is not there either.
	for _, c := range []struct {
		verb, path string
		in         any
	}{
		{"POST", "/restapis", op{"name": "x", "cloneFrom": f.ids["restapi_id"]}},
		{"POST", "/usageplans", op{"name": "x", "apiStages": []op{{"apiId": f.ids["restapi_id"], "stage": "dev"}}}},
		{"PUT", "/tags/" + url.PathEscape(f.ids["resource_arn"]), op{"tags": op{"a": "b"}}},
		{"GET", "/domainnames/" + f.ids["private_name"] + "?domainNameId=" + f.ids["private_id"], nil},
		{"PATCH", "/domainnames/" + f.ids["private_name"] + "?domainNameId=" + f.ids["private_id"], patches(patchStep{"op": "replace", "path": "/policy", "value": ""})},
		{"DELETE", "/domainnames/" + f.ids["private_name"] + "?domainNameId=" + f.ids["private_id"], nil},
		{"POST", "/domainnames/" + f.ids["private_name"] + "/basepathmappings?domainNameId=" + f.ids["private_id"], op{"restApiId": f.ids["restapi_id"]}},
		{"POST", "/domainnameaccessassociations", op{"domainNameArn": f.ids["private_arn"], "accessAssociationSourceType": "VPCE", "accessAssociationSource": "vpce-2"}},
		{"PUT", "/tags/" + url.PathEscape(f.ids["private_arn"]), op{"tags": op{"a": "b"}}},
		{"PUT", "/tags/" + url.PathEscape(f.ids["domain_name_access_association_arn"]), op{"tags": op{"a": "b"}}},
	} {
		if r := f.send(eve, c.verb, c.path, c.in); r.Status < 400 || r.Status >= 500 {
			t.Errorf("%s %s with another's thing: %d %s", c.verb, c.path, r.Status, r.Body)
		}
	}
	plan := f.send(eve, "POST", "/usageplans", op{"name": "mine"}).want(201).field("id")
	f.send(eve, "POST", "/usageplans/"+plan+"/keys", op{"keyId": f.ids["api_Key"], "keyType": "API_KEY"}).wantError(404, "NotFoundException", "Invalid API Key identifier specified")
	mine := f.send(eve, "POST", "/domainnames", op{"domainName": "eve.example.com"}).want(201).field("domainName")
	if r := f.send(eve, "POST", "/domainnames/"+mine+"/basepathmappings", op{"basePath": "x", "restApiId": f.ids["restapi_id"], "stage": "dev"}); r.Status != 400 {
		t.Errorf("a mapping to another's stage: %d %s", r.Status, r.Body)
	}
	if after := f.rows(); after != before {
		t.Error("another account changed what is Ada's")
	}
}

// Whatever an operation is sent in place of what it takes, it answers with one of the
// service's errors, as JSON that names it.
func TestBrokenInputs(t *testing.T) {
	if raceDetector {
		t.Skip("one client at a time: the plain run has it, in a third of the time")
	}
	t.Parallel()
	f := furnish(t)
	long := strings.Repeat("x", 10<<20)
	wrong := op{}
	var all op
	b, err := json.Marshal(f.inputs()[7])
	f.must(err)
	f.must(json.Unmarshal(b, &all))
	for name, v := range all {
		switch v.(type) {
		case string:
			wrong[name] = []any{7}
		default:
			wrong[name] = "x"
		}
	}
	wrong["patchOperations"] = "x"
	inputs := []any{`{`, `{"name":`, `[]`, `"x"`, `7`, "\xff\xfe\x00", strings.Repeat(`{"a":`, 100_000), `{"patchOperations":[7]}`, `{"patchOperations":[{"op":7,"path":[],"value":{}}]}`,
		`{"patchOperations":[{"op":"replace","path":"/x~2y","value":"\u0000"}]}`, wrong, op{"name": "x", "description": long[:5<<20], "schema": long[:5<<20]}, long}
	for n, o := range awsapi.Operations() {
		for i, in := range inputs {
			if i >= len(inputs)-2 && (o.Verb == "GET" || n%3 > 0) { // one way in reads them all
				continue
			}
			if o.Verb == "DELETE" || o.Name == "ImportApiKeys" && i == len(inputs)-1 {
				continue // its body is not read; a key file of one line is one
			}
			r := f.send(f.owner, o.Verb, f.path(o), in)
			if r.Status >= 500 {
				t.Errorf("%s of input %d: %d %.300s", o.Name, i, r.Status, r.Body)
			}
			if r.Status >= 400 {
				checkError(t, o.Name, r)
			}
		}
	}
	for _, path := range []string{"/", "/x", "/restapis/a/b/c/d", "/restapis//", "/restapis/%zz", "/../etc/passwd", "/restapis/a/resources/b/methods/GET/integration/responses/200/x"} {
		for _, verb := range []string{"GET", "PUT", "PATCH", "DELETE", "POST", "OPTIONS", "FOO"} {
			req, err := http.NewRequest(verb, f.url, nil)
			f.must(err)
			req.URL.Opaque = strings.TrimPrefix(f.url, "http:") + path
			sigv4.SignHTTP(req, f.owner.key, "us-east-1", "apigateway", sigv4.HashBody(nil), time.Now())
			resp, err := http.DefaultClient.Do(req)
			f.must(err)
			_ = resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("%s %s, which is no operation: %d", verb, path, resp.StatusCode)
			}
		}
	}
}

var errorTypes = []string{"AccessDeniedException", "BadRequestException", "ConflictException", "LimitExceededException", "NotFoundException", "RequestTooLargeException",
	"SerializationException", "ValidationException"}

func checkError(t *testing.T, name string, r *reply) {
	t.Helper()
	var e struct{ Message *string }
	if err := json.Unmarshal(r.Body, &e); err != nil || e.Message == nil || *e.Message == "" {
		t.Errorf("%s: an error without words: %d %.200s", name, r.Status, r.Body)
	}
	if got := r.Header.Get("X-Amzn-Errortype"); !slices.Contains(errorTypes, got) {
		t.Errorf("%s: %d is of type %q", name, r.Status, got)
	}
}

// FuzzCalls makes calls of one account beside another's things: no call is the server's
// fault, none shows what is the other's, and none changes it.
func FuzzCalls(f *testing.F) {
	world := furnish(f)
	eve := world.account("Eve")
	before := world.rows()
	for _, o := range awsapi.Operations() {
		path, query, _ := strings.Cut(world.path(o), "?")
		f.Add(o.Verb, path, query, "")
	}
	for i, in := range world.inputs() {
		b, _ := json.Marshal(in)
		o := awsapi.Operations()[i*7]
		f.Add(o.Verb, world.path(o), "limit=1", string(b))
	}
	f.Fuzz(func(t *testing.T, verb, path, query, body string) {
		if verb != "GET" && verb != "POST" && verb != "PUT" && verb != "PATCH" && verb != "DELETE" {
			return
		}
		u, err := url.Parse(world.url)
		if err != nil {
			t.Fatal(err)
		}
		u.Path, u.RawQuery = "/"+strings.TrimLeft(path, "/"), url.PathEscape(query)
		req, err := http.NewRequest(verb, u.String(), strings.NewReader(body))
		if err != nil {
			return
		}
		sigv4.SignHTTP(req, eve.key, "us-east-1", "apigateway", sigv4.HashBody([]byte(body)), time.Now())
		w := furnished{&face{t, world.Plane, world.pool, world.url, world.owner}, world.ids}
		r := w.do(req)
		if r.Status >= 500 {
			t.Fatalf("%s %q ? %q %q: %d %s", verb, path, query, body, r.Status, r.Body)
		}
		if said := strings.ReplaceAll(string(r.Body), path, ""); strings.Contains(said, mark) && !strings.Contains(path+query+body, mark) {
			t.Fatalf("%s %q ? %q %q shows what is another's: %s", verb, path, query, body, r.Body)
		}
		if verb != "GET" && r.Status < 300 {
			if w.rows() != before {
				t.Fatalf("%s %q ? %q %q changed what is another's", verb, path, query, body)
			}
		}
	})
}
