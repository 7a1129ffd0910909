package web

import (
	"io"
	"net/http"
	"time"

	"tollgate/model"
	"tollgate/ui/money"
	"tollgate/ui/serve"
)

func (s *Server) usageRoutes() []route {
	return []route{
		{method: "GET", pattern: "/usage", who: mayRead, handle: (*visit).usage},
		{method: "GET", pattern: "/usage.csv", who: mayRead, handle: (*visit).usageCSV},
	}
}

// usage shows calls; everything that is asked for is in the URL.
func (v *visit) usage() error {
	u := money.ReadUsage(v.r.URL.Query(), v.Now(), false)
	u.Path, u.CSV = "/usage", "/usage.csv"
	var err error
	if u.Report, err = v.Usage.Report(v.ctx(), v.actor().Tenant, u.Query, u.By, false); err != nil {
		return err
	}
	status := http.StatusOK
	if len(u.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return v.renderAs(status, usageView(v.page("Usage"), u))
}

func (v *visit) usageCSV() error {
	u := money.ReadUsage(v.r.URL.Query(), v.Now(), false)
	if len(u.Problems) > 0 {
		return model.Errorf(model.Invalid, "%s", u.Problems[0].Text)
	}
	return v.send("text/csv; charset=utf-8", "usage-"+u.Query.From.Format(time.DateOnly)+".csv", func(w io.Writer) error {
		return money.UsageCSV(w, func(row func(*model.UsageRow) error) error {
			return v.Usage.EachUsage(v.ctx(), v.actor().Tenant, u.Query, row)
		})
	})
}

// send answers with a file to keep.
func (v *visit) send(kind, name string, write func(io.Writer) error) error {
	if err := v.keep(); err != nil {
		return err
	}
	return serve.File(v.w, v.r, v.Log, kind, name, write)
}
