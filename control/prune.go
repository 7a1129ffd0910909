package control

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const pruneEvery = 10 * time.Minute

func (p *Plane) keepPruning(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := p.prune(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("what is over could not be pruned; trying again later", "error", err)
		}
		if err := p.checkQuotas(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("quotas could not be checked; trying again later", "error", err)
		}
		if err := p.maintainCalls(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("the call log's days could not be made and dropped; trying again later", "error", err)
		}
	}
}

// prune forgets changes that every node but a long-lost one has applied (which is
// then sent everything), nodes that are gone and what was asked of them, and what is
// over: sessions, links, buckets against guessing, mails, quota windows.
func (p *Plane) prune(ctx context.Context) error {
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`with gone as (delete from feed_change where at < now() - interval '1 day' returning rev)
				update feed_head set pruned = greatest(pruned, (select max(rev) from gone)) where exists (select 1 from gone)`,
			`delete from feed_revision where rev < (select pruned from feed_head)`,
			`delete from node where seen_at < now() - interval '7 days'`,
			// One row a start of a node; it counts for seconds.
			`delete from node_demand where at < now() - interval '1 hour'`,
			`delete from session where expires_at < now()`,
			`delete from ticket where expires_at < now()`,
			`delete from attempt where full_at < now()`,
			`delete from mail where created_at < now() - interval '30 days'`,
			`delete from spend_alert where month < now() - interval '400 days'`,
			// Two months: the longest window, and as long again for its late usage.
			`delete from quota_window where window_start < now() - interval '70 days'`,
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}
