// Package sdk writes client libraries of a deployed API: small, typed by its models,
// documented by its documentation parts, and without third-party dependencies.
//
// It is pure: a definition and options in, files out, the same each time. What a
// definition says is a tenant's: no text of it may end the comment or the string
// that it is written in, and none may make a client of more than MaxBytes.
package sdk
