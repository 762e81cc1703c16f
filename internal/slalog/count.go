package slalog

import (
	"cmp"
	"slices"

	"keywatch/internal/sla"
)

// count is what is added up of a place.
type count struct {
	requests, faults [origins]int64
	failed           int64
	codes            map[codeClass]int64
	// known says of each interval that its requests are a count of all, clients
	// that a client's log holds any, and served of each hour, from a day before the
	// month to a day after it, that a client's log holds one that was served.
	known, clients, served []bool
}

type codeClass struct {
	code  uint8
	class sla.Class
}

// hour is that of an interval in count.served.
func hour(interval int) int { return (interval*sla.IntervalSeconds + slack) / 3600 }

func newCount(intervals int) *count {
	return &count{
		codes: map[codeClass]int64{}, known: make([]bool, intervals), clients: make([]bool, intervals),
		served: make([]bool, hour(intervals)+slack/3600+1),
	}
}

func (n *count) count(e entry) {
	for o := range origins {
		if e.origins&(1<<o) != 0 {
			n.requests[o]++
			if e.class.Failed() {
				n.faults[o]++
			}
		}
	}
	if e.class != sla.Served {
		n.codes[codeClass{e.code, e.class}]++
	}
}

// around is how far, in hours, a served request of a client's log vouches for it:
// who logs what was served and what was not has a whole log of an outage too.
const around = 12

func (n *count) finish(in *sla.Input, names *codes) {
	for i := range in.Intervals {
		iv := &in.Intervals[i]
		iv.FaultsOnly = !n.known[i]
		if iv.FaultsOnly && n.clients[i] {
			at := hour(i)
			iv.AllFailed = slices.Contains(n.served[max(0, at-around):min(len(n.served), at+around+1)], true)
			iv.FaultsOnly = !iv.AllFailed
		}
	}
	slices.SortFunc(in.Failed, func(a, b sla.Request) int {
		// Hidden IDs are alike, so the rest decides.
		return cmp.Or(cmp.Compare(a.Interval, b.Interval), a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Class, b.Class))
	})
	in.MoreFailed = n.failed - int64(len(in.Failed))
	for o := range origins {
		if n.requests[o] > 0 {
			in.Sources = append(in.Sources, sla.Source{Name: o.Name(), Requests: n.requests[o], Faults: n.faults[o], Unseen: o.Unseen()})
		}
	}
	sums := map[sla.CodeCount]int64{}
	for c, requests := range n.codes {
		sums[sla.CodeCount{Code: names.name(c.code), CountsAs: c.class.Name()}] += requests
	}
	for c, requests := range sums {
		c.Requests = requests
		in.Codes = append(in.Codes, c)
	}
	slices.SortFunc(in.Codes, func(a, b sla.CodeCount) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Code, b.Code), cmp.Compare(a.CountsAs, b.CountsAs))
	})
}
