package web

import (
	"fmt"
	"slices"
	"strconv"

	"tollgate/model"
	"tollgate/ui"
)

// priceForm is the editor of a price sheet, as it was typed.
type priceForm struct {
	Currency, Fee           string
	Metered                 [2]meterForm // calls, and data out
	Minimum, Maximum        string
	Discount                string
	CouponOff, CouponKind   string
	CouponMonths, TrialDays string
	Held                    []heldField // what tenants have by the hour or the month; nil: a plan has none

	Problems []ui.Problem
	Calls    string    // of a month, to see what a customer pays
	Data     string    // out in that month, in gigabytes
	Pays     []paysRow // what customers pay, by how much they call
	samples  []int64   // the numbers of calls it is shown for; empty: a plan's
	PaysNote string    // why that is not shown
}

// meterForm is the price of one meter.
type meterForm struct {
	prefix                string // of its fields' names
	Unit                  string // bytes that numbers are counted in; empty: calls
	Included, Model       string
	FreeUnits, FreeMonths string
	Tiers                 []tierRow
}

// tierRow is one tier of a price, as typed.
type tierRow struct{ UpTo, Price, Per, Flat string }

func (r tierRow) blank() bool { return r.UpTo == "" && r.Price == "" && r.Flat == "" }

// spareTiers are blank rows below those that are filled in, so that tiers can be
// added without JavaScript.
const spareTiers = 2

// perOptions are what a price can be for.
var perOptions = []ui.Option{{Value: "1", Label: "per call"}, {Value: "1000", Label: "per 1,000 calls"}, {Value: "1000000", Label: "per million calls"}}

var bytesPerOptions = []ui.Option{{Value: "1000000000", Label: "per GB"}, {Value: "1073741824", Label: "per GiB"}}

func (m *meterForm) perOptions(r tierRow) []ui.Option {
	options, unit := perOptions, "calls"
	if m.bytes() {
		options, unit = bytesPerOptions, "bytes"
	}
	if r.Per == "" || slices.ContainsFunc(options, func(o ui.Option) bool { return o.Value == r.Per }) {
		return options
	}
	label := "per " + r.Per + " " + unit
	if n, err := strconv.ParseInt(r.Per, 10, 64); err == nil {
		label = "per " + ui.Quantity(n) + " " + unit
	}
	return append([]ui.Option{{Value: r.Per, Label: label}}, options...)
}

// unitOptions are what numbers of bytes are counted in.
var unitOptions = []ui.Option{{Value: "1000000000", Label: "GB, a billion bytes"}, {Value: "1073741824", Label: "GiB, 1,073,741,824 bytes"}, {Value: "1", Label: "bytes"}}

// modelOptions are what tiers mean.
var modelOptions = []ui.Option{{Value: model.Graduated, Label: "Graduated: each at its own tier's price"}, {Value: model.Volume, Label: "Volume: all at the price of the tier reached"},
	{Value: model.Package, Label: "Packages: each begun one is charged whole"}}

// couponOptions are what a coupon takes off.
var couponOptions = []ui.Option{{Value: "amount", Label: "of the currency, each month"}, {Value: "percent", Label: "percent"}}

func (m *meterForm) bytes() bool { return m.prefix != "" }

func (m *meterForm) unitWord() string {
	switch m.Unit {
	case "":
		return "calls"
	case "1000000000":
		return "GB"
	case "1073741824":
		return "GiB"
	}
	return "bytes"
}

// used reports that something of the meter is filled in.
func (m *meterForm) used() bool {
	return m.Included != "" || m.FreeUnits != "" || len(slices.DeleteFunc(slices.Clone(m.Tiers), tierRow.blank)) > 0
}

// whole reports that something is set for the month as a whole.
func (f *priceForm) whole() bool {
	return f.Minimum != "" || f.Maximum != "" || f.Discount != "" || f.CouponOff != "" || f.TrialDays != ""
}

// currencyOptions begin with what makes a plan free.
func currencyOptions() []ui.Option {
	out := []ui.Option{{Value: "", Label: "Free of charge"}}
	for _, c := range model.Currencies() {
		out = append(out, ui.Option{Value: c, Label: c})
	}
	return out
}

// emptyPrice is the editor of no price.
func emptyPrice() priceForm {
	return priceForm{CouponKind: "amount", Metered: [2]meterForm{{Model: model.Graduated}, {prefix: "b-", Unit: unitOptions[0].Value, Model: model.Graduated}}}
}

// priced fills in a price.
func (f *priceForm) priced(s *model.PriceSheet) {
	f.Currency, f.Fee = s.Currency, string(s.MonthlyFee)
	f.Minimum, f.Maximum, f.Discount = string(s.Minimum), string(s.Maximum), string(s.Discount)
	if c := s.Coupon; c != nil {
		f.CouponOff, f.CouponKind, f.CouponMonths = string(c.Amount), "amount", strconv.Itoa(c.Months)
		if c.Percent != "" {
			f.CouponOff, f.CouponKind = string(c.Percent), "percent"
		}
	}
	if s.TrialDays > 0 {
		f.TrialDays = strconv.Itoa(s.TrialDays)
	}
	for _, p := range s.Metered() {
		if model.Held(p.Meter) {
			for i := range f.Held {
				if f.Held[i].meter == p.Meter && len(p.Tiers) > 0 {
					f.Held[i].Price = string(p.Tiers[0].Price)
				}
			}
			continue
		}
		m := &f.Metered[0]
		if p.Meter == model.MeterBytesOut {
			m = &f.Metered[1]
		}
		m.priced(&p)
	}
}

func (m *meterForm) priced(p *model.MeterPrice) {
	counts := []int64{p.Included}
	if p.FreeTier != nil {
		counts = append(counts, p.FreeTier.Units)
	}
	for _, t := range p.Tiers {
		counts = append(counts, t.UpTo)
	}
	unit := int64(1)
	if m.bytes() {
		// The largest in which every number is whole.
		for _, o := range unitOptions {
			n, _ := strconv.ParseInt(o.Value, 10, 64)
			if !slices.ContainsFunc(counts, func(c int64) bool { return c%n != 0 }) {
				m.Unit, unit = o.Value, n
				break
			}
		}
	}
	if p.Included > 0 {
		m.Included = ui.Quantity(p.Included / unit)
	}
	if f := p.FreeTier; f != nil {
		m.FreeUnits, m.FreeMonths = ui.Quantity(f.Units/unit), strconv.Itoa(f.Months)
	}
	if m.Model = p.Model; m.Model == "" {
		m.Model = model.Graduated
	}
	for _, t := range p.Tiers {
		row := tierRow{Price: string(t.Price), Per: strconv.FormatInt(max(t.Per, 1), 10), Flat: string(t.Flat)}
		if t.UpTo > 0 {
			row.UpTo = ui.Quantity(t.UpTo / unit)
		}
		m.Tiers = append(m.Tiers, row)
	}
}

func (f *priceForm) spare() {
	for i := range f.Metered {
		m := &f.Metered[i]
		m.Tiers = slices.DeleteFunc(m.Tiers, tierRow.blank)
		for range min(spareTiers-i, model.MaxTiers-len(m.Tiers)) {
			m.Tiers = append(m.Tiers, tierRow{})
		}
	}
}

// readPrice is the editor of a price as it was sent.
func (v *visit) readPrice() priceForm {
	f := emptyPrice()
	f.Currency, f.Fee, f.Calls, f.Data = v.value("currency"), v.value("fee"), v.value("calls"), v.value("data")
	f.Minimum, f.Maximum, f.Discount = v.value("minimum"), v.value("maximum"), v.value("discount")
	f.CouponOff, f.CouponKind, f.CouponMonths, f.TrialDays = v.value("coupon"), v.value("couponkind"), v.value("couponmonths"), v.value("trial")
	for i := range f.Metered {
		m := &f.Metered[i]
		if m.bytes() {
			m.Unit = v.value("b-unit")
		}
		m.Included, m.Model = v.value(m.prefix+"included"), v.value(m.prefix+"model")
		m.FreeUnits, m.FreeMonths = v.value(m.prefix+"free"), v.value(m.prefix+"freemonths")
		m.Tiers = v.tiers(m.prefix)
	}
	return f
}

// tiers are those of the form that was sent, without blank rows.
func (v *visit) tiers(prefix string) (out []tierRow) {
	for i := 0; i < model.MaxTiers && v.r.PostForm.Has(fmt.Sprintf("%sprice%d", prefix, i)); i++ {
		n := strconv.Itoa(i)
		out = append(out, tierRow{UpTo: v.value(prefix + "upto" + n), Price: v.value(prefix + "price" + n), Per: v.value(prefix + "per" + n), Flat: v.value(prefix + "flat" + n)})
	}
	return slices.DeleteFunc(out, tierRow.blank)
}

func (f *priceForm) wrong(name, format string, a ...any) {
	f.Problems = append(f.Problems, ui.Problem{Name: name, Text: fmt.Sprintf(format, a...)})
}

// refused notes why something of a field was refused, if it was.
func (f *priceForm) refused(name string, err error) {
	if err != nil {
		f.wrong(name, "%s", sentence(model.MessageOf(err)))
	}
}

// at is what is wrong with a field.
func (f *priceForm) at(name string) string {
	for _, p := range f.Problems {
		if p.Name == name {
			return p.Text
		}
	}
	return ""
}

// wrongIn reports that something is wrong with one of some fields.
func (f *priceForm) wrongIn(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return f.at(n) != "" })
}

// price is the sheet that the form describes; nil where it is free of charge or
// something is wrong with it.
func (f *priceForm) price() *model.PriceSheet {
	if f.Currency == "" {
		if f.Fee != "" || f.Metered[0].used() || f.Metered[1].used() || f.whole() {
			f.wrong("currency", "A price needs a currency; choose one, or empty the fields below")
		}
		return nil
	}
	before := len(f.Problems)
	s := &model.PriceSheet{Currency: f.Currency, MonthlyFee: model.Decimal(f.Fee),
		Minimum: model.Decimal(f.Minimum), Maximum: model.Decimal(f.Maximum), Discount: model.Decimal(f.Discount)}
	if _, ok := model.MinorDigits(f.Currency); !ok {
		f.wrong("currency", "%q is not a currency that can be charged", f.Currency)
	}
	f.refused("fee", s.MonthlyFee.Validate())
	f.refused("minimum", s.Minimum.Validate())
	f.refused("maximum", s.Maximum.Validate())
	f.refused("discount", (&model.PriceSheet{Currency: "USD", Discount: s.Discount}).Validate())
	s.Coupon = f.coupon()
	s.TrialDays = int(f.count("trial", f.TrialDays, 1, "days"))
	calls := f.meter(&f.Metered[0], model.MeterCalls)
	s.Included, s.FreeTier, s.Model, s.Tiers = calls.Included, calls.FreeTier, calls.Model, calls.Tiers
	if m := &f.Metered[1]; m.used() {
		s.Meters = []model.MeterPrice{f.meter(m, model.MeterBytesOut)}
	}
	for _, h := range f.Held {
		if h.Price != "" {
			f.refused(h.Name, model.Decimal(h.Price).Validate())
			s.Meters = append(s.Meters, model.MeterPrice{Meter: h.meter, Tiers: []model.PriceTier{{Price: model.Decimal(h.Price)}}})
		}
	}
	if len(f.Problems) > before {
		return nil
	}
	if err := s.Validate(); err != nil {
		f.refused(f.culprit(s), err)
		return nil
	}
	return s
}

// culprit is the field behind what is wrong with a sheet whose fields are each in
// order.
func (f *priceForm) culprit(s *model.PriceSheet) string {
	for _, p := range s.Metered() {
		prefix := ""
		if p.Meter == model.MeterBytesOut {
			prefix = f.Metered[1].prefix
		}
		n := len(p.Tiers)
		if n > 0 && p.Tiers[n-1].UpTo != 0 {
			return fmt.Sprintf("%supto%d", prefix, n-1)
		}
		for i := 1; i < n; i++ {
			if p.Tiers[i].UpTo != 0 && p.Tiers[i].UpTo <= p.Tiers[i-1].UpTo {
				return fmt.Sprintf("%supto%d", prefix, i)
			}
		}
	}
	if t := *s; t.Minimum != "" {
		if t.Minimum = ""; t.Validate() == nil {
			return "minimum"
		}
	}
	return ""
}

func (f *priceForm) coupon() *model.Coupon {
	if f.CouponOff == "" {
		return nil
	}
	c := &model.Coupon{Amount: model.Decimal(f.CouponOff), Months: 1}
	if f.CouponKind == "percent" {
		c.Amount, c.Percent = "", model.Decimal(f.CouponOff)
	}
	f.refused("coupon", (&model.PriceSheet{Currency: "USD", Coupon: c}).Validate())
	if f.CouponMonths != "" {
		if c.Months = int(f.count("couponmonths", f.CouponMonths, 1, "months")); c.Months > 0 {
			f.refused("couponmonths", (&model.PriceSheet{Currency: "USD", Coupon: &model.Coupon{Amount: "1", Months: c.Months}}).Validate())
		}
	}
	return c
}

// count is a whole number that was typed, of so many units each; empty is 0.
func (f *priceForm) count(name, typed string, unit int64, what string) int64 {
	if typed == "" {
		return 0
	}
	n, err := strconv.ParseInt(ungroup(typed), 10, 64)
	if err != nil || n < 0 {
		f.wrong(name, "%q is not a number of %s", typed, what)
		return 0
	}
	if n > model.MaxSheetCalls/unit {
		f.wrong(name, "%q is more %s than can be priced", typed, what)
		return 0
	}
	return n * unit
}

func (f *priceForm) meter(m *meterForm, name string) model.MeterPrice {
	unit, per := int64(1), int64(0)
	if m.bytes() {
		per = model.Gigabyte
		var err error
		if unit, err = strconv.ParseInt(m.Unit, 10, 64); err != nil || unit < 1 || unit > model.MaxTierPerByte {
			f.wrong("b-unit", "Choose what data is counted in")
			unit = 1
		}
	}
	p := model.MeterPrice{Meter: name, Included: f.count(m.prefix+"included", m.Included, unit, m.unitWord())}
	if m.Model != model.Graduated {
		p.Model = m.Model
	}
	if m.FreeUnits != "" {
		p.FreeTier = &model.FreeTier{Units: f.count(m.prefix+"free", m.FreeUnits, unit, m.unitWord()), Months: 12}
		if m.FreeMonths != "" {
			p.FreeTier.Months = int(f.count(m.prefix+"freemonths", m.FreeMonths, 1, "months"))
		}
	}
	for i, row := range slices.DeleteFunc(slices.Clone(m.Tiers), tierRow.blank) {
		p.Tiers = append(p.Tiers, f.tier(m, i, row, unit, per))
	}
	return p
}

func (f *priceForm) tier(m *meterForm, i int, row tierRow, unit, per int64) model.PriceTier {
	field := func(name string) string { return fmt.Sprintf("%s%s%d", m.prefix, name, i) }
	t := model.PriceTier{Price: model.Decimal(row.Price), Per: per, Flat: model.Decimal(row.Flat)}
	if row.Price == "" {
		if row.Flat == "" {
			f.wrong(field("price"), "Tier %d has no price; write 0 if its %s are free", i+1, m.unitWord())
		}
		t.Price = "0"
	}
	f.refused(field("price"), t.Price.Validate())
	f.refused(field("flat"), t.Flat.Validate())
	if row.UpTo != "" {
		before := len(f.Problems)
		if t.UpTo = f.count(field("upto"), row.UpTo, unit, m.unitWord()); t.UpTo == 0 && len(f.Problems) == before {
			f.wrong(field("upto"), "%q is not a number of %s; leave it out in the last tier", row.UpTo, m.unitWord())
		}
	}
	if row.Per != "" && (row.Per != "1" || m.bytes()) {
		var err error
		if t.Per, err = strconv.ParseInt(row.Per, 10, 64); err != nil {
			f.wrong(field("per"), "%q is not a number of %s", row.Per, model.Units(model.MeterCalls, 2))
		}
	}
	return t
}

// heldField is the price of what a tenant has by the hour or the month.
type heldField struct{ meter, Name, Label, Unit, Price string }

// heldPriced reports that something of that costs something, or is wrong.
func (f *priceForm) heldPriced() bool {
	return slices.ContainsFunc(f.Held, func(h heldField) bool { return h.Price != "" || f.at(h.Name) != "" })
}

// heldFields are the prices of caches and domains; a nil read leaves them empty.
func heldFields(read func(string) string) []heldField {
	out := []heldField{{meter: model.MeterDomains, Name: "domain", Label: "Custom domain", Unit: "a month"}}
	for i, size := range model.CacheClusterSizes {
		out = append(out, heldField{meter: model.MeterCache(size), Name: "cache" + strconv.Itoa(i), Label: "Cache of " + size + " GB", Unit: "an hour"})
	}
	for i := range out {
		if read != nil {
			out[i].Price = read(out[i].Name)
		}
	}
	return out
}
