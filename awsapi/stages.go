package awsapi

import (
	"slices"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var stages = handlers{
	"CreateStage":                (*call).createStage,
	"GetStage":                   (*call).getStage,
	"GetStages":                  (*call).getStages,
	"UpdateStage":                (*call).updateStage,
	"DeleteStage":                (*call).deleteStage,
	"FlushStageCache":            (*call).flushStage,
	"FlushStageAuthorizersCache": (*call).flushAuthorizers,
}

// stage is a stage's shape.
type stage struct {
	DeploymentID         string                         `json:"deploymentId"`
	StageName            string                         `json:"stageName"`
	ClientCertificateID  string                         `json:"clientCertificateId,omitempty"`
	Description          string                         `json:"description,omitempty"`
	CacheClusterEnabled  bool                           `json:"cacheClusterEnabled"`
	CacheClusterSize     string                         `json:"cacheClusterSize,omitempty"`
	CacheClusterStatus   string                         `json:"cacheClusterStatus"`
	MethodSettings       map[string]model.MethodSetting `json:"methodSettings"`
	Variables            map[string]string              `json:"variables,omitempty"`
	DocumentationVersion string                         `json:"documentationVersion,omitempty"`
	AccessLogSettings    *model.AccessLogSettings       `json:"accessLogSettings,omitempty"`
	CanarySettings       *model.CanarySettings          `json:"canarySettings,omitempty"`
	TracingEnabled       bool                           `json:"tracingEnabled"`
	Tags                 map[string]string              `json:"tags,omitempty"`
	CreatedDate          stamp                          `json:"createdDate"`
	LastUpdatedDate      stamp                          `json:"lastUpdatedDate"`
	Tollgate             *stageExtras                   `json:"x-tollgate,omitempty"` // what clients of the service's do not know
}

// stageExtras are a stage's settings that the service has none of.
type stageExtras struct {
	RouteNotFound    bool        `json:"routeNotFound,omitempty"`
	CORS             *model.CORS `json:"cors,omitempty"`
	TraceOneIn       int         `json:"traceOneIn,omitempty"`
	RateLimitHeaders bool        `json:"rateLimitHeaders,omitempty"`
}

func asStage(s *control.Stage) stage {
	t := &s.Settings
	out := stage{
		DeploymentID: s.DeploymentID, StageName: s.Name, ClientCertificateID: t.ClientCertificateID, Description: t.Description,
		CacheClusterEnabled: t.CacheClusterEnabled, CacheClusterSize: t.CacheClusterSize, CacheClusterStatus: "NOT_AVAILABLE",
		MethodSettings: t.MethodSettings, Variables: t.Variables, DocumentationVersion: t.DocumentationVersion,
		AccessLogSettings: t.AccessLog, CanarySettings: t.Canary, TracingEnabled: t.TracingEnabled,
		Tags: s.Tags, CreatedDate: stamp(s.CreatedAt), LastUpdatedDate: stamp(s.UpdatedAt),
	}
	if out.MethodSettings == nil {
		out.MethodSettings = map[string]model.MethodSetting{}
	}
	if t.RouteNotFound || t.CORS != nil || t.TraceOneIn != 0 || t.RateLimitHeaders {
		out.Tollgate = &stageExtras{t.RouteNotFound, t.CORS, t.TraceOneIn, t.RateLimitHeaders}
	}
	if t.CacheClusterEnabled {
		out.CacheClusterStatus = "AVAILABLE" // nothing waits for a cluster here
	}
	return out
}

func cacheSize(at, size string) error {
	if size != "" && !slices.Contains(model.CacheClusterSizes, size) {
		return invalid(constraint{size, at, oneOf(model.CacheClusterSizes...)})
	}
	return nil
}

// setCache changes the cache cluster's settings where they are given. A cluster
// has a size.
func setCache(s *model.StageSettings, enabled *bool, size string) {
	if enabled != nil {
		s.CacheClusterEnabled = *enabled
	}
	if size != "" {
		s.CacheClusterSize = size
	}
	if s.CacheClusterEnabled && s.CacheClusterSize == "" {
		s.CacheClusterSize = model.CacheClusterSizes[0]
	}
}

func (c *call) createStage() (any, error) {
	var in struct {
		StageName, DeploymentID, Description string
		CacheClusterEnabled                  *bool
		CacheClusterSize                     string
		Variables                            map[string]string
		DocumentationVersion                 string
		CanarySettings                       *model.CanarySettings
		TracingEnabled                       bool
		Tags                                 map[string]string
	}
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if err := cacheSize("createStageInput.cacheClusterSize", in.CacheClusterSize); err != nil {
		return nil, err
	}
	if k := in.CanarySettings; k != nil && k.DeploymentID == "" {
		k.DeploymentID = in.DeploymentID
	}
	s := model.StageSettings{Description: in.Description, Variables: in.Variables, DocumentationVersion: in.DocumentationVersion,
		Canary: in.CanarySettings, TracingEnabled: in.TracingEnabled}
	setCache(&s, in.CacheClusterEnabled, in.CacheClusterSize)
	d, err := c.Plane.CreateStage(c.ctx, c.actor, control.NewStage{APIID: c.args["restapi_id"], Name: in.StageName,
		StageEdit: control.StageEdit{DeploymentID: in.DeploymentID, StageSettings: s}, Tags: in.Tags})
	if err != nil {
		return nil, c.notDeployed(err)
	}
	return asStage(&d.Stage), nil
}

func (c *call) getStage() (any, error) {
	s, err := c.Plane.Stage(c.ctx, c.actor, c.args["restapi_id"], c.args["stage_name"])
	if err != nil {
		return nil, c.notDeployed(err)
	}
	return asStage(&s), nil
}

func (c *call) getStages() (any, error) {
	all, err := c.Plane.Stages(c.ctx, c.actor, c.args["restapi_id"])
	if err != nil {
		return nil, c.noAPI(err)
	}
	out, only := []stage{}, c.query.Get("deploymentId")
	for i := range all {
		if only == "" || all[i].DeploymentID == only {
			out = append(out, asStage(&all[i]))
		}
	}
	return list{Item: out}, nil
}

func (c *call) updateStage() (any, error) {
	steps, err := c.patches()
	if err != nil {
		return nil, err
	}
	d, err := c.Plane.UpdateStage(c.ctx, c.actor, c.args["restapi_id"], c.args["stage_name"], func(e *control.StageEdit) error {
		for i := range steps {
			if err := patchStage(&steps[i], e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, c.notDeployed(err)
	}
	return asStage(&d.Stage), nil
}

func (c *call) deleteStage() (any, error) {
	return nil, c.notDeployed(c.Plane.DeleteStage(c.ctx, c.actor, c.args["restapi_id"], c.args["stage_name"]))
}

func (c *call) flushStage() (any, error) {
	return nil, c.notDeployed(c.Plane.FlushStageCache(c.ctx, c.actor, c.args["restapi_id"], c.args["stage_name"]))
}

func (c *call) flushAuthorizers() (any, error) {
	return nil, c.notDeployed(c.Plane.FlushStageAuthorizers(c.ctx, c.actor, c.args["restapi_id"], c.args["stage_name"]))
}

// stagePaths is the service's list of what can be patched, as it prints it, with
// commas and a path missing.
const stagePaths = "/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, /accessLogSettings, /accessLogSettings/destinationArn, /accessLogSettings/format, " +
	"/{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/dataTrace, /{resourcePath}/{httpMethod}/logging/loglevel, " +
	"/{resourcePath}/{httpMethod}/throttling/burstLimit/{resourcePath}/{httpMethod}/throttling/rateLimit/{resourcePath}/{httpMethod}/caching/ttlInSeconds, " +
	"/{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, /{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, " +
	"/{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, /*/*/metrics/enabled, /*/*/logging/dataTrace, /*/*/logging/loglevel, " +
	"/*/*/throttling/burstLimit /*/*/throttling/rateLimit /*/*/caching/ttlInSeconds, /*/*/caching/enabled, /*/*/caching/dataEncrypted, " +
	"/*/*/caching/requireAuthorizationForCacheControl, /*/*/caching/unauthorizedCacheControlHeaderStrategy, /variables/{variable_name}, /tracingEnabled"

const (
	accessLogPath = "/accessLogSettings"
	canaryPath    = "/canarySettings"
	overridesPath = canaryPath + "/stageVariableOverrides/"
	variablesPath = "/variables/"
	extrasPath    = "/tollgate/" // of settings that the service has none of
)

// patchStage applies one step of a PATCH. A stage refuses paths in words of its
// own, so it has no table of rules.
func patchStage(p *patchOp, e *control.StageEdit) error {
	path := p.path()
	switch p.Op {
	case "remove":
		return patchStageRemove(path, e)
	case "copy":
		return promote(p, e)
	case "add", "replace":
	default:
		return badRequest("Invalid patch operation specified. Must be one of: [add, remove, replace, copy]")
	}
	switch {
	case path == accessLogPath || strings.HasPrefix(path, accessLogPath+"/"):
		return patchAccessLog(path, p.value(), e)
	case strings.HasPrefix(path, canaryPath) && p.Op == "add":
		return badRequest("Invalid add operation with path: %s", path)
	case strings.HasPrefix(path, canaryPath+"/"):
		return patchCanary(path, p.value(), e)
	case strings.HasPrefix(path, extrasPath):
		return patchStageExtra(path[len(extrasPath):], p.value(), e)
	case strings.HasPrefix(path, variablesPath):
		setVariable(&e.Variables, path[len(variablesPath):], p.value())
		return nil
	}
	return patchStageField(path, p.value(), e)
}

func patchStageField(path, value string, e *control.StageEdit) (err error) {
	switch path {
	case "/deploymentId":
		e.DeploymentID = value
	case "/description":
		e.Description = value
	case "/documentationVersion":
		e.DocumentationVersion = value
	case "/clientCertificateId":
		e.ClientCertificateID = value
	case "/tracingEnabled":
		e.TracingEnabled, err = patchBool(path, value)
	case "/cacheClusterEnabled":
		var on bool
		on, err = patchBool(path, value)
		setCache(&e.StageSettings, &on, "")
	case "/cacheClusterSize":
		e.CacheClusterSize = value
	default:
		return patchMethodSetting(path, value, e)
	}
	return err
}

func patchStageExtra(name, value string, e *control.StageEdit) (err error) {
	if name == "routeNotFound" {
		e.RouteNotFound, err = patchBool(extrasPath+name, value)
		return err
	}
	if name == "rateLimitHeaders" {
		e.RateLimitHeaders, err = patchBool(extrasPath+name, value)
		return err
	}
	if field, ok := strings.CutPrefix(name, "cors/"); ok {
		return e.SetCORS(field, value)
	}
	if name == "traceOneIn" {
		if e.TraceOneIn, err = strconv.Atoi(value); err != nil {
			return badRequest("Invalid value %.100q for %s%s: it is a number of calls", value, extrasPath, name)
		}
		return nil
	}
	return badRequest("Invalid path %s%s. Must be one of: [/tollgate/routeNotFound, /tollgate/rateLimitHeaders, /tollgate/traceOneIn, /tollgate/cors/{allowOrigins, allowMethods, allowHeaders, exposeHeaders, allowCredentials, maxAge}]", extrasPath, name)
}

func patchAccessLog(path, value string, e *control.StageEdit) error {
	l := model.AccessLogSettings{}
	if e.AccessLog != nil {
		l = *e.AccessLog
	}
	switch path {
	case accessLogPath + "/destinationArn":
		l.DestinationARN = value
	case accessLogPath + "/format":
		l.Format = value
	default:
		return badRequest("Invalid accessLogSettings path. Must be one of : [/accessLogSettings/destinationArn, /accessLogSettings/format]")
	}
	if value == "" {
		return badRequest("Access Log value must not be empty")
	}
	e.AccessLog = &l
	return nil
}

// patchCanary changes the canary; the first change makes one of what the stage
// itself serves.
func patchCanary(path, value string, e *control.StageEdit) (err error) {
	k := model.CanarySettings{DeploymentID: e.DeploymentID}
	if e.Canary != nil {
		k = *e.Canary
	}
	switch {
	case path == canaryPath+"/deploymentId":
		k.DeploymentID = value
	case path == canaryPath+"/percentTraffic":
		if k.PercentTraffic, err = strconv.ParseFloat(value, 64); err != nil {
			return badRequest("Invalid value %s for %s: it is a number between 0.0 and 100.0", value, path)
		}
	case path == canaryPath+"/useStageCache":
		if k.UseStageCache, err = patchBool(path, value); err != nil {
			return err
		}
	case strings.HasPrefix(path, overridesPath):
		setVariable(&k.Overrides, path[len(overridesPath):], value)
	default:
		return noStagePath(path)
	}
	e.Canary = &k
	return nil
}

func setVariable(vars *map[string]string, name, value string) {
	if *vars == nil {
		*vars = map[string]string{}
	}
	(*vars)[unescapePatch.Replace(name)] = value
}

// promote copies the canary's deployment or variables to the stage itself.
func promote(p *patchOp, e *control.StageEdit) error {
	deployment := p.path() == "/deploymentId" && p.From == canaryPath+"/deploymentId"
	variables := p.path() == "/variables" && p.From == canaryPath+"/stageVariableOverrides"
	switch {
	case !deployment && !variables:
		return badRequest("Invalid copy operation with path: %s and from %s", p.path(), p.From)
	case e.Canary == nil:
		return badRequest("Promotion not available. Canary does not exist.")
	case deployment:
		e.DeploymentID = e.Canary.DeploymentID
	default:
		for k, v := range e.Canary.Overrides {
			setVariable(&e.Variables, k, v)
		}
	}
	return nil
}

func patchStageRemove(path string, e *control.StageEdit) error {
	key := strings.TrimPrefix(path, "/")
	switch {
	case path == accessLogPath:
		e.AccessLog = nil
		return nil
	case path == canaryPath:
		e.Canary = nil
		return nil
	case path == extrasPath+"cors":
		e.CORS = nil
		return nil
	case strings.HasPrefix(path, variablesPath):
		delete(e.Variables, unescapePatch.Replace(path[len(variablesPath):]))
		return nil
	case strings.HasPrefix(path, overridesPath) && e.Canary != nil:
		name := unescapePatch.Replace(path[len(overridesPath):])
		if _, ok := e.Canary.Overrides[name]; ok {
			delete(e.Canary.Overrides, name)
			return nil
		}
	}
	if _, ok := e.MethodSettings[key]; ok {
		delete(e.MethodSettings, key)
		return nil
	}
	return badRequest("Cannot remove method setting %s because there is no method setting for this method ", key)
}

func noStagePath(path string) error {
	return badRequest("Invalid method setting path: %s. Must be one of: [%s]", path, stagePaths)
}

// patchMethodSetting sets one value at /{path}/{VERB}/{group}/{name}. "/" in the
// path is "~1"; clients send it as it is, too.
func patchMethodSetting(path, value string, e *control.StageEdit) (err error) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	n := len(parts) - 2
	if n < 2 || !strings.HasPrefix(path, "/") {
		return noStagePath(path)
	}
	key := strings.Join(parts[:n], "/")
	if _, _, ok := model.SettingMethod(key); !ok {
		return noStagePath(path)
	}
	m := e.Setting(key)
	switch parts[n] + "/" + parts[n+1] {
	case "metrics/enabled":
		m.MetricsEnabled, err = patchBool(path, value)
	case "logging/dataTrace":
		m.DataTraceEnabled, err = patchBool(path, value)
	case "logging/loglevel", "logging/logLevel":
		m.LoggingLevel = value
	case "throttling/burstLimit":
		m.ThrottlingBurstLimit, err = patchInt(path, value)
	case "throttling/rateLimit":
		if m.ThrottlingRateLimit, err = strconv.ParseFloat(value, 64); err != nil {
			err = badRequest("Invalid value %s for %s: it is a number", value, path)
		}
	case "caching/enabled":
		m.CachingEnabled, err = patchBool(path, value)
	case "caching/ttlInSeconds":
		m.CacheTTLSeconds, err = patchInt(path, value)
	case "caching/dataEncrypted":
		m.CacheDataEncrypted, err = patchBool(path, value)
	case "caching/requireAuthorizationForCacheControl":
		m.RequireAuthorizationForCacheControl, err = patchBool(path, value)
	case "caching/unauthorizedCacheControlHeaderStrategy":
		m.UnauthorizedCacheControlHeaderStrategy = value
	default:
		return noStagePath(path)
	}
	e.Set(key, m)
	return err
}

func patchBool(path, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badRequest("Invalid value %s for %s: it is true or false", value, path)
}

func patchInt(path, value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, badRequest("Invalid value %s for %s: it is a whole number", value, path)
	}
	return n, nil
}
