// Command tollgate-gateway is the data plane alone: what a dedicated gateway
// runs. It links no SQL, no templates and no payment code.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"tollgate/gateway/process"
	"tollgate/model"
)

// version is set by the linker.
var version = "dev"

func main() {
	process.Frugal()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		msg := err.Error()
		if model.KindOf(err) != "" {
			msg = model.MessageOf(err)
		}
		fmt.Fprintln(os.Stderr, "tollgate-gateway:", msg)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) > 1 {
		fmt.Print(process.Help("tollgate-gateway"))
		return nil
	}
	s, err := process.Load(os.Environ())
	if err != nil {
		return err
	}
	return process.Run(ctx, s, version, os.Stdout, os.Stderr)
}
