package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"tollgate/bench/rig"
)

// The gateways' wall clocks are stepped in the only place where all of a program's readings
// come by: the copy of Go's time.Now that their build is given in place of Go's own. The
// program itself has no setting for it, and its monotonic clock goes on as ever, as after a
// step of a real clock.
const (
	clockRead  = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	clockStep  = "\tsec += stepped.Load()\n"
	clockFile  = "FAULT_CLOCK"
	clockSteps = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// stepped is by how many seconds the clock is wrong: the 8 bytes of a file.
var stepped = func() *atomic.Int64 {
	path, ok := syscall.Getenv("` + clockFile + `")
	if !ok {
		return new(atomic.Int64)
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		panic(path + ": " + err.Error())
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(path + ": " + err.Error())
	}
	return (*atomic.Int64)(unsafe.Pointer(&b[0]))
}()
`
)

// clockFlags are what go build needs to make a program whose clock can be stepped.
func clockFlags(r *rig.Rig) ([]string, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("clocks are stepped on Linux only, this is %s: run with -clocks=false", runtime.GOOS)
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	dir := strings.TrimSpace(string(out)) + "/src/time/"
	own, err := os.ReadFile(dir + "time.go")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(own), clockRead) {
		return nil, fmt.Errorf("this Go's time.Now reads the clock otherwise than the one known: look at clockRead, or run with -clocks=false")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{dir + "time.go": r.Path("time.go"), dir + "stepped.go": r.Path("stepped.go")}})
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"time.go": strings.Replace(string(own), clockRead, clockRead+clockStep, 1), "stepped.go": clockSteps, "overlay.json": string(overlay)} {
		if err := os.WriteFile(r.Path(name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return []string{"-overlay", r.Path("overlay.json")}, nil
}

// clock is one gateway's.
type clock struct{ f *os.File }

func newClock(path string) (*clock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	c := &clock{f}
	return c, c.set(0)
}

// set makes the clock wrong by so much, in whole seconds.
func (c *clock) set(d time.Duration) error {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], uint64(d/time.Second))
	_, err := c.f.WriteAt(b[:], 0)
	return err
}

// inMonth says that a clock which is wrong by d shows no other month than the right one: at
// a month's end there is another quota, and another invoice.
func inMonth(d time.Duration) bool {
	now := time.Now().UTC()
	return now.Month() == now.Add(d).Month()
}

// stepper steps a gateway's clock now and then, forward, backward and right again.
func (w *world) stepper(ctx context.Context, rnd *rand.Rand, c *clock) error {
	defer c.set(0) //nolint:errcheck // the run is over where it cannot be
	for pause(ctx, random(rnd, 4*w.o.killEvery)) {
		by := []time.Duration{time.Hour, -time.Hour, 5 * time.Minute, -5 * time.Minute, 2 * time.Second, -2 * time.Second}[rnd.IntN(6)]
		if !inMonth(by) {
			continue
		}
		w.fast.RLock()
		err := c.set(by)
		if err == nil {
			w.steps.Add(1)
			pause(ctx, random(rnd, w.o.killEvery))
			err = c.set(0)
		}
		w.fast.RUnlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// hour passes on all gateways' clocks within a few seconds, while what calls it has taken
// away what they need; back, when it ends, steps them to the right time again.
func (w *world) hour(ctx context.Context) (back func() error, err error) {
	if len(w.clocks) == 0 || !inMonth(time.Hour) {
		return func() error { return nil }, nil
	}
	w.log("an hour passes without Postgres")
	w.fast.Lock()
	set := func(d time.Duration) (err error) {
		for _, c := range w.clocks {
			if e := c.set(d); e != nil {
				err = e
			}
		}
		return err
	}
	for m := 1; m <= 60; m++ {
		if err := set(time.Duration(m) * time.Minute); err != nil {
			return nil, err
		}
		pause(ctx, 50*time.Millisecond)
	}
	w.steps.Add(2)
	w.hours.Add(1)
	return func() error {
		defer w.fast.Unlock()
		return set(0)
	}, nil
}
