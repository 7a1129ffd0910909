package model

import (
	"net/netip"
	"strings"
	"testing"
)

func TestVPCEndpoints(t *testing.T) {
	all, err := ParseEndpointNetworks(" vpce-wide=10.0.0.0/8+fd00::/8, vpce-narrow@vpc-1=10.1.2.3/16,")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{"10.2.0.1": "vpce-wide ", "10.1.0.1": "vpce-narrow vpc-1", "::ffff:10.2.0.1": "vpce-wide ", "fd00::1%eth0": "vpce-wide ", "11.0.0.1": ""} {
		got := ""
		if e := all.Of(netip.MustParseAddr(addr)); e != nil {
			got = e.ID + " " + e.VPC
		}
		if got != want {
			t.Errorf("%s is of %q, not %q", addr, got, want)
		}
	}
	if all.Of(netip.Addr{}) != nil {
		t.Error("no address is of an endpoint")
	}
	for text, want := range map[string]string{"vpce-1": "is not a VPC endpoint", "x=10.0.0.0/8": "is not a VPC endpoint", "vpce-1=10.0.0.0": "is not a network", "vpce-1=": "is not a network",
		"vpce-1=10.0.0.0/8,vpce-1=11.0.0.0/8": "twice"} {
		if _, err := ParseEndpointNetworks(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
