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

const (
	maxRules      = 1000
	maxThresholds = 20
	maxEvaluate   = 10_080 // minutes in the 7 days that CloudWatch allows
)

var (
	rulePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

func (d *decoder) rules(n *yaml.Node, c *Config) {
	if !d.list(n, "rules", "rules, each beginning with - name:", func(i int, item *yaml.Node) {
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
	first := map[string]int{}
	for i, r := range c.Rules {
		if taken, double := first[r.Name]; double && r.Name != "" {
			d.problems.Add(r.Pos, "duplicate-rule", "rules[%d].name is %q, as that of rules[%d] in line %d; names are unique, since explain and plan go by them", i, r.Name, taken, c.Rules[taken].Pos.Line)
			continue
		}
		first[r.Name] = i
	}
	if d.mistakes() > 0 { // which may be about just what would be remarked on
		return
	}
	d.unreachable(c.Rules)
	for i, r := range c.Rules {
		d.simplify(r.Match, fmt.Sprintf("rules[%d].match", i))
	}
}

// unreachable remarks on rules behind one that ends the walk of every key, and on
// those of which an earlier one takes all that they match.
func (d *decoder) unreachable(rules []Rule) {
	if last := slices.IndexFunc(rules, func(r Rule) bool { return r.TakesAll() }); last >= 0 && last < len(rules)-1 {
		more := ""
		if n := len(rules) - last - 2; n > 0 {
			more = fmt.Sprintf(" (nor are the %d after it)", n)
			if n == 1 {
				more = " (nor is the one after it)"
			}
		}
		d.problems.Warn(rules[last+1].Pos, "unreachable", "rules[%d]: rule %q is never asked%s: rule %q in line %d matches every key and ends there; put that one last, or give it continue: true",
			last+1, rules[last+1].Name, more, rules[last].Name, rules[last].Pos.Line)
		rules = rules[:last+1]
	}
	for i, by := range takenBy(rules) {
		if by >= 0 {
			d.problems.Warn(rules[i].Pos, "unreachable", "rules[%d]: rule %q never decides: rule %q in line %d matches every key that it matches, and ends there; put the narrower one first, or give the other continue: true",
				i, rules[i].Name, rules[by].Name, rules[by].Pos.Line)
		}
	}
}

// ruleKeys is what a rule's mapping says, for the checks that look at its parts
// together: what is given, and what is not to be judged further since a mistake
// in it has been reported.
type ruleKeys struct {
	where         string
	given, broken map[string]bool
	// perOperation waits until the anomaly alarm that it builds on is read.
	perOperation []operationNode
	// misspelt: some key is unknown, so that nothing may be called missing.
	misspelt bool
}

// field reads an optional key and keeps note of it.
func (k *ruleKeys) field(d *decoder, key string, read func(*yaml.Node)) field {
	return optional(func(v *yaml.Node) {
		k.given[key] = true
		before := d.mistakes()
		read(v)
		k.broken[key] = d.mistakes() > before
	})
}

func (d *decoder) rule(n *yaml.Node, where string) Rule {
	n = resolve(n)
	r := d.defaults.rule
	r.Pos = d.pos(n)
	k := newRuleKeys(where)
	fs := d.outcome(&r, k)
	fs["name"] = required(func(v *yaml.Node) { r.Name = d.ruleName(v, where+".name") })
	fs["match"] = required(func(v *yaml.Node) {
		r.Match = d.condition(v, where+".match", 0)
		d.contradictions(r.Match, where+".match")
	})
	fs["watch"] = k.field(d, "watch", func(v *yaml.Node) { d.setBool(v, where+".watch", &r.Watch) })
	fs["continue"] = k.field(d, "continue", func(v *yaml.Node) { d.setBool(v, where+".continue", &r.Continue) })
	if !d.mapping(n, where, "a mapping of name, match and what to make", fs) {
		return r
	}
	k.misspelt = slices.ContainsFunc(mappingKeys(n), func(key string) bool { _, known := fs[key]; return !known })
	label := where
	if r.Name != "" {
		label = fmt.Sprintf("%s: rule %q", where, r.Name)
	}
	if !r.Watch {
		d.checkUnwatched(&r, label, k)
		plain := plainRule() // nothing of defaults
		plain.Name, plain.Pos, plain.Match, plain.Watch = r.Name, r.Pos, r.Match, false
		return plain
	}
	d.perOperation(&r, k)
	d.checkOutcome(&r, label, k)
	return r
}

// checkUnwatched refuses an outcome that watch: false would throw away.
func (d *decoder) checkUnwatched(r *Rule, label string, k *ruleKeys) {
	var has []string
	for _, key := range append(slices.Clone(outcomeKeys), "continue") {
		if k.given[key] {
			has = append(has, key)
		}
	}
	if len(has) > 0 {
		d.problems.Add(r.Pos, "watch-false", "%s says watch: false, which makes no alarms, and has %s; drop watch: false or the rest", label, strings.Join(has, ", "))
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

// operations reads core, applicable or a list.
func (d *decoder) operations(n *yaml.Node, where string) Operations {
	n = resolve(n)
	const want = "core, applicable or a list of operations"
	switch {
	case n.Kind == yaml.SequenceNode:
		return Operations{Scope: Listed, List: d.operationList(n, where)}
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		d.wrongType(n, where, want)
	case n.Value == string(Core) || n.Value == string(Applicable):
		return Operations{Scope: Scope(n.Value)}
	case spec.IsWatchable(spec.Operation(n.Value)):
		d.fail(n, "wrong-type", "%s must be %s, not one operation; write [%s]", where, want, n.Value)
	default:
		d.fail(n, "not-allowed", "%s is %q%s; allowed: %s", where, n.Value, diag.DidYouMean(n.Value, []string{string(Core), string(Applicable)}), want)
	}
	return Operations{Scope: Core}
}

func (d *decoder) operationList(n *yaml.Node, where string) []spec.Operation {
	var ops []spec.Operation
	whole := d.list(n, where, "operations, for example [Decrypt, Encrypt]", func(i int, item *yaml.Node) {
		at := fmt.Sprintf("%s[%d]", where, i)
		s, ok := d.text(item, at)
		if !ok || !d.watchable(item, at, s) {
			return
		}
		if slices.Contains(ops, spec.Operation(s)) {
			d.fail(item, "duplicate-value", "%s repeats %q", at, s)
			return
		}
		ops = append(ops, spec.Operation(s))
	})
	if whole && len(resolve(n).Content) == 0 {
		d.fail(n, "no-operations", "%s is an empty list; name at least one operation, or leave it out if it is not needed", where)
	}
	slices.Sort(ops)
	return ops
}

func (d *decoder) watchable(n *yaml.Node, at, s string) bool {
	bare := strings.TrimPrefix(s, "kms:") // as IAM policies write it
	switch {
	case spec.IsWatchable(spec.Operation(s)):
		return true
	case strings.HasPrefix(strings.ToLower(bare), "reencrypt"):
		d.fail(n, "reencrypt", "%s is %s, which CloudWatch counts per pair of keys (SourceKeyArn, DestinationKeyArn) and not per KeyArn, so an alarm on it would never fire; leave it out: the dashboard shows ReEncrypt by its own query, and Decrypt and Encrypt cover direct use", at, s)
	default:
		names := watchableNames()
		d.fail(n, "bad-operation", "%s is %q, no operation that KMS counts per key%s; allowed: %s", at, s, diag.DidYouMean(bare, names), strings.Join(names, ", "))
	}
	return false
}

func watchableNames() []string {
	var names []string
	for _, o := range spec.Watchable() {
		names = append(names, string(o))
	}
	return names
}

func (d *decoder) band(n *yaml.Node, where string) string {
	v, written, ok := d.number(n, where)
	switch {
	case !ok:
	case v <= 0 || v > spec.MaxBand:
		d.fail(n, "band", "%s is %s; it is a number of standard deviations above 0 and up to %d, for example 2 or 2.5", where, written, spec.MaxBand)
	case !spec.BandPattern.MatchString(written):
		d.fail(n, "band", "%s is %s; write it as a plain decimal number such as 2 or 2.5, with up to 6 decimals, since it goes into the alarm's expression as it stands", where, written)
	}
	return written
}

func (d *decoder) alarmID(n *yaml.Node, where string) string {
	s, ok := d.text(n, where)
	if ok && !spec.AlarmIDPattern.MatchString(s) {
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
		"missing": optional(func(v *yaml.Node) { e.Missing, _ = d.choice(v, where+".missing", spec.MissingData...) }),
	}
}

// checkEvaluation looks at the numbers together; a 0 is one that was reported.
// below are the paths of what where builds on.
func (d *decoder) checkEvaluation(pos Pos, where string, e spec.Evaluation, below ...string) {
	if e.Breaching > e.Evaluate && e.Evaluate > 0 {
		note := func(key string) string {
			switch path, _ := d.source(key, append([]string{where}, below...)...); path {
			case "":
				return " (the default)"
			case within(where, key):
				return ""
			default:
				return " (" + path + ")"
			}
		}
		d.problems.Add(pos, "breaching", "%s: breaching is %d%s, more than evaluate, %d%s; an alarm looks at `evaluate` datapoints, of which `breaching` must breach", where, e.Breaching, note("breaching"), e.Evaluate, note("evaluate"))
	}
	window := e.Period * time.Duration(e.Evaluate)
	limit, kind := spec.MaxWindow(e.Period), "of an hour and more"
	if e.Period < time.Hour {
		kind = "below an hour"
	}
	if e.Period > 0 && window > limit {
		d.problems.Add(pos, "window", "%s looks back period × evaluate = %s × %d = %s; CloudWatch allows %s for periods %s; lower evaluate or period", where, GoDuration(e.Period), e.Evaluate, GoDuration(window), GoDuration(limit), kind)
	}
}

func (d *decoder) thresholds(n *yaml.Node, where string) []Threshold {
	var out []Threshold
	d.list(n, where, "static alarms, each beginning with - operations:", func(i int, item *yaml.Node) {
		out = append(out, d.threshold(item, fmt.Sprintf("%s[%d]", where, i)))
	})
	if len(out) > maxThresholds {
		d.fail(n, "too-many", "%s holds %d static alarms; at most %d a rule are allowed", where, len(out), maxThresholds)
	}
	type identity struct{ operations, id string }
	first := map[identity]int{}
	for i, t := range out {
		id := identity{spec.JoinOperations(t.Operations, ", "), t.ID}
		if id.operations == "" {
			continue
		}
		if line, double := first[id]; double {
			d.problems.Add(t.Pos, "duplicate-alarm", "%s[%d] is a second static alarm with id %q on %s, after that in line %d; give one another id", where, i, t.ID, id.operations, line)
			continue
		}
		first[id] = t.Pos.Line
	}
	return out
}

func (d *decoder) threshold(n *yaml.Node, where string) Threshold {
	t := Threshold{Threshold: spec.Threshold{}.WithDefaults(), Pos: d.pos(resolve(n))}
	fs := d.evaluation(where, &t.Evaluation, spec.MaxPeriod)
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
	if d.mapping(n, where, "a mapping of operations, above and how to evaluate", fs) {
		d.checkEvaluation(t.Pos, where, t.Evaluation)
	}
	return t
}

// actions reads lists of actions in place of those that a has.
func (d *decoder) actions(n *yaml.Node, where string, a *Actions) {
	list := func(key string, to *[]Action) field {
		return optional(func(v *yaml.Node) { *to = d.actionList(v, where+"."+key) })
	}
	d.mapping(n, where, "a mapping such as {alarm: [ARN]}", fields{
		"alarm":            list("alarm", &a.Alarm),
		"ok":               list("ok", &a.OK),
		"insufficientData": list("insufficientData", &a.InsufficientData),
	})
	_, problems := a.Fill(Place{})
	d.problems = append(d.problems, problems...)
}

func (d *decoder) actionList(n *yaml.Node, where string) []Action {
	var out []Action
	d.list(n, where, "ARNs in [ ]", func(i int, item *yaml.Node) {
		at := fmt.Sprintf("%s[%d]", where, i)
		s, ok := d.text(item, at)
		switch {
		case !ok:
		case slices.ContainsFunc(out, func(a Action) bool { return a.ARN == s }):
			d.fail(item, "duplicate-value", "%s repeats %q", at, s)
		default:
			n := resolve(item)
			if d.actionPaths[n] == "" {
				d.actionPaths[n] = at
			}
			out = append(out, Action{ARN: s, Path: d.actionPaths[n], Pos: d.pos(n)})
		}
	})
	if len(out) > spec.MaxActions {
		d.fail(n, "too-many", "%s holds %d actions; CloudWatch allows %d of a kind: fan out from one SNS topic", where, len(out), spec.MaxActions)
	}
	return out
}
