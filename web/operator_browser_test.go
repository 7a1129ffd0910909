package web_test

import (
	"strconv"
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
	for _, path := range []string{"", "/tenants", "/invitations", "/billing", "/prices", "/checks", "/nodes", "/mail", "/operators", "/audit"} {
		look("/operator"+path, "operator-empty"+strings.ReplaceAll(path, "/", "-"))
	}
	s.SetConsole(s.url)
	f := s.furnish()
	s.must(s.SuspendTenant(s.Context(), control.Operator(), s.tenant().AccountID, "Unpaid since March"))
	s.must(s.InviteToSignUp(s.Context(), control.Operator(), "somebody.with-a-long-name@subdomain.example.com"))
	o.get("/operator/nodes").press("Make a token", "node", "n1")
	_, err := s.CreateGateway(s.Context(), control.Operator(), "own", f.owner.AccountID)
	s.must(err)
	s.exec(`insert into node (gateway_id, name, boot, connected, applied_rev, failures, seen_at)
		select gateway_id, n, boot, n <> 'eu-west-3', rev, failures, now() - age from gateway, feed_head, (values
			('eu-west-1', '00000000-0000-0000-0000-000000000001', '[]'::jsonb, interval '1 second'),
			('eu-west-2', 'b', '[{"tenant": ` + strconv.FormatUint(uint64(f.owner.Tenant), 10) + `, "reason": "the certificate of its integration cannot be read"}]', '1 second'),
			('eu-west-3', 'c', '[]', '3 hours')) x (n, boot, failures, age) where name = 'shared'`)
	s.exec(`insert into usage_boot (boot, gateway_id, watermark, batches, calls) select ('00000000-0000-0000-0000-00000000000' || n)::uuid, gateway_id, now() - n * interval '2 hours', n, n * 1234567
		from gateway, generate_series(1, 3) n where name = 'shared'`)
	s.exec(`insert into usage_quarantine (hash, gateway_id, boot, seq, reason, encoded)
		select sha256('x'), gateway_id, '00000000-0000-0000-0000-000000000002', 7, 'a line of it names a month that was closed', 'x' from gateway where name = 'shared'`)
	o.get("/operator/mail").press("Save", "host", "smtp.example.com", "from", "Tollgate <no-reply@example.com>", "username", "tollgate", "password", "secret")
	s.exec(`update mail set attempts = 3, problem = '454 4.7.0 Temporary authentication failure' where mail_id = 1`)
	o.get("/operator/prices").press("Add these prices")
	o.get("/operator/billing").press("Make drafts for " + thisMonth())
	s.exec(`insert into book_check (name, ran_at, figures, wrong, problems) values
		('I2', now(), '[{"name": "starts of nodes", "n": 12}, {"name": "batches", "n": 1234567}]', 0, '[]'), ('I3', now() - interval '2 days', '[{"name": "calls in usage", "n": 12}]', 0, '[]'),
		('I7', now(), '[{"name": "invoices", "n": 12}]', 7, '["INV-000012 of account 123456789012: its total is 1200, its lines come to 1100 with 0 of tax, credit notes to 0"]')`)
	tenant := "/operator/tenants/" + f.owner.AccountID
	for name, path := range map[string]string{
		"home": "", "tenants": "/tenants", "tenants-suspended": "/tenants?state=suspended", "invitations": "/invitations", "billing": "/billing", "prices": "/prices", "checks": "/checks",
		"nodes": "/nodes", "place": "/nodes/place?gateway=own", "give-up": "/nodes/give-up?boot=00000000-0000-0000-0000-000000000003", "forget": "/nodes/forget?gateway=shared&node=eu-west-3",
		"take-back": "/invitations/" + f.values["sign-up-invitation"] + "/revoke", "revoke": "/nodes/revoke?gateway=shared&node=n1", "mail": "/mail", "mail-sent": "/mail?state=sent", "settings": "/settings", "operators": "/operators",
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
