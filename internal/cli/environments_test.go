package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

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
}

func (a *account) Region() string { return a.target.Region }

func (a *account) Caller(context.Context) (inventory.Caller, error) {
	return inventory.Caller{Account: a.id, Partition: "aws", ARN: "arn:aws:iam::" + a.id + ":user/tester"}, nil
}

func (a *account) Inventory(context.Context, inventory.Need) (*inventory.Inventory, error) {
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

func (a *account) Alarms(context.Context) ([]coverage.Alarm, error) { return nil, nil }
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
			return &account{target: t, id: id, failing: o.failing[t.Region]}, nil
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

func TestProgressIsForOneEnvironmentAndNotWhenQuiet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{[]string{"plan", "-c", "keywatch:env=444455556666/us-east-1"}, true},
		{[]string{"plan", "-q", "-c", "keywatch:env=444455556666/us-east-1"}, false},
		{[]string{"plan"}, false},
	} {
		o := newOrganisation()
		o.Terminal = true
		o.Run(t.Context(), tt.args)
		show := o.opened["us-east-1"].Progress
		if show != nil {
			show(progress.Progress{Stage: "reading keys", Done: 7})
		}
		if got := strings.Contains(o.stderr.String(), "reading keys: 7"); got != tt.want {
			t.Errorf("%v: progress shown: %v, want %v", tt.args, got, tt.want)
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
