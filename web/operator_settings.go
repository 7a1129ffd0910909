package web

import (
	"net/url"
	"strconv"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) operatorSettingsRoutes() []route {
	return []route{
		{method: "GET", pattern: "/operator/mail", who: theOperator, handle: (*visit).mailPage},
		{method: "POST", pattern: "/operator/mail", who: theOperator, handle: (*visit).saveMail},
		{method: "POST", pattern: "/operator/mail/test", who: theOperator, handle: (*visit).testMail},
		{method: "POST", pattern: "/operator/mail/{mail}/retry", who: theOperator, handle: (*visit).retryMail},
		{method: "GET", pattern: "/operator/settings", who: theOperator, handle: (*visit).installation},
		{method: "POST", pattern: "/operator/settings/sign-up", who: theOperator, handle: (*visit).setSignUp},
		{method: "POST", pattern: "/operator/settings/seller", who: theOperator, handle: (*visit).setInstallationSeller},
		{method: "GET", pattern: "/operator/operators", who: theOperator, handle: (*visit).operators},
		{method: "POST", pattern: "/operator/operators", who: theOperator, handle: (*visit).addOperator},
		{method: "GET", pattern: "/operator/operators/{operator}/remove", who: theOperator, handle: (*visit).confirmRemoveOperator},
		{method: "POST", pattern: "/operator/operators/{operator}/remove", who: theOperator, handle: (*visit).removeOperator},
	}
}

// mailForm is how mails leave, as it is edited, with the mails there are.
type mailForm struct {
	problems
	control.MailSettings
	Port   string
	TestTo string
	Failed string // why the test mail did not leave
	State  string
	Mails  control.List[control.Mail]
	Next   string
}

func (v *visit) mailPage() error {
	f, err := v.mailForm()
	if err != nil {
		return err
	}
	return v.mailWith(200, f)
}

// mailForm is the settings as they are kept.
func (v *visit) mailForm() (mailForm, error) {
	s, err := v.Plane.MailSettings(v.ctx(), v.actor())
	f := mailForm{MailSettings: s, Port: strconv.Itoa(s.Port), TestTo: v.visitor.Email}
	if s.Host == "" {
		f.Port, f.Encryption = "587", "starttls"
	}
	return f, err
}

func (v *visit) mailWith(status int, f mailForm) error {
	f.State = v.query("state")
	var err error
	if f.Mails, err = v.Plane.Mails(v.ctx(), v.actor(), control.MailFilter{State: f.State, After: v.query("after")}); err != nil {
		return err
	}
	if f.Mails.Next != "" { // this may be the answer to one of the page's forms
		f.Next = "/operator/mail?" + url.Values{"state": {f.State}, "after": {f.Mails.Next}}.Encode()
	}
	return v.renderAs(status, mailView(v.page("Mail"), f, v.Now()))
}

func (v *visit) saveMail() error {
	was, err := v.Plane.MailSettings(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	f := mailForm{Port: v.value("port"), TestTo: v.visitor.Email, MailSettings: control.MailSettings{
		Host: v.value("host"), Username: v.value("username"), From: v.value("from"), Encryption: v.value("encryption"), HasPassword: was.HasPassword}}
	if f.MailSettings.Port, err = strconv.Atoi(f.Port); err != nil && f.Host != "" {
		f.add("port", model.Errorf(model.Invalid, "%.40q is not a port; mail servers listen on 587, 465 or 25", f.Port))
		return v.mailWith(422, f)
	}
	if field, err := f.MailSettings.Check(); err != nil {
		f.add(field, err)
		return v.mailWith(422, f)
	}
	var password *string
	if s := v.raw("password"); s != "" || v.checked("no-password") {
		password = &s
	}
	err = v.Plane.SetMailSettings(v.ctx(), v.actor(), f.MailSettings, password)
	if invalid(err) {
		f.add("password", err)
		return v.mailWith(422, f)
	}
	if err != nil {
		return err
	}
	if f.Host == "" {
		return v.done("There is no mail server any more: mails wait.", "/operator/mail")
	}
	if was.HasPassword && password == nil && (f.Host != was.Host || f.Username != was.Username) {
		return v.done("Saved, without a password: the old one is not told to another server or user.", "/operator/mail")
	}
	return v.done("Saved. Send a test mail to see whether it works.", "/operator/mail")
}

func (v *visit) testMail() error {
	to := v.value("to")
	err := v.Plane.TestMail(v.ctx(), v.actor(), to)
	if err == nil {
		return v.done("The mail server took the test mail to "+to+".", "/operator/mail")
	}
	f, e := v.mailForm()
	if e != nil {
		return e
	}
	f.TestTo = to
	switch {
	case model.KindOf(err) == model.Unavailable:
		f.Failed = sentence(model.MessageOf(err))
	case invalid(err):
		f.add("to", err)
	default:
		return err
	}
	return v.mailWith(422, f)
}

func (v *visit) retryMail() error {
	id, err := strconv.ParseInt(v.path("mail"), 10, 64)
	if err != nil {
		return model.Errorf(model.NotFound, "there is no mail %q", v.path("mail"))
	}
	to := "/operator/mail"
	if s := v.value("state"); s != "" {
		to += "?state=" + url.QueryEscape(s)
	}
	return v.outcome(v.Plane.RetryMail(v.ctx(), v.actor(), id), "The mail is on its way again.", to)
}

// settingsForm is what holds for everyone, as it is edited.
type settingsForm struct {
	problems
	control.Installation
}

func (v *visit) installation() error { return v.installationWith(200, nil, nil) }

func (v *visit) installationWith(status int, typed *model.Party, wrong problems) error {
	in, err := v.Plane.Installation(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	if typed != nil {
		in.Seller = *typed
	}
	return v.renderAs(status, settingsView(v.page("Settings"), settingsForm{wrong, in}))
}

func (v *visit) setSignUp() error {
	message := "Saved: anybody may open an account."
	if v.value("mode") == control.SignUpInvitation {
		message = "Saved: who is not invited cannot open an account."
	}
	return v.outcome(v.Plane.SetSignUp(v.ctx(), v.actor(), v.value("mode")), message, "/operator/settings")
}

func (v *visit) setInstallationSeller() error {
	p := v.party()
	var wrong problems
	if field, err := p.Check(); err != nil {
		wrong.add(field, err)
		return v.installationWith(422, &p, wrong)
	}
	if err := v.Plane.SetSeller(v.ctx(), v.actor(), p); err != nil {
		return err
	}
	return v.done("Saved. Invoices that become final from now on say so.", "/operator/settings")
}

// operatorsForm is who runs the installation, and somebody more.
type operatorsForm struct {
	problems
	All         []control.OperatorAccount
	Me          string
	Email, Name string
}

func (v *visit) operators() error { return v.operatorsWith(200, operatorsForm{}) }

func (v *visit) operatorsWith(status int, f operatorsForm) error {
	var err error
	if f.All, err = v.Plane.Operators(v.ctx(), v.actor()); err != nil {
		return err
	}
	f.Me = v.visitor.ID
	return v.renderAs(status, operatorsView(v.page("Operators"), f, v.Now()))
}

// addOperator shows the password in its answer: it is kept nowhere.
func (v *visit) addOperator() error {
	f := operatorsForm{Email: v.value("email"), Name: v.value("name")}
	c, err := v.Plane.CreateOperator(v.ctx(), v.actor(), f.Email, f.Name, "")
	if invalid(err) {
		f.add("email", err)
		return v.operatorsWith(422, f)
	}
	if err != nil {
		return err
	}
	p := v.page("Operator " + c.Email)
	p.Crumbs = operatorsCrumbs
	return v.render(operatorMadeView(p, c, v.Console.JoinPath("operator").String()))
}

var operatorsCrumbs = []ui.Crumb{{Label: "Operators", URL: "/operator/operators"}}

func (v *visit) confirmRemoveOperator() error {
	all, err := v.Plane.Operators(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.ID == v.path("operator") && o.ID != v.visitor.ID {
			p := v.page("Remove " + o.Email)
			p.Crumbs = operatorsCrumbs
			return v.render(removeOperatorView(p, o))
		}
	}
	return model.Errorf(model.NotFound, "there is no other operator %q", v.path("operator"))
}

func (v *visit) removeOperator() error {
	return v.outcome(v.Plane.RemoveOperator(v.ctx(), v.actor(), v.path("operator")), "The operator is removed and signed out everywhere.", "/operator/operators")
}
