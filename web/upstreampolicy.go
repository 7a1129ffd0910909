package web

import (
	"slices"
	"strconv"
	"strings"

	"tollgate/model"
	"tollgate/ui"
)

// policyFields are an integration's upstream policy as it is edited. What an empty field
// stands for is its placeholder.
type policyFields struct {
	Retry, Repeat, Break, HTTP2          bool
	Attempts, PerTry, OnStatus           string
	Consecutive, Ratio, MinCalls, OpenMS string
}

func (f *policyFields) set() bool { return f.Retry || f.Break || f.HTTP2 }

// numberOr is a number as a field has it: empty where it is not set.
func numberOr(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (f *policyFields) show(u *model.UpstreamPolicy) {
	if u == nil {
		return
	}
	f.HTTP2 = u.HTTP2
	if r := u.Retries; r != nil {
		f.Retry, f.Repeat, f.Attempts, f.PerTry = true, r.NonIdempotent, numberOr(r.Attempts), numberOr(r.PerTryMillis)
		var on []string
		for _, s := range r.OnStatus {
			on = append(on, strconv.Itoa(s))
		}
		f.OnStatus = strings.Join(on, ", ")
	}
	if b := u.Breaker; b != nil {
		f.Break, f.Consecutive, f.MinCalls, f.OpenMS = true, numberOr(b.Consecutive), numberOr(b.MinCalls), numberOr(b.OpenMillis)
		if b.Ratio > 0 {
			f.Ratio = strconv.FormatFloat(b.Ratio*100, 'f', -1, 64)
		}
	}
}

func (f *policyFields) read(v *visit) {
	f.Retry, f.Repeat, f.Break, f.HTTP2 = v.checked("retry"), v.checked("repeat"), v.checked("breaker"), v.checked("http2")
	f.Attempts, f.PerTry, f.OnStatus = v.value("attempts"), v.value("per-try"), v.value("on-status")
	f.Consecutive, f.Ratio, f.MinCalls, f.OpenMS = v.value("consecutive"), v.value("ratio"), v.value("min-calls"), v.value("open")
}

// policy is what the fields say; nil: nothing. What a policy cannot be, model says.
func (f *policyFields) policy(p *problems) *model.UpstreamPolicy {
	if !f.set() {
		return nil
	}
	number := func(field, value string, empty int) int {
		if value == "" {
			return empty
		}
		n, err := strconv.Atoi(strings.ReplaceAll(value, ",", ""))
		if err != nil {
			p.say(field, "%q is not a whole number", value)
		}
		return n
	}
	check := func(field string, u model.UpstreamPolicy) {
		if err := u.Validate(); err != nil && p.at(field) == "" {
			p.add(field, err)
		}
	}
	out := &model.UpstreamPolicy{HTTP2: f.HTTP2}
	if f.Retry {
		r := &model.Retries{Attempts: number("attempts", f.Attempts, 2), PerTryMillis: number("per-try", f.PerTry, 0), NonIdempotent: f.Repeat}
		check("attempts", model.UpstreamPolicy{Retries: &model.Retries{Attempts: r.Attempts}})
		check("per-try", model.UpstreamPolicy{Retries: &model.Retries{Attempts: 2, PerTryMillis: r.PerTryMillis}})
		for _, s := range listed(f.OnStatus) {
			if n := number("on-status", s, 0); !slices.Contains(r.OnStatus, n) {
				r.OnStatus = append(r.OnStatus, n)
			}
		}
		check("on-status", model.UpstreamPolicy{Retries: &model.Retries{Attempts: 2, OnStatus: r.OnStatus}})
		out.Retries = r
	}
	if f.Break {
		b := &model.Breaker{Consecutive: number("consecutive", f.Consecutive, 0), MinCalls: number("min-calls", f.MinCalls, 0), OpenMillis: number("open", f.OpenMS, 0)}
		if f.Ratio != "" {
			percent, err := strconv.ParseFloat(f.Ratio, 64)
			if err != nil {
				p.say("ratio", "%q is not a share in percent", f.Ratio)
			}
			b.Ratio = percent / 100
		}
		check("ratio", model.UpstreamPolicy{Breaker: &model.Breaker{Consecutive: 1, Ratio: b.Ratio}})
		check("open", model.UpstreamPolicy{Breaker: &model.Breaker{Consecutive: 1, OpenMillis: b.OpenMillis}})
		check("min-calls", model.UpstreamPolicy{Breaker: &model.Breaker{Consecutive: 1, MinCalls: b.MinCalls}})
		if p.at("ratio") == "" {
			check("consecutive", model.UpstreamPolicy{Breaker: &model.Breaker{Consecutive: b.Consecutive, Ratio: b.Ratio}})
		}
		out.Breaker = b
	}
	return out
}

// policyText is a policy in words, a line for each part.
func policyText(u *model.UpstreamPolicy) (out []string) {
	if r := u.Retries; r != nil {
		out = append(out, "asked up to "+ui.Plural(r.Attempts, "time", "times"))
	}
	if b := u.Breaker; b != nil {
		var when []string
		if b.Consecutive > 0 {
			when = append(when, ui.Plural(b.Consecutive, "failure", "failures")+" in a row")
		}
		if b.Ratio > 0 {
			when = append(when, strconv.FormatFloat(b.Ratio*100, 'f', -1, 64)+" % of calls failed")
		}
		out = append(out, "circuit breaker: "+strings.Join(when, ", or "))
	}
	if u.HTTP2 {
		out = append(out, "HTTP/2")
	}
	return out
}
