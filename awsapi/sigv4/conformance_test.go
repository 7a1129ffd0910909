package sigv4_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
)

// suite returns the folder of AWS's own cases, or skips the test.
func suite(t *testing.T, name string) string {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder of conformance data")
	}
	dir = filepath.Join(dir, "sigv4", name)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		t.Skipf("no %s", dir)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// rawRequest reads a case's request. Some are none that HTTP allows (a blank in the
// path, folded header lines), so net/http cannot.
func rawRequest(t *testing.T, text string) (r *sigv4.Request, body string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target, ok := strings.CutSuffix(rest, " HTTP/1.1")
	if !ok {
		t.Fatalf("request line %q", lines[0])
	}
	r = &sigv4.Request{Method: method}
	r.Path, r.Query, _ = strings.Cut(target, "?")
	for _, line := range lines[1:] {
		if line[0] == ' ' || line[0] == '\t' {
			r.Header[len(r.Header)-1].Value += "\n" + line
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Host") {
			r.Host = value
		}
		r.Header = append(r.Header, sigv4.Field{Name: name, Value: value})
	}
	return r, body
}

// checkSigned wants the signed request of a case to be explained as the case does, and
// to verify at its time, and only for its key and body.
func checkSigned(t *testing.T, r *sigv4.Request, secret, hash string, canonical, toSign string) {
	t.Helper()
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	c, sts := s.Explain(hash)
	if c != canonical {
		t.Errorf("canonical request\n%s\nwant\n%s", c, canonical)
	}
	if sts != toSign {
		t.Errorf("string to sign\n%s\nwant\n%s", sts, toSign)
	}
	if err := s.Verify(secret, hash, s.Date.Add(time.Minute)); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if s.Verify(secret+"x", hash, s.Date) == nil || s.Verify(secret, sigv4.HashBody([]byte("other")), s.Date) == nil {
		t.Error("verified with another key or body")
	}
}

// lastLine is the payload hash of a canonical request.
// counted is 1 if the case passes.
func counted(t *testing.T, name string, f func(*testing.T)) int {
	if t.Run(name, f) {
		return 1
	}
	return 0
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

func TestConformanceAWSCAuth(t *testing.T) {
	dir := suite(t, "v4")
	cases, err := filepath.Glob(filepath.Join(dir, "*", "context.json"))
	if err != nil || len(cases) < 38 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	passed := 0
	defer func() {
		fmt.Printf("conformance sigv4 cases %d pass %d fail %d\n", len(cases), passed, len(cases)-passed)
	}()
	for _, path := range cases {
		dir := filepath.Dir(path)
		passed += counted(t, filepath.Base(dir), func(t *testing.T) {
			file := func(name string) string { return read(t, filepath.Join(dir, name)) }
			var c struct {
				Credentials struct {
					ID     string `json:"access_key_id"`
					Secret string `json:"secret_access_key"`
					Token  string
				}
				Expires   int `json:"expiration_in_seconds"`
				Normalize bool
				SignBody  bool `json:"sign_body"`
				Region    string
				Service   string
				Timestamp time.Time
				OmitToken bool `json:"omit_session_token"`
			}
			if err := json.Unmarshal([]byte(file("context.json")), &c); err != nil {
				t.Fatal(err)
			}
			style := sigv4.PathNormal
			if !c.Normalize {
				style = sigv4.PathKeep
			}
			cred := sigv4.Credentials{AccessKeyID: c.Credentials.ID, Secret: c.Credentials.Secret, SessionToken: c.Credentials.Token}
			if c.OmitToken { // it is added afterwards, so not signed
				cred.SessionToken = ""
			}
			load := func(name string) *sigv4.Request {
				r, _ := rawRequest(t, file(name))
				r.Style = style
				return r
			}

			hash := lastLine(file("header-canonical-request.txt"))
			checkSigned(t, load("header-signed-request.txt"), cred.Secret, hash, file("header-canonical-request.txt"), file("header-string-to-sign.txt"))
			plain := load("request.txt")
			if c.SignBody { // which there means to say the hash
				plain.Header = append(plain.Header, sigv4.Field{Name: "x-amz-content-sha256"})
			}
			fields := plain.Sign(cred, c.Region, c.Service, hash, c.Timestamp)
			if got, want := fields[len(fields)-1].Value, file("header-signature.txt"); !strings.HasSuffix(got, "Signature="+want) {
				t.Errorf("Sign: %s, want %s", got, want)
			}

			hash = lastLine(file("query-canonical-request.txt"))
			signed := load("query-signed-request.txt")
			if c.OmitToken { // we want all of the query signed
				signed.Query = strings.Replace(signed.Query, "X-Amz-Security-Token="+tokenParam(signed.Query)+"&", "", 1)
			}
			checkSigned(t, signed, cred.Secret, hash, file("query-canonical-request.txt"), file("query-string-to-sign.txt"))
			query := load("request.txt").Presign(cred, c.Region, c.Service, hash, time.Duration(c.Expires)*time.Second, c.Timestamp)
			if want := file("query-signature.txt"); !strings.HasSuffix(query, "&X-Amz-Signature="+want) {
				t.Errorf("Presign: %s, want %s", query, want)
			}
		})
	}
}

func tokenParam(query string) string {
	_, v, _ := strings.Cut(query, "X-Amz-Security-Token=")
	v, _, _ = strings.Cut(v, "&")
	return v
}

func TestConformanceAWS4TestSuite(t *testing.T) {
	dir := suite(t, "aws4_testsuite")
	n, passed := 0, 0
	defer func() { fmt.Printf("conformance sigv4-older cases %d pass %d fail %d\n", n, passed, n-passed) }()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		base, ok := strings.CutSuffix(path, ".sreq")
		if err != nil || !ok {
			return err
		}
		n++
		passed += counted(t, filepath.Base(base), func(t *testing.T) {
			const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
			canonical := read(t, base+".creq")
			hash := lastLine(canonical)
			authz := read(t, base+".authz")
			signed, body := rawRequest(t, read(t, base+".sreq"))
			for i := range signed.Header {
				if signed.Header[i].Name == "Authorization" { // one case's .sreq has another case's
					signed.Header[i].Value = authz
				}
			}
			if h := sigv4.HashBody([]byte(body)); h != hash {
				t.Fatalf("body hashes to %s, the case says %s", h, hash)
			}
			checkSigned(t, signed, secret, hash, canonical, read(t, base+".sts"))

			r, _ := rawRequest(t, read(t, base+".req"))
			cred := sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: secret}
			for _, f := range signed.Header {
				if f.Name == "X-Amz-Security-Token" && strings.Contains(authz, ";x-amz-security-token") {
					cred.SessionToken = f.Value
				}
			}
			now := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
			fields := r.Sign(cred, "us-east-1", "service", hash, now)
			if got := fields[len(fields)-1].Value; got != authz {
				t.Errorf("Sign: %s\nwant %s", got, authz)
			}
		})
		return nil
	})
	if err != nil || n < 30 {
		t.Fatalf("%d cases, %v", n, err)
	}
}
