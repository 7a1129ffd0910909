package control

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"tollgate/model"
)

// ParseKeys reads Amazon API Gateway's key file, a CSV file. Columns are found by name,
// whatever their case and order; those with values that are not kept are named.
func ParseKeys(b []byte) (keys []NewKey, ignored []string, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = -1, true, true
	head, err := r.Read()
	if err != nil {
		return nil, nil, model.Errorf(model.Invalid, "the file of keys has no first line with Name,Key,…: %v", err)
	}
	names := append([]string(nil), head...)
	at, lost := map[string]int{}, map[int]bool{}
	for i, name := range names {
		at[strings.ToLower(strings.TrimSpace(name))] = i
	}
	for _, name := range []string{"name", "key"} {
		if _, ok := at[name]; !ok {
			return nil, nil, model.Errorf(model.Invalid, "the first line of the file of keys has no column %s: it needs Name,Key and may have Description,Enabled,UsagePlanIds", name)
		}
	}
	known := map[string]bool{"name": true, "key": true, "enabled": true, "usageplanids": true, "description": true}
	ignored = []string{}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return keys, ignored, nil
		}
		if err != nil {
			return nil, nil, model.Errorf(model.Invalid, "the file of keys: %v", err)
		}
		line, _ := r.FieldPos(0)
		get := func(name string) string {
			if i, ok := at[name]; ok && i < len(rec) {
				return strings.TrimSpace(rec[i])
			}
			return ""
		}
		k := NewKey{Name: get("name"), Value: get("key")}
		if k.Enabled, err = parseEnabled(get("enabled")); err != nil {
			return nil, nil, model.Errorf(model.Invalid, "line %d of the file of keys: %v", line, err)
		}
		if k.Value == "" {
			return nil, nil, model.Errorf(model.Invalid, "line %d of the file of keys has no key", line)
		}
		if err := model.CheckKeyValue(k.Value); err != nil {
			return nil, nil, model.Errorf(model.Invalid, "line %d of the file of keys: %v", line, err)
		}
		for _, id := range strings.FieldsFunc(get("usageplanids"), func(r rune) bool { return strings.ContainsRune(",;| ", r) }) {
			k.PlanIDs = append(k.PlanIDs, strings.Clone(id))
		}
		for i := range rec {
			if i < len(names) && !known[strings.ToLower(strings.TrimSpace(names[i]))] && rec[i] != "" && !lost[i] {
				lost[i] = true
				ignored = append(ignored, names[i])
			}
		}
		k.Name, k.Value, k.Description = strings.Clone(k.Name), strings.Clone(k.Value), strings.Clone(get("description"))
		keys = append(keys, k)
	}
}

// CommonPlan takes the plan that a file's keys are in out of them: an import
// subscribes all its keys to one. With any, keys in several are let pass, for a
// plan that was given goes before those of the file.
func CommonPlan(keys []NewKey, any bool) (string, error) {
	plan, in := "", 0
	for i := range keys {
		for _, id := range keys[i].PlanIDs {
			if plan != "" && id != plan && !any {
				return "", model.Errorf(model.Invalid, "the file puts keys into several plans (%s, %s): say which one all of them join, or import a file for each", plan, id)
			}
			plan = id
		}
		if len(keys[i].PlanIDs) > 0 {
			in++
		}
		keys[i].PlanIDs = nil
	}
	if in > 0 && in < len(keys) && !any {
		return "", model.Errorf(model.Invalid, "the file puts %d of its %d keys into plan %s: say which plan all of them join, or import a file for each", in, len(keys), plan)
	}
	return plan, nil
}

func parseEnabled(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "", "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("enabled is %q, not TRUE or FALSE", s)
}
