package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// shape is small enough for the race detector; 10 % are watched as in the real
// one.
var shape = Shape{Keys: 5_000, Watched: 500, Rules: 50}

func load(t *testing.T, s Shape) *config.Config {
	t.Helper()
	c, err := config.Load(config.Request{Flag: "bench.yaml", ReadFile: func(string) ([]byte, error) { return s.Config(), nil }})
	if err != nil {
		t.Fatalf("load the config: %v", err)
	}
	if len(c.Warnings) > 0 {
		t.Fatalf("warnings of the config: %v", c.Warnings)
	}
	return c
}

func TestHalfOfTheLeavesAreEquals(t *testing.T) {
	count, equalsFirst := map[config.TagTest]int{}, 0
	for _, r := range load(t, shape).Rules {
		if r.Match.Kind != config.All || len(r.Match.Children) != LeavesPerRule {
			t.Fatalf("rule %s: %s; want all of %d leaves", r.Name, r.Match, LeavesPerRule)
		}
		for i, leaf := range r.Match.Children {
			count[leaf.Test]++
			if i == 0 && leaf.Test == config.Equals {
				equalsFirst++
			}
		}
	}
	want := map[config.TagTest]int{config.Equals: 50, config.In: 17, config.GlobOf: 17, config.Regex: 16}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("leaves by test (-want +got):\n%s", diff)
	}
	if equalsFirst != shape.Rules/2 {
		t.Errorf("%d rules have the equals first; want every other one", equalsFirst)
	}
}

func TestKeysHaveSixTagsAndAreSorted(t *testing.T) {
	inv := shape.Inventory()
	if len(inv.Keys) != shape.Keys {
		t.Fatalf("%d keys, want %d", len(inv.Keys), shape.Keys)
	}
	seen := map[string]bool{}
	for i, k := range inv.Keys {
		tags := map[string]bool{}
		for _, tag := range k.Tags {
			tags[tag.Key] = true
		}
		if len(tags) != TagsPerKey || len(k.Aliases) != 1 || seen[k.ID] || i > 0 && inv.Keys[i-1].ARN >= k.ARN {
			t.Fatalf("key %d: %+v", i, k)
		}
		seen[k.ID] = true
	}
}

func TestATenthIsWatchedEvenlyOverTheRules(t *testing.T) {
	p := plan.Build(load(t, shape), shape.Inventory(), plan.Options{})
	if len(p.Problems) != 1 || p.Problems[0].Code != "unmatched" {
		t.Fatalf("problems: %v", p.Problems)
	}
	for _, r := range p.Rules {
		if r.Keys != shape.Watched/shape.Rules {
			t.Errorf("rule %s decides %d keys, want %d", r.Name, r.Keys, shape.Watched/shape.Rules)
		}
	}
	got := []int{p.Totals.Watched, p.Totals.Alarms, p.Totals.Detectors, p.Totals.Dashboard}
	want := []int{shape.Keys / 10, shape.Alarms(), shape.Alarms(), 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("watched keys, alarms, detectors, dashboards (-want +got):\n%s", diff)
	}
	for i := range p.Keys {
		if n := len(p.Keys[i].Units); n != 0 && n != OperationsPerKey {
			t.Fatalf("key %s is watched with %d operations, want %d", p.Keys[i].ARN, n, OperationsPerKey)
		}
	}
}

// The watched keys are not the first ones, nor those with the first ARNs.
func TestWatchedKeysAreSpreadAmongTheOthers(t *testing.T) {
	p := plan.Build(load(t, shape), shape.Inventory(), plan.Options{})
	const parts = 10
	counts := make([]int, parts)
	for i := range p.Keys {
		if p.Keys[i].Decision.Status == rules.Watched {
			counts[i*parts/len(p.Keys)]++
		}
	}
	for part, n := range counts {
		if want := shape.Watched / parts; n < want/2 || n > want*2 {
			t.Errorf("part %d of %d by ARN has %d watched keys, want about %d", part, parts, n, want)
		}
	}
}

// A key that is not watched must cost as much as one that is: of its own
// team's rule one leaf holds, and it satisfies the patterns of other teams.
func TestUnwatchedKeysAreNearMisses(t *testing.T) {
	c := load(t, shape)
	engine := rules.New(c.Rules)
	inv := shape.Inventory()
	held, asked := 0, 0
	for i := range inv.Keys[:200] {
		d := engine.Explain(&inv.Keys[i])
		if d.Status == rules.Watched {
			continue
		}
		asked++
		for _, r := range d.Trace {
			for _, leaf := range r.Leaves {
				if leaf.OK {
					held++
				}
			}
		}
	}
	if held < 30*asked {
		t.Errorf("of an unmatched key's %d leaves, %d hold on average; want 30 at least", shape.Rules*LeavesPerRule, held/asked)
	}
}

func TestSameShapeSameBytes(t *testing.T) {
	if diff := cmp.Diff(shape.Inventory(), shape.Inventory()); diff != "" {
		t.Errorf("two inventories differ:\n%s", diff)
	}
	if diff := cmp.Diff(string(shape.Config()), string(shape.Config())); diff != "" {
		t.Errorf("two configs differ:\n%s", diff)
	}
}

func TestServiceTagIsUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range shape.Inventory().Keys {
		v, _ := k.Tag("service")
		if seen[v] {
			t.Fatalf("the value %q is there twice", v)
		}
		seen[v] = true
	}
}
