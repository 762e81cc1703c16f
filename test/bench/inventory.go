package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/live"
	"keywatch/internal/rules"
	"keywatch/test/bench/workload"
	"keywatch/test/fakeaws"
)

// The sub-command, and what makes this program be the reader: a process of its
// own, since its peak of memory counts and the endpoint's does not.
const (
	inventoryCommand = "inventory"
	readerArgument   = "read-an-inventory"
)

const (
	targetReading = 1.25 // of the bound
	targetReader  = 300_000_000
)

const getResources = "tag:GetResources"

// scenario is one reading to measure.
type scenario struct {
	Keys  int
	Rates map[string]float64 // in place of the defaults
	// All asks for every key's tags and description, as `keywatch snapshot`
	// does; otherwise for what the rules need, as synth does.
	All bool
	// Quotas are what the endpoint enforces.
	Quotas  map[string]float64
	Latency time.Duration
	title   string
}

func (r scenario) shape() workload.Shape {
	return workload.Shape{Keys: r.Keys, Watched: r.Keys / 10, Rules: 50}
}

// scenarios read each size at the default rates and at the full quotas; a short
// run leaves out the default rates where they take minutes. GetResources has no
// published quota, and at 7 per second the tags of 100,000 keys take 143 s
// whatever the reader does; so that the ratio still shows within a minute, "full
// quota" is 40 per second here, which is not a rate to use on AWS.
func scenarios(sizes []int, latency time.Duration, short bool) []scenario {
	published := fakeaws.PublishedQuotas()
	fast := maps.Clone(published)
	fast[getResources] = 40
	var all []scenario
	for _, keys := range sizes {
		for _, everything := range []bool{false, true} {
			what := "for the rules"
			if everything {
				what = "everything"
			}
			if !short || keys <= 10_000 {
				all = append(all, scenario{Keys: keys, All: everything, Quotas: published, Latency: latency, title: "default rates, " + what})
			}
			all = append(all, scenario{Keys: keys, All: everything, Rates: fast, Quotas: fast, Latency: latency, title: "full quota, " + what})
		}
	}
	return all
}

// readingResult is what the reader says of itself.
type readingResult struct {
	Wall    time.Duration
	Peak    int64 // resident bytes
	Keys    int
	Watched int // described and with the tags of a rule
}

// inventoryBench is the sub-command.
func inventoryBench(ctx context.Context, args []string, out, progress io.Writer) error {
	var sizes []int
	f := flag.NewFlagSet("bench inventory", flag.ContinueOnError)
	keys := f.String("keys", "10000,100000", "how many keys the account has, with commas")
	latency := f.Duration("latency", 20*time.Millisecond, "of every answer")
	short := f.Bool("short", false, "leave out the default rates above 10,000 keys, which take minutes")
	if err := f.Parse(args); err != nil {
		return err
	}
	for s := range strings.SplitSeq(*keys, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 10 {
			return fmt.Errorf("-keys %q: want numbers from 10", *keys)
		}
		sizes = append(sizes, n)
	}
	fmt.Fprintln(out, machine())
	fmt.Fprintf(out, "\nReading an account through an endpoint with %s latency that enforces the quotas; the reader is a process of its own.\n"+
		"KMS quotas are the published ones. GetResources has none: 7 per second by default (unverified), and 40 at \"full quota\",\n"+
		"since at 7 the tags of 100,000 keys alone take 143 s.\n", latency)
	t := newTable(out, "keys", "rates, need", "wall", "bound", "ratio", fmt.Sprintf("target %.2f×", targetReading), "peak memory", "target "+megabytes(targetReader))
	var calls []string
	for _, r := range scenarios(sizes, *latency, *short) {
		fmt.Fprintf(progress, "bench: %d keys, %s\n", r.Keys, r.title)
		result, counts, err := r.measure(ctx)
		if err != nil {
			return fmt.Errorf("%d keys, %s: %w", r.Keys, r.title, err)
		}
		bound := r.bound(counts)
		ratio := result.Wall.Seconds() / bound.Seconds()
		t.AppendRow(table.Row{
			r.Keys, r.title, seconds(result.Wall), seconds(bound), fmt.Sprintf("%.2f×", ratio), verdict(ratio > targetReading),
			megabytes(result.Peak), verdict(result.Peak >= targetReader),
		})
		calls = append(calls, r.calls(counts))
	}
	t.Render()
	fmt.Fprintf(out, "\nCalls made / the fewest that the APIs allow:\n%s\n", strings.Join(calls, "\n"))
	return nil
}

// measure starts an account and reads it once.
func (r scenario) measure(ctx context.Context) (readingResult, map[string]int, error) {
	var result readingResult
	server, err := fakeaws.New(account(r.shape().Inventory()), fakeaws.PageSize(1000), fakeaws.Latency(r.Latency), fakeaws.Quotas(r.Quotas))
	if err != nil {
		return result, nil, err
	}
	defer server.Close()
	self, err := os.Executable()
	if err != nil {
		return result, nil, err
	}
	spec, err := json.Marshal(r)
	if err != nil {
		return result, nil, err
	}
	var said, failed bytes.Buffer
	cmd := exec.CommandContext(ctx, self, readerArgument, string(spec))
	cmd.Env = append(os.Environ(), server.Env()...)
	cmd.Stdout, cmd.Stderr = &said, &failed
	if err := cmd.Run(); err != nil {
		return result, nil, fmt.Errorf("%w\n%s", err, tail(failed.String()))
	}
	if err := json.Unmarshal(said.Bytes(), &result); err != nil {
		return result, nil, err
	}
	if result.Keys != r.Keys || result.Watched != r.shape().Watched {
		return result, nil, fmt.Errorf("%d keys were read, %d of them watched; want %d, %d", result.Keys, result.Watched, r.Keys, r.shape().Watched)
	}
	counts := map[string]int{}
	for op := range live.DefaultRates() {
		counts[op] = server.Count(op)
	}
	return result, counts, nil
}

// read is the reader.
func read(ctx context.Context, spec string) error {
	var r scenario
	if err := json.Unmarshal([]byte(spec), &r); err != nil {
		return err
	}
	c, err := config.Load(config.Request{Flag: "bench.yaml", ReadFile: func(string) ([]byte, error) { return r.shape().Config(), nil }})
	if err != nil {
		return err
	}
	need := rules.Need(c.Rules)
	if r.All {
		need = inventory.Need{}
	}
	begin := time.Now()
	session, err := live.Open(ctx, live.Options{Rates: r.Rates, Now: time.Now})
	if err != nil {
		return err
	}
	inv, err := session.Inventory(ctx, need)
	if err != nil {
		return err
	}
	result := readingResult{Wall: time.Since(begin), Keys: len(inv.Keys)}
	_, result.Peak, _ = resident(os.Getpid())
	engine := rules.New(c.Rules)
	for i := range inv.Keys {
		if inv.Keys[i].Described && engine.Decide(&inv.Keys[i]).Status == rules.Watched {
			result.Watched++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func (r scenario) rate(op string) float64 {
	if rate, ok := r.Rates[op]; ok {
		return rate
	}
	return live.DefaultRates()[op]
}

// bound is how long the calls take at least. The pages of a list follow one
// another: each takes the latency, or its turn if that is longer. Descriptions
// go side by side, at their rate. All of it may overlap, but a description comes
// after the page of tags that asks for it, the last one too.
func (r scenario) bound(counts map[string]int) time.Duration {
	list := func(op string) time.Duration {
		each := max(r.Latency, time.Duration(float64(time.Second)/r.rate(op)))
		if n := counts[op]; n > 0 {
			return time.Duration(n-1)*each + r.Latency
		}
		return 0
	}
	described := time.Duration(float64(counts["kms:DescribeKey"]) / r.rate("kms:DescribeKey") * float64(time.Second))
	caller := r.Latency
	return caller + max(list("kms:ListKeys"), list("kms:ListAliases"), list(getResources)+r.Latency, r.Latency+described)
}

// calls compares the calls with the fewest that are possible. With filters the
// unfiltered query is an upper bound, and what it saves is the point.
func (r scenario) calls(counts map[string]int) string {
	pages := func(n, size int) int { return (n + size - 1) / size }
	shape := r.shape()
	fewest := map[string]int{
		"kms:ListKeys": pages(shape.Keys, 1000), "kms:ListAliases": pages(shape.Keys, 100), getResources: pages(shape.Keys, 100), "kms:DescribeKey": shape.Watched,
	}
	if r.All {
		fewest["kms:DescribeKey"] = shape.Keys
	}
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(fewest)) {
		limit := ""
		if op == getResources && !r.All {
			limit = " without filters"
		}
		parts = append(parts, fmt.Sprintf("%s %d / %d%s", op, counts[op], fewest[op], limit))
	}
	return fmt.Sprintf("  %d keys, %s: %s, kms:ListResourceTags %d / 0", r.Keys, r.title, strings.Join(parts, ", "), counts["kms:ListResourceTags"])
}
