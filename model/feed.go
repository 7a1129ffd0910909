package model

import "time"

// What a gateway node is told, and in which order. The control plane numbers
// every change of what nodes serve; a node asks for the changes since the
// number it has applied, and asking again with a number is the receipt for it.

// NodeHello is a node's question: who it is and what it has applied.
type NodeHello struct {
	Node    string `json:"node"`    // name, unique within its gateway
	Boot    string `json:"boot"`    // this process's boot id
	Applied uint64 `json:"applied"` // revision applied; 0: nothing yet, send all
	// Stamp is what came with Applied. Where the control plane has another for it, or none,
	// its database is an older one, restored: all is sent. Empty: it is not known.
	Stamp string `json:"stamp,omitempty"`
	// Failures are the stages that could not be brought to where they should be
	// and go on as they were; everything else of the revision is in effect.
	Failures []StageFailure `json:"failures,omitempty"`
	// Targets are those of VPC links whose state changed, and some others in turn.
	Targets  []TargetState `json:"targets,omitempty"`
	Draining bool          `json:"draining,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"` // how long to wait for news
}

// StageFailure is a stage that a node could not point at its deployment.
type StageFailure struct {
	Tenant       uint32 `json:"tenant"`
	Stage        uint32 `json:"stage"`
	DeploymentID string `json:"deploymentId"`
	Reason       string `json:"reason"` // for the tenant, API and stage included
}

// TargetState is how a node finds an address behind a VPC link.
type TargetState struct {
	Tenant uint32    `json:"tenant"`
	Link   string    `json:"link"` // id
	Target string    `json:"target"`
	Up     bool      `json:"up"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"` // for the tenant: why it was left out last
}

const (
	MaxFailures     = 100 // are reported by one node
	MaxTargetStates = 100 // at a time
	MaxReason       = 500 // bytes
)

// Changes brings a node from one revision to another. An object with Deleted set
// is gone; others replace what the node had under the same number or id.
type Changes struct {
	Revision    uint64             `json:"revision"`        // what the node has after applying
	Stamp       string             `json:"stamp,omitempty"` // tells it from another of the same number
	Full        bool               `json:"full,omitempty"`  // replaces everything it had
	Tenants     []TenantConfig     `json:"tenants,omitempty"`
	Stages      []StageConfig      `json:"stages,omitempty"`
	Plans       []PlanConfig       `json:"plans,omitempty"`
	Keys        []KeyConfig        `json:"keys,omitempty"`
	Domains     []DomainConfig     `json:"domains,omitempty"`
	Signers     []SignersConfig    `json:"signers,omitempty"`
	Credentials []CredentialConfig `json:"credentials,omitempty"`
	Nodes       int                `json:"nodes,omitempty"` // of the gateway that are live, the one that asks among them
}

// Empty reports that nothing changed but perhaps the number.
func (c *Changes) Empty() bool {
	return !c.Full && len(c.Tenants)+len(c.Stages)+len(c.Plans)+len(c.Keys)+len(c.Domains)+len(c.Signers)+len(c.Credentials) == 0
}

// TenantConfig is what a node knows of a tenant.
type TenantConfig struct {
	Num       uint32 `json:"num"` // the tenant's number in journals; never reused
	AccountID string `json:"accountId"`
	Suspended bool   `json:"suspended,omitempty"`
	Caps      Caps   `json:"caps"`
	Deleted   bool   `json:"deleted,omitempty"`
}

// StageConfig is a published stage: which deployment answers on it.
type StageConfig struct {
	Num          uint32    `json:"num"` // the stage's number in journals; never reused
	Tenant       uint32    `json:"tenant"`
	APIID        string    `json:"apiId"`
	Stage        string    `json:"stage"`
	DeploymentID string    `json:"deploymentId"`
	Throttle     *Throttle `json:"throttle,omitempty"` // every method's own bucket, unless Throttles names it
	// Throttles are methods' own buckets by MethodKey; null: none.
	Throttles map[string]*Throttle `json:"throttles,omitempty"`
	Variables map[string]string    `json:"variables,omitempty"`
	Canary    *CanaryConfig        `json:"canary,omitempty"`
	// RouteNotFound: see StageSettings.
	RouteNotFound    bool  `json:"routeNotFound,omitempty"`
	RateLimitHeaders bool  `json:"rateLimitHeaders,omitempty"`
	CORS             *CORS `json:"cors,omitempty"`
	// Identity is shown to back ends that ask for one in TLS; nil: none is.
	Identity *Identity `json:"identity,omitempty"`
	// Links are the tenant's VPC links, the same on each of its stages.
	Links []LinkConfig `json:"links,omitempty"`
	// Logging is how much of methods' calls is written down, by MethodKey; EveryMethod:
	// of those that are not named. null: none is.
	Logging map[string]*CallLogging `json:"logging,omitempty"`
	// AccessLog is what is written of every call, and where to; nil: nothing is.
	AccessLog  *AccessLogSettings `json:"accessLog,omitempty"`
	TraceOneIn int                `json:"traceOneIn,omitempty"` // see StageSettings
	// Metrics says whether methods are measured by themselves, by MethodKey; EveryMethod:
	// those that are not named.
	Metrics map[string]bool `json:"metrics,omitempty"`
	Tracing bool            `json:"tracing,omitempty"` // the stage takes part in distributed traces
	Cache   *CacheConfig    `json:"cache,omitempty"`   // nil: nothing is kept
	// AuthorizerFlushes counts how often what its authorizers said was to be forgotten.
	AuthorizerFlushes uint64 `json:"authorizerFlushes,omitempty"`
	Deleted           bool   `json:"deleted,omitempty"`
}

// Identity is a client certificate with its key.
type Identity struct {
	Certificate string `json:"certificate"` // PEM, the leaf first
	PrivateKey  string `json:"privateKey"`  // PEM
}

// MaxLinkTargets are behind one VPC link.
const MaxLinkTargets = 32

// LinkConfig is a VPC link: the addresses behind it, and the load balancer that they
// stand for, if it names one.
type LinkConfig struct {
	ID      string   `json:"id"`
	ARN     string   `json:"arn,omitempty"`
	Targets []string `json:"targets"` // host:port
}

// CallLogging says which calls of a method are traced.
type CallLogging struct {
	Info bool `json:"info,omitempty"` // all of them; else those that end in an error
	Data bool `json:"data,omitempty"` // with headers and bodies
}

// CanaryConfig sends a share of a stage's calls, each chosen by chance, to another
// deployment.
type CanaryConfig struct {
	DeploymentID string            `json:"deploymentId"`
	Percent      float64           `json:"percent"`
	Overrides    map[string]string `json:"overrides,omitempty"` // of the stage's variables
}

// CacheConfig is a stage's cache.
type CacheConfig struct {
	Bytes   int64                   `json:"bytes"`             // at most
	Flushes int                     `json:"flushes,omitempty"` // how often it was emptied
	Shared  bool                    `json:"shared,omitempty"`  // a canary uses it too; else it has its own
	Methods map[string]CacheSetting `json:"methods,omitempty"` // by MethodKey, or EveryMethod
}

// CacheSetting says how a method's answers are kept.
type CacheSetting struct {
	Enabled    bool   `json:"enabled,omitempty"`
	TTLSeconds int    `json:"ttlSeconds,omitempty"`
	Encrypted  bool   `json:"encrypted,omitempty"`
	Guarded    bool   `json:"guarded,omitempty"`  // asking for a fresh answer takes a permission
	Strategy   string `json:"strategy,omitempty"` // without the permission: one of CacheStrategies
}

// CacheOf is the setting of a method, by its MethodKey. own: it is not just that of
// every method.
func (c *CacheConfig) CacheOf(key string) (s CacheSetting, own bool) {
	if s, own = c.Methods[key]; own {
		return s, true
	}
	return c.Methods[EveryMethod], false
}

// Deployments are what a node needs to serve the stage.
func (c *StageConfig) Deployments() []string {
	switch {
	case c.DeploymentID == "":
		return nil
	case c.Canary == nil || c.Canary.DeploymentID == c.DeploymentID:
		return []string{c.DeploymentID}
	}
	return []string{c.DeploymentID, c.Canary.DeploymentID}
}

// DeploymentContent is an immutable deployment as a node compiles it.
type DeploymentContent struct {
	ID         string         `json:"id"`
	APIID      string         `json:"apiId"`
	Tenant     uint32         `json:"tenant"`
	Hash       string         `json:"hash"`
	Definition Definition     `json:"definition"`
	Methods    []MethodNumber `json:"methods"`
}

// MethodNumber names a method in journals. The number belongs to the path and
// verb of the API for ever, across deployments.
type MethodNumber struct {
	Path string `json:"path"`
	Verb string `json:"verb"`
	Num  uint32 `json:"num"`
}

// PlanConfig is a usage plan as a node enforces it.
type PlanConfig struct {
	ID       string      `json:"id"`
	Tenant   uint32      `json:"tenant"`
	Throttle *Throttle   `json:"throttle,omitempty"`
	Quota    *Quota      `json:"quota,omitempty"`
	Stages   []PlanStage `json:"stages,omitempty"`
	Exactness
	Deleted bool `json:"deleted,omitempty"`
}

// KeyConfig is an API key as a node knows it: never its value, only its hash.
type KeyConfig struct {
	Num           uint32               `json:"num"`
	ID            string               `json:"id,omitempty"`
	Tenant        uint32               `json:"tenant"`
	Hash          []byte               `json:"hash"` // SHA-256 of the value
	Enabled       bool                 `json:"enabled"`
	Subscriptions []SubscriptionConfig `json:"subscriptions,omitempty"`
	Deleted       bool                 `json:"deleted,omitempty"`
}

// SignersConfig is all access keys of a tenant, in place of those a node had of it.
type SignersConfig struct {
	Tenant  uint32         `json:"tenant"`
	Keys    []SignerConfig `json:"keys,omitempty"`
	Deleted bool           `json:"deleted,omitempty"` // it has none
}

// SignerConfig is an access key as a node knows it: never its secret, but what verifies
// calls of APIs, in the installation's region, on some days. Nothing else can be signed
// with that. Those who sign are principals of policies.
type SignerConfig struct {
	ID       string   `json:"id"`
	Member   string   `json:"member"` // id: aws:userid
	Name     string   `json:"name"`   // aws:username
	Role     string   `json:"role"`   // aws:PrincipalTag/role
	Policy   string   `json:"policy,omitempty"`
	Invokes  bool     `json:"invokes,omitempty"` // without a policy: may call the account's APIs
	FirstDay string   `json:"firstDay"`          // 20060102, in UTC
	DayKeys  [][]byte `json:"dayKeys"`           // signing keys of that day and those after it
}

// Signatures are verified for SignerDaysBack days before the one a node was told, since
// presigned requests live that long, and for SignerDaysAhead days after it, should the
// control plane be away.
const (
	SignerDaysBack  = 7
	SignerDaysAhead = 7
)

// SubscriptionConfig ties a key to a plan under certain terms. Its number goes
// into every record of a call made under it.
type SubscriptionConfig struct {
	ID     uint64 `json:"id"`
	PlanID string `json:"planId"`
	Terms  uint32 `json:"terms,omitempty"` // price sheet version; 0: none
	// Ledger is the subscription whose quota this one goes on with, because it
	// continues it at another price; 0: its own.
	Ledger uint64 `json:"ledger,omitempty"`
	// Spend says that its calls are let in only as far as money reaches, and which:
	// SpendCap or SpendPrepaid; empty: that nobody asks.
	Spend string `json:"spend,omitempty"`
}

// What money a subscription's calls are let in by.
const (
	SpendCap     = "cap"     // of a month, as set
	SpendPrepaid = "prepaid" // in the payer's wallet
)

// Kinds of ledgers of calls.
const (
	LedgerQuota uint8 = iota // of a plan's quota
	LedgerSpend              // of a month's money
)

// DomainConfig is a custom domain name whose ownership is proved.
type DomainConfig struct {
	Num         uint32 `json:"num"` // never reused
	Tenant      uint32 `json:"tenant"`
	Name        string `json:"name"`                  // in lower case; may begin with "*."
	Certificate string `json:"certificate,omitempty"` // PEM, the leaf first; "": none yet, the node shows its own
	PrivateKey  string `json:"privateKey,omitempty"`  // PEM

	SecurityPolicy string `json:"securityPolicy,omitempty"` // see SecurityPolicies
	Strict         bool   `json:"strict,omitempty"`         // the TLS connection must have been made for the name
	// ClientCAs, where they are set, let in only clients whose certificate leads to
	// one of them, in PEM.
	ClientCAs   string        `json:"clientCAs,omitempty"`
	RoutingMode string        `json:"routingMode,omitempty"`
	Mappings    []Mapping     `json:"mappings,omitempty"`
	Rules       []RoutingRule `json:"rules,omitempty"`
	// Challenges answers a certificate authority's HTTP-01 questions: key
	// authorizations by token.
	Challenges map[string]string `json:"challenges,omitempty"`
	Deleted    bool              `json:"deleted,omitempty"`
}

// CredentialConfig is what a node signs requests to AWS services with.
type CredentialConfig struct {
	Num          uint32   `json:"num"` // never reused
	Tenant       uint32   `json:"tenant"`
	Name         string   `json:"name"` // that integrations name, see DefaultCredential
	AccessKeyID  string   `json:"accessKeyId"`
	Secret       string   `json:"secret"`
	SessionToken string   `json:"sessionToken,omitempty"`
	Services     []string `json:"services,omitempty"` // that it may be used for, as signatures name them; none: all
	Regions      []string `json:"regions,omitempty"`  // likewise
	Deleted      bool     `json:"deleted,omitempty"`
}

// LeaseRequest asks for units of a subscription's quota, or of what its money reaches for.
type LeaseRequest struct {
	Boot         string    `json:"boot"`
	Tenant       uint32    `json:"tenant"`
	Subscription uint64    `json:"subscription"` // whose ledger: see SubscriptionConfig
	Kind         uint8     `json:"kind,omitempty"`
	At           time.Time `json:"at"`     // an instant inside the window asked for
	Want         int64     `json:"want"`   // units that would be welcome
	Return       int64     `json:"return"` // units of an earlier lease of the same window given back unused
	Held         int64     `json:"held"`   // units the node goes on holding, at most
	// ReturnOf is the beginning of the window that Return is of: where that is no window of
	// the plan any more, nothing comes back. Zero, from nodes before it was said: that of At.
	ReturnOf time.Time `json:"returnOf,omitzero"`
	// Where From is not empty, nothing is asked for: Boot goes on with Taken units of the
	// lease of that boot, which is over, of the window that begins at At.
	From  string `json:"from,omitempty"`
	Taken int64  `json:"taken,omitempty"`
}

// SpendWindow is the calendar month (UTC) that At falls into, of the money of a
// subscription's ledger.
type SpendWindow struct {
	Tenant uint32
	Ledger uint64
	At     time.Time
}

// Lease grants units of one window to one node. The sum of all leases of a
// window never exceeds the quota's limit, so no call above it is ever admitted.
type Lease struct {
	Granted     int64     `json:"granted"` // 0: the quota is used up, or the plan has none left to lease
	WindowStart time.Time `json:"windowStart"`
	WindowEnd   time.Time `json:"windowEnd"`
	Unlimited   bool      `json:"unlimited,omitempty"` // the plan has no quota any more
	// Recalling: there are none left to lease, but other nodes were just asked for what
	// they hold unused; asking again in an instant may bring some.
	Recalling bool  `json:"recalling,omitempty"`
	Limit     int64 `json:"limit,omitempty"`     // of the window, with its extension
	Elsewhere int64 `json:"elsewhere,omitempty"` // units that this node does not hold and that may still be used
}

// LimitReport is a node's question about the limits that it keeps with others: what it
// knows, and what its shares are asked for.
type LimitReport struct {
	Boot    string         `json:"boot"`
	Nodes   int            `json:"nodes"` // that it believes there are
	Buckets []BucketDemand `json:"buckets,omitempty"`
	// Wait is how long to wait for a recall, or for another number of nodes; 0: it is a
	// report of buckets, and their shares are wanted at once.
	Wait time.Duration `json:"wait,omitempty"`
}

// BucketDemand is how much of a throttle's rate calls asked one node for, let in or not:
// 1 is all of it.
type BucketDemand struct {
	ID     uint64  `json:"id"`
	Demand float32 `json:"demand"`
}

// MaxBuckets are reported by one node at a time.
const MaxBuckets = 2000

// LimitAnswer is a node's part of the limits that it reported, in their order, and what
// it is to give back of quotas.
type LimitAnswer struct {
	Nodes   int       `json:"nodes"` // of the gateway that are live
	Shares  []float32 `json:"shares,omitempty"`
	Recalls []Recall  `json:"recalls,omitempty"`
}

// Recall asks a node for what it holds unused of a quota's window.
type Recall struct {
	Tenant       uint32    `json:"tenant"`
	Subscription uint64    `json:"subscription"` // whose ledger
	Kind         uint8     `json:"kind,omitempty"`
	WindowStart  time.Time `json:"windowStart"`
}

// NodeReceipt is one node's state with regard to a change.
type NodeReceipt struct {
	Gateway string `json:"gateway"`
	Node    string `json:"node"`
	Applied bool   `json:"applied"`
	Error   string `json:"error,omitempty"`
}
