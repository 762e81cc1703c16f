package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"keywatch/internal/places"
)

// abandoned is an organisation with dashboards, and with stacks in regions that
// the config does not list.
type abandoned struct {
	*organisation
	dashboards map[string][]string       // by account
	denied     map[string]error          // by account: the dashboards
	stacks     map[string][]places.Stack // by region
	unread     map[string]error          // by region: the stacks
	asked      []string                  // whose dashboards, by region
}

type abandonedAccount struct {
	*account
	world *abandoned
}

func (a abandonedAccount) Dashboards(_ context.Context, prefix string) ([]string, error) {
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	a.world.asked = append(a.world.asked, a.target.Region+" "+prefix)
	return a.world.dashboards[a.id], a.world.denied[a.id]
}

func (a abandonedAccount) Stacks(context.Context) ([]places.Stack, error) {
	return a.world.stacks[a.target.Region], a.world.unread[a.target.Region]
}

func newAbandoned() *abandoned {
	a := &abandoned{organisation: newOrganisation(), denied: map[string]error{}, unread: map[string]error{}}
	a.config = strings.Replace(a.config, "rules:", "  - {account: \"111122223333\", region: eu-west-2}\nrules:", 1)
	a.dashboards = map[string][]string{
		"111122223333": {"keywatch-eu-west-1", "keywatch-eu-west-3", "keywatch-sa-east-1", "keywatch-team-eu-north-1", "keywatch-us-gov-west-1"},
		"444455556666": {"keywatch-us-east-1"},
	}
	ours := func(region, name string) places.Stack {
		return places.Stack{Name: name, Status: "CREATE_COMPLETE", Deployment: "keywatch", Resources: []places.Resource{{LogicalID: "X" + region}}}
	}
	a.stacks = map[string][]places.Stack{
		"eu-west-3": {ours("eu-west-3", "keywatch-dashboard"), ours("eu-west-3", "keywatch-alarms-001"), {Name: "team-b-alarms-001", Status: "CREATE_COMPLETE", Deployment: "team-b"}},
	}
	open := a.Open
	a.Open = func(ctx context.Context, t Target) (Source, error) {
		source, err := open(ctx, t)
		if err != nil {
			return nil, err
		}
		return abandonedAccount{source.(*account), a}, nil
	}
	return a
}

const leftInParis = "keywatch: warning: the config does not list 111122223333/eu-west-3 (any more), and stacks of this deployment are left there, which nothing updates or removes: keywatch-alarms-001, keywatch-dashboard; list the environment again, or remove them with " +
	"`aws cloudformation delete-stack --stack-name keywatch-alarms-001 --region eu-west-3`, `aws cloudformation delete-stack --stack-name keywatch-dashboard --region eu-west-3` [environment-left]\n"

// Each account is asked once; only what is ours, in a region of the partition
// that the config does not list, is looked at and reported.
func TestStacksOfARemovedEnvironmentAreReported(t *testing.T) {
	t.Parallel()
	for _, verb := range [][]string{nil, {"plan"}} {
		a := newAbandoned()
		if status := a.Run(t.Context(), verb); status != ExitOK {
			t.Fatalf("%v: status %d\n%s", verb, status, a.stderr.String())
		}
		if said := a.stderr.String(); strings.Count(said, leftInParis) != 1 || strings.Count(said, "environment-left") != 1 {
			t.Errorf("%v says:\n%s\nwant once, and no other:\n%s", verb, said, leftInParis)
		}
		slices.Sort(a.asked)
		if want := []string{"cn-north-1 keywatch-", "eu-west-1 keywatch-", "us-east-1 keywatch-"}; !slices.Equal(a.asked, want) {
			t.Errorf("%v asks for dashboards: %v, want once per account and partition, %v", verb, a.asked, want)
		}
		// The role of the account's first environment, whatever region is in its name.
		if got := a.opened["eu-west-3"].Role; got != "arn:aws:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333-eu-west-1" {
			t.Errorf("eu-west-3 is read as %q", got)
		}
		for _, region := range []string{"team-eu-north-1", "eu-north-1", "us-gov-west-1"} {
			if _, opened := a.opened[region]; opened {
				t.Errorf("%s is opened", region)
			}
		}
	}
}

func TestStacksOfARemovedEnvironmentAreInTheReport(t *testing.T) {
	t.Parallel()
	a := newAbandoned()
	a.Run(t.Context(), []string{"plan", "--format", "json"})
	var got struct {
		Environments []struct{ Problems []string }
	}
	if err := json.Unmarshal(a.stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(fmt.Sprint(got.Environments[0].Problems), "[environment-left]") {
		t.Errorf("%+v", got)
	}
}

// What cannot be looked at is said, once for what is denied, and fails nothing.
func TestRemovedEnvironmentsThatCannotBeLookedAt(t *testing.T) {
	t.Parallel()
	a := newAbandoned()
	a.Hint = func(error) string { return "allow cloudwatch:ListDashboards" }
	a.denied["444455556666"] = errors.New("list dashboards: denied")
	a.unread["sa-east-1"] = errors.New("describe stacks: denied")
	if status := a.Run(t.Context(), nil); status != ExitOK || a.drawn == nil {
		t.Errorf("status %d, drawn %v", status, a.drawn)
	}
	for _, want := range []string{
		leftInParis,
		"keywatch: notice: stacks of environments that were taken out of the config were not looked for in 444455556666: list dashboards: denied\nkeywatch: hint: allow cloudwatch:ListDashboards\n",
		"keywatch: warning: dashboard keywatch-sa-east-1 says that this deployment was in 111122223333/sa-east-1, which the config does not list (any more), and nobody can say what is left there: describe stacks: denied; list the environment again, or look with `aws cloudformation describe-stacks --region sa-east-1` [environment-left]\n",
	} {
		if strings.Count(a.stderr.String(), want) != 1 {
			t.Errorf("stderr lacks %q:\n%s", want, a.stderr.String())
		}
	}

	a = newAbandoned()
	for _, account := range []string{"111122223333", "444455556666"} {
		a.denied[account] = errors.New("list dashboards: denied")
	}
	if status := a.Run(t.Context(), nil); status != ExitOK || strings.Count(a.stderr.String(), "were not looked for in 111122223333, 444455556666, ") != 1 {
		t.Errorf("status %d\n%s", status, a.stderr.String())
	}
}

// Who takes a part of the environments says that nobody looked; who has none
// listed, and the verbs that look at keys, ask and say nothing.
func TestWhoDoesNotLookForRemovedEnvironments(t *testing.T) {
	t.Parallel()
	const some = "keywatch: notice: stacks of environments that were taken out of the config were not looked for: this run takes only some of the environments\n"
	for name, run := range map[string]struct {
		args []string
		edit func(*abandoned)
		says string
	}{
		"one environment": {args: []string{"plan", "--quiet", "-c", "keywatch:env=111122223333/eu-west-1"}, says: some},
		"explain":         {args: []string{"explain", "alias/eu-west-1"}},
		"coverage":        {args: []string{"coverage"}},
		"of the CDK CLI": {args: []string{"plan"}, edit: func(a *abandoned) {
			a.config = "version: 1\nrules: [{name: all, match: every}]\n"
		}},
	} {
		a := newAbandoned()
		if run.edit != nil {
			run.edit(a)
		}
		a.Run(t.Context(), run.args)
		if len(a.opened) == 0 || len(a.asked) > 0 || strings.Contains(a.stderr.String(), "environment-left") {
			t.Errorf("%s: opened %v, asked %v\n%s", name, a.opened, a.asked, a.stderr.String())
		}
		if strings.Count(a.stderr.String(), "not looked for") != strings.Count(run.says, "\n") || !strings.Contains(a.stderr.String(), run.says) {
			t.Errorf("%s says:\n%s\nwant %q", name, a.stderr.String(), run.says)
		}
	}
}

// Without a dashboard there is no trace of an environment; older ones may have left
// one.
func TestRemovedEnvironmentsWithoutADashboard(t *testing.T) {
	t.Parallel()
	a := newAbandoned()
	a.config += "dashboard: off\n"
	if status := a.Run(t.Context(), []string{"plan"}); status != ExitOK {
		t.Errorf("status %d", status)
	}
	const want = "keywatch: notice: stacks of environments that were taken out of the config were not looked for where they have no dashboard: they are found by it, and the config makes none (dashboard: off)\n"
	if said := a.stderr.String(); strings.Count(said, want) != 1 || strings.Count(said, leftInParis) != 1 {
		t.Errorf("it says:\n%s", said)
	}
}

// A snapshot that is compared has somebody to ask; whose is not says so, once for
// each account of which no other one is.
func TestRemovedEnvironmentsOfSnapshots(t *testing.T) {
	t.Parallel()
	a := newAbandoned()
	files := frozenFiles(a.organisation, "")
	if status := a.Run(t.Context(), []string{"snapshot", "-o", intoFolders}); status != ExitOK || len(files) != 4 {
		t.Fatalf("status %d, %d files\n%s", status, len(files), a.stderr.String())
	}
	a.config = strings.Replace(a.config, "version: 1\n", "version: 1\ninventory: {source: snapshot, path: \""+intoFolders+"\"}\n", 1)
	a.stderr.Reset()
	if status := a.Run(t.Context(), nil); status != ExitOK || strings.Count(a.stderr.String(), leftInParis) != 1 {
		t.Errorf("status %d\n%s", status, a.stderr.String())
	}
	if slices.Sort(a.asked); !slices.Equal(a.asked, []string{"cn-north-1 keywatch-", "eu-west-1 keywatch-", "us-east-1 keywatch-"}) {
		t.Errorf("asked for dashboards: %v", a.asked)
	}
	a.stderr.Reset()
	a.asked = nil
	if status := a.Run(t.Context(), []string{"-c", "keywatch:inventory.compare=never"}); status != ExitOK || len(a.asked) > 0 {
		t.Errorf("status %d, asked %v", status, a.asked)
	}
	const want = "keywatch: notice: stacks of environments that were taken out of the config were not looked for in 111122223333, 444455556666: the snapshot was not compared with what is deployed\n"
	if said := a.stderr.String(); strings.Count(said, want) != 1 || strings.Contains(said, "environment-left") {
		t.Errorf("it says:\n%s", said)
	}
}

func TestAnInterruptedLookForRemovedEnvironmentsEndsTheRun(t *testing.T) {
	t.Parallel()
	a := newAbandoned()
	ctx, cancel := context.WithCancel(t.Context())
	open := a.Open
	a.Open = func(ctx context.Context, t Target) (Source, error) {
		if t.Region == "eu-west-3" { // the first that is not in the config
			cancel()
			return nil, ctx.Err()
		}
		return open(ctx, t)
	}
	if status := a.Run(ctx, nil); status != ExitEnvironment || a.drawn != nil || a.stderr.String() != "keywatch: error: interrupted; nothing was written\n" {
		t.Errorf("status %d, drawn %v\n%s", status, a.drawn, a.stderr.String())
	}
}
