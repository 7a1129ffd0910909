package awsapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/awsapi"
	"tollgate/awsapi/sigv4"
)

// began is a call whose head was sent, and no more.
type began struct {
	*face
	net.Conn
	in *bufio.Reader
}

// begin sends the head of a call with a body of this length, and says that it waits to
// be asked for the body.
func (f *face) begin(key sigv4.Credentials, length int, hash string, at time.Time, header ...string) *began {
	f.Helper()
	req, err := http.NewRequest("POST", f.url+"/restapis", nil)
	f.must(err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	sigv4.SignHTTP(req, key, "us-east-1", "apigateway", hash, at)
	c, err := net.Dial("tcp", req.Host)
	f.must(err)
	f.Cleanup(func() { _ = c.Close() })
	f.must(c.SetDeadline(time.Now().Add(20 * time.Second)))
	_, err = fmt.Fprintf(c, "POST /restapis HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n", req.Host, length)
	f.must(err)
	f.must(req.Header.Write(c))
	_, err = io.WriteString(c, "\r\n")
	f.must(err)
	return &began{f, c, bufio.NewReader(c)}
}

func (b *began) want(status int, says string) {
	b.Helper()
	res, err := http.ReadResponse(b.in, nil)
	b.must(err)
	var body []byte
	if status != http.StatusContinue {
		body, err = io.ReadAll(res.Body)
		b.must(err)
	}
	if res.StatusCode != status || !strings.Contains(string(body), says) {
		b.Fatalf("%d %s, instead of %d %q", res.StatusCode, body, status, says)
	}
}

// No body is waited for whose signature can be told from the head to be worth nothing.
func TestProvedBeforeTheBody(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	document := `{"name": "Pets"}`
	hash := sigv4.HashBody([]byte(document))
	now := time.Now()
	forged := f.owner.key
	forged.Secret = strings.Repeat("x", 40)
	for _, said := range [][]string{nil, {"X-Amz-Content-Sha256", hash}} {
		f.begin(f.owner.key, 16<<20, hash, now.Add(-6*time.Minute), said...).want(403, "Signature expired")
		f.begin(f.owner.key, len(document), hash, now, said...).want(100, "")
	}
	f.begin(forged, 16<<20, hash, now, "X-Amz-Content-Sha256", hash).want(403, "does not match")
	f.begin(forged, 16<<20, "UNSIGNED-PAYLOAD", now, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD").want(403, "does not match")

	for body, status := range map[string]int{document: 201, `{"name": "Cats"}`: 403} { // of one length
		for _, said := range [][]string{nil, {"X-Amz-Content-Sha256", hash}} {
			c := f.begin(f.owner.key, len(body), hash, now, said...)
			c.want(100, "")
			_, err := io.WriteString(c, body)
			f.must(err)
			c.want(status, "")
		}
	}
}

// What is read for whoever names a key id stays bounded, and takes nothing from small
// calls, from those who prove themselves first, or from other accounts.
func TestRoomOfUnprovedBodies(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	eve := f.account("Eve")
	const large = 16 << 20
	hash, now := sigv4.HashBody(nil), time.Now()
	forged := f.owner.key
	forged.Secret = "guessed"
	held := []*began{f.begin(forged, large, hash, now), f.begin(forged, large, hash, now)}
	for _, c := range held {
		c.want(100, "")
	}
	f.begin(f.owner.key, 1<<20, hash, now).want(429, "too many large bodies")
	f.begin(f.owner.key, 1<<20, hash, now, "X-Amz-Content-Sha256", hash).want(100, "")
	f.begin(eve.key, large, hash, now).want(100, "")
	f.call("POST", "/restapis", map[string]any{"name": "Pets"}).want(201)
	for _, c := range held {
		f.must(c.Close())
	}
	padded := `{"name": "Pets"}` + strings.Repeat(" ", 1<<20)
	for deadline := time.Now().Add(time.Minute); ; { // the server hears of it in its time
		r := f.call("POST", "/restapis", padded)
		if r.Status == 201 {
			break
		}
		if r.want(429); time.Now().After(deadline) {
			t.Fatal("room is not given back")
		}
	}
}

// A body that stalls is answered, and its connection ends.
func TestLateBody(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	aws, err := awsapi.New(awsapi.Options{Plane: f.Plane})
	f.must(err)
	s := httptest.NewUnstartedServer(aws)
	s.Config.ReadTimeout = 2 * time.Second // the head must be there by then, on a busy machine, too
	s.Start()
	defer s.Close()
	f.url = s.URL
	c := f.begin(f.owner.key, 100, sigv4.HashBody(nil), time.Now())
	c.want(100, "")
	c.want(408, "did not arrive in time")
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is still open: %v", err)
	}
}
