package web_test

import (
	"strings"
	"testing"

	"tollgate/control"
	chromium "tollgate/ui/browser"
)

// Every page of the operator's area looks right with nothing on it, and with
// something, on a desk and on a phone.
func TestOperatorPagesInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o := s.operator()
	p := chromium.Start(t).Visitor(t)
	o.in(p)
	look := func(path, name string) {
		p.Goto(s.url + path)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d: %s", path, p.Status(), p.Text("main"))
		}
		p.Sound(name)
	}
	for _, path := range []string{"", "/tenants", "/invitations", "/billing", "/prices", "/nodes", "/mail", "/operators", "/audit"} {
		look("/operator"+path, "operator-empty"+strings.ReplaceAll(path, "/", "-"))
	}
	s.SetConsole(s.url)
	f := s.furnish()
	s.must(s.SuspendTenant(s.Context(), control.Operator(), s.tenant().AccountID, "Unpaid since March"))
	s.must(s.InviteToSignUp(s.Context(), control.Operator(), "somebody.with-a-long-name@subdomain.example.com"))
	o.get("/operator/nodes").press("Make a token", "node", "n1")
	o.get("/operator/prices").press("Add these prices")
	o.get("/operator/billing").press("Make drafts for " + thisMonth())
	tenant := "/operator/tenants/" + f.owner.AccountID
	for name, path := range map[string]string{
		"home": "", "tenants": "/tenants", "tenants-suspended": "/tenants?state=suspended", "invitations": "/invitations", "billing": "/billing", "prices": "/prices",
		"nodes": "/nodes", "revoke": "/nodes/revoke?gateway=shared&node=n1", "mail": "/mail", "mail-sent": "/mail?state=sent", "settings": "/settings", "operators": "/operators",
		"operator-remove": "/operators/" + f.values["operator"] + "/remove", "finalize": "/billing/finalize?month=" + thisMonthISO(),
		"audit": "/audit", "profile": "/profile",
	} {
		look("/operator"+path, "operator-"+name)
	}
	for name, path := range map[string]string{"tenant": "", "tenant-suspend": "/suspend", "tenant-move": "/move"} {
		look(tenant+path, "operator-"+name)
	}
	p.Goto(s.url + "/operator/billing?month=" + thisMonthISO())
	p.ClickOn("main tbody a")
	p.Sound("operator-invoice")
}
