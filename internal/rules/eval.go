package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"keywatch/config"
	"keywatch/internal/inventory"
)

// answer is what a condition says of a key. What it looks at may be unknown: a
// key that may not be described neither satisfies a leaf on its usage nor the
// "not" around that. Where the parts that are known decide, the whole is known.
type answer uint8

const (
	unasked answer = iota // of a leaf: nobody has looked yet
	no
	yes
	unknown
)

func answerOf(ok bool) answer {
	if ok {
		return yes
	}
	return no
}

// shown is the answer for a reader; a leaf that was asked has one of the three.
func (a answer) shown() Answer {
	switch a {
	case yes:
		return Yes
	case no:
		return No
	}
	return Unknown
}

// subject is one thing that leaves look at: a tag, or a fact. Equal leaves are
// one, and what they say of a tag's value is remembered: few values are many.
type subject struct {
	tag    string
	fact   config.Fact // instead of tag
	leaves []*config.Condition
	// now are the answers about the current key, by leaf: one of the lists
	// below, filled as leaves are looked at.
	now             []answer
	value           string // of the tag, if the key has it
	present         bool
	known           map[string][]answer // by the tag's value
	absent, unknown []answer
	own             []answer // of what is not remembered
}

// What is remembered of one tag: values, and answers on all of them together.
const (
	maxValues  = 4096
	maxAnswers = 1 << 20
)

// node is a condition with its leaf replaced by a place in a subject.
type node struct {
	kind      config.ConditionKind
	children  []node
	condition *config.Condition
	subject   *subject // of a leaf
	leaf      int
}

func (n *node) isLeaf() bool { return n.kind == config.Tag || n.kind == config.Is }

// compile makes nodes of a condition. Equal leaves, as they print, are one.
func (e *Engine) compile(c *config.Condition, places map[string]node) node {
	n := node{kind: c.Kind, condition: c}
	if n.isLeaf() {
		place, found := places[c.String()]
		if !found {
			place.subject = e.subject(c)
			place.leaf = len(place.subject.leaves)
			place.subject.leaves = append(place.subject.leaves, c)
			places[c.String()] = place
		}
		n.subject, n.leaf = place.subject, place.leaf
	}
	for _, child := range c.Children {
		n.children = append(n.children, e.compile(child, places))
	}
	return n
}

func (e *Engine) subject(c *config.Condition) *subject {
	i := slices.IndexFunc(e.subjects, func(s *subject) bool { return s.tag == c.Tag && s.fact == c.Fact })
	if i < 0 {
		i = len(e.subjects)
		e.subjects = append(e.subjects, &subject{tag: c.Tag, fact: c.Fact, known: map[string][]answer{}})
	}
	return e.subjects[i]
}

// ready orders the subjects as a key's tags are, facts first, and makes room for
// the answers.
func (e *Engine) ready() {
	slices.SortStableFunc(e.subjects, func(a, b *subject) int { return strings.Compare(a.tag, b.tag) })
	for _, s := range e.subjects {
		s.absent, s.own = make([]answer, len(s.leaves)), make([]answer, len(s.leaves))
		s.unknown = slices.Repeat([]answer{unknown}, len(s.leaves))
	}
}

// look turns each subject to the key; both sides are sorted by tag.
func (e *Engine) look(k *inventory.Key) {
	e.key = k
	hidden := k.TagsUnreadable()
	t := 0
	for _, s := range e.subjects {
		if s.fact != "" {
			clear(s.own)
			s.now = s.own
			continue
		}
		for t < len(k.Tags) && k.Tags[t].Key < s.tag {
			t++
		}
		switch s.present = t < len(k.Tags) && k.Tags[t].Key == s.tag; {
		case s.present:
			s.value = k.Tags[t].Value
			s.now = s.remembered()
		case hidden:
			s.now = s.unknown
		default:
			s.now = s.absent
		}
	}
}

// remembered is what is known of the value, or a list to be filled.
func (s *subject) remembered() []answer {
	have, found := s.known[s.value]
	switch {
	case found:
		return have
	case len(s.known) == maxValues || len(s.known)*len(s.leaves) >= maxAnswers:
		clear(s.own)
		return s.own
	}
	have = make([]answer, len(s.leaves))
	s.known[s.value] = have
	return have
}

// eval asks no more leaves than it needs.
func (e *Engine) eval(n *node) answer {
	switch n.kind {
	case config.Every:
		return yes
	case config.All, config.Any:
		decided, out := no, yes
		if n.kind == config.Any {
			decided, out = yes, no
		}
		for i := range n.children {
			switch a := e.eval(&n.children[i]); a {
			case decided:
				return decided
			case unknown:
				out = unknown
			}
		}
		return out
	case config.Not:
		switch e.eval(&n.children[0]) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	}
	e.looked++
	a := n.subject.now[n.leaf]
	if a == unasked {
		a = e.compare(n)
		n.subject.now[n.leaf] = a
	}
	return a
}

// compare asks a leaf itself.
func (e *Engine) compare(n *node) answer {
	e.compared++
	s, c, k := n.subject, n.condition, e.key
	text := func(value string) answer {
		if value == "" || value == inventory.NoID && c.Test == config.GlobOf {
			return unknown
		}
		return answerOf(c.MatchText(value))
	}
	switch s.fact {
	case "":
		return answerOf(c.MatchTag(s.value, s.present))
	case config.Alias:
		return answerOf(slices.ContainsFunc(k.Aliases, func(a inventory.Alias) bool { return c.MatchText(a.Name) }))
	case config.MultiRegion:
		if k.State == "" { // so nobody described it
			return unknown
		}
		return answerOf(k.MultiRegion == c.Want)
	case config.CreatedBefore, config.CreatedAfter:
		if k.Created.IsZero() {
			return unknown
		}
		return answerOf(c.MatchCreated(k.Created))
	}
	return text(fact(k, s.fact))
}

// fact is one that is a text; empty where it is unknown.
func fact(k *inventory.Key, f config.Fact) string {
	switch f {
	case config.KeyID:
		return k.ID
	case config.Usage:
		return k.Usage
	case config.Spec:
		return k.Spec
	case config.Origin:
		return k.Origin
	}
	return k.State
}

// leaves records what each part of a condition said, and what the leaves saw. It
// asks every leaf, those too that the answer did not need.
func (e *Engine) leaves(n *node, depth int, to *[]LeafTrace) {
	a := e.eval(n)
	t := LeafTrace{Depth: depth, Answer: a.shown(), OK: a == yes}
	inner, not := n, ""
	if n.kind == config.Not { // read with what it turns around
		inner, not = &n.children[0], "not "
	}
	switch {
	case n.kind == config.Every:
		t.Condition, t.Saw = "every key", "a key"
	case inner.isLeaf():
		t.Condition, t.Saw = n.condition.String(), e.saw(inner)
	case inner.kind == config.All:
		t.Condition = not + "all"
	case inner.kind == config.Any:
		t.Condition = not + "any"
	default: // of a "not" again
		t.Condition, inner = "not", n
	}
	*to = append(*to, t)
	if inner.isLeaf() {
		return
	}
	for i := range inner.children {
		e.leaves(&inner.children[i], depth+1, to)
	}
}

// saw is what a leaf looked at, for a reader.
func (e *Engine) saw(n *node) string {
	s, k := n.subject, e.key
	if e.eval(n) == unknown {
		switch {
		case s.fact == "":
			return "unknown: the key's tags may not be read"
		case k.ID == inventory.NoID:
			return "unknown: the key does not exist yet"
		case k.Gone:
			return "unknown: the key is gone"
		case k.Unreadable != "":
			return "unknown: the key may not be described"
		}
		return "unknown: the key was not described"
	}
	switch s.fact {
	case "":
		if !s.present {
			return "no tag " + config.Readable(s.tag)
		}
		return fmt.Sprintf("%s=%q", config.Readable(s.tag), s.value)
	case config.Alias:
		if len(k.Aliases) == 0 {
			return "no alias"
		}
		names := make([]string, len(k.Aliases))
		for i, a := range k.Aliases {
			names[i] = config.Readable(a.Name)
		}
		return strings.Join(names, ", ")
	case config.MultiRegion:
		return "multiRegion " + strconv.FormatBool(k.MultiRegion)
	case config.KeyID:
		if k.ID == inventory.NoID {
			return "no key ID yet"
		}
	case config.CreatedBefore, config.CreatedAfter:
		return "created " + k.Created.UTC().Format("2006-01-02T15:04:05Z")
	}
	return string(s.fact) + " " + fact(k, s.fact)
}
