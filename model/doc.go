// Package model holds Tollgate's nouns and the rules that belong to them: what
// an API definition is, how a quota's window is computed, what a gateway node is
// told and what it hands back. It imports only the standard library, does no
// I/O and knows no SQL, no HTTP and no clock: callers pass the time in.
//
// The nouns are Amazon API Gateway's resource model; field names on JSON are
// those of its wire.
package model
