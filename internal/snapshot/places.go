package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// Refresh is the snapshot of a new inventory. It keeps the places of the old
// one (nil: there is none) and takes those of the deployed stacks; where the two
// disagree it takes neither and says so. What is neither deployed nor wanted is
// dropped: no alarm lives there, and none is about to. Of a key that cannot be
// read nobody knows what is wanted, so its places stay.
func Refresh(old *Snapshot, inv *inventory.Inventory, deployed plan.Places, wanted []plan.Candidate, stackName func(int) string) (*Snapshot, diag.List) {
	s := &Snapshot{Inventory: inv}
	units := map[string]int{}
	if old != nil {
		s.File, s.Deployment = old.File, old.Deployment
		if l := Disagreements(s.File, old.Places, deployed, stackName); len(l) > 0 {
			return nil, l
		}
		units = keep(old.Places.Units, inv, wanted)
	}
	maps.Copy(units, deployed.Units)
	s.Places = plan.Places{Units: units, Stacks: stacks(units, deployed.Stacks), Elsewhere: deployed.Elsewhere}
	return s, nil
}

func keep(placed map[string]int, inv *inventory.Inventory, wanted []plan.Candidate) map[string]int {
	out := map[string]int{}
	for _, u := range wanted {
		if n, there := placed[u.Unit]; there {
			out[u.Unit] = n
		}
	}
	unreadable := map[string]bool{}
	for i := range inv.Keys {
		if inv.Keys[i].Unreadable != "" {
			unreadable[inv.Keys[i].ID] = true
		}
	}
	for unit, n := range placed {
		if key, _, _ := strings.Cut(unit, "/"); unreadable[key] {
			out[unit] = n
		}
	}
	return out
}

// stacks are those that hold a unit, and those that exist.
func stacks(units map[string]int, exist []int) []int {
	set := map[int]bool{}
	for _, n := range units {
		set[n] = true
	}
	for _, n := range exist {
		set[n] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// Disagreements are the units that a snapshot places in one stack and that are
// deployed in another. Only somebody who knows what happened can say which.
func Disagreements(file string, known, deployed plan.Places, stackName func(int) string) diag.List {
	var l diag.List
	for _, unit := range slices.Sorted(maps.Keys(known.Units)) {
		in, there := deployed.Units[unit]
		if there && in != known.Units[unit] {
			l.Add(diag.Pos{File: file}, "snapshot-places", "the alarms of %s are deployed in stack %s, but the snapshot places them in %s; if the deployed stacks are right, remove the file and take the snapshot anew: places are then read from the stacks",
				unit, stackName(in), stackName(known.Units[unit]))
		}
	}
	return l
}

// Unknown is the problem of a snapshot that does not know what is deployed: the
// alarms and stacks that it lacks would be removed or left behind, though nobody
// has decided that. It is older than what is deployed, or another one.
func Unknown(file string, known, deployed plan.Places, stackName func(int) string) diag.List {
	var units, strange []string
	for unit := range deployed.Units {
		if _, there := known.Units[unit]; !there {
			units = append(units, unit)
		}
	}
	for _, n := range deployed.Stacks {
		if n != firstStack && !slices.Contains(known.Stacks, n) {
			strange = append(strange, stackName(n))
		}
	}
	var what []string
	if n := len(units); n > 0 {
		slices.Sort(units)
		what = append(what, fmt.Sprintf("%d of the %d deployed units of alarms (%s)", n, len(deployed.Units), firstOf(units)))
	}
	if n := len(strange); n > 0 {
		what = append(what, fmt.Sprintf("%d of the %d deployed alarm stacks (%s)", n, len(deployed.Stacks), firstOf(strange)))
	}
	var l diag.List
	if len(what) > 0 {
		l.Add(diag.Pos{File: file}, "snapshot-places", "the snapshot does not know %s, so it is older than what is deployed, or another one, and a deploy would drop them; take the newest file, or refresh it with `keywatch snapshot`, which takes in what is deployed, and have the change reviewed",
			strings.Join(what, " and "))
	}
	return l
}

// Behind is the problem of a snapshot that is older than deployed alarms which the
// plan from it does not make: whoever deployed them knew more than this file.
// Units that the snapshot does not know at all are those of [Unknown].
func Behind(s *Snapshot, losses []plan.Loss) diag.List {
	var alarms []string
	keys := map[string]bool{}
	for _, lost := range losses {
		if _, known := s.Places.Units[lost.Unit]; known && lost.Changed.After(s.Inventory.ReadAt) {
			key, _, _ := strings.Cut(lost.Unit, "/")
			alarms, keys[key] = append(alarms, lost.Name), true
		}
	}
	var l diag.List
	if len(alarms) > 0 {
		were := "were"
		if len(alarms) == 1 {
			were = "was"
		}
		l.Add(diag.Pos{File: s.File}, "snapshot-behind", "%s of %s %s deployed after this snapshot was read (%s) and would go: %s; the file is older than the deployment (a revert, an old branch, another pipeline), or rules changed since: `keywatch snapshot` reads the account again",
			amount(len(alarms), "alarm"), amount(len(keys), "key"), were, stamp(s.Inventory.ReadAt), firstOf(alarms))
	}
	return l
}

func amount(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// firstStack is made whether or not it holds anything; see plan.Place.
const firstStack = 1

// Place appends a place for each unit that has none, and changes no other. It
// returns the units that were added, sorted.
func Place(s *Snapshot, units []plan.Candidate, fill plan.Fill, stackName func(int) string) (*Snapshot, []string, diag.List) {
	placement, problems := plan.Place(s.Places, units, fill, stackName)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	placed := s.Places
	placed.Units = make(map[string]int, len(s.Places.Units)+len(units))
	maps.Copy(placed.Units, s.Places.Units)
	var added []string
	for unit, n := range placement.Units {
		if _, known := placed.Units[unit]; !known {
			placed.Units[unit] = n
			added = append(added, unit)
		}
	}
	slices.Sort(added)
	placed.Stacks = stacks(placed.Units, s.Places.Stacks)
	return &Snapshot{File: s.File, Deployment: s.Deployment, Inventory: s.Inventory, Places: placed}, added, nil
}

// Candidates are the units of a plan, as they are to be placed.
func Candidates(p *plan.Plan) []plan.Candidate {
	var out []plan.Candidate
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			out = append(out, plan.Candidate{
				Unit: u.ID, Key: p.Keys[i].ARN,
				Size: plan.Size{Resources: u.Resources(), Bytes: u.TemplateBytes()},
			})
		}
	}
	return out
}

// mostNamed is how many units or stacks a message names.
const mostNamed = 3

// Unplaced is the problem of synthesising from a snapshot that has no place for
// some of the units: synth never chooses one, or two checkouts could choose
// differently.
func Unplaced(units []string, p plan.Places) diag.List {
	var missing []string
	for _, unit := range units {
		if _, placed := p.Units[unit]; !placed {
			missing = append(missing, unit)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	var l diag.List
	l.Add(diag.Pos{}, "snapshot-unplaced", "the snapshot has no place for the alarms of %s; add places with `keywatch snapshot --place`, which works offline, and have the change reviewed together with that of the rules",
		firstOf(missing))
	return l
}

// firstOf names the first, and counts the rest.
func firstOf(names []string) string {
	if n := len(names) - mostNamed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), n)
	}
	return strings.Join(names, ", ")
}
