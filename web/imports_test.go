package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"tollgate/control"
)

const shorterDocument = `openapi: 3.0.3
info: {title: Ships, version: "3"}
servers: [{url: "https://ships.example.com/v3"}]
paths:
  /ships:
    get: {summary: All ships, parameters: [{name: flag, in: limbo, schema: {type: string}}], responses: {"200": {description: ok}}}
`

// An import says what it would come to before it does anything, where in the document
// each problem is, and joins or replaces what is there.
func TestImportInto(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	a := s.tenant()
	b := s.as(a)
	in, err := s.ImportAPI(s.Context(), a, control.ImportAPI{Source: []byte(shipsDocument), SourceName: "ships.yaml"})
	s.must(err)
	at := "/apis/" + in.API.ID + "/import"
	state := func() (revision int64, methods int) {
		t.Helper()
		d, err := s.API(s.Context(), a, in.API.ID)
		s.must(err)
		return d.Revision, d.Methods
	}
	revision, methods := state()

	p := b.get(at).press("See what changes", "document", shorterDocument, "mode", "overwrite").
		want(200, "Nothing is imported yet", "1 operation", "line 6, column", "limbo\", and not path", "in the document", "/ships/{id}/cargo/{containerNumber}")
	if !strings.Contains(p.body, "<mark>") || !strings.Contains(p.body, "in: limbo") {
		t.Error("the problem's place is not shown")
	}
	if r, m := state(); r != revision || m != methods {
		t.Fatal("looking changed the API")
	}
	// What was pasted is still there, and is joined as it was checked.
	p = p.press("Check again", "mode", "merge").want(200, "Nothing is imported yet").without("/ships/{id}/cargo/{containerNumber}")
	p.press("Import").want(200, "Imported: 1 operation")
	if r, m := state(); r != revision+1 || m != methods {
		t.Errorf("joined: revision %d with %d methods, from %d with %d", r, m, revision, methods)
	}
	if src, err := s.Source(s.Context(), a, in.API.ID); err != nil || !bytes.Equal(src.Bytes, []byte(shipsDocument)) {
		t.Errorf("a part became the API's document: %.80s %v", src.Bytes, err)
	}
	b.get(at).press("Import", "document", shorterDocument, "mode", "overwrite").want(200, "Imported: 1 operation")
	if _, m := state(); m != 1 {
		t.Errorf("%d methods are left", m)
	}

	// A document that cannot be read: the place is beside the form.
	for _, wrong := range []struct{ document, line string }{
		{"openapi: 3.0.3\npaths: [", "2"},
		{"{\"openapi\": \"3.0.3\",\n \"paths\": {\n  \"/a\" 1}}", "3"},
		{"openapi: 3.0.3\ninfo:\n\ttitle: x\n", "3"},
	} {
		for _, form := range []string{"/apis/new", at} {
			p := b.get(form).press("Import", "document", wrong.document).want(422, "Line "+wrong.line)
			if !strings.Contains(p.body, `excerpt-here"><span class="excerpt-number">`+wrong.line+"<") {
				t.Errorf("%q: line %s is not shown: %s", wrong.document, wrong.line, p.text())
			}
		}
	}
	b.get(at).press("See what changes", "document", "").want(422, "Nothing to import")
	b.get("/apis/new").press("Check first", "document", shorterDocument).want(200, "Nothing is imported yet", "1 operation")
	if l, err := s.APIs(s.Context(), a, control.Page{}); err != nil || len(l.Items) != 1 {
		t.Errorf("%d APIs, %v", len(l.Items), err)
	}

	// A file's text is kept on the page; one that is too large has to be chosen again.
	send := func(document string) *page {
		t.Helper()
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		for name, value := range map[string]string{"act": "check", "mode": "merge"} {
			s.must(m.WriteField(name, value))
		}
		f, err := m.CreateFormFile("file", "my ships.yaml")
		s.must(err)
		_, err = f.Write([]byte(document))
		s.must(err)
		s.must(m.Close())
		req, err := http.NewRequest("POST", s.url+at, &body)
		s.must(err)
		req.Header.Set("Content-Type", m.FormDataContentType())
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		return b.do(req)
	}
	send(shorterDocument).want(200, "Nothing is imported yet", "in: limbo").without("choose it again")
	send(shorterDocument+"# "+strings.Repeat("x", 2<<20)).want(200, "Nothing is imported yet", "my ships.yaml is too large to be kept on this page")
	// A document of one line shows the part around the place.
	long := strings.Replace(`{"openapi":"3.0.3","info":{"title":"T","version":"1","description":"`+strings.Repeat("w", 5000)+`"},"servers":[{"url":"https://x.example.com"}],"paths":{"/a":{"get":{"parameters":[{"name":"flag","in":"limbo"}],"responses":{"200":{"description":"ok"}}}}}}`, "\n", "", -1)
	p = b.get(at).press("See what changes", "document", long).want(200, "line 1, column")
	if _, shown, found := strings.Cut(p.body, `class="excerpt-line`); !found || strings.Contains(shown[:strings.Index(shown, "</section>")], strings.Repeat("w", 400)) {
		t.Error("a line is shown whole that nobody can read")
	}
}
