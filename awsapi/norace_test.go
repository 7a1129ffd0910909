//go:build !race

package awsapi_test

const raceDetector = false
