package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"keywatch/test/fakeaws"
)

// A pipe that nobody writes to keeps neither Ctrl-C nor SIGTERM nor the end of a
// terminal waiting.
func TestASignalEndsTheWaitForAPipe(t *testing.T) {
	app := binary(t, "keywatch", ".")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		for _, verb := range []string{"validate", "plan"} {
			t.Run(verb+", "+sig.String(), func(t *testing.T) {
				t.Parallel()
				pipe := filepath.Join(t.TempDir(), "pipe")
				if err := syscall.Mkfifo(pipe, 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(app, verb, "--config", pipe)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer cmd.Process.Kill() // of a test that failed
				end := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
				defer end.Stop()
				held, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when keywatch reads
				if err != nil {
					t.Fatal(err)
				}
				defer held.Close()
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				if status := cmd.ProcessState.ExitCode(); status != 3 || stderr.String() != "keywatch: error: interrupted; nothing was written\n" {
					t.Errorf("%v\n%s", cmd.ProcessState, &stderr)
				}
			})
		}
	}
}

// A pipe that ends is a config like any other, as in --config <(…); a snapshot
// cannot take the place of one, and does not try.
func TestPipesAreReadAndNotReplaced(t *testing.T) {
	app := binary(t, "keywatch", ".")
	out, err := exec.Command("bash", "-c", app+` validate --config <(echo "version: 1"; echo "rules: [{name: all, match: every, watch: false}]")`).CombinedOutput()
	if err != nil || !strings.Contains(string(out), ": valid: 1 rule") {
		t.Errorf("%v\n%s", err, out)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := fakeaws.Start(t, smallAccount())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // only if it reads the pipe
	defer cancel()
	cmd := exec.CommandContext(ctx, app, "snapshot", "-o", pipe)
	cmd.Dir, cmd.Env = filepath.Join("..", ".."), slices.Concat(os.Environ(), srv.Env())
	out, _ = cmd.CombinedOutput()
	if want := "--output is " + pipe + ", which is a pipe and no regular file: "; cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), want) || len(srv.Calls()) > 0 {
		t.Errorf("%v, calls %v\n%s", cmd.ProcessState, srv.Calls(), out)
	}
}

// What the first signal cannot end, a second one does: here a reader of stdout
// that does not read.
func TestASecondSignalKills(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(binary(t, "keywatch", "."), "schema") // more than a pipe holds
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	end := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer end.Stop()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil { // it writes
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-ended:
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v", cmd.ProcessState)
			}
			return
		case <-time.After(time.Millisecond): // two at once would be one
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
}

// A terminal's end does not end what nohup started.
func TestNohupIsKept(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", `trap "" HUP; exec "$0" validate --config "$1"`, binary(t, "keywatch", "."), pipe)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer end.Stop()
	config, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, mask, _ := strings.Cut(string(status), "SigIgn:\t")
	mask, _, _ = strings.Cut(mask, "\n")
	if ignored, err := strconv.ParseUint(mask, 16, 64); err != nil || ignored&(1<<(syscall.SIGHUP-1)) == 0 {
		t.Errorf("it ignores the signals %q, SIGHUP not among them (%v)", mask, err)
	}
	if _, err := io.WriteString(config, "version: 1\nrules: [{name: all, match: every, watch: false}]\n"); err != nil {
		t.Error(err)
	}
	config.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

// A verb that draws nothing needs no temporary directory: jsii does not unpack
// itself for it. Synth, which needs one, says so.
func TestOnlySynthNeedsATemporaryDirectory(t *testing.T) {
	app := binary(t, "keywatch", ".")
	srv := fakeaws.Start(t, smallAccount())
	run := func(args ...string) (int, string) {
		cmd := exec.Command(app, args...)
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"TMPDIR=/nonexistent", "CDK_OUTDIR=" + filepath.Join(t.TempDir(), "out")})
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	for _, args := range []string{"version", "validate", "schema", "help", "permissions", "plan", "explain alias/key-1", "snapshot -o -"} {
		if status, out := run(strings.Fields(args)...); status != 0 {
			t.Errorf("%s: exit status %d\n%s", args, status, out)
		}
	}
	if status, out := run(); status != 3 || !strings.Contains(out, "keywatch: error: synth: make a temporary directory, which TMPDIR can move: ") || strings.Contains(out, "panic") {
		t.Errorf("exit status %d\n%s", status, out)
	}
}
