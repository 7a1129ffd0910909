package follow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/model"
)

// HTTP is the feed of a control plane elsewhere. token is the node's own.
func HTTP(baseURL, token string) Feed {
	c := &client{base: strings.TrimSuffix(baseURL, "/"), token: token, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     60 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token goes nowhere else
	}}
	return Feed{Changes: c.changes, Deployment: c.deployment, Leases: c.leases, Limits: c.limits, Ingest: c.ingest, Known: c.known, Calls: c.calls, Ahead: func() time.Duration { return time.Duration(c.ahead.Load()) }}
}

type client struct {
	base, token string
	http        *http.Client
	ahead       atomic.Int64 // nanoseconds that our clock is ahead of theirs, as the last answer's date has it
}

const maxAnswer = 1 << 30 // a full copy with millions of keys

func (c *client) changes(ctx context.Context, hello model.NodeHello) (*model.Changes, error) {
	ctx, cancel := context.WithTimeout(ctx, hello.Wait+30*time.Second)
	defer cancel()
	out := new(model.Changes)
	return out, c.json(ctx, "/feed/v1/changes", hello, out)
}

func (c *client) deployment(ctx context.Context, id string) (*model.DeploymentContent, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out := new(model.DeploymentContent)
	return out, c.do(ctx, http.MethodGet, "/feed/v1/deployments/"+url.PathEscape(id), "", nil, out)
}

func (c *client) leases(ctx context.Context, asked []model.LeaseRequest) ([]model.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out struct {
		Leases []model.Lease `json:"leases"`
	}
	in := map[string]any{"requests": asked}
	if err := c.json(ctx, "/feed/v1/leases", in, &out); err != nil {
		return nil, err
	}
	if len(out.Leases) != len(asked) {
		return nil, fmt.Errorf("feed: %d leases for %d requests", len(out.Leases), len(asked))
	}
	return out.Leases, nil
}

func (c *client) limits(ctx context.Context, r model.LimitReport) (out model.LimitAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Wait+10*time.Second)
	defer cancel()
	return out, c.json(ctx, "/feed/v1/limits", r, &out)
}

func (c *client) ingest(ctx context.Context, encoded []byte) (model.BatchReceipt, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var out model.BatchReceipt
	err := c.do(ctx, http.MethodPost, "/feed/v1/batches", "application/octet-stream", encoded, &out)
	return out, err
}

func (c *client) known(ctx context.Context, boots []model.BootID) (map[model.BootID]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	in := make([]string, len(boots))
	for i, b := range boots {
		in[i] = b.String()
	}
	var out struct {
		Known map[string]uint64 `json:"known"`
	}
	if err := c.json(ctx, "/feed/v1/boots", map[string]any{"boots": in}, &out); err != nil {
		return nil, err
	}
	known := make(map[model.BootID]uint64, len(out.Known))
	for text, seq := range out.Known {
		b, err := model.ParseBootID(text)
		if err != nil {
			return nil, err
		}
		known[b] = seq
	}
	return known, nil
}

func (c *client) calls(ctx context.Context, encoded []byte) error {
	var out struct{}
	return c.do(ctx, http.MethodPost, "/feed/v1/calls", "application/octet-stream", encoded, &out)
}

func (c *client) json(ctx context.Context, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, "application/json", b, out)
}

// kinds of refusals by status: the inverse of the feed's table.
var kinds = map[int]model.Kind{
	400: model.Invalid, 401: model.Unauthenticated, 403: model.Denied, 404: model.NotFound,
	409: model.Conflict, 413: model.Limit, 429: model.Limit, 503: model.Unavailable,
}

func (c *client) do(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil { // in whole seconds, cut off
		c.ahead.Store(int64(time.Now().Round(0).Sub(at.Add(time.Second / 2))))
	}
	if resp.StatusCode != http.StatusOK {
		var e struct {
			Detail  string `json:"detail"`
			Message string `json:"message"`
			Title   string `json:"title"`
		}
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		_ = json.Unmarshal(b, &e)
		msg := fmt.Sprintf("the control plane answered %d: %s%s%s", resp.StatusCode, e.Title, e.Detail, e.Message)
		if k, ok := kinds[resp.StatusCode]; ok {
			return model.Errorf(k, "%s", msg)
		}
		return fmt.Errorf("feed: %s", msg)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out)
}
