package portal

import (
	"slices"

	"tollgate/ui/serve"
)

// routes are all of a portal. Each part lists its own beside its handlers.
func (s *Server) routes() []route {
	return slices.Concat(
		s.commonRoutes(),
		s.docRoutes(),
		s.accountRoutes(),
		s.appRoutes(),
		s.moneyRoutes(),
		s.paymentRoutes(),
		s.creditRoutes(),
	)
}

func (s *Server) commonRoutes() []route {
	return []route{
		{"POST", "/theme", anyone, (*visit).setTheme},
		{"POST", "/sign-out", customer, (*visit).endSession},
	}
}

// setTheme keeps light, dark or the system's choice.
func (v *visit) setTheme() error {
	serve.SetTheme(v.w, v.value("theme"), v.Console.Scheme == "https")
	return v.redirect(serve.SafeNext(v.value("next"), "/"))
}

func (v *visit) endSession() error {
	if err := v.signOut(); err != nil {
		return err
	}
	return v.redirect("/")
}
