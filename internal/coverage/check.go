// Package coverage holds the alarms that a plan wants against the alarms that
// CloudWatch has, and says for each key what is missing.
//
// It is pure: it is given both sides and calls nobody. An alarm counts by what
// it watches, whoever made it and whatever its name, and only if it fires at
// least whenever the wanted one would: what cannot be judged does not count.
// Start reading at [Check]; watcher.go reads the alarms that exist.
package coverage

import (
	"cmp"
	"fmt"
	"slices"

	"keywatch/constructs/spec"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// Status is how well a key is covered; for keys that are not watched, why.
type Status string

const (
	Covered       Status = "covered"
	PartlyCovered Status = "partly-covered"
	NotCovered    Status = "not-covered"
)

// Key is one key with what became of each alarm it should have.
type Key struct {
	*plan.Key
	Status Status // one of the above, or the rules.Status of a key without alarms
	Reason string
	Alarms []Wanted
	// Verified says whether the rule decides that the user expects; nil when the
	// user expects none.
	Verified *bool
	// Assumed: there is no such key, and its ID is a placeholder.
	Assumed bool
}

// Wanted is an alarm that the plan wants for a key.
type Wanted struct {
	spec.Alarm
	Stack   string
	Present bool
	// By is the name of the alarm that does it, if it has another name.
	By string
	// Why says what is wrong with the alarm that comes nearest, or "".
	Why string
}

// Report is the answer for one environment.
type Report struct {
	Plan *plan.Plan
	Keys []Key // one for each key of the inventory, in its order
}

// Passed says whether every watched key has every alarm, and no key in
// question was unreadable.
func (r *Report) Passed() bool {
	return !slices.ContainsFunc(r.Keys, func(k Key) bool { return k.Failed() })
}

// Failed says whether the key alone fails the gate.
func (k *Key) Failed() bool {
	return k.Status == PartlyCovered || k.Status == NotCovered || k.Status == Status(rules.Unreadable)
}

// Verify says whether a rule decides the key: it makes an alarm for it, or takes
// it with watch: false.
func (k *Key) Verify(rule string) bool {
	if k.Decision.Status == rules.OutOfScope {
		return k.Rule == rule
	}
	return slices.ContainsFunc(k.Alarms, func(a Wanted) bool { return a.Rule == rule })
}

// Check compares.
func Check(p *plan.Plan, existing []Alarm) *Report {
	byKey := map[string][]watcher{}
	for _, a := range existing {
		if w, ok := watcherOf(a); ok {
			byKey[w.keyARN] = append(byKey[w.keyARN], w)
		}
	}
	r := &Report{Plan: p, Keys: make([]Key, len(p.Keys))}
	for i := range p.Keys {
		r.Keys[i] = check(&p.Keys[i], byKey[p.Keys[i].ARN])
	}
	return r
}

// Planned is the report before anything is deployed: what the plan wants counts
// as present.
func Planned(p *plan.Plan) *Report {
	r := &Report{Plan: p, Keys: make([]Key, len(p.Keys))}
	for i := range p.Keys {
		k := keyOf(&p.Keys[i])
		for j := range k.Alarms {
			k.Alarms[j].Present = true
		}
		k.judge()
		r.Keys[i] = k
	}
	return r
}

func keyOf(k *plan.Key) Key {
	out := Key{Key: k, Status: Status(k.Decision.Status), Reason: k.Decision.Reason}
	for _, u := range k.Units {
		for _, a := range u.Alarms {
			out.Alarms = append(out.Alarms, Wanted{Alarm: a, Stack: u.Stack})
		}
	}
	return out
}

func check(k *plan.Key, have []watcher) Key {
	out := keyOf(k)
	for i := range out.Alarms {
		out.Alarms[i].find(have)
	}
	out.judge()
	return out
}

// judge sets the status of a watched key from its alarms.
func (k *Key) judge() {
	if k.Decision.Status != rules.Watched {
		return
	}
	present := 0
	for _, a := range k.Alarms {
		if a.Present {
			present++
		}
	}
	switch {
	case present == len(k.Alarms) && present > 0:
		k.Status = Covered
	case present == 0:
		k.Status = NotCovered
	default:
		k.Status = PartlyCovered
	}
	if k.Reason == "" && k.Status != Covered {
		k.Reason = fmt.Sprintf("%d of %d alarms are missing", len(k.Alarms)-present, len(k.Alarms))
	}
}

// find looks for an alarm that does what is wanted, the one of that name first.
func (w *Wanted) find(have []watcher) {
	var near []watcher
	for _, h := range have {
		if h.kind == w.Kind && slices.Equal(h.operations, w.Operations) {
			near = append(near, h)
		}
	}
	slices.SortFunc(near, func(a, b watcher) int {
		return cmp.Or(cmp.Compare(sameName(b, w), sameName(a, w)), cmp.Compare(a.Name, b.Name))
	})
	for _, h := range near {
		why := h.lacks(w)
		if why == "" {
			w.Present = true
			if h.Name != w.Name {
				w.By = h.Name
			}
			return
		}
		if w.Why == "" {
			w.Why = fmt.Sprintf("alarm %q %s", h.Name, why)
		}
	}
}

func sameName(h watcher, w *Wanted) int {
	if h.Name == w.Name {
		return 1
	}
	return 0
}
