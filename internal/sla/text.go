package sla

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// columns is how wide text is; mostLines are shown of a list.
const (
	columns   = 80
	mostLines = 20
)

// Text writes the reports of a month for a terminal; several begin with a table.
func Text(w io.Writer, reports []*Report) {
	if len(reports) > 1 {
		const row = "%-12s  %-16s %14s %13s %7s  %s\n"
		fmt.Fprintf(w, "KMS in %s (UTC), each account and region for itself\n\n", reports[0].Month)
		fmt.Fprintf(w, row, "account", "region", "requests", "uptime %", "credit", "missing")
		for _, r := range reports {
			missing := "nothing"
			if n := len(r.Missing); n > 0 {
				missing = count(n, "piece")
			}
			fmt.Fprintf(w, row, r.Account, r.Region, fmt.Sprint(r.Requests), r.Contestable.Uptime, fmt.Sprintf("%d %%", r.Contestable.Percent), missing)
		}
		fmt.Fprintln(w, "\nContestable faults are counted here. The reports:")
	}
	shared := slices.Clone(reports[0].Assumptions)
	for _, r := range reports {
		shared = slices.DeleteFunc(shared, func(a string) bool { return !slices.Contains(r.Assumptions, a) })
	}
	for _, r := range reports {
		if len(reports) > 1 {
			fmt.Fprintf(w, "\n%s\n\n", strings.Repeat("-", columns))
		}
		r.text(w)
		own := slices.DeleteFunc(slices.Clone(r.Assumptions), func(a string) bool { return slices.Contains(shared, a) })
		listAssumed(w, "Assumed of this one alone:", own)
	}
	listAssumed(w, "Assumed, not read in the agreement itself (keywatch sla terms has the sources):", shared)
}

func listAssumed(w io.Writer, title string, assumptions []string) {
	if len(assumptions) == 0 {
		return
	}
	fmt.Fprintln(w, "\n"+title)
	for _, a := range assumptions {
		fold(w, "  - ", a)
	}
}

func (r *Report) text(w io.Writer) {
	fmt.Fprintf(w, "KMS in %s, account %s, %s (UTC)\n\n", r.Region, r.Account, r.Month)
	fold(w, "", r.Estimate)
	if len(r.Missing) > 0 {
		fmt.Fprintln(w, "\nMissing (a claim that lacks such a piece was denied):")
		for _, m := range r.Missing {
			fold(w, "  - ", m)
		}
	}
	fmt.Fprintln(w)
	r.figures(w)
	fmt.Fprintln(w)
	field(w, "requests", "%d, %d rejected for reasons of the caller", r.Requests, r.Rejected)
	field(w, "intervals", "%d of 5 minutes, %d without requests (100 %% available)", r.Intervals, r.Idle)
	if r.in.Kept != nil {
		field(w, "", "%d counted by CloudWatch, %d without kept numbers", r.FromMetric, r.Unknown)
	}
	field(w, "terms", "KMS SLA, last updated %s", r.Terms)
	field(w, "claim by", "%s, the earlier of:", r.Deadline)
	for _, d := range r.Deadlines {
		field(w, "", "%s", d)
	}
	if len(r.Below) > 0 {
		fmt.Fprintf(w, "\n%s below 100 %%:\n", count(len(r.Below), "interval"))
		const row = "  %-16s %10v %10v %11v %12s %12s\n"
		fmt.Fprintf(w, row, "", "", "", "contestable", "availability", "with them")
		fmt.Fprintf(w, row, "begins (UTC)", "requests", "faults", "faults", "%", "%")
		for i, b := range r.Below {
			if i == mostLines {
				fmt.Fprintf(w, "  ... and %d more\n", len(r.Below)-i)
				break
			}
			fmt.Fprintf(w, row, b.Start.Format("2006-01-02 15:04"), b.Requests, b.Faults, b.Contestable, b.Availability, b.WithContestable)
		}
	}
	r.codes(w)
	if len(r.Keys) > 0 {
		fmt.Fprintf(w, "\n%s affected:\n", count(len(r.Keys), "key"))
		list(w, r.Keys)
	}
	for i, e := range r.Health {
		if i == 0 {
			fmt.Fprintln(w, "\nAWS Health events:")
		}
		end := "still open"
		if e.End != nil {
			end = stamp(*e.End)
		}
		fold(w, "  - ", fmt.Sprintf("%s from %s to %s, over %s below 100 %%: %s", e.Type, stamp(e.Start), end, count(e.During, "interval"), e.ARN))
	}
	fmt.Fprintln(w, "\nCounted from:")
	for _, s := range r.Sources {
		fold(w, "  - ", fmt.Sprintf("%s: %d requests, %d failed. It cannot see: %s.", s.Name, s.Requests, s.Faults, s.Unseen))
	}
	r.inputs(w)
}

// figures writes both readings side by side.
func (r *Report) figures(w io.Writer) {
	const row = "%-28s %22s %22s\n"
	a, b := r.Figure, r.Contestable
	fmt.Fprintf(w, row, "", "without contestable", "with contestable")
	fmt.Fprintf(w, row, "failed requests", fmt.Sprint(a.Faults), fmt.Sprint(b.Faults))
	fmt.Fprintf(w, row, "sum of error rates", a.Sum, b.Sum)
	fmt.Fprintf(w, row, "  the commitment allows", r.Allowed, r.Allowed)
	fmt.Fprintf(w, row, "Monthly Uptime Percentage", a.Uptime+" %", b.Uptime+" %")
	fmt.Fprintf(w, row, "commitment of "+r.terms.Commitment.Value+" %", kept(a), kept(b))
	fmt.Fprintf(w, row, "credit", fmt.Sprintf("%d %%", a.Percent), fmt.Sprintf("%d %%", b.Percent))
	if a.AboveFloor != nil {
		fmt.Fprintf(w, row, "  of $"+r.Charges, "$"+a.Credit, "$"+b.Credit)
		fmt.Fprintf(w, row, "  above $"+r.terms.Floor.Value+", so paid at all", yes(*a.AboveFloor), yes(*b.AboveFloor))
	}
}

// codes writes the errors by code.
func (r *Report) codes(w io.Writer) {
	if len(r.Codes) == 0 {
		return
	}
	const row = "  %10v  %-11s  %s\n"
	fmt.Fprintf(w, "\nErrors by code:\n"+row, "requests", "count as", "code")
	for i, c := range r.Codes {
		if i == mostLines {
			fmt.Fprintf(w, "  ... and %d more\n", len(r.Codes)-i)
			return
		}
		fmt.Fprintf(w, row, c.Requests, c.CountsAs, c.Code)
	}
}

func kept(f Figure) string {
	if f.Missed {
		return "missed"
	}
	return "kept"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// inputs says what was read and what was not.
func (r *Report) inputs(w io.Writer) {
	read, records, leftOut := 0, int64(0), map[string]int{}
	for _, f := range r.Files {
		if f.LeftOut != "" {
			leftOut[f.LeftOut]++
			continue
		}
		read++
		records += f.Records
	}
	fmt.Fprintln(w, "\nRead:")
	fold(w, "  - ", fmt.Sprintf("%s with %d records", count(read, "file"), records))
	for _, why := range slices.Sorted(maps.Keys(leftOut)) {
		fold(w, "  - ", fmt.Sprintf("left out: %s (%s)", count(leftOut[why], "file"), why))
	}
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		fold(w, "  - ", fmt.Sprintf("not counted: %s (%s)", count(int(r.Skipped[why]), "record"), why))
	}
	if r.Disagreed > 0 {
		fold(w, "  - ", fmt.Sprintf("%d told by two logs differently: one says that they failed; they count as failed", r.Disagreed))
	}
	if r.Contradictory > 0 {
		fold(w, "  - ", fmt.Sprintf("%d contradictory: the HTTP status is not one of the error code; they count as contestable faults", r.Contradictory))
	}
	if r.Malformed.Count > 0 {
		fold(w, "  - ", fmt.Sprintf("malformed: %d of %d", r.Malformed.Count, r.Malformed.Records))
		for _, m := range r.Malformed.First {
			fold(w, "      ", m)
		}
	}
}

func list(w io.Writer, items []string) {
	for i, item := range items {
		if i == mostLines {
			fmt.Fprintf(w, "  ... and %d more\n", len(items)-i)
			return
		}
		fmt.Fprintf(w, "  %s\n", item)
	}
}

func field(w io.Writer, name, format string, args ...any) {
	fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
}

// fold writes a text behind first in lines of 80 columns.
func fold(w io.Writer, first, s string) {
	line, empty := first, true
	for word := range strings.FieldsSeq(s) {
		switch {
		case empty:
			line += word
		case len(line)+1+len(word) > columns:
			fmt.Fprintln(w, line)
			line = strings.Repeat(" ", len(first)) + word
		default:
			line += " " + word
		}
		empty = false
	}
	fmt.Fprintln(w, line)
}
