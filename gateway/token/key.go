package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"
)

// Limits of a key set.
const (
	MaxKeySetBytes = 150_000 // as Amazon API Gateway takes them; discovery documents too
	maxKeys        = 64
	maxSameID      = 4 // keys with one id
	minRSABits     = 2048
	maxRSABits     = 8192
)

// key is a public one that an issuer signs with.
type key struct {
	id     string
	public any        // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	algs   Algorithms // it may be used with
	print  [32]byte   // tells it from others with its id
	gone   atomic.Bool
}

// parseKeys reads a JSON Web Key Set (RFC 7517). Keys that are not for signatures, or
// of a kind that is not known, are passed over.
func parseKeys(b []byte) (map[string][]*key, error) {
	if len(b) > MaxKeySetBytes {
		return nil, fmt.Errorf("the key set has more than %d bytes", MaxKeySetBytes)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, errors.New("the key set is no JSON object with keys")
	}
	out, n := map[string][]*key{}, 0
	for _, raw := range set.Keys {
		k := parseKey(raw)
		if k == nil || len(out[k.id]) == maxSameID {
			continue
		}
		if n++; n > maxKeys {
			return nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
		}
		out[k.id] = append(out[k.id], k)
	}
	if n == 0 {
		return nil, errors.New("the key set has no key with an id that signatures can be verified by")
	}
	return out, nil
}

// parseKey is nil for a key that is of no use.
func parseKey(raw []byte) *key {
	var in struct {
		Kty, Kid, Use, Alg, Crv string
		Ops                     []string `json:"key_ops"`
		N, E, X, Y              string
	}
	if json.Unmarshal(raw, &in) != nil || in.Kid == "" || len(in.Kid) > maxKeyID || in.Use != "" && in.Use != "sig" || in.Ops != nil && !slices.Contains(in.Ops, "verify") {
		return nil
	}
	k := &key{id: in.Kid}
	var kind family
	size := 0
	switch in.Kty {
	case "RSA":
		pub := rsaKey(in.N, in.E)
		if pub == nil {
			return nil
		}
		k.public = pub
	case "EC":
		pub := ecKey(in.Crv, in.X, in.Y)
		if pub == nil {
			return nil
		}
		k.public, kind, size = pub, ecdsas, pub.Curve.Params().BitSize
	case "OKP":
		x, err := strict.DecodeString(in.X)
		if in.Crv != "Ed25519" || err != nil || len(x) != ed25519.PublicKeySize {
			return nil
		}
		k.public, kind = ed25519.PublicKey(x), eddsa
	default:
		return nil
	}
	for i := range algorithms {
		a := &algorithms[i]
		fits := a.family == kind && a.size == size || a.family == pss && kind == pkcs1
		if fits && (in.Alg == "" || in.Alg == a.name) {
			k.algs = k.algs.Add(Algorithm(i))
		}
	}
	if k.algs == 0 {
		return nil
	}
	k.print = sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %s %s %d", in.Kty, in.Crv, in.N, in.E, in.X, in.Y, k.algs))
	return k
}

func rsaKey(n, e string) *rsa.PublicKey {
	modulus, err := strict.DecodeString(n)
	if err != nil || len(modulus) > maxRSABits/8 {
		return nil
	}
	exponent, err := strict.DecodeString(e)
	if err != nil || len(exponent) > 4 {
		return nil
	}
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus)}
	exp := new(big.Int).SetBytes(exponent).Int64()
	if pub.N.BitLen() < minRSABits || pub.N.Bit(0) == 0 || exp < 3 || exp >= 1<<31 || exp%2 == 0 {
		return nil
	}
	pub.E = int(exp)
	return pub
}

func ecKey(crv, x, y string) *ecdsa.PublicKey {
	var curve elliptic.Curve
	switch crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil
	}
	n := (curve.Params().BitSize + 7) / 8
	point := make([]byte, 1, 1+2*n)
	point[0] = 4 // uncompressed
	for _, s := range []string{x, y} {
		b, err := strict.DecodeString(s)
		if err != nil || len(b) != n {
			return nil
		}
		point = append(point, b...)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil
	}
	return pub
}
