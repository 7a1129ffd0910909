package web

import (
	"net/url"
	"strconv"

	"tollgate/billing"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) developerRoutes() []route {
	return []route{
		{method: "GET", pattern: "/developers", who: mayRead, handle: (*visit).developers},
		{method: "GET", pattern: "/developers/{developer}", who: mayRead, handle: (*visit).developer},
		{method: "GET", pattern: "/developers/{developer}/disable", who: maySell, handle: (*visit).confirmDisableDeveloper},
		{method: "POST", pattern: "/developers/{developer}/disable", who: maySell, handle: (*visit).disableDeveloper},
		{method: "POST", pattern: "/developers/{developer}/enable", who: maySell, handle: (*visit).enableDeveloper},
		{method: "GET", pattern: "/developers/{developer}/subscriptions/{subscription}/spend", who: maySell, handle: (*visit).spendPage},
		{method: "POST", pattern: "/developers/{developer}/subscriptions/{subscription}/spend", who: maySell, handle: (*visit).setSpend},
		{method: "GET", pattern: "/developers/{developer}/subscriptions/{subscription}/end", who: maySell, handle: (*visit).confirmEndSubscription},
		{method: "POST", pattern: "/developers/{developer}/subscriptions/{subscription}/end", who: maySell, handle: (*visit).endSubscription},
	}
}

var developerCrumbs = []ui.Crumb{{Label: "Developers", URL: "/developers"}}

func developerURL(id string) string { return "/developers/" + url.PathEscape(id) }

func subscriptionURL(developer string, id uint64) string {
	return developerURL(developer) + "/subscriptions/" + strconv.FormatUint(id, 10)
}

func (v *visit) developers() error {
	l, err := v.Plane.Customers(v.ctx(), v.actor(), control.Page{After: v.query("after"), Match: v.query("q")})
	if err != nil {
		return err
	}
	return v.render(developersPage(v.page("Developers"), l, v.query("q"), v.next(l.Next)))
}

func (v *visit) developer() error {
	c, err := v.Plane.Customer(v.ctx(), v.actor(), v.path("developer"))
	if err != nil {
		return err
	}
	month, err := v.lastMonth(intake.Query{DeveloperID: c.ID})
	if err != nil {
		return err
	}
	credit := "" // who may not see the books sees no credit
	if v.may(control.ToBill) {
		wallets, err := v.Billing.Wallets(v.ctx(), v.books(), billing.Payer{Tenant: v.books().Tenant, Developer: c.ID})
		if err != nil {
			return err
		}
		credit = creditLine(wallets)
	}
	p := v.page(c.Email)
	p.Crumbs = developerCrumbs
	spent, err := v.spends(c.ID)
	if err != nil {
		return err
	}
	return v.render(developerPage(p, c, month, spent, v.may(control.ToSell), credit))
}

// developerPageOf is a page below a developer's.
func (v *visit) developerPageOf(title string, c control.CustomerDetail) ui.Page {
	p := v.page(title)
	p.Crumbs = []ui.Crumb{developerCrumbs[0], {Label: c.Email, URL: developerURL(c.ID)}}
	return p
}

func (v *visit) confirmDisableDeveloper() error {
	c, err := v.Plane.Customer(v.ctx(), v.actor(), v.path("developer"))
	if err != nil {
		return err
	}
	return v.render(disableDeveloperPage(v.developerPageOf("Disable "+c.Email, c), c))
}

func (v *visit) disableDeveloper() error {
	err := v.Plane.SetCustomerDisabled(v.ctx(), v.actor(), v.path("developer"), true)
	return v.outcome(err, "The developer is disabled: signed out, and every key is refused within a second. Enable them to undo that.", developerURL(v.path("developer")))
}

func (v *visit) enableDeveloper() error {
	err := v.Plane.SetCustomerDisabled(v.ctx(), v.actor(), v.path("developer"), false)
	return v.outcome(err, "The developer is enabled; the keys are let in again within a second.", developerURL(v.path("developer")))
}

// subscriptionOf is the subscription that the path names, of the developer it names.
func (v *visit) subscriptionOf() (control.CustomerDetail, control.CustomerApp, control.AppSubscription, error) {
	c, err := v.Plane.Customer(v.ctx(), v.actor(), v.path("developer"))
	if err != nil {
		return c, control.CustomerApp{}, control.AppSubscription{}, err
	}
	for _, app := range c.Held {
		for _, s := range app.Subscriptions {
			if strconv.FormatUint(s.ID, 10) == v.path("subscription") {
				return c, app, s, nil
			}
		}
	}
	return c, control.CustomerApp{}, control.AppSubscription{},
		model.Errorf(model.NotFound, "the developer has no running subscription %.30q", v.path("subscription"))
}

func (v *visit) confirmEndSubscription() error {
	c, app, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	return v.render(endSubscriptionPage(v.developerPageOf("End the subscription to "+s.Plan, c), c, app, s))
}

func (v *visit) endSubscription() error {
	c, _, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	err = v.Plane.EndSubscription(v.ctx(), v.actor(), s.ID)
	return v.outcome(err, "The subscription to "+s.Plan+" has ended; its keys are refused within a second.", developerURL(c.ID))
}
