package tollgate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"testing"
)

// rule limits what packages may import. Patterns are import paths; a final /...
// takes in the package and everything below it.
type rule struct {
	from []string // packages the rule is about
	// Of our own packages, only those may be imported (nil: any).
	only []string
	// None of those may be imported.
	never  []string
	deep   bool // never also holds for what imports import in turn
	reason string
}

var (
	// database/sql itself comes with Prometheus' collectors; without a driver it can
	// reach nothing, so only drivers are looked for in what imports import.
	sqlDrivers  = []string{"github.com/jackc/pgx/...", "github.com/golang-migrate/...", "github.com/lib/pq", "github.com/go-sql-driver/..."}
	sqlPackages = append([]string{"database/sql"}, sqlDrivers...)
	faces       = []string{"tollgate/web/...", "tollgate/portal/...", "tollgate/awsapi", "tollgate/ui/..."}
)

var rules = []rule{
	{from: []string{"tollgate/model/..."}, only: []string{"tollgate/model/..."},
		reason: "model is imported by all: what it imported, every part would depend on"},
	{from: []string{"tollgate/model/..."}, never: []string{"net/http", "net", "os", "database/sql"}, reason: "model does no I/O"},
	{from: []string{"tollgate/gateway/..."}, only: []string{"tollgate/gateway/...", "tollgate/model", "tollgate/awsapi/sigv4"},
		reason: "a node must serve with the control plane down, and a dedicated one must not carry its code"},
	{from: []string{"tollgate/gateway/...", "tollgate/cmd/tollgate-gateway"}, deep: true,
		never:  append([]string{"github.com/a-h/templ/...", "github.com/stripe/...", "github.com/riverqueue/...", "github.com/gorilla/..."}, sqlDrivers...),
		reason: "the data plane holds no SQL, templates, sessions, payments or jobs: less to attack, less to load"},
	{from: []string{"tollgate/gateway/...", "tollgate/cmd/tollgate-gateway"}, never: sqlPackages, reason: "the data plane holds no SQL"},
	{from: []string{"tollgate/cmd/tollgate-gateway"}, deep: true,
		never:  append([]string{"tollgate/control/...", "tollgate/billing/...", "tollgate/migrations/..."}, faces...),
		reason: "a tenant's own gateway can read nothing of the control plane but its feed"},
	{from: []string{"tollgate/control/..."}, deep: true,
		never:  append([]string{"tollgate/gateway/...", "tollgate/billing/..."}, faces...),
		reason: "control is what the faces share; planes meet in main, as functions"},
	{from: []string{"tollgate/control/openapi"}, only: []string{"tollgate/model"}, reason: "documents to and from model is a pure function"},
	{from: []string{"tollgate/control/openapi"}, never: sqlPackages, reason: "documents to and from model is a pure function"},
	{from: []string{"tollgate/control/sdk"}, only: []string{"tollgate/model"}, reason: "clients of a definition are a pure function"},
	{from: []string{"tollgate/control/sdk"}, never: append([]string{"net", "net/http", "os"}, sqlPackages...), reason: "clients of a definition are a pure function"},
	{from: []string{"tollgate/control/changes"}, only: []string{"tollgate/model"}, reason: "what changed between two definitions is a pure function"},
	{from: []string{"tollgate/control/changes"}, never: append([]string{"net", "net/http", "os"}, sqlPackages...), reason: "what changed between two definitions is a pure function"},
	{from: []string{"tollgate/control/cfn"}, only: []string{"tollgate/control/openapi", "tollgate/model"}, reason: "templates to plans is a pure function"},
	{from: []string{"tollgate/control/cfn"}, never: append([]string{"net", "net/http", "os"}, sqlPackages...), reason: "templates to plans is a pure function"},
	{from: []string{"tollgate/control/remote"}, only: []string{"tollgate/control", "tollgate/control/changes", "tollgate/control/openapi", "tollgate/control/sdk", "tollgate/model", "tollgate/awsapi/sigv4"},
		reason: "methods over HTTP are the plane's and no others; signing is what they need of a face"},
	{from: []string{"tollgate/control/remote"}, never: sqlPackages, reason: "what comes from elsewhere reaches the database through one control method"},
	{from: []string{"tollgate/billing/..."}, deep: true,
		never:  append([]string{"tollgate/control/...", "tollgate/gateway/..."}, faces...),
		reason: "money is computed from the journal's lines alone"},
	{from: []string{"tollgate/..."}, never: []string{"github.com/stripe/..."}, reason: "only billing/stripe speaks to Stripe"},
	{from: faces, never: sqlPackages, reason: "a face calls one control method; SQL in it would bypass the tenant filter"},
	{from: []string{"tollgate/ui/..."}, deep: true, never: []string{"tollgate/control/..."}, reason: "components know what they draw, not where it comes from"},
	{from: []string{"tollgate/awsapi/sigv4"}, only: []string{"tollgate/awsapi/sigv4"}, reason: "signing is pure and shared with the data plane"},
	{from: []string{"tollgate/awsapi/sigv4"}, never: append([]string{"net", "os", "log/...", "github.com/...", "golang.org/..."}, sqlPackages...),
		reason: "signing does no I/O and trusts the standard library alone"},
	{from: []string{"tollgate/migrations/..."}, only: []string{"tollgate/migrations/...", "tollgate/model"}, reason: "the schema knows no program that uses it"},
	{from: []string{"tollgate/model/...", "tollgate/gateway/...", "tollgate/control/...", "tollgate/billing/...", "tollgate/web/...", "tollgate/portal/...", "tollgate/awsapi/...", "tollgate/ui/...", "tollgate/cmd/tollgate-gateway"},
		never: []string{"tollgate/cmd/fakestripe/..."}, reason: "the product must not know that Stripe can be a fake: only tests and main start one"},
	{from: []string{"tollgate/cmd/fakestripe/..."}, only: []string{"tollgate/cmd/fakestripe/..."}, reason: "an imitation that shared code with what it tests would share its mistakes"},
	{from: []string{"tollgate/cmd/..."}, deep: true, never: []string{"tollgate/migrations/pgtest", "testing"}, reason: "what tests need is not shipped"},
}

// exceptions are packages a rule is not about although its pattern takes them in.
var exceptions = map[string]string{
	"tollgate/billing/stripe github.com/stripe/...": "the one place",
}

// pkg is what the go command says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func matches(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return path == pattern
}

func anyMatch(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// violations lists each forbidden import with the reason it is forbidden for.
func violations(rules []rule, pkgs []pkg) []string {
	var out []string
	for _, r := range rules {
		for _, p := range pkgs {
			if !anyMatch(r.from, p.ImportPath) {
				continue
			}
			for _, i := range p.Imports {
				if r.only != nil && matches("tollgate/...", i) && !anyMatch(r.only, i) {
					out = append(out, fmt.Sprintf("%s imports %s: %s", p.ImportPath, i, r.reason))
				}
			}
			looked, how := p.Imports, "imports"
			if r.deep {
				looked, how = p.Deps, "links"
			}
			for _, i := range looked {
				for _, n := range r.never {
					if matches(n, i) && exceptions[p.ImportPath+" "+n] == "" {
						out = append(out, fmt.Sprintf("%s %s %s: %s", p.ImportPath, how, i, r.reason))
					}
				}
			}
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,Standard", "./...")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	// A list that is empty by mistake would pass every rule.
	for _, must := range []string{"tollgate/model", "tollgate/control", "tollgate/gateway", "tollgate/cmd/tollgate", "tollgate/cmd/tollgate-gateway"} {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.ImportPath == must && len(p.Deps) > 0 }) {
			t.Errorf("go list does not name %s", must)
		}
	}
	for _, v := range violations(rules, pkgs) {
		t.Error(v)
	}
}

// Each row of the table must catch what it is there for, and no more.
func TestRulesCatch(t *testing.T) {
	for _, c := range []struct {
		pkg, imports string
		deep         bool // reached through another package
		bad          bool
	}{
		{"tollgate/model", "tollgate/control", false, true},
		{"tollgate/model", "net/http", false, true},
		{"tollgate/model", "encoding/json", false, false},
		{"tollgate/gateway", "tollgate/control", false, true},
		{"tollgate/gateway/route", "tollgate/model", false, false},
		{"tollgate/gateway/auth", "tollgate/awsapi/sigv4", false, false},
		{"tollgate/gateway/auth", "tollgate/awsapi", false, true},
		{"tollgate/gateway/journal", "github.com/jackc/pgx/v5", true, true},
		{"tollgate/gateway/http1", "database/sql", false, true},
		{"tollgate/gateway/process", "database/sql", true, false},
		{"tollgate/gateway/http1", "net/http", false, false},
		{"tollgate/cmd/tollgate-gateway", "github.com/riverqueue/river", true, true},
		{"tollgate/cmd/tollgate-gateway", "github.com/a-h/templ", true, true},
		{"tollgate/cmd/tollgate-gateway", "github.com/stripe/stripe-go/v79", true, true},
		{"tollgate/cmd/tollgate-gateway", "tollgate/control", true, true},
		{"tollgate/cmd/tollgate-gateway", "tollgate/gateway", false, false},
		{"tollgate/cmd/tollgate", "tollgate/control", false, false},
		{"tollgate/cmd/tollgate", "tollgate/migrations/pgtest", true, true},
		{"tollgate/cmd/tollgate", "testing", true, true},
		{"tollgate/control", "tollgate/billing/intake", true, true},
		{"tollgate/control", "tollgate/gateway/follow", true, true},
		{"tollgate/control/feed", "tollgate/web", true, true},
		{"tollgate/control/feed", "tollgate/control", false, false},
		{"tollgate/control/openapi", "tollgate/control", false, true},
		{"tollgate/control/openapi", "github.com/jackc/pgx/v5", false, true},
		{"tollgate/control/remote", "tollgate/awsapi/sigv4", false, false},
		{"tollgate/control/remote", "tollgate/awsapi", true, true},
		{"tollgate/control/remote", "github.com/jackc/pgx/v5", false, true},
		{"tollgate/billing/intake", "tollgate/control", true, true},
		{"tollgate/billing/intake", "tollgate/gateway/journal", true, true},
		{"tollgate/billing/intake", "github.com/jackc/pgx/v5", false, false},
		{"tollgate/billing/intake", "github.com/stripe/stripe-go/v79", false, true},
		{"tollgate/billing/stripe", "github.com/stripe/stripe-go/v79", false, false},
		{"tollgate/billing/stripe", "tollgate/cmd/fakestripe/fake", false, true},
		{"tollgate/cmd/fakestripe/fake", "tollgate/model", false, true},
		{"tollgate/cmd/fakestripe", "tollgate/cmd/fakestripe/fake", false, false},
		{"tollgate/web", "github.com/jackc/pgx/v5/pgxpool", false, true},
		{"tollgate/awsapi", "database/sql", false, true},
		{"tollgate/ui", "tollgate/control", true, true},
		{"tollgate/awsapi/sigv4", "tollgate/control", false, true},
		{"tollgate/awsapi/sigv4", "tollgate/model", false, true},
		{"tollgate/awsapi/sigv4", "os", false, true},
		{"tollgate/awsapi/sigv4", "github.com/aws/aws-sdk-go-v2/aws/signer/v4", false, true},
		{"tollgate/awsapi/sigv4", "net/http", false, false},
		{"tollgate/migrations", "tollgate/control", false, true},
		{"tollgate/migrations/pgtest", "testing", false, false},
	} {
		p := pkg{ImportPath: c.pkg, Imports: []string{c.imports}, Deps: []string{c.imports}}
		if c.deep {
			p.Imports = nil
		}
		if got := violations(rules, []pkg{p}); (len(got) > 0) != c.bad {
			t.Errorf("%s with %s (deep %v): %q, want a violation: %v", c.pkg, c.imports, c.deep, got, c.bad)
		}
	}
	// A row without a reason teaches nothing to whoever it stops.
	for i, r := range rules {
		if r.reason == "" || (len(r.never) == 0) == (len(r.only) == 0) {
			t.Errorf("rule %d must have a reason, and either only or never", i)
		}
	}
}
