package fake

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed pages.html
var pagesHTML string

//go:embed pages.css
var pagesCSS []byte

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"money": money,
	"date":  func(v any) string { n, _ := v.(int64); return time.Unix(n, 0).UTC().Format("2 January 2006") },
	"cards": func() []cardRow {
		var out []cardRow
		for _, k := range cards {
			out = append(out, cardRow{grouped(k.number), k.Says, k.own})
		}
		return out
	},
}).Parse(pagesHTML))

// cardRow is a line of the table of test cards beside each card form.
type cardRow struct {
	Number, Says string
	Own          bool
}

func grouped(number string) string {
	var b strings.Builder
	for i, r := range number {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// money writes minor units as people read them.
func money(amount, currency any) string {
	n, _ := amount.(int64)
	cur, _ := currency.(string)
	sign := ""
	if n < 0 {
		sign, n = "−", -n
	}
	if cur == "jpy" || cur == "krw" || cur == "vnd" {
		return fmt.Sprintf("%s%d %s", sign, n, strings.ToUpper(cur))
	}
	return fmt.Sprintf("%s%d.%02d %s", sign, n/100, n%100, strings.ToUpper(cur))
}

// view is what a page shows.
type view struct {
	Title, Merchant string
	Error, Notice   string
	Object          object
	Lines           []any
	Customer        object
	Cards, Invoices []object
	TaxIDs          []any
	Features        map[string]bool
	Back, Typed     string
	Email           string
	Now             string
	Accounts        []object
}

// page is one of the fake's pages. do runs with the lock held; a redirect it returns wins over
// the view.
func (s *Server) page(pattern, name string, do func(c *call, r *http.Request) (v view, redirect string)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "The form could not be read.", http.StatusBadRequest)
			return
		}
		account := r.PathValue("account")
		if account == "" {
			account = PlatformID
		}
		s.mu.Lock()
		if s.st.Accounts[account] == nil {
			s.mu.Unlock()
			s.show(w, http.StatusNotFound, "gone", view{Title: "Not found", Error: "This address leads nowhere."})
			return
		}
		c := s.inside(account)
		v, to := do(c, r)
		var b bytes.Buffer
		status, tmpl := http.StatusOK, name
		if to == "" {
			if v.Title == "" {
				status, tmpl = http.StatusNotFound, "gone"
				v.Title = "Not found"
				if v.Error == "" {
					v.Error = "This address leads nowhere, or no longer does."
				}
			} else if v.Error != "" {
				status = http.StatusUnprocessableEntity
			}
			if v.Merchant == "" {
				v.Merchant = c.merchant()
			}
			// Rendered under the lock: the view points into the state.
			if err := templates.ExecuteTemplate(&b, tmpl, v); err != nil {
				s.opts.Logf("page %s: %v", tmpl, err)
			}
		}
		s.mu.Unlock()
		s.nudge()
		if to != "" {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
		pageHeaders(w)
		w.WriteHeader(status)
		w.Write(b.Bytes()) //nolint:errcheck // the browser has gone
	})
}

func (s *Server) show(w http.ResponseWriter, status int, name string, v view) {
	pageHeaders(w)
	w.WriteHeader(status)
	if err := templates.ExecuteTemplate(w, name, v); err != nil {
		s.opts.Logf("page %s: %v", name, err)
	}
}

func pageHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
}

// merchant is whom the pages of an account speak for.
func (c *call) merchant() string {
	o := c.st.account(PlatformID).get("account", c.acct.ID)
	for _, name := range []string{str(sub(o, "business_profile"), "name"), str(sub(sub(o, "settings"), "dashboard"), "display_name"), str(o, "email")} {
		if name != "" {
			return name
		}
	}
	return c.acct.ID
}

// cardTyped finds the test card of a form.
func cardTyped(r *http.Request) (*card, string) {
	number := r.PostFormValue("number")
	if k := cardByNumber(number); k != nil {
		return k, ""
	}
	return nil, "Your card number is invalid. Only the test cards listed below exist here."
}

func (s *Server) pages() {
	s.mux.HandleFunc("GET /pages.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Write(pagesCSS) //nolint:errcheck // the browser has gone
	})
	s.page("GET /{$}", "home", home)
	s.page("GET /c/pay/{account}/{id}", "checkout", checkoutPage)
	s.page("POST /c/pay/{account}/{id}", "checkout", checkoutPage)
	s.page("GET /c/done/{account}/{id}", "checkout", checkoutDone)
	s.page("GET /3ds/{account}/{id}", "bank", bankPage)
	s.page("POST /3ds/{account}/{id}", "bank", bankPage)
	s.page("GET /i/{account}/{id}", "invoice", invoicePage)
	s.page("POST /i/{account}/{id}", "invoice", invoicePage)
	s.page("GET /cn/{account}/{id}", "note", notePage)
	s.page("GET /p/session/{account}/{id}", "portal", portalPage)
	s.page("POST /p/session/{account}/{id}", "portal", portalPage)
	s.page("GET /setup/s/{account}/{id}", "onboard", onboardPage)
	s.page("POST /setup/s/{account}/{id}", "onboard", onboardPage)
	s.mux.HandleFunc("GET /i/{account}/{id}/pdf", s.invoicePDF)
	s.mux.HandleFunc("POST /advance", s.advancePage)
}

func home(c *call, _ *http.Request) (view, string) {
	return view{Title: "Fake Stripe", Now: c.s.now().UTC().Format("2 January 2006, 15:04:05 UTC"), Accounts: c.acct.all("account", nil),
		Invoices: c.acct.all("invoice", nil)}, ""
}

// advancePage moves the clock from the home page. A form of another site must not: it would
// come with that site's Origin.
func (s *Server) advancePage(w http.ResponseWriter, r *http.Request) {
	if o := r.Header.Get("Origin"); o != "" && o != "null" {
		if u, err := url.Parse(o); err != nil || u.Host != r.Host {
			http.Error(w, "The clock is moved from the fake's own page only.", http.StatusForbidden)
			return
		}
	}
	steps := map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour, "month": 31 * 24 * time.Hour}
	d, ok := steps[r.PostFormValue("by")]
	if !ok {
		http.Error(w, "by must be hour, day, week or month", http.StatusBadRequest)
		return
	}
	if err := s.Advance(r.Context(), d); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func checkoutPage(c *call, r *http.Request) (view, string) {
	o := c.acct.get("checkout.session", r.PathValue("id"))
	v := view{Title: "Checkout", Object: o}
	switch str(o, "status") {
	case "open":
	case "complete":
		return v, c.finishCheckout(o)
	default:
		return view{Error: "This Checkout session has expired."}, ""
	}
	if v.Title = "Save a card"; str(o, "mode") == "payment" {
		v.Title = "Pay " + money(o["amount_total"], o["currency"])
	}
	v.Lines, v.Back = list(o, "_items"), str(o, "cancel_url")
	if v.Email = str(o, "customer_email"); v.Email == "" {
		v.Email = str(c.acct.get("customer", str(o, "customer")), "email")
	}
	if r.Method == http.MethodGet {
		return v, ""
	}
	v.Typed = r.PostFormValue("number")
	k, wrong := cardTyped(r)
	if k == nil {
		v.Error = wrong
		return v, ""
	}
	next, err := c.payCheckout(o, k, r.PostFormValue("email"), r.PostFormValue("name"))
	if err != nil {
		v.Error = err.message
		return v, ""
	}
	return v, next
}

// checkoutDone is where the bank's page sends the browser back to.
func checkoutDone(c *call, r *http.Request) (view, string) {
	o := c.acct.get("checkout.session", r.PathValue("id"))
	if o == nil {
		return view{}, ""
	}
	if str(o, "status") == "complete" || str(c.intentOf(o), "status") == "succeeded" {
		return view{}, c.finishCheckout(o)
	}
	v, to := checkoutPage(c, r)
	if v.Title != "" {
		v.Error = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
	}
	return v, to
}

func bankPage(c *call, r *http.Request) (view, string) {
	o := c.acct.Objects[r.PathValue("id")]
	kind := str(o, "object")
	if kind != "payment_intent" && kind != "setup_intent" || str(o, "status") != "requires_action" && r.Method == http.MethodGet {
		return view{Error: "There is nothing to confirm."}, ""
	}
	v := view{Title: "Confirm with your bank", Object: o}
	if r.Method == http.MethodGet {
		return v, ""
	}
	c.confirmed(o, r.PostFormValue("answer") == "yes")
	back := str(o, "_return")
	if inv := str(o, "invoice"); back == "" && inv != "" {
		back = "/i/" + c.acct.ID + "/" + inv
	}
	if back == "" {
		v.Title, v.Notice = "Thank you", "You can close this page."
	}
	return v, back
}

func invoicePage(c *call, r *http.Request) (view, string) {
	o := c.acct.get("invoice", r.PathValue("id"))
	if o == nil || str(o, "status") == "draft" {
		return view{}, ""
	}
	v := view{Title: "Invoice " + str(o, "number"), Object: o, Lines: list(o, "_lines")}
	if r.Method == http.MethodGet || str(o, "status") != "open" && str(o, "status") != "uncollectible" {
		return v, ""
	}
	v.Typed = r.PostFormValue("number")
	k, wrong := cardTyped(r)
	if k == nil {
		v.Error = wrong
		return v, ""
	}
	pm := c.newCard(k)
	if err := c.attachable(pm, ""); err != nil {
		v.Error = err.message
		return v, ""
	}
	c.attach(pm, str(o, "customer"))
	if num(o, "attempt_count") == 0 {
		o["attempt_count"] = int64(1)
	}
	if err := c.charge(o, id(pm), false); err != nil {
		c.paymentFailed(o)
		v.Error = err.message
		return v, ""
	}
	pi := c.acct.get("payment_intent", str(o, "payment_intent"))
	if str(pi, "status") == "requires_action" {
		return v, str(sub(sub(pi, "next_action"), "redirect_to_url"), "url")
	}
	return v, r.URL.Path
}

func notePage(c *call, r *http.Request) (view, string) {
	o := c.acct.get("credit_note", r.PathValue("id"))
	if o == nil {
		return view{}, ""
	}
	return view{Title: "Credit note " + str(o, "number"), Object: o, Lines: list(sub(o, "lines"), "data")}, ""
}

// onboardPage is where a tenant introduces itself. A link that is used up or too old leads back
// to the platform, which makes another.
func onboardPage(c *call, r *http.Request) (view, string) {
	l := c.st.account(PlatformID).get("account_link", r.PathValue("id"))
	o := c.st.account(PlatformID).get("account", c.acct.ID)
	if l == nil || o == nil || str(l, "_account") != c.acct.ID {
		return view{}, ""
	}
	if r.Method == http.MethodGet {
		if flag(l, "_used") || num(l, "expires_at") < c.now() {
			return view{}, str(l, "_refresh")
		}
		l["_used"] = true
		return view{Title: "Get paid", Object: o}, ""
	}
	if r.PostFormValue("answer") == "later" {
		return view{}, str(l, "_return")
	}
	name := strings.TrimSpace(r.PostFormValue("business"))
	if name == "" || len(name) > 200 || r.PostFormValue("iban") == "" || r.PostFormValue("agree") == "" {
		return view{Title: "Get paid", Object: o, Typed: name, Error: "Give your business a name and a bank account, and agree to the terms."}, ""
	}
	c.onboard(o, name)
	return view{}, str(l, "_return")
}
