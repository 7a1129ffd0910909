package web

import (
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) profileRoutes() []route {
	return []route{
		{method: "GET", pattern: "/profile", who: signedIn, handle: (*visit).profile},
		{method: "POST", pattern: "/profile", who: signedIn, handle: (*visit).saveProfile},
		{method: "POST", pattern: "/profile/password", who: signedIn, handle: (*visit).changePassword},
		{method: "POST", pattern: "/profile/sign-out-everywhere", who: signedIn, handle: (*visit).signOutEverywhere},
		{method: "POST", pattern: "/profile/sign-out-others", who: signedIn, handle: (*visit).signOutOthers},
	}
}

// profileForm is what was typed into the profile's forms, and what is wrong.
type profileForm struct {
	authForm
	Theme    string
	Sessions []control.OtherSession
}

func (v *visit) profile() error { return v.profileWith(200, authForm{Name: v.visitor.Name}) }

func (v *visit) profileWith(status int, f authForm) error {
	l, err := v.Plane.SessionsOf(v.ctx(), v.realm, v.visitor.ID, serve.IDHash(v.session.ID))
	if err != nil {
		return err
	}
	return v.renderAs(status, profileView(v.page("Your profile"), v.visitor.Email, profileForm{f, serve.Theme(v.r), l}, v.Now()))
}

func (v *visit) saveProfile() error {
	f := authForm{Name: v.value("name")}
	err := v.Plane.SetPersonName(v.ctx(), v.visitor.ID, f.Name)
	if err == nil {
		return v.done("The name is saved.", "/profile")
	}
	if !invalid(err) {
		return err
	}
	f.problem("name", err)
	return v.profileWith(serve.Status(err), f)
}

func (v *visit) changePassword() error {
	f := authForm{Name: v.visitor.Name}
	f.check("password", control.CheckPassword(v.raw("password")))
	if len(f.Problems) > 0 {
		return v.profileWith(422, f)
	}
	err := v.Plane.ChangePassword(v.ctx(), v.source(), v.visitor.ID, v.raw("old"), v.raw("password"), serve.IDHash(v.session.ID))
	if err == nil {
		return v.done("The password is changed; every other browser is signed out.", "/profile")
	}
	if !invalid(err) {
		return err
	}
	field := ""
	if model.KindOf(err) == model.Invalid {
		field = "old"
	}
	f.problem(field, err)
	return v.profileWith(serve.Status(err), f)
}

func (v *visit) signOutOthers() error {
	n, err := v.Plane.EndSessions(v.ctx(), v.realm, v.visitor.ID, serve.IDHash(v.session.ID))
	return v.outcome(err, ui.Plural(n, "other browser is", "other browsers are")+" signed out.", "/profile")
}

func (v *visit) signOutEverywhere() error {
	if _, err := v.Plane.EndSessions(v.ctx(), v.realm, v.visitor.ID, nil); err != nil {
		return err
	}
	return v.leave()
}

// browsers are sessions as a page shows them.
func browsers(l []control.OtherSession) []ui.Browser {
	out := make([]ui.Browser, len(l))
	for i, s := range l {
		out[i] = ui.Browser{Name: s.Browser, Source: s.Source, Since: s.CreatedAt, Seen: s.SeenAt, Here: s.Here}
	}
	return out
}
