package model

import "time"

// Invoice is one, without its lines. Amounts are in minor units of Currency,
// which has Digits of them.
type Invoice struct {
	ID          string    `json:"id"`
	Seller      string    `json:"seller"`    // "tenant" or "operator"
	AccountID   string    `json:"accountId"` // of the tenant that sells or pays
	DeveloperID string    `json:"developerId,omitempty"`
	Number      string    `json:"number,omitempty"` // empty while it is a draft
	Final       bool      `json:"final"`
	Begin       time.Time `json:"begin"`
	End         time.Time `json:"end"`
	Currency    string    `json:"currency"`
	Digits      int       `json:"digits"`
	Total       int64     `json:"total"`
	From        Party     `json:"from"`
	To          Party     `json:"to"`
	CreatedAt   time.Time `json:"createdAt"`
	FinalizedAt time.Time `json:"finalizedAt,omitzero"`
}

// InvoiceDetail is an invoice with its lines.
type InvoiceDetail struct {
	Invoice
	Lines []InvoiceLine `json:"lines"`
}

// Meters of an invoice's lines: the fee, what was used, and what is added to their
// sum or taken off it.
const (
	MeterFee      = "fee"       // the monthly fee
	MeterCalls    = "calls"     // billable calls
	MeterBytesOut = "bytes-out" // bytes of the answers to billable calls
	MeterMinimum  = "minimum"   // what was missing to the minimum of the month
	MeterMaximum  = "maximum"   // what was beyond the maximum
	MeterDiscount = "discount"
	MeterCoupon   = "coupon"
)

// Used reports that a line's meter counts what was used.
func Used(meter string) bool { return meter == MeterCalls || meter == MeterBytesOut }

// InvoiceLine is one amount and how it comes about.
type InvoiceLine struct {
	Line     int         `json:"line"`
	Meter    string      `json:"meter"`
	Title    string      `json:"title"`
	Quantity int64       `json:"quantity"`
	Steps    []PriceStep `json:"steps"`
	Exact    string      `json:"exact"`    // of the month so far, major units
	Invoiced int64       `json:"invoiced"` // on earlier invoices of the month
	Amount   int64       `json:"amount"`
}

// PriceStep is a part of a line. Of a meter it is the units that one price is for,
// counted by their numbers in the month; a tier's flat amount, and the steps of
// lines that are no meter's, have no units.
type PriceStep struct {
	Kind     string  `json:"kind,omitempty"`     // empty: units at a price, or the fee
	From     int64   `json:"from"`               // first unit of the month it is for, counted from 1
	To       int64   `json:"to"`                 // the last one
	Quantity int64   `json:"quantity"`           // units
	Packages int64   `json:"packages,omitempty"` // of Per units, the last one begun
	Price    Decimal `json:"price"`              // of Per units; of the kinds below: the amount or the percentage of the sheet
	Per      int64   `json:"per"`                //
	Exact    string  `json:"exact"`              // major units, never negative
	Part     string  `json:"part,omitempty"`     // the share of the month, where it is not whole
}

// Kinds of steps.
const (
	StepTrial    = "trial"     // units of the trial
	StepFreeTier = "free-tier" // units of the free tier
	StepIncluded = "included"  // included units behind those of a trial or a free tier
	StepVolume   = "volume"    // all units, at the price of the tier they reach
	StepPackage  = "package"   // units in whole packages
	StepFlat     = "flat"      // what reaching a tier costs
	StepMinimum  = "minimum"   // what the month costs at least
	StepMaximum  = "maximum"   // what it costs at most
	StepSum      = "sum"       // the lines above
	StepPercent  = "percent"   // a percentage of the lines above
	StepOff      = "off"       // an amount off the lines above
)

// InvoiceHour is the billable calls behind a line in one hour.
type InvoiceHour struct {
	Hour  time.Time `json:"hour"`
	Calls int64     `json:"calls"`
}
