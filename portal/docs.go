package portal

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"tollgate/control"
	"tollgate/control/sdk"
	"tollgate/model"
	"tollgate/portal/reference"
	"tollgate/ui"
)

func (s *Server) docRoutes() []route {
	return []route{
		{"GET", "/{$}", anyone, (*visit).home},
		{"GET", "/apis/{api}", anyone, (*visit).api},
		{"GET", "/apis/{api}/openapi", anyone, (*visit).document},
		{"GET", "/apis/{api}/sdk/{language}", customer, (*visit).client},
		{"GET", "/apis/{api}/{operation}", anyone, (*visit).operation},
		{"GET", "/search", anyone, (*visit).search},
		{"GET", "/plans", anyone, (*visit).plans},
		{"GET", "/theme/{accent}", anyone, (*visit).themeCSS},
		{"GET", "/robots.txt", anyone, (*visit).robots},
		{"GET", "/sitemap.xml", anyone, (*visit).sitemap},
		{"GET", "/llms.txt", anyone, (*visit).llms},
	}
}

func (v *visit) apiURL(id string) string { return v.link("/apis/" + url.PathEscape(id)) }
func (v *visit) opURL(id, slug string) string {
	return v.link("/apis/" + url.PathEscape(id) + "/" + url.PathEscape(slug))
}

func (v *visit) home() error {
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	return v.render(homeView(v.page(v.site.Title), v, c))
}

// published finds an API of the portal with its reference.
func (v *visit) published(id string) (control.CatalogueAPI, control.Catalogue, *reference.Doc, error) {
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return control.CatalogueAPI{}, c, nil, err
	}
	for _, a := range c.APIs {
		if a.ID == id {
			d, err := v.reference(v.ctx(), v.site, a)
			return a, c, d, err
		}
	}
	return control.CatalogueAPI{}, c, nil, model.Errorf(model.NotFound, "there is no such API here")
}

// baseURL is where a stage's calls go: by path, which every client resolves.
func (v *visit) baseURL(a control.CatalogueAPI) string {
	at := v.gateway()
	if at == nil {
		return ""
	}
	return at.String() + "/_aws/execute-api/" + a.ID + "/" + a.Stage
}

// gateway is the public address that the portal's calls go to.
func (v *visit) gateway() *url.URL { return v.Plane.GatewayURL(v.ctx(), v.site.Tenant, v.Gateway) }

func (v *visit) hostURL(a control.CatalogueAPI) string {
	at := v.gateway()
	if at == nil {
		return ""
	}
	return at.Scheme + "://" + a.ID + ".execute-api." + at.Host + "/" + a.Stage
}

// wantsMarkdown reports that a page is asked for as Markdown: by its suffix, or by
// what the client accepts.
func (v *visit) wantsMarkdown() bool {
	return strings.Contains(v.r.Header.Get("Accept"), "text/markdown")
}

func (v *visit) api() error {
	id, md := strings.CutSuffix(v.path("api"), ".md")
	a, _, d, err := v.published(id)
	if err != nil {
		return err
	}
	if md || v.wantsMarkdown() {
		return v.text("text/markdown; charset=utf-8", apiMarkdown(v, a, d))
	}
	p := v.page(a.Name)
	p.Crumbs = []ui.Crumb{{Label: "APIs", URL: v.link("/")}}
	return v.render(apiView(p, v, a, d))
}

func (v *visit) operation() error {
	slug, md := strings.CutSuffix(v.path("operation"), ".md")
	a, _, d, err := v.published(v.path("api"))
	if err != nil {
		return err
	}
	op := d.Operation(slug)
	if op == nil {
		return model.Errorf(model.NotFound, "%s has no operation %q; it may have been renamed or removed", a.Name, slug)
	}
	pg := d.Page(op, v.baseURL(a))
	if md || v.wantsMarkdown() {
		return v.text("text/markdown; charset=utf-8", operationMarkdown(v, a, &pg))
	}
	p := v.page(op.Summary)
	p.Crumbs = []ui.Crumb{{Label: "APIs", URL: v.link("/")}, {Label: a.Name, URL: v.apiURL(a.ID)}}
	lang := v.query("lang")
	return v.render(operationView(p, v, a, d, &pg, lang))
}

// document is the OpenAPI document as its author wrote it.
func (v *visit) document() error {
	a, _, _, err := v.published(v.path("api"))
	if err != nil {
		return err
	}
	d, err := v.Plane.Documented(v.ctx(), v.site, a.ID, a.DeploymentID)
	if err != nil {
		return err
	}
	if len(d.Source) == 0 {
		return model.Errorf(model.NotFound, "%s was made by hand; there is no document of it", a.Name)
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	name := "openapi.yaml"
	if d.Source[0] == '{' {
		name = "openapi.json"
	}
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(d.Source)))
	_, _ = v.w.Write(d.Source)
	return nil
}

// client is a client library of the API, for who may get a key for it.
func (v *visit) client() error {
	a, _, _, err := v.published(v.path("api"))
	if err != nil {
		return err
	}
	l, err := sdk.ByID(v.path("language"))
	if err != nil {
		return model.Errorf(model.NotFound, "%s", model.MessageOf(err))
	}
	got, err := v.Plane.SiteClient(v.ctx(), v.site, a.ID, sdk.Options{Language: l.ID, BaseURL: v.baseURL(a), Parameters: l.Defaults(a.Name)})
	if err != nil {
		return err
	}
	body, err := got.Zip(got.DeployedAt)
	if err != nil {
		return err
	}
	return v.file("application/zip", got.Folder+".zip", func(w io.Writer) error { _, err := w.Write(body); return err })
}

// hit is an operation that a search found, with the API it is of.
type hit struct {
	api control.CatalogueAPI
	op  reference.Found
}

func (v *visit) search() error {
	q := v.query("q")
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	var hits []hit
	for _, a := range c.APIs {
		d, err := v.reference(v.ctx(), v.site, a)
		if err != nil {
			return err
		}
		for _, f := range d.Search(q, 50) {
			hits = append(hits, hit{a, f})
		}
	}
	sort.SliceStable(hits, func(i, j int) bool { return hits[i].op.Score > hits[j].op.Score })
	p := v.page("Search")
	p.Portal.Search = q
	return v.render(searchView(p, v, q, hits[:min(len(hits), 50)]))
}

func (v *visit) plans() error {
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	return v.render(plansView(v.page("Plans"), v, c.Plans))
}

// themeCSS is the tenant's accent as a stylesheet: its name holds the colour, so it
// may be kept for ever.
func (v *visit) themeCSS() error {
	hex, ok := strings.CutSuffix(v.path("accent"), ".css")
	if !ok || "#"+hex != v.site.Accent {
		return model.Errorf(model.NotFound, "there is no such stylesheet")
	}
	dark, on := darkAccent(hex)
	h := v.w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	fmt.Fprintf(v.w, ":root{--primary:light-dark(#%s,%s);--on-primary:light-dark(#FFFFFF,%s)}\n", hex, dark, on)
	return nil
}

func (v *visit) text(kind, s string) error {
	v.w.Header().Set("Content-Type", kind)
	v.w.WriteHeader(http.StatusOK)
	_, err := v.w.Write([]byte(s))
	return err
}

func (v *visit) public(path string) string {
	return v.URL(v.site.Slug) + path
}

func (v *visit) robots() error {
	return v.text("text/plain; charset=utf-8", "User-agent: *\nDisallow: "+v.link("/apps")+"\nDisallow: "+v.link("/usage")+"\nDisallow: "+v.link("/invoices")+"\nSitemap: "+v.public("/sitemap.xml")+"\n")
}

func (v *visit) sitemap() error {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + "\n")
	put := func(path string) { fmt.Fprintf(&b, "<url><loc>%s</loc></url>\n", escapeXML(v.public(path))) }
	put("/")
	put("/plans")
	err := v.eachOperation(func(a control.CatalogueAPI, op *reference.Operation) {
		if op == nil {
			put("/apis/" + url.PathEscape(a.ID))
			return
		}
		put("/apis/" + url.PathEscape(a.ID) + "/" + url.PathEscape(op.Slug))
	})
	if err != nil {
		return err
	}
	b.WriteString("</urlset>\n")
	return v.text("application/xml; charset=utf-8", b.String())
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escapeXML(s string) string { return xmlEscapes.Replace(s) }

// llms is the portal's table of contents for programs that read.
func (v *visit) llms() error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", line(v.site.Title))
	if v.site.Tagline != "" {
		fmt.Fprintf(&b, "> %s\n\n", line(v.site.Tagline))
	}
	err := v.eachOperation(func(a control.CatalogueAPI, op *reference.Operation) {
		if op == nil {
			fmt.Fprintf(&b, "\n## %s\n\n- [%s](%s): what it is, and its address\n", line(a.Name), line(a.Name), v.public("/apis/"+url.PathEscape(a.ID)+".md"))
			return
		}
		fmt.Fprintf(&b, "- [%s %s](%s): %s\n", op.Verb, line(op.Path), v.public("/apis/"+url.PathEscape(a.ID)+"/"+url.PathEscape(op.Slug)+".md"), line(op.Summary))
	})
	if err != nil {
		return err
	}
	return v.text("text/plain; charset=utf-8", b.String())
}

// line is a text in one line.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// eachOperation goes through all APIs, each first without an operation.
func (v *visit) eachOperation(f func(control.CatalogueAPI, *reference.Operation)) error {
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	for _, a := range c.APIs {
		d, err := v.reference(v.ctx(), v.site, a)
		if err != nil {
			return err
		}
		f(a, nil)
		for _, op := range d.Operations {
			f(a, op)
		}
	}
	return nil
}

func apiMarkdown(v *visit, a control.CatalogueAPI, d *reference.Doc) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\nBase URL: %s\n", line(a.Name), a.Description, v.baseURL(a))
	for _, t := range d.Tags {
		fmt.Fprintf(&b, "\n## %s\n\n", line(t.Name))
		for _, op := range t.Operations {
			fmt.Fprintf(&b, "- [%s %s](%s): %s\n", op.Verb, op.Path, v.public("/apis/"+url.PathEscape(a.ID)+"/"+url.PathEscape(op.Slug)+".md"), line(op.Summary))
		}
	}
	return b.String()
}

func operationMarkdown(v *visit, a control.CatalogueAPI, p *reference.Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n`%s %s` of %s\n\n", line(p.Summary), p.Verb, p.Path, line(a.Name))
	if p.KeyRequired {
		b.WriteString("Needs an API key in the header `x-api-key`.\n\n")
	}
	if len(p.Parameters) > 0 {
		b.WriteString("## Parameters\n\n")
		for _, x := range p.Parameters {
			need := "optional"
			if x.Required {
				need = "required"
			}
			fmt.Fprintf(&b, "- `%s` (%s, %s, %s) %s\n", x.Name, x.In, x.Schema.Type, need, strings.Join(x.Schema.Facts, "; "))
		}
		b.WriteString("\n")
	}
	if p.Body != nil {
		b.WriteString("## Body\n\n")
		for _, c := range p.Body.Contents {
			fmt.Fprintf(&b, "%s\n\n", c.Type)
			for _, e := range c.Examples {
				fmt.Fprintf(&b, "```\n%s\n```\n\n", e.Text)
			}
		}
	}
	b.WriteString("## Responses\n\n")
	for _, r := range p.Responses {
		fmt.Fprintf(&b, "### %s\n\n", r.Status)
		for _, c := range r.Contents {
			for _, e := range c.Examples {
				fmt.Fprintf(&b, "%s\n\n```\n%s\n```\n\n", c.Type, e.Text)
			}
		}
	}
	if len(p.Samples) > 0 {
		fmt.Fprintf(&b, "## Call\n\n```\n%s\n```\n", p.Samples[0].Code)
	}
	return b.String()
}
