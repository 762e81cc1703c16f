package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/test/bench/workload"
	"keywatch/test/fakeaws"
)

// The things that are measured at each size, in the order in which they take
// turns.
const (
	goSide  = "keywatch"
	jsSide  = "JavaScript"
	reading = "keywatch-plan" // reads and decides, draws nothing
)

func synthName(alarms int, validation bool, side string) string {
	return fmt.Sprintf("Synth/alarms=%d/validation=%t/%s", alarms, validation, side)
}

func readName(alarms int) string { return fmt.Sprintf("Read/alarms=%d/%s", alarms, reading) }

// shapeOf is the account for a number of alarms: each key has four and is
// watched. There is no dashboard, since the other side has none.
func shapeOf(alarms int) workload.Shape {
	keys := alarms / workload.OperationsPerKey
	return workload.Shape{Keys: keys, Watched: keys, Rules: min(50, keys), NoDashboard: true}
}

// synth measures every size.
func synth(ctx context.Context, o options, progress io.Writer) ([]measurement, error) {
	if err := missing(o.root); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "keywatch-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(progress, "bench: warming up: the first run of each side unpacks and compiles")
	if _, err := measureSize(ctx, options{root: o.root, runs: 1}, dir, workload.OperationsPerKey, io.Discard); err != nil {
		return nil, err
	}
	var all []measurement
	for _, alarms := range o.sizes {
		found, err := measureSize(ctx, o, dir, alarms, progress)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// missing names what a run needs and has not.
func missing(root string) error {
	var errs []error
	for _, need := range []struct{ path, fix string }{
		{"bin/keywatch", "make bin/keywatch"},
		{"node_modules/.bin/node", "npm ci"},
		{"test/bench/js/node_modules/aws-cdk-lib/package.json", "npm ci --prefix test/bench/js"},
	} {
		if _, err := os.Stat(filepath.Join(root, need.path)); errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("missing: %s in %s; run `%s` there, or `make bench`, which does", need.path, root, need.fix))
		}
	}
	return errors.Join(errs...)
}

// size is one number of alarms, ready to be measured.
type size struct {
	options
	alarms     int
	dir        string // holds what both sides are given
	aws        *fakeaws.Server
	deployment string // file
	progress   io.Writer
}

func measureSize(ctx context.Context, o options, parent string, alarms int, progress io.Writer) ([]measurement, error) {
	s := &size{options: o, alarms: alarms, progress: progress, dir: filepath.Join(parent, fmt.Sprint(alarms))}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	defer s.aws.Close()
	var all []measurement
	for i := range o.runs {
		for _, validation := range []bool{true, false} {
			fmt.Fprintf(progress, "bench: synth of %d alarms, validation %s, run %d of %d\n", alarms, onOff(validation), i+1, o.runs)
			found, err := s.turn(ctx, validation)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		m, err := measure(readName(alarms), command(ctx, s.dir, s.aws.Env(), s.keywatch(), s.args("plan")...))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// prepare writes the config, starts an account with the keys, and hands the
// JavaScript app the deployment that keywatch will decide on.
func (s *size) prepare() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	shape := shapeOf(s.alarms)
	inv := shape.Inventory()
	p, err := planOf(shape.Config(), inv)
	if err != nil {
		return err
	}
	data, err := handed(p)
	if err != nil {
		return err
	}
	s.deployment = filepath.Join(s.dir, "deployment.json")
	if err := errors.Join(os.WriteFile(s.deployment, data, 0o644), os.WriteFile(s.config(), shape.Config(), 0o644)); err != nil {
		return err
	}
	s.aws, err = fakeaws.New(account(inv), fakeaws.PageSize(1000))
	return err
}

// handed is the file that the JavaScript app draws.
func handed(p *plan.Plan) ([]byte, error) { return json.Marshal(p.Deployment) }

// planOf loads a config and plans, as keywatch does.
func planOf(yaml []byte, inv *inventory.Inventory) (*plan.Plan, error) {
	c, err := config.Load(config.Request{Flag: "bench.yaml", ReadFile: func(string) ([]byte, error) { return yaml, nil }})
	if err != nil {
		return nil, err
	}
	p := plan.Build(c, inv, plan.Options{})
	return p, p.Problems.Errors().Err()
}

// account is the inventory as the endpoint's state.
func account(inv *inventory.Inventory) fakeaws.State {
	s := fakeaws.State{Account: inv.Account, Region: inv.Region, Partition: inv.Partition}
	for _, k := range inv.Keys {
		key := fakeaws.Key{ID: k.ID, ARN: k.ARN, Created: k.Created}
		for _, t := range k.Tags {
			key.Tags = append(key.Tags, fakeaws.Tag{Key: t.Key, Value: t.Value})
		}
		s.Keys = append(s.Keys, key)
		for _, a := range k.Aliases {
			s.Aliases = append(s.Aliases, fakeaws.Alias{Name: a.Name, Target: k.ID, Created: a.Created})
		}
	}
	return s
}

func (s *size) config() string   { return filepath.Join(s.dir, "keywatch.yaml") }
func (s *size) keywatch() string { return filepath.Join(s.root, "bin", "keywatch") }
func (s *size) node() string     { return filepath.Join(s.root, "node_modules", ".bin", "node") }

func (s *size) args(verb ...string) []string {
	return append(verb, "--config", s.config())
}

// turn runs both sides once and compares what they made.
func (s *size) turn(ctx context.Context, validation bool) ([]measurement, error) {
	goOut, jsOut := filepath.Join(s.dir, "go.out"), filepath.Join(s.dir, "js.out")
	for _, dir := range []string{goOut, jsOut} {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	env := []string{"PATH=" + filepath.Dir(s.node()) + string(os.PathListSeparator) + os.Getenv("PATH"), "CDK_OUTDIR=" + goOut}
	if !validation {
		env = append(env, "CDK_VALIDATION=false")
	}
	var all []measurement
	for _, side := range []struct {
		name string
		args []string
	}{
		{goSide, append([]string{s.keywatch()}, s.args()...)},
		{jsSide, []string{s.node(), filepath.Join(s.root, "test", "bench", "js", "app.js"), s.deployment, jsOut}},
	} {
		cmd := command(ctx, s.dir, append(env, s.aws.Env()...), side.args[0], side.args[1:]...)
		m, err := measure(synthName(s.alarms, validation, side.name), cmd)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, sameAssembly(goOut, jsOut, s.alarms, validation)
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
