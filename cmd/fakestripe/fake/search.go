package fake

import (
	"regexp"
	"strconv"
	"strings"
)

// searchLag is after how long a new object is found by search, in seconds.
const searchLag = 60

var (
	clause      = regexp.MustCompile(`^(-?)([a-z_]+)(?:\[["']([^"']{1,40})["']\])?(:|~|<=|>=|<|>)(?:"([^"]{0,500})"|'([^']{0,500})'|(\d{1,12}|null))$`)
	searchField = map[string]bool{"metadata": true, "created": true, "customer": true, "status": true, "number": true, "total": true, "currency": true, "email": true, "name": true}
)

// search answers Stripe's query language as far as a sweep for lost objects needs: clauses
// joined by AND (or by OR), on metadata and a few fields.
func search(kind, url string) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) {
		query := str(c.p, "query")
		either := strings.Contains(query, " OR ")
		if either && strings.Contains(query, " AND ") {
			return nil, invalid("", "query", "You cannot combine AND and OR in the same query.")
		}
		var tests []func(object) bool
		for _, part := range regexp.MustCompile(` (?:AND|OR) `).Split(query, 11) {
			t, err := searchTest(strings.TrimSpace(part))
			if err != nil {
				return nil, err
			}
			tests = append(tests, t)
		}
		if len(tests) > 10 {
			return nil, invalid("", "query", "A query can have at most 10 clauses.")
		}
		all := c.acct.all(kind, func(o object) bool {
			if num(o, "created") > c.now()-searchLag {
				return false
			}
			for _, t := range tests {
				if t(o) == either {
					return either
				}
			}
			return !either
		})
		from, limit := 0, 10
		if p := str(c.p, "page"); p != "" {
			n, err := strconv.Atoi(p)
			if err != nil || n < 0 || n > len(all) {
				return nil, invalid("", "page", "Invalid page: use the next_page of the last answer.")
			}
			from = n
		}
		if l, ok := c.p["limit"].(int64); ok {
			if l < 1 || l > 100 {
				return nil, invalid("", "limit", "This value must be between 1 and 100.")
			}
			limit = int(l)
		}
		to := min(len(all), from+limit)
		items := make([]any, 0, to-from)
		for _, o := range all[from:to] {
			items = append(items, o)
		}
		out := object{"object": "search_result", "url": url, "has_more": to < len(all), "next_page": nil, "data": items}
		if to < len(all) {
			out["next_page"] = strconv.Itoa(to)
		}
		return out, nil
	}
}

func searchTest(part string) (func(object) bool, *apiError) {
	m := clause.FindStringSubmatch(part)
	if m == nil || !searchField[m[2]] || (m[2] == "metadata") != (m[3] != "") {
		return nil, invalid("", "query", "We were unable to parse your search query near %q. The fake knows clauses such as metadata['key']:'value', created>123, status:'open'.", clip(part))
	}
	not, field, key, op, want := m[1] == "-", m[2], m[3], m[4], m[5]+m[6]
	bare := m[7]
	return func(o object) bool {
		have := o[field]
		if key != "" {
			have = sub(o, "metadata")[key]
		}
		return match(have, op, want, bare) != not
	}, nil
}

func match(have any, op, want, bare string) bool {
	if bare == "null" {
		return have == nil
	}
	if bare != "" {
		want = bare
	}
	if n, ok := have.(int64); ok {
		w, err := strconv.ParseInt(want, 10, 64)
		if err != nil {
			return false
		}
		switch op {
		case "<":
			return n < w
		case "<=":
			return n <= w
		case ">":
			return n > w
		case ">=":
			return n >= w
		}
		return n == w
	}
	s, ok := have.(string)
	return ok && (op == ":" && strings.EqualFold(s, want) || op == "~" && strings.Contains(strings.ToLower(s), strings.ToLower(want)))
}
