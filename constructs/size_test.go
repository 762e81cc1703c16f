package constructs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keywatch/constructs/spec"
	"keywatch/internal/naming"
)

// Placement trusts this bound: were it too small, a stack could outgrow what
// CloudFormation takes; were it too large, there would be more stacks than
// needed.
func TestTemplateBytesIsAnUpperBoundWithinAQuarter(t *testing.T) {
	units := variedUnits()
	base := spec.Expand(symmetric(999, ""), spec.Watch{Operations: []spec.Operation{spec.Decrypt}, Anomalies: []spec.Anomaly{spec.DefaultAnomaly()}}, naming.Deployment("k"))
	d := spec.Deployment{Name: "k", Account: account, Region: region, Shards: []spec.Shard{{StackName: "base", Units: base}}}
	for i, u := range units {
		d.Shards = append(d.Shards, spec.Shard{StackName: fmt.Sprintf("unit-%d", i), Units: append(base[:1:1], u)})
	}
	dir := synth(t, d)
	size := func(stack string) int {
		f, err := os.Stat(filepath.Join(dir, artifact(t, dir, stack+env).at("properties", "templateFile").(string)))
		if err != nil {
			t.Fatal(err)
		}
		return int(f.Size())
	}
	empty := size("base")
	for i, u := range units {
		actual, bound := size(fmt.Sprintf("unit-%d", i))-empty, u.TemplateBytes()
		if bound < actual || bound*4 > actual*5 {
			t.Errorf("unit %d: the bound is %d bytes, the unit has %d (%.2f): %+v", i, bound, actual, float64(bound)/float64(actual), u)
		}
	}
}

func variedUnits() []spec.Unit {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	evaluation := func() spec.Evaluation {
		return spec.Evaluation{Statistic: pick("Sum", "SampleCount"), Period: time.Duration(1+rnd.IntN(60)) * time.Minute, Evaluate: 1 + rnd.IntN(20), Breaching: 1, Missing: pick("ignore", "notBreaching")}
	}
	actions := func() (list []string) {
		for i := range rnd.IntN(6) {
			list = append(list, fmt.Sprintf("%s-%s-%d", topic, strings.Repeat("x", rnd.IntN(200)), i))
		}
		return list
	}
	var units []spec.Unit
	for i := range 60 {
		k := symmetric(i, "alias/"+strings.Repeat(pick("pay", "zahlung-ä/", "鍵", "\U0001F511", `"quoted"\`, "<&>\u2028", "tab\tbell\a\u007f"), rnd.IntN(30)))
		if i%3 == 0 {
			k.ARN = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-" + fmt.Sprintf("%032x", i)
		}
		w := spec.Watch{
			Actions: spec.Actions{Alarm: actions(), OK: actions(), InsufficientData: actions()}, Detectors: i%2 == 0,
			Origin: strings.Repeat(pick("Rule payments. ", "Règle «é». ", ""), rnd.IntN(80)),
		}
		for j := range rnd.IntN(4) {
			w.Anomalies = append(w.Anomalies, spec.Anomaly{ID: pick("main", "night-shift") + fmt.Sprint(j), Direction: spec.Both, Band: pick("2", "2.5", "0.125"), Evaluation: evaluation()})
		}
		w.Operations = []spec.Operation{spec.Operation(pick("Sign", "GenerateDataKeyPairWithoutPlaintext"))}
		ops := spec.Watchable()[:1+rnd.IntN(spec.MaxMetricsPerAlarm)]
		for _, above := range []float64{0, 1e-9, 0.1, 123456789, 1e21}[:1+rnd.IntN(5)] {
			w.Thresholds = append(w.Thresholds, spec.Threshold{ID: fmt.Sprintf("t%d", len(w.Thresholds)), Operations: ops, Above: above, Evaluation: evaluation()})
		}
		units = append(units, spec.Expand(k, w, naming.Deployment("keywatch"))...)
	}
	return units
}
