// Package http1 is the gateway's own HTTP/1.1: a strict, I/O-free codec over byte
// slices, a server and pooled upstream connections.
//
// Two drivers share the codec and everything above it. Plain connections live in
// event loops (loop_linux.go) while nothing their calls do can block; whatever
// must wait leaves its loop for a goroutine, where net.Conn waits, and comes back.
// TLS connections, and all connections on other systems, have goroutines.
//
// It must never accept a message that two parsers could read differently, never
// forward a framing byte it received (framing is always rebuilt), and never hold
// more than its bounded buffers for a call, whatever its size.
//
// HTTP/2 comes in through net/http's server (http2.go) and is turned into the
// same parsed request, so that there is one pipeline and one strictness.
package http1
