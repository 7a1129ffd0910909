package follow

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/model"
)

var quiet = slog.New(slog.DiscardHandler)

func stage(num uint32, deployment string) model.StageConfig {
	return model.StageConfig{Num: num, Tenant: 1, APIID: "api", Stage: "s", DeploymentID: deployment}
}

func open(t *testing.T, dir string) *store {
	t.Helper()
	s, err := openStore(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func add(t *testing.T, s *store, ch model.Changes) {
	t.Helper()
	if err := s.add(&ch); err != nil {
		t.Fatal(err)
	}
}

func TestStoreKeepsChanges(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	add(t, s, model.Changes{Revision: 5, Full: true, Stages: []model.StageConfig{stage(1, "a"), stage(2, "b")}})
	add(t, s, model.Changes{Revision: 6, Stages: []model.StageConfig{stage(1, "c"), {Num: 2, Deleted: true}}})
	got := open(t, dir).full(nil)
	if got.Revision != 6 || len(got.Stages) != 1 || got.Stages[0].DeploymentID != "c" {
		t.Errorf("read back %+v", got)
	}
}

// A log cut at any byte reads back as the entries that are whole, and goes on.
func TestStoreTornAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	add(t, s, model.Changes{Revision: 1, Full: true, Stages: []model.StageConfig{stage(1, "a")}})
	whole := s.size
	add(t, s, model.Changes{Revision: 2, Stages: []model.StageConfig{stage(1, "b")}})
	log, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	for n := range log {
		torn := t.TempDir()
		if err := os.WriteFile(filepath.Join(torn, "changes.jsonl"), log[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, torn)
		want := uint64(0)
		if int64(n) >= whole {
			want = 1
		}
		if s.rev != want {
			t.Fatalf("cut at %d: revision %d, want %d", n, s.rev, want)
		}
		add(t, s, model.Changes{Revision: 9, Full: want == 0, Stages: []model.StageConfig{stage(1, "z")}})
		if again := open(t, torn); again.rev != 9 || again.stages[1].DeploymentID != "z" {
			t.Fatalf("cut at %d: after another change revision %d", n, again.rev)
		}
	}
}

// The log is written anew when it has outgrown its content, and deployments
// nobody points at go with it.
func TestStoreRewrites(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, id := range []string{"a", "b"} {
		if err := s.keep(&model.DeploymentContent{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	add(t, s, model.Changes{Revision: 1, Full: true, Stages: []model.StageConfig{stage(1, "b")}})
	if s.has("a") || !s.has("b") {
		t.Error("the deployment in use must stay, the other go")
	}
	for i := range 20_000 { // about 100 bytes each
		add(t, s, model.Changes{Revision: uint64(i + 2), Tenants: []model.TenantConfig{{Num: 1, AccountID: "123456789012"}}})
		if s.size > 3<<20 {
			t.Fatalf("the log has %d bytes for one tenant and one stage", s.size)
		}
	}
}

// Keys are not held in memory: they come from the log, whatever it has been through.
func TestStoreKeys(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	key := func(num uint32) model.KeyConfig {
		return model.KeyConfig{Num: num, Tenant: 1, Hash: make([]byte, 32), Enabled: true}
	}
	add(t, s, model.Changes{Revision: 1, Full: true, Keys: []model.KeyConfig{key(1), key(2)}})
	for i := range uint32(10_000) {
		add(t, s, model.Changes{Revision: uint64(i + 2), Keys: []model.KeyConfig{key(i + 3), {Num: i + 2, Deleted: true}},
			Domains: []model.DomainConfig{{Num: 1, Name: "a.example.com"}, {Num: 2, Deleted: true}}})
	}
	for _, s := range []*store{s, open(t, dir)} {
		keys, err := s.keys()
		if err != nil || len(keys) != 2 || s.rev != 10_001 || len(s.domains) != 1 {
			t.Errorf("revision %d with %d keys, %d domains, %v", s.rev, len(keys), len(s.domains), err)
		}
		for _, k := range keys {
			if k.Num != 1 && k.Num != 10_002 || len(k.Hash) != 32 {
				t.Errorf("key %+v is left", k)
			}
		}
	}
}

// A change that could not be written is in the log before the next one is.
func TestStoreWritesLater(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	add(t, s, model.Changes{Revision: 1, Full: true})
	log := s.log
	var err error
	if s.log, err = os.Open(s.path()); err != nil { // for reading only
		t.Fatal(err)
	}
	if s.add(&model.Changes{Revision: 2, Keys: []model.KeyConfig{{Num: 7, Tenant: 1}}}) == nil {
		t.Fatal("a write that fails was not told")
	}
	s.log.Close()
	s.log = log
	add(t, s, model.Changes{Revision: 3})
	again := open(t, dir)
	if keys, err := again.keys(); err != nil || len(keys) != 1 || again.rev != 3 {
		t.Errorf("revision %d with keys %v, %v", again.rev, keys, err)
	}
}

func TestStoreRefusesPaths(t *testing.T) {
	s := open(t, t.TempDir())
	for _, id := range []string{"", "../x", "a/b", `a\b`, "a.b"} {
		if s.keep(&model.DeploymentContent{ID: id}) == nil || s.has(id) || s.deployment(id) != nil {
			t.Errorf("id %q was taken for a file name", id)
		}
	}
}

// A deployment lost from the disk is asked for again: the node starts from
// revision 0.
func TestLostDeploymentStartsAnew(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.keep(&model.DeploymentContent{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	add(t, s, model.Changes{Revision: 4, Full: true, Stages: []model.StageConfig{stage(1, "a")}})
	for _, want := range []uint64{4, 0} {
		if want == 0 {
			if err := os.Remove(filepath.Join(dir, "deployments", "a.json")); err != nil {
				t.Fatal(err)
			}
		}
		f, err := New(Options{Dir: dir, Log: quiet, Apply: func(*model.Changes, func(string) *model.DeploymentContent) []model.StageFailure { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if f.Revision() != want {
			t.Errorf("revision %d, want %d", f.Revision(), want)
		}
	}
}

// A copy of keys without ids, as older programs wrote it, is served from and asked for
// again.
func TestKeysWithoutIDsAreAskedForAnew(t *testing.T) {
	for id, want := range map[string]uint64{"a": 4, "": 0} {
		dir := t.TempDir()
		s := open(t, dir)
		add(t, s, model.Changes{Revision: 4, Full: true, Keys: []model.KeyConfig{{Num: 1, ID: id, Tenant: 1, Hash: make([]byte, 32)}}})
		keys := 0
		f, err := New(Options{Dir: dir, Log: quiet, Apply: func(c *model.Changes, _ func(string) *model.DeploymentContent) []model.StageFailure {
			keys = len(c.Keys)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if f.Revision() != want || keys != 1 {
			t.Errorf("id %q: revision %d with %d keys, want %d with 1", id, f.Revision(), keys, want)
		}
	}
}

// The follower reports what it applied by asking again, and tells when it goes.
func TestFollowerAcknowledges(t *testing.T) {
	hellos := make(chan model.NodeHello, 16)
	var sent bool
	feed := Feed{Changes: func(ctx context.Context, h model.NodeHello) (*model.Changes, error) {
		hellos <- h
		if h.Applied == 0 && !sent {
			sent = true
			return &model.Changes{Revision: 3, Stamp: "of 3", Full: true}, nil
		}
		if h.Draining {
			return &model.Changes{Revision: h.Applied, Stamp: h.Stamp}, nil
		}
		if h.Applied == 3 && len(h.Failures) > 0 { // a backup was restored: 2 is the latest
			return &model.Changes{Revision: 2, Stamp: "of 2", Full: true}, nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	dir := t.TempDir()
	f, err := New(Options{Feed: feed, Dir: dir, Node: "n", Boot: "b", Log: quiet,
		Apply: func(ch *model.Changes, _ func(string) *model.DeploymentContent) []model.StageFailure {
			if ch.Revision == 2 {
				return nil
			}
			return []model.StageFailure{{Stage: 1, Reason: "bad stage"}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	f.Start()
	if h := <-hellos; h.Applied != 0 || h.Node != "n" || h.Boot != "b" {
		t.Errorf("first hello %+v", h)
	}
	if h := <-hellos; h.Applied != 3 || h.Stamp != "of 3" || len(h.Failures) != 1 || h.Failures[0].Reason != "bad stage" {
		t.Errorf("second hello %+v", h)
	}
	if h := <-hellos; h.Applied != 2 || h.Stamp != "of 2" || len(h.Failures) != 0 {
		t.Errorf("third hello, after all was sent anew, %+v", h)
	}
	f.Drain(t.Context())
	if h := <-hellos; !h.Draining {
		t.Errorf("draining hello %+v", h)
	}
	if f.Age(time.Now()) < 0 {
		t.Error("no contact noted")
	}
	f.Stop()
	if s := open(t, dir); s.rev != 2 || s.stamp != "of 2" {
		t.Errorf("revision %d %q on the disk", s.rev, s.stamp)
	}
}
