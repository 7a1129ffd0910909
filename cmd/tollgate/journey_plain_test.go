package main

import (
	"fmt"
	"testing"

	"tollgate/ui/browser"
)

// The same way without JavaScript, for both: all of it is links and forms. Where a
// page needs a script for what it is there for, the way stops here.
func TestJourneyWithoutScripts(t *testing.T) {
	chromium := browser.Start(t)
	j, upstream := setOut(t)
	j.plain = true
	ada, dev := chromium.Visitor(t, browser.NoJS), chromium.Visitor(t, browser.NoJS)
	api := j.begin(ada, upstream)
	if ada.Count("html.js") != 0 {
		t.Fatal("a script ran")
	}
	j.sell(ada, api, "Gold")
	portal := j.publish(ada, api)
	key := j.join(dev, portal)

	const calls = 12
	j.spend(api, key, calls)
	until(t, "both to see the usage", func() bool {
		ada.Goto(j.p.console + "/usage")
		dev.Goto(portal + "/usage")
		return ada.Says(fmt.Sprintf("%d billable", calls+1)) && stat(dev, "Calls") == fmt.Sprint(calls)
	})

	// Lists are narrowed, sorted and cleared by forms and links.
	ada.Choose("status", "4xx")
	ada.Click("Show")
	if stat(ada, "Calls") != "5" || !ada.Says("0 billable") {
		t.Errorf("the calls with a wrong key: %s", ada.Text("main"))
	}
	ada.Click("Clear")
	ada.Click("Key")
	if !ada.Says("Without a key") {
		t.Errorf("usage by key: %s", ada.Text("main"))
	}
	dev.Choose("status", "4xx")
	dev.Click("Show")
	if stat(dev, "Calls") != "0" {
		t.Errorf("a developer's usage has another's refused calls: %s", dev.Text("main"))
	}
	ada.Goto(j.p.console + "/keys")
	ada.Fill("q", "no such key")
	ada.Click("Find")
	if ada.Count("main tbody a") != 0 {
		t.Errorf("keys that are not looked for: %s", ada.Text("main"))
	}

	// Another plan of the same price: what was called is charged by the old one.
	j.sell(ada, api, "Silver")
	dev.Goto(portal + "/apps")
	dev.Click("Shop")
	dev.Click("Change plan")
	var silver string
	dev.Eval(`document.querySelector("input[name=plan]").value`, &silver)
	dev.Choose("plan", silver)
	dev.Choose("when", "now")
	dev.Click("See what changes")
	dev.Click("Change to Silver")
	if dev.Text("section h2") != "Silver" {
		t.Errorf("after the change of plan: %s", dev.Text("main"))
	}

	j.bill(ada, dev, portal, calls)
	j.tour(ada, j.p.console+"/overview", "console")
	j.tour(dev, portal+"/", "portal")
	j.leave(ada, dev)
	t.Logf("%d pages, %d problems", j.pages, j.problems)
}
