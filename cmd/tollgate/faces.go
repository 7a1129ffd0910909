package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tollgate/control"
	"tollgate/control/feed"
	"tollgate/model"
)

// startFaces serves what the control listener has: the feed for gateway nodes,
// and a page that says what runs.
func (p *program) startFaces(context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("/feed/", feed.Handler(feed.Options{
		Plane: p.plane,
		Ingest: func(ctx context.Context, n control.NodeIdentity, encoded []byte) (model.BatchReceipt, error) {
			return p.intake.Ingest(ctx, n.Gateway, n.Tenant, encoded)
		},
		Log: p.log,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		addr := ""
		if p.gateway != nil {
			addr = p.gateway.Addr()
		}
		fmt.Fprintf(w, "Tollgate %s runs here: the control plane", version)
		if addr != "" {
			fmt.Fprintf(w, ", and a gateway on http://%s", addr)
		}
		fmt.Fprintf(w, ".\nIt is worked with from the command line.\n")
		fmt.Fprint(w, nextSteps(p.cfg, addr))
	})
	// Feed requests wait for news, so there is no write timeout here; the feed
	// bounds its own.
	base, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return base },
	}
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
