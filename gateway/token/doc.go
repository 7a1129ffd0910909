// Package token verifies JSON Web Tokens (RFC 7519) of OpenID Connect issuers: who
// signed a token, for whom, until when, and what it says.
//
// A Ring holds the key sets of issuers and the tokens that were verified. Everything
// that strangers send or choose is bounded: tokens, key sets, how often and how many at
// a time key sets are fetched, and what is remembered. It must never accept a token
// that it could not verify: an issuer that cannot be asked is an error, not a yes. It
// must never take an algorithm without a public key: `none` and HMAC are unknown here.
package token
