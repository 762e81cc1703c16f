package plan_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// BenchmarkBuild is all that keywatch itself does for a full account: read the
// config, ask 50 rules about 100,000 keys, and plan the alarms of the tenth
// that is watched, with four operations each. A key has six tags, a rule two
// leaves: of all leaves half equals, the rest in, glob and regex; matches are
// spread evenly over the rules.
func BenchmarkBuild(b *testing.B) {
	const keyCount, ruleCount = 100_000, 50
	source := []byte(benchConfig(ruleCount))
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", Keys: benchKeys(keyCount, ruleCount)}
	b.ReportAllocs()
	for b.Loop() {
		c, problems := config.Parse("keywatch.yaml", source, nil)
		if err := problems.Err(); err != nil {
			b.Fatal(err)
		}
		p := plan.Build(c, inv, plan.Options{})
		if err := p.Problems.Err(); err != nil || p.Totals.Watched != keyCount/10 || p.Totals.Alarms != keyCount/10*4 {
			b.Fatalf("%v, %+v", err, p.Totals)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(keyCount)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64(m.Sys-m.HeapReleased)/1e6, "peak-MB")
}

func benchConfig(n int) string {
	var s strings.Builder
	s.WriteString("version: 1\nlimits: {alarms: 100000, monthlyUSD: 100000}\nrules:\n")
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

// benchKeys are symmetric; one in ten fits a rule, the others almost do.
func benchKeys(n, ruleCount int) []inventory.Key {
	keys := make([]inventory.Key, n)
	for i := range keys {
		rule := i / 10 % ruleCount
		env := fmt.Sprintf("prod-%d", rule)
		if i%10 != 0 {
			env = "dev"
		}
		id := fmt.Sprintf("%08x-12ab-34cd-56ef-1234%08x", i, i)
		keys[i] = inventory.Key{
			ARN: "arn:aws:kms:eu-west-1:111122223333:key/" + id, ID: id, Manager: "CUSTOMER", State: "Enabled",
			Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS",
			Aliases: []inventory.Alias{{Name: fmt.Sprintf("alias/team-%d/key-%d", rule, i)}},
			Tags: []inventory.Tag{
				{Key: "app", Value: fmt.Sprintf("app-%d", i%997)}, {Key: "cost-center", Value: fmt.Sprintf("%d", i%89)}, {Key: "env", Value: env},
				{Key: "name", Value: fmt.Sprintf("key %d", i)}, {Key: "owner", Value: fmt.Sprintf("owner-%d", i%313)}, {Key: "team", Value: fmt.Sprintf("team-%d", rule)},
			},
		}
	}
	return keys
}
