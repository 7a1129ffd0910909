// Package fake is a stateful imitation of the part of Stripe's API that Tollgate uses: what
// stripe-go v79 sends under API version 2024-06-20 for customers, saved cards, invoices, credit
// notes, refunds, Checkout, the billing portal, meters, Connect and webhooks. It moves no money and
// must never be reachable from outside: any key that begins with sk_test_ is the platform's.
//
// # Use
//
// A program that speaks to Stripe is pointed at it with a backend's URL:
//
//	srv := fake.New(fake.Options{Now: clock})
//	web := httptest.NewServer(srv)
//	srv.SetURL(web.URL)
//	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{URL: &web.URL})
//
// The program cmd/fakestripe serves the same on a port, keeps its state in a file and runs what
// falls due. In tests nothing runs by itself: [Server.Settle] does everything due now (webhooks
// too, over real HTTP) and [Server.Advance] moves the clock and does on the way what falls due.
//
// # How it is built
//
// One table (routes.go) names each endpoint, the parameters it takes and the function that
// answers it; a parameter that is not in the table is refused as Stripe refuses it. Objects are
// JSON objects whose shape lies in shapes.json. They change in one goroutine at a time, and the
// moves of an invoice happen in invoice_moves.go only. Events are written by the change itself;
// what happens later (auto-advance, retries of payments, deliveries) are jobs in one queue.
//
// # Cards
//
// The pages take a card's number, the API the names of Stripe's test payment methods; what each
// does is the table in cards.go. Some are the fake's own, because Stripe has none that do it,
// for instance pm_card_fake_insufficientFundsThenSuccess.
//
// # The control path
//
// Under /_fake/ (JSON, no key needed):
//
//	GET  /_fake/clock                      the virtual time
//	POST /_fake/clock     {"advance":"24h"}  moves it, doing what falls due on the way
//	POST /_fake/settle                     does what is due now, deliveries too
//	GET  /_fake/calls                      the journal of calls, DELETE empties it
//	POST /_fake/faults    see [Fault]      adds one rule, DELETE removes all
//	POST /_fake/webhooks  see [Chaos]      duplicates, shuffles, delays deliveries
//	GET  /_fake/deliveries                 the attempts made to deliver webhooks
//	POST /_fake/accounts/{id}/deauthorize  the tenant disconnects the platform
//	POST /_fake/accounts/{id}/onboard      what the tenant would do on the onboarding page
//	POST /_fake/accounts/{id}/restrict     Stripe takes charges_enabled away
//
// # What differs from Stripe
//
// Subscriptions, prices, discounts, most of Stripe Tax and destination charges are not there;
// their parameters are refused. Meters bill nothing, and take several events of one customer at
// a time; what is wrong with one is said at once, and summaries know of it a minute later. The
// days of payment retries are fixed (see retryAfter), as Stripe's are chosen by a model; an
// invoice finalized with auto_advance is charged at once. The search index knows an object a
// minute after it was made, as Stripe's usually does.
package fake
