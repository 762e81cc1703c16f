package spec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
)

const arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// plainNames are readable stand-ins for the names of a deployment.
type plainNames struct{}

func (plainNames) Unit(k spec.Key, ops []spec.Operation) string {
	return "U." + spec.JoinOperations(ops, "+")
}

func (plainNames) Alarm(_ spec.Key, ops []spec.Operation, kind spec.Kind, id string) (string, string) {
	s := fmt.Sprintf("%s.%s.%s", spec.JoinOperations(ops, "+"), kind, id)
	return "A." + s, "name " + s
}

func (plainNames) Detector(_ spec.Key, op spec.Operation, statistic string) string {
	return fmt.Sprintf("D.%s.%s", op, statistic)
}

func evaluation() spec.Evaluation {
	return spec.Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 3, Breaching: 2, Missing: "notBreaching"}
}

func anomaly(change func(*spec.Anomaly)) spec.Anomaly {
	a := spec.Anomaly{ID: "main", Direction: spec.Above, Band: "2", Evaluation: evaluation()}
	if change != nil {
		change(&a)
	}
	return a
}

func expandOne(t *testing.T, w spec.Watch) spec.Unit {
	t.Helper()
	units := spec.Expand(spec.Key{ARN: arn, Alias: "alias/pay"}, w, plainNames{})
	if len(units) != 1 {
		t.Fatalf("%d units, want 1: %+v", len(units), units)
	}
	return units[0]
}

// An anomaly alarm is exactly two queries and no threshold: CloudFormation
// refuses Threshold beside ThresholdMetricId.
func TestAnomalyAlarmWhole(t *testing.T) {
	actions := spec.Actions{Alarm: []string{"arn:aws:sns:eu-west-1:111122223333:pager"}, OK: []string{"arn:ok"}, InsufficientData: []string{"arn:insufficient"}}
	got := expandOne(t, spec.Watch{Operations: []spec.Operation{spec.Decrypt}, Anomalies: []spec.Anomaly{anomaly(nil)}, Detectors: true, Origin: "Rule pay.", Actions: actions})
	want := spec.Unit{
		ID: "U.Decrypt", Key: spec.Key{ARN: arn, Alias: "alias/pay"}, Operations: []spec.Operation{"Decrypt"},
		Detectors: []spec.Detector{{ID: "D.Decrypt.Sum", KeyARN: arn, Operation: "Decrypt", Statistic: "Sum"}},
		Alarms: []spec.Alarm{{
			ID: "A.Decrypt.anomaly.main", Name: "name Decrypt.anomaly.main", Kind: "anomaly", AlarmID: "main",
			Description: "alias/pay: Decrypt requests of KMS key " + arn + ": Sum over 5m above the expected band (2 standard deviations) in 2 of 3 periods. Rule pay.",
			Operations:  []spec.Operation{"Decrypt"},
			Queries: []spec.Query{
				{ID: "m1", Operation: "Decrypt", KeyARN: arn, Statistic: "Sum", Period: 5 * time.Minute, ReturnData: true},
				{ID: "ad1", Expression: "ANOMALY_DETECTION_BAND(m1, 2)", ReturnData: true},
			},
			ThresholdMetricID: "ad1", Operator: "GreaterThanUpperThreshold",
			EvaluationPeriods: 3, DatapointsToAlarm: 2, TreatMissingData: "notBreaching",
			Actions: actions, DetectorID: "D.Decrypt.Sum",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unit (-want +got):\n%s", diff)
	}
}

func TestAnomalyOperatorByDirection(t *testing.T) {
	for direction, want := range map[spec.Direction]string{
		spec.Above: "GreaterThanUpperThreshold", spec.Below: "LessThanLowerThreshold", spec.Both: "LessThanLowerOrGreaterThanUpperThreshold",
	} {
		a := expandOne(t, spec.Watch{Operations: []spec.Operation{spec.Sign}, Anomalies: []spec.Anomaly{anomaly(func(a *spec.Anomaly) { a.Direction = direction })}}).Alarms[0]
		if a.Operator != want || a.Threshold != nil || a.ThresholdMetricID != "ad1" {
			t.Errorf("%s: operator %q, threshold %v, threshold metric %q; want %q, none, ad1", direction, a.Operator, a.Threshold, a.ThresholdMetricID, want)
		}
	}
}

func TestBandIsWrittenAsGiven(t *testing.T) {
	for _, band := range []string{"2", "2.0", "2.50", "0.001", "100"} {
		a := expandOne(t, spec.Watch{Operations: []spec.Operation{spec.Sign}, Anomalies: []spec.Anomaly{anomaly(func(a *spec.Anomaly) { a.Band = band })}}).Alarms[0]
		if want := "ANOMALY_DETECTION_BAND(m1, " + band + ")"; a.Queries[1].Expression != want {
			t.Errorf("expression %q, want %q", a.Queries[1].Expression, want)
		}
	}
}

func TestDetectorsAreSharedByStatistic(t *testing.T) {
	w := spec.Watch{Operations: []spec.Operation{spec.Decrypt}, Detectors: true, Anomalies: []spec.Anomaly{
		anomaly(nil),
		anomaly(func(a *spec.Anomaly) { a.ID, a.Direction, a.Band = "low", spec.Below, "3" }),
		anomaly(func(a *spec.Anomaly) { a.ID, a.Statistic = "rate", "SampleCount" }),
	}}
	u := expandOne(t, w)
	var detectors, depends []string
	for _, d := range u.Detectors {
		detectors = append(detectors, d.ID)
	}
	for _, a := range u.Alarms {
		depends = append(depends, a.AlarmID+" → "+a.DetectorID)
	}
	if diff := cmp.Diff([]string{"D.Decrypt.SampleCount", "D.Decrypt.Sum"}, detectors); diff != "" {
		t.Errorf("detectors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"low → D.Decrypt.Sum", "main → D.Decrypt.Sum", "rate → D.Decrypt.SampleCount"}, depends); diff != "" {
		t.Errorf("alarm → detector (-want +got):\n%s", diff)
	}
	if u.Resources() != 5 {
		t.Errorf("%d resources, want 3 alarms and 2 detectors", u.Resources())
	}

	w.Detectors = false
	u = expandOne(t, w)
	if len(u.Detectors) != 0 || slices.ContainsFunc(u.Alarms, func(a spec.Alarm) bool { return a.DetectorID != "" }) {
		t.Errorf("detector: cloudwatch declares detectors: %+v", u)
	}
}

func threshold(ops ...spec.Operation) spec.Threshold {
	return spec.Threshold{ID: "main", Operations: ops, Above: 1e5, Evaluation: evaluation()}
}

func TestThresholdOnOneOperation(t *testing.T) {
	a := expandOne(t, spec.Watch{Thresholds: []spec.Threshold{threshold(spec.Decrypt)}, Detectors: true}).Alarms[0]
	above := 100000.0
	want := spec.Alarm{
		ID: "A.Decrypt.threshold.main", Name: "name Decrypt.threshold.main", Kind: "threshold", AlarmID: "main",
		Description: "alias/pay: Decrypt requests of KMS key " + arn + ": Sum over 5m above 100000 in 2 of 3 periods.",
		Operations:  []spec.Operation{"Decrypt"},
		Queries:     []spec.Query{{ID: "m1", Operation: "Decrypt", KeyARN: arn, Statistic: "Sum", Period: 5 * time.Minute, ReturnData: true}},
		Threshold:   &above, Operator: "GreaterThanThreshold",
		EvaluationPeriods: 3, DatapointsToAlarm: 2, TreatMissingData: "notBreaching",
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("alarm (-want +got):\n%s", diff)
	}
}

func TestThresholdOnASum(t *testing.T) {
	u := expandOne(t, spec.Watch{Thresholds: []spec.Threshold{threshold(spec.Decrypt, spec.Encrypt, spec.GenerateDataKey)}, Detectors: true})
	metric := func(id string, op spec.Operation) spec.Query {
		return spec.Query{ID: id, Operation: op, KeyARN: arn, Statistic: "Sum", Period: 5 * time.Minute}
	}
	want := []spec.Query{
		metric("m1", "Decrypt"), metric("m2", "Encrypt"), metric("m3", "GenerateDataKey"),
		{ID: "e1", Expression: "FILL(m1,0)+FILL(m2,0)+FILL(m3,0)", Label: "Decrypt+Encrypt+GenerateDataKey", ReturnData: true},
	}
	if diff := cmp.Diff(want, u.Alarms[0].Queries); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if len(u.Detectors) != 0 || u.Alarms[0].ThresholdMetricID != "" {
		t.Errorf("a static alarm has a detector or a band: %+v", u)
	}
}

// A threshold on one operation lives with that operation's anomaly alarm; one
// on a set is a unit of its own. Units come sorted by their operations.
func TestExpandMakesOneUnitPerOperationSet(t *testing.T) {
	units := spec.Expand(spec.Key{ARN: arn}, spec.Watch{
		Operations: []spec.Operation{spec.Decrypt, spec.Encrypt},
		Anomalies:  []spec.Anomaly{anomaly(nil)},
		Thresholds: []spec.Threshold{threshold(spec.Encrypt), threshold(spec.Decrypt, spec.Encrypt), threshold(spec.Verify)},
		Detectors:  true,
	}, plainNames{})
	var got []string
	for _, u := range units {
		for _, a := range u.Alarms {
			got = append(got, u.ID+": "+a.ID)
		}
	}
	want := []string{
		"U.Decrypt: A.Decrypt.anomaly.main", "U.Decrypt+Encrypt: A.Decrypt+Encrypt.threshold.main",
		"U.Encrypt: A.Encrypt.anomaly.main", "U.Encrypt: A.Encrypt.threshold.main", "U.Verify: A.Verify.threshold.main",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	if none := spec.Expand(spec.Key{ARN: arn}, spec.Watch{Operations: []spec.Operation{spec.Decrypt}}, plainNames{}); len(none) != 0 {
		t.Errorf("operations without any alarm make units: %+v", none)
	}
}

func TestMergeReportsClashesAndKeepsDetectorsOnce(t *testing.T) {
	unit := func(anomalies ...spec.Anomaly) spec.Unit {
		return expandOne(t, spec.Watch{Operations: []spec.Operation{spec.Decrypt}, Anomalies: anomalies, Detectors: true})
	}
	other := anomaly(func(a *spec.Anomaly) { a.ID = "tight" })
	u := unit(anomaly(nil))
	if clashes := u.Merge(unit(other)); len(clashes) != 0 || len(u.Alarms) != 2 || len(u.Detectors) != 1 {
		t.Errorf("another id: clashes %v, %d alarms, %d detectors; want none, 2, 1", clashes, len(u.Alarms), len(u.Detectors))
	}
	clashes := u.Merge(unit(anomaly(func(a *spec.Anomaly) { a.Band = "5" }), other))
	if len(clashes) != 2 || len(u.Alarms) != 2 || u.Alarms[0].Queries[1].Expression != "ANOMALY_DETECTION_BAND(m1, 2)" {
		t.Errorf("the same ids: clashes %+v, alarms %+v; want both clashing and the first kept", clashes, u.Alarms)
	}
	static := expandOne(t, spec.Watch{Thresholds: []spec.Threshold{threshold(spec.Decrypt)}})
	if clashes := u.Merge(static); len(clashes) != 0 || len(u.Alarms) != 3 {
		t.Errorf("another kind with the same id: clashes %v, %d alarms; want none, 3", clashes, len(u.Alarms))
	}
}

func TestDescriptionFits(t *testing.T) {
	symmetric, _ := spec.Applicable("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
	real := spec.Key{ARN: "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-" + strings.Repeat("a", 32), Alias: "alias/" + strings.Repeat("a", 250)}
	origin := "Rule " + strings.Repeat("r", 32) + " of keywatch deployment " + strings.Repeat("d", 32) + "."
	w := spec.Watch{Thresholds: []spec.Threshold{threshold(symmetric...)}, Origin: origin, Operations: symmetric}
	w.Thresholds[0].Above = 1.7976931348623157e+308
	w.Anomalies = []spec.Anomaly{anomaly(func(a *spec.Anomaly) {
		a.Direction, a.Band, a.Statistic = spec.Both, "99.99999999999999999", "SampleCount"
	})}
	for _, k := range []spec.Key{real, {ARN: real.ARN, Alias: "alias/" + strings.Repeat("鍵", 2000)}} {
		for _, u := range spec.Expand(k, w, plainNames{}) {
			for _, a := range u.Alarms {
				if n := utf8.RuneCountInString(a.Description); n > spec.MaxAlarmDescription || !utf8.ValidString(a.Description) {
					t.Errorf("%s: the description has %d characters, valid %v", a.ID, n, utf8.ValidString(a.Description))
				}
				if k == real && a.Threshold == nil && !strings.HasSuffix(a.Description, origin) {
					t.Errorf("%s: the longest real key cuts the origin off: %s", a.ID, a.Description)
				}
			}
		}
	}
}

func TestMinutes(t *testing.T) {
	for want, d := range map[string]time.Duration{"1m": time.Minute, "5m": 5 * time.Minute, "90m": 90 * time.Minute, "1h": time.Hour, "168h": 168 * time.Hour, "30s": 30 * time.Second} {
		if got := spec.Minutes(d); got != want {
			t.Errorf("Minutes(%v) = %q, want %q", d, got, want)
		}
	}
}
