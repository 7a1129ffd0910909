package web

import (
	"net/http"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) accessKeyRoutes() []route {
	return []route{
		{method: "GET", pattern: "/access-keys", who: mayRead, handle: (*visit).accessKeys},
		{method: "POST", pattern: "/access-keys", who: mayRead, handle: (*visit).createAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/enable", who: mayRead, handle: (*visit).enableAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/disable", who: mayRead, handle: (*visit).disableAccessKey},
		{method: "GET", pattern: "/access-keys/{key}/policy", who: mayManage, handle: (*visit).accessKeyPolicy},
		{method: "POST", pattern: "/access-keys/{key}/policy", who: mayManage, handle: (*visit).setAccessKeyPolicy},
		{method: "GET", pattern: "/access-keys/{key}/delete", who: mayRead, handle: (*visit).confirmDeleteAccessKey},
		{method: "POST", pattern: "/access-keys/{key}/delete", who: mayRead, handle: (*visit).deleteAccessKey},
	}
}

func (v *visit) accessKeys() error {
	l, err := v.Plane.AccessKeys(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(accessKeysView(v.page("Access keys"), l, v.actor().Member, v.may(control.ToManage), v.Now()))
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
	return v.render(newAccessKeyView(v.accessKeyPage("Your new access key"), id, secret))
}

func (v *visit) enableAccessKey() error {
	return v.outcome(v.Plane.SetAccessKeyEnabled(v.ctx(), v.actor(), v.path("key"), true), "The access key can sign again.", "/access-keys")
}

func (v *visit) disableAccessKey() error {
	return v.outcome(v.Plane.SetAccessKeyEnabled(v.ctx(), v.actor(), v.path("key"), false), "What is signed with the access key is refused from now on.", "/access-keys")
}

// accessKey is the one that the path names.
func (v *visit) accessKey() (control.AccessKeyInfo, error) {
	l, err := v.Plane.AccessKeys(v.ctx(), v.actor())
	for _, k := range l {
		if k.ID == v.path("key") {
			return k, err
		}
	}
	if err == nil {
		err = model.Errorf(model.NotFound, "there is no such access key")
	}
	return control.AccessKeyInfo{}, err
}

func (v *visit) accessKeyPage(title string) ui.Page {
	p := v.page(title)
	p.Crumbs = []ui.Crumb{{Label: "Access keys", URL: "/access-keys"}}
	return p
}

func (v *visit) confirmDeleteAccessKey() error {
	k, err := v.accessKey()
	if err != nil {
		return err
	}
	return v.render(deleteAccessKeyView(v.accessKeyPage("Delete access key"), k))
}

func (v *visit) accessKeyPolicy() error {
	k, err := v.accessKey()
	if err != nil {
		return err
	}
	return v.render(accessKeyPolicyView(v.accessKeyPage("What an access key may call"), k, ""))
}

func (v *visit) setAccessKeyPolicy() error {
	k, err := v.accessKey()
	if err != nil {
		return err
	}
	k.Policy = v.value("policy")
	err = v.Plane.SetAccessKeyPolicy(v.ctx(), v.actor(), k.ID, k.Policy)
	if invalid(err) {
		return v.renderAs(http.StatusUnprocessableEntity, accessKeyPolicyView(v.accessKeyPage("What an access key may call"), k, sentence(model.MessageOf(err))))
	}
	return v.outcome(err, "What the access key may call is changed.", "/access-keys")
}

func (v *visit) deleteAccessKey() error {
	return v.outcome(v.Plane.DeleteAccessKey(v.ctx(), v.actor(), v.path("key")), "The access key is deleted.", "/access-keys")
}
