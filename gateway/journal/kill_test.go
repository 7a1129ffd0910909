package journal

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/model"
)

const childEnv = "JOURNAL_TEST_CHILD"

// TestMain lets this program be its own victim: as a child it is killed, or made
// to run into a full disk.
func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "calls":
		childCalls(os.Args[len(os.Args)-1])
	case "limited":
		childLimited(os.Args[len(os.Args)-1])
	case "cut":
		childCut(os.Args[len(os.Args)-1])
	}
}

func child(t *testing.T, what, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$", dir)
	c.Env = append(os.Environ(), childEnv+"="+what)
	return c
}

func childOpen(o Options) *Journal {
	j, err := Open(o)
	if err != nil {
		panic(err)
	}
	return j
}

// message is what a child writes; written is closed when it has left the process.
type message struct {
	content []byte
	written chan struct{}
}

// childCalls serves calls until it is killed: "a" and a call's id is its answer,
// "b" and a batch a hand-in, whose receipt is that the write returned.
func childCalls(dir string) {
	out := make(chan message, 64)
	j := childOpen(Options{Dir: dir, SegmentBytes: 256 << 10, Shards: 2, SealEvery: 5 * time.Millisecond, SyncEvery: 5 * time.Millisecond, Keep: keepAll,
		Ship: func(_ context.Context, p []byte) (r model.BatchReceipt, err error) {
			m := message{append(binary.LittleEndian.AppendUint32([]byte{'b'}, uint32(len(p))), p...), make(chan struct{})}
			out <- m
			<-m.written
			return r, nil
		}})
	for w := range 2 {
		go func() {
			r := sample(time.Now())
			for {
				m := message{written: make(chan struct{})}
				for range 16 {
					id := j.Begin(uint32(w))
					r.Time = time.Now().UnixMicro()
					if err := j.Append(id, &r); err != nil {
						panic(err)
					}
					m.content = append(append(m.content, 'a'), id[:]...)
				}
				out <- m
			}
		}()
	}
	for m := range out {
		if _, err := os.Stdout.Write(m.content); err != nil {
			os.Exit(1)
		}
		close(m.written)
	}
}

const keepAll = 1 << 40

// Killed again and again, at any moment, also while it recovers: every call whose
// answer left is on disk or was handed in, and no call counts twice.
func TestKill9(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	answered := map[CallID]bool{}
	s := newSink(t)
	for round := range rounds {
		c := child(t, "calls", dir)
		c.Stderr = io.Discard
		pipe, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReaderSize(pipe, 1<<20)
		if round%2 == 1 { // however long the machine takes to start it, there is something to lose
			_, _ = in.Peek(1)
		}
		timer := time.AfterFunc(time.Duration(20+rand.N(100+10*round))*time.Millisecond, func() { _ = c.Process.Kill() })
		listen(t, s, in, answered)
		timer.Stop()
		if err := c.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
	}
	j := open(t, Options{Dir: dir, Ship: s.ship, SealEvery: never, Keep: keepAll})
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	recorded := map[CallID]bool{}
	err := Scan(dir, func(b model.BootID, r Record) error {
		if id := IDOf(b, &r); recorded[id] {
			t.Errorf("call %s is recorded twice", id)
		} else {
			recorded[id] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for id := range answered {
		if !recorded[id] {
			lost++
		}
	}
	if lost > 0 || s.total() != uint64(len(recorded)) || len(answered) == 0 {
		t.Errorf("%d calls answered, %d of them lost; %d recorded, %d handed in", len(answered), lost, len(recorded), s.total())
	}
	if st := j.Stats(); st.Damaged != 0 || st.SetAside != 0 {
		t.Errorf("%+v", st)
	}
	t.Logf("rounds %d, answered %d, recorded and handed in %d", rounds, len(answered), s.total())
}

// listen reads a child's output until it dies: it notes the calls answered and
// gives batches to the sink. What was cut short by the kill did not arrive.
func listen(t *testing.T, s *sink, pipe io.Reader, answered map[CallID]bool) {
	in := bufio.NewReaderSize(pipe, 1<<20)
	for {
		what, err := in.ReadByte()
		if err != nil {
			return
		}
		if what == 'a' {
			var id CallID
			if _, err := io.ReadFull(in, id[:]); err != nil {
				return
			}
			answered[id] = true
			continue
		}
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		p := make([]byte, binary.LittleEndian.Uint32(size[:]))
		if _, err := io.ReadFull(in, p); err != nil {
			return
		}
		if _, err := s.ship(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
}

// childLimited runs into a limit on file sizes where a full disk would be.
func childLimited(dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	say := func(what string) { _, _ = os.Stdout.WriteString(what + "\n") }
	j := childOpen(Options{Dir: dir, SegmentBytes: 256 << 10, Shards: 1, SealEvery: never})
	limit := func(n uint64) {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			panic(err)
		}
		l.Cur = n
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			panic(err)
		}
	}
	limit(64 << 10)
	r := sample(time.Now())
	n := 0
	for ; n < 100_000; n++ {
		if err := j.Append(j.Begin(0), &r); err != nil {
			if errors.Is(err, errNoRoom) {
				say("no room")
			}
			break
		}
	}
	limit(unix.RLIM_INFINITY)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if err := j.Append(j.Begin(0), &r); err == nil {
			n++
			say("room again")
			break
		}
	}
	if err := j.Close(stopped()); err != nil {
		say(err.Error())
	}
	_ = binary.Write(os.Stdout, binary.LittleEndian, uint32(n))
}

// On a full disk calls are refused, none is lost, and it goes on when there is room.
func TestNoRoomOnDisk(t *testing.T) {
	dir := t.TempDir()
	c := child(t, "limited", dir)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	said := string(out[:max(0, len(out)-4)])
	if said != "no room\nroom again\n" {
		t.Fatalf("the child said %q", said)
	}
	n := binary.LittleEndian.Uint32(out[len(out)-4:])
	s := newSink(t)
	j := open(t, Options{Dir: dir, Ship: s.ship})
	if err := j.Close(t.Context()); err != nil || s.total() != uint64(n) || n < 1000 {
		t.Errorf("%d calls handed in (%v), %d accepted", s.total(), err, n)
	}
}

func childCut(dir string) {
	j := childOpen(Options{Dir: dir, SegmentBytes: 256 << 10, Shards: 1, SealEvery: never, SyncEvery: never})
	r := sample(time.Now())
	for i := range 200 {
		if i == 100 {
			if err := j.shards[0].cur.file.Truncate(headerSize); err != nil {
				panic(err)
			}
		}
		if err := j.Append(j.Begin(0), &r); err != nil {
			panic(err)
		}
	}
	_, _ = os.Stdout.WriteString("went on without a disk")
}

// A store that the disk cannot take ends the process; it must not go on serving.
func TestLostMappingIsFatal(t *testing.T) {
	c := child(t, "cut", t.TempDir())
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "SIGBUS") {
		t.Errorf("%v: %s", err, out)
	}
}
