package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/naming"
	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

// switchCompare is what chooses for one run whether stacks are looked at.
const switchCompare = "-c keywatch:inventory.compare="

// compare holds a snapshot against the deployed stacks, so that an old file never
// removes an alarm in silence. The file alone says what is drawn and where; the
// stacks only what the guards look at. It is blind if there are no credentials to
// look with and nobody insists.
func (w *World) compare(ctx context.Context, c *config.Config, sp spot, in *input) (blind bool, err error) {
	mode := c.Inventory.Compare
	if mode == config.CompareNever {
		return false, nil
	}
	s := in.snapshot
	sp = meant(sp, s)
	source, caller, err := w.reach(ctx, c, sp)
	theirs := w.Getenv(envDefaultAccount)
	switch none := mode == config.CompareAuto && errors.Is(err, inventory.ErrNoCredentials); {
	case none && theirs != "":
		// `cdk deploy --profile` would go on with its credentials and no guard.
		return false, w.unread(advised{fmt.Errorf("the CDK CLI has credentials of %s (%s), but the app that it runs has none: %w", theirs, envDefaultAccount, err), hintProfile})
	case none:
		return true, nil
	case err != nil:
		return false, w.unread(err)
	case caller.Account == sp.account:
	case mode == config.CompareAuto && sp.role == "":
		in.problems.Warn(diag.Pos{File: s.File}, "not-compared", "the snapshot is of account %s and the credentials are of %s, so it was not compared with the deployed stacks: the guards look at the file alone; give the environment a role, or use credentials of that account (%salways makes this an error, %snever is silent)",
			sp.account, caller.Account, switchCompare, switchCompare)
		return false, nil
	default:
		return false, w.unread(environment(wrongAccount(sp, caller)))
	}
	known, problems, err := deployed(ctx, source, c, sp.region)
	if err != nil {
		return false, w.unread(err)
	}
	in.source, in.deployed, in.problems = source, &known, problems
	in.settled = len(problems.Errors()) == 0 // otherwise nobody knows what the stacks hold
	if in.settled {
		name := naming.Deployment(c.Name).AlarmStack
		in.problems = slices.Concat(problems, snapshot.Disagreements(s.File, s.Places, known, name), snapshot.Unknown(s.File, s.Places, known, name))
	}
	if w.Now == nil {
		return false, nil
	}
	if future := s.CheckFuture(w.Now()); len(future) > 0 {
		in.problems, in.aged = append(in.problems, future...), nil // the error says it all
	}
	return false, nil
}

// distrust leaves out the guard against mass removal where the snapshot is what is
// wrong: to confirm the number would be the wrong way out, alone or among others.
func distrust(p *plan.Plan) {
	if slices.ContainsFunc(p.Problems, func(problem diag.Problem) bool {
		return problem.Code == "snapshot-places" || problem.Code == "snapshot-behind"
	}) {
		p.Problems = slices.DeleteFunc(p.Problems, func(problem diag.Problem) bool { return problem.Code == "mass-removal" })
		p.MassRemoval = false
	}
}

// unread is the error of stacks that could not be read, with the way to go on
// without them.
func (w *World) unread(err error) error {
	hint := "to go on without a look at the deployed stacks, " + switchCompare + "never"
	if h := w.hintOf(err); h != "" {
		hint = h + "; " + hint
	}
	return environment(advised{err, hint})
}
