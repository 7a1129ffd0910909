package serve_test

import (
	"net/http/httptest"
	"testing"

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
