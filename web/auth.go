package web

import (
	"net/http"
	"net/url"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) authRoutes() []route {
	return []route{
		{method: "GET", pattern: "/sign-up", who: anyone, handle: (*visit).signUpPage},
		{method: "POST", pattern: "/sign-up", who: anyone, handle: (*visit).signUp},
		{method: "GET", pattern: "/check-your-mail", who: anyone, handle: (*visit).checkMail},
		{method: "GET", pattern: "/verify/{token}", who: anyone, handle: (*visit).verifyPage},
		{method: "POST", pattern: "/verify/{token}", who: anyone, handle: (*visit).verify},
		{method: "GET", pattern: "/sign-in", who: anyone, handle: (*visit).signInPage},
		{method: "POST", pattern: "/sign-in", who: anyone, handle: (*visit).enter},
		{method: "POST", pattern: "/sign-out", who: signedIn, handle: (*visit).leave},
		{method: "GET", pattern: "/forgot", who: anyone, handle: (*visit).forgotPage},
		{method: "POST", pattern: "/forgot", who: anyone, handle: (*visit).forgot},
		{method: "GET", pattern: "/reset/{token}", who: anyone, handle: (*visit).resetPage},
		{method: "POST", pattern: "/reset/{token}", who: anyone, handle: (*visit).reset},
		{method: "GET", pattern: "/invitations/{token}", who: anyone, handle: (*visit).offerPage},
		{method: "POST", pattern: "/invitations/{token}", who: anyone, handle: (*visit).join},
	}
}

// authForm is a form of one of these pages: what was typed, and what is wrong.
type authForm struct {
	Email, Name, Account, Next string
	Invitation                 string
	Problems                   []ui.Problem
}

// problem is a field's, or the whole form's where the field is "".
func (f *authForm) problem(field string, err error) {
	f.Problems = append(f.Problems, ui.Problem{Name: field, Text: sentence(model.MessageOf(err))})
}

// check notes what is wrong with a field, if something is.
func (f *authForm) check(field string, err error) {
	if err != nil {
		f.problem(field, err)
	}
}

func (f *authForm) of(field string) string {
	for _, p := range f.Problems {
		if p.Name == field {
			return p.Text
		}
	}
	return ""
}

func (v *visit) signUpPage() error {
	if v.visitor != nil && v.visitor.Actor.Tenant != 0 {
		return v.redirect("/overview")
	}
	f := authForm{Email: v.query("email"), Invitation: v.query("invitation")}
	if f.Invitation == "" {
		open, err := v.Plane.SignUpOpen(v.ctx())
		if err != nil {
			return err
		}
		if !open {
			return v.render(closedView(v.page("Sign-up is by invitation")))
		}
	}
	return v.render(signUpView(v.page("Create your account"), f))
}

func (v *visit) signUp() error {
	f := authForm{Email: v.value("email"), Account: v.value("account"), Invitation: v.value("invitation")}
	f.check("email", control.CheckEmail(f.Email))
	f.check("password", control.CheckPassword(v.raw("password")))
	if len(f.Problems) > 0 {
		return v.renderAs(422, signUpView(v.page("Create your account"), f))
	}
	err := v.Plane.SignUp(v.ctx(), v.source(), control.SignUp{
		Email: f.Email, Password: v.raw("password"), Account: f.Account, Invitation: f.Invitation, Browser: serve.SignUpSecret(v.w, v.r, v.secure())})
	if err == nil {
		return v.redirect("/check-your-mail")
	}
	if !invalid(err) && model.KindOf(err) != model.Denied {
		return err
	}
	f.problem("", err)
	return v.renderAs(serve.Status(err), signUpView(v.page("Create your account"), f))
}

func (v *visit) checkMail() error {
	has, err := v.Plane.HasMailServer(v.ctx())
	if err != nil {
		return err
	}
	return v.render(checkMailView(v.page("Check your mail"), has, v.Local && serve.FromHere(v.r)))
}

// verifyPage asks for a click: mail scanners follow links, and would use it up.
func (v *visit) verifyPage() error {
	email, ask, err := v.Plane.PendingSignUp(v.ctx(), v.source(), control.Confirmation{Token: v.path("token"), Browser: serve.SignUpCookie(v.r, v.secure())})
	if used(err) {
		return v.linkUsed("/sign-up", "Sign up again")
	}
	if err != nil {
		return err
	}
	return v.render(verifyView(v.page("Open your account"), v.r.URL.Path, email, ask, authForm{}))
}

func (v *visit) verify() error {
	c := control.Confirmation{Token: v.path("token"), Browser: serve.SignUpCookie(v.r, v.secure()), Password: v.raw("password")}
	p, a, err := v.Plane.ConfirmSignUp(v.ctx(), v.source(), c)
	switch {
	case used(err):
		return v.linkUsed("/sign-up", "Sign up again")
	case invalid(err):
		email, ask, e := v.Plane.PendingSignUp(v.ctx(), v.source(), c)
		if e != nil {
			return err
		}
		f := authForm{}
		f.problem("password", err)
		return v.renderAs(serve.Status(err), verifyView(v.page("Open your account"), v.r.URL.Path, email, ask, f))
	case err != nil:
		return err
	}
	serve.EndSignUp(v.w, v.secure())
	if err := v.signIn(p.ID, a.Tenant); err != nil {
		return err
	}
	return v.redirect("/apis/new")
}

// used reports that a link's ticket is gone.
func used(err error) bool { return model.KindOf(err) == model.NotFound }

// linkUsed is the page of a link that is good no more: it says how to go on.
func (v *visit) linkUsed(again, label string) error {
	return v.renderAs(http.StatusNotFound, linkUsedView(v.page("This link is good no more"), again, label))
}

func (v *visit) signInPage() error {
	next := serve.SafeNext(v.query("next"), "")
	if v.visitor != nil {
		return v.redirect(serve.SafeNext(next, "/overview"))
	}
	return v.render(signInView(v.page("Sign in"), authForm{Next: next}))
}

func (v *visit) enter() error {
	f := authForm{Email: v.value("email"), Next: serve.SafeNext(v.value("next"), "")}
	p, err := v.Plane.SignIn(v.ctx(), v.source(), f.Email, v.raw("password"))
	if err != nil {
		if !invalid(err) && model.KindOf(err) != model.Unauthenticated {
			return err
		}
		f.problem("", err)
		return v.renderAs(serve.Status(err), signInView(v.page("Sign in"), f))
	}
	if err := v.signIn(p.ID, 0); err != nil {
		return err
	}
	return v.redirect(serve.SafeNext(f.Next, "/overview"))
}

func (v *visit) leave() error {
	if err := v.signOut(); err != nil {
		return err
	}
	return v.redirect("/sign-in")
}

func (v *visit) forgotPage() error {
	return v.render(forgotView(v.page("Set a new password"), authForm{Email: v.query("email")}))
}

func (v *visit) forgot() error {
	f := authForm{Email: v.value("email")}
	if err := v.Plane.RequestReset(v.ctx(), v.source(), f.Email); err != nil {
		if !invalid(err) {
			return err
		}
		f.problem("email", err)
		return v.renderAs(serve.Status(err), forgotView(v.page("Set a new password"), f))
	}
	return v.redirect("/check-your-mail")
}

func (v *visit) resetPage() error {
	email, err := v.Plane.PendingReset(v.ctx(), v.source(), v.path("token"))
	if used(err) {
		return v.linkUsed("/forgot", "Ask for a new link")
	}
	if err != nil {
		return err
	}
	return v.render(resetView(v.page("Set a new password"), v.r.URL.Path, email, authForm{}))
}

func (v *visit) reset() error {
	p, err := v.Plane.ResetPassword(v.ctx(), v.source(), v.path("token"), v.raw("password"))
	switch {
	case used(err):
		return v.linkUsed("/forgot", "Ask for a new link")
	case invalid(err):
		email, e := v.Plane.PendingReset(v.ctx(), v.source(), v.path("token"))
		if e != nil {
			return err
		}
		f := authForm{}
		f.problem("password", err)
		return v.renderAs(serve.Status(err), resetView(v.page("Set a new password"), v.r.URL.Path, email, f))
	case err != nil:
		return err
	}
	if err := v.signIn(p.ID, 0); err != nil {
		return err
	}
	return v.done("The password is set; every other browser is signed out.", "/overview")
}

func (v *visit) offerPage() error {
	o, err := v.Plane.Offer(v.ctx(), v.source(), v.path("token"))
	if used(err) {
		return v.linkUsed("/sign-in", "Sign in")
	}
	if err != nil {
		return err
	}
	if o.Account == "" { // the operator's, to sign up
		return v.redirect("/sign-up?" + url.Values{"email": {o.Email}, "invitation": {v.path("token")}}.Encode())
	}
	return v.render(offerView(v.page("Join "+o.Account), v.r.URL.Path, o, v.signedInAs(o.Email), authForm{}))
}

func (v *visit) signedInAs(email string) bool {
	return v.visitor != nil && control.SameEmail(v.visitor.Email, email)
}

func (v *visit) join() error {
	o, err := v.Plane.Offer(v.ctx(), v.source(), v.path("token"))
	if used(err) {
		return v.linkUsed("/sign-in", "Sign in")
	}
	if err != nil {
		return err
	}
	person := ""
	if v.signedInAs(o.Email) {
		person = v.visitor.ID
	} else if o.Known {
		return v.redirect("/sign-in?next=" + url.QueryEscape(v.r.URL.Path))
	}
	f := authForm{Name: v.value("name")}
	if person == "" {
		f.check("password", control.CheckPassword(v.raw("password")))
	}
	if len(f.Problems) > 0 {
		return v.renderAs(422, offerView(v.page("Join "+o.Account), v.r.URL.Path, o, false, f))
	}
	p, tenant, err := v.Plane.Join(v.ctx(), v.source(), v.path("token"), person, f.Name, v.raw("password"))
	switch {
	case used(err):
		return v.linkUsed("/sign-in", "Sign in")
	case invalid(err):
		field := ""
		if person == "" && model.KindOf(err) == model.Invalid {
			field = "name"
		}
		f.problem(field, err)
		return v.renderAs(serve.Status(err), offerView(v.page("Join "+o.Account), v.r.URL.Path, o, person != "", f))
	case err != nil:
		return err
	}
	if err := v.signIn(p.ID, tenant); err != nil {
		return err
	}
	return v.done("You work on "+o.Account+" now, as "+string(o.Role)+".", "/overview")
}
