package intake

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

type compactArgs struct{}

// Kind names the job in the queue.
func (compactArgs) Kind() string { return "usage_compact" }

type maintainArgs struct{}

// Kind names the job in the queue.
func (maintainArgs) Kind() string { return "usage_maintain" }

// AddWorkers makes a River client able to do the intake's background work.
func (in *Intake) AddWorkers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[compactArgs]) error {
		_, err := in.Compact(ctx)
		return err
	}))
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[maintainArgs]) error {
		return in.Maintain(ctx)
	}))
}

// Periodic is when that work is due. A job still waiting or running is not queued
// a second time.
func (in *Intake) Periodic() []*river.PeriodicJob {
	every := func(d time.Duration, args river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(d), func() (river.JobArgs, *river.InsertOpts) {
			return args, &river.InsertOpts{MaxAttempts: 3, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: d}}
		}, &river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(time.Minute, compactArgs{}),
		every(time.Hour, maintainArgs{}),
	}
}
