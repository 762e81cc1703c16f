package constructs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs"
	"keywatch/constructs/spec"
)

// minimalAlarms is one key with all defaults but one operation.
func minimalAlarms(t *testing.T) object {
	t.Helper()
	s := newStack(t)
	constructs.NewKeyUsageAlarms(s, jsii.String("Default"), &constructs.KeyUsageAlarmsProps{
		Keys: []spec.Key{symmetric(1, "")}, Operations: []spec.Operation{spec.Decrypt},
	})
	return template(t, s)
}

func fullAlarms(t *testing.T) object {
	t.Helper()
	s := newStack(t)
	constructs.NewKeyUsageAlarms(s, jsii.String("Default"), &constructs.KeyUsageAlarmsProps{Units: fullUnits()})
	return template(t, s)
}

func TestKeyUsageAlarmsGoldens(t *testing.T) {
	golden(t, "alarms-minimal", minimalAlarms(t))
	golden(t, "alarms-full", fullAlarms(t))
}

// Each property of the minimal golden that matters, and why.
func TestWhyTheAnomalyAlarmIsSo(t *testing.T) {
	alarm := minimalAlarms(t).one(t, alarmType)
	p := object(alarm["Properties"].(map[string]any))

	// CloudWatch compares with the band only when it is the threshold metric;
	// beside a Threshold, CloudFormation refuses it.
	equal(t, "ThresholdMetricId", p["ThresholdMetricId"], any("ad1"))
	if _, ok := p["Threshold"]; ok {
		t.Error("an anomaly alarm has no Threshold")
	}
	// Exactly the metric and its band, both returned: the form that the alarm
	// knows for an anomaly alarm.
	equal(t, "the number of queries", len(p["Metrics"].([]any)), 2)
	equal(t, "band", p.at("Metrics", 1), any(map[string]any{"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": true}))
	equal(t, "ReturnData", p.at("Metrics", 0, "ReturnData"), any(true))
	// The CDK's own construct once ignored the period and took 5 minutes.
	equal(t, "Period", p.at("Metrics", 0, "MetricStat", "Period"), any(300.0))
	equal(t, "Stat", p.at("Metrics", 0, "MetricStat", "Stat"), any("Sum"))
	// A series is its dimensions: one more or less, and the alarm watches nothing.
	equal(t, "Dimensions", p.at("Metrics", 0, "MetricStat", "Metric", "Dimensions"), any([]any{
		map[string]any{"Name": "KeyArn", "Value": keyARN(1)},
		map[string]any{"Name": "Operation", "Value": "Decrypt"},
	}))
	// With a unit that the metric does not have, the alarm never has data.
	if p.at("Metrics", 0, "MetricStat", "Unit") != nil {
		t.Error("Unit is set")
	}
	// Only the upper side: an idle key is no anomaly, nor is missing data.
	equal(t, "ComparisonOperator", p["ComparisonOperator"], any("GreaterThanUpperThreshold"))
	equal(t, "TreatMissingData", p["TreatMissingData"], any("notBreaching"))
	equal(t, "EvaluationPeriods", p["EvaluationPeriods"], any(3.0))
	equal(t, "DatapointsToAlarm", p["DatapointsToAlarm"], any(2.0))
	// Without a prefix, a name could clash with another app's.
	// Tags on alarms need permissions of their own at deploy time. Empty lists of
	// actions would be changes in every diff.
	for _, absent := range []string{"AlarmName", "Tags", "AlarmActions", "OKActions", "InsufficientDataActions", "Dimensions"} {
		if _, ok := p[absent]; ok {
			t.Errorf("%s is set", absent)
		}
	}
}

func TestWhyTheDetectorIsSo(t *testing.T) {
	tpl := minimalAlarms(t)
	d, alarm := tpl.one(t, detectorType), tpl.one(t, alarmType)

	// The model belongs to the metric and the statistic: any difference from the
	// alarm's metric, and the alarm has another model, made by CloudWatch.
	equal(t, "detector", d["Properties"], any(map[string]any{"SingleMetricAnomalyDetector": map[string]any{
		"Namespace":  alarm.at("Properties", "Metrics", 0, "MetricStat", "Metric", "Namespace"),
		"MetricName": alarm.at("Properties", "Metrics", 0, "MetricStat", "Metric", "MetricName"),
		"Dimensions": alarm.at("Properties", "Metrics", 0, "MetricStat", "Metric", "Dimensions"),
		"Stat":       alarm.at("Properties", "Metrics", 0, "MetricStat", "Stat"),
	}}))
	// Removed from the template: gone. Replaced: both resources stand for one
	// model, which the clean-up of the old one must not delete.
	equal(t, "DeletionPolicy", d["DeletionPolicy"], any("Delete"))
	equal(t, "UpdateReplacePolicy", d["UpdateReplacePolicy"], any("Retain"))
	// Created after and deleted before its detector: otherwise CloudWatch makes
	// one of its own, which nobody deletes.
	equal(t, "DependsOn", alarm["DependsOn"], any([]any{"DetectorK00000000000000000000000000000001DecryptOfSum"}))
}

func TestWhyTheFullAlarmsAreSo(t *testing.T) {
	tpl := fullAlarms(t)
	id := func(tail string) []any {
		return []any{"Resources", "AlarmK00000000000000000000000000000001" + tail, "Properties"}
	}
	// Two statistics are two models; two alarms on one statistic share one.
	equal(t, "detectors", len(tpl.ofType(detectorType)), 4)
	equal(t, "alarms", len(tpl.ofType(alarmType)), 6)
	// A static alarm has a Threshold and no band, and depends on no detector.
	sum := object(tpl.at(id("DecryptAndEncryptAndGenerateDataKeyThresholdImain")...).(map[string]any))
	equal(t, "Threshold", sum["Threshold"], any(100000.0))
	equal(t, "ThresholdMetricId", sum["ThresholdMetricId"], nil)
	equal(t, "DependsOn", tpl.at("Resources", "AlarmK00000000000000000000000000000001DecryptThresholdImain", "DependsOn"), nil)
	// Of a sum, only the sum is compared.
	equal(t, "the sum", sum.at("Metrics", 3), any(map[string]any{"Id": "e1", "Label": "Decrypt+Encrypt+GenerateDataKey", "Expression": "FILL(m1,0)+FILL(m2,0)+FILL(m3,0)", "ReturnData": true}))
	equal(t, "ReturnData of a term", sum.at("Metrics", 0, "ReturnData"), any(false))
	// Nothing is rounded.
	equal(t, "a threshold under 1", tpl.at(append(id("DecryptThresholdImain"), "Threshold")...), any(0.5))
	both := object(tpl.at(id("EncryptAnomalyIlowZ2")...).(map[string]any))
	equal(t, "the band as written", both.at("Metrics", 1, "Expression"), any("ANOMALY_DETECTION_BAND(m1, 2.5)"))
	equal(t, "Period", both.at("Metrics", 0, "MetricStat", "Period"), any(60.0))
	equal(t, "ComparisonOperator", both["ComparisonOperator"], any("LessThanLowerOrGreaterThanUpperThreshold"))
	// Each list of actions goes to its own state.
	equal(t, "AlarmActions", both["AlarmActions"], any([]any{topic}))
	equal(t, "OKActions", both["OKActions"], any([]any{topic + "-ok"}))
	equal(t, "InsufficientDataActions", both["InsufficientDataActions"], any([]any{topic + "-?"}))
	equal(t, "AlarmName", both["AlarmName"], any("keywatch payments/ledger 000000000001 Encrypt anomaly low-2"))
}

func TestLogicalIDsAreTheIDsOfTheUnits(t *testing.T) {
	tpl := fullAlarms(t)
	var want []string
	for _, u := range fullUnits() {
		for _, d := range u.Detectors {
			want = append(want, d.ID)
		}
		for _, a := range u.Alarms {
			want = append(want, a.ID)
		}
	}
	var got []string
	for id := range tpl["Resources"].(map[string]any) {
		got = append(got, id)
	}
	slices.Sort(got)
	slices.Sort(want)
	equal(t, "logical IDs", got, want)
}

func TestKeyUsageAlarmsReturnsWhatItMade(t *testing.T) {
	k := constructs.NewKeyUsageAlarms(newStack(t), jsii.String("Alarms"), &constructs.KeyUsageAlarmsProps{Units: fullUnits()})
	equal(t, "alarms", len(k.Alarms()), 6)
	equal(t, "detectors", len(k.Detectors()), 4)
	equal(t, "units", k.Units(), fullUnits())
	var on []string
	for _, a := range k.AlarmsOn(spec.Encrypt) {
		on = append(on, *a.AlarmName())
	}
	equal(t, "alarms on Encrypt", on, []string{
		"keywatch payments/ledger 000000000001 Decrypt+Encrypt+GenerateDataKey threshold",
		"keywatch payments/ledger 000000000001 Encrypt anomaly low-2",
		"keywatch payments/ledger 000000000001 Encrypt anomaly",
	})
}

func TestKeysTakeTheDefaultsOfTheirKind(t *testing.T) {
	rsa := spec.Key{ARN: keyARN(2), Usage: spec.UsageSignVerify, Spec: "RSA_2048"}
	k := constructs.NewKeyUsageAlarms(newStack(t), jsii.String("Alarms"), &constructs.KeyUsageAlarmsProps{
		Keys: []spec.Key{symmetric(1, "alias/pay"), rsa}, Name: "mine",
	})
	var got []string
	for _, a := range k.Alarms() {
		got = append(got, *a.AlarmName())
	}
	equal(t, "alarms", got, []string{
		"mine pay 000000000001 Decrypt anomaly",
		"mine pay 000000000001 Encrypt anomaly",
		"mine pay 000000000001 GenerateDataKey anomaly",
		"mine pay 000000000001 GenerateDataKeyWithoutPlaintext anomaly",
		"mine - 000000000002 Sign anomaly",
		"mine - 000000000002 Verify anomaly",
	})
}

func TestNoAnomaliesAndNoDetectors(t *testing.T) {
	s := newStack(t)
	constructs.NewKeyUsageAlarms(s, jsii.String("Static"), &constructs.KeyUsageAlarmsProps{
		Keys:       []spec.Key{symmetric(1, "")},
		Anomalies:  []spec.Anomaly{},
		Thresholds: []spec.Threshold{{Operations: []spec.Operation{spec.Encrypt, spec.Decrypt}, Above: 7}},
	})
	constructs.NewKeyUsageAlarms(s, jsii.String("Cheap"), &constructs.KeyUsageAlarmsProps{
		Keys: []spec.Key{symmetric(2, "")}, Operations: []spec.Operation{spec.Decrypt}, CloudWatchDetectors: true,
	})
	tpl := template(t, s)
	equal(t, "alarms", len(tpl.ofType(alarmType)), 2)
	equal(t, "detectors", len(tpl.ofType(detectorType)), 0)
}

// A key of the same app: its ARN is a token, so the construct is the identity.
func TestKeyOfTheApp(t *testing.T) {
	for _, c := range []struct {
		name  string
		props *awskms.KeyProps
		want  []any
	}{
		{"unset usage and spec are those of CreateKey", &awskms.KeyProps{}, []any{"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}},
		{"usage and spec are the key's own", &awskms.KeyProps{KeySpec: awskms.KeySpec_HMAC_256, KeyUsage: awskms.KeyUsage_GENERATE_VERIFY_MAC}, []any{"GenerateMac", "VerifyMac"}},
		{"ECC keys may agree on secrets", &awskms.KeyProps{KeySpec: awskms.KeySpec_ECC_NIST_P256, KeyUsage: awskms.KeyUsage_KEY_AGREEMENT}, []any{"DeriveSharedSecret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStack(t)
			key := awskms.NewKey(s, jsii.String("Key"), c.props)
			constructs.NewKeyUsageAlarms(s, jsii.String("Usage"), &constructs.KeyUsageAlarmsProps{Key: key})
			tpl := template(t, s)
			arn := map[string]any{"Fn::GetAtt": []any{*s.GetLogicalId(key.Node().DefaultChild().(awskms.CfnKey)), "Arn"}}
			var ops []any
			for id, a := range tpl.ofType(alarmType) {
				dims := a.at("Properties", "Metrics", 0, "MetricStat", "Metric", "Dimensions").([]any)
				equal(t, "KeyArn", dims[0], any(map[string]any{"Name": "KeyArn", "Value": arn}))
				ops = append(ops, dims[1].(map[string]any)["Value"])
				equal(t, "AlarmName", a.at("Properties", "AlarmName"), nil)
				if !strings.HasPrefix(id, "Usage") {
					t.Errorf("logical ID %s does not begin with the construct's", id)
				}
			}
			slices.SortFunc(ops, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			equal(t, "operations", ops, c.want)
			for _, d := range tpl.ofType(detectorType) {
				equal(t, "KeyArn of the detector", d.at("Properties", "SingleMetricAnomalyDetector", "Dimensions", 0, "Value"), any(arn))
			}
		})
	}
}

func TestImportedKey(t *testing.T) {
	s := newStack(t)
	key := awskms.Key_FromKeyArn(s, jsii.String("Key"), jsii.String(keyARN(9)))
	contains(t, panicOf(t, func() {
		constructs.NewKeyUsageAlarms(s, jsii.String("Bad"), &constructs.KeyUsageAlarmsProps{Key: key})
	}), `KeyUsageAlarms at "Stack/Bad"`, keyARN(9), "is imported", "set Operations")

	s = newStack(t)
	key = awskms.Key_FromKeyArn(s, jsii.String("Key"), jsii.String(keyARN(9)))
	constructs.NewKeyUsageAlarms(s, jsii.String("Usage"), &constructs.KeyUsageAlarmsProps{
		Key: key, Name: "billing", Operations: []spec.Operation{spec.Verify}, Anomalies: []spec.Anomaly{{ID: "tight", Band: "1"}},
	})
	alarm := template(t, s).one(t, alarmType)
	equal(t, "AlarmName", alarm.at("Properties", "AlarmName"), any("billing Verify anomaly tight"))
	equal(t, "KeyArn", alarm.at("Properties", "Metrics", 0, "MetricStat", "Metric", "Dimensions", 0, "Value"), any(keyARN(9)))
}

func TestAliasIsNoKey(t *testing.T) {
	s := newStack(t)
	key := awskms.NewKey(s, jsii.String("Key"), nil)
	for name, alias := range map[string]awskms.IKey{
		"made":     key.AddAlias(jsii.String("alias/a")),
		"imported": awskms.Alias_FromAliasName(s, jsii.String("Imported"), jsii.String("alias/b")),
	} {
		t.Run(name, func(t *testing.T) {
			contains(t, panicOf(t, func() {
				constructs.NewKeyUsageAlarms(s, jsii.String("Usage"+name), &constructs.KeyUsageAlarmsProps{Key: alias, Operations: []spec.Operation{spec.Decrypt}})
			}), "Key is an alias", "give the key that the alias stands for")
		})
	}
}

// Two constructs of one key in one stack are two identities.
func TestTwoConstructsOnOneKey(t *testing.T) {
	s := newStack(t)
	key := awskms.NewKey(s, jsii.String("Key"), nil)
	for _, id := range []string{"A", "B"} {
		constructs.NewKeyUsageAlarms(s, jsii.String(id), &constructs.KeyUsageAlarmsProps{
			Key: key, Operations: []spec.Operation{spec.Decrypt}, CloudWatchDetectors: true,
		})
	}
	equal(t, "alarms", len(template(t, s).ofType(alarmType)), 2)
}

func TestKeyUsageAlarmsRefuses(t *testing.T) {
	key := []spec.Key{symmetric(1, "")}
	six := make([]string, 6)
	for i := range six {
		six[i] = fmt.Sprintf("%s%d", topic, i)
	}
	units := fullUnits()
	broken := spec.Unit{Alarms: []spec.Alarm{{ID: "A", ThresholdMetricID: "ad1", Threshold: new(float64), DetectorID: "D"}}}
	for name, c := range map[string]struct {
		props *constructs.KeyUsageAlarmsProps
		want  []string
	}{
		"no props":    {nil, []string{`KeyUsageAlarms at "Stack/X": `, "nothing to watch", "give Units, Keys or a Key"}},
		"nil keys":    {&constructs.KeyUsageAlarmsProps{Name: "x"}, []string{"nothing to watch"}},
		"no units":    {&constructs.KeyUsageAlarmsProps{Units: []spec.Unit{}}, []string{"nothing to watch"}},
		"two ways":    {&constructs.KeyUsageAlarmsProps{Units: units, Keys: key}, []string{"more than one of Units, Keys and Key"}},
		"units, name": {&constructs.KeyUsageAlarmsProps{Units: units, Name: "x"}, []string{"drawn as they are"}},
		"unit twice":  {&constructs.KeyUsageAlarmsProps{Units: append(units, units[0])}, []string{`"DetectorK00000000000000000000000000000001DecryptOfSampleCount" is there twice`}},
		"broken unit": {&constructs.KeyUsageAlarmsProps{Units: []spec.Unit{broken}}, []string{`"A" needs exactly one of a threshold`, `the detector "D"`, "watches 0 metrics"}},
		"key twice":   {&constructs.KeyUsageAlarmsProps{Keys: append(key, key...)}, []string{keyARN(1) + " is there twice"}},
		"alias ARN":   {&constructs.KeyUsageAlarmsProps{Keys: []spec.Key{{ARN: "arn:aws:kms:eu-west-1:111122223333:alias/x"}}}, []string{`alias/x" is no key ARN; expected arn:`}},
		"token ARN":   {&constructs.KeyUsageAlarmsProps{Keys: []spec.Key{{ARN: "${Token[TOKEN.7]}"}}}, []string{"give the key as Key"}},
		"ReEncrypt":   {&constructs.KeyUsageAlarmsProps{Keys: key, Operations: []spec.Operation{spec.ReEncrypt}}, []string{`"ReEncrypt" has no series per key`, "watch Decrypt or Encrypt"}},
		"cannot do":   {&constructs.KeyUsageAlarmsProps{Keys: key, Operations: []spec.Operation{spec.Sign}}, []string{`"Sign"`, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "it can do Decrypt, Encrypt,"}},
		"six actions": {&constructs.KeyUsageAlarmsProps{Keys: key, Actions: spec.Actions{OK: six}}, []string{"6 OK actions", "allows 5"}},
		"bad band":    {&constructs.KeyUsageAlarmsProps{Keys: key, Anomalies: []spec.Anomaly{{Band: "-2"}}}, []string{`the band is "-2"`, "over 0, up to 100"}},
		"long name":   {&constructs.KeyUsageAlarmsProps{Keys: key, Name: strings.Repeat("n", 300)}, []string{"over 255 characters", "shorten Name"}},
		"all at once": {&constructs.KeyUsageAlarmsProps{Keys: key, Operations: []spec.Operation{"Decript", spec.Sign}}, []string{`"Decript" is none that KMS counts`, `"Sign"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			contains(t, panicOf(t, func() { constructs.NewKeyUsageAlarms(s, jsii.String("X"), c.props) }), c.want...)
		})
	}
}

// Embedding a construct the wrong way panics when someone tags it, or puts
// something into it.
func TestKeyUsageAlarmsIsAScopeAndTaggable(t *testing.T) {
	s := newStack(t)
	k := constructs.NewKeyUsageAlarms(s, jsii.String("Usage"), &constructs.KeyUsageAlarmsProps{
		Keys: []spec.Key{symmetric(1, "")}, Operations: []spec.Operation{spec.Decrypt},
	})
	d := constructs.NewTopKeysDashboard(k, jsii.String("Dashboard"), nil)
	awscdk.Tags_Of(k).Add(jsii.String("team"), jsii.String("payments"), nil)
	awscdk.Tags_Of(d).Add(jsii.String("team"), jsii.String("payments"), nil)
	tpl := template(t, s)
	equal(t, "Tags that the user wants", tpl.one(t, alarmType).at("Properties", "Tags", 0, "Value"), any("payments"))
	equal(t, "path", *d.Node().Path(), "Stack/Usage/Dashboard")
}

// The switch that makes findings errors is on: a broken template fails.
func TestTemplateCheckIsOn(t *testing.T) {
	s := newStack(t)
	awscloudwatch.NewCfnAlarm(s, jsii.String("Broken"), &awscloudwatch.CfnAlarmProps{
		ComparisonOperator: jsii.String("Greater"), EvaluationPeriods: jsii.Number(1),
	})
	contains(t, panicOf(t, func() { template(t, s) }), "Stack/Broken", "ComparisonOperator")
}

// A list of keys that an app makes up may be empty: that is nothing to draw, and
// no mistake.
func TestAnEmptyListOfKeysMakesNothing(t *testing.T) {
	s := newStack(t)
	a := constructs.NewKeyUsageAlarms(s, jsii.String("X"), &constructs.KeyUsageAlarmsProps{Keys: []spec.Key{}})
	if len(a.Units())+len(a.Alarms())+len(a.Detectors()) != 0 {
		t.Errorf("%d units, %d alarms", len(a.Units()), len(a.Alarms()))
	}
}
