package gateway

import (
	"fmt"

	"tollgate/gateway/http1"
	"tollgate/gateway/vtl"
	"tollgate/model"
)

// caller is what authorization found out about who calls.
type caller struct {
	principal  string
	authorizer *vtl.Map    // $context.authorizer; nil: none
	identity   [][2]string // fields of $context.identity, beside those that every call has
	usageKey   string      // usageIdentifierKey: the API key that an authorizer gave
}

// authorize says whether a method may be called, and sets the call's caller. It may
// run twice for one call, where it has to wait: see Exchange.MayBlock.
type authorize func(c *call, x *http1.Exchange) kind

// access lets in those who may call the method. Nothing of the call was counted or
// acted upon before it.
func (c *call) access(x *http1.Exchange) kind { return c.run.m.auth(c, x) }

// compileAuth is a method's authorization; nil: everybody may call it.
func compileAuth(d *model.Definition, m *model.Method) (authorize, error) {
	switch m.AuthorizationType {
	case "", model.AuthNone:
		return nil, nil
	}
	return nil, fmt.Errorf("authorization %s is not served", m.AuthorizationType)
}
