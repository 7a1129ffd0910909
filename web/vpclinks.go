package web

import (
	"net/url"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) vpcLinkRoutes() []route {
	return []route{
		{method: "GET", pattern: "/vpc-links", who: mayRead, handle: (*visit).vpcLinks},
		{method: "GET", pattern: "/vpc-links/new", who: mayBuild, handle: (*visit).newVPCLink},
		{method: "POST", pattern: "/vpc-links/new", who: mayBuild, handle: (*visit).saveVPCLink},
		{method: "GET", pattern: "/vpc-links/{link}", who: mayRead, handle: (*visit).vpcLink},
		{method: "POST", pattern: "/vpc-links/{link}", who: mayBuild, handle: (*visit).saveVPCLink},
		{method: "GET", pattern: "/vpc-links/{link}/addresses", who: mayRead, handle: (*visit).linkAddresses},
		{method: "GET", pattern: "/vpc-links/{link}/delete", who: mayBuild, handle: (*visit).confirmDeleteVPCLink},
		{method: "POST", pattern: "/vpc-links/{link}/delete", who: mayBuild, handle: (*visit).deleteVPCLink},
	}
}

var vpcLinkCrumbs = []ui.Crumb{{Label: "VPC links", URL: "/vpc-links"}}

func vpcLinkURL(id string, more ...string) string {
	return "/vpc-links/" + url.PathEscape(id) + strings.Join(append([]string{""}, more...), "/")
}

// linkForm is a VPC link as it is edited.
type linkForm struct {
	ID, Name, Description string
	Targets               []ui.RowValues
	ARN                   string // of a load balancer; it is given once
	Uses                  []control.LinkUse
	Build                 bool
	addresses             linkAddresses // that it has, whatever is typed
	problems
}

var targetColumns = []ui.Column{{Name: "address", Label: "Address"}}

func (v *visit) vpcLinks() error {
	l, err := v.Plane.VPCLinks(v.ctx(), v.actor(), control.Page{After: v.query("after"), Limit: 50})
	if err != nil {
		return err
	}
	h, err := v.Plane.VPCLinkHealth(v.ctx(), v.actor(), "")
	if err != nil {
		return err
	}
	return v.render(vpcLinksView(v.page("VPC links"), l, h, v.next(l.Next), v.may(control.ToBuild), v.Now()))
}

// linkAddresses are a link's addresses with how nodes find them.
type linkAddresses struct {
	ID     string // the link's
	All    []control.TargetHealth
	Health control.LinkHealth
}

func (v *visit) addressesOf(l control.VPCLink) (linkAddresses, error) {
	h, err := v.Plane.VPCLinkHealth(v.ctx(), v.actor(), l.ID)
	a := linkAddresses{ID: l.ID, Health: h}
	for _, t := range l.Targets() {
		a.All = append(a.All, h.Of(l.ID, t))
	}
	return a, err
}

// linkAddresses answers with the state alone: of a page that is looked at it is renewed.
func (v *visit) linkAddresses() error {
	l, err := v.Plane.VPCLink(v.ctx(), v.actor(), v.path("link"))
	if err != nil {
		return err
	}
	a, err := v.addressesOf(l)
	if err != nil {
		return err
	}
	if serve.IsPart(v.r) {
		return v.render(linkAddressesList(a))
	}
	p := v.page("Addresses of " + l.Name)
	p.Crumbs = append(vpcLinkCrumbs[:1:1], ui.Crumb{Label: l.Name, URL: vpcLinkURL(l.ID)})
	return v.render(linkAddressesView(p, a))
}

// targetState is how an address is found, in a word with its colour.
func targetState(all control.LinkHealth, h control.TargetHealth) (kind, word string) {
	switch {
	case all.Nodes == 0:
		return "muted", "Not known: no node is connected"
	case h.Up+h.Down == 0:
		return "muted", "Not checked yet"
	case h.Down == 0:
		return "ok", "Answers"
	case h.Up == 0:
		return "danger", "Does not answer"
	}
	return "warn", "Answers some nodes"
}

// restText says how the addresses that are not listed are found.
func restText(link string, rest []string, h control.LinkHealth) string {
	out := ui.Quantity(len(rest)) + " more"
	down := 0
	for _, t := range rest {
		if h.Of(link, t).Down > 0 {
			down++
		}
	}
	if down > 0 {
		out += ", " + ui.Quantity(down) + " of which do not answer"
	}
	return out
}

// sinceText begins to say how some nodes see an address.
func sinceText(how string, so, otherwise, nodes int) string {
	if otherwise == 0 {
		return "Since"
	}
	return how + " " + seenBy(so, nodes) + " since"
}

// seenBy says by how many nodes.
func seenBy(n, live int) string {
	if n < live {
		return ui.Quantity(n) + " of " + ui.Plural(live, "node", "nodes")
	}
	return ui.Plural(n, "node", "nodes")
}

func (v *visit) newVPCLink() error { return v.vpcLinkWith(200, linkForm{}) }

func (v *visit) vpcLinkWith(status int, f linkForm) error {
	title := "Make a VPC link"
	f.Build = v.may(control.ToBuild)
	if f.ID != "" {
		now, err := v.Plane.VPCLink(v.ctx(), v.actor(), f.ID)
		if err != nil {
			return err
		}
		title, f.ARN = "VPC link "+now.Name, strings.Join(now.ARNs(), "")
		if f.Uses, err = v.Plane.VPCLinkUses(v.ctx(), v.actor(), f.ID); err != nil {
			return err
		}
		if f.addresses, err = v.addressesOf(now); err != nil {
			return err
		}
	}
	p := v.page(title)
	p.Crumbs = vpcLinkCrumbs
	return v.renderAs(status, vpcLinkView(p, f))
}

func (v *visit) vpcLink() error {
	l, err := v.Plane.VPCLink(v.ctx(), v.actor(), v.path("link"))
	if err != nil {
		return err
	}
	f := linkForm{ID: l.ID, Name: l.Name, Description: l.Description}
	for _, t := range l.Targets() {
		f.Targets = append(f.Targets, ui.RowValues{Cells: []string{t}})
	}
	return v.vpcLinkWith(200, f)
}

// targets are the addresses that were typed.
func (f *linkForm) targets() (out []string) {
	for _, r := range f.Targets {
		out = append(out, r.Cells[0])
	}
	return out
}

func (v *visit) saveVPCLink() error {
	f := linkForm{ID: v.path("link"), Name: v.value("name"), Description: v.text("description"), ARN: v.value("arn"), Targets: v.rows("target", targetColumns)}
	if v.more() {
		return v.vpcLinkWith(200, f)
	}
	var err error
	if f.ID == "" {
		in := control.VPCLink{Name: f.Name, Description: f.Description, TargetARNs: f.targets()}
		if f.ARN != "" {
			in.TargetARNs = append([]string{f.ARN}, in.TargetARNs...)
		}
		_, err = v.Plane.CreateVPCLink(v.ctx(), v.actor(), in)
	} else {
		_, err = v.Plane.UpdateVPCLink(v.ctx(), v.actor(), f.ID, func(l *control.VPCLink) error {
			l.Name, l.Description = f.Name, f.Description
			l.SetTargets(f.targets())
			return nil
		})
	}
	if invalid(err) {
		f.problems = f.with(linkField(err), err)
		return v.vpcLinkWith(serve.Status(err), f)
	}
	if err != nil {
		return err
	}
	if f.ID == "" {
		return v.done("The VPC link is made. Choose it in a method's integration.", "/vpc-links")
	}
	return v.done("Saved. Calls go to these addresses on every node from now on; no deployment is needed.", vpcLinkURL(f.ID))
}

// linkField is the field that control's refusal of a link is about.
func linkField(err error) string {
	switch m := strings.ToLower(model.MessageOf(err)); {
	case strings.Contains(m, "name"):
		return "name"
	case strings.Contains(m, "description"):
		return "description"
	case strings.Contains(m, "arn is not"), strings.Contains(m, "more than one target arn"):
		return "arn"
	}
	return "target"
}

func (v *visit) confirmDeleteVPCLink() error {
	l, err := v.Plane.VPCLink(v.ctx(), v.actor(), v.path("link"))
	if err != nil {
		return err
	}
	uses, err := v.Plane.VPCLinkUses(v.ctx(), v.actor(), l.ID)
	if err != nil {
		return err
	}
	p := v.page("Delete VPC link " + l.Name)
	p.Crumbs = append(vpcLinkCrumbs[:1:1], ui.Crumb{Label: l.Name, URL: vpcLinkURL(l.ID)})
	return v.render(deleteVPCLinkView(p, l, uses))
}

func (v *visit) deleteVPCLink() error {
	id := v.path("link")
	uses, err := v.Plane.VPCLinkUses(v.ctx(), v.actor(), id)
	if err != nil {
		return err
	}
	if by := servedThrough(uses); len(by) > 0 {
		err := model.Errorf(model.Conflict, "stages serve %s through the link: deploy these methods with another way first", someOf(by))
		return v.outcome(err, "", vpcLinkURL(id))
	}
	return v.outcome(v.Plane.DeleteVPCLink(v.ctx(), v.actor(), id), "The VPC link is deleted.", "/vpc-links")
}

// servedThrough are the uses that stages serve, in words.
func servedThrough(uses []control.LinkUse) (out []string) {
	for _, u := range uses {
		if len(u.Stages) > 0 {
			out = append(out, u.Verb+" "+u.Path+" of "+u.API+" on "+strings.Join(u.Stages, ", "))
		}
	}
	return out
}

// linkActs make a link, or change it.
func linkActs(f *linkForm) []act {
	name := ui.Typed("name", f.Name, "NAME")
	if f.ID == "" {
		targets := f.targets()
		if f.ARN != "" {
			targets = append([]string{f.ARN}, targets...)
		}
		if len(targets) == 0 {
			targets = []string{"10.0.0.5:8080"}
		}
		return []act{{op: "create-vpc-link", verb: "POST", path: "/vpclinks", in: map[string]any{"name": name, "targetArns": targets},
			terraform: "resource \"aws_api_gateway_vpc_link\" \"link\" {\n  name        = " + hcl(name) + "\n  target_arns = " + hcl2(targets) + "\n}"}}
	}
	steps := []string{"replace", "/name", name, "replace", "/description", f.Description}
	if targets := f.targets(); len(targets) > 0 {
		steps = append(steps, "replace", "/tollgate/targets", strings.Join(targets, ","))
	}
	return []act{{op: "update-vpc-link", verb: "PATCH", path: "/vpclinks/" + url.PathEscape(f.ID), ids: map[string]any{"vpcLinkId": f.ID}, in: patchAct(steps...)}}
}

func deleteLinkAct(id string) act {
	return act{op: "delete-vpc-link", verb: "DELETE", path: "/vpclinks/" + url.PathEscape(id), ids: map[string]any{"vpcLinkId": id}}
}
