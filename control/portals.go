package control

import (
	"context"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"tollgate/model"
)

// PortalSpec is what a tenant decides of its developer portal.
type PortalSpec struct {
	Slug         string `json:"slug"` // part of its address
	Title        string `json:"title"`
	Tagline      string `json:"tagline,omitempty"`
	Accent       string `json:"accent,omitempty"` // "#rrggbb", dark enough for white text; empty: ours
	SupportEmail string `json:"supportEmail,omitempty"`
	OpenSignUp   bool   `json:"openSignUp"` // developers may sign up by themselves
	Published    bool   `json:"published"`  // else only members of the account may look at it
}

// Portal is a tenant's developer portal, with what is on it and could be.
type Portal struct {
	PortalSpec
	Made      bool        `json:"made"` // false: nothing is stored yet, the rest is a suggestion
	CreatedAt time.Time   `json:"createdAt,omitzero"`
	UpdatedAt time.Time   `json:"updatedAt,omitzero"`
	APIs      []PortalAPI `json:"apis"`
	Plans     []Plan      `json:"plans"`
	Choices   []StageName `json:"-"` // stages that an API could be published from
}

// PortalAPI is an API on the portal: the stage whose deployment is documented
// there, and which developers call.
type PortalAPI struct {
	StageName
	Summary     string    `json:"summary,omitempty"`
	PublishedAt time.Time `json:"publishedAt"`
}

// Bounds of what a portal says of itself, in characters.
const (
	maxTitle   = 80
	maxTagline = 200
	maxSummary = 300
)

// minAccentContrast is what WCAG 2.2 AA asks of ordinary text.
const minAccentContrast = 4.5

var (
	slugForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	accentForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)
)

// CheckSlug says whether a text can be a portal's part of its address.
func CheckSlug(slug string) error {
	if !slugForm.MatchString(slug) {
		return model.Errorf(model.Invalid,
			"%.60q cannot be a part of an address: use 1 to 40 lower-case letters, digits and hyphens, with a letter or digit first and last", slug)
	}
	return nil
}

// CheckAccent says whether white text can be read on a colour.
func CheckAccent(color string) error {
	if color == "" {
		return nil
	}
	if !accentForm.MatchString(color) {
		return model.Errorf(model.Invalid, "%.20q is not a colour such as #0b6b5e", color)
	}
	if c := model.ContrastWithWhite(color); c < minAccentContrast {
		return model.Errorf(model.Invalid,
			"white text on %s has a contrast of %.1f to 1, and %.1f is needed to read it; choose a darker colour", color, c, minAccentContrast)
	}
	return nil
}

func (s *PortalSpec) check() error {
	s.Accent = strings.ToLower(s.Accent)
	if err := CheckSlug(s.Slug); err != nil {
		return err
	}
	if err := checkName("a portal", s.Title, maxTitle); err != nil {
		return err
	}
	if err := checkLine("the tagline", s.Tagline, maxTagline); err != nil {
		return err
	}
	if err := CheckAccent(s.Accent); err != nil {
		return err
	}
	if s.SupportEmail != "" {
		if a, err := mail.ParseAddress(s.SupportEmail); err != nil || a.Address != s.SupportEmail || len(s.SupportEmail) > 254 {
			return model.Errorf(model.Invalid, "%.260q is not an e-mail address", s.SupportEmail)
		}
	}
	return nil
}

// checkLine refuses what is too long or cannot be shown in one line; it may be empty.
func checkLine(what, text string, max int) error {
	if n := utf8.RuneCountInString(text); n > max {
		return model.Errorf(model.Invalid, "%s has %d characters; at most %d are allowed", what, n, max)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return model.Errorf(model.Invalid, "%s has characters that cannot be shown in a line", what)
	}
	return nil
}

const portalSelect = `
	select slug, title, tagline, accent, support_email, sign_up = 'open', published, true, created_at, updated_at
	from portal where tenant_id = $1`

func scanPortal(r pgx.CollectableRow) (p Portal, err error) {
	return p, r.Scan(&p.Slug, &p.Title, &p.Tagline, &p.Accent, &p.SupportEmail, &p.OpenSignUp, &p.Published, &p.Made, &p.CreatedAt, &p.UpdatedAt)
}

const portalAPIs = `
	select pa.api_id, a.name, st.name, pa.summary, pa.published_at
	from portal_api pa join api a using (tenant_id, api_id) join stage st using (tenant_id, stage_num)
	where pa.tenant_id = $1 and a.deleted_at is null and st.deleted_at is null order by a.name, pa.api_id`

func scanPortalAPI(r pgx.CollectableRow) (a PortalAPI, err error) {
	return a, r.Scan(&a.APIID, &a.API, &a.Stage, &a.Summary, &a.PublishedAt)
}

// Portal is the account's developer portal; where none was made yet, a suggestion
// of one.
func (p *Plane) Portal(ctx context.Context, actor Actor) (Portal, error) {
	var out Portal
	var name string
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var err error
		out, name, err = readPortal(ctx, tx, actor.Tenant)
		return err
	})
	if err != nil {
		return Portal{}, err
	}
	if !out.Made {
		out.Title, out.OpenSignUp = firstRunes(name, maxTitle), true
		out.Slug, err = p.freeSlug(ctx, slugOf(name))
	}
	return out, err
}

// readPortal reads the portal with all that is on it, and the account's name.
func readPortal(ctx context.Context, tx pgx.Tx, tenant uint32) (Portal, string, error) {
	var portals []Portal
	var more Portal
	var name string
	b := &pgx.Batch{}
	b.Queue(`select name from tenant where tenant_id = $1`, tenant).QueryRow(func(r pgx.Row) error { return r.Scan(&name) })
	collect(b, &portals, scanPortal, portalSelect, tenant)
	collect(b, &more.APIs, scanPortalAPI, portalAPIs, tenant)
	collect(b, &more.Plans, scanPlan, planSelect+` order by p.name, p.plan_id limit 1000`, tenant)
	collect(b, &more.Choices, pgx.RowToStructByPos[StageName], stageChoices, tenant)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Portal{}, "", err
	}
	if len(portals) == 0 {
		return more, name, nil
	}
	out := portals[0]
	out.APIs, out.Plans, out.Choices = more.APIs, more.Plans, more.Choices
	return out, name, nil
}

func firstRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return strings.TrimSpace(string(r[:n]))
	}
	return s
}

// slugOf makes a part of an address from a name: "Müller & Söhne" is "muller-sohne".
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // an accent, apart from its letter
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String()[:min(b.Len(), 36)], "-") // leaves room for a number
	if s == "" {
		return "portal"
	}
	return s
}

// freeSlug is the first of slug, slug-2, slug-3 … that no portal has. Which slugs
// are taken is for everybody to see.
func (p *Plane) freeSlug(ctx context.Context, slug string) (string, error) {
	var free string
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select c.slug from generate_series(1, 999) n, lateral (select case n when 1 then $1 else $1 || '-' || n end as slug) c
			where not exists (select from portal p where p.slug = c.slug) order by n limit 1`, slug).Scan(&free)
	})
	if model.KindOf(err) == model.NotFound { // 999 are taken: the owner will find a better one
		return slug, nil
	}
	return free, err
}

// UpsertPortal makes the account's portal or changes it: edit gets it as it is, or
// a suggestion where there is none.
func (p *Plane) UpsertPortal(ctx context.Context, actor Actor, edit func(*PortalSpec) error) (Portal, error) {
	if err := actor.May(ToSell); err != nil {
		return Portal{}, err
	}
	was, err := p.Portal(ctx, actor)
	if err != nil {
		return Portal{}, err
	}
	var out Portal
	_, err = p.writeAs(ctx, actor, ToSell, func(w *write) error {
		now, _, err := readPortal(ctx, w, w.tenant)
		if err != nil {
			return err
		}
		spec := now.PortalSpec
		if !now.Made {
			spec = was.PortalSpec
		}
		if err := edit(&spec); err != nil {
			return err
		}
		if err := spec.check(); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			insert into portal (tenant_id, slug, title, tagline, accent, support_email, sign_up, published)
			values ($1, $2, $3, $4, $5, $6, case when $7 then 'open' else 'closed' end, $8)
			on conflict (tenant_id) do update set slug = excluded.slug, title = excluded.title, tagline = excluded.tagline,
				accent = excluded.accent, support_email = excluded.support_email, sign_up = excluded.sign_up,
				published = excluded.published, updated_at = now()`,
			w.tenant, spec.Slug, spec.Title, spec.Tagline, spec.Accent, spec.SupportEmail, spec.OpenSignUp, spec.Published); err != nil {
			return err
		}
		if err := w.tellPortals(ctx); err != nil {
			return err
		}
		if err := w.audit(ctx, "portal.update", spec.Slug, map[string]any{"portal": spec}); err != nil {
			return err
		}
		out, _, err = readPortal(ctx, w, w.tenant)
		return err
	})
	if err != nil {
		return Portal{}, err
	}
	return out, nil
}

// PublishAPI puts an API on the portal, as a stage serves it; an API that is there
// already changes its stage and summary.
func (p *Plane) PublishAPI(ctx context.Context, actor Actor, apiID, stage, summary string) error {
	if err := checkLine("the summary", summary, maxSummary); err != nil {
		return err
	}
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		tag, err := w.Exec(ctx, `
			insert into portal_api as pa (tenant_id, api_id, stage_num, summary)
			select tenant_id, api_id, stage_num, $4 from stage
			where tenant_id = $1 and api_id = $2 and name = $3 and deleted_at is null
			on conflict (tenant_id, api_id) do update set stage_num = excluded.stage_num, summary = excluded.summary`,
			w.tenant, apiID, stage, summary)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return model.Errorf(model.NotFound, "API %q has no stage %q; deploy it first", apiID, stage)
		}
		if err := w.tellPortals(ctx); err != nil {
			return err
		}
		return w.audit(ctx, "portal.publish-api", apiID, map[string]any{"stage": stage, "summary": summary})
	})
	return err
}

// UnpublishAPI takes an API off the portal. Keys go on working.
func (p *Plane) UnpublishAPI(ctx context.Context, actor Actor, apiID string) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		tag, err := w.Exec(ctx, `delete from portal_api where tenant_id = $1 and api_id = $2`, w.tenant, apiID)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return model.Errorf(model.NotFound, "API %q is not on the portal", apiID)
		}
		return w.audit(ctx, "portal.unpublish-api", apiID, nil)
	})
	return err
}
