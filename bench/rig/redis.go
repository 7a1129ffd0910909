package rig

import (
	"context"
	"errors"
	"net"
)

// Redis is a Redis or Valkey of the rig's own, which keeps nothing over a restart.
type Redis struct {
	Addr string

	rig *Rig
	bin string
}

// NewRedis finds the server's program; Launch starts it.
func (r *Rig) NewRedis() (*Redis, error) {
	bin, err := Tool("redis-server", "apt-get install redis-server")
	if errors.Is(err, ErrMissing) {
		bin, err = Tool("valkey-server", "apt-get install redis-server, or valkey-server")
	}
	if err != nil {
		return nil, err
	}
	addr, err := FreeAddr()
	return &Redis{addr, r, bin}, err
}

// Launch starts the server and does not wait for it.
func (r *Redis) Launch() (*Process, error) {
	host, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		return nil, err
	}
	return r.rig.Start(Command{Name: "redis", CPU: AnyCPU,
		Args: []string{r.bin, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", r.rig.Dir}})
}

// Ready waits until the server takes connections.
func (r *Redis) Ready(ctx context.Context, p *Process) error { return WaitPort(ctx, p, r.Addr) }
