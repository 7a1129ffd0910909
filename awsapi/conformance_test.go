package awsapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recordings is the folder with the recorded answers; the test is skipped without it, or
// without the client that plays them.
func recordings(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the recordings")
	}
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not on this machine: the recordings are not played")
	}
	return dir
}

// differs are the recorded sequences with an answer that ours is not equal to;
// divergences.md has the reasons.
var differs = []string{
	"TestApigatewayTestInvoke::test_failed_invoke_test_method",
	"test_export_oas30_openapi[TEST_IMPORT_PETSTORE_SWAGGER]",
	"TestApigatewayApiKeysCrud::test_update_api_key_invalid_description_length",
	"TestApiGatewayImportRestApi::test_import_with_global_api_key_authorizer",
}

// Sequences of calls of which the service's own answers were recorded are played
// against the face by a client that nobody here wrote.
func TestConformanceRecorded(t *testing.T) {
	dir := recordings(t)
	f := newFace(t)
	out, err := exec.CommandContext(t.Context(), "python3", filepath.Join(dir, "replay.py"), f.url, filepath.Join(dir, "control-plane-recorded.json"),
		f.owner.key.AccessKeyID, f.owner.key.Secret, "--v").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`'expect': (\d+), 'expect_ok': (\d+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no sum at the end:\n%s", out)
	}
	all, _ := strconv.Atoi(string(m[1]))
	equal, _ := strconv.Atoi(string(m[2]))
	t.Logf("%d of %d recorded answers are equal (%.1f %%)\n%s", equal, all, 100*float64(equal)/float64(all), out)
	if all < 300 || equal*100 < 95*all {
		t.Errorf("%d of %d recorded answers are equal: fewer than 95 in 100", equal, all)
	}
	written, err := os.ReadFile("divergences.md")
	f.must(err)
	for _, l := range strings.Split(string(out), "\n") {
		if !strings.HasPrefix(l, "test_") {
			continue
		}
		_, name, _ := strings.Cut(l, "::")
		if !slices.Contains(differs, name) {
			t.Errorf("answers of %s differ from the recorded ones", name)
		} else if !strings.Contains(string(written), name) {
			t.Errorf("divergences.md does not say why answers of %s differ", name)
		}
	}
}

// Every error whose answer was recorded is answered with its status, code and text.
func TestConformanceErrors(t *testing.T) {
	dir := recordings(t)
	f := newFace(t)
	out, err := exec.CommandContext(t.Context(), "python3", filepath.Join("testdata", "errors.py"), f.url, dir,
		f.owner.key.AccessKeyID, f.owner.key.Secret).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	equal := 0
	for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if strings.HasPrefix(l, "ok ") {
			equal++
		} else {
			t.Error(l)
		}
	}
	t.Logf("%d recorded errors are answered", equal)
	if equal < 91 {
		t.Errorf("%d recorded errors are answered; there are 91", equal)
	}
}
