package gateway

import (
	"bytes"
	"net/netip"

	"tollgate/gateway/http1"
)

// Private APIs are called from the operator's own networks alone, each of which stands
// for a VPC endpoint. Who calls one otherwise is refused before anything is looked at.

// arrives finds out by which of the operator's networks a call of a private API came.
func (c *call) arrives(x *http1.Exchange) kind {
	a, err := netip.ParseAddr(x.RemoteIP)
	if err == nil {
		c.by = c.g.o.EndpointNetworks.Of(a)
	}
	if c.by == nil {
		c.why = "the API is private, and " + x.RemoteIP + " is in none of the networks that the operator lets private APIs be called from (TOLLGATE_VPC_ENDPOINTS)"
		return forbidden
	}
	return proceed
}

// endpointKeys are what policies know of such a call, in place of aws:SourceIp.
func (c *call) endpointKeys(x *http1.Exchange) map[string][]string {
	out := map[string][]string{"aws:sourcevpce": {c.by.ID}, "aws:vpcsourceip": {x.RemoteIP}}
	if c.by.VPC != "" {
		out["aws:sourcevpc"] = []string{c.by.VPC}
	}
	return out
}

// endpointAPI is the API in the first label of a host of VPC endpoints: {api}-{vpce}, or
// the endpoint's alone, where a header names the API.
func endpointAPI(label []byte, x *http1.Exchange) []byte {
	const mark = "-vpce-"
	if i := bytes.Index(label, []byte(mark)); i > 0 {
		return label[:i]
	}
	if bytes.HasPrefix(label, []byte(mark[1:])) {
		return header(x, "x-apigw-api-id")
	}
	return label
}
