package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
	"tollgate/control/changes"
	"tollgate/control/openapi"
	"tollgate/control/sdk"
	"tollgate/model"
)

// Options of a Client. Endpoint and Credentials are needed.
type Options struct {
	Endpoint    *url.URL // of the console, without a path
	Said        string   // who named the endpoint, for errors
	Credentials sigv4.Credentials
	Region      string // any: it is part of what is signed
	Agent       string // the User-Agent
	Now         func() time.Time
}

// Client calls the methods of an installation elsewhere. They have the plane's
// signatures; the actor is ignored, as the access key says who asks.
type Client struct {
	Options
	http *http.Client
}

// A deployment waits for nodes, and a large document takes its time on a slow line.
const timeout = 5 * time.Minute

// maxAnswer bounds what is believed of an answer: a definition in base64 and more.
const maxAnswer = 128 << 20

// New makes a client. It calls nothing yet.
func New(o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Region = cmp.Or(o.Region, "us-east-1")
	return &Client{o, &http.Client{
		Timeout: timeout,
		// A redirect could lead the arguments anywhere; and the signature is for one host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func call[A, R any](ctx context.Context, c *Client, m method[A, R], in A) (out R, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	if len(body) > MaxBody {
		return out, model.Errorf(model.Limit, "what is to be sent has %d bytes; at most %d are allowed", len(body), MaxBody)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint.String()+Path+m.name, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	hash := sigv4.HashBody(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.Agent)
	req.Header.Set("X-Amz-Content-Sha256", hash) // so that the signature can be checked before the body is read
	sigv4.SignHTTP(req, c.Credentials, c.Region, Service, hash, c.Now())
	res, err := c.http.Do(req)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil && ctx.Err() == nil {
			err = inner
		}
		return out, model.Errorf(model.Unavailable, "%s cannot be reached: %v", c.named(), err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return out, model.Errorf(model.Unavailable, "the answer of %s broke off: %v", c.Endpoint, err)
	case len(b) > maxAnswer:
		return out, model.Errorf(model.Limit, "the answer of %s has more than the %d MB that are read", c.Endpoint, maxAnswer>>20)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusOK && kind == "application/json":
		if err := json.Unmarshal(b, &out); err != nil {
			return out, model.Errorf(model.Unavailable, "the answer of %s cannot be read: %v", c.Endpoint, err)
		}
		return out, nil
	case kind == ProblemType:
		var p Problem
		if json.Unmarshal(b, &p) == nil && p.Detail != "" {
			return out, p.err()
		}
	}
	return out, c.strange(res)
}

// kinds are those that a problem's kind can name.
var kinds = []model.Kind{model.Invalid, model.NotFound, model.Conflict, model.Limit, model.Denied, model.Unauthenticated, model.Unavailable}

// err is the refusal as the plane gave it.
func (p *Problem) err() error {
	if k := model.Kind(p.Kind); slices.Contains(kinds, k) {
		return &model.Error{Kind: k, Message: p.Detail}
	}
	return errors.New(p.Detail)
}

// named is the endpoint with who named it.
func (c *Client) named() string {
	if c.Said == "" {
		return c.Endpoint.String()
	}
	return fmt.Sprintf("%s (%s)", c.Endpoint, c.Said)
}

// strange is the error for an answer that no installation gives.
func (c *Client) strange(res *http.Response) error {
	what := "answered " + res.Status
	if to := res.Header.Get("Location"); to != "" {
		what = fmt.Sprintf("leads on to %.200q, which is not followed", to)
	}
	return model.Errorf(model.Unavailable, "%s %s: is that the address of a Tollgate console?", c.named(), what)
}

// Gateway is where calls go.
func (c *Client) Gateway(ctx context.Context) (*url.URL, error) {
	a, err := call(ctx, c, gateway, nothing{})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(a.Gateway)
	if err != nil || u.Host == "" {
		return nil, model.Errorf(model.Unavailable, "%s does not know where its gateway is: set TOLLGATE_GATEWAY_URL there", c.Endpoint)
	}
	return u, nil
}

// ImportAPI is the plane's.
func (c *Client) ImportAPI(ctx context.Context, _ control.Actor, in control.ImportAPI) (control.Imported, error) {
	if len(in.Source) > control.MaxSourceBytes { // rather than a word about what it is in base64
		return control.Imported{}, model.Errorf(model.Limit, "the document has %d bytes; at most %d are allowed", len(in.Source), control.MaxSourceBytes)
	}
	return call(ctx, c, importAPI, in)
}

// APIs is the plane's.
func (c *Client) APIs(ctx context.Context, _ control.Actor, pg control.Page) (control.List[control.API], error) {
	return call(ctx, c, apis, pg)
}

// API is the plane's.
func (c *Client) API(ctx context.Context, _ control.Actor, id string) (control.APIDetail, error) {
	return call(ctx, c, api, byID{id})
}

// DeleteAPI is the plane's.
func (c *Client) DeleteAPI(ctx context.Context, _ control.Actor, id string, force bool) error {
	_, err := call(ctx, c, deleteAPI, deletion{id, force})
	return err
}

// Deploy is the plane's.
func (c *Client) Deploy(ctx context.Context, _ control.Actor, in control.Deploy) (control.Deployed, error) {
	return call(ctx, c, deploy, in)
}

// CompareVersions is the plane's.
func (c *Client) CompareVersions(ctx context.Context, _ control.Actor, apiID string, from, to control.Version) ([]changes.Change, error) {
	return call(ctx, c, compared, comparison{apiID, from, to})
}

// Rollback is the plane's.
func (c *Client) Rollback(ctx context.Context, _ control.Actor, apiID, stage, deploymentID string) (control.Deployed, error) {
	return call(ctx, c, rolledBack, rollback{apiID, stage, deploymentID})
}

// Stage is the plane's.
func (c *Client) Stage(ctx context.Context, _ control.Actor, apiID, name string) (control.Stage, error) {
	return call(ctx, c, stage, stageOfAPI{apiID, name})
}

// Stages is the plane's.
func (c *Client) Stages(ctx context.Context, _ control.Actor, apiID string) ([]control.Stage, error) {
	return call(ctx, c, stages, ofAPI{apiID})
}

// Deployments is the plane's.
func (c *Client) Deployments(ctx context.Context, _ control.Actor, apiID string, pg control.Page) (control.List[control.Deployment], error) {
	return call(ctx, c, deployments, pageOfAPI{apiID, pg})
}

// ExportStage is the plane's.
func (c *Client) ExportStage(ctx context.Context, _ control.Actor, apiID, stage string, o openapi.ExportOptions) (control.Exported, error) {
	return call(ctx, c, exportStage, stageExport{apiID, stage, o})
}

// StageClient is the plane's.
func (c *Client) StageClient(ctx context.Context, _ control.Actor, apiID, stage string, o sdk.Options) (control.StageClient, error) {
	return call(ctx, c, clientOfStage, stageClient{apiID, stage, o})
}

// Calls is the plane's.
func (c *Client) Calls(ctx context.Context, _ control.Actor, f control.CallFilter) (control.CallList, error) {
	return call(ctx, c, calls, f)
}

// Call is the plane's.
func (c *Client) Call(ctx context.Context, _ control.Actor, requestID string) (control.Call, error) {
	return call(ctx, c, oneCall, byID{requestID})
}

// FollowCalls is the plane's.
func (c *Client) FollowCalls(ctx context.Context, _ control.Actor, f control.CallFilter, since string, wait time.Duration) (control.CallList, error) {
	return call(ctx, c, followCalls, following{f, since, int(wait.Milliseconds())})
}

// Plans is the plane's.
func (c *Client) Plans(ctx context.Context, _ control.Actor, pg control.Page) (control.List[control.Plan], error) {
	return call(ctx, c, plans, pg)
}

// CreateKey is the plane's.
func (c *Client) CreateKey(ctx context.Context, _ control.Actor, n control.NewKey) (control.CreatedKey, error) {
	return call(ctx, c, createKey, n)
}

// Keys is the plane's.
func (c *Client) Keys(ctx context.Context, _ control.Actor, f control.KeyFilter) (control.List[control.Key], error) {
	return call(ctx, c, keys, f)
}

// Key is the plane's.
func (c *Client) Key(ctx context.Context, _ control.Actor, id string) (control.Key, error) {
	return call(ctx, c, key, byID{id})
}

// SetKeyEnabled is the plane's.
func (c *Client) SetKeyEnabled(ctx context.Context, _ control.Actor, id string, enabled bool) error {
	_, err := call(ctx, c, setKeyEnabled, enabling{id, enabled})
	return err
}

// DeleteKey is the plane's.
func (c *Client) DeleteKey(ctx context.Context, _ control.Actor, id string) error {
	_, err := call(ctx, c, deleteKey, byID{id})
	return err
}
