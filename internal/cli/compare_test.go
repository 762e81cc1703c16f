package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/places"
	"keywatch/internal/plan"
)

// snapshotWorld is a world whose config takes a snapshot: files, an account with keys
// and stacks, and whose credentials there are.
type snapshotWorld struct {
	World
	stdout, stderr bytes.Buffer
	files          map[string][]byte
	env            map[string]string
	clock          time.Time // a minute later with each run
	caller         string    // the account of the credentials
	keys           []inventory.Key
	stacks         []places.Stack
	failing        error // of Caller
	denied         error // of Stacks
	dashboards     []string
	opened         []Target
	drawn          []spec.Deployment
	trails         bool // were asked for
}

const snapshotFile = "111122223333.json"

const comparedConfig = `version: 1
environments: [{account: "111122223333", region: eu-west-1}]
inventory: {source: snapshot, path: "{account}.json"}
rules:
  - {name: all, match: {tag: team, exists: true}, operations: [Decrypt], actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}}
`

func newSnapshotWorld(keys int) *snapshotWorld {
	f := &snapshotWorld{files: map[string][]byte{"keywatch.yaml": []byte(comparedConfig)}, caller: "111122223333"}
	for i := range keys {
		f.keys = append(f.keys, frozenKey(i))
	}
	f.clock = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	f.World = World{
		Stdout: &f.stdout, Stderr: &f.stderr,
		Now:    func() time.Time { return f.clock },
		Getenv: func(name string) string { return f.env[name] },
		ReadFile: func(path string) ([]byte, error) {
			if data, there := f.files[path]; there {
				return data, nil
			}
			return nil, fs.ErrNotExist
		},
		WriteFile: func(path string, data []byte) error { f.files[path] = data; return nil },
		Open: func(_ context.Context, t Target) (Source, error) {
			f.opened = append(f.opened, t)
			return snapshotSource{f}, nil
		},
		Hint:  func(error) string { return "the hint of the reader" },
		Synth: func(_ context.Context, d []spec.Deployment, _ string) error { f.drawn = d; return nil },
	}
	return f
}

func frozenKey(n int) inventory.Key {
	id := fmt.Sprintf("11111111-1111-1111-1111-%012d", n)
	return inventory.Key{
		ARN: "arn:aws:kms:eu-west-1:111122223333:key/" + id, ID: id, Described: true, Tags: []inventory.Tag{{Key: "team", Value: "a"}},
		Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS", Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

type snapshotSource struct{ f *snapshotWorld }

func (snapshotSource) Region() string { return "eu-west-1" }
func (s snapshotSource) Dashboards(context.Context, string) ([]string, error) {
	return s.f.dashboards, nil
}
func (s snapshotSource) Trails(context.Context) ([]inventory.Trail, error) {
	s.f.trails = true
	return nil, nil
}
func (s snapshotSource) Caller(context.Context) (inventory.Caller, error) {
	return inventory.Caller{Account: s.f.caller, Partition: "aws", ARN: "arn:aws:iam::" + s.f.caller + ":user/tester"}, s.f.failing
}
func (s snapshotSource) Inventory(context.Context, inventory.Need) (*inventory.Inventory, error) {
	return &inventory.Inventory{Account: s.f.caller, Region: "eu-west-1", Partition: "aws", ReadAt: s.f.Now(), Keys: slices.Clone(s.f.keys)}, s.f.denied
}
func (s snapshotSource) Alarms(context.Context) ([]coverage.Alarm, error) { return nil, nil }
func (s snapshotSource) Stacks(context.Context) ([]places.Stack, error) {
	return s.f.stacks, s.f.denied
}

// run is a run of its own: what earlier ones said and drew is gone.
func (f *snapshotWorld) run(t *testing.T, args ...string) int {
	t.Helper()
	f.stdout.Reset()
	f.stderr.Reset()
	f.opened, f.drawn, f.trails = nil, nil, false
	f.clock = f.clock.Add(time.Minute)
	return f.Run(t.Context(), args)
}

func (f *snapshotWorld) must(t *testing.T, args ...string) {
	t.Helper()
	if status := f.run(t, args...); status != ExitOK {
		t.Fatalf("%q: status %d\n%s", args, status, f.stderr.String())
	}
}

// deploy synthesises and does with the stacks what CloudFormation would: an alarm
// that stays as it is keeps its time.
func (f *snapshotWorld) deploy(t *testing.T, args ...string) {
	t.Helper()
	f.must(t, args...)
	changed := map[string]time.Time{}
	for _, st := range f.stacks {
		for _, r := range st.Resources {
			changed[r.LogicalID+r.PhysicalID] = r.Changed
		}
	}
	now := f.clock.Add(time.Second)
	for _, shard := range f.drawn[0].Shards {
		st := places.Stack{Name: shard.StackName, Status: "UPDATE_COMPLETE", Deployment: "keywatch"}
		for _, u := range shard.Units {
			for _, a := range u.Alarms {
				r := places.Resource{LogicalID: a.ID, PhysicalID: a.Name, Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE", Changed: now}
				if then, there := changed[a.ID+a.Name]; there {
					r.Changed = then
				}
				st.Resources = append(st.Resources, r)
			}
		}
		f.stacks = append(slices.DeleteFunc(f.stacks, func(old places.Stack) bool { return old.Name == st.Name }), st)
	}
}

func (f *snapshotWorld) edit(from, to string) {
	f.files["keywatch.yaml"] = []byte(strings.Replace(string(f.files["keywatch.yaml"]), from, to, 1))
}

// stops runs synth, which must end with a status, say all of it, and draw nothing.
func (f *snapshotWorld) stops(t *testing.T, status int, args []string, says ...string) {
	t.Helper()
	if got := f.run(t, args...); got != status || f.drawn != nil {
		t.Errorf("%q: status %d, want %d; drawn %v", args, got, status, f.drawn != nil)
	}
	for _, want := range says {
		if !strings.Contains(f.stderr.String(), want) {
			t.Errorf("%q: stderr lacks %q:\n%s", args, want, f.stderr.String())
		}
	}
}

// What people do from day to day goes through, with the stacks looked at.
func TestFromASnapshotToADeployAndOn(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(12)
	insist := []string{"-c", "keywatch:inventory.compare=always"}
	f.must(t, "snapshot")
	f.deploy(t, insist...)
	f.deploy(t, insist...) // twice
	f.must(t, "plan")
	if !strings.Contains(f.stdout.String(), "12 alarms") || strings.Contains(f.stdout.String(), "Keys that lose") {
		t.Errorf("plan of what is deployed:\n%s", f.stdout.String())
	}

	// A key goes and one comes: refresh, deploy, refresh.
	f.keys = append(f.keys[1:], frozenKey(12))
	f.must(t, "snapshot")
	f.must(t, "plan")
	if want := "Alarms compared with what is deployed: 1 new, 1 removed, 0 renamed."; !strings.Contains(f.stdout.String(), want) {
		t.Errorf("plan lacks %q:\n%s", want, f.stdout.String())
	}
	f.deploy(t, insist...)
	if !strings.HasSuffix(f.stderr.String(), " a month, 1 alarm removed\n") {
		t.Errorf("synth does not say what goes:\n%s", f.stderr.String())
	}
	f.deploy(t, insist...) // the file still has the place of what is gone
	if strings.Contains(f.stderr.String(), "removed") {
		t.Errorf("nothing is removed, but:\n%s", f.stderr.String())
	}
	f.must(t, "snapshot", "--check") // the gate of the next deploy
	f.must(t, "snapshot")
	f.deploy(t, insist...)

	// A wider rule: places offline, then deploy.
	f.edit("operations: [Decrypt]", "operations: [Decrypt, Encrypt]")
	f.must(t, "snapshot", "--place")
	f.deploy(t, insist...)
	if n := len(f.stacks[0].Resources); n != 24 {
		t.Errorf("%d alarms are deployed, want 24", n)
	}

	// A narrower one needs a file that was read after the last deploy.
	f.edit("operations: [Decrypt, Encrypt]", "operations: [Decrypt]")
	f.stops(t, ExitProblems, insist, "12 alarms of 12 keys were deployed after this snapshot was read (2026-11-01T00:10:00Z) and would go: keywatch - 000000000001 Encrypt anomaly, ", " and 9 more; ", "[snapshot-behind]", "1 problem;")
	f.must(t, "snapshot")
	f.deploy(t, insist...)
	if !strings.HasSuffix(f.stderr.String(), ", 12 alarms removed\n") {
		t.Errorf("synth does not say what goes:\n%s", f.stderr.String())
	}

	// One stack emptied.
	f.edit("tag: team", "tag: none")
	f.stops(t, ExitProblems, insist, "12 of the 12 keys with deployed alarms would lose them all", "-c keywatch:allowRemoval=12;", "[mass-removal]")
	f.deploy(t, append(insist, "-c", "keywatch:allowRemoval=12")...)
	f.must(t, "snapshot")
	f.deploy(t, insist...)
	if n := len(f.stacks[0].Resources); n != 0 {
		t.Errorf("%d alarms are left", n)
	}
}

// The first snapshot of an account without keys knows no stack, not even the one
// that is always there.
func TestNothingToWatchDeploysTwice(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(0)
	f.must(t, "snapshot")
	f.deploy(t)
	f.deploy(t)
}

// An old file, a revert or an old branch: nothing that is deployed goes in silence.
func TestAnOldSnapshotNeverRemoves(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(3)
	f.must(t, "snapshot")
	old := f.files[snapshotFile]
	f.deploy(t)
	f.keys = append(f.keys, frozenKey(7), frozenKey(8), frozenKey(9), frozenKey(5))
	f.must(t, "snapshot")
	f.deploy(t)
	newest := f.files[snapshotFile]

	f.files[snapshotFile] = old
	says := []string{
		snapshotFile + ": the snapshot does not know 4 of the 7 deployed units of alarms (11111111-1111-1111-1111-000000000005/Decrypt, ", " and 1 more), so it is older",
		"`keywatch snapshot`", "[snapshot-places]", "nothing was written",
	}
	f.stops(t, ExitProblems, nil, says...)
	if status := f.run(t, "plan"); status != ExitProblems || !strings.Contains(f.stderr.String(), "[snapshot-places]") {
		t.Errorf("plan: status %d\n%s", status, f.stderr.String())
	}
	// The verbs that are no gate of a deploy do not look.
	for _, verb := range [][]string{{"explain", f.keys[0].ID}, {"validate"}} {
		f.must(t, verb...)
		if len(f.opened) > 0 {
			t.Errorf("%q opens %v", verb, f.opened)
		}
	}
	// The way out that the message names: refreshed, the old file knows them all.
	f.must(t, "snapshot")
	facts := func(file []byte) []byte { return file[bytes.Index(file, []byte(`"keys"`)):] } // all but when it was read
	if !bytes.Equal(facts(f.files[snapshotFile]), facts(newest)) {
		t.Errorf("refreshed:\n%s", f.files[snapshotFile])
	}
	f.deploy(t)

	// A stack more, and alarms in another stack than the file says.
	f.stacks = append(f.stacks, places.Stack{Name: "keywatch-alarms-004", Status: "CREATE_COMPLETE", Deployment: "keywatch"})
	f.stops(t, ExitProblems, nil, "1 of the 2 deployed alarm stacks (keywatch-alarms-004)")
	f.stacks[1].Resources = f.stacks[0].Resources[:1]
	f.stacks[0].Resources = f.stacks[0].Resources[1:]
	f.stops(t, ExitProblems, nil, "are deployed in stack keywatch-alarms-004, but the snapshot places them in keywatch-alarms-001", "[snapshot-places]")
	// While a stack is busy nobody knows what it holds.
	f.stacks[0].Status = "UPDATE_IN_PROGRESS"
	f.stops(t, ExitProblems, nil, "[stack-busy]", "1 problem;")
}

// By a clock that is ahead every alarm would seem older than the snapshot.
func TestASnapshotFromTheFutureIsNotCompared(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(2)
	f.clock = f.clock.Add(3 * time.Hour)
	f.must(t, "snapshot")
	f.clock = f.clock.Add(-3 * time.Hour)
	const says = "which is 2 hours in the future, so nobody can say which deployed alarms are newer than it; mend the clock that is wrong, then refresh it with `keywatch snapshot` [snapshot-old]\n"
	for _, mode := range []string{"auto", "always"} {
		f.stops(t, ExitProblems, []string{"-c", "keywatch:inventory.compare=" + mode}, says)
		if n := strings.Count(f.stderr.String(), "[snapshot-old]"); n != 1 {
			t.Errorf("%s: said %d times:\n%s", mode, n, f.stderr.String())
		}
	}
	// Where nothing is compared, it is a remark.
	const remark = ": warning: the snapshot was read at 2026-11-01T03:01:00Z, which is 2 hours in the future; check the clocks [snapshot-old]\n"
	for _, args := range [][]string{{"-c", "keywatch:inventory.compare=never"}, {"explain", f.keys[0].ID}, {"init", "-o", "-"}} {
		f.must(t, args...)
		if strings.Count(f.stderr.String(), remark) != 1 {
			t.Errorf("%q: not one %q:\n%s", args, remark, f.stderr.String())
		}
	}
	f.failing = inventory.ErrNoCredentials // nor where nobody can look
	f.must(t)
	if strings.Count(f.stderr.String(), remark) != 1 {
		t.Errorf("not one %q:\n%s", remark, f.stderr.String())
	}
}

// The gate does not pass a file whose age alone stops synth.
func TestTheGateLooksAtTheAgeOfAFile(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(2)
	f.edit("source: snapshot,", "source: snapshot, maxAge: 24h, onStale: fail,")
	f.must(t, "snapshot")
	f.must(t, "snapshot", "--check")
	for age, says := range map[time.Duration]string{48 * time.Hour: "2 days ago, more than inventory.maxAge: 24h allows; ", -2 * time.Hour: " in the future, so nobody can say "} {
		read := f.clock
		f.clock = f.clock.Add(age)
		for _, verb := range [][]string{nil, {"snapshot", "--check"}} {
			f.stops(t, ExitProblems, verb, says, "[snapshot-old]")
		}
		f.clock = read
	}
	f.clock = f.clock.Add(-3 * time.Hour)
	f.must(t, "snapshot", "--check", "-c", "keywatch:inventory.compare=never")
}

// A file that knows every unit can be older than the alarms of one all the same:
// they share it with others, or left and came back.
func TestARevertNeverRemoves(t *testing.T) {
	t.Parallel()
	const behind = " deployed after this snapshot was read (%s) and would go: %s; the file is older than the deployment (a revert, an old branch, another pipeline), or rules changed since: `keywatch snapshot` reads the account again [snapshot-behind]\n"
	stamp := func(f *snapshotWorld) string { return f.clock.Format(time.RFC3339) }

	// One key of twelve, and then so many that the guard would ask for a number.
	for _, lost := range []int{1, 11} {
		f := newSnapshotWorld(12)
		f.must(t, "snapshot")
		f.deploy(t)
		tagged := slices.Clone(f.keys)
		for i := range lost {
			f.keys[i].Tags = nil
		}
		f.must(t, "snapshot")
		second, read := f.files[snapshotFile], stamp(f)
		f.deploy(t, "-c", "keywatch:allowRemoval=11")
		f.keys = tagged
		f.must(t, "snapshot")
		f.deploy(t)

		f.files[snapshotFile] = second
		says := "1 alarm of 1 key was" + fmt.Sprintf(behind, read, "keywatch - 000000000000 Decrypt anomaly")
		if lost > 1 {
			says = "11 alarms of 11 keys were" + fmt.Sprintf(behind, read, "keywatch - 000000000000 Decrypt anomaly, keywatch - 000000000001 Decrypt anomaly, keywatch - 000000000002 Decrypt anomaly and 8 more")
		}
		for _, verb := range [][]string{nil, {"plan"}, {"-c", "keywatch:inventory.compare=always", "-c", "keywatch:allowRemoval=11"}} {
			f.stops(t, ExitProblems, verb, snapshotFile+": "+says)
			if strings.Contains(f.stderr.String(), "mass-removal") || strings.Contains(f.stderr.String(), "allowRemoval") {
				t.Errorf("it says how to confirm the removal:\n%s", f.stderr.String())
			}
		}
		f.must(t, "snapshot") // the way out
		f.deploy(t)
		if n := len(f.stacks[0].Resources); n != 12 {
			t.Errorf("%d alarms are left of 12", n)
		}
	}

	// An alarm beside others on its operation, and a branch without its rule.
	f := newSnapshotWorld(2)
	f.must(t, "snapshot")
	read := stamp(f)
	f.deploy(t)
	const narrow, wide = "operations: [Decrypt],", "operations: [Decrypt], thresholds: [{id: burst, operations: [Decrypt], above: 1000}],"
	f.edit(narrow, wide)
	f.must(t, "snapshot", "--place") // places for units there are all
	f.deploy(t)
	f.must(t, "snapshot", "--check")
	f.edit(wide, narrow)
	// Its keys and places are those that there are, but the gate stops where synth does.
	for _, verb := range [][]string{nil, {"snapshot", "--check"}, {"snapshot", "--check", "--format", "json"}} {
		f.stops(t, ExitProblems, verb, "2 alarms of 2 keys were"+fmt.Sprintf(behind, read, "keywatch - 000000000000 Decrypt threshold burst, keywatch - 000000000001 Decrypt threshold burst"))
	}
	if strings.Contains(f.stderr.String(), "is what is there now") {
		t.Errorf("the gate says that all is well:\n%s", f.stderr.String())
	}
	f.must(t, "snapshot", "--check", "-c", "keywatch:inventory.compare=never") // nor does synth stop
	f.must(t, "snapshot")
	f.must(t, "snapshot", "--check")
	f.deploy(t)
	if n := len(f.stacks[0].Resources); n != 2 {
		t.Errorf("%d alarms are deployed, want 2", n)
	}

	// Nobody compares: nobody knows.
	f.edit(narrow, wide)
	f.deploy(t)
	f.edit(wide, narrow)
	f.must(t, "-c", "keywatch:inventory.compare=never")
}

// An alarm that was only changed after the file was read is one that somebody else
// knows more of, too.
func TestAnAlarmThatChangedSinceTheSnapshotStays(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(3)
	f.must(t, "snapshot")
	f.deploy(t)
	f.keys[0].Tags = nil
	f.must(t, "snapshot")
	f.must(t) // what the file was read after may go
	f.stacks[0].Resources[0].Changed = f.clock.Add(time.Minute + 200*time.Millisecond)
	f.clock = f.clock.Add(400 * time.Millisecond)
	f.must(t, "snapshot") // within the same second
	f.must(t)
	f.stacks[0].Resources[0].Changed = f.clock
	f.stops(t, ExitProblems, nil, "1 alarm of 1 key was deployed after", "[snapshot-behind]")
	// While a stack is busy nobody knows what it holds.
	f.stacks[0].Status = "UPDATE_IN_PROGRESS"
	f.stops(t, ExitProblems, nil, "[stack-busy]", "1 problem;")
}

// What the file lacks may well be in the account; and a file that does not know
// what is deployed is not to be talked into a removal.
func TestWhyTheGuardOfASnapshotStops(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(12)
	f.must(t, "snapshot")
	f.deploy(t)
	old := f.files[snapshotFile]
	f.keys = f.keys[6:]
	f.must(t, "snapshot")
	if !strings.Contains(f.stderr.String(), "6 because the account has no such key any more") { // it has just been read
		t.Errorf("the refresh says:\n%s", f.stderr.String())
	}
	f.stops(t, ExitProblems, nil, "6 because the snapshot has no such key;", "[mass-removal]")
	f.files[snapshotFile] = old
	f.edit("tag: team", "tag: none")
	f.stacks[0].Resources = append(f.stacks[0].Resources, places.Resource{LogicalID: "AlarmK99999999999999999999999999999999DecryptAnomalyImain", PhysicalID: "x", Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE"})
	for i := range f.stacks[0].Resources { // none is younger than the file
		f.stacks[0].Resources[i].Changed = time.Time{}
	}
	f.stops(t, ExitProblems, nil, "[snapshot-places]", "1 problem;")
	if strings.Contains(f.stderr.String(), "allowRemoval") {
		t.Errorf("it says how to confirm the removal:\n%s", f.stderr.String())
	}
}

// The guards count what is deployed, not what has a place.
func TestGuardsOfASnapshotLookAtTheStacks(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(12)
	f.must(t, "snapshot")
	f.edit("tag: team", "tag: none")
	// Nothing is deployed: nothing can be lost. Without a look the places count.
	f.must(t)
	f.stops(t, ExitProblems, []string{"-c", "keywatch:inventory.compare=never"}, "12 of the 12 keys", "[mass-removal]")
	f.edit("tag: none", "tag: team")
	f.deploy(t)
	// A key in the file that may not be read, and has deployed alarms.
	f.keys[3].Unreadable, f.keys[3].Tags = "kms:ListResourceTags: AccessDeniedException", nil
	f.must(t, "snapshot")
	f.stops(t, ExitProblems, []string{"-c", "keywatch:inventory.onUnreadable=warn"}, "[unreadable-deployed]")
	f.stacks = nil
	f.must(t, "-c", "keywatch:inventory.onUnreadable=warn")
}

var errNone = fmt.Errorf("get caller identity: %w", inventory.ErrNoCredentials)

const notLookedFor = "keywatch: notice: stacks of environments that were taken out of the config were not looked for in 111122223333: the snapshot was not compared with what is deployed\n"

// Who may look, and what it means if nobody can.
func TestWhetherASnapshotIsCompared(t *testing.T) {
	t.Parallel()
	const never = "to go on without a look at the deployed stacks, -c keywatch:inventory.compare=never"
	denied, expired := errors.New("describe stacks: AccessDenied"), errors.New("get caller identity: ExpiredToken")
	const role = `, role: "arn:aws:iam::{account}:role/reader"}`
	tests := map[string]struct {
		mode    string
		change  func(*snapshotWorld)
		status  int
		says    string // "": nothing but the notice of a synth
		hint    string
		opens   bool
		compare bool
	}{
		"auto":                 {"auto", nil, ExitOK, "", "", true, true},
		"auto, no credentials": {"auto", func(f *snapshotWorld) { f.failing = errNone }, ExitOK, "keywatch: notice: there are no AWS credentials, so nothing was compared with the deployed stacks", "", true, false},
		"auto, credentials of the CDK CLI alone": {"auto", func(f *snapshotWorld) {
			f.failing, f.env = errNone, map[string]string{envDefaultAccount: "111122223333"}
		}, ExitEnvironment,
			"keywatch: error: the CDK CLI has credentials of 111122223333 (CDK_DEFAULT_ACCOUNT), but the app that it runs has none: aws: get caller identity: no AWS credentials\n",
			"keywatch: hint: `cdk --profile NAME` does not reach the app's own AWS calls; set it for both: AWS_PROFILE=NAME npx cdk …; " + never + "\n", true, false},
		"auto, expired credentials": {"auto", func(f *snapshotWorld) { f.failing = expired }, ExitEnvironment, "keywatch: error: aws: get caller identity: ExpiredToken", "the hint of the reader; " + never, true, false},
		"auto, denied":              {"auto", func(f *snapshotWorld) { f.denied = denied }, ExitEnvironment, "keywatch: error: places: describe stacks: AccessDenied", "the hint of the reader; " + never, true, false},
		"auto, another account": {"auto", func(f *snapshotWorld) { f.caller = "444455556666" }, ExitOK,
			snapshotFile + ": warning: the snapshot is of account 111122223333 and the credentials are of 444455556666, so it was not compared with the deployed stacks: the guards look at the file alone; give the environment a role", "", true, false},
		"auto, a role of another account": {"auto", func(f *snapshotWorld) { f.caller = "444455556666"; f.edit("}]", role+"]") }, ExitEnvironment,
			"the account is 111122223333 by " + snapshotFile + ", but the credentials of this process are of 444455556666", never, true, false},
		"always":                  {"always", nil, ExitOK, "", "", true, true},
		"always, no credentials":  {"always", func(f *snapshotWorld) { f.failing = errNone }, ExitEnvironment, "keywatch: error: aws: get caller identity: no AWS credentials", never, true, false},
		"always, another account": {"always", func(f *snapshotWorld) { f.caller = "444455556666" }, ExitEnvironment, "the credentials of this process are of 444455556666", "set AWS_PROFILE to credentials of that account, or give the environment a role", true, false},
		"never":                   {"never", func(f *snapshotWorld) { f.failing, f.denied = expired, denied }, ExitOK, "", "", false, false},
		"never, credentials of the CDK CLI alone": {"never", func(f *snapshotWorld) { f.env = map[string]string{envDefaultAccount: "111122223333"} }, ExitOK, "", "", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSnapshotWorld(6)
			f.must(t, "snapshot")
			f.deploy(t)
			want := f.drawn
			f.stacks[0].Resources = append(f.stacks[0].Resources, places.Resource{LogicalID: "AlarmK99999999999999999999999999999999DecryptAnomalyImain", PhysicalID: "x", Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE"})
			if tt.change != nil {
				tt.change(f)
			}
			args := []string{"-c", "keywatch:inventory.compare=" + tt.mode}
			if tt.compare {
				f.stops(t, ExitProblems, args, "[snapshot-places]")
				f.stacks[0].Resources = f.stacks[0].Resources[:6]
			}
			if got := f.run(t, args...); got != tt.status {
				t.Errorf("status %d, want %d\n%s", got, tt.status, f.stderr.String())
			}
			if !strings.Contains(f.stderr.String(), tt.says) || !strings.Contains(f.stderr.String(), tt.hint) {
				t.Errorf("stderr lacks %q or %q:\n%s", tt.says, tt.hint, f.stderr.String())
			}
			said := strings.Replace(f.stderr.String(), notLookedFor, "", 1)
			if tt.says == "" && strings.Count(said, "\n") != 1 {
				t.Errorf("it is not silent:\n%s", said)
			}
			if blind := said != f.stderr.String(); tt.status == ExitOK && blind == tt.compare {
				t.Errorf("whether environments that were removed are looked for: %v", !blind)
			}
			if opens := len(f.opened) > 0; opens != tt.opens {
				t.Errorf("opened %v", f.opened)
			}
			// The bytes are those of the file, whoever looked.
			if diff := cmp.Diff(want, f.drawn); tt.status == ExitOK && diff != "" {
				t.Errorf("drawn (-compared +got):\n%s", diff)
			}
		})
	}
}

// Where nothing is deployed yet, the stacks would say other places than the file.
func TestPlacesAreThoseOfTheFile(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(6)
	f.Fill = plan.Fill{New: plan.Size{Resources: 4, Bytes: 700_000}, Grown: plan.DefaultFill.Grown}
	f.must(t, "snapshot")
	f.Fill = plan.Fill{}
	f.must(t, "-c", "keywatch:inventory.compare=never")
	want := f.drawn
	if n := len(want[0].Shards); n != 3 {
		t.Fatalf("%d stacks, want 3", n)
	}
	f.must(t, "-c", "keywatch:inventory.compare=always")
	if diff := cmp.Diff(want, f.drawn); diff != "" {
		t.Errorf("drawn (-never +always):\n%s", diff)
	}
}

// The role of the environment reads the stacks, as it reads keys.
func TestTheRoleReadsTheStacks(t *testing.T) {
	t.Parallel()
	f := newSnapshotWorld(1)
	f.must(t, "snapshot")
	f.edit("eu-west-1}]", "eu-west-1, role: cdk-lookup}]")
	f.must(t)
	if want := "arn:aws:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333-eu-west-1"; len(f.opened) != 1 || f.opened[0].Role != want || f.opened[0].Region != "eu-west-1" {
		t.Errorf("opened %+v", f.opened)
	}
}
