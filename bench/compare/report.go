package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// report prints a table for each number of connections.
func report(w io.Writer, o options, rows []*row, results []result) {
	fmt.Fprintf(w, "One core for the proxy, one for load and upstream; %d rounds of %d s, rows in turns; median (lowest–highest).\n", o.rounds, o.secs)
	fmt.Fprintf(w, "nginx-gw and tollgate-all: %d routes, %d keys, rate limit, log. tollgate-all also: quota, metering journal.\n", o.routes, o.keys)
	for _, conns := range o.conns {
		table := [][]string{{"connections: " + fmt.Sprint(conns), "CPU µs per call", "user+system", "calls/s", "p50 µs", "p99 µs", "PSS MB", "bad"}}
		for _, r := range rows {
			if r.isStep() && conns != o.stepConns() {
				continue
			}
			if r.missing != "" {
				table = append(table, []string{r.name, "not installed", "", "", "", "", "", ""})
				continue
			}
			x := of(results, r.name, conns)
			table = append(table, []string{r.name,
				spread("%.1f", x, result.cpu),
				fmt.Sprintf("%.1f+%.1f", median(x, func(r result) float64 { return r.user }), median(x, func(r result) float64 { return r.system })),
				spread("%.0f", x, func(r result) float64 { return r.rate }),
				spread("%.0f", x, func(r result) float64 { return r.p50 }),
				spread("%.0f", x, func(r result) float64 { return r.p99 }),
				fmt.Sprintf("%.0f", median(x, func(r result) float64 { return float64(r.pss) / (1 << 20) })),
				"0"}) // a run with a bad answer has ended the benchmark
		}
		printTable(w, table)
	}
	// Work of others beside a run makes its caches cold: what they took is said.
	share := values(results, func(r result) float64 { return 100 * r.foreign })
	fmt.Fprintf(w, "\nOther processes used %.0f %% of the proxy's core in the median run, %.0f %% in the worst.\n", middle(share), slices.Max(share))
}

// reportSteps prints what each step costs: over the same calls without it, and beside
// nginx that passes them on.
func reportSteps(w io.Writer, o options, results []result) {
	table := [][]string{{"step, at " + fmt.Sprint(o.stepConns()) + " connections", "CPU µs per call", "over tollgate without it, µs", "tollgate without it / with it", "nginx plain / with it"}}
	for _, s := range steps {
		x := of(results, s.row, o.stepConns())
		if len(x) == 0 {
			continue
		}
		line := []string{s.label, spread("%.1f", x, result.cpu), "", "", ""}
		if y := of(results, s.without, o.stepConns()); len(y) == len(x) {
			line[2] = fmt.Sprintf("%+.1f", middle(paired(x, y, func(a, b float64) float64 { return a - b })))
			line[3] = ratio(y, x)
		}
		if y := of(results, s.nginx, o.stepConns()); len(y) == len(x) {
			line[4] = ratio(y, x)
		}
		table = append(table, line)
	}
	if len(table) > 1 {
		printTable(w, table)
	}
}

// paired works out what each round of two rows comes to, by processor time per call;
// both are in the order of rounds.
func paired(x, y []result, f func(a, b float64) float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = f(x[i].cpu(), y[i].cpu())
	}
	return out
}

// ratio is the median of paired rounds, cut, not rounded: 1.299 must not read as 1.30.
func ratio(x, y []result) string {
	return fmt.Sprintf("%.2f", math.Floor(100*middle(paired(x, y, func(a, b float64) float64 { return a / b })))/100)
}

func printTable(w io.Writer, table [][]string) {
	width := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	fmt.Fprintln(w)
	for n, line := range table {
		for i, cell := range line {
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", width[i]-len([]rune(cell))))
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, c := range width {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", c+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}

// ratios prints the two figures the benchmark is for, where there is a measure.
func ratios(w io.Writer, o options, results []result) {
	fmt.Fprintln(w)
	for _, x := range []struct{ label, peer string }{{"ratio_vs_nginx_same_work", nginxGateway}, {"ratio_vs_nginx_plain", nginxPlain}} {
		if r := worstRatio(o.conns, results, x.peer); !math.IsNaN(r) {
			// Cut, not rounded: 1.299 must not read as 1.30.
			fmt.Fprintf(w, "%s %.2f\n", x.label, math.Floor(r*100)/100)
		}
	}
}

// worstRatio is a peer's CPU per call divided by Tollgate's with all work on: the
// median over the rounds, each with what ran beside it, of the worst number of
// connections. It is not a number when either was not measured.
func worstRatio(conns []int, results []result, peer string) float64 {
	worst := math.NaN()
	for _, c := range conns {
		a, b := of(results, peer, c), of(results, tollgateAll, c)
		if len(a) == 0 || len(a) != len(b) {
			return math.NaN()
		}
		if m := middle(paired(a, b, func(a, b float64) float64 { return a / b })); math.IsNaN(worst) || m < worst {
			worst = m
		}
	}
	return worst
}

func of(results []result, name string, conns int) []result {
	return slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.row != name || r.conns != conns })
}

func values(x []result, f func(result) float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = f(x[i])
	}
	return out
}

func median(x []result, f func(result) float64) float64 { return middle(values(x, f)) }

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

func spread(format string, x []result, f func(result) float64) string {
	v := values(x, f)
	return fmt.Sprintf(format+" ("+format+"–"+format+")", middle(v), slices.Min(v), slices.Max(v))
}
