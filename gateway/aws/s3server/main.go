// The program is an S3 that verifies signatures as MinIO does, for tests: rclone's, in
// memory, with one bucket. It is a module of its own: the product does not depend on it.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: s3server ADDRESS BUCKET ACCESS-KEY-ID SECRET")
	}
	backend := s3mem.New()
	if err := backend.CreateBucket(context.Background(), os.Args[2]); err != nil {
		log.Fatal(err)
	}
	s := gofakes3.New(backend, gofakes3.WithV4Auth(map[string]string{os.Args[3]: os.Args[4]}))
	log.Fatal(http.ListenAndServe(os.Args[1], s.Server()))
}
