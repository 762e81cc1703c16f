package constructs_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs"
	"keywatch/constructs/spec"
	"keywatch/internal/sla"
)

// fullEvidence has all that evidence can have but a trail's log group.
func fullEvidence() *spec.EvidenceContent {
	return &spec.EvidenceContent{
		Name: "keywatch", Partition: "aws", Region: region, Account: account,
		ErrorCodes: sla.Current().FaultCodes(), Budget: "0.0864", RetentionDays: 731,
		KeyARN:  keyARN(9),
		Actions: spec.Actions{Alarm: []string{topic}, OK: []string{topic + "-ok"}, InsufficientData: []string{topic + "-?"}},
	}
}

func evidence(t *testing.T, props constructs.SlaEvidenceProps) object {
	t.Helper()
	s := newStack(t)
	props.Name = "keywatch"
	constructs.NewSlaEvidence(s, jsii.String("Default"), &props)
	return template(t, s)
}

func TestSlaEvidenceGoldens(t *testing.T) {
	golden(t, "evidence-minimal", evidence(t, constructs.SlaEvidenceProps{Partition: "aws"}))
	golden(t, "evidence-trail", evidence(t, constructs.SlaEvidenceProps{Partition: "aws", TrailLogGroup: "trail", RetentionDays: 150}))
}

const (
	ruleType   = "AWS::Events::Rule"
	groupType  = "AWS::Logs::LogGroup"
	policyType = "AWS::Logs::ResourcePolicy"
	filterType = "AWS::Logs::MetricFilter"
	queueType  = "AWS::SQS::Queue"
	sendType   = "AWS::SQS::QueuePolicy"
)

func TestWhyTheEvidenceIsSo(t *testing.T) {
	tpl := evidence(t, constructs.SlaEvidenceProps{Partition: "aws"})
	// Nothing that runs, no role, no custom resource: these and nothing else.
	var types []string
	for _, r := range tpl["Resources"].(map[string]any) {
		types = append(types, object(r.(map[string]any))["Type"].(string))
	}
	slices.Sort(types)
	equal(t, "the types", types, []string{alarmType, alarmType, ruleType, ruleType, groupType, policyType, queueType, sendType})

	// The evidence survives the stack, for longer than a claim may take; and what a
	// customer's key would protect hangs on no key of KMS.
	group := tpl.one(t, groupType)
	equal(t, "DeletionPolicy", group["DeletionPolicy"], any("RetainExceptOnCreate"))
	equal(t, "UpdateReplacePolicy", group["UpdateReplacePolicy"], any("Retain"))
	equal(t, "log group", group["Properties"], any(map[string]any{"LogGroupName": "/aws/events/keywatch-sla-evidence", "RetentionInDays": 400.0}))
	equal(t, "the queue's encryption", tpl.one(t, queueType).at("Properties", "SqsManagedSseEnabled"), any(true))
	equal(t, "the queue keeps as long as it can", tpl.one(t, queueType).at("Properties", "MessageRetentionPeriod"), any(1209600.0))

	faults := object(tpl.at("Resources", "FaultRule").(map[string]any))
	// In any other state no Decrypt comes.
	equal(t, "state", faults.at("Properties", "State"), any("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"))
	equal(t, "codes", faults.at("Properties", "EventPattern", "detail", "errorCode"), any([]any{
		"DependencyTimeout", "DependencyTimeoutException", "InternalFailure", "KMSInternal", "KMSInternalException",
		"KeyUnavailable", "KeyUnavailableException", "ServiceUnavailable",
	}))
	health := object(tpl.at("Resources", "HealthRule").(map[string]any))
	equal(t, "the Health events", health.at("Properties", "EventPattern"), any(map[string]any{
		"source": []any{"aws.health"}, "detail-type": []any{"AWS Health Event"}, "detail": map[string]any{"service": []any{"KMS"}},
	}))
	for id, r := range map[string]object{"FaultRule": faults, "HealthRule": health} {
		// Before the first event there is all that it needs.
		equal(t, "what "+id+" needs", r["DependsOn"], any([]any{"LogGroup", "LogPolicy", "QueuePolicy"}))
		target := object(r.at("Properties", "Targets", 0).(map[string]any))
		equal(t, "target", target["Arn"], any("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/events/keywatch-sla-evidence"))
		equal(t, "dead letters", target.at("DeadLetterConfig", "Arn"), any("arn:aws:sqs:eu-west-1:111122223333:keywatch-sla-undelivered"))
		// A role would keep EventBridge from using the resource policy.
		equal(t, "role", target["RoleArn"], nil)
		checkTransformer(t, id, target)
	}

	// Only these rules may write, and only there.
	rules := []any{"arn:aws:events:eu-west-1:111122223333:rule/keywatch-sla-faults", "arn:aws:events:eu-west-1:111122223333:rule/keywatch-sla-health"}
	var policy object
	if err := json.Unmarshal([]byte(tpl.one(t, policyType).at("Properties", "PolicyDocument").(string)), &policy); err != nil {
		t.Fatal(err)
	}
	send := object(tpl.one(t, sendType).at("Properties", "PolicyDocument").(map[string]any))
	equal(t, "statements", []int{len(policy["Statement"].([]any)), len(send["Statement"].([]any))}, []int{2, 1})
	for what, got := range map[string]any{"who may write": policy.at("Statement", 1, "Condition"), "who may send": send.at("Statement", 0, "Condition")} {
		equal(t, what, got, any(map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": rules}}))
	}
	// EventBridge is not known to name a rule when it makes a stream, so that a
	// condition there may keep every event out.
	equal(t, "who may make streams", policy.at("Statement", 0), any(map[string]any{
		"Sid": "KeywatchMakesStreams", "Effect": "Allow", "Action": []any{"logs:CreateLogStream"},
		"Principal": map[string]any{"Service": []any{"events.amazonaws.com", "delivery.logs.amazonaws.com"}},
		"Resource":  "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/events/keywatch-sla-evidence:*",
	}))
	equal(t, "what rules may do", policy.at("Statement", 1, "Action"), any([]any{"logs:PutLogEvents"}))
	equal(t, "where", policy.at("Statement", 1, "Resource"), any("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/events/keywatch-sla-evidence:*"))

	// One fault is news; a minute without any is not.
	alarm := object(tpl.at("Resources", "FaultAlarm", "Properties").(map[string]any))
	for name, want := range map[string]any{
		"Namespace": "AWS/Events", "MetricName": "TriggeredRules", "Statistic": "Sum", "Period": 60.0, "Threshold": 0.0,
		"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1.0, "TreatMissingData": "notBreaching",
		"Dimensions": []any{map[string]any{"Name": "RuleName", "Value": "keywatch-sla-faults"}},
	} {
		equal(t, name, alarm[name], want)
	}
	equal(t, "lost evidence", tpl.at("Resources", "UndeliveredAlarm", "Properties", "Dimensions", 0), any(map[string]any{"Name": "QueueName", "Value": "keywatch-sla-undelivered"}))
}

// checkTransformer holds the template to the only form that a log group takes, and
// to a message that is JSON whatever an event lacks.
func checkTransformer(t *testing.T, id string, target object) {
	t.Helper()
	text := target.at("InputTransformer", "InputTemplate").(string)
	if !strings.HasPrefix(text, `{"timestamp":<time>,"message":"`) || len(text) > 8192 {
		t.Errorf("%s: %s", id, text)
	}
	paths := target.at("InputTransformer", "InputPathsMap").(map[string]any)
	for name, path := range paths {
		if !strings.Contains(text, "<"+name+">") {
			t.Errorf("%s takes %s for nothing", id, path)
		}
		for _, secret := range []string{"userIdentity", "sourceIP", "userAgent", "Parameters", "response", "message", "Context", "description", "Entities"} {
			if strings.Contains(strings.ToLower(path.(string)), strings.ToLower(secret)) {
				t.Errorf("%s keeps %s", id, path)
			}
		}
		text = strings.ReplaceAll(text, "<"+name+">", "")
	}
	var whole struct{ Message string }
	if err := json.Unmarshal([]byte(strings.Replace(text, `"timestamp":,`, "", 1)), &whole); err != nil {
		t.Fatalf("%s: %v: %s", id, err, text)
	}
	if !json.Valid([]byte(whole.Message)) || strings.Contains(whole.Message, "<") {
		t.Errorf("%s: the message is %s", id, whole.Message)
	}
}

// Where a trail has a log group, faults are counted there and not kept twice.
func TestEvidenceOfATrail(t *testing.T) {
	tpl := evidence(t, constructs.SlaEvidenceProps{Partition: "aws", TrailLogGroup: "trail"})
	equal(t, "rules", len(tpl.ofType(ruleType)), 1)
	filter := tpl.one(t, filterType)
	equal(t, "group", filter.at("Properties", "LogGroupName"), any("trail"))
	// A trail brings all regions, and each region is judged by itself.
	equal(t, "pattern", filter.at("Properties", "FilterPattern"), any(`{ ($.eventSource = "kms.amazonaws.com") && ($.awsRegion = "eu-west-1") && (`+
		`($.errorCode = "DependencyTimeout") || ($.errorCode = "DependencyTimeoutException") || ($.errorCode = "InternalFailure") || ($.errorCode = "KMSInternal") || `+
		`($.errorCode = "KMSInternalException") || ($.errorCode = "KeyUnavailable") || ($.errorCode = "KeyUnavailableException") || ($.errorCode = "ServiceUnavailable")) }`))
	if n := len(filter.at("Properties", "FilterPattern").(string)); n > 1024 {
		t.Errorf("the pattern has %d characters; CloudWatch Logs takes 1024", n)
	}
	alarm := object(tpl.at("Resources", "FaultAlarm", "Properties").(map[string]any))
	metric := object(filter.at("Properties", "MetricTransformations", 0).(map[string]any))
	equal(t, "namespace", metric["MetricNamespace"], alarm["Namespace"])
	equal(t, "metric", metric["MetricName"], alarm["MetricName"])
	equal(t, "no dimension", alarm["Dimensions"], nil)
}

// In another app everything may be known at deployment only.
func TestEvidenceTakesTheStacksPlace(t *testing.T) {
	s := awscdk.NewStack(newApp(t), jsii.String("Anywhere"), nil)
	e := constructs.NewSlaEvidence(s, jsii.String("Evidence"), &constructs.SlaEvidenceProps{Name: "team"})
	constructs.NewTopKeysDashboard(s, jsii.String("Keys"), &constructs.TopKeysDashboardProps{Evidence: ptr(e.Content())})
	tpl := template(t, s)
	contains(t, fmt.Sprint(tpl.one(t, policyType)), "Fn::Join", "AWS::Partition", "AWS::Region", "AWS::AccountId")
	contains(t, fmt.Sprint(tpl.one(t, dashboardType)), "/aws/events/team-sla-evidence")
	if len(e.Alarms()) != 2 || *e.LogGroup().LogicalId() == "" {
		t.Error("the construct does not return what it made")
	}
}

func ptr[T any](v T) *T { return &v }

func TestEvidenceRefuses(t *testing.T) {
	six := []string{"1", "2", "3", "4", "5", "6"}
	for want, props := range map[string]*constructs.SlaEvidenceProps{
		"Content is drawn exactly as it is, and another field is given too":                            {Content: &spec.EvidenceContent{}, Actions: spec.Actions{Alarm: []string{"arn"}}},
		`SlaEvidence at "Stack/X": Name is ""; allowed: a letter a-z, then up to 31 of a-z, 0-9 and -`: nil,
		`Name is "Team"`: {Name: "Team"},
		`Actions.Alarm has 6 ARNs; at most 5 are allowed; Actions.OK has 6 ARNs`: {Name: "a", Actions: spec.Actions{Alarm: six, OK: six}},
	} {
		contains(t, panicOf(t, func() { constructs.NewSlaEvidence(newStack(t), jsii.String("X"), props) }), want)
	}
}

// The budget is that of the agreement, and the graph rests on the metric that the
// alarm watches.
func TestWhyTheDashboardShowsTheEvidence(t *testing.T) {
	tpl := dashboard(t, &constructs.TopKeysDashboardProps{Evidence: fullEvidence()})
	body := bodyOf(t, tpl)
	var budget, events, alarms object
	for _, w := range body["widgets"].([]any) {
		switch w := object(w.(map[string]any)); {
		case w.at("properties", "annotations") != nil:
			budget = w
		case w["type"] == "log":
			events = w
		case w["type"] == "alarm":
			alarms = w
		}
	}
	equal(t, "the budget of 30 days", budget.at("properties", "annotations", "horizontal", 0, "value"), any(0.0864))
	equal(t, "what Metrics Insights reaches", budget.at("properties", "start"), any("-P14D"))
	equal(t, "faults", budget.at("properties", "metrics", 2), any([]any{
		"AWS/Events", "TriggeredRules", "RuleName", "keywatch-sla-faults", map[string]any{"id": "faults", "stat": "Sum", "visible": false},
	}))
	contains(t, events.at("properties", "query").(string), "SOURCE '/aws/events/keywatch-sla-evidence'", "source = 'aws.health'")
	equal(t, "alarms", alarms.at("properties", "alarms"), any([]any{
		"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:keywatch sla server-faults", "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:keywatch sla undelivered",
	}))
}
