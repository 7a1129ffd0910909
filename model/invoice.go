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

// Meters of an invoice's lines.
const (
	MeterFee   = "fee"   // the monthly fee
	MeterCalls = "calls" // billable calls
)

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

// PriceStep is the part of a line that one price is for.
type PriceStep struct {
	From     int64   `json:"from"`           // first call of the month it is for, counted from 1
	To       int64   `json:"to"`             // the last one
	Quantity int64   `json:"quantity"`       // calls
	Price    Decimal `json:"price"`          // of Per calls
	Per      int64   `json:"per"`            //
	Exact    string  `json:"exact"`          // major units
	Part     string  `json:"part,omitempty"` // of a fee: the share of the month, where it is not whole
}

// InvoiceHour is the billable calls behind a line in one hour.
type InvoiceHour struct {
	Hour  time.Time `json:"hour"`
	Calls int64     `json:"calls"`
}
