package spec

import (
	"maps"
	"strings"
)

// Evidence is the stack that keeps what a claim under the KMS service level
// agreement needs: server faults and AWS Health events of one account and region.
type Evidence struct {
	StackName   string
	Description string
	EvidenceContent
}

// EvidenceContent is what is kept, where, and how. Any string but Name and
// ErrorCodes may hold CDK tokens.
type EvidenceContent struct {
	// Name begins the names of all that is made.
	Name string
	// Partition, Region and Account are those whose faults are kept.
	Partition, Region, Account string
	// ErrorCodes are those of server faults, as CloudTrail writes them.
	ErrorCodes []string
	// RetentionDays is one of the numbers that CloudWatch Logs takes.
	RetentionDays int
	// TrailLogGroup is the log group of a trail, in which faults are then counted;
	// empty: EventBridge brings them.
	TrailLogGroup string
	// KeyARN is a KMS key for the log group; empty: CloudWatch Logs encrypts by its
	// own.
	KeyARN string
	// Actions are those of the alarms.
	Actions Actions
	// Budget is the sum of error rates that a month of 30 days may have, in
	// intervals; for the dashboard.
	Budget string
}

// DefaultRetentionDays covers the claim of a whole year.
const DefaultRetentionDays = 400

// EventRule is one AWS::Events::Rule on the default event bus, with the log group
// as its only target.
type EventRule struct {
	// ID is the construct ID, which in a keywatch stack is also the logical ID.
	ID, Name, Description string
	// Pattern is the event pattern.
	Pattern EventPattern
	// ReadOnly: events of read-only API calls, such as Decrypt, come too.
	ReadOnly bool
	// Paths are the values that are taken of an event, by name, and Template what
	// becomes of them. Nothing else of it is kept.
	Paths    map[string]string
	Template string
}

// EventPattern says which events a rule takes ("Creating Amazon EventBridge event
// patterns", EventBridge User Guide).
type EventPattern struct {
	Source, DetailType []string
	Detail             map[string][]string
}

// MetricFilter counts server faults in the log group of a trail.
type MetricFilter struct{ ID, Name, LogGroup, Pattern, Namespace, Metric string }

// MetricAlarm is one AWS::CloudWatch::Alarm on the sum of one metric, in minutes:
// it fires above 0.
type MetricAlarm struct {
	ID, Name, Description string
	Namespace, Metric     string
	// Dimension is the only one; without a name there is none.
	Dimension, Value string
	Statistic        string
}

// LogGroup is where the evidence is kept. The EventBridge console and the policies
// of other tools expect the prefix.
func (c EvidenceContent) LogGroup() string { return "/aws/events/" + c.Name + "-sla-evidence" }

// LogGroupARN is without the ":*" that IAM wants.
func (c EvidenceContent) LogGroupARN() string { return c.arn("logs", "log-group:"+c.LogGroup()) }

// Queue is the name of the queue for what could not be delivered.
func (c EvidenceContent) Queue() string { return c.Name + "-sla-undelivered" }

// QueueARN is that of the queue.
func (c EvidenceContent) QueueARN() string { return c.arn("sqs", c.Queue()) }

// PolicyName is that of the log resource policy; an account has ten in a region.
func (c EvidenceContent) PolicyName() string { return c.Name + "-sla-evidence" }

func (c EvidenceContent) arn(service, resource string) string {
	return strings.Join([]string{"arn", c.Partition, service, c.Region, c.Account, resource}, ":")
}

const (
	kmsSource   = "kms.amazonaws.com"
	apiCall     = "AWS API Call via CloudTrail"
	healthEvent = "AWS Health Event"
	// metricNamespace is of the metric filter.
	metricNamespace = "Keywatch"
)

// Rules are those that bring the evidence. That of the faults is not needed where
// a trail has a log group.
func (c EvidenceContent) Rules() []EventRule {
	health := EventRule{
		ID: "HealthRule", Name: c.Name + "-sla-health", Description: "Keeps AWS Health events of KMS.",
		Pattern: EventPattern{Source: []string{"aws.health"}, DetailType: []string{healthEvent}, Detail: map[string][]string{"service": {"KMS"}}},
	}
	health.take(healthEvent, "aws.health", "", nil,
		"eventArn", "service", "eventTypeCode", "eventTypeCategory", "eventScopeCode", "eventRegion", "startTime", "endTime", "lastUpdatedTime")
	if c.TrailLogGroup != "" {
		return []EventRule{health}
	}
	faults := EventRule{
		ID: "FaultRule", Name: c.faultRule(), Description: "Keeps server faults of KMS.", ReadOnly: true,
		Pattern: EventPattern{Source: []string{"aws.kms"}, DetailType: []string{apiCall}, Detail: map[string][]string{"eventSource": {kmsSource}, "errorCode": c.ErrorCodes}},
	}
	faults.take(apiCall, "aws.kms",
		`,"resources":[{"ARN":"<key1>"},{"ARN":"<key2>"}],"additionalEventData":{"customKeyStoreId":"<store>"}`, // ReEncrypt has two keys
		map[string]string{"key1": "$.detail.resources[0].ARN", "key2": "$.detail.resources[1].ARN", "store": "$.detail.additionalEventData.customKeyStoreId"},
		"eventTime", "eventSource", "eventName", "errorCode", "awsRegion", "recipientAccountId", "eventType", "eventID", "requestID")
	return []EventRule{faults, health}
}

func (c EvidenceContent) faultRule() string { return c.Name + "-sla-faults" }

// take sets what is kept of an event: the texts of these names below detail, and
// what lies deeper, with its paths. It is put into EventBridge's own envelope, so
// that it is read like an event that was kept whole.
//
// A log group takes only the template {"timestamp":…,"message":…}, of which the
// message is one text ("Event bus targets in Amazon EventBridge", EventBridge User
// Guide; LogGroupTargetInputOptions of the CDK). So the message is JSON within a
// JSON text. EventBridge does not escape what it puts in, and leaves out what an
// event lacks ("Amazon EventBridge input transformation", same guide): all these
// values are times, names, IDs and ARNs, in which nothing needs escaping, and their
// readers take an empty text for none.
func (r *EventRule) take(detailType, source, deeper string, paths map[string]string, names ...string) {
	r.Paths = map[string]string{"time": "$.time", "id": "$.id", "account": "$.account", "region": "$.region"}
	maps.Copy(r.Paths, paths)
	var texts []string
	for _, n := range names {
		r.Paths[n] = "$.detail." + n
		texts = append(texts, `"`+n+`":"<`+n+`>"`)
	}
	message := `{"id":"<id>","detail-type":"` + detailType + `","source":"` + source + `","account":"<account>","time":"<time>","region":"<region>","detail":{` + strings.Join(texts, ",") + deeper + `}}`
	r.Template = `{"timestamp":<time>,"message":` + encode(message) + `}`
}

// RuleARN is that of a rule on the default event bus.
func (c EvidenceContent) RuleARN(r EventRule) string { return c.arn("events", "rule/"+r.Name) }

// Filter is nil where EventBridge brings the faults.
func (c EvidenceContent) Filter() *MetricFilter {
	if c.TrailLogGroup == "" {
		return nil
	}
	codes := make([]string, len(c.ErrorCodes))
	for i, code := range c.ErrorCodes {
		codes[i] = `($.errorCode = "` + code + `")`
	}
	return &MetricFilter{
		ID: "FaultFilter", Name: c.faultRule(), LogGroup: c.TrailLogGroup,
		Pattern:   `{ ($.eventSource = "` + kmsSource + `") && ($.awsRegion = "` + c.Region + `") && (` + strings.Join(codes, " || ") + `) }`,
		Namespace: metricNamespace, Metric: c.faultRule(),
	}
}

// Alarms fire on a server fault, and on evidence that could not be delivered.
func (c EvidenceContent) Alarms() []MetricAlarm {
	faults := MetricAlarm{
		ID: "FaultAlarm", Name: c.Name + " sla server-faults",
		Description: "KMS answered a request in " + c.Region + " with a server fault. Evidence is kept in the log group " + c.LogGroup() + ".",
		// On the default event bus the rule is the only dimension ("Monitoring Amazon
		// EventBridge", EventBridge User Guide).
		Namespace: "AWS/Events", Metric: "TriggeredRules", Dimension: "RuleName", Value: c.faultRule(), Statistic: "Sum",
	}
	if f := c.Filter(); f != nil {
		faults.Description = "KMS answered a request in " + c.Region + " with a server fault. It is in the log group " + c.TrailLogGroup + "."
		faults.Namespace, faults.Metric, faults.Dimension, faults.Value = f.Namespace, f.Metric, "", ""
	}
	return []MetricAlarm{faults, {
		ID: "UndeliveredAlarm", Name: c.Name + " sla undelivered",
		Description: "EventBridge could not write evidence into the log group " + c.LogGroup() + ". What it could not write is in the queue " + c.Queue() + " for 14 days.",
		Namespace:   "AWS/SQS", Metric: "ApproximateNumberOfMessagesVisible", Dimension: "QueueName", Value: c.Queue(), Statistic: "Maximum",
	}}
}

// LogPolicy lets the rules, and nothing else, write to the log group. EventBridge
// makes the log streams too, and is not known to name a rule then: a condition on that
// may keep every event out ("Using resource-based policies for Amazon EventBridge",
// EventBridge User Guide; aws-samples/serverless-patterns#618).
func (c EvidenceContent) LogPolicy() string {
	services, group := []string{"events.amazonaws.com", "delivery.logs.amazonaws.com"}, c.LogGroupARN()+":*"
	streams := allow("KeywatchMakesStreams", services, "logs:CreateLogStream", group)
	events := allow("KeywatchKeepsEvidence", services, "logs:PutLogEvents", group)
	return policy(streams, c.forRules(events))
}

// QueuePolicy lets the rules, and nothing else, send to the queue ("Using
// dead-letter queues to process undelivered events in EventBridge", same guide).
func (c EvidenceContent) QueuePolicy() string {
	return policy(c.forRules(allow("KeywatchKeepsEvidence", []string{"events.amazonaws.com"}, "sqs:SendMessage", c.QueueARN())))
}

type statement struct {
	Sid, Effect string
	Principal   map[string][]string
	Action      []string
	Resource    string
	Condition   *condition `json:",omitempty"`
}

type condition struct{ ArnEquals map[string][]string }

func allow(sid string, services []string, action, resource string) statement {
	return statement{Sid: sid, Effect: "Allow", Principal: map[string][]string{"Service": services}, Action: []string{action}, Resource: resource}
}

// forRules narrows a statement to what the services do for the rules.
func (c EvidenceContent) forRules(s statement) statement {
	var rules []string
	for _, r := range c.Rules() {
		rules = append(rules, c.RuleARN(r))
	}
	s.Condition = &condition{map[string][]string{"aws:SourceArn": rules}}
	return s
}

func policy(statements ...statement) string {
	return encode(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", statements})
}
