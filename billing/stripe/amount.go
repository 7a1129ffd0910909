package stripe

import (
	"math/big"
	"strings"

	"tollgate/model"
)

// ParseFee reads a percentage with at most four places, such as "2.5", as a share.
// Empty is none.
func ParseFee(percent string) (*big.Rat, error) {
	if percent == "" {
		return new(big.Rat), nil
	}
	share, ok := new(big.Rat), model.Decimal(percent).Validate() == nil
	if _, places, _ := strings.Cut(percent, "."); ok && len(places) <= 4 {
		share, ok = share.SetString(percent)
	} else {
		ok = false
	}
	if !ok || share.Cmp(big.NewRat(100, 1)) > 0 {
		return nil, model.Errorf(model.Invalid, "%q is not a percentage from 0 to 100 with at most four places, such as 2.5", percent)
	}
	return share.Quo(share, big.NewRat(100, 1)), nil
}

// shareOf is a share of an amount, cut to whole minor units: the tenant is favoured.
func shareOf(share *big.Rat, minor int64) int64 {
	if minor <= 0 {
		return 0
	}
	x := new(big.Rat).Mul(share, new(big.Rat).SetInt64(minor))
	return new(big.Int).Quo(x.Num(), x.Denom()).Int64()
}

// feeOf is the operator's share of an amount at Stripe, cut to what Stripe takes of the
// currency.
func feeOf(share *big.Rat, currency string, amount int64) int64 {
	fee := shareOf(share, amount)
	return fee - fee%grain(currency)
}

// feeShare is the part of a fee that goes back when so much of the whole did.
func feeShare(fee, back, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return shareOf(big.NewRat(back, whole), fee)
}

// hundredfold are currencies without minor units that Stripe counts in hundredths.
var hundredfold = map[string]bool{"ISK": true}

// tenths are currencies with three digits of which Stripe takes two.
var tenths = map[string]bool{"KWD": true, "BHD": true, "OMR": true, "JOD": true, "TND": true}

// grain is what every amount of a currency is a multiple of at Stripe.
func grain(currency string) int64 {
	switch {
	case hundredfold[currency]:
		return 100
	case tenths[currency]:
		return 10
	}
	return 1
}

// toStripe is an amount of ours, in minor units, as Stripe counts it.
func toStripe(currency string, minor int64) (int64, error) {
	switch {
	case hundredfold[currency]:
		return minor * 100, nil
	case tenths[currency] && minor%10 != 0:
		return 0, model.Errorf(model.Invalid, "Stripe charges %s in hundredths only: this amount has thousandths, and is to be paid by bank transfer", currency)
	}
	return minor, nil
}

// fromStripe is the way back; exact says that it came out even.
func fromStripe(currency string, amount int64) (minor int64, exact bool) {
	currency = strings.ToUpper(currency)
	if hundredfold[currency] {
		return amount / 100, amount%100 == 0
	}
	return amount, true
}

// minimum is the least that Stripe charges, in our minor units: less would be put
// into the customer's balance there, and be nobody's payment.
// https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
func minimum(currency string) int64 {
	if m, ok := minima[currency]; ok {
		return m
	}
	return 50
}

var minima = map[string]int64{
	"AED": 200, "BGN": 100, "CZK": 1500, "DKK": 250, "GBP": 30, "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200,
	"NOK": 300, "PLN": 200, "RON": 200, "SEK": 300, "THB": 1000,
	// Where Stripe names none, what half a dollar is worth and somewhat more.
	"KRW": 1000, "CLP": 700, "VND": 20000, "ISK": 100, "IDR": 1_500_000, "PHP": 5000, "TRY": 3000, "ZAR": 1500, "ILS": 300, "CNY": 500, "SAR": 300,
	"KWD": 300, "BHD": 300, "OMR": 300, "JOD": 500, "TND": 2000,
}
