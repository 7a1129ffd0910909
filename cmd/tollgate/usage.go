package main

import (
	"time"

	"github.com/spf13/cobra"

	"tollgate/billing/intake"
	"tollgate/model"
)

func usageCommand() *cobra.Command {
	var q intake.Query
	var api, key, from, to string
	cmd := &cobra.Command{
		Use: "usage", Short: "Show calls by API, stage, method, key and status", Args: cobra.NoArgs,
		Long: "Show calls by API, stage, method, key and answer status, some seconds after they were made.\n" +
			"Times are RFC 3339 (2026-01-31T15:00:00Z), days (2026-01-31, UTC), or how long ago (24h).",
		RunE: asOwner(func(v *localVerb, _ []string) error {
			var err error
			if api != "" {
				if q.APIID, err = v.api(api); err != nil {
					return err
				}
			}
			if key != "" {
				if q.KeyID, err = v.key(key); err != nil {
					return err
				}
			}
			now := time.Now()
			if q.From, err = parseTime("--from", from, now); err != nil {
				return err
			}
			if q.To, err = parseTime("--to", to, now); err != nil {
				return err
			}
			rows, err := intake.New(intake.Options{Pool: v.pool}).Usage(v.ctx, v.actor.Tenant, q)
			if err != nil {
				return err
			}
			head := []string{"API", "STAGE", "METHOD", "KEY", "STATUS", "CALLS", "BILLABLE", "BYTES IN", "BYTES OUT", "AVERAGE"}
			timed := q.By == "hour" || q.By == "day"
			if timed {
				head = append([]string{"TIME"}, head...)
			}
			return showList(v.cmd, rows, "no calls", head, func(r intake.Row) []any {
				cells := []any{first(r.APIName, r.APIID), r.Stage, method(r), first(r.KeyName, r.KeyID), r.Status,
					r.Calls, r.Billable, r.BytesIn, r.BytesOut, time.Duration(r.AvgMicros) * time.Microsecond}
				if timed {
					cells = append([]any{r.Time}, cells...)
				}
				return cells
			})
		}),
	}
	cmd.Flags().String("tenant", "", "account id to act for (default: the only tenant)")
	cmd.Flags().StringVar(&api, "api", "", "only this API, by id or name")
	cmd.Flags().StringVar(&q.Stage, "stage", "", "only this stage")
	cmd.Flags().StringVar(&q.Path, "path", "", "only this resource, as /pets/{id}")
	cmd.Flags().StringVar(&q.Verb, "verb", "", "only this verb")
	cmd.Flags().StringVar(&key, "key", "", "only this key, by id or name")
	cmd.Flags().StringVar(&from, "from", "", "hours from this time on")
	cmd.Flags().StringVar(&to, "to", "", "hours before this time")
	cmd.Flags().StringVar(&q.By, "by", "total", "one row by hour, by day, or in total")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "rows at most (default 10000)")
	outputFlag(cmd)
	return cmd
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func method(r intake.Row) string {
	if r.Verb == "" {
		return r.Path
	}
	return r.Verb + " " + r.Path
}

// parseTime reads a flag's time; empty is the zero time.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, model.Errorf(model.Invalid, "%s %q is not a time: write 2026-01-31T15:00:00Z, 2026-01-31, or 24h for a day ago", flag, s)
}
