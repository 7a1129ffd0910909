package awsapi

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tollgate/model"
)

// Tools make a few calls to other services on the way. What they ask of the
// caller's account is answered as it is here; the rest is refused by name.

// otherServices are the calls of each service that are answered, by the action
// that the query protocol or the JSON protocol's target names.
var otherServices = map[string]handlers{
	"sts": {"GetCallerIdentity": (*call).callerIdentity},
	"iam": {"GetUser": (*call).getUser, "ListAccountAliases": (*call).accountAliases},
	"acm": acm,
	"logs": {"DescribeLogGroups": func(c *call) (any, error) {
		return map[string]any{"logGroups": []any{}}, nil // logs are not kept in groups here
	}},
}

// serveOther does a call to another service.
func (c *call) serveOther() error {
	actions, ok := otherServices[c.service]
	if !ok {
		return failure{http.StatusBadRequest, "UnknownOperationException", fmt.Sprintf("service %q is not served here; this endpoint speaks to Amazon API Gateway's clients", c.service)}
	}
	action, isJSON := "", false
	if target := c.r.Header.Get("X-Amz-Target"); target != "" {
		_, action, _ = strings.Cut(target, ".")
		isJSON = true
	} else {
		form, err := url.ParseQuery(string(c.body))
		if err != nil {
			return c.refuseXML(failure{http.StatusBadRequest, "MalformedQueryString", "the body is not a query that can be read"})
		}
		if action = form.Get("Action"); action == "" {
			action = c.query.Get("Action")
		}
	}
	do, ok := actions[action]
	if !ok {
		f := failure{http.StatusBadRequest, "InvalidAction", fmt.Sprintf("action %q of service %s is not served here", action, c.service)}
		if isJSON {
			f.code = "UnknownOperationException"
			return c.refuseJSON(f)
		}
		return c.refuseXML(f)
	}
	out, err := do(c)
	if isJSON {
		if err != nil {
			return c.refuseJSON(err)
		}
		if out == nil {
			out = struct{}{}
		}
		c.w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		return c.answer(http.StatusOK, out)
	}
	if err != nil {
		return c.refuseXML(err)
	}
	return c.answerXML(action, out)
}

// userARN names a member as IAM would.
func (c *call) userARN() string {
	return fmt.Sprintf("arn:aws:iam::%s:user/%s", c.actor.AccountID, c.actor.Name)
}

func (c *call) callerIdentity() (any, error) {
	return struct{ Arn, UserId, Account string }{c.userARN(), c.actor.Member, c.actor.AccountID}, nil
}

func (c *call) getUser() (any, error) {
	form, _ := url.ParseQuery(string(c.body))
	if name := form.Get("UserName"); name != "" && name != c.actor.Name {
		return nil, failure{http.StatusNotFound, "NoSuchEntity", fmt.Sprintf("The user with name %s cannot be found.", name)}
	}
	type user struct{ Path, UserName, UserId, Arn string }
	return struct{ User user }{user{"/", c.actor.Name, c.actor.Member, c.userARN()}}, nil
}

func (c *call) accountAliases() (any, error) {
	return struct {
		IsTruncated    bool
		AccountAliases struct{} // names are not unique here, so no account has an alias
	}{}, nil
}

// Namespaces of the query protocol's answers.
var namespaces = map[string]string{
	"sts": "https://sts.amazonaws.com/doc/2011-06-15/",
	"iam": "https://iam.amazonaws.com/doc/2010-05-08/",
}

func (c *call) answerXML(action string, out any) error {
	type metadata struct{ RequestId string }
	response := struct {
		XMLName          xml.Name
		Result           any
		ResponseMetadata metadata
	}{xml.Name{Space: namespaces[c.service], Local: action + "Response"}, named{action + "Result", out}, metadata{c.id}}
	b, err := xml.Marshal(response)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/xml")
	_, _ = c.w.Write(b)
	return nil
}

// named is a value under an element's name that is known only now.
type named struct {
	name  string
	value any
}

// MarshalXML writes the value under its name.
func (n named) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return e.EncodeElement(n.value, xml.StartElement{Name: xml.Name{Local: n.name}})
}

// refuseXML is refuse in the query protocol's shape.
func (c *call) refuseXML(err error) error {
	f, ok := err.(failure)
	if !ok {
		if f, ok = kinds[model.KindOf(err)]; !ok {
			return err
		}
		f.message = model.MessageOf(err)
	}
	type problem struct{ Type, Code, Message string }
	b, err := xml.Marshal(struct {
		XMLName   xml.Name
		Error     problem
		RequestId string
	}{xml.Name{Space: namespaces[c.service], Local: "ErrorResponse"}, problem{"Sender", f.code, f.message}, c.id})
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/xml")
	c.w.WriteHeader(f.status)
	_, _ = c.w.Write(b)
	return nil
}
