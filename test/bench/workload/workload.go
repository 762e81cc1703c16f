// Package workload makes the keys and the config that the benchmarks of
// keywatch run on, at any size: the same size gives the same bytes.
//
// It is built to leave nothing out that costs time. Every key belongs to a team
// that a rule asks for, so one leaf of that rule always holds; the keys that
// are not watched fail at its other leaf only, and satisfy those of the rules
// of other teams. One of the tags that patterns look at has a value of its own
// for each key, so that no answer can be remembered. Start reading at
// [Shape].
package workload

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"keywatch/internal/inventory"
)

// TagsPerKey, LeavesPerRule and OperationsPerKey are the same at any size.
const (
	TagsPerKey       = 6
	LeavesPerRule    = 2
	OperationsPerKey = 4 // what "core" is for a symmetric key
)

// Where the keys are.
const (
	Account   = "111122223333"
	Region    = "eu-west-1"
	Partition = "aws"
)

// Shape is the size of a workload.
type Shape struct {
	Keys    int
	Watched int // of the keys, each by one rule, all rules alike
	Rules   int
	// Dashboard is on unless this says otherwise.
	NoDashboard bool
}

// Alarms is how many alarms the shape makes, and as many detectors.
func (s Shape) Alarms() int { return s.Watched * OperationsPerKey }

// Config is the config, in YAML: one rule a team, of two leaves. One is
// equals; the other is in, glob or regex in turn. Every other rule has the
// equals first.
func (s Shape) Config() []byte {
	var b strings.Builder
	b.WriteString("version: 1\nname: bench\nlimits: {alarms: 10000000, monthlyUSD: 1000000000}\n")
	if s.NoDashboard {
		b.WriteString("dashboard: off\n")
	}
	b.WriteString("rules:\n")
	for r := range s.Rules {
		leaves := []string{fmt.Sprintf("{tag: team, equals: %s}", team(r)), choices[r%len(choices)].leaf}
		if r%2 == 1 {
			leaves[0], leaves[1] = leaves[1], leaves[0]
		}
		fmt.Fprintf(&b, "  - name: %s\n    match: {all: [%s]}\n    anomaly: {direction: above, band: 2}\n    actions: {alarm: [\"arn:{partition}:sns:{region}:{account}:pager\"]}\n",
			team(r), strings.Join(leaves, ", "))
	}
	return []byte(b.String())
}

func team(rule int) string { return fmt.Sprintf("team-%03d", rule) }

// choice is the second leaf of a rule, and values that satisfy it or do not.
type choice struct {
	tag, leaf string
	yes, no   func(key int) string
}

var choices = []choice{
	{
		tag: "env", leaf: `{tag: env, in: [prod, production, live]}`,
		yes: func(int) string { return "prod" },
		no:  func(key int) string { return []string{"dev", "staging", "test"}[key%3] },
	},
	{
		tag: "service", leaf: `{tag: service, glob: "svc-*-prod"}`,
		yes: func(key int) string { return fmt.Sprintf("svc-%06d-prod", key) },
		no:  func(key int) string { return fmt.Sprintf("svc-%06d-dev", key) },
	},
	{
		tag: "data-class", leaf: `{tag: data-class, regex: "(pan|pii)-[0-9]+"}`,
		yes: func(key int) string { return fmt.Sprintf("pii-%d", key%100) },
		no:  func(key int) string { return fmt.Sprintf("public-%d", key%100) },
	},
}

// Inventory is the keys: symmetric, each with one alias and six tags. The
// watched ones are spread evenly, over the rules and among the others.
func (s Shape) Inventory() *inventory.Inventory {
	inv := &inventory.Inventory{
		Account: Account, Region: Region, Partition: Partition,
		ReadAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Keys:   make([]inventory.Key, s.Keys),
	}
	ids := rand.New(rand.NewPCG(1, 2))
	watched := 0
	for i := range inv.Keys {
		now := (i + 1) * s.Watched / s.Keys
		rule := (i - watched) % s.Rules
		if now > watched {
			rule = watched % s.Rules
		}
		inv.Keys[i] = key(i, uuid(ids), rule, now > watched)
		watched = now
	}
	inv.Sort()
	return inv
}

func key(i int, id string, rule int, watched bool) inventory.Key {
	created := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(i) * time.Minute)
	k := inventory.Key{
		ARN: fmt.Sprintf("arn:%s:kms:%s:%s:key/%s", Partition, Region, Account, id),
		ID:  id, Aliases: []inventory.Alias{{Name: fmt.Sprintf("alias/apps/service-%06d", i), Created: created, Updated: created}},
		Tags: []inventory.Tag{
			{Key: "cost-centre", Value: fmt.Sprintf("CC-%04d", i%500)},
			{Key: "owner", Value: fmt.Sprintf("person-%d@example.com", i%2000)},
			{Key: "team", Value: team(rule)},
		},
		Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS", Created: created, Described: true,
	}
	for c, choice := range choices {
		value := choice.yes(i)
		if !watched && c == rule%len(choices) {
			value = choice.no(i)
		}
		k.Tags = append(k.Tags, inventory.Tag{Key: choice.tag, Value: value})
	}
	return k
}

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}
