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
	place, verify  bool
}

// toStdout is the --output that is no file.
const toStdout = "-"

// check refuses flags that cannot be meant, before anything is read.
func (f freezing) check(c *config.Config, environments int) error {
	unknown := config.UnknownPlaceholder(f.output)
	switch {
	case f.output == "" && c.Inventory.Path == "":
		return errors.New("neither -o FILE nor inventory.path says where the snapshot is")
	case f.output == toStdout && (f.place || f.verify):
		return errors.New("--output - is the standard output, and --place and --check are about the file that is there; name it")
	case f.output == toStdout && f.format == "json":
		return errors.New("--output - writes the snapshot to the standard output, where --format json would say what changed; take one of them")
	case unknown != "":
		return fmt.Errorf("--output has the unknown placeholder %s; allowed: {account}, {region}", unknown)
	case f.output != "" && environments > 1 && !(strings.Contains(f.output, "{account}") && strings.Contains(f.output, "{region}")):
		return fmt.Errorf("--output %s is one file for %d environments; write {account} and {region} into it, or choose one environment by -c keywatch:env=ACCOUNT/REGION", f.output, environments)
	}
	return nil
}

// frozen is a snapshot that is ready to be written.
type frozen struct {
	path      string             // or toStdout
	data      []byte             // nil: there is nothing to write
	old, next *snapshot.Snapshot // old: nil if there is none
	stops     diag.List          // why --check fails even if nothing changed
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

The file is what inventory.path says, or -o; {account} and {region} in either are
filled in. With -o - a new snapshot goes to stdout, without a look at an older one.
Several environments are read before the first file is written. A file holds no
secret, but key ARNs, aliases, tags and states: docs/snapshot.md has the list.`,
		Example: "  keywatch snapshot\n  keywatch snapshot -o snapshots/{account}-{region}.json\n  keywatch snapshot --place\n  keywatch snapshot --check --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(f.format); err != nil {
				return err
			}
			o.json = f.format == "json"
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
			if err := f.check(c, len(spots)); err != nil {
				return err
			}
			if err := w.checkTargets(c, spots, f); err != nil {
				return err
			}
			// All or nothing: whatever can fail is done before the first file is
			// written.
			made := make([]*frozen, len(spots))
			err = w.each(spots, func(w *World, i int) (err error) {
				if f.place {
					made[i], err = w.placeOffline(c, spots[i], f)
				} else {
					made[i], err = w.freeze(ctx, c, s, spots[i], f)
				}
				var l diag.List
				stopped := errors.As(err, &l)
				err = late(ctx, c, w.refuse(c, err))
				if stopped {
					w.note("error", "%s; nothing was written", counted(len(l.Errors()), "problem"))
				}
				return err
			})
			if err != nil {
				return err
			}
			return w.keep(made, f)
		},
	}
	cmd.Flags().StringVarP(&f.output, "output", "o", "", "the file, instead of inventory.path; - is stdout")
	cmd.Flags().BoolVar(&f.place, "place", false, "offline: only give a place to alarms that have none")
	cmd.Flags().BoolVar(&f.verify, "check", false, "write nothing; exit status 1 if the file would change, or is too old to deploy")
	formatFlag(cmd, &f.format)
	return cmd
}

// checkTargets refuses a file that no snapshot can take the place of, before
// minutes of reading. What only the credentials say of a path is filled in later,
// and changes nothing of what it ends in.
func (w *World) checkTargets(c *config.Config, spots []spot, f freezing) error {
	if f.output == toStdout {
		return nil
	}
	for _, sp := range spots {
		path, err := snapshotPath(c, f.output, sp.account, sp.region)
		if err != nil {
			path = cmp.Or(f.output, c.Inventory.Path)
		}
		if f.output != "" {
			if err := checkTarget("--output", path); err != nil {
				return err
			}
		} else if err := checkTarget("inventory.path", path); err != nil {
			var l diag.List
			l.Add(c.Inventory.PathPos, "snapshot-path", "%v", err)
			return w.refuse(c, l)
		}
	}
	return nil
}

// checkTarget says why there can be no file at a path that is said by somebody.
func checkTarget(by, path string) error {
	if last := path[max(len(path)-1, 0):]; last == "/" || last == string(filepath.Separator) {
		return fmt.Errorf("%s is %s, which names a directory; name a file in it", by, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil || info.Mode().IsRegular(): // if there is none, it can be made
		return nil
	case info.IsDir():
		return fmt.Errorf("%s is %s, which is a directory; name a file in it", by, path)
	}
	what := "a device"
	switch {
	case info.Mode()&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case info.Mode()&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Errorf("%s is %s, which is %s and no regular file: it cannot be replaced in one step; name a file, or write to the standard output with -o -", by, path, what)
}

// freeze takes a snapshot of the account and region, to go over the one that is
// there.
func (w *World) freeze(ctx context.Context, c *config.Config, s *settings, sp spot, f freezing) (*frozen, error) {
	source, inv, err := w.read(ctx, c, sp, inventory.Need{})
	if err != nil {
		return nil, err
	}
	inv.ReadAt = inv.ReadAt.Truncate(time.Millisecond) // as CloudFormation dates what it makes
	known, problems, err := deployed(ctx, source, c, inv.Region)
	if err != nil {
		return nil, err
	}
	path := toStdout
	var old *snapshot.Snapshot
	if f.output != toStdout {
		if path, err = snapshotPath(c, f.output, inv.Account, inv.Region); err != nil {
			return nil, err
		}
		if old, err = w.olderSnapshot(c, path, inv); err != nil {
			return nil, err
		}
	}
	p := plan.Build(c, inv, plan.Options{
		Places: known, Fill: w.Fill,
		AllowRemoval: s.allowRemoval.in(inv.Account, inv.Region), Several: !sp.alone,
	})
	w.say(problems.Warnings(), c)
	if l := append(problems.Errors(), unplaceable(p)...); len(l) > 0 {
		return nil, l
	}
	w.say(massRemoval(p), c)
	units := snapshot.Candidates(p)
	next, problems := snapshot.Refresh(old, inv, known, units, naming.Deployment(c.Name).AlarmStack)
	if len(problems) > 0 {
		return nil, problems
	}
	next, _, problems = snapshot.Place(next, units, cmp.Or(w.Fill, plan.DefaultFill), naming.Deployment(c.Name).AlarmStack)
	if len(problems) > 0 {
		return nil, problems
	}
	m, err := seal(path, c.Name, old, next)
	if err == nil && f.verify && old != nil {
		m.stops = w.stops(c, old, known)
	}
	return m, err
}

// stops is why synth would stop at a file whatever its facts are: for when it was
// read, and for the alarms that were deployed since.
func (w *World) stops(c *config.Config, s *snapshot.Snapshot, known plan.Places) diag.List {
	var l diag.List
	compared := c.Inventory.Compare != config.CompareNever
	if w.Now != nil {
		l = s.CheckAge(w.Now(), c.Inventory.MaxAge, c.Inventory.FailOnStale).Errors()
		if compared {
			l = append(l, s.CheckFuture(w.Now())...)
		}
	}
	if compared {
		p := plan.Build(c, s.Inventory, plan.Options{Places: s.Places, Deployed: &known, Frozen: true, Fill: w.Fill})
		l = append(l, snapshot.Behind(s, p.Losses)...)
	}
	return l
}

// massRemoval is that of a plan as a remark: the account is what it is, but
// whoever reviews the snapshot should hear it before the next synth stops there.
func massRemoval(p *plan.Plan) diag.List {
	var l diag.List
	for _, problem := range p.Problems {
		if problem.Code == "mass-removal" {
			l.Warn(problem.Pos, "mass-removal", "synth from this snapshot stops: %s", problem.Message)
		}
	}
	return l
}

func seal(path, name string, old, next *snapshot.Snapshot) (*frozen, error) {
	next.Deployment = name
	data, err := snapshot.Encode(*next)
	if err != nil {
		return nil, err
	}
	return &frozen{path: path, data: data, old: old, next: next}, nil
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
// none. If there is no such alarm, there is nothing to write.
func (w *World) placeOffline(c *config.Config, sp spot, f freezing) (*frozen, error) {
	old, err := w.openSnapshot(c, f.output, sp.account, sp.region)
	if err != nil {
		return nil, err
	}
	p := plan.Build(c, old.Inventory, plan.Options{Places: old.Places, Fill: w.Fill})
	if l := unplaceable(p); len(l) > 0 {
		return nil, l
	}
	next, added, problems := snapshot.Place(old, snapshot.Candidates(p), cmp.Or(w.Fill, plan.DefaultFill), naming.Deployment(c.Name).AlarmStack)
	if len(problems) > 0 {
		return nil, problems
	}
	if len(added) == 0 {
		w.note("notice", "%s has a place for every alarm; it was not changed", old.File)
		return &frozen{path: old.File, old: old, next: old}, nil
	}
	return seal(old.File, c.Name, old, next)
}

// unplaceable are the problems of a plan that nobody can mean: places for alarms
// beyond a limit, or for those that something else holds, would stay in the
// file. The others are for synth to say.
func unplaceable(p *plan.Plan) diag.List {
	return slices.DeleteFunc(p.Problems.Errors(), func(problem diag.Problem) bool {
		return !strings.HasPrefix(problem.Code, "limit-") && !strings.HasPrefix(problem.Code, "placed-") && problem.Code != "duplicate-alarm"
	})
}

// keep prints what is new and writes the files, each in one piece or not at all.
func (w *World) keep(made []*frozen, f freezing) error {
	told := make([]*snapshotJSON, len(made))
	for i, m := range made {
		told[i] = m.json()
	}
	err := w.keepEach(made, told, f)
	if f.format == "json" {
		err = cmp.Or(err, w.printSnapshots(told))
	}
	return err
}

func (w *World) keepEach(made []*frozen, told []*snapshotJSON, f freezing) error {
	changes := make([]string, len(made))
	stale := 0
	for i, m := range made {
		if m.data == nil {
			continue
		}
		changes[i] = "a new file"
		if m.old != nil {
			diff := snapshot.Diff(m.old, m.next)
			if f.verify {
				diff = slices.DeleteFunc(diff, dropped)
			}
			changes[i], told[i].Changes = snapshot.Summary(diff), changesOf(diff)
			if err := w.sayChanges(m, diff, len(made) > 1, f); err != nil {
				return err
			}
			w.say(m.stops, &config.Config{})
			if f.verify && len(diff) == 0 {
				if len(m.stops) > 0 {
					stale++
				} else {
					w.note("notice", "%s is what is there now", m.path)
				}
				continue
			}
		}
		switch {
		case f.verify && m.old == nil:
			stale++
			w.note("error", "%s: there is no such file; `%s` writes it", m.path, f.verb())
		case f.verify:
			stale++
			w.note("error", "%s is not what is there now: %s; `%s` brings it up to date", m.path, changes[i], f.verb())
		}
	}
	if f.verify {
		if stale > 0 {
			return errGate
		}
		return nil
	}
	for i, m := range made {
		if m.data == nil {
			continue
		}
		if err := w.write(m); err != nil {
			return environment(fmt.Errorf("write the snapshot: %w%s", err, others(made, i)))
		}
		told[i].Written = true
		w.wrote(m, told[i].Unreadable, changes[i])
	}
	return nil
}

// dropped is a place that is neither deployed nor wanted. It says nothing of what is
// there now, and each deploy that removes alarms leaves some.
func dropped(c snapshot.Change) bool { return c.Kind == snapshot.PlaceRemoved }

// sayChanges prints what a file did not hold before.
func (w *World) sayChanges(m *frozen, diff []snapshot.Change, several bool, f freezing) error {
	if f.format == "json" {
		return nil
	}
	if several && len(diff) > 0 {
		w.note("notice", "%s:", m.path)
	}
	return output(snapshot.Text(w.Stdout, diff))
}

// verb is the command that writes what --check compares with.
func (f freezing) verb() string {
	verb := "keywatch snapshot"
	if f.place {
		verb += " --place"
	}
	if f.output != "" {
		verb += " -o " + word(f.output)
	}
	return verb
}

func (w *World) write(m *frozen) error {
	switch {
	case m.path == toStdout:
		_, err := w.Stdout.Write(m.data)
		return err
	case w.WriteFile != nil:
		return w.WriteFile(m.path, m.data)
	}
	return replaceFile(m.path, m.data)
}

// others says what became of the other files when the i-th could not be written.
func others(made []*frozen, i int) string {
	if len(made) == 1 {
		return ""
	}
	list := func(files []*frozen) string {
		var paths []string
		for _, m := range files {
			if m.data != nil {
				paths = append(paths, m.path)
			}
		}
		return cmp.Or(strings.Join(paths, ", "), "none")
	}
	return fmt.Sprintf("; files that were written: %s; that are as before: %s", list(made[:i]), list(made[i:]))
}

// wrote says what is in a file that was written.
func (w *World) wrote(m *frozen, unreadable int, changes string) {
	inv := m.next.Inventory
	if unreadable > 0 {
		w.note("warning", "%d of %s could not be read; the snapshot says so, and they count as not covered", unreadable, counted(len(inv.Keys), "key"))
	}
	where := m.path
	if m.path == toStdout {
		where, changes = "to stdout", "compared with no older one"
	}
	w.note("notice", "wrote %s: %s of %s in %s, %s; %s", where, counted(len(inv.Keys), "key"), inv.Account, inv.Region, counted(len(m.next.Places.Units), "place"), changes)
}

// replaceFile writes beside the file and then takes its place, so that nobody
// ever reads half of it and a failure leaves the old one.
func replaceFile(path string, data []byte) (err error) {
	if path, err = target(path); err != nil {
		return err
	}
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

// maxLinks is how many symbolic links in a row are followed, as on Linux.
const maxLinks = 40

// target is the file behind symbolic links, which may not be there yet: taking
// the place of a link would cut it off from what it points at.
func target(path string) (string, error) {
	at := path
	for range maxLinks {
		if file, err := filepath.EvalSymlinks(at); err == nil {
			return file, nil
		}
		link, err := os.Readlink(at)
		if err != nil { // neither a file nor a link yet
			return at, nil
		}
		if !filepath.IsAbs(link) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(at))
			if err != nil {
				return "", err
			}
			link = filepath.Join(dir, link)
		}
		at = link
	}
	return "", fmt.Errorf("%s leads through more than %d symbolic links", path, maxLinks)
}
