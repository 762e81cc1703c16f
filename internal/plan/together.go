package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"keywatch/config"
	"keywatch/internal/diag"
)

// Together remarks on what only the environments of a run together can tell: a
// rule that is for keys of one of them is in order, whatever the others have.
func Together(plans []*Plan) diag.List {
	var l diag.List
	matchesNothing(plans, &l)
	neverSeen(plans, &l)
	l.Sort()
	return l
}

// Dangling remarks on the exceptions that name no key in any environment. The
// plans must be those of a whole run. One for an environment that none of them is
// of is not judged: nobody has looked there.
func Dangling(plans []*Plan) diag.List {
	var l diag.List
	looked, found := map[*config.Exception][]*Plan{}, map[*config.Exception]bool{}
	for _, p := range plans {
		for _, e := range p.Exceptions {
			if e.Elsewhere {
				continue // another run may look there
			}
			looked[e.Exception] = append(looked[e.Exception], p)
			found[e.Exception] = found[e.Exception] || e.Key != nil
		}
	}
	for e, plans := range looked {
		if !found[e] {
			l.Warn(e.Pos, "exception-dangling", "the exception of %s names no key of %s; it was for: %s (owner %s): correct it, or drop it", e.Key, where(plans), e.Reason, e.Owner)
		}
	}
	l.Sort()
	return l
}

// where names the environments of the plans, after "no key of".
func where(plans []*Plan) string {
	if len(plans) > 1 {
		return fmt.Sprintf("any of %d environments", len(plans))
	}
	return plans[0].Inventory.Account + " in " + plans[0].Inventory.Region
}

// matchesNothing remarks on rules that no key has alarms by. Where there are no
// keys at all, that says it.
func matchesNothing(plans []*Plan, l *diag.List) {
	all := 0
	for _, p := range plans {
		all += p.Totals.Keys
	}
	if all == 0 {
		return
	}
	for i := range plans[0].Config.Rules {
		rule := &plans[0].Config.Rules[i]
		keys, without := 0, 0
		var ineligible *Key
		for _, p := range plans {
			r := p.Rules[i]
			keys, without = keys+r.Keys, without+r.without
			if ineligible == nil {
				ineligible = r.ineligible
			}
		}
		switch {
		case keys > 0:
		case without == 0:
			l.Warn(rule.Pos, "matches-nothing", "rule %q matches no key of %s that an earlier rule has not taken; `keywatch explain KEY` shows what each rule sees of a key", rule.Name, where(plans))
		case ineligible != nil:
			l.Warn(rule.Pos, "matches-nothing", "rule %q matches %s of %s, but none that can have alarms; the first is %s: %s",
				rule.Name, counted(without, "key"), strings.TrimPrefix(where(plans), "any of "), ineligible.ARN, ineligible.Decision.Reason)
		}
		if rule.TakesAll() {
			break // that the others are never asked was said when the config was read
		}
	}
}

// carried are the tags that keys carry, and the values of those that rules ask for:
// tag key → value.
type carried map[string]map[string]bool

// carriedBy are the tags of all keys; false if they were not read of all.
func carriedBy(plans []*Plan) (carried, bool) {
	out, readable, wanted := carried{}, false, asks(plans[0].Config.Rules)
	for _, p := range plans {
		for i := range p.Keys {
			k := p.Keys[i].Key
			switch {
			case k.TagsOmitted:
				return nil, false
			case k.Manager == "AWS", k.TagsUnreadable():
				continue
			}
			readable = true
			for _, t := range k.Tags {
				if out[t.Key] == nil {
					out[t.Key] = map[string]bool{}
				}
				if wanted[t.Key] != nil {
					out[t.Key][t.Value] = true
				}
			}
		}
	}
	return out, readable
}

// neverSeen remarks on what rules ask of tags and no key has, where that may be a
// typo that nothing else shows: where it resembles what keys do have, and where it
// holds for every key, as what stands below "not" then does. What holds for no key
// and resembles nothing is one alternative of a rule among others, or the rule
// matches nothing, which is said.
func neverSeen(plans []*Plan, l *diag.List) {
	have, known := carriedBy(plans)
	if !known {
		return
	}
	for i := range plans[0].Config.Rules {
		rule := &plans[0].Config.Rules[i]
		eachLeaf(rule.Match, false, func(c *config.Condition, not bool) {
			if c.Kind != config.Tag {
				return
			}
			asks, has, meant, whole := have.lack(c)
			always := not != (c.Test == config.Exists && !c.Want)
			if asks == "" || meant == "" && !(whole && always) {
				return
			}
			effect := ""
			switch {
			case whole && always:
				effect = ", so that this part of the rule holds for every key"
			case whole:
				effect = ", so that this part of the rule holds for no key"
			}
			if meant != "" {
				meant = fmt.Sprintf(" (did you mean %q?)", meant)
			}
			l.Warn(c.Pos, "never-seen", "rule %q asks for %s, which no key of %s %s%s%s; correct it, or drop it", rule.Name, asks, where(plans), has, meant, effect)
		})
		if rule.TakesAll() {
			break
		}
	}
}

// lack is what a leaf asks for that no key has, the verb of that, and what may be
// meant instead; whole says that it is all that the leaf asks for.
func (have carried) lack(c *config.Condition) (asks, has, meant string, whole bool) {
	values, seen := have[c.Tag]
	fits := func(v string) bool { return c.MatchTag(v, true) }
	switch {
	case !seen:
		return "the tag " + config.Readable(c.Tag), "has", nearest(c.Tag, have), true
	case c.Test == config.Exists:
		return "", "", "", false
	case !anyOf(values, fits):
		return c.String(), "satisfies", similar(c, values), true
	case c.Test == config.In:
		for _, v := range c.Values {
			if values[v] {
				continue
			}
			if meant := nearest(v, values); meant != "" && !slices.Contains(c.Values, meant) {
				return fmt.Sprintf("the value %q of the tag %s", v, config.Readable(c.Tag)), "has", meant, false
			}
		}
	}
	return "", "", "", false
}

func anyOf(values map[string]bool, fits func(string) bool) bool {
	for v := range values {
		if fits(v) {
			return true
		}
	}
	return false
}

// similar is a value that a leaf which nothing satisfies may mean, or "". Of a glob
// it is one that fits but for case, or that begins almost as the glob does.
func similar(c *config.Condition, values map[string]bool) string {
	switch c.Test {
	case config.Equals, config.In:
		for _, v := range c.Values {
			if meant := nearest(v, values); meant != "" {
				return meant
			}
		}
	case config.GlobOf:
		if len(values) > mostWords {
			return ""
		}
		folded, err := config.CompileGlob(strings.ToLower(c.Values[0]))
		if err != nil {
			return ""
		}
		begins := c.Values[0]
		if end := strings.IndexAny(begins, `*?[\`); end >= 0 {
			begins = begins[:end]
		}
		for _, v := range slices.Sorted(maps.Keys(values)) {
			beginning := []rune(v)
			beginning = beginning[:min(len(beginning), utf8.RuneCountInString(begins))]
			if folded.Match(strings.ToLower(v)) || oneSlip(begins, string(beginning), fewestLetters) {
				return v
			}
		}
	}
	return ""
}

// fewestLetters is the shortest word that is compared with what keys have. No key
// has the one that the rule writes, so that env may well be meant by evn or enw.
const fewestLetters = 3

// mostWords is how many values of a tag are compared. Of more, nearly each key has
// its own, and those are no words.
const mostWords = 1000

// nearest is what of the words resembles one best: but for case and what stands
// between words, or but for one slip; "" if none does.
func nearest[V any](to string, words map[string]V) string {
	if len(words) > mostWords {
		return ""
	}
	same, slipped, plain := "", "", word(to)
	for w := range words {
		switch as := word(w); {
		case as == plain:
			if same == "" || w < same {
				same = w
			}
		case oneSlip(as, plain, fewestLetters):
			if slipped == "" || w < slipped {
				slipped = w
			}
		}
	}
	return cmp.Or(same, slipped)
}
