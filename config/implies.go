package config

import (
	"slices"
	"strings"
)

// implies says whether every key that a matches b matches too, and in how many
// steps that was found. It proves: false only means that there was no proof. It
// asks for what is true of a key and never for what is merely not known to be
// false, so that it holds for keys of which not everything could be read.
func implies(a, b *claim) (proved bool, steps int) {
	p := prover{steps: maxSteps}
	proved = p.proves([]*claim{a}, []*claim{b})
	return proved, maxSteps - p.steps
}

// A proof may double its steps with each part of a condition; and of a thousand
// rules there are half a million pairs.
const (
	maxSteps    = 1000
	maxAllSteps = 2_000_000
)

// takenBy says of each rule which earlier one takes every key that it matches and
// ends there, or -1.
func takenBy(rules []Rule) []int {
	claims, out := make([]*claim, len(rules)), make([]int, len(rules))
	for i := range rules {
		claims[i] = claimOf(rules[i].Match, false)
	}
	left := maxAllSteps
	for i := range rules {
		out[i] = -1
		for j := 0; j < i && left > 0; j++ {
			if rules[j].Continue {
				continue
			}
			proved, steps := implies(claims[i], claims[j])
			if left -= steps; proved {
				out[i] = j
				break
			}
		}
	}
	return out
}

// claim is a condition whose "not" stand at its leaves alone.
type claim struct {
	kind  ConditionKind // Every, All, Any; Tag for both kinds of leaves
	parts []*claim
	leaf  demand
}

func claimOf(c *Condition, not bool) *claim {
	switch c.Kind {
	case Every:
		return &claim{kind: Every}
	case Not:
		return claimOf(c.Children[0], !not)
	case All, Any:
		out := &claim{kind: All}
		if (c.Kind == Any) != not {
			out.kind = Any
		}
		for _, child := range c.Children {
			out.parts = append(out.parts, claimOf(child, not))
		}
		return out
	}
	return &claim{kind: Tag, leaf: demand{leaf: c, not: not}}
}

type prover struct{ steps int }

// proves says that where all of have are true, one of want is. Taking a part
// apart loses nothing, so the order does not matter.
func (p *prover) proves(have, want []*claim) bool {
	if p.steps--; p.steps < 0 {
		return false
	}
	for i, c := range have {
		rest := slices.Concat(have[:i], have[i+1:])
		switch c.kind {
		case All:
			return p.proves(append(rest, c.parts...), want)
		case Any:
			return !slices.ContainsFunc(c.parts, func(part *claim) bool { return !p.proves(append(slices.Clip(rest), part), want) })
		}
	}
	for i, c := range want {
		rest := slices.Concat(want[:i], want[i+1:])
		switch c.kind {
		case Every:
			return true
		case Any:
			return p.proves(have, append(rest, c.parts...))
		case All:
			return !slices.ContainsFunc(c.parts, func(part *claim) bool { return !p.proves(have, append(slices.Clip(rest), part)) })
		}
	}
	for _, c := range want {
		if follows(have, c.leaf) {
			return true
		}
	}
	return false
}

// follows says whether a leaf follows from others.
func follows(have []*claim, want demand) bool {
	var about []demand
	for _, c := range have {
		if c.kind == Tag && c.leaf.leaf.about() == want.leaf.about() {
			about = append(about, c.leaf)
		}
	}
	// A key has several aliases, so that only one leaf at a time says something
	// of the same one.
	if want.leaf.Fact != Alias {
		for _, d := range about {
			if finite(d) {
				return !slices.ContainsFunc(d.leaf.Values, func(v string) bool {
					return !slices.ContainsFunc(about, func(o demand) bool { return !o.admits(v) }) && !want.admits(v)
				})
			}
		}
	}
	return slices.ContainsFunc(about, func(d demand) bool { return entails(d, want) })
}

// finite says that only the values of a list satisfy it.
func finite(d demand) bool {
	return !d.not && (d.leaf.Test == Equals || d.leaf.Test == In)
}

// entails says whether of two leaves on the same subject the second follows from
// the first.
func entails(a, b demand) bool {
	switch {
	case a.leaf.Fact == MultiRegion:
		return (a.leaf.Want != a.not) == (b.leaf.Want != b.not)
	case a.leaf.Fact == CreatedBefore || a.leaf.Fact == CreatedAfter:
		return entailsDate(a, b)
	case a.leaf.Test == Exists || b.leaf.Test == Exists:
		if excludesPresence(a) {
			return b.leaf.MatchTag("", false) != b.not
		}
		return b.leaf.Test == Exists && needsPresence(a) && needsPresence(b)
	case a.not && b.not: // what satisfies b's leaf would satisfy a's
		return entails(demand{leaf: b.leaf}, demand{leaf: a.leaf})
	case a.not || b.not:
		return false
	case finite(a):
		return !slices.ContainsFunc(a.leaf.Values, func(v string) bool { return !b.admits(v) })
	case a.leaf.Test == b.leaf.Test && slices.Equal(a.leaf.Values, b.leaf.Values):
		return true
	case a.leaf.Test == GlobOf && b.leaf.Test == GlobOf:
		return a.leaf.glob.within(b.leaf.glob)
	}
	return false
}

// entailsDate reads "not before" as "at or after", which it is.
func entailsDate(a, b demand) bool {
	before := func(d demand) bool { return (d.leaf.Fact == CreatedBefore) != d.not }
	if before(a) != before(b) {
		return false
	}
	if before(a) {
		return !a.leaf.Date.After(b.leaf.Date)
	}
	return !a.leaf.Date.Before(b.leaf.Date)
}

// within says that the other pattern fits all that this one fits, where the other
// is text around one *. What is at hand of this one is its text before the first
// and after the last item that is none.
func (g *Glob) within(other *Glob) bool {
	head, tail, found := strings.Cut(other.shape(), "*")
	if !found || strings.ContainsAny(head+tail, "*?") {
		return false
	}
	mine := g.shape()
	// The two texts must not overlap: abc is not within ab*bc.
	long := len([]rune(mine)) - strings.Count(mine, "*")
	return long >= len([]rune(head+tail)) && strings.HasPrefix(mine, head) && strings.HasSuffix(mine, tail)
}

// shape writes a pattern with * for any run and ? for any other item that is no
// plain character; a plain * or ? is a ? too, which only loses proofs.
func (g *Glob) shape() string {
	var b strings.Builder
	for _, i := range g.items {
		switch {
		case i.kind == globRun:
			b.WriteByte('*')
		case i.kind != globLiteral, i.literal == '*':
			b.WriteByte('?')
		default:
			b.WriteRune(i.literal)
		}
	}
	return b.String()
}
