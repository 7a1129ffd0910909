package web

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"tollgate/model"
	"tollgate/ui"
)

// jwtFields are a jwtConfiguration as it is edited. A claim without an issuer is asked
// for of every issuer's tokens.
type jwtFields struct {
	Algorithms      []string
	Issuers, Claims []ui.RowValues
}

var (
	issuerColumns = []ui.Column{{Name: "url", Label: "Issuer"}, {Name: "audiences", Label: "Audiences"}}
	claimColumns  = []ui.Column{{Name: "name", Label: "Claim"}, {Name: "values", Label: "Is one of"}, {Name: "must", Label: "Asked for", Options: mustOptions}, {Name: "of", Label: "Of issuer"}}
)

// algorithmOptions are how tokens may be signed.
func algorithmOptions() (out []ui.Option) {
	for _, a := range model.JWTAlgorithms {
		out = append(out, ui.Option{Value: a, Label: a})
	}
	return out
}

func (f *jwtFields) show(stored json.RawMessage) {
	c, err := model.ParseJWT(stored)
	if err != nil {
		return // the form begins anew
	}
	f.Algorithms = c.Algorithms
	for _, i := range c.Issuers {
		f.Issuers = append(f.Issuers, ui.RowValues{Cells: []string{i.Issuer, strings.Join(i.Audiences, ", ")}})
		of := i.Issuer
		if len(c.Issuers) == 1 {
			of = ""
		}
		for _, x := range i.Claims {
			f.Claims = append(f.Claims, ui.RowValues{Cells: []string{x.Name, strings.Join(x.Values, ", "), map[bool]string{true: "true"}[x.Required], of}})
		}
	}
}

func (f *jwtFields) read(v *visit) {
	f.Algorithms, f.Issuers, f.Claims = nil, v.rows("issuer", issuerColumns), v.rows("claim", claimColumns)
	for _, a := range v.r.PostForm["algorithm"] {
		if !slices.Contains(f.Algorithms, a) && len(f.Algorithms) < len(model.JWTAlgorithms) {
			f.Algorithms = append(f.Algorithms, a)
		}
	}
}

// parts are the texts between commas. Values of claims may have blanks.
func parts(s string) (out []string) {
	for p := range strings.SplitSeq(s, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// jwt is what the fields say, as it is stored: what was stored before where that says the
// same. Which configurations there are, model says.
func (f *jwtFields) jwt(p *problems, was json.RawMessage) json.RawMessage {
	c := &model.JWTConfiguration{Algorithms: f.Algorithms}
	for _, r := range f.Issuers {
		c.Issuers = append(c.Issuers, model.JWTIssuer{Issuer: r.Cells[0], Audiences: parts(r.Cells[1])})
	}
	for i := range f.Claims {
		r := &f.Claims[i]
		of := r.Cells[3]
		if of != "" && !slices.ContainsFunc(c.Issuers, func(x model.JWTIssuer) bool { return x.Issuer == of }) {
			r.Error = "There is no issuer " + of + " above; empty: of every one"
			p.say("claim", "%s: %s", orName(r.Cells[0], "A claim"), r.Error)
		}
		for n := range c.Issuers {
			if x := &c.Issuers[n]; of == "" || x.Issuer == of {
				x.Claims = append(x.Claims, model.JWTClaim{Name: r.Cells[0], Values: parts(r.Cells[1]), Format: "SINGLE_STRING", Required: r.Cells[2] == "true"})
			}
		}
	}
	out, err := json.Marshal(c)
	if err != nil {
		p.add("issuer", err)
		return nil
	}
	checked, err := model.ParseJWT(out)
	if err != nil {
		field := "issuer"
		switch m := model.MessageOf(err); {
		case strings.Contains(m, "algorithm"):
			field = "algorithm"
		case strings.Contains(m, "claim"):
			field = "claim"
		}
		p.add(field, err)
		return nil
	}
	if before, err := model.ParseJWT(was); err == nil && reflect.DeepEqual(before, checked) {
		return was
	}
	return out
}

// scoped is a method that asks for scopes.
type scoped struct{ Path, Verb, Scopes string }

// scopesOf are the methods of an authorizer that ask for scopes.
func scopesOf(d *model.Definition, authorizer string) (out []scoped) {
	for _, r := range flat(d) {
		if r.m.AuthorizerID == authorizer && len(r.m.AuthorizationScopes) > 0 {
			out = append(out, scoped{r.path, r.verb, strings.Join(r.m.AuthorizationScopes, " ")})
		}
	}
	return out
}
