package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keywatch/internal/diag"
)

// Places is where deployed units live. They are read from the stacks that are
// there (internal/places), or out of a snapshot, which has Units and Stacks
// alone. The zero value says that nothing is deployed.
type Places struct {
	// Units gives the stack number of each deployed unit, by its ID.
	Units map[string]int
	// Stacks are the numbers of the alarm stacks that exist, empty ones too.
	Stacks []int
	// Names are the AlarmNames of the deployed alarms, by logical ID; nil if
	// only the units are known.
	Names map[string]string
	// Changed says when CloudFormation last made or changed each of Names.
	Changed map[string]time.Time
	// Twice are the units that two stacks hold, with the names of both; Elsewhere
	// those that another deployment holds. Neither may be declared.
	Twice     map[string][2]string
	Elsewhere map[string]Holder
	// Others are the deployment's stacks beside those in Stacks: the dashboard's,
	// and those that were never made to the end.
	Others []string
}

// Holder is the stack of another deployment that holds a unit.
type Holder struct{ Stack, Deployment string }

// Size is what fills a stack.
type Size struct{ Resources, Bytes int }

func (s Size) plus(o Size) Size { return Size{s.Resources + o.Resources, s.Bytes + o.Bytes} }
func (s Size) within(limit Size) bool {
	return s.Resources <= limit.Resources && s.Bytes <= limit.Bytes
}
func (s Size) String() string {
	return fmt.Sprintf("%d resources, %d kB", s.Resources, (s.Bytes+999)/1000)
}

// Fill is how full a stack may get. CloudFormation takes 500 resources and
// 1 MB ("Understand CloudFormation quotas"); the room between is for units that
// grow in place.
type Fill struct {
	New   Size // new units are only added up to here
	Grown Size // placed units may grow up to here
}

// DefaultFill stops new units early, so that placed ones can still grow.
var DefaultFill = Fill{New: Size{360, 700_000}, Grown: Size{480, 900_000}}

// Candidate is a unit to be placed.
type Candidate struct {
	Unit string // identity
	Key  string // units of one key stay together where they fit
	Size
}

// Placement is the stack number of each candidate, and every stack that must
// be synthesised, sorted.
type Placement struct {
	Units  map[string]int
	Stacks []int
}

// Place gives each unit its stack. It is a pure function: a unit with a known
// place keeps it; then new units, in the order given, go to the lowest-numbered
// stack with room, those of one key together where they fit. Stack 1 and every
// stack that exists are always there. Units that fit nowhere are reported and
// left out.
func Place(known Places, units []Candidate, fill Fill, stackName func(int) string) (Placement, diag.List) {
	p := placer{fill: fill, used: map[int]Size{1: {}}, placed: make(map[string]int, len(units)), name: stackName}
	for _, n := range known.Stacks {
		p.used[n] = Size{}
	}
	var fresh []Candidate
	homes := map[string][]int{} // where a key's units already live
	grown := map[int][]Candidate{}
	for _, u := range units {
		n, there := known.Units[u.Unit]
		if !there {
			fresh = append(fresh, u)
			continue
		}
		p.add(n, u)
		grown[n] = append(grown[n], u)
		if !slices.Contains(homes[u.Key], n) {
			homes[u.Key] = append(homes[u.Key], n)
		}
	}
	p.reportGrown(grown)
	for i := 0; i < len(fresh); {
		end := i
		for end < len(fresh) && fresh[end].Key == fresh[i].Key {
			end++
		}
		p.placeKey(fresh[i:end], homes[fresh[i].Key])
		i = end
	}
	return Placement{Units: p.placed, Stacks: slices.Sorted(maps.Keys(p.used))}, p.problems
}

type placer struct {
	fill     Fill
	used     map[int]Size
	placed   map[string]int
	name     func(int) string
	problems diag.List
	order    []int // the stack numbers in use, sorted; see lowest
}

func (p *placer) add(n int, u Candidate) {
	p.used[n] = p.used[n].plus(u.Size)
	p.placed[u.Unit] = n
}

// placeKey places the new units of one key, with its others if it can.
func (p *placer) placeKey(units []Candidate, homes []int) {
	var whole Size
	for _, u := range units {
		whole = whole.plus(u.Size)
	}
	slices.Sort(homes)
	for _, n := range homes {
		if p.used[n].plus(whole).within(p.fill.New) {
			p.addAll(n, units)
			return
		}
	}
	if whole.within(p.fill.New) {
		p.addAll(p.lowest(whole), units)
		return
	}
	for _, u := range units { // more than a stack holds: each by itself
		if !u.Size.within(p.fill.New) {
			p.problems.Add(diag.Pos{}, "placement-full", "the alarms of %s alone take %s, more than a stack is filled to (%s); give this key fewer alarms", u.Unit, u.Size, p.fill.New)
			continue
		}
		p.add(p.lowest(u.Size), u)
	}
}

func (p *placer) addAll(n int, units []Candidate) {
	for _, u := range units {
		p.add(n, u)
	}
}

// lowest is the lowest-numbered stack with room, a new one if there is none.
func (p *placer) lowest(s Size) int {
	if len(p.order) != len(p.used) {
		p.order = slices.Sorted(maps.Keys(p.used))
	}
	for _, n := range p.order {
		if p.used[n].plus(s).within(p.fill.New) {
			return n
		}
	}
	next := 1
	for _, n := range p.order { // the lowest number that is free
		if n == next {
			next++
		}
	}
	return next
}

func (p *placer) reportGrown(byStack map[int][]Candidate) {
	for _, n := range slices.Sorted(maps.Keys(byStack)) {
		if p.used[n].within(p.fill.Grown) {
			continue
		}
		units := byStack[n]
		var names []string
		for _, u := range units[:min(3, len(units))] {
			names = append(names, u.Unit)
		}
		more := ""
		if len(units) > 3 {
			more = fmt.Sprintf(" and %d more", len(units)-3)
		}
		p.problems.Add(diag.Pos{}, "placement-full",
			"stack %s would grow to %s, more than %s, and a deployed alarm never moves to another stack: it holds %s%s. Deploy twice: first with a rule that says watch: false for some of these keys, then without it; they are then placed anew where there is room",
			p.name(n), p.used[n], p.fill.Grown, strings.Join(names, ", "), more)
	}
}
