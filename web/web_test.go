package web_test

import (
	"net/http"
	"testing"
)

// Whoever is not signed in is asked to, and comes back to where they wanted to go.
func TestNotSignedIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, r := range s.web.Routes() {
		if r.Method != "GET" || r.Open || r.Realm != "console" {
			continue
		}
		req, _ := http.NewRequest("GET", s.url+r.Pattern, nil)
		resp, err := http.DefaultTransport.RoundTrip(req)
		s.must(err)
		resp.Body.Close()
		if to := resp.Header.Get("Location"); resp.StatusCode != 303 || len(to) < 9 || to[:9] != "/sign-in?" {
			t.Errorf("%s: %d to %q", r.Pattern, resp.StatusCode, to)
		}
	}
}
