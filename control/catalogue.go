package control

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Site is a portal as anybody may see it.
type Site struct {
	Tenant       uint32
	AccountID    string
	Slug         string
	Title        string
	Tagline      string
	Accent       string // "#rrggbb"; empty: ours
	SupportEmail string
	OpenSignUp   bool
	Published    bool // else only members of the account may look at it
}

// Site is the portal with this slug. A suspended account has none.
func (p *Plane) Site(ctx context.Context, slug string) (Site, error) {
	var s Site
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select p.tenant_id, t.account_id, p.slug, p.title, p.tagline, p.accent, p.support_email, p.sign_up = 'open', p.published
			from portal p join tenant t using (tenant_id) where p.slug = $1 and not t.suspended`, slug).
			Scan(&s.Tenant, &s.AccountID, &s.Slug, &s.Title, &s.Tagline, &s.Accent, &s.SupportEmail, &s.OpenSignUp, &s.Published)
		return missing(err, "there is no portal %q", slug)
	})
	if err != nil {
		return Site{}, err
	}
	return s, nil
}
