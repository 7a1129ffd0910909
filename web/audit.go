package web

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) auditRoutes() []route {
	return []route{
		{method: "GET", pattern: "/audit", who: mayAudit, handle: (*visit).auditPage},
		{method: "GET", pattern: "/audit.csv", who: mayAudit, handle: (*visit).auditCSV},
	}
}

// audits are the visitor's to read: the account's, or what operators did.
func (v *visit) audits(f control.AuditFilter) (control.List[control.AuditEntry], error) {
	if v.realm == control.RealmOperator {
		return v.Plane.OperatorAudit(v.ctx(), v.actor(), f)
	}
	return v.Plane.Audit(v.ctx(), v.actor(), f)
}

// auditFilter is what the URL asks for.
func (v *visit) auditFilter() (control.AuditFilter, error) {
	f := control.AuditFilter{Action: v.query("action"), Actor: v.query("actor"), Target: v.query("target"), After: v.query("after")}
	for _, d := range []struct {
		name string
		into *time.Time
		days int
	}{{"from", &f.From, 0}, {"to", &f.To, 1}} {
		text := v.query(d.name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return f, model.Errorf(model.Invalid, "%.40q is not a day such as 2026-03-31", text)
		}
		*d.into = t.AddDate(0, 0, d.days)
	}
	return f, nil
}

func (v *visit) auditPage() error {
	q := v.r.URL.Query()
	q.Del("after")
	a := auditLog{URL: v.r.URL.Path, kinds: auditKinds[v.realm], target: auditTargets[v.realm], query: q}
	f, err := v.auditFilter()
	if err == nil {
		a.List, err = v.audits(f)
	}
	if invalid(err) {
		a.Problems = []ui.Problem{{Text: sentence(model.MessageOf(err))}}
		return v.renderAs(422, auditView(v.page("Audit log"), a, v.Now()))
	}
	if err != nil {
		return err
	}
	a.Next = v.next(a.List.Next)
	return v.render(auditView(v.page("Audit log"), a, v.Now()))
}

// auditLog is a page of entries, and what it is narrowed to.
type auditLog struct {
	URL      string // of the page; its CSV is beside it
	List     control.List[control.AuditEntry]
	Next     string
	Problems []ui.Problem
	kinds    []ui.Option
	target   func(control.AuditEntry) string // the page of what an entry is about
	query    url.Values
}

func (a auditLog) get(name string) string { return a.query.Get(name) }

func (a auditLog) csv() string {
	if len(a.query) == 0 {
		return a.URL + ".csv"
	}
	return a.URL + ".csv?" + a.query.Encode()
}

// clear is the whole log, where it is narrowed.
func (a auditLog) clear() string {
	for _, name := range []string{"actor", "action", "target", "from", "to"} {
		if a.get(name) != "" {
			return a.URL
		}
	}
	return ""
}

// auditKinds are what a realm's log can be narrowed to: how actions begin.
var auditKinds = map[string][]ui.Option{
	control.RealmConsole: {{Value: "", Label: "Everything"}, {Value: "api.", Label: "APIs"}, {Value: "stage.", Label: "Stages"}, {Value: "domain.", Label: "Domains"}, {Value: "plan.", Label: "Plans"}, {Value: "key.", Label: "Keys"},
		{Value: "portal.", Label: "Portal"}, {Value: "developer.", Label: "Developers"}, {Value: "app.", Label: "Apps"}, {Value: "subscription.", Label: "Subscriptions"},
		{Value: "invoice.", Label: "Invoices"}, {Value: "billing.", Label: "Billing"}, {Value: "member.", Label: "Members"}, {Value: "person.", Label: "Passwords"},
		{Value: "access-key.", Label: "Access keys"}, {Value: "account.", Label: "Account"}, {Value: "tenant.", Label: "Account, by the operator"}},
	control.RealmOperator: {{Value: "", Label: "Everything"}, {Value: "tenant.", Label: "Tenants"}, {Value: "gateway.", Label: "Gateways"}, {Value: "node.", Label: "Nodes"},
		{Value: "journal.", Label: "Journals"}, {Value: "prices.", Label: "Prices"}, {Value: "billing.", Label: "Billing"}, {Value: "invoice.", Label: "Invoices"},
		{Value: "installation.", Label: "Installation"}, {Value: "operator.", Label: "Operators"}},
}

// choices are the kinds, with what the URL asks for if it is another.
func (a auditLog) choices() []ui.Option {
	if now := a.get("action"); now != "" && !slices.ContainsFunc(a.kinds, func(o ui.Option) bool { return o.Value == now }) {
		return append(slices.Clone(a.kinds), ui.Option{Value: now, Label: now})
	}
	return a.kinds
}

// auditTargets are the pages of what entries are about, by who may open them.
var auditTargets = map[string]func(control.AuditEntry) string{control.RealmConsole: targetURL, control.RealmOperator: operatorTargetURL}

// targetURL is the page of what an entry is about, where it has one.
func targetURL(e control.AuditEntry) string {
	kind, _, _ := strings.Cut(e.Action, ".")
	switch id := url.PathEscape(e.Target); {
	case e.Name == "" || strings.HasSuffix(e.Action, ".delete") && kind != "stage":
		return ""
	case kind == "api" || kind == "stage" || strings.HasSuffix(e.Action, "publish-api"):
		return "/apis/" + id
	case kind == "plan" || e.Action == "key.import":
		return "/plans/" + id
	case kind == "key":
		return "/keys/" + id
	case kind == "developer":
		return "/developers/" + id
	}
	return ""
}

// auditCSV is all of it, a page after the other.
func (v *visit) auditCSV() error {
	f, err := v.auditFilter()
	if err != nil {
		return err
	}
	f.Limit = 1000
	l, err := v.audits(f)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="audit.csv"`)
	w := csv.NewWriter(v.w)
	_ = w.Write([]string{"at", "actor", "role", "source", "action", "target", "name", "detail"})
	for {
		for _, e := range l.Items {
			_ = w.Write([]string{e.At.UTC().Format(time.RFC3339Nano), cell(e.Actor), string(e.Role), e.Source, e.Action, cell(e.Target), cell(e.Name), cell(string(e.Detail))})
		}
		w.Flush()
		if f.After = l.Next; f.After == "" || w.Error() != nil {
			return nil
		}
		if l, err = v.audits(f); err != nil {
			// The answer has begun: cut it, so that nobody takes it for all there is.
			v.Log.Error("the audit log could not be read to its end", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// details are an entry's, one a line.
func details(raw json.RawMessage) []string {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b, err := json.Marshal(m[k])
		if err != nil {
			continue
		}
		text := strings.Trim(string(b), `"`)
		if len(text) > 300 {
			text = strings.ToValidUTF8(text[:300], "") + "…"
		}
		out = append(out, k+": "+text)
	}
	return out
}
