package control

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// Bounds of what one developer can make.
const (
	maxApps    = 1000
	maxAppKeys = 20 // of one app
)

// MyApps is the actor's apps with their running subscriptions and keys.
func (p *Plane) MyApps(ctx context.Context, actor Actor) ([]CustomerApp, error) {
	if err := actor.May(ToBuy); err != nil {
		return nil, err
	}
	var out []CustomerApp
	err := p.read(ctx, actor.scope(), func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select `+appsOf+` from developer d where d.tenant_id = $1 and d.developer_id = $2`, actor.Tenant, actor.Member).Scan(&out)
		return missing(err, "there is no such developer")
	})
	return out, err
}

// ownApp makes sure that an app is the actor's.
func (w *write) ownApp(ctx context.Context, appID string) error {
	var one int
	err := w.QueryRow(ctx, `
		select 1 from app where tenant_id = $1 and app_id = $2 and developer_id = $3 and deleted_at is null`, w.tenant, appID, w.actor.Member).Scan(&one)
	return missing(err, "there is no app %q", appID)
}

// ownSubscription is the app of a running subscription of the actor's.
func (w *write) ownSubscription(ctx context.Context, id uint64) (app, plan string, err error) {
	err = w.QueryRow(ctx, `
		select a.app_id, s.plan_id from subscription s join app a using (tenant_id, app_id)
		where s.tenant_id = $1 and s.subscription_id = $2 and s.ended_at is null and a.developer_id = $3 and a.deleted_at is null`,
		w.tenant, int64(id), w.actor.Member).Scan(&app, &plan)
	return app, plan, missing(err, "there is no running subscription %d", id)
}

// offered makes sure that a plan is on the portal, and says whether it has a price.
func (w *write) offered(ctx context.Context, planID string) (priced bool, err error) {
	err = w.QueryRow(ctx, `select sheet_num is not null from plan where tenant_id = $1 and plan_id = $2 and published and deleted_at is null`, w.tenant, planID).Scan(&priced)
	return priced, missing(err, "there is no plan %q", planID)
}

// CreateApp makes an app; with a plan, a subscription and a key with it, whose
// value is in the answer and nowhere else.
func (p *Plane) CreateApp(ctx context.Context, actor Actor, name, planID string) (appID string, key CreatedKey, err error) {
	if err := checkName("an app", name, 128); err != nil {
		return "", key, err
	}
	err = p.buy(ctx, actor, func(w *write) error {
		var n int
		if err := w.QueryRow(ctx, `select count(*) from app where tenant_id = $1 and developer_id = $2 and deleted_at is null`, w.tenant, actor.Member).Scan(&n); err != nil {
			return err
		}
		if n >= maxApps {
			return model.Errorf(model.Limit, "you have %d apps, the most there can be; delete one first", n)
		}
		appID = model.NewID(10)
		if _, err := w.Exec(ctx, `insert into app (tenant_id, app_id, developer_id, name) values ($1, $2, $3, $4)`, w.tenant, appID, actor.Member, name); err != nil {
			return err
		}
		if err := w.audit(ctx, "app.create", name, map[string]any{"app": appID}); err != nil {
			return err
		}
		if planID == "" {
			return nil
		}
		s, err := w.subscribeOwn(ctx, appID, planID)
		if err != nil {
			return err
		}
		key, err = w.appKey(ctx, appID, s.ID, planID, "First key")
		return err
	})
	return appID, key, err
}

func (w *write) subscribeOwn(ctx context.Context, appID, planID string) (Subscription, error) {
	priced, err := w.offered(ctx, planID)
	if err != nil {
		return Subscription{}, err
	}
	if priced {
		if err := w.cardFirst(ctx, w.actor.Member); err != nil {
			return Subscription{}, err
		}
	}
	s, err := w.subscribeApp(ctx, appID, planID)
	if err != nil {
		return s, err
	}
	return s, w.audit(ctx, "app.subscribe", appID, map[string]any{"plan": planID, "subscription": s.ID})
}

// appKey mints a key of an app under one of its subscriptions.
func (w *write) appKey(ctx context.Context, appID string, subscription uint64, planID, name string) (CreatedKey, error) {
	var n int
	if err := w.QueryRow(ctx, `select count(*) from api_key where tenant_id = $1 and app_id = $2 and deleted_at is null`, w.tenant, appID).Scan(&n); err != nil {
		return CreatedKey{}, err
	}
	if n >= maxAppKeys {
		return CreatedKey{}, model.Errorf(model.Limit, "the app has %d keys, the most there can be; revoke one first", n)
	}
	out := CreatedKey{Value: model.NewKeyValue(true)}
	hash, id := model.KeyHash(out.Value), model.NewID(10)
	var num uint32
	err := w.QueryRow(ctx, `
		insert into api_key (tenant_id, key_id, name, hash, prefix, last4, enabled, app_id) values ($1, $2, $3, $4, $5, $6, true, $7)
		returning key_num`, w.tenant, id, name, hash[:], out.Value[:8], out.Value[len(out.Value)-4:], appID).Scan(&num)
	if err != nil {
		return CreatedKey{}, err
	}
	if err := w.addKey(ctx, subscription, num, planID); err != nil {
		return CreatedKey{}, err
	}
	w.changed(kindKey, int64(num))
	if err := w.audit(ctx, "key.create", id, map[string]any{"name": name, "app": appID, "plan": planID}); err != nil {
		return CreatedKey{}, err
	}
	out.Key, err = readKey(ctx, w, w.tenant, id)
	return out, err
}

// RenameApp gives an app of the actor's another name.
func (p *Plane) RenameApp(ctx context.Context, actor Actor, appID, name string) error {
	if err := checkName("an app", name, 128); err != nil {
		return err
	}
	return p.buy(ctx, actor, func(w *write) error {
		if err := w.ownApp(ctx, appID); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `update app set name = $3 where tenant_id = $1 and app_id = $2`, w.tenant, appID, name); err != nil {
			return err
		}
		return w.audit(ctx, "app.rename", appID, map[string]any{"name": name})
	})
}

// DeleteApp ends an app with its subscriptions and keys. What it used is invoiced.
func (p *Plane) DeleteApp(ctx context.Context, actor Actor, appID string) error {
	return p.buy(ctx, actor, func(w *write) error {
		if err := w.ownApp(ctx, appID); err != nil {
			return err
		}
		rows, err := w.Query(ctx, `select subscription_id from subscription where tenant_id = $1 and app_id = $2 and ended_at is null`, w.tenant, appID)
		if err != nil {
			return err
		}
		subs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, s := range subs {
			if err := w.endSubscription(ctx, uint64(s)); err != nil {
				return err
			}
		}
		if rows, err = w.Query(ctx, `
			update api_key set enabled = false, deleted_at = now() where tenant_id = $1 and app_id = $2 and deleted_at is null
			returning key_num::bigint`, w.tenant, appID); err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, k := range keys {
			w.changed(kindKey, k)
		}
		if _, err := w.Exec(ctx, `update app set deleted_at = now() where tenant_id = $1 and app_id = $2`, w.tenant, appID); err != nil {
			return err
		}
		return w.audit(ctx, "app.delete", appID, map[string]any{"subscriptions": len(subs), "keys": len(keys)})
	})
}

// SubscribeApp subscribes an app of the actor's to a plan on the portal, with a key.
func (p *Plane) SubscribeApp(ctx context.Context, actor Actor, appID, planID string) (key CreatedKey, err error) {
	err = p.buy(ctx, actor, func(w *write) error {
		if err := w.ownApp(ctx, appID); err != nil {
			return err
		}
		s, err := w.subscribeOwn(ctx, appID, planID)
		if err != nil {
			return err
		}
		key, err = w.appKey(ctx, appID, s.ID, planID, "Key for a new plan")
		return err
	})
	return key, err
}

// CancelAppSubscription ends a subscription of the actor's at once.
func (p *Plane) CancelAppSubscription(ctx context.Context, actor Actor, subscription uint64) error {
	return p.buy(ctx, actor, func(w *write) error {
		app, plan, err := w.ownSubscription(ctx, subscription)
		if err != nil {
			return err
		}
		if err := w.endSubscription(ctx, subscription); err != nil {
			return err
		}
		return w.audit(ctx, "app.unsubscribe", app, map[string]any{"plan": plan, "subscription": subscription})
	})
}

// CreateAppKey mints one more key under a subscription of the actor's.
func (p *Plane) CreateAppKey(ctx context.Context, actor Actor, subscription uint64, name string) (key CreatedKey, err error) {
	if err := checkName("a key", name, 128); err != nil {
		return key, err
	}
	err = p.buy(ctx, actor, func(w *write) error {
		app, plan, err := w.ownSubscription(ctx, subscription)
		if err != nil {
			return err
		}
		key, err = w.appKey(ctx, app, subscription, plan, name)
		return err
	})
	return key, err
}

// RevokeAppKey ends a key of the actor's at once, for ever.
func (p *Plane) RevokeAppKey(ctx context.Context, actor Actor, keyID string) error {
	return p.buy(ctx, actor, func(w *write) error {
		var num int64
		err := w.QueryRow(ctx, `
			update api_key k set enabled = false, deleted_at = now() from app a
			where k.tenant_id = $1 and k.key_id = $2 and k.deleted_at is null and (a.tenant_id, a.app_id) = (k.tenant_id, k.app_id) and a.developer_id = $3
			returning k.key_num`, w.tenant, keyID, actor.Member).Scan(&num)
		if err != nil {
			return missing(err, "there is no key %q", keyID)
		}
		w.changed(kindKey, num)
		return w.audit(ctx, "key.delete", keyID, nil)
	})
}
