package fake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// load reads the state's file; one that does not exist is an empty state.
func (s *Server) load() error {
	b, err := os.ReadFile(s.opts.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the state of the fake: %w", err)
	}
	st := newState()
	if err := json.Unmarshal(b, st); err != nil {
		return fmt.Errorf("the state in %s cannot be read (remove the file to start anew): %w", s.opts.File, err)
	}
	// encoding/json makes every number a float64: objects want whole ones back.
	var raw struct {
		Accounts map[string]struct {
			Objects json.RawMessage `json:"objects"`
		} `json:"accounts"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return fmt.Errorf("the state in %s cannot be read (remove the file to start anew): %w", s.opts.File, err)
	}
	for name, a := range raw.Accounts {
		v, err := decodeJSON(a.Objects)
		objects, ok := v.(object)
		if err != nil || !ok {
			return fmt.Errorf("the objects of %s in %s cannot be read (remove the file to start anew)", name, s.opts.File)
		}
		st.Accounts[name].Objects = map[string]object{}
		for id, o := range objects {
			if o, ok := o.(object); ok {
				st.Accounts[name].Objects[id] = o
			}
		}
	}
	for _, a := range st.Accounts {
		if a.Order == nil {
			a.Order = map[string][]string{}
		}
		for kind, ids := range a.Order {
			a.Order[kind] = slices.DeleteFunc(ids, func(id string) bool { return a.Objects[id] == nil })
		}
	}
	for name, rep := range st.Replies {
		if rep.Status == 0 {
			// It was in flight when the program ended: nobody will ever answer it.
			delete(st.Replies, name)
		}
	}
	s.st = st
	return nil
}

// Save writes the state to its file if it changed, whole or not at all.
func (s *Server) Save() error {
	s.mu.Lock()
	if s.opts.File == "" || !s.dirty {
		s.mu.Unlock()
		return nil
	}
	b, err := json.Marshal(s.st)
	s.dirty = false
	s.mu.Unlock()
	if err == nil {
		err = replace(s.opts.File, b)
	}
	if err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return fmt.Errorf("write the state of the fake: %w", err)
	}
	return nil
}

// replace writes a file beside the old one and then takes its place. The state holds webhook
// secrets: nobody else may read it.
func replace(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
