package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/control"
	"tollgate/gateway"
	"tollgate/model"
)

func apiCommand() *cobra.Command {
	return tenantVerbs(&cobra.Command{Use: "api", Short: "APIs: import, look at, compare, deploy, export, delete, write clients of"},
		apiImportCommand(), apiListCommand(), apiShowCommand(), apiDeployCommand(), apiDiffCommand(), apiExportCommand(), apiSDKCommand(), apiDeleteCommand())
}

func apiImportCommand() *cobra.Command {
	var in control.ImportAPI
	cmd := &cobra.Command{
		Use: "import FILE|URL", Short: "Import an OpenAPI 3 or Swagger 2 document as an API", Args: cobra.ExactArgs(1),
		Example: "  tollgate import openapi.yaml\n  tollgate import https://example.com/openapi.json --name Pets --require-key\n  tollgate import openapi.yaml --api Pets",
		Long: "Import an OpenAPI 3.0, 3.1 or Swagger 2.0 document, JSON or YAML, from a file, a URL, or - for standard input.\n" +
			"What cannot be represented is listed with its place in the document.",
		RunE: anywhere(func(v *verb, args []string) error {
			if in.Merge && in.APIID == "" {
				return model.Errorf(model.Invalid, "--merge needs --api: the API that the document is joined with")
			}
			var err error
			in.SourceName = args[0]
			if isURL(args[0]) {
				in.BaseURL = args[0]
			}
			if in.Source, err = readSource(v.ctx, v.cmd.InOrStdin(), args[0]); err != nil {
				return err
			}
			if in.APIID != "" {
				if in.APIID, err = v.api(in.APIID); err != nil {
					return err
				}
			}
			got, err := v.plane.ImportAPI(v.ctx, v.actor, in)
			if err != nil {
				return err
			}
			out := struct { // flat: scripts want the id
				control.API
				Operations int             `json:"operations"`
				Problems   []model.Problem `json:"problems"`
			}{got.API, got.Operations, append([]model.Problem{}, got.Problems...)}
			return show(v.cmd, out, func(w io.Writer) {
				fmt.Fprintf(w, "imported %s as %s: %d operations, revision %d\n", cell(got.API.Name), got.API.ID, got.Operations, got.API.Revision)
				for _, p := range got.Problems {
					fmt.Fprintln(w, cell(p.String()))
				}
			})
		}),
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "name of the API (default: the document's title)")
	cmd.Flags().StringVar(&in.Upstream, "upstream", "", "where calls go, instead of the document's servers")
	cmd.Flags().BoolVar(&in.RequireKey, "require-key", false, "every operation requires an API key")
	cmd.Flags().StringVar(&in.APIID, "api", "", "replace this API's definition (id or name) instead of making a new API")
	cmd.Flags().BoolVar(&in.Merge, "merge", false, "with --api: join the document with the definition instead of replacing it")
	return cmd
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// readSource reads a document, which may be no larger than a definition.
func readSource(ctx context.Context, stdin io.Reader, from string) ([]byte, error) {
	switch {
	case from == "-":
		return readBounded(stdin, "standard input", model.MaxDefinitionBytes)
	case isURL(from):
		return download(ctx, nil, from)
	case strings.Contains(from, "://"):
		return nil, model.Errorf(model.Invalid, "%s is not an http or https URL", from)
	}
	return readFile(from, model.MaxDefinitionBytes)
}

func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, model.Errorf(model.Invalid, "%s cannot be read: %v", name, errors.Unwrap(err))
	}
	defer func() { _ = f.Close() }()
	return readBounded(f, name, limit)
}

func readBounded(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, model.Errorf(model.Unavailable, "%s cannot be read: %v", name, withoutAddress(err))
	}
	if int64(len(b)) > limit {
		return nil, model.Errorf(model.Limit, "%s is larger than the %d MB that are allowed", name, limit>>20)
	}
	return b, nil
}

// download reads a document by its URL: rt is nil for whoever sits at this machine,
// and reaches no more than upstreams may for a visitor of the console.
func download(ctx context.Context, rt http.RoundTripper, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, model.Errorf(model.Invalid, "%s is not a URL: %v", url, errors.Unwrap(err))
	}
	req.Header.Set("Accept", "application/json, application/yaml, */*;q=0.5")
	req.Header.Set("User-Agent", "tollgate/"+version)
	client := &http.Client{Transport: rt, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > 5 { // other schemes have no transport
			return errors.New("more than 5 redirects")
		}
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		if rt != nil {
			err = withoutAddress(err)
		} else if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return nil, model.Errorf(model.Unavailable, "%s cannot be fetched: %v", url, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, model.Errorf(model.Unavailable, "%s cannot be fetched: it answered %s", url, res.Status)
	}
	return readBounded(res.Body, url, model.MaxDefinitionBytes)
}

// withoutAddress is why an outgoing request failed, for a visitor: errors of the system
// name resolvers, routers, and the addresses that names have in the operator's network.
func withoutAddress(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "dial" {
			return errors.New(gateway.WhyNoConn(op))
		}
		return op.Err
	}
	return err
}

func apiListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List APIs", Args: cobra.NoArgs,
		RunE: anywhere(func(v *verb, _ []string) error {
			l, err := v.apis("")
			if err != nil {
				return err
			}
			return showList(v.cmd, l, "no APIs yet", []string{"API", "NAME", "METHODS", "REVISION", "UPDATED"}, func(a control.API) []any {
				return []any{a.ID, a.Name, a.Methods, a.Revision, a.UpdatedAt}
			})
		}),
	}
}

func (v *verb) apis(match string) ([]control.API, error) {
	return all(func(p control.Page) (control.List[control.API], error) {
		p.Match = match
		return v.plane.APIs(v.ctx, v.actor, p)
	})
}

func apiShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show API", Short: "Show an API with its methods; with --output json, its whole definition", Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			a, err := v.plane.API(v.ctx, v.actor, id)
			if err != nil {
				return err
			}
			return show(v.cmd, a, func(w io.Writer) { writeAPI(w, a) })
		}),
	}
}

func writeAPI(w io.Writer, a control.APIDetail) {
	fmt.Fprintf(w, "api\t%s\nname\t%s\nrevision\t%d\nhash\t%s\nmethods\t%d\nupdated\t%s\n\n",
		a.ID, cell(a.Name), a.Revision, a.Hash, a.Methods, cell(a.UpdatedAt))
	fmt.Fprintln(w, "VERB\tPATH\tKEY\tINTEGRATION\tURI")
	for _, r := range a.Definition.Resources {
		verbs := make([]string, 0, len(r.Methods))
		for verb := range r.Methods {
			verbs = append(verbs, verb)
		}
		sort.Strings(verbs)
		for _, verb := range verbs {
			m := r.Methods[verb]
			kind, uri := "", ""
			if m.Integration != nil {
				kind, uri = m.Integration.Type, m.Integration.URI
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", verb, cell(r.Path), cell(m.APIKeyRequired), cell(kind), cell(uri))
		}
	}
}

func apiDeleteCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "delete API", Short: "Delete an API; refused while a stage serves it", Args: cobra.ExactArgs(1),
		RunE: anywhere(func(v *verb, args []string) error {
			id, err := v.api(args[0])
			if err != nil {
				return err
			}
			if err := v.plane.DeleteAPI(v.ctx, v.actor, id, force); err != nil {
				return err
			}
			return show(v.cmd, map[string]string{"deleted": id}, func(w io.Writer) { fmt.Fprintln(w, "deleted", id) })
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also when stages serve it: their calls are refused from then on")
	return cmd
}

func apiDeployCommand() *cobra.Command {
	var d control.Deploy
	var throttle throttleFlags
	var fail failOn
	cmd := &cobra.Command{
		Use: "deploy API --stage S", Short: "Deploy an API's definition to a stage; returns when every node serves it", Args: cobra.ExactArgs(1),
		Long: "Deploy an API's definition to a stage; returns when every node serves it. With --fail-on nothing is deployed\nwhen a change from what the stage serves is of that level or a graver one: see `tollgate diff`.",
		RunE: anywhere(func(v *verb, args []string) error {
			var err error
			if d.APIID, err = v.api(args[0]); err != nil {
				return err
			}
			if d.StageThrottle, err = throttle.apply(v.cmd, nil); err != nil {
				return err
			}
			if err := v.refuseChanges(d, fail); err != nil {
				return err
			}
			gateway, err := v.gateway() // before anything is changed
			if err != nil {
				return err
			}
			got, err := v.plane.Deploy(v.ctx, v.actor, d)
			if err != nil {
				return err
			}
			return v.showDeployed(got, gateway)
		}),
	}
	cmd.Flags().StringVar(&d.Stage, "stage", "", "name of the stage; made when there is none")
	cmd.Flags().StringVar(&d.Description, "description", "", "what is new")
	cmd.Flags().Var(&fail, "fail-on", "deploy nothing when a change for callers is of this level or a graver one")
	throttle.add(cmd, "of every method on the stage")
	_ = cmd.MarkFlagRequired("stage")
	return cmd
}

// refuseChanges compares a deployment with what its stage serves, if there is one.
func (v *verb) refuseChanges(d control.Deploy, fail failOn) error {
	if fail == "" {
		return nil
	}
	state, err := v.version(d.APIID, d.Stage)
	if err != nil || state.Stage == "" {
		return err
	}
	got, err := v.plane.CompareVersions(v.ctx, v.actor, d.APIID, state, control.Version{})
	if err != nil {
		return err
	}
	if err := fail.refuse(got, "nothing was deployed; `tollgate diff "+d.APIID+" --from "+d.Stage+"` lists them"); err != nil {
		return err
	}
	return nil
}

// showDeployed prints what is served now, and fails when a node refused it.
func (v *verb) showDeployed(d control.Deployed, gateway *url.URL) error {
	out := struct {
		control.Deployed
		InvokeURL string `json:"invokeUrl"`
		PathURL   string `json:"pathUrl"`
	}{d,
		fmt.Sprintf("%s://%s.execute-api.%s/%s/", gateway.Scheme, d.Stage.APIID, gateway.Host, d.Stage.Name),
		pathURL(gateway, d.Stage.APIID, d.Stage.Name) + "/"}
	if out.Receipts == nil {
		out.Receipts = []model.NodeReceipt{}
	}
	var late []string
	for _, r := range d.Receipts {
		if !r.Applied {
			late = append(late, fmt.Sprintf("%s/%s (%s)", r.Gateway, r.Node, cell(r.Error)))
		}
	}
	err := show(v.cmd, out, func(w io.Writer) {
		fmt.Fprintf(w, "stage %s of %s serves deployment %s (%d methods) on %d of %d nodes\n", d.Stage.Name, d.Stage.APIID,
			d.Deployment.ID, d.Deployment.Methods, len(d.Receipts)-len(late), len(d.Receipts))
		fmt.Fprintf(w, "  %s\n  %s\n", out.InvokeURL, out.PathURL)
		for _, p := range d.Warnings {
			fmt.Fprintf(w, "warning: %s: %s\n", cell(p.Pointer), cell(p.Message))
		}
	})
	if err == nil && len(late) > 0 {
		err = model.Errorf(model.Unavailable, "the stage is changed, but these nodes have not applied it: %s", strings.Join(late, ", "))
	}
	return err
}

// api finds an API by its id or its name, which must then be unique.
func (v *verb) api(ref string) (string, error) {
	l, err := v.apis("")
	if err != nil {
		return "", err
	}
	return pick("API", ref, l, func(a control.API) (string, string) { return a.ID, a.Name })
}

// pick finds the one thing with an id or a name.
func pick[T any](noun, ref string, list []T, of func(T) (id, name string)) (string, error) {
	var found []string
	for _, x := range list {
		id, name := of(x)
		if id == ref {
			return id, nil
		}
		if name == ref {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return "", model.Errorf(model.NotFound, "there is no %s %q", noun, ref)
	case 1:
		return found[0], nil
	}
	return "", model.Errorf(model.Conflict, "%d %ss are named %q; give the id of one: %s", len(found), noun, ref, strings.Join(found, ", "))
}
