package control_test

import (
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

const otherRole = "arn:aws:iam::999999999999:role/theirs"

var storedCredential = control.NewServiceCredential{Name: "arn:aws:iam::123456789012:role/team/api", AccessKeyID: "AKIAEXAMPLE", Secret: "s3cr/et+", SessionToken: "tok", Services: []string{"sqs", " dynamodb", "sqs", ""}, Regions: []string{"eu-west-1"}}

func TestServiceCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	n := control.SharedNode("n1")
	at := w.changes(n, hello(0)).Revision
	next := func() []model.CredentialConfig {
		t.Helper()
		c := w.changes(n, hello(at))
		at = c.Revision
		return c.Credentials
	}
	c, err := w.PutServiceCredential(w.ctx, a, storedCredential)
	w.must(err)
	if c.Name != storedCredential.Name || !c.Session || strings.Join(c.Services, ",") != "dynamodb,sqs" || strings.Join(c.Regions, ",") != "eu-west-1" || c.CreatedAt.IsZero() {
		t.Errorf("stored %+v", c)
	}
	sent := next()
	if len(sent) != 1 || sent[0].Tenant != a.Tenant || sent[0].Name != c.Name || sent[0].AccessKeyID != "AKIAEXAMPLE" || sent[0].Secret != "s3cr/et+" || sent[0].SessionToken != "tok" || len(sent[0].Services) != 2 {
		t.Fatalf("told of %+v", sent)
	}
	var raw string
	w.all(`select encode(secret, 'escape') from service_credential`, &raw)
	if strings.Contains(raw, "s3cr") {
		t.Error("the secret lies open in the database")
	}
	// A role of the account's own by its name, and the one that needs none.
	own, err := w.PutServiceCredential(w.ctx, a, control.NewServiceCredential{Name: "api", AccessKeyID: "AKIAOTHER", Secret: "x"})
	w.must(err)
	if own.Name != "arn:aws:iam::"+a.AccountID+":role/api" || own.Session {
		t.Errorf("stored %+v", own)
	}
	_, err = w.PutServiceCredential(w.ctx, a, control.NewServiceCredential{Name: model.DefaultCredential, AccessKeyID: "AKIAOTHER", Secret: "x"})
	w.must(err)
	_, err = w.PutServiceCredential(w.ctx, b, storedCredential)
	w.must(err)
	if sent := next(); len(sent) != 3 {
		t.Errorf("told of %+v", sent)
	}
	if l, err := w.ServiceCredentials(w.ctx, a); err != nil || len(l) != 3 {
		t.Errorf("%+v %v", l, err)
	}
	// Rotated: the number stays.
	in := storedCredential
	in.AccessKeyID, in.Secret, in.SessionToken, in.Services = "AKIANEW", "new", "", nil
	r, err := w.PutServiceCredential(w.ctx, a, in)
	w.must(err)
	if again := next(); len(again) != 1 || again[0].Num != sent[0].Num || again[0].Secret != "new" || again[0].SessionToken != "" || len(again[0].Services) > 0 || !r.CreatedAt.Equal(c.CreatedAt) {
		t.Errorf("told of %+v after %+v", again, sent)
	}
	// One that another installation's key sealed, or that was put in another's place,
	// is nobody's.
	w.exec(`update service_credential set secret = (select secret from service_credential where name = $1) where name = $2`, "default", own.Name)
	for _, k := range w.changes(n, hello(0)).Credentials {
		if k.Name == own.Name {
			t.Errorf("told of %+v", k)
		}
	}
	if l, err := w.TrialCredentials(w.ctx, a.AccountID); err != nil || len(l) != 2 || l[0].Secret == "" {
		t.Errorf("%+v %v", l, err)
	}
	w.must(w.DeleteServiceCredential(w.ctx, a, storedCredential.Name))
	if gone := next(); len(gone) != 1 || !gone[0].Deleted || gone[0].Num != sent[0].Num || gone[0].Secret != "" || gone[0].Name != "" {
		t.Errorf("told of %+v", gone)
	}
	if err := w.DeleteServiceCredential(w.ctx, a, storedCredential.Name); model.KindOf(err) != model.NotFound {
		t.Error(err)
	}
	// It moves with its account, and only there.
	_, err = w.CreateGateway(w.ctx, control.Operator(), "other", "")
	w.must(err)
	_, err = w.PutServiceCredential(w.ctx, a, storedCredential)
	w.must(err)
	w.must(w.MoveTenant(w.ctx, control.Operator(), a.AccountID, "other"))
	for _, k := range next() {
		if k.Tenant == a.Tenant && (!k.Deleted || k.Secret != "") {
			t.Errorf("the old gateway is told of %+v", k)
		}
	}
}

func TestServiceCredentialsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	for name, change := range map[string]func(*control.NewServiceCredential){
		"name":     func(c *control.NewServiceCredential) { c.Name = "a b" },
		"caller":   func(c *control.NewServiceCredential) { c.Name = model.CallersCredentials },
		"arn":      func(c *control.NewServiceCredential) { c.Name = "arn:aws:iam::1:role/x" },
		"id":       func(c *control.NewServiceCredential) { c.AccessKeyID = "A/B\r\n" },
		"secret":   func(c *control.NewServiceCredential) { c.Secret = "" },
		"blank":    func(c *control.NewServiceCredential) { c.Secret = "a b" },
		"token":    func(c *control.NewServiceCredential) { c.SessionToken = "a\r\nX: y" },
		"services": func(c *control.NewServiceCredential) { c.Services = []string{"a/b"} },
	} {
		in := storedCredential
		change(&in)
		if _, err := w.PutServiceCredential(w.ctx, a, in); model.KindOf(err) != model.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, role := range []control.Role{control.RoleDeveloper, control.RoleBilling, control.RoleViewer} {
		other := a
		other.Role = role
		if _, err := w.PutServiceCredential(w.ctx, other, storedCredential); model.KindOf(err) != model.Denied {
			t.Errorf("%s: %v", role, err)
		}
		if err := w.DeleteServiceCredential(w.ctx, other, "x"); model.KindOf(err) != model.Denied {
			t.Errorf("%s: %v", role, err)
		}
		if _, err := w.ServiceCredentials(w.ctx, other); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	d := &model.Definition{Resources: []model.Resource{{Path: "/a", Methods: map[string]model.Method{}}}}
	for verb, g := range map[string]*model.Integration{
		"GET":    {Type: model.IntegrationAWS, Credentials: otherRole},
		"PUT":    {Type: model.IntegrationAWS, Credentials: storedCredential.Name},
		"POST":   {Type: model.IntegrationAWS, Credentials: "arn:aws:iam::${stageVariables.account}:role/x"},
		"DELETE": {Type: model.IntegrationAWS, Credentials: model.CallersCredentials},
		"PATCH":  {Type: model.IntegrationHTTP, Credentials: otherRole},
	} {
		d.Resources[0].Methods[verb] = model.Method{Integration: g}
	}
	_, err := w.PutServiceCredential(w.ctx, a, storedCredential)
	w.must(err)
	if l, err := w.MissingCredentials(w.ctx, a, d); err != nil || len(l) != 1 || l[0].Pointer != "GET /a" || !strings.Contains(l[0].Message, otherRole) || l[0].Severity != model.SeverityWarning {
		t.Errorf("%+v %v", l, err)
	}
}
