package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/model"
)

// priceFlags are a plan's price on the command line.
type priceFlags struct {
	sheet         string
	currency, fee string
	included      int64
	tiers         []string
	none          bool
}

var priceFlagNames = []string{"currency", "monthly-fee", "included", "tier"}

func (f *priceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.sheet, "price", "", "the whole price sheet as JSON, with what the flags below cannot say: volume, packages, minimum, discount and so on")
	cmd.Flags().StringVar(&f.currency, "currency", "", "of the price, such as EUR")
	cmd.Flags().StringVar(&f.fee, "monthly-fee", "", "charged for each subscription and month, such as 9.90")
	cmd.Flags().Int64Var(&f.included, "included", 0, "calls a month that the fee includes")
	cmd.Flags().StringArrayVar(&f.tiers, "tier", nil,
		"UPTO:PRICE or UPTO:PRICE/CALLS, what calls beyond the included ones cost up to a count of the month; "+
			"the last without UPTO, such as :0.002 or :3.50/1000000; repeated")
}

// apply changes what the flags say of a price; without any it stays as it is.
func (f *priceFlags) apply(cmd *cobra.Command, was *model.PriceSheet) (*model.PriceSheet, error) {
	if f.none {
		return nil, nil
	}
	given := cmd.Flags().Changed
	if given("price") {
		return f.whole(given)
	}
	some := false
	for _, name := range priceFlagNames {
		some = some || given(name)
	}
	if !some {
		return was, nil
	}
	var s model.PriceSheet
	if was != nil {
		s = was.Canonical()
	} else if f.currency == "" {
		return nil, model.Errorf(model.Invalid, "a price needs its --currency, such as EUR")
	}
	if given("currency") {
		s.Currency = strings.ToUpper(f.currency)
	}
	if given("monthly-fee") {
		s.MonthlyFee = model.Decimal(f.fee)
	}
	if given("included") {
		s.Included = f.included
	}
	if given("tier") {
		s.Tiers = nil
		for _, text := range f.tiers {
			t, err := parseTier(text)
			if err != nil {
				return nil, err
			}
			s.Tiers = append(s.Tiers, t)
		}
	}
	return &s, s.Validate()
}

// whole reads the sheet that is given as JSON.
func (f *priceFlags) whole(given func(string) bool) (*model.PriceSheet, error) {
	for _, name := range priceFlagNames {
		if given(name) {
			return nil, model.Errorf(model.Invalid, "--price is the whole price; leave out --%s", name)
		}
	}
	var s model.PriceSheet
	d := json.NewDecoder(strings.NewReader(f.sheet))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, model.Errorf(model.Invalid, "--price is not a price sheet such as {\"currency\":\"EUR\",\"monthlyFee\":\"9.90\"}: %v", err)
	}
	return &s, s.Validate()
}

// parseTier reads UPTO:PRICE/CALLS, of which UPTO and /CALLS may be left out.
func parseTier(text string) (model.PriceTier, error) {
	wrong := model.Errorf(model.Invalid, "--tier %q is not UPTO:PRICE such as 100000:0.002, nor :PRICE for the last", text)
	upTo, price, ok := strings.Cut(text, ":")
	if !ok {
		return model.PriceTier{}, wrong
	}
	var t model.PriceTier
	price, per, counted := strings.Cut(price, "/")
	t.Price = model.Decimal(price)
	var err error
	if upTo != "" {
		if t.UpTo, err = strconv.ParseInt(upTo, 10, 64); err != nil || t.UpTo <= 0 {
			return model.PriceTier{}, wrong
		}
	}
	if counted {
		if t.Per, err = strconv.ParseInt(per, 10, 64); err != nil || t.Per <= 0 {
			return model.PriceTier{}, wrong
		}
	}
	return t, nil
}

func planRepriceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reprice PLAN", Short: "Move every running subscription of a plan to its present price",
		Long: "Changing a plan's price is for new subscriptions; this brings the others to it, at once. Calls made before stay charged by the\n" +
			"price they were made under. Keys, limits and used quota go on unbroken.",
		Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			id, err := v.plan(args[0])
			if err != nil {
				return err
			}
			n, err := v.plane.MoveToCurrentPrice(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			return show(v.cmd, map[string]any{"planId": id, "moved": n}, func(w io.Writer) {
				fmt.Fprintf(w, "%d subscriptions of plan %s were moved to its present price\n", n, id)
			})
		}),
	}
}

// priceText is a price in a line, such as "9.9 EUR + 0.002 after 1000".
func priceText(s *model.PriceSheet) string {
	if s == nil {
		return ""
	}
	if s.Free() {
		return "0 " + s.Currency
	}
	var parts []string
	if !s.MonthlyFee.Zero() {
		parts = append(parts, string(s.MonthlyFee)+"/month")
	}
	var calls []string
	for _, t := range s.Tiers {
		c := string(t.Price)
		if t.Per > 1 {
			c += fmt.Sprintf("/%d", t.Per)
		}
		if t.UpTo > 0 {
			c += fmt.Sprintf(" up to %d", t.UpTo)
		}
		calls = append(calls, c)
	}
	if len(calls) > 0 {
		c := strings.Join(calls, ", ")
		if s.Included > 0 {
			c += fmt.Sprintf(" after %d", s.Included)
		}
		parts = append(parts, c)
	}
	if !s.Plain() {
		return s.Currency + " " + strings.Join(append(parts, "…"), " + ") // the rest is for JSON to say
	}
	return s.Currency + " " + strings.Join(parts, " + ")
}
