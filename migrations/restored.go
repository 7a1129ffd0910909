package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// forward is how many numbers are passed over after a restore: more than anybody gives out
// between two backups, and few enough for 2,000 restores.
const forward = 1 << 20

// Restored passes over the numbers that a database gave out after the backup that it was
// restored from. Usage that nodes still have to hand in names tenants, stages, keys and
// subscriptions by these: given out again, they would be charged for it. It may be run more
// than once.
func Restored(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, fmt.Sprintf(`
		do $$
		declare s regclass;
		begin
			for s in select c.oid::regclass from pg_class c where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace
				and exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'i') -- of an identity column
			loop
				perform setval(s, nextval(s) + %d);
			end loop;
		end $$`, forward))
	return err
}
