// Package awsapi is Amazon API Gateway's control API on the wire, version
// 2015-07-09 (REST APIs): paths, statuses, JSON shapes, paging, PATCH paths and
// error texts as the service's own, so that AWS CLI, SDKs and Terraform work
// unchanged. It holds no state and no SQL: every operation is a call of a method
// of control, the same one that the console uses.
//
// Beside it, in native.go, are the calls of Tollgate's own client (control/remote):
// signed by the same keys, with problem details (RFC 9457) in place of the service's
// errors. The two never mix.
//
// A file holds one noun: its shapes, its operations and the paths it can be
// patched at. Facts are from the service model and from recorded answers of the
// service; where we differ, divergences.md says so.
package awsapi
