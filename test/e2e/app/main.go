// App is keywatch with two things that the product does not have yet: places of
// deployed units from a file, and another fill limit. The end-to-end test runs
// it through the CDK CLI to see that nothing moves.
//
// $KEYWATCH_TEST_PLACES is a JSON file {"units": {ID: stack number}, "stacks":
// [numbers]}; $KEYWATCH_TEST_FILL is the number of resources that new units
// fill a stack to.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/cli"
	"keywatch/internal/live"
	"keywatch/internal/plan"
	"keywatch/stacks"
)

func main() {
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
		Open: func(ctx context.Context, region string) (cli.Source, error) {
			return live.Open(ctx, live.Options{Region: region, Now: time.Now})
		},
		Hint: live.Hint,
		Synth: func(deployments []spec.Deployment, dir string) error {
			return stacks.Synth(deployments, stacks.Options{Outdir: dir})
		},
		Places: func(context.Context, *config.Config, string, string) (plan.Places, error) {
			return places(os.Getenv("KEYWATCH_TEST_PLACES"))
		},
		Fill: fill,
	}
	status := world.Run(context.Background(), os.Args[1:])
	stacks.Close()
	os.Exit(status)
}

func places(path string) (plan.Places, error) {
	if path == "" { // nothing is deployed
		return plan.Places{Known: true}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return plan.Places{}, err
	}
	p := plan.Places{Known: true}
	return p, json.Unmarshal(data, &p)
}
