// Package rules decides for each key which rules apply: in order, the first
// that matches ends it unless it says continue. Every key gets an answer with a
// reason.
//
// An exception that names the key and holds decides before any rule: see
// [Engine.Except].
//
// The rules are asked next, by tags and by what they ask for. Only of a key that a
// rule watches it is then asked whether it can have alarms: an AWS managed key, a
// key pending deletion, of an unknown spec, or one that may not be described
// cannot. A key that no rule takes is unmatched whatever it is, and nobody need
// describe it. Where the tags may not be read, or a rule asks for a fact of a key
// that may not be described, the answer may hang on what is unknown: such a key
// is unreadable, unless what is known shows that it can have no alarms anyway.
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
	// eligible, unreadable or excepted, by what is known of it.
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

// Answer is what a rule, or a part of its condition, says of a key.
type Answer string

const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown" // it hangs on what is not known of the key
)

// RuleTrace is what one rule said of a key.
type RuleTrace struct {
	Rule    string      `json:"rule"`
	Answer  Answer      `json:"answer"`
	Matched bool        `json:"matched"` // whether the answer is yes
	Leaves  []LeafTrace `json:"leaves,omitempty"`
	// Note says how the walk went on after a match, or why it ended.
	Note string `json:"note,omitempty"`
}

// LeafTrace is what one part of a condition said: a leaf, or a combination, whose
// parts follow it one level deeper.
type LeafTrace struct {
	Condition string `json:"condition"`
	Depth     int    `json:"depth"`
	Saw       string `json:"saw"` // empty for a combination
	Answer    Answer `json:"answer"`
	OK        bool   `json:"ok"` // whether the answer is yes
}

// Engine is a compiled rule set. It is not safe for concurrent use: it reuses
// its working memory from key to key.
type Engine struct {
	rules    []config.Rule
	match    []node
	alone    [][]int // each rule's index as a list, for the keys it decides alone
	subjects []*subject
	key      *inventory.Key // the current one
	// How many leaves were looked at, and how many of them had to compare: tests
	// hold that neither grows faster than keys and rules.
	looked, compared int
	// named are the exceptions by key ID, ARN or alias, now is when they are
	// judged.
	named map[string][]*config.Exception
	now   time.Time
}

// New compiles rules.
func New(rules []config.Rule) *Engine {
	e := &Engine{rules: rules}
	places := map[string]node{}
	for i, r := range rules {
		e.match = append(e.match, e.compile(r.Match, places))
		e.alone = append(e.alone, []int{i})
	}
	e.ready()
	return e
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
	d, open := e.ask(k, trace)
	if d.Status != Watched && !open {
		return d
	}
	out := ineligible(k)
	if open && (out.Status == "" || out.UnknownSpec) {
		out = Decision{Status: Unreadable, Reason: "the rules ask for what is not known of the key"}
	}
	if out.Status == "" {
		return d
	}
	if out.Trace = d.Trace; d.Status == Watched {
		out.Matched = d.Rules
	}
	return out
}

func unmatched(k *inventory.Key, trace []RuleTrace) Decision {
	d := Decision{Status: Unmatched, Reason: "no rule matches", Trace: trace}
	if k.Manager == "AWS" {
		d.Reason = "no rule matches; an AWS managed key cannot be tagged"
	}
	return d
}

// ask walks through the rules: the answer is Watched, OutOfScope or Unmatched.
// It is open if the walk had to end at a rule that hangs on something unknown.
func (e *Engine) ask(k *inventory.Key, trace bool) (d Decision, open bool) {
	e.look(k)
	for i := range e.rules {
		said := e.eval(&e.match[i])
		if trace {
			d.Trace = append(d.Trace, e.trace(i, said))
		}
		if said == no {
			continue
		}
		if open = said == unknown; open {
			break
		}
		r := &e.rules[i]
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
	if d.Status == "" && !open {
		d = unmatched(k, d.Trace)
	}
	return d, open
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
	if !spec.IsKnown(k.Usage, k.Spec) {
		reason := fmt.Sprintf("keywatch does not know the operations of key usage %q with key spec %q", k.Usage, k.Spec)
		return Decision{Status: NotEligible, UnknownSpec: true, Reason: reason}
	}
	return Decision{}
}

func (e *Engine) trace(i int, said answer) RuleTrace {
	r := &e.rules[i]
	t := RuleTrace{Rule: r.Name, Answer: said.shown(), Matched: said == yes}
	switch {
	case said == unknown:
		t.Note = "this hangs on what is unknown; no later rule is asked"
	case said == no:
	case !r.Watch:
		t.Note = "watch: false; no later rule is asked"
	case r.Continue:
		t.Note = "continue: true; later rules are asked too"
	default:
		t.Note = "the first match decides; no later rule is asked"
	}
	e.leaves(&e.match[i], 0, &t.Leaves)
	return t
}

// Names joins the names of rules, for a reader.
func (e *Engine) Names(indexes []int) string {
	names := make([]string, len(indexes))
	for i, r := range indexes {
		names[i] = e.rules[r].Name
	}
	return strings.Join(names, ", ")
}
