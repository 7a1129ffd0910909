package control

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Who may open an account.
const (
	SignUpOpen       = "open"
	SignUpInvitation = "invitation"
)

// Installation is what the operator decides for everyone on it.
type Installation struct {
	SignUp    string      `json:"signUp"` // SignUpOpen or SignUpInvitation
	Seller    model.Party `json:"seller"` // who invoices to tenants are from
	UpdatedAt time.Time   `json:"updatedAt"`
}

// Installation is what holds for everyone.
func (p *Plane) Installation(ctx context.Context, operator Actor) (Installation, error) {
	if err := operator.May(ToOperate); err != nil {
		return Installation{}, err
	}
	var in Installation
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select sign_up, seller, updated_at from installation`).Scan(&in.SignUp, &in.Seller, &in.UpdatedAt)
	})
	if err != nil {
		return Installation{}, err
	}
	return in, nil
}

// SetSignUp says who may open an account from now on. Links that were sent
// before stay good.
func (p *Plane) SetSignUp(ctx context.Context, operator Actor, mode string) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	if mode != SignUpOpen && mode != SignUpInvitation {
		return model.Errorf(model.Invalid, "sign-up is %q or %q, not %.40q", SignUpOpen, SignUpInvitation, mode)
	}
	return p.setInstallation(ctx, operator, "installation.sign-up", map[string]any{"signUp": mode},
		`update installation set sign_up = $1, updated_at = now()`, mode)
}

// SetSeller says who invoices to tenants are from. Final invoices keep what they
// were made with.
func (p *Plane) SetSeller(ctx context.Context, operator Actor, seller model.Party) error {
	if err := operator.May(ToOperate); err != nil {
		return err
	}
	seller.Address = strings.ReplaceAll(seller.Address, "\r\n", "\n")
	if err := seller.Validate(); err != nil {
		return err
	}
	return p.setInstallation(ctx, operator, "installation.seller", map[string]any{"seller": seller},
		`update installation set seller = $1, updated_at = now()`, seller)
}

func (p *Plane) setInstallation(ctx context.Context, operator Actor, action string, detail map[string]any, sql string, value any) error {
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sql, value); err != nil {
			return err
		}
		return audit(ctx, tx, operator, nil, action, "installation", detail)
	})
}
