package model

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
)

const base36 = "abcdefghijklmnopqrstuvwxyz0123456789"
const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func random(n int, alphabet string) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	max := byte(256 - 256%len(alphabet)) // refuse the biased tail
	for len(out) < n {
		_, _ = rand.Read(buf[:]) // never fails since Go 1.24
		for _, b := range buf {
			if (max == 0 || b < max) && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// NewID is a random lower-case id of n characters, as Amazon API Gateway's: 10
// for an API or a key, 6 for a resource, a deployment or a plan.
func NewID(n int) string { return random(n, base36) }

// NewAccountID is a random 12-digit account id that does not start with 0.
func NewAccountID() string { return random(1, "123456789") + random(11, "0123456789") }

// NewRequestID is a random UUID (version 4), as requests are named by on Amazon.
func NewRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// NewSecret is a random base62 string of n characters.
func NewSecret(n int) string { return random(n, base62) }

// NewKeyValue mints an API key: "tg_live_" or "tg_test_", 32 random base62
// characters (190 bits) and a six-character checksum, so that a mistyped or cut
// key is known before any look-up and secret scanners can recognise one.
func NewKeyValue(live bool) string {
	p := "tg_test_"
	if live {
		p = "tg_live_"
	}
	s := p + random(32, base62)
	return s + keyChecksum(s)
}

func keyChecksum(s string) string {
	c := crc32.ChecksumIEEE([]byte(s))
	var out [6]byte
	for i := range out {
		out[5-i] = base62[c%62]
		c /= 62
	}
	return string(out[:])
}

// CheckKeyValue says whether a value can be an API key: one of ours with a right
// checksum, or 20 to 128 characters of the caller's choice.
func CheckKeyValue(v string) error {
	if len(v) < 20 || len(v) > 128 {
		return Errorf(Invalid, "an API key has 20 to 128 characters; this one has %d", len(v))
	}
	for i := 0; i < len(v); i++ {
		if v[i] <= ' ' || v[i] >= 0x7f {
			return Errorf(Invalid, "an API key has only visible ASCII characters")
		}
	}
	if len(v) >= 8 && (v[:8] == "tg_live_" || v[:8] == "tg_test_") {
		if len(v) != 46 || keyChecksum(v[:40]) != v[40:] {
			return Errorf(Invalid, "this looks like one of our API keys, but its checksum is wrong: it was cut or mistyped")
		}
	}
	return nil
}

// KeyHash is what is stored of an API key and looked up by.
func KeyHash(v string) [32]byte { return sha256.Sum256([]byte(v)) }
