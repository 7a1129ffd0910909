package web

import (
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// maxPEM bounds a form with a certificate, its key and its chain.
const maxPEM = 256 << 10

func (s *Server) domainRoutes() []route {
	return []route{
		{method: "GET", pattern: "/domains", who: mayRead, handle: (*visit).domains},
		{method: "GET", pattern: "/domains/new", who: mayBuild, handle: (*visit).newDomain},
		{method: "POST", pattern: "/domains/new", who: mayBuild, handle: (*visit).createDomain},
		{method: "GET", pattern: "/domains/{domain}", who: mayRead, handle: (*visit).domain},
		{method: "POST", pattern: "/domains/{domain}/check", who: mayBuild, handle: (*visit).checkDomain},
		{method: "POST", pattern: "/domains/{domain}/certificate", who: mayBuild, handle: (*visit).uploadCertificate, form: maxPEM},
		{method: "POST", pattern: "/domains/{domain}/map", who: mayBuild, handle: (*visit).mapDomain},
		{method: "POST", pattern: "/domains/{domain}/unmap", who: mayBuild, handle: (*visit).unmapDomain},
		{method: "GET", pattern: "/domains/{domain}/delete", who: mayBuild, handle: (*visit).confirmDeleteDomain},
		{method: "POST", pattern: "/domains/{domain}/delete", who: mayBuild, handle: (*visit).deleteDomain},
	}
}

var domainCrumbs = []ui.Crumb{{Label: "Domains", URL: "/domains"}}

func domainURL(key string, more ...string) string {
	out := "/domains/" + url.PathEscape(key)
	for _, m := range more {
		out += "/" + url.PathEscape(m)
	}
	return out
}

func (v *visit) domains() error {
	l, err := v.Plane.Domains(v.ctx(), v.actor(), control.Page{After: v.query("after"), Limit: 50})
	if err != nil {
		return err
	}
	return v.render(domainsView(v.page("Domains"), l, v.next(l.Next), v.may(control.ToBuild)))
}

func (v *visit) newDomain() error { return v.newDomainWith(200, "", nil) }

func (v *visit) newDomainWith(status int, name string, problems []ui.Problem) error {
	p := v.page("Add a domain")
	p.Crumbs = domainCrumbs
	return v.renderAs(status, newDomainView(p, name, problems))
}

func (v *visit) createDomain() error {
	name := v.value("name")
	d, err := v.Plane.CreateDomain(v.ctx(), v.actor(), control.NewDomain{Name: name})
	if invalid(err) {
		return v.newDomainWith(serve.Status(err), name, []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}})
	}
	if err != nil {
		return err
	}
	return v.redirect(domainURL(d.Key()))
}

// domainForms are what was typed into a domain's forms and has to be put right.
type domainForms struct {
	Path, Stage  string
	Mapping      []ui.Problem
	Certificate  string
	Chain        string
	Certificates []ui.Problem
}

func (v *visit) domain() error { return v.domainWith(200, domainForms{}) }

func (v *visit) domainWith(status int, f domainForms) error {
	d, err := v.Plane.Domain(v.ctx(), v.actor(), v.path("domain"))
	if err != nil {
		return err
	}
	l, err := v.Plane.Mappings(v.ctx(), v.actor(), d.Key(), control.Page{Limit: model.MaxMappingsPerDomain})
	if err != nil {
		return err
	}
	stages, err := v.Plane.StageNames(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	p := v.page(d.Name)
	p.Crumbs = domainCrumbs
	if d.Settings.Private() {
		endpoints, err := v.endpoints(d)
		if err != nil {
			return err
		}
		return v.renderAs(status, privateDomainView(p, d, l.Items, stages, endpoints, v.may(control.ToBuild)))
	}
	return v.renderAs(status, domainView(p, d, l.Items, stages, f, "d-"+d.ID+".execute-api."+v.gateway().Hostname(), v.may(control.ToBuild)))
}

// endpoints are the VPC endpoints that a private domain is associated with.
func (v *visit) endpoints(d control.Domain) (out []string, err error) {
	l, err := v.Plane.AccessAssociations(v.ctx(), v.actor(), control.Page{Limit: control.MaxAccessAssociations})
	for _, a := range l.Items {
		if a.Domain == d.Key() {
			out = append(out, a.Source)
		}
	}
	return out, err
}

// checkDomain looks for the DNS record now.
func (v *visit) checkDomain() error {
	proof, err := v.Plane.CheckName(v.ctx(), v.actor(), v.path("domain"))
	to := domainURL(v.path("domain"))
	switch {
	case err != nil:
		return v.outcome(err, "", to)
	case proof.VerifiedAt != nil:
		return v.done("The record is there: the name is yours.", to)
	}
	v.say("warn", "Not yet: "+proof.Message+". New records can take some minutes; it is looked for twice a minute.")
	return v.redirect(to)
}

func (v *visit) uploadCertificate() error {
	f := domainForms{Certificate: v.raw("certificate"), Chain: v.raw("chain")}
	c, err := model.ParseServerCertificate(f.Certificate, v.raw("key"), f.Chain)
	if err == nil {
		_, err = v.Plane.UpdateDomain(v.ctx(), v.actor(), v.path("domain"), func(e *control.DomainEdit) error {
			e.Upload = &c
			return nil
		})
	}
	if invalid(err) && model.KindOf(err) != model.NotFound {
		f.Certificates = []ui.Problem{{Name: "certificate", Text: sentence(model.MessageOf(err))}}
		return v.domainWith(serve.Status(err), f)
	}
	return v.outcome(err, "The certificate is in use.", domainURL(v.path("domain")))
}

func (v *visit) mapDomain() error {
	f := domainForms{Path: v.value("path"), Stage: v.value("stage")}
	api, stage, _ := strings.Cut(f.Stage, "/")
	_, err := v.Plane.CreateMapping(v.ctx(), v.actor(), v.path("domain"), model.Mapping{BasePath: f.Path, APIID: api, Stage: stage})
	if invalid(err) && v.known() {
		f.Mapping = []ui.Problem{{Name: "path", Text: sentence(model.MessageOf(err))}}
		return v.domainWith(serve.Status(err), f)
	}
	return v.outcome(err, "Calls to it are answered now.", domainURL(v.path("domain")))
}

// known reports that the domain of the path is the account's.
func (v *visit) known() bool {
	_, err := v.Plane.Domain(v.ctx(), v.actor(), v.path("domain"))
	return err == nil
}

func (v *visit) unmapDomain() error {
	return v.outcome(v.Plane.DeleteMapping(v.ctx(), v.actor(), v.path("domain"), v.value("path")), "It leads nowhere any more.", domainURL(v.path("domain")))
}

func (v *visit) confirmDeleteDomain() error { return v.confirmDeleteDomainWith(200, "") }

func (v *visit) confirmDeleteDomainWith(status int, problem string) error {
	d, err := v.Plane.Domain(v.ctx(), v.actor(), v.path("domain"))
	if err != nil {
		return err
	}
	l, err := v.Plane.Mappings(v.ctx(), v.actor(), d.Key(), control.Page{Limit: model.MaxMappingsPerDomain})
	if err != nil {
		return err
	}
	p := v.page("Delete " + d.Name)
	p.Crumbs = append(domainCrumbs[:1:1], ui.Crumb{Label: d.Name, URL: domainURL(d.Key())})
	return v.renderAs(status, deleteDomainView(p, d, len(l.Items), problem))
}

func (v *visit) deleteDomain() error {
	if v.value("confirm") != v.path("domain") {
		return v.confirmDeleteDomainWith(422, "That is not its name")
	}
	return v.outcome(v.Plane.DeleteDomain(v.ctx(), v.actor(), v.path("domain")), v.path("domain")+" is deleted.", "/domains")
}
