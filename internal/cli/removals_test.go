package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"keywatch/internal/places"
)

// losing is an organisation in which two of three environments have alarms on
// keys that are gone: seven in eu-west-1, five in us-east-1.
func losing() *organisation {
	o := newOrganisation()
	open := o.Open
	o.Open = func(ctx context.Context, t Target) (Source, error) {
		source, err := open(ctx, t)
		st := places.Stack{Name: "keywatch-alarms-001", Status: "CREATE_COMPLETE", Deployment: "keywatch"}
		for n := range map[string]int{"eu-west-1": 7, "us-east-1": 5}[t.Region] {
			st.Resources = append(st.Resources, places.Resource{
				LogicalID: fmt.Sprintf("AlarmK9999999999999999999999999999%04dDecryptAnomalyImain", n), PhysicalID: fmt.Sprint(n),
				Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE",
			})
		}
		source.(*account).stacks = []places.Stack{st}
		return source, err
	}
	return o
}

const bothNumbers = "keywatch:allowRemoval=111122223333/eu-west-1:7,444455556666/us-east-1:5"

// Each environment has a number of its own, and what the messages say to write is
// what lets it through.
func TestRemovalsOfSeveralEnvironments(t *testing.T) {
	t.Parallel()
	o := losing()
	if status := o.Run(t.Context(), nil); status != ExitProblems || o.drawn != nil {
		t.Errorf("status %d, drawn %v", status, o.drawn)
	}
	for _, want := range []string{
		"say -c keywatch:allowRemoval=111122223333/eu-west-1:7; if not",
		"say -c keywatch:allowRemoval=444455556666/us-east-1:5; if not",
		"keywatch: hint: to confirm the removals of all environments: -c " + bothNumbers + "\nkeywatch: error: 2 problems; nothing was written\n",
	} {
		if !strings.Contains(o.stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, o.stderr.String())
		}
	}
	for name, args := range map[string][]string{
		"context":                  {"-c", bothNumbers},
		"flag":                     {"--allow-removal", strings.TrimPrefix(bothNumbers, "keywatch:allowRemoval="), "-c", "keywatch:allowRemoval=9"},
		"one of them alone, plain": {"-c", "keywatch:env=444455556666/us-east-1", "-c", "keywatch:allowRemoval=5"},
		"one of them alone, named": {"-c", "keywatch:env=444455556666/us-east-1", "-c", "keywatch:allowRemoval=444455556666/us-east-1:5"},
	} {
		o := losing()
		if status := o.Run(t.Context(), args); status != ExitOK {
			t.Errorf("%s: status %d\n%s", name, status, o.stderr.String())
		}
	}

	// One is confirmed: the next value must still hold it.
	o = losing()
	o.Run(t.Context(), []string{"-c", "keywatch:allowRemoval=111122223333/eu-west-1:7,444455556666/us-east-1:4"})
	if text := o.stderr.String(); !strings.Contains(text, "hint: to confirm the removals of all environments: -c "+bothNumbers+"\n") || strings.Count(text, "[mass-removal]") != 1 || !strings.Contains(text, "(it is 4, and only") {
		t.Errorf("stderr:\n%s", text)
	}
	// Of one alone the message itself says all.
	o = losing()
	o.Run(t.Context(), []string{"-c", "keywatch:env=444455556666/us-east-1"})
	if text := o.stderr.String(); !strings.Contains(text, "say -c keywatch:allowRemoval=5; if not") || strings.Contains(text, "hint") {
		t.Errorf("stderr:\n%s", text)
	}
}

func TestNumbersOfRemovalsThatNobodyCanMean(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		value string
		only  string
		says  string
	}{
		"a plain one for three":        {"7", "", "the value is 7, and this run has 3 environments; write ACCOUNT/REGION:N, several with commas between them, for example 111122223333/eu-west-1:7 [not-allowed]"},
		"no environment of the config": {"111122223333/eu-west-2:7", "", `this run has no environment 111122223333/eu-west-2 (did you mean "111122223333/eu-west-1"?); it has 111122223333/eu-west-1, 444455556666/us-east-1, 111122223333/cn-north-1 [unknown-environment]`},
		"one that is left out":         {"111122223333/eu-west-1:7", "444455556666/us-east-1", "this run has no environment 111122223333/eu-west-1; it has 444455556666/us-east-1 [unknown-environment]"},
		"one twice":                    {"111122223333/eu-west-1:7,111122223333/eu-west-1:7", "", "which names 111122223333/eu-west-1 twice; remove one"},
		"no number":                    {"111122223333/eu-west-1", "", "ACCOUNT/REGION:N"},
		"nothing":                      {"111122223333/eu-west-1:0", "", "ACCOUNT/REGION:N"},
		"mixed":                        {"7,111122223333/eu-west-1:7", "", "ACCOUNT/REGION:N"},
	}
	for name, tt := range tests {
		o := losing()
		args := []string{"-c", "keywatch:allowRemoval=" + tt.value}
		if tt.only != "" {
			args = append(args, "-c", "keywatch:env="+tt.only)
		}
		if status := o.Run(t.Context(), args); status != ExitProblems || len(o.opened) > 0 || !strings.Contains(o.stderr.String(), "context keywatch:allowRemoval: ") || !strings.Contains(o.stderr.String(), tt.says) {
			t.Errorf("%s: status %d, opened %v, stderr lacks %q:\n%s", name, status, o.opened, tt.says, o.stderr.String())
		}
	}
	o := losing()
	if status := o.Run(t.Context(), []string{"--allow-removal", "7"}); status != ExitProblems || !strings.Contains(o.stderr.String(), "--allow-removal: the value is 7, and this run has 3 environments") {
		t.Errorf("status %d\n%s", status, o.stderr.String())
	}
}

// Which account the credentials are of is known only once they were asked.
func TestRemovalsOfTheEnvironmentOfTheCLI(t *testing.T) {
	t.Parallel()
	run := func(value string) (int, string) {
		o := losing()
		o.config = "version: 1\nrules: [{name: all, match: every, operations: [Decrypt]}]\n"
		open := o.Open
		o.Open = func(ctx context.Context, t Target) (Source, error) {
			t.Region = "us-east-1" // the SDK's
			return open(ctx, t)
		}
		return o.Run(t.Context(), []string{"-c", "keywatch:allowRemoval=" + value}), o.stderr.String()
	}
	for _, value := range []string{"5", "444455556666/us-east-1:5"} {
		if status, text := run(value); status != ExitOK {
			t.Errorf("%s: status %d\n%s", value, status, text)
		}
	}
	if status, text := run("111122223333/us-east-1:5"); status != ExitProblems || !strings.Contains(text, "this run has no environment 111122223333/us-east-1") {
		t.Errorf("status %d\n%s", status, text)
	}
}
