package web

import (
	"slices"
	"strconv"

	"tollgate/control"
	"tollgate/model"
)

func (s *Server) devMailRoutes() []route {
	return []route{
		{method: "GET", pattern: "/dev/mail", who: anyone, handle: (*visit).localMails, local: true},
		{method: "GET", pattern: "/dev/mail/{mail}", who: anyone, handle: (*visit).localMail, local: true},
	}
}

func (v *visit) localMails() error {
	l, err := v.Plane.Mails(v.ctx(), control.Operator(), control.MailFilter{})
	if err != nil {
		return err
	}
	server, err := v.Plane.HasMailServer(v.ctx())
	if err != nil {
		return err
	}
	l.Items = slices.DeleteFunc(l.Items, func(m control.Mail) bool { return !m.SentAt.IsZero() })
	return v.render(localMailsView(v.page("Mails"), l.Items, server, v.Now()))
}

func (v *visit) localMail() error {
	id, err := strconv.ParseInt(v.path("mail"), 10, 64)
	if err != nil {
		return model.Errorf(model.NotFound, "there is no such mail")
	}
	m, err := v.Plane.LocalMail(v.ctx(), id)
	if err != nil {
		return err
	}
	return v.render(localMailView(v.page(m.Subject), m))
}
