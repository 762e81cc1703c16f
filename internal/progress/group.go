package progress

import (
	"slices"
	"sync"
)

// Group adds up the progress of several environments that are read side by side.
// It is safe for concurrent use.
type Group struct {
	show func(Progress)

	mu   sync.Mutex
	at   []Progress // of each environment; Stage is "" while it reads no keys
	read []bool
}

// NewGroup makes a Group of as many environments.
func NewGroup(environments int, show func(Progress)) *Group {
	return &Group{show: show, at: make([]Progress, environments), read: make([]bool, environments)}
}

// Show is told how far the i-th environment is.
func (g *Group) Show(i int, at Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Ended { // of its keys; others are read on
		at = Progress{}
	}
	g.at[i] = at
	g.show(g.sum())
}

// Read says that the i-th environment was read, be it in vain. It is no news of a
// run that tells of no keys.
func (g *Group) Read(i int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at[i], g.read[i] = Progress{}, true
	switch {
	case !slices.Contains(g.read, false):
		g.show(Progress{Ended: true})
	case slices.ContainsFunc(g.at, func(p Progress) bool { return p.Stage != "" }):
		g.show(g.sum())
	}
}

// sum is of the stage that the first environment is in, in their order, and of
// all that are in it: what is left of one stage says nothing of another.
func (g *Group) sum() Progress {
	sum := Progress{Environments: len(g.at)}
	known := true // how much there is to do
	for i, at := range g.at {
		if g.read[i] {
			sum.Read++
		}
		if sum.Stage == "" {
			sum.Stage = at.Stage
		}
		if at.Stage == "" || at.Stage != sum.Stage {
			continue
		}
		sum.Done += at.Done
		sum.Total += at.Total
		sum.Rate += at.Rate
		sum.Left = max(sum.Left, at.Left) // they do not wait for each other
		known = known && at.Total > 0
	}
	if !known {
		sum.Total, sum.Left = 0, 0
	}
	return sum
}
