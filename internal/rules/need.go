package rules

import (
	"cmp"
	"slices"
	"strings"

	"keywatch/config"
	"keywatch/internal/inventory"
)

// The limits of one query, and of how many are worth making instead of one for
// all keys ("GetResources", Resource Groups Tagging API Reference).
const (
	maxFilterKeys   = 50
	maxFilterValues = 20
	maxAlternatives = 10
)

// Need says what the rules need to know of the keys: each decision on an
// inventory that was read for this need is the decision on the full one. The
// result must not be used by two goroutines at once.
func Need(rules []config.Rule) inventory.Need {
	e := New(rules)
	byTags := !slices.ContainsFunc(e.subjects, func(s *subject) bool { return s.fact == config.Alias })
	return inventory.Need{Filters: filters(rules), Describe: e.describes, ByTags: byTags}
}

// describes says whether the key's description decides anything: if a rule
// watches the key, and if nobody can say because its tags may not be read or
// because a rule asks for what only the description tells.
func (e *Engine) describes(k *inventory.Key) bool {
	if k.TagsOmitted {
		return false
	}
	d, open := e.ask(k, false)
	return k.TagsUnreadable() || open || d.Status == Watched
}

// filters are alternatives so that every key that a rule matches fits one of
// them; nil if there are none. Rules with watch: false count too: what they take
// is out of scope and not unmatched. The alternatives may let in more keys than
// the rules, never fewer: the rules are asked again.
func filters(rules []config.Rule) []inventory.TagFilter {
	all := make([]inventory.TagFilter, 0, len(rules))
	for _, r := range rules {
		fs, ok := alternatives(r.Match)
		if !ok {
			return nil
		}
		all = append(all, fs...)
	}
	if all = merge(all); len(all) > maxAlternatives {
		return nil
	}
	return all
}

// alternatives says which filters a key must fit one of so that the condition
// can match it. False: a key without any tag might match, or one that no filter
// can describe.
func alternatives(c *config.Condition) ([]inventory.TagFilter, bool) {
	switch c.Kind {
	case config.Tag:
		return leaf(c)
	case config.Any:
		var out []inventory.TagFilter
		for _, child := range c.Children {
			fs, ok := alternatives(child)
			if !ok {
				return nil, false
			}
			out = append(out, fs...)
		}
		return merge(out), true
	case config.All:
		return conjunction(c.Children)
	}
	return nil, false // every key, a "not", or a fact
}

// leaf is the filter of one tag. Patterns and lists that are too long become
// "has the tag"; so does an empty value, since a filter without values means
// just that and nobody says what one with an empty value means.
func leaf(c *config.Condition) ([]inventory.TagFilter, bool) {
	condition := inventory.TagCondition{Key: c.Tag}
	switch c.Test {
	case config.Exists:
		if !c.Want {
			return nil, false
		}
	case config.Equals, config.In:
		if len(c.Values) <= maxFilterValues && !slices.Contains(c.Values, "") {
			condition.Values = slices.Compact(slices.Sorted(slices.Values(c.Values)))
		}
	}
	return []inventory.TagFilter{{condition}}, true
}

// conjunction combines what it can of the parts: a part without alternatives
// only means that more keys come in.
func conjunction(parts []*config.Condition) ([]inventory.TagFilter, bool) {
	var out []inventory.TagFilter
	found := false
	for _, part := range parts {
		fs, ok := alternatives(part)
		switch {
		case !ok:
		case !found:
			out, found = fs, true
		case len(out)*len(fs) <= maxAlternatives:
			out = merge(product(out, fs))
		case len(fs) < len(out):
			out = fs
		}
	}
	return out, found
}

// product is every pair of filters as one.
func product(a, b []inventory.TagFilter) []inventory.TagFilter {
	var out []inventory.TagFilter
	for _, x := range a {
		for _, y := range b {
			if f, possible := both(x, y); possible {
				out = append(out, f)
			}
		}
	}
	return out
}

// both is the filter that is fitted by the keys that fit x and y. False: none
// can, since a tag has one value.
func both(x, y inventory.TagFilter) (inventory.TagFilter, bool) {
	out := slices.Clone(x)
	for _, c := range y {
		i := slices.IndexFunc(out, func(have inventory.TagCondition) bool { return have.Key == c.Key })
		switch {
		case i < 0 && len(out) < maxFilterKeys:
			out = append(out, c)
		case i < 0: // one condition less lets in more keys
		case out[i].Values == nil:
			out[i].Values = c.Values
		case c.Values != nil:
			common := slices.DeleteFunc(slices.Clone(out[i].Values), func(v string) bool { return !slices.Contains(c.Values, v) })
			if len(common) == 0 {
				return nil, false
			}
			out[i].Values = common
		}
	}
	slices.SortFunc(out, func(a, b inventory.TagCondition) int { return strings.Compare(a.Key, b.Key) })
	return out, true
}

// merge makes fewer filters of the alternatives: one that lies within another
// goes, and two that differ in the values of one tag become one.
func merge(fs []inventory.TagFilter) []inventory.TagFilter {
	out := []inventory.TagFilter{}
	for _, f := range fs {
		for {
			i := slices.IndexFunc(out, func(have inventory.TagFilter) bool { _, ok := union(have, f); return ok })
			if i < 0 {
				break
			}
			// The union may lie within, or go together with, one more.
			f, _ = union(out[i], f)
			out = slices.Delete(out, i, i+1)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, compare)
	return out
}

// union is the one filter that is fitted by exactly the keys that fit a or b, if
// there is one.
func union(a, b inventory.TagFilter) (inventory.TagFilter, bool) {
	if within(a, b) {
		return b, true
	}
	if within(b, a) {
		return a, true
	}
	if len(a) != len(b) {
		return nil, false
	}
	differs := -1
	for i := range a {
		if a[i].Key != b[i].Key || differs >= 0 && !slices.Equal(a[i].Values, b[i].Values) {
			return nil, false
		}
		if !slices.Equal(a[i].Values, b[i].Values) {
			differs = i
		}
	}
	values := slices.Compact(slices.Sorted(slices.Values(slices.Concat(a[differs].Values, b[differs].Values))))
	if len(values) > maxFilterValues {
		return nil, false
	}
	out := slices.Clone(a)
	out[differs].Values = values
	return out, true
}

// within says that each key that fits a fits b too.
func within(a, b inventory.TagFilter) bool {
	for _, want := range b {
		if !slices.ContainsFunc(a, func(have inventory.TagCondition) bool {
			return have.Key == want.Key && (want.Values == nil || have.Values != nil && !slices.ContainsFunc(have.Values, func(v string) bool { return !slices.Contains(want.Values, v) }))
		}) {
			return false
		}
	}
	return true
}

func compare(a, b inventory.TagFilter) int {
	return slices.CompareFunc(a, b, func(x, y inventory.TagCondition) int {
		return cmp.Or(strings.Compare(x.Key, y.Key), slices.Compare(x.Values, y.Values))
	})
}
