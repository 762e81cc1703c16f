package config_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keywatch/config"
)

// A block of YAML in a document. The word after "yaml" says what it is:
//
//	(nothing)  a whole config
//	top        fields of the whole; version and rules are added if they lack
//	rule       fields of one rule; name, match and actions are added if they lack
//	match      a condition
var yamlBlock = regexp.MustCompile("(?ms)^```yaml *([a-z]*)\n(.*?)^```$")

const told = `actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}`

func wrap(kind, text string) (string, error) {
	indent := func(s string) string { return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") + "\n" }
	has := func(key string) bool { return regexp.MustCompile(`(?m)^` + key + `:`).MatchString(text) }
	switch kind {
	case "":
		return text, nil
	case "top":
		if !has("rules") {
			text += "rules:\n  - name: example\n    match: every\n" + indent(told)
		}
		if !has("version") {
			text = "version: 1\n" + text
		}
		return text, nil
	case "rule":
		for _, line := range []string{"name: example", "match: every", told} {
			if key, _, _ := strings.Cut(line, ":"); !has(key) && (key != "actions" || !has("watch")) {
				text += line + "\n"
			}
		}
		return "version: 1\nrules:\n  -\n" + indent(text), nil
	case "match":
		return "version: 1\nrules:\n  - name: example\n" + indent(told) + "    match:\n" + strings.ReplaceAll("      "+strings.TrimSpace(text), "\n", "\n      ") + "\n", nil
	}
	return "", fmt.Errorf("a yaml block is marked %q; use nothing, top, rule or match", kind)
}

// Every example in docs/config.md and docs/rules.md is valid.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	text := append(read(t, "../docs/config.md"), read(t, "../docs/rules.md")...)
	blocks := yamlBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 15 {
		t.Errorf("only %d examples found", len(blocks))
	}
	whole := 0
	for _, b := range blocks {
		if regexp.MustCompile(`^(#.*\n)*version:`).MatchString(b[2]) != (b[1] == "") {
			t.Errorf("a block that begins with version: is whole, any other is marked; this is neither:\n%s", b[0])
		}
		if b[1] == "" {
			whole++
		}
		text, err := wrap(b[1], b[2])
		if err != nil {
			t.Error(err)
			continue
		}
		c, err := config.Load(config.Request{Flag: "example.yaml", ReadFile: func(string) ([]byte, error) { return []byte(text), nil }})
		if err != nil {
			t.Errorf("an example is wrong: %v\n%s", err, text)
			continue
		}
		for _, w := range c.Warnings {
			if w.Code != "no-actions" || b[1] != "" {
				t.Errorf("an example gets a warning: %v\n%s", w, text)
			}
		}
	}
	if whole < 2 {
		t.Errorf("only %d whole configs", whole)
	}
}

// Every example of a mistake on the page of a code gives that code, as an error or
// warning, and no other.
func TestDocumentedMistakes(t *testing.T) {
	t.Parallel()
	ours := codesIn(t, ".")
	var sources []string
	for _, path := range append(glob(t, "*.go"), glob(t, "../internal/*/*.go")...) {
		if !strings.HasSuffix(path, "_test.go") {
			sources = append(sources, string(read(t, path)))
		}
	}
	for code, text := range pages(t) {
		blocks := yamlBlock.FindAllStringSubmatch(text, -1)
		if ours[code] != "" && len(blocks) == 0 && !slices.Contains([]string{"no-file", "empty", "too-large", "unknown-context"}, code) {
			t.Errorf("[%s] has no example", code)
		}
		for _, b := range blocks {
			wrapped, err := wrap(b[1], b[2])
			if err != nil {
				t.Error(err)
				continue
			}
			got, problems := printed("example.yaml", []byte(wrapped), nil)
			if list := codes(problems); len(list) == 0 || slices.ContainsFunc(list, func(c string) bool { return c != code }) {
				t.Errorf("the example of [%s] gives %q:\n%s", code, list, got)
			}
		}
		if len(blocks) == 0 {
			checkQuoted(t, code, text, sources)
		}
	}
}

// checkQuoted holds a message that a page quotes to the words of the program: some
// text of a file that gives the code stands in it.
func checkQuoted(t *testing.T, code, page string, sources []string) {
	t.Helper()
	m := regexp.MustCompile("(?m)^Example: `(.*)`$").FindStringSubmatch(page)
	if m == nil || !strings.HasSuffix(m[1], " ["+code+"]") {
		t.Errorf("[%s] has neither an example nor a message that ends in its code", code)
		return
	}
	for _, source := range sources {
		if !strings.Contains(source, `"`+code+`"`) {
			continue
		}
		for _, literal := range literals.FindAllString(source, -1) {
			format, err := strconv.Unquote(literal)
			if err != nil {
				continue
			}
			for _, words := range verbs.Split(format, -1) {
				if len(words) >= 12 && strings.Contains(m[1], words) {
					return
				}
			}
		}
	}
	t.Errorf("the example of [%s] is no message of it: %s", code, m[1])
}

var (
	literals = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`)
	verbs    = regexp.MustCompile(`%[+#]?[a-z]|[;,] `) // a page may quote only a part
)

// docs/config.md names every field that the program knows: the ones it lists
// when it is given one that it does not know.
func TestEveryFieldIsDocumented(t *testing.T) {
	t.Parallel()
	doc := string(read(t, "../docs/config.md"))
	source := "version: 1\nx: 1\nenvironments: [{x: 1}]\ninventory: {x: 1}\nlimits: {x: 1}\ndashboard: {x: 1}\n" +
		"defaults: {x: 1}\nfindings: {x: 1}\nexceptions: [{x: 1}]\n" +
		"rules: [{name: r, x: 1, match: {all: [{x: {}}, {tag: t, x: 1}]}, anomaly: {x: 1}, perOperation: {Decrypt: {x: 1}}, bandTag: {x: 1}, thresholds: [{x: 1}], actions: {x: 1}}]\n"
	_, problems := printed("f", []byte(source), nil)
	var fields []string
	for _, p := range problems {
		if _, list, ok := strings.Cut(p.Message, "; allowed: "); ok && p.Code == "unknown-key" {
			fields = append(fields, strings.Split(list, ", ")...)
		}
	}
	if len(fields) < 40 {
		t.Errorf("only %d fields found: %q", len(fields), fields)
	}
	for _, name := range append(fields, config.Overridable...) {
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/config.md does not name `%s`", name)
		}
	}
}
