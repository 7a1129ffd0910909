package control

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// AuditEntry is who did what to which thing, and when.
type AuditEntry struct {
	ID     int64           `json:"id"`
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"` // e-mail address, or the member's id
	Role   Role            `json:"role"`
	Source string          `json:"source,omitempty"` // network address
	Action string          `json:"action"`
	Target string          `json:"target"`
	Detail json.RawMessage `json:"detail"`
	Name   string          `json:"name,omitempty"` // what the target is called now, where its id does not say
}

// AuditFilter asks for entries. The zero value is the newest 100.
type AuditFilter struct {
	Action   string // or what it begins with
	Actor    string // contained in it
	Target   string // contained in it
	From, To time.Time
	After    string // Next of the page before
	Limit    int    // at most 10,000
}

// Audit lists what was done on the account, the newest first.
func (p *Plane) Audit(ctx context.Context, actor Actor, f AuditFilter) (List[AuditEntry], error) {
	if err := actor.May(ToAudit); err != nil {
		return List[AuditEntry]{}, err
	}
	return p.audits(ctx, actor.scope(), `tenant_id = $1`, actor.Tenant, f)
}

// OperatorAudit lists what operators did, the newest first.
func (p *Plane) OperatorAudit(ctx context.Context, operator Actor, f AuditFilter) (List[AuditEntry], error) {
	if err := operator.May(ToOperate); err != nil {
		return List[AuditEntry]{}, err
	}
	return p.audits(ctx, everyTenant, `($1 = 0 and (tenant_id is null or role = 'operator'))`, 0, f)
}

func (p *Plane) audits(ctx context.Context, s scope, whose string, tenant uint32, f AuditFilter) (List[AuditEntry], error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 0 || f.Limit > 10_000 {
		return List[AuditEntry]{}, model.Errorf(model.Invalid, "a page has 1 to 10,000 entries, not %d", f.Limit)
	}
	before := int64(1<<63 - 1)
	if f.After != "" {
		var err error
		if before, err = strconv.ParseInt(f.After, 10, 64); err != nil {
			return List[AuditEntry]{}, model.Errorf(model.Invalid, "the page position is not one that we gave; start from the first page")
		}
	}
	var from, to *time.Time
	if !f.From.IsZero() {
		from = &f.From
	}
	if !f.To.IsZero() {
		to = &f.To
	}
	out := List[AuditEntry]{Items: []AuditEntry{}}
	err := p.read(ctx, s, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select audit_id, at, case when actor_name = '' then actor else actor_name end, role, source, action, target, detail, coalesce(case split_part(action, '.', 1)
				when 'api' then (select name from api x where (x.tenant_id, x.api_id) = (a.tenant_id, a.target))
				when 'stage' then (select name from api x where (x.tenant_id, x.api_id) = (a.tenant_id, a.target))
				when 'portal' then (select name from api x where (x.tenant_id, x.api_id) = (a.tenant_id, a.target))
				when 'plan' then (select name from plan x where (x.tenant_id, x.plan_id) = (a.tenant_id, a.target))
				when 'key' then coalesce((select name from api_key x where (x.tenant_id, x.key_id) = (a.tenant_id, a.target)),
					(select name from plan x where (x.tenant_id, x.plan_id) = (a.tenant_id, a.target)))
				when 'app' then (select name from app x where (x.tenant_id, x.app_id) = (a.tenant_id, a.target))
				when 'subscription' then (select name from app x where (x.tenant_id, x.app_id) = (a.tenant_id, a.target))
				when 'developer' then (select email from developer x where (x.tenant_id, x.developer_id) = (a.tenant_id, a.target))
				when 'invoice' then a.detail->>'number'
				when 'credit' then coalesce(a.detail->>'number', (select email from developer x where (x.tenant_id, x.developer_id) = (a.tenant_id, a.target)))
				when 'coupon' then (select email from developer x where (x.tenant_id, x.developer_id) = (a.tenant_id, a.target))
				when 'tenant' then (select name from tenant x where x.account_id = a.target)
				end, '')
			from audit a
			where `+whose+` and audit_id < $2 and starts_with(action, $3)
				and ($4 = '' or position(lower($4) in lower(actor_name || ' ' || actor)) > 0) and ($5 = '' or position(lower($5) in lower(target)) > 0)
				and ($6::timestamptz is null or at >= $6) and ($7::timestamptz is null or at < $7)
			order by audit_id desc limit $8`, tenant, before, f.Action, f.Actor, f.Target, from, to, f.Limit+1)
		if err != nil {
			return err
		}
		out.Items, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AuditEntry])
		if err == nil && len(out.Items) > f.Limit {
			out.Items = out.Items[:f.Limit]
			out.Next = strconv.FormatInt(out.Items[f.Limit-1].ID, 10)
		}
		return err
	})
	return out, err
}

// Sentence says what an entry tells, without who did it.
func (e AuditEntry) Sentence() string {
	before, after := e.Words()
	return before + e.Called() + after
}

// Called is what the target is best known by; empty where the sentence is without it.
func (e AuditEntry) Called() string {
	if s, ok := sentences[e.Action]; ok && !strings.Contains(s, "*") {
		return ""
	}
	if e.Name != "" {
		return e.Name
	}
	return e.Target
}

// Words are what stands before and after the target in an entry's sentence.
func (e AuditEntry) Words() (before, after string) {
	s, ok := sentences[e.Action]
	if !ok {
		s = e.Action + " *"
	}
	if strings.Contains(s, "{") {
		var d map[string]any
		_ = json.Unmarshal(e.Detail, &d) // without details, words stand for themselves
		s = detailWord.ReplaceAllStringFunc(s, func(w string) string {
			if v, ok := d[w[1:len(w)-1]].(string); ok && v != "" {
				return v
			}
			return "(unknown)"
		})
	}
	before, after, _ = strings.Cut(s, "*")
	return before, after
}

var detailWord = regexp.MustCompile(`\{[a-z]+\}`)

// sentences are all actions there are, with * for the target and {x} for a detail;
// a test finds one that is missing.
var sentences = map[string]string{
	"access-key.create": "made access key *", "access-key.delete": "deleted access key *", "access-key.disable": "disabled access key *", "access-key.policy": "changed what access key * may call", "access-key.enable": "enabled access key *",
	"account.rename": "renamed account * to {name}", "account.log-role": "changed the role that logs of account * are written with",
	"api.create": "made API *", "api.delete": "deleted API *", "api.deploy": "deployed API * to {stage}", "api.import": "imported API *", "api.update": "changed API *",
	"app.create": "made app *", "app.delete": "deleted app *", "app.rename": "renamed app * to {name}", "app.subscribe": "subscribed app *", "app.unsubscribe": "ended a subscription of app *", "app.plan": "changed the plan of app *", "app.plan-later": "chose another plan of app * from {at} on", "app.plan-kept": "took back the change of plan of app *",
	"billing.run": "made invoice drafts for *", "billing.seller": "changed who invoices are from to *", "invoice.finalize": "made final invoice *",
	"billing.rules": "changed * of invoices", "invoice.paid": "booked a payment of invoice *", "invoice.payment-failed": "booked a failed payment of invoice *",
	"credit.grant": "gave credit to *", "credit.revoke": "took credit back from *", "credit.top-up": "made the top-up *", "credit.lapse": "let the top-up * lapse", "credit.refill": "changed the automatic top-up of *",
	"coupon.create": "made the coupon *", "coupon.withdraw": "withdrew the coupon *", "coupon.use": "entered a coupon for *", "coupon.end": "took a coupon from *",
	"invoice.paid-back": "booked money paid back of invoice *", "invoice.void": "made invoice * void", "invoice.uncollectible": "gave up invoice *",
	"invoice.credit": "credited invoice * with {number}", "invoice.past-due": "found invoice * past due", "invoice.disputed": "found a payment of invoice * disputed", "invoice.dispute-won": "found a dispute of invoice * won",
	"invoice.dispute-lost": "found a dispute of invoice * lost", "invoice.remind": "sent a reminder of invoice *",
	"deployment.create": "made deployment {deployment} of API *", "deployment.delete": "deleted deployment {deployment} of API *", "deployment.update": "changed the description of deployment {deployment} of API *",
	"client-certificate.create": "made client certificate *", "client-certificate.delete": "deleted client certificate *", "client-certificate.describe": "changed the description of client certificate *",
	"client-certificate.replace": "had stages show {with} instead of client certificate *",
	"documentation.version":      "made documentation version {version} of API *", "documentation.delete": "deleted documentation version {version} of API *",
	"documentation.describe": "changed the description of documentation version {version} of API *",
	"developer.sign-up":      "signed up as developer *", "developer.disable": "disabled developer *", "developer.enable": "enabled developer *", "developer.update": "changed developer *", "developer.password": "set the password of developer *",
	"developer.overdue": "found developer * overdue", "developer.paid": "found that developer * has paid",
	"gateway.create": "made gateway *", "gateway.place": "said where gateway * is", "journal.give-up": "gave up waiting for journal *", "batch.take-in": "took in batch *, which was set aside",
	"installation.mail": "changed mail settings to *", "installation.seller": "changed who invoices are from", "installation.sign-up": "changed who may sign up",
	"installation.invite": "invited * to sign up", "installation.uninvite": "took back the invitation of * to sign up",
	"key.create": "made key *", "key.delete": "deleted key *", "key.disable": "disabled key *", "key.enable": "enabled key *", "key.update": "changed key *", "key.extend": "extended the quota of key *", "key.import": "imported keys into plan *",
	"key.move": "moved key * to another plan", "key.subscribe": "subscribed key *", "key.unsubscribe": "unsubscribed key *",
	"member.invite": "invited * as {role}", "member.join": "joined as {role}, invited by {by}", "member.remove": "removed member *", "member.role": "changed the role of * from {from} to {to}", "member.uninvite": "took back the invitation of *",
	"node.forget": "forgot node *", "node.revoke": "revoked the tokens of node *", "node.token": "made a token for node *",
	"operator.create": "made operator *", "operator.remove": "removed operator *", "operator.password": "changed the password of operator *",
	"person.password": "changed the password of *", "person.reset": "reset the password of *",
	"plan.create": "made plan *", "plan.delete": "deleted plan *", "plan.reprice": "moved subscriptions to the present price of plan *", "plan.update": "changed plan *",
	"plan.announce": "announced a price of plan * from {from} on", "plan.take-back": "took back the price of plan * from {from} on", "plan.price": "gave plan * its announced price",
	"portal.publish-api": "published API * on the portal", "portal.unpublish-api": "took API * off the portal", "portal.update": "changed portal *",
	"prices.add":             "added prices for tenants from *",
	"service-credential.put": "stored service credential *", "service-credential.delete": "deleted service credential *",
	"stage.create": "made stage {stage} of API *", "stage.update": "changed stage {stage} of API *",
	"stage.delete": "deleted stage {stage} of API *", "stage.rollback": "rolled back stage {stage} of API *", "stage.throttle": "changed the throttle of stage {stage} of API *",
	"subscription.end": "ended a subscription of app *", "subscription.spend": "changed the spend cap of a subscription of app *", "account.spend-alert": "changed the monthly amount at which mails are wanted to *", "subscription.plan": "changed the plan of app *", "subscription.plan-later": "chose another plan of app * from {at} on",
	"subscription.plan-kept": "took back the change of plan of app *",
	"tags.change":            "changed the tags of *",
	"vpc-link.create":        "made private link *", "vpc-link.delete": "deleted private link *", "vpc-link.update": "changed private link *",
	"tenant.caps": "changed the caps of account *", "tenant.create": "made account *", "tenant.move": "moved account * to gateway {gateway}", "tenant.resume": "resumed account *",
	"tenant.sign-up": "opened account *", "tenant.suspend": "suspended account *: {reason}",
}
