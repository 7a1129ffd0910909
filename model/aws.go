package model

import (
	"regexp"
	"slices"
	"strings"
)

const (
	// DefaultCredential is what an account's integrations with Lambda functions are
	// signed with where they name no credentials: on Amazon's side the function's own
	// policy would let the gateway in.
	DefaultCredential = "default"
	// CallersCredentials, as an integration's credentials, stands for those of whoever
	// signed the call.
	CallersCredentials = "arn:aws:iam::*:user/*"
)

var principalARN = regexp.MustCompile(`^arn:(?:aws|aws-cn|aws-us-gov):iam::\d{12}:(?:role|user)/[\w+=,.@/-]{1,576}$`)

// PrincipalARN says whether s names a role or a user of an account.
func PrincipalARN(s string) bool { return principalARN.MatchString(s) }

// NeededCredential is a credential that a method names.
type NeededCredential struct{ Method, Credentials string }

// CredentialNames lists what methods of the definition sign their integrations' requests
// with, by method, and authorizers theirs, but for the caller's credentials and those
// that stage variables name.
func (d *Definition) CredentialNames() []NeededCredential {
	var out []NeededCredential
	for i := range d.Resources {
		for verb, m := range d.Resources[i].Methods {
			g := m.Integration
			if g == nil || g.Type != IntegrationAWS && g.Type != IntegrationAWSProxy || g.Credentials == "" || g.Credentials == CallersCredentials || strings.Contains(g.Credentials, "${") {
				continue
			}
			out = append(out, NeededCredential{verb + " " + d.Resources[i].Path, g.Credentials})
		}
	}
	for i := range d.Authorizers {
		if a := &d.Authorizers[i]; a.AuthorizerCredentials != "" && !strings.Contains(a.AuthorizerCredentials, "${") {
			out = append(out, NeededCredential{"authorizer " + a.Name, a.AuthorizerCredentials})
		}
	}
	slices.SortFunc(out, func(a, b NeededCredential) int { return strings.Compare(a.Method, b.Method) })
	return out
}
