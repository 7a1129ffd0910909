package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"crypto/rand"

	"tollgate/model"
)

// dataDir is an installation's directory, held by one process at a time.
//
//	lock             held while a program works on the directory
//	up.json          where the running `tollgate up` is; its presence under a
//	                 held lock means that it takes requests
//	secret.key       encrypts secrets in the database
//	postgres/        the embedded server
//	gateway/         journals and the last snapshot of the node in this process
//	gateways/NAME/   the same of a gateway that runs beside it, and its token
type dataDir struct {
	path string
	lock *os.File
}

// running is what a command needs to find a running `tollgate up`.
type running struct {
	PID            int       `json:"pid"`
	Version        string    `json:"version"`
	StartedAt      time.Time `json:"startedAt"`
	DatabaseURL    string    `json:"databaseUrl"`
	ControlAddr    string    `json:"controlAddr,omitempty"`
	GatewayAddr    string    `json:"gatewayAddr,omitempty"`
	GatewayTLSAddr string    `json:"gatewayTlsAddr,omitempty"`
	AdminAddr      string    `json:"adminAddr"`
}

func (d *dataDir) upFile() string   { return filepath.Join(d.path, "up.json") }
func (d *dataDir) postgres() string { return filepath.Join(d.path, "postgres") }
func (d *dataDir) gateway() string  { return filepath.Join(d.path, "gateway") }

func (d *dataDir) beside(gateway string) string { return filepath.Join(d.path, "gateways", gateway) }

// make creates the directory and shows that it can be written to.
func (d *dataDir) make() error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711 // the embedded Postgres' own account passes through; files are 0600
	}
	if err := os.MkdirAll(d.path, mode); err != nil {
		return model.Errorf(model.Unavailable, "the data directory %s cannot be made (%v): choose another in TOLLGATE_DATA_DIR", d.path, errors.Unwrap(err))
	}
	f, err := os.CreateTemp(d.path, ".try-")
	if err != nil {
		return model.Errorf(model.Unavailable, "the data directory %s cannot be written (%v): give this user the right to, or choose another in TOLLGATE_DATA_DIR", d.path, errors.Unwrap(err))
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// tryLock takes the directory, or reports that another process has it. Whoever
// takes it clears a killed program's up.json away.
func (d *dataDir) tryLock() (bool, error) {
	f, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, model.Errorf(model.Unavailable, "the data directory cannot be used: %v", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, f.Close()
	}
	if err != nil {
		return false, errors.Join(err, f.Close())
	}
	d.lock = f
	if err := os.Remove(d.upFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	return true, nil
}

func (d *dataDir) unlock() {
	if d.lock != nil {
		_ = os.Remove(d.upFile())
		_ = d.lock.Close()
		d.lock = nil
	}
}

// hold takes the directory for a program that stays: it waits for a short
// command to finish, but not for another such program.
func (d *dataDir) hold(ctx context.Context) error {
	r, err := d.await(ctx, 15*time.Second)
	if err != nil {
		return err
	}
	if r != nil {
		return model.Errorf(model.Conflict, "tollgate already runs on %s (process %d, probes http://%s): stop it first, or choose another TOLLGATE_DATA_DIR", d.path, r.PID, r.AdminAddr)
	}
	return nil
}

// await takes the directory, or finds the program that runs on it.
func (d *dataDir) await(ctx context.Context, limit time.Duration) (*running, error) {
	deadline := time.Now().Add(limit)
	for {
		got, err := d.tryLock()
		if got || err != nil {
			return nil, err
		}
		b, err := os.ReadFile(d.upFile())
		if err == nil {
			r := &running{}
			if err := json.Unmarshal(b, r); err != nil {
				return nil, model.Errorf(model.Unavailable, "%s cannot be read: %v", d.upFile(), err)
			}
			return r, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, model.Errorf(model.Unavailable, "where tollgate runs cannot be read: %v", err)
		}
		if time.Now().After(deadline) {
			return nil, model.Errorf(model.Conflict, "another tollgate is starting, stopping or at work on %s: try again when it is done, or choose another TOLLGATE_DATA_DIR", d.path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// announce writes up.json whole or not at all.
func (d *dataDir) announce(r running) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	draft := d.upFile() + ".new"
	if err := os.WriteFile(draft, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, d.upFile())
}

// secretKey is the configured key, or the directory's own, made when missing.
func (d *dataDir) secretKey(c *Config) ([]byte, error) {
	if c.secret != nil {
		return c.secret, nil
	}
	file := filepath.Join(d.path, "secret.key")
	b, err := os.ReadFile(file)
	if err == nil {
		key, err := hex.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(key) != 32 {
			return nil, model.Errorf(model.Unavailable, "%s is not 64 hexadecimal digits: restore it from a backup", file)
		}
		return key, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, model.Errorf(model.Unavailable, "the secret key cannot be read: %v", err)
	}
	if err := d.make(); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails since Go 1.24
	// O_EXCL: two programs must not each believe in a key of their own.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return d.secretKey(c)
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	return key, errors.Join(err, f.Sync(), f.Close())
}
