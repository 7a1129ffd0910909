package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/control"
	"tollgate/model"
)

// exec writes what another part of the program would have written.
func (w *world) exec(sql string, args ...any) {
	w.Helper()
	w.must(pgx.BeginFunc(w.ctx, w.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(w.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil {
			return err
		}
		_, err := tx.Exec(w.ctx, sql, args...)
		return err
	}))
}

// used records calls of a tenant, in a line just handed in or an hourly sum.
func (w *world) used(table string, a control.Actor, hour time.Time, flags uint16, calls int64) {
	w.Helper()
	at, columns, values := "day", "", ""
	if table == "usage_line" {
		at, columns, values = "hour", ", boot, seq", ", gen_random_uuid(), 1"
	}
	w.exec(fmt.Sprintf(`
		insert into %s (tenant_id, %s, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros%s)
		values ($1, $2, 1, 1, 0, 0, 0, 200, $3, 0, $4, 1, 1, 1%s)`, table, at, columns, values), a.Tenant, hour, int(flags), calls)
}

func TestInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op := control.Operator()
	in, err := w.Installation(w.ctx, op)
	w.must(err)
	if in.SignUp != control.SignUpOpen || in.Seller != (model.Party{}) {
		t.Errorf("a new installation is %+v", in)
	}
	w.must(w.SetSignUp(w.ctx, op, control.SignUpInvitation))
	w.refused(w.SetSignUp(w.ctx, op, "closed"), model.Invalid, `"closed"`)
	seller := model.Party{Name: "Gate & Co", Address: "Main Street 1\r\n10115 Berlin", TaxID: "DE 1", Email: "money@example.com"}
	w.must(w.SetSeller(w.ctx, op, seller))
	for text, bad := range map[string]model.Party{
		"name":        {Address: "Main Street 1"},
		"not an e-m":  {Name: "G", Email: "nowhere"},
		"printed":     {Name: "G\x07"},
		"8":           {Name: "G", Address: strings.Repeat("line\n", 9)},
		"has room":    {Name: strings.Repeat("g", 201)},
		"tax number ": {Name: "G", TaxID: strings.Repeat("1", 65)},
	} {
		w.refused(w.SetSeller(w.ctx, op, bad), model.Invalid, text)
	}
	in, err = w.Installation(w.ctx, op)
	w.must(err)
	seller.Address = "Main Street 1\n10115 Berlin"
	if in.SignUp != control.SignUpInvitation || in.Seller != seller {
		t.Errorf("kept %+v", in)
	}
	var actions []string
	w.all(`select array_agg(action order by audit_id) from audit where tenant_id is null`, &actions)
	if fmt.Sprint(actions) != "[installation.sign-up installation.seller]" {
		t.Errorf("the audit trail has %v", actions)
	}
}

// The operator sees how much a tenant has and uses, of its own and of nobody else.
func TestTenantDetail(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 17, 15, 4, 5, 0, time.UTC)
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond, Now: func() time.Time { return at }})
	op, a, b := control.Operator(), w.tenant(), w.tenant()
	d := w.deployed(a, "prod")
	p := w.plan(a, d, nil)
	k := w.key(a, p.ID)
	w.key(a, p.ID)
	w.must(w.SetKeyEnabled(w.ctx, a, k.ID, false))
	today := at.Truncate(24 * time.Hour)
	w.used("usage_line", a, at.Truncate(time.Hour), model.FlagBillable, 7)
	w.used("usage_day", a, today, 0, 30)
	w.used("usage_day", a, today.AddDate(0, 0, -1), model.FlagBillable, 500)
	w.used("usage_day", a, today.AddDate(0, -1, 0), model.FlagBillable, 9000)
	w.used("usage_line", b, today, model.FlagBillable, 11)

	got, err := w.TenantDetail(w.ctx, op, a.AccountID)
	w.must(err)
	if got.AccountID != a.AccountID || got.Members != 1 || got.APIs != 1 || got.Stages != 1 || got.Plans != 1 || got.Keys != 2 || got.EnabledKeys != 1 ||
		got.CallsToday != 37 || got.CallsMonth != 537 || got.BillableMonth != 507 || got.Suspended || got.SuspendedAt != nil {
		t.Errorf("got %+v", got)
	}
	if len(got.Gateways) != 1 || got.Gateways[0] != (control.GatewayChoice{Name: "shared", Kind: "shared"}) {
		t.Errorf("may be served by %+v", got.Gateways)
	}
	_, err = w.CreateGateway(w.ctx, op, "own-a", a.AccountID)
	w.must(err)
	_, err = w.CreateGateway(w.ctx, op, "own-b", b.AccountID)
	w.must(err)
	w.changes(control.SharedNode("n1"), hello(0))
	got, err = w.TenantDetail(w.ctx, op, a.AccountID)
	w.must(err)
	if fmt.Sprint(got.Gateways) != "[{own-a dedicated 0} {shared shared 1}]" {
		t.Errorf("may be served by %+v", got.Gateways)
	}
	_, err = w.TenantDetail(w.ctx, op, "123456789012")
	w.refused(err, model.NotFound, "123456789012")

	w.must(w.SuspendTenant(w.ctx, op, a.AccountID, "  unpaid  "))
	w.must(w.SuspendTenant(w.ctx, op, a.AccountID, "unpaid since May"))
	got, err = w.TenantDetail(w.ctx, op, a.AccountID)
	w.must(err)
	if !got.Suspended || got.SuspendedAt == nil || got.SuspendedReason != "unpaid since May" {
		t.Errorf("suspended: %+v", got)
	}
	for _, bad := range []string{" ", strings.Repeat("x", 301), "two\nlines"} {
		w.refused(w.SuspendTenant(w.ctx, op, a.AccountID, bad), model.Invalid, "")
	}
	_, err = w.CreatePlan(w.ctx, a, control.PlanSpec{Name: "P"})
	w.refused(err, model.Denied, "unpaid since May")
	for state, want := range map[string]string{"": a.AccountID + b.AccountID, "active": b.AccountID, "suspended": a.AccountID} {
		l, err := w.Tenants(w.ctx, op, control.TenantFilter{State: state, Gateway: "shared"})
		w.must(err)
		ids := ""
		for _, x := range l.Items {
			ids += x.AccountID
		}
		if len(ids) != len(want) || state != "" && ids != want {
			t.Errorf("%q: %s, want %s", state, ids, want)
		}
	}
	_, err = w.Tenants(w.ctx, op, control.TenantFilter{State: "asleep"})
	w.refused(err, model.Invalid, "asleep")
	w.must(w.ResumeTenant(w.ctx, op, a.AccountID))
	w.must(w.ResumeTenant(w.ctx, op, a.AccountID))
	got, err = w.TenantDetail(w.ctx, op, a.AccountID)
	w.must(err)
	if got.Suspended || got.SuspendedAt != nil || got.SuspendedReason != "" {
		t.Errorf("resumed: %+v", got)
	}
	var resumed int
	w.all(`select count(*) from audit where action = 'tenant.resume'`, &resumed)
	if resumed != 1 {
		t.Errorf("%d resumes are in the audit trail", resumed)
	}
}

func TestDataPlane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op, a := control.Operator(), w.tenant()
	n := control.SharedNode("n1")
	const boot = "0198c0de-0000-7000-8000-000000000001"
	at := w.changes(n, model.NodeHello{Boot: boot}).Revision
	w.changes(n, model.NodeHello{Boot: boot, Applied: at})
	_, err := w.CreateNodeToken(w.ctx, op, "shared", "edge-1")
	w.must(err)
	_, err = w.CreateNodeToken(w.ctx, op, "shared", "edge-1")
	w.must(err)

	see := func() (control.DataPlane, control.Node) {
		t.Helper()
		d, err := w.DataPlane(w.ctx, op)
		w.must(err)
		if len(d.Gateways) != 1 || len(d.Gateways[0].Nodes) != 1 || d.Gateways[0].Tenants != 1 {
			t.Fatalf("the data plane is %+v", d)
		}
		return d, d.Gateways[0].Nodes[0]
	}
	d, x := see()
	if x.Name != "n1" || x.Boot != boot || x.State != control.NodeLive || x.Applied != at || d.Revision != at || x.Behind != nil || len(x.Failures) != 0 {
		t.Errorf("up to date: %+v at %d", x, d.Revision)
	}
	if k := d.Gateways[0].Tokens; len(k) != 1 || k[0].Node != "edge-1" || k[0].Count != 2 || k[0].CreatedAt.IsZero() {
		t.Errorf("tokens %+v", k)
	}

	w.must(w.SetTenantCaps(w.ctx, op, a.AccountID, model.Caps{Rate: 5}))
	if d, x = see(); d.Revision <= at || x.Behind == nil {
		t.Errorf("behind: %+v at %d", x, d.Revision)
	}
	w.changes(n, model.NodeHello{Boot: boot, Applied: d.Revision, Draining: true,
		Failures: []model.StageFailure{{Tenant: a.Tenant, Stage: 1, DeploymentID: "d", Reason: "stage prod: no such upstream"}}})
	if _, x = see(); x.State != control.NodeDraining || x.Behind != nil || len(x.Failures) != 1 || x.Failures[0] != (control.NodeFailure{AccountID: a.AccountID, Reason: "stage prod: no such upstream"}) {
		t.Errorf("draining with a failure: %+v", x)
	}
	w.refused(w.ForgetNode(w.ctx, op, "shared", "n1"), model.Conflict, "stop it first")
	w.exec(`update node set seen_at = now() - interval '1 minute'`)
	if _, x = see(); x.State != control.NodeSilent {
		t.Errorf("silent: %+v", x)
	}
	w.exec(`update node set connected = false`)
	if _, x = see(); x.State != control.NodeGone {
		t.Errorf("gone: %+v", x)
	}

	// Usage: one start of the node that runs, one that was left, one that is done.
	const left, done = "0198c0de-0000-7000-8000-000000000002", "0198c0de-0000-7000-8000-000000000003"
	mark := time.Now().UTC().Truncate(time.Hour)
	w.exec(`insert into usage_boot (boot, gateway_id, contiguous_seq, watermark, batches, calls) values ($1, 1, 5, $2, 5, 100)`, boot, mark)
	w.exec(`insert into usage_boot (boot, gateway_id, contiguous_seq) values ($1, 1, 1)`, left)
	w.exec(`insert into usage_boot (boot, gateway_id, contiguous_seq, last_seq, state) values ($1, 1, 1, 1, 'closed')`, done)
	for _, seq := range []int{1, 3, 4} {
		w.exec(`insert into usage_batch (boot, seq, gateway_id, hash, lines, calls, watermark, final) values ($1, $2, 1, sha256('x'), 0, 0, now(), false)`, left, seq)
	}
	for i := range 25 {
		w.exec(`insert into usage_quarantine (hash, gateway_id, boot, seq, reason, encoded, received_at) values (sha256($1), 1, $2, $3::int, 'odd', $1, now() + $3::int * interval '1 second')`,
			[]byte(fmt.Sprint("batch", i)), left, i+1)
	}
	d, _ = see()
	if len(d.Journals) != 2 || d.Journals[0].Boot != left || d.Journals[0].Node != "" || d.Journals[0].Running || d.Journals[0].Gaps != 2 || d.Journals[0].Watermark != nil {
		t.Errorf("journals %+v", d.Journals)
	}
	if j := d.Journals[1]; j.Boot != boot || j.Node != "n1" || j.Running || j.Batches != 5 || j.Calls != 100 || !j.Watermark.Equal(mark) {
		t.Errorf("journal %+v", j)
	}
	if d.QuarantinedCount != 25 || len(d.Quarantined) != 20 || d.Quarantined[0].Seq != 25 || d.Quarantined[0].Reason != "odd" || d.Quarantined[0].Bytes != 7 {
		t.Errorf("%d set aside, first %+v", d.QuarantinedCount, d.Quarantined[:1])
	}

	// What a node that is gone holds is not waited for when the operator says so.
	overdue := func() int64 {
		t.Helper()
		o, err := w.OperatorOverview(w.ctx, op)
		w.must(err)
		return o.OpenJournals
	}
	if n := overdue(); n != 2 {
		t.Errorf("%d journals are out", n)
	}
	w.exec(`update node set connected = true, seen_at = now()`)
	w.refused(w.GiveUpJournal(w.ctx, op, boot), model.Conflict, "stop it first")
	w.exec(`update node set connected = false`)
	w.refused(w.GiveUpJournal(w.ctx, op, done), model.Conflict, "has come in")
	w.refused(w.GiveUpJournal(w.ctx, op, "no such"), model.NotFound, "no such")
	w.must(w.GiveUpJournal(w.ctx, op, left))
	w.must(w.GiveUpJournal(w.ctx, op, left))
	d, _ = see()
	if n := overdue(); n != 1 || len(d.Journals) != 2 || d.Journals[0].GivenUp || !d.Journals[1].GivenUp || d.Journals[1].Boot != left {
		t.Errorf("%d journals are out; %+v", n, d.Journals)
	}
	var written int
	w.all(`select count(*) from audit where action = 'journal.give-up' and target = '`+left+`'`, &written)
	if written != 1 {
		t.Errorf("%d entries in the audit trail", written)
	}

	w.must(w.ForgetNode(w.ctx, op, "shared", "n1"))
	w.refused(w.ForgetNode(w.ctx, op, "shared", "n1"), model.NotFound, "n1")
	w.refused(w.ForgetNode(w.ctx, op, "nosuch", "n1"), model.NotFound, "nosuch")
}

// A tenant that goes to another gateway leaves word of it, for the calls that the
// old one's nodes still hold.
func TestMoveIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	op, a := control.Operator(), w.tenant()
	own, err := w.CreateGateway(w.ctx, op, "own", a.AccountID)
	w.must(err)
	w.must(w.MoveTenant(w.ctx, op, a.AccountID, "own"))
	w.must(w.MoveTenant(w.ctx, op, a.AccountID, "own"))
	w.must(w.MoveTenant(w.ctx, op, a.AccountID, "shared"))
	var left []int32
	w.all(fmt.Sprintf(`select array_agg(gateway_id order by gateway_id) from tenant_left where tenant_id = %d`, a.Tenant), &left)
	if fmt.Sprint(left) != fmt.Sprint([]int32{1, own.ID}) {
		t.Errorf("left %v", left)
	}
}

// Who runs the installation is listed and can be removed, in every browser at once,
// but not by himself.
func TestOperatorsAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := func(email string) control.Actor {
		c, err := w.CreateOperator(w.ctx, control.Operator(), email, "", "")
		w.must(err)
		p, err := w.OperatorSignIn(w.ctx, "192.0.2.1", c.Email, c.Password)
		w.must(err)
		return control.Actor{Member: p.ID, Name: email, Role: control.RoleOperator}
	}
	a, b := who("a@example.com"), who("b@example.com")
	for i, s := range []control.Actor{a, a, b} {
		w.must(w.SaveSession(w.ctx, fmt.Appendf(nil, "%032d", i), control.Session{Realm: control.RealmOperator, Subject: s.Member}))
	}
	l, err := w.Operators(w.ctx, a)
	w.must(err)
	if len(l) != 2 || l[0].Email != "a@example.com" || l[0].Sessions != 2 || l[0].SeenAt == nil || l[1].Sessions != 1 {
		t.Errorf("listed %+v", l)
	}
	w.refused(w.RemoveOperator(w.ctx, a, a.Member), model.Conflict, "yourself")
	w.refused(w.RemoveOperator(w.ctx, a, "nobody"), model.NotFound, "nobody")
	w.must(w.RemoveOperator(w.ctx, a, b.Member))
	if _, err := w.Visitor(w.ctx, control.RealmOperator, fmt.Appendf(nil, "%032d", 2)); model.KindOf(err) != model.Unauthenticated {
		t.Errorf("the session of who was removed: %v", err)
	}
	w.refused(w.RemoveOperator(w.ctx, b, a.Member), model.NotFound, "not an operator")
}

// A node without calls says an hour is over when the next has begun, so a journal
// is late only when it does not.
func TestJournalLate(t *testing.T) {
	t.Parallel()
	hour := time.Date(2026, 5, 17, 15, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		now, mark time.Duration
		late      bool
	}{
		{time.Minute, -30 * time.Minute, false}, {time.Minute, -61 * time.Minute, true},
		{3 * time.Minute, -time.Second, true}, {3 * time.Minute, 10 * time.Second, false}, {59 * time.Minute, 10 * time.Second, false},
	} {
		m := hour.Add(c.mark)
		if j := (control.Journal{Watermark: &m}); j.Late(hour.Add(c.now)) != c.late {
			t.Errorf("at %v with a watermark at %v, late is not %v", c.now, c.mark, c.late)
		}
	}
	if j := (control.Journal{}); !j.Late(hour) {
		t.Error("a journal that handed nothing in is not late")
	}
}

func TestOperatorOverview(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 17, 15, 4, 5, 0, time.UTC)
	w := newWorldWith(t, control.Options{AckTimeout: 50 * time.Millisecond, Now: func() time.Time { return at }})
	op := control.Operator()
	o, err := w.OperatorOverview(w.ctx, op)
	w.must(err)
	if o.Tenants != 0 || o.CallsToday != 0 || len(o.Busiest) != 0 || o.Nodes != 0 || o.PricesFrom != nil || o.MailSet || o.SignUp != control.SignUpOpen {
		t.Errorf("empty: %+v", o)
	}
	var as []control.Actor
	for range 7 {
		as = append(as, w.tenant())
	}
	w.must(w.SuspendTenant(w.ctx, op, as[0].AccountID, "unpaid"))
	w.exec(`update tenant set created_at = now() - interval '8 days' where tenant_id = $1`, as[1].Tenant)
	today := at.Truncate(24 * time.Hour)
	for i, a := range as {
		w.used("usage_day", a, today, 0, int64(10*i+1))
	}
	w.used("usage_line", as[2], today.Add(15*time.Hour), 0, 1000)
	w.used("usage_line", control.Actor{}, today.Add(15*time.Hour), 0, 5) // reached no tenant
	w.used("usage_day", as[2], today.AddDate(0, 0, -1), 0, 77)
	w.used("usage_day", as[2], today.AddDate(0, 0, -2), 0, 88)
	n := control.SharedNode("n1")
	w.changes(n, hello(w.changes(n, hello(0)).Revision))
	w.changes(control.SharedNode("n2"), hello(0))
	w.exec(`update node set connected = false where name = 'n2'`)
	w.exec(`insert into mail (recipient, purpose, attempts) values ('a@example.com', 'reset', 0), ('b@example.com', 'reset', 3)`)
	w.exec(`insert into mail (recipient, purpose, attempts, sent_at) values ('c@example.com', 'reset', 1, now())`)
	w.exec(`update installation set smtp = '{"host": "mail.example.com"}'`)
	w.exec(`insert into price_sheet (version, sheet, from_month, created_by) values (1, '{}', '2026-04-01', 'op'), (2, '{}', '2026-06-01', 'op')`)
	o, err = w.OperatorOverview(w.ctx, op)
	w.must(err)
	if o.Tenants != 7 || o.Suspended != 1 || o.NewTenants != 6 || o.CallsToday != 1+11+21+31+41+51+61+1000+5 || o.CallsYesterday != 77 {
		t.Errorf("tenants and calls: %+v", o)
	}
	if len(o.Busiest) != 5 || o.Busiest[0].AccountID != as[2].AccountID || o.Busiest[0].Calls != 1021 || o.Busiest[1].Calls != 61 {
		t.Errorf("busiest: %+v", o.Busiest)
	}
	if o.Nodes != 2 || o.LiveNodes != 1 || o.BehindNodes != 0 || o.MailsWaiting != 1 || o.MailsFailing != 1 || !o.MailSet || o.Drafts != 0 {
		t.Errorf("nodes and mails: %+v", o)
	}
	if o.PricesFrom == nil || o.PricesFrom.Format("2006-01") != "2026-06" {
		t.Errorf("prices from %v", o.PricesFrom)
	}
}
