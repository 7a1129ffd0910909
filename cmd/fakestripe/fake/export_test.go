package fake

import (
	"net/url"
	"strings"
)

// TableCall is a call with one parameter of the route table, and those it cannot go without.
type TableCall struct {
	Method, Path string
	Form         url.Values
}

// TableForTest makes a call for each parameter in the table.
func TableForTest() []TableCall {
	var out []TableCall
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		path = strings.NewReplacer("{id}", "x", "{sub}", "y", "{line}", "z").Replace(path)
		for _, name := range r.spec.order {
			if name == "expand" {
				continue // stripe-mock fails on what it cannot expand
			}
			one := &spec{fields: r.spec.fields}
			for _, n := range r.spec.order {
				if n == name || r.spec.fields[n].required {
					one.order = append(one.order, n)
				}
			}
			form := url.Values{}
			fill(one, "", form)
			for k := range form {
				last := k[strings.LastIndex(strings.TrimSuffix(k, "[0]"), "[")+1:]
				switch strings.TrimSuffix(strings.TrimSuffix(last, "[0]"), "]") {
				case "enabled_events":
					form.Set(k, "invoice.paid")
				case "locale":
					form.Set(k, "de")
				case "payment_method_types":
					form.Set(k, "card")
				case "api_version":
					form.Set(k, APIVersion)
				case "type":
					if strings.HasPrefix(k, "customer_mapping") {
						form.Set(k, "by_id")
					} else if form.Get(k) == "x" && strings.Contains(path+k, "tax_id") {
						form.Set(k, "eu_vat")
					} else if form.Get(k) == "x" {
						form.Set(k, "card")
					}
				}
			}
			out = append(out, TableCall{method, path, form})
		}
	}
	return out
}
