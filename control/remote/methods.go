// Package remote is the control plane over HTTP: what its methods are called there,
// what they take and give as JSON, and the client. Each is defined once for both sides,
// in methods. It knows no permission of its own: the plane asks the actor's role, and
// who the actor is the face has found out from the signature.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"tollgate/control"
	"tollgate/control/changes"
	"tollgate/control/openapi"
	"tollgate/control/sdk"
	"tollgate/model"
)

const (
	// Service is what calls are signed for.
	Service = "tollgate"
	// Path is followed by the name of a method, to which its arguments are posted.
	Path = "/tollgate/v1/"
	// MaxBody bounds the arguments: the largest are documents, in base64.
	MaxBody = control.MaxSourceBytes/3*4 + 1<<20
)

// Host is an installation whose methods are called.
type Host struct {
	Plane   *control.Plane
	Gateway string // where calls go, such as https://api.example.com
}

// Address is where the gateway of an installation is.
type Address struct {
	Gateway string `json:"gateway"`
}

type (
	byID struct {
		ID string `json:"id"`
	}
	ofAPI struct {
		APIID string `json:"apiId"` // empty: of all
	}
	stageOfAPI struct {
		APIID string `json:"apiId"`
		Stage string `json:"stage"`
	}
	pageOfAPI struct {
		APIID string `json:"apiId"`
		control.Page
	}
	comparison struct {
		APIID string          `json:"apiId"`
		From  control.Version `json:"from"`
		To    control.Version `json:"to"`
	}
	rollback struct {
		APIID        string `json:"apiId"`
		Stage        string `json:"stage"`
		DeploymentID string `json:"deploymentId,omitempty"` // empty: the one before
	}
	stageExport struct {
		APIID string `json:"apiId"`
		Stage string `json:"stage"`
		openapi.ExportOptions
	}
	stageClient struct {
		APIID string `json:"apiId"`
		Stage string `json:"stage"`
		sdk.Options
	}
	deletion struct {
		ID    string `json:"id"`
		Force bool   `json:"force,omitempty"`
	}
	enabling struct {
		ID      string `json:"id"`
		Enabled bool   `json:"enabled"`
	}
	following struct {
		control.CallFilter
		Since string `json:"since"`
		Wait  int    `json:"wait"` // milliseconds
	}
	nothing struct{}
)

// method takes an A and gives an R.
type method[A, R any] struct {
	name string
	do   func(ctx context.Context, h Host, actor control.Actor, in A) (R, error)
}

func ofPlane[A, R any](name string, do func(*control.Plane, context.Context, control.Actor, A) (R, error)) method[A, R] {
	return method[A, R]{name, func(ctx context.Context, h Host, actor control.Actor, in A) (R, error) {
		return do(h.Plane, ctx, actor, in)
	}}
}

var (
	gateway = method[nothing, Address]{"Gateway", func(_ context.Context, h Host, _ control.Actor, _ nothing) (Address, error) {
		return Address{h.Gateway}, nil
	}}
	importAPI = ofPlane("ImportAPI", (*control.Plane).ImportAPI)
	apis      = ofPlane("APIs", (*control.Plane).APIs)
	api       = ofPlane("API", func(p *control.Plane, ctx context.Context, a control.Actor, in byID) (control.APIDetail, error) {
		return p.API(ctx, a, in.ID)
	})
	deleteAPI = ofPlane("DeleteAPI", func(p *control.Plane, ctx context.Context, a control.Actor, in deletion) (nothing, error) {
		return nothing{}, p.DeleteAPI(ctx, a, in.ID, in.Force)
	})
	deploy   = ofPlane("Deploy", (*control.Plane).Deploy)
	compared = ofPlane("CompareVersions", func(p *control.Plane, ctx context.Context, a control.Actor, in comparison) ([]changes.Change, error) {
		return p.CompareVersions(ctx, a, in.APIID, in.From, in.To)
	})
	rolledBack = ofPlane("Rollback", func(p *control.Plane, ctx context.Context, a control.Actor, in rollback) (control.Deployed, error) {
		return p.Rollback(ctx, a, in.APIID, in.Stage, in.DeploymentID)
	})
	stage = ofPlane("Stage", func(p *control.Plane, ctx context.Context, a control.Actor, in stageOfAPI) (control.Stage, error) {
		return p.Stage(ctx, a, in.APIID, in.Stage)
	})
	stages = ofPlane("Stages", func(p *control.Plane, ctx context.Context, a control.Actor, in ofAPI) ([]control.Stage, error) {
		return p.Stages(ctx, a, in.APIID)
	})
	deployments = ofPlane("Deployments", func(p *control.Plane, ctx context.Context, a control.Actor, in pageOfAPI) (control.List[control.Deployment], error) {
		return p.Deployments(ctx, a, in.APIID, in.Page)
	})
	exportStage = ofPlane("ExportStage", func(p *control.Plane, ctx context.Context, a control.Actor, in stageExport) (control.Exported, error) {
		return p.ExportStage(ctx, a, in.APIID, in.Stage, in.ExportOptions)
	})
	clientOfStage = ofPlane("StageClient", func(p *control.Plane, ctx context.Context, a control.Actor, in stageClient) (control.StageClient, error) {
		return p.StageClient(ctx, a, in.APIID, in.Stage, in.Options)
	})
	calls   = ofPlane("Calls", (*control.Plane).Calls)
	oneCall = ofPlane("Call", func(p *control.Plane, ctx context.Context, a control.Actor, in byID) (control.Call, error) {
		return p.Call(ctx, a, in.ID)
	})
	followCalls = ofPlane("FollowCalls", func(p *control.Plane, ctx context.Context, a control.Actor, in following) (control.CallList, error) {
		return p.FollowCalls(ctx, a, in.CallFilter, in.Since, time.Duration(in.Wait)*time.Millisecond)
	})
	plans     = ofPlane("Plans", (*control.Plane).Plans)
	createKey = ofPlane("CreateKey", (*control.Plane).CreateKey)
	keys      = ofPlane("Keys", (*control.Plane).Keys)
	key       = ofPlane("Key", func(p *control.Plane, ctx context.Context, a control.Actor, in byID) (control.Key, error) {
		return p.Key(ctx, a, in.ID)
	})
	setKeyEnabled = ofPlane("SetKeyEnabled", func(p *control.Plane, ctx context.Context, a control.Actor, in enabling) (nothing, error) {
		return nothing{}, p.SetKeyEnabled(ctx, a, in.ID, in.Enabled)
	})
	deleteKey = ofPlane("DeleteKey", func(p *control.Plane, ctx context.Context, a control.Actor, in byID) (nothing, error) {
		return nothing{}, p.DeleteKey(ctx, a, in.ID)
	})
)

// methods are all there are.
var methods = []served{gateway, importAPI, apis, api, deleteAPI, deploy, compared, rolledBack, stage, stages, deployments, exportStage, clientOfStage,
	calls, oneCall, followCalls, plans, createKey, keys, key, setKeyEnabled, deleteKey}

type served interface {
	called() string
	serve(ctx context.Context, h Host, actor control.Actor, body []byte) (any, error)
}

func (m method[A, R]) called() string { return m.name }

func (m method[A, R]) serve(ctx context.Context, h Host, actor control.Actor, body []byte) (any, error) {
	var in A
	if len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, unreadable(err)
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, model.Errorf(model.Invalid, "the body holds more than one JSON value")
		}
	}
	return m.do(ctx, h, actor, in)
}

// unreadable says what is wrong with a body in the words of whoever wrote it.
func unreadable(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field == "" {
			return model.Errorf(model.Invalid, "the body is a JSON %s, not an object", t.Value)
		}
		return model.Errorf(model.Invalid, "%s is a JSON %s, which it cannot be", t.Field, t.Value)
	}
	return model.Errorf(model.Invalid, "the body cannot be read: %.200s", strings.TrimPrefix(err.Error(), "json: "))
}

// Call makes a call that came in. ok is false when there is no such method.
func Call(ctx context.Context, h Host, actor control.Actor, name string, body []byte) (out any, ok bool, err error) {
	for _, m := range methods {
		if m.called() == name {
			out, err = m.serve(ctx, h, actor, body)
			return out, true, err
		}
	}
	return nil, false, nil
}

// Names of all methods.
func Names() []string {
	out := make([]string, len(methods))
	for i, m := range methods {
		out[i] = m.called()
	}
	return out
}

// Problem is a refusal as RFC 9457 has it. Kind is the model's, or "internal".
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Kind      string `json:"kind"`
	RequestID string `json:"requestId"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"
