package gateway

import "tollgate/gateway/http1"

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
}

var answers = func() (t [kinds]answer) {
	set := func(k kind, name string, status int, message, errorType string) {
		t[k] = answer{name: name, status: status,
			head: []byte("Content-Type: application/json\r\nx-amzn-ErrorType: " + errorType + "\r\n"),
			body: []byte(`{"message":"` + message + `"}`)}
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
	t[noGRPC].head = append(t[noGRPC].head, "grpc-status: 12\r\ngrpc-message: gRPC is not served by this gateway\r\n"...)
	return t
}()

// render answers the call with a kind.
func (c *call) render(x *http1.Exchange, k kind) {
	a := &answers[k]
	c.head = append(c.head[:0], a.head...)
	c.head = c.appendID(c.head)
	if k >= integrationFailure && k <= integrationTimeout || k == configurationError {
		c.flags |= flagBillable
	}
	c.g.metrics.refused[k].Add(1)
	body := a.body
	if c.message != "" {
		body = append(append([]byte(`{"message":`), jsonText(c.message)...), '}')
	}
	_ = x.Reply(a.status, c.head, body)
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

func (c *call) appendID(dst []byte) []byte {
	dst = append(dst, "x-amzn-RequestId: "...)
	dst = c.id.AppendText(dst)
	return append(dst, '\r', '\n')
}
