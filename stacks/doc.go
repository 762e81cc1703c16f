// Package stacks draws decided deployments as CloudFormation stacks, into a
// cloud assembly that the CDK CLI deploys: per environment the alarm stacks,
// the stack of the dashboard, and that of the evidence for a claim.
//
// Here, and only here, a panic of jsii becomes an error, and the jsii runtime
// is started and ended. The package decides nothing: which alarms there are,
// in which stack, under which names, is in the [spec.Deployment] it is given.
// It knows neither rules nor config nor AWS.
//
// Importing this package, or any package of the CDK, makes jsii unpack its
// runtime into a temporary directory before main starts, even when nothing is
// synthesised. So a program that imports it calls [Close] before it exits,
// whatever it did. In keywatch only the process that draws unpacks it, since main
// imports internal/packed. Start reading at [Synth]; keywatch itself calls [SynthApart],
// which an interrupt cannot catch half-way.
package stacks
