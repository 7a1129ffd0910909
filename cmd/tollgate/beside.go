package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tollgate/control"
	"tollgate/gateway/process"
	"tollgate/model"
)

// beside runs the gateways that were told to be run here, each as a process of its own:
// it follows the control plane with a token of its own, over HTTP as from another machine,
// and is given neither the database nor the installation's secret key.
type beside struct {
	plane *control.Plane
	cfg   *Config
	dir   *dataDir
	feed  string // URL
	log   *slog.Logger
	runs  map[string]*besideRun
}

// besideRun is one of them.
type besideRun struct {
	place control.Place
	stop  context.CancelFunc
	ended chan struct{}
}

const (
	besideLook  = 2 * time.Second // how often it is looked whether there are others
	besideFirst = time.Second     // pause before a process that ended is started again,
	besideLast  = 30 * time.Second
	besideWell  = time.Minute     // unless it ran as long as this
	besideShare = 5 * time.Second // how often the counters' server is told of its user
)

// startBeside begins to look after them. Only what has a gateway of its own does, and so
// is on the machine where calls are taken.
func (p *program) startBeside(ctx context.Context) error {
	if !p.shape.gateway || p.control == nil {
		return nil
	}
	b := &beside{plane: p.plane, cfg: p.cfg, dir: p.dir, feed: "http://" + near(p.control.Addr()), log: p.log, runs: map[string]*besideRun{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.look(ctx)
	}()
	p.onStop(func(context.Context) error {
		cancel()
		<-ended // their own drain limits bound it
		return nil
	})
	return nil
}

// near is an address that this machine reaches a listener at.
func near(a net.Addr) string {
	host, port, _ := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// look starts what is to run and is not running, and stops what is not to run any more.
func (b *beside) look(ctx context.Context) {
	tick := time.NewTicker(besideLook)
	defer tick.Stop()
	for {
		if all, err := b.plane.Gateways(ctx, control.Operator()); err == nil {
			b.settle(ctx, all)
		} else if ctx.Err() == nil {
			b.log.Warn("which gateways are to run here is not known; those that do go on", "err", err)
		}
		select {
		case <-ctx.Done():
			var wg sync.WaitGroup
			for _, r := range b.runs {
				wg.Go(r.end)
			}
			wg.Wait()
			return
		case <-tick.C:
		}
	}
}

func (b *beside) settle(ctx context.Context, all []control.Gateway) {
	here := map[string]control.Gateway{}
	for _, g := range all {
		if g.Addr != "" {
			here[g.Name] = g
		}
	}
	for name, r := range b.runs {
		if g, is := here[name]; !is || g.Addr != r.place.Addr || g.TLSAddr != r.place.TLSAddr {
			r.end()
			delete(b.runs, name)
		}
	}
	for name, g := range here {
		if b.runs[name] != nil {
			continue
		}
		ctx, stop := context.WithCancel(ctx)
		r := &besideRun{place: g.Place, stop: stop, ended: make(chan struct{})}
		b.runs[name] = r
		go func() {
			defer close(r.ended)
			b.keep(ctx, g)
		}()
	}
}

func (r *besideRun) end() {
	r.stop()
	<-r.ended
}

// keep runs one gateway's process again and again.
func (b *beside) keep(ctx context.Context, g control.Gateway) {
	pause := besideFirst
	for ctx.Err() == nil {
		begun := time.Now()
		err := b.runOnce(ctx, g)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > besideWell {
			pause = besideFirst
		}
		b.log.Error("a gateway's process ended; it is started again", "gateway", g.Name, "err", err, "in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, besideLast)
	}
}

// runOnce runs the process until it ends or ctx does, which it is told by SIGTERM.
func (b *beside) runOnce(ctx context.Context, g control.Gateway) error {
	dir := b.dir.beside(g.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return model.Errorf(model.Unavailable, "the directory of gateway %s cannot be made: %v", g.Name, err)
	}
	token := filepath.Join(dir, "token-"+b.cfg.Node) // of the node, which is called as the one in this process
	if err := b.admit(ctx, g.Name, token); err != nil {
		return err
	}
	name, args, err := besideProgram()
	if err != nil {
		return err
	}
	counters, keep := b.counters(ctx, g)
	defer keep()
	cmd := exec.Command(name, args...)
	cmd.Env = b.environment(g, dir, token, counters)
	cmd.SysProcAttr = childAttr()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var printing sync.WaitGroup
	printing.Go(func() { b.print(g.Name, r) })
	defer printing.Wait()
	defer w.Close()
	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel tells a child of its thread's end, not of its parent's
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	limit := time.NewTimer(b.drain() + 5*time.Second)
	defer limit.Stop()
	select {
	case err := <-ended:
		return err
	case <-limit.C:
		_ = cmd.Process.Kill() // what it has counted is in its journal, for the next start
		return <-ended
	}
}

// drain is how long calls in flight may take at a stop: half of the time that there is,
// because the gateway in this process stops after them.
func (b *beside) drain() time.Duration { return b.cfg.DrainTimeout / 2 }

// admit makes sure of the node's token: it is made once, and kept beside its journal.
func (b *beside) admit(ctx context.Context, gateway, file string) error {
	kept, err := os.ReadFile(file)
	token := strings.TrimSpace(string(kept))
	if errors.Is(err, os.ErrNotExist) || err == nil && token == "" {
		token = control.NewNodeToken()
		err = os.WriteFile(file, []byte(token+"\n"), 0o600)
	}
	if err != nil {
		return model.Errorf(model.Unavailable, "the token of gateway %s: %v", gateway, err)
	}
	return b.plane.AdmitNodeToken(ctx, control.Operator(), gateway, b.cfg.Node, token)
}

// besideProgram is the data plane alone, where it is installed beside this program, and
// else this program.
func besideProgram() (name string, args []string, err error) {
	me, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	if alone := filepath.Join(filepath.Dir(me), "tollgate-gateway"); filepath.Base(me) == "tollgate" {
		if at, err := os.Stat(alone); err == nil && at.Mode().IsRegular() && at.Mode()&0o111 != 0 {
			return alone, nil, nil
		}
	}
	return me, []string{"gateway"}, nil
}

// counters is where a gateway asks for hard throttles: a dedicated one as a user of its own,
// who reaches its tenant's buckets alone, with a password that goes with the process. The
// server is told of that user again and again until stop, for it may be away, or forget; until
// it knows, plans with hard throttles are refused there.
func (b *beside) counters(ctx context.Context, g control.Gateway) (address string, stop func()) {
	if b.cfg.RedisURL == "" || g.Kind != control.KindDedicated {
		return b.cfg.RedisURL, func() {}
	}
	password := rand.Text()
	share := func() (string, error) {
		return shareCounters(ctx, b.cfg.RedisURL, g, password)
	}
	address, err := share()
	if err != nil {
		b.log.Warn("a dedicated gateway cannot use the counters of hard throttles yet; plans that have them are refused there", "gateway", g.Name, "err", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(besideShare)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = share() // away: the gateway finds that out by itself, and refuses
			}
		}
	}()
	return address, func() {
		cancel()
		<-ended
	}
}

// environment has what a node is set by, as here, and nothing else of this process's.
func (b *beside) environment(g control.Gateway, dir, token, counters string) []string {
	own := map[string]string{
		"TOLLGATE_FEED_URL": b.feed, "TOLLGATE_NODE_TOKEN_FILE": token, "TOLLGATE_NODE": b.cfg.Node, "TOLLGATE_DATA_DIR": dir,
		"TOLLGATE_GATEWAY_ADDR": g.Addr, "TOLLGATE_GATEWAY_TLS_ADDR": g.TLSAddr, "TOLLGATE_ADMIN_ADDR": "127.0.0.1:0",
		"TOLLGATE_UPSTREAM_ALLOW": cmp.Or(joined(b.cfg), "none"), "TOLLGATE_NODE_TOKEN": "",
		"TOLLGATE_DRAIN_TIMEOUT": b.drain().String(), "TOLLGATE_REDIS_URL": counters, "TOLLGATE_REDIS_URL_FILE": "",
	}
	plain := []string{"PATH", "HOME", "TZ", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "SSL_CERT_FILE", "SSL_CERT_DIR"}
	var out []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		_, set := own[name]
		if !set && (slices.Contains(plain, name) || process.Knows(name)) {
			out = append(out, v)
		}
	}
	for name, v := range own {
		if v != "" {
			out = append(out, name+"="+v)
		}
	}
	return out
}

func joined(cfg *Config) string {
	allow := make([]string, len(cfg.allow))
	for i, p := range cfg.allow {
		allow[i] = p.String()
	}
	return strings.Join(allow, ",")
}

// print puts what a gateway's process prints into the log.
func (b *beside) print(gateway string, from io.Reader) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 4096), 64<<10)
	for lines.Scan() {
		b.log.Info(lines.Text(), "gateway", gateway)
	}
	_, _ = io.Copy(io.Discard, from) // a line that is too long must not stop it
	if err := lines.Err(); err != nil {
		b.log.Warn("what a gateway prints is not shown any more", "gateway", gateway, "err", fmt.Sprint(err))
	}
}
