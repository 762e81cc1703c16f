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
	"time"

	"keywatch/test/fakeaws"
	"keywatch/test/fixture"
)

// frozenAccount is the account of the demo with fixed IDs.
func frozenAccount() fakeaws.State {
	var s fakeaws.State
	for i, k := range fixture.Keys() {
		key := fakeaws.Key{
			ID:    fmt.Sprintf("%08x-1234-5678-9abc-def012345678", i),
			Usage: string(k.Usage), Spec: string(k.Spec), MultiRegion: k.MultiRegion,
		}
		switch {
		case k.Disabled:
			key.State = "Disabled"
		case k.Deleted:
			key.State = "PendingDeletion"
		}
		for name, value := range k.Tags {
			key.Tags = append(key.Tags, fakeaws.Tag{Key: name, Value: value})
		}
		s.Keys = append(s.Keys, key)
		for n, a := range k.Aliases {
			s.Aliases = append(s.Aliases, fakeaws.Alias{Name: "alias/" + a, Target: key.ID, Created: time.Date(2025, 5, 6, 7, 8, 9+n, 0, time.UTC)})
		}
	}
	return s
}

// checkout is a copy of the repository's Go code at another path, with a program
// built there.
func checkout(t *testing.T, dir string) string {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum", "config", "constructs", "internal", "stacks", "test"} {
		if out, err := exec.CommandContext(t.Context(), "cp", "-r", filepath.Join("..", "..", name), filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
	}
	path := filepath.Join(dir, "keywatch-app")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./test/e2e/app")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// offline runs a program in a network namespace of its own, where not even
// 127.0.0.1 answers.
func offline(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--map-root-user", "--net", name}, args...)...)
	cmd.Dir = dir
	node, err := filepath.Abs("../../node_modules/.bin")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append([]string{"PATH=" + node + ":" + os.Getenv("PATH"), "CDK_VALIDATION=false"}, env...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	return b.String(), err
}

// A clock of Node.js that is years ahead.
const otherClock = `const real = Date;
const ahead = 5 * 365 * 24 * 3600 * 1000;
globalThis.Date = class extends real {
  constructor(...a) { a.length ? super(...a) : super(real.now() + ahead); }
  static now() { return real.now() + ahead; }
};
`

// The same snapshot gives the same bytes in two checkouts with other paths, time
// zones, locales and clocks, without network; and they are those of a live
// synth of the same account.
func TestASnapshotIsTheSameEverywhere(t *testing.T) {
	app := binary(t, "app", "./test/e2e/app")
	srv := fakeaws.Start(t, frozenAccount(), fakeaws.Shuffle(7), fakeaws.PageSize(3))
	rules, err := os.ReadFile("../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const environment = "\nenvironments: [{account: \"111122223333\", region: eu-west-1}]\n"
	const frozen = environment + "inventory: {source: snapshot, path: \"snapshots/{account}-{region}.json\"}\n"
	work := t.TempDir()
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(work, "live.yaml", string(rules)+environment)
	write(work, "frozen.yaml", string(rules)+frozen)
	online := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), app, args...)
		cmd.Dir = work
		cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"CDK_OUTDIR=" + filepath.Join(work, "live"), "CDK_VALIDATION=false"})
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	// Live is made with a small fill, so that there are several stacks.
	t.Setenv("KEYWATCH_TEST_FILL", "40")
	online("--config", "live.yaml")
	online("snapshot", "--config", "frozen.yaml")
	live := hashes(t, filepath.Join(work, "live"))
	if n := len(live); n < 5 {
		t.Fatalf("the live assembly has only %d files", n)
	}

	other := filepath.Join(t.TempDir(), "another checkout", "of the team")
	if err := os.MkdirAll(other, 0o700); err != nil {
		t.Fatal(err)
	}
	elsewhere := checkout(t, other)
	write(other, "clock.js", otherClock)
	if err := os.CopyFS(filepath.Join(other, "snapshots"), os.DirFS(filepath.Join(work, "snapshots"))); err != nil {
		t.Fatal(err)
	}
	write(other, "frozen.yaml", string(rules)+frozen)

	for name, run := range map[string]struct {
		app, dir string
		env      []string
	}{
		"here":      {app, work, []string{"HOME=" + t.TempDir(), "TZ=Pacific/Kiritimati", "LC_ALL=C"}},
		"elsewhere": {elsewhere, other, []string{"HOME=" + t.TempDir(), "TZ=America/Los_Angeles", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "KEYWATCH_TEST_AHEAD=43800h", "NODE_OPTIONS=--require=./clock.js"}},
	} {
		out := filepath.Join(t.TempDir(), "cdk.out")
		text, err := offline(t, run.dir, append(run.env, "CDK_OUTDIR="+out), run.app, "--config", "frozen.yaml")
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if aged := strings.Contains(text, "[snapshot-old]"); aged != (name == "elsewhere") {
			t.Errorf("%s: the clocks are not those that they should be:\n%s", name, text)
		}
		if !strings.Contains(text, "there are no AWS credentials, so nothing was compared") {
			t.Errorf("%s: nobody says that nothing was compared:\n%s", name, text)
		}
		got := hashes(t, out)
		for _, file := range slices.Sorted(maps.Keys(live)) {
			if got[file] != live[file] {
				t.Errorf("%s: %s differs from that of the live synth", name, file)
			}
		}
		if len(got) != len(live) {
			t.Errorf("%s: %d files, live has %d", name, len(got), len(live))
		}
	}

	// Credentials that cannot be used switch no guard off; somebody has to say so.
	lost := append(srv.Env(), "HOME="+t.TempDir(), "AWS_MAX_ATTEMPTS=1", "CDK_OUTDIR="+filepath.Join(t.TempDir(), "x"))
	text, err := offline(t, work, lost, app, "--config", "frozen.yaml")
	if err == nil || !strings.Contains(text, "network is unreachable") || !strings.Contains(text, "-c keywatch:inventory.compare=never") {
		t.Errorf("stacks that cannot be read (%v):\n%s", err, text)
	}
	if text, err := offline(t, work, lost, app, "--config", "frozen.yaml", "-c", "keywatch:inventory.compare=never"); err != nil {
		t.Errorf("with compare: never: %v\n%s", err, text)
	}

	// The namespace has no network: what just worked with it fails there.
	text, err = offline(t, work, append(srv.Env(), "HOME="+t.TempDir(), "AWS_MAX_ATTEMPTS=1", "CDK_OUTDIR="+filepath.Join(t.TempDir(), "x")), app, "--config", "live.yaml")
	if err == nil || !strings.Contains(text, "keywatch: error: ") {
		t.Errorf("a live synth works without network (%v):\n%s", err, text)
	}
}

// freeze has the config take the keys from a snapshot, which is compared with what is
// deployed. refresh writes the file and returns what is in it.
func (w *world) freeze() (file string, refresh func() []byte) {
	w.t.Helper()
	file = filepath.Join(w.dir, "prod.json")
	w.editConfig("name: demo", "name: demo\ninventory: {source: snapshot, path: "+file+", compare: always}")
	return file, func() []byte {
		w.t.Helper()
		if out, err := w.run(w.app, "snapshot", "--config", w.config); err != nil {
			w.t.Fatalf("snapshot: %v\n%s", err, out)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		return data
	}
}

// An old file, or a slip in a rule, ends a deploy from a snapshot before it writes
// anything; a refreshed file goes on.
func TestAnOldSnapshotRemovesNothing(t *testing.T) {
	w := newWorld(t, binary(t, "keywatch", "."))
	file, refresh := w.freeze()
	old := refresh()
	w.cdk("deploy", "--all")
	w.check(w.read())

	w.create(refund(1))
	w.create(refund(2))
	refresh()
	w.cdk("deploy", "--all")
	deployed := w.read()
	w.check(deployed)

	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	w.refuses(deployed, "snapshot-places", "name: demo", "name: demo", "does not know 10 of the ", "older than what is deployed")
	refresh() // read after the deploy, it may remove alarms, which the guard counts
	w.refuses(deployed, "mass-removal", "in: [payments, ledger]", "in: [payment, ledgers]", "keys with deployed alarms would lose them all", "-c keywatch:allowRemoval=9;")
	w.editConfig("in: [payment, ledgers]", "in: [payments, ledger]")
	w.cdk("deploy", "--all")
	again := w.read()
	w.check(again)
	w.unmoved(deployed, again, w.watched()...)
}

// A revert to a file that knows every unit: a key was out of scope when it was
// read, and has come back and been deployed since. And rules of a branch that do not
// know one of two alarms on an operation. Each ends a deploy before it writes
// anything; a refreshed file goes on.
func TestARevertRemovesNothing(t *testing.T) {
	w := newWorld(t, binary(t, "keywatch", "."))
	file, refresh := w.freeze()
	refresh()
	w.cdk("deploy", "--all")

	mac := *w.keys["ledger-mac"]
	w.retag("ledger-mac", "team", "search")
	w.keys["ledger-mac"].drop()
	second := refresh()
	alarms := len(mac.Anomaly) + len(mac.Static)
	if out := w.cdk("deploy", "--all"); alarms == 0 || !strings.Contains(out, fmt.Sprintf(", %d alarms removed", alarms)) {
		t.Errorf("synth does not say that %d alarms go:\n%s", alarms, out)
	}
	w.check(w.read())
	if out, err := w.run(w.app, "snapshot", "--check", "--config", w.config); err != nil {
		t.Errorf("the gate after a deploy that removed alarms: %v\n%s", err, out)
	}

	w.retag("ledger-mac", "team", mac.Tags["team"])
	*w.keys["ledger-mac"] = mac
	newest := refresh()
	w.cdk("deploy", "--all")
	deployed := w.read()
	w.check(deployed)

	if err := os.WriteFile(file, second, 0o600); err != nil {
		t.Fatal(err)
	}
	w.refuses(deployed, "snapshot-behind", "name: demo", "name: demo", fmt.Sprintf("%d alarms of 1 key were deployed after this snapshot was read (", alarms), " ledger-mac ")
	if err := os.WriteFile(file, newest, 0o600); err != nil {
		t.Fatal(err)
	}
	// The alarms were made by the first deploy, and the newest file was read after it.
	w.editConfig("tag: data-class", "tag: data-klass")
	if out, err := w.run(w.app, "plan", "--config", w.config); err != nil || !strings.Contains(out, " removed, ") {
		t.Errorf("a rule that drops alarms older than the file: %v\n%s", err, out)
	}
	w.editConfig("tag: data-klass", "tag: data-class")
	w.editConfig("id: pci, operations: [Decrypt]", "id: pan, operations: [Decrypt]")
	w.cdk("deploy", "--all") // the alarms are younger now
	renamed := w.read()
	w.refuses(renamed, "snapshot-behind", "id: pan, operations: [Decrypt]", "id: pci, operations: [Decrypt]", " Decrypt threshold pan", "or rules changed since")
	if refresh(); !strings.Contains(w.cdk("deploy", "--all"), " removed") {
		t.Error("synth does not say that the alarms of the other rule go")
	}
	w.check(w.read())

	// `--profile` gives the CDK CLI credentials that the app does not see.
	profiles := filepath.Join(w.dir, "aws-config")
	if err := os.WriteFile(profiles, []byte("[profile deployer]\naws_access_key_id = test\naws_secret_access_key = test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = []string{"AWS_CONFIG_FILE=" + profiles, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=", "AWS_EC2_METADATA_DISABLED=true"}
	out, err := w.tryCDK("synth", "--quiet", "--profile", "deployer", "-c", "keywatch:inventory.compare=auto")
	if want := "the CDK CLI has credentials of " + account + " (CDK_DEFAULT_ACCOUNT), but the app that it runs has none: "; err == nil || !strings.Contains(out, want) || !strings.Contains(out, "AWS_PROFILE=NAME npx cdk") {
		t.Errorf("cdk synth --profile does not say %q (%v):\n%s", want, err, out)
	}
	w.env = append(w.env, "AWS_PROFILE=deployer")
	w.cdk("synth", "--quiet")
}

// The CDK CLI takes a snapshot too, without credentials and network.
func TestCDKSynthFromASnapshotOffline(t *testing.T) {
	app := binary(t, "keywatch", ".")
	srv := fakeaws.Start(t, frozenAccount(), fakeaws.PageSize(5))
	rules, err := os.ReadFile("../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "frozen.yaml")
	snapshot := filepath.Join(dir, "prod.json")
	text := string(rules) + "\nenvironments: [{account: \"111122223333\", region: eu-west-1}]\ninventory: {source: snapshot, path: " + snapshot + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), app, "snapshot", "--config", config)
	cmd.Env = append(os.Environ(), srv.Env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("snapshot: %v\n%s", err, out)
	}
	data, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	noSecret(t, string(data))
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// A half of the credentials is no "none".
	half, err := offline(t, dir, []string{"HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_ACCESS_KEY_ID=A"}, app, "--config", config)
	if err == nil || !strings.Contains(half, "AWS_ACCESS_KEY_ID is set without a whole AWS_SECRET_ACCESS_KEY beside it") {
		t.Errorf("half of the credentials (%v):\n%s", err, half)
	}
	out, err := offline(t, dir, []string{"HOME=" + dir, "CDK_DISABLE_CLI_TELEMETRY=true", "AWS_EC2_METADATA_DISABLED=true"},
		filepath.Join(root, "node_modules", ".bin", "cdk"), "synth", "--quiet", "--app", app, "--output", filepath.Join(dir, "cdk.out"), "-c", "keywatch:config="+config, "--ci")
	if err != nil {
		t.Fatalf("cdk synth: %v\n%s", err, out)
	}
	if made, err := filepath.Glob(filepath.Join(dir, "cdk.out", "demo-alarms-001*.template.json")); err != nil || len(made) != 1 {
		t.Errorf("no template (%v):\n%s", err, out)
	}
}
