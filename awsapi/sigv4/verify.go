package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"
)

// Key signs for one scope. Deriving it is a good part of a verification's cost, and it
// lasts a day, so whoever verifies often keeps it; it is as secret as what it is from.
type Key [sha256.Size]byte

// Key derives the key of a scope. An empty secret gives the zero key, which verifies
// nothing: a key that was not found must not become one anybody could derive.
func (s Scope) Key(secret string) Key {
	if secret == "" {
		return Key{}
	}
	var buf [128]byte
	b := append(append(buf[:0], "AWS4"...), secret...)
	k := mac(b, s.Day)
	k = mac(k[:], s.Region)
	k = mac(k[:], s.Service)
	return mac(k[:], terminator)
}

func mac[T string | []byte](key []byte, msg T) (k Key) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(msg))
	h.Sum(k[:0])
	return k
}

// HashBody is a body's hash as signatures have it.
func HashBody(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Verify says whether the owner of secret made this request, at about now. hash is
// HashBody of what the client sent: a claimed PayloadHash must equal it. Who accepts
// bodies the client did not sign passes UnsignedPayload where PayloadHash is that; who
// verifies before the body is read passes PayloadHash, and compares afterwards.
func (s *Signed) Verify(secret, hash string, now time.Time) error {
	return s.VerifyKey(s.Scope.Key(secret), hash, now)
}

// VerifyKey is Verify with the key derived from the secret for s.Scope.
func (s *Signed) VerifyKey(key Key, hash string, now time.Time) error {
	if key == (Key{}) {
		return ErrUnknownKey
	}
	if err := s.CheckTime(now); err != nil {
		return err
	}
	var room [2048]byte
	canonical, whole := s.appendCanonical(room[:0], hash)
	var room2 [256]byte
	sum := mac(key[:], appendStringToSign(room2[:0], s.stamp, s.Scope, canonical))
	var want [2 * sha256.Size]byte
	hex.Encode(want[:], sum[:])
	fits := subtle.ConstantTimeCompare(want[:], []byte(s.signature)) == 1
	if !fits || !whole || s.PayloadHash != "" && s.PayloadHash != hash {
		return errMismatch
	}
	return nil
}

// appendCanonical appends what the client must have signed: its own claim about the
// body where there is one, as that is what it had.
func (s *Signed) appendCanonical(b []byte, hash string) ([]byte, bool) {
	if s.PayloadHash != "" {
		hash = s.PayloadHash
	}
	return s.req.appendCanonical(b, s.req.style(s.Scope.Service), s.SignedHeaders, s.list, hash)
}

// CheckTime says whether a request is good at about now, whoever signed it. Verify asks
// that too.
func (s *Signed) CheckTime(now time.Time) error {
	now = now.UTC().Truncate(time.Second) // as dates are
	if latest := now.Add(Skew); s.Date.After(latest) {
		return &Error{Expired, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			s.stamp, latest.Format(stampFormat), now.Format(stampFormat))}
	}
	window := Skew
	if s.Expires > 0 {
		window = s.Expires
	}
	if earliest := now.Add(-window); s.Date.Before(earliest) {
		ago := fmt.Sprintf("%d min.", window/time.Minute)
		if window%time.Minute != 0 {
			ago = fmt.Sprintf("%d sec.", window/time.Second)
		}
		return &Error{Expired, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s)",
			s.stamp, earliest.Format(stampFormat), now.Format(stampFormat), ago)}
	}
	return nil
}

// CheckService refuses a signature made for a service other than those named.
func (s *Signed) CheckService(services ...string) error {
	for _, want := range services {
		if s.Scope.Service == want {
			return nil
		}
	}
	return &Error{Invalid, fmt.Sprintf("Credential should be scoped to correct service: '%s'. ", services[0])}
}

// CheckRegion refuses a signature made for another region.
func (s *Signed) CheckRegion(want string) error {
	if s.Scope.Region == want {
		return nil
	}
	return &Error{Invalid, fmt.Sprintf("Credential should be scoped to a valid region, not '%s'. ", s.Scope.Region)}
}

// Explain returns the two texts a client needs to find why its signature does not fit,
// as API Gateway adds them to its refusal. They repeat the request's signed headers.
func (s *Signed) Explain(hash string) (canonical, stringToSign string) {
	c, _ := s.appendCanonical(nil, hash)
	return string(c), string(appendStringToSign(nil, s.stamp, s.Scope, c))
}
