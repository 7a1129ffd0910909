package migrations_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tollgate/migrations"
	"tollgate/migrations/pgserver"
	"tollgate/migrations/pgtest"
	"tollgate/model"
)

// dump is the schema in a form that does not depend on the server's or pg_dump's
// minor version.
func dump(t *testing.T, url string) string {
	t.Helper()
	bin, err := pgserver.Binaries(os.Getenv("TOLLGATE_PG_BIN"))
	if err != nil {
		t.Fatal(err)
	}
	// pg_dump locks every table for reading, which of this one not even the owner may.
	execSQL(t, url, `grant select on usage_intake to current_user`)
	cmd := exec.Command(filepath.Join(bin, "pg_dump"), "--schema-only", "--no-owner", "--no-privileges", url)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump: %v: %s", err, stderr.String())
	}
	var kept []string
	for _, line := range strings.Split(string(out), "\n") {
		if unstable.MatchString(line) {
			continue
		}
		kept = append(kept, line)
	}
	return strings.TrimSpace(regexp.MustCompile(`\n{3,}`).ReplaceAllString(strings.Join(kept, "\n"), "\n\n")) + "\n"
}

var unstable = regexp.MustCompile(`^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)$`)

func TestUpDownUp(t *testing.T) {
	ctx := t.Context()
	url := pgtest.Empty(t)
	must(t, migrations.Up(ctx, url))
	must(t, migrations.Check(ctx, url))
	first := dump(t, url)
	must(t, migrations.Up(ctx, url)) // again: nothing to do
	must(t, migrations.Down(ctx, url))
	if left := tables(t, url); left != "schema_migrations" {
		t.Errorf("after all migrations down these tables are left: %q", left)
	}
	must(t, migrations.Up(ctx, url))
	if diff := cmp.Diff(first, dump(t, url)); diff != "" {
		t.Errorf("up after down makes another schema (-first +second):\n%s", diff)
	}
}

// schema.sql is what a reader looks at and what a review shows the change of.
// With TOLLGATE_DUMP set, as `make dump` does, it is written instead of compared.
func TestSchemaDump(t *testing.T) {
	got := "-- The schema as the migrations make it. Written by `make dump`; do not edit.\n\n" + dump(t, pgtest.URL(t))
	if os.Getenv("TOLLGATE_DUMP") != "" {
		must(t, os.WriteFile("schema.sql", []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile("schema.sql")
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("schema.sql is not what the migrations make: run `make dump` (-committed +made):\n%s", diff)
	}
}

func TestCheckRefusals(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		kind      model.Kind
		says      string
		up        bool // Up refuses as well
	}{
		{"newer schema", `UPDATE schema_migrations SET version = 99999`, model.Conflict, "newer than this program", true},
		{"newer job tables", `INSERT INTO river_migration (line, version) VALUES ('main', 99999)`, model.Conflict, "newer than this program", true},
		{"older", `UPDATE schema_migrations SET version = 0`, model.Unavailable, "tollgate migrate", false},
		{"interrupted", `UPDATE schema_migrations SET dirty = true`, model.Conflict, "interrupted", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := pgtest.URL(t)
			must(t, migrations.Check(t.Context(), url))
			execSQL(t, url, c.sql)
			refused(t, migrations.Check(t.Context(), url), c.kind, c.says)
			if c.up {
				refused(t, migrations.Up(t.Context(), url), c.kind, c.says)
			}
		})
	}
	t.Run("empty", func(t *testing.T) {
		refused(t, migrations.Check(t.Context(), pgtest.Empty(t)), model.Unavailable, "tollgate migrate")
	})
}

func TestUnreachable(t *testing.T) {
	err := migrations.Up(t.Context(), "postgres://someone:sesame@127.0.0.1:1/nowhere?sslmode=disable")
	refused(t, err, model.Unavailable, "127.0.0.1:1")
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("the message gives the password away: %v", err)
	}
	refused(t, migrations.Up(t.Context(), "no url ://"), model.Invalid, "DATABASE_URL")
}

// Two programs starting on one empty database must both end with a whole schema.
func TestUpConcurrently(t *testing.T) {
	url := pgtest.Empty(t)
	done := make(chan error)
	for range 3 {
		go func() { done <- migrations.Up(context.Background(), url) }()
	}
	for range 3 {
		must(t, <-done)
	}
	must(t, migrations.Check(t.Context(), url))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, kind model.Kind, says string) {
	t.Helper()
	if model.KindOf(err) != kind || !strings.Contains(model.MessageOf(err), says) {
		t.Errorf("got %q refusal %v; want %q saying %q", model.KindOf(err), err, kind, says)
	}
}

func execSQL(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), sql)
	must(t, err)
}

func tables(t *testing.T, url string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	var names string
	must(t, conn.QueryRow(t.Context(), `SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_tables WHERE schemaname = 'public'`).Scan(&names))
	return names
}

// A restored database gives out no number that it may have given out before.
func TestRestored(t *testing.T) {
	ctx := t.Context()
	url := pgtest.Empty(t)
	must(t, migrations.Up(ctx, url))
	must(t, migrations.Restored(ctx, url))
	must(t, migrations.Restored(ctx, url))
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)
	for _, column := range []string{"tenant.tenant_id", "stage.stage_num", "api_method.method_num", "api_key.key_num", "subscription.subscription_id", "price_sheet.sheet_num", "gateway.gateway_id"} {
		table, name, _ := strings.Cut(column, ".")
		var next int64
		must(t, conn.QueryRow(ctx, `select nextval(pg_get_serial_sequence($1, $2))`, table, name).Scan(&next))
		if next < 2<<20 {
			t.Errorf("the next %s is %d", column, next)
		}
	}
}
