package control

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// maxPlanStages bounds what one plan can make a node hold.
const maxPlanStages = 1000

// maxDescription bounds what is written of a thing, in characters.
const maxDescription = 10_000

// checkHard refuses hard throttles where nothing can keep them: available says that the
// installation has counters for them.
func (s *PlanSpec) checkHard(available bool) error {
	if err := s.Exactness.Validate(); err != nil || !s.Hard {
		return err
	}
	if !available {
		return model.Errorf(model.Invalid, "hard throttles are kept in Redis or Valkey, and this installation has none: its operator can set TOLLGATE_REDIS_URL for the control plane and every gateway node; without, leave the plan's throttles to shares")
	}
	throttles := []*model.Throttle{s.Throttle}
	for _, st := range s.Stages {
		for _, t := range st.Throttle {
			throttles = append(throttles, &t)
		}
	}
	for _, t := range throttles {
		if t != nil && t.Rate <= 0 {
			return model.Errorf(model.Invalid, "a hard throttle needs a rate above 0")
		}
	}
	return nil
}

func (s *PlanSpec) check(hard bool) error {
	if err := checkName("a plan", s.Name, 1024); err != nil {
		return err
	}
	if err := s.Throttle.Validate(); err != nil {
		return err
	}
	if err := s.Quota.Validate(); err != nil {
		return err
	}
	if err := s.Price.Validate(); err != nil {
		return err
	}
	if err := s.checkHard(hard); err != nil {
		return err
	}
	if err := s.Spending.Validate(s.Price != nil); err != nil {
		return err
	}
	if utf8.RuneCountInString(s.Description) > maxDescription {
		return model.Errorf(model.Invalid, "the description has %d characters; at most %d are allowed", utf8.RuneCountInString(s.Description), maxDescription)
	}
	if s.Unpaid != "" && s.Unpaid != model.KeepAccess && s.Unpaid != model.SuspendAccess {
		return model.Errorf(model.Invalid, "access without payment is to %s or to %s, not to %.40q", model.KeepAccess, model.SuspendAccess, s.Unpaid)
	}
	if len(s.ProductCode) > 1024 {
		return model.Errorf(model.Invalid, "the product code has %d bytes; at most 1024 are allowed", len(s.ProductCode))
	}
	if len(s.Stages) > maxPlanStages {
		return model.Errorf(model.Limit, "the plan has %d stages; at most %d are allowed", len(s.Stages), maxPlanStages)
	}
	type ref struct{ api, stage string }
	seen := map[ref]bool{}
	for i := range s.Stages {
		st := &s.Stages[i]
		if seen[ref{st.APIID, st.Stage}] {
			return model.Errorf(model.Invalid, "stage %s of API %s is in the plan twice", st.Stage, st.APIID)
		}
		seen[ref{st.APIID, st.Stage}] = true
		for at, t := range st.Throttle {
			i := strings.LastIndexByte(at, '/')
			if i < 0 || at[0] != '/' || !slices.Contains(model.Verbs, at[i+1:]) {
				return model.Errorf(model.Invalid, "throttle for %q: write it as the method's path and verb, like /pets/{id}/GET", at)
			}
			if err := t.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// quotaColumns are a quota's parts, all nil without one.
func quotaColumns(q *model.Quota) (limit *int64, period *string, offset *int) {
	if q == nil {
		return nil, nil, nil
	}
	return &q.Limit, &q.Period, &q.Offset
}

// CreatePlan makes a usage plan. With a price it takes who may change prices.
func (p *Plane) CreatePlan(ctx context.Context, actor Actor, spec PlanSpec) (Plan, error) {
	if err := spec.check(p.hardLimits); err != nil {
		return Plan{}, err
	}
	var out Plan
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) (err error) {
		out, err = w.createPlan(ctx, spec)
		return err
	})
	if err != nil {
		return Plan{}, err
	}
	return out, nil
}

// createPlan writes a plan that was checked.
func (w *write) createPlan(ctx context.Context, spec PlanSpec) (Plan, error) {
	id := model.NewID(6)
	limit, period, offset := quotaColumns(spec.Quota)
	var num int64
	err := w.QueryRow(ctx, `
		insert into plan (tenant_id, plan_id, name, description, throttle, quota_limit, quota_period, quota_offset, published, product_code, unpaid, hard, fail_open, soft_quota,
			spend_cap, spend_max, prepaid)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, nullif($15, '')::text::numeric, nullif($16, '')::text::numeric, $17) returning plan_num`,
		w.tenant, id, spec.Name, spec.Description, spec.Throttle, limit, period, offset, spec.Published, spec.ProductCode, spec.Unpaid, spec.Hard, spec.FailOpen, spec.SoftQuota,
		string(spec.SpendCap), string(spec.SpendMax), spec.Prepaid).Scan(&num)
	if err != nil {
		return Plan{}, err
	}
	if err := w.setPrice(ctx, id, nil, spec.Price); err != nil {
		return Plan{}, err
	}
	if err := w.setPlanStages(ctx, id, spec.Stages); err != nil {
		return Plan{}, err
	}
	w.changed(kindPlan, num)
	if err := w.audit(ctx, "plan.create", id, map[string]any{"plan": spec}); err != nil {
		return Plan{}, err
	}
	return readPlan(ctx, w, w.tenant, id)
}

// UpdatePlan changes a plan: edit gets it as it is; what it makes of it takes
// effect on the nodes at once. A changed price takes who may change prices, and is
// for new subscriptions; MoveToCurrentPrice brings the others to it.
func (p *Plane) UpdatePlan(ctx context.Context, actor Actor, id string, edit func(*PlanSpec) error) (Plan, error) {
	var out Plan
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		was, err := readPlan(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		spec := was.PlanSpec
		if spec.Price != nil { // edit may change it in place
			price := spec.Price.Canonical()
			spec.Price = &price
		}
		if err := edit(&spec); err != nil {
			return err
		}
		if err := spec.check(p.hardLimits); err != nil {
			return err
		}
		limit, period, offset := quotaColumns(spec.Quota)
		var num int64
		err = w.QueryRow(ctx, `
			update plan set name = $3, description = $4, throttle = $5, quota_limit = $6, quota_period = $7, quota_offset = $8,
				published = $9, product_code = $10, unpaid = $11, hard = $12, fail_open = $13, soft_quota = $14,
				spend_cap = nullif($15, '')::text::numeric, spend_max = nullif($16, '')::text::numeric, prepaid = $17, updated_at = now()
			where tenant_id = $1 and plan_id = $2 returning plan_num`,
			w.tenant, id, spec.Name, spec.Description, spec.Throttle, limit, period, offset, spec.Published, spec.ProductCode, spec.Unpaid, spec.Hard, spec.FailOpen, spec.SoftQuota,
			string(spec.SpendCap), string(spec.SpendMax), spec.Prepaid).Scan(&num)
		if err != nil {
			return err
		}
		if err := w.setPrice(ctx, id, was.Price, spec.Price); err != nil {
			return err
		}
		if err := w.setPlanStages(ctx, id, spec.Stages); err != nil {
			return err
		}
		if err := w.onePlanPerStage(ctx, id, 0); err != nil {
			return err
		}
		w.changed(kindPlan, num)
		if spec.Spending != was.Spending { // what money bounds is told with the keys
			if err := w.changedMoneyOf(ctx, id); err != nil {
				return err
			}
		}
		if spec.Unpaid != was.Unpaid { // what overdue developers' keys open
			rows, err := w.Query(ctx, `
				select distinct sk.key_num::bigint from subscription s join app a using (tenant_id, app_id) join developer d using (tenant_id, developer_id)
				join subscription_key sk using (tenant_id, subscription_id)
				where s.tenant_id = $1 and s.plan_id = $2 and s.ended_at is null and d.overdue_at is not null order by 1`, w.tenant, id)
			if err != nil {
				return err
			}
			keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil {
				return err
			}
			w.changedKeys(keys)
		}
		if err := w.audit(ctx, "plan.update", id, map[string]any{"plan": spec}); err != nil {
			return err
		}
		out, err = readPlan(ctx, w, w.tenant, id)
		return err
	})
	if err != nil {
		return Plan{}, err
	}
	return out, nil
}

// setPlanStages replaces the stages of a plan.
func (w *write) setPlanStages(ctx context.Context, id string, stages []model.PlanStage) error {
	if _, err := w.Exec(ctx, `delete from plan_stage where tenant_id = $1 and plan_id = $2`, w.tenant, id); err != nil {
		return err
	}
	for i := range stages {
		s := &stages[i]
		tag, err := w.Exec(ctx, `
			insert into plan_stage (tenant_id, plan_id, stage_num, throttle)
			select tenant_id, $2, stage_num, $5 from stage
			where tenant_id = $1 and api_id = $3 and name = $4 and deleted_at is null`,
			w.tenant, id, s.APIID, s.Stage, s.Throttle)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return model.Errorf(model.NotFound, "API %q has no stage %q; deploy it first", s.APIID, s.Stage)
		}
	}
	return nil
}

// onePlanPerStage refuses what would give a key two plans for one stage: which of
// them a call is counted and limited by could not be told. With keyNum 0 it looks
// at all keys of the plan.
func (w *write) onePlanPerStage(ctx context.Context, planID string, keyNum uint32) error {
	var key, other, api, stage string
	err := w.QueryRow(ctx, `
		select k.key_id, p.name, st.api_id, st.name
		from subscription s
		join subscription_key sk using (tenant_id, subscription_id)
		join subscription_key ok on (ok.tenant_id, ok.key_num) = (sk.tenant_id, sk.key_num) and ok.subscription_id <> sk.subscription_id
		join subscription o on (o.tenant_id, o.subscription_id) = (ok.tenant_id, ok.subscription_id) and o.ended_at is null and o.plan_id <> s.plan_id
		join plan_stage mine on (mine.tenant_id, mine.plan_id) = (s.tenant_id, s.plan_id)
		join plan_stage theirs on (theirs.tenant_id, theirs.plan_id, theirs.stage_num) = (o.tenant_id, o.plan_id, mine.stage_num)
		join plan p on (p.tenant_id, p.plan_id) = (o.tenant_id, o.plan_id)
		join api_key k on (k.tenant_id, k.key_num) = (sk.tenant_id, sk.key_num) and k.deleted_at is null
		join stage st on (st.tenant_id, st.stage_num) = (mine.tenant_id, mine.stage_num)
		where s.tenant_id = $1 and s.plan_id = $2 and s.ended_at is null and ($3 = 0 or sk.key_num = $3)
		limit 1`, w.tenant, planID, keyNum).Scan(&key, &other, &api, &stage)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	return model.Errorf(model.Conflict,
		"key %s would have two plans for stage %s of API %s: it is subscribed to %q for it already; move the key, or take the stage out of one plan",
		key, stage, api, other)
}

// DeletePlan removes a plan that no key and no app is subscribed to.
func (p *Plane) DeletePlan(ctx context.Context, actor Actor, id string) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		was, err := readPlan(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		if was.Keys > 0 {
			return model.Errorf(model.Conflict, "%d keys are subscribed to plan %s; move or unsubscribe them first", was.Keys, id)
		}
		if was.Subscriptions > 0 { // apps without a key
			return model.Errorf(model.Conflict, "%d developers' apps are subscribed to plan %s; end their subscriptions first", was.Subscriptions, id)
		}
		if err := w.setPlanStages(ctx, id, nil); err != nil {
			return err
		}
		var num int64
		if err := w.QueryRow(ctx, `
			update plan set deleted_at = now(), published = false, updated_at = now()
			where tenant_id = $1 and plan_id = $2 returning plan_num`, w.tenant, id).Scan(&num); err != nil {
			return err
		}
		if err := w.untag(ctx, "/usageplans/"+id); err != nil {
			return err
		}
		w.changed(kindPlan, num)
		return w.audit(ctx, "plan.delete", id, map[string]any{"plan": was.PlanSpec})
	})
	return err
}

// planSelect reads plans whole, in one round trip. Running subscriptions are gone
// through once: a plan may have a hundred thousand.
const planSelect = `
	select p.plan_id, p.name, p.description, p.throttle, p.quota_limit, p.quota_period, p.quota_offset, p.created_at, p.updated_at, p.product_code, p.unpaid, p.hard, p.fail_open, p.soft_quota,
		coalesce(trim_scale(p.spend_cap)::text, ''), coalesce(trim_scale(p.spend_max)::text, ''), p.prepaid,
		coalesce((select tags from tag g where g.tenant_id = p.tenant_id and g.resource = '/usageplans/' || p.plan_id), '{}'),
		r.own + (select count(*) from subscription s join subscription_key sk using (tenant_id, subscription_id) join api_key k using (tenant_id, key_num)
			where s.tenant_id = p.tenant_id and s.plan_id = p.plan_id and s.ended_at is null and s.app_id is not null and k.deleted_at is null),
		` + planStages + `, p.published, ps.sheet, coalesce(ps.version, 0), r.running, r.other,
		coalesce((select jsonb_agg(jsonb_build_object('apiId', st.api_id, 'api', a.name, 'stage', st.name) order by a.name, st.api_id, st.name)
			from plan_stage ps join stage st using (tenant_id, stage_num) join api a using (tenant_id, api_id)
			where ps.tenant_id = p.tenant_id and ps.plan_id = p.plan_id), '[]')
	from plan p left join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (p.tenant_id, p.sheet_num),
		lateral (select count(*) as running, count(*) filter (where s.terms <> coalesce(p.sheet_num, 0)) as other,
				count(*) filter (where s.app_id is null) as own -- one key each
			from subscription s where s.tenant_id = p.tenant_id and s.plan_id = p.plan_id and s.ended_at is null) r
	where p.tenant_id = $1 and p.deleted_at is null`

// planStages is the stages of plan p as the JSON of []model.PlanStage.
const planStages = `coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
			'apiId', st.api_id, 'stage', st.name, 'throttle', ps.throttle)) order by st.api_id, st.name)
		from plan_stage ps join stage st using (tenant_id, stage_num)
		where ps.tenant_id = p.tenant_id and ps.plan_id = p.plan_id), '[]')`

func scanPlan(r pgx.CollectableRow) (Plan, error) {
	var p Plan
	var limit *int64
	var period *string
	var offset *int
	err := r.Scan(&p.ID, &p.Name, &p.Description, &p.Throttle, &limit, &period, &offset, &p.CreatedAt, &p.UpdatedAt, &p.ProductCode, &p.Unpaid, &p.Hard, &p.FailOpen, &p.SoftQuota, &p.SpendCap, &p.SpendMax, &p.Prepaid, &p.Tags, &p.Keys, &p.Stages,
		&p.Published, &p.Price, &p.Version, &p.Subscriptions, &p.OtherPrice, &p.Opens)
	p.Quota = quotaOf(limit, period, offset)
	return p, err
}

func quotaOf(limit *int64, period *string, offset *int) *model.Quota {
	if limit == nil {
		return nil
	}
	return &model.Quota{Limit: *limit, Period: *period, Offset: *offset}
}

func readPlan(ctx context.Context, tx pgx.Tx, tenant uint32, id string) (Plan, error) {
	rows, err := tx.Query(ctx, planSelect+` and p.plan_id = $2`, tenant, id)
	if err != nil {
		return Plan{}, err
	}
	out, err := pgx.CollectExactlyOneRow(rows, scanPlan)
	return out, missing(err, "there is no plan %q", id)
}

func planExists(ctx context.Context, tx pgx.Tx, tenant uint32, id string) error {
	var one int
	err := tx.QueryRow(ctx, `select 1 from plan where tenant_id = $1 and plan_id = $2 and deleted_at is null`, tenant, id).Scan(&one)
	return missing(err, "there is no plan %q", id)
}

// Plan is one usage plan.
func (p *Plane) Plan(ctx context.Context, actor Actor, id string) (Plan, error) {
	var out Plan
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var err error
		out, err = readPlan(ctx, tx, actor.Tenant, id)
		return err
	})
	if err != nil {
		return Plan{}, err
	}
	return out, nil
}

// PlanDetail is one usage plan with its prices and the stages it could open; for
// a plan that is not made yet, with an empty id, the stages alone.
func (p *Plane) PlanDetail(ctx context.Context, actor Actor, id string) (PlanDetail, error) {
	var out PlanDetail
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		collect(b, &out.Choices, pgx.RowToStructByPos[StageName], stageChoices, actor.Tenant)
		if id != "" {
			var plans []Plan
			collect(b, &plans, scanPlan, planSelect+` and p.plan_id = $2`, actor.Tenant, id)
			collect(b, &out.Versions, scanVersion, planVersions, actor.Tenant, id)
			if err := tx.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
			if len(plans) == 0 {
				return model.Errorf(model.NotFound, "there is no plan %q", id)
			}
			out.Plan = plans[0]
			return nil
		}
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return PlanDetail{}, err
	}
	return out, nil
}

// stageChoices are all stages of a tenant by the names of their APIs.
const stageChoices = `
	select st.api_id, a.name, st.name from stage st join api a using (tenant_id, api_id)
	where st.tenant_id = $1 and st.deleted_at is null order by a.name, st.api_id, st.name`

// collect queues a query whose rows become out.
func collect[T any](b *pgx.Batch, out *[]T, scan pgx.RowToFunc[T], sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		var err error
		*out, err = pgx.CollectRows(rows, scan)
		return err
	})
}

// Plans lists the usage plans by name.
func (p *Plane) Plans(ctx context.Context, actor Actor, pg Page) (List[Plan], error) {
	from, limit, err := pg.bounds()
	if err != nil {
		return List[Plan]{}, err
	}
	var out List[Plan]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, planSelect+`
			and (p.name, p.plan_id) > ($2, $3) and ($4 = '' or position(lower($4) in lower(p.name)) > 0)
			order by p.name, p.plan_id limit $5`, actor.Tenant, from.Name, from.ID, pg.Match, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, scanPlan)
		out = page(items, limit, func(p *Plan) after { return after{p.Name, p.ID} })
		return err
	})
	return out, err
}
