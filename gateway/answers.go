package gateway

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// kind is a gateway-response type: why the gateway itself answers a call.
type kind uint8

const (
	proceed  kind = iota
	answered      // nothing more to do
	later         // nothing yet: the call is resumed when what it waits for is there
	forbidden
	missingToken
	invalidKey
	quotaExceeded
	throttled
	tooLarge
	badRequest
	configurationError
	integrationFailure
	integrationTimeout
	unavailable
	noWebSocket
	noGRPC
	unsupportedMediaType
	badRequestBody
	badRequestParameters
	unauthorized
	accessDenied
	invalidSignature
	incompleteSignature
	unknownSigner
	expiredToken
	authorizerFailure
	authorizerConfiguration
	malformedAnswer
	notFound
	circuitOpen
	methodTooLong
	spendLimit
	kinds
)

// answer is what a kind looks like to the client. Statuses, messages and error
// types are Amazon API Gateway's gateway responses; those after
// integrationTimeout are ours.
type answer struct {
	name   string // gateway-response type, and the label in metrics
	status int
	head   []byte
	body   []byte

	message, errorType string
}

var answers = func() (t [kinds]answer) {
	set := func(k kind, name string, status int, message, errorType string) {
		t[k] = answer{name: name, status: status,
			head: []byte("Content-Type: application/json\r\nx-amzn-ErrorType: " + errorType + "\r\n"),
			body: []byte(`{"message":"` + message + `"}`), message: message, errorType: errorType}
	}
	set(forbidden, "FORBIDDEN", 403, "Forbidden", "ForbiddenException")
	set(missingToken, "MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token", "MissingAuthenticationTokenException")
	set(invalidKey, "INVALID_API_KEY", 403, "Forbidden", "ForbiddenException")
	set(quotaExceeded, "QUOTA_EXCEEDED", 429, "Limit Exceeded", "LimitExceededException")
	set(throttled, "THROTTLED", 429, "Too Many Requests", "TooManyRequestsException")
	set(tooLarge, "REQUEST_TOO_LARGE", 413, "Request Too Long", "RequestTooLongException")
	set(badRequest, "BAD_REQUEST", 400, "Bad Request", "BadRequestException")
	set(configurationError, "API_CONFIGURATION_ERROR", 500, "Internal server error", "InternalServerErrorException")
	set(integrationFailure, "INTEGRATION_FAILURE", 504, "Network error communicating with endpoint", "InternalServerErrorException")
	set(integrationTimeout, "INTEGRATION_TIMEOUT", 504, "Endpoint request timed out", "InternalServerErrorException")
	set(unavailable, "UNAVAILABLE", 503, "Service Unavailable", "ServiceUnavailableException")
	set(noWebSocket, "WEBSOCKET_UNSUPPORTED", 501, "WebSocket upgrades are not served by this gateway", "NotImplementedException")
	set(noGRPC, "GRPC_UNSUPPORTED", 501, "gRPC is not served by this gateway", "NotImplementedException")
	set(unsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "BadRequestException")
	set(badRequestParameters, "BAD_REQUEST_PARAMETERS", 400, "Missing required request parameters", "BadRequestException")
	set(badRequestBody, "BAD_REQUEST_BODY", 400, "Invalid request body", "BadRequestException")
	set(unauthorized, "UNAUTHORIZED", 401, "Unauthorized", "UnauthorizedException")
	set(accessDenied, "ACCESS_DENIED", 403, "Forbidden", "AccessDeniedException")
	set(invalidSignature, "INVALID_SIGNATURE", 403, "The request signature we calculated does not match the signature you provided.", "InvalidSignatureException")
	set(incompleteSignature, "INVALID_SIGNATURE", 403, "", "IncompleteSignatureException")
	set(unknownSigner, "INVALID_SIGNATURE", 403, "The security token included in the request is invalid.", "UnrecognizedClientException")
	set(expiredToken, "EXPIRED_TOKEN", 403, "The security token included in the request is expired", "ExpiredTokenException")
	set(authorizerFailure, "AUTHORIZER_FAILURE", 500, "", "AuthorizerFailureException")
	set(authorizerConfiguration, "AUTHORIZER_CONFIGURATION_ERROR", 500, "", "AuthorizerConfigurationException")
	set(malformedAnswer, "API_CONFIGURATION_ERROR", 502, "Internal server error", "InternalServerErrorException")
	set(notFound, "RESOURCE_NOT_FOUND", 404, "Not Found", "NotFoundException")
	set(circuitOpen, "CIRCUIT_OPEN", 503, "Service Unavailable", "ServiceUnavailableException")
	set(methodTooLong, "METHOD_TOO_LONG", 414, "Request URI Too Long", "BadRequestException")
	set(spendLimit, "SPEND_LIMIT_REACHED", 402, "Spend Limit Reached", "SpendLimitReachedException")
	for _, k := range []kind{authorizerFailure, authorizerConfiguration} {
		t[k].body = []byte(`{"message":null}`) // as recorded
	}
	t[noGRPC].head = append(t[noGRPC].head, "grpc-status: 12\r\ngrpc-message: gRPC is not served by this gateway\r\n"...)
	return t
}()

// render answers the call with a kind.
func (c *call) render(x *http1.Exchange, k kind) {
	a := &answers[k]
	c.kind = k
	if k >= integrationFailure && k <= integrationTimeout || k == configurationError || k == malformedAnswer {
		c.flags |= flagBillable
	}
	if c.flags&flagDrawn != 0 && c.flags&flagBillable == 0 { // what is refused costs nothing
		c.sub.refund(c)
	}
	c.head = append(c.head[:0], a.head...)
	c.head = c.appendChallenge(c.appendOwn(c.head, x))
	c.g.metrics.refused[k].Add(1)
	if c.trace != nil {
		c.traceFailure(k)
	}
	body := a.body
	if c.message != "" {
		name := `{"message":`
		if k == accessDenied {
			name = `{"Message":` // as recorded
		}
		body = append(append([]byte(name), jsonText(c.message)...), '}')
	}
	if c.variant != nil && c.variant.prog.responses != nil {
		if g := c.variant.prog.responses[k]; g != nil {
			c.renderMapped(x, k, g, body)
			return
		}
	}
	_ = x.Reply(a.status, c.head, body)
}

// renderMapped answers with what the API's author made of a kind.
func (c *call) renderMapped(x *http1.Exchange, k kind, g *mapping.GatewayResponse, body []byte) {
	a := &answers[k]
	in := c.mappingCall(x, "")
	message := c.message
	if message == "" {
		message = a.message
	}
	e := vtl.NewMap()
	e.Set("message", message)
	if message == "" {
		e.Set("messageString", "null")
	} else {
		e.Set("messageString", string(jsonText(message)))
	}
	e.Set("responseType", a.name)
	if c.detail != "" {
		quoted := jsonText(c.detail) // templates put it between quotes
		e.Set("validationErrorString", string(quoted[1:len(quoted)-1]))
	}
	in.Context.Set("error", e)
	out := g.Reply(in, a.status, string(body))
	c.head = append(append(append(c.head[:0], "x-amzn-ErrorType: "...), a.errorType...), '\r', '\n')
	c.head = c.appendChallenge(c.appendOwn(c.head, x))
	for _, h := range out.Header {
		if c.cors() != nil && isCORS(h.Name) {
			continue
		}
		c.head = append(append(append(append(c.head, h.Name...), ": "...), h.Value...), '\r', '\n')
	}
	_ = x.Reply(out.Status, c.head, []byte(out.Body))
}

// compileResponses are the author's, by kind; nil: there is none. One that is not
// changed itself follows the default of its class, but for the one that is fixed.
func compileResponses(d *model.Definition) (*[kinds]*mapping.GatewayResponse, error) {
	if len(d.GatewayResponses) == 0 {
		return nil, nil
	}
	byName := map[string]*mapping.GatewayResponse{}
	for _, name := range slices.Sorted(maps.Keys(d.GatewayResponses)) {
		g, err := mapping.CompileGatewayResponse(d.GatewayResponses[name])
		if err != nil {
			return nil, fmt.Errorf("gateway response %s: %w", name, err)
		}
		byName[name] = g
	}
	var out [kinds]*mapping.GatewayResponse
	for k := range out {
		a := &answers[k]
		if a.name == "" || kind(k) == tooLarge {
			continue
		}
		if out[k] = byName[a.name]; out[k] == nil {
			out[k] = byName[fmt.Sprintf("DEFAULT_%dXX", a.status/100)]
		}
	}
	return &out, nil
}

// refused answers a message that is no HTTP, after which the connection closes.
// There is no call to record: nothing in it can be attributed.
func (g *Gateway) refused(x *http1.Exchange, e *http1.ParseError) {
	g.metrics.malformed.Add(1)
	c := x.App.(*call)
	c.id = g.journal.Begin(x.Shard)
	c.head = append(c.head[:0], "Content-Type: application/json\r\nx-amzn-ErrorType: BadRequestException\r\n"...)
	c.head = c.appendID(c.head)
	body := append([]byte(`{"message":"`), e.Reason...)
	_ = x.Reply(e.Status, c.head, append(body, `"}`...))
}

func (c *call) appendChallenge(dst []byte) []byte {
	if c.challenge == "" {
		return dst
	}
	return append(append(append(dst, "www-authenticate: "...), c.challenge...), '\r', '\n')
}

// appendOwn appends what the gateway adds to each answer of a call.
func (c *call) appendOwn(dst []byte, x *http1.Exchange) []byte {
	dst = c.appendID(dst)
	if s := c.cors(); s != nil {
		dst = s.appendAnswer(dst, x)
	}
	if c.stage != nil && c.stage.limits {
		dst = c.appendLimits(dst, x)
	}
	return dst
}

// cors are the settings of the call's stage; nil: it has none.
func (c *call) cors() *cors {
	if c.stage == nil {
		return nil
	}
	return c.stage.cors
}

// appendID appends the names that the call has: in the journal, and the shorter one
// that Amazon API Gateway gives each call besides.
func (c *call) appendID(dst []byte) []byte {
	dst = append(dst, "x-amzn-RequestId: "...)
	dst = c.id.AppendText(dst)
	dst = append(dst, "\r\nx-amz-apigw-id: "...)
	dst = c.appendExtendedID(dst)
	return append(dst, '\r', '\n')
}

// appendExtendedID is $context.extendedRequestId, wherever it is told: the call's id in the
// short form.
func (c *call) appendExtendedID(dst []byte) []byte {
	return base64.StdEncoding.AppendEncode(dst, c.id[5:16])
}
