package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"runtime/debug"
	"strings"

	"tollgate/gateway/accesslog"
	"tollgate/gateway/auth"
	"tollgate/gateway/cache"
	"tollgate/gateway/http1"
	"tollgate/gateway/limit"
	"tollgate/gateway/token"
	"tollgate/model"
)

// registry is everything a node knows, as the follower's changes made it. Only
// apply touches it; calls see the view, and what hangs from it.
type registry struct {
	tenants  map[uint32]*tenant
	stages   map[uint32]*stage
	plans    map[planKey]*planRef
	keys     map[uint32]*key
	subs     map[uint64]*subscription
	refs     map[stageName]*stageRef
	buckets  map[stageMethod]*limit.Bucket
	programs map[string]*program
	domains  map[uint32]*domain
	links    map[linkKey]*linkRef
	caches   map[cacheOf]*stageCache
	signers  map[uint32][]*signer // by tenant
	creds    map[uint32]*credential
	measures map[measured]*apiMetrics
	// measuredMethods are those of measures that are methods.
	measuredMethods int
}

type stageMethod struct{ stage, method uint32 }

func newRegistry() registry {
	return registry{
		tenants: map[uint32]*tenant{}, stages: map[uint32]*stage{}, plans: map[planKey]*planRef{},
		keys: map[uint32]*key{}, subs: map[uint64]*subscription{}, refs: map[stageName]*stageRef{},
		buckets: map[stageMethod]*limit.Bucket{}, programs: map[string]*program{}, domains: map[uint32]*domain{}, links: map[linkKey]*linkRef{},
		caches:   map[cacheOf]*stageCache{},
		signers:  map[uint32][]*signer{},
		creds:    map[uint32]*credential{},
		measures: map[measured]*apiMetrics{},
	}
}

// apply puts changes into effect and reports what it could not. Tenants, plans
// and keys go first, so that a route never appears before what guards it;
// routes that end are taken away before that.
func (g *Gateway) apply(ch *model.Changes, content func(string) *model.DeploymentContent) []model.StageFailure {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ch.Full {
		ch = g.reg.complete(ch)
	}
	for i := range ch.Stages {
		if ch.Stages[i].Deleted {
			delete(g.reg.stages, ch.Stages[i].Num)
		}
	}
	for i := range ch.Domains {
		if ch.Domains[i].Deleted {
			delete(g.reg.domains, ch.Domains[i].Num)
		}
	}
	if len(ch.Stages)+len(ch.Domains) > 0 {
		g.publish()
	}
	for i := range ch.Tenants {
		g.applyTenant(&ch.Tenants[i])
	}
	for i := range ch.Plans {
		g.applyPlan(&ch.Plans[i])
	}
	g.applyKeys(ch.Keys)
	told := map[uint32]bool{}
	for i := range ch.Stages {
		if s := &ch.Stages[i]; !s.Deleted && !told[s.Tenant] { // the same on each of its stages
			told[s.Tenant] = true
			g.reg.applyLinks(s.Tenant, s.Links)
		}
	}
	g.applySigners(ch.Signers)
	g.reg.applyCredentials(ch)
	var failed []model.StageFailure
	for i := range ch.Stages {
		s := &ch.Stages[i]
		if s.Deleted {
			continue
		}
		if err := g.applyStage(s, content); err != nil {
			failed = append(failed, model.StageFailure{Tenant: s.Tenant, Stage: s.Num, DeploymentID: s.DeploymentID,
				Reason: fmt.Sprintf("API %s stage %s stays as it was: %v", s.APIID, s.Stage, err)})
		}
	}
	for i := range ch.Domains {
		g.applyDomain(&ch.Domains[i])
	}
	if len(ch.Stages)+len(ch.Domains) > 0 {
		g.publish()
	}
	if len(ch.Stages) > 0 {
		g.tidy()
	}
	if ch.Full && len(ch.Keys) > 10_000 {
		debug.FreeOSMemory() // what reading so much left behind
	}
	return failed
}

// complete adds to a full change the deletion of everything it does not name.
func (r *registry) complete(ch *model.Changes) *model.Changes {
	out := *ch
	out.Tenants = append([]model.TenantConfig(nil), ch.Tenants...)
	out.Stages = append([]model.StageConfig(nil), ch.Stages...)
	out.Plans = append([]model.PlanConfig(nil), ch.Plans...)
	out.Keys = append([]model.KeyConfig(nil), ch.Keys...)
	out.Domains = append([]model.DomainConfig(nil), ch.Domains...)
	out.Signers = append([]model.SignersConfig(nil), ch.Signers...)
	tenants, stages, plans, keys := map[uint32]bool{}, map[uint32]bool{}, map[planKey]bool{}, map[uint32]bool{}
	for i := range ch.Tenants {
		tenants[ch.Tenants[i].Num] = true
	}
	for i := range ch.Stages {
		stages[ch.Stages[i].Num] = true
	}
	for i := range ch.Plans {
		plans[planKey{ch.Plans[i].Tenant, ch.Plans[i].ID}] = true
	}
	for i := range ch.Keys {
		keys[ch.Keys[i].Num] = true
	}
	for n := range r.tenants {
		if !tenants[n] {
			out.Tenants = append(out.Tenants, model.TenantConfig{Num: n, Deleted: true})
		}
	}
	for n := range r.stages {
		if !stages[n] {
			out.Stages = append(out.Stages, model.StageConfig{Num: n, Deleted: true})
		}
	}
	for k := range r.plans {
		if !plans[k] {
			out.Plans = append(out.Plans, model.PlanConfig{Tenant: k.tenant, ID: k.id, Deleted: true})
		}
	}
	signers := map[uint32]bool{}
	for i := range ch.Signers {
		signers[ch.Signers[i].Tenant] = true
	}
	for n := range r.signers {
		if !signers[n] {
			out.Signers = append(out.Signers, model.SignersConfig{Tenant: n, Deleted: true})
		}
	}
	domains := map[uint32]bool{}
	for i := range ch.Domains {
		domains[ch.Domains[i].Num] = true
	}
	for n := range r.domains {
		if !domains[n] {
			out.Domains = append(out.Domains, model.DomainConfig{Num: n, Deleted: true})
		}
	}
	out.Credentials = r.completeCredentials(ch.Credentials)
	for n := range r.keys {
		if !keys[n] {
			out.Keys = append(out.Keys, model.KeyConfig{Num: n, Deleted: true})
		}
	}
	return &out
}

func (g *Gateway) applyTenant(cfg *model.TenantConfig) {
	t := g.reg.tenants[cfg.Num]
	if t == nil || !cfg.Deleted && t.account != cfg.AccountID { // a restored database gives a number to another
		t = &tenant{num: cfg.Num, account: cfg.AccountID, share: g.calls.Tenant(http1.Now()), cache: cache.NewBudget(g.o.CacheMemory/2, g.cacheBudget)}
		g.reg.tenants[cfg.Num] = t
		if g.spans != nil {
			n := g.spans.PerAccount()
			t.spans.Set(model.Throttle{Rate: float64(n), Burst: n}, http1.Now())
		}
	}
	t.suspended.Store(cfg.Suspended || cfg.Deleted)
	caps := cfg.Caps
	d := g.o.Caps
	if caps.Rate == 0 {
		caps.Rate, caps.Burst = d.Rate, d.Burst
	}
	if caps.Burst == 0 {
		caps.Burst = max(1, int(caps.Rate))
	}
	if caps.InFlight == 0 {
		caps.InFlight = d.InFlight
	}
	if caps.BufferedBytes == 0 {
		caps.BufferedBytes = d.BufferedBytes
	}
	t.caps.Store(&caps)
	t.bucket.Set(model.Throttle{Rate: caps.Rate, Burst: caps.Burst}, http1.Now())
	if cfg.Deleted {
		t.authorizations.close(&g.authBytes)
		delete(g.reg.tenants, cfg.Num)
	}
}

func (r *registry) planRef(k planKey) *planRef {
	p := r.plans[k]
	if p == nil {
		p = &planRef{}
		r.plans[k] = p
	}
	return p
}

func (r *registry) stageRef(n stageName) *stageRef {
	s := r.refs[n]
	if s == nil {
		s = &stageRef{n}
		r.refs[n] = s
	}
	return s
}

func (g *Gateway) applyPlan(cfg *model.PlanConfig) {
	ref := g.reg.planRef(planKey{cfg.Tenant, cfg.ID})
	if cfg.Deleted {
		ref.Store(nil)
		return
	}
	p := &plan{throttle: cfg.Throttle, quota: cfg.Quota, exact: cfg.Exactness}
	for _, s := range cfg.Stages {
		ps := planStage{ref: g.reg.stageRef(stageName{cfg.Tenant, s.APIID, s.Stage})}
		if len(s.Throttle) > 0 {
			ps.methods = maps.Clone(s.Throttle)
		}
		p.stages = append(p.stages, ps)
	}
	ref.Store(p)
}

func (g *Gateway) applyKeys(cfgs []model.KeyConfig) {
	up := make([]auth.Key[key], 0, len(cfgs))
	var gone []auth.ID
	for i := range cfgs {
		cfg := &cfgs[i]
		old := g.reg.keys[cfg.Num]
		h, ok := hashOf(cfg.Hash)
		if cfg.Deleted || !ok {
			delete(g.reg.keys, cfg.Num)
			g.dropSubs(old)
			if old != nil {
				gone = append(gone, auth.ID{Tenant: old.tenant, Hash: old.hash})
			}
			continue
		}
		k := &key{num: cfg.Num, id: cfg.ID, tenant: cfg.Tenant, hash: h, enabled: cfg.Enabled}
		for _, s := range cfg.Subscriptions {
			sub := g.reg.subs[s.ID]
			of := subscription{id: s.ID, ledger: cmp.Or(s.Ledger, s.ID), tenant: cfg.Tenant, terms: s.Terms,
				plan: g.reg.planRef(planKey{cfg.Tenant, s.PlanID})}
			if sub == nil || !sub.same(&of) {
				sub = &of
				g.reg.subs[s.ID] = sub
			}
			if s.Spend != "" || sub.spend.Load() != nil {
				sub.bound(g, s.Spend)
			}
			k.subscribe(sub)
			sub.keys++
		}
		g.dropSubs(old)
		if old != nil && (old.hash != h || old.tenant != k.tenant) {
			gone = append(gone, auth.ID{Tenant: old.tenant, Hash: old.hash})
		}
		g.reg.keys[cfg.Num] = k
		up = append(up, auth.Key[key]{ID: auth.ID{Tenant: k.tenant, Hash: h}, Value: k})
	}
	g.keys.Apply(up, gone)
}

// dropSubs lets go of an old key's subscriptions, and ends those that no other
// key has.
func (g *Gateway) dropSubs(old *key) {
	if old == nil {
		return
	}
	for i := 0; old.sub(i) != nil; i++ {
		s := old.sub(i)
		if s.keys--; s.keys > 0 {
			continue
		}
		if g.reg.subs[s.id] == s {
			delete(g.reg.subs, s.id)
		}
		s.close()
	}
}

// applyStage points a stage at its deployment, and at its canary's. When either
// does not compile the stage stays as it was.
func (g *Gateway) applyStage(cfg *model.StageConfig, content func(string) *model.DeploymentContent) error {
	t := g.reg.tenants[cfg.Tenant]
	if t == nil {
		return fmt.Errorf("its tenant is not known here")
	}
	prog, err := g.program(cfg, cfg.DeploymentID, cfg.Variables, content)
	if err != nil {
		return err
	}
	logs, err := g.logsOf(t, cfg)
	if err != nil {
		return err
	}
	name := stageName{cfg.Tenant, cfg.APIID, cfg.Stage}
	s := &stage{num: cfg.Num, cfg: *cfg, tenant: t, logs: logs, cors: compileCORS(cfg.CORS), limits: cfg.RateLimitHeaders, ref: g.reg.stageRef(name), metrics: g.reg.stageMetrics(name), tracing: g.tracingOf(cfg)}
	if k := cfg.Canary; k != nil {
		vars := maps.Clone(cfg.Variables)
		if vars == nil {
			vars = k.Overrides
		} else {
			maps.Copy(vars, k.Overrides)
		}
		other, err := g.program(cfg, k.DeploymentID, vars, content)
		if err != nil {
			return fmt.Errorf("its canary: %w", err)
		}
		s.canary = &canary{g.variant(t, cfg, other, vars, true), uint64(min(max(k.Percent, 0), 100) / 100 * (1 << 32))}
	}
	s.variant = g.variant(t, cfg, prog, cfg.Variables, false)
	g.reg.stages[cfg.Num] = s
	return nil
}

// program is a deployment of a stage's API, compiled for stages with these variables.
func (g *Gateway) program(cfg *model.StageConfig, id string, vars map[string]string, content func(string) *model.DeploymentContent) (*program, error) {
	who, err := newIdentity(cfg.Identity)
	if err != nil {
		return nil, err
	}
	keys := []string{id, programKey(id, vars)}
	if who != nil {
		keys = append([]string{withIdentity(keys[0], who), withIdentity(keys[1], who)}, keys...)
	}
	for _, key := range keys {
		if prog := g.reg.programs[key]; prog != nil && (who == nil || prog.shown == who.name || !prog.shows) {
			if prog.tenant != cfg.Tenant || prog.api != cfg.APIID {
				return nil, fmt.Errorf("deployment %s is of another API", id)
			}
			return prog, nil
		}
	}
	d := content(id)
	if d == nil {
		return nil, fmt.Errorf("deployment %s could not be had", id)
	}
	if d.Tenant != cfg.Tenant || d.APIID != cfg.APIID {
		return nil, fmt.Errorf("deployment %s is of another API", id)
	}
	prog, err := compile(d, vars, outward{g.upstreams, func(link string) *linkRef { return g.reg.linkRef(linkKey{cfg.Tenant, link}) }, who,
		g.apiARN(g.reg.tenants[cfg.Tenant].account, d.APIID), g.o.Endpoints})
	if err != nil {
		return nil, err
	}
	g.reg.programs[prog.key] = prog
	return prog, nil
}

// variant puts a program on a stage. A method has one bucket there, whichever of
// the stage's programs runs it.
func (g *Gateway) variant(t *tenant, cfg *model.StageConfig, prog *program, vars map[string]string, canary bool) variant {
	r := &g.reg
	v := variant{prog, make([]run, len(prog.methods)), vars, canary}
	for i := range v.runs {
		m := &prog.methods[i]
		b := r.stageBucket(cfg, m, g.shares)
		u := compose(prog, m, b)
		v.runs[i] = run{m: m, bucket: b, cache: r.caching(t, cfg, m, canary), steps: stepLists[u], names: stepNames[u], logging: cfg.LoggingOf(m.throttleKey)}
		own, wanted := r.methodMetrics(t, cfg, m, g.o.MethodMetrics)
		v.runs[i].metrics, v.runs[i].unmeasured = own, wanted && own == nil
	}
	return v
}

// stageBucket is the bucket of one method of a stage. It outlives deployments,
// so that deploying gives nobody a fresh burst.
func (r *registry) stageBucket(cfg *model.StageConfig, m *method, shares *limit.Shares) *limit.Bucket {
	k := stageMethod{cfg.Num, m.num}
	t := cfg.ThrottleOf(m.throttleKey)
	if t == nil {
		delete(r.buckets, k)
		return nil
	}
	b := r.buckets[k]
	if b == nil {
		b = shares.Bucket(limit.BucketID(fmt.Sprint("stage method ", k.stage, k.method)))
		r.buckets[k] = b
	}
	b.Set(*t, http1.Now())
	return b
}

// publish swaps in a view of the stages.
func (g *Gateway) publish() {
	v := &view{apis: map[string][]*stage{}, domains: make(map[string]*domain, len(g.reg.domains))}
	for _, s := range g.reg.stages {
		id := strings.ToLower(s.cfg.APIID)
		v.apis[id] = append(v.apis[id], s)
	}
	for _, d := range g.reg.domains {
		v.domains[d.name] = d
	}
	g.view.Store(v)
}

// tidy forgets programs, pools, buckets and names that nothing uses any more, so
// that nothing grows with the number of deployments.
func (g *Gateway) tidy() {
	progs := map[string]*program{}
	pools := map[http1.PoolKey]bool{}
	live := map[stageMethod]bool{}
	dests := map[*accesslog.Dest]bool{}
	refs := map[stageName]*stageRef{}
	linked := map[*linkRef]bool{}
	issuers := map[token.IssuerID]bool{}
	served := map[uint32]bool{}
	for _, s := range g.reg.stages {
		served[s.tenant.num] = true
		if s.logs.access != nil {
			dests[s.logs.access.dest] = true
		}
		refs[s.ref.name] = s.ref
		for _, p := range s.programs() {
			progs[p.key] = p
			for _, a := range p.tokens {
				for _, u := range a.issuers(g.o.UserPools) {
					issuers[token.IssuerID{Tenant: p.tenant, URL: u}] = true
				}
			}
			for i := range p.methods {
				m := &p.methods[i]
				m.poolKeys(pools)
				if m.special != nil && m.special.link != nil {
					linked[m.special.link] = true
				}
				if m.authorizer != nil {
					pools[m.authorizer.key] = true
				}
				live[stageMethod{s.num, m.num}] = true
			}
		}
	}
	for k, p := range g.reg.plans {
		cur := p.Load()
		if cur == nil {
			if !g.reg.planUsed(p) {
				delete(g.reg.plans, k)
			}
			continue
		}
		for i := range cur.stages {
			refs[cur.stages[i].ref.name] = cur.stages[i].ref
		}
	}
	g.reg.tidyCaches()
	g.reg.tidyMetrics()
	maps.DeleteFunc(g.reg.buckets, func(k stageMethod, _ *limit.Bucket) bool { return !live[k] })
	g.reg.programs, g.reg.refs = progs, refs
	maps.DeleteFunc(g.reg.links, func(k linkKey, ref *linkRef) bool { return !linked[ref] && (ref.Load() == nil || !served[k.tenant]) })
	g.upstreams.Keep(pools)
	g.sinks.Keep(dests)
	g.calls.Keep(func(num uint32) bool { return g.reg.stages[num] != nil })
	g.tokens.Keep(issuers)
}

func (r *registry) planUsed(p *planRef) bool {
	for _, s := range r.subs {
		if s.plan == p {
			return true
		}
	}
	return false
}
