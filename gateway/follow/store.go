package follow

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"tollgate/model"
)

// store is the copy on disk: a log of changes, the first of which is full, and
// one file per deployment. When the log has grown to twice its first entry it is
// written anew. Keys, of which there are many, are not held in memory besides.
type store struct {
	dir     string
	log     *os.File
	base    int64 // size of the first entry
	size    int64
	tenants map[uint32]model.TenantConfig
	stages  map[uint32]model.StageConfig
	plans   map[planID]model.PlanConfig
	domains map[uint32]model.DomainConfig
	signers map[uint32]model.SignersConfig // by tenant
	creds   map[uint32]model.CredentialConfig
	rev     uint64
	stamp   string // of rev
	nodes   int    // of the gateway, when the last change came
	warn    *slog.Logger
	recent  map[string]*model.DeploymentContent // fetched, not compiled yet

	behind   []byte   // lines that could not be written yet
	unsynced []string // files written since settle
}

type planID struct {
	tenant uint32
	id     string
}

func openStore(dir string, log *slog.Logger) (*store, error) {
	if err := os.MkdirAll(filepath.Join(dir, "deployments"), 0o700); err != nil {
		return nil, fmt.Errorf("the directory for the node's copy: %w", err)
	}
	s := &store{dir: dir, warn: log, recent: map[string]*model.DeploymentContent{}}
	s.clear()
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *store) clear() {
	s.tenants, s.stages = map[uint32]model.TenantConfig{}, map[uint32]model.StageConfig{}
	s.plans = map[planID]model.PlanConfig{}
	s.domains = map[uint32]model.DomainConfig{}
	s.signers = map[uint32]model.SignersConfig{}
	s.creds = map[uint32]model.CredentialConfig{}
}

func (s *store) path() string { return filepath.Join(s.dir, "changes.jsonl") }

// load reads the log up to the first entry that is not whole: a crash can have
// cut the last one, and the control plane sends it again.
func (s *store) load() error {
	f, err := os.OpenFile(s.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the node's copy: %w", err)
	}
	err = eachLine(f, func(line []byte) bool {
		ch := new(model.Changes)
		if json.Unmarshal(line, ch) != nil || (s.size == 0 && !ch.Full) {
			s.warn.Warn("the node's copy on disk is damaged; what follows is fetched again", "at", s.size)
			return false
		}
		s.merge(ch)
		s.size += int64(len(line))
		if s.base == 0 {
			s.base = s.size
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("the node's copy: %w", err)
	}
	if err := f.Truncate(s.size); err != nil {
		return fmt.Errorf("the node's copy: %w", err)
	}
	s.log = f
	return nil
}

// eachLine calls fn with each whole line until it says no.
func eachLine(from io.Reader, fn func(line []byte) bool) error {
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || !fn(line) {
			return err
		}
	}
}

// keys reads those in the log.
func (s *store) keys() ([]model.KeyConfig, error) {
	all := map[uint32]model.KeyConfig{}
	err := eachLine(io.NewSectionReader(s.log, 0, s.size), func(line []byte) bool {
		var ch struct { // of a change no more than this
			Full bool              `json:"full"`
			Keys []model.KeyConfig `json:"keys"`
		}
		if json.Unmarshal(line, &ch) != nil {
			return false // load stops here as well
		}
		if ch.Full {
			clear(all)
		}
		for _, k := range ch.Keys {
			set(all, k.Num, k, k.Deleted)
		}
		return true
	})
	return slices.Collect(maps.Values(all)), err
}

// merge applies changes to the copy in memory.
func (s *store) merge(ch *model.Changes) {
	if ch.Full {
		s.clear()
	}
	for _, t := range ch.Tenants {
		set(s.tenants, t.Num, t, t.Deleted)
	}
	for _, v := range ch.Stages {
		set(s.stages, v.Num, v, v.Deleted)
	}
	for _, p := range ch.Plans {
		set(s.plans, planID{p.Tenant, p.ID}, p, p.Deleted)
	}
	for _, d := range ch.Domains {
		set(s.domains, d.Num, d, d.Deleted)
	}
	for _, k := range ch.Signers {
		set(s.signers, k.Tenant, k, k.Deleted)
	}
	for _, c := range ch.Credentials {
		set(s.creds, c.Num, c, c.Deleted)
	}
	s.rev, s.stamp, s.nodes = ch.Revision, ch.Stamp, cmp.Or(ch.Nodes, s.nodes)
}

func set[K comparable, V any](m map[K]V, k K, v V, gone bool) {
	if gone {
		delete(m, k)
	} else {
		m[k] = v
	}
}

// full is everything in the copy, with these keys, as one change.
func (s *store) full(keys []model.KeyConfig) *model.Changes {
	return &model.Changes{Revision: s.rev, Stamp: s.stamp, Full: true,
		Tenants: slices.Collect(maps.Values(s.tenants)), Stages: slices.Collect(maps.Values(s.stages)),
		Plans: slices.Collect(maps.Values(s.plans)), Keys: keys,
		Domains: slices.Collect(maps.Values(s.domains)), Signers: slices.Collect(maps.Values(s.signers)),
		Credentials: slices.Collect(maps.Values(s.creds)), Nodes: s.nodes}
}

// add makes a change durable. One that cannot be written waits for the next: no
// later change stands in the log without it.
func (s *store) add(ch *model.Changes) error {
	s.merge(ch)
	clear(s.recent)
	if ch.Full {
		s.behind = nil
		failed := s.rewrite(ch.Keys)
		if failed != nil {
			line, err := json.Marshal(ch)
			if err != nil {
				return errors.Join(failed, err)
			}
			s.behind = append(line, '\n')
		}
		return failed
	}
	line, err := json.Marshal(ch)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	s.behind = append(s.behind, line...)
	if _, err := s.log.WriteAt(s.behind, s.size); err != nil {
		return errors.Join(err, s.log.Truncate(s.size))
	}
	s.size += int64(len(s.behind))
	s.behind = nil
	s.unsynced = append(s.unsynced, s.log.Name())
	if s.size-s.base <= max(s.base, 1<<20) {
		return nil
	}
	keys, err := s.keys()
	if err != nil {
		return err
	}
	if err := s.rewrite(keys); err != nil {
		return err
	}
	if len(keys) > 10_000 {
		debug.FreeOSMemory() // what reading so much left behind
	}
	return nil
}

// settle brings what was written since the last time through a power cut. It
// runs when there is nothing else to do: a change takes effect without waiting
// for the disk, and what a power cut damages is asked for again.
func (s *store) settle() {
	slices.Sort(s.unsynced)
	for _, p := range slices.Compact(s.unsynced) {
		if f, err := os.OpenFile(p, os.O_RDWR, 0); err == nil {
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				s.warn.Warn("the node's copy could not be made durable", "err", err)
			}
		}
	}
	s.unsynced = s.unsynced[:0]
}

// rewrite replaces the log by one full entry and forgets deployments no stage
// points at.
func (s *store) rewrite(keys []model.KeyConfig) error {
	tmp := s.path() + ".new"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	err = errors.Join(writeFull(w, s.full(nil), keys), w.Flush(), f.Sync(), os.Rename(tmp, s.path()))
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_ = s.log.Close()
	s.log = f
	st, err := f.Stat()
	if err != nil {
		return err
	}
	s.base, s.size = st.Size(), st.Size()
	s.sweep()
	return nil
}

// writeFull writes an entry with its keys one by one: encoded as a whole they would take
// tens of megabytes, which the encoder keeps.
func writeFull(w *bufio.Writer, full *model.Changes, keys []model.KeyConfig) error {
	rest, err := json.Marshal(full)
	if err != nil || len(keys) == 0 {
		return errors.Join(err, writeLine(w, rest))
	}
	_, _ = w.Write(rest[:len(rest)-1])
	_, _ = w.WriteString(`,"keys":[`)
	for i := range keys {
		k, err := json.Marshal(&keys[i])
		if err != nil {
			return err
		}
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(k)
	}
	return writeLine(w, []byte("]}"))
}

func writeLine(w *bufio.Writer, line []byte) error {
	_, _ = w.Write(line)
	return w.WriteByte('\n') // an earlier error is this one's, too
}

func (s *store) sweep() {
	used := map[string]bool{}
	for _, st := range s.stages {
		for _, id := range st.Deployments() {
			used[id+".json"] = true
		}
	}
	files, _ := os.ReadDir(filepath.Join(s.dir, "deployments"))
	for _, f := range files {
		if !used[f.Name()] {
			_ = os.Remove(filepath.Join(s.dir, "deployments", f.Name()))
		}
	}
}

func (s *store) file(id string) (string, bool) {
	if id == "" || strings.ContainsAny(id, "/\\.") {
		return "", false
	}
	return filepath.Join(s.dir, "deployments", id+".json"), true
}

func (s *store) has(id string) bool {
	if s.recent[id] != nil {
		return true
	}
	p, ok := s.file(id)
	if !ok {
		return false
	}
	_, err := os.Stat(p)
	return err == nil
}

// keep writes a deployment down.
func (s *store) keep(d *model.DeploymentContent) error {
	p, ok := s.file(d.ID)
	if !ok {
		return fmt.Errorf("deployment id %q is not one", d.ID)
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(p+".new", b, 0o600), os.Rename(p+".new", p)); err != nil {
		return err
	}
	s.unsynced = append(s.unsynced, p)
	s.recent[d.ID] = d
	return nil
}

// deployment reads one that keep wrote; nil when it is not there or damaged.
func (s *store) deployment(id string) *model.DeploymentContent {
	if d := s.recent[id]; d != nil {
		return d
	}
	p, ok := s.file(id)
	if !ok {
		return nil
	}
	b, err := os.ReadFile(p)
	if err != nil {
		return nil
	}
	d := new(model.DeploymentContent)
	if json.Unmarshal(b, d) != nil || d.ID != id {
		_ = os.Remove(p) // fetched again with the next change of the stage
		return nil
	}
	return d
}

func (s *store) close() {
	s.settle()
	_ = s.log.Close()
}
