package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"tollgate/migrations"
	"tollgate/migrations/pgserver"
	"tollgate/model"
)

// finding is what doctor says of one thing.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or failed
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"`
}

const (
	fine    = "ok"
	warned  = "warning"
	failing = "failed"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what this machine has for an installation, and what to do where something is missing", Args: cobra.NoArgs,
		Long: "Check settings, data directory, disk, Postgres, addresses, names and the clock. Nothing is changed.\n" +
			"The exit code is 1 when something would keep `tollgate up` from working.",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			all := examine(cmd.Context())
			err := show(cmd, items[finding]{all}, func(w io.Writer) {
				for _, f := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.Check, cell(f.Found))
					if f.Advice != "" {
						fmt.Fprintf(w, "\t\t-> %s\n", cell(f.Advice))
					}
				}
			})
			n := 0
			for _, f := range all {
				if f.State == failing {
					n++
				}
			}
			if err == nil && n > 0 {
				err = model.Errorf(model.Unavailable, "%d of %d checks failed", n, len(all))
			}
			return err
		}),
	}
	outputFlag(cmd)
	return cmd
}

// examine makes all checks, each by itself: one that fails hides no other.
func examine(ctx context.Context) []finding {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return []finding{{"settings", failing, err.Error(), "correct the environment variable; `tollgate up --help` lists all of them"}}
	}
	out := []finding{{Check: "settings", State: fine, Found: "can be read"}}
	if len(cfg.unknown) > 0 {
		out[0] = finding{"settings", warned, fmt.Sprintf("%v have no effect", cfg.unknown), "look for a misspelling: `tollgate up --help` lists all settings"}
	}
	dir := &dataDir{path: cfg.DataDir}
	up := runningIn(dir)
	out = append(out, checkDirectory(cfg), checkDisk(cfg))
	out = append(out, checkPostgres(ctx, cfg, up)...)
	for _, a := range [][2]string{{"TOLLGATE_CONTROL_ADDR", cfg.ControlAddr}, {"TOLLGATE_GATEWAY_ADDR", cfg.GatewayAddr}, {"TOLLGATE_GATEWAY_TLS_ADDR", cfg.GatewayTLSAddr}, {"TOLLGATE_ADMIN_ADDR", cfg.AdminAddr}} {
		out = append(out, checkAddress(a[0], a[1], up))
	}
	return append(out, checkName(ctx), checkFiles())
}

// runningIn is the program that holds the directory; nil when none does.
func runningIn(dir *dataDir) *running {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := os.Stat(dir.path); err != nil {
		return nil
	}
	r, err := dir.await(ctx, time.Second)
	if err == nil && r == nil { // nobody: it is held for us now
		dir.unlock()
	}
	return r
}

func checkDirectory(cfg *Config) finding {
	f := finding{Check: "data directory", State: fine, Found: cfg.DataDir}
	at := cfg.DataDir
	for {
		fi, err := os.Stat(at)
		if err == nil {
			if !fi.IsDir() {
				return finding{f.Check, failing, at + " is no directory", "set TOLLGATE_DATA_DIR to a directory of its own"}
			}
			break
		}
		if !errors.Is(err, os.ErrNotExist) || at == filepath.Dir(at) {
			return finding{f.Check, failing, err.Error(), "set TOLLGATE_DATA_DIR to a directory that you may write to"}
		}
		f.Found, at = cfg.DataDir+" (will be made)", filepath.Dir(at)
	}
	probe, err := os.CreateTemp(at, ".tollgate-doctor-")
	if err != nil {
		return finding{f.Check, failing, err.Error(), "make it writable, or set TOLLGATE_DATA_DIR to a directory that is"}
	}
	_ = probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return finding{f.Check, failing, err.Error(), "make it writable, or set TOLLGATE_DATA_DIR to a directory that is"}
	}
	return f
}

// Free space below which journals and Postgres may soon stop, in bytes.
const (
	littleDisk = 5 << 30
	noDisk     = 512 << 20
)

func checkDisk(cfg *Config) finding {
	f := finding{Check: "disk", State: fine}
	at := cfg.DataDir
	var fs syscall.Statfs_t
	for syscall.Statfs(at, &fs) != nil {
		if at == filepath.Dir(at) {
			return finding{f.Check, warned, "the free space of " + cfg.DataDir + " is not known", ""}
		}
		at = filepath.Dir(at)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	f.Found = fmt.Sprintf("%.1f GB are free", float64(free)/(1<<30))
	switch {
	case free < noDisk:
		f.State, f.Advice = failing, "free some: without space for the journal no call is admitted"
	case free < littleDisk:
		f.State, f.Advice = warned, "free some soon: the journal of calls and Postgres grow with traffic"
	}
	return f
}

func checkPostgres(ctx context.Context, cfg *Config, up *running) []finding {
	url := cfg.DatabaseURL
	if url == "" {
		bin, err := pgserver.Binaries(cfg.PGBin)
		if err != nil {
			return []finding{{"Postgres", failing, err.Error(), "install it (Debian: apt-get install postgresql), set TOLLGATE_PG_BIN, or set DATABASE_URL to one that runs"}}
		}
		if up == nil {
			return []finding{{"Postgres", fine, "its binaries are in " + bin + "; `tollgate up` runs it", ""}}
		}
		url = up.DatabaseURL
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return []finding{{"Postgres", failing, "does not answer: " + oneLine(err), "check DATABASE_URL and that the server runs and lets this machine in"}}
	}
	defer func() { _ = conn.Close(ctx) }()
	var server string
	var number int
	var now time.Time
	before := time.Now()
	if err := conn.QueryRow(ctx, `select current_setting('server_version'), current_setting('server_version_num')::int, clock_timestamp()`).Scan(&server, &number, &now); err != nil {
		return []finding{{"Postgres", failing, oneLine(err), "check the role that DATABASE_URL names"}}
	}
	out := []finding{{"Postgres", fine, "version " + server + " answers", ""}}
	if number < 150000 {
		out[0].State, out[0].Advice = failing, "use Postgres 15 or newer"
	}
	if err := migrations.Check(ctx, url); err != nil {
		out = append(out, finding{"schema", failing, model.MessageOf(err), "run `tollgate migrate`"})
	} else {
		out = append(out, finding{"schema", fine, "is that of this version", ""})
	}
	off := now.Sub(before.Add(time.Since(before) / 2)).Abs()
	clock := finding{"clock", fine, fmt.Sprintf("is %v from the database's", off.Round(time.Millisecond)), ""}
	if off > 2*time.Second {
		clock.State, clock.Advice = warned, "keep the clocks of all machines together (chrony, systemd-timesyncd): signatures, sessions and quotas depend on them"
	}
	return append(out, clock)
}

// checkAddress looks whether an address can be listened on, or is ours already.
func checkAddress(setting, addr string, up *running) finding {
	f := finding{Check: setting, State: fine, Found: addr + " is free"}
	if up != nil {
		for _, own := range []string{up.ControlAddr, up.GatewayAddr, up.GatewayTLSAddr, up.AdminAddr} {
			if own == addr {
				f.Found = addr + " is held by the installation that runs"
				return f
			}
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return finding{setting, failing, oneLine(err), "end what listens there, or set " + setting + " to another address"}
	}
	_ = l.Close()
	return f
}

// checkName looks whether this machine resolves the names that APIs have on it.
func checkName(ctx context.Context) finding {
	const name = "api.execute-api.localhost"
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", name)
	if err == nil && len(ips) > 0 && ips[0].IsLoopback() {
		return finding{"names", fine, name + " is this machine", ""}
	}
	return finding{"names", warned, name + " is not resolved here", "browsers and curl resolve it by themselves; for other programs use the /_aws/execute-api/… addresses, or systemd-resolved"}
}

func checkFiles() finding {
	var l syscall.Rlimit
	f := finding{Check: "open files", State: fine}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return finding{f.Check, warned, err.Error(), ""}
	}
	f.Found = fmt.Sprintf("%d are allowed", l.Max)
	if l.Max < 65_536 {
		f.State, f.Advice = warned, "allow more (ulimit -Hn, LimitNOFILE= of the service): each connection of a client and of a back end is one"
	}
	return f
}
