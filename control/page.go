package control

import (
	"encoding/base64"
	"encoding/json"

	"tollgate/model"
)

// after is where a page starts: behind the item with this name and id.
type after struct {
	Name string `json:"n"`
	ID   string `json:"i"`
}

func (p Page) bounds() (from after, limit int, err error) {
	switch {
	case p.Limit == 0:
		limit = 100
	case p.Limit < 0 || p.Limit > 1000:
		return from, 0, model.Errorf(model.Invalid, "a page has 1 to 1000 items, not %d", p.Limit)
	default:
		limit = p.Limit
	}
	if p.After == "" {
		return from, limit, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.After)
	if err == nil {
		err = json.Unmarshal(b, &from)
	}
	if err != nil {
		return from, 0, model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
	}
	return from, limit, nil
}

// page cuts items, which were asked for with one more than limit, and says where
// the next page starts.
func page[T any](items []T, limit int, at func(*T) after) List[T] {
	if items == nil {
		items = []T{}
	}
	if len(items) <= limit {
		return List[T]{Items: items}
	}
	b, err := json.Marshal(at(&items[limit-1]))
	if err != nil { // two strings
		panic(err)
	}
	return List[T]{Items: items[:limit], Next: base64.RawURLEncoding.EncodeToString(b)}
}
