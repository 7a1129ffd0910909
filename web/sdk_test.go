package web_test

import (
	"archive/zip"
	"strings"
	"testing"

	"tollgate/control"
	"tollgate/control/sdk"
)

// The page of a stage has a client of it in each language, for whoever may see it.
func TestStageClients(t *testing.T) {
	t.Parallel()
	s := newSite(t, withGateway)
	a := s.tenant()
	stage := s.deployed(a, "prod")
	b := s.as(s.member(a, control.RoleViewer))
	at := "/apis/" + stage.APIID + "/stages/prod"
	p := b.get(at).want(200, "Client libraries")
	for _, l := range sdk.Languages {
		if !strings.Contains(p.body, `href="`+at+"/sdk/"+l.ID+`"`) {
			t.Errorf("no link to the client in %s", l.Name)
		}
		got := b.get(at + "/sdk/" + l.ID)
		z, err := zip.NewReader(strings.NewReader(got.body), int64(len(got.body)))
		if got.status != 200 || got.header.Get("Content-Type") != "application/zip" || err != nil || !strings.HasSuffix(z.File[0].Name[:strings.IndexByte(z.File[0].Name, '/')], "-"+l.ID) {
			t.Errorf("%s: %d %v", l.ID, got.status, err)
		}
	}
	b.get(at+"/sdk/cobol").want(404, "python")
	b.get("/apis/" + stage.APIID + "/stages/none/sdk/python").want(404)
}
