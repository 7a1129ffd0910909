package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"
	"github.com/gorilla/sessions"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// visit is one request: who makes it, and how it is answered.
type visit struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	realm   string
	session *sessions.Session
	visitor *control.Visitor // nil: not signed in
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// actor is who asks control.
func (v *visit) actor() control.Actor {
	if v.visitor == nil {
		return control.Actor{Source: v.source()}
	}
	a := v.visitor.Actor
	a.Source = v.source()
	return a
}

// gateway is the public address that the account's calls go to.
func (v *visit) gateway() *url.URL {
	return v.Plane.GatewayURL(v.ctx(), v.actor().Tenant, v.Gateway)
}

func (v *visit) source() string { return serve.Source(v.r, v.BehindProxy) }

// secure says that the console's public address is https.
func (v *visit) secure() bool { return v.Console.Scheme == "https" }

// path is a part of the route's path.
func (v *visit) path(name string) string { return v.r.PathValue(name) }

// query is a parameter of the URL, cut to what a filter can mean.
func (v *visit) query(name string) string {
	q := strings.TrimSpace(v.r.URL.Query().Get(name))
	if len(q) > 500 {
		return q[:500]
	}
	return strings.ToValidUTF8(q, "")
}

// value is a field of the form, without blanks around it.
func (v *visit) value(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// raw is a field of the form as it was typed: a password, a document.
func (v *visit) raw(name string) string { return v.r.PostFormValue(name) }

// may reports that the visitor has a permission.
func (v *visit) may(p control.Permission) bool { return v.actor().May(p) == nil }

// checked reports that a box of the form is ticked.
func (v *visit) checked(name string) bool { return v.r.PostFormValue(name) != "" }

// page is what every page of the visitor has: title, navigation, who is signed
// in, and what is to be said once.
func (v *visit) page(title string) ui.Page {
	p := ui.Page{Title: title, Theme: serve.Theme(v.r), Path: v.r.URL.Path, Flash: v.flashes()}
	if v.visitor == nil {
		return p
	}
	p.User = &ui.User{Email: v.visitor.Email, Name: v.visitor.Name}
	if v.realm == control.RealmOperator {
		p.Area, p.Nav = "Operator", operatorNav()
		p.User.ProfileURL, p.User.SignOutURL, p.User.ThemeURL = "/operator/profile", "/operator/sign-out", "/operator/theme"
		return p
	}
	p.User.ProfileURL, p.User.SignOutURL, p.User.ThemeURL = "/profile", "/sign-out", "/theme"
	p.User.SwitchURL = "/switch"
	p.Endpoint = strings.TrimSuffix(v.Console.String(), "/")
	for _, a := range v.visitor.Accounts {
		p.User.Accounts = append(p.User.Accounts, ui.Account{ID: a.ID, Name: a.Name, Role: string(a.Role), Current: a.ID == v.visitor.Account.ID})
	}
	if v.visitor.Actor.Tenant != 0 {
		p.Nav = consoleNav(v.actor())
		p.Undeployed = v.visitor.Undeployed
		p.Suspended, p.Reason = v.visitor.Account.Suspended, v.visitor.Account.Reason
	}
	return p
}

// render answers 200 with a page.
func (v *visit) render(c templ.Component) error { return v.renderAs(http.StatusOK, c) }

// renderAs answers with a page: 422 for a form that has to be put right.
func (v *visit) renderAs(status int, c templ.Component) error {
	if err := v.keep(); err != nil {
		return err
	}
	return serve.Component(v.w, v.r, status, c)
}

// redirect goes on to another page after a change, by GET.
func (v *visit) redirect(to string) error {
	if err := v.keep(); err != nil {
		return err
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// done says on the next page what was done, and goes there.
func (v *visit) done(message, to string) error {
	v.say("ok", message)
	return v.redirect(to)
}

// outcome ends an act of one button: what was done, or why not, is said on the
// page that is gone to.
func (v *visit) outcome(err error, message, to string) error {
	if invalid(err) {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect(to)
	}
	if err != nil {
		return err
	}
	return v.done(message, to)
}

// sentence begins with a capital: messages of control may stand behind a colon.
func sentence(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// say keeps a message for the next page that is rendered: kind is "ok", "warn",
// "danger" or "info".
func (v *visit) say(kind, message string) { v.set(keyFlash+kind, message) }

const keyFlash = "flash-"

// flashes takes the messages that were kept.
func (v *visit) flashes() []ui.Flash {
	if v.visitor == nil {
		return nil
	}
	var out []ui.Flash
	for _, kind := range []string{"danger", "warn", "ok", "info"} {
		if m := v.visitor.Session.Data[keyFlash+kind]; m != "" {
			out = append(out, ui.Flash{Kind: kind, Text: m})
			v.set(keyFlash+kind, "")
		}
	}
	return out
}

// get is what the session keeps under a name.
func (v *visit) get(name string) string {
	if v.visitor == nil {
		return ""
	}
	return v.visitor.Session.Data[name]
}

// set keeps a value in the session, saved with the answer; empty forgets it.
func (v *visit) set(name, value string) {
	if v.visitor == nil || v.get(name) == value {
		return
	}
	data := make(map[string]string, len(v.visitor.Session.Data)+1)
	for k, x := range v.visitor.Session.Data {
		data[k] = x
	}
	if data[name] = value; value == "" {
		delete(data, name)
	}
	v.visitor.Session.Data = data
	v.session.Values[keyUnsaved] = true
}

// keyUnsaved marks a session whose data changed in this request.
const keyUnsaved = "unsaved"

// keep stores what changed in the session, before the answer begins.
func (v *visit) keep() error {
	if v.session == nil || v.session.Values[keyUnsaved] == nil {
		return nil
	}
	delete(v.session.Values, keyUnsaved)
	return v.session.Save(v.r, v.w)
}

// signIn makes the browser's session stand for a subject, under a fresh id: what
// was known of it before is worth nothing.
func (v *visit) signIn(subject string, tenant uint32) error {
	store := v.store()
	if err := store.Rotate(v.ctx(), v.session); err != nil {
		return err
	}
	v.visitor = &control.Visitor{Session: control.Session{Realm: v.realm, Subject: subject, Tenant: tenant, Data: map[string]string{
		control.SessionBrowser: serve.BrowserName(v.r.UserAgent()), control.SessionSource: v.source()}}}
	v.session.Values[keyVisitor] = v.visitor
	delete(v.session.Values, keyUnsaved)
	v.session.Options.MaxAge = int(store.MaxAge.Seconds())
	return v.session.Save(v.r, v.w)
}

// signOut ends the browser's session.
func (v *visit) signOut() error {
	v.session.Options.MaxAge = -1
	delete(v.session.Values, keyUnsaved)
	v.visitor = nil
	return v.session.Save(v.r, v.w)
}

func (v *visit) store() *serve.Sessions {
	if v.realm == control.RealmOperator {
		return &v.operator
	}
	return &v.console
}

// refuse answers with the page of an error. What another account has does not
// exist: the page is the one of a wrong address.
func (v *visit) refuse(err error) {
	status, message := serve.Shown(v.Log, v.r, err)
	if status == http.StatusUnauthorized {
		_ = v.redirect(signInPath[v.realm])
		return
	}
	p := v.page(errorTitle(status))
	if e := serve.Component(v.w, v.r, status, ui.ErrorPage(p, status, message)); e != nil {
		v.Log.Error("the page of an error failed", "error", e)
		http.Error(v.w, message, status)
	}
}

func errorTitle(status int) string {
	switch status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusTooManyRequests:
		return "Too much at once"
	case http.StatusRequestTimeout:
		return "Too slow"
	case http.StatusConflict:
		return "That does not fit"
	case http.StatusUnprocessableEntity:
		return "Cannot be done"
	case http.StatusServiceUnavailable:
		return "Not available now"
	}
	return "Something went wrong"
}

// invalid reports that err is for the form to show: the visitor can put it right
// there.
func invalid(err error) bool {
	switch model.KindOf(err) {
	case model.Invalid, model.Conflict, model.Limit:
		return true
	}
	return false
}
