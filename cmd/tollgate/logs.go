package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/control"
)

func logsCommand() *cobra.Command {
	var f control.CallFilter
	var key, since, id string
	var follow bool
	cmd := &cobra.Command{
		Use: "logs [API]", Short: "Show calls as they were answered, and why; -f follows them", Args: cobra.MaximumNArgs(1),
		Long: "Show the calls of an API, or of all, the newest last: what was asked, what was answered, and why, where the\n" +
			"gateway itself answered. With -f it goes on with calls as they come, until it is stopped; with --output json it\n" +
			"then prints one call a line. Of many calls at once some are left out: how many is said. A call's request id, of\n" +
			"its answer's header x-amzn-RequestId, finds it with --id, with its trace where there is one.\n" +
			"Times are RFC 3339 (2026-01-31T15:00:00Z), days (2026-01-31, UTC), or how long ago (10m).",
		Example: "  tollgate logs Pets --stage prod -f --status 5xx\n  tollgate logs --since 10m --status error\n  tollgate logs --id 1c9a52c4-205c-2746-0100-000000000005",
		RunE: anywhere(func(v *verb, args []string) error {
			if id != "" {
				return v.showCall(id)
			}
			var err error
			if len(args) > 0 {
				if f.APIID, err = v.api(args[0]); err != nil {
					return err
				}
			}
			if key != "" {
				if f.KeyID, err = v.key(key); err != nil {
					return err
				}
			}
			if f.From, err = parseTime("--since", since, time.Now()); err != nil {
				return err
			}
			return v.logs(f, follow)
		}),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Stage, "stage", "", "only this stage")
	fl.StringVar(&f.Status, "status", "", "only this status, such as 404, or class, such as 5xx; error: all from 400 on")
	fl.StringVar(&f.Verb, "verb", "", "only this verb")
	fl.StringVar(&f.Text, "path", "", "only paths that contain this")
	fl.StringVar(&f.Kind, "kind", "", "only this gateway-response type, such as THROTTLED; any: whatever the gateway itself answered")
	fl.StringVar(&key, "key", "", "only this key, by id or name")
	fl.StringVar(&since, "since", "", "calls from this time on")
	fl.IntVar(&f.Limit, "limit", 20, "calls at most, 1 to 1000; with -f, of those before")
	fl.StringVar(&id, "id", "", "the one call with this request id, and its trace")
	fl.BoolVarP(&follow, "follow", "f", false, "go on with calls as they come")
	return tenantFlags(cmd)
}

// logs prints calls, and goes on with those that come if it is to follow.
func (v *verb) logs(f control.CallFilter, follow bool) error {
	l, err := v.plane.Calls(v.ctx, v.actor, f)
	if err != nil {
		return err
	}
	slices.Reverse(l.Items) // the newest last, where the eye is
	if !follow {
		if v.json() {
			return show(v.cmd, l, nil)
		}
		if err := showList(v.cmd, l.Items, "no calls", logHead, logRow); err != nil {
			return err
		}
		v.sayLeft(l.Left, l.Lines)
		return nil
	}
	seen := map[string]bool{} // what comes in meanwhile comes twice
	for i := range l.Items {
		seen[l.Items[i].RequestID] = true
		if err := v.printCall(&l.Items[i]); err != nil {
			return err
		}
	}
	left, lines := l.Left, l.Lines
	f.Limit = 500
	for {
		next, err := v.plane.FollowCalls(v.ctx, v.actor, f, l.Since, control.MaxFollow)
		if v.ctx.Err() != nil {
			return nil // asked for
		}
		if err != nil {
			return err
		}
		for i := range next.Items {
			if !seen[next.Items[i].RequestID] {
				if err := v.printCall(&next.Items[i]); err != nil {
					return err
				}
			}
		}
		if next.Left > left || next.Lines > lines {
			v.sayLeft(next.Left-left, next.Lines-lines)
			left, lines = next.Left, next.Lines
		}
		l.Since = next.Since
	}
}

func (v *verb) json() bool { return v.cmd.Flag("output").Value.String() == "json" }

// sayLeft says what is not in the log, beside what is.
func (v *verb) sayLeft(calls, lines int64) {
	if calls > 0 {
		fmt.Fprintf(v.cmd.ErrOrStderr(), "%d more calls were left out: too many came at once\n", calls)
	}
	if lines > 0 {
		fmt.Fprintf(v.cmd.ErrOrStderr(), "%d lines of access logs could not be written\n", lines)
	}
}

var logHead = []string{"TIME", "STATUS", "CALL", "STAGE", "TOOK", "FROM", "REQUEST", "WHY"}

func logRow(c control.Call) []any {
	return []any{c.At.UTC().Format("2006-01-02 15:04:05.000"), c.Status, c.Verb + " " + c.Path, c.API + ":" + c.Stage, took(c.Latency), c.IP, c.RequestID, why(&c)}
}

func took(us int64) string {
	return (time.Duration(us) * time.Microsecond).Round(100 * time.Microsecond).String()
}

func why(c *control.Call) string {
	if c.Kind == "" {
		return ""
	}
	return c.Kind + ": " + c.Why
}

// printCall prints one call, a line.
func (v *verb) printCall(c *control.Call) error {
	if v.json() {
		enc := json.NewEncoder(v.cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		return enc.Encode(c)
	}
	var cells []string
	for i, x := range logRow(*c) {
		if x := cell(x); i < len(logHead)-1 || x != "-" {
			cells = append(cells, x)
		}
	}
	_, err := fmt.Fprintln(v.cmd.OutOrStdout(), strings.Join(cells, "  "))
	return err
}

// showCall prints all that is known of one call.
func (v *verb) showCall(id string) error {
	c, err := v.plane.Call(v.ctx, v.actor, id)
	if err != nil {
		return err
	}
	return show(v.cmd, c, func(w io.Writer) {
		fmt.Fprintf(w, "time\t%s\ncall\t%s\nstage\t%s of %s\nstatus\t%d\ntook\t%s\n", c.At.UTC().Format(time.RFC3339Nano), cell(c.Verb+" "+c.Path), cell(c.Stage), cell(c.API), c.Status, took(c.Latency))
		if c.Resource != "" {
			fmt.Fprintf(w, "method\t%s\n", cell(c.Method+" "+c.Resource))
		}
		if c.Integration != nil {
			fmt.Fprintf(w, "integration\t%s\n", took(*c.Integration))
		}
		if c.Kind != "" {
			fmt.Fprintf(w, "answered by\tthe gateway: %s, at step %q\nwhy\t%s\n", c.Kind, c.Step, cell(c.Why))
		}
		fmt.Fprintf(w, "bytes\t%d in, %d out\nfrom\t%s\nagent\t%s\n", c.BytesIn, c.BytesOut, cell(c.IP), cell(c.Agent))
		for _, x := range [][2]string{{"key", first(c.KeyName, c.Key)}, {"plan", c.Plan}, {"app", c.App}, {"principal", c.Principal}} {
			if x[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", x[0], cell(x[1]))
			}
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(c.Trace, "\n"), "\n") {
			if line != "" {
				fmt.Fprintf(w, "\t%s\n", cell(line))
			}
		}
	})
}
