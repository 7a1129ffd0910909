package web_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/control"
	chromium "tollgate/ui/browser"
)

// team is an account with people in it, and something for each of its pages to
// show.
func (s *site) team() (owner control.Actor, pages map[string]string) {
	s.Helper()
	s.SetConsole(s.url)
	owner = s.tenant()
	s.exec(`update tenant set name = 'Pets Inc.' where tenant_id = $1`, owner.Tenant)
	s.exec(`update person set name = 'Ada Lovelace' where person_id = (select person_id from member where member_id = $1)`, owner.Member)
	admin := s.member(owner, control.RoleAdmin)
	for _, r := range []control.Role{control.RoleDeveloper, control.RoleBilling, control.RoleViewer} {
		s.member(owner, r)
	}
	s.as(admin) // has been seen
	s.must(s.Invite(s.Context(), owner, "somebody.with-a-long-name@subdomain.example.com", control.RoleDeveloper))
	id, _, err := s.CreateAccessKey(s.Context(), admin)
	s.must(err)
	s.must(s.SetAccessKeyEnabled(s.Context(), owner, id, false))
	s.plan(owner, "Gold", nil, s.deployed(owner, "prod"))
	id, _, err = s.CreateAccessKey(s.Context(), owner)
	s.must(err)
	s.must(s.SetRole(s.Context(), owner, s.member(owner, control.RoleViewer).Member, control.RoleBilling))
	s.exec(`insert into session (id_hash, realm, subject, data, created_at, seen_at, expires_at)
		select sha256('elsewhere'), 'console', person_id, '{"browser": "Firefox on Linux", "source": "192.0.2.17"}', $2, $2, now() + interval '1 day' from member where member_id = $1`,
		owner.Member, time.Now().Add(-50*time.Hour))
	return owner, map[string]string{
		"members": "/members", "member": "/members/" + admin.Member, "member-invite": "/members/invite", "member-remove": "/members/" + admin.Member + "/remove",
		"member-leave": "/members/" + owner.Member + "/remove", "account": "/account", "access-keys": "/access-keys", "access-key-delete": "/access-keys/" + id + "/delete", "access-key-policy": "/access-keys/" + id + "/policy",
		"audit": "/audit", "audit-nothing": "/audit?actor=nobody", "profile": "/profile",
	}
}

// The pages of people look right to everybody, on a desk and on a phone.
func TestPeoplePagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner, pages := s.team()
	p := chromium.Start(t).Visitor(t)
	s.as(owner).in(p)
	for name, path := range pages {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", path, p.Status())
		}
		p.Sound(name)
	}
	p.Goto(s.url + "/access-keys")
	p.Click("Create access key")
	p.Await("the most a member may have")
	p.TapOn(`a[href="` + pages["access-key-delete"] + `"]`)
	p.Await("Disable it instead")
	p.Sound("access-key-delete-dialog")
	p.Click("Delete " + strings.Split(pages["access-key-delete"], "/")[2])
	p.Click("Create access key")
	p.Sound("access-key-new")
	p.Goto(s.url + "/profile")
	p.Fill("Present password", "not the one")
	p.Fill("New password", "a new password")
	p.Click("Change password")
	p.Sound("profile-refused")
}

// Who is not signed in finds the way: the pages of one thing to do each.
func TestSignInPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.SetConsole(s.url)
	p := chromium.Start(t).Visitor(t)
	p.Goto(s.url + "/")
	p.Sound("sign-in")
	p.Click("Create an account")
	p.Sound("sign-up")
	p.Fill("E-mail address", "ada@example.com")
	p.Fill("Password", "short")
	p.Eval(`document.querySelector("form").noValidate = true; 0`, nil)
	p.Click("Create account")
	p.Await("8 to 1024 characters")
	p.Sound("sign-up-refused")
	p.Fill("Password", "correct horse")
	p.Click("Create account")
	p.Sound("check-your-mail")
	p.Click("Read the mails")
	p.Sound("dev-mail")
	p.Click("Confirm your e-mail address")
	p.Sound("dev-mail-one")
	link := mailLink.FindString(p.HTML())
	stranger := chromium.Start(t).Visitor(t)
	stranger.Goto(s.url + link)
	stranger.Sound("verify-elsewhere")
	p.Goto(s.url + link)
	p.Sound("verify")
	p.Click("Open my account")
	stranger.Reload()
	stranger.Sound("link-used")
	stranger.Goto(s.url + "/sign-in")
	stranger.Fill("E-mail address", "ada@example.com")
	stranger.Fill("Password", "wrong horse")
	stranger.Click("Sign in")
	stranger.Sound("sign-in-refused")
	stranger.Click("Forgot the password?")
	stranger.Sound("forgot")
	stranger.Fill("E-mail address", "ada@example.com")
	stranger.Click("Mail me a link")
	b := s.anybody()
	stranger.Goto(s.url + mailLink.FindString(b.mailTo("ada@example.com").body))
	stranger.Sound("reset")
	owner := s.tenant()
	for email, name := range map[string]string{"new@example.com": "invitation", "ada@example.com": "invitation-known"} {
		s.must(s.Invite(t.Context(), owner, email, control.RoleDeveloper))
		stranger.Goto(s.url + mailLink.FindString(b.mailTo(email).body))
		stranger.Sound(name)
	}
}
