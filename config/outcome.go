package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"keywatch/constructs/spec"
)

// outcomeKeys are what a rule says of what to make, and defaults for all rules.
var outcomeKeys = []string{"operations", "anomaly", "perOperation", "bandTag", "thresholds", "actions"}

// defaults are what rules build on.
type defaults struct {
	rule         Rule // what a rule makes that says nothing
	perOperation []operationNode
	// broken: they hold a mistake, so that rules are read without them, and
	// nothing is said of what a rule lacks.
	broken bool
}

// operationNode is what a mapping says of the anomaly alarm of one operation. It
// is read once for each anomaly alarm that it is to differ from.
type operationNode struct {
	operation spec.Operation
	where     string
	node      *yaml.Node
}

// plainRule makes what keywatch makes unless somebody says otherwise.
func plainRule() Rule {
	anomaly := spec.DefaultAnomaly()
	return Rule{Watch: true, Operations: Operations{Scope: Core}, Anomaly: &anomaly}
}

func newRuleKeys(where string) *ruleKeys {
	return &ruleKeys{where: where, given: map[string]bool{}, broken: map[string]bool{}}
}

func (d *decoder) readDefaults(n *yaml.Node) {
	r, k := plainRule(), newRuleKeys("defaults")
	before := d.mistakes()
	if d.mapping(n, k.where, "a mapping of what rules make, such as {anomaly: {band: 3}}", d.outcome(&r, k)) {
		d.perOperation(&r, k)
	}
	if d.mistakes() > before {
		d.defaults.broken = true
		return
	}
	r.PerOperation = nil // each rule builds its own, on its own anomaly alarm
	d.defaults = defaults{rule: r, perOperation: k.perOperation}
}

// outcome are the fields that say what to make. They are read over what r has, so
// that a rule begins with what defaults say.
func (d *decoder) outcome(r *Rule, k *ruleKeys) fields {
	at := func(key string) string { return within(k.where, key) }
	return fields{
		"operations":   k.field(d, "operations", func(v *yaml.Node) { r.Operations = d.operations(v, at("operations")) }),
		"anomaly":      k.field(d, "anomaly", func(v *yaml.Node) { r.Anomaly = d.anomaly(v, at("anomaly"), r.Anomaly) }),
		"perOperation": k.field(d, "perOperation", func(v *yaml.Node) { k.perOperation = d.operationNodes(v, at("perOperation")) }),
		"bandTag":      k.field(d, "bandTag", func(v *yaml.Node) { r.BandTag = d.bandTag(v, at("bandTag")) }),
		"thresholds":   k.field(d, "thresholds", func(v *yaml.Node) { r.Thresholds = d.thresholds(v, at("thresholds")) }),
		"actions":      k.field(d, "actions", func(v *yaml.Node) { d.actions(v, at("actions"), &r.Actions) }),
	}
}

// anomaly reads the settings of the anomaly alarm, or off / false for none. What
// it does not say is as in from, or as usual where from is off.
func (d *decoder) anomaly(n *yaml.Node, where string, from *spec.Anomaly) *spec.Anomaly {
	n = resolve(n)
	if isOff(n) {
		return nil
	}
	a := orDefault(from)
	fs := d.anomalyFields(where, &a)
	fs["id"] = optional(func(v *yaml.Node) { a.ID = d.alarmID(v, where+".id") })
	if d.mapping(n, where, "a mapping such as {band: 2}, or off", fs) && !d.defaults.broken {
		d.checkEvaluation(d.pos(n), where, a.Evaluation, "defaults.anomaly")
	}
	return &a
}

func orDefault(a *spec.Anomaly) spec.Anomaly {
	if a == nil {
		return spec.DefaultAnomaly()
	}
	return *a
}

func (d *decoder) anomalyFields(where string, a *spec.Anomaly) fields {
	fs := d.evaluation(where, &a.Evaluation, spec.MaxAnomalyPeriod)
	fs["direction"] = optional(func(v *yaml.Node) {
		s, _ := d.choice(v, where+".direction", string(spec.Above), string(spec.Below), string(spec.Both))
		a.Direction = spec.Direction(s)
	})
	fs["band"] = optional(func(v *yaml.Node) { a.Band = d.band(v, where+".band") })
	fs["statistic"] = optional(func(v *yaml.Node) { a.Statistic, _ = d.choice(v, where+".statistic", spec.Statistics...) })
	return fs
}

// operationNodes reads which operations a mapping is about.
func (d *decoder) operationNodes(n *yaml.Node, where string) []operationNode {
	n = resolve(n)
	var out []operationNode
	fs := fields{}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := resolve(n.Content[i])
			fs[key.Value] = optional(func(v *yaml.Node) {
				if d.watchable(key, "a key of "+where, key.Value) {
					out = append(out, operationNode{spec.Operation(key.Value), within(where, key.Value), v})
				}
			})
		}
	}
	d.mapping(n, where, "a mapping such as {Decrypt: {band: 3}, Sign: off}", fs)
	return out
}

// perOperation builds the alarms of single operations on the rule's own: over it
// what defaults say of the operation, and over that what the rule says of it.
func (d *decoder) perOperation(r *Rule, k *ruleKeys) {
	all := map[spec.Operation]*spec.Anomaly{}
	base, anomaly := orDefault(r.Anomaly), within(k.where, "anomaly")
	judged := !k.broken["anomaly"] && !d.defaults.broken
	before := d.mistakes()
	said := &decoder{file: d.file, origin: d.origin, given: map[string]Pos{}} // its mistakes are known
	for _, o := range d.defaults.perOperation {
		a := said.operationAnomaly(o, base)
		all[o.operation] = a
		own := slices.ContainsFunc(k.perOperation, func(p operationNode) bool { return p.operation == o.operation })
		if a != nil && r.Anomaly != nil && k.given["anomaly"] && judged && !own {
			d.checkEvaluation(d.given[anomaly], within(k.where, "perOperation."+string(o.operation)), a.Evaluation, o.where, anomaly, "defaults.anomaly")
		}
	}
	for _, o := range k.perOperation {
		from := base
		if a := all[o.operation]; a != nil {
			from = *a
		}
		mistakes := d.mistakes()
		a := d.operationAnomaly(o, from)
		all[o.operation] = a
		if a != nil && judged && d.mistakes() == mistakes {
			d.checkEvaluation(d.pos(resolve(o.node)), o.where, a.Evaluation, within("defaults.perOperation", string(o.operation)), anomaly, "defaults.anomaly")
		}
	}
	if d.mistakes() > before {
		k.broken["perOperation"] = true
	}
	if r.Anomaly != nil && len(all) > 0 {
		r.PerOperation = all
	}
}

func (d *decoder) operationAnomaly(o operationNode, from spec.Anomaly) *spec.Anomaly {
	n := resolve(o.node)
	if isOff(n) {
		return nil
	}
	d.mapping(n, o.where, "a mapping such as {band: 3}, or off", d.anomalyFields(o.where, &from))
	return &from
}

// bandTag reads by which tag a key sets its own band, or off / false for none.
func (d *decoder) bandTag(n *yaml.Node, where string) *BandTag {
	n = resolve(n)
	if isOff(n) {
		return nil
	}
	t := BandTag{Min: Band{1, "1"}, Pos: d.pos(n)}
	band := func(key string, to *Band) field {
		return optional(func(v *yaml.Node) {
			to.Text = d.band(v, within(where, key))
			to.Value, _ = strconv.ParseFloat(to.Text, 64)
		})
	}
	before := d.mistakes()
	d.mapping(n, where, "a mapping such as {tag: keywatch-band, min: 1}, or off", fields{
		"tag":         required(func(v *yaml.Node) { t.Tag = d.tagKey(v, where+".tag") }),
		"min":         band("min", &t.Min),
		"max":         band("max", &t.Max),
		"allowLooser": optional(func(v *yaml.Node) { d.setBool(v, where+".allowLooser", &t.AllowLooser) }),
	})
	switch {
	case d.mistakes() > before:
	case t.AllowLooser && t.Max.Text == "":
		d.fail(n, "missing-key", "%s lacks the required key \"max\": with allowLooser: true it is the widest band that a key may have in place of a narrower one", where)
	case t.Max.Text != "" && t.Min.Value > t.Max.Value:
		d.fail(n, "out-of-range", "%s: min is %s, more than max, %s; the band of a key is to lie between them", where, t.Min.Text, t.Max.Text)
	case t.Max.Text != "" && !t.AllowLooser:
		d.problems.Warn(d.given[within(where, "max")], "unused", "%s.max bounds bands that are wider than the rule's, which only allowLooser: true lets a key have, so it has no effect; add that, or remove max", where)
	}
	return &t
}

// source is the first of the paths below which a key is given, with its place.
func (d *decoder) source(key string, paths ...string) (string, Pos) {
	for _, p := range paths {
		if pos, ok := d.given[within(p, key)]; ok {
			return within(p, key), pos
		}
	}
	return "", Pos{}
}

// candidates are the operations that a rule can mean, of whatever key.
func (o Operations) candidates() []spec.Operation {
	switch o.Scope {
	case Core:
		return spec.WatchableCore()
	case Applicable:
		return spec.Watchable()
	}
	return o.List
}

// checkOutcome looks at the parts of a rule that watches together, defaults
// filled in.
func (d *decoder) checkOutcome(r *Rule, label string, k *ruleKeys) {
	if k.misspelt || k.broken["watch"] || d.defaults.broken {
		return
	}
	watched := r.watched()
	if len(watched)+len(r.Thresholds) == 0 && !k.broken["operations"] && !k.broken["perOperation"] {
		if !k.broken["thresholds"] {
			d.problems.Add(r.Pos, "no-alarm", "%s makes no alarm: %s and it has no thresholds; add one, or say watch: false if nobody is to watch these keys", label, k.whyNoAnomaly(r))
		}
		return
	}
	d.adviseUnused(r, k)
	if r.Actions.None() && !k.broken["actions"] {
		d.problems.Warn(r.Pos, "no-actions", "%s has no actions, so its alarms notify nobody; add actions: {alarm: [ARN]}", label)
	}
	if r.Anomaly == nil || k.broken["anomaly"] {
		return
	}
	anomaly := within(k.where, "anomaly")
	d.adviseMissing(r, r.Anomaly, []string{anomaly}, []string{"defaults.anomaly"})
	for _, op := range watched {
		a, own := r.PerOperation[op]
		if !own || k.broken["perOperation"] || a.Direction == r.Anomaly.Direction && a.Missing == r.Anomaly.Missing {
			continue
		}
		sub := "perOperation." + string(op)
		d.adviseMissing(r, a, []string{within(k.where, sub), anomaly}, []string{within("defaults", sub), "defaults.anomaly"})
	}
}

// watched are the operations that have an anomaly alarm, if the key can do them.
func (r *Rule) watched() []spec.Operation {
	if r.Anomaly == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.Operations.candidates()), func(op spec.Operation) bool {
		a, own := r.PerOperation[op]
		return own && a == nil
	})
}

func (k *ruleKeys) whyNoAnomaly(r *Rule) string {
	switch {
	case r.Anomaly != nil:
		return "perOperation is off for each of its operations"
	case !k.given["anomaly"]:
		return "defaults.anomaly is off"
	}
	return "anomaly is off"
}

// adviseUnused drops what has no effect and remarks on what the rule says of it:
// what defaults say is meant for other rules.
func (d *decoder) adviseUnused(r *Rule, k *ruleKeys) {
	if r.Anomaly != nil {
		unused := slices.DeleteFunc(slices.Collect(maps.Keys(r.PerOperation)), func(op spec.Operation) bool {
			return k.broken["operations"] || slices.Contains(r.Operations.candidates(), op)
		})
		for _, op := range unused {
			delete(r.PerOperation, op)
		}
		for _, o := range k.perOperation {
			if slices.Contains(unused, o.operation) {
				d.problems.Warn(d.pos(resolve(o.node)), "unused", "%s: rule %q has no alarm on %s, which is not among its operations, so this has no effect; add %[3]s to operations, or remove it here", o.where, r.Name, o.operation)
			}
		}
		if !k.broken["anomaly"] && !k.broken["perOperation"] && !k.broken["operations"] && !k.broken["bandTag"] && k.given["bandTag"] && r.BandTag != nil {
			d.adviseBandTag(r, within(k.where, "bandTag"))
		}
		return
	}
	if k.given["operations"] {
		d.problems.Warn(d.given[within(k.where, "operations")], "unused", "%s: the anomaly alarm of rule %q is off, and thresholds name their own operations, so this has no effect; remove it", within(k.where, "operations"), r.Name)
	} else {
		r.Operations = Operations{Scope: Core}
	}
	for _, key := range []string{"perOperation", "bandTag"} {
		if k.given[key] {
			d.problems.Warn(d.given[within(k.where, key)], "unused", "%s: the anomaly alarm of rule %q is off, so this has no effect; remove it", within(k.where, key), r.Name)
		}
	}
	r.BandTag = nil
}

// adviseBandTag remarks on bounds that no band of the rule lies within, so that the
// tag, or its allowLooser, does nothing.
func (d *decoder) adviseBandTag(r *Rule, where string) {
	t := r.BandTag
	narrowest, widest := math.Inf(1), 0.0
	for _, op := range r.watched() {
		a, own := r.PerOperation[op]
		if !own {
			a = r.Anomaly
		}
		band, _ := strconv.ParseFloat(a.Band, 64)
		narrowest, widest = min(narrowest, band), max(widest, band)
	}
	warn := func(key, format string, args ...any) {
		path, pos := d.source(key, where)
		if path == "" { // min is the default
			path, pos = where, t.Pos
		}
		d.problems.Warn(pos, "unused", "%s: "+format, append([]any{path}, args...)...)
	}
	switch {
	case !t.AllowLooser && t.Min.Value >= widest:
		warn("min", "min is %s, and no band of rule %q is wider, so that no key can narrow it, and the tag has no effect; lower min, or remove bandTag", t.Min.Text, r.Name)
	case t.AllowLooser && t.Max.Value <= narrowest:
		warn("max", "max is %s, and no band of rule %q is narrower, so that no key can widen it, and allowLooser has no effect; raise max, or remove both", t.Max.Text, r.Name)
	}
}

// adviseMissing remarks on pairs of direction and missing data that rarely
// mean what they say. An idle key has no datapoints. It stands at the value to
// change: the rule's own, or that of defaults, which many rules share.
func (d *decoder) adviseMissing(r *Rule, a *spec.Anomaly, own, shared []string) {
	place := func(paths []string) (string, Pos) {
		for _, key := range []string{"missing", "direction"} {
			if path, pos := d.source(key, paths...); path != "" {
				return path, pos
			}
		}
		return "", Pos{}
	}
	of := fmt.Sprintf(" of rule %q", r.Name)
	path, pos := place(own)
	if path == "" {
		of = ""
		path, pos = place(shared)
	}
	switch {
	case a.Direction != spec.Above && a.Missing != "breaching":
		d.problems.Warn(pos, "missing-data", "%s: an anomaly alarm%s with direction: %s and missing: %s does not see a key that falls silent, since an idle key has no datapoints; use missing: breaching if silence matters", path, of, a.Direction, a.Missing)
	case a.Direction == spec.Above && a.Missing == "breaching":
		d.problems.Warn(pos, "missing-data", "%s: an anomaly alarm%s with direction: above and missing: breaching alarms whenever a key is idle; use missing: notBreaching", path, of)
	case a.Missing == "missing":
		d.problems.Warn(pos, "missing-data", "%s: missing: missing puts an alarm%s into INSUFFICIENT_DATA whenever a key is idle; use missing: notBreaching", path, of)
	}
}
