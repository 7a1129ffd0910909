package web

import (
	"net/http"
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// The operator's area: apart from the tenants' console, with sessions of its own.
// It shows figures of accounts, never what is in them.
func (s *Server) operatorRoutes() []route {
	return []route{
		{method: "GET", pattern: "/operator/sign-in", who: anyOperator, handle: (*visit).operatorSignInPage},
		{method: "POST", pattern: "/operator/sign-in", who: anyOperator, handle: (*visit).operatorEnter},
		{method: "POST", pattern: "/operator/sign-out", who: theOperator, handle: (*visit).operatorLeave},
		{method: "GET", pattern: "/operator", who: theOperator, handle: (*visit).operatorHome},
		{method: "GET", pattern: "/operator/audit", who: theOperator, handle: (*visit).auditPage},
		{method: "GET", pattern: "/operator/audit.csv", who: theOperator, handle: (*visit).auditCSV},
		{method: "GET", pattern: "/operator/profile", who: theOperator, handle: (*visit).operatorProfile},
		{method: "POST", pattern: "/operator/profile/password", who: theOperator, handle: (*visit).operatorPassword},
		{method: "POST", pattern: "/operator/profile/sign-out-others", who: theOperator, handle: (*visit).operatorSignOutOthers},
	}
}

// problems are what is wrong with a form, in the order of its fields.
type problems []ui.Problem

// add notes why a field was refused; an empty name is the whole form's.
func (p *problems) add(field string, err error) {
	if err != nil {
		*p = append(*p, ui.Problem{Name: field, Text: sentence(model.MessageOf(err))})
	}
}

// at is what is wrong with a field.
func (p problems) at(field string) string {
	for _, x := range p {
		if x.Name == field {
			return x.Text
		}
	}
	return ""
}

func (v *visit) operatorSignInPage() error {
	if v.visitor != nil {
		return v.redirect("/operator")
	}
	return v.operatorSignInWith(200, authForm{Next: serve.SafeNext(v.query("next"), "")})
}

func (v *visit) operatorSignInWith(status int, f authForm) error {
	p := v.page("Sign in as operator")
	p.Area = "Operator"
	return v.renderAs(status, operatorSignInView(p, f))
}

func (v *visit) operatorEnter() error {
	f := authForm{Email: v.value("email"), Next: serve.SafeNext(v.value("next"), "")}
	p, err := v.Plane.OperatorSignIn(v.ctx(), v.source(), f.Email, v.raw("password"))
	if invalid(err) || model.KindOf(err) == model.Unauthenticated {
		f.problem("", err)
		return v.operatorSignInWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	if err := v.signIn(p.ID, 0); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, serve.SafeNext(f.Next, "/operator"), http.StatusSeeOther)
	return nil
}

func (v *visit) operatorLeave() error {
	if err := v.signOut(); err != nil {
		return err
	}
	return v.redirect(signInPath[control.RealmOperator])
}

func (v *visit) operatorHome() error {
	o, err := v.Plane.OperatorOverview(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	checks, err := v.Billing.Checks(v.ctx())
	if err != nil {
		return err
	}
	return v.render(operatorHomeView(v.page("Overview"), o, looks(o, failing(checks))))
}

// look is something that needs the operator.
type look struct{ Kind, Title, Text, URL, Action string }

// pressing are the kinds of looks, the most pressing first.
var pressing = []string{"danger", "warn", "info"}

// looks are what needs the operator now, the most pressing first; failing is how many
// checks of the books do not hold.
func looks(o control.OperatorOverview, failing int64) (out []look) {
	need := func(is bool, l look) {
		if is {
			out = append(out, l)
		}
	}
	const nodes = "/operator/nodes"
	need(o.Nodes == 0, look{"danger", "There is no node", "Nothing answers calls until one runs.", nodes, "Add a node"})
	need(o.Nodes > 0 && o.LiveNodes == 0, look{"danger", "No node is live", "Nodes that run go on with what they have, but changes reach none of them.", nodes, "See nodes"})
	need(o.LiveNodes > 0 && o.LiveNodes < o.Nodes, look{"warn", ui.Plural(o.Nodes-o.LiveNodes, "node is", "nodes are") + " not live", "Changes do not arrive there. Start it again, or forget what is gone for good.", nodes, "See nodes"})
	need(o.BehindNodes > 0, look{"warn", ui.Plural(o.BehindNodes, "node is", "nodes are") + " behind", "What is served there is more than 10 seconds old.", nodes, "See nodes"})
	need(o.FailingNodes > 0, look{"warn", ui.Plural(o.FailingNodes, "node goes", "nodes go") + " on with an older deployment", "A stage could not be brought up to date.", nodes, "See why"})
	need(o.OpenJournals > 0, look{"warn", "Usage of " + ui.Plural(o.OpenJournals, "journal", "journals") + " has not come in", "Nodes that do not run hold it on their disks, and invoices wait for it.", nodes + "#journals", "See journals"})
	need(o.Quarantined > 0, look{"danger", ui.Plural(o.Quarantined, "batch", "batches") + " of usage set aside", "What could not be taken is not billed.", nodes + "#set-aside", "See why"})
	need(failing > 0, look{"danger", ui.Plural(failing, "check", "checks") + " of the books failed", "Something that was used, billed or paid is not what it must be.", "/operator/checks", "See what"})
	need(o.MailsFailing > 0, look{"danger", ui.Plural(o.MailsFailing, "mail does", "mails do") + " not leave", "The mail server refuses, or does not answer.", "/operator/mail?state=failing", "See mails"})
	need(o.MailsWaiting > 0 && !o.MailSet, look{"warn", ui.Plural(o.MailsWaiting, "mail waits", "mails wait"), "There is no mail server to send them by.", "/operator/mail", "Set a mail server"})
	need(o.Drafts > 0, look{"info", ui.Plural(o.Drafts, "draft", "drafts") + " to make final", "Tenants see an invoice once it is final.", "/operator/billing", "See billing"})
	slices.SortStableFunc(out, func(a, b look) int { return slices.Index(pressing, a.Kind) - slices.Index(pressing, b.Kind) })
	return out
}

// setUp is what an installation needs once.
func setUp(o control.OperatorOverview) []ui.CheckItem {
	return []ui.CheckItem{
		{Done: o.MailSet, Title: "A mail server", Text: "Sign-up, invitations and new passwords go by mail", URL: "/operator/mail", Action: "Set it"},
		{Done: o.PricesFrom != nil, Title: "Prices for tenants", Text: "Without them tenants are not billed", URL: "/operator/prices", Action: "Set them"},
		{Done: o.Seller.Name != "", Title: "Who invoices are from", Text: "Name, address and tax number on what tenants receive", URL: "/operator/settings", Action: "Fill in"},
	}
}

func allDone(items []ui.CheckItem) bool {
	for _, i := range items {
		if !i.Done {
			return false
		}
	}
	return true
}

func signUpText(mode string) string {
	if mode == control.SignUpOpen {
		return "anybody may sign up"
	}
	return "sign-up by invitation"
}

// operatorTargetURL is the page of what an entry of the audit log is about.
func operatorTargetURL(e control.AuditEntry) string {
	switch {
	case e.Name != "" && strings.HasPrefix(e.Action, "tenant."):
		return tenantURL(e.Target)
	case e.Action == "invoice.finalize":
		return "/operator/billing/invoices/" + e.Target
	}
	return ""
}

// operatorForm is the operator's own account.
type operatorForm struct {
	problems
	Sessions []control.OtherSession
}

func (v *visit) operatorProfile() error { return v.operatorProfileWith(200, nil) }

func (v *visit) operatorProfileWith(status int, wrong problems) error {
	l, err := v.Plane.SessionsOf(v.ctx(), v.realm, v.visitor.ID, serve.IDHash(v.session.ID))
	if err != nil {
		return err
	}
	return v.renderAs(status, operatorProfileView(v.page("Your profile"), v.visitor.Email, operatorForm{wrong, l}, v.Now()))
}

func (v *visit) operatorPassword() error {
	var wrong problems
	if wrong.add("password", control.CheckPassword(v.raw("password"))); len(wrong) > 0 {
		return v.operatorProfileWith(422, wrong)
	}
	err := v.Plane.ChangeOperatorPassword(v.ctx(), v.actor(), v.raw("old"), v.raw("password"), serve.IDHash(v.session.ID))
	if invalid(err) {
		wrong.add("old", err)
		return v.operatorProfileWith(serve.Status(err), wrong)
	}
	if err != nil {
		return err
	}
	return v.done("The password is changed; every other browser is signed out.", "/operator/profile")
}

func (v *visit) operatorSignOutOthers() error {
	n, err := v.Plane.EndSessions(v.ctx(), v.realm, v.visitor.ID, serve.IDHash(v.session.ID))
	return v.outcome(err, ui.Plural(n, "other browser is", "other browsers are")+" signed out.", "/operator/profile")
}
