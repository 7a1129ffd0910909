package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tollgate/bench/rig"
	"tollgate/bench/velocity"
	"tollgate/bench/velocity/order"
)

// velocityHint is how to get Velocity, and a Java that runs a source file.
const velocityHint = "apt-get install velocity libjackson2-databind-java default-jdk-headless"

// jars are what Bench.java needs, where Debian puts it.
var jars = []string{"velocity", "commons-lang", "commons-collections3", "jackson-core", "jackson-databind", "jackson-annotations"}

// rendered is what both programs print.
type rendered struct {
	Output       string  `json:"output"`
	Micros       float64 `json:"micros"`
	MicrosParsed float64 `json:"microsParsed"` // without reading the document
	Java         string  `json:"java"`
}

// velocity compares the template engine with Velocity 1.7 on the JVM, one after the
// other on the proxy's core. Where that is not installed it says so.
func (s *stage) velocity(ctx context.Context, w io.Writer) error {
	s.log("vtl: tollgate, then Velocity on the JVM")
	if err := errors.Join(s.write("template.vm", order.Template), s.write("Bench.java", velocity.Bench)); err != nil {
		return err
	}
	bin, err := s.rig.Build(ctx, "tollgate/bench/velocity/render")
	if err != nil {
		return err
	}
	ours, err := s.render(ctx, "render", []string{bin})
	if err != nil {
		return err
	}
	java, err := javaCommand(s.rig.Path("Bench.java"))
	if errors.Is(err, rig.ErrMissing) {
		fmt.Fprintf(w, "\nvtl 1 KB: tollgate %.1f us, velocity not measured: %v\n", ours.Micros, err)
		return nil
	}
	if err != nil {
		return err
	}
	theirs, err := s.render(ctx, "velocity", java)
	if err != nil {
		return err
	}
	if ours.Output != theirs.Output {
		return fmt.Errorf("the template makes of the document, of Tollgate:\n%s\nand of Velocity:\n%s", ours.Output, theirs.Output)
	}
	fmt.Fprintf(w, "\nvtl 1 KB: tollgate %.1f us, velocity %.1f us, ratio %.2f\n", ours.Micros, theirs.Micros, theirs.Micros/ours.Micros)
	fmt.Fprintf(w, "  Velocity 1.7 on %s, its JSON read by Jackson; %.1f us of a document that is read already.\n", theirs.Java, theirs.MicrosParsed)
	return nil
}

// javaCommand runs a source file with Velocity's classes.
func javaCommand(source string) ([]string, error) {
	bin, err := rig.Tool("java", velocityHint)
	if err != nil {
		return nil, err
	}
	var path []string
	for _, j := range jars {
		file := filepath.Join("/usr/share/java", j+".jar")
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("%s is %w: %s", file, rig.ErrMissing, velocityHint)
		}
		path = append(path, file)
	}
	return []string{bin, "-cp", strings.Join(path, ":"), source}, nil
}

// render runs one of the programs to its end.
func (s *stage) render(ctx context.Context, name string, command []string) (rendered, error) {
	p, err := s.rig.Start(rig.Command{Name: name, CPU: s.proxyCore,
		Args: append(command, s.rig.Path("template.vm"), s.rig.Path("document.json"), strconv.Itoa(s.o.secs))})
	if err != nil {
		return rendered{}, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return rendered{}, ctx.Err()
	}
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return rendered{}, err
	}
	var out rendered
	b = bytes.TrimSpace(b)
	b = b[bytes.LastIndexByte(b, '\n')+1:] // the JVM may have warned before
	if json.Unmarshal(b, &out) != nil || out.Micros <= 0 {
		return rendered{}, fmt.Errorf("%s measured nothing: %s", name, p.Tail())
	}
	return out, nil
}
