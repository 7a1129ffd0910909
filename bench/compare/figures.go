package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"tollgate/bench/rig"
)

// figures measures memory and start, beside what they should be.
func (s *stage) figures(ctx context.Context, w io.Writer) error {
	s.log("memory: %d idle connections", s.o.idle)
	perConn, err := s.idleConnections(ctx)
	if err != nil {
		return err
	}
	s.log("memory: one process with all keys and routes, then an empty one")
	if err := s.stopTollgate(); err != nil {
		return err
	}
	full, _, err := s.up(ctx, false, func(gateway string) error {
		return check(ctx, &row{name: "tollgate up", addr: gateway, first: s.callsOfAll()})
	})
	if err != nil {
		return err
	}
	empty, start, err := s.up(ctx, true, func(gateway string) error {
		_, err := answer(ctx, gateway, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return err
	})
	if err != nil {
		return err
	}
	mb := func(b int64) string { return fmt.Sprintf("%.1f MB", float64(b)/(1<<20)) }
	printTable(w, [][]string{
		{"memory (PSS, Postgres apart) and start", "measured", "goal"},
		{"tollgate up, empty and idle", mb(empty), "< 80 MB"},
		{fmt.Sprintf("tollgate up, %d keys, %d routes, idle", s.o.keys, s.o.routes), mb(full), "< 150 MB"},
		{fmt.Sprintf("gateway, per idle connection (%d more, one call each)", s.o.idle), fmt.Sprintf("%.2f KB", perConn/1024), "≤ 10 KB"},
		{"empty data directory to first answer", fmt.Sprintf("%.2f s", start.Seconds()), "< 5 s"},
	})
	return nil
}

func (s *stage) callsOfAll() []string {
	return rig.Requests(requestCount, s.api, s.services(), s.keys)
}

// idleConnections is what a connection costs the gateway that has made one call
// and waits for the next. The process is a fresh one, and as many connections
// are opened before the count begins: they fill what memory it holds unused,
// which would hide the cost of the others.
func (s *stage) idleConnections(ctx context.Context) (float64, error) {
	if err := s.gateway.Stop(30 * time.Second); err != nil {
		return 0, err
	}
	var err error
	if s.gateway, err = s.node.Start(ctx); err != nil {
		return 0, err
	}
	calls := s.callsOfAll()
	pids := []int{s.gateway.PID}
	var pss [2]int64
	for turn := range pss {
		for i := range s.o.idle {
			conn, err := answer(ctx, s.node.Addr, calls[i%len(calls)])
			if err != nil {
				return 0, fmt.Errorf("idle connection %d: %w", turn*s.o.idle+i+1, err)
			}
			defer conn.Close()
		}
		if pss[turn], err = s.idlePSS(ctx, pids); err != nil {
			return 0, err
		}
	}
	return float64(pss[1]-pss[0]) / float64(s.o.idle), nil
}

// idlePSS waits for the processes to settle and reads their memory.
func (s *stage) idlePSS(ctx context.Context, pids []int) (int64, error) {
	select {
	case <-time.After(s.o.settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return rig.PSS(pids)
}

// answer makes one call on a new connection and leaves that open.
func answer(ctx context.Context, addr, request string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(conn, request); err == nil {
		var res *http.Response
		if res, err = http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil); err == nil {
			_, err = io.Copy(io.Discard, res.Body)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// up starts `tollgate up` and gives its memory when idle, and the time it took
// until the gateway answered as wanted.
func (s *stage) up(ctx context.Context, empty bool, answers func(gateway string) error) (pss int64, start time.Duration, err error) {
	began := time.Now()
	up, err := s.tollgate.StartUp(empty)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var last error
	err = rig.Poll(ctx, up.Process, "an answer of tollgate up", func() bool {
		last = answers(up.Gateway)
		return last == nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("%w\nlast: %v", err, last)
	}
	start = time.Since(began)
	pids, err := rig.Family(up.Process.PID, "postgres", "postmaster")
	if err != nil {
		return 0, 0, err
	}
	if pss, err = s.idlePSS(ctx, pids); err != nil {
		return 0, 0, err
	}
	return pss, start, up.Process.Stop(30 * time.Second)
}

func (s *stage) stopTollgate() error {
	if err := s.gateway.Stop(30 * time.Second); err != nil {
		return err
	}
	return s.control.Stop(30 * time.Second)
}
