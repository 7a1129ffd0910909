package gateway

import (
	"bytes"
	"strconv"
	"strings"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// cors are a stage's CORS settings, ready for their header lines to be appended.
type cors struct {
	any      bool     // every origin
	origins  []string // in lower case
	wild     [][2]string
	answer   []byte // lines of every answer to an allowed origin
	methods  string // "": those asked for
	headers  string // "": those asked for
	maxAge   string // a line
	echoed   bool   // the origin is named, never "*"
	allHeads bool   // any header that is asked for
}

// corsPrefix begins every header of CORS: with a stage's settings, an upstream's do not
// go on.
const corsPrefix = "access-control-"

// preflightRun answers preflights.
var preflightRun = &run{m: &method{}, steps: []step{(*call).preflight}, names: []string{"preflight"}}

// compileCORS is a stage's; nil: it has none.
func compileCORS(m *model.CORS) *cors {
	if m == nil {
		return nil
	}
	c := &cors{methods: strings.Join(m.AllowMethods, ", "), headers: strings.Join(m.AllowHeaders, ", "), echoed: m.AllowCredentials}
	for _, o := range m.AllowOrigins {
		o = strings.ToLower(o)
		if scheme, host, ok := strings.Cut(o, "://*."); ok {
			c.wild = append(c.wild, [2]string{scheme + "://", "." + host})
			continue
		}
		c.any = c.any || o == "*"
		c.origins = append(c.origins, o)
	}
	if c.methods == "*" {
		c.methods = ""
	}
	if c.headers == "*" {
		c.headers, c.allHeads = "", true
	}
	if m.AllowCredentials {
		c.answer = append(c.answer, "Access-Control-Allow-Credentials: true\r\n"...)
	}
	if len(m.ExposeHeaders) > 0 {
		c.answer = append(append(append(c.answer, "Access-Control-Expose-Headers: "...), strings.Join(m.ExposeHeaders, ", ")...), '\r', '\n')
	}
	if m.MaxAge > 0 {
		c.maxAge = "Access-Control-Max-Age: " + strconv.Itoa(m.MaxAge) + "\r\n"
	}
	return c
}

func (c *cors) allows(origin []byte) bool {
	if len(origin) == 0 {
		return false
	}
	if c.any {
		return true
	}
	for _, o := range c.origins {
		if http1.EqualFold(origin, o) {
			return true
		}
	}
	low := bytes.ToLower(origin)
	for _, w := range c.wild {
		if len(low) > len(w[0])+len(w[1]) && bytes.HasPrefix(low, []byte(w[0])) && bytes.HasSuffix(low, []byte(w[1])) && bytes.IndexByte(low[len(w[0]):], '/') < 0 {
			return true
		}
	}
	return false
}

// appendAnswer appends what lets a page of the call's origin read the answer.
func (c *cors) appendAnswer(dst []byte, x *http1.Exchange) []byte {
	origin := header(x, "Origin")
	star := c.any && !c.echoed
	if !star { // caches keep answers apart
		dst = append(dst, "Vary: Origin\r\n"...)
	}
	if !c.allows(origin) {
		return dst
	}
	dst = append(dst, "Access-Control-Allow-Origin: "...)
	if star {
		dst = append(dst, '*')
	} else {
		dst = append(dst, origin...)
	}
	return append(append(dst, "\r\n"...), c.answer...)
}

// asksPreflight says that a browser asks whether a page may make a call.
func asksPreflight(x *http1.Exchange) bool {
	return string(x.Request.Method.Of(x.In)) == "OPTIONS" && header(x, "Origin") != nil && header(x, "Access-Control-Request-Method") != nil
}

// preflight answers for the stage: nobody is authorized, and nothing is counted.
func (c *call) preflight(x *http1.Exchange) kind {
	s := c.stage.cors
	c.head = s.appendAnswer(c.appendID(c.head[:0]), x)
	if s.allows(header(x, "Origin")) {
		line := func(name string, value []byte) {
			c.head = append(append(append(append(c.head, name...), ": "...), value...), '\r', '\n')
		}
		if s.methods != "" {
			line("Access-Control-Allow-Methods", []byte(s.methods))
		} else {
			line("Access-Control-Allow-Methods", header(x, "Access-Control-Request-Method"))
		}
		if s.headers != "" {
			line("Access-Control-Allow-Headers", []byte(s.headers))
		} else if asked := header(x, "Access-Control-Request-Headers"); s.allHeads && asked != nil {
			line("Access-Control-Allow-Headers", asked)
		}
		c.head = append(c.head, s.maxAge...)
	}
	_ = x.Reply(204, c.head, nil)
	if c.noRec {
		c.noRec = false
		return unavailable
	}
	return proceed
}

func isCORS(name string) bool {
	return len(name) > len(corsPrefix) && strings.EqualFold(name[:len(corsPrefix)], corsPrefix)
}

// withoutCORS leaves out the lines of CORS.
func withoutCORS(lines []byte) []byte {
	var out []byte
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		if line := lines[:end]; len(line) < len(corsPrefix) || !http1.EqualFold(line[:len(corsPrefix)], corsPrefix) {
			out = append(out, line...)
		}
		lines = lines[end:]
	}
	return out
}
