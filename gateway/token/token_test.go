package token

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/gateway/token/issuertest"
)

// Every algorithm's tokens are taken, and none with a byte of them changed.
func TestAlgorithms(t *testing.T) {
	for i := range algorithms {
		name := algorithms[i].name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := issuertest.New(t, name)
			r, _ := newRing(t)
			v := r.verifier(t, issuer)
			text := issuer.Token("pets", map[string]any{"scope": "read write", "scp": []string{"admin"}})
			now := time.Now()
			got := v.want(t, text, now, nil)
			if got.Subject != "somebody" || fmt.Sprint(got.Scopes) != "[read write admin]" || got.Use != "" {
				t.Errorf("%+v", got)
			}
			for at := range len(text) {
				other := []byte(text)
				if other[at]++; other[at] > 'z' {
					other[at] = 'A'
				}
				if _, err := v.Verify(other, now); err == nil {
					t.Fatalf("byte %d may be %q instead of %q", at, other[at], text[at])
				}
			}
			v.rules.Algorithms = all &^ (1 << i)
			v.want(t, text, now, ErrAlgorithm)
		})
	}
}

func TestClaims(t *testing.T) {
	issuer := issuertest.New(t, "ES256")
	r, _ := newRing(t)
	now := time.Now()
	at := func(d time.Duration) any { return now.Add(d).Unix() }
	open := func(u *Rules) { u.Trusted[0].Audiences = nil }
	pattern := func(u *Rules) { open(u); u.Audience = regexp.MustCompile(`^(?:pet.)$`) }
	claim := func(c Required) func(*Rules) { return func(u *Rules) { u.Trusted[0].Required = []Required{c} } }
	for name, c := range map[string]struct {
		rules  func(*Rules)
		claims map[string]any
		want   error
	}{
		"good":                    {},
		"audience in a list":      {claims: map[string]any{"aud": []string{"cats", "pets"}}},
		"other audience":          {claims: map[string]any{"aud": "cats"}, want: ErrAudience},
		"no audience":             {claims: map[string]any{"aud": nil}, want: ErrAudience},
		"audience is no text":     {claims: map[string]any{"aud": []any{"pets", 1}}, want: ErrAudience},
		"client instead":          {claims: map[string]any{"aud": nil, "client_id": "pets"}},
		"client does not help":    {claims: map[string]any{"aud": "cats", "client_id": "pets"}, want: ErrAudience},
		"any audience":            {rules: open, claims: map[string]any{"aud": nil}},
		"audience by pattern":     {rules: pattern},
		"client by pattern":       {rules: pattern, claims: map[string]any{"aud": nil, "client_id": "petx"}},
		"not by pattern":          {rules: pattern, claims: map[string]any{"aud": "petsx"}, want: ErrAudience},
		"pattern without":         {rules: pattern, claims: map[string]any{"aud": nil}, want: ErrAudience},
		"other issuer":            {claims: map[string]any{"iss": issuer.URL + "/"}, want: ErrIssuer},
		"no issuer":               {claims: map[string]any{"iss": nil}, want: ErrIssuer},
		"issuer is no text":       {claims: map[string]any{"iss": []string{issuer.URL}}, want: ErrIssuer},
		"expired":                 {claims: map[string]any{"exp": at(-time.Second)}, want: ErrExpired},
		"expires now":             {claims: map[string]any{"exp": float64(now.UnixMilli()) / 1000}, want: ErrExpired},
		"no end":                  {claims: map[string]any{"exp": nil}, want: ErrMalformed},
		"end is a text":           {claims: map[string]any{"exp": "9999999999"}, want: ErrMalformed},
		"end is past all":         {claims: map[string]any{"exp": 1e300}, want: ErrMalformed},
		"end is no number":        {claims: map[string]any{"exp": json.Number("1e999")}, want: ErrMalformed},
		"not yet":                 {claims: map[string]any{"nbf": at(time.Minute)}, want: ErrEarly},
		"nearly":                  {claims: map[string]any{"nbf": at(10 * time.Second), "iat": at(10 * time.Second)}},
		"made later":              {claims: map[string]any{"iat": at(time.Minute)}, want: ErrEarly},
		"begin is no number":      {claims: map[string]any{"nbf": true}, want: ErrMalformed},
		"never made":              {claims: map[string]any{"iat": nil}},
		"claim is there":          {rules: claim(Required{Name: "org", Values: []string{"a", "b"}}), claims: map[string]any{"org": "b"}},
		"claim is other":          {rules: claim(Required{Name: "org", Values: []string{"a"}}), claims: map[string]any{"org": "A"}, want: ErrClaim},
		"claim is no text":        {rules: claim(Required{Name: "org", Values: []string{"a"}}), claims: map[string]any{"org": []string{"a"}}, want: ErrClaim},
		"claim may be missing":    {rules: claim(Required{Name: "org", Values: []string{"a"}})},
		"claim must be there":     {rules: claim(Required{Name: "org", Always: true}), want: ErrClaim},
		"claim of any value":      {rules: claim(Required{Name: "org", Always: true}), claims: map[string]any{"org": ""}},
		"claim with an odd name":  {rules: claim(Required{Name: `a"é.b`, Values: []string{"\u2028"}, Always: true}), claims: map[string]any{`a"é.b`: "\u2028"}},
		"claim in a claim is not": {rules: claim(Required{Name: "org.id", Always: true}), claims: map[string]any{"org": map[string]any{"id": "x"}}, want: ErrClaim},
	} {
		t.Run(name, func(t *testing.T) {
			change := []func(*Rules){}
			if c.rules != nil {
				change = append(change, c.rules)
			}
			v := r.verifier(t, issuer, change...)
			v.want(t, issuer.Token("pets", c.claims), now, c.want)
		})
	}
}

func TestHeaders(t *testing.T) {
	issuer := issuertest.New(t, "RS256")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	k := issuer.Key()
	good, claims := map[string]any{"alg": "RS256", "kid": k.ID}, issuer.Claims("pets", nil)
	for name, c := range map[string]struct {
		header map[string]any
		use    string
		want   error
	}{
		"plain":              {},
		"typ":                {header: map[string]any{"typ": "JWT"}},
		"access":             {header: map[string]any{"typ": "application/at+JWT"}, use: UseAccess},
		"logout":             {header: map[string]any{"typ": "logout+jwt"}, want: ErrKind},
		"none":               {header: map[string]any{"alg": "none"}, want: ErrAlgorithm},
		"None":               {header: map[string]any{"alg": "None"}, want: ErrAlgorithm},
		"hmac":               {header: map[string]any{"alg": "HS256"}, want: ErrAlgorithm},
		"no algorithm":       {header: map[string]any{"alg": nil}, want: ErrMalformed},
		"other algorithm":    {header: map[string]any{"alg": "RS512"}, want: ErrKey},
		"other family":       {header: map[string]any{"alg": "ES256"}, want: ErrKey},
		"no key id":          {header: map[string]any{"kid": nil}, want: ErrKeyID},
		"odd key id":         {header: map[string]any{"kid": 1}, want: ErrMalformed},
		"long key id":        {header: map[string]any{"kid": strings.Repeat("k", 257)}, want: ErrMalformed},
		"other key":          {header: map[string]any{"kid": "key0"}, want: ErrKey},
		"critical":           {header: map[string]any{"crit": []string{"exp"}}, want: ErrMalformed},
		"key of its own":     {header: map[string]any{"jwk": k.JWK(), "kid": "mine"}, want: ErrKey},
		"address of its own": {header: map[string]any{"jku": "http://169.254.169.254/", "x5u": "file:///etc/passwd"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := maps.Clone(good)
			maps.Copy(h, c.header)
			maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
			if got := v.want(t, k.Sign(h, claims), time.Now(), c.want); got != nil && got.Use != c.use {
				t.Errorf("use %q", got.Use)
			}
		})
	}
}

// What is no token is refused, in a time that its size bounds.
func TestMalformed(t *testing.T) {
	issuer := issuertest.New(t, "EdDSA")
	r, _ := newRing(t)
	v := r.verifier(t, issuer)
	k := issuer.Key()
	good := issuer.Token("pets", nil)
	v.want(t, good, time.Now(), nil)
	header := `{"alg":"EdDSA","kid":"` + k.ID + `"}`
	b, _ := json.Marshal(issuer.Claims("pets", nil))
	claims := string(b)
	body := claims[:len(claims)-1]
	many := body
	for i := range maxClaims {
		many += fmt.Sprintf(`,"c%d":0`, i)
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"dots":               "..",
		"two parts":          good[:strings.LastIndexByte(good, '.')],
		"four parts":         good + ".x",
		"five parts":         "a.b.c.d.e",
		"line end":           good[:10] + "\n" + good[10:],
		"padding":            good + "==",
		"other base64":       strings.Replace(k.SignText(header, body+`,"x":"\u00ff~~~???"}`), "_", "/", 1),
		"no signature":       good[:strings.LastIndexByte(good, '.')+1],
		"long":               k.SignText(header, body+`,"x":"`+strings.Repeat("x", MaxBytes)+`"}`),
		"no object":          k.SignText(header, `[]`),
		"a word":             k.SignText(header, `null`),
		"half an object":     k.SignText(header, body),
		"more than one":      k.SignText(header, claims+claims),
		"twice a claim":      k.SignText(header, body+`,"sub":"other"}`),
		"twice, escaped":     k.SignText(header, body+`,"s\u0075b":"other"}`),
		"twice an algorithm": k.SignText(`{"alg":"EdDSA","kid":"`+k.ID+`","alg":"none"}`, claims),
		"deep":               k.SignText(header, body+`,"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`),
		"very deep":          k.SignText(header, body+`,"x":`+strings.Repeat(`[`, 5000)+strings.Repeat("]", 5000)+`}`),
		"many claims":        k.SignText(header, many+"}"),
		"no UTF-8":           k.SignText(header, body+",\"x\":\"\xff\"}"),
		"header no object":   k.SignText(`"alg"`, claims),
	} {
		if _, err := v.Verify([]byte(text), time.Now()); err != ErrMalformed && err != ErrSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	fine := v.want(t, k.SignText(header, body+` , "x" : [ 1 , {"y":"\u00e9 é"} , "a\"]}" ] , "y":-1.5e3 }`), time.Now(), nil)
	if x, y := fine.Claims.JSON("x"), fine.Claims.JSON("y"); x != `[1,{"y":"\u00e9 é"},"a\"]}"]` || y != "-1.5e3" {
		t.Errorf("claims %s, %s", x, y)
	}
	if x := fine.Claims.JSON("z"); x != "" {
		t.Errorf("a claim that is not there: %s", x)
	}
}

func FuzzToken(f *testing.F) {
	enc := base64.RawURLEncoding.EncodeToString
	for _, p := range [][2]string{{`{"alg":"RS256","kid":"a"}`, `{"iss":"x","aud":["a","b"],"exp":1e3,"scope":"a b"}`}, {`{}`, `{"a":{"b":[1,"]",{}]},"c":""}`}, {`{"alg":"none"}`, `[]`}} {
		f.Add([]byte(enc([]byte(p[0]))+"."+enc([]byte(p[1]))+".AAAA"), []byte(p[1]))
	}
	f.Fuzz(func(t *testing.T, text, object []byte) {
		if p, err := parse(text); err == nil {
			_, _ = p.times(time.Unix(0, 0))
			_ = p.token(&key{})
		}
		got, err := members(object)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(object, &want) != nil || len(want) != len(got) {
			t.Fatalf("%d members of %s", len(got), object)
		}
		for _, c := range got {
			var a, b any
			if json.Unmarshal(want[c.Name], &a) != nil || json.Unmarshal([]byte(c.JSON), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
				t.Fatalf("%q is %s instead of %s", c.Name, c.JSON, want[c.Name])
			}
		}
	})
}
