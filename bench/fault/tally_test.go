package main

import (
	"strings"
	"testing"
	"time"

	"tollgate/gateway/journal"
	"tollgate/model"
)

func ids(numbers string) []journal.CallID {
	var out []journal.CallID
	for i := range len(numbers) {
		out = append(out, journal.CallID{15: numbers[i]})
	}
	return out
}

func TestTally(t *testing.T) {
	o := options{calls: 3, conns: 1}
	for name, c := range map[string]struct {
		acked, journaled string
		billed, batches  int64
		want             string
		refused          string // what the verdict says; "": it is good
	}{
		"all the same":        {"cab", "bca", 3, 3, "acknowledged 3 journaled 3 billed 3 lost 0 duplicated 0", ""},
		"one cut by the kill": {"abc", "abcd", 4, 4, "acknowledged 3 journaled 4 billed 4 lost 0 duplicated 0", ""},
		"more than the kill":  {"abc", "zabcd", 5, 5, "acknowledged 3 journaled 5 billed 5 lost 0 duplicated 0", "1 kills explain 1"},
		"not journaled":       {"abcd", "abd", 3, 3, "acknowledged 4 journaled 3 billed 3 lost 1 duplicated 0", "1 answers reached the client"},
		"lost and made up":    {"abc", "abd", 3, 3, "acknowledged 3 journaled 3 billed 3 lost 1 duplicated 0", "1 answers reached the client"},
		"not billed":          {"abc", "abc", 2, 2, "acknowledged 3 journaled 3 billed 2 lost 1 duplicated 0", "the journals hold 3 calls, Postgres 2"},
		"billed twice":        {"abc", "abc", 6, 6, "acknowledged 3 journaled 3 billed 6 lost 0 duplicated 3", "the journals hold 3 calls, Postgres 6"},
		"batches disagree":    {"abc", "abc", 3, 4, "acknowledged 3 journaled 3 billed 3 lost 0 duplicated 0", "batches say 4"},
		"id journaled twice":  {"abc", "abcc", 3, 3, "acknowledged 3 journaled 3 billed 3 lost 0 duplicated 1", "used twice"},
		"id answered twice":   {"abcb", "abc", 3, 3, "acknowledged 3 journaled 3 billed 3 lost 0 duplicated 1", "used twice"},
		"too few":             {"ab", "ab", 2, 2, "acknowledged 2 journaled 2 billed 2 lost 0 duplicated 0", "only 2 of 3"},
		"refused":             {"abcd", "abcd", 4, 4, "acknowledged 4 journaled 4 billed 4 lost 0 duplicated 0", ""},
		"wrongly refused":     {"abcde", "abcde", 5, 5, "acknowledged 5 journaled 5 billed 5 lost 0 duplicated 0", "1 calls were answered with 403"},
	} {
		t.Run(name, func(t *testing.T) {
			got := &tally{kills: 1, nodes: 1, invoices: 1, serials: 1, billed: c.billed, hours: c.billed, days: c.billed, batches: c.batches, statuses: map[int]int64{}}
			for i := range len(c.acked) { // the fourth answer is a refusal, the fifth an odd one
				got.statuses[[]int{200, 200, 200, 503, 403}[i]]++
			}
			got.compare(ids(c.acked), nil, ids(c.journaled))
			if got.String() != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			err := got.verdict(o)
			if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
				t.Errorf("verdict %v, want %q in it", err, c.refused)
			}
		})
	}
}

// Refusals are answers like others, but on a full disk have no record.
func TestRefusals(t *testing.T) {
	y := &tally{filled: 1, statuses: map[int]int64{}}
	y.compare(ids("ab"), ids("cde"), ids("abdx"))
	if y.acknowledged != 3 || y.unwritten != 2 || y.unjournaled != 0 || y.surplus != 1 || y.repeated != 0 {
		t.Errorf("%+v", y)
	}
}

// Each invariant can be broken, and says so.
func TestInvariants(t *testing.T) {
	o := options{conns: 1}
	good := tally{nodes: 1, invoices: 3, serials: 3, quota: 10, limited: 8, limitedJournaled: 9, granted: 10, statuses: map[int]int64{}}
	if err := good.verdict(o); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*tally){
		"I1: 1 refusals are in no":         func(t *tally) { t.unwritten = 1 },
		"I2: the batches of 1 starts":      func(t *tally) { t.gaps = 1 },
		"I4: 0 calls are in usage lines":   func(t *tally) { t.days = 1 },
		"I5: 1 calls are to be paid for":   func(t *tally) { t.billable = 1 },
		"I5: another run billed":           func(t *tally) { t.rebilled = 1 },
		"I6: 1 lines are not":              func(t *tally) { t.replayed = 1 },
		"I7: the lines of 1 invoices":      func(t *tally) { t.unbalanced = 1 },
		"I9: 3 invoices are final":         func(t *tally) { t.serials = 4 },
		"I9: 0 invoices are final":         func(t *tally) { t.invoices, t.serials = 0, 0 },
		"I12: more was used than":          func(t *tally) { t.limitedJournaled = 11 },
		"I12: more was granted than there": func(t *tally) { t.granted = 11 },
		"I13: 1 calls belong to no":        func(t *tally) { t.unrated = 1 },
		"I8: 1 invoices at Stripe are":     func(t *tally) { t.strays = 1 },
		"I8: 1 invoices at Stripe have":    func(t *tally) { t.unequal = 1 },
		"I11: 1 hours at Stripe":           func(t *tally) { t.meterDifferent = 1 },
		"I14: 1 accounts or objects":       func(t *tally) { t.crossed = 1 },
		"I14: 0 accounts or objects":       func(t *tally) { t.fees = 1 },
		"I14: 1 events of one account":     func(t *tally) { t.crossedEvents = 1 },
		"I15: 1 rows were seen":            func(t *tally) { t.foreign = 1 },
		"I15: 1 tenants did not see":       func(t *tally) { t.blind = 1 },
		"I16: 1 events are not done":       func(t *tally) { t.unworked = 1 },
		"I16: 1 invoices are older":        func(t *tally) { t.stale = 1 },
		"I16: 1 events that were not":      func(t *tally) { t.believed = 1 },
		"throttle: more calls passed":      func(t *tally) { t.hardJournaled = 1 },
		"throttle: 1 calls passed while":   func(t *tally) { t.failedOpen = 1 },
		"old batches: batches handed in":   func(t *tally) { t.aged = 1 },
		"I10: its check never ran":         func(t *tally) { t.checks = []model.Check{{Name: "I10"}} },
		"I3: its check found 2 wrong: x; y": func(t *tally) {
			t.checks = []model.Check{{Name: "I3", RanAt: time.Now(), Wrong: 2, Problems: []string{"x", "y"}}}
		},
		"1 calls were answered with 429": func(t *tally) { t.statuses = map[int]int64{429: 1} },
	} {
		bad := good
		spoil(&bad)
		if err := bad.verdict(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadHead(t *testing.T) {
	want := journal.CallID{0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff}
	status, id, body, err := readHead([]byte("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 31\r\nX-Amzn-Requestid: " + want.String() + "\r\n"))
	if err != nil || status != 429 || id != want || body != 31 {
		t.Errorf("%d %s %d %v", status, id, body, err)
	}
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 31\r\n",
		"HTTP/1.1 200 OK\r\nx-amzn-RequestId: " + want.String() + "\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 31\r\nx-amzn-RequestId: 7f010203\r\n",
		"200 OK\r\n",
	} {
		if _, _, _, err := readHead([]byte(head)); err == nil {
			t.Errorf("%q passes", head)
		}
	}
}

// Checks of the books that the tally says nothing of are lines of their own, in order.
func TestEveryCheckIsALine(t *testing.T) {
	y := &tally{nodes: 1, invoices: 1, serials: 1, statuses: map[int]int64{}, checks: []model.Check{
		{Name: "I10", RanAt: time.Now(), Figures: []model.CheckFigure{{Name: "entries", N: 7}, {Name: "wallets", N: 2}}}, {Name: "I2", RanAt: time.Now()}}}
	var got []string
	for _, i := range y.invariants(options{conns: 1}) {
		got = append(got, i.name)
		if i.name == "I10" && i.String() != "I10 entries 7, wallets 2 ok" {
			t.Error(i)
		}
	}
	if want := "I1 I2 I3 I4 I5 I6 I7 I8 I9 I10 I11 I12 I13 I14 I15 I16 throttle old batches"; strings.Join(got, " ") != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}
