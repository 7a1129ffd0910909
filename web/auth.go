package web

import (
	"net/http"
	"net/url"
	"strconv"

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
		{method: "GET", pattern: "/dev/mail", who: anyone, handle: (*visit).localMails, local: true},
		{method: "GET", pattern: "/dev/mail/{mail}", who: anyone, handle: (*visit).localMail, local: true},
	}
}

// authForm is a form of one of these pages: what was typed, and what is wrong.
type authForm struct {
	Email, Name, Account, Next string
	Problems                   []ui.Problem
}

// problem is a field's, or the whole form's where the field is "".
func (f *authForm) problem(field string, err error) {
	f.Problems = append(f.Problems, ui.Problem{Name: field, Text: sentence(model.MessageOf(err))})
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
	return v.render(signUpView(v.page("Create your account"), authForm{Email: v.query("email")}))
}

func (v *visit) signUp() error {
	f := authForm{Email: v.value("email"), Account: v.value("account")}
	err := v.Plane.SignUp(v.ctx(), v.source(), control.SignUp{Email: f.Email, Password: v.raw("password"), Account: f.Account})
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
	return v.render(checkMailView(v.page("Check your mail"), v.Local))
}

// verifyPage asks for a click: mail scanners follow links, and would use it up.
func (v *visit) verifyPage() error {
	return v.render(verifyView(v.page("Confirm your address"), v.r.URL.Path))
}

func (v *visit) verify() error {
	p, a, err := v.Plane.ConfirmSignUp(v.ctx(), v.source(), v.path("token"))
	if err != nil {
		return err
	}
	if err := v.signIn(p.ID, a.Tenant); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, "/apis/new", http.StatusSeeOther)
	return nil
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
	http.Redirect(v.w, v.r, serve.SafeNext(f.Next, "/overview"), http.StatusSeeOther)
	return nil
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
	return v.render(resetView(v.page("Set a new password"), v.r.URL.Path, authForm{}))
}

func (v *visit) reset() error {
	p, err := v.Plane.ResetPassword(v.ctx(), v.source(), v.path("token"), v.raw("password"))
	if model.KindOf(err) == model.Invalid {
		f := authForm{}
		f.problem("password", err)
		return v.renderAs(422, resetView(v.page("Set a new password"), v.r.URL.Path, f))
	}
	if err != nil {
		return err
	}
	if err := v.signIn(p.ID, 0); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, "/overview", http.StatusSeeOther)
	return nil
}

func (v *visit) offerPage() error {
	o, err := v.Plane.Offer(v.ctx(), v.source(), v.path("token"))
	if err != nil {
		return err
	}
	if o.Account == "" { // the operator's, to sign up
		return v.redirect("/sign-up?email=" + url.QueryEscape(o.Email))
	}
	return v.render(offerView(v.page("Join "+o.Account), v.r.URL.Path, o, v.signedInAs(o.Email), authForm{}))
}

func (v *visit) signedInAs(email string) bool {
	return v.visitor != nil && control.SameEmail(v.visitor.Email, email)
}

func (v *visit) join() error {
	o, err := v.Plane.Offer(v.ctx(), v.source(), v.path("token"))
	if err != nil {
		return err
	}
	person := ""
	if v.signedInAs(o.Email) {
		person = v.visitor.ID
	} else if o.Known {
		return v.redirect("/sign-in?next=" + url.QueryEscape(v.r.URL.Path))
	}
	p, tenant, err := v.Plane.Join(v.ctx(), v.source(), v.path("token"), person, v.value("name"), v.raw("password"))
	if model.KindOf(err) == model.Invalid {
		f := authForm{Name: v.value("name")}
		f.problem("", err)
		return v.renderAs(422, offerView(v.page("Join "+o.Account), v.r.URL.Path, o, person != "", f))
	}
	if err != nil {
		return err
	}
	if err := v.signIn(p.ID, tenant); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, "/overview", http.StatusSeeOther)
	return nil
}

func (v *visit) localMails() error {
	l, err := v.Plane.Mails(v.ctx(), control.Operator())
	if err != nil {
		return err
	}
	return v.render(localMailsView(v.page("Mails"), l, v.Now()))
}

func (v *visit) localMail() error {
	id, err := strconv.ParseInt(v.path("mail"), 10, 64)
	if err != nil {
		return model.Errorf(model.NotFound, "there is no such mail")
	}
	m, err := v.Plane.LocalMail(v.ctx(), id)
	if err != nil {
		return err
	}
	return v.render(localMailView(v.page(m.Subject), m))
}
