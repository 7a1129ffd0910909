package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/model"
)

// prepare leaves a locked directory with a cluster that no process is using.
func (s *Server) prepare(ctx context.Context) error {
	mode := os.FileMode(0o700)
	if s.user != nil {
		mode = 0o711 // the server's account passes through to data, and reads nothing else
	}
	if err := os.MkdirAll(s.dir, mode); err != nil {
		return model.Errorf(model.Unavailable, "the data directory cannot be made: %v", err)
	}
	// Without symbolic links, as the system names directories in use.
	dir, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		return err
	}
	if s.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	s.data = filepath.Join(s.dir, "data")
	s.lock, err = os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return model.Errorf(model.Unavailable, "the data directory cannot be written: %v", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return model.Errorf(model.Conflict, "%s is in use by another program: one Postgres can run in it at a time", s.dir)
	}
	if p := s.user.reachable(s.dir); p != "" {
		return model.Errorf(model.Unavailable, "as root, Postgres runs as the user %s, who may not pass %s: choose a TOLLGATE_DATA_DIR outside it (such as /var/lib/tollgate), or run as an ordinary user", s.user.name, p)
	}
	for _, r := range []string{superuser, role} {
		if s.password[r], err = keep(filepath.Join(s.dir, r+".password")); err != nil {
			return err
		}
	}
	if version := major(s.data); version != "" {
		if s.bin, err = binariesFor(s.bin, version); err != nil {
			return err
		}
		return awaitUnused(ctx, s.data)
	}
	return s.initdb(ctx)
}

// keep reads a secret from its file, making it when there is none.
func keep(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(b))) >= 32 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	secret := model.NewSecret(40)
	return secret, os.WriteFile(file, []byte(secret+"\n"), 0o600)
}

// initdb makes the cluster beside its place and moves it there when it is whole,
// so that an interrupted first start leaves nothing that looks like one.
func (s *Server) initdb(ctx context.Context) error {
	fresh := s.data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	pw := filepath.Join(fresh+".password", "superuser")
	if err := os.MkdirAll(filepath.Dir(pw), 0o700); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(pw)) }()
	if err := os.WriteFile(pw, []byte(s.password[superuser]+"\n"), 0o600); err != nil {
		return err
	}
	if s.user != nil {
		for _, p := range []string{fresh, pw, filepath.Dir(pw)} {
			if err := os.Chown(p, int(s.user.uid), int(s.user.gid)); err != nil {
				return err
			}
		}
	}
	args := []string{"-D", fresh, "-U", superuser, "--auth=scram-sha-256", "--pwfile=" + pw, "-E", "UTF8", "--no-locale", "--no-instructions"}
	if s.fast {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), args...)
	cmd.Dir, cmd.Env = fresh, environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user.credential(), Setpgid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return model.Errorf(model.Unavailable, "the embedded Postgres cannot be set up in %s: %s", s.dir, lastLine(string(out), err))
	}
	return os.Rename(fresh, s.data)
}

// awaitUnused waits until the last processes of a crashed server have gone, then
// takes its pid file away: the number in it may be another program's by now, and
// Postgres would refuse to start.
func awaitUnused(ctx context.Context, data string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	pidfile := filepath.Join(data, "postmaster.pid")
	if _, err := os.Stat(pidfile); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for {
		pids, known := Processes(data)
		if !known {
			return nil // Postgres judges the file itself
		}
		if len(pids) == 0 {
			return os.Remove(pidfile)
		}
		select {
		case <-ctx.Done():
			return model.Errorf(model.Conflict, "a Postgres server (process %d) still runs on %s although no tollgate does: stop it with kill -INT %d", pids[0], data, pids[0])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ready waits until the server takes a connection; it fails when the server exits.
func (s *Server) ready(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, s.SuperuserURL())
		if err == nil {
			return conn.Close(ctx)
		}
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code != "57P03" { // 57P03: starting up
			return errors.New(pg.Message)
		}
		select {
		case <-s.died:
			return errors.New("it exited")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// bootstrap makes the role and its database. Repeated at every start, it also
// heals a first start that was interrupted.
func (s *Server) bootstrap(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.SuperuserURL())
	if err != nil {
		return fmt.Errorf("connect to the new Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var haveRole, haveDatabase bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_database WHERE datname = $1)`, role).
		Scan(&haveRole, &haveDatabase)
	if err != nil {
		return err
	}
	createdb := "NOCREATEDB"
	if s.fast {
		createdb = "CREATEDB"
	}
	verb := "CREATE"
	if haveRole {
		verb = "ALTER"
	}
	// Names and passwords are ours: letters and digits only.
	_, err = conn.Exec(ctx, fmt.Sprintf(`%s ROLE %s LOGIN NOSUPERUSER NOBYPASSRLS %s PASSWORD '%s'`, verb, role, createdb, s.password[role]))
	if err != nil {
		return fmt.Errorf("set up the role %s: %w", role, err)
	}
	if !haveDatabase {
		if _, err := conn.Exec(ctx, fmt.Sprintf(`CREATE DATABASE %s OWNER %s`, role, role)); err != nil {
			return fmt.Errorf("make the database %s: %w", role, err)
		}
	}
	return nil
}

func logSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// logTail is what was written to the log after from, at most its last 64 KiB.
func logTail(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	size := logSize(path)
	from = max(from, size-64<<10)
	buf := make([]byte, max(0, size-from))
	n, _ := f.ReadAt(buf, from)
	return string(buf[:n])
}

func lastLine(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		for _, mark := range []string{"FATAL:", "error:", "PANIC:"} {
			if _, after, ok := strings.Cut(lines[i], mark); ok {
				return strings.TrimSpace(after)
			}
		}
	}
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}
