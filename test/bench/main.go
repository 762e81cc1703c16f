// Command bench measures keywatch, for `make bench`: synth beside a plain
// JavaScript CDK app that makes the same resources, and the pure side (load the
// config, decide, plan) at the size of a full account.
//
// Both sides of synth run as processes of their own, in turns, with the same
// Node.js. keywatch reads its keys from a loopback endpoint that speaks the
// protocols of AWS; what that costs is measured too. A comparison counts only
// if both made the same templates: if they differ, the exit status is 1.
//
// `bench inventory` measures the reading of large accounts: calls, time and
// memory (inventory.go); `bench sla` that of CloudTrail logs, beside zcat and jq
// (sla.go).
//
// Start reading at [run]; the sides are in synth.go, the pure side in pure.go,
// the measuring in measure.go. The keys and rules come from package
// keywatch/test/bench/workload.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"keywatch/test/bench/workload"
)

// full is the size of a full account: 100,000 keys are the quota of a region
// ("Resource quotas", KMS Developer Guide).
var full = workload.Shape{Keys: 100_000, Watched: 10_000, Rules: 50}

type options struct {
	root      string // of the repository
	runs      int
	sizes     []int // alarms
	pure      bool
	benchstat string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// start runs the benchmark, or the child of it that measures the pure side.
func start(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == childArgument {
		p, err := measurePure(full)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(p)
	}
	if len(args) == 2 && args[0] == readerArgument {
		return read(ctx, args[1])
	}
	if len(args) > 0 && args[0] == inventoryCommand {
		return inventoryBench(ctx, args[1:], os.Stdout, os.Stderr)
	}
	if len(args) > 1 && (args[0] == logsArgument || args[0] == floodArgument) {
		return readLogs(args, os.Stdout)
	}
	if len(args) > 0 && args[0] == slaCommand {
		return slaBench(ctx, args[1:], os.Stdout, os.Stderr)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	return run(ctx, o, os.Stdout, os.Stderr)
}

func parse(args []string) (options, error) {
	var o options
	var sizes string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.runs, "n", 3, "how often each thing is measured; the median counts")
	f.StringVar(&sizes, "alarms", "1000,5000", "the sizes of synth, in alarms, with commas; \"\" leaves synth out")
	f.BoolVar(&o.pure, "pure", true, "measure the pure side")
	f.StringVar(&o.root, "root", ".", "the repository")
	f.StringVar(&o.benchstat, "benchstat", "", "also write every measurement to this file, for benchstat")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.runs < 1 || f.NArg() > 0 {
		return o, fmt.Errorf("-n %d %q: want a number of runs from 1 and no arguments", o.runs, f.Args())
	}
	for size := range strings.SplitSeq(sizes, ",") {
		if size == "" {
			continue
		}
		n, err := strconv.Atoi(size)
		if err != nil || n < workload.OperationsPerKey || n%workload.OperationsPerKey != 0 {
			return o, fmt.Errorf("-alarms %q: want multiples of %d, the alarms of a key", size, workload.OperationsPerKey)
		}
		o.sizes = append(o.sizes, n)
	}
	var err error
	o.root, err = filepath.Abs(o.root)
	return o, err
}

// run prints what was measured to out, and what it is doing to progress.
func run(ctx context.Context, o options, out, progress io.Writer) error {
	fmt.Fprintln(out, machine())
	var all []measurement
	if len(o.sizes) > 0 {
		found, err := synth(ctx, o, progress)
		if err != nil {
			return err
		}
		all = append(all, found...)
		printSynth(out, o, found)
	}
	if o.pure {
		found, err := pure(ctx, o, progress)
		if err != nil {
			return err
		}
		all = append(all, found...)
		printPure(out, found)
	}
	if o.benchstat == "" {
		return nil
	}
	return errors.Join(os.MkdirAll(filepath.Dir(o.benchstat), 0o755), os.WriteFile(o.benchstat, []byte(benchstat(all)), 0o644))
}

// machine says where this runs, and whether something else does: figures of a
// busy machine are too high.
func machine() string {
	s := fmt.Sprintf("%s, %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	load, err := os.ReadFile("/proc/loadavg")
	if first, _, ok := strings.Cut(string(load), " "); err == nil && ok {
		s += ", load " + first + " before the first run"
	}
	return s
}
