package spec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"keywatch/constructs/spec"
)

func exampleEvidence() spec.EvidenceContent {
	return spec.EvidenceContent{
		Name: "keywatch", Partition: "aws-cn", Region: "cn-north-1", Account: "111122223333",
		ErrorCodes: []string{"InternalFailure", "KMSInternalException"}, RetentionDays: 400, Budget: "0.0864",
	}
}

// delivered is the log event that EventBridge makes of an event: each <name> is
// replaced by what its path yields, unescaped, or by nothing ("Amazon EventBridge
// input transformation", EventBridge User Guide).
func delivered(t *testing.T, r spec.EventRule, values map[string]string) string {
	t.Helper()
	text := r.Template
	for name, path := range r.Paths {
		value := values[path]
		if name == "time" { // outside of quotes a text gets its own
			text = strings.Replace(text, `"timestamp":<time>`, `"timestamp":"`+value+`"`, 1)
		}
		text = strings.ReplaceAll(text, "<"+name+">", value)
	}
	var event struct{ Timestamp, Message string }
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return event.Message
}

func TestWhatIsKeptOfAFault(t *testing.T) {
	c := exampleEvidence()
	rules := c.Rules()
	if len(rules) != 2 || rules[0].Name != "keywatch-sla-faults" || !rules[0].ReadOnly || rules[1].Name != "keywatch-sla-health" || rules[1].ReadOnly {
		t.Fatalf("%+v", rules)
	}
	got := delivered(t, rules[0], map[string]string{
		"$.time": "2026-10-07T10:00:00Z", "$.region": "cn-north-1", "$.account": "111122223333", "$.id": "e",
		"$.detail.eventTime": "2026-10-07T09:59:58Z", "$.detail.eventSource": "kms.amazonaws.com", "$.detail.eventName": "Decrypt",
		"$.detail.errorCode": "KMSInternalException", "$.detail.resources[0].ARN": "arn:aws-cn:kms:cn-north-1:111122223333:key/1",
		"$.detail.userIdentity.userName": "alice", // not taken
	})
	const want = `{"id":"e","detail-type":"AWS API Call via CloudTrail","source":"aws.kms","account":"111122223333","time":"2026-10-07T10:00:00Z","region":"cn-north-1",` +
		`"detail":{"eventTime":"2026-10-07T09:59:58Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","errorCode":"KMSInternalException","awsRegion":"","recipientAccountId":"",` +
		`"eventType":"","eventID":"","requestID":"","resources":[{"ARN":"arn:aws-cn:kms:cn-north-1:111122223333:key/1"},{"ARN":""}],"additionalEventData":{"customKeyStoreId":""}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	health := delivered(t, rules[1], map[string]string{"$.detail.service": "KMS"})
	if !json.Valid([]byte(health)) || !strings.Contains(health, `"service":"KMS","eventTypeCode":""`) {
		t.Errorf("%s", health)
	}
}

// Names and ARNs are those that other parts of a deployment rely on.
func TestNamesOfTheEvidence(t *testing.T) {
	c := exampleEvidence()
	for got, want := range map[string]string{
		c.LogGroupARN():         "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/aws/events/keywatch-sla-evidence",
		c.QueueARN():            "arn:aws-cn:sqs:cn-north-1:111122223333:keywatch-sla-undelivered",
		c.RuleARN(c.Rules()[0]): "arn:aws-cn:events:cn-north-1:111122223333:rule/keywatch-sla-faults",
		c.Alarms()[0].Name:      "keywatch sla server-faults",
		c.Alarms()[1].Name:      "keywatch sla undelivered",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if c.Filter() != nil || !strings.Contains(c.Alarms()[0].Description, c.LogGroup()) {
		t.Errorf("%+v, %+v", c.Filter(), c.Alarms())
	}
	c.TrailLogGroup = "trail"
	f, a := c.Filter(), c.Alarms()[0]
	if f == nil || f.LogGroup != "trail" || a.Namespace != f.Namespace || a.Metric != f.Metric || a.Dimension != "" || !strings.Contains(a.Description, "log group trail") {
		t.Errorf("%+v, %+v", f, a)
	}
	if names := c.Rules(); len(names) != 1 || names[0].ID != "HealthRule" || strings.Contains(c.LogPolicy()+c.QueuePolicy(), "sla-faults") {
		t.Errorf("%+v", names)
	}
}
