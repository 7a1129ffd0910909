package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

// creditPlace is where somebody's prepaid credit and coupons are looked at: a
// developer's and a tenant's by who sells to them, and the account's own.
type creditPlace struct {
	at     string // the page
	payer  billing.Payer
	keeps  bool // the visitor keeps the books of it
	title  string
	crumbs []ui.Crumb
}

// finder finds the place that the path names.
type finder func(*visit) (creditPlace, error)

func (s *Server) creditRoutes() (out []route) {
	for _, p := range []struct {
		base string
		who  access
		find finder
	}{
		{"/developers/{developer}/credit", mayBill, creditOfDeveloper},
		{"/operator/tenants/{account}/credit", theOperator, creditOfTenant},
		{"/billing/account/credit", mayBill, ownCredit},
	} {
		with := func(f func(*visit, creditPlace) error) func(*visit) error {
			return func(v *visit) error {
				at, err := p.find(v)
				if err != nil {
					return err
				}
				return f(v, at)
			}
		}
		out = append(out,
			route{method: "GET", pattern: p.base, who: p.who, handle: with((*visit).credit)},
			route{method: "POST", pattern: p.base + "/top-up", who: p.who, handle: with((*visit).topUp)},
			route{method: "POST", pattern: p.base + "/refill", who: p.who, handle: with((*visit).setRefill)},
			route{method: "POST", pattern: p.base + "/code", who: p.who, handle: with((*visit).enterCode)})
		if p.base == "/billing/account/credit" {
			continue
		}
		out = append(out,
			route{method: "POST", pattern: p.base + "/grant", who: p.who, handle: with((*visit).grantCredit)},
			route{method: "GET", pattern: p.base + "/grants/{grant}/revoke", who: p.who, handle: with((*visit).confirmRevokeGrant)},
			route{method: "POST", pattern: p.base + "/grants/{grant}/revoke", who: p.who, handle: with((*visit).revokeGrant)},
			route{method: "GET", pattern: p.base + "/codes/{use}/end", who: p.who, handle: with((*visit).confirmEndCode)},
			route{method: "POST", pattern: p.base + "/codes/{use}/end", who: p.who, handle: with((*visit).endCode)})
	}
	return out
}

func creditOfDeveloper(v *visit) (creditPlace, error) {
	c, err := v.Plane.Customer(v.ctx(), v.actor(), v.path("developer"))
	return creditPlace{at: developerURL(c.ID) + "/credit", payer: billing.Payer{Tenant: v.actor().Tenant, Developer: c.ID}, keeps: true, title: "Credit and coupons",
		crumbs: []ui.Crumb{developerCrumbs[0], {Label: c.Email, URL: developerURL(c.ID)}}}, err
}

func creditOfTenant(v *visit) (creditPlace, error) {
	t, err := v.Plane.TenantDetail(v.ctx(), v.actor(), v.path("account"))
	return creditPlace{at: tenantURL(t.AccountID) + "/credit", payer: billing.Payer{Tenant: t.Num}, keeps: true, title: "Credit and coupons", crumbs: tenantCrumbs(&t)}, err
}

func ownCredit(v *visit) (creditPlace, error) {
	return creditPlace{at: "/billing/account/credit", payer: billing.Payer{Tenant: v.actor().Tenant}, title: "Prepaid credit",
		crumbs: []ui.Crumb{{Label: "Your own bill", URL: "/billing/account"}}}, nil
}

// creditWith shows the page with what was typed and what is wrong with it.
func (v *visit) creditWith(at creditPlace, c *money.Credit) error {
	c.At, c.Keeps, c.Now, c.Once = at.at, at.keeps, v.Now(), billing.NewTopUpID()
	c.Invoice = v.booksURL() + "/invoices/"
	s := v.books()
	var err error
	if c.Wallets, err = v.Billing.Wallets(v.ctx(), s, at.payer); err != nil {
		return err
	}
	if c.Uses, err = v.Billing.CouponUses(v.ctx(), s, at.payer); err != nil {
		return err
	}
	names, err := v.Billing.Currencies(v.ctx(), s, at.payer)
	if err != nil {
		return err
	}
	for _, n := range names {
		c.Currencies = append(c.Currencies, ui.Option{Value: n, Label: n})
	}
	if c.Buys = at.keeps; !c.Buys {
		r, err := v.Billing.RulesOf(v.ctx(), at.payer)
		if err != nil {
			return err
		}
		c.Buys = r.TopUps
	}
	if c.Currency = v.query("currency"); c.Currency == "" && len(c.Wallets) > 0 {
		c.Currency = c.Wallets[0].Currency
	}
	before, err := strconv.ParseInt(cmp.Or(v.query("before"), "0"), 10, 64)
	if err != nil {
		return model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
	}
	if c.Currency != "" {
		var next int64
		if c.History, next, err = v.Billing.History(v.ctx(), s, at.payer, c.Currency, before); err != nil {
			return err
		}
		if next > 0 {
			c.Older = at.at + "?" + url.Values{"currency": {c.Currency}, "before": {strconv.FormatInt(next, 10)}}.Encode() + "#history"
		}
	}
	c.Suggest()
	status := http.StatusOK
	if len(c.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return v.renderAs(status, creditView(v.creditPageOf(at, at.title), c))
}

func (v *visit) creditPageOf(at creditPlace, title string) ui.Page {
	p := v.page(title)
	p.Crumbs = at.crumbs
	if title != at.title {
		p.Crumbs = append(slices.Clone(p.Crumbs), ui.Crumb{Label: at.title, URL: at.at})
	}
	return p
}

func (v *visit) credit(at creditPlace) error { return v.creditWith(at, &money.Credit{}) }

// typed is what was typed into fields.
func (v *visit) typed(fields ...string) *money.Credit {
	c := &money.Credit{Typed: map[string]string{}}
	for _, f := range fields {
		c.Typed[f] = v.value(f)
	}
	return c
}

// creditDone shows what came of an act, or the page again with what is wrong.
func (v *visit) creditDone(at creditPlace, c *money.Credit, field string, err error, message, to string) error {
	if invalid(err) {
		c.Refuse(field, sentence(model.MessageOf(err)))
	} else if err != nil {
		return err
	}
	if len(c.Problems) > 0 {
		return v.creditWith(at, c)
	}
	return v.done(message, to)
}

func (v *visit) topUp(at creditPlace) error {
	c := v.typed("topup-amount", "topup-currency")
	currency := c.Typed["topup-currency"]
	n := c.Amount("topup-amount", currency)
	var id string
	var err error
	if len(c.Problems) == 0 {
		id, err = v.Billing.TopUp(v.ctx(), v.books(), v.by(), billing.TopUp{Payer: at.payer, Currency: currency, Amount: n, ID: v.value("once")})
	}
	return v.creditDone(at, c, "topup-amount", err, "The invoice of the top-up is made. The credit is there when it is paid.", v.invoiceURL(id))
}

func (v *visit) setRefill(at creditPlace) error {
	c := v.typed("refill-below", "refill-by", "refill-currency")
	currency := c.Typed["refill-currency"]
	var r model.Refill
	if c.Typed["refill-below"] != "" || c.Typed["refill-by"] != "" {
		r = model.Refill{Below: c.Amount("refill-below", currency), By: c.Amount("refill-by", currency)}
	}
	var err error
	if len(c.Problems) == 0 {
		err = v.Billing.SetRefill(v.ctx(), v.books(), v.by(), at.payer, currency, r)
	}
	message := "Credit in " + currency + " is topped up by itself from now on."
	if r == (model.Refill{}) {
		message = "Credit in " + currency + " is not topped up by itself."
	}
	return v.creditDone(at, c, "refill-below", err, message, at.at)
}

func (v *visit) enterCode(at creditPlace) error {
	c := v.typed("code")
	u, err := v.Billing.UseCoupon(v.ctx(), v.books(), v.by(), at.payer, c.Typed["code"])
	return v.creditDone(at, c, "code", err, "Code "+u.Code+": "+money.Off(u.Percent, u.Amount, u.Currency, u.Plan)+", from this month on.", at.at)
}

func (v *visit) grantCredit(at creditPlace) error {
	c := v.typed("grant-amount", "grant-currency", "grant-reason", "grant-expires", "grant-priority")
	g := billing.Grant{Payer: at.payer, Currency: c.Typed["grant-currency"], Reason: c.Typed["grant-reason"], Reference: named(v.value("once"), model.NewID(12))}
	g.Amount = c.Amount("grant-amount", g.Currency)
	if g.Reason == "" {
		c.Refuse("grant-reason", "Say why: who gets it wants to know")
	}
	var err error
	if day := c.Typed["grant-expires"]; day != "" {
		if g.ExpiresAt, err = time.Parse(time.DateOnly, day); err != nil {
			c.Refuse("grant-expires", strconv.Quote(day)+" is not a day such as 2026-12-31")
		}
	}
	if g.Priority, err = strconv.Atoi(cmp.Or(c.Typed["grant-priority"], strconv.Itoa(model.DefaultPriority))); err != nil {
		c.Refuse("grant-priority", "A priority is a number from 0 to 100")
	}
	granted := false
	err = nil
	if len(c.Problems) == 0 {
		granted, err = v.Billing.Grant(v.ctx(), v.books(), v.by(), g)
	}
	digits, _ := model.MinorDigits(g.Currency)
	message := ui.Money(g.Amount, g.Currency, digits) + " are granted."
	if !granted {
		message = "That was granted already: nothing has changed."
	}
	return v.creditDone(at, c, "", err, message, at.at)
}

// grantOf is the grant by hand that the path names.
func (v *visit) grantOf(at creditPlace) (model.Wallet, model.CreditGrant, error) {
	all, err := v.Billing.Wallets(v.ctx(), v.books(), at.payer)
	for _, w := range all {
		for _, g := range w.Grants {
			if g.ID == v.path("grant") && g.Kind == model.CreditGranted {
				return w, g, nil
			}
		}
	}
	if err == nil {
		err = model.Errorf(model.NotFound, "nothing is left of a grant %.30q", v.path("grant"))
	}
	return model.Wallet{}, model.CreditGrant{}, err
}

func (v *visit) revokeGrantWith(at creditPlace, c *money.Credit, status int) error {
	w, g, err := v.grantOf(at)
	if err != nil {
		return err
	}
	c.At = at.at
	return v.renderAs(status, revokeGrantView(v.creditPageOf(at, "Take back credit"), c, &w, &g))
}

func (v *visit) confirmRevokeGrant(at creditPlace) error {
	return v.revokeGrantWith(at, &money.Credit{}, http.StatusOK)
}

func (v *visit) revokeGrant(at creditPlace) error {
	c := v.typed("reason")
	if c.Typed["reason"] == "" {
		c.Refuse("reason", "Say why: who reads it later wants to know")
		return v.revokeGrantWith(at, c, http.StatusUnprocessableEntity)
	}
	err := v.Billing.Revoke(v.ctx(), v.books(), v.by(), at.payer, v.path("grant"), c.Typed["reason"])
	return v.outcome(err, "What was left of the grant is taken back.", at.at)
}

func (v *visit) confirmEndCode(at creditPlace) error {
	all, err := v.Billing.CouponUses(v.ctx(), v.books(), at.payer)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(u model.CouponUse) bool { return u.ID == v.path("use") })
	if i < 0 {
		return model.Errorf(model.NotFound, "the customer has no coupon %.30q", v.path("use"))
	}
	return v.render(endCodeView(v.creditPageOf(at, "Take a coupon away"), &money.Credit{At: at.at}, &all[i]))
}

func (v *visit) endCode(at creditPlace) error {
	err := v.Billing.EndCoupon(v.ctx(), v.books(), v.by(), at.payer, v.path("use"))
	return v.outcome(err, "The coupon is taken away.", at.at)
}

// creditLine says in a few words what a payer has.
func creditLine(all []model.Wallet) string {
	out := ""
	for _, w := range all {
		if out != "" {
			out += " + "
		}
		out += ui.Money(w.Balance, w.Currency, w.Digits)
		if w.Owed > 0 {
			out += " (" + ui.Money(w.Owed, w.Currency, w.Digits) + " owed)"
		}
	}
	return cmp.Or(out, "None")
}

// couponForm is a coupon as it is filled in.
type couponForm struct {
	problems
	URL, Back                         string
	Code, Kind, Off, Currency, Months string
	Plan, Most, Expires               string
	Plans                             []ui.Option // empty: the operator's
	Now                               time.Time
}

var couponKinds = []ui.Option{{Value: "percent", Label: "percent"}, {Value: "amount", Label: "of the currency, each month"}}

func (v *visit) couponsURL() string { return v.booksURL() + "/coupons" }

// couponRoutes are the pages of a seller's coupons.
func couponRoutes(base string, who access) []route {
	return []route{
		{method: "GET", pattern: base + "/coupons", who: who, handle: (*visit).coupons},
		{method: "GET", pattern: base + "/coupons/new", who: who, handle: (*visit).newCoupon},
		{method: "POST", pattern: base + "/coupons/new", who: who, handle: (*visit).createCoupon},
		{method: "GET", pattern: base + "/coupons/{coupon}/withdraw", who: who, handle: (*visit).confirmWithdrawCoupon},
		{method: "POST", pattern: base + "/coupons/{coupon}/withdraw", who: who, handle: (*visit).withdrawCoupon},
	}
}

func (v *visit) coupons() error {
	all, err := v.Billing.Coupons(v.ctx(), v.books())
	if err != nil {
		return err
	}
	return v.render(couponsView(v.page("Coupons"), all, v.couponsURL(), v.realm == control.RealmOperator, v.Now()))
}

func (v *visit) couponFormWith(f *couponForm) error {
	f.URL, f.Back = v.couponsURL()+"/new", v.couponsURL()
	if v.realm != control.RealmOperator {
		l, err := v.Plane.Plans(v.ctx(), v.actor(), control.Page{Limit: 500})
		if err != nil {
			return err
		}
		f.Plans = []ui.Option{{Label: "All plans"}}
		for _, p := range l.Items {
			f.Plans = append(f.Plans, ui.Option{Value: p.ID, Label: p.Name})
		}
	}
	p := v.page("Make a coupon")
	p.Crumbs = []ui.Crumb{{Label: "Coupons", URL: v.couponsURL()}}
	status := http.StatusOK
	if len(f.problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return v.renderAs(status, newCouponView(p, f))
}

func (v *visit) newCoupon() error {
	return v.couponFormWith(&couponForm{Kind: "percent", Months: "1", Plan: v.query("plan")})
}

func (v *visit) createCoupon() error {
	f := &couponForm{Code: v.value("code"), Kind: v.value("kind"), Off: v.value("amount"), Currency: v.value("currency"), Months: v.value("months"),
		Plan: v.value("plan"), Most: v.value("most"), Expires: v.value("expires")}
	c := model.CustomerCoupon{Code: f.Code, PlanID: f.Plan}
	if f.Kind == "amount" {
		c.Amount, c.Currency = model.Decimal(f.Off), f.Currency
	} else {
		c.Percent = model.Decimal(f.Off)
	}
	whole := func(field, s string) int {
		n, err := strconv.Atoi(ungroup(s))
		if s != "" && (err != nil || n < 1) {
			f.say(field, "%.20q is not a whole number above zero; empty is without end", s)
		}
		return n
	}
	c.Months, c.Most = whole("months", f.Months), whole("most", f.Most)
	if f.Expires != "" {
		var err error
		if c.ExpiresAt, err = time.Parse(time.DateOnly, f.Expires); err != nil {
			f.say("expires", "%.20q is not a day such as 2026-12-31", f.Expires)
		}
	}
	if len(f.problems) == 0 {
		_, err := v.Billing.CreateCoupon(v.ctx(), v.books(), v.by(), c)
		if err == nil {
			return v.done("The coupon is made. Customers enter its code, or you give it to them.", v.couponsURL())
		}
		if !invalid(err) && model.KindOf(err) != model.NotFound {
			return err
		}
		field, _ := v.Billing.CheckCoupon(&c)
		f.add(field, err)
	}
	return v.couponFormWith(f)
}

func (v *visit) couponOf() (model.CustomerCoupon, error) {
	all, err := v.Billing.Coupons(v.ctx(), v.books())
	if err != nil {
		return model.CustomerCoupon{}, err
	}
	i := slices.IndexFunc(all, func(c model.CustomerCoupon) bool { return c.ID == v.path("coupon") })
	if i < 0 {
		return model.CustomerCoupon{}, model.Errorf(model.NotFound, "there is no coupon %.30q", v.path("coupon"))
	}
	return all[i], nil
}

func (v *visit) confirmWithdrawCoupon() error {
	c, err := v.couponOf()
	if err != nil {
		return err
	}
	p := v.page("Withdraw coupon " + c.Code)
	p.Crumbs = []ui.Crumb{{Label: "Coupons", URL: v.couponsURL()}}
	return v.render(withdrawCouponView(p, &c, v.couponsURL()))
}

func (v *visit) withdrawCoupon() error {
	err := v.Billing.WithdrawCoupon(v.ctx(), v.books(), v.by(), v.path("coupon"))
	return v.outcome(err, "The coupon is withdrawn: nobody can enter it any more. Who has it keeps it.", v.couponsURL())
}
