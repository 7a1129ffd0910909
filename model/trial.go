package model

import (
	"time"
)

// TrialCall is a call of one method of a definition that need not be deployed. It
// passes by API keys, limits and metering, and reaches the integration.
type TrialCall struct {
	ID         string // in the log
	AccountID  string // the tenant's
	APIID      string
	Definition *Definition
	Path       string // of the resource, a template
	Verb       string
	Target     string // path with query, as a client would send it; "": the resource's own
	Headers    map[string][]string
	Body       []byte
	Variables  map[string]string // the stage's
}

// TrialAnswer is what came of it, and the log of its way.
type TrialAnswer struct {
	Status  int
	Headers map[string][]string
	Body    []byte
	Latency time.Duration
	Log     string
}
