package gateway

import (
	"bytes"
	"slices"
	"strings"

	"tollgate/gateway/http1"
	"tollgate/gateway/mapping"
	"tollgate/model"
)

// data says whether headers and bodies are written down too.
func (t *trace) data() bool { return t.trial || t.set != nil && t.set.Data }

// sayBody adds a line with a body, where those are asked for.
func (t *trace) sayBody(format string, body []byte) {
	if t.data() {
		t.say(format, short(body))
	}
}

// begins says what the call is.
func (c *call) begins(x *http1.Exchange) {
	t, r := c.trace, &x.Request
	t.say("Starting execution for request: %s", c.id)
	if c.run == nil {
		t.say("HTTP Method: %s, Path: %s", c.verb(x), c.path)
		return
	}
	t.say("HTTP Method: %s, Resource Path: %s", c.verb(x), c.resource())
	if r.Override.Len() > 0 {
		t.say("X-HTTP-Method-Override asks for it: the call was sent as %s", r.Method.Of(x.In))
	}
	if c.variant.canary {
		t.say("The call is one of the canary's: deployment %s", c.variant.prog.id)
	}
	if !t.data() {
		return
	}
	vars := map[string]string{}
	for _, v := range c.match.Vars[:c.match.N] {
		vars[v.Name] = string(c.path[v.Start:v.End])
	}
	t.say("Method request path: %s", braces(vars))
	query := map[string]string{}
	for part := range strings.SplitSeq(string(r.Query.Of(x.In)), "&") {
		if k, v, _ := strings.Cut(part, "="); k != "" {
			if c.secretQuery(k) {
				v = hidden
			}
			query[k] = v
		}
	}
	t.say("Method request query string: %s", braces(query))
	head := map[string][]string{}
	for i := range r.Fields[:r.N] {
		f := &r.Fields[i]
		name := string(f.Name.Of(x.In))
		head[name] = append(head[name], c.shown(name, string(f.Value.Of(x.In))))
	}
	t.say("Method request headers: %s", headerText(head))
}

// resource is the path of the call's resource.
func (c *call) resource() string {
	if i := c.match.Route; i >= 0 && int(i) < len(c.variant.prog.resources) {
		return c.variant.prog.resources[i].path
	}
	return ""
}

// saysHeaders writes headers down, without the secret ones.
func (c *call) saysHeaders(what string, h []mapping.Pair) {
	m := map[string][]string{}
	for _, f := range h {
		m[f.Name] = append(m[f.Name], c.shown(f.Name, f.Value))
	}
	c.trace.say("%s headers: %s", what, headerText(m))
}

// shown is a header's value as traces have it.
func (c *call) shown(name, value string) string {
	if !c.trace.trial && c.secretHeader(name) {
		return hidden
	}
	return value
}

// story ends a call's trace and gives its text, as far as it is kept; nil: it is not. A
// call that was not traced and failed by the gateway's own doing has one made of what
// is known of it at its end.
func (c *call) story(x *http1.Exchange, status int, end int64) []byte {
	t := c.trace
	fails := c.kind != 0 || status >= 400
	switch {
	case t == nil && !c.stage.logs.share.MayTrace(x.Begun):
		return nil
	case t == nil:
		t = &trace{}
		c.trace = t
		c.begins(x)
		if c.run != nil {
			c.trace.say("Steps: %s", strings.Join(c.run.names[:c.endedAt()+1], ", "))
		}
	case t.set != nil && (!t.set.Info && !fails || !c.stage.logs.share.MayTrace(x.Begun)):
		return nil
	}
	if us := c.waited(x, end); us > 0 && !t.heard {
		t.say("The integration was given up after %d ms", us/1000)
	}
	if c.kind != 0 {
		if !t.failed {
			c.traceFailure(c.kind)
		}
		t.say("The step that ended the call: %s", c.step())
		t.say("Gateway response type: %s with status code: %d", answers[c.kind].name, status)
	} else {
		t.say("Successfully completed execution")
	}
	t.say("Method completed with status: %d, latency: %d ms", status, (end-x.Begun)/1e6)
	text := c.scrub(x, t.log.Bytes()) // before it is cut: half a secret is not found
	if len(text) > model.MaxCallTrace {
		const cut = "…\n"
		text = append(text[:model.MaxCallTrace-len(cut)], cut...)
	}
	return text
}

const hidden = "******"

// Secrets that are never written down, whatever is asked for: by the names, in lower
// case, of what carries them. An API's own, where its authorizers look for identities,
// are its program's.
var (
	secretHeaders = []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-amz-security-token", "x-auth-token"}
	secretQueries = []string{"x-amz-signature", "x-amz-security-token", "x-amz-credential", "access_token", "id_token", "token", "api_key", "apikey", "key", "password", "client_secret"}
)

func (c *call) secretHeader(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(secretHeaders, name) || c.variant != nil && c.variant.prog.secrets["header."+name]
}

func (c *call) secretQuery(name string) bool {
	return slices.Contains(secretQueries, strings.ToLower(name)) || c.variant != nil && c.variant.prog.secrets["querystring."+name]
}

// shortest is the length of the shortest secret that is looked for in texts.
const shortest = 6

// scrub hides the call's own secrets in a text, wherever it got them from: an upstream
// may have repeated them.
func (c *call) scrub(x *http1.Exchange, text []byte) []byte {
	hide := func(secret []byte) {
		if len(secret) >= shortest {
			text = bytes.ReplaceAll(text, secret, []byte(hidden))
		}
	}
	r := &x.Request
	for i := range r.Fields[:r.N] {
		if f := &r.Fields[i]; c.secretHeader(string(f.Name.Of(x.In))) {
			v := f.Value.Of(x.In)
			hide(v)
			if _, token, ok := bytes.Cut(v, []byte(" ")); ok {
				hide(token) // behind its scheme
			}
			for pair := range bytes.SplitSeq(v, []byte(";")) {
				if _, one, ok := bytes.Cut(pair, []byte("=")); ok {
					hide(one) // of a cookie
				}
			}
		}
	}
	for part := range bytes.SplitSeq(r.Query.Of(x.In), []byte("&")) {
		if k, v, ok := bytes.Cut(part, []byte("=")); ok && c.secretQuery(string(k)) {
			hide(v)
			hide([]byte(unescapeQuery(string(v))))
		}
	}
	return text
}

// secretsOf are where an API's authorizers look for identities: "header.x-token" and
// "querystring.token".
func secretsOf(d *model.Definition) map[string]bool {
	var out map[string]bool
	for i := range d.Authorizers {
		for source := range strings.SplitSeq(d.Authorizers[i].IdentitySource, ",") {
			source = strings.TrimPrefix(strings.TrimSpace(source), "method.request.")
			if kind, name, ok := strings.Cut(source, "."); ok && (kind == "header" || kind == "querystring") {
				if out == nil {
					out = map[string]bool{}
				}
				if kind == "header" {
					name = strings.ToLower(name)
				}
				out[kind+"."+name] = true
			}
		}
	}
	return out
}
