package money

import (
	"time"

	"tollgate/model"
	"tollgate/ui"
)

// Change is a change of plan as it is shown before it is made.
type Change struct {
	From, To           string // plans
	Price              *model.PriceSheet
	At                 time.Time
	Later              bool // at the end of the month
	WholeFee           bool
	QuotaCarried       bool
	OldQuota, NewQuota *model.Quota
	Before, After      []model.InvoiceDetail // of the month that At is in
}

func (c *Change) month() string { return c.At.UTC().Format("January 2006") }

// facts are what the change does besides the amounts.
func (c *Change) facts() (out [][2]string) {
	when := "At once, as of " + ui.Stamp(c.At)
	fee := "Charged up to then; the fee of " + c.To + " from then on, both by the second"
	switch {
	case c.Later:
		when = ui.Stamp(c.At) + "; until then it can be taken back"
		fee = "As ever to the end of the month, then that of " + c.To
	case c.WholeFee:
		fee = "Charged for the whole of " + c.month() + ", and not paid back; that of " + c.To + " from now on"
	}
	quota := "None"
	switch {
	case c.QuotaCarried:
		quota = ui.QuotaText(c.NewQuota) + "; what is used of " + ui.QuotaText(c.OldQuota) + " counts on"
	case c.NewQuota != nil:
		quota = ui.QuotaText(c.NewQuota) + ", unused"
	}
	return [][2]string{
		{"New price", ui.PriceText(c.Price)},
		{"Takes effect", when},
		{"Fee of " + c.From, fee},
		{"Calls", "Those made before stay charged by " + c.From + "; " + c.To + " begins with all that it includes"},
		{"Quota", quota},
		{"Keys", "Stay, and go on without a gap"},
	}
}

// owed is what invoices come to, one text for each currency.
func owed(l []model.InvoiceDetail) string {
	if len(l) == 0 {
		return "nothing"
	}
	out := ""
	for i := range l {
		if i > 0 {
			out += " and "
		}
		out += Total(&l[i].Invoice)
	}
	return out
}
