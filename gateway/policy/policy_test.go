package policy

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

const api = "arn:aws:execute-api:us-east-1:123456789012:abc123"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func request() *Request {
	return &Request{Action: "execute-api:Invoke", Resource: api + "/prod/GET/pets/1", Now: noon,
		SourceIP: netip.MustParseAddr("203.0.113.7"), Secure: true, UserAgent: "curl/8.1", Referer: "https://example.com/a"}
}

func ada() *Principal {
	return &Principal{ARN: "arn:aws:iam::123456789012:user/ada", Account: "123456789012", UserID: "AIDAEXAMPLE0000000001", Name: "ada", Tags: map[string]string{"Team": "blue"}}
}

// Each case of the file is a document, a request that differs from request() in what it
// says, and the decision.
func TestDecisions(t *testing.T) {
	b, err := os.ReadFile("testdata/decisions.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name      string
		Kind      string
		Statement json.RawMessage // of a document with the newest version
		Document  json.RawMessage // or the whole
		As        string          // ada, other, or nobody
		Action    string
		Path      string // behind the API's ARN
		Resource  string
		IP        string
		Plain     bool // without TLS
		UserAgent *string
		Keys      map[string][]string
		Want      string
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			doc := c.Document
			if doc == nil {
				doc = json.RawMessage(`{"Version":"2012-10-17","Statement":` + string(c.Statement) + `}`)
			}
			kind := map[string]Kind{"": Resource, "identity": Identity, "authorizer": Authorizer}[c.Kind]
			p, err := Parse(doc, kind, api)
			if err != nil {
				if c.Want != "error" {
					t.Fatal(err)
				}
				return
			}
			r := request()
			switch c.As {
			case "ada":
				r.Principal = ada()
			case "other":
				r.Principal = &Principal{ARN: "arn:aws:iam::999999999999:user/eve", Account: "999999999999", UserID: "AIDAEXAMPLE0000000009", Name: "eve"}
			}
			if c.Action != "" {
				r.Action = c.Action
			}
			if c.Path != "" {
				r.Resource = api + c.Path
			}
			if c.Resource != "" {
				r.Resource = c.Resource
			}
			if c.IP != "" {
				r.SourceIP = netip.MustParseAddr(c.IP)
			}
			if c.UserAgent != nil {
				r.UserAgent = *c.UserAgent
			}
			r.Secure = !c.Plain
			r.Other = c.Keys
			if got := p.Evaluate(r).String(); got != c.Want {
				t.Errorf("%s, want %s", got, c.Want)
			}
		})
	}
}

// The table of how both policies make one decision, as the developer guide has it.
func TestCombine(t *testing.T) {
	for _, c := range []struct {
		authorizer, resource Decision
		same, cross          Decision
	}{
		{Allow, Allow, Allow, Allow},
		{Allow, Silent, Allow, Silent},
		{Allow, Deny, Deny, Deny},
		{Silent, Allow, Allow, Silent},
		{Silent, Silent, Silent, Silent},
		{Silent, Deny, Deny, Deny},
		{Deny, Allow, Deny, Deny},
		{Deny, Silent, Deny, Deny},
		{Deny, Deny, Deny, Deny},
	} {
		if got := Combine(c.authorizer, c.resource, false); got != c.same {
			t.Errorf("same account: %v with %v is %v, want %v", c.authorizer, c.resource, got, c.same)
		}
		if got := Combine(c.authorizer, c.resource, true); got != c.cross {
			t.Errorf("cross account: %v with %v is %v, want %v", c.authorizer, c.resource, got, c.cross)
		}
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)
	for _, c := range []struct{ doc, want string }{
		{``, "no JSON"},
		{`[]`, "must be an object"},
		{`{}`, "Statement is missing"},
		{`{"Statement":[]}`, "Statement is missing"},
		{`{"Statement":[{}]}`, "Statement[0] has no Effect"},
		{`{"Version":"2020-01-01","Statement":[{}]}`, "Version must be"},
		{`{"Statement":[{}]} {}`, "behind its end"},
		{`{"Statements":[{}]}`, "Statements is no element"},
		{`{"Statement":{"Effect":"allow"}}`, `Statement.Effect must be "Allow"`},
		{`{"Statement":{"Effect":"Allow","Effect":"Deny"}}`, `names "Effect" twice`},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke"}}`, "has no Resource"},
		{`{"Statement":{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}}`, "has no Principal"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","NotAction":"*","Resource":"*"}}`, "both Action and NotAction"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"Invoke","Resource":"*"}}`, "service:action"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":[],"Resource":"*"}}`, "list of texts"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"/prod/*"}}`, "neither an ARN"},
		{`{"Statement":{"Effect":"Allow","Principal":"ada","Action":"*","Resource":"*"}}`, "Statement.Principal must be"},
		{`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/*"},"Action":"*","Resource":"*"}}`, "no wildcards"},
		{`{"Statement":{"Effect":"Allow","Principal":{"AWS":"1234"},"Action":"*","Resource":"*"}}`, "no account, ARN"},
		{`{"Statement":{"Effect":"Allow","Principal":{"Azure":"*"},"Action":"*","Resource":"*"}}`, "unknown type of principal"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringMatches":{"a":"b"}}}}`, "Statement.Condition.StringMatches is no condition operator"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"NullIfExists":{"a":"true"}}}}`, "no condition operator"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}}}`, "no address or network"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"soon"}}}}`, "no date"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"yes"}}}}`, "neither true nor false"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a":"NaN"}}}}`, "no number"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"BinaryEquals":{"a":"?"}}}}`, "no base64"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"ada"}}}}`, "no ARN"},
		{`{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:execute-api:us-east-1:123456789012:another/*"}}`, "names in its Resource nothing of this API, which is " + api},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","NotResource":["arn:aws:execute-api:us-east-1:*:abcdefghi?x/*","arn:aws:s3:::*"]}}`, "names in its NotResource nothing of this API"},
		{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:execute-api:*:*:*/${aws:username"}}`, "closing brace"},
		{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:execute-api:*:*:*/${aws:username, ada}"}}`, "single quotes"},
		{`{"Statement":` + deep + `}`, "deeper than"},
		{`{"Id":"` + strings.Repeat("a", MaxBytes) + `"}`, "at most 65536"},
		{"{\"Id\":\"\xff\"}", "UTF-8"},
	} {
		_, err := Parse([]byte(c.doc), Resource, api)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.120s: %v, want %q", c.doc, err, c.want)
		}
	}
	ident := `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`
	if _, err := Parse([]byte(ident), Identity, ""); err == nil || !strings.Contains(err.Error(), "has a principal") {
		t.Errorf("a principal in an identity policy: %v", err)
	}
	long := `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:execute-api:` + strings.Repeat("a", 500) + `"}}`
	if _, err := Parse([]byte(long), Authorizer, ""); err == nil || !strings.Contains(err.Error(), "at most 512") {
		t.Errorf("a long resource of an authorizer: %v", err)
	}
}

func TestWhy(t *testing.T) {
	for doc, want := range map[string]string{
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Sid":"no","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`: "statement 2 (no) of the policy denies it",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`:                                                                          "statement 1 of the policy allows it",
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":"*"}]}`:                                                                        "no statement of the policy allows it",
	} {
		p, err := Parse([]byte(doc), Resource, api)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Why(request()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// hostile policies and requests: what takes long is a denial, soon.
func hostile() map[string][2]string {
	fill := func(v string) string {
		s := `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":["arn:aws:execute-api:x"`
		for len(s)+len(v)+8 < MaxBytes-30 {
			s += `,"` + v + `"`
		}
		return s + `,"execute-api:/x"]}}`
	}
	return map[string][2]string{
		"stars":          {fill("arn:" + strings.Repeat("*a", 200) + "*b"), "arn:" + strings.Repeat("a", 10_000)},
		"question marks": {fill("arn:*" + strings.Repeat("?", 400) + "b"), "arn:" + strings.Repeat("a", 10_000)},
		"both":           {fill("arn:*" + strings.Repeat("?a", 200) + "*b"), "arn:" + strings.Repeat("a", 10_000)},
		"many":           {fill("arn:*b*"), "arn:" + strings.Repeat("a", 10_000)},
		"runs":           {fill("arn:*" + strings.Repeat("a", 400) + "?b*"), "arn:" + strings.Repeat("a", 10_000)},
	}
}

func TestHostile(t *testing.T) {
	for name, c := range hostile() {
		p, err := Parse([]byte(c[0]), Resource, api)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := request()
		r.Resource = c[1]
		e := evaluation{r: r, left: maxSteps}
		p.statements[0].applies(&e)
		if e.left < -len(c[1])-MaxBytes {
			t.Errorf("%s took %d steps beyond the limit", name, -e.left)
		}
		if got := p.Evaluate(r); got == Allow {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	b, err := os.ReadFile("testdata/decisions.json")
	if err != nil {
		f.Fatal(err)
	}
	var cases []struct{ Statement, Document json.RawMessage }
	if err := json.Unmarshal(b, &cases); err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		doc := string(c.Document)
		if doc == "" {
			doc = `{"Version":"2012-10-17","Statement":` + string(c.Statement) + `}`
		}
		f.Add([]byte(doc), "/prod/GET/pets/1", "curl", uint8(0))
	}
	f.Fuzz(func(t *testing.T, doc []byte, path, agent string, kind uint8) {
		p, err := Parse(doc, Kind(kind%3), api)
		if err != nil {
			return
		}
		r := request()
		r.Resource, r.UserAgent = api+path, agent
		for _, r.Principal = range []*Principal{nil, ada()} {
			if a, b := p.Evaluate(r), p.Evaluate(r); a != b {
				t.Fatalf("%v, then %v", a, b)
			}
		}
	})
}

// FuzzGlob compares with the simplest matcher there is.
func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "axxbyc"}, {"*", ""}, {"?", "é"}, {"*a*a?", "aaaab"}, {"a*", "b"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 40 {
			return
		}
		c := &compiler{}
		p, err := c.newText(pattern, true, false)
		if err != nil {
			return
		}
		e := evaluation{left: maxSteps}
		if got, want := e.glob(p.s, s, false), naive([]rune(pattern), []rune(s)); got != want && strings.ToValidUTF8(s, "") == s {
			t.Errorf("%q with %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func naive(p, s []rune) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '*':
		return naive(p[1:], s) || len(s) > 0 && naive(p, s[1:])
	case len(s) == 0:
		return false
	}
	return (p[0] == '?' || p[0] == s[0]) && naive(p[1:], s[1:])
}

const typical = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*/GET/pets/*"},
	{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":{
		"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","198.51.100.0/24"]}, "Bool":{"aws:SecureTransport":"true"}}}]}`

func TestNoAllocations(t *testing.T) {
	p, err := Parse([]byte(typical), Resource, api)
	if err != nil {
		t.Fatal(err)
	}
	r := request()
	if n := testing.AllocsPerRun(100, func() {
		if p.Evaluate(r) != Allow {
			t.Fatal("not allowed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	p, err := Parse([]byte(typical), Resource, api)
	if err != nil {
		b.Fatal(err)
	}
	r := request()
	b.ReportAllocs()
	for b.Loop() {
		p.Evaluate(r)
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]byte(typical), Resource, api); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, c := range hostile() {
		p, err := Parse([]byte(c[0]), Resource, api)
		if err != nil {
			b.Fatal(err)
		}
		r := request()
		r.Resource = c[1]
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Evaluate(r)
			}
		})
	}
}
