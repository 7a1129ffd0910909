package awsapi

import (
	"context"
	"encoding/base64"
	"strconv"

	"tollgate/control"
)

// list is a page of a collection. The array is "item" on this wire.
type list struct {
	Position string `json:"position,omitempty"`
	Item     any    `json:"item"`
}

// limit is how many items the client asks for: 25 unless it says so, at most 500.
func (c *call) limit() (int, error) {
	s := c.query.Get("limit")
	if s == "" {
		return 25, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, badRequest("Invalid limit parameter: %s", s)
	}
	return min(n, 500), nil
}

// position is where the client's page starts, as control named it.
func (c *call) position() (string, error) {
	s := c.query.Get("position")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", badRequest("Invalid position parameter: %s", s)
	}
	return string(b), nil
}

// next names where a page ends; empty stays so.
func next(after string) string { return base64.RawURLEncoding.EncodeToString([]byte(after)) }

// paged cuts one page out of items that are all at hand, in an order that does
// not depend on other items: after is the key of the last item of the page before.
func paged[T any](c *call, items []T, key func(T) string, shape func(T) any) (list, error) {
	n, err := c.limit()
	if err != nil {
		return list{}, err
	}
	after, err := c.position()
	if err != nil {
		return list{}, err
	}
	out, position := []any{}, ""
	for _, v := range items {
		if after != "" && key(v) <= after {
			continue
		}
		if len(out) == n {
			return list{Position: position, Item: out}, nil
		}
		out, position = append(out, shape(v)), next(key(v))
	}
	return list{Item: out}, nil
}

// readList answers with one page of what control pages itself.
func readList[T any](c *call, read func(context.Context, control.Actor, control.Page) (control.List[T], error), shape func(T) any) (any, error) {
	n, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := c.position()
	if err != nil {
		return nil, err
	}
	all, err := read(c.ctx, c.actor, control.Page{After: after, Limit: n})
	if err != nil {
		return nil, err
	}
	out := make([]any, len(all.Items))
	for i, v := range all.Items {
		out[i] = shape(v)
	}
	return list{Position: next(all.Next), Item: out}, nil
}
