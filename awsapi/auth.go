package awsapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"tollgate/awsapi/sigv4"
	"tollgate/model"
	"tollgate/ui/serve"
)

// Serves reports that a request is for this face: it is signed for a service of
// Amazon's, by its header or its query.
func Serves(r *http.Request) bool {
	_, ok := sigv4.ScopeService(r.Header.Get("Authorization"), r.URL.RawQuery)
	return ok
}

// authenticate finds out who signed the call, and for which service.
func (c *call) authenticate() error {
	signed, err := sigv4.ParseHTTP(c.r)
	if err != nil {
		return unsigned(err)
	}
	c.service = signed.Scope.Service
	if signed.SessionToken != "" {
		return failure{http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid: session tokens are not issued here; sign with an access key and its secret alone"}
	}
	actor, secret, err := c.Plane.AccessKey(c.ctx, signed.AccessKeyID)
	if model.KindOf(err) == model.Unauthenticated {
		return unsigned(sigv4.ErrUnknownKey)
	}
	if err != nil {
		return err
	}
	if err := c.read(); err != nil { // only for who has a key
		return err
	}
	sum := sha256.Sum256(c.body)
	if err := signed.Verify(secret, hex.EncodeToString(sum[:]), c.Now()); err != nil {
		return unsigned(err)
	}
	actor.Source = serve.Source(c.r, c.BehindProxy)
	c.actor = actor
	return nil
}

// unsigned refuses a call whose signature does not hold.
func unsigned(err error) error {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err
	}
	return failure{http.StatusForbidden, e.Kind.Code(), e.Message}
}
