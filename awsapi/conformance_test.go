package awsapi_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// Every error whose answer was recorded is answered with its status, code and text.
func TestConformanceErrors(t *testing.T) {
	dir := recordings(t)
	f := newFace(t)
	out, err := exec.CommandContext(t.Context(), "python3", filepath.Join("testdata", "errors.py"), f.url, dir,
		f.owner.key.AccessKeyID, f.owner.key.Secret).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	equal, all := 0, 0
	for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		all++
		if strings.HasPrefix(l, "ok ") {
			equal++
		} else {
			t.Error(l)
		}
	}
	fmt.Printf("conformance errors cases %d pass %d fail %d\n", all, equal, all-equal)
	if equal < 91 {
		t.Errorf("%d recorded errors are answered; there are 91", equal)
	}
}
