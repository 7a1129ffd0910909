package portal

import (
	"cmp"
	"net/http"
	"strings"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

// spends is what the visitor's subscriptions cost this month; nothing, where no invoices
// are made.
func (v *visit) spends() ([]billing.Spend, error) {
	if v.Billing == nil {
		return nil, nil
	}
	return v.Billing.Spends(v.ctx(), v.books())
}

func spendOf(all []billing.Spend, subscription uint64) *billing.Spend {
	for i := range all {
		if all[i].Subscription == subscription {
			return &all[i]
		}
	}
	return nil
}

// spendingText says what bounds the months of who subscribes to a plan.
func spendingText(p control.CataloguePlan) string {
	var out []string
	if p.Spending.Prepaid {
		out = append(out, "Prepaid")
	}
	if amount := cmp.Or(p.Spending.SpendCap, p.Spending.SpendMax); amount != "" && p.Price != nil {
		out = append(out, "Spend cap of "+string(amount)+" "+p.Price.Currency+" a month, which you can change")
	}
	return strings.Join(out, " · ")
}

// spendForm is a subscription's limit, as it was typed.
type spendForm struct {
	control.SpendLimit
	Problems []ui.Problem
}

func (f *spendForm) at(field string) string {
	for _, p := range f.Problems {
		if p.Name == field {
			return p.Text
		}
	}
	return ""
}

func (v *visit) spendPage() error {
	_, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	return v.spendPageWith(http.StatusOK, spendForm{SpendLimit: s.Limit})
}

func (v *visit) spendPageWith(status int, f spendForm) error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	if s.Price == nil {
		return model.Errorf(model.NotFound, "the subscription has no price, and so nothing to cap")
	}
	spent, err := v.spends()
	if err != nil {
		return err
	}
	p := v.page("Spend cap of " + s.Plan)
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: a.Name, URL: v.appURL(a.ID)}}
	return v.renderAs(status, spendView(p, v, a, s, spendOf(spent, s.ID), &f))
}

func (v *visit) setSpend() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	f := spendForm{SpendLimit: control.SpendLimit{Cap: model.Decimal(v.value("cap")), Alert: model.Decimal(v.value("alert"))}}
	if field, err := f.Check(); err != nil {
		f.Problems = []ui.Problem{{Name: field, Text: sentence(model.MessageOf(err))}}
		return v.spendPageWith(http.StatusUnprocessableEntity, f)
	}
	err = v.Plane.SetAppSpendLimit(v.ctx(), v.actor(), s.ID, f.SpendLimit)
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "cap", Text: sentence(model.MessageOf(err))}}
		return v.spendPageWith(http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	return v.done(money.Told(s.Spending.Prepaid), "/apps/"+a.ID)
}
