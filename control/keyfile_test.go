package control_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/control"
	"tollgate/model"
)

func TestParseKeys(t *testing.T) {
	t.Parallel()
	const value, value2 = "abcdef1234ghijklmnop8901234567", "zbcdef1234ghijklmnop8901234567"
	for _, c := range []struct {
		name, file string
		keys       []control.NewKey
		ignored    []string
		says       string
	}{
		{"AWS's example", "Name,key,description,Enabled,usageplanIds\nImportedKey1," + value + ",an imported key,TRUE,\"n371pt, abc123\"\n",
			[]control.NewKey{{Name: "ImportedKey1", Value: value, Enabled: true, PlanIDs: []string{"n371pt", "abc123"}, KeySpec: control.KeySpec{Description: "an imported key"}}}, []string{}, ""},
		{"other order, mark, no last newline", "\ufeffKEY,NAME\r\n" + value + ",a\r\n" + value2 + ",b",
			[]control.NewKey{{Name: "a", Value: value, Enabled: true}, {Name: "b", Value: value2, Enabled: true}}, []string{}, ""},
		{"an unknown column", "name,key,colour\na," + value + ",red\n", []control.NewKey{{Name: "a", Value: value, Enabled: true}}, []string{"colour"}, ""},
		{"disabled, empty description", "name,key,description,enabled\na," + value + ",,false\n",
			[]control.NewKey{{Name: "a", Value: value}}, []string{}, ""},
		{"empty", "", nil, nil, "no first line"},
		{"no key column", "name,value\na,b\n", nil, nil, "no column key"},
		{"short key", "name,key\nok," + value + "\na,short\n", nil, nil, "line 3"},
		{"no key", "name,key\na,\n", nil, nil, "line 2"},
		{"odd enabled", "name,key,enabled\na," + value + ",maybe\n", nil, nil, "line 2"},
		{"open quote", "name,key\n\"a," + value + "\n", nil, nil, "file of keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, ignored, err := control.ParseKeys([]byte(c.file))
			if c.says != "" {
				if model.KindOf(err) != model.Invalid || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want a refusal that says %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.keys, keys); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.ignored, ignored); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCommonPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plans string // of each key, with commas
		any   bool
		want  string
		ok    bool
	}{
		{",,", false, "", true}, {"p,p", false, "p", true}, {"p,q", false, "", false}, {"p,", false, "", false}, {"p,q", true, "q", true},
	} {
		var keys []control.NewKey
		for _, p := range strings.Split(c.plans, ",") {
			keys = append(keys, control.NewKey{PlanIDs: strings.Fields(p)})
		}
		got, err := control.CommonPlan(keys, c.any)
		if got != c.want || (err == nil) != c.ok || (err == nil && len(keys[0].PlanIDs) > 0) {
			t.Errorf("%q: %q, %v", c.plans, got, err)
		}
	}
}
