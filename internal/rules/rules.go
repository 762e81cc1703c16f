// Package rules decides for each key which rules apply: in order, the first
// that matches ends it unless it says continue. Every key gets an answer with a
// reason.
//
// An exception that names the key and holds decides before any rule: see
// [Engine.Except].
//
// The rules are asked next, by tags alone. Only of a key that a rule watches it
// is then asked whether it can have alarms: an AWS managed key, a key pending
// deletion, of an unknown spec, or one that may not be described cannot. A key
// that no rule takes is unmatched whatever it is, and nobody need describe it.
// Only where the tags themselves may not be read is nothing known: such a key is
// unreadable, unless its description shows that it can have no alarms anyway.
//
// It does not know what a rule makes (internal/plan does) and reads nothing.
// Start reading at [Engine.Decide]; [Engine.Explain] is the same walk with a
// record of every step, and [Need] is what a reader of keys may leave out.
package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
)

// Status is what becomes of a key.
type Status string

const (
	Watched     Status = "watched"
	OutOfScope  Status = "out-of-scope" // a rule says watch: false
	Excepted    Status = "excepted"
	Unmatched   Status = "unmatched"
	Unreadable  Status = "unreadable"
	NotEligible Status = "not-eligible"
)

// Decision is the answer for one key.
type Decision struct {
	Status Status
	// Rules are the indexes of the rules whose alarms the key gets, in order;
	// with OutOfScope, the one that says so.
	Rules []int
	// Matched are the indexes of the rules that would watch a key that is not
	// eligible, unreadable or excepted, by the tags that are known of it.
	Matched []int
	// UnknownSpec says that the key is not eligible because keywatch does not
	// know what keys of its usage and spec can do.
	UnknownSpec bool
	// Exception is the one that holds, with Excepted.
	Exception *config.Exception
	// Exceptions are all that name the key, those that do not hold too.
	Exceptions []ExceptionTrace
	// Reason is why there are no alarms; empty for a watched key.
	Reason string
	// Trace is every rule that was asked, in order; only from Explain.
	Trace []RuleTrace
}

// RuleTrace is what one rule said of a key.
type RuleTrace struct {
	Rule    string      `json:"rule"`
	Matched bool        `json:"matched"`
	Leaves  []LeafTrace `json:"leaves,omitempty"`
	// Note says how the walk went on after a match.
	Note string `json:"note,omitempty"`
}

// LeafTrace is what one leaf of a condition saw.
type LeafTrace struct {
	Condition string `json:"condition"`
	Saw       string `json:"saw"`
	OK        bool   `json:"ok"`
}

// Engine is a compiled rule set. It is not safe for concurrent use: it reuses
// its working memory from key to key.
type Engine struct {
	rules []config.Rule
	match []node
	alone [][]int  // each rule's index as a list, for the keys it decides alone
	slots []string // the tag keys that any rule looks at, sorted
	seen  []seen   // the current key's values, by slot
	// named are the exceptions by key ID, ARN or alias, now is when they are
	// judged.
	named map[string][]*config.Exception
	now   time.Time
}

type seen struct {
	value   string
	present bool
}

// node is a condition with its tag key replaced by a slot.
type node struct {
	kind     config.ConditionKind
	children []node
	leaf     *config.Condition
	slot     int
	// known remembers what a pattern said of a value: few values are many.
	known map[string]bool
}

// maxKnown bounds what a pattern remembers.
const maxKnown = 4096

// New compiles rules.
func New(rules []config.Rule) *Engine {
	e := &Engine{rules: rules}
	for _, r := range rules {
		e.collect(r.Match)
	}
	slices.Sort(e.slots)
	e.slots = slices.Compact(e.slots)
	e.seen = make([]seen, len(e.slots))
	for i, r := range rules {
		e.match = append(e.match, e.compile(r.Match))
		e.alone = append(e.alone, []int{i})
	}
	return e
}

func (e *Engine) collect(c *config.Condition) {
	if c.Kind == config.Tag {
		e.slots = append(e.slots, c.Tag)
	}
	for _, child := range c.Children {
		e.collect(child)
	}
}

func (e *Engine) compile(c *config.Condition) node {
	n := node{kind: c.Kind, leaf: c}
	if c.Kind == config.Tag {
		n.slot, _ = slices.BinarySearch(e.slots, c.Tag)
		if c.Test == config.Regex || c.Test == config.GlobOf {
			n.known = map[string]bool{}
		}
	}
	for _, child := range c.Children {
		n.children = append(n.children, e.compile(child))
	}
	return n
}

// Decide says what becomes of a key.
func (e *Engine) Decide(k *inventory.Key) Decision { return e.walk(k, false) }

// Explain is Decide with the trace.
func (e *Engine) Explain(k *inventory.Key) Decision { return e.walk(k, true) }

// walk looks for an exception before anything else.
func (e *Engine) walk(k *inventory.Key, trace bool) Decision {
	exceptions := e.exceptions(k)
	holds := slices.IndexFunc(exceptions, func(t ExceptionTrace) bool { return t.State == Holds })
	var d Decision
	if holds >= 0 {
		d = e.excepted(k, exceptions[holds], trace)
	} else {
		d = e.rule(k, trace)
	}
	d.Exceptions = exceptions
	return d
}

// rule asks the rules first and the key's description after that, and only if a
// rule watches the key: nobody need describe the others.
func (e *Engine) rule(k *inventory.Key, trace bool) Decision {
	if k.TagsOmitted {
		return unmatched(k, nil)
	}
	d := e.ask(k, trace)
	if d.Status != Watched && !k.TagsUnreadable() {
		return d
	}
	if out := ineligible(k); out.Status != "" {
		if out.Trace = d.Trace; d.Status == Watched {
			out.Matched = d.Rules
		}
		return out
	}
	return d
}

func unmatched(k *inventory.Key, trace []RuleTrace) Decision {
	d := Decision{Status: Unmatched, Reason: "no rule matches", Trace: trace}
	if k.Manager == "AWS" {
		d.Reason = "no rule matches; an AWS managed key cannot be tagged"
	}
	return d
}

// ask walks through the rules: the answer is Watched, OutOfScope or Unmatched.
func (e *Engine) ask(k *inventory.Key, trace bool) Decision {
	e.look(k)
	var d Decision
	for i := range e.rules {
		r := &e.rules[i]
		matched := e.match[i].eval(e.seen)
		if trace {
			d.Trace = append(d.Trace, e.trace(i, matched))
		}
		if !matched {
			continue
		}
		if !r.Watch {
			if len(d.Rules) == 0 {
				d.Status, d.Rules = OutOfScope, e.alone[i]
				d.Reason = fmt.Sprintf("rule %q says watch: false", r.Name)
			}
			break
		}
		if d.Status = Watched; len(d.Rules) == 0 {
			d.Rules = e.alone[i] // full, so that append copies
		} else {
			d.Rules = append(d.Rules, i)
		}
		if !r.Continue {
			break
		}
	}
	if d.Status == "" {
		return unmatched(k, d.Trace)
	}
	return d
}

// ineligible says why a key that a rule watches, or might, has no alarms; the
// status is empty if it can have them.
func ineligible(k *inventory.Key) Decision {
	switch {
	case k.Gone:
		return Decision{Status: NotEligible, Reason: "the key was deleted while the inventory was read"}
	case k.Manager == "AWS":
		return Decision{Status: NotEligible, Reason: "an AWS managed key: keywatch watches customer managed keys"}
	case k.State == "PendingDeletion" || k.State == "PendingReplicaDeletion":
		return Decision{Status: NotEligible, Reason: fmt.Sprintf("the key state is %s", k.State)}
	case k.Unreadable != "":
		return Decision{Status: Unreadable, Reason: k.Unreadable}
	}
	if _, known := spec.Applicable(k.Usage, k.Spec); !known {
		reason := fmt.Sprintf("keywatch does not know the operations of key usage %q with key spec %q", k.Usage, k.Spec)
		return Decision{Status: NotEligible, UnknownSpec: true, Reason: reason}
	}
	return Decision{}
}

// look puts the key's values into their slots; both sides are sorted.
func (e *Engine) look(k *inventory.Key) {
	t := 0
	for s, key := range e.slots {
		for t < len(k.Tags) && k.Tags[t].Key < key {
			t++
		}
		if t < len(k.Tags) && k.Tags[t].Key == key {
			e.seen[s] = seen{k.Tags[t].Value, true}
		} else {
			e.seen[s] = seen{}
		}
	}
}

func (n *node) eval(values []seen) bool {
	switch n.kind {
	case config.Every:
		return true
	case config.All:
		for i := range n.children {
			if !n.children[i].eval(values) {
				return false
			}
		}
		return true
	case config.Any:
		for i := range n.children {
			if n.children[i].eval(values) {
				return true
			}
		}
		return false
	case config.Not:
		return !n.children[0].eval(values)
	}
	v := values[n.slot]
	if n.known == nil || !v.present {
		return n.leaf.MatchTag(v.value, v.present)
	}
	ok, found := n.known[v.value]
	if !found {
		ok = n.leaf.MatchTag(v.value, true)
		if len(n.known) < maxKnown {
			n.known[v.value] = ok
		}
	}
	return ok
}

func (e *Engine) trace(i int, matched bool) RuleTrace {
	r := &e.rules[i]
	t := RuleTrace{Rule: r.Name, Matched: matched}
	switch {
	case matched && !r.Watch:
		t.Note = "watch: false; no later rule is asked"
	case matched && r.Continue:
		t.Note = "continue: true; later rules are asked too"
	case matched:
		t.Note = "the first match decides; no later rule is asked"
	}
	e.leaves(&e.match[i], &t.Leaves)
	return t
}

func (e *Engine) leaves(n *node, to *[]LeafTrace) {
	switch n.kind {
	case config.Every:
		*to = append(*to, LeafTrace{Condition: "every key", Saw: "a key", OK: true})
	case config.Tag:
		v := e.seen[n.slot]
		*to = append(*to, LeafTrace{Condition: n.leaf.String(), Saw: sawTag(n.leaf.Tag, v), OK: n.eval(e.seen)})
	case config.Not:
		// Read with its "not", as a leaf that holds or does not.
		if child := &n.children[0]; child.kind == config.Tag {
			v := e.seen[child.slot]
			*to = append(*to, LeafTrace{Condition: n.leaf.String(), Saw: sawTag(child.leaf.Tag, v), OK: n.eval(e.seen)})
			return
		}
		*to = append(*to, LeafTrace{Condition: n.leaf.String(), Saw: "see the parts", OK: n.eval(e.seen)})
		e.leaves(&n.children[0], to)
	default:
		for i := range n.children {
			e.leaves(&n.children[i], to)
		}
	}
}

func sawTag(key string, v seen) string {
	if !v.present {
		return "no tag " + config.Readable(key)
	}
	return fmt.Sprintf("%s=%q", config.Readable(key), v.value)
}

// Names joins the names of rules, for a reader.
func (e *Engine) Names(indexes []int) string {
	names := make([]string, len(indexes))
	for i, r := range indexes {
		names[i] = e.rules[r].Name
	}
	return strings.Join(names, ", ")
}
