package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"tollgate/ui"
	"tollgate/ui/browser"
	"tollgate/ui/serve"
)

func site(t *testing.T) string {
	mux := http.NewServeMux()
	mux.Handle("/assets/", ui.Assets())
	mux.Handle("/dev/ui", ui.Gallery())
	page := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, `<!doctype html><html lang="en"><head><title>A page</title><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width"></head><body><main>`+body+`</main></body></html>`)
		}
	}
	mux.Handle("GET /form", page(`<h1>Form</h1><form method="post" action="/form"><label>Name <input name="name" value="old"></label>
		<label><input type="checkbox" name="on" value="1"> On</label><label>Size <select name="size"><option value="s">Small</option><option value="l">Large</option></select></label>
		<button>Save plan</button></form><details><summary>More</summary><p>Inside</p></details>`))
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "who", Value: "Ada", Path: "/"})
		w.WriteHeader(http.StatusUnprocessableEntity)
		page("<h1>Sent</h1>"+strings.Join([]string{r.FormValue("name"), r.FormValue("on"), r.FormValue("size")}, "/"))(w, r)
	})
	mux.Handle("GET /bad", page(`<h1>Bad</h1><img src="/missing.png"><p style="color:#ddd;background:#fff">Pale</p><script>document.title = "run"</script><pre>`+strings.Repeat("wide", 400)+`</pre>`))
	mux.HandleFunc("GET /cookie", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("who")
		if err != nil {
			http.Error(w, "nobody", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, c.Value)
	})
	s := httptest.NewServer(serve.Headers(mux, false))
	t.Cleanup(s.Close)
	return s.URL
}

// Chromium outlives the thread that asked for it.
func TestOutlivesThread(t *testing.T) {
	var b *browser.Browser
	var ended sync.WaitGroup
	ended.Go(func() {
		runtime.LockOSThread() // a goroutine that ends locked ends its thread
		b = browser.Start(t)
	})
	ended.Wait()
	if b != nil { // else it is skipped
		b.Visitor(t).Goto(site(t) + "/form")
	}
}

// The components as they are shown to whoever makes pages break no rule, in both
// themes, on a desk and on a phone.
func TestComponents(t *testing.T) {
	t.Parallel()
	at := site(t)
	p := browser.Start(t).Visitor(t)
	for _, page := range []string{"", "auth", "portal", "portal-auth", "print", "operator", "error"} {
		p.Goto(at + "/dev/ui?page=" + page)
		if p.Status() != 200 {
			t.Fatalf("%s: status %d", page, p.Status())
		}
		p.Sound("ui-" + page)
	}
	// What a visitor chose goes before what his system says.
	for _, theme := range []string{"light", "dark"} {
		p.Goto(at + "/dev/ui?theme=" + theme)
		p.View(1280, theme == "light")
		for _, v := range p.Axe() {
			t.Errorf("theme %s: %s", theme, v)
		}
		var ground string
		p.Eval(`getComputedStyle(document.documentElement).backgroundColor`, &ground)
		if want := map[string]string{"light": "rgb(251, 250, 248)", "dark": "rgb(18, 20, 18)"}[theme]; ground != want {
			t.Errorf("theme %s has the ground %s", theme, ground)
		}
	}
}

// The harness does what it says, with and without JavaScript, and finds what is
// wrong: without this, a page without findings would prove nothing.
func TestHarness(t *testing.T) {
	t.Parallel()
	at := site(t)
	b := browser.Start(t)
	for _, options := range [][]browser.Option{nil, {browser.NoJS}} {
		p := b.Visitor(t, options...)
		p.Goto(at + "/form")
		p.Fill("Name", "Ada <b>")
		p.Check("on", "1", true)
		p.Choose("size", "Large")
		if p.Tap("More"); !p.Says("Inside") {
			t.Error("what was opened is not seen")
		}
		p.Click("Save plan")
		if got := p.Text("main"); !strings.Contains(got, "/1/l") || p.Status() != 422 {
			t.Errorf("the form was sent as %q, status %d", got, p.Status())
		}
		if p.Steps != 6 {
			t.Errorf("%d steps were counted", p.Steps)
		}
		if f := p.Faults(); len(f) > 0 {
			t.Errorf("a page with status 422 is no fault: %v", f)
		}
		if a := p.Get("/cookie"); a.Status != 200 || !strings.Contains(string(a.Body), "Ada") {
			t.Errorf("a file was asked for without the visitor's cookies: %d %q", a.Status, a.Body)
		}
		other := b.Visitor(t)
		if other.Goto(at + "/cookie"); other.Status() != 403 {
			t.Errorf("another visitor has this one's cookies: %d", other.Status())
		}
		other.Back()
	}

	p := b.Visitor(t)
	p.Goto(at + "/bad")
	found := fmt.Sprint(p.Axe())
	if !strings.Contains(found, "image-alt") {
		t.Errorf("axe did not find the picture without words: %s", found)
	}
	p.View(390, false)
	if o := p.Overflow(); !strings.Contains(fmt.Sprint(o), "pre ends at") {
		t.Errorf("what is too wide was not found: %v", o)
	}
	faults := strings.Join(p.Faults(), "\n")
	if !strings.Contains(faults, "404") || strings.Count(faults, "Content Security Policy") < 2 {
		t.Errorf("a missing picture, an inline style and an inline script were to be found: %s", faults)
	}
	if p.Title() != "A page" {
		t.Error("an inline script ran")
	}
}

// What JavaScript adds, and that everything works without it.
func TestEnhancements(t *testing.T) {
	t.Parallel()
	at := site(t)
	b := browser.Start(t)
	p := b.Visitor(t)
	p.Goto(at + "/dev/ui")

	p.Tap("Delete with a question")
	p.Until(`document.querySelector("dialog[open] form.confirm") !== null`)
	if got := p.Text("dialog h1"); got != "Suspend Pets Inc." {
		t.Errorf("the dialog asks %q", got)
	}
	for _, v := range p.Axe() {
		t.Errorf("dialog: %s", v)
	}
	p.Screenshot("ui-dialog", 1280, false)
	p.Press(kb.Escape)
	p.Until(`document.querySelector("dialog") === null`)
	if got := p.Focused(); got != "Delete with a question" {
		t.Errorf("after the dialog, %q has the focus", got)
	}
	p.Tap("Delete with a question")
	p.Until(`document.querySelector("dialog[open] [data-close]") !== null`)
	p.Tap("Leave it as it is")
	p.Until(`document.querySelector("dialog") === null`)

	rows := p.Count(".kv-row")
	p.TapOn("[data-add-row]")
	if n := p.Count(".kv-row"); n != rows+1 {
		t.Errorf("%d rows became %d", rows, n)
	}
	if got := p.Attr(".kv-row:last-child input", "aria-label"); got != fmt.Sprintf("Header %d", rows+1) {
		t.Errorf("the new row is called %q", got)
	}

	p.TapOn(".menu-user summary")
	if !p.Says("Signed in as ada@example.com") {
		t.Error("the user menu did not open")
	}
	for _, v := range p.Axe() {
		t.Errorf("menu: %s", v)
	}
	p.Press(kb.Escape)
	if p.Count(".menu-user[open]") != 0 {
		t.Error("Escape did not close the menu")
	}

	// A table that fits shows its head while the page scrolls; a wide one scrolls in
	// its box and can be reached by the keyboard.
	var tops []float64
	p.Eval(`(() => {
		const box = document.querySelector(".table-box[aria-label=Keys]");
		scrollTo({top: box.getBoundingClientRect().bottom + scrollY - 120, behavior: "instant"});
		return [box.querySelector("th").getBoundingClientRect().top, document.querySelector(".topbar").getBoundingClientRect().bottom];
	})()`, &tops)
	if tops[0] < tops[1]-2 {
		t.Errorf("a table's head is at %v under the top bar that ends at %v", tops[0], tops[1])
	}
	if p.Attr(`.table-box[aria-label="Wide table"]`, "tabindex") != "0" || p.Attr(".table-box[aria-label=Keys]", "tabindex") != "-1" {
		t.Error("a box that scrolls is not in the order of the keyboard, or one that does not is")
	}

	// The page has done what it does about its size by the time View returns.
	p.Eval(`document.querySelector(".table-box[aria-label=Keys] th").style.minWidth = "500px", 0`, nil)
	for range 20 {
		for _, w := range []struct {
			width int64
			index string
		}{{390, "0"}, {1280, "-1"}} {
			p.View(w.width, false)
			if got := p.Attr(".table-box[aria-label=Keys]", "tabindex"); got != w.index {
				t.Fatalf("at %d px the table has tabindex %s", w.width, got)
			}
		}
	}

	for _, width := range []int64{1280, 390} {
		p.View(width, false)
		p.TapOn(".menu-account summary")
		var left float64
		p.Eval(`document.querySelector(".menu-account > .menu-body").getBoundingClientRect().left`, &left)
		if o := p.Overflow(); len(o) > 0 || left < 0 {
			t.Errorf("the accounts stick out at %d px: %v, left end %v", width, o, left)
		}
		p.Screenshot("ui-accounts", width, false)
		p.Press(kb.Escape)
	}
	p.TapOn(".nav-small summary")
	p.Screenshot("ui-menu", 390, false)
	if !p.Says("Sell") {
		t.Error("the menu of a small screen did not open")
	}
	for _, v := range p.Axe() {
		t.Errorf("small menu: %s", v)
	}
	for _, f := range p.Faults() {
		t.Error(f)
	}

	plain := b.Visitor(t, browser.NoJS)
	plain.Goto(at + "/dev/ui")
	if plain.Count(".js") != 0 {
		t.Error("a script ran")
	}
	plain.Click("Delete with a question")
	if got := plain.Text("h1"); got != "Suspend Pets Inc." {
		t.Errorf("without JavaScript the question is %q", got)
	}
	plain.Sound("ui-plain")
}
