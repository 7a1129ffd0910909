// Command render renders a template over a JSON document with Tollgate's engine, as
// Bench.java above it does with Velocity's on the JVM, and prints what a rendering
// takes. The template is parsed once, the document once for every rendering, and the
// texts that both make must be the same.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"tollgate/gateway/process"
	"tollgate/gateway/vtl"
)

func main() {
	process.Frugal() // the collector works as in a gateway
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: render TEMPLATE DOCUMENT SECONDS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(template, document, secs string) error {
	seconds, err := strconv.ParseFloat(secs, 64)
	if err != nil || seconds <= 0 || seconds > 600 {
		return fmt.Errorf("%q is not a number of seconds up to 600", secs)
	}
	source, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	t, err := vtl.Parse(string(source))
	if err != nil {
		return err
	}
	var out []byte
	render := func() error {
		out, err = t.Render(nil, &vtl.Input{Body: string(body)})
		return err
	}
	micros, err := measure(render, time.Duration(seconds*float64(time.Second)))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"output": string(out), "micros": micros})
}

// cpu is the processor time of this process, the collector's with it.
func cpu() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// measure is microseconds of processor time per call, of the best of ten runs after as
// long a warm-up.
func measure(work func() error, d time.Duration) (float64, error) {
	calls := 0
	for until := time.Now().Add(d); time.Now().Before(until); calls++ {
		if err := work(); err != nil {
			return 0, err
		}
	}
	calls = max(1, calls/10)
	best := 0.0
	for range 10 {
		began, err := cpu()
		if err != nil {
			return 0, err
		}
		for range calls {
			if err := work(); err != nil {
				return 0, err
			}
		}
		ended, err := cpu()
		if err != nil {
			return 0, err
		}
		if took := float64((ended - began).Nanoseconds()) / 1e3 / float64(calls); best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}
