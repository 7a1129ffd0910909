package fake

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"time"
)

// The rules for meter events, Stripe's.
const (
	identifierLife = 24 * time.Hour // that an event's name is not taken again; Stripe says at least
	eventPast      = 35 * 24 * time.Hour
	eventFuture    = 5 * time.Minute
)

// meterLag is after how long summaries know of an event, in seconds: Stripe adds up by and by.
const meterLag = 60

// meterEvent is the type that events are kept under: at Stripe they have no id and cannot be
// read again.
const meterEvent = "_meter_event"

func createMeter(c *call) (object, *apiError) {
	name := str(c.p, "event_name")
	switch {
	case len(name) > 100:
		return nil, invalid("", "event_name", "Invalid string: %s; must be at most 100 characters", clip(name))
	case len(str(c.p, "display_name")) > 250:
		return nil, invalid("", "display_name", "Invalid string: %s; must be at most 250 characters", clip(str(c.p, "display_name")))
	case has(c.p, "customer_mapping") && str(sub(c.p, "customer_mapping"), "type") != "by_id":
		return nil, invalid("", "customer_mapping[type]", "Invalid customer_mapping[type]: must be by_id")
	case c.meterOf(name) != nil:
		return nil, invalid("", "event_name", "An active meter with event_name %s already exists.", clip(name))
	}
	o := c.create("billing.meter", "mtr")
	c.take(o, "display_name", "event_name", "event_time_window", "default_aggregation", "customer_mapping", "value_settings")
	o["updated"] = o["created"]
	c.acct.add(o)
	return o, nil
}

// meterOf is the active meter that an event's name belongs to.
func (c *call) meterOf(name string) object {
	for _, o := range c.acct.all("billing.meter", nil) {
		if str(o, "event_name") == name && str(o, "status") == "active" {
			return o
		}
	}
	return nil
}

func updateMeter(c *call) (object, *apiError) {
	o, err := c.find("billing.meter", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	c.take(o, "display_name")
	o["updated"] = c.now()
	return o, nil
}

// switchMeter lets a meter count, or not any more.
func switchMeter(active bool) func(*call) (object, *apiError) {
	return func(c *call) (object, *apiError) {
		o, err := c.find("billing.meter", c.id("id"), "")
		switch {
		case err != nil:
			return nil, err
		case active && str(o, "status") != "active" && c.meterOf(str(o, "event_name")) != nil:
			return nil, invalid("", "event_name", "An active meter with event_name %s already exists.", str(o, "event_name"))
		}
		o["status"], o["status_transitions"] = "inactive", object{"deactivated_at": c.now()}
		if active {
			o["status"], o["status_transitions"] = "active", object{"deactivated_at": nil}
		}
		o["updated"] = c.now()
		return o, nil
	}
}

// createMeterEvent takes what a customer used. An identifier is taken once a day.
func createMeterEvent(c *call) (object, *apiError) {
	name, payload := str(c.p, "event_name"), sub(c.p, "payload")
	m := c.meterOf(name)
	if m == nil {
		return nil, invalid("", "event_name", "There is no active meter with event_name %s.", clip(name))
	}
	key := str(sub(m, "customer_mapping"), "event_payload_key")
	customer := str(payload, key)
	if customer == "" {
		return nil, invalid("", "payload", "Customer mapping key %s not found in payload.", key)
	}
	if c.acct.get("customer", customer) == nil {
		return nil, missing("customer", customer, "payload["+key+"]")
	}
	key = str(sub(m, "value_settings"), "event_payload_key")
	value, whole := new(big.Int).SetString(str(payload, key), 10)
	if !whole && str(sub(m, "default_aggregation"), "formula") != "count" {
		return nil, invalid("", "payload["+key+"]", "The value of key %s in payload is not a whole number: %q", key, clip(str(payload, key)))
	}
	if whole && len(value.Text(10)) > 16 {
		return nil, invalid("", "payload["+key+"]", "The value of key %s in payload has more than 15 digits.", key)
	}
	at := c.now()
	if t, ok := c.p["timestamp"].(int64); ok {
		at = t
	}
	switch age := time.Duration(c.now()-at) * time.Second; {
	case age > eventPast:
		return nil, invalid("", "timestamp", "The timestamp must be within the past 35 calendar days.")
	case age < -eventFuture:
		return nil, invalid("", "timestamp", "The timestamp must not be more than 5 minutes in the future.")
	}
	identifier := str(c.p, "identifier")
	if identifier == "" {
		identifier = c.st.newID("mevt")
	}
	if len(identifier) > 100 {
		return nil, invalid("", "identifier", "Invalid string: %s; must be at most 100 characters", clip(identifier))
	}
	if old := c.acct.get(meterEvent, "_"+identifier); old != nil {
		if c.now()-num(old, "created") < int64(identifierLife/time.Second) {
			// Stripe gives no code with it.
			return nil, invalid("", "identifier", "An event already exists with identifier %s.", identifier)
		}
		// It goes on counting, under another id.
		c.acct.Objects[c.rename(old)] = old
	}
	o := blank("billing.meter_event")
	merge(o, object{"created": c.now(), "event_name": name, "identifier": identifier, "payload": payload, "timestamp": at})
	kept := clone(o).(object)
	c.st.Seq++
	merge(kept, object{"object": meterEvent, "id": "_" + identifier, "meter": id(m), "customer": customer, "value": str(payload, key), "order": c.st.Seq})
	c.acct.add(kept)
	return o, nil
}

// cancelMeterEvent takes an event back, within a day of its receipt: summaries leave it out.
func cancelMeterEvent(c *call) (object, *apiError) {
	name, identifier := str(c.p, "event_name"), str(sub(c.p, "cancel"), "identifier")
	if c.meterOf(name) == nil {
		return nil, invalid("", "event_name", "There is no active meter with event_name %s.", clip(name))
	}
	old := c.acct.get(meterEvent, "_"+identifier)
	switch {
	case old == nil || str(old, "event_name") != name:
		return nil, invalid("", "cancel[identifier]", "No event found with identifier %s.", clip(identifier))
	case c.now()-num(old, "created") >= int64(identifierLife/time.Second):
		return nil, invalid("", "cancel[identifier]", "Events can only be cancelled within 24 hours of Stripe receiving them.")
	case old["cancelled"] == true:
		return nil, invalid("", "cancel[identifier]", "The event with identifier %s is cancelled already.", clip(identifier))
	}
	old["cancelled"] = true
	o := blank("billing.meter_event_adjustment")
	merge(o, object{"cancel": object{"identifier": identifier}, "event_name": name, "status": "complete", "type": "cancel"})
	return o, nil
}

// rename gives an event whose identifier may be used again an id of its own.
func (c *call) rename(o object) string {
	fresh := c.st.newID("mevt")
	i := slices.Index(c.acct.Order[meterEvent], id(o))
	c.acct.Order[meterEvent][i] = fresh
	o["id"] = fresh
	return fresh
}

// listMeterSummaries adds up a customer's events of a meter, whole or by hours or days. With a
// time window, of the events of one window the one that was received last counts.
func listMeterSummaries(c *call) (object, *apiError) {
	m, err := c.find("billing.meter", c.id("id"), "")
	if err != nil {
		return nil, err
	}
	customer := str(c.p, "customer")
	if c.acct.get("customer", customer) == nil {
		return nil, missing("customer", customer, "customer")
	}
	from, to := num(c.p, "start_time"), num(c.p, "end_time")
	step, unit := int64(60), "minute"
	group := int64(0)
	switch str(c.p, "value_grouping_window") {
	case "hour":
		step, unit, group = 3600, "hour", 3600
	case "day":
		step, unit, group = 86400, "day", 86400
	}
	for name, t := range map[string]int64{"start_time": from, "end_time": to} {
		if t%step != 0 {
			return nil, invalid("", name, "%s must be aligned with %s boundaries.", name, unit)
		}
	}
	if from >= to {
		return nil, invalid("", "end_time", "end_time must be after start_time.")
	}
	window := map[string]int64{"hour": 3600, "day": 86400}[str(m, "event_time_window")]
	counted := map[int64]object{} // by window, or by order where each counts
	for _, o := range c.acct.all(meterEvent, func(o object) bool {
		return o["meter"] == id(m) && o["customer"] == customer && o["cancelled"] != true && num(o, "created") <= c.now()-meterLag
	}) {
		at := num(o, "order")
		if window > 0 {
			at = num(o, "timestamp") / window
		}
		if have := counted[at]; have == nil || num(have, "order") < num(o, "order") {
			counted[at] = o
		}
	}
	sums := map[int64]float64{} // by where a group begins
	for _, o := range counted {
		t := num(o, "timestamp")
		if t < from || t >= to {
			continue
		}
		begin := from
		if group > 0 {
			begin = t / group * group
		}
		value := 1.0
		if str(sub(m, "default_aggregation"), "formula") == "sum" {
			value, _ = strconv.ParseFloat(str(o, "value"), 64)
		}
		sums[begin] += value
	}
	if group == 0 && len(sums) == 0 {
		sums[from] = 0
	}
	out := make([]object, 0, len(sums))
	for begin, sum := range sums {
		end := to
		if group > 0 {
			end = begin + group
		}
		o := blank("billing.meter_event_summary")
		merge(o, object{"id": path("mtrusg_%s_%s_%d_%d", id(m), customer, begin, end), "aggregated_value": sum, "start_time": begin, "end_time": end, "meter": id(m)})
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b object) int { return cmp.Compare(num(b, "start_time"), num(a, "start_time")) })
	return c.page("/v1/billing/meters/"+id(m)+"/event_summaries", out)
}
