package fake_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stripe/stripe-go/v79"
	"github.com/stripe/stripe-go/v79/client"

	"tollgate/cmd/fakestripe/fake"
)

// start serves a fake for the length of a test.
func start(t testing.TB, o fake.Options) (*fake.Server, string) {
	t.Helper()
	s, err := fake.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.SetURL(web.URL)
	return s, web.URL
}

// connect is stripe-go pointed at a fake, without its own retries so that tests see each answer.
func connect(t testing.TB, url string) *client.API { return connectRetrying(t, url, 0) }

func connectRetrying(t testing.TB, url string, retries int64) *client.API {
	t.Helper()
	b := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{URL: &url, MaxNetworkRetries: &retries,
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}})
	return client.New("sk_test_fake", &stripe.Backends{API: b, Connect: b, Uploads: b})
}
