package http1

import (
	"fmt"
	"os"
	"testing"
)

// loopsInTests says whether the servers of the tests have event loops.
var loopsInTests bool

// Everything is tested twice: with event loops and with goroutines alone.
func TestMain(m *testing.M) {
	for _, loopsInTests = range []bool{true, false} {
		if code := m.Run(); code != 0 {
			fmt.Println("event loops:", loopsInTests)
			os.Exit(code)
		}
	}
}
