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
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/diag"
	"keywatch/internal/evidence"
	"keywatch/internal/inventory"
	"keywatch/internal/places"
	"keywatch/internal/plan"
	"keywatch/internal/progress"
	"keywatch/internal/sla"
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

// Witness is what the verbs of sla ask of AWS; live.Session is one. All but OpenCase
// and Attach only reads.
type Witness interface {
	Region() string
	Caller(context.Context) (inventory.Caller, error)
	// Usage are the requests of each interval, as CloudWatch counted them.
	Usage(ctx context.Context, begin, end time.Time) ([]evidence.Count, error)
	// LogEvents writes the events of a log group, one a line.
	LogEvents(ctx context.Context, group string, begin, end time.Time, to io.Writer) error
	// Charges are what an account was charged for KMS in a month. Asking costs $0.01.
	Charges(ctx context.Context, account string, m sla.Month) (sla.Charges, error)
	SupportServices(context.Context) ([]sla.Service, error)
	// SupportCase is the ID of a case with a subject, or "".
	SupportCase(ctx context.Context, subject string) (string, error)
	Attach(context.Context, []sla.Document) (string, error)
	OpenCase(ctx context.Context, c *sla.Case, service, category, attachments string) (string, error)
}

// World is what the program is given.
type World struct {
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	ReadFile       func(string) ([]byte, error)
	// WriteFile replaces a file in one step. Nil: it does so on the disk.
	WriteFile func(path string, data []byte) error
	// Now is the clock that a snapshot's age is judged by, and whether a month is
	// over. Nil: nobody judges.
	Now func() time.Time
	// Open makes a Source for an account and region.
	Open func(ctx context.Context, t Target) (Source, error)
	// Witness opens an account and region for the verbs of sla.
	Witness func(ctx context.Context, t Target) (Witness, error)
	// Hint says how to mend an error of Open or of a Source, or "".
	Hint func(error) string
	// Synth draws deployments into a directory, all of it or nothing.
	Synth func(ctx context.Context, deployments []spec.Deployment, dir string) error
	// Terminal says that Stderr is one: progress is then one line, rewritten.
	Terminal bool
	// Actions are the API actions that a verb can call, for its policy: those that
	// it needs, and those without which it says less.
	Actions func(verb string) (needed, optional []string)
	// FrozenActions are those of a verb that takes the keys from a snapshot, and
	// compares it with the deployed stacks or not.
	FrozenActions func(verb string, compares bool) (needed, optional []string)
	// Fill is plan.DefaultFill unless set.
	Fill    plan.Fill
	Version string

	// progress has the last line of Stderr while a reading is shown, and progressed
	// is told how far that is; nil before Run.
	progress   *progress.Printer
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

func (a advised) Unwrap() error { return a.error }

// Run runs the program and returns its exit status.
func (w *World) Run(ctx context.Context, args []string) int {
	root := w.root()
	defer func(stderr io.Writer) {
		if w.progress != nil {
			w.progress.Close()
		}
		w.Stderr, w.progress = stderr, nil
	}(w.Stderr)
	root.SetArgs(args)
	root.SetOut(w.Stdout)
	root.SetErr(w.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	var f *failure
	if !errors.As(err, &f) { // cobra's own: flags, arguments, verbs
		says := "says what it takes"
		if cmd.HasAvailableSubCommands() {
			says = "lists verbs and flags"
		}
		fmt.Fprintf(w.Stderr, "keywatch: error: %v\nkeywatch: hint: `%s --help` %s\n", err, cmd.CommandPath(), says)
		return ExitUsage
	}
	switch {
	case f.said:
	case ctx.Err() != nil && errors.Is(err, context.Canceled): // whichever request was under way then
		w.note("error", "interrupted; nothing was written")
	default:
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

// word is an argument of a command as a shell takes it.
func word(arg string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+={}"
	if arg != "" && strings.Trim(arg, plain) == "" {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
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
			w.note("notice", "not shown: %s", counted(len(problems)-i, "more problem"))
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

func (w *World) root() *cobra.Command {
	var o options
	var quiet bool
	root := &cobra.Command{
		Use:   "keywatch",
		Short: "anomaly alarms for every KMS key that matches a rule",
		Long: `keywatch reads the KMS keys of an account, matches each against rules on tags and on
what the key is, and deploys CloudWatch anomaly alarms on the usage of each key that
matches.

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
		w.progress = progress.New(w.Stderr, progress.ModeOf(quiet, w.Terminal), w.Now)
		w.progressed, w.Stderr = w.progress.Show, w.progress // whatever is said wipes its line
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
