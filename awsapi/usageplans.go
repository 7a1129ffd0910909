package awsapi

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
)

var usagePlans = handlers{
	"CreateUsagePlan":    (*call).createUsagePlan,
	"GetUsagePlan":       (*call).getUsagePlan,
	"GetUsagePlans":      (*call).getUsagePlans,
	"UpdateUsagePlan":    (*call).updateUsagePlan,
	"DeleteUsagePlan":    (*call).deleteUsagePlan,
	"CreateUsagePlanKey": (*call).createUsagePlanKey,
	"GetUsagePlanKey":    (*call).getUsagePlanKey,
	"GetUsagePlanKeys":   (*call).getUsagePlanKeys,
	"DeleteUsagePlanKey": (*call).deleteUsagePlanKey,
	"GetUsage":           (*call).getUsage,
	"UpdateUsage":        (*call).updateUsage,
}

// usagePlan is a plan's shape.
type usagePlan struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	APIStages   []apiStage        `json:"apiStages"`
	Throttle    *throttle         `json:"throttle,omitempty"`
	Quota       *quota            `json:"quota,omitempty"`
	ProductCode string            `json:"productCode,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

type apiStage struct {
	APIID    string              `json:"apiId"`
	Stage    string              `json:"stage"`
	Throttle map[string]throttle `json:"throttle,omitempty"`
}

type throttle struct {
	BurstLimit int     `json:"burstLimit"`
	RateLimit  float64 `json:"rateLimit"`
}

type quota struct {
	Limit  int64  `json:"limit"`
	Offset int    `json:"offset"`
	Period string `json:"period"`
}

func (t *throttle) model() *model.Throttle {
	if t == nil {
		return nil
	}
	return &model.Throttle{Rate: t.RateLimit, Burst: t.BurstLimit}
}

func asUsagePlan(p *control.Plan) usagePlan {
	out := usagePlan{ID: p.ID, Name: p.Name, Description: p.Description, APIStages: []apiStage{}, ProductCode: p.ProductCode, Tags: p.Tags}
	if t := p.Throttle; t != nil {
		out.Throttle = &throttle{t.Burst, t.Rate}
	}
	if q := p.Quota; q != nil {
		out.Quota = &quota{q.Limit, q.Offset, q.Period}
	}
	for _, s := range p.Stages {
		x := apiStage{APIID: s.APIID, Stage: s.Stage}
		for at, t := range s.Throttle {
			set(&x.Throttle, at, throttle{t.Burst, t.Rate})
		}
		out.APIStages = append(out.APIStages, x)
	}
	return out
}

// readUsagePlan is a plan as reads show it: with its tags, even none.
func readUsagePlan(p *control.Plan) any {
	out := asUsagePlan(p)
	tags := out.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return struct {
		usagePlan
		Tags map[string]string `json:"tags"`
	}{out, tags}
}

var (
	errNoPlan = notFound("Invalid Usage Plan ID specified")
)

// noPlan gives control's refusals of plans the service's words.
func (c *call) noPlan(err error) error {
	if model.KindOf(err) == model.NotFound {
		if strings.Contains(model.MessageOf(err), "no stage") {
			return notFound("Invalid API Stage specified")
		}
		return errNoPlan
	}
	return err
}

func (c *call) createUsagePlan() (any, error) {
	var in struct {
		Name        string
		Description string
		APIStages   []apiStage
		Throttle    *throttle
		Quota       *quota
		Tags        map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Name) == "" {
		return nil, badRequest("Usage Plan name cannot be blank")
	}
	spec := control.PlanSpec{Name: in.Name, Description: in.Description, Throttle: in.Throttle.model()}
	if q := in.Quota; q != nil {
		spec.Quota = &model.Quota{Limit: q.Limit, Period: q.Period, Offset: q.Offset}
		if err := checkQuota(spec.Quota); err != nil {
			return nil, err
		}
	}
	for _, s := range in.APIStages {
		x := model.PlanStage{APIID: s.APIID, Stage: s.Stage}
		for at, t := range s.Throttle {
			set(&x.Throttle, at, *t.model())
		}
		spec.Stages = append(spec.Stages, x)
	}
	p, err := c.Plane.CreatePlan(c.ctx, c.actor, spec)
	if err != nil {
		return nil, c.noPlan(err)
	}
	if len(in.Tags) > 0 {
		if err := c.Plane.SetTags(c.ctx, c.actor, "/usageplans/"+p.ID, in.Tags, nil); err != nil {
			return nil, err
		}
		p.Tags = in.Tags
	}
	return asUsagePlan(&p), nil
}

func checkQuota(q *model.Quota) error {
	if !slices.Contains([]string{model.Day, model.Week, model.Month}, q.Period) {
		return badRequest("Usage Plan quota period is invalid. Must be one of: [DAY, WEEK, MONTH]")
	}
	if err := q.Validate(); err != nil {
		return badRequest("Usage Plan quota is invalid: %s", model.MessageOf(err))
	}
	return nil
}

func (c *call) getUsagePlan() (any, error) {
	p, err := c.Plane.Plan(c.ctx, c.actor, c.args["usageplanId"])
	if err != nil {
		return nil, c.noPlan(err)
	}
	return readUsagePlan(&p), nil
}

func (c *call) getUsagePlans() (any, error) {
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	key := c.query.Get("keyId")
	l, err := c.Plane.Plans(c.ctx, c.actor, control.Page{After: after, Limit: n})
	if err != nil {
		return nil, err
	}
	of := map[string]bool{}
	if key != "" {
		k, err := c.Plane.Key(c.ctx, c.actor, key)
		if model.KindOf(err) == model.NotFound {
			return nil, errNoKey
		}
		if err != nil {
			return nil, err
		}
		for _, p := range k.Plans {
			of[p.PlanID] = true
		}
	}
	out := []usagePlan{}
	for i := range l.Items {
		if key == "" || of[l.Items[i].ID] {
			out = append(out, asUsagePlan(&l.Items[i]))
		}
	}
	return list{Position: next(l.Next), Item: out}, nil
}

func (c *call) updateUsagePlan() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	p, err := c.Plane.UpdatePlan(c.ctx, c.actor, c.args["usageplanId"], func(s *control.PlanSpec) error {
		stage := func(name string) (int, error) {
			api, stage, ok := strings.Cut(name, ":")
			if !ok {
				return 0, badRequest("Invalid API Stage specified: %s; write it as apiId:stageName", name)
			}
			i := slices.IndexFunc(s.Stages, func(x model.PlanStage) bool { return x.APIID == api && x.Stage == stage })
			return i, nil
		}
		err := patch(steps, []patchRule{
			{ops: "replace", pattern: "/name", apply: func(p *patchOp, _ []string) error {
				if strings.TrimSpace(p.value()) == "" {
					return badRequest("Usage Plan name cannot be blank")
				}
				s.Name = p.value()
				return nil
			}},
			{ops: "replace", pattern: "/description", apply: func(p *patchOp, _ []string) error { s.Description = p.value(); return nil }},
			{ops: "add replace remove", pattern: "/productCode", apply: func(p *patchOp, _ []string) error {
				s.ProductCode = p.value()
				if p.Op == "remove" {
					s.ProductCode = ""
				}
				return nil
			}},
			{ops: "add remove", pattern: "/apiStages", apply: func(p *patchOp, _ []string) error {
				i, err := stage(p.value())
				if err != nil {
					return err
				}
				api, name, _ := strings.Cut(p.value(), ":")
				switch {
				case p.Op == "remove" && i < 0:
					return notFound("Invalid API Stage specified")
				case p.Op == "remove":
					s.Stages = slices.Delete(slices.Clone(s.Stages), i, i+1)
				case i < 0:
					s.Stages = append(slices.Clone(s.Stages), model.PlanStage{APIID: api, Stage: name})
				}
				return nil
			}},
			{ops: "add replace", pattern: "/throttle/rateLimit", apply: func(p *patchOp, _ []string) error { return setRate(&s.Throttle, p.value()) }},
			{ops: "add replace", pattern: "/throttle/burstLimit", apply: func(p *patchOp, _ []string) error { return setBurst(&s.Throttle, p.value()) }},
			{ops: "remove", pattern: "/throttle", apply: func(*patchOp, []string) error { s.Throttle = nil; return nil }},
			{ops: "add replace", pattern: "/quota/limit", apply: func(p *patchOp, _ []string) error {
				n, err := strconv.ParseInt(p.value(), 10, 64)
				if err != nil {
					return badRequest("Usage Plan quota limit is invalid: %s", p.value())
				}
				quotaOf(s).Limit = n
				return nil
			}},
			{ops: "add replace", pattern: "/quota/offset", apply: func(p *patchOp, _ []string) error {
				n, err := strconv.Atoi(p.value())
				if err != nil {
					return badRequest("Usage Plan quota offset is invalid: %s", p.value())
				}
				quotaOf(s).Offset = n
				return nil
			}},
			{ops: "add replace", pattern: "/quota/period", apply: func(p *patchOp, _ []string) error { quotaOf(s).Period = p.value(); return nil }},
			{ops: "remove", pattern: "/quota", apply: func(*patchOp, []string) error { s.Quota = nil; return nil }},
			{ops: "replace add", pattern: "/apiStages/{stage}/throttle/{method...}/{limit}", apply: func(p *patchOp, a []string) error {
				return c.patchStageThrottle(s, stage, a, p)
			}},
			{ops: "remove", pattern: "/apiStages/{stage}/throttle/{method...}", hidden: true, apply: func(_ *patchOp, a []string) error {
				i, err := stage(a[0])
				if err != nil || i < 0 {
					return notFound("Invalid API Stage specified")
				}
				t := map[string]model.Throttle{}
				for at, x := range s.Stages[i].Throttle {
					if at != methodAt(a[1]) {
						t[at] = x
					}
				}
				s.Stages[i].Throttle = t
				return nil
			}},
			{ops: "replace add", pattern: "/apiStages/{stage}/throttle", hidden: true, apply: func(*patchOp, []string) error {
				return badRequest("A throttle is set method by method: /apiStages/{api:stage}/throttle/{path}/{VERB}/rateLimit")
			}},
			{ops: "remove", pattern: "/apiStages/{stage}/throttle", hidden: true, apply: func(_ *patchOp, a []string) error {
				i, err := stage(a[0])
				if err != nil || i < 0 {
					return notFound("Invalid API Stage specified")
				}
				s.Stages[i].Throttle = nil
				return nil
			}},
		})
		if err != nil {
			return err
		}
		if s.Quota != nil {
			return checkQuota(s.Quota)
		}
		return nil
	})
	if err != nil {
		return nil, c.noPlan(err)
	}
	return readUsagePlan(&p), nil
}

// quotaOf is a plan's quota, made if need be.
func quotaOf(s *control.PlanSpec) *model.Quota {
	if s.Quota == nil {
		s.Quota = &model.Quota{Period: model.Month}
	}
	return s.Quota
}

func setRate(t **model.Throttle, value string) error {
	rate, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return badRequest("Invalid throttle rate limit specified: %s", value)
	}
	next := model.Throttle{}
	if *t != nil {
		next = **t
	}
	next.Rate = rate
	*t = &next
	return nil
}

func setBurst(t **model.Throttle, value string) error {
	burst, err := strconv.Atoi(value)
	if err != nil {
		return badRequest("Invalid throttle burst limit specified: %s", value)
	}
	next := model.Throttle{}
	if *t != nil {
		next = **t
	}
	next.Burst = burst
	*t = &next
	return nil
}

// methodAt is a method in a plan's throttles, which may come without its first slash.
func methodAt(method string) string { return "/" + strings.TrimPrefix(method, "/") }

func (c *call) patchStageThrottle(s *control.PlanSpec, stage func(string) (int, error), a []string, p *patchOp) error {
	i, err := stage(a[0])
	if err != nil {
		return err
	}
	if i < 0 {
		return notFound("Invalid API Stage specified")
	}
	at := methodAt(a[1])
	x := s.Stages[i].Throttle[at]
	t := &x
	switch a[2] {
	case "rateLimit":
		err = setRate(&t, p.value())
	case "burstLimit":
		err = setBurst(&t, p.value())
	default:
		err = unknownPath(p, nil)
	}
	if err != nil {
		return err
	}
	next := map[string]model.Throttle{at: *t}
	for k, v := range s.Stages[i].Throttle {
		if k != at {
			next[k] = v
		}
	}
	s.Stages[i].Throttle = next
	return nil
}

func (c *call) deleteUsagePlan() (any, error) {
	id := c.args["usageplanId"]
	p, err := c.Plane.Plan(c.ctx, c.actor, id)
	if err != nil {
		return nil, c.noPlan(err)
	}
	if len(p.Stages) > 0 {
		return nil, badRequest("Cannot delete usage plan %s that has API stages; remove them first", id)
	}
	if p.Keys > 0 { // a plan without stages opens nothing: its keys lose nothing
		l, err := c.Plane.Keys(c.ctx, c.actor, control.KeyFilter{Page: control.Page{Limit: 1000}, PlanID: id})
		if err != nil {
			return nil, err
		}
		for _, k := range l.Items {
			if err := c.Plane.Unsubscribe(c.ctx, c.actor, k.ID, id); err != nil {
				return nil, err
			}
		}
	}
	return nil, c.noPlan(c.Plane.DeletePlan(c.ctx, c.actor, id))
}

// usagePlanKey is the shape of a key in a plan.
type usagePlanKey struct {
	ID    string `json:"id"`
	Type  string `json:"type"`
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// asPlanKeys shows keys of a plan, with their values where those are kept and the
// caller may see them.
func (c *call) asPlanKeys(keys []control.Key) ([]usagePlanKey, error) {
	ids := make([]string, len(keys))
	for i := range keys {
		ids[i] = keys[i].ID
	}
	var values map[string]string
	if c.actor.May(control.ToSell) == nil {
		var err error
		if values, err = c.Plane.KeyValues(c.ctx, c.actor, ids); err != nil {
			return nil, err
		}
	}
	out := make([]usagePlanKey, len(keys))
	for i := range keys {
		out[i] = usagePlanKey{keys[i].ID, "API_KEY", keys[i].Name, values[keys[i].ID]}
	}
	return out, nil
}

func (c *call) createUsagePlanKey() (any, error) {
	var in struct{ KeyID, KeyType string }
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if in.KeyType != "API_KEY" {
		return nil, badRequest("Invalid key type specified: %s. Must be one of: [API_KEY]", in.KeyType)
	}
	k, err := c.Plane.Key(c.ctx, c.actor, in.KeyID)
	if model.KindOf(err) == model.NotFound {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	if _, err := c.Plane.Subscribe(c.ctx, c.actor, in.KeyID, c.args["usageplanId"]); err != nil {
		return nil, c.noPlan(err)
	}
	out, err := c.asPlanKeys([]control.Key{k})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// planKey finds a key that is subscribed to the call's plan.
func (c *call) planKey() (control.Key, error) {
	if _, err := c.Plane.Plan(c.ctx, c.actor, c.args["usageplanId"]); err != nil {
		return control.Key{}, c.noPlan(err)
	}
	k, err := c.Plane.Key(c.ctx, c.actor, c.args["keyId"])
	if err == nil && slices.ContainsFunc(k.Plans, func(p control.KeyPlan) bool { return p.PlanID == c.args["usageplanId"] }) {
		return k, nil
	}
	if err == nil || model.KindOf(err) == model.NotFound {
		err = notFound("Invalid Usage Plan Key identifier specified")
	}
	return control.Key{}, err
}

func (c *call) getUsagePlanKey() (any, error) {
	k, err := c.planKey()
	if err != nil {
		return nil, err
	}
	out, err := c.asPlanKeys([]control.Key{k})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

func (c *call) getUsagePlanKeys() (any, error) {
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	l, err := c.Plane.Keys(c.ctx, c.actor, control.KeyFilter{Page: control.Page{After: after, Limit: n}, PlanID: c.args["usageplanId"], Newest: true, Prefix: c.query.Get("name")})
	if err != nil {
		return nil, c.noPlan(err)
	}
	out, err := c.asPlanKeys(l.Items)
	if err != nil {
		return nil, err
	}
	return list{Position: next(l.Next), Item: out}, nil
}

func (c *call) deleteUsagePlanKey() (any, error) {
	if _, err := c.planKey(); err != nil {
		return nil, err
	}
	return nil, c.Plane.Unsubscribe(c.ctx, c.actor, c.args["keyId"], c.args["usageplanId"])
}

// usage is the shape of a plan's usage: of each key, what was used and what was
// left, day by day.
type usage struct {
	UsagePlanID string               `json:"usagePlanId"`
	StartDate   string               `json:"startDate"`
	EndDate     string               `json:"endDate"`
	Position    string               `json:"position,omitempty"`
	Values      map[string][][]int64 `json:"values"`
}

const maxUsageDays = 366

func (c *call) getUsage() (any, error) {
	from, err1 := time.Parse(time.DateOnly, c.query.Get("startDate"))
	to, err2 := time.Parse(time.DateOnly, c.query.Get("endDate"))
	switch {
	case err1 != nil || err2 != nil:
		return nil, badRequest("Invalid date specified: startDate and endDate are written as yyyy-mm-dd")
	case to.Before(from):
		return nil, badRequest("Invalid date range specified: endDate is before startDate")
	case to.Sub(from) > maxUsageDays*24*time.Hour:
		return nil, badRequest("Invalid date range specified: at most %d days", maxUsageDays)
	}
	p, err := c.Plane.Plan(c.ctx, c.actor, c.args["usageplanId"])
	if err != nil {
		return nil, c.noPlan(err)
	}
	out := usage{UsagePlanID: p.ID, StartDate: from.Format(time.DateOnly), EndDate: to.Format(time.DateOnly), Values: map[string][][]int64{}}
	var keys []control.Key
	if id := c.query.Get("keyId"); id != "" {
		c.args["keyId"] = id
		k, err := c.planKey()
		if err != nil {
			return nil, err
		}
		keys = []control.Key{k}
	} else {
		n, err := c.limit()
		if err != nil {
			return nil, err
		}
		after, err := c.position()
		if err != nil {
			return nil, err
		}
		l, err := c.Plane.Keys(c.ctx, c.actor, control.KeyFilter{Page: control.Page{After: after, Limit: n}, PlanID: p.ID, Newest: true})
		if err != nil {
			return nil, err
		}
		keys, out.Position = l.Items, next(l.Next)
	}
	for _, k := range keys {
		if out.Values[k.ID], err = c.usageOf(&p, k.ID, from, to); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// usageOf is a key's usage of a plan, day by day: used, and what its quota left at
// the day's end. Without a quota there is no number of what is left; -1 stands for
// that.
func (c *call) usageOf(p *control.Plan, key string, from, to time.Time) ([][]int64, error) {
	begin := from
	if p.Quota != nil {
		begin, _ = p.Quota.Window(from)
	}
	used, err := c.usedByDay(p, key, begin, to)
	if err != nil {
		return nil, err
	}
	var extension int64
	var running time.Time
	if p.Quota != nil {
		running, _ = p.Quota.Window(c.Now())
		if extension, err = c.Plane.QuotaExtension(c.ctx, c.actor, p.ID, key); err != nil {
			return nil, err
		}
	}
	out := [][]int64{}
	var sum int64
	var window time.Time
	for day := begin; !day.After(to); day = day.AddDate(0, 0, 1) {
		n, left := used[day.Format(time.DateOnly)], int64(-1)
		if p.Quota != nil {
			if start, _ := p.Quota.Window(day); !start.Equal(window) {
				window, sum = start, 0
			}
			sum += n
			left = p.Quota.Limit - sum
			if window.Equal(running) {
				left += extension
			}
			left = max(left, 0)
		}
		if !day.Before(from) {
			out = append(out, []int64{n, left})
		}
	}
	return out, nil
}

// usedByDay are the calls of a key on the plan's stages that counted.
func (c *call) usedByDay(p *control.Plan, key string, from, to time.Time) (map[string]int64, error) {
	out := map[string]int64{}
	opens := map[[2]string]bool{}
	for _, s := range p.Stages {
		opens[[2]string{s.APIID, s.Stage}] = true
	}
	err := c.Usage.EachUsage(c.ctx, c.actor.Tenant, model.UsageQuery{KeyID: key, By: "day", From: from, To: to.AddDate(0, 0, 1)}, func(r *model.UsageRow) error {
		if opens[[2]string{r.APIID, r.Stage}] {
			out[r.Time.UTC().Format(time.DateOnly)] += r.Billable
		}
		return nil
	})
	return out, err
}

func (c *call) updateUsage() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	if _, err := c.planKey(); err != nil {
		return nil, err
	}
	p, err := c.Plane.Plan(c.ctx, c.actor, c.args["usageplanId"])
	if err != nil {
		return nil, c.noPlan(err)
	}
	if p.Quota == nil {
		return nil, badRequest("Usage Plan %s has no quota to extend", p.ID)
	}
	key, today := c.args["keyId"], c.Now().UTC().Truncate(24*time.Hour)
	start, _ := p.Quota.Window(c.Now())
	err = patch(steps, []patchRule{{ops: "replace", pattern: "/remaining", apply: func(op *patchOp, _ []string) error {
		n, err := strconv.ParseInt(op.value(), 10, 64)
		if err != nil || n < 0 {
			return badRequest("Invalid remaining quota specified: %s", op.value())
		}
		used, err := c.usedByDay(&p, key, start, today)
		if err != nil {
			return err
		}
		var sum int64
		for _, u := range used {
			sum += u
		}
		return c.Plane.ExtendQuota(c.ctx, c.actor, p.ID, key, n-p.Quota.Limit+sum)
	}}})
	if err != nil {
		return nil, err
	}
	values, err := c.usageOf(&p, key, today, today)
	if err != nil {
		return nil, err
	}
	return usage{UsagePlanID: p.ID, StartDate: today.Format(time.DateOnly), EndDate: today.Format(time.DateOnly), Values: map[string][][]int64{key: values}}, nil
}
