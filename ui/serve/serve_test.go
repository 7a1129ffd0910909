package serve_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/ui/serve"
)

func TestFromHere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, remote, header string
		want                 bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:50000", "", true},
		{"localhost:8080", "127.0.0.1:50000", "", true},
		{"[::1]:8080", "[::1]:50000", "", true},
		{"localhost", "127.0.0.1:50000", "", true},
		{"rebound.example:8080", "127.0.0.1:50000", "", false}, // a name that was pointed here
		{"localhost.example:8080", "127.0.0.1:50000", "", false},
		{"127.0.0.1:8080", "192.0.2.7:50000", "", false},
		{"127.0.0.1:8080", "127.0.0.1:50000", "X-Forwarded-For", false},
		{"127.0.0.1:8080", "127.0.0.1:50000", "Forwarded", false},
		{"127.0.0.1:8080", "127.0.0.1:50000", "Via", false},
		{"", "127.0.0.1:50000", "", false},
	} {
		r := httptest.NewRequest("GET", "/dev/mail", nil)
		r.Host, r.RemoteAddr = c.host, c.remote
		if c.header != "" {
			r.Header.Set(c.header, "192.0.2.7")
		}
		if got := serve.FromHere(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestSafeNext(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/plans?x=1": "/plans?x=1", "": "/home", "//evil.example": "/home", "/\\evil.example": "/home", "https://evil.example": "/home",
		"javascript:alert(1)": "/home", "/a\r\nSet-Cookie: x": "/home", "\t//evil.example": "/home", "/\t/evil.example": "/home",
	} {
		if got := serve.SafeNext(next, "/home"); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestBrowserName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                 "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0":              "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                  "Safari on macOS",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                           "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"curl/8.5.0": "curl", "": "A browser", "<script>": "A browser", "Linux thing": "A browser on Linux",
	} {
		if got := serve.BrowserName(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// A form that stalls is told so, whatever its type.
func TestLateForm(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve.Form(w, r, 0); err != nil {
			http.Error(w, err.Error(), serve.Status(err))
		}
	}))
	s.Config.ReadTimeout = time.Second // the head must be there by then, on a busy machine, too
	s.Start()
	defer s.Close()
	for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b"} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: "+kind+"\r\nContent-Length: 100\r\n\r\n--b")
		b, err := io.ReadAll(c) // which ends as the connection does
		if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") || !strings.Contains(string(b), "did not arrive in time") {
			t.Errorf("%s: %q, %v", kind, b, err)
		}
	}
}
