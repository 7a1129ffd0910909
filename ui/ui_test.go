package ui

import (
	"bytes"
	"math"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
)

func galleryHTML(t *testing.T, query string) string {
	t.Helper()
	w := httptest.NewRecorder()
	Gallery().ServeHTTP(w, httptest.NewRequest("GET", "/dev/ui"+query, nil))
	if w.Code != 200 {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

// Nothing inline: the content security policy forbids it.
func TestNothingInline(t *testing.T) {
	html := galleryHTML(t, "")
	for _, bad := range []string{` style="`, "<style", "javascript:", ` onclick`, ` onsubmit`, `<script>`} {
		if strings.Contains(html, bad) {
			t.Errorf("the components hold %q", bad)
		}
	}
	if !strings.Contains(galleryHTML(t, "?theme=dark"), `data-theme="dark"`) {
		t.Error("the dark theme is not in the page")
	}
}

func TestAssets(t *testing.T) {
	html := galleryHTML(t, "")
	urls := regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(urls) < 2 {
		t.Fatalf("only %d assets in a page", len(urls))
	}
	for _, u := range urls {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", u[1], nil)
		r.Header.Set("Accept-Encoding", "gzip")
		Assets().ServeHTTP(w, r)
		zipped := w.Header().Get("Content-Encoding") == "gzip"
		if w.Code != 200 || zipped == strings.HasSuffix(u[1], ".woff2") || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", u[1], w.Code, w.Header())
		}
	}
	for name, most := range map[string]int{"app.css": 15 << 10, "app.js": 20 << 10} {
		if n := len(assets[name].zipped); n == 0 || n > most {
			t.Errorf("%s has %d bytes compressed, more than %d", name, n, most)
		}
	}
	for _, font := range regexp.MustCompile(`url\(["']?([^"')]+\.woff2)`).FindAllStringSubmatch(string(assets["app.css"].plain), -1) {
		if _, ok := assets[font[1]]; !ok || assetURL[font[1]] != "" {
			t.Errorf("the stylesheet asks for %s, which is not there or not named by its content", font[1])
		}
	}
}

// Every text colour can be read on every ground of its theme.
func TestContrast(t *testing.T) {
	b, err := os.ReadFile("src/app.css")
	if err != nil {
		t.Fatal(err)
	}
	tokens := regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9A-Fa-f]{6}), (#[0-9A-Fa-f]{6})\)`).FindAllSubmatch(b, -1)
	if len(tokens) < 16 {
		t.Fatalf("found %d tokens", len(tokens))
	}
	for i, theme := range []string{"light", "dark"} {
		c := map[string]float64{}
		for _, m := range tokens {
			c[string(m[1])] = luminance(string(m[2+i]))
		}
		for _, text := range []string{"text", "muted", "primary", "ok", "warn", "danger", "info", "violet"} {
			for _, ground := range []string{"bg", "surface", "sunken"} {
				if r := ratio(c[text], c[ground]); r < 5.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f", theme, text, ground, r)
				}
			}
		}
		for text, ground := range map[string]string{"on-primary": "primary", "on-danger": "danger"} {
			if r := ratio(c[text], c[ground]); r < 5.5 {
				t.Errorf("%s: %s has a contrast of %.2f", theme, text, r)
			}
		}
		for _, ground := range []string{"bg", "surface"} {
			if r := ratio(c["line-strong"], c[ground]); r < 3 {
				t.Errorf("%s: a control's border has a contrast of %.2f on %s", theme, r, ground)
			}
			if r := ratio(c["focus"], c[ground]); r < 3 {
				t.Errorf("%s: the focus has a contrast of %.2f on %s", theme, r, ground)
			}
		}
	}
}

func luminance(hex string) float64 {
	n, _ := strconv.ParseUint(hex[1:], 16, 32)
	part := func(v uint64) float64 {
		f := float64(v&255) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}

func ratio(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

func TestTextIsEscaped(t *testing.T) {
	var out bytes.Buffer
	evil := `"><script>alert(1)</script>`
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(Input(Field{Name: "n", Label: evil, Value: evil, Hint: evil, Error: evil, Placeholder: evil}).Render(ctx, &out))
	must(Code("c", evil, evil).Render(ctx, &out))
	must(Badge("ok", evil).Render(ctx, &out))
	must(BarChart(Bars{Title: evil, Labels: []string{evil}, Series: []Series{{evil, "s0", []int64{1}}}}).Render(ctx, &out))
	must(LinkButton("", evil, "javascript:alert(1)").Render(ctx, &out))
	if strings.Contains(out.String(), "<script>") {
		t.Error("text is not escaped")
	}
}

func TestFormats(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for got, want := range map[string]string{
		Quantity(0): "0", Quantity(999): "999", Quantity(1000): "1,000", Quantity(int64(-1234567)): "−1,234,567",
		Money(5, "USD", 2): "0.05 USD", Money(-120450, "EUR", 2): "−1,204.50 EUR", Money(1200, "JPY", 0): "1,200 JPY", Money(1, "KWD", 3): "0.001 KWD",
		Bytes(512): "512 B", Bytes(1536): "1.5 KiB", Bytes(3 << 20): "3.0 MiB",
		Ago(now.Add(-time.Minute), now): "1 minute ago", Ago(now.Add(-72*time.Hour), now): "3 days ago", Ago(now, now): "just now",
		Plural(1, "key", "keys"): "1 key", Plural(3, "key", "keys"): "3 keys",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNiceTop(t *testing.T) {
	for n := int64(1); n < 5_000_000; n = n*13/10 + 1 {
		top := niceTop(n)
		if top < n || top > 4*n+4 || top > 4 && top%4 != 0 {
			t.Errorf("niceTop(%d) = %d", n, top)
		}
	}
}

func rendered(t *testing.T, c templ.Component) string {
	t.Helper()
	var out bytes.Buffer
	if err := c.Render(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A chart says all its figures in a table too, and draws what they are.
func TestCharts(t *testing.T) {
	for name, html := range map[string]string{"bars": rendered(t, BarChart(someBars)), "lines": rendered(t, LineChart(someLines))} {
		b := someBars
		if name == "lines" {
			b = someLines
		}
		table := html[strings.Index(html, "<table"):]
		for i, label := range b.Labels {
			row := "<td>" + label + "</td>"
			for _, s := range b.Series {
				row += `<td class="num">` + figure(s, i) + "</td>"
			}
			if !strings.Contains(table, row) {
				t.Errorf("%s: the table misses %s", name, row)
			}
		}
		if !strings.Contains(html, `role="img" aria-label="`) || strings.Count(html, "<title>") == 0 {
			t.Errorf("%s: the drawing says nothing", name)
		}
	}
	// One figure stands on the other, to scale.
	c := Bars{Labels: []string{"a"}, Unit: "calls", Series: []Series{{"x", "s0", []int64{4}}, {"y", "s1", []int64{2}}}}.columns()
	if len(c) != 1 || c[0].title != "a: 6 calls (x 4, y 2)" || niceTop(6) != 8 {
		t.Fatalf("columns %+v, scale %d", c, niceTop(6))
	}
	all, foot := float64(chartHeight-chartTop-chartBottom), float64(chartHeight-chartBottom)
	for i, want := range []bar{
		{x: "10%", w: "80%", y: num(foot - all*4/8), h: num(all * 4 / 8), class: "s0"},
		{x: "10%", w: "80%", y: num(foot - all*6/8), h: num(all * 2 / 8), class: "s1"},
	} {
		if c[0].parts[i] != want {
			t.Errorf("bar %d is %+v, want %+v", i, c[0].parts[i], want)
		}
	}
	// A gap parts a line; a lone figure is still seen.
	l := Bars{Labels: []string{"a", "b", "c", "d"}}
	if got := l.lines(Series{Values: []int64{1, 2, -1, 3}}); len(got) != 2 {
		t.Errorf("lines %q", got)
	}
	for _, empty := range []Bars{{Title: "T"}, {Title: "T", Labels: []string{"a"}, Series: []Series{{"x", "s0", []int64{0}}}}} {
		for _, html := range []string{rendered(t, BarChart(empty)), rendered(t, LineChart(empty))} {
			if strings.Contains(html, "<svg") || !strings.Contains(html, "nothing in this time") {
				t.Errorf("an empty chart is %s", html)
			}
		}
	}
}

// What a form's list of problems leads to is on the page.
func TestProblemsLead(t *testing.T) {
	html := rendered(t, Problems([]Problem{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}, {"g", "6"}, {"h", "7"}, {"i", "8"}})) +
		rendered(t, Input(Field{Name: "a"})) + rendered(t, TextArea(Field{Name: "b"}, 2)) + rendered(t, Select(Field{Name: "c"}, nil, false)) +
		rendered(t, Check("d", "1", "", "", false)) + rendered(t, Switch("e", "", "", false)) + rendered(t, Radios(Field{Name: "g"}, nil)) +
		rendered(t, Checks(Field{Name: "h"}, nil, nil)) + rendered(t, KeyValueRows(Field{Name: "i"}, "K", "V", nil))
	links := regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(links) != 8 {
		t.Fatalf("%d links", len(links))
	}
	for _, l := range links {
		if strings.Count(html, ` id="`+l[1]+`"`) != 1 {
			t.Errorf("#%s leads nowhere", l[1])
		}
	}
}

func TestRowsAreKept(t *testing.T) {
	rows := []KeyValue{{"A", "1", ""}, {"B b", "2", "no spaces"}}
	html := rendered(t, KeyValueRows(Field{Name: "h", Label: "Headers"}, "Header", "Value", rows))
	if n := strings.Count(html, `name="h-key"`); n != 4 || strings.Count(html, `name="h-value"`) != 4 {
		t.Errorf("%d rows", n)
	}
	for _, want := range []string{`value="A"`, `value="B b"`, `aria-label="Header 2"`, "no spaces", `name="h-more"`} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if len(rows) != 2 {
		t.Error("the caller's rows changed")
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{"Ada Lovelace": "AL", "grace.hopper@example.com": "GH", "Äbc": "Ä", "": "", "Ann B. C. Dee": "AD"} {
		if got := initials(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}
