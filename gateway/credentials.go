package gateway

import (
	"slices"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/aws"
	"tollgate/model"
)

// credential is what requests to AWS services are signed with, and which of them.
type credential struct {
	tenant            uint32
	name              string
	keys              sigv4.Credentials
	services, regions []string // none: all
}

func newCredential(c *model.CredentialConfig) *credential {
	return &credential{c.Tenant, c.Name, sigv4.Credentials{AccessKeyID: c.AccessKeyID, Secret: c.Secret, SessionToken: c.SessionToken}, c.Services, c.Regions}
}

// covers says whether the credential may sign a request.
func (k *credential) covers(r *aws.Request) bool {
	return (len(k.services) == 0 || slices.Contains(k.services, r.Service)) && (len(k.regions) == 0 || slices.Contains(k.regions, r.Region))
}

// applyCredentials takes changes of credentials, and gives each tenant that they, or
// changes of itself, are about a new set: a call sees the old one or the new one.
func (r *registry) applyCredentials(ch *model.Changes) {
	touched := map[uint32]bool{}
	for i := range ch.Tenants {
		touched[ch.Tenants[i].Num] = true
	}
	for i := range ch.Credentials {
		c := &ch.Credentials[i]
		if old := r.creds[c.Num]; old != nil {
			touched[old.tenant] = true
		}
		if c.Deleted {
			delete(r.creds, c.Num)
			continue
		}
		touched[c.Tenant] = true
		r.creds[c.Num] = newCredential(c)
	}
	if len(touched) == 0 || len(ch.Credentials) == 0 && len(r.creds) == 0 {
		return
	}
	sets := map[uint32]map[string]*credential{}
	for _, c := range r.creds {
		if touched[c.tenant] {
			if sets[c.tenant] == nil {
				sets[c.tenant] = map[string]*credential{}
			}
			sets[c.tenant][c.name] = c
		}
	}
	for num := range touched {
		t := r.tenants[num]
		if t == nil {
			continue
		}
		if set := sets[num]; set != nil {
			t.credentials.Store(&set)
		} else {
			t.credentials.Store(nil)
		}
	}
}

// completeCredentials adds the deletion of those that a full change does not name.
func (r *registry) completeCredentials(all []model.CredentialConfig) []model.CredentialConfig {
	out, named := slices.Clone(all), map[uint32]bool{}
	for i := range all {
		named[all[i].Num] = true
	}
	for n := range r.creds {
		if !named[n] {
			out = append(out, model.CredentialConfig{Num: n, Deleted: true})
		}
	}
	return out
}

// credential is the tenant's with that name; nil: it has stored none.
func (t *tenant) credential(name string) *credential {
	if all := t.credentials.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}
