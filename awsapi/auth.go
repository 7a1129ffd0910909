package awsapi

import (
	"errors"
	"net/http"
	"sync"

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
	// Bodies are taken in from those who have proved who they are. Clients that sign the
	// body's hash and do not send it, as Amazon's do here, cannot before it is read.
	limit := int64(maxBody)
	if signed.PayloadHash != "" {
		if err := signed.Verify(secret, signed.PayloadHash, c.Now()); err != nil {
			return err
		}
		if c.service == remote.Service {
			limit = remote.MaxBody
		}
	} else {
		if err := signed.CheckTime(c.Now()); err != nil {
			return err
		}
		n, ok := c.unproved.take(actor.Tenant, c.r.ContentLength)
		if !ok {
			c.w.Header().Set("Retry-After", "1")
			return failure{http.StatusTooManyRequests, "TooManyRequestsException",
				"too many large bodies of the account are on their way at once; send one after the other, or sign x-amz-content-sha256"}
		}
		defer c.unproved.give(actor.Tenant, n)
	}
	if err := c.read(limit); err != nil {
		return err
	}
	if err := signed.Verify(secret, sigv4.HashBody(c.body), c.Now()); err != nil {
		return err
	}
	actor.Source = serve.Source(c.r, c.BehindProxy)
	c.actor = actor
	return nil
}

// Bodies whose signature waits for their end: each may have maxUnproved bytes for the
// asking, as many as anybody's head; larger ones, of all accounts and of one, share
// these rooms.
const (
	maxUnproved       = 64 << 10
	unprovedRoom      = 16 * maxBody
	unprovedOfAccount = 2 * maxBody
)

// unproved counts the bytes of large bodies that are read before it is known who sends
// them. Whoever knows a key id can fill its account's room, an eighth of all.
type unproved struct {
	mu  sync.Mutex
	all int64
	of  map[uint32]int64 // by account
}

// take makes room for a body of this length (negative: not known) in an account's name;
// not ok: there is none. What it took is given back.
func (u *unproved) take(tenant uint32, length int64) (n int64, ok bool) {
	if 0 <= length && length <= maxUnproved {
		return 0, true
	}
	if n = length; n < 0 || n > maxBody {
		n = maxBody
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all+n > unprovedRoom || u.of[tenant]+n > unprovedOfAccount {
		return 0, false
	}
	u.all += n
	u.of[tenant] += n
	return n, true
}

func (u *unproved) give(tenant uint32, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all -= n
	if u.of[tenant] -= n; u.of[tenant] == 0 {
		delete(u.of, tenant)
	}
}

// unsigned refuses a call whose signature does not hold, as the service does.
func unsigned(err error) error {
	var e *sigv4.Error
	if !errors.As(err, &e) {
		return err
	}
	return failure{http.StatusForbidden, e.Kind.Code(), e.Message}
}
