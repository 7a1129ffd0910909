package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/bench/rig"
)

// The whole benchmark, but short: what it measures says nothing, that it can be
// measured does.
func TestWholeRun(t *testing.T) {
	for tool, hint := range map[string]string{"nginx": nginxHint, "wrk": wrkHint} {
		if _, err := rig.Tool(tool, hint); errors.Is(err, rig.ErrMissing) {
			t.Skip("the benchmark compares with nginx under wrk's load: ", err)
		}
	}
	if cores, err := rig.Cores(); err != nil || len(cores) < 2 {
		t.Skip("the benchmark needs two cores on Linux: ", len(cores), err)
	}
	o := options{rounds: 1, secs: 1, keys: 1000, routes: 20, idle: 50, settle: 100 * time.Millisecond}
	if err := o.parse("8,16", "nginx,nginx-gw,tollgate-all,nginx-token,tollgate-token,tollgate-jwt,tollgate-cached,nginx-post,tollgate-post,tollgate-vtl,tollgate-validated"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := compare(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, row := range append(o.only, "jwt", "cached", "vtl", "validated", "tollgate up, empty and idle", "gateway, per idle connection", "empty data directory to first answer") {
		if !strings.Contains(out.String(), "| "+row) {
			t.Errorf("there is no row %q", row)
		}
	}
	if !regexp.MustCompile(`\nvtl 1 KB: tollgate \d+\.\d us, velocity (\d+\.\d us, ratio \d+\.\d\d|not measured: .* is not installed: apt-get .*)\n`).MatchString(out.String()) {
		t.Error("templates were not compared with Velocity's, and nothing says why")
	}
	if !regexp.MustCompile(`\nratio_vs_nginx_same_work \d+\.\d\d\nratio_vs_nginx_plain \d+\.\d\d\n$`).MatchString(out.String()) {
		t.Error("the last two lines are not the ratios")
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestWorstRatio(t *testing.T) {
	var results []result
	add := func(row string, conns int, cpu ...float64) {
		for round, v := range cpu {
			results = append(results, result{row: row, conns: conns, round: round, user: v / 4, system: v * 3 / 4})
		}
	}
	add(nginxGateway, 32, 20, 30, 40)
	add(tollgateAll, 32, 10, 10, 10) // 2, 3, 4
	add(nginxGateway, 64, 20, 20, 19.99)
	add(tollgateAll, 64, 10, 5, 10) // 2, 4, 1.999
	add(nginxPlain, 32, 10, 10, 10)
	if got := worstRatio([]int{32, 64}, results, nginxGateway); got != 2 {
		t.Errorf("the worst median of paired rounds is %v, want 2", got)
	}
	if got := worstRatio([]int{32, 64}, results, nginxPlain); !math.IsNaN(got) {
		t.Errorf("a ratio of %v without the peer's runs at 64 connections", got)
	}
	var out strings.Builder
	results = results[:9]
	add(tollgateAll, 64, 10, 10, 10.01)
	ratios(&out, options{conns: []int{32, 64}}, results)
	if want := "\nratio_vs_nginx_same_work 2.00\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	results = nil
	add(nginxGateway, 32, 12.999)
	add(tollgateAll, 32, 10)
	out.Reset()
	ratios(&out, options{conns: []int{32}}, results)
	if want := "\nratio_vs_nginx_same_work 1.29\n"; out.String() != want {
		t.Errorf("%q, want %q: a ratio is not rounded up", out.String(), want)
	}
}

// A step is compared with the same calls without it, round by round.
func TestReportSteps(t *testing.T) {
	var results []result
	add := func(row string, cpu ...float64) {
		for round, v := range cpu {
			results = append(results, result{row: row, conns: 64, round: round, user: v / 4, system: v * 3 / 4})
		}
	}
	add(nginxToken, 12, 24, 12)
	add(tollgateToken, 10, 20, 10)
	add(tollgateJWT, 12, 22, 14)
	var out strings.Builder
	o := options{conns: []int{32, 64, 256}}
	reportSteps(&out, o, results)
	if want := "| jwt                     | 14.0 (12.0–22.0) | +2.0                         | 0.83                          | 1.00                  |\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	reportSteps(&out, o, results[:6])
	if out.String() != "" {
		t.Errorf("no step was measured: %s", out.String())
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct{ conns, only, want string }{
		{"32,64", "", ""},
		{"32", "nginx,tollgate-all", ""},
		{"32,", "", "is not a number of connections"},
		{"5000", "", "is not a number of connections"},
		{"32", "nginx,apache", `there is no row "apache"`},
	} {
		o := options{rounds: 1, secs: 1, keys: 1, routes: 2}
		if err := o.parse(c.conns, c.only); (err == nil) != (c.want == "") || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("-conns %s -only %s: %v, want %q", c.conns, c.only, err, c.want)
		}
	}
}
