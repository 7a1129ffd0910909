package web

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

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

	Priced                  bool // the visitor may change the price
	Currency, Fee, Included string
	Tiers                   []tierRow
	Calls                   string // of a month, to see what a customer pays

	Problems []ui.Problem
	Pays     []paysRow // what customers pay, by how much they call
	samples  []int64   // the numbers of calls it is shown for; empty: a plan's
	PaysNote string    // why that is not shown
	Kept     int       // running subscriptions, which a change of the price leaves alone
}

// stageBox is a stage to tick.
type stageBox struct {
	control.StageName
	Checked bool
}

func (b stageBox) value() string { return b.APIID + "/" + b.Stage }

// tierRow is one tier of a price, as typed.
type tierRow struct{ UpTo, Price, Per string }

func (r tierRow) blank() bool { return r.UpTo == "" && r.Price == "" }

// spareTiers are blank rows below those that are filled in, so that tiers can be
// added without JavaScript.
const spareTiers = 2

// perOptions are what a price can be for.
var perOptions = []ui.Option{{Value: "1", Label: "per call"}, {Value: "1000", Label: "per 1,000 calls"}, {Value: "1000000", Label: "per million calls"}}

func (r tierRow) perOptions() []ui.Option {
	if r.Per == "" || slices.ContainsFunc(perOptions, func(o ui.Option) bool { return o.Value == r.Per }) {
		return perOptions
	}
	label := "per " + r.Per + " calls"
	if n, err := strconv.ParseInt(r.Per, 10, 64); err == nil {
		label = "per " + ui.Quantity(n) + " calls"
	}
	return append([]ui.Option{{Value: r.Per, Label: label}}, perOptions...)
}

// currencyOptions begin with what makes a plan free.
func currencyOptions() []ui.Option {
	out := []ui.Option{{Value: "", Label: "Free of charge"}}
	for _, c := range model.Currencies() {
		out = append(out, ui.Option{Value: c, Label: c})
	}
	return out
}

var periodOptions = []ui.Option{{Value: model.Day, Label: "a day"}, {Value: model.Week, Label: "a week"}, {Value: model.Month, Label: "a month"}}

// newPlanForm is the editor of a plan that is there, or of a new one.
func newPlanForm(p control.PlanDetail, priced bool) *planForm {
	f := &planForm{ID: p.ID, Name: p.Name, Description: p.Description, Published: p.Published, Period: model.Month, Offset: "0",
		Priced: priced, Kept: p.Subscriptions}
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

// priced fills in a price.
func (f *planForm) priced(s *model.PriceSheet) {
	f.Currency, f.Fee = s.Currency, string(s.MonthlyFee)
	if s.Included > 0 {
		f.Included = ui.Quantity(s.Included)
	}
	for _, t := range s.Tiers {
		row := tierRow{Price: string(t.Price), Per: strconv.FormatInt(max(t.Per, 1), 10)}
		if t.UpTo > 0 {
			row.UpTo = ui.Quantity(t.UpTo)
		}
		f.Tiers = append(f.Tiers, row)
	}
}

func (f *planForm) offer(choices []control.StageName, checked func(control.StageName) bool) {
	f.Stages = nil
	for _, c := range choices {
		f.Stages = append(f.Stages, stageBox{c, checked(c)})
	}
}

func (f *planForm) spare() {
	f.Tiers = slices.DeleteFunc(f.Tiers, tierRow.blank)
	for range min(spareTiers, model.MaxTiers-len(f.Tiers)) {
		f.Tiers = append(f.Tiers, tierRow{})
	}
}

// readPlanForm is the editor as it was sent.
func (v *visit) readPlanForm(p control.PlanDetail) *planForm {
	f := &planForm{ID: p.ID, Seen: v.value("seen"), Name: v.value("name"), Description: strings.TrimSpace(strings.ReplaceAll(v.raw("description"), "\r\n", "\n")),
		Rate: v.value("rate"), Burst: v.value("burst"), Quota: v.value("quota"), Period: v.value("period"), Offset: v.value("offset"),
		Published: v.checked("published"), Priced: v.may(control.ToBill), Currency: v.value("currency"), Fee: v.value("fee"),
		Included: v.value("included"), Calls: v.value("calls"), Kept: p.Subscriptions}
	ticked := v.r.PostForm["stage"]
	f.offer(p.Choices, func(s control.StageName) bool { return slices.Contains(ticked, s.APIID+"/"+s.Stage) })
	f.Tiers = v.tiers()
	return f
}

// tiers are those of the form that was sent, without blank rows.
func (v *visit) tiers() (out []tierRow) {
	for i := 0; i < model.MaxTiers && v.r.PostForm.Has(fmt.Sprintf("price%d", i)); i++ {
		n := strconv.Itoa(i)
		out = append(out, tierRow{UpTo: v.value("upto" + n), Price: v.value("price" + n), Per: v.value("per" + n)})
	}
	return slices.DeleteFunc(out, tierRow.blank)
}

func (f *planForm) wrong(name, format string, a ...any) {
	f.Problems = append(f.Problems, ui.Problem{Name: name, Text: fmt.Sprintf(format, a...)})
}

// refused notes why something of a field was refused, if it was.
func (f *planForm) refused(name string, err error) {
	if err != nil {
		f.wrong(name, "%s", sentence(model.MessageOf(err)))
	}
}

// at is what is wrong with a field.
func (f *planForm) at(name string) string {
	for _, p := range f.Problems {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

// spec is what the form makes of a plan; problems are noted at their fields.
func (f *planForm) spec(was control.PlanSpec) control.PlanSpec {
	out := was
	out.Name, out.Description, out.Published = f.Name, f.Description, f.Published
	if f.Name == "" {
		f.wrong("name", "A plan needs a name")
	}
	out.Throttle, out.Quota = f.throttle(), f.quota()
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

// price is the sheet that the form describes; nil where it is free of charge or
// something is wrong with it.
func (f *planForm) price() *model.PriceSheet {
	tiers := slices.DeleteFunc(slices.Clone(f.Tiers), tierRow.blank)
	if f.Currency == "" {
		if f.Fee != "" || f.Included != "" || len(tiers) > 0 {
			f.wrong("currency", "A price needs a currency; choose one, or empty the fields below")
		}
		return nil
	}
	before := len(f.Problems)
	s := &model.PriceSheet{Currency: f.Currency, MonthlyFee: model.Decimal(f.Fee)}
	if _, ok := model.MinorDigits(f.Currency); !ok {
		f.wrong("currency", "%q is not a currency that can be charged", f.Currency)
	}
	f.refused("fee", s.MonthlyFee.Validate())
	if f.Included != "" {
		var err error
		if s.Included, err = strconv.ParseInt(ungroup(f.Included), 10, 64); err != nil {
			f.wrong("included", "%q is not a number of calls", f.Included)
		}
	}
	for i, row := range tiers {
		s.Tiers = append(s.Tiers, f.tier(i, row))
	}
	if len(f.Problems) > before {
		return nil
	}
	if err := s.Validate(); err != nil {
		at := ""
		if n := len(s.Tiers); n > 0 && s.Tiers[n-1].UpTo != 0 {
			at = fmt.Sprintf("upto%d", n-1)
		} else {
			for i := 1; i < n; i++ {
				if s.Tiers[i].UpTo != 0 && s.Tiers[i].UpTo <= s.Tiers[i-1].UpTo {
					at = fmt.Sprintf("upto%d", i)
				}
			}
		}
		f.refused(at, err)
		return nil
	}
	return s
}

func (f *planForm) tier(i int, row tierRow) model.PriceTier {
	t := model.PriceTier{Price: model.Decimal(row.Price)}
	if row.Price == "" {
		f.wrong(fmt.Sprintf("price%d", i), "Tier %d has no price; write 0 if its calls are free", i+1)
	}
	f.refused(fmt.Sprintf("price%d", i), t.Price.Validate())
	var err error
	if row.UpTo != "" {
		if t.UpTo, err = strconv.ParseInt(ungroup(row.UpTo), 10, 64); err != nil || t.UpTo <= 0 {
			f.wrong(fmt.Sprintf("upto%d", i), "%q is not a number of calls; leave it out in the last tier", row.UpTo)
		}
	}
	if row.Per != "" && row.Per != "1" {
		if t.Per, err = strconv.ParseInt(row.Per, 10, 64); err != nil {
			f.wrong(fmt.Sprintf("per%d", i), "%q is not a number of calls", row.Per)
		}
	}
	return t
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
