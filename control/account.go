package control

import (
	"context"
	"regexp"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// AccountSettings are what holds for all APIs of an account.
type AccountSettings struct {
	LogRoleARN string     `json:"logRoleArn,omitempty"`
	Caps       model.Caps `json:"caps"` // with the node's defaults where the operator set none
}

// AccountSettings reads those of the actor's account.
func (p *Plane) AccountSettings(ctx context.Context, actor Actor) (AccountSettings, error) {
	var out AccountSettings
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select t.caps, coalesce(s.log_role_arn, '') from tenant t left join account_settings s using (tenant_id) where t.tenant_id = $1`, actor.Tenant).
			Scan(&out.Caps, &out.LogRoleARN)
		return missing(err, "there is no such account")
	})
	if out.Caps.Rate == 0 {
		out.Caps.Rate = model.DefaultCaps.Rate
	}
	if out.Caps.Burst == 0 {
		out.Caps.Burst = model.DefaultCaps.Burst
	}
	return out, err
}

var roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}$`)

// SetLogRole names the role under which Amazon's service would write logs; empty:
// none. Tools insist on it; nothing here assumes it.
func (p *Plane) SetLogRole(ctx context.Context, actor Actor, arn string) error {
	if arn != "" && !roleARN.MatchString(arn) {
		return model.Errorf(model.Invalid, "Invalid ARN specified in the request: %.200q is not the ARN of a role", arn)
	}
	_, err := p.writeAs(ctx, actor, ToManage, func(w *write) error {
		_, err := w.Exec(ctx, `
			insert into account_settings (tenant_id, log_role_arn) values ($1, $2)
			on conflict (tenant_id) do update set log_role_arn = excluded.log_role_arn`, w.tenant, arn)
		if err != nil {
			return err
		}
		return w.audit(ctx, "account.log-role", actor.AccountID, map[string]any{"arn": arn})
	})
	return err
}
