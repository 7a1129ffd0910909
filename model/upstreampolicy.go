package model

import (
	"encoding/json"
	"slices"
)

// UpstreamPolicy is how a gateway deals with an integration's upstream beyond what
// Amazon API Gateway does. It is off where it is not written. In OpenAPI documents it is
// x-tollgate-upstream of x-amazon-apigateway-integration.
type UpstreamPolicy struct {
	Retries *Retries `json:"retries,omitempty"`
	Breaker *Breaker `json:"circuitBreaker,omitempty"`
	// HTTP2 speaks HTTP/2 to the upstream: over TLS where it agrees, in the clear by
	// prior knowledge.
	HTTP2 bool `json:"http2,omitempty"`
}

// Retries ask again where an upstream failed before any of its answer was passed on.
// Only a fifth of a method's calls may be such, so that retries cannot be what keeps an
// upstream down.
type Retries struct {
	Attempts      int   `json:"attempts"`                      // in all: 2 to 5
	PerTryMillis  int   `json:"perTryTimeoutMillis,omitempty"` // of each but the last, whose time is what is left of the integration's; 0: none of its own
	OnStatus      []int `json:"onStatus,omitempty"`            // 500 to 599; none: 502, 503 and 504
	NonIdempotent bool  `json:"nonIdempotent,omitempty"`       // POST and PATCH too: the upstream stands a call that is made twice
}

// Breaker stops asking an upstream that fails, and lets one call at a time try it after
// a while. Failures are answers of 500 and more, and none.
type Breaker struct {
	Consecutive int     `json:"consecutiveFailures,omitempty"` // that open it; 0: any number
	Ratio       float64 `json:"failureRatio,omitempty"`        // of the calls of ten seconds that opens it, above 0 to 1; 0: none does
	MinCalls    int     `json:"minimumCalls,omitempty"`        // in ten seconds before the ratio counts; 0: 20
	OpenMillis  int     `json:"openMillis,omitempty"`          // before it is tried again; 0: 5000
}

// RetriedStatus says whether an answer with a status is asked for again.
func (r *Retries) RetriedStatus(status int) bool {
	if len(r.OnStatus) == 0 {
		return status >= 502 && status <= 504
	}
	return slices.Contains(r.OnStatus, status)
}

// Validate reports the first thing that a policy cannot be.
func (p *UpstreamPolicy) Validate() error {
	if r := p.Retries; r != nil {
		if r.Attempts < 2 || r.Attempts > 5 {
			return Errorf(Invalid, "retries.attempts is %d; it counts the first and is between 2 and 5", r.Attempts)
		}
		if r.PerTryMillis != 0 && (r.PerTryMillis < MinTimeoutMillis || r.PerTryMillis > MaxTimeoutMillis) {
			return Errorf(Invalid, "retries.perTryTimeoutMillis %d is not between %d and %d", r.PerTryMillis, MinTimeoutMillis, MaxTimeoutMillis)
		}
		if len(r.OnStatus) > 100 {
			return Errorf(Invalid, "retries.onStatus has %d statuses; at most 100 are allowed", len(r.OnStatus))
		}
		for _, s := range r.OnStatus {
			if s < 500 || s > 599 {
				return Errorf(Invalid, "retries.onStatus has %d; only failures, 500 to 599, are asked for again", s)
			}
		}
	}
	if b := p.Breaker; b != nil {
		switch {
		case b.Consecutive < 0 || b.Consecutive > 1_000_000 || b.MinCalls < 0 || b.MinCalls > 1_000_000:
			return Errorf(Invalid, "circuitBreaker.consecutiveFailures and minimumCalls are between 0 and 1,000,000")
		case !(b.Ratio >= 0 && b.Ratio <= 1):
			return Errorf(Invalid, "circuitBreaker.failureRatio %v is not between 0 and 1", b.Ratio)
		case b.Consecutive == 0 && b.Ratio == 0:
			return Errorf(Invalid, "a circuit breaker needs consecutiveFailures or failureRatio")
		case b.OpenMillis < 0 || b.OpenMillis > 600_000:
			return Errorf(Invalid, "circuitBreaker.openMillis %d is not between 0 and 600,000", b.OpenMillis)
		}
	}
	return nil
}

// String is for Compare.
func (p *UpstreamPolicy) String() string {
	b, _ := json.Marshal(p)
	return string(b)
}
