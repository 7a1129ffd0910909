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
	// Credentials are what the account's integrations sign requests to AWS services with.
	Credentials []CredentialConfig
	Links       []LinkConfig // the account's
}

// TrialAnswer is what came of it, and the log of its way.
type TrialAnswer struct {
	Status  int
	Headers map[string][]string
	Body    []byte
	Latency time.Duration
	Log     string
}

// AuthorizerTrial is a call that an authorizer is asked about.
type AuthorizerTrial struct {
	ID           string // in the log
	AccountID    string // the tenant's
	APIID        string
	Definition   *Definition
	AuthorizerID string
	Target       string // path with query, as a client would send it
	Headers      map[string][]string
	Variables    map[string]string // the stage's
	// Credentials are what the account signs requests to AWS services with.
	Credentials []CredentialConfig
}

// AuthorizerAnswer is what came of it, and the log of its way.
type AuthorizerAnswer struct {
	Status        int // that a client would have got; 0: the authorizer has answered
	Principal     string
	Policy        string
	Authorization map[string][]string // the context that it gave
	Claims        map[string]string   // of the token
	Latency       time.Duration
	Log           string
}
