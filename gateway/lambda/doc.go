// Package lambda is what an API and a Lambda function say to each other: the events of
// proxy integrations and of authorizers, the function's answers, and the framing of
// answers that come in pieces. It does no I/O, builds events by appending, and reads
// answers strictly: what is no answer that the service takes is an error.
//
// Shapes and rules are those of Amazon API Gateway's documentation, "Set up Lambda proxy
// integrations" and "Use API Gateway Lambda authorizers".
package lambda
