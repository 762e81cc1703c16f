package cli

import (
	"context"
	"fmt"

	"keywatch/config"
	"keywatch/internal/plan"
)

// findTrails adds to the plans that no trail brings the evidence which the config
// wants kept. It is a remark, so whatever fails here does not fail the run.
func (w *World) findTrails(ctx context.Context, all []built) error {
	c := all[0].plan.Config
	if !c.SLA.Evidence || c.Inventory.Source != config.Live {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Inventory.Timeout)
	defer cancel()
	return w.each(spotsOf(all), func(w *World, i int) error {
		trails, err := all[i].source.Trails(ctx)
		if ctx.Err() != nil { // the end of the run, not of this question
			return environment(fmt.Errorf("trails: %w", context.Cause(ctx)))
		}
		if err != nil {
			w.note("notice", "whether a trail brings the evidence was not looked at: %v", err)
			if hint := w.hintOf(err); hint != "" {
				w.note("hint", "%s", hint)
			}
			return nil
		}
		p := all[i].plan
		p.Problems = append(p.Problems, plan.CheckTrails(p.Inventory, trails)...)
		p.Problems.Sort()
		return nil
	})
}
