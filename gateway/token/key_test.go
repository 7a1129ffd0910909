package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"tollgate/gateway/token/issuertest"
)

func keySetOf(keys ...map[string]any) []byte {
	b, _ := json.Marshal(map[string]any{"keys": keys})
	return b
}

// Keys that could not have been meant, or that would cost much, are no keys.
func TestKeys(t *testing.T) {
	num := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	bits := func(n int) *big.Int { return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(n)), big.NewInt(1)) }
	rsa, ec, ed := issuertest.New(t, "RS256").Key().JWK(), issuertest.New(t, "ES256").Key().JWK(), issuertest.New(t, "EdDSA").Key().JWK()
	for name, c := range map[string]struct {
		key    map[string]any
		change map[string]any
		algs   string
	}{
		"rsa":                 {rsa, nil, "[RS256]"},
		"rsa, any":            {rsa, map[string]any{"alg": nil}, "[RS256 RS384 RS512 PS256 PS384 PS512]"},
		"rsa, 8192":           {rsa, map[string]any{"n": num(bits(8192))}, "[RS256]"},
		"rsa, too large":      {rsa, map[string]any{"n": num(bits(8193))}, "[]"},
		"rsa, huge":           {rsa, map[string]any{"n": num(bits(400_000))}, "[]"},
		"rsa, small":          {rsa, map[string]any{"n": num(bits(2047))}, "[]"},
		"rsa, even":           {rsa, map[string]any{"n": num(new(big.Int).Lsh(big.NewInt(1), 2048))}, "[]"},
		"rsa, none":           {rsa, map[string]any{"n": ""}, "[]"},
		"rsa, exponent":       {rsa, map[string]any{"e": num(big.NewInt(1<<31 - 1))}, "[RS256]"},
		"rsa, exponent 1":     {rsa, map[string]any{"e": num(big.NewInt(1))}, "[]"},
		"rsa, exponent even":  {rsa, map[string]any{"e": num(big.NewInt(65536))}, "[]"},
		"rsa, exponent large": {rsa, map[string]any{"e": num(bits(32))}, "[]"},
		"rsa, exponent huge":  {rsa, map[string]any{"e": num(bits(100_000))}, "[]"},
		"rsa, for hmac":       {rsa, map[string]any{"alg": "HS256"}, "[]"},
		"for encryption":      {rsa, map[string]any{"use": "enc"}, "[]"},
		"use unsaid":          {rsa, map[string]any{"use": nil}, "[RS256]"},
		"for wrapping":        {rsa, map[string]any{"key_ops": []string{"wrapKey"}}, "[]"},
		"for verifying":       {rsa, map[string]any{"key_ops": []string{"verify"}}, "[RS256]"},
		"without id":          {rsa, map[string]any{"kid": nil}, "[]"},
		"ec":                  {ec, nil, "[ES256]"},
		"ec, any":             {ec, map[string]any{"alg": nil}, "[ES256]"},
		"ec, not on curve":    {ec, map[string]any{"x": ec["y"]}, "[]"},
		"ec, other curve":     {ec, map[string]any{"crv": "P-384"}, "[]"},
		"ec, odd curve":       {ec, map[string]any{"crv": "secp256k1"}, "[]"},
		"ec, short":           {ec, map[string]any{"x": "AA"}, "[]"},
		"ed":                  {ed, nil, "[EdDSA]"},
		"ed, any":             {ed, map[string]any{"alg": nil}, "[EdDSA Ed25519]"},
		"ed, other curve":     {ed, map[string]any{"crv": "X25519"}, "[]"},
		"ed, short":           {ed, map[string]any{"x": "AA"}, "[]"},
		"symmetric":           {map[string]any{"kty": "oct", "kid": "a", "k": "AAAA"}, nil, "[]"},
		"odd":                 {map[string]any{"kid": 1}, nil, "[]"},
	} {
		k := maps.Clone(c.key)
		maps.Copy(k, c.change)
		maps.DeleteFunc(k, func(_ string, v any) bool { return v == nil })
		set, err := parseKeys(keySetOf(k))
		algs := []string{}
		for _, same := range set {
			for i := range algorithms {
				if same[0].algs.Has(Algorithm(i)) {
					algs = append(algs, algorithms[i].name)
				}
			}
		}
		if fmt.Sprint(algs) != c.algs || (err == nil) != (len(set) > 0) {
			t.Errorf("%s: %v, %v", name, algs, err)
		}
	}

	many := make([]map[string]any, 0, 100)
	for i := range 100 {
		k := maps.Clone(ed)
		k["kid"] = fmt.Sprint(i % 3)
		many = append(many, k)
	}
	if set, err := parseKeys(keySetOf(many...)); err != nil || len(set) != 3 || len(set["0"]) != maxSameID {
		t.Errorf("keys with the same id: %v", err)
	}
	for i := range many {
		many[i]["kid"] = fmt.Sprint(i)
	}
	for _, b := range [][]byte{keySetOf(many...), []byte("[]"), []byte(`{"keys":1}`), []byte(`{}`), nil, []byte(`{"keys":` + strings.Repeat("[", 60_000) + strings.Repeat("]", 60_000) + `}`), bytes.Repeat([]byte(" "), MaxKeySetBytes+1)} {
		if _, err := parseKeys(b); err == nil {
			t.Errorf("%.40q is a key set", b)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, alg := range []string{"RS256", "ES384", "EdDSA"} {
		f.Add(keySetOf(issuertest.New(f, alg).Key().JWK()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := parseKeys(b)
		if (err == nil) != (len(set) > 0) {
			t.Fatalf("%d keys, %v", len(set), err)
		}
		for _, same := range set {
			for _, k := range same {
				for i := range algorithms {
					if k.algs.Has(Algorithm(i)) && Algorithm(i).verify(k.public, []byte("x"), make([]byte, 64)) {
						t.Fatal("zeros are a signature")
					}
				}
			}
		}
	})
}
