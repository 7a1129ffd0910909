package intake

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tollgate/model"
)

// shop is a tenant with two APIs, four keys of which two are of developers' apps,
// and calls of everything over three days, of which some are summed up.
type shop struct {
	*world
	stage, method, key []uint32
	sub                []uint64
	lines              []model.UsageLine
}

func newShop(t *testing.T) *shop {
	s := &shop{world: newWorld(t)}
	for _, api := range []string{"pets", "toys"} {
		s.exec(`insert into api (tenant_id, api_id, name, definition, hash, methods) values ($1, $2, initcap($2), '{}', '', 0)`, s.ann, api)
		s.exec(`insert into deployment (tenant_id, deployment_id, api_id, hash, definition, methods, created_by) values ($1, 'd-' || $2, $2, '', '{}', 0, 'test')`, s.ann, api)
		for _, stage := range []string{"dev", "prod"} {
			s.stage = append(s.stage, scan[uint32](s.world, `insert into stage (tenant_id, api_id, name, deployment_id) values ($1, $2, $3, 'd-' || $2) returning stage_num`, s.ann, api, stage))
		}
		for _, verb := range []string{"GET", "POST"} {
			s.method = append(s.method, scan[uint32](s.world, `insert into api_method (tenant_id, api_id, path, verb) values ($1, $2, '/' || $2, $3) returning method_num`, s.ann, api, verb))
		}
	}
	s.exec(`insert into plan (tenant_id, plan_id, name) values ($1, 'plan', 'Plan')`, s.ann)
	for i, dev := range []string{"", "", "dev1", "dev2"} {
		var app *string
		if dev != "" {
			id := "app-" + dev
			app = &id
			s.exec(`insert into developer (tenant_id, developer_id, email, password_hash) values ($1, $2, $2 || '@example.com', '')`, s.ann, dev)
			s.exec(`insert into app (tenant_id, app_id, developer_id, name) values ($1, $2, $3, 'App of ' || $3)`, s.ann, id, dev)
		}
		s.key = append(s.key, scan[uint32](s.world, `insert into api_key (tenant_id, key_id, name, hash, prefix, last4, enabled, app_id) values ($1, $2, 'Key ' || $2, sha256($2::bytea), '', '', true, $3) returning key_num`,
			s.ann, fmt.Sprint("key", i), app))
		s.sub = append(s.sub, scan[uint64](s.world, `insert into subscription (tenant_id, plan_id, app_id) values ($1, 'plan', $2) returning subscription_id`, s.ann, app))
	}
	return s
}

func (s *shop) use(rnd *rand.Rand, seq uint64) {
	b := batch(boot(7), seq, s.ann, 1)
	b.Lines = nil
	for range 30 {
		api, k := rnd.IntN(2), rnd.IntN(4)
		l := model.UsageLine{Hour: noon.Unix()/3600 + int64(rnd.IntN(72)) - 12, Tenant: s.ann, Stage: s.stage[api*2+rnd.IntN(2)], Method: s.method[api*2+rnd.IntN(2)],
			Key: s.key[k], Subscription: s.sub[k], Status: []uint16{200, 200, 201, 404, 429, 500, 503}[rnd.IntN(7)], Flags: uint16(rnd.IntN(4)),
			Calls: uint64(1 + rnd.IntN(9)), BytesIn: uint64(rnd.IntN(99)), BytesOut: uint64(rnd.IntN(99)), Micros: uint64(rnd.IntN(9999))}
		if rnd.IntN(8) == 0 {
			l.Stage, l.Method, l.Key, l.Subscription, l.Status, l.Flags = 0, 0, 0, 0, 403, 0
		}
		b.Lines = append(b.Lines, l)
	}
	s.lines = append(s.lines, b.Lines...)
	s.mustTake(b)
}

// brute answers a report by looking at every line.
func (s *shop) brute(q Query, by string) (total model.UsageSum, series map[int64]int64, groups map[string]int64) {
	series, groups = map[int64]int64{}, map[string]int64{}
	var micros int64
	index := func(all []uint32, n uint32) int {
		for i, x := range all {
			if x == n {
				return i
			}
		}
		return -1
	}
	for _, l := range s.lines {
		at := time.Unix(l.Hour*3600, 0).UTC()
		stage, method, key := index(s.stage, l.Stage), index(s.method, l.Method), index(s.key, l.Key)
		var api, stageName, path, verb, keyID, app, dev string
		if stage >= 0 {
			api, stageName = []string{"pets", "toys"}[stage/2], []string{"dev", "prod"}[stage%2]
			path, verb = "/"+[]string{"pets", "toys"}[method/2], []string{"GET", "POST"}[method%2]
			keyID, dev = fmt.Sprint("key", key), []string{"", "", "dev1", "dev2"}[key]
			if dev != "" {
				app = "app-" + dev
			}
		}
		status := fmt.Sprint(l.Status)
		if at.Before(q.From) || !at.Before(q.To) || q.APIID != "" && api != q.APIID || q.Stage != "" && stageName != q.Stage || q.Path != "" && path != q.Path ||
			q.Verb != "" && verb != q.Verb || q.KeyID != "" && keyID != q.KeyID || q.AppID != "" && app != q.AppID || q.DeveloperID != "" && dev != q.DeveloperID ||
			q.Status != "" && status != q.Status && status[:1]+"xx" != q.Status {
			continue
		}
		n := int64(l.Calls)
		total.Calls += n
		if l.Flags&model.FlagBillable != 0 {
			total.Billable += n
		}
		switch l.Status / 100 {
		case 4:
			total.Failed4xx += n
		case 5:
			total.Failed5xx += n
		}
		total.BytesIn += int64(l.BytesIn)
		total.BytesOut += int64(l.BytesOut)
		micros += int64(l.Micros)
		step := time.Hour
		if q.By == "day" {
			step = 24 * time.Hour
		}
		series[at.Truncate(step).Unix()] += n
		groups[map[string]string{"api": api, "stage": api + "/" + stageName, "method": verb + " " + path, "key": keyID, "status": status, "app": app, "developer": dev}[by]] += n
	}
	if total.Calls > 0 {
		total.AvgMicros = micros / total.Calls
	}
	return total, series, groups
}

func groupName(by string, r model.UsageRow) string {
	return map[string]string{"api": r.APIID, "stage": r.APIID + "/" + r.Stage, "method": r.Verb + " " + r.Path, "key": r.KeyID, "status": fmt.Sprint(r.Status), "app": r.AppID, "developer": r.DeveloperID}[by]
}

// Every figure of a report is what counting line by line says, whatever is asked
// for and however much of the usage is summed up already.
func TestReportAgreesWithTheLines(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	s := newShop(t)
	pick := func(from ...string) string {
		if rnd.IntN(2) == 0 {
			return ""
		}
		return from[rnd.IntN(len(from))]
	}
	for seq := uint64(1); seq <= 8; seq++ {
		s.use(rnd, seq)
		for range 30 {
			by := model.UsageGroups[rnd.IntN(len(model.UsageGroups))]
			q := Query{By: []string{"hour", "day"}[rnd.IntN(2)], APIID: pick("pets", "toys"), Stage: pick("dev", "prod"), Verb: pick("GET"),
				Status: pick("200", "404", "4xx", "5xx"), From: noon.Add(time.Duration(rnd.IntN(60)-20) * time.Hour)}
			if q.Path = pick("/pets"); q.Path != "" {
				q.Stage = ""
			}
			if rnd.IntN(3) == 0 {
				q.KeyID = pick("key0", "key2")
			}
			if rnd.IntN(3) == 0 {
				q.AppID, q.DeveloperID = pick("app-dev1"), pick("dev1", "dev2")
			}
			q.To = q.From.Add(time.Duration(1+rnd.IntN(80)) * time.Hour)
			got, err := s.in.Report(t.Context(), s.ann, q, by, false)
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			total, series, groups := s.brute(q, by)
			if got.Total != total {
				t.Fatalf("by %s, %+v: total %+v, want %+v", by, q, got.Total, total)
			}
			for i, at := range got.Times {
				if got.Series[i].Calls != series[at.Unix()] {
					t.Fatalf("%+v: %d calls at %s, want %d", q, got.Series[i].Calls, at, series[at.Unix()])
				}
			}
			if len(got.Groups) != len(groups) || got.More != 0 {
				t.Fatalf("by %s, %+v: %d groups and %d more, want %d", by, q, len(got.Groups), got.More, len(groups))
			}
			for _, g := range got.Groups {
				if n := groupName(by, g); g.Calls != groups[n] {
					t.Fatalf("by %s, %+v: %q has %d calls, want %d", by, q, n, g.Calls, groups[n])
				}
			}
			q.By, q.Limit = "total", 0
			rows, err := s.in.Usage(t.Context(), s.ann, q)
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			for _, r := range rows {
				n += r.Calls
			}
			if n != total.Calls {
				t.Fatalf("%+v: the rows have %d calls, want %d", q, n, total.Calls)
			}
		}
		if rnd.IntN(2) == 0 {
			if _, err := s.in.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReportNames(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.use(rand.New(rand.NewPCG(1, 1)), 1)
	q := Query{By: "day", From: noon.AddDate(0, 0, -1), To: noon.AddDate(0, 0, 4)}
	ask := func(q Query, by string, own bool) (model.UsageReport, error) {
		return s.in.Report(t.Context(), s.ann, q, by, own)
	}
	r, err := ask(q, "key", false)
	if err != nil || len(r.APIs) != 2 || r.APIs[0].Name != "Pets" || strings.Join(r.APIs[1].Stages, " ") != "dev prod" || r.Apps != nil || r.Groups[0].KeyName == "" && r.Groups[1].KeyName == "" {
		t.Errorf("%+v, %v", r, err)
	}
	q.KeyID, q.APIID = "key2", "pets"
	if r, err = ask(q, "app", false); err != nil || r.KeyName != "Key key2" || r.APIName != "Pets" || len(r.Groups) > 1 || len(r.Groups) == 1 && r.Groups[0].Developer != "dev1@example.com" {
		t.Errorf("%+v, %v", r, err)
	}
	// A developer sees its own, and the name of nothing else.
	q.APIID, q.DeveloperID = "", "dev1"
	if r, err = ask(q, "key", true); err != nil || r.KeyName != "Key key2" || len(r.Apps) != 1 || r.Apps[0].Name != "App of dev1" || r.APIs != nil {
		t.Errorf("%+v, %v", r, err)
	}
	for name, change := range map[string]func(*Query){
		"another's key":            func(q *Query) { q.KeyID = "key3" },
		"a key without a customer": func(q *Query) { q.KeyID = "key0" },
		"another's app":            func(q *Query) { q.KeyID, q.AppID = "", "app-dev2" },
		"an unpublished API":       func(q *Query) { q.KeyID, q.APIID = "", "toys" },
		"nobody":                   func(q *Query) { q.DeveloperID = "" },
	} {
		bad := q
		change(&bad)
		if _, err := ask(bad, "key", true); model.KindOf(err) != model.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.in.Report(t.Context(), s.bob, Query{By: "day", From: q.From, To: q.To, KeyID: "key2"}, "key", false); model.KindOf(err) != model.NotFound {
		t.Errorf("another tenant: %v", err)
	}
	if r, err := s.in.Report(t.Context(), s.bob, Query{By: "day", From: q.From, To: q.To}, "key", false); err != nil || r.Total.Calls != 0 || len(r.Groups) != 0 || len(r.Times) != 6 {
		t.Errorf("another tenant: %+v, %v", r, err)
	}
	for _, bad := range []Query{{By: "day"}, {By: "total", From: q.From, To: q.To}, {By: "hour", From: q.From, To: q.From.AddDate(1, 0, 0)}, {By: "day", From: q.To, To: q.From},
		{By: "day", From: q.From, To: q.To, Status: "999"}, {By: "day", From: q.From, To: q.To, Status: "9xx"}} {
		if _, err := ask(bad, "key", false); model.KindOf(err) != model.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := ask(q, "colour", false); model.KindOf(err) != model.Invalid {
		t.Errorf("by colour: %v", err)
	}
	n := 0
	err = s.in.EachUsage(t.Context(), s.ann, Query{By: "hour"}, func(*Row) error { n++; return nil })
	if rows, e := s.in.Usage(t.Context(), s.ann, Query{By: "hour"}); err != nil || e != nil || n != len(rows) || n == 0 {
		t.Errorf("%d rows streamed, %d answered, %v, %v", n, len(rows), err, e)
	}
}
