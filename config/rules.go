package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// What a rule takes when it says nothing.
var (
	defaultAnomaly = spec.Anomaly{
		ID: spec.DefaultID, Direction: spec.Above, Band: "2",
		Evaluation: spec.Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 3, Breaching: 2, Missing: "notBreaching"},
	}
	defaultThreshold = spec.Threshold{
		ID:         spec.DefaultID,
		Evaluation: spec.Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 1, Breaching: 1, Missing: "notBreaching"},
	}
)

const (
	maxRules      = 1000
	maxThresholds = 20
	maxBand       = 100
	maxEvaluate   = 10_080 // minutes in the 7 days that CloudWatch allows
	// An anomaly band takes periods of up to an hour; a static alarm looks at
	// up to a week, or a day if its period is below an hour (PutMetricAlarm).
	longestBandPeriod = time.Hour
	longestPeriod     = 7 * 24 * time.Hour
)

var (
	rulePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	idPattern   = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)
	statistics  = []string{"Sum", "SampleCount", "Average", "Minimum", "Maximum"}
	missingData = []string{"notBreaching", "breaching", "ignore", "missing"}
)

func (d *decoder) rules(n *yaml.Node, c *Config) {
	if !d.list(n, "rules", func(i int, item *yaml.Node) {
		if i < maxRules {
			c.Rules = append(c.Rules, d.rule(item, fmt.Sprintf("rules[%d]", i)))
		}
	}) {
		return
	}
	switch count := len(resolve(n).Content); {
	case count == 0:
		d.fail(n, "no-rules", "rules is an empty list, so nothing would be watched; write at least one rule")
	case count > maxRules:
		d.fail(n, "too-many", "rules holds %d rules; at most %d are allowed", count, maxRules)
	}
	first := map[string]Pos{}
	for _, r := range c.Rules {
		if p, double := first[r.Name]; double && r.Name != "" {
			d.problems.Add(r.Pos, "duplicate-rule", "the rule name %q is taken by the rule in line %d; names are unique, since explain and plan go by them", r.Name, p.Line)
			continue
		}
		first[r.Name] = r.Pos
	}
}

func (d *decoder) rule(n *yaml.Node, where string) Rule {
	anomaly := defaultAnomaly
	r := Rule{Pos: d.pos(resolve(n)), Watch: true, Operations: Operations{Scope: Core}, Anomaly: &anomaly}
	given := map[string]bool{}
	read := func(key string, f func(v *yaml.Node)) func(*yaml.Node) {
		return func(v *yaml.Node) { given[key] = true; f(v) }
	}
	outcome := func(key string, f func(v *yaml.Node)) field { return optional(read(key, f)) }
	ok := d.mapping(n, where, fields{
		"name": required(func(v *yaml.Node) { r.Name = d.ruleName(v, where+".name") }),
		"match": required(func(v *yaml.Node) {
			r.Match = d.condition(v, where+".match", 0)
			d.contradictions(r.Match)
		}),
		"watch":      optional(func(v *yaml.Node) { d.setBool(v, where+".watch", &r.Watch) }),
		"continue":   outcome("continue", func(v *yaml.Node) { d.setBool(v, where+".continue", &r.Continue) }),
		"operations": outcome("operations", func(v *yaml.Node) { r.Operations = d.operations(v, where+".operations") }),
		"anomaly":    outcome("anomaly", func(v *yaml.Node) { r.Anomaly = d.anomaly(v, where+".anomaly") }),
		"thresholds": outcome("thresholds", func(v *yaml.Node) { r.Thresholds = d.thresholds(v, where+".thresholds") }),
		"actions":    outcome("actions", func(v *yaml.Node) { r.Actions = d.actions(v, where+".actions") }),
	})
	if ok {
		d.checkOutcome(n, &r, where, given)
	}
	return r
}

// checkOutcome looks at the parts of a rule together.
func (d *decoder) checkOutcome(n *yaml.Node, r *Rule, where string, given map[string]bool) {
	label := where
	if r.Name != "" {
		label = fmt.Sprintf("rule %q", r.Name)
	}
	if !r.Watch {
		for _, key := range []string{"operations", "anomaly", "thresholds", "actions", "continue"} {
			if given[key] {
				d.fail(n, "watch-false", "%s says watch: false and has %q; a key that nobody watches gets no alarms: drop one of the two", label, key)
			}
		}
		return
	}
	if r.Anomaly == nil && len(r.Thresholds) == 0 && !slices.ContainsFunc(d.problems, func(p diag.Problem) bool { return p.Pos.Line >= resolve(n).Line && p.Severity == diag.Error }) {
		d.fail(n, "no-alarm", "%s makes no alarm: anomaly is off and it has no thresholds; add one, or say watch: false if nobody is to watch these keys", label)
	}
	if given["operations"] && r.Anomaly == nil && len(r.Thresholds) > 0 {
		d.problems.Warn(r.Pos, "unused", "%s chooses operations, but its anomaly alarm is off and thresholds name their own; operations has no effect", label)
	}
	if r.Actions.None() {
		d.problems.Warn(r.Pos, "no-actions", "%s has no actions, so its alarms notify nobody; add actions: {alarm: [ARN]}", label)
	}
	if a := r.Anomaly; a != nil {
		d.adviseMissing(r.Pos, label, a)
	}
}

// adviseMissing remarks on pairs of direction and missing data that rarely
// mean what they say. An idle key has no datapoints.
func (d *decoder) adviseMissing(pos Pos, label string, a *spec.Anomaly) {
	switch {
	case a.Direction != spec.Above && a.Missing != "breaching":
		d.problems.Warn(pos, "missing-data", "%s: an anomaly alarm with direction: %s and missing: %s does not see a key that falls silent, since an idle key has no datapoints; use missing: breaching if silence matters", label, a.Direction, a.Missing)
	case a.Direction == spec.Above && a.Missing == "breaching":
		d.problems.Warn(pos, "missing-data", "%s: an anomaly alarm with direction: above and missing: breaching alarms whenever a key is idle; use missing: notBreaching", label)
	case a.Missing == "missing":
		d.problems.Warn(pos, "missing-data", "%s: missing: missing puts the alarm into INSUFFICIENT_DATA whenever a key is idle; use missing: notBreaching", label)
	}
}

func (d *decoder) setBool(n *yaml.Node, where string, to *bool) {
	if v, ok := d.boolean(n, where); ok {
		*to = v
	}
}

func (d *decoder) ruleName(n *yaml.Node, where string) string {
	s, ok := d.text(n, where)
	if ok && !rulePattern.MatchString(s) {
		d.fail(n, "bad-name", "%s is %q; allowed: 1 to 32 of a-z, 0-9 and -", where, s)
	}
	return s
}

func (d *decoder) operations(n *yaml.Node, where string) Operations {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode {
		s, _ := d.choice(n, where+" (a word, or a list of operations)", string(Core), string(Applicable))
		return Operations{Scope: Scope(s)}
	}
	return Operations{Scope: Listed, List: d.operationList(n, where)}
}

func (d *decoder) operationList(n *yaml.Node, where string) []spec.Operation {
	var ops []spec.Operation
	whole := d.list(n, where, func(i int, item *yaml.Node) {
		at := fmt.Sprintf("%s[%d]", where, i)
		s, ok := d.text(item, at)
		op := spec.Operation(s)
		switch {
		case !ok:
		case op == spec.ReEncrypt:
			d.fail(item, "reencrypt", "%s is ReEncrypt, which CloudWatch counts per pair of keys (SourceKeyArn, DestinationKeyArn) and not per KeyArn, so an alarm on it would never fire; the dashboard shows ReEncrypt by its own query, and Decrypt and Encrypt cover direct use", at)
		case !spec.IsWatchable(op):
			names := watchableNames()
			d.fail(item, "bad-operation", "%s is %q, no operation that KMS counts per key%s; allowed: %s", at, s, diag.DidYouMean(s, names), strings.Join(names, ", "))
		case slices.Contains(ops, op):
			d.fail(item, "duplicate-value", "%s repeats %q", at, s)
		default:
			ops = append(ops, op)
		}
	})
	if whole && len(resolve(n).Content) == 0 {
		d.fail(n, "no-operations", "%s is an empty list; name operations, or write core or applicable", where)
	}
	slices.Sort(ops)
	return ops
}

func watchableNames() []string {
	var names []string
	for _, o := range spec.Watchable() {
		names = append(names, string(o))
	}
	return names
}

// anomaly reads the settings of the anomaly alarm, or off / false for none.
func (d *decoder) anomaly(n *yaml.Node, where string) *spec.Anomaly {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && (n.Value == "off" || n.Value == "false") {
		return nil
	}
	a := defaultAnomaly
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, where, "a mapping such as {band: 2}, or off")
		return &a
	}
	fs := d.evaluation(where, &a.Evaluation, longestBandPeriod)
	fs["id"] = optional(func(v *yaml.Node) { a.ID = d.alarmID(v, where+".id") })
	fs["direction"] = optional(func(v *yaml.Node) {
		s, _ := d.choice(v, where+".direction", string(spec.Above), string(spec.Below), string(spec.Both))
		a.Direction = spec.Direction(s)
	})
	fs["band"] = optional(func(v *yaml.Node) { a.Band = d.band(v, where+".band") })
	fs["statistic"] = optional(func(v *yaml.Node) { a.Statistic, _ = d.choice(v, where+".statistic", statistics...) })
	d.mapping(n, where, fs)
	d.checkEvaluation(n, where, a.Evaluation)
	return &a
}

var bandPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

func (d *decoder) band(n *yaml.Node, where string) string {
	v, written, ok := d.number(n, where)
	switch {
	case !ok:
	case v <= 0 || v > maxBand:
		d.fail(n, "band", "%s is %s; it is a number of standard deviations above 0 and up to %d, for example 2 or 2.5", where, written, maxBand)
	case !bandPattern.MatchString(written):
		d.fail(n, "band", "%s is %s; write it as a plain decimal number such as 2 or 2.5, since it goes into the alarm's expression as it stands", where, written)
	}
	return written
}

func (d *decoder) alarmID(n *yaml.Node, where string) string {
	s, ok := d.text(n, where)
	if ok && !idPattern.MatchString(s) {
		d.fail(n, "bad-name", "%s is %q; allowed: 1 to 16 of a-z, 0-9 and -", where, s)
	}
	return s
}

// evaluation are the fields that anomaly and static alarms share.
func (d *decoder) evaluation(where string, e *spec.Evaluation, longest time.Duration) fields {
	return fields{
		"period": optional(func(v *yaml.Node) { e.Period, _ = d.duration(v, where+".period", longest) }),
		"evaluate": optional(func(v *yaml.Node) {
			e.Evaluate, _ = d.integer(v, where+".evaluate", 1, maxEvaluate)
		}),
		"breaching": optional(func(v *yaml.Node) {
			e.Breaching, _ = d.integer(v, where+".breaching", 1, maxEvaluate)
		}),
		"missing": optional(func(v *yaml.Node) { e.Missing, _ = d.choice(v, where+".missing", missingData...) }),
	}
}

// checkEvaluation looks at the numbers together; a 0 is one that was reported.
func (d *decoder) checkEvaluation(n *yaml.Node, where string, e spec.Evaluation) {
	if e.Breaching > e.Evaluate && e.Evaluate > 0 {
		keys := mappingKeys(n)
		note := func(key string) string {
			if slices.Contains(keys, key) {
				return ""
			}
			return " (the default)"
		}
		d.fail(n, "breaching", "%s: breaching is %d%s, more than evaluate, %d%s; an alarm looks at `evaluate` datapoints, of which `breaching` must breach", where, e.Breaching, note("breaching"), e.Evaluate, note("evaluate"))
	}
	window := e.Period * time.Duration(e.Evaluate)
	limit := 7 * 24 * time.Hour
	if e.Period < time.Hour {
		limit = 24 * time.Hour
	}
	if e.Period > 0 && window > limit {
		d.fail(n, "window", "%s looks back period × evaluate = %s × %d = %s; CloudWatch allows %s for a period of %s", where, spec.Minutes(e.Period), e.Evaluate, goDuration(window), goDuration(limit), spec.Minutes(e.Period))
	}
}

func (d *decoder) thresholds(n *yaml.Node, where string) []Threshold {
	var out []Threshold
	d.list(n, where, func(i int, item *yaml.Node) {
		out = append(out, d.threshold(item, fmt.Sprintf("%s[%d]", where, i)))
	})
	if len(out) > maxThresholds {
		d.fail(n, "too-many", "%s holds %d static alarms; at most %d a rule are allowed", where, len(out), maxThresholds)
	}
	type identity struct{ operations, id string }
	first := map[identity]int{}
	for _, t := range out {
		id := identity{spec.JoinOperations(t.Operations, ", "), t.ID}
		if id.operations == "" {
			continue
		}
		if line, double := first[id]; double {
			d.problems.Add(t.Pos, "duplicate-alarm", "%s has two static alarms with id %q on %s, the first in line %d; give one another id", where, t.ID, id.operations, line)
			continue
		}
		first[id] = t.Pos.Line
	}
	return out
}

func (d *decoder) threshold(n *yaml.Node, where string) Threshold {
	t := Threshold{Threshold: defaultThreshold, Pos: d.pos(resolve(n))}
	fs := d.evaluation(where, &t.Evaluation, longestPeriod)
	fs["id"] = optional(func(v *yaml.Node) { t.ID = d.alarmID(v, where+".id") })
	fs["operations"] = required(func(v *yaml.Node) {
		t.Operations = d.operationList(v, where+".operations")
		if len(t.Operations) > spec.MaxMetricsPerAlarm {
			d.fail(v, "too-many", "%s.operations has %d operations; one alarm sums at most %d metrics", where, len(t.Operations), spec.MaxMetricsPerAlarm)
		}
	})
	fs["above"] = required(func(v *yaml.Node) {
		above, written, ok := d.number(v, where+".above")
		if ok && above < 0 {
			d.fail(v, "out-of-range", "%s.above is %s; it is a number of requests per period, 0 or more", where, written)
		}
		t.Above = above
	})
	if d.mapping(n, where, fs) {
		d.checkEvaluation(resolve(n), where, t.Evaluation)
	}
	return t
}

func (d *decoder) actions(n *yaml.Node, where string) Actions {
	var a Actions
	list := func(key string, to *[]Action) field {
		return optional(func(v *yaml.Node) { *to = d.actionList(v, where+"."+key) })
	}
	d.mapping(n, where, fields{
		"alarm":            list("alarm", &a.Alarm),
		"ok":               list("ok", &a.OK),
		"insufficientData": list("insufficientData", &a.InsufficientData),
	})
	_, problems := a.Fill(Place{})
	d.problems = append(d.problems, problems...)
	return a
}

func (d *decoder) actionList(n *yaml.Node, where string) []Action {
	var out []Action
	d.list(n, where, func(i int, item *yaml.Node) {
		at := fmt.Sprintf("%s[%d]", where, i)
		s, ok := d.text(item, at)
		switch {
		case !ok:
		case slices.ContainsFunc(out, func(a Action) bool { return a.ARN == s }):
			d.fail(item, "duplicate-value", "%s repeats %q", at, s)
		default:
			out = append(out, Action{ARN: s, Pos: d.pos(resolve(item))})
		}
	})
	if len(out) > spec.MaxActions {
		d.fail(n, "too-many", "%s holds %d actions; CloudWatch allows %d of a kind: fan out from one SNS topic", where, len(out), spec.MaxActions)
	}
	return out
}
