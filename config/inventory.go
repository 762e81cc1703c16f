package config

import (
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A week: a team that looks after its keys refreshes more often. Half an hour:
// an account with 100,000 keys needs some minutes at the published quotas.
var defaultInventory = Inventory{Source: Live, Compare: CompareAuto, MaxAge: 168 * time.Hour, FailOnUnreadable: true, Timeout: 30 * time.Minute}

const (
	longestAge     = 8760 * time.Hour
	longestTimeout = 24 * time.Hour
	highestRate    = 100_000
)

// RatedOperations are the AWS operations that take a rate, sorted.
var RatedOperations = []string{"DescribeKey", "GetResources", "ListAliases", "ListKeys", "ListResourceTags"}

// PathFor is the snapshot of an account and region.
func (i Inventory) PathFor(account, region string) string {
	return strings.NewReplacer("{account}", account, "{region}", region).Replace(i.Path)
}

// UnknownPlaceholder is one in the path of a snapshot that PathFor does not fill
// in, or "".
func UnknownPlaceholder(path string) string {
	for _, p := range pathPlaceholder.FindAllString(path, -1) {
		if p != "{account}" && p != "{region}" {
			return p
		}
	}
	return ""
}

func (d *decoder) inventory(n *yaml.Node, c *Config) {
	i := &c.Inventory
	i.PathPos = d.pos(resolve(n))
	d.mapping(n, "inventory", "a mapping such as {source: live}", fields{
		"source": optional(func(v *yaml.Node) {
			s, _ := d.choice(v, "inventory.source", string(Live), string(Frozen))
			i.Source = Source(s) // empty after a mistake: nothing follows from that
			_, d.sourceOverridden = d.origin[resolve(v)]
		}),
		"path": optional(func(v *yaml.Node) { d.path(v, i) }),
		"compare": optional(func(v *yaml.Node) {
			s, _ := d.choice(v, "inventory.compare", string(CompareAuto), string(CompareAlways), string(CompareNever))
			i.Compare, d.compare = Compare(s), resolve(v)
		}),
		"maxAge":  optional(func(v *yaml.Node) { i.MaxAge = d.length(v, "inventory.maxAge", "168h", longestAge) }),
		"timeout": optional(func(v *yaml.Node) { i.Timeout = d.length(v, "inventory.timeout", "30m", longestTimeout) }),
		"onStale": optional(func(v *yaml.Node) {
			s, _ := d.choice(v, "inventory.onStale", "warn", "fail")
			i.FailOnStale = s == "fail"
		}),
		"onUnreadable": optional(func(v *yaml.Node) {
			s, _ := d.choice(v, "inventory.onUnreadable", "fail", "warn")
			i.FailOnUnreadable = s != "warn"
		}),
		"rates": optional(func(v *yaml.Node) { d.rates(v, i) }),
	})
}

var pathPlaceholder = regexp.MustCompile(`\{[^{}]*\}`)

func (d *decoder) path(n *yaml.Node, i *Inventory) {
	s, ok := d.text(n, "inventory.path")
	if !ok {
		i.Path = unknownPath
		return
	}
	i.Path, i.PathPos = s, d.pos(resolve(n))
	if s == "" {
		d.fail(n, "snapshot-path", "inventory.path is empty; write for example snapshots/{account}-{region}.json")
		i.Path = unknownPath
	}
	if p := UnknownPlaceholder(s); p != "" {
		d.fail(n, "snapshot-path", "inventory.path has the unknown placeholder %s; allowed: {account}, {region}", p)
	}
}

// unknownPath stands for one that was reported: one cause, one message.
const unknownPath = "{account}{region}"

// checkPath looks at source, path, compare and environments together.
func (d *decoder) checkPath(c *Config) {
	i := &c.Inventory
	if i.Source == Live && d.compare != nil && !d.sourceOverridden && i.Compare != "" {
		d.fail(d.compare, "snapshot-compare", "inventory.compare is %s, but inventory.source is live, which always looks at the deployed stacks; write source: snapshot, or remove compare", i.Compare)
	}
	if i.Source == Live && d.sourceOverridden {
		i.Compare = CompareAuto // as with path: the file's stays for the runs without -c
	}
	fail := func(format string, args ...any) { d.problems.Add(i.PathPos, "snapshot-path", format, args...) }
	switch several := len(c.Environments) > 1; {
	case i.Source == Frozen && i.Path == "":
		fail("inventory.source is snapshot, and inventory.path does not say where the file is; write for example path: snapshots/{account}-{region}.json")
	case i.Source == Live && i.Path != "" && d.sourceOverridden:
		i.Path = "" // the file's path stays for the runs without -c
	case i.Source == Live && i.Path != "" && i.Path != unknownPath:
		fail("inventory.path is %q, but inventory.source is live, which reads AWS and no file; write source: snapshot, or remove path", i.Path)
	case i.Source == Frozen && several && !(strings.Contains(i.Path, "{account}") && strings.Contains(i.Path, "{region}")):
		fail("inventory.path is %q for %d environments; write {account} and {region} into it, so that each has a file of its own", i.Path, len(c.Environments))
	}
}

func (d *decoder) rates(n *yaml.Node, i *Inventory) {
	i.Rates = map[string]float64{}
	fs := fields{}
	for _, op := range RatedOperations {
		where := "inventory.rates." + op
		fs[op] = optional(func(v *yaml.Node) {
			rate, written, ok := d.number(v, where)
			if ok && (rate <= 0 || rate > highestRate) {
				d.fail(v, "out-of-range", "%s is %s; allowed: requests per second, above 0 and up to %d", where, written, highestRate)
			}
			i.Rates[op] = rate
		})
	}
	d.mapping(n, "inventory.rates", "a mapping such as {DescribeKey: 1000}", fs)
}

// length reads a length of time in whole seconds.
func (d *decoder) length(n *yaml.Node, where, example string, longest time.Duration) time.Duration {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!int" && n.ShortTag() != "!!float" {
		d.wrongType(n, where, "a duration such as "+example)
		return 0
	}
	v, err := time.ParseDuration(n.Value)
	switch {
	case n.ShortTag() != "!!str":
		d.fail(n, "duration", "%s is the bare number %s; write the unit, for example %s", where, n.Value, example)
	case err != nil && daysPattern.MatchString(n.Value):
		d.fail(n, "duration", "%s is %s, and a day is no unit here; write hours: a week is 168h", where, n.Value)
	case err != nil:
		d.fail(n, "duration", "%s is %q, which is no duration; write for example %s", where, n.Value, example)
	case v < time.Second || v%time.Second != 0 || v > longest:
		d.fail(n, "duration", "%s is %s; allowed: whole seconds, from 1s to %s", where, n.Value, GoDuration(longest))
	case !lengthForm.MatchString(n.Value):
		d.fail(n, "duration", "%s is %q; write it in whole hours, minutes and seconds: %s", where, n.Value, GoDuration(v))
	}
	return v
}

var daysPattern = regexp.MustCompile(`^[0-9.]+[dw]$`)
