// App is keywatch with another fill limit, so that a few keys need several
// stacks. The end-to-end test runs it through the CDK CLI to see that nothing
// moves.
//
// $KEYWATCH_TEST_FILL is the number of resources that new units fill a stack to,
// $KEYWATCH_TEST_AHEAD how far the clock is ahead.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"keywatch/constructs/spec"
	"keywatch/internal/cli"
	"keywatch/internal/live"
	"keywatch/internal/plan"
	"keywatch/stacks"
)

func main() {
	stacks.DrawIfAsked()
	fill := plan.DefaultFill
	if s := os.Getenv("KEYWATCH_TEST_FILL"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			fmt.Fprintf(os.Stderr, "KEYWATCH_TEST_FILL=%q is no number\n", s)
			os.Exit(2)
		}
		fill.New.Resources = n
	}
	world := cli.World{
		Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, ReadFile: os.ReadFile,
		Open: func(ctx context.Context, t cli.Target) (cli.Source, error) {
			return live.Open(ctx, live.Options{Region: t.Region, Role: t.Role, Rates: t.Rates, Notice: t.Notice, Progress: t.Progress, Getenv: os.Getenv, Now: time.Now})
		},
		Hint: live.Hint,
		Synth: func(ctx context.Context, deployments []spec.Deployment, dir string) error {
			return stacks.SynthApart(ctx, deployments, dir, os.Stderr)
		},
		Now:  now,
		Fill: fill,
	}
	status := world.Run(context.Background(), os.Args[1:])
	stacks.Close()
	os.Exit(status)
}

func now() time.Time {
	ahead, _ := time.ParseDuration(os.Getenv("KEYWATCH_TEST_AHEAD"))
	return time.Now().Add(ahead)
}
