package aws

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Endpoint is where a service takes requests.
type Endpoint struct {
	TLS     bool
	Host    string // as in the Host header
	Address string // host:port to connect to
	Path    string // before each path; "": nothing
	// Named says that the operator has named it: it may be where tenants' own addresses
	// may not be.
	Named bool
}

// Endpoints are those that the operator points elsewhere, by service; nil: none.
type Endpoints map[string]Endpoint

// ParseEndpoints reads services and where they are, separated by commas:
// "dynamodb=http://127.0.0.1:8000,*=http://127.0.0.1:5000". * is for all that are not
// named. A service may be named with its subdomain, for that one alone.
func ParseEndpoints(text string) (Endpoints, error) {
	out := Endpoints{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, at, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name != "*" && slices.ContainsFunc(strings.Split(name, "."), func(s string) bool { return !label(s) }) {
			return nil, fmt.Errorf("%q is not a service and its address, such as dynamodb=http://127.0.0.1:8000", part)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%s is named twice", name)
		}
		u, err := url.Parse(strings.TrimSpace(at))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%s: %q is not an address such as http://127.0.0.1:8000", name, at)
		}
		e := Endpoint{TLS: u.Scheme == "https", Host: u.Host, Path: strings.TrimRight(u.EscapedPath(), "/"), Named: true}
		port := u.Port()
		if port == "" {
			port = map[bool]string{false: "80", true: "443"}[e.TLS]
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%s: %q has no port that can be connected to", name, at)
		}
		e.Address = net.JoinHostPort(u.Hostname(), port)
		out[name] = e
	}
	return out, nil
}

// Addresses are those that the operator has named.
func (all Endpoints) Addresses() []string {
	set := map[string]bool{}
	for _, e := range all {
		set[e.Address] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// suffixes end the hosts of each partition's services.
var suffixes = map[string]string{"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}

// Of is where the target's service is: where the operator says, else at Amazon.
func (all Endpoints) Of(t *Target) Endpoint {
	full := t.Service
	if t.Subdomain != "" {
		full = t.Subdomain + "." + t.Service
	}
	for _, name := range []string{full, t.Service, "*"} {
		if e, ok := all[strings.ToLower(name)]; ok {
			if t.Service == "s3" && t.Subdomain != "" && name != full {
				e.Path += "/" + t.Subdomain // an address has no hosts of buckets
			}
			return e
		}
	}
	host := t.of.host
	if host == "" || t.Partition != "aws" {
		name := t.Service
		if t.of.label != "" {
			name = t.of.label
		}
		host = name + "." + t.Region + "." + suffixes[t.Partition]
	}
	if t.Subdomain != "" {
		host = t.Subdomain + "." + host
	}
	host = strings.ToLower(host)
	return Endpoint{TLS: true, Host: host, Address: host + ":443"}
}
