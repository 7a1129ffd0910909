package web_test

import (
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

const petsDocument = `openapi: 3.0.3
info: {title: Pets, version: "1"}
servers: [{url: "https://pets.example.com/v1"}]
paths:
  /pets:
    get: {responses: {"200": {description: ok}}}
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok}}
`

// deployed is an API on a stage.
func (s *site) deployed(a control.Actor, stage string) control.StageName {
	s.Helper()
	in, err := s.ImportAPI(s.Context(), a, control.ImportAPI{Source: []byte(petsDocument), SourceName: "pets.yaml"})
	s.must(err)
	_, err = s.Deploy(s.Context(), a, control.Deploy{APIID: in.API.ID, Stage: stage})
	s.must(err)
	return control.StageName{APIID: in.API.ID, API: "Pets", Stage: stage}
}

func (s *site) plan(a control.Actor, name string, price *model.PriceSheet, opens ...control.StageName) control.Plan {
	s.Helper()
	spec := control.PlanSpec{Name: name, Price: price}
	for _, o := range opens {
		spec.Stages = append(spec.Stages, model.PlanStage{APIID: o.APIID, Stage: o.Stage})
	}
	p, err := s.CreatePlan(s.Context(), a, spec)
	s.must(err)
	return p
}

// A plan is made, changed, repriced and deleted by forms alone.
func TestPlanPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	stage := s.deployed(owner, "prod")
	b := s.as(owner)

	p := b.get("/plans").want(200, "No plans yet").link("Make a plan").want(200, "Pets · prod")
	// What is wrong is said at the field, and nothing typed is lost.
	p = p.press("Make plan", "name", "", "rate", "ten", "quota", "1,000", "fee", "9,90", "currency", "EUR", "upto0", "5", "price0", "0.1").
		want(422, "3 things have to be put right", "A plan needs a name", `"ten" is not a number of calls a second`, `"9,90" is not an amount`)
	if v := p.field("quota"); v != "1,000" {
		t.Errorf("the quota has become %q", v)
	}
	p = p.press("Make plan", "name", "Gold", "rate", "10", "fee", "9.90").want(422, "One thing", "last tier has no end")
	p = p.press("Make plan", "upto0", "", "currency", "").want(422, "needs a currency")
	p = p.press("Add a tier", "currency", "EUR", "upto0", "1,000", "price0", "0.002", "price1", "1.50", "per1", "1000", "included", "100")
	p.want(200)
	if p.field("upto0") != "1,000" || p.field("per1") != "1000" || p.field("price3") != "" {
		t.Errorf("after adding a tier: %s", p.body)
	}
	// 9.90, and for 5,000 calls 1,000 at 0.002 and 3,900 at 1.50 for a thousand.
	p.press("Work it out", "calls", "5 000").want(200, "5,000 17.75 EUR 9.90 fee + 7.85 1,000", "10,000,000 15,010.25 EUR")
	p = p.press("Make plan", "stage", stage.APIID+"/prod", "published", "1", "description", "For teams").
		want(200, "Plan Gold is made", "9.90 EUR", "1 to 100", "Calls 101 to 1,100", "0.002 EUR a call", "From call 1,101", "1.50 EUR per 1,000 calls", "Offered", "10 calls a second, 10 at once",
			"--tier 1000:0.002 --tier :1.5/1000")
	id := strings.TrimPrefix(p.path, "/plans/")
	got, err := s.Plan(t.Context(), owner, id)
	s.must(err)
	if got.Version != 1 || got.Price.Included != 100 || got.Quota.Limit != 1000 || got.Throttle.Burst != 10 || len(got.Stages) != 1 || !got.Published {
		t.Errorf("made %+v", got)
	}
	b.get("/plans").want(200, "Gold", "9.90 EUR a month with 100 calls, then 0.002 EUR a call (the first of 2 tiers)", "1,000 calls a month", "1 plan")

	// A key subscribes; another price is for those who come.
	_, err = s.CreateKey(t.Context(), owner, control.NewKey{Name: "k", PlanIDs: []string{id}, Enabled: true})
	s.must(err)
	edit := b.get("/plans/"+id).link("Change").want(200, "1 running subscription keeps its price")
	p = edit.press("Save plan", "fee", "12", "upto0", "", "price0", "0.001", "price1", "", "stage", "").
		want(200, "1 running one keeps its until you move them", "Versions of the price", "12.00 EUR", "None: a key of this plan is refused everywhere")
	edit.press("Save plan", "name", "Platinum").want(422, "Somebody else changed the plan meanwhile")
	p.link("See what moving them changes").want(200, "9.90 EUR a month", "Move 1 subscription", "billed in two parts").
		press("Move 1 subscription").want(200, "1 subscription is charged by the present price from now on").without("running subscription is charged by another price")
	b.get("/plans/"+id+"/reprice").want(200, "There is nothing to move")
	b.get("/plans/"+id).press("Take off the portal").want(200, "is off the portal", "Not offered").press("Offer on the portal").want(200, "is on the portal")

	b.get("/plans/"+id+"/delete").want(200, "1 subscription is running on it, with 1 key").without("Delete plan")
	if p := b.post("/plans/"+id+"/delete", nil); p.path != "/plans/"+id {
		t.Errorf("gone to %s", p.path)
	} else {
		p.want(200, "1 keys are subscribed")
	}
	k, err := s.Keys(t.Context(), owner, control.KeyFilter{})
	s.must(err)
	s.must(s.DeleteKey(t.Context(), owner, k.Items[0].ID))
	b.get("/plans/"+id+"/delete").want(200, "nobody's calls change").press("Delete plan").want(200, "Plan Gold is deleted", "No plans yet")
	b.get("/plans/"+id).want(404, "There is no plan")
}

// Who may not change prices saves limits and leaves the price alone; who may
// only look sees no form.
func TestPlanPagesByRole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	plan := s.plan(owner, "Gold", &model.PriceSheet{Currency: "EUR", MonthlyFee: "5"})
	dev := s.as(s.member(owner, control.RoleDeveloper))
	dev.get("/plans/"+plan.ID+"/edit").want(200, "may not change prices").without("Monthly fee").press("Save plan", "rate", "3").want(200, "Saved", "5.00 EUR", "3 calls a second")
	dev.get("/plans/" + plan.ID + "/reprice").want(403)
	dev.post("/plans/pays", nil).want(403)
	viewer := s.as(s.member(owner, control.RoleViewer))
	viewer.get("/plans").want(200, "Gold").without("Make a plan")
	viewer.get("/plans/"+plan.ID).want(200, "5.00 EUR").without("Create a key", "Delete", "Take off", "Offer on")
	viewer.get("/plans/" + plan.ID + "/edit").want(403)
	viewer.post("/plans/"+plan.ID+"/delete", nil).want(403)
	other := s.as(s.tenant())
	for _, path := range []string{"", "/edit", "/delete", "/reprice"} {
		other.get("/plans/" + plan.ID + path).want(404).without("Gold")
	}
	for _, path := range []string{"/edit", "/delete", "/reprice", "/publish"} {
		other.post("/plans/"+plan.ID+path, nil).want(404).without("Gold")
	}
}
