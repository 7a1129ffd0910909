package control_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// calls tells the call log of entries, as a node of the shared gateway does.
func (w *world) calls(seq uint64, left []model.CallsLeft, calls ...model.CallEntry) {
	w.Helper()
	b := model.CallBatch{Boot: model.BootID{7}, Seq: seq, Left: left, Calls: calls}
	w.must(w.TakeCalls(w.ctx, control.SharedNode("n1"), b.Encode(nil)))
}

func entry(d control.Deployed, a control.Actor, n int) model.CallEntry {
	return model.CallEntry{ID: [16]byte{byte(n >> 8), byte(n), 15: 1}, Time: time.Now().Add(time.Duration(n) * time.Millisecond).UnixMicro(), Tenant: a.Tenant, Stage: d.Stage.Num,
		Status: 200, Verb: []byte("GET"), Path: []byte(fmt.Sprintf("/pets/%d", n)), IP: "203.0.113.7", Latency: 1500, BytesIn: 10, BytesOut: 20, Flags: uint8(model.FlagBillable)}
}

func TestCalls(t *testing.T) {
	w := newWorld(t).started()
	a := w.tenant()
	d := w.deployed(a, "prod")
	plan := w.plan(a, d, nil)
	key := w.key(a, plan.ID)
	var num uint32
	w.must(w.pool.QueryRow(w.ctx, `select set_config('tollgate.tenant', '*', false)`).Scan(new(string)))
	var method uint32
	c, err := w.pool.Acquire(w.ctx)
	w.must(err)
	_, err = c.Exec(w.ctx, `select set_config('tollgate.tenant', '*', false)`)
	w.must(err)
	w.must(c.QueryRow(w.ctx, `select key_num from api_key where key_id = $1`, key.ID).Scan(&num))
	w.must(c.QueryRow(w.ctx, `select method_num from api_method where path = '/pets/{id}'`).Scan(&method))
	_, err = c.Exec(w.ctx, `reset tollgate.tenant`)
	w.must(err)
	c.Release()

	var entries []model.CallEntry
	for n := range 25 {
		entries = append(entries, entry(d, a, n))
	}
	e := &entries[24]
	e.Status, e.Kind, e.Step, e.Why, e.Key, e.Method, e.Integration, e.Trace = 429, "THROTTLED", "throttle", "the usage plan's throttle", num, method, 1001, []byte("line one\nbroken \xff and \x00\n")
	w.calls(1, []model.CallsLeft{{Tenant: a.Tenant, Stage: d.Stage.Num, Calls: 3, Lines: 1}}, entries[:20]...)
	w.calls(1, []model.CallsLeft{{Tenant: a.Tenant, Stage: d.Stage.Num, Calls: 3, Lines: 1}}, entries[:20]...) // again
	w.calls(2, []model.CallsLeft{{Tenant: a.Tenant, Stage: d.Stage.Num, Calls: 4}}, entries[20:]...)

	// The newest first, page after page.
	var got []string
	f := control.CallFilter{APIID: d.Stage.APIID, Limit: 10}
	for {
		l, err := w.Calls(w.ctx, a, f)
		w.must(err)
		if l.Left != 7 || l.Lines != 1 {
			t.Errorf("left out: %d calls, %d lines", l.Left, l.Lines)
		}
		for _, c := range l.Items {
			got = append(got, c.Path)
		}
		if f.After = l.Next; f.After == "" {
			break
		}
	}
	if len(got) != 25 || got[0] != "/pets/24" || got[24] != "/pets/0" || !slices.IsSortedFunc(got, func(x, y string) int {
		var i, j int
		_, _ = fmt.Sscanf(x, "/pets/%d", &i)
		_, _ = fmt.Sscanf(y, "/pets/%d", &j)
		return j - i
	}) {
		t.Errorf("listed %v", got)
	}
	one := model.BootID(e.ID).String()
	for name, f := range map[string]control.CallFilter{
		"status": {Status: "429"}, "class": {Status: "4XX"}, "errors": {Status: "error"}, "kind": {Kind: "THROTTLED"}, "any kind": {Kind: "any"}, "key": {KeyID: key.ID},
		"resource": {Resource: "/pets/{id}", Verb: "get"}, "id": {RequestID: one}, "prefix": {RequestID: one[:6]}, "text": {Text: "PETS/24"}, "stage": {Stage: "prod", Kind: "any"},
		"from": {From: time.UnixMicro(e.Time)}, "to": {To: time.Now().Add(time.Hour), Kind: "any"},
	} {
		if l, err := w.Calls(w.ctx, a, f); err != nil || len(l.Items) != 1 || l.Items[0].RequestID != one {
			t.Errorf("by %s: %d calls, %v", name, len(l.Items), err)
		}
	}
	for name, f := range map[string]control.CallFilter{"stage": {Stage: "none"}, "verb": {Verb: "PUT"}, "status": {Status: "5xx"}, "from": {From: time.Now().Add(time.Hour)}} {
		if l, err := w.Calls(w.ctx, a, f); err != nil || len(l.Items) != 0 {
			t.Errorf("by %s: %d calls, %v", name, len(l.Items), err)
		}
	}
	for _, f := range []control.CallFilter{{Status: "x"}, {Status: "6xx"}, {RequestID: "xyz"}, {After: "x"}, {Limit: 1001}} {
		_, err := w.Calls(w.ctx, a, f)
		w.refused(err, model.Invalid, "")
	}
	full, err := w.Call(w.ctx, a, strings.ToUpper(one))
	w.must(err)
	if full.Trace != "line one\nbroken \uFFFD and \uFFFD\n" || !full.Traced || full.Why != "the usage plan's throttle" || full.KeyName == "" || full.Key != key.ID || full.Resource != "/pets/{id}" ||
		full.Integration == nil || *full.Integration != 1000 || full.Latency != 1500 || !full.Billable || full.API == "" || full.Stage != "prod" {
		t.Errorf("%+v", full)
	}
	_, err = w.Call(w.ctx, a, "00000000-0000-0000-0000-000000000009")
	w.refused(err, model.NotFound, "keeps calls for 7 days")
}

// A node tells of stages of its own gateway's tenants and of no others.
func TestCallsOfOthersAreLeftAside(t *testing.T) {
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	d, other := w.deployed(a, "prod"), w.deployed(b, "prod")
	mine := func(actor control.Actor) int {
		l, err := w.Calls(w.ctx, actor, control.CallFilter{})
		w.must(err)
		return len(l.Items) + int(l.Left)
	}
	g, err := w.CreateGateway(w.ctx, control.Operator(), "dedicated", a.AccountID)
	w.must(err)
	node := control.NodeIdentity{Gateway: g.ID, GatewayName: g.Name, Node: "x", Tenant: a.Tenant}
	wrong := entry(d, b, 3) // a's stage under b's name
	batch := model.CallBatch{Boot: model.BootID{8}, Seq: 1, Calls: []model.CallEntry{entry(d, a, 1), entry(other, b, 2), wrong}, Left: []model.CallsLeft{{Tenant: b.Tenant, Stage: other.Stage.Num, Calls: 5}}}
	w.must(w.TakeCalls(w.ctx, node, batch.Encode(nil))) // a is still on the shared gateway
	if mine(a)+mine(b) != 0 {
		t.Errorf("a gateway told of tenants that it does not serve: %d, %d", mine(a), mine(b))
	}
	w.must(w.MoveTenant(w.ctx, control.Operator(), a.AccountID, "dedicated"))
	batch.Seq = 2
	w.must(w.TakeCalls(w.ctx, node, batch.Encode(nil)))
	if mine(a) != 1 || mine(b) != 0 {
		t.Errorf("of a %d, of b %d", mine(a), mine(b))
	}
	// The shared gateway's nodes may be late with what they have of a.
	batch = model.CallBatch{Boot: model.BootID{9}, Seq: 1, Calls: []model.CallEntry{entry(d, a, 5), entry(other, b, 6)}}
	w.must(w.TakeCalls(w.ctx, control.SharedNode("n1"), batch.Encode(nil)))
	if mine(a) != 2 || mine(b) != 1 {
		t.Errorf("of a %d, of b %d", mine(a), mine(b))
	}
	w.refused(w.TakeCalls(w.ctx, node, []byte("x")), model.Invalid, "not a batch")
	// A boot is its gateway's.
	batch.Boot, batch.Seq = model.BootID{8}, 9
	w.must(w.TakeCalls(w.ctx, control.SharedNode("n1"), batch.Encode(nil)))
	if mine(b) != 1 {
		t.Error("another gateway's boot was gone on with")
	}
}

// Whoever follows sees each call once, whatever comes in at the same time.
func TestFollowCalls(t *testing.T) {
	w := newWorld(t).started()
	a := w.tenant()
	d := w.deployed(a, "prod")
	w.calls(1, nil, entry(d, a, 0))
	l, err := w.Calls(w.ctx, a, control.CallFilter{})
	w.must(err)
	if len(l.Items) != 1 || l.Since == "" {
		t.Fatalf("%+v", l)
	}
	// Nothing: it waits, and says so.
	none, err := w.FollowCalls(w.ctx, a, control.CallFilter{}, l.Since, time.Millisecond)
	w.must(err)
	if len(none.Items) != 0 || none.Since == "" {
		t.Errorf("%+v", none)
	}
	const writers, each, per = 4, 10, 7
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				b := model.CallBatch{Boot: model.BootID{20, byte(i)}, Seq: uint64(n + 1)}
				for k := range per {
					b.Calls = append(b.Calls, entry(d, a, 1+i*1000+n*per+k))
				}
				if err := w.TakeCalls(w.ctx, control.SharedNode("n1"), b.Encode(nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]int{}
	since := none.Since
	ctx, cancel := context.WithTimeout(w.ctx, 2*time.Minute)
	defer cancel()
	for len(seen) < writers*each*per {
		l, err := w.FollowCalls(ctx, a, control.CallFilter{Limit: 5}, since, 5*time.Second)
		w.must(err)
		for _, c := range l.Items {
			seen[c.RequestID]++
		}
		since = l.Since
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	_, err = w.FollowCalls(w.ctx, a, control.CallFilter{}, "x", 0)
	w.refused(err, model.Invalid, "place in the log")
}

// Days that are over go, as a whole.
func TestCallLogDays(t *testing.T) {
	first := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	var day atomic.Int64 // what the plane runs by itself looks at the clock, too
	now := func() time.Time { return first.AddDate(0, 0, int(day.Load())) }
	w := newWorldWith(t, control.Options{CallLogDays: 2, Now: now}).started()
	a := w.tenant()
	d := w.deployed(a, "prod")
	put := func(seq uint64) {
		e := entry(d, a, int(seq))
		e.Time = now().UnixMicro()
		w.calls(seq, []model.CallsLeft{{Tenant: a.Tenant, Stage: d.Stage.Num, Calls: 1}}, e)
	}
	put(1)
	day.Add(1)
	w.must(control.MaintainCalls(w.ctx, w.Plane))
	put(2)
	day.Add(1)
	w.must(control.MaintainCalls(w.ctx, w.Plane))
	put(3)
	l, err := w.Calls(w.ctx, a, control.CallFilter{})
	w.must(err)
	if len(l.Items) != 2 || l.Items[1].Path != "/pets/2" || l.Left != 2 {
		t.Errorf("%d calls of the last two days, %d left out: %+v", len(l.Items), l.Left, l.Items)
	}
	var days []string
	rows, err := w.pool.Query(w.ctx, `select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'call_log'::regclass order by 1`)
	w.must(err)
	for rows.Next() {
		var s string
		w.must(rows.Scan(&s))
		days = append(days, s)
	}
	if want := []string{"call_log_20260311", "call_log_20260312", "call_log_20260313", "call_log_20260314", "call_log_default"}; !slices.Equal(days, want) {
		t.Errorf("partitions %v", days)
	}
}
