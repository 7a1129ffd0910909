package awsapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
)

var recordTerraform = flag.Bool("record", false, "TestConformanceTerraform writes the calls of its run to testdata/terraform/calls.jsonl.gz")

const terraformCalls = "testdata/terraform/calls.jsonl.gz"

// recordedCall is a call that Terraform's AWS provider made, and what it was answered.
type recordedCall struct {
	Service string `json:"service"`
	Verb    string `json:"verb"`
	URI     string `json:"uri"`
	Type    string `json:"type,omitempty"`
	Target  string `json:"target,omitempty"`
	Body    string `json:"body,omitempty"`
	Status  int    `json:"status"`
	Answer  string `json:"answer,omitempty"` // of JSON and text
}

// callRecording is of one run, in which texts of that run alone have names instead.
type callRecording struct {
	calls  []recordedCall
	hidden []string // text, name, …
}

var recording callRecording

// runTexts are the texts of a run and the names they have in the recording.
func runTexts(account, certificate, key string) []string {
	escaped := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b[1 : len(b)-1])
	}
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return []string{escaped(certificate), "{{certificate}}", escaped(key), "{{key}}", escaped(strings.TrimSpace(certificate)), "{{certificate trimmed}}", escaped(strings.TrimSpace(key)), "{{key trimmed}}",
		encoded(certificate), "{{certificate in base 64}}", encoded(key), "{{key in base 64}}", account, "{{account}}"}
}

func (r *callRecording) hide(account, certificate, key string) {
	r.hidden = runTexts(account, certificate, key)
}

func (r *callRecording) save(t *testing.T) {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	hide := strings.NewReplacer(r.hidden...)
	for _, c := range r.calls {
		c.URI, c.Body, c.Answer = hide.Replace(c.URI), hide.Replace(c.Body), hide.Replace(c.Answer)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = z.Write(append(b, '\n'))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.FromSlash(terraformCalls), out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls are recorded", len(r.calls))
}

var credentialService = regexp.MustCompile(`Credential=[^/]+/\d+/[^/]+/([^/]+)/`)

// recorder passes calls on to the face and keeps them, one at a time.
func recorder(t *testing.T, to string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		out.Header, out.Host = r.Header.Clone(), r.Host // which is signed
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		c := recordedCall{Verb: r.Method, URI: r.URL.RequestURI(), Type: r.Header.Get("Content-Type"), Target: r.Header.Get("X-Amz-Target"), Body: string(body), Status: resp.StatusCode}
		if m := credentialService.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
			c.Service = m[1]
		}
		if resp.Header.Get("Content-Type") != "application/zip" {
			c.Answer = string(answer)
		}
		recording.calls = append(recording.calls, c)
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// The calls of Terraform's AWS provider, in a run of TestConformanceTerraform, are answered
// as they were in it: status and members, but for ids, values and times of their own.
// This stands in where there is no Terraform.
func TestTerraformCalls(t *testing.T) {
	t.Parallel()
	file, err := os.Open(filepath.FromSlash(terraformCalls))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	f := newFace(t)
	certificate, key := serverCertificate(t, "*.example.com")
	p := &callPlay{texts: map[string]string{}}
	for texts := runTexts(f.owner.AccountID, certificate, key); len(texts) > 0; texts = texts[2:] {
		p.texts[texts[1]] = texts[0]
	}
	d, n := json.NewDecoder(z), 0
	for d.More() {
		var c recordedCall
		f.must(d.Decode(&c))
		n++
		body := p.now(c.Body)
		req, err := http.NewRequest(c.Verb, f.url+p.now(c.URI), strings.NewReader(body))
		f.must(err)
		for k, v := range map[string]string{"Content-Type": c.Type, "X-Amz-Target": c.Target, "Accept": "application/json"} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		sigv4.SignHTTP(req, f.owner.key, "us-east-1", c.Service, sigv4.HashBody([]byte(body)), time.Now())
		r := f.do(req)
		if r.Status != c.Status {
			t.Fatalf("call %d, %s %s %s\n%s\n%d instead of %d: %s\ninstead of %s", n, c.Service, c.Verb, c.URI, body, r.Status, c.Status, r.Body, c.Answer)
		}
		var then, now any
		if json.Unmarshal([]byte(p.now(c.Answer)), &then) != nil || json.Unmarshal(r.Body, &now) != nil {
			continue
		}
		if diff := p.compare("", then, now); diff != "" {
			t.Fatalf("call %d, %s %s %s\n%s\n%s, in %s\ninstead of %s", n, c.Service, c.Verb, c.URI, body, diff, r.Body, c.Answer)
		}
	}
	if n < 300 {
		t.Errorf("only %d calls are recorded", n)
	}
	t.Logf("%d calls are answered as recorded", n)
}

// callPlay is a recording that is played, with what its texts are now.
type callPlay struct{ texts map[string]string }

func (p *callPlay) now(s string) string {
	for then, now := range p.texts {
		s = strings.ReplaceAll(s, then, now)
	}
	return s
}

var (
	mintedID  = regexp.MustCompile(`^[a-z0-9]{6,12}$|^tg_live_\w+$|^[0-9a-f]{8}-[0-9a-f-]{27}$`)
	inID      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|d-[a-z0-9]{10}|\+[a-z0-9]{10}\b`) // in ARNs and hosts
	ownMember = regexp.MustCompile(`(?i)date$|at$|^pem|^lastUsed|^notBefore|^notAfter|serial`)
)

func isTime(s string) bool { _, err := time.Parse(time.RFC3339, s); return err == nil }

// compare says where an answer differs from the recorded one, and learns what ids are now.
func (p *callPlay) compare(path string, then, now any) string {
	differ := func() string { return fmt.Sprintf("%s is %v instead of %v", path, now, then) }
	switch then := then.(type) {
	case map[string]any:
		m, ok := now.(map[string]any)
		if !ok || len(m) != len(then) {
			return differ()
		}
		for _, first := range []bool{true, false} { // ids, then what they are in
			for k, v := range then {
				if _, text := v.(string); text != first || ownMember.MatchString(k) {
					continue
				}
				if x, ok := m[p.now(k)]; !ok {
					return path + "." + k + " is missing"
				} else if diff := p.compare(path+"."+k, v, x); diff != "" {
					return diff
				}
			}
		}
		return ""
	case []any:
		l, ok := now.([]any)
		if !ok || len(l) != len(then) {
			return differ()
		}
		for i := range then {
			if diff := p.compare(fmt.Sprintf("%s[%d]", path, i), then[i], p.match(then[i], l, i)); diff != "" {
				return diff
			}
		}
		return ""
	case string:
		s, ok := now.(string)
		if !ok {
			return differ()
		}
		was := p.now(then)
		if was == s {
			return ""
		}
		if isTime(was) && isTime(s) {
			return ""
		}
		a, b := inID.FindAllString(was, -1), inID.FindAllString(s, -1)
		if mintedID.MatchString(then) && mintedID.MatchString(s) {
			a, b = []string{then}, []string{s}
		}
		if len(a) != len(b) {
			return differ()
		}
		for i := range a {
			if a[i] != b[i] {
				if p.texts[a[i]] != "" {
					return differ()
				}
				p.texts[a[i]] = b[i]
			}
		}
		var x, y any // a document in a text
		if json.Unmarshal([]byte(p.now(then)), &x) == nil && json.Unmarshal([]byte(s), &y) == nil && reflect.DeepEqual(x, y) {
			return ""
		}
		if p.now(then) != s {
			return differ()
		}
		return ""
	}
	if !reflect.DeepEqual(then, now) {
		return differ()
	}
	return ""
}

// match finds the member of a list that the recorded one is: lists are in the order of
// ids, which are others now.
func (p *callPlay) match(then any, in []any, i int) any {
	m, _ := then.(map[string]any)
	for _, name := range []string{"id", "clientCertificateId"} {
		id, ok := m[name].(string)
		if !ok || p.texts[id] == "" {
			continue
		}
		for _, x := range in {
			if o, _ := x.(map[string]any); o[name] == p.texts[id] {
				return x
			}
		}
	}
	for _, name := range []string{"path", "name"} {
		if m[name] == nil || m["id"] == nil {
			continue
		}
		for _, x := range in {
			if o, _ := x.(map[string]any); reflect.DeepEqual(o[name], m[name]) {
				return x
			}
		}
	}
	return in[i]
}
