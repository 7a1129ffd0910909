package control

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

var errSurface = model.Errorf(model.Unavailable, "not wired yet")

const everyTenant = 0

func (p *Plane) read(ctx context.Context, tenant uint32, fn func(pgx.Tx) error) error {
	return errSurface
}
func (p *Plane) keepPruning(ctx context.Context) {}

func (p *Plane) CreateTenant(ctx context.Context, a Actor, n NewTenant) (TenantCredentials, error) {
	return TenantCredentials{}, errSurface
}
func (p *Plane) Tenants(ctx context.Context, a Actor, page Page) (List[Tenant], error) {
	return List[Tenant]{}, errSurface
}
func (p *Plane) SetTenantCaps(ctx context.Context, a Actor, accountID string, caps model.Caps) error {
	return errSurface
}
func (p *Plane) SuspendTenant(ctx context.Context, a Actor, accountID string) error {
	return errSurface
}
func (p *Plane) ResumeTenant(ctx context.Context, a Actor, accountID string) error { return errSurface }
func (p *Plane) MoveTenant(ctx context.Context, a Actor, accountID, gateway string) error {
	return errSurface
}

// Login; AccessKey: who signs with it and its secret.
func (p *Plane) Login(ctx context.Context, email, password string) (Actor, error) {
	return Actor{}, errSurface
}
func (p *Plane) AccessKey(ctx context.Context, accessKeyID string) (Actor, string, error) {
	return Actor{}, "", errSurface
}

func (p *Plane) ImportAPI(ctx context.Context, a Actor, in ImportAPI) (Imported, error) {
	return Imported{}, errSurface
}
func (p *Plane) APIs(ctx context.Context, a Actor, page Page) (List[API], error) {
	return List[API]{}, errSurface
}
func (p *Plane) API(ctx context.Context, a Actor, id string) (APIDetail, error) {
	return APIDetail{}, errSurface
}
func (p *Plane) Source(ctx context.Context, a Actor, id string) (Source, error) {
	return Source{}, errSurface
}

// DeleteAPI refuses while stages point at it, unless force.
func (p *Plane) DeleteAPI(ctx context.Context, a Actor, id string, force bool) error {
	return errSurface
}

// UpdateDefinition: revision 0 = whatever it is.
func (p *Plane) UpdateDefinition(ctx context.Context, a Actor, id string, revision int64, edit func(*model.Definition) error) (APIDetail, error) {
	return APIDetail{}, errSurface
}

func (p *Plane) Deploy(ctx context.Context, a Actor, d Deploy) (Deployed, error) {
	return Deployed{}, errSurface
}

// Await waits for the live nodes of the actor's gateway to apply revision.
func (p *Plane) Await(ctx context.Context, a Actor, revision uint64) ([]model.NodeReceipt, error) {
	return nil, errSurface
}

// Stages: apiID "" = of all APIs.
func (p *Plane) Stages(ctx context.Context, a Actor, apiID string) ([]Stage, error) {
	return nil, errSurface
}
func (p *Plane) DeleteStage(ctx context.Context, a Actor, apiID, stage string) error {
	return errSurface
}
func (p *Plane) Deployments(ctx context.Context, a Actor, apiID string, page Page) (List[Deployment], error) {
	return List[Deployment]{}, errSurface
}
func (p *Plane) Rollback(ctx context.Context, a Actor, apiID, stage, deploymentID string) (Deployed, error) {
	return Deployed{}, errSurface
}
func (p *Plane) SetStageThrottle(ctx context.Context, a Actor, apiID, stage string, t *model.Throttle) (Stage, error) {
	return Stage{}, errSurface
}

func (p *Plane) CreatePlan(ctx context.Context, a Actor, s PlanSpec) (Plan, error) {
	return Plan{}, errSurface
}
func (p *Plane) UpdatePlan(ctx context.Context, a Actor, id string, edit func(*PlanSpec) error) (Plan, error) {
	return Plan{}, errSurface
}
func (p *Plane) DeletePlan(ctx context.Context, a Actor, id string) error { return errSurface }
func (p *Plane) Plan(ctx context.Context, a Actor, id string) (Plan, error) {
	return Plan{}, errSurface
}
func (p *Plane) Plans(ctx context.Context, a Actor, page Page) (List[Plan], error) {
	return List[Plan]{}, errSurface
}

func (p *Plane) CreateKey(ctx context.Context, a Actor, n NewKey) (CreatedKey, error) {
	return CreatedKey{}, errSurface
}
func (p *Plane) ImportKeys(ctx context.Context, a Actor, planID string, keys []NewKey) (int, error) {
	return 0, errSurface
}
func (p *Plane) Key(ctx context.Context, a Actor, id string) (Key, error) { return Key{}, errSurface }
func (p *Plane) Keys(ctx context.Context, a Actor, f KeyFilter) (List[Key], error) {
	return List[Key]{}, errSurface
}
func (p *Plane) SetKeyEnabled(ctx context.Context, a Actor, id string, enabled bool) error {
	return errSurface
}
func (p *Plane) DeleteKey(ctx context.Context, a Actor, id string) error { return errSurface }
func (p *Plane) Subscribe(ctx context.Context, a Actor, keyID, planID string) (Subscription, error) {
	return Subscription{}, errSurface
}
func (p *Plane) Unsubscribe(ctx context.Context, a Actor, keyID, planID string) error {
	return errSurface
}
func (p *Plane) MoveKey(ctx context.Context, a Actor, keyID, fromPlan, toPlan string) (Subscription, error) {
	return Subscription{}, errSurface
}

// CreateGateway makes a dedicated gateway for an account, or a shared one when accountID is empty.
func (p *Plane) CreateGateway(ctx context.Context, a Actor, name, accountID string) (Gateway, error) {
	return Gateway{}, errSurface
}
func (p *Plane) Gateways(ctx context.Context, a Actor) ([]Gateway, error) { return nil, errSurface }
func (p *Plane) CreateNodeToken(ctx context.Context, a Actor, gateway, node string) (string, error) {
	return "", errSurface
}
func (p *Plane) AuthenticateNode(ctx context.Context, token string) (NodeIdentity, error) {
	return NodeIdentity{}, errSurface
}

// SharedNode is a node of the shared gateway in this process.
func SharedNode(name string) NodeIdentity {
	return NodeIdentity{Gateway: 1, GatewayName: "shared", Node: name}
}

func (p *Plane) Changes(ctx context.Context, n NodeIdentity, h model.NodeHello) (*model.Changes, error) {
	return nil, errSurface
}
func (p *Plane) Deployment(ctx context.Context, n NodeIdentity, id string) (*model.DeploymentContent, error) {
	return nil, errSurface
}
func (p *Plane) Leases(ctx context.Context, n NodeIdentity, reqs []model.LeaseRequest) ([]model.Lease, error) {
	return nil, errSurface
}
