package billing

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Dispute takes over how a dispute of a payment stands, and reports that this is new. What
// is open is only said; won, it is as if it had not been; lost, the amount is booked as
// paid back, with a credit note. Nothing makes a dispute that ended open again.
func (b *Billing) Dispute(ctx context.Context, s Scope, by By, invoice string, d model.Dispute) (changed bool, err error) {
	if err := checkText("reference", d.ID, true, maxReference-len("dispute:")); err != nil {
		return false, err
	}
	if err := checkText("reason", d.Reason, false, 200); err != nil {
		return false, err
	}
	if d.Amount <= 0 || d.Amount > 1<<53 {
		return false, model.Errorf(model.Invalid, "what is disputed is an amount above zero")
	}
	if d.State != model.DisputeOpen && d.State != model.DisputeWon && d.State != model.DisputeLost {
		return false, model.Errorf(model.Invalid, "a dispute is %s, %s or %s, not %q", model.DisputeOpen, model.DisputeWon, model.DisputeLost, d.State)
	}
	r := Receipt{Invoice: invoice, Amount: d.Amount, Reference: "dispute:" + d.ID, Note: "A dispute of the payment was lost", At: d.At}
	if err := b.checkReceipt(&r); err != nil {
		return false, err
	}
	err = b.in(ctx, s, pgx.TxOptions{}, func(tx pgx.Tx) error {
		changed = false
		c, err := standingOf(ctx, tx, s, invoice)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			insert into dispute as d (tenant_id, dispute_id, invoice_id, amount, reason, state, answer_by, at, updated_at)
			values ($1, $2, $3, $4, $5, $6, nullif($7, '0001-01-01 00:00:00+00'::timestamptz), $8, $9)
			on conflict (tenant_id, invoice_id, dispute_id) do update set state = excluded.state, reason = excluded.reason, answer_by = excluded.answer_by, updated_at = excluded.updated_at
			where d.state = 'open' and (d.state, d.reason, d.answer_by) is distinct from (excluded.state, excluded.reason, excluded.answer_by)`,
			c.tenant, d.ID, invoice, d.Amount, d.Reason, d.State, d.AnswerBy, d.At, b.now())
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		changed = true
		if d.State == model.DisputeLost {
			if _, err := b.payBack(ctx, tx, c, by, r); err != nil {
				return err
			}
			if err := b.keep(ctx, tx, c); err != nil {
				return err
			}
		}
		action := map[string]string{model.DisputeOpen: "invoice.disputed", model.DisputeWon: "invoice.dispute-won", model.DisputeLost: "invoice.dispute-lost"}[d.State]
		return audit(ctx, tx, c.tenant, by, action, invoice, map[string]any{"number": c.number, "amount": d.Amount, "dispute": d.ID, "reason": d.Reason})
	})
	return changed, err
}
