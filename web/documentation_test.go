package web_test

import (
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/model"
)

// Words about an API: what has none, writing, preview, what is inherited, and a version
// that a stage shows.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	a := s.tenant()
	b := s.as(a)
	b.get("/apis/new").press("Use a sample instead").press("Deploy and get a key", "stage", "dev")
	l, err := s.APIs(s.Context(), a, control.Page{})
	s.must(err)
	id := l.Items[0].ID
	at := "/apis/" + id + "/documentation"
	parts := func() []model.DocumentationPart {
		d, err := s.API(s.Context(), a, id)
		s.must(err)
		return d.Definition.Documentation
	}
	written := len(parts())
	b.get(at).want(200, "The API itself", "No versions yet")
	b.get(at+"?q=no+such+place").want(200, "No place is like that")
	method := at + "/part?type=METHOD&path=/pets&method=GET"

	// Nothing is kept by a preview, and what the author writes is never markup.
	p := b.get(method).press("Preview", "summary", "", "description", "A **bold** <script>alert(1)</script> word", "other", "")
	p.want(200, "Preview, not saved")
	if !strings.Contains(p.body, "<strong>bold</strong>") || strings.Contains(p.body, "<script>alert(1)") {
		t.Fatalf("the preview is not clean Markdown: %s", p.body)
	}
	if len(parts()) != written {
		t.Fatal("a preview was kept")
	}
	p = p.press("Save", "other", "{\n  \"tags\": [}").want(422, "line 2, column 12")
	p = p.press("Save", "other", `{"description": "twice"}`).want(422, "a field of its own")
	p = p.press("Save", "other", `["no object"]`).want(422, "not a JSON object")
	p.press("Save", "description", "Lists\npets.", "summary", "All pets", "other", `{"tags": ["a"], "x-big": 12345678901234567890}`).want(200, "Saved what is written about Method GET /pets")
	d, err := s.API(s.Context(), a, id)
	s.must(err)
	part := d.Definition.DocumentedAt(model.DocumentationLocation{Type: "METHOD", Path: "/pets", Method: "GET"})
	if part == nil || part.Properties != `{"description":"Lists\npets.","summary":"All pets","tags":["a"],"x-big":12345678901234567890}` {
		t.Fatalf("%+v", part)
	}
	b.get(at+"?q=lists").want(200, "All pets")
	// Whoever saves over another's words is told.
	stale := b.get(method)
	_, err = s.UpdateDefinition(s.Context(), a, id, 0, func(d *model.Definition) error { d.Description = "Changed"; return nil })
	s.must(err)
	stale.press("Save", "description", "mine").want(409, "was changed meanwhile")

	// What is said of the API itself is in its info object.
	b.get(at+"/part?type=API").press("Save", "description", "About *it*", "other", `{"info": {"title": "T"}}`).want(200, "Saved")
	d, err = s.API(s.Context(), a, id)
	s.must(err)
	if part = d.Definition.DocumentedAt(model.DocumentationLocation{Type: "API"}); part == nil || part.Properties != `{"info":{"description":"About *it*","title":"T"}}` {
		t.Fatalf("%+v", part)
	}
	b.get(at+"/part?type=API").want(200, "About it", `"title": "T"`)

	// Said once for several.
	b.get(at+"/part?type=RESPONSE&path=/&method=*&status=*").press("Save", "description", "It *went* wrong").want(200, "Saved")
	response := ""
	for _, x := range d.Definition.Places() {
		if x.Type == "RESPONSE" && x.Part == nil {
			response = at + "/part?type=RESPONSE&path=" + x.Path + "&method=" + x.Method + "&status=" + x.StatusCode
		}
	}
	if response != "" {
		b.get(response).want(200, "Inherited now", "It went wrong", "of every status of")
	}
	b.get(at + "?show=inherited").want(200)

	// A version keeps the words; a stage shows it.
	p = b.get(at).press("Make version", "version", "").want(422)
	p = p.press("Make version", "version", "1.0", "description", "The first", "stage", "dev").want(200, "Version 1.0 is kept", "The first")
	p.press("Make version", "version", "1.0").want(409, "already exists")
	b.get(method).press("Remove").want(200, "gone, from the next version on").press("Remove for good").want(200, "Removed what was written")
	b.get(at+"/versions/1.0").want(200, "All pets", "Lists")
	b.get(at+"/versions/1.0/delete").press("Delete version").want(200, "is referenced in stage: dev")
	if _, err := s.CreateDocumentationVersion(s.Context(), a, control.NewDocumentationVersion{APIID: id, Version: "2.0", Stage: "dev"}); err != nil {
		t.Fatal(err)
	}
	b.get(at+"/versions/1.0/delete").press("Delete version").want(200, "Version 1.0 is deleted")
	b.get(at + "/versions/1.0").want(404)

	// Places that cannot be, and who only reads.
	for _, q := range []string{"", "?type=NOTHING", "?type=METHOD&path=pets&method=GET", "?type=METHOD&path=/pets&method=FETCH", "?type=RESPONSE&path=/&method=GET&status=9", "?type=MODEL"} {
		b.get(at + "/part" + q).want(404)
	}
	viewer := s.as(s.member(a, control.RoleViewer))
	viewer.get(method).want(200).without("Save")
	viewer.get(at).want(200).without("Make version")
	if strings.Contains(viewer.get(at).body, "c-version") {
		t.Error("a viewer is shown how to write")
	}
}
