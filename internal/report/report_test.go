package report_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

const rulesFile = `version: 1
inventory: {onUnreadable: warn}
rules:
  - name: payments
    match: {all: [{tag: team, in: [payments, ledger]}, {not: {tag: env, glob: "dev*"}}]}
    thresholds: [{operations: [Decrypt, Encrypt], above: 100000}]
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}
  - name: signing
    match: {any: [{tag: team, equals: signing}, {tag: use, regex: "sign|verify"}]}
    operations: [Sign, Verify]
    anomaly: {id: tight, band: 1.5}
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}
  - name: sandbox
    match: {tag: env, equals: sandbox}
    watch: false
`

// account is small, with a key of every status, and tags that are hard to print.
func account() *inventory.Inventory {
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	key := func(id string, k inventory.Key) inventory.Key {
		k.ID, k.ARN = id, "arn:aws:kms:eu-west-1:111122223333:key/"+id
		if k.Unreadable == "" && k.Manager == "" {
			k.Manager = "CUSTOMER"
		}
		if k.Unreadable == "" && k.State == "" {
			k.State = "Enabled"
		}
		if k.Unreadable == "" && k.Usage == "" {
			k.Usage, k.Spec = "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"
		}
		return k
	}
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", Keys: []inventory.Key{
		key("00000001-12ab-34cd-56ef-1234567890a1", inventory.Key{
			Aliases: []inventory.Alias{{Name: "alias/payments/db", Created: day}, {Name: "alias/payments/old"}},
			Tags:    []inventory.Tag{{Key: "team", Value: "payments"}, {Key: "env", Value: "prod"}, {Key: "owner", Value: ""}},
		}),
		key("00000002-12ab-34cd-56ef-1234567890a2", inventory.Key{
			Usage: "SIGN_VERIFY", Spec: "ECC_NIST_P256", Tags: []inventory.Tag{{Key: "team", Value: "signing"}},
			Aliases: []inventory.Alias{{Name: "alias/releases/that-have-a-name-longer-than-any-column"}},
		}),
		key("00000003-12ab-34cd-56ef-1234567890a3", inventory.Key{Tags: []inventory.Tag{{Key: "use", Value: "sign"}, {Key: "note", Value: "a \"b\"\n\tü 鍵"}}}),
		key("00000004-12ab-34cd-56ef-1234567890a4", inventory.Key{Tags: []inventory.Tag{{Key: "env", Value: "sandbox"}}}),
		key("00000005-12ab-34cd-56ef-1234567890a5", inventory.Key{}),
		key("00000006-12ab-34cd-56ef-1234567890a6", inventory.Key{Unreadable: inventory.ReasonTags + "AccessDeniedException: not authorized <by policy> & co"}),
		key("00000007-12ab-34cd-56ef-1234567890a7", inventory.Key{Manager: "AWS", Aliases: []inventory.Alias{{Name: "alias/aws/s3"}}}),
		key("mrk-1234abcd12ab34cd56ef1234567890a8", inventory.Key{State: "PendingDeletion", MultiRegion: true}),
		key("00000009-12ab-34cd-56ef-1234567890a9", inventory.Key{
			Usage: "ENCRYPT_DECRYPT", Spec: "RSA_2048", Tags: []inventory.Tag{{Key: "team", Value: "ledger"}},
			Aliases: []inventory.Alias{{Name: "alias/ledger"}},
		}),
	}}
	inv.Sort()
	return inv
}

func build(t testing.TB, trace bool) *plan.Plan {
	t.Helper()
	return buildWith(t, "", trace)
}

// buildWith has these lines in the file too.
func buildWith(t testing.TB, lines string, trace bool) *plan.Plan {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte(rulesFile+lines), nil)
	if err := problems.Errors().Err(); err != nil {
		t.Fatal(err)
	}
	return plan.Build(c, account(), plan.Options{Trace: trace})
}

// checked is the coverage of an account in which one alarm is missing, one has
// too wide a band, and a key's alarms are all someone else's.
func checked(t testing.TB) *coverage.Report {
	t.Helper()
	p := build(t, false)
	var have []coverage.Alarm
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			for _, a := range u.Alarms {
				e := coverage.Alarm{
					Name: a.Name, ActionsEnabled: true, ThresholdMetricID: a.ThresholdMetricID, Threshold: a.Threshold, Operator: a.Operator,
					EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, TreatMissingData: a.TreatMissingData,
				}
				for _, q := range a.Queries {
					m := coverage.Query{ID: q.ID, Expression: q.Expression}
					if q.Operation != "" {
						m.Namespace, m.MetricName, m.Statistic, m.Period = "AWS/KMS", "SuccessfulRequest", q.Statistic, q.Period
						m.Dimensions = map[string]string{"KeyArn": q.KeyARN, "Operation": string(q.Operation)}
					}
					e.Queries = append(e.Queries, m)
				}
				switch {
				case i == 0 && a.Operations[0] == "GenerateDataKey":
					continue
				case i == 0 && a.Operations[0] == "Encrypt":
					e.Queries[1].Expression = "ANOMALY_DETECTION_BAND(m1, 4)"
				case i == 1:
					e.Name = "security-team " + string(a.Operations[0])
				}
				have = append(have, e)
			}
		}
	}
	return coverage.Check(p, have)
}

// explained are the keys of the account, one after the other.
func explained(t testing.TB) []coverage.Key { return coverage.Planned(build(t, true)).Keys }

func TestText(t *testing.T) {
	planned := coverage.Planned(build(t, false))
	kept := buildWith(t, "sla: {evidence: true}\n", false)
	for name, write := range map[string]func(*bytes.Buffer){
		"plan":     func(b *bytes.Buffer) { report.Plan(b, planned.Plan) },
		"evidence": func(b *bytes.Buffer) { report.Plan(b, kept) },
		"keys":     func(b *bytes.Buffer) { report.Keys(b, planned) },
		"keysgap":  func(b *bytes.Buffer) { report.Keys(b, checked(t)) },
		"coverage": func(b *bytes.Buffer) { report.Coverage(b, checked(t)) },
		"covered":  func(b *bytes.Buffer) { report.Coverage(b, only(planned, 0, 1, 3, 4)) },
		"explain": func(b *bytes.Buffer) {
			keys := explained(t)
			for i := range keys {
				report.Explain(b, &keys[i])
				b.WriteString("\n")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			write(&b)
			golden(t, name+".txt", b.Bytes())
			plainText(t, b.String())
		})
	}
}

func TestJSON(t *testing.T) {
	planned, explained := coverage.Planned(build(t, false)), coverage.Planned(build(t, true))
	for name, c := range map[string]struct {
		of   *coverage.Report
		form report.Form
	}{
		"plan":     {planned, report.Form{Totals: true}},
		"evidence": {only(coverage.Planned(buildWith(t, "sla: {evidence: true}\n", false))), report.Form{Totals: true}},
		"explain":  {only(explained, 0, 2, 5), report.Form{}},
		"coverage": {checked(t), report.Form{Present: true}},
		"empty":    {only(planned), report.Form{Present: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := report.JSON(&b, c.form, c.of); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", b.Bytes())
		})
	}
}

func only(r *coverage.Report, indexes ...int) *coverage.Report {
	out := &coverage.Report{Plan: r.Plan}
	for _, i := range indexes {
		out.Keys = append(out.Keys, r.Keys[i])
	}
	return out
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); -update writes it anew:\n%s", path, diff)
	}
}

// plainText: no colour codes, no trailing spaces, and 80 columns but for lines
// that hold a name or an ARN, which are never cut.
func plainText(t *testing.T, s string) {
	t.Helper()
	for i, line := range strings.Split(s, "\n") {
		if strings.ContainsRune(line, '\x1b') {
			t.Errorf("line %d has a colour code: %q", i+1, line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("line %d ends in spaces: %q", i+1, line)
		}
		if utf8.RuneCountInString(line) > 80 && !holdsContent(line) {
			t.Errorf("line %d has %d columns: %q", i+1, utf8.RuneCountInString(line), line)
		}
	}
}

func holdsContent(line string) bool {
	for _, s := range []string{"arn:aws", "  keywatch ", "\"keywatch "} {
		if strings.Contains(line, s) {
			return true
		}
	}
	return false
}

// KMS aliases are ASCII today. Wide characters must not push columns out of line
// all the same, nor a long name lose its end.
func TestWideAliasesKeepTheTableInLine(t *testing.T) {
	inv := account()
	long := strings.Repeat("鍵", 20) + "終"
	inv.Keys[0].Aliases = []inventory.Alias{{Name: "alias/" + long}}
	inv.Keys[1].Aliases = []inventory.Alias{{Name: "alias/é́/ü"}}
	c, _ := config.Parse("keywatch.yaml", []byte(rulesFile), nil)
	var b bytes.Buffer
	report.Keys(&b, coverage.Planned(plan.Build(c, inv, plan.Options{})))
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	column := width(lines[0][:strings.Index(lines[0], "alarms")])
	var first strings.Builder
	for i, line := range lines[2:] {
		if w := width(line); w > 80 {
			t.Errorf("line %d is %d columns wide: %s", i+3, w, line)
		}
		if strings.ContainsAny(line, "鍵終") {
			first.WriteString(strings.Fields(line)[0])
		}
		if width(line) <= column { // only the key's name goes on
			continue
		}
		at, before := 0, ""
		for j, r := range line {
			if at == column {
				before = line[:j]
				break
			}
			at += width(string(r))
		}
		if before == "" || !strings.HasSuffix(before, "  ") || strings.HasPrefix(line[len(before):], " ") {
			t.Errorf("line %d: the third column does not begin at %d: %q", i+3, column, line)
		}
	}
	if first.String() != long {
		t.Errorf("the alias is printed as %q", first.String())
	}
}

// width is what a terminal shows: East Asian characters take two columns, and
// combining marks none.
func width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r >= 0x2e80 && r <= 0xffdc:
			n += 2
		default:
			n++
		}
	}
	return n
}
