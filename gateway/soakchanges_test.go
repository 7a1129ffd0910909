package gateway

import (
	"fmt"
	"slices"
	"strconv"

	"tollgate/model"
)

func soakPool(i int) string { return "us-east-1_soak" + strconv.Itoa(i) }

func (s *soak) plan(closed bool) model.PlanConfig {
	p := model.PlanConfig{ID: "p", Tenant: tenantNum}
	if !closed {
		p.Stages = []model.PlanStage{{APIID: "abc", Stage: "prod"}}
	}
	return p
}

// release makes a deployment of parts chosen by chance.
func (s *soak) release() *soakRelease {
	s.made++
	d := &soakRelease{n: s.made, up: s.ups[s.rnd.IntN(len(s.ups))], paths: 1 + s.rnd.IntN(4), identity: []string{"Allow", "Deny"}[s.rnd.IntN(2)]}
	d.trusted[s.rnd.IntN(2)] = true
	if s.rnd.IntN(3) == 0 {
		d.trusted = [2]bool{true, true}
	}
	methods := []string{"!GET /keyed", "GET /token", "GET /function", "GET /mapped"}
	for i := range d.paths {
		methods = append(methods, fmt.Sprint("GET /p", i))
	}
	s.content(d.id(), fmt.Sprintf("http://%s/%s", d.up, d.id()), methods...)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	def := &s.p.deployments[d.id()].Definition
	pool := model.Authorizer{ID: "pool", Name: "pool", Type: model.AuthCognito, IdentitySource: "method.request.header.Authorization"}
	for i, is := range d.trusted {
		if is {
			pool.ProviderARNs = append(pool.ProviderARNs, "arn:aws:cognito-idp:us-east-1:123456789012:userpool/"+soakPool(i))
		}
	}
	def.Authorizers = []model.Authorizer{pool, {ID: "function", Name: "function", Type: model.AuthorizerToken, AuthorizerURI: functionURI("token"),
		IdentitySource: "method.request.header.Authorization", IdentityValidationExpression: d.identity + ".*", ResultTTLSeconds: seconds(0)}}
	edit := func(path string, f func(*model.Method)) {
		m := *def.Method(path, "GET")
		f(&m)
		if err := def.SetMethod(path, "GET", m); err != nil {
			s.t.Fatal(err)
		}
	}
	edit("/token", func(m *model.Method) { m.AuthorizationType, m.AuthorizerID = model.AuthCognito, "pool" })
	edit("/function", func(m *model.Method) { m.AuthorizationType, m.AuthorizerID = model.AuthCustom, "function" })
	edit("/mapped", func(m *model.Method) {
		m.Integration.Type, m.Integration.HTTPMethod = model.IntegrationHTTP, "GET"
		m.Integration.Responses = map[string]model.IntegrationResponse{"default": {StatusCode: "200",
			ResponseTemplates: map[string]string{"application/json": d.id() + " $stageVariables.color $input.body"}}}
	})
	return d
}

// stage is how a node is told a state.
func (s *soak) stage(st *soakState) model.StageConfig {
	out := model.StageConfig{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: st.main.id(), Variables: map[string]string{"color": st.color}, Deleted: st.gone}
	if st.canary != nil {
		out.Canary = &model.CanaryConfig{DeploymentID: st.canary.id(), Percent: st.percent}
	}
	return out
}

// change tells the node a state and waits until it has confirmed it.
func (s *soak) change(st *soakState, ch model.Changes) {
	s.mu.Lock()
	if len(s.states) > 0 {
		st.n = s.states[len(s.states)-1].n + 1
	}
	s.states = append(s.states, st)
	s.mu.Unlock()
	s.p.tell(s.t, ch)
	s.p.mu.Lock()
	if f := s.p.hello.Failures; len(f) > 0 {
		s.t.Fatalf("state %d: %v", st.n, f)
	}
	keep := map[string]bool{}
	s.mu.Lock()
	s.acked = st.n
	for len(s.states) > 512 { // more than there are calls under way can have begun in
		s.states = s.states[1:]
	}
	s.states = slices.Clip(s.states)
	s.mu.Unlock()
	keep[st.main.id()] = true
	if st.canary != nil {
		keep[st.canary.id()] = true
	}
	for id := range s.p.deployments {
		if !keep[id] {
			delete(s.p.deployments, id)
		}
	}
	s.p.mu.Unlock()
}

// turn makes one change.
func (s *soak) turn() {
	st := *s.states[len(s.states)-1]
	if st.gone {
		st.gone = false
		s.change(&st, model.Changes{Stages: []model.StageConfig{s.stage(&st)}})
		return
	}
	staged := func() { s.change(&st, model.Changes{Stages: []model.StageConfig{s.stage(&st)}}) }
	switch n := s.rnd.IntN(20); {
	case n < 6:
		st.main = s.release()
		staged()
	case n < 11:
		s.turnKey(&st)
	case n < 13:
		st.color = []string{"blue", "green", "red"}[s.rnd.IntN(3)]
		staged()
	case n < 17:
		switch s.rnd.IntN(3) {
		case 0:
			st.canary, st.percent = s.release(), []float64{0, 30, 100}[s.rnd.IntN(3)]
		case 1:
			st.canary = nil
		default: // promoted
			if st.canary != nil {
				st.main, st.canary = st.canary, nil
			}
		}
		staged()
	case n < 18:
		st.gone = true
		staged()
	default:
		st.closed = !st.closed
		s.change(&st, model.Changes{Plans: []model.PlanConfig{s.plan(st.closed)}})
	}
}

// turnKey makes a key, or disables, enables or deletes one.
func (s *soak) turnKey(st *soakState) {
	was := st.keys
	st.keys = make(map[string]bool, len(was)+1)
	for k, v := range was {
		st.keys[k] = v
	}
	var value string
	cfg := model.KeyConfig{Tenant: tenantNum, Enabled: true, Subscriptions: []model.SubscriptionConfig{{ID: 1000, PlanID: "p"}}}
	if len(was) < 10 || len(was) < 100 && s.rnd.IntN(2) == 0 {
		value = model.NewKeyValue(false)
		s.made++
		s.keyNums[value] = uint32(s.made)
		st.keys[value] = true
	} else {
		for value = range was { // any
			break
		}
		if s.rnd.IntN(2) == 0 {
			cfg.Deleted = true
			delete(st.keys, value)
		} else {
			cfg.Enabled = !was[value]
			st.keys[value] = cfg.Enabled
		}
	}
	h := model.KeyHash(value)
	cfg.Num, cfg.Hash = s.keyNums[value], h[:]
	cfg.Subscriptions[0].ID += uint64(cfg.Num)
	if cfg.Deleted {
		delete(s.keyNums, value)
	}
	s.mu.Lock()
	if s.known = append(s.known, value); len(s.known) > 200 {
		s.known = slices.Clone(s.known[100:])
	}
	s.mu.Unlock()
	s.change(st, model.Changes{Keys: []model.KeyConfig{cfg}})
}
