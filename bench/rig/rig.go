package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// AnyCPU leaves the choice of the core to the kernel.
const AnyCPU = -1

// Rig is one stage: a working folder and the processes started on it.
type Rig struct {
	Dir string // removed by Close

	starts chan func()

	mu     sync.Mutex
	procs  []*Process
	closes []func()
}

// New makes a working folder that other users may look into, since Postgres and
// nginx's workers run as users of their own when the rig runs as root.
func New() (*Rig, error) {
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	r := &Rig{Dir: dir, starts: make(chan func())}
	go r.spawner()
	return r, nil
}

// spawner is the one thread that starts processes: a child inherits its thread's
// core, and is killed by the kernel when the thread that started it ends.
func (r *Rig) spawner() {
	runtime.LockOSThread()
	for f := range r.starts {
		f()
	}
}

// Close ends every process and removes the working folder.
func (r *Rig) Close() {
	r.mu.Lock()
	procs := r.procs
	r.procs = nil
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range procs {
		wg.Go(func() { _ = p.Stop(5 * time.Second) }) // a gateway that cannot hand in its journal would try for longer
	}
	wg.Wait()
	for i := len(r.closes) - 1; i >= 0; i-- {
		r.closes[i]()
	}
	close(r.starts)
	os.RemoveAll(r.Dir)
}

// OnClose adds something to be done by Close when the processes have ended.
func (r *Rig) OnClose(f func()) { r.closes = append(r.closes, f) }

// environment is ours without settings of Tollgate: an installation under test
// has none but those it is given. Where Postgres is stays a fact of the machine.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "TOLLGATE_") && !strings.HasPrefix(v, "TOLLGATE_PG_BIN=") || strings.HasPrefix(v, "DATABASE_URL")
	})
}

// Path names a file of the working folder.
func (r *Rig) Path(elem ...string) string {
	return filepath.Join(append([]string{r.Dir}, elem...)...)
}

// Command is what to start.
type Command struct {
	Name string // for messages and the log file
	Args []string
	Env  []string // added to the environment
	CPU  int      // AnyCPU, or the core to run on
}

// Process is a running child. Its output is in Log.
type Process struct {
	Name string
	PID  int
	Log  string

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts a command; its output goes to a log file in the working folder.
func (r *Rig) Start(c Command) (*Process, error) {
	log, err := os.OpenFile(r.Path(c.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(environment(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	started := make(chan error, 1)
	r.starts <- func() { started <- startOn(cmd, c.CPU) }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	p := &Process{Name: c.Name, PID: cmd.Process.Pid, Log: log.Name(), cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		// What it started and left behind is in its group, and goes too.
		_ = syscall.Kill(-p.PID, syscall.SIGKILL)
		close(p.done)
	}()
	r.mu.Lock()
	r.procs = append(r.procs, p)
	r.mu.Unlock()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process at once, as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end, kills it when it has not after the given time,
// and reports an unclean end.
func (p *Process) Stop(within time.Duration) error {
	select {
	case <-p.done:
		return nil // it ended on its own, and whoever needed it has noticed
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM and was killed\n%s", p.Name, within, p.Tail())
	}
	if p.err != nil && !strings.Contains(p.err.Error(), "signal: terminated") {
		return fmt.Errorf("%s ended with %w\n%s", p.Name, p.err, p.Tail())
	}
	return nil
}

// Tail is the end of the process's output.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	if len(b) > 3000 {
		b = b[len(b)-3000:]
	}
	return string(b)
}

// Poll calls ok every few milliseconds until it reports true. It gives up when
// the context ends or, if there is a process, when that has ended.
func Poll(ctx context.Context, p *Process, what string, ok func() bool) error {
	var ended <-chan struct{}
	if p != nil {
		ended = p.done
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			err := fmt.Errorf("waiting for %s: %w", what, ctx.Err())
			if p != nil {
				err = fmt.Errorf("%w\n%s", err, p.Tail())
			}
			return err
		case <-ended:
			return fmt.Errorf("waiting for %s: %s ended (%v)\n%s", what, p.Name, p.err, p.Tail())
		case <-tick.C:
		}
	}
	return nil
}

// WaitPort waits until something listens at addr.
func WaitPort(ctx context.Context, p *Process, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	return Poll(ctx, p, p.Name+" to listen at "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// FreeAddr is a loopback address nobody listens at now, for a program that cannot choose
// one itself. It is outside of what systems give to those who ask for any port, so that
// nobody else gets it before the program listens.
func FreeAddr() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(15_000+rand.N(15_000))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// Build compiles a program of this module into the working folder, so that what
// is measured is what is in the tree; flags are go build's own.
func (r *Rig) Build(ctx context.Context, pkg string, flags ...string) (string, error) {
	out := r.Path(filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return out, nil
}

// StartUpstream builds and starts the static responder, with more arguments if any.
func (r *Rig) StartUpstream(ctx context.Context, cpu int, more ...string) (addr string, err error) {
	bin, err := r.Build(ctx, "tollgate/bench/upstream")
	if err != nil {
		return "", err
	}
	if addr, err = FreeAddr(); err != nil {
		return "", err
	}
	p, err := r.Start(Command{Name: "bench-upstream", Args: append([]string{bin, "-addr", addr}, more...), CPU: cpu})
	if err != nil {
		return "", err
	}
	return addr, WaitPort(ctx, p, addr)
}

// ErrMissing marks a tool that is not installed; the message says how to get it.
var ErrMissing = errors.New("not installed")

// Tool finds a program in the given folders or the path.
func Tool(name, hint string, dirs ...string) (string, error) {
	for _, d := range dirs {
		if p := filepath.Join(d, name); isExecutable(p) {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if err == nil {
		return p, nil
	}
	// Debian keeps daemons out of an ordinary user's path.
	if p := filepath.Join("/usr/sbin", name); isExecutable(p) {
		return p, nil
	}
	return "", fmt.Errorf("%s is %w: %s", name, ErrMissing, hint)
}

func isExecutable(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}
