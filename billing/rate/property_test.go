package rate_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/billing/rate"
	"tollgate/billing/rate/ratetest"
	"tollgate/model"
)

func drawn(t *rapid.T) ratetest.Random {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
}

// zones have daylight saving time, on either half of the globe, and odd offsets:
// what they call an instant changes nothing.
var zones = []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"}

// phase is a subscription of a customer, up to the next one.
type phase struct {
	sheet        model.PriceSheet
	since, until time.Time
}

// customer is one for 24 months, who changes plans on the way.
type customer struct {
	first  time.Time
	phases []phase
	days   []rate.Trial // what was used on each day from the first month's begin on
}

func drawCustomer(t *rapid.T) *customer {
	r := drawn(t)
	zone, err := time.LoadLocation(zones[r(len(zones))])
	if err != nil {
		t.Fatal(err)
	}
	// From a month before the last February 29 on.
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r(60*86400)) * time.Second)
	if r(3) == 0 {
		at = at.Truncate(24 * time.Hour)
	}
	c := &customer{first: at.In(zone)}
	for range 1 + r(4) {
		c.phases = append(c.phases, phase{sheet: ratetest.Sheet(r), since: at.In(zone)})
		at = at.Add(time.Duration(1+r(200*86400)) * time.Second)
	}
	for i := range c.phases[1:] {
		c.phases[i].until = c.phases[i+1].since
	}
	c.days = make([]rate.Trial, 24*31)
	use := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "use"), 1))
	for i := range c.days {
		if use.IntN(4) == 0 {
			c.days[i] = rate.Trial{Calls: use.Int64N(1000), BytesOut: use.Int64N(3000)}
		}
	}
	return c
}

// use is what a phase did in a month: the days that begin in it are its own.
func (c *customer) use(p *phase, month time.Time, known int) rate.Use {
	u := rate.Use{Month: month, First: c.first, Since: p.since, Until: p.until}
	trial := p.sheet.TrialEnd(c.first)
	for day, end := month, month.AddDate(0, 1, 0); day.Before(end); day = day.Add(24 * time.Hour) {
		i := int(day.Sub(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
		if i >= known || day.Before(p.since.Add(-24*time.Hour)) || !p.until.IsZero() && !day.Before(p.until) {
			continue
		}
		n := c.days[i]
		u.Calls, u.BytesOut = u.Calls+n.Calls, u.BytesOut+n.BytesOut
		if day.Before(trial) {
			u.Trial.Calls, u.Trial.BytesOut = u.Trial.Calls+n.Calls, u.Trial.BytesOut+n.BytesOut
		}
	}
	return u
}

// Over two years with changes of plan, late usage, trials, coupons and a leap day,
// every month comes to what the oracle says, to the minor unit: when all of it is
// known at once, and as the sum of an invoice and the differences to it.
func TestYearsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCustomer(t)
		late := rapid.IntRange(0, len(c.days)).Draw(t, "late from day")
		for i := range 24 {
			month := time.Date(2024, time.Month(1+i), 1, 0, 0, 0, 0, time.UTC)
			for n := range c.phases {
				p := &c.phases[n]
				if !p.since.Before(month.AddDate(0, 1, 0)) {
					continue
				}
				billed := map[string]int64{}
				for _, known := range []int{late, len(c.days)} { // an invoice, and the difference to it
					u := c.use(p, month, known)
					lines, err := rate.Lines(&p.sheet, u)
					if err != nil {
						t.Fatal(err)
					}
					for _, l := range lines {
						billed[l.Meter] += l.Amount - billed[l.Meter]
					}
					want := ratetest.Cost(&p.sheet, u, false)
					for _, l := range lines {
						if w, ok := want.Meters[l.Meter]; ok && w != l.Amount {
							t.Fatalf("%s of %s by %s costs %d, the oracle says %d; %+v", l.Meter, month.Format("2006-01"), text(&p.sheet), l.Amount, w, u)
						}
					}
					if got := rate.Total(lines); got != want.Total {
						t.Fatalf("%s by %s costs %d, the oracle says %d; %+v", month.Format("2006-01"), text(&p.sheet), got, want.Total, u)
					}
					if rate.Total(lines) < 0 {
						t.Fatalf("a month costs %d by %s", rate.Total(lines), text(&p.sheet))
					}
				}
				var sum int64
				for _, n := range billed {
					sum += n
				}
				if want := ratetest.Cost(&p.sheet, c.use(p, month, len(c.days)), false).Total; sum != want {
					t.Fatalf("invoice and difference come to %d, the oracle says %d", sum, want)
				}
			}
		}
	})
}

// The two oracles agree where both can be asked, and the quick one with the lines
// where units are many.
func TestManyUnitsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := ratetest.Sheet(drawn(t))
		u := rate.Use{Month: time.Date(2024, 2, 10, 0, 0, 0, 0, time.UTC), Calls: rapid.Int64Range(0, 3000).Draw(t, "calls"), BytesOut: rapid.Int64Range(0, 3000).Draw(t, "bytes")}
		if a, b := ratetest.Cost(&s, u, true), ratetest.Cost(&s, u, false); text(a) != text(b) {
			t.Fatalf("the oracles say %v and %v of %+v by %s", a, b, u, text(&s))
		}
		u.Calls, u.BytesOut = rapid.Int64Range(0, 1e12).Draw(t, "many calls"), rapid.Int64Range(0, 1e12).Draw(t, "many bytes")
		lines, err := rate.Lines(&s, u)
		if err != nil {
			t.Fatal(err)
		}
		if want := ratetest.Cost(&s, u, false); rate.Total(lines) != want.Total {
			t.Fatalf("%+v by %s costs %d, the oracle says %d", u, text(&s), rate.Total(lines), want.Total)
		}
		follow(t, lines)
	})
}

// follow checks that the steps of each line are of its units, one after the other,
// and come to its amount.
func follow(t *rapid.T, lines []rate.Line) {
	for _, l := range lines {
		if !model.Used(l.Meter) {
			continue
		}
		var next int64 = 1
		for _, s := range l.Steps {
			if s.Kind == model.StepFlat {
				if s.From != next {
					t.Fatalf("a flat amount is not where its tier begins: %+v", l.Steps)
				}
				continue
			}
			if s.From != next || s.To-s.From+1 != s.Quantity {
				t.Fatalf("the steps do not follow each other: %+v", l.Steps)
			}
			next = s.To + 1
		}
		if next-1 != l.Quantity {
			t.Fatalf("the steps have %d of %d units", next-1, l.Quantity)
		}
	}
}

// The same inputs make the same lines, byte for byte, and so do the sheet's own
// canonical form and what was stored of it.
func TestReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCustomer(t)
		p := &c.phases[0]
		month := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
		u := c.use(p, month, len(c.days))
		one, err := rate.Lines(&p.sheet, u)
		if err != nil {
			t.Fatal(err)
		}
		var stored model.PriceSheet
		if err := json.Unmarshal([]byte(text(p.sheet)), &stored); err != nil {
			t.Fatal(err)
		}
		u.First, u.Since, u.Until = u.First.UTC(), u.Since.UTC(), u.Until.UTC()
		again, err := rate.Lines(&stored, u)
		if err != nil || text(one) != text(again) {
			t.Fatalf("%s\nand then\n%s, %v", text(one), text(again), err)
		}
		canonical := stored.Canonical()
		if err := canonical.Validate(); err != nil {
			t.Fatal(err)
		}
		if third, err := rate.Lines(&canonical, u); err != nil || rate.Total(third) != rate.Total(one) {
			t.Fatalf("%s costs %d, its canonical form %s %d, %v", text(stored), rate.Total(one), text(canonical), rate.Total(third), err)
		}
	})
}

// A month that is split between two prices which are the same costs one fee, one
// minimum and one coupon, but for a minor unit of rounding at each split.
func TestSplitsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := model.PriceSheet{Currency: "USD", MonthlyFee: "29.99", Minimum: "50", Coupon: &model.Coupon{Amount: "10", Months: 1}}
		begin := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)
		first := begin.Add(time.Duration(rapid.IntRange(0, 20*86400).Draw(t, "first")) * time.Second)
		at := first
		whole, err := rate.Lines(&s, rate.Use{Month: begin, First: first, Since: first})
		if err != nil {
			t.Fatal(err)
		}
		var sum, parts int64
		for more := true; more; parts++ {
			u := rate.Use{Month: begin, First: first, Since: at}
			if more = rapid.Bool().Draw(t, "another"); more {
				at = at.Add(time.Duration(rapid.IntRange(0, 3*86400).Draw(t, "after")) * time.Second)
				u.Until = at
			}
			lines, err := rate.Lines(&s, u)
			if err != nil {
				t.Fatal(err)
			}
			sum += rate.Total(lines)
		}
		// Two roundings of each part: of its minimum and of its coupon.
		if d := sum - rate.Total(whole); d > parts || d < -parts {
			t.Fatalf("%d parts cost %d, the whole %d", parts, sum, rate.Total(whole))
		}
	})
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
