package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"tollgate/model"
)

// BenchmarkOrder is a whole call with a body of 1 KB, answered with as much: passed on,
// mapped both ways, and validated. Client and upstream are in it, the same for all.
func BenchmarkOrder(b *testing.B) {
	text := func(path string) string {
		t, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		return string(t)
	}
	document, template := text("../bench/velocity/order/document.json"), text("../bench/velocity/order/template.vm")
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, document)
	}))
	var dialled atomic.Int64
	up.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}
	up.Start()
	b.Cleanup(up.Close)
	r := newRig(b)
	st := r.content("d1", up.Listener.Addr().String(), "POST /plain", "POST /mapped", "POST /valid")
	r.p.mu.Lock()
	d := &r.p.deployments["d1"].Definition
	d.Models = []model.Schema{{ID: "m1", Name: "Order", ContentType: "application/json", Schema: text("../bench/compare/steps/schema.json")}}
	d.RequestValidators = []model.RequestValidator{{ID: "all", Body: true, Parameters: true}}
	edit := func(path string, f func(*model.Method)) {
		m := *d.Method(path, "POST")
		f(&m)
		if err := d.SetMethod(path, "POST", m); err != nil {
			b.Fatal(err)
		}
	}
	edit("/mapped", func(m *model.Method) {
		m.Integration.Type, m.Integration.HTTPMethod = model.IntegrationHTTP, "POST"
		m.Integration.RequestTemplates = map[string]string{"application/json": template}
		m.Integration.Responses = map[string]model.IntegrationResponse{"default": {StatusCode: "200", ResponseTemplates: m.Integration.RequestTemplates}}
	})
	edit("/valid", func(m *model.Method) {
		m.RequestValidatorID, m.RequestModels = "all", map[string]string{"application/json": "Order"}
	})
	r.p.mu.Unlock()
	r.p.tell(b, model.Changes{Tenants: []model.TenantConfig{{Num: tenantNum, AccountID: "123456789012", Caps: model.Caps{Rate: 1e9, Burst: 1e9}}}, Stages: []model.StageConfig{st}})
	for _, path := range []string{"/plain", "/mapped", "/valid"} {
		b.Run(path[1:], func(b *testing.B) {
			conn, err := net.Dial("tcp", r.g.Addr())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			req := "POST /_aws/execute-api/abc/prod" + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(document)) + "\r\n\r\n" + document
			rd := bufio.NewReader(conn)
			b.ReportAllocs()
			before := dialled.Load()
			for b.Loop() {
				if _, err := io.WriteString(conn, req); err != nil {
					b.Fatal(err)
				}
				res, err := http.ReadResponse(rd, nil)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 || n < 1000 {
					b.Fatalf("%d, %d bytes, %v", res.StatusCode, n, err)
				}
			}
			b.ReportMetric(float64(dialled.Load()-before)/float64(b.N), "dials/op")
		})
	}
}
