package portal

import (
	"net/url"
	"strconv"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) appRoutes() []route {
	return []route{
		{"GET", "/apps", customer, (*visit).apps},
		{"GET", "/apps/new", customer, (*visit).newApp},
		{"POST", "/apps/new", customer, (*visit).createApp},
		{"GET", "/apps/{app}", customer, (*visit).app},
		{"POST", "/apps/{app}", customer, (*visit).renameApp},
		{"GET", "/apps/{app}/delete", customer, (*visit).confirmDeleteApp},
		{"POST", "/apps/{app}/delete", customer, (*visit).deleteApp},
		{"POST", "/apps/{app}/subscribe", customer, (*visit).subscribe},
		{"POST", "/subscriptions/{subscription}/keys", customer, (*visit).createKey},
		{"GET", "/subscriptions/{subscription}/plan", customer, (*visit).planPage},
		{"POST", "/subscriptions/{subscription}/plan", customer, (*visit).changePlan},
		{"GET", "/subscriptions/{subscription}/spend", customer, (*visit).spendPage},
		{"POST", "/subscriptions/{subscription}/spend", customer, (*visit).setSpend},
		{"GET", "/subscriptions/{subscription}/cancel", customer, (*visit).confirmCancel},
		{"POST", "/subscriptions/{subscription}/cancel", customer, (*visit).cancel},
		{"GET", "/keys/{key}/revoke", customer, (*visit).confirmRevoke},
		{"POST", "/keys/{key}/revoke", customer, (*visit).revoke},
	}
}

func (v *visit) appURL(id string) string { return v.link("/apps/" + url.PathEscape(id)) }

func (v *visit) apps() error {
	l, err := v.Plane.MyApps(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	return v.render(appsView(v.page("Your apps"), v, l))
}

// appForm is an app to be made.
type appForm struct {
	Name, Plan string
	Problems   []ui.Problem
}

func (v *visit) newApp() error {
	return v.newAppWith(200, appForm{Plan: v.query("plan")})
}

func (v *visit) newAppWith(status int, f appForm) error {
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	if f.Plan == "" && len(c.Plans) > 0 {
		f.Plan = c.Plans[0].ID
	}
	p := v.page("Make an app")
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}}
	return v.renderAs(status, newAppView(p, v, c.Plans, f))
}

func (v *visit) createApp() error {
	f := appForm{Name: v.value("name"), Plan: v.value("plan")}
	id, key, err := v.Plane.CreateApp(v.ctx(), v.actor(), f.Name, f.Plan)
	if invalid(err) || model.KindOf(err) == model.NotFound {
		f.Problems = []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}}
		return v.newAppWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	if key.Value == "" {
		return v.done("The app is there; subscribe it to a plan to get a key.", "/apps/"+id)
	}
	return v.showKey(id, f.Name, key)
}

// showKey is the only page with a key's value: it is kept nowhere.
func (v *visit) showKey(appID, appName string, key control.CreatedKey) error {
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	p := v.page("Your key")
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: appName, URL: v.appURL(appID)}}
	sample := ""
	for _, a := range c.APIs { // the first call that is easy to make
		d, err := v.reference(v.ctx(), v.site, a)
		if err != nil {
			return err
		}
		for _, op := range d.Operations {
			if op.Verb == "GET" && opens(a, key) {
				pg := d.Page(op, v.baseURL(a))
				sample = withKey(pg.Samples[0].Code, key.Value)
				break
			}
		}
		if sample != "" {
			break
		}
	}
	return v.render(keyView(p, v, appID, key, sample))
}

func opens(a control.CatalogueAPI, key control.CreatedKey) bool {
	for _, name := range a.Plans {
		for _, p := range key.Plans {
			if p.Plan == name {
				return true
			}
		}
	}
	return false
}

// myApp finds one of the visitor's apps.
func (v *visit) myApp() (control.CustomerApp, error) {
	l, err := v.Plane.MyApps(v.ctx(), v.actor())
	if err != nil {
		return control.CustomerApp{}, err
	}
	for _, a := range l {
		if a.ID == v.path("app") {
			return a, nil
		}
	}
	return control.CustomerApp{}, model.Errorf(model.NotFound, "there is no such app")
}

// mySubscription finds one of the visitor's running subscriptions.
func (v *visit) mySubscription() (control.CustomerApp, control.AppSubscription, error) {
	l, err := v.Plane.MyApps(v.ctx(), v.actor())
	if err != nil {
		return control.CustomerApp{}, control.AppSubscription{}, err
	}
	for _, a := range l {
		for _, s := range a.Subscriptions {
			if strconv.FormatUint(s.ID, 10) == v.path("subscription") {
				return a, s, nil
			}
		}
	}
	return control.CustomerApp{}, control.AppSubscription{}, model.Errorf(model.NotFound, "there is no such subscription")
}

func (v *visit) app() error { return v.appWith(200, "", nil) }

func (v *visit) appWith(status int, name string, problems []ui.Problem) error {
	a, err := v.myApp()
	if err != nil {
		return err
	}
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	p := v.page(a.Name)
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}}
	spent, err := v.spends()
	if err != nil {
		return err
	}
	return v.renderAs(status, appView(p, v, a, c.Plans, spent, or(name, a.Name), problems))
}

func (v *visit) renameApp() error {
	name := v.value("name")
	err := v.Plane.RenameApp(v.ctx(), v.actor(), v.path("app"), name)
	if err == nil {
		return v.done("The app is called "+name+" now.", "/apps/"+v.path("app"))
	}
	if !invalid(err) {
		return err
	}
	return v.appWith(422, name, []ui.Problem{{Name: "name", Text: sentence(model.MessageOf(err))}})
}

func (v *visit) confirmDeleteApp() error {
	a, err := v.myApp()
	if err != nil {
		return err
	}
	p := v.page("Delete " + a.Name)
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: a.Name, URL: v.appURL(a.ID)}}
	return v.render(deleteAppView(p, v, a))
}

func (v *visit) deleteApp() error {
	if err := v.Plane.DeleteApp(v.ctx(), v.actor(), v.path("app")); err != nil {
		return err
	}
	return v.done("The app is deleted; what it used will be on the next invoice.", "/apps")
}

func (v *visit) subscribe() error {
	a, err := v.myApp()
	if err != nil {
		return err
	}
	key, err := v.Plane.SubscribeApp(v.ctx(), v.actor(), a.ID, v.value("plan"))
	if invalid(err) {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/apps/" + a.ID)
	}
	if err != nil {
		return err
	}
	return v.showKey(a.ID, a.Name, key)
}

func (v *visit) createKey() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	key, err := v.Plane.CreateAppKey(v.ctx(), v.actor(), s.ID, or(v.value("name"), "Key"))
	if invalid(err) {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/apps/" + a.ID)
	}
	if err != nil {
		return err
	}
	return v.showKey(a.ID, a.Name, key)
}

func (v *visit) planPage() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	c, err := v.Plane.Catalogue(v.ctx(), v.site)
	if err != nil {
		return err
	}
	p := v.page("Change the plan")
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: a.Name, URL: v.appURL(a.ID)}}
	return v.render(planView(p, v, a, s, c.Plans))
}

func (v *visit) changePlan() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	err = v.Plane.ChangeAppPlan(v.ctx(), v.actor(), s.ID, v.value("plan"))
	if invalid(err) {
		v.say("danger", sentence(model.MessageOf(err)))
		return v.redirect("/apps/" + a.ID)
	}
	if err != nil {
		return err
	}
	return v.done("The plan is changed; your keys stay.", "/apps/"+a.ID)
}

func (v *visit) confirmCancel() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	p := v.page("Cancel " + s.Plan)
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: a.Name, URL: v.appURL(a.ID)}}
	return v.render(cancelView(p, v, a, s))
}

func (v *visit) cancel() error {
	a, s, err := v.mySubscription()
	if err != nil {
		return err
	}
	if err := v.Plane.CancelAppSubscription(v.ctx(), v.actor(), s.ID); err != nil {
		return err
	}
	return v.done("The subscription to "+s.Plan+" has ended.", "/apps/"+a.ID)
}

// myKey finds one of the visitor's keys.
func (v *visit) myKey() (control.CustomerApp, control.AppKey, error) {
	l, err := v.Plane.MyApps(v.ctx(), v.actor())
	if err != nil {
		return control.CustomerApp{}, control.AppKey{}, err
	}
	for _, a := range l {
		keys := a.Loose
		for _, s := range a.Subscriptions {
			keys = append(keys, s.Keys...)
		}
		for _, k := range keys {
			if k.ID == v.path("key") {
				return a, k, nil
			}
		}
	}
	return control.CustomerApp{}, control.AppKey{}, model.Errorf(model.NotFound, "there is no such key")
}

func (v *visit) confirmRevoke() error {
	a, k, err := v.myKey()
	if err != nil {
		return err
	}
	p := v.page("Revoke " + k.Name)
	p.Crumbs = []ui.Crumb{{Label: "Apps", URL: v.link("/apps")}, {Label: a.Name, URL: v.appURL(a.ID)}}
	return v.render(revokeView(p, v, a, k))
}

func (v *visit) revoke() error {
	a, k, err := v.myKey()
	if err != nil {
		return err
	}
	if err := v.Plane.RevokeAppKey(v.ctx(), v.actor(), k.ID); err != nil {
		return err
	}
	return v.done("The key "+k.Name+" is refused from now on.", "/apps/"+a.ID)
}
