// Package feed is the HTTP face of the control plane for gateway nodes: what a
// node follows and where it hands in usage. It must never answer a node without
// checking its token, and never reads more of a body than it has a use for.
package feed

import (
	"context"
	"log/slog"
	"net/http"

	"tollgate/control"
	"tollgate/model"
)

// Options of the handler.
type Options struct {
	Plane *control.Plane
	// Ingest takes an encoded usage batch of a node, exactly once per name.
	Ingest func(ctx context.Context, n control.NodeIdentity, encoded []byte) (model.BatchReceipt, error)
	Log    *slog.Logger
}

// Handler serves /feed/v1/.
func Handler(o Options) http.Handler { return http.NotFoundHandler() }
