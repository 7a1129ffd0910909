package portal

import (
	"net/http"
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) accountRoutes() []route {
	return []route{
		{"GET", "/sign-up", anyone, (*visit).signUpPage},
		{"POST", "/sign-up", anyone, (*visit).signUp},
		{"GET", "/check-your-mail", anyone, (*visit).checkMail},
		{"GET", "/verify/{token}", anyone, (*visit).verifyPage},
		{"POST", "/verify/{token}", anyone, (*visit).verify},
		{"GET", "/sign-in", anyone, (*visit).signInPage},
		{"POST", "/sign-in", anyone, (*visit).enterAccount},
		{"GET", "/forgot", anyone, (*visit).forgotPage},
		{"POST", "/forgot", anyone, (*visit).forgot},
		{"GET", "/reset/{token}", anyone, (*visit).resetPage},
		{"POST", "/reset/{token}", anyone, (*visit).reset},
		{"GET", "/account", customer, (*visit).account},
		{"POST", "/account", customer, (*visit).saveAccount},
		{"POST", "/account/password", customer, (*visit).changePassword},
		{"POST", "/account/sign-out-others", customer, (*visit).signOutOthers},
	}
}

// form is one of these pages' forms: what was typed, and what is wrong.
type form struct {
	Email, Name, Next, Plan string
	Problems                []ui.Problem
}

func (f *form) problem(field string, err error) {
	f.Problems = append(f.Problems, ui.Problem{Name: field, Text: sentence(model.MessageOf(err))})
}

// check notes what is wrong with a field, if something is.
func (f *form) check(field string, err error) {
	if err != nil {
		f.problem(field, err)
	}
}

func (f *form) of(field string) string {
	for _, p := range f.Problems {
		if p.Name == field {
			return p.Text
		}
	}
	return ""
}

func sentence(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// invalid reports that err is for the form to show.
func invalid(err error) bool {
	switch model.KindOf(err) {
	case model.Invalid, model.Conflict, model.Limit:
		return true
	}
	return false
}

// here is the portal's own address, for links in mails.
func (v *visit) here() string { return v.URL(v.site.Slug) }

func (v *visit) signUpPage() error {
	if v.visitor != nil {
		return v.redirect(afterSignUp(v.query("plan")))
	}
	return v.render(signUpView(v.page("Sign up"), v, form{Plan: v.query("plan")}))
}

// afterSignUp is where a developer who wanted a plan goes on.
func afterSignUp(plan string) string {
	if plan == "" {
		return "/apps/new"
	}
	return "/apps/new?plan=" + url.QueryEscape(plan)
}

func (v *visit) secure() bool { return v.Console.Scheme == "https" }

func (v *visit) signUp() error {
	f := form{Email: v.value("email"), Name: v.value("name"), Plan: v.value("plan")}
	if v.site.OpenSignUp {
		f.check("email", control.CheckEmail(f.Email))
		f.check("password", control.CheckPassword(v.raw("password")))
		if len(f.Problems) > 0 {
			return v.renderAs(422, signUpView(v.page("Sign up"), v, f))
		}
	}
	err := v.Plane.DeveloperSignUp(v.ctx(), serve.Source(v.r, v.BehindProxy), v.site, v.here(), control.SignUp{
		Email: f.Email, Password: v.raw("password"), Name: f.Name, Browser: serve.SignUpSecret(v.w, v.r, v.secure())})
	if err == nil {
		return v.redirect("/check-your-mail")
	}
	if !invalid(err) && model.KindOf(err) != model.Denied {
		return err
	}
	f.problem("", err)
	return v.renderAs(serve.Status(err), signUpView(v.page("Sign up"), v, f))
}

func (v *visit) checkMail() error {
	return v.render(checkMailView(v.page("Check your mail"), v))
}

// confirmation is what this browser shows for a sign-up's link.
func (v *visit) confirmation() control.Confirmation {
	return control.Confirmation{Token: v.path("token"), Browser: serve.SignUpCookie(v.r, v.secure()), Password: v.raw("password")}
}

func (v *visit) verifyPage() error { return v.verifyWith(200, nil) }

func (v *visit) verifyWith(status int, refused error) error {
	email, ask, err := v.Plane.PendingDeveloper(v.ctx(), serve.Source(v.r, v.BehindProxy), v.site, v.confirmation())
	if model.KindOf(err) == model.NotFound {
		return v.linkUsed("/sign-up", "Sign up again")
	}
	if err != nil {
		return err
	}
	f := form{Email: email}
	f.check("password", refused)
	return v.renderAs(status, verifyView(v.page("Open your account"), v, v.link(v.r.URL.Path), ask, f))
}

func (v *visit) verify() error {
	d, err := v.Plane.ConfirmDeveloper(v.ctx(), serve.Source(v.r, v.BehindProxy), v.site, v.confirmation())
	switch {
	case model.KindOf(err) == model.NotFound:
		return v.linkUsed("/sign-up", "Sign up again")
	case invalid(err):
		return v.verifyWith(serve.Status(err), err)
	case err != nil:
		return err
	}
	serve.EndSignUp(v.w, v.secure())
	if err := v.signIn(d.ID); err != nil {
		return err
	}
	return v.away("/apps/new")
}

// linkUsed is the page of a link that is good no more: it says how to go on.
func (v *visit) linkUsed(again, label string) error {
	return v.renderAs(http.StatusNotFound, linkUsedView(v.page("This link is good no more"), v, again, label))
}

// away goes on without touching the session, which was just made.
func (v *visit) away(path string) error {
	http.Redirect(v.w, v.r, v.link(path), http.StatusSeeOther)
	return nil
}

func (v *visit) signInPage() error {
	next := serve.SafeNext(v.query("next"), "")
	if v.visitor != nil {
		return v.redirect(serve.SafeNext(next, "/apps"))
	}
	return v.render(signInView(v.page("Sign in"), v, form{Next: next}))
}

func (v *visit) enterAccount() error {
	f := form{Email: v.value("email"), Next: serve.SafeNext(v.value("next"), "")}
	d, err := v.Plane.DeveloperSignIn(v.ctx(), serve.Source(v.r, v.BehindProxy), v.site, f.Email, v.raw("password"))
	if err != nil {
		if !invalid(err) && model.KindOf(err) != model.Unauthenticated {
			return err
		}
		f.problem("", err)
		return v.renderAs(serve.Status(err), signInView(v.page("Sign in"), v, f))
	}
	if err := v.signIn(d.ID); err != nil {
		return err
	}
	return v.away(serve.SafeNext(f.Next, "/apps"))
}

func (v *visit) forgotPage() error {
	return v.render(forgotView(v.page("Set a new password"), v, form{}))
}

func (v *visit) forgot() error {
	f := form{Email: v.value("email")}
	if err := v.Plane.RequestDeveloperReset(v.ctx(), serve.Source(v.r, v.BehindProxy), v.site, v.here(), f.Email); err != nil {
		if !invalid(err) {
			return err
		}
		f.problem("email", err)
		return v.renderAs(serve.Status(err), forgotView(v.page("Set a new password"), v, f))
	}
	return v.redirect("/check-your-mail")
}

func (v *visit) resetPage() error {
	return v.render(resetView(v.page("Set a new password"), v, v.link(v.r.URL.Path), form{}))
}

func (v *visit) reset() error {
	d, err := v.Plane.ResetDeveloperPassword(v.ctx(), serve.Source(v.r, v.BehindProxy), v.site, v.path("token"), v.raw("password"))
	if model.KindOf(err) == model.NotFound {
		return v.linkUsed("/forgot", "Ask for a new link")
	}
	if model.KindOf(err) == model.Invalid {
		f := form{}
		f.problem("password", err)
		return v.renderAs(422, resetView(v.page("Set a new password"), v, v.link(v.r.URL.Path), f))
	}
	if err != nil {
		return err
	}
	if err := v.signIn(d.ID); err != nil {
		return err
	}
	return v.away("/apps")
}

func (v *visit) account() error { return v.accountWith(200, nil, nil) }

func (v *visit) accountWith(status int, typed *control.Profile, problems []ui.Problem) error {
	p, err := v.Plane.DeveloperProfile(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	if typed != nil {
		p = *typed
	}
	l, err := v.Plane.SessionsOf(v.ctx(), control.RealmPortal, v.visitor.ID, serve.IDHash(v.session.ID))
	if err != nil {
		return err
	}
	return v.renderAs(status, accountView(v.page("Your account"), v, p, l, problems))
}

func (v *visit) saveAccount() error {
	p := control.Profile{Name: v.value("name"), Billing: model.Party{Name: v.value("billing-name"), Address: v.value("address"), TaxID: v.value("tax-id"), Email: v.value("billing-email"),
		Country: strings.ToUpper(v.value("country")), Region: strings.ToUpper(v.value("region"))}}
	err := v.Plane.SetDeveloperProfile(v.ctx(), v.actor(), p)
	if err == nil {
		return v.done("Saved.", "/account")
	}
	if !invalid(err) {
		return err
	}
	return v.accountWith(422, &p, []ui.Problem{{Text: sentence(model.MessageOf(err))}})
}

func (v *visit) changePassword() error {
	err := v.Plane.ChangeDeveloperPassword(v.ctx(), v.actor(), v.raw("old"), v.raw("password"), serve.IDHash(v.session.ID))
	if err == nil {
		return v.done("The password is changed; every other browser is signed out.", "/account")
	}
	if !invalid(err) {
		return err
	}
	return v.accountWith(422, nil, []ui.Problem{{Name: "password", Text: sentence(model.MessageOf(err))}})
}

func (v *visit) signOutOthers() error {
	n, err := v.Plane.EndSessions(v.ctx(), control.RealmPortal, v.visitor.ID, serve.IDHash(v.session.ID))
	if err != nil {
		return err
	}
	return v.done(ui.Plural(n, "other browser is", "other browsers are")+" signed out.", "/account")
}

// browsers are sessions as a page shows them.
func browsers(l []control.OtherSession) []ui.Browser {
	out := make([]ui.Browser, len(l))
	for i, s := range l {
		out[i] = ui.Browser{Name: s.Browser, Source: s.Source, Since: s.CreatedAt, Seen: s.SeenAt, Here: s.Here}
	}
	return out
}
