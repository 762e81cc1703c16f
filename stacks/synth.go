package stacks

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs"
	"keywatch/constructs/spec"
)

// Options are what a synthesis needs beside the deployments.
type Options struct {
	// Outdir is the directory of the cloud assembly.
	// Default: the one that the CDK CLI asks for in $CDK_OUTDIR, else a temporary
	// directory of the CDK's.
	Outdir string
}

// Synth writes the cloud assembly of the deployments. The same deployments
// give the same bytes in every template and in the manifest.
//
// The CDK checks each template against the CloudFormation schemas; what it
// finds is an error, with the whole report in it (CDK_VALIDATION=false in the
// environment turns the check off, and `"@aws-cdk/core:
// validateAgainstDefaultRules": false` in the context makes findings
// warnings). Other errors are [ErrNode], no deployment at all, a stack that is
// given twice, and whatever the CDK panics with. A panic that is a bug in Go
// code stays a panic.
func Synth(deployments []spec.Deployment, o Options) (err error) {
	if err := check(deployments); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	if err := findNode(); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			panic(r)
		default:
			err = fmt.Errorf("synth: %v", r)
		}
	}()
	app := newApp(o)
	for _, d := range deployments {
		for _, s := range d.Shards {
			newAlarmStack(app, d, s)
		}
		if d.Dashboard != nil {
			newDashboardStack(app, d, *d.Dashboard)
		}
		if d.Evidence != nil {
			newEvidenceStack(app, d, *d.Evidence)
		}
	}
	app.Synth(nil)
	return nil
}

func check(deployments []spec.Deployment) error {
	seen := map[string]bool{}
	for _, d := range deployments {
		names := make([]string, 0, len(d.Shards)+2)
		for _, s := range d.Shards {
			names = append(names, s.StackName)
		}
		if d.Dashboard != nil {
			names = append(names, d.Dashboard.StackName)
		}
		if d.Evidence != nil {
			names = append(names, d.Evidence.StackName)
		}
		for _, n := range names {
			if id := stackID(d, n); seen[id] {
				return fmt.Errorf("the stack %s is there twice in account %s, region %s", n, d.Account, d.Region)
			} else {
				seen[id] = true
			}
		}
	}
	if len(seen) == 0 {
		return fmt.Errorf("there is no stack to synthesise in %d environments", len(deployments))
	}
	return nil
}

// newApp sets what must not depend on who runs the app: a bare run and one
// under the CDK CLI, which adds context of its own, give the same assembly.
func newApp(o Options) awscdk.App {
	props := &awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false), // no AWS::CDK::Metadata
		// Synth is called below. Left to itself, the CDK would synthesise when Node
		// ends, even what is left of an app that failed.
		AutoSynth:            jsii.Bool(false),
		PerformanceReporting: jsii.Bool(false),
		TreeMetadata:         jsii.Bool(false),
		// The context that users can override, in cdk.json or with -c.
		Context: &map[string]any{"@aws-cdk/core:validateAgainstDefaultRules": true},
		// The context that nobody overrides.
		PostCliContext: &map[string]any{
			// A finding of the template check is an exception with the report in it.
			// Otherwise, under some CLIs, it would only set the exit status of Node,
			// which is not that of this program.
			"@aws-cdk/core:appMode": "inmemory",
			// The logical ID says what a resource is; its path would say it again, in
			// 100 bytes of a template that may have a million. Stack traces end at
			// jsii and take a tenth of the time.
			"aws:cdk:enable-path-metadata":          false,
			"aws:cdk:disable-logicalId-metadata":    true,
			"aws:cdk:disable-stack-trace":           true,
			"aws:cdk:disable-creation-stack-traces": true,
		},
	}
	if o.Outdir != "" {
		props.Outdir = &o.Outdir
	}
	return awscdk.NewApp(props)
}

// stackID is the construct ID, by which `cdk deploy` selects a stack:
// "keywatch-alarms-001@111122223333-eu-west-1". It always holds the
// environment, so that it stays when environments come and go; patterns keep
// it short: `cdk deploy 'keywatch-*@*-eu-west-1'`.
func stackID(d spec.Deployment, stackName string) string {
	return stackName + "@" + d.Account + "-" + d.Region
}

// newStack puts the tags on the stack, from where CloudFormation hands them to
// the resources. In the template they would need permissions of their own, and
// change with it.
func newStack(app awscdk.App, d spec.Deployment, name, description, part string) awscdk.Stack {
	props := &awscdk.StackProps{
		StackName: &name,
		Env:       &awscdk.Environment{Account: &d.Account, Region: &d.Region},
		Tags: &map[string]*string{
			"keywatch:deployment": &d.Name,
			"keywatch:stack":      &part,
		},
	}
	if description != "" {
		props.Description = &description
	}
	return awscdk.NewStack(app, jsii.String(stackID(d, name)), props)
}

// A construct with this ID leaves no trace in the logical IDs below it ("Name
// components of logical IDs", package constructs of the CDK): in a keywatch
// stack they are exactly the IDs that the plan gave.
const transparent = "Default"

func newAlarmStack(app awscdk.App, d spec.Deployment, s spec.Shard) {
	stack := newStack(app, d, s.StackName, s.Description, "alarms")
	if len(s.Units) == 0 {
		// A template needs a resource. This one costs nothing, and the stack must
		// stay: if it were no longer synthesised, its alarms would stay behind.
		awscdk.NewCfnWaitConditionHandle(stack, jsii.String("Placeholder"), nil)
		return
	}
	constructs.NewKeyUsageAlarms(stack, jsii.String(transparent), &constructs.KeyUsageAlarmsProps{Units: slices.Clone(s.Units)})
}

func newDashboardStack(app awscdk.App, d spec.Deployment, b spec.Dashboard) {
	stack := newStack(app, d, b.StackName, b.Description, "dashboard")
	constructs.NewTopKeysDashboard(stack, jsii.String(transparent), &constructs.TopKeysDashboardProps{
		DashboardName: b.Name,
		Region:        d.Region,
		Account:       d.Account,
		TopKeys:       b.TopKeys,
		AlarmARNs:     b.AlarmARNs,
		Evidence:      b.Evidence,
	})
}

func newEvidenceStack(app awscdk.App, d spec.Deployment, e spec.Evidence) {
	stack := newStack(app, d, e.StackName, e.Description, "sla-evidence")
	constructs.NewSlaEvidence(stack, jsii.String(transparent), &constructs.SlaEvidenceProps{Content: &e.EvidenceContent})
}
