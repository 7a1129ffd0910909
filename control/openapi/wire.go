package openapi

import (
	"net/url"
	"slices"
	"strings"

	"tollgate/model"
)

// basePath finds what goes before every path of the document.
func (im *importer) basePath() error {
	if !im.options.Wire || im.options.BasePath == "" || im.options.BasePath == "ignore" {
		return nil
	}
	base := im.root.get("basePath").text()
	if !im.swagger {
		first := loc{}
		if all := im.root.get("servers").items(); len(all) > 0 {
			first = all[0]
		}
		// Amazon API Gateway takes this variable even where the address has it not.
		if v := first.get("variables").get("basePath").get("default"); v.is(scalar) {
			base = v.text()
		} else if u, err := url.Parse(first.get("url").text()); err == nil {
			base = u.Path
		}
	}
	parts := slices.DeleteFunc(strings.Split(base, "/"), func(s string) bool { return s == "" })
	if im.options.BasePath == "split" && len(parts) > 0 {
		parts = parts[1:]
	}
	if len(parts) > 0 {
		im.prefix = "/" + strings.Join(parts, "/")
	}
	return nil
}

// aboutAPI notes what the document says of the whole API in words.
func (im *importer) aboutAPI() {
	if info := im.root.get("info"); info.get("description").text() != "" {
		im.weight -= info.node.weightOf()
		b := append([]byte(`{"info":{"description":`), appendString(nil, info.get("description").text())...)
		im.keepPart(model.DocumentationPart{Location: model.DocumentationLocation{Type: "API"}, Properties: string(append(b, "}}"...))})
	}
}

// Merge puts an imported definition into one that is there: everything of it where
// it overwrites, else only what the import has too. What keeps its name keeps its id.
func Merge(into, from *model.Definition, overwrite bool) {
	ids := map[string]string{}
	keep := func(kind, name, old, id string) string {
		ids[kind+id] = old
		return old
	}
	authorizers, validators, models, parts := slices.Clone(into.Authorizers), slices.Clone(into.RequestValidators), slices.Clone(into.Models), slices.Clone(into.Documentation)
	if overwrite {
		authorizers, validators, models, parts = nil, nil, nil, nil
	}
	for _, a := range from.Authorizers {
		for _, old := range into.Authorizers {
			if old.Name == a.Name {
				a.ID = keep("a", a.Name, old.ID, a.ID)
			}
		}
		authorizers = put(authorizers, a, func(x model.Authorizer) bool { return x.Name == a.Name })
	}
	for _, v := range from.RequestValidators {
		for _, old := range into.RequestValidators {
			if old.Name == v.Name {
				v.ID = keep("v", v.Name, old.ID, v.ID)
			}
		}
		validators = put(validators, v, func(x model.RequestValidator) bool { return x.Name == v.Name })
	}
	at := make(map[string]int, len(models))
	for i := range models {
		at[models[i].Name] = i
	}
	for _, m := range from.Models {
		if old := into.Model(m.Name); old != nil {
			m.ID = old.ID
		}
		if i, there := at[m.Name]; there {
			models[i] = m
		} else {
			models = append(models, m)
		}
	}
	places := make(map[model.DocumentationLocation]int, len(parts))
	for i := range parts {
		places[parts[i].Location.Full()] = i
	}
	for _, p := range from.Documentation {
		if i, there := places[p.Location.Full()]; there {
			parts[i].Properties = p.Properties
		} else {
			parts = append(parts, p)
		}
	}
	into.Authorizers, into.RequestValidators, into.Models, into.Documentation = authorizers, validators, models, parts
	mergeResources(into, from, ids, overwrite)
	mergeSettings(into, from, overwrite)
}

func put[T any](list []T, v T, same func(T) bool) []T {
	if i := slices.IndexFunc(list, same); i >= 0 {
		list[i] = v
		return list
	}
	return append(list, v)
}

func mergeResources(into, from *model.Definition, ids map[string]string, overwrite bool) {
	there := into.Paths()
	var out []model.Resource
	for _, r := range from.Resources {
		for verb, m := range r.Methods {
			if id := ids["a"+m.AuthorizerID]; id != "" {
				m.AuthorizerID = id
			}
			if id := ids["v"+m.RequestValidatorID]; id != "" {
				m.RequestValidatorID = id
			}
			r.Methods[verb] = m
		}
		old := there[r.Path]
		if old == nil {
			out = append(out, r)
			continue
		}
		r.ID = old.ID
		if !overwrite {
			methods := map[string]model.Method{}
			for verb, m := range old.Methods {
				methods[verb] = m
			}
			for verb, m := range r.Methods {
				methods[verb] = m
			}
			r.Methods = methods
		}
		out = append(out, r)
		delete(there, r.Path)
	}
	if !overwrite {
		for i := range into.Resources {
			if r := into.Resources[i]; there[r.Path] != nil {
				out = append(out, r)
			}
		}
	}
	into.Resources = out
	unique(into.Resources)
}

// unique gives the later of two resources of one id another.
func unique(rs []model.Resource) {
	taken := make(map[string]bool, len(rs))
	for i := range rs {
		for taken[rs[i].ID] {
			rs[i].ID = model.NewID(6)
		}
		taken[rs[i].ID] = true
	}
}

func mergeSettings(into, from *model.Definition, overwrite bool) {
	into.Name = from.Name
	text := func(at *string, v string) {
		if v != "" || overwrite {
			*at = v
		}
	}
	text(&into.Description, from.Description)
	text(&into.Version, from.Version)
	text(&into.APIKeySource, from.APIKeySource)
	if from.Policy != "" { // never taken away in passing: it keeps callers out
		into.Policy = from.Policy
	}
	if from.SecurityPolicy != "" {
		into.SecurityPolicy = from.SecurityPolicy
	}
	if from.EndpointAccessMode != "" {
		into.EndpointAccessMode = from.EndpointAccessMode
	}
	if from.Endpoint != nil {
		into.Endpoint = from.Endpoint
	}
	into.DisableDefaultEndpoint = into.DisableDefaultEndpoint || from.DisableDefaultEndpoint
	if from.MinimumCompressionSize != nil || overwrite {
		into.MinimumCompressionSize = from.MinimumCompressionSize
	}
	if overwrite {
		into.BinaryMediaTypes, into.GatewayResponses, into.Unserved = nil, nil, nil
	}
	for _, t := range from.BinaryMediaTypes {
		if !slices.Contains(into.BinaryMediaTypes, t) {
			into.BinaryMediaTypes = append(into.BinaryMediaTypes, t)
		}
	}
	for kind, r := range from.GatewayResponses {
		if into.GatewayResponses == nil {
			into.GatewayResponses = map[string]model.GatewayResponse{}
		}
		into.GatewayResponses[kind] = r
	}
	for _, u := range from.Unserved {
		if !slices.Contains(into.Unserved, u) {
			into.Unserved = append(into.Unserved, u)
		}
	}
}
