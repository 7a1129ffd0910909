// Package pgserver runs a private Postgres server from the binaries installed on
// the machine, in a directory of ours: for `tollgate up` without DATABASE_URL and
// for tests. It must never touch a server it did not start, listen beyond
// 127.0.0.1, or leave a server behind when its program is gone.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tollgate/model"
)

// Options of a server.
type Options struct {
	Dir  string // holds the cluster, its passwords and its port; made when missing
	Bin  string // directory of the Postgres binaries; "" finds them
	Fast bool   // for tests: a crash of the machine may lose data, and the role may create databases
}

// Server is a running Postgres server of ours.
type Server struct {
	dir, data string
	bin       string
	fast      bool
	user      *owner // whom the server runs as; nil: as ourselves
	lock      *os.File
	port      int
	password  map[string]string // by role
	process   *os.Process
	died      chan struct{}
}

// role is the account Tollgate works as; it owns the database of the same name
// and is no superuser, so that row-level security binds it.
const role = "tollgate"

const superuser = "postgres"

// Start starts the server on o.Dir, making the cluster first when there is none,
// and returns when it takes connections. Refusals say what the operator can do.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{dir: o.Dir, fast: o.Fast, password: map[string]string{}}
	var err error
	if s.bin, err = Binaries(o.Bin); err != nil {
		return nil, err
	}
	if s.user, err = serverUser(); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.unlock()
		return nil, err
	}
	if err := s.launch(ctx); err != nil {
		s.unlock()
		return nil, err
	}
	if err := s.bootstrap(ctx); err != nil {
		_ = s.Crash()
		return nil, err
	}
	return s, nil
}

// URL reaches Tollgate's own database as its own role.
func (s *Server) URL() string { return s.url(role, role) }

// SuperuserURL reaches the maintenance database as its superuser.
func (s *Server) SuperuserURL() string { return s.url(superuser, "postgres") }

func (s *Server) url(user, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", user, s.password[user], s.port, database)
}

// Bin is the directory of the binaries in use.
func (s *Server) Bin() string { return s.bin }

// Pid of the server's first process.
func (s *Server) Pid() int { return s.process.Pid }

// Died is closed when the server has exited, for whatever reason.
func (s *Server) Died() <-chan struct{} { return s.died }

// Stop ends the server in order: sessions are cut, everything is written. When
// ctx ends first, the server is stopped the hard way and recovers at its next start.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.signal(syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-s.died:
		s.unlock()
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop Postgres: %w", ctx.Err()), s.Crash())
	}
}

// Crash ends the server at once, as a crash would; committed work is recovered
// at the next start on the same directory.
func (s *Server) Crash() error {
	if err := s.quit(); err != nil {
		return err
	}
	s.unlock()
	return nil
}

func (s *Server) quit() error {
	if err := s.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	<-s.died
	return nil
}

func (s *Server) signal(sig os.Signal) error {
	err := s.process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (s *Server) unlock() {
	if s.lock != nil {
		_ = s.lock.Close()
		s.lock = nil
	}
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "server.log") }

// launch starts the server and waits until it answers. A port taken meanwhile is
// changed for another; shared memory still held by a crashed server's last
// processes is waited for.
func (s *Server) launch(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var err error
		if s.port, err = s.choosePort(); err != nil {
			return err
		}
		from := logSize(s.logPath())
		if err := s.exec(); err != nil {
			return err
		}
		err = s.ready(ctx)
		if err == nil {
			return nil
		}
		if err := s.quit(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		said := logTail(s.logPath(), from)
		switch {
		case strings.Contains(said, "Address already in use"), strings.Contains(said, "could not create any TCP/IP sockets"):
			_ = os.Remove(filepath.Join(s.dir, "port"))
		case strings.Contains(said, "shared memory block"), strings.Contains(said, "lock file"):
		default:
			return model.Errorf(model.Unavailable, "the embedded Postgres does not start: %s (log: %s)", lastLine(said, err), s.logPath())
		}
		select {
		case <-wait.Done():
			return model.Errorf(model.Unavailable, "the embedded Postgres does not start: %s (log: %s)", lastLine(said, err), s.logPath())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) exec() error {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	args := []string{"-D", s.data, "-p", strconv.Itoa(s.port)}
	for _, c := range s.settings() {
		args = append(args, "-c", c)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.data, environment(), log, log
	// Its own process group: a Ctrl-C on the terminal is for us, who drain first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user.credential(), Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	s.died = make(chan struct{})
	died, started := s.died, make(chan error, 1)
	go func() {
		// The kernel ties the death signal to the starting thread, which must
		// therefore live as long as we do.
		runtime.LockOSThread()
		err := cmd.Start()
		if err == nil {
			s.process = cmd.Process
		}
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(died)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	return watchParent(s.process.Pid, died)
}

func (s *Server) settings() []string {
	out := []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC", "log_timezone=UTC",
		"log_checkpoints=off", "password_encryption=scram-sha-256", "jit=off", "max_connections=200",
		// A role's secret or a key must not reach the log with a failed statement.
		"log_min_error_statement=panic", "log_parameter_max_length_on_error=0",
	}
	if s.fast {
		out = append(out, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=500", "autovacuum=off")
	}
	return out
}

func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

// choosePort gives the port of the last start when it is free, so that URLs stay
// valid over restarts, else a free one.
func (s *Server) choosePort() (int, error) {
	file := filepath.Join(s.dir, "port")
	if b, err := os.ReadFile(file); err == nil {
		l, err := net.Listen("tcp", "127.0.0.1:"+strings.TrimSpace(string(b)))
		if err == nil {
			port := l.Addr().(*net.TCPAddr).Port
			return port, l.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, err
	}
	return port, os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o600)
}
