package rate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/billing/rate"
	"tollgate/model"
)

// Amazon's published prices as sheets, with use and what it comes to: worked
// examples of its own and figures made by hand from the published tiers.
func TestAmazonSheets(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no sheets", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var g struct {
			Source string           `json:"source"`
			Sheet  model.PriceSheet `json:"sheet"`
			Cases  []struct {
				Name     string           `json:"name"`
				Calls    int64            `json:"calls"`
				BytesOut int64            `json:"bytesOut"`
				Held     map[string]int64 `json:"held"`  // units, by meter
				Month    int              `json:"month"` // of the customer; 0: long after
				Want     map[string]int64 `json:"want"`  // minor units, by meter; what is not named comes to nothing
			} `json:"cases"`
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&g); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, c := range g.Cases {
			u := rate.Use{Month: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Calls: c.Calls, BytesOut: c.BytesOut}
			for meter, n := range c.Held {
				if u.Held == nil {
					u.Held = map[string]rate.Held{}
				}
				u.Held[meter] = rate.Held{Units: n}
			}
			if c.Month > 0 {
				u.First = u.Month.AddDate(0, 1-c.Month, 0)
			}
			lines, err := rate.Lines(&g.Sheet, u)
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.Name, err)
				continue
			}
			got := map[string]int64{}
			for _, l := range lines {
				if _, named := c.Want[l.Meter]; named || l.Amount != 0 {
					got[l.Meter] = l.Amount
				}
			}
			if text(got) != text(c.Want) {
				t.Errorf("%s, %s: %s, want %s", name, c.Name, text(got), text(c.Want))
			}
		}
	}
}
