package config

import (
	"fmt"
	"slices"
)

// contradictions reports every "all" that no value of one tag can satisfy, so
// that a rule that can never match is an error and not silence. It proves, and
// does not guess: a list of literal values is tried in full, a pair of patterns
// is only compared with itself.
func (d *decoder) contradictions(c *Condition) {
	if c != nil {
		d.contradictionsIn(c, map[*Condition]bool{})
	}
}

// contradictionsIn leaves out what is done: an "all" within an "all" is
// looked at with the outer one.
func (d *decoder) contradictionsIn(c *Condition, done map[*Condition]bool) {
	if c.Kind == All && !done[c] {
		byTag := map[string][]demand{}
		var order []string
		for _, m := range conjuncts(c, false, done) {
			if len(byTag[m.leaf.Tag]) == 0 {
				order = append(order, m.leaf.Tag)
			}
			byTag[m.leaf.Tag] = append(byTag[m.leaf.Tag], m)
		}
		for _, tag := range order {
			if clash := impossible(byTag[tag]); clash != "" {
				d.problems.Add(c.Pos, "contradiction", "no value of tag %q satisfies all of this: %s; this can never match: use any, or drop one", tag, clash)
			}
		}
	}
	for _, child := range c.Children {
		d.contradictionsIn(child, done)
	}
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
	return m.leaf.MatchTag(value, true) != m.not
}

// conjuncts are the leaves that a condition demands, or with not forbids.
// "all" demands each child, and not any forbids each; those below a plain "any"
// demand nothing by themselves. Every "all" on the way is noted in done.
func conjuncts(c *Condition, not bool, done map[*Condition]bool) []demand {
	switch {
	case c.Kind == Tag:
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

// impossible says which demands exclude each other, or "".
func impossible(demands []demand) string {
	if len(demands) < 2 {
		return ""
	}
	admitted := func(value string) bool {
		for _, m := range demands {
			if !m.admits(value) {
				return false
			}
		}
		return true
	}
	list := join(demands)
	for _, m := range demands {
		if m.not || m.leaf.Test != Equals && m.leaf.Test != In {
			continue
		}
		for _, v := range m.leaf.Values { // the only values that can satisfy m
			if admitted(v) {
				return ""
			}
		}
		return list
	}
	// No literal values: only what is said of presence, or of one pattern
	// twice, is certain.
	for i, a := range demands {
		for _, b := range demands[i+1:] {
			if sameTest(a.leaf, b.leaf) && a.not != b.not {
				return join([]demand{a, b})
			}
			if excludesPresence(a) && needsPresence(b) || excludesPresence(b) && needsPresence(a) {
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

func sameTest(a, b *Condition) bool {
	return a.Test == b.Test && a.Test != Exists && slices.Equal(a.Values, b.Values)
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
