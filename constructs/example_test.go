package constructs_test

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs"
	"keywatch/constructs/spec"
)

// A key of the app itself. What it can do is taken from its own usage and
// spec, and CloudFormation names the alarms.
func ExampleNewKeyUsageAlarms() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Payments"), nil)
	key := awskms.NewKey(stack, jsii.String("Signing"), &awskms.KeyProps{
		KeySpec:  awskms.KeySpec_ECC_NIST_P256,
		KeyUsage: awskms.KeyUsage_SIGN_VERIFY,
	})

	watch := constructs.NewKeyUsageAlarms(stack, jsii.String("SigningUsage"), &constructs.KeyUsageAlarmsProps{
		Key:     key,
		Actions: spec.Actions{Alarm: []string{"arn:aws:sns:eu-west-1:111122223333:pager"}},
	})

	for _, u := range watch.Units() {
		a := u.Alarms[0]
		fmt.Println(a.Operations, a.Queries[1].Expression, a.Operator)
	}
	// Output:
	// [Sign] ANOMALY_DETECTION_BAND(m1, 2) GreaterThanUpperThreshold
	// [Verify] ANOMALY_DETECTION_BAND(m1, 2) GreaterThanUpperThreshold
}

// Keys that exist already, with names, a wider band, and a limit on the sum of
// two operations.
func ExampleNewKeyUsageAlarms_existingKeys() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Payments"), nil)

	watch := constructs.NewKeyUsageAlarms(stack, jsii.String("Usage"), &constructs.KeyUsageAlarmsProps{
		Name: "payments",
		Keys: []spec.Key{{
			ARN:   "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
			Alias: "alias/ledger",
			Usage: spec.UsageEncryptDecrypt,
			Spec:  spec.SpecSymmetricDefault,
		}},
		Operations: []spec.Operation{spec.Decrypt},
		Anomalies:  []spec.Anomaly{{Band: "3"}},
		Thresholds: []spec.Threshold{{Operations: []spec.Operation{spec.Decrypt, spec.Encrypt}, Above: 100_000}},
	})

	for _, a := range watch.Alarms() {
		fmt.Println(*a.AlarmName())
	}
	for _, d := range watch.Detectors() {
		fmt.Println(*d.Node().Path())
	}
	// Output:
	// payments ledger 1234567890ab Decrypt anomaly
	// payments ledger 1234567890ab Decrypt+Encrypt threshold
	// Payments/Usage/DetectorK1234abcd12ab34cd56ef1234567890abDecryptOfSum
}

// The ten busiest keys of the stack's account and region.
func ExampleNewTopKeysDashboard() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Payments"), &awscdk.StackProps{
		Env: &awscdk.Environment{Account: jsii.String("111122223333"), Region: jsii.String("eu-west-1")},
	})

	d := constructs.NewTopKeysDashboard(stack, jsii.String("TopKeys"), &constructs.TopKeysDashboardProps{
		DashboardName: "kms-eu-west-1",
		TopKeys:       10,
	})

	fmt.Println(*d.Dashboard().DashboardName())
	fmt.Println(strings.Count(d.Body(), "ORDER BY SUM() DESC LIMIT 10"), "graphs of the busiest keys")
	// Output:
	// kms-eu-west-1
	// 13 graphs of the busiest keys
}

// What is kept for a claim, and the dashboard that shows how much of the month's
// error budget is spent.
func ExampleNewSlaEvidence() {
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	stack := awscdk.NewStack(app, jsii.String("Evidence"), nil)
	kept := constructs.NewSlaEvidence(stack, jsii.String("Kms"), &constructs.SlaEvidenceProps{
		Name:    "platform",
		Actions: spec.Actions{Alarm: []string{"arn:aws:sns:eu-west-1:111122223333:pager"}},
	})
	content := kept.Content()
	constructs.NewTopKeysDashboard(stack, jsii.String("TopKeys"), &constructs.TopKeysDashboardProps{Evidence: &content})

	fmt.Println(content.LogGroup(), content.RetentionDays)
	for _, a := range kept.Alarms() {
		fmt.Println(*a.AlarmName())
	}
	// Output:
	// /aws/events/platform-sla-evidence 400
	// platform sla server-faults
	// platform sla undelivered
}
