package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tollgate/model"
)

// listen takes a TCP address, or says which setting is in whose way.
func listen(name, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, model.Errorf(model.Conflict, "the address %s is taken by another program: stop that, or choose another in %s", addr, name)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return nil, model.Errorf(model.Unavailable, "cannot listen on %s (%s): %v", addr, name, err)
}

// tryGatewayAddresses tells a taken address before the database starts; the
// gateway itself listens much later.
func tryGatewayAddresses(cfg *Config) error {
	for _, a := range [][2]string{{"TOLLGATE_GATEWAY_ADDR", cfg.GatewayAddr}, {"TOLLGATE_GATEWAY_TLS_ADDR", cfg.GatewayTLSAddr}} {
		l, err := listen(a[0], a[1])
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tollgate_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	r.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// admin is the listener for those who run the process.
type admin struct {
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

func startAdmin(l net.Listener, reg *prometheus.Registry) *admin {
	a := &admin{listener: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /healthz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() { _ = a.server.Serve(l) }()
	return a
}

func (a *admin) addr() string { return a.listener.Addr().String() }

// require adds something that must be well for the process to be ready.
func (a *admin) require(name string, check func(context.Context) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.needed = append(a.needed, need{name, check})
}

func (a *admin) ready()   { a.open.Store(true) }
func (a *admin) unready() { a.open.Store(false) }

func (a *admin) readyz(w http.ResponseWriter, r *http.Request) {
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

func (a *admin) stop(context.Context) error { return a.server.Close() }
