//go:build !race

package main

// The program that the longest tests start is built without the race detector:
// under it they would find nothing that they do not find otherwise.
const raceDetector = false
