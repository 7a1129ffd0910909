package web

import (
	"slices"
	"time"

	"tollgate/billing/intake"
	"tollgate/model"
	"tollgate/ui"
)

// called is how often something was called in the time before now, and how that
// was answered.
type called struct {
	model.UsageReport
	Chart ui.Bars
}

// lastDay is the calls of the last 24 hours, hour by hour, by status.
func (v *visit) lastDay(q intake.Query) (called, error) {
	q.To = v.Now().UTC().Truncate(time.Hour).Add(time.Hour)
	q.From, q.By = q.To.Add(-24*time.Hour), "hour"
	return v.called(q, "status", "Calls of the last 24 hours", "15:04")
}

// lastMonth is the calls of the last 30 days, day by day, by key.
func (v *visit) lastMonth(q intake.Query) (called, error) {
	q.To = v.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	q.From, q.By = q.To.Add(-30*24*time.Hour), "day"
	return v.called(q, "key", "Calls of the last 30 days", "2 Jan")
}

func (v *visit) called(q intake.Query, group, title, label string) (c called, err error) {
	if v.Usage == nil {
		return c, nil
	}
	if c.UsageReport, err = v.Usage.Report(v.ctx(), v.actor().Tenant, q, group, false); err != nil {
		return c, err
	}
	good, client, server := make([]int64, len(c.Times)), make([]int64, len(c.Times)), make([]int64, len(c.Times))
	c.Chart = ui.Bars{Title: title, Unit: "calls"}
	for i, s := range c.Series {
		c.Chart.Labels = append(c.Chart.Labels, c.Times[i].Format(label))
		good[i], client[i], server[i] = s.Calls-s.Failed4xx-s.Failed5xx, s.Failed4xx, s.Failed5xx
	}
	c.Chart.Series = []ui.Series{{Label: "Answered", Class: "s0", Values: good}, {Label: "4xx", Class: "s2", Values: client}, {Label: "5xx", Class: "s3", Values: server}}
	slices.SortStableFunc(c.Groups, func(a, b model.UsageRow) int { return a.Status - b.Status })
	return c, nil
}

// byKey is how many calls were made with a key.
func (c called) byKey(id string) int64 {
	for _, g := range c.Groups {
		if g.KeyID == id {
			return g.Calls
		}
	}
	return 0
}

// of is how many calls were answered with a status.
func (c called) of(status int) int64 {
	for _, g := range c.Groups {
		if g.Status == status {
			return g.Calls
		}
	}
	return 0
}
