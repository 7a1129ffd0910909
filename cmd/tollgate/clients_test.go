package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"tollgate/control"
)

// apiCall is one call of awsapi/clients/scenario.json, and what it must answer.
type apiCall struct {
	Op       string            `json:"op"`
	Service  string            `json:"service,omitempty"` // of the client: version 2 has the routing rules
	In       map[string]any    `json:"in"`
	Paginate bool              `json:"paginate,omitempty"` // by the client's own paginator, a thing a page
	CLI      bool              `json:"cli,omitempty"`      // made with the AWS CLI too
	Out      map[string]any    `json:"out,omitempty"`      // part of the answer
	Save     map[string]string `json:"save,omitempty"`     // variables, from fields of the answer
	Error    string            `json:"error,omitempty"`
	Says     string            `json:"says,omitempty"` // part of the error's message
}

type apiAnswer struct {
	Out   any
	Error *struct {
		Code, Message string
		Typed         bool // the client has a type of its own for the error
	}
	Broken string
}

// Every operation is called with clients of the service that nobody here wrote, in
// their types: AWS SDKs for Python, Go and JavaScript, and a path of it with the AWS CLI.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../awsapi/clients/scenario.json")
	must(t, err)
	var calls []apiCall
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	must(t, d.Decode(&calls))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upstream saw %s %s", r.Method, r.URL.RequestURI())
	}))
	t.Cleanup(upstream.Close)
	env := environ(newDir(t))
	p := start(t, env, "up")
	for _, c := range []struct {
		name  string
		ready func(t *testing.T) []string // the command that makes calls; none when it cannot be had here
	}{
		{"boto3", func(t *testing.T) []string {
			if exec.Command("python3", "-c", "import boto3").Run() != nil {
				return nil
			}
			return []string{"python3", "../../awsapi/clients/python/play.py"}
		}},
		{"go", func(t *testing.T) []string {
			program := filepath.Join(t.TempDir(), "play")
			cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
			cmd.Dir = "../../awsapi/clients/go"
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return []string{program}
		}},
		{"javascript", func(t *testing.T) []string {
			if _, err := exec.LookPath("npm"); err != nil {
				return nil
			}
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS("../../awsapi/clients/js")))
			cmd := exec.CommandContext(t.Context(), "npm", "ci", "--silent", "--no-audit", "--no-fund")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("npm ci: %v\n%s", err, out)
			}
			return []string{"node", filepath.Join(dir, "play.mjs")}
		}},
		{"cli", func(t *testing.T) []string {
			if _, err := exec.LookPath("aws"); err != nil {
				return nil
			}
			return []string{"aws"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			command := c.ready(t)
			if command == nil {
				t.Skipf("THIS CLIENT IS NOT ON THIS MACHINE: no operation was called with %s", c.name)
			}
			a := cliJSON[control.TenantCredentials](t, env, "tenant", "create", "--email", c.name+"@example.com", "--name", c.name)
			certificate, key := selfSigned(t, c.name+".example.com")
			s := &apiScenario{T: t, vars: map[string]string{"account": a.AccountID, "client": c.name, "upstream": upstream.URL,
				"today": time.Now().UTC().Format(time.DateOnly), "pem": certificate, "pemKey": key}}
			environment := append(os.Environ(), "AWS_ACCESS_KEY_ID="+a.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+a.SecretAccessKey,
				"AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
			if c.name == "cli" {
				s.part = func(c apiCall) bool { return c.CLI }
				s.ask = func(c apiCall) apiAnswer { return awsCommand(t, p.console, environment, c) }
			} else {
				s.ask = player(t, append(command, p.console), environment)
			}
			for i, c := range calls {
				s.call(i, c)
			}
			t.Logf("%d calls", s.made)
		})
	}
}

// apiScenario is a run through the calls with one client.
type apiScenario struct {
	*testing.T
	vars map[string]string
	part func(apiCall) bool // of the calls that are made; nil for all
	ask  func(apiCall) apiAnswer
	made int
}

func (s *apiScenario) call(i int, c apiCall) {
	s.Helper()
	if s.part != nil && !s.part(c) {
		return
	}
	in, _ := s.fill(c.In).(map[string]any)
	if in == nil {
		in = map[string]any{}
	}
	a := s.ask(apiCall{Op: c.Op, Service: c.Service, In: in, Paginate: c.Paginate})
	s.made++
	fail := func(format string, x ...any) {
		s.Helper()
		s.Fatalf("call %d, %s: %s", i+1, c.Op, fmt.Sprintf(format, x...))
	}
	switch {
	case a.Broken != "":
		fail("the client could not make the call or read its answer: %s", a.Broken)
	case c.Error == "" && a.Error != nil:
		fail("%s: %s", a.Error.Code, a.Error.Message)
	case c.Error != "" && a.Error == nil:
		fail("no %s", c.Error)
	case c.Error != "":
		if says := s.text(c.Says); a.Error.Code != c.Error || !strings.Contains(a.Error.Message, says) || !a.Error.Typed {
			fail("%+v instead of %s %q", *a.Error, c.Error, says)
		}
		return
	}
	if d := differs("", s.fill(c.Out), a.Out); d != "" {
		b, _ := json.Marshal(a.Out)
		fail("%s, in %s", d, b)
	}
	for name, path := range c.Save {
		v := at(a.Out, path)
		if v == "" {
			fail("the answer has no %s", path)
		}
		s.vars[name] = v
	}
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

func (s *apiScenario) text(t string) string {
	return variable.ReplaceAllStringFunc(t, func(m string) string {
		v, ok := s.vars[m[2:len(m)-1]]
		if !ok {
			s.Fatalf("nothing has set %s", m)
		}
		return v
	})
}

func (s *apiScenario) fill(v any) any {
	switch v := v.(type) {
	case string:
		return s.text(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = s.fill(x)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[s.text(k)] = s.fill(x)
		}
		return out
	}
	return v
}

// member is one of an object's: clients write the case of names in their own way.
func member(o any, name string) (any, bool) {
	m, _ := o.(map[string]any)
	if v, ok := m[name]; ok {
		return v, true
	}
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}

func at(v any, path string) string {
	name, index, indexed := strings.Cut(strings.TrimSuffix(path, "]"), "[")
	v, _ = member(v, name)
	if indexed {
		i, _ := strconv.Atoi(index)
		if l, _ := v.([]any); i < len(l) {
			v = l[i]
		}
	}
	s, _ := v.(string)
	return s
}

// differs says where an answer does not have what is wanted of it.
func differs(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		for k, w := range want {
			g, ok := member(got, k)
			if !ok {
				return fmt.Sprintf("%s.%s is missing", path, k)
			}
			if d := differs(path+"."+k, w, g); d != "" {
				return d
			}
		}
		return ""
	case []any:
		l, _ := got.([]any)
		if len(l) != len(want) {
			return fmt.Sprintf("%s has %d members instead of %d", path, len(l), len(want))
		}
		for i := range want {
			if d := differs(fmt.Sprintf("%s[%d]", path, i), want[i], l[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		ok := false
		switch s, text := got.(string); want {
		case "<any>":
			ok = text && s != ""
		case "<date>":
			when, err := time.Parse(time.RFC3339, s)
			if seconds, number := got.(float64); number { // as the AWS CLI prints them
				when, err = time.Unix(int64(seconds), 0), nil
			}
			ok = err == nil && time.Since(when).Abs() < 10*365*24*time.Hour
		case "<number>":
			_, ok = got.(float64)
		case "<list>":
			l, _ := got.([]any)
			ok = len(l) > 0
		default:
			ok = s == want
		}
		if ok {
			return ""
		}
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v instead of %v", path, got, want)
}

// player starts a program that makes calls, a line each.
func player(t *testing.T, command, env []string) func(apiCall) apiAnswer {
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = env
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	lines := bufio.NewReaderSize(out, 1<<20)
	return func(c apiCall) (a apiAnswer) {
		b, err := json.Marshal(c)
		must(t, err)
		_, err = in.Write(append(b, '\n'))
		must(t, err)
		line, err := lines.ReadBytes('\n')
		if err != nil {
			_, _ = io.Copy(io.Discard, lines)
			_ = cmd.Wait()
			t.Fatalf("%s: %v\n%s", c.Op, err, said.String())
		}
		must(t, json.Unmarshal(line, &a))
		return a
	}
}

var cliError = regexp.MustCompile(`An error occurred \((\w+)\) when calling the \w+ operation: ((?s).*)`)

// awsCommand makes a call with the AWS CLI.
func awsCommand(t *testing.T, endpoint string, env []string, c apiCall) (a apiAnswer) {
	t.Helper()
	b, err := json.Marshal(c.In)
	must(t, err)
	var kebab strings.Builder
	for i, r := range c.Op {
		if i > 0 && unicode.IsUpper(r) {
			kebab.WriteByte('-')
		}
		kebab.WriteRune(unicode.ToLower(r))
	}
	cmd := exec.CommandContext(t.Context(), "aws", "--endpoint-url", endpoint, "--output", "json", "apigateway", kebab.String(), "--cli-input-json", string(b))
	cmd.Env = append(env, "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		m := cliError.FindStringSubmatch(strings.TrimSpace(stderr.String()))
		if m == nil {
			return apiAnswer{Broken: fmt.Sprintf("%v: %s", err, stderr.String())}
		}
		a.Error = &struct {
			Code, Message string
			Typed         bool
		}{m[1], m[2], true}
		return a
	}
	if err := json.Unmarshal(stdout.Bytes(), &a.Out); err != nil && stdout.Len() > 0 {
		a.Broken = err.Error() + ": " + stdout.String()
	}
	return a
}

// selfSigned is a certificate that signs itself, and its key, in PEM.
func selfSigned(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	must(t, err)
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk}))
}
