// Package pool opens the database so that a server, or a network, that vanished without a
// word holds nobody for longer than seconds: what it left half-open is found and replaced.
package pool

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// answer is how long an idle connection may take to say that it is alive.
	answer = 2 * time.Second
	// connect is how long a new one may take.
	connect = 10 * time.Second
	// unheard is how long what was sent may stay without the peer's kernel having it; the
	// system's own patience is a quarter of an hour.
	unheard = 20 * time.Second
)

// Open makes a pool; it connects when it is first used. Timeouts that the URL sets
// (connect_timeout, pool_ping_timeout) are kept.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if c.PingTimeout == 0 {
		c.PingTimeout = answer
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connect
	}
	d := &net.Dialer{Timeout: c.ConnConfig.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control: func(network, _ string, raw syscall.RawConn) (err error) {
			if network == "unix" {
				return nil
			}
			if e := raw.Control(func(fd uintptr) { err = bound(fd, unheard) }); e != nil {
				return e
			}
			return err
		}}
	c.ConnConfig.DialFunc = d.DialContext
	return pgxpool.NewWithConfig(ctx, c)
}
