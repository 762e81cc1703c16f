package sla

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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
		Fold(w, "  - ", a)
	}
}

func (r *Report) text(w io.Writer) {
	fmt.Fprintf(w, "KMS in %s, account %s, %s (UTC)\n\n", r.Region, r.Account, r.Month)
	Fold(w, "", r.Estimate)
	if len(r.Missing) > 0 {
		fmt.Fprintln(w, "\nMissing (a claim that lacks such a piece was denied):")
		for _, m := range r.Missing {
			Fold(w, "  - ", m)
		}
	}
	fmt.Fprintln(w)
	r.figures(w, "")
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
		r.intervals(w, "  ", mostLines)
	}
	if len(r.Codes) > 0 {
		fmt.Fprintln(w, "\nErrors by code:")
		r.codes(w, "  ", mostLines)
	}
	if len(r.Keys) > 0 {
		fmt.Fprintf(w, "\n%s affected:\n", count(len(r.Keys), "key"))
		list(w, r.Keys)
	}
	if r.in.Health != nil {
		fmt.Fprintf(w, "\n%s\n", r.healthGiven())
	}
	for _, e := range r.Health {
		Fold(w, "  - ", fmt.Sprintf("%s %s, over %s below 100 %%: %s", e.Type, e.span(), count(e.During, "interval"), e.ARN))
	}
	fmt.Fprintln(w, "\nCounted from:")
	for _, s := range r.Sources {
		Fold(w, "  - ", s.tell())
	}
	r.inputs(w)
}

// figures writes both readings side by side, behind an indent.
func (r *Report) figures(w io.Writer, indent string) {
	row := indent + "%-28s %22s %22s\n"
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

// codes writes the errors by code, behind an indent, and no more than so many.
func (r *Report) codes(w io.Writer, indent string, most int) {
	row := indent + "%8v %-11s %s\n"
	fmt.Fprintf(w, row, "requests", "count as", "code")
	for i, c := range r.Codes {
		if i == most {
			fmt.Fprintf(w, "%s... and %d more\n", indent, len(r.Codes)-i)
			return
		}
		fmt.Fprintf(w, row, c.Requests, c.CountsAs, c.Code)
	}
}

// intervals writes those below 100 %, behind an indent, and no more than so many.
func (r *Report) intervals(w io.Writer, indent string, most int) {
	row := indent + "%-16s %10v %10v %11v %12s %12s\n"
	fmt.Fprintf(w, row, "", "", "", "contestable", "availability", "with them")
	fmt.Fprintf(w, row, "begins (UTC)", "requests", "faults", "faults", "%", "%")
	for i, b := range r.Below {
		if i == most {
			fmt.Fprintf(w, "%s... and %d more\n", indent, len(r.Below)-i)
			return
		}
		fmt.Fprintf(w, row, minute(b.Start), b.Requests, b.Faults, b.Contestable, b.Availability, b.WithContestable)
	}
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func (s Source) tell() string {
	return fmt.Sprintf("%s: %s, %d failed. It cannot see: %s.", s.Name, count(int(s.Requests), "request"), s.Faults, s.Unseen)
}

// span is when an event was.
func (e Event) span() string {
	if e.End == nil {
		return "from " + stamp(e.Start) + " on"
	}
	return "from " + stamp(e.Start) + " to " + stamp(*e.End)
}

// contradictory says what became of the lines whose status is not one of their code.
func (r *Report) contradictory() string {
	return count(int(r.Contradictory), "line") + " with an HTTP status that is not one of the error code: each counts as a contestable fault"
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
	Fold(w, "  - ", fmt.Sprintf("%s with %s", count(read, "file"), count(int(records), "record")))
	for _, why := range slices.Sorted(maps.Keys(leftOut)) {
		Fold(w, "  - ", fmt.Sprintf("left out: %s (%s)", count(leftOut[why], "file"), why))
	}
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		Fold(w, "  - ", fmt.Sprintf("not counted: %s (%s)", count(int(r.Skipped[why]), "record"), why))
	}
	if r.Disagreed > 0 {
		Fold(w, "  - ", count(int(r.Disagreed), "request")+" told by two logs differently: one says that it failed, and so it counts")
	}
	if r.Contradictory > 0 {
		Fold(w, "  - ", r.contradictory())
	}
	if r.Malformed.Count > 0 {
		Fold(w, "  - ", fmt.Sprintf("malformed: %d of %s", r.Malformed.Count, count(int(r.Malformed.Records), "record")))
		for _, m := range r.Malformed.First {
			Fold(w, "      ", m)
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

// Fold writes a text behind first in lines of 80 columns; a longer word has a line
// of its own.
func Fold(w io.Writer, first, s string) {
	line, empty := first, true
	for word := range strings.FieldsSeq(s) {
		switch {
		case empty:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns:
			fmt.Fprintln(w, line)
			line = strings.Repeat(" ", utf8.RuneCountInString(first)) + word
		default:
			line += " " + word
		}
		empty = false
	}
	fmt.Fprintln(w, line)
}
