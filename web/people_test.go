package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tollgate/control"
)

// mailTo opens the latest mail to an address, as the page for local mails shows it.
func (b *browser) mailTo(email string) *page {
	b.Helper()
	l, err := b.Mails(b.Context(), control.Operator(), control.MailFilter{})
	b.must(err)
	for _, m := range l.Items {
		if m.To == email {
			return b.get(fmt.Sprintf("/dev/mail/%d", m.ID)).want(200)
		}
	}
	b.Fatalf("no mail to %s", email)
	return nil
}

var mailLink = regexp.MustCompile(`/(?:verify|reset|invitations)/[A-Za-z0-9_-]{43}`)

// A person signs up, works with others, forgets the password, and leaves: all
// without JavaScript.
func TestPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.SetConsole(s.url)
	ada := s.anybody()
	ada.keepCookies()
	ada.get("/").want(200, "Sign in")
	p := ada.get("/sign-up").press("Create account", "email", "ada@example.com", "password", "short")
	p.want(422, "8 to 1024 characters")
	p.press("Create account", "email", "ada@example.com", "password", "correct horse", "account", "Pets").want(200, "Check your mail")
	link := mailLink.FindString(ada.mailTo("ada@example.com").body)
	ada.get(link).want(200, "Open my account").press("Open my account")
	ada.get("/members").want(200, "ada@example.com", "owner", "You")

	ada.get("/members/invite").press("Send invitation", "email", "bob@example.com", "role", "viewer").want(200, "on its way", "bob@example.com")
	bob := s.anybody()
	bob.keepCookies()
	bob.get(mailLink.FindString(bob.mailTo("bob@example.com").body)).want(200, "Join Pets", "viewer").press("Join Pets", "password", "battery staple")
	bob.get("/members").want(200, "bob@example.com").without("Invite a member")
	bob.get("/members/invite").want(403)
	bob.get("/audit").want(403)
	ada.get("/members").link("bob@example.com").press("Change role", "role", "admin").want(200, "admin now")
	bob.get("/audit").want(200, "invited bob@example.com", "joined as viewer, invited by ada@example.com", "changed the role of bob@example.com from viewer to admin")
	bob.get("/audit?action=member.role").want(200, "changed the role").without("joined as")
	if csv := bob.get("/audit.csv"); csv.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(csv.body, "member.role") {
		t.Errorf("csv: %s", csv.body)
	}

	k := ada.get("/access-keys").press("Create access key").want(200, "Shown once", "AKIA")
	id := regexp.MustCompile(`AKIA[A-Z2-7]{16}`).FindString(k.body)
	policy := ada.get("/access-keys").want(200, "Every API of the account").link("Every API of the account")
	policy.press("Save", "policy", `{"Statement":`).want(422, "The policy is no JSON document")
	policy.press("Save", "policy", `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`).want(200, "What its policy says")
	ada.get("/access-keys/"+id+"/policy").want(200, "Effect").press("Save", "policy", "").want(200, "Every API of the account")
	bob.get("/access-keys/" + id + "/policy").want(200) // an admin now
	ada.get("/access-keys").press("Disable").want(200, "refused from now on", "Disabled")
	ada.get("/access-keys/"+id+"/delete").press("Delete "+id).want(200, "is deleted").without(id)

	ada.get("/profile").press("Change password", "old", "wrong", "password", "a new password").want(422, "present password is wrong")
	ada.get("/profile").press("Change password", "old", "correct horse", "password", "a new password").want(200, "is changed")
	ada.get("/account").press("Rename", "name", "Pets & Co").want(200, "Pets & Co")
	ada.post("/sign-out", nil)
	ada.get("/members").want(200, "Sign in")
	ada.get("/forgot").press("Mail me a link", "email", "ada@example.com").want(200, "Check your mail")
	ada.get(mailLink.FindString(ada.mailTo("ada@example.com").body)).press("Set password and sign in", "password", "yet another one")
	ada.get("/members").want(200)
	bob.get("/members").link("Leave").want(200, "You can no longer open").press("Leave the account")
	bob.get("/members").want(403, "not a member")
}

// A link that is opened in another browser than the one that signed up asks for
// the password that was chosen there.
func TestLinkInAnotherBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.SetConsole(s.url)
	desk := s.anybody()
	desk.keepCookies()
	desk.get("/sign-up").press("Create account", "email", "ada@example.com", "password", "correct horse").want(200, "Check your mail")
	link := mailLink.FindString(desk.mailTo("ada@example.com").body)
	phone := s.anybody()
	phone.keepCookies()
	p := phone.get(link).want(200, "ada@example.com", "another browser")
	p.press("Open my account", "password", "a stranger's guess").want(422, "not the password that was chosen")
	phone.get("/members").want(200, "Sign in")
	p.press("Open my account", "password", "correct horse")
	phone.get("/members").want(200, "ada@example.com", "You")
	desk.get(link).want(404, "used already")
	desk.post(link, nil).want(404, "used already")
}

// Every link in a mail works once.
func TestLinksWorkOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.SetConsole(s.url)
	owner := s.tenant()
	s.must(s.Invite(t.Context(), owner, "new@example.com", control.RoleViewer))
	s.must(s.RequestReset(t.Context(), "192.0.2.1", owner.Name))
	s.must(s.SignUp(t.Context(), "192.0.2.1", control.SignUp{Email: "other@example.com", Password: "correct horse"}))
	for _, c := range []struct {
		email string
		form  url.Values
	}{
		{"new@example.com", url.Values{"password": {"correct horse"}}},
		{owner.Name, url.Values{"password": {"battery staple"}}},
		{"other@example.com", url.Values{"password": {"correct horse"}}},
	} {
		b := s.anybody()
		link := mailLink.FindString(b.mailTo(c.email).body)
		b.get(link).want(200) // looking does not use it up
		first := s.anybody()
		first.keepCookies()
		first.post(link, c.form)
		first.get("/members").want(200, c.email)
		again := s.anybody()
		again.keepCookies()
		again.post(link, c.form).want(404, "used already")
		again.get(link).want(404, "used already")
		again.get("/members").want(200, "Sign in")
	}
}

func TestClosedSignUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.SetConsole(s.url)
	s.must(s.SetSignUp(t.Context(), control.Operator(), control.SignUpInvitation))
	b := s.anybody()
	b.keepCookies()
	b.get("/sign-up").want(200, "by invitation").without("Create account")
	b.post("/sign-up", url.Values{"email": {"ada@example.com"}, "password": {"correct horse"}}).want(403, "by invitation")
	s.must(s.InviteToSignUp(t.Context(), control.Operator(), "ada@example.com"))
	b.get(mailLink.FindString(b.mailTo("ada@example.com").body)).want(200, "Create your account").
		press("Create account", "password", "correct horse").want(200, "Check your mail")
	b.get(mailLink.FindString(b.mailTo("ada@example.com").body)).press("Open my account")
	b.get("/members").want(200, "ada@example.com", "owner")
}

// A guesser is slowed down, and told so.
func TestGuessesAreSlowedDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.tenant()
	b := s.anybody()
	for i := range 12 {
		p := b.get("/sign-in").press("Sign in", "email", a.Name, "password", fmt.Sprintf("guess number %d", i))
		if want := map[bool]int{true: 401, false: 429}[i < 10]; p.status != want {
			t.Fatalf("guess %d: status %d, want %d", i, p.status, want)
		}
		p.want(p.status, "One thing has to be put right")
	}
}

// Signing out everywhere else ends what was stolen.
func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.tenant()
	here, there, third := s.as(a), s.as(a), s.as(a)
	here.get("/profile").want(200, "This browser").press("Sign out all others").want(200, "2 other browsers are signed out")
	for _, b := range []*browser{there, third} {
		b.get("/members").want(200, "Sign in")
	}
	here.get("/members").want(200, a.Name)
	here.get("/profile").press("Sign out everywhere").want(200, "Sign in")
	here.get("/members").want(200, "Sign in")
}

// What can be read on the machine is not read through a proxy or by a rebound name.
func TestLocalPagesStayLocal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Host = "rebound.example:8080" },
		func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
	} {
		for path, want := range map[string]int{"/dev/mail": 404, "/dev/mail/1": 404, "/sign-in": 200} {
			req, err := http.NewRequest("GET", s.url+path, nil)
			s.must(err)
			change(req)
			s.anybody().do(req).want(want)
		}
	}
}

// Whether an address is known cannot be told from any answer.
func TestAnswersDoNotTell(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.SetConsole(s.url)
	a := s.tenant()
	for path, fill := range map[string]url.Values{
		"/sign-up": {"password": {"correct horse"}}, "/forgot": {}, "/sign-in": {"password": {"wrong password"}},
	} {
		var answers []string
		for _, email := range []string{a.Name, strings.Replace(a.Name, "owner", "nobody", 1)} {
			fill.Set("email", email)
			req, _ := http.NewRequest("POST", s.url+path, strings.NewReader(fill.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := http.DefaultTransport.RoundTrip(req)
			s.must(err)
			p := (&browser{site: s, http: http.DefaultClient}).read(resp)
			resp.Header.Del("Date")
			resp.Header.Del("Content-Length")
			answer := strings.ReplaceAll(fmt.Sprint(resp.StatusCode, resp.Header, p), email, "EMAIL")
			answers = append(answers, regexp.MustCompile(`tollgate-sign-up=[A-Za-z0-9_-]{43};`).ReplaceAllString(answer, "RANDOM"))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s answers a known address\n%s\nand an unknown one\n%s", path, answers[0], answers[1])
		}
	}
}

// A session has another id after a sign-in, and what it had before is worth
// nothing.
func TestSessionIsRotated(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.tenant()
	b := s.as(a)
	before := b.cookie.Value
	_, err := s.CreateTenant(s.Context(), control.Operator(), control.NewTenant{Email: "kim@example.com", Name: "Kim", Password: "correct horse"})
	s.must(err)
	req, _ := http.NewRequest("POST", s.url+"/sign-in", strings.NewReader(url.Values{"email": {"kim@example.com"}, "password": {"correct horse"}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.AddCookie(b.cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	s.must(err)
	resp.Body.Close()
	var after *http.Cookie
	for _, c := range resp.Cookies() {
		if c.Name == "tollgate-session" {
			after = c
		}
	}
	if resp.StatusCode != 303 || after == nil || after.Value == before || !after.HttpOnly || after.SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d, cookie %v", resp.StatusCode, after)
	}
	b.get("/members").want(200, "Sign in") // the old id
	b.cookie.Value = after.Value
	b.get("/members").want(200, "kim@example.com")
}

func TestSafeNext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must(func() error {
		_, err := s.CreateTenant(s.Context(), control.Operator(), control.NewTenant{Email: "kim@example.com", Name: "Kim", Password: "correct horse"})
		return err
	}())
	for _, next := range []string{"//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"} {
		req, _ := http.NewRequest("POST", s.url+"/sign-in", strings.NewReader(url.Values{"email": {"kim@example.com"}, "password": {"correct horse"}, "next": {next}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultTransport.RoundTrip(req)
		s.must(err)
		resp.Body.Close()
		if to := resp.Header.Get("Location"); to != "/overview" {
			t.Errorf("next %q leads to %q", next, to)
		}
	}
}
