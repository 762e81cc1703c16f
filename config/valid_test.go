package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// sameValues compares configs without the places and compiled patterns.
var sameValues = cmp.Options{
	cmpopts.IgnoreTypes(diag.Pos{}),
	cmpopts.IgnoreFields(config.Config{}, "File", "Source", "Given", "Warnings"),
	cmpopts.IgnoreFields(config.Action{}, "Path"),
	cmpopts.IgnoreUnexported(config.Condition{}),
	cmpopts.EquateEmpty(),
}

// load is what a user gets from a file that must be valid.
func load(t *testing.T, path string) *config.Config {
	t.Helper()
	source := read(t, path)
	c, err := config.Load(config.Request{Flag: path, Overrides: overridesIn(source), ReadFile: os.ReadFile})
	if err != nil {
		t.Fatalf("%s is not valid:\n%v", path, err)
	}
	return c
}

func codes(problems diag.List) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Code)
	}
	return out
}

func every() *config.Condition { return &config.Condition{Kind: config.Every} }

func leaf(tag string, test config.TagTest, values ...string) *config.Condition {
	return &config.Condition{Kind: config.Tag, Tag: tag, Test: test, Values: values}
}

func usualAnomaly() *spec.Anomaly {
	return &spec.Anomaly{
		ID: "main", Direction: "above", Band: "2",
		Evaluation: spec.Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 3, Breaching: 2, Missing: "notBreaching"},
	}
}

func usualThreshold(above float64, ops ...spec.Operation) config.Threshold {
	return config.Threshold{Threshold: spec.Threshold{
		ID: "main", Operations: ops, Above: above,
		Evaluation: spec.Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 1, Breaching: 1, Missing: "notBreaching"},
	}}
}

func usualConfig(rules ...config.Rule) *config.Config {
	return &config.Config{
		Name:             "keywatch",
		Inventory:        usualInventory(),
		Limits:           config.Limits{Alarms: 1000, MonthlyUSD: 300_000_000},
		DetectorsManaged: true,
		Dashboard:        &config.Dashboard{TopKeys: 20},
		SLA:              config.SLA{RetentionDays: 400},
		Findings:         config.Findings{All: config.LevelWarn},
		Rules:            rules,
	}
}

func usualInventory() config.Inventory {
	return config.Inventory{Source: config.Live, Compare: config.CompareAuto, MaxAge: 168 * time.Hour, FailOnUnreadable: true, Timeout: 30 * time.Minute}
}

func usualRule(name string) config.Rule {
	return config.Rule{Name: name, Match: every(), Watch: true, Operations: config.Operations{Scope: config.Core}, Anomaly: usualAnomaly()}
}

func arns(arns ...string) []config.Action {
	var out []config.Action
	for _, a := range arns {
		out = append(out, config.Action{ARN: a})
	}
	return out
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := usualConfig(usualRule("all"))
	for _, path := range []string{"testdata/ok/minimal.yaml", "testdata/ok/defaults.yaml"} {
		c := load(t, path)
		if diff := cmp.Diff(want, c, sameValues); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if got := codes(c.Warnings); len(got) != 1 || got[0] != "no-actions" {
			t.Errorf("%s: warnings %q, want no-actions alone", path, got)
		}
		if c.File != path || string(c.Source) != string(read(t, path)) {
			t.Errorf("%s: File %q and Source are not those of the file", path, c.File)
		}
	}
}

func TestEveryField(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/full.yaml")
	payments := config.Rule{
		Name: "payments", Watch: true, Continue: true,
		Match: &config.Condition{Kind: config.All, Children: []*config.Condition{
			leaf("team", config.In, "payments", "ledger"),
			{Kind: config.Not, Children: []*config.Condition{leaf("env", config.GlobOf, "dev*")}},
			{Kind: config.Any, Children: []*config.Condition{
				leaf("pci", config.Equals, ""), leaf("pci", config.Regex, "level-[1-4]+|all"), leaf("pci", config.Exists),
			}},
		}},
		Operations: config.Operations{Scope: config.Listed, List: []spec.Operation{"Decrypt", "Encrypt"}},
		Anomaly: &spec.Anomaly{
			ID: "night", Direction: "both", Band: "2.50",
			Evaluation: spec.Evaluation{Statistic: "Average", Period: time.Hour, Evaluate: 5, Breaching: 5, Missing: "breaching"},
		},
		Actions: config.Actions{
			Alarm:            arns("arn:{partition}:sns:{region}:{account}:pager", "arn:aws:lambda:eu-central-1:444455556666:function:page"),
			OK:               arns("arn:{partition}:sns:{region}:{account}:calm"),
			InsufficientData: arns("arn:aws:sns:eu-central-1:444455556666:blind"),
		},
	}
	day := usualThreshold(0.5, "Sign")
	day.ID, day.Period, day.Evaluate, day.Missing = "day", 90*time.Minute, 2, "ignore"
	payments.Thresholds = []config.Threshold{usualThreshold(100_000, "Decrypt", "Encrypt"), day}

	static := usualRule("static")
	static.Match = leaf("team", config.Exists)
	static.Match.Want = true
	static.Operations = config.Operations{Scope: config.Applicable}
	static.Thresholds = []config.Threshold{usualThreshold(10, "Decrypt")}
	static.Actions = config.Actions{Alarm: arns("arn:aws:sns:eu-central-1:111122223333:pager")}

	sandbox := usualRule("sandbox")
	sandbox.Match, sandbox.Watch = leaf("env", config.Equals, "sandbox"), false

	want := &config.Config{
		Name:         "keys-2",
		Environments: []config.Environment{{Account: "111122223333", Region: "eu-central-1", Role: config.RoleNone}},
		Inventory:    config.Inventory{Source: config.Live, Compare: config.CompareAuto, MaxAge: 168 * time.Hour, Timeout: 30 * time.Minute},
		Limits:       config.Limits{Alarms: 5000, MonthlyUSD: 1_499_500_000},
		Rules:        []config.Rule{payments, static, sandbox},
		Dashboard:    &config.Dashboard{TopKeys: 500},
		SLA: config.SLA{
			Evidence: true, RetentionDays: 731, TrailLogGroup: "org/trail-1", EncryptionKey: "arn:aws:kms:eu-central-1:111122223333:key/mrk-1",
			Actions: config.Actions{Alarm: arns("arn:{partition}:sns:{region}:{account}:pager")},
		},
		Findings:     config.Findings{All: config.LevelWarn},
		RequireMatch: true,
	}
	if diff := cmp.Diff(want, c, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := codes(c.Warnings); len(got) != 1 || got[0] != "evidence-key" {
		t.Errorf("warnings: %v", c.Warnings)
	}
	at := map[string]config.Pos{
		"6:18": c.Limits.AlarmsPos, "6:36": c.Limits.MonthlyUSDPos, "4:5": c.Environments[0].Pos,
		"10:5": c.Rules[0].Pos, "12:7": c.Rules[0].Match.Pos, "23:9": c.Rules[0].Thresholds[0].Pos, "27:12": c.Rules[0].Actions.OK[0].Pos,
	}
	for want, pos := range at {
		if got := strings.TrimPrefix(pos.String(), "testdata/ok/full.yaml:"); got != want {
			t.Errorf("a place is %s, want %s", got, want)
		}
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/off.yaml")
	a, b := usualRule("a"), usualRule("b")
	a.Anomaly, a.Operations.Scope, a.Thresholds = nil, config.Applicable, []config.Threshold{usualThreshold(5, "Decrypt")}
	b.Anomaly, b.Thresholds = nil, a.Thresholds
	want := usualConfig(a, b)
	want.Dashboard = nil
	if diff := cmp.Diff(want, c, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"no-actions", "unused", "no-actions", "unreachable"}, codes(c.Warnings)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	got := load(t, "testdata/ok/aliases.yaml")
	a, b, c := usualRule("a"), usualRule("b"), usualRule("c")
	for _, r := range []*config.Rule{&a, &b, &c} {
		r.Anomaly.Band = "3"
	}
	pager := arns("arn:{partition}:sns:{region}:{account}:pager")
	a.Match, a.Actions.Alarm = leaf("team", config.Equals, "a"), pager
	a.Operations = config.Operations{Scope: config.Listed, List: []spec.Operation{"Decrypt", "Sign"}}
	b.Match = &config.Condition{Kind: config.Not, Children: []*config.Condition{a.Match}}
	b.Actions, b.Operations, c.Actions.OK = a.Actions, a.Operations, pager
	if diff := cmp.Diff(usualConfig(a, b, c), got, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A context value replaces what the file says, before it is checked, and a
// message about it names the context value.
func TestOverrides(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/overrides.yaml")
	want := usualConfig(usualRule("all"))
	want.Name, want.DetectorsManaged, want.RequireMatch = "other", false, true
	want.Inventory = config.Inventory{Source: config.Frozen, Path: "keys.json", Compare: config.CompareNever, MaxAge: time.Hour, FailOnStale: true, Timeout: 45 * time.Second}
	want.Limits = config.Limits{Alarms: 7, MonthlyUSD: 2_500_000}
	want.Dashboard.TopKeys = 3
	want.SLA.Evidence, want.SLA.RetentionDays = true, 150
	want.SLA.Actions.Alarm = arns("arn:{partition}:sns:{region}:{account}:pager")
	want.Findings.All = config.LevelFail
	want.Rules[0].Actions.Alarm = arns("arn:{partition}:sns:{region}:{account}:pager")
	if diff := cmp.Diff(want, c, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.Limits.AlarmsPos.String(); got != "context keywatch:limits.alarms" {
		t.Errorf("limits.alarms is said to stand at %q", got)
	}
	if all := overridesIn(read(t, "testdata/ok/overrides.yaml")); len(all) != len(config.Overridable) {
		t.Errorf("overrides.yaml sets %d values; %d can be set: %q", len(all), len(config.Overridable), config.Overridable)
	}
}

// What takes any text takes all of it, whatever YAML would make of it. Quotes that
// somebody wrote around it for YAML are still none of its own.
func TestOverridesOfText(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"{account}-{region}.json":   "{account}-{region}.json",
		"s/{account}/{region}":      "s/{account}/{region}",
		`"{account}-{region}.json"`: "{account}-{region}.json",
		"'{account}-{region}.json'": "{account}-{region}.json",
		"2026":                      "2026",
		"off":                       "off",
		"keys: new #1.json":         "keys: new #1.json",
		`"`:                         `"`,
	} {
		c, problems := config.Parse("f", []byte("version: 1\nrules: [{name: all, match: every, watch: false}]\n"), map[string]string{"inventory.source": "snapshot", "inventory.path": value})
		if len(problems) > 0 || c.Inventory.Path != want {
			t.Errorf("%s: path %q, want %q\n%v", value, c.Inventory.Path, want, problems)
		}
	}
	_, problems := config.Parse("f", []byte("version: 1\nrules: [{name: all, match: every, watch: false}]\n"), map[string]string{"name": "2026", "inventory.path": ""})
	if got := problems.Error(); !strings.Contains(got, `name is "2026"; allowed: `) || !strings.Contains(got, "inventory.path is empty") {
		t.Errorf("got %s", got)
	}
}

func TestSnapshotAndEnvironments(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/snapshot.yaml")
	want := usualConfig(usualRule("all"))
	want.Rules[0].Actions.Alarm = arns("arn:{partition}:sns:{region}:{account}:pager")
	const role = "arn:{partition}:iam::{account}:role/reading/keywatch-{region}"
	want.Environments = []config.Environment{
		{Account: "111122223333", Region: "eu-west-1", Role: config.RoleLookup},
		{Account: "111122223333", Region: "eu-central-1", Role: role},
		{Account: "444455556666", Region: "eu-west-1", Role: config.RoleNone},
	}
	want.Inventory = config.Inventory{
		Source: config.Frozen, Path: "snapshots/{account}/{region}.json", Compare: config.CompareAlways, MaxAge: 36 * time.Hour, FailOnStale: true,
		Rates: map[string]float64{"DescribeKey": 100, "GetResources": 0.5}, Timeout: 90 * time.Second,
	}
	if diff := cmp.Diff(want, c, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.Inventory.PathFor("111122223333", "cn-north-1"); got != "snapshots/111122223333/cn-north-1.json" {
		t.Errorf("the path is %q", got)
	}
	for i, want := range []string{"", "arn:aws-cn:iam::111122223333:role/reading/keywatch-eu-central-1", ""} {
		if got := c.Environments[i].RoleARN("aws-cn"); got != want {
			t.Errorf("role %d is %q, want %q", i, got, want)
		}
	}
	if got := c.Inventory.PathPos.String(); got != "testdata/ok/snapshot.yaml:9:9" {
		t.Errorf("the path stands at %q", got)
	}
}

// A file that says snapshot can be used live for one run, without an edit.
func TestLiveForOneRun(t *testing.T) {
	t.Parallel()
	c := load(t, "testdata/ok/live-again.yaml")
	if c.Inventory.Source != config.Live || c.Inventory.Path != "" {
		t.Errorf("%+v", c.Inventory)
	}
}

func TestAdviceOnMissingData(t *testing.T) {
	t.Parallel()
	var got []string
	for _, p := range load(t, "testdata/ok/advice.yaml").Warnings {
		got = append(got, p.Code+": "+strings.SplitAfter(p.Message, ":")[0]+" "+regexp.MustCompile(`rule "[a-z]+"`).FindString(p.Message))
	}
	want := []string{
		`missing-data: rules[0].anomaly.direction: rule "below"`, `unreachable: rules[1]: rule "both"`, `missing-data: rules[1].anomaly.missing: rule "both"`,
		`missing-data: rules[2].anomaly.missing: rule "above"`, `missing-data: rules[3].anomaly.missing: rule "unknown"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A rule behind one that takes every key is pointed out once, with those behind
// it; continue, or a condition, lets it be asked.
func TestUnreachableRules(t *testing.T) {
	t.Parallel()
	const a, b, c = "  - {name: a, match: every, watch: false}\n", "  - {name: b, match: {tag: t, exists: true}, watch: false}\n", "  - {name: c, match: every, watch: false}\n"
	for rules, want := range map[string]string{
		b + a: "", b: "", a: "",
		strings.Replace(a, "watch: false", "actions: {alarm: []}, continue: true", 1) + b: "",
		a + b:     `f:4:5: warning: rules[1]: rule "b" is never asked: rule "a" in line 3 matches every key and ends there; put that one last, or give it continue: true [unreachable]`,
		b + a + c: `f:5:5: warning: rules[2]: rule "c" is never asked: rule "a" in line 4 matches`,
		a + b + c: `f:4:5: warning: rules[1]: rule "b" is never asked (nor is the one after it): rule "a" in line 3 matches`,
	} {
		_, problems := config.Parse("f", []byte("version: 1\nrules:\n"+rules), nil)
		problems = slices.DeleteFunc(problems, func(p diag.Problem) bool { return p.Code != "unreachable" })
		if got := problems.Error(); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%s\n%s\nwant %s", rules, got, want)
		}
	}
}

// The config that is shipped works as it stands; it only misses whom to tell.
func TestShipped(t *testing.T) {
	t.Parallel()
	c := load(t, "keywatch.yaml")
	for _, w := range c.Warnings {
		if w.Code != "no-actions" {
			t.Errorf("unexpected warning: %v", w)
		}
	}
	var names []string
	watching := 0
	for _, r := range c.Rules {
		names = append(names, r.Name)
		if r.Watch {
			watching++
		}
	}
	if len(c.Warnings) != watching {
		t.Errorf("%d no-actions warnings for %d rules that watch", len(c.Warnings), watching)
	}
	if diff := cmp.Diff([]string{"opted-out", "production", "others"}, names); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// Settings of the evidence without the word that makes it, and alarms that nobody
// hears, are remarked on; the key that KMS itself must be up for is too.
func TestRemarksOnEvidence(t *testing.T) {
	t.Parallel()
	const rest = "version: 1\nrules: [{name: r, match: every, watch: false}]\nsla: "
	const pager = `actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}`
	for sla, want := range map[string][]string{
		"{}":                                    nil,
		"{evidence: false, retentionDays: 731}": nil,
		"{retentionDays: 731}":                  {"unused"},
		"{evidence: true}":                      {"no-actions"},
		"{evidence: true, " + pager + "}":       {},
		"{evidence: true, encryptionKey: '" + evidenceKey + "', " + pager + "}": {"evidence-key"},
	} {
		_, problems := config.Parse("f.yaml", []byte(rest+sla), nil)
		if diff := cmp.Diff(want, codes(problems), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sla, diff)
		}
		for _, p := range problems {
			if p.Severity != diag.Warning {
				t.Errorf("%s: %s is no warning", sla, p)
			}
		}
	}
}

const evidenceKey = "arn:{partition}:kms:{region}:{account}:key/mrk-1234"

// The key of a log group is of its region.
func TestFillKey(t *testing.T) {
	t.Parallel()
	here := config.Place{Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333"}
	for given, want := range map[string]string{
		"":          "",
		evidenceKey: "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234",
		"arn:aws-cn:kms:cn-northwest-1:111122223333:key/mrk-1234":  "refused",
		"arn:{partition}:kms:cn-north-1:444455556666:key/mrk-1234": "arn:aws-cn:kms:cn-north-1:444455556666:key/mrk-1234",
		"arn:aws:kms:{region}:111122223333:key/mrk-1234":           "refused",
	} {
		got, problems := config.SLA{EncryptionKey: given}.FillKey(here)
		if want == "refused" {
			if c := codes(problems.Errors()); len(c) != 1 || c[0] != "evidence-key" {
				t.Errorf("%s: %v", given, problems)
			}
		} else if got != want || len(problems) > 0 {
			t.Errorf("%s: %s, %v; want %s", given, got, problems, want)
		}
	}
}
