//go:build !linux

package http1

func loopConns(*loop) []*conn { return nil }
