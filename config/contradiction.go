package config

import (
	"fmt"
	"slices"
)

// contradictions reports every "all" that no key can satisfy, so that a rule that
// can never match is an error and not silence. It proves, and does not guess: a
// list of literal values is tried in full, a pair of patterns is only compared
// with itself.
func (d *decoder) contradictions(c *Condition, where string) {
	if c != nil {
		d.contradictionsIn(c, where, map[*Condition]bool{})
	}
}

// contradictionsIn leaves out what is done: an "all" within an "all" is
// looked at with the outer one.
func (d *decoder) contradictionsIn(c *Condition, where string, done map[*Condition]bool) {
	if c.Kind == All && !done[c] {
		bySubject := map[string][]demand{}
		var order []string
		for _, m := range conjuncts(c, false, done) {
			about := m.leaf.about()
			if len(bySubject[about]) == 0 {
				order = append(order, about)
			}
			bySubject[about] = append(bySubject[about], m)
		}
		for _, about := range order {
			if clash := impossible(bySubject[about]); clash != "" {
				d.problems.Add(c.Pos, "contradiction", "%s.all: no %s satisfies all of this: %s; this can never match: use any, or drop one", where, about, clash)
			}
		}
	}
	for i, child := range c.Children {
		d.contradictionsIn(child, c.below(where, i), done)
	}
}

// below is the path of a child of the condition at a path.
func (c *Condition) below(where string, i int) string {
	switch c.Kind {
	case Not:
		return where + ".not"
	case Any:
		return fmt.Sprintf("%s.any[%d]", where, i)
	}
	return fmt.Sprintf("%s.all[%d]", where, i)
}

// about names what a leaf looks at, the same for leaves that look at the same.
func (c *Condition) about() string {
	switch {
	case c.Kind == Tag:
		return fmt.Sprintf("value of tag %q", c.Tag)
	case c.Fact == CreatedBefore || c.Fact == CreatedAfter:
		return "creation date"
	}
	return string(c.Fact)
}

// demand is a leaf that must hold, or with not must fail.
type demand struct {
	leaf *Condition
	not  bool
}

func (m demand) String() string {
	if m.not {
		return "not " + m.leaf.String()
	}
	return m.leaf.String()
}

func (m demand) admits(value string) bool {
	if m.leaf.Kind == Tag {
		return m.leaf.MatchTag(value, true) != m.not
	}
	return m.leaf.MatchText(value) != m.not
}

// conjuncts are the leaves that a condition demands, or with not forbids.
// "all" demands each child, and not any forbids each; those below a plain "any"
// demand nothing by themselves. Every "all" on the way is noted in done.
func conjuncts(c *Condition, not bool, done map[*Condition]bool) []demand {
	switch {
	case c.Kind == Tag || c.Kind == Is:
		return []demand{{leaf: c, not: not}}
	case c.Kind == Not:
		return conjuncts(c.Children[0], !not, done)
	case c.Kind == All && !not, c.Kind == Any && not, len(c.Children) == 1:
		done[c] = done[c] || !not
		var out []demand
		for _, child := range c.Children {
			out = append(out, conjuncts(child, not, done)...)
		}
		return out
	}
	return nil
}

// impossible says which demands on one subject exclude each other, or "".
func impossible(demands []demand) string {
	if len(demands) < 2 {
		return ""
	}
	switch leaf := demands[0].leaf; leaf.Fact {
	case Alias:
		return impossibleAliases(demands)
	case MultiRegion:
		return firstPair(demands, func(a, b demand) bool { return (a.leaf.Want != a.not) != (b.leaf.Want != b.not) })
	case CreatedBefore, CreatedAfter:
		return firstPair(demands, func(a, b demand) bool { return endsBefore(a, b) || endsBefore(b, a) })
	}
	for _, m := range demands {
		if values := m.only(); values != nil {
			if slices.ContainsFunc(values, func(v string) bool { return admitted(demands, v) }) {
				return ""
			}
			return join(demands)
		}
	}
	// No literal values: only what is said of presence, or of one pattern
	// twice, is certain.
	return firstPair(demands, func(a, b demand) bool {
		return opposite(a, b) || excludesPresence(a) && needsPresence(b) || excludesPresence(b) && needsPresence(a)
	})
}

// only are the only values that can satisfy the demand; nil if nobody can list
// them. Of a fact whose values are known that is always so, as long as something
// is asked for and not only forbidden: KMS may come to have further values.
func (m demand) only() []string {
	switch {
	case m.not:
		return nil
	case m.leaf.Test == Equals || m.leaf.Test == In:
		return m.leaf.Values
	case m.leaf.Kind == Is:
		return m.leaf.Fact.Values()
	}
	return nil
}

func admitted(demands []demand, value string) bool {
	return !slices.ContainsFunc(demands, func(m demand) bool { return !m.admits(value) })
}

// impossibleAliases: a key has many aliases. So two that are asked for do not
// exclude each other; one that is asked for and those that are forbidden may.
func impossibleAliases(demands []demand) string {
	var forbidden []demand
	for _, m := range demands {
		if m.not {
			forbidden = append(forbidden, m)
		}
	}
	for _, m := range demands {
		values := m.only()
		if values != nil && !slices.ContainsFunc(values, func(v string) bool { return admitted(forbidden, v) }) {
			return join(append([]demand{m}, forbidden...))
		}
	}
	return firstPair(demands, opposite)
}

// endsBefore says that a asks for a date before a day, and b for one on that day
// or after it.
func endsBefore(a, b demand) bool {
	before := func(m demand) bool { return (m.leaf.Fact == CreatedBefore) != m.not }
	return before(a) && !before(b) && !b.leaf.Date.Before(a.leaf.Date)
}

func firstPair(demands []demand, clash func(a, b demand) bool) string {
	for i, a := range demands {
		for _, b := range demands[i+1:] {
			if clash(a, b) {
				return join([]demand{a, b})
			}
		}
	}
	return ""
}

func needsPresence(m demand) bool {
	if m.leaf.Test == Exists {
		return m.leaf.Want != m.not
	}
	return !m.not
}

func excludesPresence(m demand) bool {
	return m.leaf.Test == Exists && m.leaf.Want == m.not
}

// opposite says that one demand asks for just what the other forbids.
func opposite(a, b demand) bool {
	return a.not != b.not && a.leaf.Test == b.leaf.Test && a.leaf.Test != Exists && slices.Equal(a.leaf.Values, b.leaf.Values)
}

func join(demands []demand) string {
	s := ""
	for i, m := range demands {
		if i > 0 {
			s += fmt.Sprintf(" (line %d) and ", demands[i-1].leaf.Pos.Line)
		}
		s += m.String()
	}
	return s + fmt.Sprintf(" (line %d)", demands[len(demands)-1].leaf.Pos.Line)
}
