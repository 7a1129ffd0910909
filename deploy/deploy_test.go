// Package deploy has no code: its test holds what runs Tollgate elsewhere against
// the programs, so that a renamed setting or metric is found here first.
package deploy

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// files are those of directories whose names end in one of ends.
func files(t *testing.T, dirs []string, ends ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.ContainsFunc(ends, func(e string) bool { return strings.HasSuffix(path, e) }) {
				return err
			}
			b, err := os.ReadFile(path)
			out[path] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no %v in %v", ends, dirs)
	}
	return out
}

// found is what a pattern's group has in texts.
func found(texts map[string]string, pattern string) map[string]bool {
	out := map[string]bool{}
	re := regexp.MustCompile(pattern)
	for _, text := range texts {
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			out[m[1]] = true
		}
	}
	return out
}

func TestSettingsAreKnown(t *testing.T) {
	known := found(files(t, []string{"../cmd/tollgate", "../gateway/process", "../gateway/spans"}, ".go"), `(?:env:|Getenv\()"(TOLLGATE_[A-Z0-9_]+)"`)
	if len(known) < 40 {
		t.Fatalf("only %d settings were found in the source", len(known))
	}
	named := regexp.MustCompile(`TOLLGATE_[A-Z0-9_]*[A-Z0-9]`)
	ours := map[string]bool{"TOLLGATE_TAG": true} // of compose.yaml itself
	for path, text := range files(t, []string{".", "../docs"}, ".md", ".yaml", ".yml", ".service", "Dockerfile", ".tpl", ".sh") {
		if strings.HasPrefix(path, "examples/") {
			continue
		}
		for _, name := range named.FindAllString(text, -1) {
			if !known[name] && !known[strings.TrimSuffix(name, "_FILE")] && !ours[name] {
				t.Errorf("%s: the programs know no setting %s", path, name)
			}
		}
	}
}

func TestMetricsAreRegistered(t *testing.T) {
	source := files(t, []string{"../gateway", "../cmd"}, ".go")
	known := found(source, `(?:NewDesc\(|Name:\s*)"(tollgate_[a-z0-9_]+)"`)
	// Those of stages and of methods are one list with two prefixes.
	for name := range found(source, `:?= desc\("([a-z_]+)"`) {
		known["tollgate_api_"+name], known["tollgate_api_method_"+name] = true, true
	}
	metric := regexp.MustCompile(`\btollgate_[a-z0-9_]*[a-z0-9]`)
	texts := files(t, []string{"grafana", "prometheus"}, ".json", ".yaml")
	texts["../docs/operations.md"] = read(t, "../docs/operations.md")
	for path, text := range texts {
		for _, name := range metric.FindAllString(text, -1) {
			if base := strings.TrimSuffix(name, "_bucket"); !known[name] && !known[base] {
				t.Errorf("%s: no process registers %s", path, name)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesParse(t *testing.T) {
	for path, text := range files(t, []string{"."}, ".json", ".yaml") {
		if strings.Contains(path, "/templates/") || strings.HasPrefix(path, "examples/") {
			continue
		}
		var v any
		err := yaml.Unmarshal([]byte(text), &v)
		if strings.HasSuffix(path, ".json") {
			err = json.Unmarshal([]byte(text), &v)
		}
		if err != nil || v == nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestEveryAlertHasARunbook(t *testing.T) {
	var doc struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Runbook string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(read(t, "../docs/operations.md"), -1) {
		anchors["docs/operations.md#"+strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	n := 0
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			n++
			if r.Alert == "" || r.Expr == "" || r.Annotations.Summary == "" || !anchors[r.Annotations.Runbook] {
				t.Errorf("alert %+v: no such runbook, or a part is missing", r)
			}
		}
	}
	if n == 0 {
		t.Error("no alerts")
	}
}

// The chart is rendered where TOLLGATE_HELM names a helm of version 3.
func TestChart(t *testing.T) {
	helm := os.Getenv("TOLLGATE_HELM")
	if helm == "" {
		t.Skip("TOLLGATE_HELM names no helm: THE CHART WAS NOT RENDERED")
	}
	values := []string{"--set", "consoleURL=https://c.example.com,gatewayURL=https://g.example.com,portalDomain=p.example.com,redisSecret=redis,gateway.autoscaling.enabled=true,ingress.enabled=true,ingress.consoleHosts={c.example.com},ingress.gatewayHosts={g.example.com},ingress.tlsSecret=tls,networkPolicy.redis={10.9.0.0/16}",
		"--set-string", "dedicated[0].name=acme,dedicated[0].account=123456789012,dedicated[0].upstreams={10.20.0.0/16}"}
	if out, err := exec.Command(helm, append([]string{"lint", "helm/tollgate"}, values...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// A helm that was built from its module knows an old Kubernetes only.
	out, err := exec.Command(helm, append([]string{"template", "r", "helm/tollgate", "--kube-version", "1.30.0"}, values...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	d := yaml.NewDecoder(strings.NewReader(string(out)))
	for {
		var v struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := d.Decode(&v); err != nil {
			if err.Error() != "EOF" {
				t.Fatal(err)
			}
			break
		}
		kinds[v.Kind]++
	}
	for kind, n := range map[string]int{"StatefulSet": 2, "Deployment": 2, "Job": 3, "PodDisruptionBudget": 4, "NetworkPolicy": 3, "HorizontalPodAutoscaler": 1, "Ingress": 1, "Secret": 2} {
		if kinds[kind] != n {
			t.Errorf("%d of %s, want %d", kinds[kind], kind, n)
		}
	}
	if err := exec.Command(helm, "template", "r", "helm/tollgate", "--kube-version", "1.30.0").Run(); err == nil {
		t.Error("a chart without addresses was rendered")
	}
}
