// Package policy parses and evaluates policy documents in the language of IAM: the
// resource policies of APIs, the identity policies of access keys, and what Lambda
// authorizers answer. It follows the IAM User Guide, "Policy evaluation logic" and
// "IAM JSON policy elements".
//
// It fails closed. A document with an element, operator or form it does not know is
// refused as a whole, since half a policy may be an open one; a value that is not
// there matches nothing; and an evaluation that takes more than maxSteps is a Deny.
// It does no I/O and has no clock but the request's.
package policy
