package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/bench/rig"
)

// result is one run of one row.
type result struct {
	row          string
	conns, round int
	rate         float64 // calls a second
	user, system float64 // microseconds of processor time per call
	p50, p99     float64 // microseconds
	pss          int64
	foreign      float64 // share of the proxy's core that others used
}

func (r result) cpu() float64 { return r.user + r.system }

// warm runs a row until two runs in a row agree: caches are filled, and every key
// has its first units of quota. A row that never settles is measured as it is.
func (s *stage) warm(ctx context.Context, r *row, conns int) error {
	last := 0.0
	for range s.o.warm {
		x, err := s.run(ctx, r, conns, 1)
		if err != nil {
			return err
		}
		if math.Abs(x.rate-last) < 0.15*x.rate {
			return nil
		}
		last = x.rate
	}
	return nil
}

// check lets a row answer some of its requests before it is put under load,
// since the load generator looks at statuses only, and not at redirects.
func check(ctx context.Context, r *row) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	rd := bufio.NewReader(conn)
	for _, q := range r.first[:64] {
		if _, err := io.WriteString(conn, q); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		res, err := http.ReadResponse(rd, nil)
		if err != nil {
			return fmt.Errorf("%s: no answer to %q: %w", r.name, q, err)
		}
		b, err := io.ReadAll(res.Body)
		right := bytes.HasPrefix(b, []byte(`{"d":"xxx`)) && len(b) == 128
		if r.answer != nil {
			right = bytes.Equal(b, r.answer)
		}
		if err != nil || res.StatusCode != http.StatusOK || !right {
			return fmt.Errorf("%s: answers %q with %s %.300q, not with what the upstream said", r.name, q, res.Status, b)
		}
	}
	return nil
}

// measure runs all rows in turns, in changing order, for each number of connections.
func (s *stage) measure(ctx context.Context) ([]result, error) {
	there := slices.DeleteFunc(slices.Clone(s.rows), func(r *row) bool { return r.missing != "" })
	var out []result
	for _, conns := range s.o.conns {
		rows := slices.DeleteFunc(slices.Clone(there), func(r *row) bool { return r.isStep() && conns != s.o.stepConns() })
		s.log("%d connections: %d rounds of %d rows, %d s each", conns, s.o.rounds, len(rows), s.o.secs)
		for _, r := range rows {
			if err := s.warm(ctx, r, conns); err != nil {
				return nil, err
			}
		}
		for round := range s.o.rounds {
			for _, r := range rows {
				x, err := s.run(ctx, r, conns, s.o.secs)
				if err != nil {
					return nil, err
				}
				x.round = round
				out = append(out, x)
			}
			slices.Reverse(rows) // so that no row always follows the same one
		}
	}
	if s.wants(tollgateCached) {
		if err := s.cachesAnswer(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// run puts one row under load.
func (s *stage) run(ctx context.Context, r *row, conns, secs int) (result, error) {
	if r.name == nginxGateway { // it grows by some 15 MB a second
		if err := os.Truncate(s.accessLog(), 0); err != nil {
			return result{}, err
		}
	}
	pids, err := rig.Family(r.process.PID)
	if err != nil {
		return result{}, err
	}
	b0, err := rig.Busy(s.proxyCore)
	if err != nil {
		return result{}, err
	}
	u0, s0, err := rig.CPU(pids)
	if err != nil {
		return result{}, err
	}
	w, err := s.load(ctx, r, conns, secs)
	if err != nil {
		return result{}, err
	}
	u1, s1, err := rig.CPU(pids)
	if err != nil {
		return result{}, fmt.Errorf("%s ended under load: %w\n%s", r.name, err, r.process.Tail())
	}
	b1, err := rig.Busy(s.proxyCore)
	if err != nil {
		return result{}, err
	}
	pss, err := rig.PSS(pids)
	if err != nil {
		return result{}, err
	}
	n := float64(w.Requests)
	return result{
		row: r.name, conns: conns, rate: n / float64(w.Micros) * 1e6,
		user: float64((u1-u0)/time.Microsecond) / n, system: float64((s1-s0)/time.Microsecond) / n,
		p50: w.P50, p99: w.P99, pss: pss,
		foreign: max(0, float64(b1-b0-(u1-u0)-(s1-s0))/float64(w.Micros*1000)),
	}, nil
}

// loaded is what calls.lua prints at the end.
type loaded struct {
	Requests int64   `json:"requests"`
	Micros   int64   `json:"micros"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Status   int64   `json:"status"`
	Connect  int64   `json:"connect"`
	Read     int64   `json:"read"`
	Write    int64   `json:"write"`
	Timeout  int64   `json:"timeout"`
}

func (s *stage) load(ctx context.Context, r *row, conns, secs int) (loaded, error) {
	p, err := s.rig.Start(rig.Command{Name: "wrk", CPU: s.loadCore, Args: []string{s.wrk, "-t1", "-c" + strconv.Itoa(conns),
		"-d" + strconv.Itoa(secs) + "s", "-s", s.rig.Path("calls.lua"), "http://" + r.addr + "/", "--", r.calls}})
	if err != nil {
		return loaded{}, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return loaded{}, ctx.Err()
	}
	out := p.Tail()
	var w loaded
	i := bytes.LastIndex([]byte(out), []byte("{\"requests\""))
	if i < 0 || json.Unmarshal([]byte(out[i:]), &w) != nil || w.Requests == 0 {
		return loaded{}, fmt.Errorf("%s: wrk measured nothing: %s", r.name, out)
	}
	if w.Status+w.Connect+w.Read+w.Write+w.Timeout > 0 {
		return loaded{}, fmt.Errorf("%s with %d connections: of %d calls %d were answered with an error, and there were errors of the connection: %d connecting, %d reading, %d writing, %d timeouts\n%s%s",
			r.name, conns, w.Requests, w.Status, w.Connect, w.Read, w.Write, w.Timeout, s.refusals(ctx, r), r.process.Tail())
	}
	return w, nil
}

// refusals is what Tollgate's gateway says of the answers that were its own.
func (s *stage) refusals(ctx context.Context, r *row) string {
	if r.process != s.gateway {
		return ""
	}
	page, err := rig.Get(ctx, "http://"+s.node.Admin+"/metrics")
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "tollgate_gateway_responses_total") && !strings.HasSuffix(line, " 0\n") {
			out.WriteString(line)
		}
	}
	return out.String()
}
