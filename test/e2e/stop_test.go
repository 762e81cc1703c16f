package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"keywatch/test/fakeaws"
)

// staged is a synth in a process group of its own, as a shell gives it, whose
// Node tells what it does (testdata/stage.cjs).
type staged struct {
	t       *testing.T
	cmd     *exec.Cmd
	stderr  bytes.Buffer
	temp    string // TMPDIR
	outdir  string
	hold    *os.File
	reached chan bool // closed when the stage is reached
	exited  chan bool // closed when the synth has exited
	ended   chan bool // closed when every Node has, too

	mu   sync.Mutex
	pids []int // of the processes below
}

// startStaged starts a synth that stops at a stage; "": at none. The output
// directory is a copy of former, or, if that is "", it is not there, nor its
// parent.
func startStaged(t *testing.T, app, stage, former string, env ...string) *staged {
	t.Helper()
	dir := t.TempDir()
	s := &staged{
		t: t, temp: filepath.Join(dir, "tmp"), outdir: filepath.Join(dir, "new", "cdk.out"),
		reached: make(chan bool), exited: make(chan bool), ended: make(chan bool),
	}
	if err := os.Mkdir(s.temp, 0o700); err != nil {
		t.Fatal(err)
	}
	if former != "" {
		if err := os.CopyFS(s.outdir, os.DirFS(former)); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	// Held open, the pipe does not end before the first Node has come.
	var err error
	if s.hold, err = os.OpenFile(pipe, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	told, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	go s.listen(told)

	srv := fakeaws.Start(t, smallAccount())
	if stage == "keys are read" {
		srv.Fail(fakeaws.Fault{Operation: "kms:ListKeys", Kind: fakeaws.Slow, Delay: time.Hour, Change: func(*fakeaws.State) { close(s.reached) }})
	}
	script, err := filepath.Abs("testdata/stage.cjs")
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(dir, "node")
	if err := os.WriteFile(node, []byte("#!/bin/sh\n"+
		`if [ "$1 $STAGE" = "--version Node is asked its version" ]; then echo "process $$ of $PPID" >$STAGE_PIPE; echo reached >$STAGE_PIPE; exec sleep 3600; fi`+"\n"+
		`exec node "$@"`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(app)
	s.cmd.Dir = filepath.Join("..", "..")
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{
		"TMPDIR=" + s.temp, "CDK_OUTDIR=" + s.outdir, "CDK_VALIDATION=false", "JSII_NODE=" + node,
		"NODE_OPTIONS=--require=" + script, "STAGE=" + stage, "STAGE_PIPE=" + pipe,
	}, env)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		s.hold.Close()
		close(s.exited)
	}()
	t.Cleanup(func() { // of a test that failed
		s.cmd.Process.Kill()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, pid := range s.pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return s
}

// listen reads what Node tells.
func (s *staged) listen(told *os.File) {
	defer close(s.ended)
	defer told.Close()
	for lines := bufio.NewScanner(told); lines.Scan(); {
		var pid, parent int
		if _, err := fmt.Sscanf(lines.Text(), "process %d of %d", &pid, &parent); err == nil {
			s.mu.Lock()
			s.pids = append(s.pids, pid, parent)
			s.mu.Unlock()
		} else {
			close(s.reached)
		}
	}
}

// reach waits for the stage.
func (s *staged) reach() {
	s.t.Helper()
	select {
	case <-s.reached:
	case <-s.exited:
		s.t.Fatalf("it ended before that stage:\n%s", &s.stderr)
	}
}

// exit waits for the end and returns the exit status.
func (s *staged) exit() int {
	<-s.exited
	return s.cmd.ProcessState.ExitCode()
}

// leftNothing says that at the end no process is left, nor anything in the
// temporary directory, and that the output directory is what former is.
func (s *staged) leftNothing(former string) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second): // only if a Node is left
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pid := range append(s.pids, -s.cmd.Process.Pid) {
		if pid != s.cmd.Process.Pid && alive(pid) {
			s.t.Errorf("process (group: -) %d is left", pid)
		}
	}
	if left, err := os.ReadDir(s.temp); err != nil || len(left) > 0 {
		s.t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
	if former == "" {
		if _, err := os.Stat(filepath.Dir(s.outdir)); !errors.Is(err, fs.ErrNotExist) {
			s.t.Errorf("the parent of the output directory is there: %v", err)
		}
	} else if got := hashes(s.t, s.outdir); !maps.Equal(got, hashes(s.t, former)) {
		s.t.Errorf("the output directory has changed: %v", slices.Sorted(maps.Keys(got)))
	}
}

// alive says whether a process or group is there. One that has ended, and that
// the system has not buried yet, is not.
func alive(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return syscall.Kill(pid, 0) == nil && !bytes.Contains(stat, []byte(") Z "))
}

// A synth that is interrupted ends with one message and leaves nothing, whatever
// it was about: a Ctrl-C, which a terminal sends to the group, and a SIGTERM to
// the process alone.
func TestAnInterruptedSynthLeavesNothing(t *testing.T) {
	app := binary(t, "keywatch", ".")
	former := formerAssembly(t)
	undisturbed := startStaged(t, app, "", "")
	if status := undisturbed.exit(); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, &undisturbed.stderr)
	}
	for _, stage := range []string{
		"keys are read", "Node is asked its version", "Node starts", "the kernel starts", "the CDK is loaded",
		"constructs are drawn", "the assembly is written",
	} {
		for _, how := range []string{"interrupt", "terminated"} {
			for name, dir := range map[string]string{"into a new directory": "", "over a former assembly": former} {
				t.Run(fmt.Sprintf("%s, %s, %s", stage, how, name), func(t *testing.T) {
					t.Parallel()
					s := startStaged(t, app, stage, dir)
					s.reach()
					to, sig := -s.cmd.Process.Pid, syscall.SIGINT
					if how == "terminated" {
						to, sig = s.cmd.Process.Pid, syscall.SIGTERM
					}
					if err := syscall.Kill(to, sig); err != nil {
						t.Fatal(err)
					}
					if status := s.exit(); status != 3 {
						t.Errorf("exit status %d, want 3", status)
					}
					s.leftNothing(dir)
					want := undisturbed.stderr.String() + "keywatch: error: synth: " + how + " signal received; " + s.outdir + " is as it was\n"
					if stage == "keys are read" {
						want = "keywatch: error: interrupted; nothing was written\n"
					}
					if got := s.stderr.String(); got != want {
						t.Errorf("stderr is\n%s\nwant\n%s", got, want)
					}
				})
			}
		}
	}
}

// What Node says when it fails by itself stays visible, and it leaves no more
// than an interrupted one.
func TestANodeThatCrashesIsHeard(t *testing.T) {
	app := binary(t, "keywatch", ".")
	former := formerAssembly(t)
	for _, stage := range []string{"the kernel starts", "constructs are drawn", "the assembly is written"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := startStaged(t, app, stage, former, "STAGE_CRASH=yes")
			if status := s.exit(); status != 3 {
				t.Errorf("exit status %d, want 3", status)
			}
			s.leftNothing(former)
			for _, want := range []string{"trouble in Node\n", "\nkeywatch: error: synth: "} {
				if !strings.Contains(s.stderr.String(), want) {
					t.Errorf("stderr lacks %q:\n%s", want, &s.stderr)
				}
			}
		})
	}
}

// A drawing process that is killed, by the system for its memory say, has said
// nothing, so nobody is sent to look for it. If it is Node, jsii says so, without
// an end of the line.
func TestADrawingProcessThatIsKilledIsSaid(t *testing.T) {
	app := binary(t, "keywatch", ".")
	former := formerAssembly(t)
	for i, want := range []string{ // the first Node and its parent
		"Runtime process exited abnormally: signal: killed\nkeywatch: error: synth: no response received from child process\n",
		"a month\nkeywatch: error: synth: the process that draws the stacks said nothing and ended with signal: killed; if nobody killed it, look whether the system has too little memory\n",
	} {
		s := startStaged(t, app, "constructs are drawn", former)
		s.reach()
		s.mu.Lock()
		pid := s.pids[i]
		s.mu.Unlock()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if status := s.exit(); status != 3 {
			t.Errorf("exit status %d, want 3", status)
		}
		s.leftNothing(former)
		if !strings.HasSuffix(s.stderr.String(), want) {
			t.Errorf("stderr is\n%s\nwant at its end\n%s", &s.stderr, want)
		}
	}
}

// If keywatch is killed, which it cannot answer, Node still ends.
func TestNodeEndsWithAKilledKeywatch(t *testing.T) {
	s := startStaged(t, binary(t, "keywatch", "."), "constructs are drawn", "")
	s.reach()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second): // only if it does not
		t.Error("Node is left")
	}
}

// A synth that is not interrupted writes the same bytes whatever was there, and
// leaves alone what else there is: the CDK CLI keeps its locks in its directory.
func TestASynthReplacesAFormerAssembly(t *testing.T) {
	app := binary(t, "keywatch", ".")
	former := formerAssembly(t)
	var got [2]map[string]string
	for i, dir := range []string{"", former} {
		s := startStaged(t, app, "", dir)
		if status := s.exit(); status != 0 {
			t.Fatalf("exit status %d:\n%s", status, &s.stderr)
		}
		got[i] = hashes(t, s.outdir)
		if left, err := os.ReadDir(s.temp); err != nil || len(left) > 0 {
			t.Errorf("left in the temporary directory: %v, %v", left, err)
		}
	}
	if len(got[0]) < 4 || got[0]["manifest.json"] == "" {
		t.Fatalf("the assembly has only %v", got[0])
	}
	was := hashes(t, former)
	if got[0]["manifest.json"] == was["manifest.json"] {
		t.Fatal("the former assembly is not another one")
	}
	for _, own := range []string{"synth.lock", "mine.txt"} {
		if got[1][own] != was[own] {
			t.Errorf("%s has changed", own)
		}
		delete(got[1], own)
	}
	if !maps.Equal(got[0], got[1]) {
		t.Errorf("in a new directory %v, over a former assembly %v", got[0], got[1])
	}
}

// formerAssembly is a directory with an assembly that a synth would replace, and
// with files of others.
func formerAssembly(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"manifest.json", "cdk.out", "synth.lock", "mine.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("former "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
