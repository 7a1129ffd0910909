package awsapi

import "slices"

// StagePaths is what tests compare texts with.
const StagePaths = stagePaths

// Operation is an operation for tests that walk all of them.
type Operation struct{ Name, Verb, Path, Query string }

// Operations are all there are.
func Operations() (out []Operation) {
	for _, o := range slices.Concat(operations, ruleOperations) {
		out = append(out, Operation{o.name, o.verb, o.path, o.query})
	}
	return out
}
