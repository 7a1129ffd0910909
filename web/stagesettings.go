package web

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) stageSettingsRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/settings", who: mayRead, handle: (*visit).stageSettings},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/settings", who: mayBuild, handle: (*visit).saveStageSettings},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/methods", who: mayRead, handle: (*visit).stageMethods},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/methods/edit", who: mayBuild, handle: (*visit).stageMethod},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/methods/edit", who: mayBuild, handle: (*visit).saveStageMethod},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/methods/remove", who: mayBuild, handle: (*visit).confirmRemoveStageMethod},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/methods/remove", who: mayBuild, handle: (*visit).removeStageMethod},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/cors", who: mayRead, handle: (*visit).stageCORS},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/cors", who: mayBuild, handle: (*visit).saveStageCORS},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/canary", who: mayRead, handle: (*visit).canary},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/canary", who: mayBuild, handle: (*visit).saveCanary},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/canary/{act}", who: mayBuild, handle: (*visit).confirmCanary},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/canary/{act}", who: mayBuild, handle: (*visit).endCanary},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/cache", who: mayRead, handle: (*visit).stageCache},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/cache", who: mayBuild, handle: (*visit).saveStageCache},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/cache/flush", who: mayBuild, handle: (*visit).confirmFlush},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/cache/flush", who: mayBuild, handle: (*visit).flush},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/logs", who: mayRead, handle: (*visit).stageLogs},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/logs", who: mayBuild, handle: (*visit).saveStageLogs},
	}
}

// stageTabs are the pages of one stage.
func stageTabs(api, stage, current string) []ui.Tab {
	var out []ui.Tab
	for _, t := range [][2]string{{"Overview", ""}, {"Settings", "settings"}, {"Methods", "methods"}, {"CORS", "cors"}, {"Canary", "canary"}, {"Cache", "cache"}, {"Access log", "logs"}} {
		u := apiURL(api, "stages", stage)
		if t[1] != "" {
			u += "/" + t[1]
		}
		out = append(out, ui.Tab{Label: t[0], URL: u, Current: t[1] == current})
	}
	return out
}

// stagePage is a page of a stage's settings.
type stagePage struct {
	API   control.APIDetail
	Stage control.Stage
	Build bool
	problems
}

func (v *visit) stageHere() (stagePage, error) {
	a, s, err := v.oneStage()
	return stagePage{API: a, Stage: s, Build: v.may(control.ToBuild)}, err
}

func (v *visit) stageShell(p *stagePage) ui.Page {
	return v.below(p.API.API, "Stage "+p.Stage.Name, "stages")
}

// changeStage edits the stage that the path names, and says which nodes act on it. The
// problems that come of it are for the page to show, under the field.
func (v *visit) changeStage(what, to, field string, found *problems, edit func(*control.StageEdit) error) (bool, error) {
	d, err := v.Plane.UpdateStage(v.ctx(), v.actor(), v.path("api"), v.path("stage"), edit)
	if invalid(err) {
		*found = found.with(field, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v.sayReceipts(what, d.Receipts)
	return true, v.redirect(apiURL(v.path("api"), "stages", v.path("stage"), to))
}

// stageSettingsForm is what a stage has of its own.
type stageSettingsForm struct {
	stagePage
	Description, Documentation string
	Certificate, OneIn         string
	Tracing, NotFound          bool
	RateLimit                  bool // headers tell callers of it
	Variables                  []ui.RowValues
	versions, certificates     []ui.Option
}

func (v *visit) stageSettings() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	s := &p.Stage.Settings
	return v.stageSettingsWith(200, stageSettingsForm{stagePage: p, Description: s.Description, Documentation: s.DocumentationVersion, Tracing: s.TracingEnabled, Variables: textRows(s.Variables, false),
		Certificate: s.ClientCertificateID, NotFound: s.RouteNotFound, RateLimit: s.RateLimitHeaders, OneIn: oneIn(s.TraceOneIn)})
}

// oneIn is a stage's TraceOneIn as its field has it: 0 stands for none there, and
// nothing for the default.
func oneIn(n int) string {
	if n < 0 {
		return "0"
	}
	return numberOr(n)
}

// traceOneIn reads what oneIn writes.
func (f *stageSettingsForm) traceOneIn() int {
	if f.OneIn == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.ReplaceAll(f.OneIn, ",", ""))
	if err != nil || n < 0 || n > model.MaxTraceOneIn {
		f.say("one-in", "%q is not a number of calls between 0 and %s", f.OneIn, ui.Quantity(model.MaxTraceOneIn))
	}
	if n == 0 {
		return -1
	}
	return n
}

func (v *visit) stageSettingsWith(status int, f stageSettingsForm) error {
	l, err := v.Plane.DocumentationVersions(v.ctx(), v.actor(), f.API.ID, control.Page{Limit: 200})
	if err != nil {
		return err
	}
	f.versions = []ui.Option{{Value: "", Label: "none"}}
	for _, x := range l.Items {
		f.versions = append(f.versions, ui.Option{Value: x.Version, Label: x.Version})
	}
	f.versions = chosen(f.Documentation, f.versions)
	all, err := v.allCertificates()
	if err != nil {
		return err
	}
	f.certificates = []ui.Option{{Value: "", Label: "none"}}
	for _, c := range all {
		f.certificates = append(f.certificates, ui.Option{Value: c.ID, Label: certificateName(&c)})
	}
	f.certificates = chosen(f.Certificate, f.certificates)
	return v.renderAs(status, stageSettingsView(v.stageShell(&f.stagePage), f))
}

// variables reads rows of names and values.
func variables(p *problems, field string, rows []ui.RowValues) map[string]string {
	out := map[string]string{}
	for i := range rows {
		r := &rows[i]
		switch _, twice := out[r.Cells[0]]; {
		case r.Cells[0] == "":
			r.Error = "The name is missing"
		case twice:
			r.Error = "It is there twice"
		}
		if r.Error != "" {
			p.say(field, "%s: %s", orName(r.Cells[0], "A variable"), r.Error)
		}
		out[r.Cells[0]] = r.Cells[1]
	}
	return orNil(out)
}

func (v *visit) saveStageSettings() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := stageSettingsForm{stagePage: p, Description: v.text("description"), Documentation: v.value("documentation"), Tracing: v.checked("tracing"), Variables: v.rows("variable", variableRows),
		Certificate: v.value("certificate"), NotFound: v.checked("not-found"), RateLimit: v.checked("rate-limit"), OneIn: v.value("one-in")}
	if v.more() {
		return v.stageSettingsWith(200, f)
	}
	done, err := v.changeStage("Saved", "settings", "variable", &f.problems, func(e *control.StageEdit) error {
		e.Description, e.DocumentationVersion, e.TracingEnabled, e.Variables = f.Description, f.Documentation, f.Tracing, variables(&f.problems, "variable", f.Variables)
		e.ClientCertificateID, e.RouteNotFound, e.TraceOneIn = f.Certificate, f.NotFound, f.traceOneIn()
		e.RateLimitHeaders = f.RateLimit
		return f.err()
	})
	if done || err != nil {
		return err
	}
	return v.stageSettingsWith(422, f)
}

// settingForm is how one method, or every other one, behaves on the stage.
type settingForm struct {
	stagePage
	Key                                        string
	New                                        bool
	Rate, Burst, Level, TTL, Strategy          string
	Metrics, Trace, Cached, Encrypted, Guarded bool
	keys                                       []ui.Option
}

var (
	levelOptions    = []ui.Option{{Value: "OFF", Label: "Nothing"}, {Value: "ERROR", Label: "Errors"}, {Value: "INFO", Label: "Errors and what happened"}}
	strategyOptions = []ui.Option{{Value: "SUCCEED_WITH_RESPONSE_HEADER", Label: "Answer from the cache, with a warning header"}, {Value: "SUCCEED_WITHOUT_RESPONSE_HEADER", Label: "Answer from the cache"}, {Value: "FAIL_WITH_403", Label: "Refuse with 403"}}
)

// settingName is a key of a stage's method settings in words.
func settingName(key string) string {
	path, verb, ok := model.SettingMethod(key)
	if !ok || key == model.EveryMethod {
		return "Every other method"
	}
	return verb + " " + path
}

// settingKey names a method in a stage's settings.
func settingKey(path, verb string) string {
	return "~1" + strings.NewReplacer("~", "~0", "/", "~1").Replace(strings.TrimPrefix(path, "/")) + "/" + verb
}

func (f *settingForm) show(key string) {
	m := f.Stage.Settings.Setting(key)
	f.Key = key
	if t := m.Throttle(); t != nil {
		f.Rate, f.Burst = strconv.FormatFloat(t.Rate, 'f', -1, 64), strconv.Itoa(t.Burst)
	}
	f.Level, f.TTL, f.Strategy = orName(m.LoggingLevel, "OFF"), strconv.Itoa(m.CacheTTLSeconds), m.UnauthorizedCacheControlHeaderStrategy
	f.Metrics, f.Trace, f.Cached, f.Encrypted, f.Guarded = m.MetricsEnabled, m.DataTraceEnabled, m.CachingEnabled, m.CacheDataEncrypted, m.RequireAuthorizationForCacheControl
}

// setting is what the form says.
func (f *settingForm) setting() model.MethodSetting {
	p := &f.problems
	m := model.MethodSetting{MetricsEnabled: f.Metrics, DataTraceEnabled: f.Trace, CachingEnabled: f.Cached, CacheDataEncrypted: f.Encrypted, RequireAuthorizationForCacheControl: f.Guarded,
		LoggingLevel: f.Level, UnauthorizedCacheControlHeaderStrategy: f.Strategy, ThrottlingRateLimit: -1, ThrottlingBurstLimit: -1}
	var err error
	if f.Rate != "" {
		if m.ThrottlingRateLimit, err = strconv.ParseFloat(f.Rate, 64); err != nil || m.ThrottlingRateLimit < 0 {
			p.say("rate", "The rate %q is not a number of calls a second; leave it empty for none", f.Rate)
		}
	}
	if f.Burst != "" {
		if m.ThrottlingBurstLimit, err = strconv.Atoi(f.Burst); err != nil || m.ThrottlingBurstLimit < 0 {
			p.say("burst", "The burst %q is not a number of calls; leave it empty for as many as the rate", f.Burst)
		}
	}
	if m.CacheTTLSeconds, err = strconv.Atoi(f.TTL); err != nil || m.CacheTTLSeconds < 0 || m.CacheTTLSeconds > model.MaxCacheTTLSeconds {
		p.say("ttl", "%q is not a number of seconds between 0 and %d", f.TTL, model.MaxCacheTTLSeconds)
	}
	if !among(f.Level, levelOptions) {
		p.say("level", "Choose what is logged")
	}
	if !among(f.Strategy, strategyOptions) {
		p.say("strategy", "Choose what becomes of such calls")
	}
	return m
}

func (v *visit) stageMethods() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	return v.render(stageMethodsView(v.stageShell(&p), p))
}

func (v *visit) stageMethod() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := settingForm{stagePage: p}
	key := v.query("key")
	if _, _, ok := model.SettingMethod(key); !ok {
		if key != "" {
			return model.Errorf(model.NotFound, "%q does not name a path and a method", key)
		}
		f.New = true
	}
	f.show(key)
	return v.stageMethodWith(200, f)
}

func (v *visit) stageMethodWith(status int, f settingForm) error {
	f.keys = []ui.Option{{Value: model.EveryMethod, Label: settingName(model.EveryMethod)}}
	for _, r := range flat(&f.API.Definition) {
		if k := settingKey(r.path, r.verb); len(f.keys) < 1000 {
			f.keys = append(f.keys, ui.Option{Value: k, Label: r.verb + " " + r.path})
		}
	}
	return v.renderAs(status, stageMethodView(v.stageShell(&f.stagePage), f))
}

func (v *visit) saveStageMethod() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := settingForm{stagePage: p, Key: v.value("key"), New: v.checked("new"), Rate: v.value("rate"), Burst: v.value("burst"), Level: v.value("level"), TTL: v.value("ttl"), Strategy: v.value("strategy"),
		Metrics: v.checked("metrics"), Trace: v.checked("trace"), Cached: v.checked("cached"), Encrypted: v.checked("encrypted"), Guarded: v.checked("guarded")}
	done, err := v.changeStage("Saved for "+strings.ToLower(settingName(f.Key)[:1])+settingName(f.Key)[1:], "methods", "key", &f.problems, func(e *control.StageEdit) error {
		m := f.setting()
		if err := f.err(); err != nil {
			return err
		}
		e.Set(f.Key, m)
		return nil
	})
	if done || err != nil {
		return err
	}
	return v.stageMethodWith(422, f)
}

func (v *visit) confirmRemoveStageMethod() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	key := v.query("key")
	if _, ok := p.Stage.Settings.MethodSettings[key]; !ok {
		return model.Errorf(model.NotFound, "the stage has no settings for %q", key)
	}
	return v.render(removeSettingView(v.below(p.API.API, "Remove settings", "stages"), p, key))
}

func (v *visit) removeStageMethod() error {
	var wrong problems
	key := v.value("key")
	_, err := v.changeStage("Removed", "methods", "", &wrong, func(e *control.StageEdit) error {
		if _, ok := e.MethodSettings[key]; !ok {
			return model.Errorf(model.NotFound, "the stage has no settings for %q", key)
		}
		delete(e.MethodSettings, key)
		return nil
	})
	if err == nil && len(wrong) > 0 {
		return v.outcome(wrong.err(), "", apiURL(v.path("api"), "stages", v.path("stage"), "methods"))
	}
	return err
}

// canaryForm is a canary as it is edited.
type canaryForm struct {
	stagePage
	Share, Deployment string
	OwnCache          bool
	Overrides         []ui.RowValues
	deployments       []ui.Option
}

func (v *visit) canary() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := canaryForm{stagePage: p, Share: "10", OwnCache: true}
	if k := p.Stage.Settings.Canary; k != nil {
		f.Share, f.Deployment, f.OwnCache, f.Overrides = strconv.FormatFloat(k.PercentTraffic, 'f', -1, 64), k.DeploymentID, !k.UseStageCache, textRows(k.Overrides, false)
	}
	return v.canaryWith(200, f)
}

func (v *visit) canaryWith(status int, f canaryForm) error {
	l, err := v.Plane.Deployments(v.ctx(), v.actor(), f.API.ID, control.Page{Limit: 50})
	if err != nil {
		return err
	}
	for _, d := range l.Items {
		label := d.ID
		if d.Description != "" {
			label += ": " + cutText(d.Description, 60)
		}
		if d.ID == f.Stage.DeploymentID {
			label += " (the stage's own)"
		}
		f.deployments = append(f.deployments, ui.Option{Value: d.ID, Label: label})
	}
	if f.Deployment != "" {
		f.deployments = chosen(f.Deployment, f.deployments)
	}
	return v.renderAs(status, canaryView(v.stageShell(&f.stagePage), f))
}

func (v *visit) saveCanary() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := canaryForm{stagePage: p, Share: v.value("share"), Deployment: v.value("deployment"), OwnCache: v.checked("own-cache"), Overrides: v.rows("override", variableRows)}
	if v.more() {
		return v.canaryWith(200, f)
	}
	done, err := v.changeStage("The canary is set", "canary", "share", &f.problems, func(e *control.StageEdit) error {
		share, err := strconv.ParseFloat(f.Share, 64)
		if err != nil || share < 0 || share > 100 {
			f.say("share", "The share %q is not a number between 0 and 100", f.Share)
		}
		e.Canary = &model.CanarySettings{PercentTraffic: share, DeploymentID: f.Deployment, Overrides: variables(&f.problems, "override", f.Overrides), UseStageCache: !f.OwnCache}
		return f.err()
	})
	if done || err != nil {
		return err
	}
	return v.canaryWith(422, f)
}

// canaryActs are how a canary ends.
var canaryActs = map[string]string{"promote": "Promote the canary", "end": "End the canary"}

func (v *visit) confirmCanary() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	act := v.path("act")
	if canaryActs[act] == "" || p.Stage.Settings.Canary == nil {
		return model.Errorf(model.NotFound, "stage %s has no canary to %s", p.Stage.Name, act)
	}
	return v.render(endCanaryView(v.below(p.API.API, canaryActs[act], "stages"), p, act))
}

func (v *visit) endCanary() error {
	var wrong problems
	act := v.path("act")
	_, err := v.changeStage(map[string]string{"promote": "The stage serves what the canary did", "end": "The canary is ended"}[act], "canary", "", &wrong, func(e *control.StageEdit) error {
		if canaryActs[act] == "" || e.Canary == nil {
			return model.Errorf(model.NotFound, "the stage has no canary to %s", act)
		}
		if act == "promote" {
			e.DeploymentID = e.Canary.DeploymentID
			e.Variables = maps.Clone(e.Variables)
			for k, x := range e.Canary.Overrides {
				if e.Variables == nil {
					e.Variables = map[string]string{}
				}
				e.Variables[k] = x
			}
		}
		e.Canary = nil
		return nil
	})
	if err == nil && len(wrong) > 0 {
		return v.outcome(wrong.err(), "", apiURL(v.path("api"), "stages", v.path("stage"), "canary"))
	}
	return err
}

// cacheForm is a stage's cache as it is edited.
type cacheForm struct {
	stagePage
	On   bool
	Size string
}

func (v *visit) stageCache() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	s := &p.Stage.Settings
	return v.render(stageCacheView(v.stageShell(&p), cacheForm{stagePage: p, On: s.CacheClusterEnabled, Size: orName(s.CacheClusterSize, model.CacheClusterSizes[0])}))
}

func cacheSizes() []ui.Option {
	var out []ui.Option
	for _, s := range model.CacheClusterSizes {
		out = append(out, ui.Option{Value: s, Label: s + " GB"})
	}
	return out
}

func (v *visit) saveStageCache() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := cacheForm{stagePage: p, On: v.checked("on"), Size: v.value("size")}
	done, err := v.changeStage("Saved", "cache", "size", &f.problems, func(e *control.StageEdit) error {
		e.CacheClusterEnabled, e.CacheClusterSize = f.On, f.Size
		return nil
	})
	if done || err != nil {
		return err
	}
	return v.renderAs(422, stageCacheView(v.stageShell(&p), f))
}

func (v *visit) confirmFlush() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	return v.render(flushView(v.below(p.API.API, "Empty the cache", "stages"), p))
}

func (v *visit) flush() error {
	err := v.Plane.FlushStageCache(v.ctx(), v.actor(), v.path("api"), v.path("stage"))
	return v.outcome(err, "The cache is empty on every node.", apiURL(v.path("api"), "stages", v.path("stage"), "cache"))
}

func flushAct(p *stagePage) act {
	a := stageAct(p)
	a.op, a.verb, a.path, a.in = "flush-stage-cache", "DELETE", a.path+"/cache/data", nil
	return a
}

// logForm is a stage's access log as it is edited.
type logForm struct {
	stagePage
	Destination, Format string
}

// logPresets are formats of access logs that tools know.
var logPresets = []struct{ Name, Label, Format string }{
	{"clf", "CLF", `$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId`},
	{"json", "JSON", `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","ip":"$context.identity.sourceIp","caller":"$context.identity.caller","user":"$context.identity.user","requestTime":"$context.requestTime","httpMethod":"$context.httpMethod","resourcePath":"$context.resourcePath","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength"}`},
	{"xml", "XML", `<request id="$context.requestId"><ip>$context.identity.sourceIp</ip><caller>$context.identity.caller</caller><user>$context.identity.user</user><requestTime>$context.requestTime</requestTime><httpMethod>$context.httpMethod</httpMethod><resourcePath>$context.resourcePath</resourcePath><status>$context.status</status><protocol>$context.protocol</protocol><responseLength>$context.responseLength</responseLength><extendedRequestId>$context.extendedRequestId</extendedRequestId></request>`},
	{"csv", "CSV", `$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,$context.httpMethod,$context.resourcePath,$context.protocol,$context.status,$context.responseLength,$context.requestId,$context.extendedRequestId`},
}

// logVariables are what a line can have, by what it is about.
var logVariables = []struct {
	About string
	Names []string
}{
	{"The call", []string{"requestId", "extendedRequestId", "requestTime", "requestTimeEpoch", "httpMethod", "resourcePath", "resourceId", "path", "protocol", "stage", "apiId", "accountId", "deploymentId", "domainName", "isCanaryRequest", "xrayTraceId", "tlsVersion", "cipherSuite"}},
	{"The caller", []string{"identity.sourceIp", "identity.userAgent", "identity.apiKeyId", "identity.user", "identity.caller", "identity.userArn", "identity.accountId", "authorizer.principalId", "authorizer.claims.sub", "authorizer.status", "authorizer.latency", "authorizer.error"}},
	{"The answer", []string{"status", "responseLength", "responseLatency", "error.message", "error.responseType", "error.validationErrorString"}},
	{"The integration", []string{"integrationStatus", "integrationLatency", "integration.status", "integration.latency", "integration.requestId", "integration.error", "integrationErrorMessage"}},
}

func (v *visit) stageLogs() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := logForm{stagePage: p}
	if l := p.Stage.Settings.AccessLog; l != nil {
		f.Destination, f.Format = l.DestinationARN, l.Format
	}
	for _, x := range logPresets {
		if x.Name == v.query("preset") {
			f.Format = x.Format
		}
	}
	return v.render(stageLogsView(v.stageShell(&p), f))
}

func (v *visit) saveStageLogs() error {
	p, err := v.stageHere()
	if err != nil {
		return err
	}
	f := logForm{stagePage: p, Destination: v.value("destination"), Format: strings.TrimSpace(v.text("format"))}
	done, err := v.changeStage("Saved", "logs", "format", &f.problems, func(e *control.StageEdit) error {
		if f.Destination == "" && f.Format == "" {
			e.AccessLog = nil
			return nil
		}
		if !strings.Contains(f.Format, "$context.requestId") && !strings.Contains(f.Format, "$context.extendedRequestId") {
			f.say("format", "A line needs $context.requestId, so that a call can be found by it")
		}
		if strings.Contains(f.Format, "\n") {
			f.say("format", "A line of the log has no line ends")
		}
		if f.Destination == "" {
			f.say("destination", "Say where the log goes; empty both fields for none")
		}
		l := model.AccessLogSettings{}
		if e.AccessLog != nil {
			l = *e.AccessLog
		}
		l.DestinationARN, l.Format = f.Destination, f.Format
		e.AccessLog = &l
		return f.err()
	})
	if done || err != nil {
		return err
	}
	return v.renderAs(serve.Status(model.Errorf(model.Invalid, "")), stageLogsView(v.stageShell(&p), f))
}

func stageAct(p *stagePage, steps ...string) act {
	return act{op: "update-stage", verb: "PATCH", path: "/restapis/" + url.PathEscape(p.API.ID) + "/stages/" + url.PathEscape(p.Stage.Name), ids: map[string]any{"restApiId": p.API.ID, "stageName": p.Stage.Name}, in: patchAct(steps...)}
}

func settingsAct(f *stageSettingsForm) act {
	s := &f.Stage.Settings
	steps := []string{"replace", "/description", s.Description, "replace", "/documentationVersion", s.DocumentationVersion, "replace", "/tracingEnabled", fmt.Sprint(s.TracingEnabled),
		"replace", "/clientCertificateId", s.ClientCertificateID, "replace", "/tollgate/routeNotFound", fmt.Sprint(s.RouteNotFound), "replace", "/tollgate/rateLimitHeaders", fmt.Sprint(s.RateLimitHeaders), "replace", "/tollgate/traceOneIn", strconv.Itoa(s.TraceOneIn)}
	for _, k := range sortedKeys(s.Variables) {
		steps = append(steps, "replace", "/variables/"+segment(k), s.Variables[k])
	}
	a := stageAct(&f.stagePage, steps...)
	a.terraform = block("aws_api_gateway_stage", "stage", map[string]any{"rest_api_id": f.API.ID, "stage_name": f.Stage.Name, "deployment_id": f.Stage.DeploymentID, "description": s.Description, "documentation_version": s.DocumentationVersion, "xray_tracing_enabled": s.TracingEnabled, "client_certificate_id": s.ClientCertificateID, "variables": s.Variables})
	return a
}

func settingAct(f *settingForm) act {
	key := orName(f.Key, model.EveryMethod)
	m := f.Stage.Settings.Setting(key)
	at := "/" + key
	if key == model.EveryMethod {
		at = "/*/*"
	}
	a := stageAct(&f.stagePage, "replace", at+"/throttling/rateLimit", strconv.FormatFloat(m.ThrottlingRateLimit, 'f', -1, 64), "replace", at+"/throttling/burstLimit", strconv.Itoa(m.ThrottlingBurstLimit),
		"replace", at+"/logging/loglevel", orName(m.LoggingLevel, "OFF"), "replace", at+"/logging/dataTrace", fmt.Sprint(m.DataTraceEnabled), "replace", at+"/metrics/enabled", fmt.Sprint(m.MetricsEnabled),
		"replace", at+"/caching/enabled", fmt.Sprint(m.CachingEnabled), "replace", at+"/caching/ttlInSeconds", strconv.Itoa(m.CacheTTLSeconds), "replace", at+"/caching/dataEncrypted", fmt.Sprint(m.CacheDataEncrypted),
		"replace", at+"/caching/requireAuthorizationForCacheControl", fmt.Sprint(m.RequireAuthorizationForCacheControl), "replace", at+"/caching/unauthorizedCacheControlHeaderStrategy", m.UnauthorizedCacheControlHeaderStrategy)
	path := key
	if p, verb, ok := model.SettingMethod(key); ok && key != model.EveryMethod {
		path = strings.TrimPrefix(p, "/") + "/" + verb
	}
	a.terraform = block("aws_api_gateway_method_settings", "settings", map[string]any{"rest_api_id": f.API.ID, "stage_name": f.Stage.Name, "method_path": path, "settings": map[string]any{
		"throttling_rate_limit": m.ThrottlingRateLimit, "throttling_burst_limit": m.ThrottlingBurstLimit, "logging_level": orName(m.LoggingLevel, "OFF"), "data_trace_enabled": m.DataTraceEnabled, "metrics_enabled": m.MetricsEnabled,
		"caching_enabled": m.CachingEnabled, "cache_ttl_in_seconds": m.CacheTTLSeconds, "cache_data_encrypted": m.CacheDataEncrypted, "require_authorization_for_cache_control": m.RequireAuthorizationForCacheControl,
		"unauthorized_cache_control_header_strategy": m.UnauthorizedCacheControlHeaderStrategy}})
	return a
}

func canaryAct(f *canaryForm) act {
	deployment := f.Deployment
	if deployment == "" {
		deployment = f.Stage.DeploymentID
	}
	steps := []string{"replace", "/canarySettings/deploymentId", deployment, "replace", "/canarySettings/percentTraffic", orName(f.Share, "10"), "replace", "/canarySettings/useStageCache", fmt.Sprint(!f.OwnCache)}
	if k := f.Stage.Settings.Canary; k != nil {
		for _, name := range sortedKeys(k.Overrides) {
			steps = append(steps, "replace", "/canarySettings/stageVariableOverrides/"+segment(name), k.Overrides[name])
		}
	}
	return stageAct(&f.stagePage, steps...)
}

func endCanaryAct(p *stagePage, how string) act {
	a := stageAct(p)
	steps := []map[string]string{{"op": "remove", "path": "/canarySettings"}}
	if how == "promote" {
		steps = slices.Insert(steps, 0, map[string]string{"op": "copy", "from": "/canarySettings/deploymentId", "path": "/deploymentId"}, map[string]string{"op": "copy", "from": "/canarySettings/stageVariableOverrides", "path": "/variables"})
	}
	a.in = map[string]any{"patchOperations": steps}
	return a
}

func cacheAct(f *cacheForm) act {
	return stageAct(&f.stagePage, "replace", "/cacheClusterEnabled", fmt.Sprint(f.On), "replace", "/cacheClusterSize", f.Size)
}

func logAct(f *logForm) act {
	return stageAct(&f.stagePage, "replace", "/accessLogSettings/destinationArn", orName(f.Destination, "arn:aws:logs:us-east-1:123456789012:log-group:NAME"), "replace", "/accessLogSettings/format", orName(f.Format, "$context.requestId"))
}

func removeSettingAct(p *stagePage, key string) act {
	a := stageAct(p)
	a.in = map[string]any{"patchOperations": []map[string]string{{"op": "remove", "path": "/" + key}}}
	return a
}
