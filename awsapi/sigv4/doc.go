// Package sigv4 is AWS signature version 4: it finds, verifies and makes
// signatures of HTTP requests, in the header and in the presigned query form. It
// is pure: it does no I/O, reads no body and has no clock but the time it is given,
// and it never decides who a key belongs to or what its owner may do.
//
// A verifier parses, looks the key up by AccessKeyID and SessionToken, then verifies:
//
//	s, err := sigv4.ParseHTTP(r)
//	secret := … // of s.AccessKeyID; unknown: ErrUnknownKey
//	err = s.Verify(secret, sigv4.HashBody(body), now)
//	err = s.CheckService("apigateway")
//
// # Time and replays
//
// A request is good for Skew (5 minutes) either side of its date, as with AWS ("a
// request must reach AWS within five minutes of the time stamp in the request", IAM
// User Guide, Signature Version 4; the messages of API Gateway end in "- 5 min."). A
// presigned one is good until its X-Amz-Expires, at most MaxExpires after its date.
// Within that window the same request may be repeated, as with AWS: dates have whole
// seconds, so an SDK's retry can carry the very signature of the first attempt, and
// refusing second uses would fail calls nobody attacked. What must not happen twice
// needs an idempotency key of its own.
//
// # What a signature covers
//
// Method, path, query, Host, every x-amz-* header, the headers the client chose, and
// the body. Two equivalences are AWS's and the caller's to mind. Dot segments and
// doubled slashes are removed from the path before it is signed, so a signature for /b
// also fits /a/../b: who routes on the path as sent refuses what IsNormalPath does not
// accept. In the query + means a blank and ; is an ordinary character.
package sigv4
