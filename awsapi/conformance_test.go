package awsapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// Sequences of calls of which the service's own answers were recorded are played
// against the face by a client that nobody here wrote.
func TestConformanceRecorded(t *testing.T) {
	dir := os.Getenv("TOLLGATE_CONFORMANCE")
	if dir == "" {
		t.Skip("TOLLGATE_CONFORMANCE does not name the folder with the recordings")
	}
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not on this machine: the recordings are not played")
	}
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
}
