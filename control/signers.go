package control

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/awsapi/sigv4"
	"tollgate/model"
)

// Nodes verify calls that are signed with access keys. They get no secrets, but for each
// key the signing keys of a few days, which fit calls of APIs in the installation's
// region and nothing else: least of all the control plane's own calls.

const (
	signerService = "execute-api"
	dayFormat     = "20060102"
)

const signerRows = `select t.tenant_id, t.gateway_id <> $1, coalesce(k.access_key_id, ''), k.secret, coalesce(k.policy, ''),
		coalesce(m.member_id, ''), coalesce(p.email, ''), coalesce(m.role, '')
	from tenant t left join (access_key k join member m using (tenant_id, member_id) join person p using (person_id))
		on k.tenant_id = t.tenant_id and k.enabled`

const signerOrder = ` order by t.tenant_id, k.access_key_id`

// signersOf reads access keys, one row each or one for a tenant without.
func (p *Plane) signersOf(rows pgx.Rows, c *model.Changes) error {
	first := p.now().UTC().AddDate(0, 0, -model.SignerDaysBack)
	var tenant uint32
	var elsewhere bool
	var role Role
	var sealed []byte
	var s model.SignerConfig
	_, err := pgx.ForEachRow(rows, []any{&tenant, &elsewhere, &s.ID, &sealed, &s.Policy, &s.Member, &s.Name, &role}, func() error {
		if i := len(c.Signers) - 1; i < 0 || c.Signers[i].Tenant != tenant {
			c.Signers = append(c.Signers, model.SignersConfig{Tenant: tenant, Deleted: true})
		}
		if elsewhere || s.ID == "" {
			return nil
		}
		secret, err := p.openSecret(s.ID, sealed)
		if err != nil { // the others go on
			p.log.Error("calls signed with an access key will be refused", "error", err)
			return nil
		}
		s.Role, s.Invokes = string(role), mayInvoke(role)
		s.FirstDay, s.DayKeys = first.Format(dayFormat), p.dayKeys(secret, first)
		of := &c.Signers[len(c.Signers)-1]
		of.Keys, of.Deleted = append(of.Keys, s), false
		s = model.SignerConfig{} // slices must not be shared
		return nil
	})
	return err
}

// mayInvoke says whether a role lets its access keys call the account's APIs, where
// they have no policy: who may build them may.
func mayInvoke(r Role) bool { return Actor{Tenant: 1, Role: r}.May(ToBuild) == nil }

// dayKeys are the signing keys of the days that a node is told of.
func (p *Plane) dayKeys(secret string, first time.Time) [][]byte {
	out := make([][]byte, 0, model.SignerDaysBack+1+model.SignerDaysAhead)
	for i := range cap(out) {
		k := sigv4.Scope{Day: first.AddDate(0, 0, i).Format(dayFormat), Region: p.region, Service: signerService}.Key(secret)
		out = append(out, k[:])
	}
	return out
}

// changedSigners notes that nodes must look at the tenant's access keys.
func (w *write) changedSigners() { w.changed(kindSigner, 0) }

const signersEvery = 10 * time.Minute

// keepSigners gives nodes the signing keys of further days, once a day.
func (p *Plane) keepSigners(ctx context.Context) {
	tick := time.NewTicker(signersEvery)
	defer tick.Stop()
	for {
		if err := p.renewSigners(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("nodes could not be given the signing keys of further days; trying again later", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renewSigners tells the nodes of every tenant with access keys to look at them, unless
// that was done today already, by this process or another.
func (p *Plane) renewSigners(ctx context.Context) error {
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			with head as (update feed_head set rev = rev + 1, signer_day = $1 where signer_day < $1 returning rev),
			stamped as (insert into feed_revision (rev) select rev from head),
			listed as (
				insert into feed_change (tenant_id, rev, gateway_id, kind, first_num, last_num)
				select t.tenant_id, head.rev, t.gateway_id, $2, 0, 0 from head, tenant t
				where exists (select from access_key k where k.tenant_id = t.tenant_id)
				returning gateway_id)
			select distinct gateway_id from listed`, p.now().UTC().Format(time.DateOnly), kindSigner)
		if err != nil {
			return err
		}
		gateways, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		for _, g := range gateways {
			if err == nil {
				_, err = tx.Exec(ctx, `select pg_notify($1, $2)`, channelChange, strconv.Itoa(int(g)))
			}
		}
		return err
	})
}
