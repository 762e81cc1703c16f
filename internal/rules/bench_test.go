package rules_test

import (
	"testing"

	"keywatch/config"
	"keywatch/internal/rules"
	"keywatch/test/bench/workload"
)

// BenchmarkDecide asks 50 rules about 100,000 keys: two leaves a rule, of all
// leaves half equals and the rest in, glob and regex; matches spread evenly
// over the rules, and one key in ten that no rule matches, which is asked of
// every rule.
func BenchmarkDecide(b *testing.B) {
	shape := workload.Shape{Keys: 100_000, Watched: 90_000, Rules: 50}
	c, problems := config.Parse("keywatch.yaml", shape.Config(), nil)
	if err := problems.Err(); err != nil {
		b.Fatal(err)
	}
	engine, keys := rules.New(c.Rules), shape.Inventory().Keys
	b.ReportAllocs()
	watched := 0
	for b.Loop() {
		watched = 0
		for i := range keys {
			if engine.Decide(&keys[i]).Status == rules.Watched {
				watched++
			}
		}
	}
	if watched != shape.Watched {
		b.Fatalf("%d of %d keys are watched", watched, shape.Keys)
	}
	b.ReportMetric(float64(shape.Keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
