package token

import (
	"fmt"
	"testing"
	"time"

	"tollgate/gateway/token/issuertest"
)

func TestKnown(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, _ := newRing(t)
	v, other := r.verifier(t, issuer), r.verifier(t, issuer)
	now := time.Now().Truncate(time.Second)
	text := issuer.Token("pets", nil)
	if v.Known([]byte(text), now) != nil {
		t.Fatal("a token is known that was never verified")
	}
	got := v.want(t, text, now, nil)
	if v.Known([]byte(text), now) != got {
		t.Error("a verified token is not known")
	}
	if other.Known([]byte(text), now) != nil {
		t.Error("a token is known to a verifier that never saw it")
	}
	if v.Known([]byte(text), now.Add(maxKept)) != nil || v.Known([]byte(text), now) != nil {
		t.Error("a token is known for too long")
	}
	short := issuer.Token("pets", map[string]any{"exp": now.Add(10 * time.Second).Unix()})
	v.want(t, short, now, nil)
	if v.Known([]byte(short), now.Add(9*time.Second)) == nil || v.Known([]byte(short), now.Add(10*time.Second)) != nil {
		t.Error("a token is not known until it expires")
	}
	for range 3 {
		v.want(t, text, now, nil)
	}
}

// One tenant's tokens take no more than its share, and all together no more than the
// node's; what has expired makes room.
func TestRemembered(t *testing.T) {
	c := newCache()
	now := time.Now()
	var held, other share
	put := func(s *share, n int, at time.Time) id {
		k := id{hash: [32]byte{byte(n), byte(n >> 8), byte(n >> 16)}}
		c.put(s, k, &Token{key: &key{}, size: 16 << 10, expires: at.Add(time.Hour)}, at)
		c.get(k, at)
		return k
	}
	for n := range 20_000 {
		put(&held, n, now)
	}
	if b := held.bytes.Load(); b > maxTenantRemembered || b < maxTenantRemembered/2 {
		t.Errorf("a tenant's tokens take %d bytes", b)
	}
	if k := put(&other, 1<<20, now); c.get(k, now) == nil {
		t.Error("another tenant's token is not remembered")
	}
	now = now.Add(maxKept)
	for n := range 1000 {
		put(&other, n, now)
	}
	if b := held.bytes.Load(); b > 1<<20 {
		t.Errorf("tokens that have expired take %d bytes", b)
	}
	shares := make([]share, 20)
	for n := range 20_000 {
		put(&shares[n%20], n, now)
	}
	lately := 0
	for i := range c.recent {
		if e := c.recent[i].Load(); e != nil {
			if s, _ := c.place(&e.id); s.byID[e.id] != e {
				t.Fatal("a token that was forgotten is found")
			}
			lately++
		}
	}
	if lately < recent/2 {
		t.Errorf("%d tokens are found without a lock", lately)
	}
	total, queued := int64(0), 0
	for i := range c.shards {
		total, queued = total+c.shards[i].bytes, queued+len(c.shards[i].queue)
	}
	sum := held.bytes.Load() + other.bytes.Load()
	for i := range shares {
		sum += shares[i].bytes.Load()
	}
	if total > maxRemembered || total != sum || queued > 20_000 {
		t.Errorf("the tokens take %d bytes, %d by tenants, in %d places", total, sum, queued)
	}
}

func TestKnownAllocatesNothing(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	now, text := time.Now(), []byte(issuer.Token("pets", nil))
	v.want(t, string(text), now, nil)
	if n := testing.AllocsPerRun(100, func() { v.Known(text, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// known is a token that was verified.
func known(b *testing.B) (v *Verifier, text []byte, now time.Time) {
	issuer := issuertest.New(b, "RS256")
	r, _ := newRing(b)
	v, now = r.verifier(b, issuer), time.Now()
	text = []byte(issuer.Token("pets", map[string]any{"scope": "read write", "email": "somebody@example.com"}))
	v.want(b, string(text), now, nil)
	return v, text, now
}

func BenchmarkKnown(b *testing.B) {
	v, text, now := known(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if v.Known(text, now) == nil {
			b.Fatal("not known")
		}
	}
}

// BenchmarkKnownByAll is one token on connections of all event loops.
func BenchmarkKnownByAll(b *testing.B) {
	v, text, now := known(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if v.Known(text, now) == nil {
				b.Error("not known")
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			issuer := issuertest.New(b, alg)
			r, _ := newRing(b)
			v := r.verifier(b, issuer)
			now, text := time.Now(), []byte(issuer.Token("pets", nil))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(text, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefused is what a token costs that nobody trusts.
func BenchmarkRefused(b *testing.B) {
	issuer := issuertest.New(b, "EdDSA")
	r, _ := newRing(b)
	v := r.verifier(b, issuer)
	big := map[string]any{"iss": "https://example.com"}
	for n := range 200 {
		big[fmt.Sprint("claim", n)] = n
	}
	now, text := time.Now(), []byte(issuer.Token("pets", big))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(text, now); err != ErrIssuer {
			b.Fatal(err)
		}
	}
}
