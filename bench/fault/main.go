// Command fault shows that no call is lost or billed twice between an answer and
// the bill. It makes calls through real gateway processes and notes the id of
// every answer it got whole, while gateways, control planes, workers and Redis are
// killed, Postgres crashes, an hour passes without it, lines are cut and stay half-open,
// clocks are stepped, a disk fills, usage is handed in torn and twice, months are billed,
// and Stripe does what it was asked and does not say so; then it compares its notes with
// the journals, with what Postgres holds, with the invoices and with what Stripe has.
//
// It must never forgive: a difference of one call is a failure.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	calls      int64 // answers to be acknowledged at least
	gateways   int
	controls   int
	workers    int
	quota      int64 // of one key, for the whole run
	kills      int   // of gateways, at least
	crashes    int   // of Postgres, at least
	conns      int
	killEvery  time.Duration // on average
	crashEvery time.Duration
	outage     time.Duration // of Postgres, on average
	partEvery  time.Duration // a line is held, on average
	tradeEvery time.Duration // a developer comes, on average
	clocks     bool          // are stepped
	disks      bool          // are filled
	restore    bool          // Postgres comes back from its third crash as it was at its first
	seed       uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{}
	flag.Int64Var(&o.calls, "calls", 1_000_000, "calls to be acknowledged, at least")
	flag.IntVar(&o.gateways, "gateways", 3, "gateway processes")
	flag.IntVar(&o.controls, "controls", 2, "control planes")
	flag.IntVar(&o.workers, "workers", 2, "workers")
	flag.Int64Var(&o.quota, "quota", 0, "calls that one key may make; 0: a twentieth of calls")
	flag.DurationVar(&o.outage, "outage", time.Second, "mean time that Postgres is away")
	flag.BoolVar(&o.restore, "restore", false, "at its third crash Postgres is restored from a copy made at its first; what was granted meanwhile of quotas, of money and of prepaid credit is forgotten with it, so that is not judged")
	flag.DurationVar(&o.partEvery, "part-every", 8*time.Second, "mean time between partitions")
	flag.DurationVar(&o.tradeEvery, "trade-every", 700*time.Millisecond, "mean time between new developers, who pay through Stripe")
	flag.BoolVar(&o.clocks, "clocks", true, "step the gateways' clocks; takes a build of Go's library, a minute the first time")
	flag.BoolVar(&o.disks, "disks", true, "fill a gateway's disk; takes the right to mount one")
	flag.IntVar(&o.kills, "kills", 20, "kill -9 of gateways, at least")
	flag.IntVar(&o.crashes, "crashes", 4, "crashes of Postgres, at least")
	flag.IntVar(&o.conns, "conns", 64, "client connections")
	flag.DurationVar(&o.killEvery, "kill-every", 2*time.Second, "mean time between kills")
	flag.DurationVar(&o.crashEvery, "crash-every", 6*time.Second, "mean time between crashes")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "seed of the accidents")
	flag.Parse()
	if o.quota == 0 {
		o.quota = o.calls / 20
	}
	if o.restore {
		o.crashes = max(o.crashes, 4)
		o.disks = false // on a full disk a node gives up first what it keeps to hand in again
	}
	log := func(format string, a ...any) {
		fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", a...)
	}
	log("seed %d", o.seed)
	t, err := run(ctx, o, log)
	if err == nil {
		err = t.verdict(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
	}
	if t != nil {
		for _, i := range t.invariants(o) {
			fmt.Println(i)
		}
		fmt.Println(t)
	}
	if err != nil {
		os.Exit(1)
	}
}
