package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Page is what one visitor looks at. Its methods are called by one goroutine.
type Page struct {
	t       testing.TB
	browser *Browser
	ctx     context.Context
	noJS    bool
	width   int64
	dark    bool

	// Steps counts what the visitor did: a field filled, a thing clicked, an address
	// typed.
	Steps int

	loaded chan load
	mu     sync.Mutex
	frame  cdp.FrameID
	loader cdp.LoaderID // of the document shown
	status map[cdp.LoaderID]response
	faults []string
}

type load struct{ loader cdp.LoaderID }

type response struct {
	code int64
	url  string
}

// listen is called by the browser's reader: it must not call the browser.
func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *page.EventLifecycleEvent:
		if e.Name == "load" && e.FrameID == p.frame {
			select {
			case p.loaded <- load{e.LoaderID}:
			default: // nobody waits for so many
			}
		}
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument && e.FrameID == p.frame {
			if p.status == nil {
				p.status = map[cdp.LoaderID]response{}
			}
			p.status[e.LoaderID] = response{e.Response.Status, e.Response.URL}
		} else if e.Response.Status >= 400 {
			p.faults = append(p.faults, fmt.Sprintf("%d for %s", e.Response.Status, e.Response.URL))
		}
	case *network.EventLoadingFailed:
		if e.Type != network.ResourceTypeDocument && !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			p.faults = append(p.faults, fmt.Sprintf("a %s did not load: %s %s", e.Type, e.ErrorText, e.BlockedReason))
		}
	case *log.EventEntryAdded:
		// What network says of an answer's status is counted above, without the
		// document's own: an error's page is a page.
		if e.Entry.Level == log.LevelError && e.Entry.Source != log.SourceNetwork || strings.Contains(e.Entry.Text, "Content Security Policy") {
			p.faults = append(p.faults, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.faults = append(p.faults, "exception: "+text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			var words []string
			for _, a := range e.Args {
				words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
			}
			p.faults = append(p.faults, "console: "+strings.Join(words, " "))
		}
	}
}

// Faults are what went wrong behind the pages since it was asked last: scripts
// that failed, parts that did not load, what the content security policy refused.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.faults
	p.faults = nil
	return out
}

// must runs browser actions that are no wait for the page.
func (p *Page) must(what string, actions ...chromedp.Action) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, wait)
	defer stop()
	if p.ctx.Err() == nil && chromedp.FromContext(p.ctx).Target == nil {
		ctx = p.ctx // the first run makes the tab, which must outlive this call
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.fail("%s: %v", what, err)
	}
}

func (p *Page) fail(format string, args ...any) {
	p.t.Helper()
	said := fmt.Sprintf(format, args...)
	if why := p.browser.died(); why != "" {
		p.t.Fatal(said + "\n" + why)
	}
	at := ""
	ctx, stop := context.WithTimeout(p.ctx, 5*time.Second)
	defer stop()
	_ = chromedp.Run(ctx, chromedp.Location(&at))
	if at != "" {
		said += "\n  at " + at
	}
	if folder() != "" {
		if png, err := shoot(ctx); err == nil {
			if path, err := save("failed-"+p.t.Name(), png); err == nil {
				said += "\n  it looks like " + path
			}
		}
	}
	text := ""
	if err := chromedp.Run(ctx, chromedp.Evaluate(`(document.querySelector("main") || document.body).innerText.slice(0, 600)`, &text)); err == nil {
		said += "\n  it says: " + strings.ReplaceAll(text, "\n", " | ")
	}
	p.t.Fatal(said)
}

// arrives does what leads to another document and waits until that is loaded.
func (p *Page) arrives(what string, do func()) {
	p.t.Helper()
	p.drain()
	do()
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		select {
		case l := <-p.loaded:
			p.mu.Lock()
			fresh := l.loader != p.loader
			p.loader = l.loader
			p.mu.Unlock()
			if fresh {
				return
			}
		case <-limit.C:
			p.fail("%s led to no other page within %v", what, wait)
		}
	}
}

func (p *Page) drain() {
	for {
		select {
		case l := <-p.loaded:
			p.mu.Lock()
			p.loader = l.loader
			p.mu.Unlock()
		default:
			return
		}
	}
}

// Goto types an address and waits for the page; any status is fine.
func (p *Page) Goto(address string) {
	p.t.Helper()
	p.Steps++
	p.arrives("going to "+address, func() {
		p.must("going to "+address, chromedp.ActionFunc(func(ctx context.Context) error {
			_, _, failed, _, err := page.Navigate(address).Do(ctx)
			if err == nil && failed != "" {
				err = fmt.Errorf("%s", failed)
			}
			return err
		}))
	})
}

// Reload loads the page anew.
func (p *Page) Reload() {
	p.t.Helper()
	p.arrives("reloading", func() { p.must("reloading", page.Reload()) })
}

// Back goes to the page before.
func (p *Page) Back() {
	p.t.Helper()
	p.arrives("going back", func() {
		p.must("going back", chromedp.ActionFunc(func(ctx context.Context) error {
			at, entries, err := page.GetNavigationHistory().Do(ctx)
			if err != nil || at == 0 {
				return fmt.Errorf("there is no page before this one (%w)", err)
			}
			return page.NavigateToHistoryEntry(entries[at-1].ID).Do(ctx)
		}))
	})
}

// Status is the HTTP status of the page.
func (p *Page) Status() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.status[p.loader].code)
}

// URL is the page's address.
func (p *Page) URL() string {
	p.t.Helper()
	var s string
	p.must("reading the address", chromedp.Location(&s))
	return s
}

// Title is the page's title.
func (p *Page) Title() string {
	p.t.Helper()
	var s string
	p.must("reading the title", chromedp.Title(&s))
	return s
}

// HTML is the document as it stands now.
func (p *Page) HTML() string {
	p.t.Helper()
	var s string
	p.Eval("document.documentElement.outerHTML", &s)
	return s
}

// Eval evaluates an expression on the page; a promise is waited for. It is for
// what no other method says.
func (p *Page) Eval(expression string, into any) {
	p.t.Helper()
	p.must("evaluating "+shorten(expression), chromedp.Evaluate(expression, into, func(e *runtime.EvaluateParams) *runtime.EvaluateParams {
		return e.WithAwaitPromise(!p.noJS)
	}))
}

func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// Text is what an element says, by CSS selector; it must be there. A page's words
// as a whole are Text("body").
func (p *Page) Text(selector string) string {
	p.t.Helper()
	var s *string
	p.Eval(fmt.Sprintf(`(e => e && (e.innerText ?? e.textContent).trim())(document.querySelector(%s))`, quote(selector)), &s)
	if s == nil {
		p.fail("there is no %s", selector)
	}
	return *s
}

// Texts are what all elements say that the selector finds.
func (p *Page) Texts(selector string) []string {
	p.t.Helper()
	var s []string
	p.Eval(fmt.Sprintf(`[...document.querySelectorAll(%s)].map(e => (e.innerText ?? e.textContent).trim())`, quote(selector)), &s)
	return s
}

// Attr is an attribute of the first element that the selector finds; empty where
// either is missing.
func (p *Page) Attr(selector, name string) string {
	p.t.Helper()
	var s string
	p.Eval(fmt.Sprintf(`document.querySelector(%s)?.getAttribute(%s) ?? ""`, quote(selector), quote(name)), &s)
	return s
}

// Count is how many elements the selector finds.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	var n int
	p.Eval(fmt.Sprintf(`document.querySelectorAll(%s).length`, quote(selector)), &n)
	return n
}

// Says reports that the text can be read on the page.
func (p *Page) Says(text string) bool {
	p.t.Helper()
	var ok bool
	p.Eval(fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%s)`, quote(strings.Join(strings.Fields(text), " "))), &ok)
	return ok
}

// Await waits until the text can be read on the page: for what comes without
// another page. It looks again whenever the document changes.
func (p *Page) Await(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%q to be said", text), fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%s)`, quote(strings.Join(strings.Fields(text), " "))))
}

// Until waits until an expression is true on the page.
func (p *Page) Until(expression string) {
	p.t.Helper()
	p.until(expression, expression)
}

func (p *Page) until(what, expression string) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, wait)
	defer stop()
	var ok bool
	if err := chromedp.Run(ctx, chromedp.Poll(expression, &ok, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0))); err != nil {
		p.fail("waiting for %s: %v", what, err)
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// finders are what the page is searched with, in the page's own language.
const finders = `
const seen = e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0 && getComputedStyle(e).visibility !== "hidden"; };
const words = s => (s ?? "").replace(/\s+/g, " ").trim();
const named = e => words(e.getAttribute("aria-label")) || words(e.innerText) || words(e.textContent) || words(e.value);
const byText = text => {
  const all = [...document.querySelectorAll("button, a[href], summary, input[type=submit], [role=button]")].filter(seen);
  const inDialog = all.filter(e => e.closest("dialog[open]")), inMain = all.filter(e => e.closest("main"));
  for (const set of [inDialog, inMain, all]) {
    for (const fits of [e => named(e) === text, e => words(e.innerText) === text, e => named(e).startsWith(text)]) {
      const found = set.filter(fits);
      if (found.length) return found;
    }
  }
  return [];
};
const byField = name => {
  const form = "input:not([type=hidden]), textarea, select";
  const all = [...document.querySelectorAll(form)];
  const found = all.filter(e => e.name === name);
  if (found.length) return found;
  return all.filter(e => [...(e.labels ?? [])].some(l => words(l.innerText) === name || words(l.innerText).startsWith(name)) || words(e.getAttribute("aria-label")) === name);
};
`

// point finds one element, brings it into view, and returns where it is. The
// expression may use the finders.
func (p *Page) point(what, expression string) (x, y float64) {
	p.t.Helper()
	var at []float64
	p.Eval(fmt.Sprintf(`(() => { %s
		const e = [%s].flat().filter(Boolean)[0];
		if (!e) return null;
		e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
		const r = e.getClientRects()[0] ?? e.getBoundingClientRect();
		const x = r.left + r.width / 2, y = r.top + r.height / 2;
		const top = document.elementFromPoint(x, y);
		const hidden = r.width === 0 || r.height === 0 || !(top && (e.contains(top) || top.contains(e) || [...(e.labels ?? [])].some(l => l.contains(top))));
		return [x, y, hidden ? 1 : 0];
	})()`, finders, expression), &at)
	if at == nil {
		p.fail("there is no %s", what)
	}
	if at[2] != 0 {
		p.fail("%s cannot be clicked: it is hidden or something lies on it", what)
	}
	return at[0], at[1]
}

func (p *Page) click(what, expression string) {
	p.t.Helper()
	x, y := p.point(what, expression)
	p.must("clicking "+what, chromedp.MouseClickXY(x, y))
}

// Click clicks the button or link with this text, which leads to a page, and waits
// for that. What is in a dialog or on the page itself goes before layout and menus; a
// text that starts so is taken where none is equal.
func (p *Page) Click(text string) {
	p.t.Helper()
	p.Steps++
	p.arrives(fmt.Sprintf("%q", text), func() { p.click(fmt.Sprintf("button or link %q", text), "byText("+quote(text)+")") })
}

// ClickOn is Click by CSS selector.
func (p *Page) ClickOn(selector string) {
	p.t.Helper()
	p.Steps++
	p.arrives(selector, func() { p.click(selector, "document.querySelector("+quote(selector)+")") })
}

// Tap clicks what changes the page itself: a menu, a copy button.
func (p *Page) Tap(text string) {
	p.t.Helper()
	p.Steps++
	p.click(fmt.Sprintf("button or link %q", text), "byText("+quote(text)+")")
}

// TapOn is Tap by CSS selector.
func (p *Page) TapOn(selector string) {
	p.t.Helper()
	p.Steps++
	p.click(selector, "document.querySelector("+quote(selector)+")")
}

// Fill types into a field, found by its name or by its label, in place of what is
// in it.
func (p *Page) Fill(field, value string) {
	p.t.Helper()
	p.Steps++
	what := fmt.Sprintf("field %q", field)
	x, y := p.point(what, "byField("+quote(field)+").filter(seen)")
	p.must("filling "+what, chromedp.MouseClickXY(x, y), chromedp.ActionFunc(func(ctx context.Context) error {
		if err := chromedp.Evaluate(`document.activeElement.select?.()`, nil).Do(ctx); err != nil {
			return err
		}
		if value == "" {
			return chromedp.KeyEvent("\b").Do(ctx)
		}
		return input.InsertText(value).Do(ctx)
	}))
	var is string
	p.Eval(`document.activeElement.value`, &is)
	if strings.ReplaceAll(is, "\r\n", "\n") != strings.ReplaceAll(value, "\r\n", "\n") {
		p.fail("%s took %q as %q", what, shorten(value), shorten(is))
	}
}

// Choose takes an option of a select, or a radio button, by field name and value.
func (p *Page) Choose(field, value string) {
	p.t.Helper()
	p.Steps++
	what := fmt.Sprintf("choice %q of %q", value, field)
	var kind string
	p.Eval(fmt.Sprintf(`(() => { %s return byField(%s)[0]?.tagName ?? ""; })()`, finders, quote(field)), &kind)
	if kind != "SELECT" {
		p.click(what, fmt.Sprintf(`[...document.querySelectorAll("input[type=radio]")].filter(e => e.name === %s && e.value === %s)`, quote(field), quote(value)))
		return
	}
	var ok bool
	p.Eval(fmt.Sprintf(`(() => { %s
		const s = byField(%s)[0], o = [...s.options].find(o => o.value === %s || words(o.text) === %[3]s);
		if (!o) return false;
		s.focus(); s.value = o.value;
		s.dispatchEvent(new Event("input", {bubbles: true})); s.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`, finders, quote(field), quote(value)), &ok)
	if !ok {
		p.fail("there is no %s", what)
	}
}

// Check ticks or clears a box, found by its name and value; an empty value is any.
func (p *Page) Check(field, value string, on bool) {
	p.t.Helper()
	p.Steps++
	find := fmt.Sprintf(`byField(%s).filter(e => e.type === "checkbox" && (%s === "" || e.value === %[2]s))`, quote(field), quote(value))
	var is *bool
	p.Eval(fmt.Sprintf(`(() => { %s return %s[0]?.checked; })()`, finders, find), &is)
	if is == nil {
		p.fail("there is no box %q with value %q", field, value)
	}
	if *is != on {
		p.click(fmt.Sprintf("box %q", field), find)
	}
}

// Upload puts a file from the disk into a field.
func (p *Page) Upload(field, path string) {
	p.t.Helper()
	p.Steps++
	p.must("choosing a file", chromedp.ActionFunc(func(ctx context.Context) error {
		object, failed, err := runtime.Evaluate(fmt.Sprintf(`(() => { %s return byField(%s)[0]; })()`, finders, quote(field))).Do(ctx)
		if err != nil || failed != nil || object.ObjectID == "" {
			return fmt.Errorf("there is no field %q (%v)", field, err)
		}
		return dom.SetFileInputFiles([]string{path}).WithObjectID(object.ObjectID).Do(ctx)
	}))
}

// Submit sends the form that the selector finds, as Enter in one of its fields
// does, and waits for the page that follows.
func (p *Page) Submit(selector string) {
	p.t.Helper()
	p.Steps++
	p.arrives("the form "+selector, func() {
		p.Eval(fmt.Sprintf(`(f => { if (!f) throw new Error("no such form"); f.requestSubmit(); })(document.querySelector(%s))`, quote(selector)), nil)
	})
}

// Press types keys, named as in chromedp/kb, at whatever has the focus.
func (p *Page) Press(keys string) {
	p.t.Helper()
	p.must("typing", chromedp.KeyEvent(keys))
}

// Focused says which element has the focus: its name for a screen reader.
func (p *Page) Focused() string {
	p.t.Helper()
	var s string
	p.Eval(`(() => {`+finders+` const e = document.activeElement; return named(e) || e.name || e.tagName; })()`, &s)
	return s
}

// Answer is what a plain request was answered with.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get asks for an address with the visitor's cookies, beside the page: for files
// that a browser would save. Redirects are followed.
func (p *Page) Get(address string) Answer {
	p.t.Helper()
	base, err := url.Parse(p.URL())
	if err != nil {
		p.fail("%v", err)
	}
	at, err := base.Parse(address)
	if err != nil {
		p.fail("%v", err)
	}
	jar, _ := cookiejar.New(nil)
	p.must("reading cookies", chromedp.ActionFunc(func(ctx context.Context) error {
		all, err := network.GetCookies().WithURLs([]string{at.String()}).Do(ctx)
		var cookies []*http.Cookie
		for _, c := range all {
			cookies = append(cookies, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/"})
		}
		jar.SetCookies(at, cookies)
		return err
	}))
	client := &http.Client{Jar: jar, Timeout: wait, Transport: &http.Transport{DialContext: local, DisableKeepAlives: true}}
	r, err := client.Get(at.String())
	if err != nil {
		p.fail("%v", err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		p.fail("%s: %v", at, err)
	}
	return Answer{r.StatusCode, r.Header, body}
}

// local dials names below localhost on this machine, as browsers do.
func local(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".localhost") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}
