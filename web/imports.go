package web

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/a-h/templ"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

// maxImportForm is a document with the form around it.
const maxImportForm = control.MaxSourceBytes + 1<<20

func (s *Server) importRoutes() []route {
	return []route{
		{method: "GET", pattern: "/apis/new", who: mayBuild, handle: (*visit).newAPI},
		{method: "POST", pattern: "/apis/new", who: mayBuild, handle: (*visit).importAPI, form: maxImportForm},
		{method: "GET", pattern: "/apis/{api}/import", who: mayBuild, handle: (*visit).importPage},
		{method: "POST", pattern: "/apis/{api}/import", who: mayBuild, handle: (*visit).importInto, form: maxImportForm},
	}
}

// importForm is what was asked to be imported.
type importForm struct {
	Document, Upstream string
	RequireKey         bool
	Merge              bool
	Name, Proxy        string // of the other form: by hand
	Problems           []ui.Problem
	Wrong              *excerpt         // where the document cannot be read
	Checked            *control.Checked // what it would come to
	source             []byte
	File               string // that was chosen, and has to be chosen again
}

// maxShownDocument bounds what a chosen file puts into the page's own field, so that
// it need not be chosen again.
const maxShownDocument = 1 << 20

func (v *visit) newAPI() error {
	return v.render(newAPIView(v.newAPIPage(), importForm{RequireKey: true}))
}

func (v *visit) newAPIPage() ui.Page {
	p := v.page("Make an API")
	p.Crumbs = apiCrumbs
	return p
}

// document is what a form holds to be imported: a file, a text, or what is behind a URL.
func (v *visit) document() (in control.ImportAPI, err error) {
	text := v.raw("document")
	if v.value("sample") != "" {
		return control.ImportAPI{Source: []byte(sampleDocument), SourceName: "sample.yaml"}, nil
	}
	if f, h, err := v.r.FormFile("file"); err == nil {
		defer func() { _ = f.Close() }()
		b, err := io.ReadAll(io.LimitReader(f, control.MaxSourceBytes+1))
		if err != nil {
			return in, err
		}
		if len(b) > 0 {
			return control.ImportAPI{Source: b, SourceName: path.Base(strings.ReplaceAll(h.Filename, "\\", "/"))}, nil
		}
	}
	one := strings.TrimSpace(text)
	switch {
	case one == "":
		return in, model.Errorf(model.Invalid, "nothing to import; paste an OpenAPI document or its URL, or choose a file")
	case !strings.ContainsAny(one, " \n\r\t") && (strings.HasPrefix(one, "http://") || strings.HasPrefix(one, "https://")):
		if v.Fetch == nil {
			return in, model.Errorf(model.Invalid, "documents cannot be fetched by URL here; paste it or choose a file")
		}
		b, err := v.Fetch(v.ctx(), one)
		return control.ImportAPI{Source: b, SourceName: one, BaseURL: one}, err
	}
	return control.ImportAPI{Source: []byte(text), SourceName: "pasted"}, nil
}

// readImport is the form as it was sent, with its document.
func (v *visit) readImport() (importForm, control.ImportAPI, error) {
	f := importForm{Document: v.raw("document"), Upstream: v.value("upstream"), RequireKey: v.checked("require-key"), Merge: v.value("mode") == "merge"}
	in, err := v.document()
	if err == nil && in.SourceName != "pasted" && in.BaseURL == "" {
		if f.File = in.SourceName; len(in.Source) <= maxShownDocument && utf8.Valid(in.Source) {
			f.Document, f.File = string(in.Source), ""
		}
	}
	in.Upstream, in.RequireKey, in.Merge = f.Upstream, f.RequireKey, f.Merge
	f.source = in.Source
	return f, in, err
}

// refused puts what is wrong with a document beside it; false: it is not for the
// form to show.
func (f *importForm) refused(err error) bool {
	if !invalid(err) && model.KindOf(err) != model.Unavailable {
		return false
	}
	text := model.MessageOf(err)
	f.Problems = []ui.Problem{{Name: "document", Text: sentence(text)}}
	if m := placeInText.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		f.Wrong = excerptOf(sourceLines(f.source), line, column)
	}
	return true
}

var placeInText = regexp.MustCompile(`line (\d{1,9})(?:, column (\d{1,9}))?`)

func (v *visit) importAPI() error {
	f, in, err := v.readImport()
	if err == nil {
		if v.value("act") == "check" {
			var c control.Checked
			if c, err = v.Plane.CheckImport(v.ctx(), v.actor(), in); err == nil {
				f.Checked = &c
				return v.render(newAPIView(v.newAPIPage(), f))
			}
		} else {
			var out control.Imported
			if out, err = v.Plane.ImportAPI(v.ctx(), v.actor(), in); err == nil {
				return v.redirect(apiURL(out.API.ID, "start"))
			}
		}
	}
	if !f.refused(err) {
		return err
	}
	return v.renderAs(422, newAPIView(v.newAPIPage(), f))
}

func (v *visit) importPage() error {
	a, err := v.Plane.API(v.ctx(), v.actor(), v.path("api"))
	if err != nil {
		return err
	}
	return v.render(importView(v.below(a.API, "Import into "+a.Name, ""), a.API, importForm{RequireKey: needsKey(&a.Definition)}))
}

// importInto takes a document into an API that is there.
func (v *visit) importInto() error {
	f, in, err := v.readImport()
	in.APIID = v.path("api")
	if err == nil {
		if v.value("act") == "check" {
			var c control.Checked
			if c, err = v.Plane.CheckImport(v.ctx(), v.actor(), in); err == nil {
				f.Checked = &c
			}
		} else {
			var out control.Imported
			if out, err = v.Plane.ImportAPI(v.ctx(), v.actor(), in); err == nil {
				return v.done(fmt.Sprintf("Imported: %s, %s to look at. Nothing is served differently until you deploy.",
					ui.Plural(out.Operations, "operation", "operations"), ui.Plural(len(out.Problems), "problem", "problems")), apiURL(in.APIID, "deploy"))
			}
		}
	}
	status := 200
	if err != nil {
		if !f.refused(err) {
			return err
		}
		status = 422
	}
	a, err := v.Plane.API(v.ctx(), v.actor(), in.APIID)
	if err != nil {
		return err
	}
	return v.renderAs(status, importView(v.below(a.API, "Import into "+a.Name, ""), a.API, f))
}

// excerpt is the place of a problem in its document.
type excerpt struct {
	Lines []excerptLine
}

// excerptLine is a line of it; the problem's own is split where it begins.
type excerptLine struct {
	Number       int
	Text, Behind string
	Here         bool
}

// Of a document's line no more is shown than this, in characters before and behind the
// place: documents may be one line.
const excerptWidth = 80

// sourceLines splits a document once, for all of its problems.
func sourceLines(source []byte) []string { return strings.Split(string(source), "\n") }

// excerptOf shows a line with those around it; nil: there is no such line.
func excerptOf(all []string, line, column int) *excerpt {
	if line < 1 || line > len(all) || len(all) == 1 && all[0] == "" {
		return nil
	}
	out := &excerpt{}
	for n := max(1, line-2); n <= min(len(all), line+2); n++ {
		text := strings.TrimSuffix(strings.ReplaceAll(all[n-1], "\t", "  "), "\r")
		if n != line {
			out.Lines = append(out.Lines, excerptLine{Number: n, Text: cutLine(text)})
			continue
		}
		// Columns count bytes of the line as it is.
		at := min(max(column-1, 0), len(all[n-1]))
		before, behind := strings.ReplaceAll(all[n-1][:at], "\t", "  "), strings.TrimSuffix(strings.ReplaceAll(all[n-1][at:], "\t", "  "), "\r")
		if r := []rune(strings.ToValidUTF8(before, "�")); len(r) > excerptWidth {
			before = "…" + string(r[len(r)-excerptWidth:])
		}
		out.Lines = append(out.Lines, excerptLine{Number: n, Text: strings.ToValidUTF8(before, "�"), Behind: cutLine(behind), Here: true})
	}
	return out
}

// cutLine cuts a line that is too long to show.
func cutLine(text string) string {
	r := []rune(strings.ToValidUTF8(text, "�"))
	if len(r) > 2*excerptWidth {
		return string(r[:2*excerptWidth]) + "…"
	}
	return string(r)
}

// html is the line as code: its blanks count, so it is no template.
func (l excerptLine) html() string {
	out := "<code>" + templ.EscapeString(l.Text)
	if l.Here {
		out += "<mark>" + templ.EscapeString(l.Behind) + "</mark>"
	}
	return out + "</code>"
}
