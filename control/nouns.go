package control

import (
	"time"

	"tollgate/model"
)

// Page asks for a part of a list. The zero value is the first 100.
type Page struct {
	After string `json:"after,omitempty"` // Next of the page before
	Limit int    `json:"limit,omitempty"` // 1 to 1000; 0: 100
	Match string `json:"match,omitempty"` // only things whose name contains it, whatever its case
	// Oldest lists APIs in the order that they were made in, instead of by name.
	Oldest bool `json:"oldest,omitempty"`
}

// List is one page; Next is empty on the last.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// NewTenant asks for an account. An empty Password is generated.
type NewTenant struct {
	Email, Name, Password string
}

// TenantCredentials is shown once, when the account is made.
type TenantCredentials struct {
	AccountID       string `json:"accountId"`
	Email           string `json:"email"`
	Password        string `json:"password"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// Tenant is an account as the operator sees it.
type Tenant struct {
	Num       uint32 `json:"num"`
	AccountID string `json:"accountId"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	Gateway   string `json:"gateway"`
	Suspended bool   `json:"suspended"`
	// While suspended: since when, and why, as its members see it.
	SuspendedAt     *time.Time `json:"suspendedAt,omitempty"`
	SuspendedReason string     `json:"suspendedReason,omitempty"`
	Caps            model.Caps `json:"caps"`
	CreatedAt       time.Time  `json:"createdAt"`
}

// ImportAPI is an API described by an OpenAPI or Swagger document.
type ImportAPI struct {
	Source     []byte `json:"source"`               // as the author wrote it
	SourceName string `json:"sourceName,omitempty"` // file name or URL, for messages
	BaseURL    string `json:"baseUrl,omitempty"`    // where relative server URLs start from
	Name       string `json:"name,omitempty"`       // instead of the document's title
	Upstream   string `json:"upstream,omitempty"`   // instead of the document's servers
	RequireKey bool   `json:"requireKey,omitempty"` // every method asks for an API key
	APIID      string `json:"apiId,omitempty"`      // replace this API's definition; empty: a new API
	Merge      bool   `json:"merge,omitempty"`      // join it with that definition instead
}

// Imported is the outcome of an import.
type Imported struct {
	API        API             `json:"api"`
	Operations int             `json:"operations"`
	Problems   []model.Problem `json:"problems"`
}

// API is one API without its definition.
type API struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Revision  int64     `json:"revision"`
	Methods   int       `json:"methods"`
	Hash      string    `json:"hash"` // of the definition, comparable with a deployment's
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// Stages are where it is served.
	Stages []APIStage `json:"stages"`
	// About is the definition with nothing of what can be large: its only resource is
	// the root, without methods.
	About model.Definition  `json:"-"`
	Tags  map[string]string `json:"-"`
}

// APIDetail is one API with its definition.
type APIDetail struct {
	API
	Definition model.Definition `json:"definition"`
}

// Source is the document an API was last imported from, byte for byte.
type Source struct {
	Name       string    `json:"name"`
	Format     string    `json:"format"`
	SHA256     string    `json:"sha256"`
	ImportedAt time.Time `json:"importedAt"`
	// Problems are what the import could not take.
	Problems []model.Problem `json:"problems"`
	Bytes    []byte          `json:"-"`
}

// Deploy publishes an API's definition on a stage. A nil StageThrottle leaves
// the stage's throttle as it is.
type Deploy struct {
	APIID         string          `json:"apiId"`
	Stage         string          `json:"stage"`
	Description   string          `json:"description,omitempty"`
	StageThrottle *model.Throttle `json:"stageThrottle,omitempty"`
}

// NewDeployment is a deployment to be made.
type NewDeployment struct {
	APIID       string
	Description string
	Stage       string // to be pointed at it, made if need be; empty: none
	// Settings changes those of the stage; nil leaves them.
	Settings func(*model.StageSettings) error
	// Canary is what the stage gets as its canary, with the new deployment; what the
	// stage itself serves stays. Nil: the stage itself serves the new deployment.
	Canary *model.CanarySettings
}

// NewStage is a stage to be made.
type NewStage struct {
	APIID, Name string
	StageEdit
	Tags map[string]string
}

// StageEdit is what of a stage can be changed.
type StageEdit struct {
	DeploymentID string
	model.StageSettings
}

// Deployed is a stage that points at a deployment, and what each live node of
// the tenant's gateway says of it.
type Deployed struct {
	Deployment Deployment          `json:"deployment"`
	Stage      Stage               `json:"stage"` // zero for a deployment without one
	Revision   uint64              `json:"revision"`
	Receipts   []model.NodeReceipt `json:"receipts"`
	Warnings   []model.Problem     `json:"warnings,omitempty"` // what calls will fail for
}

// Deployment is an immutable copy of a definition, without the copy.
type Deployment struct {
	ID          string    `json:"id"`
	APIID       string    `json:"apiId"`
	Hash        string    `json:"hash"`
	Description string    `json:"description,omitempty"`
	Methods     int       `json:"methods"`
	CreatedBy   string    `json:"createdBy"`
	CreatedAt   time.Time `json:"createdAt"`
	Stages      []string  `json:"stages"` // that point at it now
}

// MethodSummary is what callers need to know of a deployed method.
type MethodSummary struct {
	AuthorizationType string `json:"authorizationType"`
	APIKeyRequired    bool   `json:"apiKeyRequired"`
}

// Stage is where a deployment is served.
type Stage struct {
	Num          uint32              `json:"num"`
	APIID        string              `json:"apiId"`
	Name         string              `json:"name"`
	DeploymentID string              `json:"deploymentId"`
	Throttle     *model.Throttle     `json:"throttle,omitempty"` // as Settings say of every method
	Settings     model.StageSettings `json:"settings"`
	Tags         map[string]string   `json:"tags,omitempty"`
	CreatedAt    time.Time           `json:"createdAt"`
	UpdatedAt    time.Time           `json:"updatedAt"`
}

// PlanSpec is what an author decides of a usage plan.
type PlanSpec struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Throttle    *model.Throttle   `json:"throttle,omitempty"`
	Quota       *model.Quota      `json:"quota,omitempty"`
	Stages      []model.PlanStage `json:"stages"`
	// Price is what new subscriptions are charged; nil: nothing. Changing it makes a
	// new version and leaves running subscriptions at theirs.
	Price     *model.PriceSheet `json:"price,omitempty"`
	Published bool              `json:"published"` // offered on the portal
	// Unpaid is what becomes of its keys when a developer is overdue: model.KeepAccess
	// or model.SuspendAccess; empty: what the account says.
	Unpaid string `json:"unpaid,omitempty"`
	// ProductCode is what a marketplace calls the plan's product.
	ProductCode string `json:"productCode,omitempty"`
	model.Exactness
	model.Spending
}

// Plan is a usage plan.
type Plan struct {
	ID string `json:"id"`
	PlanSpec
	Version       int         `json:"version,omitempty"` // of the price; 0: none
	Keys          int         `json:"keys"`              // subscribed now
	Subscriptions int         `json:"subscriptions"`     // running now: a key's own, or an app's with all its keys
	OtherPrice    int         `json:"otherPrice"`        // of these, charged by another price than new ones would be
	Opens         []StageName `json:"-"`                 // its stages, with the names of their APIs
	CreatedAt     time.Time   `json:"createdAt"`
	UpdatedAt     time.Time   `json:"updatedAt"`

	Tags map[string]string `json:"-"`
}

// StageName is a stage as a person reads it.
type StageName struct {
	APIID string `json:"apiId"`
	API   string `json:"api"` // its name
	Stage string `json:"stage"`
}

// PlanDetail is a plan with all its prices, and the stages that a plan can open.
type PlanDetail struct {
	Plan
	Versions []PriceVersion
	Ahead    *PriceChange // the price it has from a day on; nil: it stays as it is
	// NotSellable is why the plan cannot be offered with its price; empty: it can.
	NotSellable string
	Choices     []StageName
}

// NewKey asks for an API key. An empty Value is minted, for test or live use.
type NewKey struct {
	Name    string            `json:"name"`
	Value   string            `json:"value,omitempty"`
	Enabled bool              `json:"enabled"`
	PlanIDs []string          `json:"planIds,omitempty"`
	Test    bool              `json:"test,omitempty"`
	KeySpec                   // but for its Name and Enabled
	Tags    map[string]string `json:"tags,omitempty"`
	// Readable keeps the value, sealed with the installation's secret, so that
	// KeyValues can tell it later.
	Readable bool `json:"readable,omitempty"`
}

// KeySpec is what an author decides of a key.
type KeySpec struct {
	Name        string   `json:"name"`
	Enabled     bool     `json:"enabled"`
	Description string   `json:"description,omitempty"`
	CustomerID  string   `json:"customerId,omitempty"`
	StageKeys   []string `json:"stageKeys,omitempty"` // "api/stage", as keys were tied to stages before there were plans
}

// Key is an API key without its value, which is not kept unless it was made to be
// Readable.
type Key struct {
	ID        string    `json:"id"`
	Num       uint32    `json:"num"`
	Name      string    `json:"name"`
	Prefix    string    `json:"prefix"` // first 8 characters of the value
	Last4     string    `json:"last4"`
	Enabled   bool      `json:"enabled"`
	Plans     []KeyPlan `json:"plans"`
	Holder    *Holder   `json:"holder,omitempty"` // nil: handed out by the account itself
	CreatedAt time.Time `json:"createdAt"`

	Description string            `json:"description,omitempty"`
	CustomerID  string            `json:"customerId,omitempty"`
	StageKeys   []string          `json:"-"`
	UpdatedAt   time.Time         `json:"-"`
	Tags        map[string]string `json:"-"`
}

// Holder is the developer's app that a key belongs to.
type Holder struct {
	AppID       string `json:"appId"`
	App         string `json:"app"` // its name
	DeveloperID string `json:"developerId"`
	Developer   string `json:"developer"` // e-mail address
	Disabled    bool   `json:"disabled"`  // the developer is: no key of theirs is let in
}

// KeyDetail is a key with what it opens, and what it does not.
type KeyDetail struct {
	Key
	Uses   []KeyUse
	Closed []StageName // stages that no plan of the key opens
}

// KeyUse is a running subscription of a key.
type KeyUse struct {
	Subscription uint64            `json:"subscription"`
	PlanID       string            `json:"planId"`
	Plan         string            `json:"plan"` // its name
	StartedAt    time.Time         `json:"startedAt"`
	Throttle     *model.Throttle   `json:"throttle"`
	Quota        *model.Quota      `json:"quota"`
	Version      int               `json:"version"` // of the price that it is charged by; 0: none
	Price        *model.PriceSheet `json:"price"`   // nil: nothing
	Current      bool              `json:"current"` // new ones would be charged by the same
	Shared       int               `json:"shared"`  // other keys that share its quota, rate and fee
	Opens        []StageName       `json:"opens"`
	// Of the quota's window that is running: what nodes were given of it, used or
	// still in their hands. At the quota's limit nothing more is given out.
	Given       int64     `json:"given"`
	WindowStart time.Time `json:"windowStart"`
	WindowEnd   time.Time `json:"windowEnd"`
}

// KeyPlan is a plan a key is subscribed to.
type KeyPlan struct {
	PlanID       string `json:"planId"`
	Plan         string `json:"plan"` // its name
	Subscription uint64 `json:"subscription"`
}

// CreatedKey is the only time the value is shown.
type CreatedKey struct {
	Key
	Value string `json:"value"`
	// Revision is what Await waits for: then every node lets the key in.
	Revision uint64 `json:"-"`
}

// KeyFilter asks for keys; Page.Match also finds a key by its value or its last four characters.
type KeyFilter struct {
	Page
	PlanID string `json:"planId,omitempty"` // only keys subscribed to it
	// Newest lists the newest first, instead of by name; then a name has to begin with
	// Prefix, and the customer to be CustomerID, where they are not empty.
	Newest     bool   `json:"newest,omitempty"`
	Prefix     string `json:"prefix,omitempty"`
	CustomerID string `json:"customerId,omitempty"`
	State      string `json:"state,omitempty"` // "enabled", "disabled" or, empty, any
}

// Subscription ties a key, or an app with all its keys, to a plan. A key that
// leaves and comes back has a new one.
type Subscription struct {
	ID        uint64    `json:"id"`
	KeyID     string    `json:"keyId,omitempty"`
	AppID     string    `json:"appId,omitempty"`
	PlanID    string    `json:"planId"`
	StartedAt time.Time `json:"startedAt"`
}

// Gateway is a group of nodes that serve the same tenants.
type Gateway struct {
	ID        int32  `json:"id"`
	Name      string `json:"name"`
	Kind      string `json:"kind"`                // shared or dedicated
	AccountID string `json:"accountId,omitempty"` // a dedicated gateway's tenant
	Tenant    uint32 `json:"-"`                   // its number; 0: shared
	Place     `json:"place"`
}

// Place is where a gateway is.
type Place struct {
	URL string `json:"url,omitempty"` // that callers name; empty: the installation's
	// Addr and TLSAddr are where a node listens that tollgate runs beside itself, in a
	// process of its own; empty: its nodes are started by others.
	Addr    string `json:"addr,omitempty"`
	TLSAddr string `json:"tlsAddr,omitempty"`
}

// NodeIdentity is a gateway node whose token was checked, or one in this process.
type NodeIdentity struct {
	Gateway     int32
	GatewayName string
	Node        string
	Tenant      uint32 // of a dedicated gateway; 0: shared
}
