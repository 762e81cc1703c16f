package plan_test

import (
	"runtime"
	"testing"

	"keywatch/config"
	"keywatch/internal/plan"
	"keywatch/test/bench/workload"
)

// BenchmarkBuild is all that keywatch itself does for a full account: read the
// config, ask 50 rules about 100,000 keys, and plan the alarms of the tenth
// that is watched, with four operations each. A key has six tags, a rule two
// leaves: of all leaves half equals, the rest in, glob and regex; matches are
// spread evenly over the rules.
func BenchmarkBuild(b *testing.B) {
	shape := workload.Shape{Keys: 100_000, Watched: 10_000, Rules: 50}
	source, inv := shape.Config(), shape.Inventory()
	b.ReportAllocs()
	for b.Loop() {
		c, problems := config.Parse("keywatch.yaml", source, nil)
		if err := problems.Err(); err != nil {
			b.Fatal(err)
		}
		p := plan.Build(c, inv, plan.Options{})
		if err := p.Problems.Err(); err != nil || p.Totals.Watched != shape.Watched || p.Totals.Alarms != shape.Alarms() {
			b.Fatalf("%v, %+v", err, p.Totals)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(shape.Keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64(m.Sys-m.HeapReleased)/1e6, "peak-MB")
}
