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

	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// Plan writes what would be deployed, per rule and kind, with the price.
func Plan(w io.Writer, p *plan.Plan) {
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
	anomaly, static := p.AlarmsByKind()
	tw.AppendFooter(table.Row{"total", t.Watched, anomaly, static, plan.FormatUSD(t.MonthlyUSD)})
	tw.Render()
	fmt.Fprintf(w, "\n%s and %s in %s%s.\n", count(t.Alarms, "alarm"), count(t.Detectors, "detector"), count(t.Stacks, "alarm stack"), andDashboard(p))
	fmt.Fprintf(w, "Prices: %s.\nAn anomaly alarm bills as three metrics.\n", plan.PricesOf)
	changes(w, p)
	notWatched(w, p)
}

// mostChanges is how many keys and names the changes list.
const mostChanges = 10

// changes says what a deploy would do to the alarms that are there.
func changes(w io.Writer, p *plan.Plan) {
	t := p.Totals
	if t.Deployed == 0 || t.Added+t.Removed+len(p.Renames)+len(p.Removals) == 0 {
		return
	}
	fmt.Fprintf(w, "\nAlarms compared with what is deployed: %d new, %d removed, %d renamed.\n", t.Added, t.Removed, len(p.Renames))
	list(w, len(p.Renames), "Renamed, so replaced", func(i int) string { return p.Renames[i].From + "  →  " + p.Renames[i].To })
	list(w, len(p.Removals), "Keys that lose all their alarms", func(i int) string {
		r := p.Removals[i]
		return fmt.Sprintf("%s: %s", r.KeyARN[strings.LastIndexByte(r.KeyARN, '/')+1:], r.Reason)
	})
}

func list(w io.Writer, n int, title string, line func(int) string) {
	if n == 0 {
		return
	}
	fmt.Fprintf(w, "%s:\n", title)
	for i := range min(n, mostChanges) {
		fmt.Fprintf(w, "  %s\n", line(i))
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
			reasons[fmt.Sprintf("%s: %s", statusText(k), k.Decision.Reason)]++
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
		fmt.Fprintf(w, "%5d  %s\n", reasons[r], r)
	}
}

func statusText(k *plan.Key) string {
	if k.Decision.Status == rules.Watched {
		return string(coverage.NotCovered)
	}
	return string(k.Decision.Status)
}

// Keys writes a table key → rule → alarms, then why the others have none.
func Keys(w io.Writer, r *coverage.Report) {
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
		return strings.TrimPrefix(a, "alias/")
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
		return fmt.Sprintf("none: %s", k.Reason)
	}
	var anomalies, others []string
	for _, a := range k.Alarms {
		s := spec.JoinOperations(a.Operations, "+")
		if a.AlarmID != spec.DefaultID {
			s += " " + a.AlarmID
		}
		if !a.Present {
			s += " MISSING"
		}
		if a.Kind == spec.KindAnomaly {
			anomalies = append(anomalies, s)
		} else {
			others = append(others, fmt.Sprintf("%s %s", s, a.Kind))
		}
	}
	return strings.Join(append(anomalies, others...), ", ")
}

// Coverage writes the result of the gate: the sums, then every key that fails,
// with key, operation and rule.
func Coverage(w io.Writer, r *coverage.Report) {
	sums := map[coverage.Status]int{}
	for _, k := range r.Keys {
		sums[k.Status]++
	}
	fmt.Fprintf(w, "%s in %s %s: %s\n", r.Plan.Config.Name, r.Plan.Inventory.Account, r.Plan.Inventory.Region, count(len(r.Keys), "key"))
	for _, s := range []coverage.Status{
		coverage.Covered, coverage.PartlyCovered, coverage.NotCovered, coverage.Status(rules.Unreadable),
		coverage.Status(rules.OutOfScope), coverage.Status(rules.Unmatched), coverage.Status(rules.NotEligible),
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
		fmt.Fprintf(w, "\n%s: %s", k.Status, k.ARN)
		if a := k.Alias(); a != "" {
			fmt.Fprintf(w, " (%s)", a)
		}
		if k.Rule != "" {
			fmt.Fprintf(w, ", rule %s", k.Rule)
		}
		fmt.Fprintln(w)
		missing := 0
		for _, a := range k.Alarms {
			if a.Present {
				continue
			}
			missing++
			fmt.Fprintf(w, "  no %s alarm on %s", a.Kind, spec.JoinOperations(a.Operations, "+"))
			if a.Why != "" {
				fmt.Fprintf(w, ": %s", a.Why)
			}
			fmt.Fprintln(w)
		}
		if missing == 0 {
			fmt.Fprintf(w, "  %s\n", k.Reason)
		}
	}
	switch {
	case r.Plan.Totals.Watched == 0:
		fmt.Fprintln(w, "no key is watched")
	case r.Passed():
		fmt.Fprintln(w, "every watched key has all its alarms")
	}
}

// Explain writes for one key what each rule saw and what comes of it.
func Explain(w io.Writer, k *coverage.Key) {
	field := func(name, value string) { fmt.Fprintf(w, "%-9s %s\n", name, value) }
	field("key", k.ARN)
	field("aliases", aliasList(k.Key.Key))
	if k.State != "" {
		field("is", fmt.Sprintf("%s, %s, %s, managed by %s", k.State, k.Usage, k.Spec, k.Manager))
	}
	field("tags", tagList(k.Tags))
	for _, t := range k.Decision.Trace {
		verdict := "no"
		if t.Matched {
			verdict = "yes: " + t.Note
		}
		fmt.Fprintf(w, "\nrule %s: %s\n", t.Rule, verdict)
		for _, l := range t.Leaves {
			mark := "no "
			if l.OK {
				mark = "yes"
			}
			fmt.Fprintf(w, "  %s  %s   (saw %s)\n", mark, l.Condition, l.Saw)
		}
	}
	fmt.Fprintln(w)
	if len(k.Alarms) == 0 {
		fmt.Fprintf(w, "no alarms, %s: %s\n", k.Status, k.Reason)
	} else {
		fmt.Fprintf(w, "%s by rule %s:\n", count(len(k.Alarms), "alarm"), k.Rule)
		for _, a := range k.Alarms {
			fmt.Fprintf(w, "  %s\n      in stack %s\n", a.Name, cmp.Or(a.Stack, "(none: it could not be placed)"))
		}
	}
	for _, n := range k.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

func aliasList(k *inventory.Key) string {
	names := make([]string, len(k.Aliases))
	for i, a := range k.Aliases {
		names[i] = a.Name
	}
	return cmp.Or(strings.Join(names, ", "), "(none)")
}

func tagList(tags []inventory.Tag) string {
	parts := make([]string, len(tags))
	for i, t := range tags {
		parts[i] = t.Key + "=" + strconv.Quote(t.Value)
	}
	return cmp.Or(strings.Join(parts, ", "), "(none)")
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
