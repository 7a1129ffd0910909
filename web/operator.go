package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tollgate/billing"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/money"
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
		{method: "GET", pattern: "/operator/tenants", who: theOperator, handle: (*visit).tenants},
		{method: "GET", pattern: "/operator/tenants/{account}", who: theOperator, handle: (*visit).tenant},
		{method: "POST", pattern: "/operator/tenants/{account}/caps", who: theOperator, handle: (*visit).setCaps},
		{method: "GET", pattern: "/operator/tenants/{account}/suspend", who: theOperator, handle: (*visit).confirmSuspend},
		{method: "POST", pattern: "/operator/tenants/{account}/suspend", who: theOperator, handle: (*visit).suspend},
		{method: "POST", pattern: "/operator/tenants/{account}/resume", who: theOperator, handle: (*visit).resume},
		{method: "POST", pattern: "/operator/tenants/{account}/move", who: theOperator, handle: (*visit).moveTenant},
		{method: "GET", pattern: "/operator/nodes", who: theOperator, handle: (*visit).nodes},
		{method: "POST", pattern: "/operator/nodes/token", who: theOperator, handle: (*visit).createNodeToken},
		{method: "POST", pattern: "/operator/nodes/revoke", who: theOperator, handle: (*visit).revokeNodeTokens},
		{method: "POST", pattern: "/operator/nodes/forget", who: theOperator, handle: (*visit).forgetNode},
		{method: "GET", pattern: "/operator/prices", who: theOperator, handle: (*visit).operatorPrices},
		{method: "POST", pattern: "/operator/prices", who: theOperator, handle: (*visit).addOperatorPrice},
		{method: "GET", pattern: "/operator/billing", who: theOperator, handle: (*visit).operatorBilling},
		{method: "POST", pattern: "/operator/billing/run", who: theOperator, handle: (*visit).operatorRun},
		{method: "GET", pattern: "/operator/billing/finalize", who: theOperator, handle: (*visit).confirmOperatorFinalize},
		{method: "POST", pattern: "/operator/billing/finalize", who: theOperator, handle: (*visit).operatorFinalize},
		{method: "GET", pattern: "/operator/invoices/{invoice}", who: theOperator, handle: (*visit).operatorInvoice},
		{method: "GET", pattern: "/operator/invoices/{invoice}/pdf", who: theOperator, handle: (*visit).operatorInvoicePDF},
		{method: "GET", pattern: "/operator/invoices/{invoice}/lines/{line}", who: theOperator, handle: (*visit).operatorInvoiceHours},
		{method: "GET", pattern: "/operator/mail", who: theOperator, handle: (*visit).mailPage},
		{method: "POST", pattern: "/operator/mail", who: theOperator, handle: (*visit).saveMail},
		{method: "POST", pattern: "/operator/mail/test", who: theOperator, handle: (*visit).testMail},
		{method: "POST", pattern: "/operator/mail/{mail}/retry", who: theOperator, handle: (*visit).retryMail},
		{method: "GET", pattern: "/operator/settings", who: theOperator, handle: (*visit).installation},
		{method: "POST", pattern: "/operator/settings/sign-up", who: theOperator, handle: (*visit).setSignUp},
		{method: "POST", pattern: "/operator/settings/seller", who: theOperator, handle: (*visit).setInstallationSeller},
		{method: "POST", pattern: "/operator/settings/invite", who: theOperator, handle: (*visit).inviteToSignUp},
		{method: "GET", pattern: "/operator/audit", who: theOperator, handle: (*visit).operatorAudit},
		{method: "GET", pattern: "/operator/profile", who: theOperator, handle: (*visit).operatorProfile},
		{method: "POST", pattern: "/operator/profile", who: theOperator, handle: (*visit).operatorPassword},
	}
}

func (v *visit) operatorAuthPage(title string) ui.Page {
	p := v.page(title)
	p.Area = "Operator"
	return p
}

func (v *visit) operatorSignInPage() error {
	if v.visitor != nil {
		return v.redirect("/operator")
	}
	return v.render(operatorSignInView(v.operatorAuthPage("Sign in as operator"), authForm{Next: serve.SafeNext(v.query("next"), "")}))
}

func (v *visit) operatorEnter() error {
	f := authForm{Email: v.value("email"), Next: serve.SafeNext(v.value("next"), "")}
	p, err := v.Plane.OperatorSignIn(v.ctx(), v.source(), f.Email, v.raw("password"))
	if err != nil {
		if !invalid(err) && model.KindOf(err) != model.Unauthenticated {
			return err
		}
		f.problem("", err)
		return v.renderAs(serve.Status(err), operatorSignInView(v.operatorAuthPage("Sign in as operator"), f))
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
	return v.redirect("/operator/sign-in")
}

func (v *visit) operatorHome() error {
	o, err := v.Plane.OperatorOverview(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(operatorHomeView(v.page("Overview"), o))
}

func (v *visit) tenants() error {
	f := control.TenantFilter{Page: control.Page{After: v.query("after"), Match: v.query("q"), Limit: 50}, State: v.query("state")}
	l, err := v.Plane.Tenants(v.ctx(), v.actor(), f)
	if err != nil {
		return err
	}
	return v.render(tenantsView(v.page("Tenants"), l, v.query("q"), f.State, v.next(l.Next), v.Now()))
}

func tenantURL(account string) string { return "/operator/tenants/" + url.PathEscape(account) }

var tenantCrumbs = []ui.Crumb{{Label: "Tenants", URL: "/operator/tenants"}}

func (v *visit) tenant() error { return v.tenantWith(200, nil) }

func (v *visit) tenantWith(status int, problems []ui.Problem) error {
	d, err := v.Plane.TenantDetail(v.ctx(), v.actor(), v.path("account"))
	if err != nil {
		return err
	}
	l, _, err := v.Billing.Invoices(v.ctx(), billing.Operator, billing.Filter{Account: d.AccountID, Limit: 24})
	if err != nil {
		return err
	}
	p := v.page(d.Name)
	p.Crumbs = tenantCrumbs
	return v.renderAs(status, tenantView(p, d, l, problems))
}

func (v *visit) setCaps() error {
	c, err := v.caps()
	if err == nil {
		err = v.Plane.SetTenantCaps(v.ctx(), v.actor(), v.path("account"), c)
	}
	if invalid(err) {
		return v.tenantWith(422, []ui.Problem{{Name: "rate", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	return v.done("The caps hold on every node now.", tenantURL(v.path("account")))
}

// caps are the form's; an empty field is the node's default.
func (v *visit) caps() (c model.Caps, err error) {
	num := func(name string, into func(float64)) {
		text := v.value(name)
		if text == "" || err != nil {
			return
		}
		f, e := strconv.ParseFloat(text, 64)
		if e != nil {
			err = model.Errorf(model.Invalid, "%q is not a number", text)
			return
		}
		if f < 0 || f > 1e12 {
			err = model.Errorf(model.Invalid, "%q is not between 0 and 1,000,000,000,000", text)
			return
		}
		into(f)
	}
	num("rate", func(f float64) { c.Rate = f })
	num("burst", func(f float64) { c.Burst = int(f) })
	num("in-flight", func(f float64) { c.InFlight = int(f) })
	num("buffered", func(f float64) { c.BufferedBytes = int64(f) })
	return c, err
}

func (v *visit) confirmSuspend() error { return v.confirmSuspendWith(200, "", nil) }

func (v *visit) confirmSuspendWith(status int, reason string, problems []ui.Problem) error {
	d, err := v.Plane.TenantDetail(v.ctx(), v.actor(), v.path("account"))
	if err != nil {
		return err
	}
	p := v.page("Suspend " + d.Name)
	p.Crumbs = append(tenantCrumbs[:1:1], ui.Crumb{Label: d.Name, URL: tenantURL(d.AccountID)})
	return v.renderAs(status, suspendView(p, d, reason, problems))
}

func (v *visit) suspend() error {
	reason := v.value("reason")
	err := v.Plane.SuspendTenant(v.ctx(), v.actor(), v.path("account"), reason)
	if invalid(err) {
		return v.confirmSuspendWith(422, reason, []ui.Problem{{Name: "reason", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	return v.done("The account is suspended: its calls are refused on every node within a second.", tenantURL(v.path("account")))
}

func (v *visit) resume() error {
	return v.outcome(v.Plane.ResumeTenant(v.ctx(), v.actor(), v.path("account")), "The account is served again.", tenantURL(v.path("account")))
}

func (v *visit) moveTenant() error {
	to := v.value("gateway")
	return v.outcome(v.Plane.MoveTenant(v.ctx(), v.actor(), v.path("account"), to), "The account is served by gateway "+to+" now.", tenantURL(v.path("account")))
}

func (v *visit) nodes() error {
	d, err := v.Plane.DataPlane(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(nodesView(v.page("Nodes"), d, v.Now()))
}

func (v *visit) createNodeToken() error {
	gateway, node := v.value("gateway"), v.value("node")
	token, err := v.Plane.CreateNodeToken(v.ctx(), v.actor(), gateway, node)
	if invalid(err) || model.KindOf(err) == model.NotFound {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/operator/nodes")
	}
	if err != nil {
		return err
	}
	p := v.page("Token for " + node)
	p.Crumbs = []ui.Crumb{{Label: "Nodes", URL: "/operator/nodes"}}
	return v.render(nodeTokenView(p, gateway, node, token))
}

func (v *visit) revokeNodeTokens() error {
	return v.outcome(v.Plane.RevokeNodeTokens(v.ctx(), v.actor(), v.value("gateway"), v.value("node")), "Its tokens are void; a node that uses one is refused at its next question.", "/operator/nodes")
}

func (v *visit) forgetNode() error {
	return v.outcome(v.Plane.ForgetNode(v.ctx(), v.actor(), v.value("gateway"), v.value("node")), "The node is no longer listed.", "/operator/nodes")
}

// priceForm is a price for tenants that is to be added.
type priceForm struct {
	From, Currency, Fee, Included string
	Tiers                         []priceRow
	Problems                      []ui.Problem
}

type priceRow struct{ UpTo, Price, Per string }

// priceRows is how many tiers the form has room for.
const priceRows = 6

func (v *visit) operatorPrices() error {
	f := priceForm{From: v.Now().UTC().Format("2006-01")}
	sheets, err := v.Billing.OperatorSheets(v.ctx())
	if err != nil {
		return err
	}
	start := billing.AmazonSheet()
	if len(sheets) > 0 {
		start = sheets[0].Sheet
		f.From = v.Now().UTC().AddDate(0, 1, 1-v.Now().UTC().Day()).Format("2006-01")
	}
	f.fill(&start)
	return v.render(operatorPricesView(v.page("Prices"), sheets, f))
}

func (f *priceForm) fill(s *model.PriceSheet) {
	f.Currency, f.Fee = s.Currency, string(s.MonthlyFee)
	if s.Included > 0 {
		f.Included = strconv.FormatInt(s.Included, 10)
	}
	for _, t := range s.Tiers {
		r := priceRow{Price: string(t.Price), Per: strconv.FormatInt(max(t.Per, 1), 10)}
		if t.UpTo > 0 {
			r.UpTo = strconv.FormatInt(t.UpTo, 10)
		}
		f.Tiers = append(f.Tiers, r)
	}
	for len(f.Tiers) < priceRows {
		f.Tiers = append(f.Tiers, priceRow{Per: "1000000"})
	}
}

func (v *visit) addOperatorPrice() error {
	f := priceForm{From: v.value("from"), Currency: v.value("currency"), Fee: v.value("fee"), Included: v.value("included")}
	sheet := model.PriceSheet{Currency: f.Currency, MonthlyFee: model.Decimal(f.Fee)}
	number := func(text string) (n int64, err error) {
		if text == "" {
			return 0, nil
		}
		if n, err = strconv.ParseInt(strings.ReplaceAll(text, ",", ""), 10, 64); err != nil {
			return 0, model.Errorf(model.Invalid, "%q is not a whole number", text)
		}
		return n, nil
	}
	var err error
	if sheet.Included, err = number(f.Included); err == nil {
		for i := range priceRows {
			n := strconv.Itoa(i)
			r := priceRow{v.value("upto" + n), v.value("price" + n), v.value("per" + n)}
			f.Tiers = append(f.Tiers, r)
			if r.Price == "" {
				continue
			}
			t := model.PriceTier{Price: model.Decimal(r.Price)}
			var e1, e2 error
			t.UpTo, e1 = number(r.UpTo)
			t.Per, e2 = number(r.Per)
			if e1 != nil || e2 != nil {
				err = model.Errorf(model.Invalid, "tier %d: calls are whole numbers", i+1)
			}
			sheet.Tiers = append(sheet.Tiers, t)
		}
	}
	var from time.Time
	if err == nil {
		from, err = billing.ParseMonth(f.From)
	}
	if err == nil {
		err = v.Billing.AddOperatorSheet(v.ctx(), v.by(), sheet, from)
	}
	if err == nil {
		return v.done("From "+billing.MonthText(from)+" on tenants are billed by the new prices.", "/operator/prices")
	}
	if !invalid(err) {
		return err
	}
	sheets, e := v.Billing.OperatorSheets(v.ctx())
	if e != nil {
		return e
	}
	for len(f.Tiers) < priceRows {
		f.Tiers = append(f.Tiers, priceRow{Per: "1000000"})
	}
	f.Problems = []ui.Problem{{Text: sentence(model.MessageOf(err))}}
	return v.renderAs(422, operatorPricesView(v.page("Prices"), sheets, f))
}

// operatorMonth is the month that the URL or the form asks for.
func (v *visit) operatorMonth() (time.Time, error) {
	text := v.r.FormValue("month")
	if text == "" {
		y, m, _ := v.Now().UTC().Date()
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), nil
	}
	return billing.ParseMonth(text)
}

func (v *visit) operatorBilling() error {
	month, err := v.operatorMonth()
	if err != nil {
		return err
	}
	l, next, err := v.Billing.Invoices(v.ctx(), billing.Operator, billing.Filter{Month: month, After: v.query("after"), Limit: 100})
	if err != nil {
		return err
	}
	sheets, err := v.Billing.OperatorSheets(v.ctx())
	if err != nil {
		return err
	}
	return v.render(operatorBillingView(v.page("Billing"), month, l, v.next(next), len(sheets) > 0, v.Now()))
}

func (v *visit) operatorRun() error {
	month, err := v.operatorMonth()
	if err != nil {
		return err
	}
	to := "/operator/billing?month=" + month.Format("2006-01")
	n, err := v.Billing.Run(v.ctx(), billing.Operator, v.by(), month)
	return v.outcome(err, ui.Plural(n, "draft is", "drafts are")+" there for "+billing.MonthText(month)+".", to)
}

func (v *visit) operatorDrafts(month time.Time) ([]billing.Invoice, error) {
	l, _, err := v.Billing.Invoices(v.ctx(), billing.Operator, billing.Filter{Month: month, State: "draft", Limit: 500})
	return l, err
}

func (v *visit) confirmOperatorFinalize() error { return v.confirmOperatorFinalizeWith(200, "") }

func (v *visit) confirmOperatorFinalizeWith(status int, problem string) error {
	month, err := v.operatorMonth()
	if err != nil {
		return err
	}
	l, err := v.operatorDrafts(month)
	if err != nil {
		return err
	}
	p := v.page("Make invoices final")
	p.Crumbs = []ui.Crumb{{Label: "Billing", URL: "/operator/billing?month=" + month.Format("2006-01")}}
	return v.renderAs(status, operatorFinalizeView(p, month, l, problem, v.Now()))
}

func (v *visit) operatorFinalize() error {
	month, err := v.operatorMonth()
	if err != nil {
		return err
	}
	l, err := v.operatorDrafts(month)
	if err != nil {
		return err
	}
	ids := make([]string, len(l))
	for i := range l {
		ids[i] = l[i].ID
	}
	done, err := v.Billing.Finalize(v.ctx(), billing.Operator, v.by(), ids, v.checked("go-on"))
	if model.KindOf(err) == model.Unavailable {
		return v.confirmOperatorFinalizeWith(serve.Status(err), sentence(model.MessageOf(err)))
	}
	return v.outcome(err, ui.Plural(len(done), "invoice is", "invoices are")+" final.", "/operator/billing?month="+month.Format("2006-01"))
}

func (v *visit) operatorInvoice() error {
	i, err := v.Billing.Invoice(v.ctx(), billing.Operator, v.path("invoice"))
	if err != nil {
		return err
	}
	p := v.page(money.Title(&i.Invoice))
	p.Crumbs = []ui.Crumb{{Label: "Billing", URL: "/operator/billing?month=" + i.Begin.Format("2006-01")}}
	return v.render(operatorInvoiceView(p, &i))
}

func (v *visit) operatorInvoicePDF() error {
	i, err := v.Billing.Invoice(v.ctx(), billing.Operator, v.path("invoice"))
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := money.PDF(&b, &i); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `attachment; filename="`+money.FileName(&i.Invoice, "pdf")+`"`)
	_, err = v.w.Write([]byte(b.String()))
	return err
}

func (v *visit) operatorInvoiceHours() error {
	n, err := strconv.Atoi(v.path("line"))
	if err != nil {
		return model.Errorf(model.NotFound, "there is no such line")
	}
	i, hours, err := v.Billing.Hours(v.ctx(), billing.Operator, v.path("invoice"), n)
	if err != nil {
		return err
	}
	p := v.page("Behind line " + strconv.Itoa(n))
	p.Crumbs = []ui.Crumb{{Label: money.Title(&i.Invoice), URL: "/operator/invoices/" + i.ID}}
	return v.render(operatorHoursView(p, &i, n, hours))
}

// mailForm is the mail settings as they are edited.
type mailForm struct {
	control.MailSettings
	Port     string
	Problems []ui.Problem
}

func (v *visit) mailPage() error {
	s, err := v.Plane.MailSettings(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	f := mailForm{MailSettings: s, Port: strconv.Itoa(s.Port)}
	if s.Host == "" {
		f.Port, f.Encryption = "587", "starttls"
	}
	return v.mailWith(200, f)
}

func (v *visit) mailWith(status int, f mailForm) error {
	l, err := v.Plane.Mails(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.renderAs(status, mailView(v.page("Mail"), f, l, v.visitor.Email, v.Now()))
}

func (v *visit) saveMail() error {
	f := mailForm{MailSettings: control.MailSettings{Host: v.value("host"), Username: v.value("username"), From: v.value("from"), Encryption: v.value("encryption")}, Port: v.value("port")}
	var err error
	if f.MailSettings.Port, err = strconv.Atoi(f.Port); err != nil && f.Host != "" {
		f.Problems = []ui.Problem{{Name: "port", Text: "The port is not a number"}}
		return v.mailWith(422, f)
	}
	var password *string
	if s := v.raw("password"); s != "" || v.checked("no-password") {
		password = &s
	}
	err = v.Plane.SetMailSettings(v.ctx(), v.actor(), f.MailSettings, password)
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "host", Text: sentence(model.MessageOf(err))}}
		return v.mailWith(422, f)
	}
	if err != nil {
		return err
	}
	return v.done("Saved. Send a test mail to see whether it works.", "/operator/mail")
}

func (v *visit) testMail() error {
	err := v.Plane.TestMail(v.ctx(), v.actor(), v.value("to"))
	if model.KindOf(err) == model.Unavailable {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/operator/mail")
	}
	return v.outcome(err, "The mail server took the test mail to "+v.value("to")+".", "/operator/mail")
}

func (v *visit) retryMail() error {
	id, err := strconv.ParseInt(v.path("mail"), 10, 64)
	if err != nil {
		return model.Errorf(model.NotFound, "there is no such mail")
	}
	return v.outcome(v.Plane.RetryMail(v.ctx(), v.actor(), id), "The mail is on its way again.", "/operator/mail")
}

func (v *visit) installation() error { return v.installationWith(200, nil, nil) }

func (v *visit) installationWith(status int, typed *model.Party, problems []ui.Problem) error {
	in, err := v.Plane.Installation(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	if typed != nil {
		in.Seller = *typed
	}
	return v.renderAs(status, installationView(v.page("Settings"), in, problems))
}

func (v *visit) setSignUp() error {
	return v.outcome(v.Plane.SetSignUp(v.ctx(), v.actor(), v.value("mode")), "Saved.", "/operator/settings")
}

// inviteToSignUp mails somebody a link to open an account, where that is by
// invitation.
func (v *visit) inviteToSignUp() error {
	email := v.value("email")
	return v.outcome(v.Plane.InviteToSignUp(v.ctx(), v.actor(), email), "A mail with a link to sign up is on its way to "+email+".", "/operator/settings")
}

func (v *visit) setInstallationSeller() error {
	p := model.Party{Name: v.value("name"), Address: v.raw("address"), TaxID: v.value("taxId"), Email: v.value("email")}
	err := v.Plane.SetSeller(v.ctx(), v.actor(), p)
	if invalid(err) {
		return v.installationWith(422, &p, []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	return v.done("Saved. Final invoices keep what they say.", "/operator/settings")
}

func (v *visit) operatorAudit() error {
	f, err := v.auditFilter()
	if err != nil {
		return err
	}
	l, err := v.Plane.OperatorAudit(v.ctx(), v.actor(), f)
	if err != nil {
		return err
	}
	return v.render(operatorAuditView(v.page("Audit log"), l, v.query, v.next(l.Next), v.Now()))
}

func (v *visit) operatorProfile() error { return v.operatorProfileWith(200, nil) }

func (v *visit) operatorProfileWith(status int, problems []ui.Problem) error {
	return v.renderAs(status, operatorProfileView(v.page("Your profile"), v.visitor.Email, problems))
}

func (v *visit) operatorPassword() error {
	err := v.Plane.ChangeOperatorPassword(v.ctx(), v.actor(), v.raw("old"), v.raw("password"), serve.IDHash(v.session.ID))
	if invalid(err) {
		return v.operatorProfileWith(422, []ui.Problem{{Name: "password", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	return v.done("The password is changed; every other browser is signed out.", "/operator/profile")
}
