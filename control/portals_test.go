package control_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tollgate/control"
	"tollgate/model"
)

func TestPortal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	named := func(a control.Actor, name string) control.Portal {
		w.exec(`update tenant set name = $2 where tenant_id = $1`, a.Tenant, name)
		p, err := w.Portal(w.ctx, a)
		w.must(err)
		return p
	}
	for name, want := range map[string]string{
		"Müller & Söhne":            "muller-sohne",
		"  ACME, Inc. ":             "acme-inc",
		"日本":                        "portal",
		strings.Repeat("long ", 20): "long-long-long-long-long-long-long-l",
	} {
		p := named(a, name)
		if p.Made || p.Slug != want || !p.OpenSignUp || p.Published || control.CheckSlug(p.Slug) != nil || len([]rune(p.Title)) > 80 {
			t.Errorf("%q suggests %+v", name, p.PortalSpec)
		}
	}
	named(a, "Acme")
	p, err := w.UpsertPortal(w.ctx, a, func(s *control.PortalSpec) error { s.Accent, s.Published = "#0B6B5E", true; return nil })
	w.must(err)
	if !p.Made || p.Slug != "acme" || p.Title != "Acme" || p.Accent != "#0b6b5e" || !p.Published || !p.OpenSignUp {
		t.Errorf("made %+v", p.PortalSpec)
	}
	if got := named(b, "ACME"); got.Slug != "acme-2" {
		t.Errorf("the second of a name is suggested %q", got.Slug)
	}
	set := func(edit func(*control.PortalSpec)) error {
		_, err := w.UpsertPortal(w.ctx, b, func(s *control.PortalSpec) error { edit(s); return nil })
		return err
	}
	w.refused(set(func(s *control.PortalSpec) { s.Slug = "acme" }), model.Conflict, "another portal")
	w.refused(set(func(s *control.PortalSpec) { s.Slug = "-a" }), model.Invalid, "address")
	w.refused(set(func(s *control.PortalSpec) { s.Title = " " }), model.Invalid, "needs a name")
	w.refused(set(func(s *control.PortalSpec) { s.Tagline = strings.Repeat("x", 201) }), model.Invalid, "201")
	w.refused(set(func(s *control.PortalSpec) { s.Accent = "red" }), model.Invalid, "colour")
	w.refused(set(func(s *control.PortalSpec) { s.Accent = "#ffcc00" }), model.Invalid, "contrast of 1.5 to 1")
	w.refused(set(func(s *control.PortalSpec) { s.SupportEmail = "nobody" }), model.Invalid, "e-mail")
	p, err = w.UpsertPortal(w.ctx, a, func(s *control.PortalSpec) error { s.OpenSignUp, s.Tagline = false, "Pets on demand"; return nil })
	w.must(err)
	if p.OpenSignUp || p.Tagline != "Pets on demand" || p.Accent != "#0b6b5e" {
		t.Errorf("changed %+v", p.PortalSpec)
	}
	viewer := a
	viewer.Role = control.RoleViewer
	_, err = w.UpsertPortal(w.ctx, viewer, func(*control.PortalSpec) error { return nil })
	w.refused(err, model.Denied, "portal")
	_, err = w.Portal(w.ctx, viewer)
	w.must(err)
}

func TestPublishAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.tenant()
	d := w.deployed(a, "prod")
	_, err := w.Deploy(w.ctx, a, control.Deploy{APIID: d.Stage.APIID, Stage: "dev"})
	w.must(err)
	w.refused(w.PublishAPI(w.ctx, a, d.Stage.APIID, "nosuch", ""), model.NotFound, "deploy it first")
	w.refused(w.PublishAPI(w.ctx, a, d.Stage.APIID, "prod", "two\nlines"), model.Invalid, "line")
	w.must(w.PublishAPI(w.ctx, a, d.Stage.APIID, "dev", ""))
	w.must(w.PublishAPI(w.ctx, a, d.Stage.APIID, "prod", "All pets"))
	p, err := w.Portal(w.ctx, a)
	w.must(err)
	if len(p.APIs) != 1 || p.APIs[0].Stage != "prod" || p.APIs[0].Summary != "All pets" || p.APIs[0].API != "Pets" || len(p.Choices) != 2 {
		t.Errorf("portal %+v", p)
	}
	// A stage that goes takes its API off the portal.
	w.must(w.DeleteStage(w.ctx, a, d.Stage.APIID, "prod"))
	w.refused(w.UnpublishAPI(w.ctx, a, d.Stage.APIID), model.NotFound, "not on the portal")
	w.must(w.PublishAPI(w.ctx, a, d.Stage.APIID, "dev", ""))
	w.must(w.UnpublishAPI(w.ctx, a, d.Stage.APIID))
	if p, err = w.Portal(w.ctx, a); err != nil || len(p.APIs) != 0 {
		t.Errorf("portal %+v, %v", p, err)
	}
}

// What portals document is looked at anew when it changes, and only then.
func TestPortalsAreFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t).started()
	a := w.tenant()
	ctx, cancel := context.WithTimeout(w.ctx, 50*time.Second) // less than the tick
	defer cancel()
	seen := make(chan []control.PortalDocument)
	go w.FollowPortals(ctx, func(ctx context.Context) {
		l, err := w.LargeDocuments(ctx, 1)
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		select {
		case seen <- l:
		case <-ctx.Done():
		}
	})
	// until takes looks until one shows this deployment, or none.
	until := func(after, deployment string) {
		t.Helper()
		for {
			select {
			case l := <-seen:
				if len(l) == 0 && deployment == "" || len(l) == 1 && l[0].DeploymentID == deployment && l[0].Tenant == a.Tenant && l[0].Bytes > 100 {
					return
				}
			case <-ctx.Done():
				t.Fatalf("nobody looked after %s", after)
			}
		}
	}
	until("the start", "")
	in, err := w.ImportAPI(w.ctx, a, control.ImportAPI{Source: []byte(`{"openapi": "3.0.3", "info": {"title": "Pets", "version": "1"},
		"servers": [{"url": "https://pets.example.com"}], "paths": {"/pets": {"get": {"responses": {"200": {"description": "ok"}}}}}}`)})
	w.must(err)
	deploy := func() string {
		d, err := w.Deploy(w.ctx, a, control.Deploy{APIID: in.API.ID, Stage: "prod"})
		w.must(err)
		return d.Stage.DeploymentID
	}
	id := deploy()
	w.must(w.PublishAPI(w.ctx, a, in.API.ID, "prod", ""))
	until("an API on a portal that nobody sees", "")
	_, err = w.UpsertPortal(w.ctx, a, func(s *control.PortalSpec) error { s.Published = true; return nil })
	w.must(err)
	until("the portal was published", id)
	_, err = w.UpdateDefinition(w.ctx, a, in.API.ID, 0, func(d *model.Definition) error { d.Description = "changed"; return nil })
	w.must(err)
	until("another deployment", deploy())
}
