package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/naming"
	"keywatch/internal/places"
	"keywatch/internal/plan"
)

// findLeft adds to the plans the stacks of environments that the config does not
// list (any more): nothing would ever update or remove them. Dashboards are
// global to an account and named after their region, so one list per account
// says where this deployment was. That costs little and is a remark, so
// whatever fails here does not fail the run.
func (w *World) findLeft(ctx context.Context, all []built) error {
	c := all[0].plan.Config
	switch {
	case len(c.Environments) == 0: // nothing says which are listed
		return nil
	case len(all) < len(c.Environments):
		w.notLooked("", "this run takes only some of the environments")
		return nil
	case c.Dashboard == nil:
		w.notLooked(" where they have no dashboard", "they are found by it, and the config makes none (dashboard: off)")
	}
	ctx, cancel := context.WithTimeout(ctx, c.Inventory.Timeout)
	defer cancel()
	var first []built // of each account
	var blind []string
	for _, b := range all {
		same := func(other built) bool { return sameAccount(other, b) }
		switch {
		case b.looked && !slices.ContainsFunc(first, same):
			first = append(first, b)
		case !b.looked && !slices.Contains(blind, b.spot.account) && !slices.ContainsFunc(all, func(other built) bool { return other.looked && same(other) }):
			blind = append(blind, b.spot.account)
		}
	}
	if len(blind) > 0 {
		w.notLooked(" in "+strings.Join(blind, ", "), "the snapshot was not compared with what is deployed")
	}
	if len(first) == 0 {
		return nil
	}
	unseen := make([]error, len(first))
	err := w.each(spotsOf(first), func(w *World, i int) error {
		unseen[i] = w.findLeftOf(ctx, first[i], all)
		if ctx.Err() != nil { // the end of the run, not of this question
			return late(ctx, c, environment(fmt.Errorf("dashboards: %w", context.Cause(ctx))))
		}
		return nil
	})
	if err != nil {
		return err
	}
	var accounts []string
	var why error
	for i, b := range first {
		if unseen[i] != nil {
			accounts = append(accounts, b.spot.account)
			why = unseen[i]
		}
	}
	if why != nil {
		w.notLooked(" in "+strings.Join(accounts, ", "), why.Error())
		if w.Hint != nil && w.Hint(why) != "" {
			w.note("hint", "%s", w.Hint(why))
		}
	}
	return nil
}

// notLooked says that nobody knows of stacks that may be left. It is no progress,
// so --quiet does not silence it.
func (w *World) notLooked(where, why string) {
	w.note("notice", "stacks of environments that were taken out of the config were not looked for%s: %s", where, why)
}

// sameAccount also looks at the partition: each has accounts of its own.
func sameAccount(a, b built) bool {
	return a.spot.account == b.spot.account && a.plan.Inventory.Partition == b.plan.Inventory.Partition
}

// findLeftOf looks in one account. The error is that its dashboards cannot be
// listed.
func (w *World) findLeftOf(ctx context.Context, b built, all []built) error {
	c := b.plan.Config
	name := naming.Deployment(c.Name)
	dashboards, err := b.source.Dashboards(ctx, name.Dashboard(""))
	if err != nil {
		return err
	}
	for _, dashboard := range dashboards {
		region, ours := name.DashboardRegion(dashboard)
		if !ours || config.PartitionOf(region) != b.plan.Inventory.Partition ||
			slices.ContainsFunc(all, func(a built) bool { return sameAccount(a, b) && a.spot.region == region }) {
			continue
		}
		// A role is of the whole account, so the one of a listed environment will
		// do, even the lookup role, whose name holds a region.
		left := spot{account: b.spot.account, region: region, role: b.spot.role, by: b.spot.by}
		stacks, err := w.stacksIn(ctx, c, left)
		if err != nil {
			b.plan.Problems.Warn(diag.Pos{}, "environment-left", "dashboard %s says that this deployment was in %s, which the config does not list (any more), and nobody can say what is left there: %v; list the environment again, or look with `aws cloudformation describe-stacks --region %s`",
				dashboard, left, err, region)
			continue
		}
		if len(stacks) == 0 { // it is somebody's own
			continue
		}
		commands := make([]string, len(stacks))
		for i, stack := range stacks {
			commands[i] = "`" + plan.StackCommand("delete-stack", stack, region) + "`"
		}
		b.plan.Problems.Warn(diag.Pos{}, "environment-left", "the config does not list %s (any more), and stacks of this deployment are left there, which nothing updates or removes: %s; list the environment again, or remove them with %s",
			left, strings.Join(stacks, ", "), strings.Join(commands, ", "))
	}
	b.plan.Problems.Sort()
	return nil
}

// stacksIn are the names of the stacks of this deployment in a region.
func (w *World) stacksIn(ctx context.Context, c *config.Config, sp spot) ([]string, error) {
	source, err := w.open(ctx, c, sp)
	if err != nil {
		return nil, err
	}
	stacks, err := source.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	return places.Of(stacks, c.Name), nil
}
