// Keywatch deploys CloudWatch anomaly alarms on the usage of every KMS key that
// a rule of the config takes. This file only wires the real world to internal/cli;
// start reading there.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"keywatch/constructs/spec"
	"keywatch/internal/cli"
	"keywatch/internal/live"
	"keywatch/internal/packed"
	"keywatch/stacks"
)

// version is set by make build.
var version = "dev"

func main() {
	packed.Restore()
	stacks.DrawIfAsked()
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, stop) // a second one kills, whatever the first waits for
	world := cli.World{
		Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv:   os.Getenv,
		ReadFile: reader(ctx),
		Now:      time.Now,
		Terminal: isatty.IsTerminal(os.Stderr.Fd()),
		Open: func(ctx context.Context, t cli.Target) (cli.Source, error) {
			return live.Open(ctx, live.Options{Region: t.Region, Role: t.Role, Rates: t.Rates, Notice: t.Notice, Progress: t.Progress, Getenv: os.Getenv, Now: time.Now})
		},
		Witness: func(ctx context.Context, t cli.Target) (cli.Witness, error) {
			return live.Open(ctx, live.Options{Region: t.Region, Notice: t.Notice, Getenv: os.Getenv, Now: time.Now})
		},
		Hint:          live.Hint,
		Actions:       live.Actions,
		FrozenActions: live.FrozenActions,
		Synth: func(ctx context.Context, deployments []spec.Deployment, dir string) error {
			return stacks.SynthApart(ctx, deployments, dir, os.Stderr)
		},
		Version: version,
	}
	status := world.Run(ctx, os.Args[1:])
	stacks.Close()
	stop()
	os.Exit(status)
}
