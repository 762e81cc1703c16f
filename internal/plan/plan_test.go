package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

func load(t testing.TB, yaml string) *config.Config {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte(yaml), nil)
	if err := problems.Errors().Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// change makes a key different from a plain one.
type change func(*inventory.Key)

// key is number n of the account: symmetric, enabled, the customer's own.
func key(n int, changes ...change) inventory.Key {
	id := fmt.Sprintf("%08d-12ab-34cd-56ef-1234%08d", n, n)
	k := inventory.Key{ID: id, Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS"}
	for _, c := range changes {
		c(&k)
	}
	k.ARN = "arn:aws:kms:eu-west-1:111122223333:key/" + k.ID
	return k
}

func tags(list ...string) change {
	return func(k *inventory.Key) {
		for _, t := range list {
			name, value, _ := strings.Cut(t, "=")
			k.Tags = append(k.Tags, inventory.Tag{Key: name, Value: value})
		}
	}
}

func of(usage, keySpec string) change {
	return func(k *inventory.Key) { k.Usage, k.Spec = usage, keySpec }
}

func named(aliases ...string) change {
	return func(k *inventory.Key) {
		for i, a := range aliases {
			k.Aliases = append(k.Aliases, inventory.Alias{Name: "alias/" + a, Created: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)})
		}
	}
}

func state(s string) change      { return func(k *inventory.Key) { k.State = s } }
func unreadable(w string) change { return func(k *inventory.Key) { k.Unreadable = w } }

func account(keys ...inventory.Key) *inventory.Inventory {
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", Keys: keys}
	inv.Sort()
	return inv
}

func ofN(n int, changes ...change) []inventory.Key {
	keys := make([]inventory.Key, n)
	for i := range keys {
		keys[i] = key(i+1, changes...)
	}
	return keys
}

// realistic is an account of several teams, with every kind of key.
func realistic() *inventory.Inventory {
	pay, denied := tags("team=payments", "env=prod"), "kms:DescribeKey: AccessDeniedException: not authorized"
	return account(
		key(1, pay, named("payments/db", "payments/old")),
		key(2, tags("team=ledger", "env=prod"), named("ledger")),
		key(3, tags("team=payments", "env=dev-1")),
		key(4, pay, of("ENCRYPT_DECRYPT", "RSA_2048")),
		key(5, pay, of("GENERATE_VERIFY_MAC", "HMAC_256")),
		key(6, pay, of("SIGN_VERIFY", "ECC_NIST_P256")),
		key(7, tags("team=ledger"), of("KEY_AGREEMENT", "ECC_NIST_P384")),
		key(8, pay, state("Disabled")),
		key(9, pay, state("PendingDeletion")),
		key(10, pay, tags("audit=yes")),
		key(11, tags("audit=")),
		key(12, tags("team=signing"), of("SIGN_VERIFY", "RSA_4096")),
		key(13, tags("team=signing")),
		key(14, tags("env=sandbox")),
		key(15, tags("team=payments", "env=sandbox")),
		key(16, pay, func(k *inventory.Key) { k.ID, k.MultiRegion = "mrk-1234abcd12ab34cd56ef1234567890ab", true }),
		key(17),
		key(18, named("aws/s3"), func(k *inventory.Key) { k.Manager = "AWS" }),
		key(19, pay, of("ENCRYPT_DECRYPT", "ML_KEM_768")),
		key(20, pay, of("", ""), unreadable(denied)),
		key(21, pay, func(k *inventory.Key) { k.Gone = true }),
		key(22, tags("team=platform eng/ü")),
		key(23, tags("team=")),
		key(24, pay),
		key(25, tags("team=signing"), of("SIGN_VERIFY", "ECC_NIST_EDWARDS25519"), named("signing/release")),
	)
}

const realisticConfig = `version: 1
inventory: {onUnreadable: warn}
rules:
  - name: audit
    match: {tag: audit, exists: true}
    continue: true
    operations: [Decrypt]
    anomaly: {id: audit, direction: both, missing: breaching}
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:audit"]}
  - name: payments
    match: {all: [{tag: team, in: [payments, ledger]}, {not: {tag: env, glob: "dev*"}}]}
    thresholds: [{operations: [Encrypt, Decrypt], above: 100000}]
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}
  - name: signing
    match: {tag: team, equals: signing}
    operations: [Sign, Verify]
    anomaly: {band: 3}
    actions: {alarm: ["arn:{partition}:sns:{region}:444455556666:pager"]}
  - name: sandbox
    match: {tag: env, equals: sandbox}
    watch: false
  - name: platform
    match: {tag: team, regex: "platform .*"}
    operations: applicable
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}
`

func TestBuildARealisticAccount(t *testing.T) {
	p := plan.Build(load(t, realisticConfig), realistic(), plan.Options{})
	wantTotals := plan.Totals{
		Keys: 25, Watched: 16, Alarms: 55, Detectors: 46, Stacks: 1, Dashboard: 1,
		MonthlyUSD: config.Dollars(47*0.30 + 8*0.20 + 3), // 47 anomaly alarms, 8 sums of two
	}
	if diff := cmp.Diff(wantTotals, p.Totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	var perRule []string
	for _, r := range p.Rules {
		perRule = append(perRule, fmt.Sprintf("%s: %d keys, %d+%d alarms, %s", r.Name, r.Keys, r.Anomaly, r.Threshold, plan.FormatUSD(r.MonthlyUSD)))
	}
	if diff := cmp.Diff([]string{
		"audit: 2 keys, 2+0 alarms, $0.60",
		"payments: 11 keys, 35+8 alarms, $12.10",
		"signing: 3 keys, 4+0 alarms, $1.20",
		"sandbox: 1 keys, 0+0 alarms, $0.00",
		"platform: 1 keys, 6+0 alarms, $1.80",
	}, perRule); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if anomaly, static := p.AlarmsByKind(); anomaly != 47 || static != 8 {
		t.Errorf("%d anomaly and %d static alarms", anomaly, static)
	}
	if len(p.Problems) != 5 {
		t.Errorf("problems %v", p.Problems)
	}
	expect(t, p.Problems, "unmatched", `warning 3 keys of 111122223333 in eu-west-1 match no rule: 1 with team="", 1 with team="payments", 1 without any tag; write a rule that takes them, with watch: false if nobody is to watch them`)
	expect(t, p.Problems, "gone", "warning key "+arnPrefix+"00000021-12ab-34cd-56ef-123400000021 was listed, and a moment later KMS did not know it; it was deleted meanwhile, or is so new that not all of KMS has it: run again to be sure")
	expect(t, p.Problems, "unknown-spec", `warning no alarms, though a rule wants them, on key `+arnPrefix+`00000019-12ab-34cd-56ef-123400000019: keywatch does not know what a key of usage "ENCRYPT_DECRYPT" with spec "ML_KEM_768" can do; use a newer keywatch, or say watch: false for such keys`)
	expect(t, p.Problems, "unreadable", "warning key "+arnPrefix+"00000020-12ab-34cd-56ef-123400000020 could not be read and counts as not covered: kms:DescribeKey: AccessDeniedException: not authorized; let this identity read it (key policy and IAM)")
	expect(t, p.Problems, "no-operation", `warning 14:5: rule "signing" makes no alarm on key `+arnPrefix+"00000013-12ab-34cd-56ef-123400000013: a key of ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT can do none of the operations that it names")
}

func TestWhatBecomesOfEachKey(t *testing.T) {
	p := plan.Build(load(t, realisticConfig), realistic(), plan.Options{})
	got := map[string]string{}
	for i := range p.Keys {
		k := &p.Keys[i]
		var units []string
		for _, u := range k.Units {
			var alarms []string
			for _, a := range u.Alarms {
				alarms = append(alarms, string(a.Kind)+" "+a.AlarmID)
			}
			units = append(units, spec.JoinOperations(u.Operations, "+")+": "+strings.Join(alarms, ", "))
		}
		got[k.ID[:8]] = strings.TrimSpace(fmt.Sprintf("%s %s; %s", k.Decision.Status, k.Rule, strings.Join(units, "; ")))
	}
	full := "watched payments; Decrypt: anomaly main; Decrypt+Encrypt: threshold main; Encrypt: anomaly main; GenerateDataKey: anomaly main; GenerateDataKeyWithoutPlaintext: anomaly main"
	want := map[string]string{
		"00000001": full, "00000002": full, "00000008": full, "00000015": full, "00000024": full, "mrk-1234": full,
		"00000003": "unmatched ;",
		"00000004": "watched payments; Decrypt: anomaly main; Decrypt+Encrypt: threshold main; Encrypt: anomaly main",
		"00000005": "watched payments; GenerateMac: anomaly main; VerifyMac: anomaly main",
		"00000006": "watched payments; Sign: anomaly main; Verify: anomaly main",
		"00000007": "watched payments; DeriveSharedSecret: anomaly main",
		"00000009": "not-eligible ;",
		"00000010": strings.Replace(full, "payments; Decrypt: anomaly main", "audit, payments; Decrypt: anomaly audit, anomaly main", 1),
		"00000011": "watched audit; Decrypt: anomaly audit",
		"00000012": "watched signing; Sign: anomaly main; Verify: anomaly main",
		"00000013": "watched signing;",
		"00000014": "out-of-scope sandbox;",
		"00000017": "unmatched ;", "00000018": "unmatched ;", "00000019": "not-eligible ;", "00000020": "unreadable ;", "00000021": "not-eligible ;", "00000023": "unmatched ;",
		"00000022": "watched platform; Decrypt: anomaly main; Encrypt: anomaly main; GenerateDataKey: anomaly main; GenerateDataKeyPair: anomaly main; GenerateDataKeyPairWithoutPlaintext: anomaly main; GenerateDataKeyWithoutPlaintext: anomaly main",
		"00000025": "watched signing; Sign: anomaly main; Verify: anomaly main",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func find(t *testing.T, p *plan.Plan, n int) *plan.Key {
	t.Helper()
	for i := range p.Keys {
		if strings.HasPrefix(p.Keys[i].ID, fmt.Sprintf("%08d", n)) {
			return &p.Keys[i]
		}
	}
	t.Fatalf("no key %d", n)
	return nil
}

func TestOperationsThatAKeyCannotDoAreNoted(t *testing.T) {
	p := plan.Build(load(t, realisticConfig), realistic(), plan.Options{})
	if diff := cmp.Diff([]string{
		`rule "payments" names Decrypt, which a key of GENERATE_VERIFY_MAC, HMAC_256 cannot do`,
		`rule "payments" names Encrypt, which a key of GENERATE_VERIFY_MAC, HMAC_256 cannot do`,
	}, find(t, p, 5).Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	nothing := find(t, p, 13)
	if want := `the key (ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT) can do none of the operations that rule "signing" names`; nothing.Decision.Reason != want || nothing.Covered() || nothing.Decision.Status != rules.Watched {
		t.Errorf("key 13: %+v, covered %v; want the reason %q", nothing.Decision, nothing.Covered(), want)
	}
	if len(nothing.Notes) != 2 || len(find(t, p, 1).Notes) != 0 {
		t.Errorf("notes of key 13 %q, of key 1 %q", nothing.Notes, find(t, p, 1).Notes)
	}
}

// One alarm of the plan, whole: rule, key, names and actions have come together.
func TestAlarmOfAPlan(t *testing.T) {
	p := plan.Build(load(t, realisticConfig), realistic(), plan.Options{})
	u := find(t, p, 10).Units[0]
	var got []string
	for _, a := range u.Alarms {
		got = append(got, a.ID, a.Name, a.Description, a.Operator, a.TreatMissingData, a.DetectorID, strings.Join(a.Actions.Alarm, " "))
	}
	if diff := cmp.Diff([]string{
		"AlarmK0000001012ab34cd56ef123400000010DecryptAnomalyIaudit", "keywatch - 123400000010 Decrypt anomaly audit",
		"Decrypt requests of KMS key " + u.Key.ARN + ": Sum over 5m outside of the expected band (2 standard deviations) in 2 of 3 periods. Rule audit of keywatch deployment keywatch.",
		"LessThanLowerOrGreaterThanUpperThreshold", "breaching", "DetectorK0000001012ab34cd56ef123400000010DecryptOfSum", "arn:aws:sns:eu-west-1:111122223333:audit",
		"AlarmK0000001012ab34cd56ef123400000010DecryptAnomalyImain", "keywatch - 123400000010 Decrypt anomaly",
		"Decrypt requests of KMS key " + u.Key.ARN + ": Sum over 5m above the expected band (2 standard deviations) in 2 of 3 periods. Rule payments of keywatch deployment keywatch.",
		"GreaterThanUpperThreshold", "notBreaching", "DetectorK0000001012ab34cd56ef123400000010DecryptOfSum", "arn:aws:sns:eu-west-1:111122223333:pager",
	}, got); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if len(u.Detectors) != 1 || u.Stack != "keywatch-alarms-001" {
		t.Errorf("%d detectors, stack %q; want one that both alarms share, in the first stack", len(u.Detectors), u.Stack)
	}
}

func TestDetectorsLeftToCloudWatch(t *testing.T) {
	p := plan.Build(load(t, "detector: cloudwatch\n"+realisticConfig), realistic(), plan.Options{})
	if p.Totals.Detectors != 0 || p.Totals.Alarms != 55 {
		t.Errorf("%+v", p.Totals)
	}
}

func TestTraceOnRequest(t *testing.T) {
	c, inv := load(t, realisticConfig), realistic()
	if k := find(t, plan.Build(c, inv, plan.Options{Trace: true}), 1); len(k.Decision.Trace) != 2 {
		t.Errorf("the trace has %d rules, want 2", len(k.Decision.Trace))
	}
	if k := find(t, plan.Build(c, inv, plan.Options{}), 1); k.Decision.Trace != nil {
		t.Error("a trace that nobody asked for")
	}
}

func TestShardsAreSortedAndTheFirstIsAlwaysThere(t *testing.T) {
	c := load(t, realisticConfig)
	p := plan.Build(c, realistic(), plan.Options{Fill: plan.Fill{New: plan.Size{Resources: 30, Bytes: 700_000}, Grown: plan.DefaultFill.Grown}})
	if len(p.Deployment.Shards) != 4 || p.Totals.Stacks != 4 {
		t.Errorf("%d shards, want 4 of 30 for 101 resources", len(p.Deployment.Shards))
	}
	placed := 0
	for i, s := range p.Deployment.Shards {
		if want := fmt.Sprintf("keywatch-alarms-%03d", i+1); s.StackName != want || s.Description != fmt.Sprintf("Alarms on the usage of KMS keys, made by keywatch (deployment keywatch, part %d)", i+1) {
			t.Errorf("shard %d is %q, %q", i, s.StackName, s.Description)
		}
		for j := range s.Units {
			placed += s.Units[j].Resources()
			if j > 0 && s.Units[j-1].ID >= s.Units[j].ID {
				t.Errorf("shard %d: %s before %s", i, s.Units[j-1].ID, s.Units[j].ID)
			}
		}
	}
	if placed != 101 {
		t.Errorf("%d resources in shards, want 55 alarms and 46 detectors", placed)
	}

	p = plan.Build(c, account(), plan.Options{})
	if len(p.Deployment.Shards) != 1 || p.Deployment.Shards[0].StackName != "keywatch-alarms-001" || len(p.Deployment.Shards[0].Units) != 0 {
		t.Errorf("an account without keys has the shards %+v", p.Deployment.Shards)
	}
	p = plan.Build(c, account(), plan.Options{Places: plan.Places{Stacks: []int{3, 1}}})
	if len(p.Deployment.Shards) != 2 || p.Deployment.Shards[1].StackName != "keywatch-alarms-003" {
		t.Errorf("deployed stacks that became empty are gone: %+v", p.Deployment.Shards)
	}
}

func TestDashboard(t *testing.T) {
	p := plan.Build(load(t, "dashboard: {topKeys: 7}\n"+realisticConfig), realistic(), plan.Options{})
	d := p.Deployment.Dashboard
	if d == nil || d.StackName != "keywatch-dashboard" || d.Name != "keywatch-eu-west-1" || d.TopKeys != 7 || len(d.AlarmARNs) != 55 {
		t.Fatalf("dashboard %+v", d)
	}
	if want := "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:keywatch - 123400000006 Sign anomaly"; d.AlarmARNs[0] != "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:keywatch - 123400000004 Decrypt anomaly" || !contains(d.AlarmARNs, want) {
		t.Errorf("alarm ARNs begin %q", d.AlarmARNs[:3])
	}
	p = plan.Build(load(t, "dashboard: off\n"+realisticConfig), realistic(), plan.Options{})
	if p.Deployment.Dashboard != nil || p.Totals.Dashboard != 0 || p.Totals.MonthlyUSD != config.Dollars(15.70) {
		t.Errorf("dashboard: off: %+v, %+v", p.Deployment.Dashboard, p.Totals)
	}
}

// The evidence is off unless somebody wants it; its alarms are not those of keys.
func TestEvidence(t *testing.T) {
	if p := plan.Build(load(t, realisticConfig), realistic(), plan.Options{}); p.Deployment.Evidence != nil || p.EvidenceUSD() != 0 || p.Deployment.Dashboard.Evidence != nil {
		t.Errorf("nobody wants evidence: %+v", p.Deployment.Evidence)
	}
	const on = "sla: {evidence: true, encryptionKey: 'arn:{partition}:kms:{region}:{account}:key/mrk-1', actions: {alarm: ['arn:{partition}:sns:{region}:{account}:pager']}}\n"
	p := plan.Build(load(t, on+realisticConfig), realistic(), plan.Options{})
	want := &spec.Evidence{
		StackName: "keywatch-sla-evidence", Description: "What a claim under the KMS service level agreement needs, kept by keywatch (deployment keywatch)",
		EvidenceContent: spec.EvidenceContent{
			Name: "keywatch", Partition: "aws", Region: "eu-west-1", Account: "111122223333", Budget: "0.0864", RetentionDays: 400,
			ErrorCodes: []string{
				"DependencyTimeout", "DependencyTimeoutException", "InternalFailure", "KMSInternal", "KMSInternalException",
				"KeyUnavailable", "KeyUnavailableException", "ServiceUnavailable",
			},
			KeyARN:  "arn:aws:kms:eu-west-1:111122223333:key/mrk-1",
			Actions: spec.Actions{Alarm: []string{"arn:aws:sns:eu-west-1:111122223333:pager"}},
		},
	}
	if diff := cmp.Diff(want, p.Deployment.Evidence); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&want.EvidenceContent, p.Deployment.Dashboard.Evidence); diff != "" {
		t.Errorf("the dashboard's (-want +got):\n%s", diff)
	}
	// Two alarms at $0.10, and a tenth of a gigabyte at $0.50.
	if p.EvidenceUSD() != config.Dollars(0.25) || p.Totals.MonthlyUSD != config.Dollars(18.70+0.25) || p.Totals.Alarms != 55 {
		t.Errorf("%s, totals %+v", plan.FormatUSD(p.EvidenceUSD()), p.Totals)
	}
	// A metric filter makes a metric of its own.
	p = plan.Build(load(t, "sla: {evidence: true, trailLogGroup: t}\n"+realisticConfig), realistic(), plan.Options{})
	if p.EvidenceUSD() != config.Dollars(0.55) {
		t.Errorf("with a trail: %s", plan.FormatUSD(p.EvidenceUSD()))
	}
	// What the file cannot know is found here.
	p = plan.Build(load(t, "sla: {evidence: true, encryptionKey: 'arn:aws:kms:eu-north-1:111122223333:key/1', actions: {alarm: ['arn:aws:sns:eu-north-1:111122223333:pager']}}\n"+realisticConfig), realistic(), plan.Options{})
	for _, code := range []string{"evidence-key", "bad-arn"} {
		if got := coded(p.Problems.Errors(), code); len(got) != 1 {
			t.Errorf("[%s] %q", code, got)
		}
	}
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

func TestARNsOfOtherPartitions(t *testing.T) {
	for partition, region := range map[string]string{"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"} {
		inv := account(key(1, tags("team=payments")))
		inv.Partition, inv.Region = partition, region
		inv.Keys[0].ARN = "arn:" + partition + ":kms:" + region + ":111122223333:key/" + inv.Keys[0].ID
		p := plan.Build(load(t, realisticConfig), inv, plan.Options{})
		if err := p.Problems.Err(); err != nil {
			t.Errorf("%s: %v", partition, err)
		}
		if want := "arn:" + partition + ":cloudwatch:" + region + ":111122223333:alarm:keywatch - 123400000001 Decrypt anomaly"; p.Deployment.Dashboard.AlarmARNs[0] != want {
			t.Errorf("alarm ARN %q, want %q", p.Deployment.Dashboard.AlarmARNs[0], want)
		}
		a := p.Keys[0].Units[0].Alarms[0]
		if want := "arn:" + partition + ":sns:" + region + ":111122223333:pager"; a.Actions.Alarm[0] != want || a.Queries[0].KeyARN != inv.Keys[0].ARN {
			t.Errorf("action %q, key %q", a.Actions.Alarm[0], a.Queries[0].KeyARN)
		}
		if p.Deployment.Partition != partition || p.Deployment.Region != region {
			t.Errorf("deployment in %s %s", p.Deployment.Partition, p.Deployment.Region)
		}
	}
}

func TestPrices(t *testing.T) {
	metric, expression := spec.Query{Operation: "Decrypt"}, spec.Query{Expression: "x"}
	for _, c := range []struct {
		what string
		a    spec.Alarm
		want string
	}{
		{"an anomaly alarm is three metrics", spec.Alarm{Kind: spec.KindAnomaly, Queries: []spec.Query{metric, expression}}, "$0.30"},
		{"a static alarm is one", spec.Alarm{Kind: spec.KindThreshold, Queries: []spec.Query{metric}}, "$0.10"},
		{"a sum is as many as it adds", spec.Alarm{Kind: spec.KindThreshold, Queries: []spec.Query{metric, metric, metric, expression}}, "$0.30"},
	} {
		if got := plan.FormatUSD(plan.MonthlyUSD(c.a)); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	for want, v := range map[string]config.USD{"$0.00": 0, "$0.01": 1, "$3.00": config.Dollars(3), "$1234.57": config.Dollars(1234.5601), "$0.30": 3 * config.Dollars(0.1)} {
		if got := plan.FormatUSD(v); got != want {
			t.Errorf("FormatUSD(%d) = %q, want %q", v, got, want)
		}
	}
}

// Units are in the order of their IDs, whatever the order of rules and however
// the IDs of keys compare.
func TestUnitsAreSorted(t *testing.T) {
	c := load(t, `version: 1
rules:
  - {name: late, match: every, continue: true, operations: [GenerateDataKey], anomaly: {id: late}}
  - {name: early, match: every, operations: [Decrypt]}
`)
	id := func(s string) change { return func(k *inventory.Key) { k.ID = s } }
	p := plan.Build(c, account(key(1, id("odd")), key(2, id("odd-2"))), plan.Options{})
	var ofKey, ofShard []string
	for _, u := range p.Keys[0].Units {
		ofKey = append(ofKey, u.ID)
	}
	for _, u := range p.Deployment.Shards[0].Units {
		ofShard = append(ofShard, u.ID)
	}
	if diff := cmp.Diff([]string{"odd/Decrypt", "odd/GenerateDataKey"}, ofKey); diff != "" {
		t.Errorf("units of a key (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"odd-2/Decrypt", "odd-2/GenerateDataKey", "odd/Decrypt", "odd/GenerateDataKey"}, ofShard); diff != "" {
		t.Errorf("units of a stack (-want +got):\n%s", diff)
	}
}
