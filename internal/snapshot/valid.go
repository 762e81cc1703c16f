package snapshot

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

func one(file, code, format string, args ...any) diag.List {
	var l diag.List
	l.Add(diag.Pos{File: file}, code, format, args...)
	return l
}

var (
	accountPattern   = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern    = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	partitionPattern = regexp.MustCompile(`^aws(-[a-z]+)*$`)
)

// place finds where in the file a text stands.
type place func(text string) diag.Pos

func nowhere(string) diag.Pos { return diag.Pos{} }

// problems are contradictions within the snapshot: reasons to neither write nor
// believe it.
func (s *Snapshot) problems(at place) diag.List {
	var l diag.List
	inv := s.Inventory
	for _, c := range []struct {
		name, value string
		fits        bool
	}{
		{"account", inv.Account, accountPattern.MatchString(inv.Account)},
		{"region", inv.Region, regionPattern.MatchString(inv.Region)},
		{"partition", inv.Partition, partitionPattern.MatchString(inv.Partition)},
	} {
		if !c.fits {
			l.Add(at(c.name), "snapshot-content", "the %s is %q, which is none; %s", c.name, c.value, anew)
		}
	}
	if year := inv.ReadAt.UTC().Year(); year < 1970 || year > 9999 {
		l.Add(at("readAt"), "snapshot-content", "the snapshot was read at %s, which cannot be; %s", stamp(inv.ReadAt), anew)
	}
	l = append(l, keyProblems(inv, at)...)
	l = append(l, placeProblems(s.Places, at)...)
	l.Sort()
	return l
}

func keyProblems(inv *inventory.Inventory, at place) diag.List {
	var l diag.List
	prefix := strings.Join([]string{"arn", inv.Partition, "kms", inv.Region, inv.Account, "key/"}, ":")
	seen := make(map[string]bool, len(inv.Keys))
	for i := range inv.Keys {
		k := &inv.Keys[i]
		id, ours := strings.CutPrefix(k.ARN, prefix)
		switch {
		case !ours || id == "" || id != k.ID:
			l.Add(at(k.ARN), "snapshot-content", "%q is no key of %s in %s (%s); %s", k.ARN, inv.Account, inv.Region, inv.Partition, anew)
		case seen[k.ARN]:
			l.Add(at(k.ARN), "snapshot-content", "key %s stands there twice; %s", k.ARN, anew)
		}
		seen[k.ARN] = true
		if why := unfit(k); why != "" {
			l.Add(at(k.ARN), "snapshot-content", "key %s %s; %s", k.ARN, why, anew)
		}
	}
	return l
}

// unfit says why a key cannot be frozen. A snapshot is used with rules that are
// not written yet, so it needs what any rule could ask for.
func unfit(k *inventory.Key) string {
	switch {
	case k.TagsOmitted:
		return "has its tags left out; a snapshot is read without filters"
	case k.Manager == "" && !k.Described && k.Unreadable == "" && !k.Gone:
		return "was not described; a snapshot describes every key"
	case !utf8.ValidString(k.ARN + k.State + k.Manager + k.Usage + k.Spec + k.Origin + k.Unreadable):
		return "has a text that is not UTF-8"
	}
	tags := ordered(k.Tags, byTag)
	for i, t := range tags {
		switch {
		case t.Key == "" || !utf8.ValidString(t.Key) || !utf8.ValidString(t.Value):
			return "has a tag without a key, or that is not UTF-8"
		case i > 0 && tags[i-1].Key == t.Key:
			return "has the tag " + t.Key + " twice"
		}
	}
	return unfitAliases(ordered(k.Aliases, byAlias))
}

func unfitAliases(sorted []inventory.Alias) string {
	for i, a := range sorted {
		if a.Name == "" || !utf8.ValidString(a.Name) || i > 0 && sorted[i-1].Name == a.Name {
			return "has the alias " + a.Name + " twice, or one that is not UTF-8"
		}
	}
	return ""
}

func placeProblems(p plan.Places, at place) diag.List {
	var l diag.List
	stacks := map[int]bool{}
	for _, n := range p.Stacks {
		if n < 1 || stacks[n] {
			l.Add(at("stacks"), "snapshot-content", "stack %d is below 1 or stands there twice; %s", n, anew)
		}
		stacks[n] = true
	}
	for unit, n := range p.Units {
		if !utf8.ValidString(unit) || unit == "" {
			l.Add(at("units"), "snapshot-content", "a unit has the name %q; %s", unit, anew)
		}
		if !stacks[n] {
			l.Add(at(unit), "snapshot-content", "unit %s is placed in stack %d, which is not among the stacks; %s", unit, n, anew)
		}
	}
	for unit, h := range p.Elsewhere {
		if !utf8.ValidString(unit+h.Deployment+h.Stack) || unit == "" || h.Stack == "" {
			l.Add(at("elsewhere"), "snapshot-content", "the unit %q is held elsewhere, in stack %q; %s", unit, h.Stack, anew)
		}
	}
	return l
}
