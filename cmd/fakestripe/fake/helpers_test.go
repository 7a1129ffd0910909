package fake

import (
	"net/http/httptest"
	"net/url"
	"strings"
)

// ask makes one call without a network.
func ask(s *Server, method, path, key, form string) *httptest.ResponseRecorder {
	body := strings.NewReader(form)
	if method != "POST" && form != "" {
		path, body = path+"?"+form, strings.NewReader("")
	}
	r := httptest.NewRequest(method, path, body)
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// fill gives every parameter of a spec a value of its type.
func fill(s *spec, at string, into url.Values) {
	for _, name := range s.order {
		f := s.fields[name]
		where := name
		if at != "" {
			where = at + "[" + name + "]"
		}
		if f.list {
			where += "[0]"
		}
		switch {
		case f.fields != nil:
			fill(f, where, into)
		case f.enum != nil:
			into.Set(where, f.enum[0])
		case f.kind == "map":
			into.Set(where+"[k]", "v")
		case f.kind == "bool":
			into.Set(where, "true")
		case f.kind == "int", f.kind == "time", f.kind == "num", f.kind == "range":
			into.Set(where, "1")
		default:
			into.Set(where, "x")
		}
	}
}
