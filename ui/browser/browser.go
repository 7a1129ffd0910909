// Package browser drives a real Chromium in tests, the way a visitor would: by
// what is written on a page. It also judges pages: what axe finds, what the
// content security policy refused, what does not fit a small screen. It is for
// tests only.
//
// A step that cannot be done fails the test at once, with the page's address and
// a picture where TOLLGATE_SCREENSHOTS names a folder.
package browser

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe.min.js
var axe string

// wait bounds each step. It is long, for machines under load: a step that works
// takes milliseconds.
const wait = 90 * time.Second

// Browser is one Chromium. Each visitor has cookies of his own in it.
type Browser struct {
	ctx  context.Context
	stop func()
	said tail
}

// tail keeps the end of what Chromium prints: if it dies, that says why.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-4096):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// The tests of a package that run at the same time share one Chromium.
var (
	sharing sync.Mutex
	shared  *Browser
	users   int
)

// Start runs Chromium until the test ends. Where there is none, the test is
// skipped, or fails when CI is "true". Under the race detector it is skipped.
func Start(t testing.TB) *Browser {
	t.Helper()
	if raced {
		t.Skip("pages are looked at without the race detector, by make test")
	}
	path := find()
	if path == "" {
		const missing = "Chromium is missing: install it (apt-get install chromium), or set TOLLGATE_CHROMIUM to its path"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	take(t)
	sharing.Lock()
	defer sharing.Unlock()
	if users > 0 && shared.ctx.Err() != nil { // it died; those who use it fail, whoever comes later does not
		t.Logf("Chromium died and is started again; it said:\n%s", &shared.said)
		shared.stop()
		shared = nil
	}
	if users == 0 || shared == nil {
		b, err := launch(path)
		if err != nil {
			t.Fatalf("starting %s: %v", path, err)
		}
		shared = b
	}
	users++
	t.Cleanup(func() {
		sharing.Lock()
		defer sharing.Unlock()
		if users--; users == 0 && shared != nil {
			shared.stop()
		}
	})
	return shared
}

// Two tests at a time have pages: more on a small machine make each step wait for all
// the others, until one gives up.
var (
	turns  = make(chan struct{}, 2)
	taking sync.Map // names of tests that have a turn
)

func take(t testing.TB) {
	if _, has := taking.LoadOrStore(t.Name(), true); has {
		return
	}
	turns <- struct{}{}
	t.Cleanup(func() { taking.Delete(t.Name()); <-turns })
}

func launch(path string) (*Browser, error) {
	b := &Browser{}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en"),
		chromedp.WindowSize(1280, 900),
		chromedp.WSURLReadTimeout(wait),
		chromedp.CombinedOutput(&b.said),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endTab := chromedp.NewContext(ctx, chromedp.WithErrorf(b.note))
	b.ctx, b.stop = ctx, func() {
		endTab()
		end() // waits for the process
	}
	started := make(chan error, 1)
	go func() {
		// The kernel kills Chromium when the thread that started it ends, and a gateway's
		// event loops, in other tests of the same program, take threads with them.
		runtime.LockOSThread()
		started <- chromedp.Run(ctx)
		<-ctx.Done()
	}()
	if err := <-started; err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// note keeps what the driver says beside what Chromium does: an answer that it
// cannot read ends the connection. Events that it does not know are most of it.
func (b *Browser) note(format string, args ...any) {
	fmt.Fprintf(&b.said, "driver: "+format+"\n", args...)
}

// died says why there is no Chromium any more; empty while there is.
func (b *Browser) died() string {
	if b.ctx.Err() == nil {
		return ""
	}
	return "Chromium is gone (" + context.Cause(b.ctx).Error() + "); it said last:\n" + b.said.String()
}

func find() string {
	if p := os.Getenv("TOLLGATE_CHROMIUM"); p != "" {
		return p
	}
	// The first is the same engine without the window around it, and quicker. Debian's
	// chromium-headless-shell is a script that does not end it when it is ended itself.
	for _, name := range []string{"/usr/lib/chromium/chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	if mac := "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; exists(mac) {
		return mac
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Option is how a visitor differs from the ordinary one.
type Option func(*Page)

// NoJS is a visitor without JavaScript.
func NoJS(p *Page) { p.noJS = true }

// Visitor opens a tab with no cookies. It is closed when the test ends.
func (b *Browser) Visitor(t testing.TB, options ...Option) *Page {
	t.Helper()
	inBrowser := cdp.WithExecutor(b.ctx, chromedp.FromContext(b.ctx).Browser)
	own, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(inBrowser)
	if err != nil {
		t.Fatalf("opening a tab: %v\n%s", err, &b.said)
	}
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(inBrowser)
	if err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithTargetID(id))
	t.Cleanup(func() {
		stop()
		_ = target.DisposeBrowserContext(own).Do(inBrowser) // the browser may be gone already
	})
	p := &Page{t: t, browser: b, ctx: ctx, loaded: make(chan load, 64)}
	for _, o := range options {
		o(p)
	}
	chromedp.ListenTarget(ctx, p.listen)
	p.must("opening a tab", network.Enable(), log.Enable(), cdpruntime.Enable(), page.Enable(),
		page.SetLifecycleEventsEnabled(true), emulation.SetScriptExecutionDisabled(p.noJS), chromedp.ActionFunc(p.ownFrame))
	p.View(1280, false)
	return p
}

func (p *Page) ownFrame(ctx context.Context) error {
	tree, err := page.GetFrameTree().Do(ctx)
	if err == nil {
		p.mu.Lock()
		p.frame, p.loader = tree.Frame.ID, tree.Frame.LoaderID
		p.mu.Unlock()
	}
	return err
}

// folder is where pictures go; empty: nowhere.
func folder() string { return os.Getenv("TOLLGATE_SCREENSHOTS") }

// save writes a picture and returns its path.
func save(name string, png []byte) (string, error) {
	dir := folder()
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "tollgate-screenshots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, name)
	path := filepath.Join(dir, clean+".png")
	if err := os.WriteFile(path, png, 0o644); err != nil {
		return "", fmt.Errorf("writing a picture: %w", err)
	}
	return path, nil
}
