package control

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"

	"tollgate/control/cfn"
	"tollgate/model"
)

// Tags by which a template's things are known on the next run.
const (
	tagStack   = "tollgate:stack"
	tagLogical = "tollgate:logical-id"
)

// StackTaken is what became of a template.
type StackTaken struct {
	Stack  string       `json:"stack"`
	Things []StackThing `json:"things"`
}

// StackThing is one that the template asks for.
type StackThing struct {
	Logical string `json:"logicalId"`
	Kind    string `json:"kind"` // API, stage, key or plan
	ID      string `json:"id"`
	Name    string `json:"name"`
	Done    string `json:"done"`            // made, changed, same or refused
	Why     string `json:"why,omitempty"`   // it was refused
	Value   string `json:"value,omitempty"` // of a key that was made: it is told once
}

// TakeStack makes what a template asks for, or changes what an earlier run of it made;
// what is as it should be is left alone. Definitions come first, in one transaction. A
// stage that cannot be deployed, or a plan on such a stage, is refused by itself.
func (p *Plane) TakeStack(ctx context.Context, actor Actor, in *cfn.Plan) (StackTaken, error) {
	s := &stack{Plane: p, actor: actor, plan: in, out: StackTaken{Stack: in.Stack, Things: []StackThing{}}}
	if in.Stack == "" || len(in.Stack) > 128 {
		return s.out, model.Errorf(model.Invalid, "a stack needs a name of at most 128 characters")
	}
	for _, step := range []func(context.Context) error{s.definitions, s.stages, s.keys, s.plans} {
		if err := step(ctx); err != nil {
			return s.out, err
		}
	}
	return s.out, nil
}

type stack struct {
	*Plane
	actor Actor
	plan  *cfn.Plan
	out   StackTaken
	had   map[string]string // resources of an earlier run, by kind and logical id
	ids   map[string]string // of APIs, by logical id
	keyID map[string]string
}

func (s *stack) did(logical, kind, id, name, done string) {
	s.out.Things = append(s.out.Things, StackThing{Logical: logical, Kind: kind, ID: id, Name: name, Done: done})
}

// refused notes a refusal; what is not the template's fault is an error.
func (s *stack) refused(logical, kind, name string, err error) error {
	switch model.KindOf(err) {
	case model.Invalid, model.NotFound, model.Conflict, model.Limit:
		s.did(logical, kind, "", name, "refused")
		s.out.Things[len(s.out.Things)-1].Why = model.MessageOf(err)
		return nil
	}
	return err
}

func (s *stack) tags(own map[string]string, logical string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, own)
	all[tagStack], all[tagLogical] = s.plan.Stack, logical
	return all
}

// known reads what an earlier run made.
func (s *stack) known(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `select resource, tags from tag where tenant_id = $1 and tags @> $2`, s.actor.Tenant, map[string]string{tagStack: s.plan.Stack})
	if err != nil {
		return err
	}
	s.had = map[string]string{}
	var resource string
	var tags map[string]string
	_, err = pgx.ForEachRow(rows, []any{&resource, &tags}, func() error {
		if parts := strings.Split(strings.Trim(resource, "/"), "/"); len(parts) == 2 {
			s.had[parts[0]+" "+tags[tagLogical]] = parts[1]
		}
		tags = nil
		return nil
	})
	return err
}

func (s *stack) definitions(ctx context.Context) error {
	var things []StackThing
	_, err := s.writeAs(ctx, s.actor, ToBuild, func(w *write) error {
		// One run of a stack at a time: the second finds what the first made.
		if _, err := w.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, $2))`, "stack "+s.plan.Stack, int64(w.tenant)); err != nil {
			return err
		}
		if err := s.known(ctx, w); err != nil {
			return err
		}
		s.ids, things = map[string]string{}, nil
		for i := range s.plan.APIs {
			in := &s.plan.APIs[i]
			t := StackThing{Logical: in.Logical, Kind: "API", Name: in.Definition.Name}
			d := in.Definition
			id := s.had["restapis "+in.Logical]
			var have APIDetail
			err := ErrNoStage // any: there is none
			if id != "" {
				have, err = readAPI(ctx, w, w.tenant, id)
			}
			switch {
			case id == "" || model.KindOf(err) == model.NotFound:
				a, err := w.createAPI(ctx, &d)
				if err != nil {
					return err
				}
				t.ID, t.Done = a.ID, "made"
			case err != nil:
				return err
			default:
				owned := d
				owned.Models = append([]model.Schema(nil), d.Models...)
				owned.OwnModels(id)
				t.ID, t.Done = id, "same"
				if owned.Hash() != have.Hash {
					if _, err := w.replaceDefinition(ctx, id, &owned); err != nil {
						return err
					}
					t.Done = "changed"
				}
			}
			if err := w.tag(ctx, "/restapis/"+t.ID, s.tags(in.Tags, in.Logical), nil); err != nil {
				return err
			}
			s.ids[in.Logical] = t.ID
			things = append(things, t)
		}
		return w.audit(ctx, "stack.take", s.plan.Stack, map[string]any{"apis": len(s.plan.APIs), "keys": len(s.plan.Keys), "plans": len(s.plan.Plans)})
	})
	s.out.Things = append(s.out.Things, things...)
	return err
}

func (s *stack) stages(ctx context.Context) error {
	for i := range s.plan.APIs {
		in := &s.plan.APIs[i]
		for _, st := range in.Stages {
			done, err := s.stage(ctx, s.ids[in.Logical], st)
			if err != nil {
				if err = s.refused(in.Logical, "stage", st.Name, err); err != nil {
					return err
				}
				continue
			}
			s.did(in.Logical, "stage", s.ids[in.Logical], st.Name, done)
		}
	}
	return nil
}

// stage deploys the definition unless that is what the stage serves.
func (s *stack) stage(ctx context.Context, api string, want cfn.Stage) (done string, err error) {
	var have Stage
	var served, now string
	err = s.readAs(ctx, s.actor, func(tx pgx.Tx) (err error) {
		if have, err = readStage(ctx, tx, s.actor.Tenant, api, want.Name); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `select d.hash, a.hash from deployment d join api a using (tenant_id, api_id) where d.tenant_id = $1 and d.api_id = $2 and d.deployment_id = $3`,
			s.actor.Tenant, api, have.DeploymentID).Scan(&served, &now)
	})
	if err != nil && model.KindOf(err) != model.NotFound {
		return "", err
	}
	done = "made"
	if err == nil {
		settings := want.Settings
		settings.Canary = have.Settings.Canary // deployments, not templates, make canaries
		if done = "same"; served == now && sameJSON(settings, have.Settings) {
			return done, nil
		}
		done = "changed"
	}
	_, err = s.CreateDeployment(ctx, s.actor, NewDeployment{APIID: api, Stage: want.Name, Description: "stack " + s.plan.Stack, Settings: func(set *model.StageSettings) error {
		canary := set.Canary
		*set = want.Settings
		set.Canary = canary
		return nil
	}})
	if err == nil && len(want.Tags) > 0 {
		err = s.SetTags(ctx, s.actor, (&Stage{APIID: api, Name: want.Name}).tagPath(), want.Tags, nil)
	}
	return done, err
}

func sameJSON(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(x) == string(y)
}

func (s *stack) keys(ctx context.Context) error {
	s.keyID = map[string]string{}
	for _, k := range s.plan.Keys {
		spec := KeySpec{Name: k.Name, Enabled: k.Enabled, Description: k.Description, CustomerID: k.CustomerID}
		if id := s.had["apikeys "+k.Logical]; id != "" {
			done := "same"
			_, err := s.UpdateKey(ctx, s.actor, id, func(have *KeySpec) error {
				spec.StageKeys = have.StageKeys
				if !reflect.DeepEqual(*have, spec) {
					*have, done = spec, "changed"
				}
				return nil
			})
			if err == nil {
				s.keyID[k.Logical] = id
				s.did(k.Logical, "key", id, k.Name, done)
				continue
			}
			if model.KindOf(err) != model.NotFound { // else it was deleted meanwhile
				return err
			}
		}
		made, err := s.CreateKey(ctx, s.actor, NewKey{Name: k.Name, Value: k.Value, Enabled: k.Enabled, KeySpec: spec, Tags: s.tags(k.Tags, k.Logical), Readable: true})
		if err != nil {
			if err = s.refused(k.Logical, "key", k.Name, err); err != nil {
				return err
			}
			continue
		}
		s.keyID[k.Logical] = made.ID
		s.did(k.Logical, "key", made.ID, k.Name, "made")
		if k.Value == "" {
			s.out.Things[len(s.out.Things)-1].Value = made.Value
		}
	}
	return nil
}

func (s *stack) plans(ctx context.Context) error {
	for _, u := range s.plan.Plans {
		id, done, err := s.usagePlan(ctx, u)
		if err == nil {
			err = s.join(ctx, id, u.Keys)
		}
		if err != nil {
			if err = s.refused(u.Logical, "plan", u.Name, err); err != nil {
				return err
			}
			continue
		}
		s.did(u.Logical, "plan", id, u.Name, done)
	}
	return nil
}

func (s *stack) usagePlan(ctx context.Context, u cfn.UsagePlan) (id, done string, err error) {
	spec := PlanSpec{Name: u.Name, Description: u.Description, Throttle: u.Throttle, Quota: u.Quota}
	for _, st := range u.Stages {
		api := s.ids[st.APIID]
		if api == "" {
			return "", "", model.Errorf(model.NotFound, "there is no API %q in the template", st.APIID)
		}
		st.APIID = api
		spec.Stages = append(spec.Stages, st)
	}
	if err := spec.check(s.hardLimits); err != nil {
		return "", "", err
	}
	if id = s.had["usageplans "+u.Logical]; id != "" {
		done = "same"
		_, err = s.UpdatePlan(ctx, s.actor, id, func(have *PlanSpec) error {
			want := *have // the price and what is published are decided elsewhere
			want.Name, want.Description, want.Throttle, want.Quota, want.Stages = spec.Name, spec.Description, spec.Throttle, spec.Quota, spec.Stages
			if !sameJSON(want, *have) {
				*have, done = want, "changed"
			}
			return nil
		})
		if model.KindOf(err) != model.NotFound {
			return id, done, err
		}
	}
	_, err = s.writeAs(ctx, s.actor, ToSell, func(w *write) error {
		made, err := w.createPlan(ctx, spec)
		if err != nil {
			return err
		}
		id = made.ID
		return w.tag(ctx, "/usageplans/"+id, s.tags(u.Tags, u.Logical), nil)
	})
	return id, "made", err
}

// join subscribes keys that are not in the plan yet.
func (s *stack) join(ctx context.Context, plan string, keys []string) error {
	for _, logical := range keys {
		id := s.keyID[logical]
		if id == "" {
			return model.Errorf(model.NotFound, "key %s was refused, so it cannot join", logical)
		}
		k, err := s.Key(ctx, s.actor, id)
		if err != nil {
			return err
		}
		in := false
		for _, x := range k.Plans {
			in = in || x.PlanID == plan
		}
		if !in {
			if _, err := s.Subscribe(ctx, s.actor, id, plan); err != nil {
				return err
			}
		}
	}
	return nil
}
