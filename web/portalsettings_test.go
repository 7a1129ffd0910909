package web_test

import (
	"testing"

	"tollgate/control"
)

// A portal is made, filled and published by forms alone.
func TestPortalSettingsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.tenant()
	s.exec(`update tenant set name = 'Pets & Co' where tenant_id = $1`, owner.Tenant)
	b := s.as(owner)
	p := b.get("/portal-settings").want(200, "Before somebody can buy", "/portal/pets-co", "Hidden", "Deploy an API to a stage first", "There are no plans yet")
	if p.field("title") != "Pets & Co" || p.field("slug") != "pets-co" || p.field("signup") != "open" {
		t.Errorf("suggested %q at %q", p.field("title"), p.field("slug"))
	}
	p = p.press("Make the portal", "title", "", "slug", "Ä", "accent", "#ffff00", "tagline", "kept").
		want(422, "3 things", "A portal needs a name", "cannot be a part of an address", "contrast of 1.1 to 1")
	if p.field("tagline") != "kept" {
		t.Errorf("the tagline was lost: %q", p.field("tagline"))
	}
	p.press("Make the portal", "title", "Pets", "slug", "pets", "accent", "", "support", "nobody").want(422, "not an e-mail address")
	p.press("Make the portal", "title", "Pets", "slug", "PETS", "accent", "#0B6B5E", "signup", "closed").want(200, "The portal is saved", "#0b6b5e, contrast 6", "Look at it")
	d, err := s.Portal(t.Context(), owner)
	s.must(err)
	if d.Slug != "pets" || d.OpenSignUp || d.Published || d.Accent != "#0b6b5e" || d.Tagline != "kept" {
		t.Errorf("saved %+v", d.PortalSpec)
	}
	other := s.as(s.tenant())
	other.get("/portal-settings").press("Make the portal", "slug", "pets").want(422, "Another portal has this address")

	prod, dev := s.deployed(owner, "prod"), s.deployed(owner, "dev")
	plan := s.plan(owner, "Gold", nil, dev)
	p = b.get("/portal-settings").press("Put it on the portal", "stage", prod.APIID+"/prod", "summary", "All pets").want(200, "as it is deployed to prod", "All pets")
	p.press("Offer").want(200, "Plan Gold is on the portal", "Opens no API that is on the portal", "Before somebody can buy")
	b.post("/portal-settings/apis", formOf("stage", dev.APIID+"/dev", "summary", "")).want(200, "as it is deployed to dev").without("Opens no API that is on the portal")
	b.post("/portal-settings/apis", formOf("stage", "nosuch/dev")).want(404)
	b.post("/portal-settings/apis", formOf("stage", "")).want(200, "Choose a stage")
	b.get("/portal-settings").press("Publish the portal").want(200, "The portal is public at", "Public").without("Before somebody can buy")
	// Saving settings leaves it published.
	b.get("/portal-settings").press("Save settings", "title", "Pets 2").want(200, "The portal is saved", "Public")
	b.get("/portal-settings").press("Hide the portal").want(200, "The portal is hidden", "Hidden")
	other.post("/portal-settings/apis/"+dev.APIID+"/remove", nil).want(404)
	other.post("/portal-settings/apis", formOf("stage", dev.APIID+"/dev")).want(404)
	b.post("/portal-settings/apis/"+dev.APIID+"/remove", nil).want(200, "The API is off the portal")

	viewer := s.as(s.member(owner, control.RoleViewer))
	viewer.get("/portal-settings").want(200, "Pets 2", "Gold", "All pets").without("Save settings", "Publish the portal", "Take off")
	for _, path := range []string{"", "/publish", "/apis", "/apis/" + prod.APIID + "/remove"} {
		viewer.post("/portal-settings"+path, nil).want(403)
	}
	viewer.post("/plans/"+plan.ID+"/publish", nil).want(403)
}
