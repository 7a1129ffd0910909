// Command compare measures Tollgate beside other proxies on one machine: the
// proxy pinned to one core, load generator and upstream to another, all rows fed
// the same requests in turns. What counts is the processor time a proxy's own
// processes use per call; a run with a single wrong answer has no result.
//
// It must never make a row look better than it is: limits and timeouts stay as
// shipped, and where nginx's share of the work could be chosen, it has the less.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tollgate/bench/rig"
)

type options struct {
	rounds int
	secs   int
	warm   int // runs of a second before a row is measured, at most
	conns  []int
	only   []string // rows; empty: all
	keys   int
	routes int
	idle   int // idle connections to hold; 0: no memory and start figures
	// settle is how long a process is left alone before its memory is read: its
	// start is over then, and memory freed meanwhile has gone back to the kernel.
	settle time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{settle: 5 * time.Second, warm: 8}
	flag.IntVar(&o.rounds, "rounds", 3, "interleaved runs of every row")
	flag.IntVar(&o.secs, "secs", 3, "seconds of one run")
	conns := flag.String("conns", "32,64,256", "connections of the load generator")
	only := flag.String("only", "", "rows to run, by comma: "+strings.Join(rowNames, ", ")+" (default: all)")
	flag.IntVar(&o.keys, "keys", 100_000, "API keys")
	flag.IntVar(&o.routes, "routes", 300, "routes")
	flag.IntVar(&o.idle, "idle", 5000, "idle connections for the memory figure, twice as many are opened; 0: no memory and start figures")
	flag.Parse()
	err := o.parse(*conns, *only)
	if err == nil {
		err = compare(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o *options) parse(conns, only string) error {
	for s := range strings.SplitSeq(conns, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 4000 {
			return fmt.Errorf("-conns %s: %q is not a number of connections from 1 to 4000", conns, s)
		}
		o.conns = append(o.conns, n)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, n := range o.only {
		if !slices.Contains(rowNames, n) {
			return fmt.Errorf("-only %s: there is no row %q; there are %s", only, n, strings.Join(rowNames, ", "))
		}
	}
	if o.rounds < 1 || o.secs < 1 || o.keys < 1 || o.routes < 2 {
		return errors.New("-rounds, -secs and -keys must be 1 or more, -routes 2 or more")
	}
	return nil
}

// stepConns is at how many connections steps are measured.
func (o *options) stepConns() int { return o.conns[len(o.conns)/2] }

// compare is one whole benchmark, its report written to w.
func compare(ctx context.Context, o options, w io.Writer) error {
	cores, err := rig.Cores()
	if err != nil {
		return err
	}
	if len(cores) < 2 {
		return fmt.Errorf("the benchmark needs two cores, one for the proxy and one for load and upstream; this machine gives %d", len(cores))
	}
	// On a shared machine a background build would otherwise get half of each core.
	_ = os.WriteFile("/proc/self/autogroup", []byte("-15"), 0)
	r, err := rig.New()
	if err != nil {
		return err
	}
	defer r.Close()
	s := &stage{rig: r, o: o, proxyCore: cores[0], loadCore: cores[1], log: func(format string, a ...any) {
		fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", a...)
	}}
	if err := s.setUp(ctx); err != nil {
		return err
	}
	results, err := s.measure(ctx)
	if err != nil {
		return err
	}
	report(w, o, s.rows, results)
	reportSteps(w, o, results)
	if s.wants(tollgateVTL) {
		if err := s.velocity(ctx, w); err != nil {
			return err
		}
	}
	if o.idle > 0 && s.tollgate != nil {
		if err := s.figures(ctx, w); err != nil {
			return err
		}
	}
	ratios(w, o, results)
	return nil
}
