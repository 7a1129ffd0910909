package gateway

import (
	"bytes"
	"fmt"
	"net/textproto"
	"strings"
	"time"

	"tollgate/gateway/cache"
	"tollgate/gateway/http1"
	"tollgate/model"
)

// caching is how a method's answers are kept on a stage.
type caching struct {
	store   *cache.Store
	setting model.CacheSetting
	every   bool // verbs other than GET, too: the method has settings of its own
}

// cacheKey is what tells a method's answers apart: nothing but what its author chose.
type cacheKey struct {
	namespace string
	params    []cacheParam
}

// cacheParam is a part of a call that an answer depends on.
type cacheParam struct{ kind, name string } // path, querystring or header

// compileCacheKey reads the cache key parameters of an integration. One that names a
// parameter of the integration's request stands for what that is made of.
func compileCacheKey(g *model.Integration, resource string) (k cacheKey, err error) {
	if k.namespace = g.CacheNamespace; k.namespace == "" {
		k.namespace = resource
	}
	for _, name := range g.CacheKeyParameters {
		from := name
		if strings.HasPrefix(name, "integration.request.") {
			if from = g.RequestParameters[name]; strings.HasPrefix(from, "'") || strings.HasPrefix(from, "stageVariables.") {
				continue // always the same on a stage
			}
		}
		rest, ok := strings.CutPrefix(from, "method.request.")
		kind, what, _ := strings.Cut(rest, ".")
		kind = strings.TrimPrefix(kind, "multivalue")
		if !ok || what == "" || kind != "path" && kind != "querystring" && kind != "header" {
			return k, fmt.Errorf("cache key parameter %s is not one of method.request.path, querystring or header, or made of one", name)
		}
		if kind == "header" {
			what = textproto.CanonicalMIMEHeaderKey(what)
		}
		k.params = append(k.params, cacheParam{kind, what})
	}
	return k, nil
}

// cacheOf names the cache of a stage, or the one that its canary has for itself.
type cacheOf struct {
	stage  uint32
	canary bool
}

// stageCache is a store with what it was made for: another size, or a flush, makes a new
// one.
type stageCache struct {
	*cache.Store
	bytes   int64
	flushes int
}

// caching is how a method is cached on a stage; nil: it is not.
func (r *registry) caching(t *tenant, cfg *model.StageConfig, m *method, canary bool) *caching {
	if cfg.Cache == nil || m.streams { // what streams is never whole
		return nil
	}
	s, own := cfg.Cache.CacheOf(m.throttleKey)
	if !s.Enabled || s.TTLSeconds == 0 {
		return nil
	}
	return &caching{store: r.store(t, cfg, canary), setting: s, every: own}
}

func (r *registry) store(t *tenant, cfg *model.StageConfig, canary bool) *cache.Store {
	k := cacheOf{cfg.Num, canary && !cfg.Cache.Shared}
	c := r.caches[k]
	if c != nil && c.bytes == cfg.Cache.Bytes && c.flushes == cfg.Cache.Flushes {
		return c.Store
	}
	if c != nil {
		c.Close()
	}
	c = &stageCache{cache.NewStore(cfg.Cache.Bytes, t.cache), cfg.Cache.Bytes, cfg.Cache.Flushes}
	r.caches[k] = c
	return c.Store
}

// tidyCaches lets go of the caches that no stage has any more.
func (r *registry) tidyCaches() {
	for k, c := range r.caches {
		s := r.stages[k.stage]
		if s == nil || s.cfg.Cache == nil || k.canary && (s.canary == nil || s.cfg.Cache.Shared) {
			c.Close()
			delete(r.caches, k)
		}
	}
}

// keeps says whether the answer of a call like this is kept. A part of an answer is not,
// nor that of a call that asks for another verb than it was sent with: its body may have
// made it.
func (k *caching) keeps(x *http1.Exchange) bool {
	return x.Request.Override.Len() == 0 && (k.every && string(x.Request.Method.Of(x.In)) != "HEAD" || string(x.Request.Method.Of(x.In)) == "GET") && header(x, "Range") == nil
}

// cached answers from the stage's cache, or with the integration's answer, which is kept
// for those who come after.
func (c *call) cached(x *http1.Exchange, k *caching) kind {
	key := c.cacheKey(x)
	fresh := asksFresh(header(x, "Cache-Control"))
	if fresh && k.setting.Guarded && (c.caller == nil || c.caller.invalidates == nil || !c.caller.invalidates()) {
		switch fresh = false; k.setting.Strategy {
		case "FAIL_WITH_403":
			c.why = "the caller may not ask for a fresh answer: it lacks execute-api:InvalidateCache"
			c.flags &^= flagBillable
			return accessDenied
		case "SUCCEED_WITH_RESPONSE_HEADER":
			c.head = append(c.head, "Warning: 199 - \"the cache was not invalidated: not authorized\"\r\n"...)
		}
	}
	if !fresh {
		if e := k.store.Get(key, x.Begun); e != nil && c.hit(x, k, key, e) {
			return c.sent()
		}
	}
	if !x.MayBlock() {
		x.Block()
		return later
	}
	c.g.metrics.cacheMisses.Add(1)
	c.lookUp = cacheMiss
	var out reply
	if fresh {
		e, f := c.asked(x, k, key, &out)
		if e != nil {
			k.store.Put(key, e)
		}
		return c.finish(x, &out, f)
	}
	flight, first := k.store.Begin(key)
	if first {
		return c.finish(x, &out, c.fly(x, k, key, flight, &out))
	}
	late := time.NewTimer(c.run.m.timeout)
	defer late.Stop()
	select {
	case <-flight.Done():
		if e := flight.Entry(); e != nil && c.hit(x, k, key, e) {
			return c.sent()
		}
	case <-late.C:
	}
	_, f := c.asked(x, k, key, &out) // not to be shared, it seems
	return c.finish(x, &out, f)
}

// fly asks the integration for all who wait for the same.
func (c *call) fly(x *http1.Exchange, k *caching, key cache.Key, flight *cache.Flight, out *reply) (f kind) {
	var e *cache.Entry
	defer func() { k.store.End(key, flight, e) }()
	e, f = c.asked(x, k, key, out)
	return f
}

// asked gets the integration's answer, and makes an entry of it; nil: it is not for others.
func (c *call) asked(x *http1.Exchange, k *caching, key cache.Key, out *reply) (*cache.Entry, kind) {
	m := c.run.m
	var f kind
	switch {
	case m.whole != nil:
		f = m.whole(c, x, out)
	case m.mock != nil:
		f = c.fixedAnswer(out)
	default:
		f = c.proxyAnswer(x, out)
	}
	if f != proceed || out.status < 200 || out.status > 299 || out.status == 206 || len(out.body) > cache.MaxEntry {
		return nil, f
	}
	e := &cache.Entry{Status: out.status, Body: out.body, Expires: http1.Now() + int64(k.setting.TTLSeconds)*int64(time.Second)}
	for _, h := range out.header {
		if strings.EqualFold(h.Name, "Set-Cookie") {
			return nil, f // one caller's session is nobody else's
		}
		e.Head = appendLine(e.Head, h.Name, h.Value)
	}
	if k.setting.Encrypted {
		k.store.Seal(key, e)
	}
	return e, f
}

// asksFresh says that a Cache-Control header has max-age=0.
func asksFresh(v []byte) bool {
	for len(v) > 0 {
		var d []byte
		d, v, _ = bytes.Cut(v, []byte(","))
		if name, age, ok := bytes.Cut(bytes.TrimSpace(d), []byte("=")); ok && http1.EqualFold(bytes.TrimSpace(name), "max-age") && string(bytes.Trim(age, " \t\"")) == "0" {
			return true
		}
	}
	return false
}

// hit answers with an entry; false: it cannot be read.
func (c *call) hit(x *http1.Exchange, k *caching, key cache.Key, e *cache.Entry) bool {
	body, ok := k.store.Body(key, e)
	if !ok {
		return false
	}
	c.g.metrics.cacheHits.Add(1)
	c.lookUp = cacheHit
	if c.trace != nil {
		c.trace.say("Cache hit for the key of %d parameters", len(c.run.m.cacheKey.params))
	}
	head := e.Head
	if c.cors() != nil {
		head = withoutCORS(head)
	}
	c.head = append(c.head, head...)
	if c.run.m.traced && !hasLine(head)(traceHeader) {
		c.head = appendLine(c.head, traceHeader, c.traceID(x))
	}
	body = c.packed(x, body, hasLine(head))
	_ = x.Reply(e.Status, c.head, body)
	return true
}

// cacheKey names the answer among the stage's.
func (c *call) cacheKey(x *http1.Exchange) cache.Key {
	m, k := c.run.m, &c.keyMaker
	k.Start()
	k.Add([]byte(m.cacheKey.namespace), true)
	k.Add(x.Request.Method.Of(x.In), true)
	if m.whole == nil && m.mock == nil { // the upstream chose an encoding by it
		k.Add(header(x, "Accept-Encoding"), true)
	}
	for _, p := range m.cacheKey.params {
		switch p.kind {
		case "path":
			v, there := c.pathValue(p.name)
			k.Add(v, there)
		case "querystring":
			c.addQuery(x, k, p.name)
		case "header":
			there := false
			for i := range x.Request.Fields[:x.Request.N] {
				if f := &x.Request.Fields[i]; bytes.EqualFold(f.Name.Of(x.In), []byte(p.name)) {
					k.Add(f.Value.Of(x.In), true)
					there = true
				}
			}
			if !there {
				k.Add(nil, false)
			}
		}
		k.Add(nil, false) // the end of this one's values
	}
	return k.Key()
}

// pathValue is a path variable's value as it was sent.
func (c *call) pathValue(name string) ([]byte, bool) {
	for i := range c.match.Vars[:c.match.N] {
		if v := &c.match.Vars[i]; v.Name == name {
			return c.path[v.Start:v.End], true
		}
	}
	return nil, false
}

// addQuery adds each value of a parameter.
func (c *call) addQuery(x *http1.Exchange, k *cache.KeyMaker, name string) {
	rest := x.Request.Query.Of(x.In)
	for len(rest) > 0 {
		part := rest
		if i := bytes.IndexAny(rest, "&;"); i >= 0 {
			part, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		key, value, _ := bytes.Cut(part, []byte("="))
		if string(key) == name || bytes.ContainsAny(key, "%+") && unescapeQuery(string(key)) == name {
			k.Add(value, true)
		}
	}
}
