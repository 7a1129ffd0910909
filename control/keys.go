package control

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// MaxImportKeys bounds one ImportKeys.
const MaxImportKeys = 1_000_000

func (n *NewKey) check() error {
	if err := n.checkSpec(); err != nil {
		return err
	}
	return model.CheckKeyValue(n.Value)
}

// checkSpec checks what can be changed later.
func (n *NewKey) checkSpec() error {
	if n.Name != "" {
		if err := checkName("an API key", n.Name, 1024); err != nil {
			return err
		}
	}
	if len(n.Description) > maxKeyText || len(n.CustomerID) > maxKeyText || len(n.StageKeys) > 100 {
		return model.Errorf(model.Invalid, "a key's description and customer id have at most %d bytes, and it is tied to at most 100 stages", maxKeyText)
	}
	return nil
}

const maxKeyText = 10_000

// CreateKey makes an API key and subscribes it to plans. The value is in the
// answer and nowhere else: only its hash is kept.
func (p *Plane) CreateKey(ctx context.Context, actor Actor, n NewKey) (CreatedKey, error) {
	if n.Value == "" {
		n.Value = model.NewKeyValue(!n.Test)
	}
	if err := n.check(); err != nil {
		return CreatedKey{}, err
	}
	out := CreatedKey{Value: n.Value}
	rev, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		id, err := p.createKey(ctx, w, &n)
		if err != nil {
			return err
		}
		out.Key, err = readKey(ctx, w, w.tenant, id)
		return err
	})
	if err != nil {
		return CreatedKey{}, err
	}
	out.Revision = rev
	return out, nil
}

// createKey writes a key that was checked.
func (p *Plane) createKey(ctx context.Context, w *write, n *NewKey) (id string, err error) {
	id = model.NewID(10)
	hash := model.KeyHash(n.Value)
	var sealed []byte
	if n.Readable {
		sealed = p.sealSecret(sealedKey(id), n.Value)
	}
	var num uint32
	err = w.QueryRow(ctx, `
		insert into api_key (tenant_id, key_id, name, hash, prefix, last4, enabled, description, customer_id, stage_keys, sealed)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		returning key_num`,
		w.tenant, id, n.Name, hash[:], n.Value[:8], n.Value[len(n.Value)-4:], n.Enabled, n.Description, n.CustomerID, notNil(n.StageKeys), sealed).Scan(&num)
	if err != nil {
		return "", err
	}
	for _, plan := range n.PlanIDs {
		if _, err := w.subscribe(ctx, num, id, plan); err != nil {
			return "", err
		}
	}
	if err := w.tag(ctx, "/apikeys/"+id, n.Tags, nil); err != nil {
		return "", err
	}
	w.changed(kindKey, int64(num))
	return id, w.audit(ctx, "key.create", id, map[string]any{"name": n.Name, "enabled": n.Enabled, "plans": n.PlanIDs})
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// sealedKey is what a key's value is sealed for: it opens under no other id, and no
// access key's secret passes for it.
func sealedKey(id string) string { return "api-key/" + id }

// CreateKeys makes keys with plans of their own, in one transaction. With
// failOnWarnings one that cannot be made keeps all from being made; else it is left
// out and said.
func (p *Plane) CreateKeys(ctx context.Context, actor Actor, keys []NewKey, failOnWarnings bool) (ids, warnings []string, err error) {
	const most = 10_000
	if len(keys) > most {
		return nil, nil, model.Errorf(model.Limit, "%d keys at once are too many; at most %d are allowed", len(keys), most)
	}
	_, err = p.writeAs(ctx, actor, ToSell, func(w *write) error {
		ids, warnings = nil, nil
		outer := w.Tx
		defer func() { w.Tx = outer }()
		for i := range keys {
			n := &keys[i]
			var id string
			err := n.check()
			if err == nil {
				err = pgx.BeginFunc(ctx, outer, func(tx pgx.Tx) (err error) {
					w.Tx = tx
					id, err = p.createKey(ctx, w, n)
					return err
				})
				w.Tx = outer
			}
			switch err = translate(err); {
			case err == nil:
				ids = append(ids, id)
			case model.KindOf(err) == "":
				return err
			case failOnWarnings:
				return model.Errorf(model.KindOf(err), "key %d: %s", i+1, model.MessageOf(err))
			default:
				warnings = append(warnings, "key "+strconv.Itoa(i+1)+": "+model.MessageOf(err))
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return ids, warnings, nil
}

// UpdateKey changes what an author decides of a key, on all nodes at once.
func (p *Plane) UpdateKey(ctx context.Context, actor Actor, id string, edit func(*KeySpec) error) (Key, error) {
	var out Key
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		num, err := w.keyNum(ctx, id)
		if err != nil {
			return err
		}
		was, err := readKey(ctx, w, w.tenant, id)
		if err != nil {
			return err
		}
		spec := KeySpec{was.Name, was.Enabled, was.Description, was.CustomerID, was.StageKeys}
		if err := edit(&spec); err != nil {
			return err
		}
		n := NewKey{Name: spec.Name, KeySpec: spec}
		if err := n.checkSpec(); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `
			update api_key set name = $3, enabled = $4, description = $5, customer_id = $6, stage_keys = $7, updated_at = now()
			where tenant_id = $1 and key_num = $2`, w.tenant, num, spec.Name, spec.Enabled, spec.Description, spec.CustomerID, notNil(spec.StageKeys)); err != nil {
			return err
		}
		w.changed(kindKey, int64(num))
		if err := w.audit(ctx, "key.update", id, map[string]any{"name": spec.Name, "enabled": spec.Enabled}); err != nil {
			return err
		}
		out, err = readKey(ctx, w, w.tenant, id)
		return err
	})
	if err != nil {
		return Key{}, err
	}
	return out, nil
}

// KeyValues are the values of those of some keys that were made to be Readable, by
// id, for who may make keys.
func (p *Plane) KeyValues(ctx context.Context, actor Actor, ids []string) (map[string]string, error) {
	if err := actor.May(ToSell); err != nil {
		return nil, err
	}
	out := map[string]string{}
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			select key_id, sealed from api_key where tenant_id = $1 and key_id = any($2) and sealed is not null and deleted_at is null`, actor.Tenant, ids)
		if err != nil {
			return err
		}
		var id string
		var sealed []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &sealed}, func() (err error) {
			out[id], err = p.openSecret(sealedKey(id), sealed)
			return err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ImportKeys brings keys with values of their own, all subscribed to one plan (or
// to none, with an empty planID), all or nothing.
func (p *Plane) ImportKeys(ctx context.Context, actor Actor, planID string, keys []NewKey) (int, error) {
	if err := actor.May(ToSell); err != nil {
		return 0, err
	}
	rows, err := keyRows(keys)
	if err != nil {
		return 0, err
	}
	_, err = p.writeAs(ctx, actor, ToSell, func(w *write) error {
		if planID != "" {
			if err := planExists(ctx, w, w.tenant, planID); err != nil {
				return err
			}
		}
		// COPY is refused on tables with row-level security, so it fills a
		// temporary one.
		if _, err := w.Exec(ctx, `
			create temporary table imported_key (key_id text, name text, hash bytea, prefix text, last4 text, enabled boolean, description text)
			on commit drop`); err != nil {
			return err
		}
		if _, err := w.CopyFrom(ctx, pgx.Identifier{"imported_key"},
			[]string{"key_id", "name", "hash", "prefix", "last4", "enabled", "description"}, pgx.CopyFromRows(rows())); err != nil {
			return err
		}
		var first, last *int64
		if err := w.QueryRow(ctx, `
			with k as (
				insert into api_key (tenant_id, key_id, name, hash, prefix, last4, enabled, description)
				select $1, key_id, name, hash, prefix, last4, enabled, description from imported_key
				returning key_num),
			n as (
				select key_num, nextval(pg_get_serial_sequence('subscription', 'subscription_id')) as subscription_id from k where $2 <> ''),
			s as (
				insert into subscription (tenant_id, subscription_id, plan_id, terms) overriding system value
				select $1, n.subscription_id, $2, coalesce(p.sheet_num, 0) from n, plan p where p.tenant_id = $1 and p.plan_id = $2
				returning subscription_id),
			sk as (
				insert into subscription_key (tenant_id, subscription_id, key_num) select $1, subscription_id, key_num from n)
			select min(key_num), max(key_num) from k`, w.tenant, planID).Scan(&first, &last); err != nil {
			return err
		}
		if first != nil {
			w.changedRange(kindKey, *first, *last)
		}
		return w.audit(ctx, "key.import", planID, map[string]any{"keys": len(keys), "firstNum": first, "lastNum": last})
	})
	if err != nil {
		return 0, err
	}
	if len(keys) >= analyzeFrom {
		p.analyzeKeys(ctx)
	}
	return len(keys), nil
}

// analyzeFrom is the size of an import after which the planner is told at once:
// until it knows, it takes the tables for small and reads them whole.
const analyzeFrom = 100

func (p *Plane) analyzeKeys(ctx context.Context) {
	if _, err := p.pool.Exec(ctx, `analyze api_key, subscription, subscription_key`); err != nil {
		p.log.Warn("statistics after a key import could not be taken; they will be before long", "error", err)
	}
}

// keyRows checks the keys and gives the rows to copy, under fresh ids each time
// it is asked: the transaction may be repeated.
func keyRows(keys []NewKey) (func() [][]any, error) {
	if len(keys) > MaxImportKeys {
		return nil, model.Errorf(model.Limit, "%d keys at once are too many; at most %d are allowed", len(keys), MaxImportKeys)
	}
	hashes := make([][32]byte, len(keys))
	seen := make(map[[32]byte]int, len(keys))
	for i := range keys {
		k := &keys[i]
		if len(k.PlanIDs) > 0 {
			return nil, model.Errorf(model.Invalid, "key %d names plans of its own; an import subscribes all keys to one plan", i+1)
		}
		if err := k.check(); err != nil {
			return nil, model.Errorf(model.KindOf(err), "key %d: %s", i+1, model.MessageOf(err))
		}
		hashes[i] = model.KeyHash(k.Value)
		if j, ok := seen[hashes[i]]; ok {
			return nil, model.Errorf(model.Conflict, "keys %d and %d have the same value", j+1, i+1)
		}
		seen[hashes[i]] = i
	}
	return func() [][]any {
		rows := make([][]any, len(keys))
		for i := range keys {
			v := keys[i].Value
			rows[i] = []any{model.NewID(10), keys[i].Name, hashes[i][:], v[:8], v[len(v)-4:], keys[i].Enabled, keys[i].Description}
		}
		return rows
	}, nil
}

// keySelect reads keys with their plans, in one round trip.
const keySelect = `
	select k.key_id, k.key_num, k.name, k.prefix, k.last4, k.enabled, k.created_at, k.description, k.customer_id, k.stage_keys, k.updated_at,
		coalesce((select tags from tag g where g.tenant_id = k.tenant_id and g.resource = '/apikeys/' || k.key_id), '{}'),
		coalesce((select jsonb_agg(jsonb_build_object('planId', p.plan_id, 'plan', p.name, 'subscription', s.subscription_id) order by p.name, p.plan_id)
			from subscription_key sk join subscription s using (tenant_id, subscription_id) join plan p using (tenant_id, plan_id)
			where sk.tenant_id = k.tenant_id and sk.key_num = k.key_num and s.ended_at is null), '[]'),
		(select jsonb_build_object('appId', a.app_id, 'app', a.name, 'developerId', d.developer_id, 'developer', d.email, 'disabled', d.disabled)
			from app a join developer d using (tenant_id, developer_id) where a.tenant_id = k.tenant_id and a.app_id = k.app_id)
	from api_key k where k.tenant_id = $1 and k.deleted_at is null`

func scanKey(r pgx.CollectableRow) (k Key, err error) {
	return k, r.Scan(&k.ID, &k.Num, &k.Name, &k.Prefix, &k.Last4, &k.Enabled, &k.CreatedAt, &k.Description, &k.CustomerID, &k.StageKeys, &k.UpdatedAt, &k.Tags, &k.Plans, &k.Holder)
}

func readKey(ctx context.Context, tx pgx.Tx, tenant uint32, id string) (Key, error) {
	rows, err := tx.Query(ctx, keySelect+` and k.key_id = $2`, tenant, id)
	if err != nil {
		return Key{}, err
	}
	out, err := pgx.CollectExactlyOneRow(rows, scanKey)
	return out, missing(err, "there is no API key %q", id)
}

// Key is one API key, without its value.
func (p *Plane) Key(ctx context.Context, actor Actor, id string) (Key, error) {
	var out Key
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var err error
		out, err = readKey(ctx, tx, actor.Tenant, id)
		return err
	})
	if err != nil {
		return Key{}, err
	}
	return out, nil
}

// keyUses are the running subscriptions of keys k with their plans, and all that
// nodes were given of their quotas.
const keyUses = `
	select s.subscription_id, p.plan_id, p.name, s.started_at, p.throttle, p.quota_limit, p.quota_period, p.quota_offset,
		coalesce(ps.version, 0), ps.sheet, s.terms = coalesce(p.sheet_num, 0),
		(select count(*) - 1 from subscription_key o join api_key ok using (tenant_id, key_num)
			where (o.tenant_id, o.subscription_id) = (s.tenant_id, s.subscription_id) and ok.deleted_at is null),
		coalesce((select jsonb_agg(jsonb_build_object('apiId', st.api_id, 'api', a.name, 'stage', st.name) order by a.name, st.api_id, st.name)
			from plan_stage x join stage st using (tenant_id, stage_num) join api a using (tenant_id, api_id)
			where (x.tenant_id, x.plan_id) = (p.tenant_id, p.plan_id)), '[]'),
		coalesce((select jsonb_object_agg(extract(epoch from w.window_start)::bigint, w.granted) from quota_window w
			where (w.tenant_id, w.subscription_id) = (s.tenant_id, s.ledger_id) and w.kind = 0 and w.window_start > now() - interval '70 days'), '{}')
	from api_key k join subscription_key sk using (tenant_id, key_num) join subscription s using (tenant_id, subscription_id)
	join plan p using (tenant_id, plan_id) left join price_sheet ps on (ps.tenant_id, ps.sheet_num) = (s.tenant_id, s.terms)
	where k.tenant_id = $1 and k.key_id = $2 and k.deleted_at is null and s.ended_at is null order by p.name, p.plan_id`

func (p *Plane) scanUse(r pgx.CollectableRow) (u KeyUse, err error) {
	var limit *int64
	var period *string
	var offset *int
	given := map[int64]int64{}
	err = r.Scan(&u.Subscription, &u.PlanID, &u.Plan, &u.StartedAt, &u.Throttle, &limit, &period, &offset,
		&u.Version, &u.Price, &u.Current, &u.Shared, &u.Opens, &given)
	if u.Quota = quotaOf(limit, period, offset); u.Quota != nil {
		u.WindowStart, u.WindowEnd = u.Quota.Window(p.now())
		u.Given = given[u.WindowStart.Unix()]
	}
	return u, err
}

// KeyDetail is one API key with its plans, what they open to it, and how much of
// their quotas is given out.
func (p *Plane) KeyDetail(ctx context.Context, actor Actor, id string) (KeyDetail, error) {
	var out KeyDetail
	err := p.readAs(ctx, actor, func(tx pgx.Tx) error {
		var keys []Key
		var stages []StageName
		b := &pgx.Batch{}
		collect(b, &keys, scanKey, keySelect+` and k.key_id = $2`, actor.Tenant, id)
		collect(b, &out.Uses, p.scanUse, keyUses, actor.Tenant, id)
		collect(b, &stages, pgx.RowToStructByPos[StageName], stageChoices, actor.Tenant)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if len(keys) == 0 {
			return model.Errorf(model.NotFound, "there is no API key %q", id)
		}
		out.Key = keys[0]
		opens := map[StageName]bool{}
		for _, u := range out.Uses {
			for _, s := range u.Opens {
				opens[s] = true
			}
		}
		out.Closed = slices.DeleteFunc(stages, func(s StageName) bool { return opens[s] })
		return nil
	})
	if err != nil {
		return KeyDetail{}, err
	}
	return out, nil
}

// Keys lists API keys by name. A Match that is a whole key value finds its key.
func (p *Plane) Keys(ctx context.Context, actor Actor, f KeyFilter) (List[Key], error) {
	from, limit, err := f.bounds()
	if err != nil {
		return List[Key]{}, err
	}
	if f.State != "" && f.State != "enabled" && f.State != "disabled" {
		return List[Key]{}, model.Errorf(model.Invalid, "keys are enabled or disabled, not %.40q", f.State)
	}
	if f.Newest {
		return p.newestKeys(ctx, actor, f, from, limit)
	}
	hash := model.KeyHash(f.Match)
	var out List[Key]
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if f.PlanID != "" {
			if err := planExists(ctx, tx, actor.Tenant, f.PlanID); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, keySelect+`
			and (k.name, k.key_id) > ($2, $3)
			and ($4 = '' or position(lower($4) in lower(k.name)) > 0 or k.last4 = $4 or k.hash = decode($7, 'hex'))
			and ($5 = '' or exists (select 1 from subscription_key sk join subscription s using (tenant_id, subscription_id)
				where sk.tenant_id = k.tenant_id and sk.key_num = k.key_num and s.plan_id = $5 and s.ended_at is null))
			and ($8 = '' or k.enabled = ($8 = 'enabled'))
			order by k.name, k.key_id limit $6`,
			actor.Tenant, from.Name, from.ID, f.Match, f.PlanID, limit+1, hex.EncodeToString(hash[:]), f.State)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, scanKey)
		out = page(items, limit, func(k *Key) after { return after{k.Name, k.ID} })
		return err
	})
	return out, err
}

// newestKeys lists keys, the newest first.
func (p *Plane) newestKeys(ctx context.Context, actor Actor, f KeyFilter, from after, limit int) (out List[Key], err error) {
	before := int64(1<<63 - 1)
	if from.ID != "" {
		if before, err = strconv.ParseInt(from.ID, 10, 64); err != nil {
			return out, model.Errorf(model.Invalid, "the page position is not one of this list")
		}
	}
	err = p.readAs(ctx, actor, func(tx pgx.Tx) error {
		if f.PlanID != "" {
			if err := planExists(ctx, tx, actor.Tenant, f.PlanID); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, keySelect+`
			and k.key_num < $2::bigint and starts_with(k.name, $3) and ($4 = '' or k.customer_id = $4)
			and ($5 = '' or exists (select 1 from subscription_key sk join subscription s using (tenant_id, subscription_id)
				where sk.tenant_id = k.tenant_id and sk.key_num = k.key_num and s.plan_id = $5 and s.ended_at is null))
			order by k.key_num desc limit $6`, actor.Tenant, before, f.Prefix, f.CustomerID, f.PlanID, limit+1)
		if err != nil {
			return err
		}
		items, err := pgx.CollectRows(rows, scanKey)
		out = page(items, limit, func(k *Key) after { return after{ID: strconv.FormatUint(uint64(k.Num), 10)} })
		return err
	})
	return out, err
}

// keyNum is the number of a key of the tenant.
func (w *write) keyNum(ctx context.Context, id string) (uint32, error) {
	var num uint32
	err := w.QueryRow(ctx, `
		select key_num from api_key where tenant_id = $1 and key_id = $2 and deleted_at is null`, w.tenant, id).Scan(&num)
	return num, missing(err, "there is no API key %q", id)
}

// SetKeyEnabled lets a key in or keeps it out, on all nodes at once.
func (p *Plane) SetKeyEnabled(ctx context.Context, actor Actor, id string, enabled bool) error {
	action := map[bool]string{true: "key.enable", false: "key.disable"}[enabled]
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		num, err := w.keyNum(ctx, id)
		if err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `update api_key set enabled = $3, updated_at = now() where tenant_id = $1 and key_num = $2`, w.tenant, num, enabled); err != nil {
			return err
		}
		w.changed(kindKey, int64(num))
		return w.audit(ctx, action, id, nil)
	})
	return err
}

// DeleteKey ends a key and its subscriptions for ever. Its value may be used for
// a new key, which has a number of its own.
func (p *Plane) DeleteKey(ctx context.Context, actor Actor, id string) error {
	_, err := p.writeAs(ctx, actor, ToSell, func(w *write) error {
		num, err := w.keyNum(ctx, id)
		if err != nil {
			return err
		}
		for _, sql := range []string{
			// An app's subscription outlives its keys: it is the app that pays.
			`update subscription s set ended_at = now() from subscription_key sk
			where s.tenant_id = $1 and s.app_id is null and s.ended_at is null
				and (sk.tenant_id, sk.subscription_id) = (s.tenant_id, s.subscription_id) and sk.key_num = $2`,
			`update api_key set enabled = false, sealed = null, deleted_at = now() where tenant_id = $1 and key_num = $2`,
		} {
			if _, err := w.Exec(ctx, sql, w.tenant, num); err != nil {
				return err
			}
		}
		if err := w.untag(ctx, "/apikeys/"+id); err != nil {
			return err
		}
		w.changed(kindKey, int64(num))
		return w.audit(ctx, "key.delete", id, nil)
	})
	return err
}
