package model

import "regexp"

// MaxAuthorizerTTLSeconds is how long an authorizer's answer may be kept.
const MaxAuthorizerTTLSeconds = 3600

var invocation = regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/.+/(invocations|response-streaming-invocations)$`)

// IsInvocationURI says that a URI is one by which Lambda functions are invoked.
func IsInvocationURI(uri string) bool { return invocation.MatchString(uri) }
