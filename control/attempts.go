package control

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// guess bounds how often something may be tried: burst times at once, then once
// in every.
type guess struct {
	what  string
	burst int
	every time.Duration
}

var (
	signInByAccount = guess{"sign-in account", 10, time.Minute}
	signInByAddress = guess{"sign-in address", 100, time.Second}
	mailToAddress   = guess{"mail to", 5, 10 * time.Minute}
	mailFromAddress = guess{"mail from", 50, 10 * time.Second}
	tokenByAddress  = guess{"token", 60, 2 * time.Second}
)

// try is one attempt of a kind, for one account or address.
type try struct {
	guess
	key string
}

// attempt counts tries and refuses them when one is out of its bounds. It is a
// transaction of its own: an attempt counts whatever becomes of it. The keys are
// kept as hashes.
func (p *Plane) attempt(ctx context.Context, tries ...try) error {
	now := p.now()
	return p.in(ctx, everyTenant, pgx.TxOptions{}, func(tx pgx.Tx) error {
		for _, t := range tries {
			h := sha256.Sum256([]byte(t.what + "\x00" + strings.ToLower(t.key)))
			tag, err := tx.Exec(ctx, `
				insert into attempt as a (key_hash, full_at) values ($1, $2::timestamptz + $3::interval)
				on conflict (key_hash) do update set full_at = greatest(a.full_at, $2) + $3::interval
				where greatest(a.full_at, $2) + $3::interval <= $2::timestamptz + $4::interval`,
				h[:], now, t.every, time.Duration(t.burst)*t.every)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 0 {
				return model.Errorf(model.Limit, "too many tries; wait %s and try again", shortly(t.every))
			}
		}
		return nil
	})
}

func shortly(d time.Duration) string {
	if d < time.Minute {
		return "a few seconds"
	}
	if d == time.Minute {
		return "a minute"
	}
	return "some minutes"
}
