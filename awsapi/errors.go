package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"tollgate/model"
)

// failure is an error as the service names it.
type failure struct {
	status  int
	code    string
	message string
}

func (f failure) Error() string { return f.code + ": " + f.message }

func badRequest(format string, a ...any) error {
	return failure{http.StatusBadRequest, "BadRequestException", fmt.Sprintf(format, a...)}
}

func notFound(format string, a ...any) error {
	return failure{http.StatusNotFound, "NotFoundException", fmt.Sprintf(format, a...)}
}

func conflict(format string, a ...any) error {
	return failure{http.StatusConflict, "ConflictException", fmt.Sprintf(format, a...)}
}

// constraint is one violated rule of the service model.
type constraint struct{ value, at, rule string }

// absent is the value of a constraint on a member that was not sent.
const absent = "\x00"

func (c constraint) String() string {
	value := "'" + c.value + "'"
	if c.value == absent {
		value = "null"
	}
	return fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, c.at, c.rule)
}

// required are the constraints on members that have to be sent: names and values,
// in turn.
func (c *call) required(members ...string) (out []constraint) {
	for i := 0; i < len(members); i += 2 {
		if members[i+1] == "" {
			out = append(out, constraint{absent, c.input(members[i]), "Member must not be null"})
		}
	}
	return out
}

// input is the name of a member of the call's body in the service model.
func (c *call) input(member string) string {
	return strings.ToLower(c.op.name[:1]) + c.op.name[1:] + "Input." + member
}

// invalid is the service's report of violated constraints.
func invalid(all ...constraint) error {
	s := "s"
	if len(all) == 1 {
		s = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d validation error%s detected: ", len(all), s)
	for i, c := range all {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.String())
	}
	return failure{http.StatusBadRequest, "ValidationException", b.String()}
}

func oneOf(names ...string) string {
	return "Member must satisfy enum value set: [" + strings.Join(names, ", ") + "]"
}

// kinds are control's refusals on this wire.
var kinds = map[model.Kind]failure{
	model.Invalid:         {status: 400, code: "BadRequestException"},
	model.NotFound:        {status: 404, code: "NotFoundException"},
	model.Conflict:        {status: 409, code: "ConflictException"},
	model.Limit:           {status: 429, code: "LimitExceededException"},
	model.Denied:          {status: 403, code: "AccessDeniedException"},
	model.Unauthenticated: {status: 403, code: "UnrecognizedClientException"},
	model.Unavailable:     {status: 503, code: "ServiceUnavailableException"},
}

func (c *call) refuse(err error) {
	f, ok := errors.AsType[failure](err)
	if !ok {
		kind := model.KindOf(err)
		if f, ok = kinds[kind]; ok {
			f.message = model.MessageOf(err)
		} else {
			f = failure{500, "InternalFailure", "internal error; the operator finds it in the log by request id " + c.id}
			c.Log.Error("awsapi: a call failed", "request", c.id, "method", c.r.Method, "path", c.r.URL.Path, "err", err)
		}
	}
	h := c.w.Header()
	h.Set("X-Amzn-Errortype", f.code)
	h.Set("Content-Type", "application/json")
	c.w.WriteHeader(f.status)
	_ = json.NewEncoder(c.w).Encode(map[string]string{"message": f.message})
}

// missing gives control's "not found" the service's words.
func missing(err error, format string, a ...any) error {
	if model.KindOf(err) == model.NotFound {
		return notFound(format, a...)
	}
	return err
}
