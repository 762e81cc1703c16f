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
	// Of each interval: whole, that a source which has all requests has one, CloudTrail's
	// own files or a rule that lets through what was served; strange, that a rule for
	// faults has one that no other log has; answered, that a client's log has one that was
	// served; clients, one that was not.
	whole, strange, answered, clients []bool
	// served is as answered, from a day before the month to a day after it.
	served []bool
}

type codeClass struct {
	code  uint8
	class sla.Class
}

// slackIntervals are those of the slack on each side of the month.
const slackIntervals = slack / sla.IntervalSeconds

func newCount(intervals int) *count {
	of := func() []bool { return make([]bool, intervals) }
	return &count{
		codes: map[codeClass]int64{}, whole: of(), strange: of(), answered: of(), clients: of(),
		served: make([]bool, slackIntervals+intervals+slackIntervals),
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

// around is how far, in intervals, a served request of a client's log vouches for it:
// who logs what was served and what was not has a whole log of an outage too.
const around = 12 * 3600 / sla.IntervalSeconds

func (n *count) finish(in *sla.Input, names *codes) {
	for i := range in.Intervals {
		iv := &in.Intervals[i]
		switch at := i + slackIntervals; {
		case n.whole[i]:
		case n.strange[i]: // a client's log is not whole, and a rule's is not either
			iv.Partial = true
		case n.answered[i]:
		case n.clients[i]:
			iv.AllFailed = slices.Contains(n.served[max(0, at-around):min(len(n.served), at+around+1)], true)
			iv.Partial = !iv.AllFailed
		default:
			iv.Partial = true // nothing at all
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
