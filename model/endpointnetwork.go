package model

import (
	"net/netip"
	"regexp"
	"strings"
)

// EndpointNetwork is a network of the operator's from which private APIs can be called. It
// stands for an interface endpoint of Amazon VPC, by whose id policies name it.
type EndpointNetwork struct {
	ID, VPC  string // vpce-… and vpc-…; VPC "": none
	Networks []netip.Prefix
}

// EndpointNetworks are an operator's, told apart by the address that a call comes from.
type EndpointNetworks []EndpointNetwork

// Of is the endpoint that an address is of: the one with the narrowest network; nil: none.
func (all EndpointNetworks) Of(a netip.Addr) *EndpointNetwork {
	var out *EndpointNetwork
	bits := -1
	a = a.Unmap().WithZone("")
	for i := range all {
		for _, p := range all[i].Networks {
			if p.Contains(a) && p.Bits() > bits {
				out, bits = &all[i], p.Bits()
			}
		}
	}
	return out
}

var endpointNetworkName = regexp.MustCompile(`^(vpce-[a-z0-9]{1,32})(?:@(vpc-[a-z0-9]{1,32}))?$`)

// ParseEndpointNetworks reads endpoints and their networks: vpce-id=network+network, or
// vpce-id@vpc-id=network, with commas.
func ParseEndpointNetworks(text string) (EndpointNetworks, error) {
	var out EndpointNetworks
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, networks, ok := strings.Cut(part, "=")
		m := endpointNetworkName.FindStringSubmatch(name)
		if !ok || m == nil {
			return nil, Errorf(Invalid, "%.200q is not a VPC endpoint with its networks, such as vpce-0a1b=10.0.0.0/8+192.168.0.0/16 or vpce-0a1b@vpc-0c=10.0.0.0/8", part)
		}
		if seen[m[1]] {
			return nil, Errorf(Invalid, "%s is there twice; its networks are separated by +", m[1])
		}
		seen[m[1]] = true
		e := EndpointNetwork{ID: m[1], VPC: m[2]}
		for n := range strings.SplitSeq(networks, "+") {
			p, err := netip.ParsePrefix(strings.TrimSpace(n))
			if err != nil {
				return nil, Errorf(Invalid, "%s: %.100q is not a network such as 10.0.0.0/8", m[1], n)
			}
			e.Networks = append(e.Networks, p.Masked())
		}
		out = append(out, e)
	}
	return out, nil
}
