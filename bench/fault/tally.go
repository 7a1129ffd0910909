package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

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

	unjournaled int64         // acknowledged, but in no journal
	unwritten   int64         // refused with 503 and in no journal: on a full disk nothing is served
	filled      int64         // disks
	surplus     int64         // in a journal, but not acknowledged
	repeated    int64         // ids answered or journaled twice
	kills       int           // of gateways
	nodes       int           // gateways
	statuses    map[int]int64 // of the answers

	// Of the key whose quota ends.
	quota, limited   int64 // its limit, and the calls it was let make
	limitedJournaled int64
	granted          int64 // what Postgres gave to nodes
	windows          int64 // that it was given of: two at a month's end
	overGranted      int64 // windows of which more was granted than there is

	// Of the key whose throttle is hard.
	hardMost, hardJournaled int64 // what it may be let make, and what it was
	failedOpen              int64 // while nobody could count

	// Of the developers whose calls money bounds.
	purses          []purseTally
	sold, soldRated int64 // calls of developers to be paid for, and of them those on their latest invoices

	// What Stripe has when all came to an end.
	remotes, paidRemotes int64 // invoices, and of them those that are paid
	strays               int64 // that are nobody's, or there twice, or not there
	unequal              int64 // whose amounts are not ours
	stale                int64 // whose state here is another one
	forgotten, said      int64 // that a restored database does not know, and that it says so of
	fees, shares         int64 // what the operator got, and its share
	crossed              int64 // what is on two accounts, or gave another share
	events, unworked     int64 // webhooks, and those neither done nor ignored
	sweptEvents          int64 // that were found by asking
	crossedEvents        int64 // of another account, and not ignored
	forged, believed     int64
	meterHours           int64 // of customers, by meter
	meterEvents          int64 // that were sent of them
	meterDifferent       int64 // hours that are others at Stripe

	checks []model.Check // of the books, as they run in production
	aged   int64         // calls that weeks-old batches brought once more

	tables, tenants int64 // looked at as each tenant
	foreign, blind  int64 // rows of others seen, and tenants who saw none of their own

	// What Postgres says when all is in.
	boots, gaps int64 // starts of gateways, and those whose batches have a gap
	hours, days int64 // calls in the two roll-ups
	unrated     int64 // calls to be paid for that belong to no subscription
	billable    int64 // calls to be paid for
	rated       int64 // of them on the latest invoice, which has all of its month
	invoices    int64 // final ones
	serials     int64 // the latest number
	drafts      int64
	rebilled    int64 // invoices that another run made of the same usage
	replayed    int64 // lines that their own cut does not give again
	unbalanced  int64 // invoices whose lines are not their total
}

func (t *tally) lost() int64       { return t.unjournaled + max(0, t.journaled-t.billed) }
func (t *tally) duplicated() int64 { return t.repeated + max(0, t.billed-t.journaled) }

func (t *tally) String() string {
	return fmt.Sprintf("acknowledged %d journaled %d billed %d lost %d duplicated %d",
		t.acknowledged, t.journaled, t.billed, t.lost(), t.duplicated())
}

// invariant is one of those that must hold at the end, with its figures. Their numbers are
// those of the checks of the books.
type invariant struct {
	name    string
	figures string
	broken  string // empty: it holds
}

func (i invariant) String() string {
	if i.broken != "" {
		return i.name + " " + i.figures + " BROKEN: " + i.broken
	}
	return i.name + " " + i.figures + " ok"
}

// invariants are what the tally shows.
func (t *tally) invariants(o options) []invariant {
	var out []invariant
	say := func(name, figures string, rules ...string) {
		i := invariant{name: name, figures: figures}
		for _, r := range rules {
			if r != "" && i.broken == "" {
				i.broken = r
			}
		}
		out = append(out, i)
	}
	rule := func(holds bool, format string, a ...any) string {
		if holds {
			return ""
		}
		return fmt.Sprintf(format, a...)
	}
	// A call that was in flight at a kill may be journaled and its answer lost:
	// at most one on each of the gateway's connections.
	most := int64(t.kills * ((o.conns + t.nodes - 1) / max(1, t.nodes)))
	say("I1", fmt.Sprintf("answers %d journaled %d surplus %d of %d, refused for want of room %d", t.acknowledged, t.journaled, t.surplus, most, t.unwritten),
		rule(t.unwritten == 0 || t.filled > 0, "%d refusals are in no journal, and no disk was full", t.unwritten),
		rule(t.unjournaled == 0, "%d answers reached the client and are in no journal", t.unjournaled),
		rule(t.repeated == 0, "%d call ids were used twice", t.repeated),
		rule(t.surplus <= most, "%d calls are journaled that no client got an answer to; %d kills explain %d", t.surplus, t.kills, most))
	say("I2", fmt.Sprintf("journals %d batches %d starts %d", t.journaled, t.batches, t.boots),
		rule(t.batches == t.journaled, "the journals hold %d calls, the batches %d", t.journaled, t.batches),
		rule(t.gaps == 0, "the batches of %d starts have a gap", t.gaps))
	say("I3", fmt.Sprintf("batches %d lines %d", t.batches, t.billed), rule(t.batches == t.billed, "the batches say %d calls, the usage lines %d", t.batches, t.billed))
	say("I4", fmt.Sprintf("hours %d days %d", t.hours, t.days), rule(t.hours == t.days && t.days == t.billed, "%d calls are in usage lines, roll-ups by hour hold %d, by day %d", t.billed, t.hours, t.days))
	say("I5", fmt.Sprintf("used %d rated %d on %d invoices, developers used %d rated %d", t.billable, t.rated, t.invoices, t.sold, t.soldRated),
		rule(t.sold == t.soldRated, "developers' calls to be paid for are %d, their invoices have %d", t.sold, t.soldRated),
		rule(t.rated == t.billable, "%d calls are to be paid for, the invoices have %d", t.billable, t.rated),
		rule(t.rebilled == 0 && t.drafts == 0, "another run billed what was billed (%d invoices, %d drafts)", t.rebilled, t.drafts))
	say("I6", fmt.Sprintf("replayed %d invoices different %d", t.invoices, t.replayed), rule(t.replayed == 0, "%d lines are not what their cut gives", t.replayed))
	say("I7", fmt.Sprintf("unbalanced %d", t.unbalanced), rule(t.unbalanced == 0, "the lines of %d invoices are not their total", t.unbalanced))
	say("I9", fmt.Sprintf("invoices %d latest number %d", t.invoices, t.serials), rule(t.invoices == t.serials && t.invoices > 0, "%d invoices are final, the latest is number %d", t.invoices, t.serials))
	say("I8", fmt.Sprintf("at Stripe %d invoices, %d paid, %d forgotten, %d of them told", t.remotes, t.paidRemotes, t.forgotten, t.said),
		rule(t.said >= t.forgotten, "%d invoices at Stripe were forgotten by a restored database, and %d of them are shown", t.forgotten, t.said),
		rule(t.strays == 0, "%d invoices at Stripe are nobody's, twice there or not there", t.strays),
		rule(t.unequal == 0, "%d invoices at Stripe have other amounts", t.unequal))
	say("I11", fmt.Sprintf("hours %d events %d different %d", t.meterHours, t.meterEvents, t.meterDifferent),
		rule(t.meterDifferent == 0, "%d hours at Stripe's meters are not what usage has", t.meterDifferent))
	say("I12", fmt.Sprintf("quota %d served %d journaled %d granted %d", t.quota, t.limited, t.limitedJournaled, t.granted),
		rule(o.restore || t.limitedJournaled <= t.granted && t.limited <= t.limitedJournaled, "more was used than was granted"),
		rule(o.restore || t.granted <= t.quota*max(1, t.windows) && t.overGranted == 0, "more was granted than there is"))
	say("I13", fmt.Sprintf("unrated %d", t.unrated), rule(t.unrated == 0, "%d calls belong to no subscription", t.unrated))
	say("I14", fmt.Sprintf("application fees %d shares %d", t.fees, t.shares),
		rule(t.crossed == 0 && t.fees == t.shares, "%d accounts or objects are not apart, or gave another share", t.crossed),
		rule(t.crossedEvents == 0, "%d events of one account moved something of another", t.crossedEvents))
	say("I15", fmt.Sprintf("tables %d tenants %d foreign rows %d", t.tables, t.tenants, t.foreign),
		rule(t.foreign == 0, "%d rows were seen by who does not own them", t.foreign),
		rule(t.blind == 0, "%d tenants did not see their own rows: that shows nothing", t.blind))
	say("I16", fmt.Sprintf("events %d swept %d forged %d", t.events, t.sweptEvents, t.forged),
		rule(t.unworked == 0, "%d events are not done", t.unworked),
		rule(t.stale == 0, "%d invoices are older here than at Stripe", t.stale),
		rule(t.believed == 0, "%d events that were not Stripe's were taken", t.believed))
	checks := t.checks
	if o.restore { // what it forgot is parked, and was granted once more, which I16 and I12 are there to show
		checks = slices.DeleteFunc(slices.Clone(checks), func(c model.Check) bool { return c.Name == "I16" || c.Name == "I12" })
	}
	out = withChecks(out, checks)
	for _, p := range t.purses {
		figures := fmt.Sprintf("served %d journaled %d of %d", p.served, p.journaled, p.reach)
		wallet := ""
		if p.granted > 0 {
			figures += fmt.Sprintf(", paid ahead %d charged %d left %d", p.granted, p.charged, p.balance)
			wallet = rule((o.restore || p.charged == p.journaled) && p.charged+p.balance == p.granted, "of %d cents paid ahead %d were charged for %d calls, and %d are left", p.granted, p.charged, p.journaled, p.balance)
		}
		say(p.name, figures, wallet,
			rule(p.served <= p.journaled, "%d calls were served, %d are journaled", p.served, p.journaled),
			rule(o.restore || p.journaled <= p.reach, "more was served than the money is for"),
			rule(p.refused > 0, "the money did not end: that shows nothing"))
	}
	say("throttle", fmt.Sprintf("hard %d of at most %d", t.hardJournaled, t.hardMost),
		rule(t.hardJournaled <= t.hardMost, "more calls passed than the plan's throttle lets"),
		rule(t.failedOpen == 0, "%d calls passed while nobody could count them", t.failedOpen))
	say("old batches", fmt.Sprintf("brought %d", t.aged), rule(t.aged == 0, "batches handed in again after weeks changed the usage by %d calls", t.aged))
	return out
}

// withChecks adds what the checks of the books found: to the invariant of the same name, or
// as one of its own. They are walked, so that no check is left out.
func withChecks(out []invariant, checks []model.Check) []invariant {
	for _, c := range checks {
		i := slices.IndexFunc(out, func(i invariant) bool { return i.name == c.Name })
		if i < 0 {
			i = len(out)
			var figures []string
			for _, f := range c.Figures {
				figures = append(figures, fmt.Sprintf("%s %d", f.Name, f.N))
			}
			out = append(out, invariant{name: c.Name, figures: strings.Join(figures, ", ")})
		}
		switch {
		case out[i].broken != "":
		case c.RanAt.IsZero():
			out[i].broken = "its check never ran"
		case c.Wrong > 0:
			out[i].broken = fmt.Sprintf("its check found %d wrong: %s", c.Wrong, strings.Join(c.Problems, "; "))
		}
	}
	slices.SortFunc(out, func(a, b invariant) int { return cmp.Compare(a.number(), b.number()) })
	return out
}

// number is what invariants are in the order of.
func (i invariant) number() int {
	n, err := strconv.Atoi(strings.TrimPrefix(i.name, "I"))
	if err != nil {
		return math.MaxInt
	}
	return n
}

// verdict is nil when nothing was lost or billed twice, every invariant holds, and enough
// was tried.
func (t *tally) verdict(o options) error {
	var errs []error
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	for _, i := range t.invariants(o) {
		if i.broken != "" {
			fail("%s: %s", i.name, i.broken)
		}
	}
	if t.billed != t.journaled {
		fail("the journals hold %d calls, Postgres %d", t.journaled, t.billed)
	}
	if t.statuses[200] < o.calls {
		fail("only %d of %d calls were served", t.statuses[200], o.calls)
	}
	// A node that was killed has lost its share of the quota, and with the database
	// away it gets no new one: it must refuse. No accident explains anything else.
	for status, n := range t.statuses {
		if status != 200 && status != 503 && n > 0 {
			fail("%d calls were answered with %d", n, status)
		}
	}
	return errors.Join(errs...)
}

func compareIDs(a, b journal.CallID) int { return bytes.Compare(a[:], b[:]) }

// compare matches the client's notes with the ids in the journals; it sorts both. A node
// whose journal has no room serves nothing and refuses, without a record; other refusals
// (turned) have one.
func (t *tally) compare(acked, turned, journaled []journal.CallID) {
	journaled, twiceJ := distinct(journaled)
	for _, id := range turned {
		if _, there := slices.BinarySearchFunc(journaled, id, compareIDs); there {
			acked = append(acked, id)
		} else {
			t.unwritten++
		}
	}
	acked, twice := distinct(acked)
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
