package control

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"tollgate/model"
)

// Options of a Plane. Pool and SecretKey are needed; the rest has defaults.
type Options struct {
	Pool *pgxpool.Pool
	// SecretKey encrypts access key secrets at rest: 32 bytes.
	SecretKey []byte
	// Now is the clock that quota windows and time stamps follow.
	Now func() time.Time
	Log *slog.Logger
	// Console is the public address of the console, for links in mails; empty: none.
	Console string
	// AckTimeout is how long Deploy waits for the nodes; default 10 s.
	AckTimeout time.Duration
	Names      Names
	// CallLogDays is for how long the call log keeps calls; default DefaultCallLogDays.
	CallLogDays int
	// Check says what of a definition a gateway could not compile, with its place; nil:
	// it is found out by the gateways. arn is the API's, as policies name it.
	Check func(d *model.Definition, arn string) []model.Problem
	// CheckPolicy says what of an access key's policy a gateway could not act on; nil: it
	// must be JSON.
	CheckPolicy func(document string) error
	// Region is what calls of APIs are signed for; default us-east-1.
	Region string
	// HardLimits says that the gateways have counters for hard throttles.
	HardLimits bool
	// Afford brings what months' money reaches for up to date in the ledger, before nodes
	// are granted of it; nil: nothing is granted where a cap is set.
	Afford func(context.Context, []model.SpendWindow) error
}

// Plane is the control plane over one database. Its methods may be called from
// any goroutine, before Start too; they are then told of changes by polling.
type Plane struct {
	pool       *pgxpool.Pool
	now        func() time.Time
	log        *slog.Logger
	seal       cipher.AEAD
	ackTimeout time.Duration
	hashing    chan struct{} // a slot per password hash at work: each takes 19 MiB
	wake       *waiters
	jobs       *river.Client[pgx.Tx] // inserts only
	consoleURL atomic.Pointer[string]
	run        runner
	names      names
	edits      together
	places     places
	callDays   int
	check      func(d *model.Definition, arn string) []model.Problem
	policy     func(document string) error
	region     string
	hardLimits bool
	afford     func(context.Context, []model.SpendWindow) error
}

// New checks the options. It does not touch the database.
func New(o Options) (*Plane, error) {
	if o.Pool == nil {
		return nil, fmt.Errorf("control: no database pool")
	}
	if len(o.SecretKey) != 32 {
		return nil, fmt.Errorf("control: the secret key has %d bytes; 32 are needed", len(o.SecretKey))
	}
	block, err := aes.NewCipher(o.SecretKey)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	p := &Plane{pool: o.Pool, now: o.Now, log: o.Log, seal: seal, ackTimeout: o.AckTimeout,
		hashing: make(chan struct{}, 4), wake: newWaiters(), names: newNames(o.Names, o.SecretKey), check: o.Check, policy: o.CheckPolicy,
		region: cmp.Or(o.Region, "us-east-1"), hardLimits: o.HardLimits, afford: o.Afford}
	if p.jobs, err = river.NewClient(riverpgxv5.New(o.Pool), &river.Config{}); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	p.SetConsole(o.Console)
	if p.callDays = o.CallLogDays; p.callDays <= 0 {
		p.callDays = DefaultCallLogDays
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.ackTimeout == 0 {
		p.ackTimeout = 10 * time.Second
	}
	return p, nil
}

// SetConsole says what links in mails begin with: it is known once the console
// listens.
func (p *Plane) SetConsole(url string) {
	url = strings.TrimSuffix(url, "/")
	p.consoleURL.Store(&url)
}

func (p *Plane) link(path string) string { return *p.consoleURL.Load() + path }
