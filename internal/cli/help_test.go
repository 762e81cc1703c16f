package cli

import (
	"bytes"
	"context"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"keywatch/config"
)

// told runs the program without a world to read.
func told(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, complaints bytes.Buffer
	w := World{Stdout: &out, Stderr: &complaints, Getenv: func(string) string { return "" }, ReadFile: noFile, Version: "v1"}
	status = w.Run(context.Background(), args)
	return out.String(), complaints.String(), status
}

// Each verb says what it is for, shows how to call it, and fits a terminal.
func TestHelpOfEachVerb(t *testing.T) {
	t.Parallel()
	var w World
	verbs := 0
	for _, cmd := range below(w.root()) {
		help, stderr, status := told(t, append([]string{"help"}, strings.Fields(cmd.CommandPath())[1:]...)...)
		if status != ExitOK || stderr != "" {
			t.Errorf("help %s: %d %s", cmd.Name(), status, stderr)
		}
		for line := range strings.Lines(help) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
				t.Errorf("help %s: %d columns: %s", cmd.Name(), n, line)
			}
		}
		if cmd.IsAdditionalHelpTopicCommand() || cmd.Name() == "help" {
			continue
		}
		verbs++
		if !strings.Contains(help, "\nExamples:\n") || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("help %s has no example:\n%s", cmd.Name(), help)
		}
	}
	if verbs < 18 {
		t.Errorf("only %d verbs", verbs)
	}
	help, _, _ := told(t, "--help")
	for line := range strings.Lines(help) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// A topic is help and no verb, and what it shows of a config is valid.
func TestTopics(t *testing.T) {
	t.Parallel()
	short, _, _ := told(t, "--help")
	for _, topic := range topics {
		text, _, status := told(t, "help", topic.name)
		if status != ExitOK || !strings.Contains(text, "docs/") || !strings.Contains(short, "keywatch "+topic.name) {
			t.Errorf("help %s: status %d:\n%s", topic.name, status, text)
		}
	}
	wrap := map[string]func(string) string{
		"config": func(s string) string { return s },
		"conditions": func(s string) string {
			return "version: 1\nrules:\n  - name: r\n    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") + "\n"
		},
		"exceptions":   func(s string) string { return "version: 1\nrules: [{name: r, match: every}]\n" + s },
		"findings":     func(s string) string { return "version: 1\nrules: [{name: r, match: every}]\n" + s },
		"snapshots":    func(s string) string { return "version: 1\nrules: [{name: r, match: every}]\n" + s },
		"environments": func(s string) string { return "version: 1\nrules: [{name: r, match: every}]\n" + s },
	}
	for _, topic := range topics {
		block := regexp.MustCompile(`(?m)^  [a-z]+:(?: .*)?\n(?:  .*\n)*`).FindString(topic.text)
		if wrap[topic.name] == nil {
			continue
		}
		source := wrap[topic.name](strings.TrimRight(regexp.MustCompile(`(?m)^  `).ReplaceAllString(block, ""), "\n ") + "\n")
		if _, problems := config.Parse("topic", []byte(source), nil); len(problems.Errors()) > 0 || block == "" {
			t.Errorf("%s: %v\n%s", topic.name, problems, source)
		}
	}
}

// The topic of conditions shows each leaf that there is, and what it shows is valid;
// that of the exit status names each gate.
func TestTopicsAreWhole(t *testing.T) {
	t.Parallel()
	text := map[string]string{}
	for _, topic := range topics {
		text[topic.name] = topic.text
	}
	leaves := regexp.MustCompile(`(?m)^  - [a-zA-Z]+: .*$`).FindAllString(text["conditions"], -1)
	source := "version: 1\nrules:\n  - name: r\n    match:\n      any:\n"
	for _, leaf := range leaves {
		source += "      " + regexp.MustCompile(`   +[a-z].*$`).ReplaceAllString(leaf, "") + "\n"
	}
	if _, problems := config.Parse("topic", []byte(source), nil); len(problems.Errors()) > 0 {
		t.Errorf("%v\n%s", problems, source)
	}
	for _, word := range []config.Fact{config.Alias, config.KeyID, config.Usage, config.Spec, config.Origin, config.State, config.MultiRegion, config.CreatedBefore, config.CreatedAfter} {
		if !strings.Contains(text["conditions"], string(word)) {
			t.Errorf("conditions do not tell of %s", word)
		}
	}
	for topic, words := range map[string][]string{
		"conditions":  {"docs/rules.md"},
		"exceptions":  {"docs/exceptions.md", "written", "everywhere: true"},
		"findings":    append([]string{"keywatch:findings.all=fail"}, config.FindingCodes...),
		"exit-status": {"coverage", "--check", "--verify", "fail"},
	} {
		for _, word := range words {
			if !strings.Contains(text[topic], word) {
				t.Errorf("help %s says nothing of %s", topic, word)
			}
		}
	}
}

// A shell gets the words of flags and arguments; names of rules come from the config.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want []string
	}{
		{"plan --format ", formats},
		{"validate --format ", formats},
		{"permissions --format ", []string{"json"}},
		{"init --format ", formats},
		{"permissions ", policed},
		{"explain --usage ", config.Usage.Values()},
		{"explain --spec ", config.Spec.Values()},
		{"completion ", shells},
		{"plan -c keywatch:limits", []string{"keywatch:limits.alarms=", "keywatch:limits.monthlyUSD="}},
	} {
		args := append([]string{"__complete"}, strings.Split(c.args, " ")...)
		out, _, status := told(t, args...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if got := lines[:len(lines)-1]; status != ExitOK || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	for _, verb := range []string{"explain", "plan", "sla", "permissions"} {
		if out, _, _ := told(t, "__complete", verb, ""); !strings.HasSuffix(strings.TrimSpace(out), "\n:4") && strings.TrimSpace(out) != ":4" { // ShellCompDirectiveNoFileComp
			t.Errorf("%s offers files: %q", verb, out)
		}
	}
	if out, _, _ := told(t, "__complete", "sla", "verify", ""); !strings.HasSuffix(strings.TrimSpace(out), ":0") {
		t.Errorf("sla verify offers no files: %q", out)
	}
	for _, shell := range shells {
		if out, _, status := told(t, "completion", shell); status != ExitOK || !strings.Contains(out, "keywatch") || !strings.Contains(out, "__complete") {
			t.Errorf("%s: %d, %d bytes", shell, status, len(out))
		}
	}
	if _, stderr, status := told(t, "completion", "tcsh"); status != ExitUsage || !strings.Contains(stderr, "allowed: bash, zsh, fish, powershell") {
		t.Errorf("tcsh: %d %s", status, stderr)
	}
	w := World{Getenv: func(string) string { return "" }, ReadFile: func(path string) ([]byte, error) {
		if path != "c.yaml" {
			return noFile(path)
		}
		return []byte("version: 1\nrules: [{name: a, match: {tag: t, exists: true}}, {name: b, match: every}]\n"), nil
	}}
	if got, _ := w.completeRules(&options{config: "c.yaml"})(nil, nil, ""); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("rules %q", got)
	}
	if got, _ := w.completeRules(&options{config: "none.yaml"})(nil, nil, ""); len(got) != 0 {
		t.Errorf("rules of no config: %q", got)
	}
}

func noFile(path string) ([]byte, error) {
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

// The hint of bad usage leads to the help that has the verb's own flags.
func TestTheHintOfBadUsageNamesTheVerb(t *testing.T) {
	t.Parallel()
	d := newDisk(nil)
	for _, cmd := range append(below(d.root()), d.root()) {
		args := strings.Fields(cmd.CommandPath())[1:]
		want := "keywatch: hint: `" + cmd.CommandPath() + " --help` says what it takes\n"
		if len(args) == 0 || args[0] == "sla" && len(args) == 1 {
			want = "keywatch: hint: `" + cmd.CommandPath() + " --help` lists verbs and flags\n"
		}
		if !cmd.Runnable() {
			continue // a topic
		}
		if _, status := d.run(append(args, "--nonsense")...); status != ExitUsage || !strings.HasSuffix(d.stderr.String(), want) {
			t.Errorf("%v: %d %s\nwant %s", args, status, d.stderr.String(), want)
		}
	}
}
