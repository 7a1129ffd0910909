package awsapi

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/model"
)

var tags = handlers{
	"GetTags":       (*call).getTags,
	"TagResource":   (*call).tagResource,
	"UntagResource": (*call).untagResource,
}

// resourceARN has the path of the thing in its last part. Amazon's have no account.
var resourceARN = regexp.MustCompile(`^arn:aws[a-z-]*:apigateway:[a-z0-9-]*:\d*:((?:/[^/\s]+){2,})$`)

// taggedPath is the path in the ARN that the call's own path names.
func (c *call) taggedPath() (string, error) {
	arn := c.args["resource_arn"]
	m := resourceARN.FindStringSubmatch(arn)
	if m == nil || len(arn) > 2048 {
		return "", badRequest("Invalid ARN specified in the request: %.200s", arn)
	}
	return m[1], nil
}

// noThing gives "not found" the words that the service has for what is at a path.
func (c *call) noThing(err error, path string) error {
	parts := strings.Split(path[1:], "/")
	switch {
	case model.KindOf(err) != model.NotFound:
		return err
	case len(parts) == 2 && parts[0] == "restapis":
		return notFound("Invalid API identifier specified %s:%s", c.actor.AccountID, parts[1])
	case len(parts) == 4 && parts[2] == "stages":
		return notFound("Invalid stage identifier specified")
	}
	what, ok := map[string]string{"apikeys": "Invalid API Key identifier specified", "usageplans": "Invalid Usage Plan ID specified",
		"clientcertificates": "Invalid Client Certificate identifier specified", "vpclinks": "Invalid Vpc Link identifier specified",
		"domainnames": "Invalid domain name identifier specified", "domainnameaccessassociations": noAssociationText}[parts[0]]
	if !ok {
		what = "Invalid resource specified: " + path
	}
	return notFound("%.300s", what)
}

func (c *call) getTags() (any, error) {
	path, err := c.taggedPath()
	if err != nil {
		return nil, err
	}
	found, err := c.Plane.Tags(c.ctx, c.actor, path)
	if err != nil {
		return nil, c.noThing(err, path)
	}
	page, err := c.pageOfTags(found)
	if err != nil {
		return nil, err
	}
	return page, nil
}

// pageOfTags cuts the page that was asked for; all there can be fit in one otherwise.
func (c *call) pageOfTags(all map[string]string) (any, error) {
	type tagged struct {
		Position string            `json:"position,omitempty"`
		Tags     map[string]string `json:"tags"`
	}
	if c.query.Get("limit") == "" && c.query.Get("position") == "" {
		return tagged{Tags: all}, nil
	}
	keys := slices.Sorted(maps.Keys(all))
	l, err := paged(c, keys, func(k string) string { return k }, func(k string) any { return k })
	if err != nil {
		return nil, err
	}
	out := tagged{Position: l.Position, Tags: map[string]string{}}
	for _, k := range l.Item.([]any) {
		out.Tags[k.(string)] = all[k.(string)]
	}
	return out, nil
}

func (c *call) tagResource() (any, error) {
	path, err := c.taggedPath()
	if err != nil {
		return nil, err
	}
	var in struct{ Tags map[string]string }
	if err := c.in(&in); err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid(c.required("tags", "")...)
	}
	return nil, c.noThing(c.Plane.SetTags(c.ctx, c.actor, path, in.Tags, nil), path)
}

func (c *call) untagResource() (any, error) {
	path, err := c.taggedPath()
	if err != nil {
		return nil, err
	}
	keys := c.query["tagKeys"]
	if len(keys) == 0 || len(keys) > control.MaxTags {
		return nil, badRequest("tagKeys has 1 to %d keys, not %d", control.MaxTags, len(keys))
	}
	return nil, c.noThing(c.Plane.SetTags(c.ctx, c.actor, path, nil, keys), path)
}
