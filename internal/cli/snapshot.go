package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/naming"
	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

// freezing is one run of the verb snapshot.
type freezing struct {
	output, format string
	place, check   bool
	// told is what became of each file, for JSON.
	told []*frozen
}

func (w *World) snapshotCommand(o *options) *cobra.Command {
	var f freezing
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "freeze keys and places into a file to review",
		Long: `Read the keys of the account and the places of their alarms, and write them to a
file. With inventory: {source: snapshot, path: FILE} in the config, synth takes
everything from there: the same bytes anywhere, without credentials or network.

If the file exists, its places are kept and what changed is printed. New alarms
get a place. With --place only that is done, offline: after a change of the rules,
rules and places are one reviewed diff.

The file is what inventory.path says, or -o. It holds no secret, but key ARNs,
aliases, tags and states: docs/snapshot.md has the list.`,
		Example: "  keywatch snapshot\n  keywatch snapshot -o snapshots/prod.json\n  keywatch snapshot --place\n  keywatch snapshot --check --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(f.format); err != nil {
				return err
			}
			c, s, err := w.load(o)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), c.Inventory.Timeout)
			defer cancel()
			spots, err := w.spots(c, s)
			if err != nil {
				return err
			}
			if f.output != "" && len(spots) > 1 {
				return fmt.Errorf("--output names one file for %d environments; use inventory.path with {account} and {region}, or choose one by -c keywatch:env=ACCOUNT/REGION", len(spots))
			}
			// One after the other: each prints what changed.
			for _, sp := range spots {
				if f.place {
					err = w.placeOffline(c, s, sp, &f)
				} else {
					err = w.freeze(ctx, c, s, sp, &f)
				}
				if err != nil {
					err = w.refuse(c, err)
					break
				}
			}
			if f.format == "json" && len(f.told) > 0 {
				return errors.Join(err, w.printFrozen(f.told))
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "the file, instead of inventory.path")
	cmd.Flags().BoolVar(&f.place, "place", false, "offline: only give a place to alarms that have none")
	formatFlag(cmd, &f.format)
	cmd.Flags().BoolVar(&f.check, "check", false, "write nothing; exit status 1 if the file would change")
	return cmd
}

// freeze takes a snapshot of the account and region, over the one that is there.
func (w *World) freeze(ctx context.Context, c *config.Config, s *settings, sp spot, f *freezing) error {
	source, inv, err := w.read(ctx, c, sp, inventory.Need{})
	if err != nil {
		return err
	}
	inv.ReadAt = inv.ReadAt.Truncate(time.Second)
	known, problems, err := deployed(ctx, source, c, inv.Region)
	if err != nil {
		return err
	}
	path, err := snapshotPath(c, f.output, inv.Account, inv.Region)
	if err != nil {
		return err
	}
	old, err := w.olderSnapshot(c, path, inv)
	if err != nil {
		return err
	}
	p := plan.Build(c, inv, plan.Options{Places: known, AllowRemoval: s.allowRemoval, Fill: w.Fill})
	w.say(problems.Warnings(), c)
	if l := append(problems.Errors(), unplaceable(p)...); len(l) > 0 {
		return l
	}
	units := snapshot.Candidates(p)
	next, problems := snapshot.Refresh(old, inv, known, units, naming.Deployment(c.Name).AlarmStack)
	if len(problems) > 0 {
		return problems
	}
	next, _, problems = snapshot.Place(next, units, cmp.Or(w.Fill, plan.DefaultFill), naming.Deployment(c.Name).AlarmStack)
	if len(problems) > 0 {
		return problems
	}
	return w.keep(path, c.Name, old, next, f)
}

// olderSnapshot is the file that is there, or nil. One that cannot be believed
// is an error: it may hold the only record of a place.
func (w *World) olderSnapshot(c *config.Config, path string, inv *inventory.Inventory) (*snapshot.Snapshot, error) {
	old, err := w.openSnapshot(c, path, inv.Account, inv.Region)
	var l diag.List
	switch {
	case err == nil:
		return old, nil
	case errors.As(err, &l) && l[0].Code == "snapshot-missing":
		return nil, nil
	case errors.As(err, &l):
		w.say(l, c)
		if l[0].Code == "snapshot-account" || l[0].Code == "snapshot-name" {
			return nil, errGate // a good file of somebody else
		}
		w.note("hint", "to start anew, remove %s; the places of what is deployed are then read from the stacks", path)
		return nil, errGate
	}
	return nil, err
}

// placeOffline gives a place to every alarm that the rules want and that has
// none.
func (w *World) placeOffline(c *config.Config, s *settings, sp spot, f *freezing) error {
	old, err := w.openSnapshot(c, f.output, sp.account, sp.region)
	if err != nil {
		return err
	}
	p := plan.Build(c, old.Inventory, plan.Options{Places: old.Places, AllowRemoval: s.allowRemoval, Fill: w.Fill})
	if l := unplaceable(p); len(l) > 0 {
		return l
	}
	next, added, problems := snapshot.Place(old, snapshot.Candidates(p), cmp.Or(w.Fill, plan.DefaultFill), naming.Deployment(c.Name).AlarmStack)
	if len(problems) > 0 {
		return problems
	}
	if len(added) == 0 {
		f.told = append(f.told, frozenOf(old.File, old))
		w.note("notice", "%s has a place for every alarm; it was not changed", old.File)
		return nil
	}
	return w.keep(old.File, c.Name, old, next, f)
}

// unplaceable are the problems of a plan that nobody can mean: places for alarms
// beyond a limit, or for those that something else holds, would stay in the
// file. The others are for synth to say.
func unplaceable(p *plan.Plan) diag.List {
	return slices.DeleteFunc(p.Problems.Errors(), func(problem diag.Problem) bool {
		return !strings.HasPrefix(problem.Code, "limit-") && !strings.HasPrefix(problem.Code, "placed-") && problem.Code != "duplicate-alarm"
	})
}

// keep prints what is new and writes the file, in one piece or not at all.
func (w *World) keep(path, name string, old, next *snapshot.Snapshot, f *freezing) error {
	next.Deployment = name
	data, err := snapshot.Encode(*next)
	if err != nil {
		return err
	}
	changes := "a new file"
	told := frozenOf(path, next)
	told.New = old == nil
	f.told = append(f.told, told)
	if old != nil {
		diff := snapshot.Diff(old, next)
		changes, told.Changes = snapshot.Summary(diff), changesOf(diff)
		if f.format != "json" {
			if err := output(snapshot.Text(w.Stdout, diff)); err != nil {
				return err
			}
		}
		if f.check && len(diff) == 0 {
			w.note("notice", "%s is what is there now", path)
			return nil
		}
	}
	if f.check {
		w.note("error", "%s is not what is there now: %s; `keywatch snapshot` brings it up to date", path, changes)
		return errGate
	}
	write := w.WriteFile
	if write == nil {
		write = replaceFile
	}
	if err := write(path, data); err != nil {
		return environment(fmt.Errorf("write the snapshot: %w", err))
	}
	told.Written = true
	inv := next.Inventory
	if told.Unreadable > 0 {
		w.note("warning", "%d of %s could not be read; the snapshot says so, and they count as not covered", told.Unreadable, counted(len(inv.Keys), "key"))
	}
	w.note("notice", "wrote %s: %s of %s in %s, %s; %s", path, counted(len(inv.Keys), "key"), inv.Account, inv.Region, counted(len(next.Places.Units), "place"), changes)
	return nil
}

// replaceFile writes beside the file and then takes its place, so that nobody
// ever reads half of it and a failure leaves the old one.
func replaceFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	tmp, err := os.CreateTemp(dir, ".keywatch-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := cmp.Or(tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
