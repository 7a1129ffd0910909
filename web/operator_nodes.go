package web

import (
	"net/url"
	"strings"

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
		{method: "GET", pattern: "/operator/nodes/forget", who: theOperator, handle: (*visit).confirmForgetNode},
		{method: "POST", pattern: "/operator/nodes/forget", who: theOperator, handle: (*visit).forgetNode},
		{method: "POST", pattern: "/operator/nodes/gateway", who: theOperator, handle: (*visit).createGateway},
		{method: "GET", pattern: "/operator/nodes/place", who: theOperator, handle: (*visit).gatewayPlace},
		{method: "POST", pattern: "/operator/nodes/place", who: theOperator, handle: (*visit).placeGateway},
		{method: "GET", pattern: "/operator/nodes/give-up", who: theOperator, handle: (*visit).confirmGiveUp},
		{method: "POST", pattern: "/operator/nodes/give-up", who: theOperator, handle: (*visit).giveUpJournal},
	}
}

// nodesForm is the data plane with the forms on its page.
type nodesForm struct {
	problems
	control.DataPlane
	Match   string // gateways by their own, an account's or a node's name
	In      string // the form that the problems are of: "token" or "gateway"
	Gateway string // of a node to be
	Node    string
	Name    string // of a gateway to be
	Account string // that it is dedicated to
}

// shown are the gateways that fit the filter.
func (f nodesForm) shown() (out []control.GatewayNodes) {
	q := strings.ToLower(f.Match)
	for _, g := range f.Gateways {
		names := []string{g.Name, g.AccountID}
		for _, n := range g.Nodes {
			names = append(names, n.Name)
		}
		for _, k := range g.Tokens {
			names = append(names, k.Node)
		}
		if strings.Contains(strings.ToLower(strings.Join(names, "\n")), q) {
			out = append(out, g)
		}
	}
	return out
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
	f.Match = v.query("q")
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
	p := v.nodesPage("Token of node " + f.Node)
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
	return v.done("Gateway "+g.Name+" is made.", placeURL(g.Name))
}

// placeForm says where a gateway is.
type placeForm struct {
	problems
	control.Gateway
	Runs bool // tollgate can run a node of it
}

func placeURL(gateway string) string {
	return "/operator/nodes/place?" + url.Values{"gateway": {gateway}}.Encode()
}

func (v *visit) gatewayPlace() error {
	all, err := v.Plane.Gateways(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	for _, g := range all {
		if g.Name == v.query("gateway") {
			return v.render(placeView(v.nodesPage("Where gateway "+g.Name+" is"), placeForm{Gateway: g, Runs: v.RunsGateways}))
		}
	}
	return model.Errorf(model.NotFound, "there is no gateway %q", v.query("gateway"))
}

func (v *visit) placeGateway() error {
	f := placeForm{Runs: v.RunsGateways, Gateway: control.Gateway{Name: v.value("gateway"), Place: control.Place{
		URL: v.value("url"), Addr: v.value("addr"), TLSAddr: v.value("tls_addr")}}}
	err := v.Plane.PlaceGateway(v.ctx(), v.actor(), f.Name, f.Place)
	if invalid(err) {
		f.add("", err)
		return v.renderAs(422, placeView(v.nodesPage("Where gateway "+f.Name+" is"), f))
	}
	message := "Gateway " + f.Name + " is where you said."
	if f.Addr != "" {
		message = "A node of gateway " + f.Name + " is started at " + f.Addr + "."
	}
	return v.outcome(err, message, "/operator/nodes")
}

// nodesPage is a page below the list of nodes.
func (v *visit) nodesPage(title string) ui.Page {
	p := v.page(title)
	p.Crumbs = []ui.Crumb{{Label: "Nodes", URL: "/operator/nodes"}}
	return p
}

func (v *visit) confirmRevokeTokens() error {
	d, err := v.Plane.DataPlane(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	gateway, node := v.query("gateway"), v.query("node")
	for _, g := range d.Gateways {
		for _, k := range g.Tokens {
			if g.Name == gateway && k.Node == node {
				return v.render(revokeTokensView(v.nodesPage("Revoke the tokens of "+node), g, k))
			}
		}
	}
	return model.Errorf(model.NotFound, "node %q of gateway %q has no token", node, gateway)
}

// nodeURL is the page that asks before something is done to a node.
func nodeURL(act, gateway, node string) string {
	return "/operator/nodes/" + act + "?" + url.Values{"gateway": {gateway}, "node": {node}}.Encode()
}

func (v *visit) revokeNodeTokens() error {
	node := v.value("node")
	return v.outcome(v.Plane.RevokeNodeTokens(v.ctx(), v.actor(), v.value("gateway"), node), "The tokens of "+node+" are void: it is refused at its next question.", "/operator/nodes")
}

func (v *visit) confirmForgetNode() error {
	d, err := v.Plane.DataPlane(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	gateway, node := v.query("gateway"), v.query("node")
	for _, g := range d.Gateways {
		for _, n := range g.Nodes {
			if g.Name == gateway && n.Name == node {
				return v.render(forgetNodeView(v.nodesPage("Forget node "+node), g, n, v.Now()))
			}
		}
	}
	return model.Errorf(model.NotFound, "gateway %q has no node %q", gateway, node)
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
			return v.render(giveUpView(v.nodesPage("Give up a journal"), j))
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
