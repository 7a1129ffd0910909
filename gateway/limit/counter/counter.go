// Package counter keeps token buckets in Redis or Valkey, one for all nodes, for plans
// whose throttles are hard.
//
// One script draws a token from every bucket of a call, or from none, by the clock of the
// server: nodes' clocks do not matter. It must never let a call pass that the server did
// not, and never make one wait longer than timeout: whether a call passes while the server
// cannot be asked is the plan's to say.
package counter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"tollgate/model"
)

const (
	// timeout bounds one question.
	timeout = 250 * time.Millisecond
	// rest is how long nobody asks after a failure: calls do not queue up for a server
	// that is gone.
	rest = 100 * time.Millisecond
	// redial is how often a server that was never reached is tried.
	redial = time.Second
)

// ErrResting is the error of a question not asked because the one before failed.
var ErrResting = errors.New("the counters' server failed a moment ago")

// drawText takes {rate, burst} pairs in ARGV for its KEYS. It answers {0, 0, tokens left in the
// last}, or the number of the first bucket that is empty, in how many microseconds it has
// a token, and 0. A bucket is
// what it held, and when; one that would be full again is forgotten.
const drawText = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local held = {}
for i, key in ipairs(KEYS) do
  local rate, burst = tonumber(ARGV[2*i-1]), tonumber(ARGV[2*i])
  local tokens = burst
  local was = redis.call('GET', key)
  if was then
    local sep = string.find(was, ':', 1, true)
    local passed = math.max(now - tonumber(string.sub(was, sep + 1)), 0)
    tokens = math.min(burst, tonumber(string.sub(was, 1, sep - 1)) + passed * rate / 1000000)
  end
  if tokens < 1 then
    if burst < 1 then return {i, -1, 0} end
    return {i, math.ceil((1 - tokens) * 1000000 / rate), 0}
  end
  held[i] = tokens - 1
end
for i, key in ipairs(KEYS) do
  local rate, burst = tonumber(ARGV[2*i-1]), tonumber(ARGV[2*i])
  local full = math.ceil((burst - held[i]) * 1000 / rate) + 1
  redis.call('SET', key, string.format('%.17g:%.0f', held[i], now), 'PX', string.format('%.0f', math.min(full, 1e12)))
end
return {0, 0, math.floor(held[#KEYS])}
`

var draw = rueidis.NewLuaScript(drawText)

// Bucket is one of a call's, the narrowest first. Buckets of one call have the same
// {part} in their keys, so that a cluster keeps them together.
type Bucket struct {
	Key      string
	Throttle model.Throttle
}

// Passed is the Answer's Refused when every bucket had a token.
const Passed = -1

// Answer is what came of a question.
type Answer struct {
	Refused int           // index of the bucket that had no token
	After   time.Duration // until it has one; 0: never
	Left    int64         // tokens in the last bucket
}

// Counters is a server that keeps buckets.
type Counters struct {
	option rueidis.ClientOption
	log    *slog.Logger
	client atomic.Pointer[rueidis.Client]
	until  atomic.Int64 // nanoseconds since opened before which nobody asks
	opened time.Time
	most   atomic.Int64 // nanoseconds that a question may take
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once
}

// Check says whether Open would take the address.
func Check(url string) error {
	_, err := options(url)
	return err
}

func options(url string) (rueidis.ClientOption, error) {
	o, err := rueidis.ParseURL(url)
	if err != nil {
		return o, model.Errorf(model.Invalid, "TOLLGATE_REDIS_URL is not an address such as redis://user:password@host:6379/0")
	}
	o.DisableCache, o.DisableRetry = true, true
	o.ConnWriteTimeout = time.Second
	o.Dialer = net.Dialer{Timeout: time.Second, KeepAlive: 5 * time.Second}
	o.ClientName = "tollgate"
	return o, nil
}

// Open begins to connect to a server; it need not be up yet.
func Open(url string, log *slog.Logger) (*Counters, error) {
	o, err := options(url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Counters{option: o, log: log, opened: time.Now(), cancel: cancel, done: make(chan struct{})}
	c.Within(timeout)
	if !c.connect() {
		log.Warn("the counters of hard throttles cannot be reached; trying again", "address", o.InitAddress)
	}
	go c.keep(ctx)
	return c, nil
}

func (c *Counters) connect() bool {
	client, err := rueidis.NewClient(c.option)
	if err != nil {
		return false
	}
	c.client.Store(&client)
	return true
}

// keep connects for the first time. The client itself comes back from later failures.
func (c *Counters) keep(ctx context.Context) {
	defer close(c.done)
	tick := time.NewTicker(redial)
	defer tick.Stop()
	for c.client.Load() == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.connect() {
				c.log.Info("the counters of hard throttles answer")
			}
		}
	}
	<-ctx.Done()
}

// Close ends it.
func (c *Counters) Close() {
	c.once.Do(func() {
		c.cancel()
		<-c.done
		if p := c.client.Load(); p != nil {
			(*p).Close()
		}
	})
}

// Within has a question take another time at most. Tests that count what one server lets
// in must not count what a busy machine is late with.
func (c *Counters) Within(d time.Duration) { c.most.Store(int64(d)) }

// Take draws a token from every bucket or from none.
func (c *Counters) Take(ctx context.Context, buckets []Bucket) (Answer, error) {
	p := c.client.Load()
	if p == nil || int64(time.Since(c.opened)) < c.until.Load() {
		return Answer{}, ErrResting
	}
	keys, args := make([]string, len(buckets)), make([]string, 0, 2*len(buckets))
	for i, b := range buckets {
		keys[i] = b.Key
		args = append(args, strconv.FormatFloat(max(b.Throttle.Rate, 1e-6), 'g', -1, 64), strconv.Itoa(b.Throttle.Burst))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.most.Load()))
	defer cancel()
	got, err := draw.Exec(ctx, *p, keys, args).AsIntSlice()
	if err == nil && (len(got) != 3 || got[0] < 0 || got[0] > int64(len(buckets))) {
		err = fmt.Errorf("the counters answered %v", got)
	}
	if err != nil {
		c.until.Store(int64(time.Since(c.opened) + rest))
		return Answer{}, err
	}
	return Answer{int(got[0]) - 1, time.Duration(max(got[1], 0)) * time.Microsecond, got[2]}, nil
}
