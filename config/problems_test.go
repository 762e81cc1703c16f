package config_test

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/diag"
)

var update = flag.Bool("update", false, "rewrite testdata/err/*.out; read the difference before you commit it")

// printed is what a user sees of a file's problems, all of them, in order.
func printed(file string, source []byte, overrides map[string]string) (string, diag.List) {
	_, problems := config.Parse(file, source, overrides)
	problems.Sort()
	var b strings.Builder
	problems.Print(&b, file, source)
	return b.String(), problems
}

// overridesIn are the lines "# context PATH=VALUE" of a file: what -c gives.
func overridesIn(source []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(source)) {
		if rest, ok := strings.CutPrefix(line, "# context "); ok {
			path, value, _ := strings.Cut(strings.TrimSpace(rest), "=")
			out[path] = value
		}
	}
	return out
}

// Each testdata/err/NAME.yaml is one mistake (or a few), NAME.out all that the
// user is shown for it.
func TestMistakes(t *testing.T) {
	t.Parallel()
	files := glob(t, "testdata/err/*.yaml")
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			source := read(t, path)
			name := filepath.Base(path)
			got, problems := printed(name, source, overridesIn(source))
			if len(problems.Errors()) == 0 {
				t.Errorf("a file in testdata/err must have an error; got only:\n%s", got)
			}
			again, _ := printed(name, source, overridesIn(source))
			if got != again {
				t.Errorf("a second reading says something else:\n%s", cmp.Diff(got, again))
			}
			want := strings.TrimSuffix(path, ".yaml") + ".out"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(read(t, want)), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", want, diff)
			}
		})
	}
	for _, out := range glob(t, "testdata/err/*.out") {
		if !slices.Contains(files, strings.TrimSuffix(out, ".out")+".yaml") {
			t.Errorf("%s has no .yaml beside it", out)
		}
	}
}

// Every code that this package can give is shown by some file in testdata, or
// is named here with the test that shows it.
func TestEveryCodeHasAMistake(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]string{"no-file": "TestFind"}
	shown := map[string]bool{}
	for _, path := range append(glob(t, "testdata/err/*.yaml"), glob(t, "testdata/ok/*.yaml")...) {
		source := read(t, path)
		_, problems := printed("f", source, overridesIn(source))
		for _, p := range problems {
			shown[p.Code] = true
		}
	}
	ours := codesIn(t, ".")
	for _, code := range slices.Sorted(maps.Keys(ours)) {
		if !shown[code] && elsewhere[code] == "" {
			t.Errorf("no file in testdata/err gives [%s] (%s)", code, ours[code])
		}
	}
}

// A file with many mistakes reports each of them, and nothing else.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	source := read(t, "testdata/err/many.yaml")
	_, problems := printed("many.yaml", source, nil)
	var got []string
	for _, p := range problems {
		got = append(got, strings.TrimPrefix(p.Pos.String(), "many.yaml:")+" "+p.Code)
	}
	want := []string{
		"1:10 version", "2:7 bad-name", "3:18 out-of-range", "4:1 unknown-key", "5:22 out-of-range",
		"7:11 bad-name", "8:32 quote-it", "9:18 bad-operation", "9:27 reencrypt",
		"10:14 breaching", "10:21 band", "10:32 period", "11:23 bad-arn",
		"12:5 no-actions", "14:7 contradiction", "18:37 wrong-type",
		"19:5 duplicate-rule", "19:5 no-alarm", "20:18 empty-condition",
		"22:5 missing-key", "22:12 no-operator", "23:12 wrong-type",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// One cause gives one message: each of these has exactly one, and no remark
// that would only be true if the mistake were meant.
func TestOneCauseOneMessage(t *testing.T) {
	t.Parallel()
	several := map[string]int{ // files that hold several mistakes on purpose
		"many": 22, "limits-negative": 2, "limits-types": 2, "limits-fraction": 2, "limits-huge": 2,
		"missing-top": 2, "rule-missing": 2, "rule-name": 3, "rule-name-number": 2, "yaml-tag": 2,
		"operations-unknown": 4, "operations-case": 2, "operations-iam": 2, "operations-reencrypt-from": 2,
		"operations-nested": 2, "anomaly-unknown": 2, "anomaly-direction-case": 3, "breaching-zero": 2,
		"evaluate-fraction": 2, "thresholds-missing": 2, "contradiction-two-tags": 2,
		"exception-missing": 3, "context-several": 5, "context-unknown": 2, "rates-zero": 4, "limits-underscore": 2,
	}
	for _, path := range glob(t, "testdata/err/*.yaml") {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		source := read(t, path)
		text, problems := printed("f", source, overridesIn(source))
		want := max(1, several[name])
		if len(problems) != want {
			t.Errorf("%s: %d messages, want %d:\n%s", name, len(problems), want, text)
		}
	}
}

// A message says where, what and what to do, in the house's voice.
func TestMessageForm(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/err/*.yaml") {
		source := read(t, path)
		_, problems := printed("f.yaml", source, overridesIn(source))
		for _, p := range problems {
			switch {
			case strings.HasSuffix(p.Message, "."), strings.Contains(p.Message, "?;"), strings.Contains(p.Message, "  "), strings.Contains(p.Message, "%!"):
				t.Errorf("%s: badly punctuated: %s", path, p)
			case p.Code == "", p.Pos.File == "":
				t.Errorf("%s: without place or code: %s", path, p)
			case len(p.Message) > 1500:
				t.Errorf("%s: %d characters are too many to read", path, len(p.Message))
			}
		}
	}
}

// A message about a place in the file names the path of what it is about, unless
// there is no tree to name one in.
func TestEachMessageNamesAPath(t *testing.T) {
	t.Parallel()
	pathless := []string{"not-yaml", "empty", "too-large"}
	const path = `(the config|(version|name|environments|inventory|limits|detector|requireMatch|findings|defaults|rules|exceptions|dashboard|sla)\b)`
	named := regexp.MustCompile(`^` + path + `|(^unknown key ".*?" in|^"[^"]*" stands twice in|^a key of|^merge keys \(<<\) are not supported in|^every in) ` + path)
	for _, file := range append(glob(t, "testdata/err/*.yaml"), glob(t, "testdata/ok/*.yaml")...) {
		source := read(t, file)
		_, problems := printed("f.yaml", source, overridesIn(source))
		for _, p := range problems {
			if p.Pos.Line > 0 && !slices.Contains(pathless, p.Code) && !named.MatchString(p.Message) {
				t.Errorf("%s: names no path: %s", file, p)
			}
		}
	}
}

func TestTooManyBytes(t *testing.T) {
	t.Parallel()
	source := []byte("version: 1\n" + strings.Repeat("# padding\n", config.MaxFile/10))
	got, _ := printed("keywatch.yaml", source, nil)
	want := "keywatch.yaml: the config has 1048581 bytes; at most 1048576 are read [too-large]\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got, _ := printed("keywatch.yaml", source[:config.MaxFile], nil); strings.Contains(got, "too-large") {
		t.Errorf("a file of exactly 1 MiB is refused: %s", got)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}
