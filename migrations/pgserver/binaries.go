package pgserver

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tollgate/model"
)

// Install says how Postgres comes onto a machine that has none.
const Install = "install it (Debian, Ubuntu: apt-get install postgresql), name its directory in TOLLGATE_PG_BIN, or set DATABASE_URL to a server elsewhere"

// Binaries finds the directory of the Postgres server's binaries: the one named,
// else the newest under /usr/lib/postgresql, else the one in PATH.
func Binaries(named string) (string, error) {
	if named != "" {
		if !complete(named) {
			return "", model.Errorf(model.Invalid, "TOLLGATE_PG_BIN %s has no executable initdb and postgres in it", named)
		}
		return named, nil
	}
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	best, bestMajor := "", 0
	for _, d := range dirs {
		major, _ := strconv.Atoi(filepath.Base(filepath.Dir(d)))
		if major > bestMajor && complete(d) {
			best, bestMajor = d, major
		}
	}
	if best != "" {
		return best, nil
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil && complete(filepath.Dir(p)) {
			return filepath.Dir(p), nil
		}
	}
	return "", model.Errorf(model.Unavailable, "Postgres is not installed: %s", Install)
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.IsDir() || fi.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// major is the version an existing cluster needs, "" where there is none.
func major(data string) string {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// binariesFor finds the binaries of a cluster's own version: after an upgrade of
// the system both are there, and only the old ones can read the cluster.
func binariesFor(found, version string) (string, error) {
	out, err := exec.Command(filepath.Join(found, "postgres"), "--version").Output()
	if err != nil {
		return "", model.Errorf(model.Unavailable, "%s/postgres does not run: %v", found, err)
	}
	f := strings.Fields(string(out)) // "postgres (PostgreSQL) 15.18 (Debian …)"
	if len(f) >= 3 && (f[2] == version || strings.HasPrefix(f[2], version+".")) {
		return found, nil
	}
	if own := filepath.Join("/usr/lib/postgresql", version, "bin"); complete(own) {
		return own, nil
	}
	return "", model.Errorf(model.Conflict, "the data directory was made by Postgres %s, but %s has another version: install postgresql-%s beside it, or move the data with pg_upgrade", version, found, version)
}

// owner is the account a server runs as when we are root, which Postgres refuses.
type owner struct {
	name     string
	uid, gid uint32
}

func (o *owner) credential() *syscall.Credential {
	if o == nil {
		return nil
	}
	return &syscall.Credential{Uid: o.uid, Gid: o.gid}
}

func serverUser() (*owner, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &owner{name, uint32(uid), uint32(gid)}, nil
		}
	}
	return nil, model.Errorf(model.Unavailable, "Postgres cannot run as root, and there is no account postgres or nobody to run it as: add one, or set DATABASE_URL")
}

// reachable reports the first directory on the way to path that the account
// cannot pass, "" when there is none.
func (o *owner) reachable(path string) string {
	if o == nil {
		return ""
	}
	for p := path; ; p = filepath.Dir(p) {
		fi, err := os.Stat(p)
		if err != nil {
			return p
		}
		bit := os.FileMode(0o001)
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			if st.Uid == o.uid {
				bit = 0o100
			} else if st.Gid == o.gid {
				bit = 0o010
			}
		}
		if fi.Mode()&bit == 0 {
			return p
		}
		if p == filepath.Dir(p) {
			return ""
		}
	}
}
