package awsapi

import (
	"errors"
	"net/http"

	"tollgate/awsapi/sigv4"
	"tollgate/control/remote"
	"tollgate/model"
	"tollgate/ui/serve"
)

// Serves reports that a request is for this face: it is signed for a service of
// Amazon's, by its header or its query, or is a call of Tollgate's own.
func Serves(r *http.Request) bool {
	_, ok := sigv4.ScopeService(r.Header.Get("Authorization"), r.URL.RawQuery)
	return ok || isNative(r)
}

var errSessionToken = &sigv4.Error{Kind: sigv4.UnknownKey,
	Message: "The security token included in the request is invalid: session tokens are not issued here; sign with an access key and its secret alone"}

// authenticate finds out who signed the call, and for which service. What is wrong
// with the signature is a *sigv4.Error.
func (c *call) authenticate() error {
	signed, err := sigv4.ParseHTTP(c.r)
	if err != nil {
		return err
	}
	c.service = signed.Scope.Service
	if signed.SessionToken != "" {
		return errSessionToken
	}
	actor, secret, err := c.Plane.AccessKey(c.ctx, signed.AccessKeyID)
	if model.KindOf(err) == model.Unauthenticated {
		return sigv4.ErrUnknownKey
	}
	if err != nil {
		return err
	}
	limit := int64(maxBody)
	if c.service == remote.Service && signed.PayloadHash != "" {
		// The largest bodies are taken in from those alone who have proved who they are.
		if err := signed.Verify(secret, signed.PayloadHash, c.Now()); err != nil {
			return err
		}
		limit = remote.MaxBody
	}
	if err := c.read(limit); err != nil { // only for who has a key
		return err
	}
	if err := signed.Verify(secret, sigv4.HashBody(c.body), c.Now()); err != nil {
		return err
	}
	actor.Source = serve.Source(c.r, c.BehindProxy)
	c.actor = actor
	return nil
}

// unsigned refuses a call whose signature does not hold, as the service does.
func unsigned(err error) error {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err
	}
	return failure{http.StatusForbidden, e.Kind.Code(), e.Message}
}
