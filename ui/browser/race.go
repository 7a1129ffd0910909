//go:build race

package browser

// Chromium under a program that runs several times slower is what fails first;
// the same pages are looked at without the race detector by make test.
const raced = true
