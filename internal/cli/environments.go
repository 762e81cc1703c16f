package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/progress"
	"keywatch/internal/rules"
)

// Target is what to open: whose keys to read, as whom, and how fast.
type Target struct {
	Region string // "": the SDK's own choice
	Role   string // the ARN of a role to read with, or ""
	// Rates by API action; what is left out is the reader's default.
	Rates    map[string]float64
	Notice   func(string)
	Progress func(progress.Progress)
}

// spot is one account and region of a run. An empty account or region is left
// to the credentials and to the SDK.
type spot struct {
	account, region string
	role            string // as in Target
	by              string // who says so, for messages
	// alone says that the run has no other one.
	alone bool
}

func (s spot) String() string { return s.account + "/" + s.region }

// theCLI is who says which account is meant when the config does not.
const theCLI = "the CDK CLI"

// spots are the environments of the run: those of the config, or the one that
// the CDK CLI resolved; -c keywatch:env keeps some of them.
func (w *World) spots(c *config.Config, s *settings) ([]spot, error) {
	if len(c.Environments) == 0 {
		one := spot{account: w.Getenv(envDefaultAccount), region: w.Getenv(envDefaultRegion), by: theCLI, alone: true}
		if len(s.only) > 0 {
			var l diag.List
			l.Add(diag.Pos{File: "context keywatch:env"}, "unknown-environment", "the config names no environments, so there are none to choose from; leave it out, or list them under environments")
			w.say(l, c)
			return nil, errGate
		}
		return []spot{one}, nil
	}
	var all []spot
	for _, e := range c.Environments {
		sp := spot{account: e.Account, region: e.Region, by: e.Pos.String(), role: e.RoleARN(config.PartitionOf(e.Region))}
		if e.Role == config.RoleLookup {
			sp.role = fmt.Sprintf("arn:%s:iam::%s:role/cdk-%s-lookup-role-%s-%s", config.PartitionOf(e.Region), e.Account, s.qualifier, e.Account, e.Region)
		}
		all = append(all, sp)
	}
	chosen, err := w.choose(c, s, all)
	if err != nil {
		return nil, err
	}
	run := make([]place, len(chosen))
	for i := range chosen {
		chosen[i].alone = len(chosen) == 1
		run[i] = place{chosen[i].account, chosen[i].region}
	}
	return chosen, w.checkRemovals(s.allowRemoval, run...)
}

func (w *World) choose(c *config.Config, s *settings, all []spot) ([]spot, error) {
	if len(s.only) == 0 {
		return all, nil
	}
	var chosen []spot
	var l diag.List
	names := make([]string, len(all))
	for i, sp := range all {
		names[i] = sp.String()
	}
	for _, want := range s.only {
		i := slices.IndexFunc(all, func(sp spot) bool { return sp.account == want.account && sp.region == want.region })
		if i < 0 {
			name := want.account + "/" + want.region
			l.Add(diag.Pos{File: "context keywatch:env"}, "unknown-environment", "the config has no environment %s%s; it has %s", name, diag.DidYouMean(name, names), strings.Join(names, ", "))
			continue
		}
		if !slices.Contains(chosen, all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	if len(l) > 0 {
		w.say(l, c)
		return nil, errGate
	}
	return chosen, nil
}

// built is one environment, read and planned.
type built struct {
	spot   spot
	source Source
	plan   *plan.Plan
	// looked says that the deployed stacks were read: always but with a snapshot.
	looked bool
}

// depth is how much of the keys a verb wants to know.
type depth int

const (
	asNeeded depth = iota // what decides about alarms
	allTags               // the tags of the keys that no rule takes, too
	traced                // everything, with the trace of each decision
)

func deeper(how depth, trace bool) depth {
	if trace {
		return traced
	}
	return how
}

// ofAllTags are the findings for which the tags are read of all keys if they are to
// fail; else they are given as far as tags are read.
var ofAllTags = []string{"never-seen", "tag-typo", "unmatched"}

// need is what to read for the rules.
func (d depth) need(c *config.Config) inventory.Need {
	need := rules.Need(c.Rules)
	switch {
	case d == traced: // an explanation shows what no rule asked for too
		return inventory.Need{}
	case d == allTags, slices.ContainsFunc(ofAllTags, func(code string) bool { return c.Findings.Level(code) == config.LevelFail }):
		need.Filters = nil
	}
	return need
}

// asked is what a verb wants to know.
type asked struct {
	depth
	compare bool // a snapshot is held against what is deployed
}

// build loads, reads and plans: what plan, explain, coverage and synth share.
func (w *World) build(ctx context.Context, o *options, a asked) ([]built, error) {
	c, s, err := w.load(o)
	if err != nil {
		return nil, err
	}
	return w.plans(ctx, c, s, a)
}

// plans reads and plans the environments side by side. All failures are reported
// together, and one of them fails the run: the others are not gone on with.
func (w *World) plans(ctx context.Context, c *config.Config, s *settings, a asked) ([]built, error) {
	spots, err := w.spots(c, s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Inventory.Timeout)
	defer cancel()
	out := make([]built, len(spots))
	blind := make([]bool, len(spots))
	err = w.each(spots, func(w *World, i int) error {
		// Each has its own: a need is not for two goroutines at once.
		in, err := w.inventoryFrom(ctx, c, spots[i], a.need(c))
		if err != nil {
			return late(ctx, c, err)
		}
		account, region := in.inventory.Account, in.inventory.Region
		if len(c.Environments) == 0 { // only now it is known which one this is
			if err := w.checkRemovals(s.allowRemoval, place{account, region}); err != nil {
				return err
			}
		}
		if a.compare && in.snapshot != nil {
			var err error
			if blind[i], err = w.compare(ctx, c, spots[i], in); err != nil {
				return late(ctx, c, err)
			}
		}
		w.say(in.aged, c)
		p := plan.Build(c, in.inventory, plan.Options{
			Places: in.places, Deployed: in.deployed, Frozen: in.snapshot != nil, Fill: w.Fill, Trace: a.depth == traced,
			AllowRemoval: s.allowRemoval.in(account, region), Several: len(spots) > 1,
		})
		p.Problems = slices.Concat(c.Warnings, in.problems, p.Problems, in.unplaced(p), in.behind(p))
		p.Problems.Sort()
		distrust(p)
		out[i] = built{spot: spots[i], source: in.source, plan: p, looked: in.snapshot == nil || in.deployed != nil}
		return nil
	})
	if err == nil && slices.Contains(blind, true) {
		w.note("notice", "there are no AWS credentials, so nothing was compared with the deployed stacks: the guards look at the snapshot alone (%salways makes this an error, %snever is silent)", switchCompare, switchCompare)
	}
	if err == nil {
		together(out)
	}
	return out, err
}

// late says of an error what it is, if it is the deadline of the run: whichever
// request was under way then is not to blame.
func late(ctx context.Context, c *config.Config, err error) error {
	passed := ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded)
	if !passed && !errors.Is(err, inventory.ErrTooLong) {
		return err
	}
	by := "default"
	if at, given := c.Given["inventory.timeout"]; given {
		by = at.String()
	}
	return environment(advised{
		fmt.Errorf("the reading was not finished within inventory.timeout, which is %s by %s; nothing goes on with a part of it", config.GoDuration(c.Inventory.Timeout), by),
		"raise it, for one run with -c keywatch:inventory.timeout=DURATION, up to 24h, or repeat the command when less else uses the account's request quotas",
	})
}

// together adds what only all environments can tell to the first one of the run. Of
// some of them it is a remark at most, whatever level the config sets: a rule may be
// for keys of the others.
func together(all []built) {
	plans := make([]*plan.Plan, len(all))
	for i, b := range all {
		plans[i] = b.plan
	}
	first, c := plans[0], plans[0].Config
	found := plan.Together(plans)
	whole := len(all) >= len(c.Environments)
	if whole {
		found = append(found, plan.Dangling(plans)...)
	}
	found = c.Findings.Apply(found)
	for i := range found {
		if !whole {
			found[i].Severity = diag.Warning
		}
	}
	first.Problems = append(first.Problems, found...)
	first.Problems.Sort()
}

// atOnce is how many environments are read at the same time: each has quotas of
// its own, and connections cost memory.
const atOnce = 8

// each does something for every environment side by side. What one of them says
// on stderr stays together, in the order of the environments.
func (w *World) each(spots []spot, do func(w *World, i int) error) error {
	if len(spots) == 1 {
		return do(w, 0)
	}
	var group *progress.Group
	if w.progressed != nil {
		group = progress.NewGroup(len(spots), w.progressed)
	}
	said := make([]bytes.Buffer, len(spots))
	errs := make([]error, len(spots))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i := range spots {
		wait.Add(1)
		go func() {
			defer wait.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			own := *w
			own.Stderr = &said[i]
			if group != nil {
				own.progressed = func(at progress.Progress) { group.Show(i, at) }
				defer group.Read(i)
			}
			errs[i] = do(&own, i)
		}()
	}
	wait.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) }); i >= 0 {
		return errs[i] // the end of the run, not of each environment
	}
	status := ExitOK
	failed := 0
	for i := range spots {
		var f *failure
		switch {
		case errs[i] == nil:
		case errors.As(errs[i], &f):
			status = max(status, f.status)
		default:
			status = ExitEnvironment
		}
		if errs[i] != nil {
			failed++
		}
		if said[i].Len() == 0 && errs[i] == nil {
			continue
		}
		w.note("notice", "%s:", spots[i])
		_, _ = said[i].WriteTo(w.Stderr)
		if errs[i] != nil && (f == nil || !f.said) {
			w.complain(errs[i])
		}
	}
	if failed == 0 {
		return nil
	}
	w.note("error", "%d of %s could not be read; nothing goes on with the others alone", failed, counted(len(spots), "environment"))
	return &failure{status: status, err: errors.New("environments failed"), said: true}
}

// heading names the environment in front of what is said of it, if there are
// several.
func (b built) heading(w *World) {
	if !b.spot.alone {
		w.note("notice", "%s:", b.spot)
	}
}
