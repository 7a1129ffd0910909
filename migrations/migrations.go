// Package migrations holds the database schema as numbered pairs of SQL files,
// embedded, and applies them: ours first, then River's own. It must never hold
// anything that reads or writes rows for the program's work.
//
// Every migration must be safe with the program version before it: expand first,
// contract one release later.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"tollgate/model"
)

//go:embed [0-9]*.sql
var files embed.FS

// lockKey serialises programs that migrate one database at the same time.
const lockKey = 0x746f6c6c67617465 // "tollgate"

// Up brings the database to the schema of this program. It does nothing when
// that is there already and refuses a schema newer than the program.
func Up(ctx context.Context, databaseURL string) error {
	return withLock(ctx, databaseURL, func(conn *pgx.Conn) error {
		at, err := read(ctx, conn)
		if err != nil {
			return err
		}
		if err := at.usable(); err != nil {
			return err
		}
		if err := step(databaseURL, (*migrate.Migrate).Up); err != nil {
			return fmt.Errorf("migrate the schema: %w", err)
		}
		return river(ctx, databaseURL, rivermigrate.DirectionUp, nil)
	})
}

// Down removes everything Up made. It destroys all data and exists for tests,
// which prove that every migration can be taken back.
func Down(ctx context.Context, databaseURL string) error {
	return withLock(ctx, databaseURL, func(*pgx.Conn) error {
		err := river(ctx, databaseURL, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1})
		if err != nil {
			return err
		}
		return step(databaseURL, (*migrate.Migrate).Down)
	})
}

// Check says whether this program can work on the database as it is: nil, or a
// refusal for the operator when the schema is newer, older or half applied.
func Check(ctx context.Context, databaseURL string) error {
	conn, err := connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	at, err := read(ctx, conn)
	if err != nil {
		return err
	}
	if err := at.usable(); err != nil {
		return err
	}
	if at.schema < at.knownSchema || at.river < at.knownRiver {
		return model.Errorf(model.Unavailable,
			"the database's schema is version %d.%d, older than this program's %d.%d: run `tollgate migrate` on it first",
			at.schema, at.river, at.knownSchema, at.knownRiver)
	}
	return nil
}

// versions of a database's schema and of the one in this program.
type versions struct {
	schema, knownSchema int
	river, knownRiver   int
	dirty               bool
}

func (v versions) usable() error {
	if v.dirty {
		return model.Errorf(model.Conflict,
			"migration %d of the database's schema was interrupted half-way: restore the database from a backup, or repair it and set schema_migrations.dirty to false", v.schema)
	}
	if v.schema > v.knownSchema || v.river > v.knownRiver {
		return model.Errorf(model.Conflict,
			"the database's schema is version %d.%d, newer than this program's %d.%d: run the newer tollgate that wrote it",
			v.schema, v.river, v.knownSchema, v.knownRiver)
	}
	return nil
}

func read(ctx context.Context, conn *pgx.Conn) (versions, error) {
	var v versions
	names, err := fs.Glob(files, "*.up.sql")
	if err != nil {
		return v, err
	}
	for _, name := range names {
		m, err := source.DefaultParse(name)
		if err != nil {
			return v, fmt.Errorf("migration %s: %w", name, err)
		}
		v.knownSchema = max(v.knownSchema, int(m.Version))
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return v, err
	}
	for _, m := range migrator.AllVersions() {
		v.knownRiver = max(v.knownRiver, m.Version)
	}
	err = conn.QueryRow(ctx, `SELECT version, dirty FROM schema_migrations LIMIT 1`).Scan(&v.schema, &v.dirty)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) && !undefinedTable(err) {
		return v, fmt.Errorf("read the schema's version: %w", err)
	}
	err = conn.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM river_migration`).Scan(&v.river)
	if err != nil && !undefinedTable(err) {
		return v, fmt.Errorf("read the job tables' version: %w", err)
	}
	return v, nil
}

func undefinedTable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "42P01"
}

// connect opens one connection; a database that cannot be reached is a refusal
// that names the server but never the password.
func connect(ctx context.Context, databaseURL string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// pgx's text quotes the URL with its password masked, but not always all of it.
		return nil, model.Errorf(model.Invalid, "DATABASE_URL is not a Postgres URL: expected postgres://user:password@host:port/database")
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil {
		return conn, nil
	}
	why := err.Error()
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		why = pg.Message
	} else if inner := errors.Unwrap(err); inner != nil {
		why = inner.Error()
	}
	refusal := model.Errorf(model.Unavailable, "Postgres at %s:%d (database %s, user %s) cannot be reached: %s",
		cfg.Host, cfg.Port, cfg.Database, cfg.User, why)
	if Away(err) {
		return nil, &away{refusal}
	}
	return nil, refusal
}

type away struct{ error }

func (a *away) Unwrap() error { return a.error }

// Away says of an error, of Up, Check or any statement, that the server cannot be reached
// now, or takes nobody, and may when it is asked again: it is starting, stopping or not
// there yet. A refusal for another reason, such as a wrong password, will not go away.
func Away(err error) bool {
	if _, is := errors.AsType[*away](err); is {
		return true
	}
	if pg, is := errors.AsType[*pgconn.PgError](err); is {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "53300": // ends, crashed, is not ready; has no connection left
			return true
		}
		return false
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	_, is := errors.AsType[net.Error](err) // refused, cut, too late, a name that is not known yet
	return is
}

func withLock(ctx context.Context, databaseURL string, f func(*pgx.Conn) error) error {
	conn, err := connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	// The lock belongs to the session and goes with it.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey)); err != nil {
		return fmt.Errorf("lock the schema: %w", err)
	}
	return f(conn)
}

func step(databaseURL string, run func(*migrate.Migrate) error) error {
	src, err := iofs.New(files, ".")
	if err != nil {
		return err
	}
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return err
	}
	db := sql.OpenDB(stdlib.GetConnector(*cfg))
	defer func() { _ = db.Close() }()
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{})
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance("embedded", src, "pgx5", driver)
	if err != nil {
		return err
	}
	err = run(m)
	if errors.Is(err, migrate.ErrNoChange) {
		err = nil
	}
	if failed, ok := errors.AsType[database.Error](err); ok {
		// Its own text carries the whole file of the migration.
		err = fmt.Errorf("line %d: %w", failed.Line, failed.OrigErr)
	}
	sourceErr, dbErr := m.Close()
	return errors.Join(err, sourceErr, dbErr)
}

func river(ctx context.Context, databaseURL string, d rivermigrate.Direction, opts *rivermigrate.MigrateOpts) error {
	pool, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, d, opts); err != nil {
		return fmt.Errorf("migrate the job tables: %w", err)
	}
	return nil
}

// Fingerprint changes whenever Up would make another schema.
func Fingerprint() (string, error) {
	h := sha256.New()
	names, err := fs.Glob(files, "*.up.sql")
	if err != nil {
		return "", err
	}
	for _, name := range names { // sorted by Glob
		b, err := files.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
	}
	m, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return "", err
	}
	for _, v := range m.AllVersions() {
		fmt.Fprintf(h, "river %d %s\n", v.Version, v.SQLUp)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
