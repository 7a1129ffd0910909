package main

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caarlos0/env/v11"

	"tollgate/control"
	"tollgate/gateway"
	"tollgate/gateway/aws"
	"tollgate/gateway/process"
	"tollgate/gateway/spans"
	"tollgate/model"
)

// Config is every setting of the program, read from the environment once, here.
// Fields tagged secret may also be given as the name of a file, in NAME_FILE.
type Config struct {
	DataDir        string        `env:"TOLLGATE_DATA_DIR" help:"where the embedded Postgres, journals and generated secrets are kept" shown:"/var/lib/tollgate as root, else ~/.local/share/tollgate"`
	DatabaseURL    string        `env:"DATABASE_URL" secret:"true" help:"Postgres 15 or newer to use instead of the embedded one" shown:"embedded"`
	PGBin          string        `env:"TOLLGATE_PG_BIN" help:"directory of the binaries for the embedded Postgres" shown:"newest under /usr/lib/postgresql, else PATH"`
	ControlAddr    string        `env:"TOLLGATE_CONTROL_ADDR" envDefault:"127.0.0.1:8080" help:"where console, portal and API listen"`
	GatewayAddr    string        `env:"TOLLGATE_GATEWAY_ADDR" envDefault:"127.0.0.1:8081" help:"where the gateway takes calls"`
	GatewayTLSAddr string        `env:"TOLLGATE_GATEWAY_TLS_ADDR" envDefault:"127.0.0.1:8443" help:"where the gateway takes calls over TLS"`
	AdminAddr      string        `env:"TOLLGATE_ADMIN_ADDR" envDefault:"127.0.0.1:9090" help:"where /livez, /readyz and /metrics are"`
	ConsoleURL     string        `env:"TOLLGATE_CONSOLE_URL" help:"public address of console and portals, as browsers and mails name it" shown:"http:// and TOLLGATE_CONTROL_ADDR"`
	GatewayURL     string        `env:"TOLLGATE_GATEWAY_URL" help:"public address of the gateway, as callers name it" shown:"http://localhost: and the port of TOLLGATE_GATEWAY_ADDR"`
	PortalDomain   string        `env:"TOLLGATE_PORTAL_DOMAIN" help:"a portal's own host is its name before this; the port belongs to it" shown:"portal.localhost: and the port of TOLLGATE_CONTROL_ADDR on a local installation, else none"`
	BehindProxy    bool          `env:"TOLLGATE_BEHIND_PROXY" envDefault:"false" help:"a proxy in front of the console sets X-Forwarded-For: believe the last address in it"`
	Region         string        `env:"TOLLGATE_REGION" envDefault:"us-east-1" help:"region name in ARNs"`
	Node           string        `env:"TOLLGATE_NODE" help:"name of this gateway node, unique in its gateway" shown:"host name"`
	UpstreamAllow  string        `env:"TOLLGATE_UPSTREAM_ALLOW" help:"networks that upstreams may be in besides public addresses, as CIDRs with commas; none: no more" shown:"loopback while the gateway listens on loopback, else none"`
	VPCEndpoints   string        `env:"TOLLGATE_VPC_ENDPOINTS" help:"networks that private APIs may be called from, by the VPC endpoint that each stands for: vpce-0a1b=10.0.0.0/8+fd00::/8, vpce-0c@vpc-1=192.168.0.0/16" shown:"none"`
	UserPools      string        `env:"TOLLGATE_USER_POOLS" help:"issuers of the tokens of user pools, by a pool's id or ARN, such as us-east-1_abc=https://issuer.example.com, with commas" shown:"Amazon Cognito's"`
	AWSEndpoints   string        `env:"TOLLGATE_AWS_ENDPOINTS" help:"where AWS services are that integrations call, if not at Amazon: dynamodb=http://127.0.0.1:8000,*=http://127.0.0.1:5000; * is for all others" shown:"at Amazon"`
	SecretKey      string        `env:"TOLLGATE_SECRET_KEY" secret:"true" help:"32 bytes in hex that encrypt secrets in the database" shown:"generated in the data directory"`
	Ownership      string        `env:"TOLLGATE_DOMAIN_OWNERSHIP" envDefault:"dns" help:"how accounts prove that a custom domain name is theirs: dns (a TXT record), or trust (not at all: for an installation whose accounts are all yours)"`
	DNS            string        `env:"TOLLGATE_DNS" help:"DNS server asked for ownership records, such as 10.0.0.2:53" shown:"the system's"`
	ACMEEmail      string        `env:"TOLLGATE_ACME_EMAIL" help:"get certificates for custom domain names by ACME, under this address; the names must lead to the gateway on port 80" shown:"none are got"`
	ACMEDirectory  string        `env:"TOLLGATE_ACME_DIRECTORY" help:"directory URL of the ACME certificate authority" shown:"Let's Encrypt"`
	ACMERoots      string        `env:"TOLLGATE_ACME_ROOTS" help:"file of certificates that the ACME authority's server is verified by" shown:"the system's"`
	MaxBody        int64         `env:"TOLLGATE_MAX_BODY" envDefault:"10485760" help:"largest request body of a call in bytes"`
	MaxTarget      int           `env:"TOLLGATE_MAX_URL" envDefault:"10240" help:"longest path and query of a call in bytes"`
	MaxHeaders     int           `env:"TOLLGATE_MAX_HEADERS" envDefault:"10240" help:"largest header of a call in bytes"`
	JournalKeep    int64         `env:"TOLLGATE_JOURNAL_KEEP" envDefault:"0" help:"bytes of journal to keep for audits after it was handed in"`
	BatchKeep      int64         `env:"TOLLGATE_BATCH_KEEP" envDefault:"1073741824" help:"bytes of usage batches to keep for 7 days after they were handed in: they are again when the database was restored from a backup"`
	CallLogRate    int           `env:"TOLLGATE_CALL_LOG_RATE" envDefault:"100" help:"calls a second of each account that the call log has of this gateway node, and as many again that went wrong; more are counted only"`
	AccessLogDir   string        `env:"TOLLGATE_ACCESS_LOG_DIR" help:"directory of the access logs that stages write to log groups, as {account}/{name}.log" shown:"they are not written"`
	AccessLog      string        `env:"TOLLGATE_ACCESS_LOG" help:"stdout: the access logs that stages write to log groups go to standard output instead"`
	CallLogDays    int           `env:"TOLLGATE_CALL_LOG_DAYS" envDefault:"7" help:"days that the call log keeps calls"`
	CacheMemory    int64         `env:"TOLLGATE_CACHE_MEMORY" envDefault:"268435456" help:"bytes of memory that the caches of all stages may hold on a node; one tenant gets half of it at most"`
	Jobs           bool          `env:"TOLLGATE_JOBS" envDefault:"true" help:"this control plane runs background jobs; false: tollgate worker does, elsewhere"`
	DatabaseWait   time.Duration `env:"TOLLGATE_DATABASE_WAIT" envDefault:"1m" help:"how long a start waits for a Postgres that is not there yet; 0: not at all"`
	DrainTimeout   time.Duration `env:"TOLLGATE_DRAIN_TIMEOUT" envDefault:"30s" help:"how long calls in flight may take to end at a stop"`
	RedisURL       string        `env:"TOLLGATE_REDIS_URL" secret:"true" help:"Redis or Valkey that keeps the throttles of plans with hard ones, the same for the control plane and every node: redis://user:password@host:6379/0" shown:"none: plans cannot have hard throttles"`
	MethodMetrics  int           `env:"TOLLGATE_METHOD_METRICS" envDefault:"2000" help:"methods that may have metrics of their own, where their settings enable them; one tenant gets half of it at most"`
	Stripe         string        `env:"TOLLGATE_STRIPE" help:"fake: payments go to an imitation of Stripe in this process, which moves no money; tollgate up only, and only while nobody else reaches this machine"`
	StripeKey      string        `env:"TOLLGATE_STRIPE_KEY" secret:"true" help:"secret key of the operator's Stripe account, over which invoices are paid" shown:"none: invoices are paid by bank transfer"`
	StripeWebhook  string        `env:"TOLLGATE_STRIPE_WEBHOOK_SECRET" secret:"true" help:"signing secret of the Stripe endpoint at /webhooks/stripe" shown:"none: payments are found by asking, every ten minutes"`
	StripeConnect  string        `env:"TOLLGATE_STRIPE_CONNECT_SECRET" secret:"true" help:"signing secret of the Stripe endpoint at /webhooks/stripe/connect, for events of tenants' accounts" shown:"none: as above"`
	StripeFee      string        `env:"TOLLGATE_STRIPE_FEE_PERCENT" help:"percentage of what developers pay their tenants through Stripe that is the operator's" shown:"0"`
	StripeMeters   bool          `env:"TOLLGATE_STRIPE_METERS" envDefault:"false" help:"usage is mirrored to meters at Stripe, by customer and hour, for who looks there; nothing is billed by them"`
	StripeURL      string        `env:"TOLLGATE_STRIPE_URL" help:"where Stripe's API is, if not at Stripe; with TOLLGATE_STRIPE=fake, where the imitation listens" shown:"at Stripe; http://127.0.0.1:12121"`
	Log            string        `env:"TOLLGATE_LOG" envDefault:"text" help:"log lines as text or json"`

	spans.Settings

	allow     []netip.Prefix
	pools     model.UserPools
	vpc       model.EndpointNetworks
	endpoints aws.Endpoints
	acmeRoots *x509.CertPool // nil: the system's
	console   *url.URL
	gateway   *url.URL
	stripe    *url.URL       // nil: Stripe's own
	secret    []byte         // nil: generated in the data directory
	spans     *spans.Options // nil: none are sent
	unknown   []string
}

// loadConfig reads and checks the settings; the first wrong one is refused by name.
func loadConfig(environ []string) (*Config, error) {
	vars := env.ToMap(environ)
	c := &Config{}
	for _, s := range settings() {
		if !s.secret {
			continue
		}
		file := vars[s.name+"_FILE"]
		if file == "" {
			continue
		}
		if vars[s.name] != "" {
			return nil, model.Errorf(model.Invalid, "both %s and %s_FILE are set: unset one", s.name, s.name)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, model.Errorf(model.Invalid, "%s_FILE: %v", s.name, err)
		}
		vars[s.name] = strings.TrimSpace(string(b))
	}
	if err := env.ParseWithOptions(c, env.Options{Environment: vars}); err != nil {
		return nil, model.Errorf(model.Invalid, "settings: %v", err)
	}
	c.unknown = unknownSettings(vars)
	return c, c.check()
}

func (c *Config) check() (err error) {
	for _, a := range []struct{ name, addr string }{
		{"TOLLGATE_CONTROL_ADDR", c.ControlAddr}, {"TOLLGATE_GATEWAY_ADDR", c.GatewayAddr},
		{"TOLLGATE_GATEWAY_TLS_ADDR", c.GatewayTLSAddr}, {"TOLLGATE_ADMIN_ADDR", c.AdminAddr},
	} {
		if _, port, err := net.SplitHostPort(a.addr); err != nil {
			return model.Errorf(model.Invalid, "%s %q is not an address such as 127.0.0.1:8080", a.name, a.addr)
		} else if _, err := net.LookupPort("tcp", port); err != nil {
			return model.Errorf(model.Invalid, "%s %q has no valid port", a.name, a.addr)
		}
	}
	if !regionName(c.Region) {
		return model.Errorf(model.Invalid, "TOLLGATE_REGION %q is not lower-case letters, digits and dashes", c.Region)
	}
	if c.Ownership != "dns" && c.Ownership != "trust" {
		return model.Errorf(model.Invalid, "TOLLGATE_DOMAIN_OWNERSHIP %q is not dns or trust", c.Ownership)
	}
	if _, _, err := net.SplitHostPort(c.DNS); c.DNS != "" && err != nil {
		return model.Errorf(model.Invalid, "TOLLGATE_DNS %q is not an address such as 10.0.0.2:53", c.DNS)
	}
	if c.ACMERoots != "" {
		b, err := os.ReadFile(c.ACMERoots)
		if err != nil {
			return model.Errorf(model.Invalid, "TOLLGATE_ACME_ROOTS: %v", err)
		}
		c.acmeRoots = x509.NewCertPool()
		if !c.acmeRoots.AppendCertsFromPEM(b) {
			return model.Errorf(model.Invalid, "TOLLGATE_ACME_ROOTS %s holds no certificate in PEM form", c.ACMERoots)
		}
	}
	if c.Log != "text" && c.Log != "json" {
		return model.Errorf(model.Invalid, "TOLLGATE_LOG %q is not text or json", c.Log)
	}
	if c.DatabaseWait < 0 || c.DatabaseWait > time.Hour {
		return model.Errorf(model.Invalid, "TOLLGATE_DATABASE_WAIT is between 0s and 1h")
	}
	if c.DrainTimeout <= 0 {
		return model.Errorf(model.Invalid, "TOLLGATE_DRAIN_TIMEOUT must be more than nothing")
	}
	if !gateway.HeadLimits(c.MaxTarget) || !gateway.HeadLimits(c.MaxHeaders) {
		return model.Errorf(model.Invalid, "TOLLGATE_MAX_URL and TOLLGATE_MAX_HEADERS are between 1,024 and 1,048,576 bytes")
	}
	if c.MaxBody <= 0 || c.CacheMemory <= 0 || c.JournalKeep < 0 || c.BatchKeep < 0 {
		return model.Errorf(model.Invalid, "TOLLGATE_MAX_BODY and TOLLGATE_CACHE_MEMORY must be more than nothing and TOLLGATE_JOURNAL_KEEP and TOLLGATE_BATCH_KEEP not negative")
	}
	if c.CallLogDays < 1 || c.CallLogDays > 400 {
		return model.Errorf(model.Invalid, "TOLLGATE_CALL_LOG_DAYS %d is not between 1 and 400", c.CallLogDays)
	}
	if err := process.CheckLogs(c.CallLogRate, c.AccessLog); err != nil {
		return err
	}
	if err := process.CheckRedis(c.RedisURL); err != nil {
		return err
	}
	if err := process.CheckMethodMetrics(c.MethodMetrics); err != nil {
		return err
	}
	if c.spans, err = c.Settings.Options(); err != nil {
		return err
	}
	if c.SecretKey != "" {
		key, err := hex.DecodeString(c.SecretKey)
		if err != nil || len(key) != 32 {
			return model.Errorf(model.Invalid, "TOLLGATE_SECRET_KEY is not 64 hexadecimal digits: make one with `openssl rand -hex 32`")
		}
		c.secret = key
	}
	if c.vpc, err = model.ParseEndpointNetworks(c.VPCEndpoints); err != nil {
		return model.Errorf(model.Invalid, "TOLLGATE_VPC_ENDPOINTS: %s", model.MessageOf(err))
	}
	if c.pools, err = model.ParseUserPools(c.UserPools); err != nil {
		return model.Errorf(model.Invalid, "TOLLGATE_USER_POOLS: %s", model.MessageOf(err))
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	if c.DataDir == "" {
		c.DataDir = defaultDataDir()
	}
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return model.Errorf(model.Invalid, "TOLLGATE_DATA_DIR: %v", err)
	}
	if err := c.checkURLs(); err != nil {
		return err
	}
	if err := c.checkStripe(); err != nil {
		return err
	}
	if c.endpoints, err = process.ParseEndpoints("TOLLGATE_AWS_ENDPOINTS", c.AWSEndpoints); err != nil {
		return err
	}
	return c.checkAllow()
}

func regionName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// checkURLs reads the public addresses.
func (c *Config) checkURLs() error {
	var err error
	if c.console, err = publicURL("TOLLGATE_CONSOLE_URL", c.ConsoleURL); err != nil {
		return err
	}
	if c.gateway, err = publicURL("TOLLGATE_GATEWAY_URL", c.GatewayURL); err != nil {
		return err
	}
	if strings.ContainsAny(c.PortalDomain, "/ ") || strings.HasPrefix(c.PortalDomain, ".") {
		return model.Errorf(model.Invalid, "TOLLGATE_PORTAL_DOMAIN %q is not a host such as portal.example.com", c.PortalDomain)
	}
	return nil
}

// published fills in the public addresses that were left out, from where the
// parts really listen: a port may have been left to the system.
func (c *Config) published(control, gateway string) {
	_, controlPort, _ := net.SplitHostPort(control)
	_, gatewayPort, _ := net.SplitHostPort(gateway)
	if c.console == nil {
		c.console = &url.URL{Scheme: "http", Host: control}
	}
	if c.gateway == nil && gatewayPort != "" {
		c.gateway = &url.URL{Scheme: "http", Host: "localhost:" + gatewayPort}
	}
	if c.PortalDomain == "" && c.localConsole() {
		c.PortalDomain = "portal.localhost:" + controlPort
	}
}

func publicURL(name, text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, model.Errorf(model.Invalid, "%s %q is not an address such as https://tollgate.example.com", name, text)
	}
	u.Path = ""
	return u, nil
}

// acme says that certificates are got.
func (c *Config) acme() bool { return c.ACMEEmail != "" }

// names is how host names of tenants are dealt with.
func (c *Config) names() control.Names {
	out := control.Names{DNS: c.DNS, ACME: c.acme(), Reserved: []string{"portal.localhost", "execute-api.localhost"}}
	for _, u := range []*url.URL{c.console, c.gateway} {
		if u != nil && net.ParseIP(u.Hostname()) == nil && u.Hostname() != "localhost" {
			out.Reserved = append(out.Reserved, u.Hostname())
		}
	}
	if host, _, _ := strings.Cut(c.PortalDomain, ":"); host != "" {
		out.Reserved = append(out.Reserved, host)
	}
	local := c.local()
	out.Trusted = func(name string) bool { return c.Ownership == "trust" || local && model.LocalName(name) }
	return out
}

// localConsole says that the console takes requests from this machine only. With
// a proxy in front it does not, whatever address it listens on.
func (c *Config) localConsole() bool {
	return loopback(c.ControlAddr) && !c.BehindProxy && (c.console == nil || loopbackHost(c.console.Hostname()))
}

// local says that the gateway takes calls from this machine only.
func (c *Config) local() bool {
	return loopback(c.GatewayAddr) && loopback(c.GatewayTLSAddr)
}

func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	return loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (c *Config) checkAllow() error {
	text := c.UpstreamAllow
	if text == "" && c.local() {
		text = "127.0.0.0/8,::1/128"
	}
	var err error
	c.allow, err = process.ParseNetworks("TOLLGATE_UPSTREAM_ALLOW", text)
	return err
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/tollgate"
	}
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "tollgate")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return filepath.Join(home, ".local", "share", "tollgate")
}

type setting struct {
	name, help, shown string
	secret            bool
}

func settings() []setting { return settingsOf[Config]() }

func settingsOf[T any]() []setting {
	var out []setting
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name := f.Tag.Get("env")
		if name == "" {
			continue
		}
		shown := f.Tag.Get("shown")
		if d := f.Tag.Get("envDefault"); d != "" {
			shown = d
		}
		out = append(out, setting{name, f.Tag.Get("help"), shown, f.Tag.Get("secret") == "true"})
	}
	return out
}

// settingsHelp lists every setting with its default.
func settingsHelp() string {
	var b strings.Builder
	b.WriteString("Settings, from the environment:\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range settings() {
		name, shown := s.name, s.shown
		if s.secret {
			name += "[_FILE]"
		}
		if shown == "" {
			shown = "not set"
		}
		fmt.Fprintf(w, "  %s\t%s (default: %s)\n", name, s.help, shown)
	}
	_ = w.Flush()
	return b.String()
}

// unknownSettings finds variables that look like ours and are not: a typing
// mistake would otherwise be a setting silently left at its default.
func unknownSettings(vars map[string]string) []string {
	known := map[string]bool{}
	// A gateway node's settings may be set for all commands alike.
	for _, s := range append(settings(), settingsOf[process.Settings]()...) {
		known[s.name] = true
		known[s.name+"_FILE"] = s.secret
	}
	known["TOLLGATE_NODE_TOKEN_FILE"] = true
	known[endpointVariable] = true // of the command line, elsewhere.go
	var out []string
	for name := range vars {
		if strings.HasPrefix(name, "TOLLGATE_") && !known[name] {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}
