// Package gateway is the data plane: it takes what a node is told to serve,
// compiles it, and answers calls with it.
//
// A call takes one atomic pointer load, one compiled match and one step list. It
// must never be served before its authorization, limit and metering steps are
// loaded, never reach a network the operator did not allow, and never leave
// without its record in the journal.
package gateway
