package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/awsapi/sigv4"
	"tollgate/control"
	"tollgate/control/changes"
	"tollgate/control/openapi"
	"tollgate/control/remote"
	"tollgate/control/sdk"
	"tollgate/model"
)

// plane is what verbs need that work from another machine too: of the control plane
// here, or over HTTP.
type plane interface {
	ImportAPI(context.Context, control.Actor, control.ImportAPI) (control.Imported, error)
	APIs(context.Context, control.Actor, control.Page) (control.List[control.API], error)
	API(ctx context.Context, actor control.Actor, id string) (control.APIDetail, error)
	DeleteAPI(ctx context.Context, actor control.Actor, id string, force bool) error
	Deploy(context.Context, control.Actor, control.Deploy) (control.Deployed, error)
	CompareVersions(ctx context.Context, actor control.Actor, apiID string, from, to control.Version) ([]changes.Change, error)
	Rollback(ctx context.Context, actor control.Actor, apiID, stage, deploymentID string) (control.Deployed, error)
	Stage(ctx context.Context, actor control.Actor, apiID, name string) (control.Stage, error)
	Stages(ctx context.Context, actor control.Actor, apiID string) ([]control.Stage, error)
	Deployments(ctx context.Context, actor control.Actor, apiID string, pg control.Page) (control.List[control.Deployment], error)
	ExportStage(ctx context.Context, actor control.Actor, apiID, stage string, o openapi.ExportOptions) (control.Exported, error)
	StageClient(ctx context.Context, actor control.Actor, apiID, stage string, o sdk.Options) (control.StageClient, error)
	Calls(context.Context, control.Actor, control.CallFilter) (control.CallList, error)
	Call(ctx context.Context, actor control.Actor, requestID string) (control.Call, error)
	FollowCalls(ctx context.Context, actor control.Actor, f control.CallFilter, since string, wait time.Duration) (control.CallList, error)
	Plans(context.Context, control.Actor, control.Page) (control.List[control.Plan], error)
	CreateKey(context.Context, control.Actor, control.NewKey) (control.CreatedKey, error)
	Keys(context.Context, control.Actor, control.KeyFilter) (control.List[control.Key], error)
	Key(ctx context.Context, actor control.Actor, id string) (control.Key, error)
	SetKeyEnabled(ctx context.Context, actor control.Actor, id string, enabled bool) error
	DeleteKey(ctx context.Context, actor control.Actor, id string) error
}

// endpointVariable says where the installation is, before what the AWS CLI is told.
const endpointVariable = "TOLLGATE_ENDPOINT_URL"

// elsewhereFlags are those of verbs that work on an installation elsewhere.
func elsewhereFlags(f *pflag.FlagSet) {
	f.String("endpoint-url", "", "work on an installation elsewhere: the address of its console (default: "+endpointVariable+", AWS_ENDPOINT_URL or the profile's endpoint_url; else the one on this machine)")
	f.String("profile", "", "profile of ~/.aws/config and ~/.aws/credentials with the address and the access key (default: AWS_PROFILE)")
}

// elsewhere is an installation that is reached by its address.
type elsewhere struct {
	endpoint *url.URL
	said     string // by what
	aws      *awsSettings
}

// findElsewhere is where a command is to work; nil: on this machine's installation.
func findElsewhere(cmd *cobra.Command, getenv func(string) string) (*elsewhere, error) {
	flag := func(name string) string {
		if f := cmd.Flag(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	s := &awsSettings{getenv: getenv, asked: flag("profile")}
	s.profile = cmp.Or(s.asked, getenv("AWS_PROFILE"), "default")
	text, said := flag("endpoint-url"), "--endpoint-url"
	if text == "" {
		text, said = getenv(endpointVariable), endpointVariable
	}
	if text == "" {
		var err error
		if text, said, err = s.endpoint(); err != nil {
			return nil, err
		}
	}
	if text == "" {
		if s.asked != "" {
			return nil, model.Errorf(model.Invalid, "profile %q has no endpoint_url in %s: add the address of the console, or give it with --endpoint-url", s.asked, s.config.path)
		}
		return nil, nil
	}
	u, err := publicURL(said, text)
	if err != nil {
		return nil, err
	}
	return &elsewhere{u, said, s}, nil
}

// client signs with the access key that the AWS CLI would.
func (e *elsewhere) client() (*remote.Client, error) {
	key, err := e.aws.credentials()
	if err != nil {
		return nil, err
	}
	if key.AccessKeyID == "" {
		return nil, model.Errorf(model.Invalid, "there is no access key to sign with: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or put aws_access_key_id and aws_secret_access_key under [%s] in %s; "+
			"a member makes one at %s/access-keys", e.aws.profile, e.aws.secrets.path, e.endpoint)
	}
	region, err := e.aws.region()
	if err != nil {
		return nil, err
	}
	return remote.New(remote.Options{Endpoint: e.endpoint, Said: e.said, Credentials: key, Region: region, Agent: "tollgate/" + version}), nil
}

// awsSettings are those of the AWS CLI: its variables and files.
type awsSettings struct {
	getenv          func(string) string
	asked           string // the profile that --profile names
	profile         string // that is used
	config, secrets *awsFile
}

// load reads the files, once.
func (s *awsSettings) load() (err error) {
	if s.config != nil {
		return nil
	}
	if s.config, err = readAWSFile(s.getenv, "AWS_CONFIG_FILE", "config"); err != nil {
		return err
	}
	if s.secrets, err = readAWSFile(s.getenv, "AWS_SHARED_CREDENTIALS_FILE", "credentials"); err != nil {
		return err
	}
	if s.asked != "" && s.config.profile(s.asked) == nil && s.secrets.sections[s.asked] == nil {
		return model.Errorf(model.NotFound, "there is no profile %q in %s or %s", s.asked, s.config.path, s.secrets.path)
	}
	return nil
}

// endpoint is the address of API Gateway, in the AWS CLI's order.
func (s *awsSettings) endpoint() (text, said string, err error) {
	if strings.EqualFold(s.getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		return "", "", s.load()
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_API_GATEWAY", "AWS_ENDPOINT_URL"} {
		if v := s.getenv(name); v != "" {
			return v, name, nil
		}
	}
	if err := s.load(); err != nil {
		return "", "", err
	}
	p := s.config.profile(s.profile)
	if strings.EqualFold(p["ignore_configured_endpoint_urls"], "true") {
		return "", "", nil
	}
	said = fmt.Sprintf("profile %s in %s", s.profile, s.config.path)
	if services := p["services"]; services != "" {
		section := s.config.sections["services "+services]
		if section == nil {
			return "", "", model.Errorf(model.Invalid, "%s names services %q, and there is no [services %s]", said, services, services)
		}
		if v := nested(section["api_gateway"], "endpoint_url"); v != "" {
			return v, said, nil
		}
	}
	return p["endpoint_url"], said, nil
}

// credentials are the access key, in the AWS CLI's order: a profile that was asked for
// by its flag comes before the environment's key. None: the zero value.
func (s *awsSettings) credentials() (sigv4.Credentials, error) {
	if s.asked == "" && (s.getenv("AWS_ACCESS_KEY_ID") != "" || s.getenv("AWS_SECRET_ACCESS_KEY") != "") {
		return accessKey(s.getenv, "the environment", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
	}
	if err := s.load(); err != nil {
		return sigv4.Credentials{}, err
	}
	for _, from := range []struct {
		path    string
		options map[string]string
	}{{s.secrets.path, s.secrets.sections[s.profile]}, {s.config.path, s.config.profile(s.profile)}} {
		get := func(name string) string { return from.options[name] }
		if get("aws_access_key_id") != "" || get("aws_secret_access_key") != "" {
			return accessKey(get, fmt.Sprintf("profile %s in %s", s.profile, from.path), "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
		}
	}
	return sigv4.Credentials{}, nil
}

func accessKey(get func(string) string, where, id, secret, token string) (sigv4.Credentials, error) {
	c := sigv4.Credentials{AccessKeyID: get(id), Secret: get(secret)}
	switch {
	case c.AccessKeyID == "":
		return c, model.Errorf(model.Invalid, "%s has %s and no %s", where, secret, id)
	case c.Secret == "":
		return c, model.Errorf(model.Invalid, "%s has %s and no %s", where, id, secret)
	case get(token) != "":
		return c, model.Errorf(model.Invalid, "%s has %s: session tokens are not issued here; sign with an access key of the console and its secret alone", where, token)
	case strings.ContainsFunc(c.AccessKeyID, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == ',' }):
		return c, model.Errorf(model.Invalid, "%s has an %s that is not letters and digits", where, id)
	}
	return c, nil
}

// region is one to sign for: any is taken.
func (s *awsSettings) region() (string, error) {
	region := cmp.Or(s.getenv("AWS_REGION"), s.getenv("AWS_DEFAULT_REGION"))
	if region == "" {
		if err := s.load(); err != nil {
			return "", err
		}
		region = s.config.profile(s.profile)["region"]
	}
	if !regionName(region) && region != "" {
		return "", model.Errorf(model.Invalid, "the region %.40q is not lower-case letters, digits and dashes", region)
	}
	return region, nil
}

// anywhere is the body of a verb of a tenant that is done on this machine's
// installation as its owner, or on one elsewhere as whose access key signs.
func anywhere(f func(v *verb, args []string) error) func(*cobra.Command, []string) error {
	return work(func(cmd *cobra.Command, args []string) error {
		to, err := findElsewhere(cmd, os.Getenv)
		if err != nil {
			return err
		}
		if to == nil {
			return here(cmd, func(v *localVerb) error { return f(v.verb, args) })
		}
		if t := cmd.Flag("tenant"); t != nil && t.Changed {
			return model.Errorf(model.Invalid, "--tenant is for the installation's own machine: elsewhere (%s) the access key says whose account it is", to.said)
		}
		c, err := to.client()
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		return f(&verb{cmd: cmd, ctx: ctx, plane: c, gateway: func() (*url.URL, error) { return c.Gateway(ctx) }}, args)
	})
}

// notElsewhere refuses a verb that needs the database where the settings say that
// the installation is elsewhere: it would work on another one.
func notElsewhere(cmd *cobra.Command) error {
	to, err := findElsewhere(cmd, os.Getenv)
	if err != nil || to == nil {
		return err
	}
	return model.Errorf(model.Invalid, "`%s` works on the installation's own machine only, and %s names %s: unset it on that machine; from elsewhere use the console or the AWS CLI",
		cmd.CommandPath(), to.said, to.endpoint)
}

// flagError explains where a verb that does not work elsewhere is told to.
func flagError(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if name := unknown.GetSpecifiedName(); name == "endpoint-url" || name == "profile" {
			return fmt.Errorf("`%s` works on the installation's own machine only, without --%s", cmd.CommandPath(), name)
		}
	}
	return err
}
