package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/places"
	"keywatch/internal/plan"
	"keywatch/internal/report"
)

// load reads flags, context and config; what is wrong with them has been said
// when it returns an error.
func (w *World) load(o *options) (*config.Config, *settings, error) {
	s, err := w.settings(o)
	var problems diag.List
	switch f := (*failure)(nil); {
	case errors.As(err, &f):
		return nil, nil, err
	case errors.As(err, &problems):
		w.say(problems, &config.Config{})
		return nil, nil, errGate
	case err != nil: // a flag's form
		return nil, nil, err
	}
	c, err := config.Load(s.request)
	if errors.As(err, &problems) {
		return nil, nil, w.invalid(o, c, problems, "config")
	}
	if err != nil {
		return nil, nil, environment(err)
	}
	return c, s, nil
}

// open opens an environment and makes sure that it is the one that is meant.
func (w *World) open(ctx context.Context, c *config.Config, sp spot) (Source, error) {
	source, caller, err := w.reach(ctx, c, sp)
	if err != nil {
		return nil, err
	}
	if sp.account != "" && sp.account != caller.Account {
		return nil, environment(wrongAccount(sp, caller))
	}
	return source, nil
}

// reach opens an environment, whoever's it turns out to be.
func (w *World) reach(ctx context.Context, c *config.Config, sp spot) (Source, inventory.Caller, error) {
	source, err := w.Open(ctx, Target{
		Region: sp.region, Role: sp.role, Rates: rates(c),
		Notice:   func(text string) { w.note("notice", "%s", text) },
		Progress: w.progressed,
	})
	if err != nil {
		return nil, inventory.Caller{}, environment(fmt.Errorf("aws: %w", err))
	}
	caller, err := source.Caller(ctx)
	if err != nil {
		return nil, inventory.Caller{}, environment(fmt.Errorf("aws: %w", err))
	}
	return source, caller, nil
}

// rates are those of the config, by API action as IAM spells it.
func rates(c *config.Config) map[string]float64 {
	out := map[string]float64{}
	for op, rate := range c.Inventory.Rates {
		service := "kms:"
		if op == "GetResources" {
			service = "tag:"
		}
		out[service+op] = rate
	}
	return out
}

// read opens an environment and reads its keys.
func (w *World) read(ctx context.Context, c *config.Config, sp spot, need inventory.Need) (Source, *inventory.Inventory, error) {
	source, err := w.open(ctx, c, sp)
	if err != nil {
		return nil, nil, err
	}
	inv, err := source.Inventory(ctx, need)
	if err != nil {
		return nil, nil, environment(fmt.Errorf("inventory: %w", err))
	}
	return source, inv, nil
}

// hintProfile is for credentials that only the CDK CLI has.
const hintProfile = "`cdk --profile NAME` does not reach the app's own AWS calls; set it for both: AWS_PROFILE=NAME npx cdk …"

func wrongAccount(sp spot, caller inventory.Caller) error {
	hint := "set AWS_PROFILE to credentials of that account, or give the environment a role: cdk-lookup, or an ARN"
	if sp.by == theCLI {
		hint = hintProfile
	}
	return advised{
		fmt.Errorf("the account is %s by %s, but the credentials of this process are of %s (%s); nothing was read", sp.account, sp.by, caller.Account, caller.ARN),
		hint,
	}
}

// deployed reads where the alarms of this deployment live. It comes after the
// inventory, which may take minutes, so that the places are fresh.
func deployed(ctx context.Context, source Source, c *config.Config, region string) (plan.Places, diag.List, error) {
	stacks, err := source.Stacks(ctx)
	if err != nil {
		return plan.Places{}, nil, environment(fmt.Errorf("places: %w", err))
	}
	known, problems := places.Read(stacks, c.Name, region)
	return known, problems, nil
}

// synth is what the CDK CLI runs: nothing is drawn from a plan with errors, nor
// from the others beside it.
func (w *World) synth(ctx context.Context, o *options) error {
	all, err := w.build(ctx, o, asked{compare: true})
	if err != nil {
		return err
	}
	if err := w.findLeft(ctx, all); err != nil {
		return err
	}
	if err := w.findTrails(ctx, all); err != nil {
		return err
	}
	if failed := w.sayProblems(all, func(p *plan.Plan) diag.List { return p.Problems }); failed > 0 {
		w.note("error", "%s; nothing was written", counted(failed, "problem"))
		return errGate
	}
	var deployments []spec.Deployment
	for _, b := range all {
		p := b.plan
		deployments = append(deployments, p.Deployment)
		w.note("notice", "%s %s: %s of %s watched, %s, %s a month%s",
			p.Inventory.Account, p.Inventory.Region, fmt.Sprint(p.Totals.Watched), counted(p.Totals.Keys, "key"), counted(p.Totals.Alarms, "alarm"), plan.FormatUSD(p.Totals.MonthlyUSD), removed(p))
	}
	if err := w.Synth(ctx, deployments, cmp.Or(w.Getenv(envOutDir), "cdk.out")); err != nil {
		w.complain(err) // of an interruption it says where nothing was written
		return &failure{status: ExitEnvironment, err: err, said: true}
	}
	return nil
}

// removed says how many alarms a deploy takes away, if it does and that is known.
func removed(p *plan.Plan) string {
	if p.Totals.Removed == 0 {
		return ""
	}
	return ", " + counted(p.Totals.Removed, "alarm") + " removed"
}

func (w *World) validateCommand(o *options) *cobra.Command {
	var effective bool
	var format string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "check the config, offline",
		Long: `Check the config without calling AWS, and say what was found in it.

Everything that is wrong is reported at once, each as file:line:col: what, the
value, what is allowed [code]. docs/codes has a page for each code. What depends
on the account (regions of ARNs, how many keys match) is seen by keywatch plan.

With --effective the config itself is printed, with everything filled in and
behind each value where it comes from: a line of the file, defaults, a context
value, or "default". What is printed is a config that means the same.`,
		Example: "  keywatch validate\n  keywatch validate --config teams/payments.yaml\n  keywatch validate --effective -c keywatch:limits.alarms=5000\n  keywatch validate --format json | jq .problems",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if format == "json" {
				return w.validateJSON(o, effective)
			}
			c, _, err := w.load(o)
			if err != nil {
				return err
			}
			problems := judged(c)
			w.say(problems, c)
			if len(problems.Errors()) > 0 {
				return errGate
			}
			if effective {
				text, err := c.Effective()
				if err != nil {
					return err
				}
				_, err = w.Stdout.Write(text)
				return output(err)
			}
			_, err = fmt.Fprintf(w.Stdout, "%s: valid: %s, %d of which watch; %s\n", c.File, counted(len(c.Rules), "rule"), watching(c), counted(len(problems), "warning"))
			return output(err)
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&effective, "effective", false, "print the config with everything filled in, and where each value comes from")
	return cmd
}

// checkActions checks the ARNs for the places that the config names.
func checkActions(c *config.Config) diag.List {
	var problems diag.List
	for _, e := range c.Environments {
		at := config.Place{Partition: config.PartitionOf(e.Region), Region: e.Region, Account: e.Account}
		for _, r := range c.Rules {
			_, p := r.Actions.Fill(at)
			problems = append(problems, p...)
		}
	}
	return problems
}

func (w *World) planCommand(o *options) *cobra.Command {
	var format string
	var keys, trace bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "what would be deployed, and its price",
		Long: `Read the account and show what a deploy would make: alarms per rule and kind, the
price per month (an anomaly alarm bills as three metrics), and why the other keys
have no alarms. Nothing is deployed. Exit status 1 if synth would refuse.

It reads the tags of every key, so that it can say which keys match no rule, and
which tags look like a slip. With --trace it also explains the keys without alarms;
in JSON each key has its trace.`,
		Example: "  keywatch plan\n  keywatch plan --keys\n  keywatch plan --format json | jq .totals",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.with(cmd.Context(), o, format, asked{depth: deeper(allTags, trace), compare: true}, func(ctx context.Context, all []built) error {
				if err := w.findLeft(ctx, all); err != nil {
					return err
				}
				if err := w.findTrails(ctx, all); err != nil {
					return err
				}
				reports := make([]*coverage.Report, len(all))
				for i, b := range all {
					reports[i] = coverage.Planned(b.plan)
				}
				if err := w.print(format, reports, report.Form{Totals: true}, func(out io.Writer, r *coverage.Report) {
					report.Plan(out, r.Plan)
					listKeys(out, r, keys, trace)
				}); err != nil {
					return err
				}
				return w.verdict(all, func(p *plan.Plan) diag.List { return p.Problems })
			})
		},
	}
	formatFlag(cmd, &format)
	keysFlags(cmd, &keys, &trace)
	return cmd
}

// keysFlags are those of the verbs that report on all keys.
func keysFlags(cmd *cobra.Command, keys, trace *bool) {
	cmd.Flags().BoolVar(keys, "keys", false, "also a line for each key")
	cmd.Flags().BoolVar(trace, "trace", false, "also explain the keys that have no alarms or lack one; reads everything of every key")
}

func listKeys(out io.Writer, r *coverage.Report, keys, trace bool) {
	if keys {
		fmt.Fprintln(out)
		report.Keys(out, r)
	}
	if trace {
		report.Traces(out, r)
	}
}

func (w *World) coverageCommand(o *options) *cobra.Command {
	var format string
	var keys, trace bool
	cmd := &cobra.Command{
		Use:   "coverage",
		Short: "has each watched key its alarms? A gate",
		Long: `Compare the keys of the account, by the rules, with the alarms that CloudWatch
really has, whoever made them. Exit status 1 if a watched key lacks an alarm, or a
key could not be read; each is named with key, operation and rule. It is also 1 if
the rules ask for what synth would refuse. A key that an exception takes out counts
as excepted and passes. --trace explains each key that is not covered.`,
		Example: "  keywatch coverage\n  keywatch coverage --format json > coverage.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.with(cmd.Context(), o, format, asked{depth: deeper(asNeeded, trace)}, func(ctx context.Context, all []built) error {
				reports := make([]*coverage.Report, len(all))
				ctx, cancel := context.WithTimeout(ctx, all[0].plan.Config.Inventory.Timeout)
				defer cancel()
				err := w.each(spotsOf(all), func(_ *World, i int) error {
					alarms, err := all[i].source.Alarms(ctx)
					if err != nil {
						return late(ctx, all[i].plan.Config, environment(fmt.Errorf("alarms: %w", err)))
					}
					reports[i] = coverage.Check(all[i].plan, alarms)
					return nil
				})
				if err != nil {
					return err
				}
				if err := w.print(format, reports, report.Form{Present: true}, func(out io.Writer, r *coverage.Report) {
					report.Coverage(out, r)
					listKeys(out, r, keys, trace)
				}); err != nil {
					return err
				}
				err = w.verdict(all, func(p *plan.Plan) diag.List { return ofAlarms(p.Problems) })
				if slices.ContainsFunc(reports, func(r *coverage.Report) bool { return !r.Passed() }) {
					return errGate
				}
				return err
			})
		},
	}
	formatFlag(cmd, &format)
	keysFlags(cmd, &keys, &trace)
	return cmd
}

// ofAlarms leaves out the problems that a coverage report says by itself, and
// those of stacks: what a deploy would stop at says nothing about the alarms that
// there are.
func ofAlarms(problems diag.List) diag.List {
	return slices.DeleteFunc(slices.Clone(problems), func(p diag.Problem) bool {
		switch p.Code {
		case "unreadable", "unreadable-deployed",
			"stack-busy", "stack-stuck", "stack-foreign", "stack-left", "unknown-alarm",
			"placed-twice", "placed-elsewhere", "placement-full", "mass-removal", "snapshot-unplaced", "snapshot-places", "snapshot-behind", "not-compared":
			return true
		}
		return false
	})
}

func spotsOf(all []built) []spot {
	out := make([]spot, len(all))
	for i, b := range all {
		out[i] = b.spot
	}
	return out
}

// verdict says the problems of each environment, and fails if one is an error.
func (w *World) verdict(all []built, of func(*plan.Plan) diag.List) error {
	if w.sayProblems(all, of) > 0 {
		return errGate
	}
	return nil
}

// sayProblems says the problems of each environment, and how many are errors.
// A warning that is the same in each is said with the first one only.
func (w *World) sayProblems(all []built, of func(*plan.Plan) diag.List) (failed int) {
	stopped := false // by the guard against mass removal
	for i, b := range all {
		problems := of(b.plan)
		failed += len(problems.Errors())
		if i > 0 {
			problems = slices.DeleteFunc(slices.Clone(problems), func(p diag.Problem) bool { return p.Severity == diag.Warning && slices.Contains(of(all[0].plan), p) })
		}
		if len(problems) > 0 {
			b.heading(w)
		}
		w.say(problems, b.plan.Config)
		stopped = stopped || slices.ContainsFunc(problems, func(p diag.Problem) bool { return p.Code == "mass-removal" })
	}
	if stopped {
		w.adviseRemovals(all)
	}
	return failed
}

// with reads and plans every environment, and hands them to a verb together.
func (w *World) with(ctx context.Context, o *options, format string, a asked, f func(context.Context, []built) error) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	o.json = format == "json"
	all, err := w.build(ctx, o, a)
	if err != nil {
		return err
	}
	return f(ctx, all)
}

func checkFormat(format string) error {
	if slices.Contains(formats, format) {
		return nil
	}
	return fmt.Errorf("--format %q; allowed: %s", format, strings.Join(formats, ", "))
}

var formats = []string{"text", "json"}

func formatFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "format", "text", "text or json")
}

// onlyJSONFlag is for verbs whose result is JSON, whoever reads it.
func onlyJSONFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "format", "json", "json, the only one")
}

func checkOnlyJSON(format string) error {
	if format == "json" {
		return nil
	}
	return fmt.Errorf("--format %q; allowed: json", format)
}

// print writes a result in one piece, so that a failure leaves no half of it.
func (w *World) print(format string, reports []*coverage.Report, f report.Form, text func(io.Writer, *coverage.Report)) error {
	var b strings.Builder
	if format == "json" {
		if err := report.JSON(&b, f, reports...); err != nil {
			return output(err)
		}
	} else {
		for i, r := range reports {
			if i > 0 {
				fmt.Fprintln(&b)
			}
			text(&b, r)
		}
	}
	_, err := io.WriteString(w.Stdout, b.String())
	return output(err)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
