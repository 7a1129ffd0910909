package stripe_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"tollgate/billing"
	"tollgate/billing/stripe"
	"tollgate/cmd/fakestripe/fake"
	"tollgate/model"
)

// meterRig is a rig whose rail mirrors usage, on the operator's account and one tenant's.
type meterRig struct {
	*rig
	account  string
	tenant   billing.Scope
	from     time.Time // early in an hour, so that none ends unasked
	failures int
}

func newMeterRig(t *testing.T) *meterRig {
	r := &meterRig{rig: newRig(t, "")}
	r.tenant.Tenant = r.newTenant("111111111111")
	r.account = r.connect(r.tenant.Tenant)
	r.switchMeters(true)
	r.advance(r.now().Truncate(time.Hour).Add(time.Hour + 5*time.Minute).Sub(r.now()))
	r.from = r.now()
	return r
}

func (r *meterRig) switchMeters(on bool) {
	r.Helper()
	var err error
	r.o.Meters = on
	r.Rail, err = stripe.New(r.o)
	r.must(err)
}

// subscribed is a subscription of a new developer, which is no customer yet.
func (r *meterRig) subscribed(id string) (billing.Scope, int64) {
	r.Helper()
	dev := r.newDeveloper(r.tenant.Tenant, id)
	r.subscribe(dev, "1", "USD")
	return dev, one[int64](r.rig, `select s.subscription_id from subscription s where s.app_id = 'app-' || $1`, id)
}

// use adds to an hour's usage, counted from the one that it is.
func (r *meterRig) use(sub int64, hour int, flags, calls, bytes int64) {
	r.Helper()
	r.exec(`
		insert into usage_hour (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros)
		values ($1, $2, 1, 1, $3, 1, 1, 200, $4, 0, $5, 0, $6, 0)
		on conflict (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen)
		do update set calls = usage_hour.calls + excluded.calls, bytes_out = usage_hour.bytes_out + excluded.bytes_out`,
		r.tenant.Tenant, r.hour(hour), sub, flags, calls, bytes)
}

func (r *meterRig) hour(n int) time.Time {
	return r.from.Truncate(time.Hour).Add(time.Duration(n) * time.Hour)
}

// mirror brings both accounts in line, as often as it fails three minutes later again.
func (r *meterRig) mirror() {
	r.Helper()
	var failed error
	for range 12 {
		failed = nil
		for _, account := range []string{"", r.account} {
			for more := true; more && failed == nil; {
				more, failed = r.Mirror(r.ctx, account)
			}
		}
		if failed == nil {
			return
		}
		r.failures++
		r.advance(3 * time.Minute)
	}
	r.Fatalf("usage cannot be mirrored: %v", failed)
}

// there are the hours of a payer at Stripe, and of how many ours is another number.
func (r *meterRig) there(s billing.Scope, meter string) (out string) {
	r.Helper()
	account := ""
	if s.Developer != "" {
		account = r.account
	}
	customer := one[string](r.rig, `select customer from stripe_customer where account = $1 and developer_id is not distinct from nullif($2, '')`, account, s.Developer)
	for _, m := range r.at(account, "/v1/billing/meters?limit=100")["data"].([]any) {
		m := m.(map[string]any)
		if m["event_name"] != meter {
			continue
		}
		q := url.Values{"customer": {customer}, "start_time": {fmt.Sprint(r.hour(-40 * 24).Unix())}, "end_time": {fmt.Sprint(r.hour(100).Unix())}, "value_grouping_window": {"hour"}, "limit": {"100"}}
		for _, v := range r.at(account, "/v1/billing/meters/"+m["id"].(string)+"/event_summaries?"+q.Encode())["data"].([]any) {
			v := v.(map[string]any)
			if v["aggregated_value"] != 0.0 {
				out = fmt.Sprintf("%d:%v ", (int64(v["start_time"].(float64))-r.hour(0).Unix())/3600, v["aggregated_value"]) + out
			}
		}
	}
	return strings.TrimSpace(out)
}

// events counts what was sent to meters.
func (r *meterRig) events() (n int) {
	for _, c := range r.fake.Calls() {
		if c.Path == "/v1/billing/meter_events" {
			n++
		}
	}
	return n
}

// i11 is what the books' check finds.
func (r *meterRig) i11() string {
	r.Helper()
	r.must(r.books.Check(r.ctx))
	all, err := r.books.Checks(r.ctx)
	r.must(err)
	for _, c := range all {
		if c.Name == "I11" {
			return strings.Join(c.Problems, "; ")
		}
	}
	return "there is no I11"
}

func (r *meterRig) want(what string, got, want string) {
	r.Helper()
	if got != want {
		r.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Usage is at Stripe by the hour, whole, and what changes later is brought in line; where it
// is off nothing is sent.
func TestMeters(t *testing.T) {
	t.Parallel()
	r := newMeterRig(t)
	a, subA := r.subscribed("dev-a")
	b, subB := r.subscribed("dev-b")
	r.pay(a, "4242424242424242")
	r.pay(r.tenant, "4242424242424242")
	r.use(subA, -3, 1, 10, 1000)
	r.use(subA, -3, 0, 5, 500) // not to be paid for
	r.use(subA, -2, 1, 7, 0)
	r.use(subA, 0, 1, 3, 300)        // not over
	r.use(subA, -36*24, 1, 100, 100) // Stripe takes it no more
	r.use(subB, -20*24, 1, 1, 100)   // of nobody there
	r.use(0, -2, 1, 2, 20)           // without a key: the tenant's

	r.switchMeters(false)
	for _, kind := range []string{"stripe_mirrors", "stripe_mirror"} {
		r.must(r.RunJob(r.ctx, kind, []byte(`{"account": ""}`)))
	}
	if n := len(r.Periodic()); n != 1 || r.events() != 0 || one[int](r.rig, `select count(*) from stripe_hour`) != 0 {
		t.Errorf("off: %d periodic jobs, %d events", n, r.events())
	}
	r.switchMeters(true)
	r.must(r.RunJob(r.ctx, "stripe_mirrors", nil)) // a job for each account
	r.settle()
	r.advance(2 * time.Minute)
	r.want("calls of the developer", r.there(a, "tollgate_calls"), "-3:10 -2:7")
	r.want("bytes of the developer", r.there(a, "tollgate_bytes_out"), "-3:1000")
	r.want("calls of the tenant", r.there(r.tenant, "tollgate_calls"), "-480:1 -3:10 -2:9")
	r.want("bytes of the tenant", r.there(r.tenant, "tollgate_bytes_out"), "-480:100 -3:1000 -2:20")
	sent := r.events()
	r.mirror()
	if r.events() != sent {
		t.Error("what is there is sent again")
	}

	// Usage that comes late, a customer that does, and an hour that ends.
	r.use(subA, -3, 1, 5, 0)
	r.pay(b, "4242424242424242")
	r.advance(time.Hour)
	r.mirror()
	r.advance(2 * time.Minute)
	r.want("after late usage", r.there(a, "tollgate_calls"), "-3:15 -2:7 0:3")
	r.want("the late customer", r.there(b, "tollgate_calls"), "-480:1")
	for _, account := range []string{"", r.account} {
		if n := len(r.at(account, "/v1/billing/meters")["data"].([]any)); n != 2 {
			t.Errorf("account %q has %d meters", account, n)
		}
	}

	// What somebody else sends is found, overwritten and shown until it is right.
	r.advance(4 * time.Hour)
	r.mirror()
	if n := one[int](r.rig, `select count(*) from stripe_hour where compared_at is null`); n != 0 {
		t.Errorf("%d hours were not compared", n)
	}
	r.want("the check", r.i11(), "")
	customer := one[string](r.rig, `select customer from stripe_customer where developer_id = 'dev-a'`)
	for hour, value := range map[int]string{-3: "999", -1: "4"} {
		r.post(r.account, "/v1/billing/meter_events", url.Values{"event_name": {"tollgate_calls"}, "timestamp": {fmt.Sprint(r.hour(hour).Unix())},
			"payload[stripe_customer_id]": {customer}, "payload[value]": {value}})
	}
	r.advance(25 * time.Hour)
	r.want("somebody else's", r.there(a, "tollgate_calls"), "-3:999 -2:7 -1:4 0:3")
	r.mirror()
	hour := r.hour(-3).UTC().Format("2006-01-02 15:00")
	if got := r.i11(); strings.Count(got, "sent again") != 2 || !strings.Contains(got, "account 111111111111, customer "+customer+", calls of "+hour+": 15 here and 999 at Stripe") {
		t.Errorf("the check says %q", got)
	}
	r.advance(4 * time.Hour)
	r.want("overwritten", r.there(a, "tollgate_calls"), "-3:15 -2:7 0:3")
	r.mirror()
	r.want("the check afterwards", r.i11(), "")

	// A meter that its owner deactivated gets nothing, and keeps nobody else's.
	var id string
	for _, m := range r.at(r.account, "/v1/billing/meters")["data"].([]any) {
		if m := m.(map[string]any); m["event_name"] == "tollgate_calls" {
			id = m["id"].(string)
		}
	}
	r.post(r.account, "/v1/billing/meters/"+id+"/deactivate", nil)
	r.use(subA, -2, 1, 1, 11)
	r.mirror()
	r.advance(2 * time.Minute)
	r.want("the other meter", r.there(a, "tollgate_bytes_out"), "-3:1000 -2:11 0:300")
	if got := r.i11(); !strings.Contains(got, "meter calls of "+r.account+": the meter of tollgate_calls was deactivated at Stripe") {
		t.Errorf("the check says %q", got)
	}
	r.post(r.account, "/v1/billing/meters/"+id+"/reactivate", nil)
	r.mirror()
	r.advance(2 * time.Minute)
	r.want("reactivated", r.there(a, "tollgate_calls"), "-3:15 -2:8 0:3")
	r.want("the check of it", r.i11(), "")

	// A customer that is not there any more keeps nobody else's either.
	r.use(subA, -2, 1, 1, 0)
	r.use(subB, -2, 1, 6, 0)
	r.use(subA, 1, 1, 1, 0)
	req := one[string](r.rig, `select customer from stripe_customer where developer_id = 'dev-a'`)
	r.del(r.account, "/v1/customers/"+req)
	r.mirror()
	r.advance(2 * time.Minute)
	r.want("the other customer", r.there(b, "tollgate_calls"), "-480:1 -2:6")
	if got := r.i11(); !strings.Contains(got, "No such customer") {
		t.Errorf("the check says %q", got)
	}

	// An account that was taken away is asked nothing more.
	r.steer("/_fake/accounts/"+r.account+"/deauthorize", nil)
	r.use(subB, -2, 1, 1, 0)
	r.mirror()
	if acct, err := r.Account(r.ctx, r.tenant); err != nil || acct.Disconnected.IsZero() {
		t.Errorf("the account: %+v %v", acct, err)
	}
	r.want("the check without the account", r.i11(), "")

	r.switchMeters(false)
	r.must(r.Sweep(r.ctx))
	if n := one[int](r.rig, `select (select count(*) from stripe_hour) + (select count(*) from stripe_meter)`); n != 0 {
		t.Errorf("off again: %d rows are left", n)
	}
}

// Whatever goes wrong with whichever call, hours at Stripe come to be what usage has; also
// where it changed meanwhile, and where what was sent was forgotten.
func TestMetersCrash(t *testing.T) {
	t.Parallel()
	r := newMeterRig(t)
	dev, sub := r.subscribed("dev")
	r.pay(dev, "4242424242424242")
	calls, n := int64(0), 0
	late := func() { // by now the hour is one that is looked at once a day
		r.use(sub, -1, 1, 1, 0)
		calls++
		r.exec(`update stripe_meter set planned_at = planned_at - interval '1 day'`)
	}
	check := func(what string) {
		t.Helper()
		r.mirror()
		r.advance(2 * time.Minute)
		r.want(what, r.there(dev, "tollgate_calls"), fmt.Sprintf("-1:%d", calls))
	}
	for _, path := range []string{"/v1/billing/meters", "/v1/billing/meter_events"} {
		for _, f := range []fake.Fault{
			{Kind: fake.FaultDrop}, {Kind: fake.FaultServerError}, {Kind: fake.FaultServerError, After: true}, {Kind: fake.FaultRateLimit},
			{Kind: fake.FaultLockTimeout}, {Kind: fake.FaultConflict}, {Kind: fake.FaultOutage}, {Kind: fake.FaultDrop, Times: 3}, {Kind: fake.FaultDrop, Method: "POST"},
		} {
			n++
			late()
			f.Path = path
			r.must(r.fake.AddFault(f))
			before := r.failures
			_, err := r.Mirror(r.ctx, r.account)
			if err == nil && (f.Method == "" || path != "/v1/billing/meters") {
				t.Errorf("%s %+v: it did not fail", path, f)
			}
			if n%3 == 0 { // late usage, before anybody knows what became of it
				late()
				events := r.events()
				if _, err := r.Mirror(r.ctx, r.account); err != nil && f.Times == 0 || r.events() != events && path == "/v1/billing/meter_events" {
					t.Errorf("%s %+v: another value is sent while the first may be under way: %v", path, f, err)
				}
				r.advance(3 * time.Minute)
			}
			if n%4 == 0 { // the key and the identifier are forgotten
				r.advance(25 * time.Hour)
			}
			check(fmt.Sprintf("%s %+v, then %d failures", path, f, r.failures-before))
			r.fake.ClearFaults()
		}
	}
	// Between the answer and its note: it is sent again, now and after a day.
	for range 2 {
		r.exec(`update stripe_hour set sent_at = null, asked_at = $1`, r.now())
		check("forgotten answers")
		r.advance(25 * time.Hour)
	}
	// A restored database knows an older version.
	late()
	check("before the backup")
	r.exec(`update stripe_hour set version = version - 1, value = value - 1`)
	late()
	check("after the backup")
	for what, f := range map[string]fake.Fault{"drop": {Kind: fake.FaultDrop}, "500": {Kind: fake.FaultServerError}} {
		f.Path = "/v1/billing/meters/*/event_summaries"
		r.must(r.fake.AddFault(f))
		r.advance(4 * time.Hour)
		if _, err := r.Mirror(r.ctx, r.account); model.KindOf(err) != model.Unavailable {
			t.Errorf("comparing with a %s: %v", what, err)
		}
		r.mirror()
		r.exec(`update stripe_hour set compared_at = null where compared_at is not null`)
	}
	r.want("the check", r.i11(), "")
	for _, c := range r.fake.Calls() {
		if c.Method == "POST" && c.Key == "" && strings.HasPrefix(c.Path, "/v1/billing/meter") {
			t.Errorf("%s was sent without a key", c.Path)
		}
	}
}

// Where the mirror is switched on late, what there is to be sent is written down in parts.
func TestMetersInParts(t *testing.T) {
	t.Parallel()
	r := newMeterRig(t)
	const customers, hours = 4, 24 * 33
	r.exec(`
		with t as (
			insert into tenant (account_id, name, email, gateway_id, created_at)
			select (333333333330 + n)::text, 'x', n || '@example.com', 1, '2026-01-01' from generate_series(1, $1) n returning tenant_id),
		c as (insert into stripe_customer (tenant_id, account, customer, updated_at) select tenant_id, '', 'cus_' || tenant_id, $3 from t)
		insert into usage_hour (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen, calls, bytes_in, bytes_out, micros)
		select tenant_id, $3::timestamptz - n * interval '1 hour', 1, 1, 0, 0, 0, 200, 1, 0, 1, 0, 1, 0 from t, generate_series(1, $2) n`, customers, hours, r.hour(0))
	planned := 0
	for passes := 1; ; passes++ {
		more, err := r.Plan(r.ctx, 0, "")
		r.must(err)
		n := one[int](r.rig, `select count(*) from stripe_hour`)
		if n-planned > 5000 || more && n == planned {
			t.Fatalf("pass %d wrote %d hours down", passes, n-planned)
		}
		if planned = n; !more {
			break
		}
	}
	if planned != 2*customers*hours {
		t.Errorf("%d of %d hours are written down", planned, 2*customers*hours)
	}
	if more, err := r.Plan(r.ctx, 0, ""); err != nil || more || one[int](r.rig, `select count(*) from stripe_hour where version > 1`) != 0 {
		t.Errorf("once more: %v %v", more, err)
	}
}
