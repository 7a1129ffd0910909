package web

import (
	"math"
	"net/url"
	"strconv"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) operatorTenantRoutes() []route {
	return []route{
		{method: "GET", pattern: "/operator/tenants", who: theOperator, handle: (*visit).tenants},
		{method: "GET", pattern: "/operator/tenants/{account}", who: theOperator, handle: (*visit).tenant},
		{method: "POST", pattern: "/operator/tenants/{account}/caps", who: theOperator, handle: (*visit).setCaps},
		{method: "GET", pattern: "/operator/tenants/{account}/suspend", who: theOperator, handle: (*visit).confirmSuspend},
		{method: "POST", pattern: "/operator/tenants/{account}/suspend", who: theOperator, handle: (*visit).suspend},
		{method: "POST", pattern: "/operator/tenants/{account}/resume", who: theOperator, handle: (*visit).resume},
		{method: "GET", pattern: "/operator/tenants/{account}/move", who: theOperator, handle: (*visit).confirmMove},
		{method: "POST", pattern: "/operator/tenants/{account}/move", who: theOperator, handle: (*visit).moveTenant},
		{method: "GET", pattern: "/operator/invitations", who: theOperator, handle: (*visit).signUpInvitations},
		{method: "POST", pattern: "/operator/invitations", who: theOperator, handle: (*visit).inviteToSignUp},
		{method: "GET", pattern: "/operator/invitations/{invitation}/revoke", who: theOperator, handle: (*visit).confirmRevokeSignUpInvitation},
		{method: "POST", pattern: "/operator/invitations/{invitation}/revoke", who: theOperator, handle: (*visit).revokeSignUpInvitation},
	}
}

func tenantURL(account string) string { return "/operator/tenants/" + url.PathEscape(account) }

// tenantList is a page of accounts, and what it is narrowed to.
type tenantList struct {
	control.List[control.Tenant]
	Match, State, Gateway string
	Gateways              []ui.Option
	Next                  string
}

func (l tenantList) narrowed() bool { return l.Match != "" || l.State != "" || l.Gateway != "" }

func (v *visit) tenants() error {
	l := tenantList{Match: v.query("q"), State: v.query("state"), Gateway: v.query("gateway")}
	var err error
	l.List, err = v.Plane.Tenants(v.ctx(), v.actor(), control.TenantFilter{
		Page: control.Page{After: v.query("after"), Match: l.Match, Limit: 50}, State: l.State, Gateway: l.Gateway})
	if err != nil {
		return err
	}
	gateways, err := v.Plane.Gateways(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	l.Gateways = []ui.Option{{Label: "Any"}}
	for _, g := range gateways {
		l.Gateways = append(l.Gateways, ui.Option{Value: g.Name, Label: g.Name})
	}
	l.Next = v.next(l.List.Next)
	return v.render(tenantsView(v.page("Tenants"), l, v.Now()))
}

// tenantPage is one account as the operator sees it.
type tenantPage struct {
	control.TenantDetail
	Invoices []billing.Invoice
	Credit   string               // what it has prepaid
	Done     []control.AuditEntry // by operators, to this account
	Caps     capsForm
}

// capsForm is a tenant's caps as they are edited; an empty field is the default.
type capsForm struct {
	problems
	Rate, Burst, InFlight, Buffered string
}

func (v *visit) tenant() error { return v.tenantWith(200, nil) }

func (v *visit) tenantWith(status int, typed *capsForm) error {
	var t tenantPage
	var err error
	if t.TenantDetail, err = v.Plane.TenantDetail(v.ctx(), v.actor(), v.path("account")); err != nil {
		return err
	}
	if t.Invoices, _, err = v.Billing.Invoices(v.ctx(), billing.Operator, billing.Filter{Account: t.AccountID, Limit: 12}); err != nil {
		return err
	}
	wallets, err := v.Billing.Wallets(v.ctx(), billing.Operator, billing.Payer{Tenant: t.Num})
	if err != nil {
		return err
	}
	t.Credit = creditLine(wallets)
	done, err := v.Plane.OperatorAudit(v.ctx(), v.actor(), control.AuditFilter{Target: t.AccountID, Limit: 5})
	if err != nil {
		return err
	}
	t.Done, t.Caps = done.Items, newCapsForm(t.TenantDetail.Caps)
	if typed != nil {
		t.Caps = *typed
	}
	p := v.page(t.Name)
	p.Crumbs = tenantCrumbs(nil)
	return v.renderAs(status, tenantView(p, t, v.Now()))
}

// tenantCrumbs lead from the list to an account; nil: to the list.
func tenantCrumbs(t *control.TenantDetail) []ui.Crumb {
	out := []ui.Crumb{{Label: "Tenants", URL: "/operator/tenants"}}
	if t != nil {
		out = append(out, ui.Crumb{Label: t.Name, URL: tenantURL(t.AccountID)})
	}
	return out
}

func newCapsForm(c model.Caps) (f capsForm) {
	whole := func(n int64) string {
		if n == 0 {
			return ""
		}
		return ui.Quantity(n)
	}
	f.Burst, f.InFlight, f.Buffered = whole(int64(c.Burst)), whole(int64(c.InFlight)), whole(c.BufferedBytes>>20)
	if c.BufferedBytes%(1<<20) != 0 { // set on the command line, to the byte
		f.Buffered = strconv.FormatFloat(float64(c.BufferedBytes)/(1<<20), 'f', -1, 64)
	}
	if c.Rate != 0 {
		f.Rate = strconv.FormatFloat(c.Rate, 'f', -1, 64)
	}
	return f
}

// caps are the form's; problems are noted at their fields.
func (f *capsForm) caps() (c model.Caps) {
	whole := func(field, text string, most int64) int64 {
		if text == "" {
			return 0
		}
		n, err := strconv.ParseInt(ungroup(text), 10, 64)
		if err != nil || n < 1 || n > most {
			f.add(field, model.Errorf(model.Invalid, "%q is not a whole number between 1 and %s; leave it empty for the default", text, ui.Quantity(most)))
		}
		return n
	}
	decimal := func(field, text, what string, most float64) float64 {
		if text == "" {
			return 0
		}
		n, err := strconv.ParseFloat(ungroup(text), 64)
		if err != nil || !(n > 0 && n <= most) {
			f.add(field, model.Errorf(model.Invalid, "%q is not a number of %s above 0, at most %s; leave it empty for the default", text, what, ui.Quantity(int64(most))))
		}
		return n
	}
	c.Rate = decimal("rate", f.Rate, "calls a second", 1e9)
	c.Burst = int(whole("burst", f.Burst, math.MaxInt32))
	c.InFlight = int(whole("in-flight", f.InFlight, math.MaxInt32))
	c.BufferedBytes = int64(decimal("buffered", f.Buffered, "MiB", 1<<20) * (1 << 20))
	return c
}

func (v *visit) setCaps() error {
	f := &capsForm{Rate: v.value("rate"), Burst: v.value("burst"), InFlight: v.value("in-flight"), Buffered: v.value("buffered")}
	c := f.caps()
	if len(f.problems) == 0 {
		err := v.Plane.SetTenantCaps(v.ctx(), v.actor(), v.path("account"), c)
		if err == nil {
			return v.done("The caps are saved; every node has them within a second.", tenantURL(v.path("account")))
		}
		if !invalid(err) {
			return err
		}
		f.add("", err)
	}
	return v.tenantWith(422, f)
}

// suspendForm asks before an account is suspended.
type suspendForm struct {
	problems
	control.TenantDetail
	Reason string
}

func (v *visit) confirmSuspend() error { return v.confirmSuspendWith(200, suspendForm{}) }

func (v *visit) confirmSuspendWith(status int, f suspendForm) error {
	var err error
	if f.TenantDetail, err = v.Plane.TenantDetail(v.ctx(), v.actor(), v.path("account")); err != nil {
		return err
	}
	p := v.page("Suspend " + f.Name)
	p.Crumbs = tenantCrumbs(&f.TenantDetail)
	return v.renderAs(status, suspendView(p, f))
}

func (v *visit) suspend() error {
	f := suspendForm{Reason: v.value("reason")}
	err := v.Plane.SuspendTenant(v.ctx(), v.actor(), v.path("account"), f.Reason)
	if invalid(err) {
		f.add("reason", err)
		return v.confirmSuspendWith(422, f)
	}
	if err != nil {
		return err
	}
	return v.done("The account is suspended: its calls are refused on every node within a second.", tenantURL(v.path("account")))
}

func (v *visit) resume() error {
	return v.outcome(v.Plane.ResumeTenant(v.ctx(), v.actor(), v.path("account")), "The account is served again, on every node within a second.", tenantURL(v.path("account")))
}

// moveForm asks before an account goes to the nodes of another gateway.
type moveForm struct {
	problems
	control.TenantDetail
	To    string
	Empty bool // no node of it is live: the operator has to insist
}

func (v *visit) confirmMove() error { return v.confirmMoveWith(200, moveForm{To: v.query("gateway")}) }

func (v *visit) confirmMoveWith(status int, f moveForm) error {
	var err error
	if f.TenantDetail, err = v.Plane.TenantDetail(v.ctx(), v.actor(), v.path("account")); err != nil {
		return err
	}
	p := v.page("Move " + f.Name)
	p.Crumbs = tenantCrumbs(&f.TenantDetail)
	return v.renderAs(status, moveView(p, f))
}

// others are the gateways that the account could go to.
func (f moveForm) others() (out []ui.Option) {
	for _, g := range f.Gateways {
		if g.Name == f.Gateway {
			continue
		}
		hint := "Shared with other tenants"
		if g.Kind == "dedicated" {
			hint = "Dedicated to this account"
		}
		if hint += ", " + ui.Plural(g.Nodes, "live node", "live nodes"); g.Nodes == 0 {
			hint += ": every call fails until one runs"
		}
		out = append(out, ui.Option{Value: g.Name, Label: g.Name, Hint: hint})
	}
	return out
}

func (v *visit) moveTenant() error {
	account, f := v.path("account"), moveForm{To: v.value("gateway")}
	d, err := v.Plane.TenantDetail(v.ctx(), v.actor(), account)
	if err != nil {
		return err
	}
	for _, g := range d.Gateways {
		f.Empty = f.Empty || g.Name == f.To && g.Nodes == 0
	}
	switch {
	case f.To == "":
		err = model.Errorf(model.Invalid, "choose the gateway that is to serve the account")
	case f.Empty && !v.checked("empty"):
		err = model.Errorf(model.Invalid, "no node of gateway %q is live: every call of the account would fail", f.To)
	default:
		err = v.Plane.MoveTenant(v.ctx(), v.actor(), account, f.To)
	}
	if err == nil {
		return v.done("The account is served by gateway "+f.To+" now.", tenantURL(account))
	}
	if !invalid(err) && model.KindOf(err) != model.NotFound {
		return err
	}
	f.add("gateway", err)
	return v.confirmMoveWith(422, f)
}

// invitationsForm is who was asked to sign up, and somebody more.
type invitationsForm struct {
	problems
	Open   control.List[control.Invitee]
	Match  string
	Next   string
	Email  string
	SignUp string
}

func (v *visit) signUpInvitations() error { return v.signUpInvitationsWith(200, invitationsForm{}) }

func (v *visit) signUpInvitationsWith(status int, f invitationsForm) error {
	in, err := v.Plane.Installation(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	f.SignUp = in.SignUp
	f.Match = v.query("q")
	f.Open, err = v.Plane.SignUpInvitations(v.ctx(), v.actor(), control.Page{Match: f.Match, After: v.query("after"), Limit: 50})
	if err != nil {
		return err
	}
	f.Next = v.next(f.Open.Next)
	p := v.page("Invitations")
	p.Crumbs = tenantCrumbs(nil)
	return v.renderAs(status, invitationsView(p, f, v.Now()))
}

// inviteToSignUp mails somebody a link to open an account.
func (v *visit) inviteToSignUp() error {
	f := invitationsForm{Email: v.value("email")}
	err := v.Plane.InviteToSignUp(v.ctx(), v.actor(), f.Email)
	if invalid(err) {
		f.add("email", err)
		return v.signUpInvitationsWith(422, f)
	}
	if err != nil {
		return err
	}
	return v.done("A mail with a link to sign up is on its way to "+f.Email+".", "/operator/invitations")
}

func (v *visit) confirmRevokeSignUpInvitation() error {
	i, err := v.Plane.SignUpInvitation(v.ctx(), v.actor(), v.path("invitation"))
	if err != nil {
		return err
	}
	p := v.page("Take back an invitation")
	p.Crumbs = append(tenantCrumbs(nil), ui.Crumb{Label: "Invitations", URL: "/operator/invitations"})
	return v.render(revokeSignUpInvitationView(p, i, v.Now()))
}

func (v *visit) revokeSignUpInvitation() error {
	return v.outcome(v.Plane.RevokeSignUpInvitation(v.ctx(), v.actor(), v.path("invitation")), "The invitation is taken back; its link is void.", "/operator/invitations")
}

// capDefault is what a cap is where the operator did not set it.
func capDefault(f float64) string { return ui.Quantity(int64(f)) }
