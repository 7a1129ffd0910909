// Package control is the control plane: what a tenant, an operator and a gateway
// node can do to an installation. An exported method of Plane is one intent and
// one transaction, with its SQL in the function that runs it; the console, the
// AWS wire and the command line are faces of these same methods.
//
// Every method takes who acts (Actor, or NodeIdentity for the feed) and filters
// by it; what belongs to someone else does not exist. Row-level security is the
// second fence behind that. The package must never import a face, the data plane
// or billing, must never be called on the path of a call, and must never store
// an API key's or a password's text.
package control
