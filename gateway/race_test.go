//go:build race

package gateway

// Under the race detector sync.Pool throws things away at random.
const raceDetector = true
