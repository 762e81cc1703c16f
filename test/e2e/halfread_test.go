package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keywatch/test/fakeaws"
)

// smallAccount has three keys that match, and a stack of an earlier deploy
// between two others; tests read it a key and a stack a page.
func smallAccount() fakeaws.State {
	s := fakeaws.State{Stacks: []fakeaws.Stack{
		{Name: "billing"},
		{Name: "keywatch-alarms-001", Tags: []fakeaws.Tag{{Key: "keywatch:deployment", Value: "keywatch"}}, Resources: []fakeaws.StackResource{
			{LogicalID: "AlarmK00000000111122223333444444444444DecryptAnomalyImain", PhysicalID: "keywatch key-0 444444444444 Decrypt anomaly"},
			{LogicalID: "DetectorK00000000111122223333444444444444DecryptOfSum", PhysicalID: "x", Type: "AWS::CloudWatch::AnomalyDetector"},
		}},
		{Name: "website"},
	}}
	for i := range 3 {
		id := fmt.Sprintf("%08d-1111-2222-3333-444444444444", i)
		s.Keys = append(s.Keys, fakeaws.Key{ID: id, Tags: []fakeaws.Tag{{Key: "env", Value: "prod"}}})
		s.Aliases = append(s.Aliases, fakeaws.Alias{Name: fmt.Sprintf("alias/key-%d", i), Target: id})
	}
	return s
}

// deploy runs the real CDK CLI against an endpoint.
func deploy(t *testing.T, app string, srv *fakeaws.Server, extra ...string) (string, error) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "node_modules", ".bin", "cdk"),
		"deploy", "--all", "--app", app, "--output", filepath.Join(t.TempDir(), "cdk.out"), "--require-approval", "never", "--ci")
	cmd.Dir = root
	// Two attempts a request: how often it is tried again is not the matter here.
	// The CLI keeps in its home which account an access key belongs to.
	cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"AWS_MAX_ATTEMPTS=2", "CDK_VALIDATION=false", "CDK_HOME=" + t.TempDir()}, extra)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	return b.String(), err
}

// Nothing is ever deployed from a half-read inventory: whichever request fails,
// and however, the CDK CLI ends with an error and CloudFormation sees no write.
func TestNothingIsDeployedFromAHalfReadInventory(t *testing.T) {
	app := binary(t, "keywatch", ".")

	// Without a fault the deploy reaches CloudFormation, or this test would
	// prove nothing. The endpoint then refuses the first write.
	healthy := fakeaws.Start(t, smallAccount(), fakeaws.PageSize(1))
	out, _ := deploy(t, app, healthy)
	if !slices.ContainsFunc(healthy.WriteCalls(), func(c fakeaws.Call) bool { return c.Service == "cloudformation" }) {
		t.Fatalf("the deploy without a fault did not get as far as CloudFormation: %v\n%s", healthy.WriteCalls(), out)
	}
	requests := readsOfSynth(t, app)
	kinds := map[string]fakeaws.Kind{
		"throttled": fakeaws.Throttle, "expired": fakeaws.ExpiredToken, "denied": fakeaws.AccessDenied,
		"reset": fakeaws.Reset, "page without marker": fakeaws.NoMarker,
	}
	for op, n := range requests {
		for nth := 1; nth <= n; nth++ {
			for name, kind := range kinds {
				if kind == fakeaws.NoMarker && (nth == n || op != "kms:ListKeys" && op != "kms:ListAliases") {
					continue // the last page has no marker to leave out, nor do the other APIs say that there is more
				}
				if kind == fakeaws.AccessDenied && op == "tag:GetResources" {
					continue // the tags are then read key by key
				}
				t.Run(fmt.Sprintf("%s %d %s", op, nth, name), func(t *testing.T) {
					t.Parallel()
					srv := fakeaws.Start(t, smallAccount(), fakeaws.PageSize(1))
					srv.Fail(fakeaws.Fault{Operation: op, Nth: nth, Times: fakeaws.Forever, Kind: kind})
					out, err := deploy(t, app, srv)
					if err == nil {
						t.Errorf("the deploy succeeded:\n%s", out)
					}
					if w := srv.WriteCalls(); len(w) > 0 {
						t.Errorf("it wrote: %v\n%s", w, out)
					}
					if !strings.Contains(out, "keywatch: error: ") {
						t.Errorf("it does not say what is wrong:\n%s", out)
					}
					noSecret(t, out)
				})
			}
		}
	}
}

// readsOfSynth are the requests that the app alone makes, by operation.
func readsOfSynth(t *testing.T, app string) map[string]int {
	t.Helper()
	srv := fakeaws.Start(t, smallAccount(), fakeaws.PageSize(1))
	cmd := exec.CommandContext(t.Context(), app)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"CDK_OUTDIR=" + filepath.Join(t.TempDir(), "cdk.out"), "CDK_VALIDATION=false"})
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("synth: %v\n%s", err, out)
	}
	requests := map[string]int{}
	for _, c := range srv.Calls() {
		requests[c.Name()]++
	}
	delete(requests, "sts:GetCallerIdentity")
	want := map[string]int{"kms:ListKeys": 3, "kms:ListAliases": 3, "tag:GetResources": 3, "kms:DescribeKey": 3, "cloudformation:DescribeStacks": 3, "cloudformation:ListStackResources": 2}
	if !maps.Equal(requests, want) {
		t.Fatalf("requests %v, want %v", requests, want)
	}
	return requests
}

// The same when STS, which says whose keys these are, fails: of its requests some
// are the CDK CLI's own.
func TestNothingIsDeployedWithoutKnowingTheAccount(t *testing.T) {
	app := binary(t, "keywatch", ".")
	healthy := fakeaws.Start(t, smallAccount(), fakeaws.PageSize(1))
	deploy(t, app, healthy)
	n := healthy.Count("sts:GetCallerIdentity")
	if n < 2 {
		t.Fatalf("%d requests to STS, want the CLI's and the app's", n)
	}
	for nth := 1; nth <= n; nth++ {
		for name, kind := range map[string]fakeaws.Kind{"throttled": fakeaws.Throttle, "expired": fakeaws.ExpiredToken, "denied": fakeaws.AccessDenied} {
			t.Run(fmt.Sprintf("%d %s", nth, name), func(t *testing.T) {
				t.Parallel()
				srv := fakeaws.Start(t, smallAccount(), fakeaws.PageSize(1))
				srv.Fail(fakeaws.Fault{Operation: "sts:GetCallerIdentity", Nth: nth, Times: fakeaws.Forever, Kind: kind})
				out, err := deploy(t, app, srv)
				if w := srv.WriteCalls(); err == nil || len(w) > 0 {
					t.Errorf("err = %v, writes %v:\n%s", err, w, out)
				}
				noSecret(t, out)
			})
		}
	}
}

func noSecret(t *testing.T, out string) {
	t.Helper()
	for _, secret := range []string{fakeaws.SecretKey, fakeaws.SessionToken} {
		if strings.Contains(out, secret) {
			t.Errorf("a secret is printed:\n%s", out)
		}
	}
}

// What a stranger reads when the environment is not right, through the CDK CLI.
func TestTheEnvironmentIsNotRight(t *testing.T) {
	app := binary(t, "keywatch", ".")
	tests := map[string]struct {
		state fakeaws.State
		fault fakeaws.Fault
		env   []string
		want  []string
	}{
		"wrong account": {
			// A profile that the CDK CLI knows and the app does not would do the
			// same; here the app is told another account than STS gives it.
			env:  []string{"CDK_DEFAULT_ACCOUNT=999988887777"},
			want: []string{"the account is 999988887777 by the CDK CLI, but the credentials of this process are of 111122223333", "AWS_PROFILE=NAME npx cdk"},
		},
		"no permission for ListKeys": {
			fault: fakeaws.Fault{Operation: "kms:ListKeys", Kind: fakeaws.AccessDenied, Times: fakeaws.Forever},
			want:  []string{"inventory: list keys in eu-west-1 as 111122223333: AccessDeniedException", "keywatch: hint: ", "kms:ListKeys"},
		},
		"no permission for the stacks": {
			fault: fakeaws.Fault{Operation: "cloudformation:ListStackResources", Kind: fakeaws.AccessDenied, Times: fakeaws.Forever},
			want:  []string{"places: list resources of stack keywatch-alarms-001 in eu-west-1 as 111122223333: AccessDenied", "keywatch: hint: allow cloudformation:ListStackResources", "a deploy could move alarms and lose them"},
		},
		"permission denied on one key": {
			state: func() fakeaws.State { s := smallAccount(); s.Keys[1].DenyDescribe = true; return s }(),
			want:  []string{"key arn:aws:kms:eu-west-1:111122223333:key/00000001-1111-2222-3333-444444444444 could not be read", "kms:DescribeKey: AccessDeniedException", "inventory.onUnreadable: warn"},
		},
		"throttled for ever": {
			fault: fakeaws.Fault{Operation: "kms:DescribeKey", Kind: fakeaws.Throttle, Times: fakeaws.Forever},
			want:  []string{"describe key", "ThrottlingException", "keywatch: hint: "},
		},
		"expired credentials": {
			fault: fakeaws.Fault{Operation: "kms:ListKeys", Kind: fakeaws.ExpiredToken, Times: fakeaws.Forever},
			want:  []string{"ExpiredToken", "keywatch: hint: "},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.state.Keys == nil {
				tt.state = smallAccount()
			}
			srv := fakeaws.Start(t, tt.state, fakeaws.PageSize(1))
			srv.Fail(tt.fault)
			// The app alone, as the CDK CLI calls it: the CLI itself sets the
			// account, so a wrong one can only be given here.
			cmd := exec.CommandContext(t.Context(), app)
			cmd.Dir = filepath.Join("..", "..")
			cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"AWS_MAX_ATTEMPTS=2", "CDK_OUTDIR=" + filepath.Join(t.TempDir(), "cdk.out"), "CDK_DEFAULT_ACCOUNT=111122223333", "CDK_DEFAULT_REGION=eu-west-1"}, tt.env)
			data, err := cmd.CombinedOutput()
			out := string(data)
			if err == nil {
				t.Errorf("synth succeeded:\n%s", out)
			}
			for _, w := range tt.want {
				if !strings.Contains(out, w) {
					t.Errorf("the output lacks %q:\n%s", w, out)
				}
			}
			noSecret(t, out)
		})
	}
}

// Without credentials the CDK CLI cannot know the account; keywatch still says
// what to do, and nothing is written.
func TestNoCredentials(t *testing.T) {
	app := binary(t, "keywatch", ".")
	srv := fakeaws.Start(t, smallAccount())
	out, err := deploy(t, app, srv, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=")
	if err == nil || len(srv.WriteCalls()) > 0 {
		t.Errorf("err = %v, writes %v:\n%s", err, srv.WriteCalls(), out)
	}
	for _, want := range []string{"no usable AWS credentials", "AWS_PROFILE"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// Node missing: a sentence, not a panic.
func TestNodeMissing(t *testing.T) {
	app := binary(t, "keywatch", ".")
	srv := fakeaws.Start(t, smallAccount())
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), app)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"PATH=" + dir, "CDK_OUTDIR=" + filepath.Join(dir, "cdk.out")})
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit status %d (%v), want 3", code, err)
	}
	if !strings.Contains(string(out), "there is no \"node\" in the PATH") || !strings.Contains(string(out), "npm ci") || strings.Contains(string(out), "goroutine") {
		t.Errorf("the output does not help:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "cdk.out")); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
}
