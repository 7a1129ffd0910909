package web_test

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// customer is a developer with an app that has a key under a plan.
func (s *site) customer(a control.Actor, email string, plan control.Plan) (developer string, key control.CreatedKey) {
	s.Helper()
	developer = "d" + model.NewID(9)
	app := "a" + model.NewID(9)
	s.exec(`insert into developer (tenant_id, developer_id, email, name, password_hash, billing) values ($1, $2, $3, 'Bea', '!', '{"name": "Ships Ltd.", "address": "Quay 1\nHull"}')`, a.Tenant, developer, email)
	s.exec(`insert into app (tenant_id, app_id, developer_id, name) values ($1, $2, $3, 'Routing')`, a.Tenant, app, developer)
	k, err := s.CreateKey(s.Context(), a, control.NewKey{Name: "Server", Enabled: true, PlanIDs: []string{plan.ID}})
	s.must(err)
	s.exec(`update api_key set app_id = $2 where key_id = $1`, k.ID, app)
	s.exec(`update subscription set app_id = $2 where subscription_id = $1`, int64(k.Plans[0].Subscription), app)
	return developer, k
}

func TestDeveloperPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	plan := s.plan(owner, "Gold", &model.PriceSheet{Currency: "EUR", MonthlyFee: "9"}, s.deployed(owner, "prod"))
	b := s.as(owner)
	b.get("/developers").want(200, "No developers yet")
	id, k := s.customer(owner, "bea@example.com", plan)
	s.used(owner, k.Key, 200, 40)
	s.used(owner, k.Key, 503, 2)
	b.get("/developers?q=nobody").want(200, "No developer's address")
	p := b.get("/developers?q=BEA").link("bea@example.com").
		want(200, "Routing", "Gold", "9.00 EUR a month", "Server", "Ships Ltd.", "Quay 1", "Active", "42 calls", "Answered 5xx 2", "Enabled 42")
	b.get("/keys/"+k.ID).want(200, "bea@example.com", "Routing").without("Take out of")
	b.get("/keys/"+k.ID+"/delete").want(200, "whose subscription goes on")

	p.link("Disable").want(200, "1 key stops working within a second", "1 subscription goes on").press("Disable developer").
		want(200, "every key is refused", "Disabled: they cannot sign in")
	b.get("/keys/"+k.ID).want(200, "Its developer bea@example.com is disabled")
	b.get("/developers/"+id).press("Enable").want(200, "let in again", "Active")

	sub := "/developers/" + id + "/subscriptions/" + strconv.FormatUint(k.Plans[0].Subscription, 10) + "/end"
	b.get("/developers/" + id + "/subscriptions/99999999999999999999/end").want(404)
	silver := s.plan(owner, "Silver", &model.PriceSheet{Currency: "EUR", MonthlyFee: "4"})
	move := "/developers/" + id + "/subscriptions/" + strconv.FormatUint(k.Plans[0].Subscription, 10) + "/plan"
	b.get("/developers/"+id).link("Move").want(200, "Silver", "See what changes")
	b.get(move+"?plan="+silver.ID+"&whole=1").want(200, "Charged for the whole of", "9.00", "Move to Silver")
	b.post(move, url.Values{"plan": {silver.ID}}).want(422, "Look at what changes")
	b.get(move+"?plan="+silver.ID+"&when=end").want(200, "4.00 EUR", "It can be taken back").press("Move to Silver").
		want(200, "The plan changes with", "It changes to Silver (4.00 EUR a month").press("Stay with Gold").want(200, "stays with Gold").without("It changes to Silver")
	// The plan's price is announced for a day, and that is taken back.
	day := time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)
	b.get("/plans/"+plan.ID).link("Announce another price from a day on").want(200, "First day of the price", "Go to the new price").
		press("Announce the price", "from", "soon").want(422, "is not a day").
		press("Announce the price", "from", day, "fee", "12").want(200, "The price of Gold changes with", "12.00 EUR a month", "being written to").
		press("Take it back").want(200, "The price stays as it is").without("being written to")
	p = b.get("/developers/"+id).link("End").want(200, "1 key of Routing no longer opens what Gold opens")
	viewer, other := s.as(s.member(owner, control.RoleViewer)), s.as(s.tenant())
	viewer.get("/developers/"+id).want(200, "bea@example.com").without("End", "Disable")
	for _, path := range []string{sub, move, "/plans/" + plan.ID + "/price", "/developers/" + id + "/disable"} {
		viewer.get(path).want(403)
		viewer.post(path, nil).want(403)
		other.get(path).want(404)
		other.post(path, nil).want(404)
	}
	other.get("/developers/" + id).want(404)
	other.get("/developers").want(200, "No developers yet")
	p.press("End subscription").want(200, "has ended", "subscribed to no plan", "Keys without a plan")
	b.post(sub, nil).want(404)
}
