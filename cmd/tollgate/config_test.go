package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/model"
)

func TestConfigDefaults(t *testing.T) {
	c, err := loadConfig([]string{"TOLLGATE_NOD=x", "TOLLGATE_NODE_TOKEN_FILE=", "OTHER=1"})
	must(t, err)
	got := []string{c.ControlAddr, c.GatewayAddr, c.GatewayTLSAddr, c.AdminAddr, c.Region, fmt.Sprint(c.allow), strings.Join(c.unknown, " ")}
	want := []string{"127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8443", "127.0.0.1:9090", "us-east-1", "[127.0.0.0/8 ::1/128]", "TOLLGATE_NOD"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !filepath.IsAbs(c.DataDir) || c.Node == "" {
		t.Errorf("data directory %q, node %q", c.DataDir, c.Node)
	}
}

func TestUserPools(t *testing.T) {
	c, err := loadConfig([]string{"TOLLGATE_USER_POOLS=us-east-1_a=https://a.example.com/x, arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_b=http://10.0.0.1"})
	must(t, err)
	if u, err := c.pools.Issuer("arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a"); err != nil || u != "https://a.example.com/x" {
		t.Errorf("%s %v", u, err)
	}
	if _, err := loadConfig([]string{"TOLLGATE_USER_POOLS=us-east-1_a"}); err == nil || !strings.Contains(err.Error(), `TOLLGATE_USER_POOLS: "us-east-1_a" is not a user pool with its issuer`) {
		t.Error(err)
	}
}

// What is shown to the machine only (mails, with links that open accounts) must
// not be shown to those whom a proxy lets in.
func TestLocalConsole(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{nil, true},
		{[]string{"TOLLGATE_CONTROL_ADDR=[::1]:80", "TOLLGATE_CONSOLE_URL=http://localhost:80"}, true},
		{[]string{"TOLLGATE_CONTROL_ADDR=0.0.0.0:8080"}, false},
		{[]string{"TOLLGATE_CONSOLE_URL=https://tollgate.example.com"}, false},
		{[]string{"TOLLGATE_BEHIND_PROXY=true"}, false},
	} {
		cfg, err := loadConfig(c.env)
		must(t, err)
		if got := cfg.localConsole(); got != c.want {
			t.Errorf("%v: local %v", c.env, got)
		}
	}
}

func TestUpstreamAllow(t *testing.T) {
	for _, c := range []struct{ gateway, allow, want string }{
		{"127.0.0.1:1", "", "[127.0.0.0/8 ::1/128]"},
		{"localhost:1", "", "[127.0.0.0/8 ::1/128]"},
		{"127.0.0.1:1", "none", "[]"},
		{"0.0.0.0:1", "", "[]"}, // reachable by others: loopback stays closed
		{":1", "", "[]"},
		{"0.0.0.0:1", "10.1.2.3/8, 192.168.0.1", "[10.0.0.0/8 192.168.0.1/32]"},
	} {
		got, err := loadConfig([]string{"TOLLGATE_GATEWAY_ADDR=" + c.gateway, "TOLLGATE_UPSTREAM_ALLOW=" + c.allow})
		must(t, err)
		if fmt.Sprint(got.allow) != c.want {
			t.Errorf("gateway %s, allow %q: %v, want %s", c.gateway, c.allow, got.allow, c.want)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, []byte(strings.Repeat("ab", 32)+"\n"), 0o600))
	c, err := loadConfig([]string{"TOLLGATE_SECRET_KEY_FILE=" + file})
	must(t, err)
	if len(c.secret) != 32 || c.secret[0] != 0xab {
		t.Errorf("the key is %x", c.secret)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"TOLLGATE_CONTROL_ADDR", "8080"},
		{"TOLLGATE_GATEWAY_ADDR", "127.0.0.1:http-of-mine"},
		{"TOLLGATE_ADMIN_ADDR", "127.0.0.1:99999"},
		{"TOLLGATE_REGION", "us_east"},
		{"TOLLGATE_UPSTREAM_ALLOW", "10.0.0.0/8,office"},
		{"TOLLGATE_AWS_ENDPOINTS", "sqs=localhost:9324"},
		{"TOLLGATE_SECRET_KEY", "abcd"},
		{"TOLLGATE_MAX_BODY", "0"},
		{"TOLLGATE_JOURNAL_KEEP", "-1"},
		{"TOLLGATE_DRAIN_TIMEOUT", "0s"},
		{"TOLLGATE_LOG", "xml"},
		{"TOLLGATE_SECRET_KEY_FILE", "/nonexistent/key"},
	} {
		_, err := loadConfig([]string{c.name + "=" + c.value})
		if model.KindOf(err) != model.Invalid || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
	}
	_, err := loadConfig([]string{"DATABASE_URL=postgres://x", "DATABASE_URL_FILE=/x"})
	if model.KindOf(err) != model.Invalid {
		t.Errorf("a secret given twice: %v", err)
	}
}

// Payments that are not real are taken nowhere but on a machine that nobody else
// reaches, and a key is sent to nobody who could read it on the way.
func TestStripeSettings(t *testing.T) {
	c, err := loadConfig([]string{"TOLLGATE_STRIPE=fake"})
	must(t, err)
	if c.stripe.String() != "http://127.0.0.1:12121" {
		t.Errorf("the imitation listens at %s", c.stripe)
	}
	for bad, says := range map[string]string{
		"TOLLGATE_STRIPE=fake TOLLGATE_CONTROL_ADDR=0.0.0.0:8080":                "others reach this machine",
		"TOLLGATE_STRIPE=fake TOLLGATE_GATEWAY_ADDR=:8081":                       "others reach this machine",
		"TOLLGATE_STRIPE=fake TOLLGATE_BEHIND_PROXY=true":                        "others reach this machine",
		"TOLLGATE_STRIPE=fake TOLLGATE_CONSOLE_URL=https://tollgate.example.com": "others reach this machine",
		"TOLLGATE_STRIPE=fake TOLLGATE_STRIPE_KEY=sk_live_x":                     "unset one",
		"TOLLGATE_STRIPE=fake TOLLGATE_STRIPE_URL=http://192.0.2.1:80":           "loopback",
		"TOLLGATE_STRIPE=yes":           "not fake",
		"TOLLGATE_STRIPE_KEY=pk_live_x": "not a secret key",
		"TOLLGATE_STRIPE_KEY=sk_test_x TOLLGATE_STRIPE_URL=http://stripe.example": "https://",
		"TOLLGATE_STRIPE_WEBHOOK_SECRET=whsec_x":                                  "TOLLGATE_STRIPE_KEY is not",
		"TOLLGATE_STRIPE_METERS=true":                                             "no Stripe to mirror usage to",
		"TOLLGATE_STRIPE_KEY=sk_test_x TOLLGATE_STRIPE_FEE_PERCENT=half":          "TOLLGATE_STRIPE_FEE_PERCENT",
	} {
		if _, err := loadConfig(strings.Fields(bad)); model.KindOf(err) != model.Invalid || !strings.Contains(model.MessageOf(err), says) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Settings of OpenTelemetry's environment are read as its own, secrets from files too.
func TestTelemetrySettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	must(t, os.WriteFile(file, []byte("Authorization=Bearer%20x\n"), 0o600))
	c, err := loadConfig([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS_FILE=" + file, "TOLLGATE_TRACE_RATE=5"})
	must(t, err)
	if o := c.spans; o == nil || o.URL != "http://127.0.0.1:4318/v1/traces" || o.Header.Get("Authorization") != "Bearer x" || o.PerAccount != 5 || len(c.unknown) != 0 {
		t.Errorf("%+v %v", o, c.unknown)
	}
	for _, bad := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "TOLLGATE_METHOD_METRICS=-1"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := loadConfig([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a", bad}); err == nil || !strings.HasPrefix(model.MessageOf(err), name) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
