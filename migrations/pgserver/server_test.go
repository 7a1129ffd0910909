package pgserver_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/migrations/pgserver"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

func start(t *testing.T, dir string) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Crash(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func gone(t *testing.T, dir string) {
	t.Helper()
	data := filepath.Join(dir, "data")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		pids, known := pgserver.Processes(data)
		if !known {
			t.Fatal("this system does not list processes by directory")
		}
		if len(pids) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes %v still run on %s", pids, data)
		}
	}
}

func TestRoleIsNoSuperuser(t *testing.T) {
	s := start(t, pgtest.Dir(t))
	if got := query[bool](t, s.URL(), `SELECT rolsuper OR rolbypassrls OR rolcreatedb FROM pg_roles WHERE rolname = current_user`); got {
		t.Error("the role tollgate must not be able to pass row-level security or make databases")
	}
	if got := query[string](t, s.URL(), `SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()`); got != "tollgate" {
		t.Errorf("the database belongs to %q", got)
	}
	if got := query[string](t, s.URL(), `SHOW fsync`); got != "on" {
		t.Errorf("fsync = %s: a power cut would lose data", got)
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(s.URL(), "tollgate:", "tollgate:x", 1)); err == nil {
		t.Error("a wrong password is let in")
	}
}

func TestStopAndCrashKeepData(t *testing.T) {
	dir := pgtest.Dir(t)
	s := start(t, dir)
	url := s.URL()
	query[int](t, url, `WITH x AS (SELECT 1) SELECT 1`)
	exec1(t, url, `CREATE TABLE kept (n int)`)
	exec1(t, url, `INSERT INTO kept VALUES (1)`)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(t, dir)

	s = start(t, dir)
	for again := 0; s.URL() != url && again < 3; again++ { // somebody had the port meanwhile
		url = s.URL()
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = start(t, dir)
	}
	if s.URL() != url {
		t.Errorf("after a restart the URL is %s, before it was %s", s.URL(), url)
	}
	exec1(t, s.URL(), `INSERT INTO kept VALUES (2)`)
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Died():
	default:
		t.Error("Died is open after a crash")
	}
	s = start(t, dir)
	if n := query[int](t, s.URL(), `SELECT count(*) FROM kept`); n != 2 {
		t.Errorf("%d rows are left of 2", n)
	}
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// After a crash of the machine the number in postmaster.pid may belong to a
// program that is alive and ours, such as this test.
func TestStalePidFile(t *testing.T) {
	dir := pgtest.Dir(t)
	s := start(t, dir)
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	pidfile := filepath.Join(dir, "data", "postmaster.pid")
	stale := strconv.Itoa(os.Getpid()) + "\n" + filepath.Join(dir, "data") + "\n1\n1\n\n127.0.0.1\n\n"
	if err := os.WriteFile(pidfile, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

func TestSecondServerIsRefused(t *testing.T) {
	dir := pgtest.Dir(t)
	start(t, dir)
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server on one directory: %v", err)
	}
}

func TestPortTakenMeanwhile(t *testing.T) {
	first := start(t, pgtest.Dir(t))
	dir := pgtest.Dir(t)
	port := strings.SplitN(strings.SplitN(first.URL(), "127.0.0.1:", 2)[1], "/", 2)[0]
	if err := os.WriteFile(filepath.Join(dir, "port"), []byte(port), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := start(t, dir); s.URL() == first.URL() || strings.Contains(s.URL(), ":"+port+"/") {
		t.Errorf("the second server claims the first one's port: %s", s.URL())
	}
}

func TestRefusals(t *testing.T) {
	if _, err := pgserver.Binaries("/nonexistent"); model.KindOf(err) != model.Invalid {
		t.Errorf("binaries that are not there: %v", err)
	}
	file := filepath.Join(pgtest.Dir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: filepath.Join(file, "below")})
	if model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), file) {
		t.Errorf("a directory that cannot be made: %v", err)
	}
	if os.Geteuid() == 0 {
		closed := filepath.Join(pgtest.Dir(t), "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: filepath.Join(closed, "below")})
		if model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), closed) {
			t.Errorf("a directory Postgres' account cannot reach: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pgserver.Start(ctx, pgserver.Options{Dir: pgtest.Dir(t)}); err == nil {
		t.Error("a start whose context is over goes on")
	}
}

// The test's own binary, run again, is the program that is killed.
func TestServerDiesWithItsProgram(t *testing.T) {
	if dir := os.Getenv("TOLLGATE_TEST_VICTIM"); dir != "" {
		s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Fast: true})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("up\n")
		<-s.Died()
		return
	}
	dir := pgtest.Dir(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithItsProgram$")
	cmd.Env = append(os.Environ(), "TOLLGATE_TEST_VICTIM="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var up [3]byte
	if _, err := out.Read(up[:]); err != nil || string(up[:]) != "up\n" {
		t.Fatalf("the program said %q (%v)", up, err)
	}
	if pids, _ := pgserver.Processes(filepath.Join(dir, "data")); len(pids) == 0 {
		t.Fatal("no server process is seen while the server runs")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, dir)
	start(t, dir)
}
