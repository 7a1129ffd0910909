package web_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// operator is a browser in which an operator is signed in.
func (s *site) operator() *browser {
	s.Helper()
	c, err := s.CreateOperator(s.Context(), control.Operator(), model.NewID(8)+"@example.com", "", "")
	s.must(err)
	p, err := s.OperatorSignIn(s.Context(), "192.0.2.1", c.Email, c.Password)
	s.must(err)
	return s.session(control.RealmOperator, "tollgate-operator", p.ID, 0)
}

// An operator finds a tenant, caps, suspends and resumes it, sets prices, bills it,
// and looks after nodes and mail.
func TestOperator(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.tenant()
	o := s.operator()
	o.get("/operator").want(200, "Tenants", "Needs you", "Without them tenants are not billed")
	at := "/operator/tenants/" + a.AccountID
	o.get("/operator/tenants?q="+a.AccountID).want(200, a.Name)
	o.get("/operator/tenants?state=suspended").want(200, "No tenants found")
	o.get(at).want(200, a.AccountID, "Caps", "of each shared node").press("Save caps", "rate", "x").want(422, "not a number")
	o.get(at).press("Save caps", "rate", "50", "burst", "100").want(200, "every node has them within a second")
	o.get(at+"/suspend").want(200, "refuse").press("Suspend "+o.name(a), "reason", "").want(422)
	o.get(at+"/suspend").press("Suspend "+o.name(a), "reason", "Unpaid since March").want(200, "is suspended", "Unpaid since March")
	if _, err := s.CreateAPI(s.Context(), a, "x", ""); model.KindOf(err) != model.Denied {
		t.Errorf("a suspended account changed something: %v", err)
	}
	o.get(at).press("Resume").want(200, "served again")
	o.get("/operator/nodes").want(200, "shared").press("Make a token", "node", "n1").want(200, "Shown once")
	o.get("/operator/nodes").want(200, "n1").link("Revoke").press("Revoke 1 token").want(200, "are void")
	s.exec(`insert into node (gateway_id, name, boot, connected, applied_rev) select gateway_id, 'n0', 'x', false, 0 from gateway`)
	place := o.get("/operator/nodes").press("Make a gateway", "name", "own", "account", a.AccountID).want(200, "Where gateway own is", "A node on this machine")
	place.press("Save", "url", "ftp://own.example.com").want(422, "is not an address such as")
	place.press("Save", "addr", "nowhere").want(422, "is not an address and a port")
	place.press("Save", "tls_addr", "127.0.0.1:8092").want(422, "listens at an address without TLS")
	place.press("Save", "url", "https://own.example.com", "addr", "127.0.0.1:8091").want(200, "is started at 127.0.0.1:8091", "https://own.example.com", "Its node is being started")
	o.get("/operator/nodes/place?gateway=shared").press("Save", "url", "https://own.example.com").want(422, "TOLLGATE_GATEWAY_URL")
	o.get("/operator/nodes/place?gateway=nobody").want(404)
	if at := s.GatewayURL(s.Context(), a.Tenant, nil); at != nil {
		t.Errorf("the address of another gateway is given: %s", at)
	}
	s.must(s.MoveTenant(s.Context(), control.Operator(), a.AccountID, "own"))
	s.must(s.PlaceGateway(s.Context(), control.Operator(), "own", control.Place{URL: "https://own.example.com/"})) // what was known is forgotten
	if at := s.GatewayURL(s.Context(), a.Tenant, nil); at == nil || at.String() != "https://own.example.com" {
		t.Errorf("the gateway's address is %v", at)
	}
	s.must(s.MoveTenant(s.Context(), control.Operator(), a.AccountID, "shared"))
	o.get("/operator/nodes?q=elsewhere").want(200, "No gateways found")
	n := o.get("/operator/nodes?q=N0").want(200, "Not connected").link("Forget")
	n.want(200, "counted among those").press("Forget n0").want(200, "not listed any more").without("Not connected")
	o.get("/operator/nodes/forget?gateway=shared&node=n0").want(404)
	p := o.get("/operator/prices").want(200, "not billed yet")
	p.press("Add these prices", "price1", "nothing").want(422)
	p.press("Add these prices").want(200, "From "+time.Now().UTC().Format("January 2006"), "3.50 USD")
	s.exec(`insert into usage_line (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, calls, bytes_in, bytes_out, micros, boot, seq)
		values ($1, date_trunc('hour', now()), 0, 0, 0, 0, 0, 200, 1, 2000000, 0, 0, 0, '00000000-0000-0000-0000-000000000001', 1)`, a.Tenant)
	month := time.Now().UTC().Format("January 2006")
	b := o.get("/operator/billing").press("Make drafts for "+month).want(200, "7.00 USD", "Draft")
	b.link("Make 1 draft final").want(200, "1 draft becomes an invoice", "does not say who it is from").press("Make it final").want(200, "1 invoice is final", "INV-000001")
	o.get("/operator/billing").link("INV-000001").want(200, "7.00 USD", "2,000,000")
	o.get(at).want(200, "INV-000001")
	m := o.get("/operator/mail").want(200, "Mail server")
	m.press("Save", "host", "mail.example.com", "port", "x", "from", "a@example.com").want(422, "is not a port")
	m = m.press("Save", "host", "mail.example.com", "port", "587", "from", "a@example.com", "password", "very secret").want(200, "Saved").without("very secret")
	m.press("Save", "from", "b@example.com").want(200, "Saved. Send a test mail", "One is kept")
	m.press("Save", "host", "mail.example.net").want(200, "without a password").without("One is kept")
	o.get("/operator/settings").press("Save", "mode", "invitation").want(200, "Saved")
	s.anybody().get("/sign-up").want(200, "by invitation")
	o.get("/operator/settings").press("Save seller", "name", "Tollgate Inc.", "address", "1 Street").want(200, "Saved")
	in := o.get("/operator/invitations").press("Send invitation", "email", "new@example.com").want(200, "on its way")
	o.get("/operator/invitations?q=NEW").want(200, "new@example.com")
	o.get("/operator/invitations?q=old").want(200, "Nobody with such an address")
	in.link("Take back").want(200, "opens no account").press("Take it back").want(200, "link is void", "Nobody: every invitation")
	o.get("/operator/audit").want(200, "suspended account", "resumed account", "added prices")
	o.get("/operator/profile").press("Change password", "old", "wrong", "password", "a new password").want(422, "present password")
}

// name is an account's.
func (b *browser) name(a control.Actor) string {
	d, err := b.TenantDetail(b.Context(), control.Operator(), a.AccountID)
	b.must(err)
	return d.Name
}

// What an operator may open is closed to members, and the reverse.
func TestRealmsAreApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.tenant()
	member, operator := s.as(a), s.operator()
	for _, r := range s.web.Routes() {
		if r.Method != "GET" || r.Open || strings.Contains(r.Pattern, "{") {
			continue
		}
		wrong, sign := operator, "Sign in"
		if r.Realm == control.RealmOperator {
			wrong, sign = member, "Sign in as operator"
		}
		if p := wrong.get(r.Pattern); !strings.Contains(p.text(), sign) {
			t.Errorf("%s is open to the other realm: %d", r.Pattern, p.status)
		}
	}
}

func thisMonth() string    { return time.Now().UTC().Format("January 2006") }
func thisMonthISO() string { return time.Now().UTC().Format("2006-01") }
