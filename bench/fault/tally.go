package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/gateway/journal"
	"tollgate/model"
)

// tally is the comparison at the end.
type tally struct {
	acknowledged int64 // answers received whole
	journaled    int64 // calls in the journals
	billed       int64 // calls in Postgres
	batches      int64 // calls in Postgres' list of batches

	unjournaled int64 // acknowledged, but in no journal
	surplus     int64 // in a journal, but not acknowledged
	repeated    int64 // ids answered or journaled twice
	kills       int
	statuses    map[int]int64 // of the answers
}

func (t *tally) lost() int64       { return t.unjournaled + max(0, t.journaled-t.billed) }
func (t *tally) duplicated() int64 { return t.repeated + max(0, t.billed-t.journaled) }

func (t *tally) String() string {
	return fmt.Sprintf("acknowledged %d journaled %d billed %d lost %d duplicated %d",
		t.acknowledged, t.journaled, t.billed, t.lost(), t.duplicated())
}

// verdict is nil when nothing was lost or billed twice, and enough was tried.
func (t *tally) verdict(o options) error {
	var errs []error
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if t.unjournaled > 0 {
		fail("%d answers reached the client and are in no journal", t.unjournaled)
	}
	if t.repeated > 0 {
		fail("%d call ids were used twice", t.repeated)
	}
	if t.billed != t.journaled {
		fail("the journals hold %d calls, Postgres %d", t.journaled, t.billed)
	}
	if t.batches != t.billed {
		fail("Postgres' batches say %d calls, its usage lines %d", t.batches, t.billed)
	}
	// A call that was in flight at a kill may be journaled and its answer lost:
	// at most one on each connection.
	if most := int64(t.kills * o.conns); t.surplus > most {
		fail("%d calls are journaled that no client got an answer to; %d kills on %d connections explain %d", t.surplus, t.kills, o.conns, most)
	}
	if t.statuses[200] < o.calls {
		fail("only %d of %d calls were served", t.statuses[200], o.calls)
	}
	// A node that was killed has lost its share of the quota, and with the database
	// away it gets no new one: it must refuse. No accident explains anything else.
	for status, n := range t.statuses {
		if status != 200 && status != 503 {
			fail("%d calls were answered with %d", n, status)
		}
	}
	return errors.Join(errs...)
}

func compareIDs(a, b journal.CallID) int { return bytes.Compare(a[:], b[:]) }

// compare matches the client's notes with the ids in the journals; it sorts both.
func (t *tally) compare(acked, journaled []journal.CallID) {
	acked, twice := distinct(acked)
	journaled, twiceJ := distinct(journaled)
	t.repeated = twice + twiceJ
	t.acknowledged, t.journaled = int64(len(acked)), int64(len(journaled))
	i := 0
	for _, id := range acked {
		for i < len(journaled) && compareIDs(journaled[i], id) < 0 {
			i++
			t.surplus++
		}
		if i < len(journaled) && journaled[i] == id {
			i++
		} else {
			t.unjournaled++
		}
	}
	t.surplus += int64(len(journaled) - i)
}

// distinct sorts ids and counts those that are there again.
func distinct(ids []journal.CallID) (once []journal.CallID, again int64) {
	slices.SortFunc(ids, compareIDs)
	once = slices.Compact(ids)
	return once, int64(len(ids) - len(once))
}

// journaledIDs reads the ids of all calls in a node's journals.
func journaledIDs(dir string) ([]journal.CallID, error) {
	var ids []journal.CallID
	err := journal.Scan(dir, func(boot model.BootID, r journal.Record) error {
		if r.Kind == journal.Call || r.Kind == journal.Start { // the others continue a call
			ids = append(ids, journal.IDOf(boot, &r))
		}
		return nil
	})
	return ids, err
}

// billed asks Postgres what it holds: the calls in usage lines, wherever roll-up
// has moved them, and the calls its batches announced.
func billed(ctx context.Context, url string) (lines, batches int64, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(ctx)
	// Usage tables show a session its own tenant's rows only, unless it asks for all.
	if _, err := conn.Exec(ctx, `select set_config('tollgate.tenant', '*', false)`); err != nil {
		return 0, 0, err
	}
	// One statement, so that roll-up is not seen half-way.
	err = conn.QueryRow(ctx, `
		select coalesce((select sum(calls) from usage_line), 0)::bigint + coalesce((select sum(calls) from usage_hour), 0)::bigint,
		       coalesce((select sum(calls) from usage_batch), 0)::bigint`).Scan(&lines, &batches)
	return lines, batches, err
}
