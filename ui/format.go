package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Quantity writes a number with its digits in groups of three.
func Quantity[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Plural writes a number with its noun: "1 key", "3 keys".
func Plural[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Quantity(n) + " " + many
}

// Sentence is an error's text as a page shows it: errors begin in lower case.
func Sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// Bytes writes a size in binary units.
func Bytes(n int64) string {
	switch f := float64(n); {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", f/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", f/(1<<20))
	default:
		return fmt.Sprintf("%.1f GiB", f/(1<<30))
	}
}

// Millis writes a duration given in microseconds.
func Millis(micros int64) string {
	switch {
	case micros < 1000:
		return fmt.Sprintf("%d µs", micros)
	case micros < 100_000:
		return fmt.Sprintf("%.1f ms", float64(micros)/1000)
	default:
		return Quantity(micros/1000) + " ms"
	}
}

// Money writes an amount in minor units with its currency: "1,204.50 USD".
// digits is how many the minor unit has.
func Money(minor int64, currency string, digits int) string {
	sign := ""
	if minor < 0 {
		sign, minor = "−", -minor
	}
	s := strconv.FormatInt(minor, 10)
	for len(s) <= digits {
		s = "0" + s
	}
	whole, part := s[:len(s)-digits], s[len(s)-digits:]
	n, _ := strconv.ParseInt(whole, 10, 64)
	out := sign + Quantity(n)
	if digits > 0 {
		out += "." + part
	}
	return out + " " + currency
}

// Ago writes how long before now t was, in one unit.
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + span(-d)
	case d < 5*time.Second:
		return "just now"
	default:
		return span(d) + " ago"
	}
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return Plural(int(d/time.Second), "second", "seconds")
	case d < time.Hour:
		return Plural(int(d/time.Minute), "minute", "minutes")
	case d < 48*time.Hour:
		return Plural(int(d/time.Hour), "hour", "hours")
	default:
		return Plural(int(d/(24*time.Hour)), "day", "days")
	}
}

// Stamp writes a time absolutely, in UTC.
func Stamp(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

// Date writes a day, in UTC.
func Date(t time.Time) string { return t.UTC().Format("2 Jan 2006") }
