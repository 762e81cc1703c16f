package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

func newTable(out io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(header)
	return t
}

func printSynth(out io.Writer, o options, all []measurement) {
	fmt.Fprintf(out, "\nSynth of anomaly alarms, each with its detector; medians of %d. Both sides made the same templates.\n", o.runs)
	t := newTable(out, "alarms", "validation", "side", "wall", "CPU", "largest process", "all processes")
	for _, alarms := range o.sizes {
		for _, validation := range []bool{true, false} {
			for _, side := range []string{goSide, jsSide} {
				m := middle(all, synthName(alarms, validation, side))
				t.AppendRow(table.Row{alarms, onOff(validation), side, seconds(m.wall), seconds(m.cpu), megabytes(m.largest), megabytes(m.sum)})
			}
		}
		m := middle(all, readName(alarms))
		t.AppendRow(table.Row{alarms, "", "keywatch plan", seconds(m.wall), seconds(m.cpu), megabytes(m.largest), megabytes(m.sum)})
		t.AppendSeparator()
	}
	t.Render()
	fmt.Fprintln(out, "keywatch's synth first reads the keys from a loopback endpoint and decides; `keywatch plan` is that alone.")
	printRatios(out, o, all)
}

func printRatios(out io.Writer, o options, all []measurement) {
	t := newTable(out, "alarms", "keywatch / JavaScript", "wall", "CPU", "all processes", "validation on / off", "wall", "CPU")
	for _, alarms := range o.sizes {
		at := func(validation bool, side string) measurement {
			return middle(all, synthName(alarms, validation, side))
		}
		for i, validation := range []bool{true, false} {
			a, b := at(validation, goSide), at(validation, jsSide)
			side := []string{goSide, jsSide}[i]
			t.AppendRow(table.Row{
				alarms, "validation " + onOff(validation), times(a.wall, b.wall), times(a.cpu, b.cpu), times(a.sum, b.sum),
				side, times(at(true, side).wall, at(false, side).wall), times(at(true, side).cpu, at(false, side).cpu),
			})
		}
		t.AppendSeparator()
	}
	t.Render()
}

func printPure(out io.Writer, all []measurement) {
	m := middle(all, pureName)
	fastest := slices.MinFunc(all, func(a, b measurement) int { return cmp.Compare(a.wall, b.wall) }).wall
	fmt.Fprintf(out, "\nConfig, rules and plan for %d keys × %d rules, %d watched, %d alarms; medians of %d.\n",
		full.Keys, full.Rules, full.Watched, full.Alarms(), len(all))
	t := newTable(out, "", "measured", "target", "")
	t.AppendRow(table.Row{"wall", seconds(m.wall), "under " + seconds(targetWall), verdict(m.wall >= targetWall)})
	t.AppendRow(table.Row{"wall, the fastest", seconds(fastest), "", ""})
	t.AppendRow(table.Row{"peak memory, the keys included", megabytes(m.largest), "under " + megabytes(targetMemory), verdict(m.largest >= targetMemory)})
	t.AppendRow(table.Row{"allocated", megabytes(int64(m.allocated)), "", ""})
	t.AppendRow(table.Row{"allocations", m.allocations, "", ""})
	t.Render()
}

func verdict(missed bool) string {
	if missed {
		return "missed"
	}
	return "met"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// megabytes are of 1,000,000 bytes, as in the target; 0 is not known.
func megabytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}

func times[T ~int64](a, b T) string {
	if a == 0 || b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f×", float64(a)/float64(b))
}
