package control_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// Every action that is audited can be told in a sentence.
func TestEveryActionHasASentence(t *testing.T) {
	t.Parallel()
	action := regexp.MustCompile(`"((?:access-key|account|api|app|billing|invoice|developer|gateway|installation|key|member|node|operator|person|plan|portal|prices|stage|subscription|tenant)\.[a-z-]+)"`)
	seen := 0
	selfEvident := map[string]bool{"installation.seller": true, "installation.sign-up": true, "member.join": true} // told without their target
	for _, dir := range []string{".", "../billing"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || f == "auditlog.go" {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range action.FindAllSubmatch(b, -1) {
				seen++
				if e := (control.AuditEntry{Action: string(m[1]), Target: "<it>"}); strings.HasPrefix(e.Sentence(), e.Action) {
					t.Errorf("%s: action %q has no sentence", f, m[1])
				} else if !selfEvident[e.Action] && !strings.Contains(e.Sentence(), "<it>") {
					t.Errorf("%s: the sentence of %q has no * for its target", f, m[1])
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d actions were found", seen)
	}
}

// An entry is told with the names that people know, not the ids.
func TestAuditTells(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	a.Source = "192.0.2.9"
	d := w.deployed(a, "prod")
	k := w.key(a, w.plan(a, d, nil).ID)
	w.must(w.SetKeyEnabled(w.ctx, a, k.ID, false))
	w.must(w.Invite(w.ctx, a, "bob@example.com", control.RoleViewer))
	w.must(w.DeleteStage(w.ctx, a, d.Stage.APIID, "prod"))
	w.must(w.DeleteAPI(w.ctx, a, d.Stage.APIID, true))
	l, err := w.Audit(w.ctx, a, control.AuditFilter{})
	w.must(err)
	var got []string
	for _, e := range l.Items {
		got = append(got, e.Sentence())
		if e.Role != control.RoleOperator && (e.Actor != a.Name || e.Source != "192.0.2.9") {
			t.Errorf("%s: by %q from %q", e.Action, e.Actor, e.Source)
		}
	}
	name := fmt.Sprintf("made account %s", strings.Replace(strings.TrimSuffix(a.Name, "@example.com"), "owner", "Tenant ", 1))
	want := []string{"deleted API Pets", "deleted stage prod of API Pets", "invited bob@example.com as viewer", "disabled key A key", "made key A key", "made plan Gold",
		"deployed API Pets to prod", "imported API Pets", name}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// Filters, and pages that follow one another.
	for _, c := range []struct {
		f    control.AuditFilter
		want int
	}{
		{control.AuditFilter{Action: "key."}, 2}, {control.AuditFilter{Action: "key.create"}, 1}, {control.AuditFilter{Actor: "OWNER"}, 8}, {control.AuditFilter{Target: "bob@"}, 1},
		{control.AuditFilter{From: time.Now().Add(time.Hour)}, 0}, {control.AuditFilter{To: time.Now().Add(time.Hour), Limit: 4}, 4}, {control.AuditFilter{Action: "%"}, 0},
	} {
		l, err := w.Audit(w.ctx, a, c.f)
		if err != nil || len(l.Items) != c.want {
			t.Errorf("%+v: %d entries, %v; want %d", c.f, len(l.Items), err, c.want)
		}
	}
	var seen []int64
	f := control.AuditFilter{Limit: 4}
	for {
		l, err := w.Audit(w.ctx, a, f)
		w.must(err)
		for _, e := range l.Items {
			seen = append(seen, e.ID)
		}
		if f.After = l.Next; f.After == "" {
			break
		}
	}
	if len(seen) != 9 || !slices.IsSortedFunc(seen, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("pages hold %v", seen)
	}
	for _, f := range []control.AuditFilter{{After: "x"}, {Limit: -1}, {Limit: 20_000}} {
		_, err := w.Audit(w.ctx, a, f)
		w.refused(err, model.Invalid, "")
	}
}
