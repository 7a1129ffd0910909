package fake

import "fmt"

// apiError is Stripe's error object with the status it is sent with.
type apiError struct {
	status  int
	kind    string // invalid_request_error, card_error, idempotency_error, api_error
	code    string
	message string
	param   string
	decline string
	// with holds whole objects the error names: payment_intent, setup_intent, payment_method.
	with object
}

func (e *apiError) Error() string { return e.message }

func (e *apiError) body() object {
	o := object{"type": e.kind, "message": e.message}
	if e.code != "" {
		o["code"] = e.code
		o["doc_url"] = "https://stripe.com/docs/error-codes/" + dashes(e.code)
	}
	if e.param != "" {
		o["param"] = e.param
	}
	if e.decline != "" {
		o["decline_code"] = e.decline
	}
	merge(o, e.with)
	return object{"error": o}
}

func dashes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

// invalid is a request that cannot be done as it stands.
func invalid(code, param, format string, a ...any) *apiError {
	return &apiError{status: 400, kind: "invalid_request_error", code: code, param: param, message: fmt.Sprintf(format, a...)}
}

// missing is an id that names nothing in the account the call speaks for. In a path it is a
// 404, in a parameter a 400, as at Stripe.
func missing(noun, id, param string) *apiError {
	e := invalid("resource_missing", param, "No such %s: '%s'", noun, clip(id))
	if param == "id" || param == "" {
		e.status = 404
		e.param = "id"
	}
	return e
}

// unsupported is what Stripe can and this fake cannot.
func unsupported(param, what string) *apiError {
	return invalid("", param, "The fake does not do %s: see its package comment for what it leaves out.", what)
}
