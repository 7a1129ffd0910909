// The program makes calls of an API with signatures of the AWS SDK for Go: one in JSON
// a line on standard input, its answer in JSON a line on standard output.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

type call struct {
	Method, URL, Body string
	Presign           bool
}

type answer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func main() {
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		a, err := c.send()
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (c *call) send() (answer, error) {
	ctx := context.Background()
	r, err := http.NewRequestWithContext(ctx, c.Method, c.URL, strings.NewReader(c.Body))
	if err != nil {
		return answer{}, err
	}
	sum := sha256.Sum256([]byte(c.Body))
	hash := hex.EncodeToString(sum[:])
	key := aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}
	if c.Presign {
		url, header, err := v4.NewSigner().PresignHTTP(ctx, key, r, hash, "execute-api", os.Getenv("AWS_REGION"), time.Now())
		if err != nil {
			return answer{}, err
		}
		if r, err = http.NewRequestWithContext(ctx, c.Method, url, strings.NewReader(c.Body)); err != nil {
			return answer{}, err
		}
		for name, values := range header {
			r.Header[name] = values
		}
	} else if err := v4.NewSigner().SignHTTP(ctx, key, r, hash, "execute-api", os.Getenv("AWS_REGION"), time.Now()); err != nil {
		return answer{}, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(b)}, err
}
