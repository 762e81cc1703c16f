package spec

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func goodKey() Key {
	return Key{ARN: "arn:aws:kms:eu-west-1:111122223333:key/1", Usage: UsageEncryptDecrypt, Spec: SpecSymmetricDefault}
}

func goodWatch() Watch {
	return Watch{
		Operations: []Operation{Decrypt, Encrypt},
		Anomalies:  []Anomaly{DefaultAnomaly()},
		Thresholds: []Threshold{Threshold{Operations: []Operation{Decrypt, Encrypt}, Above: 10}.WithDefaults()},
		Actions:    Actions{Alarm: []string{"arn:aws:sns:eu-west-1:111122223333:pager"}, OK: []string{"${Token[TOKEN.1]}"}},
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := Anomaly{ID: "main", Direction: Above, Band: "2", Evaluation: Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 3, Breaching: 2, Missing: "notBreaching"}}
	if diff := cmp.Diff(want, DefaultAnomaly()); diff != "" {
		t.Error(diff)
	}
	// What is set stays, and breaching never exceeds what is evaluated.
	got := Anomaly{ID: "x", Direction: Both, Band: "3", Evaluation: Evaluation{Evaluate: 1, Period: time.Minute, Statistic: "Average", Missing: "ignore"}}.WithDefaults()
	want = Anomaly{ID: "x", Direction: Both, Band: "3", Evaluation: Evaluation{Statistic: "Average", Period: time.Minute, Evaluate: 1, Breaching: 1, Missing: "ignore"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	threshold := Threshold{ID: "main", Evaluation: Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 1, Breaching: 1, Missing: "notBreaching"}}
	if diff := cmp.Diff(threshold, Threshold{}.WithDefaults()); diff != "" {
		t.Error(diff)
	}
}

// Each case spoils one thing of a watch that is fine.
func TestWatchProblems(t *testing.T) {
	t.Parallel()
	if p := goodWatch().Problems(goodKey()); len(p) > 0 {
		t.Fatalf("the good watch has problems: %q", p)
	}
	anomaly := func(f func(*Anomaly)) func(*Watch, *Key) {
		return func(w *Watch, _ *Key) { f(&w.Anomalies[0]) }
	}
	threshold := func(f func(*Threshold)) func(*Watch, *Key) {
		return func(w *Watch, _ *Key) { f(&w.Thresholds[0]) }
	}
	for name, c := range map[string]struct {
		spoil func(*Watch, *Key)
		want  []string
	}{
		"ReEncrypt": {func(w *Watch, _ *Key) { w.Operations = []Operation{ReEncrypt} },
			[]string{`operation "ReEncrypt" has no series per key: CloudWatch counts it per pair of keys; watch Decrypt or Encrypt, and see ReEncrypt on the dashboard`}},
		"unknown operation": {func(w *Watch, _ *Key) { w.Operations = []Operation{"decrypt"} },
			[]string{`operation "decrypt" is none that KMS counts per key; allowed are Decrypt, DeriveSharedSecret, Encrypt, GenerateDataKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, GenerateDataKeyWithoutPlaintext, GenerateMac, Sign, Verify, VerifyMac`}},
		"operation of other keys": {func(_ *Watch, k *Key) { k.Usage, k.Spec = UsageSignVerify, "RSA_2048" },
			[]string{
				`operation "Decrypt": a key with usage SIGN_VERIFY and spec RSA_2048 cannot do it; it can do Sign, Verify`,
				`operation "Encrypt": a key with usage SIGN_VERIFY and spec RSA_2048 cannot do it; it can do Sign, Verify`,
				`threshold "main": operation "Decrypt": a key with usage SIGN_VERIFY and spec RSA_2048 cannot do it; it can do Sign, Verify`,
				`threshold "main": operation "Encrypt": a key with usage SIGN_VERIFY and spec RSA_2048 cannot do it; it can do Sign, Verify`,
			}},
		"a spec of tomorrow": {func(w *Watch, k *Key) { k.Spec, w.Thresholds = "ML_KEM_512", nil },
			[]string{`the key's usage "ENCRYPT_DECRYPT" with spec "ML_KEM_512" is not known here; leave both empty and name the operations`}},
		"nobody knows the key": {func(_ *Watch, k *Key) { *k = Key{} }, nil},
		"operation twice": {func(w *Watch, _ *Key) { w.Operations = []Operation{Decrypt, Decrypt} },
			[]string{`operation "Decrypt" is there twice`}},
		"nothing": {func(w *Watch, _ *Key) { w.Anomalies, w.Thresholds = nil, nil },
			[]string{"there is nothing to watch: no operation with an anomaly alarm and no threshold"}},
		"neither operations nor usage": {func(w *Watch, k *Key) { *k, w.Operations, w.Thresholds = Key{}, nil, nil },
			[]string{"there is nothing to watch: neither operations nor the key's Usage and Spec are given; set one or the other"}},
		"id": {anomaly(func(a *Anomaly) { a.ID = "Main" }),
			[]string{`anomaly alarm "Main": the id is "Main"; allowed are 1 to 16 of a-z, 0-9 and -`}},
		"id twice": {func(w *Watch, _ *Key) { w.Anomalies = append(w.Anomalies, DefaultAnomaly()) },
			[]string{`anomaly alarm: the id "main" is there twice; give each its own`}},
		"threshold twice": {func(w *Watch, _ *Key) { w.Thresholds = append(w.Thresholds, w.Thresholds[0]) },
			[]string{`threshold on Decrypt+Encrypt: the id "main" is there twice; give each its own`}},
		"direction": {anomaly(func(a *Anomaly) { a.Direction = "up" }),
			[]string{`anomaly alarm "main": the direction is "up"; allowed are above, below and both`}},
		"band zero":     {anomaly(func(a *Anomaly) { a.Band = "0" }), []string{badBand("0")}},
		"band over 100": {anomaly(func(a *Anomaly) { a.Band = "100.5" }), []string{badBand("100.5")}},
		"band formula":  {anomaly(func(a *Anomaly) { a.Band = "2)+m2" }), []string{badBand("2)+m2")}},
		"band in hex":   {anomaly(func(a *Anomaly) { a.Band = "0x2" }), []string{badBand("0x2")}},
		"band NaN":      {anomaly(func(a *Anomaly) { a.Band = "NaN" }), []string{badBand("NaN")}},
		"statistic": {anomaly(func(a *Anomaly) { a.Statistic = "p99" }),
			[]string{`anomaly alarm "main": the statistic is "p99"; allowed are Sum, SampleCount, Average, Minimum and Maximum`}},
		"half a minute": {anomaly(func(a *Anomaly) { a.Period = 30 * time.Second }),
			[]string{`anomaly alarm "main": the period is 30s; allowed are whole minutes up to 1h`}},
		"band over a day": {anomaly(func(a *Anomaly) { a.Period = 24 * time.Hour }),
			[]string{`anomaly alarm "main": the period is 24h0m0s; allowed are whole minutes up to 1h`}},
		"breaching": {anomaly(func(a *Anomaly) { a.Breaching = 4 }),
			[]string{`anomaly alarm "main": 4 of 3 periods must breach; allowed is at least 1, and not more than are evaluated`}},
		"over a day of minutes": {threshold(func(t *Threshold) { t.Evaluate = 289 }),
			[]string{`threshold "main" looks back over 289 periods of 5m; CloudWatch allows 24h at most`}},
		"over a week of hours": {threshold(func(t *Threshold) { t.Period, t.Evaluate = time.Hour, 169 }),
			[]string{`threshold "main" looks back over 169 periods of 1h; CloudWatch allows 168h at most`}},
		"a day of minutes": {threshold(func(t *Threshold) { t.Evaluate = 288 }), nil},
		"a week of hours":  {threshold(func(t *Threshold) { t.Period, t.Evaluate = time.Hour, 168 }), nil},
		"missing": {threshold(func(t *Threshold) { t.Missing = "ok" }),
			[]string{`threshold "main": missing is "ok"; allowed are notBreaching, breaching, ignore and missing`}},
		"no operations in a threshold": {threshold(func(t *Threshold) { t.Operations = nil }),
			[]string{`threshold "main" sums 0 operations; an alarm takes 1 to 10`}},
		"eleven operations": {func(w *Watch, k *Key) { *k = Key{}; w.Thresholds[0].Operations = Watchable() },
			[]string{`threshold "main" sums 11 operations; an alarm takes 1 to 10`}},
		"above infinity": {threshold(func(t *Threshold) { t.Above = math.Inf(1) }),
			[]string{`threshold "main": above is +Inf; allowed is a number from 0`}},
		"above below zero": {threshold(func(t *Threshold) { t.Above = -1 }),
			[]string{`threshold "main": above is -1; allowed is a number from 0`}},
		"six actions": {func(w *Watch, _ *Key) { w.Actions.InsufficientData = manyARNs(6) },
			[]string{"there are 6 insufficient-data actions; CloudWatch allows 5, so send them through one SNS topic"}},
		"no ARN": {func(w *Watch, _ *Key) { w.Actions.OK = []string{"pager"} },
			[]string{`the OK action "pager" is no ARN`}},
		"action twice": {func(w *Watch, _ *Key) { w.Actions.Alarm = slices.Repeat(w.Actions.Alarm, 2) },
			[]string{`the alarm action "arn:aws:sns:eu-west-1:111122223333:pager" is there twice`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, k := goodWatch(), goodKey()
			c.spoil(&w, &k)
			if diff := cmp.Diff(c.want, w.Problems(k)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func badBand(s string) string {
	return fmt.Sprintf(`anomaly alarm "main": the band is %q; allowed is a number over 0, up to 100, such as 2 or 2.5`, s)
}

func manyARNs(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("arn:aws:sns:eu-west-1:111122223333:t%d", i))
	}
	return list
}

func TestUnitProblems(t *testing.T) {
	t.Parallel()
	above := 1.0
	good := Unit{
		Detectors: []Detector{{ID: "D"}},
		Alarms: []Alarm{
			{ID: "A", ThresholdMetricID: "ad1", DetectorID: "D", Queries: []Query{{Operation: Decrypt}, {Expression: "e"}}},
			{ID: "B", Threshold: &above, Queries: []Query{{Operation: Decrypt}}},
		},
	}
	if p := UnitProblems([]Unit{good}); len(p) > 0 {
		t.Fatalf("the good unit has problems: %q", p)
	}
	bad := Unit{Alarms: []Alarm{
		{ID: "A", DetectorID: "D", Queries: slices.Repeat([]Query{{Operation: Decrypt}}, 11), Actions: Actions{Alarm: manyARNs(6)}},
		{ID: "C", ThresholdMetricID: "ad1", Threshold: &above},
	}}
	want := []string{
		`the construct ID "A" is there twice; units must differ in key or operations`,
		`alarm "A" needs exactly one of a threshold and a threshold metric`,
		`alarm "A" depends on the detector "D", which its unit does not have`,
		`alarm "A" watches 11 metrics; CloudWatch allows 1 to 10`,
		`there are 6 alarm actions; CloudWatch allows 5, so send them through one SNS topic`,
		`alarm "C" needs exactly one of a threshold and a threshold metric`,
		`alarm "C" watches 0 metrics; CloudWatch allows 1 to 10`,
	}
	if diff := cmp.Diff(want, UnitProblems([]Unit{good, bad})); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// Text takes the bytes that JSON.stringify gives it.
func TestQuoted(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		"":                     0,
		"arn:aws":              7,
		`a"b\c`:                7,
		"\b\f\n\r\t":           10,
		"\a\x00":               12,
		"<&>\u007f":            4,
		"ä鍵\U0001F511":         2 + 3 + 4,
		"\u2028":               3,
		"\xff":                 3,
		strings.Repeat("x", 9): 9,
	} {
		if got := quoted(s); got != want {
			t.Errorf("quoted(%q) = %d, want %d", s, got, want)
		}
	}
}

func BenchmarkTemplateBytes(b *testing.B) {
	u := Unit{Detectors: []Detector{{ID: "D", KeyARN: goodKey().ARN, Operation: Decrypt, Statistic: "Sum"}}, Alarms: []Alarm{{
		ID: "A", Name: "keywatch pay Decrypt anomaly", Description: strings.Repeat("d", 200), ThresholdMetricID: "ad1", Queries: []Query{{Operation: Decrypt}, {Expression: "e"}},
	}}}
	for b.Loop() {
		u.TemplateBytes()
	}
}
