// Package ui is what every page is made of: layouts, components, and the assets
// that they need. It knows what it draws, not where it comes from. All of it can
// be looked at under /dev/ui of a local installation.
//
// Layouts take a Page: Shell (console and operator), Auth, PortalShell, PortalAuth,
// Print (paper), ErrorPage, PortalErrorPage. Inside, a page begins with Head or,
// in the column of Auth, with what there is to do.
//
//	acts    Button, ButtonNamed, LinkButton, PostButton, DialogLink with Confirm
//	forms   Problems, Input, TextArea, Select, FileInput, Check, Checks, Switch,
//	        Radios, KeyValueRows, FormSection, Command
//	lists   FilterBar, TableBox, SortHead, More, Pager, Empty
//	objects Tabs, Card, Facts, Copyable, Code, Secret with SecretDone, Price
//	states  Badge, State, Method, Banner, Checklist, Steps, Changes, Waiting, Avatar
//	figures Stat, BarChart, LineChart, Sparkline, Meter, and in words: Quantity,
//	        Plural, Bytes, Millis, Money, Amount, PriceText, Time, Moment, Stamp, Date
//
// A table is class "table" in a TableBox, figures in cells of class "num", a row
// with data-href opens by a click on it. Arranging is done by the classes stack,
// stack-sm, stack-lg, row, cols, grid-cards, stats, form, form-row, narrow and
// prose, or by Tailwind's, which are in the stylesheet after make assets.
package ui

// Page is what a layout needs to know of a page.
type Page struct {
	Title      string
	Theme      string // "light", "dark" or, empty, the system's
	Path       string // of the page's own URL: marks it in the navigation
	Base       string // before every path of a portal; empty in the console
	Area       string // said in the top bar where it is not the tenants' console: "Operator"
	Nav        []NavGroup
	Crumbs     []Crumb
	User       *User // nil: not signed in
	Flash      []Flash
	Undeployed int    // APIs changed since they were deployed
	Suspended  bool   // the account can be looked at but not changed
	Reason     string // for the suspension
	Wide       bool   // the content takes the whole width
	Endpoint   string // of the control API, for those who use it instead of a page
	Portal     Portal // of portal pages
}

// Portal is what a tenant's portal shows on every page.
type Portal struct {
	Title, Tagline string
	// ThemeURL is a stylesheet that sets the accent colour, empty for ours:
	//	:root { --primary: light-dark(#0B6B5E, #4FD1B5); --on-primary: light-dark(#FFFFFF, #06201B); }
	ThemeURL     string
	SupportEmail string
	Search       string // what was searched for
}

// NavGroup is a part of the navigation; the label may be empty.
type NavGroup struct {
	Label string
	Items []NavItem
}

// NavItem is one place to go.
type NavItem struct {
	Label, URL, Icon string
	Hidden           bool // the visitor may not go there
}

// Crumb is a step on the way to a page, from the top.
type Crumb struct{ Label, URL string }

// User is who is signed in.
type User struct {
	Email, Name string
	Accounts    []Account // to switch between; more than one is shown as a menu
	SwitchURL   string    // forms are posted there
	ProfileURL  string
	SignOutURL  string
	ThemeURL    string
}

// Account is one that the user may work on.
type Account struct {
	ID, Name, Role string
	Current        bool
}

// Flash is a message that is shown once. Kind is "ok", "warn", "danger" or "info".
type Flash struct{ Kind, Text string }

func (g NavGroup) visible() bool {
	for _, i := range g.Items {
		if !i.Hidden {
			return true
		}
	}
	return false
}

// at reports that the page is the one at url, or one below it.
func (p Page) at(url string) bool {
	if url == "/" || url == "/operator" {
		return p.Path == url
	}
	return p.Path == url || len(p.Path) > len(url) && p.Path[:len(url)] == url && p.Path[len(url)] == '/'
}

func (u *User) current() string {
	for _, a := range u.Accounts {
		if a.Current {
			return a.Name
		}
	}
	return "Choose an account"
}

func (u *User) shown() string {
	if u.Name != "" {
		return u.Name
	}
	return u.Email
}

// home is where the visitor's area begins.
func (p Page) home() string {
	if p.Area != "" {
		return "/operator"
	}
	return "/"
}
