// Package cli is the command line: verbs, flags, context values, exit statuses
// and the voice in which keywatch speaks.
//
// It is given everything that touches the world as values (streams,
// environment, clock, the reader of AWS, synth), so that a test calls the whole
// program as a function. It decides nothing about keys. Start reading at
// [World.Run]; context.go reads what the CDK passes.
//
// The voice: results go to stdout, everything else to stderr. Messages on
// stderr begin with "keywatch: error:", "keywatch: warning:", "keywatch: hint:"
// or "keywatch: notice:", are lower-case and have no final period. Problems in
// the config are `file:line:col: message [code]`.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/places"
	"keywatch/internal/plan"
	"keywatch/internal/progress"
)

// Exit statuses. `go run` and `cdk` turn any but 0 into 1.
const (
	ExitOK          = 0
	ExitProblems    = 1 // in the user's input, or a gate failed
	ExitUsage       = 2
	ExitEnvironment = 3 // AWS, I/O, jsii
)

// Source reads one account and region; live.Session is one.
type Source interface {
	Region() string
	Caller(context.Context) (inventory.Caller, error)
	Inventory(context.Context, inventory.Need) (*inventory.Inventory, error)
	Alarms(context.Context) ([]coverage.Alarm, error)
	Stacks(context.Context) ([]places.Stack, error)
	// Dashboards are the names of the account's that begin with a prefix.
	Dashboards(ctx context.Context, prefix string) ([]string, error)
	// Trails are those of CloudTrail that cover the region.
	Trails(context.Context) ([]inventory.Trail, error)
}

// World is what the program is given.
type World struct {
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	ReadFile       func(string) ([]byte, error)
	// WriteFile replaces a file in one step. Nil: it does so on the disk.
	WriteFile func(path string, data []byte) error
	// Now is the clock that a snapshot's age is judged by. Nil: nobody judges.
	Now func() time.Time
	// Open makes a Source for an account and region.
	Open func(ctx context.Context, t Target) (Source, error)
	// Hint says how to mend an error of Open or of a Source, or "".
	Hint func(error) string
	// Synth draws deployments into a directory, all of it or nothing.
	Synth func(ctx context.Context, deployments []spec.Deployment, dir string) error
	// Terminal says that Stderr is one: progress is then one line, rewritten.
	Terminal bool
	// Actions are the API actions that a verb can call, for its policy: those that
	// it needs, and those without which it says less.
	Actions func(verb string) (needed, optional []string)
	// Fill is plan.DefaultFill unless set.
	Fill    plan.Fill
	Version string

	// progressed is shown how far a reading is; nil before Run.
	progressed func(progress.Progress)
}

// failure is an error with the exit status that it means.
type failure struct {
	status int
	err    error
	// said is set when everything was written to stderr already.
	said bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

var errGate = &failure{status: ExitProblems, err: errors.New("the gate failed"), said: true}

func environment(err error) error { return &failure{status: ExitEnvironment, err: err} }

// advised is an error of ours with its hint.
type advised struct {
	error
	hint string
}

// Run runs the program and returns its exit status.
func (w *World) Run(ctx context.Context, args []string) int {
	shown := func() {}
	root := w.root(&shown)
	defer func() { shown() }()
	root.SetArgs(args)
	root.SetOut(w.Stdout)
	root.SetErr(w.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var f *failure
	if !errors.As(err, &f) { // cobra's own: flags, arguments, verbs
		fmt.Fprintf(w.Stderr, "keywatch: error: %v\nkeywatch: hint: `keywatch --help` lists verbs and flags\n", err)
		return ExitUsage
	}
	if !f.said {
		w.complain(f.err)
	}
	return f.status
}

// complain writes an error of the environment, with its hint.
func (w *World) complain(err error) {
	w.note("error", "%v", err)
	if hint := w.hintOf(err); hint != "" {
		w.note("hint", "%s", hint)
	}
}

// hintOf is the hint that an error carries, or "".
func (w *World) hintOf(err error) string {
	var a advised
	switch {
	case errors.As(err, &a):
		return a.hint
	case w.Hint != nil:
		return w.Hint(err)
	}
	return ""
}

func (w *World) note(kind, format string, args ...any) {
	fmt.Fprintf(w.Stderr, "keywatch: %s: %s\n", kind, fmt.Sprintf(format, args...))
}

// mostSaid keeps an account with ten thousand unreadable keys from filling a
// terminal; --format json has every one.
const mostSaid = 100

// say writes problems to stderr: those with a place as `file:line:col: …`, an
// error with the line itself, and those without in the program's voice.
func (w *World) say(problems diag.List, c *config.Config) {
	for i, p := range problems {
		if i == mostSaid {
			w.note("notice", "%d more problems are not shown", len(problems)-i)
			return
		}
		switch {
		case p.Pos.File == "":
			w.note(p.Severity.String(), "%s [%s]", p.Message, p.Code)
		case p.Severity == diag.Warning:
			fmt.Fprintln(w.Stderr, p)
		default:
			diag.List{p}.Print(w.Stderr, c.File, c.Source)
		}
	}
}

// root is the whole command; shown is set to what ends the progress line.
func (w *World) root(shown *func()) *cobra.Command {
	var o options
	var quiet bool
	root := &cobra.Command{
		Use:   "keywatch",
		Short: "anomaly alarms for every KMS key that matches a tag rule",
		Long: `keywatch reads the KMS keys of an account, matches each against tag rules, and
deploys CloudWatch anomaly alarms on the usage of each key that matches.

Without a verb it is the CDK app: it reads the account and writes the CloudFormation
templates. You rarely call that yourself; the CDK CLI does:

  npx cdk diff                    what would change
  npx cdk deploy --all            deploy

The verbs answer questions and never deploy:

  keywatch init                   write a first config for the account
  keywatch validate               is the config right?
  keywatch plan                   what would be deployed, and what does it cost?
  keywatch explain alias/orders   why has this key these alarms, or none?
  keywatch coverage               has each watched key its alarms? (a gate)
  keywatch snapshot               freeze keys and places into a file to review
  keywatch sla report             was a month of KMS below its SLA?

The config is found in this order: -c keywatch:config=PATH, --config PATH,
$KEYWATCH_CONFIG, ./keywatch.yaml, config/keywatch.yaml.

Exit status: 0 fine; 1 problems in the config, or a gate failed; 2 bad usage;
3 the environment failed (AWS, files, Node.js).`,
		Args:          cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.synth(cmd.Context(), &o) },
	}
	root.PersistentPreRun = func(*cobra.Command, []string) {
		if w.Now == nil {
			return
		}
		line := progress.New(w.Stderr, progress.ModeOf(quiet, w.Terminal), w.Now)
		w.progressed, *shown = line.Show, line.Close
	}
	root.PersistentFlags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	root.PersistentFlags().StringVar(&o.config, "config", "", "config file (context: keywatch:config)")
	root.PersistentFlags().StringArrayVarP(&o.context, "context", "c", nil, "context value keywatch:NAME=VALUE, as for cdk; may be repeated")
	root.PersistentFlags().StringVar(&o.allowRemoval, "allow-removal", "", "number of keys that may lose all their alarms, when synth asks for it; with several environments ACCOUNT/REGION:N,… (context: keywatch:allowRemoval)")
	root.AddCommand(w.initCommand(&o), w.validateCommand(&o), w.planCommand(&o), w.explainCommand(&o), w.coverageCommand(&o), w.permissionsCommand(&o), w.snapshotCommand(&o), w.slaCommand(), w.schemaCommand(), w.versionCommand())
	w.teach(root, &o)
	return root
}

func (w *World) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "version", Short: "print the version", Example: "  keywatch version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if format == "json" {
				return w.printJSON(named{1, w.Version})
			}
			_, err := fmt.Fprintf(w.Stdout, "keywatch %s\n", w.Version)
			return output(err)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// output is the failure of writing a result.
func output(err error) error {
	if err == nil {
		return nil
	}
	return environment(fmt.Errorf("write the result: %w", err))
}
