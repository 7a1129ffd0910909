package http1

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refusedURL is the one case that should pass and is refused: it has a "|" as it is, which
// no URI may have and Amazon API Gateway refuses.
const refusedURL = "Compliant URL"

// The cases nobody here wrote: requests classified by http-desync-guardian.
func TestConformanceSmuggling(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder of conformance data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "request-smuggling.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no request-smuggling.json in TOLLGATE_CONFORMANCE=%s", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, URI, Method, Version string
		Headers                    []struct {
			Name  string
			Value any
		}
		Expected struct{ Tier string }
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	count, refused := map[string]int{}, map[string]int{}
	failed := 0
	for _, c := range cases {
		var req strings.Builder
		fmt.Fprintf(&req, "%s %s %s\r\nHost: a\r\n", c.Method, c.URI, c.Version)
		body := ""
		for _, h := range c.Headers {
			v := fmt.Sprint(h.Value)
			fmt.Fprintf(&req, "%s: %s\r\n", h.Name, v)
			switch {
			case strings.Contains(strings.ToLower(h.Name), "transfer-encoding"):
				body = "0\r\n\r\n"
			case strings.EqualFold(h.Name, "Content-Length") && body == "":
				var n int
				_, _ = fmt.Sscan(v, &n)
				body = strings.Repeat("x", max(n, 0))
			}
		}
		status, closed := firstStatus(t, r.addr, c.Method, req.String()+"\r\n"+body)
		tier := c.Expected.Tier
		count[tier]++
		if status >= 400 {
			refused[tier]++
		}
		switch {
		case tier == "Severe" && (status < 400 || !closed):
			failed++
			t.Errorf("severe case %q: status %d, closed %v", c.Name, status, closed)
		case tier == "Compliant" && c.Name == refusedURL:
			failed++
			if status != 400 {
				t.Errorf("compliant case %q: status %d, though divergences.md says that it is refused", c.Name, status)
			}
		case tier == "Compliant" && status != 200:
			failed++
			t.Errorf("compliant case %q: status %d", c.Name, status)
		}
	}
	for _, tier := range []string{"Severe", "Ambiguous", "Acceptable", "Compliant"} {
		t.Logf("%s: %d of %d refused", tier, refused[tier], count[tier])
	}
	fmt.Printf("conformance smuggling cases %d pass %d fail %d\n", len(cases), len(cases)-failed, failed)
	if count["Severe"] == 0 || count["Compliant"] == 0 {
		t.Error("the data holds no severe or no compliant case")
	}
}

// firstStatus is the first answer's status, and whether the connection was closed
// after it; a connection that stays open is told by its answering once more.
func firstStatus(t *testing.T, addr, method, send string) (status int, closed bool) {
	t.Helper()
	c := dialClient(t, addr)
	defer c.Close()
	_, _ = io.WriteString(c, send)
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer to %.200q: %v", send, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_, _ = io.WriteString(c, "GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
	_, err = c.r.ReadByte()
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		t.Fatalf("%.200q: neither closed nor answered within a minute", send)
	}
	return resp.StatusCode, err != nil
}
