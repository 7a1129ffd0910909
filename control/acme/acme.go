// Package acme gets and renews the certificates of tenants' host names from a
// certificate authority that speaks ACME (RFC 8555), such as Let's Encrypt. The
// authority's questions (HTTP-01) are answered by the gateway's nodes, which are
// told of them like of any other change.
//
// It must never ask for a name that is not proved to be its tenant's.
package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/riverqueue/river"
	"go.uber.org/zap"

	"tollgate/control"
	"tollgate/model"
)

// Options of a Manager.
type Options struct {
	Files     control.ACMEFiles
	Directory string         // URL; default: Let's Encrypt's
	Email     string         // whom the authority writes to
	Roots     *x509.CertPool // that the authority's own server is verified by; nil: the system's
	Log       *slog.Logger
}

// Manager gets certificates.
type Manager struct {
	o      Options
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// New prepares a Manager; nothing is asked of the authority yet.
func New(o Options) (*Manager, error) {
	if o.Directory == "" {
		o.Directory = certmagic.LetsEncryptProductionCA
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	m := &Manager{o: o}
	store := &storage{files: o.Files, holders: map[string]string{}}
	quiet := zap.NewNop() // what fails is reported by Run
	cache := certmagic.NewCache(certmagic.CacheOptions{Logger: quiet,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.config, nil }})
	cache.Stop() // it would renew by itself what it has: nothing is put there
	m.config = certmagic.New(cache, certmagic.Config{Storage: store, Logger: quiet, OCSP: certmagic.OCSPConfig{DisableStapling: true}})
	m.issuer = certmagic.NewACMEIssuer(m.config, certmagic.ACMEIssuer{CA: o.Directory, TestCA: o.Directory, Email: o.Email, Agreed: true,
		TrustedRoots: o.Roots, DisableTLSALPNChallenge: true, Logger: quiet,
		// The client insists on answering questions itself as well; nobody asks there.
		ListenHost: "127.0.0.1", AltHTTPPort: port})
	m.config.Issuers = []certmagic.Issuer{m.issuer}
	return m, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("acme: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

type runArgs struct{}

// Kind names the job.
func (runArgs) Kind() string { return "acme_certificates" }

// AddWorkers makes a River client able to do the work.
func (m *Manager) AddWorkers(w *river.Workers) {
	river.AddWorker(w, river.WorkFunc(func(ctx context.Context, _ *river.Job[runArgs]) error { return m.Run(ctx) }))
}

// Periodic is when that work is due.
func (m *Manager) Periodic() []*river.PeriodicJob {
	const every = 10 * time.Second
	return []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(every), func() (river.JobArgs, *river.InsertOpts) {
		return runArgs{}, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: every}}
	}, &river.PeriodicJobOpts{RunOnStart: true})}
}

// Run gets what is due, one after the other. A failure is noted with its
// certificate and does not keep others from theirs.
func (m *Manager) Run(ctx context.Context) error {
	due, err := m.o.Files.Due(ctx)
	if err != nil {
		return err
	}
	for _, d := range due {
		err := m.get(ctx, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		m.o.Log.Warn("a certificate could not be had", "name", d.Name, "error", err)
		if err := m.o.Files.NotIssued(ctx, d, err.Error()); err != nil {
			return err
		}
	}
	return nil
}

const getTimeout = 3 * time.Minute

func (m *Manager) get(ctx context.Context, d control.DueCertificate) error {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	issuer := m.issuer.IssuerKey()
	files := certmagic.StorageKeys
	_, _, err := m.o.Files.Get(ctx, files.SiteCert(issuer, d.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = m.config.ObtainCertSync(ctx, d.Name)
	case err == nil && d.Renew:
		err = m.config.RenewCertSync(ctx, d.Name, false)
	}
	if err != nil {
		return err
	}
	chain, _, err := m.o.Files.Get(ctx, files.SiteCert(issuer, d.Name))
	if err != nil {
		return err
	}
	key, _, err := m.o.Files.Get(ctx, files.SitePrivateKey(issuer, d.Name))
	if err != nil {
		return err
	}
	c, err := model.ParseServerCertificate(string(chain), string(key), "")
	if err != nil {
		return err
	}
	return m.o.Files.Issued(ctx, d, &c)
}

// storage is certmagic's view of the files.
type storage struct {
	files   control.ACMEFiles
	mu      sync.Mutex
	holders map[string]string // of the locks held here
}

// Lock waits for a lock.
func (s *storage) Lock(ctx context.Context, name string) error {
	holder := model.NewSecret(20)
	for {
		taken, err := s.files.TryLock(ctx, name, holder)
		if err != nil {
			return err
		}
		if taken {
			s.mu.Lock()
			s.holders[name] = holder
			s.mu.Unlock()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// Unlock gives a lock back.
func (s *storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	holder := s.holders[name]
	delete(s.holders, name)
	s.mu.Unlock()
	return s.files.Unlock(context.WithoutCancel(ctx), name, holder)
}

// Store writes a file; a challenge also reaches the gateway before it returns.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	if err := s.files.Put(ctx, key, value); err != nil || !isChallenge(key) {
		return err
	}
	var c struct {
		Token            string `json:"token"`
		KeyAuthorization string `json:"keyAuthorization"`
		Identifier       struct {
			Value string `json:"value"`
		} `json:"identifier"`
	}
	if err := json.Unmarshal(value, &c); err != nil {
		return fmt.Errorf("acme: a challenge: %w", err)
	}
	return s.files.SetChallenge(ctx, c.Identifier.Value, c.Token, c.KeyAuthorization)
}

func isChallenge(key string) bool { return path.Base(path.Dir(key)) == "challenge_tokens" }

// Load reads a file.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.files.Get(ctx, key)
	return value, err
}

// Delete forgets a file.
func (s *storage) Delete(ctx context.Context, key string) error {
	if isChallenge(key) {
		name := strings.TrimSuffix(path.Base(key), ".json")
		if err := s.files.SetChallenge(ctx, name, "", ""); err != nil && model.KindOf(err) != model.NotFound {
			return err
		}
	}
	return s.files.Delete(ctx, key)
}

// Exists says whether there is a file, or one below it.
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List is what lies below a directory.
func (s *storage) List(ctx context.Context, dir string, recursive bool) ([]string, error) {
	keys, err := s.files.Keys(ctx, dir)
	if err != nil || recursive {
		return keys, err
	}
	var out []string
	prefix := strings.TrimSuffix(dir, "/") + "/"
	if dir == "" {
		prefix = ""
	}
	for _, k := range keys {
		first, _, _ := strings.Cut(strings.TrimPrefix(k, prefix), "/")
		if k = prefix + first; len(out) == 0 || out[len(out)-1] != k {
			out = append(out, k)
		}
	}
	return out, nil
}

// Stat describes a file or a directory.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, modified, err := s.files.Get(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: modified, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	below, err := s.files.Keys(ctx, key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	if len(below) == 0 {
		return certmagic.KeyInfo{}, fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: key}, nil
}
