package awsapi_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Terraform with the AWS provider makes everything there is of REST APIs, finds
// nothing to do afterwards, changes things in place, takes over what another made,
// and leaves nothing behind.
func TestConformanceTerraform(t *testing.T) {
	plugins := os.Getenv("TOLLGATE_TERRAFORM_PLUGINS")
	if plugins == "" {
		t.Skip("TERRAFORM IS NOT TRIED: TOLLGATE_TERRAFORM_PLUGINS does not name a folder with its AWS provider. TestTerraformCalls plays its recorded calls instead")
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("TERRAFORM IS NOT TRIED: it is not on this machine. TestTerraformCalls plays its recorded calls instead")
	}
	f := newFace(t)
	endpoint, parallel := f.url, "-parallelism=10"
	if *recordTerraform {
		endpoint, parallel = recorder(t, f.url), "-parallelism=1"
	}
	dir := t.TempDir()
	src, err := os.ReadFile(filepath.Join("testdata", "terraform", "main.tf"))
	f.must(err)
	f.must(os.WriteFile(filepath.Join(dir, "main.tf"), src, 0o600))
	rc := filepath.Join(dir, "terraform.rc")
	f.must(os.WriteFile(rc, []byte("provider_installation {\n  filesystem_mirror {\n    path = \""+plugins+"\"\n  }\n}\n"), 0o600))
	certificate, key := serverCertificate(t, "*.example.com")
	if *recordTerraform {
		recording.hide(f.owner.AccountID, certificate, key)
	}
	truststore := "data:application/x-pem-file;base64," + base64.StdEncoding.EncodeToString([]byte(certificate))
	terraform := func(code int, args ...string) string {
		t.Helper()
		if args[0] == "apply" || args[0] == "destroy" || args[0] == "plan" {
			args = append(args, parallel)
		}
		c := exec.CommandContext(t.Context(), "terraform", args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+rc, "TF_VAR_endpoint="+endpoint, "TF_VAR_certificate="+certificate, "TF_VAR_private_key="+key, "TF_VAR_truststore="+truststore, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
			"AWS_ACCESS_KEY_ID="+f.owner.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+f.owner.key.Secret, "AWS_SESSION_TOKEN=", "AWS_PROFILE=")
		out, err := c.CombinedOutput()
		if err != nil && c.ProcessState == nil {
			t.Fatal(err)
		}
		if got := c.ProcessState.ExitCode(); got != code {
			t.Fatalf("terraform %s ends with %d instead of %d:\n%s", strings.Join(args, " "), got, code, out)
		}
		return string(out)
	}
	terraform(0, "init", "-no-color")
	terraform(0, "apply", "-auto-approve", "-no-color")
	terraform(0, "plan", "-detailed-exitcode", "-no-color") // 2: something to do
	change := []string{"-var", "description=All-pets", "-var", "limit=30", "-var", "path=animals", "-var", "tls=TLS_1_0", "-no-color"}
	if out := terraform(0, append([]string{"apply", "-auto-approve"}, change...)...); !strings.Contains(out, "changed") {
		t.Errorf("nothing was changed in place:\n%s", out)
	}
	terraform(0, append([]string{"plan", "-detailed-exitcode"}, change...)...)
	api := strings.TrimSpace(terraform(0, "output", "-raw", "api"))
	terraform(0, "state", "rm", "aws_api_gateway_rest_api.pets", "aws_api_gateway_stage.prod")
	terraform(0, append(append([]string{"import"}, change...), "aws_api_gateway_rest_api.pets", api)...)
	terraform(0, append(append([]string{"import"}, change...), "aws_api_gateway_stage.prod", api+"/prod")...)
	id, association := terraform(0, "output", "-raw", "private"), terraform(0, "output", "-raw", "association")
	for _, r := range [][2]string{{"aws_api_gateway_domain_name.private", "in.example.com/" + id}, {"aws_api_gateway_domain_name_access_association.private", association},
		{"aws_api_gateway_base_path_mapping.private", "in.example.com/animals/" + id}, {"aws_api_gateway_domain_name.regional", "api.example.com"}, {"aws_api_gateway_base_path_mapping.all", "api.example.com/"},
		{"aws_api_gateway_base_path_mapping.path", "edge.example.com/animals"}} {
		terraform(0, "state", "rm", r[0])
		terraform(0, append(append([]string{"import"}, change...), r[0], r[1])...)
	}
	terraform(0, append([]string{"plan", "-detailed-exitcode"}, change...)...)
	terraform(0, append([]string{"destroy", "-auto-approve"}, change...)...)
	if got := string(f.call("GET", "/restapis", nil).want(200).Body) + string(f.call("GET", "/usageplans", nil).want(200).Body) + string(f.call("GET", "/apikeys", nil).want(200).Body) + string(f.call("GET", "/domainnames", nil).want(200).Body) + string(f.call("GET", "/domainnameaccessassociations", nil).want(200).Body); got != strings.Repeat(`{"item":[]}`, 5) {
		t.Errorf("left behind: %s", got)
	}
	if *recordTerraform {
		recording.save(t)
	}
}

// The example in deploy/examples is applied, needs nothing more, and goes away.
func TestConformanceTerraformExample(t *testing.T) {
	plugins := os.Getenv("TOLLGATE_TERRAFORM_PLUGINS")
	if plugins == "" {
		t.Skip("TERRAFORM IS NOT TRIED: TOLLGATE_TERRAFORM_PLUGINS does not name a folder with its AWS provider")
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("TERRAFORM IS NOT TRIED: it is not on this machine")
	}
	f := newFace(t)
	dir := t.TempDir()
	f.must(os.CopyFS(dir, os.DirFS(filepath.Join("..", "deploy", "examples", "terraform"))))
	rc := filepath.Join(dir, "terraform.rc")
	f.must(os.WriteFile(rc, []byte("provider_installation {\n  filesystem_mirror {\n    path = \""+plugins+"\"\n  }\n}\n"), 0o600))
	for _, args := range [][]string{{"init"}, {"apply", "-auto-approve"}, {"plan", "-detailed-exitcode"}, {"destroy", "-auto-approve"}} {
		c := exec.CommandContext(t.Context(), "terraform", append(args, "-no-color")...)
		c.Dir = dir
		c.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+rc, "TF_VAR_endpoint="+f.url, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
			"AWS_ACCESS_KEY_ID="+f.owner.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+f.owner.key.Secret, "AWS_SESSION_TOKEN=", "AWS_PROFILE=")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
