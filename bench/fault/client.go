package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/gateway/journal"
)

// patience is how long an answer may take. A killed gateway cuts its
// connections, so only one that hangs takes longer.
const patience = 60 * time.Second

// load makes calls on a number of connections, one call at a time on each, until
// it is told to stop; each connection then finishes the call it is in.
type load struct {
	targets  []*target // connections are spread over them
	requests [][]byte
	scarce   [][]byte // of the key whose quota ends
	hard     [][]byte // of the key whose throttle is hard
	purses   []*purse

	served    atomic.Int64          // answers with status 200
	limited   atomic.Int64          // of them for the key whose quota ends
	refused   atomic.Int64          // answers with status 429 to that key
	throttled atomic.Int64          // answers with status 429 to the key whose throttle is hard
	open      atomic.Int64          // answers with status 200 to that key while its counters were away
	away      atomic.Int64          // odd while they are
	hurry     atomic.Bool           // only calls of the key whose quota ends are made
	haste     atomic.Pointer[purse] // only its calls are made; nil: all kinds
	stop      atomic.Bool
	wg        sync.WaitGroup
	fail      func(error) // called at what no accident explains

	clients []*client
}

// target is a gateway.
type target struct {
	addr   string
	served atomic.Int64
	fills  bool // its disk is filled at times
}

// client is one connection's notes.
type client struct {
	ids      []journal.CallID // of answers received whole
	turned   []journal.CallID // of those with status 503 from a gateway whose disk is filled at times
	statuses map[int]int64
	refused  int64 // answers that a limit explains
	broken   int64 // calls whose answer did not come
	buf      []byte
}

func (l *load) start(ctx context.Context, conns int) {
	for i := range conns {
		c := &client{statuses: map[int]int64{}, buf: make([]byte, 16<<10)}
		l.clients = append(l.clients, c)
		l.wg.Go(func() {
			if err := l.run(ctx, c, i); err != nil {
				l.fail(err)
			}
		})
	}
}

// finish ends the load and gives the ids of all answers, with those apart that a full disk
// may explain, and the counts by status.
func (l *load) finish() (ids, turned []journal.CallID, statuses map[int]int64, broken int64) {
	l.stop.Store(true)
	l.wg.Wait()
	statuses = map[int]int64{}
	for _, c := range l.clients {
		ids, turned = append(ids, c.ids...), append(turned, c.turned...)
		broken += c.broken
		for s, n := range c.statuses {
			statuses[s] += n
		}
	}
	return ids, turned, statuses, broken
}

func (l *load) run(ctx context.Context, c *client, start int) error {
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	d := net.Dialer{Timeout: time.Second}
	at := l.targets[start%len(l.targets)]
	for n := start; !l.stop.Load(); n += len(l.clients) {
		if conn == nil {
			var err error
			if conn, err = d.DialContext(ctx, "tcp", at.addr); err != nil {
				conn = nil
				if !pause(ctx, 5*time.Millisecond) { // it is being started again
					return ctx.Err()
				}
				continue
			}
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		request, scarce, hard := l.requests[n%len(l.requests)], l.hurry.Load() || n/len(l.clients)%8 == 0, n/len(l.clients)%16 == 4
		var bounded *purse
		if turn := n / len(l.clients) % 32; turn%16 == 10 && len(l.purses) > 0 {
			bounded = l.purses[turn/16%len(l.purses)]
		}
		if p := l.haste.Load(); p != nil {
			bounded, scarce, hard = p, false, false
		}
		switch {
		case scarce:
			request, hard, bounded = l.scarce[n%len(l.scarce)], false, nil
		case hard:
			request = l.hard[n%len(l.hard)]
		case bounded != nil:
			request = bounded.requests[n%len(bounded.requests)]
		}
		away := l.away.Load()
		status, err := c.call(conn, request, at.fills)
		switch {
		case err == nil && status == 200:
			l.served.Add(1)
			at.served.Add(1)
			if scarce {
				l.limited.Add(1)
			}
			if bounded != nil {
				bounded.served.Add(1)
			}
			if hard && away%2 == 1 && l.away.Load() == away {
				l.open.Add(1)
			}
		case err == nil && (status == 429 && (scarce || hard) || status == 402 && bounded != nil):
			switch {
			case scarce:
				l.refused.Add(1)
			case hard:
				l.throttled.Add(1)
			default:
				bounded.refused.Add(1)
			}
			c.statuses[status]-- // none of the others may be
			c.refused++
		case err == nil: // a gateway that was killed while Postgres is away has no part of any quota
			if !pause(ctx, 5*time.Millisecond) {
				return ctx.Err()
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("an answer did not come within %v", patience)
		case errors.Is(err, errAnswer):
			return err
		default: // the gateway was killed
			c.broken++
			conn.Close()
			conn = nil
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// errAnswer marks an answer that no gateway may give, killed or not.
var errAnswer = errors.New("not an answer of the gateway")

// call sends one request and notes the id of its answer if all of it comes.
func (c *client) call(conn net.Conn, request []byte, fills bool) (status int, err error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	n, want := 0, -1
	var id journal.CallID
	for want < 0 || n < want {
		if n == len(c.buf) {
			return 0, fmt.Errorf("%w: longer than %d bytes", errAnswer, n)
		}
		m, err := conn.Read(c.buf[n:])
		n += m
		if want < 0 {
			if end := bytes.Index(c.buf[:n], []byte("\r\n\r\n")); end >= 0 {
				var body int
				var bad error
				if status, id, body, bad = readHead(c.buf[:end+2]); bad != nil {
					return 0, bad
				}
				want = end + 4 + body
			}
		}
		if err != nil && (want < 0 || n < want) {
			return 0, err
		}
	}
	if n > want {
		return 0, fmt.Errorf("%w: %d bytes more than it announced: %.200q", errAnswer, n-want, c.buf[:n])
	}
	if status == 503 && fills {
		c.turned = append(c.turned, id)
	} else {
		c.ids = append(c.ids, id)
	}
	c.statuses[status]++
	return status, nil
}

// readHead finds what has to be known of an answer.
func readHead(head []byte) (status int, id journal.CallID, body int, err error) {
	bad := func(what string) (int, journal.CallID, int, error) {
		return 0, id, 0, fmt.Errorf("%w: %s: %.300q", errAnswer, what, head)
	}
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return bad("no status line")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return bad("no status")
	}
	body = -1
	named := false
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")):
			if body, err = strconv.Atoi(string(value)); err != nil {
				return bad("no length")
			}
		case len(name) == len("x-amzn-requestid") && bytes.EqualFold(name, []byte("x-amzn-requestid")):
			if named = parseID(value, &id); !named {
				return bad("no call id")
			}
		}
	}
	if body < 0 || !named {
		return bad("no length or no call id")
	}
	return status, id, body, nil
}

// parseID reads the 36-character form that journal.CallID prints.
func parseID(v []byte, id *journal.CallID) bool {
	if len(v) != 36 || v[8] != '-' || v[13] != '-' || v[18] != '-' || v[23] != '-' {
		return false
	}
	var digits [32]byte
	copy(digits[:8], v[:8])
	copy(digits[8:12], v[9:13])
	copy(digits[12:16], v[14:18])
	copy(digits[16:20], v[19:23])
	copy(digits[20:], v[24:])
	_, err := hex.Decode(id[:], digits[:])
	return err == nil
}
