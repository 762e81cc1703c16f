package report_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"keywatch/config"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/report"
)

// all is every text that the package writes of a report.
func all(r *coverage.Report) string {
	var b bytes.Buffer
	report.Plan(&b, r.Plan)
	report.Keys(&b, r)
	report.Coverage(&b, r)
	for i := range r.Keys {
		report.Explain(&b, &r.Keys[i])
	}
	return b.String()
}

func planOf(t *testing.T, rules string, keys ...inventory.Key) *plan.Plan {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte("version: 1\n"+rules), nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	inv := account()
	inv.Keys = keys
	inv.Sort()
	return plan.Build(c, inv, plan.Options{Trace: true})
}

// Lines that hold no name to be copied whole are folded.
func TestBandsAreFolded(t *testing.T) {
	wide := account().Keys[0]
	wide.Tags = []inventory.Tag{{Key: "own-band", Value: "9"}}
	p := planOf(t, `
rules:
  - name: all
    match: every
    bandTag: {tag: own-band, max: 10, allowLooser: true}
`, wide)
	var b bytes.Buffer
	report.Plan(&b, p)
	_, bands, found := strings.Cut(b.String(), "Bands that a tag makes wider:\n")
	if !found || strings.Count(bands, "\n") < 2 {
		t.Errorf("%q, want a band that is longer than a line", bands)
	}
	for _, line := range strings.Split(bands, "\n") {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("longer than 80 columns: %s", line)
		}
	}
}

// Whoever may tag a key, name it or write an error must not write to the terminal
// of the one who looks.
func TestNothingSteersTheTerminal(t *testing.T) {
	const evil = "a\x1b[31m\u009b2J\rb\u202ec\x7f d\n"
	hostile := account().Keys[0]
	hostile.Aliases = []inventory.Alias{{Name: "alias/" + evil}, {Name: "alias/x" + evil}}
	hostile.Tags = []inventory.Tag{{Key: evil, Value: evil}, {Key: "cost center", Value: "1"}, {Key: "env", Value: "prod"}}
	closed := account().Keys[3]
	closed.Unreadable, closed.Tags = evil, hostile.Tags
	p := planOf(t, `
rules:
  - name: odd
    match: {any: [{tag: "a\x1b[31m\u009b2J\rb\u202ec\x7f d\n", exists: true}, {tag: cost center, equals: "1"}]}
    thresholds: [{operations: [Decrypt], above: 1}]
`, hostile, closed)
	for name, r := range map[string]*coverage.Report{"planned": coverage.Planned(p), "missing": coverage.Check(p, nil)} {
		out := all(r)
		for _, c := range out {
			if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) {
				t.Fatalf("%s: %q in %q", name, c, out)
			}
		}
		for _, want := range []string{`tag "a\x1b[31m\u009b2J\rb\u202ec\x7f d\n" exists`, `tag "cost center" equals "1"`, `env="prod"`, `"cost center"="1"`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %s in\n%s", name, want, out)
			}
		}
		var b bytes.Buffer
		if err := report.JSON(&b, report.Form{}, r); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\u009b\x7f\u202e\r") {
			t.Errorf("%s: the JSON holds control characters", name)
		}
		var doc struct{ Keys []struct{ Aliases []string } }
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil || !slices.Contains(doc.Keys[0].Aliases, "alias/"+evil) {
			t.Errorf("%s: the JSON does not say the alias as it is: %q %v", name, doc, err)
		}
	}
}

// Several rules on one key: each missing alarm says its id and its rule, and the
// table says why its keys do not add up.
func TestSeveralRulesOnAKey(t *testing.T) {
	p := planOf(t, `
rules:
  - {name: base, match: every, operations: [Decrypt], continue: true}
  - name: pci
    match: {tag: env, equals: prod}
    anomaly: off
    thresholds: [{operations: [Decrypt], above: 1, id: pci}, {operations: [Decrypt, Encrypt], above: 1, id: burst}]
`, account().Keys[0])
	r := coverage.Check(p, nil)
	out := all(r)
	for _, want := range []string{
		"not-covered: alias/payments/db, rules base, pci\n  arn:aws:kms:",
		"\n  no anomaly alarm on Decrypt, rule base\n",
		"\n  no static alarm \"pci\" on Decrypt, rule pci\n",
		"\n  no static alarm \"burst\" on Decrypt+Encrypt, rule pci\n",
		"MISSING: Decrypt, Decrypt pci",
		"(static), Decrypt+Encrypt burst\n",
		"\nA key counts for each rule that adds to it.\n",
		"3 alarms by rules base, pci:",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for i, want := range []string{"base", "pci", "pci"} {
		if got := r.Keys[0].Alarms[i].Rule; got != want {
			t.Errorf("alarm %d is of rule %q, want %q", i, got, want)
		}
	}
	if out := all(coverage.Planned(build(t, true))); strings.Contains(out, "counts for each") {
		t.Errorf("no key has two rules, but the note is there:\n%s", out)
	}
}

func TestNoAlarms(t *testing.T) {
	out := all(coverage.Planned(planOf(t, "rules: [{name: pay, match: {tag: team, equals: x}}]\n", account().Keys[4])))
	if want := "\nno alarms, dashboard keywatch-eu-west-1.\n"; !strings.Contains(out, want) {
		t.Errorf("no %q in\n%s", want, out)
	}
}

// What does not fit is folded, one tag a line; an ARN stays whole.
func TestExplainFitsTheColumns(t *testing.T) {
	k := account().Keys[0]
	for _, name := range []string{"a", "b", "c", "d"} {
		k.Tags = append(k.Tags, inventory.Tag{Key: "a-long-key-" + name, Value: strings.Repeat("value ", 6)})
	}
	out := all(coverage.Planned(planOf(t, "rules: [{name: pay, match: {tag: a-long-key-a, in: [\"value value value value value value \", other]}}]\n", k)))
	plainText(t, out)
	for _, want := range []string{
		"\ntags      a-long-key-a=\"value value value value value value \"\n          a-long-key-b=",
		"\n         (saw a-long-key-a=\"value value value value value value \")\n",
		"\nkey       " + k.ARN + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
