// Package rig sets the stage for the benchmark and the fault run: it builds the
// programs, starts them as processes of their own (pinned to a core where that
// matters), sets an installation of Tollgate up through its command line, and
// reads from /proc what a process has cost.
//
// It never measures or judges anything itself, and nothing it started outlives
// it: children are killed with the process that started them.
package rig
