package web

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

// maxKeyFile bounds a file of keys that is uploaded: a good hundred thousand.
const maxKeyFile = 16 << 20

func (s *Server) keyRoutes() []route {
	return []route{
		{method: "GET", pattern: "/keys", who: mayRead, handle: (*visit).keys},
		{method: "GET", pattern: "/keys/new", who: maySell, handle: (*visit).newKey},
		{method: "POST", pattern: "/keys/new", who: maySell, handle: (*visit).createKey},
		{method: "GET", pattern: "/keys/import", who: maySell, handle: (*visit).newKeyFile},
		{method: "POST", pattern: "/keys/import", who: maySell, handle: (*visit).importKeys, form: maxKeyFile + 1<<16},
		{method: "GET", pattern: "/keys/{key}", who: mayRead, handle: (*visit).key},
		{method: "POST", pattern: "/keys/{key}/enable", who: maySell, handle: (*visit).enableKey},
		{method: "POST", pattern: "/keys/{key}/disable", who: maySell, handle: (*visit).disableKey},
		{method: "POST", pattern: "/keys/{key}/plan", who: maySell, handle: (*visit).keyPlan},
		{method: "GET", pattern: "/keys/{key}/delete", who: maySell, handle: (*visit).confirmDeleteKey},
		{method: "POST", pattern: "/keys/{key}/delete", who: maySell, handle: (*visit).deleteKey},
	}
}

var keyCrumbs = []ui.Crumb{{Label: "Keys", URL: "/keys"}}

func keyURL(id string) string { return "/keys/" + url.PathEscape(id) }

// keyName is what a key is called; a name is not needed.
func keyName(k control.Key) string {
	if k.Name != "" {
		return k.Name
	}
	return "Key …" + k.Last4
}

// keyFilter is what a list of keys is narrowed to.
type keyFilter struct{ Q, Plan, State string }

func (v *visit) keys() error {
	f := keyFilter{v.query("q"), v.query("plan"), v.query("state")}
	plans, err := v.allPlans()
	if err != nil {
		return err
	}
	l, err := v.Plane.Keys(v.ctx(), v.actor(), control.KeyFilter{Page: control.Page{After: v.query("after"), Match: f.Q}, PlanID: f.Plan, State: f.State})
	if err != nil {
		return err
	}
	return v.render(keysPage(v.page("Keys"), l, f, planOptions(plans, "All plans"), v.next(l.Next), v.may(control.ToSell)))
}

// allPlans are the plans to choose from.
func (v *visit) allPlans() ([]control.Plan, error) {
	l, err := v.Plane.Plans(v.ctx(), v.actor(), control.Page{Limit: 1000})
	return l.Items, err
}

func planOptions(plans []control.Plan, none string) []ui.Option {
	var out []ui.Option
	if none != "" {
		out = append(out, ui.Option{Label: none})
	}
	for _, p := range plans {
		out = append(out, ui.Option{Value: p.ID, Label: p.Name})
	}
	return out
}

// keyForm is a key to be made, as typed.
type keyForm struct {
	Name, Value, Plan, Use string
	Disabled               bool
	Plans                  []ui.Option
	Problems               []ui.Problem
}

func (f keyForm) at(name string) string {
	for _, p := range f.Problems {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

func (v *visit) newKey() error {
	plans, err := v.allPlans()
	if err != nil {
		return err
	}
	f := keyForm{Use: "live", Plan: v.query("plan"), Plans: planOptions(plans, "No plan yet")}
	if f.Plan == "" && len(plans) == 1 {
		f.Plan = plans[0].ID
	}
	return v.render(keyEditor(v.keyPage("Create a key"), f))
}

func (v *visit) keyPage(title string) ui.Page {
	p := v.page(title)
	p.Crumbs = keyCrumbs
	return p
}

// createKey answers with the page that shows the value: it is in no other place,
// so there is nothing to redirect to.
func (v *visit) createKey() error {
	plans, err := v.allPlans()
	if err != nil {
		return err
	}
	f := keyForm{Name: v.value("name"), Value: v.value("value"), Plan: v.value("plan"), Use: v.value("use"), Disabled: v.checked("disabled"),
		Plans: planOptions(plans, "No plan yet")}
	n := control.NewKey{Name: f.Name, Value: f.Value, Enabled: !f.Disabled, Test: f.Use == "test"}
	if f.Plan != "" {
		n.PlanIDs = []string{f.Plan}
	}
	if f.Name == "" {
		f.Problems = append(f.Problems, ui.Problem{Name: "name", Text: "A key needs a name, so that you know it again"})
	}
	if f.Value != "" {
		if err := model.CheckKeyValue(f.Value); err != nil {
			f.Problems = append(f.Problems, ui.Problem{Name: "value", Text: sentence(model.MessageOf(err))})
		}
	}
	if len(f.Problems) == 0 {
		k, err := v.Plane.CreateKey(v.ctx(), v.actor(), n)
		if err == nil {
			err = v.inEffect(k.Revision)
		}
		if err == nil {
			return v.keyMade(k)
		}
		if !invalid(err) && model.KindOf(err) != model.NotFound {
			return err
		}
		f.Problems = append(f.Problems, ui.Problem{Text: sentence(model.MessageOf(err))})
	}
	return v.renderAs(422, keyEditor(v.keyPage("Create a key"), f))
}

func (v *visit) keyMade(k control.CreatedKey) error {
	d, err := v.Plane.KeyDetail(v.ctx(), v.actor(), k.ID)
	if err != nil {
		return err
	}
	sample := ""
	for _, u := range d.Uses {
		if len(u.Opens) > 0 && sample == "" {
			sample = fmt.Sprintf("curl -H 'x-api-key: %s' %s", k.Value, v.callURL(u.Opens[0]))
		}
	}
	return v.render(keyMadePage(v.keyPage(keyName(k.Key)+" is made"), k, sample))
}

// callURL is where a stage is called, in the form that every client resolves.
func (v *visit) callURL(s control.StageName) string {
	base := "http://localhost:8081"
	if at := v.gateway(); at != nil {
		base = at.String()
	}
	return fmt.Sprintf("%s/_aws/execute-api/%s/%s/", base, s.APIID, url.PathEscape(s.Stage))
}

func (v *visit) key() error {
	d, err := v.Plane.KeyDetail(v.ctx(), v.actor(), v.path("key"))
	if err != nil {
		return err
	}
	day, err := v.lastDay(intake.Query{KeyID: d.ID})
	if err != nil {
		return err
	}
	var plans []control.Plan
	if sell := v.may(control.ToSell); sell && d.Holder == nil {
		if plans, err = v.allPlans(); err != nil {
			return err
		}
	}
	return v.render(keyDetailPage(v.keyPage(keyName(d.Key)), d, day, keyReasons(d, day, v.Now()), plans, v.may(control.ToSell), v.Now()))
}

// reason is why calls with a key are refused, or may be.
type reason struct{ Kind, Text string }

// keyReasons says what stands in the way of calls with a key, the surest first.
func keyReasons(d control.KeyDetail, day called, now time.Time) []reason {
	var out []reason
	add := func(kind, format string, a ...any) { out = append(out, reason{kind, fmt.Sprintf(format, a...)}) }
	if !d.Enabled {
		add("danger", "The key is disabled: every call with it is answered 403. Enable it to let it in.")
	}
	if d.Holder != nil && d.Holder.Disabled {
		add("danger", "Its developer %s is disabled: every call with it is answered 403. Enable the developer to let the key in.", d.Holder.Developer)
	}
	if len(d.Uses) == 0 {
		add("danger", "The key has no plan: it opens nothing, and every call with it is answered 403. Put it into a plan.")
	}
	for _, u := range d.Uses {
		if len(u.Opens) == 0 {
			add("danger", "Its plan %s opens no stage: every call with it is answered 403. Add stages to the plan.", u.Plan)
		}
		if u.Quota != nil && u.Quota.Limit == 0 {
			add("danger", "The quota of plan %s is 0: every call is answered 429. Raise it.", u.Plan)
		} else if u.Quota != nil && u.Given >= u.Quota.Limit {
			add("warn", "All %s of plan %s are given out to nodes; once these are used, calls are answered 429 until %s. Raise the quota, or wait.",
				ui.QuotaText(u.Quota), u.Plan, ui.Stamp(u.WindowEnd))
		}
		if u.Throttle != nil && u.Throttle.Rate == 0 {
			add("warn", "The rate of plan %s is 0: nothing refills once %s are made, and calls are answered 429.", u.Plan, ui.Plural(u.Throttle.Burst, "call", "calls"))
		}
	}
	if n := day.of(403); n > 0 && d.Enabled && len(d.Uses) > 0 {
		add("info", "%s answered 403 in the last 24 hours: for a stage that its plans do not open, while it was disabled, or by your upstream.", ui.Plural(n, "call was", "calls were"))
	}
	if n := day.of(429); n > 0 {
		add("info", "%s answered 429 in the last 24 hours: faster than the rate, or beyond the quota.", ui.Plural(n, "call was", "calls were"))
	}
	return out
}

func (v *visit) enableKey() error {
	err := v.Plane.SetKeyEnabled(v.ctx(), v.actor(), v.path("key"), true)
	return v.outcome(err, "The key is enabled; nodes let it in within a second.", keyURL(v.path("key")))
}

func (v *visit) disableKey() error {
	err := v.Plane.SetKeyEnabled(v.ctx(), v.actor(), v.path("key"), false)
	return v.outcome(err, "The key is disabled; nodes refuse it within a second. Enable it to undo that.", keyURL(v.path("key")))
}

// keyPlan puts a key into a plan, moves it to another or takes it out: "from" is
// the plan it leaves, "to" the one it joins.
func (v *visit) keyPlan() error {
	id, from, to := v.path("key"), v.value("from"), v.value("to")
	var err error
	message := ""
	switch {
	case from == "" && to == "":
		err = model.Errorf(model.Invalid, "choose a plan")
	case from == "":
		_, err = v.Plane.Subscribe(v.ctx(), v.actor(), id, to)
		message = "The key is in the plan; nodes know it within a second."
	case to == "":
		err = v.Plane.Unsubscribe(v.ctx(), v.actor(), id, from)
		message = "The key has left the plan: it no longer opens the plan's stages."
	default:
		_, err = v.Plane.MoveKey(v.ctx(), v.actor(), id, from, to)
		message = "The key is in the other plan. Its quota starts unused there; no call fell between the two."
	}
	return v.outcome(err, message, keyURL(id))
}

func (v *visit) confirmDeleteKey() error { return v.renderDeleteKey(200, "") }

func (v *visit) renderDeleteKey(status int, problem string) error {
	d, err := v.Plane.KeyDetail(v.ctx(), v.actor(), v.path("key"))
	if err != nil {
		return err
	}
	day, err := v.lastDay(intake.Query{KeyID: d.ID})
	if err != nil {
		return err
	}
	p := v.page("Delete " + keyName(d.Key))
	p.Crumbs = []ui.Crumb{keyCrumbs[0], {Label: keyName(d.Key), URL: keyURL(d.ID)}}
	return v.renderAs(status, deleteKeyPage(p, d, day, problem))
}

// deleteKey asks for the end of the key's value: what is deleted cannot be had back.
func (v *visit) deleteKey() error {
	k, err := v.Plane.Key(v.ctx(), v.actor(), v.path("key"))
	if err != nil {
		return err
	}
	if v.value("confirm") != k.Last4 {
		return v.renderDeleteKey(422, "These are not the last four characters of the key")
	}
	if err := v.Plane.DeleteKey(v.ctx(), v.actor(), k.ID); err != nil {
		return v.outcome(err, "", keyURL(k.ID))
	}
	return v.done(keyName(k)+" is deleted; nodes refuse it within a second.", "/keys")
}

// keyFileForm is a file of keys to be imported.
type keyFileForm struct {
	Text, Plan string
	Plans      []ui.Option
	Problems   []ui.Problem
}

func (v *visit) newKeyFile() error {
	plans, err := v.allPlans()
	if err != nil {
		return err
	}
	return v.render(keyFileEditor(v.keyPage("Import keys"), keyFileForm{Plan: v.query("plan"), Plans: planOptions(plans, "The one the file names, or none")}))
}

func (v *visit) importKeys() error {
	plans, err := v.allPlans()
	if err != nil {
		return err
	}
	f := keyFileForm{Text: v.raw("text"), Plan: v.value("plan"), Plans: planOptions(plans, "The one the file names, or none")}
	count, ignored, err := v.importKeyFile(f)
	if err == nil {
		message := ui.Plural(count, "key is", "keys are") + " imported; nodes know them within a second."
		if len(ignored) > 0 {
			message += " Not kept: " + strings.Join(ignored, ", ") + "."
		}
		return v.done(message, "/keys")
	}
	if !invalid(err) && model.KindOf(err) != model.NotFound {
		return err
	}
	f.Problems = []ui.Problem{{Text: sentence(model.MessageOf(err))}}
	if len(f.Text) > 1<<20 { // a browser would not thank for it
		f.Text = ""
	}
	return v.renderAs(422, keyFileEditor(v.keyPage("Import keys"), f))
}

func (v *visit) importKeyFile(f keyFileForm) (count int, ignored []string, err error) {
	content := []byte(f.Text)
	if file, _, err := v.r.FormFile("file"); err == nil {
		defer file.Close()
		b, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
		if err != nil {
			return 0, nil, err
		}
		if len(b) > maxKeyFile {
			return 0, nil, model.Errorf(model.Limit, "the file is larger than %s; import it in parts, or with: tollgate key import FILE", ui.Bytes(maxKeyFile))
		}
		if len(b) > 0 {
			content = b
		}
	}
	if len(strings.TrimSpace(string(content))) == 0 {
		return 0, nil, model.Errorf(model.Invalid, "choose a file, or paste its lines")
	}
	keys, ignored, err := control.ParseKeys(content)
	if err != nil {
		return 0, nil, err
	}
	plan, err := control.CommonPlan(keys, f.Plan != "")
	if err != nil {
		return 0, nil, err
	}
	if f.Plan != "" {
		plan = f.Plan
	}
	count, err = v.Plane.ImportKeys(v.ctx(), v.actor(), plan, keys)
	return count, ignored, err
}

// joinable are the plans that a key is not in.
func joinable(d control.KeyDetail, plans []control.Plan) []ui.Option {
	in := map[string]bool{}
	for _, u := range d.Uses {
		in[u.PlanID] = true
	}
	var out []control.Plan
	for _, p := range plans {
		if !in[p.ID] {
			out = append(out, p)
		}
	}
	return planOptions(out, "")
}
