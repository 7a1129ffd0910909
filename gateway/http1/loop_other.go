//go:build !linux

package http1

import "net"

// Event loops are Linux's; elsewhere every connection has a goroutine.
type loop struct{}

const maxMoves = 0

func startLoops(*Server) []*loop      { return nil }
func (s *Server) adopt(net.Conn) bool { return false }
func (c *conn) goHome() bool          { return false }
func (c *upConn) goHome() bool        { return false }

func (l *loop) post(func())         {}
func (l *loop) drain()              {}
func (l *loop) cut()                {}
func (l *loop) stop()               {}
func (l *loop) send(*Exchange) bool { return false }
func (l *loop) keep(*upConn)        {}
func (l *loop) drop(*Pool)          {}
func (l *loop) closeUp(*upConn)     {}
