package main

import (
	"testing"
	"time"
)

// A short run of the real thing: real processes, a real Postgres, real kills.
func TestNothingLostNothingTwice(t *testing.T) {
	o := options{calls: 3000, quota: 300, gateways: 2, controls: 2, workers: 1, kills: 3, crashes: 1, conns: 8,
		killEvery: 2 * time.Second, crashEvery: 6 * time.Second, partEvery: 5 * time.Second, outage: 500 * time.Millisecond, tradeEvery: 500 * time.Millisecond, disks: true, seed: 1}
	got, err := run(t.Context(), o, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.verdict(o); err != nil {
		t.Errorf("%v\n%s", err, got)
	}
	for _, i := range got.invariants(o) {
		t.Log(i)
	}
}
