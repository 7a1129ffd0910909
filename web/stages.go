package web

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"time"
	"tollgate/billing/intake"
	"tollgate/control"
	"tollgate/control/openapi"
	"tollgate/control/sdk"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) stageRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/{api}/stages", who: mayRead, handle: (*visit).stages},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}", who: mayRead, handle: (*visit).stage},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}", who: mayBuild, handle: (*visit).saveStage},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/sdk/{language}", who: mayRead, handle: (*visit).stageClient},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/export", who: mayRead, handle: (*visit).exportStage},
		{method: "GET", pattern: "/apis/{api}/stages/{stage}/delete", who: mayBuild, handle: (*visit).confirmDeleteStage},
		{method: "POST", pattern: "/apis/{api}/stages/{stage}/delete", who: mayBuild, handle: (*visit).deleteStage},
		{method: "GET", pattern: "/apis/{api}/deploy", who: mayBuild, handle: (*visit).deployPage},
		{method: "POST", pattern: "/apis/{api}/deploy", who: mayBuild, handle: (*visit).deploy},
		{method: "GET", pattern: "/apis/{api}/deployments", who: mayRead, handle: (*visit).deployments},
		{method: "GET", pattern: "/apis/{api}/compare", who: mayRead, handle: (*visit).compare},
		{method: "GET", pattern: "/apis/{api}/rollback", who: mayBuild, handle: (*visit).confirmRollback},
		{method: "POST", pattern: "/apis/{api}/rollback", who: mayBuild, handle: (*visit).rollback},
	}
}

func (v *visit) stages() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	l, err := v.Plane.Stages(v.ctx(), v.actor(), a.ID)
	if err != nil {
		return err
	}
	return v.render(stagesView(v.apiPage(a.API), a.API, l, v.addresses(a.API), v.may(control.ToBuild), v.Now()))
}

// stageForm is a stage's settings as they are edited.
type stageForm struct {
	Rate, Burst string
	Problems    []ui.Problem
}

// oneStage finds the stage that the path names.
func (v *visit) oneStage() (control.APIDetail, control.Stage, error) {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return a, control.Stage{}, err
	}
	l, err := v.Plane.Stages(v.ctx(), v.actor(), a.ID)
	if err != nil {
		return a, control.Stage{}, err
	}
	for _, s := range l {
		if s.Name == v.path("stage") {
			return a, s, nil
		}
	}
	return a, control.Stage{}, model.Errorf(model.NotFound, "API %s has no stage %q", a.ID, v.path("stage"))
}

func (v *visit) stage() error {
	a, s, err := v.oneStage()
	if err != nil {
		return err
	}
	f := stageForm{}
	if s.Throttle != nil {
		f.Rate, f.Burst = strconv.FormatFloat(s.Throttle.Rate, 'f', -1, 64), strconv.Itoa(s.Throttle.Burst)
	}
	return v.stageWith(200, a, s, f)
}

func (v *visit) stageWith(status int, a control.APIDetail, s control.Stage, f stageForm) error {
	return v.renderAs(status, stageView(v.below(a.API, "Stage "+s.Name, "stages"), a.API, s, f, v.invokeURL(a.ID, s.Name), v.pathURL(a.ID, s.Name), v.may(control.ToBuild)))
}

// stageClient is a client library of what the stage serves.
func (v *visit) stageClient() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	l, err := sdk.ByID(v.path("language"))
	if err != nil {
		return model.Errorf(model.NotFound, "%s", model.MessageOf(err))
	}
	got, err := v.Plane.StageClient(v.ctx(), v.actor(), a.ID, v.path("stage"), sdk.Options{Language: l.ID, BaseURL: v.pathURL(a.ID, v.path("stage")), Parameters: l.Defaults(a.Name)})
	if err != nil {
		return err
	}
	body, err := got.Zip(got.DeployedAt)
	if err != nil {
		return err
	}
	return v.send("application/zip", got.Folder+".zip", func(w io.Writer) error { _, err := w.Write(body); return err })
}

// exportStage is what the stage serves as an OpenAPI document.
func (v *visit) exportStage() error {
	kind, format, ok := strings.Cut(v.query("as"), ".")
	if !ok {
		kind, format = "oas30", "json"
	}
	if kind != "oas30" && kind != "swagger" || format != "json" && format != "yaml" {
		return model.Errorf(model.Invalid, "a document is oas30 or swagger, .json or .yaml")
	}
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	at := v.gateway()
	o := openapi.ExportOptions{Swagger: kind == "swagger", YAML: format == "yaml", Host: a.ID + ".execute-api." + at.Host, Scheme: at.Scheme}
	if err := o.Extensions(v.query("extensions")); err != nil {
		return err
	}
	got, err := v.Plane.ExportStage(v.ctx(), v.actor(), a.ID, v.path("stage"), o)
	if err != nil {
		return err
	}
	return v.send("application/"+format, v.path("stage")+"-"+kind+"."+format, func(w io.Writer) error { _, err := w.Write(got.Body); return err })
}

var exportForms = []ui.Option{{Value: "oas30.json", Label: "OpenAPI 3.0, JSON"}, {Value: "oas30.yaml", Label: "OpenAPI 3.0, YAML"},
	{Value: "swagger.json", Label: "Swagger 2.0, JSON"}, {Value: "swagger.yaml", Label: "Swagger 2.0, YAML"}}

var exportExtensions = []ui.Option{{Value: "", Label: "None: for readers and other tools"}, {Value: "integrations", Label: "Back ends"},
	{Value: "authorizers", Label: "Authorizers"}, {Value: "apigateway", Label: "All: an import makes the same API again"}}

func (v *visit) saveStage() error {
	a, s, err := v.oneStage()
	if err != nil {
		return err
	}
	f := stageForm{Rate: v.value("rate"), Burst: v.value("burst")}
	var t *model.Throttle
	if f.Rate != "" || f.Burst != "" {
		t = &model.Throttle{}
		var e1, e2 error
		t.Rate, e1 = strconv.ParseFloat(f.Rate, 64)
		t.Burst, e2 = strconv.Atoi(f.Burst)
		if e1 != nil || e2 != nil {
			f.Problems = []ui.Problem{{Name: "rate", Text: "A throttle has a rate and a burst, both numbers; leave both empty for none"}}
			return v.stageWith(422, a, s, f)
		}
	}
	_, err = v.Plane.SetStageThrottle(v.ctx(), v.actor(), a.ID, s.Name, t)
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "rate", Text: sentence(model.MessageOf(err))}}
		return v.stageWith(serve.Status(err), a, s, f)
	}
	if err != nil {
		return err
	}
	return v.done("Saved. It holds on every node now; no deployment is needed.", apiURL(a.ID, "stages", s.Name))
}

func (v *visit) confirmDeleteStage() error { return v.confirmDeleteStageWith(200, "") }

func (v *visit) confirmDeleteStageWith(status int, problem string) error {
	a, s, err := v.oneStage()
	if err != nil {
		return err
	}
	rows, err := v.Usage.Usage(v.ctx(), v.actor().Tenant, intake.Query{APIID: a.ID, Stage: s.Name, From: v.Now().UTC().Add(-24 * time.Hour)})
	if err != nil {
		return err
	}
	var calls int64
	for _, r := range rows {
		calls += r.Calls
	}
	return v.renderAs(status, deleteStageView(v.below(a.API, "Delete stage "+s.Name, "stages"), a.API, s, calls, problem))
}

func (v *visit) deleteStage() error {
	a, s, err := v.oneStage()
	if err != nil {
		return err
	}
	if v.value("confirm") != s.Name {
		return v.confirmDeleteStageWith(422, "That is not its name")
	}
	return v.outcome(v.Plane.DeleteStage(v.ctx(), v.actor(), a.ID, s.Name), "Stage "+s.Name+" is deleted.", apiURL(a.ID, "stages"))
}

// deployForm is a deployment that is about to be made.
type deployForm struct {
	Stage, Note string
	Problems    []ui.Problem
}

func (v *visit) deployPage() error {
	return v.deployWith(200, deployForm{Stage: v.query("stage")})
}

func (v *visit) deployWith(status int, f deployForm) error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	if f.Stage == "" && len(a.Stages) > 0 {
		f.Stage = a.Stages[0].Name
	}
	from := "none"
	for _, s := range a.Stages {
		if s.Name == f.Stage {
			from = s.DeploymentID
		}
	}
	c, err := v.Plane.Compare(v.ctx(), v.actor(), a.ID, from, "")
	if err != nil {
		return err
	}
	if f.Stage == "" {
		f.Stage = "dev"
	}
	missing, err := v.Plane.MissingCredentials(v.ctx(), v.actor(), &a.Definition)
	if err != nil {
		return err
	}
	stops, doubts := v.Plane.Undeployable(v.actor(), a.ID, &a.Definition)
	return v.renderAs(status, deployView(v.below(a.API, "Deploy "+a.Name, ""), a, c, stops, doubts, missing, f))
}

func (v *visit) deploy() error {
	f := deployForm{Stage: v.value("stage"), Note: v.value("note")}
	if len(f.Note) > 1024 {
		f.Problems = []ui.Problem{{Name: "note", Text: "The note has more than 1,024 characters"}}
		return v.deployWith(422, f)
	}
	d, err := v.Plane.Deploy(v.ctx(), v.actor(), control.Deploy{APIID: v.path("api"), Stage: f.Stage, Description: f.Note})
	if invalid(err) {
		f.Problems = []ui.Problem{{Name: "stage", Text: sentence(model.MessageOf(err))}}
		return v.deployWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	v.sayReceipts("Deployed to "+f.Stage, d.Receipts)
	if n := len(d.Warnings); n > 0 {
		v.say("info", "Calls of "+ui.Plural(n, "method or authorizer", "methods and authorizers")+" fail until credentials are stored, see Service credentials: "+d.Warnings[0].Pointer+".")
	}
	return v.redirect(apiURL(v.path("api"), "deployments"))
}

// sayReceipts tells which nodes serve a change, and which do not.
func (v *visit) sayReceipts(what string, rs []model.NodeReceipt) {
	done := 0
	var late []string
	for _, r := range rs {
		if r.Applied && r.Error == "" {
			done++
			continue
		}
		why := r.Error
		if why == "" {
			why = "has not answered yet"
		}
		late = append(late, r.Gateway+"/"+r.Node+" "+why)
	}
	switch {
	case len(rs) == 0:
		v.say("warn", what+". No gateway node is connected: it is served as soon as one is.")
	case len(late) == 0:
		v.say("ok", what+": "+ui.Plural(done, "node answers", "nodes answer")+" with it.")
	default:
		v.say("warn", fmt.Sprintf("%s: %d of %d nodes answer with it; %s.", what, done, len(rs), strings.Join(late, "; ")))
	}
}

func (v *visit) deployments() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	l, err := v.Plane.Deployments(v.ctx(), v.actor(), a.ID, control.Page{After: v.query("after"), Limit: 50})
	if err != nil {
		return err
	}
	return v.render(deploymentsView(v.apiPage(a.API), a.API, l, v.next(l.Next), v.may(control.ToBuild), v.Now()))
}

func (v *visit) compare() error {
	c, err := v.Plane.Compare(v.ctx(), v.actor(), v.path("api"), v.query("from"), v.query("to"))
	if err != nil {
		return err
	}
	return v.render(compareView(v.below(c.API, "Compare", "deployments"), c))
}

func (v *visit) confirmRollback() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	to, stage := v.query("to"), v.query("stage")
	now := ""
	for _, s := range a.Stages {
		if s.Name == stage {
			now = s.DeploymentID
		}
	}
	if now == "" || to == "" {
		return model.Errorf(model.NotFound, "API %s has no stage %q", a.ID, stage)
	}
	c, err := v.Plane.Compare(v.ctx(), v.actor(), a.ID, now, to)
	if err != nil {
		return err
	}
	return v.render(rollbackView(v.below(a.API, "Roll back "+stage, "deployments"), a.API, c, stage))
}

func (v *visit) rollback() error {
	stage := v.value("stage")
	d, err := v.Plane.Rollback(v.ctx(), v.actor(), v.path("api"), stage, v.value("to"))
	if err != nil {
		return v.outcome(err, "", apiURL(v.path("api"), "deployments"))
	}
	v.sayReceipts("Stage "+stage+" is at deployment "+d.Deployment.ID, d.Receipts)
	return v.redirect(apiURL(v.path("api"), "deployments"))
}
