package stacks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"keywatch/constructs/spec"
)

// drawing is the only argument of a process that [SynthApart] started.
const drawing = "draw-for-keywatch"

// order is what that process reads from its stdin.
type order struct {
	Deployments []spec.Deployment
	Outdir      string
}

// SynthApart is [Synth] in a process of its own, with all or nothing: the
// assembly comes into dir when it is whole, and until then, or if ctx ends
// first, dir is what it was before. The program's main begins with
// [DrawIfAsked].
//
// A Ctrl-C reaches every process of a terminal's foreground group. Node, in that
// group, would die of it by itself, leave its temporary directory behind, and
// print what it thinks of its parent; a SIGTERM, on the other hand, reaches
// keywatch alone, and jsii offers no way to end a Node that is at work. So jsii
// and Node run in a group of their own, with a temporary directory of their own:
// when ctx ends, the group is killed, and the directory removed. If this process
// is killed itself, the group notices.
//
// What they print goes to stderr.
func SynthApart(ctx context.Context, deployments []spec.Deployment, dir string, stderr io.Writer) (err error) {
	unmake, err := makeDir(dir)
	if err != nil {
		return fmt.Errorf("synth: make the output directory: %w", err)
	}
	defer func() {
		if err != nil {
			unmake()
		}
	}()
	// In dir, which may be the only place on its file system that we can write to.
	assembly, err := os.MkdirTemp(dir, ".keywatch-*")
	if err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(assembly)) }()
	temp, err := os.MkdirTemp("", "keywatch-*")
	if err != nil {
		return fmt.Errorf("synth: make a temporary directory, which TMPDIR can move: %w", err)
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(temp)) }()

	err = draw(ctx, order{deployments, assembly}, temp, stderr)
	if ctx.Err() != nil { // from here on it is too late to stop
		return fmt.Errorf("synth: %w; %s is as it was", context.Cause(ctx), dir)
	}
	if err != nil {
		return err
	}
	if err := moveAll(assembly, dir); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	return nil
}

// draw runs the process and returns when it and Node have ended.
func draw(ctx context.Context, o order, temp string, stderr io.Writer) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, drawing)
	// Set even if empty: only then jsii unpacks itself, see internal/packed.
	cmd.Env = append(cmd.Environ(), "JSII_RUNTIME="+os.Getenv("JSII_RUNTIME"))
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} { // of Unix, and of Windows
		cmd.Env = append(cmd.Env, name+"="+temp)
	}
	cmd.SysProcAttr = ownGroup()
	var answer bytes.Buffer
	// Through a pipe: a terminal may stop a group in the background that writes.
	heard := &listener{to: stderr}
	cmd.Stdout, cmd.Stderr = &answer, heard
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	_, unread := stdin.Write(data) // and stays open
	err = cmd.Wait()
	if err != nil { // Node may have outlived it
		_ = killGroup(cmd.Process.Pid)
		awaitGroup(cmd.Process.Pid)
	}
	if heard.last != 0 && heard.last != '\n' { // as jsii ends
		fmt.Fprintln(stderr)
	}
	switch {
	case answer.Len() > 0:
		return errors.New(answer.String())
	case err != nil && heard.last != 0:
		return fmt.Errorf("synth: the process that draws the stacks failed, see what it says above: %w", err)
	case err != nil:
		return fmt.Errorf("synth: the process that draws the stacks said nothing and ended with %w; if nobody killed it, look whether the system has too little memory", err)
	case unread != nil:
		return fmt.Errorf("synth: %w", unread)
	}
	return nil
}

// listener passes on what is said, and knows its last byte: 0 is silence.
type listener struct {
	to   io.Writer
	last byte
}

func (l *listener) Write(text []byte) (int, error) {
	if len(text) > 0 {
		l.last = text[len(text)-1]
	}
	return l.to.Write(text)
}

// DrawIfAsked is the other side of [SynthApart]: in the process that it started,
// it draws and exits. In any other it returns.
func DrawIfAsked() {
	if !slices.Equal(os.Args[1:], []string{drawing}) {
		return
	}
	// What Node prints is no answer.
	answer := os.Stdout
	os.Stdout = os.Stderr
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		fmt.Fprintf(os.Stderr, "%s is not a verb of yours: %v\n", drawing, err)
		Close()
		os.Exit(1)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin) // until keywatch has ended
		killOwnGroup()
	}()
	err := Synth(o.Deployments, Options{Outdir: o.Outdir})
	Close()
	if err != nil {
		fmt.Fprint(answer, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// makeDir makes a directory with its parents, and returns what removes those
// again that it made.
func makeDir(dir string) (unmake func(), err error) {
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, os.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	unmake = func() {
		for _, d := range made {
			os.Remove(d) // not if somebody else put something there
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		unmake()
		return nil, err
	}
	return unmake, nil
}

// moveAll moves the files of an assembly, which has no directories, into
// another. What else is there stays: the CDK CLI keeps its locks in it. The
// manifest, which names the others, comes last.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, e := range entries {
			if (e.Name() == "manifest.json") != last {
				continue
			}
			if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
