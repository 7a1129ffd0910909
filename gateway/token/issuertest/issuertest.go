// Package issuertest gives a test an OpenID Connect issuer: a real HTTP server with a
// discovery document and a key set, and tokens signed by its keys.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Issuer is a running one. Its address is without TLS: see NewTLS.
type Issuer struct {
	*httptest.Server
	URL     string // as in tokens
	Fetches atomic.Int64
	Lookups atomic.Int64 // of the discovery document

	mu     sync.Mutex
	keys   []*Key // the newest last
	made   int
	down   bool
	gate   chan struct{} // requests wait until it is closed
	change func(path string, document map[string]any)
}

// Key signs tokens.
type Key struct {
	ID, Alg string
	Private crypto.Signer
}

// New starts an issuer with one key for an algorithm.
func New(t testing.TB, alg string) *Issuer { return start(t, alg, false) }

// NewTLS is New behind TLS; the certificate is the Server's.
func NewTLS(t testing.TB, alg string) *Issuer { return start(t, alg, true) }

func start(t testing.TB, alg string, tls bool) *Issuer {
	i := &Issuer{}
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	if tls {
		i.Server.StartTLS()
	} else {
		i.Server.Start()
	}
	i.URL = i.Server.URL
	t.Cleanup(func() {
		i.Release()
		i.Server.Close()
	})
	i.Rotate(t, alg, 0)
	return i
}

// Rotate gives the issuer a new key and takes away all but keep of the old ones.
func (i *Issuer) Rotate(t testing.TB, alg string, keep int) *Key {
	t.Helper()
	k := &Key{Alg: alg}
	var err error
	switch alg[:2] {
	case "RS", "PS":
		k.Private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES":
		k.Private, err = ecdsa.GenerateKey(map[string]elliptic.Curve{"256": elliptic.P256(), "384": elliptic.P384(), "512": elliptic.P521()}[alg[2:]], rand.Reader)
	default:
		_, k.Private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	k.ID = fmt.Sprint("key", i.made)
	i.keys = append(i.keys[max(0, len(i.keys)-keep):], k)
	return k
}

// Down makes the issuer answer 503, or no longer so.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Hold lets requests wait until Release.
func (i *Issuer) Hold() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gate = make(chan struct{})
}

// Release lets requests be answered.
func (i *Issuer) Release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.gate != nil {
		close(i.gate)
		i.gate = nil
	}
}

// Change edits every document before it is sent; the path says which it is.
func (i *Issuer) Change(f func(path string, document map[string]any)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.change = f
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	var doc map[string]any
	i.mu.Lock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.Lookups.Add(1)
		doc = map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
	case "/keys":
		i.Fetches.Add(1)
		list := []any{}
		for _, k := range i.keys {
			list = append(list, k.JWK())
		}
		doc = map[string]any{"keys": list}
	}
	down, gate, change := i.down, i.gate, i.change
	i.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	if down || doc == nil {
		http.Error(w, "no", http.StatusServiceUnavailable)
		return
	}
	if change != nil {
		change(r.URL.Path, doc)
	}
	_ = json.NewEncoder(w).Encode(doc)
}

// Key is the newest key.
func (i *Issuer) Key() *Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Claims are those of a good token for an audience, with changes; nil takes one away.
func (i *Issuer) Claims(aud string, change map[string]any) map[string]any {
	now := time.Now().Unix()
	out := map[string]any{"iss": i.URL, "sub": "somebody", "aud": aud, "iat": now, "exp": now + 3600}
	maps.Copy(out, change)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// Token is a good one with changes, signed by the newest key.
func (i *Issuer) Token(aud string, change map[string]any) string {
	k := i.Key()
	return k.Sign(map[string]any{"alg": k.Alg, "kid": k.ID, "typ": "JWT"}, i.Claims(aud, change))
}

// JWK is the public key.
func (k *Key) JWK() map[string]any {
	out := map[string]any{"kid": k.ID, "use": "sig", "alg": k.Alg}
	set := func(kty string, pairs ...any) {
		out["kty"] = kty
		for n := 0; n < len(pairs); n += 2 {
			out[pairs[n].(string)] = base64.RawURLEncoding.EncodeToString(pairs[n+1].([]byte))
		}
	}
	switch p := k.Private.Public().(type) {
	case *rsa.PublicKey:
		set("RSA", "n", p.N.Bytes(), "e", big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		b, _ := p.Bytes()
		n := len(b) / 2
		set("EC", "x", b[1:1+n], "y", b[1+n:])
		out["crv"] = p.Curve.Params().Name
	case ed25519.PublicKey:
		set("OKP", "x", []byte(p))
		out["crv"] = "Ed25519"
	}
	return out
}

// Sign makes a token of a header and claims, by the key's algorithm.
func (k *Key) Sign(header, claims any) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	return k.SignText(string(h), string(c))
}

// SignText makes a token of what may not be JSON.
func (k *Key) SignText(header, claims string) string {
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims))
	return signed + "." + enc.EncodeToString(k.signature([]byte(signed)))
}

func (k *Key) signature(data []byte) []byte {
	if key, ok := k.Private.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, data)
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[k.Alg[2:]]
	h := hash.New()
	h.Write(data)
	digest := h.Sum(nil)
	if key, ok := k.Private.(*ecdsa.PrivateKey); ok {
		n := (key.Curve.Params().BitSize + 7) / 8
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...)
	}
	var o crypto.SignerOpts = hash
	if strings.HasPrefix(k.Alg, "PS") {
		o = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	out, err := k.Private.Sign(rand.Reader, digest, o)
	if err != nil {
		panic(err)
	}
	return out
}
