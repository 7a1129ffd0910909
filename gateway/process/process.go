// Package process runs a gateway node as a program of its own: settings from the
// environment, the listener for those who run it, and an orderly end. Both
// tollgate-gateway and `tollgate gateway` are this.
//
// It must never link SQL, templates or payment code: a dedicated gateway's host
// holds nothing that could read another tenant's data.
package process

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"tollgate/gateway"
	"tollgate/gateway/aws"
	"tollgate/gateway/follow"
	"tollgate/gateway/limit/counter"
	"tollgate/gateway/spans"
	"tollgate/model"
)

// Settings of a node. Secrets can be given as NAME_FILE too.
type Settings struct {
	FeedURL       string        `env:"TOLLGATE_FEED_URL" help:"the control plane to follow, such as http://control:8080"`
	Token         string        `env:"TOLLGATE_NODE_TOKEN" help:"what tollgate node create printed"`
	DataDir       string        `env:"TOLLGATE_DATA_DIR" envDefault:"/var/lib/tollgate-gateway" help:"where the journal and the copy of the configuration are kept"`
	Addr          string        `env:"TOLLGATE_GATEWAY_ADDR" envDefault:"127.0.0.1:8081" help:"where calls are taken"`
	TLSAddr       string        `env:"TOLLGATE_GATEWAY_TLS_ADDR" help:"where calls are taken over TLS; empty: nowhere"`
	AdminAddr     string        `env:"TOLLGATE_ADMIN_ADDR" envDefault:"127.0.0.1:9090" help:"where /livez, /readyz and /metrics are"`
	Node          string        `env:"TOLLGATE_NODE" help:"name of this node; empty: host name"`
	Region        string        `env:"TOLLGATE_REGION" envDefault:"us-east-1" help:"region name in ARNs; the control plane's"`
	UpstreamAllow string        `env:"TOLLGATE_UPSTREAM_ALLOW" help:"networks that upstreams may be in besides public addresses, as CIDRs with commas"`
	UserPools     string        `env:"TOLLGATE_USER_POOLS" help:"issuers of the tokens of user pools, by a pool's id or ARN, such as us-east-1_abc=https://issuer.example.com, with commas; others are Amazon Cognito's"`
	VPCEndpoints  string        `env:"TOLLGATE_VPC_ENDPOINTS" help:"networks that private APIs may be called from, by the VPC endpoint that each stands for: vpce-0a1b=10.0.0.0/8+fd00::/8, vpce-0c@vpc-1=192.168.0.0/16"`
	AWSEndpoints  string        `env:"TOLLGATE_AWS_ENDPOINTS" help:"where AWS services are that integrations call, if not at Amazon: dynamodb=http://127.0.0.1:8000,*=http://127.0.0.1:5000; * is for all others"`
	MaxBody       int64         `env:"TOLLGATE_MAX_BODY" envDefault:"10485760" help:"largest request body in bytes"`
	MaxTarget     int           `env:"TOLLGATE_MAX_URL" envDefault:"10240" help:"longest path and query of a call in bytes"`
	MaxHeaders    int           `env:"TOLLGATE_MAX_HEADERS" envDefault:"10240" help:"largest header of a call in bytes"`
	JournalKeep   int64         `env:"TOLLGATE_JOURNAL_KEEP" envDefault:"0" help:"bytes of journal to keep for audits after it was handed in"`
	BatchKeep     int64         `env:"TOLLGATE_BATCH_KEEP" envDefault:"1073741824" help:"bytes of usage batches to keep for 7 days after they were handed in: they are again when the database was restored from a backup"`
	CallLogRate   int           `env:"TOLLGATE_CALL_LOG_RATE" envDefault:"100" help:"calls a second of each account that the call log has of this gateway node, and as many again that went wrong; more are counted only"`
	AccessLogDir  string        `env:"TOLLGATE_ACCESS_LOG_DIR" help:"directory of the access logs that stages write to log groups, as {account}/{name}.log"`
	AccessLog     string        `env:"TOLLGATE_ACCESS_LOG" help:"stdout: the access logs that stages write to log groups go to standard output instead"`
	CacheMemory   int64         `env:"TOLLGATE_CACHE_MEMORY" envDefault:"268435456" help:"bytes of memory that the caches of all stages may hold on a node; one tenant gets half of it at most"`
	DrainTimeout  time.Duration `env:"TOLLGATE_DRAIN_TIMEOUT" envDefault:"30s" help:"how long calls in flight may take to end at a stop"`
	RedisURL      string        `env:"TOLLGATE_REDIS_URL" help:"Redis or Valkey that keeps the throttles of plans with hard ones, the same for the control plane and every node: redis://user:password@host:6379/0"`
	MethodMetrics int           `env:"TOLLGATE_METHOD_METRICS" envDefault:"2000" help:"methods that may have metrics of their own, where their settings enable them; one tenant gets half of it at most"`
	Log           string        `env:"TOLLGATE_LOG" envDefault:"text" help:"log lines as text or json"`

	spans.Settings

	allow     []netip.Prefix
	endpoints aws.Endpoints
	pools     model.UserPools
	spans     *spans.Options // nil: none are sent
	vpc       model.EndpointNetworks
}

// Load reads and checks the settings.
func Load(environ []string) (*Settings, error) {
	vars := env.ToMap(environ)
	for _, name := range []string{"TOLLGATE_NODE_TOKEN", "TOLLGATE_REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		if f := vars[name+"_FILE"]; f != "" && vars[name] == "" {
			b, err := os.ReadFile(f)
			if err != nil {
				return nil, model.Errorf(model.Invalid, "%s_FILE: %v", name, err)
			}
			vars[name] = strings.TrimSpace(string(b))
		}
	}
	s := &Settings{}
	if err := env.ParseWithOptions(s, env.Options{Environment: vars}); err != nil {
		return nil, model.Errorf(model.Invalid, "settings: %v", err)
	}
	switch {
	case s.FeedURL == "" || s.Token == "":
		return nil, model.Errorf(model.Invalid, "a gateway node needs TOLLGATE_FEED_URL and TOLLGATE_NODE_TOKEN: `tollgate node create` on the control plane makes a token")
	case !strings.HasPrefix(s.FeedURL, "http://") && !strings.HasPrefix(s.FeedURL, "https://"):
		return nil, model.Errorf(model.Invalid, "TOLLGATE_FEED_URL %q is not an http or https URL", s.FeedURL)
	case s.Log != "text" && s.Log != "json":
		return nil, model.Errorf(model.Invalid, "TOLLGATE_LOG %q is not text or json", s.Log)
	case !gateway.HeadLimits(s.MaxTarget) || !gateway.HeadLimits(s.MaxHeaders):
		return nil, model.Errorf(model.Invalid, "TOLLGATE_MAX_URL and TOLLGATE_MAX_HEADERS are between 1,024 and 1,048,576 bytes")
	case s.MaxBody < 0 || s.CacheMemory <= 0 || s.JournalKeep < 0 || s.BatchKeep < 0 || s.DrainTimeout <= 0:
		return nil, model.Errorf(model.Invalid, "TOLLGATE_MAX_BODY, TOLLGATE_JOURNAL_KEEP, TOLLGATE_BATCH_KEEP and TOLLGATE_DRAIN_TIMEOUT must not be negative, and TOLLGATE_CACHE_MEMORY must be more than nothing")
	}
	if s.Region == "" || strings.Trim(s.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, model.Errorf(model.Invalid, "TOLLGATE_REGION %q is not lower-case letters, digits and dashes", s.Region)
	}
	if err := CheckLogs(s.CallLogRate, s.AccessLog); err != nil {
		return nil, err
	}
	if s.Node == "" {
		s.Node, _ = os.Hostname()
	}
	var err error
	if err = CheckRedis(s.RedisURL); err != nil {
		return nil, err
	}
	if err = CheckMethodMetrics(s.MethodMetrics); err != nil {
		return nil, err
	}
	if s.spans, err = s.Settings.Options(); err != nil {
		return nil, err
	}
	if s.endpoints, err = ParseEndpoints("TOLLGATE_AWS_ENDPOINTS", s.AWSEndpoints); err != nil {
		return nil, err
	}
	if s.pools, err = model.ParseUserPools(s.UserPools); err != nil {
		return nil, model.Errorf(model.Invalid, "TOLLGATE_USER_POOLS: %s", model.MessageOf(err))
	}
	if s.vpc, err = model.ParseEndpointNetworks(s.VPCEndpoints); err != nil {
		return nil, model.Errorf(model.Invalid, "TOLLGATE_VPC_ENDPOINTS: %s", model.MessageOf(err))
	}
	s.allow, err = ParseNetworks("TOLLGATE_UPSTREAM_ALLOW", s.UpstreamAllow)
	return s, err
}

// CheckLogs checks the settings of call log and access logs.
func CheckLogs(rate int, accessLog string) error {
	if rate < 0 || rate > 100_000 {
		return model.Errorf(model.Invalid, "TOLLGATE_CALL_LOG_RATE %d is not between 0 and 100,000 calls a second", rate)
	}
	if accessLog != "" && accessLog != "stdout" {
		return model.Errorf(model.Invalid, "TOLLGATE_ACCESS_LOG %q is not stdout", accessLog)
	}
	return nil
}

// CheckRedis checks the address of the counters of hard throttles; empty: there are none.
func CheckRedis(url string) error {
	if url == "" {
		return nil
	}
	return counter.Check(url)
}

// CheckMethodMetrics checks how many methods may have metrics of their own.
func CheckMethodMetrics(n int) error {
	if n < 0 || n > 1_000_000 {
		return model.Errorf(model.Invalid, "TOLLGATE_METHOD_METRICS %d is not between 0 and 1,000,000 methods", n)
	}
	return nil
}

// MethodMetrics is the setting as the gateway's options have it.
func MethodMetrics(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// Spans are the options with the program's version.
func Spans(o *spans.Options, version string) *spans.Options {
	if o != nil {
		o.Version = version
	}
	return o
}

// CallLogRate is the setting as the gateway's options have it.
func CallLogRate(rate int) int {
	if rate == 0 {
		return -1
	}
	return rate
}

// AccessLog is where access logs go: stdout, where the setting says so.
func AccessLog(setting string, stdout io.Writer) io.Writer {
	if setting == "stdout" {
		return stdout
	}
	return nil
}

// ParseNetworks reads networks or addresses separated by commas; "" and "none"
// are none.
func ParseNetworks(setting, text string) ([]netip.Prefix, error) {
	if text == "" || text == "none" {
		return nil, nil
	}
	var out []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		p, err := netip.ParsePrefix(part)
		if err != nil {
			a, err := netip.ParseAddr(part)
			if err != nil {
				return nil, model.Errorf(model.Invalid, "%s: %q is not a network such as 10.0.0.0/8", setting, part)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// ParseEndpoints reads where AWS services are.
func ParseEndpoints(setting, text string) (aws.Endpoints, error) {
	all, err := aws.ParseEndpoints(text)
	if err != nil {
		return nil, model.Errorf(model.Invalid, "%s: %v", setting, err)
	}
	return all, nil
}

// Run is the node's life until ctx ends. It prints one line when it is ready.
func Run(ctx context.Context, s *Settings, version string, stdout, stderr io.Writer) error {
	var h slog.Handler = slog.NewTextHandler(stderr, nil)
	if s.Log == "json" {
		h = slog.NewJSONHandler(stderr, nil)
	}
	log := slog.New(h)
	reg := NewRegistry(version)
	a, err := StartAdmin(s.AdminAddr, reg)
	if err != nil {
		return err
	}
	defer a.Stop()
	g, err := gateway.Start(ctx, gateway.Options{Addr: s.Addr, TLSAddr: s.TLSAddr, DataDir: s.DataDir, Node: s.Node, Region: s.Region,
		Feed: follow.HTTP(s.FeedURL, s.Token), Allow: s.allow, Endpoints: s.endpoints, UserPools: s.pools, EndpointNetworks: s.vpc, MaxBody: s.MaxBody, MaxTarget: s.MaxTarget, MaxHeaders: s.MaxHeaders,
		CacheMemory: s.CacheMemory, JournalKeep: s.JournalKeep, BatchKeep: s.BatchKeep, Counters: s.RedisURL, Log: log,
		CallLogRate: CallLogRate(s.CallLogRate), AccessLogs: s.AccessLogDir, AccessLog: AccessLog(s.AccessLog, stdout),
		Spans: Spans(s.spans, version), MethodMetrics: MethodMetrics(s.MethodMetrics)})
	if err != nil {
		return err
	}
	if err := g.Register(reg); err != nil {
		return err
	}
	a.Require("gateway", func(context.Context) error {
		if !g.Ready() {
			return fmt.Errorf("nothing to serve from yet, or draining")
		}
		return nil
	})
	a.Open()
	select {
	case <-g.Loaded():
		fmt.Fprintf(stdout, "tollgate ready gateway=http://%s\n", g.Addr())
		<-ctx.Done()
	case <-ctx.Done():
	}
	a.Close()
	dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.DrainTimeout)
	defer cancel()
	return g.Drain(dctx)
}

// Help lists every setting with its default.
func Help(program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s runs a gateway node that follows a control plane elsewhere.\n\nSettings, from the environment:\n\n", program)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if name := f.Tag.Get("env"); name != "" {
			d := cmp.Or(f.Tag.Get("envDefault"), f.Tag.Get("shown"), "not set")
			fmt.Fprintf(&b, "  %-26s %s (default: %s)\n", name, f.Tag.Get("help"), d)
		}
	}
	return b.String()
}

// Knows says that a variable of the environment is a setting of a node, or names a file
// with one.
func Knows(name string) bool {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		if known := f.Tag.Get("env"); known != "" && (name == known || name == known+"_FILE") {
			return true
		}
	}
	return false
}

// Frugal makes the garbage collector run at half the usual growth, unless GOGC
// says otherwise. Calls allocate nothing, so collections are rare whatever the
// setting, and what it bounds is memory: keys and routes, not traffic.
func Frugal() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
