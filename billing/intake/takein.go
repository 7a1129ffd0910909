package intake

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Aside is a batch that was refused, and what became of it when it was tried again.
type Aside struct {
	Gateway string `json:"gateway"`
	Batch   string `json:"batch"` // boot/seq; empty: it cannot be read
	Calls   int64  `json:"calls"`
	Taken   bool   `json:"taken"`            // it is in, and set aside no more
	Reason  string `json:"reason,omitempty"` // why it is not
}

// TakeIn tries again what was set aside, oldest first: all of it, or only the batch
// boot/seq. It is for an operator who has mended the cause, so calls of an account count
// however long after it left the gateway they were made. What is still refused stays, with
// the reason of now. noted is told, in the transaction, of each batch that comes in; a
// batch that is in already, which counts once, is only let go.
func (in *Intake) TakeIn(ctx context.Context, only string, noted func(context.Context, pgx.Tx, Aside) error) (out []Aside, err error) {
	var hashes [][]byte
	err = in.asEveryone(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select hash from usage_quarantine where $1 = '' or boot || '/' || seq = $1 order by received_at, boot, seq, hash`, only)
		if err != nil {
			return err
		}
		hashes, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	})
	if err == nil && only != "" && len(hashes) == 0 {
		return nil, model.Errorf(model.NotFound, "no batch %.60q is set aside; it is named as the page Nodes does, start/number", only)
	}
	for _, h := range hashes {
		if err != nil {
			break
		}
		var a *Aside
		if a, err = in.takeIn(ctx, h, noted); a != nil {
			out = append(out, *a)
		}
	}
	return out, err
}

// takeIn tries one batch; nil: somebody else has just taken it in.
func (in *Intake) takeIn(ctx context.Context, hash []byte, noted func(context.Context, pgx.Tx, Aside) error) (*Aside, error) {
	a := &Aside{}
	err := in.ingesting(ctx, func(tx pgx.Tx) error {
		var gateway int32
		var tenant uint32
		var encoded []byte
		err := tx.QueryRow(ctx, `
			select q.gateway_id, g.name, coalesce(g.tenant_id, 0), q.encoded from usage_quarantine q join gateway g using (gateway_id)
			where q.hash = $1 for update of q`, hash).Scan(&gateway, &a.Gateway, &tenant, &encoded)
		if err == pgx.ErrNoRows {
			a = nil
			return nil
		}
		if err != nil {
			return err
		}
		b, err := model.DecodeBatch(encoded)
		if err != nil {
			return model.Errorf(model.Invalid, "%v", err)
		}
		a.Batch = fmt.Sprintf("%s/%d", b.Boot, b.Seq)
		if err := check(b); err != nil {
			return err
		}
		a.Calls = int64(b.Calls())
		r, err := ingest(ctx, tx, gateway, tenant, b, model.BatchHash(encoded), anyHours, in.now())
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from usage_quarantine where hash = $1`, hash); err != nil {
			return err
		}
		a.Taken = true
		if r.Duplicate {
			return nil
		}
		return noted(ctx, tx, *a)
	})
	switch model.KindOf(err) {
	case model.Conflict, model.Denied, model.Invalid:
		a.Taken, a.Reason = false, model.MessageOf(err)
		return a, in.asEveryone(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `update usage_quarantine set reason = $2 where hash = $1`, hash, a.Reason)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("a batch that was set aside: %w", err)
	}
	return a, nil
}

// anyHours after a tenant went elsewhere.
const anyHours = math.MaxInt32 / 4000
