package web

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) callRoutes() []route {
	return []route{
		{method: "GET", pattern: "/calls", who: mayRead, handle: (*visit).calls},
		{method: "GET", pattern: "/calls/{request}", who: mayRead, handle: (*visit).oneCall},
	}
}

// callLog is a page of calls, and what it is narrowed to.
type callLog struct {
	control.CallList
	Filter   control.CallFilter
	Since    string // of the filter, as it was chosen
	Hour     string // the one that is shown, as the URL says it; empty: all
	Next     string
	Live     string // the URL of the list alone, where it follows; empty: it stands still
	Toggle   string // the URL of the page that follows, or that stands still
	APIs     []ui.Option
	Stages   []string
	Problems []ui.Problem
}

// followed is how often a list that follows is read anew.
const followed = "every 3s"

var sinceChoices = []ui.Option{{Value: "15m", Label: "15 minutes"}, {Value: "1h", Label: "1 hour"}, {Value: "24h", Label: "24 hours"}, {Value: "", Label: "All that is kept"}}

var statusChoices = []ui.Option{{Value: "", Label: "Any"}, {Value: "error", Label: "Errors (4xx, 5xx)"}, {Value: "2xx", Label: "2xx"}, {Value: "3xx", Label: "3xx"}, {Value: "4xx", Label: "4xx"}, {Value: "5xx", Label: "5xx"}}

func (l callLog) narrowed() bool {
	f := l.Filter
	return cmp.Or(f.APIID, f.Stage, f.Status, f.Kind, f.KeyID, f.Text, f.Verb, l.Since, l.Hour) != "" || f.Subscription != 0
}

func (l callLog) clear() string {
	if l.narrowed() {
		return "/calls"
	}
	return ""
}

// statuses are the choices, with what the URL asks for if it is another.
func (l callLog) statuses() []ui.Option {
	for _, o := range statusChoices {
		if o.Value == l.Filter.Status {
			return statusChoices
		}
	}
	return append(statusChoices[:len(statusChoices):len(statusChoices)], ui.Option{Value: l.Filter.Status, Label: l.Filter.Status})
}

// calls is the log. A whole request id in the search field leads to its call.
func (v *visit) calls() error {
	text := v.query("q")
	if id := strings.ToLower(text); len(id) == 36 && strings.Count(id, "-") == 4 {
		return v.redirect("/calls/" + url.PathEscape(id))
	}
	q := v.r.URL.Query()
	q.Del("after")
	l := callLog{Since: v.query("since"), Filter: control.CallFilter{APIID: v.query("api"), Stage: v.query("stage"), Status: v.query("status"), Kind: v.query("kind"), KeyID: v.query("key"),
		Verb: v.query("verb"), Text: text, After: v.query("after"), Limit: 50}}
	live := v.query("live") == "1" && l.Filter.After == ""
	err := l.ofInvoice(v.query("hour"), v.query("subscription"))
	if err == nil && l.Since != "" {
		var d time.Duration
		if d, err = time.ParseDuration(l.Since); err != nil || d <= 0 {
			err = model.Errorf(model.Invalid, "%.20q is not a time such as 15m or 24h", l.Since)
		} else {
			if from := v.Now().Add(-d); from.After(l.Filter.From) {
				l.Filter.From = from
			}
		}
	}
	if err == nil {
		l.CallList, err = v.Plane.Calls(v.ctx(), v.actor(), l.Filter)
	}
	status := 200
	if invalid(err) || model.KindOf(err) == model.Limit {
		l.Problems, status = []ui.Problem{{Text: sentence(model.MessageOf(err))}}, 422
	} else if err != nil {
		return err
	}
	if live {
		q.Set("live", "1")
		l.Live = "/calls?" + q.Encode()
		q.Del("live")
	} else {
		q.Set("live", "1")
	}
	if l.Toggle = "/calls"; len(q) > 0 {
		l.Toggle += "?" + q.Encode()
	}
	l.Next = v.next(l.CallList.Next)
	if v.r.Header.Get("HX-Request") == "true" {
		return v.renderAs(status, callRows(l, v.Now()))
	}
	if err := v.callChoices(&l); err != nil {
		return err
	}
	return v.renderAs(status, callsView(v.page("Calls"), l, v.Now()))
}

// ofInvoice narrows the log to what an invoice's line is of: an hour, and a subscription.
func (l *callLog) ofInvoice(hour, subscription string) error {
	if hour != "" {
		at, err := time.Parse(time.RFC3339, hour)
		if err != nil {
			return model.Errorf(model.Invalid, "%.40q is not an hour such as 2026-03-01T14:00:00Z", hour)
		}
		l.Hour, l.Filter.From, l.Filter.To = hour, at, at.Add(time.Hour)
	}
	if subscription != "" {
		n, err := strconv.ParseInt(subscription, 10, 64)
		if err != nil || n <= 0 {
			return model.Errorf(model.Invalid, "%.40q is not a subscription's number", subscription)
		}
		l.Filter.Subscription = n
	}
	return nil
}

// about says what is shown.
func (l *callLog) about() string {
	of := "Calls"
	if l.Filter.Subscription != 0 {
		of += " of one subscription"
	}
	if l.Hour != "" {
		of += " in the hour from " + ui.Stamp(l.Filter.From)
	}
	if of == "Calls" {
		return "What was asked, what was answered, and why."
	}
	return of + ". Invoices count all of them; the log leaves out what comes too fast, and has refused ones, which cost nothing."
}

// callChoices are the APIs and the stages that the log can be narrowed to.
func (v *visit) callChoices(l *callLog) error {
	all, err := v.Plane.Stages(v.ctx(), v.actor(), "")
	if err != nil {
		return err
	}
	names, err := v.Plane.APIs(v.ctx(), v.actor(), control.Page{Limit: 1000})
	if err != nil {
		return err
	}
	l.APIs = []ui.Option{{Label: "All"}}
	for _, a := range names.Items {
		l.APIs = append(l.APIs, ui.Option{Value: a.ID, Label: a.Name})
	}
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s.Name] && (l.Filter.APIID == "" || s.APIID == l.Filter.APIID) {
			seen[s.Name] = true
			l.Stages = append(l.Stages, s.Name)
		}
	}
	return nil
}

// oneCall is the page of one.
func (v *visit) oneCall() error {
	c, err := v.Plane.Call(v.ctx(), v.actor(), v.path("request"))
	if err != nil {
		return err
	}
	p := v.page("What happened to this call")
	p.Crumbs = []ui.Crumb{{Label: "Calls", URL: "/calls"}}
	return v.render(callView(p, c, v.Now()))
}

// readable is a trace with its lines' times alone: the day is said beside it.
func readable(trace string) string {
	var b strings.Builder
	for line := range strings.Lines(trace) {
		const layout = "Mon Jan 02 15:04:05 UTC 2006"
		if at, text, ok := strings.Cut(line, " : "); ok {
			if t, err := time.Parse(layout, at); err == nil {
				line = t.Format(time.TimeOnly) + "  " + text
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

func callURL(id string) string { return "/calls/" + url.PathEscape(id) }

// callsOf is the log of a stage.
func callsOf(api, stage string) string {
	return "/calls?" + url.Values{"api": {api}, "stage": {stage}}.Encode()
}

// advice is what a call's end means, in plain words, and what can be done about it.
type advice struct {
	What  string
	Do    string
	Label string // of the page where it can be done; empty: there is none
	URL   string
}

// adviceFor says why a call ended as it did.
func adviceFor(c *control.Call) advice {
	stage := "/apis/" + url.PathEscape(c.APIID) + "/stages/" + url.PathEscape(c.Stage)
	api := "/apis/" + url.PathEscape(c.APIID) + "/routes"
	a := advice{What: sentence(c.Why)}
	set := func(do, label, to string) { a.Do, a.Label, a.URL = do, label, to }
	method, at := "Routes of "+c.API, api // the method that was matched, if one was
	if c.Resource != "" && c.Method != "" {
		method, at = c.Method+" "+c.Resource, methodURL(c.APIID, c.Resource, c.Method)
	}
	switch c.Kind {
	case "":
		a.What = "The integration answered, and its answer was passed on."
		switch {
		case c.Integration == nil:
			a.What = "The method's own answer was given; no back end was asked."
		case c.Status >= 500:
			a.What = "The back end itself answered " + strconv.Itoa(c.Status) + ": the gateway passed that on."
			set("Look into the logs of the back end at this time.", "", "")
		case c.Status >= 400:
			a.What = "The back end itself refused the call with " + strconv.Itoa(c.Status) + ": the gateway passed that on."
		}
	case "MISSING_AUTHENTICATION_TOKEN":
		a.What = "The deployment that stage " + c.Stage + " serves has no method " + c.Verb + " for this path."
		set("Compare the path with the API's routes; a route that was made since needs a deployment.", "Routes of "+c.API, api)
	case "INVALID_API_KEY":
		switch {
		case c.Key != "" && strings.Contains(c.Why, "no usage plan"):
			set("Put the stage into one of the key's plans, or the key into a plan that has the stage.", "Key "+cmp.Or(c.KeyName, c.Key), keyURL(c.Key))
		case c.Key != "":
			set("Enable the key, if its holder may call again.", "Key "+cmp.Or(c.KeyName, c.Key), keyURL(c.Key))
		default:
			set("The caller sends its key in the header x-api-key. A value finds its key on the page of keys.", "Keys", "/keys")
		}
	case "QUOTA_EXCEEDED":
		set("Raise the quota, extend this key's, or wait for the next period.", "Plan "+cmp.Or(c.Plan, "of the key"), planOr(c.PlanID))
	case "SPEND_LIMIT_REACHED":
		a.What = "The call was refused: " + c.Why + "."
		set("Raise the cap of the developer's subscription, or the plan's; a prepaid balance is topped up by the developer.", "Plan "+cmp.Or(c.Plan, "of the key"), planOr(c.PlanID))
	case "THROTTLED":
		switch {
		case strings.Contains(c.Why, "usage plan"):
			set("Raise the plan's throttle, or ask the caller to spread its calls.", "Plan "+cmp.Or(c.Plan, "of the key"), planOr(c.PlanID))
		case strings.Contains(c.Why, "stage"):
			set("Raise the stage's throttle, if its back end can take more.", "Stage "+c.Stage, stage)
		case strings.Contains(c.Why, "account"):
			a.What = "The call was over " + c.Why + "."
			set("The caps of an account are its operator's: ask for higher ones.", "", "")
		}
		if !strings.HasPrefix(a.What, "The call was over") {
			a.What = "The call was over " + c.Why + "."
		}
	case "BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS":
		set("The request does not fit what the method asks for: its parameters and its body's model.", method, at)
	case "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "API_CONFIGURATION_ERROR":
		set("Look at the method's integration: its address, its timeout, its mappings; and whether the back end is up.", method, at)
	case "UNAUTHORIZED", "ACCESS_DENIED", "INVALID_SIGNATURE", "EXPIRED_TOKEN", "AUTHORIZER_FAILURE", "AUTHORIZER_CONFIGURATION_ERROR":
		set("Authorization did not let the caller in: look at the method's authorizer, and at the API's policy.", method, at)
	case "REQUEST_TOO_LARGE":
		set("The operator can raise the limit with TOLLGATE_MAX_BODY.", "", "")
	case "UNAVAILABLE":
		set("The call cost nothing and can be made again. If it goes on, ask the operator.", "", "")
	}
	return a
}

func planOr(id string) string {
	if id == "" {
		return "/plans"
	}
	return planURL(id)
}

func statusText(c control.Call) string {
	if c.Aborted {
		return strconv.Itoa(c.Status) + ", broken off"
	}
	return strconv.Itoa(c.Status)
}
