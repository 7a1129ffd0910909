package gateway

import (
	"errors"
	"slices"
	"strconv"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/http1"
	"tollgate/gateway/policy"
)

// sigService is what calls of APIs are signed for.
const sigService = "execute-api"

// errPath is of a path whose signature would fit another one, too: see sigv4.IsNormalPath.
var errPath = &sigv4.Error{Kind: sigv4.Invalid, Message: "A signed path must have no doubled slashes and no dot segments."}

// errOverride is of a call that was signed with one verb and asks for another.
var errOverride = &sigv4.Error{Kind: sigv4.Invalid, Message: "'X-HTTP-Method-Override' must be a 'SignedHeader' in the AWS Authorization."}

// iam is AWS_IAM authorization: the call is signed with an access key, by header or in
// its URL, and the key's policy and the API's let it in.
//
// Whatever is refused is so before the body is read, where the signature says the body's
// hash. Where it does not, the whole body is read first, since it enters the signature;
// only for a key that there is.
func (c *call) iam(x *http1.Exchange) kind {
	s, err := sigv4.Parse(signedRequest(x))
	if err != nil {
		return c.unsigned(err)
	}
	who := (*c.g.signers.Load())[s.AccessKeyID]
	if err := c.checkSigned(x, s, who); err != nil {
		return c.unsigned(err)
	}
	key, ok := who.key(s.Date)
	if !ok { // of a date that is good now
		c.why = "the control plane has not been heard for too long: this node has no signing keys for today"
		if !c.g.said("signing keys") {
			c.g.log.Error("calls signed with access keys are refused: the control plane has not been heard for too long, and the signing keys it gave are over",
				"revision", c.g.follower.Revision(), "since", c.g.follower.Age(c.now))
		}
		return unavailable
	}
	hash, k := c.signedBody(x, s, key)
	if k != proceed {
		return k
	}
	if err := s.VerifyKey(key, hash, c.now); err != nil {
		return c.badSignature(s, hash, err)
	}
	r := c.policyRequest(x, &who.who, c.variant.prog.policy, who.policy)
	if d := c.lets(who, r); d != policy.Allow {
		return c.denied(r, d, c.whyNot(who, r))
	}
	w := *who.caller
	w.invalidates = func() bool {
		again := *r
		again.Action = "execute-api:InvalidateCache"
		return c.lets(who, &again) == policy.Allow
	}
	c.caller = &w
	for i := range x.Request.Fields[:x.Request.N] { // it was meant for the gateway
		if f := &x.Request.Fields[i]; http1.EqualFold(f.Name.Of(x.In), "authorization") {
			f.Hop = true
		}
	}
	if c.trace != nil {
		c.trace.say("Authorized %s with access key %s", who.who.ARN, who.id)
	}
	return proceed
}

// lets says what the signer's policy and the API's make of a request.
func (c *call) lets(who *signer, r *policy.Request) policy.Decision {
	if p := c.variant.prog.policy; p != nil {
		c.ruling = p.Evaluate(r)
	}
	foreign := who.tenant != c.tenant
	return c.permits(who.judge(r, foreign), foreign)
}

// whyNot is the reason of lets in words.
func (c *call) whyNot(who *signer, r *policy.Request) string {
	why := who.why(r)
	if p := c.variant.prog.policy; p != nil {
		return why + "; of the API: " + p.Why(r)
	}
	if who.tenant != c.tenant {
		return why + "; the API has no policy, so nobody of another account may call it"
	}
	return why
}

// checkSigned refuses what need not be computed to be refused.
func (c *call) checkSigned(x *http1.Exchange, s *sigv4.Signed, who *signer) error {
	if err := s.CheckService(sigService); err != nil {
		return err
	}
	if who == nil || who.tenant.suspended.Load() || s.SessionToken != "" { // nothing issues sessions
		return sigv4.ErrUnknownKey
	}
	if err := s.CheckRegion(c.g.o.Region); err != nil {
		return err
	}
	// Who signs a GET has not signed what this header makes of it.
	if x.Request.Override.Len() > 0 && !slices.Contains(s.SignedHeaders, "x-http-method-override") {
		return errOverride
	}
	if !sigv4.IsNormalPath(string(x.Request.Path.Of(x.In))) {
		return errPath
	}
	return s.CheckTime(c.now)
}

// signedBody is the hash of the call's body, which is read for it.
func (c *call) signedBody(x *http1.Exchange, s *sigv4.Signed, key sigv4.Key) (hash string, k kind) {
	if x.Request.ContentLength == 0 && !x.Request.Chunked {
		return emptyHash, proceed
	}
	if claimed := s.PayloadHash; claimed != "" && c.body == nil {
		// Neither UNSIGNED-PAYLOAD nor the streaming forms are a body's hash.
		if len(claimed) != len(emptyHash) {
			return "", c.badSignature(s, emptyHash, s.VerifyKey(key, emptyHash, c.now))
		}
		if err := s.VerifyKey(key, claimed, c.now); err != nil {
			return "", c.badSignature(s, claimed, err)
		}
	}
	if !x.MayBlock() {
		x.Block()
		return "", later
	}
	if k := c.readBody(x); k != proceed {
		return "", k
	}
	return c.hash, proceed
}

var emptyHash = sigv4.HashBody(nil)

// badSignature refuses a signature that does not fit, with what its maker needs to find
// out why, as the service does.
func (c *call) badSignature(s *sigv4.Signed, hash string, err error) kind {
	if e, ok := errors.AsType[*sigv4.Error](err); ok && e.Kind == sigv4.Invalid {
		canonical, toSign := s.Explain(hash)
		err = &sigv4.Error{Kind: e.Kind, Message: e.Message + "\n\nThe Canonical String for this request should have been\n'" + canonical +
			"'\n\nThe String-to-Sign should have been\n'" + toSign + "'\n"}
	}
	return c.unsigned(err)
}

// unsigned refuses a call whose signature does not hold.
func (c *call) unsigned(err error) kind {
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok {
		c.why = err.Error()
		return configurationError
	}
	c.message = e.Message
	switch e.Kind {
	case sigv4.MissingToken:
		return missingToken
	case sigv4.Incomplete:
		return incompleteSignature
	case sigv4.UnknownKey:
		return unknownSigner
	case sigv4.ExpiredToken:
		return expiredToken
	}
	return invalidSignature
}

// signedRequest is the call as its client signed it.
func signedRequest(x *http1.Exchange) *sigv4.Request {
	r := &x.Request
	q := &sigv4.Request{Method: string(r.Method.Of(x.In)), Path: string(r.Path.Of(x.In)), Query: string(r.Query.Of(x.In)), Host: string(r.Host.Of(x.In)),
		Header: make([]sigv4.Field, 0, r.N+1)}
	length := false
	for i := range r.Fields[:r.N] {
		name := string(r.Fields[i].Name.Of(x.In))
		q.Header = append(q.Header, sigv4.Field{Name: name, Value: string(r.Fields[i].Value.Of(x.In))})
		length = length || http1.EqualFold([]byte(name), "content-length")
	}
	if !length && r.ContentLength > 0 { // HTTP/2 keeps it apart
		q.Header = append(q.Header, sigv4.Field{Name: "content-length", Value: strconv.FormatInt(r.ContentLength, 10)})
	}
	return q
}
