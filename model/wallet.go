package model

import "time"

// Wallet is prepaid credit of somebody who pays, in one currency. Amounts are in minor
// units of Currency, which has Digits of them.
type Wallet struct {
	ID       string `json:"id"`
	Currency string `json:"currency"`
	Digits   int    `json:"digits"`
	Balance  int64  `json:"balance"`
	// Owed is what went back of a payment after the credit it brought was used. What is
	// put in fills it first: where something is owed, the balance is nothing.
	Owed   int64         `json:"owed,omitempty"`
	Refill Refill        `json:"refill,omitzero"`
	Grants []CreditGrant `json:"grants"` // with something left, in the order in which they are used
}

// Refill says that a wallet is topped up by itself: by an amount when less than Below is
// left. The zero value says that it is not.
type Refill struct {
	Below int64 `json:"below"`
	By    int64 `json:"by"`
}

// Kinds of grants.
const (
	CreditPaid    = "paid"    // by a top-up
	CreditGranted = "granted" // by hand
)

// CreditGrant is what was put into a wallet at once. Grants are used in the order of
// their priority, the least first; of equals the one that expires first, then what was
// granted before what was paid, then the older.
type CreditGrant struct {
	ID            string    `json:"id"`
	Kind          string    `json:"kind"`
	Amount        int64     `json:"amount"`
	Remaining     int64     `json:"remaining"`
	Priority      int       `json:"priority"`
	ExpiresAt     time.Time `json:"expiresAt,omitzero"` // zero: it does not
	InvoiceID     string    `json:"invoiceId,omitempty"`
	InvoiceNumber string    `json:"invoiceNumber,omitempty"`
	Reason        string    `json:"reason,omitempty"`
	By            string    `json:"by"`
	CreatedAt     time.Time `json:"createdAt"`
}

// Kinds of what happens to a wallet.
const (
	WalletTopUp    = "top-up"    // a payment came
	WalletTakeBack = "take-back" // a payment went back
	WalletGrant    = "grant"
	WalletRevoke   = "revoke"
	WalletSpend    = "spend"     // it paid an invoice
	WalletGiveBack = "give-back" // of an invoice that is owed no more
	WalletExpire   = "expire"
)

// DefaultPriority is that of a grant of which nothing else is said, and of top-ups.
const DefaultPriority = 50

// WalletChange is something that happened to a wallet.
type WalletChange struct {
	ID            int64     `json:"id"`
	Kind          string    `json:"kind"`
	Credit        int64     `json:"credit"` // what the balance changed by
	Owed          int64     `json:"owed"`   // what is owed changed by
	Note          string    `json:"note,omitempty"`
	InvoiceID     string    `json:"invoiceId,omitempty"` // that brought it, or was paid
	InvoiceNumber string    `json:"invoiceNumber,omitempty"`
	By            string    `json:"by"`
	At            time.Time `json:"at"`
}

// CustomerCoupon takes a percentage or an amount off a customer's months.
type CustomerCoupon struct {
	ID          string    `json:"id"`
	Code        string    `json:"code"`
	Percent     Decimal   `json:"percent,omitempty"` // or
	Amount      Decimal   `json:"amount,omitempty"`  // of Currency, each month
	Currency    string    `json:"currency,omitempty"`
	Months      int       `json:"months"` // from the one in which it is entered; 0: for ever
	PlanID      string    `json:"planId,omitempty"`
	Plan        string    `json:"plan,omitempty"` // its name
	Most        int       `json:"most"`           // customers; 0: as many as there are
	Used        int       `json:"used"`
	ExpiresAt   time.Time `json:"expiresAt,omitzero"` // it is not entered from then on
	WithdrawnAt time.Time `json:"withdrawnAt,omitzero"`
	CreatedBy   string    `json:"createdBy"`
	CreatedAt   time.Time `json:"createdAt"`
}

// CouponUse is a coupon that a customer has.
type CouponUse struct {
	ID       string    `json:"id"`
	Code     string    `json:"code"`
	Percent  Decimal   `json:"percent,omitempty"`
	Amount   Decimal   `json:"amount,omitempty"`
	Currency string    `json:"currency,omitempty"`
	PlanID   string    `json:"planId,omitempty"`
	Plan     string    `json:"plan,omitempty"`
	From     time.Time `json:"from"`           // its first month
	Until    time.Time `json:"until,omitzero"` // the first month that it is not for; zero: for ever
	By       string    `json:"by"`
	UsedAt   time.Time `json:"usedAt"`
}
