package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
)

// in makes a real browser's visitor the one who is signed in here.
func (b *browser) in(p *chromium.Page) {
	p.Goto(b.url + "/sign-in")
	var set string
	p.Eval(fmt.Sprintf(`document.cookie = "%s=%s; path=/"`, b.cookie.Name, b.cookie.Value), &set)
}

// shop is an account that sells, with all that its pages can show.
func (s *site) shop() (owner control.Actor, pages map[string]string) {
	owner = s.tenant()
	s.exec(`update tenant set name = 'Pets Inc.' where tenant_id = $1`, owner.Tenant)
	prod, dev := s.deployed(owner, "prod"), s.deployed(owner, "dev")
	gold := s.plan(owner, "Gold", &model.PriceSheet{Currency: "EUR", MonthlyFee: "29", Included: 10_000,
		Tiers: []model.PriceTier{{UpTo: 100_000, Price: "0.002"}, {Price: "1.50", Per: 1000}}}, prod, dev)
	free := s.plan(owner, "Free", nil, dev)
	key := func(name string) control.CreatedKey {
		k, err := s.CreateKey(s.Context(), owner, control.NewKey{Name: name, Enabled: true, PlanIDs: []string{gold.ID}})
		s.must(err)
		return k
	}
	key("Old one")
	_, err := s.UpdatePlan(s.Context(), owner, gold.ID, func(p *control.PlanSpec) error {
		p.Throttle, p.Quota, p.Published = &model.Throttle{Rate: 50, Burst: 100}, &model.Quota{Limit: 1_000_000, Period: model.Month}, true
		p.Spending = model.Spending{SpendCap: "250", SpendMax: "1000"}
		p.Description, p.Price.MonthlyFee = "For teams that go live: a guaranteed rate and a price that falls as you grow.", "35"
		p.Stages[0].Throttle = map[string]model.Throttle{"/pets/GET": {Rate: 1, Burst: 2}}
		return nil
	})
	s.must(err)
	own := key("Production of Ships Ltd.")
	developer, theirs := s.customer(owner, "bea@ships.example", gold)
	s.used(owner, own.Key, 200, 1200)
	s.used(owner, theirs.Key, 429, 12)
	s.must(s.SetKeyEnabled(s.Context(), owner, theirs.ID, false))
	var subscription uint64
	s.must(pgx.BeginFunc(s.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.Context(), `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		return tx.QueryRow(s.Context(), `select subscription_id from subscription where tenant_id = $1 and app_id is not null`, owner.Tenant).Scan(&subscription)
	}))
	s.must(s.SetSpendLimit(s.Context(), owner, subscription, control.SpendLimit{Cap: "45"}))
	_, err = s.Leases(s.Context(), control.SharedNode("n"), []model.LeaseRequest{{Boot: "b", Tenant: owner.Tenant, Subscription: own.Plans[0].Subscription, At: time.Now(), Want: 300_000}})
	s.must(err)
	s.must(s.PublishAPI(s.Context(), owner, prod.APIID, "prod", "Everything about pets"))
	_, err = s.UpsertPortal(s.Context(), owner, func(p *control.PortalSpec) error { p.Accent, p.Tagline = "#7a1fa2", "Pets on demand"; return nil })
	s.must(err)
	payer, scope, by := billing.Payer{Tenant: owner.Tenant, Developer: developer}, billing.Scope{Tenant: owner.Tenant}, billing.By{Name: "ada@pets.example"}
	books := s.web.Billing
	for n, c := range []model.CustomerCoupon{{Code: "SPRING-20", Percent: "20", Months: 3}, {Code: "LAUNCH", Amount: "5", Currency: "EUR", Months: 1, PlanID: gold.ID, Most: 100, ExpiresAt: time.Now().AddDate(0, 1, 0)}, {Code: "OLD", Percent: "50"}} {
		id, err := books.CreateCoupon(s.Context(), scope, by, c)
		s.must(err)
		if n == 2 {
			s.must(books.WithdrawCoupon(s.Context(), scope, by, id))
			continue
		}
		_, err = books.UseCoupon(s.Context(), scope, by, payer, c.Code)
		s.must(err)
	}
	_, err = books.Grant(s.Context(), scope, by, billing.Grant{Payer: payer, Currency: "EUR", Amount: 2500, Reason: "For the outage of 3 November", Priority: 10, ExpiresAt: time.Now().AddDate(0, 2, 0), Reference: "1"})
	s.must(err)
	top, err := books.TopUp(s.Context(), scope, by, billing.TopUp{Payer: payer, Currency: "EUR", Amount: 10_000})
	s.must(err)
	_, err = books.Paid(s.Context(), scope, by, billing.Receipt{Invoice: top, Kind: model.PaidByHand, Amount: 10_000, Reference: "transfer 17"})
	s.must(err)
	wallets, err := books.Wallets(s.Context(), scope, payer)
	s.must(err)
	return owner, map[string]string{
		"credit": "/developers/" + developer + "/credit", "credit-revoke": "/developers/" + developer + "/credit/grants/" + wallets[0].Grants[0].ID + "/revoke",
		"coupons": "/billing/coupons", "coupon-new": "/billing/coupons/new", "top-up": "/billing/invoices/" + top, "own-bill": "/billing/account",
		"plans": "/plans", "plan": "/plans/" + gold.ID, "plan-edit": "/plans/" + gold.ID + "/edit", "plan-new": "/plans/new",
		"plan-reprice": "/plans/" + gold.ID + "/reprice", "plan-delete": "/plans/" + free.ID + "/delete",
		"keys": "/keys", "key-new": "/keys/new", "key": "/keys/" + own.ID, "key-of-app": "/keys/" + theirs.ID, "key-delete": "/keys/" + own.ID + "/delete", "key-import": "/keys/import",
		"developers": "/developers", "developer": "/developers/" + developer, "developer-disable": "/developers/" + developer + "/disable",
		"developer-spend": fmt.Sprint("/developers/", developer, "/subscriptions/", subscription, "/spend"),
		"portal-settings": "/portal-settings",
	}
}

// What is sold looks right to everybody, on a desk and on a phone.
func TestSellingPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner, pages := s.shop()
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	for name, path := range pages {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
	empty := chromium.Start(t).Visitor(t)
	s.as(s.tenant()).in(empty)
	for _, path := range []string{"/plans", "/plans/new", "/keys", "/developers", "/portal-settings"} {
		empty.Goto(s.url + path)
		empty.Sound("empty" + strings.ReplaceAll(path, "/", "-"))
	}
}

// Where JavaScript runs, what a customer pays follows the price as it is typed;
// leaving the form with changes is asked about, and saving it is not.
func TestPriceIsWorkedOutAsItIsTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	p.Goto(s.url + "/plans/new")
	p.Fill("Name", "Gold")
	if !p.Says("free of charge") {
		t.Error("an empty price is not said to be free")
	}
	p.Choose("currency", "EUR")
	p.Fill("fee", "10")
	p.Await("10.00 EUR")
	p.Fill("price0", "0.5")
	p.Await("510.00 EUR") // a thousand calls
	p.Fill("fee", "ten")
	p.Await("is not an amount")
	p.Fill("fee", "20")
	p.Await("520.00 EUR")
	p.Click("Make plan")
	p.Await("Plan Gold is made")
	if f := p.Faults(); len(f) > 0 {
		t.Errorf("faults: %v", f)
	}
}
