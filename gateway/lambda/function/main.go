// The program is a Lambda function on Amazon's own runtime client, for tests. It is a
// module of its own: the product does not depend on that client.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() { lambda.Start(handle) }

// handle is several functions, by the name that was invoked.
func handle(ctx context.Context, event json.RawMessage) (any, error) {
	c, _ := lambdacontext.FromContext(ctx)
	name := strings.Split(c.InvokedFunctionArn+":::::::", ":")[6]
	switch name {
	case "echo": // the event is the body
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		return events.APIGatewayProxyResponse{StatusCode: 201, Headers: map[string]string{"Content-Type": "application/json", "X-Verb": e.HTTPMethod},
			MultiValueHeaders: map[string][]string{"Set-Cookie": {"a=1", "b=2"}}, Body: string(event)}, nil
	case "raw": // the request's body is the answer
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		return json.RawMessage(e.Body), nil
	case "fails":
		return nil, errors.New("it went wrong")
	case "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	case "stream":
		return stream(ctx, event)
	case "token":
		var e events.APIGatewayCustomAuthorizerRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		return authorize(e.Type, e.AuthorizationToken, e.MethodArn)
	case "request":
		var e events.APIGatewayCustomAuthorizerRequestTypeRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		return authorize(e.Type, e.Headers["X-Who"]+e.QueryStringParameters["who"], e.MethodArn)
	}
	return nil, fmt.Errorf("there is no function %q", name)
}

func stream(ctx context.Context, event json.RawMessage) (any, error) {
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "one,")
		switch e.QueryStringParameters["then"] {
		case "wait":
			<-ctx.Done()
		case "fail":
			_ = w.CloseWithError(errors.New("it broke off"))
		case "much":
			for range 2000 {
				_, _ = io.WriteString(w, strings.Repeat("0123456789abcdef", 64))
			}
		}
		_, _ = io.WriteString(w, "two")
		_ = w.Close()
	}()
	return &events.LambdaFunctionURLStreamingResponse{StatusCode: 207, Headers: map[string]string{"Content-Type": "text/plain", "X-Path": e.Path}, Cookies: []string{"c=1"}, Body: r}, nil
}

// authorize answers as its token says: an effect, and behind blanks the resource, where -
// is the method's own, and an API key.
func authorize(kind, token, arn string) (any, error) {
	parts := append(strings.Fields(token), "", "", "")
	effect, resource := parts[0], parts[1]
	if resource == "" || resource == "-" {
		resource = arn
	}
	switch effect {
	case "Allow", "Deny":
	case "Silent":
		effect, resource = "Allow", "arn:aws:execute-api:*:*:other/*"
	case "Broken":
		return map[string]any{"principalId": "me", "policyDocument": "none"}, nil
	case "Unauthorized":
		return nil, errors.New("Unauthorized")
	default:
		return nil, errors.New("no " + token)
	}
	return map[string]any{
		"principalId":        kind + "-caller",
		"policyDocument":     map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}}},
		"context":            map[string]any{"text": "a", "number": 42, "flag": true},
		"usageIdentifierKey": parts[2],
	}, nil
}
