package rules_test

import (
	"fmt"
	"testing"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/rules"
	"keywatch/test/bench/workload"
)

// load is the engine and the keys of a workload in which one key in ten is
// matched by no rule, which is asked of every rule.
func load(tb testing.TB, keys, count int) (*rules.Engine, []inventory.Key) {
	tb.Helper()
	shape := workload.Shape{Keys: keys, Watched: keys / 10 * 9, Rules: count}
	c, problems := config.Parse("keywatch.yaml", shape.Config(), nil)
	if err := problems.Err(); err != nil {
		tb.Fatal(err)
	}
	return rules.New(c.Rules), shape.Inventory().Keys
}

func decideAll(tb testing.TB, engine *rules.Engine, keys []inventory.Key) {
	tb.Helper()
	watched := 0
	for i := range keys {
		if engine.Decide(&keys[i]).Status == rules.Watched {
			watched++
		}
	}
	if want := len(keys) / 10 * 9; watched != want {
		tb.Fatalf("%d of %d keys are watched, want %d", watched, len(keys), want)
	}
}

// BenchmarkDecide asks 50 rules about 100,000 keys: two leaves a rule, of all
// leaves half equals and the rest in, glob and regex; matches are spread evenly
// over the rules.
func BenchmarkDecide(b *testing.B) {
	engine, keys := load(b, 100_000, 50)
	b.ReportAllocs()
	for b.Loop() {
		decideAll(b, engine, keys)
	}
	b.ReportMetric(float64(len(keys))*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}

// BenchmarkDecideGrowth shows how time grows: ns/key/rule must not.
func BenchmarkDecideGrowth(b *testing.B) {
	for _, count := range []int{10, 50, 200} {
		for _, n := range []int{25_000, 100_000} {
			b.Run(fmt.Sprintf("rules=%d/keys=%d", count, n), func(b *testing.B) {
				engine, keys := load(b, n, count)
				for b.Loop() {
					decideAll(b, engine, keys)
				}
				b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/float64(n)/float64(count), "ns/key/rule")
			})
		}
	}
}

// The work grows no faster than keys and rules. It is counted, not timed: leaves
// that are looked at, and those of them that compare a value, which of tags with
// few values are few.
func TestWorkIsLinearInKeysAndRules(t *testing.T) {
	t.Parallel()
	work := func(n, count int) (looked, compared int) {
		engine, keys := load(t, n, count)
		decideAll(t, engine, keys)
		return engine.Work()
	}
	looked, compared := work(2000, 50)
	if looked > 2000*50*workload.LeavesPerRule || looked < 2000*50/2 {
		t.Errorf("2,000 keys and 50 rules: %d leaves are looked at", looked)
	}
	// One tag has a value of its own for each key, and one pattern looks at it.
	// The rest is remembered: 50 values of one leaf each, and a few hundred.
	if compared > 2000+50*50+500 {
		t.Errorf("2,000 keys and 50 rules: %d leaves compare a value", compared)
	}
	for name, more := range map[string]struct{ keys, rules int }{"keys": {8000, 50}, "rules": {2000, 200}} {
		l, c := work(more.keys, more.rules)
		if l > 4*looked+looked/10 {
			t.Errorf("four times the %s: %d leaves are looked at, before %d", name, l, looked)
		}
		if more.keys == 8000 && c > 4*compared {
			t.Errorf("four times the %s: %d leaves compare a value, before %d", name, c, compared)
		}
	}
}

// Equal leaves of many rules are one, and are asked once a key.
func TestAnEqualLeafIsAskedOnce(t *testing.T) {
	t.Parallel()
	engine := rules.New(ruleSet(t, `
  - {name: a, match: {all: [{tag: t, glob: "*-x"}, {alias: {glob: "*-x"}}]}, continue: true}
  - {name: b, match: {all: [{tag: t, glob: "*-x"}, {alias: {glob: "*-x"}}]}, continue: true}
  - {name: c, match: {any: [{not: {tag: t, glob: "*-x"}}, {alias: {glob: "*-x"}}]}}
`))
	engine.Decide(with(key("t=a-x"), func(k *inventory.Key) { k.Aliases = []inventory.Alias{{Name: "alias/a-x"}} }))
	if looked, compared := engine.Work(); looked != 6 || compared != 2 {
		t.Errorf("%d leaves are looked at and %d compare, want 6 and 2", looked, compared)
	}
}

// RE2 takes time in proportion to pattern and value, so that what hangs other
// matchers is an answer here; patterns whose counts make a huge program are
// refused when the config is read.
func TestNoPatternHangs(t *testing.T) {
	t.Parallel()
	var long []byte
	for range 255 {
		long = append(long, 'a')
	}
	for _, pattern := range []string{"(a+)+", "(a|a)*", "(a|aa)+", "(a*)*", "(.*a){12}", "(a?){200}a{200}", "([a-z]+)*[0-9]", "(((a*)*)*)*"} {
		engine := rules.New(ruleSet(t, "  - {name: r, match: {tag: t, regex: '"+pattern+"'}}\n"))
		if got := engine.Decide(key("t=" + string(long) + "!")).Status; got != rules.Unmatched {
			t.Errorf("%s: %s", pattern, got)
		}
	}
	glob := rules.New(ruleSet(t, "  - {name: r, match: {tag: t, glob: '*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b'}}\n"))
	if got := glob.Decide(key("t=" + string(long))).Status; got != rules.Unmatched {
		t.Errorf("the glob: %s", got)
	}
}
