package intake

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// The jobs run in a real River client, at its start, and do their work.
func TestJobsCompactAndMaintain(t *testing.T) {
	w := newWorld(t)
	w.mustTake(batch(boot(1), 1, w.ann, 5))
	workers := river.NewWorkers()
	w.in.AddWorkers(workers)
	client, err := river.NewClient(riverpgxv5.New(w.pool), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}}, Workers: workers,
		PeriodicJobs: w.in.Periodic(), Logger: w.in.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	done, stop := client.Subscribe(river.EventKindJobCompleted, river.EventKindJobFailed)
	defer stop()
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	limit := time.After(2 * time.Minute)
	for len(seen) < 2 {
		select {
		case e := <-done:
			if e.Kind != river.EventKindJobCompleted {
				t.Errorf("job %s: %v", e.Job.Kind, e.Job.Errors)
			}
			seen[e.Job.Kind] = true
		case <-limit:
			t.Fatalf("only %v ran within two minutes", seen)
		}
	}
	if err := client.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := w.balance(); b.Hours != 5 || !b.Exact() {
		t.Errorf("%+v", b)
	}
}
