package control_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/control/sdk"
	"tollgate/model"
)

// shop is a tenant with a published portal, a plan with a price on it, and a developer.
type shop struct {
	*world
	owner, dev control.Actor
	site       control.Site
	plan       control.Plan
	deployed   control.Deployed
}

func newShop(w *world) *shop {
	w.Helper()
	s := &shop{world: w, owner: w.tenant()}
	s.deployed = w.deployed(s.owner, "prod")
	s.plan = s.offer("Gold", "0.01")
	p, err := w.UpsertPortal(w.ctx, s.owner, func(p *control.PortalSpec) error {
		p.Slug, p.Title, p.OpenSignUp, p.Published = strings.ToLower(model.NewID(8)), "Pets for all", true, true
		return nil
	})
	w.must(err)
	w.must(w.PublishAPI(w.ctx, s.owner, s.deployed.Stage.APIID, "prod", "All pets"))
	s.site, err = w.Site(w.ctx, p.Slug)
	w.must(err)
	s.dev = s.developer("dev@example.com")
	return s
}

func (s *shop) offer(name string, price model.Decimal) control.Plan {
	s.Helper()
	p, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: name, Published: true, Price: &model.PriceSheet{Currency: "USD", Tiers: []model.PriceTier{{Price: price}}},
		Stages: []model.PlanStage{{APIID: s.deployed.Stage.APIID, Stage: "prod"}}})
	s.must(err)
	return p
}

func (s *shop) developer(email string) control.Actor {
	s.Helper()
	s.must(s.DeveloperSignUp(s.ctx, "192.0.2.1", s.site, "http://portal", control.SignUp{Email: email, Password: "correct horse"}))
	d, err := s.ConfirmDeveloper(s.ctx, "192.0.2.1", s.site, control.Confirmation{Token: tokenIn(s, s.mailTo(email)), Password: "correct horse"})
	s.must(err)
	return control.Actor{Tenant: s.site.Tenant, AccountID: s.site.AccountID, Member: d.ID, Name: email, Role: control.RoleCustomer}
}

// to is a change to a plan at the price it has.
func (s *shop) to(subscription uint64, p control.Plan) control.PlanSwitch {
	s.Helper()
	out := control.PlanSwitch{Subscription: subscription, PlanID: p.ID}
	s.all(fmt.Sprintf(`select coalesce(sheet_num, 0) from plan where plan_id = '%s'`, p.ID), &out.Terms)
	return out
}

// A developer helps itself: an app with a subscription and a key, another key,
// another plan, and the end of it.
func TestDeveloperHelpsItself(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	app, key, err := s.CreateApp(s.ctx, s.dev, "Shop", s.plan.ID)
	s.must(err)
	if len(key.Value) < 30 || len(key.Plans) != 1 {
		t.Errorf("key %+v", key)
	}
	apps, err := s.MyApps(s.ctx, s.dev)
	s.must(err)
	if len(apps) != 1 || len(apps[0].Subscriptions) != 1 || apps[0].Subscriptions[0].Price == nil || len(apps[0].Subscriptions[0].Keys) != 1 {
		t.Fatalf("%+v", apps)
	}
	sub := apps[0].Subscriptions[0].ID
	second, err := s.CreateAppKey(s.ctx, s.dev, sub, "Second")
	s.must(err)
	silver := s.offer("Silver", "0.02")
	if _, err := s.SubscribeApp(s.ctx, s.dev, app, silver.ID); model.KindOf(err) != model.Conflict && err != nil {
		t.Errorf("a second plan for the same stage: %v", err)
	}
	apps, err = s.MyApps(s.ctx, s.dev)
	s.must(err)
	for _, x := range apps[0].Subscriptions { // whichever were let in: back to one
		if x.ID != sub {
			s.must(s.CancelAppSubscription(s.ctx, s.dev, x.ID))
		}
	}
	to := s.to(sub, silver)
	s.refused(s.ChangeAppPlan(s.ctx, s.dev, to), model.Conflict, "left plan")
	silver = s.offer("Copper", "0.02")
	s.must(s.ChangeAppPlan(s.ctx, s.dev, s.to(sub, silver)))
	apps, err = s.MyApps(s.ctx, s.dev)
	s.must(err)
	if got := apps[0].Subscriptions[0]; got.PlanID != silver.ID || len(got.Keys) < 2 {
		t.Errorf("after the change %+v", got)
	}
	s.must(s.RevokeAppKey(s.ctx, s.dev, second.ID))
	s.must(s.RenameApp(s.ctx, s.dev, app, "Store"))
	s.must(s.DeleteApp(s.ctx, s.dev, app))
	if apps, err = s.MyApps(s.ctx, s.dev); err != nil || len(apps) != 0 {
		t.Errorf("%+v, %v", apps, err)
	}
	s.must(s.SetDeveloperProfile(s.ctx, s.dev, control.Profile{Name: "Dev", Billing: model.Party{Name: "Dev Inc.", Address: "1 Street"}}))
	if p, err := s.DeveloperProfile(s.ctx, s.dev); err != nil || p.Billing.Name != "Dev Inc." {
		t.Errorf("%+v, %v", p, err)
	}
	c, err := s.Catalogue(s.ctx, s.site)
	s.must(err)
	if len(c.APIs) != 1 || len(c.APIs[0].Plans) != 3 || len(c.Plans) != 3 || len(c.Plans[0].APIs) != 1 {
		t.Errorf("catalogue %+v", c)
	}
	if d, err := s.Documented(s.ctx, s.site, c.APIs[0].ID, c.APIs[0].DeploymentID); err != nil || string(d.Source) != petsDocument || d.Definition.MethodCount() != 3 {
		t.Errorf("%v", err)
	}
}

// Nothing of another developer, another portal or off the portal can be reached.
func TestDevelopersAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, other := newShop(w), newShop(w)
	app, key, err := s.CreateApp(s.ctx, s.dev, "Shop", s.plan.ID)
	s.must(err)
	apps, err := s.MyApps(s.ctx, s.dev)
	s.must(err)
	sub := apps[0].Subscriptions[0].ID
	hidden, err := s.CreatePlan(s.ctx, s.owner, control.PlanSpec{Name: "Hidden"})
	s.must(err)
	for name, a := range map[string]control.Actor{"another developer": s.developer("eve@example.com"), "another portal's": other.dev} {
		for what, err := range map[string]error{
			"rename": s.RenameApp(s.ctx, a, app, "x"), "delete": s.DeleteApp(s.ctx, a, app), "key": second(s.CreateAppKey(s.ctx, a, sub, "x")),
			"revoke": s.RevokeAppKey(s.ctx, a, key.ID), "plan": s.ChangeAppPlan(s.ctx, a, s.to(sub, s.plan)), "cancel": s.CancelAppSubscription(s.ctx, a, sub),
			"subscribe": second(s.SubscribeApp(s.ctx, a, app, s.plan.ID)), "hidden plan": func() error { _, _, err := s.CreateApp(s.ctx, a, "x", hidden.ID); return err }(),
		} {
			if model.KindOf(err) != model.NotFound {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if _, err := s.DeveloperSignIn(s.ctx, "192.0.2.9", other.site, "eve@example.com", "correct horse"); model.KindOf(err) != model.Unauthenticated {
		t.Errorf("a developer of one portal signed in to another: %v", err)
	}
	if _, err := s.Documented(s.ctx, other.site, s.deployed.Stage.APIID, s.deployed.Deployment.ID); model.KindOf(err) != model.NotFound {
		t.Errorf("a portal shows another's API: %v", err)
	}
	if _, err := s.SiteClient(s.ctx, other.site, s.deployed.Stage.APIID, sdk.Options{Language: "go"}); model.KindOf(err) != model.NotFound {
		t.Errorf("a portal gives a client of another's API: %v", err)
	}
	if c, err := s.SiteClient(s.ctx, s.site, s.deployed.Stage.APIID, sdk.Options{Language: "go"}); err != nil || c.Folder != "pets-go" {
		t.Errorf("a client of the portal's own API: %s, %v", c.Folder, err)
	}
	if _, err := s.CreateAPI(s.ctx, s.dev, "x", ""); model.KindOf(err) != model.Denied {
		t.Errorf("a customer made an API: %v", err)
	}
	if _, err := s.Keys(s.ctx, s.dev, control.KeyFilter{}); model.KindOf(err) != model.Denied {
		t.Errorf("a customer listed keys: %v", err)
	}
	// A link of one portal is worth nothing at another.
	s.must(s.DeveloperSignUp(s.ctx, "192.0.2.1", s.site, "http://portal", control.SignUp{Email: "new@example.com", Password: "correct horse"}))
	c := control.Confirmation{Token: tokenIn(t, s.mailTo("new@example.com"))}
	if email, ask, err := s.PendingDeveloper(s.ctx, "192.0.2.1", s.site, c); err != nil || !ask || email != "new@example.com" {
		t.Errorf("%q asked %v, %v", email, ask, err)
	}
	_, err = s.ConfirmDeveloper(s.ctx, "192.0.2.1", s.site, c)
	s.refused(err, model.Invalid, "chosen at the sign-up") // in a browser that did not sign up
	c.Password = "correct horse"
	if _, err := s.ConfirmDeveloper(s.ctx, "192.0.2.1", other.site, c); model.KindOf(err) != model.NotFound {
		t.Errorf("confirmed at another portal: %v", err)
	}
	s.must(s.SetCustomerDisabled(s.ctx, s.owner, s.dev.Member, true))
	if _, _, err := s.CreateApp(s.ctx, s.dev, "x", ""); model.KindOf(err) != model.Denied {
		t.Errorf("a disabled developer: %v", err)
	}
	if _, err := s.DeveloperSignIn(s.ctx, "192.0.2.9", s.site, s.dev.Name, "correct horse"); model.KindOf(err) != model.Unauthenticated {
		t.Errorf("a disabled developer signed in: %v", err)
	}
}

func TestDeveloperReset(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	s.must(s.RequestDeveloperReset(s.ctx, "192.0.2.1", s.site, "http://portal", "dev@example.com"))
	token := tokenIn(t, s.mailTo("dev@example.com"))
	if _, err := s.ResetDeveloperPassword(s.ctx, "192.0.2.1", s.site, token, "battery staple"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ResetDeveloperPassword(s.ctx, "192.0.2.1", s.site, token, "battery staple"); model.KindOf(err) != model.NotFound {
		t.Errorf("used twice: %v", err)
	}
	if _, err := s.DeveloperSignIn(s.ctx, "192.0.2.1", s.site, "dev@example.com", "battery staple"); err != nil {
		t.Error(err)
	}
	s.refused(s.ChangeDeveloperPassword(s.ctx, s.dev, "wrong", "a third one", nil), model.Invalid, "present password")
	s.must(s.ChangeDeveloperPassword(s.ctx, s.dev, "battery staple", "a third one", nil))
}
