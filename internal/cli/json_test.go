package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keywatch/internal/snapshot"
	"keywatch/test/schema"
)

// fits holds a verb's JSON to its schema.
func fits(t *testing.T, name, text string) {
	t.Helper()
	for _, problem := range schema.Problems(t, name, []byte(text)) {
		t.Errorf("%s: %s\n%s", name, problem, text)
	}
}

// disk is a world with an account whose files are in memory.
type disk struct {
	World
	stdout, stderr bytes.Buffer
	files          map[string]string
}

func newDisk(files map[string]string) *disk {
	d := &disk{files: files}
	d.World = World{
		Stdout: &d.stdout, Stderr: &d.stderr, Getenv: func(string) string { return "" }, Version: "v1",
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := d.files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		WriteFile: func(path string, data []byte) error { d.files[path] = string(data); return nil },
		Open: func(_ context.Context, t Target) (Source, error) {
			if t.Region == "" {
				t.Region = "eu-west-1"
			}
			return &account{target: t, id: "111122223333"}, nil
		},
	}
	return d
}

func (d *disk) run(args ...string) (string, int) {
	d.stdout.Reset()
	d.stderr.Reset()
	status := d.Run(context.Background(), args)
	return d.stdout.String(), status
}

func TestValidateAsJSON(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]struct {
		status int
		codes  []string
	}{
		"version: 1\nrules: [{name: a, match: every}]\n":                     {ExitOK, []string{"no-actions"}},
		"version: 1\nrules: [{name: a, match: every, wach: x}]\nlimit: {}\n": {ExitProblems, []string{"unknown-key", "unknown-key"}},
		"a: [": {ExitProblems, []string{"not-yaml"}},
		"version: 1\nenvironments: [{account: \"111122223333\", region: eu-west-1}]\nrules: [{name: a, match: every, actions: {alarm: [\"arn:aws:sns:us-east-1:111122223333:t\"]}}]\n": {ExitProblems, []string{"bad-arn"}},
	} {
		d := newDisk(map[string]string{"keywatch.yaml": source})
		out, status := d.run("validate", "--format", "json")
		fits(t, "validate.schema.json", out)
		var v validity
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, p := range v.Problems {
			codes = append(codes, p.Code)
			if p.Line == 0 || p.Col == 0 || p.File != "keywatch.yaml" {
				t.Errorf("no place: %+v", p)
			}
		}
		if status != want.status || !slices.Equal(codes, want.codes) || v.Valid != (status == ExitOK) || d.stderr.Len() > 0 {
			t.Errorf("status %d, %q, want %v; stderr %q\n%s", status, codes, want, d.stderr.String(), out)
		}
	}
	out, status := newDisk(nil).run("validate", "--format", "json", "-c", "keywatch:limts=1")
	fits(t, "validate.schema.json", out)
	if status != ExitProblems || !strings.Contains(out, "unknown-context") {
		t.Errorf("%d %s", status, out)
	}
	if out, status := newDisk(nil).run("validate", "--format", "xml"); status != ExitUsage || out != "" {
		t.Errorf("%d %s", status, out)
	}
}

// Where the config or the context is wrong, each verb with JSON says so in JSON, as
// validate does, and nothing else.
func TestBadConfigsAsJSON(t *testing.T) {
	t.Parallel()
	for _, verb := range [][]string{{"plan"}, {"coverage"}, {"explain", "alias/a"}, {"explain", "--tags", ""}, {"snapshot"}, {"init", "-o", "-", "--config", "keywatch.yaml"}} {
		for _, wrong := range []struct {
			source, code string
			more         []string
		}{
			{"version: 1\nrules: [{name: a, match: every, wach: x}]\n", "unknown-key", nil},
			{"version: 1\nrules: [{name: a, match: every}]\n", "unknown-context", []string{"-c", "keywatch:limts=1"}},
		} {
			d := newDisk(map[string]string{"keywatch.yaml": wrong.source})
			out, status := d.run(slices.Concat(verb, wrong.more, []string{"--format", "json"})...)
			fits(t, "validate.schema.json", out)
			if status != ExitProblems || !strings.Contains(out, `"`+wrong.code+`"`) || !strings.Contains(out, `"valid": false`) || d.stderr.Len() > 0 {
				t.Errorf("%q: status %d, stderr %q\n%s", verb, status, d.stderr.String(), out)
			}
			if out, status := d.run(slices.Concat(verb, wrong.more)...); status != ExitProblems || out != "" || !strings.Contains(d.stderr.String(), "["+wrong.code+"]") {
				t.Errorf("%q as text: status %d, stderr %q\n%s", verb, status, d.stderr.String(), out)
			}
		}
	}
}

func TestInitAsJSON(t *testing.T) {
	t.Parallel()
	d := newDisk(map[string]string{})
	said := func(args ...string) startJSON {
		t.Helper()
		out, status := d.run(append([]string{"init", "--format", "json"}, args...)...)
		fits(t, "init.schema.json", out)
		var s startJSON
		if err := json.Unmarshal([]byte(out), &s); err != nil || status != ExitOK || d.stderr.Len() > 0 {
			t.Fatalf("%d, %v: %s", status, err, d.stderr.String())
		}
		return s
	}
	s := said("-o", "-")
	if len(d.files) > 0 || s.File != "" {
		t.Errorf("-o - wrote %q, said %q", d.files, s.File)
	}
	if s.Keys != 1 || s.Watched != 1 || s.Alarms != 1 || s.MonthlyUSD != 3.3 || len(s.Suggestions) != 1 {
		t.Errorf("%+v", s)
	}
	if r := s.Suggestions[0]; r.Name != "all" || !strings.HasPrefix(r.Rule, "- name: all\n  match: every\n") || r.Keys != 1 || r.Alarms != 1 || r.MonthlyUSD != 0.3 {
		t.Errorf("%+v", r)
	}
	if again := said(); again.File != "keywatch.yaml" || d.files["keywatch.yaml"] != again.Config || again.Config != s.Config {
		t.Errorf("wrote %q, said %+v", d.files, again)
	}
}

// The schema is named as seen from the config, and only where there is one.
func TestInitFindsTheSchema(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"x/docs/schema/config.schema.json": "docs/schema/config.schema.json",
		"x/keywatch.schema.json":           "keywatch.schema.json",
		"docs/schema/config.schema.json":   "",
	} {
		d := newDisk(map[string]string{path: "{}"})
		_, status := d.run("init", "-o", "x/keywatch.yaml")
		line, found := strings.CutPrefix(d.files["x/keywatch.yaml"], "# yaml-language-server: $schema=")
		if line, _, _ = strings.Cut(line, "\n"); status != ExitOK || found != (want != "") || found && line != want {
			t.Errorf("%s: %d, %q", path, status, d.files["x/keywatch.yaml"])
		}
	}
}

// Verbs whose result is JSON take --format json, and no other.
func TestVerbsThatAreJSON(t *testing.T) {
	t.Parallel()
	d := newDisk(nil)
	d.Actions = func(string) ([]string, []string) { return []string{"kms:ListKeys"}, nil }
	for _, verb := range []string{"schema", "permissions"} {
		plain, _ := d.run(verb)
		if out, status := d.run(verb, "--format", "json"); status != ExitOK || out != plain || !json.Valid([]byte(out)) {
			t.Errorf("%s: %d\n%s", verb, status, out)
		}
		if out, status := d.run(verb, "--format", "text"); status != ExitUsage || out != "" || !strings.Contains(d.stderr.String(), "allowed: json") {
			t.Errorf("%s as text: %d %s", verb, status, d.stderr.String())
		}
	}
}

func TestVersionAsJSON(t *testing.T) {
	t.Parallel()
	out, status := newDisk(nil).run("version", "--format", "json")
	fits(t, "version.schema.json", out)
	if status != ExitOK || !strings.Contains(out, `"version": "v1"`) {
		t.Errorf("%d %s", status, out)
	}
}

// What a name or tag holds does not steer a terminal, and is the same when read.
func TestJSONDoesNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	const name = "a\u202eb\u009bc\u007f"
	d := newDisk(nil)
	if err := d.printJSON(named{1, name}); err != nil {
		t.Fatal(err)
	}
	var back named
	if err := json.Unmarshal(d.stdout.Bytes(), &back); err != nil || back.Version != name {
		t.Errorf("%q, %v", back.Version, err)
	}
	if strings.ContainsAny(d.stdout.String(), "\u202e\u009b\u007f") {
		t.Errorf("%q", d.stdout.String())
	}
}

const frozenConfig = "version: 1\nenvironments: [{account: \"111122223333\", region: eu-west-1}, {account: \"111122223333\", region: eu-central-1}]\n" +
	"inventory: {source: snapshot, path: \"{account}-{region}.json\"}\nrules: [{name: a, match: every, operations: [Decrypt]}]\n"

func TestSnapshotAsJSON(t *testing.T) {
	t.Parallel()
	d := newDisk(map[string]string{"keywatch.yaml": frozenConfig})
	one := []string{"snapshot", "--format", "json", "-c", "keywatch:env=111122223333/eu-west-1"}
	said := func(status int, args ...string) snapshotJSON {
		t.Helper()
		out, got := d.run(args...)
		if got != status {
			t.Errorf("status %d, want %d: %s", got, status, d.stderr.String())
		}
		fits(t, "changes.schema.json", out)
		var f snapshotJSON
		if err := json.Unmarshal([]byte(out), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := said(ExitOK, one...); !f.New || !f.Written || f.Keys != 1 || f.Places != 1 || len(f.Changes) != 0 {
		t.Errorf("%+v", f)
	}
	if f := said(ExitOK, append(one, "--check")...); f.New || f.Written || len(f.Changes) != 0 {
		t.Errorf("%+v", f)
	}
	d.files["keywatch.yaml"] = strings.ReplaceAll(frozenConfig, "[Decrypt]", "[Decrypt, Encrypt]")
	if f := said(ExitProblems, append(one, "--check")...); f.Written || len(f.Changes) != 1 || f.Changes[0].Kind != "place-added" {
		t.Errorf("%+v", f)
	}
	if f := said(ExitOK, append(one, "--place")...); !f.Written || len(f.Changes) != 1 {
		t.Errorf("%+v", f)
	}
	if f := said(ExitOK, append(one, "--place")...); f.Written || f.New {
		t.Errorf("%+v", f)
	}
	out, status := d.run("snapshot", "--format", "json")
	fits(t, "changes.schema.json", out)
	if status != ExitOK || strings.Count(out, `"file"`) != 2 {
		t.Errorf("%d %s", status, out)
	}
}

// The schema has the kinds of change that there are.
func TestTheSchemaKnowsEveryKindOfChange(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/schema/changes.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for k := snapshot.KeyAdded; k <= snapshot.StackRemoved; k++ {
		if k.String() == "" || !strings.Contains(string(data), `"`+k.String()+`"`) {
			t.Errorf("kind %d is %q, which the schema does not have", k, k)
		}
	}
}

func TestInit(t *testing.T) {
	t.Parallel()
	d := newDisk(map[string]string{})
	if _, status := d.run("init"); status != ExitOK || !strings.Contains(d.files["keywatch.yaml"], "# In all: 1 key, 1 key with alarms, 1 alarm, ") {
		t.Fatalf("%d %s\n%s", status, d.stderr.String(), d.files["keywatch.yaml"])
	}
	first := d.files["keywatch.yaml"]
	if out, status := d.run("plan", "--format", "json"); status != ExitOK || !strings.Contains(out, `"alarms": 1,`) {
		t.Errorf("%d %s", status, out)
	}
	d.files["keywatch.yaml"] = "mine"
	if _, status := d.run("init"); status != ExitProblems || d.files["keywatch.yaml"] != "mine" || !strings.Contains(d.stderr.String(), "--force") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	if out, status := d.run("init", "-o", "-"); status != ExitOK || out != first {
		t.Errorf("%d %s%s", status, out, d.stderr.String())
	}
	if _, status := d.run("init", "--force"); status != ExitOK || d.files["keywatch.yaml"] != first {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	if _, status := d.run("init", "-o", "b.yaml", "--config", "none.yaml"); status != ExitProblems || d.files["b.yaml"] != "" {
		t.Errorf("a config that is named and not there: %d", status)
	}

	// A snapshot gives the same, without an account.
	d.files["keywatch.yaml"] = frozenConfig
	if _, status := d.run("snapshot"); status != ExitOK {
		t.Fatal(d.stderr.String())
	}
	d.Open = nil
	if out, status := d.run("init", "-o", "-", "--from", "111122223333-eu-west-1.json"); status != ExitOK || out != first {
		t.Errorf("%d %s%s", status, out, d.stderr.String())
	}
	if out, status := d.run("init", "-o", "-", "-c", "keywatch:env=111122223333/eu-west-1"); status != ExitOK || out != first {
		t.Errorf("%d %s%s", status, out, d.stderr.String())
	}
	if _, status := d.run("init", "-o", "-"); status != ExitUsage || !strings.Contains(d.stderr.String(), "keywatch:env=") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	if _, status := d.run("init", "-o", "-", "--from", "gone.json"); status != ExitProblems || !strings.Contains(d.stderr.String(), "[snapshot-missing]") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
}

// What init cannot do it says before it reads the account, and it never takes one
// thing for another.
func TestInitRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"-o", ""}, ExitUsage, "--output names no file"},
		{[]string{"--from", ""}, ExitUsage, "--from names no snapshot"},
		{[]string{"-o", "a file/x.yaml"}, ExitEnvironment, "see what a file/x.yaml is: not a directory"},
		{[]string{"--from", "a b's.json"}, ExitProblems, `keywatch snapshot -o 'a b'\''s.json'`},
		{[]string{"-c", "keywatch:limits.alarms=many"}, ExitProblems, "1 problem in the context"},
	} {
		d := newDisk(map[string]string{})
		read := d.ReadFile
		d.ReadFile = func(path string) ([]byte, error) {
			if strings.HasPrefix(path, "a file/") {
				return nil, syscall.ENOTDIR
			}
			return read(path)
		}
		d.Open = nil
		out, status := d.run(append([]string{"init"}, c.args...)...)
		if status != c.status || !strings.Contains(d.stderr.String(), c.says) || out != "" || len(d.files) > 0 {
			t.Errorf("%q: %d %s%s, wrote %q", c.args, status, out, d.stderr.String(), d.files)
		}
	}

	d := newDisk(map[string]string{})
	d.WriteFile = func(string, []byte) error { return fs.ErrPermission }
	if _, status := d.run("init"); status != ExitEnvironment || !strings.Contains(d.stderr.String(), "print it with -o -") {
		t.Errorf("a folder that nobody may write to: %d %s", status, d.stderr.String())
	}
}

// The command that init names can be typed, and what it does not go by it says.
func TestInitSaysWhatFollows(t *testing.T) {
	t.Parallel()
	d := newDisk(map[string]string{"keywatch.yaml": "mine"})
	if _, status := d.run("init", "-o", "my team's.yaml"); status != ExitOK || !strings.Contains(d.stderr.String(), `keywatch plan --config 'my team'\''s.yaml'`) {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	if !strings.Contains(d.stderr.String(), "the config that is here is not valid, so init takes nothing from it") {
		t.Errorf("a config that is not valid: %s", d.stderr.String())
	}
}

// Without a config the context still counts.
func TestInitTakesTheContext(t *testing.T) {
	t.Parallel()
	d := newDisk(map[string]string{})
	open, left := d.Open, time.Duration(0)
	d.Open = func(ctx context.Context, t Target) (Source, error) {
		end, _ := ctx.Deadline()
		left = time.Until(end)
		return open(ctx, t)
	}
	if _, status := d.run("init", "-o", "-", "-c", "keywatch:inventory.timeout=20h"); status != ExitOK || left < 19*time.Hour {
		t.Errorf("%d, %s for the reading: %s", status, left, d.stderr.String())
	}
}
