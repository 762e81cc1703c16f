package constructs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs/spec"
	"keywatch/internal/sla"
)

// SlaEvidenceProps says what is kept for a claim under the KMS service level
// agreement, and how. Any string but Name may be a token.
type SlaEvidenceProps struct {
	// Content is drawn exactly as it is; the other fields do not go with it.
	Content *spec.EvidenceContent

	// Name begins the names of all that is made, and is unique per account and
	// region: a letter, then up to 31 of a-z, 0-9 and -.
	Name string
	// Partition, Region and Account of the KMS that is watched.
	// Default: those of the stack.
	Partition, Region, Account string
	// RetentionDays is one of the numbers that CloudWatch Logs takes.
	// Default: 400.
	RetentionDays int
	// TrailLogGroup is the name of a log group that a trail of the account writes
	// to, in the same region: faults are then counted in it by a metric filter.
	// Default: EventBridge brings the faults.
	TrailLogGroup string
	// KeyARN is a KMS key for the log group. The evidence then depends on the
	// service whose failure it records.
	// Default: CloudWatch Logs encrypts by its own.
	KeyARN string
	// Actions are the ARNs that the alarms notify, at most 5 a list.
	// Default: none.
	Actions spec.Actions
}

// SlaEvidence keeps server faults of KMS and AWS Health events in a log group that
// outlives its stack, without Lambda or custom resource: EventBridge rules write to
// it, a queue takes what they cannot write, and alarms tell of both.
type SlaEvidence interface {
	constructs.Construct
	// Content is what was drawn, as plain data; a TopKeysDashboard can show it.
	Content() spec.EvidenceContent
	// LogGroup is where the evidence is.
	LogGroup() awslogs.CfnLogGroup
	// Alarms are the one on server faults and the one on what was not written.
	Alarms() []awscloudwatch.CfnAlarm
}

type slaEvidence struct {
	constructs.Construct
	content spec.EvidenceContent
	group   awslogs.CfnLogGroup
	alarms  []awscloudwatch.CfnAlarm
}

// NewSlaEvidence adds the resources to the scope. It panics when Name is missing or
// not of its form, when a list of actions is too long, or when Content is given and
// something else too.
func NewSlaEvidence(scope constructs.Construct, id *string, props *SlaEvidenceProps) SlaEvidence {
	this := &slaEvidence{}
	constructs.NewConstruct_Override(this, scope, id)
	var p SlaEvidenceProps
	if props != nil {
		p = *props
	}
	if problems := evidenceProblems(p); len(problems) > 0 {
		fail(this, "SlaEvidence", problems)
	}
	this.content = p.content(this)
	this.draw()
	return this
}

// content fills the defaults in.
func (p SlaEvidenceProps) content(scope constructs.Construct) spec.EvidenceContent {
	if p.Content != nil {
		return *p.Content
	}
	if p.Partition == "" || p.Region == "" || p.Account == "" {
		stack := awscdk.Stack_Of(scope)
		p.Partition, p.Region, p.Account = orDefault(&p.Partition, *stack.Partition()), orDefault(&p.Region, *stack.Region()), orDefault(&p.Account, *stack.Account())
	}
	terms := sla.Current()
	return spec.EvidenceContent{
		Name: p.Name, Partition: p.Partition, Region: p.Region, Account: p.Account,
		ErrorCodes: terms.FaultCodes(), Budget: terms.MonthlyBudget(),
		RetentionDays: cmp.Or(p.RetentionDays, spec.DefaultRetentionDays), TrailLogGroup: p.TrailLogGroup, KeyARN: p.KeyARN, Actions: p.Actions,
	}
}

func (e *slaEvidence) Content() spec.EvidenceContent { return e.content }

func (e *slaEvidence) LogGroup() awslogs.CfnLogGroup { return e.group }

func (e *slaEvidence) Alarms() []awscloudwatch.CfnAlarm { return slices.Clone(e.alarms) }

// draw adds the resources. A rule comes after all that its events need: what it
// cannot deliver in between would be lost.
func (e *slaEvidence) draw() {
	c := &e.content
	group := &awslogs.CfnLogGroupProps{LogGroupName: c.LogGroup(), RetentionInDays: jsii.Number(c.RetentionDays)}
	if c.KeyARN != "" {
		group.KmsKeyId = c.KeyARN
	}
	e.group = awslogs.NewCfnLogGroup(e, jsii.String("LogGroup"), group)
	// The evidence survives the deletion of the stack. Only if its creation fails,
	// the group, which is empty then, goes too, so that it is not in the way of the
	// next.
	e.group.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE, nil)
	queue := awssqs.NewCfnQueue(e, jsii.String("Undelivered"), &awssqs.CfnQueueProps{
		QueueName:              jsii.String(c.Queue()),
		MessageRetentionPeriod: jsii.Number(14 * 24 * 3600), // the most there is
		SqsManagedSseEnabled:   true,                        // not by KMS
	})
	needs := []awscdk.CfnResource{
		e.group,
		awslogs.NewCfnResourcePolicy(e, jsii.String("LogPolicy"), &awslogs.CfnResourcePolicyProps{
			PolicyName: jsii.String(c.PolicyName()), PolicyDocument: jsii.String(c.LogPolicy()),
		}),
		awssqs.NewCfnQueuePolicy(e, jsii.String("QueuePolicy"), &awssqs.CfnQueuePolicyProps{
			Queues: &[]*string{queue.Ref()}, PolicyDocument: decoded(c.QueuePolicy()),
		}),
	}
	for _, r := range c.Rules() {
		rule := e.rule(r)
		for _, need := range needs {
			rule.AddResourceDependency(need, nil)
		}
	}
	if f := c.Filter(); f != nil {
		awslogs.NewCfnMetricFilter(e, &f.ID, &awslogs.CfnMetricFilterProps{
			FilterName: &f.Name, LogGroupName: f.LogGroup, FilterPattern: &f.Pattern,
			MetricTransformations: []any{&awslogs.CfnMetricFilter_MetricTransformationProperty{
				MetricNamespace: &f.Namespace, MetricName: &f.Metric, MetricValue: jsii.String("1"),
			}},
		})
	}
	for _, a := range c.Alarms() {
		e.alarms = append(e.alarms, newMetricAlarm(e, a, c.Actions))
	}
}

// rule draws one AWS::Events::Rule. Its state is the only way to get events of
// read-only calls ("Receiving read-only management events from AWS services",
// EventBridge User Guide).
func (e *slaEvidence) rule(r spec.EventRule) awsevents.CfnRule {
	c := &e.content
	state := "ENABLED"
	if r.ReadOnly {
		state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
	}
	paths := map[string]any{}
	for name, path := range r.Paths {
		paths[name] = path
	}
	return awsevents.NewCfnRule(e, &r.ID, &awsevents.CfnRuleProps{
		Name: &r.Name, Description: &r.Description, State: &state,
		EventPattern: map[string]any{"source": *arns(r.Pattern.Source), "detail-type": *arns(r.Pattern.DetailType), "detail": lists(r.Pattern.Detail)},
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id: jsii.String("Evidence"), Arn: jsii.String(c.LogGroupARN()),
			DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: jsii.String(c.QueueARN())},
			InputTransformer: &awsevents.CfnRule_InputTransformerProperty{InputPathsMap: paths, InputTemplate: &r.Template},
		}},
	})
}

func newMetricAlarm(scope constructs.Construct, a spec.MetricAlarm, actions spec.Actions) awscloudwatch.CfnAlarm {
	p := &awscloudwatch.CfnAlarmProps{
		AlarmName: &a.Name, AlarmDescription: &a.Description,
		Namespace: &a.Namespace, MetricName: &a.Metric, Statistic: &a.Statistic, Period: jsii.Number(60),
		Threshold: jsii.Number(0), ComparisonOperator: jsii.String("GreaterThanThreshold"), EvaluationPeriods: jsii.Number(1),
		TreatMissingData:        jsii.String("notBreaching"), // there is a datapoint only where there is a fault
		AlarmActions:            arns(actions.Alarm),
		OkActions:               arns(actions.OK),
		InsufficientDataActions: arns(actions.InsufficientData),
	}
	if a.Dimension != "" {
		p.Dimensions = []any{&awscloudwatch.CfnAlarm_DimensionProperty{Name: &a.Dimension, Value: &a.Value}}
	}
	return awscloudwatch.NewCfnAlarm(scope, &a.ID, p)
}

func lists(m map[string][]string) map[string]any {
	out := map[string]any{}
	for name, l := range m {
		out[name] = *arns(l)
	}
	return out
}

// decoded is JSON that a property takes as an object.
func decoded(text string) (v any) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err) // written by package spec
	}
	return v
}

var deploymentName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func evidenceProblems(p SlaEvidenceProps) (problems []string) {
	if p.Content != nil {
		if !reflect.DeepEqual(p, SlaEvidenceProps{Content: p.Content}) { // the alarms would notify others than Actions
			problems = append(problems, "Content is drawn exactly as it is, and another field is given too; put all into Content, or give none")
		}
		return problems
	}
	if !deploymentName.MatchString(p.Name) {
		problems = append(problems, fmt.Sprintf("Name is %q; allowed: a letter a-z, then up to 31 of a-z, 0-9 and -", p.Name))
	}
	for name, arns := range map[string][]string{"Alarm": p.Actions.Alarm, "OK": p.Actions.OK, "InsufficientData": p.Actions.InsufficientData} {
		if len(arns) > spec.MaxActions {
			problems = append(problems, fmt.Sprintf("Actions.%s has %d ARNs; at most %d are allowed", name, len(arns), spec.MaxActions))
		}
	}
	slices.Sort(problems)
	return problems
}
