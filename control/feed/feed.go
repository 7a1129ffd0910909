// Package feed is the HTTP face of the control plane for gateway nodes: what a
// node follows, and where it hands in usage. It must never answer a node without
// checking its token, never tell it of what its gateway does not serve, and never
// read more of a body than it has a use for.
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/model"
)

// Options of the handler; all are needed but Log.
type Options struct {
	Plane *control.Plane
	// Ingest takes an encoded usage batch of a node, exactly once per name.
	Ingest func(ctx context.Context, n control.NodeIdentity, encoded []byte) (model.BatchReceipt, error)
	// Known says up to which batch all of a boot's are in.
	Known func(ctx context.Context, n control.NodeIdentity, boots []model.BootID) (map[model.BootID]uint64, error)
	Log   *slog.Logger
}

// Sizes of the largest bodies read.
const (
	maxHello  = 256 << 10
	maxLeases = 4 << 20
	maxLimits = 256 << 10
	maxBoots  = 128 << 10
)

// bodyTimeout bounds how long a node may take to send a body.
const bodyTimeout = time.Minute

type feed struct {
	Options
}

// Handler serves the feed under /feed/v1/:
//
//	POST changes           model.NodeHello -> model.Changes
//	GET  deployments/{id}  -> model.DeploymentContent
//	POST leases            Leases -> Granted
//	POST limits            model.LimitReport -> model.LimitAnswer
//	POST batches           an encoded model.Batch -> model.BatchReceipt
//	POST boots             Boots -> Known
//	POST calls             an encoded model.CallBatch -> {}
//
// A refusal is answered with its status and a Refusal.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &feed{o}
	mux := http.NewServeMux()
	mux.Handle("POST /feed/v1/changes", f.answer(f.changes))
	mux.Handle("GET /feed/v1/deployments/{id}", f.answer(f.deployment))
	mux.Handle("POST /feed/v1/leases", f.answer(f.leases))
	mux.Handle("POST /feed/v1/limits", f.answer(f.limits))
	mux.Handle("POST /feed/v1/batches", f.answer(f.batches))
	mux.Handle("POST /feed/v1/boots", f.answer(f.boots))
	mux.Handle("POST /feed/v1/calls", f.answer(f.calls))
	return mux
}

// Leases is the body of a request for leases, Granted that of its answer.
type (
	Leases struct {
		Requests []model.LeaseRequest `json:"requests"`
	}
	Granted struct {
		Leases []model.Lease `json:"leases"`
	}
)

// Boots is the body of a question for what is known of boots, Known that of its answer:
// up to which batch all of a boot's are in.
type (
	Boots struct {
		Boots []string `json:"boots"`
	}
	Known struct {
		Known map[string]uint64 `json:"known"`
	}
)

// Refusal is the body of an answer that is not 200. ID finds an internal error in
// the control plane's log.
type Refusal struct {
	Kind    model.Kind `json:"kind,omitempty"`
	Message string     `json:"message"`
	ID      string     `json:"id,omitempty"`
}

var statuses = map[model.Kind]int{
	model.Invalid:         http.StatusBadRequest,
	model.NotFound:        http.StatusNotFound,
	model.Conflict:        http.StatusConflict,
	model.Limit:           http.StatusRequestEntityTooLarge,
	model.Denied:          http.StatusForbidden,
	model.Unauthenticated: http.StatusUnauthorized,
	model.Unavailable:     http.StatusServiceUnavailable,
}

// answer checks the node's token, runs fn and writes what it returns.
func (f *feed) answer(fn func(http.ResponseWriter, *http.Request, control.NodeIdentity) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := f.node(r)
		var out any
		if err == nil {
			out, err = fn(w, r, n)
		}
		if err != nil {
			if r.Context().Err() == nil { // else the node is gone
				f.refuse(w, r, n, err)
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(out); err != nil {
			f.Log.Info("an answer to a node was cut", "gateway", n.GatewayName, "node", n.Node, "path", r.URL.Path, "error", err)
		}
	})
}

func (f *feed) node(r *http.Request) (control.NodeIdentity, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return control.NodeIdentity{}, model.Errorf(model.Unauthenticated, "the feed needs a node token: Authorization: Bearer …")
	}
	return f.Plane.AuthenticateNode(r.Context(), token)
}

func (f *feed) refuse(w http.ResponseWriter, r *http.Request, n control.NodeIdentity, err error) {
	body := Refusal{Kind: model.KindOf(err), Message: model.MessageOf(err)}
	status, known := statuses[body.Kind]
	if !known {
		status = http.StatusInternalServerError
		body = Refusal{Message: "internal error; the control plane's log has it under this id", ID: model.NewID(12)}
	}
	if !known || body.Kind == model.Unavailable {
		f.Log.Error("a node's request failed", "id", body.ID, "gateway", n.GatewayName, "node", n.Node, "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// body reads at most limit bytes, and waits for them no longer than bodyTimeout.
func body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	// Servers that cannot set a deadline have one of their own.
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, model.Errorf(model.Limit, "the body is larger than the %d bytes allowed here", limit)
		}
		return nil, model.Errorf(model.Invalid, "the body could not be read to its end")
	}
	_ = c.SetReadDeadline(time.Time{}) // a long poll may follow
	return b, nil
}

func decode[T any](w http.ResponseWriter, r *http.Request, limit int64) (v T, err error) {
	b, err := body(w, r, limit)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, model.Errorf(model.Invalid, "the body is not the JSON expected here: %v", err)
	}
	return v, nil
}

func (f *feed) changes(w http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	hello, err := decode[model.NodeHello](w, r, maxHello)
	if err != nil {
		return nil, err
	}
	return f.Plane.Changes(r.Context(), n, hello)
}

func (f *feed) deployment(_ http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	return f.Plane.Deployment(r.Context(), n, r.PathValue("id"))
}

func (f *feed) leases(w http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	in, err := decode[Leases](w, r, maxLeases)
	if err != nil {
		return nil, err
	}
	leases, err := f.Plane.Leases(r.Context(), n, in.Requests)
	return Granted{leases}, err
}

func (f *feed) boots(w http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	in, err := decode[Boots](w, r, maxBoots)
	if err != nil {
		return nil, err
	}
	boots := make([]model.BootID, len(in.Boots))
	for i, text := range in.Boots {
		if boots[i], err = model.ParseBootID(text); err != nil {
			return nil, err
		}
	}
	known, err := f.Known(r.Context(), n, boots)
	out := Known{map[string]uint64{}}
	for b, seq := range known {
		out.Known[b.String()] = seq
	}
	return out, err
}

func (f *feed) limits(w http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	in, err := decode[model.LimitReport](w, r, maxLimits)
	if err != nil {
		return nil, err
	}
	return f.Plane.Limits(r.Context(), n, in)
}

func (f *feed) calls(w http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	if t := r.Header.Get("Content-Type"); t != "application/octet-stream" {
		return nil, model.Errorf(model.Invalid, "a batch of the call log is sent as application/octet-stream, not %q", t)
	}
	b, err := body(w, r, model.MaxCallBatchBytes)
	if err != nil {
		return nil, err
	}
	return struct{}{}, f.Plane.TakeCalls(r.Context(), n, b)
}

func (f *feed) batches(w http.ResponseWriter, r *http.Request, n control.NodeIdentity) (any, error) {
	if t := r.Header.Get("Content-Type"); t != "application/octet-stream" {
		return nil, model.Errorf(model.Invalid, "a batch is sent as application/octet-stream, not %q", t)
	}
	b, err := body(w, r, model.MaxBatchBytes)
	if err != nil {
		return nil, err
	}
	receipt, err := f.Ingest(r.Context(), n, b)
	if err != nil && model.KindOf(err) == "" {
		err = fmt.Errorf("taking in a batch: %w", err)
	}
	return receipt, err
}
