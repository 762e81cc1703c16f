// Package cli is the specification of the command line: short scripts that a
// user could type, in testdata/*.txt, with what comes out. The program is the
// real one but for synth, which writes what it was asked to draw into
// $CDK_OUTDIR/deployments.json, so that no Node is needed.
package cli

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keywatch/constructs/spec"
	"keywatch/internal/cli"
	"keywatch/internal/live"
	"keywatch/test/fakeaws"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keywatch": keywatch})
}

func keywatch() {
	world := cli.World{
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, ReadFile: os.ReadFile,
		Open: open,
		Witness: func(ctx context.Context, t cli.Target) (cli.Witness, error) {
			return live.Open(ctx, live.Options{Region: t.Region, Notice: t.Notice, Now: time.Now, MaxAttempts: 2, MaxBackoff: time.Millisecond, Rates: unlimited()})
		},
		Now:           clock,
		Hint:          live.Hint,
		Actions:       live.Actions,
		FrozenActions: live.FrozenActions,
		Synth:         draw,
		Version:       "v0.0.0-test",
	}
	os.Exit(world.Run(context.Background(), os.Args[1:]))
}

func open(ctx context.Context, t cli.Target) (cli.Source, error) {
	return live.Open(ctx, live.Options{Region: t.Region, Role: t.Role, Notice: t.Notice, Getenv: os.Getenv, Now: time.Now, MaxAttempts: 2, MaxBackoff: time.Millisecond, Rates: unlimited()})
}

// clock is $NOW, or else $LATER ahead of that of the machine.
func clock() time.Time {
	if now, err := time.Parse(time.RFC3339, os.Getenv("NOW")); err == nil {
		return now
	}
	ahead, _ := time.ParseDuration(os.Getenv("LATER"))
	return time.Now().Add(ahead)
}

// unlimited are rates that a page a key does not reach.
func unlimited() map[string]float64 {
	rates := live.DefaultRates()
	for op := range rates {
		rates[op] = 1e6
	}
	return rates
}

func draw(_ context.Context, deployments []spec.Deployment, dir string) error {
	data, err := json.Marshal(deployments)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "deployments.json"), data, 0o600)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		// UPDATE=1 go test ./test/cli writes what came out into the scripts.
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// Nothing of this machine's AWS settings reaches a script.
			for _, v := range []string{
				"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
			} {
				name, value, _ := strings.Cut(v, "=")
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"account": account, "confirm": confirm, "exits": exits},
	})
}

// account FILE [FAULT]: the credentials of the script are of an account with
// what the JSON file says, served a key a page; the optional fault is
// OPERATION=KIND and lasts.
func account(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: account FILE [OPERATION=KIND]")
	}
	var state fakeaws.State
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &state))
	srv, err := fakeaws.New(state, fakeaws.PageSize(1))
	ts.Check(err)
	ts.Defer(func() { srv.Close() })
	if len(args) == 2 {
		op, kind, _ := strings.Cut(args[1], "=")
		k, ok := map[string]fakeaws.Kind{"denied": fakeaws.AccessDenied, "expired": fakeaws.ExpiredToken, "throttled": fakeaws.Throttle, "cut": fakeaws.Cut, "reset": fakeaws.Reset}[kind]
		if !ok {
			ts.Fatalf("unknown fault %q", kind)
		}
		srv.Fail(fakeaws.Fault{Operation: op, Kind: k, Times: fakeaws.Forever})
	}
	for _, v := range srv.Env() {
		name, value, _ := strings.Cut(v, "=")
		ts.Setenv(name, value)
	}
}

// confirm STATUS DIR [FLAG...]: sla file with the SHA-256 of the folder's manifest ends with
// this status.
func confirm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: confirm STATUS DIR [FLAG...]")
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(ts.ReadFile(filepath.Join(args[1], "manifest.json")))))
	exits(ts, false, append([]string{args[0], "keywatch", "sla", "file", args[1], "--confirm", hash}, args[2:]...))
}

// exits STATUS COMMAND...: the command ends with exactly this status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d\nstdout:\n%s\nstderr:\n%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}
