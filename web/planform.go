package web

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

// planForm is the editor of a plan, as it was typed.
type planForm struct {
	ID   string // empty: a plan to be made
	Seen string // when the plan was last changed, as the form knows it

	Name, Description     string
	Rate, Burst           string
	Quota, Period, Offset string
	Stages                []stageBox
	Published             bool
	Unpaid                string
	model.Exactness
	model.Spending

	Priced bool // the visitor may change the price
	priceForm
	Tried *billing.WhatIf // what the price would have cost in the last month
	Kept  int             // running subscriptions, which a change of the price leaves alone
}

// stageBox is a stage to tick.
type stageBox struct {
	control.StageName
	Checked bool
}

func (b stageBox) value() string { return b.APIID + "/" + b.Stage }

var periodOptions = []ui.Option{{Value: model.Day, Label: "a day"}, {Value: model.Week, Label: "a week"}, {Value: model.Month, Label: "a month"}}

// newPlanForm is the editor of a plan that is there, or of a new one.
func newPlanForm(p control.PlanDetail, priced bool) *planForm {
	f := &planForm{ID: p.ID, Name: p.Name, Description: p.Description, Published: p.Published, Unpaid: p.Unpaid, Period: model.Month, Offset: "0",
		Priced: priced, priceForm: emptyPrice(), Kept: p.Subscriptions, Exactness: p.Exactness, Spending: p.Spending}
	if p.ID != "" {
		f.Seen = seenAt(p.Plan)
	}
	if t := p.Throttle; t != nil {
		f.Rate, f.Burst = strconv.FormatFloat(t.Rate, 'f', -1, 64), ui.Quantity(t.Burst)
	}
	if q := p.Quota; q != nil {
		f.Quota, f.Period, f.Offset = ui.Quantity(q.Limit), q.Period, strconv.Itoa(q.Offset)
	}
	f.offer(p.Choices, func(s control.StageName) bool { return slices.Contains(p.Opens, s) })
	if p.Price != nil {
		f.priced(p.Price)
	}
	if priced {
		f.pays()
	}
	f.spare()
	return f
}

func (f *planForm) offer(choices []control.StageName, checked func(control.StageName) bool) {
	f.Stages = nil
	for _, c := range choices {
		f.Stages = append(f.Stages, stageBox{c, checked(c)})
	}
}

// readPlanForm is the editor as it was sent.
func (v *visit) readPlanForm(p control.PlanDetail) *planForm {
	f := &planForm{ID: p.ID, Seen: v.value("seen"), Name: v.value("name"), Description: strings.TrimSpace(strings.ReplaceAll(v.raw("description"), "\r\n", "\n")),
		Rate: v.value("rate"), Burst: v.value("burst"), Quota: v.value("quota"), Period: v.value("period"), Offset: v.value("offset"),
		Published: v.checked("published"), Unpaid: v.value("unpaid"), Priced: v.may(control.ToBill), priceForm: v.readPrice(), Kept: p.Subscriptions,
		Exactness: model.Exactness{Hard: v.checked("hard"), FailOpen: v.checked("fail-open"), SoftQuota: v.checked("soft-quota")},
		Spending:  model.Spending{SpendCap: model.Decimal(v.value("spend-cap")), SpendMax: model.Decimal(v.value("spend-max")), Prepaid: v.checked("prepaid")}}
	ticked := v.r.PostForm["stage"]
	f.offer(p.Choices, func(s control.StageName) bool { return slices.Contains(ticked, s.APIID+"/"+s.Stage) })
	return f
}

// spec is what the form makes of a plan; problems are noted at their fields.
func (f *planForm) spec(was control.PlanSpec) control.PlanSpec {
	out := was
	out.Name, out.Description, out.Published, out.Unpaid = f.Name, f.Description, f.Published, f.Unpaid
	if f.Name == "" {
		f.wrong("name", "A plan needs a name")
	}
	out.Throttle, out.Quota, out.Exactness = f.throttle(), f.quota(), f.Exactness
	f.refused("fail-open", f.Exactness.Validate())
	out.Stages = []model.PlanStage{}
	for _, s := range f.Stages {
		if !s.Checked {
			continue
		}
		stage := model.PlanStage{APIID: s.APIID, Stage: s.Stage}
		for _, w := range was.Stages { // what is set per method is kept: the form has no field for it
			if w.APIID == s.APIID && w.Stage == s.Stage {
				stage.Throttle = w.Throttle
			}
		}
		out.Stages = append(out.Stages, stage)
	}
	if f.Priced {
		out.Price = f.price()
	}
	out.Spending = f.Spending
	f.refused("spend-cap", f.Spending.Validate(out.Price != nil))
	return out
}

func (f *planForm) throttle() *model.Throttle {
	if f.Rate == "" && f.Burst == "" {
		return nil
	}
	rate, err := strconv.ParseFloat(ungroup(f.Rate), 64)
	if err != nil {
		f.wrong("rate", "%q is not a number of calls a second, such as 10 or 0.5", f.Rate)
		return nil
	}
	t := &model.Throttle{Rate: rate}
	if err := t.Validate(); err != nil {
		f.refused("rate", err)
		return nil
	}
	burst := int64(math.Max(1, math.Ceil(rate)))
	if f.Burst != "" {
		if burst, err = strconv.ParseInt(ungroup(f.Burst), 10, 64); err != nil || burst > math.MaxInt32 {
			f.wrong("burst", "%q is not a number of calls", f.Burst)
			return nil
		}
	}
	t.Burst = int(burst)
	f.refused("burst", t.Validate())
	return t
}

func (f *planForm) quota() *model.Quota {
	if f.Quota == "" {
		return nil
	}
	limit, err := strconv.ParseInt(ungroup(f.Quota), 10, 64)
	if err != nil {
		f.wrong("quota", "%q is not a number of calls", f.Quota)
		return nil
	}
	q := &model.Quota{Limit: limit, Period: f.Period}
	if err := q.Validate(); err != nil {
		f.refused("quota", err)
		return nil
	}
	if f.Offset != "" {
		if q.Offset, err = strconv.Atoi(f.Offset); err != nil {
			f.wrong("offset", "%q is not a number of days", f.Offset)
			return nil
		}
	}
	f.refused("offset", q.Validate())
	return q
}

// ungroup takes out what people put between groups of digits.
func ungroup(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', ',', '_', '\'', '’', '\u00a0', '\u202f':
			return -1
		}
		return r
	}, s)
}

// seenAt names the state of a plan that a form was made from.
func seenAt(p control.Plan) string { return p.UpdatedAt.UTC().Format(time.RFC3339Nano) }

// number writes a number for the command line: no groups, no exponent.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// quoted writes a word for a shell.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || r == '/' || r == ':' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (f *planForm) action() string {
	if f.ID == "" {
		return "/plans/new"
	}
	return planURL(f.ID) + "/edit"
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func throttleAt(s model.PlanStage, at string) *model.Throttle {
	t := s.Throttle[at]
	return &t
}
