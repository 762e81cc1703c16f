package cli

import (
	"context"
	"fmt"

	"keywatch/internal/plan"
)

// findTrails adds to the plans that no trail brings the evidence which the config
// wants kept. It is a remark, so whatever fails here does not fail the run.
func (w *World) findTrails(ctx context.Context, all []built) error {
	c := all[0].plan.Config
	if !c.SLA.Evidence {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Inventory.Timeout)
	defer cancel()
	return w.each(spotsOf(all), func(w *World, i int) error {
		if !all[i].looked { // who looks at no stacks has no credentials, or may not use them
			return nil
		}
		trails, err := all[i].source.Trails(ctx)
		if ctx.Err() != nil { // the end of the run, not of this question
			return environment(fmt.Errorf("trails: %w", context.Cause(ctx)))
		}
		if err != nil {
			w.trailsUnknown(err)
			return nil
		}
		p := all[i].plan
		problems, err := plan.CheckTrails(p.Inventory, trails)
		if err != nil {
			w.trailsUnknown(err)
		}
		p.Problems = append(p.Problems, problems...)
		p.Problems.Sort()
		return nil
	})
}

func (w *World) trailsUnknown(err error) {
	w.note("notice", "whether a trail brings the evidence is not known: %v", err)
	if hint := w.hintOf(err); hint != "" {
		w.note("hint", "%s", hint)
	}
}
