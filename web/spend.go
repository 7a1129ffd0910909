package web

import (
	"net/http"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
)

// spends is what a developer's subscriptions cost this month; nothing, where no invoices
// are made.
func (v *visit) spends(developer string) ([]billing.Spend, error) {
	if v.Billing == nil {
		return nil, nil
	}
	return v.Billing.Spends(v.ctx(), billing.Scope{Tenant: v.actor().Tenant, Developer: developer})
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
	_, _, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	return v.spendPageWith(http.StatusOK, spendForm{SpendLimit: s.Limit})
}

func (v *visit) spendPageWith(status int, f spendForm) error {
	c, app, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	if s.Price == nil {
		return model.Errorf(model.NotFound, "the subscription has no price, and so nothing to cap")
	}
	return v.renderAs(status, spendLimitPage(v.developerPageOf("Spend cap of "+app.Name, c), c, app, s, &f))
}

func (v *visit) setSpend() error {
	c, _, s, err := v.subscriptionOf()
	if err != nil {
		return err
	}
	f := spendForm{SpendLimit: control.SpendLimit{Cap: model.Decimal(ungroup(v.value("cap"))), Alert: model.Decimal(ungroup(v.value("alert")))}}
	if field, err := f.Check(); err != nil {
		f.Problems = []ui.Problem{{Name: field, Text: model.MessageOf(err)}}
		return v.spendPageWith(http.StatusUnprocessableEntity, f)
	}
	return v.outcome(v.Plane.SetSpendLimit(v.ctx(), v.actor(), s.ID, f.SpendLimit), money.Told(s.Spending.Prepaid), developerURL(c.ID))
}

// setSpendAlert says at what amount of the account's own bill it wants mails.
func (v *visit) setSpendAlert() error {
	err := v.Plane.SetSpendAlert(v.ctx(), v.actor(), model.Decimal(ungroup(v.value("alert"))))
	return v.outcome(err, "Saved.", "/billing/account")
}
