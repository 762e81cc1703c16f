package snapshot

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"keywatch/internal/inventory"
)

// Kind says what a change is about; the order is that of the text.
type Kind int

const (
	KeyAdded Kind = iota
	KeyRemoved
	KeyUnreadable
	KeyReadable
	StateChanged
	FactChanged // usage, spec, … : what never changes in KMS
	Renamed
	AliasAdded
	AliasRemoved
	AliasChanged
	AliasRepointed // pointed to another key and back, as far as is known
	TagAdded
	TagRemoved
	TagChanged
	PlaceAdded
	PlaceRemoved
	PlaceMoved
	StackAdded
	StackRemoved
)

// kindWords are the kinds for a machine.
var kindWords = map[Kind]string{
	KeyAdded: "key-added", KeyRemoved: "key-removed", KeyUnreadable: "key-unreadable", KeyReadable: "key-readable",
	StateChanged: "state-changed", FactChanged: "fact-changed", Renamed: "renamed",
	AliasAdded: "alias-added", AliasRemoved: "alias-removed", AliasChanged: "alias-changed", AliasRepointed: "alias-repointed",
	TagAdded: "tag-added", TagRemoved: "tag-removed", TagChanged: "tag-changed",
	PlaceAdded: "place-added", PlaceRemoved: "place-removed", PlaceMoved: "place-moved",
	StackAdded: "stack-added", StackRemoved: "stack-removed",
}

func (k Kind) String() string { return kindWords[k] }

// Change is one fact that differs between two snapshots.
type Change struct {
	Kind Kind
	// Key is the ID of the key; of a place, the unit.
	Key string
	// Name is that of the tag, alias or fact.
	Name     string
	From, To string
}

// String is a line, of 80 columns where names and values allow it.
func (c Change) String() string {
	switch c.Kind {
	case KeyAdded:
		return strings.TrimSpace("+ key " + c.Key + " " + c.To)
	case KeyRemoved:
		return strings.TrimSpace("- key " + c.Key + " " + c.From)
	case KeyUnreadable:
		return fmt.Sprintf("! %s unreadable: %s", c.Key, c.To)
	case KeyReadable:
		return fmt.Sprintf("~ %s readable again", c.Key)
	case StateChanged, FactChanged:
		return fmt.Sprintf("~ %s %s: %s -> %s", c.Key, c.Name, orNone(c.From), orNone(c.To))
	case Renamed:
		return fmt.Sprintf("~ %s name: %s -> %s, renames its alarms", c.Key, orNone(c.From), orNone(c.To))
	case AliasAdded:
		return fmt.Sprintf("~ %s + %s", c.Key, c.Name)
	case AliasRemoved:
		return fmt.Sprintf("~ %s - %s", c.Key, c.Name)
	case AliasChanged:
		return fmt.Sprintf("~ %s %s: created %s -> %s", c.Key, c.Name, orNone(c.From), orNone(c.To))
	case AliasRepointed:
		return fmt.Sprintf("! %s %s: repointed at %s", c.Key, c.Name, c.To)
	case TagAdded:
		return fmt.Sprintf("~ %s + tag %s: %s", c.Key, shown(c.Name), shown(c.To))
	case TagRemoved:
		return fmt.Sprintf("~ %s - tag %s: %s", c.Key, shown(c.Name), shown(c.From))
	case TagChanged:
		return fmt.Sprintf("~ %s tag %s: %s -> %s", c.Key, shown(c.Name), shown(c.From), shown(c.To))
	case PlaceAdded:
		return fmt.Sprintf("+ place %s in stack %s", c.Key, c.To)
	case PlaceRemoved:
		return fmt.Sprintf("- place %s in stack %s", c.Key, c.From)
	case PlaceMoved:
		return fmt.Sprintf("! place %s: stack %s -> %s", c.Key, c.From, c.To)
	case StackAdded:
		return "+ stack " + c.To
	}
	return "- stack " + c.From
}

func orNone(s string) string { return cmp.Or(s, "(none)") }

// shown quotes what people wrote, and hides nothing on a terminal.
func shown(s string) string { return string(appendQuoted(nil, s)) }

// Diff lists what differs: by key, then places. The time of reading is no
// change, and neither is what merely could not be read.
func Diff(old, new *Snapshot) []Change {
	var out []Change
	was, is := ordered(old.Inventory.Keys, byARN), ordered(new.Inventory.Keys, byARN)
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].ARN < is[0].ARN:
			out = append(out, Change{Kind: KeyRemoved, Key: was[0].ID, From: was[0].Alias()})
			was = was[1:]
		case len(was) == 0 || is[0].ARN < was[0].ARN:
			out = append(out, added(&is[0])...)
			is = is[1:]
		default:
			out = append(out, compare(&was[0], &is[0])...)
			was, is = was[1:], is[1:]
		}
	}
	return append(out, comparePlaces(old, new)...)
}

func added(k *inventory.Key) []Change {
	out := []Change{{Kind: KeyAdded, Key: k.ID, To: k.Alias()}}
	if k.Unreadable != "" {
		out = append(out, Change{Kind: KeyUnreadable, Key: k.ID, To: refusal(k)})
	}
	return out
}

func compare(old, new *inventory.Key) []Change {
	c := comparison{old: old, new: new}
	switch was, is := refusal(old), refusal(new); {
	case was != is && is != "":
		c.add(KeyUnreadable, "", was, is)
	case was != is:
		c.add(KeyReadable, "", was, is)
	}
	c.fact(StateChanged, "state", old.State, new.State)
	c.fact(FactChanged, "manager", old.Manager, new.Manager)
	c.fact(FactChanged, "usage", old.Usage, new.Usage)
	c.fact(FactChanged, "spec", old.Spec, new.Spec)
	c.fact(FactChanged, "origin", old.Origin, new.Origin)
	if old.Manager != "" && new.Manager != "" {
		c.fact(FactChanged, "multiRegion", fmt.Sprint(old.MultiRegion), fmt.Sprint(new.MultiRegion))
		c.fact(FactChanged, "gone", fmt.Sprint(old.Gone), fmt.Sprint(new.Gone))
		c.fact(FactChanged, "created", date(old.Created), date(new.Created))
	}
	if old.Alias() != new.Alias() {
		c.add(Renamed, "", old.Alias(), new.Alias())
	}
	c.aliases(old.Aliases, new.Aliases)
	if !c.unread(len(old.Tags) == 0, len(new.Tags) == 0) {
		c.names(TagAdded, values(old.Tags), values(new.Tags))
	}
	return c.changes
}

// refusal is what KMS refused and why, without the words that differ from one
// caller to the next: "kms:DescribeKey: AccessDeniedException".
func refusal(k *inventory.Key) string {
	parts := strings.SplitN(k.Unreadable, ": ", 3)
	return strings.Join(parts[:min(2, len(parts))], ": ")
}

type comparison struct {
	old, new *inventory.Key
	changes  []Change
}

func (c *comparison) add(kind Kind, name, from, to string) {
	c.changes = append(c.changes, Change{kind, c.new.ID, name, from, to})
}

func (c *comparison) fact(kind Kind, name, from, to string) {
	if from != to && !c.unread(from == "", to == "") {
		c.add(kind, name, from, to)
	}
}

// unread says that one side is empty because nobody could read it.
func (c *comparison) unread(oldEmpty, newEmpty bool) bool {
	return oldEmpty && c.old.Unreadable != "" || newEmpty && c.new.Unreadable != ""
}

// names compares by name; kind is the first of added, removed, changed.
func (c *comparison) names(kind Kind, old, new map[string]string) {
	all := maps.Clone(old)
	maps.Copy(all, new)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		from, was := old[name]
		to, is := new[name]
		switch {
		case !was:
			c.add(kind, name, "", to)
		case !is:
			c.add(kind+1, name, from, "")
		case from != to:
			c.add(kind+2, name, from, to)
		}
	}
}

// aliases compares the aliases by when they were made, and those that stayed by
// when they were last pointed to a key.
func (c *comparison) aliases(old, new []inventory.Alias) {
	created := func(list []inventory.Alias) map[string]string {
		out := make(map[string]string, len(list))
		for _, a := range list {
			out[a.Name] = date(a.Created)
		}
		return out
	}
	c.names(AliasAdded, created(old), created(new))
	was := make(map[string]inventory.Alias, len(old))
	for _, a := range old {
		was[a.Name] = a
	}
	for _, a := range ordered(new, byAlias) {
		from, to := was[a.Name], a
		if from.Created.Equal(to.Created) && !from.Updated.Equal(to.Updated) && !from.Updated.IsZero() && !to.Updated.IsZero() {
			c.add(AliasRepointed, a.Name, date(from.Updated), date(to.Updated))
		}
	}
}

func values(list []inventory.Tag) map[string]string {
	out := make(map[string]string, len(list))
	for _, t := range list {
		out[t.Key] = t.Value
	}
	return out
}

func comparePlaces(old, new *Snapshot) []Change {
	var out []Change
	all := maps.Clone(old.Places.Units)
	if all == nil {
		all = map[string]int{}
	}
	maps.Copy(all, new.Places.Units)
	for _, unit := range slices.Sorted(maps.Keys(all)) {
		from, was := old.Places.Units[unit]
		to, is := new.Places.Units[unit]
		switch {
		case !was:
			out = append(out, Change{Kind: PlaceAdded, Key: unit, To: fmt.Sprint(to)})
		case !is:
			out = append(out, Change{Kind: PlaceRemoved, Key: unit, From: fmt.Sprint(from)})
		case from != to:
			out = append(out, Change{Kind: PlaceMoved, Key: unit, From: fmt.Sprint(from), To: fmt.Sprint(to)})
		}
	}
	for _, n := range without(new.Places.Stacks, old.Places.Stacks) {
		out = append(out, Change{Kind: StackAdded, To: fmt.Sprint(n)})
	}
	for _, n := range without(old.Places.Stacks, new.Places.Stacks) {
		out = append(out, Change{Kind: StackRemoved, From: fmt.Sprint(n)})
	}
	return out
}

func without(list, other []int) []int {
	out := slices.DeleteFunc(slices.Clone(list), func(n int) bool { return slices.Contains(other, n) })
	slices.Sort(out)
	return out
}

// Text writes a line for each change.
func Text(w io.Writer, changes []Change) error {
	for _, c := range changes {
		if _, err := fmt.Fprintln(w, c); err != nil {
			return err
		}
	}
	return nil
}

// counted are the parts of a summary, with what is said of one and of several.
var counted = []struct {
	kinds     []Kind
	one, more string
}{
	{[]Kind{KeyAdded}, "key added", "keys added"},
	{[]Kind{KeyRemoved}, "key removed", "keys removed"},
	{[]Kind{KeyUnreadable}, "key became unreadable", "keys became unreadable"},
	{[]Kind{KeyReadable}, "key readable again", "keys readable again"},
	{[]Kind{StateChanged}, "state changed", "states changed"},
	{[]Kind{FactChanged}, "other fact changed", "other facts changed"},
	{[]Kind{Renamed}, "key renamed", "keys renamed"},
	{[]Kind{AliasAdded, AliasRemoved, AliasChanged, AliasRepointed}, "alias changed", "aliases changed"},
	{[]Kind{TagAdded, TagRemoved, TagChanged}, "tag changed", "tags changed"},
	{[]Kind{PlaceAdded}, "place added", "places added"},
	{[]Kind{PlaceRemoved}, "place dropped", "places dropped"},
	{[]Kind{PlaceMoved}, "place moved", "places moved"},
	{[]Kind{StackAdded, StackRemoved}, "stack changed", "stacks changed"},
}

// Summary counts changes in one line.
func Summary(changes []Change) string {
	var parts []string
	for _, c := range counted {
		n := 0
		for _, change := range changes {
			if slices.Contains(c.kinds, change.Kind) {
				n++
			}
		}
		switch {
		case n == 1:
			parts = append(parts, "1 "+c.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, c.more))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "no change")
}
