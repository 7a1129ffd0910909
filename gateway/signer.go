package gateway

import (
	"maps"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/gateway/policy"
	"tollgate/model"
)

// signer is an access key that calls can be signed with: immutable.
type signer struct {
	id      string // of the access key
	tenant  *tenant
	who     policy.Principal
	policy  *policy.Policy // of its identity; nil: its role decides
	broken  bool           // it has a policy that cannot be read
	invokes bool           // by its role
	first   int64          // day of keys[0], in days since the epoch
	keys    []sigv4.Key    // of days
	caller  *caller
}

// key is what verifies signatures of a date; false: the node was not told.
func (s *signer) key(date time.Time) (sigv4.Key, bool) {
	i := dayOf(date) - s.first
	if i < 0 || i >= int64(len(s.keys)) {
		return sigv4.Key{}, false
	}
	return s.keys[i], true
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// judge is what the signer's own policy says. Without one, its role lets it call the
// APIs of its account and no others.
func (s *signer) judge(r *policy.Request, foreign bool) policy.Decision {
	switch {
	case s.broken:
		return policy.Deny
	case s.policy != nil:
		return s.policy.Evaluate(r)
	case s.invokes && !foreign:
		return policy.Allow
	}
	return policy.Silent
}

// why is judge's reason in words.
func (s *signer) why(r *policy.Request) string {
	switch {
	case s.broken:
		return "the access key's policy cannot be read"
	case s.policy != nil:
		return "of the access key: " + s.policy.Why(r)
	case s.invokes:
		return "the access key has no policy, and its role is for its own account"
	}
	return "the access key has no policy, and its role does not let it call APIs"
}

// applySigners puts tenants' access keys into effect.
func (g *Gateway) applySigners(cfgs []model.SignersConfig) {
	if len(cfgs) == 0 {
		return
	}
	next := maps.Clone(*g.signers.Load())
	for i := range cfgs {
		cfg := &cfgs[i]
		for _, s := range g.reg.signers[cfg.Tenant] {
			delete(next, s.id)
		}
		delete(g.reg.signers, cfg.Tenant)
		t := g.reg.tenants[cfg.Tenant]
		if cfg.Deleted || t == nil {
			continue
		}
		for j := range cfg.Keys {
			s, err := newSigner(t, &cfg.Keys[j])
			if err != nil {
				g.log.Error("calls signed with an access key are refused: what the control plane says of it cannot be read", "accessKey", cfg.Keys[j].ID, "err", err)
			}
			if s != nil {
				next[cfg.Keys[j].ID] = s
				g.reg.signers[cfg.Tenant] = append(g.reg.signers[cfg.Tenant], s)
			}
		}
	}
	g.signers.Store(&next)
}

// newSigner may give a signer that nothing is allowed, beside the error that says why.
func newSigner(t *tenant, cfg *model.SignerConfig) (*signer, error) {
	first, err := time.Parse("20060102", cfg.FirstDay)
	if err != nil {
		return nil, err
	}
	arn := "arn:aws:iam::" + t.account + ":user/" + cfg.Name
	s := &signer{id: cfg.ID, tenant: t, invokes: cfg.Invokes, first: dayOf(first), keys: make([]sigv4.Key, len(cfg.DayKeys)),
		who: policy.Principal{ARN: arn, Account: t.account, UserID: cfg.Member, Name: cfg.Name, Tags: map[string]string{"role": cfg.Role}},
		caller: &caller{principal: cfg.Member, identity: [][2]string{{"accessKey", cfg.ID}, {"accountId", t.account},
			{"caller", cfg.Member}, {"user", cfg.Member}, {"userArn", arn}}}}
	for i := range cfg.DayKeys {
		copy(s.keys[i][:], cfg.DayKeys[i]) // one that is cut verifies nothing
	}
	if cfg.Policy == "" {
		return s, nil
	}
	s.policy, err = policy.Parse([]byte(cfg.Policy), policy.Identity, "")
	s.broken = err != nil
	return s, err
}

// CheckIdentityPolicy says what of an access key's policy no node could act on.
func CheckIdentityPolicy(document string) error {
	_, err := policy.Parse([]byte(document), policy.Identity, "")
	return err
}
