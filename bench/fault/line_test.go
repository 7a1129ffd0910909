package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// A partition says nothing to either side; what comes after it depends on how it ends.
func TestLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					fmt.Fprintf(c, "you said %s\n", s.Text())
				}
			}()
		}
	}()
	n, err := startLine(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c net.Conn, word string, within time.Duration) (string, error) {
		if word != "" {
			if _, err := fmt.Fprintln(c, word); err != nil {
				return "", err
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(within))
		s, err := bufio.NewReader(c).ReadString('\n')
		return s, err
	}
	const soon, long = 50 * time.Millisecond, 10 * time.Second
	for how, name := range []string{late: "late", dead: "dead", snapped: "snapped"} {
		c := dial()
		if got, err := ask(c, "a", long); got != "you said a\n" {
			t.Fatalf("%s: %q %v", name, got, err)
		}
		n.hold()
		if got, err := ask(c, "b", soon); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: held, and answered %q %v", name, got, err)
		}
		fresh := dial() // is taken by the kernel, and hears nothing either
		if got, err := ask(fresh, "c", soon); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: a new connection heard %q %v", name, got, err)
		}
		n.heal(how)
		switch got, err := ask(c, "", map[bool]time.Duration{true: soon, false: long}[how == dead]); how {
		case late:
			if got != "you said b\n" {
				t.Errorf("late: %q %v", got, err)
			}
		case dead:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("dead: %q %v", got, err)
			}
		case snapped:
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("snapped: %q %v", got, err)
			}
		}
		if got, err := ask(dial(), "d", long); got != "you said d\n" {
			t.Errorf("%s: after it, %q %v", name, got, err)
		}
	}
}
