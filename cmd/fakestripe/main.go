// Command fakestripe serves an imitation of Stripe on this machine, so that a paid subscription
// can be clicked through without a network. See package fake for what it does and does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tollgate/cmd/fakestripe/fake"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:12121", "address to listen on; keep it one that only this machine reaches")
	url := flag.String("url", "", "where browsers reach it (default http:// and the address)")
	file := flag.String("state", "", "file to keep the state in over restarts (default none)")
	quiet := flag.Bool("quiet", false, "do not print each call")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "fakestripe takes flags only, not %q; fakestripe -h lists them\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *url, *file, *quiet); err != nil {
		log.Fatal(err)
	}
}

// run serves until the context ends; the state is saved last.
func run(ctx context.Context, addr, url, file string, quiet bool) error {
	o := fake.Options{File: file}
	if !quiet {
		o.Logf = log.Printf
	}
	s, err := fake.New(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (choose another with -addr)", addr, err)
	}
	if url == "" {
		url = "http://" + l.Addr().String()
	}
	s.SetURL(url)
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	jobsCtx, stopJobs := context.WithCancel(ctx)
	defer stopJobs()
	jobs := make(chan error, 1)
	go func() { jobs <- s.Run(jobsCtx) }()
	fmt.Printf("fake Stripe at %s (any key that begins with sk_test_)\n", url)

	select {
	case <-ctx.Done():
	case err = <-served:
	}
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	shutdown := srv.Shutdown(grace)
	stopJobs()
	<-jobs
	return errors.Join(err, shutdown, s.Save())
}
