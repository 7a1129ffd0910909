package web

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) memberRoutes() []route {
	return []route{
		{method: "GET", pattern: "/members", who: mayRead, handle: (*visit).members},
		{method: "GET", pattern: "/members/invite", who: mayManage, handle: (*visit).invitePage},
		{method: "POST", pattern: "/members/invite", who: mayManage, handle: (*visit).invite},
		{method: "POST", pattern: "/members/invitations/{invitation}/revoke", who: mayManage, handle: (*visit).revokeInvitation},
		{method: "GET", pattern: "/members/{member}", who: mayManage, handle: (*visit).memberPage},
		{method: "POST", pattern: "/members/{member}/role", who: mayManage, handle: (*visit).setRole},
		{method: "GET", pattern: "/members/{member}/remove", who: mayRead, handle: (*visit).confirmRemoveMember},
		{method: "POST", pattern: "/members/{member}/remove", who: mayRead, handle: (*visit).removeMember},
		{method: "GET", pattern: "/account", who: mayManage, handle: (*visit).accountPage},
		{method: "POST", pattern: "/account", who: mayManage, handle: (*visit).renameAccount},
		{method: "GET", pattern: "/access-keys", who: mayRead, handle: (*visit).accessKeys},
		{method: "POST", pattern: "/access-keys", who: mayRead, handle: (*visit).createAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/enable", who: mayRead, handle: (*visit).enableAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/disable", who: mayRead, handle: (*visit).disableAccessKey},
		{method: "GET", pattern: "/access-keys/{key}/delete", who: mayRead, handle: (*visit).confirmDeleteAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/delete", who: mayRead, handle: (*visit).deleteAccessKey},
		{method: "GET", pattern: "/audit", who: mayAudit, handle: (*visit).auditPage},
		{method: "GET", pattern: "/audit.csv", who: mayAudit, handle: (*visit).auditCSV},
		{method: "GET", pattern: "/profile", who: signedIn, handle: (*visit).profile},
		{method: "POST", pattern: "/profile", who: signedIn, handle: (*visit).saveProfile},
		{method: "POST", pattern: "/profile/password", who: signedIn, handle: (*visit).changePassword},
		{method: "POST", pattern: "/profile/sign-out-everywhere", who: signedIn, handle: (*visit).signOutEverywhere},
		{method: "POST", pattern: "/profile/sign-out-others", who: signedIn, handle: (*visit).signOutOthers},
	}
}

func (v *visit) members() error {
	l, err := v.Plane.Members(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(membersView(v.page("Members"), l, v.actor().Member, v.may(control.ToManage), v.Now()))
}

func (v *visit) invitePage() error {
	return v.render(inviteView(v.memberPageOf("Invite a member"), authForm{Name: string(control.RoleDeveloper)}, v.actor().Role))
}

func (v *visit) memberPageOf(title string) ui.Page {
	p := v.page(title)
	p.Crumbs = []ui.Crumb{{Label: "Members", URL: "/members"}}
	return p
}

func (v *visit) invite() error {
	f := authForm{Email: v.value("email"), Name: v.value("role")}
	err := v.Plane.Invite(v.ctx(), v.actor(), f.Email, control.Role(f.Name))
	if err == nil {
		return v.done("A mail with a link to join is on its way to "+f.Email+".", "/members")
	}
	if !invalid(err) && model.KindOf(err) != model.Denied {
		return err
	}
	f.problem("", err)
	return v.renderAs(serve.Status(err), inviteView(v.memberPageOf("Invite a member"), f, v.actor().Role))
}

func (v *visit) revokeInvitation() error {
	return v.outcome(v.Plane.RevokeInvitation(v.ctx(), v.actor(), v.path("invitation")), "The invitation's link is void.", "/members")
}

// member finds the one that the path names.
func (v *visit) member() (control.Member, error) {
	l, err := v.Plane.Members(v.ctx(), v.actor())
	if err != nil {
		return control.Member{}, err
	}
	for _, m := range l.Members {
		if m.ID == v.path("member") {
			return m, nil
		}
	}
	return control.Member{}, model.Errorf(model.NotFound, "there is no such member")
}

func (v *visit) memberPage() error {
	m, err := v.member()
	if err != nil {
		return err
	}
	return v.render(memberView(v.memberPageOf(m.Email), m, v.actor(), v.Now()))
}

func (v *visit) setRole() error {
	role := control.Role(v.value("role"))
	return v.outcome(v.Plane.SetRole(v.ctx(), v.actor(), v.path("member"), role), "The role is "+string(role)+" now.", "/members")
}

func (v *visit) confirmRemoveMember() error {
	m, err := v.member()
	if err != nil {
		return err
	}
	return v.render(removeMemberView(v.memberPageOf("Remove "+m.Email), m, m.ID == v.actor().Member))
}

func (v *visit) removeMember() error {
	to := "/members"
	if v.path("member") == v.actor().Member {
		to = "/"
	}
	return v.outcome(v.Plane.RemoveMember(v.ctx(), v.actor(), v.path("member")), "The member is removed.", to)
}

func (v *visit) accountPage() error {
	return v.render(accountView(v.page("Account"), v.visitor.Account, authForm{Account: v.visitor.Account.Name}))
}

func (v *visit) renameAccount() error {
	f := authForm{Account: v.value("name")}
	err := v.Plane.RenameAccount(v.ctx(), v.actor(), f.Account)
	if err == nil {
		return v.done("The account is called "+f.Account+" now.", "/account")
	}
	if !invalid(err) {
		return err
	}
	f.problem("name", err)
	return v.renderAs(422, accountView(v.page("Account"), v.visitor.Account, f))
}

func (v *visit) accessKeys() error {
	l, err := v.Plane.AccessKeys(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(accessKeysView(v.page("Access keys"), l, v.actor().Member, v.Now()))
}

func (v *visit) createAccessKey() error {
	id, secret, err := v.Plane.CreateAccessKey(v.ctx(), v.actor())
	if invalid(err) {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/access-keys")
	}
	if err != nil {
		return err
	}
	p := v.page("Your new access key")
	p.Crumbs = []ui.Crumb{{Label: "Access keys", URL: "/access-keys"}}
	return v.render(newAccessKeyView(p, id, secret))
}

func (v *visit) enableAccessKey() error {
	return v.outcome(v.Plane.SetAccessKeyEnabled(v.ctx(), v.actor(), v.path("key"), true), "The access key can sign again.", "/access-keys")
}

func (v *visit) disableAccessKey() error {
	return v.outcome(v.Plane.SetAccessKeyEnabled(v.ctx(), v.actor(), v.path("key"), false), "What is signed with the access key is refused from now on.", "/access-keys")
}

func (v *visit) confirmDeleteAccessKey() error {
	l, err := v.Plane.AccessKeys(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	for _, k := range l {
		if k.ID == v.path("key") {
			p := v.page("Delete access key")
			p.Crumbs = []ui.Crumb{{Label: "Access keys", URL: "/access-keys"}}
			return v.render(deleteAccessKeyView(p, k))
		}
	}
	return model.Errorf(model.NotFound, "there is no such access key")
}

func (v *visit) deleteAccessKey() error {
	return v.outcome(v.Plane.DeleteAccessKey(v.ctx(), v.actor(), v.path("key")), "The access key is deleted.", "/access-keys")
}

// auditFilter is what the URL asks for.
func (v *visit) auditFilter() (control.AuditFilter, error) {
	f := control.AuditFilter{Action: v.query("action"), Actor: v.query("actor"), Target: v.query("target"), After: v.query("after")}
	for _, d := range []struct {
		name string
		into *time.Time
		days int
	}{{"from", &f.From, 0}, {"to", &f.To, 1}} {
		text := v.query(d.name)
		if text == "" {
			continue
		}
		t, err := time.Parse("2006-01-02", text)
		if err != nil {
			return f, model.Errorf(model.Invalid, "%q is not a day such as 2026-03-31", text)
		}
		*d.into = t.AddDate(0, 0, d.days)
	}
	return f, nil
}

func (v *visit) auditPage() error {
	f, err := v.auditFilter()
	if err != nil {
		return err
	}
	l, err := v.Plane.Audit(v.ctx(), v.actor(), f)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	q.Del("after")
	return v.render(auditView(v.page("Audit log"), l, v.query, v.next(l.Next), "/audit.csv?"+q.Encode(), v.Now()))
}

func (v *visit) auditCSV() error {
	f, err := v.auditFilter()
	if err != nil {
		return err
	}
	f.Limit = 10_000
	l, err := v.Plane.Audit(v.ctx(), v.actor(), f)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="audit.csv"`)
	w := csv.NewWriter(v.w)
	_ = w.Write([]string{"at", "actor", "role", "source", "action", "target", "detail"})
	for _, e := range l.Items {
		_ = w.Write([]string{e.At.UTC().Format(time.RFC3339), cell(e.Actor), string(e.Role), e.Source, e.Action, cell(e.Target), cell(string(e.Detail))})
	}
	w.Flush()
	return nil
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// details are an entry's, one a line.
func details(raw json.RawMessage) []string {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	var out []string
	for _, k := range detailKeys(m) {
		b, err := json.Marshal(m[k])
		if err != nil {
			continue
		}
		text := strings.Trim(string(b), `"`)
		if len(text) > 300 {
			text = strings.ToValidUTF8(text[:300], "") + "…"
		}
		out = append(out, k+": "+text)
	}
	return out
}

func (v *visit) profile() error { return v.profileWith(200, authForm{Name: v.visitor.Name}) }

func (v *visit) profileWith(status int, f authForm) error {
	l, err := v.Plane.SessionsOf(v.ctx(), v.realm, v.visitor.ID, serve.IDHash(v.session.ID))
	if err != nil {
		return err
	}
	return v.renderAs(status, profileView(v.page("Your profile"), v.visitor.Email, f, l, v.Now()))
}

func (v *visit) saveProfile() error {
	f := authForm{Name: v.value("name")}
	err := v.Plane.SetPersonName(v.ctx(), v.visitor.ID, f.Name)
	if err == nil {
		return v.done("Saved.", "/profile")
	}
	if !invalid(err) {
		return err
	}
	f.problem("name", err)
	return v.profileWith(422, f)
}

func (v *visit) changePassword() error {
	err := v.Plane.ChangePassword(v.ctx(), v.source(), v.visitor.ID, v.raw("old"), v.raw("password"), serve.IDHash(v.session.ID))
	if err == nil {
		return v.done("The password is changed; every other browser is signed out.", "/profile")
	}
	if !invalid(err) {
		return err
	}
	f := authForm{Name: v.visitor.Name}
	f.problem("password", err)
	return v.profileWith(422, f)
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
