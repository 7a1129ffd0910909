package web_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
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
	p.press("Make plan", "hard", "on").want(422, "this installation has none")
	p.press("Make plan", "fail-open", "on").want(422, "Only hard throttles can fail open")
	p = p.press("Make plan", "stage", stage.APIID+"/prod", "published", "1", "description", "For teams", "soft-quota", "on").
		want(200, "Plan Gold is made", "given out at once", "--soft-quota", "9.90 EUR", "1 to 100", "Calls 101 to 1,100", "0.002 EUR a call", "From call 1,101", "1.50 EUR per 1,000 calls", "Offered", "10 calls a second, 10 at once",
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

// bigSheet has a bit of everything that a price can have.
var bigSheet = model.PriceSheet{Currency: "EUR", MonthlyFee: "29", Included: 100, FreeTier: &model.FreeTier{Units: 500, Months: 6}, Model: model.Volume,
	Tiers:   []model.PriceTier{{UpTo: 1000, Price: "0.02"}, {Price: "5", Per: 1000, Flat: "2"}},
	Meters:  []model.MeterPrice{{Meter: model.MeterBytesOut, Included: model.Gibibyte, Tiers: []model.PriceTier{{Price: "0.09", Per: model.Gibibyte}}}},
	Minimum: "40", Maximum: "400", Discount: "10", Coupon: &model.Coupon{Amount: "5", Months: 3}, TrialDays: 14}

// The editor offers every model, keeps all of a price that is there, and says at the
// field what is wrong.
func TestPriceEditor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	b := s.as(owner)
	plan := s.plan(owner, "Everything", &bigSheet)
	edit := b.get("/plans/"+plan.ID+"/edit").want(200, "Volume: all at the price", "Data out", "first month")
	for field, want := range map[string]string{"model": "volume", "free": "500", "freemonths": "6", "flat1": "2", "b-unit": "1073741824", "b-included": "1", "b-price0": "0.09",
		"b-per0": "1073741824", "minimum": "40", "maximum": "400", "discount": "10", "coupon": "5", "couponkind": "amount", "couponmonths": "3", "trial": "14"} {
		if got := edit.field(field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	// Saving what was not touched is no new price.
	edit.press("Save plan", "name", "All").want(200, "A month costs at least", "All calls beyond the included, where they are up to 1,000", "0.09 EUR a GiB", "--price")
	got, err := s.Plan(t.Context(), owner, plan.ID)
	s.must(err)
	if got.Version != plan.Version || got.Name != "All" {
		t.Errorf("version %d has become %d", plan.Version, got.Version)
	}
	edit = b.get("/plans/" + plan.ID + "/edit")
	edit.press("Save plan", "minimum", "500").want(422, "the minimum cannot be more than the maximum")
	edit.press("Save plan", "model", "package", "upto0", "1,500", "per0", "1000").want(422, "not whole packages of 1000")
	edit.press("Save plan", "discount", "101", "coupon", "x", "trial", "-1", "b-included", "much").
		want(422, "4 things", `"101" is not a percentage`, `"x" is not an amount`, `"-1" is not a number of days`, `"much" is not a number of GiB`)
	// 5,000 calls: 4,900 beyond the included by volume, 2.00 and 24.50; 2 GB are 0.86 GiB beyond the included one.
	edit.press("Work it out", "calls", "5,000", "data", "2", "minimum", "", "discount", "").
		want(200, "5,000 55.58 EUR 29.00 fee + 26.50 + 0.08 data", "first month")
	edit.press("Save plan", "model", "package", "upto0", "1,000", "per0", "1000", "price0", "3", "flat1", "", "b-included", "", "b-price0", "", "b-upto0", "", "coupon", "50", "couponkind", "percent", "couponmonths", "").
		want(200, "3.00 EUR per begun 1,000 calls", "The first month 50% off").without("Data out")

	// What the last month's customers would have paid.
	sold := newSeller(t)
	sb := sold.as(sold.owner)
	gold, err := sold.Plans(t.Context(), sold.owner, control.Page{})
	sold.must(err)
	for _, p := range gold.Items {
		if p.Name == "Gold" {
			// 1,400 calls: 29, then 20 for a thousand beyond the included and 1.50 for 300; by
			// the other price 10 and 70.
			sb.get("/plans/"+p.ID+"/edit").press("Try it on the last month", "fee", "10", "included", "", "upto0", "", "price0", "0.05", "price1", "").
				want(200, "Ships Ltd. 50.50 EUR 80.00 EUR +29.50 EUR", "1 customer")
		}
	}
	sb.get("/plans/new").without("Try it on the last month")
}

// Price pages with all there is look right on a desk and on a phone.
func TestPricePagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSeller(t)
	plan := s.plan(s.owner, "Everything", &bigSheet, s.prod)
	_, key := s.customer(s.owner, "carl@ships.example", plan)
	s.exec(`update subscription set started_at = $2 where tenant_id = $1 and plan_id = $3`, s.owner.Tenant, s.last.AddDate(0, -1, 3), plan.ID)
	s.calls(s.owner, key.Key, s.prod, "/pets", s.last.Add(30*time.Hour), 200, 3_000_000)
	books := billing.New(billing.Options{Pool: s.pool})
	scope := billing.Scope{Tenant: s.owner.Tenant}
	_, err := books.Run(t.Context(), scope, billing.By{Member: "x", Name: "x", Role: "owner"}, s.last)
	s.must(err)
	drafts, err := books.Drafts(t.Context(), scope, s.last)
	s.must(err)
	p := chromium.Start(t).Visitor(t)
	s.as(s.owner).in(p)
	paths := map[string]string{"price-editor": "/plans/" + plan.ID + "/edit", "price-plan": "/plans/" + plan.ID}
	for _, d := range drafts {
		if d.To.Email == "carl@ships.example" {
			paths["price-invoice"] = "/billing/invoices/" + d.ID
		}
	}
	for name, path := range paths {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
	if len(paths) != 3 {
		t.Errorf("no draft among %d", len(drafts))
	}
}
