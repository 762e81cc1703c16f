// Package docs holds the README against the program.
package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keywatch/config"
	"keywatch/internal/live"
	"keywatch/internal/sla"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// blocks are the fenced blocks of a language.
func blocks(text, language string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestTheConfigInTheReadmeLoads(t *testing.T) {
	t.Parallel()
	found := blocks(read(t, "README.md"), "yaml") // the marked ones are for config/schema_test.go
	if len(found) == 0 {
		t.Fatal("the README has no YAML")
	}
	for _, b := range found {
		if _, problems := config.Parse("README.md", []byte(b), nil); len(problems.Errors()) > 0 {
			t.Errorf("%v\n%s", problems, b)
		}
	}
}

func TestTheExamplesLoadWithoutWarnings(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples (%v)", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := config.Parse(f, data, nil); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

// The policy in the README is exactly what the code can call: internal/live
// holds its lists against the interfaces of its clients.
func TestThePolicyInTheReadmeIsWhatTheCodeCalls(t *testing.T) {
	t.Parallel()
	found := blocks(read(t, "README.md"), "json")
	if len(found) != 1 {
		t.Fatalf("%d JSON blocks, want the policy alone", len(found))
	}
	var policy struct {
		Statement []struct {
			Sid, Effect, Resource string
			Action                []string
		}
	}
	if err := json.Unmarshal([]byte(found[0]), &policy); err != nil {
		t.Fatal(err)
	}
	const free = "sts:GetCallerIdentity" // needs no permission
	without := func(actions []string, drop ...string) []string {
		out := slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return a == free || slices.Contains(drop, a) })
		slices.Sort(out)
		return out
	}
	want := map[string][]string{
		"KeywatchReadsKeys":           without(live.SynthActions()),
		"KeywatchCoverageReadsAlarms": without(live.CoverageActions(), live.SynthActions()...),
	}
	_, want["KeywatchOptional"] = live.Actions("synth")
	for _, s := range policy.Statement {
		if s.Effect != "Allow" || !slices.Equal(s.Action, want[s.Sid]) {
			t.Errorf("statement %s allows %v, the code calls %v", s.Sid, s.Action, want[s.Sid])
		}
		delete(want, s.Sid)
	}
	if len(want) > 0 {
		t.Errorf("the policy lacks the statements %v", want)
	}
}

// What the figures are, and who decides, stands at the top of the page in the words of
// every report.
func TestThePageSaysThatItIsAnEstimate(t *testing.T) {
	t.Parallel()
	top, _, _ := strings.Cut(read(t, "docs/sla.md"), "\n## ")
	said := strings.Join(strings.Fields(strings.NewReplacer("> ", "", "**", "").Replace(top)), " ")
	if want := strings.Replace(sla.Estimate, "This is", "It is", 1); !strings.Contains(said, want) {
		t.Errorf("docs/sla.md does not begin with %q", want)
	}
}

// The verbs of sla have policies of their own, in a table of their page.
func TestThePermissionsOfSLAAreWhatTheCodeCalls(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(read(t, "docs/sla.md"), "\n## Permissions\n")
	table, _, _ = strings.Cut(table, "\n## ")
	verbs := 0
	for line := range strings.Lines(table) {
		left, right, row := strings.Cut(strings.TrimPrefix(line, "| `sla "), " | ")
		if !row || left == line {
			continue
		}
		actions := regexp.MustCompile("`([a-z]+:[A-Za-z]+)`").FindAllStringSubmatch(right, -1)
		for _, verb := range regexp.MustCompile("[a-z]+`").FindAllString(strings.ReplaceAll(left, "sla ", ""), -1) {
			verbs++
			want, _ := live.Actions("sla " + strings.TrimSuffix(verb, "`"))
			want = slices.DeleteFunc(want, func(a string) bool { return a == "sts:GetCallerIdentity" })
			slices.Sort(want)
			var got []string
			for _, a := range actions {
				got = append(got, a[1])
			}
			if !slices.Equal(got, want) {
				t.Errorf("sla %s: the table has %v, the code calls %v", verb, got, want)
			}
		}
	}
	if verbs != 4 {
		t.Errorf("%d verbs in the table, want collect, report, claim and file", verbs)
	}
}

// Files that the README links to exist.
func TestLinksInTheReadmeLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "CONTRIBUTING.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join("..", "..", m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// What `npx cdk` finds without any flag: the app, no metadata, and no config of
// somebody's own. Versions are pinned to the digit, and as the docs say.
func TestTheCDKSettingsAndThePins(t *testing.T) {
	t.Parallel()
	var cdk struct {
		App              string
		VersionReporting *bool
		Context          map[string]any
	}
	if err := json.Unmarshal([]byte(read(t, "cdk.json")), &cdk); err != nil {
		t.Fatal(err)
	}
	if cdk.App != "go run ." || cdk.VersionReporting == nil || *cdk.VersionReporting || cdk.Context["@aws-cdk/core:validateAgainstDefaultRules"] != true {
		t.Errorf("cdk.json: %+v", cdk)
	}
	for name := range cdk.Context {
		if strings.HasPrefix(name, "keywatch:") {
			t.Errorf("cdk.json sets %s for everybody", name)
		}
	}
	var npm struct{ DevDependencies map[string]string }
	if err := json.Unmarshal([]byte(read(t, "package.json")), &npm); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"aws-cdk": "2.1148.1", "node": "24.21.0"} {
		if got := npm.DevDependencies[name]; got != want {
			t.Errorf("package.json: %s %s, want %s", name, got, want)
		}
	}
	mod := read(t, "go.mod")
	for _, pin := range []string{
		"aws-cdk-go/awscdk/v2 v2.270.0", "constructs-go/constructs/v10 v10.6.0", "jsii-runtime-go v1.139.0",
		"aws-sdk-go-v2/service/kms v1.62.4", "aws-sdk-go-v2/config v1.33.15",
	} {
		if !strings.Contains(mod, "github.com/aws/"+pin+"\n") {
			t.Errorf("go.mod does not pin %s", pin)
		}
	}
	for _, line := range strings.Split(read(t, "test/localaws/requirements.in"), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.Contains(line, "==") {
			t.Errorf("requirements.in does not pin %s", line)
		}
	}
}

// The figures in the README were measured, not left out.
func TestTheReadmeHasFigures(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	if strings.Contains(readme, "<!-- bench -->") || !strings.Contains(readme, "| 5,000 |") {
		t.Error("the README lacks the figures of make bench")
	}
}

// The README's two commands are targets of the Makefile, and CI calls the test
// command.
func TestTheTwoCommandsExist(t *testing.T) {
	t.Parallel()
	makefile, ci := read(t, "Makefile"), read(t, ".ci/run")
	for _, target := range []string{"demo", "test", "bench", "build", "audit", "verify", "fuzz"} {
		if !strings.Contains(makefile, "\n"+target+":") {
			t.Errorf("the Makefile has no target %s", target)
		}
	}
	if !strings.Contains(ci, "make test") {
		t.Error(".ci/run does not call make test")
	}
}
