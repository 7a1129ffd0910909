package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

const (
	// maxWait is how long a node may wait for news; see liveFor.
	maxWait = 30 * time.Second
)

// Changes answers what a node of a gateway must apply to get from hello.Applied
// to the present: at once if there is something, else when there is, or after
// hello.Wait with nothing but the present revision. Asking acknowledges Applied.
// A node is told only of what its gateway serves.
func (p *Plane) Changes(ctx context.Context, n NodeIdentity, hello model.NodeHello) (*model.Changes, error) {
	node, err := rowName(n, hello)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	visit, err := p.arrive(ctx, n, node, hello)
	if err != nil {
		return nil, err
	}
	wait := min(max(hello.Wait, 0), maxWait)
	c, err := p.waitForChanges(ctx, n, hello, wait)
	if ctx.Err() != nil {
		p.leave(ctx, n, node, visit)
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// rowName is a node's name among its gateway's. Processes that share a token tell
// themselves apart by the name they say, behind the one the token vouches for.
func rowName(n NodeIdentity, hello model.NodeHello) (string, error) {
	if hello.Boot == "" || len(hello.Boot) > 64 {
		return "", model.Errorf(model.Invalid, "a node says its boot id, of at most 64 characters")
	}
	if hello.Node == "" || hello.Node == n.Node {
		return n.Node, nil
	}
	if err := checkNodeName(hello.Node); err != nil {
		return "", err
	}
	return n.Node + "/" + hello.Node, nil
}

// arrive records a node's question and wakes those who wait for what it
// acknowledges.
func (p *Plane) arrive(ctx context.Context, n NodeIdentity, node string, h model.NodeHello) (visit int64, err error) {
	// A node that hangs up meanwhile does not break it off: whether a visit that is
	// broken off was recorded cannot be told, and one nobody ends is waited for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if h.Applied > 1<<62 {
		return 0, model.Errorf(model.Invalid, "revision %d was never given out", h.Applied)
	}
	failures := make([]model.StageFailure, 0, len(h.Failures))
	for _, f := range h.Failures[:min(len(h.Failures), model.MaxFailures)] {
		f.Reason = reasonOf(f.Reason)
		failures = append(failures, f)
	}
	err = p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var was bool
		err := tx.QueryRow(ctx, `
			insert into node as n (gateway_id, name, boot, applied_rev, failures, draining)
			select $1, $2, $3, case when `+goesOn("$4", "$7")+` then $4 else 0 end, $5, $6 from feed_head
			on conflict (gateway_id, name) do update set
				boot = excluded.boot, applied_rev = excluded.applied_rev, failures = excluded.failures, draining = excluded.draining,
				visit = n.visit + 1, connected = true, seen_at = now()
			returning visit, coalesce((select `+liveNode+` from node o where o.gateway_id = $1 and o.name = $2), false)`,
			n.Gateway, node, h.Boot, int64(h.Applied), failures, h.Draining, h.Stamp).Scan(&visit, &was)
		if err != nil {
			return err
		}
		if len(h.Targets) > 0 {
			if err := tookTargets(ctx, tx, n.Gateway, node, h); err != nil {
				return err
			}
		}
		if was == h.Draining {
			if err := notifyLimits(ctx, tx, n.Gateway); err != nil {
				return err
			}
		}
		return notifyAck(ctx, tx, n.Gateway)
	})
	return visit, err
}

// reasonOf is what a node gives as a reason, within bounds.
func reasonOf(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), model.MaxReason)], "\x00", ""), "")
}

func notifyAck(ctx context.Context, tx pgx.Tx, gateway int32) error {
	_, err := tx.Exec(ctx, `select pg_notify($1, $2)`, channelAck, strconv.Itoa(int(gateway)))
	return err
}

func notifyLimits(ctx context.Context, tx pgx.Tx, gateway int32) error {
	_, err := tx.Exec(ctx, `select pg_notify($1, $2)`, channelLimits, strconv.Itoa(int(gateway)))
	return err
}

// leave notes that a node's connection ended before its answer, so that nobody
// waits for it. A later visit of the node stands.
func (p *Plane) leave(ctx context.Context, n NodeIdentity, node string, visit int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			update node set connected = false where gateway_id = $1 and name = $2 and visit = $3`, n.Gateway, node, visit); err != nil {
			return err
		}
		if err := notifyLimits(ctx, tx, n.Gateway); err != nil {
			return err
		}
		return notifyAck(ctx, tx, n.Gateway)
	})
	if err != nil {
		p.log.Warn("a node went away, but that could not be recorded", "gateway", n.GatewayName, "node", node, "error", err)
	}
}

// waitForChanges answers with the changes since the applied ones as soon as there is one.
func (p *Plane) waitForChanges(ctx context.Context, n NodeIdentity, h model.NodeHello, wait time.Duration) (*model.Changes, error) {
	var c *model.Changes
	var news bool
	err := p.wake.until(ctx, channelChange, n.Gateway, wait, 0, func() (bool, error) {
		var err error
		c, news, err = p.news(ctx, n, h)
		return news, err
	})
	if err != nil || !news {
		return c, err
	}
	nodes := c.Nodes
	if c, err = p.changesSince(ctx, n, h); err != nil {
		return nil, err
	}
	c.Nodes = nodes
	return c, nil
}

// goesOn says that changes lead on from a node's revision: it was given out, with this
// stamp, and is not too long ago. One that was given out by what a backup has replaced
// leads nowhere, although revisions may have reached its number again.
func goesOn(applied, stamp string) string {
	return `(` + applied + `::bigint between greatest(pruned, 1) and rev
		and (` + stamp + `::text = '' or exists (select from feed_revision v where v.rev = ` + applied + ` and v.stamp::text = ` + stamp + `)))`
}

// stampOf is the stamp of the present revision.
const stampOf = `coalesce((select v.stamp::text from feed_revision v where v.rev = feed_head.rev), '')`

// news is the present revision with how many nodes the gateway has, and whether the gateway
// has a change after what is applied or changes cannot lead on from that.
func (p *Plane) news(ctx context.Context, n NodeIdentity, h model.NodeHello) (c *model.Changes, news bool, err error) {
	c = &model.Changes{}
	err = p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select rev, `+stampOf+`, not `+goesOn("$2", "$3")+`
				or exists (select 1 from feed_change where gateway_id = $1 and feed_change.rev > $2), `+nodesOf+`
			from feed_head`, n.Gateway, int64(h.Applied), h.Stamp).Scan(&c.Revision, &c.Stamp, &news, &c.Nodes)
	})
	return c, news, err
}

// maxRanges is how many separate changes are looked up one by one; a node that
// is further behind is sent everything.
const maxRanges = 2000

// span is a range of numbers of one kind of one tenant.
type span struct {
	tenant      uint32
	kind        string
	first, last int64
}

// changesSince reads, in one snapshot of the database, the present revision and
// the present state of all that changed since what is applied.
func (p *Plane) changesSince(ctx context.Context, n NodeIdentity, h model.NodeHello) (*model.Changes, error) {
	c := &model.Changes{}
	o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := p.in(ctx, everyTenant, o, func(tx pgx.Tx) error {
		*c = model.Changes{}
		err := tx.QueryRow(ctx, `select rev, `+stampOf+`, not `+goesOn("$1", "$2")+` from feed_head`, int64(h.Applied), h.Stamp).Scan(&c.Revision, &c.Stamp, &c.Full)
		if err != nil {
			return err
		}
		var spans []span
		if !c.Full {
			if spans, err = readSpans(ctx, tx, n.Gateway, h.Applied); err != nil {
				return err
			}
			c.Full = len(spans) > maxRanges
		}
		if c.Full {
			return p.readObjects(ctx, tx, n.Gateway, nil, c)
		}
		return p.readObjects(ctx, tx, n.Gateway, spans, c)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// readSpans is what changed since a revision, with overlapping ranges merged, so
// that each object comes once.
func readSpans(ctx context.Context, tx pgx.Tx, gateway int32, applied uint64) ([]span, error) {
	rows, err := tx.Query(ctx, `
		select distinct tenant_id, kind, first_num, last_num from feed_change
		where gateway_id = $1 and rev > $2 order by tenant_id, kind, first_num, last_num`, gateway, int64(applied))
	if err != nil {
		return nil, err
	}
	var out []span
	var s span
	_, err = pgx.ForEachRow(rows, []any{&s.tenant, &s.kind, &s.first, &s.last}, func() error {
		if i := len(out) - 1; i >= 0 && out[i].tenant == s.tenant && out[i].kind == s.kind && s.first <= out[i].last {
			out[i].last = max(out[i].last, s.last)
			return nil
		}
		out = append(out, s)
		return nil
	})
	return out, err
}

// The present state of each kind, for a gateway ($1): all that it serves, or a
// span ($2 to $4) with what is gone from it. Of what is gone a node is told the
// number and no more: it may belong to another gateway by now.
const (
	servedNow = ` where t.gateway_id = $1`

	tenantRows = `select t.tenant_id, t.account_id, t.suspended, t.caps, t.gateway_id <> $1 from tenant t`
	stageRows  = `select s.stage_num, s.tenant_id, s.api_id, s.name, coalesce(s.deployment_id, ''), s.settings,
			coalesce(cc.certificate_id, ''), cc.certificate, cc.private_key,
			(select jsonb_agg(jsonb_build_object('id', l.link_id, 'targets', to_jsonb(l.target_arns)) order by l.link_id) from vpc_link l where l.tenant_id = s.tenant_id),
			s.deleted_at is not null or t.gateway_id <> $1
		from stage s join tenant t using (tenant_id)
		left join client_certificate cc on cc.tenant_id = s.tenant_id and cc.certificate_id = s.settings->>'clientCertificateId'`
	planRows = `select p.plan_id, p.tenant_id, p.throttle, p.quota_limit, p.quota_period, p.quota_offset, p.hard, p.fail_open, p.soft_quota, ` + planStages + `,
			p.deleted_at is not null or t.gateway_id <> $1
		from plan p join tenant t using (tenant_id)`
	// A disabled developer's keys are as if disabled one by one. One who is overdue has
	// no subscription but those to plans that let it go on.
	keyColumns = `select k.key_num, k.key_id, k.tenant_id, k.hash, k.enabled and d.disabled is not true, k.deleted_at is not null or t.gateway_id <> $1,
			s.subscription_id, s.plan_id, s.terms, coalesce(s.origin_id, 0), ` + moneyOf + `
		from api_key k join tenant t using (tenant_id)
		left join (app a join developer d using (tenant_id, developer_id)) on (a.tenant_id, a.app_id) = (k.tenant_id, k.app_id)
		left join (subscription_key sk join subscription s using (tenant_id, subscription_id))
			on (sk.tenant_id, sk.key_num) = (k.tenant_id, k.key_num) and s.ended_at is null
				and (d.overdue_at is null or exists (select from plan u where (u.tenant_id, u.plan_id) = (s.tenant_id, s.plan_id)
					and (u.unpaid = 'keep' or u.unpaid = '' and t.billing_rules->>'unpaid' = 'keep')))
		left join plan p on (p.tenant_id, p.plan_id) = (s.tenant_id, s.plan_id)`
	keyOrder = ` order by k.tenant_id, k.key_num, s.subscription_id`
)

// readObjects reads everything that a gateway serves (no spans), or what became
// of the spans, in one round trip.
func (p *Plane) readObjects(ctx context.Context, tx pgx.Tx, gateway int32, spans []span, c *model.Changes) error {
	b := &pgx.Batch{}
	queue := func(read func(pgx.Rows, *model.Changes) error, sql string, args ...any) {
		b.Queue(sql, args...).Query(func(rows pgx.Rows) error { return read(rows, c) })
	}
	if spans == nil && c.Full {
		queue(readTenants, tenantRows+servedNow, gateway)
		queue(p.readStages, stageRows+servedNow+` and s.deleted_at is null`, gateway)
		queue(readPlans, planRows+servedNow+` and p.deleted_at is null`, gateway)
		queue(readKeys, keyColumns+servedNow+` and k.deleted_at is null`+keyOrder, gateway)
		queue(p.domainsOf, domainRows+servedNow+` and o.verified_at is not null`, gateway)
		queue(p.credentialsOf, credentialRows+servedNow+` and c.deleted_at is null`, gateway)
		queue(p.signersOf, signerRows+servedNow+` and k.access_key_id is not null`+signerOrder, gateway)
	}
	for _, s := range spans {
		switch s.kind {
		case kindTenant:
			queue(readTenants, tenantRows+` where t.tenant_id = $2`, gateway, s.tenant)
		case kindStage:
			queue(p.readStages, stageRows+` where s.tenant_id = $2 and s.stage_num between $3::bigint and $4::bigint`, gateway, s.tenant, s.first, s.last)
		case kindPlan:
			queue(readPlans, planRows+` where p.tenant_id = $2 and p.plan_num between $3::bigint and $4::bigint`, gateway, s.tenant, s.first, s.last)
		case kindKey:
			queue(readKeys, keyColumns+` where k.tenant_id = $2 and k.key_num between $3::bigint and $4::bigint`+keyOrder, gateway, s.tenant, s.first, s.last)
		case kindDomain:
			queue(p.domainsOf, domainRows+` where o.tenant_id = $2 and o.domain_num between $3::bigint and $4::bigint`, gateway, s.tenant, s.first, s.last)
		case kindCredential:
			queue(p.credentialsOf, credentialRows+` where c.tenant_id = $2 and c.credential_num between $3::bigint and $4::bigint`, gateway, s.tenant, s.first, s.last)
		case kindSigner:
			queue(p.signersOf, signerRows+` where t.tenant_id = $2`+signerOrder, gateway, s.tenant)
		}
	}
	return tx.SendBatch(ctx, b).Close()
}

func readTenants(rows pgx.Rows, c *model.Changes) error {
	var t model.TenantConfig
	_, err := pgx.ForEachRow(rows, []any{&t.Num, &t.AccountID, &t.Suspended, &t.Caps, &t.Deleted}, func() error {
		if t.Deleted {
			t = model.TenantConfig{Num: t.Num, Deleted: true}
		}
		c.Tenants = append(c.Tenants, t)
		t = model.TenantConfig{} // caps are merged into what is there
		return nil
	})
	return err
}

func (p *Plane) readStages(rows pgx.Rows, c *model.Changes) error {
	var s model.StageConfig
	var settings model.StageSettings
	var certificate string
	var chain *string
	var key []byte
	_, err := pgx.ForEachRow(rows, []any{&s.Num, &s.Tenant, &s.APIID, &s.Stage, &s.DeploymentID, &settings, &certificate, &chain, &key, &s.Links, &s.Deleted}, func() error {
		if s.Deleted {
			s = model.StageConfig{Num: s.Num, Tenant: s.Tenant, Deleted: true}
		} else {
			settings.Configure(&s)
			for i := range s.Links {
				s.Links[i] = linkConfig(s.Links[i].ID, s.Links[i].Targets)
			}
			if chain != nil {
				if err := p.identify(&s, certificate, *chain, key); err != nil {
					p.log.Error("a stage's back ends are shown no certificate", "api", s.APIID, "stage", s.Stage, "error", fmt.Sprint(err))
				}
			}
		}
		c.Stages = append(c.Stages, s)
		s, settings, chain, key = model.StageConfig{}, model.StageSettings{}, nil, nil // what is behind pointers must not be shared
		return nil
	})
	return err
}

func readPlans(rows pgx.Rows, c *model.Changes) error {
	var p model.PlanConfig
	var limit *int64
	var period *string
	var offset *int
	into := []any{&p.ID, &p.Tenant, &p.Throttle, &limit, &period, &offset, &p.Hard, &p.FailOpen, &p.SoftQuota, &p.Stages, &p.Deleted}
	_, err := pgx.ForEachRow(rows, into, func() error {
		p.Quota = quotaOf(limit, period, offset)
		if p.Deleted {
			p = model.PlanConfig{ID: p.ID, Tenant: p.Tenant, Deleted: true}
		}
		c.Plans = append(c.Plans, p)
		p = model.PlanConfig{} // pointers and slices must not be shared
		limit, period, offset = nil, nil, nil
		return nil
	})
	return err
}

// readKeys folds the rows of a key, one per subscription, into one.
func readKeys(rows pgx.Rows, c *model.Changes) error {
	var k model.KeyConfig
	var id *uint64
	var plan *string
	var terms *uint32
	var ledger uint64
	var spend string
	_, err := pgx.ForEachRow(rows, []any{&k.Num, &k.ID, &k.Tenant, &k.Hash, &k.Enabled, &k.Deleted, &id, &plan, &terms, &ledger, &spend}, func() error {
		i := len(c.Keys) - 1
		if i < 0 || c.Keys[i].Num != k.Num {
			if k.Deleted {
				k = model.KeyConfig{Num: k.Num, Tenant: k.Tenant, Deleted: true}
			}
			c.Keys = append(c.Keys, k)
			i++
		}
		if id != nil && !k.Deleted {
			c.Keys[i].Subscriptions = append(c.Keys[i].Subscriptions, model.SubscriptionConfig{ID: *id, PlanID: *plan, Terms: *terms, Ledger: ledger, Spend: spend})
		}
		k.Hash = nil // must not be shared
		return nil
	})
	return err
}

// Deployment is what a node compiles: any deployment of a tenant that its gateway
// serves.
func (p *Plane) Deployment(ctx context.Context, n NodeIdentity, id string) (*model.DeploymentContent, error) {
	d := &model.DeploymentContent{ID: id}
	err := p.read(ctx, everyTenant, func(tx pgx.Tx) error {
		var doc []byte
		err := tx.QueryRow(ctx, `
			select d.api_id, d.tenant_id, d.hash, d.definition
			from deployment d join tenant t using (tenant_id)
			where d.deployment_id = $1 and t.gateway_id = $2 and $3 in (0, d.tenant_id)`, id, n.Gateway, n.Tenant).
			Scan(&d.APIID, &d.Tenant, &d.Hash, &doc)
		if err != nil {
			return missing(err, "there is no deployment %q for this gateway", id)
		}
		if err := json.Unmarshal(doc, &d.Definition); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select path, verb, method_num from api_method where tenant_id = $1 and api_id = $2`, d.Tenant, d.APIID)
		if err != nil {
			return err
		}
		d.Methods, err = methodsOf(rows, &d.Definition)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// methodsOf keeps the numbers of the methods that the definition has; others
// belong to deployments before or after it.
func methodsOf(rows pgx.Rows, d *model.Definition) ([]model.MethodNumber, error) {
	verbs := make(map[string]map[string]model.Method, len(d.Resources))
	for i := range d.Resources {
		verbs[d.Resources[i].Path] = d.Resources[i].Methods
	}
	out := make([]model.MethodNumber, 0, d.MethodCount())
	var m model.MethodNumber
	_, err := pgx.ForEachRow(rows, []any{&m.Path, &m.Verb, &m.Num}, func() error {
		if _, ok := verbs[m.Path][m.Verb]; ok {
			out = append(out, m)
		}
		return nil
	})
	return out, err
}
