package web

import (
	"slices"

	"tollgate/control"
	"tollgate/ui"
	"tollgate/ui/serve"
)

// routes are all of the console and the operator's area. Each part lists its own
// beside its handlers.
func (s *Server) routes() []route {
	return slices.Concat(
		s.commonRoutes(),
		s.authRoutes(),
		s.devMailRoutes(),
		s.memberRoutes(),
		s.accessKeyRoutes(), s.credentialRoutes(),
		s.vpcLinkRoutes(), s.clientCertificateRoutes(),
		s.auditRoutes(),
		s.profileRoutes(),
		s.apiRoutes(),
		s.methodRoutes(),
		s.authorizerRoutes(),
		s.modelRoutes(),
		s.gatewayResponseRoutes(),
		s.corsRoutes(),
		s.apiSettingsRoutes(),
		s.importRoutes(),
		s.documentationRoutes(),
		s.stageRoutes(),
		s.stageSettingsRoutes(),
		s.domainRoutes(),
		s.planRoutes(),
		s.keyRoutes(),
		s.portalSettingsRoutes(),
		s.developerRoutes(),
		s.operatorRoutes(),
		s.operatorTenantRoutes(),
		s.operatorNodeRoutes(),
		s.operatorCheckRoutes(),
		s.operatorBillingRoutes(),
		s.operatorSettingsRoutes(),
		s.usageRoutes(),
		s.callRoutes(),
		s.billingRoutes(),
		s.paymentRoutes(),
		s.creditRoutes(),
	)
}

func (s *Server) commonRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{$}", who: anyone, handle: (*visit).home},
		{method: "POST", pattern: "/theme", who: anyone, handle: (*visit).setTheme},
		{method: "POST", pattern: "/operator/theme", who: anyOperator, handle: (*visit).setTheme},
		{method: "POST", pattern: "/switch", who: signedIn, handle: (*visit).switchAccount},
	}
}

// home goes to where the visitor left off.
func (v *visit) home() error {
	if v.visitor == nil {
		return v.redirect("/sign-in")
	}
	return v.redirect("/overview")
}

// setTheme keeps light, dark or the system's choice.
func (v *visit) setTheme() error {
	serve.SetTheme(v.w, v.value("theme"), v.Console.Scheme == "https")
	return v.redirect(serve.SafeNext(v.value("next"), "/"))
}

// switchAccount goes on with another account that the person is a member of.
func (v *visit) switchAccount() error {
	a, err := v.Plane.SwitchAccount(v.ctx(), v.visitor.ID, v.value("account"))
	if err != nil {
		return err
	}
	v.visitor.Session.Tenant = a
	v.session.Values[keyUnsaved] = true
	return v.redirect("/overview")
}

// consoleNav is the sidebar: what the actor may not open is not in it.
func consoleNav(a control.Actor) []ui.NavGroup {
	may := func(p control.Permission) bool { return a.May(p) == nil }
	item := func(ok bool, label, url, icon string) ui.NavItem {
		return ui.NavItem{Label: label, URL: url, Icon: icon, Hidden: !ok}
	}
	return []ui.NavGroup{
		{Items: []ui.NavItem{item(may(control.ToRead), "Overview", "/overview", "gauge"), item(may(control.ToRead), "APIs", "/apis", "waypoints"),
			item(may(control.ToRead), "Domains", "/domains", "globe")}},
		{Label: "Sell", Items: []ui.NavItem{
			item(may(control.ToRead), "Plans", "/plans", "layers"), item(may(control.ToRead), "Keys", "/keys", "key-round"),
			item(may(control.ToRead), "Developers", "/developers", "users"), item(may(control.ToRead), "Portal", "/portal-settings", "store")}},
		{Label: "Observe", Items: []ui.NavItem{
			item(may(control.ToRead), "Calls", "/calls", "list"), item(may(control.ToRead), "Usage", "/usage", "chart-column"), item(may(control.ToBill), "Billing", "/billing", "receipt")}},
		{Label: "Back ends", Items: []ui.NavItem{
			item(may(control.ToRead), "VPC links", "/vpc-links", "server"), item(may(control.ToRead), "Client certificates", "/client-certificates", "badge-check"),
			item(may(control.ToRead), "Service credentials", "/service-credentials", "shield")}},
		{Label: "Account", Items: []ui.NavItem{
			item(may(control.ToRead), "Members", "/members", "user-cog"), item(may(control.ToRead), "Access keys", "/access-keys", "terminal"),
			item(may(control.ToAudit), "Audit log", "/audit", "scroll-text")}},
	}
}

func operatorNav() []ui.NavGroup {
	return []ui.NavGroup{
		{Items: []ui.NavItem{
			{Label: "Overview", URL: "/operator", Icon: "gauge"}, {Label: "Tenants", URL: "/operator/tenants", Icon: "users"},
			{Label: "Nodes", URL: "/operator/nodes", Icon: "server"}}},
		{Label: "Money", Items: []ui.NavItem{
			{Label: "Prices", URL: "/operator/prices", Icon: "layers"}, {Label: "Billing", URL: "/operator/billing", Icon: "receipt"},
			{Label: "Payments", URL: "/operator/payments", Icon: "credit-card"}, {Label: "Checks", URL: "/operator/checks", Icon: "circle-check"}}},
		{Label: "Installation", Items: []ui.NavItem{
			{Label: "Mail", URL: "/operator/mail", Icon: "mail"}, {Label: "Operators", URL: "/operator/operators", Icon: "user-cog"}, {Label: "Settings", URL: "/operator/settings", Icon: "settings"},
			{Label: "Audit log", URL: "/operator/audit", Icon: "scroll-text"}}},
	}
}
