package control_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/control"
	"tollgate/control/cfn"
	"tollgate/control/openapi"
	"tollgate/control/sdk"
	"tollgate/model"
)

// foreign is what one tenant has, in the hands of another.
type foreign struct {
	*world
	mine                control.Actor // who asks
	plan                string        // a plan and a key of the asker's own
	key                 string
	d                   control.Deployed // the other tenant's
	plan2               string
	key2                control.CreatedKey
	sub2                control.Subscription // of an app of the other's developer
	developer2          string
	portal2             control.Portal
	certificate2, link2 string
	server2             string               // certificate of a domain, otherDomain
	private2            string               // key of a private domain, which vpce-1 is associated with
	node                control.NodeIdentity // of the asker's dedicated gateway
	call2               model.CallEntry      // in the other's call log
}

// isolation calls every exported method of Plane with another tenant's ids. Where
// a method has no ids, it must show nothing of the other tenant (nil error), or
// the entry says why nothing can be asked for with it.
var isolation = map[string]any{
	"Start": "the process's own", "Stop": "the process's own",
	"Owner": "for the command line on the machine: it is how an actor is got", "AccessKey": "who the caller is",
	"AuthenticateNode": "who the caller is", "Visitor": "who the caller is",
	"TrialCredentials": "the process's own, for trials of those who may build the account's APIs",
	"TrialLinks":       "the process's own, for trials of those who may build the account's APIs",
	"SaveSession":      "who asks has checked whose it is", "EndSession": "takes the id's hash, which only its browser has",
	"Site":  "for everybody",
	"Prune": "made for tests",

	"SwitchAccount": func(f foreign) error {
		var person string
		f.all(fmt.Sprintf(`select person_id from member where member_id = '%s'`, f.mine.Member), &person)
		return second(f.SwitchAccount(f.ctx, person, f.other()))
	},
	"Members": func(f foreign) error {
		l, err := f.Members(f.ctx, f.mine)
		return only(l.Members, err, func(m control.Member) bool { return m.ID == f.mine.Member })
	},
	"Invite":           func(f foreign) error { return f.Invite(f.ctx, viewer(f.mine), "x@example.com", control.RoleViewer) },
	"RevokeInvitation": func(f foreign) error { return f.RevokeInvitation(f.ctx, f.mine, "x") },
	"SetRole":          func(f foreign) error { return f.SetRole(f.ctx, f.mine, f.otherMember(), control.RoleViewer) },
	"RemoveMember":     func(f foreign) error { return f.RemoveMember(f.ctx, f.mine, f.otherMember()) },
	"RenameAccount":    func(f foreign) error { return f.RenameAccount(f.ctx, viewer(f.mine), "x") },
	"AccessKeys": func(f foreign) error {
		l, err := f.AccessKeys(f.ctx, f.mine)
		return only(l, err, func(k control.AccessKeyInfo) bool { return k.MemberID == f.mine.Member })
	},
	"CreateAccessKey": func(f foreign) error {
		a := f.mine
		a.Member = f.otherMember()
		_, _, err := f.CreateAccessKey(f.ctx, a)
		return err
	},
	"SetAccessKeyEnabled": func(f foreign) error { return f.SetAccessKeyEnabled(f.ctx, f.mine, f.otherAccessKey(), false) },
	"SetAccessKeyPolicy":  func(f foreign) error { return f.SetAccessKeyPolicy(f.ctx, f.mine, f.otherAccessKey(), "") },
	"DeleteAccessKey":     func(f foreign) error { return f.DeleteAccessKey(f.ctx, f.mine, f.otherAccessKey()) },
	"Audit": func(f foreign) error {
		l, err := f.Audit(f.ctx, f.mine, control.AuditFilter{Target: f.d.Stage.APIID})
		return empty(l.Items, err)
	},
	"OperatorAudit":          func(f foreign) error { return second(f.OperatorAudit(f.ctx, f.mine, control.AuditFilter{})) },
	"CreateOperator":         func(f foreign) error { return second(f.CreateOperator(f.ctx, f.mine, "x@example.com", "", "")) },
	"ResetOperatorPassword":  func(f foreign) error { return second(f.ResetOperatorPassword(f.ctx, f.mine, "x@example.com", "")) },
	"ChangeOperatorPassword": func(f foreign) error { return f.ChangeOperatorPassword(f.ctx, f.mine, "", "xxxxxxxx", nil) },
	"MailSettings":           func(f foreign) error { return second(f.MailSettings(f.ctx, f.mine)) },
	"SetMailSettings":        func(f foreign) error { return f.SetMailSettings(f.ctx, f.mine, control.MailSettings{}, nil) },
	"TestMail":               func(f foreign) error { return f.TestMail(f.ctx, f.mine, "x@example.com") },
	"Mails":                  func(f foreign) error { return second(f.Mails(f.ctx, f.mine, control.MailFilter{})) },
	"RetryMail":              func(f foreign) error { return f.RetryMail(f.ctx, f.mine, 1) },
	"SetConsole":             "the process's own", "Undeployable": "reads what it is given alone", "AddWorkers": "the process's own", "Periodic": "the process's own", "ACMEFiles": "the process's own",
	"SignUp": "nobody yet", "SignUpOpen": "for everybody", "PendingSignUp": "takes a link's token", "PendingReset": "takes a link's token",
	"InviteToSignUp":         func(f foreign) error { return f.InviteToSignUp(f.ctx, f.mine, "x@example.com") },
	"SignUpInvitations":      func(f foreign) error { return second(f.SignUpInvitations(f.ctx, f.mine, control.Page{})) },
	"SignUpInvitation":       func(f foreign) error { return second(f.SignUpInvitation(f.ctx, f.mine, "x")) },
	"RevokeSignUpInvitation": func(f foreign) error { return f.RevokeSignUpInvitation(f.ctx, f.mine, "x") },
	"ConfirmSignUp":          "takes a link's token", "SignIn": "who the caller is", "OperatorSignIn": "who the caller is",
	"RequestReset": "nobody yet", "ResetPassword": "takes a link's token", "Offer": "takes a link's token", "Join": "takes a link's token",
	"SetPersonName": "of who is signed in", "ChangePassword": "of who is signed in", "SessionsOf": "of who is signed in", "EndSessions": "of who is signed in",
	"HasMailServer": "for everybody", "LocalMail": "for the machine itself",

	"CreateAPI": func(f foreign) error { return second(f.CreateAPI(f.ctx, viewer(f.mine), "x", "")) },
	"CreateKeys": func(f foreign) error {
		_, _, err := f.CreateKeys(f.ctx, f.mine, []control.NewKey{{Value: model.NewKeyValue(true), PlanIDs: []string{f.plan2}}}, true)
		return err
	},
	"UpdateKey": func(f foreign) error {
		return second(f.UpdateKey(f.ctx, f.mine, f.key2.ID, func(*control.KeySpec) error { return nil }))
	},
	"KeyValues": func(f foreign) error {
		values, err := f.KeyValues(f.ctx, f.mine, []string{f.key2.ID})
		if len(values) > 0 {
			return fmt.Errorf("shown %v", values)
		}
		return err
	},
	"QuotaExtension": func(f foreign) error { return second(f.QuotaExtension(f.ctx, f.mine, f.plan2, f.key2.ID)) },
	"ExtendQuota":    func(f foreign) error { return f.ExtendQuota(f.ctx, f.mine, f.plan2, f.key2.ID, 1) },
	"AddAPI": func(f foreign) error {
		return second(f.AddAPI(f.ctx, viewer(f.mine), &model.Definition{Name: "x"}, nil, nil))
	},
	"Tags": func(f foreign) error { return second(f.Tags(f.ctx, f.mine, "/restapis/"+f.d.Stage.APIID)) },
	"CreateDocumentationVersion": func(f foreign) error {
		return second(f.CreateDocumentationVersion(f.ctx, f.mine, control.NewDocumentationVersion{APIID: f.d.Stage.APIID, Version: "2", Stage: "prod"}))
	},
	"DocumentationVersions": func(f foreign) error {
		return second(f.DocumentationVersions(f.ctx, f.mine, f.d.Stage.APIID, control.Page{}))
	},
	"DocumentationVersion": func(f foreign) error { return second(f.DocumentationVersion(f.ctx, f.mine, f.d.Stage.APIID, "1")) },
	"DescribeDocumentationVersion": func(f foreign) error {
		return second(f.DescribeDocumentationVersion(f.ctx, f.mine, f.d.Stage.APIID, "1", "x"))
	},
	"DeleteDocumentationVersion": func(f foreign) error { return f.DeleteDocumentationVersion(f.ctx, f.mine, f.d.Stage.APIID, "1") },
	"AccountSettings": func(f foreign) error {
		s, err := f.AccountSettings(f.ctx, f.mine)
		if s.LogRoleARN != "" {
			return fmt.Errorf("shown %+v", s)
		}
		return err
	},
	"SetLogRole": func(f foreign) error { return f.SetLogRole(f.ctx, viewer(f.mine), "") },
	"GenerateClientCertificate": func(f foreign) error {
		return second(f.GenerateClientCertificate(f.ctx, viewer(f.mine), "", nil))
	},
	"ClientCertificates": func(f foreign) error {
		l, err := f.ClientCertificates(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"ClientCertificate":         func(f foreign) error { return second(f.ClientCertificate(f.ctx, f.mine, f.certificate2)) },
	"DescribeClientCertificate": func(f foreign) error { return second(f.DescribeClientCertificate(f.ctx, f.mine, f.certificate2, "x")) },
	"DeleteClientCertificate":   func(f foreign) error { return f.DeleteClientCertificate(f.ctx, f.mine, f.certificate2) },
	"ClientCertificateStages":   func(f foreign) error { return second(f.ClientCertificateStages(f.ctx, f.mine, f.certificate2)) },
	"ReplaceClientCertificate": func(f foreign) error {
		_, _, err := f.ReplaceClientCertificate(f.ctx, f.mine, f.certificate2, f.certificate2)
		return err
	},
	"VPCLinkHealth": func(f foreign) error { // another's node says something, of a link that is not on its gateway
		h, err := f.VPCLinkHealth(f.ctx, f.mine, "")
		if err == nil && len(h.Targets) > 0 {
			return fmt.Errorf("shown %+v", h)
		}
		return second(f.VPCLinkHealth(f.ctx, f.mine, f.link2))
	},
	"VPCLinkUses": func(f foreign) error { return second(f.VPCLinkUses(f.ctx, f.mine, f.link2)) },
	"ServiceCredentials": func(f foreign) error {
		l, err := f.ServiceCredentials(f.ctx, f.mine)
		return only(l, err, func(c control.ServiceCredential) bool { return c.AccessKeyID == "AKIAMINE" })
	},
	"PutServiceCredential": func(f foreign) error { // under the same name each has its own
		mine := storedCredential
		mine.AccessKeyID = "AKIAMINE"
		return second(f.PutServiceCredential(f.ctx, f.mine, mine))
	},
	"DeleteServiceCredential": func(f foreign) error { return f.DeleteServiceCredential(f.ctx, f.mine, otherRole) },
	"MissingCredentials": func(f foreign) error {
		d := &model.Definition{Resources: []model.Resource{{Path: "/", Methods: map[string]model.Method{"GET": {Integration: &model.Integration{Type: model.IntegrationAWS, Credentials: otherRole}}}}}}
		l, err := f.MissingCredentials(f.ctx, f.mine, d)
		if len(l) == 0 {
			return fmt.Errorf("the other tenant's is taken for its own")
		}
		return err
	},
	"CreateVPCLink": func(f foreign) error { return second(f.CreateVPCLink(f.ctx, viewer(f.mine), link())) },
	"VPCLinks": func(f foreign) error {
		l, err := f.VPCLinks(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"VPCLink": func(f foreign) error { return second(f.VPCLink(f.ctx, f.mine, f.link2)) },
	"UpdateVPCLink": func(f foreign) error {
		return second(f.UpdateVPCLink(f.ctx, f.mine, f.link2, func(*control.VPCLink) error { return nil }))
	},
	"DeleteVPCLink": func(f foreign) error { return f.DeleteVPCLink(f.ctx, f.mine, f.link2) },
	"CreateDomain": func(f foreign) error {
		return second(f.CreateDomain(f.ctx, viewer(f.mine), control.NewDomain{Name: "x.example.com"}))
	},
	"Domains": func(f foreign) error {
		l, err := f.Domains(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"Domain": func(f foreign) error {
		return both(second(f.Domain(f.ctx, f.mine, otherDomain)), second(f.Domain(f.ctx, f.mine, f.private2)))
	},
	"UpdateDomain": func(f foreign) error {
		return second(f.UpdateDomain(f.ctx, f.mine, otherDomain, func(*control.DomainEdit) error { return nil }))
	},
	"DeleteDomain": func(f foreign) error {
		return both(f.DeleteDomain(f.ctx, f.mine, otherDomain), f.DeleteDomain(f.ctx, f.mine, f.private2))
	},
	"AccessAssociations": func(f foreign) error {
		l, err := f.AccessAssociations(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"Associate":         func(f foreign) error { return second(f.Associate(f.ctx, f.mine, f.private2, "vpce-2", nil)) },
	"Dissociate":        func(f foreign) error { return f.Dissociate(f.ctx, f.mine, f.private2, "vpce-1") },
	"RejectAssociation": func(f foreign) error { return f.RejectAssociation(f.ctx, f.mine, f.private2, "vpce-1") },
	"Mappings":          func(f foreign) error { return second(f.Mappings(f.ctx, f.mine, otherDomain, control.Page{})) },
	"Mapping":           func(f foreign) error { return second(f.Mapping(f.ctx, f.mine, otherDomain, "")) },
	"CreateMapping":     func(f foreign) error { return second(f.CreateMapping(f.ctx, f.mine, otherDomain, model.Mapping{})) },
	"UpdateMapping": func(f foreign) error {
		return second(f.UpdateMapping(f.ctx, f.mine, otherDomain, "", func(*model.Mapping) error { return nil }))
	},
	"DeleteMapping": func(f foreign) error { return f.DeleteMapping(f.ctx, f.mine, otherDomain, "") },
	"RoutingRules":  func(f foreign) error { return second(f.RoutingRules(f.ctx, f.mine, otherDomain)) },
	"RoutingRule":   func(f foreign) error { return second(f.RoutingRule(f.ctx, f.mine, otherDomain, "x")) },
	"CreateRoutingRule": func(f foreign) error {
		return second(f.CreateRoutingRule(f.ctx, f.mine, otherDomain, model.RoutingRule{Priority: 1}))
	},
	"PutRoutingRule": func(f foreign) error {
		return f.PutRoutingRule(f.ctx, f.mine, otherDomain, model.RoutingRule{ID: "x", Priority: 1})
	},
	"DeleteRoutingRule": func(f foreign) error { return f.DeleteRoutingRule(f.ctx, f.mine, otherDomain, "x") },
	"CheckName":         func(f foreign) error { return second(f.CheckName(f.ctx, f.mine, otherDomain)) },
	"CheckNames":        "a background job's: it tells nothing",
	"Certificates": func(f foreign) error {
		l, err := f.Certificates(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"Certificate": func(f foreign) error { return second(f.Certificate(f.ctx, f.mine, f.server2)) },
	"ImportCertificate": func(f foreign) error {
		return second(f.ImportCertificate(f.ctx, f.mine, f.server2, serverCertificate(f.world, otherDomain), nil))
	},
	"RequestCertificate": func(f foreign) error {
		return second(f.RequestCertificate(f.ctx, viewer(f.mine), "x.example.com", nil))
	},
	"DeleteCertificate": func(f foreign) error { return f.DeleteCertificate(f.ctx, f.mine, f.server2) },
	"SetTags": func(f foreign) error {
		return f.SetTags(f.ctx, f.mine, "/restapis/"+f.d.Stage.APIID, map[string]string{"a": "b"}, nil)
	},
	"Compare": func(f foreign) error {
		return both(second(f.Compare(f.ctx, f.mine, f.d.Stage.APIID, "", "")), second(f.Compare(f.ctx, f.mine, f.d.Stage.APIID, f.d.Deployment.ID, "")))
	},
	"SetUp": func(f foreign) error {
		s, err := f.SetUp(f.ctx, f.mine)
		if s.APIs != 0 || s.Deployed || s.Keys != 1 || len(s.Latest) != 0 {
			return fmt.Errorf("shown %+v", s)
		}
		return err
	},
	"DeveloperSignUp": "nobody yet", "PendingDeveloper": "takes a link's token", "ConfirmDeveloper": "takes a link's token", "DeveloperSignIn": "who the caller is",
	"RequestDeveloperReset": "nobody yet", "ResetDeveloperPassword": "takes a link's token",
	"Catalogue": "for everybody", "Documented": "for everybody; TestDevelopersAreApart", "SiteClient": "for everybody; TestDevelopersAreApart",
	"LargeDocuments": "the portals' own: no visitor asks for it", "FollowPortals": "the portals' own: it tells nothing",
	"DeveloperProfile":        func(f foreign) error { return second(f.DeveloperProfile(f.ctx, customer(f.mine))) },
	"SetDeveloperProfile":     func(f foreign) error { return f.SetDeveloperProfile(f.ctx, customer(f.mine), control.Profile{}) },
	"ChangeDeveloperPassword": func(f foreign) error { return f.ChangeDeveloperPassword(f.ctx, f.mine, "", "xxxxxxxx", nil) },
	"MyApps":                  func(f foreign) error { return second(f.MyApps(f.ctx, customer(f.mine))) },
	"CreateApp": func(f foreign) error {
		_, _, err := f.CreateApp(f.ctx, customer(f.mine), "x", f.plan2)
		return err
	},
	"RenameApp":    func(f foreign) error { return f.RenameApp(f.ctx, customer(f.mine), "x", "x") },
	"DeleteApp":    func(f foreign) error { return f.DeleteApp(f.ctx, customer(f.mine), "x") },
	"SubscribeApp": func(f foreign) error { return second(f.SubscribeApp(f.ctx, customer(f.mine), "x", f.plan2)) },
	"ChangePlans":  "the process's own",
	"AnnouncePrice": func(f foreign) error {
		return f.AnnouncePrice(f.ctx, f.mine, f.plan2, model.PriceSheet{Currency: "USD", MonthlyFee: "1"}, time.Now().AddDate(0, 0, 2), true)
	},
	"TakeBackPrice": func(f foreign) error { return f.TakeBackPrice(f.ctx, f.mine, f.plan2) },
	"TrySwitch": func(f foreign) error {
		return pgx.BeginFunc(f.ctx, f.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(f.ctx, `select set_config('tollgate.tenant', '*', true)`); err != nil { // the fence is the statement's
				return err
			}
			return f.TrySwitch(f.mine, control.PlanSwitch{Subscription: f.sub2.ID, PlanID: f.plan}, new(control.SwitchEffect))(f.ctx, tx)
		})
	},
	"MoveSubscription": func(f foreign) error {
		return f.MoveSubscription(f.ctx, f.mine, control.PlanSwitch{Subscription: f.sub2.ID, PlanID: f.plan})
	},
	"KeepPlan":    func(f foreign) error { return f.KeepPlan(f.ctx, f.mine, f.sub2.ID) },
	"KeepAppPlan": func(f foreign) error { return f.KeepAppPlan(f.ctx, customer(f.mine), f.sub2.ID) },
	"ChangeAppPlan": func(f foreign) error {
		return f.ChangeAppPlan(f.ctx, customer(f.mine), control.PlanSwitch{Subscription: f.sub2.ID, PlanID: f.plan})
	},
	"CancelAppSubscription": func(f foreign) error {
		return f.CancelAppSubscription(f.ctx, customer(f.mine), f.key2.Plans[0].Subscription)
	},
	"SetAppSpendLimit": func(f foreign) error {
		return f.SetAppSpendLimit(f.ctx, customer(f.mine), f.sub2.ID, control.SpendLimit{Cap: "1"})
	},
	"SetSpendLimit": func(f foreign) error {
		return f.SetSpendLimit(f.ctx, f.mine, f.sub2.ID, control.SpendLimit{Cap: "1"})
	},
	"SpendAlert":    func(f foreign) error { return second(f.SpendAlert(f.ctx, f.mine)) },
	"SetSpendAlert": func(f foreign) error { return f.SetSpendAlert(f.ctx, f.mine, "7") },
	"CreateAppKey": func(f foreign) error {
		return second(f.CreateAppKey(f.ctx, customer(f.mine), f.key2.Plans[0].Subscription, "x"))
	},
	"RevokeAppKey": func(f foreign) error { return f.RevokeAppKey(f.ctx, customer(f.mine), f.key2.ID) },

	"CreateTenant":     func(f foreign) error { return second(f.CreateTenant(f.ctx, f.mine, control.NewTenant{})) },
	"Tenants":          func(f foreign) error { return second(f.Tenants(f.ctx, f.mine, control.TenantFilter{})) },
	"SetTenantCaps":    func(f foreign) error { return f.SetTenantCaps(f.ctx, f.mine, f.other(), model.Caps{}) },
	"SuspendTenant":    func(f foreign) error { return f.SuspendTenant(f.ctx, f.mine, f.other(), "r") },
	"ResumeTenant":     func(f foreign) error { return f.ResumeTenant(f.ctx, f.mine, f.other()) },
	"MoveTenant":       func(f foreign) error { return f.MoveTenant(f.ctx, f.mine, f.other(), "shared") },
	"CreateGateway":    func(f foreign) error { return second(f.CreateGateway(f.ctx, f.mine, "g", f.other())) },
	"GatewayURL":       "the public address that callers of a tenant are told",
	"PlaceGateway":     func(f foreign) error { return f.PlaceGateway(f.ctx, f.mine, "own", control.Place{}) },
	"Gateways":         func(f foreign) error { return second(f.Gateways(f.ctx, f.mine)) },
	"AdmitNodeToken":   func(f foreign) error { return f.AdmitNodeToken(f.ctx, f.mine, "shared", "n", control.NewNodeToken()) },
	"CreateNodeToken":  func(f foreign) error { return second(f.CreateNodeToken(f.ctx, f.mine, "shared", "n")) },
	"RevokeNodeTokens": func(f foreign) error { return f.RevokeNodeTokens(f.ctx, f.mine, "shared", "n") },

	"Installation":     func(f foreign) error { return second(f.Installation(f.ctx, f.mine)) },
	"SetSignUp":        func(f foreign) error { return f.SetSignUp(f.ctx, f.mine, control.SignUpOpen) },
	"SetSeller":        func(f foreign) error { return f.SetSeller(f.ctx, f.mine, model.Party{}) },
	"TenantDetail":     func(f foreign) error { return second(f.TenantDetail(f.ctx, f.mine, f.other())) },
	"DataPlane":        func(f foreign) error { return second(f.DataPlane(f.ctx, f.mine)) },
	"OperatorOverview": func(f foreign) error { return second(f.OperatorOverview(f.ctx, f.mine)) },
	"GiveUpJournal":    func(f foreign) error { return f.GiveUpJournal(f.ctx, f.mine, "x") },
	"Operators":        func(f foreign) error { return second(f.Operators(f.ctx, f.mine)) },
	"RemoveOperator":   func(f foreign) error { return f.RemoveOperator(f.ctx, f.mine, "x") },
	"ForgetNode":       func(f foreign) error { return f.ForgetNode(f.ctx, f.mine, "shared", "n1") },

	"ImportAPI": func(f foreign) error {
		return second(f.ImportAPI(f.ctx, f.mine, control.ImportAPI{Source: []byte(petsDocument), APIID: f.d.Stage.APIID}))
	},
	"CheckImport": func(f foreign) error {
		return second(f.CheckImport(f.ctx, f.mine, control.ImportAPI{Source: []byte(petsDocument), APIID: f.d.Stage.APIID}))
	},
	"APIs": func(f foreign) error {
		l, err := f.APIs(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"API":       func(f foreign) error { return second(f.API(f.ctx, f.mine, f.d.Stage.APIID)) },
	"Source":    func(f foreign) error { return second(f.Source(f.ctx, f.mine, f.d.Stage.APIID)) },
	"DeleteAPI": func(f foreign) error { return f.DeleteAPI(f.ctx, f.mine, f.d.Stage.APIID, true) },
	"UpdateDefinition": func(f foreign) error {
		return second(f.UpdateDefinition(f.ctx, f.mine, f.d.Stage.APIID, 0, func(*model.Definition) error {
			return errors.New("the edit of a foreign definition was called")
		}))
	},
	"Deploy": func(f foreign) error {
		return second(f.Deploy(f.ctx, f.mine, control.Deploy{APIID: f.d.Stage.APIID, Stage: "prod"}))
	},
	"CreateDeployment": func(f foreign) error {
		return second(f.CreateDeployment(f.ctx, f.mine, control.NewDeployment{APIID: f.d.Stage.APIID}))
	},
	"APIDeployment": func(f foreign) error {
		return second(f.APIDeployment(f.ctx, f.mine, f.d.Stage.APIID, f.d.Deployment.ID))
	},
	"DeployedMethods": func(f foreign) error {
		return second(f.DeployedMethods(f.ctx, f.mine, f.d.Stage.APIID, []string{f.d.Deployment.ID}))
	},
	"DescribeDeployment": func(f foreign) error {
		return second(f.DescribeDeployment(f.ctx, f.mine, f.d.Stage.APIID, f.d.Deployment.ID, "x"))
	},
	"DeleteDeployment": func(f foreign) error {
		return f.DeleteDeployment(f.ctx, f.mine, f.d.Stage.APIID, f.d.Deployment.ID)
	},
	"Stage": func(f foreign) error { return second(f.Stage(f.ctx, f.mine, f.d.Stage.APIID, "prod")) },
	"StageClient": func(f foreign) error {
		return second(f.StageClient(f.ctx, f.mine, f.d.Stage.APIID, "prod", sdk.Options{Language: "javascript"}))
	},
	"ExportStage": func(f foreign) error {
		return second(f.ExportStage(f.ctx, f.mine, f.d.Stage.APIID, "prod", openapi.ExportOptions{}))
	},
	"StageDefinition": func(f foreign) error { return second(f.StageDefinition(f.ctx, f.mine, f.d.Stage.APIID, "prod")) },
	"TakeStack": func(f foreign) error {
		got, err := f.TakeStack(f.ctx, f.mine, &cfn.Plan{Stack: "s", Plans: []cfn.UsagePlan{{Logical: "P", Name: "p", Stages: []model.PlanStage{{APIID: f.d.Stage.APIID, Stage: "prod"}}}}})
		if err != nil || got.Things[0].Done != "refused" {
			return err
		}
		return model.Errorf(model.NotFound, "%s", got.Things[0].Why)
	},
	"StageNames": func(f foreign) error {
		l, err := f.StageNames(f.ctx, f.mine)
		return only(l, err, func(n control.StageName) bool { return n.APIID != f.d.Stage.APIID })
	},
	"PutDocument": func(f foreign) error {
		return second(f.PutDocument(f.ctx, f.mine, f.d.Stage.APIID, &control.Document{Name: "x"}, nil, func(*model.Definition) error { return nil }))
	},
	"CompareVersions": func(f foreign) error {
		if _, err := f.CompareVersions(f.ctx, f.mine, f.d.Stage.APIID, control.Version{}, control.Version{Stage: "prod"}); model.KindOf(err) != model.NotFound {
			return err
		}
		return second(f.CompareVersions(f.ctx, f.mine, f.d.Stage.APIID, control.Version{}, control.Version{Deployment: f.d.Deployment.ID}))
	},
	"CreateStage": func(f foreign) error {
		return second(f.CreateStage(f.ctx, f.mine, control.NewStage{APIID: f.d.Stage.APIID, Name: "new", StageEdit: control.StageEdit{DeploymentID: f.d.Deployment.ID}}))
	},
	"UpdateStage": func(f foreign) error {
		return second(f.UpdateStage(f.ctx, f.mine, f.d.Stage.APIID, "prod", func(*control.StageEdit) error {
			return errors.New("the edit of a foreign stage was called")
		}))
	},
	"FlushStageCache":       func(f foreign) error { return f.FlushStageCache(f.ctx, f.mine, f.d.Stage.APIID, "prod") },
	"FlushStageAuthorizers": func(f foreign) error { return f.FlushStageAuthorizers(f.ctx, f.mine, f.d.Stage.APIID, "prod") },
	"Stages":                func(f foreign) error { return second(f.Stages(f.ctx, f.mine, f.d.Stage.APIID)) },
	"DeleteStage":           func(f foreign) error { return f.DeleteStage(f.ctx, f.mine, f.d.Stage.APIID, "prod") },
	"Deployments": func(f foreign) error {
		return second(f.Deployments(f.ctx, f.mine, f.d.Stage.APIID, control.Page{}))
	},
	"Rollback": func(f foreign) error {
		return second(f.Rollback(f.ctx, f.mine, f.d.Stage.APIID, "prod", f.d.Deployment.ID))
	},
	"SetStageThrottle": func(f foreign) error {
		return second(f.SetStageThrottle(f.ctx, f.mine, f.d.Stage.APIID, "prod", nil))
	},
	"Await": func(f foreign) error { // the actor's own gateway, which no other tenant's nodes are on
		l, err := f.Await(f.ctx, f.mine, 1<<40)
		for _, r := range l {
			if r.Gateway != f.node.GatewayName {
				return fmt.Errorf("shown %+v", r)
			}
		}
		return err
	},

	"CreatePlan": func(f foreign) error {
		return second(f.CreatePlan(f.ctx, f.mine, control.PlanSpec{Name: "P", Stages: []model.PlanStage{{APIID: f.d.Stage.APIID, Stage: "prod"}}}))
	},
	"UpdatePlan": func(f foreign) error {
		return second(f.UpdatePlan(f.ctx, f.mine, f.plan2, func(*control.PlanSpec) error { return errors.New("edited") }))
	},
	"DeletePlan": func(f foreign) error { return f.DeletePlan(f.ctx, f.mine, f.plan2) },
	"Plan":       func(f foreign) error { return second(f.Plan(f.ctx, f.mine, f.plan2)) },
	"Plans": func(f foreign) error {
		l, err := f.Plans(f.ctx, f.mine, control.Page{})
		return only(l.Items, err, func(p control.Plan) bool { return p.ID == f.plan })
	},

	"CreateKey": func(f foreign) error {
		return second(f.CreateKey(f.ctx, f.mine, control.NewKey{PlanIDs: []string{f.plan2}}))
	},
	"ImportKeys": func(f foreign) error {
		return second(f.ImportKeys(f.ctx, f.mine, f.plan2, []control.NewKey{{Value: model.NewKeyValue(true)}}))
	},
	"Key": func(f foreign) error { return second(f.Key(f.ctx, f.mine, f.key2.ID)) },
	"Keys": func(f foreign) error {
		l, err := f.Keys(f.ctx, f.mine, control.KeyFilter{Page: control.Page{Match: f.key2.Value}})
		if err := empty(l.Items, err); err != nil {
			return err
		}
		return second(f.Keys(f.ctx, f.mine, control.KeyFilter{PlanID: f.plan2}))
	},
	"SetKeyEnabled": func(f foreign) error { return f.SetKeyEnabled(f.ctx, f.mine, f.key2.ID, false) },
	"DeleteKey":     func(f foreign) error { return f.DeleteKey(f.ctx, f.mine, f.key2.ID) },
	"Subscribe": func(f foreign) error {
		return both(second(f.Subscribe(f.ctx, f.mine, f.key, f.plan2)), second(f.Subscribe(f.ctx, f.mine, f.key2.ID, f.plan)))
	},
	"Unsubscribe": func(f foreign) error {
		return both(f.Unsubscribe(f.ctx, f.mine, f.key, f.plan2), f.Unsubscribe(f.ctx, f.mine, f.key2.ID, f.plan2))
	},
	"MoveKey": func(f foreign) error {
		return both(second(f.MoveKey(f.ctx, f.mine, f.key, f.plan, f.plan2)), second(f.MoveKey(f.ctx, f.mine, f.key2.ID, f.plan2, f.plan)))
	},

	"Calls": func(f foreign) error {
		l, err := f.Calls(f.ctx, f.mine, control.CallFilter{})
		if l.Left+l.Lines > 0 {
			return fmt.Errorf("shown %+v", l)
		}
		return empty(l.Items, err)
	},
	"FollowCalls": func(f foreign) error {
		l, err := f.FollowCalls(f.ctx, f.mine, control.CallFilter{}, "0", 0)
		if l.Left+l.Lines > 0 {
			return fmt.Errorf("shown %+v", l)
		}
		return empty(l.Items, err)
	},
	"Call": func(f foreign) error { return second(f.Call(f.ctx, f.mine, model.BootID(f.call2.ID).String())) },
	"TakeCalls": func(f foreign) error { // what it tells of others is left aside: the dump has it
		b := model.CallBatch{Boot: model.BootID{3}, Seq: 1, Calls: []model.CallEntry{f.call2}, Left: []model.CallsLeft{{Tenant: f.call2.Tenant, Stage: f.call2.Stage, Calls: 1}}}
		b.Calls[0].ID[1] = 99
		return f.TakeCalls(f.ctx, f.node, b.Encode(nil))
	},
	"PlanDetail":         func(f foreign) error { return second(f.PlanDetail(f.ctx, f.mine, f.plan2)) },
	"CallsSince":         "a setting of the installation",
	"MoveToCurrentPrice": func(f foreign) error { return second(f.MoveToCurrentPrice(f.ctx, f.mine, f.plan2)) },
	"KeyDetail":          func(f foreign) error { return second(f.KeyDetail(f.ctx, f.mine, f.key2.ID)) },
	"EndSubscription":    func(f foreign) error { return f.EndSubscription(f.ctx, f.mine, f.sub2.ID) },
	"Customers": func(f foreign) error {
		l, err := f.Customers(f.ctx, f.mine, control.Page{})
		return empty(l.Items, err)
	},
	"Customer":            func(f foreign) error { return second(f.Customer(f.ctx, f.mine, f.developer2)) },
	"Post":                "the process's own",
	"SetOverdue":          func(f foreign) error { return f.SetOverdue(f.ctx, f.mine.Tenant, f.developer2, true) },
	"SetCustomerDisabled": func(f foreign) error { return f.SetCustomerDisabled(f.ctx, f.mine, f.developer2, true) },
	"Portal": func(f foreign) error {
		p, err := f.Portal(f.ctx, f.mine)
		if p.Made || p.Slug == f.portal2.Slug || len(p.APIs)+len(p.Choices) > 0 {
			return fmt.Errorf("shown %+v", p)
		}
		return only(p.Plans, err, func(p control.Plan) bool { return p.ID == f.plan })
	},
	"UpsertPortal": func(f foreign) error { // the other's is not shown to edit
		return second(f.UpsertPortal(f.ctx, f.mine, func(s *control.PortalSpec) error {
			if s.Slug == f.portal2.Slug || s.Title == f.portal2.Title {
				return fmt.Errorf("shown %+v", *s)
			}
			return model.Errorf(model.NotFound, "as it should be")
		}))
	},
	"PublishAPI":   func(f foreign) error { return f.PublishAPI(f.ctx, f.mine, f.d.Stage.APIID, "prod", "") },
	"UnpublishAPI": func(f foreign) error { return f.UnpublishAPI(f.ctx, f.mine, f.d.Stage.APIID) },

	"Changes": func(f foreign) error {
		c, err := f.Changes(f.ctx, f.node, hello(0))
		if err != nil {
			return err
		}
		return only(c.Tenants, nil, func(t model.TenantConfig) bool {
			return t.Num == f.mine.Tenant && len(c.Stages) == 0 && len(c.Keys) == 1 && len(c.Signers) == 1 && c.Signers[0].Tenant == t.Num
		})
	},
	"Deployment": func(f foreign) error { return second(f.Deployment(f.ctx, f.node, f.d.Deployment.ID)) },
	"Leases": func(f foreign) error {
		l, err := f.Leases(f.ctx, f.node, []model.LeaseRequest{{Boot: "b", Tenant: f.key2tenant(), Want: 1, Return: 1,
			Subscription: f.key2.Plans[0].Subscription, At: time.Now()}})
		if err == nil && l[0] != (model.Lease{}) {
			return fmt.Errorf("leased %+v", l[0])
		}
		return err
	},
	"Limits": func(f foreign) error { // told of its own gateway's nodes, and of nothing recalled
		a, err := f.Limits(f.ctx, f.node, model.LimitReport{Boot: "b", Buckets: []model.BucketDemand{{ID: 1, Demand: 2}}})
		if err == nil && (a.Nodes != 1 || len(a.Recalls) > 0 || len(a.Shares) != 1 || a.Shares[0] != 1) {
			return fmt.Errorf("told %+v", a)
		}
		return err
	},
}

// Methods that show nothing instead of refusing, and those whose entry
// asks in a role that may not.
var (
	showNothing  = map[string]bool{"SpendAlert": true, "SetSpendAlert": true, "Calls": true, "FollowCalls": true, "TakeCalls": true, "KeyValues": true, "AccountSettings": true, "ClientCertificates": true, "VPCLinks": true, "ServiceCredentials": true, "PutServiceCredential": true, "MissingCredentials": true, "Domains": true, "AccessAssociations": true, "Certificates": true, "SetUp": true, "Members": true, "StageNames": true, "AccessKeys": true, "Audit": true, "APIs": true, "Plans": true, "Customers": true, "Portal": true, "Await": true, "Changes": true, "Leases": true, "Limits": true}
	operatorOnly = map[string]bool{"SetLogRole": true, "GenerateClientCertificate": true, "CreateVPCLink": true, "CreateDomain": true, "RequestCertificate": true, "AddAPI": true, "ChangeDeveloperPassword": true, "CreateAPI": true, "Invite": true, "InviteToSignUp": true, "SignUpInvitations": true, "SignUpInvitation": true, "RevokeSignUpInvitation": true, "RenameAccount": true, "OperatorAudit": true, "CreateOperator": true, "ResetOperatorPassword": true, "ChangeOperatorPassword": true, "MailSettings": true, "SetMailSettings": true,
		"TestMail": true, "Mails": true, "RetryMail": true, "CreateTenant": true, "Tenants": true, "SetTenantCaps": true, "SuspendTenant": true, "ResumeTenant": true,
		"MoveTenant": true, "CreateGateway": true, "PlaceGateway": true, "Gateways": true, "CreateNodeToken": true, "AdmitNodeToken": true, "RevokeNodeTokens": true,
		"Installation": true, "SetSignUp": true, "SetSeller": true, "TenantDetail": true, "DataPlane": true, "OperatorOverview": true, "ForgetNode": true,
		"GiveUpJournal": true, "Operators": true, "RemoveOperator": true}
)

func link() control.VPCLink {
	return control.VPCLink{Name: "x", TargetARNs: []string{"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/b"}}
}

// customer is a developer of the asker's portal who is not there.
func customer(a control.Actor) control.Actor {
	a.Role, a.Member = control.RoleCustomer, "nobody"
	return a
}

func viewer(a control.Actor) control.Actor {
	a.Role = control.RoleViewer
	return a
}

func (f foreign) otherMember() (id string) {
	f.all(fmt.Sprintf(`select member_id from member where tenant_id = %d`, otherTenant(f)), &id)
	return id
}

func (f foreign) otherAccessKey() (id string) {
	f.all(fmt.Sprintf(`select access_key_id from access_key where tenant_id = %d`, otherTenant(f)), &id)
	return id
}

func (f foreign) other() string      { return otherAccount(f) }
func (f foreign) key2tenant() uint32 { return otherTenant(f) }

func otherAccount(f foreign) (id string) {
	f.all(fmt.Sprintf(`select account_id from tenant where tenant_id = %d`, otherTenant(f)), &id)
	return id
}

func otherTenant(f foreign) (num uint32) {
	f.all(fmt.Sprintf(`select tenant_id from stage where stage_num = %d`, f.d.Stage.Num), &num)
	return num
}

func second[T any](_ T, err error) error { return err }

func both(a, b error) error {
	if model.KindOf(a) != model.NotFound {
		return a
	}
	return b
}

func empty[T any](items []T, err error) error {
	return only(items, err, func(T) bool { return false })
}

func only[T any](items []T, err error, mine func(T) bool) error {
	for _, i := range items {
		if !mine(i) {
			return fmt.Errorf("shown %+v", i)
		}
	}
	return err
}

// Another tenant's things do not exist: every exported method says so, whichever
// id it takes. A method without an entry here fails.
func TestTenantIsolation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.tenant()
	f := foreign{world: w, mine: w.tenant(), d: w.deployed(owner, "prod")}
	f.plan2 = w.plan(owner, f.d, &model.Quota{Limit: 10, Period: model.Day}).ID
	f.key2 = w.key(owner, f.plan2)
	app := w.app(owner, "dev@example.com")
	sub, err := control.SubscribeApp(w.ctx, w.Plane, owner, app, f.plan2)
	w.must(err)
	w.all(fmt.Sprintf(`select developer_id from app where app_id = '%s'`, app), &f.developer2)
	f.sub2 = sub
	f.call2 = entry(f.d, owner, 1)
	w.calls(1, []model.CallsLeft{{Tenant: owner.Tenant, Stage: f.d.Stage.Num, Calls: 2}}, f.call2)
	f.portal2, err = w.UpsertPortal(w.ctx, owner, func(s *control.PortalSpec) error { s.Slug, s.Title = "theirs", "Theirs"; return nil })
	w.must(err)
	w.must(w.PublishAPI(w.ctx, owner, f.d.Stage.APIID, "prod", ""))
	_, err = w.CreateDocumentationVersion(w.ctx, owner, control.NewDocumentationVersion{APIID: f.d.Stage.APIID, Version: "1"})
	w.must(err)
	w.must(w.SetLogRole(w.ctx, owner, "arn:aws:iam::123456789012:role/logs"))
	c, err := w.GenerateClientCertificate(w.ctx, owner, "", nil)
	w.must(err)
	l, err := w.CreateVPCLink(w.ctx, owner, link())
	w.must(err)
	f.certificate2, f.link2 = c.ID, l.ID
	stored := storedCredential
	stored.Name = otherRole
	_, err = w.PutServiceCredential(w.ctx, owner, stored)
	w.must(err)
	_, err = w.PutServiceCredential(w.ctx, owner, storedCredential)
	w.must(err)
	s, err := w.ImportCertificate(w.ctx, owner, "", serverCertificate(t, otherDomain), nil)
	w.must(err)
	_, err = w.CreateDomain(w.ctx, owner, control.NewDomain{Name: otherDomain, DomainEdit: control.DomainEdit{CertificateID: s.ID}})
	w.must(err)
	_, err = w.CreateMapping(w.ctx, owner, otherDomain, model.Mapping{APIID: f.d.Stage.APIID, Stage: "prod"})
	w.must(err)
	f.server2 = s.ID
	d, err := w.CreateDomain(w.ctx, owner, private(otherDomain, s.ID))
	w.must(err)
	f.private2 = d.Key()
	_, err = w.Associate(w.ctx, owner, f.private2, "vpce-1", map[string]string{"a": "b"})
	w.must(err)
	p, err := w.CreatePlan(w.ctx, f.mine, control.PlanSpec{Name: "Own"})
	w.must(err)
	f.plan, f.key = p.ID, w.key(f.mine, p.ID).ID
	g, err := w.CreateGateway(w.ctx, control.Operator(), "own", f.mine.AccountID)
	w.must(err)
	w.must(w.MoveTenant(w.ctx, control.Operator(), f.mine.AccountID, "own"))
	f.node = control.NodeIdentity{Gateway: g.ID, GatewayName: g.Name, Node: "n1", Tenant: f.mine.Tenant}
	w.changes(control.SharedNode("n1"), hello(0))

	before := w.dump(owner)
	plane := reflect.TypeFor[*control.Plane]()
	for i := range plane.NumMethod() {
		name := plane.Method(i).Name
		switch call := isolation[name].(type) {
		case string:
		case func(foreign) error:
			err := call(f)
			want := model.NotFound
			switch {
			case showNothing[name]:
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			case operatorOnly[name]:
				want = model.Denied
			}
			if model.KindOf(err) != want {
				t.Errorf("%s: got %v (kind %q), want kind %q", name, err, model.KindOf(err), want)
			}
		default:
			t.Errorf("%s has no entry in the isolation test: add one that calls it with another tenant's ids", name)
		}
	}
	if after := w.dump(owner); after != before {
		t.Errorf("the other tenant's rows changed:\n%s\nto\n%s", before, after)
	}
}

// dump is all that a tenant has in its tables.
func (w *world) dump(a control.Actor) string {
	w.Helper()
	var out string
	for _, table := range []string{"tenant", "member", "access_key", "api", "api_source", "api_method", "deployment", "stage",
		"stage_deployment", "plan", "plan_stage", "api_key", "subscription", "subscription_key", "plan_change", "price_change", "quota_window", "quota_lease", "spend_limit", "spend_alert",
		"price_sheet", "portal", "portal_api", "developer", "app", "ticket", "session", "mail", "documentation_version", "account_settings", "client_certificate", "vpc_link", "service_credential", "tag", "period_close", "tenant_left", "call_log", "call_left", "invoice", "invoice_line", "audit"} {
		var rows *string
		w.all(fmt.Sprintf(`select string_agg(x::text, E'\n' order by x::text) from %s x where tenant_id = %d`, table, a.Tenant), &rows)
		if rows != nil {
			out += table + ": " + *rows + "\n"
		}
	}
	return out
}

// The second fence: a transaction of one tenant cannot see, change or add to
// another's rows, whatever its SQL says; and one without a tenant sees nothing.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.tenant(), w.tenant()
	w.key(a, w.plan(a, w.deployed(a, "prod"), nil).ID)
	var tables []string
	w.all(`select array_agg(table_name::text) from information_schema.columns
		where table_schema = 'public' and column_name = 'tenant_id' and table_name not in ('gateway', 'usage_intake')`, &tables)
	if len(tables) < 15 {
		t.Fatalf("only %d tables with tenant_id: %v", len(tables), tables)
	}
	for _, scope := range []string{fmt.Sprint(b.Tenant), "", "0"} {
		for _, table := range tables {
			tx, err := w.pool.Begin(w.ctx)
			w.must(err)
			_, err = tx.Exec(w.ctx, `select set_config('tollgate.tenant', $1, true)`, scope)
			w.must(err)
			var seen int
			w.must(tx.QueryRow(w.ctx, fmt.Sprintf(`select count(*) from %s where tenant_id = %d`, table, a.Tenant)).Scan(&seen))
			if seen != 0 {
				t.Errorf("scope %q sees %d rows of %s", scope, seen, table)
			}
			w.must(tx.Rollback(w.ctx))
		}
	}
	tx, err := w.pool.Begin(w.ctx)
	w.must(err)
	defer tx.Rollback(w.ctx)
	_, err = tx.Exec(w.ctx, `select set_config('tollgate.tenant', $1, true)`, fmt.Sprint(b.Tenant))
	w.must(err)
	_, err = tx.Exec(w.ctx, `insert into plan (tenant_id, plan_id, name) values ($1, 'x', 'x')`, a.Tenant)
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
		t.Errorf("a row of another tenant was written: %v", err)
	}
}
