package web

import (
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) portalSettingsRoutes() []route {
	return []route{
		{method: "GET", pattern: "/portal-settings", who: mayRead, handle: (*visit).portalSettings},
		{method: "POST", pattern: "/portal-settings", who: maySell, handle: (*visit).savePortal},
		{method: "POST", pattern: "/portal-settings/publish", who: maySell, handle: (*visit).publishPortal},
		{method: "POST", pattern: "/portal-settings/apis", who: maySell, handle: (*visit).publishAPI},
		{method: "POST", pattern: "/portal-settings/apis/{api}/remove", who: maySell, handle: (*visit).unpublishAPI},
	}
}

// portalForm is the portal's settings, as typed.
type portalForm struct {
	control.PortalSpec
	Problems []ui.Problem
}

func (f *portalForm) at(name string) string {
	for _, p := range f.Problems {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

func (f *portalForm) refused(name string, err error) {
	if err != nil {
		f.Problems = append(f.Problems, ui.Problem{Name: name, Text: sentence(model.MessageOf(err))})
	}
}

func (v *visit) portalSettings() error {
	p, err := v.Plane.Portal(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.renderPortal(200, p, portalForm{PortalSpec: p.PortalSpec})
}

func (v *visit) renderPortal(status int, p control.Portal, f portalForm) error {
	return v.renderAs(status, portalSettingsPage(v.page("Portal"), p, f, v.portalURL(p.Slug), v.may(control.ToSell)))
}

func (v *visit) portalURL(slug string) string {
	if v.PortalURL == nil {
		return "/portal/" + url.PathEscape(slug)
	}
	return v.PortalURL(slug)
}

func (v *visit) savePortal() error {
	f := portalForm{PortalSpec: control.PortalSpec{Slug: strings.ToLower(v.value("slug")), Title: v.value("title"), Tagline: v.value("tagline"),
		Accent: strings.ToLower(v.value("accent")), SupportEmail: v.value("support"), OpenSignUp: v.value("signup") != "closed"}}
	f.refused("slug", control.CheckSlug(f.Slug))
	if f.Title == "" {
		f.Problems = append(f.Problems, ui.Problem{Name: "title", Text: "A portal needs a name"})
	}
	f.refused("accent", control.CheckAccent(f.Accent))
	if len(f.Problems) == 0 {
		_, err := v.Plane.UpsertPortal(v.ctx(), v.actor(), func(s *control.PortalSpec) error {
			f.Published = s.Published // has a button of its own
			*s = f.PortalSpec
			return nil
		})
		if err == nil {
			return v.done("The portal is saved; visitors see it so at once.", "/portal-settings")
		}
		if !invalid(err) {
			return err
		}
		name := ""
		switch {
		case model.KindOf(err) == model.Conflict:
			name = "slug"
		case strings.Contains(model.MessageOf(err), "e-mail"):
			name = "support"
		}
		f.refused(name, err)
	}
	p, err := v.Plane.Portal(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.renderPortal(422, p, f)
}

func (v *visit) publishPortal() error {
	on := v.value("published") != ""
	p, err := v.Plane.UpsertPortal(v.ctx(), v.actor(), func(s *control.PortalSpec) error { s.Published = on; return nil })
	message := "The portal is public at " + v.portalURL(p.Slug)
	if !on {
		message = "The portal is hidden: only members of this account see it. Keys go on working."
	}
	return v.outcome(err, message, "/portal-settings")
}

// publishAPI takes the API and its stage as one choice, "api/stage".
func (v *visit) publishAPI() error {
	api, stage, ok := strings.Cut(v.value("stage"), "/")
	if !ok {
		return v.outcome(model.Errorf(model.Invalid, "choose a stage of an API"), "", "/portal-settings")
	}
	err := v.Plane.PublishAPI(v.ctx(), v.actor(), api, stage, v.value("summary"))
	return v.outcome(err, "The API is on the portal, as it is deployed to "+stage+".", "/portal-settings")
}

func (v *visit) unpublishAPI() error {
	err := v.Plane.UnpublishAPI(v.ctx(), v.actor(), v.path("api"))
	return v.outcome(err, "The API is off the portal. Keys go on working.", "/portal-settings")
}

// portalSteps is what a portal needs before somebody can buy on it.
func portalSteps(p control.Portal, sell bool) []ui.CheckItem {
	sold := false
	for _, plan := range p.Plans {
		sold = sold || plan.Published && opensPublished(plan, p.APIs)
	}
	steps := []ui.CheckItem{
		{Done: p.Made, Title: "Name it", Text: "Its address, title and colours.", URL: "#settings", Action: "Settings"},
		{Done: len(p.APIs) > 0, Title: "Put an API on it", Text: "Its documentation is made from the document it was imported from.", URL: "#apis", Action: "Choose an API"},
		{Done: sold, Title: "Offer a plan that opens it", Text: "What developers subscribe to, free or at a price.", URL: "#plans", Action: "Choose a plan"},
		{Done: p.Published, Title: "Publish it", Text: "Until then only members of this account see it.", URL: "#publish", Action: "Publish"},
	}
	if !sell {
		for i := range steps {
			steps[i].URL = ""
		}
	}
	return steps
}

// portalReady reports that nothing of the steps is left.
func portalReady(p control.Portal) bool {
	for _, s := range portalSteps(p, false) {
		if !s.Done {
			return false
		}
	}
	return true
}

// opensPublished reports that a plan opens a stage that is on the portal.
func opensPublished(plan control.Plan, apis []control.PortalAPI) bool {
	for _, s := range plan.Opens {
		for _, a := range apis {
			if a.StageName == s {
				return true
			}
		}
	}
	return false
}

// stageOptions are the stages that an API can be published from.
func stageOptions(choices []control.StageName) []ui.Option {
	var out []ui.Option
	for _, s := range choices {
		out = append(out, ui.Option{Value: s.APIID + "/" + s.Stage, Label: s.API + " · " + s.Stage})
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func lines(s string) []string { return strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }

func signUpValue(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}

func slugHint(p control.Portal, address string) string {
	if p.Made {
		return "Now " + address + ". Links to the old address end when you change it"
	}
	return "The portal will be at " + address
}
