// Package http1 is the gateway's own HTTP/1.1: a strict, I/O-free codec over byte
// slices, a goroutine-per-connection server and pooled upstream connections.
//
// It must never accept a message that two parsers could read differently, never
// forward a framing byte it received (framing is always rebuilt), and never hold
// more than its bounded buffers for a call, whatever its size.
//
// HTTP/2 comes in through net/http's server (http2.go) and is turned into the
// same parsed request, so that there is one pipeline and one strictness.
package http1
