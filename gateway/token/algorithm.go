package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // registered for the algorithms
	_ "crypto/sha512"
	"math/big"
)

// Algorithm signs tokens (RFC 7518, RFC 8037), all with public keys.
type Algorithm uint8

// Algorithms is a set of them, a bit each.
type Algorithms uint16

// Has says whether the set has an algorithm.
func (s Algorithms) Has(a Algorithm) bool { return s&(1<<a) != 0 }

// Add is the set with one more.
func (s Algorithms) Add(a Algorithm) Algorithms { return s | 1<<a }

type family uint8

const (
	pkcs1 family = iota
	pss
	ecdsas
	eddsa
)

// algorithms by number. size is of an ECDSA curve, in bits.
var algorithms = []struct {
	name   string
	family family
	hash   crypto.Hash
	size   int
}{
	{"RS256", pkcs1, crypto.SHA256, 0}, {"RS384", pkcs1, crypto.SHA384, 0}, {"RS512", pkcs1, crypto.SHA512, 0},
	{"ES256", ecdsas, crypto.SHA256, 256}, {"ES384", ecdsas, crypto.SHA384, 384}, {"ES512", ecdsas, crypto.SHA512, 521},
	{"PS256", pss, crypto.SHA256, 0}, {"PS384", pss, crypto.SHA384, 0}, {"PS512", pss, crypto.SHA512, 0},
	{"EdDSA", eddsa, 0, 0}, {"Ed25519", eddsa, 0, 0}, // the same by another name (RFC 9864)
}

// ParseAlgorithm finds one by its name, such as RS256.
func ParseAlgorithm(name string) (Algorithm, bool) {
	for i := range algorithms {
		if algorithms[i].name == name {
			return Algorithm(i), true
		}
	}
	return 0, false
}

// verify says whether a signature is of the data, by the key.
func (a Algorithm) verify(public any, data, signature []byte) bool {
	d := &algorithms[a]
	if d.family == eddsa {
		key, ok := public.(ed25519.PublicKey)
		return ok && ed25519.Verify(key, data, signature)
	}
	h := d.hash.New()
	h.Write(data)
	digest := h.Sum(nil)
	switch key := public.(type) {
	case *rsa.PublicKey:
		switch d.family {
		case pkcs1:
			return rsa.VerifyPKCS1v15(key, d.hash, digest, signature) == nil
		case pss:
			return rsa.VerifyPSS(key, d.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case *ecdsa.PublicKey:
		n := (d.size + 7) / 8
		if d.family != ecdsas || key.Curve.Params().BitSize != d.size || len(signature) != 2*n {
			return false
		}
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:]))
	}
	return false
}
