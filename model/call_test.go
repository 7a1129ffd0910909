package model

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func callEntry() CallEntry {
	return CallEntry{ID: [16]byte{1, 2}, Time: 5, Tenant: 1, Stage: 2, Method: 3, Key: 4, Subscription: 5, BytesIn: 6, BytesOut: 7, Latency: 8, Integration: 9,
		Status: 504, Flags: 3, Canary: true, Kind: "INTEGRATION_FAILURE", Step: "integration", Why: "nobody listens", Verb: []byte("GET"), Path: []byte("/a"),
		IP: "::1", Agent: []byte("curl"), Principal: "me", Trace: []byte("a\nb")}
}

func TestCallBatch(t *testing.T) {
	b := CallBatch{Boot: BootID{9}, Seq: 3, Left: []CallsLeft{{1, 2, 3, 4}}, Calls: []CallEntry{callEntry(), {Verb: []byte{}, Path: []byte{}, Agent: []byte{}, Trace: []byte{}}}}
	got, err := DecodeCallBatch(b.Encode(nil))
	if err != nil || !reflect.DeepEqual(*got, b) {
		t.Errorf("%v\n got %+v\nwant %+v", err, *got, b)
	}
	// Every text is cut to its bound.
	long := strings.Repeat("x", MaxCallTrace+1)
	e := CallEntry{Kind: long, Step: long, Why: long, Verb: []byte(long), Path: []byte(long), IP: long, Agent: []byte(long), Principal: long, Trace: []byte(long)}
	p := AppendCall(nil, &e)
	if len(p) > MaxCallEntry {
		t.Errorf("an entry of %d bytes; at most %d", len(p), MaxCallEntry)
	}
	cut, err := DecodeCallBatch((&CallBatch{}).Encode(nil, p))
	if err != nil || len(cut.Calls) != 1 || len(cut.Calls[0].Path) != MaxCallPath || len(cut.Calls[0].Trace) != MaxCallTrace {
		t.Errorf("%v, %d calls", err, len(cut.Calls))
	}
	for n := range b.Encode(nil) { // cut short, it is either refused or ends with a whole entry
		if half, err := DecodeCallBatch(b.Encode(nil)[:n]); err == nil && len(half.Calls) == 2 {
			t.Errorf("%d bytes are a whole batch", n)
		}
	}
}

func FuzzCallBatch(f *testing.F) {
	e := callEntry()
	f.Add((&CallBatch{Seq: 1, Left: []CallsLeft{{1, 2, 3, 4}}, Calls: []CallEntry{e}}).Encode(nil))
	f.Add([]byte("tgc1"))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := DecodeCallBatch(p)
		if err != nil {
			return
		}
		if !bytes.Equal(b.Encode(nil), p) {
			t.Error("a batch has two byte forms")
		}
	})
}
