package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

// BenchmarkDecide asks 50 rules about 100,000 keys: two leaves a rule, of all
// leaves half equals and the rest in, glob and regex; matches spread evenly
// over the rules, and one key in ten that no rule matches, which is asked of
// every rule.
func BenchmarkDecide(b *testing.B) {
	const keyCount, ruleCount = 100_000, 50
	engine := rules.New(ruleSet(b, benchRules(ruleCount)))
	keys := benchKeys(keyCount, ruleCount)
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
	if watched != keyCount/10*9 {
		b.Fatalf("%d of %d keys are watched", watched, keyCount)
	}
	b.ReportMetric(float64(keyCount)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}

func benchRules(n int) string {
	var s strings.Builder
	for i := range n {
		leaf := [3]string{`in: ["prod-%d", "live-%d"]`, `glob: "prod-%d*"`, `regex: "(prod|live)-%d"`}[i%3]
		if i%3 == 0 {
			leaf = fmt.Sprintf(leaf, i, i)
		} else {
			leaf = fmt.Sprintf(leaf, i)
		}
		fmt.Fprintf(&s, "  - {name: r-%d, match: {all: [{tag: team, equals: team-%d}, {tag: env, %s}]}}\n", i, i, leaf)
	}
	return s.String()
}

// benchKeys have six tags; key i fits rule i % rules, or none.
func benchKeys(n, ruleCount int) []inventory.Key {
	keys := make([]inventory.Key, n)
	for i := range keys {
		rule := i / 10 % ruleCount
		team := fmt.Sprintf("team-%d", rule)
		if i%10 == 0 {
			team = "nobody"
		}
		keys[i] = inventory.Key{
			ARN: fmt.Sprintf("arn:aws:kms:eu-west-1:111122223333:key/%08x-12ab-34cd-56ef-1234567890ab", i), Manager: "CUSTOMER", State: "Enabled",
			Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT",
			Tags: []inventory.Tag{
				{Key: "app", Value: fmt.Sprintf("app-%d", i%997)}, {Key: "cost-center", Value: fmt.Sprintf("%d", i%89)}, {Key: "env", Value: fmt.Sprintf("prod-%d", rule)},
				{Key: "name", Value: fmt.Sprintf("key %d", i)}, {Key: "owner", Value: fmt.Sprintf("owner-%d", i%313)}, {Key: "team", Value: team},
			},
		}
	}
	return keys
}
