//go:build !linux

package main

import (
	"io"
	"net/http"
	"strconv"
)

func serve(addr, body, posted string) error {
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		body := body
		if r.Method == http.MethodPost {
			body = posted
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	}))
}
