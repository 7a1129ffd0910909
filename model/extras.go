package model

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// CORS makes a stage answer preflights by itself, and lets pages of other origins read
// its answers, those that the gateway makes included. Fields are those of Amazon API
// Gateway's HTTP APIs; on a REST API's stage this is our own.
type CORS struct {
	AllowOrigins     []string `json:"allowOrigins"` // "*", "https://app.example.com", or "https://*.example.com"
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
	MaxAge           int      `json:"maxAge,omitempty"` // seconds; 0: the browser's own
}

// Limits of a stage's CORS settings.
const (
	maxCORSItems = 100
	maxCORSText  = 256
	maxCORSAge   = 86_400
)

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// Validate reports the first thing that the settings cannot be.
func (c *CORS) Validate() error {
	if len(c.AllowOrigins) == 0 {
		return Errorf(Invalid, "CORS settings name at least one origin, such as https://app.example.com, or *")
	}
	for _, list := range []struct {
		what  string
		items []string
	}{{"origins", c.AllowOrigins}, {"methods", c.AllowMethods}, {"headers", c.AllowHeaders}, {"exposed headers", c.ExposeHeaders}} {
		if len(list.items) > maxCORSItems {
			return Errorf(Limit, "CORS settings have %d %s; at most %d are allowed", len(list.items), list.what, maxCORSItems)
		}
		for _, s := range list.items {
			ok := len(s) <= maxCORSText && token.MatchString(s)
			if list.what == "origins" {
				ok = len(s) <= maxCORSText && isOrigin(s)
			}
			if !ok {
				return Errorf(Invalid, "%.260q cannot be among the %s of CORS settings", s, list.what)
			}
		}
	}
	if c.AllowCredentials && (slices.Contains(c.AllowOrigins, "*") || slices.Contains(c.AllowMethods, "*") || slices.Contains(c.AllowHeaders, "*") || slices.Contains(c.ExposeHeaders, "*")) {
		return Errorf(Invalid, "CORS settings that allow credentials name their origins, methods and headers: browsers take * for none of them")
	}
	if c.MaxAge < 0 || c.MaxAge > maxCORSAge {
		return Errorf(Invalid, "the maximum age of CORS settings is %d seconds; it is between 0 and %d", c.MaxAge, maxCORSAge)
	}
	return nil
}

// isOrigin says that s is "*", "null", or a scheme with a host whose first label may be
// "*".
func isOrigin(s string) bool {
	if s == "*" || s == "null" {
		return true
	}
	scheme, host, ok := strings.Cut(s, "://")
	host = strings.TrimPrefix(host, "*.")
	u, err := url.Parse(scheme + "://" + host)
	return ok && scheme != "" && err == nil && u.Host == host && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(host, "*/?# \t\r\n,;\"")
}

// SetCORS changes one of a stage's CORS settings by the name that documents give it;
// lists are written with commas.
func (s *StageSettings) SetCORS(name, value string) error {
	c := CORS{}
	if s.CORS != nil {
		c = *s.CORS
	}
	list := func() (out []string) {
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		return out
	}
	var err error
	switch name {
	case "allowOrigins":
		c.AllowOrigins = list()
	case "allowMethods":
		c.AllowMethods = list()
	case "allowHeaders":
		c.AllowHeaders = list()
	case "exposeHeaders":
		c.ExposeHeaders = list()
	case "allowCredentials":
		c.AllowCredentials, err = strconv.ParseBool(value)
	case "maxAge":
		c.MaxAge, err = strconv.Atoi(value)
	default:
		return Errorf(Invalid, "CORS settings are allowOrigins, allowMethods, allowHeaders, exposeHeaders, allowCredentials and maxAge, not %.100q", name)
	}
	if err != nil {
		return Errorf(Invalid, "%.100q is no value for %s", value, name)
	}
	s.CORS = &c
	return nil
}
