package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"tollgate/model"
)

// squeeze codes a body as clients do.
func squeeze(t testing.TB, coding, body string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	default:
		w, _ = flate.NewWriter(&b, 5)
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func expand(t testing.TB, coding string, body []byte) string {
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Answers are compressed from a size up, and requests decoded, where the API asks for it.
func TestCompression(t *testing.T) {
	up := mirror(t)
	r := newRig(t)
	integrations := map[string]string{
		"ANY /proxy":  `{"type": "HTTP_PROXY", "httpMethod": "ANY", "uri": "` + up.URL + `/"}`,
		"POST /over":  `{"type": "HTTP_PROXY", "httpMethod": "POST", "uri": "` + up.URL + `/", "requestParameters": {"integration.request.header.X-Name": "method.request.body.name"}}`,
		"POST /mock":  `{"type": "MOCK", "requestTemplates": {"application/json": "#set($context.requestOverride.path.body = $input.body){\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "$context.requestOverride.path.body$input.params('Content-Encoding')"}}}}`,
		"GET /fixed":  `{"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}, "integrationResponses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "` + strings.Repeat("x", 200) + `"}}}}`,
		"GET /stream": `{"type": "HTTP_PROXY", "httpMethod": "GET", "responseTransferMode": "STREAM", "uri": "` + up.URL + `/"}`,
	}
	r.integrate(nil, integrations)
	if _, h, _ := r.send("GET", "/proxy", "", "Accept-Encoding", "gzip"); h.Get("Content-Encoding") != "" {
		t.Error("compressed without having been asked for")
	}
	least := 100
	r.p.mu.Lock()
	compressed := *r.p.deployments["d1"]
	compressed.ID, compressed.Definition.MinimumCompressionSize = "d2", &least
	r.p.deployments["d2"] = &compressed
	r.p.mu.Unlock()
	r.p.tell(t, model.Changes{Stages: []model.StageConfig{{Num: 70, Tenant: tenantNum, APIID: "abc", Stage: "prod", DeploymentID: "d2"}}})
	long := `{"name": "` + strings.Repeat("ann", 200) + `"}`
	for _, c := range []struct{ verb, path, accept, want string }{
		{"GET", "/proxy", "gzip", "gzip"}, {"GET", "/proxy", "br, deflate;q=0.5, gzip", "deflate"}, {"GET", "/proxy", "gzip;q=0, deflate", "deflate"}, {"GET", "/proxy", "br", ""}, {"GET", "/proxy", "*", "gzip"},
		{"GET", "/fixed", "gzip", "gzip"}, {"GET", "/stream", "gzip", ""}, {"POST", "/mock", "deflate", "deflate"},
	} {
		body := ""
		if c.verb == "POST" {
			body = long
		}
		status, h, got := r.send(c.verb, c.path, body, "Accept-Encoding", c.accept, "Content-Type", "application/json")
		if status != 200 || h.Get("Content-Encoding") != c.want || (h.Get("Vary") != "") != (c.want != "") {
			t.Errorf("%s %s: %d %v", c.path, c.accept, status, h)
			continue
		}
		if plain := expand(t, c.want, []byte(got)); len(plain) < least || c.path == "/mock" && plain != long {
			t.Errorf("%s: %.200s", c.path, plain)
		}
	}
	if _, h, body := r.send("POST", "/mock", `{"a": 1}`, "Accept-Encoding", "gzip", "Content-Type", "application/json"); h.Get("Content-Encoding") != "" || body != `{"a": 1}` {
		t.Errorf("a small answer: %v %s", h, body)
	}
	for _, coding := range []string{"gzip", "deflate", "raw"} {
		name := strings.Replace(coding, "raw", "deflate", 1)
		in := string(squeeze(t, coding, `{"name": "ann"}`))
		if _, _, body := r.send("POST", "/mock", in, "Content-Encoding", name, "Content-Type", "application/json", "Accept-Encoding", "identity"); body != `{"name": "ann"}` {
			t.Errorf("%s: %s", coding, body)
		}
		for _, path := range []string{"/over", "/proxy"} {
			got := r.told("POST", path, in, "Content-Encoding", name, "Accept-Encoding", "identity")
			if got.Body != `{"name": "ann"}` || got.Header.Get("Content-Encoding") != "" || path == "/over" && got.Header.Get("X-Name") != "ann" {
				t.Errorf("%s: %+v", coding, got)
			}
		}
	}
	if got := r.told("POST", "/proxy", "as it is", "Content-Encoding", "br", "Accept-Encoding", "identity"); got.Body != "as it is" || got.Header.Get("Content-Encoding") != "br" {
		t.Errorf("%+v", got)
	}
	bomb := string(squeeze(t, "gzip", strings.Repeat("\x00", 64<<20)))
	cut := string(squeeze(t, "gzip", long))
	for body, want := range map[string]int{bomb: 413, cut[:len(cut)-9]: 400, "nothing": 400, "": 200} {
		for _, path := range []string{"/mock", "/proxy"} {
			if status, _, _ := r.send("POST", path, body, "Content-Encoding", "gzip", "Content-Type", "application/json", "Accept-Encoding", "identity"); status != want {
				t.Errorf("%d bytes to %s: %d, not %d", len(body), path, status, want)
			}
		}
	}
	res, err := http.Head(r.base + "/_aws/execute-api/abc/prod/proxy")
	if err != nil || res.StatusCode != 200 {
		t.Error(res, err)
	}
	until(t, "nothing to be held", func() bool { return r.g.reg.tenants[tenantNum].buffered.Held() == 0 })
}

func FuzzContentCoding(f *testing.F) {
	f.Add([]byte("gzip;q=0, *"), []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0})
	f.Add([]byte("deflate"), []byte{0x78, 0x9c, 1})
	f.Fuzz(func(t *testing.T, list, body []byte) {
		coding := codingOf(list)
		if coding == "" || len(body) == 0 {
			return
		}
		if packed := pack(coding, body); expand(t, coding, packed) != string(body) {
			t.Error("what was packed is not what comes out")
		}
	})
}
