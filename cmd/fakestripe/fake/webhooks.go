package fake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Chaos says how badly webhooks are delivered, on top of what an endpoint's failures cause.
type Chaos struct {
	Duplicate int    `json:"duplicate"` // percent of deliveries that are made twice
	Shuffle   int    `json:"shuffle"`   // each is late by up to so many seconds, so that order is lost
	Delay     int    `json:"delay"`     // all are late by so many seconds
	Lose      int    `json:"lose"`      // percent never made: what only a sweep of the API finds
	Seed      uint64 `json:"seed"`      // the same seed does the same
}

// SetChaos changes how webhooks are delivered from now on.
func (s *Server) SetChaos(ch Chaos) error {
	for _, n := range []int{ch.Duplicate, ch.Lose} {
		if n < 0 || n > 100 {
			return fmt.Errorf("duplicate and lose are percentages")
		}
	}
	const longest = 30 * 86400
	if ch.Shuffle < 0 || ch.Delay < 0 || ch.Shuffle > longest || ch.Delay > longest {
		return fmt.Errorf("shuffle and delay are seconds, at most 30 days")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chaos, s.dice = ch, newDice(ch.Seed)
	return nil
}

// emit writes an event about an object as it is now, and queues its deliveries. previous are the
// old values of the fields that changed, for the events Stripe gives them with.
func (c *call) emit(kind string, o object, previous ...object) {
	data := object{"object": shown(o)}
	if len(previous) > 0 && len(previous[0]) > 0 {
		data["previous_attributes"] = previous[0]
	}
	e := c.create("event", "evt")
	merge(e, object{"type": kind, "api_version": APIVersion, "data": data,
		"request": object{"id": orNil(c.request), "idempotency_key": orNil(c.key)}})
	targets := c.endpoints(kind)
	e["pending_webhooks"] = int64(len(targets))
	if c.connected() {
		e["account"] = c.acct.ID
	}
	c.acct.add(e)
	for _, ep := range targets {
		c.s.schedule(c, id(e), id(ep))
	}
}

// endpoints are those that want an event: the account's own, and for a connected account also
// the platform's Connect endpoints.
func (c *call) endpoints(kind string) []object {
	wants := func(o object) bool {
		events := list(o, "enabled_events")
		return str(o, "status") == "enabled" && (slices.Contains(events, any("*")) || slices.Contains(events, any(kind)))
	}
	out := c.acct.all("webhook_endpoint", func(o object) bool { return wants(o) && !flag(o, "_connect") })
	if c.connected() {
		out = append(out, c.st.account(PlatformID).all("webhook_endpoint", func(o object) bool { return wants(o) && flag(o, "_connect") })...)
	}
	return out
}

func (s *Server) schedule(c *call, event, endpoint string) {
	if s.dice.percent(s.chaos.Lose) {
		return
	}
	times := 1
	if s.dice.percent(s.chaos.Duplicate) {
		times = 2
	}
	for range times {
		due := c.now() + int64(s.chaos.Delay)
		if s.chaos.Shuffle > 0 {
			due += s.dice.Int64N(int64(s.chaos.Shuffle) + 1)
		}
		s.st.enqueue(&job{Due: due, Kind: jobDeliver, Account: c.acct.ID, Object: event, Endpoint: endpoint})
	}
}

// retryDelivery is how long after each failed attempt the next one follows: about three days
// with growing pauses, as Stripe's documentation says of live mode.
var retryDelivery = []int64{60, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 12 * 3600, 12 * 3600, 12 * 3600, 12 * 3600}

// Delivery is one attempt to deliver a webhook.
type Delivery struct {
	Event    string `json:"event"`
	Type     string `json:"type"`
	Account  string `json:"account"`
	Endpoint string `json:"endpoint"`
	Attempt  int    `json:"attempt"`
	Status   int    `json:"status"` // 0: no answer
	Error    string `json:"error,omitempty"`
}

const maxDeliveries = 10_000

// Deliveries are the attempts made so far, oldest first; the last 10,000.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// deliver makes one attempt. The lock is not held while the endpoint is asked, because an
// endpoint may well call the API back before it answers.
func (s *Server) deliver(ctx context.Context, j *job) {
	s.mu.Lock()
	event := s.st.account(j.Account).Objects[j.Object]
	var ep object
	for _, a := range []string{j.Account, PlatformID} {
		if ep == nil {
			ep = s.st.account(a).get("webhook_endpoint", j.Endpoint)
		}
	}
	if event == nil || ep == nil || str(ep, "status") != "enabled" {
		s.mu.Unlock()
		return
	}
	body := encode(shown(event))
	target, secret, now := str(ep, "url"), str(ep, "_secret"), s.now().Unix()
	d := Delivery{Event: j.Object, Type: str(event, "type"), Account: j.Account, Endpoint: j.Endpoint, Attempt: j.Attempt + 1}
	s.mu.Unlock()

	d.Status, d.Error = s.post(ctx, target, body, sign(secret, now, body))

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent = append(s.sent, d); len(s.sent) > maxDeliveries {
		s.sent = slices.Delete(s.sent, 0, maxDeliveries/10)
	}
	s.dirty = true
	if d.Status >= 200 && d.Status < 300 {
		event["pending_webhooks"] = max(0, num(event, "pending_webhooks")-1)
		return
	}
	s.opts.Logf("webhook %s %s to %s: %d %s", d.Type, d.Event, target, d.Status, d.Error)
	if j.Attempt < len(retryDelivery) {
		again := *j
		again.Due, again.Attempt = s.now().Unix()+retryDelivery[j.Attempt], j.Attempt+1
		s.st.enqueue(&again)
	}
}

func (s *Server) post(ctx context.Context, target string, body []byte, signature string) (status int, failure string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", signature)
	resp, err := s.opts.Client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) //nolint:errcheck // only the status counts
	return resp.StatusCode, ""
}

// sign makes the Stripe-Signature header: a time and the HMAC of time and body.
func sign(secret string, at int64, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at, body)
	return "t=" + strconv.FormatInt(at, 10) + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func createEndpoint(c *call) (object, *apiError) {
	if err := checkURL(str(c.p, "url"), "url"); err != nil {
		return nil, err
	}
	if v := str(c.p, "api_version"); v != "" && v != APIVersion {
		return nil, invalid("", "api_version", "The fake speaks API version %s only.", APIVersion)
	}
	if len(c.acct.Order["webhook_endpoint"]) >= 16 {
		return nil, invalid("", "", "You have reached the maximum of 16 test webhook endpoints.")
	}
	o := c.create("webhook_endpoint", "we")
	c.take(o, "url", "enabled_events", "description")
	c.setMetadata(o)
	o["api_version"] = orNil(str(c.p, "api_version"))
	o["_connect"] = flag(c.p, "connect")
	o["_secret"] = "whsec_" + strings.TrimPrefix(c.st.newID("s"), "s_1Fake")
	if flag(c.p, "connect") {
		o["application"] = applicationID
	}
	c.acct.add(o)
	// The secret is shown this once.
	out := clone(o).(object)
	out["secret"] = o["_secret"]
	return out, nil
}

func updateEndpoint(c *call) (object, *apiError) {
	o, err := c.find("webhook_endpoint", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	if u := str(c.p, "url"); u != "" {
		if err := checkURL(u, "url"); err != nil {
			return nil, err
		}
	}
	c.take(o, "url", "enabled_events", "description")
	c.setMetadata(o)
	if d, ok := c.p["disabled"].(bool); ok {
		o["status"] = map[bool]string{true: "disabled", false: "enabled"}[d]
	}
	return o, nil
}

func checkURL(raw, param string) *apiError {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(raw) > 2048 {
		return invalid("url_invalid", param, "Not a valid URL: an absolute one beginning with http:// or https:// is wanted.")
	}
	return nil
}
