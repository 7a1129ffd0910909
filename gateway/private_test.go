package gateway

import (
	"net/http"
	"strings"
	"testing"

	"tollgate/model"
)

// A private API is called from the operator's networks alone, whatever its policy says,
// and its policy knows by which.
func TestPrivateAPI(t *testing.T) {
	allow := statement("Allow", `"Resource":"execute-api:/*"`)
	by := func(key, value string) string {
		return statement("Allow", `"Resource":"execute-api:/*","Condition":{"StringEquals":{"`+key+`":"`+value+`"}}`)
	}
	const mock = `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200",
		"responseTemplates": {"application/json": "$context.identity.vpceId $context.identity.vpcId"}}}}`
	for _, c := range []struct {
		name, networks, policy string
		status                 int
	}{
		{"no network", "", allow, 403},
		{"another network", "vpce-1=10.0.0.0/8", allow, 403},
		{"a network", "vpce-1@vpc-2=127.0.0.0/8", allow, 200},
		{"by endpoint", "vpce-1@vpc-2=127.0.0.0/8", by("aws:SourceVpce", "vpce-1"), 200},
		{"by another endpoint", "vpce-1@vpc-2=127.0.0.0/8", by("aws:sourceVpce", "vpce-2"), 403},
		{"by VPC", "vpce-1@vpc-2=127.0.0.0/8", by("aws:SourceVpc", "vpc-2"), 200},
		{"by address", "vpce-1@vpc-2=127.0.0.0/8", statement("Allow", `"Resource":"execute-api:/*","Condition":{"IpAddress":{"aws:VpcSourceIp":"127.0.0.1/32"}}`), 200},
		{"no public address", "vpce-1@vpc-2=127.0.0.0/8", statement("Allow", `"Resource":"execute-api:/*","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1/32"}}`), 403},
	} {
		r := newRig(t, func(o *Options) {
			var err error
			if o.EndpointNetworks, err = model.ParseEndpointNetworks(c.networks); err != nil {
				t.Fatal(err)
			}
		})
		r.define(func(d *model.Definition) {
			d.Endpoint = &model.Endpoint{Types: []string{model.EndpointPrivate}}
			d.Policy = `{"Version":"2012-10-17","Statement":` + c.policy + `}`
		}, nil, map[string]string{"GET /a": mock})
		for host, header := range map[string]string{"": "", "abc.execute-api.us-east-1.example.com": "", "abc-vpce-1.execute-api.us-east-1.example.com": "", "vpce-1-xyz.execute-api.us-east-1.vpce.example.com": "abc"} {
			path := "/prod/a"
			if host == "" {
				path = "/_aws/execute-api/abc" + path
			}
			req, err := http.NewRequest("GET", r.base+path, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			if req.Host = host; header != "" {
				req.Header.Set("x-apigw-api-id", header)
			}
			status, _, body := r.do(req)
			if status != c.status || status == 200 && body != "vpce-1 vpc-2" {
				t.Errorf("%s, host %q: %d %s", c.name, host, status, body)
			}
		}
	}
}
