package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"keywatch/test/bench/workload"
)

// childArgument makes this program measure the pure side in itself and print
// the result as JSON. A process of its own, since its peak of memory counts.
const childArgument = "measure-the-pure-side"

const (
	targetWall   = time.Second
	targetMemory = 500_000_000
)

const pureName = "Pure/keys=100000/rules=50"

// pureRun is what the child says.
type pureRun struct {
	Wall        time.Duration
	Peak        int64 // resident bytes, the inventory included
	Allocated   uint64
	Allocations uint64
}

// measurePure loads the config, decides and plans, once, in this process.
func measurePure(s workload.Shape) (pureRun, error) {
	inv, yaml := s.Inventory(), s.Config()
	runtime.GC()
	var r pureRun
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	p, err := planOf(yaml, inv)
	r.Wall = time.Since(begin)
	runtime.ReadMemStats(&after)
	_, r.Peak, _ = resident(os.Getpid())
	if err != nil {
		return r, err
	}
	r.Allocated, r.Allocations = after.TotalAlloc-before.TotalAlloc, after.Mallocs-before.Mallocs
	if p.Totals.Keys != s.Keys || p.Totals.Watched != s.Watched || p.Totals.Alarms != s.Alarms() {
		return r, fmt.Errorf("the plan has %+v; want %+v", p.Totals, s)
	}
	return r, nil
}

// pure measures in a new process each time.
func pure(ctx context.Context, o options, progress io.Writer) ([]measurement, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var all []measurement
	for i := range o.runs {
		fmt.Fprintf(progress, "bench: config, rules and plan of %d keys, run %d of %d\n", full.Keys, i+1, o.runs)
		var out, said bytes.Buffer
		cmd := exec.CommandContext(ctx, self, childArgument)
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("measure the pure side: %w\n%s", err, &said)
		}
		var r pureRun
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			return nil, err
		}
		all = append(all, measurement{
			what: pureName, wall: r.Wall, memory: memory{r.Peak, r.Peak}, allocated: r.Allocated, allocations: r.Allocations,
		})
	}
	return all, nil
}
