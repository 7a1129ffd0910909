package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// View sets how wide the visitor's screen is, and which theme his system has. A
// width below 600 is a phone's.
func (p *Page) View(width int64, dark bool) {
	p.t.Helper()
	var change []chromedp.Action
	if width != p.width {
		change = append(change, emulation.SetDeviceMetricsOverride(width, 900, 1, width < 600))
	}
	if dark != p.dark || p.width == 0 {
		scheme := "light"
		if dark {
			scheme = "dark"
		}
		change = append(change, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}))
	}
	p.width, p.dark = width, dark
	if len(change) == 0 {
		return
	}
	p.must("setting the view", change...)
	if !p.noJS {
		// What the page's own script does about its size is done before the next frame but one.
		p.Eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`, nil)
	}
}

// Screenshot takes a picture of the whole page at a width and in a theme, and
// leaves the view as it was. It goes to the folder TOLLGATE_SCREENSHOTS, else to
// one below the system's temporary folder; the path is returned.
func (p *Page) Screenshot(name string, width int64, dark bool) string {
	p.t.Helper()
	w, d := p.width, p.dark
	p.View(width, dark)
	defer p.View(w, d)
	var png []byte
	p.must("taking a picture", chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = shoot(ctx)
		return err
	}))
	theme := "light"
	if dark {
		theme = "dark"
	}
	path, err := save(fmt.Sprintf("%s-%d-%s", name, width, theme), png)
	if err != nil {
		p.fail("%v", err)
	}
	return path
}

// tallest bounds a picture's height: some pages are very long.
const tallest = 6000

func shoot(ctx context.Context) ([]byte, error) {
	var png []byte
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		// From the top, so that what sticks to the screen is where it belongs.
		if err := chromedp.Evaluate(`scrollTo({top: 0, behavior: "instant"})`, nil).Do(ctx); err != nil {
			return err
		}
		_, _, _, _, _, size, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		png, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).WithOptimizeForSpeed(true).
			WithClip(&page.Viewport{Width: size.Width, Height: min(size.Height, tallest), Scale: 1}).Do(ctx)
		return err
	}))
	return png, err
}

// Overflow lists what sticks out of the page at the side, so that the page itself
// scrolls sideways; nothing may.
func (p *Page) Overflow() []string {
	p.t.Helper()
	var out []string
	p.Eval(`(() => {
		const root = document.documentElement;
		if (root.scrollWidth <= root.clientWidth) return [];
		const clips = e => { for (let a = e.parentElement; a && a !== document.body; a = a.parentElement) if (getComputedStyle(a).overflowX !== "visible") return true; return false; };
		const end = e => { const r = e.getBoundingClientRect(); return getComputedStyle(e).overflowX === "visible" ? Math.max(r.right, r.left + e.scrollWidth) : r.right; };
		const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + [...e.classList].map(c => "." + c).join("");
		const out = [...document.body.querySelectorAll("*")].map(e => [e, end(e)]).filter(([e, x]) => x > root.clientWidth + 0.5 && !clips(e))
			.map(([e, x]) => name(e) + " ends at " + Math.round(x) + " of " + root.clientWidth);
		return out.length ? out.slice(0, 8) : ["the page is " + root.scrollWidth + " wide on a screen of " + root.clientWidth];
	})()`, &out)
	return out
}

// Violation is a rule of accessibility that a page breaks.
type Violation struct {
	ID, Impact, Help string
	Nodes            []string // where, and what axe says of it
}

func (v Violation) String() string {
	return v.ID + " (" + v.Impact + "): " + v.Help + "\n    " + strings.Join(v.Nodes, "\n    ")
}

// Axe checks the page as it is shown by the rules of WCAG 2.0, 2.1 and 2.2, A and
// AA. It needs JavaScript.
func (p *Page) Axe() []Violation {
	p.t.Helper()
	return p.axe(`["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]`)
}

// themed are Axe's rules that a theme can change, and narrowed those that a width can too.
const (
	themed   = `{type: "rule", values: ["color-contrast"]}`
	narrowed = `{type: "rule", values: ["color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block", "button-name", "link-name", "label", "aria-hidden-focus"]}`
)

func (p *Page) axe(rules string) []Violation {
	p.t.Helper()
	if p.noJS {
		p.fail("axe needs JavaScript")
	}
	var there bool
	if p.Eval(`typeof axe === "object"`, &there); !there {
		p.Eval(axe+";0", nil)
	}
	var text string
	p.Eval(`axe.run(document, {runOnly: `+rules+`, resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v =>
		({ID: v.id, Impact: v.impact ?? "", Help: v.help, Nodes: v.nodes.map(n => n.target.join(" ") + "  " + n.html.slice(0, 160) + "  " + (n.failureSummary ?? "").replace(/\s+/g, " "))}))))`, &text)
	var out []Violation
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		p.fail("axe answered %q", shorten(text))
	}
	return out
}

// Sound fails the test for each thing wrong with the page as it stands, at 1280
// and 390 px in both themes: violations, faults, what sticks out. It returns how
// many there are. With a name, it takes a picture of each where TOLLGATE_SCREENSHOTS
// names a folder.
func (p *Page) Sound(name string) int {
	p.t.Helper()
	return p.judge(name, view{1280, false}, view{1280, true}, view{390, true}, view{390, false})
}

// Glance is Sound at 1280 px in the light and at 390 px in the dark only, in half the
// time: for pages that are judged wholly by make e2e.
func (p *Page) Glance(name string) int {
	p.t.Helper()
	return p.judge(name, view{1280, false}, view{390, true})
}

// Fits is Glance without Axe: for pages that other tests judge.
func (p *Page) Fits() int {
	p.t.Helper()
	w, d := p.width, p.dark
	defer p.View(w, d)
	wrong := 0
	for _, v := range []view{{1280, false}, {390, true}} {
		p.View(v.width, v.dark)
		wrong += p.fits(v)
	}
	return wrong + p.clean()
}

// fits fails the test for each thing that sticks out of the page, and counts them.
func (p *Page) fits(v view) int {
	p.t.Helper()
	out := p.Overflow()
	for _, o := range out {
		p.t.Errorf("%s at %d px: %s", p.URL(), v.width, o)
	}
	return len(out)
}

// clean fails the test for each fault of the page since it was asked last, and counts them.
func (p *Page) clean() int {
	p.t.Helper()
	out := p.Faults()
	for _, f := range out {
		p.t.Errorf("%s: %s", p.URL(), f)
	}
	return len(out)
}

type view struct {
	width int64
	dark  bool
}

func (p *Page) judge(name string, views ...view) int {
	p.t.Helper()
	w, d := p.width, p.dark
	defer p.View(w, d)
	pictures := name != "" && folder() != "" // else nobody looks at them, and each takes as long as a check
	wrong := 0
	for i, v := range views {
		p.View(v.width, v.dark)
		first := i == 0 || views[i-1].width != v.width // of this width, whose theme changes no other rule
		var found []Violation
		switch {
		case p.noJS:
		case i == 0 || first && pictures:
			found = p.Axe()
		case first:
			found = p.axe(narrowed)
		default:
			found = p.axe(themed)
		}
		for _, f := range found {
			wrong++
			p.t.Errorf("%s at %d px, %s: %s", p.URL(), v.width, map[bool]string{false: "light", true: "dark"}[v.dark], f)
		}
		if pictures {
			p.Screenshot(name, v.width, v.dark)
		}
		if first {
			wrong += p.fits(v)
		}
	}
	return wrong + p.clean()
}
