// Command upstream answers every HTTP/1.1 request with the same small JSON
// document. It stands behind the proxies under test and shares a core with the
// load generator, so it must cost next to nothing; it must never be used where
// its peer is not trusted, as it enforces no time limits.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9000", "loopback address to listen at")
	size := flag.Int("bytes", 128, "size of the answer's body")
	flag.Parse()
	if *size < 8 {
		fmt.Fprintln(os.Stderr, "upstream: -bytes must be 8 or more, so that the body can be a JSON document")
		os.Exit(2)
	}
	if err := serve(*addr, `{"d":"`+strings.Repeat("x", *size-8)+`"}`); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}
