// Command upstream answers every HTTP/1.1 request with the same small JSON
// document, or a POST with another one. It stands behind the proxies under test and shares a core with the
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
	post := flag.String("post", "", "file of the document that a POST is answered with (default: the same as others)")
	flag.Parse()
	if *size < 8 {
		fmt.Fprintln(os.Stderr, "upstream: -bytes must be 8 or more, so that the body can be a JSON document")
		os.Exit(2)
	}
	body := `{"d":"` + strings.Repeat("x", *size-8) + `"}`
	posted := body
	if *post != "" {
		b, err := os.ReadFile(*post)
		if err != nil {
			fmt.Fprintln(os.Stderr, "upstream:", err)
			os.Exit(1)
		}
		posted = string(b)
	}
	if err := serve(*addr, body, posted); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}
