package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

var keyValue = regexp.MustCompile(`tg_(live|test)_[0-9A-Za-z]{38}`)

// used records calls with a key, as a node would have reported them.
func (s *site) used(a control.Actor, k control.Key, status int, calls int64) {
	s.Helper()
	var subscription int64
	if len(k.Plans) > 0 {
		subscription = int64(k.Plans[0].Subscription)
	}
	s.exec(`
		insert into usage_line (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros, boot, seq)
		values ($1, $2, 0, 0, $6, $3, 0, $4, 1, 0, $5, 1, 1, 1, gen_random_uuid(), 1)`, a.Tenant, time.Now().Truncate(time.Hour), k.Num, status, calls, subscription)
}

func TestKeyPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	prod, dev := s.deployed(owner, "prod"), s.deployed(owner, "dev")
	gold, silver, other := s.plan(owner, "Gold", nil, prod), s.plan(owner, "Silver", nil, prod), s.plan(owner, "Other", nil, dev)
	b := s.as(owner)

	p := b.get("/keys").want(200, "No keys yet").link("Create a key").want(200, "shown once")
	p.press("Create key", "name", "").want(422, "A key needs a name")
	p.press("Create key", "name", "k", "value", "short").want(422, "20 to 128")
	p.press("Create key", "name", "k", "plan", "nosuch").want(422, "There is no plan")
	made := p.press("Create key", "name", "Production", "plan", gold.ID, "use", "test").
		want(200, "Production is made", "Shown once", "curl -H 'x-api-key: tg_test_", "http://localhost:8081/_aws/execute-api/"+prod.APIID+"/prod/")
	value := keyValue.FindString(made.body)
	if value == "" || made.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("no value on the page, or it may be kept: %v", made.header)
	}
	page := made.link("I have copied it").want(200, "Production", "Yes, for the stages of its plans", "tg_test_…"+value[len(value)-4:], "Pets · dev").without(value)
	id := strings.TrimPrefix(page.path, "/keys/")
	k, err := s.Key(t.Context(), owner, id)
	s.must(err)

	for query, found := range map[string]bool{"": true, "?q=prod": true, "?q=" + value: true, "?q=nothing": false, "?plan=" + gold.ID: true, "?plan=" + other.ID: false,
		"?state=enabled": true, "?state=disabled": false} {
		if l := b.get("/keys" + query).want(200); strings.Contains(l.text(), "Production") != found {
			t.Errorf("%q: found %v", query, !found)
		}
	}
	b.get("/keys?plan=nosuch").want(404)
	b.get("/keys?after=garbage").want(422, "first page")

	// Why it is refused, in the order of what is surest.
	b.get("/keys/"+id).press("Disable").want(200, "The key is disabled; nodes refuse it", "every call with it is answered 403").
		press("Enable").want(200, "The key is enabled", "Yes, for the stages")
	s.used(owner, k, 200, 1200)
	s.used(owner, k, 429, 4)
	b.get("/keys/"+id).want(200, "1,204 calls", "4 calls were answered 429", "Answered 200 1,200")

	// Between plans.
	b.get("/keys/"+id).press("Move", "to", silver.ID).want(200, "The key is in the other plan", "Plan Silver").without("Plan Gold")
	b.get("/keys/"+id).press("Add plan", "to", other.ID).want(200, "The key is in the plan", "Plan Other", "Plan Silver").without("What it does not open")
	b.post("/keys/"+id+"/plan", formOf("to", gold.ID)).want(200, "would have two plans")
	b.post("/keys/"+id+"/plan", nil).want(200, "Choose a plan")
	b.get("/keys/"+id).press("Take out of Other").want(200, "has left the plan").press("Take out of Silver").
		want(200, "The key has no plan: it opens nothing")

	d := b.get("/keys/"+id+"/delete").want(200, "1,204 calls used it in the last 24 hours")
	d.press("Delete key", "confirm", "nope").want(422, "not the last four")
	d.press("Delete key", "confirm", k.Last4).want(200, "Production is deleted", "No keys yet")
	b.get("/keys/" + id).want(404)
}

// What is used up, and who shares it, is told.
func TestKeyReasons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	prod := s.deployed(owner, "prod")
	plan := s.plan(owner, "Gold", &model.PriceSheet{Currency: "EUR", MonthlyFee: "9"}, prod)
	set := func(edit func(*control.PlanSpec)) {
		_, err := s.UpdatePlan(t.Context(), owner, plan.ID, func(p *control.PlanSpec) error { edit(p); return nil })
		s.must(err)
	}
	k, err := s.CreateKey(t.Context(), owner, control.NewKey{Name: "k", Enabled: true, PlanIDs: []string{plan.ID}})
	s.must(err)
	b := s.as(owner)
	show := func() *page { return b.get("/keys/" + k.ID).want(200) }
	set(func(p *control.PlanSpec) { p.Quota = &model.Quota{Limit: 3, Period: model.Month} })
	show().want(200, "0 of 3 calls of this period given out", "Yes, for the stages", "9.00 EUR a month")
	for range 3 {
		l, err := s.Leases(t.Context(), control.SharedNode("n"), []model.LeaseRequest{{Boot: "b", Tenant: owner.Tenant, Subscription: k.Plans[0].Subscription, At: time.Now(), Want: 1}})
		s.must(err)
		if l[0].Granted != 1 {
			t.Fatalf("granted %+v", l)
		}
	}
	show().want(200, "3 of 3 calls of this period given out", "All 3 calls a month of plan Gold are given out to nodes", "answered 429 until 1 ")
	set(func(p *control.PlanSpec) { p.Quota.Limit, p.Throttle = 0, &model.Throttle{Burst: 1} })
	show().want(200, "The quota of plan Gold is 0", "The rate of plan Gold is 0: nothing refills once 1 call")
	set(func(p *control.PlanSpec) { p.Stages, p.Price = nil, nil })
	show().want(200, "opens no stage", "Version 1; new subscriptions pay another price")
}

func TestKeyImportPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	plan := s.plan(owner, "Gold", nil)
	b := s.as(owner)
	p := b.get("/keys").link("Import").want(200, "All are taken, or none")
	p.press("Import keys").want(422, "Choose a file")
	p.press("Import keys", "text", "Name,Key\na,short").want(422, "Line 2").want(422, "20 to 128")
	p.press("Import keys", "plan", plan.ID, "text", "Name,Key,Colour\na,abcdef1234ghijklmnop8901234567,mine").want(200, "1 key is imported", "Not kept: Colour", "Gold")

	// As a browser sends a file.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	f, err := form.CreateFormFile("file", "keys.csv")
	s.must(err)
	_, err = f.Write([]byte("name,key,enabled\nuploaded,zbcdef1234ghijklmnop8901234567,false\n"))
	s.must(err)
	s.must(form.WriteField("text", ""))
	s.must(form.WriteField("plan", ""))
	s.must(form.Close())
	req, err := http.NewRequest("POST", s.url+"/keys/import", &body)
	s.must(err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	b.do(req).want(200, "1 key is imported", "uploaded", "Disabled", "None: opens nothing")
}

func TestKeyPagesByRole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	k, err := s.CreateKey(t.Context(), owner, control.NewKey{Name: "Mine", Enabled: true})
	s.must(err)
	viewer := s.as(s.member(owner, control.RoleViewer))
	viewer.get("/keys").want(200, "Mine").without("Create a key", "Import")
	viewer.get("/keys/"+k.ID).want(200).without("Disable", "Delete", "Add plan")
	other := s.as(s.tenant())
	for _, path := range []string{"", "/delete"} {
		other.get("/keys/" + k.ID + path).want(404)
	}
	for _, path := range []string{"/enable", "/disable", "/plan", "/delete"} {
		viewer.post("/keys/"+k.ID+path, formOf("to", "x")).want(403)
		other.post("/keys/"+k.ID+path, formOf("to", "x")).want(404)
	}
	other.get("/keys?q=" + k.Value).want(200).without("Mine")
}
