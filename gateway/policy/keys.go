package policy

import (
	"strconv"
	"strings"
	"time"
)

// Key is a condition key that a Request has a field for.
type Key uint8

const (
	Other Key = iota // looked up by name
	SourceIP
	SecureTransport
	UserAgent
	Referer
	CurrentTime
	EpochTime
	PrincipalARN
	PrincipalAccount
	PrincipalType
	UserID
	UserName
	principalTag
)

// keyNames are in lower case: names of keys match in any.
var keyNames = map[string]Key{
	"aws:sourceip":         SourceIP,
	"aws:securetransport":  SecureTransport,
	"aws:useragent":        UserAgent,
	"aws:referer":          Referer,
	"aws:currenttime":      CurrentTime,
	"aws:epochtime":        EpochTime,
	"aws:principalarn":     PrincipalARN,
	"aws:principalaccount": PrincipalAccount,
	"aws:principaltype":    PrincipalType,
	"aws:userid":           UserID,
	"aws:username":         UserName,
}

const tagPrefix = "aws:principaltag/"

// ref is a key that a policy reads.
type ref struct {
	key  Key
	name string // of Other, in lower case; of a tag, as it is written
}

func (c *compiler) ref(name string) *ref {
	low := strings.ToLower(name)
	k := keyNames[low]
	r := &ref{key: k, name: low}
	if k == Other && strings.HasPrefix(low, tagPrefix) {
		r.key, r.name = principalTag, name[len(tagPrefix):]
	}
	c.keys |= 1 << r.key
	return r
}

// maxValue is room for the text of every value that is no text already.
const maxValue = 64

// single is the key's value as text. Not ok: it is not in the request, or it is one of
// several.
func (k *ref) single(r *Request, room *[maxValue]byte) (string, bool) {
	p := r.Principal
	switch k.key {
	case SourceIP:
		if !r.SourceIP.IsValid() {
			return "", false
		}
		return string(r.SourceIP.Unmap().AppendTo(room[:0])), true
	case SecureTransport:
		return strconv.FormatBool(r.Secure), true
	case UserAgent:
		return r.UserAgent, r.UserAgent != ""
	case Referer:
		return r.Referer, r.Referer != ""
	case CurrentTime:
		return string(r.Now.UTC().AppendFormat(room[:0], time.RFC3339)), true
	case EpochTime:
		return string(strconv.AppendInt(room[:0], r.Now.Unix(), 10)), true
	case Other:
		if v := r.Other[k.name]; len(v) == 1 {
			return v[0], true
		}
		return "", false
	}
	if p == nil {
		return "", false
	}
	switch k.key {
	case PrincipalARN:
		return p.ARN, p.ARN != ""
	case PrincipalAccount:
		return p.Account, p.Account != ""
	case PrincipalType:
		return "User", true
	case UserID:
		return p.UserID, p.UserID != ""
	case UserName:
		return p.Name, p.Name != ""
	}
	for name, v := range p.Tags { // few; names match in any case
		if strings.EqualFold(name, k.name) {
			return v, true
		}
	}
	return "", false
}

// several are the values of a key that has a list of them.
func (k *ref) several(r *Request) []string {
	if k.key == Other {
		return r.Other[k.name]
	}
	return nil
}
