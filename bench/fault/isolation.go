package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// isolate looks at every table as each tenant, and as nobody: rows of others must not be
// there, whatever a query asks for.
func (b *books) isolate(ctx context.Context, t *tally) error {
	var tenants []int64
	var tables []string
	err := b.look(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id from tenant order by 1`)
		if err != nil {
			return err
		}
		if tenants, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
			select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
			where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and has_table_privilege(c.oid, 'select') order by 1`)
		if err != nil {
			return err
		}
		tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return err
	}
	t.tables, t.tenants = int64(len(tables)), int64(len(tenants))
	for _, tenant := range append(tenants, 0) {
		setting := fmt.Sprint(tenant)
		if tenant == 0 {
			setting = ""
		}
		var own int64
		for _, table := range tables {
			err := pgx.BeginTxFunc(ctx, b.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `select set_config('tollgate.tenant', $1, true)`, setting); err != nil {
					return err
				}
				var mine, foreign int64
				q := fmt.Sprintf(`select count(*) filter (where tenant_id = $1), count(*) filter (where tenant_id <> $1) from %s`, table)
				if err := tx.QueryRow(ctx, q, tenant).Scan(&mine, &foreign); err != nil {
					return fmt.Errorf("%w in %s", err, q)
				}
				if own += mine; foreign > 0 {
					b.log("tenant %q sees %d rows of others in %s", setting, foreign, table)
				}
				t.foreign += foreign
				return nil
			})
			if err != nil {
				return err
			}
		}
		if tenant != 0 && own == 0 {
			t.blind++ // it sees nothing at all: that shows nothing
		}
	}
	return nil
}
