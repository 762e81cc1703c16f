package docs

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keywatch/config"
	"keywatch/internal/cli"
)

// fence is a block in a document: its language, what marks it, its text.
var fence = regexp.MustCompile("(?ms)^```([a-z]*) *([a-z]*)\n(.*?)^```$")

// documents are the pages whose examples are tested, as paths in the repository.
func documents(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	err := filepath.WalkDir(filepath.Join("..", "..", "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			out = append(out, filepath.ToSlash(strings.TrimPrefix(path, filepath.Join("..", "..")+string(filepath.Separator))))
		}
		return err
	})
	if err != nil || len(out) < 80 {
		t.Fatalf("%d documents, %v", len(out), err)
	}
	return out
}

// texts are the blocks of plain text, by page and first line, with the test that
// holds them, or why there is none.
var texts = map[string]string{
	"docs/snapshot.md: # .gitattributes": "no file of ours: git reads it",
	"docs/snapshot.md: ~ 1234abcd-12ab-34cd-56ef-1234567890ab tag \"env\": \"prod\" -> \"dev\"":                                      "internal/snapshot: TestTheDocumentedChanges",
	"docs/codes/README.md: keywatch.yaml:7:14: rules[0].anomaly: breaching is 4, more than evaluate, 3 (the default); … [breaching]": "TestTheMessageInTheIndex",
	"docs/codes/two-conditions.md: all:": "TestTheFixOfTwoConditions",
	"docs/config.md:     anomaly:":       "config: TestEffectiveOrigins has the forms of origins",
}

// Every block in the documents is tested: by its language, or by name.
func TestEveryExampleIsTested(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	used := map[string]bool{}
	for _, page := range documents(t) {
		text := read(t, page)
		found := fence.FindAllStringSubmatch(text, -1)
		if n := strings.Count("\n"+text, "\n```"); n != 2*len(found) {
			t.Errorf("%s: %d fences and %d blocks: one has no language, or does not end", page, n, len(found))
		}
		for _, b := range found {
			seen[b[1]]++
			first, _, _ := strings.Cut(b[3], "\n")
			switch b[1] {
			case "yaml": // config: TestTheSchemaTakesEveryValidFile; TestDocumentedMistakes
				if dir := filepath.Dir(page); page != "README.md" && dir != "docs" && dir != "docs/codes" {
					t.Errorf("%s: nobody reads the YAML of this page:\n%s", page, b[3])
				}
			case "console":
				checkCommands(t, page, b[3])
			case "json": // TestThePolicyInTheReadmeIsWhatTheCodeCalls; internal/slalog: TestTheDocumentedRequest
				if page != "README.md" && page != "docs/sla-logs.md" {
					t.Errorf("%s: nobody reads the JSON of this page:\n%s", page, b[3])
				}
			case "python": // test/e2e: TestTheMonitoringOfBotocore runs it
				if page != "docs/sla-logs.md" {
					t.Errorf("%s: nobody runs the Python of this page:\n%s", page, b[3])
				}
			case "go":
				checkGo(t, page, b[3])
			case "text":
				if texts[page+": "+first] == "" {
					t.Errorf("%s: no test is named for the text %q", page, first)
				}
				used[page+": "+first] = true
			default:
				t.Errorf("%s: a block is in %q, which nobody tests", page, b[1])
			}
		}
	}
	for name := range texts {
		if !used[name] {
			t.Errorf("a test is named for %s, which is not there", name)
		}
	}
	if seen["yaml"] < 60 || seen["console"] < 6 || seen["go"] < 1 || seen["json"] < 1 {
		t.Errorf("only %v blocks: the search is broken", seen)
	}
}

// known are the commands of others, which are tested where they are used: make in
// CI, npx cdk in test/e2e; git, grep and the AWS CLI are nobody's here.
var known = []string{"make", "npm", "npx", "git", "grep", "export", "aws"}

func checkCommands(t *testing.T, page, text string) {
	t.Helper()
	makefile := read(t, "Makefile")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " # ")
		for _, command := range strings.Split(line, " && ") {
			words := strings.Fields(command)
			if len(words) == 0 {
				continue
			}
			switch name := strings.TrimPrefix(words[0], "bin/"); {
			case name == "keywatch":
				checkVerb(t, page, words[1:])
			case name == "go" && words[1] == "test":
				checkTests(t, page, words[2:])
			case name == "UPDATE=1" || name == "go":
			case name == "make" && !strings.Contains(makefile, "\n"+words[1]+":"):
				t.Errorf("%s: the Makefile has no target %s", page, words[1])
			case !slices.Contains(known, name):
				t.Errorf("%s: nobody knows the command %q", page, command)
			}
		}
	}
}

// checkVerb asks the program for help on a command line, which it gives only if the
// verb and its flags are there.
func checkVerb(t *testing.T, page string, args []string) {
	t.Helper()
	var out, complaints bytes.Buffer
	w := cli.World{Stdout: &out, Stderr: &complaints, Getenv: func(string) string { return "" }, ReadFile: os.ReadFile}
	if status := w.Run(context.Background(), append(slices.Clone(args), "--help")); status != cli.ExitOK || len(args) > 0 && !strings.Contains(out.String(), "keywatch "+args[0]) {
		t.Errorf("%s: keywatch %v: status %d: %s", page, args, status, complaints.String())
	}
}

func checkTests(t *testing.T, page string, args []string) {
	t.Helper()
	for _, arg := range args {
		if dir, ours := strings.CutPrefix(arg, "./"); ours {
			if _, err := os.Stat(filepath.Join("..", "..", strings.TrimSuffix(dir, "/..."))); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// checkGo holds Go in a document to the examples of the constructs, which compile
// and run.
func checkGo(t *testing.T, page, text string) {
	t.Helper()
	examples := strings.ReplaceAll(read(t, "constructs/example_test.go"), "\n\t", "\n")
	if !strings.Contains(examples, text) {
		t.Errorf("%s: constructs/example_test.go does not have:\n%s", page, text)
	}
}

const told = `actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}`

// The mistakes in the README give the messages that stand beside them; … stands for
// anything.
func TestTheTenMistakesOfANewcomer(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile("(?m)^\\| `([^`]*)` \\| `([^`]*)` \\[↗\\]\\(docs/codes/([a-z-]*)\\.md\\) \\|$").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(rows) != 10 {
		t.Errorf("%d mistakes", len(rows))
	}
	for _, row := range rows {
		source := "version: 1\nrules:\n  - name: example\n    " + row[1] + "\n"
		for _, line := range []string{"match: every", told} {
			if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(row[1], key+":") {
				source += "    " + line + "\n"
			}
		}
		_, problems := config.Parse("keywatch.yaml", []byte(source), nil)
		want := strings.ReplaceAll(regexp.QuoteMeta(row[2]), "…", ".*")
		if errs := problems.Errors(); len(errs) != 1 || errs[0].Code != row[3] || !regexp.MustCompile("^"+want+"$").MatchString(errs[0].Message) {
			t.Errorf("%s gives\n%v\nthe README says\n%s [%s]", row[1], errs, row[2], row[3])
		}
	}
}

func TestTheMessageInTheIndex(t *testing.T) {
	t.Parallel()
	_, problems := config.Parse("keywatch.yaml", []byte("version: 1\nrules:\n  - name: example\n    match: every\n    "+told+"\n\n    anomaly: {breaching: 4}\n"), nil)
	if len(problems) != 1 {
		t.Fatal(problems)
	}
	message, _, _ := strings.Cut(problems[0].String(), "; ")
	if !strings.Contains(read(t, "docs/codes/README.md"), fmt.Sprintf("%s; … [%s]", message, problems[0].Code)) {
		t.Errorf("docs/codes/README.md does not show %s", message)
	}
}

func TestTheFixOfTwoConditions(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(read(t, "docs/codes/two-conditions.md"), "text") {
		source := "version: 1\nrules:\n  - name: example\n    match:\n      " + strings.ReplaceAll(strings.TrimSpace(b), "\n", "\n      ") + "\n    " + told + "\n"
		if _, problems := config.Parse("keywatch.yaml", []byte(source), nil); len(problems) > 0 {
			t.Errorf("%v\n%s", problems, source)
		}
	}
}

// Every link between documents leads to a page, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range documents(t) {
		for _, m := range regexp.MustCompile(`\]\(([^():]+)\)`).FindAllStringSubmatch(read(t, page), -1) {
			path, heading, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page), path))
			}
			if _, err := os.Stat(filepath.Join("..", "..", target)); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
				continue
			}
			if heading != "" && !slices.Contains(headings(read(t, target)), heading) {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
	}
}

// headings are the anchors of a page.
func headings(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		out = append(out, regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""))
	}
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], " ", "-")
	}
	return out
}
