// Command tollgate is the whole program: `up` runs everything on one machine,
// `control` and `gateway` are its parts for more than one, and the other verbs
// work on an installation from the command line. It wires packages to each other
// with functions and holds no rules of its own: a verb calls one control method.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tollgate/gateway/process"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2 // the command line itself is wrong

	exitUnsupported = 2 // import-cfn --fail-on-unsupported, as its users expect
)

// version is set by the Makefile.
var version = "dev"

func main() {
	process.Frugal()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line. The first SIGINT or SIGTERM asks the command to
// end in order; the second has its default effect and ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)

	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "tollgate: "+oneLine(err))
	if _, ok := errors.AsType[*unsupported](err); ok {
		return exitUnsupported
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return exitFailed
	}
	return exitUsage
}

// failure is an error of a command's work, as against one of its command line.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// work makes a cobra RunE of a function whose errors are failures.
func work(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return &failure{err}
		}
		return nil
	}
}

func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tollgate",
		Short:         "An API gateway you can run a business on",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "work", Title: "Work on an installation, running or stopped:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", upCommand(), devCommand(), controlCommand(), workerCommand(), gatewayCommand(), migrateCommand(), doctorCommand())
	// The verbs of every day go by their own names too.
	add("work", tenantFlags(apiImportCommand()), tenantFlags(apiDeployCommand()), tenantFlags(apiDiffCommand()), tenantFlags(rollbackCommand()), logsCommand())
	add("work", tenantCommand(), operatorCommand(), apiCommand(), stageCommand(), deploymentCommand(),
		domainCommand(), credentialCommand(), planCommand(), keyCommand(), importCFNCommand(), usageCommand(), nodeCommand(), stripeCommand())
	root.AddCommand(manCommand(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "tollgate", version)
			return err
		}),
	})
	return root
}
