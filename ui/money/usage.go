package money

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/model"
	"tollgate/ui"
)

// Usage is a page of usage: what its URL asks for, and the answer.
type Usage struct {
	Path, CSV string // of the page and of its download
	Own       bool   // a developer of the portal looks at its own
	Query     model.UsageQuery
	By        string // one of model.UsageGroups
	Range     string
	From, To  string // days, of the range "days"
	Problems  []ui.Problem
	Report    model.UsageReport
	Now       time.Time
}

var ranges = []ui.Option{
	{Value: "24h", Label: "Last 24 hours"}, {Value: "7d", Label: "Last 7 days"}, {Value: "30d", Label: "Last 30 days"},
	{Value: "month", Label: "This month (UTC)"}, {Value: "last-month", Label: "Last month (UTC)"}, {Value: "days", Label: "From day to day"},
}

// mostDays bounds what one page shows.
const mostDays = 400

// ReadUsage reads a page's URL. What it cannot read is in Problems, and the rest
// is as if that had not been asked for.
func ReadUsage(v url.Values, now time.Time, own bool) *Usage {
	get := func(name string) string {
		s := strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(v.Get(name)), "\x00", ""), "")
		return s[:min(len(s), 500)]
	}
	u := &Usage{Own: own, Now: now, By: get("by"), Range: get("range"), From: get("from"), To: get("to")}
	u.Query = model.UsageQuery{APIID: get("api"), Stage: get("stage"), Path: get("path"), Verb: get("verb"), KeyID: get("key"),
		Status: get("status"), AppID: get("app"), DeveloperID: get("developer")}
	if own {
		u.Query.DeveloperID = ""
	}
	if !slices.ContainsFunc(u.tabs(), func(t [2]string) bool { return t[0] == u.By }) {
		if u.By != "" {
			u.problem("", strconv.Quote(u.By)+" is nothing that usage can be shown by")
		}
		u.By = "api"
	}
	if s := u.Query.Status; s != "" && !slices.Contains([]string{"1xx", "2xx", "3xx", "4xx", "5xx"}, s) {
		if n, err := strconv.Atoi(s); err != nil || n < 100 || n > 599 {
			u.problem("status", strconv.Quote(s)+" is not a status such as 404, or a class such as 4xx")
			u.Query.Status = ""
		}
	}
	u.readRange()
	return u
}

func (u *Usage) problem(name, text string) {
	u.Problems = append(u.Problems, ui.Problem{Name: name, Text: text})
}

func (u *Usage) readRange() {
	now := u.Now.UTC()
	hour, day := now.Truncate(time.Hour), now.Truncate(24*time.Hour)
	month := day.AddDate(0, 0, 1-day.Day())
	q := &u.Query
	q.By = "day"
	switch u.Range {
	case "7d":
		q.By, q.From, q.To = "hour", hour.Add(-167*time.Hour), hour.Add(time.Hour)
	case "30d":
		q.From, q.To = day.AddDate(0, 0, -29), day.AddDate(0, 0, 1)
	case "month":
		q.From, q.To = month, day.AddDate(0, 0, 1)
	case "last-month":
		q.From, q.To = month.AddDate(0, -1, 0), month
	case "days":
		u.readDays(day)
	default:
		if u.Range != "" && u.Range != "24h" {
			u.problem("range", strconv.Quote(u.Range)+" is not a time that can be chosen")
		}
		u.Range, q.By, q.From, q.To = "24h", "hour", hour.Add(-23*time.Hour), hour.Add(time.Hour)
	}
}

func (u *Usage) readDays(today time.Time) {
	q := &u.Query
	if u.From == "" {
		u.From = today.AddDate(0, 0, -6).Format(time.DateOnly)
	}
	if u.To == "" {
		u.To = today.Format(time.DateOnly)
	}
	from, err := time.Parse(time.DateOnly, u.From)
	if err != nil || from.Year() < 2000 || from.Year() > 2200 {
		u.problem("from", strconv.Quote(u.From)+" is not a day such as 2026-03-31")
	}
	to, err2 := time.Parse(time.DateOnly, u.To)
	if err2 != nil || to.Year() < 2000 || to.Year() > 2200 {
		u.problem("to", strconv.Quote(u.To)+" is not a day such as 2026-03-31")
	}
	switch {
	case len(u.Problems) > 0:
		from, to = today, today
	case to.Before(from):
		u.problem("to", "The last day, "+u.To+", is before the first, "+u.From)
		to = from
	case to.Sub(from) >= mostDays*24*time.Hour:
		u.problem("to", "From "+u.From+" to "+u.To+" are more than "+strconv.Itoa(mostDays)+" days; ask for fewer")
		to = from
	}
	q.From, q.To = from, to.AddDate(0, 0, 1)
	if q.To.Sub(q.From) <= 3*24*time.Hour {
		q.By = "hour"
	}
}

// values are the page's URL parameters.
func (u *Usage) values() url.Values {
	v := url.Values{}
	q := &u.Query
	developer := q.DeveloperID
	if u.Own {
		developer = ""
	}
	for name, s := range map[string]string{"by": u.By, "range": u.Range, "api": q.APIID, "stage": q.Stage, "path": q.Path, "verb": q.Verb, "key": q.KeyID,
		"status": q.Status, "app": q.AppID, "developer": developer} {
		if s != "" {
			v.Set(name, s)
		}
	}
	if u.Range == "days" {
		v.Set("from", u.From)
		v.Set("to", u.To)
	}
	return v
}

// url is the page with some parameters changed; an empty one is left out.
func (u *Usage) url(change ...string) string {
	v := u.values()
	for i := 0; i+1 < len(change); i += 2 {
		if v.Set(change[i], change[i+1]); change[i+1] == "" {
			v.Del(change[i])
		}
	}
	return u.Path + "?" + v.Encode()
}

func (u *Usage) csvURL() string { return u.CSV + "?" + u.values().Encode() }

// tabs are what this page's calls can be shown by, with their words.
func (u *Usage) tabs() [][2]string {
	all := [][2]string{{"api", "API"}, {"stage", "Stage"}, {"method", "Method"}, {"key", "Key"}, {"status", "Status"}, {"app", "App"}}
	if !u.Own {
		all = append(all, [2]string{"developer", "Developer"})
	}
	return all
}

func (u *Usage) tabItems() []ui.Tab {
	var out []ui.Tab
	for _, t := range u.tabs() {
		out = append(out, ui.Tab{Label: t[1], URL: u.url("by", t[0]), Current: t[0] == u.By})
	}
	return out
}

// chip is something that was narrowed to, and the page without it.
type chip struct{ text, without string }

// chips are what was narrowed to by a click, that no field of the form shows.
func (u *Usage) chips() []chip {
	q, r := &u.Query, &u.Report
	var out []chip
	if q.Path != "" || q.Verb != "" {
		out = append(out, chip{"Method: " + strings.TrimSpace(q.Verb+" "+q.Path), u.url("path", "", "verb", "")})
	}
	if q.KeyID != "" {
		out = append(out, chip{"Key: " + named(r.KeyName, q.KeyID), u.url("key", "")})
	}
	if q.AppID != "" && !u.Own {
		out = append(out, chip{"App: " + named(r.AppName, q.AppID), u.url("app", "")})
	}
	if q.DeveloperID != "" && !u.Own {
		out = append(out, chip{"Developer: " + named(r.Developer, q.DeveloperID), u.url("developer", "")})
	}
	if q.APIID != "" && u.Own {
		out = append(out, chip{"API: " + named(r.APIName, q.APIID), u.url("api", "")})
	}
	return out
}

func named(name, id string) string {
	if name != "" {
		return name
	}
	return id
}

// hidden are the parameters that the form passes on.
func (u *Usage) hidden() [][2]string {
	var out [][2]string
	for _, name := range []string{"by", "path", "verb", "key", "developer"} {
		if s := u.values().Get(name); s != "" {
			out = append(out, [2]string{name, s})
		}
	}
	for _, name := range map[bool][]string{true: {"api", "stage"}, false: {"app"}}[u.Own] {
		if s := u.values().Get(name); s != "" {
			out = append(out, [2]string{name, s})
		}
	}
	return out
}

// clear is the page without any filter; empty where none is set.
func (u *Usage) clear() string {
	q := u.Query
	if q.APIID+q.Stage+q.Path+q.Verb+q.KeyID+q.Status+q.AppID == "" && (u.Own || q.DeveloperID == "") {
		return ""
	}
	return u.Path + "?" + url.Values{"by": {u.By}, "range": {u.Range}}.Encode()
}

func (u *Usage) apis() []ui.Option {
	out := []ui.Option{{Label: "Every API"}}
	found := false
	for _, a := range u.Report.APIs {
		out = append(out, ui.Option{Value: a.ID, Label: a.Name})
		found = found || a.ID == u.Query.APIID
	}
	if !found && u.Query.APIID != "" { // deleted, or beyond those listed
		out = append(out, ui.Option{Value: u.Query.APIID, Label: named(u.Report.APIName, u.Query.APIID)})
	}
	return out
}

// stages are those of the API that is asked for, or of all.
func (u *Usage) stages() []ui.Option {
	var all []string
	for _, a := range u.Report.APIs {
		if u.Query.APIID == "" || a.ID == u.Query.APIID {
			all = append(all, a.Stages...)
		}
	}
	if u.Query.Stage != "" {
		all = append(all, u.Query.Stage)
	}
	slices.Sort(all)
	out := []ui.Option{{Label: "Every stage"}}
	for _, s := range slices.Compact(all) {
		out = append(out, ui.Option{Value: s, Label: s})
	}
	return out
}

func (u *Usage) apps() []ui.Option {
	out := []ui.Option{{Label: "Every app"}}
	for _, a := range u.Report.Apps {
		out = append(out, ui.Option{Value: a.ID, Label: a.Name})
	}
	return out
}

func (u *Usage) statuses() []ui.Option {
	out := []ui.Option{{Label: "Every status"}, {Value: "2xx", Label: "2xx, done"}, {Value: "3xx", Label: "3xx, elsewhere"},
		{Value: "4xx", Label: "4xx, client's error"}, {Value: "5xx", Label: "5xx, server's error"}}
	if s := u.Query.Status; s != "" && !slices.ContainsFunc(out, func(o ui.Option) bool { return o.Value == s }) {
		out = append(out, ui.Option{Value: s, Label: s})
	}
	return out
}

func (u *Usage) problemAt(name string) string {
	for _, p := range u.Problems {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

// chart is the calls over time, by how they were answered.
func (u *Usage) chart() ui.Bars {
	b := ui.Bars{Title: "Calls over time", Unit: "calls"}
	layout := "2 Jan"
	switch {
	case u.Query.By == "hour" && len(u.Report.Times) <= 24:
		layout = "15:04"
	case u.Query.By == "hour":
		layout = "2 Jan 15:04"
	}
	done := ui.Series{Label: "Without error", Class: "s0"}
	client := ui.Series{Label: "Client's error (4xx)", Class: "s2"}
	server := ui.Series{Label: "Server's error (5xx)", Class: "s3"}
	for i, t := range u.Report.Times {
		b.Labels = append(b.Labels, t.UTC().Format(layout))
		s := u.Report.Series[i]
		done.Values = append(done.Values, s.Calls-s.Failed4xx-s.Failed5xx)
		client.Values = append(client.Values, s.Failed4xx)
		server.Values = append(server.Values, s.Failed5xx)
	}
	b.Series = []ui.Series{done, client, server}
	return b
}

// groupRow is a row of the table: what it is of, and the page narrowed to it.
type groupRow struct {
	name, note, url string
	model.UsageSum
}

func (u *Usage) groups() []groupRow {
	out := make([]groupRow, len(u.Report.Groups))
	for i, g := range u.Report.Groups {
		r := groupRow{UsageSum: g.UsageSum}
		switch u.By {
		case "api":
			r.name, r.url = named(g.APIName, g.APIID), u.url("api", g.APIID, "by", "method")
		case "stage":
			r.name, r.note, r.url = g.Stage, named(g.APIName, g.APIID), u.url("api", g.APIID, "stage", g.Stage, "by", "method")
		case "method":
			r.name, r.note, r.url = strings.TrimSpace(g.Verb+" "+g.Path), g.APIName, u.url("api", g.APIID, "verb", g.Verb, "path", g.Path, "by", "key")
		case "key":
			r.name, r.note, r.url = named(g.KeyName, g.KeyID), g.KeyID, u.url("key", g.KeyID, "by", "method")
		case "status":
			r.name, r.note, r.url = strconv.Itoa(g.Status), statusText(g.Status), u.url("status", strconv.Itoa(g.Status), "by", "method")
		case "app":
			r.name, r.note, r.url = named(g.AppName, g.AppID), g.Developer, u.url("app", g.AppID, "by", "key")
			if u.Own {
				r.note = ""
			}
		case "developer":
			r.name, r.url = named(g.Developer, g.DeveloperID), u.url("developer", g.DeveloperID, "by", "app")
		}
		if r.name == "" || strings.HasPrefix(r.name, "#") {
			r.url = ""
		}
		if r.name == "" {
			r.name = map[string]string{"api": "No API was reached", "stage": "No stage was reached", "method": "No method matched", "key": "Without a key",
				"app": "Not from an app", "developer": "Not from a developer"}[u.By]
		}
		out[i] = r
	}
	return out
}

func (u *Usage) groupWord() string {
	for _, t := range u.tabs() {
		if t[0] == u.By {
			return t[1]
		}
	}
	return ""
}

// statusText says what a status means where that is not plain.
func statusText(n int) string {
	return map[int]string{200: "OK", 201: "Created", 204: "No content", 301: "Moved", 302: "Found", 304: "Not modified", 400: "Bad request", 401: "Not authorized",
		403: "Forbidden: no or wrong key, or no such method", 404: "Not found", 405: "Method not allowed", 409: "Conflict", 413: "Too large", 415: "Wrong type", 422: "Cannot be done",
		429: "Over a rate or a quota", 500: "Internal error", 502: "The upstream gave no proper answer", 503: "Not available", 504: "The upstream took too long"}[n]
}

// percent writes a share: "12.5 %".
func percent(n, of int64) string {
	if of == 0 {
		return "0 %"
	}
	p := float64(n) / float64(of) * 100
	if n > 0 && p < 0.1 {
		return "under 0.1 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}
