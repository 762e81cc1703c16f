package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/plan"
)

// removals are the numbers of keys that may lose all their alarms, as somebody
// has confirmed them: one for the only environment of the run, or one for each
// that is named.
type removals struct {
	by  string // who says so, for messages
	one int
	of  map[place]int
}

func (r removals) in(account, region string) int { return max(r.one, r.of[place{account, region}]) }

func parseRemovals(text string) (removals, error) {
	if n, ok := parseNumber(text); ok {
		return removals{one: n}, nil
	}
	r := removals{of: map[place]int{}}
	for _, item := range strings.Split(text, ",") {
		name, number, _ := strings.Cut(item, ":")
		p, named := parsePlace(name)
		n, counted := parseNumber(number)
		if !named || !counted {
			return removals{}, fmt.Errorf("%q; allowed: the number of keys as the message says it, with several environments ACCOUNT/REGION:N and commas between them", text)
		}
		if _, twice := r.of[p]; twice {
			return removals{}, fmt.Errorf("%q, which names %s twice; remove one", text, p)
		}
		r.of[p] = n
	}
	return r, nil
}

func parseNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0
}

// checkRemovals refuses numbers of which nobody knows whose they are: a plain one
// for several environments, and one of an environment that is not in the run.
func (w *World) checkRemovals(r removals, run ...place) error {
	var l diag.List
	var names []string
	for _, p := range run {
		names = append(names, p.String())
	}
	if r.one > 0 && len(run) > 1 {
		l.Add(diag.Pos{File: r.by}, "not-allowed", "the value is %d, and this run has %d environments; write ACCOUNT/REGION:N, several with commas between them, for example %s:%d", r.one, len(run), names[0], r.one)
	}
	for p := range r.of {
		if !slices.Contains(run, p) {
			l.Add(diag.Pos{File: r.by}, "unknown-environment", "this run has no environment %s%s; it has %s", p, diag.DidYouMean(p.String(), names), strings.Join(names, ", "))
		}
	}
	if len(l) == 0 {
		return nil
	}
	l.Sort()
	w.say(l, &config.Config{})
	return errGate
}

// adviseRemovals says how to confirm the removals of several environments at once,
// those that are confirmed already included: the next value replaces this one.
func (w *World) adviseRemovals(all []built) {
	var massive []*plan.Plan
	for _, b := range all {
		if b.plan.MassRemoval {
			massive = append(massive, b.plan)
		}
	}
	if len(massive) > 1 {
		w.note("hint", "to confirm the removals of all environments: %s", plan.AllowRemoval(true, massive...))
	}
}
