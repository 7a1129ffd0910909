package model

import (
	"math"
	"time"
)

// Throttle is a token bucket: Rate tokens a second refill it, Burst is its
// capacity. A rate of 0 admits nothing once the burst is used.
type Throttle struct {
	Rate  float64 `json:"rateLimit"`
	Burst int     `json:"burstLimit"`
}

// Quota periods.
const (
	Day   = "DAY"
	Week  = "WEEK"
	Month = "MONTH"
)

// Quota admits Limit calls in each window of Period. Windows start at midnight
// UTC: of each day, of Sunday, of the first of the month, moved Offset days later.
type Quota struct {
	Limit  int64  `json:"limit"`
	Period string `json:"period"`
	Offset int    `json:"offset,omitempty"`
}

// Exactness is how a plan's limits are kept where a gateway has several nodes. The zero
// value gives each node a demand-weighted share of the throttles, and never lets the quota
// be exceeded.
type Exactness struct {
	// Hard keeps the plan's throttles in one counter in Redis or Valkey, which every call
	// asks.
	Hard bool `json:"hard,omitempty"`
	// FailOpen lets the nodes go on with shares while that cannot be asked; else no call
	// passes.
	FailOpen bool `json:"failOpen,omitempty"`
	// SoftQuota gives out again what a lost node held of the quota, before it is known
	// how much of that was used: the quota may be exceeded by as much.
	SoftQuota bool `json:"softQuota,omitempty"`
}

// Validate checks that what is said goes together.
func (e Exactness) Validate() error {
	if e.FailOpen && !e.Hard {
		return Errorf(Invalid, "only hard throttles can fail open: others never ask anybody")
	}
	return nil
}

// Spending is how far money bounds the calls of a plan's subscriptions. It is of those of
// developers' apps, at a price: others cost nobody anything. Amounts are in the price's
// currency, before tax.
type Spending struct {
	// SpendCap is what a month of a subscription may cost where nothing else is set for it;
	// empty: SpendMax, or else what it will.
	SpendCap Decimal `json:"spendCap,omitempty"`
	// SpendMax is the most that a developer may set; empty: anything.
	SpendMax Decimal `json:"spendMax,omitempty"`
	// Prepaid lets calls in only as far as the developer's wallet reaches.
	Prepaid bool `json:"prepaid,omitempty"`
}

// Validate checks the amounts; priced says that the plan has a price.
func (s Spending) Validate(priced bool) error {
	for _, a := range []struct {
		what string
		of   Decimal
	}{{"a spend cap", s.SpendCap}, {"the highest spend cap", s.SpendMax}} {
		if err := a.of.Validate(); err != nil {
			return Errorf(Invalid, "%s: %s", a.what, MessageOf(err))
		}
		if a.of != "" && a.of.Zero() {
			return Errorf(Invalid, "%s of 0 would let no call in; leave it empty, or take the plan off the portal", a.what)
		}
	}
	switch {
	case s.SpendCap != "" && s.SpendMax != "" && s.SpendCap.more(s.SpendMax):
		return Errorf(Invalid, "the spend cap of %s is more than the highest one, %s", s.SpendCap, s.SpendMax)
	case !priced && (s.SpendCap != "" || s.SpendMax != "" || s.Prepaid):
		return Errorf(Invalid, "a spend cap and prepaid access need a price: without one, calls cost nothing")
	}
	return nil
}

// PlanStage is a stage a plan gives access to, with throttles per "/path/VERB".
type PlanStage struct {
	APIID    string              `json:"apiId"`
	Stage    string              `json:"stage"`
	Throttle map[string]Throttle `json:"throttle,omitempty"`
}

// Validate checks a throttle's bounds.
func (t *Throttle) Validate() error {
	if t == nil {
		return nil
	}
	if math.IsNaN(t.Rate) || t.Rate < 0 || t.Rate > 1e9 {
		return Errorf(Invalid, "rate limit %v is not between 0 and 1,000,000,000 calls a second", t.Rate)
	}
	if t.Burst < 0 || t.Burst > 1_000_000_000 {
		return Errorf(Invalid, "burst limit %d is not between 0 and 1,000,000,000 calls", t.Burst)
	}
	return nil
}

// Validate checks a quota's period, limit and offset (DAY 0, WEEK 0–6, MONTH
// 0–27, as Amazon API Gateway does).
func (q *Quota) Validate() error {
	if q == nil {
		return nil
	}
	if q.Limit < 0 || q.Limit > 1e15 {
		return Errorf(Invalid, "quota limit %d is not between 0 and 1,000,000,000,000,000", q.Limit)
	}
	top := map[string]int{Day: 0, Week: 6, Month: 27}
	m, ok := top[q.Period]
	if !ok {
		return Errorf(Invalid, "quota period %q is not DAY, WEEK or MONTH", q.Period)
	}
	if q.Offset < 0 || q.Offset > m {
		return Errorf(Invalid, "quota offset %d is not between 0 and %d for period %s", q.Offset, m, q.Period)
	}
	return nil
}

// Window is the quota window that t falls into: start inclusive, end exclusive, UTC.
func (q *Quota) Window(t time.Time) (start, end time.Time) {
	t = t.UTC().AddDate(0, 0, -q.Offset)
	y, m, d := t.Date()
	switch q.Period {
	case Week:
		d -= int(t.Weekday())
		start = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		end = start.AddDate(0, 0, 7)
	case Month:
		start = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
		end = start.AddDate(0, 1, 0)
	default:
		start = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		end = start.AddDate(0, 0, 1)
	}
	return start.AddDate(0, 0, q.Offset), end.AddDate(0, 0, q.Offset)
}

// Caps are the hard limits of one tenant on one shared gateway node, so that no
// tenant can take another's share. Zero means the node's default.
type Caps struct {
	Rate          float64 `json:"rate,omitempty"`          // calls a second
	Burst         int     `json:"burst,omitempty"`         // calls
	InFlight      int     `json:"inFlight,omitempty"`      // calls at once
	BufferedBytes int64   `json:"bufferedBytes,omitempty"` // memory held for its calls
}

// DefaultCaps are a tenant's hard caps on one node unless the operator set others.
var DefaultCaps = Caps{Rate: 100_000, Burst: 100_000, InFlight: 5_000, BufferedBytes: 256 << 20}
