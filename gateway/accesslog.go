package gateway

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"tollgate/gateway/accesslog"
	"tollgate/gateway/calllog"
	"tollgate/gateway/http1"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// accessLog is a stage's, compiled once.
type accessLog struct {
	parts []logPart
	quote func(dst []byte, value string) []byte // as the format's own notation wants it
	dest  *accesslog.Dest
	share *calllog.Stage
}

// logPart is text, or a variable.
type logPart struct {
	text  string
	value func(l *logLine) string // "": there is none
	raw   bool                    // the value is quoted as it is
}

// logLine is a call at its end.
type logLine struct {
	c        *call
	x        *http1.Exchange
	status   int
	out, end int64
	context  *vtl.Map // made when it is asked for
}

// accessLogOf is the one that a stage is set to have; nil: none.
func (g *Gateway) accessLogOf(t *tenant, cfg *model.StageConfig, share *calllog.Stage) (*accessLog, error) {
	if cfg.AccessLog == nil {
		return nil, nil
	}
	parts, err := model.ParseLogFormat(cfg.AccessLog.Format)
	if err != nil {
		return nil, fmt.Errorf("its access log: %s", model.MessageOf(err))
	}
	a := &accessLog{share: share, quote: quoteJSON}
	if strings.HasPrefix(strings.TrimSpace(cfg.AccessLog.Format), "<") {
		a.quote = quoteXML
	}
	if a.dest, err = g.sinks.Open(t.account, cfg.AccessLog.DestinationARN); err != nil {
		return nil, fmt.Errorf("its access log: %s", model.MessageOf(err))
	}
	for _, p := range parts {
		part := logPart{text: p.Text}
		if name := p.Variable; name != "" {
			part.value = logVariables[name]
			part.raw = name == "error.messageString"
			if part.value == nil {
				part.value = func(l *logLine) string { return l.lookUp(name) }
			}
		}
		a.parts = append(a.parts, part)
	}
	return a, nil
}

// write writes a call's line.
func (a *accessLog) write(c *call, x *http1.Exchange, status int, out, end int64) {
	l := logLine{c: c, x: x, status: status, out: out, end: end}
	line := make([]byte, 0, 512)
	for i := range a.parts {
		p := &a.parts[i]
		if p.value == nil {
			line = append(line, p.text...)
			continue
		}
		switch v := p.value(&l); {
		case v == "":
			line = append(line, '-')
		case p.raw:
			line = append(line, v...)
		default:
			line = a.quote(line, v)
		}
	}
	// A format of several lines is one line of the log.
	a.dest.Write(bytes.ReplaceAll(bytes.ReplaceAll(line, []byte("\r"), nil), []byte("\n"), []byte(" ")), a.share)
}

// quoteJSON escapes a value as within a JSON text: that keeps one from ending its line
// or its quotes in any notation but XML.
func quoteJSON(dst []byte, v string) []byte {
	q := jsonText(v)
	return append(dst, q[1:len(q)-1]...)
}

func quoteXML(dst []byte, v string) []byte {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(v)) // into memory
	return append(dst, b.Bytes()...)
}

// lookUp finds a variable that templates have too.
func (l *logLine) lookUp(name string) string {
	if l.c.variant == nil {
		return ""
	}
	if l.context == nil {
		l.context = l.c.context(l.x)
	}
	m := l.context
	for {
		if v, ok := m.Get(name); ok {
			return logText(v)
		}
		first, rest, ok := strings.Cut(name, ".")
		if !ok {
			return ""
		}
		v, _ := m.Get(first)
		inner, ok := v.(*vtl.Map)
		if !ok {
			return ""
		}
		m, name = inner, rest
	}
}

func logText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case *vtl.Map:
		return "" // as on Amazon API Gateway, only what is in it has a value
	}
	return fmt.Sprint(v)
}

// millis is a duration as logs have it.
func millis(ns int64) string { return strconv.FormatInt(ns/1e6, 10) }

// answered is the status of the integration's answer; 0: it gave none.
func (l *logLine) answered() int {
	if l.c.waited(l.x, l.end) == 0 || l.c.kind != 0 {
		return 0
	}
	return l.x.Response.Code
}

func statusText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (l *logLine) integrationLatency() string {
	if us := l.c.waited(l.x, l.end); us > 0 {
		return strconv.FormatUint(uint64(us)/1000, 10)
	}
	return ""
}

func (l *logLine) integrationError() string {
	if l.c.kind != 0 && l.c.waited(l.x, l.end) > 0 {
		return l.c.reason()
	}
	return ""
}

// refusedBy is why a call was not let in, by one of the kinds.
func (l *logLine) refusedBy(kinds ...kind) string {
	for _, k := range kinds {
		if l.c.kind == k {
			return string(l.c.scrub(l.x, []byte(l.c.reason())))
		}
	}
	return ""
}

func (l *logLine) errorMessage() string {
	if l.c.kind == 0 {
		return ""
	}
	if l.c.message != "" {
		return l.c.message
	}
	return answers[l.c.kind].message
}

// basePath is what of the path a custom domain's mapping took away.
func (l *logLine) basePath() string {
	r := &l.x.Request
	path := r.Path.Of(l.x.In)
	if bytes.HasPrefix(path, []byte(pathStyle)) || hostAPI(r.Host.Of(l.x.In)) != nil || !bytes.HasSuffix(path, l.c.path) {
		return ""
	}
	return strings.Trim(string(path[:len(path)-len(l.c.path)]), "/")
}

// logVariables are those that only logs have, and those that logs must not have as they
// are.
var logVariables = map[string]func(l *logLine) string{
	"requestId":         func(l *logLine) string { return l.c.id.String() },
	"extendedRequestId": func(l *logLine) string { return string(l.c.appendExtendedID(nil)) },
	"status":            func(l *logLine) string { return strconv.Itoa(l.status) },
	"responseLength":    func(l *logLine) string { return strconv.FormatInt(max(0, l.out-int64(l.c.headLen)), 10) },
	"responseLatency":   func(l *logLine) string { return millis(l.end - l.x.Begun) },
	"dataProcessed":     func(l *logLine) string { return strconv.FormatInt(l.x.BytesIn+l.out, 10) },

	"integrationLatency":            (*logLine).integrationLatency,
	"integration.latency":           (*logLine).integrationLatency,
	"integrationStatus":             func(l *logLine) string { return statusText(l.answered()) },
	"integration.status":            func(l *logLine) string { return statusText(l.answered()) },
	"integration.integrationStatus": func(l *logLine) string { return statusText(l.answered()) },
	"integration.requestId":         func(l *logLine) string { return l.c.endpointID },
	"integrationErrorMessage":       (*logLine).integrationError,
	"integration.error":             (*logLine).integrationError,

	"error.message": (*logLine).errorMessage,
	"error.messageString": func(l *logLine) string {
		if m := l.errorMessage(); m != "" {
			return string(jsonText(m))
		}
		return ""
	},
	"error.responseType": func(l *logLine) string { return answers[l.c.kind].name },
	"error.validationErrorString": func(l *logLine) string {
		return l.c.detail
	},
	"authorize.error":    func(l *logLine) string { return l.refusedBy(accessDenied) },
	"authorizer.error":   func(l *logLine) string { return l.refusedBy(authorizerFailure, authorizerConfiguration) },
	"authenticate.error": func(l *logLine) string { return l.refusedBy(unauthorized, expiredToken, invalidSignature) },

	"customDomain.basePathMatched": (*logLine).basePath,
	"xrayTraceId":                  func(l *logLine) string { return l.c.traceID(l.x) },
	// Never the value of a key: whoever reads logs could call with it.
	"identity.apiKey": func(l *logLine) string {
		key := l.x.Request.APIKey.Of(l.x.In)
		if l.c.known == nil || len(key) < 12 {
			return ""
		}
		return hidden + string(key[len(key)-4:])
	},
	"identity.apiKeyId": func(l *logLine) string {
		if l.c.known == nil {
			return ""
		}
		return l.c.known.id
	},
	"identity.sourceIp":  func(l *logLine) string { return l.x.RemoteIP },
	"identity.userAgent": func(l *logLine) string { return string(header(l.x, "User-Agent")) },
	"tlsVersion": func(l *logLine) string {
		if l.x.Peer == nil {
			return ""
		}
		return tlsVersion(l.x.Peer.Version)
	},
	"cipherSuite": func(l *logLine) string {
		if l.x.Peer == nil {
			return ""
		}
		return cipherSuite(l.x.Peer.Cipher)
	},
	"httpMethod": func(l *logLine) string { return string(l.c.verb(l.x)) },
	"accountId":  func(l *logLine) string { return l.c.tenant.account },
	"apiId":      func(l *logLine) string { return l.c.stage.cfg.APIID },
	"stage":      func(l *logLine) string { return l.c.stage.cfg.Stage },
	"resourcePath": func(l *logLine) string {
		if l.c.run == nil {
			return ""
		}
		return l.lookUp("resourcePath")
	},
}
