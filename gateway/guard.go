package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"tollgate/gateway/http1"
)

// closed is every range that is not the public Internet: loopback, private,
// link-local (where clouds keep their metadata service), carrier-grade NAT,
// test, multicast and reserved space, and the prefixes that embed IPv4.
var closed = func() (p []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/8", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}()

// guard decides which addresses outgoing calls may reach. Tenants choose their
// upstreams, so everything that is not public is closed unless the operator
// opened it.
type guard struct {
	allow  []netip.Prefix
	dialer net.Dialer
}

func newGuard(allow []netip.Prefix) *guard {
	g := &guard{allow: allow}
	g.dialer = net.Dialer{KeepAlive: 30 * time.Second, ControlContext: g.control}
	return g
}

func (g *guard) permits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(a) {
			return true
		}
	}
	for _, p := range closed {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast()
}

// control runs after the name was resolved, once for each address tried, so a
// name that points somewhere else the next time is no way around.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !g.permits(ap.Addr()) {
		return fmt.Errorf("%s: %w", address, http1.ErrForbidden)
	}
	return nil
}

// only dials the addresses given and no others: those that the operator has named may
// be in a network that is closed to tenants' upstreams.
func only(addresses []string) func(context.Context, string, string) (net.Conn, error) {
	open, d := map[string]bool{}, net.Dialer{KeepAlive: 30 * time.Second}
	for _, a := range addresses {
		open[a] = true
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if !open[address] {
			return nil, fmt.Errorf("%s: %w", address, http1.ErrForbidden)
		}
		return d.DialContext(ctx, network, address)
	}
}

// Dialer reaches what upstreams may be in: public addresses, and the networks
// that the operator opened.
func Dialer(allow []netip.Prefix) *net.Dialer { return &newGuard(allow).dialer }
