package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/model"
)

func planCommand() *cobra.Command {
	return tenantVerbs(&cobra.Command{Use: "plan", Short: "Usage plans: who may call what, how often"},
		planCreateCommand(), planUpdateCommand(), planRepriceCommand(), planListCommand())
}

// planFlags are what a plan is made of on the command line.
type planFlags struct {
	name, description   string
	throttle            throttleFlags
	quota               int64
	period              string
	offset              int
	stages              []string
	noThrottle, noQuota bool
	price               priceFlags
	published           bool

	hard, failOpen, softQuota bool

	spendCap, spendMax string
	prepaid            bool
}

func (f *planFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", "name of the plan")
	cmd.Flags().StringVar(&f.description, "description", "", "what it is for")
	f.throttle.add(cmd, "of each key")
	cmd.Flags().Int64Var(&f.quota, "quota", 0, "calls of each key in a period")
	cmd.Flags().StringVar(&f.period, "period", model.Month, "DAY, WEEK or MONTH")
	cmd.Flags().IntVar(&f.offset, "offset", 0, "days that a period begins later")
	cmd.Flags().StringArrayVar(&f.stages, "stage", nil, "API:STAGE that the plan opens, the API by id or name; repeated")
	cmd.Flags().BoolVar(&f.published, "published", false, "offer it on the portal")
	cmd.Flags().BoolVar(&f.hard, "hard", false, "keep rate and burst exactly on all nodes together, in Redis or Valkey (else each node has a share)")
	cmd.Flags().BoolVar(&f.failOpen, "fail-open", false, "while that cannot be asked, go on with shares (else no call passes)")
	cmd.Flags().BoolVar(&f.softQuota, "soft-quota", false, "give out again what a lost node held of the quota before its usage is in; the quota may be exceeded by it")
	cmd.Flags().StringVar(&f.spendCap, "spend-cap", "", "what a month of a developer's subscription may cost, where it sets nothing itself, before tax; empty: what it will")
	cmd.Flags().StringVar(&f.spendMax, "spend-max", "", "the most that a developer may set; empty: anything")
	cmd.Flags().BoolVar(&f.prepaid, "prepaid", false, "let calls in only as far as the developer's prepaid balance reaches")
	f.price.add(cmd)
}

// edit applies the flags that were given to a plan; others stay as they are.
func (f *planFlags) edit(cmd *cobra.Command, stages []model.PlanStage) func(*control.PlanSpec) error {
	given := cmd.Flags().Changed
	return func(s *control.PlanSpec) error {
		if given("name") {
			s.Name = f.name
		}
		if given("description") {
			s.Description = f.description
		}
		var err error
		if s.Throttle, err = f.throttle.apply(cmd, s.Throttle); err != nil {
			return err
		}
		if given("quota") || given("period") || given("offset") {
			q := model.Quota{Period: strings.ToUpper(f.period), Offset: f.offset}
			if s.Quota != nil {
				q = *s.Quota
			} else if !given("quota") {
				return model.Errorf(model.Invalid, "--period and --offset need --quota")
			}
			if given("quota") {
				q.Limit = f.quota
			}
			if given("period") {
				q.Period = strings.ToUpper(f.period)
			}
			if given("offset") {
				q.Offset = f.offset
			}
			if err := q.Validate(); err != nil {
				return err
			}
			s.Quota = &q
		}
		if f.noThrottle {
			s.Throttle = nil
		}
		if f.noQuota {
			s.Quota = nil
		}
		if given("published") {
			s.Published = f.published
		}
		if given("hard") {
			s.Hard = f.hard
			s.FailOpen = s.FailOpen && f.hard
		}
		if given("fail-open") {
			s.FailOpen = f.failOpen
		}
		if given("soft-quota") {
			s.SoftQuota = f.softQuota
		}
		if given("spend-cap") {
			s.SpendCap = model.Decimal(f.spendCap)
		}
		if given("spend-max") {
			s.SpendMax = model.Decimal(f.spendMax)
		}
		if given("prepaid") {
			s.Prepaid = f.prepaid
		}
		if s.Price, err = f.price.apply(cmd, s.Price); err != nil {
			return err
		}
		if given("stage") {
			s.Stages = keepMethodThrottles(s.Stages, stages)
		}
		return nil
	}
}

// keepMethodThrottles replaces the list of stages, but what is set per method on
// one that stays is kept: the command line has no flag for it.
func keepMethodThrottles(was, now []model.PlanStage) []model.PlanStage {
	for i := range now {
		for _, w := range was {
			if w.APIID == now[i].APIID && w.Stage == now[i].Stage {
				now[i].Throttle = w.Throttle
			}
		}
	}
	return now
}

func (v *verb) planStages(refs []string) ([]model.PlanStage, error) {
	var out []model.PlanStage
	for _, ref := range refs {
		i := strings.LastIndexByte(ref, ':')
		if i <= 0 || i == len(ref)-1 {
			return nil, model.Errorf(model.Invalid, "--stage %q is not API:STAGE", ref)
		}
		id, err := v.api(ref[:i])
		if err != nil {
			return nil, err
		}
		out = append(out, model.PlanStage{APIID: id, Stage: ref[i+1:]})
	}
	return out, nil
}

func planCreateCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use: "create --name N", Short: "Make a usage plan", Args: cobra.NoArgs,
		RunE: asOwner(func(v *localVerb, _ []string) error {
			stages, err := v.planStages(f.stages)
			if err != nil {
				return err
			}
			spec := control.PlanSpec{Stages: []model.PlanStage{}}
			if err := f.edit(v.cmd, stages)(&spec); err != nil {
				return err
			}
			p, err := v.plane.CreatePlan(v.ctx, v.actor, spec)
			if err != nil {
				return err
			}
			return v.showPlan("made", p)
		}),
	}
	f.add(cmd)
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

func planUpdateCommand() *cobra.Command {
	var f planFlags
	cmd := &cobra.Command{
		Use: "update PLAN", Short: "Change what is given of a usage plan; nodes follow within a second", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			id, err := v.plan(args[0])
			if err != nil {
				return err
			}
			stages, err := v.planStages(f.stages)
			if err != nil {
				return err
			}
			p, err := v.plane.UpdatePlan(v.ctx, v.actor, id, f.edit(v.cmd, stages))
			if err != nil {
				return err
			}
			return v.showPlan("changed", p)
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.noThrottle, "no-throttle", false, "take the rate and burst limits away")
	cmd.Flags().BoolVar(&f.noQuota, "no-quota", false, "take the quota away")
	cmd.Flags().BoolVar(&f.price.none, "no-price", false, "take the price away for new subscriptions")
	for _, flag := range priceFlagNames {
		cmd.MarkFlagsMutuallyExclusive("no-price", flag)
	}
	cmd.MarkFlagsMutuallyExclusive("no-throttle", "rate")
	cmd.MarkFlagsMutuallyExclusive("no-throttle", "burst")
	cmd.MarkFlagsMutuallyExclusive("no-quota", "quota")
	return cmd
}

func planListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List usage plans", Args: cobra.NoArgs,
		RunE: anywhere(func(v *verb, _ []string) error {
			l, err := v.plans()
			if err != nil {
				return err
			}
			return showList(v.cmd, l, "no plans yet", []string{"PLAN", "NAME", "RATE", "BURST", "QUOTA", "PRICE", "STAGES", "KEYS"}, func(p control.Plan) []any {
				rate, burst := limits(p.Throttle)
				return []any{p.ID, p.Name, rate, burst, quotaText(p.Quota), priceText(p.Price), stagesText(p.Stages), p.Keys}
			})
		}),
	}
}

func (v *verb) plans() ([]control.Plan, error) {
	return all(func(p control.Page) (control.List[control.Plan], error) { return v.plane.Plans(v.ctx, v.actor, p) })
}

// plan finds a plan by its id or unique name.
func (v *verb) plan(ref string) (string, error) {
	l, err := v.plans()
	if err != nil {
		return "", err
	}
	return pick("plan", ref, l, func(p control.Plan) (string, string) { return p.ID, p.Name })
}

func (v *verb) showPlan(done string, p control.Plan) error {
	return show(v.cmd, p, func(w io.Writer) {
		rate, burst := limits(p.Throttle)
		fmt.Fprintf(w, "%s plan %s (%s)\nrate\t%s\nburst\t%s\nquota\t%s\nprice\t%s\nstages\t%s\n", done, p.ID, cell(p.Name),
			cell(rate), cell(burst), cell(quotaText(p.Quota)), cell(priceText(p.Price)), cell(stagesText(p.Stages)))
		if p.OtherPrice > 0 {
			fmt.Fprintf(w, "%d running subscriptions keep another price; move them with: tollgate plan reprice %s\n", p.OtherPrice, p.ID)
		}
	})
}

func quotaText(q *model.Quota) string {
	if q == nil {
		return ""
	}
	s := fmt.Sprintf("%d/%s", q.Limit, q.Period)
	if q.Offset != 0 {
		s += fmt.Sprintf("+%d", q.Offset)
	}
	return s
}

func stagesText(l []model.PlanStage) string {
	out := make([]string, len(l))
	for i, s := range l {
		out[i] = s.APIID + ":" + s.Stage
	}
	return strings.Join(out, " ")
}
