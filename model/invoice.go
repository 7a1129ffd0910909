package model

import (
	"strings"
	"time"
)

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
	Total       int64     `json:"total"` // with tax
	Tax         int64     `json:"tax,omitempty"`
	From        Party     `json:"from"`
	To          Party     `json:"to"`
	CreatedAt   time.Time `json:"createdAt"`
	FinalizedAt time.Time `json:"finalizedAt,omitzero"`
	// Awaits names nodes that have not handed in all usage of the month, where it is over
	// and this is a draft: at most five.
	Awaits []string `json:"awaits,omitempty"`
	// An adjustment is a difference below zero to what was invoiced of the month: it
	// is not paid, credit notes to those invoices stand for it.
	Adjustment bool `json:"adjustment,omitempty"`
	// A top-up is paid for prepaid credit. It has no tax: what the credit pays for has.
	TopUp bool `json:"topUp,omitempty"`
	Collection
}

// Collection is how a final invoice stands. Of a draft and of an adjustment it is
// empty.
type Collection struct {
	State     string    `json:"state,omitempty"` // one of the States
	DueAt     time.Time `json:"dueAt,omitzero"`
	Due       int64     `json:"due,omitempty"`  // the total less what was credited
	Paid      int64     `json:"paid,omitempty"` // less what was paid back
	By        string    `json:"by,omitempty"`   // who collects it: "hand" or "stripe"
	Attempts  int       `json:"attempts,omitempty"`
	LastError string    `json:"lastError,omitempty"`
	Disputed  int64     `json:"disputed,omitempty"` // of what was paid, what its payer disputes
}

// States of a final invoice.
const (
	StateOpen          = "open"
	StatePastDue       = "past_due"
	StatePaid          = "paid"
	StateVoid          = "void"
	StateUncollectible = "uncollectible"
)

// Open is what has to be paid still.
func (c *Collection) Open() int64 {
	if c.State == StateVoid {
		return 0
	}
	return max(c.Due-c.Paid, 0)
}

// Surplus is what was paid beyond what is due, and has to be paid back.
func (c *Collection) Surplus() int64 { return max(c.Paid-c.Due, 0) }

// InvoiceDetail is an invoice with its lines.
type InvoiceDetail struct {
	Invoice
	Lines    []InvoiceLine `json:"lines"`
	Taxes    []TaxLine     `json:"taxes,omitempty"`
	Payments []Payment     `json:"payments,omitempty"`
	Credits  []CreditNote  `json:"credits,omitempty"` // to it, or that stand for it
	Disputes []Dispute     `json:"disputes,omitempty"`
}

// Dispute is a payment that the holder of the card disputes at the bank.
type Dispute struct {
	ID       string    `json:"id"`
	Amount   int64     `json:"amount"`
	Reason   string    `json:"reason"`            // in Stripe's words
	State    string    `json:"state"`             // one of the DisputeStates
	AnswerBy time.Time `json:"answerBy,omitzero"` // at Stripe
	At       time.Time `json:"at"`
}

// States of a dispute.
const (
	DisputeOpen = "open"
	DisputeWon  = "won"
	DisputeLost = "lost" // the amount is paid back
)

// TaxLine is the tax of one rate on the sum of the lines.
type TaxLine struct {
	Name    string  `json:"name"`
	Percent Decimal `json:"percent"`
	Base    int64   `json:"base"`
	Amount  int64   `json:"amount"`
	Note    string  `json:"note,omitempty"` // why there is none
}

// Kinds of payments.
const (
	PaidByHand   = "hand" // a bank transfer, as somebody booked it
	PaidByStripe = "stripe"
	PaidByWallet = "wallet" // prepaid credit; below zero: given back to it
	PaidBack     = "refund"
	PayFailed    = "failed" // an attempt, of no amount
)

// Payment is money that came for an invoice, or that went back (below zero), or an
// attempt that failed.
type Payment struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Amount    int64     `json:"amount"`
	Reference string    `json:"reference"`
	Note      string    `json:"note,omitempty"`
	At        time.Time `json:"at"`
	By        string    `json:"by"`
}

// CreditNote takes an amount off an invoice.
type CreditNote struct {
	ID            string       `json:"id"`
	Number        string       `json:"number"`
	Kind          string       `json:"kind"` // "credit", "void", "refund" or "adjustment"
	InvoiceID     string       `json:"invoiceId"`
	InvoiceNumber string       `json:"invoiceNumber"`
	AdjustmentID  string       `json:"adjustmentId,omitempty"`
	Reason        string       `json:"reason"`
	Amount        int64        `json:"amount"` // with tax
	Tax           int64        `json:"tax"`
	Lines         []CreditLine `json:"lines"`
	By            string       `json:"by"`
	CreatedAt     time.Time    `json:"createdAt"`
}

// CreditLine is what a credit note takes off a line of its invoice.
type CreditLine struct {
	Line int   `json:"line"`
	Net  int64 `json:"net"`
	Tax  int64 `json:"tax"`
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
	MeterTopUp    = "top-up"        // prepaid credit
	MeterDomains  = "domain-months" // custom domains, each for a month begun
	meterCache    = "cache-hours-"  // of stages' caches, in front of the size: each for an hour begun
)

// MeterCache is the meter of caches of a size, one of CacheClusterSizes.
func MeterCache(size string) string { return meterCache + size }

// CacheOf is the size of the caches that a meter counts, in GB; empty: it counts others.
func CacheOf(meter string) string {
	size, _ := strings.CutPrefix(meter, meterCache)
	if size == meter {
		return ""
	}
	return size
}

// Used reports that a line's meter counts what was used.
func Used(meter string) bool { return Journaled(meter) || Held(meter) }

// Journaled reports that a meter counts calls, which are in the journals.
func Journaled(meter string) bool { return meter == MeterCalls || meter == MeterBytesOut }

// Held reports that a meter counts what a tenant has, by the time it has it.
func Held(meter string) bool { return meter == MeterDomains || CacheOf(meter) != "" }

// InvoiceLine is one amount and how it comes about.
type InvoiceLine struct {
	Line     int         `json:"line"`
	Meter    string      `json:"meter"`
	Title    string      `json:"title"`
	Quantity int64       `json:"quantity"`
	Steps    []PriceStep `json:"steps"`
	Exact    string      `json:"exact"`         // of the month so far, major units
	Invoiced int64       `json:"invoiced"`      // on earlier invoices of the month
	Amount   int64       `json:"amount"`        // without tax
	Tax      int64       `json:"tax,omitempty"` // its part of the invoice's
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

// InvoiceUse is what is behind a line of usage: its hours sum up to the line.
type InvoiceUse struct {
	Line         int           `json:"line"`
	Subscription uint64        `json:"-"` // 0: the line is of the whole account
	Hours        []InvoiceHour `json:"hours"`
}

// InvoiceHour is what was used in one hour, in units of the line's meter. A domain counts
// in the first hour of the month that it was there.
type InvoiceHour struct {
	Hour  time.Time `json:"hour"`
	What  string    `json:"what,omitempty"` // the cache's stage, or the domain; empty: calls and what they carry
	Units int64     `json:"units"`
}
