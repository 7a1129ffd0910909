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
