// Package constructs holds the CDK constructs of keywatch, for any CDK app in
// Go: [KeyUsageAlarms] watches how often KMS keys are used, operation by
// operation, [TopKeysDashboard] shows the busiest of them, and [SlaEvidence] keeps
// what a claim needs when KMS itself fails.
//
// They draw and decide nothing: what to make is worked out by plain functions
// in keywatch/constructs/spec, on plain data, and each resource type is drawn
// in one file (alarm.go, detector.go, dashboard.go; evidence.go for its own). They read no files, no
// environment, no clock and no AWS account, and know nothing of rules, stacks
// or deployments. As everywhere in the CDK, an error is a panic; it names the
// construct's path, the value, and what to do.
//
// Start reading at [NewKeyUsageAlarms] and its examples.
package constructs
