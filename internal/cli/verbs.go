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
	"keywatch/internal/rules"
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
		w.say(problems, c)
		w.note("error", "%s in the config", counted(len(problems.Errors()), "problem"))
		return nil, nil, errGate
	}
	if err != nil {
		return nil, nil, environment(err)
	}
	return c, s, nil
}

// read opens the account that is meant, makes sure that it is that one, and
// reads its keys.
func (w *World) read(ctx context.Context, c *config.Config, need inventory.Need) (Source, *inventory.Inventory, error) {
	account, region, by := w.target(c)
	source, err := w.Open(ctx, region)
	if err != nil {
		return nil, nil, environment(fmt.Errorf("aws: %w", err))
	}
	caller, err := source.Caller(ctx)
	if err != nil {
		return nil, nil, environment(fmt.Errorf("aws: %w", err))
	}
	if account != "" && account != caller.Account {
		return nil, nil, &failure{status: ExitEnvironment, said: true, err: w.wrongAccount(account, by, caller)}
	}
	inv, err := source.Inventory(ctx, need)
	if err != nil {
		return nil, nil, environment(fmt.Errorf("inventory: %w", err))
	}
	return source, inv, nil
}

// target is the account and region that are meant, and who says so. An empty
// one is left to the credentials and to the SDK.
func (w *World) target(c *config.Config) (account, region, by string) {
	if len(c.Environments) > 0 {
		e := c.Environments[0]
		return e.Account, e.Region, e.Pos.String()
	}
	return w.Getenv(envDefaultAccount), w.Getenv(envDefaultRegion), "the CDK CLI"
}

func (w *World) wrongAccount(want, by string, caller inventory.Caller) error {
	err := fmt.Errorf("the account is %s by %s, but the credentials of this process are of %s (%s); nothing was read", want, by, caller.Account, caller.ARN)
	w.note("error", "%v", err)
	w.note("hint", "`cdk --profile NAME` does not reach the app's own AWS calls; set it for both: AWS_PROFILE=NAME npx cdk …")
	return err
}

// build loads, reads and plans: what plan, explain, coverage and synth share.
func (w *World) build(ctx context.Context, o *options, trace bool) (Source, *plan.Plan, error) {
	c, s, err := w.load(o)
	if err != nil {
		return nil, nil, err
	}
	need := rules.Need(c.Rules)
	if trace { // an explanation shows what no rule asked for too
		need = inventory.Need{}
	}
	in, err := w.inventoryFrom(ctx, c, need)
	if err != nil {
		return nil, nil, err
	}
	p := plan.Build(c, in.inventory, plan.Options{Places: in.places, AllowRemoval: s.allowRemoval, Fill: w.Fill, Trace: trace})
	p.Problems = slices.Concat(c.Warnings, in.problems, p.Problems, in.unplaced(p))
	p.Problems.Sort()
	return in.source, p, nil
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

// synth is what the CDK CLI runs: nothing is drawn from a plan with errors.
func (w *World) synth(ctx context.Context, o *options) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, p, err := w.build(ctx, o, false)
	if err != nil {
		return err
	}
	w.say(p.Problems, p.Config)
	if failed := p.Problems.Errors(); len(failed) > 0 {
		w.note("error", "%s; nothing was written", counted(len(failed), "problem"))
		return errGate
	}
	w.note("notice", "%s %s: %s of %s watched, %s, %s a month",
		p.Inventory.Account, p.Inventory.Region, fmt.Sprint(p.Totals.Watched), counted(p.Totals.Keys, "key"), counted(p.Totals.Alarms, "alarm"), plan.FormatUSD(p.Totals.MonthlyUSD))
	if err := w.Synth([]spec.Deployment{p.Deployment}, cmp.Or(w.Getenv(envOutDir), "cdk.out")); err != nil {
		return environment(err)
	}
	return nil
}

func (w *World) validateCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "check the config, offline",
		Long: `Check the config without calling AWS, and say what was found in it.

Everything that is wrong is reported at once, each as file:line:col: what, the
value, what is allowed [code]. docs/codes.md explains each code. What depends on
the account (regions of ARNs, how many keys match) is seen by keywatch plan.`,
		Example: "  keywatch validate\n  keywatch validate --config teams/payments.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, _, err := w.load(o)
			if err != nil {
				return err
			}
			problems := c.Warnings
			if len(c.Environments) > 0 {
				problems = append(slices.Clone(problems), checkActions(c)...)
			}
			problems.Sort()
			w.say(problems, c)
			if len(problems.Errors()) > 0 {
				return errGate
			}
			watching := 0
			for _, r := range c.Rules {
				if r.Watch {
					watching++
				}
			}
			_, err = fmt.Fprintf(w.Stdout, "%s: valid: %s, %d of which watch; %s\n", c.File, counted(len(c.Rules), "rule"), watching, counted(len(problems), "warning"))
			return output(err)
		},
	}
}

// checkActions checks the ARNs for the region and account that the config
// names; the partition only AWS can tell.
func checkActions(c *config.Config) diag.List {
	var problems diag.List
	at := config.Place{Region: c.Environments[0].Region, Account: c.Environments[0].Account}
	for _, r := range c.Rules {
		_, p := r.Actions.Fill(at)
		problems = append(problems, p...)
	}
	return problems
}

func (w *World) planCommand(o *options) *cobra.Command {
	var format string
	var keys bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "what would be deployed, and its price",
		Long: `Read the account and show what a deploy would make: alarms per rule and kind, the
price per month (an anomaly alarm bills as three metrics), and why the other keys
have no alarms. Nothing is deployed. Exit status 1 if synth would refuse.`,
		Example: "  keywatch plan\n  keywatch plan --keys\n  keywatch plan --format json | jq .totals",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.answer(cmd.Context(), o, format, func(_ context.Context, _ Source, p *plan.Plan) error {
				planned := coverage.Planned(p)
				if err := w.print(format, planned, report.Form{Totals: true}, func(out io.Writer) {
					report.Plan(out, p)
					if keys {
						fmt.Fprintln(out)
						report.Keys(out, planned)
					}
				}); err != nil {
					return err
				}
				w.say(p.Problems, p.Config)
				if len(p.Problems.Errors()) > 0 {
					return errGate
				}
				return nil
			})
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&keys, "keys", false, "also a line for each key")
	return cmd
}

func (w *World) explainCommand(o *options) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "explain KEY...",
		Short: "why a key has its alarms, or none",
		Long: `Show for each KEY (a key ID, key ARN or alias) every rule in order, what each
condition saw and said, and the alarms that follow, or the reason for none.`,
		Example: "  keywatch explain alias/payments-db\n  keywatch explain 1234abcd-12ab-34cd-56ef-1234567890ab --format json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.traced(cmd.Context(), o, format, func(_ context.Context, _ Source, p *plan.Plan) error {
				picked, missing := pick(coverage.Planned(p), args)
				for _, arg := range missing {
					w.note("error", "no key of %s in %s has the ID, ARN or alias %q; an alias begins with alias/", p.Inventory.Account, p.Inventory.Region, arg)
				}
				if len(missing) > 0 {
					return errGate
				}
				w.say(p.Problems.Errors(), p.Config)
				return w.print(format, picked, report.Form{}, func(out io.Writer) {
					for i := range picked.Keys {
						if i > 0 {
							fmt.Fprintln(out)
						}
						report.Explain(out, &picked.Keys[i])
					}
				})
			})
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// pick keeps the keys that are asked for, each once, in the report's order.
func pick(r *coverage.Report, args []string) (*coverage.Report, []string) {
	wanted := map[int]bool{}
	var missing []string
	for _, arg := range args {
		i := slices.IndexFunc(r.Keys, func(k coverage.Key) bool {
			return k.ID == arg || k.ARN == arg ||
				slices.ContainsFunc(k.Aliases, func(a inventory.Alias) bool { return a.Name == arg || strings.HasSuffix(arg, ":"+a.Name) })
		})
		if i < 0 {
			missing = append(missing, arg)
			continue
		}
		wanted[i] = true
	}
	out := &coverage.Report{Plan: r.Plan}
	for i := range r.Keys {
		if wanted[i] {
			out.Keys = append(out.Keys, r.Keys[i])
		}
	}
	return out, missing
}

func (w *World) coverageCommand(o *options) *cobra.Command {
	var format string
	var keys bool
	cmd := &cobra.Command{
		Use:   "coverage",
		Short: "has each watched key its alarms? A gate",
		Long: `Compare the keys of the account, by the rules, with the alarms that CloudWatch
really has, whoever made them. Exit status 1 if a watched key lacks an alarm, or a
key could not be read; each is named with key, operation and rule. It is also 1 if
the rules ask for what synth would refuse.`,
		Example: "  keywatch coverage\n  keywatch coverage --format json > coverage.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.answer(cmd.Context(), o, format, func(ctx context.Context, s Source, p *plan.Plan) error {
				alarms, err := s.Alarms(ctx)
				if err != nil {
					return environment(fmt.Errorf("alarms: %w", err))
				}
				r := coverage.Check(p, alarms)
				if err := w.print(format, r, report.Form{Present: true}, func(out io.Writer) {
					report.Coverage(out, r)
					if keys {
						fmt.Fprintln(out)
						report.Keys(out, r)
					}
				}); err != nil {
					return err
				}
				problems := ofAlarms(p.Problems)
				w.say(problems, p.Config)
				if !r.Passed() || len(problems.Errors()) > 0 {
					return errGate
				}
				return nil
			})
		},
	}
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&keys, "keys", false, "also a line for each key")
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
			"placed-twice", "placed-elsewhere", "placement-full", "mass-removal", "snapshot-unplaced":
			return true
		}
		return false
	})
}

type answerFunc func(context.Context, Source, *plan.Plan) error

func (w *World) answer(ctx context.Context, o *options, format string, f answerFunc) error {
	return w.with(ctx, o, format, false, f)
}

func (w *World) traced(ctx context.Context, o *options, format string, f answerFunc) error {
	return w.with(ctx, o, format, true, f)
}

func (w *World) with(ctx context.Context, o *options, format string, trace bool, f answerFunc) error {
	if !slices.Contains(formats, format) {
		return fmt.Errorf("--format %q; allowed: %s", format, strings.Join(formats, ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	source, p, err := w.build(ctx, o, trace)
	if err != nil {
		return err
	}
	return f(ctx, source, p)
}

var formats = []string{"text", "json"}

func formatFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "format", "text", "text or json")
}

// print writes a result in one piece, so that a failure leaves no half of it.
func (w *World) print(format string, r *coverage.Report, f report.Form, text func(io.Writer)) error {
	var b strings.Builder
	if format == "json" {
		if err := report.JSON(&b, r, f); err != nil {
			return output(err)
		}
	} else {
		text(&b)
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
