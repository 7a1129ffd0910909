package control_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
	"tollgate/model"
)

// signersOf is what a node that is told everything knows of a tenant's access keys.
func (w *world) signersOf(n control.NodeIdentity, a control.Actor) map[string]model.SignerConfig {
	w.Helper()
	out := map[string]model.SignerConfig{}
	for _, s := range w.changes(n, hello(0)).Signers {
		if s.Tenant == a.Tenant {
			for _, k := range s.Keys {
				out[k.ID] = k
			}
		}
	}
	return out
}

// What a node is told of access keys follows every change of them and of their members,
// and is the same whether it was told step by step or at once.
func TestSignersFollowAccessKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	n := control.SharedNode("n1")
	var s shadow
	w.follow(&s, n)
	if len(s.signers) != 1 || len(s.signers[a.Tenant].Keys) != 1 {
		t.Fatalf("the account's first key: %+v", s.signers)
	}
	id, _, err := w.CreateAccessKey(w.ctx, a)
	w.must(err)
	const policy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	for _, c := range []struct {
		name string
		do   func() error
		want func(k model.SignerConfig, ok bool) bool
	}{
		{"created", func() error { return nil }, func(k model.SignerConfig, ok bool) bool {
			return ok && k.Member == a.Member && k.Name == a.Name && k.Role == "owner" && k.Invokes && k.Policy == "" && len(k.DayKeys) == 15
		}},
		{"with a policy", func() error { return w.SetAccessKeyPolicy(w.ctx, a, id, policy) }, func(k model.SignerConfig, ok bool) bool { return k.Policy == policy }},
		{"without it", func() error { return w.SetAccessKeyPolicy(w.ctx, a, id, " ") }, func(k model.SignerConfig, ok bool) bool { return ok && k.Policy == "" }},
		{"disabled", func() error { return w.SetAccessKeyEnabled(w.ctx, a, id, false) }, func(_ model.SignerConfig, ok bool) bool { return !ok }},
		{"enabled", func() error { return w.SetAccessKeyEnabled(w.ctx, a, id, true) }, func(_ model.SignerConfig, ok bool) bool { return ok }},
		{"deleted", func() error { return w.DeleteAccessKey(w.ctx, a, id) }, func(_ model.SignerConfig, ok bool) bool { return !ok }},
	} {
		w.must(c.do())
		if ch := w.follow(&s, n); ch.Full || len(ch.Signers) != 1 {
			t.Errorf("%s: %+v", c.name, ch)
		}
		w.same(&s, n)
		if k, ok := w.signersOf(n, a)[id]; !c.want(k, ok) {
			t.Errorf("%s: %v %+v", c.name, ok, k)
		}
	}
	l, err := w.AccessKeys(w.ctx, a)
	w.must(err)
	w.must(w.DeleteAccessKey(w.ctx, a, l[0].ID)) // the last
	w.follow(&s, n)
	w.same(&s, n)
	if len(s.signers) != 0 {
		t.Errorf("after the last: %+v", s.signers)
	}
}

// A member's role and going are its keys' too.
func TestSignersFollowMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner := w.signedUp("ada@example.com", "correct horse")
	n := control.SharedNode("n1")
	var s shadow
	w.follow(&s, n)
	w.must(w.Invite(w.ctx, owner, "bob@example.com", control.RoleDeveloper))
	_, _, err := w.Join(w.ctx, "192.0.2.1", tokenIn(t, w.mailTo("bob@example.com")), "", "Bob", "correct horse")
	w.must(err)
	bob := owner
	people, err := w.Members(w.ctx, owner)
	w.must(err)
	for _, m := range people.Members {
		if m.Email == "bob@example.com" {
			bob.Member, bob.Role = m.ID, m.Role
		}
	}
	id, _, err := w.CreateAccessKey(w.ctx, bob)
	w.must(err)
	w.refused(w.SetAccessKeyPolicy(w.ctx, bob, id, "{}"), model.Denied, "may not")
	for _, c := range []struct {
		role    control.Role
		invokes bool
	}{{control.RoleDeveloper, true}, {control.RoleViewer, false}, {control.RoleBilling, false}, {control.RoleAdmin, true}} {
		w.must(w.SetRole(w.ctx, owner, bob.Member, c.role))
		w.follow(&s, n)
		w.same(&s, n)
		if k := w.signersOf(n, owner)[id]; k.Invokes != c.invokes || k.Role != string(c.role) || k.Name != "bob@example.com" {
			t.Errorf("%s: %+v", c.role, k)
		}
	}
	w.must(w.RemoveMember(w.ctx, owner, bob.Member))
	w.follow(&s, n)
	w.same(&s, n)
	if _, ok := w.signersOf(n, owner)[id]; ok {
		t.Error("the key of a member who is gone")
	}
}

// A dedicated gateway knows its tenant's access keys alone, and one that the tenant left
// forgets them.
func TestSignersOfDedicatedGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	op := control.Operator()
	g, err := w.CreateGateway(w.ctx, op, "own-a", a.AccountID)
	w.must(err)
	token, err := w.CreateNodeToken(w.ctx, op, g.Name, "n1")
	w.must(err)
	own, err := w.AuthenticateNode(w.ctx, token)
	w.must(err)
	shared := control.SharedNode("n1")
	var s, d shadow
	w.follow(&s, shared)
	w.follow(&d, own)
	if len(s.signers) != 2 || len(d.signers) != 0 {
		t.Fatalf("shared %+v, own %+v", s.signers, d.signers)
	}
	w.must(w.MoveTenant(w.ctx, op, a.AccountID, "own-a"))
	_, _, err = w.CreateAccessKey(w.ctx, b)
	w.must(err)
	w.follow(&s, shared)
	w.follow(&d, own)
	w.same(&s, shared)
	w.same(&d, own)
	if len(s.signers) != 1 || len(s.signers[b.Tenant].Keys) != 2 {
		t.Errorf("shared: %+v", s.signers)
	}
	if len(d.signers) != 1 || len(d.signers[a.Tenant].Keys) != 1 {
		t.Errorf("own: %+v", d.signers)
	}
}

// What a node is told verifies calls of APIs on the days it is told for, and signs
// nothing else. The secret is not in it.
func TestSigningKeysOfDays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	w := newWorldWith(t, control.Options{AckTimeout: time.Millisecond, Region: "eu-west-1", Now: func() time.Time { return now }})
	a := w.tenant()
	id, secret, err := w.CreateAccessKey(w.ctx, a)
	w.must(err)
	ch := w.changes(control.SharedNode("n1"), hello(0))
	text, err := json.Marshal(ch)
	w.must(err)
	if strings.Contains(string(text), secret) {
		t.Error("the secret is in the feed")
	}
	k := w.signersOf(control.SharedNode("n1"), a)[id]
	if k.FirstDay != "20260222" || len(k.DayKeys) != 15 {
		t.Fatalf("%s, %d days", k.FirstDay, len(k.DayKeys))
	}
	for i := range k.DayKeys {
		day := now.AddDate(0, 0, i-7)
		for _, c := range []struct {
			region, service string
			good            bool
		}{{"eu-west-1", "execute-api", true}, {"eu-west-1", "apigateway", false}, {"us-east-1", "execute-api", false}} {
			q, err := http.NewRequest("GET", "http://a.example.com/prod/a", nil)
			w.must(err)
			sigv4.SignHTTP(q, sigv4.Credentials{AccessKeyID: id, Secret: secret}, c.region, c.service, sigv4.HashBody(nil), day)
			s, err := sigv4.ParseHTTP(q)
			w.must(err)
			if err := s.VerifyKey(sigv4.Key(k.DayKeys[i]), sigv4.HashBody(nil), day); (err == nil) != c.good {
				t.Errorf("%s, %s in %s: %v", day.Format(time.DateOnly), c.service, c.region, err)
			}
		}
	}
}

// Once a day nodes are given the keys of a further day, whichever process does it.
func TestSigningKeysAreRenewed(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Unix())
	w := newWorldWith(t, control.Options{AckTimeout: time.Millisecond, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	a := w.tenant()
	n := control.SharedNode("n1")
	var s shadow
	w.follow(&s, n)
	restart := func(wait time.Duration) string { // which looks at once
		t.Helper()
		at := s.rev
		w.must(w.Start(w.ctx))
		for range 20 { // an answer may come before there is anything new
			s.apply(w.changes(n, model.NodeHello{Boot: "boot-1", Applied: s.rev, Wait: wait}))
			if wait < time.Minute || s.rev > at {
				break
			}
		}
		w.Stop()
		w.follow(&s, n) // what it did between that answer and its end
		w.same(&s, n)
		return s.signers[a.Tenant].Keys[0].FirstDay
	}
	for _, want := range []string{"20260222", "20260222", "20260223", "20260301"} {
		wait := 20 * time.Millisecond // for nothing
		switch want {
		case "20260223":
			now.Add(24 * 3600)
			wait = time.Minute
		case "20260301":
			now.Add(6 * 24 * 3600)
			wait = time.Minute
		}
		if got := restart(wait); got != want {
			t.Errorf("first day %s, want %s", got, want)
		}
	}
	var rev uint64
	w.all(`select rev from feed_head`, &rev)
	if want := s.rev; rev != want {
		t.Errorf("revision %d after %d: a day was renewed twice", rev, want)
	}
}

func TestKeyPolicyIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, control.Options{AckTimeout: time.Millisecond, CheckPolicy: func(d string) error {
		if strings.Contains(d, "bad") {
			return model.Errorf(model.Invalid, "it is bad")
		}
		return nil
	}})
	a := w.tenant()
	id, _, err := w.CreateAccessKey(w.ctx, a)
	w.must(err)
	w.refused(w.SetAccessKeyPolicy(w.ctx, a, id, "bad"), model.Invalid, "cannot be acted on: it is bad")
	w.refused(w.SetAccessKeyPolicy(w.ctx, a, id, strings.Repeat(" x", control.MaxKeyPolicyBytes)), model.Limit, "at most 6144")
	w.refused(w.SetAccessKeyPolicy(w.ctx, a, "AKIAAAAAAAAAAAAAAAAA", "good"), model.NotFound, "no access key")
	w.must(w.SetAccessKeyPolicy(w.ctx, a, id, "good"))
	l, err := w.AccessKeys(w.ctx, a)
	w.must(err)
	if l[1].Policy != "good" || l[0].Policy != "" {
		t.Errorf("%+v", l)
	}
}
