package stripe

import (
	"context"
	"strings"

	stripe "github.com/stripe/stripe-go/v79"
)

// Register makes the two webhook endpoints of the operator's account below an
// address, in place of those that are there, and returns their secrets. Of the
// options it needs Key and, where it is not Stripe's own, URL.
func Register(ctx context.Context, o Options, console string) (platform, connect string, err error) {
	if err := CheckKey(o.Key); err != nil {
		return "", "", err
	}
	api := newAPI(o)
	console = strings.TrimSuffix(console, "/")
	it := api.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{ListParams: list(ctx, "")})
	for it.Next() {
		e := it.WebhookEndpoint()
		if e.URL != console+PlatformPath && e.URL != console+ConnectPath {
			continue
		}
		if _, err := api.WebhookEndpoints.Del(e.ID, &stripe.WebhookEndpointParams{Params: on(ctx, "", "")}); err != nil && !gone(err) {
			return "", "", plain(err)
		}
	}
	if it.Err() != nil {
		return "", "", plain(it.Err())
	}
	secret := func(path string, connect bool) (string, error) {
		e, err := api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{Params: on(ctx, "", ""), URL: stripe.String(console + path),
			EnabledEvents: stripe.StringSlice(EventTypes), APIVersion: stripe.String(Version), Connect: &connect, Description: stripe.String("Tollgate")})
		if err != nil {
			return "", plain(err)
		}
		return e.Secret, nil
	}
	if platform, err = secret(PlatformPath, false); err != nil {
		return "", "", err
	}
	connect, err = secret(ConnectPath, true)
	return platform, connect, err
}
