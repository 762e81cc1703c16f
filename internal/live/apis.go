package live

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/costexplorer"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/support"
)

// The interfaces below are all that this package may ask of AWS: their method
// sets are the IAM policy, and a test holds them against [InventoryActions],
// [SynthActions], [CoverageActions] and [Actions]. All of it only reads, but for the
// two calls of supportAPI by which `sla file` opens a case.

type kmsAPI interface {
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	ListAliases(context.Context, *kms.ListAliasesInput, ...func(*kms.Options)) (*kms.ListAliasesOutput, error)
	ListKeys(context.Context, *kms.ListKeysInput, ...func(*kms.Options)) (*kms.ListKeysOutput, error)
	ListResourceTags(context.Context, *kms.ListResourceTagsInput, ...func(*kms.Options)) (*kms.ListResourceTagsOutput, error)
}

type cloudformationAPI interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
	ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error)
}

type stsAPI interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

type cloudwatchAPI interface {
	DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
}

// dashboardAPI is apart from cloudwatchAPI since it is not needed: see
// [Actions].
type dashboardAPI interface {
	ListDashboards(context.Context, *cloudwatch.ListDashboardsInput, ...func(*cloudwatch.Options)) (*cloudwatch.ListDashboardsOutput, error)
}

// cloudtrailAPI is not needed either, and asked only for sla.evidence.
type cloudtrailAPI interface {
	DescribeTrails(context.Context, *cloudtrail.DescribeTrailsInput, ...func(*cloudtrail.Options)) (*cloudtrail.DescribeTrailsOutput, error)
	GetEventSelectors(context.Context, *cloudtrail.GetEventSelectorsInput, ...func(*cloudtrail.Options)) (*cloudtrail.GetEventSelectorsOutput, error)
	GetTrailStatus(context.Context, *cloudtrail.GetTrailStatusInput, ...func(*cloudtrail.Options)) (*cloudtrail.GetTrailStatusOutput, error)
}

type taggingAPI interface {
	GetResources(context.Context, *resourcegroupstaggingapi.GetResourcesInput, ...func(*resourcegroupstaggingapi.Options)) (*resourcegroupstaggingapi.GetResourcesOutput, error)
}

// metricsAPI is what `sla collect` asks.
type metricsAPI interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
}

// logsAPI is what `sla report` and `sla claim` ask of a log group.
type logsAPI interface {
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

// costsAPI is what they ask for charges that nobody gave.
type costsAPI interface {
	GetCostAndUsage(context.Context, *costexplorer.GetCostAndUsageInput, ...func(*costexplorer.Options)) (*costexplorer.GetCostAndUsageOutput, error)
}

type supportAPI interface {
	AddAttachmentsToSet(context.Context, *support.AddAttachmentsToSetInput, ...func(*support.Options)) (*support.AddAttachmentsToSetOutput, error)
	CreateCase(context.Context, *support.CreateCaseInput, ...func(*support.Options)) (*support.CreateCaseOutput, error)
	DescribeCases(context.Context, *support.DescribeCasesInput, ...func(*support.Options)) (*support.DescribeCasesOutput, error)
	DescribeServices(context.Context, *support.DescribeServicesInput, ...func(*support.Options)) (*support.DescribeServicesOutput, error)
}

// The API actions as IAM spells them.
const (
	opGetCallerIdentity = "sts:GetCallerIdentity"
	opListKeys          = "kms:ListKeys"
	opListAliases       = "kms:ListAliases"
	opDescribeKey       = "kms:DescribeKey"
	opListResourceTags  = "kms:ListResourceTags"
	opGetResources      = "tag:GetResources"
	opDescribeAlarms    = "cloudwatch:DescribeAlarms"
	opListDashboards    = "cloudwatch:ListDashboards"
	opDescribeTrails    = "cloudtrail:DescribeTrails"
	opGetEventSelectors = "cloudtrail:GetEventSelectors"
	opGetTrailStatus    = "cloudtrail:GetTrailStatus"

	opDescribeStacks     = "cloudformation:DescribeStacks"
	opListStackResources = "cloudformation:ListStackResources"

	opGetMetricData       = "cloudwatch:GetMetricData"
	opFilterLogEvents     = "logs:FilterLogEvents"
	opGetCostAndUsage     = "ce:GetCostAndUsage"
	opAddAttachmentsToSet = "support:AddAttachmentsToSet"
	opCreateCase          = "support:CreateCase"
	opDescribeCases       = "support:DescribeCases"
	opDescribeServices    = "support:DescribeServices"
)

// InventoryActions returns the API actions that reading the inventory can call,
// sorted. kms:DescribeKey and kms:ListResourceTags are also subject to each
// key's policy, and kms:ListResourceTags is called only without
// tag:GetResources; sts:GetCallerIdentity needs no permission at all
// ("GetCallerIdentity", STS API Reference) and is listed for completeness.
func InventoryActions() []string {
	return []string{opDescribeKey, opListAliases, opListKeys, opListResourceTags, opGetCallerIdentity, opGetResources}
}

// Actions returns the API actions that a verb can call, sorted; synth is a verb
// here. Without the optional ones it does the same, but cannot report the stacks
// of environments that were taken out of the config, nor a trail that keeps the
// evidence from coming.
func Actions(verb string) (needed, optional []string) {
	switch verb {
	case "coverage":
		return CoverageActions(), nil
	case "init":
		actions := InventoryActions()
		slices.Sort(actions)
		return actions, nil
	case "sla collect":
		return []string{opGetMetricData, opGetCallerIdentity}, nil
	case "sla report", "sla claim": // with --log-group, and for charges that are read
		return []string{opGetCostAndUsage, opFilterLogEvents, opGetCallerIdentity}, nil
	case "sla file":
		return []string{opGetCallerIdentity, opAddAttachmentsToSet, opCreateCase, opDescribeCases, opDescribeServices}, nil
	case "synth", "plan":
		return SynthActions(), []string{opDescribeTrails, opGetEventSelectors, opGetTrailStatus, opListDashboards}
	default: // explain and snapshot read what synth reads
		return SynthActions(), nil
	}
}

// FrozenActions are those of [Actions] for a verb that takes the keys from a
// snapshot, which it compares with the deployed stacks or not. To write one all
// is read.
func FrozenActions(verb string, compares bool) (needed, optional []string) {
	switch {
	case verb == "snapshot":
		return SynthActions(), nil
	case verb == "coverage":
		return []string{opDescribeAlarms, opGetCallerIdentity}, nil
	case compares && (verb == "synth" || verb == "plan"):
		return []string{opDescribeStacks, opListStackResources, opGetCallerIdentity}, []string{opDescribeTrails, opGetEventSelectors, opGetTrailStatus, opListDashboards}
	}
	return nil, nil
}

// SynthActions returns the API actions that synth needs: those of
// [InventoryActions], and reading the deployed stacks; sorted.
func SynthActions() []string {
	actions := append(InventoryActions(), opDescribeStacks, opListStackResources)
	slices.Sort(actions)
	return actions
}

// CoverageActions returns the API actions that a coverage check can call: those
// of [SynthActions] and reading the alarms, sorted.
func CoverageActions() []string {
	actions := append(SynthActions(), opDescribeAlarms)
	slices.Sort(actions)
	return actions
}
