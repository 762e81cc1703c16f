package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/places"
	"keywatch/internal/progress"
)

// account is a Source with one key.
type account struct {
	target  Target
	id      string
	failing error
	stacks  []places.Stack
	reading func(Target) // while the keys are read, or nil
	alarms  error        // of reading those
}

func (a *account) Region() string { return a.target.Region }

func (a *account) Caller(context.Context) (inventory.Caller, error) {
	return inventory.Caller{Account: a.id, Partition: "aws", ARN: "arn:aws:iam::" + a.id + ":user/tester"}, nil
}

func (a *account) Inventory(context.Context, inventory.Need) (*inventory.Inventory, error) {
	if a.reading != nil {
		a.reading(a.target)
	}
	if a.failing != nil {
		return nil, a.failing
	}
	const id = "11111111-1111-1111-1111-111111111111"
	partition := "aws"
	if strings.HasPrefix(a.target.Region, "cn-") {
		partition = "aws-cn"
	}
	return &inventory.Inventory{
		Account: a.id, Region: a.target.Region, Partition: partition, ReadAt: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		Keys: []inventory.Key{{
			ARN: fmt.Sprintf("arn:%s:kms:%s:%s:key/%s", partition, a.target.Region, a.id, id), ID: id, Described: true,
			Aliases: []inventory.Alias{{Name: "alias/" + a.target.Region}}, Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT",
		}},
	}, nil
}

func (a *account) Alarms(context.Context) ([]coverage.Alarm, error) { return nil, a.alarms }
func (a *account) Stacks(context.Context) ([]places.Stack, error)   { return a.stacks, nil }

func (a *account) Trails(context.Context) ([]inventory.Trail, error)    { return nil, nil }
func (a *account) Dashboards(context.Context, string) ([]string, error) { return nil, nil }

// organisation is a world with three environments.
type organisation struct {
	World
	stdout, stderr bytes.Buffer
	mu             sync.Mutex
	opened         map[string]Target // by region
	failing        map[string]error  // by region
	reading        func(Target)      // or nil
	alarms         error
	drawn          []spec.Deployment
	config         string
}

const threeEnvironments = `version: 1
environments:
  - {account: "111122223333", region: eu-west-1, role: cdk-lookup}
  - {account: "444455556666", region: us-east-1, role: "arn:{partition}:iam::{account}:role/reader-{region}"}
  - {account: "111122223333", region: cn-north-1, role: cdk-lookup}
rules:
  - {name: all, match: every, operations: [Decrypt], actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}}
`

func newOrganisation() *organisation {
	o := &organisation{opened: map[string]Target{}, failing: map[string]error{}, config: threeEnvironments}
	o.World = World{
		Stdout: &o.stdout, Stderr: &o.stderr,
		Getenv: func(string) string { return "" },
		ReadFile: func(path string) ([]byte, error) {
			if path == "keywatch.yaml" {
				return []byte(o.config), nil
			}
			return nil, fs.ErrNotExist
		},
		Open: func(_ context.Context, t Target) (Source, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.opened[t.Region] = t
			id := "111122223333"
			if t.Region == "us-east-1" {
				id = "444455556666"
			}
			return &account{target: t, id: id, failing: o.failing[t.Region], reading: o.reading, alarms: o.alarms}, nil
		},
		Synth: func(_ context.Context, d []spec.Deployment, _ string) error { o.drawn = d; return nil },
		Now:   func() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) },
	}
	return o
}

func TestEnvironmentsAreReadWithTheirRoles(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	if status := o.Run(t.Context(), nil); status != ExitOK {
		t.Fatalf("status %d\n%s", status, o.stderr.String())
	}
	for region, want := range map[string]string{
		"eu-west-1":  "arn:aws:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333-eu-west-1",
		"us-east-1":  "arn:aws:iam::444455556666:role/reader-us-east-1",
		"cn-north-1": "arn:aws-cn:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333-cn-north-1",
	} {
		if got := o.opened[region].Role; got != want {
			t.Errorf("%s is read as %q, want %q", region, got, want)
		}
	}
	if len(o.drawn) != 3 {
		t.Fatalf("%d deployments drawn, want 3", len(o.drawn))
	}
	// In the order of the config, each with ARNs of its own partition.
	for i, want := range []string{"arn:aws:sns:eu-west-1:111122223333:pager", "arn:aws:sns:us-east-1:444455556666:pager", "arn:aws-cn:sns:cn-north-1:111122223333:pager"} {
		if got := o.drawn[i].Shards[0].Units[0].Alarms[0].Actions.Alarm[0]; got != want {
			t.Errorf("deployment %d notifies %s, want %s", i, got, want)
		}
	}
	// Neither stack names nor logical IDs know how many environments there are.
	alone := newOrganisation()
	if status := alone.Run(t.Context(), []string{"-c", "keywatch:env=444455556666/us-east-1"}); status != ExitOK {
		t.Fatalf("status %d\n%s", status, alone.stderr.String())
	}
	if len(alone.drawn) != 1 || fmt.Sprint(alone.drawn[0].Shards) != fmt.Sprint(o.drawn[1].Shards) {
		t.Errorf("alone:\n%v\namong three:\n%v", alone.drawn, o.drawn[1])
	}
}

func TestOneFailedEnvironmentFailsTheRunAndAllFailuresAreReported(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	o.failing["eu-west-1"] = errors.New("list keys in eu-west-1: denied")
	o.failing["cn-north-1"] = errors.New("list keys in cn-north-1: expired")
	if status := o.Run(t.Context(), nil); status != ExitEnvironment {
		t.Errorf("status %d, want %d", status, ExitEnvironment)
	}
	if o.drawn != nil {
		t.Errorf("drawn: %v", o.drawn)
	}
	const want = `keywatch: notice: 111122223333/eu-west-1:
keywatch: error: inventory: list keys in eu-west-1: denied
keywatch: notice: 111122223333/cn-north-1:
keywatch: error: inventory: list keys in cn-north-1: expired
keywatch: error: 2 of 3 environments could not be read; nothing goes on with the others alone
`
	if got := o.stderr.String(); got != want {
		t.Errorf("stderr:\n%s\nwant:\n%s", got, want)
	}
}

// Each failure keeps its hint, and a remark on the config is made once, not per
// environment.
func TestWrongAccountsAreNamedWithTheirHint(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	o.config = strings.Replace(o.config, `account: "444455556666"`, `account: "999988887777"`, 1)
	o.config = strings.Replace(o.config, `, actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}`, "", 1)
	if status := o.Run(t.Context(), nil); status != ExitEnvironment {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"the account is 999988887777 by keywatch.yaml:4:5, but the credentials of this process are of 444455556666", "hint: set AWS_PROFILE to credentials of that account"} {
		if !strings.Contains(o.stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, o.stderr.String())
		}
	}
	o = newOrganisation()
	o.config = strings.Replace(o.config, `, actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}`, "", 1)
	o.Run(t.Context(), nil)
	if n := strings.Count(o.stderr.String(), "[no-actions]"); n != 1 {
		t.Errorf("the remark on the config is made %d times:\n%s", n, o.stderr.String())
	}
}

func TestAProblemInOneEnvironmentStopsAll(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	o.config = strings.Replace(o.config, "arn:{partition}:sns:{region}", "arn:{partition}:sns:us-east-1", 1)
	if status := o.Run(t.Context(), nil); status != ExitProblems || o.drawn != nil {
		t.Errorf("status %d, drawn %v", status, o.drawn)
	}
	for _, want := range []string{"notice: 111122223333/eu-west-1:", "region us-east-1", "2 problems; nothing was written"} {
		if !strings.Contains(o.stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, o.stderr.String())
		}
	}
}

func TestChoosingEnvironments(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	if status := o.Run(t.Context(), []string{"plan", "-c", "keywatch:env=111122223333/eu-west-1,444455556666/us-east-1"}); status != ExitOK {
		t.Fatalf("status %d\n%s", status, o.stderr.String())
	}
	if len(o.opened) != 2 {
		t.Errorf("opened %v, want two", o.opened)
	}
	for _, args := range [][]string{{"-c", "keywatch:env=111122223333/eu-west-2"}, {"-c", "keywatch:env=eu-west-1"}} {
		o := newOrganisation()
		if status := o.Run(t.Context(), args); status != ExitProblems || len(o.opened) > 0 {
			t.Errorf("%v: status %d, opened %v\n%s", args, status, o.opened, o.stderr.String())
		}
	}
}

func TestRatesOfTheConfigReachTheReader(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	o.config += "inventory: {rates: {DescribeKey: 100, GetResources: 2.5}}\n"
	if status := o.Run(t.Context(), []string{"plan"}); status != ExitOK {
		t.Fatalf("status %d\n%s", status, o.stderr.String())
	}
	want := map[string]float64{"kms:DescribeKey": 100, "tag:GetResources": 2.5}
	for region, target := range o.opened {
		if !maps.Equal(target.Rates, want) {
			t.Errorf("%s: rates %v, want %v", region, target.Rates, want)
		}
	}
}

func TestJSONOfSeveralEnvironments(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	if status := o.Run(t.Context(), []string{"coverage", "--format", "json"}); status != ExitProblems {
		t.Errorf("status %d, want the gate to fail: nothing is deployed", status)
	}
	var got struct {
		SchemaVersion int
		Environments  []struct {
			Account, Region string
			Keys            []struct{ Status string }
		}
	}
	if err := json.Unmarshal(o.stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, o.stdout.String())
	}
	if got.SchemaVersion != 1 || len(got.Environments) != 3 || got.Environments[1].Account != "444455556666" || got.Environments[1].Keys[0].Status != "not-covered" {
		t.Errorf("%+v", got)
	}
}

func TestExplainLooksInEveryEnvironment(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	if status := o.Run(t.Context(), []string{"explain", "alias/us-east-1"}); status != ExitOK || !strings.Contains(o.stdout.String(), "us-east-1:444455556666:key/") || strings.Contains(o.stdout.String(), "eu-west-1:111122223333:key/") {
		t.Errorf("status %d\n%s%s", status, o.stdout.String(), o.stderr.String())
	}
	o = newOrganisation()
	if status := o.Run(t.Context(), []string{"explain", "alias/nowhere"}); status != ExitProblems || !strings.Contains(o.stderr.String(), `no key of 111122223333 in eu-west-1, 444455556666 in us-east-1, 111122223333 in cn-north-1 has the ID, ARN or alias "alias/nowhere"`) {
		t.Errorf("status %d\n%s", status, o.stderr.String())
	}
}

func TestProgressOfOneAndOfSeveralEnvironmentsAndNotWhenQuiet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string // "" for nothing
	}{
		{[]string{"plan", "-c", "keywatch:env=444455556666/us-east-1"}, "\rkeywatch: reading tags: 7"},
		{[]string{"plan", "-q", "-c", "keywatch:env=444455556666/us-east-1"}, ""},
		{[]string{"plan"}, "\rkeywatch: 0 of 3 environments read; reading tags: 7"},
		{[]string{"snapshot", "-o", intoFolders}, "\rkeywatch: 0 of 3 environments read; reading tags: 7"},
		{[]string{"plan", "-q"}, ""},
	} {
		o := newOrganisation()
		frozenFiles(o, "")
		o.Terminal = true
		var once sync.Once
		var all sync.WaitGroup
		all.Add(3)
		o.reading = func(t Target) {
			once.Do(func() { t.Progress(progress.Progress{Stage: "reading tags", Done: 7}) })
			if strings.Contains(tt.want, "of 3") { // nobody is through before
				all.Done()
				all.Wait()
			}
			t.Progress(progress.Progress{Stage: "reading tags", Ended: true})
		}
		o.Run(t.Context(), tt.args)
		if got := o.stderr.String(); tt.want == "" && strings.Contains(got, "\r") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v: stderr is %q, want it to begin with %q", tt.args, got, tt.want)
		}
	}
}

// A notice in the midst of a reading has a line of its own.
func TestANoticeIsNotGluedToTheProgress(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	o.Terminal = true
	o.reading = func(t Target) {
		t.Progress(progress.Progress{Stage: "a", Done: 1})
		t.Notice("tags are read key by key")
	}
	o.Run(t.Context(), []string{"plan", "-c", "keywatch:env=444455556666/us-east-1"})
	const line = "\rkeywatch: a: 1"
	if want := line + "\r" + strings.Repeat(" ", len(line)-1) + "\rkeywatch: notice: tags are read key by key\n"; !strings.HasPrefix(o.stderr.String(), want) {
		t.Errorf("got  %q\nwant %q", o.stderr.String(), want)
	}
}

// The deadline of the run is named with its value and where that comes from, and
// how to raise it; which request it was that came last is nobody's fault.
func TestTheDeadlineIsNamed(t *testing.T) {
	t.Parallel()
	for by, tt := range map[string]struct {
		config string
		args   []string
	}{
		"1s by context keywatch:inventory.timeout": {"", []string{"-c", "keywatch:inventory.timeout=1s"}},
		"90s by keywatch.yaml:8:22":                {"inventory: {timeout: 90s}\n", nil},
		"30m by default":                           {"", nil},
	} {
		want := "keywatch: error: the reading was not finished within inventory.timeout, which is " + strings.Replace(by, "90s", "1m30s", 1) + "; nothing goes on with a part of it\n" +
			"keywatch: hint: raise it, for one run with -c keywatch:inventory.timeout=DURATION, up to 24h, or repeat the command when less else uses the account's request quotas\n"
		for _, verb := range [][]string{nil, {"plan"}, {"coverage"}, {"explain", "alias/x"}, {"snapshot", "-o", intoFolders}, {"init", "-o", "-"}} {
			o := newOrganisation()
			o.config += tt.config
			o.failing["us-east-1"] = fmt.Errorf("describe key 00000031: %w", inventory.ErrTooLong)
			if status := o.Run(t.Context(), slices.Concat(verb, tt.args, []string{"-c", "keywatch:env=444455556666/us-east-1"})); status != ExitEnvironment || o.stderr.String() != want {
				t.Errorf("%v: status %d\n%s\nwant\n%s", verb, status, o.stderr.String(), want)
			}
		}
		o := newOrganisation()
		o.config += tt.config
		o.alarms = fmt.Errorf("describe alarms: %w", inventory.ErrTooLong)
		if o.Run(t.Context(), slices.Concat([]string{"coverage", "-c", "keywatch:env=444455556666/us-east-1"}, tt.args)); o.stderr.String() != want {
			t.Errorf("while alarms are read:\n%s\nwant\n%s", o.stderr.String(), want)
		}
		o = newOrganisation()
		o.config += tt.config
		o.failing["us-east-1"] = fmt.Errorf("describe key 00000031: %w", inventory.ErrTooLong)
		if o.Run(t.Context(), slices.Concat([]string{"plan"}, tt.args)); !strings.Contains(o.stderr.String(), "notice: 444455556666/us-east-1:\n"+want) {
			t.Errorf("of three environments:\n%s\nwant\n%s", o.stderr.String(), want)
		}
	}
}

// A request that had no answer in time is no deadline of the run.
func TestARequestThatTimesOutIsNoDeadline(t *testing.T) {
	t.Parallel()
	c := &config.Config{}
	over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	slow := fmt.Errorf("list stacks: %w", context.DeadlineExceeded)
	if err := late(t.Context(), c, slow); err != slow {
		t.Errorf("got %v", err)
	}
	if err := late(over, c, slow); err == nil || !strings.Contains(err.Error(), "inventory.timeout") {
		t.Errorf("after the deadline: %v", err)
	}
	denied := errors.New("denied")
	if err := late(over, c, denied); err != denied {
		t.Errorf("got %v", err)
	}
}

// Whoever ends a reading hears that, once, and not which of many requests was
// under way then.
func TestAnInterruptedReadingSaysSo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"plan"}, {"coverage", "-c", "keywatch:env=444455556666/us-east-1"}, {"snapshot", "-o", intoFolders}, {"explain", "alias/x"}} {
		o := newOrganisation()
		files := frozenFiles(o, "")
		ctx, cancel := context.WithCancel(t.Context())
		o.reading = func(Target) { cancel() }
		for _, region := range []string{"eu-west-1", "us-east-1", "cn-north-1"} {
			o.failing[region] = fmt.Errorf("describe key 00000031: %w", context.Canceled)
		}
		if status := o.Run(ctx, args); status != ExitEnvironment || o.stderr.String() != "keywatch: error: interrupted; nothing was written\n" || len(files) > 0 || o.drawn != nil {
			t.Errorf("%v: status %d, files %v\n%s", args, status, files, o.stderr.String())
		}
	}
	// Nor while a file is read that may never end.
	for _, path := range []string{"keywatch.yaml", "cdk.json", "cdk.context.json"} {
		o := newOrganisation()
		ctx, cancel := context.WithCancel(t.Context())
		read := o.ReadFile
		o.ReadFile = func(name string) ([]byte, error) {
			if name == path {
				cancel()
				return nil, ctx.Err()
			}
			return read(name)
		}
		if status := o.Run(ctx, []string{"validate"}); status != ExitEnvironment || o.stderr.String() != "keywatch: error: interrupted; nothing was written\n" {
			t.Errorf("%s: status %d\n%s", path, status, o.stderr.String())
		}
	}
}

func TestAnInterruptedSynthIsNoSuccess(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	ctx, cancel := context.WithCancel(t.Context())
	o.Synth = func(ctx context.Context, _ []spec.Deployment, _ string) error { cancel(); return ctx.Err() }
	if status := o.Run(ctx, nil); status != ExitEnvironment || !strings.Contains(o.stderr.String(), "canceled") {
		t.Errorf("status %d\n%s", status, o.stderr.String())
	}
}
