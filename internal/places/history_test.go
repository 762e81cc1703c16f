package places_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
	"keywatch/internal/places"
	"keywatch/internal/plan"
)

// every makes each kind of unit: one operation, a sum, several alarms on one.
const every = `version: 1
limits: {alarms: 100000, monthlyUSD: 100000}
rules:
  - name: extra
    match: {tag: extra, exists: true}
    continue: true
    anomaly: {id: second-1, direction: below, statistic: Average, missing: breaching}
    operations: [Decrypt, Sign, GenerateMac]
  - name: all
    match: {tag: off, exists: false}
    operations: applicable
    thresholds:
      - {operations: [Decrypt, Encrypt], above: 1}
      - {id: burst, operations: [Decrypt], above: 2}
`

func parse(t *testing.T) *config.Config {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte(every), nil)
	if err := problems.Errors().Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// shapes are kinds of keys by usage and spec, and by the form of their ID.
var shapes = []inventory.Key{
	{ID: "%08d-1111-2222-3333-444444444444", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT"},
	{ID: "mrk-%032d", Usage: "SIGN_VERIFY", Spec: "ECC_NIST_P256", MultiRegion: true},
	{ID: "custom-%d", Usage: "GENERATE_VERIFY_MAC", Spec: "HMAC_256"},
	{ID: "%08d-aaaa-2222-3333-444444444444", Usage: "ENCRYPT_DECRYPT", Spec: "RSA_2048"},
}

func keyNumber(n int) inventory.Key {
	k := shapes[n%len(shapes)]
	k.ID = fmt.Sprintf(k.ID, n)
	k.ARN = "arn:aws:kms:eu-west-1:111122223333:key/" + k.ID
	k.Manager, k.State, k.Origin, k.Described = "CUSTOMER", "Enabled", "AWS_KMS", true
	return k
}

func account(keys ...inventory.Key) *inventory.Inventory {
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", Keys: keys}
	inv.Sort()
	return inv
}

// deploy is what CloudFormation lists once a stack of the plan is deployed.
func deploy(p *plan.Plan) map[string]places.Stack {
	out := map[string]places.Stack{}
	for _, shard := range p.Deployment.Shards {
		s := places.Stack{Name: shard.StackName, Status: "UPDATE_COMPLETE", Deployment: "keywatch"}
		for _, u := range shard.Units {
			for _, d := range u.Detectors {
				s.Resources = append(s.Resources, places.Resource{LogicalID: d.ID, PhysicalID: "d", Type: "AWS::CloudWatch::AnomalyDetector", Status: "CREATE_COMPLETE"})
			}
			for _, a := range u.Alarms {
				s.Resources = append(s.Resources, places.Resource{LogicalID: a.ID, PhysicalID: a.Name, Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE"})
			}
		}
		if len(shard.Units) == 0 {
			s.Resources = []places.Resource{placeholder}
		}
		out[shard.StackName] = s
	}
	return out
}

func stacksOf(p *plan.Plan) map[string]string {
	out := map[string]string{}
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			out[u.ID] = u.Stack
		}
	}
	return out
}

// Whatever a plan makes can be read back: every unit, stack and name.
func TestEveryUnitOfAPlanIsReadBack(t *testing.T) {
	t.Parallel()
	var keys []inventory.Key
	for n := range 12 {
		k := keyNumber(n)
		if n%3 == 0 {
			k.Tags = []inventory.Tag{{Key: "extra"}}
		}
		keys = append(keys, k)
	}
	p := plan.Build(parse(t), account(keys...), plan.Options{Fill: plan.Fill{New: plan.Size{Resources: 40, Bytes: 700_000}, Grown: plan.DefaultFill.Grown}})
	got, problems := read(slices.Collect(maps.Values(deploy(p)))...)
	check(t, problems)
	for unit, stack := range stacksOf(p) {
		if n, known := got.Units[unit]; !known || name.AlarmStack(n) != stack {
			t.Errorf("%s of %s is read as of stack %d", unit, stack, n)
		}
	}
	if len(got.Units) != len(stacksOf(p)) || len(got.Stacks) != p.Totals.Stacks || len(got.Names) != p.Totals.Alarms || p.Totals.Stacks < 3 {
		t.Errorf("%d units, stacks %v, %d names; planned %d, %d, %d", len(got.Units), got.Stacks, len(got.Names), len(stacksOf(p)), p.Totals.Stacks, p.Totals.Alarms)
	}
	again := plan.Build(parse(t), account(keys...), plan.Options{Places: got})
	if again.Totals.Added+again.Totals.Removed+len(again.Renames)+len(again.Removals) != 0 || !maps.Equal(stacksOf(again), stacksOf(p)) {
		t.Errorf("the next plan would change something: %+v", again.Totals)
	}
}

// Random histories in which some stacks of each deploy are rolled back: no
// deployed unit ever moves, and none is ever in two stacks.
func TestHalfDeployedHistories(t *testing.T) {
	t.Parallel()
	const seed, histories, steps = 20261122, 120, 6
	t.Logf("seed %d, %d histories", seed, histories)
	rolledBack, several := 0, 0
	for h := range histories {
		r := rand.New(rand.NewPCG(seed, uint64(h)))
		fill := plan.Fill{New: plan.Size{Resources: 40 + r.IntN(40), Bytes: 700_000}, Grown: plan.DefaultFill.Grown}
		deployed := map[string]places.Stack{}
		for step := range steps {
			var keys []inventory.Key
			for n := range 12 {
				if k := keyNumber(n); r.IntN(3) > 0 {
					if r.IntN(3) == 0 {
						k.Tags = []inventory.Tag{{Key: "extra"}}
					}
					if r.IntN(4) == 0 {
						k.Tags = append(k.Tags, inventory.Tag{Key: "off"})
					}
					keys = append(keys, k)
				}
			}
			known, problems := read(slices.Collect(maps.Values(deployed))...)
			if len(problems)+len(known.Twice) > 0 {
				t.Fatalf("history %d, step %d: %v, twice %v", h, step, problems, known.Twice)
			}
			p := plan.Build(parse(t), account(keys...), plan.Options{Fill: fill, Places: known, AllowRemoval: 12})
			for unit, stack := range stacksOf(p) {
				if n, there := known.Units[unit]; there && name.AlarmStack(n) != stack {
					t.Fatalf("history %d, step %d: %s moved from %s to %s", h, step, unit, name.AlarmStack(n), stack)
				}
			}
			for _, n := range known.Stacks {
				if !slices.ContainsFunc(p.Deployment.Shards, func(s spec.Shard) bool { return s.StackName == name.AlarmStack(n) }) {
					t.Fatalf("history %d, step %d: stack %d is no longer made", h, step, n)
				}
			}
			if p.Totals.Stacks > 1 {
				several++
			}
			made := deploy(p)
			for _, stack := range slices.Sorted(maps.Keys(made)) { // sorted, so that the seed decides
				if r.IntN(4) > 0 {
					deployed[stack] = made[stack]
				} else {
					rolledBack++
				}
			}
		}
	}
	if rolledBack < 200 || several < 200 {
		t.Errorf("the generator is lopsided: %d stacks rolled back, %d plans of several stacks", rolledBack, several)
	}
}
