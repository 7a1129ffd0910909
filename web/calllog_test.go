package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
	chromium "tollgate/ui/browser"
)

// logged puts calls into the call log, as a node does, and returns the request id of one
// that was refused and traced.
func (s *site) logged(a control.Actor, stage control.StageName) string {
	s.Helper()
	st, err := s.Stage(s.Context(), a, stage.APIID, stage.Stage)
	s.must(err)
	base := model.CallEntry{Tenant: a.Tenant, Stage: st.Num, Verb: []byte("GET"), IP: "203.0.113.7", Agent: []byte("ships-app/2.1 (Linux)"), BytesIn: 420, BytesOut: 1337, Latency: 12_345, Integration: 10_001, Flags: 1}
	var b model.CallBatch
	copy(b.Boot[:], model.NewID(16))
	b.Seq, b.Left = 1, []model.CallsLeft{{Tenant: a.Tenant, Stage: st.Num, Calls: 1204, Lines: 3}}
	add := func(status uint16, path, kind, step, why, trace string) string {
		e := base
		copy(e.ID[:], model.NewID(16))
		e.Time = time.Now().Add(-time.Duration(len(b.Calls)) * time.Second).UnixMicro()
		e.Status, e.Path, e.Kind, e.Step, e.Why, e.Trace = status, []byte(path), kind, step, why, []byte(trace)
		if step != "integration" && kind != "" {
			e.Integration, e.Flags = 0, 0
		}
		b.Calls = append(b.Calls, e)
		return model.BootID(e.ID).String()
	}
	add(200, "/ships/42", "", "", "", "")
	traced := add(504, "/ships/43/cargo/9", "INTEGRATION_TIMEOUT", "integration", "the endpoint did not answer within 29s",
		"Mon Nov 30 08:00:00 UTC 2026 : Starting execution for request: x\nMon Nov 30 08:00:00 UTC 2026 : HTTP Method: GET, Resource Path: /ships/{id}/cargo/{containerNumber}\nMon Nov 30 08:00:29 UTC 2026 : Execution failed due to a timeout error: the endpoint did not answer within 29s\nMon Nov 30 08:00:29 UTC 2026 : Gateway response type: INTEGRATION_TIMEOUT with status code: 504\n")
	add(429, "/ships", "THROTTLED", "throttle", "the stage's throttle of the method", "")
	add(403, "/ships/<script>", "MISSING_AUTHENTICATION_TOKEN", "match", "the deployment has no method for this path and verb", "")
	add(502, "/ships/a-very-long-name-of-a-ship-that-nobody-would-ever-give-it-in-earnest/cargo/a-container", "", "", "", "")
	s.must(s.TakeCalls(s.Context(), control.SharedNode("n1"), b.Encode(nil)))
	return traced
}

func TestCallLog(t *testing.T) {
	s := newSite(t)
	a := s.tenant()
	b := s.as(a)
	if _, page := b.send("GET", "/calls"); !strings.Contains(page, "No calls yet") {
		t.Errorf("without calls: %s", page)
	}
	stage := s.deployed(a, "prod")
	id := s.logged(a, stage)
	for path, want := range map[string][]string{
		"/calls":            {"5 calls", "1,204 more calls were counted", "3 lines of access logs", "/ships/&lt;script&gt;", "The stage&#39;s throttle"},
		"/calls?status=5xx": {"2 calls"},
		"/calls?status=429": {"1 call<", `<option value="429" selected`},
		"/calls?api=" + stage.APIID + "&stage=prod&q=ships/42": {"1 call<"},
		"/calls?stage=none":                {"Nothing found"},
		"/calls?hour=2026-03-01T14:00:00Z": {"Nothing found", "Calls in the hour from", `name="hour" value="2026-03-01T14:00:00Z"`},
		"/calls?subscription=7":            {"Nothing found", "Calls of one subscription", `name="subscription" value="7"`},
		"/calls?hour=" + url.QueryEscape(time.Now().UTC().Add(-30*time.Minute).Format(time.RFC3339)): {"5 calls"},
		"/calls?since=15m&live=1":               {"hx-get=\"/calls?live=1&amp;since=15m\"", "Stop following", "5 calls"},
		"/calls/" + id:                          {"did not answer within 29s", "Starting execution", "of which the integration", "Gateway response", "Routes of"},
		"/apis/" + stage.APIID + "/stages/prod": {"/calls?api=" + stage.APIID + "&amp;stage=prod"},
	} {
		status, page := b.send("GET", path)
		for _, w := range want {
			if status != 200 || !strings.Contains(page, w) {
				t.Errorf("%s: %d has no %q", path, status, w)
			}
		}
	}
	for path, want := range map[string]int{"/calls?status=x": 422, "/calls?hour=x": 422, "/calls?subscription=x": 422, "/calls?subscription=-1": 422, "/calls?since=x": 422, "/calls/00000000-0000-0000-0000-000000000001": 404, "/calls/x": 422} {
		if status, _ := b.send("GET", path); status != want && !(want == 422 && status == 400) {
			t.Errorf("%s: %d, not %d", path, status, want)
		}
	}
	// A request id in the search field leads to its call.
	if status, page := b.send("GET", "/calls?q="+strings.ToUpper(id)); status != 303 && !strings.Contains(page, "did not answer within 29s") {
		t.Errorf("a request id leads to %d", status)
	}
	// The list alone, for a page that follows.
	if _, part := b.send("GET", "/calls?live=1", "HX-Request", "true"); strings.Contains(part, "<html") || !strings.Contains(part, "5 calls") {
		t.Errorf("the list alone is %s", part)
	}
	// Nobody else's.
	if status, _ := s.as(s.tenant()).send("GET", "/calls/"+id); status != 404 {
		t.Errorf("another account is shown the call: %d", status)
	}
}

// The log and the page of a call look right to everybody, on a desk and on a phone.
func TestCallLogInBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.tenant()
	p := chromium.Start(t).Visitor(t)
	s.as(a).in(p)
	p.Goto(s.url + "/calls")
	p.Sound("calls-none")
	id := s.logged(a, s.deployed(a, "prod"))
	for name, path := range map[string]string{"calls": "/calls", "calls-live": "/calls?live=1&status=error", "calls-of-an-hour": "/calls?subscription=7&hour=2026-03-01T14:00:00Z", "call": "/calls/" + id} {
		p.Goto(s.url + path)
		p.Sound(name)
	}
	// What comes while it follows is there without a reload.
	p.Goto(s.url + "/calls?live=1&status=error")
	p.Await("4 calls")
	s.logged(a, control.StageName{APIID: s.firstAPI(a), Stage: "prod"})
	p.Await("8 calls")
}

func (s *site) firstAPI(a control.Actor) string {
	s.Helper()
	l, err := s.APIs(s.Context(), a, control.Page{})
	s.must(err)
	return l.Items[0].ID
}
