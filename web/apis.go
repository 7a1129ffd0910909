package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) apiRoutes() []route {
	return []route{
		{method: "GET", pattern: "/overview", who: mayRead, handle: (*visit).overview},
		{method: "GET", pattern: "/apis", who: mayRead, handle: (*visit).apis},
		{method: "POST", pattern: "/apis/new/hand", who: mayBuild, handle: (*visit).createAPI},
		{method: "GET", pattern: "/apis/{api}", who: mayRead, handle: (*visit).api},
		{method: "GET", pattern: "/apis/{api}/start", who: mayBuild, handle: (*visit).startPage},
		{method: "POST", pattern: "/apis/{api}/start", who: mayBuild, handle: (*visit).start},
		{method: "GET", pattern: "/apis/{api}/first-call", who: mayRead, handle: (*visit).firstCall},
		{method: "GET", pattern: "/apis/{api}/try", who: mayBuild, handle: (*visit).tryPage},
		{method: "POST", pattern: "/apis/{api}/try", who: mayBuild, handle: (*visit).try},
		{method: "GET", pattern: "/apis/{api}/settings", who: mayRead, handle: (*visit).apiSettings},
		{method: "POST", pattern: "/apis/{api}/settings", who: mayBuild, handle: (*visit).saveAPISettings},
		{method: "GET", pattern: "/apis/{api}/source", who: mayRead, handle: (*visit).download},
		{method: "GET", pattern: "/apis/{api}/delete", who: mayBuild, handle: (*visit).confirmDeleteAPI},
		{method: "POST", pattern: "/apis/{api}/delete", who: mayBuild, handle: (*visit).deleteAPI},
	}
}

var apiCrumbs = []ui.Crumb{{Label: "APIs", URL: "/apis"}}

func apiURL(id string, more ...string) string {
	u := "/apis/" + url.PathEscape(id)
	for _, m := range more {
		u += "/" + url.PathEscape(m)
	}
	return u
}

// apiTabs are the pages of one API.
func apiTabs(id, current string) []ui.Tab {
	var out []ui.Tab
	for _, t := range [][2]string{{"Overview", ""}, {"Routes", "routes"}, {"Authorizers", "authorizers"}, {"Models", "models"}, {"Gateway responses", "responses"}, {"Stages", "stages"}, {"Deployments", "deployments"}, {"Documentation", "documentation"}, {"Settings", "settings"}} {
		u := apiURL(id)
		if t[1] != "" {
			u += "/" + t[1]
		}
		out = append(out, ui.Tab{Label: t[0], URL: u, Current: t[1] == current})
	}
	return out
}

func (v *visit) apiPage(a control.API) ui.Page {
	p := v.page(a.Name)
	p.Crumbs = apiCrumbs
	return p
}

// below is the page of something that belongs to an API.
func (v *visit) below(a control.API, title, tab string) ui.Page {
	p := v.page(title)
	p.Crumbs = []ui.Crumb{apiCrumbs[0], {Label: a.Name, URL: apiURL(a.ID)}}
	switch tab {
	case "":
	case "responses":
		p.Crumbs = append(p.Crumbs, ui.Crumb{Label: "Gateway responses", URL: apiURL(a.ID, tab)})
	default:
		p.Crumbs = append(p.Crumbs, ui.Crumb{Label: strings.ToUpper(tab[:1]) + tab[1:], URL: apiURL(a.ID, tab)})
	}
	return p
}

func (v *visit) overview() error {
	s, err := v.Plane.SetUp(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	now := v.Now().UTC()
	from := now.Truncate(time.Hour).Add(-23 * time.Hour)
	rows, err := v.Usage.Usage(v.ctx(), v.actor().Tenant, intake.Query{From: from, By: "hour"})
	if err != nil {
		return err
	}
	return v.render(overviewView(v.page("Overview"), s, lastDay(rows, from), v.may(control.ToBuild), now))
}

// day is the last 24 hours of calls.
type day struct {
	chart                     ui.Bars
	calls, failed, billable   int64
	slow                      int64 // mean of the answers' times in µs
	perAPI                    map[string][]int64
	names                     map[string]string
	callsPerAPI, failedPerAPI map[string]int64
}

func lastDay(rows []intake.Row, from time.Time) day {
	d := day{perAPI: map[string][]int64{}, names: map[string]string{}, callsPerAPI: map[string]int64{}, failedPerAPI: map[string]int64{}}
	var good, client, server [24]int64
	var micros int64
	for _, r := range rows {
		i := int(r.Time.Sub(from) / time.Hour)
		if i < 0 || i > 23 {
			continue
		}
		d.calls += r.Calls
		d.billable += r.Billable
		micros += r.AvgMicros * r.Calls
		switch {
		case r.Status >= 500:
			server[i] += r.Calls
			d.failed += r.Calls
		case r.Status >= 400:
			client[i] += r.Calls
		default:
			good[i] += r.Calls
		}
		if r.APIID == "" {
			continue
		}
		if d.perAPI[r.APIID] == nil {
			d.perAPI[r.APIID] = make([]int64, 24)
		}
		d.perAPI[r.APIID][i] += r.Calls
		d.names[r.APIID] = r.APIName
		d.callsPerAPI[r.APIID] += r.Calls
	}
	if d.calls > 0 {
		d.slow = micros / d.calls
	}
	d.chart = ui.Bars{Title: "Calls of the last 24 hours (UTC)", Unit: "calls", Series: []ui.Series{
		{Label: "Answered", Class: "s0", Values: good[:]}, {Label: "Refused or wrong (4xx)", Class: "s2", Values: client[:]}, {Label: "Failed (5xx)", Class: "s3", Values: server[:]}}}
	for i := range 24 {
		d.chart.Labels = append(d.chart.Labels, from.Add(time.Duration(i)*time.Hour).Format("15:04"))
	}
	return d
}

// apisByCalls are the ids of the APIs that were called, the most called first.
func (d day) apisByCalls() []string {
	ids := make([]string, 0, len(d.perAPI))
	for id := range d.perAPI {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool {
		if d.callsPerAPI[ids[i]] != d.callsPerAPI[ids[j]] {
			return d.callsPerAPI[ids[i]] > d.callsPerAPI[ids[j]]
		}
		return ids[i] < ids[j]
	})
	return ids[:min(len(ids), 8)]
}

func (v *visit) apis() error {
	l, err := v.Plane.APIs(v.ctx(), v.actor(), control.Page{After: v.query("after"), Match: v.query("q"), Limit: 50})
	if err != nil {
		return err
	}
	return v.render(apisView(v.page("APIs"), l, v.query("q"), v.next(l.Next), v.may(control.ToBuild), v.Now()))
}

// createAPI makes an API by hand: empty, or one that sends everything on.
func (v *visit) createAPI() error {
	f := importForm{RequireKey: true, Name: v.value("name"), Proxy: v.value("proxy")}
	a, err := v.createByHand(f)
	if err == nil {
		if f.Proxy != "" {
			return v.redirect(apiURL(a.ID, "start"))
		}
		return v.done("The API is there; now add its routes.", apiURL(a.ID, "routes"))
	}
	if !invalid(err) {
		return err
	}
	f.Problems = []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}}
	return v.renderAs(422, newAPIView(v.newAPIPage(), f))
}

func (v *visit) createByHand(f importForm) (control.API, error) {
	if f.Proxy != "" { // before anything is made
		if err := checkUpstream(f.Proxy); err != nil {
			return control.API{}, err
		}
	}
	a, err := v.Plane.CreateAPI(v.ctx(), v.actor(), f.Name, "")
	if err != nil || f.Proxy == "" {
		return a, err
	}
	to := strings.TrimSuffix(f.Proxy, "/")
	_, err = v.Plane.UpdateDefinition(v.ctx(), v.actor(), a.ID, 0, func(d *model.Definition) error {
		if err := d.AddResource("/{proxy+}"); err != nil {
			return err
		}
		key := v.checked("require-key")
		if err := d.SetMethod("/", "ANY", model.Method{AuthorizationType: model.AuthNone, APIKeyRequired: key,
			Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "ANY", URI: to + "/"}}); err != nil {
			return err
		}
		return d.SetMethod("/{proxy+}", "ANY", model.Method{AuthorizationType: model.AuthNone, APIKeyRequired: key,
			Integration: &model.Integration{Type: model.IntegrationHTTPProxy, HTTPMethod: "ANY", URI: to + "/{proxy}",
				RequestParameters: map[string]string{"integration.request.path.proxy": "method.request.path.proxy"}}})
	})
	return a, err
}

func checkUpstream(u string) error {
	g := &model.Integration{Type: model.IntegrationHTTPProxy, URI: u}
	_, err := model.ParseUpstream(g, "/")
	return err
}

func (v *visit) api() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	now := v.Now().UTC()
	from := now.Truncate(time.Hour).Add(-23 * time.Hour)
	rows, err := v.Usage.Usage(v.ctx(), v.actor().Tenant, intake.Query{From: from, By: "hour", APIID: a.ID})
	if err != nil {
		return err
	}
	return v.render(apiView(v.apiPage(a.API), a, v.addresses(a.API), lastDay(rows, from), v.may(control.ToBuild), now))
}

// address is where a stage of an API is called.
type address struct {
	stage      control.APIStage
	host, path string
}

func (v *visit) addresses(a control.API) []address {
	var out []address
	for _, s := range a.Stages {
		out = append(out, address{s, v.invokeURL(a.ID, s.Name), v.pathURL(a.ID, s.Name)})
	}
	return out
}

// invokeURL is a stage's address by host, as Amazon's are.
func (v *visit) invokeURL(api, stage string) string {
	at := v.gateway()
	return at.Scheme + "://" + api + ".execute-api." + at.Host + "/" + stage
}

// pathURL is a stage's address for clients that do not resolve such hosts.
func (v *visit) pathURL(api, stage string) string {
	return v.gateway().String() + pathStyle + api + "/" + stage
}

const pathStyle = "/_aws/execute-api/"

func (v *visit) startPage() error { return v.startWith(200, "dev", nil) }

func (v *visit) startWith(status int, stage string, problems []ui.Problem) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	src, err := v.Plane.Source(v.ctx(), v.actor(), a.ID)
	if err != nil && model.KindOf(err) != model.NotFound {
		return err
	}
	stops, _ := v.Plane.Undeployable(v.actor(), a.ID, &a.Definition)
	return v.renderAs(status, startView(v.below(a.API, "Deploy "+a.Name, ""), a, src.Problems, src.Bytes, stops, stage, problems))
}

// started is the page after the first deployment: the way to the first call.
type started struct {
	api     control.APIDetail
	stage   string
	key     string // empty: none is needed
	verb    string
	path    string // with examples for its variables
	url     string
	local   string // the same by path
	receipt []model.NodeReceipt
}

// start deploys an API and, where its methods ask for keys, makes a plan and a key
// of it, so that the next step is a call.
func (v *visit) start() error {
	stage := v.value("stage")
	d, err := v.Plane.Deploy(v.ctx(), v.actor(), control.Deploy{APIID: v.path("api"), Stage: stage, Description: "First deployment"})
	if invalid(err) {
		return v.startWith(serve.Status(err), stage, []ui.Problem{{Name: "stage", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	s := started{api: a, stage: stage, receipt: d.Receipts}
	keyed := false
	s.verb, s.path, keyed = firstRoute(&a.Definition)
	if keyed && v.may(control.ToSell) {
		if s.key, err = v.starterKey(a.API, stage); err != nil {
			return err
		}
	}
	s.url, s.local = v.invokeURL(a.ID, stage)+s.path, v.pathURL(a.ID, stage)+s.path
	return v.render(startedView(v.below(a.API, a.Name+" is deployed", ""), s))
}

// starterKey makes a key under a plan for the stage, making the plan if need be.
func (v *visit) starterKey(a control.API, stage string) (string, error) {
	plan, err := v.Plane.CreatePlan(v.ctx(), v.actor(), control.PlanSpec{Name: "Starter for " + a.Name, Description: "Made with the first deployment",
		Throttle: &model.Throttle{Rate: 50, Burst: 100}, Stages: []model.PlanStage{{APIID: a.ID, Stage: stage}}})
	if err != nil {
		return "", err
	}
	k, err := v.Plane.CreateKey(v.ctx(), v.actor(), control.NewKey{Name: "First key", Enabled: true, PlanIDs: []string{plan.ID}})
	if err != nil {
		return "", err
	}
	return k.Value, v.inEffect(k.Revision)
}

// inEffect waits for the nodes, so that what a page says can be called is let in. A
// node that is slow is no reason to fail.
func (v *visit) inEffect(revision uint64) error {
	_, err := v.Plane.Await(v.ctx(), v.actor(), revision)
	return err
}

// firstRoute is the method that is easiest to call: a GET with the fewest
// variables, with something in their places.
func firstRoute(d *model.Definition) (verb, path string, keyed bool) {
	best := -1
	for i := range d.Resources {
		r := &d.Resources[i]
		for _, v := range []string{"GET", "ANY", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			m, ok := r.Methods[v]
			if !ok {
				continue
			}
			keyed = keyed || m.APIKeyRequired
			cost := strings.Count(r.Path, "{")*10 + len(r.Path)/40
			if v != "GET" && v != "ANY" {
				cost += 100
			}
			if best < 0 || cost < best {
				best, verb, path = cost, v, r.Path
			}
		}
	}
	if verb == "ANY" {
		verb = "GET"
	}
	return verb, filled(path), keyed
}

// filled puts something in the places of a path's variables.
func filled(path string) string {
	segs, err := model.Segments(path)
	if err != nil {
		return path
	}
	var b strings.Builder
	for _, s := range segs {
		b.WriteByte('/')
		if s.Variable {
			b.WriteString(s.Prefix + "1" + s.Suffix)
		} else {
			b.WriteString(s.Text)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// firstCall is the part of a page that waits for the API's first call.
func (v *visit) firstCall() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	rows, err := v.Usage.Usage(v.ctx(), v.actor().Tenant, intake.Query{APIID: a.ID})
	if err != nil {
		return err
	}
	c := firstCallView(a.ID, rows)
	if serve.IsPart(v.r) {
		return v.render(c)
	}
	return v.render(firstCallPage(v.below(a.API, "First call", ""), a.ID, rows, v.may(control.ToSell)))
}

// trial is a call made from the console.
type trial struct {
	Stage, Verb, Path, Key, Body string
	Problems                     []ui.Problem
	Done                         bool
	Status                       int
	Took                         time.Duration
	Header                       []string
	Answer                       string
	Cut                          bool
	URL                          string
}

func (v *visit) tryPage() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	t := trial{Stage: v.query("stage"), Verb: v.query("verb"), Path: v.query("path")}
	if t.Path == "" {
		t.Verb, t.Path, _ = firstRoute(&a.Definition)
	}
	return v.render(tryView(v.below(a.API, "Try "+a.Name, ""), a.API, t))
}

const maxAnswerShown = 64 << 10

// try makes a real call to one of the account's own stages.
func (v *visit) try() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	t := trial{Stage: v.value("stage"), Verb: v.value("verb"), Path: v.value("path"), Key: v.value("key"), Body: v.raw("body")}
	if err := v.call(a.API, &t); err != nil {
		if !invalid(err) && model.KindOf(err) != model.Unavailable {
			return err
		}
		t.Problems = []ui.Problem{{Name: "path", Text: sentence(model.MessageOf(err))}}
		return v.renderAs(422, tryView(v.below(a.API, "Try "+a.Name, ""), a.API, t))
	}
	return v.render(tryView(v.below(a.API, "Try "+a.Name, ""), a.API, t))
}

func (v *visit) call(a control.API, t *trial) error {
	i := slices.IndexFunc(a.Stages, func(s control.APIStage) bool { return s.Name == t.Stage })
	switch {
	case v.Call == nil || v.GatewayAddr == "":
		return model.Errorf(model.Invalid, "no gateway runs beside this console; use the curl line")
	case i < 0:
		return model.Errorf(model.Invalid, "the API has no stage %q", t.Stage)
	case !slices.Contains(model.Verbs, t.Verb) || t.Verb == "ANY":
		return model.Errorf(model.Invalid, "%q is not a method to call with", t.Verb)
	case !strings.HasPrefix(t.Path, "/") || strings.ContainsAny(t.Path, " \r\n\t#"):
		return model.Errorf(model.Invalid, "the path %q does not begin with a slash, or holds blanks", t.Path)
	case strings.ContainsAny(t.Key, "\r\n") || len(t.Key) > 256:
		return model.Errorf(model.Invalid, "the key has characters that a key has not")
	}
	ctx, cancel := context.WithTimeout(v.ctx(), 35*time.Second)
	defer cancel()
	t.URL = v.pathURL(a.ID, t.Stage) + t.Path
	near := "http://" + v.GatewayAddr // which is on this machine
	at := v.gateway()
	if at != v.Gateway {
		near = at.String() // a gateway elsewhere
	}
	req, err := http.NewRequestWithContext(ctx, t.Verb, near+pathStyle+a.ID+"/"+t.Stage+t.Path, bytes.NewReader([]byte(t.Body)))
	if err != nil {
		return model.Errorf(model.Invalid, "the path cannot be called: %v", err)
	}
	req.Host = at.Host
	req.Header.Set("User-Agent", "Tollgate console")
	if t.Key != "" {
		req.Header.Set("x-api-key", t.Key)
	}
	if t.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	begun := time.Now()
	resp, err := v.Call(req)
	if err != nil {
		return model.Errorf(model.Unavailable, "the gateway did not answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerShown+1))
	if err != nil {
		return model.Errorf(model.Unavailable, "the answer broke off: %v", err)
	}
	t.Done, t.Status, t.Took = true, resp.StatusCode, time.Since(begun)
	if t.Cut = len(b) > maxAnswerShown; t.Cut {
		b = b[:maxAnswerShown]
	}
	t.Answer = strings.ToValidUTF8(string(b), "�")
	for name, values := range resp.Header {
		for _, val := range values {
			t.Header = append(t.Header, name+": "+strings.ToValidUTF8(val, "�"))
		}
	}
	sort.Strings(t.Header)
	return nil
}

func (v *visit) apiSettings() error { return v.apiSettingsOf(200, nil, nil) }

func (v *visit) apiSettingsWith(status int, problems []ui.Problem) error {
	return v.apiSettingsOf(status, nil, problems)
}

// apiSettingsOf is the settings' page; with calls it has what was typed there.
func (v *visit) apiSettingsOf(status int, calls *callForm, problems []ui.Problem) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	src, err := v.Plane.Source(v.ctx(), v.actor(), a.ID)
	if err != nil && model.KindOf(err) != model.NotFound {
		return err
	}
	if calls == nil {
		calls = &callForm{}
		calls.show(&a.Definition)
	} else {
		problems = calls.problems
	}
	why := v.about(a.ID, &a.Definition, "apiKeySource", "endpointConfiguration", "securityPolicy", "endpointAccessMode", "policy")
	return v.renderAs(status, apiSettingsView(v.apiPage(a.API), a, src, calls, why, problems, v.may(control.ToBuild)))
}

func (v *visit) saveAPISettings() error {
	name, text := v.value("name"), v.raw("description")
	if len(text) > 4096 {
		return v.apiSettingsWith(422, []ui.Problem{{Name: "description", Text: fmt.Sprintf("The description has %d characters; at most 4,096 are allowed", len(text))}})
	}
	_, err := v.Plane.UpdateDefinition(v.ctx(), v.actor(), v.path("api"), 0, func(d *model.Definition) error {
		d.Name, d.Description = name, strings.ReplaceAll(text, "\r\n", "\n")
		return nil
	})
	if invalid(err) {
		return v.apiSettingsWith(422, []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	return v.done("Saved. Names are part of the definition: deploy to bring them to a stage.", apiURL(v.path("api"), "settings"))
}

// download is the document the API was imported from, byte for byte.
func (v *visit) download() error {
	src, err := v.Plane.Source(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	name := "openapi.yaml"
	if len(src.Bytes) > 0 && src.Bytes[0] == '{' {
		name = "openapi.json"
	}
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(src.Bytes)))
	_, _ = v.w.Write(src.Bytes)
	return nil
}

func (v *visit) confirmDeleteAPI() error { return v.confirmDeleteAPIWith(200, "") }

func (v *visit) confirmDeleteAPIWith(status int, problem string) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	rows, err := v.Usage.Usage(v.ctx(), v.actor().Tenant, intake.Query{APIID: a.ID, From: v.Now().UTC().Add(-24 * time.Hour)})
	if err != nil {
		return err
	}
	var calls int64
	for _, r := range rows {
		calls += r.Calls
	}
	return v.renderAs(status, deleteAPIView(v.below(a.API, "Delete "+a.Name, ""), a.API, calls, problem))
}

func (v *visit) deleteAPI() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	if v.value("confirm") != a.Name {
		return v.confirmDeleteAPIWith(422, "That is not its name")
	}
	return v.outcome(v.Plane.DeleteAPI(v.ctx(), v.actor(), a.ID, true), "The API "+a.Name+" is deleted.", "/apis")
}
