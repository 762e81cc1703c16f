package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/rules"
)

// Exception is what became of one exception of the config here.
type Exception struct {
	*config.Exception
	// Elsewhere: it is for another account or region.
	Elsewhere bool
	// Key is the one that it names; nil if there is none here.
	Key *Key
	// State and Note are empty without a key.
	State rules.ExceptionState
	Note  string
}

// soon is how long before its end an exception is remarked on.
const soon = 30 * 24 * time.Hour

// findings remarks on the rule set as a whole, in the light of the keys.
func (b *builder) findings() {
	b.exceptions()
	b.unmatched()
	b.typos()
}

// exceptions lists those that are for this account and region, with their key; and
// without environments in the config the others too, which nothing else mentions.
func (b *builder) exceptions() {
	p := b.plan
	named := map[*config.Exception]*Exception{}
	for i := range p.Config.Exceptions {
		e := &p.Config.Exceptions[i]
		here := e.In(p.Inventory.Account, p.Inventory.Region)
		if here || len(p.Config.Environments) == 0 { // else its own environment lists it
			p.Exceptions = append(p.Exceptions, Exception{Exception: e, Elsewhere: !here})
		}
	}
	for i := range p.Exceptions {
		named[p.Exceptions[i].Exception] = &p.Exceptions[i]
	}
	for i := range p.Keys {
		for _, t := range p.Keys[i].Decision.Exceptions {
			e := named[t.Exception]
			e.Key, e.State, e.Note = &p.Keys[i], t.State, t.Note
		}
	}
	for _, e := range p.Exceptions {
		b.remark(&e)
	}
}

func (b *builder) remark(e *Exception) {
	p := b.plan
	if e.Key == nil {
		return // see Dangling
	}
	// What the key is now shows whether anybody has to hurry.
	now := fmt.Sprintf("key %s is now %s", e.Key.ARN, e.Key.Decision.Status)
	if e.Key.Rule != "" {
		now += " by rule " + e.Key.Rule
	}
	switch {
	case e.State == rules.Expired:
		p.Problems.Warn(e.Pos, "exception-expired", "the exception of %s %s; %s: drop the exception, or renew it with a new date", e.Exception.Key, e.Note, now)
	case e.State == rules.Repointed && e.Written.After(p.Inventory.ReadAt):
		p.Problems.Warn(e.Pos, "exception-repointed", "the exception of %s does not hold: %s; %s: set written to the date on which it was written; if it is newer than a snapshot, take the snapshot again", e.Exception.Key, e.Note, now)
	case e.State == rules.Repointed:
		p.Problems.Warn(e.Pos, "exception-repointed", "the exception of %s does not hold: %s; %s: if that key is meant, set written to a later time, better name it by its key ID", e.Exception.Key, e.Note, now)
	case e.Expires.Sub(p.Inventory.ReadAt) <= soon:
		p.Problems.Warn(e.Pos, "exception-expiring", "the exception of %s ends after %s, and from then on the rules decide on key %s again; ask its owner, %s, whether to renew it (%s)", e.Exception.Key, e.Until(), e.Key.ARN, e.Owner, e.Reason)
	default:
		return
	}
	b.about(e.Key.ARN)
}

// mostGroups is how many groups of keys one finding names.
const mostGroups = 5

// unmatched counts the keys that no rule matches, by the tag that groups them
// best. An AWS managed key is not among them: nobody can tag it.
func (b *builder) unmatched() {
	p := b.plan
	var keys []*Key
	omitted := false
	for i := range p.Keys {
		if k := &p.Keys[i]; k.Decision.Status == rules.Unmatched && k.Manager != "AWS" {
			keys = append(keys, k)
			omitted = omitted || k.TagsOmitted
		}
	}
	if len(keys) == 0 {
		return
	}
	verb := "match"
	if len(keys) == 1 {
		verb = "matches"
	}
	groups := "`keywatch plan` says which"
	if !omitted {
		groups = grouped(keys)
	}
	p.Problems.Warn(diag.Pos{}, "unmatched", "%s of %s in %s %s no rule: %s; write a rule that takes them, with watch: false if nobody is to watch them",
		counted(len(keys), "key"), p.Inventory.Account, p.Inventory.Region, verb, groups)
	arns := make([]string, len(keys))
	for i, k := range keys {
		arns[i] = k.ARN
	}
	b.about(arns...)
}

// grouped counts keys by the values of one tag: the one whose most frequent
// values have most of the keys.
func grouped(keys []*Key) string {
	values := map[string]map[string]int{} // tag key → value → keys
	for _, k := range keys {
		for _, t := range k.Tags {
			if values[t.Key] == nil {
				values[t.Key] = map[string]int{}
			}
			values[t.Key][t.Value]++
		}
	}
	best, top, most := "", []string(nil), 0
	for _, tag := range slices.Sorted(maps.Keys(values)) {
		of := values[tag]
		frequent := mostFrequent(of)
		n := 0
		for _, v := range frequent {
			n += of[v]
		}
		if n > most {
			best, top, most = tag, frequent, n
		}
	}
	if best == "" {
		return "none of them has a tag"
	}
	parts := make([]string, 0, mostGroups+2)
	with := 0
	for _, n := range values[best] {
		with += n
	}
	for _, v := range top {
		parts = append(parts, fmt.Sprintf("%d with %s=%q", values[best][v], config.Readable(best), v))
	}
	if rest := with - most; rest > 0 {
		parts = append(parts, fmt.Sprintf("%d with other values", rest))
	}
	untagged := 0
	for _, k := range keys {
		if len(k.Tags) == 0 {
			untagged++
		}
	}
	if other := len(keys) - with - untagged; other > 0 {
		parts = append(parts, fmt.Sprintf("%d without the tag", other))
	}
	if untagged > 0 {
		parts = append(parts, fmt.Sprintf("%d without any tag", untagged))
	}
	return strings.Join(parts, ", ")
}

// mostFrequent are the values of most keys, without sorting those of a tag that
// each key has its own value of.
func mostFrequent(of map[string]int) []string {
	var top []string
	order := func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) }
	for v := range of {
		if len(top) == mostGroups && order(v, top[mostGroups-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, v, order)
		top = slices.Insert(top, at, v)
		top = top[:min(mostGroups, len(top))]
	}
	return top
}

// asked is what rules ask of one tag.
type asked struct {
	tag string
	by  []asker // the first leaf of each rule that asks, in the order of the rules
	// literal are the values of equals and in, plain the same as plain says them.
	literal map[string]bool
	plain   map[string]string
	leaves  []*config.Condition
}

// asker is one rule that asks for a tag.
type asker struct {
	rule int
	pos  diag.Pos
}

func (a *asked) askedBy(rule int) bool {
	return slices.ContainsFunc(a.by, func(by asker) bool { return by.rule == rule })
}

// slip is a tag key on keys that looks like one that a rule asks for.
type slip struct {
	*asked
	asker
	// guessed says that it differs in a letter, and not only in case and the like.
	guessed bool
}

// typos finds tags that look like those that rules ask for, so that a slip of
// whoever tagged a key does not mean no alarm.
func (b *builder) typos() {
	p := b.plan
	wanted := asks(p.Config.Rules)
	for seen, meant := range b.misspelt(wanted) {
		for i := range p.Keys {
			k := &p.Keys[i]
			_, has := k.Tag(meant.tag)
			if _, slipped := k.Tag(seen); slipped && !has && !decidedBy(k, wanted[seen]) {
				b.found(group{diag.Warning, meant.pos, "tag-typo", fmt.Sprintf("the tag key %q, for %q, which rule %q asks for, stands on key ", seen, meant.tag, p.Rules[meant.rule].Name),
					", which lacks the right one; correct the tag or the rule, or let the rule ask for both"}, k, k.ARN)
			}
		}
	}
	for i := range p.Keys {
		k := &p.Keys[i]
		for _, t := range k.Tags {
			a := wanted[t.Key]
			if a == nil || a.literal[t.Value] {
				continue
			}
			meant, found := a.plain[plain(t.Value)]
			if found && !slices.ContainsFunc(a.leaves, func(c *config.Condition) bool { return c.MatchTag(t.Value, true) }) {
				b.found(group{diag.Warning, a.by[0].pos, "tag-typo", fmt.Sprintf("the tag %s has the value %q, for %q, which rule %q asks for, on key ", config.Readable(t.Key), t.Value, meant, p.Rules[a.by[0].rule].Name),
					"; values are compared with case and blanks: correct the tag, or let the rule ask for both"}, k, k.ARN)
			}
		}
	}
}

// decidedBy says whether one of the rules that decide a key asks for a tag as it is
// spelled there; nil is a tag that no rule asks for.
func decidedBy(k *Key, a *asked) bool {
	return a != nil && slices.ContainsFunc(k.Decision.Rules, a.askedBy)
}

// asks are the tags that rules look at, by key.
func asks(list []config.Rule) map[string]*asked {
	out := map[string]*asked{}
	ask := func(tag string, by asker) *asked {
		a := out[tag]
		if a == nil {
			a = &asked{tag: tag, literal: map[string]bool{}, plain: map[string]string{}}
			out[tag] = a
		}
		if !a.askedBy(by.rule) {
			a.by = append(a.by, by)
		}
		return a
	}
	for i := range list {
		eachLeaf(list[i].Match, false, func(c *config.Condition, _ bool) {
			if c.Kind != config.Tag {
				return
			}
			a := ask(c.Tag, asker{i, c.Pos})
			switch c.Test {
			case config.Equals, config.In:
				for _, v := range c.Values {
					a.literal[v] = true
					if _, taken := a.plain[plain(v)]; !taken {
						a.plain[plain(v)] = v
					}
				}
			case config.GlobOf, config.Regex:
				a.leaves = append(a.leaves, c)
			}
		})
		if t := list[i].BandTag; t != nil {
			ask(t.Tag, asker{i, t.Pos})
		}
	}
	return out
}

// eachLeaf says of each leaf, too, whether an odd number of "not" is around it.
func eachLeaf(c *config.Condition, not bool, do func(leaf *config.Condition, not bool)) {
	if len(c.Children) == 0 {
		do(c, not)
	}
	for _, child := range c.Children {
		eachLeaf(child, not != (c.Kind == config.Not), do)
	}
}

// plain is a value without what a person overlooks.
func plain(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// misspelt says of tag keys on keys which one of the rules' they are meant to be.
// One that only looks alike is a tag of its own if a rule asks for it, or if it
// stands beside the right one on any key.
func (b *builder) misspelt(wanted map[string]*asked) map[string]slip {
	names := slices.Sorted(maps.Keys(wanted))
	out, done := map[string]slip{}, map[string]bool{}
	for i := range b.plan.Keys {
		for _, t := range b.plan.Keys[i].Tags {
			if !done[t.Key] {
				done[t.Key] = true
				if s, found := slipOf(t.Key, names, wanted); found {
					out[t.Key] = s
				}
			}
		}
	}
	for seen, s := range out {
		if s.guessed && slices.ContainsFunc(b.plan.Keys, func(k Key) bool {
			_, both := k.Tag(s.tag)
			_, slipped := k.Tag(seen)
			return slipped && both
		}) {
			delete(out, seen)
		}
	}
	return out
}

// slipOf is what a tag key on a key is a slip of. A rule that asks for both
// spellings means both; that another rule asks for the one on the key says nothing
// of this rule.
func slipOf(seen string, names []string, wanted map[string]*asked) (slip, bool) {
	own := wanted[seen]
	for _, name := range names {
		if name == seen || word(name) != word(seen) {
			continue
		}
		for _, by := range wanted[name].by {
			if own == nil || !own.askedBy(by.rule) {
				return slip{asked: wanted[name], asker: by}, true
			}
		}
	}
	if own != nil {
		return slip{}, false
	}
	at := slices.IndexFunc(names, func(name string) bool {
		return oneSlip(word(name), word(seen), shortest) || swapped(word(name), word(seen))
	})
	if at < 0 {
		return slip{}, false
	}
	return slip{asked: wanted[names[at]], asker: wanted[names[at]].by[0], guessed: true}, true
}

// word is a tag key without case and what stands between words: Cost-Center and
// costCenter are one.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("-_.", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// shortest is the shortest word of which one letter more, less or other is taken
// for a slip: env is not end, though evn is env.
const shortest = 4

// swapped says whether two words of three letters differ by two neighbours that
// changed places.
func swapped(x, y string) bool {
	return len(x) == len(y) && oneSlip(x, y, 3) && slices.Equal(slices.Sorted(slices.Values([]byte(x))), slices.Sorted(slices.Values([]byte(y))))
}

// oneSlip says whether two words differ by one letter, or by two neighbours that
// changed places, and have so many letters. Digits are no slip: team1 is not team2.
func oneSlip(x, y string, letters int) bool {
	a, b := []rune(x), []rune(y)
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < letters || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch {
	case i == len(b) || unicode.IsDigit(b[i]) || i < len(a) && unicode.IsDigit(a[i]):
		return false
	case len(a) < len(b):
		return slices.Equal(a[i:], b[i+1:])
	}
	swapped := i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && slices.Equal(a[i+2:], b[i+2:])
	return swapped || slices.Equal(a[i+1:], b[i+1:])
}
