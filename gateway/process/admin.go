package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tollgate/model"
)

// NewRegistry holds the process's metrics, its version among them.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tollgate_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	r.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Admin is the listener for those who run the process: /livez, /readyz, /metrics.
type Admin struct {
	listener net.Listener
	server   *http.Server
	open     atomic.Bool // started and not stopping

	mu     sync.Mutex
	needed []need
}

type need struct {
	name  string
	check func(context.Context) error
}

// StartAdmin listens on addr. /readyz fails until Open.
func StartAdmin(addr string, reg *prometheus.Registry) (*Admin, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, model.Errorf(model.Unavailable, "cannot listen on %s (TOLLGATE_ADMIN_ADDR): %v", addr, err)
	}
	a := &Admin{listener: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /healthz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

// Addr is where it listens.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Require adds something that must be well for the process to be ready.
func (a *Admin) Require(name string, check func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.needed = append(a.needed, need{name, check})
}

// Open and Close say whether the process as a whole wants traffic.
func (a *Admin) Open()  { a.open.Store(true) }
func (a *Admin) Close() { a.open.Store(false) }

func (a *Admin) readyz(w http.ResponseWriter, r *http.Request) {
	if !a.open.Load() {
		http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
		return
	}
	a.mu.Lock()
	needed := a.needed
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	for _, n := range needed {
		if err := n.check(ctx); err != nil {
			// The reason may name hosts; whoever asks here gets only the part.
			http.Error(w, n.name+" is not ready", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// Stop ends the listener.
func (a *Admin) Stop() { _ = a.server.Close() }
