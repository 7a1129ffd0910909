package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
)

// Kind says why a request is refused. A face maps it to its own answer; on the
// wire of API Gateway each is a 403 with Code in x-amzn-ErrorType.
type Kind uint8

const (
	MissingToken Kind = iota + 1 // nothing is signed
	Incomplete                   // what is signed cannot be read
	Invalid                      // the signature does not fit, or leaves out what it must cover
	Expired                      // too old, or not yet current
	UnknownKey                   // the caller knows no such access key
	ExpiredToken                 // the caller knows the session to be over
)

// Code is the exception's name as services speaking REST-JSON give it. Services
// with the query protocol say SignatureDoesNotMatch and InvalidClientTokenId instead.
func (k Kind) Code() string {
	switch k {
	case MissingToken:
		return "MissingAuthenticationTokenException"
	case Incomplete:
		return "IncompleteSignatureException"
	case UnknownKey:
		return "UnrecognizedClientException"
	case ExpiredToken:
		return "ExpiredTokenException"
	}
	return "InvalidSignatureException"
}

// Error is the only error of this package. Its message is AWS's where that is known
// and is meant for the client: it repeats nothing secret.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

// What only the caller can find.
var (
	ErrUnknownKey   = &Error{UnknownKey, "The security token included in the request is invalid."}
	ErrExpiredToken = &Error{ExpiredToken, "The security token included in the request is expired"}
)

var (
	errMissing  = &Error{MissingToken, "Missing Authentication Token"}
	errMismatch = &Error{Invalid, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	errHost     = &Error{Invalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."}
)

// hashed stands for a header AWS does not repeat in an answer, as it may be another
// scheme's secret.
func hashed(value string) string {
	sum := sha256.Sum256([]byte(value))
	return base64.StdEncoding.EncodeToString(sum[:])
}
