// Command fault shows that no call is lost or billed twice between an answer and
// the bill. It makes calls through a real gateway process and notes the id of
// every answer it got whole, while the gateway is killed, Postgres crashes and
// the line between gateway and control plane repeats and swallows what passes;
// then it compares its notes with the journals and with what Postgres holds.
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
	kills      int   // of the gateway, at least
	crashes    int   // of Postgres, at least
	conns      int
	killEvery  time.Duration // on average
	crashEvery time.Duration
	seed       uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{}
	flag.Int64Var(&o.calls, "calls", 2_000_000, "calls to be acknowledged, at least")
	flag.IntVar(&o.kills, "kills", 20, "kill -9 of the gateway, at least")
	flag.IntVar(&o.crashes, "crashes", 4, "crashes of Postgres, at least")
	flag.IntVar(&o.conns, "conns", 16, "client connections")
	flag.DurationVar(&o.killEvery, "kill-every", 1500*time.Millisecond, "mean time between kills")
	flag.DurationVar(&o.crashEvery, "crash-every", 6*time.Second, "mean time between crashes")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "seed of the accidents")
	flag.Parse()
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
		fmt.Println(t)
	}
	if err != nil {
		os.Exit(1)
	}
}
