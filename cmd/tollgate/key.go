package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/model"
)

// maxKeyFile bounds a file of keys to import: about half a million.
const maxKeyFile = 64 << 20

func keyCommand() *cobra.Command {
	return tenantVerbs(&cobra.Command{Use: "key", Aliases: []string{"keys"}, Short: "API keys (also `keys`)"},
		keyCreateCommand(), keyImportCommand(), keyListCommand(), keyShowCommand(),
		keyEnableCommand("enable", "Enable a key; nodes follow within a second", true),
		keyEnableCommand("disable", "Disable a key; nodes follow within a second", false),
		keyMoveCommand(), keyDeleteCommand())
}

func keyCreateCommand() *cobra.Command {
	var n control.NewKey
	var disabled bool
	var plans []string
	cmd := &cobra.Command{
		Use: "create --name N", Short: "Make an API key; its value is shown once", Args: cobra.NoArgs,
		RunE: anywhere(func(v *verb, _ []string) error {
			n.Enabled = !disabled
			for _, ref := range plans {
				id, err := v.plan(ref)
				if err != nil {
					return err
				}
				n.PlanIDs = append(n.PlanIDs, id)
			}
			k, err := v.plane.CreateKey(v.ctx, v.actor, n)
			if err != nil {
				return err
			}
			return show(v.cmd, k, func(w io.Writer) {
				fmt.Fprintf(w, "key\t%s\nname\t%s\nenabled\t%s\nplans\t%s\nvalue\t%s\n", k.ID, cell(k.Name), cell(k.Enabled), cell(keyPlans(k.Plans)), k.Value)
			})
		}),
	}
	cmd.Flags().StringVar(&n.Name, "name", "", "name of the key")
	cmd.Flags().StringArrayVar(&plans, "plan", nil, "plan the key is subscribed to, by id or name; repeated")
	cmd.Flags().StringVar(&n.Value, "value", "", "a value of your own, 20 to 128 characters (default: minted)")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "make it disabled")
	cmd.Flags().BoolVar(&n.Test, "test", false, "mint a tg_test_ value")
	_ = cmd.MarkFlagRequired("name")
	return cmd
}

func keyImportCommand() *cobra.Command {
	var plan string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Import API keys from a CSV file as Amazon API Gateway's", Args: cobra.ExactArgs(1),
		Long: "Import API keys from a CSV file (- for standard input) whose first line names its columns, as Amazon API\nGateway's: Name and Key are needed; Description and Enabled (default TRUE) are read; UsagePlanIds may name\none plan, the same for all. All keys are taken or none.",
		RunE: asOwner(func(v *localVerb, args []string) error {
			var b []byte
			var err error
			if args[0] == "-" {
				b, err = readBounded(v.cmd.InOrStdin(), "standard input", maxKeyFile)
			} else {
				b, err = readFile(args[0], maxKeyFile)
			}
			if err != nil {
				return err
			}
			keys, ignored, err := control.ParseKeys(b)
			if err != nil {
				return err
			}
			id, err := control.CommonPlan(keys, plan != "")
			if err != nil {
				return err
			}
			if plan != "" {
				if id != "" {
					ignored = append(ignored, "UsagePlanIds")
				}
				id = plan
			}
			if id != "" {
				if id, err = v.plan(id); err != nil {
					return err
				}
			}
			count, err := v.plane.ImportKeys(v.ctx, v.actor, id, keys)
			if err != nil {
				return err
			}
			out := struct {
				Imported int      `json:"imported"`
				Ignored  []string `json:"ignoredColumns"`
			}{count, ignored}
			return show(v.cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "imported %d keys\n", count)
				if len(ignored) > 0 {
					fmt.Fprintf(w, "not kept: %s\n", cell(strings.Join(ignored, ", ")))
				}
			})
		}),
	}
	cmd.Flags().StringVar(&plan, "plan", "", "plan all keys are subscribed to, by id or name")
	return cmd
}

func keyListCommand() *cobra.Command {
	var plan, match string
	cmd := &cobra.Command{
		Use: "list", Short: "List API keys; values are not kept, only how they begin and end", Args: cobra.NoArgs,
		RunE: anywhere(func(v *verb, _ []string) error {
			id := ""
			if plan != "" {
				var err error
				if id, err = v.plan(plan); err != nil {
					return err
				}
			}
			l, err := all(func(p control.Page) (control.List[control.Key], error) {
				p.Match = match
				return v.plane.Keys(v.ctx, v.actor, control.KeyFilter{Page: p, PlanID: id})
			})
			if err != nil {
				return err
			}
			return showList(v.cmd, l, "no keys", []string{"KEY", "NAME", "VALUE", "ENABLED", "PLANS", "CREATED"}, func(k control.Key) []any {
				return []any{k.ID, k.Name, k.Prefix + "…" + k.Last4, k.Enabled, keyPlans(k.Plans), k.CreatedAt}
			})
		}),
	}
	cmd.Flags().StringVar(&plan, "plan", "", "only keys subscribed to this plan, by id or name")
	cmd.Flags().StringVar(&match, "match", "", "only keys whose name contains this, or whose value ends so")
	return cmd
}

func keyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show KEY", Short: "Show an API key, without its value", Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.key(args[0])
			if err != nil {
				return err
			}
			k, err := v.plane.Key(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			return show(v.cmd, k, func(w io.Writer) {
				fmt.Fprintf(w, "key\t%s\nname\t%s\nvalue\t%s\nenabled\t%s\nplans\t%s\ncreated\t%s\n",
					k.ID, cell(k.Name), cell(k.Prefix+"…"+k.Last4), cell(k.Enabled), cell(keyPlans(k.Plans)), cell(k.CreatedAt))
			})
		}),
	}
}

func keyPlans(l []control.KeyPlan) string {
	out := make([]string, len(l))
	for i, p := range l {
		out[i] = p.Plan
	}
	return strings.Join(out, ", ")
}

// key finds a key by its id, else by its unique name.
func (v *verb) key(ref string) (string, error) {
	k, err := v.plane.Key(v.ctx, v.actor, ref)
	if err == nil {
		return k.ID, nil
	}
	if model.KindOf(err) != model.NotFound {
		return "", err
	}
	l, err := all(func(p control.Page) (control.List[control.Key], error) {
		p.Match = ref
		return v.plane.Keys(v.ctx, v.actor, control.KeyFilter{Page: p})
	})
	if err != nil {
		return "", err
	}
	return pick("key", ref, l, func(k control.Key) (string, string) { return k.ID, k.Name })
}

func keyEnableCommand(name, short string, enabled bool) *cobra.Command {
	return &cobra.Command{
		Use: name + " KEY", Short: short, Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.key(args[0])
			if err != nil {
				return err
			}
			if err := v.plane.SetKeyEnabled(v.ctx, v.actor, id, enabled); err != nil {
				return err
			}
			k, err := v.plane.Key(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			return show(v.cmd, k, func(w io.Writer) { fmt.Fprintf(w, "%sd %s\n", name, id) })
		}),
	}
}

func keyMoveCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "move KEY --to PLAN", Short: "Move a key from one plan to another", Args: cobra.ExactArgs(1),
		RunE: asOwner(func(v *localVerb, args []string) error {
			id, err := v.key(args[0])
			if err != nil {
				return err
			}
			k, err := v.plane.Key(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			toID, err := v.plan(to)
			if err != nil {
				return err
			}
			var s control.Subscription
			switch {
			case from != "":
				fromID, err := v.plan(from)
				if err != nil {
					return err
				}
				s, err = v.plane.MoveKey(v.ctx, v.actor, id, fromID, toID)
				if err != nil {
					return err
				}
			case len(k.Plans) == 1:
				s, err = v.plane.MoveKey(v.ctx, v.actor, id, k.Plans[0].PlanID, toID)
			case len(k.Plans) == 0:
				s, err = v.plane.Subscribe(v.ctx, v.actor, id, toID)
			default:
				err = model.Errorf(model.Invalid, "the key is in %d plans (%s): say which one it leaves with --from", len(k.Plans), keyPlans(k.Plans))
			}
			if err != nil {
				return err
			}
			return show(v.cmd, s, func(w io.Writer) { fmt.Fprintf(w, "key %s is in plan %s now (subscription %d)\n", id, toID, s.ID) })
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "plan the key leaves, by id or name (default: the only one it is in)")
	cmd.Flags().StringVar(&to, "to", "", "plan the key joins, by id or name")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func keyDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete KEY", Short: "Delete a key", Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.key(args[0])
			if err != nil {
				return err
			}
			if err := v.plane.DeleteKey(v.ctx, v.actor, id); err != nil {
				return err
			}
			return show(v.cmd, map[string]string{"deleted": id}, func(w io.Writer) { fmt.Fprintln(w, "deleted", id) })
		}),
	}
}
