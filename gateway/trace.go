package gateway

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/gateway/http1"
	"tollgate/model"
)

// trace is what happened on a call's way, worded as the execution log of Amazon API
// Gateway. A call without one costs nothing: whoever says something asks first whether
// there is one.
type trace struct {
	log    bytes.Buffer
	asked  time.Time          // when the integration was
	heard  bool               // its answer was said
	failed bool               // the gateway answered by itself
	set    *model.CallLogging // that asks for it; nil: chance does
	trial  bool               // of one who builds the method: everything is said, nothing is hidden
}

const (
	// maxTrace bounds a trace's text in bytes, while it is written; model.MaxCallTrace of
	// them are kept.
	maxTrace      = 64 << 10
	maxTraceEvent = 1024 // bytes of a body or of headers in it, as on Amazon API Gateway
)

// say adds a line with its time.
func (t *trace) say(format string, a ...any) {
	if t.log.Len() > maxTrace {
		return
	}
	t.log.WriteString(time.Now().UTC().Format("Mon Jan 02 15:04:05 UTC 2006"))
	t.log.WriteString(" : ")
	fmt.Fprintf(&t.log, format, a...)
	t.log.WriteByte('\n')
}

// traceRequest says what the endpoint is asked: head and body of an HTTP request.
func (c *call) traceRequest(x *http1.Exchange, req []byte) {
	t, key := c.trace, c.run.m.out.key
	scheme := "http"
	if key.TLS {
		scheme = "https"
	}
	head, body, _ := bytes.Cut(req, []byte("\r\n\r\n"))
	first, lines, _ := bytes.Cut(head, []byte("\r\n"))
	_, target, _ := strings.Cut(string(first), " ")
	target, _, _ = strings.Cut(target, " ")
	if !t.data() {
		target, _, _ = strings.Cut(target, "?")
	}
	uri := scheme + "://" + c.run.m.out.host + target
	if t.data() {
		headers := map[string]string{}
		for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
			if name, value, ok := bytes.Cut(line, []byte(": ")); ok {
				addText(headers, string(name), c.shown(string(name), string(value)))
			}
		}
		t.say("Endpoint request URI: %s", uri)
		t.say("Endpoint request headers: %s", braces(headers))
		t.say("Endpoint request body after transformations: %s", short(body))
	}
	t.say("Sending request to %s", uri)
	t.asked = time.Now()
	x.Heard = func() { c.traceResponse(x) }
}

// traceResponse says what the endpoint answered, but for its body.
func (c *call) traceResponse(x *http1.Exchange) {
	r := &x.Response
	headers := map[string]string{}
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		name := string(f.Name.Of(x.Up))
		addText(headers, name, c.shown(name, string(f.Value.Of(x.Up))))
	}
	c.trace.say("Received response. Status: %d, Integration latency: %d ms", r.Code, time.Since(c.trace.asked).Milliseconds())
	if c.trace.heard = true; !c.trace.data() {
		return
	}
	c.trace.say("Endpoint response headers: %s", braces(headers))
}

// traceFailure says why the gateway answers by itself.
func (c *call) traceFailure(k kind) {
	c.trace.failed = true
	what := "Execution failed: "
	switch k {
	case configurationError, malformedAnswer:
		what = "Execution failed due to configuration error: "
	case integrationTimeout:
		what = "Execution failed due to a timeout error: "
	}
	why := c.why
	for _, s := range []string{c.detail, c.message, answers[k].message} {
		if why == "" {
			why = s
		}
	}
	c.trace.say("%s%s", what, why)
}

func addText(m map[string]string, name, value string) {
	if v, ok := m[name]; ok {
		value = v + "," + value
	}
	m[name] = value
}

func short(b []byte) string {
	if len(b) <= maxTraceEvent {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.ToValidUTF8(string(b[:maxTraceEvent]), "") + " [TRUNCATED]"
}

// braces is a map as Java prints one.
func braces(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return "{" + short([]byte(strings.Join(parts, ", "))) + "}"
}
