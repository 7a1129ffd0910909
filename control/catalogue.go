package control

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
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

// CatalogueAPI is an API on a portal.
type CatalogueAPI struct {
	ID           string
	Name         string
	Summary      string
	Description  string
	Stage        string
	DeploymentID string // what is documented
	Methods      int
	Plans        []string // names of the offered plans that open it
}

// CataloguePlan is a plan that is offered on a portal.
type CataloguePlan struct {
	ID          string
	Name        string
	Description string
	Throttle    *model.Throttle
	Quota       *model.Quota
	Price       *model.PriceSheet // nil: free
	APIs        []string          // names of the APIs on the portal that it opens
	Spending    model.Spending
}

// Catalogue is what a portal offers.
type Catalogue struct {
	APIs  []CatalogueAPI
	Plans []CataloguePlan
}

// Catalogue reads what a portal offers, in one round trip.
func (p *Plane) Catalogue(ctx context.Context, site Site) (out Catalogue, err error) {
	err = p.read(ctx, site.scope(), func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		collect(b, &out.APIs, pgx.RowToStructByPos[CatalogueAPI], `
			select pa.api_id, a.name, pa.summary, coalesce(a.about->>'description', ''), st.name, st.deployment_id, d.methods,
				array(select pl.name from plan pl join plan_stage ps using (tenant_id, plan_id)
					where pl.tenant_id = pa.tenant_id and ps.stage_num = pa.stage_num and pl.published and pl.deleted_at is null order by 1)
			from portal_api pa join api a using (tenant_id, api_id) join stage st using (tenant_id, stage_num)
				join deployment d on (d.tenant_id, d.deployment_id) = (st.tenant_id, st.deployment_id)
			where pa.tenant_id = $1 and a.deleted_at is null and st.deleted_at is null order by lower(a.name), pa.api_id limit 500`, site.Tenant)
		collect(b, &out.Plans, func(r pgx.CollectableRow) (c CataloguePlan, err error) {
			var limit *int64
			var period *string
			var offset *int
			err = r.Scan(&c.ID, &c.Name, &c.Description, &c.Throttle, &limit, &period, &offset, &c.Price, &c.APIs, &c.Spending.SpendCap, &c.Spending.SpendMax, &c.Spending.Prepaid)
			c.Quota = quotaOf(limit, period, offset)
			return c, err
		}, `
			select p.plan_id, p.name, p.description, p.throttle, p.quota_limit, p.quota_period, p.quota_offset, s.sheet,
				array(select a.name from plan_stage ps join portal_api pa using (tenant_id, stage_num) join api a on (a.tenant_id, a.api_id) = (pa.tenant_id, pa.api_id)
					where ps.tenant_id = p.tenant_id and ps.plan_id = p.plan_id and a.deleted_at is null order by 1),
				coalesce(trim_scale(p.spend_cap)::text, ''), coalesce(trim_scale(p.spend_max)::text, ''), p.prepaid
			from plan p left join price_sheet s on (s.tenant_id, s.sheet_num) = (p.tenant_id, p.sheet_num)
			where p.tenant_id = $1 and p.published and p.deleted_at is null
			order by coalesce((s.sheet->>'monthlyFee')::numeric, 0), p.name limit 100`, site.Tenant)
		return tx.SendBatch(ctx, b).Close()
	})
	return out, err
}

// Documented is what a portal's reference of an API is made from.
type Documented struct {
	Definition model.Definition
	Source     []byte // the document as its author wrote it; empty: made by hand
}

// Documented reads the deployment of an API that is on the portal. It never
// changes, so it is read once.
func (p *Plane) Documented(ctx context.Context, site Site, apiID, deploymentID string) (out Documented, err error) {
	err = p.read(ctx, site.scope(), func(tx pgx.Tx) error {
		var doc []byte
		err := tx.QueryRow(ctx, `
			select d.definition, coalesce(s.bytes, '') from portal_api pa
			join deployment d on (d.tenant_id, d.api_id) = (pa.tenant_id, pa.api_id)
			left join api_source s on (s.tenant_id, s.api_id, s.sha256) = (d.tenant_id, d.api_id, d.source_sha256)
			where pa.tenant_id = $1 and pa.api_id = $2 and d.deployment_id = $3`, site.Tenant, apiID, deploymentID).Scan(&doc, &out.Source)
		if err != nil {
			return missing(err, "there is no API %q here", apiID)
		}
		return json.Unmarshal(doc, &out.Definition)
	})
	return out, err
}

// PortalDocument is a document that a portal documents an API from.
type PortalDocument struct {
	Tenant       uint32
	APIID        string
	DeploymentID string
	Bytes        int
}

// LargeDocuments lists the documents of published portals that have at least so
// many bytes, those deployed last first: what takes so long to read that it is read
// before somebody waits for it.
func (p *Plane) LargeDocuments(ctx context.Context, atLeast int) (out []PortalDocument, err error) {
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select pa.tenant_id, pa.api_id, d.deployment_id, octet_length(s.bytes) from portal_api pa
			join portal p on p.tenant_id = pa.tenant_id and p.published
			join tenant t on t.tenant_id = pa.tenant_id and not t.suspended
			join api a on (a.tenant_id, a.api_id) = (pa.tenant_id, pa.api_id) and a.deleted_at is null
			join stage st on (st.tenant_id, st.stage_num) = (pa.tenant_id, pa.stage_num) and st.deleted_at is null
			join deployment d on (d.tenant_id, d.deployment_id) = (st.tenant_id, st.deployment_id)
			join api_source s on (s.tenant_id, s.api_id, s.sha256) = (d.tenant_id, d.api_id, d.source_sha256)
			where octet_length(s.bytes) >= $1 order by d.deployment_num desc limit 500`, atLeast)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[PortalDocument])
		return err
	})
	return out, err
}

// tellPortals wakes those who follow what portals document.
func (w *write) tellPortals(ctx context.Context) error {
	_, err := w.Exec(ctx, `select pg_notify($1, '0')`, channelPortal)
	return err
}

// FollowPortals calls look now, and after every change of what portals document,
// until ctx ends.
func (p *Plane) FollowPortals(ctx context.Context, look func(context.Context)) {
	// Notifications that were lost with their connection are made up for when it is
	// back; the tick is for those of a plane that does not listen.
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		woken, _, leave := p.wake.subscribe(channelPortal, 0)
		look(ctx)
		select {
		case <-woken:
		case <-tick.C:
		case <-ctx.Done():
		}
		leave()
	}
}
