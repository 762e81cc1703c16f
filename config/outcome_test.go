package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// A rule begins with what defaults say, and an operation with what its rule says.
func TestDefaultsRuleOperation(t *testing.T) {
	t.Parallel()
	shared := func(name string) config.Rule {
		r := usualRule(name)
		r.Match = leaf("plan", config.Equals, name)
		r.Operations.Scope = config.Applicable
		r.Anomaly.ID, r.Anomaly.Band, r.Anomaly.Evaluate = "shared", "3", 5
		r.BandTag = &config.BandTag{Tag: "keywatch-band", Min: config.Band{Value: 1, Text: "1"}}
		r.Thresholds = []config.Threshold{usualThreshold(5, "Decrypt")}
		r.Actions.Alarm = arns("arn:{partition}:sns:{region}:{account}:pager")
		r.Actions.InsufficientData = arns("arn:{partition}:sns:{region}:{account}:blind")
		return r
	}
	// decrypt is what defaults say of it, over the anomaly alarm of a rule.
	decrypt := func(r config.Rule) *spec.Anomaly {
		a := *r.Anomaly
		a.Evaluate, a.Statistic = 4, "Average"
		return &a
	}
	plain, merged, replaced, static := shared("plain"), shared("merged"), shared("replaced"), shared("static")
	plain.PerOperation = map[spec.Operation]*spec.Anomaly{"Decrypt": decrypt(plain), "Encrypt": nil}

	merged.Operations = config.Operations{Scope: config.Listed, List: []spec.Operation{"Decrypt", "Encrypt", "Sign"}}
	merged.Anomaly.Period = 15 * time.Minute
	narrow := decrypt(merged)
	narrow.Band = "1.50"
	merged.PerOperation = map[spec.Operation]*spec.Anomaly{"Decrypt": narrow, "Encrypt": nil, "Sign": nil}
	merged.BandTag = &config.BandTag{Tag: "own-band", Min: config.Band{Value: 0.5, Text: "0.5"}, Max: config.Band{Value: 9, Text: "9"}, AllowLooser: true}
	merged.Actions.OK, merged.Actions.InsufficientData = arns("arn:aws:sns:eu-west-1:111122223333:calm"), nil

	encrypt := *replaced.Anomaly
	encrypt.Missing = "ignore"
	replaced.PerOperation = map[spec.Operation]*spec.Anomaly{"Decrypt": decrypt(replaced), "Encrypt": &encrypt}
	replaced.BandTag, replaced.Thresholds = nil, nil

	static.Anomaly, static.BandTag, static.Operations.Scope = nil, nil, config.Core

	nobody := usualRule("nobody")
	nobody.Match, nobody.Watch = leaf("plan", config.Equals, "nobody"), false

	c := load(t, "testdata/ok/outcome.yaml")
	if diff := cmp.Diff(usualConfig(plain, merged, replaced, static, nobody), c, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

// A mapping over an `off` of defaults begins with the usual values.
func TestDefaultsOff(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/outcome-off.yaml")
	want := usualAnomaly()
	want.Evaluate = 2
	if diff := cmp.Diff(want, c.Rules[1].Anomaly); diff != "" || c.Rules[0].Anomaly != nil {
		t.Errorf("%+v, (-want +got):\n%s", c.Rules[0].Anomaly, diff)
	}
}

// remarks are the warnings of a config with these lines below version and with
// one rule that has these.
func remarks(t *testing.T, top, rule string) []string {
	t.Helper()
	if !strings.Contains(rule, "actions") {
		rule += ", " + told
	}
	c, err := config.Load(config.Request{Flag: "f", ReadFile: disk{"f": "version: 1\n" + top + "\nrules:\n  - {name: r, match: every, " + rule + "}\n"}.read})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range c.Warnings {
		out = append(out, strings.TrimPrefix(w.String(), "f:"))
	}
	return out
}

// What is remarked on a rule is judged with defaults filled in, and stands at the
// value to change.
func TestRemarksOnOutcomes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ top, rule, want string }{
		{"defaults: {actions: {ok: [arn:aws:sns:eu-west-1:111122223333:a]}}", "actions: {alarm: []}", ""},
		{"defaults: {anomaly: {direction: below}}", "continue: true", "2:33: warning: defaults.anomaly.direction: an anomaly alarm with direction: below and missing: notBreaching"},
		{"defaults: {anomaly: {direction: below}}", "anomaly: {missing: breaching}", ""},
		{"defaults: {anomaly: {direction: below}}", "anomaly: {missing: ignore}", `4:48: warning: rules[0].anomaly.missing: an anomaly alarm of rule "r" with direction: below and missing: ignore`},
		{"defaults: {anomaly: {direction: below, missing: breaching}}", "perOperation: {Decrypt: {direction: above}}", `4:65: warning: rules[0].perOperation.Decrypt.direction: an anomaly alarm of rule "r" with direction: above and missing: breaching`},
		{"defaults: {perOperation: {Decrypt: {missing: missing}}}", "continue: true", "2:46: warning: defaults.perOperation.Decrypt.missing: missing: missing puts an alarm into"},
		{"defaults: {perOperation: {Decrypt: {missing: missing}}}", "operations: [Encrypt]", ""},
		{"defaults: {perOperation: {Sign: off}}", "operations: [Encrypt]", ""},
		{"", "operations: [Encrypt], perOperation: {Encrypt: off, Sign: off}, thresholds: [{operations: [Sign], above: 1}]",
			`4:87: warning: rules[0].perOperation.Sign: rule "r" has no alarm on Sign, which is not among its operations, so this has no effect; add Sign to operations, or remove it here [unused]`},
		{"", "perOperation: {GenerateDataKeyPair: off}", `4:65: warning: rules[0].perOperation.GenerateDataKeyPair: rule "r" has no alarm on GenerateDataKeyPair,`},
		{"", "operations: applicable, perOperation: {GenerateDataKeyPair: off}", ""},
		{"defaults: {anomaly: off, operations: [Sign], bandTag: {tag: t}}", "thresholds: [{operations: [Sign], above: 1}]", ""},
		{"defaults: {anomaly: off}", "bandTag: {tag: t}, thresholds: [{operations: [Sign], above: 1}]", `4:38: warning: rules[0].bandTag: the anomaly alarm of rule "r" is off, so this has no effect; remove it [unused]`},
		{"", "bandTag: {tag: t, max: 4}", "4:52: warning: rules[0].bandTag.max bounds bands that are wider"},
		{"defaults: {bandTag: {tag: t, max: 4}}", "continue: true", "2:35: warning: defaults.bandTag.max bounds bands that are wider"},
		{"", "bandTag: {tag: t, min: 2}", `4:52: warning: rules[0].bandTag.min: min is 2, and no band of rule "r" is wider,`},
		{"", "bandTag: {tag: t, min: 1.999}", ""},
		{"", "anomaly: {band: 1}, bandTag: {tag: t}", `4:58: warning: rules[0].bandTag: min is 1, and no band of rule "r" is wider,`},
		{"", "bandTag: {tag: t, min: 2}, perOperation: {Sign: {band: 2.5}}", ""},
		{"", "bandTag: {tag: t, min: 2}, operations: [Decrypt], perOperation: {Decrypt: {band: 1}}", `4:52: warning: rules[0].bandTag.min: min is 2,`},
		{"", "bandTag: {tag: t, min: 2, max: 3, allowLooser: true}", ""},
		{"", "bandTag: {tag: t, max: 2, allowLooser: true}", `4:52: warning: rules[0].bandTag.max: max is 2, and no band of rule "r" is narrower,`},
		{"", "bandTag: {tag: t, max: 2, allowLooser: true}, perOperation: {Sign: {band: 1.5}}", ""},
		{"defaults: {bandTag: {tag: t, min: 2}}", "continue: true", ""}, // other rules may be wider
		{"", "anomaly: off, perOperation: {Sign: off}, thresholds: [{operations: [Sign], above: 1}]", `4:57: warning: rules[0].perOperation: the anomaly alarm of rule "r" is off, so this has no effect; remove it [unused]`},
	} {
		got := strings.Join(remarks(t, test.top, test.rule), "\n")
		if !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s | %s:\n%s\nwant %s", test.top, test.rule, got, test.want)
		}
	}
}

// What many rules take from defaults is remarked on once.
func TestRemarkOnDefaultsOnce(t *testing.T) {
	t.Parallel()
	source := "version: 1\ndefaults: {anomaly: {missing: missing}, " + told + "}\nrules:\n" +
		"  - {name: a, match: {tag: t, exists: true}}\n  - {name: b, match: every}\n"
	c, err := config.Load(config.Request{Flag: "f", ReadFile: disk{"f": source}.read})
	if err != nil || len(c.Warnings) != 1 {
		t.Errorf("%v, %v", err, c.Warnings)
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	utc := func(y int, m time.Month, d, h, min int) time.Time { return time.Date(y, m, d, h, min, 0, 0, time.UTC) }
	ends := utc(2027, 2, 1, 0, 0)
	want := []config.Exception{
		{Key: id, Reason: "retired in Q1", Owner: "data-platform", Expires: ends},
		{Key: "2" + id[1:], Account: "444455556666", Region: "eu-west-1", Reason: "twin", Owner: "a: b", Expires: utc(2028, 3, 1, 0, 0)},
		{Key: "mrk-1234abcd12ab34cd56ef1234567890ab", Reason: "yes", Owner: "é", Expires: utc(2100, 1, 1, 0, 0)},
		{Key: "arn:aws:kms:eu-west-1:111122223333:key/3" + id[1:], Account: "111122223333", Region: "eu-west-1", Reason: "T-1: moved", Owner: "payments", Expires: ends},
		{Key: "alias/legacy", Account: "111122223333", Region: "eu-west-1", Written: utc(2026, 11, 1, 0, 0), Reason: "old", Owner: "payments", Expires: ends},
		{Key: "alias/a/b_c-D", Written: utc(2026, 11, 1, 10, 30), Reason: "two\nlines", Owner: "payments", Expires: ends},
	}
	c := load(t, "testdata/ok/exceptions.yaml")
	if diff := cmp.Diff(want, c.Exceptions, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.Exceptions[4].Pos.String(); got != "testdata/ok/exceptions.yaml:15:5" {
		t.Errorf("an exception stands at %s", got)
	}
}

// Two exceptions of one key clash if some environment has both.
func TestExceptionsThatOverlap(t *testing.T) {
	t.Parallel()
	const (
		id      = "key: 1234abcd-12ab-34cd-56ef-1234567890ab"
		arn     = `key: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"`
		alias   = "key: alias/a, written: 2026-11-01"
		ireland = ", environment: 111122223333/eu-west-1"
		paris   = ", environment: 111122223333/eu-west-3"
		all     = ", everywhere: true"
	)
	for _, test := range []struct {
		keys string
		line int // of the one that clashes; 0: none
	}{
		{id + ireland + "|" + id + paris, 0},
		{alias + ireland + "|" + alias + paris, 0},
		{alias + all + "|key: alias/b, written: 2026-11-01" + all, 0},
		{id + paris + "|" + arn, 0},
		{id + ireland + "|" + arn, 4},
		{id + "|" + arn, 4},
		{arn + "|" + id, 4},
		{id + "|" + id + all, 4},
		{alias + all + "|" + alias + paris, 4},
		{alias + ireland + "|" + alias + paris + "|" + alias + all, 5},
		{alias + "|" + alias, 0}, // which lack their environment, and nothing else
	} {
		text := "version: 1\nexceptions:"
		for key := range strings.SplitSeq(test.keys, "|") {
			text += "\n  - {" + key + ", reason: r, owner: o, expires: 2027-01-31}"
		}
		_, problems := config.Parse("f", []byte(text+"\nrules: [{name: a, match: every, watch: false}]\n"), nil)
		line := 0
		for _, p := range problems {
			if p.Code == "duplicate-exception" {
				line = p.Pos.Line
			}
		}
		if line != test.line {
			t.Errorf("a clash in line %d, want %d:\n%s\n%v", line, test.line, text, problems)
		}
	}
}

func TestTooManyExceptions(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("version: 1\nrules: [{name: a, match: every, watch: false}]\nexceptions:\n")
	for range 10_001 {
		b.WriteString("  - {}\n")
	}
	_, problems := printed("f", []byte(b.String()), nil)
	if i := slices.IndexFunc(problems, func(p diag.Problem) bool { return p.Code == "too-many" }); i < 0 || !strings.Contains(problems[i].Message, "10001 entries; at most 10000") {
		t.Errorf("10,001 exceptions: %d problems, none of them [too-many]", len(problems))
	}
}

// Levels change remarks alone: off drops them, fail makes them errors.
func TestFindingsApply(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/exceptions.yaml")
	for code, want := range map[string]config.Level{"tag-typo": "warn", "unmatched": "off", "no-match": "off", "unused": "fail"} {
		if got := c.Findings.Level(code); got != want {
			t.Errorf("%s is %s, want %s", code, got, want)
		}
	}
	var l diag.List
	for _, code := range []string{"tag-typo", "unmatched", "unused", "gone"} {
		l.Warn(diag.Pos{}, code, "w")
		l.Add(diag.Pos{}, code, "e")
	}
	var got []string
	for _, p := range c.Findings.Apply(l) {
		got = append(got, p.Severity.String()+" "+p.Code+" "+p.Message)
	}
	if diff := cmp.Diff([]string{
		"warning tag-typo w", "error tag-typo e", "error unmatched e", "error unused w", "error unused e", "warning gone w", "error gone e",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.IsSorted(config.FindingCodes) {
		t.Error("the codes are not sorted")
	}
}
