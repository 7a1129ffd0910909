package openapi

import (
	"net/url"
	"slices"
	"strings"

	"tollgate/model"
)

// servers remembers what lists of servers came to, so that each is judged once.
type servers struct {
	override string
	base     *url.URL
	known    map[*node]server
	root     *server
}

// server is a base URL without a last slash, or the reason there is none.
type server struct {
	url string
	why string
	at  loc
}

func (im *importer) upstreams() error {
	im.servers.known = map[*node]server{}
	if u := strings.TrimSpace(im.options.Upstream); u != "" {
		s := usable(u)
		if s.why != "" {
			return model.Errorf(model.Invalid, "upstream %s cannot be used: %s", quote(u), s.why)
		}
		im.servers.override = s.url
	}
	if b, err := url.Parse(strings.TrimSpace(im.options.BaseURL)); err == nil && b.Host != "" {
		im.servers.base = b
	}
	return nil
}

// upstream is the base URL of an operation: its own servers, its path's, or the
// document's.
func (im *importer) upstream(layers []loc, op loc) server {
	if im.servers.override != "" {
		return server{url: im.servers.override}
	}
	if !im.swagger {
		for _, owner := range append([]loc{op}, layers...) {
			if list := owner.get("servers"); list.size() > 0 {
				return im.serverList(list)
			}
		}
	} else if s := op.get("schemes"); s.size() > 0 {
		im.warnOnce(s, "an operation's own schemes are passed over: the document's are used")
	}
	if im.servers.root == nil {
		var s server
		if im.swagger {
			s = im.swaggerHost()
		} else if list := im.root.get("servers"); list.size() > 0 {
			s = im.serverList(list)
		} else {
			s = server{why: "the document names no server", at: im.root}
		}
		im.servers.root = &s
	}
	return *im.servers.root
}

func (im *importer) serverList(list loc) server {
	if s, ok := im.servers.known[list.node]; ok {
		return s
	}
	first := list
	if items := list.items(); len(items) > 0 {
		first = items[0]
		if len(items) > 1 {
			im.say(model.SeverityInfo, list, "of %d servers the first is the upstream; --upstream chooses another", len(items))
		}
	}
	s := im.expand(first)
	if s.why == "" {
		s = im.absolute(s.url)
	}
	s.at = first
	im.servers.known[list.node] = s
	return s
}

// expand puts the defaults of a server's variables into its URL.
func (im *importer) expand(l loc) server {
	rest := l.get("url").text()
	if rest == "" {
		return server{why: "it has no url"}
	}
	var out strings.Builder
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			break
		}
		shut := strings.IndexByte(rest[open:], '}')
		if shut < 0 {
			break
		}
		name := rest[open+1 : open+shut]
		value := l.get("variables").get(name).get("default")
		if !value.is(scalar) {
			return server{why: "its variable {" + truncate(name, 80, 80) + "} has no default"}
		}
		out.WriteString(rest[:open] + value.text())
		rest = rest[open+shut+1:]
		if out.Len() > 4096 {
			break
		}
	}
	out.WriteString(rest)
	return server{url: out.String()}
}

// swaggerHost is Swagger 2.0's server: scheme, host and base path.
func (im *importer) swaggerHost() server {
	host, base := im.root.get("host"), im.root.get("basePath").text()
	s := server{at: host}
	if !host.there() {
		s.at = im.root
	}
	if host.text() == "" {
		if im.servers.base == nil || base == "" {
			s.why = "the document names no host"
			return s
		}
		im.say(model.SeverityWarning, im.root.get("basePath"), "the document names no host; %s, where it came from, is the upstream", im.servers.base.Host)
		s = im.absolute("/" + strings.TrimPrefix(base, "/"))
		s.at = im.root.get("basePath")
		return s
	}
	var schemes []string
	for _, x := range im.root.get("schemes").items() {
		schemes = append(schemes, strings.ToLower(x.text()))
	}
	scheme := "https"
	if len(schemes) > 0 && !slices.Contains(schemes, "https") {
		scheme = schemes[0]
	}
	u := usable(scheme + "://" + host.text() + "/" + strings.Trim(base, "/"))
	u.at = host
	if u.why == "" && strings.Trim(base, "/") != "" {
		im.say(model.SeverityInfo, im.root.get("basePath"), "the base path %s is part of the upstream's URL, not of the API's paths (Amazon API Gateway's basepath=ignore)", quote(base))
	}
	return u
}

// absolute resolves a server's URL against where the document came from.
func (im *importer) absolute(raw string) server {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return server{why: "its url " + quote(raw) + " is not a URL"}
	}
	if u.Scheme == "" || u.Host == "" && u.Opaque == "" {
		if im.servers.base == nil {
			return server{why: "its url " + quote(raw) + " is relative, and where the document came from is not known"}
		}
		u = im.servers.base.ResolveReference(u)
	}
	return usable(u.String())
}

// usable checks a base URL the way the gateway will.
func usable(raw string) server {
	u, err := url.Parse(raw)
	if err != nil {
		return server{why: "its url " + quote(raw) + " is not a URL"}
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return server{why: "its url " + quote(raw) + " has more than a scheme, a host and a path"}
	}
	s := server{url: strings.ToLower(u.Scheme) + "://" + u.Host + strings.TrimRight(encodePath(u.EscapedPath()), "/")}
	if _, err := model.ParseUpstream(&model.Integration{Type: model.IntegrationHTTPProxy, URI: s.url}, "/"); err != nil {
		return server{why: model.MessageOf(err)}
	}
	return s
}
