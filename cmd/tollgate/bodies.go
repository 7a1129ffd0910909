package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// How long a client of the control listener may take over a body: bodyPatience, and a
// second more for every bodyPace bytes that came, so that the largest document gets
// through a slow line and a client that sends next to nothing does not hold a
// connection for ever.
const (
	bodyPatience = time.Minute
	bodyPace     = 64 << 10
)

// controlServer serves the faces. What waits for news (the feed, pages that follow
// calls) does so once its body is read, so there is no write timeout here.
func controlServer(base context.Context, faces http.Handler, patience time.Duration) *http.Server {
	return &http.Server{
		Handler: inTime(faces, patience), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return base },
	}
}

// inTime bounds how long each request's body may take to come, whoever reads it: the
// server itself reads what a handler left. A read that is too late fails with
// os.ErrDeadlineExceeded, and the connection ends with the answer.
func inTime(next http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			b := &timedBody{ReadCloser: r.Body, conn: http.NewResponseController(w), until: time.Now().Add(patience)}
			_ = b.conn.SetReadDeadline(b.until)
			r.Body = b
		}
		next.ServeHTTP(w, r)
	})
}

type timedBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	until time.Time
	got   int // bytes since until was last put off
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.got += n
	switch {
	case errors.Is(err, io.EOF):
		_ = b.conn.SetReadDeadline(time.Time{}) // a long poll may follow
	case err == nil && b.got >= bodyPace:
		b.until = b.until.Add(time.Duration(b.got/bodyPace) * time.Second)
		b.got %= bodyPace
		_ = b.conn.SetReadDeadline(b.until)
	}
	return n, err
}
