package web

import (
	"net/url"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) operatorNodeRoutes() []route {
	return []route{
		{method: "GET", pattern: "/operator/nodes", who: theOperator, handle: (*visit).nodes},
		{method: "POST", pattern: "/operator/nodes/token", who: theOperator, handle: (*visit).createNodeToken},
		{method: "GET", pattern: "/operator/nodes/revoke", who: theOperator, handle: (*visit).confirmRevokeTokens},
		{method: "POST", pattern: "/operator/nodes/revoke", who: theOperator, handle: (*visit).revokeNodeTokens},
		{method: "POST", pattern: "/operator/nodes/forget", who: theOperator, handle: (*visit).forgetNode},
		{method: "POST", pattern: "/operator/nodes/gateway", who: theOperator, handle: (*visit).createGateway},
		{method: "GET", pattern: "/operator/nodes/give-up", who: theOperator, handle: (*visit).confirmGiveUp},
		{method: "POST", pattern: "/operator/nodes/give-up", who: theOperator, handle: (*visit).giveUpJournal},
	}
}

// nodesForm is the data plane with the forms on its page.
type nodesForm struct {
	problems
	control.DataPlane
	In      string // the form that the problems are of: "token" or "gateway"
	Gateway string // of a node to be
	Node    string
	Name    string // of a gateway to be
	Account string // that it is dedicated to
}

// of are the problems of one of the forms.
func (f nodesForm) of(form string) problems {
	if f.In == form {
		return f.problems
	}
	return nil
}

// journal is that of a node that runs; nil: nothing of it has come yet.
func (f nodesForm) journal(n control.Node) *control.Journal {
	for i := range f.Journals {
		if j := &f.Journals[i]; j.Boot == n.Boot && n.Boot != "" {
			return j
		}
	}
	return nil
}

// left are the journals of nodes that do not run.
func (f nodesForm) left() (out []control.Journal) {
	for _, j := range f.Journals {
		if !j.Running {
			out = append(out, j)
		}
	}
	return out
}

func (v *visit) nodes() error { return v.nodesWith(200, nodesForm{}) }

func (v *visit) nodesWith(status int, f nodesForm) error {
	var err error
	if f.DataPlane, err = v.Plane.DataPlane(v.ctx(), v.actor()); err != nil {
		return err
	}
	return v.renderAs(status, nodesView(v.page("Nodes"), f, v.Now()))
}

// createNodeToken shows the token in its answer: it is kept nowhere.
func (v *visit) createNodeToken() error {
	f := nodesForm{In: "token", Gateway: v.value("gateway"), Node: v.value("node")}
	token, err := v.Plane.CreateNodeToken(v.ctx(), v.actor(), f.Gateway, f.Node)
	if invalid(err) || model.KindOf(err) == model.NotFound {
		field := "node"
		if model.KindOf(err) == model.NotFound {
			field = "gateway"
		}
		f.add(field, err)
		return v.nodesWith(422, f)
	}
	if err != nil {
		return err
	}
	p := v.page("Token of node " + f.Node)
	p.Crumbs = []ui.Crumb{{Label: "Nodes", URL: "/operator/nodes"}}
	return v.render(nodeTokenView(p, f.Gateway, f.Node, token, v.Console.String()))
}

// createGateway makes a gateway for nodes and tenants to be given to.
func (v *visit) createGateway() error {
	f := nodesForm{In: "gateway", Name: v.value("name"), Account: v.value("account")}
	g, err := v.Plane.CreateGateway(v.ctx(), v.actor(), f.Name, f.Account)
	if invalid(err) || model.KindOf(err) == model.NotFound {
		field := "name"
		if model.KindOf(err) == model.NotFound {
			field = "account"
		}
		f.add(field, err)
		return v.nodesWith(422, f)
	}
	if err != nil {
		return err
	}
	return v.done("Gateway "+g.Name+" is made. Make a token for its first node.", "/operator/nodes")
}

// tokensOf is a node with its tokens, as the URL names it.
func (v *visit) confirmRevokeTokens() error {
	d, err := v.Plane.DataPlane(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	gateway, node := v.query("gateway"), v.query("node")
	for _, g := range d.Gateways {
		for _, k := range g.Tokens {
			if g.Name == gateway && k.Node == node {
				p := v.page("Revoke the tokens of " + node)
				p.Crumbs = []ui.Crumb{{Label: "Nodes", URL: "/operator/nodes"}}
				return v.render(revokeTokensView(p, g, k))
			}
		}
	}
	return model.Errorf(model.NotFound, "node %q of gateway %q has no token", node, gateway)
}

func revokeURL(gateway, node string) string {
	return "/operator/nodes/revoke?" + url.Values{"gateway": {gateway}, "node": {node}}.Encode()
}

func (v *visit) revokeNodeTokens() error {
	node := v.value("node")
	return v.outcome(v.Plane.RevokeNodeTokens(v.ctx(), v.actor(), v.value("gateway"), node), "The tokens of "+node+" are void: it is refused at its next question.", "/operator/nodes")
}

func (v *visit) forgetNode() error {
	node := v.value("node")
	return v.outcome(v.Plane.ForgetNode(v.ctx(), v.actor(), v.value("gateway"), node), "Node "+node+" is not listed any more. If it comes back, it is again.", "/operator/nodes")
}

func (v *visit) confirmGiveUp() error {
	d, err := v.Plane.DataPlane(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	for _, j := range d.Journals {
		if j.Boot == v.query("boot") && !j.Running && !j.GivenUp {
			p := v.page("Give up a journal")
			p.Crumbs = []ui.Crumb{{Label: "Nodes", URL: "/operator/nodes"}}
			return v.render(giveUpView(p, j))
		}
	}
	return model.Errorf(model.NotFound, "there is no journal %q that is waited for", v.query("boot"))
}

func (v *visit) giveUpJournal() error {
	return v.outcome(v.Plane.GiveUpJournal(v.ctx(), v.actor(), v.value("boot")), "Nobody waits for that journal any more.", "/operator/nodes#journals")
}

// nodeKind is the colour of a node's state.
func nodeKind(s control.NodeState) string {
	switch s {
	case control.NodeLive:
		return "ok"
	case control.NodeDraining:
		return "info"
	case control.NodeSilent:
		return "warn"
	}
	return "danger"
}

// nodeWords say what a node's state means.
var nodeWords = map[control.NodeState]string{
	control.NodeLive: "Live", control.NodeDraining: "Draining", control.NodeSilent: "Silent", control.NodeGone: "Not connected",
}

func gatewayOptions(all []control.GatewayNodes) []ui.Option {
	var out []ui.Option
	for _, g := range all {
		out = append(out, ui.Option{Value: g.Name, Label: g.Name + " (" + g.Kind + ")"})
	}
	return out
}
