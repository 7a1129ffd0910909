package control_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

func TestCreateTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	_, err := w.Owner(w.ctx, "")
	w.refused(err, model.Invalid, "tollgate tenant create")

	c, err := w.CreateTenant(w.ctx, op, control.NewTenant{Email: "Ada@example.com", Name: "Ada"})
	w.must(err)
	for what, ok := range map[string]bool{
		"account id":    regexp.MustCompile(`^[1-9]\d{11}$`).MatchString(c.AccountID),
		"access key id": regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(c.AccessKeyID),
		"secret":        len(c.SecretAccessKey) == 40,
		"password":      len(c.Password) >= 20,
	} {
		if !ok {
			t.Errorf("%s of %+v has the wrong form", what, c)
		}
	}
	a, err := w.Owner(w.ctx, "")
	w.must(err)
	if a.AccountID != c.AccountID || a.Role != control.RoleOwner || a.Tenant == 0 {
		t.Errorf("the only owner is %+v", a)
	}

	_, err = w.CreateTenant(w.ctx, op, control.NewTenant{Email: "ada@EXAMPLE.com", Name: "Again"})
	w.refused(err, model.Conflict, "e-mail")
	for _, bad := range []control.NewTenant{
		{Email: "not an address", Name: "N"}, {Email: "Ada <a@example.com>", Name: "N"},
		{Email: "b@example.com", Name: " "}, {Email: "b@example.com", Name: "N", Password: "short"},
	} {
		_, err = w.CreateTenant(w.ctx, op, bad)
		w.refused(err, model.Invalid, "")
	}
	_, err = w.CreateTenant(w.ctx, a, control.NewTenant{Email: "c@example.com", Name: "N"})
	w.refused(err, model.Denied, "operator")

	w.tenant()
	_, err = w.Owner(w.ctx, "")
	w.refused(err, model.Invalid, c.AccountID)
	_, err = w.Owner(w.ctx, "999999999999")
	w.refused(err, model.NotFound, "999999999999")
}

func TestPasswordsAndSecretsAreNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.CreateTenant(w.ctx, control.Operator(), control.NewTenant{Email: "ada@example.com", Name: "Ada", Password: "correct horse"})
	w.must(err)

	a, err := w.Owner(w.ctx, c.AccountID)
	w.must(err)
	_, err = w.SignIn(w.ctx, "192.0.2.1", "ADA@example.com", "correct horse")
	w.must(err)
	_, err = w.SignIn(w.ctx, "192.0.2.1", "ada@example.com", "wrong horse")
	w.refused(err, model.Unauthenticated, "wrong")
	_, err = w.SignIn(w.ctx, "192.0.2.1", "nobody@example.com", "correct horse")
	w.refused(err, model.Unauthenticated, "wrong")

	b, secret, err := w.AccessKey(w.ctx, c.AccessKeyID)
	w.must(err)
	if b != a || secret != c.SecretAccessKey {
		t.Errorf("access key gives %+v, %q", b, secret)
	}
	_, _, err = w.AccessKey(w.ctx, "AKIAAAAAAAAAAAAAAAAA")
	w.refused(err, model.Unauthenticated, "access key")

	var hash string
	var sealed []byte
	w.all(`select password_hash, secret from member join person using (person_id) join access_key using (tenant_id)`, &hash, &sealed)
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=") || bytes.Contains(sealed, []byte(c.SecretAccessKey)) {
		t.Errorf("stored: %s, %x", hash, sealed)
	}
	// Another key does not open it, and says so without the text.
	other, err := control.New(control.Options{Pool: w.pool, SecretKey: bytes.Repeat([]byte{8}, 32)})
	w.must(err)
	if _, _, err := other.AccessKey(w.ctx, c.AccessKeyID); err == nil || model.KindOf(err) != "" {
		t.Errorf("opened under another key: %v", err)
	}
}

func TestTenantsArePagedAndMatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	made := map[string]bool{}
	for range 5 {
		made[w.tenant().AccountID] = true
	}
	page := control.TenantFilter{Page: control.Page{Limit: 2}}
	for pages := 1; ; pages++ {
		l, err := w.Tenants(w.ctx, op, page)
		w.must(err)
		for _, x := range l.Items {
			if !made[x.AccountID] || x.Gateway != "shared" {
				t.Errorf("unexpected or repeated: %+v", x)
			}
			delete(made, x.AccountID)
		}
		if page.After = l.Next; l.Next == "" {
			if pages != 3 || len(made) != 0 {
				t.Errorf("%d pages, %d missing", pages, len(made))
			}
			break
		}
	}
	_, err := w.Tenants(w.ctx, op, control.TenantFilter{Page: control.Page{After: "!"}})
	w.refused(err, model.Invalid, "first page")
	_, err = w.Tenants(w.ctx, op, control.TenantFilter{Page: control.Page{Limit: 1001}})
	w.refused(err, model.Invalid, "1000")
	l, err := w.Tenants(w.ctx, op, control.TenantFilter{Page: control.Page{Match: "no such name"}})
	w.must(err)
	if len(l.Items) != 0 {
		t.Errorf("matched %+v", l.Items)
	}
}

func TestSuspendedTenantsLookButDoNotChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op, a := control.Operator(), w.tenant()
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision

	w.must(w.SuspendTenant(w.ctx, op, a.AccountID, "unpaid since May"))
	_, err := w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "P"})
	w.refused(err, model.Denied, "suspended")
	_, err = w.Plans(w.ctx, a, control.Page{})
	w.must(err)
	c := w.changes(n, hello(at))
	if len(c.Tenants) != 1 || !c.Tenants[0].Suspended {
		t.Errorf("nodes were told %+v", c)
	}

	w.must(w.ResumeTenant(w.ctx, op, a.AccountID))
	caps := model.Caps{Rate: 100, Burst: 10, InFlight: 5}
	w.must(w.SetTenantCaps(w.ctx, op, a.AccountID, caps))
	c = w.changes(n, hello(c.Revision))
	if len(c.Tenants) != 1 || c.Tenants[0].Suspended || c.Tenants[0].Caps != caps {
		t.Errorf("nodes were told %+v", c)
	}
	w.refused(w.SetTenantCaps(w.ctx, op, a.AccountID, model.Caps{Burst: -1}), model.Invalid, "negative")
	w.refused(w.SuspendTenant(w.ctx, op, "1", "r"), model.NotFound, "account 1")
	w.refused(w.SuspendTenant(w.ctx, a, a.AccountID, "r"), model.Denied, "operator")
}

// Who may do what: every role against one method of each permission.
func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.tenant()
	d := w.deployed(owner, "prod")
	k := w.key(owner)
	for role, may := range map[control.Role][3]bool{ // read, sell, build
		control.RoleOwner: {true, true, true}, control.RoleAdmin: {true, true, true}, control.RoleDeveloper: {true, true, true},
		control.RoleBilling: {true, true, false}, control.RoleViewer: {true, false, false},
		control.RoleOperator: {}, "": {}, "root": {},
	} {
		a := owner
		a.Role = role
		_, read := w.APIs(w.ctx, a, control.Page{})
		sell := w.SetKeyEnabled(w.ctx, a, k.ID, true)
		_, build := w.Deploy(w.ctx, a, control.Deploy{APIID: d.Stage.APIID, Stage: "prod"})
		for i, err := range []error{read, sell, build} {
			if may[i] {
				w.must(err)
			} else {
				w.refused(err, model.Denied, "")
			}
		}
	}
	_, err := w.APIs(w.ctx, control.Actor{Role: control.RoleOwner}, control.Page{})
	w.refused(err, model.Unauthenticated, "sign in")
}
