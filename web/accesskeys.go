package web

import (
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) accessKeyRoutes() []route {
	return []route{
		{method: "GET", pattern: "/access-keys", who: mayRead, handle: (*visit).accessKeys},
		{method: "POST", pattern: "/access-keys", who: mayRead, handle: (*visit).createAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/enable", who: mayRead, handle: (*visit).enableAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/disable", who: mayRead, handle: (*visit).disableAccessKey},
		{method: "GET", pattern: "/access-keys/{key}/delete", who: mayRead, handle: (*visit).confirmDeleteAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/delete", who: mayRead, handle: (*visit).deleteAccessKey},
	}
}

func (v *visit) accessKeys() error {
	l, err := v.Plane.AccessKeys(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(accessKeysView(v.page("Access keys"), l, v.actor().Member, v.Now()))
}

func (v *visit) createAccessKey() error {
	id, secret, err := v.Plane.CreateAccessKey(v.ctx(), v.actor())
	if invalid(err) {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/access-keys")
	}
	if err != nil {
		return err
	}
	p := v.page("Your new access key")
	p.Crumbs = []ui.Crumb{{Label: "Access keys", URL: "/access-keys"}}
	return v.render(newAccessKeyView(p, id, secret))
}

func (v *visit) enableAccessKey() error {
	return v.outcome(v.Plane.SetAccessKeyEnabled(v.ctx(), v.actor(), v.path("key"), true), "The access key can sign again.", "/access-keys")
}

func (v *visit) disableAccessKey() error {
	return v.outcome(v.Plane.SetAccessKeyEnabled(v.ctx(), v.actor(), v.path("key"), false), "What is signed with the access key is refused from now on.", "/access-keys")
}

func (v *visit) confirmDeleteAccessKey() error {
	l, err := v.Plane.AccessKeys(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	for _, k := range l {
		if k.ID == v.path("key") {
			p := v.page("Delete access key")
			p.Crumbs = []ui.Crumb{{Label: "Access keys", URL: "/access-keys"}}
			return v.render(deleteAccessKeyView(p, k))
		}
	}
	return model.Errorf(model.NotFound, "there is no such access key")
}

func (v *visit) deleteAccessKey() error {
	return v.outcome(v.Plane.DeleteAccessKey(v.ctx(), v.actor(), v.path("key")), "The access key is deleted.", "/access-keys")
}
