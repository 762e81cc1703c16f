package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"keywatch/config"
	"keywatch/internal/coverage"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

// input is what a plan is made of, wherever it comes from.
type input struct {
	// source reads AWS. With a snapshot it has read nothing yet, and opens when
	// it is asked for alarms.
	source    Source
	inventory *inventory.Inventory
	places    plan.Places
	// deployed is what a snapshot was compared with, or nil; source has read it.
	deployed *plan.Places
	// settled says that deployed can be relied on: no stack is busy or stuck.
	settled  bool
	problems diag.List
	// aged are remarks on the age of the snapshot, which nobody has said yet.
	aged diag.List
	// snapshot is the file that the rest comes from, or nil.
	snapshot *snapshot.Snapshot
}

// inventoryFrom reads the keys and the places of their alarms from where the
// config says: AWS, or a snapshot, which needs neither credentials nor network.
func (w *World) inventoryFrom(ctx context.Context, c *config.Config, sp spot, need inventory.Need) (*input, error) {
	if c.Inventory.Source == config.Frozen {
		return w.thaw(c, sp)
	}
	source, inv, err := w.read(ctx, c, sp, need)
	if err != nil {
		return nil, err
	}
	known, problems, err := deployed(ctx, source, c, inv.Region)
	if err != nil {
		return nil, err
	}
	return &input{source: source, inventory: inv, places: known, problems: problems}, nil
}

// behind are the alarms that the plan of an old snapshot would remove.
func (in *input) behind(p *plan.Plan) diag.List {
	if !in.settled {
		return nil
	}
	return snapshot.Behind(in.snapshot, p.Losses)
}

// unplaced are the units of a plan that the snapshot has no place for. A plan
// from AWS has none: it may choose places.
func (in *input) unplaced(p *plan.Plan) diag.List {
	if in.snapshot == nil {
		return nil
	}
	var units []string
	for _, u := range snapshot.Candidates(p) {
		units = append(units, u.Unit)
	}
	l := snapshot.Unplaced(units, in.snapshot.Places)
	for i := range l {
		l[i].Pos.File = in.snapshot.File
	}
	return l
}

// thaw takes everything from the snapshot of the environment that is meant.
func (w *World) thaw(c *config.Config, sp spot) (*input, error) {
	s, err := w.openSnapshot(c, "", sp.account, sp.region)
	if err != nil {
		return nil, w.refuse(c, err)
	}
	in := &input{source: w.later(c, sp, s), inventory: s.Inventory, places: s.Places, snapshot: s}
	if w.Now != nil {
		in.aged = s.CheckAge(w.Now(), c.Inventory.MaxAge, c.Inventory.FailOnStale)
		if err := in.aged.Err(); err != nil {
			return nil, w.refuse(c, err)
		}
	}
	return in, nil
}

// refuse says what is wrong with a snapshot; anything but problems is an error
// of the environment.
func (w *World) refuse(c *config.Config, err error) error {
	var l diag.List
	if !errors.As(err, &l) {
		return err
	}
	w.say(l, c)
	return errGate
}

// snapshotPath is the file of an environment: what -o says, or the config's
// path, filled in.
func snapshotPath(c *config.Config, output, account, region string) (string, error) {
	i, by := c.Inventory, "inventory.path"
	if output != "" {
		i.Path, i.PathPos, by = output, diag.Pos{}, "--output"
	}
	if strings.Contains(i.Path, "{account}") && account == "" || strings.Contains(i.Path, "{region}") && region == "" {
		var l diag.List
		l.Add(i.PathPos, "snapshot-path", "%s is %q, and without credentials nobody says which account and region are meant; name them in environments, or write the path out", by, i.Path)
		return "", l
	}
	return i.PathFor(account, region), nil
}

// openSnapshot reads the snapshot and makes sure that it is of the account and
// region, as far as they are known.
func (w *World) openSnapshot(c *config.Config, output, account, region string) (*snapshot.Snapshot, error) {
	path, err := snapshotPath(c, output, account, region)
	if err != nil {
		return nil, err
	}
	data, err := w.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var l diag.List
		l.Add(diag.Pos{File: path}, "snapshot-missing", "there is no such snapshot; write it with `%s`, which needs credentials, and commit it; a relative path starts at the working directory", freezing{output: output}.verb())
		return nil, l
	}
	if err != nil {
		return nil, environment(fmt.Errorf("read the snapshot: %w", err))
	}
	s, err := snapshot.Decode(path, data)
	if err != nil {
		return nil, err
	}
	if err := s.CheckName(c.Name); err != nil {
		return nil, err
	}
	return s, s.Check(account, region)
}

// lateSource is a Source that is opened when alarms are asked for: a verb that
// only needs the snapshot never looks for credentials.
type lateSource struct {
	Source
	region string
	open   func(context.Context) (Source, error)
}

// meant is the environment that a snapshot is of.
func meant(sp spot, s *snapshot.Snapshot) spot {
	sp.account, sp.region, sp.by = s.Inventory.Account, s.Inventory.Region, s.File
	return sp
}

func (w *World) later(c *config.Config, sp spot, s *snapshot.Snapshot) lateSource {
	sp = meant(sp, s)
	return lateSource{region: sp.region, open: func(ctx context.Context) (Source, error) { return w.open(ctx, c, sp) }}
}

func (l lateSource) Region() string { return l.region }

func (l lateSource) Alarms(ctx context.Context) ([]coverage.Alarm, error) {
	source, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return source.Alarms(ctx)
}
