package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// Changes that come at the same time are made together, each as if it were alone: one
// that fails, is of an old revision or panics changes nothing and takes no other with it,
// and each gets the definition as it made it.
func TestChangesTogether(t *testing.T) {
	h := newWorld(t)
	actor := h.tenant()
	api, err := h.CreateAPI(t.Context(), actor, "Wide", "")
	if err != nil {
		t.Fatal(err)
	}
	const n = 60
	broken := errors.New("this one fails")
	revisions := make([]int64, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			path := fmt.Sprintf("/r%d", i)
			revision, ctx := int64(0), t.Context()
			if i%6 == 1 {
				revision = 1 << 40
			}
			if i%6 == 2 {
				gone, stop := context.WithCancel(ctx)
				stop()
				ctx = gone
			}
			out, err := h.UpdateDefinition(ctx, actor, api.ID, revision, func(d *model.Definition) error {
				if err := d.AddResource(path); err != nil {
					return err
				}
				switch i % 6 {
				case 3:
					return broken
				case 4:
					panic("this one panics")
				}
				return nil
			})
			switch i % 6 {
			case 1:
				if model.KindOf(err) != model.Conflict {
					t.Errorf("an old revision: %v", err)
				}
			case 2: // who does not wait may be in time or not
				if err == nil {
					revisions[i] = out.Revision
				}
			case 3:
				if !errors.Is(err, broken) {
					t.Errorf("one that fails: %v", err)
				}
			case 4:
				if err == nil || !strings.Contains(err.Error(), "panic") {
					t.Errorf("one that panics: %v", err)
				}
			default:
				if err != nil {
					t.Errorf("%s: %v", path, err)
					return
				}
				revisions[i] = out.Revision
				if out.Definition.ByPath(path) == nil || out.ID != api.ID || out.Hash == "" || len(out.Definition.Resources) > int(out.Revision) {
					t.Errorf("%s: what comes back is revision %d with %d resources", path, out.Revision, len(out.Definition.Resources))
				}
			}
		})
	}
	wg.Wait()
	made := map[int64]bool{}
	for _, r := range revisions {
		if r != 0 && made[r] {
			t.Errorf("revision %d was made twice", r)
		}
		if r != 0 {
			made[r] = true
		}
	}
	now, err := h.API(t.Context(), actor, api.ID)
	if err != nil {
		t.Fatal(err)
	}
	// The root, and what each change that was made added.
	if int(now.Revision-api.Revision) != len(now.Definition.Resources)-1 || len(made) != len(now.Definition.Resources)-1 {
		t.Errorf("from revision %d to %d there are %d resources; %d changes were made", api.Revision, now.Revision, len(now.Definition.Resources), len(made))
	}
	log, err := h.Audit(t.Context(), actor, control.AuditFilter{Action: "api.update"})
	if err != nil || len(log.Items) != len(made) {
		t.Errorf("%d changes are in the audit log instead of %d: %v", len(log.Items), len(made), err)
	}
}
