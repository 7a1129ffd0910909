package web

import (
	"time"

	"tollgate/model"
	"tollgate/ui"
)

func (s *Server) operatorCheckRoutes() []route {
	return []route{
		{method: "GET", pattern: "/operator/checks", who: theOperator, handle: (*visit).checks},
		{method: "POST", pattern: "/operator/checks", who: theOperator, handle: (*visit).checkNow},
	}
}

func (v *visit) checks() error {
	all, err := v.Billing.Checks(v.ctx())
	if err != nil {
		return err
	}
	return v.render(checksView(v.page("Checks"), all, v.Now()))
}

func (v *visit) checkNow() error {
	if err := v.Billing.CheckSoon(v.ctx()); err != nil {
		return err
	}
	return v.done("The books are being checked: look again in a moment.", "/operator/checks")
}

// staleCheck is how old a check may be before it says nothing any more: they run hourly.
const staleCheck = 3 * time.Hour

// checkState is how a check stands, as a kind of state and in words.
func checkState(c *model.Check, now time.Time) (kind, words string) {
	switch {
	case c.RanAt.IsZero():
		return "muted", "Not checked yet"
	case c.Wrong > 0:
		return "danger", ui.Quantity(c.Wrong) + " wrong"
	case now.Sub(c.RanAt) > staleCheck:
		return "warn", "Held, long ago"
	}
	return "ok", "Holds"
}

// failing counts the checks that do not hold.
func failing(all []model.Check) (n int64) {
	for i := range all {
		if all[i].Wrong > 0 {
			n++
		}
	}
	return n
}
