package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tollgate/awsapi"
	"tollgate/billing/stripe"
	"tollgate/control"
	"tollgate/control/feed"
	"tollgate/gateway"
	"tollgate/model"
	"tollgate/portal"
	"tollgate/web"
)

// startFaces serves what the control listener has: the feed for gateway nodes,
// Amazon's control API, the console, and the portals.
func (p *program) startFaces(ctx context.Context) error {
	if !p.shape.faces { // but jobs name it in mails
		p.cfg.published(p.cfg.ControlAddr, p.cfg.GatewayAddr)
		p.plane.SetConsole(p.cfg.console.String())
		p.linkInvoices()
		return nil
	}
	gatewayAddr := p.cfg.GatewayAddr
	if p.gateway != nil {
		gatewayAddr = p.gateway.Addr()
	}
	p.cfg.published(p.control.Addr().String(), gatewayAddr)
	p.plane.SetConsole(p.cfg.console.String())
	p.linkInvoices()
	portals, err := portal.New(portal.Options{
		Plane: p.plane, Usage: p.intake, Billing: p.billing, Console: p.cfg.console, Domain: p.cfg.PortalDomain, Gateway: p.cfg.gateway,
		BehindProxy: p.cfg.BehindProxy, Stripe: p.stripe, Log: p.log,
	})
	if err != nil {
		return err
	}
	portals.Start(ctx)
	p.onStop(func(context.Context) error { portals.Stop(); return nil })
	outward := &http.Transport{DialContext: gateway.Dialer(p.cfg.allow).DialContext, MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 16, IdleConnTimeout: time.Minute}
	p.onStop(func(context.Context) error { outward.CloseIdleConnections(); return nil })
	caller := &http.Client{Transport: outward, Timeout: 35 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	call := func(r *http.Request) (*http.Response, error) {
		res, err := caller.Do(r)
		if err != nil && r.Context().Err() == nil {
			p.log.Warn("a call from the console had no answer", "gateway", r.URL.Host, "error", errors.Unwrap(err)) // without the query
		}
		return res, withoutAddress(err)
	}
	trials := gateway.NewTrials(p.cfg.allow, p.cfg.endpoints, p.cfg.pools, p.log)
	p.onStop(trials.Close)
	try := func(ctx context.Context, c model.TrialCall) (a model.TrialAnswer, err error) {
		if c.Credentials, err = p.plane.TrialCredentials(ctx, c.AccountID); err != nil {
			return a, err
		}
		if c.Links, err = p.plane.TrialLinks(ctx, c.AccountID); err != nil {
			return a, err
		}
		return trials.Try(ctx, c)
	}
	tryAuthorizer := func(ctx context.Context, c model.AuthorizerTrial) (a model.AuthorizerAnswer, err error) {
		if c.Credentials, err = p.plane.TrialCredentials(ctx, c.AccountID); err != nil {
			return a, err
		}
		return trials.TryAuthorizer(ctx, c)
	}
	console, err := web.New(web.Options{
		Plane: p.plane, Usage: p.intake, Billing: p.billing, Console: p.cfg.console, Gateway: p.cfg.gateway, PortalURL: portals.URL,
		Fetch: func(ctx context.Context, url string) ([]byte, error) { return download(ctx, outward, url) },
		Call:  call, GatewayAddr: gatewayAddr, Try: try, TryAuthorizer: tryAuthorizer,
		Local: p.cfg.localConsole(), BehindProxy: p.cfg.BehindProxy, RunsGateways: p.shape.gateway, Stripe: p.stripe, Log: p.log,
	})
	if err != nil {
		return err
	}
	aws, err := awsapi.New(awsapi.Options{
		Plane: p.plane, Usage: p.intake, Region: p.cfg.Region, Gateway: p.cfg.gateway, BehindProxy: p.cfg.BehindProxy, Log: p.log,
		Try: try, TryAuthorizer: tryAuthorizer,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/feed/", feed.Handler(feed.Options{
		Plane: p.plane,
		Ingest: func(ctx context.Context, n control.NodeIdentity, encoded []byte) (model.BatchReceipt, error) {
			return p.intake.Ingest(ctx, n.Gateway, n.Tenant, encoded)
		},
		Known: func(ctx context.Context, n control.NodeIdentity, boots []model.BootID) (map[model.BootID]uint64, error) {
			return p.intake.Known(ctx, n.Gateway, boots)
		},
		Log: p.log,
	}))
	if p.stripe != nil {
		mux.Handle(stripe.PlatformPath, p.stripe.Webhooks())
		mux.Handle(stripe.ConnectPath, p.stripe.Webhooks())
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case awsapi.Serves(r):
			aws.ServeHTTP(w, r)
		case portals.Serves(r):
			portals.ServeHTTP(w, r)
		default:
			console.ServeHTTP(w, r)
		}
	})
	base, cancel := context.WithCancel(context.Background())
	server := controlServer(base, mux, bodyPatience)
	go func() {
		if err := server.Serve(p.control); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- fmt.Errorf("the control listener ended: %w", err)
		}
	}()
	p.onStop(func(ctx context.Context) error {
		cancel() // nodes that wait for news are let go
		ctx, done := context.WithTimeout(ctx, 10*time.Second)
		defer done()
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	})
	return nil
}
