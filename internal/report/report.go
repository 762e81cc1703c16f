// Package report writes plans, explanations and coverage for people and for
// machines.
//
// It decides nothing and reads nothing: it is given the finished answer and a
// writer. Text fits 80 columns as far as names and ARNs allow, and uses no
// colour. The JSON form is json.go, its schema docs/schema/report.schema.json.
// Start reading at [Plan].
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// Plan writes what would be deployed, per rule and kind, with the price.
func Plan(w io.Writer, p *plan.Plan) {
	w = shown{w}
	t := p.Totals
	fmt.Fprintf(w, "%s in %s %s: %s, %d watched\n\n", p.Config.Name, p.Inventory.Account, p.Inventory.Region, count(t.Keys, "key"), t.Watched)
	tw := newTable(w, table.Row{"rule", "keys", "anomaly", "static", "USD/month"})
	rightAlign(tw, 2, 3, 4, 5)
	for _, r := range p.Rules {
		if !r.Watch {
			tw.AppendRow(table.Row{r.Name, r.Keys, "-", "-", "watch: false"})
			continue
		}
		tw.AppendRow(table.Row{r.Name, r.Keys, r.Anomaly, r.Threshold, plan.FormatUSD(r.MonthlyUSD)})
	}
	if t.Dashboard > 0 {
		tw.AppendRow(table.Row{"(dashboard)", "", "", "", plan.FormatUSD(p.DashboardUSD())})
	}
	if p.Deployment.Evidence != nil {
		tw.AppendRow(table.Row{"(SLA evidence)", "", "", "", plan.FormatUSD(p.EvidenceUSD())})
	}
	anomaly, static := p.AlarmsByKind()
	tw.AppendFooter(table.Row{"total", t.Watched, anomaly, static, plan.FormatUSD(t.MonthlyUSD)})
	tw.Render()
	if several(p) {
		fmt.Fprintln(w, "A key counts for each rule that adds to it.")
	}
	fmt.Fprintln(w)
	made := fmt.Sprintf("%s and %s in %s", count(t.Alarms, "alarm"), count(t.Detectors, "detector"), count(t.Stacks, "alarm stack"))
	if t.Alarms == 0 {
		made = "no alarms"
	}
	fold(w, "", 0, made+andDashboard(p)+".")
	fmt.Fprintf(w, "Prices: %s.\nAn anomaly alarm bills as three metrics.\n", plan.PricesOf)
	if e := p.Deployment.Evidence; e != nil {
		fold(w, "", 0, fmt.Sprintf("SLA evidence: %s, log group %s, kept for %d days. The price assumes %s.", count(len(e.Alarms()), "alarm"), e.LogGroup(), e.RetentionDays, plan.EvidenceAssumes))
	}
	changes(w, p)
	notWatched(w, p)
	exceptions(w, p)
	bands(w, p)
}

// bands lists the keys whose alarms a tag makes see less, like exceptions: whoever
// may tag has decided that. Of those that it makes see more, the number will do.
func bands(w io.Writer, p *plan.Plan) {
	var wider []string
	narrower := 0
	for i := range p.Keys {
		k := &p.Keys[i]
		isNarrower := false
		for _, b := range k.Bands {
			if b.Looser {
				wider = append(wider, name(k.Key)+": "+bandText(b))
			} else {
				isNarrower = true
			}
		}
		if isNarrower {
			narrower++
		}
	}
	if len(wider)+narrower > 0 {
		fmt.Fprintln(w)
	}
	list(w, len(wider), "Bands that a tag makes wider", func(i int) { fold(w, "  ", 6, wider[i]) })
	if narrower > 0 {
		fmt.Fprintf(w, "A tag makes the band of %s narrower.\n", count(narrower, "key"))
	}
}

func bandText(b plan.BandOverride) string {
	return fmt.Sprintf("band %s in place of %s on %s, by the tag %s (rule %s)", b.To, b.From, spec.JoinOperations(b.Operations, ", "), config.Readable(b.Tag), b.Rule)
}

// exceptions lists those that hold, so that an auditor sees who has taken which
// key out and until when, and those that do not.
func exceptions(w io.Writer, p *plan.Plan) {
	for _, part := range []struct {
		title string
		holds bool
	}{{"Exceptions", true}, {"Exceptions that do not hold here", false}} {
		title := "\n" + part.title + ":\n"
		for _, e := range p.Exceptions {
			if (e.State == rules.Holds) != part.holds {
				continue
			}
			fmt.Fprint(w, title)
			title = ""
			what := e.Note
			switch {
			case e.Elsewhere:
				what = fmt.Sprintf("for %s/%s; until %s: %s (owner %s)", e.Account, e.Region, e.Until(), e.Reason, e.Owner)
			case e.Key == nil:
				what = fmt.Sprintf("no such key here; until %s: %s (owner %s)", e.Until(), e.Reason, e.Owner)
			case e.Exception.Key != e.Key.ID:
				what = fmt.Sprintf("key %s, %s", e.Key.ID, what)
			}
			fold(w, "  ", 6, fmt.Sprintf("%s: %s", e.Exception.Key, what))
		}
	}
}

// several says whether a key is watched by more than one rule, so that the keys
// of the rules do not add up.
func several(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Keys, func(k plan.Key) bool { return len(k.Decision.Rules) > 1 })
}

// mostChanges is how many keys and names the changes list.
const mostChanges = 10

// changes says what a deploy would do to the alarms that are there.
func changes(w io.Writer, p *plan.Plan) {
	t := p.Totals
	if t.Deployed == 0 || t.Added+t.Removed+len(p.Renames)+len(p.Removals) == 0 {
		return
	}
	fmt.Fprintln(w)
	if p.Compared { // not from a snapshot, which knows places but no alarms
		fmt.Fprintf(w, "Alarms compared with what is deployed: %d new, %d removed, %d renamed.\n", t.Added, t.Removed, len(p.Renames))
	}
	list(w, len(p.Renames), "Renamed, so replaced", func(i int) {
		fmt.Fprintf(w, "  %s\n", line(p.Renames[i].From+"  →  "+p.Renames[i].To)) // names to be copied: not folded
	})
	list(w, len(p.Removals), "Keys that lose all their alarms", func(i int) {
		r := p.Removals[i]
		fold(w, "  ", 6, fmt.Sprintf("%s: %s", r.KeyARN[strings.LastIndexByte(r.KeyARN, '/')+1:], r.Reason))
	})
}

func list(w io.Writer, n int, title string, write func(int)) {
	if n == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", title)
	for i := range min(n, mostChanges) {
		write(i)
	}
	if n > mostChanges {
		fmt.Fprintf(w, "  … and %d more; --format json lists all\n", n-mostChanges)
	}
}

func andDashboard(p *plan.Plan) string {
	if p.Deployment.Dashboard == nil {
		return ", no dashboard"
	}
	return ", dashboard " + p.Deployment.Dashboard.Name
}

// notWatched says in a line each why keys have no alarms.
func notWatched(w io.Writer, p *plan.Plan) {
	reasons := map[string]int{}
	for i := range p.Keys {
		k := &p.Keys[i]
		if !k.Covered() {
			reasons[Without(statusText(k), k.Decision.Reason)]++
		}
	}
	if len(reasons) == 0 {
		return
	}
	fmt.Fprintf(w, "\nKeys without alarms:\n")
	lines := make([]string, 0, len(reasons))
	for r := range reasons {
		lines = append(lines, r)
	}
	slices.SortFunc(lines, func(a, b string) int { return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b)) })
	const most = 20
	for i, r := range lines {
		if i == most {
			fmt.Fprintf(w, "  … and %d more reasons; --keys lists every key\n", len(lines)-most)
			break
		}
		fold(w, fmt.Sprintf("%5d  ", reasons[r]), 7, r)
	}
}

func statusText(k *plan.Key) coverage.Status {
	if k.Decision.Status == rules.Watched {
		return coverage.NotCovered
	}
	return coverage.Status(k.Decision.Status)
}

// Without says of a key without alarms what it is and why. The reason of one that is
// excepted says both.
func Without(s coverage.Status, reason string) string {
	if strings.HasPrefix(reason, string(s)+" ") {
		return reason
	}
	return fmt.Sprintf("%s: %s", s, reason)
}

// Keys writes a table key → rule → alarms, then why the others have none.
func Keys(w io.Writer, r *coverage.Report) {
	w = shown{w}
	tw := newTable(w, table.Row{"key", "rule", "alarms"})
	tw.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, WidthMax: 28, WidthMaxEnforcer: wrapLines},
		{Number: 2, WidthMax: 16, WidthMaxEnforcer: text.WrapHard},
		{Number: 3, WidthMax: 32, WidthMaxEnforcer: text.WrapSoft},
	})
	for _, k := range forReading(r.Keys) {
		tw.AppendRow(table.Row{cell(k.Key.Key), cmp.Or(k.Rule, "-"), alarmsOf(k)})
	}
	tw.Render()
}

// forReading puts the keys with alarms first, by rule and then by title; the
// order of ARNs means nothing to a person.
func forReading(keys []coverage.Key) []*coverage.Key {
	out := make([]*coverage.Key, len(keys))
	for i := range keys {
		out[i] = &keys[i]
	}
	some := func(k *coverage.Key) int { return min(1, len(k.Alarms)) }
	slices.SortStableFunc(out, func(a, b *coverage.Key) int {
		return cmp.Or(cmp.Compare(some(b), some(a)), cmp.Compare(a.Rule, b.Rule), cmp.Compare(Title(a.Key.Key), Title(b.Key.Key)))
	})
	return out
}

// Title is what names a key in a table: its alias, or its ID.
func Title(k *inventory.Key) string {
	if a := k.Alias(); a != "" {
		return config.Readable(strings.TrimPrefix(a, "alias/"))
	}
	return k.ID
}

// cell is the title for a narrow column: nothing of it is cut off, since two keys
// may differ in their tails only, and an ID breaks where alarm names cut it.
func cell(k *inventory.Key) string {
	title := Title(k)
	if at := len(title) - 12; title == k.ID && at > 0 {
		return title[:at] + "\n" + title[at:]
	}
	return title
}

// wrapLines is text.WrapHard, which takes a line break for a space, line by line.
func wrapLines(s string, width int) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = text.WrapHard(lines[i], width)
	}
	return strings.Join(lines, "\n")
}

func alarmsOf(k *coverage.Key) string {
	if len(k.Alarms) == 0 {
		return "none: " + line(k.Reason)
	}
	var anomalies, others, missing []string
	for _, a := range k.Alarms {
		s := spec.JoinOperations(a.Operations, "+")
		if a.AlarmID != spec.DefaultID {
			s += " " + a.AlarmID
		}
		if a.Kind != spec.KindAnomaly {
			s += " (" + a.Kind.Word() + ")"
		}
		switch {
		case !a.Present:
			missing = append(missing, s)
		case a.Kind == spec.KindAnomaly:
			anomalies = append(anomalies, s)
		default:
			others = append(others, s)
		}
	}
	out := strings.Join(append(anomalies, others...), ", ")
	if len(missing) == 0 {
		return out
	}
	return strings.TrimPrefix(out+"\nMISSING: ", "\n") + strings.Join(missing, ", ")
}

// Coverage writes the result of the gate: the sums, then every key that fails,
// with key, operation and rule.
func Coverage(w io.Writer, r *coverage.Report) {
	w = shown{w}
	sums := map[coverage.Status]int{}
	for _, k := range r.Keys {
		sums[k.Status]++
	}
	fmt.Fprintf(w, "%s in %s %s: %s\n", r.Plan.Config.Name, r.Plan.Inventory.Account, r.Plan.Inventory.Region, count(len(r.Keys), "key"))
	for _, s := range []coverage.Status{
		coverage.Covered, coverage.PartlyCovered, coverage.NotCovered, coverage.Status(rules.Unreadable),
		coverage.Status(rules.OutOfScope), coverage.Status(rules.Excepted), coverage.Status(rules.Unmatched), coverage.Status(rules.NotEligible),
	} {
		if sums[s] > 0 {
			fmt.Fprintf(w, "%7d %s\n", sums[s], s)
		}
	}
	for i := range r.Keys {
		k := &r.Keys[i]
		if !k.Failed() {
			continue
		}
		fmt.Fprintln(w)
		fold(w, "", 2, fmt.Sprintf("%s: %s%s", k.Status, name(k.Key.Key), byRules(k)))
		fmt.Fprintf(w, "  %s\n", line(k.ARN))
		missing := 0
		for _, a := range k.Alarms {
			if a.Present {
				continue
			}
			missing++
			fold(w, "  ", 6, lack(a))
		}
		if missing == 0 {
			fold(w, "  ", 6, k.Reason)
		}
	}
	switch {
	case r.Plan.Totals.Watched == 0:
		fmt.Fprintln(w, "no key is watched")
	case r.Passed():
		fmt.Fprintln(w, "every watched key has all its alarms")
	}
}

// name is the alias of a key as a command takes it, or its ID.
func name(k *inventory.Key) string {
	if a := k.Alias(); a != "" {
		return config.Readable(a)
	}
	return k.ID
}

func byRules(k *coverage.Key) string {
	switch {
	case k.Rule == "":
		return ""
	case len(k.Decision.Rules) > 1:
		return ", rules " + k.Rule
	}
	return ", rule " + k.Rule
}

// lack says which alarm is missing, for which rule, and why.
func lack(a coverage.Wanted) string {
	id := ""
	if a.AlarmID != spec.DefaultID {
		id = fmt.Sprintf(" %q", a.AlarmID)
	}
	s := fmt.Sprintf("no %s alarm%s on %s, rule %s", a.Kind.Word(), id, spec.JoinOperations(a.Operations, "+"), a.Rule)
	if a.Why != "" {
		s += ": " + a.Why
	}
	return s
}

// Explain writes for one key what each rule saw and what comes of it.
func Explain(w io.Writer, k *coverage.Key) {
	w = shown{w}
	each(w, "key", []string{line(k.ARN)})
	each(w, "aliases", aliasList(k.Key.Key))
	if k.State != "" {
		fold(w, "is        ", 10, fmt.Sprintf("%s, %s, %s, managed by %s", k.State, k.Usage, k.Spec, k.Manager))
	}
	each(w, "tags", tagList(k.Tags))
	for _, e := range k.Decision.Exceptions {
		mark := "no "
		if e.State == rules.Holds {
			mark = "yes"
		}
		fmt.Fprintf(w, "\nexception %s\n", line(e.Names))
		fold(w, "  "+mark+"  ", 7, e.Note)
	}
	if k.Decision.Exception != nil {
		fmt.Fprintf(w, "\nWithout the exception the rules would say:\n")
	}
	for _, t := range k.Decision.Trace {
		verdict := string(t.Answer)
		if t.Note != "" {
			verdict += ": " + t.Note
		}
		fmt.Fprintf(w, "\nrule %s: %s\n", t.Rule, verdict)
		for _, l := range t.Leaves {
			part(w, l)
		}
	}
	fmt.Fprintln(w)
	if len(k.Alarms) == 0 {
		fold(w, "", 2, "no alarms, "+Without(k.Status, k.Reason))
	} else {
		fold(w, "", 2, fmt.Sprintf("%s by%s:", count(len(k.Alarms), "alarm"), strings.TrimPrefix(byRules(k), ",")))
		for _, a := range k.Alarms {
			fmt.Fprintf(w, "  %s\n", line(a.Name))
			if !k.Assumed {
				fmt.Fprintf(w, "      in stack %s\n", cmp.Or(a.Stack, "(none: it could not be placed)"))
			}
			if !a.Present {
				fold(w, "      ", 8, strings.TrimSuffix("MISSING: "+a.Why, ": "))
			}
		}
	}
	for _, b := range k.Bands {
		side := "narrower"
		if b.Looser {
			side = "wider"
		}
		fold(w, "note: ", 6, bandText(b)+", which is "+side)
	}
	for _, n := range k.Notes {
		fold(w, "note: ", 6, n)
	}
	if k.Assumed {
		fold(w, "note: ", 6, "there is no such key: x stands for the digits of its ID, and a stack is chosen when there is one")
	}
}

// part writes what one part of a condition said, below the combination that it
// belongs to.
func part(w io.Writer, l rules.LeafTrace) {
	mark := map[rules.Answer]string{rules.Yes: "yes", rules.No: "no ", rules.Unknown: "?  "}[l.Answer]
	begin := strings.Repeat("     ", l.Depth) + "  " + mark + "  "
	whole := fmt.Sprintf("%s%s   (saw %s)", begin, l.Condition, l.Saw)
	switch hang := len(begin) + 4; {
	case l.Saw == "":
		fmt.Fprintln(w, begin+l.Condition)
	case text.StringWidth(whole) <= columns:
		fmt.Fprintln(w, whole)
	default:
		fold(w, begin, hang, l.Condition)
		fold(w, strings.Repeat(" ", hang-2), hang, "(saw "+l.Saw+")")
	}
}

// Traces writes the explanation of each key that has no alarms or lacks one.
func Traces(w io.Writer, r *coverage.Report) {
	for i := range r.Keys {
		if k := &r.Keys[i]; k.Status != coverage.Covered {
			fmt.Fprintln(w)
			Explain(w, k)
		}
	}
}

func aliasList(k *inventory.Key) []string {
	names := make([]string, len(k.Aliases))
	for i, a := range k.Aliases {
		names[i] = config.Readable(a.Name)
	}
	return names
}

func tagList(tags []inventory.Tag) []string {
	parts := make([]string, len(tags))
	for i, t := range tags {
		parts[i] = config.Readable(t.Key) + "=" + strconv.Quote(t.Value)
	}
	return parts
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newTable(w io.Writer, header table.Row) table.Writer {
	tw := table.NewWriter()
	tw.SetOutputMirror(w)
	tw.AppendHeader(header)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Options.SeparateHeader = true
	style.Options.SeparateFooter = true
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	tw.SetStyle(style)
	tw.SuppressTrailingSpaces()
	return tw
}

func rightAlign(tw table.Writer, columns ...int) {
	var configs []table.ColumnConfig
	for _, c := range columns {
		configs = append(configs, table.ColumnConfig{Number: c, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
	}
	tw.SetColumnConfigs(configs)
}
