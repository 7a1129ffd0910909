package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"tollgate/awsapi/sigv4"
	"tollgate/control/remote"
	"tollgate/model"
)

// isNative says that a call is one of Tollgate's own client: by its path, or by the
// service it is signed for. It is answered in a shape of its own, never in Amazon's.
func isNative(r *http.Request) bool {
	service, _ := sigv4.ScopeService(r.Header.Get("Authorization"), r.URL.RawQuery)
	return service == remote.Service || strings.HasPrefix(r.URL.EscapedPath(), remote.Path)
}

func (c *call) serveNative() {
	c.w.Header().Set("X-Request-Id", c.id)
	out, err := c.native()
	if err == nil {
		err = c.answer(http.StatusOK, out)
	}
	if err != nil {
		c.problem(err)
	}
}

func (c *call) native() (any, error) {
	name, ok := strings.CutPrefix(c.r.URL.EscapedPath(), remote.Path)
	if !ok {
		return nil, model.Errorf(model.NotFound, "calls that are signed for %s go to %s and the name of a method", remote.Service, remote.Path)
	}
	if c.r.URL.RawQuery != "" { // no presigned calls either: they could be made again for days
		return nil, model.Errorf(model.Invalid, "methods take their arguments in the body, and no query")
	}
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	if c.service != remote.Service {
		return nil, model.Errorf(model.Unauthenticated, "the call is signed for the service %.40q: calls of this path are signed for %s", c.service, remote.Service)
	}
	if c.r.Method != http.MethodPost {
		c.w.Header().Set("Allow", http.MethodPost)
		return nil, failure{status: http.StatusMethodNotAllowed, message: "methods are called with POST, not " + c.r.Method}
	}
	gateway := ""
	if at := c.gateway(); at != nil {
		gateway = at.String()
	}
	out, ok, err := remote.Call(c.ctx, remote.Host{Plane: c.Plane, Gateway: gateway}, c.actor, name, c.body)
	if !ok {
		return nil, model.Errorf(model.NotFound, "there is no method %.60q; there are %s", name, strings.Join(remote.Names(), ", "))
	}
	return out, err
}

// statuses are those of problems, by kind.
var statuses = map[model.Kind]int{
	model.Invalid: 400, model.Unauthenticated: 401, model.Denied: 403, model.NotFound: 404, model.Conflict: 409, model.Limit: 429, model.Unavailable: 503,
}

// problem answers with a refusal as RFC 9457 has it.
func (c *call) problem(err error) {
	kind := model.KindOf(err)
	p := remote.Problem{Type: "about:blank", Status: statuses[kind], Detail: model.MessageOf(err), Kind: string(kind), RequestID: c.id}
	if s, ok := errors.AsType[*sigv4.Error](err); ok {
		p.Status, p.Kind, p.Detail = http.StatusUnauthorized, string(model.Unauthenticated), whyUnsigned(s)
	} else if f, ok := err.(failure); ok {
		p.Status, p.Kind, p.Detail = f.status, string(model.Invalid), f.message
		switch f.status {
		case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
			p.Kind = string(model.Limit)
		case http.StatusRequestTimeout:
			p.Kind = string(model.Unavailable)
		}
	} else if p.Status == 0 {
		p.Status, p.Kind = http.StatusInternalServerError, "internal"
		p.Detail = fmt.Sprintf("internal error; the operator finds it in the log by request id %s", c.id)
		c.Log.Error("awsapi: a call failed", "request", c.id, "path", c.r.URL.Path, "err", err)
	}
	p.Title = http.StatusText(p.Status)
	h := c.w.Header()
	h.Set("Content-Type", remote.ProblemType)
	if p.Status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", `AWS4-HMAC-SHA256 realm="tollgate"`)
	}
	c.w.WriteHeader(p.Status)
	_ = json.NewEncoder(c.w).Encode(p)
}

// whyUnsigned says what to do about a signature that does not hold.
func whyUnsigned(e *sigv4.Error) string {
	switch {
	case e == errSessionToken:
		return "session tokens are not issued here: sign with an access key of the console and its secret alone"
	case e.Kind == sigv4.MissingToken:
		return "the call is not signed: sign it with an access key, by AWS signature version 4 for the service " + remote.Service
	case e.Kind == sigv4.UnknownKey:
		return "the access key is not known here, or is disabled: look at the console's page Access keys"
	case e.Kind == sigv4.Expired:
		return "the clocks of client and server differ too much: " + e.Message
	case e.Kind == sigv4.Invalid:
		return "the signature does not fit: is the secret access key that of the access key? " + e.Message
	}
	return e.Message
}
