package constructs_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
	"keywatch/internal/naming"
	"keywatch/stacks"
)

// All tests that need jsii are in this package: one Node process serves them
// all, one after the other.

var update = flag.Bool("update", false, "write the golden files in testdata")

func TestMain(m *testing.M) {
	stacks.DrawIfAsked()
	flag.Parse()
	code := m.Run()
	stacks.Close()
	os.Exit(code)
}

const (
	account = "111122223333"
	region  = "eu-west-1"
	env     = "@" + account + "-" + region
	topic   = "arn:aws:sns:eu-west-1:111122223333:pager"
)

func keyARN(n int) string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:key/00000000-0000-0000-0000-%012d", region, account, n)
}

func symmetric(n int, alias string) spec.Key {
	return spec.Key{ARN: keyARN(n), Alias: alias, Usage: spec.UsageEncryptDecrypt, Spec: spec.SpecSymmetricDefault}
}

// newStack is a stack in an app of its own, with the template check on.
func newStack(t *testing.T) awscdk.Stack {
	t.Helper()
	return awscdk.NewStack(newApp(t), jsii.String("Stack"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String(account), Region: jsii.String(region)},
	})
}

func newApp(t *testing.T) awscdk.App {
	t.Helper()
	return awscdk.NewApp(&awscdk.AppProps{
		Outdir:             jsii.String(t.TempDir()),
		AnalyticsReporting: jsii.Bool(false),
		Context: &map[string]any{
			"@aws-cdk/core:validateAgainstDefaultRules": true,
			"@aws-cdk/core:appMode":                     "inmemory",
			// Of our own templates even the warnings are errors.
			"@aws-cdk/core:strictCfnValidateErrors": true,
		},
	})
}

// template synthesises the stack's app.
func template(t *testing.T, s awscdk.Stack) object {
	t.Helper()
	out := awscdk.App_Of(s).Synth(nil)
	return readJSON(t, filepath.Join(*out.Directory(), *s.TemplateFile()))
}

// object is JSON.
type object map[string]any

func readJSON(t *testing.T, path string) object {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return o
}

// at follows keys (string) and indexes (int); nil where there is nothing.
func (o object) at(path ...any) any {
	var v any = map[string]any(o)
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p.(string)]
		case []any:
			if i := p.(int); i < len(x) {
				v = x[i]
			} else {
				return nil
			}
		default:
			return nil
		}
	}
	return v
}

// ofType lists the resources of a type, by logical ID.
func (o object) ofType(kind string) map[string]object {
	found := map[string]object{}
	resources, _ := o["Resources"].(map[string]any)
	for id, r := range resources {
		if r := object(r.(map[string]any)); r["Type"] == kind {
			found[id] = r
		}
	}
	return found
}

// one is the only resource of a type.
func (o object) one(t *testing.T, kind string) object {
	t.Helper()
	found := o.ofType(kind)
	if len(found) != 1 {
		t.Fatalf("%d resources of type %s, want 1", len(found), kind)
	}
	for _, r := range found {
		return r
	}
	return nil
}

const (
	alarmType     = "AWS::CloudWatch::Alarm"
	detectorType  = "AWS::CloudWatch::AnomalyDetector"
	dashboardType = "AWS::CloudWatch::Dashboard"
)

// golden compares with testdata/NAME.json: sorted by key, indented.
func golden(t *testing.T, name string, got object) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./constructs -update", err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s differs (-want +got); if that is meant, run go test ./constructs -update:\n%s", path, diff)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

// panicOf is the text that f panics with.
func panicOf(t *testing.T, f func()) (message string) {
	t.Helper()
	defer func() {
		r := recover()
		if r == nil {
			t.Fatal("no panic")
		}
		message = fmt.Sprint(r)
	}()
	f()
	return ""
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func evaluation() spec.Evaluation {
	return spec.Evaluation{Statistic: "Sum", Period: 5 * time.Minute, Evaluate: 3, Breaching: 2, Missing: "notBreaching"}
}

// fullWatch has everything that a watch can have.
func fullWatch() spec.Watch {
	minutely := evaluation()
	minutely.Period, minutely.Statistic, minutely.Missing = time.Minute, "SampleCount", "ignore"
	return spec.Watch{
		Operations: []spec.Operation{spec.Decrypt, spec.Encrypt},
		Anomalies: []spec.Anomaly{
			spec.DefaultAnomaly(),
			{ID: "low-2", Direction: spec.Both, Band: "2.5", Evaluation: minutely},
		},
		Thresholds: []spec.Threshold{
			{ID: "main", Operations: []spec.Operation{spec.Decrypt, spec.Encrypt, spec.GenerateDataKey}, Above: 100000, Evaluation: evaluation()},
			{ID: "main", Operations: []spec.Operation{spec.Decrypt}, Above: 0.5, Evaluation: evaluation()},
		},
		Actions:   spec.Actions{Alarm: []string{topic}, OK: []string{topic + "-ok"}, InsufficientData: []string{topic + "-?"}},
		Detectors: true,
		Origin:    "Rule payments.",
	}
}

func fullUnits() []spec.Unit {
	return spec.Expand(symmetric(1, "alias/payments/ledger"), fullWatch(), naming.Deployment("keywatch"))
}
