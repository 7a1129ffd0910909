package model

import (
	"encoding/json"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// StageSettings are what a stage decides by itself, in effect without a
// deployment. Fields are those of Amazon API Gateway's stage.
type StageSettings struct {
	Description string            `json:"description,omitempty"`
	Variables   map[string]string `json:"variables,omitempty"`
	// MethodSettings are by "{path}/{VERB}", "/" in the path written "~1", or "*/*"
	// for every method without settings of its own.
	MethodSettings       map[string]MethodSetting `json:"methodSettings,omitempty"`
	AccessLog            *AccessLogSettings       `json:"accessLogSettings,omitempty"`
	Canary               *CanarySettings          `json:"canarySettings,omitempty"`
	CacheClusterEnabled  bool                     `json:"cacheClusterEnabled,omitempty"`
	CacheClusterSize     string                   `json:"cacheClusterSize,omitempty"`
	DocumentationVersion string                   `json:"documentationVersion,omitempty"`
	TracingEnabled       bool                     `json:"tracingEnabled,omitempty"`
	// TraceOneIn says of how many calls, by chance, one's way is written down for the
	// call log. 0: DefaultTraceOneIn; -1: of none. It is not Amazon's.
	TraceOneIn   int `json:"traceOneIn,omitempty"`
	CacheFlushes int `json:"cacheFlushes,omitempty"` // how often the cache was emptied
	// AuthorizerFlushes counts how often what authorizers said was to be forgotten.
	AuthorizerFlushes   uint64 `json:"authorizerFlushes,omitempty"`
	ClientCertificateID string `json:"clientCertificateId,omitempty"` // shown to back ends
	// RouteNotFound answers calls that no method is for with 404; otherwise it is 403, as
	// on Amazon API Gateway. This and CORS are our own.
	RouteNotFound bool  `json:"routeNotFound,omitempty"`
	CORS          *CORS `json:"cors,omitempty"`
	// RateLimitHeaders tells callers what is left of their limits, in RateLimit and
	// RateLimit-Policy, and when to come again after a 429. Amazon's has none.
	RateLimitHeaders bool `json:"rateLimitHeaders,omitempty"`
}

// DefaultTraceOneIn is of a stage that says nothing else, MaxTraceOneIn the rarest.
const (
	DefaultTraceOneIn = 1000
	MaxTraceOneIn     = 1_000_000
)

// MethodSetting is how one method behaves on a stage. The gateway acts on its
// throttle: see Throttle.
type MethodSetting struct {
	MetricsEnabled                         bool    `json:"metricsEnabled"`
	LoggingLevel                           string  `json:"loggingLevel,omitempty"` // OFF, ERROR or INFO
	DataTraceEnabled                       bool    `json:"dataTraceEnabled"`
	ThrottlingBurstLimit                   int     `json:"throttlingBurstLimit"` // -1: as large as the rate
	ThrottlingRateLimit                    float64 `json:"throttlingRateLimit"`  // -1: no throttle
	CachingEnabled                         bool    `json:"cachingEnabled"`
	CacheTTLSeconds                        int     `json:"cacheTtlInSeconds"`
	CacheDataEncrypted                     bool    `json:"cacheDataEncrypted"`
	RequireAuthorizationForCacheControl    bool    `json:"requireAuthorizationForCacheControl"`
	UnauthorizedCacheControlHeaderStrategy string  `json:"unauthorizedCacheControlHeaderStrategy"`
}

// AccessLogSettings say where a stage's access log goes, and what is in a line.
type AccessLogSettings struct {
	Format         string `json:"format,omitempty"`
	DestinationARN string `json:"destinationArn,omitempty"`
}

// CanarySettings send a share of a stage's calls to another deployment.
type CanarySettings struct {
	PercentTraffic float64           `json:"percentTraffic"`
	DeploymentID   string            `json:"deploymentId,omitempty"`
	Overrides      map[string]string `json:"stageVariableOverrides,omitempty"`
	UseStageCache  bool              `json:"useStageCache"`
}

// EveryMethod is the key of the settings of methods that have none of their own.
const EveryMethod = "*/*"

// Limits of a stage's settings. Those of variables are Amazon's.
const (
	MaxStageVariables      = 100
	MaxStageVariableName   = 64
	MaxStageVariableValue  = 512
	MaxMethodSettings      = 10_000
	MaxMethodSettingKey    = 2048
	MaxStageDescription    = 1024
	MaxAccessLogFormat     = 3072
	MaxStageText           = 2048
	MaxCacheTTLSeconds     = 3600
	MaxStageSettingsBytes  = 4 << 20
	maxThrottle            = 1e9
	defaultThrottlingBurst = 5000
	defaultThrottlingRate  = 10_000
)

// Names of values that settings can have.
var (
	LoggingLevels     = []string{"OFF", "ERROR", "INFO"}
	CacheClusterSizes = []string{"0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"}
	CacheStrategies   = []string{"FAIL_WITH_403", "SUCCEED_WITH_RESPONSE_HEADER", "SUCCEED_WITHOUT_RESPONSE_HEADER"}
)

// DefaultMethodSetting is what a method's settings are where nothing was said.
func DefaultMethodSetting() MethodSetting {
	return MethodSetting{ThrottlingBurstLimit: defaultThrottlingBurst, ThrottlingRateLimit: defaultThrottlingRate, CacheTTLSeconds: 300,
		RequireAuthorizationForCacheControl: true, UnauthorizedCacheControlHeaderStrategy: "SUCCEED_WITH_RESPONSE_HEADER"}
}

// Setting is what is set for a key, or what a first change of it starts from.
func (s *StageSettings) Setting(key string) MethodSetting {
	if m, ok := s.MethodSettings[key]; ok {
		return m
	}
	if m, ok := s.MethodSettings[EveryMethod]; ok {
		return m
	}
	return DefaultMethodSetting()
}

// Set sets what Setting reads.
func (s *StageSettings) Set(key string, m MethodSetting) {
	if s.MethodSettings == nil {
		s.MethodSettings = map[string]MethodSetting{}
	}
	s.MethodSettings[key] = m
}

// Throttle is the bucket that the settings give a method; nil: none.
func (m *MethodSetting) Throttle() *Throttle {
	if m.ThrottlingRateLimit < 0 {
		return nil
	}
	t := &Throttle{Rate: m.ThrottlingRateLimit, Burst: m.ThrottlingBurstLimit}
	if t.Burst < 0 {
		t.Burst = int(math.Ceil(t.Rate))
	}
	return t
}

// Throttle is the bucket of every method without settings of its own; nil: none.
func (s *StageSettings) Throttle() *Throttle {
	if m, ok := s.MethodSettings[EveryMethod]; ok {
		return m.Throttle()
	}
	return nil
}

// SetThrottle changes what Throttle reads; nil removes it.
func (s *StageSettings) SetThrottle(t *Throttle) {
	m := s.Setting(EveryMethod)
	if t != nil {
		m.ThrottlingRateLimit, m.ThrottlingBurstLimit = t.Rate, t.Burst
		s.Set(EveryMethod, m)
		return
	}
	rest := DefaultMethodSetting()
	rest.ThrottlingRateLimit, rest.ThrottlingBurstLimit = m.ThrottlingRateLimit, m.ThrottlingBurstLimit
	if m == rest { // nothing else was said
		delete(s.MethodSettings, EveryMethod)
		return
	}
	m.ThrottlingRateLimit, m.ThrottlingBurstLimit = -1, -1
	s.Set(EveryMethod, m)
}

// OwnThrottles counts the keys that name one method.
func (s *StageSettings) OwnThrottles() int {
	n := len(s.MethodSettings)
	if _, ok := s.MethodSettings[EveryMethod]; ok {
		n--
	}
	return n
}

var unescapeKey = strings.NewReplacer("~1", "/", "~0", "~")

// SettingMethod is the path and the verb that a key of MethodSettings names: of
// "~1pets~1{id}/GET", and as well of "pets/{id}/GET", "/pets/{id}" and "GET".
func SettingMethod(key string) (path, verb string, ok bool) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return "", "", false
	}
	path, verb = key[:i], key[i+1:]
	if key == EveryMethod {
		return path, verb, true
	}
	j := sort.SearchStrings(Verbs, verb)
	if j == len(Verbs) || Verbs[j] != verb || path == "*" {
		return "", "", false
	}
	return "/" + strings.Trim(unescapeKey.Replace(path), "/"), verb, true
}

// Configure puts into a node's configuration what the gateway acts on.
func (s *StageSettings) Configure(c *StageConfig) {
	c.Throttle, c.Variables, c.AuthorizerFlushes, c.Cache = s.Throttle(), s.Variables, s.AuthorizerFlushes, s.cache()
	c.RouteNotFound, c.CORS, c.RateLimitHeaders = s.RouteNotFound, s.CORS, s.RateLimitHeaders
	for _, key := range sortedNames(s.MethodSettings) {
		path, verb, ok := SettingMethod(key)
		if !ok || key == EveryMethod {
			continue
		}
		if c.Throttles == nil {
			c.Throttles = map[string]*Throttle{}
		}
		m := s.MethodSettings[key]
		// "~1pets/GET" comes after "pets/GET" and wins.
		c.Throttles[MethodKey(path, verb)] = m.Throttle()
	}
	s.configureLogs(c)
	if k := s.Canary; k != nil && k.DeploymentID != "" {
		c.Canary = &CanaryConfig{DeploymentID: k.DeploymentID, Percent: k.PercentTraffic, Overrides: k.Overrides}
	}
}

func (s *StageSettings) configureLogs(c *StageConfig) {
	c.TraceOneIn, c.Tracing, c.Metrics = s.TraceOneIn, s.TracingEnabled, s.metrics()
	if l := s.AccessLog; l != nil && l.Format != "" && l.DestinationARN != "" {
		c.AccessLog = l
	}
	every := s.MethodSettings[EveryMethod].logs()
	for _, key := range sortedNames(s.MethodSettings) {
		m := s.MethodSettings[key]
		name := key
		if path, verb, ok := SettingMethod(key); ok && key != EveryMethod {
			name = MethodKey(path, verb)
		}
		if !m.logs() && !every {
			continue
		}
		if c.Logging == nil {
			c.Logging = map[string]*CallLogging{}
		}
		c.Logging[name] = nil // none, whatever there is for every method
		if m.logs() {
			c.Logging[name] = &CallLogging{Info: m.LoggingLevel == "INFO", Data: m.DataTraceEnabled}
		}
	}
}

func (m MethodSetting) logs() bool { return m.LoggingLevel == "INFO" || m.LoggingLevel == "ERROR" }

// metrics says whose metrics are kept apart; nil: nobody's.
func (s *StageSettings) metrics() map[string]bool {
	out, any := map[string]bool{}, false
	for _, key := range sortedNames(s.MethodSettings) {
		name := key
		if path, verb, ok := SettingMethod(key); ok && key != EveryMethod {
			name = MethodKey(path, verb)
		}
		out[name] = s.MethodSettings[key].MetricsEnabled
		any = any || out[name]
	}
	if !any {
		return nil
	}
	return out
}

// MetricsOf says whether a method is measured by itself, by its MethodKey.
func (c *StageConfig) MetricsOf(key string) bool {
	if on, ok := c.Metrics[key]; ok {
		return on
	}
	return c.Metrics[EveryMethod]
}

// LoggingOf is how a method's calls are written down, by its MethodKey; nil: by chance
// only.
func (c *StageConfig) LoggingOf(key string) *CallLogging {
	if l, ok := c.Logging[key]; ok {
		return l
	}
	return c.Logging[EveryMethod]
}

// cache is what nodes know of the stage's cache; nil: it has none.
func (s *StageSettings) cache() *CacheConfig {
	if !s.CacheClusterEnabled {
		return nil
	}
	gigabytes, err := strconv.ParseFloat(s.CacheClusterSize, 64)
	if err != nil {
		gigabytes = 0.5
	}
	out := &CacheConfig{Bytes: int64(gigabytes * (1 << 30)), Flushes: s.CacheFlushes, Shared: s.Canary != nil && s.Canary.UseStageCache, Methods: map[string]CacheSetting{}}
	for _, key := range sortedNames(s.MethodSettings) {
		m := s.MethodSettings[key]
		name := key
		if path, verb, ok := SettingMethod(key); ok && key != EveryMethod {
			name = MethodKey(path, verb)
		}
		out.Methods[name] = CacheSetting{Enabled: m.CachingEnabled, TTLSeconds: m.CacheTTLSeconds, Encrypted: m.CacheDataEncrypted,
			Guarded: m.RequireAuthorizationForCacheControl, Strategy: m.UnauthorizedCacheControlHeaderStrategy}
	}
	return out
}

// MethodKey is how throttles name a method: "/path/VERB".
func MethodKey(path, verb string) string { return strings.TrimSuffix(path, "/") + "/" + verb }

// ThrottleOf is the bucket of a method, by its MethodKey; nil: none.
func (c *StageConfig) ThrottleOf(key string) *Throttle {
	if t, ok := c.Throttles[key]; ok {
		return t
	}
	return c.Throttle
}

var (
	variableName  = regexp.MustCompile(`^[a-zA-Z0-9_]{1,64}$`)
	variableValue = regexp.MustCompile(`^[A-Za-z0-9\-._~:/?#&=,]{0,512}$`)
)

func validateVariables(what string, vars map[string]string) error {
	if len(vars) > MaxStageVariables {
		return Errorf(Limit, "%d %ss; at most %d are allowed", len(vars), what, MaxStageVariables)
	}
	for _, k := range sortedNames(vars) {
		if !variableName.MatchString(k) {
			return Errorf(Invalid, "%s name %.70q is not 1 to %d letters, digits and underscores", what, k, MaxStageVariableName)
		}
		if !variableValue.MatchString(vars[k]) {
			return Errorf(Invalid, "the value of %s %q is not at most %d letters, digits and characters of -._~:/?#&=,", what, k, MaxStageVariableValue)
		}
	}
	return nil
}

// Validate reports the first thing that settings cannot be.
func (s *StageSettings) Validate() error {
	for _, t := range []struct {
		what, value string
		most        int
	}{
		{"description", s.Description, MaxStageDescription}, {"documentation version", s.DocumentationVersion, MaxStageText},
	} {
		if len(t.value) > t.most {
			return Errorf(Invalid, "the stage's %s has %d bytes; at most %d are allowed", t.what, len(t.value), t.most)
		}
	}
	if l := s.AccessLog; l != nil && (len(l.Format) > MaxAccessLogFormat || len(l.DestinationARN) > MaxStageText) {
		return Errorf(Invalid, "an access log's format has at most %d bytes, its destination at most %d", MaxAccessLogFormat, MaxStageText)
	}
	if l := s.AccessLog; l != nil {
		if l.Format != "" {
			if _, err := ParseLogFormat(l.Format); err != nil {
				return err
			}
		}
		if l.DestinationARN != "" {
			if _, err := ParseLogDestination(l.DestinationARN); err != nil {
				return err
			}
		}
	}
	if n := s.TraceOneIn; n < -1 || n > MaxTraceOneIn {
		return Errorf(Invalid, "one call in %d cannot be traced: say -1 for none, 0 for one in %d, or 1 to %d", n, DefaultTraceOneIn, MaxTraceOneIn)
	}
	if z := s.CacheClusterSize; z != "" && !among(CacheClusterSizes, z) {
		return Errorf(Invalid, "cache cluster size %.20q is not one of %s", z, strings.Join(CacheClusterSizes, ", "))
	}
	if err := validateVariables("stage variable", s.Variables); err != nil {
		return err
	}
	if k := s.Canary; k != nil {
		if math.IsNaN(k.PercentTraffic) || k.PercentTraffic < 0 || k.PercentTraffic > 100 {
			return Errorf(Invalid, "percent traffic %v of the canary is not between 0 and 100", k.PercentTraffic)
		}
		if err := validateVariables("stage variable override", k.Overrides); err != nil {
			return err
		}
	}
	if s.CORS != nil {
		if err := s.CORS.Validate(); err != nil {
			return err
		}
	}
	if len(s.MethodSettings) > MaxMethodSettings {
		return Errorf(Limit, "the stage has settings for %d methods; at most %d are allowed", len(s.MethodSettings), MaxMethodSettings)
	}
	for _, key := range sortedNames(s.MethodSettings) {
		m := s.MethodSettings[key]
		if err := m.validate(key); err != nil {
			return err
		}
	}
	if b, err := json.Marshal(s); err != nil || len(b) > MaxStageSettingsBytes {
		return Errorf(Limit, "the stage's settings have more than %d bytes", MaxStageSettingsBytes)
	}
	return nil
}

func (m *MethodSetting) validate(key string) error {
	if _, _, ok := SettingMethod(key); !ok || len(key) > MaxMethodSettingKey {
		return Errorf(Invalid, "method setting %.200q does not name a path and a verb, or */*", key)
	}
	if math.IsNaN(m.ThrottlingRateLimit) || m.ThrottlingRateLimit < 0 && m.ThrottlingRateLimit != -1 || m.ThrottlingRateLimit > maxThrottle {
		return Errorf(Invalid, "method setting %s: the rate limit %v is neither -1 nor between 0 and 1,000,000,000 calls a second", key, m.ThrottlingRateLimit)
	}
	if m.ThrottlingBurstLimit < -1 || m.ThrottlingBurstLimit > maxThrottle {
		return Errorf(Invalid, "method setting %s: the burst limit %d is neither -1 nor between 0 and 1,000,000,000 calls", key, m.ThrottlingBurstLimit)
	}
	if m.CacheTTLSeconds < 0 || m.CacheTTLSeconds > MaxCacheTTLSeconds {
		return Errorf(Invalid, "method setting %s: the cache TTL %d is not between 0 and %d seconds", key, m.CacheTTLSeconds, MaxCacheTTLSeconds)
	}
	if m.LoggingLevel != "" && !among(LoggingLevels, m.LoggingLevel) {
		return Errorf(Invalid, "method setting %s: logging level %.20q is not one of %s", key, m.LoggingLevel, strings.Join(LoggingLevels, ", "))
	}
	if !among(CacheStrategies, m.UnauthorizedCacheControlHeaderStrategy) {
		return Errorf(Invalid, "method setting %s: strategy %.40q is not one of %s", key, m.UnauthorizedCacheControlHeaderStrategy, strings.Join(CacheStrategies, ", "))
	}
	return nil
}

func among(all []string, s string) bool {
	for _, v := range all {
		if v == s {
			return true
		}
	}
	return false
}
