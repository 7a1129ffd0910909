package model

import "time"

// UsageQuery says which usage of a tenant is asked for. Empty fields do not
// restrict.
type UsageQuery struct {
	From, To    time.Time // hours that begin at From or later and before To; zero: open
	APIID       string
	Stage       string
	Path        string
	Verb        string
	KeyID       string
	Status      string // "404", or a class as "4xx"
	AppID       string
	DeveloperID string // of the portal: only calls of its apps
	By          string // "hour", "day" or "total" (default): one row per that time
	Limit       int    // rows; default and most 10,000
}

// UsageSum are the measures of some calls.
type UsageSum struct {
	Calls     int64 `json:"calls"`
	Billable  int64 `json:"billable"`
	Failed4xx int64 `json:"failed4xx"`
	Failed5xx int64 `json:"failed5xx"`
	BytesIn   int64 `json:"bytesIn"`
	BytesOut  int64 `json:"bytesOut"`
	AvgMicros int64 `json:"avgMicros"`
}

// UsageRow is the usage of one method of one stage with one key and one answer
// status, in one span of time; or, in a report, of what its one group is by. Names
// are empty for what was not reached.
type UsageRow struct {
	Time        time.Time `json:"time,omitzero"` // begin of the hour or day; zero for a total
	APIID       string    `json:"apiId,omitempty"`
	APIName     string    `json:"apiName,omitempty"`
	Stage       string    `json:"stage,omitempty"`
	Path        string    `json:"path,omitempty"`
	Verb        string    `json:"verb,omitempty"`
	KeyID       string    `json:"keyId,omitempty"`
	KeyName     string    `json:"keyName,omitempty"`
	AppID       string    `json:"appId,omitempty"`
	AppName     string    `json:"appName,omitempty"`
	DeveloperID string    `json:"developerId,omitempty"`
	Developer   string    `json:"developer,omitempty"` // e-mail address
	Status      int       `json:"status"`
	UsageSum
}

// UsageGroups are what a report can show its calls by.
var UsageGroups = []string{"api", "stage", "method", "key", "status", "app", "developer"}

// UsageReport is a span of time in figures: in all, over time, and by one of
// UsageGroups.
type UsageReport struct {
	Times  []time.Time // begin of each hour or day, the empty ones too
	Series []UsageSum  // of each
	Total  UsageSum
	Groups []UsageRow // the most called first
	More   int        // groups that there are beyond
	// What may be asked for: all APIs, or of a developer its apps.
	APIs []UsageAPI
	Apps []UsageName
	// Names of what was asked for by its id.
	APIName, KeyName, AppName, Developer string
}

// UsageAPI is an API with its stages.
type UsageAPI struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Stages []string `json:"stages"`
}

// UsageName is a thing with its name.
type UsageName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}
