package rig

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Document is an OpenAPI description of services that each have two paths,
// /v1/svcN/items/{id} and /v1/svcN/items/{id}/orders/{oid}, answered by upstream.
func Document(title, upstream string, services int, keyed bool) ([]byte, error) {
	type object = map[string]any
	variable := func(name string) object {
		return object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}}
	}
	operation := func(variables ...string) object {
		var ps []object
		for _, v := range variables {
			ps = append(ps, variable(v))
		}
		op := object{"parameters": ps, "responses": object{"200": object{"description": "the thing"}}}
		if keyed {
			op["security"] = []object{{"key": []string{}}}
		}
		return op
	}
	paths := object{}
	for s := range services {
		base := fmt.Sprintf("/v1/svc%d/items/{id}", s)
		paths[base] = object{"get": operation("id")}
		paths[base+"/orders/{oid}"] = object{"get": operation("id", "oid")}
	}
	doc := object{
		"openapi": "3.0.3",
		"info":    object{"title": title, "version": "1"},
		"servers": []object{{"url": "http://" + upstream}},
		"paths":   paths,
	}
	if keyed {
		doc["components"] = object{"securitySchemes": object{
			"key": object{"type": "apiKey", "in": "header", "name": "x-api-key"},
		}}
	}
	return json.Marshal(doc)
}

// Keys makes n API keys of 40 hexadecimal digits, the same ones each time.
func Keys(n int) []string {
	rnd := rand.New(rand.NewPCG(7, 7))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%016x%016x%08x", rnd.Uint64(), rnd.Uint64(), rnd.Uint32())
	}
	return out
}

// KeyFile is keys in the form that `tollgate key import` reads.
func KeyFile(keys []string) []byte {
	var b strings.Builder
	b.WriteString("Name,Key,Description,Enabled\n")
	for i, k := range keys {
		fmt.Fprintf(&b, "k%d,%s,,true\n", i, k)
	}
	return []byte(b.String())
}

// Host of an API on a gateway of this installation.
func Host(api string) string { return api + ".execute-api.localhost" }

// Request is a GET as it goes over the wire.
func Request(host, path, key string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nx-api-key: " + key +
		"\r\nUser-Agent: wrk\r\nAccept: application/json\r\n\r\n"
}

// Requests are n calls with keys and routes spread over those there are.
func Requests(n int, api string, services int, keys []string) []string {
	rnd := rand.New(rand.NewPCG(42, 42))
	out := make([]string, n)
	step := max(1, len(keys)/n)
	for i := range out {
		path := fmt.Sprintf("/prod/v1/svc%d/items/%d", rnd.IntN(services), 1+rnd.IntN(99999))
		if i%2 == 1 {
			path += fmt.Sprintf("/orders/%d", 1+rnd.IntN(9999))
		}
		out[i] = Request(Host(api), path, keys[i*step%len(keys)])
	}
	return out
}
