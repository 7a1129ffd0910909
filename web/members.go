package web

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"tollgate/control"
	"tollgate/model"
	"tollgate/ui"
	"tollgate/ui/serve"
)

func (s *Server) memberRoutes() []route {
	return []route{
		{method: "GET", pattern: "/members", who: mayRead, handle: (*visit).members},
		{method: "GET", pattern: "/members/invite", who: mayManage, handle: (*visit).invitePage},
		{method: "POST", pattern: "/members/invite", who: mayManage, handle: (*visit).invite},
		{method: "POST", pattern: "/members/invitations/{invitation}/revoke", who: mayManage, handle: (*visit).revokeInvitation},
		{method: "GET", pattern: "/members/{member}", who: mayManage, handle: (*visit).memberPage},
		{method: "POST", pattern: "/members/{member}/role", who: mayManage, handle: (*visit).setRole},
		{method: "GET", pattern: "/members/{member}/remove", who: mayRead, handle: (*visit).confirmRemoveMember},
		{method: "POST", pattern: "/members/{member}/remove", who: mayRead, handle: (*visit).removeMember},
		{method: "GET", pattern: "/account", who: mayManage, handle: (*visit).accountPage},
		{method: "POST", pattern: "/account", who: mayManage, handle: (*visit).renameAccount},
	}
}

// memberFilter is what the list of members is narrowed to, and sorted by.
type memberFilter struct{ Q, Role, Sort string }

func (v *visit) members() error {
	l, err := v.Plane.Members(v.ctx(), v.actor())
	if err != nil {
		return err
	}
	f := memberFilter{v.query("q"), v.query("role"), v.query("sort")}
	total := len(l.Members)
	l.Members = f.apply(l.Members)
	return v.render(membersView(v.page("Members"), l, total, f, v.actor().Member, v.may(control.ToManage), v.Now()))
}

// apply narrows and sorts: an account has at most control.MaxMembers, so all of
// them are here.
func (f memberFilter) apply(all []control.Member) []control.Member {
	q := strings.ToLower(f.Q)
	all = slices.DeleteFunc(all, func(m control.Member) bool {
		return f.Role != "" && string(m.Role) != f.Role || q != "" && !strings.Contains(strings.ToLower(m.Email+" "+m.Name), q)
	})
	column, down := strings.CutPrefix(f.Sort, "-")
	slices.SortStableFunc(all, func(a, b control.Member) int {
		var c int
		switch column {
		case "role":
			c = cmp.Compare(slices.Index(control.MemberRoles, a.Role), slices.Index(control.MemberRoles, b.Role))
		case "keys":
			c = cmp.Compare(a.AccessKeys, b.AccessKeys)
		case "seen":
			c = a.SeenAt.Compare(b.SeenAt)
		default:
			c = cmp.Compare(strings.ToLower(a.Email), strings.ToLower(b.Email))
		}
		if down {
			c = -c
		}
		return c
	})
	return all
}

// by is the list sorted by a column, the other way round where it is already.
func (f memberFilter) by(column string) string {
	if f.Sort == column || f.Sort == "" && column == "email" {
		column = "-" + column
	}
	q := url.Values{"sort": {column}}
	if f.Q != "" {
		q.Set("q", f.Q)
	}
	if f.Role != "" {
		q.Set("role", f.Role)
	}
	return "/members?" + q.Encode()
}

func (f memberFilter) order(column string) string {
	switch {
	case f.Sort == column || f.Sort == "" && column == "email":
		return "ascending"
	case f.Sort == "-"+column:
		return "descending"
	}
	return ""
}

// clear is the whole list, where it is narrowed.
func (f memberFilter) clear() string {
	if f.Q == "" && f.Role == "" {
		return ""
	}
	return "/members"
}

func (v *visit) invitePage() error {
	return v.render(inviteView(v.memberPageOf("Invite a member"), authForm{Name: string(control.RoleDeveloper)}, v.actor().Role))
}

func (v *visit) memberPageOf(title string) ui.Page {
	p := v.page(title)
	p.Crumbs = []ui.Crumb{{Label: "Members", URL: "/members"}}
	return p
}

func (v *visit) invite() error {
	f := authForm{Email: v.value("email"), Name: v.value("role")}
	f.check("email", control.CheckEmail(f.Email))
	if len(f.Problems) > 0 {
		return v.renderAs(422, inviteView(v.memberPageOf("Invite a member"), f, v.actor().Role))
	}
	err := v.Plane.Invite(v.ctx(), v.actor(), f.Email, control.Role(f.Name))
	if err == nil {
		return v.done("A mail with a link to join is on its way to "+f.Email+".", "/members")
	}
	if !invalid(err) && model.KindOf(err) != model.Denied {
		return err
	}
	field := ""
	if model.KindOf(err) == model.Conflict {
		field = "email"
	}
	f.problem(field, err)
	return v.renderAs(serve.Status(err), inviteView(v.memberPageOf("Invite a member"), f, v.actor().Role))
}

func (v *visit) revokeInvitation() error {
	return v.outcome(v.Plane.RevokeInvitation(v.ctx(), v.actor(), v.path("invitation")), "The invitation's link is void.", "/members")
}

// member finds the one that the path names.
func (v *visit) member() (control.Member, error) {
	l, err := v.Plane.Members(v.ctx(), v.actor())
	if err != nil {
		return control.Member{}, err
	}
	for _, m := range l.Members {
		if m.ID == v.path("member") {
			return m, nil
		}
	}
	return control.Member{}, model.Errorf(model.NotFound, "there is no such member")
}

func (v *visit) memberPage() error {
	m, err := v.member()
	if err != nil {
		return err
	}
	return v.render(memberView(v.memberPageOf(m.Email), m, v.actor(), v.Now()))
}

func (v *visit) setRole() error {
	role := control.Role(v.value("role"))
	return v.outcome(v.Plane.SetRole(v.ctx(), v.actor(), v.path("member"), role), "The role is "+string(role)+" now.", "/members")
}

func (v *visit) confirmRemoveMember() error {
	if v.path("member") != v.actor().Member {
		if err := v.actor().May(control.ToManage); err != nil {
			return err
		}
	}
	m, err := v.member()
	if err != nil {
		return err
	}
	self, title := m.ID == v.actor().Member, "Remove "+m.Email
	if self {
		title = "Leave " + v.visitor.Account.Name
	}
	return v.render(removeMemberView(v.memberPageOf(title), m, self))
}

func (v *visit) removeMember() error {
	to, said := "/members", "The member is removed, and so are the member's access keys."
	if v.path("member") == v.actor().Member {
		to, said = "/", "You left "+v.visitor.Account.Name+"."
	}
	err := v.Plane.RemoveMember(v.ctx(), v.actor(), v.path("member"))
	if invalid(err) {
		to = "/members"
	}
	return v.outcome(err, said, to)
}

func (v *visit) accountPage() error {
	return v.render(accountView(v.page("Account"), v.visitor.Account, authForm{Account: v.visitor.Account.Name}))
}

func (v *visit) renameAccount() error {
	f := authForm{Account: v.value("name")}
	err := v.Plane.RenameAccount(v.ctx(), v.actor(), f.Account)
	if err == nil {
		return v.done("The account is called "+f.Account+" now.", "/account")
	}
	if !invalid(err) {
		return err
	}
	f.problem("name", err)
	return v.renderAs(422, accountView(v.page("Account"), v.visitor.Account, f))
}
