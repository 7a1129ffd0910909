// Package pgtest gives a test its own migrated Postgres database. Every test
// process runs one private server that cannot outlive it; a cluster with the
// schema in place is made once per schema and copied. It never skips: a machine
// without Postgres fails the test and says what to install.
//
// With DATABASE_URL_TEST set, databases are made on that server instead; its
// role must be allowed to create databases.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tollgate/migrations"
	"tollgate/migrations/pgserver"
	"tollgate/model"
)

// New is a pool on a fresh database with the whole schema. Both go with the test.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), URL(t))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Copy is a pool on a copy of another's database as it is now, as a backup would be. It goes
// with the test.
func Copy(t testing.TB, of *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	of.Reset() // Postgres copies what nobody is connected to, and waits for those who leave
	base, err := server()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	pool, err := pgxpool.New(context.Background(), create(t, base, of.Config().ConnConfig.Database))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL is that of a fresh database with the whole schema, which goes with the test.
func URL(t testing.TB) string {
	t.Helper()
	return database(t, true)
}

// Empty is the URL of a fresh database without any schema.
func Empty(t testing.TB) string {
	t.Helper()
	return database(t, false)
}

// Dir is a temporary directory that the account of a Postgres server may pass,
// which t.TempDir does not promise to root.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(room(), "tollgate-test-")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return dir
}

// server is shared by all tests of a process: starting one costs more than most tests.
var server = sync.OnceValues(start)

func database(t testing.TB, migrated bool) string {
	t.Helper()
	base, err := server()
	if err != nil {
		t.Fatalf("pgtest: no Postgres to test on: %v", err)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	from := "template1"
	if migrated {
		if from, err = template(ctx, conn, base); err != nil {
			t.Fatalf("pgtest: %v", err)
		}
	}
	return create(t, base, from)
}

// create makes a database that is as another, and goes with the test.
func create(t testing.TB, base, from string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	name := "tollgate_test_" + model.NewID(12)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		t.Fatalf("pgtest: make a database: %v", err)
	}
	t.Cleanup(func() { drop(t, base, name) })
	return named(base, name)
}

func drop(t testing.TB, base, name string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Errorf("pgtest: %v", err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
		t.Errorf("pgtest: remove the database: %v", err)
	}
}

func named(base, database string) string {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // base has been connected to
	}
	u.Path = "/" + database
	return u.String()
}

// template makes the database that others are copied from, once per schema.
func template(ctx context.Context, conn *pgx.Conn, base string) (string, error) {
	print, err := migrations.Fingerprint()
	if err != nil {
		return "", err
	}
	name := "tollgate_template_" + print
	// A session lock, as CREATE DATABASE refuses to run in a transaction.
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext($1))`, name); err != nil {
		return "", err
	}
	defer func() { _, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock(hashtext($1))`, name) }()
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	if err != nil || exists {
		return name, err
	}
	// Built under another name: the final one means whole.
	draft := "tollgate_draft_" + model.NewID(8)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+draft); err != nil {
		return "", err
	}
	if err := migrations.Up(ctx, named(base, draft)); err != nil {
		_, dropErr := conn.Exec(ctx, "DROP DATABASE "+draft+" WITH (FORCE)")
		return "", errors.Join(err, dropErr)
	}
	for { // the migration's last session may still be leaving
		_, err = conn.Exec(ctx, "ALTER DATABASE "+draft+" RENAME TO "+name)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "55006" {
			continue // Postgres itself waited up to five seconds
		}
		return name, err
	}
}

func start() (string, error) {
	if u := os.Getenv("DATABASE_URL_TEST"); u != "" {
		return u, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	prepared, err := prepare(ctx)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(room(), "tollgate-pg-")
	if err != nil {
		return "", err
	}
	if err := removeWithProcess(dir); err != nil {
		return "", err
	}
	// cp keeps owners and is faster than we would be; the reflink is a copy where
	// the file system has none.
	if out, err := execute("cp", "-a", prepared+"/.", dir); err != nil {
		return "", fmt.Errorf("copy the prepared cluster: %w: %s", err, out)
	}
	if err := os.Remove(filepath.Join(dir, "port")); err != nil {
		return "", err
	}
	s, err := pgserver.Start(ctx, options(dir))
	if err != nil {
		return "", err
	}
	return s.URL(), nil
}

func options(dir string) pgserver.Options {
	return pgserver.Options{Dir: dir, Bin: os.Getenv("TOLLGATE_PG_BIN"), Fast: true}
}

// prepare gives the directory of a stopped cluster that holds the template of
// this schema. The first process to ask makes it; others wait.
func prepare(ctx context.Context) (string, error) {
	print, err := migrations.Fingerprint()
	if err != nil {
		return "", err
	}
	bin, err := pgserver.Binaries(os.Getenv("TOLLGATE_PG_BIN"))
	if err != nil {
		return "", err
	}
	home := filepath.Join(room(), fmt.Sprintf("tollgate-pgtest-%d", os.Getuid()))
	if err := os.Mkdir(home, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	if fi, err := os.Lstat(home); err != nil || !fi.IsDir() || fi.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
		return "", fmt.Errorf("%s is not a directory of ours: remove it", home)
	}
	lock, err := os.OpenFile(filepath.Join(home, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	whole := filepath.Join(home, print+strings.ReplaceAll(bin, "/", "-"))
	if _, err := os.Stat(whole); err == nil {
		return whole, nil
	}
	// Other schemas' clusters stay for other working trees, but not for ever.
	old, _ := filepath.Glob(filepath.Join(home, "*-*"))
	for _, o := range old {
		if fi, err := os.Stat(o); err == nil && time.Since(fi.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(o)
		}
	}
	draft := filepath.Join(home, "draft")
	if err := os.RemoveAll(draft); err != nil {
		return "", err
	}
	if err := build(ctx, draft); err != nil {
		return "", err
	}
	return whole, os.Rename(draft, whole)
}

func build(ctx context.Context, dir string) error {
	s, err := pgserver.Start(ctx, options(dir))
	if err != nil {
		return err
	}
	err = func() error {
		conn, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		_, err = template(ctx, conn, s.URL())
		return err
	}()
	return errors.Join(err, s.Stop(ctx))
}
